//! The end of the gateway: at once, or with its last call.

use std::time::Duration;

use drivers::time::Instant;
use tracing::info;

use super::{Due, Gateway};
use crate::endpoint::Outage;
use crate::endpoint::restart::News;
use crate::timer::TimerId;

/// Whether the gateway is coming or going.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    Running,
    /// It will stop with its last call, or when this timer fires.
    Leaving(Option<TimerId>),
    Stopping,
    Ended,
}

impl Phase {
    /// Whether endpoints are in service.
    pub(super) const fn is_up(self) -> bool {
        matches!(self, Self::Running | Self::Leaving(_))
    }
}

/// What is sent at the end is waited for no longer than this.
const SHUTDOWN_MAX: Duration = Duration::from_millis(400);

impl Gateway {
    /// Takes all endpoints out of service and tells their call agents so.
    // RFC 3435 §2.3.12: RSIP `forced` is a courtesy; nobody can rely on it, so it is not waited for
    // longer than an operator would.
    pub(super) fn shut_down(&mut self, now: Instant) {
        if !self.phase.is_up() {
            return;
        }
        let connections = self.state.ledger.connections();
        info!(connections = connections.used, at_most = connections.high_water, "taking all out of service");
        self.phase = Phase::Stopping;
        let endpoints: Vec<_> = self.state.endpoints.ids().collect();
        self.set_outage(now, &endpoints, Some(Outage::Shutdown));
        self.announce(now, None);
        self.timers.set(now + SHUTDOWN_MAX, Due::End);
    }

    /// Tells call agents that all endpoints will be out of service, and waits for the end of their calls.
    // RFC 3435 §2.3.12: with `graceful`, connections stay, and call agents make no new ones.
    pub(super) fn leave(&mut self, now: Instant) {
        if self.phase != Phase::Running {
            return;
        }
        info!("stopping with the last call");
        let until = self.graceful_stop_max.map(|max| now + max);
        self.phase = Phase::Leaving(until.map(|until| self.timers.set(until, Due::Leave)));
        let endpoints: Vec<_> = self.state.endpoints.ids().collect();
        self.tell_news(&endpoints, News::Graceful { until });
        self.announce_unless_starting(now);
    }

    /// Calls that off.
    pub(super) fn stay(&mut self, now: Instant) {
        let Phase::Leaving(timer) = self.phase else { return };
        info!("not stopping after all");
        timer.into_iter().for_each(|timer| self.timers.cancel(timer));
        self.phase = Phase::Running;
        let endpoints = self.not_draining();
        self.tell_news(&endpoints, News::CancelGraceful);
        self.announce_unless_starting(now);
    }

    /// Stops if its last call has ended.
    pub(super) fn leave_if_idle(&mut self, now: Instant) {
        let is_idle = self.state.ledger.is_empty() && self.state.executions.is_empty();
        if is_idle && matches!(self.phase, Phase::Leaving(_)) {
            self.shut_down(now);
        }
    }
}
