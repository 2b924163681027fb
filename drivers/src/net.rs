//! The RTP and RTCP sockets of one core.
//!
//! All ports are bound at start and numbered: a [`PortSlot`] is an index, not a descriptor. What
//! comes for a slot that carries no call is still received, counted and dropped above, so no
//! socket is made, closed or cancelled while calls come and go.

mod bind;
mod datagram;
pub mod fault;
pub mod mmsg;
mod pages;
mod settings;
pub mod sim;
pub mod uring;
pub mod xdp;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

pub use self::bind::{BindError, BoundSockets};
pub use self::settings::Settings;
pub use self::xdp::Mode as XdpMode;
use crate::time::Instant;

/// One bound UDP port of one core: RTP on the even slots, its RTCP on the next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PortSlot(pub u32);

impl PortSlot {
    /// Whether RTP flows here (RFC 3550 §11: RTP on the even port, RTCP on the next).
    pub const fn is_rtp(self) -> bool {
        self.0.is_multiple_of(2)
    }

    /// The RTCP slot that goes with this RTP slot.
    pub const fn rtcp(self) -> Self {
        Self(self.0 | 1)
    }

    /// The RTP slot of this pair.
    pub const fn rtp(self) -> Self {
        Self(self.0 & !1)
    }

    /// The number of its pair, from 0.
    pub const fn pair(self) -> usize {
        (self.0 / 2) as usize
    }
}

/// A run of consecutive UDP ports of one local address, bound at start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PortRange {
    /// The local address, never unspecified: it is what descriptions name.
    pub address: IpAddr,
    /// The first port: even.
    pub first: u16,
    /// How many RTP and RTCP pairs follow.
    pub pairs: u16,
}

/// All ports of one core, in slot order: the first range's pairs, then the next range's.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ports(pub Vec<PortRange>);

impl Ports {
    /// How many slots there are: two a pair.
    pub fn slots(&self) -> usize {
        self.0.iter().map(|range| usize::from(range.pairs) * 2).sum()
    }

    /// The local address and port of a slot; `None` past the last.
    pub fn address(&self, slot: PortSlot) -> Option<SocketAddr> {
        let mut index = slot.0;
        for range in &self.0 {
            let slots = u32::from(range.pairs) * 2;
            if index < slots {
                return Some(SocketAddr::new(range.address, range.first + index as u16));
            }
            index -= slots;
        }
        None
    }

    /// The slot of a local address and port, if it is one of these.
    pub fn slot(&self, address: SocketAddr) -> Option<PortSlot> {
        let mut before = 0;
        for range in &self.0 {
            let slots = u32::from(range.pairs) * 2;
            let index = address.port().checked_sub(range.first).map(u32::from).filter(|index| *index < slots);
            if let Some(index) = index.filter(|_| address.ip() == range.address) {
                return Some(PortSlot(before + index));
            }
            before += slots;
        }
        None
    }

    /// All slots with their local addresses.
    pub fn iter(&self) -> impl Iterator<Item = (PortSlot, SocketAddr)> + '_ {
        self.0
            .iter()
            .flat_map(|range| (0..range.pairs * 2).map(|i| SocketAddr::new(range.address, range.first + i)))
            .enumerate()
            .map(|(slot, address)| (PortSlot(slot as u32), address))
    }
}

/// A differentiated services code point, 0 to 63 (RFC 2474).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Dscp(u8);

impl Dscp {
    /// Expedited forwarding, 46: what telephone speech is marked with (RFC 4594 §4.1).
    pub const EF: Self = Self(46);

    /// The code point, if it is at most 63.
    pub const fn new(code_point: u8) -> Option<Self> {
        if code_point < 64 { Some(Self(code_point)) } else { None }
    }

    /// The code point in the place the IP header has it: the upper six bits of TOS or traffic class.
    pub const fn tos(self) -> u8 {
        self.0 << 2
    }
}

/// Too many datagrams are in flight: this one is not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many datagrams in flight")
    }
}

impl std::error::Error for Full {}

/// The longest datagram that is received or sent, in octets. Longer ones are cut, and counted.
pub const DATAGRAM_MAX: usize = 1_500;

