//! RFC 3624: the bulk audit.

use std::time::Duration;

use drivers::line::{Alarm, Alarms};
use tests::{Reply, World};

/// The values of a parameter, line by line.
fn lines<'a>(reply: &'a Reply, name: &str) -> Vec<&'a str> {
    let values = reply.text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    values.collect()
}

/// An answer's parameter lines.
fn all_lines(reply: &Reply) -> Vec<&str> {
    reply.text.trim_end().lines().skip(1).collect()
}

fn audit(w: &mut World, local: &str, rest: &str) -> Reply {
    w.ask(&format!("AUEP {local}@gw"), rest)
}

fn refusal(w: &mut World, local: &str, rest: &str) -> String {
    let refused = audit(w, local, rest);
    let first = refused.text.lines().next().expect("a line");
    first.replace(&refused.transaction.to_string(), "*").trim_end().to_owned()
}

#[test]
fn names_come_in_ranges() {
    let mut w = World::builder(1).spans("[[span]]\ncount = 3\n[[span]]\ncarrier = \"t1\"\n").build();
    let names = audit(&mut w, "*", "BA/F: BA/Z\r\n");
    assert_eq!(all_lines(&names), ["BA/Z: ds/e1-[1-3]/[1-31]", "BA/Z: ds/ds1-4/[1-24]"]);
    let both = audit(&mut w, "ds/e1-2/*", "BA/F: BA/X, BA/Z\r\n");
    assert_eq!(all_lines(&both), ["BA/X: ds/e1-2/[1-31]", "BA/Z: ds/e1-2/[1-31]"]);
    let ranges = audit(&mut w, "ds/ds1-[1,3]/[2-4,9]", "BA/F: BA/Z\r\n");
    assert_eq!(all_lines(&ranges), ["BA/Z: ds/ds1-[1,3]/[2-4,9]"], "in the form of the question");
    assert_eq!(all_lines(&audit(&mut w, "ds/e1-1/7", "BA/F: BA/Z\r\n")), ["BA/Z: ds/e1-1/7"]);
}

// RFC 3624 §2.1.1.3: a star is for virtual endpoints that come and go.
#[test]
fn names_of_what_is_always_there_have_no_star() {
    let mut w = World::builder(2).build();
    for rest in ["BA/F: BA/Z,BA/X\r\n", "BA/F: BA/C,BA/M,BA/S(I)\r\n"] {
        let names = audit(&mut w, "*", rest);
        assert_eq!(names.code, 200, "{}", names.text);
        assert!(!names.text.contains('*'), "{}", names.text);
    }
}

#[test]
fn connections_are_counted_and_their_modes_told() {
    let mut w = World::builder(3).build();
    w.connect("ds/e1-2/2", "recvonly", "");
    w.connect("ds/e1-2/31", "inactive", "");
    w.connect("ds/e1-2/31", "loopback", "");
    let told = audit(&mut w, "ds/e1-2/*", "BA/F: BA/M,BA/C\r\n");
    let wanted = [
        "BA/EL: ds/e1-2/[1-31]".to_owned(),
        format!("BA/M: 0R{}2IL", "0".repeat(28)),
        format!("BA/C: 01{}2", "0".repeat(28)),
    ];
    assert_eq!(all_lines(&told), wanted, "whose they are comes first, and all are of the same endpoints");
}

#[test]
fn a_state_is_true_if_one_of_its_conditions_holds() {
    let mut w = World::builder(4).build();
    w.script(1).set_alarms(Alarms::NONE.with(Alarm::Los));
    w.run_for(Duration::from_secs(5));
    let told = audit(&mut w, "ds/e1-[1-2]/[1-3]", "BA/F: BA/S(I)\r\n");
    assert_eq!(lines(&told, "BA/S"), ["TTT", "OOO"]);
    assert_eq!(lines(&told, "BA/EL"), ["ds/e1-1/[1-3]", "ds/e1-2/[1-3]"], "ranges of the last term alone");
    let told = audit(&mut w, "ds/e1-1/[1-3]", "BA/F: BA/S(D, N, L, S, H)\r\n");
    assert_eq!(lines(&told, "BA/S"), ["FFF"]);
    assert_eq!(w.ask("RQNT ds/e1-1/2@gw", "X: 1\r\nS: G/rt\r\n").code, 200);
    let told = audit(&mut w, "ds/e1-1/[1-3]", "BA/F: BA/S(S)\r\n");
    assert_eq!(lines(&told, "BA/S"), ["FTF"]);
    let told = audit(&mut w, "ds/e1-1/[1-3]", "BA/F: BA/S(N)\r\n");
    assert_eq!(lines(&told, "BA/S"), ["FFF"]);
}

#[test]
fn who_cannot_reach_the_call_agent_is_disconnected() {
    let mut w = World::builder(9).spans("[[span]]\n").build();
    w.agent_answers = false;
    w.run_for(Duration::from_secs(62));
    let told = audit(&mut w, "ds/e1-1/[1-3]", "BA/F: BA/S(D)\r\n");
    assert_eq!(lines(&told, "BA/S"), ["TTT"]);
    w.agent_answers = true;
    w.run_for(Duration::from_secs(30));
    let told = audit(&mut w, "ds/e1-1/[1-3]", "BA/F: BA/S(D)\r\n");
    assert_eq!(lines(&told, "BA/S"), ["FFF"]);
}

