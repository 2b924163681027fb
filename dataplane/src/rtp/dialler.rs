//! Telling a peer of digits as telephone-events (RFC 4733 §2.5.1) instead of sounding them.
//!
//! A digit is reported as soon as it is recognised and every 20 ms while it lasts, under the timestamp of
//! its beginning; its end is reported three times. The audio stops meanwhile: a peer that was told has no
//! use for the tone. What the peer has had of the tone before it was recognised cannot be taken back.
//!
//! ```text
//!   line      ▁▁▁▁████████████████▁▁▁▁▁▁▁▁▁▁▁▁▁▁
//!   audio     ▪ ▪ ▪ ▪                   ▪ ▪ ▪ ▪       up to 32 ms of the tone; again 24 ms after it
//!   events            M . . . . . .     E E E
//! ```

use drivers::line::FRAMES_PER_SECOND;

use crate::link::PlayId;
use crate::observation::Digit;
use crate::rtp::packet::Header;
use crate::rtp::telephone_event::TelephoneEvent;

/// The digits of one connection that its peer is being told of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dialler {
    now: Option<Press>,
    /// The one before, whose end has not been told often enough.
    before: Option<Press>,
    packet: [u8; Self::PACKET],
}

/// Who presses a digit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// It was heard on the line.
    Line,
    /// It is a tone that is played to the peer.
    Play(PlayId),
}

/// One report of a digit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Report {
    /// Whether it is the first.
    pub is_first: bool,
    /// When the digit, or the segment of it, began.
    pub timestamp: u32,
    /// The payload.
    pub event: TelephoneEvent,
}

/// A digit that has begun.
#[derive(Clone, Copy, Debug)]
struct Press {
    origin: Origin,
    digit: Digit,
    volume: u8,
    /// When the segment that is told of began.
    timestamp: u32,
    /// Octets that the segment has lasted, and may have outgrown the field that tells it.
    lasted: u32,
    is_reported: bool,
    is_over: bool,
    /// How often the last report of the segment is still to be sent.
    finals: u8,
    /// Octets to go until the next report.
    wait: u32,
}

impl Dialler {
    /// Octets of a packet.
    pub(crate) const PACKET: usize = Header::LEN + TelephoneEvent::LEN;

    /// Nothing is told.
    pub(crate) const fn new() -> Self {
        Self { now: None, before: None, packet: [0; Self::PACKET] }
    }

    /// A digit begins, `volume` below 0 dBm0; another that sounds is over.
    pub(crate) fn press(&mut self, origin: Origin, digit: Digit, volume: u8, timestamp: u32) {
        self.end();
        self.before = self.now.filter(|press| press.is_reported);
        self.now = Some(Press {
            origin,
            digit,
            volume,
            timestamp,
            lasted: 0,
            is_reported: false,
            is_over: false,
            finals: FINALS,
            wait: 0,
        });
    }

    /// The digit that sounds has gone on for `octets` more.
    pub(crate) fn prolong(&mut self, octets: u32) {
        if let Some(press) = self.sounding() {
            press.lasted += octets;
        }
    }

    /// The digit that sounds is known to have lasted until `timestamp`.
    pub(crate) fn prolong_to(&mut self, timestamp: u32) {
        if let Some(press) = self.sounding() {
            press.lasted = press.lasted.max(timestamp.wrapping_sub(press.timestamp));
        }
    }

    /// The digit of `origin` is over, if one sounds.
    pub(crate) fn release(&mut self, origin: Origin) {
        if self.sounding().is_some_and(|press| press.origin == origin) {
            self.end();
        }
    }

    /// What `origin` pressed is nobody's business any more.
    pub(crate) fn drop_of(&mut self, origin: Origin) {
        self.before = self.before.filter(|press| press.origin != origin);
        self.now = self.now.filter(|press| press.origin != origin);
    }

