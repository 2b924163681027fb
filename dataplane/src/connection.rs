//! One RTP leg: what it sends, what it hears, and what it has counted.
//!
//! A connection's place is that of its port pair, and it is there from the start: idle, or the leg of
//! a DS0. It knows the line's law and the peer's formats and translates on the way in and on the way
//! out, so that its channel sees the line's law only. RTCP is [`reporting`](crate::reporting)'s.

use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::time::Duration;

use drivers::line::{FRAME, Law, TIMESLOTS_MAX};
use drivers::memory;
use drivers::net::{Dscp, PortSlot};
use drivers::time::Instant;

use crate::codec::{Codec, g711};
use crate::dsp::transponder::Transponder;
use crate::elastic_store::ElasticStore;
use crate::jitter_buffer::{Fill, JitterBuffer};
use crate::limits::Limits;
use crate::link::{
    ConnectionStats, DetectorSet, Format, Formats, Identity, JitterBounds, Leg, Mode, Peer, PlayId, Side,
    ToneSpec,
};
use crate::packetizer::Packetizer;
use crate::reports::Reports;
use crate::rtp::CLOCK_RATE;
use crate::rtp::dialler::{Dialler, Origin};
use crate::rtp::packet::Header;
use crate::rtp::source::Source;
use crate::station::Station;
use crate::stats::{Counter, Stats};

mod aside;
mod dialling;
mod receiving;

pub(crate) use self::aside::Aside;

/// The leg on one port pair.
#[derive(Debug)]
pub(crate) struct Connection {
    playout: Playout,
    feed: Feed,
    /// The RTP slot of its pair.
    port: PortSlot,
    /// The channel it belongs to; `None` while the pair is idle.
    pub channel: Option<u32>,
    /// Our SSRC.
    pub ssrc: u32,
    /// How it behaves.
    pub leg: Leg,
    /// The line's law.
    law: Law,
    /// What is known of what the peer sends.
    pub source: Source,
    /// Who the last packet that was accepted came from.
    heard_from: Option<SocketAddr>,
    /// What has been sent.
    pub sent: Tally,
    /// What has been received.
    pub received: Tally,
    /// When RTP last came from the peer, whether it was of use or not.
    pub heard_at: Instant,
    /// What the last audio was.
    pub heard: Heard,
    /// Whether RTP has come while its mode had it receive.
    has_begun: bool,
    /// Whether it is to be told when the first packet comes.
    is_awaited: bool,
    /// Whether its mode has ever had it receive.
    has_received: bool,
    /// Whether the peer was once found to use our SSRC.
    has_collided: bool,
    /// How often the jitter buffer has been adjusted.
    adjustments: u32,
    /// Of what comes from the other leg, if the peer is one of this core's. The octets lie in the jitter
    /// buffer's memory, which has nothing to keep then.
    elastic_store: ElasticStore,
    /// What only some need.
    aside: Option<Box<Aside>>,
}

/// All that a block played needs, but for its octets: the memory of thousands of connections does not stay
/// in a CPU's cache from one block to the next, so what is touched is what it costs.
#[derive(Debug)]
#[repr(align(128))]
struct Playout {
    jitter_buffer: JitterBuffer,
    /// Whether what comes in goes anywhere.
    is_heard: bool,
    /// Whether it comes from another leg of this core, not from the network.
    is_local: bool,
    /// Whether `aside` is there and has something to do: to hear, to play of the peer's digits.
    is_watched: bool,
    is_dialling: bool,
}

/// All that a block fed to the peer needs, but for its octets.
#[derive(Debug)]
#[repr(align(64))]
struct Feed {
    packetizer: Packetizer,
    /// From the line's law to that of what is sent.
    encode: Option<&'static [u8; 256]>,
    /// Up to where on the line's clock the packetizer has been told.
    clock: u64,
    /// Where it goes.
    outlet: Outlet,
    /// Whether `aside` has something to play to the peer.
    is_playing: bool,
    /// Whether `aside` has digits to tell the peer of.
    is_telling: bool,
}

const _: () =
    assert!(JitterBuffer::CAPACITY_MIN >= ElasticStore::CAPACITY, "its memory is lent to the other");
const _: () = assert!(size_of::<Playout>() <= 128, "a pair of cache lines, which CPUs fetch together");
const _: () = assert!(size_of::<Feed>() <= 64, "one cache line");
const _: () = assert!(size_of::<Connection>() <= 512, "thousands of them, most idle");

/// Where what is fed to a connection goes: what its peer says of that, in an octet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outlet {
    Nowhere,
    Network,
    Local,
}

