//! What ends at an endpoint: one connection, or all that goes on there.

use dataplane::link::Action;

use super::state::State;
use crate::change::ExecutionId;
use crate::endpoint::{Connection, EndpointId, HalfId};

/// What has been ended at an endpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// Connections.
    pub connections: usize,
    /// The orders that took.
    pub orders: usize,
    /// Connections of other endpoints that were joined to those.
    pub halves: Vec<HalfId>,
}

impl State {
    /// Ends all that goes on at an endpoint, with `owner` waiting for it.
    // RFC 3435 §4.4.1, §2.1.7: nor do requests and signals outlive a restart.
    pub fn end_all(&mut self, id: EndpointId, owner: Option<ExecutionId>) -> Ended {
        let gone = self.end_connections(id, |_| true);
        let core = self.endpoints[id].core;
        for connection in &gone {
            self.orders.push(core, Action::Disconnect { port: connection.port }, owner);
        }
        let halves = gone.iter().filter_map(|connection| self.part(connection)).collect();
        self.endpoints[id].control.signals.handle_restart();
        let stops = self.perform(id, owner);
        self.endpoints[id].control.notify.handle_restart();
        self.stirred.push(id);
        Ended { connections: gone.len(), orders: gone.len() + stops, halves }
    }

    /// Takes one connection from its endpoint. Its core is yet to be told.
    pub fn end_one(&mut self, half: HalfId) -> Option<Connection> {
        self.end_connections(half.endpoint, |connection| connection.id == half.connection).pop()
    }

    /// Takes connections from their endpoint, and gives back what they had. Their core is yet to be told.
    pub fn end_connections(
        &mut self,
        id: EndpointId,
        is_to_end: impl Fn(&Connection) -> bool,
    ) -> Vec<Connection> {
        let endpoint = &mut self.endpoints[id];
        let core = endpoint.core;
        let gone: Vec<_> = endpoint.connections.extract_if(.., |connection| is_to_end(connection)).collect();
        endpoint.connections.shrink_to_fit();
        for connection in &gone {
            self.ledger.give_pair(core, connection.port);
            self.ledger.give_connection();
            self.forget_connection(id, connection.id, connection.port);
        }
        gone
    }
}
