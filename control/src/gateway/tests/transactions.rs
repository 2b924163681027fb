//! At most once, one at a time, and what aborts what.

use super::*;
use crate::config::SpanConfig;

#[test]
fn a_repeated_crcx_is_answered_again_and_not_executed_twice() {
    let mut bench = Bench::new();
    let command = format!("CRCX 7 ds/e1-1/17@gw MGCP 1.0\nC: A1\nM: sendrecv\n\n{REMOTE}");
    let first = bench.say(&command);
    bench.actions();
    assert_eq!(bench.say(&command), first);
    assert_eq!(bench.actions(), []);
    assert_eq!(bench.count(Counter::ConnectionsMade), 1);
    assert_eq!(bench.count(Counter::Repeated), 1);
}

#[test]
fn a_refusal_is_repeated_too() {
    let mut bench = Bench::new();
    let first = bench.say("CRCX 7 ds/e1-1/99@gw MGCP 1.0\nC: A1\nM: recvonly\n");
    assert_code(&first[0], 500);
    assert_eq!(bench.say("CRCX 7 ds/e1-1/99@gw MGCP 1.0\nC: A1\nM: recvonly\n"), first);
}

#[test]
fn dlcx_aborts_a_crcx_whose_orders_are_under_way() {
    let mut bench = Bench::new();
    bench.say_only("CRCX 7 ds/e1-1/17@gw MGCP 1.0\nC: A1\nM: recvonly\nB: e:mu\n");
    let said = bench.say_only("DLCX 8 ds/e1-1/17@gw MGCP 1.0\n");
    assert_code(&said[0], 407);
    assert!(bench.gateway.ledger().is_empty());
    let mut answers = said[1..].to_vec();
    answers.extend(bench.carry_out());
    assert_eq!(answers, ["250 8 OK\n"]);
    let kinds: Vec<_> = bench.actions().iter().map(kind).collect();
    assert_eq!(kinds, ["encode", "connect", "disconnect", "encode"]);
    assert_eq!(bench.count(Counter::ConnectionsMade), 0, "it was never made");
    assert_eq!(header(&bench.ask("AUEP ds/e1-1/17@gw", "F: B\n"), "B").as_deref(), Some("e:A"));
    // RFC 3435 §3.5.6: the aborted command's repetition gets its answer.
    let again = bench.say_only("CRCX 7 ds/e1-1/17@gw MGCP 1.0\nC: A1\nM: recvonly\nB: e:mu\n");
    assert_eq!(again, said[..1]);
}

#[test]
fn dlcx_of_another_connection_aborts_too_but_leaves_what_was_there() {
    let mut bench = Bench::new();
    let id = bench.crcx("ds/e1-1/17@gw", "A1");
    bench.say_only(&format!("MDCX 70 ds/e1-1/17@gw MGCP 1.0\nC: A1\nI: {id}\nM: inactive\n"));
    let said = bench.say_only("DLCX 71 ds/e1-1/17@gw MGCP 1.0\nI: FF\n");
    assert_code(&said[0], 407);
    assert_code(&said[1], 515);
    bench.carry_out();
    let audit = bench.ask("AUCX ds/e1-1/17@gw", &format!("I: {id}\nF: M\n"));
    assert_eq!(header(&audit, "M").as_deref(), Some("sendrecv"));
    let kinds: Vec<_> = bench.actions().iter().map(kind).collect();
    assert_eq!(kinds, ["connect", "modify", "modify"]);
}

#[test]
fn a_second_mdcx_of_a_connection_aborts_the_first() {
    let mut bench = Bench::new();
    let id = bench.crcx("ds/e1-1/17@gw", "A1");
    bench.say_only(&format!("MDCX 70 ds/e1-1/17@gw MGCP 1.0\nC: A1\nI: {id}\nM: inactive\n"));
    let said = bench.say_only(&format!("MDCX 71 ds/e1-1/17@gw MGCP 1.0\nC: A1\nI: {id}\nM: recvonly\n"));
    assert_code(&said[0], 407);
    let said = bench.carry_out();
    assert_eq!(said, ["200 71 OK\n"]);
    let audit = bench.ask("AUCX ds/e1-1/17@gw", &format!("I: {id}\nF: M\n"));
    assert_eq!(header(&audit, "M").as_deref(), Some("recvonly"));
}

