//! Service states and RSIP.

use super::*;

pub(super) fn announced() -> Bench {
    let mut bench = Bench::with(|config| {
        config.mgcp.notified_entity = Some("ca@[127.0.0.1]:2727".to_owned());
        config.mgcp.restart_wait_max = Duration::from_millis(500);
    });
    let said = once(bench.after(Duration::from_millis(501)));
    acknowledge(&mut bench, &said, 200);
    bench
}

/// What was sent, without repetitions.
fn once(mut said: Vec<String>) -> Vec<String> {
    said.dedup();
    said
}

/// Answers each RSIP.
pub(super) fn acknowledge(bench: &mut Bench, said: &[String], code: u16) -> Vec<String> {
    let id = |rsip: &String| rsip.split(' ').nth(1).expect("a transaction id").to_owned();
    said.iter().map(id).flat_map(|id| bench.say(&format!("{code} {id} OK\n"))).collect()
}

#[test]
fn one_rsip_announces_all_within_the_maximum_wait() {
    let mut bench = Bench::with(|config| {
        config.mgcp.notified_entity = Some("ca@[127.0.0.1]:2727".to_owned());
        config.mgcp.restart_wait_max = Duration::from_millis(500);
    });
    assert_eq!(bench.sent(), [""; 0]);
    let said = once(bench.after(Duration::from_millis(501)));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("RSIP ") && said[0].contains(" *@gw MGCP 1.0\n"), "{said:?}");
    assert_eq!(header(&said[0], "RM").as_deref(), Some("restart"));
    assert_eq!(acknowledge(&mut bench, &said, 200), [""; 0]);
    assert_eq!(bench.after(Duration::from_secs(60)), [""; 0]);
}

#[test]
fn without_a_notified_entity_nothing_is_announced() {
    let mut bench = Bench::new();
    assert_eq!(bench.after(Duration::from_secs(60)), [""; 0]);
}

#[test]
fn a_command_ends_the_wait_and_hears_of_the_restart_first() {
    let mut bench = Bench::with(|config| {
        config.mgcp.notified_entity = Some("ca@[127.0.0.1]:2727".to_owned());
        config.mgcp.restart_wait_max = Duration::from_secs(3_600);
    });
    assert_eq!(bench.say("AUEP 1 ds/e1-1/1@gw MGCP 1.0\n"), ["200 1 OK\n"]);
    let said = bench.say("DLCX 2 ds/e1-1/1@gw MGCP 1.0\n");
    assert!(said[0].starts_with("RSIP "), "{said:?}");
    assert_eq!(said[1], format!("{}.\n250 2 OK\n", said[0]), "and with the response, ahead of it");
}

#[test]
fn a_name_is_looked_up_before_it_is_told() {
    let mut bench = Bench::with(|config| {
        config.mgcp.notified_entity = Some("ca@ca.example.net:2427".to_owned());
        config.mgcp.restart_wait_max = Duration::ZERO;
    });
    assert_eq!(bench.after(Duration::from_millis(1)), [""; 0]);
    assert_eq!(bench.gateway.poll_resolve().as_deref(), Some("ca.example.net"));
    let (host, ttl) = ("ca.example.net".to_owned(), Duration::from_secs(60));
    let addresses = vec!["127.0.0.9".parse().expect("an address")];
    bench.gateway.handle(bench.now, Input::Resolved { host, addresses, ttl });
    let mut octets = Vec::new();
    let path = bench.gateway.poll_transmit(&mut octets).expect("RSIP");
    assert_eq!(path.remote, "127.0.0.9:2427".parse().expect("an address"));
    assert_eq!(path.local, "127.0.0.1:2427".parse().expect("an address"));
}

#[test]
fn a_failed_look_up_is_tried_again() {
    let mut bench = Bench::with(|config| {
        config.mgcp.notified_entity = Some("ca@ca.example.net:2427".to_owned());
        config.mgcp.restart_wait_max = Duration::ZERO;
    });
    bench.after(Duration::from_millis(1));
    assert!(bench.gateway.poll_resolve().is_some());
    let failed =
        Input::Resolved { host: "ca.example.net".to_owned(), addresses: Vec::new(), ttl: Duration::ZERO };
    bench.gateway.handle(bench.now, failed);
    bench.after(Duration::from_secs(10));
    assert_eq!(bench.gateway.poll_resolve().as_deref(), Some("ca.example.net"));
}

