//! The gateway's decisions: pure, driven by whoever owns the sockets and the clock.
//!
//! [`Gateway::handle`] takes what happened, the `poll_*` give what to do. Time, chance and addresses
//! come from outside, so the configuration, the topology, a seed and the inputs decide everything;
//! the [`journal`](crate::journal) keeps the inputs.

mod agents;
mod announce;
mod events;
mod farewell;
mod line_watch;
mod notifications;
mod reconnect;
mod service;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use dataplane::link::{Order, OrderId, Outcome, Report};
use drivers::line::SpanId;
use drivers::time::{Epoch, Instant};
use rand::RngExt;
use tracing::{debug, info, trace, warn};

use crate::change::ExecutionId;
use crate::command::state::State;
use crate::command::{self, Committed, conflicts, response};
use crate::config::{AlarmConfig, Config, ServiceConfig};
use crate::endpoint::restart::News;
use crate::endpoint::{EndpointId, Outage};
use crate::journal::Journal;
use crate::ledger::{Ledger, Usage};
use crate::metrics::{Counter, Counters};
use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::{Command, Message, Path, Response, Verb};
use crate::mgcp::parse::{ParseError, parse_datagram};
use crate::mgcp::transaction::{
    Answer, Disposition, Incoming, IncomingSettings, Outgoing, OutgoingSettings, PaceSettings, Ticket,
};
use crate::notified_entity::Directory;
use crate::timer::{TimerId, Timers};
use crate::topology::{CoreId, Topology};

use self::agents::{Agents, Source};
use self::announce::Announcer;
use self::farewell::Farewell;
use self::line_watch::LineWatch;
use self::notifications::Teller;
use self::reconnect::{ReconnectSettings, Silence};
use self::service::SpanService;

/// A transaction that takes longer is answered 100 or 101 meanwhile. Some call agents take that for the end, so
/// only what is really slow says so.
const PROVISIONAL_AFTER: Duration = Duration::from_millis(200);

/// Commands of ours that can be under way at a time, beside two of each endpoint: what is told of its service
/// state, and of its events.
const OUTGOING_MORE: usize = 1_024;

/// What is sent at the end is waited for no longer than this.
const SHUTDOWN_MAX: Duration = Duration::from_millis(400);

/// What happens to the gateway.
#[derive(Clone, PartialEq, Debug)]
pub enum Input<'a> {
    /// A datagram came to an MGCP port.
    Datagram {
        /// From where, and to which of our addresses.
        path: Path,
        /// What it holds.
        octets: &'a [u8],
    },
    /// A core has something to say.
    Report {
        /// The core.
        core: CoreId,
        /// What it says.
        report: Report,
    },
    /// A name has been looked up; without addresses, in vain.
    Resolved {
        /// The name.
        host: String,
        /// What it stands for.
        addresses: Vec<IpAddr>,
        /// How long that holds.
        ttl: Duration,
    },
    /// The network says that it could not deliver a datagram of ours.
    Undelivered {
        /// Where it went.
        remote: SocketAddr,
        /// How it began.
        octets: &'a [u8],
    },
    /// The time that `poll_timeout` gave has come.
    Timeout,
    /// The operator wants it to end: in-service endpoints are taken out of service.
    Shutdown,
    /// The operator wants it to end with its last call.
    Graceful,
    /// The operator wants it to stay after all.
    CancelGraceful,
    /// The operator wants circuits of a span in service, or out of it.
    Service {
        /// The span.
        span: SpanId,
        /// How it is to be from now on.
        service: ServiceConfig,
    },
}

