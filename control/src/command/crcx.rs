//! CRCX: makes a connection (RFC 3435 §2.3.5).

use std::net::SocketAddr;

use dataplane::link::Identity;
use dataplane::mode::Mode;
use drivers::net::{Dscp, PortSlot};
use rand::RngExt;
use rand::rngs::StdRng;

use super::check;
use super::commit::{Commit, Common};
use super::media::{Agreed, Whose};
use super::network::Said;
use super::notification::as_they_are;
use super::options;
use super::reply::{Reply, Second};
use super::selected::{self, domain_of};
use super::state::State;
use super::undo::Undo;
use crate::endpoint::HalfId;
use crate::endpoint::naming::{Form, Means, Named, Pattern, Wildcard};
use crate::endpoint::options::Options;
use crate::endpoint::{Connection, Endpoint, EndpointId};
use crate::ledger::Family;
use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::{Command, Path};
use crate::mgcp::name::{CallId, EndpointName};

/// What is to be made, with all it needs seen to be there.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    new: New,
    /// Its other half, if that is made with it.
    second: Option<New>,
    common: Common,
}

/// A connection to be made.
#[derive(Clone, PartialEq, Debug)]
struct New {
    endpoint: EndpointId,
    /// The endpoint's name, if the gateway has chosen it.
    specific: Option<EndpointName>,
    call: CallId,
    mode: Mode,
    port: PortSlot,
    rtp: SocketAddr,
    agreed: Agreed,
    dscp: Dscp,
    remote: Option<Box<[u8]>>,
    options: Options,
    ignores_call: bool,
}

/// Plans a connection.
///
/// # Errors
/// The return code for what is wrong or missing.
pub fn plan(state: &State, path: Path, command: &Command<'_>) -> Result<Plan, ReturnCode> {
    let parameters = &command.parameters;
    let (endpoint, specific) = choose(state, &command.endpoint, None)?;
    // RFC 3435 §3.2.2: C and M are mandatory. No code says that a parameter is missing.
    let call = parameters.call.ok_or(ReturnCode::PROTOCOL_ERROR)?;
    let mode = check::mode(parameters.mode.ok_or(ReturnCode::PROTOCOL_ERROR)?)?;
    let id = state.next_connection();
    let mut common = check::common(state, path, command, Some(id))?;
    // RFC 3435 §2.3.5: the first connection has echo cancelled unless it says otherwise; with others there it
    // is left as it is.
    let is_first = state.endpoints[endpoint].connections.is_empty() || common.resets;
    let asked = parameters.local_options.as_ref().and_then(|options| options.echo_cancellation);
    common.echo = asked.or(is_first.then_some(true));
    check::in_service(state, endpoint)?;
    let remote = command.descriptions.first().copied();
    // RFC 3435 §2.3.5: a second endpoint comes instead of a remote description.
    let second = parameters.second_endpoint.as_ref();
    if second.is_some() && remote.is_some() {
        return Err(ReturnCode::PROTOCOL_ERROR);
    }
    let is_described = second.is_some() || remote.is_some();
    check::mode_fits(state, endpoint, mode, is_described)?;

    let as_is = as_they_are(&state.endpoints[endpoint]);
    let described = |connection| if connection == id { Some(is_described) } else { as_is(connection) };
    common.check(state, endpoint, &described)?;

    let options = parameters.local_options.as_ref();
    let law = common.law.unwrap_or(state.endpoints[endpoint].law);
    let said = Said { law, options, remote, has_second: second.is_some() };
    let ignores_call = check::ignores_call(command);
    let wanted = Wanted { call, mode, said, ignores_call };
    let new = New::plan(state, endpoint, specific, wanted, 0)?;
    let second = second.map(|name| New::plan_second(state, &new, name, wanted)).transpose()?;

    if !has_room(state, &new, second.as_ref(), &common) {
        return Err(ReturnCode::OVERLOAD);
    }
    Ok(Plan { new, second, common })
}

/// Whether the rings have room for what is ordered: three orders at most for each connection, to make it, to
/// listen and to look after it; one for each signal that begins there, and may end at once by what is asked;
/// one for the echo of a second endpoint; and one for the half that the new one is joined to.
fn has_room(state: &State, new: &New, second: Option<&New>, common: &Common) -> bool {
    let first = &state.endpoints[new.endpoint];
    let starts = first.control.signals.starts_when_connected();
    let ends = if common.asked.is_some() { starts } else { 0 };
    let mut orders = vec![(first.core, 3 + starts + ends + common.orders(first))];
    orders.extend(second.map(|second| {
        let endpoint = &state.endpoints[second.endpoint];
        (endpoint.core, 4 + endpoint.control.signals.starts_when_connected())
    }));
    orders.extend(new.agreed.half().map(|half| (state.endpoints[half.endpoint].core, 1)));
    let all_of = |core| orders.iter().filter(|(other, _)| *other == core).map(|(_, n)| n).sum();
    orders.iter().all(|(core, _)| state.orders.has_room(*core, all_of(*core)))
}

