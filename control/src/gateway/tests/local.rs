//! Connections between two endpoints of the gateway.

use dataplane::link::Peer;

use super::restart::{acknowledge, announced};
use super::*;

/// A local connection between two endpoints: the ids of its halves.
fn join(bench: &mut Bench, a: &str, b: &str) -> (String, String) {
    let made = bench.ask(&format!("CRCX {a}"), &format!("C: A1\nM: sendrecv\nZ2: {b}\n"));
    assert_code(&made, 200);
    (header(&made, "I").expect("I"), header(&made, "I2").expect("I2"))
}

fn peers(bench: &mut Bench) -> Vec<Peer> {
    let peer = |action: &Action| match action {
        Action::Connect { leg, .. } | Action::Modify { leg, .. } => Some(leg.peer),
        _ => None,
    };
    bench.actions().iter().filter_map(peer).collect()
}

#[test]
fn one_command_makes_both_halves_and_names_what_it_has_chosen() {
    let mut bench = Bench::new();
    let made = bench.ask("CRCX ds/e1-1/$@gw", "C: A1\nM: recvonly\nZ2: ds/e1-2/$@gw\n");
    assert_code(&made, 200);
    assert_eq!(header(&made, "Z").as_deref(), Some("ds/e1-1/1@gw"));
    assert_eq!(header(&made, "Z2").as_deref(), Some("ds/e1-2/1@gw"));
    let (first, second) = (header(&made, "I").expect("I"), header(&made, "I2").expect("I2"));
    assert_ne!(first, second);
    assert!(
        made.contains(&format!("c=LOCAL EPN ds/e1-1/1\nt=0 0\na=MGCPlocalcx:{first}\nm=audio 0 LOCAL 8\n")),
        "{made}"
    );
    assert!(matches!(peers(&mut bench)[..], [Peer::Local(_), Peer::Local(_)]));
    let audit = bench.ask("AUCX ds/e1-2/1@gw", &format!("I: {second}\nF: C,M,LC,RC\n"));
    assert_eq!(header(&audit, "C").as_deref(), Some("A1"));
    assert_eq!(header(&audit, "M").as_deref(), Some("sendrecv"), "RFC 3435 §2.3.5");
    assert!(
        audit.contains("c=LOCAL EPN ds/e1-2/1\n") && audit.contains("c=LOCAL EPN ds/e1-1/1\n"),
        "{audit}"
    );
    // Two that are left open are two.
    let made = bench.ask("CRCX ds/e1-3/$@gw", "C: A1\nM: recvonly\nZ2: ds/e1-3/$@gw\n");
    assert_ne!(header(&made, "Z"), header(&made, "Z2"));
}

#[test]
fn each_half_is_changed_and_deleted_by_itself() {
    let mut bench = Bench::new();
    let (first, second) = join(&mut bench, "ds/e1-1/1@gw", "ds/e1-2/1@gw");
    let mdcx = |endpoint: &str, id: &str, rest: &str| {
        (format!("MDCX {endpoint}"), format!("C: A1\nI: {id}\n{rest}"))
    };
    let (line, rest) = mdcx("ds/e1-1/1@gw", &first, "M: inactive\n");
    assert_eq!(bench.ask(&line, &rest), "200 2 OK\n", "the description has not changed");
    let (line, rest) = mdcx("ds/e1-1/1@gw", &first, "M: sendrecv\nL: a:CLEARMODE\n");
    assert!(bench.ask(&line, &rest).contains("CLEARMODE"));
    let (line, rest) = mdcx("ds/e1-2/1@gw", &second, &format!("\n{REMOTE}"));
    assert_code(&bench.ask(&line, &rest), 505);
    let (line, rest) = mdcx("ds/e1-2/1@gw", &second, "L: nt:IN\n");
    assert_code(&bench.ask(&line, &rest), 532);
    bench.actions();
    let deleted = bench.ask("DLCX ds/e1-1/1@gw", &format!("C: A1\nI: {first}\n"));
    assert_code(&deleted, 250);
    assert!(header(&deleted, "P").is_some_and(|p| p.contains("OS=")), "{deleted}");
    assert_eq!(peers(&mut bench), [Peer::OnHold], "the other half is told that it is alone");
    assert_code(&bench.ask("AUCX ds/e1-2/1@gw", &format!("I: {second}\n")), 200);
    assert_code(&bench.ask("DLCX ds/e1-2/1@gw", &format!("C: A1\nI: {second}\n")), 250);
    assert!(bench.gateway.ledger().is_empty());
}

