//! RTP and RTCP sockets over io_uring.
//!
//! Made in two steps: [`BoundSockets::bind`] takes every port on the thread that starts the gateway,
//! so that a port that is taken stops the start; [`UringSockets::new`] makes the ring on the thread
//! that will use it, because a single-issuer ring belongs to the thread that made it.

mod bind;

use std::io;
use std::net::SocketAddr;

pub use self::bind::{BindError, BoundSockets, Settings};
use super::{Dscp, Full, NetCounters, PortSlot, RtpSockets};
use crate::time::Instant;

/// The RTP and RTCP sockets of one core, over one io_uring.
pub struct UringSockets {
    counters: NetCounters,
}

impl UringSockets {
    /// Makes the ring and arms every socket. To be called on the thread that will use it.
    ///
    /// # Errors
    /// What the kernel says to the ring; the text names what it needs.
    pub fn new(_sockets: BoundSockets) -> io::Result<Self> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }
}

impl RtpSockets for UringSockets {
    fn receive(&mut self, _f: impl FnMut(PortSlot, SocketAddr, Instant, &[u8])) {}

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

    fn flush(&mut self, _until: Instant) -> io::Result<()> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }

    fn counters(&self) -> NetCounters {
        self.counters
    }
}
