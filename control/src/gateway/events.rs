//! What happens at endpoints, and what follows from it (RFC 3435 §4.4.1).
//!
//! The state machines are in [`endpoint::notify`](crate::endpoint::notify) and
//! [`endpoint::signal`](crate::endpoint::signal). Here they get what the cores observe, the time, and
//! the answers; and what they want is done.

use std::time::Duration;

use dataplane::link::{Digit, MediaEvent, Milliwatt, Observation, Side, Sound};
use drivers::time::Instant;

use super::{Due, Gateway};
use crate::endpoint::EndpointId;
use crate::endpoint::fax;
use crate::endpoint::notify::{Effect, Notify, Observed};
use crate::endpoint::pressed::{self, Asked, Told};
use crate::endpoint::signal::Scope;
use crate::metrics::Counter;
use crate::mgcp::event::{Parameter, Parameters};
use crate::mgcp::name::ConnectionId;
use crate::package::EventId;
use crate::package::ability::{Source, Tone};
use crate::tones;
use crate::topology::CoreId;

impl Gateway {
    /// A core has observed something.
    pub(super) fn observed(&mut self, core: CoreId, side: Side, at: Instant, what: Observation) {
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
                if let (Sound::Digit(digit), None) = (sound, connection) {
                    let control = &mut self.state.endpoints[id].control;
                    control.pressed.began(at, digit, asked_of(digit, &control.notify));
                }
                self.sounded(id, connection, at, sound);
            }
            Observation::Ended { sound: Sound::Digit(digit), ms } if connection.is_none() => {
                let told = self.state.endpoints[id].control.pressed.ended(digit, ms);
                self.pressed(id, told);
            }
            Observation::Ended { .. } => {}
            Observation::PlayEnded(play) => self.state.play_ended(id, side, play),
            Observation::Media(what) => {
                let (source, parameter) = told_of(what);
                let parameters = Parameters(parameter.into_iter().collect());
                self.happened_with(id, connection, source, &parameters);
            }
        }
    }

    /// A sound has been heard that means what it is.
    fn sounded(&mut self, id: EndpointId, connection: Option<ConnectionId>, at: Instant, sound: Sound) {
        let numbered = |number: u8| Parameters(vec![Parameter::bare(number)]);
        match sound {
            // RFC 3660 §2.1, RFC 5347 §2.1.5: by either.
            Sound::FaxCalling | Sound::FaxPreamble => {
                let endpoint = &mut self.state.endpoints[id];
                let sounded = fax::Sounded {
                    at,
                    call: endpoint.connections.first().map(|connection| connection.id),
                    request: endpoint.control.notify.requests(),
                    is_call_wanted: endpoint.is_watched(connection, Source::PlainFax),
                };
                let fax::News { is_heard_anew, is_new_call } = endpoint.control.fax.heard(sounded);
                if is_heard_anew {
                    self.happened(id, connection, Source::FaxTone);
                }
                if is_new_call {
                    // RFC 5347 §2.2.2: `nopfax(start)`.
                    let start = Parameters(vec![Parameter::bare("start")]);
                    self.happened_with(id, connection, Source::PlainFax, &start);
                }
            }
            Sound::CallTone(place) => match tones::heard(place) {
                Some((Tone::SpecialInformation, Some(number))) => {
                    let source = Source::Tone(Tone::SpecialInformation);
                    self.happened_with(id, connection, source, &numbered(number));
                    // RFC 3660 §2.3: `zz` is `sit(2)` by another name.
                    if tones::places(Tone::NoCircuit, None) == Some(place.into()) {
                        self.happened(id, connection, Source::Tone(Tone::NoCircuit));
                    }
                }
                Some((tone, _)) => self.happened(id, connection, Source::Tone(tone)),
                None => {}
            },
            Sound::Octet(octet) => {
                self.happened_with(id, connection, Source::TestPattern, &numbered(octet));
            }
            Sound::Digit(digit) => self.happened(id, connection, Source::Digit(digit)),
            // RFC 3660 §2.1: with or without phase reversals, which are seen later and are no second tone.
            Sound::Answer => self.happened(id, connection, Source::ModemTone),
            Sound::Milliwatt(milliwatt) => {
                self.happened(id, connection, Source::Tone(tone_of(milliwatt)));
            }
            Sound::TestProgress => self.happened(id, connection, Source::Tone(Tone::TestProgress)),
            Sound::AnswerTurning | Sound::Check(_) => {}
        }
    }

    fn happened(&mut self, id: EndpointId, connection: Option<ConnectionId>, source: Source) {
        self.happened_with(id, connection, source, &Parameters::default());
    }

    /// A digit has lasted for as long as is asked.
    fn pressed(&mut self, id: EndpointId, told: Option<Told>) {
        match told {
            None => {}
            Some(Told::Long) => self.happened(id, None, Source::DigitHeld),
            Some(Told::Lasted(digit, ms)) => {
                let parameters = vec![Parameter::assigned("dg", digit), Parameter::assigned("to", ms)];
                self.happened_with(id, None, Source::DigitDuration, &Parameters(parameters));
            }
        }
    }

    pub(super) fn happened_with(
        &mut self,
        id: EndpointId,
        connection: Option<ConnectionId>,
        source: Source,
        parameters: &Parameters,
    ) {
        let now = self.state.now;
        // RFC 3435 §4.4.7: what the network does is no activity of the user's.
        if connection.is_none() {
            self.stir(now, id);
        }
        for event in self.state.packages.caused_by(source) {
            let observed = Observed { event, connection, parameters: parameters.clone() };
            self.state.endpoints[id].control.notify.handle_event(now, observed);
        }
        self.state.stirred.push(id);
    }

    /// An endpoint's timer has fired.
    pub(super) fn endpoint_due(&mut self, now: Instant, id: EndpointId) {
        self.endpoint_timers.remove(&id);
        while let Some(told) = self.state.endpoints[id].control.pressed.take_due(now) {
            self.pressed(id, Some(told));
        }
        while let Some(connection) = self.state.endpoints[id].take_long(now) {
            self.happened(id, Some(connection), Source::ConnectionAge);
        }
        let is_being_asked = self.state.is_being_asked(id);
        let control = &mut self.state.endpoints[id].control;
        if !is_being_asked {
            control.signals.handle_timeout(now);
        }
        control.notify.handle_timeout(now);
        self.state.stirred.push(id);
    }

    /// Does what endpoints want done, until they want nothing more.
    pub(super) fn settle(&mut self, now: Instant) {
        while let Some(id) = self.state.stirred.pop() {
            self.settle_one(now, id);
            let lost = self.state.endpoints[id].control.notify.take_lost();
            self.counters.add(Counter::EventsLost, lost.into());
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
                Effect::Notify(notification) => self.teller.notify(now, id, notification),
                Effect::SwapAudio => self.state.swap_audio(id),
                Effect::ReportLockstep => self.teller.report_lockstep(now, id),
            }
        }
    }

    fn set_timer(&mut self, id: EndpointId) {
        let control = &self.state.endpoints[id].control;
        // RFC 3435 §2.3.3: signals and the events that are asked for with them belong together. A signal that
        // is over before its request takes effect waits for that, or nobody would be told.
        let signals = control.signals.poll_timeout().filter(|_| !self.state.is_being_asked(id));
        let long = self.state.endpoints[id].long_due();
        let dues = [control.notify.poll_timeout(), signals, control.pressed.poll_timeout(), long];
        let due = dues.into_iter().flatten().min();
        let set = self.endpoint_timers.get(&id).copied();
        if set.map(|(at, _)| at) == due {
            return;
        }
        if let Some((_, timer)) = set {
            self.timers.cancel(timer);
            self.endpoint_timers.remove(&id);
        }
        if let Some(at) = due {
            self.endpoint_timers.insert(id, (at, self.timers.set(at, Due::Endpoint(id))));
        }
    }

    /// The endpoint whose side that is, and the connection, if it is the network's side.
    fn place_of(&self, core: CoreId, side: Side) -> Option<(EndpointId, Option<ConnectionId>)> {
        match side {
            Side::Line(ds0) => self.state.endpoints.at(ds0).map(|id| (id, None)),
            Side::Network(port) => {
                let id = self.state.ledger.owner(core, port)?;
                let mut connections = self.state.endpoints[id].connections.iter();
                let connection = connections.find(|connection| connection.port == port)?;
                Some((id, Some(connection.id)))
            }
        }
    }
}

