//! Several call agents, each with its endpoints and dialect; rates and overload.

use super::*;
use crate::config::CallAgentConfig;
use crate::mgcp::message::Version;

pub(super) fn agent(network: &str, endpoints: &[&str]) -> CallAgentConfig {
    CallAgentConfig {
        name: Some(format!("ca@[{network}]:2727")),
        networks: vec![network.parse().expect("a network")],
        endpoints: endpoints.iter().map(ToString::to_string).collect(),
        provisional: true,
        piggyback: true,
        rsip: true,
        ranges: false,
        telephones: false,
        version: Version::Rfc,
    }
}

/// Two call agents, 192.0.2.1 for the first span and 192.0.2.2 for the second, and one of the whole.
fn shared(change: impl FnOnce(&mut Config)) -> Bench {
    Bench::with(|config| {
        config.mgcp.restart_wait_max = Duration::ZERO;
        config.call_agents =
            vec![agent("192.0.2.1", &["ds/e1-1/*"]), agent("192.0.2.2", &["ds/e1-2/*", "ds/e1-3/[1-5]"])];
        change(config);
    })
}

fn said(bench: &mut Bench, from: &str, command: &str) -> String {
    let said = bench.hear(from, command.replace('\n', "\r\n").as_bytes());
    said.last().cloned().unwrap_or_default()
}

#[test]
fn each_call_agent_is_told_of_its_endpoints() {
    let mut bench = shared(|_| ());
    bench.now += Duration::from_millis(1);
    bench.gateway.handle(bench.now, Input::Timeout);
    let mut octets = Vec::new();
    let mut told = Vec::new();
    while let Some(path) = bench.gateway.poll_transmit(&mut octets) {
        let text = String::from_utf8_lossy(&octets).into_owned();
        told.push((path.remote.ip().to_string(), text.split(' ').nth(2).expect("a name").to_owned()));
    }
    assert_eq!(told[0], ("192.0.2.1".to_owned(), "ds/e1-1/*@gw".to_owned()));
    assert_eq!(told[1], ("192.0.2.2".to_owned(), "ds/e1-2/*@gw".to_owned()));
    // The rest of the third span is nobody's: one message for all of it does no harm.
    assert_eq!(told[2], ("192.0.2.2".to_owned(), "ds/e1-3/*@gw".to_owned()));
    assert_eq!(told.len(), 3, "{told:?}");
}

#[test]
fn a_call_agent_controls_its_endpoints_and_no_others() {
    let mut bench = shared(|config| config.call_agents.iter_mut().for_each(|agent| agent.name = None));
    let one = "192.0.2.1:2427";
    assert_code(&said(&mut bench, one, "DLCX 1 ds/e1-1/5@gw MGCP 1.0\n"), 250);
    assert_code(&said(&mut bench, one, "DLCX 2 ds/e1-2/5@gw MGCP 1.0\n"), 500);
    assert_code(&said(&mut bench, one, "AUEP 3 ds/e1-2/5@gw MGCP 1.0\n"), 500);
    assert_code(&said(&mut bench, one, "CRCX 4 ds/e1-2/$@gw MGCP 1.0\nC: 1\nM: recvonly\n"), 500);
    let names = said(&mut bench, "192.0.2.2:2427", "AUEP 5 *@gw MGCP 1.0\n");
    assert_eq!(names.matches("Z: ").count(), 31 + 5, "{names}");
    bench.crcx("ds/e1-2/7@gw", "A1");
    assert_code(&said(&mut bench, one, "DLCX 6 *@gw MGCP 1.0\n"), 250);
    assert!(!bench.gateway.ledger().is_empty(), "the other's call is up");
    assert_eq!(bench.hear("192.0.2.3:2427", b"DLCX 7 *@gw MGCP 1.0\r\n"), [""; 0]);
    assert_eq!(bench.count(Counter::DroppedSource), 1);
}