#[test]
fn a_redirected_restart_goes_to_the_other_call_agent() {
    let mut bench = Bench::with(|config| {
        config.mgcp.notified_entity = Some("ca@[127.0.0.1]:2727".to_owned());
        config.mgcp.restart_wait_max = Duration::ZERO;
    });
    let said = bench.after(Duration::from_millis(1));
    let id = said[0].split(' ').nth(1).expect("an id").to_owned();
    let path =
        Path { remote: AGENT.parse().expect("an address"), local: "127.0.0.1:2427".parse().expect("it") };
    let redirection = format!("521 {id} Redirect\r\nN: other@[127.0.0.5]\r\n");
    bench.gateway.handle(bench.now, Input::Datagram { path, octets: redirection.as_bytes() });
    let (to, again) = bench.sent_to().remove(0);
    assert!(again.starts_with("RSIP ") && again.contains("RM: restart"), "{again}");
    assert_eq!(to, "127.0.0.5:2727".parse().expect("an address"));
    assert_ne!(again.split(' ').nth(1), Some(&*id), "a new transaction");
    let audit = bench.ask("AUEP ds/e1-1/1@gw", "F: N\n");
    assert_eq!(header(&audit, "N").as_deref(), Some("other@[127.0.0.5]"));
}

#[test]
fn a_transient_refusal_is_tried_again_and_a_permanent_one_is_not() {
    let mut bench = Bench::with(|config| {
        config.mgcp.notified_entity = Some("ca@[127.0.0.1]:2727".to_owned());
        config.mgcp.restart_wait_max = Duration::ZERO;
    });
    let said = bench.after(Duration::from_millis(1));
    assert_eq!(acknowledge(&mut bench, &said, 400), [""; 0]);
    let said = once(bench.after(Duration::from_secs(2)));
    assert_eq!(said.len(), 1, "{said:?}");
    acknowledge(&mut bench, &said, 500);
    assert_eq!(bench.after(Duration::from_secs(60)), [""; 0]);
    let said = bench.say("DLCX 2 ds/e1-1/1@gw MGCP 1.0\n");
    assert!(said[0].starts_with("RSIP ") && said[0].contains(" ds/e1-1/1@"), "{said:?}");
}

#[test]
fn nobody_answers_and_repeating_comes_to_an_end_until_the_disconnected_timer() {
    let mut bench = Bench::with(|config| {
        config.mgcp.notified_entity = Some("ca@[127.0.0.1]:2727".to_owned());
    });
    let said = bench.after(Duration::from_secs(25));
    assert_eq!(said.len(), 1 + 7, "it is repeated Max2 times");
    assert_eq!(bench.after(Duration::from_secs(35)), [""; 0]);
    bench.after(Duration::from_secs(1));
    assert_eq!(bench.count(Counter::Unanswered), 1);
    let said = once(bench.after(Duration::from_secs(16)));
    assert_eq!(header(&said[0], "RM").as_deref(), Some("restart"), "§4.4.6: not disconnected");
}

