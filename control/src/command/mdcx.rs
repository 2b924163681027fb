//! MDCX: changes a connection (RFC 3435 §2.3.6).

use dataplane::link::Action;
use drivers::net::PortSlot;

use super::notification::as_they_are;
use super::undo::Undo;
use super::{Commit, Common, Reply, State, check, options};
use crate::endpoint::{Connection, EndpointId};
use crate::ledger::Family;
use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::{Command, Path};
use crate::sdp::LocalDescription;

/// A connection as it is to be.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    endpoint: EndpointId,
    after: Connection,
    /// Its pair before, if it has to move to one of another address family.
    moved_from: Option<PortSlot>,
    /// What there is to say of it, if that is new.
    local: Option<LocalDescription>,
    common: Common,
}

/// Plans a change.
///
/// # Errors
/// The return code for what is wrong or missing.
pub fn plan(state: &State, path: Path, command: &Command<'_>) -> Result<Plan, ReturnCode> {
    let parameters = &command.parameters;
    // RFC 3435 §2.3.6: the name must not use wildcards.
    let endpoint = check::one(state, &command.endpoint)?;
    let call = parameters.call.ok_or(ReturnCode::PROTOCOL_ERROR)?;
    let id = match parameters.connections.as_deref() {
        Some([id]) => *id,
        _ => return Err(ReturnCode::PROTOCOL_ERROR),
    };
    let mode = parameters.mode.map(check::mode).transpose()?;
    let common = check::common(state, path, command, Some(id))?;
    check::in_service(state, endpoint)?;
    let before = state.endpoints[endpoint].connection(id).ok_or(ReturnCode::CONNECTION_UNKNOWN)?;
    if before.call != call {
        return Err(ReturnCode::CALL_UNKNOWN);
    }
    // RFC 3435 §4.4.4: a connection whose CRCX is under way cannot be changed yet.
    if state.is_being_created(endpoint, id) {
        return Err(ReturnCode::TRANSIENT_ERROR);
    }

    let mut after = before.clone();
    after.mode = mode.unwrap_or(before.mode);
    let remote = command.descriptions.first().copied();
    if let Some(remote) = remote {
        after.remote = Some(remote.into());
    }
    check::mode_fits(after.mode, after.remote.is_some())?;
    let as_is = as_they_are(&state.endpoints[endpoint]);
    let described =
        |connection| if connection == id { Some(after.remote.is_some()) } else { as_is(connection) };
    common.check(state, endpoint, &described)?;
    let options = parameters.local_options.as_ref();
    if let Some(options) = options {
        after.dscp = options::check(&state.settings, options)?.unwrap_or(before.dscp);
        after.options.merge(options);
    }
    if options.is_some() || remote.is_some() {
        let law = common.law.unwrap_or(state.endpoints[endpoint].law);
        after.agreed = options::agree(&state.settings, law, options, remote, Some(&before.agreed))?;
    }

    let core = state.endpoints[endpoint].core;
    let mut rtp = before.local.rtp;
    let moves = Family::of(after.agreed.local) != Family::of(rtp.ip());
    if moves {
        let pair = state.ledger.next_pair(core, Family::of(after.agreed.local));
        (after.port, rtp) = pair.ok_or(ReturnCode::NO_RESOURCES_NOW)?;
    }
    if !state.orders.has_room(core, 1 + usize::from(moves) + common.orders(&state.endpoints[endpoint])) {
        return Err(ReturnCode::OVERLOAD);
    }
    // RFC 3435 §2.3.6: the description is only returned when it has changed.
    let local = before.local.revised(rtp, &after.agreed);
    after.local = local.unwrap_or(before.local);
    Ok(Plan { endpoint, moved_from: moves.then_some(before.port), after, local, common })
}

impl Plan {
    /// Makes the change.
    pub fn commit(self, commit: &mut Commit<'_>) -> Reply {
        commit.apply(self.endpoint, &self.common);
        let leg = self.after.leg(commit.state.settings.jitter);
        let (port, identity) = (self.after.port, self.after.identity);
        let endpoint = &mut commit.state.endpoints[self.endpoint];
        let (core, ds0) = (endpoint.core, endpoint.ds0);
        let connection = endpoint.connection_mut(self.after.id).expect("the plan saw it");
        let before = std::mem::replace(connection, self.after);
        commit.can_undo(Undo::Modified(self.endpoint, Box::new(before)));
        match self.moved_from {
            None => commit.order(core, Action::Modify { port, leg }),
            Some(old) => {
                commit.state.ledger.take_pair(core, port, self.endpoint);
                commit.release(core, old);
                commit.order(core, Action::Disconnect { port: old });
                commit.order(core, Action::Connect { ds0, port, identity, leg });
            }
        }
        commit.signal(self.endpoint, &self.common);
        Reply::Modified { local: self.local }
    }
}
