//! The ring pair between control and a core.
//!
//! ```text
//!   control                                        core
//!   ControlEnd ── orders: Limits::orders ─────────▶ CoreEnd
//!              ◀─ reports: orders + observations ──
//!              ◀─ gear: one an order at most ──────
//!              ◀─ wake, once a tick at most ───────
//!              ── stop ───────────────────────────▶
//! ```
//!
//! The rings never overflow where it would matter. Control counts the orders that are *under way*:
//! sent, and their `Done` not yet read. There are never more than [`Limits::orders`] of them, so the
//! order ring has room for each, and so has the part of the report ring that is kept for `Done`.
//! What a core says unasked uses the rest, and is counted when it finds no place.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use crossbeam::queue::ArrayQueue;

use super::{Order, Report};
use crate::gear::Gear;
use crate::limits::Limits;

/// The two ends of a new ring pair. `wake` is called on the core's thread when control sleeps and
/// there is something to read; it must not block.
pub fn pair(limits: &Limits, wake: Box<dyn Fn() + Send>) -> (ControlEnd, CoreEnd) {
    let shared = Arc::new(Shared {
        orders: ArrayQueue::new(limits.orders),
        returned: ArrayQueue::new(limits.orders),
        reports: ArrayQueue::new(limits.orders + limits.observations),
        asleep: AtomicBool::new(false),
        stop: AtomicBool::new(false),
        ended: AtomicBool::new(false),
    });
    let control = ControlEnd { shared: Arc::clone(&shared), under_way: 0 };
    let core = CoreEnd { shared, wake, observations: limits.observations, news: false };
    (control, core)
}

/// Octets of memory that a ring pair takes: each ring counts beside each place who has been there.
pub(crate) const fn memory(limits: &Limits) -> usize {
    const TURN: usize = size_of::<usize>();
    limits.orders * (size_of::<(Order, Gear)>() + size_of::<Gear>() + 2 * TURN)
        + (limits.orders + limits.observations) * (size_of::<Report>() + TURN)
}

/// What both ends hold.
#[derive(Debug)]
struct Shared {
    orders: ArrayQueue<(Order, Gear)>,
    /// What orders did not want, or connections no longer do.
    returned: ArrayQueue<Gear>,
    reports: ArrayQueue<Report>,
    /// Control is about to sleep or sleeps: it wants to be woken.
    asleep: AtomicBool,
    /// Control wants the worker to end.
    stop: AtomicBool,
    /// The core's end is gone: nothing will be reported any more.
    ended: AtomicBool,
}

/// Control's end: orders in, reports out.
#[derive(Debug)]
pub struct ControlEnd {
    shared: Arc<Shared>,
    /// Orders sent whose `Done` has not been read.
    under_way: usize,
}

impl ControlEnd {
    /// Sends an order, and with it what it may want.
    ///
    /// # Panics
    /// If there is no [`room`](Self::room): a plan that asks for more orders than there is room for
    /// must have been refused before anything of it was carried out.
    pub fn send(&mut self, order: Order) {
        assert!(self.room() > 0, "a plan may order no more than there is room for");
        self.under_way += 1;
        let gear = Gear::for_action(&order.action);
        self.shared.orders.push((order, gear)).expect("no more orders wait than are under way");
    }

    /// The next report, if one has come.
    pub fn poll_report(&mut self) -> Option<Report> {
        let report = self.shared.reports.pop()?;
        if let Report::Done { .. } = report {
            self.under_way -= 1;
        }
        while self.shared.returned.pop().is_some() {}
        Some(report)
    }

    /// How many more orders can be sent now.
    pub fn room(&self) -> usize {
        self.shared.orders.capacity() - self.under_way
    }

    /// Says that control is about to sleep. If a report has come meanwhile it says `false`: read it,
    /// and do not sleep. Else the core wakes control for the next one.
    // No wake-up is lost: here `asleep` is stored before the ring is looked at; the core fills the
    // ring before it looks at `asleep`. The two fences forbid that each sees the other's old value.
    pub fn prepare_sleep(&self) -> bool {
        self.shared.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let quiet = self.shared.reports.is_empty() && !self.has_ended();
        if !quiet {
            self.woke();
        }
        quiet
    }

    /// Says that control is awake and will look at the reports before it sleeps again.
    pub fn woke(&self) {
        self.shared.asleep.store(false, Ordering::Relaxed);
    }

