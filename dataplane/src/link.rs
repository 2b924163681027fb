//! The words between control and a core, and the ring pair that carries them.
//!
//! Control sends [`Order`]s and hears [`Report`]s. An order cannot fail: whatever can run out is
//! kept by control. MGCP owns "command", "event", "signal"; these words are the ring's.
//!
//! ```text
//!   control                                        core
//!   ControlEnd ── orders: Limits::orders ─────────▶ CoreEnd
//!              ◀─ reports: orders + observations ──
//!              ◀─ wake, once a tick at most ───────
//!              ── stop ───────────────────────────▶
//! ```
//!
//! The rings never overflow where it would matter. Control counts the orders that are *under way*:
//! sent, and their `Done` not yet read. There are never more than [`Limits::orders`] of them, so the
//! order ring has room for each, and so has the part of the report ring that is kept for `Done`.
//! What a core says unasked uses the rest, and is counted when it finds no place.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::Duration;

use crossbeam::queue::ArrayQueue;
use drivers::line::{Ds0, Law, SpanId};
use drivers::net::{Dscp, PortSlot};
use drivers::span::SpanEvent;
use drivers::time::Instant;

use crate::gear::Gear;
use crate::limits::Limits;
use crate::rtp::CLOCK_RATE;

pub use crate::codec::Codec;
pub use crate::mode::Mode;
pub use crate::observation::{CheckTone, DetectorSet, Digit, DigitSet, MediaEvent, Observation, Sound};
pub use crate::stats::ConnectionStats;
pub use crate::supervision::{Quality, Silence, Supervision};
pub use crate::tone_spec::{Blend, Frequency, Step, ToneSpec};

/// The number of an order, given by control; its report bears it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OrderId(pub u64);

/// What control tells a core to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// Its number.
    pub id: OrderId,
    /// What to do.
    pub action: Action,
}

/// What can be ordered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Makes a connection of a DS0 on an idle port pair.
    Connect {
        /// The DS0.
        ds0: Ds0,
        /// The RTP slot of the pair.
        port: PortSlot,
        /// How the leg presents itself, for as long as it lives.
        identity: Identity,
        /// How it is to behave.
        leg: Leg,
    },
    /// Changes how a connection behaves.
    Modify {
        /// The RTP slot of its pair.
        port: PortSlot,
        /// How it is to behave from now on.
        leg: Leg,
    },
    /// Makes a connection of a relay on an idle port pair: of an endpoint that has no DS0, where what
    /// comes in on one connection goes out on the others as it is.
    ConnectRelay {
        /// The relay; one that has no connection is none.
        relay: RelayId,
        /// The RTP slot of the pair.
        port: PortSlot,
        /// How it is to behave.
        leg: RelayLeg,
    },
    /// Changes how a connection of a relay behaves.
    ModifyRelay {
        /// The RTP slot of its pair.
        port: PortSlot,
        /// How it is to behave from now on.
        leg: RelayLeg,
    },
    /// Ends a connection, of a DS0 or of a relay; its pair is idle from then on.
    Disconnect {
        /// The RTP slot of its pair.
        port: PortSlot,
    },
    /// Asks what a connection has seen, of a DS0 or of a relay.
    Survey {
        /// The RTP slot of its pair.
        port: PortSlot,
    },
    /// Sets the law of a DS0's octets on the line (RFC 3435 §2.3.2, bearer information).
    Encode {
        /// The DS0.
        ds0: Ds0,
        /// Its law from now on.
        law: Law,
    },
    /// Listens for these, and for nothing else any more.
    Watch {
        /// Where: to what comes from there.
        side: Side,
        /// For what.
        detectors: DetectorSet,
    },
    /// Looks after a connection's media, for this and nothing else any more; what is measured begins anew.
    Supervise {
        /// The RTP slot of its pair.
        port: PortSlot,
        /// For what.
        wanted: Supervision,
    },
    /// Plays a tone, beside those that are played there already: [`PLAYS_PER_SIDE`] at most.
    ///
    /// Its end, if it comes by itself, is reported.
    ///
    /// [`PLAYS_PER_SIDE`]: crate::limits::PLAYS_PER_SIDE
    Play {
        /// Where to.
        side: Side,
        /// What it is stopped and reported by: different from all others there.
        play: PlayId,
        /// What it is.
        tone: ToneSpec,
    },
    /// Stops a tone; nothing happens if it has come to its end before.
    Stop {
        /// Where it is played.
        side: Side,
        /// Which.
        play: PlayId,
    },
}

