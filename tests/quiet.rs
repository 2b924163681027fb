//! Ten thousand ticks with calls coming and going allocate nothing on a core.
//!
//! The allocator of this test counts what a sealed thread asks of it. A worker's tick runs sealed;
//! control, the call agent and the peers, which share the thread here, run unsealed.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dataplane::engine::{Engine, SpanShape};
use dataplane::limits::Limits;
use dataplane::link::{Action, DetectorSet, Digit, Order, OrderId, PlayId, Report, Side, ToneSpec};
use dataplane::stats::{Counter, Stats};
use drivers::line::{Carrier, Ds0, Law, Line, SpanId};
use drivers::net::sim::Impairment;
use drivers::span::Block;
use drivers::time::{Epoch, Instant};
use tests::World;
use tests::audio::distinct;

thread_local! {
    static SEALED: Cell<bool> = const { Cell::new(false) };
}

/// Allocations and frees by sealed threads.
static BROKEN: AtomicU64 = AtomicU64::new(0);

struct Sealable;

impl Sealable {
    fn count() {
        if SEALED.with(Cell::get) {
            BROKEN.fetch_add(1, Ordering::Relaxed);
            if std::env::var_os("QUIET_BACKTRACE").is_some() {
                SEALED.with(|sealed| sealed.set(false));
                eprintln!("{}", std::backtrace::Backtrace::force_capture());
                SEALED.with(|sealed| sealed.set(true));
            }
        }
    }
}

// SAFETY: every call goes to the system's allocator as it came; counting touches no memory of it.
// Needed because only a global allocator sees every allocation.
unsafe impl GlobalAlloc for Sealable {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        Self::count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Sealable = Sealable;

fn seal(sealed: bool) {
    SEALED.with(|cell| cell.set(sealed));
}

#[test]
fn the_seal_sees_an_allocation() {
    let before = BROKEN.load(Ordering::Relaxed);
    seal(true);
    let value = std::hint::black_box(vec![1_u8; 100]);
    seal(false);
    drop(value);
    assert_eq!(BROKEN.swap(before, Ordering::Relaxed), before + 1);
}

#[test]
fn ten_thousand_ticks_with_calls_coming_and_going_allocate_nothing() {
    let mut w = World::builder(81).around_tick(seal).build();
    let peer = w.add_peer("10.0.0.9:4000");
    let sdp = w.peers[peer].description("0");
    let to = w.connect("ds/e1-4/31", "confrnce", &sdp).rtp();
    w.play(peer, to, 0, 20, &distinct(1, Law::Mu, 8_000));
    w.net().impair(Impairment {
        loss: 0.02,
        duplicate: 0.02,
        jitter: Duration::from_millis(30),
        ..Impairment::default()
    });
    let mut round = 0_usize;
    while w.count(Counter::Ticks) < 10_000 {
        let timeslot = round % 30 + 1;
        let (a, b) = (format!("ds/e1-1/{timeslot}"), format!("ds/e1-2/{timeslot}"));
        if round >= 30 {
            w.send(&format!("DLCX {a}@gw"), "");
            w.send(&format!("DLCX {b}@gw"), "");
            w.run_for(Duration::from_millis(40));
        }
        w.net().impair(Impairment::default());
        w.call(&a, &b);
        w.net().impair(Impairment { loss: 0.02, jitter: Duration::from_millis(30), ..Impairment::default() });
        w.run_for(Duration::from_millis(200));
        round += 1;
    }
    let broken = BROKEN.load(Ordering::Relaxed);
    println!("{} ticks, {round} calls, {} packets", w.count(Counter::Ticks), w.count(Counter::RtpSent));
    assert!(round > 100 && w.count(Counter::RtpSent) > 50_000);
    assert_eq!(broken, 0, "a core allocated or freed in its tick; QUIET_BACKTRACE=1 shows where");
}

/// All that an engine can be asked to do besides carrying calls, on every timeslot of a span.
#[test]
fn listening_and_playing_allocate_nothing() {
    const TICKS: u64 = 2_000;
    let line = Line { carrier: Carrier::E1, law: Law::A };
    let limits = Limits { pairs: 1, jitter_buffer_octets: 4_096, orders: 128, observations: 256 };
    let shape = SpanShape { id: SpanId(0), line, frames: 40 };
    let epoch = Epoch { at: Instant::ZERO, unix_nanos: 0 };
    let stats = Arc::new(Stats::default());
    let mut engine = Engine::new(&limits, &[shape], 1, epoch, Arc::clone(&stats));
    let (mut tx, mut rx) = (Block::new(40, Law::A), Block::new(40, Law::A));
    let all = [DetectorSet::FAX_CALLING, DetectorSet::ANSWER, DetectorSet::CHECK, DetectorSet::MILLIWATT];
    let detectors = all.into_iter().fold(DetectorSet::DTMF, DetectorSet::with);
    let mut observed = 0;
    seal(true);
    for tick in 0..TICKS {
        let now = Instant::from_nanos(tick * 5_000_000);
        for timeslot in Carrier::E1.timeslots() {
            let side = Side::Line(Ds0 { span: SpanId(0), timeslot });
            let id = OrderId(tick);
            if tick == 0 {
                engine.apply(now, &Order { id, action: Action::Watch { side, detectors } });
            }
            if tick % 50 == 0 {
                let digit = Digit::of_code((tick / 50 % 16) as u8).expect("0 to 15");
                let (play, tone) = (PlayId(0), ToneSpec::dtmf(digit, -10, 60, 60));
                engine.apply(now, &Order { id, action: Action::Play { side, play, tone } });
            }
        }
        engine.playout(0, &rx, &mut tx);
        // The line is looped: each timeslot hears its own digits.
        for timeslot in Carrier::E1.timeslots() {
            rx.timeslot_mut(timeslot).copy_from_slice(tx.timeslot(timeslot));
        }
        engine.capture(now, 0, &rx);
        while let Some(report) = engine.poll_report() {
            observed += u64::from(matches!(report, Report::Observed { .. }));
        }
    }
    seal(false);
    // Each digit begins and ends, and so does what plays it.
    assert_eq!(observed, TICKS / 50 * 31 * 3);
    assert_eq!(stats.value(Counter::ReportsLost), 0);
    assert_eq!(BROKEN.load(Ordering::Relaxed), 0, "an engine allocated; QUIET_BACKTRACE=1 shows where");
}
