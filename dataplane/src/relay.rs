//! Relays: endpoints without a DS0, whose connections pass on to each other what their peers send.
//!
//! A relay is the translator of RFC 3550 §7 that changes nothing but addresses and payload types:
//! SSRC, sequence numbers, timestamps, the marker, header extensions and payloads of any codec pass as
//! they came, and so does RTCP, or the ends could not tell what was lost between them. There is no
//! buffer: what comes in a tick leaves in the same tick, copied once on the way, because sockets are
//! sent through only after all of them have been received from.

use std::net::SocketAddr;

use self::legs::Legs;
use drivers::net::{PortSlot, RtpSockets};
use drivers::time::Instant;

use crate::connection::{Tally, receives, seen};
use crate::limits::{CONNECTIONS_PER_ENDPOINT, Limits};
use crate::link::{ConnectionStats, Mode, RelayId, RelayLeg};
use crate::rtp::CLOCK_RATE;
use crate::rtp::packet::{Packet, rewrite_payload_type};
use crate::rtp::rtcp;
use crate::rtp::source::Source;
use crate::stats::{Counter, Stats};

mod legs;

/// The relays of one core, and their connections.
#[derive(Debug)]
pub(crate) struct Relays {
    legs: Legs,
    /// By relay: the pairs of its connections, oldest first.
    relays: Box<[Pairs]>,
    forwards: Forwards,
}

type Pairs = [Option<u32>; CONNECTIONS_PER_ENDPOINT];

/// One connection of a relay.
#[derive(Debug)]
struct Leg {
    relay: RelayId,
    behaviour: RelayLeg,
    source: Source,
    /// What its timestamps count.
    clock_hz: u32,
    /// Who the last packet came from.
    heard_from: Option<SocketAddr>,
    /// Whether its mode has ever had it receive.
    has_received: bool,
    received: Tally,
    sent: Tally,
}

impl Relays {
    /// Room for all connections that the relays can have.
    pub(crate) fn new(limits: &Limits) -> Self {
        let legs = legs_max(limits);
        Self {
            legs: Legs::new(limits.pairs, legs),
            relays: vec![[None; _]; limits.relays].into(),
            forwards: Forwards::new(legs),
        }
    }

    /// Octets of memory that they take.
    pub(crate) const fn memory(limits: &Limits) -> usize {
        let legs = legs_max(limits);
        Legs::memory(limits.pairs, legs) + limits.relays * size_of::<Pairs>() + Forwards::memory(legs)
    }

    /// Makes a connection of a relay.
    ///
    /// # Panics
    /// If the pair is taken, or the relay is full.
    pub(crate) fn connect(&mut self, relay: RelayId, pair: usize, behaviour: RelayLeg) {
        assert!(!self.has(pair), "a connection is made on an idle pair");
        let free = self.relays[relay.0 as usize].iter_mut().find(|place| place.is_none());
        *free.expect("control keeps to CONNECTIONS_PER_ENDPOINT") = Some(pair as u32);
        self.legs.insert(pair, Leg::new(relay, behaviour));
    }

    /// Changes how a connection behaves.
    ///
    /// # Panics
    /// If there is none on that pair.
    pub(crate) fn modify(&mut self, pair: usize, behaviour: RelayLeg) {
        self.legs.get_mut(pair).expect("control changes only what it has connected").modify(behaviour);
    }

    /// Ends the connection on a pair, if there is one; says what it has seen.
    pub(crate) fn disconnect(&mut self, pair: usize) -> Option<ConnectionStats> {
        let leg = self.legs.remove(pair)?;
        let pairs = &mut self.relays[leg.relay.0 as usize];
        let place = pairs.iter().position(|&held| held == Some(pair as u32)).expect("it was connected here");
        pairs[place..].rotate_left(1);
        pairs[CONNECTIONS_PER_ENDPOINT - 1] = None;
        Some(leg.seen())
    }

    /// What the connection on a pair has seen, if there is one.
    pub(crate) fn seen(&self, pair: usize) -> Option<ConnectionStats> {
        self.legs.get(pair).map(Leg::seen)
    }

    /// Whether a pair carries a connection of a relay.
    pub(crate) fn has(&self, pair: usize) -> bool {
        self.legs.get(pair).is_some()
    }

    /// Takes a datagram that came to one of the core's ports: it is sent on at the end of the tick.
    pub(crate) fn receive(
        &mut self,
        slot: PortSlot,
        from: SocketAddr,
        arrived: Instant,
        octets: &[u8],
        stats: &Stats,
    ) {
        let Some(leg) = self.legs.get_mut(slot.pair()) else {
            stats.add(Counter::DroppedIdle, 1);
            return;
        };
        let taken = if slot.is_rtp() {
            leg.take_rtp(from, arrived, octets, stats)
        } else {
            leg.take_rtcp(from, octets, stats)
        };
        match taken {
            Ok(datagram) => self.forward(slot, datagram, octets, stats),
            Err(reason) => stats.add(reason, 1),
        }
    }

