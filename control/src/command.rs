//! What commands do: plan, then commit.
//!
//! A *plan* reads the [`State`] and returns what is to be done, or the return code that says why not;
//! it changes nothing. Its *commit* cannot fail: it takes from the ledger, changes endpoints and gives
//! orders. So a refused command leaves all as it was (RFC 3435 §4.4.3), and a wildcard is carried out
//! for all endpoints or for none.
//!
//! A command whose orders are under way is an [`Execution`](execution::Execution). Its response leaves when the last of its
//! orders is done. Until then another command can abort it (§4.4.4); then what it did is undone, in
//! further orders.

pub mod aucx;
pub mod auep;
pub mod check;
pub mod commit;
pub mod conflicts;
pub mod crcx;
pub mod dlcx;
mod ended;
pub mod epcf;
pub mod execution;
mod finish;
mod listen;
pub mod local;
pub mod mdcx;
mod media;
mod network;
pub mod notification;
pub mod options;
pub mod osmocom;
mod perform;
pub mod redirect;
pub mod reply;
pub mod response;
pub mod rqnt;
pub mod selected;
pub mod state;
pub mod undo;

use drivers::time::Instant;

use self::commit::Commit;
use self::state::State;
use crate::change::ExecutionId;
use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::{Command, Path, Verb};
use crate::mgcp::transaction::Ticket;

/// A plan.
#[derive(Debug)]
pub enum Plan {
    /// CRCX
    Create(Box<crcx::Plan>),
    /// MDCX
    Modify(Box<mdcx::Plan>),
    /// DLCX
    Delete(dlcx::Plan),
    /// EPCF, and RQNT
    Configure(epcf::Plan),
    /// AUCX that asks for statistics.
    Audit(aucx::Plan),
    /// There is nothing to do but to answer: an audit.
    Answer(Vec<u8>),
}

/// Plans a command.
///
/// # Errors
/// The return code for what is wrong with it.
pub fn plan(state: &State, path: Path, command: &Command<'_>) -> Result<Plan, ReturnCode> {
    // RFC 3435 §3.2.1.4: profiles change what commands mean; an unknown one is refused.
    if command.profile.is_some() {
        return Err(ReturnCode::INCOMPATIBLE_VERSION);
    }
    check::parameters(&state.packages, command)?;
    let planned = plan_verb(state, path, command);
    if osmocom::is_theirs(&command.endpoint) {
        return planned.map_err(|code| osmocom::code(command, code));
    }
    planned
}

fn plan_verb(state: &State, path: Path, command: &Command<'_>) -> Result<Plan, ReturnCode> {
    match command.verb {
        Verb::CreateConnection => crcx::plan(state, path, command).map(Box::new).map(Plan::Create),
        Verb::ModifyConnection => mdcx::plan(state, path, command).map(Box::new).map(Plan::Modify),
        Verb::DeleteConnection => dlcx::plan(state, path, command).map(Plan::Delete),
        Verb::EndpointConfiguration => epcf::plan(state, path, command).map(Plan::Configure),
        Verb::NotificationRequest => rqnt::plan(state, path, command).map(Plan::Configure),
        Verb::AuditEndpoint => auep::answer(state, command).map(Plan::Answer),
        Verb::AuditConnection => match aucx::plan(state, command)? {
            aucx::Planned::Ask(plan) => Ok(Plan::Audit(plan)),
            aucx::Planned::Answer(octets) => Ok(Plan::Answer(octets)),
        },
        // Only gateways send these two.
        Verb::Notify | Verb::RestartInProgress | Verb::Other(_) => Err(ReturnCode::UNKNOWN_COMMAND),
    }
}

/// What has become of a plan.
#[derive(Debug)]
pub enum Committed {
    /// Its orders are under way.
    UnderWay(ExecutionId),
    /// It is done; this is the response, and its code.
    Done(ReturnCode, Vec<u8>),
}

/// Carries a plan out.
pub fn commit(
    state: &mut State,
    now: Instant,
    ticket: Ticket,
    command: &Command<'_>,
    plan: Plan,
) -> Committed {
    let (verb, transaction) = (command.verb, command.transaction);
    let mut commit = Commit::new(state, now);
    let reply = match plan {
        Plan::Create(plan) => plan.commit(&mut commit),
        Plan::Modify(plan) => plan.commit(&mut commit),
        Plan::Delete(plan) => plan.commit(&mut commit),
        Plan::Configure(plan) => plan.commit(&mut commit),
        Plan::Audit(plan) => plan.commit(&mut commit),
        Plan::Answer(octets) => return Committed::Done(ReturnCode::OK, octets),
    };
    let (state, id, execution) = commit.end(ticket, transaction, verb, reply);
    let outstanding = execution.outstanding;
    state.executions.insert(id, execution);
    if outstanding > 0 {
        return Committed::UnderWay(id);
    }
    let (execution, result) = state.finish(id).expect("the execution was inserted above");
    match result.and_then(|()| execution.response(state, false)) {
        Ok(octets) => Committed::Done(ReturnCode::OK, octets),
        Err(code) => Committed::Done(code, execution.refusal(code, false)),
    }
}
