//! Which endpoints the name in a command stands for.

use super::state::State;
use crate::endpoint::EndpointId;
use crate::endpoint::naming::{GATEWAY, Pattern, Wildcard};
use crate::mgcp::code::ReturnCode;
use crate::mgcp::name::{EndpointName, Term};

/// What an endpoint's name stands for.
#[derive(Clone, PartialEq, Debug)]
pub struct Selected {
    /// The name, understood.
    pub pattern: Pattern,
    /// The endpoints, in order; at least one.
    pub endpoints: Vec<EndpointId>,
}

/// Understands the name of one endpoint of this gateway.
///
/// # Errors
/// 500 if there is none, 503 if it has a wildcard.
pub fn one(state: &State, name: &EndpointName) -> Result<EndpointId, ReturnCode> {
    let pattern = pattern(state, name)?;
    match pattern.wildcard {
        Wildcard::None => {
            let found = state.endpoints.one(&pattern).filter(|id| state.may_control(*id));
            found.ok_or(ReturnCode::ENDPOINT_UNKNOWN)
        }
        // RFC 3661 §2.2: 503 is for wildcards that are understood but not possible here.
        Wildcard::All | Wildcard::Any => Err(ReturnCode::WILDCARD_TOO_COMPLICATED),
    }
}

/// Understands the name of one endpoint, or of all that a wildcard matches.
///
/// # Errors
/// 500 if there is none, 503 if its wildcard is any-of.
pub fn all(state: &State, name: &EndpointName) -> Result<Selected, ReturnCode> {
    let pattern = pattern(state, name)?;
    let mut endpoints = match pattern.wildcard {
        Wildcard::None => Vec::from_iter(state.endpoints.one(&pattern)),
        Wildcard::All => state.endpoints.matching(&pattern),
        Wildcard::Any => return Err(ReturnCode::WILDCARD_TOO_COMPLICATED),
    };
    endpoints.retain(|id| state.may_control(*id));
    if endpoints.is_empty() { Err(ReturnCode::ENDPOINT_UNKNOWN) } else { Ok(Selected { pattern, endpoints }) }
}

/// The endpoints that a name could mean, whatever its wildcard; none if it means nothing here.
pub fn meant(state: &State, name: &EndpointName) -> Vec<EndpointId> {
    let Ok(pattern) = pattern(state, name) else { return Vec::new() };
    let mut meant = match pattern.wildcard {
        Wildcard::None => Vec::from_iter(state.endpoints.one(&pattern)),
        Wildcard::All | Wildcard::Any => state.endpoints.matching(&pattern),
    };
    meant.retain(|id| state.may_control(*id));
    meant
}

/// Understands the local name of an endpoint of this gateway.
///
/// # Errors
/// 500 if the domain is another's or nothing here can have such a name.
pub fn pattern(state: &State, name: &EndpointName) -> Result<Pattern, ReturnCode> {
    if !state.settings.is_own_domain(name.host()) {
        return Err(ReturnCode::ENDPOINT_UNKNOWN);
    }
    if name.has_all_of() && name.has_any_of() {
        return Err(ReturnCode::WILDCARD_TOO_COMPLICATED);
    }
    Pattern::parse(&name.local).ok_or(ReturnCode::ENDPOINT_UNKNOWN)
}

/// Whether a name stands for the gateway itself, be it an endpoint or not (RFC 3435 §E.4, RFC 3991 §2.2.1).
pub fn is_gateway(state: &State, name: &EndpointName) -> bool {
    state.settings.is_own_domain(name.host())
        && matches!(&name.local[..], [Term::Word(word)] if word.eq_ignore_ascii_case(GATEWAY))
}

/// A name's domain as it was spelt, but without a port, which is none of it.
pub fn domain_of(name: &EndpointName) -> String {
    if name.domain.starts_with('[') { format!("[{}]", name.host()) } else { name.host().to_owned() }
}
