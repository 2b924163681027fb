//! Hears of media that were not delivered: ICMP "destination unreachable" (RFC 792, RFC 4443 §3.1).
//!
//! Through raw sockets of its own, one for each media address: an error that a socket of RTP is told fails
//! its next send, and forged ones would silence a call. A raw socket takes CAP_NET_RAW, so it is opened only
//! where the configuration asks for it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, socket};

/// A raw socket for the ICMP that comes to one address.
#[derive(Debug)]
pub(super) struct Icmp {
    socket: UdpSocket,
    is_v6: bool,
}

/// A datagram of ours that was not delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Unreachable {
    /// Where it came from.
    pub(super) local: SocketAddr,
    /// Where it went.
    pub(super) remote: SocketAddr,
    /// Why, by the codes of RFC 792.
    pub(super) code: u8,
}

impl Icmp {
    /// Listens on an address.
    pub(super) fn open(address: IpAddr) -> io::Result<Self> {
        let (family, protocol) = match address {
            IpAddr::V4(_) => (AddressFamily::Inet, SockProtocol::Icmp),
            IpAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6),
        };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd: OwnedFd = socket(family, SockType::Raw, flags, protocol)?;
        bind(fd.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(address, 0)))?;
        Ok(Self { socket: fd.into(), is_v6: address.is_ipv6() })
    }

    /// The next message; `None` if it says something else.
    pub(super) fn receive(&self) -> io::Result<Option<Unreachable>> {
        // As much as the headers take, and what of ours came back behind them.
        let mut octets = [0; 256];
        let len = self.socket.recv(&mut octets)?;
        Ok(if self.is_v6 { read_v6(&octets[..len]) } else { read_v4(&octets[..len]) })
    }
}

impl AsRawFd for Icmp {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Reads what a raw socket of IPv4 receives: an IP header, then ICMP.
fn read_v4(octets: &[u8]) -> Option<Unreachable> {
    let (_, message) = split_v4(octets)?;
    let (header, inner) = message.split_at_checked(8)?;
    let ([3, code, ..], (ours, udp)) = (header, split_v4(inner)?) else { return None };
    let address = |at: usize| Some(Ipv4Addr::from(*ours.get(at..)?.first_chunk::<4>()?));
    if ours[9] != UDP {
        return None;
    }
    let (from, to) = ports(udp)?;
    let (local, remote) = ((address(12)?, from).into(), (address(16)?, to).into());
    Some(Unreachable { local, remote, code: *code })
}

/// Reads what a raw socket of IPv6 receives: ICMP alone.
fn read_v6(octets: &[u8]) -> Option<Unreachable> {
    let (header, inner) = octets.split_at_checked(8)?;
    let [1, code, ..] = header else { return None };
    let (ours, udp) = inner.split_at_checked(40)?;
    let address = |at: usize| Some(Ipv6Addr::from(*ours.get(at..)?.first_chunk::<16>()?));
    if ours[6] != UDP {
        return None;
    }
    let (from, to) = ports(udp)?;
    // RFC 4443 §3.1, as RFC 7915 §4.2 and §5.2 have them in IPv4.
    let code = match code {
        1 | 5 | 6 => 10,
        3 => 1,
        4 => 3,
        _ => 0,
    };
    Some(Unreachable { local: (address(8)?, from).into(), remote: (address(24)?, to).into(), code })
}

/// An IPv4 header and what follows it.
fn split_v4(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = usize::from(octets.first()? & 0x0F) * 4;
    if len < 20 { None } else { octets.split_at_checked(len) }
}

/// The ports of a UDP header.
fn ports(udp: &[u8]) -> Option<(u16, u16)> {
    let [a, b, c, d, ..] = *udp else { return None };
    Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

const UDP: u8 = 17;

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(source: [u8; 4], destination: [u8; 4], protocol: u8, rest: &[u8]) -> Vec<u8> {
        let mut octets = vec![0x46, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0];
        octets.extend(source);
        octets.extend(destination);
        octets.extend([1; 4]); // an option
        octets.extend(rest);
        octets
    }

    const UDP_HEADER: [u8; 8] = [0x4E, 0x20, 0x75, 0x30, 0, 180, 0, 0];

    #[test]
    fn what_came_back_says_whose_it_was() {
        let ours = v4([192, 0, 2, 1], [198, 51, 100, 7], 17, &UDP_HEADER);
        let message =
            v4([203, 0, 113, 1], [192, 0, 2, 1], 1, &[&[3, 13, 0, 0, 0, 0, 0, 0], &ours[..]].concat());
        let (local, remote) = ("192.0.2.1:20000".parse().unwrap(), "198.51.100.7:30000".parse().unwrap());
        assert_eq!(read_v4(&message), Some(Unreachable { local, remote, code: 13 }));
        for len in 0..message.len() - 4 {
            assert_eq!(read_v4(&message[..len]), None, "{len}");
        }
        for (at, octet) in [(24, 11), (24 + 8 + 9, 6)] {
            let mut other = message.clone();
            other[at] = octet;
            assert_eq!(read_v4(&other), None, "time exceeded, or TCP");
        }
    }

    #[test]
    fn codes_of_ipv6_are_told_as_those_of_ipv4() {
        let (local, remote) =
            ("[2001:db8::1]:20000".parse().unwrap(), "[2001:db8::7]:30000".parse().unwrap());
        for (code, expected) in [(0, 0), (1, 10), (3, 1), (4, 3)] {
            let mut message = vec![1, code, 0, 0, 0, 0, 0, 0];
            message.extend([0x60, 0, 0, 0, 0, 180, 17, 64]);
            for address in ["2001:db8::1", "2001:db8::7"] {
                message.extend(address.parse::<Ipv6Addr>().unwrap().octets());
            }
            message.extend(UDP_HEADER);
            assert_eq!(read_v6(&message), Some(Unreachable { local, remote, code: expected }));
        }
    }
}
