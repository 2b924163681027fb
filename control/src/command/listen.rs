//! What the cores listen for and look after: that which endpoints' requests need, and no more.
//!
//! A response leaves when the cores listen for what its request asks for. So that is listened for from
//! the commit on, beside what the request needs that is in force until then.

use dataplane::link::{Action, DetectorSet, Digit, DigitSet, Quality, Side, Silence, Supervision};
use drivers::line::Law;

use super::notification::Asked;
use super::state::State;
use crate::change::ExecutionId;
use crate::endpoint::notify::request::Pattern;
use crate::endpoint::{Endpoint, EndpointId, Watching, pressed};
use crate::mgcp::event::{Parameter, Parameters};
use crate::mgcp::name::ConnectionId;
use crate::package::EventId;
use crate::package::ability::{Source, Tone};
use crate::tones;

impl State {
    /// Has an endpoint's core notice what is asked for, by what is in force, under way and `coming`: how
    /// many orders that took.
    pub fn listen(&mut self, id: EndpointId, owner: Option<ExecutionId>, coming: Option<&Asked>) -> usize {
        let endpoint = &self.endpoints[id];
        let under_way = endpoint.executing.iter().filter_map(|id| self.executions.get(id)?.asked.as_deref());
        let coming: Vec<_> = under_way.chain(coming).collect();
        let core = endpoint.core;
        // The newest counts, where several ask for the same with other thresholds.
        let patterns: Vec<_> = coming.iter().rev().flat_map(|asked| asked.request.patterns()).collect();
        let patterns: Vec<_> = patterns.into_iter().chain(endpoint.control.notify.watched()).collect();
        let request = endpoint.control.notify.requests().wrapping_add(coming.len() as u32);
        let quality = self.settings.quality;
        let watch = |(side, connection)| {
            let here = || patterns.iter().copied().filter(move |pattern| pattern.scope.holds(connection));
            let detectors = detectors(endpoint, here(), connection);
            Watching { side, detectors, media: supervision(here(), quality), request }
        };
        let watching: Vec<_> = sides(endpoint).map(watch).collect();
        let before = &self.endpoints[id].control.watching;
        let mut orders = 0;
        for now in watching.iter().copied() {
            let Watching { side, detectors, media, .. } = now;
            let was = before.iter().find(|watching| watching.side == side);
            if detectors != was.map_or(DetectorSet::NONE, |was| was.detectors) {
                self.orders.push(core, Action::Watch { side, detectors }, owner);
                orders += 1;
            }
            // RFC 3660 §2.10: what is told once is told again only after a further request, by which
            // measurements and timers begin anew.
            let was_looked_after = was.map_or(Supervision::NONE, |was| was.media);
            let is_new = media != was_looked_after || was.is_some_and(|was| was.request != request);
            if let Side::Network(port) = side
                && is_new
                && !(media.is_none() && was_looked_after.is_none())
            {
                self.orders.push(core, Action::Supervise { port, wanted: media }, owner);
                orders += 1;
            }
        }
        self.endpoints[id].control.watching = watching;
        orders
    }
}

/// Where an endpoint can listen: to its line, and to each connection.
fn sides(endpoint: &Endpoint) -> impl Iterator<Item = (Side, Option<ConnectionId>)> + '_ {
    let connections = endpoint.connections.iter();
    let networks = connections.map(|connection| (Side::Network(connection.port), Some(connection.id)));
    endpoint.ds0().map(|ds0| (Side::Line(ds0), None)).into_iter().chain(networks)
}

/// What has to be listened for on a connection, or on the line if `None`, for what is asked there.
fn detectors<'a>(
    endpoint: &Endpoint,
    here: impl Iterator<Item = &'a Pattern>,
    connection: Option<ConnectionId>,
) -> DetectorSet {
    let tests = match endpoint.control.continuity.is_tested(|scope| scope.holds(connection)) {
        true => DetectorSet::CHECK,
        false => DetectorSet::NONE,
    };
    let wanted = here.flat_map(|pattern| {
        let parameters = &pattern.asked.parameters;
        pattern.events.iter().map(move |event| detector_of(*event, parameters, endpoint.law))
    });
    wanted.fold(tests, DetectorSet::with)
}

