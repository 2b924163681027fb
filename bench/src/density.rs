//! How many DS0s a gateway carries, at what cost, and whether every octet comes back.
//!
//! Each DS0 gets a call by MGCP, whose far end on the line loops: what is sent to the gateway by RTP
//! comes back by RTP, through its jitter buffer, the line both ways, and its packetizer. At the end
//! the gateway's counters (`P:` of each DLCX) are held against the harness's own.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use control::call_agent::Counters;
use control::mgcp::message::ConnectionParameters;
use drivers::net::xdp::Interface;
use drivers::time::{Clock, Instant};

use crate::agent::Agent;
use crate::floor::{self, Floor, HARNESS};
use crate::host::{self, Thread};
use crate::load::{Account, Figures, sum};
use crate::measure::{self, Bench, Cost, missed, refused, rtp_address};
use crate::operator::{Interrupted, Operator};
use crate::pace::run_on;
use crate::report::{self, Report, Section, Verdict};
use crate::search::Search;
use crate::target::{Size, TargetArgs};
use crate::ticks::Ticks;
use crate::wire::{End, Network};
use crate::witness;
use crate::{Failure, LoadArgs};

/// Carries calls on N DS0s and verifies every octet of them, both ways, from outside.
///
/// Starts `tollgate run` with simulated E1s whose far ends loop, unless --gateway names one that runs.
/// Sets up a call on each DS0 by MGCP, sends RTP that says of each octet whose it is and where it
/// belongs, checks each packet that comes back, tears down, and compares the gateway's counters with
/// its own. The bare socket loop is measured first, so that the gateway's cost is also a ratio.
///
/// Exit code: 0 when all DS0s were up and no more was lost than --require-loss, 1 when not, and 3 when
/// something was lost but this harness, not the gateway, may be why.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  \
    tollgate-bench density --ds0 480 --seconds 20\n  \
    tollgate-bench density --ds0 4096 --seconds 30 --cpu 0 --gateway-cpu 1\n  \
    tollgate-bench density --ds0 480 --ramp --seconds 10 --cpu 0 --gateway-cpu 1\n  \
    tollgate-bench density --ds0 4096 --require 'core_cpu<=75' --require 'core_to_floor<=1.3'\n  \
    chrt -f 10 tollgate-bench density --ds0 480 --cpu 0 --gateway-cpu 1      on a machine that is busy\n  \
    tollgate-bench density --ds0 60 --gateway 192.0.2.1:2427 --domain gw.example")]
pub(crate) struct DensityArgs {
    #[command(flatten)]
    load: LoadArgs,

    /// Looks for the most DS0s that can be carried, from --ds0 on, each number for --seconds, and measures it.
    #[arg(long)]
    ramp: bool,

    /// The most DS0s that --ramp tries.
    #[arg(long, value_name = "N", requires = "ramp", default_value_t = 20_000, value_parser = clap::value_parser!(u16).range(1..=20_000))]
    ramp_max: u16,

    /// The greatest part of all octets that may be missing or wrong, in percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    require_loss: f64,

    /// How long the bare loop is measured before, in seconds; 0 leaves it out.
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=3_600))]
    floor_seconds: u32,

    #[command(flatten)]
    target: TargetArgs,

    /// What its jitter buffers hold, in milliseconds, 0 to 200 [default: its own default].
    #[arg(long, value_name = "MS", conflicts_with = "gateway", value_parser = clap::value_parser!(u16).range(0..=200))]
    jitter: Option<u16>,
}

/// What a run came to.
pub(crate) struct Run {
    cost: Cost,
    accounts: Vec<Account>,
    figures: Figures,
    /// What the gateway had counted of each DS0.
    counted: Vec<Option<ConnectionParameters<'static>>>,
    /// How long it took to set up all calls.
    setup: Duration,
    messages: Counters,
    /// Datagrams that the harness's sockets refused.
    refused: u64,
    /// Datagrams for which the harness's queues, and the gateway's, had no room.
    dropped: [u64; 2],
    /// Frames that the wire had no room for.
    wire: u64,
    /// Octets of memory the gateway held before the first call, and with all of them.
    memory: Option<[u64; 2]>,
    /// Octets of the kernel's memory for the gateway's sockets, their queues empty.
    sockets: Option<u64>,
}

/// `tollgate-bench density`.
///
/// # Errors
/// Whatever keeps it from being measured.
pub(crate) fn run(args: &DensityArgs, operator: &Operator) -> Result<Report, Failure> {
    if args.ramp { ramp(args, operator) } else { once(args, operator) }
}

