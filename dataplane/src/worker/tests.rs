//! The worker between fake spans and fake sockets: by hand first, then on its thread.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU8;
use std::sync::Mutex;

use drivers::line::{Carrier, Ds0, Law, Line, Timeslot};
use drivers::net::{Dscp, Full, NetCounters, PortSlot};
use drivers::span::SpanEvent;

use super::*;
use crate::codec::Codec;
use crate::link::{
    self, Action, ControlEnd, Format, Formats, Identity, JitterBounds, Leg, Mode, Order, OrderId, Peer,
    Remote, Report,
};

const BLOCK: usize = 40;
const TIMESLOT: Timeslot = Timeslot::new(5).expect("timeslot 5");

/// A line whose octets count up, as seen from outside.
#[derive(Default)]
struct LineState {
    due_at: Instant,
    /// Blocks that the card will refuse though they are due.
    refusals: usize,
    /// Frames of a block, if not `BLOCK`.
    frames: Option<usize>,
    /// When each block that was exchanged was due, by all spans of a worker.
    exchanged: Arc<Mutex<Vec<Instant>>>,
    /// What timeslot 5 was offered, and what it took.
    offered: Vec<u8>,
    taken: Vec<u8>,
    said: u8,
    events: Vec<SpanEvent>,
}

#[derive(Clone, Default)]
struct FakeSpan(Arc<Mutex<LineState>>);

impl FakeSpan {
    fn state(&self) -> std::sync::MutexGuard<'_, LineState> {
        self.0.lock().expect("no test panics with it")
    }
}

impl Span for FakeSpan {
    fn line(&self) -> Line {
        Line { carrier: Carrier::E1, law: Law::A }
    }

    fn frames(&self) -> usize {
        self.state().frames.unwrap_or(BLOCK)
    }

    fn exchange(&mut self, now: Instant, tx: &Block, rx: &mut Block) -> bool {
        let mut state = self.state();
        assert!(state.due_at <= now, "asked only when due");
        state.offered.push(tx.timeslot(TIMESLOT)[0]);
        if state.refusals > 0 {
            state.refusals -= 1;
            return false;
        }
        state.taken.push(tx.timeslot(TIMESLOT)[0]);
        state.said = state.said.wrapping_add(1);
        rx.timeslot_mut(TIMESLOT).fill(state.said);
        state.exchanged.lock().expect("no test panics with it").push(state.due_at);
        state.due_at += FRAME * tx.frames() as u32;
        true
    }

    fn due_at(&self) -> Instant {
        self.state().due_at
    }

    fn poll_event(&mut self) -> Option<SpanEvent> {
        self.state().events.pop()
    }
}

/// Sockets as seen from outside.
#[derive(Default)]
struct NetState {
    sent: Vec<(PortSlot, Vec<u8>)>,
    flushes: Vec<Instant>,
    breaks: bool,
    dropped: bool,
}

#[derive(Clone, Default)]
struct Net(Arc<Mutex<NetState>>);

struct FakeSockets(Net);

impl Net {
    fn state(&self) -> std::sync::MutexGuard<'_, NetState> {
        self.0.lock().expect("no test panics with it")
    }
}

impl Drop for FakeSockets {
    fn drop(&mut self) {
        self.0.state().dropped = true;
    }
}

impl RtpSockets for FakeSockets {
    fn receive(&mut self, _f: impl FnMut(PortSlot, SocketAddr, Instant, &[u8])) {}

    fn send(
        &mut self,
        from: PortSlot,
        _to: SocketAddr,
        len: usize,
        f: impl FnOnce(&mut [u8]),
    ) -> Result<(), Full> {
        let mut octets = vec![0; len];
        f(&mut octets);
        self.0.state().sent.push((from, octets));
        Ok(())
    }

    fn mark(&mut self, _slot: PortSlot, _dscp: Dscp) {}

    fn flush(&mut self, until: Instant) -> io::Result<()> {
        let mut state = self.0.state();
        state.flushes.push(until);
        if state.breaks { Err(io::Error::other("the ring is gone")) } else { Ok(()) }
    }

