//! The load: a stream of RTP for each DS0, paced, and a judge for each stream that comes back.
//!
//! A [`Schedule`] says when which stream's next packet is due. Many streams share a socket here, for a
//! load test has to be cheaper than what it tests; whose a packet is that comes is told by where it
//! comes from.
//!
//! Driven from outside, like everything that keeps time: [`Load::turn`] does what is due.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use dataplane::rtp::packet::{Header, Packet};
use drivers::line::FRAME;
use drivers::net::{PortSlot, RtpSockets};
use drivers::time::Instant;
use hdrhistogram::Histogram;

use crate::checker::{Checker, Sent, Tally};
use crate::pattern::{self, Place, scramble};
use crate::schedule::Schedule;
use crate::series::Series;

/// How the streams are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shape {
    /// DS0s at most: 65,535.
    pub(crate) ds0s: u16,
    /// Payload octets of a packet sent: 8 a millisecond.
    pub(crate) ptime_octets: usize,
    /// The payload type of what is sent.
    pub(crate) payload_type: u8,
    /// Packets that each stream sends.
    pub(crate) packets: u64,
    /// By how much each may be held back.
    pub(crate) jitter: Duration,
}

/// Streams that share a socket: few sockets, but the queue of each holds what comes in a third of a
/// second, with as little as Linux grants a socket unless told otherwise.
pub(crate) const STREAMS_A_SOCKET: usize = 32;

/// All streams of a load test.
pub(crate) struct Load<N> {
    sockets: N,
    shape: Shape,
    streams: Vec<Stream>,
    /// Places in `streams`.
    by_peer: HashMap<SocketAddr, usize>,
    /// What has come from peers before they were known: a gateway may send as soon as it has made a
    /// connection, and its answer may be seen later.
    early: HashMap<SocketAddr, Vec<Early>>,
    early_count: usize,
    /// When which packet is due, once the load has been started.
    schedule: Option<Schedule>,
    figures: Figures,
}

/// A datagram that came before its peer was known.
struct Early {
    slot: PortSlot,
    arrived: Instant,
    octets: Vec<u8>,
}

/// Such datagrams that are kept: more are strays.
const EARLY_MAX: usize = 65_536;

/// One DS0's stream.
#[derive(Debug)]
struct Stream {
    ds0: u16,
    slot: PortSlot,
    peer: SocketAddr,
    sent: u64,
    unsent: u64,
    /// When the last packets were sent, by their number.
    sent_at: [Instant; SENT_KEPT],
    /// The last packet that came in its turn: its timestamp and when it came.
    last: Option<(u32, Instant)>,
    checker: Checker,
}

/// Packets whose time of sending is kept: octets that come back later than that have no delay.
const SENT_KEPT: usize = 16;

/// What is measured over all streams.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    /// From octet to octet through the far end's loop, in us.
    pub(crate) delay: Histogram<u64>,
    /// The same, by when they came.
    pub(crate) delays: Series,
    /// By how much two packets came closer together or further apart than they were made, in us.
    pub(crate) jitter: Histogram<u64>,
    /// How long after they were due packets were sent, in us: the harness's own fault.
    pub(crate) late: Histogram<u64>,
    /// Packets sent.
    pub(crate) sent: u64,
    /// Packets that found no room to be sent: the harness's own fault.
    pub(crate) unsent: u64,
    /// RTP packets that came.
    pub(crate) received: u64,
    /// RTCP packets that came.
    pub(crate) rtcp: u64,
    /// Datagrams that are nobody's, or no RTP.
    pub(crate) strays: u64,
}

/// One stream's account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Account {
    /// The DS0.
    pub(crate) ds0: u16,
    /// Packets sent.
    pub(crate) sent: u64,
    /// What came back.
    pub(crate) back: Tally,
}

/// The sum of all streams.
pub(crate) fn sum(accounts: &[Account]) -> Tally {
    let mut sum = Tally::default();
    accounts.iter().for_each(|account| sum.add(&account.back));
    sum
}

