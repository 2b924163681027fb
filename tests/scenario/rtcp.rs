//! RTCP as a peer sees it (RFC 3550 §6).

use std::time::Duration;

use drivers::line::Law;
use tests::World;
use tests::audio::distinct;

/// The packet types of a compound packet, in order.
fn types(mut compound: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    while compound.len() >= 4 {
        all.push(compound[1]);
        let len = 4 * (1 + usize::from(u16::from_be_bytes([compound[2], compound[3]])));
        compound = &compound[len.min(compound.len())..];
    }
    all
}

#[test]
fn reports_come_every_few_seconds_and_a_bye_at_the_end() {
    let mut w = World::builder(61).build();
    let peer = w.add_peer("10.0.0.9:4000");
    let sdp = w.peers[peer].description("8");
    let reply = w.connect("ds/e1-1/1", "sendrecv", &sdp);
    w.play(peer, reply.rtp(), 8, 20, &distinct(1, Law::A, 8_000));
    w.run_for(Duration::from_secs(60));
    // RFC 3550 §6.3.1: 5 s on average between two members' reports, spread from half to one and a half
    // and divided by 1.21828.
    let reports = w.peers[peer].reports.len();
    assert!((8..=24).contains(&reports), "{reports} reports in a minute");
    for report in &w.peers[peer].reports {
        assert_eq!(types(report), [200, 202], "a sender report and a description of the source");
    }
    let last = w.peers[peer].reports.last().expect("there are reports").clone();
    let word = |at: usize| u32::from_be_bytes(last[at..at + 4].try_into().expect("four octets"));
    assert_eq!(last[0] & 0x1F, 1, "one report block");
    assert_eq!(word(4), w.peers[peer].heard[0].ssrc);
    assert_eq!(word(28), 0x1234_5678, "the block is about the peer");
    assert_eq!(word(32), 0, "nothing was lost");
    w.ask("DLCX ds/e1-1/1@gw", "");
    w.run_for(Duration::from_millis(100));
    let bye = w.peers[peer].reports.last().expect("there are reports");
    assert_eq!(types(bye).last(), Some(&203), "RFC 3550 §6.6: who leaves says so");
}
