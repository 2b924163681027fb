//! NTFY on its way: in order, redirected, lost; and what changes meanwhile.

use super::events::{bench, one};
use super::*;
use crate::config::{CallAgentConfig, MediaConfig, SpanConfig};
use crate::mgcp::message::Version;

/// What is sent, and to which host.
fn sent_to(bench: &mut Bench) -> Vec<(String, String)> {
    bench.sent_to().into_iter().map(|(to, text)| (to.ip().to_string(), text)).collect()
}

/// Lets time pass; what is sent, and to which host.
fn run(bench: &mut Bench, wait: Duration) -> Vec<(String, String)> {
    let end = bench.now + wait;
    let mut said = Vec::new();
    while let Some(at) = bench.gateway.poll_timeout().filter(|at| *at <= end) {
        bench.now = at.max(bench.now);
        bench.gateway.handle(bench.now, Input::Timeout);
        said.extend(sent_to(bench));
    }
    bench.now = end;
    said
}

fn transaction(command: &str) -> &str {
    command.split(' ').nth(1).expect("a transaction")
}

fn parts(datagram: &str) -> Vec<&str> {
    datagram.split(".\n").collect()
}

fn loops(bench: &mut Bench, identifier: u8, more: &str) {
    let request = format!("X: {identifier}\nQ: loop\nR: D/[0-9](N)\n{more}");
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", &request), 200);
}

// RFC 3435 §4.4.1 d, §3.5.5.
#[test]
fn an_older_notification_goes_in_front_of_the_next_each_time() {
    let mut bench = bench();
    loops(&mut bench, 1, "");
    let first = one(bench.dial("1"));
    loops(&mut bench, 2, "");
    let both = one(bench.dial("2"));
    let [old, new] = parts(&both)[..] else { panic!("{both}") };
    assert_eq!(old, first);
    assert_eq!((header(new, "X").as_deref(), header(new, "O").as_deref()), (Some("2"), Some("D/2")));
    loops(&mut bench, 3, "");
    let all = one(bench.dial("3"));
    assert_eq!(parts(&all)[..2], [old, new], "oldest first");
    // Whatever is repeated has those in front that it was sent behind.
    for said in bench.after(Duration::from_secs(3)) {
        let parts = parts(&said);
        let at = parts.iter().map(|part| header(part, "X").expect("NTFY")).collect::<Vec<_>>();
        assert!(
            [&["1"][..], &["1", "2"], &["1", "2", "3"]]
                .contains(&&at.iter().map(String::as_str).collect::<Vec<_>>()[..]),
            "{at:?}"
        );
    }
    // No more than three, and none of them twice.
    loops(&mut bench, 4, "");
    assert_eq!(bench.dial("4"), [""; 0]);
    assert_eq!(bench.answer_to(old), [""; 0]);
    assert_eq!(bench.answer_to(new), [""; 0]);
    let next = one(bench.answer_to(parts(&all)[2]));
    assert_eq!(parts(&next).len(), 1);
    assert_eq!(header(&next, "O").as_deref(), Some("D/4"));
    assert_eq!(bench.answer_to(&next), [""; 0]);
    assert_eq!(bench.after(Duration::from_secs(60)), [""; 0]);
}

#[test]
fn who_speaks_an_older_version_is_told_in_that() {
    let mut bench = Bench::with(|config| {
        let version = Version::Draft;
        config.call_agents =
            vec![CallAgentConfig { version, rsip: false, ..agents::agent("127.0.0.1", &[]) }];
    });
    bench.gateway.state.packages = crate::command::notification::tests::PACKAGES;
    loops(&mut bench, 1, "");
    let told = one(bench.dial("1"));
    assert!(
        told.starts_with("NTFY ") && told.lines().next().is_some_and(|line| line.ends_with(" MGCP 0.1")),
        "{told}"
    );
}

// RFC 3435 §4.4.1 f.
#[test]
fn who_cannot_take_several_messages_gets_the_next_when_it_has_answered() {
    let mut bench = Bench::with(|config| {
        config.call_agents = vec![CallAgentConfig {
            name: Some("ca@[127.0.0.1]:2727".to_owned()),
            networks: vec!["127.0.0.1".parse().expect("a network")],
            endpoints: Vec::new(),
            provisional: true,
            piggyback: false,
            rsip: false,
            ranges: false,
            telephones: false,
            version: Version::Rfc,
        }];
    });
    bench.gateway.state.packages = crate::command::notification::tests::PACKAGES;
    loops(&mut bench, 1, "");
    let first = one(bench.dial("1"));
    loops(&mut bench, 2, "");
    assert_eq!(bench.dial("2"), [""; 0]);
    let next = one(bench.answer_to(&first));
    assert_eq!(header(&next, "X").as_deref(), Some("2"));
    assert_eq!(parts(&next).len(), 1);
}