/// Packets sent in one turn at most, so that what comes is looked at in between.
const PACKETS_A_TURN: u64 = 1_024;

/// Whether a turn has done all that was due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    /// There is time until the next.
    Done,
    /// More is due already.
    Behind,
}

impl<N: RtpSockets> Load<N> {
    /// No streams yet.
    pub(crate) fn new(sockets: N, shape: Shape) -> Self {
        Self {
            sockets,
            shape,
            streams: Vec::new(),
            by_peer: HashMap::new(),
            early: HashMap::new(),
            early_count: 0,
            schedule: None,
            figures: Figures::new(),
        }
    }

    /// The stream of this DS0, to and from `peer`.
    ///
    /// # Panics
    /// If the load has been started, or has fewer DS0s.
    pub(crate) fn add(&mut self, ds0: u16, peer: SocketAddr) {
        assert!(self.schedule.is_none() && ds0 < self.shape.ds0s, "streams are added before the start");
        self.by_peer.insert(peer, self.streams.len());
        let mut stream = Stream::new(ds0, peer);
        let early = self.early.remove(&peer).unwrap_or_default();
        self.early_count -= early.len();
        for Early { slot, arrived, octets } in early {
            stream.take(slot, arrived, &octets, self.shape, &mut self.figures);
        }
        self.streams.push(stream);
    }

    /// The first packet of the first stream is due at `start`, all others' after it.
    pub(crate) fn start(&mut self, start: Instant) {
        let Shape { ptime_octets, packets, jitter, .. } = self.shape;
        let ptime = FRAME * ptime_octets as u32;
        self.schedule = Some(Schedule::new(start, self.streams.len(), packets, ptime, jitter));
        self.figures.strays += self.early_count as u64;
        self.early = HashMap::new();
    }

    /// Whether it has no streams.
    pub(crate) fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Whether something has come of each stream: its line runs.
    pub(crate) fn is_heard(&self) -> bool {
        self.streams.iter().all(|stream| stream.checker.has_heard())
    }

    /// Takes what has come and queues what is due.
    pub(crate) fn turn(&mut self, now: Instant) -> Turn {
        self.receive();
        for _ in 0..PACKETS_A_TURN {
            let due = self.schedule.as_mut().and_then(|schedule| schedule.poll(now));
            let Some((index, due_at)) = due else { return Turn::Done };
            self.send(index, now, due_at);
        }
        Turn::Behind
    }

    /// Sends what was queued, and sleeps until `until`.
    ///
    /// # Errors
    /// What the sockets say.
    pub(crate) fn flush(&mut self, until: Instant) -> std::io::Result<()> {
        self.sockets.flush(until)
    }

    /// When the last packet has been due.
    pub(crate) fn end(&self) -> Instant {
        self.schedule.as_ref().map_or(Instant::FAR_FUTURE, Schedule::end)
    }

    /// Whether all that was sent has come back.
    pub(crate) fn is_back(&self) -> bool {
        let octets = self.shape.packets * self.shape.ptime_octets as u64;
        self.streams.iter().all(|stream| stream.checker.next() >= octets)
    }

    /// What was measured so far.
    pub(crate) fn figures(&self) -> &Figures {
        &self.figures
    }

    /// Its sockets.
    pub(crate) fn sockets(&self) -> &N {
        &self.sockets
    }

    /// The account of each stream, when no more will come, and what was measured over all.
    pub(crate) fn finish(self) -> (Vec<Account>, Figures) {
        let octets = self.shape.ptime_octets as u64;
        let account = |stream: Stream| {
            let sent = Sent { ds0s: self.shape.ds0s, octets: (stream.sent + stream.unsent) * octets };
            Account { ds0: stream.ds0, sent: stream.sent, back: stream.checker.finish(sent) }
        };
        (self.streams.into_iter().map(account).collect(), self.figures)
    }

