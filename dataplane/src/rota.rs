//! When each connection is to be looked at next: one dense row of instants.
//!
//! Some work on a connection comes up once in seconds, where ticks come each few milliseconds. So a tick
//! looks at a sixteenth of the row: nothing is more than sixteen ticks late, which is little beside the
//! seconds it waits for, and what is not due costs eight octets of cache.

use std::ops::Range;

use drivers::time::Instant;

/// When each pair is due.
#[derive(Debug)]
pub(crate) struct Rota {
    /// [`Instant::FAR_FUTURE`] for a pair that is never due.
    due_at: Box<[Instant]>,
    /// Pairs that are due at some time.
    n: usize,
    /// Where the next tick goes on looking.
    cursor: usize,
}

impl Rota {
    /// Room for all pairs, none of which is ever due.
    pub(crate) fn new(pairs: usize) -> Self {
        Self { due_at: vec![Instant::FAR_FUTURE; pairs].into(), n: 0, cursor: 0 }
    }

    /// Octets of memory that a pair takes.
    pub(crate) const MEMORY: usize = size_of::<Instant>();

    /// Has a pair looked at when it is `at`; [`Instant::FAR_FUTURE`] for never.
    pub(crate) fn set(&mut self, pair: usize, at: Instant) {
        let before = std::mem::replace(&mut self.due_at[pair], at);
        self.n += usize::from(at != Instant::FAR_FUTURE);
        self.n -= usize::from(before != Instant::FAR_FUTURE);
    }

    /// The pairs that this tick has to look at; none where none is ever due.
    pub(crate) fn turn(&mut self) -> Range<usize> {
        if self.n == 0 {
            return 0..0;
        }
        let end = (self.cursor + self.due_at.len().div_ceil(TURNS)).min(self.due_at.len());
        let turn = self.cursor..end;
        self.cursor = if end == self.due_at.len() { 0 } else { end };
        turn
    }

    /// Whether a pair is to be looked at now.
    pub(crate) fn is_due(&self, now: Instant, pair: usize) -> bool {
        self.due_at[pair] <= now
    }
}

/// Ticks in which each pair is looked at once.
const TURNS: usize = 16;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_pair_has_its_turn_once_in_sixteen_ticks_while_any_is_due() {
        let mut rota = Rota::new(100);
        assert_eq!(rota.turn(), 0..0);
        rota.set(40, Instant::ZERO);
        for _ in 0..3 {
            let looked_at: Vec<_> = (0..TURNS).flat_map(|_| rota.turn()).collect();
            let mut once = looked_at.clone();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once, (0..100).collect::<Vec<_>>());
        }
        rota.set(40, Instant::FAR_FUTURE);
        assert_eq!(rota.turn(), 0..0);
    }

    #[test]
    fn a_pair_is_due_from_its_time_on() {
        let mut rota = Rota::new(2);
        let at = Instant::ZERO + Duration::from_secs(5);
        rota.set(1, at);
        let before = Instant::ZERO + Duration::from_millis(4_999);
        assert!(rota.is_due(at, 1) && !rota.is_due(before, 1) && !rota.is_due(at, 0));
    }
}
