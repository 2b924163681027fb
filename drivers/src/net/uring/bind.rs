//! Taking all ports of one core at start, or saying which one could not be had and why.

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, setsockopt, socket, sockopt,
};

use crate::net::{DATAGRAM_MAX, Dscp, Ports};

/// How much room the sockets and the ring of one core have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Datagrams that can have come and not yet been looked at, 1 to 32,768. More than these wait
    /// in their sockets' own queues, which costs time, but loses nothing.
    pub receive_buffers: u32,
    /// Sends that go to the kernel in one call, 1 to 32,768. More take more calls.
    pub sends: u32,
    /// What each socket's queue may hold, in octets. The kernel counts its own overhead as well and
    /// doubles the number for it: a short RTP packet takes about 770 of the doubled octets.
    pub socket_octets: u32,
}

impl Settings {
    /// Room for `slots` port slots, half of them with RTP at 50 packets a second: for a worker that
    /// comes 100 ms late.
    pub fn for_slots(slots: usize) -> Self {
        let slots = u32::try_from(slots).unwrap_or(u32::MAX);
        Self {
            // Five packets for each RTP slot, and RTP is on every other slot.
            receive_buffers: (slots / 2).saturating_mul(5).clamp(256, RING_MAX),
            // A quarter of the RTP slots sends in one tick of 5 ms at 20 ms ptime; all may at 5 ms ptime.
            sends: (slots / 2).clamp(64, 2_048),
            socket_octets: 64 * 1024,
        }
    }

    /// Octets of memory that the ring of `slots` port slots takes, kernel's sockets not counted.
    pub fn memory(&self, slots: usize) -> usize {
        let _ = slots;
        self.receive_buffers as usize * DATAGRAM_MAX
    }
}

/// The kernel's bound for entries of a submission queue and of a ring of provided buffers.
const RING_MAX: u32 = 32_768;

/// All ports of one core, bound, with what the ring will need to know of them.
///
/// Not yet listening to anything: [`UringSockets::new`](super::UringSockets::new) goes on, on the
/// worker's thread.
#[derive(Debug)]
pub struct BoundSockets {
    /// One socket a slot, in slot order.
    pub(super) sockets: Vec<OwnedFd>,
    pub(super) dscp: Dscp,
    pub(super) settings: Settings,
}

impl BoundSockets {
    /// Binds every port, or none.
    ///
    /// Everything sent is marked `dscp` until told otherwise.
    ///
    /// # Errors
    /// If a port cannot be had, or the process may not hold as many descriptors.
    pub fn bind(ports: &Ports, dscp: Dscp, settings: Settings) -> Result<Self, BindError> {
        allow_descriptors(ports.slots())?;
        let sockets = ports
            .iter()
            .map(|(_, address)| {
                bound_socket(address, dscp, settings.socket_octets)
                    .map_err(|reason| BindError::Port { address, reason })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { sockets, dscp, settings })
    }
}

/// Why the ports of a core could not be bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BindError {
    /// This port cannot be had.
    Port {
        /// The port that was asked for.
        address: SocketAddr,
        /// What the kernel said.
        reason: Errno,
    },
    /// The process may not hold as many descriptors.
    Descriptors {
        /// How many there would be, with those that are open already.
        needed: u64,
        /// How many the hard limit allows (RLIMIT_NOFILE).
        allowed: u64,
    },
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port { address, reason } => write!(f, "{address}: {}", reason.desc().to_lowercase()),
            Self::Descriptors { needed, allowed } => write!(
                f,
                "the RTP ports need {needed} open descriptors, but this process is allowed {allowed} \
                 (RLIMIT_NOFILE; LimitNOFILE= of its service)"
            ),
        }
    }
}

impl std::error::Error for BindError {}

/// Raises the soft limit of open descriptors, as far as it must and may be, for `sockets` more.
fn allow_descriptors(sockets: usize) -> Result<(), BindError> {
    let needed = open_descriptors() + sockets as u64 + SPARE_DESCRIPTORS;
    let (soft, hard) =
        getrlimit(Resource::RLIMIT_NOFILE).expect("Linux tells a process its own limit of descriptors");
    if needed <= soft {
        return Ok(());
    }
    let too_few = BindError::Descriptors { needed, allowed: hard };
    if needed > hard {
        return Err(too_few);
    }
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_err(|_| too_few)
}

/// Descriptors left for what is opened later: rings, log, MGCP sockets, recordings.
const SPARE_DESCRIPTORS: u64 = 64;

/// Zero if there is no /proc to count them in; [`SPARE_DESCRIPTORS`] has to do then.
fn open_descriptors() -> u64 {
    std::fs::read_dir("/proc/self/fd").map_or(0, |open| open.count() as u64)
}

/// A bound, unconnected UDP socket that never waits and stamps what it receives.
///
/// Unconnected, because a connected one hears of its peer's closed port (ICMP) as an error that ends
/// its receive. Without IP_RECVERR for the same reason, though it would show packets that this host's
/// own queueing drops: with it, any ICMP error, forged ones too, fails the *next* send of that socket
/// whoever it goes to, and ends its receive (measured: 100 such errors, 100 innocent packets lost).
/// What the host's queueing drops is in `SndbufErrors` of /proc/net/snmp all the same.
fn bound_socket(address: SocketAddr, dscp: Dscp, socket_octets: u32) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Datagram, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, None)?;
    if address.is_ipv6() {
        setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
    }
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    setsockopt(&socket, sockopt::RcvBuf, &(socket_octets as usize))?;
    mark(&socket, address.is_ipv6(), dscp)?;
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
    Ok(socket)
}

/// Sets the mark of what a socket sends.
pub(super) fn mark(socket: &impl AsFd, ipv6: bool, dscp: Dscp) -> Result<(), Errno> {
    let tos = i32::from(dscp.tos());
    if ipv6 {
        setsockopt(socket, sockopt::Ipv6TClass, &tos)
    } else {
        setsockopt(socket, sockopt::Ipv4Tos, &tos)
    }
}
