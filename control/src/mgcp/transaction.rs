//! At-most-once delivery over UDP, both ways (RFC 3435 §3.5).
//!
//! [`Incoming`] knows the commands of others: one that comes again is not executed again.
//! [`Outgoing`] repeats our own commands until they are answered, or lost. Both are driven like the
//! gateway: what happened goes in with its time, `poll_*` says what to do.

mod incoming;
mod outgoing;
mod pace;
mod repetition;

pub use incoming::{Disposition, Incoming, IncomingCounters, IncomingSettings, Promise, Ticket};
pub use outgoing::{Answer, Doubt, Full, Outgoing, OutgoingCounters, OutgoingSettings};
pub use pace::PaceSettings;
