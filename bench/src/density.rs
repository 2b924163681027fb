//! How many DS0s a gateway carries, at what cost, and whether every octet comes back.
//!
//! Each DS0 gets a call by MGCP, whose far end on the line loops: what is sent to the gateway by RTP
//! comes back by RTP, through its jitter buffer, the line both ways, and its packetizer. At the end
//! the gateway's counters (`P:` of each DLCX) are held against the harness's own.

mod carry;
mod figures;
mod judge;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::Args;

use crate::Failure;
use crate::child::Size;
use crate::cpus::Cpus;
use crate::floor::{self, HARNESS};
use crate::host::Thread;
use crate::load_args::LoadArgs;
use crate::measure;
use crate::operator::{Interrupted, Operator};
use crate::priority::Priority;
use crate::report::{Report, Section, Value, Verdict};
use crate::search::Search;
use crate::syscalls::{self, Calls};
use crate::target::{GatewayFault, Measured, TargetArgs};
use crate::ticks::Ticks;
use crate::wire::{End, Network};
use crate::witness;

pub(crate) use self::carry::{CARRIER, Run, Seat, carry};

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
    tollgate-bench density --ds0 4096 --seconds 30\n  \
    tollgate-bench density --ds0 480 --ramp --seconds 10\n  \
    tollgate-bench density --ds0 4096 --runs 3 --require 'core_cpu<=75' --require 'core_to_floor<=1.3'\n  \
    tollgate-bench density --ds0 8064 --driver xdp      AF_XDP, over a veth pair\n  \
    tollgate-bench density --ds0 480 --jitter-ms 10     as a network with jitter delivers it\n  \
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

    /// How many runs: of more than one, the report has the median of each figure with the least and the most, and
    /// the most of what is lost or wrong. One run that fails fails all.
    #[arg(long, value_name = "N", conflicts_with = "ramp", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=99))]
    runs: u8,

    /// How long strace counts the media core's system calls, in seconds, after the measurement and on a second
    /// gateway like the first; 0 leaves it out, as do --ramp and --gateway.
    #[arg(long, value_name = "S", default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=3_600))]
    syscalls: u32,

    #[command(flatten)]
    target: TargetArgs,

    /// What its jitter buffers hold, in milliseconds, 0 to 200 [default: its own default].
    #[arg(long, value_name = "MS", conflicts_with = "gateway", value_parser = clap::value_parser!(u16).range(0..=200))]
    jitter_buffer: Option<u16>,
}

/// `tollgate-bench density`.
///
/// # Errors
/// Whatever keeps it from being measured.
pub(crate) fn run(args: &DensityArgs, operator: &Operator) -> Result<Report, Failure> {
    if args.ramp {
        return ramp(args, operator);
    }
    let mut runs = Vec::new();
    for n in 1..=args.runs {
        let report = once(args, operator)?;
        if args.runs > 1 {
            operator.tell(&format!("run {n} of {}: {}", args.runs, report.verdict.word()));
        }
        runs.push(report);
    }
    let mut report = if args.runs > 1 { Report::median(runs) } else { runs.remove(0) };
    if args.syscalls > 0 && args.target.is_started_here() {
        report.sections.push(system_calls(args, operator)?);
    }
    Ok(report)
}