/// A packet of audio, as far as it shows how the peer sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Heard {
    /// Its payload type.
    pub payload_type: u8,
    /// Octets of its payload.
    pub octets: u16,
}

/// Packets and their payload octets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tally {
    /// Packets.
    pub packets: u32,
    /// Payload octets: 32 bits would turn over after six days, and circuits are nailed up for longer.
    pub octets: u64,
}

/// A peer uses our SSRC: ours must change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Collision;

impl Connection {
    /// An idle one on the pair of this RTP slot.
    pub(crate) fn new(port: PortSlot, limits: &Limits) -> Self {
        Self {
            playout: Playout {
                jitter_buffer: JitterBuffer::new(limits.jitter_buffer_octets),
                is_heard: false,
                is_local: false,
                is_watched: false,
                is_dialling: false,
            },
            feed: Feed {
                packetizer: Packetizer::new(),
                encode: None,
                clock: 0,
                outlet: Outlet::Nowhere,
                is_playing: false,
                is_telling: false,
            },
            port,
            channel: None,
            ssrc: 0,
            leg: IDLE,
            law: Law::A,
            source: Source::new(),
            heard_from: None,
            sent: Tally::default(),
            received: Tally::default(),
            heard_at: Instant::ZERO,
            heard: Heard::default(),
            has_begun: false,
            is_awaited: false,
            has_received: false,
            has_collided: false,
            adjustments: 0,
            elastic_store: ElasticStore::new(),
            aside: None,
        }
    }

    /// Octets of memory that one takes, its buffers with it, but without what only some need.
    pub(crate) const fn memory(limits: &Limits) -> usize {
        size_of::<Self>() + Packetizer::BUFFER + JitterBuffer::memory(limits.jitter_buffer_octets)
    }

    /// Becomes a leg of `channel`, whose line has the law `law` and stands at `clock`.
    ///
    /// `phase` moves the ends of its packets: they lie where the line's clock and the phase together
    /// are a multiple of ptime.
    pub(crate) fn open(
        &mut self,
        channel: u32,
        identity: &Identity,
        leg: Leg,
        law: Law,
        clock: u64,
        phase: u64,
    ) {
        self.channel = Some(channel);
        self.ssrc = identity.ssrc;
        self.set_leg(leg);
        self.feed.clock = clock;
        self.playout.is_heard = false;
        self.source = Source::new();
        self.heard_from = None;
        self.sent = Tally::default();
        self.received = Tally::default();
        self.heard_at = Instant::ZERO;
        self.heard = Heard::default();
        self.has_begun = false;
        self.has_received = receives(leg.mode);
        self.has_collided = false;
        self.is_awaited = false;
        self.adjustments = 0;
        self.silence();
        let ptime = ptime_octets(&leg);
        let first = Header {
            marker: false,
            payload_type: leg.send.payload_type,
            sequence: identity.sequence,
            timestamp: identity.timestamp,
            ssrc: identity.ssrc,
        };
        let past = ((clock + phase) % ptime as u64) as usize;
        self.feed.packetizer.start(first, ptime, (ptime - past) % ptime);
        self.law = law;
        self.feed.encode = leg.send.codec.from_line(law);
    }

    /// Changes how it behaves. SSRC, sequence and timestamps go on.
    pub(crate) fn modify(&mut self, leg: Leg) {
        let old = self.leg;
        self.set_leg(leg);
        self.has_received |= receives(leg.mode);
        if leg.mode != old.mode
            && let Some(aside) = &mut self.aside
        {
            aside.transponder = Transponder::new();
        }
        // What was being told was agreed on with whoever the peer was.
        if (leg.send_events != old.send_events || leg.peer != old.peer)
            && let Some(aside) = &mut self.aside
        {
            aside.dialler = Dialler::new();
            self.feed.is_telling = false;
        }
        if leg.ptime_ms != old.ptime_ms {
            self.feed.packetizer.set_ptime(ptime_octets(&leg));
        }
        self.feed.packetizer.set_payload_type(leg.send.payload_type);
        if leg.send.codec != old.send.codec {
            // What waits for its packet to be whole goes out under the new payload type.
            self.feed.packetizer.translate(old.send.codec.to_line(self.law));
            self.feed.packetizer.translate(leg.send.codec.from_line(self.law));
        }
        self.feed.encode = leg.send.codec.from_line(self.law);
        if leg.jitter != old.jitter || fill(self.law, &leg) != fill(self.law, &old) {
            self.restart_playout();
        }
        if leg.peer.local() != old.peer.local() {
            self.restart_playout();
        }
        if leg.peer.is_another(&old.peer, self.heard_from) {
            self.source.forget();
            self.restart_playout();
        }
    }

