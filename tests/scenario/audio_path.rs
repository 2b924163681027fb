//! One DS0 and one RTP peer: laws, clear channel, where packets come from, sources that change.

use std::time::Duration;

use dataplane::stats::Counter;
use drivers::line::Law;
use drivers::span::sim::FarEnd;
use tests::audio::{distinct, follows, onset};
use tests::rtp_peer::packet;
use tests::{World, WorldBuilder};

const PEER: &str = "10.0.0.9:4000";

fn alone(seed: u64) -> WorldBuilder {
    World::builder(seed).spans("[[span]]\n")
}

#[test]
fn what_a_loop_returns_is_what_was_sent() {
    for (payload_type, law) in [(8, Law::A), (0, Law::Mu)] {
        let spans = if law == Law::A { "[[span]]\n" } else { "[[span]]\nlaw = \"mu\"\n" };
        let mut w = World::builder(1).spans(spans).build();
        let peer = w.add_peer(PEER);
        let sdp = w.peers[peer].description(&payload_type.to_string());
        let to = w.connect("ds/e1-1/5", "sendrecv", &sdp).rtp();
        let source = distinct(9, law, 40_009);
        w.play(peer, to, payload_type, 20, &source);
        w.run_for(Duration::from_secs(3));
        let heard: Vec<u8> = w.peers[peer].heard.iter().flat_map(|p| p.payload.clone()).collect();
        let onset = onset(&heard, law).expect("the loop returns what it hears");
        assert!(heard.len() - onset > 16_000);
        assert!(follows(&source, &heard, onset).is_some(), "{law}: the loop's octets are the peer's");
    }
}

#[test]
fn packets_follow_each_other_without_a_gap_from_random_starts() {
    let mut starts = Vec::new();
    for seed in 1..=5 {
        let mut w = alone(seed).build();
        let peer = w.add_peer(PEER);
        let sdp = w.peers[peer].description("8");
        w.connect("ds/e1-1/5", "sendrecv", &sdp);
        w.run_for(Duration::from_secs(1));
        let heard = &w.peers[peer].heard;
        assert!((48..=50).contains(&heard.len()), "50 packets a second: {}", heard.len());
        for pair in heard.windows(2) {
            assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
            assert_eq!(pair[1].timestamp, pair[0].timestamp.wrapping_add(160));
            assert_eq!(pair[1].ssrc, pair[0].ssrc);
            assert_eq!(pair[1].payload.len(), 160);
        }
        starts.push((heard[0].ssrc, heard[0].sequence, heard[0].timestamp));
    }
    // RFC 3550 §5.1: source, sequence number and timestamp start at random.
    starts.sort_unstable();
    starts.dedup();
    assert_eq!(starts.len(), 5);
    assert!(starts.iter().all(|&(ssrc, sequence, timestamp)| ssrc != 0 && sequence != 0 && timestamp != 0));
}

#[test]
fn an_a_law_line_speaks_mu_law_to_a_peer_that_wants_it() {
    let tone = FarEnd::Tone { hz: 1_000.0, dbm0: -10.0 };
    let mut w = alone(2).far_end(0, 1, tone).build();
    let peer = w.add_peer(PEER);
    let sdp = w.peers[peer].description("0");
    w.connect("ds/e1-1/1", "sendrecv", &sdp);
    w.run_for(Duration::from_secs(1));
    let heard: Vec<u8> = w.peers[peer].heard.iter().flat_map(|p| p.payload.clone()).collect();
    let power: f64 =
        heard.iter().map(|&o| f64::from(Law::Mu.decode(o)).powi(2)).sum::<f64>() / heard.len() as f64;
    // A full-scale sine is +3.17 dBm0 in mu-law (ITU-T G.711).
    let dbm0 = 10.0 * (power / (32_124.0_f64.powi(2) / 2.0)).log10() + 3.17;
    assert!((dbm0 + 10.0).abs() < 0.2, "a -10 dBm0 tone came as {dbm0:.2} dBm0");
    assert!(w.peers[peer].heard.iter().all(|p| p.payload_type == 0));
}

