//! Both planes, one clock, one seed.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use control::config::{Config, FarEndConfig, ServiceConfig, SimConfig, SpanConfig, SpanDriver};
use control::gateway::Gateway;
use control::input::Input;
use control::mgcp::message::Path as MgcpPath;
use control::replay::{ReplayError, replay};
use control::topology::{CoreId, Topology};
use dataplane::link::{self, ControlEnd, Order, Report};
use dataplane::stats::{Counter, Stats};
use dataplane::worker::{Carried, Parts, Worker};
use drivers::line::{Line, SpanId, Timeslot};
use drivers::net::sim::{SimEndpoint, SimNet, SimSockets};
use drivers::span::sim::{
    CableEnd, EchoPath, FarEnd, LineModel, Pattern, Play, PrbsResult, Recording, SimScript, SimSettings,
    SimSpan, cable,
};
use drivers::time::{Epoch, Instant};

use crate::pretend_core::PretendCore;
use crate::reply::Reply;
use crate::rtp_peer::RtpPeer;

/// The gateway's host in the simulated network.
pub const GATEWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
/// The call agent's host.
pub const CALL_AGENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

/// How long a command may take in simulated time before a scenario gives up on it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The delay of every cable.
const CABLE_DELAY: Duration = Duration::from_millis(10);

/// How long looking up a name takes.
const LOOK_UP: Duration = Duration::from_millis(30);

/// How long its addresses hold.
const TTL: Duration = Duration::from_secs(60);

/// Datagrams the network can hold: with media, and without.
const DATAGRAMS: usize = 65_536;
const DATAGRAMS_OF_CONTROL: usize = 1_024;

/// What a world is made of.
pub struct WorldBuilder {
    seed: u64,
    restart_wait_max_ms: u64,
    mgcp: String,
    extra: String,
    spans: String,
    addresses: String,
    far_ends: HashMap<(usize, u8), FarEnd>,
    around_tick: fn(bool),
    has_media: bool,
}

impl WorldBuilder {
    /// What a world is made of that runs by this seed, without printing it.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            restart_wait_max_ms: 0,
            mgcp: String::new(),
            extra: String::new(),
            spans: "[[span]]\ncount = 4\n".to_owned(),
            addresses: format!("[\"{GATEWAY}\"]"),
            far_ends: HashMap::new(),
            around_tick: |_| {},
            has_media: true,
        }
    }

    /// Cores that obey orders and move no octet, so that the world is a thousand times as fast.
    #[must_use]
    pub fn without_media(mut self) -> Self {
        self.has_media = false;
        self
    }

    /// Settings of `tollgate.toml` beside those of the simulated hosts: more of `[media]`, then whole tables.
    #[must_use]
    pub fn config(mut self, toml: &str) -> Self {
        self.extra.push_str(toml);
        self
    }

    /// More settings of `[mgcp]`.
    #[must_use]
    pub fn mgcp(mut self, toml: &str) -> Self {
        self.mgcp.push_str(toml);
        self
    }

    /// The longest wait before the first RSIP; none unless said.
    #[must_use]
    pub fn restart_wait_max_ms(mut self, ms: u64) -> Self {
        self.restart_wait_max_ms = ms;
        self
    }

    /// The `[[span]]` tables; four E1s unless said. Their clocks, cables, tones and patterns are as
    /// they say; files are for [`speaker`](Self::speaker).
    #[must_use]
    pub fn spans(mut self, toml: &str) -> Self {
        self.spans = toml.to_owned();
        self
    }

    /// The media addresses, as TOML; the gateway's host unless said.
    #[must_use]
    pub fn addresses(mut self, toml: &str) -> Self {
        self.addresses = toml.to_owned();
        self
    }

    /// What is called before each worker's tick, with `true`, and after it.
    #[must_use]
    pub fn around_tick(mut self, call: fn(bool)) -> Self {
        self.around_tick = call;
        self
    }

    /// What is at the far end of one timeslot, the span counted from 0, whatever the configuration says.
    #[must_use]
    pub fn far_end(mut self, span: usize, timeslot: u8, far_end: FarEnd) -> Self {
        self.far_ends.insert((span, timeslot), far_end);
        self
    }

    /// A far end that says `octets` over and over, and a recording of what it hears.
    pub fn speaker(self, span: usize, timeslot: u8, octets: &[u8]) -> (Self, Arc<Recording>) {
        let recording = Arc::new(Recording::new(8_000 * 600));
        let play = Play::Forever(octets.into());
        let far_end = FarEnd::File { play, record: Some(Arc::clone(&recording)) };
        (self.far_end(span, timeslot, far_end), recording)
    }

    /// A far end that sends a pattern and checks what comes back, and what it finds.
    pub fn pattern(self, span: usize, timeslot: u8, pattern: Pattern) -> (Self, Arc<PrbsResult>) {
        let result = Arc::new(PrbsResult::default());
        (self.far_end(span, timeslot, FarEnd::Prbs { pattern, result: Arc::clone(&result) }), result)
    }

    /// The world, at its first moment.
    ///
    /// # Panics
    /// If the configuration is wrong.
    pub fn build(self) -> World {
        World::new(self)
    }
}

