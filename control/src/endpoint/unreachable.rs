//! How often the network has said that a connection's media were not delivered (RFC 3660 §2.10, iu).

use crate::mgcp::name::ConnectionId;

/// The counts of one endpoint's connections.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Unreachable(Vec<Count>);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Count {
    connection: ConnectionId,
    /// Since which request.
    request: u32,
    n: u32,
}

impl Unreachable {
    /// Once more; how often that is since this request.
    pub fn count(&mut self, connection: ConnectionId, request: u32) -> u32 {
        let place = self.0.iter().position(|count| count.connection == connection);
        let place = place.unwrap_or_else(|| {
            self.0.push(Count { connection, request, n: 0 });
            self.0.len() - 1
        });
        let count = &mut self.0[place];
        if count.request != request {
            *count = Count { connection, request, n: 0 };
        }
        count.n = count.n.saturating_add(1);
        count.n
    }

    /// How often that was since this request.
    pub fn counted(&self, connection: ConnectionId, request: u32) -> u32 {
        let mut counts =
            self.0.iter().filter(|count| (count.connection, count.request) == (connection, request));
        counts.next().map_or(0, |count| count.n)
    }

    /// A connection has been deleted.
    pub fn forget(&mut self, connection: ConnectionId) {
        self.0.retain(|count| count.connection != connection);
    }
}
