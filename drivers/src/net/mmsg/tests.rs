//! Against the real kernel, over loopback. Nothing sleeps but in `flush`.

use super::*;
use crate::net::tests::{Ground, Loopback, OverSockets, contract, receive, sockets_and_peer};

impl OverSockets for MmsgSockets {
    fn over(bound: BoundSockets) -> io::Result<Self> {
        Self::new(bound)
    }
}

contract!(Loopback<MmsgSockets>);
contract!(Loopback<MmsgSockets>: arrival_is_when_the_kernel_took_it_not_when_it_was_looked_at);

fn ground() -> Loopback<MmsgSockets> {
    Ground::new().expect("loopback is always there")
}

#[test]
fn a_flood_at_one_port_does_not_keep_the_others_waiting_and_is_taken_later() {
    let (mut sockets, addresses, peer) = sockets_and_peer(&ground());
    let mut sent = 0;
    let mut taken = [0, 0];
    // Small ones, so that more fit the socket's queue than one turn takes.
    for _ in 0..BATCHES_MAX * BATCH * 2 {
        sent += peer.send_to(b"f", addresses[0]).unwrap();
    }
    peer.send_to(b"speech", addresses[1]).unwrap();
    sockets.receive(|slot, _, _, _| taken[slot.0 as usize] += 1);
    assert!(taken[0] <= BATCHES_MAX * BATCH, "{taken:?}");
    assert_eq!(taken[1], 1);
    // What the socket's queue had no room for is the kernel's to drop; all else is there.
    while receive_once(&mut sockets, &mut taken[0]) > 0 {}
    assert!(taken[0] > BATCHES_MAX * BATCH / 2 && taken[0] <= sent, "{taken:?} of {sent}");
    peer.send_to(b"again", addresses[0]).unwrap();
    assert_eq!(receive(&mut sockets, 1)[0].3, b"again", "it is still heard");
}

fn receive_once(sockets: &mut MmsgSockets, taken: &mut usize) -> usize {
    let before = *taken;
    sockets.receive(|_, _, _, _| *taken += 1);
    *taken - before
}

#[test]
fn a_refused_datagram_costs_only_itself() {
    let (mut sockets, _, peer) = sockets_and_peer(&ground());
    let here = peer.local_addr().unwrap();
    let elsewhere = ([0_u16, 0, 0, 0, 0, 0, 0, 1], 9).into();
    let slot = PortSlot(0);
    for (n, to) in [here, elsewhere, here, elsewhere, elsewhere, here].into_iter().enumerate() {
        sockets.send(slot, to, 1, |octets| octets[0] = n as u8).unwrap();
    }
    sockets.flush(Instant::ZERO).unwrap();
    let heard: Vec<_> = (0..3).map(|_| crate::net::tests::heard(&peer).unwrap()[0]).collect();
    assert_eq!((heard, sockets.counters().refused), (vec![0, 2, 5], 3));
}