    /// Sends the next packet of the stream at this place.
    fn send(&mut self, index: usize, now: Instant, due_at: Instant) {
        let stream = &mut self.streams[index];
        let count = stream.sent + stream.unsent;
        let octets = self.shape.ptime_octets;
        let from = Place { ds0: stream.ds0, position: count * octets as u64 };
        // RFC 3550 §5.1: SSRC, sequence and timestamp begin where nobody can guess.
        let begin = scramble(u64::from(stream.ds0) + 1);
        let header = Header {
            marker: count == 0,
            payload_type: self.shape.payload_type,
            sequence: (begin as u16).wrapping_add(count as u16),
            timestamp: (begin as u32).wrapping_add(from.position as u32),
            ssrc: (begin >> 32) as u32,
        };
        let write = |out: &mut [u8]| {
            header.emit(out);
            pattern::fill(from, &mut out[Header::LEN..]);
        };
        if self.sockets.send(stream.slot, stream.peer, Header::LEN + octets, write).is_err() {
            stream.unsent += 1;
            self.figures.unsent += 1;
            return;
        }
        stream.sent_at[(count % SENT_KEPT as u64) as usize] = now;
        stream.sent += 1;
        self.figures.sent += 1;
        record(&mut self.figures.late, now.since(due_at));
    }

    fn receive(&mut self) {
        let Self { sockets, shape, streams, by_peer, early, early_count, schedule, figures, .. } = self;
        sockets.receive(|slot, from, arrived, octets| {
            if !slot.is_rtp() {
                figures.rtcp += 1;
                return;
            }
            match by_peer.get(&from) {
                Some(&index) => streams[index].take(slot, arrived, octets, *shape, figures),
                None if schedule.is_none() && *early_count < EARLY_MAX => {
                    let octets = octets.to_vec();
                    early.entry(from).or_default().push(Early { slot, arrived, octets });
                    *early_count += 1;
                }
                None => figures.strays += 1,
            }
        });
    }
}

impl Stream {
    fn new(ds0: u16, peer: SocketAddr) -> Self {
        Self {
            ds0,
            slot: slot(ds0),
            peer,
            sent: 0,
            unsent: 0,
            sent_at: [Instant::ZERO; SENT_KEPT],
            last: None,
            checker: Checker::new(ds0),
        }
    }

    /// Takes a datagram of its peer.
    fn take(&mut self, slot: PortSlot, arrived: Instant, octets: &[u8], shape: Shape, figures: &mut Figures) {
        match Packet::new_checked(octets) {
            Ok(packet) if slot == self.slot => {
                figures.received += 1;
                self.receive(arrived, &packet, shape, figures);
            }
            _ => figures.strays += 1,
        }
    }

    fn receive(&mut self, arrived: Instant, packet: &Packet<'_>, shape: Shape, figures: &mut Figures) {
        let sent = self.sent + self.unsent;
        let octets = shape.ptime_octets as u64;
        let position = self.checker.receive(packet, Sent { ds0s: shape.ds0s, octets: sent * octets });
        let Some(position) = position else { return };
        // The octets of a packet follow each other by 125 us: so the same delay holds for all of them,
        // wherever in its packet each of them left and came back.
        let number = position / octets;
        if number < sent && sent - number <= SENT_KEPT as u64 {
            let left = self.sent_at[(number % SENT_KEPT as u64) as usize];
            let delay = arrived.since(left + FRAME * (position % octets) as u32);
            record(&mut figures.delay, delay);
            figures.delays.record(arrived, delay);
        }
        // RFC 3550 §6.4.1: D, the difference of two packets' spacing at the receiver and the sender.
        if let Some((timestamp, before)) = self.last {
            let made = FRAME * packet.timestamp().wrapping_sub(timestamp);
            record(&mut figures.jitter, arrived.since(before).abs_diff(made));
        }
        self.last = Some((packet.timestamp(), arrived));
    }
}

impl Figures {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self {
            delay: histogram(),
            delays: Series::new(),
            jitter: histogram(),
            late: histogram(),
            sent: 0,
            unsent: 0,
            received: 0,
            rtcp: 0,
            strays: 0,
        }
    }
}

