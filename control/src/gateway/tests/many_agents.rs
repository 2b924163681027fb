//! Call agents that share a gateway, die, return, refuse, redirect in circles and cannot be found, while spans
//! go out of service and come back. Whatever they do, no endpoint may stay shut, and in the end each has told
//! its call agent the truth.

use std::net::{IpAddr, SocketAddr};

use drivers::line::Timeslot;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::agents::agent;
use super::*;
use crate::config::{Service, ServiceConfig};
use crate::endpoint::restart::Announcement;
use crate::mgcp::message::{Message, RestartMethod, Verb};
use crate::mgcp::name::Term;
use crate::mgcp::parse::parse_datagram;

/// Three with a span each, and one that may speak of everything.
const AGENTS: [&str; 4] = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.9"];
const GUEST: usize = 3;

const NAMES: [&str; 6] = [
    "ca@a.example.net:2727",
    "ca@[192.0.2.2]:2727",
    "ca@c.example.net:2727",
    "ca@nobody.example.net",
    "ca@[2001:db8::1]",
    "",
];

/// How a call agent answers RSIP, if it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mood {
    Well,
    Mute,
    Code(u16),
    /// By its place in `NAMES`.
    Redirects(usize),
    Dead,
}

struct Storm {
    bench: Bench,
    random: StdRng,
    moods: [Mood; 4],
    /// The last that was heard of each endpoint's service.
    heard: BTreeMap<EndpointId, bool>,
    /// Names that are being looked up.
    asked: Vec<String>,
    transaction: u32,
    /// The answers to commands, and whether an RSIP had come before each.
    answers: BTreeMap<u32, (u16, bool)>,
    /// Whether a call agent has heard RSIP since the last command.
    was_told: bool,
    down: [bool; 4],
}

