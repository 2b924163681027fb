//! One measurement: a load that runs, and what it costs the thread that carries it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use drivers::net::xdp::Interface;
use drivers::net::{BoundSockets, Dscp, PortRange, Ports, RtpSockets, Settings};
use drivers::time::{Clock, Instant};

use crate::Failure;
use crate::host::{Thread, Usage};
use crate::load::{Figures, Load, STREAMS_A_SOCKET, Shape, Turn};
use crate::operator::{Operator, progress};
use crate::report::Section;
use crate::sockets::Sockets;

/// How often the harness looks after its load: as late as a packet may be without anybody's fault.
const TURN: Duration = Duration::from_millis(1);

/// How long a load runs before it is measured: caches, jitter buffers and clocks settle.
pub(crate) const WARM_UP: Duration = Duration::from_secs(1);

/// How long after the last packet octets may still come back.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// What a load cost while it was measured.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Cost {
    /// How long that was.
    pub(crate) elapsed: Duration,
    /// The thread that carried it; nothing if it runs where this host cannot see it.
    pub(crate) carrier: Option<Usage>,
    /// The harness itself.
    pub(crate) harness: Usage,
    /// Packets sent and received by the harness, so received and sent by who carried them.
    pub(crate) packets: u64,
}

impl Cost {
    /// CPU time of the carrier for a packet sent or received, in us.
    pub(crate) fn per_packet_us(&self) -> Option<f64> {
        let cpu = self.carrier?.cpu;
        (self.packets > 0).then(|| cpu.as_secs_f64() * 1e6 / self.packets as f64)
    }

    /// The part of its CPU that a thread had, 0 to 1.
    pub(crate) fn share(&self, usage: Usage) -> f64 {
        usage.cpu.as_secs_f64() / self.elapsed.as_secs_f64()
    }
}

/// A load over real sockets and all that has to be looked after besides.
pub(crate) struct Bench<'a> {
    pub(crate) load: Load<Sockets>,
    operator: &'a Operator,
    me: Thread,
}

impl<'a> Bench<'a> {
    /// A load of this shape from `local`, past the kernel if there is an `interface`. To be made on the thread that runs it.
    ///
    /// # Errors
    /// If the ports cannot be had, or the thread cannot be found by its `name`.
    pub(crate) fn new(
        (local, interface): (IpAddr, Option<&Arc<Interface>>),
        shape: Shape,
        name: &str,
        operator: &'a Operator,
    ) -> Result<Self, Failure> {
        let ds0s = usize::from(shape.ds0s);
        // As much room as a gateway has for as many calls, on fewer sockets with longer queues.
        let settings = Settings { socket_octets: QUEUE_OCTETS, ..Settings::for_slots(ds0s * 2) };
        let sockets = BoundSockets::bind(&ports(local, ds0s), Dscp::EF, settings)
            .map_err(|error| format!("the harness's sockets: {error}"))?;
        let load = Load::new(Sockets::new(sockets, interface)?, shape);
        Ok(Self { load, operator, me: Thread::named(std::process::id(), name)? })
    }

    /// Starts the load, runs it to its end, and waits for what comes back. `carrier` is measured, and
    /// `besides` is called every turn.
    ///
    /// # Errors
    /// What the sockets or `besides` say, or if it is interrupted.
    pub(crate) fn measure(
        &mut self,
        length: Duration,
        carrier: Option<Thread>,
        mut besides: impl FnMut(Instant) -> Result<(), Failure>,
    ) -> Result<Cost, Failure> {
        let start = Clock.now() + TURN;
        self.load.start(start);
        self.run_until(start + WARM_UP, &mut besides)?;
        let before = self.reading(carrier)?;
        self.run_until(start + WARM_UP + length, &mut besides)?;
        let after = self.reading(carrier)?;
        self.run_until(self.load.end(), &mut besides)?;
        let drained = Clock.now() + DRAIN_MAX;
        while !self.load.is_back() && Clock.now() < drained {
            besides(self.turn()?)?;
        }
        Ok(Cost {
            elapsed: after.at.since(before.at),
            carrier: after.carrier.zip(before.carrier).map(|(after, before)| after - before),
            harness: after.harness - before.harness,
            packets: after.packets - before.packets,
        })
    }

    /// One turn of a millisecond: takes what has come, sends what is due, sleeps.
    ///
    /// # Errors
    /// What the sockets say, or if it is interrupted.
    pub(crate) fn turn(&mut self) -> Result<Instant, Failure> {
        let now = Clock.now();
        let until = match self.load.turn(now) {
            Turn::Done => now + TURN,
            Turn::Behind => now,
        };
        self.load.flush(until)?;
        self.operator.check()?;
        Ok(Clock.now())
    }

    fn run_until(
        &mut self,
        until: Instant,
        besides: &mut impl FnMut(Instant) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let start = Clock.now();
        loop {
            let now = self.turn()?;
            besides(now)?;
            self.operator.show(now, || progress("carrying", now.since(start), until.since(start)));
            if now >= until {
                return Ok(());
            }
        }
    }

    fn reading(&self, carrier: Option<Thread>) -> Result<Reading, Failure> {
        let figures = self.load.figures();
        Ok(Reading {
            at: Clock.now(),
            carrier: carrier.map(Thread::usage).transpose()?,
            harness: self.me.usage()?,
            packets: figures.sent + figures.received,
        })
    }
}

/// The counters at a moment.
struct Reading {
    at: Instant,
    carrier: Option<Usage>,
    harness: Usage,
    packets: u64,
}

/// The harness's figures of itself.
pub(crate) fn harness(cost: &Cost, figures: &Figures, refused: u64) -> Section {
    let mut section = Section::new("harness");
    section.share("harness_cpu", "its own CPU", cost.share(cost.harness));
    let waited = cost.harness.waited.as_secs_f64() * 1e3;
    section.number("harness_waited", "time it waited for its CPU, others having it", waited, "ms");
    section.times("harness_late", "packets sent after they were due", &figures.late);
    section.fault("harness_unsent", "packets it could not send", figures.unsent + refused, "packets");
    section
}

/// The harness's ports at `local`.
pub(crate) fn ports(local: IpAddr, ds0s: usize) -> Ports {
    let pairs = ds0s.div_ceil(STREAMS_A_SOCKET) as u16;
    Ports(vec![PortRange { address: local, first: PORT_FIRST, pairs }])
}

/// Where the RTP of the `n`th DS0 comes to.
pub(crate) fn rtp_address(local: IpAddr, n: usize) -> std::net::SocketAddr {
    (local, PORT_FIRST + (n / STREAMS_A_SOCKET * 2) as u16).into()
}

/// The first of the harness's ports: below those that Linux gives away by itself.
const PORT_FIRST: u16 = 10_000;

/// What a socket's queue may hold, if the host allows it (net.core.rmem_max): of 32 calls, a second.
const QUEUE_OCTETS: u32 = 1 << 20;

/// Whether the sockets are to blame: datagrams that they had no room for.
pub(crate) fn refused(load: &Load<Sockets>) -> u64 {
    let counters = load.sockets().counters();
    counters.refused + counters.full
}