/// The RTP socket of a DS0.
fn slot(ds0: u16) -> PortSlot {
    PortSlot((usize::from(ds0) / STREAMS_A_SOCKET * 2) as u32)
}

/// A distribution of times up to a minute in us, to three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(60_000_000, 3).expect("the bounds are in range")
}

pub(crate) fn record(histogram: &mut Histogram<u64>, time: Duration) {
    histogram.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use drivers::net::sim::{Impairment, SimEndpoint, SimNet, SimSockets};
    use drivers::net::{PortRange, Ports};

    use super::*;

    const SHAPE: Shape =
        Shape { ds0s: 40, ptime_octets: 160, payload_type: 8, packets: 50, jitter: Duration::ZERO };
    const MS: Duration = Duration::from_millis(1);

    /// A load over a simulated network whose peers send back what comes.
    struct Bench {
        net: SimNet,
        load: Load<SimSockets>,
        peers: Vec<SimEndpoint>,
        now: Instant,
    }

    impl Bench {
        fn new(streams: usize) -> Self {
            Self::with(SHAPE, streams)
        }

        fn with(shape: Shape, streams: usize) -> Self {
            let net = SimNet::new(7, 4_096);
            let pairs = streams.div_ceil(STREAMS_A_SOCKET) as u16;
            let range = PortRange { address: Ipv4Addr::new(192, 0, 2, 1).into(), first: 10_000, pairs };
            let mut load = Load::new(net.sockets(&Ports(vec![range])), shape);
            let peer = |number: usize| ([192, 0, 2, 2], 20_000 + 2 * number as u16).into();
            let peers: Vec<_> = (0..streams).map(|number| net.endpoint(peer(number))).collect();
            peers.iter().enumerate().for_each(|(ds0, peer)| load.add(ds0 as u16, peer.address()));
            let now = Instant::from_nanos(1_000_000_000);
            load.start(now);
            Self { net, load, peers, now }
        }

        /// All of the load, and half a second more.
        fn run(mut self, mut echo: impl FnMut(usize, &SimEndpoint, SocketAddr, &[u8])) -> (Tally, Figures) {
            while self.now < self.load.end() + 500 * MS {
                self.net.advance(self.now);
                for (number, peer) in self.peers.iter().enumerate() {
                    while let Some((from, _, octets)) = peer.receive() {
                        echo(number, peer, from, &octets);
                    }
                }
                assert_eq!(self.load.turn(self.now), Turn::Done);
                self.load.flush(self.now).expect("a simulated network does not fail");
                self.now += MS;
            }
            let (accounts, figures) = self.load.finish();
            (sum(&accounts), figures)
        }
    }

    fn back(_: usize, peer: &SimEndpoint, from: SocketAddr, octets: &[u8]) {
        peer.send(from, octets);
    }

    #[test]
    fn what_a_clean_network_sends_back_is_all_there_and_verified() {
        let (tally, figures) = Bench::new(40).run(back);
        assert_eq!((figures.sent, figures.received, figures.unsent), (2_000, 2_000, 0));
        assert_eq!((tally.verified, tally.missing, tally.wrong()), (2_000 * 160, 0, 0));
        assert!(figures.late.max() <= 1_000, "{} us late with a turn a millisecond", figures.late.max());
        assert!(figures.jitter.max() <= 1_001, "{} us", figures.jitter.max());
    }

    #[test]
    fn the_delay_is_that_of_the_path() {
        let bench = Bench::new(3);
        bench.net.impair(Impairment { delay: 10 * MS, ..Impairment::default() });
        let (_, figures) = bench.run(back);
        assert_eq!(figures.delay.len(), 147, "the first of each stream is where it is found");
        let (least, most) = (figures.delay.min(), figures.delay.max());
        assert!(least >= 19_900 && most <= 22_100, "{least} to {most} us, not 20 ms and a turn");
    }

    #[test]
    fn jitter_is_neither_lateness_nor_delay_and_every_octet_is_verified() {
        let (tally, figures) = Bench::with(Shape { jitter: 30 * MS, ..SHAPE }, 40).run(back);
        assert_eq!((tally.verified, tally.missing, tally.packets_out_of_order), (2_000 * 160, 0, 0));
        assert!(figures.late.max() <= 1_000, "{} us late with a turn a millisecond", figures.late.max());
        assert!(figures.delay.max() <= 2_100, "{} us", figures.delay.max());
        assert!(figures.jitter.max() > 20_000, "{} us is not what 30 ms look like", figures.jitter.max());
    }

    #[test]
    fn loss_on_either_way_is_missed_to_the_octet() {
        let bench = Bench::new(8);
        bench.net.impair(Impairment { loss: 0.1, ..Impairment::default() });
        let net = bench.net.clone();
        let (tally, figures) = bench.run(back);
        let lost = net.counters().lost;
        assert!(lost > 20, "{lost} lost of 800");
        assert_eq!(figures.sent - figures.received, lost);
        assert_eq!((tally.missing, tally.wrong()), (lost * 160, 0));
    }

    #[test]
    fn doubled_and_reordered_packets_are_told_from_lost_ones() {
        let bench = Bench::new(8);
        let impairment = Impairment { duplicate: 0.1, reorder: 0.1, hold: 50 * MS, ..Impairment::default() };
        bench.net.impair(impairment);
        let (tally, _) = bench.run(back);
        assert!(tally.packets_doubled > 20 && tally.packets_out_of_order > 20, "{tally:?}");
        assert_eq!((tally.packets_lost, tally.missing, tally.verified), (0, 0, 400 * 160));
    }

    #[test]
    fn octets_that_come_back_on_another_ds0_are_crossed() {
        let mut held: Option<Vec<u8>> = None;
        let (tally, _) = Bench::new(2).run(|number, peer, from, octets| {
            // The second DS0 hears the first, under a header of its own.
            let mut octets = octets.to_vec();
            if number == 0 {
                held = Some(octets[Header::LEN..].to_vec());
            } else if let Some(other) = held.take().filter(|_| octets[3] % 10 == 0) {
                octets[Header::LEN..].copy_from_slice(&other);
            }
            peer.send(from, &octets);
        });
        assert_eq!(tally.crossed, 5 * 160);
        assert_eq!(tally.missing, 5 * 160);
    }

    #[test]
    fn what_comes_before_the_peer_is_known_is_not_lost() {
        let mut bench = Bench::new(1);
        let late = bench.net.endpoint("192.0.2.2:30000".parse().expect("an address"));
        bench.load.schedule = None;
        let octets = |sequence| {
            let mut octets = [0xD5; Header::LEN + 160];
            let timestamp = u32::from(sequence) * 160;
            Header { marker: false, payload_type: 8, sequence, timestamp, ssrc: 1 }.emit(&mut octets);
            octets
        };
        for sequence in 0..3 {
            late.send("192.0.2.1:10000".parse().expect("an address"), &octets(sequence));
            bench.net.advance(bench.now);
            bench.load.turn(bench.now);
            if sequence == 1 {
                bench.load.add(9, late.address());
            }
        }
        assert_eq!((bench.load.figures.received, bench.load.figures.strays), (3, 0));
        let (accounts, _) = bench.load.finish();
        assert_eq!((accounts[1].back.packets, accounts[1].back.packets_lost), (3, 0));
    }

    #[test]
    fn a_stranger_s_packets_and_noise_are_strays() {
        let bench = Bench::new(1);
        let stranger = bench.net.endpoint("192.0.2.3:9".parse().expect("an address"));
        let mut sent = 0;
        let (tally, figures) = bench.run(|_, peer, from, octets| {
            peer.send(from, octets);
            if sent < 2 {
                stranger.send(from, octets);
                peer.send(from, b"noise");
            }
            sent += 1;
        });
        assert_eq!((figures.strays, tally.verified), (4, 50 * 160));
    }
}
