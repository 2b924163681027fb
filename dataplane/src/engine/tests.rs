//! The engine between fake lines and a fake network.
//!
//! Each timeslot of the line says octets that tell where they are from; what goes to one of the
//! core's own ports comes back in the next tick, what goes elsewhere is kept.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::Ipv4Addr;
use std::num::NonZeroU8;
use std::time::Duration;

use drivers::line::Carrier;
use drivers::net::{Dscp, Full, NetCounters};
use drivers::span::Slip;

use super::*;
use crate::codec::{Codec, g711};
use crate::dsp::tone::Tone;
use crate::link;
use crate::link::Observation;
use crate::link::{Format, Formats, JitterBounds, Mode, OrderId, Remote};
use crate::rtp::packet::Packet;
use crate::rtp::rtcp::Heard;

mod echo;
mod local;
mod media;
mod modes;
mod orders;
mod plain;
mod relays;
mod rtcp;
mod signals;
mod sources;
mod supervision;

const PAIRS: usize = 64;
const BLOCK: usize = 40;
const EPOCH: Epoch = Epoch { at: Instant::ZERO, unix_nanos: 1_700_000_000_000_000_000 };

/// A datagram that was sent.
#[derive(Clone, Debug)]
struct Sent {
    from: PortSlot,
    to: SocketAddr,
    octets: Vec<u8>,
}

#[derive(Default)]
struct FakeSockets {
    sent: Vec<Sent>,
    marks: Vec<(PortSlot, Dscp)>,
    room: Option<usize>,
    full: u64,
}

impl RtpSockets for FakeSockets {
    fn receive(&mut self, _f: impl FnMut(PortSlot, SocketAddr, Instant, &[u8])) {}

    fn send(
        &mut self,
        from: PortSlot,
        to: SocketAddr,
        len: usize,
        f: impl FnOnce(&mut [u8]),
    ) -> Result<(), Full> {
        if self.room.is_some_and(|room| self.sent.len() >= room) {
            self.full += 1;
            return Err(Full);
        }
        let mut octets = vec![0; len];
        f(&mut octets);
        self.sent.push(Sent { from, to, octets });
        Ok(())
    }

    fn mark(&mut self, slot: PortSlot, dscp: Dscp) {
        self.marks.push((slot, dscp));
    }

    fn flush(&mut self, _until: Instant) -> io::Result<()> {
        Ok(())
    }

    fn counters(&self) -> NetCounters {
        NetCounters::default()
    }
}

/// Our own port of a slot, or an address that is not ours.
fn port(slot: u32) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 10_000 + slot as u16))
}

/// A peer of that number.
fn peer(number: u16) -> Remote {
    let rtp = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 20_000 + 2 * number));
    Remote { rtp, rtcp: SocketAddr::new(rtp.ip(), rtp.port() + 1) }
}

/// One of our own pairs as a peer.
fn ourselves(pair: u32) -> Remote {
    Remote { rtp: port(pair * 2), rtcp: port(pair * 2 + 1) }
}

fn ds0(span: u16, timeslot: u8) -> Ds0 {
    Ds0 { span: SpanId(span), timeslot: Timeslot::new(timeslot).expect("1 to 31") }
}

fn rtp(pair: u32) -> PortSlot {
    PortSlot(pair * 2)
}

fn pcm(law: Law) -> Format {
    Format { payload_type: if law == Law::A { 8 } else { 0 }, codec: Codec::G711(law) }
}

fn leg(mode: Mode, remote: Remote) -> Leg {
    Leg {
        mode,
        peer: link::Peer::At(remote),
        send: pcm(Law::A),
        receive: Formats::new([pcm(Law::A), pcm(Law::Mu)]),
        receive_events: None,
        send_events: None,
        ptime_ms: ms(20),
        jitter: JitterBounds { nominal_ms: 20, max_ms: 100, adaptive: false },
        has_echo: true,
        dscp: Dscp::EF,
    }
}

