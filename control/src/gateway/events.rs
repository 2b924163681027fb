//! What endpoints tell call agents of: NTFY, and what has to happen for it (RFC 3435 §2.3.4, §4.4.1).
//!
//! The state machines are in [`endpoint::notify`](crate::endpoint::notify) and
//! [`endpoint::signal`](crate::endpoint::signal). Here they get what the cores observe, the time, and
//! the answers; and what they want is done.

use std::collections::{BTreeMap, VecDeque};

use dataplane::link::{Observation, Side, Sound};
use drivers::time::Instant;
use tracing::{debug, warn};

use super::{Due, Gateway};
use crate::command::notification;
use crate::endpoint::EndpointId;
use crate::endpoint::naming::{Form, Named};
use crate::endpoint::notify::{Effect, Notification, NotificationId, Observed};
use crate::mgcp::message::{Command, TransactionId, Verb};
use crate::mgcp::name::{ConnectionId, EndpointName};
use crate::notified_entity::Route;
use crate::package::ability::{Source, Tone};
use crate::timer::TimerId;
use crate::topology::CoreId;

/// Notifications on their way.
#[derive(Debug, Default)]
pub(super) struct Teller {
    /// To be sent, since when.
    waiting: VecDeque<(Instant, EndpointId, Notification)>,
    /// To be sent once it is known where their call agent is.
    unrouted: VecDeque<(Instant, EndpointId, Notification)>,
    /// Sent, and not yet answered.
    sent: BTreeMap<TransactionId, (EndpointId, NotificationId)>,
    /// What endpoints' timers are set for.
    timers: BTreeMap<EndpointId, (Instant, TimerId)>,
}

impl Gateway {
    /// A core has observed something.
    pub(super) fn observed(&mut self, core: CoreId, side: Side, what: Observation) {
        // What is observed of a connection that has just ended is nobody's.
        let Some((id, connection)) = self.place_of(core, side) else { return };
        match what {
            Observation::Began(Sound::Check(tone)) => self.state.check_tone_began(id, connection, tone),
            Observation::Ended { sound: Sound::Check(tone), .. } => {
                if self.state.check_tone_ended(id, connection, tone) {
                    let sources = [Source::Continuity(tone), Source::NetworkContinuity(tone)];
                    self.happened(id, connection, sources[usize::from(connection.is_some())]);
                }
            }
            Observation::Began(sound) => {
                sources_of(sound).iter().for_each(|source| self.happened(id, connection, *source));
            }
            Observation::Ended { .. } => {}
            Observation::PlayEnded(play) => self.state.play_ended(id, side, play),
        }
    }

    fn happened(&mut self, id: EndpointId, connection: Option<ConnectionId>, source: Source) {
        let now = self.state.now;
        for event in self.state.packages.caused_by(source) {
            let observed = Observed { connection, ..Observed::new(event) };
            self.state.endpoints[id].control.notify.handle_event(now, observed);
        }
        self.state.stirred.push(id);
    }

    /// An endpoint's timer has fired.
    pub(super) fn endpoint_due(&mut self, now: Instant, id: EndpointId) {
        self.teller.timers.remove(&id);
        let control = &mut self.state.endpoints[id].control;
        control.signals.handle_timeout(now);
        control.notify.handle_timeout(now);
        self.state.stirred.push(id);
    }

    /// Does what endpoints want done, until they want nothing more.
    pub(super) fn settle(&mut self, now: Instant) {
        while let Some(id) = self.state.stirred.pop() {
            self.settle_one(now, id);
            self.state.listen(id, None, None);
            self.set_timer(id);
        }
    }

    fn settle_one(&mut self, now: Instant, id: EndpointId) {
        loop {
            self.state.perform(id, None);
            let control = &mut self.state.endpoints[id].control;
            let Some(effect) = control.notify.poll_effect() else { return };
            match effect {
                Effect::StopSignals => control.signals.handle_event(),
                Effect::ApplySignals(signals) => {
                    let result = self.state.apply_embedded(id, &signals);
                    self.state.endpoints[id].control.notify.handle_embedded(now, result);
                }
                Effect::Notify(notification) => self.teller.waiting.push_back((now, id, notification)),
                // Requests with the one are refused, and nothing asks for the other.
                Effect::SwapAudio | Effect::ReportLockstep => {}
            }
        }
    }