#[test]
fn commands_for_other_connections_go_on_side_by_side() {
    let mut bench = Bench::new();
    let ids = [bench.crcx("ds/e1-1/17@gw", "A1"), bench.crcx("ds/e1-1/17@gw", "B2")];
    for (transaction, call, id) in [(70, "A1", &ids[0]), (71, "B2", &ids[1])] {
        let mdcx = format!("MDCX {transaction} ds/e1-1/17@gw MGCP 1.0\nC: {call}\nI: {id}\nM: inactive\n");
        assert_eq!(bench.say_only(&mdcx), [""; 0]);
    }
    assert_eq!(bench.carry_out(), ["200 70 OK\n", "200 71 OK\n"]);
}

#[test]
fn piggybacked_messages_are_taken_in_order() {
    let mut bench = Bench::new();
    let said = bench.say("DLCX 7 ds/e1-1/1@gw MGCP 1.0\n.\nAUEP 8 ds/e1-1/1@gw MGCP 1.0\nF: I\n");
    let all: String = said.concat();
    assert!(all.contains("250 7 OK") && all.contains("200 8 OK"), "{all}");
}

#[test]
fn a_full_ring_refuses_what_makes_and_takes_what_unmakes() {
    let mut bench = Bench::new();
    let ids: Vec<_> = (1..=31).map(|timeslot| bench.crcx(&format!("ds/e1-1/{timeslot}@gw"), "A1")).collect();
    bench.ring.clear();
    let mut refused = 0;
    for n in 0..4_200_u32 {
        let (timeslot, id) = (n % 31 + 1, &ids[(n % 31) as usize]);
        let said =
            bench.say_only(&format!("AUCX {} ds/e1-1/{timeslot}@gw MGCP 1.0\nI: {id}\nF: P\n", n + 100));
        refused += said.iter().filter(|answer| answer.starts_with("409")).count();
    }
    assert_eq!(refused, 4_200 - 4_096);
    assert_eq!(bench.say_only("DLCX 90000 *@gw MGCP 1.0\n"), ["101 90000 Queued\n"]);
    let said = bench.carry_out();
    assert_eq!(said.len(), 4_096 + 1);
    assert_eq!(said.last().map(String::as_str), Some("250 90000 OK\nK: \n"));
    assert!(bench.gateway.ledger().is_empty());
}

#[test]
fn a_core_that_does_nothing_does_not_hold_a_command_forever() {
    let mut bench = Bench::new();
    bench.say_only("CRCX 7 ds/e1-1/17@gw MGCP 1.0\nC: A1\nM: recvonly\n");
    let said = bench.after(Duration::from_secs(11));
    assert!(said.iter().any(|answer| answer.starts_with("406 7")), "{said:?}");
    assert!(bench.gateway.ledger().is_empty());
}

#[test]
fn a_slow_command_is_answered_100_and_then_asks_to_be_acknowledged() {
    let mut bench = Bench::new();
    bench.say_only("CRCX 7 ds/e1-1/17@gw MGCP 1.0\nC: A1\nM: recvonly\n");
    let said = bench.after(Duration::from_millis(250));
    assert_code(&said[0], 100);
    let said = bench.carry_out();
    assert_eq!(header(&said[0], "K").as_deref(), Some(""));
}

/// What a response says, without its first line and `K`.
fn told(response: &str) -> Vec<&str> {
    response.lines().skip(1).filter(|line| *line != "K: ").collect()
}

