use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::line::{Abcd, Carrier, FRAME, Law};
use crate::span::contract::{self, Circuit};

const E1: Line = Line { carrier: Carrier::E1, law: Law::A };
const T1: Line = Line { carrier: Carrier::T1, law: Law::Mu };
const START: Instant = Instant::from_nanos(1_000_000_000);
const DELAY: Duration = Duration::from_millis(20);

fn settings(line: Line, frames: usize) -> SimSettings {
    SimSettings { line, frames, clock_ppm: 0.0, start: START }
}

fn timeslot(number: u8) -> Timeslot {
    Timeslot::new(number).expect("a line has it")
}

/// A span whose cables carry every timeslot.
fn cabled(settings: &SimSettings, end: CableEnd) -> SimSpan {
    SimSpan::new(settings, vec![end], |timeslot| panic!("{timeslot} is on the cable"))
}

fn pair(east: &SimSettings, west: &SimSettings) -> (SimSpan, SimSpan) {
    let (e, w) = cable(east.line.carrier.timeslots(), DELAY);
    (cabled(east, e), cabled(west, w))
}

/// A span with the blocks of its caller.
struct Call {
    span: SimSpan,
    tx: Block,
    rx: Block,
    frame: u64,
}

impl Call {
    fn new(span: SimSpan) -> Self {
        let block = Block::new(span.frames(), span.line().law);
        Self { span, tx: block.clone(), rx: block, frame: 0 }
    }

    /// Exchanges the next block at its time; timeslots 1 to 3 send the number of each frame.
    fn exchange(&mut self) -> &Block {
        for row in 1..=3 {
            for (octet, frame) in self.tx.timeslot_mut(timeslot(row)).iter_mut().zip(self.frame..) {
                *octet = frame.to_le_bytes()[usize::from(row) - 1];
            }
        }
        self.frame += self.tx.frames() as u64;
        assert!(self.span.exchange(self.span.due_at(), &self.tx, &mut self.rx));
        &self.rx
    }

    /// The frame numbers that came with the last block.
    fn numbers(&self) -> Vec<u32> {
        let row = |row| self.rx.timeslot(timeslot(row));
        let octets = row(1).iter().zip(row(2)).zip(row(3));
        octets.map(|((a, b), c)| u32::from_le_bytes([*a, *b, *c, 0])).collect()
    }

    fn events(&mut self) -> Vec<SpanEvent> {
        std::iter::from_fn(|| self.span.poll_event()).collect()
    }
}

fn alarms(alarm: Alarm) -> SpanEvent {
    SpanEvent::Alarms(Alarms::NONE.with(alarm))
}

#[test]
fn a_looped_span_keeps_the_contract() {
    for line in [E1, T1] {
        for (frames, clock_ppm) in [(8, 0.0), (40, 50.0), (80, -50.0), (160, 0.0)] {
            let settings = SimSettings { clock_ppm, ..settings(line, frames) };
            let make = || Circuit::Looped(Box::new(SimSpan::new(&settings, Vec::new(), |_| FarEnd::Loop)));
            contract::check(make, |until| until);
        }
    }
}

#[test]
fn cabled_spans_keep_the_contract() {
    for line in [E1, T1] {
        for (east, west, phase) in [(40, 40, 0), (8, 160, 17), (40, 80, 4_999_999), (160, 40, 2_500_000)] {
            for clock_ppm in [0.0, 50.0] {
                let east = SimSettings { clock_ppm, ..settings(line, east) };
                let start = START + Duration::from_nanos(phase);
                let west = SimSettings { clock_ppm, start, ..settings(line, west) };
                let make = || {
                    let (east, west) = pair(&east, &west);
                    Circuit::Paired(Box::new(east), Box::new(west))
                };
                contract::check(make, |until| until);
            }
        }
    }
}

#[test]
fn a_block_is_exchanged_exactly_when_it_is_due_and_none_is_left_out() {
    let mut span = SimSpan::new(&settings(E1, 40), Vec::new(), |_| FarEnd::Loop);
    let tx = Block::new(40, Law::A);
    let mut rx = tx.clone();
    assert!(!span.exchange(START - Duration::from_nanos(1), &tx, &mut rx));
    let hour_later = START + Duration::from_secs(3_600);
    let blocks = std::iter::from_fn(|| span.exchange(hour_later, &tx, &mut rx).then_some(())).count();
    assert_eq!(blocks, 3_600 * 200 + 1);
    assert_eq!(span.due_at(), hour_later + FRAME * 40);
}

