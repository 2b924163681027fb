//! Ten thousand ticks with calls coming and going allocate nothing on a core.
//!
//! The allocator of this test counts what a sealed thread asks of it. A worker's tick runs sealed;
//! control, the call agent and the peers, which share the thread here, run unsealed. The sockets there are
//! simulated; those that are real are sealed by themselves.

#[path = "quiet/sockets.rs"]
mod sockets;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::Duration;

use dataplane::engine::{Engine, SpanShape};
use dataplane::gear::Gear;
use dataplane::limits::Limits;
use dataplane::link::{
    Action, ClockRates, Codec, DetectorSet, Digit, DigitSet, Format, Formats, Identity, JitterBounds, Leg,
    Mode, Observation, Order, OrderId, PayloadType, PayloadTypes, Peer, PlayId, RelayId, RelayLeg, Remote,
    Report, Side, Sound, ToneSpec,
};
use dataplane::rtp::packet::Header;
use dataplane::stats::{Counter, Stats};
use drivers::line::{Carrier, Ds0, Law, Line, SpanId, Timeslot};
use drivers::net::sim::{Impairment, SimNet};
use drivers::net::{Dscp, PortRange, PortSlot, Ports, RtpSockets};
use drivers::span::Block;
use drivers::span::sim::{FarEnd, Play};
use drivers::time::{Epoch, Instant};
use tests::World;
use tests::audio::{dialled, distinct, tones};

thread_local! {
    static SEALED: Cell<bool> = const { Cell::new(false) };
    /// Allocations and frees by this thread while it was sealed.
    static BROKEN: Cell<u64> = const { Cell::new(0) };
}

struct Sealable;

