//! One load on one gateway: sets up its calls, carries them, and takes them down.

use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use control::call_agent::Counters;
use control::mgcp::code::ReturnCode;
use control::mgcp::message::ConnectionParameters;
use drivers::net::xdp::{Interface, RingStatistics};
use drivers::time::{Clock, Instant};

use super::DensityArgs;
use crate::Failure;
use crate::agent::{Agent, Refusals};
use crate::host::{self, Thread};
use crate::kernel;
use crate::load::{Account, Figures, Shape};
use crate::load_args::Driver;
use crate::measure::{self, Bench, Cost, refused, rtp_address};
use crate::operator::Operator;
use crate::target::{GatewayFault, Target, not_ready};

/// What a run came to.
pub(crate) struct Run {
    /// DS0s asked for.
    pub(super) asked: u16,
    /// Those that did not come up, by code.
    pub(super) refusals: Refusals,
    /// Payload octets of a packet.
    pub(super) ptime_octets: u64,
    pub(super) cost: Cost,
    pub(super) accounts: Vec<Account>,
    pub(super) figures: Figures,
    /// What the gateway had counted of each DS0.
    pub(super) counted: Vec<Option<ConnectionParameters<'static>>>,
    /// How long it took to set up all calls.
    pub(super) setup: Duration,
    pub(super) messages: Counters,
    /// Datagrams that the harness's sockets refused.
    pub(super) refused: u64,
    /// Datagrams for which the harness's queues, and those of the gateway's sockets, had no room.
    pub(super) dropped: [u64; 2],
    /// What the kernel counted, from before the first call to after the last.
    pub(super) kernel: kernel::Counters,
    /// Whether it went over a wire.
    pub(super) is_wire: bool,
    /// Octets of memory the gateway held before the first call, and with all of them.
    pub(super) memory: Option<[u64; 2]>,
    /// Octets of the kernel's memory for the gateway's sockets, their queues empty.
    pub(super) sockets: Option<u64>,
}

/// Who carries calls, and over what.
#[derive(Clone, Copy)]
pub(crate) struct Seat<'a> {
    /// The name of the thread that carries them.
    pub(crate) thread: &'static str,
    /// Its end of a wire, if there is one: the load goes past the kernel there.
    pub(crate) interface: Option<&'a Arc<Interface>>,
}

/// Sets up all calls, calls `up`, runs the load over them, and tears them down.
///
/// # Errors
/// Whatever keeps it from being measured.
pub(crate) fn carry(
    args: &DensityArgs,
    target: &Target,
    seat: Seat<'_>,
    up: &dyn Fn(),
    operator: &Operator,
) -> Result<Run, Failure> {
    let mut carriage = Carriage::new(args, target, seat, operator)?;
    carriage.meet()?;
    let before = carriage.reading()?;
    let setup = carriage.connect()?;
    up();
    let cost = carriage.measure()?;
    let busy = target.process().map(host::resident).transpose()?;
    carriage.disconnect()?;
    carriage.account(&before, busy, setup, cost)
}

/// The calls of one run, from their first command to their last.
struct Carriage<'a> {
    args: &'a DensityArgs,
    target: &'a Target,
    /// The gateway's process, if it is at the other end of a wire.
    wire: Option<u32>,
    shape: Shape,
    bench: Bench<'a>,
    agent: Agent,
}

/// What there was before the first call.
struct Reading {
    /// Octets of memory that the gateway held.
    idle: Option<u64>,
    kernel: kernel::Counters,
}

impl<'a> Carriage<'a> {
    fn new(
        args: &'a DensityArgs,
        target: &'a Target,
        Seat { thread, interface }: Seat<'_>,
        operator: &'a Operator,
    ) -> Result<Self, Failure> {
        let shape = args.load.shape(args.load.length());
        let bench = Bench::new((target.local, interface), shape, thread, operator)?;
        let mut agent = Agent::bind(target.local, target.gateway, &args.target.domain, args.load.terms())?;
        for ds0 in 0..args.load.ds0 {
            agent.add(&args.target.endpoint(ds0), rtp_address(target.local, usize::from(ds0)))?;
        }
        let wire = target.process().filter(|_| interface.is_some());
        Ok(Self { args, target, wire, shape, bench, agent })
    }

    /// Waits until the gateway is ready, and has the endpoints.
    fn meet(&mut self) -> Result<(), Failure> {
        self.agent.audit();
        match self.settle(START_MAX) {
            Ok(_) => Ok(()),
            Err(error) if error.is::<Slow>() => {
                Err(format!("nobody answers at {}", self.target.gateway).into())
            }
            Err(error) => Err(not_ready(error)),
        }
    }

    fn reading(&self) -> Result<Reading, Failure> {
        let idle = self.target.process().map(host::resident).transpose()?;
        Ok(Reading { idle, kernel: kernel::Counters::read(self.wire, self.bench.load.sockets().rings())? })
    }

