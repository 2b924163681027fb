//! What the gateway calls its endpoints in commands of its own (RFC 3435 §2.1.2).

use super::*;

fn restarts(said: &[String]) -> Vec<String> {
    let lines = said.iter().flat_map(|said| said.lines());
    let named = lines.filter_map(|line| line.strip_prefix("RSIP ")?.split(' ').nth(1));
    named.map(str::to_owned).collect()
}

/// A gateway whose call agent has been told of all, by the names that are configured.
fn told() -> Bench {
    let mut bench = Bench::with(|config| {
        config.mgcp.notified_entity = Some("ca@[127.0.0.1]:2727".to_owned());
        config.mgcp.restart_wait_max = Duration::ZERO;
        config.spans.truncate(2);
    });
    let said = bench.after(Duration::from_millis(1));
    assert_eq!(restarts(&said), ["*@gw"]);
    let transaction = said[0].split(' ').nth(1).expect("a transaction").to_owned();
    bench.say(&format!("200 {transaction} OK\n"));
    bench
}

#[test]
fn an_endpoint_is_called_by_the_form_and_the_domain_that_were_used_last() {
    for (name, domain, expected) in [
        ("ds/ds1-1/1", "[127.0.0.1]:2427", "ds/ds1-1/*@[127.0.0.1]"),
        ("DS/E1-1/1", "Gw.Example.net", "ds/e1-1/*@Gw.Example.net"),
        ("ds/e1-1/s-1/su64-0", "mgw", "ds/e1-1/*/su64-0@mgw"),
        ("*", "other", "ds/e1-1/*@other"),
    ] {
        let mut bench = told();
        assert_code(&bench.ask(&format!("RQNT {name}@{domain}"), "X: 1\nR: \n"), 200);
        assert_eq!(restarts(&bench.span_event(0, down())), [expected], "{name}@{domain}");
    }
}

#[test]
fn what_is_refused_or_audits_changes_no_name() {
    let mut bench = told();
    assert_code(&bench.ask("DLCX ds/ds1-1/1@mine", ""), 250);
    assert_code(&bench.ask("AUEP ds/e1-1/1@elsewhere", ""), 200);
    assert_code(&bench.ask("CRCX ds/e1-1/1@elsewhere", "C: 1\nM: shout\n"), 517);
    assert_eq!(restarts(&bench.span_event(0, down())), ["ds/ds1-1/*@mine"]);
}

#[test]
fn endpoints_with_different_domains_are_told_of_apart() {
    let mut bench = told();
    bench.ask("DLCX ds/e1-1/1@one", "");
    bench.ask("DLCX ds/e1-1/2@two", "");
    let named = restarts(&bench.span_event(0, down()));
    assert_eq!(named.len(), 31, "{named:?}");
    assert_eq!(named[..3], ["ds/e1-1/1@one", "ds/e1-1/2@two", "ds/e1-1/3@gw"]);
}

#[test]
fn a_notification_bears_the_name_of_its_request() {
    let mut bench = told();
    bench.ask("RQNT ds/ds1-2/5@[10.0.0.1]", "X: 7\nR: D/[0-9](N)\n");
    let ds0 = bench.gateway.state.endpoints.iter().nth(35).and_then(|(_, endpoint)| endpoint.ds0());
    let digit = dataplane::link::Digit::new('5').expect("a digit");
    let what = dataplane::link::Observation::Began(dataplane::link::Sound::Digit(digit));
    let said = bench.observe(dataplane::link::Side::Line(ds0.expect("a circuit")), what);
    assert!(said[0].starts_with("NTFY ") && said[0].contains(" ds/ds1-2/5@[10.0.0.1] "), "{said:?}");
}
