//! Lists of events and signals: RFC 3435 §2.1.7, §2.3.3 and §3.2.2.4, by the grammar of its Appendix A.
//!
//! R is [`RequestedEvents`]; S, T, O and ES are [`Events`]; Q is [`QuarantineHandling`]. Each is read
//! with `parse()` and written with `to_string()`, and what is written reads as the same. They own what
//! they hold, because an endpoint keeps its lists until the next request and tells them when audited.
//!
//! What stands here is only spelt right. Whether a package has such an event, and whether its
//! parameters make sense, [`package`](crate::package) says.

mod actions;
mod parameters;
mod reader;

use std::fmt;
use std::str::FromStr;

use super::code::ReturnCode;
use super::digit_map::LetterSet;
use super::event_error::EventError;
use super::name::ConnectionId;
use reader::Reader;

pub use actions::{Actions, EmbeddedRequest, Handling};
pub use parameters::{Parameter, Parameters, Text};

/// Events of one list.
const EVENTS_MAX: usize = 64;

/// The value of R: what to do about which events (RFC 3435 §3.2.2.16).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RequestedEvents(pub Vec<RequestedEvent>);

/// One event of R.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestedEvent {
    /// The event, or the group of events, with its parameters.
    pub event: Event,
    /// What to do when it happens.
    pub actions: Actions,
}

/// The value of S, T, O or ES (RFC 3435 §3.2.2.21, §3.2.2.8, §3.2.2.12, §3.2.2.9).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Events(pub Vec<Event>);

/// The name of an event or a signal, with parameters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Which, and where.
    pub name: EventName,
    /// Its parameters; none where there are no parentheses.
    pub parameters: Parameters,
}

/// The name of an event or a signal, or of a group of them: `D/5`, `G/rt@0A3F58`, `D/[0-9*#]`, `T/all`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct EventName {
    /// The package.
    pub package: PackageName,
    /// The event within it.
    pub code: EventCode,
    /// Where it happens or is to be heard.
    pub place: Place,
}

/// The package of an event.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum PackageName {
    /// None is named: the endpoint's default package is meant.
    Default,
    /// `*`: all packages that have such an event.
    All,
    /// This one, as it was spelt; case does not matter.
    Named(Box<str>),
}

/// An event, or a group of events, of a package.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum EventCode {
    /// `all`: every event of the package.
    All,
    /// `[0-9#*A-D]`: each event whose code is one of these letters.
    Range(LetterSet),
    /// This one, as it was spelt; case does not matter. `*` and `#` are the keys.
    Named(Box<str>),
}

/// Where an event happens, or a signal is heard (RFC 3435 §2.1.7).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Place {
    /// At the endpoint.
    Endpoint,
    /// `@$`: on the connection that the command makes or changes.
    CurrentConnection,
    /// `@*`: on each connection, those to come included.
    AllConnections,
    /// On this connection.
    Connection(ConnectionId),
}

impl EventName {
    /// The name of one event of a package, at the endpoint.
    pub fn new(package: &str, code: &str) -> Self {
        Self {
            package: PackageName::Named(package.into()),
            code: EventCode::named(code),
            place: Place::Endpoint,
        }
    }

    /// The same at another place.
    pub fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }

    // RFC 3435 Appendix A, eventName.
    fn read(reader: &mut Reader<'_>) -> Result<Self, EventError> {
        Ok(Self {
            package: PackageName::read(reader)?,
            code: EventCode::read(reader)?,
            place: Place::read(reader)?,
        })
    }
}

impl PackageName {
    /// With the slash; nothing is read if there is none.
    fn read(reader: &mut Reader<'_>) -> Result<Self, EventError> {
        let mut ahead = *reader;
        let is_all = ahead.eat(b'*');
        let word = if is_all { "" } else { ahead.take_while(is_word_octet) };
        if !ahead.eat(b'/') {
            return Ok(Self::Default);
        }
        if !is_all && !is_word(word) {
            return Err(reader.wrong("packageName"));
        }
        *reader = ahead;
        Ok(if is_all { Self::All } else { Self::Named(word.into()) })
    }
}

impl EventCode {
    fn read(reader: &mut Reader<'_>) -> Result<Self, EventError> {
        let here = *reader;
        match reader.peek() {
            Some(b'[') => {
                let letters = LetterSet::parse(reader.bracketed("eventRange")?.as_bytes());
                letters.map(Self::Range).ok_or(here.wrong("eventRange"))
            }
            // A key of the keypad, and no wildcard.
            Some(b'*' | b'#') => Ok(Self::named(reader.take(1))),
            _ => match reader.take_while(is_word_octet) {
                word if word.eq_ignore_ascii_case("all") => Ok(Self::All),
                word if is_word(word) => Ok(Self::named(word)),
                _ => Err(here.wrong("eventId")),
            },
        }
    }

    fn named(code: &str) -> Self {
        Self::Named(code.into())
    }
}

impl Place {
    /// With its `@`; the endpoint if there is none.
    fn read(reader: &mut Reader<'_>) -> Result<Self, EventError> {
        if !reader.eat(b'@') {
            return Ok(Self::Endpoint);
        }
        if reader.eat(b'*') {
            return Ok(Self::AllConnections);
        }
        if reader.eat(b'$') {
            return Ok(Self::CurrentConnection);
        }
        let error = reader.wrong("ConnectionId");
        let id = reader.take_while(|octet| octet.is_ascii_alphanumeric());
        id.parse().map(Self::Connection).map_err(|_| error)
    }
}

fn is_word_octet(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || octet == b'-'
}

// RFC 3435 §2.1.6, §2.1.7: a hyphen is neither first nor last.
fn is_word(word: &str) -> bool {
    !word.is_empty() && !word.starts_with('-') && !word.ends_with('-')
}