/// What a command wants of a connection.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    call: CallId,
    mode: Mode,
    said: Said<'a>,
    ignores_call: bool,
}

impl New {
    /// Plans a connection that gets its pair behind `n` others.
    fn plan(
        state: &State,
        endpoint: EndpointId,
        specific: Option<EndpointName>,
        wanted: Wanted<'_>,
        n: usize,
    ) -> Result<Self, ReturnCode> {
        let Wanted { call, mode, said, ignores_call } = wanted;
        let Endpoint { core, connections, .. } = &state.endpoints[endpoint];
        let check = |options| options::check(&state.endpoints[endpoint], options);
        let dscp = said.options.map(check).transpose()?.flatten();
        let agreed = Agreed::plan(state, endpoint, said, None)?;
        agreed.half().map_or(Ok(()), |half| state.can_join(half, None))?;
        if connections.len() >= state.endpoints[endpoint].connections_max() {
            return Err(ReturnCode::CONNECTION_LIMIT);
        }
        let pair = state.ledger.pair_behind(*core, Family::of(agreed.local()), n);
        let (port, rtp) = pair.ok_or(ReturnCode::NO_RESOURCES_NOW)?;
        let mut kept = Options::default();
        said.options.into_iter().for_each(|given| kept.merge(given));
        Ok(Self {
            endpoint,
            specific,
            call,
            mode,
            port,
            rtp,
            agreed,
            dscp: dscp.unwrap_or(state.settings.dscp),
            remote: said.remote.map(Into::into),
            options: kept,
            ignores_call,
        })
    }

    /// Plans the other half of one, at the second endpoint.
    // RFC 3435 §2.3.5: it is in send/receive mode.
    fn plan_second(
        state: &State,
        first: &Self,
        name: &EndpointName,
        wanted: Wanted<'_>,
    ) -> Result<Self, ReturnCode> {
        let (endpoint, specific) = choose(state, name, Some(first.endpoint))?;
        if endpoint == first.endpoint {
            return Err(ReturnCode::PROTOCOL_ERROR);
        }
        check::in_service(state, endpoint)?;
        let said = Said { law: state.endpoints[endpoint].law, ..wanted.said };
        let is_same_core = state.endpoints[endpoint].core == state.endpoints[first.endpoint].core;
        let wanted = Wanted { mode: Mode::SendReceive, said, ..wanted };
        Self::plan(state, endpoint, specific, wanted, usize::from(is_same_core))
    }

    /// Puts the connection in its place; nothing is ordered yet.
    fn make(self, commit: &mut Commit<'_>) -> HalfId {
        let session_id = commit.state.session_id(commit.now);
        let id = commit.state.take_connection_name();
        let local = commit.state.endpoints.name(Form::Usual, Named::Endpoint(self.endpoint));
        let local: Vec<_> = local.iter().map(ToString::to_string).collect();
        let whose = Whose { endpoint: local.join("/"), connection: id };
        let (media, codecs) = self.agreed.begin(session_id, self.rtp, whose);
        let connection = Connection {
            id,
            call: self.call,
            port: self.port,
            identity: draw_identity(&mut commit.state.rng),
            mode: self.mode,
            dscp: self.dscp,
            media,
            remote: self.remote,
            options: self.options,
            long_at: Some(commit.now + commit.state.settings.long_connection),
            ignores_call: self.ignores_call,
        };
        let endpoint = &mut commit.state.endpoints[self.endpoint];
        // Thousands of endpoints have one, few have more.
        endpoint.connections.reserve_exact(1);
        endpoint.connections.push(connection);
        endpoint.codecs = codecs.unwrap_or_default();
        let core = endpoint.core;
        commit.state.endpoints.counted(self.endpoint);
        if self.specific.is_some() {
            commit.state.endpoints.seized(self.endpoint);
        }
        commit.state.ledger.take_pair(core, self.port, self.endpoint);
        commit.state.ledger.take_connection();
        commit.can_undo(Undo::Created(self.endpoint, id));
        HalfId { endpoint: self.endpoint, connection: id }
    }
}

