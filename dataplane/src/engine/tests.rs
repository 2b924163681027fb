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

mod local;
mod relays;
mod signals;
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
        let shapes: Vec<_> = (0..n).map(|id| SpanShape { id: SpanId(id), line, frames }).collect();
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

// THE TWO WAYS

#[test]
fn what_the_line_says_goes_out_bit_exact() {
    let mut core = Core::new();
    core.connect(17, 3, leg(Mode::SendReceive, peer(1)));
    core.ticks(100);
    let packets = core.rtp_from(3);
    assert!(packets.len() >= 24);
    assert!(core.out.iter().filter(|sent| sent.from == rtp(3)).all(|sent| sent.to == peer(1).rtp));
    let first = &packets[0];
    assert_eq!((first.payload_type, first.sequence, first.ssrc), (8, 65_530, 0x5000_0003));
    assert_eq!(packets[6].sequence, 0, "sequence numbers wrap");
    let octets = joined(&packets);
    let begin = find(&core.said(17), &octets).expect("the line said it");
    assert_eq!(first.timestamp, identity(3).timestamp.wrapping_add(begin as u32));
    assert_eq!(core.count(Counter::RtpSent), packets.len() as u64);
    assert_eq!(core.count(Counter::RtpSentOctets), octets.len() as u64);
}

#[test]
fn what_the_peer_says_reaches_the_line_bit_exact() {
    let mut core = Core::new();
    core.connect(17, 3, leg(Mode::SendReceive, peer(1)));
    core.ticks(3);
    let mut peers = [Peer::new(1, 3)];
    core.talk(&mut peers, 200);
    let begin = assert_hears(core.heard(17), &peers[0].said());
    assert!(begin <= 3 * BLOCK + 160 + BLOCK, "the jitter buffer's 20 ms and a block: {begin}");
    assert_eq!(core.count(Counter::RtpReceived), 50);
    for counter in [Counter::ConcealedOctets, Counter::LateOctets, Counter::Duplicate, Counter::DroppedSource]
    {
        assert_eq!(core.count(counter), 0, "{counter:?}");
    }
    assert_silent(core.heard(16));
}

#[test]
fn two_legs_of_one_core_carry_both_ways_bit_exact() {
    let mut core = Core::new();
    core.connect(1, 0, leg(Mode::SendReceive, ourselves(1)));
    core.connect(2, 1, leg(Mode::SendReceive, ourselves(0)));
    core.ticks(200);
    for (says, hears) in [(1, 2), (2, 1)] {
        let heard = core.heard(hears);
        let begin = heard.iter().position(|&octet| octet != Law::A.silence()).expect("it is heard");
        let offset = find(&core.said(says), &heard[begin..]).expect("bit-exact, to the end");
        assert!(
            begin - offset <= 160 + BLOCK + 160 + 2 * BLOCK,
            "20 ms, 20 ms and the blocks: {begin} {offset}"
        );
    }
    let seen = core.survey(0);
    assert_eq!((seen.packets_lost, seen.jitter), (0, Duration::ZERO));
    assert!(seen.packets_sent >= 48 && seen.packets_received >= 48);
    assert_eq!(seen.octets_sent, seen.packets_sent * 160);
    assert!(seen.playout_delay >= Duration::from_millis(15));
}

#[test]
fn laws_are_translated_each_way_by_table() {
    let mut core = Core::new();
    let mu = Leg { send: pcm(Law::Mu), ..leg(Mode::SendReceive, peer(1)) };
    core.connect(17, 3, mu);
    let mut peers = [Peer { payload_type: 0, ..Peer::new(1, 3) }];
    core.talk(&mut peers, 100);
    let to_mu = g711::translate(Law::A, Law::Mu).expect("they differ");
    let to_a = g711::translate(Law::Mu, Law::A).expect("they differ");
    let translate = |octets: &[u8], table: &[u8; 256]| -> Vec<u8> {
        octets.iter().map(|&octet| table[usize::from(octet)]).collect()
    };
    let packets = core.rtp_from(3);
    assert_eq!(packets[0].payload_type, 0);
    assert!(find(&translate(&core.said(17), to_mu), &joined(&packets)).is_some());
    assert!(find(core.heard(17), &translate(&peers[0].said()[..1_000], to_a)).is_some());
}

