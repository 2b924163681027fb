//! Responses to commands: the final one, what is known before it, and the one that refuses.

use super::aucx;
use super::execution::Execution;
use super::osmocom;
use super::reply::{Reply, parameters_of};
use super::state::State;
use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::{Command, Response};

impl Execution {
    /// Its final response.
    ///
    /// # Errors
    /// The return code for an audit that what it asks for has gone, or has grown too much.
    pub fn response(&self, state: &State, acknowledge: bool) -> Result<Vec<u8>, ReturnCode> {
        let mut response = Response::new(ReturnCode::OK, self.transaction);
        match &self.reply {
            Reply::Code(code) => response = Response::new(*code, self.transaction),
            Reply::Created { .. } | Reply::Modified { .. } => {}
            Reply::Deleted => {
                response = Response::new(ReturnCode::DELETED, self.transaction);
                response.parameters.connection_parameters = self.stats.as_ref().map(parameters_of);
            }
            Reply::Audited(query) => {
                return aucx::answer(state, self.transaction, query, self.stats.as_ref(), acknowledge);
            }
        }
        // RFC 3435 §3.5.6: after a provisional response, the final one asks to be acknowledged.
        response.parameters.response_ack = acknowledge.then(Vec::new);
        Ok(self.told(response))
    }

    /// The provisional response: what is known already of a connection that it makes or changes.
    // RFC 3435 §3.5.6: the final response, unless it is a refusal, says the same again.
    pub fn promise(&self) -> Vec<u8> {
        self.told(Response::new(ReturnCode::EXECUTING, self.transaction))
    }

    /// A response with what there is to tell of a connection.
    fn told(&self, response: Response<'_>) -> Vec<u8> {
        let mut description: &[u8] = &[];
        let mut response = response;
        match &self.reply {
            Reply::Created { id, specific, local, second } => {
                response.parameters.connections = Some(vec![*id]);
                // RFC 3435 §2.3.5: the second connection's name, and its endpoint's if that was left open.
                response.parameters.second_connection = second.as_ref().map(|second| second.id);
                response.parameters.second_endpoint =
                    second.as_ref().and_then(|second| second.specific.clone());
                response.parameters.specific_endpoints.extend(specific.clone());
                description = local;
            }
            Reply::Modified { local: Some(local) } => description = local,
            Reply::Modified { local: None } | Reply::Code(_) | Reply::Deleted | Reply::Audited(_) => {}
        }
        if !description.is_empty() {
            response.descriptions.push(description);
        }
        response.to_octets()
    }

    /// The response that says that it came to nothing.
    pub fn refusal(&self, code: ReturnCode, acknowledge: bool) -> Vec<u8> {
        let mut response = Response::new(code, self.transaction);
        response.parameters.response_ack = acknowledge.then(Vec::new);
        response.to_octets()
    }
}

/// The response that refuses a command before anything of it was done.
pub fn refusal(state: &State, code: ReturnCode, command: &Command<'_>) -> Vec<u8> {
    let mut response = Response::new(code, command.transaction);
    // RFC 3435 §2.4: a package's own code is told with its name. The package is the one whose parameters
    // the command has.
    if code.is_package_specific() {
        let names = command.parameters.others.iter().filter_map(|(name, _)| name.split_once('/'));
        let has_codes = |package: &&str| ["BA", "RED"].iter().any(|own| own.eq_ignore_ascii_case(package));
        response.package = names.map(|(package, _)| package).find(has_codes).or(Some("RED"));
    }
    // RFC 3435 §2.4: who names a package that is not there is told which are.
    let is_told = code == ReturnCode::UNSUPPORTED_PACKAGE && !osmocom::is_theirs(&command.endpoint);
    let packages = is_told.then(|| state.packages.list()).filter(|packages| !packages.is_empty());
    response.parameters.packages = packages.as_deref();
    response.to_octets()
}
