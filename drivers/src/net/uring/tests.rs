//! Against the real kernel, over loopback. Nothing sleeps but in `flush`.

use super::*;
use crate::net::tests::{
    Family, Ground, Loopback, OverSockets, contract, receive, sockets_and_peer, sockets_at,
};

impl OverSockets for UringSockets {
    fn over(bound: BoundSockets) -> io::Result<Self> {
        Self::new(bound)
    }
}

contract!(Loopback<UringSockets>);
contract!(Loopback<UringSockets>: arrival_is_when_the_kernel_took_it_not_when_it_was_looked_at);

fn ground() -> Loopback<UringSockets> {
    Ground::new().expect("loopback is always there")
}

/// Packets after which a stream of one each 5 ms has had a calm stretch, however busy the machine: 20 s of them.
const PACKETS_MAX: usize = 4_000;

#[test]
fn a_steady_stream_is_read_without_being_told_of() {
    let (mut sockets, addresses, peer) = sockets_and_peer(&ground());
    let mut came = 0;
    let mut told = Vec::new();
    for n in 1..=PACKETS_MAX {
        peer.send_to(b"speech", addresses[0]).unwrap();
        sockets.flush(Clock.now() + Duration::from_millis(5)).unwrap();
        sockets.receive(|_, _, _, _| came += 1);
        told.push(sockets.counters().told);
        // The machine may be busy with other things for some time.
        if let [.., before, now] = told.chunks_exact(40).map(|chunk| chunk[39]).collect::<Vec<_>>()[..]
            && now - before <= 2
            && came + 2 >= n
        {
            return;
        }
    }
    panic!("{came} came of {PACKETS_MAX}, {:?}", sockets.counters());
}

#[test]
fn what_keeps_no_pace_costs_one_request_and_one_read_each() {
    let (mut sockets, addresses, peer) = sockets_and_peer(&ground());
    let before = sockets.counters();
    for n in 1..=6 {
        peer.send_to(b"speech", addresses[0]).unwrap();
        assert_eq!(receive(&mut sockets, 1).len(), 1);
        let counters = sockets.counters();
        assert_eq!((counters.told - before.told, counters.vain), (n, 0));
    }
}

#[test]
fn a_flood_at_one_socket_takes_its_share_of_a_tick_and_no_more() {
    let (mut sockets, addresses, peer) = sockets_and_peer(&ground());
    for _ in 0..150 {
        peer.send_to(b"flood", addresses[0]).unwrap();
    }
    peer.send_to(b"speech", addresses[1]).unwrap();
    sockets.flush(Instant::ZERO).unwrap();
    let mut came = [0_usize; 2];
    sockets.receive(|slot, _, _, _| came[slot.0 as usize] += 1);
    assert_eq!(came, [READS_A_TICK.into(), 1]);
    assert_eq!(receive(&mut sockets, 23).len(), 23, "what is more comes in the next");
    assert_eq!(sockets.counters().put_off, 0);
}

#[test]
fn a_flood_at_all_sockets_does_not_hold_up_the_tick() {
    let ground = ground();
    let (mut sockets, addresses) = sockets_at(&ground, Family::V4, 100, Settings::for_slots(1_000));
    let peer = ground.peer(Family::V4);
    for address in &addresses {
        for _ in 0..120 {
            peer.send_to(b"flood", address).unwrap();
        }
    }
    let all = 120 * addresses.len();
    sockets.flush(Instant::ZERO).unwrap();
    let mut came = 0;
    sockets.receive(|_, _, _, _| came += 1);
    let most = ROUNDS_MAX as usize * 64;
    assert!(came > most / 2 && came <= most && most < all, "{came} came");
    assert_eq!(sockets.counters().put_off, 1);
    assert_eq!(receive(&mut sockets, all - came).len(), all - came, "what is more comes in the next ticks");
}
