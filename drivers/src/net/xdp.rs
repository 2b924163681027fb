//! RTP and RTCP sockets over AF_XDP: frames straight from and to an interface's queues, past the kernel's
//! network stack.
//!
//! A small program on the interface steers plain UDP to our ports into rings of ours and leaves everything
//! else to the kernel: ARP, MGCP, fragments. Each port is bound as a UDP socket all the same, so that nobody
//! else takes it, and those sockets are the way around: what the program was not sure of comes to them, and
//! what has no known next hop yet, or is long, or goes elsewhere than through this interface, is sent from
//! them. So nothing has to be known of fragments, of path MTUs, of ARP or of neighbour discovery here, and no
//! datagram waits for any of it.
//!
//! What the kernel's firewall, its `tc` rules and its IPsec policies say does not hold for what goes through
//! the rings.

mod bpf;
pub mod frame;
mod interface;
mod netlink;
mod next_hops;
mod program;
mod resolver;
mod ring;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use self::frame::{Damaged, Sender};
pub use self::interface::{AttachError, Interface, Mode};
use self::next_hops::NextHops;
use self::program::{STAMP, STAMP_MARK};
use self::ring::Ring;
pub use self::ring::RingStatistics;
use super::mmsg::{self, MmsgSockets};
use super::{BoundSockets, DATAGRAM_MAX, Dscp, Full, NetCounters, PortSlot, Ports, RtpSockets, Settings};
use crate::time::{Clock, Instant};

/// The RTP and RTCP sockets of one core, over the AF_XDP sockets of its receive queues.
pub struct XdpSockets {
    rings: Vec<Ring>,
    /// Who sends from each slot, but for the station, which may change.
    senders: Box<[Sender]>,
    places: Places,
    next_hops: Arc<NextHops>,
    /// The way around.
    kernel: MmsgSockets,
    counters: NetCounters,
    statistics_at: Instant,
    interface: Arc<Interface>,
}

impl XdpSockets {
    /// Octets of memory that the sockets of a core take, of which it has one receive queue.
    pub fn memory(settings: &Settings, slots: usize) -> usize {
        let (receive, transmit) = interface::chunks(settings.receive_frames(), settings.sends, 1);
        (receive + transmit) as usize * ring::CHUNK
            + NextHops::memory(slots / 2)
            + MmsgSockets::memory(settings)
    }

    /// Takes the receive queues of a core. To be called on the thread that will use it.
    ///
    /// # Errors
    /// What the kernel says; where it is plain what is lacking, the text says so.
    pub fn new(bound: BoundSockets, interface: &Arc<Interface>, core: usize) -> io::Result<Self> {
        let settings = bound.settings;
        let mac = interface.resolver().mac();
        let sender = |address: SocketAddr| {
            let (address, port) = (address.ip(), address.port());
            Sender { mac, address, port, dscp: bound.dscp }
        };
        let senders = bound.ports.iter().map(|(_, address)| sender(address)).collect();
        let places = Places::new(&bound.ports);
        let kernel = MmsgSockets::new(bound)?;
        Ok(Self {
            // Last of what can fail: from then on, the program has somewhere to steer to.
            rings: interface.rings(core, settings.receive_frames(), settings.sends)?,
            senders,
            places,
            next_hops: interface.resolver().table(core),
            kernel,
            counters: NetCounters::default(),
            statistics_at: Instant::ZERO,
            interface: Arc::clone(interface),
        })
    }

    /// What the kernel has counted of the core's queues.
    pub fn statistics(&self) -> RingStatistics {
        self.rings.iter().map(Ring::statistics).sum()
    }

    /// Sends all that is queued.
    fn send_queued(&mut self) {
        self.kernel.send_queued();
        self.rings.iter_mut().for_each(Ring::transmit);
    }
}

/// Octets of the longest packet that is sent past the kernel: what every path of IPv6 carries (RFC 8200
/// §5). What is longer may meet a narrower path, which the kernel knows of. No packet of speech is as long.
pub(crate) const PACKET_MAX: usize = 1_280;

