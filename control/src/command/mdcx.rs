//! MDCX: changes a connection (RFC 3435 §2.3.6).

use std::net::SocketAddr;

use dataplane::link::Action;
use drivers::net::PortSlot;

use super::commit::{Commit, Common};
use super::media::Agreed;
use super::network::Said;
use super::notification::as_they_are;
use super::reply::Reply;
use super::selected;
use super::state::State;
use super::undo::Undo;
use super::{check, options, osmocom};
use crate::endpoint::{Connection, EndpointId, HalfId};
use crate::ledger::Family;
use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::{Command, Path};
use crate::sdp::Codecs;

/// A connection as it is to be.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    endpoint: EndpointId,
    after: Connection,
    /// Its pair before, if it has to move to one of another address family.
    moved_from: Option<PortSlot>,
    /// The codecs of its relay from then on, if it is of one and they change.
    codecs: Option<Codecs>,
    /// The half that it is joined to, if it is by this.
    joins: Option<HalfId>,
    /// What there is to say of it, if that is new.
    local: Option<Vec<u8>>,
    common: Common,
}

/// Plans a change.
///
/// # Errors
/// The return code for what is wrong or missing.
pub fn plan(state: &State, path: Path, command: &Command<'_>) -> Result<Plan, ReturnCode> {
    let parameters = &command.parameters;
    // RFC 3435 §2.3.6: the name must not use wildcards.
    let endpoint = selected::one(state, &command.endpoint)?;
    let call = parameters.call.ok_or(ReturnCode::PROTOCOL_ERROR)?;
    let id = match parameters.connections.as_deref() {
        Some([id]) => *id,
        _ => return Err(ReturnCode::PROTOCOL_ERROR),
    };
    let mode = parameters.mode.map(check::mode).transpose()?;
    let mut common = check::common(state, path, command, Some(id))?;
    common.echo = parameters.local_options.as_ref().and_then(|options| options.echo_cancellation);
    check::in_service(state, endpoint)?;
    let before = state.endpoints[endpoint].connection(id).ok_or(ReturnCode::CONNECTION_UNKNOWN)?;
    check::of_call(&state.endpoints[endpoint], command, before, call)?;
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
    check::mode_fits(state, endpoint, after.mode, after.remote.is_some())?;
    let as_is = as_they_are(&state.endpoints[endpoint]);
    let described =
        |connection| if connection == id { Some(after.remote.is_some()) } else { as_is(connection) };
    common.check(state, endpoint, &described)?;
    let options = parameters.local_options.as_ref();
    if let Some(options) = options {
        after.dscp = options::check(&state.endpoints[endpoint], options)?.unwrap_or(before.dscp);
        after.options.merge(options);
    }
    let law = common.law.unwrap_or(state.endpoints[endpoint].law);
    let agreed = match options.is_some() || remote.is_some() {
        true => Some(Agreed::plan(
            state,
            endpoint,
            Said { law, options, remote, has_second: false },
            Some(&before.media),
        )?),
        false => None,
    };

    let this = HalfId { endpoint, connection: id };
    let joins = agreed.as_ref().and_then(Agreed::half).map(|half| joined(state, this, half)).transpose()?;
    let joins = joins.flatten();

    let moves =
        agreed.as_ref().map(|agreed| other_pair(state, endpoint, before, agreed)).transpose()?.flatten();
    if !has_room(state, endpoint, moves.is_some(), joins, &common) {
        return Err(ReturnCode::OVERLOAD);
    }
    let (port, rtp) = moves.unwrap_or((before.port, before.media.rtp()));
    after.port = port;
    let (mut codecs, mut is_new) = (None, false);
    if let Some(agreed) = agreed {
        (after.media, codecs, is_new) = agreed.go_on(&before.media, rtp);
    }
    // RFC 3435 §2.3.6: the description is only returned when it has changed. Osmocom's call agents always
    // look for it.
    let local = (is_new || osmocom::is_theirs(&command.endpoint)).then(|| {
        let mut local = Vec::new();
        after.media.describe(&mut local);
        local
    });
    let moved_from = moves.map(|_| before.port);
    Ok(Plan { endpoint, moved_from, after, codecs, joins, local, common })
}

/// The pair that a connection moves to, and its RTP address, if its media are from now on of another address
/// family.
fn other_pair(
    state: &State,
    endpoint: EndpointId,
    before: &Connection,
    agreed: &Agreed,
) -> Result<Option<(PortSlot, SocketAddr)>, ReturnCode> {
    let family = Family::of(agreed.local());
    if family == Family::of(before.media.rtp().ip()) {
        return Ok(None);
    }
    let pair = state.ledger.next_pair(state.endpoints[endpoint].core, family);
    pair.map(Some).ok_or(ReturnCode::NO_RESOURCES_NOW)
}

/// Whether the rings have room for what is ordered: to change the connection takes one order, and one more for
/// the half that it is joined to; to move it one to end what was, and two to listen and to look after what
/// comes at the new pair.
fn has_room(
    state: &State,
    endpoint: EndpointId,
    moves: bool,
    joins: Option<HalfId>,
    common: &Common,
) -> bool {
    let first = &state.endpoints[endpoint];
    let other = joins.map(|half| state.endpoints[half.endpoint].core);
    let orders = 1 + 3 * usize::from(moves) + usize::from(other == Some(first.core)) + common.orders(first);
    state.orders.has_room(first.core, orders) && other.is_none_or(|core| state.orders.has_room(core, 1))
}

/// The half that this one is to be joined to, unless it is already.
fn joined(state: &State, this: HalfId, half: HalfId) -> Result<Option<HalfId>, ReturnCode> {
    if half == this {
        return Err(ReturnCode::REMOTE_ERROR);
    }
    state.can_join(half, Some(this))?;
    state.can_join(this, Some(half))?;
    Ok(Some(half).filter(|half| state.is_alone(*half)))
}

impl Plan {
    /// Makes the change.
    pub fn commit(self, commit: &mut Commit<'_>) -> Reply {
        commit.apply(self.endpoint, &self.common);
        let jitter = commit.state.settings.jitter;
        let connect = self.after.connect(jitter);
        let (port, this) = (self.after.port, HalfId { endpoint: self.endpoint, connection: self.after.id });
        let endpoint = &mut commit.state.endpoints[self.endpoint];
        let core = endpoint.core;
        if let Some(codecs) = self.codecs {
            endpoint.codecs = codecs;
        }
        let connection = endpoint.connection_mut(self.after.id).expect("the plan has found the connection");
        let before = std::mem::replace(connection, self.after);
        commit.can_undo(Undo::Modified(self.endpoint, Box::new(before)));
        match self.moved_from {
            None => {
                if let Some(half) = self.joins {
                    commit.join(this, half);
                    commit.modify(half);
                }
                commit.modify(this);
            }
            Some(old) => {
                commit.state.ledger.take_pair(core, port, self.endpoint);
                commit.release(core, old);
                commit.order(core, Action::Disconnect { port: old });
                commit.order(core, connect);
            }
        }
        commit.signal(self.endpoint, &self.common);
        Reply::Modified { local: self.local }
    }
}