    fn counters(&self) -> NetCounters {
        NetCounters { truncated: 3, ..NetCounters::default() }
    }
}

fn order(id: u64, action: Action) -> Order {
    Order { id: OrderId(id), action }
}

fn connect(mode: Mode) -> Action {
    let peer = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let pcma = Format { payload_type: 8, codec: Codec::G711(Law::A) };
    Action::Connect {
        ds0: Ds0 { span: SpanId(0), timeslot: TIMESLOT },
        port: PortSlot(0),
        identity: Identity { ssrc: 1, sequence: 0, timestamp: 0, cname: [b'a'; 16] },
        leg: Leg {
            mode,
            peer: Peer::At(Remote { rtp: peer(4_000), rtcp: peer(4_001) }),
            send: pcma,
            receive: Formats::new([pcma]),
            receive_events: None,
            send_events: None,
            ptime_ms: NonZeroU8::new(5).expect("5 is not 0"),
            jitter: JitterBounds { nominal_ms: 20, max_ms: 100, adaptive: false },
            has_echo: true,
            dscp: Dscp::EF,
        },
    }
}

fn carried(id: u16, span: &FakeSpan) -> Carried {
    Carried { id: SpanId(id), echo: None, span: Box::new(span.clone()) }
}

/// A worker's parts with one span, and all that can be seen of it from outside.
fn parts() -> (Parts, ControlEnd, FakeSpan, Arc<Stats>) {
    let limits = Limits {
        pairs: 2,
        relays: 0,
        jitter_buffer_octets: 4_096,
        orders: 2 * ORDERS_PER_TICK,
        observations: 16,
    };
    let (control, link) = link::pair(&limits, Box::new(|| {}));
    let span = FakeSpan::default();
    let stats = Arc::new(Stats::default());
    let parts = Parts {
        limits,
        spans: vec![carried(0, &span)],
        seed: 1,
        epoch: Epoch::default(),
        stats: Arc::clone(&stats),
        link,
    };
    (parts, control, span, stats)
}

fn worker() -> (Worker<FakeSockets>, ControlEnd, FakeSpan, Net, Arc<Stats>) {
    let (parts, control, span, stats) = parts();
    let net = Net::default();
    (Worker::new(parts, FakeSockets(net.clone())), control, span, net, stats)
}

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

#[test]
fn a_tick_answers_orders_moves_a_block_and_sends_it() {
    let (mut worker, mut control, span, net, stats) = worker();
    control.send(order(1, connect(Mode::SendReceive)));
    worker.tick(at(0)).expect("the sockets work");
    assert!(matches!(control.poll_report(), Some(Report::Done { id: OrderId(1), .. })));
    assert_eq!(span.state().taken.len(), 1);
    let (slot, packet) = net.state().sent.remove(0);
    assert_eq!((slot, packet.len(), packet[12]), (PortSlot(0), 12 + BLOCK, 1));
    assert_eq!(net.state().flushes, [at(5)], "sleeps until the next block");
    assert_eq!(worker.due_at(), at(5));
    assert_eq!(stats.value(Counter::Blocks), 1);
    assert_eq!(stats.value(Counter::Ticks), 1);
    assert_eq!(stats.value(Counter::Truncated), 3);
    worker.tick(at(2)).expect("the sockets work");
    assert_eq!(span.state().taken.len(), 1, "nothing was due");
}

#[test]
fn a_block_that_was_not_taken_is_offered_again_and_nothing_is_lost() {
    let (mut worker, mut control, span, net, _) = worker();
    // In loopback each block that comes must go back, so a block lost is a number left out.
    control.send(order(1, connect(Mode::Loopback)));
    for ms in 0..100 {
        span.state().refusals = usize::from(ms % 7 == 0);
        worker.tick(at(ms)).expect("the sockets work");
        let until = *net.state().flushes.last().expect("each tick flushes");
        assert!(
            until > at(ms) || span.state().due_at <= at(ms),
            "a card that is late is not asked in a circle"
        );
    }
    let state = span.state();
    assert!(state.offered.len() > state.taken.len());
    let expected: Vec<u8> = (1..).take(state.taken.len() - 1).collect();
    assert_eq!(state.taken[1..], expected);
}

