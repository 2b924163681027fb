//! What real call agents send, octet by octet, and the answers that each needs.
//!
//! Captured from Yate 5.5, Asterisk 20, JAIN MGCP and the wire of a carrier's trunk gateway. Only the names
//! of connections are the gateway's own.

use std::time::Duration;

use tests::{Reply, World};

/// A world of T1s whose restart is over.
fn world(seed: u64, config: &str) -> World {
    let mut w = World::builder(seed).spans("[[span]]\ncarrier = \"t1\"\ncount = 3\n").config(config).build();
    w.run_for(Duration::from_millis(100));
    w.commands.clear();
    w
}

/// Sends a datagram, its line feeds as CRLF, and waits for the answer.
fn say(w: &mut World, text: &str) -> Reply {
    w.send_text(&text.replace('\n', "\r\n"));
    let transaction = text.split_whitespace().nth(1).and_then(|word| word.parse().ok());
    w.reply(transaction.expect("a command has a transaction"))
}

const YATES: &str = "v=0
o=yate 1795329134 1795329134 IN IP4 127.0.0.1
s=PSTN Circuit
c=IN IP4 127.0.0.1
t=0 0
m=audio 30934 RTP/AVP 0 8 101
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
";

#[test]
fn yate_makes_changes_and_ends_a_call() {
    let mut w = world(701, "");
    let made = say(
        &mut w,
        &format!(
            "CRCX 1 ds/ds1-1/1@127.0.0.1:2427 MGCP 1.0\nC: 28983372547f000001000000\n\
             X: 27095e1201000000\nR: D/[0-9#*](N),G/ft(N),fxr/t38\nB: e:A\nM: sendrecv\n\n{YATES}"
        ),
    );
    assert_eq!(made.code, 200, "{}", made.text);
    assert!(made.description().is_some_and(|sdp| sdp.contains("m=audio ")), "{}", made.text);
    // It takes what stands behind the last colon of a line for the value.
    let headers = made.text.split("\r\n\r\n").next().expect("headers");
    assert!(headers.lines().skip(1).all(|line| line.matches(':').count() == 1), "{headers}");
    let id = made.connection();
    let changed = say(
        &mut w,
        &format!(
            "MDCX 2 ds/ds1-1/1@127.0.0.1:2427 MGCP 1.0\nC: 28983372547f000001000000\nI: {id}\n\
             M: sendrecv\n\n{YATES}"
        ),
    );
    assert_eq!(changed.code, 200, "{}", changed.text);
    let ended = say(
        &mut w,
        &format!(
            "DLCX 4 ds/ds1-1/1@127.0.0.1:2427 MGCP 1.0\nI: {id}\nC: 28983372547f000001000000\n\
             X: facf0c4601000000\nR: \n"
        ),
    );
    assert_eq!(ended.code, 250, "{}", ended.text);
    assert!(w.gateway().ledger().is_empty());
}

#[test]
fn yate_makes_a_connection_in_two_steps_and_tests_a_circuit() {
    let mut w = world(702, "");
    let name = "ds/ds1-2/1@127.0.0.1:2427 MGCP 1.0";
    let made =
        say(&mut w, &format!("CRCX 1 {name}\nC: 2808ec9a4d7f000001000000\nL: a:PCMU;PCMA\nM: inactive\n"));
    assert_eq!(made.code, 200, "{}", made.text);
    let id = made.connection();
    let changed = format!("MDCX 2 {name}\nC: 2808ec9a4d7f000001000000\nI: {id}\nM: sendrecv\n\n{YATES}");
    assert_eq!(say(&mut w, &changed).code, 200);
    let ended = format!("DLCX 3 {name}\nI: {id}\nC: 2808ec9a4d7f000001000000\nX: 1\nR: \n");
    assert_eq!(say(&mut w, &ended).code, 250);
    let looped = say(&mut w, &format!("CRCX 4 {name}\nC: 2808ec9a4d7f000002000000\nM: loopback\n"));
    assert_eq!(looped.code, 200, "{}", looped.text);
    // After a failure it deletes what may be there; and at start it deletes all there is.
    assert_eq!(say(&mut w, &format!("DLCX 5 {name}\nX: 2\nR: \n")).code, 250);
    for timeslot in 1..=24 {
        let all = format!("DLCX {} ds/ds1-1/{timeslot}@127.0.0.1:2427 MGCP 1.0\n", 5 + timeslot);
        assert_eq!(say(&mut w, &all).code, 250);
    }
    assert!(w.gateway().ledger().is_empty());
}