/// The report of the most DS0s that hold; of the fewest tried, if none did.
fn ramp(args: &DensityArgs, operator: &Operator) -> Result<Report, Failure> {
    let mut search = Search::new(args.load.ds0.into(), args.ramp_max.into());
    let (mut best, mut beyond) = (None, None);
    while let Some(ds0s) = search.next() {
        let ds0 = u16::try_from(ds0s).expect("no more are tried than --ramp-max");
        let args = DensityArgs { load: LoadArgs { ds0, ..args.load.clone() }, ..args.clone() };
        let mut trial = tried(&args, best.is_some(), operator)?;
        if trial.verdict != Verdict::Pass {
            // Machines have hiccups; what a gateway cannot do, it cannot do twice.
            trial = tried(&args, best.is_some(), operator)?;
        }
        let holds = trial.verdict == Verdict::Pass;
        let why = trial.verdict.reasons().join("; ");
        operator.tell(&format!(
            "{ds0} DS0s: {}",
            if holds { "held".to_owned() } else { format!("not held: {why}") }
        ));
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

/// As [`once`], but what the gateway left nothing of to measure has not held; nor has, once fewer have held, what
/// could not be measured at all, unless somebody has interrupted it.
fn tried(args: &DensityArgs, has_held: bool, operator: &Operator) -> Result<Report, Failure> {
    match once(args, operator) {
        Err(error) if error.is::<GatewayFault>() || has_held && !error.is::<Interrupted>() => {
            let mut report = Report::new("density", args.settings());
            report.verdict = Verdict::Fail(vec![error.to_string()]);
            Ok(report)
        }
        done => done,
    }
}

/// One number of DS0s.
fn once(args: &DensityArgs, operator: &Operator) -> Result<Report, Failure> {
    args.target.check_names(args.load.ds0)?;
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
    let target = args.target.open(args.size(), &network, Priority::Normal)?;
    let own = network.attach(End::Harness, &measure::ports(target.local, usize::from(args.load.ds0)))?;
    let (run, witness) = witness::beside(args.load.cpus, || {
        args.load.cpus.run_harness(HARNESS, || {
            network.enter(End::Harness)?;
            carry(args, &target, Seat { thread: HARNESS, interface: own.as_ref() }, &|| {}, operator)
        })
    })?;
    let last_words = target.close()?;
    let mut report = args.report(&run, floor.as_ref());
    report.sections.push(Ticks::section(Ticks::of(&last_words), &witness));
    report.last_words = account_of_cores(&last_words);
    Ok(report)
}

/// The system calls of a gateway's media core under this load.
fn system_calls(args: &DensityArgs, operator: &Operator) -> Result<Section, Failure> {
    match counted(args, operator) {
        Err(error) if error.is::<Interrupted>() => Err(error),
        calls => Ok(syscalls::section(&calls)),
    }
}

/// Carries the load on a gateway of its own, and counts meanwhile: strace slows what it looks at.
fn counted(args: &DensityArgs, operator: &Operator) -> Result<Calls, Failure> {
    let length = Duration::from_secs(args.syscalls.into());
    let load = LoadArgs { seconds: args.syscalls + 1, ..args.load.clone() };
    let args = DensityArgs { load, ..args.clone() };
    let network = args.load.network()?;
    let target = args.target.open(args.size(), &network, Priority::Normal)?;
    let own = network.attach(End::Harness, &measure::ports(target.local, usize::from(args.load.ds0)))?;
    let process = target.process().ok_or("the gateway was not started here")?;
    let calls = thread::scope(|scope| {
        let (is_up, wait) = mpsc::sync_channel(1);
        let (args, network, own, target) = (&args, &network, own.as_ref(), &target);
        let carrying = scope.spawn(move || {
            // Who waits for it may have given up.
            let up = || is_up.try_send(()).unwrap_or_default();
            args.load.cpus.run_harness(HARNESS, || {
                network.enter(End::Harness)?;
                carry(args, target, Seat { thread: HARNESS, interface: own }, &up, operator)
            })
        });
        // If the calls do not come up, that is said below.
        let calls = wait.recv().map_err(Failure::from).and_then(|()| {
            let core = Thread::named(process, CARRIER)?;
            syscalls::count(core, length, || syscalls::ticks_of(&target.counters()?))
        });
        carrying.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        calls
    })?;
    target.close()?;
    Ok(calls)
}

impl DensityArgs {
    /// Decides what the command line leaves open, on a host with these CPUs.
    pub(crate) fn settle(&mut self, usable: &[usize]) -> Cpus {
        self.target.settle(&mut self.load.cpus, Measured::MediaCore, usable);
        self.load.cpus
    }

    /// What a report repeats of it.
    fn settings(&self) -> Vec<(&'static str, Value)> {
        let mut settings = self.load.settings();
        settings.push(self.target.settings());
        settings.extend(self.jitter_buffer.map(|ms| ("jitter_buffer_ms", Value::Count(ms.into()))));
        settings
    }

    fn size(&self) -> Size {
        Size {
            ds0s: self.load.ds0,
            law: self.load.law.into(),
            jitter_ms: self.jitter_buffer,
            transactions_max: None,
            cpu: self.load.cpus.gateway().number(),
            real_time_priority: self.load.cpus.priority().level(),
            driver: self.load.driver,
        }
    }

    /// This load beside something else that is measured: nothing may be lost.
    pub(crate) fn beside(load: LoadArgs, target: TargetArgs) -> Self {
        Self {
            load,
            ramp: false,
            ramp_max: 0,
            require_loss: 0.0,
            floor_seconds: 0,
            runs: 1,
            syscalls: 0,
            target,
            jitter_buffer: None,
        }
    }
}

/// The lines in which a gateway of ours says how its cores' ticks were, and what they counted.
fn account_of_cores(log: &str) -> String {
    let is_meant =
        |line: &&str| ["core has ended", "cpu_nanoseconds="].iter().any(|word| line.contains(word));
    log.lines().filter(is_meant).collect::<Vec<_>>().join("\n")
}