#[test]
fn the_law_of_an_endpoint_can_change() {
    let mut core = Core::new();
    core.connect(17, 3, leg(Mode::SendReceive, peer(1)));
    core.ticks(10);
    assert_eq!(core.order(Action::Encode { ds0: ds0(0, 17), law: Law::Mu }), Outcome::Done);
    assert_eq!(core.order(Action::Encode { ds0: ds0(0, 18), law: Law::Mu }), Outcome::Done);
    let mut peers = [Peer::new(1, 3)];
    core.talk(&mut peers, 100);
    let to_mu = g711::translate(Law::A, Law::Mu).expect("they differ");
    let expected: Vec<u8> = peers[0].said()[..1_000].iter().map(|&octet| to_mu[usize::from(octet)]).collect();
    assert!(find(core.heard(17), &expected).is_some());
    let heard = core.heard(18);
    assert!(heard[..10 * BLOCK].iter().all(|&octet| octet == Law::A.silence()));
    assert!(heard[10 * BLOCK..].iter().all(|&octet| octet == Law::Mu.silence()));
}

// RFC 4040.
#[test]
fn clearmode_touches_no_octet_whatever_the_law() {
    let mut core = Core::new();
    let clearmode = Format { payload_type: 97, codec: Codec::Clearmode };
    let clear =
        Leg { send: clearmode, receive: Formats::new([clearmode]), ..leg(Mode::SendReceive, peer(1)) };
    core.order(Action::Encode { ds0: ds0(0, 17), law: Law::Mu });
    core.connect(17, 3, clear);
    let mut peers = [Peer { payload_type: 97, ..Peer::new(1, 3) }];
    core.talk(&mut peers, 100);
    assert!(find(&core.said(17), &joined(&core.rtp_from(3))).is_some());
    assert!(find(core.heard(17), &peers[0].said()[..1_000]).is_some());
}

#[test]
fn a_block_longer_than_ptime_sends_several_packets_a_tick() {
    let mut core = Core::with_spans(1, 160);
    core.connect(17, 3, Leg { ptime_ms: ms(5), ..leg(Mode::SendOnly, peer(1)) });
    core.ticks(50);
    let packets = core.rtp_from(3);
    assert_eq!(packets.len(), 200);
    assert_eq!(joined(&packets), core.said(17));
}

// LEVEL TICKS

#[test]
fn the_packets_of_a_span_are_spread_over_the_ticks() {
    let mut core = Core::new();
    for timeslot in 1..=31 {
        core.connect(timeslot, u32::from(timeslot), leg(Mode::SendOnly, peer(1)));
    }
    core.ticks(100);
    for level in &core.levels[8..] {
        assert!((7..=8).contains(level), "{:?}", core.levels);
    }
}

#[test]
fn the_packets_of_two_spans_are_spread_over_the_ticks() {
    let mut core = Core::with_spans(2, BLOCK);
    for pair in 0..62 {
        let ds0 = ds0((pair / 31) as u16, (pair % 31 + 1) as u8);
        let leg = Leg { ptime_ms: ms(30), ..leg(Mode::SendOnly, peer(1)) };
        core.order(Action::Connect { ds0, port: rtp(pair), identity: identity(pair), leg });
    }
    core.ticks(100);
    for level in &core.levels[12..] {
        assert!((10..=11).contains(level), "{:?}", core.levels);
    }
}

// MODES

/// Two connections on timeslot 5, peers 1 and 2 talking on both, for half a second.
fn endpoint(a: Mode, b: Mode) -> (Core, [Peer; 2]) {
    let mut core = Core::new();
    core.connect(5, 0, leg(a, peer(1)));
    core.connect(5, 1, leg(b, peer(2)));
    let mut peers = [Peer::new(1, 0), Peer::new(2, 1)];
    core.talk(&mut peers, 100);
    (core, peers)
}

fn sends_the_line(core: &Core, pair: u32) -> bool {
    let octets = joined(&core.rtp_from(pair));
    !octets.is_empty() && find(&core.said(5), &octets).is_some()
}

#[test]
fn sendonly_sends_and_does_not_hear() {
    let (core, _) = endpoint(Mode::SendOnly, Mode::Inactive);
    assert!(sends_the_line(&core, 0));
    assert_silent(core.heard(5));
    assert!(core.rtp_from(1).is_empty(), "inactive sends nothing");
    assert_eq!(core.count(Counter::DroppedMode), 50, "of both connections");
}

