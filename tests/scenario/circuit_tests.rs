//! Tests of circuits, tones that tell how a call goes, and long calls: from RQNT to the line and back to NTFY.

use drivers::line::Law;
use tests::World;
use tests::audio::{dialled, distinct, follows, tones};

use crate::requests::{begun, observed, request, saying, seconds};

const CABLES: &str = "[[span]]\nfar_end = { kind = \"cable\", to = 2 }\n\
                      [[span]]\nfar_end = { kind = \"cable\", to = 1 }\n";

// RFC 3660 §2.3: by signals instead of connections, at both ends of a cable.
#[test]
fn a_circuit_that_is_looped_or_a_transponder_by_signal_passes_the_other_side_s_test() {
    for (signal, off, go, back) in [
        ("T/lb", "T/lb(-)", "T/co1", "T/co1"),
        ("T/ct(in=co1,out=co2)", "T/ct(-)", "T/co1", "T/co2"),
        ("T/ct(in=co2,out=co1,+)", "T/ct(in=co2,out=co1,-)", "T/co2", "T/co1"),
    ] {
        let mut w = begun(World::builder(1_001).spans(CABLES));
        request(&mut w, "ds/e1-2/9", &format!("X: 1\r\nS: {signal}\r\n"));
        let test = format!("R: {back},T/oc,T/of\r\nS: {go}(to=1000)\r\n");
        request(&mut w, "ds/e1-1/9", &format!("X: 2\r\n{test}"));
        seconds(&mut w, 0.5);
        assert_eq!(observed(&mut w), [back], "{signal}");
        // Once it is turned off, nothing comes back.
        request(&mut w, "ds/e1-2/9", &format!("X: 3\r\nS: {off}\r\n"));
        request(&mut w, "ds/e1-1/9", &format!("X: 4\r\n{test}"));
        seconds(&mut w, 1.2);
        assert_eq!(observed(&mut w), [format!("T/oc({go})")], "{signal}");
    }
}

// RFC 3660 §2.3: while it is on, nothing passes to or from the packet network.
#[test]
fn a_circuit_that_is_looped_is_out_of_its_call_and_comes_back_to_it() {
    let octets = distinct(7, Law::A, 8_000);
    let (builder, recording) = World::builder(1_002).spans("[[span]]\n").speaker(0, 1, &octets);
    let mut w = begun(builder);
    let peer = w.add_peer("10.0.0.9:4000");
    let sdp = w.peers[peer].description("8");
    let made = w.connect("ds/e1-1/1", "sendrecv", &sdp);
    let speech = distinct(8, Law::A, 8_000 * 20);
    w.play(peer, made.rtp(), 8, 20, &speech);
    seconds(&mut w, 1.0);
    request(&mut w, "ds/e1-1/1", "X: 1\r\nS: T/lb\r\n");
    seconds(&mut w, 0.1);
    let (heard, got) = (recording.octets_from(0).expect("room").len(), w.peers[peer].heard.len());
    seconds(&mut w, 1.0);
    let looped = recording.octets_from(0).expect("room");
    assert!(follows(&octets, &looped, heard).is_some(), "the line hears itself");
    assert_eq!(w.peers[peer].heard.len(), got, "the peer hears nothing");
    request(&mut w, "ds/e1-1/1", "X: 2\r\nS: T/lb(-)\r\n");
    seconds(&mut w, 0.5);
    let heard = recording.octets_from(0).expect("room").len();
    seconds(&mut w, 1.0);
    assert!(follows(&speech, &recording.octets_from(0).expect("room"), heard).is_some());
    assert!(w.peers[peer].heard.len() >= got + 70);
}

// RFC 3660 §2.3: test line 108.
#[test]
fn a_test_pattern_comes_back_from_a_loop_and_not_from_an_open_circuit() {
    for pattern in ["", "(0)", "(255)"] {
        let mut w = begun(World::builder(1_003).spans(CABLES));
        let test = format!("R: T/tp(N){pattern},T/oc,T/of\r\nS: T/tp{pattern}\r\n");
        request(&mut w, "ds/e1-1/9", &format!("X: 1\r\n{test}"));
        seconds(&mut w, 3.2);
        assert_eq!(observed(&mut w), ["T/oc(T/tp)"], "nobody loops it");
        w.connect("ds/e1-2/9", "loopback", "");
        request(&mut w, "ds/e1-1/9", &format!("X: 2\r\n{test}"));
        seconds(&mut w, 0.3);
        let expected = if pattern.is_empty() { "(95)" } else { pattern };
        assert_eq!(observed(&mut w), [format!("T/tp{expected}")]);
    }
}

