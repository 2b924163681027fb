//! `tollgate demo`: a gateway, a call agent and far ends that talk, in one process.
//!
//! The gateway is the real one: its own control thread and media cores, MGCP and RTP over real sockets
//! on loopback. This thread is all the rest: it sets the calls up, listens at the far ends while the
//! speech flows, shows what it sees, and judges it in the end.

mod caller;
mod ear;
mod plan;
mod speech;
mod table;
mod verdict;

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::io;
use std::num::NonZeroU8;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use control::call_agent::call::{CallOptions, CallsEvent, End, Failure as CallFailure, Progress};
use control::call_agent::{Event, Reply};
use control::mgcp::message::{ConnectionParameters, InfoCode, TransactionId};
use control::mgcp::name::CallId;
use control::run::Signals;
use dataplane::link::Codec;
use dataplane::stats::{Counter, Stats};
use drivers::line::{FRAME, Law};
use drivers::net::fault::Lossy;
use drivers::net::uring::UringSockets;
use drivers::span::Span;
use drivers::span::sim::{FarEnd, Play, Recording, SimSpan};
use drivers::time::{Clock, Instant};
use tracing::level_filters::LevelFilter;

use crate::cli::DemoArgs;
use crate::compose::{self, Assembly, Started};
use crate::log::Log;
use crate::recorder::WavFile;
use crate::{Failure, counted, say, spans, summary};

use caller::Caller;
use ear::{Ear, FramesApart};
use plan::{Party, Plan};
use table::{Figures, Row, Screen, Snapshot};
use verdict::{CallResult, EndResult, Verdict};

/// How long a far end's recording waits to be listened to: 8 s.
const RECORDING_OCTETS: usize = 64_000;

/// How often the ears listen, and how often the figures are shown.
const LISTEN_EVERY: Duration = Duration::from_millis(100);
const SHOW_EVERY: Duration = Duration::from_secs(1);

/// Each time the ears listen, one connection in so many is audited.
const AUDITS_PER_ROUND: usize = (SHOW_EVERY.as_millis() / LISTEN_EVERY.as_millis()) as usize;

/// How long the calls may take to be set up, and to be taken down.
const SETUP_MAX: Duration = Duration::from_secs(10);
const CLEARING_MAX: Duration = Duration::from_secs(5);

/// Runs a demo to its verdict.
pub(crate) fn run(args: &DemoArgs) -> Result<(), Failure> {
    let signals = Signals::catch()?;
    let _log = Log::start(LevelFilter::WARN)?;
    let seed = args.seed.map_or_else(compose::seed, Ok)?;
    let plan = Plan::new(args)?;
    let begin = spans::first_block(plan.config.spans.len());
    let (lines, ears) = lines(&plan, args, seed, begin);
    let files = wav_files(&plan, args)?;
    let assembly = Assembly::new(&plan.config, lines, None)?;
    let gateway = assembly.mgcp_address();
    let started = start(assembly, args, seed)?;
    let (stop, stats) = (started.stop_handle(), started.stats());
    let calls_max = plan.parties.len() / 2;
    let jitter_buffer = plan.config.media.jitter.nominal();
    let caller = Caller::new(gateway, &plan.config.gateway.name, calls_max, seed, signals)?;
    say(format_args!(
        "{} between timeslots of {}; MGCP on {gateway}, RTP on {}:{}-{}; seed {seed}",
        counted(calls_max, "call"),
        counted(plan.config.spans.len(), "simulated span"),
        plan.config.media.addresses[0],
        plan.config.media.port_first,
        plan.config.media.port_last,
    ));
    let control = thread::Builder::new().name("control".to_owned()).spawn(|| started.run())?;

    let mut demo = Demo::new(plan, caller, ears, files, stats);
    let shown = demo.play(args, begin);
    let verdict = shown.map(|elapsed| (demo.judge(args), elapsed));
    let unfinished = demo.files.into_iter().map(WavFile::finish).filter(|whole| !whole).count();
    stop.stop();
    let ended = control.join().map_err(|_| "control has panicked")?;
    let (mut verdict, elapsed) = verdict?;
    say(format_args!(""));
    for (place, (core, stats)) in ended.cores.iter().enumerate() {
        let cpu = Duration::from_nanos(stats.value(Counter::CpuNanos));
        let share = 100.0 * cpu.as_secs_f64() / elapsed.as_secs_f64().max(1e-9);
        let late = summary::quantiles(&core.lateness);
        say(format_args!("Core {place}  {share:.1} % of a CPU; blocks late: {late}"));
    }
    let latest = ended.cores.iter().map(|(core, _)| core.lateness.max()).max().unwrap_or(0);
    if Duration::from_nanos(latest) > jitter_buffer {
        verdict.excuse();
    }
    say(format_args!("{verdict}"));
    ended.outcome?;
    if unfinished > 0 {
        return Err(format!("{} could not be written", counted(unfinished, "recording")).into());
    }
    if verdict.is_inconclusive() {
        return Err(Inconclusive.into());
    }
    if verdict.is_pass() { Ok(()) } else { Err("the demo has failed".into()) }
}

