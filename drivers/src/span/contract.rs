//! What every driver of a span promises, as a test that it must pass.
//!
//! The octets sent differ from timeslot to timeslot and do not repeat, so one property finds almost
//! every fault: what comes back in a timeslot must be what was sent there, later by one and the same
//! delay for the whole line. An octet lost, repeated, changed, out of order or in another timeslot
//! leaves no such delay. The rest is about time: nothing moves before it is due, and a caller that
//! was late is still given every block.

use std::time::Duration;

use super::{Block, Span, SpanEvent};
use crate::line::{Abcd, Line, Timeslot};
use crate::time::Instant;

/// Lines to be tested, connected so that what is sent is received.
pub enum Circuit {
    /// What the span sends comes back to it.
    Looped(Box<dyn Span>),
    /// What either sends, the other receives. Their clocks must be equal.
    Paired(Box<dyn Span>, Box<dyn Span>),
}

/// Checks that the spans of a circuit keep the contract of [`Span`].
///
/// `make` gives a fresh circuit, and `wait` waits until a time and says what time it is then:
/// `|until| until` for spans that live in simulated time.
///
/// # Panics
/// At the first promise that is broken, naming it.
pub fn check(mut make: impl FnMut() -> Circuit, mut wait: impl FnMut(Instant) -> Instant) {
    carries_everything(make(), &mut wait, Pace::OnTime);
    carries_everything(make(), &mut wait, Pace::Late);
}

/// How punctual the caller is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    OnTime,
    /// Every now and then, by [`LATE`].
    Late,
}

/// How long the spans of a circuit are exchanged.
const DURATION: Duration = Duration::from_millis(800);
/// How long what is sent may take to be received. The rest of the duration is compared.
const DELAY_MAX: Duration = Duration::from_millis(400);
/// How late a late caller is: a few blocks of most spans, and within what a driver must hold for it.
const LATE: Duration = Duration::from_millis(15);
/// How often a late caller is late.
const LATE_EVERY: Duration = Duration::from_millis(100);

fn carries_everything(circuit: Circuit, wait: &mut impl FnMut(Instant) -> Instant, pace: Pace) {
    let (mut spans, ways) = match circuit {
        Circuit::Looped(span) => (vec![Observed::new(span, 0)], vec![(0, 0)]),
        Circuit::Paired(east, west) => {
            (vec![Observed::new(east, 0), Observed::new(west, 1)], vec![(0, 1), (1, 0)])
        }
    };
    let start = due_next(&spans);
    let mut now = start;
    let mut late_at = start + LATE_EVERY;
    while now.since(start) < DURATION {
        let due = due_next(&spans);
        spans.iter_mut().for_each(|span| span.refuses_to_be_early(due));
        now = wait(due);
        if pace == Pace::Late && now >= late_at {
            now = wait(now + LATE);
            late_at = now + LATE_EVERY;
        }
        while let Some(span) =
            spans.iter_mut().filter(|span| span.span.due_at() <= now).min_by_key(|s| s.span.due_at())
        {
            if !span.exchange(now) {
                // A driver may be a little late; the caller then comes again.
                let late = now.since(span.span.due_at());
                assert!(late < DELAY_MAX, "a block that is due is exchanged in the end");
                now = wait(now + Duration::from_micros(125));
            }
        }
    }
    for (from, to) in ways {
        arrives(&spans[from], &spans[to]);
    }
}

fn due_next(spans: &[Observed]) -> Instant {
    spans.iter().map(|span| span.span.due_at()).min().expect("a circuit has a span")
}

/// A span, and all that was sent and received over it.
struct Observed {
    span: Box<dyn Span>,
    /// Tells what this end sends from what the other sends.
    end: u64,
    line: Line,
    timeslots: Vec<Timeslot>,
    tx: Block,
    rx: Block,
    /// For each timeslot, all octets.
    sent: Vec<Vec<u8>>,
    received: Vec<Vec<u8>>,
    /// For each timeslot, the bits of each block.
    sent_bits: Vec<Vec<Abcd>>,
    received_bits: Vec<Vec<Abcd>>,
}

