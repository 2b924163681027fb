//! A gateway made of its journal is the same gateway.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::replay::{ReplayError, replay};

/// A random command, often a sensible one.
fn command(rng: &mut StdRng, ids: &[(String, String)], transaction: u32) -> String {
    let timeslot = rng.random_range(1..=4);
    let endpoint = format!("ds/e1-{}/{timeslot}", rng.random_range(1..=2));
    let mode = ["sendrecv", "recvonly", "inactive", "confrnce", "loopback"].choose(rng).expect("modes");
    let call = ["A1", "B2", "C3"].choose(rng).expect("calls");
    let remote = if rng.random() { format!("\n{REMOTE}") } else { String::new() };
    let (on, id) = ids.choose(rng).cloned().unwrap_or_else(|| (endpoint.clone(), "FF".to_owned()));
    match rng.random_range(0..10) {
        0..=3 => format!("CRCX {transaction} {endpoint}@gw MGCP 1.0\nC: {call}\nM: {mode}\n{remote}"),
        4 => format!("CRCX {transaction} ds/e1-1/$@gw MGCP 1.0\nC: {call}\nM: {mode}\nB: e:mu\n{remote}"),
        5 | 6 => format!("MDCX {transaction} {on}@gw MGCP 1.0\nC: {call}\nI: {id}\nM: {mode}\n{remote}"),
        7 => format!("DLCX {transaction} {on}@gw MGCP 1.0\nI: {id}\n"),
        8 => format!("AUCX {transaction} {on}@gw MGCP 1.0\nI: {id}\nF: C,M,P,LC\n"),
        _ => format!("DLCX {transaction} {endpoint}@gw MGCP 1.0\nC: {call}\nN: ca@[127.0.0.1]\n"),
    }
}

/// Drives a gateway at random; orders are answered late, or not yet.
fn drive(bench: &mut Bench, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut ids = Vec::new();
    for transaction in 1..=400 {
        bench.now += Duration::from_millis(rng.random_range(0..20));
        let text = command(&mut rng, &ids, transaction);
        let mut said = bench.say_only(&text);
        if rng.random_ratio(1, 40) {
            let alarms = if rng.random() { down() } else { SpanEvent::Alarms(Alarms::NONE) };
            said.extend(bench.span_event(1, alarms));
        }
        if rng.random_ratio(2, 3) {
            said.extend(bench.carry_out());
        }
        said.extend(bench.after(Duration::ZERO));
        let endpoint = text.split([' ', '@']).nth(2).expect("an endpoint").to_owned();
        ids.extend(said.iter().filter_map(|answer| Some((endpoint.clone(), header(answer, "I")?))));
    }
}

// Its words had other meanings.
#[test]
fn a_journal_of_another_version_is_told_from_one_that_cannot_be_read() {
    let bench = Bench::new();
    let beginning = bench.gateway.journal().lines().next().expect("a beginning").to_owned();
    let earlier = beginning.replacen(" 2 ", " 1 ", 1);
    let replayed = |line: &str| replay(&bench.config, &bench.topology, [line]).err();
    assert_eq!(replayed(&beginning), None);
    assert_eq!(replayed(&earlier), Some(ReplayError::NoBeginning));
}

#[test]
fn a_replayed_journal_makes_the_same_gateway() {
    for seed in 0..4 {
        println!("seed {seed}");
        let mut bench = Bench::with(|config| {
            config.journal.octets_max = 1 << 24;
            config.mgcp.notified_entity = Some("ca@[127.0.0.1]:2727".to_owned());
        });
        drive(&mut bench, seed);
        let lines: Vec<String> = bench.gateway.journal().lines().map(str::to_owned).collect();
        let again = replay(&bench.config, &bench.topology, lines.iter().map(String::as_str));
        let mut again = again.expect("the journal is whole");
        assert_eq!(again.digest(), bench.gateway.digest());
        assert_eq!(again.counters(), bench.gateway.counters());
        // The same in what cannot be seen, too: from here on both do the same.
        bench.carry_out();
        let text = format!("CRCX 900 ds/e1-1/$@gw MGCP 1.0\nC: A1\nM: sendrecv\n\n{REMOTE}");
        let path =
            Path { remote: AGENT.parse().expect("one"), local: "127.0.0.1:2427".parse().expect("one") };
        let unread = bench.gateway.journal().lines().skip(lines.len()).map(str::to_owned).collect::<Vec<_>>();
        let caught_up = lines.iter().chain(&unread).map(String::as_str);
        again = replay(&bench.config, &bench.topology, caught_up).expect("the journal is whole");
        again.handle(bench.now, Input::Datagram { path, octets: text.replace('\n', "\r\n").as_bytes() });
        bench.say_only(&text);
        again.drain();
        assert_eq!(again.digest(), bench.gateway.digest());
    }
}

#[test]
fn the_ledger_is_empty_after_the_last_dlcx_whatever_went_before() {
    for seed in 100..110 {
        println!("seed {seed}");
        let mut bench = Bench::new();
        drive(&mut bench, seed);
        bench.carry_out();
        bench.span_event(1, SpanEvent::Alarms(Alarms::NONE));
        let said = bench.say("DLCX 90000 *@gw MGCP 1.0\n");
        assert!(said.iter().any(|answer| answer.contains("250 90000")), "{said:?}");
        assert!(bench.gateway.ledger().is_empty(), "{:?}", bench.gateway.ledger());
        assert_eq!(bench.gateway.state.executions.len(), 0);
    }
}

#[test]
fn a_journal_without_its_beginning_is_not_replayed() {
    let mut bench = Bench::with(|config| config.journal.octets_max = 300);
    (0..9).for_each(|_| drop(bench.ask("AUEP ds/e1-1/1@gw", "")));
    let again = replay(&bench.config, &bench.topology, bench.gateway.journal().lines());
    assert_eq!(again.err(), Some(ReplayError::NoBeginning));
}

#[test]
fn a_journal_with_a_broken_line_says_which() {
    let bench = Bench::new();
    let first = bench.gateway.journal().lines().next().expect("a line").to_owned();
    let again = replay(&bench.config, &bench.topology, [first.as_str(), "7 nonsense\n"]);
    assert_eq!(again.err(), Some(ReplayError::Line(2)));
}

#[test]
fn what_does_not_change_the_gateway_is_not_written_down() {
    let mut bench = Bench::new();
    let lines = bench.gateway.journal().lines().count();
    bench.hear("192.0.2.7:2727", b"AUEP 1 *@gw MGCP 1.0\r\n");
    bench.gateway.handle(bench.now, Input::Timeout);
    assert_eq!(bench.gateway.journal().lines().count(), lines);
}
