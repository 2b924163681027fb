//! How many calls a second a gateway sets up and takes down, and how long its answers take.
//!
//! A [`Caller`] asks by the clock; here are its sockets, the search for the highest rate, what the
//! gateway's threads cost meanwhile, and the report. With `--beside`, other calls are carried all the
//! while, each octet of which is verified as `density` does.

mod sitting;
mod trial;

use std::net::UdpSocket;
use std::num::{NonZeroU8, NonZeroU32};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::{ArgGroup, Args};
use control::mgcp::name::EndpointName;
use drivers::time::Clock;

use crate::Failure;
use crate::agent::{Agent, Terms};
use crate::caller::{Caller, Plan};
use crate::child::Size;
use crate::cpus::Cpus;
use crate::density::{self, DensityArgs, Seat};
use crate::floor::HARNESS;
use crate::load_args::{Driver, LawName, LoadArgs};
use crate::operator::Operator;
use crate::report::{Report, Section, Value, Verdict};
use crate::search::Search;
use crate::target::{Measured, Target, TargetArgs, is_wild, not_ready};
use crate::watch::{self, Watched};
use crate::wire::Network;

use self::sitting::{Sitting, Sockets};
use self::trial::{Threads, Trial, dropped_by};

/// Sets up and takes down calls by MGCP: CRCX, MDCX and DLCX, on the clock, whatever the gateway does.
///
/// Calls come at a rate and wait for nobody (open loop), so that a gateway that is slow cannot hide it:
/// each CRCX is timed from when it was due, MDCX and DLCX from the answer before. Any MGCP gateway can be
/// measured (--gateway, --domain, --endpoints); without one, `tollgate run` is started here.
///
/// Exit code: 0 when all that is required held, 1 when not, and 3 when it did not, but this harness or
/// the machine, not the gateway, may be why.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("rate").required(true), after_help = "Examples:\n  \
    tollgate-bench setup-rate --calls-per-second 5000 --require-p99 10\n  \
    tollgate-bench setup-rate --calls-per-second 5000 --beside 2000       2,000 other calls must lose nothing\n  \
    tollgate-bench setup-rate --max --require-calls 10000\n  \
    tollgate-bench setup-rate --max --beside 2000                         as long as they lose nothing\n  \
    tollgate-bench setup-rate --calls-per-second 500 --gateway 192.0.2.1:2427 --domain mgw \\\n      \
    --endpoints 'rtpbridge/{hex}' --ds0 500")]
pub(crate) struct SetupRateArgs {
    /// What it is called in its report.
    #[arg(skip = "setup-rate")]
    pub(crate) bench: &'static str,

    /// Calls a second; each is three commands.
    #[arg(long, value_name = "R", group = "rate", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) calls_per_second: Option<u32>,

    /// Looks for the highest rate at which nothing fails or is repeated, what is required holds, and the
    /// calls of --beside lose nothing.
    #[arg(long, group = "rate")]
    pub(crate) max: bool,

    /// How long to measure, in seconds; a second of warming up comes before. With --max: each rate.
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) seconds: u32,

    /// Endpoints that take turns with the calls, those of --beside among them.
    #[arg(long, value_name = "N", default_value_t = 8_192, value_parser = clap::value_parser!(u16).range(1..=20_000))]
    pub(crate) ds0: u16,

    /// How long a call stays up, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub(crate) hold: u32,

    /// Call agents that take turns, each with a port of its own.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) agents: u8,

    /// Other calls that carry RTP all the while, on the first of the endpoints.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) beside: u16,

    /// The longest that 99 of 100 answers may take, in milliseconds; with --max, 200 unless given.
    #[arg(long, value_name = "MS")]
    pub(crate) require_p99: Option<f64>,

    /// Calls a second that there must be at least with --max.
    #[arg(long, value_name = "R", requires = "max")]
    pub(crate) require_calls: Option<u32>,

    /// The greatest part of all calls that may fail, in percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    pub(crate) require_failures: f64,

    /// The law that connections ask for.
    #[arg(long, value_enum, default_value_t = LawName::A)]
    pub(crate) law: LawName,

    #[command(flatten)]
    pub(crate) cpus: Cpus,

    #[command(flatten)]
    pub(crate) target: TargetArgs,

    /// What its jitter buffers hold, in milliseconds, 0 to 200 [default: its own default].
    #[arg(long, value_name = "MS", conflicts_with = "gateway", value_parser = clap::value_parser!(u16).range(0..=200))]
    pub(crate) jitter_buffer: Option<u16>,
}

