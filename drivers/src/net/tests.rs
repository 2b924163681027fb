//! What every driver of [`RtpSockets`](super::RtpSockets) promises, as tests that it must pass against
//! the real kernel. Nothing sleeps but in `flush`.
//!
//! [`contract!`] makes a test of each promise for one [`Ground`]: a driver, and the network it is tried on.

use std::io::{self, IoSliceMut};
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, setsockopt, sockopt};

use super::{BoundSockets, DATAGRAM_MAX, Dscp, PortRange, PortSlot, Ports, RtpSockets, Settings};
use crate::time::{Clock, Instant};

/// A driver, and a network to try it on. Made, used and dropped on one thread.
pub(super) trait Ground: Sized {
    /// The driver.
    type Sockets: RtpSockets;

    /// Fresh ground, or why it cannot be had here.
    fn new() -> Result<Self, String>;

    /// An address for the sockets.
    fn address(&self, family: Family) -> IpAddr;

    /// The driver over ports that have been bound.
    fn start(&self, bound: BoundSockets) -> Self::Sockets;

    /// Somebody to talk to.
    fn peer(&self, family: Family) -> UdpSocket;
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Family {
    V4,
    V6,
}

/// Makes a test of each promise.
macro_rules! contract {
    ($ground:ty: $($promise:ident),+ $(,)?) => {$(
        #[test]
        fn $promise() {
            $crate::net::tests::on_ground::<$ground>(stringify!($promise), $crate::net::tests::$promise);
        }
    )+};
    ($ground:ty) => {
        $crate::net::tests::contract! { $ground:
            datagrams_pass_both_ways_over_ipv4,
            datagrams_pass_both_ways_over_ipv6,
            an_empty_datagram_does_not_deafen_its_socket,
            datagrams_behind_an_empty_one_are_not_lost,
            empty_datagrams_do_not_hold_up_what_is_behind_them,
            the_longest_datagram_passes_and_longer_ones_are_counted_and_dropped,
            flush_sleeps_until_its_time_though_datagrams_come,
            flush_with_a_time_past_takes_in_what_has_come,
            a_thousand_sockets_lose_nothing,
            more_sends_than_there_is_room_for_go_all_the_same,
            the_longest_datagrams_fill_the_space_and_go_out_whole,
            sends_the_kernel_refuses_are_counted,
            a_peer_that_closed_its_port_costs_nobody_else_a_datagram,
            every_port_is_free_as_soon_as_the_sockets_are_dropped,
            what_was_queued_is_sent_when_the_sockets_are_dropped,
            datagrams_bear_their_slots_mark,
        }
    };
}
pub(super) use contract;

/// Says that a test is left out. In CI none may be.
pub(super) fn left_out(name: &str, reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "in CI no test is left out: {name}: {reason}");
    println!("LEFT OUT: {name}: {reason}");
}

/// Runs a test on ground of its own, on a thread of its own: some ground changes its thread for good.
/// Where the ground cannot be had the test is left out, and says so.
pub(super) fn on_ground<G: Ground + 'static>(name: &str, test: fn(&G)) {
    let run = move || match G::new() {
        Ok(ground) => {
            test(&ground);
            None
        }
        Err(reason) => Some(reason),
    };
    match thread::spawn(run).join() {
        Ok(None) => {}
        Ok(Some(reason)) => left_out(name, &reason),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

pub(super) const SMALL: Settings = Settings { receive_buffers: 64, sends: 16, socket_octets: 64 * 1024 };
pub(super) const FIRST: PortSlot = PortSlot(0);
const PATIENCE: Duration = Duration::from_secs(5);

/// Loopback: ground for a driver that needs nothing but sockets.
pub(super) struct Loopback<N> {
    address: Ipv4Addr,
    driver: PhantomData<N>,
}

/// A driver that needs nothing but sockets.
pub(super) trait OverSockets: RtpSockets + Sized {
    fn over(bound: BoundSockets) -> io::Result<Self>;
}

impl<N: OverSockets> Ground for Loopback<N> {
    type Sockets = N;

    /// On an address that no other test, in this process or beside it, is likely to use.
    fn new() -> Result<Self, String> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let [.., high, low] = std::process::id().to_be_bytes();
        let host = NEXT.fetch_add(1, Ordering::Relaxed) as u8;
        Ok(Self { address: Ipv4Addr::new(127, high | 0x80, low, host), driver: PhantomData })
    }

    fn address(&self, family: Family) -> IpAddr {
        match family {
            Family::V4 => self.address.into(),
            Family::V6 => Ipv6Addr::LOCALHOST.into(),
        }
    }

    fn start(&self, bound: BoundSockets) -> N {
        N::over(bound).expect("this kernel has what the driver needs")
    }

    fn peer(&self, family: Family) -> UdpSocket {
        UdpSocket::bind((self.address(family), 0)).unwrap()
    }
}

