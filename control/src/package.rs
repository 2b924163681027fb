//! Packages: which events and signals there are, and what makes them (RFC 3435 §2.1.6, §6, RFC 3660).
//!
//! A package is one file of data below this one: what its RFC defines, all of it. What this gateway can
//! really detect and play is said once, in [`OFFERED`]. [`Packages`] finds names in both: a package of
//! which nothing can be had is unknown (518); of one that is offered, an event that cannot be detected
//! is 512, a signal that cannot be played 513, and what its RFC does not have is 522 (RFC 3661 §2.2).
//!
//! ```text
//!  "D/5" ─ Packages::events ─▶ EventId ─ source ─▶ Source        what the line or the network did
//!  "G/rt" ─ Packages::signal ▶ EventId ─ making ─▶ Making        what the line or the network is to hear
//! ```
//!
//! [`Source`] and [`Making`] are the border to the engine: it knows no names, and what lies behind
//! here knows no octets. To add a package, write its file, and list it in `ALL`.

pub mod ability;
mod base;
mod bulk_audit;
mod digit_map_extension;
mod dtmf;
mod fax;
mod generic;
mod line;
mod lockstep;
pub mod parameter;
mod redirect;
mod rtp;
mod signal_list;
mod trunk;

use std::fmt::{self, Write as _};
use std::time::Duration;

use crate::mgcp::code::ReturnCode;
use crate::mgcp::digit_map::{Letter, LetterSet};
use crate::mgcp::event::{EventCode, EventName, PackageName, Parameters, Place};
use ability::{Abilities, Ability, Making, Source};
use parameter::Rule;

/// All packages, in the order in which an audit lists them.
// RFC 3435 §3.2.2.13: the first of those that are offered is the default package.
const ALL: &[&Package] = &[
    &trunk::PACKAGE,
    &generic::PACKAGE,
    &dtmf::PACKAGE,
    &rtp::PACKAGE,
    &line::PACKAGE,
    &fax::PACKAGE,
    &base::PACKAGE,
    &signal_list::PACKAGE,
    &digit_map_extension::PACKAGE,
    &bulk_audit::PACKAGE,
    &redirect::PACKAGE,
    &lockstep::PACKAGE,
];

/// What this gateway can do today. Whoever makes more possible adds it here, and call agents see it.
pub const OFFERED: Abilities = Abilities::of(&[
    Ability::Notifications,
    Ability::SignalLists,
    Ability::BulkAudit,
    Ability::RedirectAndReset,
    Ability::LockstepReports,
    Ability::DigitDetection,
    Ability::DigitDuration,
    Ability::DigitGeneration,
    Ability::CallTones,
    Ability::CallToneDetection,
    Ability::ConnectionAge,
    Ability::FaxToneDetection,
    Ability::ModemToneDetection,
    Ability::ContinuityTest,
    Ability::ContinuityResponse,
    Ability::NetworkContinuityTest,
    Ability::TestTones,
    Ability::TestToneDetection,
    Ability::MediaStart,
    Ability::MediaTimeout,
    Ability::LossThreshold,
    Ability::QualityThreshold,
    Ability::MediaChanges,
    Ability::TestPatterns,
]);

/// B/enf: an embedded request could not be carried out (RFC 3435 §B.1).
pub const EMBEDDED_REQUEST_FAILURE: EventId = EventId::find("B", "enf");
/// B/oef: the list of observed events is full.
pub const OBSERVED_EVENTS_FULL: EventId = EventId::find("B", "oef");
/// B/qbo: the quarantine list was full, and events are lost.
pub const QUARANTINE_BUFFER_OVERFLOW: EventId = EventId::find("B", "qbo");

/// A package, as its RFC defines it.
#[derive(Debug)]
struct Package {
    name: &'static str,
    version: u32,
    /// For a package without events of its own: what it takes to offer it.
    needs: Option<Ability>,
    entries: &'static [Entry],
    parameters: &'static [(&'static str, Extension)],
}

/// A name in a package: an event, a signal, or both.
#[derive(Debug)]
struct Entry {
    code: &'static str,
    event: Option<Detection>,
    signal: Option<Generation>,
}