/// The report of the most DS0s that hold; of the fewest tried, if none did.
fn ramp(args: &DensityArgs, operator: &Operator) -> Result<Report, Failure> {
    let mut search = Search::new(args.load.ds0.into(), args.ramp_max.into());
    let (mut best, mut beyond) = (None, None);
    while let Some(ds0s) = search.next() {
        let ds0 = u16::try_from(ds0s).expect("no more are tried than --ramp-max");
        let args = DensityArgs { load: LoadArgs { ds0, ..args.load.clone() }, ..args.clone() };
        let mut trial = tried(&args, operator)?;
        if trial.verdict != Verdict::Pass {
            // Machines have hiccups; what a gateway cannot do, it cannot do twice.
            trial = tried(&args, operator)?;
        }
        let holds = trial.verdict == Verdict::Pass;
        operator.tell(&format!("{ds0} DS0s: {}", if holds { "held" } else { "not held" }));
        *(if holds { &mut best } else { &mut beyond }) = Some((ds0, trial));
        search.found(ds0s, holds);
    }
    let Some((_, mut report)) = best else {
        let (_, report) = beyond.ok_or("--ramp-max leaves nothing to try")?;
        return Ok(report);
    };
    if let Some((ds0, beyond)) = beyond {
        let mut section = Section::new("the next number of DS0s, which did not hold");
        section.count("beyond", "DS0s", ds0.into(), "DS0s");
        section.text("beyond_why", "why", &beyond.verdict.reasons().join("; "));
        report.sections.push(section);
    }
    Ok(report)
}

/// As [`once`], but what cannot be measured has not held, unless somebody has interrupted it.
fn tried(args: &DensityArgs, operator: &Operator) -> Result<Report, Failure> {
    match once(args, operator) {
        Err(error) if !error.is::<Interrupted>() => {
            let mut report = Report::new("density", args.load.settings());
            report.verdict = Verdict::Fail(vec![error.to_string()]);
            Ok(report)
        }
        done => done,
    }
}

/// One number of DS0s.
fn once(args: &DensityArgs, operator: &Operator) -> Result<Report, Failure> {
    let network = args.load.network()?;
    if matches!(network, Network::Wire { .. }) && !args.target.is_started_here() {
        return Err("a gateway that runs already is at no end of a wire that is made here".into());
    }
    let floor = match args.floor_seconds {
        0 => None,
        seconds => {
            let length = Duration::from_secs(u64::from(seconds));
            Some(floor::measure(&args.load, length, &network, operator)?)
        }
    };
    let size = Size {
        ds0s: args.load.ds0,
        law: args.load.law.into(),
        jitter_ms: args.jitter,
        transactions_max: None,
        cpu: args.load.gateway_cpu,
        control_cpu: None,
        driver: args.load.driver,
    };
    let mut target = args.target.open(size, &network)?;
    let own = network.attach(End::Harness, &measure::ports(target.local, usize::from(args.load.ds0)))?;
    let (run, witness) = witness::beside(args.load.gateway_cpu, || {
        run_on(HARNESS, args.load.cpu, || {
            network.enter(End::Harness)?;
            let (gateway, local, process) = (target.gateway, target.local, target.process());
            let way = Way { gateway, local, process, thread: HARNESS };
            carry(args, way, own.as_ref(), &mut || target.check(), &|| {}, operator)
        })
    })?;
    let last_words = target.close()?;
    let mut report = args.report(&run, floor.as_ref());
    report.sections.push(Ticks::section(Ticks::of(&last_words), &witness));
    report.last_words = account_of_cores(&last_words);
    Ok(report)
}

impl DensityArgs {
    /// This load beside something else that is measured: nothing may be lost.
    pub(crate) fn beside(load: LoadArgs, target: TargetArgs) -> Self {
        Self { load, ramp: false, ramp_max: 0, require_loss: 0.0, floor_seconds: 0, target, jitter: None }
    }
}

