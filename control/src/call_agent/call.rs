//! Two-party calls, many at a time.
//!
//! ```text
//! start ─▶ CRCX a ─▶ CRCX b ─▶ MDCX a ─▶ Up ─▶ DLCX a ─▶ DLCX b ─▶ over
//!          recvonly  a's SDP   b's SDP    hang_up
//! ```
//!
//! The three steps of RFC 3435 §2.6. Whatever goes wrong on the way, what was made is deleted again,
//! so a call always ends with [`Progress::Ended`].

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::time::Duration;

use dataplane::link::Codec;
use dataplane::mode::Mode;
use drivers::time::Instant;

use super::{CallAgent, EVENTS_MAX, Event, Full, Reply, Setup};
use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::{ConnectionParameters, LocalConnectionOptions, Range, TransactionId};
use crate::mgcp::name::{CallId, ConnectionId, EndpointName};

/// A [`CallAgent`] and the calls it has in hand.
#[derive(Debug)]
pub struct Calls {
    agent: CallAgent,
    calls: HashMap<CallId, Call>,
    /// Whose commands are under way, and which.
    transactions: HashMap<TransactionId, (CallId, Step)>,
    /// Calls whose next command found no room; each at most once.
    waiting: VecDeque<CallId>,
    calls_max: usize,
    /// The last call's number.
    number: u64,
    events: VecDeque<CallsEvent>,
}

/// How a call is to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CallOptions {
    /// The codec; the gateway's choice if `None`.
    pub codec: Option<Codec>,
    /// The packetization period, in ms; the gateway's choice if `None`.
    pub ptime_ms: Option<NonZeroU8>,
    /// The mode of both connections when the call is up.
    pub mode: Mode,
}

impl Default for CallOptions {
    fn default() -> Self {
        Self { codec: None, ptime_ms: None, mode: Mode::SendReceive }
    }
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CallsEvent {
    /// A call went a step further.
    Call {
        /// The call.
        call: CallId,
        /// How far it is.
        progress: Progress,
    },
    /// Something that is of no call's doing.
    Other(Event),
}

/// How far a call is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Both ends are connected.
    Up {
        /// Since the first command was due.
        took: Duration,
        /// Both ends: the one called from, the one called to.
        ends: [End; 2],
    },
    /// Nothing is left of it.
    Ended {
        /// What the ends' connections had seen, as far as the gateway said.
        parameters: [Option<ConnectionParameters<'static>>; 2],
        /// Why it ended, unless it was hung up.
        failure: Option<Failure>,
    },
}

/// One end of a call that is up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct End {
    /// The endpoint; the one the gateway chose, where a wildcard was called.
    pub endpoint: EndpointName,
    /// The connection on it.
    pub connection: ConnectionId,
    /// What the gateway said of it: its LocalConnectionDescriptor.
    pub description: Vec<u8>,
}

/// Why a call failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// A command was refused.
    Refused {
        /// Which step it was.
        step: Step,
        /// The gateway's answer.
        code: ReturnCode,
    },
    /// A command was not answered.
    Lost {
        /// Which step it was.
        step: Step,
    },
    /// A response lacks a connection's name or description.
    Incomplete {
        /// Which step it was.
        step: Step,
    },
    /// The gateway ended one of its connections.
    Dropped,
}

/// The commands of a call, in their order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Step {
    /// CRCX for the end called from.
    CreateA,
    /// CRCX for the end called to.
    CreateB,
    /// MDCX for the end called from.
    ModifyA,
    /// DLCX for the end called from.
    DeleteA,
    /// DLCX for the end called to.
    DeleteB,
}

impl Calls {
    /// No calls yet, and no more than `calls_max` at a time. The agent's own events come through
    /// [`poll_event`](Self::poll_event). `seed` keeps call ids apart from another agent's.
    pub fn new(agent: CallAgent, calls_max: usize, seed: u32) -> Self {
        Self {
            agent,
            calls: HashMap::new(),
            transactions: HashMap::new(),
            waiting: VecDeque::new(),
            calls_max,
            number: u64::from(seed) << 32,
            events: VecDeque::new(),
        }
    }

