//! RSIP for a part of a span, and names that a call agent does not take.

use super::restart::{acknowledge, announced};
use drivers::line::{SpanId, Timeslot};

use super::*;
use crate::config::{Service, ServiceConfig, SpanConfig};

/// Two call agents that share the first span, and take ranges or not.
fn shared(ranges: bool) -> Bench {
    Bench::with(|config| {
        config.mgcp.restart_wait_max = Duration::ZERO;
        config.call_agents = vec![
            agents::agent("192.0.2.1", &["ds/e1-1/[1-15,17]", "ds/e1-3/*"]),
            agents::agent("192.0.2.2", &["ds/e1-1/[16,18-31]", "ds/e1-2/*", "ds/e1-4/*", "rtpbridge/*"]),
        ];
        config.call_agents.iter_mut().for_each(|agent| agent.ranges = ranges);
    })
}

/// What is sent now: to whom, and what it names.
fn told(bench: &mut Bench, wait: Duration) -> Vec<(String, String, String)> {
    bench.now += wait;
    bench.gateway.handle(bench.now, Input::Timeout);
    let mut octets = Vec::new();
    let mut told = Vec::new();
    while let Some(path) = bench.gateway.poll_transmit(&mut octets) {
        let text = String::from_utf8_lossy(&octets).into_owned();
        let mut words = text.split(' ').map(str::to_owned);
        let (_, id, name) = (words.next(), words.next().expect("an id"), words.next().expect("a name"));
        told.push((path.remote.ip().to_string(), id, name));
    }
    told
}

fn names<'a>(told: &'a [(String, String, String)], agent: &str) -> Vec<&'a str> {
    told.iter().filter(|(to, ..)| to == agent).map(|(_, _, name)| name.as_str()).collect()
}

#[test]
fn a_part_of_a_span_is_told_by_a_range_to_who_takes_ranges() {
    let mut bench = shared(true);
    let told = told(&mut bench, Duration::from_millis(1));
    assert_eq!(names(&told, "192.0.2.1"), ["ds/e1-1/[1-15,17]@gw", "ds/e1-3/*@gw"]);
    let second = ["ds/e1-1/[16,18-31]@gw", "ds/e1-2/*@gw", "ds/e1-4/*@gw"];
    assert_eq!(names(&told, "192.0.2.2")[..3], second);
}

#[test]
fn a_call_agent_that_is_not_known_to_take_ranges_is_told_one_by_one() {
    let mut bench = shared(false);
    let told = told(&mut bench, Duration::from_millis(1));
    assert_eq!(names(&told, "192.0.2.1").len(), 16 + 1);
    assert!(told.iter().all(|(_, _, name)| !name.contains('[')), "{told:?}");
}

#[test]
fn a_range_leaves_out_what_has_nothing_to_tell_and_what_is_in_another_state() {
    let mut bench = shared(true);
    let first = told(&mut bench, Duration::from_millis(1));
    for (agent, id, _) in &first {
        bench.hear(&format!("{agent}:2727"), format!("200 {id} OK\r\n").as_bytes());
    }
    let out = [3, 4, 9].map(|number| Timeslot::new(number).expect("a timeslot")).to_vec();
    let service = ServiceConfig { span: Service::In, out };
    bench.gateway.handle(bench.now, Input::Service { span: SpanId(0), service });
    let told = told(&mut bench, Duration::ZERO);
    assert_eq!(names(&told, "192.0.2.1"), ["ds/e1-1/[3-4,9]@gw"]);
    assert_eq!(names(&told, "192.0.2.2"), [""; 0]);
}

#[test]
fn a_range_that_is_refused_is_replaced_by_what_is_no_range() {
    for code in [500, 503, 510, 599] {
        let mut bench = shared(true);
        let first = told(&mut bench, Duration::from_millis(1));
        let range = first.iter().find(|(_, _, name)| name.starts_with("ds/e1-1/[1-15")).expect("a range");
        bench.hear("192.0.2.1:2727", format!("{code} {} What?\r\n", range.1).as_bytes());
        let again = told(&mut bench, Duration::from_millis(1_001));
        let again: Vec<_> =
            names(&again, "192.0.2.1").into_iter().filter(|name| name.starts_with("ds/e1-1/")).collect();
        assert_eq!(again.len(), 16, "{code}: {again:?}");
        assert!(again.iter().all(|name| !name.contains('[')), "{code}: {again:?}");
    }
}