    /// Notes a datagram for everyone who is to have it.
    fn forward(&mut self, slot: PortSlot, datagram: Datagram, octets: &[u8], stats: &Stats) {
        let Self { legs, relays, forwards } = self;
        let pair = slot.pair();
        let leg = legs.get(pair).expect("only a live leg takes a datagram to forward");
        let mut copy = None;
        for to in relays[leg.relay.0 as usize].iter().flatten().map(|&to| to as usize) {
            let heir = legs.get(to).expect("a relay names live legs only");
            let Some(address) = leg.address(heir, to == pair, datagram) else { continue };
            let Some(start) = copy.or_else(|| forwards.copy(octets)) else {
                stats.add(Counter::SendFull, 1);
                return;
            };
            copy = Some(start);
            let payload_type = match datagram {
                Datagram::Rtcp => None,
                // In a loop nothing has a common name: what came goes back.
                Datagram::Rtp { .. } if to == pair => None,
                Datagram::Rtp { payload_type, .. } => {
                    Some(heir.behaviour.types.theirs(leg.behaviour.types.common(payload_type)))
                }
            };
            let from = if slot.is_rtp() { PortSlot(to as u32 * 2) } else { PortSlot(to as u32 * 2).rtcp() };
            let len = octets.len() as u16;
            let forward =
                Forward { from, to: address, start, len, payload_type, payload: datagram.payload() };
            if !forwards.push(forward) {
                stats.add(Counter::SendFull, 1);
            }
        }
        if copy.is_none() && slot.is_rtp() {
            stats.add(Counter::DroppedMode, 1);
        }
    }

    /// Sends what was taken in this tick, in the order in which it came.
    pub(crate) fn transmit(&mut self, sockets: &mut impl RtpSockets, stats: &Stats) {
        let Self { legs, forwards, .. } = self;
        for forward in forwards.queue.drain(..) {
            let octets = &forwards.octets[forward.start as usize..][..usize::from(forward.len)];
            let sent = sockets.send(forward.from, forward.to, octets.len(), |out| {
                out.copy_from_slice(octets);
                if let Some(payload_type) = forward.payload_type {
                    rewrite_payload_type(out, payload_type);
                }
            });
            // What finds no room is lost, as on any full link; the sockets count it.
            if sent.is_err() {
                continue;
            }
            if !forward.from.is_rtp() {
                stats.add(Counter::RtcpSent, 1);
                continue;
            }
            stats.add(Counter::RtpSent, 1);
            stats.add(Counter::RtpSentOctets, forward.payload.into());
            if let Some(leg) = legs.get_mut(forward.from.pair()) {
                leg.sent.add(forward.payload.into());
            }
        }
        forwards.len = 0;
    }
}

/// What a datagram is.
#[derive(Clone, Copy, Debug)]
enum Datagram {
    Rtp { payload_type: u8, payload: u16 },
    Rtcp,
}

impl Datagram {
    const fn payload(self) -> u16 {
        match self {
            Self::Rtp { payload, .. } => payload,
            Self::Rtcp => 0,
        }
    }
}

impl Leg {
    const fn new(relay: RelayId, behaviour: RelayLeg) -> Self {
        Self {
            relay,
            has_received: receives(behaviour.mode),
            behaviour,
            source: Source::new(),
            clock_hz: CLOCK_RATE,
            heard_from: None,
            received: Tally { packets: 0, octets: 0 },
            sent: Tally { packets: 0, octets: 0 },
        }
    }

    fn modify(&mut self, behaviour: RelayLeg) {
        let old = std::mem::replace(&mut self.behaviour, behaviour);
        self.has_received |= receives(behaviour.mode);
        if behaviour.peer.is_another(&old.peer, self.heard_from) {
            self.source.forget();
        }
    }

    /// Whether a datagram is RTP of the peer; else what it counts as.
    fn take_rtp(
        &mut self,
        from: SocketAddr,
        arrived: Instant,
        octets: &[u8],
        stats: &Stats,
    ) -> Result<Datagram, Counter> {
        if !self.behaviour.peer.may_be(from, |remote| remote.rtp) {
            return Err(Counter::DroppedSource);
        }
        let packet = Packet::new_checked(octets).map_err(|_| Counter::DroppedMalformed)?;
        // What the numbers say is counted; what to make of them is for the one who plays the packets.
        let clock_hz = self.behaviour.clocks.of(packet.payload_type());
        let before_hz = std::mem::replace(&mut self.clock_hz, clock_hz);
        if clock_hz != before_hz {
            self.source.change_clock(before_hz, clock_hz);
        }
        let _ = self.source.receive_at(clock_hz, arrived, &packet);
        self.heard_from = Some(from);
        let payload = packet.payload().len();
        self.received.add(payload);
        stats.add(Counter::RtpReceived, 1);
        stats.add(Counter::RtpReceivedOctets, payload as u64);
        Ok(Datagram::Rtp { payload_type: packet.payload_type(), payload: payload as u16 })
    }