    /// Begins a call from `a` to `b`.
    ///
    /// # Errors
    /// [`Full`] if there are as many calls as there may be.
    pub fn start(
        &mut self,
        now: Instant,
        a: EndpointName,
        b: EndpointName,
        options: CallOptions,
    ) -> Result<CallId, Full> {
        if self.calls.len() >= self.calls_max || self.events.len() >= EVENTS_MAX {
            return Err(Full);
        }
        self.number += 1;
        let id = CallId::from(self.number);
        let call = Call {
            state: State::Doing(Step::CreateA),
            options,
            legs: [Leg::new(a), Leg::new(b)],
            started_at: now,
            hang_up: false,
            failure: None,
        };
        self.calls.insert(id, call);
        self.advance(now, id);
        Ok(id)
    }

    /// Ends a call: at once if it is up, else as soon as the gateway has answered. A call that is
    /// over, or ending, is left alone.
    pub fn hang_up(&mut self, now: Instant, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.hang_up = true;
        if call.state == State::Up {
            call.state = call.clearing();
            self.advance(now, id);
        }
    }

    /// Takes a datagram.
    pub fn handle(&mut self, now: Instant, from: SocketAddr, octets: &[u8]) {
        self.agent.handle(now, from, octets);
        self.drain(now);
    }

    /// Repeats commands and gives up on some.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.agent.handle_timeout(now);
        self.drain(now);
    }

    /// A datagram to send, written over what `octets` held, and where it goes.
    pub fn poll_transmit(&mut self, octets: &mut Vec<u8>) -> Option<SocketAddr> {
        self.agent.poll_transmit(octets)
    }

    /// What happened, oldest first.
    pub fn poll_event(&mut self) -> Option<CallsEvent> {
        self.events.pop_front()
    }

    /// The call agent, for commands besides the calls; what comes of them is [`CallsEvent::Other`].
    pub fn agent_mut(&mut self) -> &mut CallAgent {
        &mut self.agent
    }

    /// When [`handle_timeout`](Self::handle_timeout) is wanted next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.agent.poll_timeout()
    }

    /// Calls that are not over.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether all calls are over.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Takes what the agent has to say.
    fn drain(&mut self, now: Instant) {
        while let Some(event) = self.agent.poll_event() {
            match event {
                Event::Answered { transaction, reply } if self.transactions.contains_key(&transaction) => {
                    self.answered(now, transaction, Some(reply));
                }
                Event::Lost { transaction } if self.transactions.contains_key(&transaction) => {
                    self.answered(now, transaction, None);
                }
                Event::Provisional { transaction, .. } if self.transactions.contains_key(&transaction) => {}
                Event::Deleted { endpoint, call: Some(id), connection, parameters, .. }
                    if self.calls.contains_key(&id) =>
                {
                    let call = self.calls.get_mut(&id).expect("the guard has looked for the call");
                    let was = call.state;
                    call.dropped(&endpoint, connection, parameters);
                    if call.state != was {
                        self.advance(now, id);
                    }
                }
                event if self.events.len() < EVENTS_MAX => self.events.push_back(CallsEvent::Other(event)),
                _ => self.agent.counters.events_lost += 1,
            }
        }
        // The answers made room: those that waited for it try again, each once.
        for _ in 0..self.waiting.len() {
            let Some(id) = self.waiting.pop_front() else { break };
            self.advance(now, id);
        }
    }

    fn answered(&mut self, now: Instant, transaction: TransactionId, reply: Option<Reply>) {
        let (id, step) =
            self.transactions.remove(&transaction).expect("only answers to our own transactions come here");
        let call = self.calls.get_mut(&id).expect("a call lasts as long as its transactions");
        call.answered(step, reply);
        self.advance(now, id);
    }

    /// Sends a call's next command, or tells how far it is.
    fn advance(&mut self, now: Instant, id: CallId) {
        let call = self.calls.get_mut(&id).expect("only calls in hand advance");
        let progress = match call.state {
            State::Doing(step) => {
                match call.send(now, id, step, &mut self.agent) {
                    Ok(transaction) => drop(self.transactions.insert(transaction, (id, step))),
                    Err(Full) => self.waiting.push_back(id),
                }
                return;
            }
            State::Up => {
                Progress::Up { took: now.since(call.started_at), ends: call.legs.each_ref().map(Leg::end) }
            }
            State::Over => {
                let call = self.calls.remove(&id).expect("a call that is over is forgotten only here");
                Progress::Ended { parameters: call.legs.map(|leg| leg.parameters), failure: call.failure }
            }
        };
        self.events.push_back(CallsEvent::Call { call: id, progress });
    }
}