    /// Lets the time of `octets` pass; whether something is to be told.
    pub(crate) fn advance(&mut self, octets: u32) -> bool {
        if let Some(press) = &mut self.now {
            press.wait = press.wait.saturating_sub(octets);
        }
        self.before.is_some() || self.now.is_some_and(|press| press.wait == 0)
    }

    /// The next report that is due.
    pub(crate) fn poll(&mut self) -> Option<Report> {
        // RFC 4733 §2.5.1.4 has the repeats wait; but the next digit does not wait for them.
        if let Some(press) = &mut self.before {
            let report = press.report();
            self.before = self.before.filter(|press| !press.is_told());
            return Some(report);
        }
        let press = self.now.as_mut().filter(|press| press.wait == 0)?;
        let report = press.report();
        self.now = self.now.filter(|press| !press.is_told());
        Some(report)
    }

    /// The packet of a report, under a header of its own.
    pub(crate) fn packet(&mut self, header: Header, event: TelephoneEvent) -> &[u8] {
        header.emit(&mut self.packet);
        self.packet[Header::LEN..].copy_from_slice(&event.emit());
        &self.packet
    }

    /// Whether a digit sounds: there is no audio then.
    pub(crate) fn is_sounding(&self) -> bool {
        self.now.is_some_and(|press| !press.is_over)
    }

    /// Whether a digit of `origin` sounds.
    pub(crate) fn is_sounding_from(&self, origin: Origin) -> bool {
        self.now.is_some_and(|press| !press.is_over && press.origin == origin)
    }

    /// Whether this digit of `origin` sounds.
    pub(crate) fn is_pressed(&self, origin: Origin, digit: Digit) -> bool {
        self.now.is_some_and(|press| !press.is_over && (press.origin, press.digit) == (origin, digit))
    }

    /// Whether there is anything left to tell.
    pub(crate) const fn is_busy(&self) -> bool {
        self.now.is_some() || self.before.is_some()
    }

    fn sounding(&mut self) -> Option<&mut Press> {
        self.now.as_mut().filter(|press| !press.is_over)
    }

    fn end(&mut self) {
        if let Some(press) = self.sounding() {
            press.is_over = true;
        }
    }
}

impl Press {
    /// What is to be told now.
    fn report(&mut self) -> Report {
        let is_full = self.lasted > SEGMENT_MAX;
        let is_over = self.is_over && !is_full;
        // RFC 4733 §2.3.5: no digit has lasted no time at all.
        let duration = self.lasted.clamp(1, SEGMENT_MAX) as u16;
        let event = TelephoneEvent { code: self.digit.code(), is_over, volume: self.volume, duration };
        let report = Report { is_first: !self.is_reported, timestamp: self.timestamp, event };
        self.is_reported = true;
        self.wait = INTERVAL;
        if is_full || is_over {
            self.finals -= 1;
        }
        // RFC 4733 §2.5.1.3: what outgrows the field goes on in a segment that begins where it ended.
        if is_full && self.finals == 0 {
            self.timestamp = self.timestamp.wrapping_add(SEGMENT_MAX);
            self.lasted -= SEGMENT_MAX;
            self.finals = FINALS;
        }
        report
    }

    /// Whether all has been told.
    const fn is_told(&self) -> bool {
        self.finals == 0
    }
}

/// RFC 4733 §2.5.1.4: the last report of a digit and of a segment, three times.
const FINALS: u8 = 3;
/// Octets from report to report: 20 ms. RFC 4733 §2.5.1.2 leaves it to the sender, between the packets of
/// the audio and 50 ms. The end has been told three times before the next digit can be recognised, and
/// a receiver that bridges three reports' time loses no digit to the network.
const INTERVAL: u32 = 20 * FRAMES_PER_SECOND / 1_000;
/// The longest duration that a report can tell, in octets.
const SEGMENT_MAX: u32 = u16::MAX as u32;

#[cfg(test)]
mod tests {
    use super::*;

    const FIVE: Digit = Digit::at(1, 1);
    const SIX: Digit = Digit::at(1, 2);

