//! Sockets that lose some of what they are told to send, the same way each time for the same seed.
//!
//! For showing a gateway on a bad network without one: around real sockets, where
//! [`sim`](super::sim) would be no proof.

use std::io;
use std::net::SocketAddr;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{Dscp, Full, NetCounters, PortSlot, RtpSockets};
use crate::time::Instant;

/// Sockets around others that lose a share of the RTP packets on their way out. RTCP passes.
#[derive(Debug)]
pub struct Lossy<N> {
    sockets: N,
    loss: f64,
    chance: StdRng,
}

impl<N: RtpSockets> Lossy<N> {
    /// Sockets that lose the share `loss`, 0 to 1, of the RTP packets.
    ///
    /// # Panics
    /// If `loss` is not from 0 to 1.
    pub fn new(sockets: N, loss: f64, seed: u64) -> Self {
        assert!((0.0..=1.0).contains(&loss), "a share is from 0 to 1, not {loss}");
        Self { sockets, loss, chance: StdRng::seed_from_u64(seed) }
    }
}

impl<N: RtpSockets> RtpSockets for Lossy<N> {
    fn receive(&mut self, f: impl FnMut(PortSlot, SocketAddr, Instant, &[u8])) {
        self.sockets.receive(f);
    }

    /// What is lost is written all the same, as a packet is that gets lost on its way.
    fn send(
        &mut self,
        from: PortSlot,
        to: SocketAddr,
        len: usize,
        f: impl FnOnce(&mut [u8]),
    ) -> Result<(), Full> {
        if from.is_rtp() && self.chance.random_bool(self.loss) {
            let mut lost = [0; super::DATAGRAM_MAX];
            f(&mut lost[..len]);
            return Ok(());
        }
        self.sockets.send(from, to, len, f)
    }

    fn mark(&mut self, slot: PortSlot, dscp: Dscp) {
        self.sockets.mark(slot, dscp);
    }

    fn flush(&mut self, until: Instant) -> io::Result<()> {
        self.sockets.flush(until)
    }

    fn counters(&self) -> NetCounters {
        self.sockets.counters()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::super::sim::SimNet;
    use super::super::{PortRange, Ports};
    use super::*;

    const N: u32 = 10_000;

    /// How many of N packets sent from a slot arrive when a share is lost.
    fn arrived(slot: PortSlot, loss: f64, seed: u64) -> usize {
        let net = SimNet::new(1, N as usize);
        let to: SocketAddr = "192.0.2.2:5004".parse().unwrap();
        let far_end = net.endpoint(to);
        let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        let ports = Ports(vec![PortRange { address, first: 20_000, pairs: 1 }]);
        let mut sockets = Lossy::new(net.sockets(&ports), loss, seed);
        for n in 0..N {
            sockets.send(slot, to, 4, |octets| octets.copy_from_slice(&n.to_be_bytes())).unwrap();
        }
        sockets.flush(Instant::ZERO).unwrap();
        net.advance(Instant::from_nanos(1));
        std::iter::from_fn(|| far_end.receive()).count()
    }

    #[test]
    fn the_share_that_was_asked_for_is_lost_and_the_same_each_time() {
        let seed = 7;
        let arrived_5_percent = arrived(PortSlot(0), 0.05, seed);
        // Five standard deviations of N draws at 5 %.
        assert!((9_391..=9_609).contains(&arrived_5_percent), "{arrived_5_percent} with seed {seed}");
        assert_eq!(arrived(PortSlot(0), 0.05, seed), arrived_5_percent);
    }

    #[test]
    fn rtcp_passes() {
        assert_eq!(arrived(PortSlot(1), 0.5, 7), N as usize);
    }

    #[test]
    fn nothing_is_lost_unless_asked_for() {
        assert_eq!(arrived(PortSlot(0), 0.0, 7), N as usize);
    }
}
