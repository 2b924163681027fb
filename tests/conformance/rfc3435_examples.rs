//! RFC 3435 Appendices F and G: the exchanges that need no events, at DS0s instead of phones.
//!
//! What differs from the RFC: names of endpoints, addresses and ports, counters, commentary.

use std::time::Duration;

use control::config::{Service, ServiceConfig};
use tests::World;

use crate::script::play;

/// A world whose restart is over.
fn world(seed: u64, spans: &str) -> World {
    let mut w = World::builder(seed).spans(spans).build();
    w.run_for(Duration::from_millis(100));
    w.commands.clear();
    w
}

#[test]
fn a_connection_is_made_and_audited() {
    let mut w = world(141, "[[span]]\n");
    play(
        &mut w,
        "
        # F.3, the first
        > CRCX 1204 ds/e1-1/1@tgw-2567.whatever.net MGCP 1.0
        > C: A3C47F21456789F0
        > L: p:10, a:PCMU
        > M: recvonly

        < 200 1204 OK
        < I: $id
        <
        < (ours $session $port 10)

        # F.9, the second: there is no remote description
        > AUCX 1203 ds/e1-1/1@tgw-2567.whatever.net MGCP 1.0
        > I: $id
        > F: RC,LC

        < 200 1203 OK
        <
        < (ours $session $port 10)
        <
        < v=0

        # F.9, the first
        > AUCX 2003 ds/e1-1/1@tgw-2567.whatever.net MGCP 1.0
        > I: $id
        > F: C,N,L,M,LC,P

        < 200 2003 OK
        < C: A3C47F21456789F0
        < N: ca@[10.0.0.2]:2727
        < L: p:10, a:PCMU
        < M: recvonly
        < P: PS=*, OS=*, PR=*, OR=*, PL=*, JI=*, LA=*
        <
        < (ours $session $port 10)
        ",
    );
}

// The provisional response comes because the command is repeated while it is carried out.
#[test]
fn a_connection_is_promised_made_and_acknowledged() {
    let mut w = world(142, "[[span]]\n");
    play(
        &mut w,
        "
        # F.3, the third
        > CRCX 1206 ds/e1-1/1@tgw-2569.whatever.net MGCP 1.0
        > K: 1205
        > C: A3C47F21456789F0
        > L: p:10, a:PCMU
        > M: inactive
        >
        > (theirs 25678 753849 128.96.41.1 3456)

        > (again)

        < 100 1206 *
        < I: $id
        <
        < (ours $session $port 10)

        < 200 1206 OK
        < I: $id
        < K:
        <
        < (ours $session $port 10)

        > 000 1206
        ",
    );
    w.run_for(Duration::from_secs(10));
    assert_eq!(w.take_replies(), [], "the transaction is complete");
}

#[test]
fn a_connection_is_changed_and_deleted() {
    let mut w = world(143, "[[span]]\n");
    play(
        &mut w,
        "
        > CRCX 1208 ds/e1-1/1@tgw-2567.whatever.net MGCP 1.0
        > C: A3C47F21456789F0
        > L: p:10, a:PCMU
        > M: recvonly
        >
        > (theirs 4723891 7428910 128.96.63.25 3456)

        < 200 1208 OK
        < I: $id
        <
        < (ours $session $port 10)

        # F.4, the first
        > MDCX 1209 ds/e1-1/1@tgw-2567.whatever.net MGCP 1.0
        > C: A3C47F21456789F0
        > I: $id
        > N: ca@ca1.whatever.net
        > M: sendrecv

        < 200 1209 OK

        > AUEP 1211 ds/e1-1/1@tgw-2567.whatever.net MGCP 1.0
        > F: N

        < 200 1211 OK
        < N: ca@ca1.whatever.net

        # F.5
        > DLCX 1210 ds/e1-1/1@tgw-2567.whatever.net MGCP 1.0
        > C: A3C47F21456789F0
        > I: $id

        < 250 1210 OK
        < P: PS=*, OS=*, PR=*, OR=*, PL=*, JI=*, LA=*
        ",
    );
    assert!(w.gateway().ledger().is_empty());
}

