//! One seed's sequence: what happens, and what must hold at its end.

use std::collections::BTreeMap;
use std::time::Duration;

use control::metrics::Counter;
use control::topology::CoreId;
use dataplane::link::{Digit, Observation, Report, Side, Sound};

use drivers::line::{Alarm, Alarms, Ds0, SpanId, Timeslot};
use drivers::net::sim::Impairment;
use drivers::span::SpanEvent;
use drivers::time::Instant;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tests::{World, WorldBuilder};

use crate::agent::Agent;
use crate::script;

/// Where the call agents are. The first is also what `ca.example.net` stands for.
const AGENTS: [&str; 3] = ["10.0.0.3:2727", "10.0.0.4:2727", "10.0.0.5:2427"];

/// A call agent that says nothing before the end.
const LAST: &str = "10.0.0.9:2727";

/// The longest that cores do nothing: longer than a command may take.
const STALL_MAX: Duration = Duration::from_secs(12);

/// The longest that a disconnected endpoint waits (RFC 3435 §4.4.7), and its last attempt.
const DISCONNECTED_MAX: Duration = Duration::from_secs(660);

/// Endpoints that are called at the end.
const CALLED: [&str; 4] = ["ds/e1-1/1@gw", "ds/e1-1/3@gw", "ds/e1-1/17@gw", "ds/e1-2/31@gw"];

/// The third call agent is like osmo-bsc.
const CONFIG: &str = "port_first = 20000\nport_last = 20139\n\
    [journal]\noctets_max = 16777216\n\
    [alarms]\nraise_ms = 500\nclear_ms = 1000\n\
    [[call_agent]]\nname = \"ca@ca.example.net:2727\"\nnetworks = [\"10.0.0.3\"]\nendpoints = [\"ds/e1-1/*\"]\n\
    [[call_agent]]\nnetworks = [\"10.0.0.5\"]\nprovisional = false\npiggyback = false\nrsip = false\n";

/// A storm in which this seed decides everything.
pub(crate) struct Sequence {
    seed: u64,
    rng: StdRng,
    w: World,
    agents: Vec<Agent>,
    down: [bool; 2],
}