// RFC 3435 §4.4.2: a notification that crosses a request is told apart by its X.
#[test]
fn a_notification_that_crosses_a_request_keeps_its_name_and_is_told_once() {
    let mut bench = bench();
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", "X: 1\nR: D/1(N),D/2(A)\nN: ca@[127.0.0.1]:2727\n"), 200);
    let old = one(bench.dial("1"));
    // It has not been heard yet when the request comes, in which D/2 is next.
    let id = bench.crcx("ds/e1-1/1@gw", "A1");
    let change = format!("C: A1\nI: {id}\nM: inactive\nX: 2\nR: D/2(N)\n");
    assert_code(&bench.ask("MDCX ds/e1-1/1@gw", &change), 200);
    let both = one(bench.dial("2"));
    let [again, new] = parts(&both)[..] else { panic!("{both}") };
    assert_eq!(again, old);
    assert_eq!((header(new, "X").as_deref(), header(new, "O").as_deref()), (Some("2"), Some("D/2")));
    assert_eq!(header(new, "N"), None, "this request had none");
    // The answer to the old one does not end the wait for that to the new.
    assert_eq!(bench.answer_to(old_of(&both)), [""; 0]);
    assert_eq!(header(&bench.ask("AUEP ds/e1-1/1@gw", "F: B/NS\n"), "B/NS").as_deref(), Some("ns"));
    assert_eq!(bench.answer_to(new), [""; 0]);
    assert_eq!(header(&bench.ask("AUEP ds/e1-1/1@gw", "F: B/NS\n"), "B/NS").as_deref(), Some("ls"));
}

fn old_of(datagram: &str) -> &str {
    parts(datagram)[0]
}

// RFC 3435 §4.3: what is outstanding follows its endpoint.
#[test]
fn a_notification_follows_its_endpoint_to_another_call_agent() {
    let mut bench = bench();
    loops(&mut bench, 1, "N: ca@[192.0.2.1]\n");
    bench.dial("1");
    loops(&mut bench, 1, "");
    assert!(run(&mut bench, Duration::from_secs(1)).iter().all(|(to, _)| to == "192.0.2.1"));
    bench.say_only("EPCF 900 mg@gw MGCP 1.0\nRED/EL: *\nRED/NL: b@[192.0.2.3]\nRED/N: a@[192.0.2.2]\n");
    bench.carry_out();
    let said = run(&mut bench, Duration::from_secs(1));
    assert!(!said.is_empty() && said.iter().all(|(to, _)| to == "192.0.2.2"), "{said:?}");
    // RFC 3991 §2.1: and on to the next name when nobody answers there.
    let said = run(&mut bench, Duration::from_secs(10));
    assert!(said.iter().any(|(to, _)| to == "192.0.2.3"), "{said:?}");
}

// RFC 3435 §4.3: the same notification, at the next address of the same call agent.
#[test]
fn a_notification_fails_over_to_the_next_address() {
    let mut bench = bench();
    loops(&mut bench, 1, "N: ca@ca.example.net\n");
    bench.dial("1");
    assert_eq!(bench.gateway.poll_resolve().as_deref(), Some("ca.example.net"));
    assert_eq!(sent_to(&mut bench), [], "it is held until the name is known");
    let addresses = ["192.0.2.1", "192.0.2.2"].map(|address| address.parse().expect("one")).to_vec();
    let ttl = Duration::from_secs(3_600);
    bench.gateway.handle(bench.now, Input::Resolved { host: "ca.example.net".to_owned(), addresses, ttl });
    let first = sent_to(&mut bench);
    assert_eq!(first.len(), 1);
    let said = run(&mut bench, Duration::from_secs(20));
    assert!(said.iter().all(|(_, text)| *text == first[0].1), "{said:?}");
    let second = said.iter().position(|(to, _)| to == "192.0.2.2").expect("the second address");
    assert!(said[..second].iter().all(|(to, _)| to == "192.0.2.1"));
    assert!(said[second..].iter().all(|(to, _)| to == "192.0.2.2"));
    // RFC 3435 §3.5: from whatever address the answer comes.
    assert_eq!(bench.answer_to(&first[0].1), [""; 0]);
    assert_eq!(run(&mut bench, Duration::from_secs(60)), []);
}