/// `tollgate-bench setup-rate`.
///
/// # Errors
/// Whatever keeps it from being measured.
pub(crate) fn run(args: &SetupRateArgs, operator: &Operator) -> Result<Report, Failure> {
    watched(args, operator).map(|(report, _)| report)
}

/// As [`run`], with what the gateway held meanwhile.
///
/// # Errors
/// Whatever keeps it from being measured.
pub(crate) fn watched(args: &SetupRateArgs, operator: &Operator) -> Result<(Report, Watched), Failure> {
    if args.beside >= args.ds0 {
        return Err(format!("--beside {} leaves none of {} endpoints", args.beside, args.ds0).into());
    }
    args.target.check_names(args.ds0)?;
    // Control is what is measured, and is on a CPU that the harness does not have.
    let target = args.target.open(args.size(), &Network::Loopback, args.cpus.priority())?;
    wait_for(&target, args)?;
    let every = WATCHED_EVERY_MIN.max(Duration::from_secs(args.seconds.into()) / WATCHED_MAX);
    let (trials, watched) = watch::beside(target.process(), every, || args.trials(&target, operator))?;
    target.check()?;
    let last_words = target.close()?;
    let mut report = args.report(&trials);
    report.sections.extend(watched.section());
    if let Some(run) = trials.first().and_then(|trial| trial.beside.as_ref()) {
        let (sections, verdict) = run.beside(&args.load());
        report.sections.extend(sections);
        report.judge(verdict);
    }
    let own = last_words.lines().filter(|line| ACCOUNT.iter().any(|words| line.contains(words)));
    report.last_words = own.collect::<Vec<_>>().join("\n");
    Ok((report, watched))
}

/// What lines of a gateway's log begin with that say what it counted.
const ACCOUNT: [&str; 3] = ["MGCP sockets", "control: ", "core has ended"];

/// Asks for the last endpoint until the gateway answers.
fn wait_for(target: &Target, args: &SetupRateArgs) -> Result<(), Failure> {
    let name = args.target.endpoint(args.ds0 - 1);
    let mut agent = Agent::bind(target.local, target.gateway, &args.target.domain, args.terms())?;
    agent.add(&name, (target.local, 0).into())?;
    // One that the gateway is to choose cannot be asked for.
    if is_wild(&name) {
        return Ok(());
    }
    agent.audit();
    let clock = Clock;
    let give_up = clock.now() + START_MAX;
    while !agent.is_done() {
        let now = clock.now();
        agent.turn(now)?;
        target.check().map_err(not_ready)?;
        if now > give_up {
            return Err(format!("nobody answers at {}", target.gateway).into());
        }
        crate::pace::sleep_until(now + Duration::from_millis(1));
    }
    Ok(())
}

impl SetupRateArgs {
    /// Decides what the command line leaves open, on a host with these CPUs.
    pub(crate) fn settle(&mut self, usable: &[usize]) -> Cpus {
        self.target.settle(&mut self.cpus, Measured::Control, usable);
        self.cpus
    }

    fn size(&self) -> Size {
        // A response is to be kept for T-HIST, 30 s (RFC 3435 §3.5.1), at least to the rate of our aim.
        let commands = self.calls_per_second.map_or(u32::MAX, |rate| rate.saturating_mul(3 * 31));
        Size {
            ds0s: self.ds0,
            law: self.law.into(),
            jitter_ms: self.jitter_buffer,
            transactions_max: Some(commands.clamp(65_536, 1_048_576)),
            cpu: self.cpus.gateway().number(),
            real_time_priority: self.cpus.priority().level(),
            driver: Driver::Uring,
        }
    }