// RFC 3435 §3.2.1.4: 0.1 is another version, for who has not been said to speak it.
#[test]
fn an_older_version_is_spoken_with_who_speaks_it_and_refused_to_others() {
    let mut bench = shared(|config| config.call_agents[0].version = Version::Draft);
    bench.now += Duration::from_millis(1);
    bench.gateway.handle(bench.now, Input::Timeout);
    let mut octets = Vec::new();
    let mut told = Vec::new();
    while let Some(path) = bench.gateway.poll_transmit(&mut octets) {
        told.push((path.remote.to_string(), String::from_utf8_lossy(&octets).into_owned()));
    }
    for (to, rsip) in &told {
        let version = if to.starts_with("192.0.2.1:") { "MGCP 0.1" } else { "MGCP 1.0" };
        assert!(rsip.lines().next().is_some_and(|line| line.ends_with(version)), "{to}: {rsip}");
        bench.hear(to, format!("200 {} OK\r\n", rsip.split(' ').nth(1).expect("an id")).as_bytes());
    }
    assert_eq!(told.len(), 3, "{told:?}");
    for (from, transaction, version, code) in [
        ("192.0.2.1:2427", 1, "MGCP 0.1", 200),
        ("192.0.2.1:2427", 2, "MGCP 1.0", 200),
        ("192.0.2.1:2427", 3, "MGCP 0.1 x", 528),
        ("192.0.2.2:2427", 4, "MGCP 0.1", 528),
        ("127.0.0.1:2427", 5, "MGCP 0.1", 528),
    ] {
        let endpoint = if from.starts_with("192.0.2.1") { "ds/e1-1/1@gw" } else { "ds/e1-2/1@gw" };
        let said = said(&mut bench, from, &format!("AUEP {transaction} {endpoint} {version}\n"));
        assert_code(&said, code);
    }
}

#[test]
fn a_call_agent_that_wants_no_promises_gets_none() {
    let mut bench = shared(|config| {
        config.call_agents[1].name = None;
        config.call_agents[0].provisional = false;
        config.call_agents[0].rsip = false;
    });
    let crcx = "CRCX 1 ds/e1-1/5@gw MGCP 1.0\nC: 1\nM: recvonly\n";
    assert_eq!(said(&mut bench, "192.0.2.1:2427", crcx), "");
    assert!(bench.after(Duration::from_secs(1)).iter().all(|text| !text.starts_with("100 ")));
    assert_eq!(said(&mut bench, "192.0.2.1:2427", crcx), "");
    let answers = bench.carry_out();
    assert!(answers.iter().any(|text| text.starts_with("200 1 ")), "without RSIP ahead: {answers:?}");
}

#[test]
fn a_source_that_sends_too_much_is_cut_down_to_its_rate() {
    let mut bench = Bench::with(|config| config.mgcp.source_rate_max = 10);
    let mut answers = 0;
    for transaction in 1..=100 {
        answers += bench.say(&format!("AUEP {transaction} ds/e1-1/1@gw MGCP 1.0\n")).len();
        bench.now += Duration::from_millis(10);
    }
    assert!((10..=13).contains(&answers), "{answers}");
    assert_eq!(bench.count(Counter::DroppedRate), 100 - answers as u64);
}

#[test]
fn with_too_much_under_way_new_calls_are_refused_and_the_ends_of_calls_are_not() {
    let mut bench = Bench::with(|config| config.mgcp.executing_max = 2);
    let id = bench.crcx("ds/e1-1/9@gw", "A1");
    for timeslot in 1..=2 {
        let crcx = format!("CRCX {timeslot}0 ds/e1-1/{timeslot}@gw MGCP 1.0\nC: 1\nM: recvonly\n");
        assert!(bench.say_only(&crcx).iter().all(|said| said.starts_with("101 ")));
    }
    let said = bench.say_only("CRCX 30 ds/e1-1/3@gw MGCP 1.0\nC: 1\nM: recvonly\n");
    assert_code(&said[0], 409);
    assert_eq!(bench.count(Counter::Shed), 1);
    let said = bench.say_only(&format!("DLCX 31 ds/e1-1/9@gw MGCP 1.0\nC: A1\nI: {id}\n"));
    assert_eq!(said, ["101 31 Queued\n"]);
    assert!(bench.carry_out().iter().any(|answer| answer.starts_with("250 31 ")));
}

#[test]
fn who_takes_circuits_for_telephone_lines_is_told_otherwise_or_left_in_its_belief() {
    let mut bench = shared(|config| config.call_agents[0].telephones = true);
    let request = "X: 1\nR: L/hd(N)\nS: L/rg,L/ci(11/22/07/02,1001,)\n";
    let first = format!("RQNT 1 ds/e1-1/1@gw MGCP 1.0\n{request}");
    assert!(said(&mut bench, "192.0.2.1:2727", &first).contains("\n200 1 OK"));
    let second = format!("RQNT 1 ds/e1-2/1@gw MGCP 1.0\n{request}");
    assert!(said(&mut bench, "192.0.2.2:2727", &second).contains("\n512 1 "));
    let tones = "RQNT 2 ds/e1-2/1@gw MGCP 1.0\nX: 2\nS: L/dl\n";
    assert_eq!(said(&mut bench, "192.0.2.2:2727", tones), "");
    assert!(matches!(bench.actions().last(), Some(Action::Play { .. })));
}