#[test]
fn a_call_and_a_span_are_cleared() {
    let mut w = world(144, "[[span]]\n");
    for (endpoint, call) in [("ds/e1-1/1", "A3C47F21456789F0"), ("ds/e1-1/2", "B2")] {
        let made = w.ask(&format!("CRCX {endpoint}@gw"), &format!("C: {call}\r\nM: recvonly\r\n"));
        assert_eq!(made.code, 200);
    }
    play(
        &mut w,
        "
        # F.7
        > DLCX 1210 ds/e1-1/1@tgw-2567.whatever.net MGCP 1.0
        > C: A3C47F21456789F0

        < 250 1210 OK

        > DLCX 1210 ds/e1-1/*@tgw-2567.whatever.net MGCP 1.0

        < 250 1210 OK
        ",
    );
    assert!(w.gateway().ledger().is_empty());
}

#[test]
fn capabilities_are_told() {
    let mut w = world(145, "[[span]]\n");
    play(
        &mut w,
        "
        # F.8, the second
        > AUEP 1201 ds/e1-1/1@tgw-2567.whatever.net MGCP 1.0
        > F: A

        < 200 1201 OK
        < A: a:PCMA;PCMU;CLEARMODE;telephone-event, p:5-60, e:on, s:off, gc:0, t:1, nt:IN, v:T;G;D;R;L;FXR;B;SL;DM1;BA;RED;LCK, m:sendonly;recvonly;sendrecv;*
        ",
    );
}

#[test]
fn a_restarted_call_agent_learns_what_endpoints_there_are() {
    let spans = "[[span]]\ncarrier = \"t1\"\n";
    let mut w = world(146, spans);
    let names: String = (1..=24).map(|n| format!("< Z: ds/ds1-1/{n}@tgw1.whatever.net\n")).collect();
    // F.8, the first, and G.1.2, steps 1 and 3. A call agent that was restarted begins with 0.
    let script = format!("> auep 0 *@tgw1.whatever.net mgcp 1.0\n\n< 200 0 OK\n{names}");
    play(&mut w, &script);
    play(&mut w, &script.replace(" 0 ", " 3 "));
}

#[test]
fn a_restart_is_told_and_its_endpoints_are_listed() {
    let mut w = World::builder(147).spans("[[span]]\ncarrier = \"t1\"\n").build();
    let names: String = (1..=24).map(|n| format!("< Z: ds/ds1-1/{n}@gw\n")).collect();
    // G.1.1, steps 1 and 2.
    let script = "
        < RSIP $rsip *@gw MGCP 1.0
        < RM: restart

        > 200 $rsip ok

        > auep 153 *@gw mgcp 1.0

        < 200 153 OK
        ";
    play(&mut w, &format!("{}\n{names}", script.trim_end()));
    w.run_for(Duration::from_secs(60));
    assert_eq!(w.commands, [""; 0], "the restart is over");
}

#[test]
fn a_graceful_end_is_told_with_its_delay() {
    let mut w = World::builder(310).mgcp("graceful_stop_max_s = 300\n").build();
    w.connect("ds/e1-1/1", "recvonly", "");
    w.commands.clear();
    w.serve(0, ServiceConfig { span: Service::Graceful, out: Vec::new() });
    play(
        &mut w,
        "
        # F.10, the first, of a span
        < RSIP $rsip ds/e1-1/*@gw MGCP 1.0
        < RM: graceful
        < RD: 300

        > 200 $rsip OK
        ",
    );
}

#[test]
fn a_restart_is_told_and_answered_with_another_call_agent() {
    let mut w = World::builder(148).build();
    play(
        &mut w,
        "
        # F.10, the second
        < RSIP $rsip *@gw MGCP 1.0
        < RM: restart

        > 200 $rsip OK
        > N: CA-1@whatever.net

        > AUEP 1 ds/e1-1/1@gw MGCP 1.0
        > F: N

        < 200 1 OK
        < N: CA-1@whatever.net
        ",
    );
}

#[test]
fn a_restart_is_redirected() {
    let mut w = World::builder(149).build();
    play(
        &mut w,
        "
        # F.10, the third; the other call agent is at an address of the same host
        < RSIP $rsip *@gw MGCP 1.0
        < RM: restart

        > 521 $rsip OK
        > N: CA-1@[10.0.0.2]:2727

        < RSIP $again *@gw MGCP 1.0
        < RM: restart

        > 200 $again OK

        > AUEP 1 ds/e1-1/1@gw MGCP 1.0
        > F: N

        < 200 1 OK
        < N: CA-1@[10.0.0.2]:2727
        ",
    );
    w.run_for(Duration::from_secs(60));
    assert_eq!(w.commands, [""; 0], "the restart is over");
}

#[test]
fn a_call_is_made_and_deleted() {
    let mut w = world(150, "[[span]]\ncount = 2\n");
    play(
        &mut w,
        "
        # G.2.1, step 5
        > crcx 1059 ds/e1-1/1@tgw1.whatever.net mgcp 1.0
        > c: 9876543210abcdef
        > l: p:20, a:PCMU
        > m: recvonly

        < 200 1059 OK
        < I: $one
        <
        < (ours $first $here 20)

        # step 6
        > crcx 2052 ds/e1-2/1@tgw1.whatever.net mgcp 1.0
        > c: 9876543210abcdef
        > l: p:20, a:PCMU
        > m: sendrecv
        >
        > (theirs $first 0 10.0.0.1 $here)

        < 200 2052 OK
        < I: $two
        <
        < (ours $second $there 20)

        # step 7
        > mdcx 1060 ds/e1-1/1@tgw1.whatever.net mgcp 1.0
        > c: 9876543210abcdef
        > i: $one
        > l: p:20, a:PCMU
        > M: recvonly
        >
        > (theirs $second 0 10.0.0.1 $there)

        < 200 1060 OK

        # step 13
        > mdcx 1063 ds/e1-1/1@tgw1.whatever.net mgcp 1.0
        > c: 9876543210abcdef
        > i: $one
        > m: sendrecv

        < 200 1063 OK
        ",
    );
    w.run_for(Duration::from_secs(1));
    let audit = w.ask("AUEP ds/e1-1/1@gw", "F: I\r\n");
    let id = audit.connection();
    let audit = w.ask("AUCX ds/e1-1/1@gw", &format!("I: {id}\r\nF: P\r\n"));
    assert!(audit.seen("PR") > Some(40) && audit.seen("PS") > Some(40), "{}", audit.text);
    let other = w.ask("AUEP ds/e1-2/1@gw", "F: I\r\n").connection();
    play(
        &mut w,
        &format!(
            "
        # G.3.1, steps 2 and 3
        > dlcx 2055 ds/e1-2/1@tgw1.whatever.net mgcp 1.0
        > c: 9876543210abcdef
        > i: {other}

        < 250 2055 OK
        < P: PS=*, OS=*, PR=*, OR=*, PL=*, JI=*, LA=*

        > dlcx 1064 ds/e1-1/1@tgw1.whatever.net mgcp 1.0
        > c: 9876543210abcdef
        > i: {id}

        < 250 1064 OK
        < P: PS=*, OS=*, PR=*, OR=*, PL=*, JI=*, LA=*
        "
        ),
    );
    assert!(w.gateway().ledger().is_empty());
}
