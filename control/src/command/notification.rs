//! The notification request that a command carries or is: X, R, S, D, Q, T and B/PR (RFC 3435 §2.3.3).
//!
//! From text to what endpoints keep. Whether it can be granted is asked of
//! [`Notify::check`](crate::endpoint::notify::Notify::check) and
//! [`Signals::check`](crate::endpoint::signal::Signals::check), endpoint by endpoint.

use std::sync::Arc;

use crate::endpoint::Endpoint;
use crate::endpoint::notify::Observed;
use crate::endpoint::notify::request::{self, Actions, Embedded, Pattern, Request, Requested};
use crate::endpoint::signal::{self, Key, Scope, Signal};
use crate::mgcp::code::ReturnCode;
use crate::mgcp::digit_map::DigitMap;
use crate::mgcp::event::{
    EmbeddedRequest, Event, EventCode, EventName, Events, Parameter, Place, QuarantineHandling,
    RequestedEvents,
};
use crate::mgcp::event_error::EventError;
use crate::mgcp::message::Parameters;
use crate::mgcp::name::ConnectionId;
use crate::package::ability::Making;
use crate::package::{EventId, Extension, Packages};

/// A notification request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// What is to be told.
    pub request: Arc<Request>,
    /// S
    pub signals: Arc<[Arc<Signal>]>,
}

impl Asked {
    /// Whether it names any event or signal.
    pub fn names_events(&self) -> bool {
        let Request { events, detect, persistent, .. } = &*self.request;
        let some = |list: &Option<_>| list.as_ref().is_some_and(|list: &Arc<[Requested]>| !list.is_empty());
        !events.is_empty()
            || detect.as_ref().is_some_and(|list| !list.is_empty())
            || some(persistent)
            || !self.signals.is_empty()
    }
}

/// Reads the notification request of a command, if it has one. `current` is the connection that the
/// command makes or changes.
///
/// # Errors
/// The return code for what is wrong or missing.
pub fn read(
    packages: &Packages,
    parameters: &Parameters<'_>,
    current: Option<ConnectionId>,
) -> Result<Option<Asked>, ReturnCode> {
    let p = parameters;
    let reader = Reader { packages, current };
    let persistent = p
        .others
        .iter()
        .find(|(name, _)| name.contains('/') && packages.extension(name) == Ok(Extension::PersistentEvents));
    let parts = [p.requested_events, p.signal_requests, p.detect_events, p.digit_map, p.quarantine];
    let has_parts = parts.iter().any(Option::is_some) || persistent.is_some();
    let identifier = match p.request {
        Some(Some(id)) => id,
        Some(None) => return Err(ReturnCode::PROTOCOL_ERROR),
        // RFC 3435 §3.2.2, note: whatever is part of a notification request needs X.
        None if has_parts => return Err(ReturnCode::PROTOCOL_ERROR),
        None => return Ok(None),
    };
    // RFC 3435 §2.3.3: R, S and Q that are absent are as if they were empty; D, T and PR stay as they are.
    let detect: Option<Events> = p.detect_events.map(parse).transpose()?;
    let digit_map: Option<DigitMap> =
        p.digit_map.filter(|text| !text.trim().is_empty()).map(parse).transpose()?;
    let persistent = persistent.map(|(_, text)| parse::<RequestedEvents>(text)).transpose()?;
    let request = Request {
        identifier,
        notified_entity: p.notified_entity.clone(),
        events: reader.requested(&parse(p.requested_events.unwrap_or_default())?)?,
        digit_map: digit_map.map(Arc::new),
        quarantine: parse::<QuarantineHandling>(p.quarantine.unwrap_or_default())?,
        detect: detect.map(|events| events.0.iter().map(|e| reader.pattern(e)).collect()).transpose()?,
        persistent: persistent.map(|events| reader.requested(&events)).transpose()?,
    };
    let signals = reader.signals(&parse(p.signal_requests.unwrap_or_default())?)?;
    Ok(Some(Asked { request: Arc::new(request), signals }))
}

/// Whether a connection exists, or will when a request takes effect; and then, whether it has a remote
/// description.
pub type Described<'a> = &'a dyn Fn(ConnectionId) -> Option<bool>;

/// The connections as they are.
pub fn as_they_are(endpoint: &Endpoint) -> impl Fn(ConnectionId) -> Option<bool> {
    |id| endpoint.connection(id).map(|connection| connection.remote.is_some())
}

/// Checks that an endpoint can grant a request.
///
/// # Errors
/// The return code for why not.
pub fn check(endpoint: &Endpoint, asked: &Asked, described: Described<'_>) -> Result<(), ReturnCode> {
    let exists = |connection| described(connection).is_some();
    check_request(endpoint, asked, &exists)?;
    check_signals(endpoint, &asked.signals, described)
}

