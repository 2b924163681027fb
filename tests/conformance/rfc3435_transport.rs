//! RFC 3435 §3.5: transactions over UDP.

use std::path::Path;
use std::time::Duration;

use control::config::Config;
use drivers::line::{Alarm, Alarms};
use tests::World;

use crate::agent::{Agent, connections, transaction};

fn crcx(id: u32, timeslot: u32) -> String {
    format!("CRCX {id} ds/e1-1/{timeslot}@gw MGCP 1.0\r\nC: A1\r\nM: recvonly\r\n")
}

/// The codes of what has come about a transaction.
fn codes(w: &mut World, id: u32) -> Vec<u16> {
    w.run_for(Duration::from_millis(100));
    w.take_replies().iter().filter(|reply| reply.transaction == id).map(|reply| reply.code).collect()
}

#[test]
fn a_command_repeated_meanwhile_is_promised_an_answer() {
    let mut w = World::builder(101).build();
    w.send_text(&crcx(7, 1));
    w.send_text(&crcx(7, 1));
    let answer = w.reply(7);
    assert_eq!((answer.code, answer.parameter("K")), (200, Some("")), "{}", answer.text);
    let promise: Vec<_> = w.take_replies().iter().map(|reply| reply.code).collect();
    assert_eq!(promise, [100]);
    // It is repeated until it is acknowledged, and no longer.
    w.run_for(Duration::from_secs(1));
    assert!(w.take_replies().iter().all(|again| *again == answer));
    w.send_text("000 7\r\n");
    w.run_for(Duration::from_millis(10));
    w.take_replies();
    w.run_for(Duration::from_secs(10));
    assert_eq!(w.take_replies(), []);
    assert_eq!(connections(&mut w, "ds/e1-1/1"), 1);
}

#[test]
fn a_change_repeated_meanwhile_is_promised_an_answer() {
    let mut w = World::builder(102).build();
    let id = w.connect("ds/e1-1/1", "recvonly", "").connection();
    let mdcx = format!("MDCX 8 ds/e1-1/1@gw MGCP 1.0\r\nC: A1\r\nI: {id}\r\nM: inactive\r\n");
    w.send_text(&mdcx);
    w.send_text(&mdcx);
    assert_eq!(w.reply(8).parameter("K"), Some(""));
    assert_eq!(w.take_replies().iter().map(|reply| reply.code).collect::<Vec<_>>(), [100]);
}

#[test]
fn an_answer_without_a_promise_asks_for_nothing() {
    let mut w = World::builder(103).build();
    let id = w.connect("ds/e1-1/1", "recvonly", "").connection();
    for (line, rest) in [
        ("CRCX ds/e1-1/2@gw", "C: A1\r\nM: recvonly\r\n".to_owned()),
        ("MDCX ds/e1-1/1@gw", format!("C: A1\r\nI: {id}\r\nM: inactive\r\n")),
        ("AUCX ds/e1-1/1@gw", format!("I: {id}\r\nF: P\r\n")),
        ("AUEP ds/e1-1/1@gw", "F: I\r\n".to_owned()),
        ("DLCX ds/e1-1/1@gw", String::new()),
        ("CRCX ds/e1-1/99@gw", "C: A1\r\nM: recvonly\r\n".to_owned()),
    ] {
        let reply = w.ask(line, &rest);
        assert_eq!(reply.parameter("K"), None, "{}", reply.text);
    }
}

#[test]
fn acknowledgements_count_in_any_order() {
    let mut w = World::builder(104).build();
    for id in 1..=3 {
        w.send_text(&crcx(id, id));
        assert_eq!(codes(&mut w, id), [200]);
    }
    w.send_text("AUEP 10 ds/e1-1/9@gw MGCP 1.0\r\nK: 3\r\n");
    w.send_text("AUEP 11 ds/e1-1/9@gw MGCP 1.0\r\nK: 1\r\n");
    w.run_for(Duration::from_millis(10));
    for (id, again) in [(1, vec![]), (2, vec![200]), (3, vec![])] {
        w.send_text(&crcx(id, id));
        assert_eq!(codes(&mut w, id), again, "transaction {id}");
        assert_eq!(connections(&mut w, &format!("ds/e1-1/{id}")), 1);
    }
}

#[test]
fn strangers_acknowledge_nothing() {
    let mut w = World::builder(105).build();
    let stranger = Agent::new(&w, "10.0.0.3:2727");
    w.send_text(&crcx(1, 1));
    assert_eq!(codes(&mut w, 1), [200]);
    stranger.say(&mut w, "AUEP 10 ds/e1-1/9@gw MGCP 1.0\r\nK: 1\r\n");
    stranger.say(&mut w, "000 1\r\n");
    w.send_text(&crcx(1, 1));
    assert_eq!(codes(&mut w, 1), [200]);
}

#[test]
fn acknowledgements_are_void_after_a_while() {
    let mut w = World::builder(106).build();
    w.send_text(&crcx(1, 1));
    assert_eq!(codes(&mut w, 1), [200]);
    w.run_for(Duration::from_secs(31));
    // It acknowledges what is forgotten, and takes nothing from the new transaction of that number.
    w.send_text("AUEP 10 ds/e1-1/9@gw MGCP 1.0\r\nK: 1-5\r\n");
    w.send_text(&crcx(1, 1));
    assert_eq!(codes(&mut w, 1), [200]);
    assert_eq!(connections(&mut w, "ds/e1-1/1"), 2);
}