/// One call.
#[derive(Debug)]
struct Call {
    state: State,
    options: CallOptions,
    legs: [Leg; 2],
    started_at: Instant,
    hang_up: bool,
    failure: Option<Failure>,
}

/// Where a call is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// A command is due, or under way.
    Doing(Step),
    /// Both ends are connected.
    Up,
    /// Nothing is left.
    Over,
}

impl Call {
    /// Sends the command of a step.
    fn send(
        &self,
        now: Instant,
        id: CallId,
        step: Step,
        agent: &mut CallAgent,
    ) -> Result<TransactionId, Full> {
        let [a, b] = &self.legs;
        let codec = self.options.codec.map(|codec| codec.to_string());
        let mode = Some(self.options.mode);
        match step {
            Step::CreateA => {
                // RFC 3435 §2.3.5: without a remote description there is nobody to send to.
                let setup = Setup {
                    mode: Some(Mode::ReceiveOnly),
                    options: self.local_options(codec.as_deref()),
                    remote: None,
                };
                agent.crcx(now, &a.endpoint, id, setup)
            }
            Step::CreateB => {
                let options = self.local_options(codec.as_deref());
                agent.crcx(now, &b.endpoint, id, Setup { mode, options, remote: Some(&a.description) })
            }
            Step::ModifyA => {
                let setup = Setup { mode, options: None, remote: Some(&b.description) };
                agent.mdcx(now, &a.endpoint, id, a.name(), setup)
            }
            Step::DeleteA => agent.dlcx(now, &a.endpoint, Some(id), a.connection),
            Step::DeleteB => agent.dlcx(now, &b.endpoint, Some(id), b.connection),
        }
    }

