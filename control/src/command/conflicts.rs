//! What a new command meets of those that are under way.

use super::execution::Execution;
use super::redirect;
use super::selected;
use super::state::State;
use super::undo::Undo;
use crate::change::ExecutionId;
use crate::endpoint::EndpointId;
use crate::mgcp::message::{Command, Verb};

/// The commands under way that a new one aborts.
// RFC 3435 §4.4.4: DLCX aborts what is being made or changed at its endpoints; MDCX, EPCF, RQNT and their
// like abort an older one of their kind. Whether the new one succeeds then does not matter.
pub fn aborted_by(state: &State, command: &Command<'_>) -> Vec<ExecutionId> {
    // An endpoint that the gateway chooses is chosen after this.
    let is_chosen = command.endpoint.has_any_of()
        || command.verb == Verb::CreateConnection && command.endpoint.has_all_of();
    if state.executions.is_empty() || is_chosen {
        return Vec::new();
    }
    let p = &command.parameters;
    let configures = command.verb == Verb::EndpointConfiguration || p.bearer.is_some();
    let changes_same = |execution: &Execution| {
        let connection = p.connections.as_ref().and_then(|ids| ids.first());
        let same = |undo: &Undo| match undo {
            Undo::Modified(_, before) => Some(&before.id) == connection,
            Undo::Created(..) | Undo::Endpoint(..) | Undo::Signals(..) => false,
        };
        execution.verb == Verb::ModifyConnection && execution.undo.iter().any(same)
    };
    // RFC 3991 §2.4: a reset ends all that goes on.
    let resets = redirect::resets(&state.packages, p) == Ok(true);
    let aborts = |execution: &Execution| {
        let of_connections = match command.verb {
            Verb::DeleteConnection => execution.makes(),
            Verb::ModifyConnection => changes_same(execution),
            _ => false,
        };
        // What is encapsulated counts as well.
        of_connections
            || resets
            || p.request.is_some() && execution.asked.is_some()
            || configures && execution.configures
    };
    let meant = redirect::affected(state, command);
    let executing = meant.iter().flat_map(|id| &state.endpoints[*id].executing);
    let mut ids: Vec<_> = executing.copied().filter(|id| aborts(&state.executions[id])).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The endpoints that a command is for, with the second one that it names.
pub fn concerned(state: &State, command: &Command<'_>) -> Vec<EndpointId> {
    let mut concerned = redirect::affected(state, command);
    let second = command.parameters.second_endpoint.as_ref().map(|name| selected::meant(state, name));
    concerned.extend(second.into_iter().flatten());
    concerned
}

/// A command of `begun` that is still under way at an endpoint that a new command names.
pub fn still_at(state: &State, command: &Command<'_>, begun: &[ExecutionId]) -> Option<ExecutionId> {
    let under_way: Vec<_> = begun.iter().filter(|id| state.executions.contains_key(id)).collect();
    if under_way.is_empty() {
        return None;
    }
    let meant = concerned(state, command);
    let mut executing = meant.iter().flat_map(|id| &state.endpoints[*id].executing);
    executing.find(|id| under_way.contains(id)).copied()
}
