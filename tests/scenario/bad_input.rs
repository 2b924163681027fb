//! Ten thousand mutated datagrams on the MGCP and RTP ports do not disturb a running call by one octet.

use std::net::SocketAddr;
use std::time::Duration;

use control::metrics::Counter;
use dataplane::stats::Counter as Media;
use drivers::line::Law;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tests::World;
use tests::audio::{distinct, follows, onset};
use tests::rtp_peer::packet;

/// Changes, drops, repeats or cuts some octets.
fn mutate(rng: &mut StdRng, octets: &[u8]) -> Vec<u8> {
    let mut octets = octets.to_vec();
    for _ in 0..rng.random_range(1..8) {
        if octets.is_empty() {
            break;
        }
        let at = rng.random_range(0..octets.len());
        match rng.random_range(0..4) {
            0 => octets[at] = rng.random(),
            1 => drop(octets.remove(at)),
            2 => octets.insert(at, rng.random()),
            _ => octets.truncate(at),
        }
    }
    octets
}

/// Commands that cannot touch the running call's endpoints, however they are changed: other spans only.
const COMMANDS: [&str; 5] = [
    "CRCX 9001 ds/e1-4/9@gw MGCP 1.0\r\nC: F00D\r\nL: a:PCMA, p:20\r\nM: recvonly\r\n",
    "MDCX 9002 ds/e1-4/9@gw MGCP 1.0\r\nC: F00D\r\nI: 1\r\nM: inactive\r\n",
    "AUEP 9003 ds/e1-4/9@gw MGCP 1.0\r\nF: A,I,R,B\r\n",
    "AUCX 9004 ds/e1-4/9@gw MGCP 1.0\r\nI: 1\r\nF: C,M,LC,RC,P\r\n",
    "CRCX 9005 ds/e1-4/8@gw MGCP 1.0\r\nC: F00D\r\nM: sendrecv\r\n\r\nv=0\r\no=- 1 1 IN IP4 10.0.0.9\r\n\
     s=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n",
];

#[test]
fn ten_thousand_mutated_datagrams_on_2427_disturb_nothing() {
    let mut sent = 0;
    let w = run(71, |w, rng| {
        let text = COMMANDS[rng.random_range(0..COMMANDS.len())];
        let octets = mutate(rng, text.as_bytes());
        // A mutation may, once in a great while, name the running call: then it is not noise.
        let text = String::from_utf8_lossy(&octets).to_lowercase();
        if !["e1-1", "e1-2", "*", "$", "["].iter().any(|word| text.contains(word)) {
            w.send_octets(&octets);
            sent += 1;
        }
    });
    assert!(sent > 9_000, "{sent} datagrams");
    let counters = w.gateway().counters();
    let counted = counters.value(Counter::Datagrams);
    assert!(counted >= sent, "each is counted: {counted} of {sent}");
    println!("{sent} sent, {counted} counted, {} malformed", counters.value(Counter::Malformed));
    assert!(counters.value(Counter::Malformed) > 1_000);
}

#[test]
fn ten_thousand_mutated_datagrams_on_rtp_ports_disturb_nothing() {
    let mut sent = 0_u64;
    let w = run(72, |w, rng| {
        let good = packet(8, rng.random(), rng.random(), rng.random(), &[0x55; 160]);
        let octets = mutate(rng, &good);
        let port = 20_000 + rng.random_range(0..248);
        let to = SocketAddr::new(tests::world::GATEWAY, port);
        w.peers[0].send(to, &octets);
        sent += 1;
    });
    let causes = [Media::DroppedIdle, Media::DroppedSource, Media::DroppedMalformed];
    let dropped: u64 = causes.iter().map(|counter| w.count(*counter)).sum();
    // Zero octets long they may be, but none is uncounted.
    assert_eq!(dropped, sent, "each is counted by its cause");
}

/// Runs a call, throws ten thousand datagrams at the gateway meanwhile, and checks the call's octets.
fn run(seed: u64, mut throw: impl FnMut(&mut World, &mut StdRng)) -> World {
    let source = distinct(1, Law::A, 65_537);
    let (builder, _) = World::builder(seed).speaker(0, 1, &source);
    let (builder, at_b) = builder.speaker(1, 1, &distinct(2, Law::A, 65_537));
    let mut w = builder.build();
    w.call("ds/e1-1/1", "ds/e1-2/1");
    w.add_peer("10.0.0.66:6000");
    let mut rng = StdRng::seed_from_u64(seed);
    for _ in 0..1_000 {
        for _ in 0..10 {
            throw(&mut w, &mut rng);
        }
        w.run_for(Duration::from_millis(5));
    }
    let heard = at_b.octets_from(0).expect("the recording has room");
    let onset = onset(&heard, Law::A).expect("speech is heard");
    assert!(follows(&source, &heard, onset).is_some(), "seed {seed}: the call was disturbed");
    w
}
