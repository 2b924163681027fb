//! Calls that come by the clock, whether the gateway keeps up or not.
//!
//! ```text
//! due ─▶ CRCX ─▶ MDCX ─▶ (hold) ─▶ DLCX ─▶ the endpoint is free for another call
//! ```
//!
//! The `n`th call is due at `start + n / rate` and waits for nobody, so a gateway that stops for a second
//! is asked that second's calls all the same, and each CRCX is timed from when it was due, not from when
//! there was time to send it: what a slow gateway makes wait is counted in full. MDCX and DLCX are timed
//! from the answer before them.
//!
//! Pure: sockets and time are its owner's.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use control::call_agent::{CallAgent, Event, Reply, Setup};
use control::mgcp::code::ReturnCode;
use control::mgcp::message::{LocalConnectionOptions, Range, TransactionId};
use control::mgcp::name::{CallId, ConnectionId, EndpointName};
use dataplane::mode::Mode;
use drivers::time::Instant;
use hdrhistogram::Histogram;

use crate::agent::Terms;
use crate::load::{histogram, record};
use crate::series::Series;

/// Which calls, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Plan {
    /// Calls a second.
    pub(crate) rate: NonZeroU32,
    /// When the first is due.
    pub(crate) start: Instant,
    /// How long calls come before they are measured.
    pub(crate) warm_up: Duration,
    /// How long they are measured.
    pub(crate) length: Duration,
    /// How long each stays up.
    pub(crate) hold: Duration,
    /// What connections ask for.
    pub(crate) terms: Terms,
    /// Where gateways are to send RTP.
    pub(crate) rtp: SocketAddr,
}

/// Call agents whose calls come by the clock.
pub(crate) struct Caller {
    plan: Plan,
    codec: String,
    remote: Vec<u8>,
    sides: Vec<Side>,
    /// The endpoints without a call, the one longest free first.
    free: VecDeque<EndpointName>,
    /// Calls that are up, and until when: in order, for all stay as long.
    holding: VecDeque<(Instant, Call)>,
    /// Calls that have been due.
    due: u64,
    tally: Tally,
}

/// A call agent and its calls whose commands are under way.
struct Side {
    agent: CallAgent,
    under_way: HashMap<TransactionId, Call>,
}

#[derive(Debug)]
struct Call {
    id: CallId,
    side: usize,
    /// The endpoint as it is asked for: it may have a wildcard.
    asked: EndpointName,
    /// The one that the gateway chose for that.
    chosen: Option<EndpointName>,
    connection: Option<ConnectionId>,
    step: Step,
    /// When the command under way was due.
    asked_at: Instant,
    /// When the call was due.
    due_at: Instant,
    /// Something was refused.
    is_broken: bool,
}

/// A command of a call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Step {
    /// CRCX
    Create,
    /// MDCX
    Modify,
    /// DLCX
    Delete,
}

impl Step {
    /// All of them, in order.
    pub(crate) const ALL: [Self; 3] = [Self::Create, Self::Modify, Self::Delete];

    /// The command's verb.
    pub(crate) const fn verb(self) -> &'static str {
        match self {
            Self::Create => "CRCX",
            Self::Modify => "MDCX",
            Self::Delete => "DLCX",
        }
    }
}

/// What came of it, over the calls and commands that were due while they were measured.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// Calls that were due.
    pub(crate) offered: u64,
    /// Calls that went through all steps.
    pub(crate) completed: u64,
    /// Calls of whatever time that were over while others were measured.
    pub(crate) throughput: u64,
    /// Commands of whatever time that were answered while others were measured.
    pub(crate) answers: u64,
    /// Calls for which no endpoint was free.
    pub(crate) blocked: u64,
    /// Commands that were refused at any time, by code.
    pub(crate) refused: BTreeMap<(Step, ReturnCode), u64>,
    /// Commands, at any time, that nobody has answered.
    pub(crate) unanswered: u64,
    /// Provisional responses.
    pub(crate) provisional: u64,
    /// Commands sent again.
    pub(crate) repeated: u64,
    /// Answers to nothing that was under way.
    pub(crate) strays: u64,
    /// From when each command was due to its answer, in us.
    pub(crate) times: [Histogram<u64>; 3],
    /// From when a call was due until it was up, in us.
    pub(crate) setup: Histogram<u64>,
    /// The same as `times`, of all commands at any time, by when they were due.
    pub(crate) series: Series,
    /// How long after it was due the first command of a call was sent, in us: the harness's own fault.
    pub(crate) late: Histogram<u64>,
}

/// Calls begun in one turn at most, so that answers are looked at in between.
const CALLS_A_TURN: usize = 64;