#[test]
fn a_clear_channel_passes_all_256_octets() {
    let mut w = alone(3).build();
    let peer = w.add_peer(PEER);
    let sdp = w.peers[peer].description("97") + "a=rtpmap:97 CLEARMODE/8000\r\n";
    let reply = w.connect("ds/e1-1/1", "sendrecv", &sdp);
    assert!(reply.description().is_some_and(|d| d.contains("CLEARMODE/8000")), "{}", reply.text);
    let source: Vec<u8> = (0..40_009_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    w.play(peer, reply.rtp(), 97, 20, &source);
    w.run_for(Duration::from_secs(3));
    let heard: Vec<u8> = w.peers[peer].heard.iter().flat_map(|p| p.payload.clone()).collect();
    assert!(follows(&source, &heard, 8_000).is_some(), "a clear channel changes nothing");
}

#[test]
fn rtp_from_elsewhere_is_counted_and_not_heard() {
    let mut w = alone(4).build();
    let peer = w.add_peer(PEER);
    let stranger = w.add_peer("10.0.0.66:4000");
    let neighbour = w.add_peer("10.0.0.9:4002");
    let sdp = w.peers[peer].description("8");
    let to = w.connect("ds/e1-1/1", "sendrecv", &sdp).rtp();
    w.play(stranger, to, 8, 20, &distinct(1, Law::A, 8_000));
    w.play(neighbour, to, 8, 20, &distinct(2, Law::A, 8_000));
    w.run_for(Duration::from_secs(1));
    assert!(w.peers[peer].heard.iter().all(|p| p.payload.iter().all(|&octet| octet == 0xD5)));
    assert!(w.peers[stranger].heard.is_empty() && w.peers[neighbour].heard.is_empty());
    assert!(w.count(Counter::DroppedSource) >= 98, "{}", w.count(Counter::DroppedSource));
}

#[test]
fn datagrams_to_idle_ports_are_counted() {
    let mut w = alone(5).build();
    let peer = w.add_peer(PEER);
    for port in [20_000, 20_001, 20_040] {
        w.peers[peer]
            .send(format!("10.0.0.1:{port}").parse().expect("an address"), &packet(8, 1, 1, 1, &[0; 160]));
    }
    w.run_for(Duration::from_millis(50));
    assert_eq!(w.count(Counter::DroppedIdle), 3);
}

#[test]
fn a_new_source_at_the_same_address_is_taken_up() {
    let mut w = alone(6).build();
    let peer = w.add_peer(PEER);
    let sdp = w.peers[peer].description("8");
    let to = w.connect("ds/e1-1/1", "sendrecv", &sdp).rtp();
    w.play(peer, to, 8, 20, &distinct(1, Law::A, 8_000));
    w.run_for(Duration::from_secs(1));
    w.peers[peer].ssrc = 0xCAFE;
    w.peers[peer].sequence = 7;
    w.peers[peer].timestamp = 0x7000_0000;
    let source = distinct(2, Law::A, 24_001);
    w.play(peer, to, 8, 20, &source);
    w.run_for(Duration::from_secs(2));
    let heard: Vec<u8> = w.peers[peer].heard.iter().flat_map(|p| p.payload.clone()).collect();
    assert!(follows(&source, &heard, heard.len() - 8_000).is_some(), "the new source is heard whole");
}

#[test]
fn ipv6_peers_are_served() {
    let mut w = World::builder(7).spans("[[span]]\n").addresses("[\"10.0.0.1\", \"fd00::1\"]").build();
    let peer = w.add_peer("[fd00::9]:4000");
    let sdp = w.peers[peer].description("8");
    let reply = w.connect("ds/e1-1/1", "sendrecv", &sdp);
    assert!(reply.rtp().is_ipv6(), "{}", reply.text);
    let source = distinct(1, Law::A, 24_001);
    w.play(peer, reply.rtp(), 8, 20, &source);
    w.run_for(Duration::from_secs(2));
    let heard: Vec<u8> = w.peers[peer].heard.iter().flat_map(|p| p.payload.clone()).collect();
    assert!(follows(&source, &heard, heard.len() - 8_000).is_some());
}
