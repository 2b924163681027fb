//! Against the real kernel, over loopback. Nothing sleeps but in `flush`.

use super::*;
use crate::net::tests::{
    Family, Ground, Loopback, OverSockets, SMALL, contract, receive, sockets_and_peer, sockets_at,
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

#[test]
fn a_receive_that_an_empty_datagram_ended_is_armed_again() {
    let (mut sockets, addresses, peer) = sockets_and_peer(&ground());
    for times in 1..=3 {
        peer.send_to(b"", addresses[0]).unwrap();
        receive(&mut sockets, 1);
        assert_eq!(sockets.counters().rearmed, times);
    }
}

#[test]
fn sockets_that_share_few_buffers_are_armed_again_when_there_are_some() {
    let ground = ground();
    let (mut sockets, addresses) = sockets_at(&ground, Family::V4, 50, SMALL);
    let peer = ground.peer(Family::V4);
    for address in &addresses {
        peer.send_to(b"one of 100", address).unwrap();
    }
    assert_eq!(receive(&mut sockets, addresses.len()).len(), addresses.len());
    let counters = sockets.counters();
    assert!(counters.starved > 0 && counters.rearmed >= counters.starved, "{counters:?}");
}
