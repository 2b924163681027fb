//! Modes and packet lengths that change in mid-call, and who hears whom with four connections, by ear.

use std::collections::BTreeSet;
use std::f64::consts::TAU;
use std::sync::Arc;
use std::time::Duration;

use drivers::line::Law;
use drivers::span::sim::{FarEnd, Pattern, Play, Recording};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tests::World;

const MODES: [&str; 9] = [
    "sendonly", "recvonly", "sendrecv", "confrnce", "inactive", "loopback", "conttest", "netwloop",
    "netwtest",
];

/// The modes in which packets leave.
fn sends(mode: &str) -> bool {
    matches!(mode, "sendonly" | "sendrecv" | "confrnce" | "netwloop" | "netwtest")
}

#[test]
fn every_change_of_mode_keeps_source_sequence_and_clock() {
    let mut w = World::builder(91).spans("[[span]]\n").build();
    let peer = w.add_peer("10.0.0.9:4000");
    let sdp = w.peers[peer].description("8");
    let leg = w.connect("ds/e1-1/1", "inactive", &sdp);
    w.play(peer, leg.rtp(), 8, 20, &[0x55; 160]);
    for from in MODES {
        for to in MODES {
            for mode in [from, to] {
                let rest = format!("C: A1\r\nI: {}\r\nM: {mode}\r\n", leg.connection());
                assert_eq!(w.ask("MDCX ds/e1-1/1@gw", &rest).code, 200);
                let heard = w.peers[peer].heard.len();
                w.run_for(Duration::from_millis(107));
                let more = w.peers[peer].heard.len() - heard;
                assert_eq!(more >= 3, sends(mode), "{from} to {to}: {more} packets in {mode}");
            }
        }
    }
    let heard = &w.peers[peer].heard;
    for pair in heard.windows(2) {
        let [one, two] = pair else { continue };
        assert_eq!((two.ssrc, two.payload_type), (one.ssrc, one.payload_type));
        assert_eq!(two.sequence, one.sequence.wrapping_add(1));
        let octets = two.timestamp.wrapping_sub(one.timestamp);
        // The line's clock is the host's here, and packets leave with their block, 40 octets.
        let passed = (two.arrived.since(one.arrived).as_micros() * 8 / 1_000) as u32;
        assert!(octets.abs_diff(passed) <= 40, "{octets} octets in the time of {passed}");
        // RFC 3551 §4.1: marked after a silence, and only then.
        assert_eq!(two.marker, octets != 160);
    }
    let gone = w.ask("DLCX ds/e1-1/1@gw", "");
    assert_eq!(gone.code, 250);
}

#[test]
fn a_packet_length_that_changes_in_mid_call_costs_no_bit() {
    // Two unlike lines; a jitter buffer that the longest packets fit in, and data, which tells any bit.
    let spans = "[[span]]\nblock_ms = 20\n[[span]]\ncarrier = \"t1\"\nblock_ms = 1\n";
    let builder = World::builder(92).config("jitter_nominal_ms = 100\n").spans(spans);
    let (builder, at_a) = builder.pattern(0, 9, Pattern::Prbs15);
    let (builder, at_b) = builder.pattern(1, 24, Pattern::Prbs15);
    let mut w = builder.build();
    let (a, b) = ("ds/e1-1/9", "ds/ds1-2/24");
    let first = w.ask(&format!("CRCX {a}@gw"), "C: A1\r\nL: a:CLEARMODE, p:60\r\nM: recvonly\r\n");
    let second = w.connect(b, "sendrecv", first.description().expect("a description"));
    let sdp = second.description().expect("a description");
    let rest = format!("C: A1\r\nI: {}\r\nM: sendrecv\r\n\r\n{sdp}", first.connection());
    assert_eq!(w.ask(&format!("MDCX {a}@gw"), &rest).code, 200);
    w.run_for(Duration::from_secs(1));
    for (one_way, other_way) in [(5, 60), (60, 5), (10, 30), (40, 20), (30, 10), (20, 40), (60, 60), (5, 5)] {
        for (name, leg, ptime) in [(a, &first, one_way), (b, &second, other_way)] {
            let rest = format!("C: A1\r\nI: {}\r\nL: p:{ptime}, a:CLEARMODE\r\n", leg.connection());
            let reply = w.ask(&format!("MDCX {name}@gw"), &rest);
            assert_eq!(reply.code, 200, "{}", reply.text);
            w.run_for(Duration::from_millis(1_013));
        }
    }
    for (who, result) in [(a, &at_a), (b, &at_b)] {
        assert!(result.is_in_sync(), "{who}");
        assert_eq!((result.errors(), result.losses()), (0, 0), "{who}: of {} bits", result.bits());
        assert!(result.bits() > 16 * 64_000, "{who}: {} bits", result.bits());
    }
}

