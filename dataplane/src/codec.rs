//! Codecs: what RTP payloads carry.

pub mod g711;

use std::fmt;

use drivers::line::Law;

/// A codec that a leg can use. All carry one octet a 125 us frame: 64 kbit/s.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Codec {
    /// G.711 A-law or mu-law (RFC 3551 §4.5.14).
    G711(Law),
    /// 64 kbit/s transparent: the octets are data and pass unchanged (RFC 4040).
    Clearmode,
}

/// The encoding name in SDP.
impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::G711(Law::A) => "PCMA",
            Self::G711(Law::Mu) => "PCMU",
            Self::Clearmode => "CLEARMODE",
        })
    }
}
