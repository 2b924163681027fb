//! RFC 3435 §2.3.5 and §2.3.6: CRCX and MDCX.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use drivers::line::{Alarm, Alarms, Law};
use drivers::span::sim::Recording;
use tests::World;
use tests::audio::{distinct, follows, onset};

#[test]
fn the_name_of_a_connection_is_not_given_again() {
    let mut w = World::builder(21).build();
    let mut names = BTreeSet::new();
    for _ in 0..200 {
        let name = w.connect("ds/e1-1/1", "recvonly", "").connection();
        // RFC 3435 §2.1.3.2: a hexadecimal string of at most 32 characters.
        assert!(name.len() <= 32 && name.bytes().all(|b| b.is_ascii_hexdigit()), "{name}");
        assert!(names.insert(name));
        assert_eq!(w.ask("DLCX ds/e1-1/1@gw", "").code, 250);
    }
}

#[test]
fn any_of_passes_over_endpoints_out_of_service() {
    let mut w = World::builder(22).spans("[[span]]\ncount = 2\n").build();
    w.script(0).set_alarms(Alarms::NONE.with(Alarm::Los));
    w.run_for(Duration::from_secs(5));
    let mut chosen = BTreeSet::new();
    for _ in 0..31 {
        let made = w.ask("CRCX $@gw", "C: 1\r\nM: recvonly\r\n");
        assert_eq!(made.code, 200, "{}", made.text);
        chosen.insert(made.parameter("Z").expect("the endpoint chosen is named").to_owned());
    }
    assert!(chosen.len() == 31 && chosen.iter().all(|name| name.starts_with("ds/e1-2/")), "{chosen:?}");
    assert_eq!(w.ask("CRCX $@gw", "C: 1\r\nM: recvonly\r\n").code, 410);
    assert_eq!(w.ask("CRCX ds/e1-1/$@gw", "C: 1\r\nM: recvonly\r\n").code, 410);
}

#[test]
fn an_option_given_twice_is_refused() {
    let mut w = World::builder(23).build();
    for options in ["p:20, p:20", "e:on, a:PCMA, e:on", "s:off,s:off", "gc:0,gc:0", "t:00,t:00", "b:64,b:64"]
    {
        let refused = w.ask("CRCX ds/e1-1/1@gw", &format!("C: 1\r\nM: recvonly\r\nL: {options}\r\n"));
        assert_eq!(refused.code, 524, "{options}: {}", refused.text);
    }
}

#[test]
fn what_the_options_leave_open_has_its_default() {
    let mut w = World::builder(24).config("ptime_ms = 30\n").build();
    let peer = w.add_peer("10.0.0.9:4000");
    let sdp = w.peers[peer].description("0 8");
    let made = w.connect("ds/e1-1/1", "sendrecv", &sdp);
    assert!(made.text.contains("a=ptime:30\r\n"), "{}", made.text);
    w.run_for(Duration::from_secs(1));
    assert!(w.peers[peer].heard.iter().all(|packet| packet.payload.len() == 240));
    // Without a remote description the line's own law comes first.
    let made = w.connect("ds/e1-1/2", "recvonly", "");
    assert!(made.text.contains("RTP/AVP 8 0"), "{}", made.text);
}

#[test]
fn the_nearest_period_is_taken() {
    let mut w = World::builder(25).build();
    for (asked, taken) in [("15", ["10", "20"]), ("80", ["60", "60"]), ("3", ["5", "5"])] {
        let made = w.ask("CRCX ds/e1-1/1@gw", &format!("C: 1\r\nM: recvonly\r\nL: p:{asked}, a:PCMA\r\n"));
        assert_eq!(made.code, 200, "{}", made.text);
        assert!(taken.iter().any(|ms| made.text.contains(&format!("a=ptime:{ms}\r\n"))), "{}", made.text);
    }
}