#[test]
fn a_refusal_that_is_not_about_names_is_one_of_a_range_too() {
    let mut bench = shared(true);
    let first = told(&mut bench, Duration::from_millis(1));
    let range = first.iter().find(|(_, _, name)| name.starts_with("ds/e1-1/[1-15")).expect("a range");
    bench.hear("192.0.2.1:2727", format!("502 {} No\r\n", range.1).as_bytes());
    let again = told(&mut bench, Duration::from_secs(5));
    assert!(again.iter().all(|(to, _, name)| to != "192.0.2.1" || name == "ds/e1-3/*@gw"), "{again:?}");
}

#[test]
fn names_with_ranges_have_no_other_bracket() {
    let mut bench = Bench::with(|config| {
        config.gateway.name = "[192.0.2.9]".to_owned();
        config.mgcp.restart_wait_max = Duration::ZERO;
        config.call_agents = vec![agents::agent("192.0.2.1", &["ds/e1-1/[1-15]"])];
        config.call_agents[0].ranges = true;
        config.call_agents.push(agents::agent("192.0.2.2", &["ds/e1-1/[16-31]"]));
    });
    let told = told(&mut bench, Duration::from_millis(1));
    assert_eq!(names(&told, "192.0.2.1").len(), 15);
}

fn first_of(said: &[String]) -> Vec<&str> {
    let mut names: Vec<_> = said.iter().filter_map(|rsip| rsip.split(' ').nth(2)).collect();
    names.dedup();
    names
}

#[test]
fn wildcards_that_are_too_complicated_are_told_in_smaller_ones() {
    let mut bench = Bench::with(|config| {
        config.mgcp.notified_entity = Some("ca@[127.0.0.1]:2727".to_owned());
        config.mgcp.restart_wait_max = Duration::ZERO;
        config.rtpbridge.endpoints = 0;
    });
    let all = bench.after(Duration::from_millis(1));
    assert_eq!(first_of(&all), ["*@gw"]);
    acknowledge(&mut bench, &all, 503);
    let spans = bench.after(Duration::from_millis(1_001));
    assert_eq!(first_of(&spans), [1, 2, 3, 4].map(|span| format!("ds/e1-{span}/*@gw")));
    acknowledge(&mut bench, &spans[..1], 503);
    acknowledge(&mut bench, &spans[1..], 200);
    let alone = bench.after(Duration::from_millis(1_001));
    assert_eq!(first_of(&alone).len(), 31);
    acknowledge(&mut bench, &alone, 503);
    assert_eq!(bench.after(Duration::from_secs(60)), [""; 0], "one by one is as small as it gets");
}

// RFC 3435 §4.4.6: what is refused for good waits for a command, and is told of the endpoint that it is for.
// So a call agent that knows no wildcards hears of each endpoint once, when it first has to do with it.
#[test]
fn what_a_wildcard_was_refused_for_good_is_told_of_each_endpoint_that_a_command_comes_for() {
    let mut bench = announced();
    let said = bench.span_event(0, down());
    acknowledge(&mut bench, &said, 500);
    assert_eq!(bench.after(Duration::from_secs(60)), [""; 0]);
    for timeslot in [5, 6] {
        let said = bench.say(&format!("DLCX {timeslot} ds/e1-1/{timeslot}@gw MGCP 1.0\n"));
        assert!(said[0].contains(&format!(" ds/e1-1/{timeslot}@gw ")), "{said:?}");
        acknowledge(&mut bench, &said[..1], 200);
    }
    assert_eq!(bench.say("DLCX 7 ds/e1-1/5@gw MGCP 1.0\n"), ["501 7 Not-ready\n"], "it is told once");
    let said = bench.say("DLCX 8 ds/e1-1/*@gw MGCP 1.0\n");
    assert_eq!(said.iter().filter(|message| message.starts_with("RSIP ")).count(), 29, "{said:?}");
}

/// A gateway whose call agent for a part of the first span has two addresses, and what was told first: at
/// 192.0.2.1 ranges are understood, at 192.0.2.2 not.
fn two_headed(addresses: &[&str]) -> (Bench, Vec<(String, String, String)>) {
    let mut bench = Bench::with(|config| {
        config.mgcp.restart_wait_max = Duration::ZERO;
        config.call_agents = vec![
            agents::agent("192.0.2.1", &["ds/e1-1/[1-15]"]),
            agents::agent("192.0.2.2", &["ds/e1-1/[16-31]"]),
        ];
        config.call_agents[0].name = Some("ca@ca.example.net:2727".to_owned());
        config.call_agents[0].ranges = true;
    });
    bench.after(Duration::from_millis(1));
    let told = resolve(&mut bench, addresses);
    (bench, told)
}

