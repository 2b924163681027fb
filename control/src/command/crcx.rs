//! CRCX: makes a connection (RFC 3435 §2.3.5).

use std::net::SocketAddr;

use dataplane::link::Identity;
use dataplane::mode::Mode;
use drivers::net::{Dscp, PortSlot};
use rand::RngExt;
use rand::rngs::StdRng;

use super::media::{Agreed, Said};
use super::notification::as_they_are;
use super::options::{self, Options};
use super::undo::Undo;
use super::{Commit, Common, Reply, State, check};
use crate::endpoint::naming::{Means, Named, Pattern, Wildcard};
use crate::endpoint::{Connection, EndpointId};
use crate::ledger::Family;
use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::{Command, Path};
use crate::mgcp::name::{CallId, EndpointName};

/// A connection to be made, with all it needs seen to be there.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
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
    common: Common,
}

/// Plans a connection.
///
/// # Errors
/// The return code for what is wrong or missing.
pub fn plan(state: &State, path: Path, command: &Command<'_>) -> Result<Plan, ReturnCode> {
    let parameters = &command.parameters;
    let (endpoint, specific) = choose(state, &command.endpoint)?;
    // RFC 3435 §3.2.2: C and M are mandatory. No code says that a parameter is missing.
    let call = parameters.call.ok_or(ReturnCode::PROTOCOL_ERROR)?;
    let mode = check::mode(parameters.mode.ok_or(ReturnCode::PROTOCOL_ERROR)?)?;
    let id = state.next_connection();
    let common = check::common(state, path, command, Some(id))?;
    check::in_service(state, endpoint)?;
    let remote = command.descriptions.first().copied();
    check::mode_fits(state, endpoint, mode, remote.is_some())?;

    let as_is = as_they_are(&state.endpoints[endpoint]);
    let described = |connection| if connection == id { Some(remote.is_some()) } else { as_is(connection) };
    common.check(state, endpoint, &described)?;

    let options = parameters.local_options.as_ref();
    let kind = state.endpoints[endpoint].kind;
    let dscp = options.map(|options| options::check(&state.settings, kind, options)).transpose()?.flatten();
    let law = common.law.unwrap_or(state.endpoints[endpoint].law);
    let agreed = Agreed::plan(state, endpoint, Said { law, options, remote }, None)?;

    let (core, connections) = (state.endpoints[endpoint].core, state.endpoints[endpoint].connections.len());
    if connections >= state.endpoints[endpoint].connections_max() {
        return Err(ReturnCode::CONNECTION_LIMIT);
    }
    let pair = state.ledger.next_pair(core, Family::of(agreed.local()));
    let (port, rtp) = pair.ok_or(ReturnCode::NO_RESOURCES_NOW)?;
    if !state.orders.has_room(core, 2 + common.orders(&state.endpoints[endpoint])) {
        return Err(ReturnCode::OVERLOAD);
    }
    let mut kept = Options::default();
    options.into_iter().for_each(|given| kept.merge(given));
    Ok(Plan {
        endpoint,
        specific,
        call,
        mode,
        port,
        rtp,
        agreed,
        dscp: dscp.unwrap_or(state.settings.dscp),
        remote: remote.map(Into::into),
        options: kept,
        ignores_call: check::ignores_call(command),
        common,
    })
}

/// The endpoint that is meant, and its name if it was left to the gateway.
fn choose(state: &State, name: &EndpointName) -> Result<(EndpointId, Option<EndpointName>), ReturnCode> {
    let pattern = check::pattern(state, name)?;
    match pattern.wildcard {
        Wildcard::None => check::one(state, name).map(|id| (id, None)),
        // RFC 3435 §2.3.5: all-of must not be used. Among relays, which only Osmocom's call agents call so,
        // it means what they mean by it: any-of.
        Wildcard::All if pattern.relays() != Some(Means::ByName) => Err(ReturnCode::WILDCARD_TOO_COMPLICATED),
        Wildcard::All | Wildcard::Any => {
            let id = any_idle(state, &pattern)?;
            let local = state.endpoints.name(pattern.form, Named::Endpoint(id));
            Ok((id, Some(EndpointName { local, domain: domain_of(name) })))
        }
    }
}

/// Any one of those that are meant; one whose core has ports left, if there is one.
// RFC 3435 §2.3.5: any-of means one that is in service and without connections.
fn any_idle(state: &State, pattern: &Pattern) -> Result<EndpointId, ReturnCode> {
    let has_pair = |core| {
        let mut pairs =
            [Family::V4, Family::V6].into_iter().map(|family| state.ledger.next_pair(core, family));
        pairs.any(|pair| pair.is_some())
    };
    let mut found = Err(ReturnCode::ENDPOINT_UNKNOWN);
    for id in state.endpoints.round(pattern).filter(|id| state.may_control(*id)) {
        let endpoint = &state.endpoints[id];
        if endpoint.connections_max() == 0 {
            continue;
        }
        if endpoint.outage.is_some() || !endpoint.connections.is_empty() {
            found = found.or(Err(ReturnCode::NO_ENDPOINT_AVAILABLE));
        } else if has_pair(endpoint.core) {
            return Ok(id);
        } else {
            found = found.or(Ok(id));
        }
    }
    found
}

/// A name's domain as it was spelt, but without a port, which is none of it.
pub fn domain_of(name: &EndpointName) -> String {
    if name.domain.starts_with('[') { format!("[{}]", name.host()) } else { name.host().to_owned() }
}

impl Plan {
    /// Makes the connection.
    pub fn commit(self, commit: &mut Commit<'_>) -> Reply {
        commit.apply(self.endpoint, &self.common);
        let session_id = commit.state.session_id(commit.now);
        let id = commit.state.take_connection_name();
        let (media, codecs) = self.agreed.begin(session_id, self.rtp);
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
            ignores_call: self.ignores_call,
        };
        let mut local = Vec::new();
        connection.media.describe(&mut local);
        let connect = connection.connect(commit.state.settings.jitter);
        let endpoint = &mut commit.state.endpoints[self.endpoint];
        endpoint.connections.push(connection);
        endpoint.codecs = codecs.unwrap_or_default();
        let core = endpoint.core;
        if self.specific.is_some() {
            commit.state.endpoints.seized(self.endpoint);
        }
        commit.state.ledger.take_pair(core, self.port, self.endpoint);
        commit.state.ledger.take_connection();
        commit.can_undo(Undo::Created(self.endpoint, id));
        commit.order(core, connect);
        commit.state.endpoints[self.endpoint].control.signals.handle_connected(id);
        commit.signal(self.endpoint, &self.common);
        Reply::Created { id, specific: self.specific, local }
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
