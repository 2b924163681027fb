//! MGCP commands against both planes: what they answer, and what they leave behind.

use std::time::Duration;

use tests::World;

#[test]
fn a_repeated_crcx_is_executed_once_and_gets_the_same_answer() {
    let mut w = World::builder(31).build();
    let text = "CRCX 77 ds/e1-1/1@gw MGCP 1.0\r\nC: A1\r\nM: recvonly\r\n";
    w.send_text(text);
    let first = w.reply(77);
    w.send_text(text);
    let again = w.reply(77);
    assert_eq!(first, again, "RFC 3435 §3.5.1");
    let audit = w.ask("AUEP ds/e1-1/1@gw", "F: I\r\n");
    let connections =
        audit.text.lines().filter(|line| line.starts_with("I:")).flat_map(|l| l[2..].split(','));
    assert_eq!(connections.count(), 1, "{}", audit.text);
}

#[test]
fn a_retransmission_while_it_executes_is_not_executed_either() {
    let mut w = World::builder(32).build();
    let text = "CRCX 78 ds/e1-1/1@gw MGCP 1.0\r\nC: A1\r\nM: recvonly\r\n";
    w.send_text(text);
    w.send_text(text);
    w.send_text(text);
    w.reply(78);
    w.run_for(Duration::from_secs(1));
    let audit = w.ask("AUEP ds/e1-1/1@gw", "F: I\r\n");
    assert_eq!(audit.parameter("I").map(|ids| ids.split(',').count()), Some(1), "{}", audit.text);
}

#[test]
fn an_agent_that_restarts_its_numbers_is_not_given_stale_answers() {
    let mut w = World::builder(33).build();
    w.send_text("CRCX 1 ds/e1-1/1@gw MGCP 1.0\r\nC: A1\r\nM: recvonly\r\n");
    assert_eq!(w.reply(1).code, 200);
    w.send_text("DLCX 1 ds/e1-1/1@gw MGCP 1.0\r\n");
    assert_eq!(w.reply(1).code, 250, "another request under an old number is new");
}

#[test]
fn dlcx_in_mid_call_leaves_the_other_end_up_and_frees_its_own() {
    let mut w = World::builder(34).build();
    let (a, b) = w.call("ds/e1-1/1", "ds/e1-2/1");
    w.run_for(Duration::from_millis(333));
    let gone = w.ask("DLCX ds/e1-1/1@gw", &format!("C: A1\r\nI: {}\r\n", a.connection()));
    assert_eq!(gone.code, 250);
    assert!(gone.seen("PS") > Some(10), "{}", gone.text);
    let audit = w.ask("AUCX ds/e1-2/1@gw", &format!("I: {}\r\nF: C,M,P\r\n", b.connection()));
    assert_eq!((audit.code, audit.parameter("M")), (200, Some("sendrecv")), "{}", audit.text);
    let unknown = w.ask("DLCX ds/e1-1/1@gw", &format!("C: A1\r\nI: {}\r\n", a.connection()));
    assert_eq!(unknown.code, 515, "{}", unknown.text);
}

#[test]
fn wildcards_delete_a_span_a_call_and_everything() {
    let mut w = World::builder(35).build();
    for timeslot in 1..=31 {
        w.call(&format!("ds/e1-1/{timeslot}"), &format!("ds/e1-2/{timeslot}"));
    }
    assert_eq!(w.ask("CRCX ds/e1-3/1@gw", "C: B2\r\nM: inactive\r\n").code, 200);
    let connections = |w: &mut World, name: &str| {
        let audit = w.ask(&format!("AUEP {name}@gw"), "F: I\r\n");
        audit.parameter("I").map_or(0, |ids| ids.split(',').filter(|id| !id.trim().is_empty()).count())
    };
    assert_eq!(w.ask("DLCX ds/e1-1/*@gw", "").code, 250);
    assert_eq!((connections(&mut w, "ds/e1-1/17"), connections(&mut w, "ds/e1-2/17")), (0, 1));
    assert_eq!(w.ask("DLCX *@gw", "C: A1\r\n").code, 250);
    assert_eq!((connections(&mut w, "ds/e1-2/17"), connections(&mut w, "ds/e1-3/1")), (0, 1));
    assert_eq!(w.ask("DLCX *@gw", "").code, 250);
    assert!(w.gateway().ledger().is_empty(), "nothing is held after the last DLCX");
}