#[test]
fn yate_asks_for_events_plays_tones_and_dials() {
    let mut w = world(703, "");
    let name = "ds/ds1-1/1@127.0.0.1:2427 MGCP 1.0";
    for (n, rest) in [
        "X: 27095e1201000000\nR: D/[0-9#*](N),G/ft(N),fxr/t38\n",
        "X: 27095e1202000000\nR: \n",
        "X: 27095e1203000000\nS: G/rt\n",
        "X: 27095e1203000000\n",
        "X: 27095e1204000000\nS: D/5\n",
    ]
    .into_iter()
    .enumerate()
    {
        let reply = say(&mut w, &format!("RQNT {} {name}\n{rest}", n + 1));
        assert_eq!(reply.code, 200, "{rest}: {}", reply.text);
        let audit = say(&mut w, &format!("AUEP {} {name}\nF: S\n", n + 100));
        assert_eq!(audit.parameter("S"), Some(if rest.contains("G/rt") { "G/rt" } else { "" }), "{rest}");
    }
}

// The far end of a T1's DS0 is a loop, so the digit that is played is heard, too.
#[test]
fn yate_s_notifications_bear_its_name_and_its_three_answers_end_them() {
    let mut w = world(704, "");
    w.agent_answers = false;
    let name = "ds/ds1-1/1@127.0.0.1:2427 MGCP 1.0";
    let request = format!("RQNT 1 {name}\nX: 27095e1201000000\nR: D/[0-9#*](N),G/ft(N),fxr/t38\nS: D/5\n");
    assert_eq!(say(&mut w, &request).code, 200);
    w.run_for(Duration::from_millis(200));
    let told = w.commands[0].clone();
    assert!(told.starts_with("NTFY ") && told.contains(" ds/ds1-1/1@"), "{told}");
    assert!(told.contains("X: 27095e1201000000\r\n") && told.contains("O: D/5\r\n"), "{told}");
    let transaction = told.split(' ').nth(1).expect("a transaction");
    w.send_text(&format!("100 {transaction} Pending\r\n"));
    w.send_text(&format!("200 {transaction} OK\r\nK: \r\n"));
    w.run_for(Duration::from_millis(100));
    let acknowledged = w.take_replies();
    assert!(acknowledged.iter().any(|reply| reply.text.starts_with(&format!("000 {transaction}"))));
    w.commands.clear();
    w.run_for(Duration::from_secs(30));
    assert_eq!(w.commands, [""; 0], "it is not repeated");
}

/// Asterisk takes DS0s for telephone lines: the setting of its table of call agents.
const ASTERISK: &str = "[[call_agent]]\nnetworks = [\"10.0.0.2\"]\ntelephones = true\n";

