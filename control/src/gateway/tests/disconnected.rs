//! Disconnected endpoints on whose lines something happens, and call agents that are overloaded.

use super::events::{bench, one};
use super::*;
use crate::config::{MediaConfig, SpanConfig};
use dataplane::link::{MediaEvent, Observation, Side};

/// A gateway whose disconnected endpoints wait long, one of which has a request in force.
fn patient() -> Bench {
    let mut bench = bench();
    bench.gateway.reconnect.wait_first = Duration::from_secs(1_000_000);
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", "X: 1\nQ: loop\nR: D/[0-9](N)\n"), 200);
    bench
}

fn rsips(said: &[String]) -> Vec<&str> {
    let parts = said.iter().flat_map(|datagram| datagram.split(".\n"));
    parts.filter(|message| message.starts_with("RSIP ")).collect()
}

#[test]
fn what_happens_on_the_line_has_it_try_again_but_not_before_tdmin() {
    let mut bench = patient();
    bench.dial("1");
    bench.after(Duration::from_secs(60));
    bench.after(Duration::from_secs(14));
    assert_eq!(bench.dial("2"), [""; 0], "Tdmin has not passed");
    bench.after(Duration::from_secs(2));
    let said = bench.dial("3");
    assert_eq!(header(rsips(&said)[0], "RM").as_deref(), Some("disconnected"));
    assert_eq!(bench.dial("4"), [""; 0], "and once");
    // The attempt ends without an answer, and Tdmin begins anew.
    bench.after(Duration::from_secs(60));
    assert_eq!(bench.dial("5"), [""; 0]);
    bench.after(Duration::from_secs(16));
    assert_eq!(rsips(&bench.dial("6")).len(), 1);
}

// RFC 3435 §4.4.7: "local user activity" is none of the network's.
#[test]
fn what_happens_to_media_does_not_have_it_try_again() {
    let mut bench = patient();
    bench.crcx("ds/e1-1/1@gw", "A1");
    let port = bench.actions().iter().find_map(|action| match action {
        Action::Connect { port, .. } => Some(*port),
        _ => None,
    });
    let side = Side::Network(port.expect("a connection"));
    bench.dial("1");
    bench.after(Duration::from_secs(60));
    bench.after(Duration::from_secs(16));
    let missing = Observation::Media(MediaEvent::Missing { after_s: 60 });
    assert_eq!(bench.observe(side, missing), [""; 0]);
    assert_eq!(rsips(&bench.dial("2")).len(), 1, "but what happens on the line does");
}

#[test]
fn what_is_to_be_told_while_disconnected_goes_behind_the_next_rsip() {
    let mut bench = patient();
    bench.gateway.disconnected(bench.now, &[EndpointId(0)]);
    assert_eq!(bench.dial("1"), [""; 0]);
    bench.after(Duration::from_secs(10));
    let said = bench.say("MDCX 900 ds/e1-1/1@gw MGCP 1.0\nC: 1\nI: FF\n");
    assert!(said.iter().any(|message| message.contains("\n.\n515 900 ")), "{said:?}");
    let notified: Vec<_> = said.iter().filter(|message| message.contains("NTFY ")).collect();
    let [told] = notified[..] else { panic!("once: {said:?}") };
    let parts: Vec<_> = told.split(".\n").collect();
    assert!(parts[0].starts_with("RSIP ") && header(parts[1], "O").as_deref() == Some("D/1"), "{told}");
    assert_eq!(bench.count(Counter::NotificationsLost), 0);
}

#[test]
fn what_could_not_be_told_for_t_max_is_lost() {
    let mut bench = patient();
    bench.gateway.disconnected(bench.now, &[EndpointId(0)]);
    bench.dial("1");
    bench.dial("23");
    bench.after(Duration::from_secs(21));
    let said = bench.say("DLCX 900 ds/e1-1/1@gw MGCP 1.0\n");
    assert!(said.iter().all(|message| !message.contains("NTFY ")), "{said:?}");
    assert_eq!(bench.count(Counter::NotificationsLost), 1, "one of an endpoint, the rest is quarantined");
    // RFC 3435 §4.4.1: that follows when the procedure is complete.
    let told = bench.answer_to(rsips(&said)[0]);
    assert_eq!(header(&one(told), "O").as_deref(), Some("D/2"));
}

/// A gateway of 40 E1s.
fn large(change: impl FnOnce(&mut Config)) -> Bench {
    Bench::with(|config| {
        config.spans = (1..=40).map(SpanConfig::simulated_e1).collect();
        config.media = MediaConfig::with_ports_for(40 * 31);
        change(config);
    })
}

#[test]
fn an_overloaded_call_agent_gets_fewer_commands_at_a_time() {
    let mut bench = large(|config| {
        config.mgcp.outstanding_max = 16;
        config.mgcp.outstanding_min = 2;
    });
    // Each other endpoint is another's, so that each is told of alone.
    for timeslot in (1..=31).step_by(2) {
        let command = format!("RQNT ds/*/{timeslot}@gw");
        assert_code(&bench.ask(&command, "X: 1\nN: other@[127.0.0.1]:2727\n"), 200);
    }
    for timeslot in (2..=30).step_by(2) {
        assert_code(&bench.ask(&format!("RQNT ds/*/{timeslot}@gw"), "X: 1\nN: ca@[127.0.0.1]:2727\n"), 200);
    }
    bench.crcx("ds/e1-1/1@gw", "A1");
    bench.gateway.handle(bench.now, Input::Graceful);
    let mut said = bench.sent();
    assert_eq!(said.len(), 16);
    let first = said.remove(0);
    let id = first.split(' ').nth(1).expect("a transaction").to_owned();
    assert_eq!(bench.say(&format!("409 {id} not so fast\n")), [""; 0], "eight more than there may be now");
    let more: Vec<_> = said.drain(..7).flat_map(|rsip| bench.answer_to(&rsip)).collect();
    assert_eq!(more.len(), 0);
    assert_eq!(bench.answer_to(&said[0]).len(), 2, "the eighth makes room for one, and widens the window");
}

#[test]
fn all_are_told_of_the_end_however_many_messages_that_takes() {
    let mut bench = large(|_| ());
    for (timeslot, name) in (1..=31).zip(["a", "b"].iter().cycle()) {
        let entity = format!("X: 1\nN: {name}@[127.0.0.1]:2727\n");
        assert_code(&bench.ask(&format!("RQNT ds/*/{timeslot}@gw"), &entity), 200);
    }
    bench.gateway.handle(bench.now, Input::Shutdown);
    let mut said: VecDeque<_> = bench.sent().into();
    let mut told = 0;
    while let Some(rsip) = said.pop_front() {
        told += 1;
        said.extend(bench.answer_to(&rsip));
    }
    assert_eq!(told, 40 * 31);
    assert!(bench.gateway.is_finished());
}
