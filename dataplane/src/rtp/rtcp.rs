//! RTCP of a two-party call: what we report, what we understand, and when the next report is due.
//!
//! RFC 3550 §6.1: each datagram is a compound packet. Ours is SR or RR, then SDES with the CNAME,
//! then BYE if the leg ends. What comes is checked as A.2 says and searched for the three things
//! that matter here: a sender report, a block about us, a BYE.

mod schedule;

use std::time::Duration;

use super::Malformed;

pub use schedule::{Role, Schedule};

/// A compound packet to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Compound<'a> {
    /// Our SSRC.
    pub ssrc: u32,
    /// What we have sent: makes it a sender report, else it is a receiver report.
    pub sender: Option<SenderInfo>,
    /// What we have heard of the peer, if anything.
    pub block: Option<ReportBlock>,
    /// Our canonical name, at most 255 octets (RFC 3550 §6.5.1, RFC 7022).
    pub cname: &'a [u8],
    /// Whether we leave.
    pub bye: bool,
}

/// What a sender says of itself (RFC 3550 §6.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SenderInfo {
    /// The wall time of the report, as NTP has it.
    pub ntp: u64,
    /// The same time on the stream's own clock.
    pub timestamp: u32,
    /// RTP packets sent so far.
    pub packets: u32,
    /// Payload octets sent so far.
    pub octets: u32,
}

/// What a receiver says of a sender (RFC 3550 §6.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReportBlock {
    /// The sender's SSRC.
    pub ssrc: u32,
    /// Packets lost since the last report, in 256ths of those expected.
    pub fraction_lost: u8,
    /// Packets lost since the beginning, [`Self::LOST_MIN`] to [`Self::LOST_MAX`].
    pub cumulative_lost: i32,
    /// The highest sequence number received, extended by its cycles.
    pub highest_sequence: u32,
    /// Interarrival jitter in timestamp units.
    pub jitter: u32,
    /// The middle 32 bits of the last sender report's NTP time; 0 if none has come.
    pub last_sr: u32,
    /// Time since then, in 1/65536 s.
    pub delay_since_last_sr: u32,
}

/// What a compound packet that came has to say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heard {
    /// The SSRC of whoever sent it.
    pub ssrc: u32,
    /// What it says of its own sending.
    pub sender: Option<SenderInfo>,
    /// What it says of ours.
    pub about_us: Option<ReportBlock>,
    /// Whether its sender leaves.
    pub bye: bool,
}

impl Compound<'_> {
    /// Octets of the whole packet.
    #[expect(clippy::len_without_is_empty, reason = "a compound packet is never empty")]
    pub fn len(&self) -> usize {
        let report = HEADER + 4 + self.sender.map_or(0, |_| SENDER_INFO) + self.block.map_or(0, |_| BLOCK);
        report + self.sdes_len() + if self.bye { HEADER + 4 } else { 0 }
    }

    /// Writes the packet into `out`.
    ///
    /// # Panics
    /// If `out` is not [`Self::len`] octets long.
    pub fn emit(&self, out: &mut [u8]) {
        assert_eq!(out.len(), self.len(), "the caller made room for what len() says");
        let mut writer = Writer { out, at: 0 };
        self.emit_report(&mut writer);
        self.emit_sdes(&mut writer);
        if self.bye {
            writer.header(1, BYE, HEADER + 4);
            writer.u32(self.ssrc);
        }
    }

    fn emit_report(&self, writer: &mut Writer<'_>) {
        let packet_type = if self.sender.is_some() { SR } else { RR };
        let len = HEADER + 4 + self.sender.map_or(0, |_| SENDER_INFO) + self.block.map_or(0, |_| BLOCK);
        writer.header(self.block.is_some().into(), packet_type, len);
        writer.u32(self.ssrc);
        if let Some(sender) = self.sender {
            writer.u32((sender.ntp >> 32) as u32);
            writer.u32(sender.ntp as u32);
            writer.u32(sender.timestamp);
            writer.u32(sender.packets);
            writer.u32(sender.octets);
        }
        if let Some(block) = self.block {
            writer.u32(block.ssrc);
            let lost = block.cumulative_lost.clamp(ReportBlock::LOST_MIN, ReportBlock::LOST_MAX);
            writer.u32(u32::from(block.fraction_lost) << 24 | lost as u32 & 0x00FF_FFFF);
            writer.u32(block.highest_sequence);
            writer.u32(block.jitter);
            writer.u32(block.last_sr);
            writer.u32(block.delay_since_last_sr);
        }
    }

    // RFC 3550 §6.5: one chunk: SSRC, the CNAME item, and one to four null octets that end the list
    // of items on a word boundary.
    fn emit_sdes(&self, writer: &mut Writer<'_>) {
        let cname = self.cname();
        writer.header(1, SDES, self.sdes_len());
        writer.u32(self.ssrc);
        writer.bytes(&[CNAME, cname.len() as u8]);
        writer.bytes(cname);
        writer.bytes(&[0; 4][..4 - (2 + cname.len()) % 4]);
    }

    fn sdes_len(&self) -> usize {
        let items = 2 + self.cname().len();
        HEADER + 4 + items + (4 - items % 4)
    }

    fn cname(&self) -> &[u8] {
        &self.cname[..self.cname.len().min(255)]
    }
}