impl Caller {
    /// Nothing asked yet; calls are for these endpoints, and these agents take turns with them.
    pub(crate) fn new(plan: Plan, agents: Vec<CallAgent>, endpoints: Vec<EndpointName>) -> Self {
        let side = |agent| Side { agent, under_way: HashMap::new() };
        Self {
            plan,
            codec: plan.terms.format().codec.to_string(),
            remote: plan.terms.description(1, plan.rtp),
            sides: agents.into_iter().map(side).collect(),
            free: endpoints.into(),
            holding: VecDeque::new(),
            due: 0,
            tally: Tally::new(),
        }
    }

    /// Takes a datagram that came to an agent.
    pub(crate) fn handle(&mut self, now: Instant, agent: usize, from: SocketAddr, octets: &[u8]) {
        self.sides[agent].agent.handle(now, from, octets);
        self.take_events(now, agent);
    }

    /// Begins and ends what calls are due.
    pub(crate) fn turn(&mut self, now: Instant) {
        for index in 0..self.sides.len() {
            let agent = &mut self.sides[index].agent;
            if agent.poll_timeout().is_some_and(|at| at <= now) {
                agent.handle_timeout(now);
                self.take_events(now, index);
            }
        }
        while self.holding.front().is_some_and(|(until, _)| *until <= now) {
            let (until, call) = self.holding.pop_front().expect("the loop has seen a first one");
            self.ask(now, until, Step::Delete, call);
        }
        for _ in 0..CALLS_A_TURN {
            let Some(due_at) = self.next_due().filter(|due_at| *due_at <= now) else { return };
            self.begin(now, due_at);
            self.due += 1;
        }
    }

    /// A datagram that an agent has to send, and where it goes.
    pub(crate) fn poll_transmit(&mut self, agent: usize, octets: &mut Vec<u8>) -> Option<SocketAddr> {
        self.sides[agent].agent.poll_transmit(octets)
    }

    /// When there is something to do next, whatever comes.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let agents = self.sides.iter().filter_map(|side| side.agent.poll_timeout());
        let hang_up = self.holding.front().map(|(until, _)| *until);
        agents.chain(hang_up).chain(self.next_due()).min()
    }

    /// Whether all calls have been due, and are over.
    pub(crate) fn is_over(&self) -> bool {
        self.next_due().is_none()
            && self.holding.is_empty()
            && self.sides.iter().all(|side| side.under_way.is_empty())
    }

    /// What came of it.
    pub(crate) fn finish(mut self) -> Tally {
        for side in &self.sides {
            let counters = side.agent.counters();
            self.tally.unanswered += side.under_way.len() as u64;
            self.tally.repeated += counters.repeated;
            self.tally.strays += counters.stray;
        }
        self.tally
    }

    /// When the last call is due.
    pub(crate) fn end(&self) -> Instant {
        self.plan.start + self.plan.warm_up + self.plan.length
    }

    fn next_due(&self) -> Option<Instant> {
        let due_at = self.plan.start + spacing(self.due, self.plan.rate);
        (due_at < self.end()).then_some(due_at)
    }

    fn is_measured(&self, at: Instant) -> bool {
        at >= self.plan.start + self.plan.warm_up && at < self.end()
    }

    fn begin(&mut self, now: Instant, due_at: Instant) {
        if self.is_measured(due_at) {
            self.tally.offered += 1;
            record(&mut self.tally.late, now.since(due_at));
        }
        let Some(asked) = self.free.pop_front() else {
            self.tally.blocked += 1;
            return;
        };
        let call = Call {
            id: CallId::from(self.due + 1),
            side: (self.due % self.sides.len() as u64) as usize,
            asked,
            chosen: None,
            connection: None,
            step: Step::Create,
            asked_at: due_at,
            due_at,
            is_broken: false,
        };
        self.ask(now, due_at, Step::Create, call);
    }

    /// Sends a call's next command, which was due at `due_at`.
    fn ask(&mut self, now: Instant, due_at: Instant, step: Step, mut call: Call) {
        call.step = step;
        call.asked_at = due_at;
        let Side { agent, under_way } = &mut self.sides[call.side];
        let endpoint = call.chosen.as_ref().unwrap_or(&call.asked);
        let sent = match (step, call.connection) {
            (Step::Create, _) => {
                let ptime_ms = u32::from(self.plan.terms.ptime_ms.get());
                let options = LocalConnectionOptions {
                    codecs: vec![&self.codec],
                    packetization_ms: Some(Range { from: ptime_ms, to: ptime_ms }),
                    ..LocalConnectionOptions::default()
                };
                let setup = Setup { mode: Some(Mode::ReceiveOnly), options: Some(options), remote: None };
                agent.crcx(now, endpoint, call.id, setup)
            }
            (Step::Modify, Some(connection)) => {
                let remote = Some(&self.remote[..]);
                let setup = Setup { mode: Some(Mode::SendReceive), options: None, remote };
                agent.mdcx(now, endpoint, call.id, connection, setup)
            }
            (Step::Delete, Some(connection)) => agent.dlcx(now, endpoint, Some(call.id), Some(connection)),
            (Step::Modify | Step::Delete, None) => unreachable!("a call without a connection is over"),
        };
        let transaction = sent.expect("agents have room for as many commands as there are endpoints");
        under_way.insert(transaction, call);
    }

    fn take_events(&mut self, now: Instant, index: usize) {
        while let Some(event) = self.sides[index].agent.poll_event() {
            match event {
                Event::Answered { transaction, reply } => {
                    if let Some(call) = self.sides[index].under_way.remove(&transaction) {
                        self.answered(now, call, &reply);
                    }
                }
                Event::Lost { transaction } => {
                    // Nobody knows what has become of it, so its endpoint is not used again.
                    let lost = self.sides[index].under_way.remove(&transaction);
                    self.tally.unanswered += u64::from(lost.is_some());
                }
                Event::Provisional { .. } => self.tally.provisional += 1,
                Event::Restart { .. } | Event::Deleted { .. } | Event::Notified { .. } => {}
            }
        }
    }

    fn answered(&mut self, now: Instant, mut call: Call, reply: &Reply) {
        self.tally.answers += u64::from(self.is_measured(now));
        self.tally.series.record(call.asked_at, now.since(call.asked_at));
        if self.is_measured(call.asked_at) {
            record(&mut self.tally.times[call.step as usize], now.since(call.asked_at));
        }
        if !reply.code.is_success() {
            *self.tally.refused.entry((call.step, reply.code)).or_default() += 1;
            call.is_broken = true;
        }
        match call.step {
            Step::Create if !call.is_broken && reply.connection.is_some() => {
                call.connection = reply.connection;
                call.chosen = reply.endpoint.clone();
                self.ask(now, now, Step::Modify, call);
            }
            Step::Modify if call.is_broken => self.ask(now, now, Step::Delete, call),
            Step::Modify => {
                if self.is_measured(call.due_at) {
                    record(&mut self.tally.setup, now.since(call.due_at));
                }
                if self.plan.hold.is_zero() {
                    self.ask(now, now, Step::Delete, call);
                } else {
                    self.holding.push_back((now + self.plan.hold, call));
                }
            }
            Step::Create | Step::Delete => self.over(now, call),
        }
    }

    fn over(&mut self, now: Instant, call: Call) {
        let is_whole = call.step == Step::Delete && !call.is_broken;
        self.tally.throughput += u64::from(is_whole && self.is_measured(now));
        self.tally.completed += u64::from(is_whole && self.is_measured(call.due_at));
        self.free.push_back(call.asked);
    }
}