#[test]
fn a_card_that_is_late_is_asked_again_soon_but_not_at_once() {
    let (mut worker, _control, span, net, _) = worker();
    span.state().refusals = 1;
    worker.tick(at(0)).expect("the sockets work");
    assert_eq!(net.state().flushes, [at(1)]);
}

#[test]
fn a_span_that_is_behind_catches_up_a_block_a_tick_without_sleep() {
    let (mut worker, mut control, span, net, stats) = worker();
    control.send(order(1, connect(Mode::SendOnly)));
    worker.tick(at(0)).expect("the sockets work");
    let now = at(22);
    for _ in 0..4 {
        worker.tick(now).expect("the sockets work");
    }
    assert_eq!(span.state().taken.len(), 5);
    let untils: Vec<Instant> = net.state().flushes.drain(..).collect();
    assert_eq!(untils, [at(5), at(10), at(15), at(20), at(25)]);
    let packets: Vec<u8> = net.state().sent.iter().map(|(_, packet)| packet[12]).collect();
    assert_eq!(packets, [1, 2, 3, 4, 5], "one packet a block: none is left out");
    assert_eq!(stats.value(Counter::Overruns), 3, "17, 12 and 7 ms late are overruns, 2 ms is none");
    assert_eq!(worker.lateness.len(), 5);
    assert!(worker.lateness.max() >= 16_900_000);
}

#[test]
fn a_worker_that_has_more_orders_than_a_tick_takes_does_not_sleep_on_them() {
    let (parts, mut control, span, _) = parts();
    // The line begins later: until then no block wakes the worker.
    span.state().due_at = at(1_000);
    let net = Net::default();
    let mut worker = Worker::new(parts, FakeSockets(net.clone()));
    control.send(order(0, connect(Mode::SendOnly)));
    let port = PortSlot(0);
    (0..ORDERS_PER_TICK as u64).for_each(|id| control.send(order(id + 1, Action::Survey { port })));
    for _ in 0..2 {
        worker.tick(at(0)).expect("the sockets work");
    }
    assert_eq!(net.state().flushes, [at(0), at(0) + SLEEP_MAX]);
}

#[test]
fn spans_that_are_behind_catch_up_in_the_order_in_which_their_blocks_were_due() {
    let (mut parts, _control, first, _) = parts();
    // Blocks of 5 ms, due at 2 and 1 ms, and of 20 ms, due at 3 ms.
    let (second, long) = (FakeSpan::default(), FakeSpan::default());
    long.state().frames = Some(4 * BLOCK);
    let exchanged = Arc::clone(&first.state().exchanged);
    for (index, (span, ms)) in [(&first, 2), (&second, 1), (&long, 3)].into_iter().enumerate() {
        span.state().due_at = at(ms);
        span.state().exchanged = Arc::clone(&exchanged);
        if index > 0 {
            parts.spans.push(carried(index as u16, span));
        }
    }
    let mut worker = Worker::new(parts, FakeSockets(Net::default()));
    for ms in [0, 1, 2, 3, 60, 60, 60, 60, 61, 80, 300] {
        let mut ticks = 0;
        worker.tick(at(ms)).expect("the sockets work");
        while worker.due_at() <= at(ms) && ms % 100 != 60 {
            worker.tick(at(ms)).expect("the sockets work");
            ticks += 1;
            assert!(ticks < 1_000, "all catch up");
        }
    }
    let exchanged = exchanged.lock().expect("no test panics with it");
    assert!(exchanged.len() > 130 && exchanged.is_sorted(), "{exchanged:?}");
}

#[test]
fn a_card_that_takes_no_blocks_holds_up_no_other() {
    let (mut parts, _control, first, _) = parts();
    let second = FakeSpan::default();
    parts.spans.push(carried(1, &second));
    let mut worker = Worker::new(parts, FakeSockets(Net::default()));
    second.state().refusals = usize::MAX;
    for ms in 0..100 {
        worker.tick(at(ms)).expect("the sockets work");
    }
    assert_eq!((first.state().taken.len(), second.state().taken.len()), (20, 0));
}

