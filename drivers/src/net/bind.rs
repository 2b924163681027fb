//! Taking all ports of one core at start, or saying which one could not be had and why.

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, setsockopt, socket, sockopt,
};

use super::{Dscp, Ports, Settings};

/// All ports of one core, bound, with what a driver will need to know of them.
///
/// Every driver is made in two steps: [`bind`](Self::bind) takes every port on the thread that starts
/// the gateway, so that a port that is taken stops the start; then the driver's own `new`, on the
/// thread that will use it, does the rest.
#[derive(Debug)]
pub struct BoundSockets {
    /// What they are.
    pub(super) ports: Ports,
    /// One socket a slot, in slot order, and whether it is of IPv6.
    pub(super) sockets: Vec<(OwnedFd, bool)>,
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
    ///
    /// # Panics
    /// If `settings` are not in their ranges.
    pub fn bind(ports: &Ports, dscp: Dscp, settings: Settings) -> Result<Self, BindError> {
        assert!(settings.is_in_range(), "{settings:?} are in their ranges");
        allow_descriptors(ports.slots())?;
        let sockets = ports
            .iter()
            .map(|(_, address)| {
                bound_socket(address, dscp, settings.socket_octets)
                    .map(|socket| (socket, address.is_ipv6()))
                    .map_err(|reason| BindError::Port { address, reason })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { ports: ports.clone(), sockets, dscp, settings })
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
            Self::Port { address, reason: Errno::EADDRINUSE } => {
                write!(f, "{address} is taken by another program")
            }
            Self::Port { address, reason: Errno::EADDRNOTAVAIL } => {
                write!(f, "{} is not an address of this host", address.ip())
            }
            Self::Port { address, reason } => write!(f, "{address}: {}", reason.desc().to_lowercase()),
            Self::Descriptors { needed, allowed } => write!(
                f,
                "they need {needed} open descriptors, but this process is allowed {allowed} \
                 (RLIMIT_NOFILE; LimitNOFILE= of its service)"
            ),
        }
    }
}

impl std::error::Error for BindError {}

/// Raises the soft limit of open descriptors, as far as it must and may be, for `sockets` more.
fn allow_descriptors(sockets: usize) -> Result<(), BindError> {
    let needed = (open_descriptors() + SPARE_DESCRIPTORS).saturating_add(sockets as u64);
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

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, UdpSocket};

    use super::*;
    use crate::net::PortRange;

    #[test]
    fn more_sockets_than_the_process_may_hold_are_refused_beforehand() {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let error = allow_descriptors(hard as usize).unwrap_err();
        assert!(
            matches!(error, BindError::Descriptors { needed, allowed } if needed > hard && allowed == hard)
        );
        assert!(error.to_string().contains(&hard.to_string()), "{error}");
    }

    #[test]
    fn an_error_names_the_port_and_the_reason() {
        let error = |reason| BindError::Port { address: ([127, 0, 0, 1], 20_004).into(), reason }.to_string();
        assert_eq!(error(Errno::EADDRINUSE), "127.0.0.1:20004 is taken by another program");
        assert_eq!(error(Errno::EADDRNOTAVAIL), "127.0.0.1 is not an address of this host");
        assert_eq!(error(Errno::EACCES), "127.0.0.1:20004: permission denied");
    }

    fn bind_at(ip: [u8; 4], pairs: u16) -> Result<BoundSockets, BindError> {
        let ports = Ports(vec![PortRange { address: ip.into(), first: 20_000, pairs }]);
        BoundSockets::bind(&ports, Dscp::EF, Settings::for_slots(ports.slots()))
    }

    #[test]
    fn a_taken_port_is_named_and_leaves_none_bound() {
        let [.., high, low] = std::process::id().to_be_bytes();
        let ip = [127, high | 0x80, low, 0];
        let taken = UdpSocket::bind(SocketAddr::from((ip, 20_004))).unwrap();
        let error = bind_at(ip, 4).unwrap_err();
        assert_eq!(error.to_string(), format!("{}:20004 is taken by another program", IpAddr::from(ip)));
        drop(taken);
        bind_at(ip, 4).expect("the others were let go");
    }

    #[test]
    fn an_address_that_is_not_ours_is_named() {
        let error = bind_at([192, 0, 2, 1], 1).unwrap_err();
        assert_eq!(error.to_string(), "192.0.2.1 is not an address of this host");
    }
}