fn ms(ms: u8) -> NonZeroU8 {
    NonZeroU8::new(ms).expect("not 0")
}

fn identity(pair: u32) -> Identity {
    Identity {
        ssrc: 0x5000_0000 + pair,
        sequence: 65_530,
        timestamp: u32::MAX - 1_000,
        cname: *b"abcdefghijklmnop",
    }
}

/// What a timeslot says at a time of the line's clock: never silence, seldom twice the same.
fn said(ds0: Ds0, clock: u64) -> u8 {
    let seed = u64::from(ds0.span.0) * 32 + ds0.timeslot.index() as u64 + 1;
    let octet = (clock.wrapping_mul(0x9E37_79B9).wrapping_add(seed * 0x85EB_CA6B) >> 13) as u8;
    if octet == Law::A.silence() { 0x2A } else { octet }
}

/// What a peer says at a timestamp.
fn voice(ssrc: u32, timestamp: u32) -> u8 {
    let octet =
        (u64::from(timestamp).wrapping_mul(0xC2B2_AE35).wrapping_add(u64::from(ssrc) * 977) >> 11) as u8;
    if octet == Law::A.silence() { 0x2B } else { octet }
}

fn packet_of(header: Header, payload: &[u8]) -> Vec<u8> {
    let mut octets = vec![0; Header::LEN];
    octets.extend(payload);
    header.emit(&mut octets);
    octets
}

struct Core {
    engine: Engine,
    stats: Arc<Stats>,
    sockets: FakeSockets,
    now: Instant,
    /// Each span's blocks, and what the line has said so far.
    lines: Vec<(Block, Block, u64)>,
    ids: u64,
    /// Datagrams that come in the next tick: slot, source, octets.
    coming: Vec<(PortSlot, SocketAddr, Vec<u8>)>,
    /// All that was sent elsewhere.
    out: Vec<Sent>,
    /// What each timeslot of span 0 has heard.
    heard: BTreeMap<u8, Vec<u8>>,
    /// How many datagrams each tick sent.
    levels: Vec<usize>,
    /// What all timeslots say instead, if anything.
    tone: Option<Tone>,
    /// What single timeslots of span 0 say instead, as long as it lasts.
    scripts: BTreeMap<u8, VecDeque<u8>>,
    /// What was observed.
    observed: Vec<(Side, Observation)>,
}

impl Core {
    fn new() -> Self {
        Self::with_spans(1, BLOCK)
    }

    fn with_spans(n: u16, frames: usize) -> Self {
        let limits = Limits {
            pairs: PAIRS,
            relays: PAIRS,
            jitter_buffer_octets: 4_096,
            orders: 512,
            observations: 16,
        };
        let line = Line { carrier: Carrier::E1, law: Law::A };
        let shapes: Vec<_> =
            (0..n).map(|id| SpanShape { id: SpanId(id), line, frames, echo: None }).collect();
        let stats = Arc::new(Stats::default());
        // Neither block begins as silence, so that what is silent was made so.
        let block = || Block::new(frames, Law::Mu);
        Self {
            engine: Engine::new(&limits, &shapes, 7, EPOCH, Arc::clone(&stats)),
            stats,
            sockets: FakeSockets::default(),
            now: Instant::from_nanos(1_000_000_000),
            lines: (0..n).map(|_| (block(), block(), 0)).collect(),
            ids: 0,
            coming: Vec::new(),
            out: Vec::new(),
            heard: BTreeMap::new(),
            levels: Vec::new(),
            tone: None,
            scripts: BTreeMap::new(),
            observed: Vec::new(),
        }
    }

    fn order(&mut self, action: Action) -> Outcome {
        let id = OrderId(self.ids);
        self.ids += 1;
        let gear = Gear::for_action(&action);
        self.engine.apply(self.now, &Order { id, action }, gear);
        loop {
            match self.engine.poll_report() {
                Some(Report::Done { id: done, outcome }) if done == id => return outcome,
                Some(Report::Observed { side, what, .. }) => self.observed.push((side, what)),
                other => panic!("an order is answered at once, not with {other:?}"),
            }
        }
    }