#[test]
fn recvonly_hears_and_does_not_send() {
    let (core, peers) = endpoint(Mode::ReceiveOnly, Mode::Inactive);
    assert!(core.rtp_from(0).is_empty());
    assert_hears(core.heard(5), &peers[0].said());
}

#[test]
fn several_heard_connections_are_added_up() {
    let (core, peers) = endpoint(Mode::SendReceive, Mode::ReceiveOnly);
    assert!(sends_the_line(&core, 0));
    assert!(core.rtp_from(1).is_empty());
    let mut sum = vec![0; 1_600];
    g711::mix(Law::A, &[&peers[0].said(), &peers[1].said()], &mut sum);
    assert!(find(core.heard(5), &sum).is_some());
}

#[test]
fn sendrecv_connections_do_not_hear_each_other_and_conferences_do() {
    let (core, _) = endpoint(Mode::SendReceive, Mode::SendReceive);
    assert!(sends_the_line(&core, 0) && sends_the_line(&core, 1));

    let (core, peers) = endpoint(Mode::Conference, Mode::Conference);
    for (pair, other) in [(0, 1), (1, 0)] {
        let octets = joined(&core.rtp_from(pair));
        // What the other said begins somewhere in the line's stream; both begin at a block.
        let line = core.said(5);
        let other = peers[other].said();
        let is_sum = |line_at: usize, other_at: usize| {
            let mut sum = vec![0; 400];
            g711::mix(Law::A, &[&line[line_at..], &other[other_at..]], &mut sum);
            find(&octets, &sum).is_some()
        };
        assert!((0..40).any(|block| is_sum(1_200, block * BLOCK)), "pair {pair}");
    }
}

#[test]
fn four_conference_connections_hear_the_union_of_the_others() {
    let mut core = Core::new();
    let mut peers: Vec<Peer> = (0..4).map(|n| Peer::new(n as u16, n)).collect();
    for n in 0..4 {
        core.connect(5, n, leg(Mode::Conference, peer(n as u16)));
    }
    core.talk(&mut peers, 100);
    let voices: Vec<Vec<u8>> = peers.iter().map(Peer::said).collect();
    let all: Vec<&[u8]> = voices.iter().map(|voice| &voice[..1_600]).collect();
    let mut sum = vec![0; 1_600];
    g711::mix(Law::A, &all, &mut sum);
    assert!(find(core.heard(5), &sum).is_some());
    assert!((0..4).all(|pair| core.rtp_from(pair).len() >= 23));
}

// RFC 3435 §2.3.1.
#[test]
fn loopback_returns_the_circuit_to_itself_and_takes_it_out_of_the_mix() {
    let (core, _) = endpoint(Mode::Loopback, Mode::SendReceive);
    assert!(core.rtp_from(0).is_empty() && core.rtp_from(1).is_empty());
    assert_eq!(core.heard(5)[BLOCK..], core.said(5)[..99 * BLOCK], "a block later");
}

#[test]
fn conference_forwarding_goes_on_while_the_circuit_is_tested() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::Conference, peer(1)));
    core.connect(5, 1, leg(Mode::Conference, peer(2)));
    core.connect(5, 2, leg(Mode::Loopback, peer(3)));
    let mut peers = [Peer::new(1, 0), Peer::new(2, 1)];
    core.talk(&mut peers, 100);
    assert_eq!(core.heard(5)[BLOCK..], core.said(5)[..99 * BLOCK]);
    for (pair, other) in [(0, 1), (1, 0)] {
        let octets = joined(&core.rtp_from(pair));
        assert!(find(&octets, &peers[other].said()[..1_600]).is_some(), "one source passes bit-exact");
    }
}

#[test]
fn netwloop_returns_the_peers_octets_in_packets_of_our_own() {
    let mut core = Core::new();
    let leg = Leg { ptime_ms: ms(30), send: pcm(Law::A), ..leg(Mode::NetworkLoopback, peer(1)) };
    core.connect(5, 0, leg);
    let mut peers = [Peer::new(1, 0)];
    core.talk(&mut peers, 100);
    let packets = core.rtp_from(0);
    assert!(packets.iter().all(|packet| packet.ssrc == identity(0).ssrc && packet.payload.len() == 240));
    assert!(find(&joined(&packets), &peers[0].said()[..1_600]).is_some());
    assert_silent(core.heard(5));
}

