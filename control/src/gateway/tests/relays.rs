//! Relays, as Osmocom's call agents use them, and the other endpoints that have no line.

use dataplane::link::{Peer, RelayId, RelayLeg};
use dataplane::mode::Mode;

use super::*;

/// A remote description with AMR under a payload type, at 127.0.0.1.
fn amr(port: u16, payload_type: u8) -> String {
    format!(
        "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {port} RTP/AVP {payload_type}\n\
         a=rtpmap:{payload_type} AMR/8000\na=fmtp:{payload_type} octet-align=1\n"
    )
}

fn legs(actions: &[Action]) -> Vec<RelayLeg> {
    let leg = |action: &Action| match action {
        Action::ConnectRelay { leg, .. } | Action::ModifyRelay { leg, .. } => Some(*leg),
        _ => None,
    };
    actions.iter().filter_map(leg).collect()
}

/// Interop: what osmo-bsc sends for one call.
#[test]
fn a_call_of_osmo_bsc_goes_through_a_relay() {
    let mut bench = Bench::new();
    assert_eq!(bench.ask("DLCX rtpbridge/*@mgw", ""), "250 1 OK\n");
    let options = "L: p:20, a:AMR, nt:IN\nM: recvonly\nX-Osmo-IGN: C\n";
    let first = bench.ask("CRCX rtpbridge/*@mgw", &format!("C: 1234\n{options}"));
    assert_code(&first, 200);
    assert_eq!(header(&first, "Z").as_deref(), Some("rtpbridge/1@mgw"));
    assert!(first.contains("m=audio 20000 RTP/AVP 112\na=rtpmap:112 AMR/8000\na=ptime:20\n"), "{first}");
    let near = header(&first, "I").expect("an id");
    let modify = format!("C: 1234\nI: {near}\nM: sendrecv\n\n{}", amr(4_000, 112));
    assert_code(&bench.ask("MDCX rtpbridge/1@mgw", &modify), 200);
    let second = format!("C: 99\n{options}\n{}", amr(5_000, 98)).replace("recvonly", "sendrecv");
    let second = bench.ask("CRCX rtpbridge/1@mgw", &second);
    assert_code(&second, 200);
    assert_eq!(header(&second, "Z"), None, "its name is known");
    let relay_of = |action: &Action| match action {
        Action::ConnectRelay { relay, .. } => Some(*relay),
        _ => None,
    };
    let actions = bench.actions();
    assert_eq!(actions.iter().filter_map(relay_of).collect::<Vec<_>>(), [RelayId(0); 2]);
    let [made, described, far] = legs(&actions)[..] else { panic!("three legs: {actions:?}") };
    assert_eq!((made.mode, made.peer), (Mode::ReceiveOnly, Peer::Undescribed));
    assert_eq!(described.peer.remote().map(|remote| remote.rtp.port()), Some(4_000));
    assert_eq!((far.types.common(98), far.types.theirs(112)), (112, 98), "AMR has a number on each side");

    assert_code(&bench.ask("CRCX rtpbridge/1@mgw", "C: 1234\nM: recvonly\n"), 540);
    assert_code(&bench.ask("DLCX rtpbridge/1@mgw", "C: 1234\nX-Osmo-IGN: C\n"), 250);
    assert!(bench.gateway.ledger().is_empty());
}