#[test]
fn an_alarm_takes_the_span_out_of_service_and_its_end_brings_it_back() {
    let mut bench = announced();
    bench.crcx("ds/e1-2/5@gw", "A1");
    bench.crcx("ds/e1-3/5@gw", "A2");
    bench.actions();
    let said = bench.span_event(1, down());
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains(" ds/e1-2/*@gw "), "{said:?}");
    assert_eq!(header(&said[0], "RM").as_deref(), Some("forced"));
    assert!(header(&said[0], "E").expect("a reason").starts_with("905"));
    acknowledge(&mut bench, &said, 200);
    assert!(matches!(bench.actions()[..], [Action::Disconnect { .. }]));
    assert_eq!(bench.count(Counter::ConnectionsLost), 1);

    assert_code(&bench.ask("CRCX ds/e1-2/6@gw", "C: A1\nM: recvonly\n"), 501);
    assert_code(&bench.ask("DLCX ds/e1-2/6@gw", ""), 501);
    assert_code(&bench.ask("CRCX ds/e1-2/$@gw", "C: A1\nM: recvonly\n"), 410);
    let audit = bench.ask("AUEP ds/e1-2/6@gw", "F: RM,E\n");
    assert_eq!(header(&audit, "RM").as_deref(), Some("forced"));
    assert_code(&bench.ask("DLCX *@gw", ""), 250);

    let said = bench.span_event(1, SpanEvent::Alarms(Alarms::NONE.with(Alarm::Rai)));
    assert_eq!(header(&said[0], "RM").as_deref(), Some("restart"));
    acknowledge(&mut bench, &said, 200);
    assert_code(&bench.ask("CRCX ds/e1-2/6@gw", "C: A1\nM: recvonly\n"), 200);
}

/// A gateway whose alarms count after 2.5 s and are over after 10 s.
fn patient() -> Bench {
    let mut bench = Bench::with(|config| {
        config.mgcp.notified_entity = Some("ca@[127.0.0.1]:2727".to_owned());
        config.mgcp.restart_wait_max = Duration::ZERO;
        config.alarms = AlarmConfig::default();
    });
    let said = once(bench.after(Duration::from_millis(1)));
    acknowledge(&mut bench, &said, 200);
    bench
}

#[test]
fn calls_live_through_a_short_alarm() {
    let mut bench = patient();
    bench.crcx("ds/e1-2/5@gw", "A1");
    for _ in 0..10 {
        bench.span_event(1, down());
        assert_eq!(bench.after(Duration::from_millis(2_400)), [""; 0]);
        assert_eq!(bench.span_event(1, SpanEvent::Alarms(Alarms::NONE)), [""; 0]);
        assert_eq!(bench.after(Duration::from_millis(100)), [""; 0]);
    }
    assert_eq!(bench.count(Counter::ConnectionsLost), 0);
    assert_code(&bench.ask("DLCX ds/e1-2/5@gw", ""), 250);
}

#[test]
fn an_alarm_that_stands_counts_and_its_end_does_when_it_lasts() {
    let mut bench = patient();
    bench.crcx("ds/e1-2/5@gw", "A1");
    bench.span_event(1, down());
    bench.after(Duration::from_millis(1_000));
    // More of the same is the same alarm.
    bench.span_event(1, SpanEvent::Alarms(Alarms::NONE.with(Alarm::Ais).with(Alarm::Rai)));
    let said = once(bench.after(Duration::from_millis(1_600)));
    assert_eq!(header(&said[0], "RM").as_deref(), Some("forced"));
    acknowledge(&mut bench, &said, 200);
    assert_eq!(bench.count(Counter::ConnectionsLost), 1);
    bench.span_event(1, SpanEvent::Alarms(Alarms::NONE));
    bench.after(Duration::from_secs(9));
    bench.span_event(1, down());
    bench.after(Duration::from_millis(50));
    bench.span_event(1, SpanEvent::Alarms(Alarms::NONE));
    assert_eq!(bench.after(Duration::from_secs(9)), [""; 0]);
    let said = once(bench.after(Duration::from_secs(1)));
    assert_eq!(header(&said[0], "RM").as_deref(), Some("restart"));
}

#[test]
fn a_span_that_flaps_leaves_only_its_last_state_to_be_told() {
    let mut bench = announced();
    let first = bench.span_event(1, down());
    let second = bench.span_event(1, SpanEvent::Alarms(Alarms::NONE));
    assert_eq!((first.len(), second.len()), (1, 1));
    acknowledge(&mut bench, &second, 200);
    assert_eq!(bench.after(Duration::from_secs(60)), [""; 0]);
}

#[test]
fn a_command_under_way_on_a_span_that_fails_is_refused() {
    let mut bench = announced();
    bench.say_only("CRCX 7 ds/e1-2/5@gw MGCP 1.0\nC: A1\nM: recvonly\n");
    let said = bench.span_event(1, SpanEvent::Failed);
    assert!(said.iter().any(|answer| answer.starts_with("501 7")), "{said:?}");
    assert!(bench.gateway.ledger().is_empty());
}