/// What there is to know of an event.
#[derive(Debug)]
struct Detection {
    source: Source,
    on: On,
    /// The parameters it is requested with.
    rules: &'static [Rule],
}

/// What there is to know of a signal.
#[derive(Debug)]
struct Generation {
    making: Making,
    kind: SignalKind,
    on: On,
    rules: &'static [Rule],
    /// What its parameters must fulfil together.
    agree: Option<fn(&Parameters) -> bool>,
}

/// Where an event can be detected or a signal applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum On {
    Endpoint,
    Connection,
    Either,
    /// On connections; all of them are meant where none is named.
    AllConnections,
}

impl On {
    fn has(self, place: Place) -> bool {
        match self {
            Self::Endpoint => place == Place::Endpoint,
            Self::Connection => place != Place::Endpoint,
            Self::Either | Self::AllConnections => true,
        }
    }
}

/// The type of a signal (RFC 3435 §2.1.7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SignalKind {
    /// OO: until it is turned off.
    OnOff,
    /// TO: for this long, unless a request says otherwise.
    TimeOut(TimeOut),
    /// BR: ends by itself, soon.
    Brief,
}

/// How long a time-out signal lasts by default.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeOut {
    /// This long.
    After(Duration),
    /// Without end.
    Never,
    /// As long as what it does takes; a request cannot say otherwise.
    Variable,
}

/// A parameter line that a package defines.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Extension {
    /// B/PR (RFC 3435 §B.2.1)
    PersistentEvents,
    /// B/NS (RFC 3435 §B.2.2)
    NotificationState,
    /// BA/F (RFC 3624 §2.1.1.2)
    BulkRequestedInfo,
    /// BA/SE (RFC 3624 §2.1.1.1)
    StartEndpoint,
    /// BA/NU (RFC 3624 §2.1.1.1)
    EndpointsMax,
    /// RED/NL (RFC 3991 §2.1)
    NotifiedEntityList,
    /// RED/EL (RFC 3991 §2.2.1)
    EndpointList,
    /// RED/MP (RFC 3991 §2.2.1)
    EndpointMap,
    /// RED/N (RFC 3991 §2.3)
    NotifiedEntity,
    /// RED/R (RFC 3991 §2.4)
    Reset,
    /// LCK/LST (RFC 3992 §2.1)
    LockstepTime,
}

impl Package {
    const fn new(name: &'static str, version: u32, entries: &'static [Entry]) -> Self {
        Self { name, version, needs: None, entries, parameters: &[] }
    }

    const fn needing(self, ability: Ability) -> Self {
        Self { needs: Some(ability), ..self }
    }

    const fn with(self, parameters: &'static [(&'static str, Extension)]) -> Self {
        Self { parameters, ..self }
    }

    fn position(&self, code: &str) -> Option<usize> {
        self.entries.iter().position(|entry| entry.code.eq_ignore_ascii_case(code))
    }

    fn is_offered(&self, abilities: Abilities) -> bool {
        match self.needs {
            Some(ability) => abilities.has(ability),
            None => self.entries.iter().any(|entry| {
                let event = entry.event.as_ref().and_then(|event| event.source.needs());
                let signal = entry.signal.as_ref().map(|signal| signal.making.needs());
                event.into_iter().chain(signal).any(|ability| abilities.has(ability))
            }),
        }
    }

    /// RFC 3435 §6.6.1: completion and failure are told of time-out signals, so they can happen if one
    /// of those can be had.
    fn has_time_outs(&self, abilities: Abilities) -> bool {
        let mut signals = self.entries.iter().filter_map(|entry| entry.signal.as_ref());
        signals.any(|signal| {
            matches!(signal.kind, SignalKind::TimeOut(_)) && abilities.has(signal.making.needs())
        })
    }
}

impl Entry {
    const fn event(code: &'static str, source: Source) -> Self {
        let event = Some(Detection { source, on: On::Endpoint, rules: &[] });
        Self { code, event, signal: None }
    }

    const fn signal(code: &'static str, kind: SignalKind, making: Making) -> Self {
        Self { code, event: None, signal: Some(Generation::new(kind, making)) }
    }

