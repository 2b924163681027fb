//! Octets of the line in, whole RTP packets out.
//!
//! The line gives slices of any length (a block); the peer gets `ptime` octets a packet. The
//! header stands right before its payload, so a packet leaves with one copy. Timestamps count the
//! line's octets and nothing else, through pauses too (RFC 3550 §5.1: the clock runs whether or
//! not anything is sent). When a packet ends is decided once, by the phase given at the start:
//! the packets of different timeslots leave in different ticks.

use drivers::memory;

use crate::codec::g711;
use crate::rtp::packet::Header;

/// One leg's sending side: collects octets, numbers packets.
#[derive(Debug)]
pub struct Packetizer {
    /// Room for a header, then octets; `start..end` are the ones not sent yet.
    buffer: Box<[u8; Self::BUFFER]>,
    start: u16,
    end: u16,
    /// Octets in a packet.
    ptime: u16,
    /// Octets to let pass before the next packet begins.
    skip: u16,
    /// Of the next packet: its timestamp is that of the octet at `start`.
    header: Header,
}

impl Packetizer {
    /// Octets of the longest packet: 60 ms.
    pub const PTIME_MAX: usize = 480;
    /// Octets of the longest slice that can be pushed: 20 ms.
    pub const PUSH_MAX: usize = drivers::span::Block::FRAMES_MAX;
    const CAPACITY: usize = Self::PTIME_MAX + Self::PUSH_MAX;
    /// Octets of the buffer behind it.
    pub(crate) const BUFFER: usize = Header::LEN + Self::CAPACITY;

    /// Room for one leg, all that it will ever need.
    pub fn new() -> Self {
        let header = Header { marker: false, payload_type: 0, sequence: 0, timestamp: 0, ssrc: 0 };
        Self { buffer: Box::new([0; Self::BUFFER]), start: BEGIN, end: BEGIN, ptime: 160, skip: 0, header }
    }

    /// Begins a leg: the first packet has `first`'s fields, `ptime` octets, and starts `skip` octets
    /// from now, with its timestamp moved on by as much.
    ///
    /// The marker is set on it whatever `first` says: a beginning is the end of a silence.
    ///
    /// # Panics
    /// If `ptime` is 0 or more than [`Self::PTIME_MAX`].
    pub fn start(&mut self, first: Header, ptime: usize, skip: usize) {
        self.header = first;
        self.empty();
        self.set_ptime(ptime);
        self.header.marker = true;
        self.skip = skip as u16;
    }

    /// Packets have `ptime` octets from the next one on.
    ///
    /// # Panics
    /// If `ptime` is 0 or more than [`Self::PTIME_MAX`].
    pub fn set_ptime(&mut self, ptime: usize) {
        assert!((1..=Self::PTIME_MAX).contains(&ptime), "a packet has 1 to 480 octets, not {ptime}");
        self.ptime = ptime as u16;
    }

    /// Packets have this payload type from the next one on.
    pub fn set_payload_type(&mut self, payload_type: u8) {
        self.header.payload_type = payload_type;
    }

    /// Puts the octets that are not sent yet through a table, if there is one.
    pub(crate) fn translate(&mut self, table: Option<&[u8; 256]>) {
        let Some(table) = table else { return };
        for octet in &mut self.buffer[usize::from(self.start)..usize::from(self.end)] {
            *octet = table[usize::from(*octet)];
        }
    }

    /// Packets have this SSRC from the next one on.
    pub fn set_ssrc(&mut self, ssrc: u32) {
        self.header.ssrc = ssrc;
    }

    /// Appends octets of the line, through a table if the peer's law is not the line's.
    ///
    /// # Panics
    /// If `octets` are more than [`Self::PUSH_MAX`], or whole packets were left untaken before.
    pub fn push(&mut self, octets: &[u8], translate: Option<&[u8; 256]>) {
        let skipped = octets.len().min(self.skip.into());
        if skipped > 0 {
            self.skip -= skipped as u16;
            self.header.timestamp = self.header.timestamp.wrapping_add(skipped as u32);
        }
        let octets = &octets[skipped..];
        if self.start > BEGIN {
            self.buffer.copy_within(usize::from(self.start)..usize::from(self.end), Header::LEN);
            self.end -= self.start - BEGIN;
            self.start = BEGIN;
        }
        let room = self.buffer[self.end.into()..]
            .get_mut(..octets.len())
            .expect("whole packets are taken after each push of at most PUSH_MAX octets");
        g711::copy(octets, translate, room);
        self.end += octets.len() as u16;
    }

