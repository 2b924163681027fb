//! The whole control plane: datagrams, reports, clock steps and names in whatever order, against what
//! must hold whatever comes.
//!
//! * An order is given only where a core can obey it: Connect on an idle pair of a DS0 with a place
//!   left, all others on a live pair.
//! * A request is answered, with one final value and no other, to who asked, and never to others.
//! * The clock is asked for in the future, or what was due is done: nothing spins.
//! * When all is over and a DLCX has ended all connections, nothing is taken from the ledger any more.
//! * The journal makes the same gateway.
//!
//! The first octet chooses the configuration. Its highest bit makes an input a wide one: see [`wide`].
#![no_main]

#[path = "gateway/wide.rs"]
mod wide;

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::LazyLock;
use std::time::Duration;

use control::config::{AlarmConfig, Config, CoreConfig, SpanConfig};
use control::gateway::Gateway;
use control::input::Input;
use control::metrics::Counter;
use control::mgcp::message::{Message, Path, Verb};
use control::mgcp::parse::parse_datagram;
use control::replay::replay;
use control::topology::{CoreId, Topology};
use dataplane::limits::CONNECTIONS_PER_ENDPOINT;
use dataplane::link::{
    Action, CheckTone, ConnectionStats, Digit, Observation, Order, Outcome, PlayId, Report, Side, Sound,
};
use drivers::line::{Alarms, Carrier, Ds0, SpanId, Timeslot};
use drivers::net::PortSlot;
use drivers::span::{Slip, SpanEvent};
use drivers::time::{Epoch, Instant};
use fuzz::Decisions;
use libfuzzer_sys::fuzz_target;

const VERBS: &[&str] = &[
    "CRCX", "CRCX", "CRCX", "CRCX", "MDCX", "MDCX", "MDCX", "DLCX", "DLCX", "AUCX", "AUEP", "RQNT", "EPCF",
    "NTFY", "RSIP", "MESG",
];

const ENDPOINTS: &[&str] = &[
    "ds/e1-1/1",
    "ds/e1-1/2",
    "ds/e1-1/31",
    "ds/e1-1/$",
    "ds/e1-1/*",
    "*",
    "$",
    "ds/ds1-1/1",
    "ds/ds1-1/24",
    "S3/DS1-1/2",
    "ds/e1-1/[1-3,7]",
    "ds/*/1",
    "ds/$/$",
    "ds/e1-1/s-2/su64-0",
    "ds/e1-9/1",
    "null",
    "mg",
    "rtpbridge/1",
    "rtpbridge/*",
];

const MODES: &[&str] = &[
    "sendrecv", "recvonly", "sendonly", "inactive", "confrnce", "loopback", "conttest", "netwloop",
    "netwtest", "nas/data",
];

const OPTIONS: &[&str] = &[
    "p:20, a:PCMU",
    "a:PCMA;PCMU",
    "a:CLEARMODE",
    "e:on, s:off, p:20, a:PCMA, a:PCMU",
    "p:10-30",
    "b:64",
    "a:G729",
    "t:b8",
    "nt:IN, gc:auto",
    "",
];

const ENTITIES: &[&str] =
    &["ca@[127.0.0.1]:2727", "ca@ca.example.net", "", "ca@other.example.net:1", "ca@[192.0.2.7]", "ca@[::1]"];

const INFOS: &[&str] = &["C,M,P,LC,RC,L,N,I", "A", "", "R,D,S,X,N,I,T,O,ES,E,RM,RD,PL,MD,Q,B", "P", "I,RM"];

const DESCRIPTIONS: &[&str] = &[
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 30934 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n",
    "v=0\r\nc=IN IP6 ::1\r\nm=audio 4000 RTP/AVP 8\r\n",
    "v=0\r\nc=IN IP4 0.0.0.0\r\nm=audio 4000 RTP/AVP 0\r\n",
    "v=0\r\nc=IN IP4 127.0.0.2\r\nm=audio 4002 RTP/AVP 97\r\na=rtpmap:97 CLEARMODE/8000\r\na=ptime:10\r\n",
    "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 0 RTP/AVP 0\r\n",
    "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 65535 RTP/AVP 0\r\n",
    "v=0\r\nm=audio 1 RTP/AVP 0\r\n",
    "v=0\r\n",
];

