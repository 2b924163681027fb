//! RTP and RTCP sockets by the plain calls: `epoll_wait`, `recvmmsg`, `sendmmsg`.
//!
//! What the other drivers are measured against, what runs where a kernel or a seccomp filter has no
//! io_uring, and how the driver over AF_XDP takes and sends what is not for its ring.
//!
//! Both calls serve one socket at a time, and a call has a socket of its own: so a packet costs about
//! one system call each way, and these are batches only for a socket that several datagrams wait at.

mod incoming;
mod outgoing;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_nanosleep};

use self::incoming::{BATCH, Incoming};
use self::outgoing::Outgoing;
use super::datagram::Unusable;
use super::{BoundSockets, Dscp, Full, NetCounters, PortSlot, RtpSockets, Settings, bind};
use crate::time::{Clock, Epoch, Instant};

/// The RTP and RTCP sockets of one core, by plain calls.
pub struct MmsgSockets {
    sockets: Vec<Socket>,
    epoll: Epoll,
    events: Box<[EpollEvent]>,
    /// Sockets at which more waited than one turn takes.
    behind: VecDeque<PortSlot>,
    incoming: Incoming,
    outgoing: Outgoing,
    counters: NetCounters,
}

struct Socket {
    fd: OwnedFd,
    ipv6: bool,
    dscp: Dscp,
    /// Whether it is in [`MmsgSockets::behind`].
    is_behind: bool,
}

impl MmsgSockets {
    /// Octets of memory that the sockets of a core take, but for the kernel's.
    pub fn memory(settings: &Settings) -> usize {
        Incoming::SIZE + Outgoing::size(settings)
    }

    /// Watches every socket.
    ///
    /// # Errors
    /// What the kernel says to the watching.
    pub fn new(bound: BoundSockets) -> io::Result<Self> {
        let BoundSockets { sockets, dscp, settings, .. } = bound;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        for (slot, (fd, _)) in sockets.iter().enumerate() {
            // Told once of what has come, not again each time until it is taken.
            epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, slot as u64))?;
        }
        Ok(Self {
            behind: VecDeque::with_capacity(sockets.len()),
            sockets: sockets
                .into_iter()
                .map(|(fd, ipv6)| Socket { fd, ipv6, dscp, is_behind: false })
                .collect(),
            epoll,
            events: vec![EpollEvent::empty(); EVENTS].into(),
            incoming: Incoming::new(),
            outgoing: Outgoing::new(&settings),
            counters: NetCounters::default(),
        })
    }

    /// Sends all that is queued.
    pub(super) fn send_queued(&mut self) {
        let Self { sockets, outgoing, counters, .. } = self;
        counters.refused += outgoing.send_all(|slot| sockets[slot.0 as usize].fd.as_raw_fd());
    }

    /// Takes what waits at one socket, as far as one turn goes.
    fn take(&mut self, slot: PortSlot, now: Epoch, f: &mut impl FnMut(PortSlot, SocketAddr, Instant, &[u8])) {
        let Self { sockets, incoming, counters, behind, .. } = self;
        let socket = &mut sockets[slot.0 as usize];
        for _ in 0..BATCHES_MAX {
            let taken = incoming.take(socket.fd.as_fd(), |datagram| match datagram {
                Ok(datagram) => {
                    counters.received += 1;
                    f(slot, datagram.source, datagram.arrived(now), datagram.octets);
                }
                Err(Unusable::Truncated) => counters.truncated += 1,
                Err(Unusable::NoSource) => {}
            });
            if taken < BATCH {
                return;
            }
        }
        if !std::mem::replace(&mut socket.is_behind, true) {
            behind.push_back(slot);
        }
    }
}

/// Sockets that one `epoll_wait` names at most.
const EVENTS: usize = 1_024;

/// Batches that are taken from one socket in a turn: about what its queue holds, so that a flood at one
/// port does not keep the others waiting.
const BATCHES_MAX: usize = 24;

impl RtpSockets for MmsgSockets {
    fn receive(&mut self, mut f: impl FnMut(PortSlot, SocketAddr, Instant, &[u8])) {
        let now = Clock.epoch();
        for _ in 0..self.behind.len() {
            let Some(slot) = self.behind.pop_front() else { break };
            self.sockets[slot.0 as usize].is_behind = false;
            self.take(slot, now, &mut f);
        }
        for _ in 0..=self.sockets.len() / EVENTS {
            // It fails only if a signal comes; then there is the next tick.
            let named = self.epoll.wait(&mut self.events, EpollTimeout::ZERO).unwrap_or(0);
            for index in 0..named {
                let slot = PortSlot(self.events[index].data() as u32);
                self.take(slot, now, &mut f);
            }
            if named < EVENTS {
                return;
            }
        }
    }

    fn send(
        &mut self,
        from: PortSlot,
        to: SocketAddr,
        len: usize,
        f: impl FnOnce(&mut [u8]),
    ) -> Result<(), Full> {
        if !self.outgoing.has_room(len) {
            self.send_queued();
        }
        self.outgoing.write(from, to, len, f);
        self.counters.sent += 1;
        Ok(())
    }

    fn mark(&mut self, slot: PortSlot, dscp: Dscp) {
        let Some(socket) = self.sockets.get_mut(slot.0 as usize) else { return };
        if socket.dscp != dscp && bind::mark(&socket.fd, socket.ipv6, dscp).is_ok() {
            socket.dscp = dscp;
        }
    }

    fn flush(&mut self, until: Instant) -> io::Result<()> {
        self.send_queued();
        sleep_until(until);
        Ok(())
    }

    fn counters(&self) -> NetCounters {
        self.counters
    }
}

impl Drop for MmsgSockets {
    fn drop(&mut self) {
        // What was queued still goes out: the BYE of a call, say.
        self.send_queued();
    }
}

/// The longest that a `flush` sleeps.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// Sleeps until a point of the monotonic clock, or a second; less if a signal comes.
pub(super) fn sleep_until(until: Instant) {
    let now = Clock.now();
    let until = until.min(now + SLEEP_MAX);
    if until > now {
        let nanos = until.as_nanos();
        let until = TimeSpec::new((nanos / 1_000_000_000) as i64, (nanos % 1_000_000_000) as i64);
        // An absolute time: what was spent on the way here does not add up.
        let _ = clock_nanosleep(ClockId::CLOCK_MONOTONIC, ClockNanosleepFlags::TIMER_ABSTIME, &until);
    }
}

#[cfg(test)]
mod tests;
