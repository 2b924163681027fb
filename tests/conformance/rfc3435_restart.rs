//! RFC 3435 §2.1.4, §2.3.12, §4.1, §4.4.5 and §4.4.6: whom endpoints talk to, RSIP, and service states.

use std::collections::BTreeSet;
use std::time::Duration;

use drivers::line::{Alarm, Alarms};
use drivers::net::sim::Impairment;
use tests::World;
use tests::world::CALL_AGENT;

use crate::agent::{Agent, transaction};

fn fail(w: &mut World, span: usize) {
    w.script(span).set_alarms(Alarms::NONE.with(Alarm::Los));
    w.run_for(Duration::from_secs(4));
}

fn notified(w: &mut World, endpoint: &str) -> String {
    let audit = w.ask(&format!("AUEP {endpoint}@gw"), "F: N\r\n");
    audit.parameter("N").expect("the notified entity is told").to_owned()
}

/// A parameter of a command.
fn parameter<'a>(command: &'a str, name: &str) -> Option<&'a str> {
    command.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// A world whose first RSIP has been sent and waits for its answer, and that RSIP.
fn announcing(seed: u64) -> (World, String) {
    let mut w = World::builder(seed).build();
    w.agent_answers = false;
    w.run_for(Duration::from_millis(50));
    let first = w.commands.first().expect("RSIP comes at once").clone();
    w.commands.clear();
    (w, first)
}

#[test]
fn at_start_each_endpoint_has_the_configured_notified_entity() {
    let mut w = World::builder(61).build();
    for endpoint in ["ds/e1-1/1", "ds/e1-1/31", "ds/e1-4/17"] {
        assert_eq!(notified(&mut w, endpoint), "ca@[10.0.0.2]:2727");
    }
}

#[test]
fn each_endpoint_has_its_own_notified_entity() {
    let mut w = World::builder(62).build();
    assert_eq!(w.ask("RQNT ds/e1-1/1@gw", "X: 1\r\nN: other@[10.0.0.3]:2729\r\n").code, 200);
    assert_eq!(notified(&mut w, "ds/e1-1/1"), "other@[10.0.0.3]:2729");
    assert_eq!(notified(&mut w, "ds/e1-1/2"), "ca@[10.0.0.2]:2727");
    // RFC 3435 §2.1.4: an empty one is where the last command came from.
    assert_eq!(w.ask("RQNT ds/e1-1/1@gw", "X: 1\r\nN:\r\n").code, 200);
    assert_eq!(notified(&mut w, "ds/e1-1/1"), "[10.0.0.2]:2727");
}

#[test]
fn what_an_endpoint_has_to_say_goes_to_its_notified_entity() {
    let mut w = World::builder(63).build();
    let other = Agent::new(&w, "10.0.0.3:2729");
    assert_eq!(w.ask("RQNT ds/e1-2/*@gw", "X: 1\r\nN: other@[10.0.0.3]:2729\r\n").code, 200);
    w.commands.clear();
    fail(&mut w, 1);
    let heard = other.heard();
    assert!(heard.iter().all(|command| command.starts_with("RSIP ")) && !heard.is_empty(), "{heard:?}");
    assert_eq!(w.commands, [""; 0]);
    fail(&mut w, 2);
    assert!(w.commands.iter().all(|command| command.contains(" ds/e1-3/*@")) && !w.commands.is_empty());
}

#[test]
fn answers_go_where_the_command_came_from() {
    let mut w = World::builder(64).build();
    let other = Agent::new(&w, "10.0.0.3:4711");
    let said = other.say(&mut w, "AUEP 5 ds/e1-1/1@gw MGCP 1.0\r\n");
    assert_eq!(said, ["200 5 OK\r\n"]);
}

