//! A command whose orders are under way.

use std::sync::Arc;
use std::time::Duration;

use dataplane::link::ConnectionStats;
use drivers::net::PortSlot;

use super::notification::Asked;
use super::reply::Reply;
use super::undo::Undo;
use crate::endpoint::EndpointId;
use crate::mgcp::message::{TransactionId, Verb};
use crate::mgcp::transaction::Ticket;
use crate::timer::TimerId;
use crate::topology::CoreId;

/// A command that has been carried out but for its orders' reports.
#[derive(Debug)]
pub struct Execution {
    /// What its response is handed back with.
    pub ticket: Ticket,
    /// Its transaction.
    pub transaction: TransactionId,
    /// Which command it is.
    pub verb: Verb,
    /// Orders whose reports have not come.
    pub outstanding: usize,
    /// What connection statistics its last report brought.
    pub stats: Option<ConnectionStats>,
    /// What it will answer.
    pub reply: Reply,
    /// How to undo it, in the order in which it was done.
    pub undo: Vec<Undo>,
    /// Port pairs it no longer needs once it is done.
    pub release: Vec<(CoreId, PortSlot)>,
    /// The endpoints it changes.
    pub endpoints: Vec<EndpointId>,
    /// The endpoint whose connections it changes, and nothing else there.
    pub second: Option<EndpointId>,
    /// The notification request that takes effect with its success.
    pub asked: Option<Arc<Asked>>,
    /// Whether it configures endpoints.
    pub configures: bool,
    /// After how long their lockstep is reported from its success on.
    pub lockstep: Option<Option<Duration>>,
    /// When it is given up.
    pub deadline: Option<TimerId>,
}

impl Execution {
    /// Whether it makes or changes a connection.
    pub const fn makes(&self) -> bool {
        matches!(self.verb, Verb::CreateConnection | Verb::ModifyConnection)
    }
}
