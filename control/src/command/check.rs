//! What all commands are checked for before they are planned.

use std::sync::Arc;

use dataplane::mode::Mode;
use drivers::line::Law;

use super::commit::Common;
use super::selected::domain_of;
use super::state::State;
use super::{notification, redirect};
use crate::endpoint::naming::{Form, Pattern};
use crate::endpoint::{Connection, Endpoint, EndpointId, Kind};
use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::{Command, ModeName, Parameters, Path, Verb};
use crate::mgcp::name::{CallId, ConnectionId};
use crate::package::{Extension, Packages};

/// A parameter of RFC 3435, by its code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Code {
    A,
    B,
    C,
    D,
    E,
    Es,
    F,
    I,
    I2,
    K,
    L,
    M,
    Md,
    N,
    O,
    P,
    Pl,
    Q,
    R,
    Rd,
    Rm,
    S,
    T,
    X,
    Z,
    Z2,
}

/// Checks that a command has no parameter that it must not have, and none that nobody knows.
///
/// # Errors
/// 539 for a parameter out of place, 511 for a critical extension, 518 for a package's.
pub fn parameters(packages: &Packages, command: &Command<'_>) -> Result<(), ReturnCode> {
    if present(&command.parameters).any(|code| !allowed(command.verb, code)) {
        return Err(ReturnCode::UNSUPPORTED_PARAMETER);
    }
    // RFC 3435 §3.2.2: only these two have a remote description, and at most one.
    let descriptions_max = match command.verb {
        Verb::CreateConnection | Verb::ModifyConnection => 1,
        _ => 0,
    };
    if command.descriptions.len() > descriptions_max {
        return Err(ReturnCode::UNSUPPORTED_PARAMETER);
    }
    let mut names = command.parameters.others.iter().map(|(name, _)| *name);
    names.try_for_each(|name| extension(packages, command.verb, name))
}

/// RFC 3435 §3.2.2: unknown `X-` are ignored, unknown `X+` are not.
fn extension(packages: &Packages, verb: Verb, name: &str) -> Result<(), ReturnCode> {
    let configures = verb == Verb::EndpointConfiguration;
    match name.get(..2) {
        Some(vendor) if vendor.eq_ignore_ascii_case("X-") => Ok(()),
        Some(vendor) if vendor.eq_ignore_ascii_case("X+") => Err(ReturnCode::UNKNOWN_EXTENSION),
        _ if name.contains('/') => match packages.extension(name)? {
            // RFC 3435 §B.2.1: it is part of a notification request.
            Extension::PersistentEvents if allowed(verb, Code::R) => Ok(()),
            // RFC 3624 §2.1.1: these are of AUEP.
            Extension::BulkRequestedInfo | Extension::StartEndpoint | Extension::EndpointsMax
                if verb == Verb::AuditEndpoint =>
            {
                Ok(())
            }
            // RFC 3991 §2.1, §2.3: wherever N is, and to redirect many endpoints.
            Extension::NotifiedEntityList if configures || allowed(verb, Code::N) => Ok(()),
            Extension::NotifiedEntity
            | Extension::EndpointList
            | Extension::EndpointMap
            | Extension::Reset => {
                // RFC 3991 §2.2.1, §2.4: only there.
                if configures { Ok(()) } else { Err(ReturnCode::INCORRECT_USAGE) }
            }
            // RFC 3992 §2.1: wherever endpoints are configured.
            Extension::LockstepTime if allowed(verb, Code::B) => Ok(()),
            _ => Err(ReturnCode::UNSUPPORTED_PARAMETER),
        },
        _ => Err(ReturnCode::UNSUPPORTED_PARAMETER),
    }
}

fn present(parameters: &Parameters<'_>) -> impl Iterator<Item = Code> {
    let p = parameters;
    let all = [
        (Code::A, !p.capabilities.is_empty()),
        (Code::B, p.bearer.is_some()),
        (Code::C, p.call.is_some()),
        (Code::D, p.digit_map.is_some()),
        (Code::E, p.reason.is_some()),
        (Code::Es, p.event_states.is_some()),
        (Code::F, p.requested_info.is_some()),
        (Code::I, p.connections.is_some()),
        (Code::I2, p.second_connection.is_some()),
        (Code::K, p.response_ack.is_some()),
        (Code::L, p.local_options.is_some()),
        (Code::M, p.mode.is_some()),
        (Code::Md, p.max_datagram.is_some()),
        (Code::N, p.notified_entity.is_some()),
        (Code::O, p.observed_events.is_some()),
        (Code::P, p.connection_parameters.is_some()),
        (Code::Pl, p.packages.is_some()),
        (Code::Q, p.quarantine.is_some()),
        (Code::R, p.requested_events.is_some()),
        (Code::Rd, p.restart_delay_s.is_some()),
        (Code::Rm, p.restart_method.is_some()),
        (Code::S, p.signal_requests.is_some()),
        (Code::T, p.detect_events.is_some()),
        (Code::X, p.request.is_some()),
        (Code::Z, !p.specific_endpoints.is_empty()),
        (Code::Z2, p.second_endpoint.is_some()),
    ];
    all.into_iter().filter(|(_, there)| *there).map(|(code, _)| code)
}