/// One of the two sides between which a gateway stands, of one DS0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Side {
    /// The line.
    Line(Ds0),
    /// The network: the connection on the pair of this RTP slot. What was ordered for it ends with it.
    Network(PortSlot),
}

/// The number of a tone that is played, given by control.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PlayId(pub u32);

/// How a leg presents itself to its peer, drawn at random by control (RFC 3550 §5.1, RFC 7022).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The synchronisation source.
    pub ssrc: u32,
    /// The first sequence number.
    pub sequence: u16,
    /// The first timestamp.
    pub timestamp: u32,
    /// The canonical name in RTCP: 96 random bits in base64 (RFC 7022 §4.2).
    pub cname: [u8; 16],
}

/// How one RTP leg behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leg {
    /// Who hears whom.
    pub mode: Mode,
    /// Who the peer is, as far as that is known.
    pub peer: Peer,
    /// What is sent.
    pub send: Format,
    /// What is understood.
    pub receive: Formats,
    /// The payload type under which telephone-events come (RFC 4733), if they were agreed on.
    pub receive_events: Option<u8>,
    /// How the peer is told of digits that are heard on the line or played to it, if that was agreed on:
    /// as telephone-events, and no longer in the audio. Not where `send` carries data.
    pub send_events: Option<EventFormat>,
    /// Milliseconds in a packet sent: 5, 10, 20, 30, 40 or 60.
    pub ptime_ms: NonZeroU8,
    /// The jitter buffer's bounds.
    pub jitter: JitterBounds,
    /// The mark on what is sent.
    pub dscp: Dscp,
}

/// A relay of one core, numbered by control: 0 up to, but not including, [`Limits::pairs`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RelayId(pub u32);

/// How one connection of a relay behaves.
///
/// A packet that comes from its peer goes on, in the tick in which it is taken, to the peers of the
/// relay's other connections, if this one's mode receives (`recvonly`, `sendrecv`, `confrnce`) and
/// theirs sends (`sendonly`, `sendrecv`, `confrnce`). In `loopback` and `netwloop` it goes back to the
/// peer it came from, and nowhere else; in all other modes nowhere. All of it is as it came, SSRC,
/// sequence number, timestamp and any codec's payload, but for the payload type, which is the one that
/// the receiving side knows.
// RFC 3550 §7.1: what keeps SSRCs is a translator; §7.2: it passes RTCP on as well. The two ends see
// each other's losses, and nothing is ours to report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RelayLeg {
    /// Who hears whom.
    pub mode: Mode,
    /// Who the peer is, as far as that is known; never [`Peer::Local`].
    pub peer: Peer,
    /// What payload types mean to this peer.
    pub types: PayloadTypes,
    /// What its timestamps count.
    pub clocks: ClockRates,
    /// The mark on what is sent.
    pub dscp: Dscp,
}

/// Payload types of one peer, and what they are called in the relay: up to [`Self::MAX`] that differ.
///
/// What comes from the peer under `theirs` is known in the relay as `common`, and what is known as
/// `common` is sent to it under `theirs`. All others pass unchanged. Where there are two connections,
/// the types of one can be the common ones: it needs no entries then.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PayloadTypes([Option<PayloadType>; Self::MAX]);

/// One payload type under its two numbers, each 0 to 127.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PayloadType {
    /// What the peer calls it.
    pub theirs: u8,
    /// What the relay calls it.
    pub common: u8,
}

impl PayloadTypes {
    /// How many there is room for.
    pub const MAX: usize = 16;

    /// All are the same on both sides.
    pub const SAME: Self = Self([None; Self::MAX]);

    /// The first [`Self::MAX`] of `types`. Of two for one number the first counts.
    pub fn new(types: impl IntoIterator<Item = PayloadType>) -> Self {
        let mut all = Self::SAME;
        for (place, payload_type) in all.0.iter_mut().zip(types) {
            *place = Some(payload_type);
        }
        all
    }

    /// What the relay calls what comes from the peer under `theirs`.
    pub fn common(&self, theirs: u8) -> u8 {
        self.iter().find(|one| one.theirs == theirs).map_or(theirs, |one| one.common)
    }

    /// Under what the peer is sent what the relay calls `common`.
    pub fn theirs(&self, common: u8) -> u8 {
        self.iter().find(|one| one.common == common).map_or(common, |one| one.theirs)
    }

