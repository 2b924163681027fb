//! Commands as they come: from a datagram's messages to their answers (RFC 3435 §3.5).
//!
//! What a command does is for [`command`] to plan and to commit. Here is seen to what is around it: that
//! it is new, that what came before it is done, that what it steps in front of ends, and that there will
//! be an answer.

use std::net::SocketAddr;

use drivers::time::Instant;
use tracing::{debug, trace, warn};

use super::agents::Source;
use super::{Due, Gateway};
use crate::change::ExecutionId;
use crate::command::{self, Committed, conflicts, osmocom, response};
use crate::endpoint::EndpointId;
use crate::metrics::Counter;
use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::{Command, Message, Path, Response, Verb, Version};
use crate::mgcp::parse::{ParseError, parse_datagram};
use crate::mgcp::transaction::{Disposition, Ticket};

/// What is kept with a transaction of others.
#[derive(Clone, Default, Debug)]
pub(super) struct About {
    /// Endpoints whose RSIPs are to be ahead of its responses.
    pub(super) ahead: Vec<EndpointId>,
    /// What carries it out.
    pub(super) execution: Option<ExecutionId>,
}

/// The rest of a datagram.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) path: Path,
    pub(super) octets: Vec<u8>,
    /// The commands that came before it in its datagram and were under way.
    pub(super) begun: Vec<ExecutionId>,
}

impl Gateway {
    /// Whether a datagram from there is read at all.
    pub(super) fn is_admitted(&mut self, now: Instant, source: SocketAddr) -> bool {
        let counter = match self.agents.admit(now, source.ip()) {
            Source::Known => return true,
            Source::Unknown => Counter::DroppedSource,
            Source::TooFast => Counter::DroppedRate,
        };
        if let Some(n) = self.counters.count_seldom(counter) {
            warn!(from = %source, n, why = counter.name(), "MGCP dropped");
        }
        false
    }

    /// Takes in a datagram.
    pub(super) fn datagram(&mut self, now: Instant, path: Path, octets: &[u8]) {
        self.counters.count(Counter::Datagrams);
        trace!(from = %path.remote, message = %octets.escape_ascii(), "received");
        self.messages(now, path, octets, Vec::new());
    }

    /// Takes in the messages of a datagram, behind the commands that it has `begun`.
    // RFC 3435 §3.5.5: each is processed to completion, and in order. Commands for different endpoints
    // cannot tell, so only one for an endpoint of an earlier one waits for the end of that.
    pub(super) fn messages(&mut self, now: Instant, path: Path, octets: &[u8], mut begun: Vec<ExecutionId>) {
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
        if let Some(n) = self.counters.count_seldom(Counter::Malformed) {
            warn!(from = %path.remote, n, offset = error.offset, rule = error.rule, "malformed MGCP");
        }
        if let Some(transaction) = error.transaction {
            let octets = Response::new(error.code, transaction).to_octets();
            self.refuse(path, error.code, octets);
        }
    }

    /// Carries a command out, if it is new; which execution that is, if it takes longer.
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
        match self.incoming.receive(now, path, command.transaction, octets) {
            Disposition::New(ticket) => {
                self.counters.count(counter_of(command.verb));
                self.execute(now, path, command, ticket)
            }
            Disposition::Known => {
                // Its response may be sent again: behind what is to be told now.
                let _ = self.announce_first(now, path, command);
                None
            }
            Disposition::Full => {
                let response = Response::new(ReturnCode::OVERLOAD, command.transaction);
                self.refuse(path, ReturnCode::OVERLOAD, response.to_octets());
                None
            }
        }
    }

    fn execute(
        &mut self,
        now: Instant,
        path: Path,
        command: &Command<'_>,
        ticket: Ticket,
    ) -> Option<ExecutionId> {
        let takes_no_promise = self.agents.of(path.remote.ip()).is_some_and(|agent| !agent.provisional);
        if takes_no_promise || osmocom::is_theirs(&command.endpoint) {
            self.incoming.promise_nothing(ticket);
        }
        let ahead = match self.may_begin(now, path, command) {
            Ok(ahead) => ahead,
            Err(code) => {
                self.answer(now, ticket, code, Response::new(code, command.transaction).to_octets());
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
        let Ok(plan) = planned else {
            self.answer(now, ticket, code, response::refusal(&self.state, code, command));
            return None;
        };
        let committed = command::commit(&mut self.state, now, ticket, command, plan);
        self.follow(now, path, command);
        self.follow_notifications(now, command);
        match committed {
            Committed::UnderWay(id) => {
                self.incoming.note(ticket, About { ahead, execution: Some(id) });
                self.watch(now, id);
                self.queue_up(ticket);
                Some(id)
            }
            Committed::Done(code, octets) => {
                self.answer(now, ticket, code, octets);
                None
            }
        }
    }

    /// Whether a new command is executed now, and the endpoints whose RSIPs go ahead of its responses.
    ///
    /// # Errors
    /// 409 for a new call when there is too much to do, 405 while a restart is to be told of.
    fn may_begin(
        &mut self,
        now: Instant,
        path: Path,
        command: &Command<'_>,
    ) -> Result<Vec<EndpointId>, ReturnCode> {
        // RFC 3435 §3.2.1.4: a version that is not spoken here is 528.
        if command.version != Version::Rfc && command.version != self.agents.version(path.remote.ip()) {
            return Err(ReturnCode::INCOMPATIBLE_VERSION);
        }
        // RFC 3435 §4.4.8: who has too much to do says 409. New calls go first, what ends calls never.
        if command.verb == Verb::CreateConnection && self.state.executions.len() >= self.executing_max {
            self.counters.count(Counter::Shed);
            return Err(ReturnCode::OVERLOAD);
        }
        let ahead = self.announce_first(now, path, command)?;
        // Osmocom's call agents take the first message of a datagram for the response.
        Ok(if osmocom::is_theirs(&command.endpoint) { Vec::new() } else { ahead })
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
    pub(super) fn promise(&mut self) {
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

    /// Ends a command before its time, with a refusal.
    pub(super) fn abort(&mut self, now: Instant, id: ExecutionId, code: ReturnCode) {
        if let Some(execution) = self.state.abort(id) {
            execution.deadline.into_iter().for_each(|timer| self.timers.cancel(timer));
            let acknowledge = self.incoming.wants_acknowledgement(execution.ticket);
            self.answer(now, execution.ticket, code, execution.refusal(code, acknowledge));
            self.resumed.extend(self.held.remove(&id));
        }
    }

    /// Answers a command whose last order is done.
    pub(super) fn finish(&mut self, now: Instant, id: ExecutionId) {
        if let Some((execution, result)) = self.state.finish(id) {
            execution.deadline.into_iter().for_each(|timer| self.timers.cancel(timer));
            let acknowledge = self.incoming.wants_acknowledgement(execution.ticket);
            let response = result.and_then(|()| execution.response(&self.state, acknowledge));
            let (code, octets) = match response {
                Ok(octets) => {
                    self.counters.add(Counter::ConnectionsMade, execution.reply.made());
                    (ReturnCode::OK, octets)
                }
                Err(code) => (code, execution.refusal(code, acknowledge)),
            };
            self.answer(now, execution.ticket, code, octets);
            self.resumed.extend(self.held.remove(&id));
        }
    }

    pub(super) fn answer(&mut self, now: Instant, ticket: Ticket, code: ReturnCode, octets: Vec<u8>) {
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
