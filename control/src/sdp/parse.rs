//! Octets → [`Description`].
use std::net::IpAddr;

/// A session description, as far as a telephone gateway has use for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Description<'a> {
    /// The `o=` line, where there is one that can be read.
    pub origin: Option<Origin<'a>>,
    /// The `c=` line of the session.
    pub connection: Option<Connection<'a>>,
    /// The direction attribute of the session.
    pub direction: Option<Direction>,
    /// The media, in order; at most [`MEDIA_MAX`].
    pub media: Vec<Media<'a>>,
}

/// Media sections that are kept; more are an error.
pub const MEDIA_MAX: usize = 8;

/// Who made a description, and which version of it this is (RFC 4566 §5.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin<'a> {
    /// The user's name, `-` in most.
    pub username: &'a str,
    /// The session's number. Text, because RFC 3435 §3.4.1 itself has one with a letter in it.
    pub session_id: &'a str,
    /// The version's number, likewise.
    pub version: &'a str,
}

/// Where media are wanted: the value of `c=` (RFC 4566 §5.7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Connection<'a> {
    /// `IN IP4` or `IN IP6` and a numeric address.
    Address(IpAddr),
    /// A host's name, another network (`ATM`, `LOCAL`), a multicast group with its scope: the words.
    Other(&'a str),
}

/// Which way media flow, as the describing side sees it (RFC 4566 §6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// `a=sendrecv`
    SendReceive,
    /// `a=sendonly`
    SendOnly,
    /// `a=recvonly`
    ReceiveOnly,
    /// `a=inactive`
    Inactive,
}

/// One `m=` line and what belongs to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Media<'a> {
    /// `audio`, `image`, `video`...
    pub kind: &'a str,
    /// The port; `None` where it is left open (`$` or `-`, RFC 3108 §5).
    pub port: Option<u16>,
    /// How many port pairs, 1 unless `/n` says otherwise.
    pub port_count: u16,
    /// `RTP/AVP`...
    pub protocol: &'a str,
    /// The payload types in order of preference; none where the protocol is not RTP.
    pub formats: Vec<PayloadType<'a>>,
    /// The `c=` line of this section, which stands over the session's.
    pub connection: Option<Connection<'a>>,
    /// `a=ptime`, in ms.
    pub ptime_ms: Option<u16>,
    /// `a=maxptime`, in ms.
    pub maxptime_ms: Option<u16>,
    /// The direction attribute of this section.
    pub direction: Option<Direction>,
    /// `a=rtcp` (RFC 3605 §2.1).
    pub rtcp: Option<Rtcp>,
}

/// A payload type of an `m=` line and what is said of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PayloadType<'a> {
    /// The number, 0 to 127.
    pub number: u8,
    /// `a=rtpmap`: encoding name, clock rate and channels.
    pub encoding: Option<Encoding<'a>>,
    /// `a=fmtp`: the words behind the number.
    pub parameters: Option<&'a str>,
}

/// The value of `a=rtpmap` (RFC 4566 §6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Encoding<'a> {
    /// The name, as it was spelt; compared without regard to case.
    pub name: &'a str,
    /// Ticks a second of the RTP timestamp.
    pub clock_hz: u32,
    /// Audio channels, 1 unless given.
    pub channels: u8,
}

/// The value of `a=rtcp` (RFC 3605 §2.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rtcp {
    /// The port.
    pub port: u16,
    /// The address, if it is not that of the media.
    pub address: Option<IpAddr>,
}

/// What is wrong with a description, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl<'a> Description<'a> {
    /// Reads a description.
    ///
    /// # Errors
    /// The first line that makes the description useless.
    pub fn parse(octets: &'a [u8]) -> Result<Self, ParseError> {
        let _ = octets;
        Err(ParseError { line: 1, reason: "not read yet" })
    }
}