impl ReportBlock {
    /// The least loss that 24 bits can say (RFC 3550 A.3).
    pub const LOST_MIN: i32 = -0x80_0000;
    /// The greatest loss that 24 bits can say.
    pub const LOST_MAX: i32 = 0x7F_FFFF;

    /// The time to the peer and back, if it has heard a sender report of ours; `arrived_ntp` is
    /// when this block came, on the clock of our sender reports.
    // RFC 3550 §6.4.1: A - LSR - DLSR, all in the middle 32 bits of NTP time.
    pub fn round_trip(&self, arrived_ntp: u64) -> Option<Duration> {
        if self.last_sr == 0 {
            return None;
        }
        let arrived = (arrived_ntp >> 16) as u32;
        let units = arrived.wrapping_sub(self.last_sr).wrapping_sub(self.delay_since_last_sr);
        // A peer's rounding can make it a little less than nothing; more than that is nonsense.
        match units as i32 {
            units if units >= 0 => Some(Duration::from_nanos((units as u64 * 1_000_000_000) >> 16)),
            units if units > -ROUNDING => Some(Duration::ZERO),
            _ => None,
        }
    }

    fn parse(octets: &[u8; BLOCK]) -> Self {
        let word = |index: usize| word(octets, index);
        Self {
            ssrc: word(0),
            fraction_lost: octets[4],
            cumulative_lost: ((word(1) << 8) as i32) >> 8,
            highest_sequence: word(2),
            jitter: word(3),
            last_sr: word(4),
            delay_since_last_sr: word(5),
        }
    }
}

impl Heard {
    /// Reads a compound packet; blocks about others than `our_ssrc` are passed over.
    pub fn parse(octets: &[u8], our_ssrc: u32) -> Result<Self, Malformed> {
        let (first, mut rest) = Piece::split(octets)?;
        // RFC 3550 A.2: the first packet is SR or RR, and is not padded.
        if !matches!(first.packet_type, SR | RR) || first.is_padded {
            return Err(Malformed);
        }
        let ssrc = first.ssrc().ok_or(Malformed)?;
        let mut heard = Self { ssrc, sender: None, about_us: None, bye: false };
        heard.take_report(&first, our_ssrc)?;
        while !rest.is_empty() {
            let piece;
            (piece, rest) = Piece::split(rest)?;
            // A.2: only the last may be padded; the lengths add up to the whole, or split() fails.
            if piece.is_padded && !rest.is_empty() {
                return Err(Malformed);
            }
            match piece.packet_type {
                SR | RR => heard.take_report(&piece, our_ssrc)?,
                BYE => heard.bye |= piece.words().take(piece.count).any(|left| left == ssrc),
                // SDES: we know our peer by its address. Others: §6.1 has unknown types passed over.
                _ => {}
            }
        }
        Ok(heard)
    }

    fn take_report(&mut self, piece: &Piece<'_>, our_ssrc: u32) -> Result<(), Malformed> {
        let mut body = piece.body.get(4..).ok_or(Malformed)?;
        if piece.packet_type == SR {
            let (info, rest) = body.split_at_checked(SENDER_INFO).ok_or(Malformed)?;
            body = rest;
            if piece.ssrc() == Some(self.ssrc) {
                self.sender = Some(SenderInfo {
                    ntp: u64::from(word(info, 0)) << 32 | u64::from(word(info, 1)),
                    timestamp: word(info, 2),
                    packets: word(info, 3),
                    octets: word(info, 4),
                });
            }
        }
        // What follows the blocks is an extension of some profile (§6.4.3).
        let blocks = body.get(..piece.count * BLOCK).ok_or(Malformed)?;
        for block in blocks.as_chunks().0 {
            let block = ReportBlock::parse(block);
            if block.ssrc == our_ssrc {
                self.about_us = Some(block);
            }
        }
        Ok(())
    }
}

