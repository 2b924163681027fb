//! What the cores listen for: that which endpoints' requests need, and no more.
//!
//! A response leaves when the cores listen for what its request asks for. So that is listened for from
//! the commit on, beside what the request needs that is in force until then.

use dataplane::link::{Action, DetectorSet, Side};

use super::notification::Asked;
use super::state::State;
use crate::change::ExecutionId;
use crate::endpoint::{Endpoint, EndpointId};
use crate::mgcp::name::ConnectionId;
use crate::package::ability::{Source, Tone};

impl State {
    /// Has an endpoint's core listen for what is asked for, by what is in force, under way and `coming`:
    /// how many orders that took.
    pub fn listen(&mut self, id: EndpointId, owner: Option<ExecutionId>, coming: Option<&Asked>) -> usize {
        let endpoint = &self.endpoints[id];
        let under_way = endpoint.executing.iter().filter_map(|id| self.executions.get(id)?.asked.as_deref());
        let coming: Vec<_> = under_way.chain(coming).collect();
        let core = endpoint.core;
        let watching: Vec<_> = sides(endpoint)
            .map(|(side, connection)| (side, detectors(endpoint, &coming, connection)))
            .collect();
        let before = &self.endpoints[id].control.watching;
        let was = |side| {
            let place = before.iter().find(|(other, _)| *other == side);
            place.map_or(DetectorSet::NONE, |(_, detectors)| *detectors)
        };
        let mut orders = 0;
        for (side, detectors) in watching.iter().copied() {
            if detectors != was(side) {
                self.orders.push(core, Action::Watch { side, detectors }, owner);
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

/// What has to be listened for on a connection, or on the line if `None`.
fn detectors(endpoint: &Endpoint, coming: &[&Asked], connection: Option<ConnectionId>) -> DetectorSet {
    let coming = coming.iter().flat_map(|asked| asked.request.patterns());
    let patterns = endpoint.control.notify.watched().chain(coming);
    let here = patterns.filter(|pattern| pattern.scope.holds(connection));
    let sources = here.flat_map(|pattern| pattern.events.iter()).filter_map(|event| event.source());
    let tests = match endpoint.control.continuity.is_tested(|scope| scope.holds(connection)) {
        true => DetectorSet::CHECK,
        false => DetectorSet::NONE,
    };
    sources.fold(tests, |set, source| set.with(detector_of(source)))
}

/// What makes the sounds of an event known.
const fn detector_of(source: Source) -> DetectorSet {
    match source {
        Source::Digit(_) | Source::DigitTimer | Source::DigitHeld | Source::DigitDuration => {
            DetectorSet::DTMF
        }
        Source::FaxTone | Source::PlainFax => DetectorSet::FAX,
        Source::ModemTone => DetectorSet::ANSWER,
        Source::Tone(Tone::Milliwatt1000 | Tone::Milliwatt1004 | Tone::Milliwatt1013) => {
            DetectorSet::MILLIWATT
        }
        Source::Tone(Tone::TestProgress) => DetectorSet::TEST_PROGRESS,
        Source::Tone(_)
        | Source::SignalCompleted
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
        | Source::TestPattern
        | Source::Pattern
        | Source::Answer
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
