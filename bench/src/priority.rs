//! How urgently the threads that count run.
//!
//! A harness that waits for others of its host sends late, and what it then finds is the host's doing. So its
//! sending thread asks for a real-time priority, and so does the bare loop; the media core that it measures gets the
//! same by its configuration (`host.real_time_priority`): what is measured is what that can do with its CPU, not what
//! others leave of it; so with control where that is measured, on another CPU than the harness. Nothing else gets
//! one: what waits for a thread behind it, on the same CPU, waits for ever.

use std::thread;

use clap::ValueEnum;
use drivers::cpu;

use crate::host;
use crate::operator::Operator;

/// What to run at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Priority {
    /// Ahead of all that is not real-time (SCHED_FIFO 10), if this process may: CAP_SYS_NICE.
    RealTime,
    /// As this program was started.
    Normal,
}

impl Priority {
    /// Has this thread run at it, if it may.
    pub(crate) fn take(self) {
        if self == Self::RealTime && host::real_time_level().is_none() {
            // If it may not, it has been said at the start.
            let _ = cpu::take_real_time_priority(LEVEL);
        }
    }

    /// What a thread that takes it has; nothing if it is not real-time, or may not be.
    fn taken(self) -> Option<(&'static str, u8)> {
        let tried = thread::spawn(move || {
            self.take();
            host::real_time_level()
        });
        tried.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// The level of a media core at it.
    pub(crate) fn level(self) -> Option<u8> {
        self.taken().filter(|_| self == Self::RealTime).map(|(_, level)| level)
    }

    /// `fifo 10`, or `normal`.
    pub(crate) fn words(self) -> String {
        self.taken().map_or("normal".to_owned(), |(policy, level)| format!("{policy} {level}"))
    }

    /// Says so if it may not be taken.
    pub(crate) fn tell(self, operator: &Operator) {
        if self == Self::RealTime && self.taken().is_none() {
            operator.tell("no real-time priority, which wants CAP_SYS_NICE: others may make it wait");
        }
    }
}

/// Low among the real-time ones: above it are those of drivers and of the host's own watchdogs.
const LEVEL: u8 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_asks_for_nothing_stays_as_it_was() {
        let own = host::real_time_level();
        Priority::Normal.take();
        assert_eq!(host::real_time_level(), own);
        assert!(Priority::RealTime.level().is_none_or(|level| level > 0));
        assert_eq!(host::real_time_level(), own, "only a thread of its own has tried");
    }
}