#[test]
fn messages_of_4000_octets_are_taken() {
    let mut w = World::builder(107).build();
    let mut long = String::from("CRCX 7 ds/e1-1/1@gw MGCP 1.0\r\nC: A1\r\nM: recvonly\r\n");
    while long.len() < 3_900 {
        long.push_str("X-Flower: Daisy, daisy, give me your answer, do\r\n");
    }
    let rest = 4_000 - long.len() - "X-End: \r\n".len();
    long.push_str(&format!("X-End: {}\r\n", "x".repeat(rest)));
    assert_eq!(long.len(), 4_000);
    w.send_text(&long);
    let reply = w.reply(7);
    assert_eq!(reply.code, 200, "{}", reply.text);
}

#[test]
fn each_message_of_a_datagram_is_answered() {
    let mut w = World::builder(108).build();
    let parts = [
        "AUEP 1 ds/e1-1/1@gw MGCP 1.0\r\n",
        "AUEP 2 nonsense MGCP 1.0\r\n",
        "CRCX 3 ds/e1-1/3@gw MGCP 1.0\r\nC: A1\r\nM: shout\r\n",
        "200 4 OK\r\n",
        "garbage\r\n",
        "DLCX 5 ds/e1-1/5@gw MGCP 1.0\r\n",
        "CRCX 6 ds/e1-1/6@gw MGCP 1.0\r\nC: A1\r\nM: recvonly\r\n",
    ];
    w.send_text(&parts.join(".\r\n"));
    w.run_for(Duration::from_millis(100));
    let mut told: Vec<_> = w.take_replies().iter().map(|reply| (reply.transaction, reply.code)).collect();
    told.sort_unstable();
    assert_eq!(told, [(1, 200), (2, 500), (3, 517), (5, 250), (6, 200)]);
}

// RFC 3435 §3.5.5: as if each had come alone, and the one before were done.
#[test]
fn messages_of_one_datagram_are_carried_out_one_after_the_other() {
    let mut w = World::builder(109).build();
    w.send_text(&format!("{}.\r\nDLCX 8 ds/e1-1/1@gw MGCP 1.0\r\n", crcx(7, 1)));
    w.run_for(Duration::from_millis(100));
    let told: Vec<_> = w.take_replies().iter().map(|reply| (reply.transaction, reply.code)).collect();
    assert_eq!(told, [(7, 200), (8, 250)]);
}

#[test]
fn an_answer_counts_for_twice_t_hist() {
    let mut w = World::builder(110).build();
    w.agent_answers = false;
    w.run_for(Duration::from_secs(40));
    let first = w.commands.first().expect("RSIP").clone();
    assert!(w.commands.iter().all(|command| *command == first), "it is one transaction");
    w.commands.clear();
    w.send_text(&format!("200 {} OK\r\n", transaction(&first)));
    w.run_for(Duration::from_secs(1));
    w.ask("DLCX ds/e1-1/1@gw", "");
    assert_eq!(w.commands, [""; 0], "the restart was told, and heard of");
}

/// When RSIP is sent for the first and the second time, in ms after its span fails.
fn repeated_after(w: &mut World) -> Vec<u64> {
    w.commands.clear();
    w.agent_answers = false;
    w.script(0).set_alarms(Alarms::NONE.with(Alarm::Los));
    let mut times = Vec::new();
    let mut ms = 0;
    while times.len() < 2 {
        w.run_for(Duration::from_millis(5));
        ms += 5;
        times.extend(w.commands.drain(..).map(|_| ms));
        assert!(ms < 10_000, "RSIP is sent and sent again");
    }
    times
}

#[test]
fn an_answer_that_is_not_acknowledged_changes_nothing_else() {
    let mut w = World::builder(111).build();
    w.run_for(Duration::from_secs(1));
    let usual = repeated_after(&mut w);
    let mut w = World::builder(111).build();
    w.run_for(Duration::from_secs(1));
    w.send_text(&crcx(7, 1));
    w.send_text(&crcx(7, 1));
    assert_eq!(w.reply(7).parameter("K"), Some(""));
    w.run_for(Duration::from_secs(40));
    assert!(w.take_replies().len() > 3, "it is repeated");
    let then = repeated_after(&mut w);
    assert_eq!(then[1] - then[0], usual[1] - usual[0]);
    // Nor is anyone cut off by it: the span's end of service is told like any other.
    assert_eq!(w.ask("CRCX ds/e1-2/1@gw", "C: A1\r\nM: recvonly\r\n").code, 200);
}

// RFC 3435 §3.5.1, §3.5.6, §4.3: T-HIST is more than T-MAX and the time on the way, and than the wait
// between repetitions of a command whose answer is promised.
#[test]
fn t_hist_leaves_time_for_the_way() {
    for times in ["response_history_s = 20\n", "response_history_s = 3\ntransaction_max_s = 1\n"] {
        assert!(Config::parse(&format!("[mgcp]\n{times}"), Path::new("")).is_err(), "{times}");
    }
    assert!(
        Config::parse("[mgcp]\nresponse_history_s = 30\ntransaction_max_s = 20\n", Path::new("")).is_ok()
    );
}
