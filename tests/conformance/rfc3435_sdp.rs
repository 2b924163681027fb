//! RFC 3435 §2.6 and §3.4: session descriptions, and what they bind both sides to.

use std::time::Duration;

use drivers::line::Law;
use tests::audio::distinct;
use tests::{Reply, World};

/// The lines of a reply's description.
fn lines(reply: &Reply) -> Vec<&str> {
    reply.description().expect("a description").lines().collect()
}

/// The words of its `o=`.
fn origin(reply: &Reply) -> Vec<&str> {
    let origin = lines(reply).into_iter().find(|line| line.starts_with("o=")).expect("o=");
    origin[2..].split(' ').collect()
}

#[test]
fn a_description_has_all_that_it_must_have() {
    let mut w = World::builder(91).build();
    let made = w.connect("ds/e1-1/1", "recvonly", "");
    let order: String = lines(&made).iter().map(|line| &line[..1]).collect();
    assert!(order.starts_with("vosctm") && order[6..].bytes().all(|b| b == b'a'), "{}", made.text);
    assert!(made.text.ends_with("\r\n"));
    assert!(lines(&made).contains(&"s=-") && lines(&made).contains(&"t=0 0"));
    let [user, session, version, network, kind, address] = origin(&made)[..] else { panic!("six words") };
    assert_eq!((user, version, network, kind, address), ("-", "0", "IN", "IP4", "10.0.0.1"));
    assert!(lines(&made).contains(&"c=IN IP4 10.0.0.1"));
    // The world begins on 14 November 2023; an NTP timestamp has the seconds since 1900 above its fraction. Its
    // highest bit is left out, because call agents read signed numbers.
    let timestamp: u64 = session.parse().expect("a number");
    assert!((3_908_988_800..3_908_988_900).contains(&(timestamp >> 32 | 1 << 31)), "{timestamp}");
}

#[test]
fn its_version_counts_its_changes_from_zero() {
    let mut w = World::builder(92).build();
    let made = w.connect("ds/e1-1/1", "recvonly", "");
    let one = format!("C: A1\r\nI: {}\r\n", made.connection());
    let session = origin(&made)[1].to_owned();
    for (version, options) in [("1", "a:PCMU"), ("2", "a:PCMA"), ("3", "p:10")] {
        let changed = w.ask("MDCX ds/e1-1/1@gw", &format!("{one}L: {options}\r\n"));
        assert_eq!(origin(&changed)[1..3], [&*session, version], "{}", changed.text);
        let same = w.ask("MDCX ds/e1-1/1@gw", &format!("{one}L: {options}\r\n"));
        assert_eq!(same.description(), None, "{}", same.text);
    }
}

#[test]
fn options_bind_what_is_said_and_what_is_sent() {
    let mut w = World::builder(93).build();
    let peer = w.add_peer("10.0.0.9:4000");
    let sdp = w.peers[peer].description("8 0");
    let made = w.ask("CRCX ds/e1-1/1@gw", &format!("C: A1\r\nM: sendrecv\r\nL: p:30, a:PCMU\r\n\r\n{sdp}"));
    assert_eq!(made.code, 200, "{}", made.text);
    assert!(made.text.contains("RTP/AVP 0\r\n") && made.text.contains("a=ptime:30\r\n"), "{}", made.text);
    w.run_for(Duration::from_secs(1));
    let one = format!("C: A1\r\nI: {}\r\nM: sendrecv\r\n", made.connection());
    assert_eq!(w.ask("MDCX ds/e1-1/1@gw", &one).code, 200);
    w.run_for(Duration::from_secs(1));
    let heard = &w.peers[peer].heard;
    assert!((65..=67).contains(&heard.len()), "{}", heard.len());
    assert!(heard.iter().all(|packet| packet.payload_type == 0 && packet.payload.len() == 240));
}

#[test]
fn the_remote_description_binds_what_is_sent() {
    let mut w = World::builder(94).build();
    let (first, second) = (w.add_peer("10.0.0.9:4000"), w.add_peer("10.0.0.10:5000"));
    let sdp = w.peers[first].description("97") + "a=rtpmap:97 PCMU/8000\r\na=ptime:40\r\n";
    let made = w.connect("ds/e1-1/1", "sendrecv", &sdp);
    w.run_for(Duration::from_secs(1));
    let heard = std::mem::take(&mut w.peers[first].heard);
    assert!((24..=25).contains(&heard.len()), "{}", heard.len());
    assert!(heard.iter().all(|packet| packet.payload_type == 97 && packet.payload.len() == 320));
    let sdp = w.peers[second].description("8");
    let one = format!("C: A1\r\nI: {}\r\n\r\n{sdp}", made.connection());
    assert_eq!(w.ask("MDCX ds/e1-1/1@gw", &one).code, 200);
    w.run_for(Duration::from_millis(100));
    w.peers[first].heard.clear();
    w.run_for(Duration::from_secs(1));
    assert!(w.peers[first].heard.is_empty(), "the new description takes the place of the old one");
    assert!(w.peers[second].heard.iter().all(|packet| packet.payload_type == 8));
    assert!(w.peers[second].heard.len() > 20);
}

