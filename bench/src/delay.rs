//! How long octets stay in the gateway, each way, at each packetization period.
//!
//! A black box does not show when an octet was on its line, so here the media path runs in this process: the
//! gateway's own worker over its own sockets, between a line that knows when each octet was on it and an RTP
//! peer that knows when each packet was on its socket. On the line is an octet of a block when it is its
//! turn: what was received came in the 5 ms before the block was due, what is sent leaves in those after.
//!
//! Counted is the octet that waits longest, the first of its packet: from the line to RTP it waits for the
//! rest of its packet, and from RTP to the line for its turn in the jitter buffer. The sum is what a call
//! through two such gateways takes from line to line, but for the network between them.

use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroU8;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Args;
use dataplane::limits::Limits;
use dataplane::link::{self, Action, Formats, Identity, JitterBounds, Leg, Order, OrderId, Peer, Remote};
use dataplane::mode::Mode;
use dataplane::rtp::packet::{Header, Packet};
use dataplane::stats::Stats;
use dataplane::worker::{self, Carried, Parts, Recipe};
use drivers::line::{Carrier, Ds0, FRAME, Law, Line, SpanId, Timeslot};
use drivers::net::uring::UringSockets;
use drivers::net::{BoundSockets, Dscp, PortRange, PortSlot, Ports, Settings};
use drivers::span::{Block, Span, SpanEvent};
use drivers::time::{Clock, Instant};
use hdrhistogram::Histogram;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use crate::Failure;
use crate::agent::format;
use crate::cpus::Cpus;
use crate::floor::HARNESS;
use crate::load::{histogram, record};
use crate::load_args::LawName;
use crate::operator::{Operator, progress};
use crate::pattern::{self, Place, WORD};
use crate::priority::Priority;
use crate::report::{Report, Section, Value, Verdict};
use crate::wire::own_addresses;

/// Measures how long octets stay in the gateway, from the line to RTP and from RTP to the line.
///
/// Carries a call for each packetization period by the gateway's own media path, in this process, over
/// loopback. Counted is the first octet of each packet, which waits longest.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  \
    tollgate-bench delay\n  \
    tollgate-bench delay --jitter-buffer 0 --require 'both_20_p99<=30'")]
pub(crate) struct DelayArgs {
    /// How long to measure, in seconds; a second of warming up comes before.
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    seconds: u32,

    /// What jitter buffers hold, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 20, value_parser = clap::value_parser!(u16).range(0..=200))]
    jitter_buffer: u16,

    /// The law, on the line and in RTP.
    #[arg(long, value_enum, default_value_t = LawName::A)]
    law: LawName,

    #[command(flatten)]
    cpus: Cpus,
}

/// The packetization periods, in ms; each has a DS0, timeslot 1 and so on.
const PTIMES_MS: [u8; 6] = [5, 10, 20, 30, 40, 60];

/// What both sides know of a DS0.
#[derive(Debug)]
struct Call {
    /// When packets were sent to the gateway, in ns, by their number.
    sent_at: [AtomicU64; SENT_KEPT],
    /// From RTP to the line, in us.
    to_line: Mutex<Histogram<u64>>,
}

/// Packets whose time of sending is kept.
const SENT_KEPT: usize = 64;

/// All calls, and when measuring begins.
#[derive(Debug)]
struct Calls {
    calls: [Call; PTIMES_MS.len()],
    /// When the line's first block is due.
    line: Instant,
    /// What comes before is warming up.
    measured: Instant,
}

