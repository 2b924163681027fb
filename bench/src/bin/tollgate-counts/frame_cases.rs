//! A packet of 20 ms into an Ethernet frame and out of one, as AF_XDP has it: headers and checksums.

use std::net::IpAddr;

use drivers::net::Dscp;
use drivers::net::xdp::frame::{self, FRAME_MAX, Sender};

use crate::{Case, counted};

/// Does a case; says how often.
pub(crate) fn run(case: Case) -> u64 {
    let sender = Sender {
        mac: [2, 0, 0, 0, 0, 1],
        address: IpAddr::from([192, 0, 2, 1]),
        port: 20_000,
        dscp: Dscp::EF,
    };
    let (next_hop, to) = ([2, 0, 0, 0, 0, 2], ([192, 0, 2, 2], 10_000).into());
    let mut frame = [0; FRAME_MAX];
    let mut done = 0;
    for number in 0..TIMES {
        let write = |out: &mut [u8]| out.copy_from_slice(&[number as u8; PACKET]);
        let mut write = || frame::write(&mut frame, &sender, next_hop, to, PACKET, write);
        let len = if case == Case::FrameOut { counted(write) } else { write() };
        if case == Case::FrameIn {
            let datagram = counted(|| frame::read(&frame[..len])).expect("it was written just now");
            assert_eq!(std::hint::black_box(datagram).octets.len(), PACKET);
        }
        done += 1;
    }
    done
}

/// Octets of RTP with 20 ms of G.711.
const PACKET: usize = 172;

const TIMES: u64 = 310;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_case_is_done_as_often_as_it_says() {
        assert_eq!((run(Case::FrameIn), run(Case::FrameOut)), (TIMES, TIMES));
    }
}
