//! RQNT: asks for events and signals (RFC 3435 §2.3.3).
//!
//! No package is supported yet, so only a request for nothing can be granted; see
//! [`check::common`](super::check::common).

use std::net::SocketAddr;

use super::{State, epcf};
use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::Command;

/// Plans a request.
///
/// # Errors
/// The return code for what is wrong or missing.
pub fn plan(state: &State, source: SocketAddr, command: &Command<'_>) -> Result<epcf::Plan, ReturnCode> {
    // RFC 3435 §3.2.2: X is mandatory.
    if command.parameters.request.is_none() {
        return Err(ReturnCode::PROTOCOL_ERROR);
    }
    epcf::Plan::new(state, source, command)
}