/// The gateway. `(configuration, topology, seed, inputs)` decide everything it says and orders.
///
/// Whoever drives it calls [`handle`](Self::handle) with what happened, then drains the `poll_*`.
#[derive(Debug)]
pub struct Gateway {
    agents: Agents,
    executing_max: usize,
    /// Whether so many commands are under way that those who send them are told.
    is_queueing: bool,
    state: State,
    incoming: Incoming<About>,
    outgoing: Outgoing,
    /// Messages that wait for the end of a command that came before them in their datagram.
    held: BTreeMap<ExecutionId, Held>,
    /// Those whose wait is over.
    resumed: VecDeque<Held>,
    /// Responses to what never became a transaction.
    refusals: VecDeque<(Path, Vec<u8>)>,
    directory: Directory,
    announcer: Announcer,
    teller: Teller,
    /// Connections that the gateway is ending, by the order that does it.
    farewells: BTreeMap<ExecutionId, Farewell>,
    /// What the timers of endpoints are set for.
    endpoint_timers: BTreeMap<EndpointId, (Instant, TimerId)>,
    /// Call agents that some endpoints cannot reach.
    silences: Vec<Silence>,
    silence_number: u64,
    reconnect: ReconnectSettings,
    graceful_stop_max: Option<Duration>,
    /// By span.
    lines: Vec<LineWatch>,
    services: Vec<SpanService>,
    alarm_hold: AlarmConfig,
    timers: Timers<Due>,
    execution_max: Duration,
    /// T-MAX
    transaction_max: Duration,
    journal: Journal,
    counters: Counters,
    phase: Phase,
}

/// What is kept with a transaction of others.
#[derive(Clone, Default, Debug)]
struct About {
    /// Endpoints whose RSIPs are to be ahead of its responses.
    ahead: Vec<EndpointId>,
    /// What carries it out.
    execution: Option<ExecutionId>,
}

/// The rest of a datagram.
#[derive(Debug)]
struct Held {
    path: Path,
    octets: Vec<u8>,
    /// The commands that came before it in its datagram and were under way.
    begun: Vec<ExecutionId>,
}

/// What a timer is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Due {
    /// To tell call agents what is owed to them.
    Announce,
    /// To tell a call agent again that endpoints could not reach it.
    Reconnect(u64),
    /// To end a graceful stop that has taken long enough.
    Leave,
    /// To give up a command whose orders are not carried out.
    GiveUp(ExecutionId),
    /// To have a line's alarms count, or no longer.
    LineChange(SpanId),
    /// To take a span out of service, though calls are up.
    Drained(SpanId),
    /// An endpoint's dialling, or a signal of its, has taken long enough.
    Endpoint(EndpointId),
    /// To end, whether all have answered or not.
    End,
}

/// Whether the gateway is coming or going.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Running,
    /// It will stop with its last call, or when this timer fires.
    Leaving(Option<TimerId>),
    Stopping,
    Ended,
}

impl Phase {
    /// Whether endpoints are in service.
    const fn is_up(self) -> bool {
        matches!(self, Self::Running | Self::Leaving(_))
    }
}

impl Gateway {
    /// A gateway with all endpoints idle, about to announce itself.
    pub fn new(config: &Config, topology: &Topology, seed: u64, epoch: Epoch, now: Instant) -> Self {
        let mgcp = &config.mgcp;
        let mut state = State::new(config, topology, seed, epoch);
        let incoming = IncomingSettings {
            response_history: mgcp.response_history,
            transactions_max: mgcp.transactions_max,
            provisional_after: Some(PROVISIONAL_AFTER),
            secret: seed,
        };
        let outgoing = OutgoingSettings {
            transaction_max: mgcp.transaction_max,
            response_history: mgcp.response_history,
            suspicion: mgcp.suspicion_repetitions,
            disconnection: mgcp.disconnection_repetitions,
            transactions_max: state.endpoints.ids().count() * 2 + OUTGOING_MORE,
            pace: PaceSettings {
                window_max: mgcp.outstanding_max,
                window_min: mgcp.outstanding_min,
                slow_after: mgcp.slow_answer,
            },
        };
        // RFC 3435 §3.5.6: a transaction runs no longer than about T-HIST less T-MAX.
        let execution_max = mgcp.response_history.saturating_sub(mgcp.transaction_max);
        let mut gateway = Self {
            agents: Agents::new(config, &state.endpoints),
            executing_max: mgcp.executing_max,
            is_queueing: false,
            incoming: Incoming::new(incoming),
            // A seed of its own: transaction ids are seen by others, and must not tell of `seed`.
            outgoing: Outgoing::new(outgoing, state.rng.random()),
            state,
            held: BTreeMap::new(),
            resumed: VecDeque::new(),
            refusals: VecDeque::new(),
            directory: Directory::new(&mgcp.listen),
            announcer: Announcer::new(mgcp.restart_wait_max),
            teller: Teller::default(),
            farewells: BTreeMap::new(),
            endpoint_timers: BTreeMap::new(),
            silences: Vec::new(),
            silence_number: 0,
            reconnect: ReconnectSettings {
                suspicion_look_up: mgcp.suspicion_look_up,
                disconnection_look_up: mgcp.disconnection_look_up,
                wait_min: mgcp.disconnected_wait_min,
                wait_first: mgcp.disconnected_wait_first,
                wait_max: mgcp.disconnected_wait_max,
            },
            graceful_stop_max: mgcp.graceful_stop_max,
            lines: vec![LineWatch::default(); topology.spans.len()],
            services: Vec::new(),
            alarm_hold: config.alarms,
            timers: Timers::default(),
            transaction_max: mgcp.transaction_max,
            execution_max: execution_max.max(Duration::from_secs(1)),
            journal: Journal::new(config.journal.octets_max, seed, epoch, now),
            counters: Counters::default(),
            phase: Phase::Running,
        };
        gateway.begin_service(config);
        gateway.begin(now, config);
        gateway
    }