    /// With the rules for the parameters of what was named last.
    const fn taking(self, rules: &'static [Rule]) -> Self {
        match self {
            Self { code, event, signal: Some(signal) } => {
                Self { code, event, signal: Some(Generation { rules, ..signal }) }
            }
            Self { code, event: Some(event), signal: None } => {
                Self { code, event: Some(Detection { rules, ..event }), signal: None }
            }
            nothing => nothing,
        }
    }

    /// Elsewhere than at the endpoint: what was named last.
    const fn on(self, on: On) -> Self {
        match self {
            Self { code, event, signal: Some(signal) } => {
                Self { code, event, signal: Some(Generation { on, ..signal }) }
            }
            Self { code, event: Some(event), signal: None } => {
                Self { code, event: Some(Detection { on, ..event }), signal: None }
            }
            nothing => nothing,
        }
    }

    /// A signal as well as an event.
    const fn and_signal(self, kind: SignalKind, making: Making) -> Self {
        Self { signal: Some(Generation::new(kind, making)), ..self }
    }

    /// With a rule for all parameters of the signal together.
    const fn agreeing(self, agree: fn(&Parameters) -> bool) -> Self {
        match self {
            Self { code, event, signal: Some(signal) } => {
                Self { code, event, signal: Some(Generation { agree: Some(agree), ..signal }) }
            }
            nothing => nothing,
        }
    }
}

impl Generation {
    const fn new(kind: SignalKind, making: Making) -> Self {
        Self { making, kind, on: On::Endpoint, rules: &[], agree: None }
    }
}

impl SignalKind {
    /// TO, for so many seconds by default.
    const fn seconds(n: u64) -> Self {
        Self::TimeOut(TimeOut::After(Duration::from_secs(n)))
    }

    /// TO, for so many milliseconds by default.
    const fn milliseconds(n: u64) -> Self {
        Self::TimeOut(TimeOut::After(Duration::from_millis(n)))
    }

    /// TO, without end by default.
    const ENDLESS: Self = Self::TimeOut(TimeOut::Never);
}

/// An event or a signal, by its place in its package: they share one space of names (RFC 3435 §2.1.7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    package: u8,
    entry: u8,
}

impl EventId {
    /// The event of these names; only for names that are in the table.
    const fn find(package: &str, code: &str) -> Self {
        let mut p = 0;
        while !is_same(ALL[p].name, package) {
            p += 1;
        }
        let mut e = 0;
        while !is_same(ALL[p].entries[e].code, code) {
            e += 1;
        }
        Self { package: p as u8, entry: e as u8 }
    }

    fn new(package: usize, entry: usize) -> Self {
        let index = |n| u8::try_from(n).expect("there are fewer than 256 packages, and entries in each");
        Self { package: index(package), entry: index(entry) }
    }

    /// The name of its package, as its RFC spells it.
    pub fn package(self) -> &'static str {
        self.home().name
    }

    /// Its own name, as its RFC spells it.
    pub fn code(self) -> &'static str {
        self.entry().code
    }

    /// The letter that it is to a digit map; none if it is no digit, key or timer.
    pub fn letter(self) -> Option<Letter> {
        let source = self.source()?;
        if let Source::Digit(digit) = source {
            return Some(digit.into());
        }
        (source == Source::DigitTimer).then_some(Letter::TIMER)
    }

    /// What makes it happen; `None` if it is no event.
    pub fn source(self) -> Option<Source> {
        self.entry().event.as_ref().map(|event| event.source)
    }

    /// What is to be made where it is applied; `None` if it is no signal.
    pub fn making(self) -> Option<Making> {
        self.entry().signal.as_ref().map(|signal| signal.making)
    }

    /// Its type; `None` if it is no signal.
    pub fn kind(self) -> Option<SignalKind> {
        self.entry().signal.as_ref().map(|signal| signal.kind)
    }

    /// The event that tells that this time-out signal is over: `oc` of its package (RFC 3435 §6.6.1).
    pub fn completion(self) -> Option<Self> {
        self.sibling(Source::SignalCompleted)
    }

    /// The event that tells that this time-out signal has failed: `of` of its package.
    pub fn failure(self) -> Option<Self> {
        self.sibling(Source::SignalFailed)
    }

    fn sibling(self, source: Source) -> Option<Self> {
        let is_it = |entry: &Entry| entry.event.as_ref().is_some_and(|event| event.source == source);
        let index = self.home().entries.iter().position(is_it)?;
        Some(Self::new(usize::from(self.package), index))
    }

    fn is_of_connections(self) -> bool {
        self.entry().event.as_ref().is_some_and(|event| event.on == On::AllConnections)
    }

    fn home(self) -> &'static Package {
        ALL[usize::from(self.package)]
    }

    fn entry(self) -> &'static Entry {
        &self.home().entries[usize::from(self.entry)]
    }
}