#[test]
fn milliwatts_are_told_apart_at_the_other_end_of_a_cable() {
    let mut w = begun(World::builder(1_004).spans(CABLES));
    request(&mut w, "ds/e1-2/3", "X: 1\r\nQ: loop\r\nR: T/om(N),T/nm(N),T/mm(N),T/tl(N)\r\n");
    for tone in ["T/om", "T/nm", "T/mm", "T/tl"] {
        request(&mut w, "ds/e1-1/3", &format!("X: 2\r\nS: {tone}(to=1000)\r\n"));
        seconds(&mut w, 1.2);
        assert_eq!(observed(&mut w), [tone]);
    }
}

#[test]
fn tones_that_tell_how_a_call_goes_are_told_at_the_other_end_of_a_cable() {
    let t1s = CABLES.replace("[[span]]\n", "[[span]]\ncarrier = \"t1\"\n");
    for (seed, spans, name) in [(1_005, CABLES, "e1"), (1_006, &t1s, "ds1")] {
        let mut w = begun(World::builder(seed).spans(spans));
        let (near, far) = (format!("ds/{name}-1/3"), format!("ds/{name}-2/3"));
        for (signal, event, told) in [
            ("T/ro(to=4000)", "T/ro(N)", "T/ro"),
            ("L/ro(to=4000)", "L/nbz(N)", "L/nbz"),
            ("G/cg(to=4000)", "T/ro(N)", "T/ro"),
            ("T/sit(4)", "T/sit(N)(4)", "T/sit(4)"),
            ("L/sit(to=6000,7)", "T/sit(N)(7)", "T/sit(7)"),
            ("T/zz", "T/zz(N)", "T/zz"),
        ] {
            request(&mut w, &far, &format!("X: 1\r\nQ: loop\r\nR: {event}\r\n"));
            request(&mut w, &near, &format!("X: 2\r\nS: {signal}\r\n"));
            seconds(&mut w, 6.5);
            assert_eq!(observed(&mut w), [told], "{signal}");
        }
        // Others of the same frequencies, and other numbers.
        request(&mut w, &far, "X: 1\r\nQ: loop\r\nR: T/ro(N)\r\n");
        for signal in ["G/rt", "T/bz", "L/dl", "L/mwi", "L/wt3", "G/cf"] {
            request(&mut w, &near, &format!("X: 2\r\nS: {signal}\r\n"));
            seconds(&mut w, 5.0);
        }
        assert_eq!(observed(&mut w), [""; 0]);
    }
    let mut w = begun(World::builder(1_007).spans(&t1s));
    request(&mut w, "ds/ds1-2/3", "X: 1\r\nQ: loop\r\nR: T/sit(N)(1),T/sit(N)(6)\r\n");
    for number in 1..=7 {
        request(&mut w, "ds/ds1-1/3", &format!("X: 2\r\nS: T/sit({number})\r\n"));
        seconds(&mut w, 3.0);
    }
    assert_eq!(observed(&mut w), ["T/sit(1)", "T/sit(6)"]);
}

#[test]
fn digits_of_one_list_are_dialled_one_after_the_other() {
    let mut w = begun(World::builder(1_008).spans(CABLES));
    request(&mut w, "ds/e1-2/7", "X: 1\r\nR: D/[0-9#*T](D)\r\nD: xxxxx\r\n");
    request(&mut w, "ds/e1-1/7", "X: 2\r\nS: D/1,D/2,D/3,D/9,D/0\r\n");
    seconds(&mut w, 1.2);
    assert_eq!(observed(&mut w), ["D/1,D/2,D/3,D/9,D/0"]);
}

