//! Undoing what an aborted command did (RFC 3435 §4.4.4).
//!
//! Connections are put back as they were: while a command makes or changes one, no other changes it.
//! What belongs to the whole endpoint can have been changed by a later command, which then stands.

use dataplane::link::Action;
use drivers::line::Law;

use super::State;
use crate::endpoint::{Connection, EndpointId, signal};
use crate::mgcp::name::ConnectionId;
use crate::notified_entity::NotifiedEntity;

/// How to undo one change.
#[derive(Clone, PartialEq, Debug)]
pub enum Undo {
    /// A connection was made.
    Created(EndpointId, ConnectionId),
    /// A connection was changed, and was like this before.
    Modified(EndpointId, Box<Connection>),
    /// An endpoint was changed.
    Endpoint(EndpointId, Box<Changes>),
    /// Signals were applied.
    Signals(EndpointId, Box<signal::Undo>),
}

/// What a command changes of an endpoint as a whole.
#[derive(Clone, PartialEq, Debug)]
pub struct Changes {
    /// Its law.
    pub law: Change<Law>,
    /// Whom it notifies.
    pub notified: Change<NotifiedEntity>,
}

/// What something was before and after a command.
#[derive(Clone, PartialEq, Debug)]
pub struct Change<T> {
    /// Before.
    pub before: T,
    /// After.
    pub after: T,
}

impl<T: PartialEq> Change<T> {
    /// Puts it back, unless a later command has changed it again.
    fn undo(self, now: &mut T) {
        if *now == self.after {
            *now = self.before;
        }
    }
}

impl State {
    /// Undoes one change.
    pub(super) fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Created(id, connection) => {
                let endpoint = &mut self.endpoints[id];
                let place = endpoint.connections.iter().position(|other| other.id == connection);
                let gone = endpoint.connections.remove(place.expect("what is under way is there"));
                self.ledger.give_pair(endpoint.core, gone.port);
                self.ledger.give_connection();
                self.orders.push(endpoint.core, Action::Disconnect { port: gone.port }, None);
                self.forget_connection(id, connection, gone.port);
            }
            Undo::Modified(id, before) => self.restore(id, *before),
            Undo::Endpoint(id, changes) => {
                let endpoint = &mut self.endpoints[id];
                let was = endpoint.law;
                changes.law.undo(&mut endpoint.law);
                changes.notified.undo(&mut endpoint.control.notified);
                let (core, ds0, law) = (endpoint.core, endpoint.ds0, endpoint.law);
                if law != was {
                    self.orders.push(core, Action::Encode { ds0, law }, None);
                }
            }
            Undo::Signals(id, undo) => {
                let now = self.now;
                self.endpoints[id].control.signals.undo(now, *undo);
                self.perform(id, None);
            }
        }
    }

    fn restore(&mut self, id: EndpointId, before: Connection) {
        let jitter = self.settings.jitter;
        let endpoint = &mut self.endpoints[id];
        let (core, ds0, leg) = (endpoint.core, endpoint.ds0, before.leg(jitter));
        let (port, identity) = (before.port, before.identity);
        let connection = endpoint.connection_mut(before.id).expect("what is under way is there");
        let after = std::mem::replace(connection, before);
        if after.port == port {
            self.orders.push(core, Action::Modify { port, leg }, None);
        } else {
            // It had moved to another pair; the old one was kept for this.
            self.ledger.give_pair(core, after.port);
            self.orders.push(core, Action::Disconnect { port: after.port }, None);
            self.orders.push(core, Action::Connect { ds0, port, identity, leg }, None);
        }
    }
}
