//! Redirecting and resetting many endpoints (RFC 3991), and reports of lockstep (RFC 3992).

use super::events::{bench, one};
use super::*;

/// Endpoints of the first span that have a connection.
fn busy(bench: &Bench) -> Vec<u8> {
    let endpoints = bench.gateway.state.endpoints.iter();
    let busy = endpoints.filter(|(_, endpoint)| !endpoint.connections.is_empty());
    busy.filter_map(|(_, endpoint)| Some(endpoint.ds0()?.timeslot.number())).collect()
}

fn notified(bench: &mut Bench, endpoint: &str) -> (String, String) {
    let audit = bench.ask(&format!("AUEP {endpoint}@gw"), "F: N,RED/NL\n");
    (header(&audit, "N").expect("N"), header(&audit, "RED/NL").expect("RED/NL"))
}

fn configure(bench: &mut Bench, endpoint: &str, parameters: &str) -> String {
    bench.ask(&format!("EPCF {endpoint}@gw"), parameters)
}

#[test]
fn a_map_picks_the_endpoints_to_be_reset() {
    let mut bench = bench();
    for timeslot in 1..=6 {
        bench.crcx(&format!("ds/e1-1/{timeslot}@gw"), "A1");
    }
    let reset = "RED/EL: ds/e1-1/[1-3]\nRED/MP: TFT\nRED/EL: ds/e1-1/[6,4]\nRED/MP: FT\nRED/R: reset\n";
    assert_code(&configure(&mut bench, "MG", reset), 200);
    assert_eq!(busy(&bench), [2, 5, 6]);
    // RFC 3991 §2.2.1: a list needs no map, and may name one.
    assert_code(&configure(&mut bench, "mg", "RED/EL: ds/e1-1/2, ds/e1-1/[5-6]\nRED/R: reset\n"), 200);
    assert_eq!(busy(&bench), [0; 0]);
    assert!(bench.gateway.ledger().is_empty());
}

#[test]
fn lists_and_maps_of_endpoints_that_are_wrong_have_their_own_codes() {
    let mut bench = bench();
    let before = bench.gateway.digest();
    for (endpoint, parameters, code) in [
        ("mg", "RED/EL: ds/e1-1/[1-2]\nRED/MP: TFT\n", 800),
        ("mg", "RED/MP: T\n", 800),
        ("mg", "RED/MP: T\nRED/EL: ds/e1-1/1\n", 800),
        ("mg", "RED/EL: ds/e1-1/1\nRED/R: reset\nRED/MP: T\n", 800),
        ("mg", "RED/EL: ds/e1-1/1\nRED/MP: T\nRED/MP: T\n", 800),
        ("ds/e1-1/1", "RED/EL: ds/e1-1/1\n", 801),
        ("ds/e1-1/*", "RED/EL: ds/e1-1/[1-2]\n", 801),
        ("*", "RED/EL: *\n", 801),
        ("mg", "RED/EL: ds/e1-1/*, ds/e1-2/[1-2]\n", 801),
        ("mg", "RED/EL: ds/e1-1/*\nRED/EL: ds/e1-2/[1-2]\n", 801),
        ("mg", "RED/EL: ds/e1-1/*\nRED/MP: T\n", 801),
        ("mg", "RED/EL: ds/e1-1/$\n", 801),
        ("mg", "RED/R: reset\n", 801),
        ("mg", "RED/EL: ds/e1-1/[31-32]\n", 500),
        ("mg", "RED/EL: ds/e1-9/*\n", 500),
        ("mg", "RED/EL: ds/e1-1/1\nRED/MP: TX\n", 510),
        ("mg", "RED/EL:\n", 510),
        ("ds/e1-1/1", "RED/R: set\n", 510),
        ("ds/e1-1/1", "RED/N: a@b c\n", 510),
        ("ds/e1-1/1", "RED/N: a@b\nRED/N: a@c\n", 510),
        ("ds/e1-1/1", "LCK/LST: 10000\n", 510),
        ("ds/e1-1/1", "RED/XX: 1\n", 511),
    ] {
        let answer = configure(&mut bench, endpoint, parameters);
        assert_code(&answer, code);
        assert_eq!(answer.contains(" /RED"), code >= 800, "{answer}");
    }
    let long: String = (0..17).map(|n| format!("ca{n}@b,")).collect();
    assert_code(&configure(&mut bench, "*", &format!("RED/NL: {}\n", long.trim_end_matches(','))), 539);
    let again = "1,".repeat(64);
    let endless = format!("RED/EL: ds/e1-[{0}1]/[{0}1]\n", &again[..63 * 2]);
    assert_code(&configure(&mut bench, "mg", &endless), 510);
    assert_code(&configure(&mut bench, "mg", &"RED/EL: *\n".repeat(20)), 510);
    assert_eq!(bench.gateway.digest(), before);
}