    /// Ends it; gives back what it was [equipped](Self::equip) with.
    pub(crate) fn close(&mut self) -> Option<Box<Aside>> {
        self.channel = None;
        self.set_leg(IDLE);
        self.playout.is_heard = false;
        self.silence();
        self.aside.take()
    }

    /// Takes what an order may want, unless it has it already.
    pub(crate) fn equip(&mut self, aside: &mut Option<Box<Aside>>) {
        if self.aside.is_none() {
            self.aside = aside.take();
        }
    }

    fn aside(&mut self) -> &mut Aside {
        self.aside.as_mut().expect("what an order wants comes with it")
    }

    fn set_leg(&mut self, leg: Leg) {
        self.leg = leg;
        self.playout.is_local = leg.peer.local().is_some();
        self.feed.outlet = match leg.peer {
            Peer::Undescribed | Peer::OnHold => Outlet::Nowhere,
            Peer::At(_) => Outlet::Network,
            Peer::Local(_) => Outlet::Local,
        };
    }

    /// Nobody listens to it or plays to it any more.
    fn silence(&mut self) {
        (self.playout.is_watched, self.playout.is_dialling) = (false, false);
        (self.feed.is_playing, self.feed.is_telling) = (false, false);
    }

    /// Listens to what the peer says for these.
    pub(crate) fn watch(&mut self, detectors: DetectorSet) {
        self.playout.is_watched = !detectors.is_empty();
        if let Some(aside) = &mut self.aside {
            aside.station.ear.watch(detectors);
        }
    }

    /// Has it told when the first packet comes, or no longer.
    pub(crate) fn await_media(&mut self, is_awaited: bool) {
        self.is_awaited = is_awaited;
    }

    /// Begins to play a tone to the peer.
    pub(crate) fn start(&mut self, play: PlayId, tone: ToneSpec) {
        self.feed.is_playing = true;
        let law = self.law;
        self.aside().station.plays.start(play, tone, law);
    }

    /// Stops a tone.
    pub(crate) fn stop(&mut self, play: PlayId) {
        let Some(aside) = &mut self.aside else { return };
        aside.station.plays.stop(play);
        aside.dialler.release(Origin::Play(play));
        self.feed.is_playing = !aside.station.plays.is_empty();
    }

    /// Whether a tone is played to the peer, or a digit told.
    pub(crate) const fn is_playing(&self) -> bool {
        self.feed.is_playing || self.feed.is_telling
    }

    /// Puts the tones that are played to the peer into what goes out besides, at `clock`.
    pub(crate) fn sound(&mut self, now: Instant, clock: u64, octets: &mut [u8], reports: &mut Reports) {
        self.dial_played(clock, octets.len() as u32);
        let (side, law) = (Side::Network(self.port), self.law);
        let plays = &mut self.aside().station.plays;
        plays.sound(law, octets, |what| reports.observed(side, now, what, 0));
        self.feed.is_playing = !plays.is_empty();
    }

    /// Changes the line's law. What waits to be played was in the old one, and is dropped.
    pub(crate) fn set_law(&mut self, law: Law) {
        self.law = law;
        self.feed.encode = self.leg.send.codec.from_line(law);
        self.restart_playout();
    }

    /// Says whether what comes in goes anywhere from now on. What came before is not played later.
    pub(crate) fn set_heard(&mut self, is_heard: bool) {
        if is_heard != self.playout.is_heard {
            self.playout.is_heard = is_heard;
            self.restart_playout();
        }
    }

    fn restart_playout(&mut self) {
        if self.playout.is_heard {
            self.elastic_store.restart();
            self.playout.jitter_buffer.start(self.leg.jitter, fill(self.law, &self.leg));
        }
    }

    /// Takes another SSRC.
    pub(crate) fn set_ssrc(&mut self, ssrc: u32) {
        self.ssrc = ssrc;
        self.feed.packetizer.set_ssrc(ssrc);
    }

    /// What the line is to hear next, exactly as much as `out` holds, in the line's law.
    pub(crate) fn play(&mut self, now: Instant, out: &mut [u8], stats: &Stats, reports: &mut Reports) {
        if self.playout.is_local {
            let ring = lent(&mut self.playout.jitter_buffer);
            let read = self.elastic_store.read(ring, out, self.law.silence());
            if read.missing > 0 {
                stats.add(Counter::ConcealedOctets, read.missing as u64);
            }
            if read.slipped > 0 {
                stats.add(Counter::LocalSlips, read.slipped as u64);
            }
        } else {
            let played = self.playout.jitter_buffer.play(out);
            if played.missing > 0 {
                stats.add(Counter::ConcealedOctets, played.missing as u64);
            }
            if played.adjusted {
                stats.add(Counter::JitterAdjusted, 1);
                self.adjustments = self.adjustments.wrapping_add(1);
            }
        }
        if self.playout.is_dialling || self.playout.is_watched {
            self.listen(now, out, reports);
        }
    }