/// Whether a datagram is RTCP, compound or of reduced size: any packets one after another.
///
/// # Errors
/// [`Malformed`] if it is not.
// RFC 5506 §3.4.2: it need not begin with SR or RR; version, types and lengths still tell. The types are
// those that no RTP payload type can be taken for (RFC 5761 §4).
pub fn check(octets: &[u8]) -> Result<(), Malformed> {
    let (mut piece, mut rest) = Piece::split(octets)?;
    loop {
        if !(192..=223).contains(&piece.packet_type) || piece.is_padded && !rest.is_empty() {
            return Err(Malformed);
        }
        if rest.is_empty() {
            return Ok(());
        }
        (piece, rest) = Piece::split(rest)?;
    }
}

/// One packet of a compound.
struct Piece<'a> {
    packet_type: u8,
    count: usize,
    is_padded: bool,
    /// What follows the header.
    body: &'a [u8],
}

impl<'a> Piece<'a> {
    fn split(octets: &'a [u8]) -> Result<(Self, &'a [u8]), Malformed> {
        let header = octets.first_chunk::<HEADER>().ok_or(Malformed)?;
        if header[0] >> 6 != VERSION {
            return Err(Malformed);
        }
        let len = HEADER + 4 * usize::from(u16::from_be_bytes([header[2], header[3]]));
        let (piece, rest) = octets.split_at_checked(len).ok_or(Malformed)?;
        let piece = Self {
            packet_type: header[1],
            count: usize::from(header[0] & 0x1F),
            is_padded: header[0] & PADDING != 0,
            body: &piece[HEADER..],
        };
        Ok((piece, rest))
    }

    fn words(&self) -> impl Iterator<Item = u32> {
        self.body.as_chunks().0.iter().map(|word| u32::from_be_bytes(*word))
    }

    fn ssrc(&self) -> Option<u32> {
        self.words().next()
    }
}

/// Writes forward through a slice of the right length.
struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn header(&mut self, count: u8, packet_type: u8, len: usize) {
        self.bytes(&[VERSION << 6 | count, packet_type]);
        self.bytes(&((len / 4 - 1) as u16).to_be_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }
}

fn word(octets: &[u8], index: usize) -> u32 {
    let octets = octets[4 * index..4 * index + 4].try_into().expect("the slice is four octets");
    u32::from_be_bytes(octets)
}