    fn connect(&mut self, timeslot: u8, pair: u32, leg: Leg) {
        let action =
            Action::Connect { ds0: ds0(0, timeslot), port: rtp(pair), identity: identity(pair), leg };
        assert_eq!(self.order(action), Outcome::Done);
    }

    fn modify(&mut self, pair: u32, leg: Leg) {
        assert_eq!(self.order(Action::Modify { port: rtp(pair), leg }), Outcome::Done);
    }

    fn disconnect(&mut self, pair: u32) -> ConnectionStats {
        match self.order(Action::Disconnect { port: rtp(pair) }) {
            Outcome::Seen(seen) => seen,
            Outcome::Done => panic!("a disconnect tells what was seen"),
        }
    }

    fn survey(&mut self, pair: u32) -> ConnectionStats {
        match self.order(Action::Survey { port: rtp(pair) }) {
            Outcome::Seen(seen) => seen,
            Outcome::Done => panic!("a survey tells what was seen"),
        }
    }

    /// A block's time, in which everything happens once.
    fn tick(&mut self) {
        for (slot, from, octets) in std::mem::take(&mut self.coming) {
            self.engine.receive(slot, from, self.now, &octets);
        }
        for (span, (tx, rx, clock)) in self.lines.iter_mut().enumerate() {
            self.engine.playout(span, rx, tx);
            for timeslot in Carrier::E1.timeslots() {
                if span == 0 {
                    self.heard.entry(timeslot.number()).or_default().extend(tx.timeslot(timeslot));
                }
                let ds0 = Ds0 { span: SpanId(span as u16), timeslot };
                for (i, octet) in rx.timeslot_mut(timeslot).iter_mut().enumerate() {
                    *octet = said(ds0, *clock + i as u64);
                }
                if let Some(tone) = &self.tone {
                    tone.clone().fill(rx.timeslot_mut(timeslot));
                }
                if let Some(script) = self.scripts.get_mut(&timeslot.number()).filter(|_| span == 0) {
                    let rx = rx.timeslot_mut(timeslot);
                    rx.iter_mut().for_each(|octet| *octet = script.pop_front().unwrap_or(Law::A.silence()));
                }
            }
            if let Some(tone) = &mut self.tone {
                tone.fill(&mut vec![0; rx.frames()]);
            }
            *clock += rx.frames() as u64;
            self.engine.capture(self.now, span, rx);
        }
        self.engine.transmit(self.now, &mut self.sockets);
        self.levels.push(self.sockets.sent.len());
        for sent in self.sockets.sent.drain(..) {
            if sent.to.ip() == Ipv4Addr::LOCALHOST {
                let to = PortSlot(u32::from(sent.to.port() - 10_000));
                self.coming.push((to, port(sent.from.0), sent.octets));
            } else {
                self.out.push(sent);
            }
        }
        self.now += FRAME * self.lines[0].0.frames() as u32;
    }

    fn ticks(&mut self, n: usize) {
        (0..n).for_each(|_| self.tick());
    }

    /// Ticks while a peer says one packet of its voice for each `ptime_ms`.
    fn talk(&mut self, peers: &mut [Peer], ticks: usize) {
        for _ in 0..ticks {
            for peer in &mut *peers {
                peer.speak(&mut self.coming);
            }
            self.tick();
        }
    }

    /// Counters, and a take on the RTP that left a pair for elsewhere.
    fn rtp_from(&self, pair: u32) -> Vec<Taken> {
        self.out.iter().filter(|sent| sent.from == rtp(pair)).map(|sent| Taken::of(&sent.octets)).collect()
    }

