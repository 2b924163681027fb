//! Against the real kernel, over loopback. Nothing sleeps but in `flush`.

use super::*;
use crate::net::tests::{Ground, Loopback, OverSockets, contract, receive, sockets_and_peer};

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
fn a_steady_stream_is_read_without_being_told_of() {
    let (mut sockets, addresses, peer) = sockets_and_peer(&ground());
    let mut came = 0;
    for n in 1..=100 {
        peer.send_to(b"speech", addresses[0]).unwrap();
        sockets.flush(Clock.now() + Duration::from_millis(5)).unwrap();
        sockets.receive(|_, _, _, _| came += 1);
        let counters = sockets.counters();
        if n > 20 && counters.told < n / 2 && came + 2 >= n {
            return;
        }
    }
    panic!("{came} came of 100, {:?}", sockets.counters());
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
    assert!(came[0] <= usize::from(READS_A_TICK + READS_A_LOOK) && came[1] == 1, "{came:?}");
    let rest = receive(&mut sockets, 150 - came[0]);
    assert_eq!(came[0] + rest.len(), 150, "what is more comes in the next");
}
