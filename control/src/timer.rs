//! One queue of what is to happen when.
//!
//! Timers are few (a command under way, a restart, a name being looked up) and most are cancelled, so
//! an ordered map does; what fires at the same instant fires in the order it was set.

use std::collections::BTreeMap;

use drivers::time::Instant;

/// A timer that was set, for cancelling it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TimerId {
    at: Instant,
    sequence: u64,
}

/// What is to happen, and when.
#[derive(Debug)]
pub struct Timers<T> {
    queue: BTreeMap<TimerId, T>,
    sequence: u64,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self { queue: BTreeMap::new(), sequence: 0 }
    }
}

impl<T> Timers<T> {
    /// Has `what` happen at `at`.
    pub fn set(&mut self, at: Instant, what: T) -> TimerId {
        let id = TimerId { at, sequence: self.sequence };
        self.sequence += 1;
        self.queue.insert(id, what);
        id
    }

    /// Forgets a timer; one that has fired already is none.
    pub fn cancel(&mut self, id: TimerId) {
        self.queue.remove(&id);
    }

    /// Takes out the earliest timer that is due at `now`.
    pub fn pop_due(&mut self, now: Instant) -> Option<T> {
        let first = self.queue.first_entry()?;
        (first.key().at <= now).then(|| first.remove())
    }

    /// When the earliest fires.
    pub fn next(&self) -> Option<Instant> {
        self.queue.first_key_value().map(|(id, _)| id.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn timers_fire_in_order_of_time_then_of_setting() {
        let mut timers = Timers::default();
        timers.set(at(5), 'b');
        timers.set(at(5), 'c');
        timers.set(at(1), 'a');
        assert_eq!(timers.next(), Some(at(1)));
        assert_eq!(timers.pop_due(at(0)), None);
        let fired: Vec<_> = std::iter::from_fn(|| timers.pop_due(at(5))).collect();
        assert_eq!(fired, ['a', 'b', 'c']);
    }

    #[test]
    fn a_cancelled_timer_does_not_fire() {
        let mut timers = Timers::default();
        let id = timers.set(at(5), ());
        timers.cancel(id);
        assert_eq!(timers.next(), None);
        timers.cancel(id);
    }
}
