//! DLCX: ends one connection (RFC 3435 §2.3.7), or many (§2.3.9).
//!
//! What gives back is never refused for want of something: its orders wait for room in the ring.

use dataplane::link::Action;

use super::commit::{Commit, Common};
use super::reply::Reply;
use super::selected;
use super::state::State;
use super::{check, osmocom};
use crate::endpoint::naming::Wildcard;
use crate::endpoint::{Connection, EndpointId};
use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::{Command, Path};
use crate::mgcp::name::{CallId, ConnectionId};

/// Connections to be ended.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    endpoints: Vec<EndpointId>,
    which: Which,
    common: Common,
}

/// Which of the endpoints' connections.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Which {
    One(ConnectionId),
    OfCall(CallId),
    All,
}

impl Which {
    fn means(self, connection: &Connection) -> bool {
        match self {
            Self::One(id) => connection.id == id,
            Self::OfCall(call) => connection.call == call,
            Self::All => true,
        }
    }
}

/// Plans an end.
///
/// # Errors
/// The return code for what is wrong.
pub fn plan(state: &State, path: Path, command: &Command<'_>) -> Result<Plan, ReturnCode> {
    let parameters = &command.parameters;
    let selected = selected::all(state, &command.endpoint)?;
    let common = check::common(state, path, command, None)?;
    let which = match (parameters.connections.as_deref(), parameters.call) {
        (Some([id]), call) => {
            // RFC 3435 §2.3.7: one connection is of one endpoint.
            let endpoint = selected::one(state, &command.endpoint)?;
            check::in_service(state, endpoint)?;
            let connection =
                state.endpoints[endpoint].connection(*id).ok_or(ReturnCode::CONNECTION_UNKNOWN)?;
            if let Some(call) = call {
                check::of_call(&state.endpoints[endpoint], command, connection, call)?;
            }
            Which::One(*id)
        }
        (Some(_), _) => return Err(ReturnCode::PROTOCOL_ERROR),
        (None, Some(_)) if check::ignores_call(command) => Which::All,
        (None, Some(call)) => {
            let is_one = selected.pattern.wildcard == Wildcard::None;
            if is_one && osmocom::is_theirs(&command.endpoint) {
                osmocom::has_connections(&state.endpoints[selected.endpoints[0]], call)?;
            }
            Which::OfCall(call)
        }
        (None, None) => Which::All,
    };
    // RFC 3435 §2.3.9: a DLCX with a wildcard encapsulates no other command.
    let encapsulates = common.asked.is_some() || common.law.is_some();
    if selected.pattern.wildcard != Wildcard::None && encapsulates {
        return Err(ReturnCode::PROTOCOL_ERROR);
    }
    // RFC 3435 §4.4.5: an endpoint out of service takes no command. It has no connections either, so a
    // wildcard is not refused for its sake.
    let mut endpoints = selected.endpoints;
    endpoints.retain(|id| state.endpoints[*id].outage.is_none());
    if endpoints.is_empty() {
        return Err(ReturnCode::ENDPOINT_NOT_READY);
    }
    for id in endpoints.iter().copied() {
        let endpoint = &state.endpoints[id];
        let left = |connection| {
            let stays = |found: &&Connection| !which.means(found);
            endpoint.connection(connection).filter(stays).map(|found| found.remote.is_some())
        };
        common.check(state, id, &left)?;
    }
    Ok(Plan { endpoints, which, common })
}

impl Plan {
    /// Ends the connections.
    pub fn commit(self, commit: &mut Commit<'_>) -> Reply {
        for id in &self.endpoints {
            commit.apply(*id, &self.common);
            let core = commit.state.endpoints[*id].core;
            for connection in commit.state.end_connections(*id, |connection| self.which.means(connection)) {
                commit.order(core, Action::Disconnect { port: connection.port });
                // RFC 3435 §2.3.5: the other half is a connection of its own, and stays.
                commit.state.part(&connection);
            }
            commit.signal(*id, &self.common);
        }
        match self.which {
            Which::One(_) => Reply::Deleted,
            // RFC 3435 §2.3.9: many at once report no statistics.
            Which::OfCall(_) | Which::All => Reply::Code(ReturnCode::DELETED),
        }
    }
}