const OTHERS: &[&str] = &[
    "R: D/[0-9#*](N),G/ft(N)",
    "R: D/[0-9#*](D)\r\nD: (xx|0T)",
    "R: D/X(N),G/mt(N,E(R(D/X(A)),S(D/5)))\r\nQ: loop",
    "S: D/1,G/rt@FF",
    "R: ",
    "S: G/rt",
    "S: ",
    "Q: loop",
    "T: G/ft",
    "D: (0T|00T|x.T)",
    "E: 901 gone",
    "P: PS=1, OS=2",
    "X-Osmo-IGN: C",
    "X+Must: 1",
    "Z2: ds/e1-1/3@tollgate",
    "RM: restart",
    "PL: G",
    "ES: L/hd",
    "A: a:PCMU",
];

const CODES: &[u16] = &[200, 100, 101, 250, 301, 400, 405, 500, 520, 521, 999, 0];

/// How far the clock is moved, in ms: past each time that is of any meaning.
const STEPS_MS: &[u64] = &[0, 1, 19, 150, 201, 700, 2_501, 5_000, 10_001, 31_000];

/// T-HIST, by default.
const HISTORY: Duration = Duration::from_secs(30);

/// Who sends: call agents, and at the end one that nobody knows.
const SOURCES: [&str; 4] = ["127.0.0.1:2727", "127.0.0.2:2427", "[::1]:2727", "192.0.2.7:2727"];

/// An agent that says nothing but the last DLCX.
const LAST: &str = "127.0.0.9:2427";

/// How often the end of all connections is asked for: as long as an RSIP may take to be given up.
const ENDINGS_MAX: usize = 8;

/// Operations of one input, so that none takes long.
const OPERATIONS_MAX: usize = 512;

/// The configurations that are tried, each with its topology.
static CONFIGS: LazyLock<Vec<(Config, Topology)>> = LazyLock::new(|| {
    (0..32)
        .map(|number| {
            let config = config(number);
            let topology = Topology::new(&config).expect("each core has a span, each DS0 a pair");
            (config, topology)
        })
        .collect()
});

fn config(number: u8) -> Config {
    let has = |bit: u8| number & 1 << bit != 0;
    let mut config = Config::default();
    config.cores = vec![CoreConfig::default(); 2];
    let e1 = SpanConfig { core: Some(0), ..SpanConfig::simulated_e1(1) };
    let t1 = SpanConfig { core: Some(1), slot: Some(3), carrier: Carrier::T1, ..e1.clone() };
    config.spans = vec![e1, SpanConfig { law: Carrier::T1.usual_law(), ..t1 }];
    config.media.addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    config.media.port_last = config.media.port_first + 2 * 60 - 1;
    // An input costs what there are endpoints: four relays find what 128 do.
    config.rtpbridge.endpoints = 4;
    if has(0) {
        config.mgcp.notified_entity = Some("ca@[127.0.0.1]:2727".to_owned());
    }
    if has(1) {
        config.mgcp.notified_entity = Some("ca@ca.example.net".to_owned());
    }
    if has(2) {
        config.alarms = AlarmConfig { raise: Duration::ZERO, clear: Duration::ZERO };
    }
    if has(3) {
        config.mgcp.transactions_max = 8;
        (config.mgcp.outstanding_max, config.mgcp.outstanding_min) = (2, 1);
        config.mgcp.executing_max = 16;
        config.journal.octets_max = 4_096;
    }
    if has(4) {
        wide::widen(&mut config);
    }
    config
}

fuzz_target!(|octets: &[u8]| {
    let mut decide = Decisions::new(octets);
    let first = decide.octet();
    let is_wide = first & 0x80 != 0;
    let (config, topology) = &CONFIGS[usize::from(first & 0x0F) + if is_wide { 16 } else { 0 }];
    let mut bench = Bench::new(config, topology);
    for _ in 0..OPERATIONS_MAX {
        if decide.is_empty() {
            break;
        }
        if is_wide && decide.once_in(2) {
            bench.step_wide(&mut decide);
        } else {
            bench.step(&mut decide);
        }
    }
    bench.end();
    // Once in so often, because a replay costs as much as the rest.
    if octets.len() % 8 == 0 {
        bench.replay(config, topology);
    }
});

