//! One RTP leg: what it sends, what it hears, and what it has counted.
//!
//! A connection's place is that of its port pair, and it is there from the start: idle, or the leg of
//! a DS0. It knows the line's law and the peer's formats and translates on the way in and on the way
//! out, so that its channel sees the line's law only. RTCP is [`reporting`](crate::reporting)'s.

use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::time::Duration;

use drivers::line::Law;
use drivers::net::Dscp;
use drivers::time::Instant;

use crate::codec::Codec;
use crate::dsp::transponder::Transponder;
use crate::jitter_buffer::{Fill, JitterBuffer};
use crate::limits::Limits;
use crate::link::{
    ConnectionStats, Format, Formats, Identity, JitterBounds, Leg, Mode, Peer, Remote, is_same,
};
use crate::packetizer::Packetizer;
use crate::rtp::packet::{Header, Packet};
use crate::rtp::source::{Source, Verdict};
use crate::stats::{Counter, Stats};

/// The leg on one port pair.
#[derive(Debug)]
pub(crate) struct Connection {
    /// The channel it belongs to; `None` while the pair is idle.
    pub channel: Option<u32>,
    /// Our SSRC.
    pub ssrc: u32,
    /// How it behaves.
    pub leg: Leg,
    /// The line's law.
    law: Law,
    /// From the line's law to that of what is sent.
    encode: Option<&'static [u8; 256]>,
    /// Whether what comes in goes anywhere.
    is_heard: bool,
    /// Up to where on the line's clock the packetizer has been told.
    clock: u64,
    packetizer: Packetizer,
    jitter_buffer: JitterBuffer,
    /// What is known of what the peer sends.
    pub source: Source,
    /// Who the last packet that was accepted came from.
    heard_from: Option<SocketAddr>,
    /// What has been sent.
    pub sent: Tally,
    received: Tally,
    /// Whether its mode has ever had it receive.
    has_received: bool,
    /// Answers the tones of a continuity test that this connection's mode asks for.
    pub transponder: Transponder,
    /// Whether the peer was once found to use our SSRC.
    has_collided: bool,
}

/// Packets and their payload octets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tally {
    /// Packets.
    pub packets: u32,
    /// Payload octets.
    pub octets: u32,
}

/// A peer uses our SSRC: ours must change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Collision;