/// A gateway and everything around it.
pub struct World {
    seed: u64,
    now: Instant,
    config: Config,
    topology: Topology,
    gateway: Gateway,
    ends: Vec<ControlEnd>,
    workers: Vec<Worker<SimSockets>>,
    pretended: Vec<PretendCore>,
    stats: Vec<Arc<Stats>>,
    scripts: Vec<SimScript>,
    net: SimNet,
    mgcp: Vec<SimEndpoint>,
    agent: SimEndpoint,
    /// Commands of the gateway's own that the call agent has got, oldest first.
    pub commands: Vec<String>,
    /// Whether the call agent answers them.
    pub agent_answers: bool,
    replies: Vec<Reply>,
    transaction: u32,
    /// Where named hosts are. The gateway is told a little after it has asked; of others, that there are
    /// none.
    pub hosts: HashMap<String, Vec<IpAddr>>,
    look_ups: VecDeque<(Instant, String)>,
    /// RTP peers, by their place.
    pub peers: Vec<RtpPeer>,
    around_tick: fn(bool),
}

impl World {
    /// Begins a world; the seed is printed, so that a failing run can be had again.
    pub fn builder(seed: u64) -> WorldBuilder {
        println!("world seed: {seed}");
        WorldBuilder::new(seed)
    }

    fn new(builder: WorldBuilder) -> Self {
        let WorldBuilder {
            seed,
            restart_wait_max_ms,
            mgcp,
            extra,
            spans,
            addresses,
            far_ends,
            around_tick,
            has_media,
        } = builder;
        let text = format!(
            "[gateway]\nname = \"gw\"\n\
             [mgcp]\nlisten = [\"{GATEWAY}:2427\"]\nallow = [\"10.0.0.0/24\"]\n\
             notified_entity = \"ca@[{CALL_AGENT}]:2727\"\nrestart_wait_max_ms = {restart_wait_max_ms}\n{mgcp}\n\
             [media]\naddresses = {addresses}\n{extra}\n{spans}"
        );
        let config = Config::parse(&text, Path::new("")).unwrap_or_else(|errors| {
            panic!("the world's configuration is wrong: {errors:?}\n{text}");
        });
        let topology = Topology::new(&config).expect("the configuration was checked");
        let now = Instant::from_nanos(1_000_000_000);
        let epoch = Epoch { at: now, unix_nanos: 1_700_000_000_000_000_000 };
        let net = SimNet::new(seed, if has_media { DATAGRAMS } else { DATAGRAMS_OF_CONTROL });
        let gateway = Gateway::new(&config, &topology, seed, epoch, now);
        let mut world = Self {
            seed,
            now,
            gateway,
            ends: Vec::new(),
            workers: Vec::new(),
            pretended: Vec::new(),
            stats: Vec::new(),
            scripts: Vec::new(),
            mgcp: config.mgcp.listen.iter().map(|listen| net.endpoint(*listen)).collect(),
            agent: net.endpoint(SocketAddr::new(CALL_AGENT, 2727)),
            commands: Vec::new(),
            agent_answers: true,
            replies: Vec::new(),
            transaction: 1_000,
            hosts: HashMap::new(),
            look_ups: VecDeque::new(),
            peers: Vec::new(),
            around_tick,
            net,
            config,
            topology,
        };
        if has_media {
            world.add_workers(epoch, far_ends);
        } else {
            let cores = 0..world.topology.ports.len() as u64;
            world.pretended = cores.map(|core| PretendCore::new(seed ^ core)).collect();
        }
        world.drain_gateway();
        world
    }