// RFC 3624 §2.1.1.2: H means nothing where an endpoint knows of no state but its bearer's.
#[test]
fn a_circuit_that_carries_a_call_is_still_idle_by_its_own_account() {
    let mut w = World::builder(5).build();
    w.call("ds/e1-1/1", "ds/e1-1/2");
    let told = audit(&mut w, "ds/e1-1/[1-2]", "BA/F: BA/S(H),BA/C\r\n");
    assert_eq!(lines(&told, "BA/S"), ["FF"]);
    assert_eq!(lines(&told, "BA/C"), ["11"]);
}

#[test]
fn a_part_is_asked_for_by_its_start_and_number() {
    let mut w = World::builder(6).build();
    let told = audit(&mut w, "ds/e1-3/*", "BA/F: BA/C\r\nBA/SE: ds/e1-3/4\r\nBA/NU: 12\r\n");
    assert_eq!(all_lines(&told), ["BA/EL: ds/e1-3/[4-15]", "BA/C: 000000000000", "BA/NE: ds/e1-3/16"]);
    // A start before what is meant, and more than that.
    let told = audit(&mut w, "ds/e1-3/*", "BA/F: BA/C\r\nBA/SE: ds/e1-1/9\r\nBA/NU: 65535\r\n");
    assert_eq!(lines(&told, "BA/EL"), ["ds/e1-3/[1-31]"]);
    assert_eq!(lines(&told, "BA/NE"), [""; 0]);
}

/// Follows an audit of all to its end: how many answers it took, and what they said.
fn follow(w: &mut World, local: &str, info: &str) -> (usize, Vec<(String, String)>) {
    let (mut answers, mut told, mut start) = (0, Vec::new(), String::new());
    loop {
        let answer = audit(w, local, &format!("BA/F: {info}\r\n{start}"));
        assert_eq!(answer.code, 200, "{}", answer.text);
        assert!(answer.text.len() <= 4_000, "RFC 3435 §3.5.4: {} octets", answer.text.len());
        answers += 1;
        let (whose, what) = (lines(&answer, "BA/EL"), lines(&answer, "BA/C"));
        assert_eq!(whose.len(), what.len());
        told.extend(whose.iter().zip(what).map(|(a, b)| ((*a).to_owned(), b.to_owned())));
        match lines(&answer, "BA/NE")[..] {
            [] => return (answers, told),
            [next] => start = format!("BA/SE: {next}\r\n"),
            _ => panic!("{}", answer.text),
        }
    }
}

#[test]
fn a_report_that_ends_early_says_which_endpoint_comes_next() {
    let spans = "[[span]]\ncount = 133\n";
    let mut w = World::builder(7).spans(spans).config("port_last = 28399\n").build();
    w.connect("ds/e1-100/31", "recvonly", "");
    let (answers, told) = follow(&mut w, "*", "BA/S(I),BA/C");
    assert!((2..=6).contains(&answers), "{answers}");
    let wanted = (1..=133).map(|span| format!("ds/e1-{span}/[1-31]"));
    assert!(told.iter().map(|(whose, _)| whose).eq(wanted.collect::<Vec<_>>().iter()), "{told:?}");
    let counts: String = told.into_iter().map(|(_, counts)| counts).collect();
    assert_eq!(counts.len(), 133 * 31);
    assert_eq!(counts.find('1'), Some(100 * 31 - 1));
    assert_eq!(all_lines(&audit(&mut w, "*", "BA/F: BA/Z\r\n")), ["BA/Z: ds/e1-[1-133]/[1-31]"]);
}

#[test]
fn what_cannot_be_asked_for_is_refused_with_the_packages_codes() {
    let mut w = World::builder(8).build();
    let of_info = [
        ("BA/F: BA/S(Q)\r\n", "803 * /BA"),
        ("BA/F: BA/S(I,X),BA/C\r\n", "803 * /BA"),
        ("BA/F: BA/Z,BA/C\r\n", "802 * /BA"),
        ("BA/F: BA/S(I),BA/X\r\n", "802 * /BA"),
        ("BA/F: BA/C,BA/C\r\n", "802 * /BA"),
        ("BA/F: BA/Y\r\n", "802 * /BA"),
        ("BA/NU: 3\r\n", "802 * /BA"),
        ("BA/F: BA/C\r\nBA/NU: 0\r\n", "805 * /BA"),
        ("BA/F: BA/C\r\nBA/NU: 65536\r\n", "805 * /BA"),
        ("BA/F: BA/C\r\nBA/SE: ds/e1-2/1\r\n", "805 * /BA"),
        ("BA/F: BA/C\r\nBA/SE: ds/e1-1/*\r\n", "801 * /BA"),
        ("BA/F: BA/C\r\nBA/SE: ds//1\r\n", "801 * /BA"),
        ("BA/F: BA/C\r\nBA/SE: ds/e1-9/1\r\n", "806 * /BA"),
    ];
    for (rest, wanted) in of_info {
        assert_eq!(refusal(&mut w, "ds/e1-1/*", rest), wanted, "{rest}");
    }
    assert_eq!(refusal(&mut w, "ds/e1-1/$", "BA/F: BA/C\r\n")[..3], *"503");
    assert_eq!(w.ask("RQNT ds/e1-1/1@gw", "X: 1\r\nBA/F: BA/C\r\n").code, 539);
}
