//! What Osmocom's call agents expect where RFC 3435 has it otherwise.
//!
//! Whom a command comes from is told by the name of its endpoint: `rtpbridge/...` and `ds/.../su64-0` are
//! names that only they use. For all other names the RFC holds.

use super::state::State;
use crate::endpoint::Endpoint;
use crate::endpoint::naming::Pattern;
use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::{Command, Verb};
use crate::mgcp::name::{CallId, EndpointName, Term};

/// Whether a name is one that only Osmocom's call agents use.
pub fn is_theirs(name: &EndpointName) -> bool {
    Pattern::parse(&name.local).is_some_and(|pattern| pattern.is_osmocoms())
}

/// Whether a name is what they audit to see whether the gateway is alive: no endpoint.
pub fn is_null(state: &State, name: &EndpointName) -> bool {
    state.settings.is_own_domain(name.host())
        && matches!(&name.local[..], [Term::Word(word)] if word.eq_ignore_ascii_case("null"))
}

/// The code that a refused command of theirs gets.
// They tell what is missing by the code of its being wrong, and a gateway without a free endpoint by the
// code of one without resources; a wildcard that cannot be is to them a function that is not there.
pub fn code(command: &Command<'_>, code: ReturnCode) -> ReturnCode {
    let parameters = &command.parameters;
    match (code, command.verb) {
        (ReturnCode::PROTOCOL_ERROR, Verb::CreateConnection | Verb::ModifyConnection)
            if parameters.call.is_none() =>
        {
            ReturnCode::CALL_UNKNOWN
        }
        (ReturnCode::PROTOCOL_ERROR, Verb::CreateConnection) if parameters.mode.is_none() => {
            ReturnCode::UNSUPPORTED_MODE
        }
        (ReturnCode::PROTOCOL_ERROR, Verb::ModifyConnection) if parameters.connections.is_none() => {
            ReturnCode::CONNECTION_UNKNOWN
        }
        (ReturnCode::WILDCARD_TOO_COMPLICATED, Verb::ModifyConnection) => ReturnCode::UNSUPPORTED,
        // RFC 3435 §2.4: 410 is for any-of, which they do not write.
        (ReturnCode::NO_ENDPOINT_AVAILABLE, _) if !command.endpoint.has_any_of() => {
            ReturnCode::NO_RESOURCES_NOW
        }
        _ => code,
    }
}

/// Checks that there is what a DLCX of a call would end.
///
/// # Errors
/// 515 if the endpoint has no connection, 516 if it has none of the call.
// RFC 3435 §2.3.9 has it succeed.
pub fn has_connections(endpoint: &Endpoint, call: CallId) -> Result<(), ReturnCode> {
    if endpoint.connections.is_empty() {
        return Err(ReturnCode::CONNECTION_UNKNOWN);
    }
    let is_of_call =
        endpoint.connections.iter().any(|connection| connection.call == call || connection.ignores_call);
    if is_of_call { Ok(()) } else { Err(ReturnCode::CALL_UNKNOWN) }
}