// RFC 3991 §2.2.1, §2.4.
#[test]
fn endpoints_are_listed_and_reset_by_epcf_alone() {
    let mut bench = bench();
    let id = bench.crcx("ds/e1-1/1@gw", "A1");
    for parameter in ["RED/EL: *", "RED/MP: T", "RED/R: reset", "RED/N: a@b"] {
        for (command, rest) in [
            ("CRCX ds/e1-1/1@gw", "C: A1\nM: recvonly\n".to_owned()),
            ("MDCX ds/e1-1/1@gw", format!("C: A1\nI: {id}\n")),
            ("DLCX ds/e1-1/1@gw", String::new()),
            ("RQNT ds/e1-1/1@gw", "X: 1\n".to_owned()),
            ("AUEP ds/e1-1/1@gw", String::new()),
        ] {
            let answer = bench.ask(command, &format!("{rest}{parameter}\n"));
            assert_code(&answer, 801);
            assert!(answer.contains(" /RED"), "{answer}");
        }
    }
    assert_eq!(busy(&bench), [1]);
}

// RFC 3991 §2.4: the endpoint is as it was in the beginning, whatever is under way.
#[test]
fn a_reset_ends_all_that_goes_on_at_an_endpoint() {
    let mut bench = bench();
    bench.crcx("ds/e1-1/1@gw", "A1");
    let request = "X: 5\nR: D/1(N,K)\nS: G/rt\nT: D/2\nB: e:mu\nD: (xx)\nB/PR: D/9\n";
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", request), 200);
    bench.dial("1");
    bench.actions();
    let under_way = format!("MDCX 900 ds/e1-1/1@gw MGCP 1.0\nC: A1\nI: {}\nM: inactive\n", {
        let audit = bench.ask("AUEP ds/e1-1/1@gw", "F: I\n");
        header(&audit, "I").expect("a connection")
    });
    assert_eq!(bench.say_only(&under_way), [""; 0]);
    let said = bench.say("EPCF 901 ds/e1-1/1@gw MGCP 1.0\nRED/R: reset\nRED/N: new@[127.0.0.1]:2727\n");
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[0].starts_with("NTFY "), "what is told goes to the new call agent: {said:?}");
    assert_code(&said[1], 407);
    assert_code(&said[2], 200);
    let audit = bench.ask("AUEP ds/e1-1/1@gw", "F: X,R,S,T,O,D,B,I,N,B/PR,B/NS\n");
    for (name, value) in [
        ("X", "0"),
        ("R", ""),
        ("S", ""),
        ("T", ""),
        ("O", ""),
        ("D", ""),
        ("B", "e:A"),
        ("I", ""),
        ("N", "new@[127.0.0.1]:2727"),
        ("B/PR", ""),
        ("B/NS", "o"),
    ] {
        assert_eq!(header(&audit, name).as_deref(), Some(value), "{name}: {audit}");
    }
    assert!(bench.gateway.ledger().is_empty());
    let actions = bench.actions();
    assert!(actions.iter().any(|action| matches!(action, Action::Disconnect { .. })), "{actions:?}");
    assert!(actions.iter().any(|action| matches!(action, Action::Stop { .. })), "{actions:?}");
    assert!(actions.iter().any(|action| matches!(action, Action::Encode { .. })), "{actions:?}");
}

// RFC 3991 §2.2.2: a list reaches what is out of service, a wildcard does not.
#[test]
fn a_list_reaches_endpoints_that_are_out_of_service() {
    let mut bench = bench();
    bench.span_event(1, down());
    assert_code(&configure(&mut bench, "*", "RED/NL: a@[192.0.2.1], b@[192.0.2.2]\n"), 501);
    assert_code(&configure(&mut bench, "mg", "RED/EL: *\nRED/NL: a@[192.0.2.1], b@[192.0.2.2]\n"), 200);
    let list = "a@[192.0.2.1],b@[192.0.2.2]".to_owned();
    assert_eq!(notified(&mut bench, "ds/e1-1/1").1, list);
    assert_eq!(notified(&mut bench, "ds/e1-2/1").1, list);
}