/// What the line and the four peers say, in Hz: nothing near the continuity tones, no two alike.
const TONES: [(char, f64); 5] = [('H', 400.0), ('A', 700.0), ('B', 1_100.0), ('C', 1_500.0), ('D', 2_600.0)];

fn tone(hz: f64) -> Vec<u8> {
    (0..8_000).map(|i| Law::A.encode((2_500.0 * (TAU * hz * f64::from(i) / 8_000.0).sin()) as i16)).collect()
}

/// Whose tones are in what was heard.
fn voices(heard: &[u8]) -> BTreeSet<char> {
    let samples: Vec<f64> = heard.iter().map(|&octet| f64::from(Law::A.decode(octet))).collect();
    let amplitude = |hz: f64| {
        let (re, im) = samples.iter().enumerate().fold((0.0, 0.0), |(re, im), (i, s)| {
            let angle = TAU * hz * i as f64 / 8_000.0;
            (re + s * angle.cos(), im + s * angle.sin())
        });
        2.0 * f64::hypot(re, im) / samples.len() as f64
    };
    TONES.iter().filter(|(_, hz)| amplitude(*hz) > 1_000.0).map(|(who, _)| *who).collect()
}

/// Who is heard where, worked out from RFC 3435 §2.3.1 and Appendix D anew: by the line, then by each peer.
fn expected(modes: [&str; 4]) -> Vec<BTreeSet<char>> {
    let names = ['A', 'B', 'C', 'D'];
    let with = |is: &dyn Fn(&str) -> bool| -> BTreeSet<char> {
        names.iter().zip(modes).filter(|(_, mode)| is(mode)).map(|(name, _)| *name).collect()
    };
    let test = modes.iter().find(|mode| ["loopback", "conttest"].contains(mode));
    let line = match test {
        Some(&"loopback") => BTreeSet::from(['H']),
        Some(_) => BTreeSet::new(),
        None => with(&|mode| ["recvonly", "sendrecv", "confrnce"].contains(&mode)),
    };
    let peers = names.iter().zip(modes).map(|(name, mode)| {
        let mut heard = BTreeSet::new();
        if ["sendonly", "sendrecv", "confrnce"].contains(&mode) && test.is_none() {
            heard.insert('H');
        }
        if mode == "confrnce" {
            heard.extend(with(&|other| other == "confrnce").into_iter().filter(|other| other != name));
        }
        if mode == "netwloop" {
            heard.insert(*name);
        }
        heard
    });
    std::iter::once(line).chain(peers).collect()
}

#[test]
fn four_connections_in_any_modes_hear_whom_appendix_d_says() {
    let seed = 93;
    let mut rng = StdRng::seed_from_u64(seed);
    let recording = Arc::new(Recording::new(80_000 * 10));
    let far_end = FarEnd::File { play: Play::Forever(tone(400.0).into()), record: Some(recording.clone()) };
    let mut w = World::builder(seed).spans("[[span]]\n").far_end(0, 1, far_end).build();
    let mut legs = Vec::new();
    for (n, (_, hz)) in TONES[1..].iter().enumerate() {
        let peer = w.add_peer(&format!("10.0.0.{}:4000", 9 + n));
        let sdp = w.peers[peer].description("8");
        let leg = w.connect("ds/e1-1/1", "inactive", &sdp);
        w.play(peer, leg.rtp(), 8, 20, &tone(*hz));
        legs.push(leg);
    }
    for _ in 0..60 {
        let modes: [&str; 4] = std::array::from_fn(|_| MODES[rng.random_range(0..MODES.len())]);
        for (leg, mode) in legs.iter().zip(modes) {
            let rest = format!("C: A1\r\nI: {}\r\nM: {mode}\r\n", leg.connection());
            assert_eq!(w.ask("MDCX ds/e1-1/1@gw", &rest).code, 200);
        }
        w.run_for(Duration::from_millis(300));
        let from = recording.len();
        w.peers.iter_mut().for_each(|peer| peer.heard.clear());
        w.run_for(Duration::from_millis(200));
        let mut heard = vec![voices(&recording.octets_from(from).expect("it is kept"))];
        for peer in &w.peers {
            let octets: Vec<u8> = peer.heard.iter().flat_map(|packet| packet.payload.clone()).collect();
            heard.push(if octets.is_empty() { BTreeSet::new() } else { voices(&octets) });
        }
        assert_eq!(heard, expected(modes), "{modes:?}");
    }
}
