//! RFC 3435 §2.3.3: RQNT, and requests inside other commands.
//!
//! No package is supported yet, so what can be shown is how requests are refused.

use tests::World;

use crate::agent::connections;

fn request(w: &mut World, endpoint: &str) -> String {
    let audit = w.ask(&format!("AUEP {endpoint}@gw"), "F: X\r\n");
    audit.parameter("X").expect("the last request is told").to_owned()
}

#[test]
fn a_request_for_any_one_endpoint_is_refused() {
    let mut w = World::builder(51).build();
    for name in ["$@gw", "ds/e1-1/$@gw"] {
        assert_eq!(w.ask(&format!("RQNT {name}"), "X: 1\r\n").code, 503);
    }
    assert_eq!(w.ask("RQNT ds/e1-1/*@gw", "X: 1\r\n").code, 200);
    assert_eq!(request(&mut w, "ds/e1-1/31"), "1");
}

#[test]
fn a_request_inside_a_command_has_a_name() {
    let mut w = World::builder(52).build();
    let id = w.connect("ds/e1-1/1", "recvonly", "").connection();
    let one = format!("C: A1\r\nI: {id}\r\n");
    for part in ["R:\r\n", "S:\r\n", "T:\r\n", "D:\r\n", "R:\r\nS:\r\n"] {
        for (line, rest) in [
            ("CRCX ds/e1-1/1@gw", "C: A1\r\nM: recvonly\r\n"),
            ("MDCX ds/e1-1/1@gw", &one),
            ("DLCX ds/e1-1/1@gw", &one),
            ("RQNT ds/e1-1/1@gw", ""),
        ] {
            let refused = w.ask(line, &format!("{rest}{part}"));
            assert_eq!(refused.code, 510, "{line} {part}: {}", refused.text);
        }
    }
    assert_eq!(connections(&mut w, "ds/e1-1/1"), 1);
}

#[test]
fn a_request_shares_the_fate_of_the_command_around_it() {
    let mut w = World::builder(53).build();
    let made = w.ask("CRCX ds/e1-1/1@gw", "C: A1\r\nM: recvonly\r\nX: A\r\nR:\r\nS:\r\n");
    assert_eq!(made.code, 200, "{}", made.text);
    assert_eq!(request(&mut w, "ds/e1-1/1"), "A");
    let one = format!("C: A1\r\nI: {}\r\n", made.connection());
    // The request is refused, so nothing is done.
    let refused = "X: B\r\nR: nosuch/ev(N)\r\n";
    assert_eq!(w.ask("CRCX ds/e1-1/1@gw", &format!("C: A1\r\nM: recvonly\r\n{refused}")).code, 518);
    assert_eq!(w.ask("MDCX ds/e1-1/1@gw", &format!("{one}M: inactive\r\n{refused}")).code, 518);
    let without_map = "X: B\r\nR: D/1(D)\r\n";
    for which in [&one, "C: A1\r\n", ""] {
        assert_eq!(w.ask("DLCX ds/e1-1/1@gw", &format!("{which}{refused}")).code, 518);
        assert_eq!(w.ask("DLCX ds/e1-1/1@gw", &format!("{which}{without_map}")).code, 519);
    }
    assert_eq!(connections(&mut w, "ds/e1-1/1"), 1);
    let audit = w.ask("AUCX ds/e1-1/1@gw", &format!("I: {}\r\nF: M\r\n", made.connection()));
    assert_eq!(audit.parameter("M"), Some("recvonly"));
    // What is around it is refused, so the request is not taken.
    let unknown = "C: A1\r\nI: FFFF\r\nX: C\r\nR:\r\nN: other@[10.0.0.7]\r\n";
    assert_eq!(w.ask("MDCX ds/e1-1/1@gw", &format!("{unknown}M: inactive\r\n")).code, 515);
    assert_eq!(w.ask("DLCX ds/e1-1/1@gw", unknown).code, 515);
    assert_eq!(w.ask("CRCX ds/e1-1/1@gw", "C: A1\r\nM: recvonly\r\nL: a:G729\r\nX: C\r\nR:\r\n").code, 534);
    assert_eq!(request(&mut w, "ds/e1-1/1"), "A");
    let audit = w.ask("AUEP ds/e1-1/1@gw", "F: N\r\n");
    assert_eq!(audit.parameter("N"), Some("ca@[10.0.0.2]:2727"));
    // Both are granted.
    assert_eq!(w.ask("DLCX ds/e1-1/1@gw", &format!("{one}X: D\r\nR:\r\n")).code, 250);
    assert_eq!(request(&mut w, "ds/e1-1/1"), "D");
}