    fn iter(&self) -> impl Iterator<Item = PayloadType> + '_ {
        self.0.iter().map_while(|one| *one)
    }
}

/// What the timestamps of a peer's payload types count, where that is not 8,000 Hz: up to [`Self::MAX`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ClockRates([Option<(u8, u32)>; Self::MAX]);

impl ClockRates {
    /// How many there is room for.
    pub const MAX: usize = 4;

    /// All count 8,000 Hz.
    pub const USUAL: Self = Self([None; Self::MAX]);

    /// Of payload types and their clock rates in Hz, the first [`Self::MAX`] that are not usual, but no more
    /// than 1 MHz.
    pub fn new(rates: impl IntoIterator<Item = (u8, u32)>) -> Self {
        let mut all = Self::USUAL;
        let unusual = rates.into_iter().filter(|(_, hz)| *hz != CLOCK_RATE && (1..=1_000_000).contains(hz));
        for (place, rate) in all.0.iter_mut().zip(unusual) {
            *place = Some(rate);
        }
        all
    }

    /// What those of a payload type count, in Hz.
    pub fn of(&self, payload_type: u8) -> u32 {
        let mut rates = self.0.iter().map_while(|rate| *rate);
        rates.find(|(number, _)| *number == payload_type).map_or(CLOCK_RATE, |(_, hz)| hz)
    }
}

/// What is known of the other end of a leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Peer {
    /// No remote description has come yet: whoever sends is taken for it (RFC 3435 §2.3.5).
    Undescribed,
    /// Its description names no address: it is on hold, and nobody else is taken for it.
    OnHold,
    /// It is there.
    At(Remote),
    /// It is another leg of this core, on the pair of this RTP slot: a local connection (RFC 3435
    /// §2.1.3.4). Octets go straight from one DS0 to the other, as long as each leg names the other
    /// as its peer; no packet is made of them. Only the codec of `send` counts: from clearmode octets
    /// pass as they are, from all others in the law of the line that they go to.
    ///
    /// Two DS0s of different cores speak RTP to each other's address instead.
    Local(PortSlot),
}

impl Peer {
    /// Where it is.
    pub const fn remote(&self) -> Option<Remote> {
        match self {
            Self::Undescribed | Self::OnHold | Self::Local(_) => None,
            Self::At(remote) => Some(*remote),
        }
    }

    /// The leg of this core that it is.
    pub const fn local(&self) -> Option<PortSlot> {
        match self {
            Self::Undescribed | Self::OnHold | Self::At(_) => None,
            Self::Local(port) => Some(*port),
        }
    }

    /// Whether a datagram from `from` can be its, given the address that is looked at.
    pub fn may_be(&self, from: SocketAddr, address: impl Fn(&Remote) -> SocketAddr) -> bool {
        match self {
            Self::Undescribed => true,
            Self::OnHold | Self::Local(_) => false,
            Self::At(remote) => is_same(address(remote), from),
        }
    }
}

/// The same address and port. Scope and flow label of an IPv6 address are not the peer's to know.
pub(crate) fn is_same(a: SocketAddr, b: SocketAddr) -> bool {
    a.ip() == b.ip() && a.port() == b.port()
}

/// Where a peer receives, and where it must send from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Remote {
    /// Its RTP address.
    pub rtp: SocketAddr,
    /// Its RTCP address: the next port unless `a=rtcp` says otherwise (RFC 3605).
    pub rtcp: SocketAddr,
}

/// A codec under its payload type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Format {
    /// The RTP payload type, 0 to 127.
    pub payload_type: u8,
    /// What it carries.
    pub codec: Codec,
}

/// Telephone-events (RFC 4733) as a peer takes them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventFormat {
    /// The RTP payload type, 0 to 127.
    pub payload_type: u8,
    /// The digits that it understands.
    pub digits: DigitSet,
}

/// Up to four formats.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Formats([Option<Format>; Self::MAX]);

impl Formats {
    /// How many there is room for.
    pub const MAX: usize = 4;

    /// No format.
    pub const NONE: Self = Self([None; Self::MAX]);

    /// The first [`Self::MAX`] of `formats`.
    pub fn new(formats: impl IntoIterator<Item = Format>) -> Self {
        let mut all = Self::default();
        for (place, format) in all.0.iter_mut().zip(formats) {
            *place = Some(format);
        }
        all
    }