/// The share of `octets` that is a sine of `hz`.
fn share(octets: &[u8], hz: f64) -> f64 {
    let (mut re, mut im, mut energy) = (0.0, 0.0, 0.0);
    for (n, &octet) in octets.iter().enumerate() {
        let sample = f64::from(Law::A.decode(octet));
        let (sin, cos) = (n as f64 * hz * std::f64::consts::TAU / 8_000.0).sin_cos();
        re += sample * cos;
        im += sample * sin;
        energy += sample * sample;
    }
    2.0 * (re * re + im * im) / (octets.len() as f64 * f64::max(energy, 1.0))
}

// RFC 3435 §2.3.1: the circuit is placed in transponder mode; RFC 3660 §2.3 has the tones.
#[test]
fn conttest_answers_the_circuit_with_the_other_tone() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::ContinuityTest, peer(1)));
    core.connect(5, 1, leg(Mode::SendReceive, peer(2)));
    core.tone = Some(Tone::new(Law::A, 2_010.0, -12.0));
    core.talk(&mut [Peer::new(2, 1)], 100);
    let heard = core.heard(5);
    assert_silent(&heard[..5 * BLOCK]);
    assert!(share(&heard[50 * BLOCK..], 1_780.0) > 0.95);
    assert!(core.rtp_from(0).is_empty() && core.rtp_from(1).is_empty());
}

#[test]
fn netwtest_answers_the_peer_with_the_other_tone() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::NetworkContinuityTest, peer(1)));
    let mut tone = Tone::new(Law::A, 1_780.0, -12.0);
    let mut says = Peer::new(1, 0);
    for _ in 0..25 {
        let mut packet = says.packet(160);
        tone.fill(&mut packet[Header::LEN..]);
        core.coming.push((rtp(0), says.from, packet));
        core.ticks(4);
    }
    let octets = joined(&core.rtp_from(0));
    assert!(share(&octets[octets.len() / 2..], 2_010.0) > 0.95);
    assert_silent(core.heard(5));
}

#[test]
fn a_mode_that_pauses_keeps_ssrc_and_sequence_and_its_timestamps_go_with_the_line() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::SendReceive, peer(1)));
    core.ticks(40);
    core.modify(0, leg(Mode::Inactive, peer(1)));
    core.ticks(37);
    core.modify(0, leg(Mode::SendOnly, peer(1)));
    core.ticks(40);
    let packets = core.rtp_from(0);
    let line = core.said(5);
    for (n, packet) in packets.iter().enumerate() {
        assert_eq!(packet.sequence, identity(0).sequence.wrapping_add(n as u16));
        let at = packet.timestamp.wrapping_sub(identity(0).timestamp) as usize;
        assert_eq!(packet.payload, line[at..at + 160], "each packet is where its timestamp says");
    }
    assert!((18..20).contains(&packets.len()));
}

#[test]
fn a_change_to_any_ptime_loses_no_octet() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::SendOnly, peer(1)));
    for ptime in [5, 60, 10, 40, 30, 20, 5, 20] {
        core.ticks(23);
        core.modify(0, Leg { ptime_ms: ms(ptime), ..leg(Mode::SendOnly, peer(1)) });
    }
    core.ticks(23);
    let octets = joined(&core.rtp_from(0));
    assert!(octets.len() > 9 * 23 * BLOCK - 2 * 480);
    assert!(find(&core.said(5), &octets).is_some());
}

// WHO IS HEARD

// RFC 3435 §2.3.5.
#[test]
fn recvonly_without_a_remote_description_hears_anyone() {
    let mut core = Core::new();
    core.connect(5, 0, Leg { peer: link::Peer::Undescribed, ..leg(Mode::ReceiveOnly, peer(1)) });
    let mut peers = [Peer::new(9, 0)];
    core.talk(&mut peers, 60);
    // Naming the one who was heard disturbs nothing.
    core.modify(0, leg(Mode::SendReceive, peer(9)));
    core.talk(&mut peers, 60);
    assert_hears(core.heard(5), &peers[0].said());
    assert_eq!(core.count(Counter::ConcealedOctets), 0);
}

#[test]
fn a_peer_on_hold_is_nobody() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::SendReceive, peer(1)));
    core.modify(0, Leg { peer: link::Peer::OnHold, ..leg(Mode::SendReceive, peer(1)) });
    let mut peers = [Peer::new(1, 0), Peer { ssrc: 1, ..Peer::new(2, 0) }];
    core.talk(&mut peers, 60);
    assert!(core.rtp_from(0).is_empty());
    assert_eq!((core.count(Counter::RtpReceived), core.count(Counter::DroppedSource)), (0, 30));
}