#[test]
fn one_message_tells_of_a_whole_span() {
    let mut w = World::builder(65).build();
    w.run_for(Duration::from_secs(1));
    w.commands.clear();
    fail(&mut w, 1);
    w.script(1).set_alarms(Alarms::NONE);
    w.run_for(Duration::from_secs(15));
    let told: Vec<_> =
        w.commands.iter().map(|c| (c.split(' ').nth(2).expect("a name"), parameter(c, "RM"))).collect();
    assert_eq!(told, [("ds/e1-2/*@gw", Some("forced")), ("ds/e1-2/*@gw", Some("restart"))]);
}

#[test]
fn an_end_of_service_is_told_without_delay_and_with_its_reason() {
    let mut w = World::builder(66).build();
    w.run_for(Duration::from_secs(1));
    w.commands.clear();
    fail(&mut w, 0);
    w.shut_down();
    assert!(w.commands.len() >= 2);
    for command in &w.commands {
        assert_eq!(parameter(command, "RM"), Some("forced"), "{command}");
        assert_eq!(parameter(command, "RD"), None, "{command}");
        assert!(parameter(command, "E").is_some_and(|reason| reason.starts_with('9')), "{command}");
        assert!(!command.contains('$'), "{command}");
    }
}

#[test]
fn out_of_service_only_audits_are_answered() {
    let mut w = World::builder(67).build();
    w.connect("ds/e1-1/1", "recvonly", "");
    fail(&mut w, 0);
    for (line, rest) in [
        ("CRCX ds/e1-1/1@gw", "C: A1\r\nM: recvonly\r\n"),
        ("DLCX ds/e1-1/1@gw", ""),
        ("EPCF ds/e1-1/1@gw", "B: e:mu\r\n"),
        ("EPCF ds/e1-1/*@gw", "B: e:mu\r\n"),
        ("RQNT ds/e1-1/1@gw", "X: 1\r\n"),
        ("MDCX ds/e1-1/1@gw", "C: A1\r\nI: 1\r\nM: inactive\r\n"),
    ] {
        let refused = w.ask(line, rest);
        assert_eq!(refused.code, 501, "{line}: {}", refused.text);
    }
    let audit = w.ask("AUEP ds/e1-1/1@gw", "F: RM,RD,E,I\r\n");
    assert_eq!(audit.code, 200, "{}", audit.text);
    assert_eq!(audit.parameter("RM"), Some("forced"));
    assert_eq!(audit.parameter("RD"), Some("0"));
    assert_eq!(audit.parameter("I"), Some(""));
    let in_service = w.ask("AUEP ds/e1-2/1@gw", "F: RM,E\r\n");
    assert_eq!(in_service.parameter("RM"), Some("restart"));
    assert!(in_service.parameter("E").is_some_and(|reason| reason.starts_with("000")));
}

#[test]
fn gateways_that_come_up_together_do_not_speak_together() {
    let mut waits = BTreeSet::new();
    for seed in 0..20 {
        let mut w = World::builder(seed).spans("[[span]]\n").restart_wait_max_ms(1_000).build();
        let start = w.now();
        while w.commands.is_empty() {
            w.run_for(Duration::from_millis(10));
            assert!(w.now().since(start) <= Duration::from_millis(1_020), "seed {seed}");
        }
        waits.insert(w.now().since(start).as_millis() / 10);
    }
    assert!(waits.len() >= 12, "{waits:?}");
    assert!(waits.first() < Some(&30) && waits.last() > Some(&70), "{waits:?}");
}