    /// Octets are to be pushed soon.
    pub(crate) fn prefetch(&self) {
        if let Some(next) = self.buffer.get(usize::from(self.end)) {
            memory::prefetch(next);
        }
    }

    /// Whether there are octets for a whole packet.
    pub fn is_ready(&self) -> bool {
        self.end - self.start >= self.ptime
    }

    /// The next whole packet, header and all, if there are octets for one.
    pub fn packet(&mut self) -> Option<&[u8]> {
        if !self.is_ready() {
            return None;
        }
        let octets = usize::from(self.start - BEGIN)..usize::from(self.start + self.ptime);
        self.header.emit(&mut self.buffer[octets.clone()]);
        self.start += self.ptime;
        self.header.sequence = self.header.sequence.wrapping_add(1);
        self.header.timestamp = self.header.timestamp.wrapping_add(self.ptime.into());
        self.header.marker = false;
        Some(&self.buffer[octets])
    }

    /// Lets `octets` of the line go by unsent, along with those that had not made a whole packet.
    ///
    /// The first packet afterwards bears the marker and keeps the leg's phase.
    // RFC 3551 §4.1: the first packet after a silence during which none was sent is marked.
    pub fn pause(&mut self, octets: usize) {
        let passed = usize::from(self.end - self.start) + octets;
        let unsent = passed.saturating_sub(self.skip.into());
        self.skip = usize::from(self.skip).saturating_sub(octets) as u16;
        // The rest of the packet that would have been filling now must pass as well.
        let past = unsent % usize::from(self.ptime);
        if past > 0 {
            self.skip = self.ptime - past as u16;
        }
        self.header.timestamp = self.header.timestamp.wrapping_add(passed as u32);
        self.empty();
    }

    /// The header of a packet that is no audio but is sent among it, in its turn.
    // RFC 4733 §2.1, §2.5.1.6: events are numbered and timed with the audio.
    pub fn interpose(&mut self, payload_type: u8, marker: bool, timestamp: u32) -> Header {
        let header = Header { marker, payload_type, timestamp, ..self.header };
        self.header.sequence = self.header.sequence.wrapping_add(1);
        header
    }

    /// The timestamp of the octet that comes next: the media's clock.
    pub fn timestamp(&self) -> u32 {
        self.header.timestamp.wrapping_add((self.end - self.start).into())
    }

    fn empty(&mut self) {
        self.start = BEGIN;
        self.end = BEGIN;
        self.header.marker = true;
    }
}

impl Default for Packetizer {
    fn default() -> Self {
        Self::new()
    }
}