impl Tally {
    fn new() -> Self {
        Self {
            offered: 0,
            completed: 0,
            throughput: 0,
            answers: 0,
            blocked: 0,
            refused: BTreeMap::new(),
            unanswered: 0,
            provisional: 0,
            repeated: 0,
            strays: 0,
            times: [histogram(), histogram(), histogram()],
            setup: histogram(),
            series: Series::new(),
            late: histogram(),
        }
    }

    /// From when each command was due to its answer, whatever the command, in us.
    pub(crate) fn all_times(&self) -> Histogram<u64> {
        let mut all = histogram();
        self.times.iter().for_each(|times| all.add(times).expect("they have the same bounds"));
        all
    }

    /// Commands that were refused.
    pub(crate) fn refusals(&self) -> u64 {
        self.refused.values().sum()
    }

    /// What did not go as it should: refused, unanswered, or without an endpoint to go to.
    pub(crate) fn failures(&self) -> u64 {
        self.refusals() + self.unanswered + self.blocked
    }
}

/// How long after the start the `n`th call is due.
fn spacing(n: u64, rate: NonZeroU32) -> Duration {
    let rate = u64::from(rate.get());
    Duration::new(n / rate, (n % rate * 1_000_000_000 / rate) as u32)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU8;

    use control::mgcp::message::Path;
    use drivers::line::Law;

    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const START: Instant = Instant::from_nanos(1_000_000_000);

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    /// What the gateway of a test says to a command, and when.
    type Gateway<'a> = &'a mut dyn FnMut(Instant, &str) -> Option<(Instant, String)>;

    /// A hundred calls a second for a second, and the second before, on so many endpoints.
    fn run(endpoints: usize, hold: Duration, gateway: Gateway<'_>) -> (Tally, usize) {
        let terms = Terms { law: Law::A, ptime_ms: NonZeroU8::new(20).expect("20 is not 0") };
        let plan = Plan {
            rate: NonZeroU32::new(100).expect("100 is not 0"),
            start: START,
            warm_up: 1_000 * MS,
            length: 1_000 * MS,
            hold,
            terms,
            rtp: address("192.0.2.9:4000"),
        };
        let path = Path { remote: address("192.0.2.1:2427"), local: address("192.0.2.9:2727") };
        let agent = CallAgent::new("ca@[192.0.2.9]".parse().expect("a name"), path, "gw", 1_000, 1);
        let names = (1..=endpoints).map(|n| agent.endpoint(&format!("ds/e1-1/{n}")).expect("a name"));
        let names = names.collect();
        let mut caller = Caller::new(plan, vec![agent], names);
        let mut answers: Vec<(Instant, String)> = Vec::new();
        let mut octets = Vec::new();
        let mut now = START;
        while !caller.is_over() && now < START + 8_000 * MS {
            let (due, later) = answers.into_iter().partition(|(at, _)| *at <= now);
            answers = later;
            let due: Vec<(Instant, String)> = due;
            due.iter().for_each(|(_, text)| caller.handle(now, 0, path.remote, text.as_bytes()));
            caller.turn(now);
            while caller.poll_transmit(0, &mut octets).is_some() {
                answers.extend(gateway(now, std::str::from_utf8(&octets).expect("it is text")));
            }
            now += MS;
        }
        let free = caller.free.len();
        (caller.finish(), free)
    }

    fn answer(command: &str) -> String {
        let mut words = command.split(' ');
        let (verb, id) = (words.next().expect("a verb"), words.next().expect("an id"));
        match verb {
            "CRCX" => format!("200 {id} OK\r\nI: A1\r\n\r\nv=0\r\n"),
            "MDCX" => format!("200 {id} OK\r\n"),
            _ => format!("250 {id} OK\r\n"),
        }
    }

    #[test]
    fn every_call_goes_through_all_three_commands() {
        let mut verbs = Vec::new();
        let (tally, free) = run(4, Duration::ZERO, &mut |now, command| {
            verbs.push(command[..4].to_owned());
            Some((now, answer(command)))
        });
        assert_eq!((tally.offered, tally.completed, tally.throughput), (100, 100, 100));
        assert_eq!((tally.failures(), tally.repeated, free), (0, 0, 4));
        for verb in ["CRCX", "MDCX", "DLCX"] {
            assert_eq!(verbs.iter().filter(|other| *other == verb).count(), 200, "{verb}");
        }
    }

    /// Coordinated omission: a gateway that sleeps delays all that is due meanwhile.
    #[test]
    fn a_gateway_that_stops_cannot_hide_what_it_makes_wait() {
        let (asleep, awake) = (START + 1_200 * MS, START + 1_700 * MS);
        let mut slept = |now: Instant, command: &str| {
            let at = if now >= asleep { now.max(awake) } else { now };
            Some((at, answer(command)))
        };
        let (tally, _) = run(200, Duration::ZERO, &mut slept);
        let create = &tally.times[Step::Create as usize];
        let half = create.len() - create.count_between(0, 3_000);
        assert!((48..=51).contains(&half), "{half} of 100 calls were due while it slept");
        assert!(create.max() >= 495_000, "{} us", create.max());
    }

    #[test]
    fn calls_stay_up_as_long_as_they_are_held_and_need_endpoints_meanwhile() {
        let mut willing = |now, command: &str| Some((now, answer(command)));
        let (tally, _) = run(31, 300 * MS, &mut willing);
        assert_eq!((tally.blocked, tally.completed), (0, 100), "30 calls at a time, and one turn");
        let (tally, _) = run(20, 300 * MS, &mut willing);
        assert!(tally.blocked > 30, "{} of 200 calls", tally.blocked);
    }

    #[test]
    fn refusals_are_counted_by_command_and_code_and_leave_nothing_behind() {
        let mut n = 0;
        let (tally, free) = run(4, Duration::ZERO, &mut |now, command| {
            n += u32::from(command.starts_with("MDCX"));
            let id = command.split(' ').nth(1).expect("an id");
            let refuses = command.starts_with("MDCX") && n.is_multiple_of(10);
            Some((now, if refuses { format!("510 {id} no\r\n") } else { answer(command) }))
        });
        assert_eq!(tally.refused, BTreeMap::from([((Step::Modify, ReturnCode(510)), 20)]));
        assert_eq!((tally.completed, free), (90, 4));
    }

    #[test]
    fn what_is_not_answered_is_repeated_and_then_counted() {
        let mut first = None;
        let (tally, free) = run(4, Duration::ZERO, &mut |now, command| {
            let deaf = first.get_or_insert_with(|| command.to_owned()) == command;
            (!deaf).then(|| (now, answer(command)))
        });
        assert!(tally.repeated > 3, "{}", tally.repeated);
        assert_eq!((tally.unanswered, free), (1, 3));
    }
}
