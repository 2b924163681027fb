//! The reports of a tick, until the worker polls them.
//!
//! There is always room for the `Done` of a tick's orders. What is reported unasked uses the rest, and
//! is counted when it finds no room.

use std::collections::VecDeque;
use std::sync::Arc;

use drivers::time::Instant;

use crate::limits::{Limits, ORDERS_PER_TICK};
use crate::link::{Observation, Report, Side};
use crate::stats::{Counter, Stats};

/// Reports that wait within a tick.
#[derive(Debug)]
pub(crate) struct Reports {
    waiting: VecDeque<Report>,
    /// How many may wait that answer no order.
    max: usize,
    stats: Arc<Stats>,
}

impl Reports {
    /// Room for all that the ring can take.
    pub(crate) fn new(limits: &Limits, stats: Arc<Stats>) -> Self {
        let max = limits.observations;
        Self { waiting: VecDeque::with_capacity(max + ORDERS_PER_TICK), max, stats }
    }

    /// Answers an order.
    ///
    /// # Panics
    /// If there is no room for it.
    pub(crate) fn done(&mut self, report: Report) {
        assert!(
            self.waiting.len() < self.max + ORDERS_PER_TICK,
            "reports are polled after ORDERS_PER_TICK orders"
        );
        self.waiting.push_back(report);
    }

    /// Tells what nobody asked for, if there is room.
    pub(crate) fn tell(&mut self, report: Report) {
        if self.waiting.len() < self.max {
            self.waiting.push_back(report);
        } else {
            self.stats.add(Counter::ReportsLost, 1);
        }
    }

    /// Tells what was observed at `side`, `ago` milliseconds before `now`.
    pub(crate) fn observed(&mut self, side: Side, now: Instant, what: Observation, ago: u32) {
        let at = Instant::from_nanos(now.as_nanos().saturating_sub(u64::from(ago) * NANOS_PER_MS));
        self.tell(Report::Observed { side, at, what });
    }

    /// The next report.
    pub(crate) fn poll(&mut self) -> Option<Report> {
        self.waiting.pop_front()
    }
}

const NANOS_PER_MS: u64 = 1_000_000;