    fn add_workers(&mut self, epoch: Epoch, mut far_ends: HashMap<(usize, u8), FarEnd>) {
        let (config, topology) = (&self.config, &self.topology);
        let mut cables = cables(config);
        for (core, ports) in topology.ports.iter().enumerate() {
            let limits = topology.limits(CoreId(core as u16), &config.media.jitter);
            let (end, link) = link::pair(&limits, Box::new(|| {}));
            let mut spans = Vec::new();
            for place in topology.spans.iter().filter(|place| place.core == CoreId(core as u16)) {
                let index = usize::from(place.span.0);
                let sim = simulated(&config.spans[index]);
                let settings = SimSettings {
                    line: Line { carrier: place.carrier, law: place.law },
                    frames: usize::from(config.spans[index].block_ms) * 8,
                    clock_ppm: sim.clock_ppm,
                    start: self.now,
                };
                let far_end = |timeslot: Timeslot| {
                    let override_ = far_ends.remove(&(index, timeslot.number()));
                    override_.unwrap_or_else(|| far_end(sim.far_end(timeslot)))
                };
                let span = SimSpan::new(&settings, std::mem::take(&mut cables[index]), far_end);
                self.scripts.push(span.script());
                let echo = config.echo(place.span);
                spans.push(Carried { id: place.span, echo, span: Box::new(span) });
            }
            let stats = Arc::new(Stats::default());
            let seed = self.seed ^ core as u64;
            let parts = Parts { limits, spans, seed, epoch, stats: stats.clone(), link };
            self.workers.push(Worker::new(parts, self.net.sockets(ports)));
            self.ends.push(end);
            self.stats.push(stats);
        }
    }

    /// The world's clock.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The seed it runs by.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The network, to impair it.
    pub fn net(&self) -> &SimNet {
        &self.net
    }

    /// The gateway, to look into.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// The handle that makes a span fail, the span counted from 0.
    pub fn script(&self, span: usize) -> &SimScript {
        &self.scripts[span]
    }

    /// The sum of a counter over all cores.
    pub fn count(&self, counter: Counter) -> u64 {
        self.stats.iter().map(|stats| stats.value(counter)).sum()
    }

    /// Puts an RTP peer on the network, and says its place in [`peers`](Self::peers).
    pub fn add_peer(&mut self, address: &str) -> usize {
        let address = address.parse().expect("a peer has an address and a port");
        self.peers.push(RtpPeer::new(&self.net, address));
        self.peers.len() - 1
    }

    /// Has a peer send `octets` over and over from now on.
    pub fn play(&mut self, peer: usize, to: SocketAddr, payload_type: u8, ptime_ms: u64, octets: &[u8]) {
        self.peers[peer].play(self.now, to, payload_type, Duration::from_millis(ptime_ms), octets);
    }

    /// Has the call agent send a command under a new transaction: `line` is `CRCX ds/e1-1/1@gw`, and
    /// `rest` what follows the first line.
    pub fn send(&mut self, line: &str, rest: &str) -> u32 {
        self.transaction += 1;
        let (verb, endpoint) = line.split_once(' ').expect("a verb and an endpoint");
        let text = format!("{verb} {} {endpoint} MGCP 1.0\r\n{rest}", self.transaction);
        self.send_text(&text);
        self.transaction
    }

    /// Has the call agent send a datagram as it is.
    pub fn send_text(&mut self, text: &str) {
        self.send_octets(text.as_bytes());
    }

    /// [`send_text`](Self::send_text) of octets that may be no text.
    pub fn send_octets(&mut self, octets: &[u8]) {
        self.agent.send(self.mgcp[0].address(), octets);
    }

    /// [`send`](Self::send), and its response.
    ///
    /// # Panics
    /// If none comes.
    pub fn ask(&mut self, line: &str, rest: &str) -> Reply {
        let transaction = self.send(line, rest);
        self.reply(transaction)
    }

    /// The final response to a transaction, waited for.
    ///
    /// # Panics
    /// If none comes.
    pub fn reply(&mut self, transaction: u32) -> Reply {
        let is_it = |reply: &Reply| reply.transaction == transaction && reply.code >= 200;
        let until = self.now + PATIENCE;
        loop {
            if let Some(at) = self.replies.iter().position(is_it) {
                return self.replies.remove(at);
            }
            assert!(self.now < until, "seed {}: no response to {transaction}", self.seed);
            self.step(until);
        }
    }

    /// All responses that have come and were not asked for by [`reply`](Self::reply).
    pub fn take_replies(&mut self) -> Vec<Reply> {
        std::mem::take(&mut self.replies)
    }

