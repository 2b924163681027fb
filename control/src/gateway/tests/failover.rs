//! Call agents that fail, move, come back, and endpoints that are disconnected meanwhile.

use std::net::SocketAddr;

use super::*;

const NAME: &str = "ca.example.net";

/// A gateway whose call agent has these addresses, and has heard of the restart or not.
fn named(addresses: &[&str], is_up: bool) -> Bench {
    named_with(addresses, is_up, 5)
}

/// The same with another Max1.
fn named_with(addresses: &[&str], is_up: bool, max1: u32) -> Bench {
    let mut bench = Bench::with(|config| {
        config.mgcp.suspicion_repetitions = max1;
        config.mgcp.notified_entity = Some(format!("ca@{NAME}:2727"));
        config.mgcp.restart_wait_max = Duration::ZERO;
        config.mgcp.allow.push("192.0.2.0/24".parse().expect("a network"));
    });
    bench.after(Duration::from_millis(1));
    assert_eq!(bench.gateway.poll_resolve().as_deref(), Some(NAME));
    let said = resolve(&mut bench, addresses);
    if is_up {
        let (to, rsip) = &said[0];
        bench.hear(&to.to_string(), format!("200 {} OK\r\n", transaction(rsip)).as_bytes());
    }
    bench
}

fn resolve(bench: &mut Bench, addresses: &[&str]) -> Vec<(SocketAddr, String)> {
    let addresses = addresses.iter().map(|address| address.parse().expect("one")).collect();
    let ttl = Duration::from_secs(3_600);
    bench.gateway.handle(bench.now, Input::Resolved { host: NAME.to_owned(), addresses, ttl });
    sent_to(bench)
}

/// What is sent, and where.
fn sent_to(bench: &mut Bench) -> Vec<(SocketAddr, String)> {
    bench.sent_to()
}

/// What is sent until `wait` has passed: where, what, and how long after now.
fn run(bench: &mut Bench, wait: Duration) -> Vec<(SocketAddr, String, Duration)> {
    let (start, end) = (bench.now, bench.now + wait);
    let mut said = Vec::new();
    while let Some(at) = bench.gateway.poll_timeout().filter(|at| *at <= end) {
        bench.now = at.max(bench.now);
        bench.gateway.handle(bench.now, Input::Timeout);
        let now = bench.now;
        said.extend(sent_to(bench).into_iter().map(|(to, text)| (to, text, now.since(start))));
    }
    bench.now = end;
    said
}

fn transaction(rsip: &str) -> &str {
    rsip.split(' ').nth(1).expect("a transaction id")
}

fn count_to(said: &[(SocketAddr, String, Duration)], to: &str) -> usize {
    said.iter().filter(|(remote, ..)| remote.ip().to_string() == to).count()
}

/// A gateway whose call agent has died, as it found out because it had an alarm to tell of.
fn disconnected() -> Bench {
    let mut bench = named(&["192.0.2.1"], true);
    bench.span_event(1, down());
    bench.span_event(1, SpanEvent::Alarms(Alarms::NONE));
    run(&mut bench, Duration::from_secs(61));
    bench
}

#[test]
fn each_address_is_tried_max1_times_and_the_last_one_max2_times() {
    let mut bench = named(&["192.0.2.1", "192.0.2.2", "192.0.2.3"], false);
    let said = run(&mut bench, Duration::from_secs(62));
    // RFC 3435 §4.3: nothing is repeated later than T-MAX, so the third gets what time is left.
    assert_eq!(count_to(&said, "192.0.2.1"), 5);
    assert_eq!(count_to(&said, "192.0.2.2"), 1 + 5);
    assert!((1..=1 + 7).contains(&count_to(&said, "192.0.2.3")), "{said:?}");
    assert!(said.iter().all(|(.., at)| *at < Duration::from_secs(21)));
    let ids: BTreeSet<_> = said.iter().map(|(_, rsip, _)| transaction(rsip)).collect();
    assert_eq!(ids.len(), 1, "it is one transaction");
}

