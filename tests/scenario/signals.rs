//! Digits, tones and tests: from the line to NTFY, and from RQNT to the line.

use std::sync::Arc;
use std::time::Duration;

use drivers::line::Law;
use drivers::span::sim::{FarEnd, Play, Recording};
use tests::World;
use tests::audio::{bursts, dialled, share, tones};

use crate::requests::{begun, observed, request, saying, seconds};

/// One whose first DS0's far end is silent and takes note of what it hears.
fn hearing(seed: u64, spans: &str) -> (World, Arc<Recording>) {
    let recording = Arc::new(Recording::new(8_000 * 60));
    let far_end = FarEnd::File { play: Play::Nothing, record: Some(Arc::clone(&recording)) };
    (begun(World::builder(seed).spans(spans).far_end(0, 1, far_end)), recording)
}

#[test]
fn digits_on_the_line_are_matched_and_told() {
    let mut w = saying(601, "[[span]]\n", &dialled(Law::A, 1_000, "50017"));
    request(&mut w, "ds/e1-1/1", "X: 1\r\nR: D/[0-9#*T](D)\r\nD: (5xxx)\r\n");
    seconds(&mut w, 3.0);
    assert_eq!(observed(&mut w), ["D/5,D/0,D/0,D/1"]);
    // The 7 was quarantined, and is what the next request begins with.
    request(&mut w, "ds/e1-1/1", "X: 2\r\nR: D/[0-9](N)\r\n");
    seconds(&mut w, 0.1);
    assert_eq!(observed(&mut w), ["D/7"]);
}

#[test]
fn who_dials_no_further_is_told_by_the_timer() {
    let mut w = saying(602, "[[span]]\n", &dialled(Law::A, 500, "12"));
    request(&mut w, "ds/e1-1/1", "X: 1\r\nR: D/[0-9#*T](D)\r\nD: (xx.T)\r\n");
    seconds(&mut w, 4.5);
    assert_eq!(observed(&mut w), [""; 0], "T-critical is 4 s from the last digit");
    seconds(&mut w, 0.5);
    assert_eq!(observed(&mut w), ["D/1,D/2,D/T"]);
}

// RFC 3660 §2.2.
#[test]
fn how_long_a_digit_lasts_is_told() {
    let (low, high) = (941.0, 1_477.0);
    let octets = tones(Law::A, &[(&[], 500), (&[low, high], 2_500), (&[], 500), (&[low, high], 300)]);
    let mut w = saying(605, "[[span]]\n", &octets);
    request(&mut w, "ds/e1-1/1", "X: 1\r\nQ: loop\r\nR: D/[0-9*#](N),D/L(N),D/dd(N)(dg=#,to=1000)\r\n");
    seconds(&mut w, 1.7);
    assert_eq!(observed(&mut w), ["D/#", "D/dd(dg=#,to=1000)"]);
    seconds(&mut w, 1.0);
    assert_eq!(observed(&mut w), ["D/L"]);
    request(&mut w, "ds/e1-1/1", "X: 2\r\nR: D/dd(N)\r\n");
    seconds(&mut w, 1.5);
    let told = observed(&mut w).remove(0);
    let ms: u32 = told["D/dd(dg=#,to=".len()..told.len() - 1].parse().expect("a time");
    assert!((290..=310).contains(&ms), "{told}");
}

#[test]
fn digits_from_the_network_are_told_where_they_were_asked_for() {
    let (mut w, _) = hearing(603, "[[span]]\n");
    let peer = w.add_peer("10.0.0.9:4000");
    let sdp = w.peers[peer].description("8");
    let request = "C: A1\r\nM: sendrecv\r\nX: 1\r\nQ: loop\r\nR: D/[0-9]@$(D),D/[0-9](N)\r\nD: xxx\r\n";
    let made = w.ask("CRCX ds/e1-1/1@gw", &format!("{request}\r\n{sdp}"));
    assert_eq!(made.code, 200, "{}", made.text);
    let id = made.connection();
    let mut octets = dialled(Law::A, 200, "907");
    octets.resize(8_000 * 60, Law::A.silence());
    w.play(peer, made.rtp(), 8, 20, &octets);
    seconds(&mut w, 2.0);
    assert_eq!(observed(&mut w), [format!("D/9@{id},D/0@{id},D/7@{id}")]);
}

