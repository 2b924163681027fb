//! What one peer sends, judged and counted: RFC 3550 A.1 (sequence), A.3 (loss), A.8 (jitter).
//!
//! Whoever calls has already checked that the packet came from where the remote description says.
//! So the first packet of a call is believed at once: RFC 3550 A.1 only says that a source *may* be
//! held invalid for a few packets, and here the transport address vouches for it; probation would
//! cost the first 20 ms of every call. A *change* of source is another matter: while the known one
//! is still heard, one stray packet under another SSRC must not kill it.

use std::time::Duration;

use drivers::time::Instant;

use super::CLOCK_RATE;
use super::packet::Packet;
use super::rtcp::ReportBlock;

/// What to do with a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Verdict {
    /// It belongs to the stream that is running: play it.
    Accept,
    /// It begins a stream: what its timestamps mean starts here. Forget the old ones, then play it.
    AcceptRestarted,
    /// It makes no sense, or not yet.
    Drop,
}

/// The one source that a connection hears at a time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Source {
    current: Option<Stream>,
    /// Another SSRC has been heard since the current one was: it, and the sequence number that
    /// would confirm it.
    candidate: Option<(u32, u16)>,
    /// Packets lost in streams that have ended.
    lost_before: u32,
}

/// One run of sequence numbers under one SSRC.
#[derive(Clone, Copy, Debug)]
struct Stream {
    ssrc: u32,
    base: u16,
    highest: u16,
    cycles: u32,
    /// The sequence number that would confirm a jump.
    after_jump: Option<u16>,
    received: u32,
    heard_at: Instant,
    expected_prior: u32,
    received_prior: u32,
    timestamp: u32,
    /// Arrival less timestamp of the last packet, in timestamp units.
    transit: u32,
    /// Sixteen times the interarrival jitter, in timestamp units.
    jitter_x16: u32,
    /// The middle 32 bits of the last SR's NTP time, and when it came.
    last_sr: Option<(u32, Instant)>,
}

impl Source {
    /// Nothing has been heard.
    pub const fn new() -> Self {
        Self { current: None, candidate: None, lost_before: 0 }
    }

    /// Judges a packet that came at `arrived`, and counts it if it is accepted.
    pub fn receive(&mut self, arrived: Instant, packet: &Packet<'_>) -> Verdict {
        self.receive_at(CLOCK_RATE, arrived, packet)
    }

    /// The same where timestamps count `clock_hz`, 1 to 1,000,000.
    pub fn receive_at(&mut self, clock_hz: u32, arrived: Instant, packet: &Packet<'_>) -> Verdict {
        let Some(stream) = &mut self.current else {
            self.current = Some(Stream::begin(clock_hz, arrived, packet));
            return Verdict::AcceptRestarted;
        };
        if packet.ssrc() == stream.ssrc {
            self.candidate = None;
            let lost = stream.lost();
            let verdict = stream.receive(clock_hz, arrived, packet);
            if verdict == Verdict::AcceptRestarted {
                self.lost_before = self.lost_before.saturating_add(lost);
            }
            return verdict;
        }
        // RFC 3550 §8.2: a peer that changes its SSRC is a new source. It is believed once the old
        // one has been silent for a while, or has not come between two packets of the new one.
        let is_confirmed = self.candidate == Some((packet.ssrc(), packet.sequence()));
        if is_confirmed || arrived.since(stream.heard_at) > ALIVE {
            self.lost_before = self.lost_before.saturating_add(stream.lost());
            self.current = Some(Stream::begin(clock_hz, arrived, packet));
            self.candidate = None;
            return Verdict::AcceptRestarted;
        }
        self.candidate = Some((packet.ssrc(), packet.sequence().wrapping_add(1)));
        Verdict::Drop
    }

    /// Takes note of a packet that is not understood: of the stream that runs, it is not lost.
    // RFC 3550 §5.1 has it ignored; but §6.4.1 tells as lost what was expected and has not come. Comfort
    // noise that a peer sends unasked (RFC 3389) is no reason to tell it of a bad network.
    pub fn pass_over(&mut self, packet: &Packet<'_>) {
        if let Some(stream) = &mut self.current
            && stream.ssrc == packet.ssrc()
        {
            stream.count(packet.sequence());
        }
    }