/// `tollgate-bench delay`.
///
/// # Errors
/// Whatever keeps it from being measured.
pub(crate) fn run(args: &DelayArgs, operator: &Operator) -> Result<Report, Failure> {
    let [gateway, local, _] = own_addresses();
    let range = PortRange { address: gateway.into(), first: 20_000, pairs: PTIMES_MS.len() as u16 };
    let ports = Ports(vec![range]);
    let limits = Limits::new(&ports, 0, &bounds(args), Block::FRAMES_MAX);
    let sockets = BoundSockets::bind(&ports, Dscp::EF, Settings::for_slots(ports.slots()))?;
    let (mut control, link) = link::pair(&limits, Box::new(|| {}));
    let line = Clock.now() + LINE_BEGINS_AFTER;
    let calls = Arc::new(Calls::new(line));
    let span = Box::new(ProbeSpan { law: args.law.into(), calls: Arc::clone(&calls), block: 0 });
    let (epoch, stats) = (Clock.epoch(), Arc::new(Stats::default()));
    let parts = Parts {
        limits,
        spans: vec![Carried { id: SpanId(0), echo: None, span }],
        seed: 1,
        epoch,
        stats,
        link,
    };
    let make = move || UringSockets::new(sockets);
    let worker = worker::spawn(Recipe {
        core: 0,
        cpu: args.cpus.gateway().number(),
        real_time_priority: args.cpus.priority().level(),
        parts,
        sockets: make,
    })?;
    let heard = args.cpus.run_harness(HARNESS, || {
        let mut peers = Peers::bind(local.into(), &ports, args, &calls)?;
        for (place, peer) in peers.0.iter().enumerate() {
            let order = Order { id: OrderId(place as u64), action: peer.connect(place, args)? };
            control.send(order);
        }
        peers.run(calls.measured + Duration::from_secs(args.seconds.into()), operator)?;
        Ok(peers.0.into_iter().map(|peer| peer.to_rtp).collect::<Vec<_>>())
    });
    control.stop();
    worker.join();
    Ok(args.report(&heard?, &calls))
}

impl Calls {
    fn new(line: Instant) -> Self {
        let call =
            |_| Call { sent_at: [const { AtomicU64::new(0) }; SENT_KEPT], to_line: Mutex::new(histogram()) };
        Self { calls: std::array::from_fn(call), line, measured: line + WARM_UP }
    }

    /// When the `n`th octet that the line brings was on it.
    fn on_line(&self, n: u64) -> Instant {
        // A block is due when its last octet has come.
        self.line + FRAME * n as u32 - BLOCK
    }
}

/// A line that knows when its octets were on it.
struct ProbeSpan {
    law: Law,
    calls: Arc<Calls>,
    /// Blocks exchanged so far.
    block: u64,
}

impl Span for ProbeSpan {
    fn line(&self) -> Line {
        Line { carrier: Carrier::E1, law: self.law }
    }

    fn frames(&self) -> usize {
        FRAMES
    }

    fn exchange(&mut self, now: Instant, tx: &Block, rx: &mut Block) -> bool {
        let due = self.due_at();
        if now < due {
            return false;
        }
        for (place, call) in self.calls.calls.iter().enumerate() {
            let timeslot = timeslot(place);
            let from = Place { ds0: place as u16, position: self.block * FRAMES as u64 };
            pattern::fill(from, rx.timeslot_mut(timeslot));
            if let Some(delay) = call.delay(place, due, tx.timeslot(timeslot))
                && now >= self.calls.measured
            {
                record(&mut call.to_line.lock().expect("nobody panics with it"), delay);
            }
        }
        self.block += 1;
        true
    }

    fn due_at(&self) -> Instant {
        self.calls.line + BLOCK * self.block as u32
    }

    fn poll_event(&mut self) -> Option<SpanEvent> {
        None
    }
}

impl Call {
    /// How long ago the packet was sent whose octets a block that is due has first. All octets of a packet
    /// have the delay of its first one, as they follow each other on the line as they do in it.
    fn delay(&self, place: usize, due: Instant, octets: &[u8]) -> Option<Duration> {
        let ptime = ptime_octets(place);
        let known = |(at, word): (usize, &[u8])| {
            let found = pattern::place(word.try_into().expect("a window is a word"));
            (found.ds0 == peer_ds0(place) && found.position < POSITION_MAX).then_some((at, found.position))
        };
        let (at, position) = octets.windows(WORD).enumerate().find_map(known)?;
        let sent_at = self.sent_at[(position / ptime % SENT_KEPT as u64) as usize].load(Ordering::Relaxed);
        let leaves = due + FRAME * at as u32;
        let in_packet = FRAME * (position % ptime) as u32;
        (sent_at > 0).then(|| leaves.since(Instant::from_nanos(sent_at) + in_packet))
    }
}

/// The RTP peers of all calls.
struct Peers<'a>(Vec<RtpPeer<'a>>);

/// The RTP peer of one.
struct RtpPeer<'a> {
    socket: UdpSocket,
    gateway: SocketAddr,
    place: usize,
    calls: &'a Calls,
    payload_type: u8,
    sent: u64,
    next: Instant,
    /// From the line to RTP, in us.
    to_rtp: Histogram<u64>,
}

