//! Calls as they are meant to go.

use dataplane::link::{Codec, Peer};
use dataplane::mode::Mode;
use drivers::line::Law;
use drivers::net::{Dscp, PortSlot};

use super::*;

#[test]
fn crcx_answers_with_a_connection_and_a_description_once_the_core_is_done() {
    let mut bench = Bench::new();
    let command = format!("CRCX 7 ds/e1-1/17@gw MGCP 1.0\nC: A1\nM: sendrecv\n\n{REMOTE}");
    assert_eq!(bench.say_only(&command), [""; 0]);
    let said = bench.carry_out();
    assert_eq!(said.len(), 1);
    assert!(said[0].starts_with("200 7 OK\nI: "), "{said:?}");
    assert!(said[0].contains("\n\nv=0\no=- "), "{said:?}");
    assert!(said[0].contains("m=audio 20000 RTP/AVP "), "{said:?}");
    let id = header(&said[0], "I").expect("an id");
    assert!(id.bytes().all(|digit| digit.is_ascii_digit() || digit.is_ascii_uppercase()), "{id}");
    let [Action::Connect { ds0, leg, .. }] = &bench.actions()[..] else { panic!("one connect") };
    assert_eq!((ds0.span, ds0.timeslot.number()), (SpanId(0), 17));
    let remote = leg.peer.remote().expect("a remote").rtp;
    assert_eq!(remote, "127.0.0.1:30934".parse().expect("an address"));
    assert_eq!((leg.mode, leg.dscp), (Mode::SendReceive, Dscp::EF));
    // The peer's order of preference counts where the command gives none.
    assert_eq!(leg.send.codec, Codec::G711(Law::Mu));
}

#[test]
fn session_ids_are_read_by_who_counts_in_signed_numbers() {
    let mut bench = Bench::new();
    let ids: Vec<i64> = ["ds/e1-1/1@gw", "ds/e1-1/2@gw"]
        .map(|name| bench.ask(&format!("CRCX {name}"), "C: A1\nM: recvonly\n"))
        .iter()
        .map(|made| {
            let (_, said) = made.split_once("o=- ").expect("an origin");
            said.split(' ').next().expect("a session id").parse().expect("a signed number of 64 bits")
        })
        .collect();
    assert!(0 < ids[0] && ids[0] < ids[1], "{ids:?}");
}

#[test]
fn two_connections_share_nothing_that_tells_them_apart() {
    let mut bench = Bench::new();
    let ids = [bench.crcx("ds/e1-1/1@gw", "A1"), bench.crcx("ds/e1-1/2@gw", "A1")];
    assert_ne!(ids[0], ids[1]);
    let actions = bench.actions();
    let [Action::Connect { identity: a, port: p, .. }, Action::Connect { identity: b, port: q, .. }] =
        &actions[..]
    else {
        panic!("two connects")
    };
    assert_ne!(p, q);
    assert_ne!((a.ssrc, a.cname), (b.ssrc, b.cname));
}

#[test]
fn a_call_is_made_half_open_then_modified_then_deleted_with_its_counters() {
    let mut bench = Bench::new();
    let made = bench.ask("CRCX ds/e1-2/5@gw", "C: A1\nL: p:20, a:PCMU;PCMA\nM: inactive\n");
    assert_code(&made, 200);
    let id = header(&made, "I").expect("an id");
    let modified = bench.ask("MDCX ds/e1-2/5@gw", &format!("C: A1\nI: {id}\nM: sendrecv\n\n{REMOTE}"));
    assert_code(&modified, 200);
    let deleted = bench.ask("DLCX ds/e1-2/5@gw", &format!("C: A1\nI: {id}\n"));
    assert_code(&deleted, 250);
    let counters = "PS=50, OS=8000, PR=49, OR=7840, PL=1, JI=3, LA=7";
    assert_eq!(header(&deleted, "P").as_deref(), Some(counters));
    let actions = bench.actions();
    let [Action::Connect { leg: first, .. }, Action::Modify { leg: second, .. }, Action::Disconnect { .. }] =
        &actions[..]
    else {
        panic!("{actions:?}")
    };
    assert_eq!((first.mode, first.peer), (Mode::Inactive, Peer::Undescribed));
    assert_eq!(second.mode, Mode::SendReceive);
    assert!(second.peer.remote().is_some());
    assert!(bench.gateway.ledger().is_empty());
}

