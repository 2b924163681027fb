//! The harness's own sockets: what costs least on the network that there is.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use drivers::net::uring::UringSockets;
use drivers::net::xdp::{Interface, RingStatistics, XdpSockets};
use drivers::net::{BoundSockets, Dscp, Full, NetCounters, PortSlot, RtpSockets};
use drivers::time::Instant;

/// The harness's own sockets.
pub(crate) enum Sockets {
    /// On loopback.
    Uring(UringSockets),
    /// At its end of a wire. There, what a socket would cost for reception is paid by who sends.
    Xdp(XdpSockets),
}

impl Sockets {
    /// To be made on the thread that uses them.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn new(bound: BoundSockets, interface: Option<&Arc<Interface>>) -> io::Result<Self> {
        match interface {
            Some(interface) => XdpSockets::new(bound, interface, 0).map(Self::Xdp),
            None => UringSockets::new(bound).map(Self::Uring),
        }
    }

    /// What the kernel has counted of its rings, at its end of a wire.
    pub(crate) fn rings(&self) -> Option<RingStatistics> {
        match self {
            Self::Uring(_) => None,
            Self::Xdp(sockets) => Some(sockets.statistics()),
        }
    }
}

impl RtpSockets for Sockets {
    fn receive(&mut self, f: impl FnMut(PortSlot, SocketAddr, Instant, &[u8])) {
        match self {
            Self::Uring(sockets) => sockets.receive(f),
            Self::Xdp(sockets) => sockets.receive(f),
        }
    }

    fn send(
        &mut self,
        from: PortSlot,
        to: SocketAddr,
        len: usize,
        f: impl FnOnce(&mut [u8]),
    ) -> Result<(), Full> {
        match self {
            Self::Uring(sockets) => sockets.send(from, to, len, f),
            Self::Xdp(sockets) => sockets.send(from, to, len, f),
        }
    }

    fn mark(&mut self, slot: PortSlot, dscp: Dscp) {
        match self {
            Self::Uring(sockets) => sockets.mark(slot, dscp),
            Self::Xdp(sockets) => sockets.mark(slot, dscp),
        }
    }

    fn flush(&mut self, until: Instant) -> io::Result<()> {
        match self {
            Self::Uring(sockets) => sockets.flush(until),
            Self::Xdp(sockets) => sockets.flush(until),
        }
    }

    fn counters(&self) -> NetCounters {
        match self {
            Self::Uring(sockets) => sockets.counters(),
            Self::Xdp(sockets) => sockets.counters(),
        }
    }
}