/// What a request may bring.
#[derive(Default)]
struct Asked {
    /// How often each request of this number may be carried out.
    allowed: HashMap<(bool, Vec<u8>), usize>,
    /// The final responses to this number, and when the last of them came first.
    values: HashMap<Vec<u8>, Instant>,
    /// Final responses sent, repetitions included.
    answers: usize,
}

/// A gateway, what its cores have been told, and what was said.
struct Bench {
    gateway: Gateway,
    journal_max: usize,
    now: Instant,
    /// By core: orders that it has not answered.
    rings: [VecDeque<Order>; 2],
    /// The live pairs, and whose they are: a DS0's, or a relay's.
    live: HashMap<(CoreId, PortSlot), Option<Ds0>>,
    names: Vec<String>,
    asked: HashMap<(SocketAddr, u32), Asked>,
    /// What each command of ours was for.
    meant: HashMap<u32, String>,
    /// Connections that were made: endpoint and id.
    made: Vec<(String, String)>,
    /// Transactions of the gateway that wait for an answer.
    told: Vec<(Path, u32)>,
    /// Datagrams that were sent to it, for sending again.
    said: Vec<(usize, Vec<u8>)>,
    transaction: u32,
    /// The last datagram with a command of the gateway's, and where it went.
    told_last: Option<(SocketAddr, Vec<u8>)>,
    /// Tones that have not come to their end.
    plays: Vec<wide::Playing>,
    octets: Vec<u8>,
}

