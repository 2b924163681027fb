//! What is noted of a command's changes, so that they can be undone (RFC 3435 §4.4.4).

use drivers::line::Law;

use crate::change::{ExecutionId, Part};
use crate::endpoint::{Connection, Control, Endpoint, EndpointId, signal};
use crate::mgcp::name::ConnectionId;
use crate::notified_entity::NotifiedEntity;

/// How to undo one change.
#[derive(Clone, PartialEq, Debug)]
pub enum Undo {
    /// A connection was made.
    Created(EndpointId, ConnectionId),
    /// A connection was changed, and was like this before.
    Modified(EndpointId, Box<Connection>),
    /// An endpoint was changed, and was like this before.
    Endpoint(EndpointId, Box<Configured>),
    /// Signals were applied.
    Signals(EndpointId, Box<signal::Undo>),
}

/// What commands change of an endpoint as a whole.
#[derive(Clone, PartialEq, Debug)]
pub struct Configured {
    /// Its law.
    pub law: Law,
    /// Whether its echo is cancelled.
    pub cancels_echo: bool,
    /// Whom it notifies.
    pub(super) notified: NotifiedEntity,
    /// Which command has set each part of it.
    pub(super) set_by: [Option<ExecutionId>; Part::N],
}

impl Configured {
    /// What commands can set of an endpoint, as it is now.
    pub fn of(endpoint: &Endpoint) -> Self {
        let Control { notified, set_by, .. } = &endpoint.control;
        Self {
            law: endpoint.law,
            cancels_echo: endpoint.cancels_echo,
            notified: notified.clone(),
            set_by: *set_by,
        }
    }

    /// Takes one thing from another.
    pub(super) fn restore(&mut self, part: Part, from: &Self) {
        if part == Part::Law {
            self.law = from.law;
        }
        if part == Part::Echo {
            self.cancels_echo = from.cancels_echo;
        }
        self.notified.restore(part, &from.notified);
        self.set_by[part as usize] = from.set_by[part as usize];
    }
}