/// What was missed, this host may be to blame for.
#[derive(Debug)]
pub(crate) struct Inconclusive;

impl fmt::Display for Inconclusive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the demo says nothing of the gateway; try again when this host is less busy")
    }
}

impl Error for Inconclusive {}

/// Starts the gateway, on a network as bad as asked for.
fn start(assembly: Assembly, args: &DemoArgs, seed: u64) -> Result<Started, Failure> {
    if args.loss == 0.0 {
        return assembly.start();
    }
    let loss = args.loss / 100.0;
    assembly.start_with(move |bound, core| {
        Ok(Lossy::new(UringSockets::new(bound)?, loss, seed.wrapping_add(u64::from(core.0))))
    })
}

/// The lines, whose far ends talk, and an ear at the far end of each party.
fn lines(plan: &Plan, args: &DemoArgs, seed: u64, begin: Instant) -> (Vec<Box<dyn Span>>, Vec<Ear>) {
    let law = plan.law;
    let codec = codec(args, law);
    // What is said on a line is converted on the way to the network, and back on the way to the line.
    let conversion = |octet: u8| {
        let sent = codec.from_line(law).map_or(octet, |table| table[usize::from(octet)]);
        codec.to_line(law).map_or(sent, |table| table[usize::from(sent)])
    };
    let voices = speech::voices(law, plan.parties.len(), seed);
    let recordings: Vec<_> = voices.iter().map(|_| Arc::new(Recording::new(RECORDING_OCTETS))).collect();
    let lines = plan.config.spans.iter().enumerate().map(|(place, span)| {
        let settings = spans::settings(span, place, begin);
        let line = SimSpan::new(&settings, Vec::new(), |timeslot| {
            match plan.parties.iter().position(|party| *party == Party { span: place, timeslot }) {
                Some(party) => FarEnd::File {
                    play: Play::Forever(Arc::clone(&voices[party])),
                    record: Some(Arc::clone(&recordings[party])),
                },
                None => FarEnd::Idle,
            }
        });
        Box::new(line) as Box<dyn Span>
    });
    let lines = lines.collect();
    let hears = |(party, recording): (usize, Arc<Recording>)| {
        Ear::new(&voices[Party::mate(party)], conversion, law, recording)
    };
    let ears = recordings.into_iter().enumerate().map(hears).collect();
    (lines, ears)
}

/// The codec that the calls use.
fn codec(args: &DemoArgs, line: Law) -> Codec {
    Codec::G711(args.law.map_or(line, Law::from))
}