// RFC 3660 §2.2: 50 ms of silence are part of it, so that the next one is another.
#[test]
fn a_digit_of_a_given_length_is_dialled_and_a_pause_behind_it() {
    let mut w = begun(World::builder(1_013).spans(CABLES));
    request(&mut w, "ds/e1-2/7", "X: 1\r\nQ: loop\r\nR: D/dd(N)\r\n");
    request(&mut w, "ds/e1-1/7", "X: 2\r\nR: SL/oc(N)\r\nS: SL/s(D/dd(dg=5,to=200),D/dd(dg=5,to=400))\r\n");
    seconds(&mut w, 0.69);
    assert!(!observed(&mut w).contains(&"SL/oc(SL/s)".to_owned()));
    seconds(&mut w, 0.1);
    let told = observed(&mut w);
    assert!(told.contains(&"SL/oc(SL/s)".to_owned()), "{told:?}");
}

// RFC 3660 §2.2.
#[test]
fn digits_that_are_suppressed_are_told_and_do_not_reach_the_peer() {
    for (options, events) in [("L: a:PCMA\r\n", false), ("", true)] {
        let mut w = saying(1_009, "[[span]]\n[[span]]\n", &dialled(Law::A, 1_000, "147#"));
        let first = w.ask("CRCX ds/e1-1/1@gw", &format!("C: A1\r\nM: recvonly\r\n{options}"));
        let sdp = first.description().expect("it is described").to_owned();
        let asked = "R: D/[0-9#*A-D]@$(N)\r\nX: 1\r\nQ: loop\r\n";
        let second = w.ask("CRCX ds/e1-2/1@gw", &format!("C: A1\r\nM: sendrecv\r\n{asked}\r\n{sdp}"));
        let sdp = second.description().expect("it is described").to_owned();
        assert_eq!(sdp.contains("telephone-event"), events);
        let text = format!("C: A1\r\nI: {}\r\nM: sendrecv\r\n\r\n{sdp}", first.connection());
        assert_eq!(w.ask("MDCX ds/e1-1/1@gw", &text).code, 200);
        request(&mut w, "ds/e1-1/1", "X: 2\r\nQ: loop\r\nR: D/dd(N)(dg=x,su=true)\r\n");
        seconds(&mut w, 3.0);
        let told = observed(&mut w);
        let (here, there): (Vec<_>, Vec<_>) = told.iter().partition(|one| one.starts_with("D/dd"));
        assert_eq!(here.len(), 3, "{told:?}");
        assert_eq!(there, [&format!("D/#@{}", second.connection())], "{told:?}");
    }
}

// RFC 3660 §2.1.
#[test]
fn a_connection_that_lasts_for_long_is_told_of() {
    let builder = World::builder(1_010).mgcp("long_connection_s = 20\n").without_media();
    let mut w = begun(builder);
    let made = w.connect("ds/e1-1/1", "recvonly", "");
    request(&mut w, "ds/e1-1/1", "X: 1\r\nR: G/ld@*(N)\r\n");
    seconds(&mut w, 19.5);
    assert_eq!(observed(&mut w), [""; 0]);
    seconds(&mut w, 1.0);
    assert_eq!(observed(&mut w), [format!("G/ld@{}", made.connection())]);
}

// RFC 5347 §2.2.2: a fax machine that calls sounds every 3.5 s, and is one fax call.
#[test]
fn a_fax_call_is_told_of_once() {
    let burst: &[(&[f64], usize)] = &[(&[1_100.0], 500), (&[], 3_000)];
    let mut w = saying(1_011, "[[span]]\n", &tones(Law::A, &[burst; 5].concat()));
    w.connect("ds/e1-1/1", "recvonly", "");
    request(&mut w, "ds/e1-1/1", "X: 1\r\nQ: loop\r\nR: G/ft(N),FXR/nopfax(N)\r\n");
    seconds(&mut w, 18.0);
    assert_eq!(observed(&mut w), ["G/ft", "FXR/nopfax(start)"]);
}

// RFC 3435 §2.3.10.
#[test]
fn an_audit_shows_the_packages_that_can_be_had() {
    let mut w = begun(World::builder(1_012).without_media());
    let reply = w.ask("AUEP ds/e1-1/1@gw", "F: A\r\n");
    let line = reply.text.lines().find(|line| line.starts_with("A: ")).expect("capabilities").to_owned();
    assert!(line.contains("v:T;G;D;R;L;FXR;"), "{line}");
}