fn resolve(bench: &mut Bench, addresses: &[&str]) -> Vec<(String, String, String)> {
    let addresses = addresses.iter().map(|address| address.parse().expect("one")).collect();
    let (host, ttl) = ("ca.example.net".to_owned(), Duration::from_secs(3_600));
    bench.gateway.handle(bench.now, Input::Resolved { host, addresses, ttl });
    told(bench, Duration::ZERO)
}

// RFC 3435 §E.5.
#[test]
fn a_range_is_told_only_where_every_address_takes_ranges() {
    let (_, told) = two_headed(&["192.0.2.1"]);
    assert_eq!(names(&told, "192.0.2.1"), ["ds/e1-1/[1-15]@gw"]);
    let (_, told) = two_headed(&["192.0.2.1", "192.0.2.2"]);
    assert_eq!(names(&told, "192.0.2.1").len(), 15, "{told:?}");
}

#[test]
fn a_range_does_not_go_on_to_an_address_found_later_that_takes_none() {
    let (mut bench, _) = two_headed(&["192.0.2.1"]);
    let same = resolve(&mut bench, &["192.0.2.1"]);
    assert_eq!(names(&same, "192.0.2.1"), [""; 0], "nothing has changed");
    let told = resolve(&mut bench, &["192.0.2.1", "192.0.2.2"]);
    assert_eq!(names(&told, "192.0.2.1").len(), 15, "{told:?}");
    let said = bench.after(Duration::from_secs(60));
    assert!(said.iter().all(|rsip| !rsip.contains("/[")), "{said:?}");
}

#[test]
fn a_range_does_not_follow_its_endpoints_to_a_call_agent_that_takes_none() {
    let (mut bench, _) = two_headed(&["192.0.2.1"]);
    bench.hear("192.0.2.1:2727", b"EPCF 1 ds/e1-1/[1-15]@gw MGCP 1.0\r\nRED/N: ca@[192.0.2.2]:2727\r\n");
    bench.carry_out();
    let said = bench.after(Duration::from_secs(60));
    let first = said.iter().filter(|rsip| rsip.contains(" ds/e1-1/1@gw "));
    assert!(first.count() > 0 && said.iter().all(|rsip| !rsip.contains("/[")), "{said:?}");
}

#[test]
fn who_was_called_by_an_address_joins_no_range() {
    let mut bench = Bench::with(|config| {
        config.gateway.aliases = vec!["192.0.2.9".to_owned()];
        config.mgcp.restart_wait_max = Duration::ZERO;
        config.call_agents = vec![agents::agent("192.0.2.1", &[])];
        config.call_agents[0].ranges = true;
    });
    let first = told(&mut bench, Duration::from_millis(1));
    bench.hear("192.0.2.1:2727", format!("200 {} OK\r\n", first[0].1).as_bytes());
    bench.hear("192.0.2.1:2727", b"DLCX 1 ds/e1-1/2@[192.0.2.9] MGCP 1.0\r\n");
    let out = [1, 2, 3].map(|number| Timeslot::new(number).expect("a timeslot")).to_vec();
    let service = ServiceConfig { span: Service::In, out };
    bench.gateway.handle(bench.now, Input::Service { span: SpanId(0), service });
    let mut told: Vec<_> = told(&mut bench, Duration::ZERO).into_iter().map(|(.., name)| name).collect();
    told.sort_unstable();
    assert_eq!(told, ["ds/e1-1/2@[192.0.2.9]", "ds/e1-1/[1,3]@gw"]);
}

