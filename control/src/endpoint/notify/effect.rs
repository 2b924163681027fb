//! What goes into the state machine of RFC 3435 §4.4.1, and what comes out.

use std::sync::Arc;

use crate::endpoint::signal::Signal;
use crate::mgcp::event::Parameters;
use crate::mgcp::name::{ConnectionId, EntityName, RequestId};
use crate::package::EventId;

/// An event that has happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Observed {
    /// Which.
    pub event: EventId,
    /// On which connection; on the circuit if `None`.
    pub connection: Option<ConnectionId>,
    /// What more there is to say.
    pub parameters: Parameters,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// A requested event has been detected that keeps no signals:
    /// [`Signals::handle_event`](crate::endpoint::signal::Signals::handle_event).
    StopSignals,
    /// The connection that is heard gives way to the next.
    SwapAudio,
    /// These signals are to be applied, if they can be; then
    /// [`handle_embedded`](super::Notify::handle_embedded).
    ApplySignals(Arc<[Arc<Signal>]>),
    /// This is to be told.
    Notify(Notification),
    /// The endpoint has been in lockstep for as long as is to be reported (RFC 3992).
    ReportLockstep,
}

/// A notification.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notification {
    /// What its end is reported with.
    pub id: NotificationId,
    /// X of the request that triggered it.
    pub identifier: RequestId,
    /// N of that request.
    pub notified_entity: Option<Option<EntityName>>,
    /// What was observed, in that order.
    pub observed: Vec<Observed>,
    /// Those that are under way still, oldest first: they go in front of it in the same datagram.
    pub after: Vec<NotificationId>,
}

/// A notification of one endpoint.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NotificationId(pub u32);

/// What an audit says of the notification state (RFC 3435 §B.2.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum NotificationState {
    /// `ns`: an answer is awaited.
    Notification,
    /// `ls`: a request is awaited.
    Lockstep,
    /// `o`
    Other,
}

impl Observed {
    /// An event of the circuit, without parameters.
    pub fn new(event: EventId) -> Self {
        Self { event, connection: None, parameters: Parameters::default() }
    }
}