#[test]
fn unknown_codes_count_as_their_kind() {
    // RFC 3435 §2.4: 2xx is done; 4xx is tried again; 5xx and above wait for a command.
    for (code, again_by_itself, again_on_command) in
        [(299, false, false), (499, true, true), (599, false, true), (699, false, true), (999, false, true)]
    {
        let (mut w, first) = announcing(68);
        w.send_text(&format!("{code} {} Hm\r\n", transaction(&first)));
        w.run_for(Duration::from_millis(100));
        w.commands.clear();
        w.run_for(Duration::from_secs(10));
        let others = |w: &World| w.commands.iter().any(|c| transaction(c) != transaction(&first));
        assert_eq!(others(&w), again_by_itself, "{code}: {:?}", w.commands);
        w.ask("DLCX ds/e1-1/1@gw", "");
        assert_eq!(others(&w), again_on_command, "{code}: {:?}", w.commands);
    }
    // 1xx is a promise: no more repetitions for a while, and a final answer still counts.
    let (mut w, first) = announcing(69);
    w.send_text(&format!("199 {} Wait\r\n", transaction(&first)));
    w.run_for(Duration::from_millis(100));
    w.commands.clear();
    w.run_for(Duration::from_millis(4_500));
    assert_eq!(w.commands, [""; 0]);
    w.run_for(Duration::from_millis(1_000));
    assert_eq!(w.commands.len(), 1);
    // 3xx is a redirection.
    let (mut w, first) = announcing(70);
    let other = Agent::new(&w, "10.0.0.3:2727");
    w.send_text(&format!("399 {} Elsewhere\r\nN: other@[10.0.0.3]\r\n", transaction(&first)));
    w.run_for(Duration::from_millis(100));
    assert!(other.heard().iter().any(|c| c.starts_with("RSIP ")));
}

#[test]
fn a_refusal_is_one_if_it_redirects_to_nobody() {
    let (mut w, first) = announcing(71);
    w.send_text(&format!("521 {} Redirect\r\n", transaction(&first)));
    w.run_for(Duration::from_millis(100));
    w.commands.clear();
    w.run_for(Duration::from_secs(60));
    assert_eq!(w.commands, [""; 0]);
    w.ask("DLCX ds/e1-1/1@gw", "");
    assert!(!w.commands.is_empty());
}

#[test]
fn a_refusal_for_now_can_name_another_call_agent() {
    let (mut w, first) = announcing(72);
    let other = Agent::new(&w, "10.0.0.3:2727");
    w.send_text(&format!("400 {} Not now\r\nN: other@[10.0.0.3]\r\n", transaction(&first)));
    w.run_for(Duration::from_millis(100));
    w.commands.clear();
    w.run_for(Duration::from_secs(10));
    let heard = other.heard();
    assert!(
        heard.iter().any(|c| c.starts_with("RSIP ") && transaction(c) != transaction(&first)),
        "{heard:?}"
    );
    assert_eq!(w.commands, [""; 0]);
}

#[test]
fn what_an_answer_has_beyond_its_parameters_is_ignored() {
    let (mut w, first) = announcing(73);
    let odd =
        "M: sendrecv\r\nX+Flower: Daisy\r\nthis is no parameter\r\nfoo/bar: 1\r\nC: not hex\r\n\r\nv=0\r\n";
    w.send_text(&format!("200 {} OK\r\n{odd}", transaction(&first)));
    w.run_for(Duration::from_millis(100));
    w.commands.clear();
    w.run_for(Duration::from_secs(60));
    w.ask("DLCX ds/e1-1/1@gw", "");
    assert_eq!(w.commands, [""; 0], "the answer counted");
}

// RFC 3435 §4.4.6: the first that the call agent sees of an endpoint, but for answers to audits, is RSIP.
#[test]
fn nothing_overtakes_the_first_message() {
    for seed in 0..50 {
        let mut w = World::builder(seed).restart_wait_max_ms(600_000).build();
        w.agent_answers = false;
        w.net().impair_to(CALL_AGENT, Impairment { loss: 0.5, ..Impairment::default() });
        while w.commands.is_empty() {
            w.send_text("DLCX 7 ds/e1-1/1@gw MGCP 1.0\r\n");
            for _ in 0..100 {
                w.run_for(Duration::from_millis(1));
                let replies = w.take_replies();
                assert!(replies.is_empty() || !w.commands.is_empty(), "seed {seed}: {replies:?}");
            }
        }
    }
}
