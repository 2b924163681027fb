//! EPCF: sets the law of endpoints (RFC 3435 §2.3.2).

use std::collections::BTreeMap;

use super::{Commit, Common, Reply, State, check};
use crate::endpoint::EndpointId;
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
    Plan::new(state, path, command)
}

impl Plan {
    /// Plans to change the endpoints that a command names, by its common parameters.
    ///
    /// # Errors
    /// The return code for what is wrong.
    pub fn new(state: &State, path: Path, command: &Command<'_>) -> Result<Self, ReturnCode> {
        let endpoints = check::all(state, &command.endpoint)?.endpoints;
        let common = check::common(path, command)?;
        // RFC 3435 §4.4.3: for all or for none.
        endpoints.iter().try_for_each(|id| check::in_service(state, *id))?;
        if let Some(law) = common.law {
            let mut wanted: BTreeMap<CoreId, usize> = BTreeMap::new();
            for endpoint in endpoints.iter().map(|id| &state.endpoints[*id]).filter(|e| e.law != law) {
                *wanted.entry(endpoint.core).or_default() += 1;
            }
            if wanted.iter().any(|(core, n)| !state.orders.has_room(*core, *n)) {
                return Err(ReturnCode::OVERLOAD);
            }
        }
        Ok(Self { endpoints, common })
    }

    /// Makes the change.
    pub fn commit(self, commit: &mut Commit<'_>) -> Reply {
        self.endpoints.iter().for_each(|id| commit.apply(*id, &self.common));
        Reply::Code(ReturnCode::OK)
    }
}
