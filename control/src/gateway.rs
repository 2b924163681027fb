//! The gateway's decisions: pure, driven by whoever owns the sockets and the clock.

use std::net::IpAddr;
use std::time::Duration;

use dataplane::link::{Order, Report};
use drivers::time::{Epoch, Instant};

use crate::config::Config;
use crate::mgcp::message::Path;
use crate::topology::{CoreId, Topology};

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

/// The gateway. `(configuration, topology, seed, inputs)` decide everything it says and orders.
///
/// Whoever drives it calls [`handle`](Self::handle) with what happened, then drains the `poll_*`.
#[derive(Debug)]
pub struct Gateway {
    finished: bool,
}

impl Gateway {
    /// A gateway with all endpoints idle, about to announce itself.
    pub fn new(_config: &Config, _topology: &Topology, _seed: u64, _epoch: Epoch, _now: Instant) -> Self {
        Self { finished: false }
    }

    /// Takes in what happened at `now`.
    pub fn handle(&mut self, _now: Instant, input: Input<'_>) {
        if input == Input::Shutdown {
            self.finished = true;
        }
    }

    /// A datagram to send, written over what `octets` held, and the way it goes.
    pub fn poll_transmit(&mut self, octets: &mut Vec<u8>) -> Option<Path> {
        octets.clear();
        None
    }

    /// An order for a core's ring, which has room for it.
    pub fn poll_order(&mut self) -> Option<(CoreId, Order)> {
        None
    }

    /// A host name to look up; the answer is [`Input::Resolved`].
    pub fn poll_resolve(&mut self) -> Option<String> {
        None
    }

    /// The next lines of the journal, each ended by a line feed, for a file.
    pub fn poll_journal(&mut self) -> Option<String> {
        None
    }

    /// When [`Input::Timeout`] is wanted next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// Whether a [`Input::Shutdown`] has been carried out: nothing more will be sent.
    pub fn is_finished(&self) -> bool {
        self.finished
    }
}