/// What the line hears of a peer that sends to a connection in `mode` that knows no peer yet.
fn line_hears(mode: &str) -> bool {
    let source = distinct(2, Law::A, 65_537);
    let (builder, far_end) = World::builder(26).speaker(0, 1, &distinct(1, Law::A, 65_537));
    let mut w = builder.build();
    let peer = w.add_peer("10.0.0.9:4000");
    let to = w.connect("ds/e1-1/1", mode, "").rtp();
    w.play(peer, to, 8, 20, &source);
    w.run_for(Duration::from_secs(2));
    let heard = heard(&far_end);
    heard.len() > 8_000
        && onset(&heard, Law::A).is_some()
        && follows(&source, &heard, heard.len() - 4_000).is_some()
}

fn heard(far_end: &Arc<Recording>) -> Vec<u8> {
    far_end.octets_from(0).expect("the recording has room")
}

#[test]
fn who_only_receives_is_heard_before_there_is_a_remote_description() {
    assert!(line_hears("recvonly"));
}

#[test]
fn who_is_inactive_or_tests_the_circuit_is_not_heard() {
    for mode in ["inactive", "loopback", "conttest"] {
        assert!(!line_hears(mode), "{mode}");
    }
}

#[test]
fn a_change_names_call_and_connection() {
    let mut w = World::builder(27).build();
    let id = w.connect("ds/e1-1/1", "recvonly", "").connection();
    for without in [format!("I: {id}\r\nM: inactive\r\n"), "C: A1\r\nM: inactive\r\n".to_owned()] {
        let refused = w.ask("MDCX ds/e1-1/1@gw", &without);
        assert_eq!(refused.code, 510, "{}", refused.text);
    }
    let other = w.ask("MDCX ds/e1-1/1@gw", &format!("C: B2\r\nI: {id}\r\nM: inactive\r\n"));
    assert_eq!(other.code, 516, "{}", other.text);
    let audit = w.ask("AUCX ds/e1-1/1@gw", &format!("I: {id}\r\nF: M\r\n"));
    assert_eq!(audit.parameter("M"), Some("recvonly"));
}

#[test]
fn what_a_change_leaves_out_stays() {
    let mut w = World::builder(28).build();
    let peer = w.add_peer("10.0.0.9:4000");
    let sdp = w.peers[peer].description("8");
    let made = w.ask(
        "CRCX ds/e1-1/1@gw",
        &format!("C: A1\r\nM: sendrecv\r\nL: p:10, a:PCMA, e:off, t:b8\r\n\r\n{sdp}"),
    );
    assert_eq!(made.code, 200, "{}", made.text);
    let id = made.connection();
    let change = |w: &mut World, rest: &str| {
        let changed = w.ask("MDCX ds/e1-1/1@gw", &format!("C: A1\r\nI: {id}\r\n{rest}"));
        assert_eq!(changed.code, 200, "{}", changed.text);
        changed
    };
    // RFC 3435 §2.3.6: a description comes only with a change of what it says.
    assert_eq!(change(&mut w, "M: recvonly\r\n").description(), None);
    assert_eq!(change(&mut w, "M: sendrecv\r\nL: e:on\r\n").description(), None);
    let audit = w.ask("AUCX ds/e1-1/1@gw", &format!("I: {id}\r\nF: C,M,L\r\n"));
    let options: BTreeSet<_> = audit.parameter("L").expect("options").split(',').map(str::trim).collect();
    assert_eq!(options, BTreeSet::from(["p:10", "a:PCMA", "e:on", "t:b8"].map(|o| o)), "{}", audit.text);
    assert_eq!((audit.parameter("C"), audit.parameter("M")), (Some("A1"), Some("sendrecv")));
    w.run_for(Duration::from_millis(500));
    w.peers[peer].heard.clear();
    w.run_for(Duration::from_millis(500));
    let heard = &w.peers[peer].heard;
    assert!((49..=51).contains(&heard.len()), "{}", heard.len());
    assert!(heard.iter().all(|packet| packet.payload.len() == 80 && packet.payload_type == 8));
}
