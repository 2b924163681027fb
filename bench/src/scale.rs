//! What commands cost with few endpoints and with many: nothing may grow faster than what it is about.
//!
//! Two gateways are started, one after the other. Each gets commands for one endpoint, and wildcarded ones
//! for all; a command for one must cost the same in both, one for all the same for each endpoint.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use control::call_agent::{CallAgent, Event, Reply};
use control::mgcp::message::{Message, Path, TransactionId};
use control::mgcp::parse::parse_datagram;
use drivers::line::{Carrier, Law};
use drivers::time::{Clock, Instant};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use crate::Failure;
use crate::child::{self, DOMAIN, Gateway, Size, Wanted};
use crate::cpus::{Cpu, Cpus};
use crate::density::CARRIER;
use crate::floor::HARNESS;
use crate::host::{self, Thread};
use crate::load_args::Driver;
use crate::operator::Operator;
use crate::pace::{run_on, sleep_until};
use crate::priority::Priority;
use crate::report::{Report, Section, Value, Verdict};
use crate::wire::own_addresses;

/// Compares what commands cost a gateway with few endpoints and one with many.
///
/// Starts `tollgate run` twice. AUEP of one endpoint must cost the same in both; RQNT, DLCX and bulk audits
/// (RFC 3624) of all by wildcard the same for each endpoint. Costs are CPU time of the gateway's control
/// thread, so that they hold on a busy machine; how long answers take is shown beside them.
///
/// Exit code: 0 when no cost grows by more than --require-growth, 1 when one does.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  tollgate-bench scale --few 64 --many 8192")]
pub(crate) struct ScaleArgs {
    /// Endpoints of the small gateway at least: whole E1s.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=20_000))]
    few: u16,

    /// Endpoints of the large gateway at least: whole E1s.
    #[arg(long, value_name = "N", default_value_t = 8_192, value_parser = clap::value_parser!(u16).range(1..=20_000))]
    many: u16,

    /// The greatest growth of a cost, of one command or for each endpoint, in times.
    #[arg(long, value_name = "TIMES", default_value_t = 2.0)]
    require_growth: f64,

    #[command(flatten)]
    cpus: Cpus,

    /// The CPU of all threads of the gateway but its media core, or `any` [default: one that nothing else has, or
    /// else the media core's].
    #[arg(long, value_name = "CPU")]
    control_cpu: Option<Cpu>,

    /// The `tollgate` to start [default: the one beside this program].
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Task {
    AuditOne,
    RequestAll,
    ClearAll,
    DeleteNone,
    CreateEach,
    AuditNames,
    AuditModes,
    DeleteAll,
}

impl Task {
    /// In the order in which they are done.
    const ALL: [Self; 8] = [
        Self::AuditOne,
        Self::RequestAll,
        Self::ClearAll,
        Self::DeleteNone,
        Self::CreateEach,
        Self::AuditNames,
        Self::AuditModes,
        Self::DeleteAll,
    ];

    /// For programs and for people.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::AuditOne => ("audit_one", "500 AUEP of one, all it has to say"),
            Self::RequestAll => ("request_all", "RQNT of all, for digits"),
            Self::ClearAll => ("clear_all", "RQNT of all, for nothing any more"),
            Self::DeleteNone => ("delete_none", "DLCX of all, which have no connection"),
            Self::CreateEach => ("create_each", "CRCX of each, one after the other"),
            Self::AuditNames => ("audit_names", "bulk audit of all: which there are"),
            Self::AuditModes => ("audit_modes", "bulk audit of all: their connections' modes"),
            Self::DeleteAll => ("delete_all", "DLCX of all, which have a connection each"),
        }
    }

    /// How many endpoints of a gateway it asks about.
    fn endpoints(self, all: u16) -> f64 {
        if self == Self::AuditOne { AUDITS.into() } else { all.into() }
    }
}

/// What something cost: the medians of its rounds.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
struct Cost {
    took: Duration,
    cpu: Duration,
}

/// What was found at a gateway.
struct Visit {
    endpoints: u16,
    /// From the start of its process to its first answer.
    start_up: Duration,
    /// Octets of memory it held then.
    memory: u64,
    /// The part of a CPU that its media core had while there were no calls.
    idle: f64,
    /// By task.
    costs: [Cost; Task::ALL.len()],
}

/// `tollgate-bench scale`.
///
/// # Errors
/// Whatever keeps it from being measured, a refusal among it.
pub(crate) fn run(args: &ScaleArgs, operator: &Operator) -> Result<Report, Failure> {
    let few = visit(args, args.few, operator)?;
    let many = visit(args, args.many, operator)?;
    Ok(args.report(&few, &many))
}