/// The endpoint that is meant, and its name if it was left to the gateway.
fn choose(
    state: &State,
    name: &EndpointName,
    not: Option<EndpointId>,
) -> Result<(EndpointId, Option<EndpointName>), ReturnCode> {
    let pattern = selected::pattern(state, name)?;
    match pattern.wildcard {
        Wildcard::None => selected::one(state, name).map(|id| (id, None)),
        // RFC 3435 §2.3.5: all-of must not be used. Among relays, which only Osmocom's call agents call so,
        // it means what they mean by it: any-of.
        Wildcard::All if pattern.relays() != Some(Means::ByName) => Err(ReturnCode::WILDCARD_TOO_COMPLICATED),
        Wildcard::All | Wildcard::Any => {
            let id = any_idle(state, &pattern, not)?;
            let local = state.endpoints.name(pattern.form, Named::Endpoint(id));
            Ok((id, Some(EndpointName { local, domain: domain_of(name) })))
        }
    }
}

/// Any one of those that are meant; one whose core has ports left, if there is one.
// RFC 3435 §2.3.5: any-of means one that is in service and without connections.
fn any_idle(state: &State, pattern: &Pattern, not: Option<EndpointId>) -> Result<EndpointId, ReturnCode> {
    let has_pair = |core| {
        let mut pairs =
            [Family::V4, Family::V6].into_iter().map(|family| state.ledger.next_pair(core, family));
        pairs.any(|pair| pair.is_some())
    };
    let is_meant = |id: &EndpointId| {
        state.may_control(*id) && state.endpoints[*id].connections_max() > 0 && not != Some(*id)
    };
    let idle = state.endpoints.idle_round(pattern).filter(is_meant);
    // Where no core has one, none has to be looked for.
    let is_any_good = !state.ledger.has_pairs();
    let mut without_pair = None;
    for id in idle.filter(|id| state.endpoints[*id].outage.is_none()) {
        if is_any_good || has_pair(state.endpoints[id].core) {
            return Ok(id);
        }
        without_pair = without_pair.or(Some(id));
    }
    let is_known = state.endpoints.each(pattern).any(|id| is_meant(&id));
    let code = if is_known { ReturnCode::NO_ENDPOINT_AVAILABLE } else { ReturnCode::ENDPOINT_UNKNOWN };
    without_pair.ok_or(code)
}

impl Plan {
    /// Makes the connection, and its other half.
    pub fn commit(self, commit: &mut Commit<'_>) -> Reply {
        let Self { new, second, common } = self;
        let (specific, to_join) = (new.specific.clone(), new.agreed.half());
        commit.apply(new.endpoint, &common);
        let made = new.make(commit);
        let mut reply_second = None;
        if let Some(second) = second {
            commit.involve(second.endpoint);
            let other = &mut commit.state.endpoints[second.endpoint];
            if other.connections.is_empty()
                && let Some((core, action)) = other.set_cancels_echo(true)
            {
                commit.order(core, action);
            }
            let specific = second.specific.clone();
            let other = second.make(commit);
            commit.join(made, other);
            for (half, other) in [(made, other), (other, made)] {
                let remote = commit.describe(other);
                commit.connection_mut(half).remote = Some(remote.into());
            }
            commit.connect(other);
            commit.state.endpoints[other.endpoint].control.signals.handle_connected(other.connection);
            reply_second = Some((Second { id: other.connection, specific }, other.endpoint));
        } else if let Some(half) = to_join {
            commit.join(made, half);
            commit.modify(half);
        }
        commit.connect(made);
        let control = &mut commit.state.endpoints[made.endpoint].control;
        control.signals.handle_connected(made.connection);
        commit.signal(made.endpoint, &common);
        let second = reply_second.map(|(second, endpoint)| {
            commit.signal_second(endpoint);
            second
        });
        Reply::Created { id: made.connection, specific, local: commit.describe(made), second }
    }
}

/// RFC 3550 §5.1: SSRC, first sequence number and first timestamp are random; RFC 7022 §4.2: so are
/// the 96 bits of the CNAME, in base64.
fn draw_identity(rng: &mut StdRng) -> Identity {
    const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    Identity {
        ssrc: rng.random(),
        sequence: rng.random(),
        timestamp: rng.random(),
        cname: std::array::from_fn(|_| BASE64[usize::from(rng.random::<u8>() & 63)]),
    }
}