/// What happened to datagrams below RTP; each field only grows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NetCounters {
    /// Datagrams received.
    pub received: u64,
    /// Received datagrams longer than [`DATAGRAM_MAX`], dropped.
    pub truncated: u64,
    /// Datagrams handed to the kernel.
    pub sent: u64,
    /// Sends that found no free buffer: [`Full`].
    pub full: u64,
    /// Those of `sent` that the kernel refused (no route, no room, forbidden by a filter).
    pub refused: u64,
    /// Times that the kernel was asked to tell of what comes to a socket.
    pub told: u64,
    /// Reads that found nothing.
    pub vain: u64,
    /// Ticks in which more was due to be read than is read in one.
    pub put_off: u64,
    /// Times that more had completed than the completion queue holds.
    pub overflowed: u64,
    /// Received datagrams dropped because a checksum or a length in them was wrong. Where the kernel
    /// receives, it counts those itself.
    pub damaged: u64,
    /// Datagrams for which the driver's own queues had no room, dropped before they were received.
    pub dropped: u64,
    /// Those of `received` and `sent` that went around the driver's own way, through the kernel.
    pub around: u64,
}

/// Who takes datagrams.
pub trait Taker {
    /// A datagram will probably be taken from this slot, after some others. Of thousands of calls none is in a
    /// CPU's cache when its packet comes, so what is said ahead can be fetched ahead.
    fn expect(&mut self, slot: PortSlot);

    /// Of the slots that were [expected](Self::expect) this is one of the next.
    fn expect_next(&mut self, slot: PortSlot);

    /// Takes a datagram: the slot it came to, its source, when it arrived at the host, and its octets.
    fn take(&mut self, slot: PortSlot, from: SocketAddr, arrived: Instant, octets: &[u8]);
}

/// The RTP and RTCP sockets of one core.
///
/// One round of the loop above is [`receive`](Self::receive), any number of
/// [`send`](Self::send), then [`flush`](Self::flush).
///
/// Generic, not `dyn`, where it is used: it is called for every packet.
pub trait RtpSockets {
    /// Hands each datagram that has come to `f`: the slot it came to, its source, the time it
    /// arrived at the host, and its octets.
    fn receive(&mut self, f: impl FnMut(PortSlot, SocketAddr, Instant, &[u8]));

    /// As [`receive`](Self::receive), for who can make use of knowing which slots are next.
    fn receive_into(&mut self, taker: &mut impl Taker) {
        self.receive(|slot, from, arrived, octets| taker.take(slot, from, arrived, octets));
    }

    /// Lets `f` write a datagram of exactly `len` octets in place, to be sent at the next
    /// [`flush`](Self::flush).
    ///
    /// # Errors
    /// [`Full`] when too many are in flight; `f` is not called.
    ///
    /// # Panics
    /// If `len` is more than [`DATAGRAM_MAX`].
    fn send(
        &mut self,
        from: PortSlot,
        to: SocketAddr,
        len: usize,
        f: impl FnOnce(&mut [u8]),
    ) -> Result<(), Full>;

    /// Marks what is sent from a slot, from now on. All slots start with the mark given at start.
    fn mark(&mut self, slot: PortSlot, dscp: Dscp);

    /// Sends what was queued, and sleeps until `until`, whatever comes meanwhile.
    ///
    /// A datagram does not end the sleep: it waits in its socket's queue for the next
    /// [`receive`](Self::receive), and bears the kernel's time of arrival, so no jitter is
    /// added to what is measured. A worker has to wake at its spans' due times anyway, every few
    /// milliseconds; waking for each of some hundred thousand packets a second as well would cost
    /// more than handling them does.
    ///
    /// A time in the past does not sleep, but sends and takes in what has come all the same. The
    /// sleep may end early (a signal, a completion queue that fills up, one second at the longest):
    /// callers look at the clock, not at the return.
    ///
    /// # Errors
    /// What the kernel says; the sockets are of no more use then.
    fn flush(&mut self, until: Instant) -> io::Result<()>;

    /// What has happened so far.
    fn counters(&self) -> NetCounters;
}

#[cfg(test)]
mod tests;