#[test]
fn what_comes_from_elsewhere_is_counted_and_dropped() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::SendReceive, peer(1)));
    let mut other_port = Peer::new(1, 0);
    other_port.from.set_port(1);
    let mut peers = [Peer::new(1, 0), Peer { ssrc: 1, ..Peer::new(2, 0) }, Peer { ssrc: 2, ..other_port }];
    core.talk(&mut peers, 100);
    assert_hears(core.heard(5), &peers[0].said());
    assert_eq!(core.count(Counter::DroppedSource), 50);
    core.engine.receive(rtp(0).rtcp(), peer(2).rtcp, core.now, &[0x81; 40]);
    assert_eq!(core.count(Counter::DroppedSource), 51);
}

#[test]
fn what_makes_no_sense_is_counted_and_dropped() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::SendReceive, peer(1)));
    let from = peer(1).rtp;
    core.engine.receive(rtp(0), from, core.now, &[1, 2, 3]);
    core.engine.receive(rtp(0).rtcp(), peer(1).rtcp, core.now, &[0x80; 8]);
    assert_eq!(core.count(Counter::DroppedMalformed), 2);
    let unknown = Peer { payload_type: 18, ..Peer::new(1, 0) }.packet(20);
    core.engine.receive(rtp(0), from, core.now, &unknown);
    assert_eq!(core.count(Counter::DroppedPayloadType), 1);
    core.engine.receive(rtp(7), from, core.now, &unknown);
    core.engine.receive(PortSlot(9_999), from, core.now, &unknown);
    assert_eq!(core.count(Counter::DroppedIdle), 2);
    assert_eq!(core.survey(0), ConnectionStats::default());
}

#[test]
fn another_remote_is_another_source() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::SendReceive, peer(1)));
    let mut first = [Peer::new(1, 0)];
    core.talk(&mut first, 60);
    core.modify(0, leg(Mode::SendReceive, peer(2)));
    let mut second = [Peer { sequence: 40_000, ..Peer::new(2, 0) }];
    core.talk(&mut second, 60);
    assert!(find(core.heard(5), &second[0].said()[..1_600]).is_some());
    assert_eq!(core.count(Counter::DroppedSequence), 0);
    let seen = core.survey(0);
    assert_eq!((seen.packets_received, seen.packets_lost), (30, 0));
    assert!(
        core.out.iter().rev().find(|sent| sent.from == rtp(0)).is_some_and(|sent| sent.to == peer(2).rtp)
    );
}

#[test]
fn a_peer_that_changes_its_ssrc_is_heard_on() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::SendReceive, peer(1)));
    let mut peers = [Peer::new(1, 0)];
    core.talk(&mut peers, 60);
    peers[0] = Peer { ssrc: 0xABCD, sequence: 9, ..Peer::new(1, 0) };
    core.talk(&mut peers, 60);
    assert!(
        find(core.heard(5), &peers[0].said()[400..1_600]).is_some(),
        "but for the packet in doubt, and the joint"
    );
}

// RFC 3550 §8.2.
#[test]
fn a_peer_under_our_ssrc_makes_us_change_it_once() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::SendReceive, peer(1)));
    let mut peers = [Peer { ssrc: identity(0).ssrc, ..Peer::new(1, 0) }];
    core.talk(&mut peers, 60);
    let packets = core.rtp_from(0);
    let ours = packets.last().expect("it sends on").ssrc;
    assert_ne!(ours, identity(0).ssrc);
    assert!(packets.windows(2).all(|two| two[1].sequence == two[0].sequence.wrapping_add(1)));
    let mut reflected = [Peer { ssrc: ours, ..Peer::new(1, 0) }];
    core.talk(&mut reflected, 60);
    assert_eq!(core.rtp_from(0).last().expect("on").ssrc, ours, "once only");
    assert!(find(core.heard(5), &reflected[0].said()[400..1_600]).is_some());
    assert!(core.count(Counter::OwnSsrc) >= 15);
}

