//! Judges what comes back of one DS0's stream: every packet, every octet.
//!
//! The gateway sends the octets in packets of its own, so a packet is judged twice: as RTP, by its
//! sequence number (lost, doubled, out of order on the way back), and by what it carries. Its timestamp
//! says where its octets stand in the gateway's stream, and one number, `shift`, turns that into where
//! they stood in ours. As long as that number holds, a packet is right if it equals the pattern there;
//! where it does not, each run of octets is found by what it says of itself (see [`pattern`]).

use dataplane::rtp::packet::Packet;

use crate::pattern::{self, Place, WORD};

/// What there can be to come back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sent {
    /// How many DS0s there are.
    pub(crate) ds0s: u16,
    /// Octets sent so far to this one.
    pub(crate) octets: u64,
}

/// What one DS0's stream has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tally {
    /// RTP packets that came, doubles left out.
    pub(crate) packets: u64,
    /// Their payload octets.
    pub(crate) octets: u64,
    /// Packets whose sequence number never came.
    pub(crate) packets_lost: u64,
    /// Packets whose sequence number came twice.
    pub(crate) packets_doubled: u64,
    /// Packets that came after one that was sent later.
    pub(crate) packets_out_of_order: u64,
    /// Octets that came back as they were sent, each in its turn.
    pub(crate) verified: u64,
    /// Octets sent that did not come back.
    pub(crate) missing: u64,
    /// Octets that nobody sent, between some that were: what a gateway fills a gap with.
    pub(crate) inserted: u64,
    /// Octets that came back again.
    pub(crate) repeated: u64,
    /// Octets of another DS0.
    pub(crate) crossed: u64,
    /// Times that the stream moved against the gateway's timestamps.
    pub(crate) shifts: u64,
}

impl Tally {
    /// Adds another DS0's.
    pub(crate) fn add(&mut self, other: &Self) {
        let Self { packets, octets, packets_lost, packets_doubled, packets_out_of_order, .. } = other;
        let Self { verified, missing, inserted, repeated, crossed, shifts, .. } = other;
        self.packets += packets;
        self.octets += octets;
        self.packets_lost += packets_lost;
        self.packets_doubled += packets_doubled;
        self.packets_out_of_order += packets_out_of_order;
        self.verified += verified;
        self.missing += missing;
        self.inserted += inserted;
        self.repeated += repeated;
        self.crossed += crossed;
        self.shifts += shifts;
    }

    /// Octets that are not what they should be.
    pub(crate) fn wrong(&self) -> u64 {
        self.inserted + self.repeated + self.crossed
    }
}

/// One DS0's judge.
#[derive(Debug)]
pub(crate) struct Checker {
    ds0: u16,
    sequence: Option<Sequence>,
    /// The last timestamp, and how many octets it is from the first.
    clock: Option<(u32, i64)>,
    /// What turns octets of the gateway's stream into positions of ours.
    shift: Option<i64>,
    /// The position after the furthest that has come.
    next: u64,
    tally: Tally,
}

/// The sequence numbers of one stream.
#[derive(Clone, Copy, Debug)]
struct Sequence {
    /// The last one's, and how far it is from the first that came.
    last: u16,
    at: i64,
    /// The lowest; below zero if one was sent before the first that came.
    lowest: i64,
    /// Which of the last 64 have come; bit 0 is the last.
    seen: u64,
}

/// The place of a packet among those that came before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Turn {
    InOrder,
    Late,
    Again,
}

impl Checker {
    /// A judge of this DS0, of whom nothing has come yet.
    pub(crate) fn new(ds0: u16) -> Self {
        Self { ds0, sequence: None, clock: None, shift: None, next: 0, tally: Tally::default() }
    }

    /// Takes a packet. Says where its first octet stood in our stream, if all of it is right and in
    /// its turn.
    pub(crate) fn receive(&mut self, packet: &Packet<'_>, sent: Sent) -> Option<u64> {
        let turn =
            self.sequence.get_or_insert_with(|| Sequence::new(packet.sequence())).turn(packet.sequence());
        if turn == Turn::Again {
            self.tally.packets_doubled += 1;
            return None;
        }
        let payload = packet.payload();
        self.tally.packets += 1;
        self.tally.packets_out_of_order += u64::from(turn == Turn::Late);
        self.tally.octets += payload.len() as u64;
        let at = self.clock(packet.timestamp());
        let position = self.shift.and_then(|shift| u64::try_from(at + shift).ok());
        match position {
            Some(position) if self.is_pattern(position, payload) => {
                self.account(turn, position, payload.len() as u64);
                (turn == Turn::InOrder).then_some(position)
            }
            _ => {
                self.search(turn, at, payload, sent);
                None
            }
        }
    }

