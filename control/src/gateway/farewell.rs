//! Connections that the gateway itself has to end: DLCX to their call agent (RFC 3435 §2.3.8).
//!
//! That is a last resort: a connection that can be sustained is left to its call agent. What a failed span
//! loses is told by RSIP, for all of it at once (§2.3.12). What is left to tell are connections of
//! endpoints that stay in service: those whose other half is gone.

use dataplane::link::{Action, ConnectionStats};
use drivers::time::Instant;
use tracing::warn;

use super::Gateway;
use crate::change::ExecutionId;
use crate::command::auep;
use crate::command::undo::Undo;
use crate::endpoint::naming::Named;
use crate::endpoint::{EndpointId, HalfId, Outage};
use crate::metrics::Counter;
use crate::mgcp::code::{ReasonCode, ReturnCode};
use crate::mgcp::name::{CallId, ConnectionId};

/// A connection that is being ended, and is to be told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Farewell {
    pub(super) endpoint: EndpointId,
    pub(super) call: CallId,
    pub(super) connection: ConnectionId,
    pub(super) reason: ReasonCode,
}

impl Gateway {
    /// Ends what has lost its other half, unless that is gone, too.
    pub(super) fn end_halves(&mut self, now: Instant, halves: &[HalfId], outage: Outage) {
        for half in halves {
            self.abort_changes(now, *half);
            self.end_half(*half, auep::reason(Some(outage)).code);
        }
    }

    /// A core has said what a connection has seen that was ended.
    // RFC 3435 §2.3.8: that is told with it.
    pub(super) fn said_farewell(&mut self, now: Instant, id: ExecutionId, stats: Option<ConnectionStats>) {
        if let (Some(farewell), Some(stats)) = (self.farewells.remove(&id), stats) {
            self.teller.farewell(now, farewell, stats);
        }
    }

    /// What is being made or changed of a connection comes to nothing.
    fn abort_changes(&mut self, now: Instant, half: HalfId) {
        let is_of_it = |undo: &Undo| match undo {
            Undo::Created(_, id) => *id == half.connection,
            Undo::Modified(_, before) => before.id == half.connection,
            Undo::Endpoint(..) | Undo::Signals(..) => false,
        };
        let executing = self.state.endpoints[half.endpoint].executing.iter().copied();
        let changes: Vec<_> =
            executing.filter(|id| self.state.executions[id].undo.iter().any(is_of_it)).collect();
        for id in changes {
            self.abort(now, id, ReturnCode::TRANSIENT_ERROR);
        }
    }

    fn end_half(&mut self, half: HalfId, reason: ReasonCode) {
        let Some(connection) = self.state.end_one(half) else { return };
        let endpoint = half.endpoint;
        let name = self.state.name_of(Named::Endpoint(endpoint), None);
        warn!(endpoint = %name, connection = %connection.id, %reason, "a connection has lost its other half");
        self.counters.count(Counter::ConnectionsLost);
        let id = self.state.take_execution_id();
        let core = self.state.endpoints[endpoint].core;
        self.state.orders.push(core, Action::Disconnect { port: connection.port }, Some(id));
        let farewell = Farewell { endpoint, call: connection.call, connection: connection.id, reason };
        self.farewells.insert(id, farewell);
    }
}
