//! How a command under way ends: it succeeds, or what it did is undone (RFC 3435 §4.4.4).
//!
//! Connections are put back as they were: while a command makes or changes one, no other changes it.
//! What belongs to the whole endpoint can have been changed by a later command, which then stands.

use dataplane::link::Action;

use super::execution::Execution;
use super::notification;
use super::state::State;
use super::undo::{Configured, Undo};
use crate::change::{ExecutionId, Part};
use crate::endpoint::{Connection, EndpointId, HalfId, Media};
use crate::mgcp::code::ReturnCode;

impl State {
    /// Undoes what a command did, and forgets it.
    pub fn abort(&mut self, id: ExecutionId) -> Option<Execution> {
        let mut execution = self.forget(id)?;
        for undo in execution.undo.drain(..).rev() {
            self.undo(id, undo);
        }
        self.stirred.extend(&execution.endpoints);
        Some(execution)
    }

    /// Ends a command whose last order is done, and whether it has succeeded.
    // RFC 3435 §4.4.3: its notification request takes effect now; what allowed it must hold still.
    pub fn finish(&mut self, id: ExecutionId) -> Option<(Execution, Result<(), ReturnCode>)> {
        if let Err(code) = self.check_again(id) {
            return self.abort(id).map(|execution| (execution, Err(code)));
        }
        let mut execution = self.forget(id)?;
        for (core, port) in execution.release.drain(..) {
            self.ledger.give_pair(core, port);
        }
        if let Some(asked) = &execution.asked {
            for endpoint in &execution.endpoints {
                let now = self.now;
                let notify = &mut self.endpoints[*endpoint].control.notify;
                notify.handle_request(now, asked.request.clone());
                self.stirred.push(*endpoint);
            }
        }
        if let Some(after) = execution.lockstep {
            for endpoint in &execution.endpoints {
                let now = self.now;
                self.endpoints[*endpoint].control.notify.report_lockstep_after(now, after);
                self.stirred.push(*endpoint);
            }
        }
        Some((execution, Ok(())))
    }

    fn check_again(&self, id: ExecutionId) -> Result<(), ReturnCode> {
        let Some(execution) = self.executions.get(&id) else { return Ok(()) };
        let Some(asked) = &execution.asked else { return Ok(()) };
        execution.endpoints.iter().try_for_each(|id| {
            let endpoint = &self.endpoints[*id];
            let exists = |connection| endpoint.connection(connection).is_some();
            notification::check_request(endpoint, asked, &exists)
        })
    }

    fn forget(&mut self, id: ExecutionId) -> Option<Execution> {
        let execution = self.executions.remove(&id)?;
        for endpoint in execution.endpoints.iter().chain(&execution.second) {
            let executing = &mut self.endpoints[*endpoint].executing;
            executing.retain(|other| *other != id);
            // Nearly all endpoints have none: thousands of lists that are kept for the next would be memory for nothing.
            if executing.is_empty() {
                *executing = Vec::new();
            }
        }
        Some(execution)
    }

    /// Undoes one change of a command's.
    fn undo(&mut self, by: ExecutionId, undo: Undo) {
        match undo {
            Undo::Created(id, connection) => {
                let gone = self.end_one(HalfId { endpoint: id, connection });
                let gone = gone.expect("a connection outlives the commands under way that change it");
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
        if let Some((core, action)) = self.endpoints[id].set_cancels_echo(now.cancels_echo) {
            self.orders.push(core, action, None);
        }
    }

    fn restore(&mut self, id: EndpointId, before: Connection) {
        let jitter = self.settings.jitter;
        let mut before = before;
        let endpoint = &mut self.endpoints[id];
        let now = endpoint
            .connection(before.id)
            .expect("a connection outlives the commands under way that change it");
        // That it has lasted for long may have been told meanwhile.
        before.long_at = now.long_at;
        // It may have lost its other half meanwhile; or the command has given it one, which it gives up.
        if let (Media::Local(before), Media::Local(now)) = (&mut before.media, &now.media) {
            before.other = before.other.and(now.other);
        }
        let was_alone = matches!(&before.media, Media::Local(local) if local.other.is_none());
        let (core, port) = (endpoint.core, before.port);
        let (modify, connect) = (before.modify(jitter), before.connect(jitter));
        let connection = endpoint
            .connection_mut(before.id)
            .expect("a connection outlives the commands under way that change it");
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