    /// The account, when no more will come of all that was sent.
    pub(crate) fn finish(mut self, sent: Sent) -> Tally {
        self.tally.missing += sent.octets.saturating_sub(self.next);
        let numbers = self.sequence.map_or(0, |sequence| sequence.numbers());
        self.tally.packets_lost = numbers - self.tally.packets;
        self.tally
    }

    /// Whether any packet has come.
    pub(crate) fn has_heard(&self) -> bool {
        self.sequence.is_some()
    }

    /// The position after the furthest octet that has come back.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// How many octets of the gateway's stream come before this timestamp.
    fn clock(&mut self, timestamp: u32) -> i64 {
        let (last, at) = self.clock.unwrap_or((timestamp, 0));
        let at = at + i64::from(timestamp.wrapping_sub(last) as i32);
        self.clock = Some((timestamp, at));
        at
    }

    /// Whether this is our stream from `position` on.
    fn is_pattern(&self, position: u64, payload: &[u8]) -> bool {
        let mut expected = [0; PAYLOAD_MAX];
        let Some(expected) = expected.get_mut(..payload.len()) else { return false };
        pattern::fill(Place { ds0: self.ds0, position }, expected);
        expected == payload
    }

    /// Finds what a packet that is not as expected is made of. Of one that is longer than any, only the
    /// beginning.
    fn search(&mut self, turn: Turn, at: i64, payload: &[u8], sent: Sent) {
        let payload = &payload[..payload.len().min(PAYLOAD_MAX)];
        let mut from = 0;
        while from < payload.len() {
            let Some(run) = Run::find(payload, from, sent) else { break };
            self.fill(run.start - from, sent);
            let position = run.place.position;
            let len = (run.end - run.start) as u64;
            if run.place.ds0 != self.ds0 {
                self.tally.crossed += len;
            } else if turn == Turn::InOrder && position + len <= self.next {
                self.repeat(len, sent);
            } else {
                let shift = position as i64 - (at + run.start as i64);
                self.tally.shifts += u64::from(self.shift.is_some_and(|before| before != shift));
                self.shift = Some(shift);
                // Behind the last that was sent, what looks right is so by chance.
                self.account(turn, position, len.min(sent.octets.saturating_sub(position)));
            }
            from = run.end;
        }
        self.fill(payload.len() - from, sent);
    }

    /// Octets that are nobody's. Before the first of ours and after the last that was sent, there is
    /// nothing that they could have been.
    fn fill(&mut self, octets: usize, sent: Sent) {
        if self.shift.is_some() && self.next < sent.octets {
            self.tally.inserted += octets as u64;
        }
    }

    /// Octets of ours that came before. They move nothing: what conceals a gap, or lets the end fade
    /// away, is made of what was heard last.
    fn repeat(&mut self, octets: u64, sent: Sent) {
        if self.next < sent.octets {
            self.tally.repeated += octets;
        }
    }

    /// Octets of ours.
    fn account(&mut self, turn: Turn, position: u64, len: u64) {
        let end = position + len;
        if turn == Turn::Late && end <= self.next {
            // They were missed when a later packet came.
            let found = len.min(self.tally.missing);
            self.tally.missing -= found;
            self.tally.verified += found;
            self.tally.repeated += len - found;
            return;
        }
        self.tally.missing += position.saturating_sub(self.next);
        let repeated = self.next.saturating_sub(position).min(len);
        self.tally.repeated += repeated;
        self.tally.verified += len - repeated;
        self.next = self.next.max(end);
    }
}

impl Sequence {
    /// None has come yet; `first` will be the first.
    fn new(first: u16) -> Self {
        Self { last: first.wrapping_sub(1), at: -1, lowest: 0, seen: 0 }
    }

    fn turn(&mut self, number: u16) -> Turn {
        let ahead = i64::from(number.wrapping_sub(self.last) as i16);
        if ahead > 0 {
            self.last = number;
            self.at += ahead;
            self.seen = self.seen.checked_shl(ahead as u32).unwrap_or(0) | 1;
            return Turn::InOrder;
        }
        // What is further back than is remembered is taken for a double.
        let bit = 1_u64.checked_shl(ahead.unsigned_abs() as u32).unwrap_or(0);
        if bit == 0 || self.seen & bit != 0 {
            return Turn::Again;
        }
        self.seen |= bit;
        self.lowest = self.lowest.min(self.at + ahead);
        Turn::Late
    }

    /// How many there are from the first to the last.
    fn numbers(&self) -> u64 {
        (self.at - self.lowest + 1) as u64
    }
}

