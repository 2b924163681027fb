//! The current dial string, and the timer T (RFC 3435 §2.1.5, RFC 3660 §2.2).

use std::sync::Arc;
use std::time::Duration;

use drivers::time::Instant;

use super::Observed;
use crate::mgcp::digit_map::{DigitMap, InterdigitTimer, Letter, Match, Matcher};

/// How long the timer T runs (RFC 3660 §2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DigitTiming {
    /// T-partial, where a digit is missing.
    pub partial: Duration,
    /// T-critical, where nothing else is.
    pub critical: Duration,
}

impl Default for DigitTiming {
    fn default() -> Self {
        Self { partial: Duration::from_secs(16), critical: Duration::from_secs(4) }
    }
}

/// An endpoint's digit map, if it has one, and how far dialling has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Dial {
    timing: DigitTiming,
    map: Option<(Arc<DigitMap>, Matcher)>,
    timer: Option<Box<Timer>>,
}

/// The timer T as it runs.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Timer {
    at: Instant,
    expiry: Observed,
    /// Whether digits only stop it: it is not of the digit map.
    is_plain: bool,
}

impl Dial {
    pub(super) fn new(timing: DigitTiming) -> Self {
        Self { timing, map: None, timer: None }
    }

    pub(super) fn use_map(&mut self, map: &Arc<DigitMap>) {
        self.map = Some((map.clone(), Matcher::new(map.clone())));
    }

    /// Empties the dial string. `expiry` is T as an event, if it is requested without the digit map.
    // RFC 3660 §2.2: then the timer starts at once, as T-critical.
    pub(super) fn clear(&mut self, now: Instant, expiry: Option<Observed>) {
        if let Some((_, matcher)) = &mut self.map {
            matcher.clear();
        }
        let at = now + self.timing.critical;
        self.timer = expiry.map(|expiry| Box::new(Timer { at, expiry, is_plain: true }));
    }

    /// A digit, key or timer was heard, requested or not.
    // RFC 3660 §2.2: without a digit map, a tone ends the timer and does not start it again.
    pub(super) fn hear(&mut self, letter: Letter) {
        if letter != Letter::TIMER {
            self.timer.take_if(|timer| timer.is_plain);
        }
    }

    /// Adds an event to the dial string. Whether what was dialled is to be told. `expiry` is T as an
    /// event, if it is requested with the digit map.
    // RFC 3435 §2.1.5: a match is told, and so is what can become none.
    pub(super) fn push(&mut self, now: Instant, letter: Option<Letter>, expiry: Option<Observed>) -> bool {
        // RFC 3435 §2.3.3: an event that is no digit is a mismatch.
        let (Some(letter), Some((_, matcher))) = (letter, &mut self.map) else { return true };
        let period = match matcher.push(letter) {
            Match::Perfect | Match::Impossible => return true,
            Match::Partial(_) if letter == Letter::TIMER => return false,
            Match::Partial(InterdigitTimer::Partial) => self.timing.partial,
            Match::Partial(InterdigitTimer::Critical) => self.timing.critical,
        };
        // RFC 3660 §2.2: with a digit map each tone starts the timer, if it is asked for.
        self.timer = expiry.map(|expiry| Box::new(Timer { at: now + period, expiry, is_plain: false }));
        false
    }

    pub(super) fn stop_timer(&mut self) {
        self.timer = None;
    }

    /// The event that T has run out, if it has.
    pub(super) fn take_expired(&mut self, now: Instant) -> Option<Observed> {
        self.timer.take_if(|timer| timer.at <= now).map(|timer| timer.expiry)
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.timer.as_ref().map(|timer| timer.at)
    }

    pub(super) fn timing(&self) -> DigitTiming {
        self.timing
    }

    pub(super) fn map(&self) -> Option<&Arc<DigitMap>> {
        self.map.as_ref().map(|(map, _)| map)
    }
}