/// Where the first payload begins.
const BEGIN: u16 = Header::LEN as u16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::packet::Packet;
    use proptest::prelude::*;

    const FIRST: Header =
        Header { marker: false, payload_type: 8, sequence: 65_535, timestamp: u32::MAX - 39, ssrc: 7 };

    fn line(from: usize, len: usize) -> Vec<u8> {
        (from..from + len).map(|octet| (octet % 251) as u8).collect()
    }

    /// Sequence, timestamp, marker and payload of each packet that is ready.
    fn drain(packetizer: &mut Packetizer) -> Vec<(u16, u32, bool, Vec<u8>)> {
        let mut all = Vec::new();
        while let Some(octets) = packetizer.packet() {
            let packet = Packet::new_checked(octets).expect("our own packet");
            assert_eq!((packet.ssrc(), packet.payload_type()), (7, 8));
            all.push((packet.sequence(), packet.timestamp(), packet.marker(), packet.payload().to_vec()));
        }
        all
    }

    #[test]
    fn a_block_longer_than_ptime_gives_several_packets() {
        let mut packetizer = Packetizer::new();
        packetizer.start(FIRST, 40, 0);
        packetizer.push(&line(0, 160), None);
        let packets = drain(&mut packetizer);
        assert_eq!(packets.len(), 4);
        assert_eq!(packets[0], (65_535, u32::MAX - 39, true, line(0, 40)));
        assert_eq!(packets[1], (0, 0, false, line(40, 40)));
        assert_eq!(packets[3], (2, 80, false, line(120, 40)));
    }

    #[test]
    fn the_phase_decides_in_which_block_packets_end() {
        let mut packetizer = Packetizer::new();
        packetizer.start(FIRST, 160, 80);
        let ready: Vec<usize> = (0..9)
            .map(|block| {
                packetizer.push(&line(40 * block, 40), None);
                drain(&mut packetizer).len()
            })
            .collect();
        assert_eq!(ready, [0, 0, 0, 0, 0, 1, 0, 0, 0]);
    }

    #[test]
    fn a_pause_moves_the_timestamp_marks_the_next_packet_and_keeps_the_phase() {
        let mut packetizer = Packetizer::new();
        packetizer.start(Header { timestamp: 1_000, ..FIRST }, 160, 40);
        packetizer.push(&line(0, 160), None);
        packetizer.push(&line(160, 160), None);
        assert_eq!(drain(&mut packetizer), [(65_535, 1_040, true, line(40, 160))]);
        packetizer.pause(160);
        packetizer.pause(80); // 560 octets have gone by; the next packet begins at 680
        packetizer.push(&line(560, 160), None);
        packetizer.push(&line(720, 160), None);
        assert_eq!(drain(&mut packetizer), [(0, 1_680, true, line(680, 160))]);
    }

    #[test]
    fn a_new_ptime_keeps_the_timestamp_continuous() {
        let mut packetizer = Packetizer::new();
        packetizer.start(Header { timestamp: 0, ..FIRST }, 160, 0);
        packetizer.push(&line(0, 120), None);
        packetizer.set_ptime(40);
        packetizer.push(&line(120, 40), None);
        let stamps: Vec<u32> = drain(&mut packetizer).iter().map(|packet| packet.1).collect();
        assert_eq!(stamps, [0, 40, 80, 120]);
    }

    #[test]
    fn the_law_is_translated_on_the_way_in() {
        let mut packetizer = Packetizer::new();
        let table: [u8; 256] = std::array::from_fn(|octet| !(octet as u8));
        packetizer.start(FIRST, 8, 0);
        packetizer.push(&[0, 1, 2, 3, 4, 5, 6, 7], Some(&table));
        assert_eq!(drain(&mut packetizer)[0].3, [255, 254, 253, 252, 251, 250, 249, 248]);
    }

    proptest! {
        #[test]
        fn every_octet_is_sent_under_its_own_timestamp(
            ptime in prop::sample::select(vec![40usize, 80, 160, 240, 320, 480]),
            skip in 0usize..480,
            steps in proptest::collection::vec((1usize..=160, 0u8..8), 1..200),
        ) {
            let mut packetizer = Packetizer::new();
            packetizer.start(Header { timestamp: 0, ..FIRST }, ptime, skip);
            let (mut now, mut sequence, mut paused) = (0, 65_535u16, true);
            for (len, kind) in steps {
                if kind == 0 {
                    packetizer.pause(len);
                    paused = true;
                } else {
                    packetizer.push(&line(now, len), None);
                }
                now += len;
                prop_assert_eq!(packetizer.timestamp() as usize, now);
                for (number, timestamp, marker, payload) in drain(&mut packetizer) {
                    prop_assert_eq!(number, sequence);
                    prop_assert_eq!(marker, paused);
                    prop_assert_eq!(payload, line(timestamp as usize, ptime));
                    prop_assert_eq!((timestamp as usize + ptime - skip) % ptime, 0, "phase kept");
                    sequence = sequence.wrapping_add(1);
                    paused = false;
                }
            }
        }
    }
}
