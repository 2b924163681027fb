//! Who sits before the terminal: sees how far a measurement is, and may interrupt it.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use control::run::Signals;
use drivers::time::Instant;

use crate::Failure;

/// Whoever started the measurement.
#[derive(Debug)]
pub(crate) struct Operator {
    signals: Signals,
    /// Standard error is a terminal.
    is_watching: bool,
    /// When something was shown last, in ns.
    shown_at: AtomicU64,
    /// Somebody has interrupted it: of all threads that look, only one sees the signal.
    is_interrupted: AtomicBool,
}

/// The measurement was interrupted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

impl Operator {
    /// To be made before any thread or gateway is started: all of them are ended in order then.
    ///
    /// # Errors
    /// If the kernel does not let signals be caught.
    pub(crate) fn new() -> Result<Self, Failure> {
        let (signals, is_watching) = (Signals::catch()?, io::stderr().is_terminal());
        let (shown_at, is_interrupted) = (AtomicU64::new(0), AtomicBool::new(false));
        Ok(Self { signals, is_watching, shown_at, is_interrupted })
    }

    /// Checks that nobody has interrupted it.
    ///
    /// # Errors
    /// [`Interrupted`] if somebody does.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.signals.poll().is_some() {
            self.is_interrupted.store(true, Ordering::Relaxed);
        }
        if self.is_interrupted.load(Ordering::Relaxed) { Err(Interrupted.into()) } else { Ok(()) }
    }

    /// Shows how far it is, in place of what was shown last; seldom, and only to a terminal.
    pub(crate) fn show(&self, now: Instant, line: impl FnOnce() -> String) {
        let last = self.shown_at.load(Ordering::Relaxed);
        if self.is_watching && now.as_nanos().saturating_sub(last) >= SHOWN_EVERY.as_nanos() as u64 {
            self.shown_at.store(now.as_nanos(), Ordering::Relaxed);
            self.write(&format!("\r{}{CLEAR}", line()));
        }
    }

    /// Says something that stays.
    pub(crate) fn tell(&self, line: &str) {
        let clear = if self.is_watching { CLEAR_ALL } else { "" };
        self.write(&format!("{clear}{line}\n"));
    }

    /// Takes away what is shown.
    pub(crate) fn clear(&self) {
        if self.is_watching {
            self.write(CLEAR_ALL);
        }
    }

    fn write(&self, text: &str) {
        let mut to = io::stderr();
        // It is for who reads it; if nobody does, nothing is lost.
        let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
    }
}

/// How far a measurement is: `12 of 30 s`, with a bar.
pub(crate) fn progress(what: &str, done: Duration, all: Duration) -> String {
    let part = (done.as_secs_f64() / all.as_secs_f64().max(1e-9)).min(1.0);
    let full = (part * BAR as f64) as usize;
    let (done, all) = (done.as_secs_f64().min(all.as_secs_f64()), all.as_secs_f64());
    format!("{what} [{}{}] {done:.0} of {all:.0} s", "#".repeat(full), ".".repeat(BAR - full))
}

/// How often something is shown at most.
const SHOWN_EVERY: Duration = Duration::from_millis(250);

/// Characters of a bar.
const BAR: usize = 30;

/// ECMA-48 §8.3.41: erases to the end of the line.
const CLEAR: &str = "\x1b[K";
const CLEAR_ALL: &str = "\r\x1b[K";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_full_as_what_is_done_and_never_fuller() {
        let at = |done| progress("carrying", Duration::from_secs(done), Duration::from_secs(60));
        assert_eq!(at(0), format!("carrying [{}] 0 of 60 s", ".".repeat(30)));
        assert_eq!(at(20), format!("carrying [{}{}] 20 of 60 s", "#".repeat(10), ".".repeat(20)));
        assert_eq!(at(70), format!("carrying [{}] 60 of 60 s", "#".repeat(30)));
        assert!(progress("nothing", Duration::ZERO, Duration::ZERO).ends_with("0 of 0 s"));
    }
}