impl Sequence {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let builder = WorldBuilder::new(seed).without_media().spans("[[span]]\ncount = 2\n").config(CONFIG);
        let mut w = builder.restart_wait_max_ms(rng.random_range(0..1_000)).build();
        w.hosts.insert("ca.example.net".to_owned(), vec!["10.0.0.3".parse().expect("an address")]);
        w.net().impair(Impairment {
            loss: 0.3,
            duplicate: 0.5,
            delay: Duration::from_millis(5),
            jitter: Duration::from_millis(40),
            reorder: 0.2,
            hold: Duration::from_millis(rng.random_range(50..1_500)),
        });
        let agents = AGENTS.iter().map(|address| Agent::new(&w, address, rng.random())).collect();
        Self { seed, rng, w, agents, down: [false; 2] }
    }

    /// Lets things happen.
    pub(crate) fn play(&mut self) {
        for _ in 0..self.rng.random_range(8..32) {
            self.happen();
            let pause = [0, 1, 20, 100, 400][self.rng.random_range(0..5)];
            self.run_for(Duration::from_millis(pause));
        }
    }

    /// The network heals, lines and call agents too; what is under way comes to its end.
    pub(crate) fn calm_down(&mut self) {
        self.w.net().impair(Impairment { delay: Duration::from_millis(1), ..Impairment::default() });
        (0..2).for_each(|span| self.alarm(span, false));
        let now = self.w.now();
        self.agents.iter_mut().for_each(|agent| {
            agent.is_moody = false;
            agent.heal(now);
        });
        self.w.agent_answers = true;
        let end = self.w.now() + Duration::from_secs(22);
        while self.w.now() < end && !self.agents.iter().all(Agent::is_settled) {
            self.run_for(Duration::from_millis(500));
        }
        self.run_for(STALL_MAX + Duration::from_secs(1));
    }

    /// Sometimes all call agents are dead for minutes: endpoints become disconnected, while things happen to
    /// them, and are heard of again.
    pub(crate) fn fall_silent(&mut self) {
        if self.rng.random_range(0..8) > 0 {
            return;
        }
        let silence = Duration::from_secs(self.rng.random_range(30..300));
        // Lines that are whole before anyone listens have nothing to tell that would be heard by itself.
        let whole = Duration::from_secs(self.rng.random_range(0..150));
        let until = self.w.now() + silence;
        self.agents.iter_mut().for_each(|agent| agent.sleep(until + whole));
        self.w.agent_answers = false;
        while self.w.now() < until {
            let span = self.rng.random_range(0..2);
            match self.rng.random_range(0..3) {
                0 => self.alarm(span, !self.down[usize::from(span)]),
                _ => self.digit(),
            }
            let pause = Duration::from_millis(self.rng.random_range(0..30_000));
            self.run_for(pause);
        }
        (0..2).for_each(|span| self.alarm(span, false));
        self.run_for(whole);
        self.w.hosts.insert("ca.example.net".to_owned(), vec!["10.0.0.3".parse().expect("an address")]);
        self.w.agent_answers = true;
        self.run_for(DISCONNECTED_MAX);
        let digest = self.w.gateway().digest();
        assert!(!digest.contains("announcement: Unheard"), "seed {}: endpoints stay disconnected", self.seed);
    }

    /// Each command has one answer, and was executed at most once.
    pub(crate) fn check_answers(&mut self) {
        let mut requests = 0;
        for (address, agent) in AGENTS.iter().zip(&self.agents) {
            assert!(agent.is_settled(), "seed {}: {address} waits for answers", self.seed);
            for (id, asked) in &agent.asked {
                requests += asked.requests.len() as u64;
                assert!(
                    asked.is_abandoned || !asked.values.is_empty(),
                    "seed {}: {address} was never answered {id}: {:?}",
                    self.seed,
                    asked.requests
                );
            }
        }
        let verbs = [
            Counter::CreateConnection,
            Counter::ModifyConnection,
            Counter::DeleteConnection,
            Counter::NotificationRequest,
            Counter::AuditEndpoint,
            Counter::AuditConnection,
            Counter::EndpointConfiguration,
            Counter::OtherCommand,
        ];
        let executed: u64 = verbs.iter().map(|verb| self.w.gateway().counters().value(*verb)).sum();
        assert!(executed <= requests, "seed {}: {executed} executed of {requests}", self.seed);
    }

    /// No endpoint is stuck, and nothing is left.
    pub(crate) fn check_endpoints(&mut self) {
        let mut last = Agent::new(&self.w, LAST, self.seed);
        last.is_moody = false;
        self.agents.push(last);
        let all = "*@gw".to_owned();
        self.ask(
            "DLCX",
            &all,
            &format!("N: ca@[{}]:2727\r\n", LAST.split(':').next().unwrap_or_default()),
            "250",
        );
        self.check_empty();
        // What was under way to those who were dead is lost, and its endpoints are disconnected, until a
        // command comes for them.
        self.run_for(Duration::from_secs(61));
        self.ask("DLCX", &all, "", "250");
        self.run_for(Duration::from_secs(2));
        for name in CALLED {
            self.ask("AUEP", name, "F: RM\r\n", "200");
            let audit = self.answer();
            assert!(audit.contains("RM: restart\r\n"), "seed {}: {name}: {audit}", self.seed);
            self.ask("CRCX", name, "C: E0D\r\nM: recvonly\r\nX: E0D\r\nR:\r\n", "200");
            self.ask("DLCX", name, "C: E0D\r\n", "250");
        }
        self.check_news();
        self.check_empty();
    }

    /// What happens is told to the last agent, which is whom all endpoints notify.
    fn check_news(&mut self) {
        for (name, ds0) in CALLED.into_iter().zip([(0, 1), (0, 3), (0, 17), (1, 31)]) {
            self.ask("RQNT", name, "X: E0D\r\nR: D/5(N)\r\n", "200");
            self.dial(ds0, Digit::new('5').expect("a digit"));
            self.check_told(&["NTFY ", name, "X: E0D\r\n", "O: D/5\r\n"]);
        }
        self.alarm(0, true);
        self.check_told(&["RSIP ", " ds/e1-1/", "RM: forced\r\n"]);
        self.alarm(0, false);
        self.check_told(&["RSIP ", " ds/e1-1/", "RM: restart\r\n"]);
    }

    fn check_told(&mut self, parts: &[&str]) {
        self.run_for(Duration::from_secs(2));
        let told = self.agents.last_mut().map(|last| std::mem::take(&mut last.told)).unwrap_or_default();
        assert!(parts.iter().all(|part| told.contains(part)), "seed {}: {parts:?}: {told:?}", self.seed);
    }

    /// The journal makes the same gateway.
    pub(crate) fn check_replay(&self) {
        let again = self.w.replay().expect("the journal is whole");
        assert_eq!(again.digest(), self.w.gateway().digest(), "seed {}", self.seed);
    }

    /// What happened how often.
    pub(crate) fn counted(&self) -> BTreeMap<&'static str, u64> {
        let sum = |of: fn(&Agent) -> u64| self.agents.iter().map(of).sum::<u64>();
        let network = self.w.net().counters();
        let (counters, now) = (self.w.gateway().counters(), self.w.now());
        BTreeMap::from([
            ("asked", sum(|agent| agent.asked.values().map(|asked| asked.requests.len() as u64).sum())),
            ("answered", sum(|agent| agent.asked.values().map(|asked| asked.values.len() as u64).sum())),
            ("repeated", sum(|agent| agent.repeated)),
            ("recognised", counters.value(Counter::Repeated)),
            ("connections", counters.value(Counter::ConnectionsMade)),
            ("restarts", sum(|agent| agent.restarts)),
            ("promised", sum(|agent| agent.promised)),
            ("notified", sum(|agent| agent.notified)),
            ("announced", sum(|agent| agent.announced)),
            ("missed", sum(|agent| agent.missed)),
            ("unanswered", counters.value(Counter::Unanswered)),
            ("evaporated", network.lost),
            ("doubled", network.duplicated),
            ("seconds", now.since(Instant::ZERO).as_secs()),
        ])
    }

    fn happen(&mut self) {
        let who = self.rng.random_range(0..self.agents.len());
        let now = self.w.now();
        match self.rng.random_range(0..100) {
            0..72 => self.command(who, 1),
            72..80 => {
                let n = self.rng.random_range(2..5);
                self.command(who, n);
            }
            80..83 => {
                let down = Duration::from_millis(self.rng.random_range(0..1_000));
                self.agents[who].restart(now + down);
            }
            83..87 => {
                let span = self.rng.random_range(0..2);
                self.alarm(span, !self.down[usize::from(span)]);
            }
            87..94 => self.digit(),
            94..97 => {
                let time = [150, 300, 900].map(Duration::from_millis);
                self.w.stall_cores([time[0], time[1], time[2], STALL_MAX][self.rng.random_range(0..4)]);
            }
            97..98 => self.w.agent_answers = !self.w.agent_answers,
            _ => {
                let hosts =
                    ["10.0.0.3", "10.0.0.4", "10.0.0.77"].map(|host| host.parse().expect("an address"));
                let from = self.rng.random_range(0..hosts.len());
                self.w.hosts.insert("ca.example.net".to_owned(), hosts[from..].to_vec());
            }
        }
    }

    fn command(&mut self, who: usize, n: usize) {
        let agent = &mut self.agents[who];
        let commands: Vec<_> = (0..n).map(|_| script::command(&mut self.rng, agent)).collect();
        agent.send(self.w.now(), &commands);
    }

    fn alarm(&mut self, span: u16, is_down: bool) {
        self.down[usize::from(span)] = is_down;
        let alarms = if is_down { Alarms::NONE.with(Alarm::Los) } else { Alarms::NONE };
        self.w.report(CoreId(0), Report::Span { span: SpanId(span), event: SpanEvent::Alarms(alarms) });
    }

    fn digit(&mut self) {
        let digit = Digit::ALL[self.rng.random_range(0..Digit::ALL.len())];
        let timeslot = [1, 3, 17][self.rng.random_range(0..3)];
        self.dial((0, timeslot), digit);
    }

    fn dial(&mut self, (span, timeslot): (u16, u8), digit: Digit) {
        let timeslot = Timeslot::new(timeslot).expect("timeslots of an E1");
        let side = Side::Line(Ds0 { span: SpanId(span), timeslot });
        let what = Observation::Began(Sound::Digit(digit));
        self.w.report(CoreId(0), Report::Observed { side, at: self.w.now(), what });
    }

    fn run_for(&mut self, time: Duration) {
        let until = self.w.now() + time;
        while self.w.now() < until {
            let due = self.agents.iter().filter_map(Agent::due_at).fold(until, Instant::min);
            self.w.step(due.max(self.w.now()));
            let now = self.w.now();
            self.agents.iter_mut().for_each(|agent| agent.step(now));
        }
    }

    /// Has the last agent ask, and checks the code of what it is answered.
    fn ask(&mut self, verb: &str, endpoint: &str, rest: &str, code: &str) {
        let last = self.agents.last_mut().expect("it was put there");
        last.send(self.w.now(), &[(format!("{verb} {endpoint}"), rest.to_owned())]);
        for _ in 0..100 {
            self.run_for(Duration::from_millis(20));
            if self.agents.last().is_some_and(Agent::is_settled) {
                break;
            }
        }
        let answer = self.answer();
        assert!(answer.starts_with(code), "seed {}: {verb} {endpoint}: {answer}", self.seed);
    }

    fn answer(&self) -> String {
        let last = self.agents.last().and_then(|agent| agent.asked.last_key_value());
        let (_, asked) = last.expect("it has asked");
        asked.values.first().cloned().unwrap_or_default()
    }

    fn check_empty(&self) {
        let gateway = self.w.gateway();
        assert!(gateway.ledger().is_empty(), "seed {}: {:?}", self.seed, gateway.ledger());
        assert!(gateway.digest().ends_with("{}"), "seed {}: commands are under way", self.seed);
        assert_eq!(self.w.live(), 0, "seed {}: connections on the cores", self.seed);
        for (core, usage) in gateway.rings() {
            assert_eq!(usage.used, 0, "seed {}: {core:?} has obeyed all orders", self.seed);
        }
    }
}