#[test]
fn mdcx_of_the_mode_alone_says_nothing_new() {
    let mut bench = Bench::new();
    let id = bench.crcx("ds/e1-1/1@gw", "A1");
    let answer = bench.ask("MDCX ds/e1-1/1@gw", &format!("C: A1\nI: {id}\nM: recvonly\n"));
    assert_code(&answer, 200);
    assert!(!answer.contains("v=0"), "{answer}");
}

#[test]
fn mdcx_that_changes_the_codecs_says_so_in_a_later_version() {
    let mut bench = Bench::new();
    let id = bench.crcx("ds/e1-1/1@gw", "A1");
    let answer = bench.ask("MDCX ds/e1-1/1@gw", &format!("C: A1\nI: {id}\nL: a:PCMU\n"));
    assert_code(&answer, 200);
    let origin = answer.lines().find(|line| line.starts_with("o=")).expect("a description");
    assert_eq!(origin.split(' ').nth(2), Some("1"), "{answer}");
}

#[test]
fn any_of_takes_an_idle_endpoint_and_names_it_as_it_was_asked_for() {
    let mut bench = Bench::new();
    bench.crcx("ds/e1-2/1@gw", "A1");
    let answer = bench.ask("CRCX ds/ds1-2/$@127.0.0.1:2427", "C: A1\nM: recvonly\n");
    assert_code(&answer, 200);
    assert_eq!(header(&answer, "Z").as_deref(), Some("ds/ds1-2/2@127.0.0.1"));
    let specific = bench.ask("CRCX ds/e1-2/9@gw", "C: A1\nM: recvonly\n");
    assert_eq!(header(&specific, "Z"), None);
}

#[test]
fn any_of_is_refused_when_all_are_taken() {
    let mut bench = Bench::new();
    for _ in 0..31 {
        assert_code(&bench.ask("CRCX ds/e1-1/$@gw", "C: A1\nM: recvonly\n"), 200);
    }
    assert_code(&bench.ask("CRCX ds/e1-1/$@gw", "C: A1\nM: recvonly\n"), 410);
    assert_code(&bench.ask("CRCX ds/e1-9/$@gw", "C: A1\nM: recvonly\n"), 500);
}

#[test]
fn dlcx_of_a_call_leaves_other_calls() {
    let mut bench = Bench::new();
    bench.crcx("ds/e1-1/1@gw", "A1");
    let other = bench.crcx("ds/e1-1/1@gw", "B2");
    let deleted = bench.ask("DLCX ds/e1-1/1@gw", "C: A1\n");
    assert_code(&deleted, 250);
    assert_eq!(header(&deleted, "P"), None);
    let left = bench.ask("AUEP ds/e1-1/1@gw", "F: I\n");
    assert_eq!(header(&left, "I"), Some(other));
}

#[test]
fn dlcx_of_everything_waits_for_every_core_and_leaves_nothing() {
    let mut bench = Bench::new();
    for timeslot in 1..=31 {
        bench.crcx(&format!("ds/e1-1/{timeslot}@gw"), "A1");
        bench.crcx(&format!("ds/e1-4/{timeslot}@gw"), "A2");
    }
    assert_eq!(bench.say_only("DLCX 900 *@gw MGCP 1.0\n"), [""; 0]);
    assert_eq!(bench.ring.len(), 62);
    assert_eq!(bench.carry_out(), ["250 900 OK\n"]);
    assert!(bench.gateway.ledger().is_empty());
}

#[test]
fn dlcx_of_an_idle_endpoint_succeeds() {
    let mut bench = Bench::new();
    assert_code(&bench.ask("DLCX ds/ds1-1/1@127.0.0.1:2427", ""), 250);
    // What Yate sends after a CRCX that failed.
    assert_code(&bench.ask("DLCX ds/ds1-1/1@127.0.0.1:2427", "X: facf0c4601000000\nR: \n"), 250);
}

