//! What the kernel knows of links, routes and neighbours: rtnetlink, as little of it as is needed.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send, setsockopt,
    socket, sockopt,
};
use nix::sys::time::TimeVal;

use super::frame::Mac;

/// Asks the kernel, and waits for what it answers.
pub(super) struct Netlink {
    socket: OwnedFd,
    sequence: u32,
    answer: Box<[u8; ANSWER]>,
}

/// An interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Link {
    /// None unless it is Ethernet: loopback, for one, looks as if it had one.
    pub(super) mac: Option<Mac>,
    pub(super) mtu: u32,
}

/// Where packets to an address go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Route {
    pub(super) interface: u32,
    /// The router they go to first, if any.
    pub(super) gateway: Option<IpAddr>,
    /// Whether they go to one host elsewhere, not to this one, to many, or to nobody; and as they are, not
    /// wrapped into others or under labels.
    pub(super) is_plain: bool,
}

/// A station on the link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Neighbour {
    pub(super) mac: Option<Mac>,
    /// Whether it is still there is not known any more (NUD_STALE).
    pub(super) is_stale: bool,
}

impl Netlink {
    /// # Errors
    /// What the kernel says.
    pub(super) fn new() -> io::Result<Self> {
        let socket = netlink_socket(0, SockFlag::empty())?;
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(1, 0))?;
        Ok(Self { socket, sequence: 0, answer: Box::new([0; ANSWER]) })
    }

    /// # Errors
    /// What the kernel says: there is no such interface.
    pub(super) fn link(&mut self, interface: u32) -> io::Result<Link> {
        // `struct ifinfomsg`: family, padding, type, index, flags, change.
        let mut body = [0; 16];
        body[4..8].copy_from_slice(&interface.to_ne_bytes());
        let answer = self.ask(libc::RTM_GETLINK, 0, &body, &[])?;
        let is_ethernet = answer.get(2..4).is_some_and(|kind| kind == libc::ARPHRD_ETHER.to_ne_bytes());
        let mut link = Link { mac: None, mtu: 0 };
        for (kind, value) in attributes(answer, body.len()) {
            match kind {
                libc::IFLA_ADDRESS if is_ethernet => link.mac = value.try_into().ok(),
                libc::IFLA_MTU => link.mtu = word(value, 0).unwrap_or(0),
                _ => {}
            }
        }
        Ok(link)
    }

    /// The route that packets from `from` to `to` take now.
    ///
    /// # Errors
    /// What the kernel says: there is none.
    pub(super) fn route(&mut self, from: IpAddr, to: IpAddr) -> io::Result<Route> {
        let (family, bits) = family(to);
        // `struct rtmsg`: family, length of destination and of source, TOS, table, protocol, scope, type,
        // flags.
        let mut body = [0; 12];
        (body[0], body[1], body[2]) = (family, bits, bits);
        let (from, to) = (octets(from), octets(to));
        let asked: [(u16, &[u8]); 2] = [(libc::RTA_DST, &to), (libc::RTA_SRC, &from)];
        let answer = self.ask(libc::RTM_GETROUTE, 0, &body, &asked)?;
        let is_unicast = answer.get(7) == Some(&libc::RTN_UNICAST);
        let mut route = Route { interface: 0, gateway: None, is_plain: is_unicast };
        for (kind, value) in attributes(answer, body.len()) {
            match kind {
                libc::RTA_OIF => route.interface = word(value, 0).unwrap_or(0),
                libc::RTA_GATEWAY => route.gateway = address(value),
                // A router of the other family: two octets say which.
                libc::RTA_VIA => route.gateway = value.get(2..).and_then(address),
                libc::RTA_ENCAP_TYPE => route.is_plain = false,
                _ => {}
            }
        }
        Ok(route)
    }

    /// # Errors
    /// What the kernel says: it has never met it.
    pub(super) fn neighbour(&mut self, interface: u32, address: IpAddr) -> io::Result<Neighbour> {
        let (body, octets) = (neighbour_message(interface, address, 0), octets(address));
        let answer = self.ask(libc::RTM_GETNEIGH, 0, &body, &[(libc::NDA_DST, &octets)])?;
        let state = answer.get(8..10).map_or(0, |octets| u16::from_ne_bytes([octets[0], octets[1]]));
        let mut neighbour = Neighbour { mac: None, is_stale: state & libc::NUD_STALE != 0 };
        for (kind, value) in attributes(answer, body.len()) {
            if kind == libc::NDA_LLADDR && state & KNOWN_STATES != 0 {
                neighbour.mac = value.try_into().ok();
            }
        }
        Ok(neighbour)
    }

    /// Has the kernel find out whether a neighbour is still there, as if it had sent something itself.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn confirm(&mut self, interface: u32, address: IpAddr) -> io::Result<()> {
        let (body, octets) = (neighbour_message(interface, address, libc::NTF_USE), octets(address));
        let flags = (libc::NLM_F_ACK | libc::NLM_F_CREATE) as u16;
        self.ask(libc::RTM_NEWNEIGH, flags, &body, &[(libc::NDA_DST, &octets)]).map(drop)
    }

    /// Sends a request, and gives the body of its answer; nothing if it was only acknowledged.
    fn ask(&mut self, kind: u16, flags: u16, body: &[u8], attributes: &[(u16, &[u8])]) -> io::Result<&[u8]> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut message = vec![0; HEADER];
        message.extend_from_slice(body);
        for (kind, value) in attributes {
            message.extend_from_slice(&((ATTRIBUTE + value.len()) as u16).to_ne_bytes());
            message.extend_from_slice(&kind.to_ne_bytes());
            message.extend_from_slice(value);
            message.resize(message.len().next_multiple_of(4), 0);
        }
        // `struct nlmsghdr`: length, type, flags, sequence, port.
        let len = message.len() as u32;
        message[..4].copy_from_slice(&len.to_ne_bytes());
        message[4..6].copy_from_slice(&kind.to_ne_bytes());
        message[6..8].copy_from_slice(&(libc::NLM_F_REQUEST as u16 | flags).to_ne_bytes());
        message[8..12].copy_from_slice(&self.sequence.to_ne_bytes());
        send(self.socket.as_raw_fd(), &message, MsgFlags::empty())?;
        loop {
            let len = recv(self.socket.as_raw_fd(), &mut self.answer[..], MsgFlags::empty())?;
            let answer = self.answer.get(..len).and_then(|answer| answer.split_at_checked(HEADER));
            let (header, _) = answer.ok_or(Errno::EBADMSG)?;
            // What is late for a question that was given up is not the answer to this one.
            if word(header, 8) == Some(self.sequence) {
                let kind = u16::from_ne_bytes([header[4], header[5]]);
                return body_of(kind, &self.answer[HEADER..len]);
            }
        }
    }
}

