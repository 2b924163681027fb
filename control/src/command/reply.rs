//! What a command will answer, as far as it is known before its orders are done; and what answers can
//! hold.

use std::time::Duration;

use dataplane::link::ConnectionStats;

use crate::endpoint::EndpointId;
use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::ConnectionParameters;
use crate::mgcp::name::{ConnectionId, EndpointName};

/// The longest answer, and the longest datagram that call agents are told they may send (RFC 3435 §3.5.4:
/// both sides must be able to take 4,000 octets).
pub const DATAGRAM_MAX: usize = 4_000;

/// The second connection that a command has made.
#[derive(Clone, PartialEq, Debug)]
pub struct Second {
    /// The connection.
    pub id: ConnectionId,
    /// The endpoint, if it was chosen by the gateway.
    pub specific: Option<EndpointName>,
}

/// A response but for what its orders have yet to bring.
#[derive(Clone, PartialEq, Debug)]
pub enum Reply {
    /// A code alone.
    Code(ReturnCode),
    /// CRCX
    Created {
        /// The connection.
        id: ConnectionId,
        /// The endpoint, if it was chosen by the gateway.
        specific: Option<EndpointName>,
        /// What the gateway says of the connection.
        local: Vec<u8>,
        /// Its other half, if that was made with it.
        second: Option<Second>,
    },
    /// MDCX
    Modified {
        /// What the gateway says of the connection, if that is new.
        local: Option<Vec<u8>>,
    },
    /// DLCX of one connection, whose statistics are to come.
    Deleted,
    /// AUCX whose statistics are to come.
    Audited(Query),
}

impl Reply {
    /// How many connections its command has made.
    pub fn made(&self) -> u64 {
        match self {
            Self::Created { second: None, .. } => 1,
            Self::Created { second: Some(_), .. } => 2,
            Self::Code(_) | Self::Modified { .. } | Self::Deleted | Self::Audited(_) => 0,
        }
    }
}

/// What is asked of which connection.
#[derive(Clone, PartialEq, Debug)]
pub struct Query {
    /// Its endpoint.
    pub(super) endpoint: EndpointId,
    /// The connection.
    pub(super) connection: ConnectionId,
    /// What of it.
    pub(super) items: Vec<Item>,
}

/// What can be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Item {
    CallId,
    NotifiedEntity,
    LocalConnectionOptions,
    Mode,
    LocalConnectionDescriptor,
    RemoteConnectionDescriptor,
    ConnectionParameters,
}

/// An answer to an audit, if a datagram holds it.
///
/// # Errors
/// 533
pub fn within_datagram(answer: Vec<u8>) -> Result<Vec<u8>, ReturnCode> {
    if answer.len() > DATAGRAM_MAX { Err(ReturnCode::RESPONSE_TOO_LARGE) } else { Ok(answer) }
}

/// Statistics as P has them.
// RFC 3435 §3.2.2.7: values have up to nine digits and stay at the highest.
pub fn parameters_of(stats: &ConnectionStats) -> ConnectionParameters<'static> {
    let capped = |n: u32| Some(n.min(999_999_999));
    let millis = |time: Duration| capped(u32::try_from(time.as_millis()).unwrap_or(u32::MAX));
    ConnectionParameters {
        packets_sent: capped(stats.packets_sent),
        octets_sent: capped(stats.octets_sent),
        packets_received: capped(stats.packets_received),
        octets_received: capped(stats.octets_received),
        packets_lost: capped(stats.packets_lost),
        jitter_ms: millis(stats.jitter),
        latency_ms: millis(stats.latency),
        others: Vec::new(),
    }
}