    /// A connection of an endpoint, such as `ds/e1-1/1`, towards whatever `sdp` describes.
    ///
    /// # Panics
    /// If it is refused.
    pub fn connect(&mut self, endpoint: &str, mode: &str, sdp: &str) -> Reply {
        let body = if sdp.is_empty() { String::new() } else { format!("\r\n{sdp}") };
        let reply = self.ask(&format!("CRCX {endpoint}@gw"), &format!("C: A1\r\nM: {mode}\r\n{body}"));
        assert_eq!(reply.code, 200, "{}", reply.text);
        reply
    }

    /// A call between two endpoints, both ways; their connections' answers.
    ///
    /// # Panics
    /// If a command is refused.
    pub fn call(&mut self, a: &str, b: &str) -> (Reply, Reply) {
        let first = self.connect(a, "recvonly", "");
        let sdp = first.description().expect("a connection is described").to_owned();
        let second = self.connect(b, "sendrecv", &sdp);
        let sdp = second.description().expect("a connection is described").to_owned();
        let text = format!("C: A1\r\nI: {}\r\nM: sendrecv\r\n\r\n{sdp}", first.connection());
        let modified = self.ask(&format!("MDCX {a}@gw"), &text);
        assert_eq!(modified.code, 200, "{}", modified.text);
        (first, second)
    }

    /// Lets `time` pass.
    pub fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.step(until);
        }
    }

    /// Has the operator take circuits of a span, counted from 0, out of service or back.
    pub fn serve(&mut self, span: u16, service: ServiceConfig) {
        self.gateway.handle(self.now, Input::Service { span: SpanId(span), service });
        self.drain_gateway();
    }

    /// Has the gateway shut down, and gives it the time it takes.
    ///
    /// # Panics
    /// If it takes more than a second.
    pub fn shut_down(&mut self) {
        let until = self.now + Duration::from_secs(1);
        self.gateway.handle(self.now, Input::Shutdown);
        self.drain_gateway();
        while !self.gateway.is_finished() {
            assert!(self.now < until, "seed {}: the gateway does not stop", self.seed);
            self.step(until);
        }
        for worker in &mut self.workers {
            worker.close(self.now).expect("a simulated network does not fail");
        }
        self.run_for(Duration::from_millis(100));
    }

    /// Has a core say something, in a world without media.
    pub fn report(&mut self, core: CoreId, report: Report) {
        self.gateway.handle(self.now, Input::Report { core, report });
        self.drain_gateway();
    }

    /// Has all cores do nothing for a while, in a world without media.
    pub fn stall_cores(&mut self, time: Duration) {
        self.pretended.iter_mut().for_each(|core| core.stall(self.now + time));
    }

    /// Connections on the cores, in a world without media.
    pub fn live(&self) -> usize {
        self.pretended.iter().map(PretendCore::live).sum()
    }

    /// Makes the gateway again from its journal.
    ///
    /// # Errors
    /// If the journal is not whole.
    pub fn replay(&self) -> Result<Gateway, ReplayError> {
        replay(&self.config, &self.topology, self.gateway.journal().lines())
    }

    /// Goes to the next thing that happens, or to `until`, and lets everyone see it.
    pub fn step(&mut self, until: Instant) {
        let next = [self.gateway.poll_timeout(), self.net.next_delivery()]
            .into_iter()
            .flatten()
            .chain(self.look_ups.front().map(|(due, _)| *due))
            .chain(self.pretended.iter().filter_map(PretendCore::due_at))
            .chain(self.workers.iter().map(Worker::due_at))
            .chain(self.peers.iter().filter_map(RtpPeer::due_at))
            .fold(until, Instant::min);
        self.now = self.now.max(next);
        self.net.advance(self.now);
        for peer in &mut self.peers {
            peer.step(self.now);
        }
        self.step_gateway();
        for worker in self.workers.iter_mut().filter(|worker| worker.due_at() <= self.now) {
            (self.around_tick)(true);
            let ticked = worker.tick(self.now);
            (self.around_tick)(false);
            ticked.expect("a simulated network does not fail");
        }
        self.step_reports();
        self.step_look_ups();
        self.net.advance(self.now);
        self.step_agent();
    }

    fn step_gateway(&mut self) {
        for at in 0..self.mgcp.len() {
            while let Some((remote, _, octets)) = self.mgcp[at].receive() {
                let path = MgcpPath { remote, local: self.mgcp[at].address() };
                self.gateway.handle(self.now, Input::Datagram { path, octets: &octets });
                self.drain_gateway();
            }
        }
        if self.gateway.poll_timeout().is_some_and(|at| at <= self.now) {
            self.gateway.handle(self.now, Input::Timeout);
            self.drain_gateway();
        }
    }

    fn step_look_ups(&mut self) {
        while let Some((_, host)) = self.look_ups.pop_front_if(|(due, _)| *due <= self.now) {
            let addresses = self.hosts.get(&host).cloned().unwrap_or_default();
            self.gateway.handle(self.now, Input::Resolved { host, addresses, ttl: TTL });
            self.drain_gateway();
        }
    }

    fn step_reports(&mut self) {
        for core in 0..self.pretended.len() {
            while let Some(report) = self.pretended[core].poll_report(self.now) {
                self.report(CoreId(core as u16), report);
            }
        }
        for core in 0..self.ends.len() {
            while let Some(report) = self.ends[core].poll_report() {
                self.gateway.handle(self.now, Input::Report { core: CoreId(core as u16), report });
                self.drain_gateway();
            }
        }
    }

    /// Carries out what the gateway has to say, as its loop would.
    fn drain_gateway(&mut self) {
        while let Some((core, order)) = self.gateway.poll_order() {
            self.give(core, order);
        }
        let mut octets = Vec::new();
        while let Some(path) = self.gateway.poll_transmit(&mut octets) {
            let from = self.mgcp.iter().find(|endpoint| endpoint.address() == path.local);
            from.unwrap_or(&self.mgcp[0]).send(path.remote, &octets);
        }
        while let Some(host) = self.gateway.poll_resolve() {
            self.look_ups.push_back((self.now + LOOK_UP, host));
        }
        while self.gateway.poll_journal().is_some() {}
    }

    fn give(&mut self, core: CoreId, order: Order) {
        let place = usize::from(core.0);
        match self.pretended.get_mut(place) {
            Some(pretended) => pretended.send(self.now, &order),
            None => self.ends[place].send(order),
        }
    }

    fn agent_hears(&mut self, from: SocketAddr, message: &str, with_others: bool) {
        if let Some(reply) = Reply::read(message) {
            return self.replies.push(reply);
        }
        if self.agent_answers {
            let transaction = message.split_whitespace().nth(1).unwrap_or_default();
            self.agent.send(from, format!("200 {transaction} OK\r\n").as_bytes());
        }
        // A copy that came ahead of a response is the command that came alone.
        if !with_others || !self.commands.iter().any(|command| command == message) {
            self.commands.push(message.to_owned());
        }
    }

    fn step_agent(&mut self) {
        while let Some((from, _, octets)) = self.agent.receive() {
            let text = String::from_utf8(octets).expect("what the gateway says of itself is ASCII");
            // RFC 3435 §3.5.5: messages of one datagram have a line with a dot between them.
            let messages: Vec<_> = text.split_inclusive("\r\n.\r\n").collect();
            for message in &messages {
                self.agent_hears(from, message.strip_suffix(".\r\n").unwrap_or(message), messages.len() > 1);
            }
        }
    }
}