#[test]
fn dlcx_of_an_idle_endpoint_succeeds() {
    let mut w = World::builder(36).build();
    assert_eq!(w.ask("DLCX ds/ds1-1/1@gw", "").code, 250);
}

#[test]
fn any_of_gives_a_free_endpoint_until_there_is_none() {
    let mut w = World::builder(37).spans("[[span]]\ncarrier = \"t1\"\n").build();
    let mut names = Vec::new();
    for _ in 0..24 {
        let reply = w.ask("CRCX ds/ds1-1/$@gw", "C: 1\r\nM: recvonly\r\n");
        assert_eq!(reply.code, 200, "{}", reply.text);
        names.push(reply.parameter("Z").expect("the endpoint chosen is named").to_owned());
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 24, "no endpoint is given twice");
    assert_eq!(w.ask("CRCX ds/ds1-1/$@gw", "C: 1\r\nM: recvonly\r\n").code, 410);
}

#[test]
fn what_is_left_out_is_refused_with_its_own_code() {
    let mut w = World::builder(38).build();
    for (line, rest, codes) in [
        ("CRCX ds/e1-1/1@gw", "C: 1\r\nM: sendrecv\r\n", &[527][..]),
        ("CRCX ds/e1-1/1@gw", "C: 1\r\nM: shout\r\n", &[517]),
        ("CRCX ds/e1-1/1@gw", "C: 1\r\nM: recvonly\r\nL: a:G729\r\n", &[534]),
        ("CRCX ds/e9-1/1@gw", "C: 1\r\nM: recvonly\r\n", &[500]),
        ("CRCX ds/e1-1/0@gw", "C: 1\r\nM: recvonly\r\n", &[500]),
        ("CRCX ds/e1-1/*@gw", "C: 1\r\nM: recvonly\r\n", &[503, 500, 510, 524]),
        ("CRCX ds/e1-1/1@gw", "C: 1\r\nM: recvonly\r\nX+Y: 1\r\n", &[511]),
        ("RQNT ds/e1-1/1@gw", "X: 1\r\nR: H/hd(N)\r\n", &[518]),
        ("RQNT ds/e1-1/1@gw", "X: 1\r\nR: L/hd(N)\r\n", &[512]),
        ("RQNT ds/e1-1/1@gw", "X: 1\r\nR: T/as(N)\r\n", &[512]),
        ("FOOO ds/e1-1/1@gw", "", &[504]),
    ] {
        let reply = w.ask(line, rest);
        assert!(codes.contains(&reply.code), "{line} {rest:?}: {}", reply.text);
    }
    assert!(w.gateway().ledger().is_empty(), "a refused command leaves nothing behind");
}

#[test]
fn a_refused_second_connection_does_not_harm_the_first() {
    let mut w = World::builder(39).build();
    let peer = w.add_peer("10.0.0.9:4000");
    let sdp = w.peers[peer].description("8");
    w.connect("ds/e1-1/1", "sendrecv", &sdp);
    let bad = w.ask(
        "CRCX ds/e1-1/1@gw",
        "C: 2\r\nM: sendrecv\r\nL: a:G729\r\n\r\nv=0\r\nthis is no description\r\n",
    );
    assert!(bad.code >= 400, "{}", bad.text);
    w.run_for(Duration::from_secs(1));
    assert!(w.peers[peer].heard.len() >= 48, "RFC 3435 §4.4.3: a failed command changes nothing");
}

#[test]
fn the_gateway_announces_itself_and_says_goodbye() {
    let mut w = World::builder(40).build();
    w.run_for(Duration::from_secs(1));
    let hello: Vec<_> = w.commands.drain(..).collect();
    assert!(
        !hello.is_empty() && hello.iter().all(|c| c.starts_with("RSIP ") && c.contains("RM: restart")),
        "{hello:?}"
    );
    w.call("ds/e1-1/1", "ds/e1-2/1");
    w.shut_down();
    assert!(
        w.commands.iter().any(|c| c.starts_with("RSIP ") && c.contains("RM: forced")),
        "{:?}",
        w.commands
    );
}
