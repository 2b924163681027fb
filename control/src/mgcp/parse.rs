//! Octets → [`Message`]s.

use super::code::ReturnCode;
use super::message::{Message, TransactionId, Verb};

/// One message of a datagram, as octets and as meaning.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part<'a> {
    /// Its own octets: what tells a repeated command from a new one with an old number.
    pub octets: &'a [u8],
    /// What they mean.
    pub message: Result<Message<'a>, ParseError>,
}

/// What is wrong with a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// Where in the datagram.
    pub offset: usize,
    /// The rule of RFC 3435's grammar (Appendix A) that is broken.
    pub rule: &'static str,
    /// What to answer.
    pub code: ReturnCode,
    /// The transaction to answer; `None` where there is nothing to answer: a response, or noise.
    pub transaction: Option<TransactionId>,
    /// The command's verb, as far as it could be read.
    pub verb: Option<Verb>,
}

/// The messages of a datagram, in order (RFC 3435 §3.5.5).
pub fn parse_datagram(_octets: &[u8]) -> impl Iterator<Item = Part<'_>> {
    std::iter::empty()
}