#[test]
fn span_events_follow_their_block_as_reports() {
    let (mut worker, mut control, span, ..) = worker();
    span.state().events.push(SpanEvent::Failed);
    worker.tick(at(0)).expect("the sockets work");
    assert_eq!(control.poll_report(), Some(Report::Span { span: SpanId(0), event: SpanEvent::Failed }));
}

#[test]
fn what_the_sockets_say_comes_out_of_the_tick() {
    let (mut worker, _control, _span, net, _) = worker();
    net.state().breaks = true;
    assert!(worker.tick(at(0)).is_err());
}

/// Starts a worker on a thread; its spans are due at once and always.
fn running(net: &Net) -> (io::Result<Running>, ControlEnd, Arc<Stats>) {
    let (parts, control, _span, stats) = parts();
    let net = net.clone();
    let sockets = move || Ok(FakeSockets(net));
    (spawn(Recipe { core: 0, cpu: None, real_time_priority: None, parts, sockets }), control, stats)
}

fn next_report(control: &mut ControlEnd) -> Report {
    loop {
        if let Some(report) = control.poll_report() {
            return report;
        }
        assert!(!control.has_ended(), "the worker lives");
        thread::yield_now();
    }
}

#[test]
fn a_worker_that_is_stopped_says_bye_and_lets_its_sockets_go() {
    let net = Net::default();
    let (running, mut control, stats) = running(&net);
    control.send(order(1, connect(Mode::SendReceive)));
    assert!(matches!(next_report(&mut control), Report::Done { .. }));
    while stats.value(Counter::RtpSent) == 0 {
        thread::yield_now();
    }
    control.stop();
    let summary = running.expect("it has started").join();
    assert!(summary.end.is_ok());
    assert!(!summary.work.is_empty() && !summary.lateness.is_empty());
    assert!(control.has_ended());
    assert!(stats.value(Counter::CpuNanos) > 0);
    let state = net.state();
    assert!(state.dropped);
    let (slot, last) = state.sent.last().expect("a BYE");
    // RFC 3550 §6.6: packet type 203, one source.
    assert_eq!((*slot, &last[last.len() - 8..last.len() - 6]), (PortSlot(1), &[0x81, 203][..]));
}

#[test]
fn a_worker_whose_sockets_fail_ends_and_says_so() {
    let net = Net::default();
    net.state().breaks = true;
    let (running, control, _) = running(&net);
    let summary = running.expect("it has started").join();
    assert_eq!(summary.end.expect_err("the sockets failed").to_string(), "the ring is gone");
    assert!(control.has_ended());
    assert!(!control.prepare_sleep());
}

#[test]
fn a_worker_that_cannot_start_is_known_before_spawn_returns() {
    let (parts, control, ..) = parts();
    let sockets = || Err::<FakeSockets, _>(io::Error::other("port 16384 is taken"));
    let error = spawn(Recipe { core: 0, cpu: None, real_time_priority: None, parts, sockets })
        .expect_err("it cannot start");
    assert_eq!(error.to_string(), "port 16384 is taken");
    assert!(control.has_ended());

    let (parts, ..) = self::parts();
    let net = Net::default();
    let sockets = || Ok(FakeSockets(net));
    let error = spawn(Recipe { core: 0, cpu: Some(usize::MAX), real_time_priority: None, parts, sockets })
        .expect_err("there is no such CPU");
    assert!(error.to_string().contains("CPU"), "{error}");

    let (parts, ..) = self::parts();
    let net = Net::default();
    let sockets = || Ok(FakeSockets(net));
    // There are 99 at most: refused whatever privileges the test has.
    let recipe = Recipe { core: 0, cpu: None, real_time_priority: Some(100), parts, sockets };
    let error = spawn(recipe).expect_err("there is no such priority");
    assert!(error.to_string().contains("host.real_time_priority"), "{error}");
}
