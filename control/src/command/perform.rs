//! What becomes of an endpoint's signals on its core: tones, each on a side.

use std::sync::Arc;

use dataplane::link::{Action, CheckTone, CircuitTest, PlayId, Side};
use dataplane::mode::Mode;
use drivers::net::PortSlot;

use super::notification::{as_they_are, check_signals};
use super::state::State;
use crate::change::ExecutionId;
use crate::endpoint::notify::Observed;
use crate::endpoint::signal::{self, Effect, Key, Scope, Signal};
use crate::endpoint::{Connection, EndpointId};
use crate::mgcp::code::ReturnCode;
use crate::mgcp::event::{EventName, Parameter, Parameters, Place};
use crate::mgcp::name::ConnectionId;
use crate::package::EventId;
use crate::package::ability::{Making, Source};
use crate::tones;

impl State {
    /// Carries out what has become of an endpoint's signals: how many orders that took.
    pub fn perform(&mut self, id: EndpointId, owner: Option<ExecutionId>) -> usize {
        let mut orders = 0;
        while let Some(effect) = self.endpoints[id].control.signals.poll_effect() {
            orders += match effect {
                Effect::Start { play, signal, scope } => self.play(id, owner, play, &signal, scope),
                Effect::Stop(play) => {
                    self.endpoints[id].control.continuity.stop(play);
                    self.stop(id, owner, PlayId(play.0))
                }
                Effect::Complete(key) => {
                    self.tell_end(id, key, key.event.completion());
                    0
                }
                Effect::Failed(key) => {
                    self.tell_end(id, key, key.event.failure());
                    0
                }
            };
        }
        orders
    }

    /// Applies the signals of an embedded request.
    ///
    /// # Errors
    /// The return code for why they cannot be.
    pub fn apply_embedded(&mut self, id: EndpointId, signals: &[Arc<Signal>]) -> Result<(), ReturnCode> {
        let endpoint = &self.endpoints[id];
        check_signals(endpoint, signals, &as_they_are(endpoint))?;
        let now = self.now;
        self.endpoints[id].control.signals.apply(now, signals);
        self.perform(id, None);
        Ok(())
    }

    /// Has the next connection heard instead of the one that is.
    // RFC 3435 §2.3.3: the one that talks and the next that is held change places, in a round. With one
    // alone nothing happens, nor to one that a command is changing just now.
    pub fn swap_audio(&mut self, id: EndpointId) {
        let jitter = self.settings.jitter;
        let executing = &self.endpoints[id].executing;
        if executing.iter().any(|execution| self.executions[execution].makes()) {
            return;
        }
        let endpoint = &mut self.endpoints[id];
        let (core, connections) = (endpoint.core, &mut endpoint.connections);
        let n = connections.len();
        let talks = |connection: &Connection| connection.mode == Mode::SendReceive;
        let is_held = |connection: &Connection| {
            let is_mute = matches!(connection.mode, Mode::Inactive | Mode::ReceiveOnly | Mode::SendOnly);
            is_mute && connection.remote.is_some()
        };
        let Some(first) = connections.iter().position(talks) else { return };
        let mut others = (1..n).map(|steps| (first + steps) % n);
        let Some(next) = others.find(|next| is_held(&connections[*next])) else { return };
        connections[first].mode = std::mem::replace(&mut connections[next].mode, Mode::SendReceive);
        for connection in [&connections[first], &connections[next]] {
            self.orders.push(core, connection.modify(jitter), None);
        }
    }

    /// A connection has been deleted, and what was played on it has ended with it.
    pub(super) fn forget_connection(&mut self, id: EndpointId, connection: ConnectionId, port: PortSlot) {
        let now = self.now;
        self.endpoints.counted(id);
        let control = &mut self.endpoints[id].control;
        let gone: Vec<_> = control.playing.extract_if(.., |(_, at)| *at == Side::Network(port)).collect();
        for (play, _) in gone {
            if !control.playing.iter().any(|(other, _)| *other == play) {
                control.signals.handle_silent(now, signal::PlayId(play.0));
            }
        }
        control.watching.retain(|watching| watching.side != Side::Network(port));
        control.continuity.forget(connection);
        control.unreachable.forget(connection);
        control.signals.handle_disconnected(now, connection);
        self.stirred.push(id);
    }

    /// A tone has come to its end by itself.
    pub fn play_ended(&mut self, id: EndpointId, side: Side, play: PlayId) {
        let now = self.now;
        let control = &mut self.endpoints[id].control;
        control.playing.retain(|playing| *playing != (play, side));
        control.signals.handle_ended(now, signal::PlayId(play.0));
        self.stirred.push(id);
    }