impl Observed {
    fn new(mut span: Box<dyn Span>, end: u64) -> Self {
        let line = span.line();
        let timeslots: Vec<Timeslot> = line.carrier.timeslots().collect();
        let n = timeslots.len();
        assert_eq!(
            span.poll_event(),
            None,
            "an event comes after the block it belongs to, not before the first"
        );
        let block = Block::new(span.frames(), line.law);
        let mut observed = Self {
            span,
            end,
            line,
            timeslots,
            tx: block.clone(),
            rx: block,
            sent: vec![Vec::new(); n],
            received: vec![Vec::new(); n],
            sent_bits: vec![Vec::new(); n],
            received_bits: vec![Vec::new(); n],
        };
        observed.fill_tx();
        observed
    }

    /// Puts into `tx` what belongs into the next block.
    fn fill_tx(&mut self) {
        for (row, &timeslot) in self.timeslots.iter().enumerate() {
            let frame = self.sent[row].len() as u64;
            for (octet, frame) in self.tx.timeslot_mut(timeslot).iter_mut().zip(frame..) {
                *octet = pattern(self.end, timeslot, frame);
            }
            let block = self.sent_bits[row].len() as u64;
            self.tx.set_bits(timeslot, Abcd::new(pattern(self.end, timeslot, !block)));
        }
    }

    /// Tries to exchange just before `due`, when no span of the circuit is due yet.
    fn refuses_to_be_early(&mut self, due: Instant) {
        let early = due - Duration::from_nanos(1);
        let due = self.span.due_at();
        let before = self.rx.clone();
        assert!(!self.span.exchange(early, &self.tx, &mut self.rx), "nothing is exchanged before it is due");
        assert!(self.rx == before, "what is not exchanged is not touched");
        assert_eq!(self.span.due_at(), due, "what is due does not change before it is exchanged");
        assert_eq!(self.span.poll_event(), None, "an event comes after a block, not between two");
    }

    /// Tries to exchange a block that is due.
    fn exchange(&mut self, now: Instant) -> bool {
        let due = self.span.due_at();
        let before = self.rx.clone();
        if !self.span.exchange(now, &self.tx, &mut self.rx) {
            assert!(self.rx == before, "what is not exchanged is not touched");
            return false;
        }
        assert!(self.span.due_at() > due, "the next block is due later than this one");
        assert_eq!(self.span.line(), self.line, "a line stays what it is");
        assert_eq!(self.span.frames(), self.tx.frames(), "all blocks of a span are of one length");
        while let Some(event) = self.span.poll_event() {
            let harmless = matches!(event, SpanEvent::Alarms(alarms) if !alarms.is_down());
            assert!(harmless, "a sound circuit has no {event:?}");
        }
        for (row, &timeslot) in self.timeslots.iter().enumerate() {
            self.sent[row].extend(self.tx.timeslot(timeslot));
            self.received[row].extend(self.rx.timeslot(timeslot));
            self.sent_bits[row].push(self.tx.bits(timeslot));
            self.received_bits[row].push(self.rx.bits(timeslot));
        }
        self.fill_tx();
        true
    }
}

/// An octet that says by its neighbours where it belongs.
fn pattern(end: u64, timeslot: Timeslot, frame: u64) -> u8 {
    // The finalizer of SplitMix64: each bit of what goes in changes half of what comes out.
    let mut x = frame.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (end << 8 | u64::from(timeslot.number())) << 48;
    x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    (x ^ x >> 31) as u8
}

