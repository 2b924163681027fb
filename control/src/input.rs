//! What happens to the gateway: all that it is handed, and all that a journal holds.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use dataplane::link::Report;
use drivers::line::SpanId;

use crate::config::ServiceConfig;
use crate::mgcp::message::Path;
use crate::topology::CoreId;

/// What happens to the gateway.
#[derive(Clone, PartialEq, Debug)]
pub enum Input<'a> {
    /// A datagram came to an MGCP port.
    Datagram {
        /// From where, and to which of our addresses.
        path: Path,
        /// What it holds.
        octets: &'a [u8],
    },
    /// A core has something to say.
    Report {
        /// The core.
        core: CoreId,
        /// What it says.
        report: Report,
    },
    /// A name has been looked up; without addresses, in vain.
    Resolved {
        /// The name.
        host: String,
        /// What it stands for.
        addresses: Vec<IpAddr>,
        /// How long that holds.
        ttl: Duration,
    },
    /// The network says that it could not deliver a datagram of ours.
    Undelivered {
        /// Where it went.
        remote: SocketAddr,
        /// How it began.
        octets: &'a [u8],
    },
    /// The network says that it could not deliver RTP or RTCP of ours.
    Unreachable {
        /// Where it came from.
        local: SocketAddr,
        /// Where it went.
        remote: SocketAddr,
        /// Why, by the codes of ICMP (RFC 792).
        code: u8,
    },
    /// The time that `poll_timeout` gave has come.
    Timeout,
    /// The operator wants it to end: in-service endpoints are taken out of service.
    Shutdown,
    /// The operator wants it to end with its last call.
    Graceful,
    /// The operator wants it to stay after all.
    CancelGraceful,
    /// The operator wants circuits of a span in service, or out of it.
    Service {
        /// The span.
        span: SpanId,
        /// How it is to be from now on.
        service: ServiceConfig,
    },
}