/// A file for what each party hears, if they are to be written.
fn wav_files(plan: &Plan, args: &DemoArgs) -> Result<Vec<WavFile>, Failure> {
    let Some(folder) = &args.record else { return Ok(Vec::new()) };
    std::fs::create_dir_all(folder)
        .map_err(|error| format!("cannot make the folder {}: {error}", folder.display()))?;
    let file = |party| {
        let name = plan.endpoint(party).replace('/', "-");
        WavFile::create(folder.join(format!("{name}.wav")), plan.law)
    };
    (0..plan.parties.len()).map(file).collect()
}

/// A demo at work.
struct Demo {
    plan: Plan,
    caller: Caller,
    /// An ear for each party.
    ears: Vec<Ear>,
    /// Parties whose ears came too late once.
    missed: Vec<bool>,
    /// A file for each party, or none.
    files: Vec<WavFile>,
    stats: Vec<Arc<Stats>>,
    calls: Vec<Call>,
    by_id: HashMap<CallId, usize>,
    /// Audits under way: of which party's connection.
    audits: HashMap<TransactionId, usize>,
    /// The party whose connection is audited next.
    next_audit: usize,
}

/// One call: from party 2n to party 2n + 1.
#[derive(Default)]
struct Call {
    id: Option<CallId>,
    took: Option<Duration>,
    /// Its connections, while it is up.
    ends: Option<[End; 2]>,
    failure: Option<String>,
    /// What the connections last said.
    parameters: [Option<ConnectionParameters<'static>>; 2],
    is_over: bool,
}

impl Demo {
    fn new(plan: Plan, caller: Caller, ears: Vec<Ear>, files: Vec<WavFile>, stats: Vec<Arc<Stats>>) -> Self {
        let calls = (0..plan.parties.len() / 2).map(|_| Call::default()).collect();
        Self {
            missed: vec![false; ears.len()],
            plan,
            caller,
            ears,
            files,
            stats,
            calls,
            by_id: HashMap::new(),
            audits: HashMap::new(),
            next_audit: 0,
        }
    }

    /// Once the lines have begun, sets all calls up, lets them talk, and takes them down. Says how long all of it took.
    fn play(&mut self, args: &DemoArgs, begin: Instant) -> Result<Duration, Failure> {
        // Before the lines begin, a core has no reason to look for orders often.
        self.wait_until(begin, |_| false)?;
        let began = Clock.now();
        self.start_calls(began, args)?;
        self.go_on_until(began + SETUP_MAX, Demo::is_settled)?;
        let up = Clock.now();
        self.talk(up, args)?;
        self.listen();
        // From here on nobody listens: ends go silent one after the other.
        self.caller.go_on();
        let now = Clock.now();
        for call in &self.calls {
            if let Some(id) = call.id {
                self.caller.calls.hang_up(now, id);
            }
        }
        self.wait_until(now + CLEARING_MAX, |demo| demo.calls.iter().all(|call| call.is_over))?;
        Ok(Clock.now().since(began))
    }

    fn start_calls(&mut self, now: Instant, args: &DemoArgs) -> Result<(), Failure> {
        let options = CallOptions {
            codec: Some(codec(args, self.plan.law)),
            ptime_ms: NonZeroU8::new(self.plan.config.media.ptime_ms),
            ..CallOptions::default()
        };
        for (place, call) in self.calls.iter_mut().enumerate() {
            let agent = self.caller.calls.agent_mut();
            let a = agent.endpoint(&self.plan.endpoint(2 * place)).map_err(|error| error.to_string())?;
            let b = agent.endpoint(&self.plan.endpoint(2 * place + 1)).map_err(|error| error.to_string())?;
            let id = self.caller.calls.start(now, a, b, options).map_err(|_| "too many calls")?;
            call.id = Some(id);
            self.by_id.insert(id, place);
        }
        Ok(())
    }