impl Sealable {
    fn count() {
        if SEALED.with(Cell::get) {
            BROKEN.with(|broken| broken.set(broken.get() + 1));
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

/// Allocations and frees by this thread while it was sealed.
fn broken() -> u64 {
    BROKEN.with(Cell::get)
}

#[test]
fn the_seal_sees_an_allocation() {
    seal(true);
    let value = std::hint::black_box(vec![1_u8; 100]);
    seal(false);
    drop(value);
    assert_eq!(broken(), 1);
}

#[test]
fn ten_thousand_ticks_with_calls_coming_and_going_allocate_nothing() {
    let dials = FarEnd::File { play: Play::Forever(dialled(Law::A, 20, "159#").into()), record: None };
    let mut w = World::builder(81).around_tick(seal).far_end(0, 5, dials).build();
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
        // Digits of the line, and one that is played to the peer, go as telephone-events.
        let (first, _) = w.call(&a, &b);
        let own = first.connection();
        let looked_after =
            format!("R/ma@{own}(A),R/rto@{own}(A)(1),R/pl@{own}(A)(10),R/qa@{own}(A),R/ji@{own}(A)");
        w.send(&format!("RQNT {a}@gw"), &format!("X: 1\r\nR: {looked_after}\r\nS: D/5@{own}\r\n"));
        w.net().impair(Impairment { loss: 0.02, jitter: Duration::from_millis(30), ..Impairment::default() });
        w.run_for(Duration::from_millis(200));
        round += 1;
    }
    let broken = broken();
    println!("{} ticks, {round} calls, {} packets", w.count(Counter::Ticks), w.count(Counter::RtpSent));
    assert!(round > 100 && w.count(Counter::RtpSent) > 50_000);
    assert_eq!(broken, 0, "a core allocated or freed in its tick; QUIET_BACKTRACE=1 shows where");
}

#[test]
fn cancelling_echo_allocates_nothing() {
    let span = "[[span]]\nfar_end = { kind = \"hybrid\", line = 2, loss_db = 6 }\n[[span]]\n";
    let builder = World::builder(82).config("echo_cancellation = \"internal\"\n").around_tick(seal);
    // The last to talk is a modem.
    let answer: Vec<u8> = tones(Law::A, &[(&[2_100.0], 450)]);
    let turned = answer.iter().map(|octet| octet ^ 0x80);
    let said = [distinct(1, Law::A, 24_000), answer.iter().copied().chain(turned).collect()].concat();
    let (builder, heard) = builder.spans(span).speaker(1, 1, &said);
    let mut w = builder.build();
    w.call("ds/e1-1/1", "ds/e1-2/1");
    w.run_for(Duration::from_secs(6));
    let heard = heard.octets_from(16_000).expect("the recording has room");
    let silent = heard[..4_000].iter().filter(|octet| Law::A.decode(**octet).unsigned_abs() < 100).count();
    assert!(silent > 3_900, "echo was cancelled: {silent} of 4,000 octets");
    assert_eq!(broken(), 0, "a core allocated; QUIET_BACKTRACE=1 shows where");
}

/// Local connections of all DS0s of a span, and relays beside them.
#[test]
fn joining_ds0s_and_relaying_allocate_nothing() {
    const TICKS: u64 = 4_000;
    const RELAYS: u32 = 100;
    let line = Line { carrier: Carrier::E1, law: Law::A };
    let pairs = 32 + 2 * RELAYS as usize;
    let limits = Limits { pairs, relays: pairs, jitter_buffer_octets: 2_048, orders: 256, observations: 16 };
    let shape = SpanShape { id: SpanId(0), line, frames: 40, echo: None };
    let epoch = Epoch { at: Instant::ZERO, unix_nanos: 0 };
    let stats = Arc::new(Stats::default());
    let mut engine = Engine::new(&limits, &[shape], 1, epoch, Arc::clone(&stats));
    let (mut tx, mut rx) = (Block::new(40, Law::A), Block::new(40, Law::A));
    let net = SimNet::new(1, 256);
    let port_range = PortRange { address: Ipv4Addr::LOCALHOST.into(), first: 10_000, pairs: 232 };
    let mut sockets = net.sockets(&Ports(vec![port_range]));
    let peer = |pair: u32| SocketAddr::from(([10, 0, 0, 1], 20_000 + 2 * pair as u16));
    let mut packet = [0_u8; 172];
    Header { marker: false, payload_type: 112, sequence: 0, timestamp: 0, ssrc: 1 }.emit(&mut packet);
    let identity = Identity { ssrc: 1, sequence: 0, timestamp: 0, cname: [b'a'; 16] };
    seal(true);
    for tick in 0..TICKS {
        let now = Instant::from_nanos(tick * 5_000_000);
        let order = |action| Order { id: OrderId(tick), action };
        let (round, phase) = (tick / 100, tick % 100);
        for pair in (1..31).filter(|_| phase == 0) {
            let port = PortSlot(2 * pair);
            let timeslot = Timeslot::new(pair as u8).expect("1 to 30");
            let mode = if round % 2 == 0 { Mode::SendReceive } else { Mode::Conference };
            let leg = local_leg(mode, PortSlot(2 * (((pair - 1) ^ 1) + 1)));
            engine.apply(
                now,
                &order(Action::Connect { ds0: Ds0 { span: SpanId(0), timeslot }, port, identity, leg }),
                Gear::default(),
            );
        }
        for pair in (1..31).filter(|_| phase == 90) {
            engine.apply(now, &order(Action::Disconnect { port: PortSlot(2 * pair) }), Gear::default());
        }
        for pair in 32..32 + 2 * RELAYS {
            let (relay, port) = (RelayId(pair / 2), PortSlot(2 * pair));
            let remote = Remote { rtp: peer(pair), rtcp: peer(pair) };
            let types = PayloadTypes::new([PayloadType { theirs: 96 + pair as u8 % 2, common: 112 }]);
            let leg = RelayLeg {
                mode: Mode::SendReceive,
                peer: Peer::At(remote),
                types,
                clocks: ClockRates::USUAL,
                dscp: Dscp::EF,
            };
            match phase {
                0 => engine.apply(now, &order(Action::ConnectRelay { relay, port, leg }), Gear::default()),
                50 => engine.apply(now, &order(Action::ModifyRelay { port, leg }), Gear::default()),
                90 => engine.apply(now, &order(Action::Disconnect { port }), Gear::default()),
                _ => engine.receive(port, peer(pair), now, &packet),
            }
        }
        engine.playout(0, &rx, &mut tx);
        rx.timeslot_mut(Timeslot::new(1).expect("timeslot 1")).fill(tick as u8);
        engine.capture(now, 0, &rx);
        engine.transmit(now, &mut sockets);
        sockets.flush(now).expect("simulated sockets do not fail");
        net.advance(now);
        while engine.poll_report().is_some() {}
    }
    seal(false);
    assert!(stats.value(Counter::RtpSent) > 500_000, "{}", stats.value(Counter::RtpSent));
    assert_eq!(broken(), 0, "an engine allocated; QUIET_BACKTRACE=1 shows where");
}

fn local_leg(mode: Mode, other: PortSlot) -> Leg {
    let format = Format { payload_type: 8, codec: Codec::G711(Law::A) };
    Leg {
        mode,
        peer: Peer::Local(other),
        send: format,
        receive: Formats::new([format]),
        receive_events: None,
        send_events: None,
        ptime_ms: NonZeroU8::new(20).expect("20 is not 0"),
        jitter: JitterBounds { nominal_ms: 20, max_ms: 100, adaptive: true },
        has_echo: false,
        dscp: Dscp::EF,
    }
}

/// All that an engine can be asked to do besides carrying calls, on every timeslot of a span.
#[test]
fn listening_and_playing_allocate_nothing() {
    const TICKS: u64 = 2_000;
    let line = Line { carrier: Carrier::E1, law: Law::A };
    let limits = Limits { pairs: 1, relays: 0, jitter_buffer_octets: 2_048, orders: 128, observations: 256 };
    let shape = SpanShape { id: SpanId(0), line, frames: 40, echo: None };
    let epoch = Epoch { at: Instant::ZERO, unix_nanos: 0 };
    let stats = Arc::new(Stats::default());
    let mut engine = Engine::new(&limits, &[shape], 1, epoch, Arc::clone(&stats));
    let (mut tx, mut rx) = (Block::new(40, Law::A), Block::new(40, Law::A));
    let all = [
        DetectorSet::FAX,
        DetectorSet::ANSWER,
        DetectorSet::CHECK,
        DetectorSet::MILLIWATT,
        DetectorSet::OCTET,
        DetectorSet::call_tone(control::tones::plan(Law::A), 0),
        DetectorSet::call_tone(control::tones::plan(Law::A), 7),
        DetectorSet::withholding(DigitSet::ALL),
    ];
    let detectors = all.into_iter().fold(DetectorSet::DTMF, DetectorSet::with);
    let mut observed = 0;
    let watch = |timeslot| Action::Watch { side: Side::Line(Ds0 { span: SpanId(0), timeslot }), detectors };
    let mut gear: Vec<_> =
        Carrier::E1.timeslots().map(|timeslot| Gear::for_action(&watch(timeslot))).collect();
    seal(true);
    for tick in 0..TICKS {
        let now = Instant::from_nanos(tick * 5_000_000);
        for timeslot in Carrier::E1.timeslots() {
            let side = Side::Line(Ds0 { span: SpanId(0), timeslot });
            let id = OrderId(tick);
            if tick == 0 {
                let order = Order { id, action: Action::Watch { side, detectors } };
                engine.apply(now, &order, gear.pop().expect("one for each line"));
            }
            if tick % 50 == 0 {
                let digit = Digit::of_code((tick / 50 % 16) as u8).expect("0 to 15");
                let (play, tone) = (PlayId(0), ToneSpec::dtmf(digit, -10, 60, 60));
                // Each line has had its gear.
                engine.apply(now, &Order { id, action: Action::Play { side, play, tone } }, Gear::default());
            }
        }
        engine.playout(0, &rx, &mut tx);
        // The line is looped: each timeslot hears its own digits.
        for timeslot in Carrier::E1.timeslots() {
            rx.timeslot_mut(timeslot).copy_from_slice(tx.timeslot(timeslot));
        }
        engine.capture(now, 0, &rx);
        while let Some(report) = engine.poll_report() {
            observed += u64::from(matches!(report, Report::Observed { what, .. } if !is_run(what)));
        }
    }
    seal(false);
    // Each digit begins and ends, and so does what plays it; the pauses between them are the same octet.
    assert_eq!(observed, TICKS / 50 * 31 * 3);
    assert_eq!(stats.value(Counter::ReportsLost), 0);
    assert_eq!(broken(), 0, "an engine allocated; QUIET_BACKTRACE=1 shows where");
}

/// Whether it is the same octet that is heard, or is no longer.
fn is_run(what: Observation) -> bool {
    let (Observation::Began(sound) | Observation::Ended { sound, .. }) = what else { return false };
    matches!(sound, Sound::Octet(_))
}