    /// A continuity tone has been heard on a connection, or on the line if `None`. It means something where
    /// a test is made that awaits it.
    pub fn check_tone_began(&mut self, id: EndpointId, connection: Option<ConnectionId>, tone: CheckTone) {
        let control = &mut self.endpoints[id].control;
        let is_it = |source| match connection {
            None => source == Some(Source::Continuity(tone)),
            Some(_) => source == Some(Source::NetworkContinuity(tone)),
        };
        let mut watched = control.notify.watched().filter(|pattern| pattern.scope.holds(connection));
        let is_awaited = watched.any(|pattern| pattern.events.iter().any(|event| is_it(event.source())));
        drop(watched);
        if is_awaited && let Some(go) = control.continuity.began(|scope| scope.holds(connection), tone) {
            self.stop(id, None, PlayId(go.0));
        }
    }

    /// A continuity tone is no longer heard; whether a test has passed with that.
    pub fn check_tone_ended(
        &mut self,
        id: EndpointId,
        connection: Option<ConnectionId>,
        tone: CheckTone,
    ) -> bool {
        let control = &mut self.endpoints[id].control;
        let passed = control.continuity.ended(|scope| scope.holds(connection), tone);
        // RFC 3660 §2.3: operation complete would say that it has not.
        passed.is_some_and(|go| {
            control.signals.handle_done(go);
            true
        })
    }

    fn play(
        &mut self,
        id: EndpointId,
        owner: Option<ExecutionId>,
        play: signal::PlayId,
        signal: &Signal,
        scope: Scope,
    ) -> usize {
        let endpoint = &mut self.endpoints[id];
        if let Some(Making::Continuity(_) | Making::NetworkContinuity(_)) = signal.key.event.making() {
            endpoint.control.continuity.start(play, scope);
        }
        let mut sides = Vec::new();
        if let Some(tone) = tones::of(signal, endpoint.law) {
            if scope == Scope::Endpoint {
                sides.extend(endpoint.ds0().map(Side::Line));
            }
            let heard = endpoint.connections.iter().filter(|connection| scope.holds(Some(connection.id)));
            sides.extend(heard.map(|connection| Side::Network(connection.port)));
            for side in sides.iter().copied() {
                let play = PlayId(play.0);
                endpoint.control.playing.push((play, side));
                self.orders.push(endpoint.core, Action::Play { side, play, tone }, owner);
            }
        }
        if let (Some(test), Some(ds0)) = (circuit_test(signal), endpoint.ds0()) {
            let (side, play) = (Side::Line(ds0), PlayId(play.0));
            sides.push(side);
            endpoint.control.playing.push((play, side));
            endpoint.control.tested = Some(play);
            self.orders.push(endpoint.core, Action::Test { ds0, test: Some(test) }, owner);
        }
        if sides.is_empty() {
            self.endpoints[id].control.signals.handle_silent(self.now, play);
        }
        sides.len()
    }

    fn stop(&mut self, id: EndpointId, owner: Option<ExecutionId>, play: PlayId) -> usize {
        let endpoint = &mut self.endpoints[id];
        let stopped: Vec<_> = endpoint.control.playing.extract_if(.., |(other, _)| *other == play).collect();
        // A connection that has moved to another pair has left its tones behind.
        let is_there = |side: &Side| match side {
            Side::Line(_) => true,
            Side::Network(port) => endpoint.connections.iter().any(|connection| connection.port == *port),
        };
        let sides: Vec<_> = stopped.into_iter().map(|(_, side)| side).filter(is_there).collect();
        let is_test = endpoint.control.tested.take_if(|tested| *tested == play).is_some();
        for side in sides.iter().copied() {
            let action = match side {
                Side::Line(ds0) if is_test => Action::Test { ds0, test: None },
                Side::Line(_) | Side::Network(_) => Action::Stop { side, play },
            };
            self.orders.push(endpoint.core, action, owner);
        }
        sides.len()
    }

    /// RFC 3435 §6.6.1: the end of a time-out signal is an event, whose parameter is the signal's name.
    fn tell_end(&mut self, id: EndpointId, key: Key, event: Option<EventId>) {
        let Some(event) = event else { return };
        let place = match key.scope {
            Scope::Endpoint => Place::Endpoint,
            Scope::Connection(connection) => Place::Connection(connection),
            Scope::AllConnections => Place::AllConnections,
        };
        let name = EventName::new(key.event.package(), key.event.code()).at(place);
        let parameters = Parameters(vec![Parameter::bare(name)]);
        let now = self.now;
        let control = &mut self.endpoints[id].control;
        control.notify.handle_event(now, Observed { parameters, ..Observed::new(event) });
        self.stirred.push(id);
    }
}

/// What a signal has the circuit do for a test of the other side's.
fn circuit_test(signal: &Signal) -> Option<CircuitTest> {
    match signal.key.event.making()? {
        Making::Loopback => Some(CircuitTest::Loopback),
        // RFC 3660 §2.3: `in` is what is answered; `out` is the other one.
        Making::Transponder => {
            let tone = signal.asked.parameters.named("in").and_then(Parameter::value)?;
            let is_first = tone.eq_ignore_ascii_case("co1");
            Some(CircuitTest::Transponder(if is_first { CheckTone::Co1 } else { CheckTone::Co2 }))
        }
        _ => None,
    }
}
