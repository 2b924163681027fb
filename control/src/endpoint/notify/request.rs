//! What a call agent asks to be told of (RFC 3435 §2.3.3).

use std::sync::Arc;

use crate::endpoint::signal::{Scope, Signal};
use crate::mgcp::code::ReturnCode;
use crate::mgcp::digit_map::DigitMap;
use crate::mgcp::event::{
    self, EmbeddedRequest, Event, Events, Handling, Notifications, QuarantineHandling, RequestedEvent,
    RequestedEvents,
};
use crate::mgcp::name::{ConnectionId, EntityName, RequestId, decimal};
use crate::package::EventId;

use super::Observed;

/// A notification request, alone or in another command.
///
/// What a parameter that was absent leaves as it was is `None`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// X
    pub identifier: RequestId,
    /// N of the request, which its notifications repeat: `Some(None)` where it was there and empty.
    pub notified_entity: Option<Option<EntityName>>,
    /// R
    pub events: Arc<[Requested]>,
    /// D
    pub digit_map: Option<Arc<DigitMap>>,
    /// Q
    pub quarantine: QuarantineHandling,
    /// T
    pub detect: Option<Arc<[Pattern]>>,
    /// B/PR (RFC 3435 §B.2.1)
    pub persistent: Option<Arc<[Requested]>>,
}

/// A requested event and what follows from it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Requested {
    /// Which events.
    pub pattern: Pattern,
    /// What follows.
    pub actions: Actions,
}

/// Some events, in some place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    /// As a call agent has asked for it, and as an audit shows it; `$` is the connection it stands for.
    pub asked: Event,
    /// Which these are: one, or those of a range or wildcard.
    pub events: Arc<[EventId]>,
    /// Where.
    pub scope: Scope,
}

/// What follows from an event, all at once.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Actions {
    /// What becomes of the event itself; nothing if `None`.
    pub handling: Option<Handling>,
    /// S: the next connection is heard.
    pub swaps_audio: bool,
    /// K: time-out signals go on.
    pub keeps_signals: bool,
    /// E: another request takes over.
    pub embedded: Option<Arc<Embedded>>,
}

/// A request that an event sets off.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Embedded {
    /// R
    pub events: Arc<[Requested]>,
    /// S
    pub signals: Arc<[Arc<Signal>]>,
    /// D
    pub digit_map: Option<Arc<DigitMap>>,
}

/// Why a request cannot be granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// It has events treated by a digit map, and there is none: 519.
    NoDigitMap,
    /// Actions that do not go together in step mode: 523.
    Actions,
    /// An event is there twice.
    Twice,
    /// It speaks of a connection that does not exist: 515.
    Connection(ConnectionId),
    /// The circuit is already in the state that an event would bring: 401 or 402, as its package says.
    Glare(ReturnCode),
}

impl Request {
    /// All that it wants detected from its success on.
    pub fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        let persistent = self.persistent.iter().flat_map(|list| list.iter());
        let requested = self.events.iter().chain(persistent).map(|requested| &requested.pattern);
        requested.chain(self.detect.iter().flat_map(|list| list.iter()))
    }
}

impl Requested {
    /// As a call agent would ask for it.
    pub fn to_asked(&self) -> RequestedEvent {
        let embedded = self.actions.embedded.as_ref().map(|embedded| {
            Box::new(EmbeddedRequest {
                events: RequestedEvents(embedded.events.iter().map(Self::to_asked).collect()),
                signals: Events(embedded.signals.iter().map(|signal| signal.asked.clone()).collect()),
                digit_map: embedded.digit_map.clone(),
            })
        });
        RequestedEvent {
            event: self.pattern.asked.clone(),
            actions: event::Actions {
                handling: self.actions.handling,
                swaps_audio: self.actions.swaps_audio,
                keeps_signals: self.actions.keeps_signals,
                embedded,
            },
        }
    }
}

impl Pattern {
    /// Whether both mean the same events, however they are asked for.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        let number = |pattern: &Self| self.events.first()?.number(&pattern.asked.parameters);
        self.scope == other.scope && self.events == other.events && number(self) == number(other)
    }

    /// The number that it is asked for with.
    pub fn number(&self) -> Option<u32> {
        self.asked.parameters.values().find_map(|value| decimal(&value))
    }

    /// Whether it means this event.
    pub fn matches(&self, observed: &Observed) -> bool {
        let number = |parameters| observed.event.number(parameters);
        self.scope.holds(observed.connection)
            && self.events.contains(&observed.event)
            && number(&self.asked.parameters) == number(&observed.parameters)
    }
}

/// The first of these that means the event.
pub(super) fn find<'a>(list: &'a [Requested], observed: &Observed) -> Option<&'a Requested> {
    list.iter().find(|requested| requested.pattern.matches(observed))
}

/// Whether the actions and connections of a list are good, and that of what is embedded in it.
pub(super) fn check(
    list: &[Requested],
    has_digit_map: bool,
    mode: Notifications,
    exists: &dyn Fn(ConnectionId) -> bool,
) -> Result<(), Refusal> {
    for (index, requested) in list.iter().enumerate() {
        check_scope(&requested.pattern, exists)?;
        // RFC 3435 §2.3.3: an event must not appear more than once.
        if list[..index].iter().any(|other| other.pattern.is_same_as(&requested.pattern)) {
            return Err(Refusal::Twice);
        }
        let actions = &requested.actions;
        if actions.handling == Some(Handling::DigitMap) && !has_digit_map {
            return Err(Refusal::NoDigitMap);
        }
        if let Some(embedded) = &actions.embedded {
            // RFC 3435 §2.3.3: with N only if the request is good for more than one notification.
            if actions.handling == Some(Handling::Notify) && mode == Notifications::Step {
                return Err(Refusal::Actions);
            }
            check(&embedded.events, has_digit_map || embedded.digit_map.is_some(), mode, exists)?;
        }
    }
    Ok(())
}

pub(super) fn check_scope(pattern: &Pattern, exists: &dyn Fn(ConnectionId) -> bool) -> Result<(), Refusal> {
    match pattern.scope {
        Scope::Connection(id) if !exists(id) => Err(Refusal::Connection(id)),
        Scope::Endpoint | Scope::Connection(_) | Scope::AllConnections => Ok(()),
    }
}
