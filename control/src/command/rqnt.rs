//! RQNT: asks for events and signals (RFC 3435 §2.3.3).
//!
//! What it asks for is read and checked as in any command that carries a request, see
//! [`notification`](super::notification).

use super::epcf;
use super::state::State;
use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::{Command, Path};

/// Plans a request.
///
/// # Errors
/// The return code for what is wrong or missing.
pub fn plan(state: &State, path: Path, command: &Command<'_>) -> Result<epcf::Plan, ReturnCode> {
    // RFC 3435 §3.2.2: X is mandatory.
    if command.parameters.request.is_none() {
        return Err(ReturnCode::PROTOCOL_ERROR);
    }
    epcf::Plan::new(state, path, command)
}