#[test]
fn asterisk_audits_connects_rings_and_hangs_up() {
    let mut w = world(711, ASTERISK);
    let audit = say(&mut w, "AUEP 2 ds/ds1-1/1@[127.0.0.1] MGCP 1.0\nF: A\n");
    assert_eq!(audit.code, 200);
    assert!(audit.parameter("A").is_some_and(|text| text.contains("PCMA") && text.contains(";L;")));
    w.send_text("000 2 OK\r\n");
    let all = say(&mut w, "AUEP 3 *@[127.0.0.1] MGCP 1.0\n");
    assert_eq!((all.code, all.text.matches("Z: ").count()), (200, 72));
    let made = say(
        &mut w,
        "CRCX 6 ds/ds1-1/1@[127.0.0.1] MGCP 1.0\nC: 0b5643b508195c68\n\
         L: e:on, s:off, p:20, a:PCMA, a:PCMU\nM: recvonly\nX: 08195c68\n\n\
         v=0\no=root 1 1 IN IP4 10.0.0.2\ns=session\nc=IN IP4 10.0.0.2\nt=0 0\nm=audio 14480 RTP/AVP 8 0 101\n\
         a=rtpmap:8 PCMA/8000\na=rtpmap:0 PCMU/8000\na=rtpmap:101 telephone-event/8000\n",
    );
    assert_eq!(made.code, 200, "{}", made.text);
    let id = made.connection();
    let name = "ds/ds1-1/1@[127.0.0.1] MGCP 1.0";
    let ring = format!("RQNT 7 {name}\nX: 1b9fc643\nR: L/hd(N)\nS: L/rg,L/ci(11/22/07/02,1001,)\n");
    assert_eq!(say(&mut w, &ring).code, 200);
    let change = format!(
        "MDCX 8 {name}\nC: 0b5643b508195c68\nM: sendrecv\nX: 08195c68\nI: {id}\nR: L/hu(N),L/hf(N),D/[0-9#*](N)\n"
    );
    let changed = say(&mut w, &change);
    assert_eq!(changed.code, 200, "{}", changed.text);
    for (n, signal) in ["L/dl", "L/ro", "L/vmwi(-)"].into_iter().enumerate() {
        let request = format!("RQNT {} {name}\nX: 2\nR: L/hu(N),L/hf(N),D/[0-9#*](N)\nS: {signal}\n", 9 + n);
        assert_eq!(say(&mut w, &request).code, 200, "{signal}");
    }
    let ended = format!("DLCX 20 {name}\nC: 0b5643b508195c68\nX: 08195c68\nI: {id}\n");
    assert_eq!(say(&mut w, &ended).code, 250);
    assert!(w.gateway().ledger().is_empty());
}

// RFC 3435 §2.4: what cannot be is refused to whoever has no such setting.
#[test]
fn who_is_not_known_to_want_telephones_is_told_that_there_are_none() {
    let mut w = world(712, "");
    let name = "ds/ds1-1/1@[127.0.0.1] MGCP 1.0";
    assert_eq!(say(&mut w, &format!("RQNT 7 {name}\nX: 1b9fc643\nR: L/hd(N)\n")).code, 512);
    assert_eq!(
        say(&mut w, &format!("RQNT 8 {name}\nX: 1b9fc643\nS: L/rg,L/ci(11/22/07/02,1001,)\n")).code,
        513
    );
    assert_eq!(say(&mut w, &format!("RQNT 9 {name}\nX: 1b9fc643\nS: L/dl\n")).code, 200);
}

#[test]
fn jain_writes_without_spaces_and_with_ports() {
    let mut w = world(721, "");
    let name = "ds/ds1-1/1@127.0.0.1:2427 MGCP 1.0";
    let made = say(&mut w, &format!("CRCX 147483653 {name}\nC:1\nM:recvonly\n"));
    assert_eq!(made.code, 200, "{}", made.text);
    let audit = say(&mut w, &format!("AUEP 147483654 {name}\nF: A,I,R,B\n"));
    assert_eq!((audit.code, audit.parameter("I")), (200, Some(made.connection().as_str())));
    let audit = say(&mut w, &format!("AUCX 147483655 {name}\nI:{}\nF:C,M,LC,RC,P\n", made.connection()));
    assert_eq!((audit.code, audit.parameter("C"), audit.parameter("M")), (200, Some("1"), Some("recvonly")));
    let asked = say(&mut w, &format!("RQNT 147483656 {name}\nX:1\nR:D/[0-9*#A-D](N)\n"));
    assert_eq!(asked.code, 200, "{}", asked.text);
    let ended = say(&mut w, &format!("DLCX 147483657 {name}\nC:1\nI:{}\n", made.connection()));
    assert_eq!(ended.code, 250);
}

#[test]
fn a_carrier_keeps_alive_and_writes_as_it_likes() {
    let mut w = world(731, "");
    for (transaction, text, code) in [
        (1, "AUEP 1 ds/ds1-1/1@gw MGCP 1.0\nF: \n", 200),
        (2, "auep 2 DS/DS1-1/1@GW mgcp 1.0\nf: I,RM\n", 200),
        (3, "Crcx 3 ds/DS1-1/1@gw MGCP 1.0\nc: A1\nm: NAS/data\n", 518),
        (4, "crcx 4 ds/DS1-1/1@gw MGCP 1.0\nc: A1\nm: RecvOnly\n", 200),
    ] {
        w.send_text(text);
        let reply = w.reply(transaction);
        assert_eq!(reply.code, code, "{text}: {}", reply.text);
    }
}