#[test]
fn a_redirected_notification_goes_to_the_other_call_agent_but_not_in_circles() {
    let mut bench = bench();
    loops(&mut bench, 1, "");
    let told = one(bench.dial("1"));
    let redirect = |told: &str, to: &str| format!("521 {} go there\r\nN: {to}\r\n", transaction(told));
    let path = |text: String| text.into_bytes();
    // Once to another, where it is taken.
    bench.gateway.handle(
        bench.now,
        Input::Datagram {
            path: Path { remote: AGENT.parse().expect("one"), local: "127.0.0.1:2427".parse().expect("one") },
            octets: &path(redirect(&told, "other@[192.0.2.7]")),
        },
    );
    let said = sent_to(&mut bench);
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].0, "192.0.2.7");
    assert_eq!(header(&said[0].1, "O").as_deref(), Some("D/1"));
    let audit = bench.ask("AUEP ds/e1-1/1@gw", "F: N\n");
    assert_eq!(header(&audit, "N").as_deref(), Some("other@[192.0.2.7]"));
    // Again and again to itself, until that is taken for an answer.
    let mut told = said[0].1.clone();
    for n in 0..10 {
        let said = bench.hear("127.0.0.1:2727", redirect(&told, "other@[192.0.2.7]").as_bytes());
        let Some(next) = said.last() else {
            assert!((2..6).contains(&n), "after {n}");
            break;
        };
        told = next.clone();
        assert!(n < 9, "it ends");
    }
    assert_eq!(header(&one(bench.dial("2")), "O").as_deref(), Some("D/2"));
}

// RFC 3435 §4.4.1, §4.4.7: what is told while disconnected is lost, what is quarantined is told afterwards.
#[test]
fn what_is_told_while_disconnected_is_lost_and_the_rest_is_told_afterwards() {
    let mut bench = bench();
    loops(&mut bench, 1, "");
    bench.dial("1");
    let said = bench.after(Duration::from_secs(60));
    assert!(said.iter().all(|message| message.starts_with("NTFY ")), "{said:?}");
    // The wait of the disconnected procedure: a new request, whose answer is behind RSIP.
    let said = bench.say("RQNT 900 ds/e1-1/1@gw MGCP 1.0\nX: 2\nQ: loop\nR: D/[0-9](N)\n");
    let first = said.first().expect("RSIP");
    assert!(first.starts_with("RSIP "), "{said:?}");
    assert_eq!(header(first, "RM").as_deref(), Some("disconnected"));
    // RSIP has not been answered: it is ahead of what is told now.
    let told = one(bench.dial("2"));
    let [rsip, ntfy] = parts(&told)[..] else { panic!("{told}") };
    assert_eq!(rsip, first);
    assert_eq!(header(ntfy, "O").as_deref(), Some("D/2"));
    assert_eq!(bench.answer_to(rsip), [""; 0]);
    assert_eq!(bench.answer_to(ntfy), [""; 0]);
    assert_eq!(header(&one(bench.dial("3")), "O").as_deref(), Some("D/3"));
    assert_eq!(bench.count(Counter::NotificationsLost), 1);
    assert_eq!(bench.count(Counter::Notified), 3);
}

// RFC 3435 §4.4.6: an event ends the wait at the start, and comes behind RSIP.
#[test]
fn an_event_before_the_restart_was_told_comes_behind_it() {
    let mut bench = Bench::with(|config| {
        config.mgcp.notified_entity = Some("ca@[127.0.0.1]:2727".to_owned());
        config.mgcp.restart_wait_max = Duration::from_secs(600);
    });
    bench.gateway.state.packages = crate::command::notification::tests::PACKAGES;
    let id = bench.gateway.state.endpoints.ids().next().expect("one");
    let asked = crate::command::notification::tests::asked("X=1 R=D/1(N)", None).expect("good").expect("one");
    bench.gateway.state.endpoints[id].control.notify.handle_request(bench.now, asked.request);
    let said = bench.dial("1");
    assert!(said[0].starts_with("RSIP "), "{said:?}");
    let last = said.last().expect("NTFY");
    assert!(parts(last)[0].starts_with("RSIP ") && parts(last)[1].starts_with("NTFY "), "{said:?}");
}

// RFC 3435 §4.4.7: whatever keeps a notification from being sent for too long, the endpoint is disconnected.
#[test]
fn a_notification_that_cannot_be_sent_begins_the_disconnected_procedure() {
    let mut bench = bench();
    loops(&mut bench, 1, "N: ca@nowhere.example.net\n");
    bench.dial("1");
    let host = "nowhere.example.net".to_owned();
    bench.gateway.handle(
        bench.now,
        Input::Resolved { host: host.clone(), addresses: Vec::new(), ttl: Duration::ZERO },
    );
    assert_eq!(sent_to(&mut bench), []);
    let said = bench.say("RQNT 900 ds/e1-1/1@gw MGCP 1.0\nX: 2\nQ: loop\nR: D/[0-9](N)\nN:\n");
    assert_eq!(header(&said[0], "RM").as_deref(), Some("disconnected"), "{said:?}");
}