    /// Timestamps count another clock from now on.
    pub fn change_clock(&mut self, from_hz: u32, to_hz: u32) {
        if let Some(stream) = &mut self.current {
            let jitter = u64::from(stream.jitter_x16) * u64::from(to_hz) / u64::from(from_hz.max(1));
            stream.jitter_x16 = u32::try_from(jitter).unwrap_or(u32::MAX);
            stream.transit = units(to_hz, stream.heard_at).wrapping_sub(stream.timestamp);
        }
    }

    /// Forgets the source: another peer speaks from now on. What was lost stays counted.
    pub fn forget(&mut self) {
        *self = Self { lost_before: self.lost(), ..Self::new() };
    }

    /// Notes a sender report of SSRC `ssrc` that came at `arrived` and said `ntp`.
    // RFC 3550 §6.4.1, LSR: the middle 32 bits of the 64-bit NTP time.
    pub fn sender_report(&mut self, arrived: Instant, ssrc: u32, ntp: u64) {
        if let Some(stream) = &mut self.current
            && stream.ssrc == ssrc
        {
            stream.last_sr = Some(((ntp >> 16) as u32, arrived));
        }
    }

    /// The report block about this source, if it has been heard since the last; the interval that it covers
    /// ends here.
    // RFC 3550 §6.4: there is a block for each source that was heard since the last report.
    pub fn report(&mut self, now: Instant) -> Option<ReportBlock> {
        let stream = self.current.as_mut().filter(|stream| stream.received != stream.received_prior)?;
        Some(stream.report(now))
    }

    /// The SSRC of the source that is heard.
    pub fn ssrc(&self) -> Option<u32> {
        self.current.map(|stream| stream.ssrc)
    }

    /// Packets lost since the beginning, over all SSRCs; packets that came twice do not make up for
    /// more than were lost.
    pub fn lost(&self) -> u32 {
        self.lost_before.saturating_add(self.current.map_or(0, |stream| stream.lost()))
    }

    /// The interarrival jitter (RFC 3550 §6.4.1) where timestamps count `clock_hz`.
    pub fn jitter_at(&self, clock_hz: u32) -> Duration {
        let units = self.current.map_or(0, |stream| stream.jitter_x16 / 16);
        Duration::from_micros(u64::from(units) * 1_000_000 / u64::from(clock_hz.max(1)))
    }
}

impl Stream {
    fn begin(clock_hz: u32, arrived: Instant, packet: &Packet<'_>) -> Self {
        Self {
            ssrc: packet.ssrc(),
            base: packet.sequence(),
            highest: packet.sequence(),
            cycles: 0,
            after_jump: None,
            received: 1,
            heard_at: arrived,
            expected_prior: 0,
            received_prior: 0,
            timestamp: packet.timestamp(),
            transit: transit(clock_hz, arrived, packet),
            jitter_x16: 0,
            last_sr: None,
        }
    }

    // RFC 3550 A.1: a step of up to MAX_DROPOUT ahead is loss, one of up to MAX_MISORDER back is
    // reordering; anything else must be confirmed by the next number, and is a restart then.
    fn receive(&mut self, clock_hz: u32, arrived: Instant, packet: &Packet<'_>) -> Verdict {
        let sequence = packet.sequence();
        if !self.count(sequence) {
            if self.after_jump != Some(sequence) {
                self.after_jump = Some(sequence.wrapping_add(1));
                return Verdict::Drop;
            }
            // A.1: so many cycles may have been missed that the statistics mean nothing any more.
            *self = Self { last_sr: self.last_sr, ..Self::begin(clock_hz, arrived, packet) };
            return Verdict::AcceptRestarted;
        }
        self.heard_at = arrived;
        self.update_jitter(clock_hz, arrived, packet);
        Verdict::Accept
    }

    /// Counts a packet, unless its number is none that is to be expected.
    fn count(&mut self, sequence: u16) -> bool {
        let ahead = sequence.wrapping_sub(self.highest);
        if ahead < MAX_DROPOUT {
            if sequence < self.highest {
                self.cycles = self.cycles.wrapping_add(1 << 16);
            }
            self.highest = sequence;
        } else if ahead <= u16::MAX - MAX_MISORDER + 1 {
            return false;
        }
        self.received = self.received.wrapping_add(1);
        true
    }