fn visit(args: &ScaleArgs, ds0s: u16, operator: &Operator) -> Result<Visit, Failure> {
    let [address, ..] = own_addresses();
    let program = args.program.clone().map_or_else(child::sibling, Ok)?;
    let size = Size {
        ds0s,
        law: Law::A,
        jitter_ms: None,
        transactions_max: None,
        cpu: args.cpus.gateway().number(),
        real_time_priority: args.cpus.priority().level(),
        driver: Driver::Uring,
    };
    let wanted = Wanted { program, address, size };
    let began = Clock.now();
    let control_cpu = args.control_cpu.and_then(Cpu::number);
    let gateway = run_on("start", control_cpu, || {
        args.cpus.priority().take();
        Gateway::start(&wanted)
    })?;
    let found = args.cpus.run_harness(HARNESS, || {
        let spans = ds0s.div_ceil(u16::from(Carrier::E1.timeslot_max()));
        Guest::new(&wanted, gateway.id(), spans, operator)?.stay(began)
    })?;
    gateway.stop()?;
    Ok(found)
}

/// A call agent that measures what it asks for.
struct Guest<'a> {
    socket: UdpSocket,
    agent: CallAgent,
    process: u32,
    control: Thread,
    spans: u16,
    answers: HashMap<TransactionId, Reply>,
    octets: Vec<u8>,
    operator: &'a Operator,
}

impl<'a> Guest<'a> {
    fn new(wanted: &Wanted, process: u32, spans: u16, operator: &'a Operator) -> Result<Self, Failure> {
        let [_, local, _] = own_addresses();
        let socket = UdpSocket::bind((local, 0))?;
        socket.set_nonblocking(true)?;
        let path = Path { remote: wanted.mgcp(), local: socket.local_addr()? };
        let entity = format!("bench@[{}]:{}", local, path.local.port()).parse()?;
        Ok(Self {
            socket,
            agent: CallAgent::new(entity, path, DOMAIN, UNDER_WAY_MAX, Clock.now().as_nanos()),
            process,
            control: Thread::main(process),
            spans,
            answers: HashMap::new(),
            octets: vec![0; DATAGRAM_MAX],
            operator,
        })
    }

    /// Measures all there is.
    fn stay(mut self, began: Instant) -> Result<Visit, Failure> {
        let clock = Clock;
        // Until it listens, commands are lost; the next try begins with the shortest wait again.
        self.perform(Task::AuditOne)?;
        let start_up = clock.now().since(began);
        let memory = host::resident(self.process)?;
        let core = Thread::named(self.process, CARRIER)?;
        let (from, before) = (clock.now(), core.usage()?);
        sleep_until(from + IDLE);
        let idle = (core.usage()? - before).cpu.as_secs_f64() / clock.now().since(from).as_secs_f64();
        let mut costs = [Cost::default(); Task::ALL.len()];
        for (cost, task) in costs.iter_mut().zip(Task::ALL) {
            *cost = self.cost(task)?;
        }
        let endpoints = self.spans * u16::from(Carrier::E1.timeslot_max());
        Ok(Visit { endpoints, start_up, memory, idle, costs })
    }

