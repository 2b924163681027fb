//! RFC 3435 §4.4.3 and §4.4.4: commands that meet each other.

use std::time::Duration;

use drivers::line::{Alarm, Alarms};
use drivers::net::sim::Impairment;
use tests::World;

use crate::agent::connections;

/// The codes of what has come about each transaction.
fn codes(w: &mut World) -> Vec<(u32, u16)> {
    w.run_for(Duration::from_millis(100));
    let mut told: Vec<_> = w.take_replies().iter().map(|reply| (reply.transaction, reply.code)).collect();
    told.sort_unstable();
    told
}

#[test]
fn a_command_is_for_all_its_endpoints_or_for_none() {
    let mut w = World::builder(121).build();
    w.script(3).set_alarms(Alarms::NONE.with(Alarm::Los));
    w.run_for(Duration::from_secs(4));
    for (line, rest) in [("EPCF *@gw", "B: e:mu\r\n"), ("RQNT *@gw", "X: 5\r\nB: e:mu\r\n")] {
        assert_eq!(w.ask(line, rest).code, 501, "{line}");
    }
    let audit = w.ask("AUEP ds/e1-1/1@gw", "F: B,X\r\n");
    assert_eq!((audit.parameter("B"), audit.parameter("X")), (Some("e:A"), Some("0")), "{}", audit.text);
    let id = w.send("EPCF ds/e1-[1-3]/*@gw", "B: e:mu\r\n");
    assert_eq!(codes(&mut w), [(id, 200)], "one answer for all");
    for endpoint in ["ds/e1-1/1", "ds/e1-2/17", "ds/e1-3/31"] {
        assert_eq!(w.ask(&format!("AUEP {endpoint}@gw"), "F: B\r\n").parameter("B"), Some("e:mu"));
    }
}

#[test]
fn a_deletion_ends_what_is_being_made() {
    let mut w = World::builder(122).build();
    let crcx = "CRCX 7 ds/e1-1/1@gw MGCP 1.0\r\nC: A1\r\nM: recvonly\r\n";
    w.send_text(crcx);
    w.send_text("DLCX 8 ds/e1-1/1@gw MGCP 1.0\r\n");
    assert_eq!(codes(&mut w), [(7, 407), (8, 250)]);
    w.send_text(crcx);
    assert_eq!(codes(&mut w), [(7, 407)]);
    assert_eq!(connections(&mut w, "ds/e1-1/1"), 0);

    let id = w.connect("ds/e1-1/1", "recvonly", "").connection();
    w.send_text(&format!("MDCX 9 ds/e1-1/1@gw MGCP 1.0\r\nC: A1\r\nI: {id}\r\nM: inactive\r\n"));
    w.send_text("DLCX 10 ds/e1-1/*@gw MGCP 1.0\r\n");
    assert_eq!(codes(&mut w), [(9, 407), (10, 250)]);
    assert!(w.gateway().ledger().is_empty());
}

#[test]
fn a_second_change_ends_the_first() {
    let mut w = World::builder(123).build();
    let id = w.connect("ds/e1-1/1", "recvonly", "").connection();
    for (transaction, mode) in [(7, "inactive"), (8, "loopback")] {
        let rest = format!("C: A1\r\nI: {id}\r\nM: {mode}\r\n");
        w.send_text(&format!("MDCX {transaction} ds/e1-1/1@gw MGCP 1.0\r\n{rest}"));
    }
    assert_eq!(codes(&mut w), [(7, 407), (8, 200)]);
    let audit = w.ask("AUCX ds/e1-1/1@gw", &format!("I: {id}\r\nF: M\r\n"));
    assert_eq!(audit.parameter("M"), Some("loopback"));
}

#[test]
fn a_second_configuration_ends_the_first() {
    let mut w = World::builder(124).build();
    w.send_text("EPCF 7 ds/e1-1/1@gw MGCP 1.0\r\nB: e:mu\r\n");
    w.send_text("EPCF 8 ds/e1-1/*@gw MGCP 1.0\r\nB: e:mu\r\n");
    assert_eq!(codes(&mut w), [(7, 407), (8, 200)]);
    assert_eq!(w.ask("AUEP ds/e1-1/1@gw", "F: B\r\n").parameter("B"), Some("e:mu"));
}

#[test]
fn a_second_request_ends_the_first() {
    let mut w = World::builder(125).build();
    w.send_text("RQNT 7 ds/e1-1/1@gw MGCP 1.0\r\nX: 1\r\nB: e:mu\r\n");
    w.send_text("RQNT 8 ds/e1-1/1@gw MGCP 1.0\r\nX: 2\r\n");
    assert_eq!(codes(&mut w), [(7, 407), (8, 200)]);
    w.send_text("CRCX 9 ds/e1-1/2@gw MGCP 1.0\r\nC: A1\r\nM: recvonly\r\nB: e:mu\r\n");
    w.send_text("EPCF 10 ds/e1-1/2@gw MGCP 1.0\r\nB: e:A\r\n");
    assert_eq!(codes(&mut w), [(9, 407), (10, 200)]);
}

#[test]
fn what_is_being_made_cannot_be_changed() {
    let crcx = "CRCX 7 ds/e1-1/1@gw MGCP 1.0\r\nC: A1\r\nM: recvonly\r\n";
    // Of two worlds with one seed, the first tells what the connection will be called.
    let mut w = World::builder(126).build();
    w.send_text(crcx);
    let id = w.reply(7).connection();
    let mut w = World::builder(126).build();
    w.send_text(crcx);
    w.send_text(&format!("MDCX 8 ds/e1-1/1@gw MGCP 1.0\r\nC: A1\r\nI: {id}\r\nM: inactive\r\n"));
    assert_eq!(codes(&mut w), [(7, 200), (8, 400)]);
    let audit = w.ask("AUCX ds/e1-1/1@gw", &format!("I: {id}\r\nF: M\r\n"));
    assert_eq!(audit.parameter("M"), Some("recvonly"));
}

#[test]
fn every_command_is_answered_whatever_the_order() {
    let mut w = World::builder(127).build();
    let jitter = Duration::from_millis(200);
    w.net().impair(Impairment { jitter, duplicate: 0.3, ..Impairment::default() });
    let mut sent = Vec::new();
    for n in 0..300_u32 {
        let endpoint = n % 5 + 1;
        let (line, rest) = match n % 6 {
            0 => (format!("CRCX ds/e1-1/{endpoint}@gw"), "C: A1\r\nM: recvonly\r\n"),
            1 => (format!("MDCX ds/e1-1/{endpoint}@gw"), "C: A1\r\nI: 1\r\nM: inactive\r\n"),
            2 => (format!("RQNT ds/e1-1/{endpoint}@gw"), "X: 1\r\nB: e:mu\r\n"),
            3 => ("EPCF ds/e1-1/*@gw".to_owned(), "B: e:A\r\n"),
            4 => (format!("AUEP ds/e1-1/{endpoint}@gw"), "F: I\r\n"),
            _ => ("DLCX ds/e1-1/*@gw".to_owned(), ""),
        };
        sent.push(w.send(&line, rest));
        w.run_for(Duration::from_millis(7));
    }
    w.run_for(Duration::from_secs(1));
    let replies = w.take_replies();
    for id in sent {
        let mut codes: Vec<_> =
            replies.iter().filter(|r| r.transaction == id && r.code >= 200).map(|r| r.code).collect();
        codes.dedup();
        assert_eq!(codes.len(), 1, "seed {}: transaction {id}: {codes:?}", w.seed());
    }
}
