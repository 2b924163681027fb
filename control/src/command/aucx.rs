//! AUCX: what a connection is and has seen (RFC 3435 §2.3.11).

use dataplane::link::{Action, ConnectionStats};

use super::commit::Commit;
use super::reply::{Item, Query, Reply, parameters_of, within_datagram};
use super::selected;
use super::state::State;
use crate::endpoint::Connection;
use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::{Command, InfoCode, ModeName, Parameters, Response, TransactionId};

/// A connection's core is to be asked what it has seen.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan(Query);

/// What has come of planning.
#[derive(Clone, PartialEq, Debug)]
pub enum Planned {
    /// The core is to be asked.
    Ask(Plan),
    /// It need not: this is the response.
    Answer(Vec<u8>),
}

/// Plans an audit, or answers it if no core has to be asked.
///
/// # Errors
/// The return code for what is wrong.
pub fn plan(state: &State, command: &Command<'_>) -> Result<Planned, ReturnCode> {
    // RFC 3435 §2.3.11: the wildcard conventions must not be used.
    let endpoint = selected::one(state, &command.endpoint)?;
    let connection = match command.parameters.connections.as_deref() {
        Some([id]) => *id,
        _ => return Err(ReturnCode::PROTOCOL_ERROR),
    };
    if state.endpoints[endpoint].connection(connection).is_none() {
        return Err(ReturnCode::CONNECTION_UNKNOWN);
    }
    let asked = command.parameters.requested_info.as_deref().unwrap_or_default();
    let query = Query { endpoint, connection, items: asked.iter().copied().filter_map(item).collect() };
    if !query.items.contains(&Item::ConnectionParameters) {
        return answer(state, command.transaction, &query, None, false).map(Planned::Answer);
    }
    if !state.orders.has_room(state.endpoints[endpoint].core, 1) {
        return Err(ReturnCode::OVERLOAD);
    }
    Ok(Planned::Ask(Plan(query)))
}

impl Plan {
    /// Asks the core.
    pub fn commit(self, commit: &mut Commit<'_>) -> Reply {
        let endpoint = &commit.state.endpoints[self.0.endpoint];
        let connection = endpoint.connection(self.0.connection).expect("the plan has found the connection");
        let (core, port) = (endpoint.core, connection.port);
        commit.order(core, Action::Survey { port });
        Reply::Audited(self.0)
    }
}

/// The answer, of what is known when it leaves.
///
/// # Errors
/// 515 if the connection is gone, 533 if no datagram holds it.
pub fn answer(
    state: &State,
    transaction: TransactionId,
    query: &Query,
    stats: Option<&ConnectionStats>,
    acknowledge: bool,
) -> Result<Vec<u8>, ReturnCode> {
    let endpoint = &state.endpoints[query.endpoint];
    let connection = endpoint.connection(query.connection).ok_or(ReturnCode::CONNECTION_UNKNOWN)?;
    let mut response = Response::new(ReturnCode::OK, transaction);
    let p: &mut Parameters<'_> = &mut response.parameters;
    p.response_ack = acknowledge.then(Vec::new);
    for item in &query.items {
        match item {
            Item::CallId => p.call = Some(connection.call),
            Item::NotifiedEntity => {
                p.notified_entity = Some(endpoint.control.notified.target().map(|target| target.to_name()));
            }
            Item::LocalConnectionOptions => p.local_options = Some(connection.options.to_parameter()),
            Item::Mode => p.mode = Some(ModeName::Known(connection.mode)),
            Item::ConnectionParameters => p.connection_parameters = stats.map(parameters_of),
            Item::LocalConnectionDescriptor | Item::RemoteConnectionDescriptor => {}
        }
    }
    let (local, remote) = descriptions(connection);
    // RFC 3435 §3.3.7: descriptions come last, the local one first.
    if query.items.contains(&Item::LocalConnectionDescriptor) {
        response.descriptions.push(&local);
    }
    if query.items.contains(&Item::RemoteConnectionDescriptor) {
        response.descriptions.push(remote);
    }
    within_datagram(response.to_octets())
}

/// RFC 3435 §3.3.7: a description that there is not is told as its version line alone.
fn descriptions(connection: &Connection) -> (Vec<u8>, &[u8]) {
    let mut local = Vec::new();
    connection.media.describe(&mut local);
    (local, connection.remote.as_deref().unwrap_or(b"v=0\r\n"))
}

fn item(code: InfoCode<'_>) -> Option<Item> {
    match code {
        InfoCode::CallId => Some(Item::CallId),
        InfoCode::NotifiedEntity => Some(Item::NotifiedEntity),
        InfoCode::LocalConnectionOptions => Some(Item::LocalConnectionOptions),
        InfoCode::ConnectionMode => Some(Item::Mode),
        InfoCode::LocalConnectionDescriptor => Some(Item::LocalConnectionDescriptor),
        InfoCode::RemoteConnectionDescriptor => Some(Item::RemoteConnectionDescriptor),
        InfoCode::ConnectionParameters => Some(Item::ConnectionParameters),
        // Those of endpoints are AUEP's; the others are not supported.
        _ => None,
    }
}