#[test]
fn a_dlcx_under_way_on_a_span_that_fails_goes_on() {
    let mut bench = announced();
    bench.crcx("ds/e1-2/5@gw", "A1");
    bench.say_only("DLCX 700 *@gw MGCP 1.0\n");
    let said = bench.span_event(1, down());
    assert!(said.iter().any(|answer| answer == "250 700 OK\n"), "{said:?}");
    assert!(bench.gateway.ledger().is_empty());
}

#[test]
fn a_failed_driver_does_not_come_back() {
    let mut bench = announced();
    bench.span_event(1, SpanEvent::Failed);
    assert_eq!(bench.span_event(1, SpanEvent::Alarms(Alarms::NONE)), [""; 0]);
    assert_code(&bench.ask("DLCX ds/e1-2/6@gw", ""), 501);
}

#[test]
fn a_slip_is_no_outage() {
    let mut bench = announced();
    assert_eq!(bench.span_event(1, SpanEvent::Slip(drivers::span::Slip::Deleted)), [""; 0]);
}

#[test]
fn shutdown_tells_the_call_agent_and_ends_when_it_has_heard() {
    let mut bench = announced();
    bench.crcx("ds/e1-2/5@gw", "A1");
    bench.gateway.handle(bench.now, Input::Shutdown);
    let said = bench.sent();
    assert!(said[0].contains(" *@gw "), "{said:?}");
    assert_eq!(header(&said[0], "RM").as_deref(), Some("forced"));
    assert!(!bench.gateway.is_finished());
    assert_code(&bench.ask("CRCX ds/e1-2/6@gw", "C: A1\nM: recvonly\n"), 501);
    acknowledge(&mut bench, &said, 200);
    bench.carry_out();
    assert!(bench.gateway.is_finished());
    assert!(bench.gateway.ledger().is_empty());
}

#[test]
fn shutdown_does_not_wait_for_a_call_agent_that_is_gone() {
    let mut bench = announced();
    bench.gateway.handle(bench.now, Input::Shutdown);
    bench.after(Duration::from_millis(450));
    assert!(bench.gateway.is_finished());
}

#[test]
fn shutdown_with_nobody_to_tell_ends_at_once() {
    let mut bench = Bench::new();
    bench.gateway.handle(bench.now, Input::Shutdown);
    assert!(bench.gateway.is_finished());
}

#[test]
fn call_agents_that_were_never_named_are_told_where_they_were_heard() {
    let mut bench = Bench::new();
    bench.ask("DLCX *@gw", "");
    bench.gateway.handle(bench.now, Input::Shutdown);
    let mut octets = Vec::new();
    let path = bench.gateway.poll_transmit(&mut octets).expect("RSIP");
    assert_eq!(path.remote, AGENT.parse().expect("an address"));
}

#[test]
fn what_nobody_was_there_to_hear_is_not_told_in_mid_call() {
    let mut bench = Bench::new();
    assert_eq!(bench.span_event(1, down()), [""; 0]);
    assert_eq!(bench.span_event(1, SpanEvent::Alarms(Alarms::NONE)), [""; 0]);
    let id = bench.crcx("ds/e1-2/5@gw", "A1");
    // An RSIP `restart` would have the call agent give the call up.
    assert_code(&bench.ask("MDCX ds/e1-2/5@gw", &format!("C: A1\nI: {id}\nM: inactive\n")), 200);
}

#[test]
fn call_agents_that_redirect_in_a_circle_cause_no_storm() {
    let mut bench = Bench::with(|config| {
        config.mgcp.notified_entity = Some("ca@[127.0.0.1]:2727".to_owned());
        config.mgcp.restart_wait_max = Duration::ZERO;
    });
    let mut said = bench.after(Duration::from_millis(1));
    let mut rounds = 0;
    let end = bench.now + Duration::from_secs(10);
    while bench.now < end && rounds < 1_000 {
        for rsip in std::mem::take(&mut said) {
            let id = rsip.split(' ').nth(1).expect("a transaction id").to_owned();
            said.extend(bench.say(&format!("521 {id} Redirect\nN: ca@[127.0.0.1]:2727\n")));
            rounds += 1;
        }
        said.extend(bench.after(Duration::from_millis(10)));
    }
    assert!((5..=25).contains(&rounds), "{rounds}");
}

