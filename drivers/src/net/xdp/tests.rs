//! Against the real kernel: two network namespaces with a veth pair between them, the gateway's side and the
//! peer's. They are the threads' own and gone with them. Where a process may not make them, the tests are
//! left out and say so.

use std::io::{Read, Write};
use std::marker::PhantomData;
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::gettid;

use super::*;
use crate::net::tests::{
    FIRST, Family, Ground, SMALL, heard, left_out, on_ground, receive, sockets_and_peer, sockets_at,
};
use crate::net::{PortRange, Settings};

mod native {
    crate::net::tests::contract!(super::Wire<super::OfDriver>);
}

mod generic {
    crate::net::tests::contract!(super::Wire<super::OfKernel>);
}

/// A veth pair: this thread is on the gateway's side of it.
struct Wire<W> {
    peer: Peer,
    way: PhantomData<W>,
}

/// How the program is attached.
trait Way: 'static {
    const MODE: Mode;
}

struct OfDriver;
struct OfKernel;

impl Way for OfDriver {
    const MODE: Mode = Mode::Native;
}

impl Way for OfKernel {
    const MODE: Mode = Mode::Generic;
}

/// The peer's side: a thread in a namespace of its own that does what it is asked to.
struct Peer {
    jobs: SyncSender<Job>,
}

type Job = Box<dyn FnOnce() + Send>;

impl Peer {
    fn new() -> Result<(Self, i32), String> {
        let (jobs, todo): (_, Receiver<Job>) = sync_channel(1);
        let (started, start) = sync_channel(1);
        thread::spawn(move || {
            let made = unshare(CloneFlags::CLONE_NEWNET).map(|()| gettid().as_raw());
            started.send(made).unwrap();
            todo.into_iter().for_each(|job| job());
        });
        let thread = start.recv().unwrap().map_err(|error| format!("no network namespaces: {error}"))?;
        Ok((Self { jobs }, thread))
    }

    /// What `f` gives, run on the peer's side.
    fn run<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = sync_channel(1);
        self.jobs.send(Box::new(move || done.send(f()).unwrap())).unwrap();
        result.recv().unwrap()
    }

    fn ip(&self, command: &str) {
        let command = command.to_owned();
        self.run(move || ip(&command)).unwrap();
    }
}

