//! RFC 3435 §2.3.7 and §2.3.9: DLCX, of one connection and of many.

use std::time::Duration;

use drivers::line::Law;
use tests::audio::{distinct, follows};
use tests::{Reply, World};

use crate::agent::connections;

#[test]
fn a_deletion_at_any_one_endpoint_is_refused() {
    let mut w = World::builder(31).build();
    let id = w.connect("ds/e1-1/1", "recvonly", "").connection();
    for rest in [String::new(), "C: A1\r\n".to_owned(), format!("C: A1\r\nI: {id}\r\n")] {
        for name in ["$@gw", "ds/$/$@gw", "ds/e1-1/$@gw"] {
            let refused = w.ask(&format!("DLCX {name}"), &rest);
            assert_eq!(refused.code, 503, "{name} {rest:?}: {}", refused.text);
        }
    }
    assert_eq!(connections(&mut w, "ds/e1-1/1"), 1);
}

#[test]
fn a_deletion_succeeds_where_there_is_nothing_to_delete() {
    let mut w = World::builder(32).build();
    assert_eq!(w.ask("DLCX ds/e1-1/1@gw", "C: A1\r\n").code, 250);
    assert_eq!(w.ask("DLCX ds/e1-1/*@gw", "").code, 250);
    assert_eq!(w.ask("DLCX ds/e1-9/*@gw", "").code, 500);
    assert_eq!(w.ask("DLCX ds/e1-9/1@gw", "C: A1\r\n").code, 500);
}

#[test]
fn a_loopback_ends_with_its_connection() {
    let line = distinct(1, Law::A, 65_537);
    for rest in ["C: A1\r\n", ""] {
        let (builder, far_end) = World::builder(33).speaker(0, 1, &line);
        let mut w = builder.build();
        w.connect("ds/e1-1/1", "loopback", "");
        w.run_for(Duration::from_secs(1));
        let heard = far_end.octets_from(0).expect("the recording has room");
        assert!(follows(&line, &heard, heard.len() - 4_000).is_some(), "the line hears itself");
        let before = w.now();
        assert_eq!(w.ask("DLCX ds/e1-1/1@gw", rest).code, 250);
        w.run_for(Duration::from_secs(1));
        let octets = (w.now().since(before).as_millis() * 8) as usize;
        let heard = far_end.octets_from(0).expect("the recording has room");
        // A block or two are on their way.
        let later = &heard[heard.len() - octets + 160..];
        assert!(later.iter().all(|&octet| octet == Law::A.silence()), "nothing comes back any more");
    }
}

#[test]
fn what_is_deleted_cannot_be_changed() {
    let mut w = World::builder(34).build();
    let id = w.connect("ds/e1-1/1", "recvonly", "").connection();
    let one = format!("C: A1\r\nI: {id}\r\n");
    assert_eq!(w.ask("DLCX ds/e1-1/1@gw", &one).code, 250);
    assert_eq!(w.ask("MDCX ds/e1-1/1@gw", &format!("{one}M: inactive\r\n")).code, 515);
    assert_eq!(w.ask("DLCX ds/e1-1/1@gw", &one).code, 515);
    assert_eq!(w.ask("AUCX ds/e1-1/1@gw", &format!("I: {id}\r\n")).code, 515);
}

#[test]
fn media_for_a_deleted_connection_are_dropped_and_none_are_sent() {
    let (builder, far_end) = World::builder(35).speaker(0, 1, &distinct(1, Law::A, 65_537));
    let mut w = builder.build();
    let peer = w.add_peer("10.0.0.9:4000");
    let sdp = w.peers[peer].description("8");
    let to = w.connect("ds/e1-1/1", "sendrecv", &sdp).rtp();
    w.play(peer, to, 8, 20, &distinct(2, Law::A, 65_537));
    w.run_for(Duration::from_secs(1));
    assert_eq!(w.ask("DLCX ds/e1-1/1@gw", "").code, 250);
    w.run_for(Duration::from_millis(50));
    w.peers[peer].heard.clear();
    w.run_for(Duration::from_secs(1));
    assert!(w.peers[peer].heard.is_empty());
    let heard = far_end.octets_from(0).expect("the recording has room");
    assert!(heard[heard.len() - 7_000..].iter().all(|&octet| octet == Law::A.silence()));
}

/// What DLCX tells of a connection in `mode` that was sent to for a second.
fn told(mode: &str) -> Reply {
    let mut w = World::builder(36).build();
    let peer = w.add_peer("10.0.0.9:4000");
    let sdp = w.peers[peer].description("8");
    let made = w.connect("ds/e1-1/1", mode, &sdp);
    w.play(peer, made.rtp(), 8, 20, &distinct(1, Law::A, 65_537));
    w.run_for(Duration::from_secs(1));
    let gone = w.ask("DLCX ds/e1-1/1@gw", &format!("C: A1\r\nI: {}\r\n", made.connection()));
    assert_eq!(gone.code, 250, "{}", gone.text);
    gone
}

// RFC 3435 §2.3.7: the counters of a direction that was never open are zero.
#[test]
fn counters_are_of_the_directions_that_were_open() {
    let both = told("sendrecv");
    for (packets, octets) in [("PS", "OS"), ("PR", "OR")] {
        let n = both.seen(packets).expect("packets are counted");
        assert!((48..=51).contains(&n), "{}", both.text);
        assert_eq!(both.seen(octets), Some(n * 160), "{}", both.text);
    }
    assert_eq!(both.seen("PL"), Some(0), "{}", both.text);
    let receives = told("recvonly");
    assert_eq!((receives.seen("PS"), receives.seen("OS")), (Some(0), Some(0)), "{}", receives.text);
    assert!(receives.seen("PR") > Some(40), "{}", receives.text);
}

#[test]
fn a_connection_that_only_sends_has_received_nothing() {
    let sends = told("sendonly");
    assert!(sends.seen("PS") > Some(40), "{}", sends.text);
    let received = ["PR", "OR", "PL", "JI"].map(|name| sends.seen(name));
    assert_eq!(received, [Some(0); 4], "{}", sends.text);
}