    /// Puts the peer's digits into what is played, and listens to it.
    fn listen(&mut self, now: Instant, out: &mut [u8], reports: &mut Reports) {
        let (side, law) = (Side::Network(self.port), self.law);
        let (is_dialling, is_watched) = (self.playout.is_dialling, self.playout.is_watched);
        let takes_events = self.leg.receive_events.is_some();
        let Aside { station: Station { ear, .. }, events, .. } = self.aside();
        if is_dialling {
            events.play(law, out, |what| ear.told(what, |what| reports.observed(side, now, what, 0)));
        }
        // One digit, one observation: a peer that sends events means them.
        if is_watched {
            let told = if takes_events && events.have_come() { DetectorSet::DTMF } else { DetectorSet::NONE };
            ear.hear(told, law, out, |what, ago| reports.observed(side, now, what, ago));
        }
        self.playout.is_dialling = events.are_sounding();
    }

    /// A block is to be played and another fed soon.
    pub(crate) fn prefetch(&self) {
        memory::prefetch(&self.playout);
        memory::prefetch(&self.feed);
    }

    /// The octets of blocks of `frames`, too; better after what [`prefetch`](Self::prefetch) fetches has come.
    pub(crate) fn prefetch_octets(&self, frames: usize) {
        self.playout.jitter_buffer.prefetch(frames);
        self.feed.packetizer.prefetch();
    }

    /// A packet is to be sent soon.
    pub(crate) fn prefetch_address(&self) {
        memory::prefetch(&self.leg.peer);
        memory::prefetch(&self.sent);
    }

    /// A datagram is to be taken soon.
    pub(crate) fn expect(&self) {
        memory::prefetch(self);
    }

    /// Its octets will need their place; better after what [`expect`](Self::expect) fetches has come.
    pub(crate) fn expect_octets(&self) {
        self.playout.jitter_buffer.expect();
    }

    /// Takes octets for the peer, in the line's law, as they came at `clock`.
    ///
    /// Says whether they complete a packet. Without a peer to send to they pass unsent.
    pub(crate) fn push(&mut self, clock: u64, octets: &[u8]) -> bool {
        if self.feed.outlet != Outlet::Network {
            return false;
        }
        // RFC 3550 §5.1: the timestamp counts time, sent or not, so what was not pushed counts too.
        if clock > self.feed.clock {
            self.feed.packetizer.pause((clock - self.feed.clock) as usize);
        }
        self.feed.clock = clock + octets.len() as u64;
        if self.feed.is_telling {
            return self.tell(octets);
        }
        self.feed.packetizer.push(octets, self.feed.encode);
        self.feed.packetizer.is_ready()
    }

    /// The pair of the leg that it hands octets over to, if its peer is one.
    pub(crate) fn other(&self) -> Option<usize> {
        let other = if self.feed.outlet == Outlet::Local { self.leg.peer.local() } else { None };
        other.map(PortSlot::pair)
    }

    /// Answers the tones of a continuity test in `rx`, both in the line's law.
    pub(crate) fn transpond(&mut self, rx: &[u8], tx: &mut [u8]) {
        let law = self.law;
        self.aside().transponder.process(law, rx, tx);
    }

    /// Hands octets, in this line's law, to the other leg of a local connection, if that leg agrees.
    // RFC 3435 §2.1.3.4: both are connections that are changed and deleted by themselves, so one may be
    // gone already, or be another's peer by now, while the other still names it.
    pub(crate) fn hand_over(&mut self, other: &mut Self, octets: &[u8]) {
        let (Some(channel), Some(other_channel)) = (self.channel, other.channel) else { return };
        if other.leg.peer != Peer::Local(self.port) {
            return;
        }
        let translate = match self.leg.send.codec {
            Codec::G711(_) => g711::translate(self.law, other.law),
            Codec::Clearmode => None,
        };
        self.sent.add(octets.len());
        other.received.add(octets.len());
        if other.playout.is_heard {
            let is_one_span = channel as usize / TIMESLOTS_MAX == other_channel as usize / TIMESLOTS_MAX;
            let ring = lent(&mut other.playout.jitter_buffer);
            other.elastic_store.write(ring, octets, translate, is_one_span);
        }
    }