    // RFC 3550 A.8, in whole numbers.
    fn update_jitter(&mut self, clock_hz: u32, arrived: Instant, packet: &Packet<'_>) {
        // RFC 4733 §2.5.1.2: the reports of one event bear one timestamp, so all but the first say
        // nothing of the network's delay.
        if std::mem::replace(&mut self.timestamp, packet.timestamp()) == packet.timestamp() {
            return;
        }
        let transit = transit(clock_hz, arrived, packet);
        let difference = (transit.wrapping_sub(self.transit) as i32).unsigned_abs();
        self.transit = transit;
        // A jump of the sender's timestamps is no jitter, and must not hide the real one for minutes.
        if difference > clock_hz.saturating_mul(JUMP_S) {
            return;
        }
        self.jitter_x16 = self.jitter_x16 + difference - ((self.jitter_x16 + 8) >> 4);
    }

    // RFC 3550 A.3.
    fn report(&mut self, now: Instant) -> ReportBlock {
        let expected = self.expected();
        let expected_interval = expected.wrapping_sub(self.expected_prior);
        let received_interval = self.received.wrapping_sub(self.received_prior);
        self.expected_prior = expected;
        self.received_prior = self.received;
        let lost_interval = i64::from(expected_interval) - i64::from(received_interval);
        let fraction_lost = if expected_interval == 0 || lost_interval <= 0 {
            0
        } else {
            ((lost_interval << 8) / i64::from(expected_interval)).min(255) as u8
        };
        // RFC 3550 §6.4.1, DLSR: in units of 1/65536 s; zero, like LSR, if there was no SR.
        let (last_sr, delay_since_last_sr) = self.last_sr.map_or((0, 0), |(middle, at)| {
            let nanos = now.since(at).as_nanos();
            (middle, u32::try_from((nanos << 16) / 1_000_000_000).unwrap_or(u32::MAX))
        });
        ReportBlock {
            ssrc: self.ssrc,
            fraction_lost,
            cumulative_lost: (expected.wrapping_sub(self.received) as i32)
                .clamp(ReportBlock::LOST_MIN, ReportBlock::LOST_MAX),
            highest_sequence: self.cycles.wrapping_add(self.highest.into()),
            jitter: self.jitter_x16 / 16,
            last_sr,
            delay_since_last_sr,
        }
    }

    fn expected(&self) -> u32 {
        self.cycles.wrapping_add(self.highest.into()).wrapping_sub(self.base.into()).wrapping_add(1)
    }

    fn lost(&self) -> u32 {
        u32::try_from(self.expected().wrapping_sub(self.received) as i32).unwrap_or(0)
    }
}

/// Arrival less timestamp: how long the packet was under way, plus an unknown constant.
fn transit(clock_hz: u32, arrived: Instant, packet: &Packet<'_>) -> u32 {
    units(clock_hz, arrived).wrapping_sub(packet.timestamp())
}

/// A time as a clock counts it.
fn units(clock_hz: u32, at: Instant) -> u32 {
    // What DS0s have, for each packet: one division by a constant.
    if clock_hz == CLOCK_RATE {
        return (at.as_nanos() / (1_000_000_000 / u64::from(CLOCK_RATE))) as u32;
    }
    let (hz, second) = (u64::from(clock_hz), 1_000_000_000);
    let (whole, part) = (at.as_nanos() / second, at.as_nanos() % second);
    whole.wrapping_mul(hz).wrapping_add(part * hz / second) as u32
}

