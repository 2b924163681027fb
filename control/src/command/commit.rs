//! A plan that is being carried out, and what all plans have in common.

use std::sync::Arc;
use std::time::Duration;

use dataplane::limits::CONNECTIONS_PER_ENDPOINT;
use dataplane::link::{Action, DetectorSet};
use drivers::line::Law;
use drivers::net::PortSlot;
use drivers::time::Instant;

use super::execution::Execution;
use super::notification::{self, Asked, Described, as_they_are};
use super::reply::Reply;
use super::state::State;
use super::undo::{Configured, Undo};
use crate::change::{ExecutionId, Part};
use crate::endpoint::naming::{Called, Form};
use crate::endpoint::restart::Breadth;
use crate::endpoint::{Control, Endpoint, EndpointId, Kind};
use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::{Path, TransactionId, Verb};
use crate::mgcp::transaction::Ticket;
use crate::notified_entity::Naming;
use crate::topology::CoreId;

/// A plan that is being carried out.
#[derive(Debug)]
pub struct Commit<'a> {
    /// What it changes.
    pub state: &'a mut State,
    /// The time.
    pub now: Instant,
    id: ExecutionId,
    orders: usize,
    undo: Vec<Undo>,
    release: Vec<(CoreId, PortSlot)>,
    endpoints: Vec<EndpointId>,
    second: Option<EndpointId>,
    asked: Option<Arc<Asked>>,
    configures: bool,
    lockstep: Option<Option<Duration>>,
}

impl<'a> Commit<'a> {
    pub(super) fn new(state: &'a mut State, now: Instant) -> Self {
        let id = state.take_execution_id();
        Self {
            state,
            now,
            id,
            orders: 0,
            undo: Vec::new(),
            release: Vec::new(),
            endpoints: Vec::new(),
            second: None,
            asked: None,
            configures: false,
            lockstep: None,
        }
    }

    /// The command as it is under way now.
    pub(super) fn end(
        self,
        ticket: Ticket,
        transaction: TransactionId,
        verb: Verb,
        reply: Reply,
    ) -> (&'a mut State, ExecutionId, Execution) {
        let execution = Execution {
            ticket,
            transaction,
            verb,
            outstanding: self.orders,
            stats: None,
            reply,
            undo: self.undo,
            release: self.release,
            endpoints: self.endpoints,
            second: self.second,
            asked: self.asked,
            configures: self.configures || verb == Verb::EndpointConfiguration,
            lockstep: self.lockstep,
            deadline: None,
        };
        (self.state, self.id, execution)
    }

    /// Gives an order that the response waits for.
    pub fn order(&mut self, core: CoreId, action: Action) {
        self.state.orders.push(core, action, Some(self.id));
        self.orders += 1;
    }

    /// Notes how to undo a change.
    pub fn can_undo(&mut self, undo: Undo) {
        self.undo.push(undo);
    }

    /// Gives a pair back when all is done.
    pub fn release(&mut self, core: CoreId, port: PortSlot) {
        self.release.push((core, port));
    }

    /// Changes what a command's common parameters change of an endpoint.
    pub fn apply(&mut self, id: EndpointId, common: &Common) {
        self.endpoints.push(id);
        let execution = self.id;
        if common.resets {
            self.orders += self.state.end_all(id, Some(execution)).orders;
        }
        let endpoint = &mut self.state.endpoints[id];
        endpoint.executing.push(execution);
        let before = Configured::of(endpoint);
        common.change(endpoint, execution);
        self.state.called = Arc::clone(&common.called);
        let (core, ds0, law) = (endpoint.core, endpoint.ds0(), endpoint.law);
        let law_before = before.law;
        let echo = common.echo.and_then(|is_wanted| endpoint.set_cancels_echo(is_wanted));
        self.can_undo(Undo::Endpoint(id, Box::new(before)));
        self.configures |= common.law.is_some();
        self.lockstep = common.lockstep;
        if law != law_before
            && let Some(ds0) = ds0
        {
            self.order(core, Action::Encode { ds0, law });
        }
        if let Some((core, action)) = echo {
            self.order(core, action);
        }
    }

    /// Has the command change connections of a second endpoint, and nothing else there.
    pub fn involve(&mut self, id: EndpointId) {
        self.second = Some(id);
        self.state.endpoints[id].executing.push(self.id);
    }

    /// Plays on a second endpoint's connections what is played on all of them.
    pub fn signal_second(&mut self, id: EndpointId) {
        self.orders += self.state.perform(id, Some(self.id));
        self.state.stirred.push(id);
    }

    /// Applies the signals of a command's notification request, if it has one, once its connections are
    /// as they will be.
    pub fn signal(&mut self, id: EndpointId, common: &Common) {
        if let Some(asked) = &common.asked {
            let undo = self.state.endpoints[id].control.signals.apply(self.now, &asked.signals);
            self.can_undo(Undo::Signals(id, Box::new(undo)));
            self.asked = Some(asked.clone());
        }
        self.orders += self.state.perform(id, Some(self.id));
        self.orders += self.state.listen(id, Some(self.id), common.asked.as_deref());
        self.state.stirred.push(id);
    }
}