impl Connection {
    /// An idle one.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            channel: None,
            ssrc: 0,
            leg: IDLE,
            law: Law::A,
            encode: None,
            is_heard: false,
            clock: 0,
            packetizer: Packetizer::new(),
            jitter_buffer: JitterBuffer::new(limits.jitter_buffer_octets),
            source: Source::new(),
            heard_from: None,
            sent: Tally::default(),
            received: Tally::default(),
            has_received: false,
            transponder: Transponder::new(),
            has_collided: false,
        }
    }

    /// Octets of memory that one takes, its buffers with it: a bit for each octet of the jitter buffer
    /// says whether it has come.
    pub(crate) const fn memory(limits: &Limits) -> usize {
        size_of::<Self>() + Packetizer::BUFFER + limits.jitter_buffer_octets * 9 / 8
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
        self.leg = leg;
        self.clock = clock;
        self.is_heard = false;
        self.source = Source::new();
        self.heard_from = None;
        self.sent = Tally::default();
        self.received = Tally::default();
        self.has_received = receives(leg.mode);
        self.transponder = Transponder::new();
        self.has_collided = false;
        let ptime = ptime_octets(&leg);
        let first = Header {
            marker: false,
            payload_type: leg.send.payload_type,
            sequence: identity.sequence,
            timestamp: identity.timestamp,
            ssrc: identity.ssrc,
        };
        let past = ((clock + phase) % ptime as u64) as usize;
        self.packetizer.start(first, ptime, (ptime - past) % ptime);
        self.law = law;
        self.encode = leg.send.codec.from_line(law);
    }

    /// Changes how it behaves. SSRC, sequence and timestamps go on.
    pub(crate) fn modify(&mut self, leg: Leg) {
        let old = std::mem::replace(&mut self.leg, leg);
        self.has_received |= receives(leg.mode);
        if leg.mode != old.mode {
            self.transponder = Transponder::new();
        }
        if leg.ptime_ms != old.ptime_ms {
            self.packetizer.set_ptime(ptime_octets(&leg));
        }
        self.packetizer.set_payload_type(leg.send.payload_type);
        self.encode = leg.send.codec.from_line(self.law);
        if leg.jitter != old.jitter || fill(self.law, &leg) != fill(self.law, &old) {
            self.restart_playout();
        }
        // A new peer is a new source. One that was heard before it was named is the same one.
        let known = old.peer.remote().map(|remote| remote.rtp).or(self.heard_from);
        if let (Some(known), Some(Remote { rtp, .. })) = (known, leg.peer.remote())
            && !is_same(known, rtp)
        {
            self.source.forget();
            self.restart_playout();
        }
    }

    /// Ends it.
    pub(crate) fn close(&mut self) {
        self.channel = None;
        self.leg = IDLE;
        self.is_heard = false;
    }

    /// Changes the line's law. What waits to be played was in the old one, and is dropped.
    pub(crate) fn set_law(&mut self, law: Law) {
        self.law = law;
        self.encode = self.leg.send.codec.from_line(law);
        self.restart_playout();
    }

    /// Says whether what comes in goes anywhere from now on. What came before is not played later.
    pub(crate) fn set_heard(&mut self, is_heard: bool) {
        if is_heard != self.is_heard {
            self.is_heard = is_heard;
            self.restart_playout();
        }
    }

    fn restart_playout(&mut self) {
        if self.is_heard {
            self.jitter_buffer.start(self.leg.jitter, fill(self.law, &self.leg));
        }
    }

    /// Takes a datagram that came to its RTP port.
    pub(crate) fn receive(
        &mut self,
        from: SocketAddr,
        arrived: Instant,
        octets: &[u8],
        stats: &Stats,
    ) -> Result<(), Collision> {
        match self.judge(from, arrived, octets) {
            Ok((packet, codec)) => {
                stats.add(Counter::RtpReceived, 1);
                stats.add(Counter::RtpReceivedOctets, packet.payload().len() as u64);
                self.insert(&packet, codec, stats);
                self.check_ssrc(packet.ssrc(), stats)
            }
            Err(reason) => {
                stats.add(reason, 1);
                Ok(())
            }
        }
    }

    /// Whether a datagram is RTP from the peer, in a format that was agreed, and in its turn; else
    /// what it counts as.
    fn judge<'a>(
        &mut self,
        from: SocketAddr,
        arrived: Instant,
        octets: &'a [u8],
    ) -> Result<(Packet<'a>, Codec), Counter> {
        // RFC 3435 §2.3.5: without a remote description, media are accepted from anyone. With one,
        // they are the peer's or nobody's.
        if !self.leg.peer.may_be(from, |remote| remote.rtp) {
            return Err(Counter::DroppedSource);
        }
        let packet = Packet::new_checked(octets).map_err(|_| Counter::DroppedMalformed)?;
        // RFC 3550 §5.1: packets with payload types that are not understood are ignored, so they
        // have no say in the sequence either.
        let codec = self.leg.receive.codec(packet.payload_type()).ok_or(Counter::DroppedPayloadType)?;
        match self.source.receive(arrived, &packet) {
            Verdict::Accept => {}
            Verdict::AcceptRestarted => self.jitter_buffer.resync(),
            Verdict::Drop => return Err(Counter::DroppedSequence),
        }
        self.heard_from = Some(from);
        self.received.add(packet.payload().len());
        Ok((packet, codec))
    }

    /// Lays a packet's octets down for the line.
    fn insert(&mut self, packet: &Packet<'_>, codec: Codec, stats: &Stats) {
        if !self.is_heard {
            stats.add(Counter::DroppedMode, 1);
            return;
        }
        let inserted =
            self.jitter_buffer.insert(packet.timestamp(), packet.payload(), codec.to_line(self.law));
        if inserted.late > 0 {
            stats.add(Counter::LateOctets, inserted.late as u64);
        }
        if inserted.duplicate > 0 && inserted.duplicate == packet.payload().len() {
            stats.add(Counter::Duplicate, 1);
        }
    }

    // RFC 3550 §8.2: whoever finds its own SSRC in use says BYE and takes another, but once only, for
    // a peer that sends our own packets back would bring on the next change. There the algorithm goes
    // on to ignore what comes under our SSRC. We count and play it: who the peer is has been settled
    // by its address, and a peer that reflects is how circuits are tested.
    fn check_ssrc(&mut self, ssrc: u32, stats: &Stats) -> Result<(), Collision> {
        if ssrc == self.ssrc { self.met_own_ssrc(stats) } else { Ok(()) }
    }

    /// Notes that the peer uses our SSRC.
    pub(crate) fn met_own_ssrc(&mut self, stats: &Stats) -> Result<(), Collision> {
        stats.add(Counter::OwnSsrc, 1);
        if std::mem::replace(&mut self.has_collided, true) { Ok(()) } else { Err(Collision) }
    }

    /// Takes another SSRC.
    pub(crate) fn set_ssrc(&mut self, ssrc: u32) {
        self.ssrc = ssrc;
        self.packetizer.set_ssrc(ssrc);
    }

    /// What the line is to hear next, exactly as much as `out` holds, in the line's law.
    pub(crate) fn play(&mut self, out: &mut [u8], stats: &Stats) {
        let played = self.jitter_buffer.play(out);
        if played.missing > 0 {
            stats.add(Counter::ConcealedOctets, played.missing as u64);
        }
        if played.adjusted {
            stats.add(Counter::JitterAdjusted, 1);
        }
    }

    /// Takes octets for the peer, in the line's law, as they came at `clock`.
    ///
    /// Says whether they complete a packet. Without a peer to send to they pass unsent.
    pub(crate) fn push(&mut self, clock: u64, octets: &[u8]) -> bool {
        if self.leg.peer.remote().is_none() {
            return false;
        }
        // RFC 3550 §5.1: the timestamp counts time, sent or not, so what was not pushed counts too.
        if clock > self.clock {
            self.packetizer.pause((clock - self.clock) as usize);
        }
        self.packetizer.push(octets, self.encode);
        self.clock = clock + octets.len() as u64;
        self.packetizer.is_ready()
    }

    /// The next whole packet and whom it is for.
    pub(crate) fn packet(&mut self) -> Option<(SocketAddr, &[u8])> {
        let remote = self.leg.peer.remote()?;
        Some((remote.rtp, self.packetizer.packet()?))
    }

    /// The timestamp of the octet that comes from the line at `clock`.
    pub(crate) fn timestamp_at(&self, clock: u64) -> u32 {
        self.packetizer.timestamp().wrapping_add(clock.wrapping_sub(self.clock) as u32)
    }

    /// What it has seen, but for the latency.
    // RFC 3435 §2.3.7: the counters of a direction that was never open are zero.
    pub(crate) fn seen(&self) -> ConnectionStats {
        let sent = ConnectionStats {
            packets_sent: self.sent.packets,
            octets_sent: self.sent.octets,
            ..ConnectionStats::default()
        };
        if !self.has_received {
            return sent;
        }
        ConnectionStats {
            packets_received: self.received.packets,
            octets_received: self.received.octets,
            packets_lost: self.source.lost(),
            jitter: self.source.jitter(),
            playout_delay: if self.is_heard { self.jitter_buffer.delay() } else { Duration::ZERO },
            ..sent
        }
    }
}

impl Tally {
    /// Counts one packet.
    pub(crate) fn add(&mut self, octets: usize) {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(octets as u32);
    }
}

/// Whether a mode takes what the peer sends.
const fn receives(mode: Mode) -> bool {
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
    ptime_ms: NonZeroU8::new(20).expect("20 is not 0"),
    jitter: JitterBounds { nominal_ms: 20, max_ms: 100, adaptive: false },
    dscp: Dscp::EF,
};
