//! A time over time: when it was long, which a distribution cannot say.
//!
//! The longest of each stretch is kept, and how many there were. Stretches are a tenth of a second at first;
//! when there are too many of them, each two become one, so that a day takes no more room than a minute.

use std::time::Duration;

use drivers::time::Instant;

/// The longest times of each stretch since the start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Series {
    start: Option<Instant>,
    every: Duration,
    stretches: Vec<Stretch>,
}

/// What was in one stretch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Stretch {
    /// How many.
    pub(crate) count: u64,
    /// The longest.
    pub(crate) longest: Duration,
}

impl Series {
    /// Nothing yet; it starts with the first.
    pub(crate) fn new() -> Self {
        Self { start: None, every: EVERY, stretches: Vec::new() }
    }

    /// Adds a time that was taken at `at`.
    pub(crate) fn record(&mut self, at: Instant, time: Duration) {
        let start = *self.start.get_or_insert(at);
        let index = loop {
            let index = (at.since(start).as_nanos() as u64 / self.every.as_nanos() as u64) as usize;
            if index < STRETCHES_MAX {
                break index;
            }
            self.halve();
        };
        if index >= self.stretches.len() {
            self.stretches.resize(index + 1, Stretch::default());
        }
        let stretch = &mut self.stretches[index];
        stretch.count += 1;
        stretch.longest = stretch.longest.max(time);
    }

    /// How long each stretch is.
    pub(crate) fn every(&self) -> Duration {
        self.every
    }

    /// All stretches, from the first time recorded on.
    pub(crate) fn stretches(&self) -> &[Stretch] {
        &self.stretches
    }

    /// When the longest of all was, from the start on, and how long it was; of several the first.
    pub(crate) fn worst(&self) -> Option<(Duration, Duration)> {
        let (index, worst) =
            self.stretches.iter().enumerate().rev().max_by_key(|(_, stretch)| stretch.longest)?;
        Some((self.every * index as u32, worst.longest))
    }

    /// Makes one of each two.
    fn halve(&mut self) {
        self.every *= 2;
        let both = |two: &[Stretch]| Stretch {
            count: two.iter().map(|stretch| stretch.count).sum(),
            longest: two.iter().map(|stretch| stretch.longest).max().unwrap_or_default(),
        };
        self.stretches = self.stretches.chunks(2).map(both).collect();
    }
}

/// How long a stretch is at first.
const EVERY: Duration = Duration::from_millis(100);

/// How many there are at most: more than are seen on a screen.
const STRETCHES_MAX: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::from_nanos(5_000_000_000);
    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_longest_of_each_stretch_is_kept_and_where_it_was() {
        let mut series = Series::new();
        for (at, time) in [(0, 2), (50, 3), (250, 7), (250, 1), (399, 7)] {
            series.record(START + at * MS, time * MS);
        }
        let found: Vec<_> = series.stretches().iter().map(|it| (it.count, it.longest)).collect();
        assert_eq!(found, [(2, 3 * MS), (0, Duration::ZERO), (2, 7 * MS), (1, 7 * MS)]);
        assert_eq!(series.worst(), Some((200 * MS, 7 * MS)));
    }

    #[test]
    fn a_day_takes_no_more_room_than_a_minute_and_nothing_is_forgotten() {
        let mut series = Series::new();
        for second in 0..86_400 {
            let time = if second == 40_000 { 9 * MS } else { MS };
            series.record(START + second * 1_000 * MS, time);
        }
        assert!(series.stretches().len() <= STRETCHES_MAX);
        assert_eq!(series.stretches().iter().map(|it| it.count).sum::<u64>(), 86_400);
        let (at, longest) = series.worst().expect("there are some");
        assert_eq!(longest, 9 * MS);
        assert!(at.as_secs() <= 40_000 && (at + series.every()).as_secs() >= 40_000);
    }
}