    /// What is told in blocks of 5 ms, `blocks` of them: in which block, and the report.
    fn told(dialler: &mut Dialler, blocks: usize) -> Vec<(usize, Report)> {
        let mut all = Vec::new();
        for block in 0..blocks {
            dialler.prolong(40);
            if dialler.advance(40) {
                all.extend(std::iter::from_fn(|| dialler.poll()).map(|report| (block, report)));
            }
        }
        all
    }

    /// Mark, timestamp, code, end and duration.
    fn told_as(report: Report) -> (bool, u32, u8, bool, u16) {
        let Report { is_first, timestamp, event } = report;
        (is_first, timestamp, event.code, event.is_over, event.duration)
    }

    #[test]
    fn a_digit_is_told_every_20_ms_and_its_end_three_times() {
        let mut dialler = Dialler::new();
        dialler.press(Origin::Line, FIVE, 9, u32::MAX);
        let during = told(&mut dialler, 12);
        let expected = [(0, true, 40), (4, false, 200), (8, false, 360)];
        assert_eq!(
            during
                .iter()
                .map(|(block, told)| (*block, told.is_first, told.event.duration))
                .collect::<Vec<_>>(),
            expected
        );
        assert!(during.iter().all(|(_, told)| told.timestamp == u32::MAX && !told.event.is_over));
        dialler.release(Origin::Line);
        assert!(!dialler.is_sounding() && dialler.is_busy());
        let after = told(&mut dialler, 20);
        assert_eq!(after.iter().map(|(block, _)| *block).collect::<Vec<_>>(), [0, 4, 8]);
        assert!(after.iter().all(|(_, told)| told_as(*told) == (false, u32::MAX, 5, true, 480)));
        assert!(!dialler.is_busy());
    }

    // RFC 4733 §2.5.1.3.
    #[test]
    fn a_long_digit_goes_on_in_segments() {
        let mut dialler = Dialler::new();
        dialler.press(Origin::Line, FIVE, 9, 1_000);
        let mut all = told(&mut dialler, 1_700);
        dialler.release(Origin::Line);
        all.extend(told(&mut dialler, 20));
        let told: Vec<_> = all.into_iter().map(|(_, report)| told_as(report)).collect();
        assert_eq!(told.iter().filter(|told| told.0).count(), 1, "one beginning");
        assert_eq!(told.iter().filter(|told| **told == (false, 1_000, 5, false, 65_535)).count(), 3);
        let ends: Vec<_> = told.iter().filter(|told| told.3).collect();
        assert_eq!(ends, [&(false, 66_535, 5, true, (1_700 * 40 - 65_535) as u16); 3]);
        assert!(told.windows(2).all(|two| (two[0].1, two[0].4) <= (two[1].1, two[1].4)), "it only grows");
    }

    #[test]
    fn the_next_digit_waits_for_no_repeats_and_loses_none() {
        let mut dialler = Dialler::new();
        dialler.press(Origin::Line, FIVE, 9, 0);
        told(&mut dialler, 2);
        dialler.press(Origin::Play(PlayId(1)), SIX, 9, 80);
        dialler.release(Origin::Line);
        let all: Vec<_> = told(&mut dialler, 1).into_iter().map(|(_, report)| told_as(report)).collect();
        let end = (false, 0, 5, true, 80);
        assert_eq!(all, [end, end, end, (true, 80, 6, false, 40)]);
    }

    #[test]
    fn a_digit_too_short_to_have_lasted_is_told_with_a_duration() {
        let mut dialler = Dialler::new();
        dialler.press(Origin::Line, FIVE, 9, 0);
        dialler.release(Origin::Line);
        assert!(dialler.advance(40));
        assert_eq!(dialler.poll().map(told_as), Some((true, 0, 5, true, 1)));
        dialler.drop_of(Origin::Line);
        assert!(!dialler.is_busy());
    }
}