#[test]
fn the_second_address_answers_and_all_is_well() {
    let mut bench = named(&["192.0.2.1", "192.0.2.2"], false);
    let said = run(&mut bench, Duration::from_secs(11));
    let (to, rsip, _) = said.last().expect("repetitions");
    assert_eq!(to.to_string(), "192.0.2.2:2727");
    bench.hear("192.0.2.2:2727", format!("200 {} OK\r\n", transaction(rsip)).as_bytes());
    assert_eq!(run(&mut bench, Duration::from_secs(600)), []);
}

#[test]
fn a_name_in_doubt_is_looked_up_again_and_its_new_address_is_tried() {
    let mut bench = named(&["192.0.2.1"], false);
    let said = run(&mut bench, Duration::from_secs(10));
    assert_eq!(said.len(), 5 + 1, "Max1 has passed");
    assert_eq!(bench.gateway.poll_resolve().as_deref(), Some(NAME));
    resolve(&mut bench, &["192.0.2.1", "192.0.2.7"]);
    let said = run(&mut bench, Duration::from_secs(9));
    assert!(count_to(&said, "192.0.2.7") >= 1, "{said:?}");
}

// RFC 3435 §2.3.12: it would have the failed span in service.
#[test]
fn what_was_told_of_all_does_not_go_to_a_new_address_once_a_part_has_failed() {
    let mut bench = named(&["192.0.2.1"], false);
    let repeated = |bench: &mut Bench| !run(bench, Duration::from_millis(4_100)).is_empty();
    while bench.gateway.poll_resolve().is_none() {
        run(&mut bench, Duration::from_millis(10));
    }
    while repeated(&mut bench) {}
    let report = Report::Span { span: SpanId(1), event: down() };
    bench.gateway.handle(bench.now, Input::Report { core: CoreId(0), report });
    sent_to(&mut bench);
    resolve(&mut bench, &["192.0.2.7"]);
    let said = run(&mut bench, Duration::from_secs(30));
    assert!(said.iter().all(|(_, rsip, _)| !rsip.contains(" *@gw ")), "{said:?}");
}

#[test]
fn look_ups_in_doubt_can_be_switched_off() {
    let mut bench = Bench::with(|config| {
        config.mgcp.notified_entity = Some(format!("ca@{NAME}:2727"));
        config.mgcp.restart_wait_max = Duration::ZERO;
        config.mgcp.suspicion_look_up = false;
        config.mgcp.disconnection_look_up = false;
    });
    bench.after(Duration::from_millis(1));
    bench.gateway.poll_resolve();
    resolve(&mut bench, &["192.0.2.1"]);
    run(&mut bench, Duration::from_secs(60));
    assert_eq!(bench.gateway.poll_resolve(), None);
}

#[test]
fn the_address_that_commands_come_from_is_preferred() {
    let mut bench = named(&["192.0.2.1", "192.0.2.2"], true);
    bench.hear("192.0.2.2:2427", b"DLCX 1 *@gw MGCP 1.0\r\n");
    let report = Report::Span { span: SpanId(1), event: down() };
    bench.gateway.handle(bench.now, Input::Report { core: CoreId(0), report });
    let (to, rsip) = sent_to(&mut bench).remove(0);
    assert!(rsip.starts_with("RSIP "), "{rsip}");
    assert_eq!(to.to_string(), "192.0.2.2:2727");
}