#[test]
fn all_that_is_offered_is_understood() {
    for (payload_type, law) in [(8, Law::A), (0, Law::Mu)] {
        let (builder, far_end) = World::builder(95).speaker(0, 1, &distinct(1, Law::A, 65_537));
        let mut w = builder.build();
        let peer = w.add_peer("10.0.0.9:4000");
        let sdp = w.peers[peer].description("8 0");
        let made = w.connect("ds/e1-1/1", "sendrecv", &sdp);
        assert!(made.text.contains("RTP/AVP 8 0"), "{}", made.text);
        let source = distinct(2, law, 40_009);
        w.play(peer, made.rtp(), payload_type, 20, &source);
        w.run_for(Duration::from_secs(2));
        let heard = far_end.octets_from(0).expect("the recording has room");
        let end = &heard[heard.len() - 4_000..];
        assert!(sounds_like(end, Law::A, &source, law), "payload type {payload_type}");
    }
}

/// Whether octets of one law are a part of a ring of another, but for what a change of law rounds off.
fn sounds_like(heard: &[u8], law: Law, source: &[u8], of_source: Law) -> bool {
    let samples =
        |octets: &[u8], law: Law| octets.iter().map(|&o| i32::from(law.decode(o))).collect::<Vec<_>>();
    let (heard, source) = (samples(heard, law), samples(source, of_source));
    let near = |a: i32, b: i32| (a - b).abs() <= 64 + b.abs() / 16;
    (0..source.len())
        .any(|start| heard.iter().enumerate().all(|(i, &h)| near(h, source[(start + i) % source.len()])))
}

#[test]
fn options_order_codecs_whatever_the_peer_prefers() {
    let mut w = World::builder(96).build();
    let peer = w.add_peer("10.0.0.9:4000");
    let sdp = w.peers[peer].description("8 0");
    let made = w.ask("CRCX ds/e1-1/1@gw", &format!("C: A1\r\nM: sendrecv\r\nL: a:PCMU;PCMA\r\n\r\n{sdp}"));
    assert!(made.text.contains("RTP/AVP 0 8\r\n"), "{}", made.text);
    w.run_for(Duration::from_millis(500));
    assert!(w.peers[peer].heard.iter().all(|packet| packet.payload_type == 0));
    assert!(w.peers[peer].heard.len() > 20);
}

/// Those of a reply's lines that are of telephone-events.
fn events(reply: &Reply) -> Vec<&str> {
    lines(reply).into_iter().filter(|line| line.contains("101") && line.starts_with("a=")).collect()
}

// RFC 4733 §2.4.1, §2.5.1.1; RFC 3264 §6.1.
#[test]
fn telephone_events_are_offered_answered_and_put_away_again() {
    const SAID: [&str; 2] = ["a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15"];
    const LISTED: &str = "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n";
    let mut w = World::builder(97).build();
    let peer = w.add_peer("10.0.0.9:4000");
    let with = w.peers[peer].description("8 101") + LISTED;
    let without = w.peers[peer].description("8");
    let offered = w.connect("ds/e1-1/1", "recvonly", "");
    assert_eq!(events(&offered), SAID);
    assert!(offered.text.contains("RTP/AVP 8 0 96 101\r\n"), "{}", offered.text);
    let answered = w.connect("ds/e1-1/2", "sendrecv", &with);
    assert_eq!(events(&answered), SAID);
    assert!(answered.text.contains("RTP/AVP 8 101\r\n"), "{}", answered.text);
    assert!(events(&w.connect("ds/e1-1/3", "sendrecv", &without)).is_empty(), "what was not offered");
    let named = w.ask("CRCX ds/e1-1/4@gw", &format!("C: A1\r\nM: sendrecv\r\nL: a:PCMA\r\n\r\n{with}"));
    assert!(events(&named).is_empty(), "what is not allowed: {}", named.text);

    let one = format!("C: A1\r\nI: {}\r\n", answered.connection());
    let change = |w: &mut World, rest: &str| w.ask("MDCX ds/e1-1/2@gw", &format!("{one}{rest}"));
    assert_eq!(change(&mut w, "M: recvonly\r\n").description(), None, "a mode changes nothing of it");
    let narrowed = change(&mut w, "L: a:PCMA\r\n");
    assert!(events(&narrowed).is_empty() && origin(&narrowed)[2] == "1", "{}", narrowed.text);
    let widened = change(&mut w, "L: a:PCMA;telephone-event\r\n");
    assert_eq!((events(&widened), origin(&widened)[2]), (SAID.to_vec(), "2"));
    let audit = w.ask("AUCX ds/e1-1/2@gw", &format!("I: {}\r\nF: L,LC,RC\r\n", answered.connection()));
    assert!(audit.parameter("L").is_some_and(|l| l.contains("a:PCMA;telephone-event")), "{}", audit.text);
    assert_eq!(
        audit.text.matches("a=rtpmap:101 telephone-event/8000").count(),
        2,
        "LC and RC: {}",
        audit.text
    );
    let capable = w.ask("AUEP ds/e1-1/2@gw", "F: A\r\n");
    assert!(capable.parameter("A").is_some_and(|a| a.contains(";telephone-event,")), "{}", capable.text);
}

#[test]
fn an_operator_may_leave_digits_in_the_audio() {
    let mut w = World::builder(98).config("telephone_events = false\n").build();
    assert!(events(&w.connect("ds/e1-1/1", "recvonly", "")).is_empty());
    let asked = w.ask("CRCX ds/e1-1/2@gw", "C: A1\r\nM: recvonly\r\nL: a:PCMA;telephone-event\r\n");
    assert_eq!(events(&asked).len(), 2, "who names them has them: {}", asked.text);
}
