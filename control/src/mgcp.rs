//! MGCP as it is on the wire: RFC 3435 §3 and its appendix A.
//!
//! [`parse`] turns octets into [`message`]s, [`emit`] turns them back; [`transaction`] gives
//! at-most-once delivery. Nothing past the parser sees text.

pub mod code;
pub mod digit_map;
pub mod emit;
pub mod event;
pub mod event_error;
#[cfg(test)]
pub(crate) mod examples;
pub mod message;
pub mod name;
pub mod parse;
pub mod transaction;