impl Bench {
    fn new(config: &Config, topology: &Topology) -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        let epoch = Epoch { at: now, unix_nanos: 1_795_329_134_000_000_000 };
        Self {
            gateway: Gateway::new(config, topology, 42, epoch, now),
            journal_max: config.journal.octets_max,
            now,
            rings: Default::default(),
            live: HashMap::new(),
            names: Vec::new(),
            asked: HashMap::new(),
            meant: HashMap::new(),
            made: Vec::new(),
            told: Vec::new(),
            said: Vec::new(),
            transaction: 1,
            told_last: None,
            plays: Vec::new(),
            octets: Vec::new(),
        }
    }

    fn step(&mut self, decide: &mut Decisions<'_>) {
        match decide.below(24) {
            0..=8 => {
                let (source, mut datagram) = (decide.below(SOURCES.len()), Vec::new());
                self.write_command(decide, &mut datagram);
                self.hear(source, datagram);
            }
            9 => {
                let (source, mut datagram) = (decide.below(SOURCES.len()), Vec::new());
                for index in 0..=decide.below(4) {
                    datagram.extend(if index > 0 { b".\r\n".as_slice() } else { b"" });
                    self.write_command(decide, &mut datagram);
                }
                self.hear(source, datagram);
            }
            10 => {
                let (source, mut datagram) = (decide.below(SOURCES.len()), Vec::new());
                self.write_command(decide, &mut datagram);
                for _ in 0..=decide.below(4) {
                    let at = usize::from(decide.word()) % datagram.len();
                    datagram[at] = decide.octet();
                }
                self.hear(source, datagram);
            }
            11 => {
                let len = usize::from(decide.word()) % 1_500;
                self.hear(decide.below(SOURCES.len()), decide.octets(len).to_vec());
            }
            12 => {
                if let Some((source, datagram)) = self.said.get(decide.below(self.said.len())).cloned() {
                    let source = if decide.once_in(4) { decide.below(SOURCES.len()) } else { source };
                    self.hear(source, datagram);
                }
            }
            13 => self.respond(decide),
            14 | 15 => {
                let core = decide.below(self.rings.len());
                (0..=decide.below(8)).for_each(|_| self.report(core, decide));
            }
            16 | 17 => self.report_all(decide),
            18..=20 => self.wait(Duration::from_millis(decide.pick(STEPS_MS))),
            21 => self.span_event(decide),
            22 if decide.once_in(2) => self.resolve(decide),
            22 => self.observe(decide),
            _ => match decide.octet() {
                0xA5 => self.handle(Input::Shutdown),
                0xA6 => self.handle(Input::Graceful),
                0xA7 => self.handle(Input::CancelGraceful),
                // One that is not due is of no effect.
                _ => self.handle(Input::Timeout),
            },
        }
    }

    /// A command of the dictionary, often a sensible one.
    fn write_command(&mut self, decide: &mut Decisions<'_>, out: &mut Vec<u8>) {
        let (verb, with) = (decide.pick(VERBS), decide.word());
        let has = |bit: u16| with & 1 << bit != 0;
        let made = (!self.made.is_empty()).then(|| decide.below(self.made.len()));
        let made = made.map(|index| self.made[index].clone());
        let (endpoint, id) = match made {
            Some((endpoint, id)) if verb != "CRCX" && !has(0) => (endpoint, id),
            _ => (format!("{}@tollgate", decide.pick(ENDPOINTS)), "FF".to_owned()),
        };
        // Most have a number of their own; some have one that was used before.
        if !has(1) || !has(2) {
            self.transaction += 1;
        }
        let mut text = format!("{verb} {} {endpoint} MGCP 1.0\r\n", self.transaction);
        self.meant.insert(self.transaction, endpoint);
        let call = decide.pick(&["A1", "B2", "C3"]);
        let mut add = |name: &str, value: &str| {
            write!(text, "{name}: {value}\r\n").expect("memory takes whatever is written to it");
        };
        if (verb == "CRCX") != has(3) {
            add("C", call);
        }
        if matches!(verb, "CRCX" | "MDCX") != has(4) {
            add("M", decide.pick(MODES));
        }
        if matches!(verb, "MDCX" | "DLCX" | "AUCX") && !has(5) {
            add("I", &id);
        }
        if has(6) {
            add("L", decide.pick(OPTIONS));
        }
        if has(7) {
            add("B", decide.pick(&["e:A", "e:mu", ""]));
        }
        if has(8) {
            add("X", decide.pick(&["1", "2FF", "facf0c4601000000"]));
        }
        if has(9) {
            add("N", decide.pick(ENTITIES));
        }
        if verb.starts_with("AU") && !has(10) {
            add("F", decide.pick(INFOS));
        }
        if has(11) && has(12) {
            add("K", &format!("{}-{}", decide.octet(), self.transaction));
        }
        if has(13) && has(14) {
            text.push_str(decide.pick(OTHERS));
            text.push_str("\r\n");
        }
        if matches!(verb, "CRCX" | "MDCX") && !has(15) {
            text.push_str("\r\n");
            text.push_str(decide.pick(DESCRIPTIONS));
        }
        out.extend(text.as_bytes());
    }

    fn hear(&mut self, source: usize, datagram: Vec<u8>) {
        let remote: SocketAddr = SOURCES[source].parse().expect("an address");
        self.hear_from(remote, &datagram);
        if self.said.len() < 64 {
            self.said.push((source, datagram));
        }
    }

    fn hear_from(&mut self, remote: SocketAddr, datagram: &[u8]) {
        let local = if remote.is_ipv4() { "127.0.0.1:2427" } else { "[::1]:2427" };
        let path = Path { remote, local: local.parse().expect("an address") };
        if is_agent(remote) {
            parse_datagram(datagram).for_each(|part| {
                let (number, is_good) = match &part.message {
                    Ok(Message::Command(command)) => (Some(command.transaction), true),
                    Ok(Message::Response(_)) => (None, true),
                    Err(error) => (error.transaction, false),
                };
                let Some(number) = number else { return };
                let (asked, now) = (self.asked.entry((remote, number.0)).or_default(), self.now);
                // T-HIST after its response, the same request is another one.
                let is_forgotten = asked.values.values().any(|at| *at + HISTORY <= now);
                let allowed = asked.allowed.entry(request(is_good, part.octets)).or_default();
                if *allowed == 0 || is_forgotten {
                    *allowed += 1;
                }
            });
        }
        self.handle(Input::Datagram { path, octets: datagram });
    }

    /// Answers something that the gateway has asked, or something that it has not.
    fn respond(&mut self, decide: &mut Decisions<'_>) {
        let Some(index) = (!self.told.is_empty()).then(|| decide.below(self.told.len())) else { return };
        let (path, transaction) = self.told[index];
        let (code, with) = (decide.pick(CODES), decide.octet());
        let transaction = transaction + u32::from(with & 0x80 != 0);
        let mut text = format!("{code:03} {transaction} so\r\n");
        if with & 1 != 0 {
            let _ = write!(text, "N: {}\r\n", decide.pick(ENTITIES));
        }
        if with & 2 != 0 {
            text.push_str("K: \r\n");
        }
        self.handle(Input::Datagram { path, octets: text.as_bytes() });
    }

    fn report(&mut self, core: usize, decide: &mut Decisions<'_>) {
        let Some(order) = self.rings[core].pop_front() else { return };
        let outcome = match order.action {
            Action::Disconnect { .. } | Action::Survey { .. } => Outcome::Seen(ConnectionStats {
                packets_sent: decide.octet().into(),
                octets_sent: if decide.once_in(8) { u32::MAX } else { 8_000 },
                jitter: Duration::from_millis(decide.octet().into()),
                ..ConnectionStats::default()
            }),
            Action::Connect { .. }
            | Action::Modify { .. }
            | Action::ConnectRelay { .. }
            | Action::ModifyRelay { .. }
            | Action::Encode { .. }
            | Action::CancelEcho { .. }
            | Action::Watch { .. }
            | Action::Supervise { .. }
            | Action::Test { .. }
            | Action::Play { .. }
            | Action::Stop { .. } => Outcome::Done,
        };
        let core = CoreId(core as u16);
        self.handle(Input::Report { core, report: Report::Done { id: order.id, outcome } });
    }

    fn report_all(&mut self, decide: &mut Decisions<'_>) {
        while let Some(core) = self.rings.iter().position(|ring| !ring.is_empty()) {
            self.report(core, decide);
        }
    }

    fn span_event(&mut self, decide: &mut Decisions<'_>) {
        let event = match decide.below(8) {
            0..=2 => SpanEvent::Alarms(Alarms::from_bits(decide.octet() & 0x0F)),
            3..=5 => SpanEvent::Alarms(Alarms::NONE),
            6 => SpanEvent::Slip(if decide.once_in(2) { Slip::Deleted } else { Slip::Repeated }),
            _ if decide.once_in(4) => SpanEvent::Failed,
            _ => return,
        };
        self.tell_span(decide.below(2) as u16, event);
    }

    fn tell_span(&mut self, span: u16, event: SpanEvent) {
        self.handle(Input::Report { core: CoreId(span), report: Report::Span { span: SpanId(span), event } });
    }

    /// Something is heard on a line, or on a connection that there is or has just been.
    fn observe(&mut self, decide: &mut Decisions<'_>) {
        let core = decide.below(2) as u16;
        let timeslot = Timeslot::new(decide.pick(&[1, 2, 24])).expect("one of both lines");
        let side = match decide.below(3) {
            0 => Side::Network(PortSlot(u32::from(decide.octet()) & !1)),
            _ => Side::Line(Ds0 { span: SpanId(core), timeslot }),
        };
        let sounds = [
            Sound::FaxCalling,
            Sound::CallTone(decide.octet()),
            Sound::Check(CheckTone::Co1),
            Sound::Octet(decide.octet()),
        ];
        let sound = match decide.below(8) {
            0..4 => Sound::Digit(decide.pick(&Digit::ALL)),
            other => sounds[other - 4],
        };
        let what = match decide.below(4) {
            0 => Observation::Ended { sound, ms: decide.word() },
            1 => Observation::PlayEnded(PlayId(decide.octet().into())),
            _ => Observation::Began(sound),
        };
        let report = Report::Observed { side, at: self.now, what };
        self.handle(Input::Report { core: CoreId(core), report });
    }

    fn resolve(&mut self, decide: &mut Decisions<'_>) {
        let known = self.names.pop();
        let host = match known {
            Some(host) if !decide.once_in(8) => host,
            _ => "nobody.example.net".to_owned(),
        };
        let addresses: [&[IpAddr]; 3] = [
            &[IpAddr::V4(Ipv4Addr::LOCALHOST)],
            &[],
            &[IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))],
        ];
        let (addresses, ttl) = (decide.pick(&addresses).to_vec(), Duration::from_secs(decide.octet().into()));
        self.handle(Input::Resolved { host, addresses, ttl });
    }

    /// Lets time pass, and has done what is due meanwhile.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.gateway.poll_timeout().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.handle(Input::Timeout);
            let next = self.gateway.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "what is due at {:?} is done", self.now);
        }
        self.now = end;
    }

    fn handle(&mut self, input: Input<'_>) {
        self.gateway.handle(self.now, input);
        while let Some((core, order)) = self.gateway.poll_order() {
            self.obey(core, &order.action);
            self.note_play(core, &order);
            self.rings[usize::from(core.0)].push_back(order);
        }
        let mut octets = std::mem::take(&mut self.octets);
        while let Some(path) = self.gateway.poll_transmit(&mut octets) {
            self.listen(path, &octets);
        }
        self.octets = octets;
        while let Some(name) = self.gateway.poll_resolve() {
            assert!(!self.names.contains(&name), "{name} is being looked up already");
            self.names.push(name);
        }
        let lines = self.gateway.journal().lines();
        let kept = if self.journal_max < 1 << 16 { lines.map(str::len).sum() } else { 0 };
        assert!(kept <= self.journal_max, "the journal keeps {kept} octets");
        for (core, usage) in self.gateway.rings() {
            let under_way = self.rings[usize::from(core.0)].len();
            assert!(under_way <= usage.capacity, "{under_way} orders in a ring of {}", usage.capacity);
        }
    }

    /// Does what a core does with an order, as far as its account goes.
    fn obey(&mut self, core: CoreId, action: &Action) {
        match *action {
            Action::Connect { ds0, port, .. } => {
                assert!(port.is_rtp());
                assert_eq!(ds0.span.0, core.0, "each span of this configuration is its core's");
                let held = self.live.values().filter(|other| **other == Some(ds0)).count();
                assert!(held < CONNECTIONS_PER_ENDPOINT, "{ds0:?} has a place left");
                assert_eq!(self.live.insert((core, port), Some(ds0)), None, "{port:?} is idle");
            }
            Action::ConnectRelay { port, .. } => {
                assert!(port.is_rtp());
                assert_eq!(self.live.insert((core, port), None), None, "{port:?} is idle");
            }
            Action::Disconnect { port } => {
                assert!(self.live.remove(&(core, port)).is_some(), "{port:?} is live");
            }
            Action::Modify { port, .. }
            | Action::ModifyRelay { port, .. }
            | Action::Supervise { port, .. }
            | Action::Survey { port } => {
                assert!(self.live.contains_key(&(core, port)), "{port:?} is live");
            }
            Action::Encode { ds0, .. }
            | Action::Test { ds0, .. }
            | Action::CancelEcho { ds0, .. }
            | Action::Watch { side: Side::Line(ds0), .. }
            | Action::Play { side: Side::Line(ds0), .. }
            | Action::Stop { side: Side::Line(ds0), .. } => assert_eq!(ds0.span.0, core.0),
            Action::Watch { side: Side::Network(port), .. }
            | Action::Play { side: Side::Network(port), .. }
            | Action::Stop { side: Side::Network(port), .. } => {
                assert!(self.live.contains_key(&(core, port)), "{port:?} is live");
            }
        }
    }

    /// Takes in what the gateway says.
    fn listen(&mut self, path: Path, octets: &[u8]) {
        for part in parse_datagram(octets) {
            let said = part.octets.escape_ascii();
            let response = match part.message.unwrap_or_else(|error| panic!("{error:?} in {said}")) {
                Message::Command(command) => {
                    assert!(
                        matches!(
                            command.verb,
                            Verb::RestartInProgress | Verb::Notify | Verb::DeleteConnection
                        ),
                        "{said}"
                    );
                    self.told_last = Some((path.remote, octets.to_vec()));
                    let told = (path, command.transaction.0);
                    if self.told.len() < 64 && !self.told.contains(&told) {
                        self.told.push(told);
                    }
                    continue;
                }
                Message::Response(response) => response,
            };
            assert!(is_agent(path.remote), "a stranger is told nothing: {said}");
            let number = response.transaction.0;
            if let Some([id]) = response.parameters.connections.as_deref() {
                let endpoint = response.parameters.specific_endpoints.first();
                let endpoint = endpoint.map(ToString::to_string).or_else(|| self.meant.get(&number).cloned());
                if let Some(endpoint) = endpoint.filter(|_| self.made.len() < 64) {
                    self.made.push((endpoint, id.as_str().to_owned()));
                }
            }
            if response.code.is_provisional() || response.code.is_acknowledgement() {
                continue;
            }
            let asked =
                self.asked.get_mut(&(path.remote, number)).unwrap_or_else(|| panic!("who asked? {said}"));
            asked.answers += 1;
            // Told that there is no room, an agent may ask again and be heard.
            if response.code.0 != 409 {
                asked.values.entry(part.octets.to_vec()).or_insert(self.now);
            }
            let allowed: usize = asked.allowed.values().sum();
            let is_forgetful = self.gateway.counters().value(Counter::Evicted) > 0;
            assert!(asked.values.len() <= allowed || is_forgetful, "one value each: {:?}", values(asked));
        }
    }

    /// Ends all connections, and sees that nothing is left.
    fn end(&mut self) {
        let mut rest = Decisions::new(&[]);
        self.report_all(&mut rest);
        (0..2).for_each(|span| self.tell_span(span, SpanEvent::Alarms(Alarms::NONE)));
        self.wait(Duration::from_secs(20));
        self.report_all(&mut rest);
        let last: SocketAddr = LAST.parse().expect("an address");
        // RFC 3435 §4.4.6: until its restart could be told, an endpoint may answer 405, and is asked again.
        // A resolver always answers in the end.
        for transaction in 1..=ENDINGS_MAX {
            while let Some(host) = self.names.pop() {
                self.handle(Input::Resolved { host, addresses: Vec::new(), ttl: Duration::ZERO });
            }
            self.hear_from(last, format!("DLCX {transaction} *@tollgate MGCP 1.0\r\n").as_bytes());
            self.report_all(&mut rest);
            if self.gateway.ledger().is_empty() {
                break;
            }
            self.wait(Duration::from_secs(20));
            self.report_all(&mut rest);
        }
        assert!(self.gateway.ledger().is_empty(), "{:?}", self.gateway.ledger());
        assert!(self.live.is_empty(), "{:?}", self.live);
        for (core, usage) in self.gateway.rings() {
            assert_eq!(usage.used, 0, "{core:?} has obeyed all orders");
        }
        assert_eq!(self.gateway.executing(), 0, "no command is under way: {}", self.gateway.digest());
        for (whose, asked) in &self.asked {
            assert!(
                asked.answers >= asked.allowed.len(),
                "{whose:?} was not answered: {:?}",
                asked.allowed.keys()
            );
        }
    }

    fn replay(&self, config: &Config, topology: &Topology) {
        let journal = self.gateway.journal();
        if journal.lost() > 0 {
            return;
        }
        let again = replay(config, topology, journal.lines()).expect("the journal is whole");
        assert_eq!(again.digest(), self.gateway.digest());
        // What strangers send is dropped before it is written down.
        for counter in Counter::ALL.iter().filter(|counter| **counter != Counter::DroppedSource) {
            let counted = self.gateway.counters().value(*counter);
            assert_eq!(again.counters().value(*counter), counted, "{}", counter.name());
        }
    }
}

/// Whether an address is on the allow list.
fn is_agent(remote: SocketAddr) -> bool {
    remote.ip().is_loopback()
}

/// What tells a request from another of its number: all of it, but for what it acknowledges and how the
/// number is spelt.
fn request(is_good: bool, octets: &[u8]) -> (bool, Vec<u8>) {
    let mut words = octets.trim_ascii_start().splitn(3, |octet| matches!(octet, b' ' | b'\t'));
    let verb = words.next().unwrap_or_default();
    let rest = if is_good { words.nth(1).unwrap_or_default().trim_ascii_end() } else { octets };
    let lines = std::iter::once(verb).chain(rest.split(|octet| *octet == b'\n'));
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let counts = |line: &&[u8]| !is_good || !matches!(line, [b'K' | b'k', b':', ..]);
    (is_good, lines.filter(counts).collect::<Vec<_>>().join(&b'\n'))
}

fn values(asked: &Asked) -> HashSet<String> {
    asked.values.keys().map(|value| value.escape_ascii().to_string()).collect()
}