/// What is asked about the duration of a digit (RFC 3660 §2.2): `dd(dg=#,to=2000)`, of any digit without
/// `dg`, or with `x`.
fn asked_of(digit: Digit, notify: &Notify) -> Asked {
    let asks = |source| {
        let is_it = move |event: &EventId| event.source() == Some(source);
        let mut patterns = notify.watched().filter(|pattern| pattern.scope == Scope::Endpoint);
        patterns.find(move |pattern| pattern.events.iter().any(is_it))
    };
    let long = asks(Source::DigitHeld).is_some();
    let Some(pattern) = asks(Source::DigitDuration) else { return Asked { long, ..Asked::default() } };
    let value = |name| pattern.asked.parameters.named(name).and_then(Parameter::value);
    if value("dg").is_some_and(|key| !pressed::is_meant(&key, digit)) {
        return Asked { long, ..Asked::default() };
    }
    let longer = value("to").and_then(|ms| ms.parse().ok()).map(Duration::from_millis);
    Asked { long, longer, whole: longer.is_none() }
}

/// What has become of media, as R tells it (RFC 3660 §2.10).
fn told_of(what: MediaEvent) -> (Source, Option<Parameter>) {
    match what {
        MediaEvent::Began => (Source::MediaStart, None),
        MediaEvent::Missing { after_s } => (Source::MediaTimeout, Some(Parameter::bare(after_s))),
        MediaEvent::LossAbove { per_100k } => (Source::PacketLoss, Some(Parameter::bare(per_100k))),
        MediaEvent::Poor => (Source::Quality, None),
        MediaEvent::PlayoutDelay { ms } => (Source::JitterBuffer, Some(Parameter::bare(ms))),
        MediaEvent::PacketTime { ms } => (Source::PacketTime, Some(Parameter::bare(ms))),
        // In hexadecimal.
        MediaEvent::Codec { payload_type } => {
            (Source::Codec, Some(Parameter::bare(format_args!("{payload_type:X}"))))
        }
    }
}

const fn tone_of(milliwatt: Milliwatt) -> Tone {
    match milliwatt {
        Milliwatt::Hz1000 => Tone::Milliwatt1000,
        Milliwatt::Hz1004 => Tone::Milliwatt1004,
        Milliwatt::Hz1013 => Tone::Milliwatt1013,
    }
}