/// A gateway of two call agents whose notified entity is the same, and whose name has no address.
fn nameless(change: impl FnOnce(&mut Config)) -> Bench {
    let mut bench = shared(|config| {
        config.mgcp.notified_entity = Some("ca@ca.example.net".to_owned());
        config.call_agents.iter_mut().for_each(|agent| agent.name = None);
        change(config);
    });
    bench.after(Duration::from_millis(1));
    assert_eq!(bench.gateway.poll_resolve().as_deref(), Some("ca.example.net"));
    let (host, ttl) = ("ca.example.net".to_owned(), Duration::ZERO);
    bench.gateway.handle(bench.now, Input::Resolved { host, addresses: Vec::new(), ttl });
    bench
}

/// What is sent, and where.
fn sent_to(bench: &mut Bench) -> Vec<(String, String)> {
    let mut octets = Vec::new();
    let mut said = Vec::new();
    while let Some(path) = bench.gateway.poll_transmit(&mut octets) {
        said.push((path.remote.ip().to_string(), String::from_utf8_lossy(&octets).into_owned()));
    }
    said
}

// RFC 3435 §4.4.6: the restart is told to each collection of endpoints by itself.
#[test]
fn whoever_speaks_is_told_of_its_own_endpoints_when_nobody_knows_where_their_notified_entity_is() {
    let mut bench = nameless(|_| ());
    let path = Path {
        remote: "192.0.2.1:2427".parse().expect("an address"),
        local: "127.0.0.1:2427".parse().expect("an address"),
    };
    let octets = b"DLCX 1 ds/e1-1/5@gw MGCP 1.0\r\n";
    bench.gateway.handle(bench.now, Input::Datagram { path, octets });
    let said = sent_to(&mut bench);
    assert!(said.iter().all(|(to, _)| to == "192.0.2.1"), "{said:?}");
    assert!(said[0].1.contains(" ds/e1-1/*@gw "), "{said:?}");
    assert!(said.last().is_some_and(|(_, last)| last.contains(".\r\n250 1 OK")), "{said:?}");
    assert!(said.iter().all(|(_, text)| !text.contains("e1-2")), "not of another's: {said:?}");
    let answer = self::said(&mut bench, "192.0.2.2:2427", "DLCX 1 ds/e1-2/5@gw MGCP 1.0\n");
    assert!(answer.starts_with("RSIP ") && answer.contains(" ds/e1-2/*@gw "), "{answer}");
}

#[test]
fn who_understands_no_rsip_does_not_wait_for_one_that_goes_elsewhere() {
    let mut bench = nameless(|config| config.call_agents[0].rsip = false);
    let said = bench.hear("192.0.2.1:2427", b"DLCX 1 ds/e1-1/5@gw MGCP 1.0\r\n");
    assert_eq!(said, ["250 1 OK\n"]);
    // It is told all the same, when it is known who they are.
    let (host, ttl) = ("ca.example.net".to_owned(), Duration::from_secs(60));
    let addresses = vec!["192.0.2.2".parse().expect("an address")];
    bench.gateway.handle(bench.now, Input::Resolved { host, addresses, ttl });
    assert!(bench.sent()[0].contains(" *@gw "));
}

#[test]
fn rsip_goes_to_those_of_a_names_addresses_that_understand_it() {
    for (addresses, told) in [
        (["192.0.2.1", "192.0.2.2"], Some("192.0.2.2")),
        (["192.0.2.2", "192.0.2.1"], Some("192.0.2.2")),
        (["192.0.2.1", "192.0.2.1"], None),
    ] {
        let mut bench = nameless(|config| config.call_agents[0].rsip = false);
        bench.now += Duration::from_secs(10);
        let host = "ca.example.net".to_owned();
        let addresses = addresses.map(|address| address.parse().expect("one")).to_vec();
        bench.gateway.handle(bench.now, Input::Timeout);
        let ttl = Duration::from_secs(3_600);
        bench.gateway.handle(bench.now, Input::Resolved { host, addresses, ttl });
        let mut said = sent_to(&mut bench);
        while let Some(at) = bench.gateway.poll_timeout().filter(|_| said.len() < 8) {
            bench.now = at;
            bench.gateway.handle(at, Input::Timeout);
            said.extend(sent_to(&mut bench));
        }
        assert_eq!(said.is_empty(), told.is_none(), "{said:?}");
        assert!(said.iter().all(|(to, _)| Some(&**to) == told), "{said:?}");
    }
}