    fn cost(&mut self, task: Task) -> Result<Cost, Failure> {
        let clock = Clock;
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            match task {
                Task::CreateEach => self.perform(Task::DeleteNone)?,
                Task::ClearAll => self.perform(Task::RequestAll)?,
                Task::DeleteAll => {
                    self.perform(Task::DeleteAll)?;
                    self.perform(Task::CreateEach)?;
                }
                _ => {}
            }
            let (from, before) = (clock.now(), self.control.usage()?);
            self.perform(task)?;
            let took = clock.now().since(from);
            rounds.push(Cost { took, cpu: (self.control.usage()? - before).cpu });
        }
        Ok(Cost { took: median(&rounds, |cost| cost.took), cpu: median(&rounds, |cost| cost.cpu) })
    }

    fn perform(&mut self, task: Task) -> Result<(), Failure> {
        let timeslots = Carrier::E1.timeslot_max();
        match task {
            Task::AuditOne => {
                let last = format!("ds/e1-{}/{timeslots}", self.spans);
                let audit = || command("AUEP", &last, "F: A,B,D,ES,I,N,O,Q,R,S,T,X");
                self.ask_each(std::iter::repeat_with(audit).take(AUDITS.into()))
            }
            Task::RequestAll => self.ask(&command("RQNT", "*", "X: 1\r\nR: D/[0-9#*](N)")).map(drop),
            Task::ClearAll => self.ask(&command("RQNT", "*", "X: 2")).map(drop),
            Task::DeleteNone | Task::DeleteAll => self.ask(&command("DLCX", "*", "")).map(drop),
            Task::CreateEach => {
                let names = (1..=self.spans).flat_map(|span| (1..=timeslots).map(move |slot| (span, slot)));
                let create = |(span, slot)| {
                    command(
                        "CRCX",
                        &format!("ds/e1-{span}/{slot}"),
                        "C: B3\r\nL: p:20, a:PCMA\r\nM: recvonly",
                    )
                };
                self.ask_each(names.map(create))
            }
            Task::AuditNames => self.audit_all("BA/Z"),
            Task::AuditModes => self.audit_all("BA/M"),
        }
    }

    /// Asks about all endpoints, as often as there is something left to be told.
    // RFC 3624 §2.1.1.7: an answer that does not hold all names the endpoint to go on with.
    fn audit_all(&mut self, item: &str) -> Result<(), Failure> {
        let mut rest = String::new();
        loop {
            let reply = self.ask(&command("AUEP", "*", &format!("BA/F: {item}{rest}")))?;
            let text = String::from_utf8_lossy(&reply.octets).into_owned();
            match text.lines().find_map(|line| line.strip_prefix("BA/NE:")) {
                None => return Ok(()),
                Some(next) => rest = format!("\r\nBA/SE: {}", next.trim()),
            }
        }
    }

    /// Sends a command and waits for its answer.
    fn ask(&mut self, text: &str) -> Result<Reply, Failure> {
        let transaction = self.send(text)?;
        loop {
            self.turn()?;
            if let Some(reply) = self.answers.remove(&transaction) {
                return accepted(text, reply);
            }
        }
    }

    /// Sends commands, some at a time, and waits for all answers.
    fn ask_each(&mut self, texts: impl Iterator<Item = String>) -> Result<(), Failure> {
        let mut under_way: VecDeque<(TransactionId, String)> = VecDeque::new();
        let mut texts = texts.fuse();
        loop {
            while under_way.len() < UNDER_WAY_MAX
                && let Some(text) = texts.next()
            {
                under_way.push_back((self.send(&text)?, text));
            }
            if under_way.is_empty() {
                return Ok(());
            }
            self.turn()?;
            while let Some((transaction, text)) = under_way.front()
                && let Some(reply) = self.answers.remove(transaction)
            {
                accepted(text, reply)?;
                under_way.pop_front();
            }
        }
    }

    fn send(&mut self, text: &str) -> Result<TransactionId, Failure> {
        let part = parse_datagram(text.as_bytes()).next().ok_or("a command is no datagram")?;
        let Ok(Message::Command(command)) = part.message else {
            return Err(format!("this is no command: {text}").into());
        };
        let sent = self.agent.send(Clock.now(), command);
        sent.map_err(|_| "more commands are under way than there may be".into())
    }

    /// Sends what is to be sent, waits for something to come, and takes it.
    fn turn(&mut self) -> Result<(), Failure> {
        let clock = Clock;
        let mut out = Vec::new();
        while let Some(to) = self.agent.poll_transmit(&mut out) {
            if let Err(error) = self.socket.send_to(&out, to)
                && error.kind() != io::ErrorKind::ConnectionRefused
            {
                return Err(error.into());
            }
        }
        let now = clock.now();
        let wait = self.agent.poll_timeout().map_or(TURN_MAX, |at| at.since(now).min(TURN_MAX));
        let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        ppoll(&mut fds, Some(TimeSpec::from(wait)), None)?;
        loop {
            match self.socket.recv_from(&mut self.octets) {
                Ok((len, from)) => self.agent.handle(clock.now(), from, &self.octets[..len]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // It is not there yet; the command will be repeated.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.agent.handle_timeout(clock.now());
        while let Some(event) = self.agent.poll_event() {
            match event {
                Event::Answered { transaction, reply } => drop(self.answers.insert(transaction, reply)),
                Event::Lost { .. } => return Err("the gateway does not answer".into()),
                Event::Provisional { .. }
                | Event::Restart { .. }
                | Event::Deleted { .. }
                | Event::Notified { .. } => {}
            }
        }
        self.operator.check()
    }
}

/// A command's octets, but for its transaction id.
fn command(verb: &str, endpoint: &str, parameters: &str) -> String {
    let end = if parameters.is_empty() { "" } else { "\r\n" };
    format!("{verb} 1 {endpoint}@{DOMAIN} MGCP 1.0\r\n{parameters}{end}")
}

fn accepted(text: &str, reply: Reply) -> Result<Reply, Failure> {
    if reply.code.is_success() {
        return Ok(reply);
    }
    let first = text.lines().next().unwrap_or_default();
    Err(format!("the gateway refuses `{first}`: {} {}", reply.code.0, reply.commentary).into())
}

fn median(rounds: &[Cost], of: impl Fn(&Cost) -> Duration) -> Duration {
    let mut all: Vec<_> = rounds.iter().map(of).collect();
    all.sort_unstable();
    all[all.len() / 2]
}

impl ScaleArgs {
    /// Decides what the command line leaves open, on a host with these CPUs.
    pub(crate) fn settle(&mut self, usable: &[usize]) -> Cpus {
        self.cpus.settle(usable, Priority::RealTime);
        self.control_cpu.get_or_insert(self.cpus.third(usable).unwrap_or(self.cpus.gateway()));
        self.cpus
    }

    fn report(&self, few: &Visit, many: &Visit) -> Report {
        let mut settings =
            vec![("few", Value::Count(few.endpoints.into())), ("many", Value::Count(many.endpoints.into()))];
        settings.extend(self.cpus.settings());
        settings.push(("control_cpu", self.control_cpu.unwrap_or(Cpu::Any).into()));
        let mut report = Report::new("scale", settings);
        report.sections.push(growth(few, many));
        report.sections.push(few.section("the small gateway", "few"));
        report.sections.push(many.section("the large gateway", "many"));
        let grown = Task::ALL.into_iter().zip(growths(few, many));
        let reasons: Vec<_> = grown
            .filter(|(_, times)| *times > self.require_growth)
            .map(|(task, times)| {
                let most = self.require_growth;
                format!("{}: it costs {times:.2} times as much; required: {most}", task.names().1)
            })
            .collect();
        report.verdict = if reasons.is_empty() { Verdict::Pass } else { Verdict::Fail(reasons) };
        report
    }
}

/// What each task costs the large gateway, for each endpoint it is about, to what it costs the small one.
fn growths(few: &Visit, many: &Visit) -> [f64; Task::ALL.len()] {
    let each = |visit: &Visit, place: usize| {
        visit.costs[place].cpu.as_secs_f64() / Task::ALL[place].endpoints(visit.endpoints)
    };
    std::array::from_fn(|place| each(many, place) / each(few, place).max(1e-9))
}

fn growth(few: &Visit, many: &Visit) -> Section {
    let mut section = Section::new("CPU of control for each endpoint, large gateway to small");
    for (task, times) in Task::ALL.into_iter().zip(growths(few, many)) {
        let (name, words) = task.names();
        section.number(&format!("growth_{name}"), words, times, "times");
    }
    section
}

impl Visit {
    fn section(&self, title: &'static str, prefix: &str) -> Section {
        let mut section = Section::new(title);
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        section.count(&format!("{prefix}_endpoints"), "endpoints", self.endpoints.into(), "endpoints");
        section.number(
            &format!("{prefix}_start_up"),
            "from its start to its first answer",
            millis(self.start_up),
            "ms",
        );
        let mib = self.memory as f64 / f64::from(1 << 20);
        section.number(&format!("{prefix}_memory"), "memory, idle", mib, "MiB");
        section.share(&format!("{prefix}_idle"), "CPU of its media core, idle", self.idle);
        for (task, cost) in Task::ALL.into_iter().zip(self.costs) {
            let (name, words) = task.names();
            section.number(
                &format!("{prefix}_{name}"),
                &format!("{words}, until answered"),
                millis(cost.took),
                "ms",
            );
            section.number(
                &format!("{prefix}_{name}_cpu"),
                &format!("{words}, CPU of control"),
                millis(cost.cpu),
                "ms",
            );
        }
        section
    }
}

/// How often each task is measured.
const ROUNDS: usize = 5;

/// Audits of one endpoint in a round: the cost of a single one is mostly that of waking up for it.
const AUDITS: u16 = 500;

/// Commands under way at a time.
const UNDER_WAY_MAX: usize = 128;

/// Octets of the longest datagram.
const DATAGRAM_MAX: usize = 65_535;

/// The longest that nothing is looked after.
const TURN_MAX: Duration = Duration::from_millis(50);

/// How long the gateway's media core is watched idle.
const IDLE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(endpoints: u16, cpu_us: u64) -> Visit {
        let cost = Cost { took: Duration::ZERO, cpu: Duration::from_micros(cpu_us) };
        Visit { endpoints, start_up: Duration::ZERO, memory: 0, idle: 0.0, costs: [cost; Task::ALL.len()] }
    }

    #[test]
    fn what_is_about_all_is_compared_by_the_endpoint_and_what_is_about_one_as_it_is() {
        let growths = growths(&visit(100, 50), &visit(1_000, 500));
        assert!((growths[0] - 10.0).abs() < 1e-9, "AUEP of one costs ten times as much");
        assert!(growths[1..].iter().all(|times| (times - 1.0).abs() < 1e-9), "{growths:?}");
    }

    #[test]
    fn all_commands_are_commands() {
        for text in [command("DLCX", "*", ""), command("AUEP", "*", "BA/F: BA/Z\r\nBA/SE: ds/e1-2/1")] {
            let part = parse_datagram(text.as_bytes()).next().expect("a message");
            assert!(matches!(part.message, Ok(Message::Command(_))), "{text}");
        }
    }
}