/// Where a parameter is the name of an event, as in `G/oc(G/rt@0A3F58)`.
impl FromStr for EventName {
    type Err = EventError;

    fn from_str(text: &str) -> Result<Self, EventError> {
        let mut reader = Reader::new(text);
        let name = Self::read(&mut reader)?;
        reader.end("eventName")?;
        Ok(name)
    }
}

impl FromStr for RequestedEvents {
    type Err = EventError;

    fn from_str(text: &str) -> Result<Self, EventError> {
        let mut reader = Reader::new(text);
        let events = if reader.is_at_end() { Vec::new() } else { Self::read(&mut reader, true)?.0 };
        reader.end("RequestedEvents")?;
        Ok(Self(events))
    }
}

impl RequestedEvents {
    /// To the end, or to the parenthesis that closes the embedded request they are of.
    fn read(reader: &mut Reader<'_>, may_embed: bool) -> Result<Self, EventError> {
        reader.list(EVENTS_MAX, "RequestedEvents", |reader| RequestedEvent::read(reader, may_embed)).map(Self)
    }
}

impl RequestedEvent {
    // RFC 3435 Appendix A, requestedEvent: parameters stand behind actions, never alone.
    fn read(reader: &mut Reader<'_>, may_embed: bool) -> Result<Self, EventError> {
        let name = EventName::read(reader)?;
        reader.skip_space();
        let actions =
            if reader.peek() == Some(b'(') { Actions::read(reader, may_embed)? } else { Actions::NOTIFY };
        reader.skip_space();
        let parameters = Parameters::read_if_any(reader)?;
        Ok(Self { event: Event { name, parameters }, actions })
    }
}

impl FromStr for Events {
    type Err = EventError;

    fn from_str(text: &str) -> Result<Self, EventError> {
        let mut reader = Reader::new(text);
        let events = if reader.is_at_end() { Vec::new() } else { Self::read(&mut reader)?.0 };
        reader.end("SignalRequests")?;
        Ok(Self(events))
    }
}

impl Events {
    fn read(reader: &mut Reader<'_>) -> Result<Self, EventError> {
        reader.list(EVENTS_MAX, "SignalRequests", Event::read).map(Self)
    }
}

impl Event {
    /// Without parameters.
    pub fn new(name: EventName) -> Self {
        Self { name, parameters: Parameters::default() }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, EventError> {
        let name = EventName::read(reader)?;
        reader.skip_space();
        Ok(Self { name, parameters: Parameters::read_if_any(reader)? })
    }
}

impl fmt::Display for RequestedEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_list(f, &self.0)
    }
}

impl fmt::Display for RequestedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({}){}", self.event.name, self.actions, self.event.parameters)
    }
}

impl fmt::Display for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_list(f, &self.0)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name, self.parameters)
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.package {
            PackageName::Default => {}
            PackageName::All => f.write_str("*/")?,
            PackageName::Named(name) => write!(f, "{name}/")?,
        }
        match &self.code {
            EventCode::All => f.write_str("all")?,
            EventCode::Range(letters) => write!(f, "[{letters}]")?,
            EventCode::Named(code) => f.write_str(code)?,
        }
        match self.place {
            Place::Endpoint => Ok(()),
            Place::CurrentConnection => f.write_str("@$"),
            Place::AllConnections => f.write_str("@*"),
            Place::Connection(id) => write!(f, "@{id}"),
        }
    }
}

/// With commas between and no spaces: some peers cannot take any.
fn write_list(f: &mut fmt::Formatter<'_>, items: &[impl fmt::Display]) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        f.write_str(if index == 0 { "" } else { "," })?;
        item.fmt(f)?;
    }
    Ok(())
}

/// The value of Q (RFC 3435 §3.2.2.14); by default `process` and `step`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct QuarantineHandling {
    /// What becomes of events that wait.
    pub waiting: Waiting,
    /// How many notifications one request is good for.
    pub notifications: Notifications,
}

/// What becomes of events that were observed and not told before a request came.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Waiting {
    /// The new request applies to them.
    #[default]
    Process,
    /// They are forgotten.
    Discard,
}

/// How many notifications one request is good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Notifications {
    /// At most one.
    #[default]
    Step,
    /// Any number.
    Loop,
}

impl FromStr for QuarantineHandling {
    type Err = EventError;

    // Either keyword may come first: RFC 3435 §3.2.2.14 knows no order, its grammar does.
    fn from_str(text: &str) -> Result<Self, EventError> {
        let (mut waiting, mut notifications) = (None, None);
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let mut offset = 0;
        for word in text.split(',') {
            let is = |keyword: &str| word.trim().eq_ignore_ascii_case(keyword);
            let repeated = match () {
                () if is("process") => waiting.replace(Waiting::Process).is_some(),
                () if is("discard") => waiting.replace(Waiting::Discard).is_some(),
                () if is("step") => notifications.replace(Notifications::Step).is_some(),
                () if is("loop") => notifications.replace(Notifications::Loop).is_some(),
                () => true,
            };
            if repeated {
                let code = ReturnCode::UNSUPPORTED_QUARANTINE;
                return Err(EventError { offset, rule: "QuarantineHandling", code });
            }
            offset += word.len() + 1;
        }
        Ok(Self { waiting: waiting.unwrap_or_default(), notifications: notifications.unwrap_or_default() })
    }
}

impl fmt::Display for QuarantineHandling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let notifications = match self.notifications {
            Notifications::Step => "step",
            Notifications::Loop => "loop",
        };
        let waiting = match self.waiting {
            Waiting::Process => "process",
            Waiting::Discard => "discard",
        };
        write!(f, "{notifications},{waiting}")
    }
}

#[cfg(test)]
mod tests;
