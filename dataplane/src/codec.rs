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

impl Codec {
    /// How an octet of the payload becomes an octet of a line of `line`'s law: by this table, or
    /// unchanged if there is none.
    // RFC 4040 §3: what clearmode carries is data; a law conversion would corrupt it.
    pub const fn to_line(self, line: Law) -> Option<&'static [u8; 256]> {
        match self {
            Self::G711(law) => g711::translate(law, line),
            Self::Clearmode => None,
        }
    }

    /// How an octet of a line of `line`'s law becomes an octet of the payload: by this table, or
    /// unchanged if there is none.
    pub const fn from_line(self, line: Law) -> Option<&'static [u8; 256]> {
        match self {
            Self::G711(law) => g711::translate(line, law),
            Self::Clearmode => None,
        }
    }
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