/// RFC 3550 A.1: a minute at 50 packets a second.
const MAX_DROPOUT: u16 = 3_000;
/// RFC 3550 A.1: two seconds at 50 packets a second.
const MAX_MISORDER: u16 = 100;
/// How long a source counts as heard after its last packet: three packets of 60 ms.
const ALIVE: Duration = Duration::from_millis(200);
/// A change of transit that no network makes: 5 s in timestamp units.
const JUMP_S: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::packet::Header;
    use proptest::prelude::*;

    const OURS: u32 = 0xAAAA;
    const OTHER: u32 = 0xBBBB;

    fn at_ms(ms: u64) -> Instant {
        Instant::from_nanos(1_000_000 * (10_000 + ms))
    }

    /// Hands in a packet and gives the verdict.
    fn hear(source: &mut Source, ms: u64, ssrc: u32, sequence: u16, timestamp: u32) -> Verdict {
        let mut octets = [0; Header::LEN + 160];
        Header { marker: false, payload_type: 0, sequence, timestamp, ssrc }.emit(&mut octets);
        source.receive(at_ms(ms), &Packet::new_checked(&octets).expect("our own packet"))
    }

    #[test]
    fn the_first_packet_of_a_call_is_played() {
        let mut source = Source::new();
        assert_eq!(hear(&mut source, 0, OURS, 65_535, 0), Verdict::AcceptRestarted);
        assert_eq!(hear(&mut source, 20, OURS, 0, 160), Verdict::Accept);
        let block = source.report(at_ms(30)).expect("a source");
        assert_eq!((block.highest_sequence, block.cumulative_lost, block.fraction_lost), (65_536, 0, 0));
    }

    #[test]
    fn loss_is_counted_and_made_good_by_what_comes_late() {
        let mut source = Source::new();
        for sequence in [10, 11, 14, 15] {
            let _ = hear(&mut source, 0, OURS, sequence, 0);
        }
        assert_eq!(source.lost(), 2);
        assert_eq!(hear(&mut source, 0, OURS, 12, 0), Verdict::Accept);
        assert_eq!(source.lost(), 1);
        // A.3: one of six, in 256ths.
        assert_eq!(source.report(at_ms(1)).expect("a source").fraction_lost, 42);
        let _ = hear(&mut source, 0, OURS, 16, 0);
        assert_eq!(source.report(at_ms(2)).expect("a source").fraction_lost, 0, "of the interval only");
        assert_eq!(source.report(at_ms(3)), None, "of who has not been heard");
        let _ = hear(&mut source, 0, OURS, 16, 0);
        assert_eq!(source.report(at_ms(4)).expect("a source").fraction_lost, 0, "of nothing expected");
    }

    #[test]
    fn what_is_not_understood_is_not_lost_and_begins_nothing() {
        let mut source = Source::new();
        let pass = |source: &mut Source, ssrc: u32, sequence: u16| {
            let mut octets = [0; Header::LEN];
            Header { marker: false, payload_type: 13, sequence, timestamp: 0, ssrc }.emit(&mut octets);
            source.pass_over(&Packet::new_checked(&octets).expect("our own packet"));
        };
        pass(&mut source, OURS, 9);
        assert_eq!((source.ssrc(), source.report(at_ms(0))), (None, None));
        let _ = hear(&mut source, 0, OURS, 10, 0);
        pass(&mut source, OURS, 11);
        // Neither another source's nor one from far away says anything about this one.
        (12..20).for_each(|sequence| pass(&mut source, OTHER, sequence));
        (40_000..40_010).for_each(|sequence| pass(&mut source, OURS, sequence));
        assert_eq!(hear(&mut source, 40, OURS, 12, 0), Verdict::Accept);
        assert_eq!(source.lost(), 0);
        let block = source.report(at_ms(40)).expect("a source");
        assert_eq!((block.highest_sequence, block.cumulative_lost, block.fraction_lost), (12, 0, 0));
    }

    #[test]
    fn duplicates_may_make_the_reported_loss_negative_but_never_pl() {
        let mut source = Source::new();
        for sequence in [10, 10, 10] {
            let _ = hear(&mut source, 0, OURS, sequence, 0);
        }
        assert_eq!(source.report(at_ms(1)).expect("a source").cumulative_lost, -2);
        assert_eq!(source.lost(), 0);
    }

    #[test]
    fn a_jump_of_the_sequence_needs_two_packets_and_keeps_the_loss_counted_so_far() {
        let mut source = Source::new();
        for sequence in [10, 12] {
            let _ = hear(&mut source, 0, OURS, sequence, 0);
        }
        assert_eq!(hear(&mut source, 20, OURS, 40_000, 0), Verdict::Drop);
        assert_eq!(hear(&mut source, 40, OURS, 13, 0), Verdict::Accept);
        assert_eq!(hear(&mut source, 60, OURS, 50_000, 0), Verdict::Drop);
        assert_eq!(hear(&mut source, 80, OURS, 50_001, 0), Verdict::AcceptRestarted);
        assert_eq!(source.lost(), 1);
        assert_eq!(source.report(at_ms(90)).expect("a source").cumulative_lost, 0);
    }

    #[test]
    fn one_stray_ssrc_does_not_disturb_a_running_source() {
        let mut source = Source::new();
        let _ = hear(&mut source, 0, OURS, 1, 0);
        for step in 1..50u16 {
            // Two sources in turn: the one that was there first stays.
            assert_eq!(hear(&mut source, u64::from(step) * 20 - 10, OTHER, 700 + step, 0), Verdict::Drop);
            assert_eq!(hear(&mut source, u64::from(step) * 20, OURS, 1 + step, 0), Verdict::Accept);
        }
        assert_eq!(source.ssrc(), Some(OURS));
        assert_eq!(source.lost(), 0);
    }

    #[test]
    fn a_changed_ssrc_takes_over_with_its_second_packet() {
        let mut source = Source::new();
        for sequence in [1, 3] {
            let _ = hear(&mut source, 0, OURS, sequence, 0);
        }
        assert_eq!(hear(&mut source, 20, OTHER, 700, 0), Verdict::Drop);
        assert_eq!(hear(&mut source, 40, OTHER, 701, 0), Verdict::AcceptRestarted);
        assert_eq!(hear(&mut source, 60, OTHER, 702, 0), Verdict::Accept);
        assert_eq!((source.ssrc(), source.lost()), (Some(OTHER), 1));
    }

    #[test]
    fn a_changed_ssrc_takes_over_at_once_when_the_old_one_is_silent() {
        let mut source = Source::new();
        let _ = hear(&mut source, 0, OURS, 1, 0);
        assert_eq!(hear(&mut source, 201, OTHER, 700, 0), Verdict::AcceptRestarted);
    }

    #[test]
    fn jitter_follows_a_8() {
        let mut source = Source::new();
        let _ = hear(&mut source, 0, OURS, 1, 0);
        let _ = hear(&mut source, 20, OURS, 2, 160);
        assert_eq!(source.jitter_at(CLOCK_RATE), Duration::ZERO);
        // 10 ms late: |D| is 80 units, J = 80/16.
        let _ = hear(&mut source, 50, OURS, 3, 320);
        assert_eq!(source.report(at_ms(50)).expect("a source").jitter, 5);
        assert_eq!(source.jitter_at(CLOCK_RATE), Duration::from_micros(625));
        // A jump of the timestamp by an hour is not jitter.
        let _ = hear(&mut source, 70, OURS, 4, 480 + 3_600 * 8_000);
        assert_eq!(source.report(at_ms(70)).expect("a source").jitter, 5);
    }

    #[test]
    fn lsr_and_dlsr_come_from_the_last_sender_report_of_this_source() {
        let mut source = Source::new();
        let _ = hear(&mut source, 0, OURS, 1, 0);
        source.sender_report(at_ms(0), OTHER, 7);
        assert_eq!(source.report(at_ms(1)).expect("a source").last_sr, 0);
        let _ = hear(&mut source, 0, OURS, 2, 160);
        // RFC 3550 §6.4.1, figure 2: n's SR is taken at 0xb44db705:20000000, reported 5.25 s later.
        source.sender_report(at_ms(10), OURS, 0xB44D_B705_2000_0000);
        let block = source.report(at_ms(5_260)).expect("a source");
        assert_eq!((block.last_sr, block.delay_since_last_sr), (0xB705_2000, 0x0005_4000));
    }

    proptest! {
        #[test]
        fn no_sequence_of_packets_disturbs_it(
            packets in proptest::collection::vec((any::<u16>(), any::<u32>(), 0u32..3, 0u64..1_000), 0..300)
        ) {
            let mut source = Source::new();
            for (sequence, timestamp, ssrc, ms) in packets {
                let _ = hear(&mut source, ms, ssrc, sequence, timestamp);
                if let Some(block) = source.report(at_ms(ms)) {
                    prop_assert!((ReportBlock::LOST_MIN..=ReportBlock::LOST_MAX).contains(&block.cumulative_lost));
                }
            }
        }

        #[test]
        fn loss_is_exact_over_wraps(first in any::<u16>(), kept in proptest::collection::vec(any::<bool>(), 1..2_000)) {
            let mut source = Source::new();
            let _ = hear(&mut source, 0, OURS, first, 0);
            let mut lost = 0;
            let mut unseen = 0;
            for (index, kept) in kept.iter().enumerate() {
                if *kept {
                    let _ = hear(&mut source, 0, OURS, first.wrapping_add(index as u16 + 1), 0);
                    lost += unseen;
                    unseen = 0;
                } else {
                    unseen += 1;
                }
            }
            prop_assert_eq!(source.lost(), lost);
        }
    }
}
