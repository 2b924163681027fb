//! What to do when an event happens: RFC 3435 §2.3.3 and §3.2.2.16.

use std::fmt;
use std::sync::Arc;

use super::reader::Reader;
use super::{Events, RequestedEvents};
use crate::mgcp::code::ReturnCode;
use crate::mgcp::digit_map::DigitMap;
use crate::mgcp::event_error::EventError;

/// The actions of one event. What comes from a call agent is a combination that RFC 3435 §2.3.3 has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Actions {
    /// What becomes of the event; it is not told if `None`, but stops signals.
    pub handling: Option<Handling>,
    /// S: the next connection gets the endpoint's audio.
    pub swaps_audio: bool,
    /// K: time-out signals go on.
    pub keeps_signals: bool,
    /// E: what applies from then on.
    pub embedded: Option<Box<EmbeddedRequest>>,
}

/// What becomes of an event that happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Handling {
    /// N: it is told at once, with all that has been accumulated.
    Notify,
    /// A: it is accumulated.
    Accumulate,
    /// D: it is accumulated, and told when the digits match the digit map or cannot.
    DigitMap,
    /// I: it is not told.
    Ignore,
}

/// E: a request that begins to apply when an event happens (RFC 3435 §2.3.3).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EmbeddedRequest {
    /// R: none if it was left out.
    pub events: RequestedEvents,
    /// S: none if it was left out.
    pub signals: Events,
    /// D: the one before if it was left out.
    pub digit_map: Option<Arc<DigitMap>>,
}

impl Actions {
    /// What is done if nothing is said (RFC 3435 §3.2.2.16).
    pub const NOTIFY: Self =
        Self { handling: Some(Handling::Notify), swaps_audio: false, keeps_signals: false, embedded: None };

    /// From the opening parenthesis, over the closing one.
    pub(super) fn read(reader: &mut Reader<'_>, may_embed: bool) -> Result<Self, EventError> {
        let mut actions = Self { handling: None, swaps_audio: false, keeps_signals: false, embedded: None };
        let mut seen = Seen(0);
        reader.expect(b'(', "requestedActions")?;
        reader.list(Seen::N, "requestedActions", |reader| actions.read_one(reader, may_embed, &mut seen))?;
        if !reader.eat(b')') {
            return Err(reader.wrong("requestedActions"));
        }
        Ok(actions)
    }

    fn read_one(
        &mut self,
        reader: &mut Reader<'_>,
        may_embed: bool,
        seen: &mut Seen,
    ) -> Result<(), EventError> {
        let rule = "requestedAction";
        let unknown = reader.error(rule, ReturnCode::UNKNOWN_ACTION);
        let word = reader.take_while(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
        // RFC 3661 §2.2: a package's action, where no package has any, is of a package that is unknown.
        if reader.peek() == Some(b'/') {
            return Err(EventError { code: ReturnCode::UNSUPPORTED_PACKAGE, ..unknown });
        }
        let &[letter] = word.as_bytes() else { return Err(unknown) };
        if !seen.add(letter.to_ascii_uppercase()) {
            return Err(unknown);
        }
        match letter.to_ascii_uppercase() {
            b'N' => self.handling = Some(Handling::Notify),
            b'A' => self.handling = Some(Handling::Accumulate),
            b'D' => self.handling = Some(Handling::DigitMap),
            b'I' => self.handling = Some(Handling::Ignore),
            b'S' => self.swaps_audio = true,
            b'K' => self.keeps_signals = true,
            // RFC 3435 §2.3.3: one level is enough.
            b'E' if may_embed => self.embedded = Some(Box::new(EmbeddedRequest::read(reader)?)),
            _ => return Err(unknown),
        }
        Ok(())
    }
}

/// The actions of an event so far, a bit each.
struct Seen(u8);

impl Seen {
    const LETTERS: [u8; Self::N] = *b"NSADKEI";
    const N: usize = 7;

