//! Parameters of events and signals (RFC 3435 §3.2.2.4): values, names with a value, names with more.

use std::borrow::Cow;
use std::fmt;

use super::reader::Reader;
use super::{Event, write_list};
use crate::mgcp::code::ReturnCode;
use crate::mgcp::event_error::EventError;

/// Parameters of one event, or within one parameter.
const PARAMETERS_MAX: usize = 64;

/// How deep parameters stand within parameters.
// A signal list whose signals have parameters needs two (RFC 3660 §2.8).
const DEPTH_MAX: usize = 8;

/// The parameters of an event or a signal, in their order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Parameters(pub Vec<Parameter>);

/// One parameter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Parameter {
    /// `+`, `3000`, `"John Doe"`
    Value(Text),
    /// `to=6000`
    Assigned(Box<str>, Box<Parameter>),
    /// `to(6000)`, and signals with parameters in a list of signals.
    Group(Box<str>, Parameters),
}

/// A value, as it was spelt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Text {
    /// Without quotes. Empty between two commas: RFC 3660 §2.4 has it so for caller's name and number.
    Bare(Box<str>),
    /// What stood between double quotes, in which two double quotes are one.
    Quoted(Box<str>),
}

impl Text {
    /// What it says.
    pub fn value(&self) -> Cow<'_, str> {
        match self {
            Self::Bare(text) => Cow::Borrowed(text),
            Self::Quoted(text) if text.contains('"') => Cow::Owned(text.replace("\"\"", "\"")),
            Self::Quoted(text) => Cow::Borrowed(text),
        }
    }
}

impl Parameter {
    /// A value without quotes.
    ///
    /// # Panics
    /// If it cannot stand without.
    pub fn bare(value: impl fmt::Display) -> Self {
        let value = value.to_string();
        assert!(value.bytes().all(is_suitable), "a bare parameter has only suitable characters");
        Self::Value(Text::Bare(value.into()))
    }

    /// `name=value`, both without quotes.
    pub fn assigned(name: &str, value: impl fmt::Display) -> Self {
        Self::Assigned(name.into(), Box::new(Self::bare(value)))
    }

    /// Its name; a value alone has none.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Value(_) => None,
            Self::Assigned(name, _) | Self::Group(name, _) => Some(name),
        }
    }

    /// Its one value, whether it is spelt `value`, `name=value` or `name(value)` (RFC 3435 §3.2.2.4).
    pub fn value(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Value(text) => Some(text.value()),
            Self::Assigned(_, value) => match &**value {
                Self::Value(text) => Some(text.value()),
                Self::Assigned(..) | Self::Group(..) => None,
            },
            Self::Group(_, Parameters(values)) => match &values[..] {
                [Self::Value(text)] => Some(text.value()),
                _ => None,
            },
        }
    }

    /// The signal that it is, in a list of signals: `d/5`, `t/sit(3)` (RFC 3660 §2.8).
    pub fn to_signal(&self) -> Option<Event> {
        let (name, parameters) = match self {
            Self::Value(Text::Bare(name)) => (name, Parameters::default()),
            Self::Group(name, parameters) => (name, parameters.clone()),
            Self::Value(Text::Quoted(_)) | Self::Assigned(..) => return None,
        };
        Some(Event { name: name.parse().ok()?, parameters })
    }

    fn read(reader: &mut Reader<'_>, depth: usize) -> Result<Self, EventError> {
        if reader.peek() == Some(b'"') {
            let text = reader.quoted("quotedString").map_err(as_parameter)?;
            return Ok(Self::Value(Text::Quoted(text.into())));
        }
        let word = reader.take_while(is_suitable);
        if !word.is_empty() && depth < DEPTH_MAX {
            if reader.eat(b'(') {
                return Ok(Self::Group(word.into(), Parameters::read_inside(reader, depth + 1)?));
            }
            if reader.eat(b'=') {
                return Ok(Self::Assigned(word.into(), Box::new(Self::read(reader, depth + 1)?)));
            }
        }
        // Whatever else comes next is for the list to like or not.
        Ok(Self::Value(Text::Bare(word.into())))
    }
}

impl Parameters {
    /// The parameter of this name, whatever its case.
    pub fn named(&self, name: &str) -> Option<&Parameter> {
        self.0.iter().find(|p| p.name().is_some_and(|own| own.eq_ignore_ascii_case(name)))
    }

    /// The values without a name, in order.
    pub fn values(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.0.iter().filter(|p| p.name().is_none()).filter_map(Parameter::value)
    }

    /// Reads parameters in parentheses, if such come next.
    pub(super) fn read_if_any(reader: &mut Reader<'_>) -> Result<Self, EventError> {
        if reader.eat(b'(') { Self::read_inside(reader, 0) } else { Ok(Self::default()) }
    }

    /// To the closing parenthesis, and over it.
    fn read_inside(reader: &mut Reader<'_>, depth: usize) -> Result<Self, EventError> {
        reader.skip_space();
        if reader.eat(b')') {
            return Ok(Self::default());
        }
        let rule = "eventParameters";
        let items = reader.list(PARAMETERS_MAX, rule, |reader| Parameter::read(reader, depth));
        let items = items.map_err(as_parameter)?;
        if reader.eat(b')') { Ok(Self(items)) } else { Err(wrong(reader)) }
    }
}

// RFC 3435 Appendix A, SuitableEventParamCharacter.
fn is_suitable(octet: u8) -> bool {
    octet.is_ascii_graphic() && !b"\"(),=".contains(&octet)
}

fn wrong(reader: &Reader<'_>) -> EventError {
    as_parameter(reader.wrong("eventParameter"))
}

/// RFC 3661 §2.2: what is wrong with a parameter is 538.
fn as_parameter(error: EventError) -> EventError {
    EventError { code: ReturnCode::EVENT_PARAMETER_ERROR, ..error }
}

/// With their parentheses; nothing if there are none.
impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        f.write_str("(")?;
        write_list(f, &self.0)?;
        f.write_str(")")
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(text) => text.fmt(f),
            Self::Assigned(name, value) => write!(f, "{name}={value}"),
            Self::Group(name, Parameters(none)) if none.is_empty() => write!(f, "{name}()"),
            Self::Group(name, parameters) => write!(f, "{name}{parameters}"),
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bare(text) => f.write_str(text),
            Self::Quoted(text) => write!(f, "\"{text}\""),
        }
    }
}