    fn set_timer(&mut self, id: EndpointId) {
        let control = &self.state.endpoints[id].control;
        let due = control.notify.poll_timeout().into_iter().chain(control.signals.poll_timeout()).min();
        let set = self.teller.timers.get(&id).copied();
        if set.map(|(at, _)| at) == due {
            return;
        }
        if let Some((_, timer)) = set {
            self.timers.cancel(timer);
            self.teller.timers.remove(&id);
        }
        if let Some(at) = due {
            self.teller.timers.insert(id, (at, self.timers.set(at, Due::Endpoint(id))));
        }
    }

    /// Sends the notifications that wait.
    // RFC 3435 §4.4.1: the answer to the request comes before the notification that follows from it. So
    // this is done when all else has been sent.
    pub(super) fn send_notifications(&mut self) {
        while let Some((at, id, notification)) = self.teller.waiting.pop_front() {
            let Some(target) = self.state.endpoints[id].control.notified.target() else {
                self.state.endpoints[id].control.notify.handle_lost(notification.id);
                continue;
            };
            match self.directory.route(at, &target) {
                Route::Ways(ways) => {
                    let number = notification.id;
                    let text = notification::observed(&notification.observed);
                    let local = self.state.endpoints.name(Form::Usual, Named::Endpoint(id));
                    let name = EndpointName { local, domain: self.state.settings.name.clone() };
                    let mut command = Command::new(Verb::Notify, TransactionId(0), name);
                    command.parameters.request = Some(Some(notification.identifier));
                    command.parameters.observed_events = Some(&text);
                    command.parameters.notified_entity = notification.notified_entity;
                    debug!(endpoint = %command.endpoint, to = %target.to_name(), observed = text, "NTFY");
                    match self.outgoing.send(at, ways, command) {
                        Ok(transaction) => drop(self.teller.sent.insert(transaction, (id, number))),
                        Err(_) => self.state.endpoints[id].control.notify.handle_lost(number),
                    }
                }
                Route::Asked => self.teller.unrouted.push_back((at, id, notification)),
                Route::Nowhere => self.state.endpoints[id].control.notify.handle_lost(notification.id),
            }
        }
    }

    /// It may be known now where call agents are.
    pub(super) fn route_notifications(&mut self, now: Instant) {
        let unrouted = std::mem::take(&mut self.teller.unrouted);
        self.teller.waiting.extend(unrouted.into_iter().map(|(_, id, notification)| (now, id, notification)));
    }

    /// Whether that was the answer to a notification.
    pub(super) fn notification_answered(&mut self, now: Instant, transaction: TransactionId) -> bool {
        let Some((id, number)) = self.teller.sent.remove(&transaction) else { return false };
        self.state.endpoints[id].control.notify.handle_answered(now, number);
        self.state.stirred.push(id);
        true
    }

    /// The endpoint whose notification that was, which nobody has answered.
    pub(super) fn notification_lost(&mut self, transaction: TransactionId) -> Option<EndpointId> {
        let (id, number) = self.teller.sent.remove(&transaction)?;
        warn!(transaction = transaction.0, "nobody answers NTFY");
        self.state.endpoints[id].control.notify.handle_lost(number);
        Some(id)
    }

    /// Whose side that is, and of which connection.
    fn place_of(&self, core: CoreId, side: Side) -> Option<(EndpointId, Option<ConnectionId>)> {
        match side {
            Side::Line(ds0) => self.state.endpoints.at(ds0).map(|id| (id, None)),
            Side::Network(port) => {
                let of_core = self.state.endpoints.iter().filter(|(_, endpoint)| endpoint.core == core);
                let mut connections = of_core.flat_map(|(id, endpoint)| {
                    endpoint.connections.iter().map(move |connection| (id, connection))
                });
                let (id, connection) = connections.find(|(_, connection)| connection.port == port)?;
                Some((id, Some(connection.id)))
            }
        }
    }
}

/// What a sound is to packages, as far as they offer it.
fn sources_of(sound: Sound) -> Vec<Source> {
    match sound {
        Sound::Digit(digit) => vec![Source::Digit(digit)],
        Sound::FaxCalling => vec![Source::FaxTone],
        // RFC 3660 §2.1: with or without phase reversals, which are seen later and are no second tone.
        Sound::Answer => vec![Source::ModemTone],
        Sound::AnswerTurning | Sound::Check(_) => Vec::new(),
        // They lie within the tolerances of each other, and are told by the name they were asked for by.
        Sound::Milliwatt => MILLIWATTS.map(Source::Tone).to_vec(),
        Sound::TestProgress => vec![Source::Tone(Tone::TestProgress)],
    }
}

const MILLIWATTS: [Tone; 3] = [Tone::Milliwatt1000, Tone::Milliwatt1004, Tone::Milliwatt1013];
