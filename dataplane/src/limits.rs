//! How many of each thing one core holds. Everything that can run out is counted here, once.

use drivers::net::Ports;

use crate::channel::Rows;
use crate::connection::{Aside, Connection};
use crate::gear::Gear;
use crate::jitter_buffer::JitterBuffer;
use crate::link::{self, JitterBounds, Report};
use crate::outbox::Outbox;
use crate::relay::Relays;
use crate::reporting::Reporting;
use crate::station::Station;
use crate::supervision::Supervisors;

/// Connections one endpoint can have at a time (RFC 3435 §2.1.3 sets no number).
pub const CONNECTIONS_PER_ENDPOINT: usize = 4;

/// Tones that can be played at a time to the line of one DS0, and as many to each connection: RFC 3435
/// §2.3.3 wants signals applied in parallel.
pub const PLAYS_PER_SIDE: usize = 2;

/// Orders a core carries out in one tick at most, so that a burst of them does not delay media.
pub const ORDERS_PER_TICK: usize = 256;

/// Sizes of one core's tables and queues, all fixed at start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// RTP and RTCP port pairs; each can carry one connection.
    pub pairs: usize,
    /// Relays, at most as many as pairs.
    pub relays: usize,
    /// Octets of one connection's jitter buffer: a power of two. 8 octets are 1 ms.
    pub jitter_buffer_octets: usize,
    /// Orders that can be under way at a time.
    pub orders: usize,
    /// Reports beyond the ones that answer orders that can wait to be read.
    pub observations: usize,
}

impl Limits {
    /// The usual sizes for a core with these ports and this many relays, whose legs keep to these bounds
    /// and whose spans have blocks of at most `frames`.
    pub fn new(ports: &Ports, relays: usize, jitter: &JitterBounds, frames: usize) -> Self {
        Self {
            pairs: ports.slots() / 2,
            relays,
            jitter_buffer_octets: JitterBuffer::capacity_for(jitter, frames),
            orders: Self::orders(ports),
            observations: 4_096,
        }
    }

    /// The usual number of orders for a core with these ports.
    ///
    /// A command for all endpoints gives an order for each, and may be followed by another such at once
    /// while the first one's are still carried out: so there is room for two orders a pair.
    pub fn orders(ports: &Ports) -> usize {
        ports.slots().max(4_096)
    }

    /// Octets of memory that they take, all of it allocated at start.
    ///
    /// Not among them are what a span has, its channels (2 KiB), a block each way (5 KiB at most) and its echo
    /// cancellers, and what comes [with orders](Self::gear).
    pub const fn memory(&self) -> usize {
        let reports = (ORDERS_PER_TICK + self.observations) * size_of::<Report>();
        let tick = reports + ORDERS_PER_TICK * size_of::<Gear>() + Outbox::memory(self.pairs);
        let pair = Connection::memory(self) + Rows::ROW + Reporting::MEMORY + Supervisors::MEMORY;
        self.pairs * pair + Relays::memory(self) + link::memory(self) + tick
    }

    /// Octets of memory that come on demand, with the orders that want something listened for, played or
    /// dialled: if it is wanted on the lines of `ds0s` timeslots, and on all connections.
    ///
    /// A connection has its part until it ends, a line for good.
    pub const fn gear(&self, ds0s: usize) -> usize {
        ds0s * size_of::<Station>() + self.pairs * size_of::<Aside>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JITTER: JitterBounds = JitterBounds { nominal_ms: 20, max_ms: 100, adaptive: true };

    #[test]
    fn a_connection_costs_less_than_5_kib_and_with_a_longer_jitter_buffer_less_than_7() {
        let memory = |pairs, max_ms| {
            let jitter = JitterBounds { max_ms, ..JITTER };
            let limits = Limits::new(&Ports::default(), 1, &jitter, 40);
            Limits { pairs, orders: 0, observations: 0, ..limits }.memory()
        };
        for (max_ms, most) in [(0, 5 << 10), (100, 5 << 10), (101, 7 << 10), (200, 7 << 10)] {
            let one = memory(1_001, max_ms) - memory(1_000, max_ms);
            assert!((most / 2..most).contains(&one), "{one} with {max_ms} ms");
        }
    }

    #[test]
    fn an_order_has_room_for_what_comes_with_it_and_for_what_goes_back() {
        let limits = Limits::new(&Ports::default(), 0, &JITTER, 40);
        let one = Limits { orders: limits.orders + 1, ..limits }.memory() - limits.memory();
        assert!(one >= size_of::<link::Order>() + 2 * size_of::<Gear>() + size_of::<Report>(), "{one}");
    }

    #[test]
    fn what_is_listened_for_or_played_takes_2_kib_a_side_at_most_and_only_on_demand() {
        let limits = Limits { pairs: 100, ..Limits::new(&Ports::default(), 0, &JITTER, 40) };
        let (lines, all) = (limits.gear(100) - limits.gear(0), limits.gear(100));
        assert!((100 << 10..200 << 10).contains(&lines), "{lines}");
        assert!((2 * lines..=400 << 10).contains(&all), "{all}");
    }
}