#[test]
fn any_of_counts_up_in_hex_until_there_are_no_more() {
    let mut bench = Bench::with(|config| config.rtpbridge.endpoints = 11);
    let mut names = Vec::new();
    for wildcard in ["*", "$", "[1-9]"].into_iter().cycle().take(11) {
        let made = bench.ask(&format!("CRCX rtpbridge/{wildcard}@mgw"), "C: 1\nM: recvonly\n");
        names.extend(header(&made, "Z"));
    }
    names.sort();
    let expected = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "A", "B"];
    assert_eq!(names, expected.map(|number| format!("rtpbridge/{number}@mgw")));
    assert_eq!(bench.ask("CRCX rtpbridge/*@mgw", "C: 1\nM: recvonly\n"), "403 12 Resources\n");
    assert_eq!(bench.ask("CRCX rtpbridge/$@mgw", "C: 1\nM: recvonly\n"), "410 13 Busy\n");
    assert_code(&bench.ask("AUEP rtpbridge/b@mgw", ""), 200);
    assert_code(&bench.ask("AUEP rtpbridge/C@mgw", ""), 500);
    assert_code(&bench.ask("DLCX rtpbridge/[1-4]@mgw", ""), 250);
    assert_eq!(bench.gateway.ledger().connections().used, 7);
}

/// RFC 3435 §E.3: relays come with the first command and go with their last connection.
#[test]
fn a_wildcard_for_all_endpoints_means_the_relays_that_there_are() {
    let mut bench = Bench::new();
    let names = |bench: &mut Bench, name: &str| {
        let answer = bench.ask(&format!("AUEP {name}@mgw"), "");
        answer.lines().filter(|line| line.starts_with("Z: rtpbridge/")).count()
    };
    assert_eq!((names(&mut bench, "*"), names(&mut bench, "rtpbridge/*")), (0, 128));
    bench.ask("CRCX rtpbridge/7@mgw", "C: 1\nM: recvonly\n");
    assert_eq!((names(&mut bench, "*"), names(&mut bench, "*/*")), (1, 1));
    assert_code(&bench.ask("EPCF *@mgw", "B: e:mu\n"), 200);
    assert_code(&bench.ask("RQNT *@mgw", "X: 1\nR: \n"), 200);
    assert_code(&bench.ask("DLCX *@mgw", ""), 250);
    assert_eq!(names(&mut bench, "*"), 0);
    assert!(bench.gateway.ledger().is_empty());
}

/// RFC 3435 §E.3.
#[test]
fn restarts_of_relays_are_told_with_a_wildcard() {
    let agent = |config: &mut Config| config.mgcp.notified_entity = Some("ca@[127.0.0.1]:2727".to_owned());
    let mut bench = Bench::with(agent);
    let said = bench.span_event(0, down()).concat() + &bench.after(Duration::from_secs(5)).concat();
    let named: Vec<_> =
        said.lines().filter_map(|line| line.strip_prefix("RSIP ")?.split(' ').nth(1)).collect();
    assert!(named.contains(&"rtpbridge/*@gw"), "{named:?}");
    assert!(!named.iter().any(|name| name.contains("rtpbridge/1")), "{named:?}");
}

/// Interop: Osmocom's call agents cannot read RSIP, and take the first message of a datagram for the response.
#[test]
fn nobody_who_has_not_asked_for_it_is_told_of_relays() {
    let agent = |config: &mut Config| config.mgcp.notified_entity = Some("ca@[127.0.0.1]:2999".to_owned());
    let mut bench = Bench::with(agent);
    let said = bench.say("CRCX 7 rtpbridge/*@mgw MGCP 1.0\nC: 1\nM: recvonly\n");
    assert!(said.iter().any(|said| said.starts_with("200 7 OK\nI: ")), "{said:?}");
    let mut bench = Bench::new();
    bench.ask("CRCX rtpbridge/*@mgw", "C: 1\nM: recvonly\n");
    bench.gateway.handle(bench.now, Input::Shutdown);
    assert_eq!(bench.sent(), [""; 0]);
}