#[test]
fn a_peer_that_reports_under_our_ssrc_makes_us_change_it_too() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::SendReceive, peer(1)));
    core.ticks(10);
    // An empty receiver report (RFC 3550 §6.4.2).
    let mut report = vec![0x80, 201, 0, 1];
    report.extend(identity(0).ssrc.to_be_bytes());
    for _ in 0..2 {
        core.engine.receive(rtp(0).rtcp(), peer(1).rtcp, core.now, &report);
    }
    core.ticks(10);
    let bye = core.rtcp_from(0).remove(0);
    assert!(bye.bye && bye.ssrc == identity(0).ssrc);
    assert_ne!(core.rtp_from(0).last().expect("it sends on").ssrc, identity(0).ssrc);
    assert_eq!(
        (core.count(Counter::OwnSsrc), core.count(Counter::RtcpReceived)),
        (1, 1),
        "once ours, then another's"
    );
}

// ORDERS

#[test]
fn a_disconnect_in_mid_packet_leaves_silence_and_an_idle_pair() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::SendReceive, peer(1)));
    let mut peers = [Peer::new(1, 0)];
    core.talk(&mut peers, 62);
    let seen = core.disconnect(0);
    assert_eq!(seen.packets_sent as usize, core.rtp_from(0).len());
    assert_eq!((seen.packets_received, seen.octets_received), (16, 16 * 160));
    let before = core.heard(5).len();
    let sent = core.rtp_from(0).len();
    core.talk(&mut peers, 60);
    assert_silent(&core.heard(5)[before..]);
    assert_eq!(core.rtp_from(0).len(), sent);
    assert_eq!(core.count(Counter::DroppedIdle), 15);
    assert!(core.rtcp_from(0).last().expect("a BYE").bye);

    core.connect(6, 0, leg(Mode::SendReceive, peer(1)));
    core.talk(&mut peers, 60);
    assert!(
        find(core.heard(6), &peers[0].said()[40 * 160..42 * 160]).is_some(),
        "the pair serves another DS0"
    );
    assert_silent(&core.heard(5)[before..]);
}

#[test]
fn reports_come_in_the_order_of_the_orders() {
    let mut core = Core::new();
    let leg = leg(Mode::SendReceive, peer(1));
    let actions = [
        Action::Connect { ds0: ds0(0, 1), port: rtp(0), identity: identity(0), leg },
        Action::Survey { port: rtp(0) },
        Action::Modify { port: rtp(0), leg },
        Action::Disconnect { port: rtp(0) },
        Action::Connect { ds0: ds0(0, 2), port: rtp(0), identity: identity(0), leg },
    ];
    for (id, action) in actions.into_iter().enumerate() {
        let gear = Gear::for_action(&action);
        core.engine.apply(core.now, &Order { id: OrderId(id as u64), action }, gear);
    }
    core.engine.span_event(0, SpanEvent::Slip(Slip::Deleted));
    let reports: Vec<Report> = std::iter::from_fn(|| core.engine.poll_report()).collect();
    for (n, report) in reports[..5].iter().enumerate() {
        assert!(matches!(report, Report::Done { id: OrderId(id), .. } if *id == n as u64), "{report:?}");
    }
    assert_eq!(reports[5], Report::Span { span: SpanId(0), event: SpanEvent::Slip(Slip::Deleted) });
    assert_eq!(core.count(Counter::Slips), 1);
}

#[test]
fn pairs_are_marked_when_their_mark_changes() {
    let mut core = Core::new();
    let best_effort = Dscp::default();
    core.connect(1, 0, leg(Mode::SendReceive, peer(1)));
    core.connect(2, 1, Leg { dscp: best_effort, ..leg(Mode::SendReceive, peer(1)) });
    core.tick();
    core.modify(0, leg(Mode::Inactive, peer(1)));
    core.tick();
    core.disconnect(1);
    core.connect(3, 1, leg(Mode::SendReceive, peer(1)));
    core.tick();
    let ef = Dscp::EF;
    let expected = [(0, ef), (1, ef), (2, best_effort), (3, best_effort), (2, ef), (3, ef)]
        .map(|(slot, dscp)| (PortSlot(slot), dscp));
    assert_eq!(core.sockets.marks, expected);
}

#[test]
#[should_panic(expected = "control orders only what it has connected")]
fn an_order_for_an_idle_pair_is_a_broken_plan() {
    Core::new().modify(0, leg(Mode::SendReceive, peer(1)));
}

// RTCP