    fn terms(&self) -> Terms {
        Terms { law: self.law.into(), ptime_ms: NonZeroU8::new(20).expect("20 is not 0") }
    }

    /// How long calls come before they are measured: from then on as many end as begin.
    fn warm_up(&self) -> Duration {
        WARM_UP + Duration::from_millis(self.hold.into())
    }

    /// The endpoints of the calls that come and go.
    fn endpoints(&self) -> Result<Vec<EndpointName>, Failure> {
        let name = |n| Ok(format!("{}@{}", self.target.endpoint(n), self.target.domain).parse()?);
        (self.beside..self.ds0).map(name).collect()
    }

    /// The calls that stay.
    fn load(&self) -> DensityArgs {
        let load = LoadArgs {
            ds0: self.beside,
            seconds: self.seconds + BESIDE_LONGER_S + 2 * self.hold.div_ceil(1_000),
            ptime: "20".to_owned(),
            jitter_ms: 0,
            law: self.law,
            driver: Driver::Uring,
            wire: false,
            cpus: self.cpus,
        };
        DensityArgs::beside(load, self.target.clone())
    }

    /// All that is to be tried: with --max, the highest rate that holds, and the lowest that did not, last.
    fn trials(&self, target: &Target, operator: &Operator) -> Result<Vec<Trial>, Failure> {
        match self.calls_per_second.and_then(NonZeroU32::new) {
            None => self.search(target, operator),
            Some(rate) => Ok(vec![self.one(target, rate, operator)?]),
        }
    }

    /// One rate, with other calls beside if there are to be some.
    fn one(&self, target: &Target, rate: NonZeroU32, operator: &Operator) -> Result<Trial, Failure> {
        if self.beside > 0 {
            return self.trial_beside(target, rate, operator);
        }
        self.cpus.run_harness(HARNESS, || self.counted_trial(target, rate, operator))
    }

    /// A trial while other calls stay up.
    fn trial_beside(&self, target: &Target, rate: NonZeroU32, operator: &Operator) -> Result<Trial, Failure> {
        let load = self.load();
        // The table of sockets takes long to read, and the other calls' packets would have to wait.
        let before = dropped_by(target)?;
        let (mut trial, sockets, run) = thread::scope(|scope| {
            let (is_up, wait) = mpsc::sync_channel(1);
            let load = &load;
            let carrying = scope.spawn(move || {
                // Who waits for it may have given up.
                let up = || is_up.try_send(()).unwrap_or_default();
                self.cpus.run_harness(BESIDE, || {
                    density::carry(load, target, Seat { thread: BESIDE, interface: None }, &up, operator)
                })
            });
            // If it fails before, it says so below.
            let trial = match wait.recv_timeout(BESIDE_UP_MAX) {
                Ok(()) => self.cpus.run_harness(HARNESS, || self.trial(target, rate, operator)),
                Err(_) => Err("the calls beside did not come up".into()),
            };
            let run = carrying.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            trial.map(|(trial, sockets)| (trial, sockets, run))
        })?;
        trial.dropped = [sockets.dropped()?, dropped_by(target)? - before];
        trial.beside = Some(run);
        Ok(trial)
    }

    /// The highest rate that holds, and the lowest that did not, last.
    fn search(&self, target: &Target, operator: &Operator) -> Result<Vec<Trial>, Failure> {
        let (mut best, mut least_bad): (Option<Trial>, Option<Trial>) = (None, None);
        let mut search = Search::new(FIRST_RATE, RATE_MAX);
        while let Some(rate) = search.next().and_then(NonZeroU32::new) {
            let mut trial = self.one(target, rate, operator)?;
            if !self.short(&trial).is_empty() {
                // Machines have hiccups; what a gateway cannot do, it cannot do twice.
                trial = self.one(target, rate, operator)?;
            }
            let short = self.short(&trial);
            let holds = short.is_empty();
            let words = if holds { "held".to_owned() } else { format!("not held: {}", short.join("; ")) };
            operator.tell(&format!("{rate} calls a second: {words}"));
            *(if holds { &mut best } else { &mut least_bad }) = Some(trial);
            search.found(rate.get(), holds);
        }
        Ok(best.into_iter().chain(least_bad).collect())
    }

