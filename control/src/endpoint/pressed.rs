//! The digit that is being dialled on the line, and how long it lasts: D/L and D/dd (RFC 3660 §2.2).

use std::time::Duration;

use dataplane::link::Digit;
use drivers::time::Instant;

/// The key that is pressed, if one is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Pressed(Option<Key>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct Key {
    digit: Digit,
    /// When it will have lasted for long.
    long_at: Option<Instant>,
    /// When it will have lasted for as long as was asked, and how long that is.
    asked_at: Option<(Instant, Duration)>,
    /// Whether it is asked how long it lasts in all.
    asked_whole: bool,
}

/// What is asked about the duration of a digit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Asked {
    /// Whether it lasts for long.
    pub long: bool,
    /// Whether it is longer than this.
    pub longer: Option<Duration>,
    /// How long it lasts.
    pub whole: bool,
}

/// What there is to tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    /// D/L
    Long,
    /// D/dd: the digit, and how long, in ms.
    Lasted(Digit, u128),
}

impl Pressed {
    /// A digit began at `at`.
    pub fn began(&mut self, at: Instant, digit: Digit, asked: Asked) {
        let asked_at = asked.longer.map(|than| (at + than, than));
        let long_at = asked.long.then_some(at + LONG);
        self.0 = Some(Key { digit, long_at, asked_at, asked_whole: asked.whole });
    }

    /// A digit is over, which lasted so many ms.
    pub fn ended(&mut self, digit: Digit, ms: u16) -> Option<Told> {
        let key = self.0.take_if(|key| key.digit == digit)?;
        // RFC 3660 §2.2: 60 seconds are told at most.
        key.asked_whole.then(|| Told::Lasted(digit, u128::from(ms.min(60_000))))
    }

    /// What there is to tell now.
    pub fn take_due(&mut self, now: Instant) -> Option<Told> {
        let key = self.0.as_mut()?;
        if let Some((_, asked)) = key.asked_at.take_if(|(at, _)| *at <= now) {
            return Some(Told::Lasted(key.digit, asked.as_millis()));
        }
        key.long_at.take_if(|at| *at <= now).map(|_| Told::Long)
    }

    /// When there is.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let key = self.0.as_ref()?;
        key.long_at.into_iter().chain(key.asked_at.map(|(at, _)| at)).min()
    }
}

/// Whether a value of `dg` means a digit: that one, or any of 0 to 9 if it is `x` (RFC 3660 §2.2).
pub fn is_meant(key: &str, digit: Digit) -> bool {
    let written = digit.written();
    key.eq_ignore_ascii_case(written.encode_utf8(&mut [0; 4]))
        || key.eq_ignore_ascii_case("x") && written.is_ascii_digit()
}

/// RFC 3660 §2.2.
const LONG: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    const FIVE: Digit = Digit::at(1, 1);

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn what_is_due_is_told_once_and_in_order() {
        let mut pressed = Pressed::default();
        pressed.began(
            at(100),
            FIVE,
            Asked { long: true, longer: Some(Duration::from_millis(500)), whole: false },
        );
        assert_eq!((pressed.take_due(at(599)), pressed.poll_timeout()), (None, Some(at(600))));
        assert_eq!(pressed.take_due(at(600)), Some(Told::Lasted(FIVE, 500)));
        assert_eq!((pressed.take_due(at(600)), pressed.poll_timeout()), (None, Some(at(2_100))));
        assert_eq!(pressed.take_due(at(2_100)), Some(Told::Long));
        assert_eq!((pressed.poll_timeout(), pressed.ended(FIVE, 2_500)), (None, None));
    }

    #[test]
    fn a_digit_that_is_over_is_told_with_its_whole_duration_if_that_is_asked() {
        let mut pressed = Pressed::default();
        pressed.began(at(0), FIVE, Asked { whole: true, ..Asked::default() });
        assert_eq!(pressed.poll_timeout(), None, "nobody asks whether it is long");
        assert_eq!(pressed.ended(Digit::at(0, 0), 80), None);
        assert_eq!(pressed.ended(FIVE, 80), Some(Told::Lasted(FIVE, 80)));
        assert_eq!((pressed.ended(FIVE, 80), pressed.poll_timeout()), (None, None));
    }
}
