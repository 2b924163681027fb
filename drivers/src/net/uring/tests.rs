//! Against the real kernel, over loopback. Nothing sleeps but in `flush`.

use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, setsockopt, sockopt};

use super::*;
use crate::net::{PortRange, Ports};

const SMALL: Settings = Settings { receive_buffers: 64, sends: 16, socket_octets: 64 * 1024 };
const FIRST: PortSlot = PortSlot(0);
const PATIENCE: Duration = Duration::from_secs(5);

/// A loopback address that no other test, in this process or beside it, is likely to use.
fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, high | 0x80, low, NEXT.fetch_add(1, Ordering::Relaxed) as u8)
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
fn sockets_at(address: IpAddr, pairs: u16, settings: Settings) -> (UringSockets, Vec<SocketAddr>) {
    let (bound, ports) = bind_somewhere(address, pairs, settings);
    let sockets = UringSockets::new(bound).expect("this kernel has io_uring");
    (sockets, ports.iter().map(|(_, address)| address).collect())
}

/// One pair of sockets, their addresses, and somebody to talk to.
fn sockets_and_peer() -> (UringSockets, Vec<SocketAddr>, UdpSocket) {
    let address = own_address().into();
    let (sockets, addresses) = sockets_at(address, 1, SMALL);
    (sockets, addresses, peer(address))
}

fn peer(address: IpAddr) -> UdpSocket {
    let peer = UdpSocket::bind((address, 0)).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    peer
}

type Received = (PortSlot, SocketAddr, Instant, Vec<u8>);

/// Ticks until `n` datagrams have come, or patience ends.
fn receive(sockets: &mut UringSockets, n: usize) -> Vec<Received> {
    let mut all = Vec::new();
    let end = Clock.now() + PATIENCE;
    while all.len() < n && Clock.now() < end {
        sockets.flush(Clock.now() + Duration::from_millis(1)).unwrap();
        sockets.receive(|slot, from, arrived, octets| all.push((slot, from, arrived, octets.to_vec())));
    }
    all
}

fn heard(socket: &UdpSocket) -> Option<Vec<u8>> {
    let mut octets = [0; 2_000];
    socket.recv(&mut octets).ok().map(|len| octets[..len].to_vec())
}

fn both_ways(address: IpAddr) {
    let (mut sockets, addresses) = sockets_at(address, 1, SMALL);
    let peer = peer(address);
    peer.send_to(b"in", addresses[1]).unwrap();
    let (slot, from, _, octets) = receive(&mut sockets, 1).remove(0);
    assert_eq!((slot, from, &octets[..]), (PortSlot(1), peer.local_addr().unwrap(), &b"in"[..]));

    sockets.send(slot, from, 3, |octets| octets.copy_from_slice(b"out")).unwrap();
    sockets.flush(Instant::ZERO).unwrap();
    let mut octets = [0; 9];
    assert_eq!(peer.recv_from(&mut octets).unwrap(), (3, addresses[1]));
    assert_eq!(&octets[..3], b"out");
    assert_eq!(sockets.counters(), NetCounters { received: 1, sent: 1, ..NetCounters::default() });
}

#[test]
fn datagrams_pass_both_ways_over_ipv4() {
    both_ways(own_address().into());
}

#[test]
fn datagrams_pass_both_ways_over_ipv6() {
    both_ways(Ipv6Addr::LOCALHOST.into());
}

#[test]
fn a_taken_port_is_named_and_leaves_none_bound() {
    let address = own_address();
    let taken = UdpSocket::bind((address, 20_004)).unwrap();
    let ports = Ports(vec![PortRange { address: address.into(), first: 20_000, pairs: 4 }]);
    let error = BoundSockets::bind(&ports, Dscp::EF, SMALL).unwrap_err();
    assert_eq!(error.to_string(), format!("{address}:20004 is taken by another program"));
    drop(taken);
    BoundSockets::bind(&ports, Dscp::EF, SMALL).expect("the others were let go");
}

#[test]
fn an_address_that_is_not_ours_is_named() {
    let address = Ipv4Addr::new(192, 0, 2, 1).into();
    let ports = Ports(vec![PortRange { address, first: 20_000, pairs: 1 }]);
    let error = BoundSockets::bind(&ports, Dscp::EF, SMALL).unwrap_err();
    assert_eq!(error.to_string(), "192.0.2.1 is not an address of this host");
}

#[test]
fn an_empty_datagram_does_not_deafen_its_socket() {
    let (mut sockets, addresses, peer) = sockets_and_peer();
    for _ in 0..3 {
        peer.send_to(b"", addresses[0]).unwrap();
        assert_eq!(receive(&mut sockets, 1)[0].3, b"");
        peer.send_to(b"speech", addresses[0]).unwrap();
        assert_eq!(receive(&mut sockets, 1)[0].3, b"speech");
    }
    assert_eq!(sockets.counters().rearmed, 3);
}

#[test]
fn datagrams_behind_an_empty_one_are_not_lost() {
    let (mut sockets, addresses, peer) = sockets_and_peer();
    for octets in [&b"1"[..], b"", b"2", b"", b"", b"3"] {
        peer.send_to(octets, addresses[0]).unwrap();
    }
    let octets: Vec<_> = receive(&mut sockets, 6).into_iter().map(|received| received.3).collect();
    assert_eq!(octets, [&b"1"[..], b"", b"2", b"", b"", b"3"]);
}

#[test]
fn empty_datagrams_do_not_hold_up_what_is_behind_them() {
    let (mut sockets, addresses, peer) = sockets_and_peer();
    for _ in 0..50 {
        peer.send_to(b"", addresses[0]).unwrap();
    }
    peer.send_to(b"speech", addresses[0]).unwrap();
    sockets.flush(Instant::ZERO).unwrap();
    let mut last = Vec::new();
    sockets.receive(|_, _, _, octets| last = octets.to_vec());
    assert_eq!(last, b"speech", "all within one tick");
}