impl<'a> Peers<'a> {
    fn bind(
        local: std::net::IpAddr,
        ports: &Ports,
        args: &DelayArgs,
        calls: &'a Calls,
    ) -> Result<Self, Failure> {
        let rtp = ports.iter().filter(|(slot, _)| slot.is_rtp());
        let bind = |(place, (_, gateway)): (usize, (PortSlot, SocketAddr))| {
            let socket = UdpSocket::bind((local, 0))?;
            socket.set_nonblocking(true)?;
            let payload_type = format(args.law.into()).payload_type;
            // What is sent to a line that does not run yet only piles up.
            let (next, to_rtp) = (calls.line + SENT_AFTER, histogram());
            Ok(RtpPeer { socket, gateway, place, calls, payload_type, sent: 0, next, to_rtp })
        };
        rtp.enumerate().map(bind).collect::<Result<_, Failure>>().map(Self)
    }

    fn run(&mut self, until: Instant, operator: &Operator) -> Result<(), Failure> {
        let clock = Clock;
        let start = clock.now();
        loop {
            let now = clock.now();
            for peer in &mut self.0 {
                peer.receive()?;
                peer.send()?;
            }
            if now >= until {
                return Ok(());
            }
            operator.check()?;
            operator.show(now, || progress("carrying", now.since(start), until.since(start)));
            let next = self.0.iter().map(|peer| peer.next).min().unwrap_or(until).min(until);
            let mut fds: Vec<_> =
                self.0.iter().map(|peer| PollFd::new(peer.socket.as_fd(), PollFlags::POLLIN)).collect();
            match ppoll(&mut fds, Some(TimeSpec::from(next.since(clock.now()))), None) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn bounds(args: &DelayArgs) -> JitterBounds {
    JitterBounds { nominal_ms: args.jitter_buffer, max_ms: args.jitter_buffer.max(100), adaptive: false }
}

impl RtpPeer<'_> {
    fn connect(&self, place: usize, args: &DelayArgs) -> Result<Action, Failure> {
        let format = format(args.law.into());
        let rtp = self.socket.local_addr()?;
        // Nobody listens there; what RTCP says is of no interest here.
        let rtcp = SocketAddr::new(rtp.ip(), RTCP_SINK);
        let jitter = bounds(args);
        Ok(Action::Connect {
            ds0: Ds0 { span: SpanId(0), timeslot: timeslot(place) },
            port: PortSlot(2 * place as u32),
            identity: Identity { ssrc: place as u32, sequence: 0, timestamp: 0, cname: [b'a'; 16] },
            leg: Leg {
                mode: Mode::SendReceive,
                peer: Peer::At(Remote { rtp, rtcp }),
                send: format,
                receive: Formats::new([format]),
                receive_events: None,
                send_events: None,
                ptime_ms: NonZeroU8::new(PTIMES_MS[place]).expect("none of them is 0"),
                jitter,
                has_echo: true,
                dscp: Dscp::EF,
            },
        })
    }

    /// Sends what is due.
    fn send(&mut self) -> Result<(), Failure> {
        let octets = ptime_octets(self.place);
        while self.next <= Clock.now() {
            let from = Place { ds0: peer_ds0(self.place), position: self.sent * octets };
            let mut packet = vec![0; Header::LEN + octets as usize];
            let (payload_type, ssrc) = (self.payload_type, 1_000 + self.place as u32);
            let (sequence, timestamp) = (self.sent as u16, from.position as u32);
            Header { marker: self.sent == 0, payload_type, sequence, timestamp, ssrc }.emit(&mut packet);
            pattern::fill(from, &mut packet[Header::LEN..]);
            let sent_at = &self.calls.calls[self.place].sent_at[(self.sent % SENT_KEPT as u64) as usize];
            sent_at.store(Clock.now().as_nanos(), Ordering::Relaxed);
            self.socket.send_to(&packet, self.gateway)?;
            self.sent += 1;
            self.next += Duration::from_millis(PTIMES_MS[self.place].into());
        }
        Ok(())
    }

    /// Takes what has come.
    fn receive(&mut self) -> Result<(), Failure> {
        let mut octets = [0; DATAGRAM_MAX];
        loop {
            let len = match self.socket.recv(&mut octets) {
                Ok(len) => len,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let now = Clock.now();
            let Ok(packet) = Packet::new_checked(&octets[..len]) else { continue };
            let Some(word) = packet.payload().first_chunk() else { continue };
            let place = pattern::place(*word);
            if usize::from(place.ds0) == self.place
                && place.position < POSITION_MAX
                && now >= self.calls.measured
            {
                record(&mut self.to_rtp, now.since(self.calls.on_line(place.position)));
            }
        }
    }
}

impl DelayArgs {
    /// Decides what the command line leaves open, on a host with these CPUs.
    pub(crate) fn settle(&mut self, usable: &[usize]) -> Cpus {
        self.cpus.settle(usable, Priority::RealTime);
        self.cpus
    }

    fn report(&self, to_rtp: &[Histogram<u64>], calls: &Calls) -> Report {
        let mut settings = vec![
            ("seconds", Value::Count(self.seconds.into())),
            ("jitter_buffer_ms", Value::Count(self.jitter_buffer.into())),
            ("law", Value::Text(Law::from(self.law).to_string())),
        ];
        settings.extend(self.cpus.settings());
        let mut report = Report::new("delay", settings);
        let mut unheard = Vec::new();
        for ((ptime_ms, to_rtp), call) in PTIMES_MS.into_iter().zip(to_rtp).zip(&calls.calls) {
            let to_line = call.to_line.lock().expect("nobody panics with it");
            let mut section = Section::new("the first octet of each packet");
            section.times(&format!("to_rtp_{ptime_ms}"), &format!("{ptime_ms} ms: line to RTP"), to_rtp);
            section.times(&format!("to_line_{ptime_ms}"), &format!("{ptime_ms} ms: RTP to line"), &to_line);
            let both = |quantile| {
                (to_rtp.value_at_quantile(quantile) + to_line.value_at_quantile(quantile)) as f64 / 1e3
            };
            for (percentile, quantile) in [("p50", 0.5), ("p99", 0.99)] {
                let words = format!("{ptime_ms} ms: line to line through two gateways, {percentile}");
                section.number(&format!("both_{ptime_ms}_{percentile}"), &words, both(quantile), "ms");
            }
            if to_rtp.is_empty() || to_line.is_empty() {
                unheard.push(format!("at {ptime_ms} ms nothing was heard"));
            }
            report.sections.push(section);
        }
        report.verdict = if unheard.is_empty() { Verdict::Pass } else { Verdict::Fail(unheard) };
        report
    }
}

fn timeslot(place: usize) -> Timeslot {
    Timeslot::new(place as u8 + 1).expect("there are fewer periods than timeslots")
}

/// Octets of a packet.
fn ptime_octets(place: usize) -> u64 {
    u64::from(PTIMES_MS[place]) * 8
}

/// What the pattern of a peer's octets says whose they are.
fn peer_ds0(place: usize) -> u16 {
    100 + place as u16
}

/// Frames of a block, and how long it lasts.
const FRAMES: usize = 40;
const BLOCK: Duration = Duration::from_millis(5);

/// How long after the start the line begins, and how long it is not measured then.
const LINE_BEGINS_AFTER: Duration = Duration::from_millis(200);
const WARM_UP: Duration = Duration::from_secs(1);

/// How long after the line packets begin: some blocks, and a half, so that none comes just when one is due.
const SENT_AFTER: Duration = Duration::from_micros(22_500);

/// What is further along than a day was not sent.
const POSITION_MAX: u64 = 8_000 * 86_400;

/// The discard port: RFC 863.
const RTCP_SINK: u16 = 9;

/// Octets of the longest packet, and more.
const DATAGRAM_MAX: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::from_nanos(10_000_000_000);

    #[test]
    fn an_octet_s_delay_is_from_its_turn_in_its_packet_to_its_turn_in_the_block() {
        let calls = Calls::new(START);
        // Packet 3 of 20 ms was sent at the start; its octet 16, of 2 ms later, is the block's eleventh.
        calls.calls[2].sent_at[3].store(START.as_nanos(), Ordering::Relaxed);
        let mut octets = [0xD5; FRAMES];
        pattern::fill(Place { ds0: peer_ds0(2), position: 3 * 160 + 16 }, &mut octets[10..]);
        let due = START + Duration::from_millis(25);
        let expected = Duration::from_millis(25 - 2) + FRAME * 10;
        assert_eq!(calls.calls[2].delay(2, due, &octets), Some(expected));
        assert_eq!(calls.calls[2].delay(2, due, &[0xD5; FRAMES]), None);
    }

    #[test]
    fn a_block_is_due_when_its_last_octet_has_come() {
        let calls = Calls::new(START);
        assert_eq!(calls.on_line(FRAMES as u64), START);
    }
}
