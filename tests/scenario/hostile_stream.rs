//! Streams that jump, stop, move and start anew: each is heard again soon, with no more delay than before.

use std::time::Duration;

use dataplane::stats::Counter;
use drivers::line::Law;
use drivers::net::sim::Impairment;
use tests::World;
use tests::audio::{distinct, follows};

const PEER: &str = "10.0.0.9:4000";
const MS: Duration = Duration::from_millis(1);

/// A call of a looped DS0 with a peer that has played `source` for a second.
fn talking(seed: u64, source: &[u8]) -> (World, usize) {
    let mut w = World::builder(seed).spans("[[span]]\n").build();
    let peer = w.add_peer(PEER);
    let sdp = w.peers[peer].description("8");
    let leg = w.connect("ds/e1-1/1", "sendrecv", &sdp);
    w.play(peer, leg.rtp(), 8, 20, source);
    w.run_for(1_000 * MS);
    (w, peer)
}

/// Octets that the loop holds back: how far what a peer hears is behind what it says.
fn echo_delay(w: &mut World, peer: usize, source: &[u8]) -> usize {
    w.peers[peer].heard.clear();
    w.run_for(200 * MS);
    let heard: Vec<u8> = w.peers[peer].heard.iter().flat_map(|p| p.payload.clone()).collect();
    let at = follows(source, &heard, 0).expect("what comes back is what was said, whole");
    let said = w.peers[peer].said();
    (said + source.len() - at - heard.len()) % source.len()
}

#[test]
fn a_jump_of_timestamp_sequence_or_source_is_followed_within_a_fifth_of_a_second() {
    let source = distinct(5, Law::A, 65_537);
    let jumps: Vec<(u32, u16, u32)> = [0, 40, 160, 1_600, 3_000, 8_000, 80_000, 0x7FFF_FFFF, 0x8000_0000]
        .into_iter()
        .flat_map(|by: u32| [(by, 0, 0), (by.wrapping_neg(), 0, 0), (by, 30_000, 0), (by, 0, 1), (by, 5, 1)])
        .collect();
    for (seed, (timestamp, sequence, ssrc)) in jumps.into_iter().enumerate() {
        let (mut w, peer) = talking(seed as u64, &source);
        let before = echo_delay(&mut w, peer, &source);
        let one = &mut w.peers[peer];
        one.timestamp = one.timestamp.wrapping_add(timestamp);
        one.sequence = one.sequence.wrapping_add(sequence);
        one.ssrc = one.ssrc.wrapping_add(ssrc);
        let what = format!("timestamp {timestamp:#x}, sequence {sequence}, source {ssrc}");
        // A step ahead that the buffer has room for is silence first, and taken for delay; it is cut out
        // a pitch period at a time.
        w.run_for(if (1..4_000).contains(&timestamp) { 6_000 * MS } else { 200 * MS });
        let lost = w.count(Counter::ConcealedOctets);
        let after = echo_delay(&mut w, peer, &source);
        assert_eq!(w.count(Counter::ConcealedOctets), lost, "{what}: it is heard whole again");
        assert!(after <= before + 320, "{what}: {before} octets of delay became {after}");
    }
}

#[test]
fn silences_of_a_sender_are_silence_and_cost_no_delay() {
    let source = distinct(6, Law::A, 65_537);
    let (mut w, peer) = talking(7, &source);
    let before = echo_delay(&mut w, peer, &source);
    for silence_ms in [20, 60, 180, 500, 990, 1_010, 5_000] {
        w.peers[peer].pause(silence_ms * MS);
        w.run_for((silence_ms + 300) * MS);
        let after = echo_delay(&mut w, peer, &source);
        // What is said and heard is counted in whole packets, which a silence moves against each other.
        assert!(after <= before + 160, "{silence_ms} ms: {before} octets of delay became {after}");
    }
}

#[test]
fn a_spike_and_steps_of_the_route_are_over_in_seconds() {
    let source = distinct(8, Law::A, 65_537);
    let (mut w, peer) = talking(9, &source);
    let before = echo_delay(&mut w, peer, &source);
    for delay_ms in [200, 0, 60, 120, 30, 0, 150, 0] {
        w.net().impair(Impairment { delay: delay_ms * MS, ..Impairment::default() });
        w.run_for(8_000 * MS);
        let adjusted = w.count(Counter::JitterAdjusted);
        let after = echo_delay(&mut w, peer, &source);
        assert_eq!(w.count(Counter::JitterAdjusted), adjusted, "{delay_ms} ms: it has settled");
        // The delay is that of the two ways, and at most twice the nominal wait.
        let most = before + 16 * delay_ms as usize + 320;
        assert!(after <= most, "{delay_ms} ms: {before} octets of delay became {after}");
    }
}