/// Checks that an endpoint can detect and tell what a request asks for.
///
/// # Errors
/// The return code for why not.
pub fn check_request(
    endpoint: &Endpoint,
    asked: &Asked,
    exists: &dyn Fn(ConnectionId) -> bool,
) -> Result<(), ReturnCode> {
    // Nothing that is detected tells of a state, so none can be there already.
    let precluded = |_| None;
    endpoint.control.notify.check(&asked.request, exists, &precluded).map_err(code_of)
}

/// Checks that an endpoint can apply signals.
///
/// # Errors
/// The return code for why not.
pub fn check_signals(
    endpoint: &Endpoint,
    signals: &[Arc<Signal>],
    described: Described<'_>,
) -> Result<(), ReturnCode> {
    let hears = |connection| match described(connection) {
        None => Err(signal::Refusal::NoConnection(connection)),
        Some(false) => Err(signal::Refusal::Undescribed(connection)),
        Some(true) => Ok(()),
    };
    // Tones are heard beside others; a test is of nothing but its own.
    let takes = |event: EventId| match event.making() {
        None | Some(Making::Nothing | Making::Telephone) => 0,
        Some(Making::Tone(_) | Making::RingbackOn | Making::Digit(_) | Making::LongDigit | Making::List) => 1,
        Some(_) => signal::AT_ONCE_MAX,
    };
    endpoint.control.signals.check(signals, hears, takes).map_err(code_of_signals)
}

fn code_of(refusal: request::Refusal) -> ReturnCode {
    match refusal {
        request::Refusal::NoDigitMap => ReturnCode::NO_DIGIT_MAP,
        request::Refusal::Actions => ReturnCode::UNKNOWN_ACTION,
        request::Refusal::Twice => ReturnCode::PROTOCOL_ERROR,
        request::Refusal::Connection(_) => ReturnCode::CONNECTION_UNKNOWN,
        request::Refusal::Glare(code) => code,
    }
}

fn code_of_signals(refusal: signal::Refusal) -> ReturnCode {
    match refusal {
        signal::Refusal::Twice(_) => ReturnCode::PROTOCOL_ERROR,
        signal::Refusal::NoConnection(_) => ReturnCode::CONNECTION_UNKNOWN,
        signal::Refusal::Undescribed(_) => ReturnCode::REMOTE_MISSING,
        signal::Refusal::TooLoud(_) => ReturnCode::CANNOT_SIGNAL,
        signal::Refusal::TooMany => ReturnCode::NO_RESOURCES,
    }
}

fn parse<T: std::str::FromStr<Err = EventError>>(text: &str) -> Result<T, ReturnCode> {
    text.parse().map_err(|error: EventError| error.code)
}

/// The value of O.
pub fn observed(events: &[Observed]) -> String {
    let one = |observed: &Observed| {
        let place = observed.connection.map_or(Place::Endpoint, Place::Connection);
        let name = EventName::new(observed.event.package(), observed.event.code()).at(place);
        Event { name, parameters: observed.parameters.clone() }
    };
    Events(events.iter().map(one).collect()).to_string()
}

/// What names mean here.
struct Reader<'a> {
    packages: &'a Packages,
    current: Option<ConnectionId>,
}