#[test]
fn calls_on_one_relay_have_to_be_the_same_unless_that_is_no_matter() {
    let mut bench = Bench::new();
    let id = |answer: &str| header(answer, "I").expect("an id");
    let strict = id(&bench.ask("CRCX rtpbridge/1@mgw", "C: 1\nM: recvonly\n"));
    assert_code(&bench.ask("MDCX rtpbridge/1@mgw", &format!("C: 2\nI: {strict}\nM: inactive\n")), 516);
    assert_code(&bench.ask("DLCX rtpbridge/1@mgw", &format!("C: 2\nI: {strict}\n")), 516);
    let ignored = format!("C: 2\nI: {strict}\nM: inactive\nX-Osmo-IGN: C\n");
    assert_code(&bench.ask("MDCX rtpbridge/1@mgw", &ignored), 200);
    let loose = id(&bench.ask("CRCX rtpbridge/2@mgw", "C: 1\nM: recvonly\nX-Osmo-IGN: C\n"));
    assert_code(&bench.ask("MDCX rtpbridge/2@mgw", &format!("C: 2\nI: {loose}\nM: inactive\n")), 200);
    assert_code(&bench.ask("DLCX rtpbridge/2@mgw", &format!("C: 2\nI: {loose}\n")), 250);
}

/// Interop: what Osmocom's test suite for media gateways expects, RFC 3435 or not.
#[test]
fn osmocoms_call_agents_get_the_codes_they_know() {
    let mut bench = Bench::new();
    for (command, parameters, code) in [
        ("CRCX rtpbridge/2@mgw", "M: recvonly\nL: p:20\n", 516),
        ("CRCX rtpbridge/2@mgw", "C: 1\nL: p:20\n", 517),
        ("CRCX rtpbridge/2@mgw", "C: 1\nM: recvonly\nL: p:111\n", 535),
        ("CRCX rtpbridge/2@mgw", "C: 1\nM: recvonly\nL: p:20, a:AMR, p:20\n", 524),
        ("MDCX rtpbridge/3@mgw", "C: 1\nI: 1\nM: recvonly\n", 515),
        ("MDCX rtpbridge/3@mgw", "I: 1\nM: recvonly\n", 516),
        ("MDCX rtpbridge/3@mgw", "C: 1\nM: recvonly\n", 515),
        ("MDCX rtpbridge/*@mgw", "C: 1\nI: 1\nM: recvonly\n", 507),
        ("DLCX rtpbridge/4@mgw", "C: 1\n", 515),
        ("DLCX rtpbridge/4@mgw", "", 250),
        ("DLCX rtpbridge/*@mgw", "C: 1\n", 250),
        ("DLCX rtpbridge/[6]@mgw", "C: 1\n", 250),
        ("CRCX rtpbridge/05@mgw", "C: 1\nM: recvonly\n", 200),
        ("DLCX rtpbridge/5@mgw", "C: ffff\n", 516),
        ("DLCX rtpbridge/5@mgw", "C: 1\nI: ffff\n", 515),
        ("DLCX rtpbridge/5@mgw", "C: 1\n", 250),
        ("DLCX ds/e1-1/s-2/su64-0@mgw", "C: 1\n", 515),
        // The RFC's own names have the RFC's codes (§2.3.9, §3.2.2).
        ("DLCX ds/e1-1/2@mgw", "C: 1\n", 250),
        ("CRCX ds/e1-1/2@mgw", "M: recvonly\n", 510),
    ] {
        assert_code(&bench.ask(command, parameters), code);
    }
    let made = bench.ask("CRCX rtpbridge/2@mgw", "C: 1\nM: recvonly\nL: p:15-25\n");
    assert!(made.contains("a=ptime:20\n"), "{made}");
    let id = header(&made, "I").expect("an id");
    // They look for a description in each answer, though this one says nothing new.
    let same = bench.ask("MDCX rtpbridge/2@mgw", &format!("C: 1\nI: {id}\nM: inactive\n"));
    assert_eq!(same.split_once("\n\n").map(|(_, told)| told), made.split_once("\n\n").map(|(_, told)| told));
}