/// Binds a range of ports that are free, wherever there is one.
fn bind_somewhere(address: IpAddr, pairs: u16, settings: Settings) -> (BoundSockets, Ports) {
    let offset = (std::process::id() % 20) as u16 * 500;
    (0..20_u16)
        .find_map(|attempt| {
            let first = 10_000 + offset + attempt * 500;
            let ports = Ports(vec![PortRange { address, first, pairs }]);
            let bound = BoundSockets::bind(&ports, Dscp::EF, settings).ok()?;
            Some((bound, ports))
        })
        .expect("somewhere there is a free range")
}

/// Sockets and their local addresses.
pub(super) fn sockets_at<G: Ground>(
    ground: &G,
    family: Family,
    pairs: u16,
    settings: Settings,
) -> (G::Sockets, Vec<SocketAddr>) {
    let (bound, ports) = bind_somewhere(ground.address(family), pairs, settings);
    (ground.start(bound), ports.iter().map(|(_, address)| address).collect())
}

/// One pair of sockets, their addresses, and somebody to talk to.
pub(super) fn sockets_and_peer<G: Ground>(ground: &G) -> (G::Sockets, Vec<SocketAddr>, UdpSocket) {
    let (sockets, addresses) = sockets_at(ground, Family::V4, 1, SMALL);
    (sockets, addresses, peer(ground, Family::V4))
}

fn peer<G: Ground>(ground: &G, family: Family) -> UdpSocket {
    let peer = ground.peer(family);
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    peer
}

type Received = (PortSlot, SocketAddr, Instant, Vec<u8>);

/// Ticks until `n` datagrams have come, or patience ends.
pub(super) fn receive(sockets: &mut impl RtpSockets, n: usize) -> Vec<Received> {
    let mut all = Vec::new();
    let end = Clock.now() + PATIENCE;
    while all.len() < n && Clock.now() < end {
        sockets.flush(Clock.now() + Duration::from_millis(1)).unwrap();
        sockets.receive(|slot, from, arrived, octets| all.push((slot, from, arrived, octets.to_vec())));
    }
    all
}

pub(super) fn heard(socket: &UdpSocket) -> Option<Vec<u8>> {
    let mut octets = [0; 2_000];
    socket.recv(&mut octets).ok().map(|len| octets[..len].to_vec())
}

fn both_ways<G: Ground>(ground: &G, family: Family) {
    let (mut sockets, addresses) = sockets_at(ground, family, 1, SMALL);
    let peer = peer(ground, family);
    peer.send_to(b"in", addresses[1]).unwrap();
    let (slot, from, _, octets) = receive(&mut sockets, 1).remove(0);
    assert_eq!((slot, from, &octets[..]), (PortSlot(1), peer.local_addr().unwrap(), &b"in"[..]));

    sockets.send(slot, from, 3, |octets| octets.copy_from_slice(b"out")).unwrap();
    sockets.flush(Instant::ZERO).unwrap();
    let mut octets = [0; 9];
    assert_eq!(peer.recv_from(&mut octets).unwrap(), (3, addresses[1]));
    assert_eq!(&octets[..3], b"out");
    let counters = sockets.counters();
    assert_eq!((counters.received, counters.sent), (1, 1));
    assert_eq!((counters.truncated, counters.full, counters.refused), (0, 0, 0));
}

pub(super) fn datagrams_pass_both_ways_over_ipv4<G: Ground>(ground: &G) {
    both_ways(ground, Family::V4);
}

pub(super) fn datagrams_pass_both_ways_over_ipv6<G: Ground>(ground: &G) {
    both_ways(ground, Family::V6);
}

pub(super) fn an_empty_datagram_does_not_deafen_its_socket<G: Ground>(ground: &G) {
    let (mut sockets, addresses, peer) = sockets_and_peer(ground);
    for _ in 0..3 {
        peer.send_to(b"", addresses[0]).unwrap();
        assert_eq!(receive(&mut sockets, 1)[0].3, b"");
        peer.send_to(b"speech", addresses[0]).unwrap();
        assert_eq!(receive(&mut sockets, 1)[0].3, b"speech");
    }
}

pub(super) fn datagrams_behind_an_empty_one_are_not_lost<G: Ground>(ground: &G) {
    let (mut sockets, addresses, peer) = sockets_and_peer(ground);
    for octets in [&b"1"[..], b"", b"2", b"", b"", b"3"] {
        peer.send_to(octets, addresses[0]).unwrap();
    }
    let octets: Vec<_> = receive(&mut sockets, 6).into_iter().map(|received| received.3).collect();
    assert_eq!(octets, [&b"1"[..], b"", b"2", b"", b"", b"3"]);
}

