//! Spans whose clocks differ: a call across them goes on for an hour, and what gives way is counted.

use std::f64::consts::TAU;
use std::time::Duration;

use dataplane::stats::Counter;
use drivers::line::Law;
use tests::World;

/// A voice-like sound: three harmonics whose pitch and level wander. A ring without a seam.
fn voice() -> Vec<u8> {
    const LEN: u32 = 80_000;
    let mut phase = 0.0;
    (0..LEN)
        .map(|i| {
            let turn = TAU * f64::from(i) / f64::from(LEN);
            phase += TAU * (150.0 + 40.0 * (7.0 * turn).sin()) / 8_000.0;
            let level = 0.6 + 0.4 * (31.0 * turn).sin();
            let sample =
                5_000.0 * phase.sin() + 2_500.0 * (2.0 * phase).sin() + 1_200.0 * (5.0 * phase).cos();
            Law::A.encode((level * sample) as i16)
        })
        .collect()
}

/// The greatest step from one sample to the next.
fn step_max(octets: &[u8]) -> i32 {
    let samples: Vec<i32> = octets.iter().map(|&octet| Law::A.decode(octet).into()).collect();
    samples.windows(2).map(|two| (two[1] - two[0]).abs()).max().unwrap_or(0)
}

#[test]
fn a_call_across_drifting_spans_goes_on_for_an_hour_without_a_click() {
    let voice = voice();
    for (ppm, minutes) in [(50.0, 15), (100.0, 60)] {
        let spans = format!("[[span]]\nclock_ppm = {ppm}\n[[span]]\nclock_ppm = -{ppm}\n");
        let builder = World::builder(71).spans(&spans);
        let (builder, at_a) = builder.speaker(0, 1, &voice);
        let (builder, at_b) = builder.speaker(1, 1, &voice);
        let mut w = builder.build();
        let (a, b) = w.call("ds/e1-1/1", "ds/e1-2/1");
        w.run_for(Duration::from_secs(1));
        let natural = step_max(&voice);
        for minute in 0..minutes {
            let (from_a, from_b) = (at_a.len(), at_b.len());
            let adjusted = w.count(Counter::JitterAdjusted);
            let concealed = w.count(Counter::ConcealedOctets);
            w.run_for(Duration::from_secs(60));
            for (who, recording, from) in [("a", &at_a, from_a), ("b", &at_b, from_b)] {
                let heard = recording.octets_from(from).expect("a minute is kept");
                let steepest = step_max(&heard);
                assert!(
                    steepest * 2 <= natural * 3,
                    "{ppm} ppm, minute {minute}: a click of {steepest} at {who}; the voice has {natural}"
                );
                assert!(heard.windows(240).all(|run| run.iter().any(|&o| o != 0xD5)), "30 ms of nothing");
            }
            let adjusted = w.count(Counter::JitterAdjusted) - adjusted;
            let concealed = w.count(Counter::ConcealedOctets) - concealed;
            // At most 200 ppm are 96 octets a minute each way, which one side must cut and the other make up.
            assert!(adjusted <= 12 && concealed <= 120, "{ppm} ppm: {adjusted} moves, {concealed} made up");
        }
        assert!(w.count(Counter::JitterAdjusted) > 5, "what gives way is counted");
        assert_eq!(w.count(Counter::Overruns), 0);
        assert_eq!(w.count(Counter::Slips), 0, "no cable is drifting: the far ends follow their spans");
        for (name, leg) in [("ds/e1-1/1", a), ("ds/e1-2/1", b)] {
            let gone = w.ask(&format!("DLCX {name}@gw"), &format!("C: A1\r\nI: {}\r\n", leg.connection()));
            assert_eq!(gone.seen("PL"), Some(0), "{}", gone.text);
        }
    }
}

#[test]
fn a_cable_between_drifting_spans_slips_as_often_as_it_must_and_each_slip_is_told() {
    // 100 ppm apart: 0.8 frames a second, 48 a minute, each way.
    let spans = "[[span]]\nclock_ppm = 50\nfar_end = { kind = \"cable\", to = 2 }\n\
                 [[span]]\nclock_ppm = -50\nfar_end = { kind = \"cable\", to = 1 }\n";
    let mut w = World::builder(72).spans(spans).build();
    let peer = w.add_peer("10.0.0.9:4000");
    let other = w.add_peer("10.0.0.10:4000");
    let sdp = w.peers[peer].description("8");
    let to = w.connect("ds/e1-1/1", "sendrecv", &sdp).rtp();
    let sdp = w.peers[other].description("8");
    w.connect("ds/e1-2/1", "sendrecv", &sdp);
    w.play(peer, to, 8, 20, &voice());
    w.run_for(Duration::from_secs(600));
    let slips = w.count(Counter::Slips);
    assert!((950..=970).contains(&slips), "{slips} slips in ten minutes");
    assert!(w.peers[other].heard.len() > 29_900, "speech crosses the cable");
    assert!(w.peers[other].heard.last().is_some_and(|p| p.payload.iter().any(|&octet| octet != 0xD5)));
}
