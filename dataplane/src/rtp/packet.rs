//! One RTP data packet: a checked view of octets that came, and the header of one to be sent.
//!
//! RFC 3550 §5.1 and §5.3.1 give the layout, A.1 the checks that hold without knowing the source:
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |V=2|P|X|  CC   |M|     PT      |        sequence number        |
//! |                           timestamp                           |
//! |                             SSRC                              |
//! |                        CSRC (CC times)                        |
//! | defined by profile (if X)     | length in words               | ...
//! ```

use std::ops::Range;

use super::Malformed;

/// A received RTP packet whose lengths have been checked.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    octets: &'a [u8],
    payload_start: usize,
    payload_end: usize,
}

impl<'a> Packet<'a> {
    /// Checks the header, the CSRC list, the extension and the padding against the octets.
    pub fn new_checked(octets: &'a [u8]) -> Result<Self, Malformed> {
        if octets.len() < Header::LEN || octets[0] >> 6 != VERSION {
            return Err(Malformed);
        }
        // RFC 3550 A.1: SR and RR must not be taken for data. All of 200 to 204 look like payload
        // types 72 to 76 with the marker set, which RFC 3551 §6 keeps free for that reason.
        if RTCP_PACKET_TYPES.contains(&octets[1]) {
            return Err(Malformed);
        }
        let mut payload_start = Header::LEN + 4 * usize::from(octets[0] & 0x0F);
        if octets[0] & EXTENSION != 0 {
            // RFC 3550 §5.3.1: 16 bits of the profile's, then the count of words that follow.
            let length = octets.get(payload_start + 2..payload_start + 4).ok_or(Malformed)?;
            payload_start += 4 + 4 * usize::from(u16::from_be_bytes([length[0], length[1]]));
        }
        let padding = if octets[0] & PADDING != 0 {
            // RFC 3550 §5.1: the last octet of the padding counts all of it, itself included.
            match octets.last() {
                None | Some(0) => return Err(Malformed),
                Some(&count) => usize::from(count),
            }
        } else {
            0
        };
        let payload_end = octets.len().checked_sub(padding).ok_or(Malformed)?;
        if payload_start > payload_end {
            return Err(Malformed);
        }
        Ok(Self { octets, payload_start, payload_end })
    }

    /// The payload type, 0 to 127.
    pub fn payload_type(&self) -> u8 {
        self.octets[1] & !MARKER
    }

    /// The marker: in audio, the first packet after a silence (RFC 3551 §4.1).
    pub fn marker(&self) -> bool {
        self.octets[1] & MARKER != 0
    }

    /// The sequence number.
    pub fn sequence(&self) -> u16 {
        u16::from_be_bytes([self.octets[2], self.octets[3]])
    }

    /// The timestamp of the first payload octet, in units of 125 us.
    pub fn timestamp(&self) -> u32 {
        u32_at(self.octets, TIMESTAMP)
    }

    /// The synchronisation source.
    pub fn ssrc(&self) -> u32 {
        u32_at(self.octets, SSRC)
    }

    /// What the packet carries, without padding. May be empty.
    pub fn payload(&self) -> &'a [u8] {
        &self.octets[self.payload_start..self.payload_end]
    }
}

/// The fixed header of a packet to be sent: no CSRC, no extension, no padding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Set in the first packet after a pause (RFC 3551 §4.1).
    pub marker: bool,
    /// The payload type, 0 to 127.
    pub payload_type: u8,
    /// The sequence number.
    pub sequence: u16,
    /// The timestamp of the first payload octet, in units of 125 us.
    pub timestamp: u32,
    /// The synchronisation source.
    pub ssrc: u32,
}

impl Header {
    /// Octets of a header.
    pub const LEN: usize = 12;

    /// Writes the header into the first [`Self::LEN`] octets of `out`.
    ///
    /// # Panics
    /// If `out` is shorter.
    pub fn emit(&self, out: &mut [u8]) {
        debug_assert!(self.payload_type < 128, "a payload type has seven bits");
        out[0] = VERSION << 6;
        out[1] = u8::from(self.marker) << 7 | (self.payload_type & !MARKER);
        out[SEQUENCE].copy_from_slice(&self.sequence.to_be_bytes());
        out[TIMESTAMP].copy_from_slice(&self.timestamp.to_be_bytes());
        out[SSRC].copy_from_slice(&self.ssrc.to_be_bytes());
    }
}

/// Puts another payload type, 0 to 127, into a packet; its marker stays.
///
/// # Panics
/// If the octets are no RTP packet.
pub(crate) fn rewrite_payload_type(octets: &mut [u8], payload_type: u8) {
    octets[1] = octets[1] & MARKER | payload_type & !MARKER;
}

fn u32_at(octets: &[u8], range: Range<usize>) -> u32 {
    u32::from_be_bytes(octets[range].try_into().expect("the range is four octets"))
}