#[test]
fn shutdown_waits_for_the_call_agents_address() {
    let mut bench = Bench::with(|config| {
        config.mgcp.notified_entity = Some("ca@ca.example.net:2427".to_owned());
        config.mgcp.restart_wait_max = Duration::ZERO;
    });
    let resolved = || Input::Resolved {
        host: "ca.example.net".to_owned(),
        addresses: vec!["127.0.0.9".parse().expect("an address")],
        ttl: Duration::from_secs(60),
    };
    bench.after(Duration::from_millis(1));
    assert!(bench.gateway.poll_resolve().is_some());
    bench.gateway.handle(bench.now, resolved());
    let said = bench.sent();
    acknowledge(&mut bench, &said, 200);
    bench.after(Duration::from_secs(3_600));
    bench.gateway.handle(bench.now, Input::Shutdown);
    assert!(!bench.gateway.is_finished(), "the address it had is too old");
    assert!(bench.gateway.poll_resolve().is_some());
    bench.gateway.handle(bench.now, resolved());
    let said = bench.sent();
    assert!(said[0].starts_with("RSIP ") && said[0].contains("RM: forced"), "{said:?}");
    acknowledge(&mut bench, &said, 200);
    assert!(bench.gateway.is_finished());
}

#[test]
fn a_command_of_a_call_agent_that_was_deaf_begins_one_restart_for_all() {
    // When T-MAX is over, and when the endpoints are disconnected.
    for silence in [25_000, 60_500].map(Duration::from_millis) {
        let mut bench = Bench::with(|config| {
            config.mgcp.notified_entity = Some("ca@[127.0.0.1]:2727".to_owned());
        });
        bench.after(silence);
        let mut said = Vec::new();
        for timeslot in 1..=31 {
            said.extend(bench.say(&format!("DLCX {timeslot} ds/e1-1/{timeslot}@gw MGCP 1.0\n")));
        }
        let mut rsips: Vec<_> = said.iter().map(|message| message.lines().next()).collect();
        rsips.dedup();
        assert_eq!(rsips.len(), 1, "{silence:?}: {rsips:?}");
        assert!(rsips[0].is_some_and(|rsip| rsip.contains(" *@gw ")), "{rsips:?}");
    }
}

#[test]
fn endpoints_that_nobody_was_heard_of_do_not_break_a_wildcard_up() {
    let mut bench = Bench::new();
    bench.ask("DLCX ds/e1-1/5@gw", "");
    bench.ask("DLCX ds/e1-3/[1-7]@gw", "");
    bench.gateway.handle(bench.now, Input::Shutdown);
    let said = bench.sent();
    assert!(said.len() == 1 && said[0].contains(" *@gw "), "{said:?}");
}

#[test]
fn a_wait_to_try_again_does_not_hold_news_up() {
    let mut bench = Bench::with(|config| {
        config.mgcp.notified_entity = Some("ca@[127.0.0.1]:2727".to_owned());
        config.mgcp.restart_wait_max = Duration::from_secs(600);
    });
    let mut said = Vec::new();
    while said.is_empty() {
        said = bench.after(Duration::from_millis(100));
    }
    acknowledge(&mut bench, &said, 400);
    assert_eq!(bench.after(Duration::from_secs(1)), [""; 0]);
    let said = bench.span_event(1, down());
    assert!(said.iter().any(|rsip| rsip.contains("RM: forced")), "{said:?}");
}

#[test]
fn rsip_leaves_from_the_address_that_the_call_agent_knows() {
    let mut bench = Bench::with(|config| {
        config.mgcp.listen = ["127.0.0.1:2427", "127.0.0.2:2427"].map(|at| at.parse().expect("one")).to_vec();
    });
    let local = "127.0.0.2:2427".parse().expect("an address");
    let path = Path { remote: AGENT.parse().expect("an address"), local };
    bench.gateway.handle(bench.now, Input::Datagram { path, octets: b"DLCX 1 *@gw MGCP 1.0\n" });
    bench.sent();
    bench.gateway.handle(bench.now, Input::Shutdown);
    assert_eq!(bench.gateway.poll_transmit(&mut Vec::new()), Some(path));
}