    /// The next whole packet and whom it is for.
    pub(crate) fn packet(&mut self) -> Option<(SocketAddr, &[u8])> {
        let remote = self.leg.peer.remote()?;
        if self.feed.is_telling && !self.feed.packetizer.is_ready() {
            return Some((remote.rtp, self.report()?));
        }
        Some((remote.rtp, self.feed.packetizer.packet()?))
    }

    /// The timestamp of the octet that comes from the line at `clock`.
    pub(crate) fn timestamp_at(&self, clock: u64) -> u32 {
        self.feed.packetizer.timestamp().wrapping_add(clock.wrapping_sub(self.feed.clock) as u32)
    }

    /// How often the jitter buffer has been adjusted.
    pub(crate) fn adjustments(&self) -> u32 {
        self.adjustments
    }

    /// What it has seen, but for the latency.
    pub(crate) fn seen(&self) -> ConnectionStats {
        let received = self.has_received.then_some((self.received, &self.source, CLOCK_RATE));
        ConnectionStats { playout_delay: self.playout_delay(), ..seen(self.sent, received) }
    }

    fn playout_delay(&self) -> Duration {
        match self.leg.peer {
            _ if !self.playout.is_heard => Duration::ZERO,
            Peer::Local(_) => FRAME * self.elastic_store.level() as u32,
            Peer::Undescribed | Peer::OnHold | Peer::At(_) => self.playout.jitter_buffer.delay(),
        }
    }
}

impl Tally {
    /// Counts one packet.
    pub(crate) fn add(&mut self, octets: usize) {
        self.packets = self.packets.wrapping_add(1);
        self.octets += octets as u64;
    }

    /// Its octets as they are told to a call agent: what is more than can be told does not begin anew.
    fn octets_seen(self) -> u32 {
        u32::try_from(self.octets).unwrap_or(u32::MAX)
    }
}

/// What a leg has sent; and received, if its mode has ever had it receive, from a source whose timestamps
/// count so many Hz.
// RFC 3435 §2.3.7: the counters of a direction that was never open are zero.
pub(crate) fn seen(sent: Tally, received: Option<(Tally, &Source, u32)>) -> ConnectionStats {
    let sent = ConnectionStats {
        packets_sent: sent.packets,
        octets_sent: sent.octets_seen(),
        ..ConnectionStats::default()
    };
    let Some((received, source, clock_hz)) = received else { return sent };
    ConnectionStats {
        packets_received: received.packets,
        octets_received: received.octets_seen(),
        packets_lost: source.lost(),
        jitter: source.jitter_at(clock_hz),
        ..sent
    }
}

/// A jitter buffer's memory, for a local connection.
fn lent(jitter_buffer: &mut JitterBuffer) -> &mut [u8; ElasticStore::CAPACITY] {
    jitter_buffer.lend().first_chunk_mut().expect("a jitter buffer is no smaller than an elastic store")
}

/// Whether a mode takes what the peer sends.
pub(crate) const fn receives(mode: Mode) -> bool {
    !matches!(mode, Mode::SendOnly | Mode::Inactive)
}

/// What is played where octets are missing.
fn fill(line: Law, leg: &Leg) -> Fill {
    match leg.send.codec {
        Codec::G711(_) => Fill::Conceal(line),
        Codec::Clearmode => Fill::Idle(DATA_IDLE),
    }
}

fn ptime_octets(leg: &Leg) -> usize {
    usize::from(leg.ptime_ms.get()) * OCTETS_PER_MS
}

const OCTETS_PER_MS: usize = 8;

/// A 64 kbit/s data channel is idle when it is all ones.
const DATA_IDLE: u8 = 0xFF;

/// How an idle pair behaves.
const IDLE: Leg = Leg {
    mode: Mode::Inactive,
    peer: Peer::OnHold,
    send: Format { payload_type: 0, codec: Codec::G711(Law::Mu) },
    receive: Formats::NONE,
    receive_events: None,
    send_events: None,
    ptime_ms: NonZeroU8::new(20).expect("20 is not 0"),
    jitter: JitterBounds { nominal_ms: 20, max_ms: 100, adaptive: false },
    has_echo: false,
    dscp: Dscp::EF,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_of_a_circuit_that_is_up_for_weeks_do_not_begin_anew() {
        let limits = Limits { pairs: 1, relays: 0, jitter_buffer_octets: 2_048, orders: 4, observations: 2 };
        let mut connection = Connection::new(PortSlot(0), &limits);
        connection.has_received = true;
        for tally in [&mut connection.sent, &mut connection.received] {
            tally.octets = u32::MAX.into();
            tally.add(160);
        }
        let seen = connection.seen();
        assert_eq!((seen.octets_sent, seen.octets_received), (u32::MAX, u32::MAX));
    }
}
