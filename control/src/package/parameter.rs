//! Which parameters an event or a signal takes, and what they must be: else 538 (RFC 3661 §2.2).

use std::time::Duration;

use super::ability::{Making, Source, Tone};
use super::{EventId, Packages, SignalKind, TimeOut};
use crate::mgcp::code::ReturnCode;
use crate::mgcp::digit_map::Letter;
use crate::mgcp::event::{PackageName, Parameter, Parameters, Place};
use crate::mgcp::name::{ConnectionId, decimal};

/// A parameter that an event or a signal takes.
#[derive(Debug)]
pub(super) struct Rule {
    /// Its name; empty if it is a value alone.
    name: &'static str,
    takes: Takes,
    is_required: bool,
}

/// What a parameter can be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Takes {
    /// A decimal number, from and to.
    Number(u32, u32),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A key of the keypad; in events also `x`, any digit.
    Key { wildcard: bool },
    /// A connection, or all, or the current one.
    Connection,
    /// Any text.
    Text,
    /// Signals, any number but none.
    Signals,
}

impl Rule {
    /// A value that may be left out.
    pub(super) const fn value(takes: Takes) -> Self {
        Self::named("", takes)
    }

    /// A value under a name that may be left out.
    pub(super) const fn named(name: &'static str, takes: Takes) -> Self {
        Self { name, takes, is_required: false }
    }

    /// Whether it may not be left out.
    pub(super) const fn is_required(&self) -> bool {
        self.is_required
    }

    /// It may not be left out.
    pub(super) const fn required(self) -> Self {
        Self { is_required: true, ..self }
    }
}

/// How long a signal lasts, given its parameters (RFC 3435 §2.1.7, §3.2.2.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lasting {
    /// OO: until it is turned off.
    On,
    /// OO with `-`: it is turned off.
    Off,
    /// TO: so long; without end, or as long as what it does takes, if `None`.
    TimeOut(Option<Duration>),
    /// BR: it ends by itself, soon.
    Brief,
}

impl EventId {
    /// Which of several it is, if that is for its parameter to say: the tone of `sit`, the pattern of `tp`.
    // RFC 3660 §2.3.
    pub fn number(self, parameters: &Parameters) -> Option<u32> {
        let number = parameters.values().find_map(|value| decimal(&value));
        match self.source()? {
            Source::Tone(Tone::SpecialInformation) => number,
            Source::TestPattern => Some(number.unwrap_or(TEST_PATTERN)),
            _ => None,
        }
    }
}

/// RFC 3660 §2.3: the pattern that is meant where none is named.
pub const TEST_PATTERN: u32 = 95;

impl Packages {
    /// Checks the parameters with which an event is requested.
    ///
    /// # Errors
    /// 538
    pub fn check_event(&self, event: EventId, parameters: &Parameters) -> Result<(), ReturnCode> {
        let rules = event.entry().event.as_ref().map_or(&[][..], |event| event.rules);
        check(rules, parameters, |_| false, |signal| self.is_signal(signal))
    }

    /// Checks the parameters of a signal, and says how long it lasts with them.
    ///
    /// # Errors
    /// 538; 513 for what is no signal.
    pub fn check_signal(&self, signal: EventId, parameters: &Parameters) -> Result<Lasting, ReturnCode> {
        let signal = signal.entry().signal.as_ref().ok_or(ReturnCode::CANNOT_SIGNAL)?;
        // RFC 3435 §3.2.2.4: what the type of a signal brings along.
        let is_own = |parameter: &Parameter| match signal.kind {
            SignalKind::OnOff => switch(parameter).is_some(),
            SignalKind::TimeOut(TimeOut::After(_) | TimeOut::Never) => time_out(parameter).is_some(),
            SignalKind::TimeOut(TimeOut::Variable) | SignalKind::Brief => false,
        };
        check(signal.rules, parameters, is_own, |signal| self.is_signal(signal))?;
        if signal.agree.is_some_and(|agree| !agree(parameters)) {
            return Err(ReturnCode::EVENT_PARAMETER_ERROR);
        }
        Ok(match signal.kind {
            SignalKind::OnOff => match parameters.0.iter().find_map(switch) {
                Some(false) => Lasting::Off,
                Some(true) | None => Lasting::On,
            },
            SignalKind::TimeOut(default) => {
                let default = match default {
                    TimeOut::After(time) => Some(time),
                    TimeOut::Never | TimeOut::Variable => None,
                };
                Lasting::TimeOut(parameters.0.iter().find_map(time_out).unwrap_or(default))
            }
            SignalKind::Brief => Lasting::Brief,
        })
    }

