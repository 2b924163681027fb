//! The codecs that a DS0's connections can use, by their names and numbers.

use dataplane::link::{Codec, Formats};
use drivers::line::Law;

/// The codecs there are. RFC 3435 §2.6 calls it the internal list.
pub(super) const ALL: [Codec; 3] = [Codec::G711(Law::A), Codec::G711(Law::Mu), Codec::Clearmode];

const _: () = assert!(ALL.len() <= Formats::MAX, "a list of formats has room for all codecs");

/// The codec of an encoding name, whatever its case (RFC 4566 §6, RFC 3551 §6, RFC 4040 §5).
pub(super) fn codec_named(name: &str) -> Option<Codec> {
    match name {
        _ if name.eq_ignore_ascii_case("PCMA") => Some(Codec::G711(Law::A)),
        _ if name.eq_ignore_ascii_case("PCMU") => Some(Codec::G711(Law::Mu)),
        _ if name.eq_ignore_ascii_case("CLEARMODE") => Some(Codec::Clearmode),
        _ => None,
    }
}

/// RFC 3551 §6.
pub(super) const fn static_payload_type(codec: Codec) -> Option<u8> {
    match codec {
        Codec::G711(Law::Mu) => Some(0),
        Codec::G711(Law::A) => Some(8),
        Codec::Clearmode => None,
    }
}

/// Payload types that a session may give to codecs without one of their own (RFC 3551 §3).
pub(super) const DYNAMIC: std::ops::RangeInclusive<u8> = 96..=127;

/// All of them, that of the line first.
pub(super) fn internal(law: Law) -> Vec<Codec> {
    distinct([Codec::G711(law)].into_iter().chain(ALL))
}

/// Each once, in the order in which they come first.
pub(super) fn distinct(codecs: impl Iterator<Item = Codec>) -> Vec<Codec> {
    let mut distinct = Vec::with_capacity(ALL.len());
    for codec in codecs {
        if !distinct.contains(&codec) {
            distinct.push(codec);
        }
    }
    distinct
}
