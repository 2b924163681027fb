//! EPCF: sets the law of endpoints (RFC 3435 §2.3.2), redirects and resets them (RFC 3991), and says when
//! their lockstep is reported (RFC 3992).

use std::collections::BTreeMap;

use super::commit::{Commit, Common};
use super::reply::Reply;
use super::selected::{self, Selected};
use super::state::State;
use super::{check, redirect};
use crate::endpoint::EndpointId;
use crate::endpoint::naming::Wildcard;
use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::{Command, Path};
use crate::topology::CoreId;

/// Endpoints to be changed by a command's common parameters alone.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    endpoints: Vec<EndpointId>,
    common: Common,
}

/// Plans a change.
///
/// # Errors
/// The return code for what is wrong or missing.
pub fn plan(state: &State, path: Path, command: &Command<'_>) -> Result<Plan, ReturnCode> {
    // RFC 3435 §2.3.2: B is required unless an extension takes its place.
    if command.parameters.bearer.is_none() && command.parameters.others.is_empty() {
        return Err(ReturnCode::PROTOCOL_ERROR);
    }
    match redirect::listed(state, command)? {
        // RFC 3991 §2.2.2: endpoints that are listed may be out of service.
        Some(listed) => Plan::of(state, check::common(state, path, command, None)?, listed),
        None => Plan::new(state, path, command),
    }
}

impl Plan {
    /// Plans to change the endpoints that a command names, by its common parameters.
    ///
    /// # Errors
    /// The return code for what is wrong.
    pub fn new(state: &State, path: Path, command: &Command<'_>) -> Result<Self, ReturnCode> {
        let Selected { pattern, mut endpoints } = selected::all(state, &command.endpoint)?;
        let common = check::common(state, path, command, None)?;
        // What has no line has no law and no events, and a wildcard for all endpoints is not refused for its
        // sake.
        let has_line = |id: &EndpointId| state.endpoints[*id].ds0().is_some();
        if pattern.wildcard == Wildcard::All && common.needs_line() && endpoints.iter().any(has_line) {
            endpoints.retain(has_line);
        }
        endpoints.iter().try_for_each(|id| check::in_service(state, *id))?;
        Self::of(state, common, endpoints)
    }

    /// Plans to change these endpoints, in service or not.
    fn of(state: &State, common: Common, endpoints: Vec<EndpointId>) -> Result<Self, ReturnCode> {
        // RFC 3435 §4.4.3: for all or for none.
        let mut wanted: BTreeMap<CoreId, usize> = BTreeMap::new();
        for id in &endpoints {
            common.check_as_is(state, *id)?;
            let endpoint = &state.endpoints[*id];
            *wanted.entry(endpoint.core).or_default() += common.orders(endpoint);
        }
        if wanted.iter().any(|(core, n)| !state.orders.has_room(*core, *n)) {
            return Err(ReturnCode::OVERLOAD);
        }
        Ok(Self { endpoints, common })
    }

    /// Makes the change.
    pub fn commit(self, commit: &mut Commit<'_>) -> Reply {
        for id in self.endpoints {
            commit.apply(id, &self.common);
            commit.signal(id, &self.common);
        }
        Reply::Code(ReturnCode::OK)
    }
}
