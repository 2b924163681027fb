//! One load on one gateway: sets up its calls, carries them, and takes them down.

use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use control::call_agent::Counters;
use control::mgcp::message::ConnectionParameters;
use drivers::net::xdp::{Interface, RingStatistics};
use drivers::time::{Clock, Instant};

use super::DensityArgs;
use crate::Failure;
use crate::agent::Agent;
use crate::host::{self, Thread};
use crate::kernel;
use crate::load::{Account, Figures};
use crate::load_args::Driver;
use crate::measure::{self, Bench, Cost, refused, rtp_address};
use crate::operator::Operator;

/// What a run came to.
pub(crate) struct Run {
    /// DS0s asked for.
    pub(super) asked: u16,
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

/// Between the harness and the gateway.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Way {
    /// Where the gateway takes MGCP.
    pub(crate) gateway: SocketAddr,
    /// The harness's own address.
    pub(crate) local: IpAddr,
    /// The gateway's process, if it can be seen from here.
    pub(crate) process: Option<u32>,
    /// The name of the harness's thread.
    pub(crate) thread: &'static str,
}

/// Sets up all calls, runs the load over them, and tears them down.
///
/// With an `interface`, the load goes past the kernel. `check` says every turn whether the gateway is well,
/// and `up` is called when all calls are up.
///
/// # Errors
/// Whatever keeps it from being measured.
pub(crate) fn carry(
    args: &DensityArgs,
    way: Way,
    interface: Option<&Arc<Interface>>,
    check: &mut dyn FnMut() -> Result<(), Failure>,
    up: &dyn Fn(),
    operator: &Operator,
) -> Result<Run, Failure> {
    let Way { gateway, local, process, thread } = way;
    let length = args.load.length();
    let shape = args.load.shape(length);
    let mut bench = Bench::new((local, interface), shape, thread, operator)?;
    let mut agent = Agent::bind(local, gateway, &args.target.domain, args.load.terms())?;
    for ds0 in 0..args.load.ds0 {
        agent.add(&args.target.endpoint(ds0), rtp_address(local, usize::from(ds0)))?;
    }
    agent.audit();
    settle(&mut bench, &mut agent, check, START_MAX).map_err(|error| {
        if error.is::<Slow>() { format!("nobody answers at {gateway}").into() } else { error }
    })?;
    let idle = process.map(host::resident).transpose()?;
    let wire = process.filter(|_| interface.is_some());
    let before = kernel::Counters::read(wire, bench.load.sockets().rings())?;

    let began = Clock.now();
    agent.connect();
    let all_up = settle(&mut bench, &mut agent, check, CALLS_MAX)?;
    // A line that has just been made may not run yet, and what is sent to it would only pile up.
    let give_up = all_up + LINE_START_MAX;
    while !bench.load.is_heard() && bench.turn()? < give_up {}
    up();

    let carrier = process.map(|process| Thread::named(process, CARRIER)).transpose()?;
    let cost = bench.measure(length, carrier, |now| {
        agent.turn(now)?;
        check()
    })?;
    let busy = process.map(host::resident).transpose()?;
    agent.disconnect();
    settle(&mut bench, &mut agent, check, CALLS_MAX)?;

    // Only now: the tables of thousands of sockets take tens of milliseconds to read, and what the gateway
    // sends meanwhile would find the harness's queues full.
    let rings = bench.load.sockets().rings();
    let kernel = kernel::Counters::read(wire, rings)?.since(&before);
    let dropped = dropped(args, way, rings)?;
    let descriptors = process.map(host::descriptors).transpose()?;
    let counted = agent.calls().iter().map(|call| call.parameters.clone()).collect();
    let refused = refused(&bench.load);
    let (accounts, figures) = bench.load.finish();
    Ok(Run {
        asked: shape.ds0s,
        ptime_octets: shape.ptime_octets as u64,
        cost,
        accounts,
        figures,
        counted,
        setup: all_up.since(began),
        messages: agent.counters(),
        refused,
        dropped,
        kernel,
        is_wire: wire.is_some(),
        memory: idle.zip(busy).map(|(idle, busy)| [idle, busy]),
        // All but a dozen of a gateway's descriptors are sockets.
        sockets: descriptors
            .zip(host::socket_octets(args.load.driver == Driver::Uring))
            .map(|(n, octets)| n * octets),
    })
}

/// Datagrams for which the queues of the harness, and those of the gateway's sockets, had no room.
fn dropped(args: &DensityArgs, way: Way, rings: Option<RingStatistics>) -> Result<[u64; 2], Failure> {
    let Way { gateway, local, process, .. } = way;
    // Other sockets of the harness at this address are not the load's.
    let own = measure::ports(local, usize::from(args.load.ds0));
    let own: HashSet<SocketAddr> = own.iter().map(|(_, address)| address).collect();
    let harness = host::queue_drops(None, local, |address| own.contains(&address))?;
    let theirs = host::queue_drops(process, gateway.ip(), |address| address.ip() == gateway.ip())?;
    Ok([harness + rings.map_or(0, |rings| rings.dropped()), theirs])
}

/// Turns until all commands have been answered, and twice more for what came with the last answer.
fn settle(
    bench: &mut Bench<'_>,
    agent: &mut Agent,
    check: &mut dyn FnMut() -> Result<(), Failure>,
    time_max: Duration,
) -> Result<Instant, Failure> {
    let give_up = Clock.now() + time_max;
    loop {
        let now = bench.turn()?;
        agent.turn(now)?;
        while let Some((ds0, peer)) = agent.poll_up() {
            bench.load.add(ds0 as u16, peer);
        }
        check()?;
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