impl Run {
    /// What it came to beside something else that was measured.
    pub(crate) fn beside(&self, args: &DensityArgs) -> (Vec<Section>, Verdict) {
        let losses = Losses::of(self, args.load.shape(Duration::ZERO).ptime_octets as u64);
        let mut sections = vec![args.calls(self), packets(self, losses), octets(self)];
        sections.extend(args.worst(self));
        (sections, args.verdict(self, losses))
    }
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
    let mut bench = Bench::new((local, interface), args.load.shape(length), thread, operator)?;
    let mut agent = Agent::bind(local, gateway, &args.target.domain, args.load.terms())?;
    for ds0 in 0..args.load.ds0 {
        agent.add(&args.target.endpoint(ds0), rtp_address(local, usize::from(ds0)))?;
    }
    agent.audit();
    settle(&mut bench, &mut agent, check, START_MAX)?;
    let idle = process.map(host::resident).transpose()?;

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
    let descriptors = process.map(host::descriptors).transpose()?;
    // Other sockets of the harness at this address are not the load's.
    let own = measure::ports(local, usize::from(args.load.ds0));
    let own: HashSet<SocketAddr> = own.iter().map(|(_, address)| address).collect();
    let harness = host::queue_drops(None, local, |address| own.contains(&address));
    let theirs = host::queue_drops(process, gateway.ip(), |address| address.ip() == gateway.ip());
    let wire = match interface {
        Some(_) => {
            host::interface_drops(None)? + process.map_or(Ok(0), |it| host::interface_drops(Some(it)))?
        }
        None => 0,
    };

    agent.disconnect();
    settle(&mut bench, &mut agent, check, CALLS_MAX)?;
    let counted = agent.calls().iter().map(|call| call.parameters.clone()).collect();
    let (refused, missed) = (refused(&bench.load), missed(&bench.load));
    let (accounts, figures) = bench.load.finish();
    Ok(Run {
        cost,
        accounts,
        figures,
        counted,
        setup: all_up.since(began),
        messages: agent.counters(),
        refused,
        dropped: [harness? + missed, theirs?],
        wire,
        memory: idle.zip(busy).map(|(idle, busy)| [idle, busy]),
        // All but a dozen of a gateway's descriptors are sockets.
        sockets: descriptors.zip(host::socket_octets()).map(|(n, octets)| n * octets),
    })
}

/// Turns until all commands have been answered, and once more for what came with the last answer.
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
            return Err(format!("the gateway has not answered all within {} s", time_max.as_secs()).into());
        }
    }
}

/// The media thread of a gateway of ours with one core.
pub(crate) const CARRIER: &str = "core-0";

/// How long a gateway may take to come up, and to make or end all calls.
const START_MAX: Duration = Duration::from_secs(20);
const CALLS_MAX: Duration = Duration::from_secs(60);

/// How long a line may take to send its first octets.
const LINE_START_MAX: Duration = Duration::from_secs(2);

/// What is lost, and on which part of the way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Losses {
    /// Packets sent that the gateway has not counted as received.
    towards: u64,
    /// Packets that the gateway has counted as sent, and that did not come.
    back: u64,
    /// DS0s whose counters say otherwise than ours, in whatever way.
    differ: u64,
}

impl Losses {
    fn of(run: &Run, ptime_octets: u64) -> Self {
        let mut losses = Self::default();
        for account in &run.accounts {
            let counted = run.counted[usize::from(account.ds0)].clone().unwrap_or_default();
            let number = |value: Option<u32>| u64::from(value.unwrap_or_default());
            let (sent, received) = (number(counted.packets_sent), number(counted.packets_received));
            losses.towards += account.sent.saturating_sub(received);
            losses.back += sent.saturating_sub(account.back.packets);
            let theirs = [sent, number(counted.octets_sent), received, number(counted.octets_received)];
            let ours = [account.back.packets, account.back.octets, account.sent, account.sent * ptime_octets];
            losses.differ += u64::from(theirs != ours);
        }
        losses
    }
}

impl DensityArgs {
    fn report(&self, run: &Run, floor: Option<&Floor>) -> Report {
        let mut report = Report::new("density", self.load.settings());
        let losses = Losses::of(run, self.load.shape(Duration::ZERO).ptime_octets as u64);
        report.sections.push(self.calls(run));
        report.sections.push(packets(run, losses));
        report.sections.push(octets(run));
        report.sections.extend(self.worst(run));
        report.sections.push(times(run));
        report.sections.extend(run.cost.carrier.is_some().then(|| carrier(run, floor)));
        report.sections.extend(memory(run));
        report.sections.extend(floor.map(Floor::section));
        let mut harness = report::harness(&run.cost, &run.figures, run.refused);
        harness.text("limit", "what is at its limit", limit(run));
        report.sections.push(harness);
        report.faults = own_faults(run);
        report.verdict = self.verdict(run, losses);
        report
    }

    fn calls(&self, run: &Run) -> Section {
        let mut section = Section::new("calls");
        section.count("ds0_up", "DS0s up", run.accounts.len() as u64, "DS0s");
        let refused = u64::from(self.load.ds0) - run.accounts.len() as u64;
        section.count("ds0_refused", "DS0s refused", refused, "DS0s");
        section.number("setup", "time to set all up", run.setup.as_secs_f64() * 1e3, "ms");
        section.count("mgcp_repeated", "MGCP commands repeated", run.messages.repeated, "commands");
        section
    }

