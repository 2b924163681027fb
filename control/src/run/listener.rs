//! One MGCP socket: bound to one address, answering from the address that was asked.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::{Path as FilePath, PathBuf};

use libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo, sock_extended_err, sockaddr_in6};
use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, SockaddrStorage, bind,
    recvmsg, sendmsg, setsockopt, socket, sockopt,
};
use tracing::warn;

use crate::mgcp::message::Path;

/// A second of a busy hour: 2,000 commands of 1,000 octets and more.
const RECEIVE_BUFFER: usize = 4 << 20;

/// How often a datagram is sent again that the kernel refuses.
const SENDS_AGAIN: usize = 3;

/// Why control cannot start.
#[derive(Debug)]
pub struct BindError {
    what: What,
    error: io::Error,
}

#[derive(Debug)]
enum What {
    Listen(SocketAddr),
    Journal(PathBuf),
    Icmp,
    Metrics(PathBuf),
    Host,
}

impl BindError {
    pub(super) fn journal(path: &FilePath, error: io::Error) -> Self {
        Self { what: What::Journal(path.to_owned()), error }
    }

    pub(super) fn icmp(error: io::Error) -> Self {
        Self { what: What::Icmp, error }
    }

    pub(super) fn metrics(path: &FilePath, error: io::Error) -> Self {
        Self { what: What::Metrics(path.to_owned()), error }
    }

    pub(super) fn host(error: io::Error) -> Self {
        Self { what: What::Host, error }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, error } = self;
        match (what, error.kind()) {
            (What::Listen(address), io::ErrorKind::AddrInUse) => {
                write!(f, "MGCP port {address} is taken by another program")
            }
            (What::Listen(address), io::ErrorKind::AddrNotAvailable) => {
                write!(f, "{} is not an address of this host (mgcp.listen)", address.ip())
            }
            (What::Listen(address), _) => write!(f, "cannot listen on {address} for MGCP: {error}"),
            (What::Journal(path), _) => write!(f, "cannot write the journal {}: {error}", path.display()),
            (What::Icmp, _) => {
                write!(f, "cannot listen to ICMP, which takes CAP_NET_RAW (media.icmp): {error}")
            }
            (What::Metrics(path), _) => write!(f, "cannot write the counters to {}: {error}", path.display()),
            (What::Host, _) => write!(f, "the host refuses what control needs: {error}"),
        }
    }
}

impl std::error::Error for BindError {}

/// A bound MGCP socket.
#[derive(Debug)]
pub(super) struct Listener {
    socket: OwnedFd,
    address: SocketAddr,
}

/// Binds all addresses, or none. `[::1]` is left out where the host has no IPv6: nobody could ask it.
pub(super) fn bind_all(addresses: &[SocketAddr]) -> Result<Vec<Listener>, BindError> {
    let mut all = Vec::new();
    for &address in addresses {
        match Listener::bind(address) {
            Ok(listener) => all.push(listener),
            Err(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL)
                if address.ip() == IpAddr::V6(Ipv6Addr::LOCALHOST) && addresses.len() > 1 =>
            {
                warn!(%address, "not listening there: this host has no IPv6");
            }
            Err(error) => return Err(BindError { what: What::Listen(address), error: error.into() }),
        }
    }
    Ok(all)
}