#[test]
fn what_is_looped_comes_back_in_the_next_block_with_its_bits() {
    let mut call = Call::new(SimSpan::new(&settings(E1, 16), Vec::new(), |_| FarEnd::Loop));
    call.tx.set_bits(timeslot(9), Abcd::new(0b0110));
    assert_eq!(call.exchange().timeslot(timeslot(1)), [Law::A.silence(); 16]);
    assert_eq!(call.rx.bits(timeslot(9)), Abcd::new(0b1101));
    call.exchange();
    assert_eq!(call.numbers(), (0..16).collect::<Vec<_>>());
    assert_eq!(call.rx.bits(timeslot(9)), Abcd::new(0b0110));
}

#[test]
fn each_timeslot_has_its_own_far_end() {
    let (recording, result) = (Arc::new(Recording::new(160)), Arc::new(PrbsResult::default()));
    let (near, far) = cable([timeslot(20)], DELAY);
    let mut call =
        Call::new(SimSpan::new(&settings(E1, 40), vec![near], |timeslot| match timeslot.number() {
            1 => FarEnd::Loop,
            2 => FarEnd::Tone { hz: 1_000.0, dbm0: 0.0 },
            3 => FarEnd::File { play: Play::Forever([1, 2, 3].into()), record: Some(recording.clone()) },
            4 => FarEnd::Prbs { pattern: Pattern::Prbs15, result: result.clone() },
            _ => FarEnd::Idle,
        }));
    let mut other = Call::new(SimSpan::new(&settings(T1, 40), vec![far], |_| FarEnd::Idle));
    call.tx.timeslot_mut(timeslot(20)).fill(0x20);
    for _ in 0..8 {
        // What the pattern's far end hears is what it sent: timeslot 4 is looped here.
        let pattern = call.rx.timeslot(timeslot(4)).to_vec();
        call.tx.timeslot_mut(timeslot(4)).copy_from_slice(&pattern);
        call.exchange();
        other.exchange();
    }
    assert_eq!(call.rx.timeslot(timeslot(1))[0], 6 * 40, "the loop is a block behind");
    assert_eq!(call.rx.timeslot(timeslot(3))[..3], [2, 3, 1], "280 octets of three were played before");
    assert_eq!(recording.len(), 320);
    assert_eq!(recording.octets_from(160), Some(vec![0; 160]), "the third octet of the frames' numbers");
    assert!(result.is_in_sync());
    assert_eq!(call.rx.timeslot(timeslot(5)), [Law::A.silence(); 40]);
    assert_eq!(other.rx.timeslot(timeslot(20)), [0x20; 40]);
    assert_eq!(other.rx.timeslot(timeslot(19)), [Law::Mu.silence(); 40]);
    assert_eq!((call.events(), other.events()), (vec![], vec![]));
}

#[test]
fn a_recording_is_what_was_sent_from_the_first_block_on() {
    let recordings: Vec<_> = (0..3).map(|_| Arc::new(Recording::new(1 << 16))).collect();
    let mut call = Call::new(SimSpan::new(&settings(E1, 24), Vec::new(), |timeslot| FarEnd::File {
        play: Play::Nothing,
        record: recordings.get(timeslot.index() - 1).cloned(),
    }));
    for _ in 0..500 {
        call.exchange();
    }
    for (row, recording) in recordings.iter().enumerate() {
        let expected: Vec<u8> = (0..500_u32 * 24).map(|frame| frame.to_le_bytes()[row]).collect();
        assert_eq!(recording.octets_from(0), Some(expected));
    }
}

/// Two minutes of a cable whose ends' clocks differ, and what was heard at the west end.
fn slips_in_two_minutes(east_ppm: f64, west_ppm: f64, frames: (usize, usize)) -> i64 {
    let east = SimSettings { clock_ppm: east_ppm, ..settings(T1, frames.0) };
    let west = SimSettings { clock_ppm: west_ppm, ..settings(T1, frames.1) };
    let (e, w) = cable((1..=3).map(timeslot), DELAY);
    let mut east = Call::new(SimSpan::new(&east, vec![e], |_| FarEnd::Idle));
    let mut west = Call::new(SimSpan::new(&west, vec![w], |_| FarEnd::Idle));
    let end = START + Duration::from_secs(120);
    let (mut last, mut slips) = (None::<u32>, 0);
    while west.span.due_at() < end {
        if east.span.due_at() <= west.span.due_at() {
            east.exchange();
            continue;
        }
        west.exchange();
        let mut reported = 0;
        for event in west.events() {
            match event {
                SpanEvent::Slip(Slip::Deleted) => reported += 1,
                SpanEvent::Slip(Slip::Repeated) => reported -= 1,
                event => panic!("{event:?}"),
            }
        }
        slips += reported;
        if west.span.due_at() < START + Duration::from_millis(100) {
            continue; // The first octets are under way.
        }
        let mut numbers = west.numbers().into_iter();
        // Within a block all is in order; a reported frame is missing or repeated at its start.
        let first = numbers.next().expect("a block has frames");
        if let Some(last) = last {
            assert_eq!(i64::from(first) - i64::from(last), 1 + reported, "at {:?}", west.span.due_at());
        }
        last = Some(numbers.fold(first, |last, number| {
            assert_eq!(number, last + 1);
            number
        }));
    }
    slips
}

