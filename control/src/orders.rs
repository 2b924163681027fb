//! Orders on their way to the cores.
//!
//! A core's ring has room for so many orders. What makes something (CRCX, MDCX, an audit) needs room
//! in its plan and is refused when there is none; only what wants more than half a ring (EPCF of all
//! endpoints) is content with that half. What unmakes something (DLCX, an aborted command, a failed span)
//! is never refused: its orders wait here until the ring has room, and there are never more of them than
//! there were things to unmake.
//!
//! Cores answer orders in the order they were given, so a queue a core tells whose answer comes next.

use std::collections::VecDeque;

use dataplane::link::{Action, Order, OrderId};

use crate::ledger::Usage;
use crate::topology::CoreId;

/// All cores' orders; `T` says whose each is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Orders<T> {
    cores: Vec<Core<T>>,
    next: u64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Core<T> {
    /// Not yet handed out.
    waiting: VecDeque<(Order, T)>,
    /// Handed out, not yet answered.
    in_flight: VecDeque<(OrderId, T)>,
    /// The ring's size, and how many are waiting or in flight.
    usage: Usage,
}

impl<T> Orders<T> {
    /// For cores whose rings hold this many orders each.
    pub fn new(rings: impl IntoIterator<Item = usize>) -> Self {
        let core =
            |size| Core { waiting: VecDeque::new(), in_flight: VecDeque::new(), usage: Usage::of(size) };
        Self { cores: rings.into_iter().map(core).collect(), next: 0 }
    }

    /// Queues an order.
    pub fn push(&mut self, core: CoreId, action: Action, owner: T) {
        let order = Order { id: OrderId(self.next), action };
        self.next += 1;
        let core = &mut self.cores[usize::from(core.0)];
        core.waiting.push_back((order, owner));
        core.usage.take(1);
    }

    /// The next order whose core's ring has room.
    pub fn poll(&mut self) -> Option<(CoreId, Order)> {
        for (index, core) in self.cores.iter_mut().enumerate() {
            if core.in_flight.len() < core.usage.capacity
                && let Some((order, owner)) = core.waiting.pop_front()
            {
                core.in_flight.push_back((order.id, owner));
                return Some((CoreId(u16::try_from(index).expect("cores are counted in 16 bits")), order));
            }
        }
        None
    }

    /// Takes a core's answer: whose order it was.
    ///
    /// # Panics
    /// If the core answers another order than the oldest unanswered one.
    pub fn done(&mut self, core: CoreId, id: OrderId) -> T {
        let core = &mut self.cores[usize::from(core.0)];
        let (oldest, owner) = core.in_flight.pop_front().expect("only orders are answered");
        assert_eq!(oldest, id, "a core answers orders in the order they were given");
        core.usage.give(1);
        owner
    }

    /// Whether a plan may give a core `n` orders.
    pub fn has_room(&self, core: CoreId, n: usize) -> bool {
        let usage = self.cores[usize::from(core.0)].usage;
        usage.used + n.min(usage.capacity / 2) <= usage.capacity
    }

    /// Whether all have been answered.
    pub fn is_empty(&self) -> bool {
        self.cores.iter().all(|core| core.usage.used == 0)
    }

    /// Orders, by core.
    pub fn usage(&self) -> impl Iterator<Item = (CoreId, Usage)> + '_ {
        (0..).map(CoreId).zip(self.cores.iter().map(|core| core.usage))
    }
}

#[cfg(test)]
mod tests {
    use drivers::net::PortSlot;

    use super::*;

    const CORE: CoreId = CoreId(0);

    fn survey(orders: &mut Orders<char>, owner: char) {
        orders.push(CORE, Action::Survey { port: PortSlot(0) }, owner);
    }

    #[test]
    fn orders_beyond_the_ring_wait_for_answers() {
        let mut orders = Orders::new([2]);
        for owner in ['a', 'b', 'c'] {
            survey(&mut orders, owner);
        }
        assert!(!orders.has_room(CORE, 1));
        let ids: Vec<_> = std::iter::from_fn(|| orders.poll()).map(|(_, order)| order.id).collect();
        assert_eq!(ids, [OrderId(0), OrderId(1)]);
        assert_eq!(orders.done(CORE, OrderId(0)), 'a');
        assert_eq!(orders.poll().map(|(_, order)| order.id), Some(OrderId(2)));
        assert_eq!(orders.done(CORE, OrderId(1)), 'b');
        assert_eq!(orders.done(CORE, OrderId(2)), 'c');
        assert!(orders.is_empty());
    }
}