impl Listener {
    fn bind(address: SocketAddr) -> Result<Self, Errno> {
        let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let socket = socket(family, SockType::Datagram, flags, None)?;
        if address.is_ipv4() {
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
            setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
        } else {
            // One socket, one family: 0.0.0.0 and [::] can then stand beside each other.
            setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
            setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?;
        }
        if setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
            setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER)?;
        }
        bind(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
        let socket = UdpSocket::from(socket);
        let address =
            socket.local_addr().map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))?;
        Ok(Self { socket: socket.into(), address })
    }

    /// The address it is bound to.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes a datagram in: its length, where it came from and which of our addresses it was sent to.
    pub(super) fn receive(&self, octets: &mut [u8]) -> io::Result<(usize, Path)> {
        let mut control = cmsg_space!(in6_pktinfo);
        let mut parts = [IoSliceMut::new(octets)];
        let fd = self.socket.as_raw_fd();
        let message = recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut control), MsgFlags::empty())?;
        let remote = message.address.as_ref().and_then(socket_address);
        let remote = remote.ok_or_else(|| io::Error::other("a datagram without a source"))?;
        let local = message.cmsgs()?.find_map(|control| self.asked(&control)).unwrap_or(self.address);
        Ok((message.bytes, Path { remote, local }))
    }

    /// Takes in an error that the network has sent for a datagram of ours: where that went if it cannot be
    /// delivered, and the length of what the error quotes of it.
    pub(super) fn receive_error(&self, octets: &mut [u8]) -> io::Result<(usize, Option<SocketAddr>)> {
        let mut control = cmsg_space!(sock_extended_err, sockaddr_in6, in6_pktinfo);
        let mut parts = [IoSliceMut::new(octets)];
        let fd = self.socket.as_raw_fd();
        let flags = MsgFlags::MSG_ERRQUEUE;
        let message = recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut control), flags)?;
        let remote = message.address.as_ref().and_then(socket_address);
        let remote =
            remote.filter(|_| message.cmsgs().is_ok_and(|mut all| all.any(|one| is_unreachable(&one))));
        Ok((message.bytes, remote))
    }

    /// The address that was asked, as the kernel tells it beside the datagram.
    fn asked(&self, control: &ControlMessageOwned) -> Option<SocketAddr> {
        let port = self.address.port();
        match control {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                let address = Ipv4Addr::from_bits(u32::from_be(info.ipi_addr.s_addr));
                Some(SocketAddrV4::new(address, port).into())
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                // A link-local address means nothing without its link.
                let scope = if address.is_unicast_link_local() { info.ipi6_ifindex } else { 0 };
                Some(SocketAddrV6::new(address, port, 0, scope).into())
            }
            _ => None,
        }
    }

    /// Whether it can send from `local`.
    fn answers_for(&self, local: SocketAddr) -> bool {
        self.address.port() == local.port()
            && (self.address.ip() == local.ip()
                || self.address.ip().is_unspecified() && self.address.is_ipv4() == local.is_ipv4())
    }

    /// Sends a datagram from the address that `path` says, though errors have come for others: the kernel has
    /// the next send fail for each, whomever it is to. Who sends them on purpose must not silence us.
    fn send(&self, path: Path, octets: &[u8]) -> io::Result<()> {
        let mut sent = self.send_once(path, octets);
        for _ in 0..SENDS_AGAIN {
            let is_refused = |error: &io::Error| error.kind() != io::ErrorKind::WouldBlock;
            if !sent.as_ref().is_err_and(is_refused) {
                break;
            }
            sent = self.send_once(path, octets);
        }
        sent
    }

    /// Sends it, or tells of an error that may be another's.
    fn send_once(&self, path: Path, octets: &[u8]) -> io::Result<()> {
        let parts = [IoSlice::new(octets)];
        let to = SockaddrStorage::from(path.remote);
        let fd = self.socket.as_raw_fd();
        let sent = match path.local {
            SocketAddr::V4(local) => {
                let address = in_addr { s_addr: local.ip().to_bits().to_be() };
                let info = in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: address, ipi_addr: address };
                sendmsg(fd, &parts, &[ControlMessage::Ipv4PacketInfo(&info)], MsgFlags::empty(), Some(&to))
            }
            SocketAddr::V6(local) => {
                let ipi6_addr = in6_addr { s6_addr: local.ip().octets() };
                let info = in6_pktinfo { ipi6_addr, ipi6_ifindex: local.scope_id() };
                sendmsg(fd, &parts, &[ControlMessage::Ipv6PacketInfo(&info)], MsgFlags::empty(), Some(&to))
            }
        };
        sent?;
        Ok(())
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Sends a datagram from the listener that `path` came in by; a new path, whose local address nobody
/// asked, takes the first listener of its family and lets the kernel choose.
pub(super) fn send(listeners: &[Listener], path: Path, octets: &[u8]) -> io::Result<()> {
    if let Some(listener) = listeners.iter().find(|listener| listener.answers_for(path.local)) {
        return listener.send(path, octets);
    }
    let same_family = |listener: &&Listener| listener.address.is_ipv4() == path.remote.is_ipv4();
    let listener = listeners.iter().find(same_family).ok_or(io::ErrorKind::AddrNotAvailable)?;
    listener.send(Path { local: listener.address, ..path }, octets)
}