    /// What a payload type carries, if it is one of these.
    pub fn codec(&self, payload_type: u8) -> Option<Codec> {
        self.iter().find(|format| format.payload_type == payload_type).map(|format| format.codec)
    }

    /// The formats, in order of preference.
    pub fn iter(&self) -> impl Iterator<Item = Format> + '_ {
        self.0.iter().flatten().copied()
    }
}

/// How long octets wait in the jitter buffer before they are played.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JitterBounds {
    /// At the start, and on a clean network always.
    pub nominal_ms: u16,
    /// At most, however late packets come.
    pub max_ms: u16,
    /// Whether the delay may change during the connection.
    pub adaptive: bool,
}

impl JitterBounds {
    /// The wait at the start.
    pub const fn nominal(&self) -> Duration {
        Duration::from_millis(self.nominal_ms as u64)
    }
}

/// What a core tells control.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Report {
    /// An order has been carried out. Exactly one an order, in the order of the orders.
    Done {
        /// The order's number.
        id: OrderId,
        /// What came of it.
        outcome: Outcome,
    },
    /// Something happened to a span.
    Span {
        /// The span.
        span: SpanId,
        /// What happened.
        event: SpanEvent,
    },
    /// Something happened that was watched for, or to a tone that was played.
    Observed {
        /// Where.
        side: Side,
        /// When: of a sound, when it began or ended, not when it was recognised.
        at: Instant,
        /// What.
        what: Observation,
    },
}

/// What came of an order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was done, and this is what the connection has seen (Disconnect, Survey).
    Seen(ConnectionStats),
}

const _: () = assert!(size_of::<Order>() <= 192, "an order is three cache lines at most");

/// The two ends of a new ring pair. `wake` is called on the core's thread when control sleeps and
/// there is something to read; it must not block.
pub fn pair(limits: &Limits, wake: Box<dyn Fn() + Send>) -> (ControlEnd, CoreEnd) {
    let shared = Arc::new(Shared {
        orders: ArrayQueue::new(limits.orders),
        returned: ArrayQueue::new(limits.orders),
        reports: ArrayQueue::new(limits.orders + limits.observations),
        asleep: AtomicBool::new(false),
        stop: AtomicBool::new(false),
        ended: AtomicBool::new(false),
    });
    let control = ControlEnd { shared: Arc::clone(&shared), under_way: 0 };
    let core = CoreEnd { shared, wake, observations: limits.observations, news: false };
    (control, core)
}

/// What both ends hold.
#[derive(Debug)]
struct Shared {
    orders: ArrayQueue<(Order, Gear)>,
    /// What orders did not want, or connections no longer do.
    returned: ArrayQueue<Gear>,
    reports: ArrayQueue<Report>,
    /// Control is about to sleep or sleeps: it wants to be woken.
    asleep: AtomicBool,
    /// Control wants the worker to end.
    stop: AtomicBool,
    /// The core's end is gone: nothing will be reported any more.
    ended: AtomicBool,
}

/// Control's end: orders in, reports out.
#[derive(Debug)]
pub struct ControlEnd {
    shared: Arc<Shared>,
    /// Orders sent whose `Done` has not been read.
    under_way: usize,
}

impl ControlEnd {
    /// Sends an order, and with it what it may want.
    ///
    /// # Panics
    /// If there is no [`room`](Self::room): a plan that asks for more orders than there is room for
    /// must have been refused before anything of it was carried out.
    pub fn send(&mut self, order: Order) {
        assert!(self.room() > 0, "a plan may order no more than there is room for");
        self.under_way += 1;
        let gear = Gear::for_action(&order.action);
        self.shared.orders.push((order, gear)).expect("no more orders wait than are under way");
    }

    /// The next report, if one has come.
    pub fn poll_report(&mut self) -> Option<Report> {
        let report = self.shared.reports.pop()?;
        if let Report::Done { .. } = report {
            self.under_way -= 1;
        }
        while self.shared.returned.pop().is_some() {}
        Some(report)
    }

    /// How many more orders can be sent now.
    pub fn room(&self) -> usize {
        self.shared.orders.capacity() - self.under_way
    }

