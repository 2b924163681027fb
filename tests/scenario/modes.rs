//! The nine connection modes (RFC 3435 §2.3.1), as an RTP peer and a far end hear them.

use std::time::Duration;

use drivers::line::Law;
use drivers::span::sim::FarEnd;
use tests::World;
use tests::audio::{distinct, follows, onset};

/// What a peer and a far end hear of each other while a connection is in `mode`.
struct Heard {
    peer_hears_line: bool,
    line_hears_peer: bool,
    peer_hears_itself: bool,
    line_hears_itself: bool,
}

/// Runs one connection in `mode` for two seconds.
fn listen(mode: &str) -> Heard {
    let line = distinct(1, Law::A, 65_537);
    let network = distinct(2, Law::A, 65_537);
    let (builder, far_end) = World::builder(21).spans("[[span]]\n").speaker(0, 1, &line);
    let mut w = builder.build();
    let peer = w.add_peer("10.0.0.9:4000");
    let sdp = w.peers[peer].description("8");
    let to = w.connect("ds/e1-1/1", mode, &sdp).rtp();
    w.play(peer, to, 8, 20, &network);
    w.run_for(Duration::from_secs(2));
    let at_line = far_end.octets_from(0).expect("the recording has room");
    let at_peer: Vec<u8> = w.peers[peer].heard.iter().flat_map(|p| p.payload.clone()).collect();
    let has = |heard: &[u8], source: &[u8]| {
        heard.len() > 8_000
            && onset(heard, Law::A).is_some()
            && follows(source, heard, heard.len() - 4_000).is_some()
    };
    Heard {
        peer_hears_line: has(&at_peer, &line),
        line_hears_peer: has(&at_line, &network),
        peer_hears_itself: has(&at_peer, &network),
        line_hears_itself: has(&at_line, &line),
    }
}

fn assert_mode(mode: &str, peer_hears: &str, line_hears: &str) {
    let heard = listen(mode);
    let wanted = |who: &str, line: bool, peer: bool, from: &str| {
        assert_eq!(line, from == "line", "{mode}: {who} hears the line");
        assert_eq!(peer, from == "peer", "{mode}: {who} hears the peer");
    };
    wanted("the peer", heard.peer_hears_line, heard.peer_hears_itself, peer_hears);
    wanted("the line", heard.line_hears_itself, heard.line_hears_peer, line_hears);
}

#[test]
fn sendonly() {
    assert_mode("sendonly", "line", "nobody");
}

#[test]
fn recvonly() {
    assert_mode("recvonly", "nobody", "peer");
}

#[test]
fn sendrecv() {
    assert_mode("sendrecv", "line", "peer");
}

#[test]
fn confrnce() {
    assert_mode("confrnce", "line", "peer");
}

#[test]
fn inactive() {
    assert_mode("inactive", "nobody", "nobody");
}

#[test]
fn loopback() {
    assert_mode("loopback", "nobody", "line");
}

#[test]
fn netwloop() {
    assert_mode("netwloop", "peer", "nobody");
}

/// The share of power at `hz` in law octets, 0 to 1.
fn share_at(octets: &[u8], hz: f64) -> f64 {
    let samples: Vec<f64> = octets.iter().map(|&octet| f64::from(Law::A.decode(octet))).collect();
    let turn = std::f64::consts::TAU * hz / 8_000.0;
    let (re, im) = samples.iter().enumerate().fold((0.0, 0.0), |(re, im), (i, s)| {
        (re + s * (turn * i as f64).cos(), im + s * (turn * i as f64).sin())
    });
    let n = samples.len() as f64;
    let power = samples.iter().map(|s| s * s).sum::<f64>().max(1.0);
    2.0 * (re * re + im * im) / (n * power)
}

