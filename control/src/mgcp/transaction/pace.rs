//! How many commands a call agent gets at a time (RFC 3435 §4.4.8).
//!
//! As many as its window allows; the others wait for answers. A call agent that answers late, or says that
//! it is overloaded (101, 409), has its window halved, at most once in [`REST`]; a whole window of answers in
//! time widens it by one. So its load falls fast, and comes back slowly.

use std::collections::VecDeque;
use std::time::Duration;

use drivers::time::Instant;

use crate::mgcp::message::TransactionId;

/// What a `Pace` goes by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PaceSettings {
    /// Commands that wait for an answer at a time, as long as all is well; at least 1.
    pub window_max: usize,
    /// What that falls to for a call agent that stays overloaded; at least 1.
    pub window_min: usize,
    /// The average time to the first response above which a call agent is overloaded.
    pub slow_after: Duration,
}

impl PaceSettings {
    /// As many commands as there are.
    pub const NONE: Self = Self { window_max: usize::MAX, window_min: usize::MAX, slow_after: Duration::MAX };
}

/// After the window was halved, what comes in so soon says nothing of its new size.
const REST: Duration = Duration::from_secs(1);

/// One call agent's address.
#[derive(Debug)]
pub(super) struct Pace {
    window: usize,
    /// Answers in time since the window changed.
    earned: usize,
    /// Commands that are repeated until they are answered.
    pub(super) under_way: usize,
    /// Commands that wait until the window has room, oldest first; perhaps no longer.
    pub(super) queue: VecDeque<TransactionId>,
    /// The smoothed time to the first response, however often a command was repeated.
    average: Option<Duration>,
    halved: Option<Instant>,
}

impl Pace {
    pub(super) fn new(settings: &PaceSettings) -> Self {
        Self {
            window: settings.window_max,
            earned: 0,
            under_way: 0,
            queue: VecDeque::new(),
            average: None,
            halved: None,
        }
    }

    /// The first response to a command came after `delay`.
    // RFC 3435 §4.4.8: what is observed is the smoothed response time.
    pub(super) fn answered(&mut self, now: Instant, delay: Duration, settings: &PaceSettings) {
        let average = self.average.map_or(delay, |average| (average * 7 + delay) / 8);
        self.average = Some(average);
        if average > settings.slow_after {
            return self.overloaded(now, settings);
        }
        self.earned += 1;
        if self.earned >= self.window && self.window < settings.window_max {
            self.window += 1;
            self.earned = 0;
        }
    }

    /// The call agent has too much to do.
    pub(super) fn overloaded(&mut self, now: Instant, settings: &PaceSettings) {
        self.earned = 0;
        if self.halved.is_none_or(|halved| now.since(halved) >= REST) {
            self.window = (self.window / 2).max(settings.window_min);
            self.halved = Some(now);
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.under_way < self.window
    }

    pub(super) fn is_idle(&self) -> bool {
        self.under_way == 0 && self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: PaceSettings =
        PaceSettings { window_max: 64, window_min: 4, slow_after: Duration::from_millis(500) };

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn late_answers_halve_the_window_once_a_second_down_to_its_minimum() {
        let mut pace = Pace::new(&SETTINGS);
        let mut windows = Vec::new();
        for ms in (0..6_000).step_by(100) {
            pace.answered(at(ms), Duration::from_secs(2), &SETTINGS);
            windows.push(pace.window);
        }
        windows.dedup();
        assert_eq!(windows, [32, 16, 8, 4]);
    }

    #[test]
    fn answers_in_time_widen_it_by_one_a_window() {
        let mut pace = Pace::new(&SETTINGS);
        pace.overloaded(at(0), &SETTINGS);
        assert_eq!(pace.window, 32);
        (0..32).for_each(|_| pace.answered(at(1), Duration::from_millis(10), &SETTINGS));
        assert_eq!(pace.window, 33);
        (0..10_000).for_each(|_| pace.answered(at(1), Duration::from_millis(10), &SETTINGS));
        assert_eq!(pace.window, 64, "and no wider than at first");
    }

    #[test]
    fn one_late_answer_among_many_is_no_overload() {
        let mut pace = Pace::new(&SETTINGS);
        pace.answered(at(0), Duration::from_millis(10), &SETTINGS);
        pace.answered(at(1), Duration::from_secs(3), &SETTINGS);
        assert_eq!(pace.window, 64);
    }
}