    /// Says that control is about to sleep. If a report has come meanwhile it says `false`: read it,
    /// and do not sleep. Else the core wakes control for the next one.
    // No wake-up is lost: here `asleep` is stored before the ring is looked at; the core fills the
    // ring before it looks at `asleep`. The two fences forbid that each sees the other's old value.
    pub fn prepare_sleep(&self) -> bool {
        self.shared.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let quiet = self.shared.reports.is_empty() && !self.has_ended();
        if !quiet {
            self.woke();
        }
        quiet
    }

    /// Says that control is awake and will look at the reports before it sleeps again.
    pub fn woke(&self) {
        self.shared.asleep.store(false, Ordering::Relaxed);
    }

    /// Asks the worker to end.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
    }

    /// Whether the core has ended, because it was told to or because it failed. Its last reports
    /// can still be read.
    pub fn has_ended(&self) -> bool {
        self.shared.ended.load(Ordering::Acquire)
    }
}

/// A core's end: orders out, reports in.
pub struct CoreEnd {
    shared: Arc<Shared>,
    wake: Box<dyn Fn() + Send>,
    /// Reports that nobody asked for give way when this many of any kind wait.
    observations: usize,
    /// Something was reported since control was last woken or found awake.
    news: bool,
}

impl CoreEnd {
    /// The orders that wait, at most `n`, each with what it may want.
    // An empty ring costs one shared load, a `pop` on an empty ring a full fence.
    pub fn orders(&self, n: usize) -> impl Iterator<Item = (Order, Gear)> + '_ {
        let n = if self.shared.orders.is_empty() { 0 } else { n };
        (0..n).map_while(|_| self.shared.orders.pop())
    }

    /// Gives back what came with an order or an earlier one; to be called before that order's `Done` is
    /// [reported](Self::report).
    ///
    /// # Panics
    /// If more is given back than orders are under way.
    pub fn give_back(&mut self, gear: Gear) {
        self.shared.returned.push(gear).expect("an order gives back once, and its Done has not been read");
    }

    /// Reports something; `false` if there was no place for it, which cannot be for a `Done`.
    ///
    /// # Panics
    /// If a `Done` finds no place: then more orders were answered than given.
    #[must_use]
    pub fn report(&mut self, report: Report) -> bool {
        match report {
            Report::Done { .. } => {
                self.shared.reports.push(report).expect("each order under way has a place kept for its Done");
            }
            // At most `observations` of these ever wait, so they leave the orders' places free.
            Report::Span { .. } | Report::Observed { .. } => {
                if self.shared.reports.len() >= self.observations {
                    return false;
                }
                self.shared.reports.push(report).expect("the ring is larger than what observations may use");
            }
        }
        self.news = true;
        true
    }

    /// Wakes control if it sleeps and there is news. To be called at the end of a tick.
    pub fn nudge(&mut self) {
        if !self.news {
            return;
        }
        self.news = false;
        // See `prepare_sleep`: the ring was filled before this fence, `asleep` is looked at after it.
        fence(Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::Relaxed) && self.shared.asleep.swap(false, Ordering::Relaxed) {
            (self.wake)();
        }
    }

    /// Whether control wants the worker to end.
    pub fn is_stopped(&self) -> bool {
        self.shared.stop.load(Ordering::Acquire)
    }
}

/// However the worker ends, a panic included, control gets to know.
impl Drop for CoreEnd {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        self.news = true;
        self.nudge();
    }
}