/// What is left of a command once its parameters are checked, and goes for its endpoints.
#[derive(Clone, PartialEq, Debug)]
pub struct Common {
    /// The way it came.
    pub path: Path,
    /// What its endpoints were called.
    pub called: Arc<Called>,
    /// N and its like.
    pub naming: Naming,
    /// X with what belongs to it.
    pub asked: Option<Arc<Asked>>,
    /// The law that B gives.
    pub law: Option<Law>,
    /// Whether echo is cancelled from now on.
    pub echo: Option<bool>,
    /// RED/R: all that goes on at the endpoints ends first.
    pub resets: bool,
    /// LCK/LST: after how long lockstep is reported from now on.
    pub lockstep: Option<Option<Duration>>,
}

impl Common {
    fn change(&self, endpoint: &mut Endpoint, by: ExecutionId) {
        // RFC 3991 §2.4: a reset brings back what was configured.
        let law = self.law.or(self.resets.then_some(endpoint.line_law));
        endpoint.law = law.unwrap_or(endpoint.law);
        endpoint.control.called = Some(match (&endpoint.control.called, self.called.form) {
            // A wildcard that stands for all endpoints says nothing of the form.
            (Some(before), Form::Usual) if before.form != Form::Usual => {
                Arc::new(Called { form: before.form, domain: self.called.domain.clone() })
            }
            _ => Arc::clone(&self.called),
        });
        // Who controls relays knows no RSIP, so it has to name itself to get one.
        let is_heard = !matches!(endpoint.kind, Kind::Relay(_));
        let Control { notified, set_by, breadth, .. } = &mut endpoint.control;
        let before = (*breadth > Breadth::Any).then(|| notified.target());
        if is_heard {
            notified.heard(self.path);
        }
        notified.take(&self.naming);
        // Another call agent may understand what the one before did not; one that is named again is the same.
        if before.is_some_and(|before| before != notified.target()) {
            *breadth = Breadth::Any;
        }
        let sets = [
            (Part::Law, law.is_some()),
            (Part::Echo, self.echo.is_some()),
            (Part::Name, self.naming.name.is_some()),
            (Part::List, self.naming.list.is_some()),
            (Part::Heard, is_heard),
        ];
        for (part, _) in sets.iter().filter(|(_, sets)| *sets) {
            set_by[*part as usize] = Some(by);
        }
    }

    /// Orders that [`Commit::apply`] and [`Commit::signal`] give at most.
    pub fn orders(&self, endpoint: &Endpoint) -> usize {
        let signals = self.asked.as_ref().map_or(0, |asked| {
            let starts = asked.signals.len() * CONNECTIONS_PER_ENDPOINT;
            starts + endpoint.control.playing.len()
        });
        let ends = if self.resets { endpoint.connections.len() + endpoint.control.playing.len() } else { 0 };
        let encodes = self.resets || self.law.is_some_and(|law| law != endpoint.law);
        let listening = endpoint.control.watching.iter();
        let listening = listening.filter(|watching| watching.detectors != DetectorSet::NONE);
        let watches = match (self.asked.is_some(), encodes) {
            (true, _) => 1 + 2 * CONNECTIONS_PER_ENDPOINT,
            // Tones are listened for by the law.
            (false, true) => listening.count(),
            (false, false) => 0,
        };
        usize::from(encodes) + usize::from(self.echo.is_some()) + signals + ends + watches
    }

    /// Checks that an endpoint, whose connections will be these, can grant the notification request.
    ///
    /// # Errors
    /// The return code for why not.
    pub fn check(&self, state: &State, id: EndpointId, described: Described<'_>) -> Result<(), ReturnCode> {
        if state.endpoints[id].ds0().is_none() {
            self.check_without_line()?;
        }
        self.asked.iter().try_for_each(|asked| notification::check(&state.endpoints[id], asked, described))
    }

    /// Without a line there is no law, and nothing that happens: such an endpoint has no packages.
    fn check_without_line(&self) -> Result<(), ReturnCode> {
        match (self.law, self.needs_line()) {
            (Some(_), _) => Err(ReturnCode::UNSUPPORTED_PARAMETER),
            (None, true) => Err(ReturnCode::UNSUPPORTED_PACKAGE),
            (None, false) => Ok(()),
        }
    }

    /// Whether only an endpoint with a line can have it.
    pub(super) fn needs_line(&self) -> bool {
        self.law.is_some() || self.asked.as_ref().is_some_and(|asked| asked.names_events())
    }

    /// The same, for connections that stay as they are.
    ///
    /// # Errors
    /// The return code for why not.
    pub fn check_as_is(&self, state: &State, id: EndpointId) -> Result<(), ReturnCode> {
        self.check(state, id, &as_they_are(&state.endpoints[id]))
    }
}
