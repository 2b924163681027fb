//! At-most-once delivery over UDP, both ways (RFC 3435 §3.5).

use std::net::SocketAddr;
use std::time::Duration;

use drivers::time::Instant;

use super::message::{Command, Path, Response, TransactionId, TransactionRange};

/// The transactions of others: what they ask of us.
#[derive(Debug)]
pub struct Incoming;

/// What [`Incoming`] goes by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IncomingSettings {
    /// T-HIST: how long a response is kept (RFC 3435 §3.5.1).
    pub response_history: Duration,
    /// Transactions that can be known at a time.
    pub transactions_max: usize,
    /// A transaction that takes longer is answered 100 meanwhile; never if `None`.
    pub provisional_after: Option<Duration>,
}

/// A transaction that is being executed: hand it back with the final response.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ticket(u32);

/// What to do with a command that came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disposition {
    /// Execute it, then [`Incoming::answer`].
    New(Ticket),
    /// It came before. What there is to say is in [`Incoming::poll_transmit`].
    Known,
    /// As many transactions as can be known are being executed: refuse it (409).
    Full,
}

impl Incoming {
    /// Knows of no transaction.
    pub fn new(_settings: IncomingSettings) -> Self {
        Self
    }

    /// A command came: its transaction and all of its octets.
    pub fn receive(&mut self, _now: Instant, _path: Path, _id: TransactionId, _octets: &[u8]) -> Disposition {
        Disposition::Full
    }

    /// Sends the final response. It is to have an empty `K` where
    /// [`wants_acknowledgement`](Self::wants_acknowledgement) says so.
    pub fn answer(&mut self, _now: Instant, _ticket: Ticket, _octets: Vec<u8>) {}

    /// Whether a provisional response went out, so that the final one must be acknowledged (§3.5.6).
    pub fn wants_acknowledgement(&self, _ticket: Ticket) -> bool {
        false
    }

    /// The other side has our responses to these: `K` of a command, or a response 000.
    pub fn acknowledged(&mut self, _now: Instant, _remote: SocketAddr, _ranges: &[TransactionRange]) {}

    /// A datagram to send, written over what `octets` held, and the way it goes.
    pub fn poll_transmit(&mut self, _octets: &mut Vec<u8>) -> Option<Path> {
        None
    }

    /// When [`handle_timeout`](Self::handle_timeout) is wanted next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, _now: Instant) {}
}

/// Our own transactions: what we ask of others.
#[derive(Debug)]
pub struct Outgoing;

/// What [`Outgoing`] goes by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutgoingSettings {
    /// T-MAX: how long a command is repeated at most (RFC 3435 §3.5.3).
    pub transaction_max: Duration,
    /// T-HIST: after twice that, a final response that was promised is no longer waited for.
    pub response_history: Duration,
    /// Commands that can be under way at a time.
    pub transactions_max: usize,
}

/// There are as many commands under way as there may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

/// What a response is to [`Outgoing`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The command's final response: its transaction is over.
    Final,
    /// A promise of one.
    Provisional,
    /// To no command that is under way: too late, or a repetition.
    Stray,
}

impl Outgoing {
    /// No command under way. Transaction ids begin somewhere, decided by `seed`.
    pub fn new(_settings: OutgoingSettings, _seed: u64) -> Self {
        Self
    }

    /// Sends a command, with a transaction id of its own in place of the one it has.
    pub fn send(&mut self, _now: Instant, _path: Path, _command: Command<'_>) -> Result<TransactionId, Full> {
        Err(Full)
    }

    /// A response came, from whatever address.
    pub fn receive(&mut self, _now: Instant, _path: Path, _response: &Response<'_>) -> Answer {
        Answer::Stray
    }

    /// Forgets a command: it is no longer repeated, and its response is a stray.
    pub fn cancel(&mut self, _id: TransactionId) {}

    /// A command that nobody answered in time (§4.3): whoever sent it may be disconnected.
    pub fn poll_lost(&mut self) -> Option<TransactionId> {
        None
    }

    /// A datagram to send, written over what `octets` held, and the way it goes.
    pub fn poll_transmit(&mut self, _octets: &mut Vec<u8>) -> Option<Path> {
        None
    }

    /// When [`handle_timeout`](Self::handle_timeout) is wanted next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, _now: Instant) {}
}
