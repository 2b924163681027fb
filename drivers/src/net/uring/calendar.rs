//! Which sockets are to be looked at when.
//!
//! A wheel of lists, a quarter of a millisecond each: to enter a socket and to come to it takes the same
//! time however many there are.

use crate::net::PortSlot;
use crate::time::Instant;

/// Sockets by the time they are due. Each is entered once at most.
pub(super) struct Calendar {
    /// The first socket of each list, and of each socket the next; [`NONE`] ends a list.
    heads: Box<[u32]>,
    next: Box<[u32]>,
    /// The list that was taken last.
    at: u64,
}

/// Lists: 67 ms.
const LISTS: usize = 256;

/// A list's duration, 262 us: two to this power, in ns.
const LIST_BITS: u32 = 18;

const NONE: u32 = u32::MAX;

impl Calendar {
    /// An empty one for so many sockets.
    pub(super) fn new(sockets: usize) -> Self {
        Self { heads: vec![NONE; LISTS].into(), next: vec![NONE; sockets].into(), at: 0 }
    }

    /// Enters a socket. One for a time further away than the calendar goes comes sooner.
    pub(super) fn enter(&mut self, slot: PortSlot, due: Instant) {
        let list = (due.as_nanos() >> LIST_BITS) + 1;
        let head = &mut self.heads[list.clamp(self.at + 1, self.at + LISTS as u64) as usize % LISTS];
        self.next[slot.0 as usize] = std::mem::replace(head, slot.0);
    }

    /// Takes out all that are due.
    pub(super) fn take(&mut self, now: Instant, mut f: impl FnMut(PortSlot)) {
        let last = now.as_nanos() >> LIST_BITS;
        self.at = self.at.max(last.saturating_sub(LISTS as u64));
        while self.at < last {
            self.at += 1;
            let mut slot = std::mem::replace(&mut self.heads[self.at as usize % LISTS], NONE);
            while slot != NONE {
                f(PortSlot(slot));
                slot = self.next[slot as usize];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const START: Instant = Instant::from_nanos(77_000_000_000);

    fn taken(calendar: &mut Calendar, now: Instant) -> Vec<u32> {
        let mut slots = Vec::new();
        calendar.take(now, |slot| slots.push(slot.0));
        slots.sort_unstable();
        slots
    }

    #[test]
    fn each_comes_at_its_time_and_once() {
        let mut calendar = Calendar::new(100);
        assert_eq!(taken(&mut calendar, START), []);
        for slot in 0..60 {
            calendar.enter(PortSlot(slot), START + MS * slot);
        }
        for slot in 0..60 {
            let now = START + MS * slot + Duration::from_micros(300);
            assert_eq!(taken(&mut calendar, now), [slot]);
        }
        assert_eq!(taken(&mut calendar, START + 1_000 * MS), []);
    }

    #[test]
    fn what_is_past_comes_next_and_what_is_too_far_comes_early() {
        let mut calendar = Calendar::new(4);
        taken(&mut calendar, START);
        calendar.enter(PortSlot(0), Instant::ZERO);
        calendar.enter(PortSlot(1), Instant::FAR_FUTURE);
        assert_eq!(taken(&mut calendar, START + MS), [0]);
        assert_eq!(taken(&mut calendar, START + 68 * MS), [1]);
    }

    #[test]
    fn nobody_is_forgotten_while_the_worker_stands_still() {
        let mut calendar = Calendar::new(60);
        taken(&mut calendar, START);
        (0..60).for_each(|slot| calendar.enter(PortSlot(slot), START + MS * slot));
        assert_eq!(taken(&mut calendar, START + 3_600_000 * MS).len(), 60);
    }
}