fn waiting_for_an_answer() -> (Bench, Vec<String>) {
    let mut bench = Bench::with(|config| {
        config.mgcp.notified_entity = Some("ca@[127.0.0.1]:2727".to_owned());
        config.mgcp.restart_wait_max = Duration::ZERO;
    });
    let said = once(bench.after(Duration::from_millis(1)));
    (bench, said)
}

// RFC 3435 §2.3.12: a repetition of the older RSIP, if it came last, would have a failed span in service.
#[test]
fn what_is_new_of_a_part_waits_for_the_answer_to_what_was_told_of_all() {
    for code in [200, 500] {
        let (mut bench, all) = waiting_for_an_answer();
        assert_eq!(bench.span_event(1, down()), [""; 0], "the call agent has yet to hear of the start");
        let said = once(acknowledge(&mut bench, &all, code));
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains(" ds/e1-2/*@gw ") && said[0].contains("RM: forced\n"), "{said:?}");
        assert_eq!(acknowledge(&mut bench, &said, 200), [""; 0]);
        assert_eq!(bench.after(Duration::from_secs(60)), [""; 0]);
    }
}

#[test]
fn what_came_and_went_before_an_answer_is_told_as_it_is_then() {
    let (mut bench, all) = waiting_for_an_answer();
    bench.span_event(1, down());
    bench.span_event(1, SpanEvent::Alarms(Alarms::NONE));
    let said = once(acknowledge(&mut bench, &all, 200));
    assert!(said.len() == 1 && said[0].contains(" ds/e1-2/*@gw "), "its connections are gone: {said:?}");
    assert_eq!(header(&said[0], "RM").as_deref(), Some("restart"));
}

#[test]
fn what_is_new_of_all_takes_the_place_of_what_was_told_at_once() {
    let (mut bench, all) = waiting_for_an_answer();
    acknowledge(&mut bench, &all, 200);
    let forced = once(bench.span_event(1, down()));
    let restart = once(bench.span_event(1, SpanEvent::Alarms(Alarms::NONE)));
    assert!(
        forced[0].contains("RM: forced\n") && restart[0].contains("RM: restart\n"),
        "{forced:?} {restart:?}"
    );
    let again = once(bench.after(Duration::from_secs(1)));
    assert_eq!(again, restart, "the older one is not repeated");
}

#[test]
fn what_is_new_of_a_part_is_told_when_nobody_has_answered_what_was_told_of_all() {
    let (mut bench, _) = waiting_for_an_answer();
    bench.span_event(1, down());
    let mut said = Vec::new();
    for _ in 0..200 {
        said.extend(bench.after(Duration::from_secs(1)));
    }
    assert!(
        said.iter().any(|rsip| rsip.contains(" ds/e1-2/*@gw ") && rsip.contains("RM: forced\n")),
        "{said:?}"
    );
    assert!(
        said.iter().any(|rsip| rsip.contains(" ds/e1-1/*@gw ") && rsip.contains("RM: restart\n")),
        "{said:?}"
    );
}

#[test]
fn what_is_new_does_not_wait_with_what_was_refused_for_now() {
    for code in [400, 503] {
        let mut bench = Bench::with(|config| {
            config.mgcp.notified_entity = Some("ca@[127.0.0.1]:2727".to_owned());
            config.mgcp.restart_wait_max = Duration::from_millis(500);
        });
        let all = once(bench.after(Duration::from_millis(501)));
        bench.span_event(1, down());
        let said = once(acknowledge(&mut bench, &all, code));
        assert!(said.iter().any(|rsip| rsip.contains("RM: forced\n")), "{code}: {said:?}");
    }
}