#[test]
fn the_disconnected_timer_doubles_up_to_its_maximum() {
    let mut bench = named(&["192.0.2.1"], false);
    let said = run(&mut bench, Duration::from_secs(20_000));
    let mut starts: Vec<(&str, Duration)> = Vec::new();
    for (_, rsip, at) in &said {
        if starts.last().is_none_or(|(id, _)| *id != transaction(rsip)) {
            starts.push((transaction(rsip), *at));
        }
    }
    // The first is the restart itself. An attempt takes 2 * T-HIST.
    let waits: Vec<_> =
        starts.windows(2).skip(1).map(|pair| (pair[1].1 - pair[0].1).as_secs() - 60).collect();
    assert!(waits.windows(2).all(|pair| pair[1] + 1 >= (pair[0] * 2).min(600)), "{waits:?}");
    assert_eq!(waits.iter().max(), Some(&600), "{waits:?}");
}

#[test]
fn calls_stay_up_and_audits_say_disconnected() {
    let mut bench = named(&["192.0.2.1"], true);
    bench.crcx("ds/e1-1/5@gw", "A1");
    bench.gateway.disconnected(bench.now, &[EndpointId(4)]);
    bench.now += Duration::from_millis(500);
    let audit = bench.ask("AUEP ds/e1-1/5@gw", "F: RM,RD,I\n");
    assert_eq!(header(&audit, "RM").as_deref(), Some("disconnected"));
    assert!(!header(&audit, "I").expect("a connection").is_empty(), "the call is up");
    let said = run(&mut bench, Duration::from_secs(16));
    let (_, rsip, at) = &said[0];
    assert!(rsip.contains(" ds/e1-1/5@gw ") && rsip.contains("RM: disconnected\nRD: "), "{rsip}");
    let told: u64 = header(rsip, "RD").and_then(|rd| rd.parse().ok()).expect("seconds");
    assert!(told.abs_diff(at.as_secs()) <= 1, "{told} {at:?}");
    bench.hear("192.0.2.1:2727", format!("200 {} OK\r\n", transaction(rsip)).as_bytes());
    let audit = bench.ask("AUEP ds/e1-1/5@gw", "F: RM,RD\n");
    assert_eq!(
        (header(&audit, "RM").as_deref(), header(&audit, "RD").as_deref()),
        (Some("restart"), Some("0"))
    );
    assert_eq!(run(&mut bench, Duration::from_secs(3_600)), []);
}

#[test]
fn who_goes_out_of_service_while_disconnected_says_forced() {
    let mut bench = disconnected();
    bench.span_event(1, down());
    let said = run(&mut bench, Duration::from_secs(62 + 16));
    assert!(said.iter().any(|(_, rsip, _)| rsip.contains(" ds/e1-2/*@") && rsip.contains("RM: forced")));
}

#[test]
fn two_gateways_with_different_seeds_wait_differently() {
    let wait = |seed| {
        let mut bench = Bench::with(|config| {
            config.mgcp.notified_entity = Some("ca@[127.0.0.1]:2727".to_owned());
            config.mgcp.restart_wait_max = Duration::ZERO;
        });
        let epoch = Epoch { at: bench.now, unix_nanos: 0 };
        bench.gateway = Gateway::new(&bench.config, &bench.topology, seed, epoch, bench.now);
        run(&mut bench, Duration::from_secs(60));
        run(&mut bench, Duration::from_secs(20)).first().expect("the next attempt").2
    };
    assert_ne!(wait(1), wait(2));
}

#[test]
fn a_backup_call_agent_takes_over_with_one_command() {
    let mut bench = disconnected();
    let message = b"DLCX 1 ds/e1-2/5@gw MGCP 1.0\r\nN: backup@[192.0.2.9]:2427\r\n";
    let path = Path { remote: "192.0.2.9:2427".parse().expect("one"), local: bench.config.mgcp.listen[0] };
    bench.gateway.handle(bench.now, Input::Datagram { path, octets: message });
    let said = sent_to(&mut bench);
    let answer = said.iter().find(|(_, text)| text.contains("250 1")).expect("an answer");
    // RFC 3435 §4.4.7: RSIP ahead of the response, to whom the command came from.
    assert_eq!(answer.0.to_string(), "192.0.2.9:2427");
    assert!(answer.1.starts_with("RSIP ") && answer.1.contains("\n.\n250 1 OK"), "{}", answer.1);
    let moved =
        said.iter().filter(|(to, text)| to.to_string() == "192.0.2.9:2427" && !text.contains("250 1"));
    assert_eq!(moved.count(), 1, "and reliably, alone, to the new notified entity: {said:?}");
}

