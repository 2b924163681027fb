//! The gateway's decisions: pure, driven by whoever owns the sockets and the clock.
//!
//! [`Gateway::handle`] takes what happened, the `poll_*` give what to do. Time, chance and addresses
//! come from outside, so the configuration, the topology, a seed and the inputs decide everything;
//! the [`journal`](crate::journal) keeps the inputs.

mod agents;
mod announce;
mod commands;
mod events;
mod farewell;
mod line_watch;
mod notifications;
mod reconnect;
mod service;
mod stop;
#[cfg(test)]
mod tests;
mod unreachable;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use dataplane::link::{Order, OrderId, Outcome, Report};
use drivers::line::SpanId;
use drivers::time::{Epoch, Instant};
use rand::RngExt;
use tracing::error;

use crate::change::ExecutionId;
use crate::command::state::State;
use crate::config::{AlarmConfig, Config};
use crate::endpoint::{Endpoint, EndpointId};
use crate::input::Input;
use crate::journal::Journal;
use crate::ledger::{Ledger, Usage};
use crate::metrics::{Counter, Counters};
use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::{Path, Response, TransactionRange};
use crate::mgcp::transaction::{
    Answer, Incoming, IncomingSettings, Outgoing, OutgoingSettings, PaceSettings,
};
use crate::notified_entity::Directory;
use crate::timer::{TimerId, Timers};
use crate::topology::{CoreId, Topology};

use self::agents::Agents;
use self::announce::Announcer;
use self::commands::{About, Held};
use self::farewell::Farewell;
use self::line_watch::LineWatch;
use self::notifications::Teller;
use self::reconnect::{ReconnectSettings, Silence};
use self::service::SpanService;
use self::stop::Phase;

/// A transaction that takes longer is answered 100 or 101 meanwhile. Some call agents take that for the end, so
/// only what is really slow says so.
const PROVISIONAL_AFTER: Duration = Duration::from_millis(200);

/// Commands of ours that can be under way at a time, beside two of each endpoint: what is told of its service
/// state, and of its events.
const OUTGOING_MORE: usize = 1_024;

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
    /// The held messages whose wait is over.
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
    /// The spans that go out of service with their last call.
    draining: BTreeSet<SpanId>,
    alarm_hold: AlarmConfig,
    timers: Timers<Due>,
    execution_max: Duration,
    /// T-MAX
    transaction_max: Duration,
    journal: Journal,
    counters: Counters,
    phase: Phase,
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
        let endpoints = state.endpoints.ids().count();
        let outgoing = OutgoingSettings {
            transaction_max: mgcp.transaction_max,
            response_history: mgcp.response_history,
            suspicion: mgcp.suspicion_repetitions,
            disconnection: mgcp.disconnection_repetitions,
            transactions_max: endpoints * 2 + OUTGOING_MORE,
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
            teller: Teller::new(endpoints),
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
            draining: BTreeSet::new(),
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
            Input::Unreachable { local, remote, .. } if self.unreachable_of(*local, *remote).is_none() => {
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
            Input::Unreachable { local, remote, code } => self.unreachable(local, remote, code),
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
        counters.set(Counter::TransactionsFull, incoming.refused);
        counters.set(Counter::Stray, outgoing.strays);
        counters.set(Counter::Resent, outgoing.repeated);
        counters.set(Counter::Unanswered, outgoing.lost);
        counters.set(Counter::PutOff, outgoing.refused);
        counters.set(Counter::NamesFull, self.directory.refused());
        counters.set(Counter::FarewellsLost, self.teller.dropped());
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

    /// How many commands are under way.
    pub fn executing(&self) -> usize {
        self.state.executions.len()
    }

    /// How many endpoints are of a kind.
    pub fn count_endpoints(&self, is_of_it: impl Fn(&Endpoint) -> bool) -> usize {
        self.state.endpoints.iter().filter(|(_, endpoint)| is_of_it(endpoint)).count()
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

    fn response(&mut self, now: Instant, path: Path, response: &Response<'_>) {
        // RFC 3435 §3.5.6: 000 acknowledges a final response of ours.
        if response.code.is_acknowledgement() {
            let id = response.transaction;
            let range = TransactionRange { from: id, to: id };
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
                    error!("a core does not carry out its orders; the command is given up");
                    self.abort(now, id, ReturnCode::TIMED_OUT);
                }
                Due::LineChange(span) => self.change_line(now, span),
                Due::Drained(span) => self.drained(now, span),
                Due::Endpoint(id) => self.endpoint_due(now, id),
                Due::End => self.phase = Phase::Ended,
            }
        }
    }
}