const _: () = assert!(PACKET_MAX + 14 <= frame::FRAME_MAX);
const _: () = assert!(ring::CHUNK >= 256 + 14 + 40 + 8 + DATAGRAM_MAX, "with the room the kernel keeps");

/// How often the kernel is asked what it had to drop.
const STATISTICS_EVERY: Duration = Duration::from_secs(1);

impl RtpSockets for XdpSockets {
    fn receive(&mut self, mut f: impl FnMut(PortSlot, SocketAddr, Instant, &[u8])) {
        let now = Clock.now();
        let Self { rings, places, counters, kernel, .. } = self;
        for ring in rings {
            ring.receive(|stamp, frame| match frame::read(frame) {
                Ok(datagram) if datagram.octets.len() > DATAGRAM_MAX => counters.truncated += 1,
                Ok(datagram) => match places.slot(datagram.source.is_ipv4(), datagram.port) {
                    Some(slot) if places.may_come_from(datagram.source.ip()) => {
                        counters.received += 1;
                        f(slot, datagram.source, arrived(stamp, now), datagram.octets);
                    }
                    _ => counters.damaged += 1,
                },
                Err(Damaged) => counters.damaged += 1,
            });
        }
        kernel.receive(f);
    }

    fn send(
        &mut self,
        from: PortSlot,
        to: SocketAddr,
        len: usize,
        f: impl FnOnce(&mut [u8]),
    ) -> Result<(), Full> {
        assert!(len <= DATAGRAM_MAX, "a datagram of {len} octets is longer than {DATAGRAM_MAX}");
        let sender = &self.senders[from.0 as usize];
        let next_hop =
            if goes_through(sender.address, to, len) { self.next_hops.find(to.ip()) } else { None };
        let Some(next_hop) = next_hop else { return self.kernel.send(from, to, len, f) };
        if !self.rings[0].has_room() {
            // In the order it was queued in: what goes around first, because it was queued when the next
            // hop was not known yet.
            self.send_queued();
        }
        if !self.rings[0].has_room() {
            self.counters.full += 1;
            return Err(Full);
        }
        let sender = &self.senders[from.0 as usize];
        self.rings[0].write(|frame| frame::write(frame, sender, next_hop, to, len, f));
        self.counters.sent += 1;
        Ok(())
    }

    fn mark(&mut self, slot: PortSlot, dscp: Dscp) {
        if let Some(sender) = self.senders.get_mut(slot.0 as usize) {
            sender.dscp = dscp;
            self.kernel.mark(slot, dscp);
        }
    }

    fn flush(&mut self, until: Instant) -> io::Result<()> {
        self.send_queued();
        let now = Clock.now();
        if now >= self.statistics_at {
            self.statistics_at = now + STATISTICS_EVERY;
            self.counters.dropped = self.statistics().dropped();
            let mac = self.interface.resolver().mac();
            if self.senders.first().is_some_and(|sender| sender.mac != mac) {
                self.senders.iter_mut().for_each(|sender| sender.mac = mac);
            }
        }
        mmsg::sleep_until(until);
        Ok(())
    }

    fn counters(&self) -> NetCounters {
        let NetCounters { received, truncated, sent, full, refused, .. } = self.kernel.counters();
        NetCounters {
            received: self.counters.received + received,
            truncated: self.counters.truncated + truncated,
            sent: self.counters.sent + sent,
            full: self.counters.full + full,
            refused,
            around: received + sent,
            ..self.counters
        }
    }
}

impl Drop for XdpSockets {
    fn drop(&mut self) {
        // What was queued still goes out: the BYE of a call, say. A card takes its time.
        let until = Clock.now() + DRAIN_MAX;
        self.send_queued();
        while !self.rings.iter().all(Ring::is_sent) && Clock.now() < until {
            mmsg::sleep_until(Clock.now() + Duration::from_millis(1));
            self.send_queued();
        }
    }
}