    /// Asks the worker to end.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
    }

    /// Whether the core has ended, because it was told to or because it failed. Its last reports
    /// can still be read.
    pub fn has_ended(&self) -> bool {
        self.shared.ended.load(Ordering::Acquire)
    }
}

/// A core's end: orders out, reports in.
pub struct CoreEnd {
    shared: Arc<Shared>,
    wake: Box<dyn Fn() + Send>,
    /// Reports that nobody asked for give way when this many of any kind wait.
    observations: usize,
    /// Something was reported since control was last woken or found awake.
    news: bool,
}

impl CoreEnd {
    /// The orders that wait, at most `n`, each with what it may want.
    // An empty ring costs one shared load, a `pop` on an empty ring a full fence.
    pub fn orders(&self, n: usize) -> impl Iterator<Item = (Order, Gear)> + '_ {
        let n = if self.shared.orders.is_empty() { 0 } else { n };
        (0..n).map_while(|_| self.shared.orders.pop())
    }

    /// Gives back what came with an order or an earlier one; to be called before that order's `Done` is
    /// [reported](Self::report).
    ///
    /// # Panics
    /// If more is given back than orders are under way.
    pub fn give_back(&mut self, gear: Gear) {
        self.shared.returned.push(gear).expect("an order gives back once, and its Done has not been read");
    }

    /// Reports something; `false` if there was no place for it, which cannot be for a `Done`.
    ///
    /// # Panics
    /// If a `Done` finds no place: then more orders were answered than given.
    #[must_use]
    pub fn report(&mut self, report: Report) -> bool {
        match report {
            Report::Done { .. } => {
                self.shared.reports.push(report).expect("each order under way has a place kept for its Done");
            }
            // At most `observations` of these ever wait, so they leave the orders' places free.
            Report::Span { .. } | Report::Observed { .. } => {
                if self.shared.reports.len() >= self.observations {
                    return false;
                }
                self.shared.reports.push(report).expect("the ring is larger than what observations may use");
            }
        }
        self.news = true;
        true
    }

    /// Wakes control if it sleeps and there is news. To be called at the end of a tick.
    pub fn nudge(&mut self) {
        if !self.news {
            return;
        }
        self.news = false;
        // See `prepare_sleep`: the ring was filled before this fence, `asleep` is looked at after it.
        fence(Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::Relaxed) && self.shared.asleep.swap(false, Ordering::Relaxed) {
            (self.wake)();
        }
    }

    /// Whether control wants the worker to end.
    pub fn is_stopped(&self) -> bool {
        self.shared.stop.load(Ordering::Acquire)
    }
}

/// However the worker ends, a panic included, control gets to know.
impl Drop for CoreEnd {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        self.news = true;
        self.nudge();
    }
}