    /// Lets the calls talk for as long as asked for, showing how they are.
    fn talk(&mut self, up: Instant, args: &DemoArgs) -> Result<(), Failure> {
        let end =
            args.seconds.map_or(Instant::FAR_FUTURE, |seconds| up + Duration::from_secs(seconds.into()));
        let mut screen = Screen::stdout();
        let mut next = up + SHOW_EVERY;
        while Clock.now() < end
            && !self.caller.is_interrupted()
            && self.calls.iter().any(|call| !call.is_over)
        {
            self.go_on_until(next.min(end), |_| false)?;
            if Clock.now() >= next {
                // Somebody who no longer looks wants no end of the demo.
                let _ = screen.show(&self.snapshot(up));
                next += SHOW_EVERY;
            }
        }
        Ok(())
    }

    /// Goes on until `until`, an interruption, or `done`; listens all the while.
    fn go_on_until(&mut self, until: Instant, done: impl Fn(&Self) -> bool) -> io::Result<()> {
        while !done(self) && !self.caller.is_interrupted() {
            let now = Clock.now();
            if now >= until {
                break;
            }
            self.listen();
            self.audit(now);
            self.wait_until(until.min(now + LISTEN_EVERY), &done)?;
        }
        Ok(())
    }

    /// Takes what comes until `until`, an interruption, or `done`.
    fn wait_until(&mut self, until: Instant, done: impl Fn(&Self) -> bool) -> io::Result<()> {
        while !done(self) && !self.caller.is_interrupted() && Clock.now() < until {
            if let Some(event) = self.caller.wait(until)? {
                self.take(event);
            }
        }
        Ok(())
    }

    /// All ears listen to what has come.
    fn listen(&mut self) {
        for (party, ear) in self.ears.iter_mut().enumerate() {
            match ear.listen() {
                Ok(octets) => {
                    if let Some(file) = self.files.get_mut(party) {
                        file.append(&octets);
                    }
                }
                Err(ear::TooLate) => self.missed[party] = true,
            }
        }
    }

    fn take(&mut self, event: CallsEvent) {
        match event {
            CallsEvent::Call { call, progress } => {
                if let Some(&place) = self.by_id.get(&call) {
                    self.calls[place].progress(progress);
                }
            }
            CallsEvent::Other(Event::Answered { transaction, reply }) => self.audited(transaction, reply),
            CallsEvent::Other(Event::Lost { transaction }) => drop(self.audits.remove(&transaction)),
            CallsEvent::Other(_) => {}
        }
    }

    /// Asks some of the connections what they have seen (AUCX), so that each is asked once a second.
    fn audit(&mut self, now: Instant) {
        for _ in 0..self.plan.parties.len().div_ceil(AUDITS_PER_ROUND) {
            let party = self.next_audit;
            if let Some(ends) = &self.calls[party / 2].ends {
                let end = &ends[party % 2];
                let agent = self.caller.calls.agent_mut();
                let info = [InfoCode::ConnectionParameters];
                let Ok(transaction) = agent.aucx(now, &end.endpoint, end.connection, &info) else { return };
                self.audits.insert(transaction, party);
            }
            self.next_audit = (party + 1) % self.plan.parties.len();
        }
    }

    fn audited(&mut self, transaction: TransactionId, reply: Reply) {
        let Some(party) = self.audits.remove(&transaction) else { return };
        if reply.parameters.is_some() {
            self.calls[party / 2].parameters[party % 2] = reply.parameters;
        }
    }

    /// How all is just now.
    fn snapshot(&mut self, up: Instant) -> Snapshot {
        let figures: Vec<Figures> = (0..self.plan.parties.len()).map(|party| self.figures(party)).collect();
        let row = |(place, call): (usize, &Call)| Row {
            endpoints: [2 * place, 2 * place + 1].map(|party| self.plan.endpoint(party)),
            note: call.note(),
            ends: [figures[2 * place], figures[2 * place + 1]],
        };
        let sum = |counter| self.stats.iter().map(|stats| stats.value(counter)).sum();
        Snapshot {
            elapsed: Clock.now().since(up),
            up: self.calls.iter().filter(|call| call.ends.is_some()).count(),
            calls: self.calls.len(),
            sent: sum(Counter::RtpSent),
            received: sum(Counter::RtpReceived),
            wrong: self.ears.iter().map(|ear| ear.heard().wrong).sum(),
            rows: self.calls.iter().enumerate().map(row).collect(),
        }
    }