fn simulated(span: &SpanConfig) -> &SimConfig {
    let SpanDriver::Sim(sim) = &span.driver;
    sim
}

/// A far end that is no cable, as the configuration has it.
fn far_end(config: &FarEndConfig) -> FarEnd {
    match *config {
        FarEndConfig::Loop => FarEnd::Loop,
        FarEndConfig::Tone { hz, dbm0 } => FarEnd::Tone { hz, dbm0 },
        FarEndConfig::Prbs { order } => {
            let pattern = if order == 11 { Pattern::Prbs11 } else { Pattern::Prbs15 };
            FarEnd::Prbs { pattern, result: Arc::default() }
        }
        FarEndConfig::Idle | FarEndConfig::Cable { .. } => FarEnd::Idle,
        FarEndConfig::Hybrid { line, loss_db, delay_ms, play: None, record: None } => {
            let model = LineModel::ALL[usize::from(line) - 2];
            let echo = EchoPath::new(model, loss_db, usize::from(delay_ms) * 8);
            FarEnd::Hybrid { echo, talker: Play::Nothing, record: None }
        }
        FarEndConfig::File { .. } | FarEndConfig::Hybrid { .. } => {
            panic!("a world has no files: use `speaker`")
        }
    }
}

/// Each span's ends of the cables that the configuration has.
fn cables(config: &Config) -> Vec<Vec<CableEnd>> {
    let mut ends: Vec<Vec<CableEnd>> = config.spans.iter().map(|_| Vec::new()).collect();
    for (near, far, timeslots) in config.cables() {
        let (here, there) = cable(timeslots, CABLE_DELAY);
        ends[near].push(here);
        ends[far].push(there);
    }
    ends
}