/// A sine in A-law octets.
fn tone(hz: f64) -> Vec<u8> {
    // A fifth of full scale: three of them, heard twice, do not saturate.
    let sample = |i: u32| 4_000.0 * (std::f64::consts::TAU * hz * f64::from(i) / 8_000.0).sin();
    (0..8_000).map(|i| Law::A.encode(sample(i) as i16)).collect()
}

// RFC 3660 §2.3: the transponder hears 2010 Hz and says 1780 Hz, or the other way round.
#[test]
fn conttest_answers_the_circuit_with_the_other_tone() {
    for (hears, says) in [(2_010.0, 1_780.0), (1_780.0, 2_010.0)] {
        let recording = std::sync::Arc::new(drivers::span::sim::Recording::new(80_000));
        let play = drivers::span::sim::Play::Forever(tone(hears).into());
        let far_end = FarEnd::File { play, record: Some(recording.clone()) };
        let mut w = World::builder(22).spans("[[span]]\n").far_end(0, 1, far_end).build();
        w.connect("ds/e1-1/1", "conttest", "");
        w.run_for(Duration::from_secs(1));
        let heard = recording.octets_from(4_000).expect("the recording has room");
        assert!(share_at(&heard, says) > 0.95, "{hears} Hz is answered with {says} Hz");
    }
}

#[test]
fn netwtest_answers_the_connection_with_the_other_tone() {
    let mut w = World::builder(23).spans("[[span]]\n").build();
    let peer = w.add_peer("10.0.0.9:4000");
    let sdp = w.peers[peer].description("8");
    let to = w.connect("ds/e1-1/1", "netwtest", &sdp).rtp();
    w.play(peer, to, 8, 20, &tone(2_010.0));
    w.run_for(Duration::from_secs(1));
    let heard: Vec<u8> = w.peers[peer].heard.iter().skip(25).flat_map(|p| p.payload.clone()).collect();
    assert!(heard.len() > 3_000 && share_at(&heard, 1_780.0) > 0.95, "2010 Hz is answered with 1780 Hz");
}

#[test]
fn conference_connections_hear_each_other_and_the_line_hears_both() {
    let mut w = World::builder(24).spans("[[span]]\n").build();
    let mut peers = Vec::new();
    for (host, hz) in [(9, 800.0), (10, 1_600.0), (11, 2_400.0)] {
        let peer = w.add_peer(&format!("10.0.0.{host}:4000"));
        let sdp = w.peers[peer].description("8");
        let to = w.connect("ds/e1-1/1", "confrnce", &sdp).rtp();
        w.play(peer, to, 8, 20, &tone(hz));
        peers.push((peer, hz));
    }
    w.run_for(Duration::from_secs(2));
    for &(peer, own) in &peers {
        let heard: Vec<u8> = w.peers[peer].heard.iter().skip(50).flat_map(|p| p.payload.clone()).collect();
        for &(_, hz) in &peers {
            let share = share_at(&heard, hz);
            // The far end is a loop, so a peer hears itself by way of the line, and others that way too:
            // a block later, which is whole periods of these tones.
            assert!(share > 0.05, "who says {own} Hz hears {hz} Hz: {share:.2}");
        }
    }
}

#[test]
fn a_fifth_connection_is_refused_and_the_four_go_on() {
    let mut w = World::builder(25).spans("[[span]]\n").build();
    for host in 9..13 {
        let peer = w.add_peer(&format!("10.0.0.{host}:4000"));
        let sdp = w.peers[peer].description("8");
        w.connect("ds/e1-1/1", "sendrecv", &sdp);
    }
    let fifth = w.ask("CRCX ds/e1-1/1@gw", "C: 5\r\nM: recvonly\r\n");
    // RFC 3435 Appendix D: too many streams to mix is 403 or 502.
    assert!([403, 502, 540].contains(&fifth.code), "{}", fifth.text);
    w.run_for(Duration::from_millis(500));
    for peer in 0..4 {
        assert!(w.peers[peer].heard.len() >= 23, "peer {peer} is still served");
    }
}