#[test]
fn a_promise_tells_what_the_answer_will_tell_again() {
    let mut bench = Bench::new();
    bench.say_only(&format!("CRCX 7 ds/e1-1/$@gw MGCP 1.0\nC: A1\nM: sendrecv\n\n{REMOTE}"));
    let promise = bench.after(Duration::from_millis(250));
    assert_code(&promise[0], 100);
    assert_eq!(header(&promise[0], "Z").as_deref(), Some("ds/e1-1/1@gw"));
    let answer = bench.carry_out();
    assert_code(&answer[0], 200);
    assert_eq!(told(&promise[0]), told(&answer[0]));
    let id = header(&promise[0], "I").expect("a connection");
    bench.say_only("000 7\n");
    // Another codec changes the description.
    bench.say_only(&format!("MDCX 8 ds/e1-1/1@gw MGCP 1.0\nC: A1\nI: {id}\nL: a:PCMA\n"));
    let promise = bench.after(Duration::from_millis(250));
    assert!(promise[0].starts_with("100 8 ") && promise[0].contains("\n\nv=0\n"), "{promise:?}");
    let answer = bench.carry_out();
    assert_eq!(told(&promise[0]), told(&answer[0]));
    bench.say_only("000 8\n");
    // What changes nothing of it does not tell it.
    bench.say_only(&format!("MDCX 9 ds/e1-1/1@gw MGCP 1.0\nC: A1\nI: {id}\nM: inactive\n"));
    assert_eq!(bench.after(Duration::from_millis(250)), ["100 9 Executing\n"]);
}

#[test]
fn a_long_queue_is_told_of_until_it_is_short_again() {
    let mut bench = Bench::with(|config| config.mgcp.executing_max = 16);
    let crcx = |n: u32| format!("CRCX {n} ds/e1-1/{n}@gw MGCP 1.0\nC: 1\nM: recvonly\n");
    for n in 1..=11 {
        assert_eq!(bench.say_only(&crcx(n)), [""; 0]);
    }
    assert_eq!(bench.say_only(&crcx(12)), ["101 12 Queued\n"], "the high-water mark");
    assert_eq!(bench.say_only(&crcx(1)), ["101 1 Queued\n"], "also when it comes again");
    let finish = |bench: &mut Bench, n| {
        let rest = bench.ring.split_off(n);
        bench.carry_out();
        bench.ring = rest;
    };
    finish(&mut bench, 3);
    assert_eq!(bench.say_only(&crcx(13)), ["101 13 Queued\n"], "between the marks");
    finish(&mut bench, 3);
    assert_eq!(bench.say_only(&crcx(14)), [""; 0], "below the low-water mark");
    let answers = bench.carry_out();
    let acknowledged = answers.iter().filter(|answer| header(answer, "K").is_some());
    assert_eq!((answers.len(), acknowledged.count()), (8, 2), "12 and 13: {answers:?}");
}

#[test]
fn an_answer_that_nobody_acknowledges_disconnects_nobody() {
    // RFC 3435 §3.5.6: nobody answers an answer that asks for it, and no endpoint is disconnected.
    let mut bench = Bench::with(|config| {
        config.mgcp.notified_entity = Some("ca@[127.0.0.1]:2727".to_owned());
        config.mgcp.restart_wait_max = Duration::ZERO;
    });
    let said = bench.after(Duration::from_millis(1));
    let id = said[0].split(' ').nth(1).expect("a transaction").to_owned();
    bench.say_only(&format!("200 {id} OK\n"));
    bench.say_only("CRCX 7 ds/e1-1/17@gw MGCP 1.0\nC: A1\nM: recvonly\n");
    bench.after(Duration::from_millis(250));
    bench.carry_out();
    let repeated = bench.after(Duration::from_secs(100));
    assert_eq!(repeated.iter().filter(|said| said.starts_with("200 7 ")).count(), 7, "Max2");
    let audit = bench.ask("AUEP ds/e1-1/17@gw", "F: RM\n");
    assert_eq!(header(&audit, "RM").as_deref(), Some("restart"));
}

#[test]
fn datagrams_from_elsewhere_are_dropped_unread() {
    let mut bench = Bench::new();
    let said = bench.hear("192.0.2.7:2727", b"AUEP 1 ds/e1-1/1@gw MGCP 1.0\r\n");
    assert_eq!(said, [""; 0]);
    assert_eq!(bench.count(Counter::DroppedSource), 1);
    assert_eq!(bench.count(Counter::Datagrams), 0);
}