impl Storm {
    fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let bench = Bench::with(|config| {
            config.mgcp.notified_entity = Some("ca@nobody.example.net".to_owned());
            config.mgcp.restart_wait_max = Duration::from_secs(random.random_range(0..5));
            config.mgcp.allow = vec!["192.0.2.9".parse().expect("a network")];
            config.rtpbridge.endpoints = 2;
            config.call_agents = (0..3)
                .map(|number| {
                    let mut agent = agent(AGENTS[number], &[&format!("ds/e1-{}/*", number + 1)]);
                    agent.name = random.random_bool(0.7).then(|| NAMES[number].to_owned());
                    agent.ranges = random.random();
                    agent
                })
                .collect();
        });
        Self {
            bench,
            random,
            moods: [Mood::Well; 4],
            heard: BTreeMap::new(),
            asked: Vec::new(),
            transaction: 0,
            answers: BTreeMap::new(),
            was_told: false,
            down: [false; 4],
        }
    }

    fn below(&mut self, n: usize) -> usize {
        self.random.random_range(0..n)
    }

    fn step(&mut self) {
        match self.below(12) {
            0 | 1 => {
                let agent = self.below(AGENTS.len());
                self.moods[agent] = match self.below(8) {
                    0 | 1 => Mood::Dead,
                    2 => Mood::Mute,
                    3 => Mood::Code([400, 409, 500, 503, 510, 521, 599][self.below(7)]),
                    4 => Mood::Redirects(self.below(4)),
                    _ => Mood::Well,
                };
            }
            2 => {
                let span = self.below(4);
                self.down[span] ^= true;
                self.span(span);
            }
            3 => {
                let span = self.below(4);
                let number = self.random.random_range(1..=31);
                let out = if self.random.random() { vec![number, number / 2 + 1] } else { Vec::new() };
                let out = out.into_iter().filter_map(Timeslot::new).collect();
                let states = [Service::In, Service::In, Service::Out, Service::Graceful];
                let service = ServiceConfig { span: states[self.below(4)], out };
                self.handle(Input::Service { span: SpanId(span as u16), service });
            }
            4 => self.resolve(false),
            5..=7 => {
                let nanos = self.random.random_range(0..30_000_000_000);
                self.wait(Duration::from_nanos(nanos));
            }
            _ => {
                let agent = self.below(AGENTS.len());
                self.command(agent);
            }
        }
    }

    fn span(&mut self, span: usize) {
        let event = if self.down[span] { down() } else { SpanEvent::Alarms(Alarms::NONE) };
        let report = Report::Span { span: SpanId(span as u16), event };
        self.handle(Input::Report { core: CoreId(0), report });
    }

    /// A command of a call agent, which is answered at once, and not with 405.
    fn command(&mut self, agent: usize) {
        let span = if agent == GUEST { self.below(4) + 1 } else { agent + 1 };
        let endpoint = match self.below(8) {
            0 => "*".to_owned(),
            1 => format!("ds/e1-{span}/*"),
            2 => format!("ds/e1-{}/7", self.below(4) + 1),
            3 => "ds/*/[3-9]".to_owned(),
            _ => format!("ds/e1-{span}/{}", self.below(31) + 1),
        };
        let name = NAMES[self.below(NAMES.len())];
        let text = match self.below(4) {
            0 => format!("RQNT # {endpoint}@gw MGCP 1.0\r\nX: 1\r\nN: {name}\r\n"),
            1 => format!("EPCF # {endpoint}@gw MGCP 1.0\r\nRED/N: {name}\r\n"),
            _ => format!("DLCX # {endpoint}@gw MGCP 1.0\r\n"),
        };
        self.say(agent, &text);
    }

    fn say(&mut self, agent: usize, text: &str) {
        self.transaction += 1;
        let number = self.transaction;
        // Who speaks hears, too.
        if self.moods[agent] == Mood::Dead {
            self.moods[agent] = Mood::Mute;
        }
        self.was_told = false;
        let owed = self.owed_of(text);
        let text = text.replacen('#', &number.to_string(), 1);
        self.handle(Input::Datagram { path: path(AGENTS[agent]), octets: text.as_bytes() });
        let (code, behind) =
            self.answers.get(&number).copied().unwrap_or_else(|| panic!("no answer: {text}"));
        assert_ne!(code, 405, "{text}");
        // RFC 3435 §4.4.6: the first that is heard of an endpoint is RSIP.
        assert!(behind || !owed || code >= 500, "{code}: {text}");
    }

    /// Whether a command is for one endpoint of which there is something to tell.
    fn owed_of(&self, text: &str) -> bool {
        let name = text.split(' ').nth(2).and_then(|name| name.split('@').next()).expect("a name");
        let endpoints = self.meant(name);
        let [id] = endpoints[..] else { return false };
        let control = &self.bench.gateway.state.endpoints[id].control;
        control.announcement != Announcement::Settled && !control.notified.is_nobody()
    }

    fn meant(&self, local: &str) -> Vec<EndpointId> {
        let terms: Vec<Term> = local.split('/').map(|term| term.parse().expect("a term")).collect();
        let pattern = crate::endpoint::naming::Pattern::parse(&terms).expect("a name");
        self.bench.gateway.state.endpoints.possible(&pattern)
    }

    fn resolve(&mut self, is_true: bool) {
        if self.asked.is_empty() {
            return;
        }
        let host = self.asked.remove(0);
        let address = match &*host {
            "a.example.net" => Some(AGENTS[0]),
            "c.example.net" => Some(AGENTS[2]),
            _ => None,
        };
        let address = match self.below(6) {
            _ if is_true => address,
            0 => None,
            1 => Some(AGENTS[self.below(3)]),
            2 => Some("198.51.100.9"),
            _ => address,
        };
        let addresses: Vec<IpAddr> = address.map(|a| a.parse().expect("an address")).into_iter().collect();
        let ttl = Duration::from_secs(self.random.random_range(0..120));
        self.handle(Input::Resolved { host, addresses, ttl });
    }

    fn wait(&mut self, wait: Duration) {
        let end = self.bench.now + wait;
        while let Some(at) = self.bench.gateway.poll_timeout().filter(|at| *at <= end) {
            self.bench.now = at.max(self.bench.now);
            self.handle(Input::Timeout);
        }
        self.bench.now = end;
    }

    /// Takes something in, has cores do what they are told, and call agents hear what is said.
    fn handle(&mut self, input: Input<'_>) {
        let now = self.bench.now;
        self.bench.gateway.handle(now, input);
        let mut octets = Vec::new();
        loop {
            if let Some((core, order)) = self.bench.gateway.poll_order() {
                let outcome = match order.action {
                    Action::Disconnect { .. } | Action::Survey { .. } => Outcome::Seen(seen()),
                    _ => Outcome::Done,
                };
                let report = Report::Done { id: order.id, outcome };
                self.bench.gateway.handle(now, Input::Report { core, report });
            } else if let Some(path) = self.bench.gateway.poll_transmit(&mut octets) {
                self.hear(path, &octets);
            } else {
                break;
            }
        }
        self.asked.extend(std::iter::from_fn(|| self.bench.gateway.poll_resolve()));
    }

    fn hear(&mut self, path: Path, octets: &[u8]) {
        let place = AGENTS.iter().position(|agent| *agent == path.remote.ip().to_string());
        let Some(agent) = place.filter(|agent| self.moods[*agent] != Mood::Dead) else { return };
        let mut replies = Vec::new();
        for part in parse_datagram(octets) {
            match part.message.expect("the gateway speaks MGCP") {
                Message::Response(response) if !response.code.is_provisional() => {
                    self.answers.insert(response.transaction.0, (response.code.0, self.was_told));
                }
                Message::Response(_) => {}
                Message::Command(command) => {
                    assert_eq!(command.verb, Verb::RestartInProgress);
                    self.was_told = true;
                    let is_up = command.parameters.restart_method != Some(RestartMethod::Forced);
                    let name: Vec<_> = command.endpoint.local.iter().map(ToString::to_string).collect();
                    for id in self.meant(&name.join("/")) {
                        self.heard.insert(id, is_up);
                    }
                    let id = command.transaction.0;
                    replies.push(match self.moods[agent] {
                        Mood::Well => format!("200 {id} OK\r\n"),
                        Mood::Code(code) => format!("{code} {id} No\r\n"),
                        Mood::Redirects(to) => format!("521 {id} There\r\nN: {}\r\n", NAMES[to]),
                        Mood::Mute | Mood::Dead => continue,
                    });
                }
            }
        }
        let path = Path { remote: path.remote, local: path.local };
        for reply in replies {
            self.bench.gateway.handle(self.bench.now, Input::Datagram { path, octets: reply.as_bytes() });
        }
    }

    /// All is well again, and stays so for long.
    fn calm_down(&mut self) {
        self.moods = [Mood::Well; 4];
        for _ in 0..200 {
            while !self.asked.is_empty() {
                self.resolve(true);
            }
            self.wait(Duration::from_secs(20));
        }
    }

    fn check(&mut self) {
        for agent in 0..3 {
            for number in 1..=31 {
                self.say(agent, &format!("DLCX # ds/e1-{}/{number}@gw MGCP 1.0\r\n", agent + 1));
            }
        }
        self.say(GUEST, "DLCX # *@gw MGCP 1.0\r\n");
        self.calm_down();
        for (id, endpoint) in self.bench.gateway.state.endpoints.iter() {
            let control = &endpoint.control;
            let target = format!("{:?}", control.notified.target());
            // What nobody can be reached for stays untold.
            if target.contains("nobody") || target.contains("2001:") {
                continue;
            }
            let is_known = matches!(control.announcement, Announcement::Settled | Announcement::Refused);
            assert!(is_known, "{id:?} {target} {:?}", control.announcement);
            let is_up = endpoint.outage.is_none();
            assert_eq!(
                *self.heard.get(&id).unwrap_or(&is_up),
                is_up,
                "{id:?} {target} {:?}",
                endpoint.outage
            );
        }
    }
}

fn path(from: &str) -> Path {
    Path {
        remote: SocketAddr::new(from.parse().expect("an address"), 2727),
        local: "127.0.0.1:2427".parse().expect("an address"),
    }
}

#[test]
fn whatever_call_agents_do_no_endpoint_stays_shut_and_the_last_that_is_told_is_true() {
    for seed in 0..40 {
        println!("seed: {seed}");
        let mut storm = Storm::new(seed);
        (0..150).for_each(|_| storm.step());
        storm.calm_down();
        storm.check();
    }
}