    fn local_options<'a>(&self, codec: Option<&'a str>) -> Option<LocalConnectionOptions<'a>> {
        let packetization_ms = self.options.ptime_ms.map(|ms| {
            let ms = u32::from(ms.get());
            Range { from: ms, to: ms }
        });
        let codecs: Vec<&str> = codec.into_iter().collect();
        (!codecs.is_empty() || packetization_ms.is_some()).then(|| LocalConnectionOptions {
            codecs,
            packetization_ms,
            ..LocalConnectionOptions::default()
        })
    }

    /// The command of a step has its final response, or, without one, is given up.
    fn answered(&mut self, step: Step, reply: Option<Reply>) {
        let failure = match (step, &reply) {
            (_, None) => Some(Failure::Lost { step }),
            (_, Some(reply)) if !reply.code.is_success() => Some(Failure::Refused { step, code: reply.code }),
            (Step::CreateA | Step::CreateB, Some(reply)) => {
                let complete = reply.connection.is_some() && !reply.descriptions.is_empty();
                (!complete).then_some(Failure::Incomplete { step })
            }
            (Step::ModifyA | Step::DeleteA | Step::DeleteB, Some(_)) => None,
        };
        match step {
            Step::CreateA => self.legs[0].created(reply),
            Step::CreateB => self.legs[1].created(reply),
            Step::ModifyA => {}
            Step::DeleteA => self.legs[0].deleted(reply.and_then(|reply| reply.parameters)),
            Step::DeleteB => self.legs[1].deleted(reply.and_then(|reply| reply.parameters)),
        }
        self.failure = self.failure.or(failure);
        self.state = match step {
            _ if self.failure.is_some() || self.hang_up => self.clearing(),
            Step::CreateA => State::Doing(Step::CreateB),
            Step::CreateB => State::Doing(Step::ModifyA),
            Step::ModifyA => State::Up,
            Step::DeleteA | Step::DeleteB => self.clearing(),
        };
    }

    /// The gateway deleted a connection, or all of this call on an endpoint.
    fn dropped(
        &mut self,
        endpoint: &EndpointName,
        connection: Option<ConnectionId>,
        parameters: Option<ConnectionParameters<'static>>,
    ) {
        let is_meant = |leg: &&mut Leg| match connection {
            Some(_) => leg.connection == connection,
            None => leg.endpoint.is_same_as(endpoint),
        };
        let Some(leg) = self.legs.iter_mut().find(is_meant) else { return };
        leg.deleted(parameters);
        self.failure = self.failure.or(Some(Failure::Dropped));
        if self.state == State::Up {
            self.state = self.clearing();
        }
    }

    /// What is left to delete.
    fn clearing(&self) -> State {
        match &self.legs {
            [a, _] if a.exists => State::Doing(Step::DeleteA),
            [_, b] if b.exists => State::Doing(Step::DeleteB),
            _ => State::Over,
        }
    }
}

/// One end's half.
#[derive(Debug)]
struct Leg {
    endpoint: EndpointName,
    connection: Option<ConnectionId>,
    description: Vec<u8>,
    parameters: Option<ConnectionParameters<'static>>,
    /// Whether there may be a connection to delete.
    exists: bool,
}

impl Leg {
    fn new(endpoint: EndpointName) -> Self {
        Self { endpoint, connection: None, description: Vec::new(), parameters: None, exists: false }
    }

    /// CRCX was answered, or, without a reply, may have been executed all the same.
    fn created(&mut self, reply: Option<Reply>) {
        let Some(reply) = reply else {
            self.exists = true;
            return;
        };
        if reply.code.is_success() {
            self.exists = true;
            self.connection = reply.connection;
            self.description = reply.descriptions.into_iter().next().unwrap_or_default();
            self.endpoint = reply.endpoint.unwrap_or_else(|| self.endpoint.clone());
        }
    }

    fn deleted(&mut self, parameters: Option<ConnectionParameters<'static>>) {
        self.exists = false;
        self.parameters = self.parameters.take().or(parameters);
    }

    fn name(&self) -> ConnectionId {
        self.connection.expect("a created leg without a name has failed")
    }