    /// Whether a datagram is RTCP of the peer; else what it counts as.
    fn take_rtcp(&self, from: SocketAddr, octets: &[u8], stats: &Stats) -> Result<Datagram, Counter> {
        if !self.behaviour.peer.may_be(from, |remote| remote.rtcp) {
            return Err(Counter::DroppedSource);
        }
        rtcp::check(octets).map_err(|_| Counter::DroppedMalformed)?;
        stats.add(Counter::RtcpReceived, 1);
        Ok(Datagram::Rtcp)
    }

    /// Where what came on this leg is to be sent by `heir`, which may be itself.
    fn address(&self, heir: &Self, is_itself: bool, datagram: Datagram) -> Option<SocketAddr> {
        let (from, to) = (self.behaviour.mode, heir.behaviour.mode);
        let passes = match datagram {
            Datagram::Rtp { .. } if is_itself => is_loop(from),
            Datagram::Rtp { .. } => from.is_heard() && to.is_fed(),
            // RFC 3550 §7.2: reception reports go against the media, so they pass where media do either
            // way; in a loop they would tell the peer only of itself.
            Datagram::Rtcp if is_itself => false,
            Datagram::Rtcp => from.is_heard() && to.is_fed() || to.is_heard() && from.is_fed(),
        };
        let remote = heir.behaviour.peer.remote().filter(|_| passes)?;
        Some(match datagram {
            Datagram::Rtp { .. } => remote.rtp,
            Datagram::Rtcp => remote.rtcp,
        })
    }

    fn seen(&self) -> ConnectionStats {
        seen(self.sent, self.has_received.then_some((self.received, &self.source, self.clock_hz)))
    }
}

/// Datagrams on their way from one leg to others.
#[derive(Debug)]
struct Forwards {
    /// Datagrams as they came, one after another.
    octets: Box<[u8]>,
    /// How much of `octets` is in use.
    len: usize,
    queue: Vec<Forward>,
}

/// One datagram to be sent.
#[derive(Clone, Copy, Debug)]
struct Forward {
    /// The slot it leaves from.
    from: PortSlot,
    to: SocketAddr,
    /// Where its octets begin, and how many there are.
    start: u32,
    len: u16,
    /// The payload type to be put into it.
    payload_type: Option<u8>,
    /// Octets of its RTP payload.
    payload: u16,
}

impl Forwards {
    /// Datagrams for each leg: at 50 a second, what comes in 40 ms. A tick takes what came in 5 ms, and no
    /// more than some 20 if it is late.
    const DATAGRAMS: usize = 2;

    /// Octets of a datagram for which there is room on average: RTP with 20 ms of G.711.
    const DATAGRAM: usize = 192;

    /// Octets of memory for so many legs.
    const fn memory(legs: usize) -> usize {
        Self::datagrams(legs) * (Self::DATAGRAM + size_of::<Forward>())
    }

    /// For how many datagrams there is room: for a burst, however few legs there are.
    const fn datagrams(legs: usize) -> usize {
        let datagrams = legs * Self::DATAGRAMS;
        if legs == 0 || datagrams > 512 { datagrams } else { 512 }
    }

    fn new(legs: usize) -> Self {
        let datagrams = Self::datagrams(legs);
        Self {
            octets: vec![0; datagrams * Self::DATAGRAM].into(),
            len: 0,
            queue: Vec::with_capacity(datagrams),
        }
    }

    /// Keeps a datagram's octets until the end of the tick, if there is room; says where they are.
    fn copy(&mut self, octets: &[u8]) -> Option<u32> {
        let start = self.len;
        self.octets[start..].get_mut(..octets.len())?.copy_from_slice(octets);
        self.len += octets.len();
        Some(start as u32)
    }

    /// Queues one, if there is room.
    fn push(&mut self, forward: Forward) -> bool {
        let has_room = self.queue.len() < self.queue.capacity();
        if has_room {
            self.queue.push(forward);
        }
        has_room
    }
}

/// How many connections all relays can have together.
const fn legs_max(limits: &Limits) -> usize {
    let most = limits.relays * CONNECTIONS_PER_ENDPOINT;
    if most < limits.pairs { most } else { limits.pairs }
}

/// Whether what comes in on a leg in this mode goes back on it.
const fn is_loop(mode: Mode) -> bool {
    matches!(mode, Mode::Loopback | Mode::NetworkLoopback)
}
