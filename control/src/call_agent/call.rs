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
                    let call = self.calls.get_mut(&id).expect("it is one of ours");
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
        let (id, step) = self.transactions.remove(&transaction).expect("it is one of ours");
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
                let call = self.calls.remove(&id).expect("it was there just now");
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