    /// The DS0s that fared worst, if any fared badly.
    fn worst(&self, run: &Run) -> Option<Section> {
        let faults = |account: &Account| account.back.missing + account.back.wrong();
        let mut bad: Vec<_> = run.accounts.iter().filter(|account| faults(account) > 0).collect();
        bad.sort_by_key(|account| std::cmp::Reverse(faults(account)));
        let mut section = Section::new("DS0s with octets missing or wrong");
        section.count("ds0_bad", "all of them", bad.len() as u64, "DS0s");
        for (place, account) in bad.iter().take(WORST).enumerate() {
            let Account { ds0, back, .. } = account;
            let text = format!("{} missing, {} wrong, {} shifts", back.missing, back.wrong(), back.shifts);
            section.text(&format!("ds0_worst_{}", place + 1), &self.target.endpoint(*ds0), &text);
        }
        (!bad.is_empty()).then_some(section)
    }

    fn verdict(&self, run: &Run, losses: Losses) -> Verdict {
        let tally = sum(&run.accounts);
        let mut reasons = Vec::new();
        let missing = usize::from(self.load.ds0) - run.accounts.len();
        if missing > 0 {
            reasons.push(format!("{missing} of {} DS0s did not come up", self.load.ds0));
            return Verdict::Fail(reasons);
        }
        let lost = tally.missing + tally.wrong();
        let lost_percent = 100.0 * lost as f64 / (tally.verified + tally.missing).max(1) as f64;
        if lost_percent > self.require_loss {
            reasons.push(format!(
                "{lost} octets ({lost_percent:.4} %) are missing or wrong; required: {} %",
                self.require_loss
            ));
        }
        if tally.packets_doubled > 0 {
            reasons.push(format!("{} packets came back twice", tally.packets_doubled));
        }
        if lost == 0 && losses.differ > 0 {
            reasons.push(format!("nothing is lost, but the counters of {} DS0s differ", losses.differ));
        }
        if reasons.is_empty() {
            return Verdict::Pass;
        }
        let own = own_faults(run);
        if own.is_empty() {
            Verdict::Fail(reasons)
        } else {
            reasons.extend(own);
            Verdict::Inconclusive(reasons)
        }
    }
}

/// DS0s that are named when something is wrong.
const WORST: usize = 5;

/// What the harness may have done to the gateway.
fn own_faults(run: &Run) -> Vec<String> {
    let mut faults = Vec::new();
    let unsent = run.figures.unsent + run.refused;
    if unsent > 0 {
        faults.push(format!("the harness could not send {unsent} packets"));
    }
    if run.dropped[0] > 0 {
        faults.push(format!("the harness was too slow to take {} packets", run.dropped[0]));
    }
    if run.wire > 0 {
        faults.push(format!("the wire dropped {} packets: the queues of a veth pair are short", run.wire));
    }
    let late_ms = run.figures.late.max() as f64 / 1e3;
    if late_ms > LATE_MAX_MS {
        faults.push(format!("the harness sent packets {late_ms:.1} ms late, as no network should"));
    }
    let waited = run.cost.carrier.map_or(Duration::ZERO, |usage| usage.waited);
    if waited > run.cost.elapsed / 10 {
        faults.push(format!("the gateway's core waited {} ms for a CPU that others had", waited.as_millis()));
    }
    faults
}

/// How late a packet may be sent without being to blame, in ms: what a jitter buffer is made for.
const LATE_MAX_MS: f64 = 10.0;

/// What keeps more DS0s from being carried.
fn limit(run: &Run) -> &'static str {
    let carrier = run.cost.carrier.map_or(0.0, |usage| run.cost.share(usage));
    let harness = run.cost.share(run.cost.harness);
    let late_ms = run.figures.late.value_at_quantile(0.999) as f64 / 1e3;
    match () {
        () if carrier > 0.9 => "the gateway's core",
        () if harness > 0.9 => "the harness's CPU: its figures are not the gateway's",
        () if late_ms > LATE_MAX_MS => "the machine: it let the harness wait",
        () => "nothing",
    }
}

