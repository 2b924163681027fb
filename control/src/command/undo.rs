//! Undoing what an aborted command did (RFC 3435 §4.4.4).
//!
//! Connections are put back as they were: while a command makes or changes one, no other changes it.
//! What belongs to the whole endpoint can have been changed by a later command, which then stands.

use dataplane::link::Action;
use drivers::line::Law;

use super::local::HalfId;
use super::{ExecutionId, State};
use crate::endpoint::{Connection, Control, Endpoint, EndpointId, Media, signal};
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
    notified: NotifiedEntity,
    set_by: [Option<ExecutionId>; Part::N],
}

/// One of the things that commands set of an endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// Its law.
    Law,
    /// N
    Name,
    /// RED/NL
    List,
    /// The way that the last command came.
    Heard,
}

impl Part {
    /// How many there are.
    pub const N: usize = Self::ALL.len();
    const ALL: [Self; 4] = [Self::Law, Self::Name, Self::List, Self::Heard];
}

impl Configured {
    /// As an endpoint is.
    pub fn of(endpoint: &Endpoint) -> Self {
        let Control { notified, set_by, .. } = &endpoint.control;
        Self { law: endpoint.law, notified: notified.clone(), set_by: *set_by }
    }

    /// Takes one thing from another.
    fn restore(&mut self, part: Part, from: &Self) {
        if part == Part::Law {
            self.law = from.law;
        }
        self.notified.restore(part, &from.notified);
        self.set_by[part as usize] = from.set_by[part as usize];
    }
}

impl State {
    /// Undoes one change of a command's.
    pub(super) fn undo(&mut self, by: ExecutionId, undo: Undo) {
        match undo {
            Undo::Created(id, connection) => {
                let gone = self.end_one(HalfId { endpoint: id, connection });
                let gone = gone.expect("what is under way is there");
                let core = self.endpoints[id].core;
                self.orders.push(core, Action::Disconnect { port: gone.port }, None);
                self.part(&gone);
            }
            Undo::Modified(id, before) => self.restore(id, *before),
            Undo::Endpoint(id, before) => self.reconfigure(by, id, &before),
            Undo::Signals(id, undo) => {
                let now = self.now;
                self.endpoints[id].control.signals.undo(now, *undo);
                self.perform(id, None);
            }
        }
    }

    /// Puts back what a command has set, unless a later one has set it again. If that fails, too, it comes
    /// back to what it was before both.
    fn reconfigure(&mut self, by: ExecutionId, id: EndpointId, before: &Configured) {
        let mut now = Configured::of(&self.endpoints[id]);
        for part in Part::ALL {
            if now.set_by[part as usize] == Some(by) {
                now.restore(part, before);
                continue;
            }
            for later in &self.endpoints[id].executing {
                let Some(later) = self.executions.get_mut(later) else { continue };
                for undo in &mut later.undo {
                    if let Undo::Endpoint(other, configured) = undo
                        && *other == id
                        && configured.set_by[part as usize] == Some(by)
                    {
                        configured.restore(part, before);
                    }
                }
            }
        }
        let endpoint = &mut self.endpoints[id];
        let law = std::mem::replace(&mut endpoint.law, now.law);
        endpoint.control.notified = now.notified;
        endpoint.control.set_by = now.set_by;
        if endpoint.law != law
            && let Some(ds0) = endpoint.ds0()
        {
            let (core, law) = (endpoint.core, endpoint.law);
            self.orders.push(core, Action::Encode { ds0, law }, None);
        }
    }

    fn restore(&mut self, id: EndpointId, before: Connection) {
        let jitter = self.settings.jitter;
        let mut before = before;
        let endpoint = &mut self.endpoints[id];
        let now = endpoint.connection(before.id).map(|connection| &connection.media);
        // It may have lost its other half meanwhile; or the command has given it one, which it gives up.
        if let (Media::Local(before), Some(Media::Local(now))) = (&mut before.media, now) {
            before.other = before.other.and(now.other);
        }
        let was_alone = matches!(&before.media, Media::Local(local) if local.other.is_none());
        let (core, port) = (endpoint.core, before.port);
        let (modify, connect) = (before.modify(jitter), before.connect(jitter));
        let connection = endpoint.connection_mut(before.id).expect("what is under way is there");
        let after = std::mem::replace(connection, before);
        if after.port == port {
            self.orders.push(core, modify, None);
        } else {
            // It had moved to another pair; the old one was kept for this.
            self.ledger.give_pair(core, after.port);
            self.orders.push(core, Action::Disconnect { port: after.port }, None);
            self.orders.push(core, connect, None);
        }
        if was_alone {
            self.part(&after);
        }
    }
}