#[test]
fn a_response_that_is_sent_again_comes_behind_rsip_until_that_is_answered() {
    let mut bench = named(&["192.0.2.1"], false);
    let dlcx = b"DLCX 7 ds/e1-1/1@gw MGCP 1.0\r\n";
    let first = bench.hear("192.0.2.1:2727", dlcx);
    let again = bench.hear("192.0.2.1:2727", dlcx);
    assert_eq!(first, again);
    assert!(again[0].starts_with("RSIP ") && again[0].ends_with(".\n250 7 OK\n"), "{again:?}");
    let id = transaction(&again[0]).to_owned();
    bench.hear("192.0.2.1:2727", format!("200 {id} OK\r\n").as_bytes());
    assert_eq!(bench.hear("192.0.2.1:2727", dlcx), ["250 7 OK\n"]);
}

#[test]
fn an_audit_is_answered_alone_while_restarting() {
    let mut bench = named(&["192.0.2.1"], false);
    let audit = bench.hear("192.0.2.1:2727", b"AUEP 7 ds/e1-1/1@gw MGCP 1.0\r\nF: RM\r\n");
    assert_eq!(audit, ["200 7 OK\nRM: restart\n"]);
}

#[test]
fn what_cannot_be_told_yet_is_answered_405() {
    let mut bench = named(&["192.0.2.1"], false);
    for timeslot in 1..=31 {
        let control = &mut bench.gateway.state.endpoints[EndpointId(timeslot)].control;
        control.announcement = crate::endpoint::restart::Announcement::Owed;
    }
    bench.gateway.outgoing = Outgoing::new(
        OutgoingSettings {
            transaction_max: Duration::from_secs(20),
            response_history: Duration::from_secs(30),
            suspicion: 5,
            disconnection: 7,
            transactions_max: 0,
            pace: PaceSettings::NONE,
        },
        1,
    );
    assert_code(&bench.hear("192.0.2.1:2727", b"DLCX 7 ds/e1-1/5@gw MGCP 1.0\r\n")[0], 405);
}

#[test]
fn an_unknown_address_of_the_notified_entity_does_not_keep_others_from_taking_over() {
    let mut bench = Bench::with(|config| {
        config.mgcp.notified_entity = Some(format!("ca@{NAME}:2727"));
        config.mgcp.restart_wait_max = Duration::ZERO;
    });
    bench.after(Duration::from_millis(1));
    let said = bench.say("DLCX 7 ds/e1-1/1@gw MGCP 1.0\n");
    assert!(said.last().is_some_and(|last| last.contains(".\n250 7 OK")), "{said:?}");
}

#[test]
fn a_graceful_stop_tells_waits_for_the_last_call_and_ends() {
    let mut bench = named(&["127.0.0.1"], true);
    let id = bench.crcx("ds/e1-1/5@gw", "A1");
    bench.gateway.handle(bench.now, Input::Graceful);
    let said = bench.sent();
    assert!(said[0].contains(" *@gw ") && said[0].contains("RM: graceful\n"), "{said:?}");
    assert_eq!(header(&said[0], "RD"), None, "it takes as long as calls do");
    let rsip = transaction(&said[0]).to_owned();
    bench.say(&format!("200 {rsip} OK\n"));
    let audit = bench.ask("AUEP ds/e1-1/5@gw", "F: RM\n");
    assert_eq!(header(&audit, "RM").as_deref(), Some("graceful"));
    bench.after(Duration::from_secs(1_800));
    assert!(!bench.gateway.is_finished());
    let said = bench.say(&format!("DLCX 900 ds/e1-1/5@gw MGCP 1.0\nC: A1\nI: {id}\n"));
    assert!(said.iter().any(|text| text.contains("RM: forced")), "{said:?}");
    assert!(said.iter().any(|text| text.contains("250 900 ")), "{said:?}");
}