    /// Whether a parameter can stand in a list of signals.
    // RFC 3660 §2.8: with its package, of type BR or TO, and no list itself. Anything else is 538.
    fn is_signal(&self, parameter: &Parameter) -> bool {
        let Some(signal) = parameter.to_signal() else { return false };
        if signal.name.package == PackageName::Default {
            return false;
        }
        let Ok(id) = self.signal(&signal.name) else { return false };
        // What is more than a tone on the circuit is not supported in a list.
        let is_tone = matches!(
            id.making(),
            Some(Making::Tone(_) | Making::Digit(_) | Making::LongDigit | Making::Nothing)
        );
        if signal.name.place != Place::Endpoint || !is_tone {
            return false;
        }
        match id.kind() {
            Some(SignalKind::Brief | SignalKind::TimeOut(TimeOut::After(_) | TimeOut::Never)) => {
                self.check_signal(id, &signal.parameters).is_ok()
            }
            Some(SignalKind::OnOff | SignalKind::TimeOut(TimeOut::Variable)) | None => false,
        }
    }
}

/// `+` and `-`.
pub(super) fn switch(parameter: &Parameter) -> Option<bool> {
    match (parameter.name(), parameter.value()?.as_ref()) {
        (None, "+") => Some(true),
        (None, "-") => Some(false),
        _ => None,
    }
}

/// `to=6000`, in ms; 0 is without end (RFC 3435 §2.1.7).
fn time_out(parameter: &Parameter) -> Option<Option<Duration>> {
    if !parameter.name()?.eq_ignore_ascii_case("to") {
        return None;
    }
    let ms = decimal(parameter.value()?.as_ref())?;
    Some((ms > 0).then(|| Duration::from_millis(ms.into())))
}

fn check(
    rules: &[Rule],
    parameters: &Parameters,
    is_own: impl Fn(&Parameter) -> bool,
    is_signal: impl Fn(&Parameter) -> bool,
) -> Result<(), ReturnCode> {
    let mut met = vec![false; rules.len()];
    let mut has_own = false;
    for parameter in &parameters.0 {
        let fits = |(index, rule): (usize, &Rule)| match rule.takes {
            Takes::Signals => is_signal(parameter),
            _ => !met[index] && rule.is_named(parameter) && rule.accepts(parameter),
        };
        // What a rule names, it rules; only the rest can be what the type of a signal brings along.
        let is_ruled = || rules.iter().any(|rule| !rule.name.is_empty() && rule.is_named(parameter));
        match rules.iter().enumerate().position(fits) {
            Some(index) => met[index] = true,
            None if !has_own && !is_ruled() && is_own(parameter) => has_own = true,
            None => return Err(ReturnCode::EVENT_PARAMETER_ERROR),
        }
    }
    let is_missing = rules.iter().zip(met).any(|(rule, met)| rule.is_required && !met);
    if is_missing { Err(ReturnCode::EVENT_PARAMETER_ERROR) } else { Ok(()) }
}

impl Rule {
    fn is_named(&self, parameter: &Parameter) -> bool {
        parameter.name().unwrap_or_default().eq_ignore_ascii_case(self.name)
    }

    fn accepts(&self, parameter: &Parameter) -> bool {
        parameter.value().is_some_and(|value| self.takes.accepts(&value))
    }
}

impl Takes {
    fn accepts(self, value: &str) -> bool {
        match self {
            Self::Number(from, to) => decimal(value).is_some_and(|n| (from..=to).contains(&n)),
            Self::Word(words) => words.iter().any(|word| word.eq_ignore_ascii_case(value)),
            Self::Key { wildcard } => {
                let key = Letter::of_code(value).map(Letter::octet);
                matches!(key, Some(b'0'..=b'9' | b'A'..=b'D' | b'*' | b'#'))
                    || wildcard && value.eq_ignore_ascii_case("x")
            }
            Self::Connection => matches!(value, "*" | "$") || value.parse::<ConnectionId>().is_ok(),
            Self::Text => true,
            Self::Signals => false,
        }
    }
}