#[test]
fn epcf_sets_the_law_of_all_endpoints_that_are_not_of_it() {
    let mut bench = Bench::new();
    assert_code(&bench.ask("EPCF ds/e1-1/3@gw", "B: e:mu\n"), 200);
    assert_code(&bench.ask("EPCF ds/e1-1/*@gw", "B: e:mu\n"), 200);
    let actions = bench.actions();
    assert_eq!(actions.len(), 31);
    assert!(actions.iter().all(|action| matches!(action, Action::Encode { law: Law::Mu, .. })));
    assert_eq!(header(&bench.ask("AUEP ds/e1-1/9@gw", "F: B\n"), "B").as_deref(), Some("e:mu"));
}

#[test]
fn bearer_information_in_crcx_is_set_before_the_connection_is_made() {
    let mut bench = Bench::new();
    let answer = bench.ask("CRCX ds/e1-1/3@gw", "C: A1\nB: e:mu\nM: recvonly\n");
    assert_code(&answer, 200);
    assert!(answer.contains("RTP/AVP 0 "), "the line's law comes first: {answer}");
    let actions = bench.actions();
    assert!(matches!(actions[..], [Action::Encode { law: Law::Mu, .. }, Action::Connect { .. }]));
}

#[test]
fn an_empty_notification_request_is_granted_and_remembered() {
    let mut bench = Bench::new();
    assert_code(&bench.ask("RQNT ds/e1-1/3@gw", "X: 0123AB\nR:\nS:\n"), 200);
    assert_eq!(header(&bench.ask("AUEP ds/e1-1/3@gw", "F: X\n"), "X").as_deref(), Some("0123AB"));
    assert_eq!(header(&bench.ask("AUEP ds/e1-1/4@gw", "F: X\n"), "X").as_deref(), Some("0"));
}

// RFC 3435 §2.3.5: zero, unless another mark was provisioned.
#[test]
fn packets_are_marked_as_configured_unless_the_command_says_how() {
    let mut bench = Bench::with(|config| config.media.dscp = Dscp::new(34).expect("34 is at most 63"));
    for (options, tos) in [("p:20", 34 << 2), ("t:68, e:off, s:off, gc:0, r:be, nt:IN", 0x68), ("t:00", 0)] {
        assert_code(&bench.ask("CRCX ds/e1-1/3@gw", &format!("C: A1\nL: {options}\nM: recvonly\n")), 200);
        let [Action::Connect { leg, .. }] = &bench.actions()[..] else { panic!("one connect") };
        assert_eq!(leg.dscp.tos(), tos, "{options}");
    }
}

/// What a core has been given beyond what its ring holds, when a command comes while `free` orders have room.
fn beyond(bench: &mut Bench, free: usize, message: &str) -> (usize, String) {
    let usage = |bench: &Bench| bench.gateway.state.orders.usage().next().expect("a core").1;
    while usage(bench).capacity - usage(bench).used > free {
        bench.gateway.state.orders.push(CoreId(0), Action::Survey { port: PortSlot(0) }, None);
    }
    let mut said = bench.say_only(message);
    let beyond = usage(bench).used.saturating_sub(usage(bench).capacity);
    said.extend(bench.carry_out());
    (beyond, said.into_iter().find(|said| !said.starts_with("NTFY")).expect("an answer"))
}