#[test]
fn what_one_call_agent_found_too_complicated_another_that_a_command_names_is_told() {
    let mut bench = Bench::with(|config| {
        config.mgcp.notified_entity = Some("ca@[127.0.0.1]:2727".to_owned());
        config.mgcp.restart_wait_max = Duration::ZERO;
    });
    let said = bench.after(Duration::from_millis(1));
    acknowledge(&mut bench, &said, 200);
    let said = bench.span_event(0, down());
    acknowledge(&mut bench, &said, 503);
    let alone = bench.after(Duration::from_millis(1_001));
    assert_eq!(first_of(&alone).len(), 31);
    acknowledge(&mut bench, &alone, 200);
    let said = bench.span_event(0, SpanEvent::Alarms(Alarms::NONE));
    assert_eq!(first_of(&said).len(), 31);
    acknowledge(&mut bench, &said, 200);
    // The same one, named again, understands no more than before.
    for (agent, n) in [("ca@[127.0.0.1]:2727", 31), ("other@[127.0.0.5]:2727", 1)] {
        assert_code(&bench.ask("RQNT ds/e1-1/*@gw", &format!("X: 1\nN: {agent}\n")), 200);
        let said = bench.span_event(0, down());
        assert_eq!(first_of(&said).len(), n, "{agent}: {said:?}");
        acknowledge(&mut bench, &said, 200);
        let said = bench.span_event(0, SpanEvent::Alarms(Alarms::NONE));
        acknowledge(&mut bench, &said, 200);
    }
}

// RFC 3435 §4.4.6, §E.5.
#[test]
fn spans_that_follow_each_other_are_told_by_a_range_to_who_takes_ranges() {
    let whole = |ranges: bool, change: fn(&mut Config)| {
        Bench::with(|config| {
            config.mgcp.restart_wait_max = Duration::ZERO;
            config.spans.push(SpanConfig::simulated_e1(7));
            let all = ["ds/e1-1/*", "ds/e1-2/*", "ds/e1-3/*", "ds/e1-7/*"];
            config.call_agents =
                vec![agents::agent("192.0.2.1", &all), agents::agent("192.0.2.2", &["ds/e1-4/*"])];
            config.call_agents.iter_mut().for_each(|agent| agent.ranges = ranges);
            config.media = crate::config::MediaConfig::with_ports_for(5 * 31);
            change(config);
        })
    };
    let each = ["ds/e1-1/*@gw", "ds/e1-2/*@gw", "ds/e1-3/*@gw", "ds/e1-7/*@gw"];
    let first = told(&mut whole(false, |_| ()), Duration::from_millis(1));
    assert_eq!(names(&first, "192.0.2.1"), each);
    let first =
        told(&mut whole(true, |config| config.gateway.name = "[192.0.2.9]".into()), Duration::from_millis(1));
    assert_eq!(names(&first, "192.0.2.1").len(), 4);

    let mut bench = whole(true, |_| ());
    let first = told(&mut bench, Duration::from_millis(1));
    assert_eq!(names(&first, "192.0.2.1"), ["ds/e1-[1-3]/*@gw", each[3]]);
    // It is understood by who says it.
    let audit = bench.hear("192.0.2.1:2727", b"AUEP 1 ds/e1-[1-3]/*@gw MGCP 1.0\r\n");
    assert_eq!(audit[0].matches("Z: ").count(), 3 * 31);
    // Who does not take it after all is told of each.
    bench.hear("192.0.2.1:2727", format!("500 {} What?\r\n", first[0].1).as_bytes());
    let again = told(&mut bench, Duration::from_millis(1_001));
    let again: Vec<_> = names(&again, "192.0.2.1").into_iter().filter(|name| *name != each[3]).collect();
    assert_eq!(again, each[..3]);
}

#[test]
fn names_that_were_refused_are_tried_again_when_a_call_agent_is_back() {
    let without_repetitions = |said: Vec<String>| Vec::from_iter(said.into_iter().collect::<BTreeSet<_>>());
    let mut bench = announced();
    let said = bench.span_event(0, down());
    acknowledge(&mut bench, &said, 503);
    let alone = without_repetitions(bench.after(Duration::from_millis(2_500)));
    assert_eq!(alone.len(), 31);
    acknowledge(&mut bench, &alone, 200);
    bench.span_event(0, SpanEvent::Alarms(Alarms::NONE));
    bench.after(Duration::from_secs(61));
    assert_eq!(bench.count(Counter::Unanswered), 31, "nobody is there");
    let back = without_repetitions(bench.after(Duration::from_secs(16)));
    assert_eq!(back.len(), 31, "as it was taken last");
    acknowledge(&mut bench, &back, 200);
    let said = bench.span_event(0, down());
    assert_eq!(first_of(&said), ["ds/e1-1/*@gw"]);
}