    /// A trial, and what the host dropped meanwhile.
    fn counted_trial(
        &self,
        target: &Target,
        rate: NonZeroU32,
        operator: &Operator,
    ) -> Result<Trial, Failure> {
        let before = dropped_by(target)?;
        let (mut trial, sockets) = self.trial(target, rate, operator)?;
        trial.dropped = [sockets.dropped()?, dropped_by(target)? - before];
        Ok(trial)
    }

    fn trial(
        &self,
        target: &Target,
        rate: NonZeroU32,
        operator: &Operator,
    ) -> Result<(Trial, Sockets), Failure> {
        let sockets = Sockets::bind(target, self.agents)?;
        let agents = sockets.agents(target.gateway, &self.target.domain)?;
        // Nobody reads what comes there.
        let sink = UdpSocket::bind((target.local, 0))?;
        let clock = Clock;
        let plan = Plan {
            rate,
            start: clock.now() + Duration::from_millis(10),
            warm_up: self.warm_up(),
            length: Duration::from_secs(u64::from(self.seconds)),
            hold: Duration::from_millis(u64::from(self.hold)),
            terms: self.terms(),
            rtp: sink.local_addr()?,
        };
        // All of them each time: those that a rate that was too high has left hanging would be missed at a lower one.
        let caller = Caller::new(plan, agents, self.endpoints()?);
        let threads = Threads::of(target)?;
        let mut sitting = Sitting::new(caller, sockets);
        sitting.run_until(plan.start + plan.warm_up, target, operator)?;
        let (from, before) = (clock.now(), threads.usage()?);
        sitting.run_until(sitting.caller.end(), target, operator)?;
        let (to, after) = (clock.now(), threads.usage()?);
        sitting.run_until(sitting.caller.end() + plan.hold + DRAIN_MAX, target, operator)?;
        let tally = sitting.caller.finish();
        let (elapsed, costs) = (to.since(from), after - before);
        let trial = Trial { rate, tally, length: plan.length, elapsed, costs, dropped: [0; 2], beside: None };
        Ok((trial, sitting.sockets))
    }

    /// In what a rate of a search falls short, the calls beside it among that.
    fn short(&self, trial: &Trial) -> Vec<String> {
        let mut reasons = self.shortfalls(trial);
        let repeated = trial.tally.repeated;
        reasons.extend((self.max && repeated > 0).then(|| format!("{repeated} repeated")));
        let beside = trial.beside.as_ref().map(|run| run.beside(&self.load()).1);
        reasons.extend(beside.iter().flat_map(Verdict::reasons).cloned());
        reasons
    }

    /// In what a trial falls short of what is required.
    fn shortfalls(&self, trial: &Trial) -> Vec<String> {
        let Trial { tally, .. } = trial;
        let mut reasons = Vec::new();
        let failed_percent = 100.0 * tally.failures() as f64 / tally.offered.max(1) as f64;
        if failed_percent > self.require_failures {
            reasons.push(format!(
                "{} refused, {} unanswered, {} found no endpoint free: {failed_percent:.3} % of the calls",
                tally.refusals(),
                tally.unanswered,
                tally.blocked
            ));
        }
        let (asked, done) = (f64::from(trial.rate.get()), trial.throughput());
        if done < asked * KEPT_UP {
            reasons.push(format!("{done:.0} calls a second were done, of {asked:.0} that were asked for"));
        }
        let p99_ms = tally.all_times().value_at_quantile(0.99) as f64 / 1e3;
        let p99_max = self.require_p99.or(self.max.then_some(FIRST_REPETITION_MS));
        if let Some(most) = p99_max.filter(|most| p99_ms > *most) {
            reasons.push(format!("99 of 100 answers took up to {p99_ms:.3} ms; required: {most} ms"));
        }
        reasons
    }

