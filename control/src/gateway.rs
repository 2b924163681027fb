//! The gateway's decisions: pure, driven by whoever owns the sockets and the clock.

use std::net::IpAddr;
use std::time::Duration;

use dataplane::link::Report;

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
    /// The time that `poll_timeout` gave has come.
    Timeout,
    /// The operator wants it to end: in-service endpoints are taken out of service.
    Shutdown,
}
