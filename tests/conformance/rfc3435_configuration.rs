//! RFC 3435 §2.3.2 and §3.2.2.1: EPCF, the law of a line.

use tests::World;

fn law(w: &mut World, endpoint: &str) -> String {
    let audit = w.ask(&format!("AUEP {endpoint}@gw"), "F: B\r\n");
    audit.parameter("B").expect("the law is told").to_owned()
}

#[test]
fn a_law_that_is_left_out_stays() {
    let mut w = World::builder(11).build();
    assert_eq!(w.ask("EPCF ds/e1-1/1@gw", "B: e:mu\r\n").code, 200);
    w.connect("ds/e1-1/1", "recvonly", "");
    assert_eq!(w.ask("RQNT ds/e1-1/1@gw", "X: 1\r\n").code, 200);
    assert_eq!(w.ask("DLCX ds/e1-1/1@gw", "").code, 250);
    assert_eq!(law(&mut w, "ds/e1-1/1"), "e:mu");
    assert_eq!(law(&mut w, "ds/e1-1/2"), "e:A");
}

#[test]
fn a_law_that_is_none_is_refused() {
    let mut w = World::builder(12).build();
    for bearer in ["e:B", "e:", "e:muh", "e"] {
        let refused = w.ask("EPCF ds/e1-1/1@gw", &format!("B: {bearer}\r\n"));
        assert_eq!(refused.code, 539, "{bearer}: {}", refused.text);
    }
    assert_eq!(law(&mut w, "ds/e1-1/1"), "e:A");
}

#[test]
fn a_law_shares_the_fate_of_the_command_around_it() {
    let mut w = World::builder(13).build();
    let refused = w.ask("CRCX ds/e1-1/1@gw", "C: 1\r\nM: recvonly\r\nL: a:G729\r\nB: e:mu\r\n");
    assert_eq!(refused.code, 534, "{}", refused.text);
    assert_eq!(law(&mut w, "ds/e1-1/1"), "e:A");
    assert_eq!(w.ask("CRCX ds/e1-1/1@gw", "C: 1\r\nM: recvonly\r\nB: e:mu\r\n").code, 200);
    assert_eq!(law(&mut w, "ds/e1-1/1"), "e:mu");
}
