//! Further call agents, beside the one that a [`World`] has.

use std::net::SocketAddr;
use std::time::Duration;

use drivers::net::sim::SimEndpoint;
use tests::World;
use tests::world::GATEWAY;

/// A call agent that says what it is told to say, and answers nothing by itself.
pub(crate) struct Agent(SimEndpoint);

impl Agent {
    /// One at this address and port.
    pub(crate) fn new(w: &World, address: &str) -> Self {
        Self(w.net().endpoint(address.parse().expect("an address and a port")))
    }

    /// Sends a message, and takes what has come 50 ms later.
    pub(crate) fn say(&self, w: &mut World, message: &str) -> Vec<String> {
        self.0.send(SocketAddr::new(GATEWAY, 2427), message.as_bytes());
        w.run_for(Duration::from_millis(50));
        self.heard()
    }

    /// All datagrams that have come and were not taken.
    pub(crate) fn heard(&self) -> Vec<String> {
        let datagrams = std::iter::from_fn(|| self.0.receive());
        datagrams.map(|(_, _, octets)| String::from_utf8(octets).expect("MGCP is text")).collect()
    }
}

/// How many connections an endpoint has, by its own account.
pub(crate) fn connections(w: &mut World, endpoint: &str) -> usize {
    let audit = w.ask(&format!("AUEP {endpoint}@gw"), "F: I\r\n");
    let ids = audit.parameter("I").unwrap_or_else(|| panic!("no I: in {}", audit.text));
    ids.split(',').filter(|id| !id.trim().is_empty()).count()
}

/// The transaction of a command.
pub(crate) fn transaction(command: &str) -> &str {
    command.split(' ').nth(1).expect("a command has a transaction")
}