#[test]
fn halves_are_joined_by_their_descriptions() {
    let mut bench = Bench::new();
    let body = |answer: &str| answer.split_once("\n\n").expect("a description").1.to_owned();
    let first = bench.ask("CRCX ds/e1-1/1@gw", "C: A1\nM: recvonly\nL: nt:LOCAL\n");
    assert_code(&first, 200);
    assert_code(&bench.ask("CRCX ds/e1-1/2@gw", "C: A1\nM: sendrecv\nL: nt:LOCAL\n"), 527);
    let second = bench.ask("CRCX ds/e1-2/1@gw", &format!("C: A1\nM: sendrecv\n\n{}", body(&first)));
    assert_code(&second, 200);
    assert_eq!(peers(&mut bench).len(), 1 + 2, "the first half hears of it");
    let id = header(&first, "I").expect("I");
    let join = |to: &str| format!("C: A1\nI: {id}\nM: sendrecv\n\n{to}");
    assert_code(&bench.ask("MDCX ds/e1-1/1@gw", &join(&body(&second))), 200);
    assert!(peers(&mut bench).iter().all(|peer| matches!(peer, Peer::Local(_))));
    // A third is not let in, nor what there is not.
    let third = bench.ask("CRCX ds/e1-3/1@gw", "C: A1\nM: recvonly\nL: nt:LOCAL\n");
    assert_code(&bench.ask("CRCX ds/e1-3/2@gw", &format!("C: A1\nM: sendrecv\n\n{}", body(&first))), 505);
    assert_code(&bench.ask("MDCX ds/e1-1/1@gw", &join(&body(&third))), 505);
    assert_code(&bench.ask("MDCX ds/e1-1/1@gw", &join(&body(&first))), 509);
    for wrong in ["ds/e1-9/1", "ds/e1-3/*", "aaln/1", "ds/e1-4/4"] {
        let to = body(&third).replace("ds/e1-3/1", wrong);
        assert_code(&bench.ask("CRCX ds/e1-4/1@gw", &format!("C: A1\nM: sendrecv\n\n{to}")), 509);
    }
}

#[test]
fn what_cannot_be_joined_is_refused_with_its_code_and_changes_nothing() {
    let mut bench = Bench::new();
    let refusals = [
        ("Z2: ds/e1-9/1@gw\n", 500),
        ("Z2: ds/e1-2/*@gw\n", 503),
        ("Z2: ds/e1-1/1@gw\n", 510),
        ("Z2: nonsense\n", 539),
        ("Z2: ds/e1-2/1@gw\nL: nt:IN\n", 532),
        ("Z2: ds/e1-2/1@gw\nL: nt:ATM\n", 532),
        ("Z2: ds/e1-2/1@gw\nL: a:G729\n", 534),
        ("Z2: ds/e1-2/1@gw\nI2: 1\n", 539),
    ];
    for (rest, code) in refusals {
        let refused = bench.ask("CRCX ds/e1-1/1@gw", &format!("C: A1\nM: sendrecv\n{rest}"));
        assert_eq!(refused.get(..3), Some(&*code.to_string()), "{rest}: {refused}");
    }
    let both = format!("C: A1\nM: sendrecv\nZ2: ds/e1-2/1@gw\n\n{REMOTE}");
    assert_code(&bench.ask("CRCX ds/e1-1/1@gw", &both), 510);
    let both = format!("C: A1\nM: sendrecv\nL: nt:LOCAL\n\n{REMOTE}");
    assert_code(&bench.ask("CRCX ds/e1-1/1@gw", &both), 506);
    for verb in ["MDCX", "DLCX", "RQNT", "AUEP"] {
        assert_code(&bench.ask(&format!("{verb} ds/e1-1/1@gw"), "Z2: ds/e1-2/1@gw\n"), 539);
    }
    assert!(bench.gateway.ledger().is_empty());
    assert_eq!(bench.actions(), []);
    for n in 1..=4 {
        join(&mut bench, &format!("ds/e1-1/{n}@gw"), "ds/e1-2/1@gw");
    }
    let full = bench.ask("CRCX ds/e1-1/5@gw", "C: A1\nM: sendrecv\nZ2: ds/e1-2/1@gw\n");
    assert_code(&full, 540);
}