pub(super) fn empty_datagrams_do_not_hold_up_what_is_behind_them<G: Ground>(ground: &G) {
    let (mut sockets, addresses, peer) = sockets_and_peer(ground);
    for _ in 0..50 {
        peer.send_to(b"", addresses[0]).unwrap();
    }
    peer.send_to(b"speech", addresses[0]).unwrap();
    sockets.flush(Instant::ZERO).unwrap();
    let mut last = Vec::new();
    sockets.receive(|_, _, _, octets| last = octets.to_vec());
    assert_eq!(last, b"speech", "all within one tick");
}

pub(super) fn the_longest_datagram_passes_and_longer_ones_are_counted_and_dropped<G: Ground>(ground: &G) {
    let (mut sockets, addresses, peer) = sockets_and_peer(ground);
    for len in [DATAGRAM_MAX + 1, DATAGRAM_MAX + 16, 9_000, DATAGRAM_MAX] {
        peer.send_to(&vec![7; len], addresses[0]).unwrap();
    }
    assert_eq!(receive(&mut sockets, 1)[0].3, [7; DATAGRAM_MAX]);
    assert_eq!(sockets.counters().truncated, 3);
}

pub(super) fn flush_sleeps_until_its_time_though_datagrams_come<G: Ground>(ground: &G) {
    let (mut sockets, addresses, peer) = sockets_and_peer(ground);
    for octets in [b"1", b"2", b"3"] {
        peer.send_to(octets, addresses[0]).unwrap();
    }
    let until = Clock.now() + Duration::from_millis(20);
    sockets.flush(until).unwrap();
    assert!(Clock.now() >= until);
    let mut n = 0;
    sockets.receive(|_, _, _, _| n += 1);
    assert_eq!(n, 3, "and has taken them in when it wakes");
}

pub(super) fn flush_with_a_time_past_takes_in_what_has_come<G: Ground>(ground: &G) {
    let (mut sockets, addresses, peer) = sockets_and_peer(ground);
    for _ in 0..60 {
        peer.send_to(b"late", addresses[0]).unwrap();
    }
    sockets.flush(Instant::ZERO).unwrap();
    let mut n = 0;
    sockets.receive(|_, _, _, _| n += 1);
    assert_eq!(n, 60);
}

pub(super) fn a_thousand_sockets_lose_nothing<G: Ground>(ground: &G) {
    let (mut sockets, addresses) = sockets_at(ground, Family::V4, 500, Settings::for_slots(1_000));
    let peer = peer(ground, Family::V4);
    for round in 0..8 {
        for (slot, address) in addresses.iter().enumerate() {
            peer.send_to(format!("{slot}/{round}").as_bytes(), address).unwrap();
        }
        let mut came: Vec<_> = receive(&mut sockets, addresses.len());
        came.sort_by_key(|(slot, ..)| *slot);
        for (index, (slot, _, _, octets)) in came.iter().enumerate() {
            assert_eq!((slot.0 as usize, &octets[..]), (index, format!("{index}/{round}").as_bytes()));
        }
        assert_eq!(came.len(), addresses.len());
    }
}

pub(super) fn more_sends_than_there_is_room_for_go_all_the_same<G: Ground>(ground: &G) {
    let (mut sockets, _, peer) = sockets_and_peer(ground);
    let to = peer.local_addr().unwrap();
    for i in 0..150_u8 {
        sockets.send(FIRST, to, 200, |octets| octets.fill(i)).unwrap();
    }
    sockets.flush(Instant::ZERO).unwrap();
    for i in 0..150 {
        assert_eq!(heard(&peer), Some(vec![i; 200]));
    }
    assert_eq!((sockets.counters().sent, sockets.counters().refused), (150, 0));
}

pub(super) fn the_longest_datagrams_fill_the_space_and_go_out_whole<G: Ground>(ground: &G) {
    let (mut sockets, _, peer) = sockets_and_peer(ground);
    let to = peer.local_addr().unwrap();
    for i in 0..20 {
        sockets.send(FIRST, to, DATAGRAM_MAX, |octets| octets.fill(i)).unwrap();
    }
    sockets.flush(Instant::ZERO).unwrap();
    for i in 0..20 {
        assert_eq!(heard(&peer), Some(vec![i; DATAGRAM_MAX]));
    }
}

pub(super) fn sends_the_kernel_refuses_are_counted<G: Ground>(ground: &G) {
    let (mut sockets, ..) = sockets_and_peer(ground);
    let elsewhere = SocketAddr::from((Ipv6Addr::LOCALHOST, 9));
    sockets.send(FIRST, elsewhere, 4, |_| ()).unwrap();
    sockets.flush(Instant::ZERO).unwrap();
    sockets.receive(|_, _, _, _| ());
    assert_eq!((sockets.counters().sent, sockets.counters().refused), (1, 1));
}