    fn rtcp_from(&self, pair: u32) -> Vec<Heard> {
        let of_pair = self.out.iter().filter(|sent| sent.from == rtp(pair).rtcp());
        of_pair.map(|sent| Heard::parse(&sent.octets, 0).expect("our own RTCP")).collect()
    }

    fn count(&self, counter: Counter) -> u64 {
        self.stats.value(counter)
    }

    fn heard(&self, timeslot: u8) -> &[u8] {
        &self.heard[&timeslot]
    }

    /// What a timeslot of span 0 has said, all of it.
    fn said(&self, timeslot: u8) -> Vec<u8> {
        (0..self.lines[0].2).map(|clock| said(ds0(0, timeslot), clock)).collect()
    }
}

/// An RTP packet that was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Taken {
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    payload: Vec<u8>,
}

impl Taken {
    fn of(octets: &[u8]) -> Self {
        let packet = Packet::new_checked(octets).expect("our own RTP");
        Self {
            payload_type: packet.payload_type(),
            sequence: packet.sequence(),
            timestamp: packet.timestamp(),
            ssrc: packet.ssrc(),
            payload: packet.payload().to_vec(),
        }
    }
}

/// The payloads of packets that follow each other without a gap.
fn joined(packets: &[Taken]) -> Vec<u8> {
    for two in packets.windows(2) {
        assert_eq!(two[1].sequence, two[0].sequence.wrapping_add(1), "sequence numbers follow each other");
        assert_eq!(
            two[1].timestamp,
            two[0].timestamp.wrapping_add(two[0].payload.len() as u32),
            "timestamps follow each other"
        );
        assert_eq!(two[1].ssrc, two[0].ssrc);
    }
    packets.iter().flat_map(|packet| packet.payload.iter().copied()).collect()
}

/// Where `part` lies in `whole`.
fn find(whole: &[u8], part: &[u8]) -> Option<usize> {
    whole.windows(part.len()).position(|window| window == part)
}

/// Someone who talks to one of our pairs, 20 ms a packet.
#[derive(Clone)]
struct Peer {
    to: PortSlot,
    from: SocketAddr,
    ssrc: u32,
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    tick: u32,
}

impl Peer {
    fn new(number: u16, pair: u32) -> Self {
        Self {
            to: rtp(pair),
            from: peer(number).rtp,
            ssrc: 0x7000 + u32::from(number),
            payload_type: 8,
            sequence: 100,
            timestamp: 5_000,
            tick: 0,
        }
    }

    /// Each fourth tick of 5 ms, a packet.
    fn speak(&mut self, coming: &mut Vec<(PortSlot, SocketAddr, Vec<u8>)>) {
        self.tick += 1;
        if self.tick % 4 == 1 {
            coming.push((self.to, self.from, self.packet(160)));
        }
    }

    fn packet(&mut self, len: u32) -> Vec<u8> {
        let payload: Vec<u8> = (0..len).map(|i| voice(self.ssrc, self.timestamp.wrapping_add(i))).collect();
        let header = Header {
            marker: false,
            payload_type: self.payload_type,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(len);
        packet_of(header, &payload)
    }

    /// All it has said.
    fn said(&self) -> Vec<u8> {
        (5_000..self.timestamp).map(|timestamp| voice(self.ssrc, timestamp)).collect()
    }
}

/// `heard` is silence, then `said` from its beginning, as far as there was time; says when it began.
fn assert_hears(heard: &[u8], said: &[u8]) -> usize {
    let begin = heard.iter().position(|&octet| octet == said[0]).expect("it is heard at all");
    assert!(heard[..begin].iter().all(|&octet| octet == Law::A.silence()), "silence before it");
    let n = (heard.len() - begin).min(said.len());
    assert!(n > 800, "a tenth of a second at least, not {n} octets");
    assert_eq!(heard[begin..][..n], said[..n], "bit-exact");
    begin
}

fn assert_silent(heard: &[u8]) {
    assert!(heard.iter().all(|&octet| octet == Law::A.silence()));
}