#[test]
fn digits_are_dialled_down_the_line_and_heard_at_its_other_end() {
    let spans = "[[span]]\nfar_end = { kind = \"cable\", to = 2 }\n\
                 [[span]]\nfar_end = { kind = \"cable\", to = 1 }\n";
    let mut w = begun(World::builder(604).spans(spans));
    request(&mut w, "ds/e1-2/7", "X: 1\r\nR: D/[0-9#*A-D](N)\r\nQ: loop\r\n");
    for digit in "0123456789*#ABCD".chars() {
        request(&mut w, "ds/e1-1/7", &format!("X: 2\r\nS: D/{digit}\r\n"));
        seconds(&mut w, 0.4);
        assert_eq!(observed(&mut w), [format!("D/{digit}")]);
    }
    request(&mut w, "ds/e1-1/7", "X: 3\r\nR: D/oc(N)\r\nS: D/dd(dg=5,to=300)\r\n");
    seconds(&mut w, 0.6);
    assert_eq!(observed(&mut w), ["D/5", "D/oc(D/dd)"]);
}

#[test]
fn call_tones_have_the_frequencies_and_cadences_of_their_part_of_the_world() {
    let t1 = "[[span]]\ncarrier = \"t1\"\n";
    for (seed, spans, law, signal, hz, on_off) in [
        (611, "[[span]]\n", Law::A, "G/rt", &[425.0][..], Some((1_000, 4_000))),
        (612, "[[span]]\n", Law::A, "T/bz", &[425.0], Some((500, 500))),
        (613, "[[span]]\n", Law::A, "G/cg", &[425.0], Some((250, 250))),
        (614, "[[span]]\n", Law::A, "L/dl", &[425.0], None),
        (615, t1, Law::Mu, "G/rt", &[440.0, 480.0], Some((2_000, 4_000))),
        (616, t1, Law::Mu, "T/bz", &[480.0, 620.0], Some((500, 500))),
        (617, t1, Law::Mu, "T/ro", &[480.0, 620.0], Some((250, 250))),
        (618, t1, Law::Mu, "L/dl", &[350.0, 440.0], None),
        (619, t1, Law::Mu, "T/nm", &[1_004.0], None),
    ] {
        let (mut w, recording) = hearing(seed, spans);
        let endpoint = if law == Law::A { "ds/e1-1/1" } else { "ds/ds1-1/1" };
        request(&mut w, endpoint, &format!("X: 1\r\nS: {signal}(to=12500)\r\n"));
        seconds(&mut w, 13.0);
        let heard = recording.octets_from(0).expect("there is room for it");
        let bursts = bursts(law, &heard);
        let (from, to) = bursts[0];
        let tone = &heard[from * 8..to.min(from + 1_000) * 8];
        let shares: f64 = hz.iter().map(|hz| share(law, tone, *hz)).sum();
        assert!(shares > 0.97 && hz.iter().all(|hz| share(law, tone, *hz) > 0.4), "{signal}: {shares}");
        match on_off {
            Some((on, off)) => {
                assert!((to - from).abs_diff(on) <= 2, "{signal}: {bursts:?}");
                assert!((bursts[1].0 - to).abs_diff(off) <= 2, "{signal}: {bursts:?}");
            }
            None => assert!(bursts.len() == 1 && (to - from).abs_diff(12_500) <= 10, "{signal}: {bursts:?}"),
        }
        assert!(bursts.last().is_some_and(|(_, end)| end - from <= 12_510), "{signal} ends: {bursts:?}");
    }
}