pub(super) fn a_peer_that_closed_its_port_costs_nobody_else_a_datagram<G: Ground>(ground: &G) {
    let (mut sockets, addresses, peer) = sockets_and_peer(ground);
    let gone = ground.peer(Family::V4).local_addr().unwrap();
    let here = peer.local_addr().unwrap();
    for i in 0..50 {
        for to in [gone, here] {
            sockets.send(FIRST, to, 1, |octets| octets[0] = i).unwrap();
        }
        // The port unreachable message comes back within this call, over loopback.
        sockets.flush(Instant::ZERO).unwrap();
        assert_eq!(heard(&peer), Some(vec![i]));
        peer.send_to(&[i], addresses[0]).unwrap();
        assert_eq!(receive(&mut sockets, 1)[0].3, [i]);
    }
    assert_eq!((sockets.counters().received, sockets.counters().sent), (50, 100));
}

pub(super) fn every_port_is_free_as_soon_as_the_sockets_are_dropped<G: Ground>(ground: &G) {
    let (mut bound, ports) = bind_somewhere(ground.address(Family::V4), 50, SMALL);
    let peer = peer(ground, Family::V4);
    for _ in 0..10 {
        let mut sockets = ground.start(bound);
        for (_, address) in ports.iter() {
            peer.send_to(b"x", address).unwrap();
        }
        receive(&mut sockets, 10);
        drop(sockets);
        bound = bind_again(&ports);
    }
}

/// Another test that starts a program holds all descriptors of the process for an instant.
fn bind_again(ports: &Ports) -> BoundSockets {
    let end = Clock.now() + PATIENCE;
    loop {
        match BoundSockets::bind(ports, Dscp::EF, SMALL) {
            Err(_) if Clock.now() < end => thread::yield_now(),
            bound => return bound.expect("all are free"),
        }
    }
}

pub(super) fn what_was_queued_is_sent_when_the_sockets_are_dropped<G: Ground>(ground: &G) {
    let (mut sockets, _, peer) = sockets_and_peer(ground);
    sockets.send(FIRST, peer.local_addr().unwrap(), 3, |octets| octets.copy_from_slice(b"bye")).unwrap();
    drop(sockets);
    assert_eq!(heard(&peer), Some(b"bye".to_vec()));
}

pub(super) fn datagrams_bear_their_slots_mark<G: Ground>(ground: &G) {
    let (mut sockets, _, peer) = sockets_and_peer(ground);
    setsockopt(&peer, sockopt::IpRecvTos, &true).unwrap();
    let to = peer.local_addr().unwrap();
    let mut marks = || {
        sockets.send(FIRST, to, 1, |_| ()).unwrap();
        sockets.send(FIRST.rtcp(), to, 1, |_| ()).unwrap();
        sockets.flush(Instant::ZERO).unwrap();
        let marks = [tos(&peer), tos(&peer)];
        sockets.mark(FIRST.rtcp(), Dscp::new(10).unwrap());
        marks
    };
    assert_eq!(marks(), [46 << 2, 46 << 2]);
    assert_eq!(marks(), [46 << 2, 10 << 2]);
}

/// For drivers that the kernel tells when it took a datagram.
pub(super) fn arrival_is_when_the_kernel_took_it_not_when_it_was_looked_at<G: Ground>(ground: &G) {
    let (mut sockets, addresses, peer) = sockets_and_peer(ground);
    let mut arrived_when_sent = || {
        let before = Clock.now();
        peer.send_to(b"now", addresses[0]).unwrap();
        let after = Clock.now();
        sockets.flush(after + Duration::from_millis(10)).unwrap();
        let arrived = receive(&mut sockets, 1)[0].2;
        let slack = Duration::from_micros(200);
        before - slack <= arrived && arrived <= after + slack
    };
    // The kernel turns time stamps on some time after the first socket asks for them.
    assert!((0..50).any(|_| arrived_when_sent()));
    assert!(arrived_when_sent());
}

/// The type of service of the next datagram.
fn tos(peer: &UdpSocket) -> u8 {
    let mut octets = [0; 16];
    let mut parts = [IoSliceMut::new(&mut octets)];
    let mut control = nix::cmsg_space!(u8);
    let message =
        recvmsg::<SockaddrIn>(peer.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty()).unwrap();
    let tos = message.cmsgs().unwrap().find_map(|control| match control {
        ControlMessageOwned::Ipv4Tos(tos) => Some(tos),
        _ => None,
    });
    tos.expect("the kernel tells the type of service")
}