/// What has to be looked after on a connection for what is asked there.
fn supervision<'a>(here: impl Iterator<Item = &'a Pattern>, quality: Quality) -> Supervision {
    let here: Vec<_> = here.collect();
    let by = |is_it: fn(Source) -> bool| {
        let names =
            move |pattern: &&&Pattern| pattern.events.iter().filter_map(|event| event.source()).any(is_it);
        here.iter().find(names).copied()
    };
    let is_change = |source| matches!(source, Source::JitterBuffer | Source::PacketTime | Source::Codec);
    Supervision {
        start: by(|source| source == Source::MediaStart).is_some(),
        silence: by(|source| source == Source::MediaTimeout).map(silence),
        loss: by(|source| source == Source::PacketLoss).and_then(Pattern::number),
        quality: by(|source| source == Source::Quality).map(|_| quality),
        changes: by(is_change).is_some(),
    }
}

/// `rto(120,st=ra)`
// RFC 3660 §2.10: 60 s, from the request on, where it does not say.
fn silence(pattern: &Pattern) -> Silence {
    let start = pattern.asked.parameters.named("st").and_then(Parameter::value);
    Silence {
        after_s: pattern.number().and_then(|seconds| seconds.try_into().ok()).unwrap_or(60),
        awaits_rtcp: start.is_some_and(|start| start.eq_ignore_ascii_case("ra")),
    }
}

/// What makes the sounds of an event known, as it is asked for.
fn detector_of(event: EventId, parameters: &Parameters, law: Law) -> DetectorSet {
    let Some(source) = event.source() else { return DetectorSet::NONE };
    match source {
        Source::DigitDuration => DetectorSet::withholding(suppressed(parameters)),
        Source::Digit(_) | Source::DigitTimer | Source::DigitHeld => DetectorSet::DTMF,
        Source::FaxTone | Source::PlainFax => DetectorSet::FAX,
        Source::ModemTone => DetectorSet::ANSWER,
        Source::Tone(Tone::Milliwatt1000 | Tone::Milliwatt1004 | Tone::Milliwatt1013) => {
            DetectorSet::MILLIWATT
        }
        Source::Tone(Tone::TestProgress) => DetectorSet::TEST_PROGRESS,
        Source::TestPattern => DetectorSet::OCTET,
        Source::Tone(tone) => match tones::places(tone, event.number(parameters)) {
            Some(place) => DetectorSet::call_tone(tones::plan(law), place),
            None => DetectorSet::NONE,
        },
        Source::SignalCompleted
        | Source::SignalFailed
        | Source::EmbeddedRequestFailed
        | Source::ObservedEventsFull
        | Source::QuarantineOverflowed
        | Source::ConnectionAge
        | Source::FaxProcedure
        | Source::Hook
        // Of use in a test alone.
        | Source::Continuity(_)
        | Source::NetworkContinuity(_)
        | Source::Pattern
        | Source::Answer
        | Source::Undefined
        | Source::MediaStart
        | Source::MediaTimeout
        | Source::Unreachable
        | Source::PacketLoss
        | Source::Quality
        | Source::JitterBuffer
        | Source::PacketTime
        | Source::Codec => DetectorSet::NONE,
    }
}

/// The digits that connections are not to hear: `dd(dg=#,su=true)` (RFC 3660 §2.2).
fn suppressed(parameters: &Parameters) -> DigitSet {
    let value = |name| parameters.named(name).and_then(Parameter::value);
    if !value("su").is_some_and(|su| su.eq_ignore_ascii_case("true")) {
        return DigitSet::NONE;
    }
    let key = value("dg");
    let is_meant = |digit: &Digit| key.as_deref().is_none_or(|key| pressed::is_meant(key, *digit));
    Digit::ALL.into_iter().filter(is_meant).fold(DigitSet::NONE, DigitSet::with)
}