// RFC 3550 §6.2: about every five seconds, the first sooner.
#[test]
fn a_leg_reports_every_five_seconds_or_so() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::SendReceive, peer(1)));
    let mut peers = [Peer::new(1, 0)];
    core.talk(&mut peers, 60 * 200);
    let reports = core.rtcp_from(0);
    assert!((8..=22).contains(&reports.len()), "{} in a minute", reports.len());
    assert_eq!(core.count(Counter::RtcpSent), reports.len() as u64);
    for heard in &reports {
        assert_eq!(heard.ssrc, identity(0).ssrc);
        let sender = heard.sender.expect("we send all the time");
        // RFC 3550 §6.4.1: the report's timestamp is the media clock at its wall time.
        let wall = sender.ntp.wrapping_sub(EPOCH.ntp(Instant::from_nanos(1_000_000_000)));
        let clock = sender.timestamp.wrapping_sub(identity(0).timestamp);
        let elapsed = ((u128::from(wall) * 8_000) >> 32) as i64;
        assert!((i64::from(clock) - BLOCK as i64 - elapsed).abs() <= BLOCK as i64, "{clock} at {elapsed}");
    }
    assert!(core.out.iter().filter(|sent| sent.from == rtp(0).rtcp()).all(|sent| sent.to == peer(1).rtcp));
}

#[test]
fn two_legs_learn_their_round_trip_from_each_other() {
    let mut core = Core::new();
    core.connect(1, 0, leg(Mode::SendReceive, ourselves(1)));
    core.connect(2, 1, leg(Mode::SendReceive, ourselves(0)));
    core.ticks(30 * 200);
    let seen = core.disconnect(0);
    // A datagram takes a tick each way here.
    let latency = seen.latency.as_micros();
    assert!((4_900..5_100).contains(&latency), "{latency} us");
    assert!(core.count(Counter::RtcpReceived) > 4);
}

// RFC 3550 §6.3.7.
#[test]
fn who_has_sent_nothing_says_no_bye() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::Inactive, peer(1)));
    core.ticks(3);
    core.disconnect(0);
    core.connect(5, 1, Leg { peer: link::Peer::Undescribed, ..leg(Mode::ReceiveOnly, peer(1)) });
    core.ticks(2_000);
    core.disconnect(1);
    core.ticks(3);
    assert!(core.out.is_empty());
}

#[test]
fn closing_says_bye_for_every_leg_as_the_sockets_take_them() {
    let mut core = Core::new();
    for timeslot in 1..=31 {
        core.connect(timeslot, u32::from(timeslot), leg(Mode::SendOnly, peer(1)));
    }
    core.ticks(20);
    core.out.clear();
    core.sockets.room = Some(10);
    let mut rounds = 0;
    while !core.engine.close(core.now, &mut core.sockets) {
        core.out.append(&mut core.sockets.sent);
        rounds += 1;
    }
    core.out.append(&mut core.sockets.sent);
    assert_eq!(rounds, 3);
    let byes = (1..=31).flat_map(|pair| core.rtcp_from(pair)).filter(|heard| heard.bye).count();
    assert_eq!(byes, 31);
}

#[test]
fn a_packet_that_finds_no_room_is_lost_and_not_counted_as_sent() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::SendOnly, peer(1)));
    core.ticks(20);
    core.sockets.room = Some(0);
    core.ticks(8);
    core.sockets.room = None;
    core.ticks(20);
    assert_eq!(core.sockets.full, 2);
    let packets = core.rtp_from(0);
    assert_eq!(core.survey(0).packets_sent as usize, packets.len());
    let last = packets.last().expect("it goes on");
    let at = last.timestamp.wrapping_sub(identity(0).timestamp) as usize;
    assert_eq!(last.payload, core.said(5)[at..at + 160]);
}

#[test]
fn gear_that_nothing_wants_any_more_goes_back() {
    let mut core = Core::new();
    let told = |mode| Leg { receive_events: Some(101), ..leg(mode, peer(0)) };
    core.connect(1, 0, told(Mode::SendReceive));
    assert!(core.engine.poll_returned().is_none(), "the connection has it");
    core.order(Action::Modify { port: PortSlot(0), leg: told(Mode::ReceiveOnly) });
    assert!(core.engine.poll_returned().is_some(), "the connection had it");
    core.order(Action::Disconnect { port: PortSlot(0) });
    assert!(core.engine.poll_returned().is_some_and(|gear| !gear.is_empty()));
    core.connect(1, 0, leg(Mode::SendReceive, peer(0)));
    core.order(Action::Disconnect { port: PortSlot(0) });
    assert!(core.engine.poll_returned().is_none(), "there was none");
}