#[test]
fn a_graceful_stop_can_be_called_off_and_has_an_end() {
    let mut bench = Bench::with(|config| {
        config.mgcp.notified_entity = Some("ca@[127.0.0.1]:2727".to_owned());
        config.mgcp.restart_wait_max = Duration::ZERO;
        config.mgcp.graceful_stop_max = Some(Duration::from_secs(100));
    });
    let acknowledge = |bench: &mut Bench, said: &[String]| {
        let id = transaction(&said[0]).to_owned();
        bench.say(&format!("200 {id} OK\n"));
    };
    let said = bench.after(Duration::from_millis(1));
    acknowledge(&mut bench, &said);
    bench.crcx("ds/e1-1/5@gw", "A1");
    bench.gateway.handle(bench.now, Input::Graceful);
    let said = bench.sent();
    assert!(said[0].ends_with("RM: graceful\nRD: 100\n"), "{said:?}");
    acknowledge(&mut bench, &said);
    bench.gateway.handle(bench.now, Input::CancelGraceful);
    let said = bench.sent();
    assert!(said[0].ends_with("RM: cancel-graceful\n"), "{said:?}");
    acknowledge(&mut bench, &said);
    let audit = bench.ask("AUEP ds/e1-1/5@gw", "F: RM\n");
    assert_eq!(header(&audit, "RM").as_deref(), Some("restart"));
    bench.gateway.handle(bench.now, Input::Graceful);
    let said = bench.sent();
    acknowledge(&mut bench, &said);
    assert_eq!(bench.after(Duration::from_secs(99)), [""; 0]);
    let said = bench.after(Duration::from_secs(1));
    assert!(said[0].contains("RM: forced\n"), "{said:?}");
}

// RFC 3435 §2.3.12: with a delay of 0 the call agent would wait for the last call.
#[test]
fn what_is_left_of_a_second_before_the_end_of_service_is_told_as_one() {
    let mut bench = Bench::with(|config| {
        config.mgcp.notified_entity = Some("ca@[127.0.0.1]:2727".to_owned());
        config.mgcp.restart_wait_max = Duration::ZERO;
        config.mgcp.graceful_stop_max = Some(Duration::from_millis(1_400));
    });
    let said = bench.after(Duration::from_millis(1));
    bench.say(&format!("200 {} OK\n", transaction(&said[0])));
    bench.crcx("ds/e1-1/5@gw", "A1");
    bench.gateway.handle(bench.now, Input::Graceful);
    let said = bench.sent();
    assert!(said[0].ends_with("RM: graceful\nRD: 2\n"), "{said:?}");
    bench.say(&format!("400 {} Not now\n", transaction(&said[0])));
    let said = bench.after(Duration::from_millis(1_001));
    assert!(said[0].ends_with("RM: graceful\nRD: 1\n"), "{said:?}");
}

/// A gateway whose endpoints were redirected to a list of two names, with these addresses.
fn listed(addresses: [(&str, &[&str]); 2], max1: u32) -> Bench {
    let mut bench = named_with(&["192.0.2.9"], true, max1);
    let redirect = "EPCF 800 *@gw MGCP 1.0\r\nRED/N: ca@one\r\nRED/NL: ca@two\r\n";
    bench.hear(AGENT, redirect.as_bytes());
    bench.span_event(1, down());
    for (name, addresses) in addresses {
        assert_eq!(bench.gateway.poll_resolve().as_deref(), Some(name));
        let addresses = addresses.iter().map(|address| address.parse().expect("one")).collect();
        let ttl = Duration::from_secs(3_600);
        bench.gateway.handle(bench.now, Input::Resolved { host: name.to_owned(), addresses, ttl });
    }
    bench
}

