//! A core that obeys orders and moves no octet: for worlds in which only control counts.
//!
//! It checks that each order is one that a core can obey, and takes its time with the reports.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use dataplane::limits::CONNECTIONS_PER_ENDPOINT;
use dataplane::link::{Action, ConnectionStats, Order, OrderId, Outcome, Report, Side};
use drivers::line::Ds0;
use drivers::net::PortSlot;
use drivers::time::Instant;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The longest that an order takes, unless the core stalls.
const TICK: Duration = Duration::from_millis(10);

/// One core.
pub(crate) struct PretendCore {
    rng: StdRng,
    /// Orders with the time when they are reported, which grows.
    ring: VecDeque<(Instant, OrderId, Outcome)>,
    stalled_until: Instant,
    /// The live pairs, and whose they are: a DS0's, or a relay's.
    live: HashMap<PortSlot, Option<Ds0>>,
}

impl PretendCore {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            ring: VecDeque::new(),
            stalled_until: Instant::ZERO,
            live: HashMap::new(),
        }
    }

    /// Takes an order.
    pub(crate) fn send(&mut self, now: Instant, order: &Order) {
        self.obey(&order.action);
        let takes = Duration::from_nanos(self.rng.random_range(0..=TICK.as_nanos() as u64));
        let last = self.ring.back().map_or(Instant::ZERO, |(due, ..)| *due);
        let due = (now + takes).max(last).max(self.stalled_until);
        let outcome = match order.action {
            Action::Disconnect { .. } | Action::Survey { .. } => Outcome::Seen(self.seen()),
            _ => Outcome::Done,
        };
        self.ring.push_back((due, order.id, outcome));
    }

    /// Has orders that are sent from now on wait until then.
    pub(crate) fn stall(&mut self, until: Instant) {
        self.stalled_until = self.stalled_until.max(until);
    }

    pub(crate) fn due_at(&self) -> Option<Instant> {
        self.ring.front().map(|(due, ..)| *due)
    }

    pub(crate) fn poll_report(&mut self, now: Instant) -> Option<Report> {
        let (_, id, outcome) = self.ring.pop_front_if(|(due, ..)| *due <= now)?;
        Some(Report::Done { id, outcome })
    }

    /// The pairs that have a connection.
    pub(crate) fn live(&self) -> usize {
        self.live.len()
    }

    fn seen(&mut self) -> ConnectionStats {
        ConnectionStats {
            packets_sent: self.rng.random(),
            octets_sent: self.rng.random(),
            packets_received: self.rng.random_range(0..1_000),
            ..ConnectionStats::default()
        }
    }

    fn obey(&mut self, action: &Action) {
        match *action {
            Action::Connect { ds0, port, .. } => {
                let held = self.live.values().filter(|other| **other == Some(ds0)).count();
                assert!(held < CONNECTIONS_PER_ENDPOINT, "{ds0:?} has a place left");
                assert_eq!(self.live.insert(port, Some(ds0)), None, "{port:?} is idle");
            }
            Action::ConnectRelay { port, .. } => {
                assert_eq!(self.live.insert(port, None), None, "{port:?} is idle");
            }
            Action::Disconnect { port } => {
                assert!(self.live.remove(&port).is_some(), "{port:?} is live");
            }
            Action::Modify { port, .. }
            | Action::ModifyRelay { port, .. }
            | Action::Survey { port }
            | Action::Supervise { port, .. }
            | Action::Watch { side: Side::Network(port), .. }
            | Action::Play { side: Side::Network(port), .. }
            | Action::Stop { side: Side::Network(port), .. } => {
                assert!(self.live.contains_key(&port), "{port:?} is live");
            }
            Action::Encode { .. }
            | Action::Test { .. }
            | Action::CancelEcho { .. }
            | Action::Watch { side: Side::Line(_), .. }
            | Action::Play { side: Side::Line(_), .. }
            | Action::Stop { side: Side::Line(_), .. } => {}
        }
    }
}