/// `const` equality of names.
const fn is_same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

/// `D/5`
impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.package(), self.code())
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventId({self})")
    }
}

/// The events that a name means, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// One, or those of a range or wildcard; at least one.
    pub events: Vec<EventId>,
    /// As in the name; all connections where the event is one of connections and none is named.
    pub place: Place,
}

/// The packages of an endpoint, as far as they can be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packages {
    abilities: Abilities,
}

impl Packages {
    /// The packages for which there are these abilities: [`OFFERED`], except in tests.
    pub const fn new(abilities: Abilities) -> Self {
        Self { abilities }
    }

    /// Has what takes a telephone, or has it no longer.
    pub fn set_telephones(&mut self, are_there: bool) {
        self.abilities = self.abilities.with(Ability::Telephones, are_there);
    }

    /// The value of PL (RFC 3435 §3.2.2.13): names and versions, the default package first.
    pub fn list(&self) -> String {
        let mut text = String::new();
        for (_, package) in self.offered() {
            let comma = if text.is_empty() { "" } else { "," };
            write!(text, "{comma}{}:{}", package.name, package.version).expect("a string takes all");
        }
        text
    }

    /// The names of those, the default package first.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.offered().map(|(_, package)| package.name)
    }

    /// The events that a name of R or T means.
    ///
    /// # Errors
    /// 518, 522 or 512, as at the top.
    pub fn events(&self, name: &EventName) -> Result<Found, ReturnCode> {
        let mut events = Vec::new();
        let mut error = ReturnCode::EVENT_UNKNOWN;
        for index in self.named(&name.package)? {
            match self.events_of(index, name, &mut events) {
                Ok(()) => {}
                Err(code) if name.package != PackageName::All => return Err(code),
                // RFC 3435 §2.1.7: `*/ft` is ft in whichever package has it.
                Err(code) if code == ReturnCode::CANNOT_DETECT => error = code,
                Err(_) => {}
            }
        }
        match &events[..] {
            [] => Err(error),
            // RFC 3660 §2.1, §2.10: for some events of connections, none named means all.
            [one] if name.place == Place::Endpoint && one.is_of_connections() => {
                Ok(Found { events, place: Place::AllConnections })
            }
            _ => Ok(Found { events, place: name.place }),
        }
    }

    /// The signal that a name of S means.
    ///
    /// # Errors
    /// 518, 522 or 513, as at the top.
    pub fn signal(&self, name: &EventName) -> Result<EventId, ReturnCode> {
        // RFC 3435 §3.2.2.4: ranges and wildcards are for events.
        let (EventCode::Named(code), false) = (&name.code, name.package == PackageName::All) else {
            return Err(ReturnCode::EVENT_UNKNOWN);
        };
        let package = *self.named(&name.package)?.first().ok_or(ReturnCode::EVENT_UNKNOWN)?;
        let entry = ALL[package].position(code).ok_or(ReturnCode::EVENT_UNKNOWN)?;
        let signal = ALL[package].entries[entry].signal.as_ref().ok_or(ReturnCode::EVENT_UNKNOWN)?;
        if !self.abilities.has(signal.making.needs()) || !signal.on.has(name.place) {
            return Err(ReturnCode::CANNOT_SIGNAL);
        }
        Ok(EventId::new(package, entry))
    }

    /// The events that happen when this does.
    pub fn caused_by(&self, source: Source) -> impl Iterator<Item = EventId> {
        self.offered().flat_map(move |(index, package)| {
            let is_it = move |entry: &Entry| entry.event.as_ref().is_some_and(|event| event.source == source);
            let entries = package.entries.iter().enumerate();
            entries.filter(move |(_, entry)| is_it(entry)).map(move |(entry, _)| EventId::new(index, entry))
        })
    }

    /// The parameter line of this name: `B/PR`.
    ///
    /// # Errors
    /// 518 for a package that is unknown, 511 for a parameter that it does not have.
    pub fn extension(&self, name: &str) -> Result<Extension, ReturnCode> {
        let (package, code) = name.split_once('/').ok_or(ReturnCode::UNKNOWN_EXTENSION)?;
        let index = self.position(package).ok_or(ReturnCode::UNSUPPORTED_PACKAGE)?;
        let found = ALL[index].parameters.iter().find(|(own, _)| own.eq_ignore_ascii_case(code));
        found.map(|(_, extension)| *extension).ok_or(ReturnCode::UNKNOWN_EXTENSION)
    }

    fn offered(&self) -> impl Iterator<Item = (usize, &'static Package)> + use<> {
        let abilities = self.abilities;
        ALL.iter().copied().enumerate().filter(move |(_, package)| package.is_offered(abilities))
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.offered().find(|(_, package)| package.name.eq_ignore_ascii_case(name)).map(|(index, _)| index)
    }

    /// The packages that are meant; none for the default package where there is none.
    fn named(&self, name: &PackageName) -> Result<Vec<usize>, ReturnCode> {
        match name {
            PackageName::Default => Ok(self.offered().map(|(index, _)| index).take(1).collect()),
            PackageName::All => Ok(self.offered().map(|(index, _)| index).collect()),
            PackageName::Named(name) => {
                self.position(name).map(|index| vec![index]).ok_or(ReturnCode::UNSUPPORTED_PACKAGE)
            }
        }
    }

    /// Adds those of one package.
    fn events_of(&self, index: usize, name: &EventName, to: &mut Vec<EventId>) -> Result<(), ReturnCode> {
        let package = ALL[index];
        match &name.code {
            EventCode::All => {
                let before = to.len();
                // Nor is what has to be asked for by a number.
                let is_meant = |entry: &&Entry| {
                    entry.event.as_ref().is_some_and(|event| !event.rules.iter().any(Rule::is_required))
                };
                let codes = package.entries.iter().filter(is_meant).map(|entry| entry.code);
                let found = codes.filter_map(|code| self.event_of(index, code, name.place).ok());
                // What cannot be detected in that very place is not meant.
                to.extend(found.filter(|event| name.place != Place::Endpoint || !event.is_of_connections()));
                if to.len() > before { Ok(()) } else { Err(ReturnCode::CANNOT_DETECT) }
            }
            EventCode::Range(letters) => self.letters_of(index, *letters, name.place, to),
            // RFC 3435 §2.1.7: x stands for the digits.
            EventCode::Named(code) if code.eq_ignore_ascii_case("x") && package.position("0").is_some() => {
                self.letters_of(index, LetterSet::DIGITS, name.place, to)
            }
            EventCode::Named(code) => {
                to.push(self.event_of(index, code, name.place)?);
                Ok(())
            }
        }
    }

    fn letters_of(
        &self,
        index: usize,
        letters: LetterSet,
        place: Place,
        to: &mut Vec<EventId>,
    ) -> Result<(), ReturnCode> {
        for letter in letters.iter() {
            to.push(self.event_of(index, letter.to_string().as_str(), place)?);
        }
        Ok(())
    }

    fn event_of(&self, index: usize, code: &str, place: Place) -> Result<EventId, ReturnCode> {
        let entry = ALL[index].position(code).ok_or(ReturnCode::EVENT_UNKNOWN)?;
        let event = ALL[index].entries[entry].event.as_ref().ok_or(ReturnCode::EVENT_UNKNOWN)?;
        let can_happen = match event.source.needs() {
            Some(ability) => self.abilities.has(ability),
            None => ALL[index].has_time_outs(self.abilities),
        };
        if can_happen && event.on.has(place) {
            Ok(EventId::new(index, entry))
        } else {
            Err(ReturnCode::CANNOT_DETECT)
        }
    }
}

#[cfg(test)]
mod tests;