impl Reader<'_> {
    fn requested(&self, list: &RequestedEvents) -> Result<Arc<[Requested]>, ReturnCode> {
        let one = |asked: &crate::mgcp::event::RequestedEvent| {
            let embedded = asked.actions.embedded.as_ref();
            Ok(Requested {
                pattern: self.pattern(&asked.event)?,
                actions: Actions {
                    handling: asked.actions.handling,
                    swaps_audio: asked.actions.swaps_audio,
                    keeps_signals: asked.actions.keeps_signals,
                    embedded: embedded.map(|embedded| self.embedded(embedded)).transpose()?.map(Arc::new),
                },
            })
        };
        list.0.iter().map(one).collect()
    }

    fn embedded(&self, asked: &EmbeddedRequest) -> Result<Embedded, ReturnCode> {
        Ok(Embedded {
            events: self.requested(&asked.events)?,
            signals: self.signals(&asked.signals)?,
            digit_map: asked.digit_map.clone(),
        })
    }

    fn pattern(&self, asked: &Event) -> Result<Pattern, ReturnCode> {
        let mut found = self.packages.events(&asked.name)?;
        let check = |event: &EventId| self.packages.check_event(*event, &asked.parameters);
        // What cannot be asked for with these parameters is not among all that are meant.
        if asked.name.code == EventCode::All && found.events.iter().any(|event| check(event).is_ok()) {
            found.events.retain(|event| check(event).is_ok());
        }
        found.events.iter().try_for_each(check)?;
        let scope = self.scope(found.place)?;
        Ok(Pattern { asked: self.expanded(asked), events: found.events.into(), scope })
    }

    fn signals(&self, list: &Events) -> Result<Arc<[Arc<Signal>]>, ReturnCode> {
        list.0.iter().map(|asked| self.signal(asked).map(Arc::new)).collect()
    }

    fn signal(&self, asked: &Event) -> Result<Signal, ReturnCode> {
        let event = self.packages.signal(&asked.name)?;
        let lasting = self.packages.check_signal(event, &asked.parameters)?;
        let asked = self.expanded(asked);
        let place = match event.making() {
            // RFC 3660 §2.1: `rbk(connection)` is `rt@connection` by another name.
            Some(Making::RingbackOn) => place_of(asked.parameters.0.first()),
            _ => asked.name.place,
        };
        // RFC 3660 §2.8: what else a list may hold has been seen to.
        let is_list = event.making() == Some(Making::List);
        let parts = asked.parameters.0.iter().filter(|_| is_list).filter_map(Parameter::to_signal);
        let parts = parts.map(|part| self.signal(&part).map(Arc::new)).collect::<Result<_, _>>()?;
        Ok(Signal { key: Key { event, scope: self.scope(place)? }, lasting, asked, parts })
    }

    // RFC 3435 §2.1.7: `$` is expanded at once, and only where there is a current connection; `*` never.
    fn scope(&self, place: Place) -> Result<Scope, ReturnCode> {
        match place {
            Place::Endpoint => Ok(Scope::Endpoint),
            Place::AllConnections => Ok(Scope::AllConnections),
            Place::Connection(id) => Ok(Scope::Connection(id)),
            Place::CurrentConnection => {
                self.current.map(Scope::Connection).ok_or(ReturnCode::CONNECTION_UNKNOWN)
            }
        }
    }

    /// The same without `$`.
    fn expanded(&self, asked: &Event) -> Event {
        let mut asked = asked.clone();
        let Some(current) = self.current else { return asked };
        if asked.name.place == Place::CurrentConnection {
            asked.name.place = Place::Connection(current);
        }
        for parameter in &mut asked.parameters.0 {
            if place_of(Some(parameter)) == Place::CurrentConnection {
                *parameter = Parameter::bare(current);
            }
        }
        asked
    }
}