// RFC 3991 §2.1, §2.3.
#[test]
fn the_notified_entity_and_its_list_are_set_apart() {
    let mut bench = bench();
    assert_code(&configure(&mut bench, "*", "RED/N: ca@[192.0.2.9]\n"), 200);
    assert_eq!(notified(&mut bench, "ds/e1-1/1"), ("ca@[192.0.2.9]".to_owned(), String::new()));
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", "X: 1\nRED/NL: b@c, d@e:99\n"), 200);
    assert_eq!(notified(&mut bench, "ds/e1-1/1"), ("ca@[192.0.2.9]".to_owned(), "b@c,d@e:99".to_owned()));
    // What is not said stays as it is; N that is empty leaves the list alone.
    assert_code(&configure(&mut bench, "ds/e1-1/1", "B: e:A\n"), 200);
    assert_code(&configure(&mut bench, "ds/e1-1/1", "RED/N:\n"), 200);
    assert_eq!(notified(&mut bench, "ds/e1-1/1"), ("b@c".to_owned(), "b@c,d@e:99".to_owned()));
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", "X: 1\nRED/NL:\n"), 200);
    assert_eq!(notified(&mut bench, "ds/e1-1/1"), ("[127.0.0.1]:2727".to_owned(), String::new()));
}

// RFC 3992 §2.1, §2.2.
#[test]
fn lockstep_is_reported_once_for_each_notification() {
    let mut bench = bench();
    assert_code(&configure(&mut bench, "*", "LCK/LST: 70\n"), 200);
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", "X: 1\nR: D/[0-9](N)\nLCK/LST: 61\n"), 200);
    let audit = bench.ask("AUEP ds/e1-1/1@gw", "F: LCK/LST\n");
    assert_eq!(header(&audit, "LCK/LST").as_deref(), Some("61"));
    let told = one(bench.dial("1"));
    assert_eq!(bench.answer_to(&told), [""; 0]);
    assert_eq!(bench.after(Duration::from_secs(60)), [""; 0]);
    let rsip = one(bench.after(Duration::from_secs(1)));
    assert!(rsip.starts_with("RSIP ") && rsip.contains(" ds/e1-1/1@"), "{rsip}");
    assert_eq!(header(&rsip, "RM").as_deref(), Some("LCK/lockstep"));
    assert_eq!(header(&rsip, "RD"), None);
    assert_eq!(bench.answer_to(&rsip), [""; 0]);
    // It is no state of service, and calls go on.
    let audit = bench.ask("AUEP ds/e1-1/1@gw", "F: RM,B/NS\n");
    assert_eq!(header(&audit, "RM").as_deref(), Some("restart"));
    assert_eq!(header(&audit, "B/NS").as_deref(), Some("ls"));
    assert_eq!(bench.after(Duration::from_secs(300)), [""; 0]);
    // Set again, it fires again; a request ends the wait; 0 turns it off.
    assert_code(&configure(&mut bench, "ds/e1-1/1", "LCK/LST: 5\n"), 200);
    let rsip = one(bench.after(Duration::from_secs(5)));
    bench.answer_to(&rsip);
    assert_code(&configure(&mut bench, "ds/e1-1/1", "LCK/LST: 5\n"), 200);
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", "X: 2\nR: D/[0-9](N)\n"), 200);
    assert_eq!(bench.after(Duration::from_secs(9)), [""; 0]);
    assert_code(&configure(&mut bench, "ds/e1-1/1", "LCK/LST: 0\n"), 200);
    let told = one(bench.dial("2"));
    bench.answer_to(&told);
    assert_eq!(bench.after(Duration::from_secs(9)), [""; 0]);
    let audit = bench.ask("AUEP ds/e1-1/1@gw", "F: LCK/LST\n");
    assert_eq!(header(&audit, "LCK/LST").as_deref(), Some("0"));
}

#[test]
fn a_lockstep_report_that_nobody_answers_leaves_the_endpoint_disconnected() {
    let mut bench = bench();
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", "X: 1\nR: D/[0-9](N)\nLCK/LST: 1\n"), 200);
    let told = one(bench.dial("1"));
    bench.answer_to(&told);
    let said = bench.after(Duration::from_secs(90));
    let methods: Vec<_> = said.iter().filter_map(|message| header(message, "RM")).collect();
    assert_eq!(methods.first().map(String::as_str), Some("LCK/lockstep"));
    assert!(methods.contains(&"disconnected".to_owned()), "{methods:?}");
}

// RFC 3991 §2.2.1, RFC 3435 §E.4: where the gateway is an endpoint, it can be meant itself.
#[test]
fn the_gateway_is_configured_itself_where_it_is_an_endpoint() {
    let mut bench = Bench::with(|config| config.gateway.mg = true);
    assert_code(&configure(&mut bench, "mg", "RED/NL: a@[192.0.2.1]\n"), 200);
    assert_eq!(notified(&mut bench, "mg").1, "a@[192.0.2.1]");
    assert_eq!(notified(&mut bench, "ds/e1-1/1").1, "");
    assert_code(&configure(&mut bench, "mg", "RED/EL: ds/e1-1/*\nRED/NL: b@[192.0.2.1]\n"), 200);
    assert_eq!(notified(&mut bench, "mg").1, "a@[192.0.2.1]");
    assert_eq!(notified(&mut bench, "ds/e1-1/1").1, "b@[192.0.2.1]");
}