    fn figures(&mut self, party: usize) -> Figures {
        let parameters = self.calls[party / 2].parameters[party % 2].clone().unwrap_or_default();
        Figures {
            received: parameters.packets_received,
            lost: parameters.packets_lost,
            jitter_ms: parameters.jitter_ms,
            delay: self.delay(party),
            level_dbm0: self.ears[party].level_dbm0(),
        }
    }

    /// The time from an octet's coming in from the mate's line to its going out on a party's.
    fn delay(&self, party: usize) -> Option<Duration> {
        let begins = |party: usize| {
            let place = self.plan.parties[party].span;
            spans::phase(&self.plan.config.spans[place], place)
        };
        let apart = begins(party).as_nanos() as i64 - begins(Party::mate(party)).as_nanos() as i64;
        let frames = FramesApart(apart / FRAME.as_nanos() as i64);
        // At one exchange a block that has come in is taken, and one that will go out is given.
        self.ears[party].delay(frames).map(|delay| delay + self.plan.block())
    }

    /// Whether each call is up or over.
    fn is_settled(&self) -> bool {
        self.calls.iter().all(|call| call.ends.is_some() || call.is_over)
    }

    fn judge(&self, args: &DemoArgs) -> Verdict {
        let results: Vec<CallResult> = self
            .calls
            .iter()
            .enumerate()
            .map(|(place, call)| CallResult {
                endpoints: [2 * place, 2 * place + 1].map(|party| self.plan.endpoint(party)),
                took: call.took,
                failure: call.failure.clone().or_else(|| (!call.is_over).then(|| "did not end".to_owned())),
                ends: [2 * place, 2 * place + 1].map(|party| self.result(party)),
            })
            .collect();
        let ptime_octets = u64::from(self.plan.config.media.ptime_ms) * 8;
        Verdict::new(&results, args.loss / 100.0, ptime_octets)
    }

    fn result(&self, party: usize) -> EndResult {
        let ear = &self.ears[party];
        let heard_instead = || self.ears.iter().position(|other| ear.hears(other));
        let instead = if ear.is_following() { None } else { heard_instead() };
        EndResult {
            parameters: self.calls[party / 2].parameters[party % 2].clone(),
            heard: ear.heard(),
            delay: self.delay(party),
            // Another ear hears its own mate.
            instead: instead.map(|other| self.plan.endpoint(Party::mate(other))),
            missed: self.missed[party],
        }
    }
}

impl Call {
    fn progress(&mut self, progress: Progress) {
        match progress {
            Progress::Up { took, ends } => {
                self.took = Some(took);
                self.ends = Some(ends);
            }
            Progress::Ended { parameters, failure } => {
                self.ends = None;
                self.is_over = true;
                for (last, last_seen) in self.parameters.iter_mut().zip(parameters) {
                    // What was audited before is older.
                    *last = last_seen;
                }
                self.failure = failure.map(describe);
            }
        }
    }

    /// What is to be said of it while it is not up.
    fn note(&self) -> Option<String> {
        match (&self.ends, &self.failure) {
            (Some(_), _) => None,
            (None, Some(failure)) => Some(failure.clone()),
            (None, None) if self.is_over => Some("is over".to_owned()),
            (None, None) => Some("is being set up".to_owned()),
        }
    }
}

/// A failure in words.
fn describe(failure: CallFailure) -> String {
    match failure {
        CallFailure::Refused { step, code } => format!("{step:?} was refused with {code}"),
        CallFailure::Lost { step } => format!("{step:?} was not answered"),
        CallFailure::Incomplete { step } => format!("{step:?} was answered without a connection"),
        CallFailure::Dropped => "the gateway has ended it".to_owned(),
    }
}