const VERSION: u8 = 2;
const PADDING: u8 = 0x20;
const EXTENSION: u8 = 0x10;
const MARKER: u8 = 0x80;
const SEQUENCE: Range<usize> = 2..4;
const TIMESTAMP: Range<usize> = 4..8;
const SSRC: Range<usize> = 8..12;
/// SR, RR, SDES, BYE and APP (RFC 3550 §12.1).
const RTCP_PACKET_TYPES: std::ops::RangeInclusive<u8> = 200..=204;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// PCMU, sequence 0x1234, timestamp 0xA0, SSRC 0xDEADBEEF, four octets.
    const PLAIN: [u8; 16] =
        [0x80, 0x00, 0x12, 0x34, 0, 0, 0, 0xA0, 0xDE, 0xAD, 0xBE, 0xEF, 0xFF, 0x7F, 0xD5, 0x55];

    #[test]
    fn fields_are_where_the_rfc_draws_them() {
        let packet = Packet::new_checked(&PLAIN).expect("a plain packet");
        assert_eq!((packet.payload_type(), packet.marker()), (0, false));
        assert_eq!((packet.sequence(), packet.timestamp(), packet.ssrc()), (0x1234, 0xA0, 0xDEAD_BEEF));
        assert_eq!(packet.payload(), &[0xFF, 0x7F, 0xD5, 0x55]);
    }

    #[test]
    fn csrcs_extension_and_padding_are_not_payload() {
        let mut octets = vec![0xB1, 0x88, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        octets.extend([0, 0, 0, 9]); // one CSRC
        octets.extend([0xBE, 0xDE, 0, 1, 1, 2, 3, 4]); // an extension of one word
        octets.extend([0x55, 0xD5]);
        octets.extend([0, 0, 3]); // padding
        let packet = Packet::new_checked(&octets).expect("well formed");
        assert!(packet.marker());
        assert_eq!(packet.payload_type(), 8);
        assert_eq!(packet.payload(), &[0x55, 0xD5]);
    }

    #[test]
    fn lengths_that_do_not_add_up_are_refused() {
        let refused = |octets: &[u8]| assert!(Packet::new_checked(octets).is_err(), "{octets:02x?}");
        refused(&[]);
        refused(&PLAIN[..11]);
        let with = |index: usize, value: u8| {
            let mut octets = PLAIN;
            octets[index] = value;
            octets
        };
        refused(&with(0, 0x40)); // version 1
        refused(&with(0, 0x82)); // two CSRCs, room for one
        refused(&with(0, 0x90)); // an extension of 0xD555 words
        let mut padded = with(0, 0xA0);
        padded[15] = 5; // more padding than payload
        refused(&padded);
        padded[15] = 0; // padding that does not count itself
        refused(&padded);
        padded[15] = 4; // nothing but padding
        assert_eq!(Packet::new_checked(&padded).expect("empty").payload(), &[] as &[u8]);
    }

    #[test]
    fn rtcp_is_not_taken_for_rtp() {
        for packet_type in RTCP_PACKET_TYPES {
            let mut octets = PLAIN;
            octets[1] = packet_type;
            assert!(Packet::new_checked(&octets).is_err());
        }
        let mut octets = PLAIN;
        octets[1] = 72; // without the marker it is a payload type like any other
        assert!(Packet::new_checked(&octets).is_ok());
    }

    proptest! {
        #[test]
        fn no_octets_disturb_the_check(mut octets in proptest::collection::vec(any::<u8>(), 0..80), hint in any::<bool>()) {
            if hint && !octets.is_empty() {
                octets[0] = octets[0] & 0x3F | 0x80;
            }
            if let Ok(packet) = Packet::new_checked(&octets) {
                prop_assert!(packet.payload().len() + Header::LEN <= octets.len());
                let _ = (packet.sequence(), packet.timestamp(), packet.ssrc());
            }
        }

        #[test]
        fn what_was_emitted_is_read_back(
            marker in any::<bool>(), payload_type in 0u8..72, sequence in any::<u16>(),
            timestamp in any::<u32>(), ssrc in any::<u32>(),
            payload in proptest::collection::vec(any::<u8>(), 0..480),
        ) {
            let header = Header { marker, payload_type, sequence, timestamp, ssrc };
            let mut octets = vec![0xEE; Header::LEN];
            octets.extend(&payload);
            header.emit(&mut octets);
            let packet = Packet::new_checked(&octets).expect("our own packet");
            prop_assert_eq!(packet.payload(), &payload[..]);
            let read = Header {
                marker: packet.marker(), payload_type: packet.payload_type(), sequence: packet.sequence(),
                timestamp: packet.timestamp(), ssrc: packet.ssrc(),
            };
            prop_assert_eq!(read, header);
        }
    }
}