/// What `from` sent is what `to` received.
fn arrives(from: &Observed, to: &Observed) {
    let delay_max = (DELAY_MAX.as_micros() / 125) as usize;
    let (sent, received) = (&from.sent[0], &to.received[0]);
    let delay = (0..delay_max).find(|&delay| is_later(sent, received, delay));
    let delay = delay.expect("what is sent in a timeslot is received, each octet once, in order");
    for (row, timeslot) in from.timeslots.iter().enumerate() {
        assert!(
            is_later(&from.sent[row], &to.received[row], delay),
            "timeslot {timeslot} keeps its place beside the others"
        );
        bits_follow(&from.sent_bits[row], from.tx.frames(), &to.received_bits[row], to.tx.frames(), delay);
    }
}

/// Whether from `delay` on, all of `received` is `sent` from its start.
fn is_later(sent: &[u8], received: &[u8], delay: usize) -> bool {
    let both = sent.len().min(received.len().saturating_sub(delay));
    both > 0 && sent[..both] == received[delay..delay + both]
}

/// Signalling bits keep company with their octets, give or take a block of the sender.
fn bits_follow(sent: &[Abcd], sent_frames: usize, received: &[Abcd], received_frames: usize, delay: usize) {
    for (block, bits) in received.iter().enumerate() {
        let last_frame = (block + 1) * received_frames - 1;
        let Some(frame) = last_frame.checked_sub(delay) else { continue };
        let block = frame / sent_frames;
        let near = sent.iter().skip(block.saturating_sub(1)).take(3);
        assert!(near.clone().any(|near| near == bits), "signalling bits come with their octets");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::{Alarms, Carrier, Law};
    use crate::span::sim::{FarEnd, SimSettings, SimSpan};

    const FIRST_DUE: Instant = Instant::from_nanos(1_000_000_000);

    fn looped() -> SimSpan {
        let line = Line { carrier: Carrier::T1, law: Law::Mu };
        let settings = SimSettings { line, frames: 40, clock_ppm: 0.0, start: FIRST_DUE };
        SimSpan::new(&settings, Vec::new(), |_| FarEnd::Loop)
    }

    /// A sound span, but for what is done to its blocks, its calls or its words.
    struct Broken<F> {
        span: SimSpan,
        exchange: F,
        event: Option<SpanEvent>,
    }

    impl<F: FnMut(&mut SimSpan, Instant, &Block, &mut Block) -> bool + Send> Span for Broken<F> {
        fn line(&self) -> Line {
            self.span.line()
        }

        fn frames(&self) -> usize {
            self.span.frames()
        }

        fn exchange(&mut self, now: Instant, tx: &Block, rx: &mut Block) -> bool {
            (self.exchange)(&mut self.span, now, tx, rx)
        }

        fn due_at(&self) -> Instant {
            self.span.due_at()
        }

        fn poll_event(&mut self) -> Option<SpanEvent> {
            self.event.take().or_else(|| self.span.poll_event())
        }
    }

    fn check_broken<F>(exchange: impl Fn() -> F, event: Option<SpanEvent>)
    where
        F: FnMut(&mut SimSpan, Instant, &Block, &mut Block) -> bool + Send + 'static,
    {
        let make = || Circuit::Looped(Box::new(Broken { span: looped(), exchange: exchange(), event }));
        check(make, |until| until);
    }

    fn timeslot(number: u8) -> Timeslot {
        Timeslot::new(number).expect("a line has it")
    }

    #[test]
    fn a_sound_span_passes() {
        check_broken(|| SimSpan::exchange, None);
    }

    #[test]
    #[should_panic = "timeslot 17 keeps its place"]
    fn two_timeslots_of_one_octet_are_found() {
        let mix = |span: &mut SimSpan, now: Instant, tx: &Block, rx: &mut Block| {
            let due = span.exchange(now, tx, rx);
            let other = rx.timeslot(timeslot(16)).to_vec();
            rx.timeslot_mut(timeslot(17)).copy_from_slice(&other);
            due
        };
        check_broken(|| mix, None);
    }

    #[test]
    #[should_panic = "timeslot 3 keeps its place"]
    fn a_timeslot_that_lags_behind_the_others_is_found() {
        let lag = || {
            let mut held = vec![0; 40];
            move |span: &mut SimSpan, now: Instant, tx: &Block, rx: &mut Block| {
                let due = span.exchange(now, tx, rx);
                if due {
                    rx.timeslot_mut(timeslot(3)).swap_with_slice(&mut held);
                }
                due
            }
        };
        check_broken(lag, None);
    }

    #[test]
    #[should_panic = "each octet once, in order"]
    fn one_changed_octet_is_found() {
        let change = || {
            let mut blocks = 0;
            move |span: &mut SimSpan, now: Instant, tx: &Block, rx: &mut Block| {
                let due = span.exchange(now, tx, rx);
                blocks += usize::from(due);
                if due && blocks == 100 {
                    rx.timeslot_mut(timeslot(1))[7] ^= 1;
                }
                due
            }
        };
        check_broken(change, None);
    }

    #[test]
    #[should_panic = "each octet once, in order"]
    fn blocks_that_a_late_caller_loses_are_found() {
        let skip = |span: &mut SimSpan, now: Instant, tx: &Block, rx: &mut Block| {
            let due = span.exchange(now, tx, rx);
            while due && span.exchange(now, tx, rx) {}
            due
        };
        check_broken(|| skip, None);
    }

    #[test]
    #[should_panic = "each octet once, in order"]
    fn octets_in_another_order_are_found() {
        let reverse = |span: &mut SimSpan, now: Instant, tx: &Block, rx: &mut Block| {
            let due = span.exchange(now, tx, rx);
            if due {
                rx.timeslot_mut(timeslot(1)).reverse();
            }
            due
        };
        check_broken(|| reverse, None);
    }

    #[test]
    #[should_panic = "each octet once, in order"]
    fn a_line_that_sends_nothing_is_found() {
        let mute = |span: &mut SimSpan, now: Instant, tx: &Block, rx: &mut Block| {
            span.exchange(now, &Block::new(tx.frames(), Law::Mu), rx)
        };
        check_broken(|| mute, None);
    }

    #[test]
    #[should_panic = "nothing is exchanged before it is due"]
    fn an_early_exchange_is_found() {
        let early = |span: &mut SimSpan, now: Instant, tx: &Block, rx: &mut Block| {
            span.exchange(now + Duration::from_micros(1), tx, rx)
        };
        check_broken(|| early, None);
    }

    #[test]
    #[should_panic = "a block that is due is exchanged in the end"]
    fn a_line_that_stands_still_is_found() {
        check_broken(|| |_: &mut SimSpan, _, _: &Block, _: &mut Block| false, None);
    }

    #[test]
    #[should_panic = "what is not exchanged is not touched"]
    fn a_block_that_is_touched_before_it_is_due_is_found() {
        let touch = |span: &mut SimSpan, now: Instant, tx: &Block, rx: &mut Block| {
            rx.timeslot_mut(timeslot(1))[0] ^= 1;
            span.exchange(now, tx, rx)
        };
        check_broken(|| touch, None);
    }

    #[test]
    #[should_panic = "signalling bits come with their octets"]
    fn bits_that_stand_still_are_found() {
        let freeze = |span: &mut SimSpan, now: Instant, tx: &Block, rx: &mut Block| {
            let due = span.exchange(now, tx, rx);
            if due {
                rx.set_bits(timeslot(5), Abcd::new(5));
            }
            due
        };
        check_broken(|| freeze, None);
    }

    #[test]
    #[should_panic = "not before the first"]
    fn an_event_before_its_block_is_found() {
        check_broken(|| SimSpan::exchange, Some(SpanEvent::Alarms(Alarms::NONE)));
    }

    #[test]
    #[should_panic = "a sound circuit has no Slip(Deleted)"]
    fn a_slip_on_a_line_with_one_clock_is_found() {
        let slip = |span: &mut SimSpan, now: Instant, tx: &Block, rx: &mut Block| {
            span.script().drop_frame();
            span.exchange(now, tx, rx)
        };
        check_broken(|| slip, None);
    }
}