const VERSION: u8 = 2;
const PADDING: u8 = 0x20;
/// Packet types (RFC 3550 §12.1).
const SR: u8 = 200;
const RR: u8 = 201;
const SDES: u8 = 202;
const BYE: u8 = 203;
/// The CNAME item (RFC 3550 §12.2).
const CNAME: u8 = 1;
/// Octets of a packet's header, without the SSRC.
const HEADER: usize = 4;
const SENDER_INFO: usize = 20;
const BLOCK: usize = 24;
/// 10 ms in 1/65536 s.
const ROUNDING: i32 = 656;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const US: u32 = 0x1111_1111;
    const PEER: u32 = 0x2222_2222;
    const INFO: SenderInfo =
        SenderInfo { ntp: 0xB44D_B705_2000_0000, timestamp: 8_000, packets: 50, octets: 8_000 };
    const ABOUT_PEER: ReportBlock = ReportBlock {
        ssrc: PEER,
        fraction_lost: 12,
        cumulative_lost: -3,
        highest_sequence: 0x0001_0005,
        jitter: 5,
        last_sr: 0xB705_2000,
        delay_since_last_sr: 0x0005_4000,
    };

    fn emit(compound: &Compound<'_>) -> Vec<u8> {
        let mut octets = vec![0xEE; compound.len()];
        compound.emit(&mut octets);
        octets
    }

    #[test]
    fn a_sender_report_with_cname_and_bye_is_laid_out_as_the_rfc_draws_it() {
        let octets = emit(&Compound {
            ssrc: US,
            sender: Some(INFO),
            block: Some(ABOUT_PEER),
            cname: b"abcde",
            bye: true,
        });
        #[rustfmt::skip]
        assert_eq!(octets, [
            0x81, 200, 0, 12, 0x11, 0x11, 0x11, 0x11,
            0xB4, 0x4D, 0xB7, 0x05, 0x20, 0, 0, 0, 0, 0, 0x1F, 0x40, 0, 0, 0, 50, 0, 0, 0x1F, 0x40,
            0x22, 0x22, 0x22, 0x22, 12, 0xFF, 0xFF, 0xFD, 0, 1, 0, 5, 0, 0, 0, 5,
            0xB7, 0x05, 0x20, 0, 0, 0x05, 0x40, 0,
            0x81, 202, 0, 3, 0x11, 0x11, 0x11, 0x11, 1, 5, b'a', b'b', b'c', b'd', b'e', 0,
            0x81, 203, 0, 1, 0x11, 0x11, 0x11, 0x11,
        ]);
    }

    #[test]
    fn a_list_of_items_always_ends_with_a_null() {
        for len in 0..9 {
            let cname = vec![b'x'; len];
            let octets = emit(&Compound { ssrc: US, sender: None, block: None, cname: &cname, bye: false });
            assert_eq!(octets.len() % 4, 0);
            assert_eq!(octets.last(), Some(&0));
            assert!(Heard::parse(&octets, US).is_ok());
        }
    }

    #[test]
    fn the_round_trip_is_the_one_of_the_rfcs_figure() {
        // RFC 3550 §6.4.1, figure 2: A is 0xb710:8000, LSR 0xb705:2000, DLSR 0x0005:4000: 6.125 s.
        assert_eq!(ABOUT_PEER.round_trip(0xB44D_B710_8000_0000), Some(Duration::from_millis(6_125)));
        assert_eq!(ReportBlock { last_sr: 0, ..ABOUT_PEER }.round_trip(1 << 40), None);
        let early = ReportBlock { delay_since_last_sr: 0x000B_6010, ..ABOUT_PEER };
        assert_eq!(early.round_trip(0xB44D_B710_8000_0000), Some(Duration::ZERO));
        let nonsense = ReportBlock { delay_since_last_sr: 0x7000_0000, ..ABOUT_PEER };
        assert_eq!(nonsense.round_trip(0xB44D_B710_8000_0000), None);
    }

    #[test]
    fn compounds_that_a_2_forbids_are_refused() {
        let good = emit(&Compound { ssrc: PEER, sender: Some(INFO), block: None, cname: b"a", bye: false });
        assert!(Heard::parse(&good, US).is_ok());
        let with = |index: usize, value: u8| {
            let mut octets = good.clone();
            octets[index] = value;
            octets
        };
        for (bad, why) in [
            (vec![], "nothing"),
            (with(0, 0x40), "version 1"),
            (with(0, 0xA0), "the first padded"),
            (with(0, 0x81), "a block that is not there"),
            (with(1, SDES), "SDES first"),
            (with(3, 5), "a sender report too short"),
            (with(31, 9), "a piece longer than the packet"),
            (good[..good.len() - 1].to_vec(), "cut short"),
            (good[..2].to_vec(), "half a header"),
        ] {
            assert_eq!(Heard::parse(&bad, US), Err(Malformed), "{why}");
        }
    }

    #[test]
    fn what_is_unknown_is_passed_over() {
        let mut octets = emit(&Compound { ssrc: PEER, sender: None, block: None, cname: b"a", bye: false });
        octets.extend([0x80, 207, 0, 1, 1, 2, 3, 4]); // an extended report (RFC 3611)
        octets.extend([0xA2, 203, 0, 3, 0, 0, 0, 9, 0x22, 0x22, 0x22, 0x22, 0, 0, 0, 4]); // BYE of two, padded
        let heard = Heard::parse(&octets, US).expect("well formed");
        assert_eq!(heard, Heard { ssrc: PEER, sender: None, about_us: None, bye: true });
    }

    #[test]
    fn a_bye_of_someone_else_is_not_our_peers() {
        let mut octets = emit(&Compound { ssrc: PEER, sender: None, block: None, cname: b"a", bye: false });
        octets.extend([0x81, 203, 0, 1, 0, 0, 0, 9]);
        assert!(!Heard::parse(&octets, US).expect("well formed").bye);
    }

    proptest! {
        #[test]
        fn no_octets_disturb_the_parser(mut octets in proptest::collection::vec(any::<u8>(), 0..200), kind in 0u8..6) {
            // Mostly something that gets past the first checks.
            if octets.len() >= 4 && kind > 0 {
                octets[0] = 0x80 | octets[0] & 0x1F;
                octets[1] = 199 + kind;
                octets[2] = 0;
                octets[3] &= 0x0F;
            }
            let _ = Heard::parse(&octets, 7);
        }

        #[test]
        fn what_was_emitted_is_read_back(
            sender in proptest::option::of((any::<u64>(), any::<u32>(), any::<u32>(), any::<u32>())),
            block in proptest::option::of((any::<u8>(), -0x80_0000i32..=0x7F_FFFF, any::<[u32; 4]>())),
            cname in proptest::collection::vec(any::<u8>(), 0..300), bye in any::<bool>(), ssrc in any::<u32>(),
        ) {
            let sender = sender.map(|(ntp, timestamp, packets, octets)| SenderInfo { ntp, timestamp, packets, octets });
            let block = block.map(|(fraction_lost, cumulative_lost, words)| ReportBlock {
                ssrc: US, fraction_lost, cumulative_lost, highest_sequence: words[0], jitter: words[1],
                last_sr: words[2], delay_since_last_sr: words[3],
            });
            let octets = emit(&Compound { ssrc, sender, block, cname: &cname, bye });
            prop_assert_eq!(Heard::parse(&octets, US), Ok(Heard { ssrc, sender, about_us: block, bye }));
        }
    }
}