/// The body of an answer, unless it says that something went wrong.
fn body_of(kind: u16, body: &[u8]) -> io::Result<&[u8]> {
    if i32::from(kind) != libc::NLMSG_ERROR {
        return Ok(body);
    }
    match word(body, 0).map(u32::cast_signed) {
        Some(0) => Ok(&[]),
        Some(error) => Err(io::Error::from_raw_os_error(-error)),
        None => Err(Errno::EBADMSG.into()),
    }
}

/// Tells that something has changed of links, addresses, routes, their next hops, rules or neighbours.
pub(super) struct Changes(OwnedFd);

impl Changes {
    /// # Errors
    /// What the kernel says.
    pub(super) fn new() -> io::Result<Self> {
        netlink_socket(GROUPS, SockFlag::SOCK_NONBLOCK).map(Self)
    }

    /// Whether there were any since this was last asked.
    pub(super) fn take(&self) -> bool {
        let mut any = false;
        let mut octets = [0; ANSWER];
        loop {
            match recv(self.0.as_raw_fd(), &mut octets, MsgFlags::empty()) {
                Ok(_) => any = true,
                // Some were lost: that is a change, too.
                Err(Errno::ENOBUFS) => any = true,
                Err(_) => return any,
            }
        }
    }
}

impl AsFd for Changes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn netlink_socket(groups: u32, flags: SockFlag) -> io::Result<OwnedFd> {
    let flags = flags | SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
    Ok(socket)
}

/// Octets of the longest answer that is taken in.
const ANSWER: usize = 16 * 1024;

const HEADER: usize = 16;
const ATTRIBUTE: usize = 4;

/// States of a neighbour in which its station can be used: reachable, stale, being confirmed, or fixed.
const KNOWN_STATES: u16 = libc::NUD_REACHABLE
    | libc::NUD_STALE
    | libc::NUD_DELAY
    | libc::NUD_PROBE
    | libc::NUD_NOARP
    | libc::NUD_PERMANENT;

/// The groups of changes, one bit each: links, neighbours, next hops that routes share, and addresses, routes and
/// rules of both families.
const GROUPS: u32 = group(libc::RTNLGRP_LINK)
    | group(libc::RTNLGRP_NEIGH)
    | group(libc::RTNLGRP_NEXTHOP)
    | group(libc::RTNLGRP_IPV4_IFADDR)
    | group(libc::RTNLGRP_IPV4_ROUTE)
    | group(libc::RTNLGRP_IPV4_RULE)
    | group(libc::RTNLGRP_IPV6_IFADDR)
    | group(libc::RTNLGRP_IPV6_ROUTE)
    | group(libc::RTNLGRP_IPV6_RULE);

const fn group(number: libc::c_uint) -> u32 {
    1 << (number - 1)
}

/// `struct ndmsg`: family, padding, interface, state, flags, type.
fn neighbour_message(interface: u32, address: IpAddr, flags: u8) -> [u8; 12] {
    let mut body = [0; 12];
    body[0] = family(address).0;
    body[4..8].copy_from_slice(&interface.to_ne_bytes());
    body[10] = flags;
    body
}

/// The kernel's number of an address's family, and how many bits such an address has.
fn family(address: IpAddr) -> (u8, u8) {
    match address {
        IpAddr::V4(_) => (libc::AF_INET as u8, 32),
        IpAddr::V6(_) => (libc::AF_INET6 as u8, 128),
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().into(),
        IpAddr::V6(v6) => v6.octets().into(),
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}

/// The attributes behind so many octets of a body: their types and values.
fn attributes(body: &[u8], behind: usize) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = body.get(behind..).unwrap_or_default();
    std::iter::from_fn(move || {
        let head = rest.get(..ATTRIBUTE)?;
        let (len, kind) = (u16::from_ne_bytes([head[0], head[1]]), u16::from_ne_bytes([head[2], head[3]]));
        let value = rest.get(ATTRIBUTE..usize::from(len))?;
        rest = rest.get(usize::from(len).next_multiple_of(4)..).unwrap_or_default();
        Some((kind & !libc::NLA_F_NESTED as u16, value))
    })
}

fn word(octets: &[u8], at: usize) -> Option<u32> {
    octets.get(at..)?.first_chunk().map(|word| u32::from_ne_bytes(*word))
}