// RFC 3991 §2.1.
#[test]
fn a_list_of_call_agents_is_gone_through_name_by_name() {
    let mut bench = listed([("one", &["192.0.2.1", "192.0.2.2"]), ("two", &["192.0.2.3"])], 5);
    let start = bench.now;
    let mut said: Vec<_> =
        sent_to(&mut bench).into_iter().map(|(to, text)| (to, text, Duration::ZERO)).collect();
    said.extend(run(&mut bench, Duration::from_secs(59)));
    let order: Vec<_> = said.iter().map(|(to, ..)| to.ip().to_string()).collect();
    assert!(order.is_sorted(), "all of the first name, then the second: {order:?}");
    // Max1 on all but the last way.
    assert_eq!(count_to(&said, "192.0.2.1"), 1 + 5);
    assert_eq!(count_to(&said, "192.0.2.2"), 1 + 5);
    assert!(count_to(&said, "192.0.2.3") > 1, "{order:?}");
    // What was learnt of one address says nothing of the next: each begins with the usual wait.
    let at = |host: &str| {
        let mut times = said.iter().filter(|(to, ..)| to.ip().to_string() == host).map(|(.., at)| *at);
        let first = times.next().expect("it was tried");
        times.next().expect("twice") - first
    };
    assert!(at("192.0.2.3") <= Duration::from_millis(300), "{:?}", at("192.0.2.3"));
    // T-MAX counts from the first sending, wherever that was.
    assert!(said.iter().all(|(.., at)| start + *at < start + Duration::from_secs(21)));
}

// RFC 3991 §2.1.
#[test]
fn only_the_last_name_of_a_list_is_looked_up_when_all_have_failed() {
    let mut bench = listed([("one", &["192.0.2.1"]), ("two", &["192.0.2.3"])], 1);
    let mut looked_up = Vec::new();
    let end = bench.now + Duration::from_secs(59);
    while let Some(at) = bench.gateway.poll_timeout().filter(|at| *at <= end) {
        bench.now = at;
        bench.gateway.handle(at, Input::Timeout);
        sent_to(&mut bench);
        while let Some(host) = bench.gateway.poll_resolve() {
            let ttl = Duration::from_secs(3_600);
            bench.gateway.handle(at, Input::Resolved { host: host.clone(), addresses: Vec::new(), ttl });
            looked_up.push(host);
        }
    }
    // At Max1 both were known too recently; at Max2, on the last way, only the last is in doubt.
    assert_eq!(looked_up, ["two"]);
}

// RFC 3991 §2.3.
#[test]
fn of_the_addresses_of_a_redirection_that_of_its_sender_comes_first() {
    let mut bench = named(&["192.0.2.9"], true);
    bench.hear("192.0.2.2:2727", b"EPCF 800 *@gw MGCP 1.0\r\nRED/N: ca@one\r\n");
    bench.span_event(1, down());
    let addresses = ["192.0.2.1", "192.0.2.2"].map(|address| address.parse().expect("one")).to_vec();
    let ttl = Duration::from_secs(3_600);
    bench.gateway.handle(bench.now, Input::Resolved { host: "one".to_owned(), addresses, ttl });
    let said = sent_to(&mut bench);
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].0.ip().to_string(), "192.0.2.2");
}

