//! Which codecs and which packetization a connection uses (RFC 3435 §2.6).
use std::net::IpAddr;
use std::num::NonZeroU8;

use dataplane::link::{Format, Formats, Remote};
use drivers::line::Law;

use super::parse::{Description, ParseError};
use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::LocalConnectionOptions;

/// All that has a say in a connection's media.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The law of the DS0: its codec comes first where nobody has a preference.
    pub law: Law,
    /// The packetization period where nobody asks for one: 5, 10, 20, 30, 40 or 60 ms.
    pub ptime_default_ms: NonZeroU8,
    /// The gateway's RTP addresses, at most one of each family; the first is the default.
    pub addresses: &'a [IpAddr],
    /// The LocalConnectionOptions of this command.
    pub options: Option<&'a LocalConnectionOptions<'a>>,
    /// The RemoteConnectionDescriptor of this command.
    pub remote: Option<&'a Description<'a>>,
    /// What was agreed for this connection before; `None` in CRCX.
    pub current: Option<&'a Negotiated>,
}

/// What a connection's media are from now on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Negotiated {
    /// Which of the gateway's addresses is used: one of the remote's family.
    pub local: IpAddr,
    /// Where the peer is. `None` before a remote description, and while the peer wants no media.
    pub remote: Option<Remote>,
    /// What is sent, under the remote's payload type.
    pub send: Format,
    /// What is understood, in order of preference, under our payload types.
    pub receive: Formats,
    /// What the peer understands, by its last description; empty before.
    pub understood: Formats,
    /// Milliseconds in a packet sent.
    pub ptime_ms: NonZeroU8,
}

/// Why media could not be agreed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The remote description cannot be read, or makes no sense.
    Broken(ParseError),
    /// The remote description asks for what we do not do.
    Unsupported(&'static str),
    /// Options and remote description contradict each other.
    Conflict,
    /// The options contradict themselves.
    Inconsistent,
    /// No codec is left (§2.6 steps 2 and 4).
    NoCommonCodec,
    /// None of the periods asked for is supported.
    Packetization,
}

impl From<ParseError> for Refusal {
    fn from(error: ParseError) -> Self {
        Self::Broken(error)
    }
}

impl Refusal {
    /// The return code for it (RFC 3435 §2.4).
    pub const fn code(self) -> ReturnCode {
        ReturnCode(match self {
            Self::Broken(_) => 509,
            Self::Unsupported(_) => 505,
            Self::Conflict => 506,
            Self::Inconsistent => 524,
            Self::NoCommonCodec => 534,
            Self::Packetization => 535,
        })
    }
}

/// Agrees on media, or says why not. Changes nothing.
///
/// # Errors
/// A [`Refusal`] that bears the return code.
pub fn negotiate(terms: &Terms<'_>) -> Result<Negotiated, Refusal> {
    let _ = terms;
    Err(Refusal::NoCommonCodec)
}