#[test]
fn a_dlcx_at_either_end_aborts_what_is_being_made() {
    for endpoint in ["ds/e1-1/1", "ds/e1-2/1"] {
        let mut bench = Bench::new();
        bench.say_only("CRCX 7 ds/e1-1/1@gw MGCP 1.0\nC: A1\nM: sendrecv\nZ2: ds/e1-2/1@gw\nX: 1\nS: G/rt\n");
        let said = bench.say(&format!("DLCX 8 {endpoint}@gw MGCP 1.0\n"));
        assert!(said.iter().any(|answer| answer.starts_with("407 7")), "{said:?}");
        assert!(bench.gateway.ledger().is_empty());
        bench.crcx(&format!("{endpoint}@gw"), "A2");
    }
}

#[test]
fn only_the_first_endpoint_has_the_request_and_the_law_of_the_command() {
    let mut bench = Bench::new();
    let made =
        bench.ask("CRCX ds/e1-1/1@gw", "C: A1\nM: sendrecv\nZ2: ds/e1-2/1@gw\nX: AB\nR: D/1(N)\nB: e:mu\n");
    assert_code(&made, 200);
    let audit = bench.ask("AUEP ds/e1-1/1@gw", "F: X,B\n");
    assert_eq!((header(&audit, "X").as_deref(), header(&audit, "B").as_deref()), (Some("AB"), Some("e:mu")));
    let audit = bench.ask("AUEP ds/e1-2/1@gw", "F: X,B\n");
    assert_eq!((header(&audit, "X").as_deref(), header(&audit, "B").as_deref()), (Some("0"), Some("e:A")));
}

#[test]
fn a_change_that_is_aborted_leaves_halves_as_they_were() {
    let mut bench = Bench::new();
    let body = |answer: &str| answer.split_once("\n\n").expect("a description").1.to_owned();
    let first = bench.ask("CRCX ds/e1-1/1@gw", "C: A1\nM: recvonly\nL: nt:LOCAL\n");
    let second = bench.ask("CRCX ds/e1-2/1@gw", "C: A1\nM: recvonly\nL: nt:LOCAL\n");
    let id = header(&first, "I").expect("I");
    let mdcx =
        |n: u32| format!("MDCX {n} ds/e1-1/1@gw MGCP 1.0\nC: A1\nI: {id}\nM: sendrecv\n\n{}", body(&second));
    bench.actions();
    bench.say_only(&mdcx(70));
    let said = bench.say(&format!("MDCX 72 ds/e1-1/1@gw MGCP 1.0\nC: A1\nI: {id}\nM: inactive\n"));
    assert!(said.iter().any(|answer| answer.starts_with("407 70")), "{said:?}");
    let last: Vec<_> = peers(&mut bench).into_iter().rev().take(2).collect();
    assert_eq!(last, [Peer::OnHold; 2], "neither has another half any more");
    let audit = bench.ask("AUCX ds/e1-1/1@gw", &format!("I: {id}\nF: M\n"));
    assert_eq!(header(&audit, "M").as_deref(), Some("inactive"));
    assert!(bench.say(&mdcx(73))[0].starts_with("200 73"));
    assert_code(&bench.ask("DLCX *@gw", ""), 250);
    assert!(bench.gateway.ledger().is_empty());
}

#[test]
fn a_change_that_is_aborted_does_not_bring_back_an_other_half_that_is_gone() {
    let mut bench = Bench::new();
    let (first, _) = join(&mut bench, "ds/e1-1/1@gw", "ds/e1-2/1@gw");
    bench.say_only(&format!("MDCX 70 ds/e1-1/1@gw MGCP 1.0\nC: A1\nI: {first}\nM: recvonly\n"));
    bench.say_only("DLCX 71 ds/e1-2/1@gw MGCP 1.0\n");
    let said = bench.say(&format!("MDCX 72 ds/e1-1/1@gw MGCP 1.0\nC: A1\nI: {first}\nM: inactive\n"));
    assert!(said.iter().any(|answer| answer.starts_with("407 70")), "{said:?}");
    assert_eq!(peers(&mut bench).last(), Some(&Peer::OnHold));
    assert_symmetric(&bench, "an aborted change");
}