/// How long what is queued at the end may take to leave.
const DRAIN_MAX: Duration = Duration::from_millis(100);

/// Does what fails as long as something is busy, and tries again for a while if it is: what a program has
/// held of an interface, the kernel frees some time after it has ended.
fn once_free<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let give_up = Clock.now() + FREED_WITHIN;
    loop {
        match attempt() {
            Err(error)
                if matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EEXIST))
                    && Clock.now() < give_up =>
            {
                mmsg::sleep_until(Clock.now() + Duration::from_millis(5));
            }
            done => return done,
        }
    }
}

/// Measured: some milliseconds, but more than half a second on a host that is busy with other things.
const FREED_WITHIN: Duration = Duration::from_secs(2);

/// Whether a datagram is one to be sent past the kernel, if its next hop is known.
fn goes_through(from: IpAddr, to: SocketAddr, len: usize) -> bool {
    const ETHERNET: usize = 14;
    let fits = frame::headers(&from) - ETHERNET + len <= PACKET_MAX;
    let is_plain = match (from, to) {
        (IpAddr::V4(_), SocketAddr::V4(_)) => true,
        // One of the link alone may be another host on each interface, and IPv4 that is mapped into IPv6
        // belongs on no wire.
        (IpAddr::V6(_), SocketAddr::V6(to)) => {
            !to.ip().is_unicast_link_local() && to.ip().to_ipv4_mapped().is_none()
        }
        // The kernel says what it thinks of it.
        _ => false,
    };
    fits && is_plain
}

/// When a frame came: what the program wrote in front of it, if it could; else when it was looked at.
fn arrived(stamp: &[u8; STAMP], now: Instant) -> Instant {
    let (time, mark) = stamp.split_at(8);
    let mark = [&mark[..4], &mark[4..]].map(|half| u32::from_ne_bytes(half.try_into().expect("four octets")));
    if mark != [STAMP_MARK; 2] {
        return now;
    }
    let time = Instant::from_nanos(u64::from_ne_bytes(time.try_into().expect("eight octets")));
    // The worker's own reading of the same clock is a little older than what came after it.
    time.min(now)
}

/// Which slot a port of each family is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Places {
    v4: Run,
    v6: Run,
}

/// A run of ports, and the slot of the first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Run {
    address: Option<IpAddr>,
    first: u16,
    count: u16,
    slot: u32,
}

impl Places {
    fn new(ports: &Ports) -> Self {
        let mut places = Self::default();
        let mut slot = 0;
        for range in &ports.0 {
            let count = range.pairs * 2;
            let run = Run { address: Some(range.address), first: range.first, count, slot };
            *(if range.address.is_ipv4() { &mut places.v4 } else { &mut places.v6 }) = run;
            slot += u32::from(run.count);
        }
        places
    }

    /// Whether a datagram from there can have come over a wire, as the kernel would have asked.
    fn may_come_from(&self, source: IpAddr) -> bool {
        // RFC 1122 §3.2.1.3: a source is one host's address, and neither loopback's nor our own.
        let is_of_a_host = match source {
            IpAddr::V4(v4) => {
                !v4.is_loopback() && !v4.is_multicast() && !v4.is_broadcast() && v4.octets()[0] != 0
            }
            IpAddr::V6(v6) => {
                !v6.is_loopback()
                    && !v6.is_multicast()
                    && !v6.is_unspecified()
                    && v6.to_ipv4_mapped().is_none()
            }
        };
        is_of_a_host && self.v4.address != Some(source) && self.v6.address != Some(source)
    }

    fn slot(&self, is_v4: bool, port: u16) -> Option<PortSlot> {
        let run = if is_v4 { &self.v4 } else { &self.v6 };
        let place = port.checked_sub(run.first).filter(|&place| place < run.count)?;
        Some(PortSlot(run.slot + u32::from(place)))
    }
}

#[cfg(test)]
mod tests;