/// The table of RFC 3435 §3.2.2, for commands that a gateway receives.
fn allowed(verb: Verb, code: Code) -> bool {
    use Code::{B, C, D, E, F, I, K, L, M, N, Q, R, S, T, X, Z2};
    match verb {
        Verb::EndpointConfiguration => matches!(code, B | K),
        Verb::CreateConnection => matches!(code, Z2 | B | C | D | K | L | M | N | Q | R | S | T | X),
        Verb::ModifyConnection => matches!(code, B | C | D | I | K | L | M | N | Q | R | S | T | X),
        Verb::DeleteConnection => matches!(code, B | C | D | E | I | K | N | Q | R | S | T | X),
        Verb::NotificationRequest => matches!(code, B | D | K | N | Q | R | S | T | X),
        Verb::AuditEndpoint => matches!(code, F | K),
        Verb::AuditConnection => matches!(code, F | I | K),
        Verb::Notify | Verb::RestartInProgress | Verb::Other(_) => true,
    }
}

/// Checks that an endpoint is in service.
///
/// # Errors
/// 501 (RFC 3435 §4.4.5).
pub fn in_service(state: &State, id: EndpointId) -> Result<(), ReturnCode> {
    if state.endpoints[id].outage.is_some() { Err(ReturnCode::ENDPOINT_NOT_READY) } else { Ok(()) }
}

/// Checks what many commands can have: N, X with what belongs to it, B and its like. `current` is the connection
/// that the command makes or changes.
///
/// # Errors
/// The return code for what is wrong.
pub fn common(
    state: &State,
    path: Path,
    command: &Command<'_>,
    current: Option<ConnectionId>,
) -> Result<Common, ReturnCode> {
    let (packages, parameters) = (&state.packages, &command.parameters);
    let asked = notification::read(packages, parameters, current)?.map(Arc::new);
    let form = Pattern::parse(&command.endpoint.local).map_or(Form::Usual, |pattern| pattern.form);
    Ok(Common {
        path,
        called: state.called(form, domain_of(&command.endpoint)),
        naming: redirect::naming(packages, parameters)?,
        asked,
        law: law(command)?,
        echo: None,
        resets: redirect::resets(packages, parameters)?,
        lockstep: redirect::lockstep(packages, parameters)?,
    })
}

fn law(command: &Command<'_>) -> Result<Option<Law>, ReturnCode> {
    let Some(bearer) = &command.parameters.bearer else { return Ok(None) };
    match bearer.others.first() {
        None => Ok(bearer.encoding),
        Some((name, _)) if name.contains('/') => Err(ReturnCode::UNSUPPORTED_PACKAGE),
        Some(_) => Err(ReturnCode::UNSUPPORTED_PARAMETER),
    }
}

/// Whether endpoints of a kind have a mode.
// A relay has no line to test and nothing that would answer a test.
pub const fn has_mode(kind: Kind, mode: Mode) -> bool {
    match (kind, mode) {
        (Kind::Relay(_), Mode::ContinuityTest | Mode::NetworkContinuityTest) => false,
        // The gateway has no connections, which is for others to say.
        (Kind::Ds0(_) | Kind::Relay(_) | Kind::Gateway, _) => true,
    }
}

/// Checks M.
///
/// # Errors
/// 518 for a package's mode, 517 for any other that is not one of the nine.
pub fn mode(name: ModeName<'_>) -> Result<Mode, ReturnCode> {
    match name {
        ModeName::Known(mode) => Ok(mode),
        ModeName::Other(name) if name.contains('/') => Err(ReturnCode::UNSUPPORTED_PACKAGE),
        ModeName::Other(_) => Err(ReturnCode::UNSUPPORTED_MODE),
    }
}

/// Whether a command has Osmocom's `X-Osmo-IGN: C`: its call agent knows that its calls' names differ
/// from command to command.
pub fn ignores_call(command: &Command<'_>) -> bool {
    let mut others = command.parameters.others.iter();
    others.any(|(name, value)| {
        let mut items = value.split([' ', ',', '\t']);
        name.eq_ignore_ascii_case("X-Osmo-IGN") && items.any(|item| item.eq_ignore_ascii_case("C"))
    })
}

/// Checks that a connection is of a call, if its call agent cares for that.
///
/// # Errors
/// 516
pub fn of_call(
    endpoint: &Endpoint,
    command: &Command<'_>,
    connection: &Connection,
    call: CallId,
) -> Result<(), ReturnCode> {
    let ignores = ignores_call(command) || endpoint.connections.iter().any(|other| other.ignores_call);
    if connection.call == call || ignores { Ok(()) } else { Err(ReturnCode::CALL_UNKNOWN) }
}

/// Checks that a connection can be in a mode, having a remote description or not.
///
/// # Errors
/// 527, or 517 for a mode that an endpoint of its kind does not have.
// RFC 3435 §2.3.5: without one, a connection can only receive, be inactive, or loop the circuit.
pub fn mode_fits(state: &State, id: EndpointId, mode: Mode, has_remote: bool) -> Result<(), ReturnCode> {
    if !has_mode(state.endpoints[id].kind, mode) {
        return Err(ReturnCode::UNSUPPORTED_MODE);
    }
    match mode {
        Mode::ReceiveOnly | Mode::Inactive | Mode::Loopback | Mode::ContinuityTest => Ok(()),
        Mode::SendOnly
        | Mode::SendReceive
        | Mode::Conference
        | Mode::NetworkLoopback
        | Mode::NetworkContinuityTest => {
            if has_remote {
                Ok(())
            } else {
                Err(ReturnCode::REMOTE_MISSING)
            }
        }
    }
}
