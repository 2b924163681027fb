//! RFC 3435 §2.3.10, §2.3.11, §3.3.6 and §3.3.7: AUEP and AUCX.

use std::time::Duration;

use drivers::line::{Alarm, Alarms};
use tests::World;

/// The names of a response's parameters.
fn names(text: &str) -> Vec<&str> {
    let header = text.split("\r\n\r\n").next().expect("a response has a header");
    header.lines().skip(1).filter_map(|line| line.split_once(':')).map(|(name, _)| name).collect()
}

#[test]
fn all_endpoints_are_listed_in_service_or_not() {
    let mut w = World::builder(41).spans("[[span]]\ncount = 2\n").build();
    w.script(0).set_alarms(Alarms::NONE.with(Alarm::Los));
    w.run_for(Duration::from_secs(5));
    let audit = w.ask("AUEP *@gw", "F: A,I,RM\r\n");
    assert_eq!(audit.code, 200, "{}", audit.text);
    assert_eq!(names(&audit.text), ["Z"; 62], "names, and nothing else");
    let audit = w.ask("AUEP ds/e1-1/*@gw", "");
    assert_eq!(names(&audit.text).len(), 31);
}

#[test]
fn an_audit_of_nothing_is_acknowledged() {
    let mut w = World::builder(42).build();
    let id = w.connect("ds/e1-1/1", "recvonly", "").connection();
    for (line, rest) in [
        ("AUEP ds/e1-1/1@gw", String::new()),
        ("AUEP ds/e1-1/1@gw", "F:\r\n".to_owned()),
        ("AUCX ds/e1-1/1@gw", format!("I: {id}\r\n")),
        ("AUCX ds/e1-1/1@gw", format!("I: {id}\r\nF: \r\n")),
    ] {
        let audit = w.ask(line, &rest);
        assert_eq!(audit.code, 200, "{}", audit.text);
        assert_eq!(names(&audit.text), [""; 0]);
        assert_eq!(audit.description(), None);
    }
}

#[test]
fn connections_are_listed_in_one_line() {
    let mut w = World::builder(43).build();
    let made = [0; 3].map(|_| w.connect("ds/e1-1/1", "recvonly", "").connection());
    let audit = w.ask("AUEP ds/e1-1/1@gw", "F: I\r\n");
    assert_eq!(names(&audit.text), ["I"], "{}", audit.text);
    let listed: Vec<_> = audit.connection().split(',').map(|id| id.trim().to_owned()).collect();
    assert_eq!(listed, made);
}

#[test]
fn no_parameter_comes_twice() {
    let mut w = World::builder(44).build();
    let id = w.connect("ds/e1-1/1", "recvonly", "").connection();
    let audits = [
        ("AUEP ds/e1-1/1@gw", "F: A,A,I,N,X,R,S,D,O,T,ES,B,RM,RD,E,PL,MD,Q,I,N,MD\r\n".to_owned()),
        ("AUCX ds/e1-1/1@gw", format!("I: {id}\r\nF: C,N,L,M,P,C,N,L,M,P,LC,LC\r\n")),
    ];
    for (line, rest) in audits {
        let audit = w.ask(line, &rest);
        assert_eq!(audit.code, 200, "{}", audit.text);
        let all = names(&audit.text);
        let mut each = all.clone();
        each.sort_unstable();
        each.dedup();
        assert_eq!(each.len(), all.len(), "{}", audit.text);
        assert!(audit.text.matches("v=0\r\n").count() <= 1, "{}", audit.text);
    }
}

#[test]
fn before_any_request_its_parts_are_told_as_empty() {
    let mut w = World::builder(45).build();
    let audit = w.ask("AUEP ds/e1-1/1@gw", "F: R,D,S,X,T,O,ES,I\r\n");
    assert_eq!(audit.code, 200, "{}", audit.text);
    for name in ["R", "D", "S", "T", "O", "ES", "I"] {
        assert_eq!(audit.parameter(name), Some(""), "{name} in {}", audit.text);
    }
    // RFC 3435 §2.3.10: zero since no request has come.
    assert_eq!(audit.parameter("X"), Some("0"));
}

#[test]
fn the_largest_datagram_is_told() {
    let mut w = World::builder(46).build();
    let audit = w.ask("AUEP ds/e1-1/1@gw", "F: MD\r\n");
    let largest: u32 = audit.parameter("MD").and_then(|md| md.parse().ok()).expect("a number");
    assert!(largest >= 4_000);
}

#[test]
fn descriptions_come_last_and_the_local_one_first() {
    let mut w = World::builder(47).build();
    let peer = w.add_peer("10.0.0.9:4000");
    let sdp = w.peers[peer].description("8");
    let made = w.connect("ds/e1-1/1", "sendrecv", &sdp);
    let audit = w.ask("AUCX ds/e1-1/1@gw", &format!("I: {}\r\nF: RC,LC,M\r\n", made.connection()));
    let parts: Vec<_> = audit.text.split("\r\n\r\n").collect();
    assert_eq!(parts.len(), 3, "{}", audit.text);
    assert_eq!(names(parts[0]), ["M"]);
    assert_eq!(parts[1].trim_end(), made.description().expect("a description").trim_end());
    assert_eq!(parts[2].trim_end(), sdp.trim_end());
}

// RFC 3435 §6.8; RFC 5347 §2.1: without a new value the old one stays.
#[test]
fn a_packages_option_is_told_like_the_others() {
    let mut w = World::builder(49).build();
    let made = w.ask("CRCX ds/e1-1/1@gw", "C: A1\r\nM: recvonly\r\nL: a:PCMU, fxr/fx:t38;gw\r\n");
    let one = format!("I: {}\r\n", made.connection());
    let options = |w: &mut World| {
        let audit = w.ask("AUCX ds/e1-1/1@gw", &format!("{one}F: L\r\n"));
        audit.parameter("L").expect("options").to_owned()
    };
    assert_eq!(options(&mut w), "a:PCMU, FXR/fx:t38;gw");
    let modify = |w: &mut World, given: &str| {
        let reply = w.ask("MDCX ds/e1-1/1@gw", &format!("C: A1\r\n{one}L: {given}\r\n"));
        assert_eq!(reply.code, 200, "{}", reply.text);
        options(w)
    };
    assert_eq!(modify(&mut w, "e:off"), "a:PCMU, e:off, FXR/fx:t38;gw");
    assert_eq!(modify(&mut w, "fxr/fx:off"), "a:PCMU, e:off, FXR/fx:off");
}