    fn end(&self) -> End {
        End {
            endpoint: self.endpoint.clone(),
            connection: self.name(),
            description: self.description.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use drivers::line::Law;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::mgcp::message::{Command, Message, Path, Response, Verb};
    use crate::mgcp::parse::parse_datagram;

    const GATEWAY: &str = "192.0.2.1:2427";

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    /// A gateway that does what it is told, once, and notes it down.
    #[derive(Default)]
    struct Gateway {
        answers: HashMap<TransactionId, Vec<u8>>,
        /// Verb, endpoint, and what else matters.
        log: Vec<String>,
        /// What to refuse instead.
        refuse: Option<(Verb, &'static str, ReturnCode)>,
        /// Which verb to be deaf to.
        deaf_to: Option<Verb>,
        connections: u64,
    }

    impl Gateway {
        fn answer(&mut self, octets: &[u8]) -> Option<Vec<u8>> {
            let part = parse_datagram(octets).next().expect("a message");
            let Ok(Message::Command(command)) = part.message else { return None };
            if self.deaf_to == Some(command.verb) {
                return None;
            }
            if let Some(answer) = self.answers.get(&command.transaction) {
                return Some(answer.clone());
            }
            let answer = self.execute(&command);
            self.answers.insert(command.transaction, answer.clone());
            Some(answer)
        }

        fn execute(&mut self, command: &Command<'_>) -> Vec<u8> {
            let endpoint = command.endpoint.to_string();
            let mode = command.parameters.mode.map(|mode| format!(" {mode:?}")).unwrap_or_default();
            let remote = command.descriptions.first();
            let remote = remote.map(|d| format!(" {}", String::from_utf8_lossy(d.trim_ascii_end())));
            self.log.push(format!("{} {endpoint}{mode}{}", command.verb, remote.unwrap_or_default()));
            let mut response = Response::new(ReturnCode::OK, command.transaction);
            let description;
            match command.verb {
                verb if let Some((refused, at, code)) = self.refuse
                    && refused == verb
                    && endpoint.starts_with(at) =>
                {
                    response = Response::new(code, command.transaction);
                }
                Verb::CreateConnection => {
                    self.connections += 1;
                    response.parameters.connections = Some(vec![ConnectionId::from(self.connections)]);
                    if endpoint.starts_with('$') {
                        let chosen = "ds/e1-1/5@gw".parse().expect("a name");
                        response.parameters.specific_endpoints = vec![chosen];
                    }
                    description = format!("sdp-{}", self.connections);
                    response.descriptions.push(description.as_bytes());
                }
                Verb::DeleteConnection => {
                    response = Response::new(ReturnCode::DELETED, command.transaction);
                    let packets_sent = Some(self.log.len() as u32);
                    response.parameters.connection_parameters =
                        Some(ConnectionParameters { packets_sent, ..ConnectionParameters::default() });
                }
                _ => {}
            }
            let mut octets = Vec::new();
            response.write_to(&mut octets);
            octets
        }
    }

    /// Calls, a gateway, and a link between them that loses some of what it carries.
    struct Bench {
        calls: Calls,
        gateway: Gateway,
        now: Instant,
        loss: f64,
        chance: StdRng,
        progress: Vec<(CallId, Progress)>,
    }

    impl Bench {
        fn new(calls_max: usize, transactions_max: usize) -> Self {
            let path = Path { remote: address(GATEWAY), local: address("192.0.2.9:2727") };
            let entity = "ca@[192.0.2.9]:2727".parse().expect("an entity");
            let agent = CallAgent::new(entity, path, "gw", transactions_max, 7);
            Self {
                calls: Calls::new(agent, calls_max, 7),
                gateway: Gateway::default(),
                now: Instant::ZERO,
                loss: 0.0,
                chance: StdRng::seed_from_u64(7),
                progress: Vec::new(),
            }
        }

        fn start(&mut self, a: &str, b: &str) -> Result<CallId, Full> {
            let ends = [a, b].map(|name| self.calls.agent_mut().endpoint(name).expect("a name"));
            let [a, b] = ends;
            self.calls.start(self.now, a, b, CallOptions::default())
        }

        /// Carries datagrams until nothing moves at this time.
        fn settle(&mut self) {
            let mut octets = Vec::new();
            while self.calls.poll_transmit(&mut octets).is_some() {
                if self.chance.random_bool(self.loss) {
                    continue;
                }
                if let Some(answer) = self.gateway.answer(&octets)
                    && !self.chance.random_bool(self.loss)
                {
                    self.calls.handle(self.now, address(GATEWAY), &answer);
                }
            }
            while let Some(event) = self.calls.poll_event() {
                let CallsEvent::Call { call, progress } = event else { panic!("{event:?}") };
                self.progress.push((call, progress));
            }
        }

        /// Lets time pass until `done`.
        fn run(&mut self, done: impl Fn(&Self) -> bool) {
            self.settle();
            while !done(self) {
                self.now = self.calls.poll_timeout().expect("something is left to do").max(self.now);
                self.calls.handle_timeout(self.now);
                self.settle();
            }
        }

        fn ended(&self) -> Option<(&[Option<ConnectionParameters<'static>>; 2], Option<Failure>)> {
            self.progress.iter().find_map(|(_, progress)| match progress {
                Progress::Ended { parameters, failure } => Some((parameters, *failure)),
                Progress::Up { .. } => None,
            })
        }
    }

    #[test]
    fn a_call_is_set_up_in_three_steps_and_taken_down_in_two() {
        let mut bench = Bench::new(1, 8);
        let call = bench.start("ds/e1-1/1", "ds/e1-2/1").expect("there is room");
        bench.settle();
        let [(up, Progress::Up { ends, .. })] = &bench.progress[..] else { panic!("{:?}", bench.progress) };
        let described = ends.each_ref().map(|end| String::from_utf8_lossy(&end.description));
        assert_eq!((*up, described.each_ref().map(|text| text.trim_end())), (call, ["sdp-1", "sdp-2"]));
        assert_eq!(bench.start("ds/e1-1/2", "ds/e1-2/2"), Err(Full));
        bench.calls.hang_up(bench.now, call);
        bench.settle();
        assert_eq!(
            bench.gateway.log,
            [
                "CRCX ds/e1-1/1@gw Known(ReceiveOnly)",
                "CRCX ds/e1-2/1@gw Known(SendReceive) sdp-1",
                "MDCX ds/e1-1/1@gw Known(SendReceive) sdp-2",
                "DLCX ds/e1-1/1@gw",
                "DLCX ds/e1-2/1@gw",
            ]
        );
        let (parameters, failure) = bench.ended().expect("it ended");
        assert_eq!(failure, None);
        let sent = parameters.each_ref().map(|p| p.as_ref().and_then(|p| p.packets_sent));
        assert_eq!(sent, [Some(4), Some(5)]);
        assert!(bench.calls.is_empty());
    }

    #[test]
    fn options_reach_the_gateway() {
        let mut bench = Bench::new(1, 8);
        let [a, b] = ["ds/e1-1/1@gw", "ds/e1-2/1@gw"].map(|name| name.parse().expect("a name"));
        let options = CallOptions {
            codec: Some(Codec::G711(Law::Mu)),
            ptime_ms: NonZeroU8::new(30),
            mode: Mode::Inactive,
        };
        bench.calls.start(bench.now, a, b, options).expect("there is room");
        let mut octets = Vec::new();
        bench.calls.poll_transmit(&mut octets).expect("a CRCX");
        let part = parse_datagram(&octets).next().expect("a message");
        let Ok(Message::Command(command)) = part.message else { panic!("a command") };
        let options = command.parameters.local_options.expect("L");
        assert_eq!(
            (options.codecs, options.packetization_ms),
            (vec!["PCMU"], Some(Range { from: 30, to: 30 }))
        );
    }

    #[test]
    fn the_endpoint_that_was_chosen_is_used_from_then_on() {
        let mut bench = Bench::new(1, 8);
        let call = bench.start("$", "ds/e1-2/1").expect("there is room");
        bench.settle();
        bench.calls.hang_up(bench.now, call);
        bench.settle();
        assert_eq!(bench.gateway.log[0], "CRCX $@gw Known(ReceiveOnly)");
        assert_eq!(bench.gateway.log[3], "DLCX ds/e1-1/5@gw");
    }

    #[test]
    fn what_was_made_is_deleted_when_a_step_is_refused() {
        let code = ReturnCode::NO_COMMON_CODEC;
        for (verb, at, step, deleted) in [
            (Verb::CreateConnection, "ds/e1-1", Step::CreateA, &[][..]),
            (Verb::CreateConnection, "ds/e1-2", Step::CreateB, &["DLCX ds/e1-1/1@gw"]),
            (Verb::ModifyConnection, "", Step::ModifyA, &["DLCX ds/e1-1/1@gw", "DLCX ds/e1-2/1@gw"]),
        ] {
            let mut bench = Bench::new(1, 8);
            bench.gateway.refuse = Some((verb, at, code));
            bench.start("ds/e1-1/1", "ds/e1-2/1").expect("there is room");
            bench.settle();
            assert_eq!(bench.ended().expect("it ended").1, Some(Failure::Refused { step, code }));
            let log = bench.gateway.log.iter().filter(|line| line.starts_with("DLCX"));
            assert_eq!(log.collect::<Vec<_>>(), deleted);
        }
    }

    #[test]
    fn a_lost_crcx_is_deleted_by_call_in_case_it_was_executed() {
        let mut bench = Bench::new(1, 8);
        bench.gateway.deaf_to = Some(Verb::CreateConnection);
        bench.start("ds/e1-1/1", "ds/e1-2/1").expect("there is room");
        bench.run(|bench| bench.ended().is_some());
        assert_eq!(bench.ended().expect("it ended").1, Some(Failure::Lost { step: Step::CreateA }));
        assert_eq!(bench.gateway.log, ["DLCX ds/e1-1/1@gw"]);
    }

    #[test]
    fn a_call_hung_up_early_leaves_nothing() {
        let mut bench = Bench::new(1, 8);
        let call = bench.start("ds/e1-1/1", "ds/e1-2/1").expect("there is room");
        bench.calls.hang_up(bench.now, call);
        bench.settle();
        assert_eq!(bench.gateway.log, ["CRCX ds/e1-1/1@gw Known(ReceiveOnly)", "DLCX ds/e1-1/1@gw"]);
        assert_eq!(bench.ended().expect("it ended").1, None);
    }

    #[test]
    fn a_call_that_the_gateway_drops_is_cleared_at_the_other_end() {
        let mut bench = Bench::new(1, 8);
        let call = bench.start("ds/e1-1/1", "ds/e1-2/1").expect("there is room");
        bench.settle();
        let text =
            format!("DLCX 5 ds/e1-1/1@gw MGCP 1.0\r\nC: {call}\r\nI: 00000001\r\nE: 900\r\nP: PS=42\r\n");
        bench.calls.handle(bench.now, address(GATEWAY), text.as_bytes());
        bench.settle();
        assert_eq!(bench.gateway.log.last().map(String::as_str), Some("DLCX ds/e1-2/1@gw"));
        let (parameters, failure) = bench.ended().expect("it ended");
        assert_eq!(failure, Some(Failure::Dropped));
        assert_eq!(parameters[0].as_ref().and_then(|p| p.packets_sent), Some(42));
    }

    #[test]
    fn what_is_of_no_call_is_passed_on() {
        let mut bench = Bench::new(1, 8);
        let text = "RSIP 5 *@gw MGCP 1.0\r\nRM: restart\r\n";
        bench.calls.handle(bench.now, address(GATEWAY), text.as_bytes());
        assert!(matches!(bench.calls.poll_event(), Some(CallsEvent::Other(Event::Restart { .. }))));
    }

    #[test]
    fn five_hundred_calls_survive_a_lossy_link_with_little_room() {
        let mut bench = Bench::new(500, 32);
        bench.loss = 0.2;
        let ids: Vec<CallId> = (0..500)
            .map(|i| bench.start(&format!("ds/e1-1/{i}"), &format!("ds/e1-2/{i}")).expect("there is room"))
            .collect();
        bench.run(|bench| bench.progress.len() == 500);
        assert!(bench.progress.iter().all(|(_, progress)| matches!(progress, Progress::Up { .. })));
        for id in ids {
            bench.calls.hang_up(bench.now, id);
        }
        bench.run(|bench| bench.calls.is_empty());
        assert_eq!(bench.gateway.log.len(), 500 * 5, "each command was executed once");
        let clean = |progress: &Progress| match progress {
            Progress::Ended { parameters, failure: None } => parameters.iter().all(Option::is_some),
            Progress::Ended { .. } | Progress::Up { .. } => false,
        };
        assert_eq!(bench.progress.iter().filter(|(_, progress)| clean(progress)).count(), 500);
    }
}