/// Whether this tells of an ICMP error that says so: of network, host, protocol or port.
fn is_unreachable(control: &ControlMessageOwned) -> bool {
    // RFC 792, RFC 4443 §3.1: destination unreachable. What it says of fragments is no concern of ours.
    match control {
        ControlMessageOwned::Ipv4RecvErr(error, _) => {
            error.ee_origin == libc::SO_EE_ORIGIN_ICMP && error.ee_type == 3 && error.ee_code <= 3
        }
        ControlMessageOwned::Ipv6RecvErr(error, _) => {
            error.ee_origin == libc::SO_EE_ORIGIN_ICMP6 && error.ee_type == 1
        }
        _ => false,
    }
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::from(SocketAddrV4::from(*v4)));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::from(SocketAddrV6::from(*v6))))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn client(at: &str) -> UdpSocket {
        let client = UdpSocket::bind(at).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        client
    }

    /// On loopback a datagram that was sent is there.
    fn ask(listener: &Listener, client: &UdpSocket, address: SocketAddr) -> Path {
        client.send_to(b"AUEP", address).unwrap();
        let mut octets = [0; 16];
        let (len, path) = listener.receive(&mut octets).unwrap();
        assert_eq!(&octets[..len], b"AUEP");
        assert_eq!((path.remote, path.local), (client.local_addr().unwrap(), address));
        path
    }

    fn answers_from(listener: Listener, client: &UdpSocket, asked: SocketAddr) {
        let path = ask(&listener, client, asked);
        send(&[listener], path, b"200").unwrap();
        let mut octets = [0; 16];
        let (len, from) = client.recv_from(&mut octets).unwrap();
        assert_eq!((&octets[..len], from), (&b"200"[..], asked));
    }

    #[test]
    fn an_answer_leaves_from_the_address_that_was_asked() {
        let listener = Listener::bind("0.0.0.0:0".parse().unwrap()).unwrap();
        let asked = SocketAddr::new("127.0.0.2".parse().unwrap(), listener.address().port());
        answers_from(listener, &client("127.0.0.1:0"), asked);
    }

    #[test]
    fn an_answer_over_ipv6_leaves_from_the_address_that_was_asked() {
        let Ok(listener) = Listener::bind("[::]:0".parse().unwrap()) else { return };
        let Ok(socket) = UdpSocket::bind("[::1]:0") else { return };
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let asked = SocketAddr::new("::1".parse().unwrap(), listener.address().port());
        answers_from(listener, &socket, asked);
    }

    #[test]
    fn a_command_of_ours_leaves_from_the_first_listener_of_its_family() {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let (address, client) = (listener.address(), client("127.0.0.1:0"));
        let path = Path { remote: client.local_addr().unwrap(), local: "0.0.0.0:0".parse().unwrap() };
        send(&[listener], path, b"RSIP").unwrap();
        let mut octets = [0; 16];
        assert_eq!(client.recv_from(&mut octets).unwrap(), (4, address));
    }

    /// Sends to a port that nobody has, and waits for what the host says of it.
    fn send_in_vain(listener: &Listener) -> Vec<u8> {
        let ip = listener.address().ip();
        let nobody = UdpSocket::bind((ip, 0)).unwrap().local_addr().unwrap();
        let path = Path { remote: nobody, local: listener.address() };
        listener.send(path, b"RSIP 4711 *@gw MGCP 1.0\r\n").unwrap();
        let mut octets = [0; 64];
        // On loopback the error is there when the send returns.
        let (len, remote) = listener.receive_error(&mut octets).unwrap();
        assert_eq!(remote, Some(nobody));
        octets[..len].to_vec()
    }

    #[test]
    fn an_error_of_the_network_quotes_what_was_sent() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = Listener::bind(address.parse().unwrap()) else { continue };
            let quoted = send_in_vain(&listener);
            assert_eq!(quoted, b"RSIP 4711 *@gw MGCP 1.0\r\n");
            let none = listener.receive_error(&mut [0; 64]).unwrap_err();
            assert_eq!(none.kind(), io::ErrorKind::WouldBlock);
        }
    }

    #[test]
    fn an_error_for_one_call_agent_does_not_keep_what_is_sent_to_another() {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let (address, nobody) = (listener.address(), client("127.0.0.1:0").local_addr().unwrap());
        listener.send(Path { remote: nobody, local: address }, b"RSIP").unwrap();
        let client = client("127.0.0.1:0");
        listener.send(Path { remote: client.local_addr().unwrap(), local: address }, b"200").unwrap();
        assert_eq!(client.recv_from(&mut [0; 16]).unwrap(), (3, address));
    }

    #[test]
    fn a_port_that_is_taken_is_named() {
        let holder = client("127.0.0.1:0");
        let taken = holder.local_addr().unwrap();
        let error = bind_all(&[taken]).map(drop).unwrap_err();
        assert_eq!(error.to_string(), format!("MGCP port {taken} is taken by another program"));
    }

    #[test]
    fn an_address_of_another_host_is_named() {
        let error = bind_all(&["192.0.2.254:2427".parse().unwrap()]).map(drop).unwrap_err();
        assert_eq!(error.to_string(), "192.0.2.254 is not an address of this host (mgcp.listen)");
    }

    #[test]
    fn nothing_to_read_would_block() {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_eq!(listener.receive(&mut [0; 16]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