/// The connection that a parameter names.
fn place_of(parameter: Option<&Parameter>) -> Place {
    match parameter.and_then(Parameter::value).as_deref() {
        Some("$") => Place::CurrentConnection,
        Some("*") => Place::AllConnections,
        Some(id) => id.parse().map_or(Place::Endpoint, Place::Connection),
        None => Place::Endpoint,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::command::reply::DATAGRAM_MAX;
    use crate::endpoint::notify::OBSERVED_MAX;
    use crate::mgcp::event;
    use crate::package::ability::{Abilities, Ability};

    /// Packages that can do some of all kinds.
    pub(crate) const PACKAGES: Packages = Packages::new(Abilities::of(&[
        Ability::Notifications,
        Ability::SignalLists,
        Ability::RedirectAndReset,
        Ability::LockstepReports,
        Ability::ConnectionAge,
        Ability::DigitDetection,
        Ability::DigitGeneration,
        Ability::CallTones,
        Ability::CallToneDetection,
        Ability::ContinuityResponse,
        Ability::FaxToneDetection,
        Ability::ModemToneDetection,
        Ability::LineSignalling,
        Ability::QualityThreshold,
    ]));

    /// The request of `X=1 R=D/5(N) S=G/rt`.
    pub(crate) fn asked(text: &str, current: Option<&str>) -> Result<Option<Asked>, ReturnCode> {
        let mut parameters = Parameters::default();
        for (name, value) in text.split(' ').filter_map(|word| word.split_once('=')) {
            match name {
                "X" => parameters.request = Some(value.parse().ok()),
                "R" => parameters.requested_events = Some(value),
                "S" => parameters.signal_requests = Some(value),
                "D" => parameters.digit_map = Some(value),
                "Q" => parameters.quarantine = Some(value),
                "T" => parameters.detect_events = Some(value),
                "N" => parameters.notified_entity = Some(value.parse().ok()),
                name => parameters.others.push((name, value)),
            }
        }
        read(&PACKAGES, &parameters, current.map(|id| id.parse().expect(id)))
    }

    fn code(text: &str) -> ReturnCode {
        asked(text, None).expect_err(text)
    }

    #[test]
    fn a_command_without_any_part_has_no_request() {
        assert_eq!(asked("N=ca@example.net", None), Ok(None));
        for part in ["R=", "S=", "T=", "D=(1)", "Q=loop", "B/PR="] {
            assert_eq!(code(part), ReturnCode::PROTOCOL_ERROR, "{part}");
            assert!(asked(&format!("X=1 {part}"), None).expect(part).is_some());
        }
        assert_eq!(code("X="), ReturnCode::PROTOCOL_ERROR);
    }

    #[test]
    fn what_is_absent_is_told_apart_from_what_is_empty() {
        let absent = asked("X=1", None).expect("good").expect("there");
        assert_eq!((&absent.request.detect, &absent.request.persistent), (&None, &None));
        let empty = asked("X=1 T= B/PR=", None).expect("good").expect("there");
        assert_eq!(empty.request.detect.as_deref(), Some(&[][..]));
        assert_eq!(empty.request.persistent.as_deref(), Some(&[][..]));
    }

    // RFC 3435 §2.1.7.
    #[test]
    fn the_current_connection_is_expanded_everywhere_and_all_connections_nowhere() {
        let text = "X=1 R=G/ld@$(N,E(R(G/ld@$(A)),S(G/rt@$))),D/1(N) S=G/rt@$,G/rbk($),G/rt@* Q=loop";
        let Asked { request, signals } = asked(text, Some("1A")).expect("good").expect("there");
        let requested = request.events[0].to_asked().to_string();
        assert_eq!(requested, "G/ld@1A(N,E(R(G/ld@1A(A)),S(G/rt@1A)))");
        let shown: Vec<_> = signals.iter().map(|signal| signal.asked.to_string()).collect();
        assert_eq!(shown, ["G/rt@1A", "G/rbk(1A)", "G/rt@*"]);
        let current = Scope::Connection("1A".parse().expect("hex"));
        let scopes: Vec<_> = signals.iter().map(|signal| signal.key.scope).collect();
        assert_eq!(scopes, [current, current, Scope::AllConnections]);
        for text in ["X=1 R=G/ld@$", "X=1 S=G/rt@$", "X=1 S=G/rbk($)", "X=1 R=D/1(E(S(G/rt@$)))"] {
            assert_eq!(code(text), ReturnCode::CONNECTION_UNKNOWN, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_has_its_own_code() {
        for (text, expected) in [
            ("X=1 R=Z/z(N)", ReturnCode::UNSUPPORTED_PACKAGE),
            ("X=1 R=G/zz(N)", ReturnCode::EVENT_UNKNOWN),
            ("X=1 R=T/tl(N)", ReturnCode::CANNOT_DETECT),
            ("X=1 S=T/qt", ReturnCode::CANNOT_SIGNAL),
            ("X=1 S=G/rt(zz)", ReturnCode::EVENT_PARAMETER_ERROR),
            ("X=1 R=D/1(N,A)", ReturnCode::UNKNOWN_ACTION),
            ("X=1 R=D/1(E(R(Z/z(N))))", ReturnCode::UNSUPPORTED_PACKAGE),
            ("X=1 D=(1F)", ReturnCode::UNSUPPORTED_DIGIT_MAP),
            ("X=1 Q=loop,step", ReturnCode::UNSUPPORTED_QUARANTINE),
            ("X=1 T=Z/z", ReturnCode::UNSUPPORTED_PACKAGE),
            ("X=1 B/PR=G/zz(N)", ReturnCode::EVENT_UNKNOWN),
        ] {
            assert_eq!(code(text), expected, "{text}");
        }
    }

    /// The longest name of an endpoint, an entity, and the rest of a NTFY without its events.
    const REST: usize = 2 * (255 + 20) + "NTFY 999999999  MGCP 1.0\r\nX: \r\nN: \r\nO: \r\n".len() + 32;

    #[test]
    fn all_that_is_observed_at_a_time_fits_into_a_datagram() {
        let connection = Some(ConnectionId::from(u64::MAX));
        let packages = Packages::new(crate::package::OFFERED);
        let all = "*/all".parse::<EventName>().expect("a name");
        let events = packages.events(&all).expect("there are some").events;
        let longest = events.iter().map(|id| {
            let place = Place::Connection(ConnectionId::from(u64::MAX));
            let over = vec![Parameter::bare(EventName::new(id.package(), "rbk").at(place))];
            let lasted = vec![Parameter::assigned("dg", "D"), Parameter::assigned("to", u16::MAX)];
            let there = Observed { connection, ..Observed::new(*id) };
            let all = [over, lasted]
                .map(|all| Observed { parameters: event::Parameters(all), ..Observed::new(*id) });
            all.into_iter().chain([there]).map(|one| observed(&[one]).len()).max().expect("three")
        });
        let longest = longest.max().expect("there are some") + ",".len();
        assert!((OBSERVED_MAX + 1) * longest + REST <= DATAGRAM_MAX, "{longest}");
    }
}
