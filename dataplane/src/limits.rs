//! How many of each thing one core holds. Everything that can run out is counted here, once.

use drivers::net::Ports;

use crate::channel::Rows;
use crate::connection::Connection;
use crate::link::{Order, Report};
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
    /// Octets of one connection's jitter buffer: a power of two. 8 octets are 1 ms.
    pub jitter_buffer_octets: usize,
    /// Orders that can be under way at a time.
    pub orders: usize,
    /// Reports beyond the ones that answer orders that can wait to be read.
    pub observations: usize,
}

impl Limits {
    /// The usual sizes for a core with these ports.
    ///
    /// A command for all endpoints gives an order for each, and may be followed by another such at once
    /// while the first one's are still carried out: so there is room for two orders a pair.
    pub fn for_ports(ports: &Ports) -> Self {
        let pairs = ports.slots() / 2;
        Self { pairs, jitter_buffer_octets: 4_096, orders: (2 * pairs).max(4_096), observations: 4_096 }
    }

    /// Octets of memory that they take, all of it allocated at start. Channels, 32 KiB a span, are not
    /// among them.
    pub const fn memory(&self) -> usize {
        let rings =
            self.orders * size_of::<Order>() + (self.orders + self.observations) * size_of::<Report>();
        let tick = (ORDERS_PER_TICK + self.observations) * size_of::<Report>();
        self.pairs * (Connection::memory(self) + Rows::ROW + Relays::MEMORY + Supervisors::MEMORY)
            + rings
            + tick
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_costs_less_than_10_kib() {
        let memory =
            |pairs| Limits { pairs, jitter_buffer_octets: 4_096, orders: 0, observations: 0 }.memory();
        let one = memory(2) - memory(1);
        assert!((4_096..10 << 10).contains(&one), "{one}");
    }
}