    /// Sets up all calls, and waits for their lines; how long it took to set them up.
    fn connect(&mut self) -> Result<Duration, Failure> {
        let began = Clock.now();
        self.agent.connect();
        let all_up = self.settle(CALLS_MAX).map_err(|error| match error.downcast::<Slow>() {
            Ok(slow) => GatewayFault(slow.to_string()).into(),
            Err(error) => error,
        })?;
        if self.bench.load.is_empty() {
            let DensityArgs { load, .. } = self.args;
            let refused = refusals(self.agent.refusals());
            return Err(GatewayFault(format!("none of {} DS0s came up: {refused}", load.ds0)).into());
        }
        // A line that has just been made may not run yet, and what is sent to it would only pile up.
        let give_up = all_up + LINE_START_MAX;
        while !self.bench.load.is_heard() && self.bench.turn()? < give_up {}
        Ok(all_up.since(began))
    }

    fn measure(&mut self) -> Result<Cost, Failure> {
        let Self { args, target, bench, agent, .. } = self;
        let carrier = target.process().map(|process| Thread::named(process, CARRIER)).transpose()?;
        bench.measure(args.load.length(), carrier, |now| {
            agent.turn(now)?;
            target.check()
        })
    }

    /// Ends all calls. What was measured is told all the same if the gateway does not answer: without its counters.
    fn disconnect(&mut self) -> Result<(), Failure> {
        self.agent.disconnect();
        match self.settle(CALLS_MAX) {
            Err(error) if !error.is::<Slow>() => Err(error),
            _ => Ok(()),
        }
    }

    /// What it came to.
    fn account(
        self,
        before: &Reading,
        busy: Option<u64>,
        setup: Duration,
        cost: Cost,
    ) -> Result<Run, Failure> {
        let Self { args, target, wire, shape, bench, agent } = self;
        // Only now: the tables of thousands of sockets take tens of milliseconds to read, and what the gateway
        // sends meanwhile would find the harness's queues full.
        let rings = bench.load.sockets().rings();
        let kernel = kernel::Counters::read(wire, rings)?.since(&before.kernel);
        let dropped = dropped(args, target, rings)?;
        let descriptors = target.process().map(host::descriptors).transpose()?;
        // All but a dozen of a gateway's descriptors are sockets.
        let socket_octets = host::socket_octets(args.load.driver == Driver::Uring);
        let refused = refused(&bench.load);
        let (accounts, figures) = bench.load.finish();
        Ok(Run {
            asked: shape.ds0s,
            refusals: agent.refusals().clone(),
            ptime_octets: shape.ptime_octets as u64,
            cost,
            accounts,
            figures,
            counted: agent.calls().iter().map(|call| call.parameters.clone()).collect(),
            setup,
            messages: agent.counters(),
            refused,
            dropped,
            kernel,
            is_wire: wire.is_some(),
            memory: before.idle.zip(busy).map(|(idle, busy)| [idle, busy]),
            sockets: descriptors.zip(socket_octets).map(|(n, octets)| n * octets),
        })
    }

    /// Turns until all commands have been answered, and twice more for what came with the last answer.
    fn settle(&mut self, time_max: Duration) -> Result<Instant, Failure> {
        let Self { target, bench, agent, .. } = self;
        let give_up = Clock.now() + time_max;
        loop {
            let now = bench.turn()?;
            agent.turn(now)?;
            while let Some((ds0, peer)) = agent.poll_up() {
                bench.load.add(ds0 as u16, peer);
            }
            target.check()?;
            if agent.is_done() {
                bench.turn()?;
                bench.turn()?;
                return Ok(now);
            }
            if now > give_up {
                return Err(Slow(time_max).into());
            }
        }
    }
}

/// What was refused, in words: `30 with 403 no room`.
pub(super) fn refusals(refusals: &Refusals) -> String {
    let told = |(code, (n, words)): (&ReturnCode, &(u64, String))| {
        format!("{n} with {} {words}", code.0).trim_end().to_owned()
    };
    refusals.iter().map(told).collect::<Vec<_>>().join(", ")
}

/// Datagrams for which the queues of the harness, and those of the gateway's sockets, had no room.
fn dropped(args: &DensityArgs, target: &Target, rings: Option<RingStatistics>) -> Result<[u64; 2], Failure> {
    let (gateway, local) = (target.gateway, target.local);
    // Other sockets of the harness at this address are not the load's.
    let own = measure::ports(local, usize::from(args.load.ds0));
    let own: HashSet<SocketAddr> = own.iter().map(|(_, address)| address).collect();
    let harness = host::queue_drops(None, local, |address| own.contains(&address))?;
    let theirs = host::queue_drops(target.process(), gateway.ip(), |address| address.ip() == gateway.ip())?;
    Ok([harness + rings.map_or(0, |rings| rings.dropped()), theirs])
}

/// The gateway has not answered all within this time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Slow(Duration);

impl fmt::Display for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the gateway has not answered all within {} s", self.0.as_secs())
    }
}

impl std::error::Error for Slow {}

/// The media thread of a gateway of ours with one core.
pub(crate) const CARRIER: &str = "core-0";

/// How long a gateway may take to come up, and to make or end all calls.
const START_MAX: Duration = Duration::from_secs(20);
const CALLS_MAX: Duration = Duration::from_secs(60);

/// How long a line may take to send its first octets.
const LINE_START_MAX: Duration = Duration::from_secs(2);