#[test]
fn the_longest_datagram_passes_and_longer_ones_are_counted_and_dropped() {
    let (mut sockets, addresses, peer) = sockets_and_peer();
    for len in [DATAGRAM_MAX + 1, DATAGRAM_MAX + 16, 9_000, DATAGRAM_MAX] {
        peer.send_to(&vec![7; len], addresses[0]).unwrap();
    }
    assert_eq!(receive(&mut sockets, 1)[0].3, [7; DATAGRAM_MAX]);
    assert_eq!(sockets.counters().truncated, 3);
}

#[test]
fn arrival_is_when_the_kernel_took_it_not_when_it_was_looked_at() {
    let (mut sockets, addresses, peer) = sockets_and_peer();
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

#[test]
fn flush_sleeps_until_its_time_though_datagrams_come() {
    let (mut sockets, addresses, peer) = sockets_and_peer();
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

#[test]
fn flush_with_a_time_past_takes_in_what_has_come() {
    let (mut sockets, addresses, peer) = sockets_and_peer();
    for _ in 0..60 {
        peer.send_to(b"late", addresses[0]).unwrap();
    }
    sockets.flush(Instant::ZERO).unwrap();
    let mut n = 0;
    sockets.receive(|_, _, _, _| n += 1);
    assert_eq!(n, 60);
}

#[test]
fn a_thousand_sockets_share_few_buffers_and_lose_nothing() {
    const ROUNDS: u32 = 8;
    let address = own_address().into();
    let (mut sockets, addresses) = sockets_at(address, 500, SMALL);
    let peer = peer(address);
    for round in 0..ROUNDS {
        for (slot, address) in addresses.iter().enumerate() {
            peer.send_to(format!("{slot}/{round}").as_bytes(), address).unwrap();
        }
    }
    let mut next = vec![0; addresses.len()];
    for (slot, _, _, octets) in receive(&mut sockets, addresses.len() * ROUNDS as usize) {
        let round = &mut next[slot.0 as usize];
        assert_eq!(octets, format!("{}/{round}", slot.0).as_bytes());
        *round += 1;
    }
    assert!(next.iter().all(|&rounds| rounds == ROUNDS));
    let counters = sockets.counters();
    assert!(counters.starved > 0 && counters.rearmed >= counters.starved, "{counters:?}");
}

#[test]
fn more_sends_than_there_is_room_for_go_in_several_submissions() {
    let (mut sockets, _, peer) = sockets_and_peer();
    let to = peer.local_addr().unwrap();
    for i in 0..150_u8 {
        sockets.send(FIRST, to, 200, |octets| octets.fill(i)).unwrap();
    }
    sockets.flush(Instant::ZERO).unwrap();
    for i in 0..150 {
        assert_eq!(heard(&peer), Some(vec![i; 200]));
    }
    assert_eq!(sockets.counters(), NetCounters { sent: 150, ..NetCounters::default() });
}

#[test]
fn the_longest_datagrams_fill_the_space_and_go_out_whole() {
    let (mut sockets, _, peer) = sockets_and_peer();
    let to = peer.local_addr().unwrap();
    for i in 0..20 {
        sockets.send(FIRST, to, DATAGRAM_MAX, |octets| octets.fill(i)).unwrap();
    }
    sockets.flush(Instant::ZERO).unwrap();
    for i in 0..20 {
        assert_eq!(heard(&peer), Some(vec![i; DATAGRAM_MAX]));
    }
}

#[test]
fn sends_the_kernel_refuses_are_counted() {
    let (mut sockets, ..) = sockets_and_peer();
    let elsewhere = SocketAddr::from((Ipv6Addr::LOCALHOST, 9));
    sockets.send(FIRST, elsewhere, 4, |_| ()).unwrap();
    sockets.flush(Instant::ZERO).unwrap();
    sockets.receive(|_, _, _, _| ());
    assert_eq!((sockets.counters().sent, sockets.counters().refused), (1, 1));
}

#[test]
fn a_peer_that_closed_its_port_costs_nobody_else_a_datagram() {
    let (mut sockets, addresses, peer) = sockets_and_peer();
    let gone = UdpSocket::bind((addresses[0].ip(), 0)).unwrap().local_addr().unwrap();
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
    assert_eq!(sockets.counters(), NetCounters { received: 50, sent: 100, ..NetCounters::default() });
}

#[test]
fn every_port_is_free_as_soon_as_the_sockets_are_dropped() {
    let address = own_address().into();
    let (mut bound, ports) = bind_somewhere(address, 50, SMALL);
    let peer = peer(address);
    for _ in 0..10 {
        let mut sockets = UringSockets::new(bound).unwrap();
        for (_, address) in ports.iter() {
            peer.send_to(b"x", address).unwrap();
        }
        receive(&mut sockets, 10);
        drop(sockets);
        bound = BoundSockets::bind(&ports, Dscp::EF, SMALL).expect("all are free");
    }
}

#[test]
fn what_was_queued_is_sent_when_the_sockets_are_dropped() {
    let (mut sockets, _, peer) = sockets_and_peer();
    sockets.send(FIRST, peer.local_addr().unwrap(), 3, |octets| octets.copy_from_slice(b"bye")).unwrap();
    drop(sockets);
    assert_eq!(heard(&peer), Some(b"bye".to_vec()));
}

#[test]
fn datagrams_bear_their_slots_mark() {
    let (mut sockets, _, peer) = sockets_and_peer();
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