    /// For each action, those it can be combined with: the table of RFC 3435 §2.3.3, both halves, in
    /// the order of the letters. None can stand twice.
    const TOGETHER: [u8; Self::N] = [
        0b011_0010, // N: S, K, E
        0b100_0101, // S: N, A, I
        0b011_0010, // A: S, K, E
        0b001_0000, // D: K
        0b110_1101, // K: N, A, D, E, I
        0b001_0101, // E: N, A, K
        0b001_0010, // I: S, K
    ];

    /// Adds an action, unless there is none of this letter or it does not go with the others.
    fn add(&mut self, letter: u8) -> bool {
        let Some(index) = Self::LETTERS.iter().position(|own| *own == letter) else { return false };
        let fits = self.0 & !Self::TOGETHER[index] == 0;
        self.0 |= 1 << index;
        fits
    }
}

const _: () = {
    let mut a = 0;
    while a < Seen::N {
        let mut b = 0;
        while b < Seen::N {
            let (ab, ba) = (Seen::TOGETHER[a] >> b & 1, Seen::TOGETHER[b] >> a & 1);
            assert!(ab == ba && (a != b || ab == 0), "if one goes with the other, so does the other with it");
            b += 1;
        }
        a += 1;
    }
};

impl EmbeddedRequest {
    // RFC 3435 §3.2.2.16: R, S and D, each at most once; the order of others is taken, too.
    fn read(reader: &mut Reader<'_>) -> Result<Self, EventError> {
        let rule = "EmbeddedRequest";
        let mut request = Self::default();
        let mut seen = Vec::new();
        reader.expect(b'(', rule)?;
        reader.list(3, rule, |reader| {
            let here = reader.wrong(rule);
            let letter = reader.take_while(|octet| octet.is_ascii_alphabetic()).to_ascii_uppercase();
            reader.expect(b'(', rule)?;
            let is_empty = reader.peek() == Some(b')');
            match letter.as_str() {
                _ if seen.contains(&letter) => return Err(here),
                "R" if is_empty => {}
                "R" => request.events = RequestedEvents::read(reader, false)?,
                "S" if is_empty => {}
                "S" => request.signals = Events::read(reader)?,
                "D" => request.digit_map = Some(Arc::new(read_digit_map(reader)?)),
                _ => return Err(here),
            }
            seen.push(letter);
            if reader.eat(b')') { Ok(()) } else { Err(reader.wrong(rule)) }
        })?;
        if reader.eat(b')') { Ok(request) } else { Err(reader.wrong(rule)) }
    }
}

fn read_digit_map(reader: &mut Reader<'_>) -> Result<DigitMap, EventError> {
    let start = reader.offset();
    let text = reader.before_closing("EmbeddedDigitMap")?;
    text.parse().map_err(|error: EventError| EventError { offset: start + error.offset, ..error })
}

/// Without their parentheses.
impl fmt::Display for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = match self.handling {
            Some(Handling::Notify) => Some("N"),
            Some(Handling::Accumulate) => Some("A"),
            Some(Handling::DigitMap) => Some("D"),
            Some(Handling::Ignore) => Some("I"),
            None => None,
        };
        let mut comma = "";
        let flags = [(self.swaps_audio, "S"), (self.keeps_signals, "K")];
        for letter in letter.into_iter().chain(flags.into_iter().filter(|(on, _)| *on).map(|(_, l)| l)) {
            write!(f, "{comma}{letter}")?;
            comma = ",";
        }
        match &self.embedded {
            Some(request) => write!(f, "{comma}E({request})"),
            None => Ok(()),
        }
    }
}

/// Without their parentheses. What was left out and what was empty is the same, and is left out.
impl fmt::Display for EmbeddedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        // RFC 3435 Appendix A: at least one of the three.
        let is_nothing = self.events.0.is_empty() && self.signals.0.is_empty() && self.digit_map.is_none();
        if !self.events.0.is_empty() || is_nothing {
            write!(f, "R({})", self.events)?;
            comma = ",";
        }
        if !self.signals.0.is_empty() {
            write!(f, "{comma}S({})", self.signals)?;
            comma = ",";
        }
        match &self.digit_map {
            Some(map) => write!(f, "{comma}D({map})"),
            None => Ok(()),
        }
    }
}