fn packets(run: &Run, losses: Losses) -> Section {
    let tally = sum(&run.accounts);
    let mut section = Section::new("packets");
    section.count("packets_sent", "sent to the gateway", run.figures.sent, "packets");
    section.count("packets_received", "come back", tally.packets, "packets");
    section.count(
        "packets_lost_towards",
        "lost on the way there, by the gateway's counters",
        losses.towards,
        "packets",
    );
    section.count(
        "packets_lost_back",
        "lost on the way back, by the gateway's counters",
        losses.back,
        "packets",
    );
    section.count(
        "packets_lost_sequence",
        "lost on the way back, by sequence numbers",
        tally.packets_lost,
        "packets",
    );
    section.count(
        "dropped_gateway",
        "dropped by the host, the gateway's queues being full",
        run.dropped[1],
        "packets",
    );
    section.count(
        "dropped_harness",
        "dropped by the host, the harness's queues being full",
        run.dropped[0],
        "packets",
    );
    section.count("dropped_wire", "dropped by the wire, its queue being full", run.wire, "packets");
    section.count("packets_out_of_order", "out of order", tally.packets_out_of_order, "packets");
    section.count("packets_doubled", "come twice", tally.packets_doubled, "packets");
    section.count("counters_differ", "DS0s whose DLCX counters differ from ours", losses.differ, "DS0s");
    section.count("rtcp_received", "RTCP come", run.figures.rtcp, "packets");
    section.count("strays", "of nobody's", run.figures.strays, "packets");
    section
}

fn octets(run: &Run) -> Section {
    let tally = sum(&run.accounts);
    let mut section = Section::new("octets");
    section.count("octets_verified", "come back right and in their turn", tally.verified, "octets");
    section.count("octets_missing", "missing", tally.missing, "octets");
    section.count("octets_inserted", "wrong: nobody sent them", tally.inserted, "octets");
    section.count("octets_repeated", "wrong: they had come before", tally.repeated, "octets");
    section.count("octets_crossed", "wrong: of another DS0", tally.crossed, "octets");
    section.count("shifts", "changes of delay in mid-call", tally.shifts, "times");
    section
}

fn times(run: &Run) -> Section {
    let mut section = Section::new("times");
    section.times("delay", "round trip, octet to octet, through the loop", &run.figures.delay);
    section.times("jitter", "inter-arrival jitter", &run.figures.jitter);
    section.series("packets by their round trip", &run.figures.delays);
    section
}

/// What it costs the gateway's media core.
fn carrier(run: &Run, floor: Option<&Floor>) -> Section {
    let mut section = Section::new("the gateway's media core");
    let Some(usage) = run.cost.carrier else { return section };
    let (ds0s, seconds) = (run.accounts.len().max(1) as f64, run.cost.elapsed.as_secs_f64());
    section.number("core_cpu_seconds", "its CPU time, while measured", usage.cpu.as_secs_f64(), "s");
    section.share("core_cpu", "its CPU", run.cost.share(usage));
    let per_ds0_us = usage.cpu.as_secs_f64() * 1e6 / seconds / ds0s;
    section.number("core_cpu_per_ds0", "its CPU a DS0 and second", per_ds0_us, "us");
    let per_packet_us = run.cost.per_packet_us();
    if let Some(per_packet_us) = per_packet_us {
        section.number("core_cpu_per_packet", "its CPU a packet sent or received", per_packet_us, "us");
    }
    if let Some((ours, floor)) = per_packet_us.zip(floor.and_then(Floor::per_packet_us)) {
        section.number("core_to_floor", "its CPU a packet, to the bare loop's", ours / floor, "times");
    }
    let waited = usage.waited.as_secs_f64() * 1e3;
    section.number("core_waited", "time it waited for its CPU, others having it", waited, "ms");
    section
}

/// What memory it takes.
fn memory(run: &Run) -> Option<Section> {
    let [idle, busy] = run.memory?;
    let ds0s = run.accounts.len().max(1) as f64;
    let mib = |octets: u64| octets as f64 / f64::from(1 << 20);
    let each = |octets: u64| octets as f64 / 1024.0 / ds0s;
    let mut section = Section::new("memory of the gateway");
    section.number("memory_idle", "all of it, idle", mib(idle), "MiB");
    section.number("memory_busy", "all of it, with all calls", mib(busy), "MiB");
    section.number(
        "memory_per_call",
        "what came with the calls, a DS0",
        each(busy.saturating_sub(idle)),
        "KiB",
    );
    if let Some(sockets) = run.sockets {
        section.number("memory_sockets", "the kernel's own for its sockets, a DS0", each(sockets), "KiB");
    }
    let all = busy + run.sockets.unwrap_or_default();
    section.number("memory_per_ds0", "all of that, a DS0", each(all), "KiB");
    Some(section)
}

/// The lines in which a gateway of ours says how its cores' ticks were, and what they counted.
fn account_of_cores(log: &str) -> String {
    let is_meant =
        |line: &&str| ["core has ended", "cpu_nanoseconds="].iter().any(|word| line.contains(word));
    log.lines().filter(is_meant).collect::<Vec<_>>().join("\n")
}
