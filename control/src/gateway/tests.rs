//! The gateway driven by literal datagrams, with its cores' answers made up.

mod agents;
mod audits;
mod calls;
mod disconnected;
mod events;
mod failover;
mod hostile;
mod journal;
mod local;
mod many_agents;
mod media_events;
mod names;
mod notifications;
mod quarantine;
mod ranges;
mod redirect;
mod refusals;
mod relays;
mod restart;
mod service;
mod sounds;
mod transactions;

use std::collections::VecDeque;
use std::net::SocketAddr;

use dataplane::link::{Action, ConnectionStats};
use drivers::line::{Alarm, Alarms};
use drivers::span::SpanEvent;

use super::*;

const AGENT: &str = "127.0.0.1:2727";

/// A remote description with both laws of G.711, at 127.0.0.1:30934.
const REMOTE: &str = "v=0
o=yate 1795329134 1795329134 IN IP4 127.0.0.1
s=PSTN Circuit
c=IN IP4 127.0.0.1
t=0 0
m=audio 30934 RTP/AVP 0 8 101
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
";

/// A gateway, its cores' rings, and what it has sent.
struct Bench {
    gateway: Gateway,
    config: Config,
    topology: Topology,
    now: Instant,
    /// Orders that no core has answered.
    ring: VecDeque<(CoreId, Order)>,
    /// What cores have been told, in order.
    actions: Vec<Action>,
    transaction: u32,
}

impl Bench {
    fn new() -> Self {
        Self::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut Config)) -> Self {
        // Alarms count at once, but in the tests of just that.
        let alarms = AlarmConfig { raise: Duration::ZERO, clear: Duration::ZERO };
        let mut config = Config { alarms, ..Config::default() };
        config.gateway.name = "gw".to_owned();
        change(&mut config);
        let topology = Topology::new(&config).expect("a topology");
        let now = Instant::from_nanos(1_000_000_000);
        let epoch = Epoch { at: now, unix_nanos: 1_795_329_134_000_000_000 };
        let gateway = Gateway::new(&config, &topology, 42, epoch, now);
        Self { gateway, config, topology, now, ring: VecDeque::new(), actions: Vec::new(), transaction: 0 }
    }

    /// Sends a datagram and lets the cores carry out what comes of it; what the gateway says then.
    fn say(&mut self, message: &str) -> Vec<String> {
        let mut said = self.say_only(message);
        said.extend(self.carry_out());
        said
    }

    /// Sends a command with a new transaction id, and takes the one answer to it.
    fn ask(&mut self, verb_and_endpoint: &str, parameters: &str) -> String {
        let (verb, endpoint) = verb_and_endpoint.split_once(' ').expect("a verb and an endpoint");
        self.transaction += 1;
        let message = format!("{verb} {} {endpoint} MGCP 1.0\n{parameters}", self.transaction);
        let mut said = self.say(&message);
        assert_eq!(said.len(), 1, "one answer to {message}: {said:?}");
        said.remove(0)
    }

    /// Sends a datagram without letting the cores do anything.
    fn say_only(&mut self, message: &str) -> Vec<String> {
        self.hear(AGENT, message.replace('\n', "\r\n").as_bytes())
    }

    fn hear(&mut self, from: &str, octets: &[u8]) -> Vec<String> {
        let path = Path {
            remote: from.parse().expect("an address"),
            local: "127.0.0.1:2427".parse().expect("an address"),
        };
        self.gateway.handle(self.now, Input::Datagram { path, octets });
        self.sent()
    }

    fn carry_out(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        while let Some((core, order)) = self.ring.pop_front() {
            let outcome = match order.action {
                Action::Disconnect { .. } | Action::Survey { .. } => Outcome::Seen(seen()),
                _ => Outcome::Done,
            };
            self.gateway
                .handle(self.now, Input::Report { core, report: Report::Done { id: order.id, outcome } });
            said.extend(self.sent());
        }
        said
    }

    fn span_event(&mut self, span: u16, event: SpanEvent) -> Vec<String> {
        let report = Report::Span { span: SpanId(span), event };
        self.gateway.handle(self.now, Input::Report { core: CoreId(0), report });
        let mut said = self.sent();
        said.extend(self.carry_out());
        said
    }

    fn after(&mut self, wait: Duration) -> Vec<String> {
        let end = self.now + wait;
        let mut said = Vec::new();
        while let Some(at) = self.gateway.poll_timeout().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.gateway.handle(self.now, Input::Timeout);
            said.extend(self.sent());
        }
        self.now = end;
        said
    }

    /// What the gateway sends, with line feeds alone; orders go to the ring.
    fn sent(&mut self) -> Vec<String> {
        while let Some((core, order)) = self.gateway.poll_order() {
            self.actions.push(order.action.clone());
            self.ring.push_back((core, order));
        }
        self.sent_to().into_iter().map(|(_, text)| text).collect()
    }

    /// What the gateway sends, and where to.
    fn sent_to(&mut self) -> Vec<(SocketAddr, String)> {
        let mut octets = Vec::new();
        let mut said = Vec::new();
        while let Some(path) = self.gateway.poll_transmit(&mut octets) {
            said.push((path.remote, String::from_utf8_lossy(&octets).replace('\r', "")));
        }
        said
    }

    fn actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// Makes a connection and returns its id.
    fn crcx(&mut self, endpoint: &str, call: &str) -> String {
        let parameters = format!("C: {call}\nM: sendrecv\n\n{REMOTE}");
        let answer = self.ask(&format!("CRCX {endpoint}"), &parameters);
        assert_code(&answer, 200);
        header(&answer, "I").expect("a connection id")
    }

    fn count(&self, counter: Counter) -> u64 {
        self.gateway.counters().value(counter)
    }
}

/// What every connection has seen.
fn seen() -> ConnectionStats {
    ConnectionStats {
        packets_sent: 50,
        octets_sent: 8_000,
        packets_received: 49,
        octets_received: 7_840,
        packets_lost: 1,
        jitter: Duration::from_millis(3),
        latency: Duration::from_millis(7),
        playout_delay: Duration::from_millis(20),
    }
}

/// A response's parameter.
fn header(response: &str, name: &str) -> Option<String> {
    let headers = response.split("\n\n").next()?;
    let line = headers.lines().find(|line| line.starts_with(&format!("{name}:")))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[track_caller]
fn assert_code(response: &str, code: u16) {
    assert_eq!(response.get(..3), Some(&*format!("{code:03}")), "{response}");
}

fn down() -> SpanEvent {
    SpanEvent::Alarms(Alarms::NONE.with(Alarm::Los))
}