// What is made is refused rather than begun without room for all its orders.
#[test]
fn a_command_begins_only_when_there_is_room_for_all_its_orders() {
    let media = "R: D/1@*(N),R/ma@*(N)\n";
    let v6 = REMOTE.replace("c=IN IP4 127.0.0.1", "c=IN IP6 ::1");
    let cases = [
        // What it moves is listened to and looked after anew.
        ("MDCX", media, format!("C: A1\nI: ID\nM: sendrecv\n\n{v6}")),
        // What is played on all connections begins on a new one.
        ("CRCX", "S: G/rt@*\n", format!("C: A1\nM: sendrecv\n\n{REMOTE}")),
        ("CRCX", &format!("{media}S: G/rt@*\n"), format!("C: A1\nM: sendrecv\nX: 2\n\n{REMOTE}")),
        ("CRCX", &format!("{media}S: G/rt@*\n"), "C: A1\nM: sendrecv\nZ2: ds/e1-1/2@gw\n".to_owned()),
        // Call tones are listened for by the law.
        ("EPCF", "R: T/ro(N)\n", "B: e:mu\n".to_owned()),
    ];
    for (verb, request, parameters) in cases {
        let mut is_accepted = false;
        for free in 0..64 {
            let mut bench = Bench::with(|config| {
                config.media.addresses = vec!["127.0.0.1".parse().expect("v4"), "::1".parse().expect("v6")];
            });
            let id = bench.crcx("ds/e1-1/1@gw", "A1");
            for timeslot in 1..=2 {
                let rqnt = format!("RQNT ds/e1-1/{timeslot}@gw");
                assert_code(&bench.ask(&rqnt, &format!("X: 1\n{request}")), 200);
            }
            let parameters = parameters.replace("ID", &id);
            let message = format!("{verb} 900 ds/e1-1/1@gw MGCP 1.0\n{parameters}");
            let (beyond, answer) = beyond(&mut bench, free, &message);
            assert_eq!(beyond, 0, "{verb} with {free}: {answer}");
            is_accepted = answer.starts_with("200 ");
            assert!(is_accepted || answer.starts_with("409 "), "{answer}");
        }
        assert!(is_accepted, "{verb}");
    }
}

#[test]
fn a_connection_moves_to_the_address_family_of_its_peer() {
    let mut bench = Bench::with(|config| {
        config.media.addresses = vec!["127.0.0.1".parse().expect("v4"), "::1".parse().expect("v6")];
    });
    let made = bench.ask("CRCX ds/e1-1/3@gw", "C: A1\nM: recvonly\n");
    let id = header(&made, "I").expect("an id");
    let remote = REMOTE.replace("c=IN IP4 127.0.0.1", "c=IN IP6 ::1");
    let moved = bench.ask("MDCX ds/e1-1/3@gw", &format!("C: A1\nI: {id}\nM: sendrecv\n\n{remote}"));
    assert!(moved.contains("c=IN IP6 ::1\n"), "{moved}");
    let actions = bench.actions();
    assert!(matches!(
        actions[..],
        [Action::Connect { .. }, Action::Disconnect { .. }, Action::Connect { .. }]
    ));
    assert_code(&bench.ask("DLCX ds/e1-1/3@gw", ""), 250);
    assert!(bench.gateway.ledger().is_empty());
}

#[test]
fn yates_call_succeeds_when_it_asks_for_no_events() {
    let mut bench = Bench::new();
    let endpoint = "ds/ds1-1/1@127.0.0.1:2427";
    let made = bench.ask(
        &format!("CRCX {endpoint}"),
        &format!("C: 28983372547f000001000000\nX: 27095e1201000000\nB: e:A\nM: sendrecv\n\n{REMOTE}"),
    );
    assert_code(&made, 200);
    assert!(!made.split("\n\n").next().expect("headers").contains("127.0.0.1:"), "{made}");
    let id = header(&made, "I").expect("an id");
    let parameters = format!("I: {id}\nC: 28983372547F000001000000\nX: facf0c4601000000\nR: \n");
    assert_code(&bench.ask(&format!("DLCX {endpoint}"), &parameters), 250);
    assert!(bench.gateway.ledger().is_empty());
}

#[test]
fn the_carriers_names_work_in_any_case_with_bare_line_feeds() {
    let mut bench = Bench::with(|config| config.spans[2].slot = Some(3));
    let said = bench.hear(AGENT, b"auep 17 S3/DS1-3/1@name MGCP 1.0\nF: \n");
    assert_eq!(said, ["200 17 OK\n"]);
}