// RFC 3435 §4.4.7: what is disconnected waits; what fails meanwhile is no longer disconnected.
#[test]
fn what_failed_while_it_was_told_that_it_was_disconnected_is_told_when_that_is_refused() {
    for code in [400, 503] {
        let mut bench = announced();
        let all: Vec<_> = bench.gateway.state.endpoints.ids().collect();
        bench.gateway.disconnected(bench.now, &all);
        let mut told = Vec::new();
        while told.is_empty() {
            told = bench.after(Duration::from_millis(100));
        }
        assert!(told[0].contains(" *@gw ") && told[0].contains("RM: disconnected\n"), "{told:?}");
        assert_eq!(bench.span_event(1, down()), [""; 0]);
        let said = once(acknowledge(&mut bench, &told, code));
        assert_eq!(said.len(), 1, "{code}: {said:?}");
        assert!(said[0].contains(" ds/e1-2/*@gw ") && said[0].contains("RM: forced\n"), "{said:?}");
    }
}

// RFC 3435 §4.3: nothing is repeated once T-MAX is over, though an answer may come until 2 × T-HIST is.
#[test]
fn what_fails_when_nothing_older_is_repeated_any_more_is_told_at_once() {
    let (mut bench, all) = waiting_for_an_answer();
    bench.after(Duration::from_secs(25));
    let said = bench.span_event(1, down());
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains(" ds/e1-2/*@gw ") && said[0].contains("RM: forced\n"), "{said:?}");
    acknowledge(&mut bench, &said, 200);
    acknowledge(&mut bench, &all, 200);
    assert_eq!(bench.after(Duration::from_secs(60)), [""; 0]);
}

/// Has each command done, and sees that the endpoint does what is asked of it.
fn is_at_work(bench: &mut Bench, state: &str) {
    let mut number = 700;
    let mut ask = |bench: &mut Bench, verb: &str, rest: &str| {
        number += 1;
        let said = bench.say(&format!("{verb} {number} ds/e1-1/9@gw MGCP 1.0\n{rest}"));
        let answer = said.iter().flat_map(|text| text.split(".\n")).find(|text| {
            text.starts_with(&format!("200 {number} ")) || text.starts_with(&format!("250 {number} "))
        });
        answer.unwrap_or_else(|| panic!("{state}: {verb}: {said:?}")).to_owned()
    };
    ask(bench, "EPCF", "B: e:A\n");
    ask(bench, "RQNT", "X: 1\nS: G/rt\n");
    let made = ask(bench, "CRCX", "C: A1\nM: recvonly\n");
    let id = header(&made, "I").expect("a connection");
    ask(bench, "MDCX", &format!("C: A1\nI: {id}\nM: inactive\n"));
    ask(bench, "AUCX", &format!("I: {id}\nF: M\n"));
    ask(bench, "AUEP", "F: RM\n");
    ask(bench, "DLCX", &format!("C: A1\nI: {id}\n"));
}

// RFC 3435 §4.4.5: the table of service states.
#[test]
fn whatever_was_told_last_an_endpoint_in_service_does_what_is_asked_of_it() {
    let (mut bench, all) = waiting_for_an_answer();
    is_at_work(&mut bench, "restart, unanswered");
    acknowledge(&mut bench, &all, 200);
    let mut bench = announced();
    is_at_work(&mut bench, "restart");
    bench.crcx("ds/e1-1/5@gw", "A5");
    bench.gateway.handle(bench.now, Input::Graceful);
    let said = bench.sent();
    bench.now += Duration::from_secs(31);
    is_at_work(&mut bench, "graceful, unanswered");
    acknowledge(&mut bench, &said, 200);
    bench.now += Duration::from_secs(31);
    is_at_work(&mut bench, "graceful");
    bench.gateway.handle(bench.now, Input::CancelGraceful);
    let said = bench.sent();
    acknowledge(&mut bench, &said, 200);
    bench.now += Duration::from_secs(31);
    is_at_work(&mut bench, "cancel-graceful");
    bench.gateway.disconnected(bench.now, &[EndpointId(8)]);
    let audit = bench.ask("AUEP ds/e1-1/9@gw", "F: RM\n");
    assert_eq!(header(&audit, "RM").as_deref(), Some("disconnected"));
    is_at_work(&mut bench, "disconnected");
}