#[test]
fn a_relay_refuses_what_takes_a_line() {
    let mut bench = Bench::new();
    for (command, parameters, code) in [
        ("EPCF rtpbridge/1@mgw", "B: e:A\n", 539),
        ("RQNT rtpbridge/1@mgw", "X: 1\nR: D/[0-9](N)\n", 518),
        ("RQNT rtpbridge/1@mgw", "X: 1\nS: G/rt\n", 518),
        ("RQNT rtpbridge/1@mgw", "X: 1\nR: \n", 200),
        ("CRCX rtpbridge/1@mgw", "C: 1\nM: conttest\n", 517),
        ("CRCX rtpbridge/1@mgw", "C: 1\nM: netwtest\n", 517),
        ("CRCX rtpbridge/1@mgw", "C: 1\nM: sendrecv\n", 527),
        ("CRCX rtpbridge/1@mgw", "C: 1\nL: e:on\nM: recvonly\n", 532),
        ("CRCX rtpbridge/1@mgw", "C: 1\nL: b:64\nM: recvonly\n", 541),
        ("CRCX rtpbridge/1@mgw", "C: 1\nM: loopback\n", 200),
        ("AUEP rtpbridge/1@mgw", "F: A,B,PL\n", 200),
    ] {
        let answer = bench.ask(command, parameters);
        assert_code(&answer, code);
        // Osmocom's call agents know no parameters in these, and take one word.
        assert!(code < 300 || answer.lines().count() == 1, "{answer}");
        assert!(answer.lines().next().is_some_and(|line| line.split(' ').count() == 3), "{answer}");
    }
}

#[test]
fn a_relays_own_address_is_of_the_remotes_family() {
    let mut bench = Bench::with(|config| config.media.addresses.push("::1".parse().expect("an address")));
    let v6 = "v=0\no=- 1 1 IN IP6 ::1\ns=-\nc=IN IP6 ::1\nt=0 0\nm=audio 6000 RTP/AVP 0\n";
    let made = bench.ask("CRCX rtpbridge/1@mgw", "C: 1\nM: recvonly\n");
    assert!(made.contains("c=IN IP4 127.0.0.1\n"), "{made}");
    let id = header(&made, "I").expect("an id");
    let moved = bench.ask("MDCX rtpbridge/1@mgw", &format!("C: 1\nI: {id}\nM: sendrecv\n\n{v6}"));
    assert!(moved.contains("c=IN IP6 ::1\n"), "{moved}");
    let second = bench.ask("CRCX rtpbridge/1@mgw", &format!("C: 1\nM: sendrecv\n\n{}", amr(4_000, 112)));
    assert!(second.contains("c=IN IP4 127.0.0.1\n"), "{second}");
    assert_code(&bench.ask("DLCX rtpbridge/1@mgw", ""), 250);
    assert!(bench.gateway.ledger().is_empty());
}

#[test]
fn names_of_relays_and_whole_channels_are_never_promised_anything() {
    let mut bench = Bench::new();
    for endpoint in ["rtpbridge/*@mgw", "ds/e1-1/s-2/su64-0@mgw"] {
        bench.say_only(&format!("CRCX {} {endpoint} MGCP 1.0\nC: 1\nM: recvonly\n", bench.transaction + 900));
        bench.transaction += 1;
        assert_eq!(bench.after(Duration::from_secs(1)), [""; 0], "no 100 for {endpoint}");
        let said = bench.carry_out();
        assert_eq!(said.len(), 1);
        assert_code(&said[0], 200);
    }
}

#[test]
fn parts_of_a_channel_are_no_endpoints() {
    let mut bench = Bench::new();
    let made = bench.ask("CRCX ds/e1-1/s-2/su64-0@mgw", "C: 1\nM: recvonly\n");
    assert_code(&made, 200);
    for part in ["su16-0", "su32-4", "su8-7", "su64-1"] {
        assert_code(&bench.ask(&format!("CRCX ds/e1-1/s-2/{part}@mgw"), "C: 1\nM: recvonly\n"), 500);
    }
    let any = bench.ask("CRCX ds/e1-1/$/su64-0@mgw", "C: 1\nM: recvonly\n");
    assert_eq!(header(&any, "Z").as_deref(), Some("ds/e1-1/s-1/su64-0@mgw"));
    assert_code(&bench.ask("AUEP ds/e1-1/2@mgw", ""), 200);
}