impl fmt::Debug for CoreEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoreEnd").field("shared", &self.shared).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use drivers::line::{Alarms, SpanId};
    use drivers::net::PortSlot;
    use drivers::span::SpanEvent;

    use super::*;
    use crate::link::{Action, DetectorSet, OrderId, Outcome, Side};

    const LIMITS: Limits =
        Limits { pairs: 1, relays: 0, jitter_buffer_octets: 1_024, orders: 4, observations: 2 };

    /// A pair, and how often control was woken.
    fn woken_pair() -> (ControlEnd, CoreEnd, Arc<AtomicUsize>) {
        let woken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&woken);
        let wake = move || {
            count.fetch_add(1, Ordering::SeqCst);
        };
        let (control, core) = pair(&LIMITS, Box::new(wake));
        (control, core, woken)
    }

    fn survey(id: u64) -> Order {
        Order { id: OrderId(id), action: Action::Survey { port: PortSlot(0) } }
    }

    fn done(id: u64) -> Report {
        Report::Done { id: OrderId(id), outcome: Outcome::Done }
    }

    fn alarm() -> Report {
        Report::Span { span: SpanId(0), event: SpanEvent::Alarms(Alarms::NONE) }
    }

    #[test]
    fn orders_come_out_in_order_and_no_more_than_asked() {
        let (mut control, core, _) = woken_pair();
        (0..4).for_each(|id| control.send(survey(id)));
        assert_eq!(core.orders(3).map(|(order, _)| order.id.0).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(core.orders(3).map(|(order, _)| order.id.0).collect::<Vec<_>>(), [3]);
        assert_eq!(core.orders(3).count(), 0);
    }

    #[test]
    fn an_order_takes_its_room_until_its_done_is_read() {
        let (mut control, mut core, _) = woken_pair();
        (0..4).for_each(|id| control.send(survey(id)));
        assert_eq!(control.room(), 0);
        for (order, _) in core.orders(4).collect::<Vec<_>>() {
            assert!(core.report(done(order.id.0)));
        }
        assert_eq!(control.room(), 0, "answered, but not read");
        assert_eq!(control.poll_report(), Some(done(0)));
        assert_eq!(control.room(), 1);
    }

    #[test]
    #[should_panic(expected = "a plan may order no more")]
    fn an_order_without_room_is_a_broken_plan() {
        let (mut control, _core, _) = woken_pair();
        (0..5).for_each(|id| control.send(survey(id)));
    }

    #[test]
    fn observations_never_take_the_place_of_a_done() {
        let (mut control, mut core, _) = woken_pair();
        (0..4).for_each(|id| control.send(survey(id)));
        assert!(core.report(alarm()));
        assert!(core.report(alarm()));
        assert!(!core.report(alarm()), "only as many observations as there are places");
        assert!((0..4).all(|id| core.report(done(id))));
        assert_eq!(std::iter::from_fn(|| control.poll_report()).count(), 6);
    }

    #[test]
    fn gear_goes_with_the_orders_that_may_want_it_and_there_is_room_for_all_of_it_to_come_back() {
        let (mut control, mut core, _) = woken_pair();
        let side = Side::Network(PortSlot(0));
        for _ in 0..3 {
            for id in 0..4 {
                let action = Action::Watch { side, detectors: DetectorSet::DTMF };
                control.send(Order { id: OrderId(id), action });
            }
            for (order, gear) in core.orders(4).collect::<Vec<_>>() {
                assert!(!gear.is_empty());
                core.give_back(gear);
                assert!(core.report(done(order.id.0)));
            }
            assert_eq!(std::iter::from_fn(|| control.poll_report()).count(), 4);
        }
        control.send(survey(0));
        assert!(core.orders(1).all(|(_, gear)| gear.is_empty()));
    }

    #[test]
    fn control_is_woken_once_and_only_while_it_sleeps() {
        let (mut control, mut core, woken) = woken_pair();
        let mut tick_with_news = || {
            assert!(core.report(alarm()));
            core.nudge();
            woken.load(Ordering::SeqCst)
        };
        assert_eq!(tick_with_news(), 0, "control is awake");
        assert!(!control.prepare_sleep(), "a report waits: it must not sleep");
        assert!(control.poll_report().is_some());
        assert!(control.prepare_sleep());
        assert_eq!(tick_with_news(), 1);
        assert_eq!(tick_with_news(), 1, "it has been woken already");
        drop(core);
        assert_eq!(woken.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_core_that_ends_wakes_control() {
        let (control, core, woken) = woken_pair();
        assert!(control.prepare_sleep());
        drop(core);
        assert_eq!(woken.load(Ordering::SeqCst), 1);
        assert!(control.has_ended());
        assert!(!control.prepare_sleep());
    }

    /// Two threads, as in life: each report is read although control sleeps whenever it may.
    #[test]
    fn no_wake_up_is_lost() {
        const REPORTS: u64 = 20_000;
        let (wake, woken) = std::sync::mpsc::channel();
        let limits = Limits { orders: 1, observations: 8, ..LIMITS };
        let (mut control, mut core) = pair(
            &limits,
            Box::new(move || {
                let _ = wake.send(());
            }),
        );
        let core = std::thread::spawn(move || {
            let mut sent = 0;
            while sent < REPORTS {
                if core.report(alarm()) {
                    sent += 1;
                } else {
                    std::thread::yield_now();
                }
                core.nudge();
            }
        });
        let mut read = 0;
        while read < REPORTS {
            read += std::iter::from_fn(|| control.poll_report()).count() as u64;
            if read < REPORTS && control.prepare_sleep() {
                woken.recv_timeout(Duration::from_secs(10)).expect("the core wakes control");
                control.woke();
            }
        }
        core.join().expect("the core ends well");
    }
}