#[test]
fn clocks_that_drift_apart_slip_one_frame_at_a_time_as_often_as_they_must() {
    for (east_ppm, west_ppm, frames) in [
        (0.0, 0.0, (40, 40)),
        (50.0, 50.0, (40, 80)),
        (50.0, 0.0, (40, 40)),
        (-50.0, 50.0, (80, 40)),
        (1_000.0, -1_000.0, (8, 160)),
        (-1_000.0, 1_000.0, (160, 160)),
    ] {
        let expected = (east_ppm - west_ppm) * 8_000.0 * 120.0 / 1e6;
        let slips = slips_in_two_minutes(east_ppm, west_ppm, frames) as f64;
        // At 1,000 ppm the two rates' quotient is 0.1 % off their difference.
        let tolerance = 1.0 + expected.abs() * west_ppm.abs() / 1e6;
        assert!((slips - expected).abs() <= tolerance, "{east_ppm}/{west_ppm} ppm: {slips}, not {expected}");
    }
}

/// Blocks that a thread has exchanged; when it ends, however it does, nobody need wait for it.
struct Done<'a>(&'a AtomicU64);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(u64::MAX >> 1, Ordering::Release);
    }
}

#[test]
fn spans_on_two_threads_lose_nothing_while_neither_is_later_than_the_cable_is_long() {
    let seed = 0x5EED_2222;
    println!("seed {seed:#x}");
    let (east, west) = pair(&settings(T1, 40), &settings(T1, 40));
    let clocks = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let run = |span: SimSpan, own: usize| {
        let clocks = clocks.clone();
        move || {
            let mut random = StdRng::seed_from_u64(seed + own as u64);
            let mut call = Call::new(span);
            let done = Done(&clocks[own]);
            let mut next = None;
            for block in 0..20_000 {
                // Turn until the other is so few blocks behind: three are 15 ms of the cable's 20.
                let lead = random.random_range(1..=3);
                while clocks[1 - own].load(Ordering::Acquire) + lead < block + 1 {
                    thread::yield_now();
                }
                call.exchange();
                done.0.store(block + 1, Ordering::Release);
                for number in call.numbers() {
                    assert!(next.is_none_or(|next| next == number) || call.frame < 400);
                    next = Some(number + 1);
                }
                assert_eq!(call.events(), []);
            }
        }
    };
    let threads = [thread::spawn(run(east, 0)), thread::spawn(run(west, 1))];
    threads.into_iter().for_each(|thread| thread.join().expect("every octet came in its place"));
}

#[test]
fn an_end_that_does_not_run_is_a_loss_of_signal_until_it_does() {
    let (east, west) = pair(&settings(E1, 40), &settings(E1, 40));
    let (mut east, mut west) = (Call::new(east), Call::new(west));
    for _ in 0..20 {
        east.exchange();
    }
    assert_eq!(east.events(), [alarms(Alarm::Los)]);
    assert_eq!(east.rx.timeslot(timeslot(31)), [0xFF; 40]);
    assert_eq!(east.rx.bits(timeslot(31)), Abcd::new(0b1111));
    // West catches up; it hears that east did not hear it.
    for _ in 0..21 {
        west.exchange();
    }
    east.exchange();
    assert_eq!(east.events(), [SpanEvent::Alarms(Alarms::NONE)]);
    let numbers = east.numbers();
    assert!(numbers[0] > 0 && numbers.is_sorted());
    assert_eq!(west.events(), [alarms(Alarm::Rai)]);
    west.exchange();
    assert_eq!(west.events(), [SpanEvent::Alarms(Alarms::NONE)]);
    // And west goes for good.
    drop(west);
    for _ in 0..8 {
        east.exchange();
    }
    assert_eq!(east.events(), [alarms(Alarm::Los)]);
}

#[test]
fn an_end_that_is_in_no_span_or_starts_later_is_a_loss_of_signal() {
    let (near, far) = cable(Carrier::E1.timeslots(), DELAY);
    let mut call = Call::new(cabled(&settings(E1, 40), near));
    call.exchange();
    assert_eq!(call.events(), [alarms(Alarm::Los)]);
    let start = START + Duration::from_secs(1);
    let mut later = Call::new(cabled(&SimSettings { start, ..settings(E1, 40) }, far));
    while call.span.due_at() < start + Duration::from_secs(1) {
        call.exchange();
        if later.span.due_at() <= call.span.due_at() {
            later.exchange();
        }
    }
    assert_eq!(call.events(), [SpanEvent::Alarms(Alarms::NONE)]);
    assert_eq!(call.numbers().len(), 40);
    assert!(call.numbers().is_sorted() && call.numbers()[0] > 7_000);
}