impl fmt::Debug for CoreEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoreEnd").field("shared", &self.shared).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use drivers::line::Alarms;

    use super::*;

    const LIMITS: Limits =
        Limits { pairs: 1, relays: 0, jitter_buffer_octets: 1_024, orders: 4, observations: 2 };

    /// A pair, and how often control was woken.
    fn woken_pair() -> (ControlEnd, CoreEnd, Arc<AtomicUsize>) {
        let woken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&woken);
        let wake = move || {
            count.fetch_add(1, Ordering::SeqCst);
        };
        let (control, core) = pair(&LIMITS, Box::new(wake));
        (control, core, woken)
    }

    fn survey(id: u64) -> Order {
        Order { id: OrderId(id), action: Action::Survey { port: PortSlot(0) } }
    }

    fn done(id: u64) -> Report {
        Report::Done { id: OrderId(id), outcome: Outcome::Done }
    }

    fn alarm() -> Report {
        Report::Span { span: SpanId(0), event: SpanEvent::Alarms(Alarms::NONE) }
    }

    #[test]
    fn orders_come_out_in_order_and_no_more_than_asked() {
        let (mut control, core, _) = woken_pair();
        (0..4).for_each(|id| control.send(survey(id)));
        assert_eq!(core.orders(3).map(|(order, _)| order.id.0).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(core.orders(3).map(|(order, _)| order.id.0).collect::<Vec<_>>(), [3]);
        assert_eq!(core.orders(3).count(), 0);
    }

    #[test]
    fn an_order_takes_its_room_until_its_done_is_read() {
        let (mut control, mut core, _) = woken_pair();
        (0..4).for_each(|id| control.send(survey(id)));
        assert_eq!(control.room(), 0);
        for (order, _) in core.orders(4).collect::<Vec<_>>() {
            assert!(core.report(done(order.id.0)));
        }
        assert_eq!(control.room(), 0, "answered, but not read");
        assert_eq!(control.poll_report(), Some(done(0)));
        assert_eq!(control.room(), 1);
    }

    #[test]
    #[should_panic(expected = "a plan may order no more")]
    fn an_order_without_room_is_a_broken_plan() {
        let (mut control, _core, _) = woken_pair();
        (0..5).for_each(|id| control.send(survey(id)));
    }

    #[test]
    fn observations_never_take_the_place_of_a_done() {
        let (mut control, mut core, _) = woken_pair();
        (0..4).for_each(|id| control.send(survey(id)));
        assert!(core.report(alarm()));
        assert!(core.report(alarm()));
        assert!(!core.report(alarm()), "only as many observations as there are places");
        assert!((0..4).all(|id| core.report(done(id))));
        assert_eq!(std::iter::from_fn(|| control.poll_report()).count(), 6);
    }

    #[test]
    fn gear_goes_with_the_orders_that_may_want_it_and_there_is_room_for_all_of_it_to_come_back() {
        let (mut control, mut core, _) = woken_pair();
        let side = Side::Network(PortSlot(0));
        for _ in 0..3 {
            for id in 0..4 {
                let action = Action::Watch { side, detectors: DetectorSet::DTMF };
                control.send(Order { id: OrderId(id), action });
            }
            for (order, gear) in core.orders(4).collect::<Vec<_>>() {
                assert!(!gear.is_empty());
                core.give_back(gear);
                assert!(core.report(done(order.id.0)));
            }
            assert_eq!(std::iter::from_fn(|| control.poll_report()).count(), 4);
        }
        control.send(survey(0));
        assert!(core.orders(1).all(|(_, gear)| gear.is_empty()));
    }

    #[test]
    fn control_is_woken_once_and_only_while_it_sleeps() {
        let (mut control, mut core, woken) = woken_pair();
        let mut tick_with_news = || {
            assert!(core.report(alarm()));
            core.nudge();
            woken.load(Ordering::SeqCst)
        };
        assert_eq!(tick_with_news(), 0, "control is awake");
        assert!(!control.prepare_sleep(), "a report waits: it must not sleep");
        assert!(control.poll_report().is_some());
        assert!(control.prepare_sleep());
        assert_eq!(tick_with_news(), 1);
        assert_eq!(tick_with_news(), 1, "it has been woken already");
        drop(core);
        assert_eq!(woken.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_core_that_ends_wakes_control() {
        let (control, core, woken) = woken_pair();
        assert!(control.prepare_sleep());
        drop(core);
        assert_eq!(woken.load(Ordering::SeqCst), 1);
        assert!(control.has_ended());
        assert!(!control.prepare_sleep());
    }

    /// Two threads, as in life: each report is read although control sleeps whenever it may.
    #[test]
    fn no_wake_up_is_lost() {
        const REPORTS: u64 = 20_000;
        let (wake, woken) = std::sync::mpsc::channel();
        let limits = Limits { orders: 1, observations: 8, ..LIMITS };
        let (mut control, mut core) = pair(
            &limits,
            Box::new(move || {
                let _ = wake.send(());
            }),
        );
        let core = std::thread::spawn(move || {
            let mut sent = 0;
            while sent < REPORTS {
                if core.report(alarm()) {
                    sent += 1;
                } else {
                    std::thread::yield_now();
                }
                core.nudge();
            }
        });
        let mut read = 0;
        while read < REPORTS {
            read += std::iter::from_fn(|| control.poll_report()).count() as u64;
            if read < REPORTS && control.prepare_sleep() {
                woken.recv_timeout(Duration::from_secs(10)).expect("the core wakes control");
                control.woke();
            }
        }
        core.join().expect("the core ends well");
    }
}