#[test]
fn the_end_of_a_tone_is_told_and_so_is_its_failure() {
    let (mut w, _) = hearing(620, "[[span]]\n");
    let peer = w.add_peer("10.0.0.9:4000");
    let sdp = w.peers[peer].description("8");
    request(&mut w, "ds/e1-1/1", "X: 1\r\nR: G/oc(N)\r\nS: G/rt(to=500)\r\n");
    seconds(&mut w, 0.6);
    assert_eq!(observed(&mut w), ["G/oc(G/rt)"]);
    let made = w.ask(
        "CRCX ds/e1-1/1@gw",
        &format!("C: A1\r\nM: recvonly\r\nX: 2\r\nR: G/of(N)\r\nS: G/rt@$\r\n\r\n{sdp}"),
    );
    assert_eq!(made.code, 200, "{}", made.text);
    seconds(&mut w, 1.0);
    let heard: Vec<u8> = w.peers[peer].heard.iter().flat_map(|packet| packet.payload.clone()).collect();
    assert!(share(Law::A, &heard[..6_000], 425.0) > 0.97, "a recvonly connection is played to");
    assert_eq!(w.ask("DLCX ds/e1-1/1@gw", "").code, 250);
    seconds(&mut w, 0.1);
    assert_eq!(observed(&mut w), [format!("G/of(G/rt@{})", made.connection())]);
}

// RFC 3660 §2.3: a circuit that is looped returns the tone that was sent, a transponder the other.
#[test]
fn continuity_of_a_circuit_is_tested() {
    let spans = "[[span]]\nfar_end = { kind = \"cable\", to = 2 }\n\
                 [[span]]\nfar_end = { kind = \"cable\", to = 1 }\n";
    for (mode, go, back) in
        [("loopback", "co1", "co1"), ("conttest", "co1", "co2"), ("conttest", "co2", "co1")]
    {
        let mut w = begun(World::builder(630).spans(spans));
        w.connect("ds/e1-2/9", mode, "");
        let started = w.now();
        request(&mut w, "ds/e1-1/9", &format!("X: 1\r\nR: T/{back},T/oc,T/of\r\nS: T/{go}\r\n"));
        while w.commands.is_empty() {
            seconds(&mut w, 0.005);
        }
        assert_eq!(observed(&mut w), [format!("T/{back}")]);
        let took = w.now().since(started);
        assert!(took < Duration::from_millis(300), "{mode} {go}: {took:?}");
    }
    // The circuit is open: nothing comes back.
    let mut w = begun(World::builder(631).spans(spans));
    request(&mut w, "ds/e1-1/9", "X: 1\r\nR: T/co1,T/oc,T/of\r\nS: T/co1\r\n");
    seconds(&mut w, 2.9);
    assert_eq!(observed(&mut w), [""; 0]);
    seconds(&mut w, 0.2);
    assert_eq!(observed(&mut w), ["T/oc(T/co1)"]);
}

// RFC 3660 §2.10.
#[test]
fn continuity_over_the_network_is_tested() {
    let (mut w, _) = hearing(632, "[[span]]\ncount = 2\n");
    for (mode, back) in [("netwloop", "co1"), ("netwtest", "co2")] {
        let (here, there) = w.call("ds/e1-1/1", "ds/e1-2/1");
        let far = format!("C: A1\r\nI: {}\r\nM: {mode}\r\n", there.connection());
        assert_eq!(w.ask("MDCX ds/e1-2/1@gw", &far).code, 200);
        let id = here.connection();
        request(&mut w, "ds/e1-1/1", &format!("X: 1\r\nR: R/{back}@{id},R/oc\r\nS: R/co1@{id}\r\n"));
        seconds(&mut w, 1.0);
        assert_eq!(observed(&mut w), [format!("R/{back}@{id}")], "{mode}");
        assert_eq!(w.ask("DLCX ds/*@gw", "").code, 250);
    }
}

#[test]
fn fax_machines_and_modems_on_the_line_are_told() {
    let cng: &[(&[f64], usize)] = &[(&[], 500), (&[1_100.0], 500), (&[], 500)];
    let answer: &[(&[f64], usize)] = &[(&[], 500), (&[2_100.0], 3_000)];
    for (octets, expected) in [(cng, "G/ft"), (answer, "G/mt")] {
        let mut w = saying(640, "[[span]]\n", &tones(Law::A, octets));
        request(&mut w, "ds/e1-1/1", "X: 1\r\nQ: loop\r\nR: G/ft(N),G/mt(N),D/[0-9](N)\r\n");
        seconds(&mut w, 5.0);
        assert_eq!(observed(&mut w), [expected]);
    }
}