/// Octets in a row that are of one stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Run {
    start: usize,
    end: usize,
    place: Place,
}

impl Run {
    /// The first run at or behind `from`, as far to both sides as it goes.
    fn find(payload: &[u8], from: usize, sent: Sent) -> Option<Self> {
        let words = payload[from..].windows(WORD).enumerate();
        let (at, place) = words
            .map(|(at, octets)| (from + at, pattern::place(octets.try_into().expect("a window is a word"))))
            .find(|(_, place)| place.ds0 < sent.ds0s && place.position < sent.octets + SENT_SPREAD)?;
        let back = usize::try_from(place.position).unwrap_or(usize::MAX).min(at - from).min(WORD - 1);
        let first = Place { position: place.position - back as u64, ..place };
        let mut expected = [0; PAYLOAD_MAX];
        let expected = &mut expected[..payload.len() - (at - back)];
        pattern::fill(first, expected);
        let is_right = |offset: &usize| payload[at - back + offset] == expected[*offset];
        let before = (0..back).rev().take_while(is_right).count();
        let behind = (back + WORD..expected.len()).take_while(is_right).count();
        Some(Self {
            start: at - before,
            end: at + WORD + behind,
            place: Place { position: place.position - before as u64, ..place },
        })
    }
}

/// Payload octets of the longest packet that is judged: more than 60 ms.
const PAYLOAD_MAX: usize = 512;

/// How many octets one DS0 may have been sent more than another: a packet of 60 ms.
const SENT_SPREAD: u64 = 480;

#[cfg(test)]
mod tests {
    use dataplane::rtp::packet::Header;

    use super::*;

    const PTIME: usize = 160;

    /// A gateway's packet with a stretch of a DS0's stream; timestamps stand 1,000 ahead of positions.
    fn packet(sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        let mut octets = vec![0; Header::LEN];
        Header { marker: false, payload_type: 8, sequence, timestamp, ssrc: 1 }.emit(&mut octets);
        octets.extend_from_slice(payload);
        octets
    }

    fn stretch(ds0: u16, position: u64, len: usize) -> Vec<u8> {
        let mut octets = vec![0; len];
        pattern::fill(Place { ds0, position }, &mut octets);
        octets
    }

    fn nth(number: u16) -> Vec<u8> {
        let position = u64::from(number) * PTIME as u64;
        packet(number.wrapping_sub(3), u32::from(number) * 160 + 1_000, &stretch(5, position, PTIME))
    }

    const SENT: Sent = Sent { ds0s: 10, octets: 10 * PTIME as u64 };

    /// What becomes of these packets, of a stream of ten.
    fn judged(packets: &[Vec<u8>]) -> Tally {
        let mut checker = Checker::new(5);
        for octets in packets {
            checker.receive(&Packet::new_checked(octets).expect("well formed"), SENT);
        }
        checker.finish(SENT)
    }

    fn all() -> Vec<Vec<u8>> {
        (0..10).map(nth).collect()
    }

    const CLEAN: Tally = Tally {
        packets: 10,
        octets: 1_600,
        packets_lost: 0,
        packets_doubled: 0,
        packets_out_of_order: 0,
        verified: 1_600,
        missing: 0,
        inserted: 0,
        repeated: 0,
        crossed: 0,
        shifts: 0,
    };

    #[test]
    fn a_whole_stream_is_verified_to_the_last_octet() {
        assert_eq!(judged(&all()), CLEAN);
    }

    #[test]
    fn silence_before_the_first_octet_and_after_the_last_is_no_fault() {
        let mut packets = vec![packet(65_530, 40, &[0xD5; 160])];
        let mut mixed = vec![0xD5; 13];
        mixed.extend(stretch(5, 0, 147));
        packets.push(packet(65_531, 200, &mixed));
        let mut at = 147;
        for number in 0..10 {
            let len = PTIME.min(1_600 - at);
            let mut octets = stretch(5, at as u64, len);
            octets.resize(PTIME, 0x55);
            packets.push(packet(65_532_u16.wrapping_add(number), 360 + u32::from(number) * 160, &octets));
            at += len;
        }
        let tally = judged(&packets);
        assert_eq!(tally, Tally { packets: 12, octets: 12 * 160, ..CLEAN });
    }

    #[test]
    fn a_lost_packet_is_missed_in_packets_and_octets() {
        let mut packets = all();
        packets.remove(4);
        let expected =
            Tally { packets: 9, octets: 1_440, packets_lost: 1, verified: 1_440, missing: 160, ..CLEAN };
        assert_eq!(judged(&packets), expected);
    }