#[test]
fn an_address_that_the_network_cannot_reach_is_left_at_once() {
    let mut bench = named(&["192.0.2.1", "192.0.2.2"], true);
    bench.span_event(1, down());
    let (at, rsip) = loop {
        if let Some((to, text, _)) = run(&mut bench, Duration::from_millis(10)).into_iter().next() {
            break (to, text);
        }
    };
    assert_eq!(at.to_string(), "192.0.2.1:2727");
    let octets = rsip.replace('\n', "\r\n").into_bytes();
    let tell = |bench: &mut Bench, remote, octets: &[u8]| {
        bench.gateway.handle(bench.now, Input::Undelivered { remote, octets });
        sent_to(bench)
    };
    // What does not quote the command is not believed, whoever it is said to be of.
    let forged = rsip.replace(transaction(&rsip), "1").into_bytes();
    assert_eq!(tell(&mut bench, at, &forged), []);
    let second = "192.0.2.2:2727".parse().expect("an address");
    assert_eq!(tell(&mut bench, second, &octets), []);
    assert_eq!(tell(&mut bench, at, &octets), [(second, rsip.clone())]);
    assert_eq!(bench.gateway.counters().value(Counter::Undelivered), 1);
    // Nor does it move again: there is no third.
    assert_eq!(tell(&mut bench, at, &octets), []);
    assert_eq!(tell(&mut bench, second, &octets), []);
    bench.hear("192.0.2.2:2727", format!("200 {} OK\r\n", transaction(&rsip)).as_bytes());
    assert_eq!(run(&mut bench, Duration::from_secs(100)), []);
}

// RFC 3435 §4.4.7: however many there are, each is tried again.
#[test]
fn more_call_agents_than_are_waited_for_one_by_one_are_tried_again_together() {
    let mut bench = Bench::new();
    for number in 0..100 {
        let endpoint = format!("ds/e1-{}/{}@gw", number / 30 + 1, number % 30 + 1);
        let named = format!("X: 1\nN: ca@[192.0.2.{}]\n", number + 1);
        assert_code(&bench.ask(&format!("RQNT {endpoint}"), &named), 200);
    }
    (0..4).for_each(|span| drop(bench.span_event(span, down())));
    run(&mut bench, Duration::from_secs(61));
    assert_eq!(bench.count(Counter::Unanswered), 100);
    assert_eq!(bench.count(Counter::SilencesShared), 100 - 64);
    assert!(bench.gateway.silences.len() <= 64 + 1);
    let said = run(&mut bench, Duration::from_secs(16));
    let tried: BTreeSet<_> = said.iter().map(|(to, ..)| *to).collect();
    assert_eq!(tried.len(), 100, "all are tried again in the time that one is");
    // They answer at last, and nothing is left.
    let mut said: VecDeque<_> = said.into_iter().map(|(to, rsip, _)| (to, rsip)).collect();
    while let Some((_, rsip)) = said.pop_front() {
        bench.say_only(&format!("200 {} OK\n", transaction(&rsip)));
        said.extend(sent_to(&mut bench));
    }
    run(&mut bench, Duration::from_secs(1_200));
    assert_eq!(bench.gateway.silences.len(), 0);
}

// RFC 3435 §4.4.6.
#[test]
fn who_names_someone_whose_address_is_not_known_yet_hears_of_the_restart_before_the_response() {
    let mut bench = Bench::with(|config| {
        config.mgcp.notified_entity = Some("ca@[127.0.0.1]:2727".to_owned());
        config.mgcp.restart_wait_max = Duration::ZERO;
    });
    bench.after(Duration::from_millis(1));
    let said = bench.say("EPCF 7 ds/e1-1/1@gw MGCP 1.0\nRED/N: ca@ca.example.net\n");
    let answer = said.last().expect("an answer");
    assert!(answer.starts_with("RSIP ") && answer.ends_with(".\n200 7 OK\n"), "{said:?}");
    // It goes on to whom it is for when it is known where that is.
    let to = resolve(&mut bench, &["192.0.2.1"]);
    let later = run(&mut bench, Duration::from_secs(19));
    let all = to.iter().map(|(to, _)| *to).chain(later.iter().map(|(to, ..)| *to));
    assert!(all.into_iter().any(|to| to.ip().to_string() == "192.0.2.1"));
}