#[test]
fn the_audit_that_keeps_osmocoms_agents_calm_is_answered_and_nothing_else_is_there() {
    let mut bench = Bench::with(|config| config.gateway.aliases = vec!["mgw".to_owned()]);
    assert_eq!(bench.ask("AUEP null@mgw", ""), "200 1 OK\n");
    assert_code(&bench.ask("AUEP null@elsewhere", ""), 500);
    assert_code(&bench.ask("CRCX null@mgw", "C: 1\nM: recvonly\n"), 500);
    assert_code(&bench.ask("DLCX null@mgw", ""), 500);
}

/// RFC 3435 §E.4.
#[test]
fn the_gateway_itself_is_an_endpoint_like_any_other_if_it_is_one() {
    let name = |config: &mut Config| {
        config.gateway.mg = true;
        config.mgcp.notified_entity = Some("ca@[127.0.0.1]:2727".to_owned());
    };
    let mut bench = Bench::with(name);
    let said = bench.span_event(0, down()).concat() + &bench.after(Duration::from_secs(5)).concat();
    let named: Vec<_> =
        said.lines().filter_map(|line| line.strip_prefix("RSIP ")?.split(' ').nth(1)).collect();
    for expected in ["ds/e1-1/*@gw", "ds/e1-2/*@gw", "rtpbridge/*@gw", "mg@gw"] {
        assert!(named.contains(&expected), "{expected} in {named:?}");
    }
    let mut bench = Bench::with(|config| config.gateway.mg = true);
    assert_code(&bench.ask("AUEP mg@gw", "F: A,I,N,RM\n"), 200);
    assert!(bench.ask("AUEP *@gw", "").contains("\nZ: mg@gw\n"));
    assert_code(&bench.ask("CRCX mg@gw", "C: 1\nM: recvonly\n"), 540);
    assert_code(&bench.ask("RQNT mg@gw", "X: 1\nN: ca@[127.0.0.1]\n"), 200);
    assert_eq!(bench.ask("AUEP mg@gw", "F: N\n"), "200 5 OK\nN: ca@[127.0.0.1]\n");
    assert_eq!(bench.ask("AUEP ds/e1-1/1@gw", "F: N\n"), "200 6 OK\nN: \n", "the others are not touched");
    let any = bench.ask("CRCX $@gw", "C: 1\nM: recvonly\n");
    assert!(header(&any, "Z").is_some_and(|name| name.starts_with("ds/")), "{any}");
}

// RFC 3435 §4.4.6. Who controls relays is not taken for their notified entity.
#[test]
fn what_is_owed_of_a_relay_whose_notified_entity_is_gone_keeps_nobody_waiting() {
    let mut bench = Bench::with(|config| {
        config.mgcp.notified_entity = Some("ca@ca.example.net".to_owned());
        config.mgcp.restart_wait_max = Duration::ZERO;
    });
    bench.after(Duration::from_millis(1));
    let call = "CRCX 1 rtpbridge/1@gw MGCP 1.0\nC: 1\nM: recvonly\nL: a:PCMA\nN: \n";
    assert_code(bench.say(call).last().expect("an answer"), 200);
    // So that one message for all is not true of all.
    bench.say("EPCF 3 ds/e1-1/31@gw MGCP 1.0\nRED/N: other@[127.0.0.5]\n");
    // Nobody answers, until it is no longer repeated.
    bench.after(Duration::from_secs(25));
    let said = bench.say("DLCX 2 *@gw MGCP 1.0\n");
    assert!(said.last().is_some_and(|last| last.contains("\n250 2 ")), "{said:?}");
}