    #[test]
    fn the_end_that_never_came_is_missing() {
        let tally = judged(&all()[..7]);
        assert_eq!((tally.verified, tally.missing, tally.packets_lost), (1_120, 480, 0));
    }

    #[test]
    fn two_swapped_packets_are_out_of_order_and_nothing_is_missing() {
        let mut packets = all();
        packets.swap(4, 5);
        assert_eq!(judged(&packets), Tally { packets_out_of_order: 1, ..CLEAN });
    }

    #[test]
    fn a_packet_that_comes_twice_is_a_double_and_counts_once() {
        let mut packets = all();
        packets.insert(5, nth(4));
        packets.push(nth(2));
        assert_eq!(judged(&packets), Tally { packets_doubled: 2, ..CLEAN });
    }

    #[test]
    fn octets_of_another_ds0_are_crossed_not_ours() {
        let mut packets = all();
        packets[3] = packet(0, 3 * 160 + 1_000, &stretch(6, 480, PTIME));
        let expected = Tally { verified: 1_440, missing: 160, crossed: 160, ..CLEAN };
        assert_eq!(judged(&packets), expected);
    }

    #[test]
    fn what_fills_a_gap_is_inserted_and_what_it_hides_is_missing() {
        let mut packets = all();
        let mut octets = stretch(5, 480, PTIME);
        octets[40..80].fill(0xD5);
        packets[3] = packet(0, 3 * 160 + 1_000, &octets);
        assert_eq!(judged(&packets), Tally { verified: 1_560, missing: 40, inserted: 40, ..CLEAN });
    }

    #[test]
    fn the_last_octets_heard_again_are_a_fault_in_a_gap_and_none_after_the_end() {
        let mut packets = all();
        packets.push(packet(7, 10 * 160 + 1_000, &stretch(5, 1_440, PTIME)));
        assert_eq!(judged(&packets), Tally { packets: 11, octets: 11 * 160, ..CLEAN });
        packets.truncate(10);
        packets[3] = packet(0, 3 * 160 + 1_000, &stretch(5, 320, PTIME));
        assert_eq!(judged(&packets), Tally { verified: 1_440, missing: 160, repeated: 160, ..CLEAN });
    }

    #[test]
    fn one_wrong_octet_is_found() {
        for offset in 0..PTIME {
            let mut packets = all();
            packets[3][Header::LEN + offset] ^= 1;
            // Between the word that is broken and the packet's edge, the rest says nothing of itself.
            let edge = if offset < WORD { offset } else { PTIME - 1 - offset };
            let silent = if edge < WORD { edge as u64 } else { 0 };
            let wrong = 1 + silent;
            let expected = Tally { verified: 1_600 - wrong, missing: wrong, inserted: wrong, ..CLEAN };
            assert_eq!(judged(&packets), expected, "{offset}");
        }
    }

    #[test]
    fn octets_left_out_or_repeated_inside_packets_are_counted_and_shift_the_stream() {
        let cut = |by: i64, number: u16| {
            let by = if number >= 4 { by } else { 0 };
            let position = (u64::from(number) * 160).saturating_add_signed(by);
            packet(number, u32::from(number) * 160, &stretch(5, position, PTIME))
        };
        let skipped: Vec<_> = (0..9).map(|number| cut(12, number)).collect();
        let tally = judged(&skipped);
        assert_eq!((tally.missing, tally.repeated, tally.shifts), (12 + 148, 0, 1));
        let repeated: Vec<_> = (0..10).map(|number| cut(-12, number)).collect();
        let tally = judged(&repeated);
        assert_eq!((tally.missing, tally.repeated, tally.shifts), (12, 12, 1));
    }

    #[test]
    fn sequence_and_timestamp_may_wrap() {
        let packets: Vec<_> = (0..10_u16)
            .map(|number| {
                let timestamp = (u32::MAX - 500).wrapping_add(u32::from(number) * 160);
                packet(
                    65_530_u16.wrapping_add(number),
                    timestamp,
                    &stretch(5, u64::from(number) * 160, PTIME),
                )
            })
            .collect();
        assert_eq!(judged(&packets), CLEAN);
    }

    #[test]
    fn packets_of_any_length_are_judged_or_passed_over() {
        let mut checker = Checker::new(5);
        for len in [0, 1, 7, 8, 160, PAYLOAD_MAX, PAYLOAD_MAX + 1, 1_400] {
            for octets in
                [packet(len as u16, 0, &vec![0x55; len]), packet(len as u16 + 1, 0, &stretch(5, 3, len))]
            {
                checker.receive(&Packet::new_checked(&octets).expect("well formed"), SENT);
            }
        }
    }
}