#[test]
fn spans_that_start_together_see_no_alarm_and_silence_until_the_first_octet_comes() {
    for phase in [0, 1, 4_999_999] {
        let start = START + Duration::from_nanos(phase);
        let (east, west) = pair(&settings(E1, 40), &SimSettings { start, ..settings(E1, 40) });
        let (mut east, mut west) = (Call::new(east), Call::new(west));
        east.exchange();
        assert_eq!(east.rx.timeslot(timeslot(1)), [Law::A.silence(); 40]);
        for _ in 0..50 {
            west.exchange();
            east.exchange();
        }
        assert_eq!((east.events(), west.events()), (vec![], vec![]));
    }
}

#[test]
fn a_reader_that_is_so_late_that_its_octets_are_gone_hears_nothing_wrong() {
    let (east, west) = pair(&settings(E1, 40), &settings(E1, 40));
    let (mut east, mut west) = (Call::new(east), Call::new(west));
    for _ in 0..1_000 {
        east.exchange();
    }
    for block in 0..1_000_i64 {
        west.exchange();
        let first = block * 40 - 40 - 160;
        let is_silence = west.rx.timeslot(timeslot(1))[0] == Law::A.silence();
        if west.span.events.alarms.is_down() {
            assert_eq!(west.rx.timeslot(timeslot(1)), [0xFF; 40]);
        } else {
            assert!(first < 0 && is_silence || i64::from(west.numbers()[0]) == first, "block {block}");
        }
    }
    assert_eq!(west.events(), [alarms(Alarm::Rai)], "east, far ahead, still hears nothing");
}

#[test]
fn scripted_alarms_are_told_after_the_block_that_has_them() {
    let mut call = Call::new(SimSpan::new(&settings(E1, 40), Vec::new(), |_| FarEnd::Loop));
    let script = call.span.script();
    call.exchange();
    script.set_alarms(Alarms::NONE.with(Alarm::Lfa));
    assert_eq!(call.events(), []);
    assert_eq!(call.exchange().timeslot(timeslot(1)), [0xFF; 40]);
    assert_eq!(call.events(), [alarms(Alarm::Lfa)]);
    script.set_alarms(Alarms::NONE.with(Alarm::Rai));
    call.exchange();
    assert_eq!(call.events(), [alarms(Alarm::Rai)]);
    assert_eq!(call.numbers()[0], 40, "a line with a remote alarm is in use");
    script.set_alarms(Alarms::NONE);
    call.exchange();
    assert_eq!(call.events(), [SpanEvent::Alarms(Alarms::NONE)]);
}

#[test]
fn an_end_that_is_down_tells_the_other() {
    let (east, west) = pair(&settings(E1, 40), &settings(E1, 40));
    let (mut east, mut west) = (Call::new(east), Call::new(west));
    east.span.script().set_alarms(Alarms::NONE.with(Alarm::Ais));
    for _ in 0..20 {
        east.exchange();
        west.exchange();
    }
    assert_eq!(east.events(), [alarms(Alarm::Ais)]);
    assert_eq!(west.events(), [alarms(Alarm::Rai)]);
    assert_eq!(west.numbers().len(), 40, "and west still hears east");
    assert!(west.numbers()[0] > 0);
}

#[test]
fn a_dropped_frame_is_missing_in_every_timeslot_that_can_lose_one() {
    let played: Arc<[u8]> = (0..200).collect();
    let mut call =
        Call::new(SimSpan::new(&settings(E1, 40), Vec::new(), |timeslot| match timeslot.number() {
            1..=3 => FarEnd::Loop,
            _ => FarEnd::File { play: Play::Once(played.clone()), record: None },
        }));
    call.exchange();
    call.span.script().drop_frame();
    call.exchange();
    assert_eq!(call.events(), [SpanEvent::Slip(Slip::Deleted)]);
    assert_eq!(call.numbers(), (1..=40).collect::<Vec<_>>());
    assert_eq!(call.rx.timeslot(timeslot(4)), (41..81).collect::<Vec<_>>());
    call.exchange();
    assert_eq!(call.numbers(), (41..=80).collect::<Vec<_>>());
    assert_eq!(call.events(), []);
}

#[test]
fn a_frame_dropped_on_a_cable_is_one_slip() {
    let (east, west) = pair(&settings(E1, 40), &settings(E1, 40));
    let (mut east, mut west) = (Call::new(east), Call::new(west));
    for _ in 0..20 {
        east.exchange();
        west.exchange();
    }
    let last = west.numbers()[39];
    west.span.script().drop_frame();
    east.exchange();
    west.exchange();
    assert_eq!(west.events(), [SpanEvent::Slip(Slip::Deleted)]);
    assert_eq!(west.numbers(), (last + 2..last + 42).collect::<Vec<_>>());
}