// All commands of ours under way are those of endpoints that were told of: the next waits for one of them.
#[test]
fn notifications_beyond_the_most_that_can_be_under_way_wait_for_the_others() {
    let mut bench = Bench::with(|config| {
        config.spans = (1..=40).map(SpanConfig::simulated_e1).collect();
        config.media = MediaConfig::with_ports_for(40 * 31);
    });
    bench.gateway.state.packages = crate::command::notification::tests::PACKAGES;
    assert_code(&bench.ask("RQNT *@gw", "X: 1\nQ: loop\nR: D/1(N)\n"), 200);
    let lines: Vec<_> =
        bench.gateway.state.endpoints.iter().filter_map(|(_, endpoint)| endpoint.ds0()).collect();
    assert!(lines.len() > bench.config.mgcp.outstanding_max);
    let digit = dataplane::link::Digit::new('1').expect("a digit");
    let mut told = Vec::new();
    for ds0 in &lines {
        let what = dataplane::link::Observation::Began(dataplane::link::Sound::Digit(digit));
        told.extend(bench.observe(dataplane::link::Side::Line(*ds0), what));
    }
    assert_eq!(told.len(), bench.config.mgcp.outstanding_max);
    let more: Vec<_> = told.iter().flat_map(|told| bench.answer_to(told)).collect();
    assert_eq!(told.len() + more.len(), lines.len());
    assert_eq!(bench.count(Counter::NotificationsLost), 0);
}

// RFC 3435 §4.4.2: what fails leaves no trace, in whatever order it fails.
#[test]
fn what_later_commands_have_set_stands_and_comes_back_to_what_was_before_both() {
    let mut bench = bench();
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", "X: 1\nN: first@a\nRED/NL: list@a\n"), 200);
    let [one, two] = ["A1", "A2"].map(|call| bench.crcx("ds/e1-1/1@gw", call));
    let mut transaction = 900;
    let mut change = |bench: &mut Bench, call: &str, id: &str, more: &str| {
        transaction += 1;
        let command = format!("MDCX {transaction} ds/e1-1/1@gw MGCP 1.0\nC: {call}\nI: {id}\n{more}");
        bench.say_only(&command)
    };
    let notified = |bench: &Bench| {
        let id = bench.gateway.state.endpoints.ids().next().expect("one");
        let target = bench.gateway.state.endpoints[id].control.notified.target().expect("someone");
        target.to_name().to_string()
    };
    assert_eq!(change(&mut bench, "A1", &one, "N: second@a\n"), [""; 0]);
    assert_eq!(change(&mut bench, "A2", &two, "N: third@a\n"), [""; 0]);
    // The first is aborted; the second stands, and when it is aborted, too, both are undone.
    assert_code(&change(&mut bench, "A1", &one, "")[0], 407);
    assert_eq!(notified(&bench), "third@a");
    assert_code(&change(&mut bench, "A2", &two, "")[0], 407);
    assert_eq!(notified(&bench), "first@a");
    assert_eq!(bench.carry_out().len(), 2);
    assert_eq!(notified(&bench), "first@a");
    // The same name again is a change of its own.
    assert_eq!(change(&mut bench, "A1", &one, "N: same@a\n"), [""; 0]);
    assert_eq!(change(&mut bench, "A2", &two, "N: same@a\n"), [""; 0]);
    assert_code(&change(&mut bench, "A1", &one, "")[0], 407);
    bench.carry_out();
    assert_eq!(notified(&bench), "same@a");
}

// RFC 3435 §4.3: an answer to RSIP can redirect, too.
#[test]
fn a_notification_follows_the_redirection_of_a_restart() {
    let mut bench = bench();
    loops(&mut bench, 1, "N: ca@[192.0.2.1]\n");
    bench.span_event(1, down());
    bench.span_event(1, SpanEvent::Alarms(Alarms::NONE));
    bench.dial("1");
    let id = bench.gateway.state.endpoints.ids().next().expect("one");
    bench.gateway.state.endpoints[id].control.news = crate::endpoint::restart::News::Restart;
    bench.gateway.state.endpoints[id].control.announcement = crate::endpoint::restart::Announcement::Owed;
    bench.gateway.announce(bench.now, None);
    let said = sent_to(&mut bench);
    let rsip = &said.iter().find(|(_, text)| text.starts_with("RSIP ")).expect("RSIP").1;
    let answer = format!("200 {} OK\r\nN: other@[192.0.2.7]\r\n", transaction(rsip));
    bench.say_only(&answer);
    let said = run(&mut bench, Duration::from_secs(2));
    assert!(said.iter().any(|(_, text)| text.contains("NTFY ")));
    assert!(
        said.iter().filter(|(_, text)| text.contains("NTFY ")).all(|(to, _)| to == "192.0.2.7"),
        "{said:?}"
    );
}