    fn settings(&self) -> Vec<(&'static str, Value)> {
        let rate =
            self.calls_per_second.map_or(Value::Text("max".to_owned()), |rate| Value::Count(rate.into()));
        let mut settings = vec![
            ("calls_per_second", rate),
            ("seconds", Value::Count(self.seconds.into())),
            ("ds0", Value::Count(self.ds0.into())),
            ("hold_ms", Value::Count(self.hold.into())),
            ("agents", Value::Count(self.agents.into())),
            ("beside", Value::Count(self.beside.into())),
        ];
        settings.extend(self.cpus.settings());
        settings.push(self.target.settings());
        settings.extend(self.jitter_buffer.map(|ms| ("jitter_buffer_ms", Value::Count(ms.into()))));
        settings
    }

    fn report(&self, trials: &[Trial]) -> Report {
        let mut report = Report::new(self.bench, self.settings());
        // With --max, the last one is the one that was too much, if any was; nothing is said of it but why.
        let Some(trial) = trials.first() else { return report };
        report.sections.push(trial.calls());
        report.sections.push(trial.answers());
        report.sections.extend(trial.gateway());
        report.sections.push(trial.harness());
        if let (true, Some(beyond)) = (self.max, trials.get(1)) {
            let mut section = Section::new("the next rate, which did not hold");
            section.count("beyond", "calls a second", beyond.rate.get().into(), "calls/s");
            section.text("beyond_why", "why", &self.short(beyond).join("; "));
            section.text("beyond_limit", "what was at its limit", beyond.limit());
            report.sections.push(section);
        }
        report.faults = trial.own_faults();
        report.verdict = self.verdict(trials);
        report
    }

    fn verdict(&self, trials: &[Trial]) -> Verdict {
        let [trial, ..] = trials else { return Verdict::Pass };
        let mut reasons = self.shortfalls(trial);
        if let Some(least) = self.require_calls.filter(|least| trial.rate.get() < *least) {
            reasons.push(format!("{} calls a second hold; required: {least}", trial.rate));
        }
        let own: Vec<_> = trials.iter().flat_map(Trial::own_faults).collect();
        match (reasons.is_empty(), own.is_empty()) {
            (true, _) => Verdict::Pass,
            (false, true) => Verdict::Fail(reasons),
            (false, false) => Verdict::Inconclusive(reasons.into_iter().chain(own).collect()),
        }
    }
}

/// How often a gateway's memory is looked at, at most and at least: in a day as often as in an hour.
const WATCHED_EVERY_MIN: Duration = Duration::from_secs(1);
const WATCHED_MAX: u32 = 3_600;

/// How long calls come before they are measured: caches, tables and allocators settle.
const WARM_UP: Duration = Duration::from_secs(1);

/// How long after the last call answers may still come.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// How long a gateway may take to come up.
const START_MAX: Duration = Duration::from_secs(20);

/// The first rate that is tried, and the highest, in calls a second.
const FIRST_RATE: u32 = 1_000;
const RATE_MAX: u32 = 1_000_000;

/// The part of the calls asked for that must be over while they are measured: some are under way.
const KEPT_UP: f64 = 0.98;

/// RFC 3435 §4.3: what takes longer is sent again, in ms.
const FIRST_REPETITION_MS: f64 = 200.0;

/// The thread that carries the calls beside.
const BESIDE: &str = "beside";

/// How long the calls beside may take to come up.
const BESIDE_UP_MAX: Duration = Duration::from_secs(60);

/// How much longer the calls beside are measured than those that come and go, in seconds, not counting how
/// long the first and the last of these stay up.
const BESIDE_LONGER_S: u32 = 2;