#[test]
fn malformed_commands_are_answered_if_they_say_which_they_are() {
    let mut bench = Bench::new();
    let said = bench.hear(AGENT, b"CRCX 7 no-at-sign MGCP 1.0\r\n");
    assert_eq!(said.len(), 1);
    assert!(said[0].starts_with('5') && said[0].contains(" 7 "), "{said:?}");
    assert_eq!(bench.hear(AGENT, b"\x00\xff\xfe"), [""; 0]);
    assert_eq!(bench.count(Counter::Malformed), 2);
}

fn kind(action: &Action) -> &'static str {
    match action {
        Action::Connect { .. } | Action::ConnectRelay { .. } => "connect",
        Action::Modify { .. } | Action::ModifyRelay { .. } => "modify",
        Action::Disconnect { .. } => "disconnect",
        Action::Survey { .. } => "survey",
        Action::Encode { .. } => "encode",
        Action::CancelEcho { .. } => "cancel echo",
        Action::Watch { .. } => "watch",
        Action::Supervise { .. } => "supervise",
        Action::Play { .. } => "play",
        Action::Test { .. } => "test",
        Action::Stop { .. } => "stop",
    }
}

#[test]
fn what_came_later_outlives_an_aborted_command() {
    let mut bench = Bench::new();
    bench.say_only("CRCX 7 ds/e1-1/17@gw MGCP 1.0\nC: A1\nM: recvonly\nN: one@[127.0.0.5]\n");
    assert_eq!(bench.say_only("RQNT 8 ds/e1-1/17@gw MGCP 1.0\nX: 2\nN: two@[127.0.0.6]\n"), ["200 8 OK\n"]);
    assert_code(&bench.say_only("DLCX 9 ds/e1-1/17@gw MGCP 1.0\n")[0], 407);
    bench.carry_out();
    let audit = bench.ask("AUEP ds/e1-1/17@gw", "F: X,N\n");
    assert_eq!(header(&audit, "X").as_deref(), Some("2"));
    assert_eq!(header(&audit, "N").as_deref(), Some("two@[127.0.0.6]"));
}

#[test]
fn more_endpoints_than_a_ring_holds_can_be_changed_at_once() {
    let mut bench = Bench::with(|config| {
        config.spans = (1..=140).map(SpanConfig::simulated_e1).collect();
        config.media.port_last = config.media.port_first + 2 * 31 * 140 - 1;
    });
    assert_code(&bench.ask("EPCF *@gw", "B: e:mu\n"), 200);
    assert_eq!(bench.actions().len(), 31 * 140);
}

#[test]
fn messages_of_one_datagram_are_completed_in_order() {
    let mut bench = Bench::new();
    let id = bench.crcx("ds/e1-1/9@gw", "A1");
    let of = format!("ds/e1-1/9@gw MGCP 1.0\nC: A1\nI: {id}\n");
    let said = bench.say(&format!(
        "MDCX 70 {of}M: inactive\n.\nMDCX 71 {of}M: recvonly\n.\nCRCX 72 ds/e1-1/10@gw MGCP 1.0\nC: A2\n\
         M: inactive\n.\nAUCX 73 {}F: M\n.\nDLCX 74 *@gw MGCP 1.0\n",
        of.replace("C: A1\n", "")
    ));
    let codes: Vec<_> = said.iter().filter_map(|answer| answer.get(..6)).collect();
    assert_eq!(codes, ["200 70", "200 71", "200 73", "200 72", "250 74"], "{said:?}");
    assert_eq!(header(&said[2], "M").as_deref(), Some("recvonly"));
    assert!(bench.gateway.ledger().is_empty());
}

#[test]
fn a_command_of_another_datagram_does_not_wait() {
    let mut bench = Bench::new();
    let crcx = "CRCX 70 ds/e1-1/9@gw MGCP 1.0\nC: A1\nM: inactive\n";
    assert_eq!(bench.say_only(&format!("{crcx}.\nAUEP 71 ds/e1-1/9@gw MGCP 1.0\nF: I\n")), [""; 0]);
    let said = bench.say_only("DLCX 72 ds/e1-1/9@gw MGCP 1.0\n");
    assert_eq!(said, ["407 70 Aborted\n", "250 72 OK\n", "200 71 OK\nI: \n"]);
}