    /// Takes in what happened at `now`.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        match &input {
            Input::Datagram { path, .. } if !self.is_admitted(now, path.remote) => return,
            Input::Timeout if self.poll_timeout().is_none_or(|at| at > now) => return,
            Input::Undelivered { remote, octets } if self.outgoing.undelivered(*remote, octets).is_none() => {
                return;
            }
            _ => self.journal.record(now, &input),
        }
        self.state.now = now;
        match input {
            Input::Datagram { path, octets } => self.datagram(now, path, octets),
            Input::Report { core, report } => self.report(now, core, report),
            Input::Resolved { host, addresses, ttl } => {
                self.directory.resolved(now, &host, addresses, ttl);
                self.take_new_ways(now);
                self.teller.retry();
                self.announce_unless_starting(now);
            }
            Input::Undelivered { remote, octets } => {
                self.counters.count(Counter::Undelivered);
                let id = self.outgoing.undelivered(remote, octets);
                id.into_iter().for_each(|id| self.outgoing.turn_away(now, id));
            }
            Input::Timeout => self.timeout(now),
            Input::Shutdown => self.shut_down(now),
            Input::Graceful => self.leave(now),
            Input::CancelGraceful => self.stay(now),
            Input::Service { span, service } => self.serve(now, span, service),
        }
        while let Some(Held { path, octets, begun }) = self.resumed.pop_front() {
            self.messages(now, path, &octets, begun);
        }
        self.promise();
        self.notice_lost(now);
        self.settle(now);
        self.end_drained(now);
        self.leave_if_idle(now);
    }

    /// A datagram to send, written over what `octets` held, and the way it goes.
    pub fn poll_transmit(&mut self, octets: &mut Vec<u8>) -> Option<Path> {
        // RFC 3435 §4.4.6: RSIP is to be seen before responses, so our own commands go first.
        if let Some(path) = self.outgoing.poll_transmit(octets) {
            return Some(path);
        }
        if let Some((path, About { ahead, .. })) = self.incoming.poll_transmit(octets) {
            if self.agents.of(path.remote.ip()).is_none_or(|agent| agent.piggyback && agent.rsip) {
                self.put_ahead(&ahead, octets);
            }
            return Some(path);
        }
        if let Some((path, refusal)) = self.refusals.pop_front() {
            octets.clear();
            octets.extend_from_slice(&refusal);
            return Some(path);
        }
        self.send_notifications();
        self.outgoing.poll_transmit(octets)
    }

    /// An order for a core's ring, which has room for it.
    pub fn poll_order(&mut self) -> Option<(CoreId, Order)> {
        self.state.orders.poll()
    }

    /// A host name to look up; the answer is [`Input::Resolved`].
    pub fn poll_resolve(&mut self) -> Option<String> {
        self.directory.poll_resolve()
    }

    /// The next lines of the journal, each ended by a line feed, for a file.
    pub fn poll_journal(&mut self) -> Option<String> {
        self.journal.poll()
    }

    /// When [`Input::Timeout`] is wanted next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let all = [self.timers.next(), self.incoming.poll_timeout(), self.outgoing.poll_timeout()];
        all.into_iter().flatten().min()
    }

    /// Whether an [`Input::Shutdown`] has been carried out: nothing more will be sent.
    pub fn is_finished(&self) -> bool {
        let told = self.announcer.is_settled() && !self.directory.is_asking();
        let settled = told && self.state.orders.is_empty();
        match self.phase {
            Phase::Running | Phase::Leaving(_) => false,
            Phase::Stopping => settled,
            Phase::Ended => true,
        }
    }

    /// Whether an [`Input::Graceful`] is being carried out.
    pub fn is_leaving(&self) -> bool {
        matches!(self.phase, Phase::Leaving(_))
    }

    /// What has been counted.
    pub fn counters(&self) -> Counters {
        let mut counters = self.counters.clone();
        let (incoming, outgoing) = (self.incoming.counters(), self.outgoing.counters());
        counters.set(Counter::Repeated, incoming.repeated);
        counters.set(Counter::Evicted, incoming.evicted);
        counters.set(Counter::Stray, outgoing.strays);
        counters.set(Counter::Resent, outgoing.repeated);
        counters.set(Counter::Unanswered, outgoing.lost);
        counters
    }

    /// Connections and port pairs, and how many of them are used.
    pub fn ledger(&self) -> &Ledger {
        &self.state.ledger
    }

    /// The cores' rings, and how many orders are waiting or under way.
    pub fn rings(&self) -> impl Iterator<Item = (CoreId, Usage)> + '_ {
        self.state.orders.usage()
    }

    /// The journal.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Endpoints, connections and the ledger in words: the same for gateways in the same state.
    pub fn digest(&self) -> String {
        let endpoints: Vec<_> = self.state.endpoints.iter().collect();
        format!("{:?} {:?} {:?}", endpoints, self.state.ledger, self.state.executions)
    }

    /// Drops all that there is to do, because it has been done before.
    pub(crate) fn drain(&mut self) {
        let mut octets = Vec::new();
        while self.poll_order().is_some() {}
        while self.poll_transmit(&mut octets).is_some() {}
        while self.poll_resolve().is_some() {}
    }

    fn datagram(&mut self, now: Instant, path: Path, octets: &[u8]) {
        self.counters.count(Counter::Datagrams);
        trace!(from = %path.remote, message = %octets.escape_ascii(), "received");
        self.messages(now, path, octets, Vec::new());
    }

    /// Takes in the messages of a datagram, behind the commands that it has `begun`.
    // RFC 3435 §3.5.5: each is processed to completion, and in order. Commands for different endpoints
    // cannot tell, so only one for an endpoint of an earlier one waits for the end of that.
    fn messages(&mut self, now: Instant, path: Path, octets: &[u8], mut begun: Vec<ExecutionId>) {
        let agent = self.agents.of(path.remote.ip());
        self.state.scope = agent.and_then(|agent| agent.endpoints.clone());
        self.state.packages.set_telephones(agent.is_some_and(|agent| agent.telephones));
        let mut parts = parse_datagram(octets);
        loop {
            let rest = parts.rest();
            let Some(part) = parts.next() else { return };
            match part.message {
                Ok(Message::Command(command)) => {
                    if let Some(id) = conflicts::still_at(&self.state, &command, &begun) {
                        self.held.insert(id, Held { path, octets: rest.to_vec(), begun });
                        return;
                    }
                    begun.extend(self.command(now, path, &command, part.octets));
                }
                Ok(Message::Response(response)) => self.response(now, path, &response),
                Err(error) => self.malformed(path, &error),
            }
        }
    }

    fn malformed(&mut self, path: Path, error: &ParseError) {
        self.counters.count(Counter::Malformed);
        if self.counters.value(Counter::Malformed).is_power_of_two() {
            let n = self.counters.value(Counter::Malformed);
            warn!(from = %path.remote, n, offset = error.offset, rule = error.rule, "malformed MGCP");
        }
        if let Some(transaction) = error.transaction {
            let octets = Response::new(error.code, transaction).to_octets();
            self.refuse(path, error.code, octets);
        }
    }

    /// Carries a command out; which execution that is, if it takes longer.
    fn command(
        &mut self,
        now: Instant,
        path: Path,
        command: &Command<'_>,
        octets: &[u8],
    ) -> Option<ExecutionId> {
        if let Some(ranges) = &command.parameters.response_ack {
            self.incoming.acknowledged(now, path.remote, ranges);
        }
        let ticket = match self.incoming.receive(now, path, command.transaction, octets) {
            Disposition::New(ticket) => ticket,
            Disposition::Known => {
                // Its response may be sent again: behind what is to be told now.
                let _ = self.announce_first(now, path, command);
                return None;
            }
            Disposition::Full => {
                let response = Response::new(ReturnCode::OVERLOAD, command.transaction);
                self.refuse(path, ReturnCode::OVERLOAD, response.to_octets());
                return None;
            }
        };
        self.counters.count(counter_of(command.verb));
        let is_osmocoms = command::selected::is_osmocoms(&command.endpoint);
        if is_osmocoms || self.agents.of(path.remote.ip()).is_some_and(|agent| !agent.provisional) {
            self.incoming.promise_nothing(ticket);
        }
        // RFC 3435 §4.4.8: who has too much to do says 409. New calls go first, what ends calls never.
        if command.verb == Verb::CreateConnection && self.state.executions.len() >= self.executing_max {
            self.counters.count(Counter::Shed);
            let code = ReturnCode::OVERLOAD;
            let octets = Response::new(code, command.transaction).to_octets();
            self.answer(now, ticket, code, octets);
            return None;
        }
        let ahead = match self.announce_first(now, path, command) {
            // Osmocom's call agents take the first message of a datagram for the response.
            Ok(_) if is_osmocoms => Vec::new(),
            Ok(ahead) => ahead,
            Err(code) => {
                let octets = Response::new(code, command.transaction).to_octets();
                self.answer(now, ticket, code, octets);
                return None;
            }
        };
        if !ahead.is_empty() {
            self.incoming.note(ticket, About { ahead: ahead.clone(), execution: None });
        }
        for id in conflicts::aborted_by(&self.state, command) {
            self.abort(now, id, ReturnCode::ABORTED);
        }
        let planned = command::plan(&self.state, path, command);
        let code = planned.as_ref().map_or_else(|code| *code, |_| ReturnCode::OK);
        debug!(from = %path.remote, verb = %command.verb, transaction = command.transaction.0,
            endpoint = %command.endpoint, %code, "command");
        match planned {
            Ok(plan) => {
                if command.verb == Verb::CreateConnection {
                    self.counters.count(Counter::ConnectionsMade);
                }
                let committed = command::commit(&mut self.state, now, ticket, command, plan);
                self.follow(now, command);
                self.follow_notifications(now, command);
                match committed {
                    Committed::UnderWay(id) => {
                        self.incoming.note(ticket, About { ahead, execution: Some(id) });
                        self.watch(now, id);
                        self.queue_up(ticket);
                        return Some(id);
                    }
                    Committed::Done(octets) => self.answer(now, ticket, ReturnCode::OK, octets),
                }
            }
            Err(code) => {
                let octets = response::refusal(&self.state, code, command);
                self.answer(now, ticket, code, octets);
            }
        }
        None
    }

    /// Sees to it that a command whose orders are not carried out ends.
    fn watch(&mut self, now: Instant, id: ExecutionId) {
        let timer = self.timers.set(now + self.execution_max, Due::GiveUp(id));
        if let Some(execution) = self.state.executions.get_mut(&id) {
            execution.deadline = Some(timer);
        }
    }

    /// Has a command promised an answer at once while there is a queue of them.
    // RFC 3435 §4.4.8: from the high-water mark of the queue down to its low-water mark, 101 is sent for new
    // transactions and for repeated ones. Those under way are our queue: their orders wait in the rings.
    fn queue_up(&mut self, ticket: Ticket) {
        self.note_queue();
        if self.is_queueing {
            self.incoming.promise_now(ticket);
        }
    }

    fn note_queue(&mut self) {
        let queue = self.state.executions.len();
        let (high, low) = ((self.executing_max * 3).div_ceil(4), self.executing_max / 2);
        self.is_queueing = queue >= high || self.is_queueing && queue > low;
    }

    /// Promises final responses to those that wait for them.
    // RFC 3435 §3.5.6: what is known of a connection that is made or changed is told already.
    fn promise(&mut self) {
        while let Some((promise, transaction, about)) = self.incoming.poll_promise() {
            self.note_queue();
            let execution = about.execution.and_then(|id| self.state.executions.get(&id));
            let octets = match execution {
                _ if self.is_queueing => Response::new(ReturnCode::QUEUED, transaction).to_octets(),
                Some(execution) => execution.promise(),
                None => Response::new(ReturnCode::EXECUTING, transaction).to_octets(),
            };
            self.counters.count(Counter::Promised);
            self.incoming.promise(promise, octets);
        }
    }

    fn abort(&mut self, now: Instant, id: ExecutionId, code: ReturnCode) {
        if let Some(execution) = self.state.abort(id) {
            execution.deadline.into_iter().for_each(|timer| self.timers.cancel(timer));
            let acknowledge = self.incoming.wants_acknowledgement(execution.ticket);
            self.answer(now, execution.ticket, code, execution.refusal(code, acknowledge));
            self.resumed.extend(self.held.remove(&id));
        }
    }

    fn finish(&mut self, now: Instant, id: ExecutionId) {
        if let Some((execution, result)) = self.state.finish(id) {
            execution.deadline.into_iter().for_each(|timer| self.timers.cancel(timer));
            let acknowledge = self.incoming.wants_acknowledgement(execution.ticket);
            let response = result.and_then(|()| execution.response(&self.state, acknowledge));
            let (code, octets) = match response {
                Ok(octets) => (ReturnCode::OK, octets),
                Err(code) => (code, execution.refusal(code, acknowledge)),
            };
            self.answer(now, execution.ticket, code, octets);
            self.resumed.extend(self.held.remove(&id));
        }
    }

    fn answer(&mut self, now: Instant, ticket: Ticket, code: ReturnCode, octets: Vec<u8>) {
        self.count_answer(code);
        // RFC 3435 §4.4.6: these may be seen before RSIP.
        if [ReturnCode::RESTARTING, ReturnCode::ENDPOINT_NOT_READY, ReturnCode::RESTARTING_PERMANENT]
            .contains(&code)
        {
            self.incoming.note(ticket, About::default());
        }
        self.incoming.answer(now, ticket, octets);
    }

    fn refuse(&mut self, path: Path, code: ReturnCode, octets: Vec<u8>) {
        self.count_answer(code);
        self.refusals.push_back((path, octets));
    }

    fn count_answer(&mut self, code: ReturnCode) {
        self.counters.count(match code {
            code if code.is_success() => Counter::Succeeded,
            code if code.is_transient() => Counter::RefusedForNow,
            _ => Counter::Refused,
        });
    }

    fn response(&mut self, now: Instant, path: Path, response: &Response<'_>) {
        // RFC 3435 §3.5.6: 000 acknowledges a final response of ours.
        if response.code.is_acknowledgement() {
            let id = response.transaction;
            let range = crate::mgcp::message::TransactionRange { from: id, to: id };
            return self.incoming.acknowledged(now, path.remote, &[range]);
        }
        match self.outgoing.receive(now, path, response) {
            Answer::Final if self.notification_answered(now, response) => {}
            Answer::Final => self.answered(now, response),
            Answer::Provisional | Answer::Stray => {}
        }
    }

    fn report(&mut self, now: Instant, core: CoreId, report: Report) {
        match report {
            Report::Done { id, outcome } => self.done(now, core, id, &outcome),
            Report::Span { span, event } => self.span_event(now, span, event),
            Report::Observed { side, at, what } => self.observed(core, side, at, what),
        }
    }

    fn done(&mut self, now: Instant, core: CoreId, id: OrderId, outcome: &Outcome) {
        let Some(id) = self.state.orders.done(core, id) else { return };
        if self.farewells.contains_key(&id) {
            let seen = if let Outcome::Seen(stats) = outcome { Some(*stats) } else { None };
            return self.said_farewell(now, id, seen);
        }
        // An aborted command is gone; its orders come in all the same.
        let Some(execution) = self.state.executions.get_mut(&id) else { return };
        if let Outcome::Seen(stats) = outcome {
            execution.stats = Some(*stats);
        }
        execution.outstanding -= 1;
        if execution.outstanding == 0 {
            self.finish(now, id);
        }
    }

    fn timeout(&mut self, now: Instant) {
        self.incoming.handle_timeout(now);
        self.outgoing.handle_timeout(now);
        while let Some(due) = self.timers.pop_due(now) {
            match due {
                Due::Announce => self.announce(now, None),
                Due::Reconnect(number) => self.reconnect(now, number),
                Due::Leave => self.shut_down(now),
                Due::GiveUp(id) => {
                    warn!("a core does not carry out its orders");
                    self.abort(now, id, ReturnCode::TIMED_OUT);
                }
                Due::LineChange(span) => self.change_line(now, span),
                Due::Drained(span) => self.drained(now, span),
                Due::Endpoint(id) => self.endpoint_due(now, id),
                Due::End => self.phase = Phase::Ended,
            }
        }
    }

    /// Takes all endpoints out of service and tells their call agents so.
    // RFC 3435 §2.3.12: RSIP `forced` is a courtesy; nobody can rely on it, so it is not waited for
    // longer than an operator would.
    fn shut_down(&mut self, now: Instant) {
        if !self.phase.is_up() {
            return;
        }
        let connections = self.state.ledger.connections();
        info!(connections = connections.used, at_most = connections.high_water, "taking all out of service");
        self.phase = Phase::Stopping;
        let endpoints: Vec<_> = self.state.endpoints.ids().collect();
        self.set_outage(now, &endpoints, Some(Outage::Shutdown));
        self.announce(now, None);
        self.timers.set(now + SHUTDOWN_MAX, Due::End);
    }

    /// Tells call agents that all endpoints will be out of service, and waits for the end of their calls.
    // RFC 3435 §2.3.12: with `graceful`, connections stay, and call agents make no new ones.
    fn leave(&mut self, now: Instant) {
        if self.phase != Phase::Running {
            return;
        }
        info!("stopping with the last call");
        let until = self.graceful_stop_max.map(|max| now + max);
        self.phase = Phase::Leaving(until.map(|until| self.timers.set(until, Due::Leave)));
        let endpoints: Vec<_> = self.state.endpoints.ids().collect();
        self.tell_news(&endpoints, News::Graceful { until });
        self.announce_unless_starting(now);
    }

    /// Calls that off.
    fn stay(&mut self, now: Instant) {
        let Phase::Leaving(timer) = self.phase else { return };
        info!("not stopping after all");
        timer.into_iter().for_each(|timer| self.timers.cancel(timer));
        self.phase = Phase::Running;
        let endpoints = self.not_draining();
        self.tell_news(&endpoints, News::CancelGraceful);
        self.announce_unless_starting(now);
    }

    fn leave_if_idle(&mut self, now: Instant) {
        let is_idle = self.state.ledger.is_empty() && self.state.executions.is_empty();
        if is_idle && matches!(self.phase, Phase::Leaving(_)) {
            self.shut_down(now);
        }
    }

    fn is_admitted(&mut self, now: Instant, source: SocketAddr) -> bool {
        let counter = match self.agents.admit(now, source.ip()) {
            Source::Known => return true,
            Source::Unknown => Counter::DroppedSource,
            Source::TooFast => Counter::DroppedRate,
        };
        self.counters.count(counter);
        let n = self.counters.value(counter);
        if n.is_power_of_two() {
            warn!(from = %source, n, why = counter.name(), "MGCP dropped");
        }
        false
    }
}

const fn counter_of(verb: Verb) -> Counter {
    match verb {
        Verb::EndpointConfiguration => Counter::EndpointConfiguration,
        Verb::CreateConnection => Counter::CreateConnection,
        Verb::ModifyConnection => Counter::ModifyConnection,
        Verb::DeleteConnection => Counter::DeleteConnection,
        Verb::NotificationRequest => Counter::NotificationRequest,
        Verb::AuditEndpoint => Counter::AuditEndpoint,
        Verb::AuditConnection => Counter::AuditConnection,
        Verb::Notify | Verb::RestartInProgress | Verb::Other(_) => Counter::OtherCommand,
    }
}