/// Runs iproute2 on this thread's side.
fn ip(command: &str) -> Result<String, String> {
    let output = Command::new("ip").args(command.split(' ')).output().map_err(|e| format!("no `ip`: {e}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("ip {command}: {said}"))
    }
}

const GATEWAY: [&str; 2] = ["198.51.100.1", "2001:db8:1::1"];
const PEER: [&str; 2] = ["198.51.100.2", "2001:db8:1::2"];

impl<W: Way> Wire<W> {
    /// With so many queues at the gateway's end, to receive by and to send by.
    fn with_queues(receive: u32, transmit: u32) -> Result<Self, String> {
        let (peer, peer_thread) = Peer::new()?;
        unshare(CloneFlags::CLONE_NEWNET).map_err(|error| format!("no network namespaces: {error}"))?;
        ip(&format!(
            "link add gw0 numrxqueues {receive} numtxqueues {transmit} type veth \
             peer name peer0 numrxqueues {transmit} numtxqueues {receive} netns {peer_thread}"
        ))?;
        let of = |interface, [v4, v6]: [&str; 2]| {
            ["link set lo up".to_owned()]
                .into_iter()
                .chain([format!("addr add {v4}/24 dev {interface}")])
                .chain([format!("addr add {v6}/64 dev {interface} nodad")])
                .chain([format!("link set {interface} up")])
        };
        of("gw0", GATEWAY).try_for_each(|command| ip(&command).map(drop))?;
        of("peer0", PEER).for_each(|command| peer.ip(&command));
        Ok(Self { peer, way: PhantomData })
    }

    fn interface(&self, cores: &[Ports]) -> Result<Arc<Interface>, AttachError> {
        Interface::attach(None, W::MODE, cores)
    }
}

impl<W: Way> Ground for Wire<W> {
    type Sockets = XdpSockets;

    fn new() -> Result<Self, String> {
        let wire = Self::with_queues(1, 1)?;
        match wire.interface(&[ports(GATEWAY[0], 1)]) {
            Err(AttachError::Refused { error, .. }) if error.raw_os_error() == Some(libc::EPERM) => {
                Err(format!("no XDP: {error}"))
            }
            attached => attached.map(|_| wire).map_err(|error| panic!("{error}")),
        }
    }

    fn address(&self, family: Family) -> IpAddr {
        GATEWAY[family as usize].parse().unwrap()
    }

    fn start(&self, bound: BoundSockets) -> XdpSockets {
        let interface = self.interface(std::slice::from_ref(&bound.ports)).unwrap();
        XdpSockets::new(bound, &interface, 0).unwrap()
    }

    fn peer(&self, family: Family) -> UdpSocket {
        self.peer.run(move || UdpSocket::bind((PEER[family as usize], 0)).unwrap())
    }
}

fn ports(address: &str, pairs: u16) -> Ports {
    Ports(vec![PortRange { address: address.parse().unwrap(), first: 20_000, pairs }])
}

/// Sends to a peer until that goes past the kernel, and says after how many datagrams it did.
fn become_known(sockets: &mut XdpSockets, peer: &UdpSocket) -> usize {
    let to = peer.local_addr().unwrap();
    for sent in 0..200 {
        let before = sockets.counters().around;
        sockets.send(FIRST, to, 5, |octets| octets.copy_from_slice(b"known")).unwrap();
        sockets.flush(Clock.now() + Duration::from_millis(10)).unwrap();
        assert_eq!(heard(peer), Some(b"known".to_vec()), "not one is lost meanwhile");
        if sockets.counters().around == before {
            return sent;
        }
    }
    panic!("the next hop never became known");
}

/// Makes a test of one function over a wire.
fn over_wire(name: &str, test: fn(&Wire<OfDriver>)) {
    on_ground(name, test);
}

fn all_pass_the_rings<W: Way>(wire: &Wire<W>, family: Family) {
    let (mut sockets, addresses) = sockets_at(wire, family, 1, SMALL);
    let peer = Ground::peer(wire, family);
    peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    become_known(&mut sockets, &peer);
    let to = peer.local_addr().unwrap();
    let before = sockets.counters();
    for len in 0..=600 {
        let octet = |at: usize| (at * 7 + len) as u8;
        let datagram: Vec<u8> = (0..len).map(octet).collect();
        sockets.send(FIRST, to, len, |octets| octets.copy_from_slice(&datagram)).unwrap();
        let sent_at = Clock.now();
        sockets.flush(Instant::ZERO).unwrap();
        assert_eq!(heard(&peer).as_ref(), Some(&datagram), "{len} octets, whole and with a right checksum");
        peer.send_to(&datagram, addresses[1]).unwrap();
        let (slot, from, arrived, octets) = receive(&mut sockets, 1).remove(0);
        assert_eq!((slot, from, octets), (PortSlot(1), to, datagram));
        assert!(sent_at <= arrived && arrived <= Clock.now());
    }
    let after = sockets.counters();
    assert_eq!((after.sent - before.sent, after.received - before.received), (601, 601));
    assert_eq!((after.around - before.around, after.damaged, after.dropped), (0, 0, 0));
}

#[test]
fn once_the_next_hop_is_known_all_pass_the_rings_over_ipv4() {
    over_wire("all pass the rings", |wire| all_pass_the_rings(wire, Family::V4));
}

#[test]
fn once_the_next_hop_is_known_all_pass_the_rings_over_ipv6() {
    over_wire("all pass the rings", |wire| all_pass_the_rings(wire, Family::V6));
}

#[test]
fn all_pass_the_rings_in_the_kernels_own_reception_too() {
    on_ground::<Wire<OfKernel>>("all pass the rings", |wire| all_pass_the_rings(wire, Family::V4));
}

#[test]
fn arrival_is_when_the_program_saw_it_not_when_it_was_looked_at() {
    over_wire("arrival", |wire| {
        let (mut sockets, addresses, peer) = sockets_and_peer(wire);
        let before = Clock.now();
        peer.send_to(b"now", addresses[0]).unwrap();
        let after = Clock.now();
        sockets.flush(after + Duration::from_millis(20)).unwrap();
        let arrived = receive(&mut sockets, 1)[0].2;
        assert!(before <= arrived && arrived <= after + Duration::from_millis(10), "{before:?} {arrived:?}");
    });
}

#[test]
fn what_is_not_for_our_ports_is_left_to_the_kernel() {
    over_wire("left to the kernel", |wire| {
        let other = UdpSocket::bind((GATEWAY[0], 2_427)).unwrap();
        other.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let listener = TcpListener::bind((GATEWAY[1], 0)).unwrap();
        let (sockets, addresses, peer) = sockets_and_peer(wire);
        peer.send_to(b"AUEP 1 *@tollgate MGCP 1.0\n", other.local_addr().unwrap()).unwrap();
        assert!(heard(&other).is_some_and(|octets| octets.starts_with(b"AUEP")));
        let to = listener.local_addr().unwrap();
        wire.peer.run(move || {
            let mut stream = TcpStream::connect(to).unwrap();
            stream.write_all(b"over TCP").unwrap();
        });
        let mut text = String::new();
        listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
        assert_eq!(text, "over TCP");
        // The port after our last is the kernel's, too.
        peer.send_to(b"behind", (addresses[1].ip(), addresses[1].port() + 1)).unwrap();
        assert_eq!(sockets.counters().received, 0);
    });
}

#[test]
fn a_neighbour_that_gets_another_station_is_followed() {
    over_wire("another station", |wire| {
        let (mut sockets, _, peer) = sockets_and_peer(wire);
        become_known(&mut sockets, &peer);
        wire.peer.ip("link set peer0 address 02:00:5e:00:53:07");
        ip("neigh replace 198.51.100.2 lladdr 02:00:5e:00:53:07 dev gw0 nud reachable").unwrap();
        peer.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        let to = peer.local_addr().unwrap();
        let before = sockets.counters().around;
        let tries = (0..200).find(|_| {
            sockets.send(FIRST, to, 1, |octets| octets[0] = 1).unwrap();
            sockets.flush(Clock.now() + Duration::from_millis(5)).unwrap();
            heard(&peer).is_some()
        });
        assert!(tries.is_some_and(|tries| tries < 50), "{tries:?}");
        assert_eq!(sockets.counters().around, before);
    });
}

#[test]
fn what_is_behind_a_router_goes_to_the_routers_station() {
    over_wire("behind a router", |wire| {
        wire.peer.ip("addr add 203.0.113.9/32 dev lo");
        ip("route add 203.0.113.0/24 via 198.51.100.2").unwrap();
        let (mut sockets, _, _) = sockets_and_peer(wire);
        let far = wire.peer.run(|| UdpSocket::bind("203.0.113.9:0").unwrap());
        far.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        become_known(&mut sockets, &far);
        // And when the route is gone, the kernel says so, and nothing is sent into the void.
        ip("route del 203.0.113.0/24").unwrap();
        let (to, before) = (far.local_addr().unwrap(), sockets.counters().refused);
        let refused = (0..200).any(|_| {
            sockets.send(FIRST, to, 1, |_| ()).unwrap();
            sockets.flush(Clock.now() + Duration::from_millis(5)).unwrap();
            sockets.counters().refused > before
        });
        assert!(refused);
    });
}

#[test]
fn two_cores_get_what_is_theirs_whichever_queue_it_comes_to() {
    over_wire_with_queues(2, 2, |wire| {
        let mut cores = vec![ports(GATEWAY[0], 20), ports(GATEWAY[0], 20)];
        cores[1].0[0].first += 40;
        let interface = wire.interface(&cores).unwrap();
        let mut sockets: Vec<XdpSockets> = cores
            .iter()
            .enumerate()
            .map(|(core, ports)| {
                let bound = BoundSockets::bind(ports, Dscp::EF, Settings { receive_buffers: 2_048, ..SMALL })
                    .unwrap();
                XdpSockets::new(bound, &interface, core).unwrap()
            })
            .collect();
        let peers: Vec<UdpSocket> = (0..16).map(|_| Ground::peer(wire, Family::V4)).collect();
        for (core, ports) in cores.iter().enumerate() {
            for (slot, address) in ports.iter() {
                for peer in &peers {
                    peer.send_to(&[core as u8, slot.0 as u8], address).unwrap();
                }
            }
        }
        for (core, sockets) in sockets.iter_mut().enumerate() {
            let all = receive(sockets, 40 * peers.len());
            assert_eq!(all.len(), 40 * peers.len());
            assert!(all.iter().all(|(slot, _, _, octets)| octets[..] == [core as u8, slot.0 as u8]));
            let counters = sockets.counters();
            assert!(counters.around < counters.received, "some come past the kernel: {counters:?}");
        }
    });
}

fn over_wire_with_queues(receive: u32, transmit: u32, test: fn(&Wire<OfDriver>)) {
    thread::spawn(move || match Wire::with_queues(receive, transmit) {
        Ok(wire) => test(&wire),
        Err(reason) => left_out("several queues", &reason),
    })
    .join()
    .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

#[test]
fn more_cores_than_queues_are_refused_by_name_and_number() {
    over_wire("too few queues", |wire| {
        let error = wire.interface(&[ports(GATEWAY[0], 1), ports(GATEWAY[0], 1)]).unwrap_err();
        assert!(matches!(error, AttachError::TooFewQueues { pairs: 1, cores: 2, .. }), "{error}");
    });
    over_wire_with_queues(2, 1, |wire| {
        let error = wire.interface(&[ports(GATEWAY[0], 1), ports(GATEWAY[0], 1)]).unwrap_err();
        assert!(matches!(error, AttachError::TooFewQueues { pairs: 1, cores: 2, .. }), "{error}");
    });
}

#[test]
fn a_queue_that_nothing_can_be_sent_by_holds_nobody_up() {
    over_wire_with_queues(2, 1, |_| {
        let index = nix::net::if_::if_nametoindex("gw0").unwrap();
        let (done, result) = sync_channel(1);
        thread::spawn(move || {
            let mut ring = Ring::new(index, 1, ring::Binding::Copy, 64, 16).unwrap();
            ring.write(|_| 60);
            ring.transmit();
            done.send(ring.is_sent()).unwrap();
        });
        assert_eq!(result.recv_timeout(Duration::from_secs(5)), Ok(false), "it stays in the ring");
    });
}

#[test]
fn only_the_queue_that_a_core_sends_by_has_room_to_send() {
    over_wire_with_queues(4, 4, |wire| {
        let (mut sockets, ..) = sockets_and_peer(wire);
        let room = |ring: &mut Ring| {
            let mut frames = 0;
            while ring.has_room() {
                ring.write(|_| 60);
                frames += 1;
            }
            frames
        };
        let rooms: Vec<usize> = sockets.rings.iter_mut().map(room).collect();
        assert_eq!(rooms, [2 * SMALL.sends as usize, 1, 1, 1]);
    });
}

#[test]
fn a_link_that_was_down_is_used_again() {
    over_wire("down and up", |wire| {
        let (mut sockets, addresses, peer) = sockets_and_peer(wire);
        become_known(&mut sockets, &peer);
        let to = peer.local_addr().unwrap();
        ip("link set gw0 down").unwrap();
        let is_refused = (0..5_000).any(|_| {
            // Until the resolver has seen it, the ring fills up, and nobody waits for that.
            let _ = sockets.send(FIRST, to, 4, |octets| octets.copy_from_slice(b"down"));
            sockets.flush(Clock.now() + Duration::from_millis(1)).unwrap();
            sockets.counters().refused > 0
        });
        assert!(is_refused, "{:?}", sockets.counters());
        ip("link set gw0 up").unwrap();
        peer.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        let is_known = (0..500).any(|_| {
            let before = sockets.counters();
            let _ = sockets.send(FIRST, to, 2, |octets| octets.copy_from_slice(b"up"));
            sockets.flush(Clock.now() + Duration::from_millis(1)).unwrap();
            let heard: Vec<_> = std::iter::from_fn(|| heard(&peer)).collect();
            heard.iter().any(|octets| octets == b"up") && sockets.counters().around == before.around
        });
        assert!(is_known, "{:?}", sockets.counters());
        let before = sockets.counters();
        peer.send_to(b"in", addresses[0]).unwrap();
        assert_eq!(receive(&mut sockets, 1)[0].3, b"in");
        assert_eq!(sockets.counters().around, before.around);
    });
}

#[test]
fn a_change_of_a_next_hop_that_routes_share_is_told() {
    over_wire("shared next hop", |_| {
        // Otherwise the kernel says that the routes have changed, too.
        std::fs::write("/proc/sys/net/ipv4/nexthop_compat_mode", "0").unwrap();
        ip("nexthop add id 7 via 198.51.100.2 dev gw0").unwrap();
        ip("route add 203.0.113.0/24 nhid 7").unwrap();
        let changes = netlink::Changes::new().unwrap();
        assert!(!changes.take());
        ip("nexthop replace id 7 via 198.51.100.3 dev gw0").unwrap();
        assert!(changes.take());
    });
}

#[test]
fn a_route_that_wraps_packets_is_the_kernels() {
    over_wire("wraps", |_| {
        let index = nix::net::if_::if_nametoindex("gw0").unwrap();
        let mut netlink = netlink::Netlink::new().unwrap();
        let [from, gateway]: [IpAddr; 2] = [GATEWAY[1].parse().unwrap(), PEER[1].parse().unwrap()];
        let to = "2001:db8:2::1".parse().unwrap();
        let plain = netlink::Route { interface: index, gateway: Some(gateway), is_plain: true };
        ip("route add 2001:db8:2::/64 via 2001:db8:1::2 dev gw0").unwrap();
        assert_eq!(netlink.route(from, to).unwrap(), plain);
        let wrapped = "encap seg6 mode encap segs 2001:db8:1::9 dev gw0";
        match ip(&format!("route replace 2001:db8:2::/64 via 2001:db8:1::2 {wrapped}")) {
            Ok(_) => assert!(!netlink.route(from, to).unwrap().is_plain),
            Err(reason) => println!("LEFT OUT: a kernel without segment routing: {reason}"),
        }
    });
}

#[test]
fn an_interface_is_found_by_its_address_and_used_by_one_at_a_time() {
    over_wire("one at a time", |_| {
        let of = |address| Interface::attach(None, Mode::Auto, &[ports(address, 1)]);
        let first = of(GATEWAY[0]).unwrap();
        assert_eq!((first.name(), first.queues()), ("gw0", 1));
        assert!(attached().contains("xdp"));
        let text = of(GATEWAY[0]).unwrap_err().to_string();
        assert!(
            text.starts_with("attaching the XDP program on gw0: another program has it already"),
            "{text}"
        );
        drop(first);
        assert!(is_detached(), "nothing stays behind");
        let generic = Interface::attach(None, Mode::Generic, &[ports(GATEWAY[0], 1)]).unwrap();
        let text = of(GATEWAY[0]).unwrap_err().to_string();
        assert!(text.contains("another program has it already"), "in another mode, too: {text}");
        drop(generic);
        assert!(is_detached(), "nothing stays behind");
        assert_eq!(of("192.0.2.77").unwrap_err().to_string(), "no interface has the address 192.0.2.77");
        assert_eq!(of("127.0.0.1").unwrap_err().to_string(), "lo is not an Ethernet interface");
        let error = Interface::attach(Some("gw9"), Mode::Auto, &[ports(GATEWAY[0], 1)]).unwrap_err();
        assert_eq!(error.to_string(), "there is no interface gw9");
    });
}

#[test]
fn a_source_that_no_host_elsewhere_has_is_not_believed() {
    let mut ports = ports(GATEWAY[0], 1);
    ports.0.push(PortRange { address: GATEWAY[1].parse().unwrap(), ..ports.0[0] });
    let places = Places::new(&ports);
    let from = |source: &str| places.may_come_from(source.parse().unwrap());
    assert!(PEER.into_iter().all(from));
    assert!(!GATEWAY.into_iter().any(from), "that would be us");
    let nobody = ["127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "::1", "ff02::1"];
    assert!(!nobody.into_iter().any(from));
    assert!(!from("::ffff:198.51.100.2"), "IPv4 mapped into IPv6");
    assert_eq!(places.slot(true, 20_001), Some(PortSlot(1)));
    assert_eq!(places.slot(false, 20_000), Some(PortSlot(2)));
    assert_eq!((places.slot(true, 20_002), places.slot(false, 19_999)), (None, None));
}

#[test]
fn what_the_kernel_knows_better_goes_around() {
    let goes_through = |from: &str, to: &str, len| {
        goes_through(from.parse().unwrap(), SocketAddr::new(to.parse().unwrap(), 5_004), len)
    };
    assert!(goes_through(GATEWAY[0], PEER[0], PACKET_MAX - 28));
    assert!(goes_through(GATEWAY[1], PEER[1], PACKET_MAX - 48));
    assert!(!goes_through(GATEWAY[0], PEER[0], PACKET_MAX - 27), "longer than every path carries");
    assert!(!goes_through(GATEWAY[1], PEER[1], PACKET_MAX - 47));
    assert!(!goes_through(GATEWAY[0], PEER[1], 172), "of another family");
    assert!(!goes_through(GATEWAY[1], "fe80::2", 172), "of which link?");
    assert!(!goes_through(GATEWAY[1], "::ffff:198.51.100.2", 172), "IPv4 mapped into IPv6");
}

#[test]
fn a_stale_neighbour_is_asked_again_when_it_is_to_be() {
    over_wire("stale", |_| {
        let index = nix::net::if_::if_nametoindex("gw0").unwrap();
        let neighbour = PEER[0].parse().unwrap();
        let mut netlink = netlink::Netlink::new().unwrap();
        assert_eq!(netlink.neighbour(index, neighbour).unwrap_err().raw_os_error(), Some(libc::ENOENT));
        ip("neigh replace 198.51.100.2 lladdr 02:00:5e:00:53:07 dev gw0 nud stale").unwrap();
        let mac = Some([0x02, 0x00, 0x5E, 0x00, 0x53, 0x07]);
        let mut seen = || netlink.neighbour(index, neighbour).unwrap();
        assert_eq!(seen(), netlink::Neighbour { mac, is_stale: true });
        netlink::Netlink::new().unwrap().confirm(index, neighbour).unwrap();
        assert_eq!(seen(), netlink::Neighbour { mac, is_stale: false }, "the kernel is about to ask");
    });
}

fn attached() -> String {
    ip("link show gw0").unwrap()
}

/// Whether nothing is attached, or soon will be: a test that starts a program holds all descriptors of the
/// process for an instant.
fn is_detached() -> bool {
    (0..50).any(|_| !attached().contains("xdp"))
}

#[test]
fn sockets_that_are_dropped_leave_the_interface_as_it_was() {
    over_wire("as it was", |wire| {
        let (sockets, ..) = sockets_and_peer(wire);
        assert!(attached().contains("xdp"));
        drop(sockets);
        assert!(is_detached());
    });
}

#[test]
fn what_comes_while_the_worker_is_late_waits_and_what_is_too_much_is_counted() {
    over_wire("late", |wire| {
        let (mut sockets, addresses, peer) = sockets_and_peer(wire);
        for n in 0..100_u8 {
            peer.send_to(&[n], addresses[0]).unwrap();
        }
        let mut came = Vec::new();
        sockets.receive(|_, _, _, octets| came.push(octets[0]));
        assert!(came.iter().copied().eq(0..came.len() as u8), "in order: {came:?}");
        assert!(came.len() >= SMALL.receive_buffers as usize, "{}", came.len());
        sockets.statistics_at = Instant::ZERO;
        sockets.flush(Instant::ZERO).unwrap();
        assert_eq!(came.len() as u64 + sockets.counters().dropped, 100);
        peer.send_to(b"on", addresses[0]).unwrap();
        assert_eq!(receive(&mut sockets, 1)[0].3, b"on", "and it goes on");
    });
}
