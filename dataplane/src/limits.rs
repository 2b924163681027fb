//! How many of each thing one core holds. Everything that can run out is counted here, once.

use drivers::net::Ports;

use crate::channel::Rows;
use crate::connection::Connection;
use crate::jitter_buffer::JitterBuffer;
use crate::link::{JitterBounds, Order, Report};
use crate::relay::Relays;
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

    /// Octets of memory that they take, all of it allocated at start. Channels, 32 KiB a span, are not
    /// among them.
    pub const fn memory(&self) -> usize {
        let rings =
            self.orders * size_of::<Order>() + (self.orders + self.observations) * size_of::<Report>();
        let tick = (ORDERS_PER_TICK + self.observations) * size_of::<Report>();
        let pair = Connection::memory(self) + Rows::ROW + Supervisors::MEMORY;
        self.pairs * pair + Relays::memory(self) + rings + tick
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
}