#[test]
fn what_has_lost_its_other_half_is_deleted_by_the_gateway() {
    let mut bench = announced();
    let (_, second) = join(&mut bench, "ds/e1-2/1@gw", "ds/e1-3/7@gw");
    bench.crcx("ds/e1-3/8@gw", "A2");
    let said = bench.span_event(1, down());
    let dlcx: Vec<_> = said.iter().filter(|text| text.starts_with("DLCX ")).collect();
    assert_eq!(dlcx.len(), 1, "{said:?}");
    assert!(dlcx[0].contains(" ds/e1-3/7@gw MGCP 1.0\n"), "{dlcx:?}");
    assert_eq!(header(dlcx[0], "C").as_deref(), Some("A1"));
    assert_eq!(header(dlcx[0], "I"), Some(second.clone()));
    assert!(header(dlcx[0], "E").expect("a reason").starts_with("905 "), "{dlcx:?}");
    assert!(header(dlcx[0], "P").expect("statistics").contains("OS=8000"), "{dlcx:?}");
    assert_code(&bench.ask("AUCX ds/e1-3/7@gw", &format!("I: {second}\n")), 515);
    // It is repeated until it is answered, whatever the answer.
    let again = bench.after(Duration::from_secs(2));
    assert!(again.iter().any(|text| text == dlcx[0]), "{again:?}");
    let (rsip, dlcx): (Vec<_>, Vec<_>) = said.into_iter().partition(|text| text.starts_with("RSIP "));
    acknowledge(&mut bench, &rsip, 200);
    acknowledge(&mut bench, &dlcx, 515);
    assert_eq!(bench.after(Duration::from_secs(100)), [""; 0]);
    assert_eq!(bench.count(Counter::Farewells), 1);
    assert_eq!(bench.count(Counter::ConnectionsLost), 2);
}

#[test]
fn both_halves_of_a_span_that_fails_are_told_of_by_its_rsip_alone() {
    let mut bench = announced();
    join(&mut bench, "ds/e1-2/1@gw", "ds/e1-2/2@gw");
    let said = bench.span_event(1, down());
    assert!(said.len() == 1 && said[0].starts_with("RSIP "), "{said:?}");
    assert!(bench.gateway.ledger().is_empty());
}

#[test]
fn a_deletion_that_nobody_hears_of_leaves_the_endpoint_disconnected() {
    let mut bench = announced();
    join(&mut bench, "ds/e1-2/1@gw", "ds/e1-3/7@gw");
    let said = bench.span_event(1, down());
    let (rsip, _): (Vec<_>, Vec<_>) = said.into_iter().partition(|text| text.starts_with("RSIP "));
    acknowledge(&mut bench, &rsip, 200);
    bench.after(Duration::from_secs(62));
    let audit = bench.ask("AUEP ds/e1-3/7@gw", "F: RM\n");
    assert_eq!(header(&audit, "RM").as_deref(), Some("disconnected"));
}

#[test]
fn a_command_under_way_on_what_loses_its_other_half_comes_to_nothing() {
    let mut bench = announced();
    let (_, second) = join(&mut bench, "ds/e1-2/1@gw", "ds/e1-3/7@gw");
    bench.say_only(&format!("MDCX 7 ds/e1-3/7@gw MGCP 1.0\nC: A1\nI: {second}\nM: recvonly\n"));
    let said = bench.span_event(1, down());
    assert!(said.iter().any(|answer| answer.starts_with("400 7")), "{said:?}");
    assert!(said.iter().any(|text| text.starts_with("DLCX ")), "{said:?}");
    assert!(bench.gateway.ledger().is_empty());
}

/// Checks that each half that names another is named by it, as its core knows it.
fn assert_symmetric(bench: &Bench, what: &str) {
    use crate::endpoint::HalfId;
    use crate::endpoint::Media;
    let endpoints = &bench.gateway.state.endpoints;
    for (endpoint, one) in endpoints.iter() {
        for connection in &one.connections {
            let Media::Local(local) = &connection.media else { continue };
            let Some(other) = &local.other else { continue };
            let named = endpoints[other.id.endpoint].connection(other.id.connection);
            let named = named.unwrap_or_else(|| panic!("{what}: it names what is gone"));
            let Media::Local(named_local) = &named.media else { panic!("{what}: it names no half") };
            let back = named_local.other.as_ref().map(|back| back.id);
            assert_eq!(back, Some(HalfId { endpoint, connection: connection.id }), "{what}");
            assert_eq!(other.peer, Peer::Local(named.port), "{what}");
        }
    }
}

/// One round of commands, alarms and operators, while cores answer when they like.
fn random_round(seed: u64) {
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    let what = &format!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut bench = announced();
    let mut made: Vec<(String, String, String)> = Vec::new();
    let (mut n, mut transaction) = (0, 100);
    while n < 120 {
        n += 1;
        transaction += 1;
        let mut circuit = || format!("ds/e1-{}/{}", rng.random_range(1..=3), rng.random_range(1..=2));
        let (a, b) = (circuit(), circuit());
        let known = (!made.is_empty()).then(|| made[rng.random_range(0..made.len())].clone());
        let description = known.as_ref().map_or("", |(_, _, description)| description);
        let (of, id) = known.as_ref().map_or((a.as_str(), "1"), |(of, id, _)| (of.as_str(), id.as_str()));
        let message = match rng.random_range(0..8) {
            0 | 1 => format!("CRCX {transaction} {a}@gw MGCP 1.0\nC: 1\nM: sendrecv\nZ2: {b}@gw\n"),
            2 => format!("CRCX {transaction} {a}@gw MGCP 1.0\nC: 1\nM: recvonly\nL: nt:LOCAL\n"),
            3 => format!("CRCX {transaction} {a}@gw MGCP 1.0\nC: 1\nM: sendrecv\n\n{description}"),
            4 => format!("MDCX {transaction} {of}@gw MGCP 1.0\nC: 1\nI: {id}\nM: inactive\n"),
            5 => {
                let other = &made.get(rng.random_range(0..=made.len())).map_or("", |(_, _, other)| other);
                format!("MDCX {transaction} {of}@gw MGCP 1.0\nC: 1\nI: {id}\nM: sendrecv\n\n{other}")
            }
            6 => format!("DLCX {transaction} {of}@gw MGCP 1.0\nC: 1\nI: {id}\n"),
            _ => format!("DLCX {transaction} {a}@gw MGCP 1.0\n"),
        };
        let mut said = bench.say_only(&message);
        if rng.random_range(0..20) == 0 {
            let event = if rng.random() { down() } else { SpanEvent::Alarms(Alarms::NONE) };
            let span = rng.random_range(0..3);
            let report = Report::Span { span: SpanId(span), event };
            bench.gateway.handle(bench.now, Input::Report { core: CoreId(0), report });
            said.extend(bench.sent());
        }
        if rng.random_range(0..3) > 0 {
            said.extend(bench.carry_out());
        }
        if rng.random_range(0..4) == 0 {
            bench.now += Duration::from_millis(300);
        }
        for answer in said {
            // RSIP may stand in front of it, in one datagram.
            let answer = answer.rsplit("\n.\n").next().unwrap_or_default();
            let is_made = answer.starts_with("200 ");
            if let (true, Some(id), Some((_, body))) =
                (is_made, header(answer, "I"), answer.split_once("\n\n"))
            {
                let of = body.split("EPN ").nth(1).and_then(|rest| rest.lines().next()).unwrap_or_default();
                made.push((of.to_owned(), id, body.to_owned()));
            }
        }
        assert_symmetric(&bench, what);
    }
    bench.carry_out();
    for span in 0..3 {
        bench.span_event(span, SpanEvent::Alarms(Alarms::NONE));
    }
    bench.say("DLCX 9999 *@gw MGCP 1.0\n");
    bench.carry_out();
    assert_symmetric(&bench, what);
    assert!(bench.gateway.ledger().is_empty(), "{what}: {:?}", bench.gateway.ledger());
    assert!(bench.gateway.farewells.is_empty(), "{what}");
    for (_, endpoint) in bench.gateway.state.endpoints.iter() {
        assert!(endpoint.executing.is_empty() && endpoint.connections.is_empty(), "{what}");
    }
}

#[test]
fn halves_name_each_other_whatever_happens() {
    for seed in 0..200 {
        random_round(seed);
    }
}
