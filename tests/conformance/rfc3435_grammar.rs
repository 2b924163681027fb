//! RFC 3435 §3.1, §3.2 and Appendix A: how messages are written.

use tests::World;

use crate::agent::connections;

#[test]
fn capitals_and_small_letters_are_the_same() {
    let mut w = World::builder(81).build();
    w.send_text("crcx 7 DS/E1-1/1@GW mgcp 1.0\r\nc: a1\r\nl: P:20, A:pcma, E:ON\r\nm: RecvOnly\r\n");
    let made = w.reply(7);
    assert_eq!(made.code, 200, "{}", made.text);
    let id = made.connection().to_lowercase();
    let audit = w.ask("aucx ds/e1-1/1@gw", &format!("i: {id}\r\nf: m,c\r\n"));
    assert_eq!((audit.code, audit.parameter("M")), (200, Some("recvonly")), "{}", audit.text);
    assert_eq!(w.ask("mdcx ds/e1-1/1@gw", &format!("c: A1\r\ni: {id}\r\nm: INACTIVE\r\n")).code, 200);
    assert_eq!(w.ask("Dlcx ds/e1-1/1@Gw", &format!("c: A1\r\ni: {}\r\n", id.to_uppercase())).code, 250);
}

#[test]
fn white_space_to_spare_is_tolerated() {
    let mut w = World::builder(82).build();
    w.send_text(
        "CRCX \t 7   ds/e1-1/1@gw \t MGCP   1.0  \r\nC:A1 \r\nL:\t p:20 ,  a:PCMA;PCMU  , e:on\t\r\nM:   recvonly\r\n",
    );
    let made = w.reply(7);
    assert_eq!(made.code, 200, "{}", made.text);
    assert_eq!(connections(&mut w, "ds/e1-1/1"), 1);
}

#[test]
fn what_the_grammar_allows_is_read() {
    let mut w = World::builder(83).build();
    for (text, code) in [
        // LF alone, no space behind the colon, the highest transaction id, and the lowest of the examples.
        ("AUEP 999999999 ds/e1-1/1@gw MGCP 1.0\nF:A,B,MD\n", 200),
        ("AUEP 0 ds/e1-1/1@gw MGCP 1.0\r\n", 200),
        ("AUEP 2 ds/e1-1/1@[10.0.0.1] MGCP 1.0\r\n", 200),
        ("AUEP 3 ds/e1-1/1@[fd00::1] MGCP 1.0\r\n", 200),
        ("AUEP 4 ds/e1-1/1@#12345 MGCP 1.0\r\n", 200),
        ("AUEP 5 ds/e1-1/1@gw MGCP 1.0\r\nK: 1-4, 9\r\n", 200),
        ("CRCX 6 ds/e1-1/1@gw MGCP 1.0\r\nC: 0123456789abcdef0123456789ABCDEF\r\nM: recvonly\r\n", 200),
        (
            "CRCX 7 ds/e1-1/1@gw MGCP 1.0\r\nC: 1\r\nM: recvonly\r\nL: b:64-128,p:10-30,r:be,nt:IN,t:0\r\n",
            200,
        ),
        (
            "CRCX 8 ds/e1-1/1@gw MGCP 1.0\r\nC: 1\r\nM: recvonly\r\nX-Flower: \"a, quoted\"\" string\"\r\n",
            200,
        ),
        ("CRCX 9 ds/e1-1/1@gw MGCP 1.0\r\nC: 1\r\nM: recvonly\r\nL: x-flower:\"a;b\"\r\n", 200),
        ("XPER 10 ds/e1-1/1@gw MGCP 1.0\r\n", 504),
        ("MESG 11 ds/e1-1/1@gw MGCP 1.0\r\n", 504),
    ] {
        w.send_text(text);
        let reply = w.reply(text.split(' ').nth(1).and_then(|id| id.parse().ok()).expect("an id"));
        assert_eq!(reply.code, code, "{text}: {}", reply.text);
    }
}

#[test]
fn other_versions_and_profiles_are_refused() {
    let mut w = World::builder(84).build();
    for (id, version) in
        ["MGCP 2.0", "MGCP 1.1", "MGCP 0.1", "MGCP 1.0 NCS 1.0", "MGCP 1.0 x", "SGCP 1.0"].iter().enumerate()
    {
        w.send_text(&format!("CRCX {} ds/e1-1/1@gw {version}\r\nC: 1\r\nM: recvonly\r\n", id + 1));
        let refused = w.reply(id as u32 + 1);
        assert_eq!(refused.code, 528, "{version}: {}", refused.text);
    }
    assert_eq!(connections(&mut w, "ds/e1-1/1"), 0);
}

#[test]
fn a_parameter_given_twice_is_refused() {
    let mut w = World::builder(85).build();
    for twice in ["C: A1", "M: recvonly", "L: p:20", "X: 1", "N: ca@x.net", "B: e:A", "K:"] {
        let given = format!("C: A1\r\nM: recvonly\r\n{twice}\r\n{twice}\r\n");
        let refused = w.ask("CRCX ds/e1-1/1@gw", &given);
        assert_eq!(refused.code, 510, "{twice}: {}", refused.text);
    }
    assert_eq!(connections(&mut w, "ds/e1-1/1"), 0);
}

// RFC 3435 §3.2.1.2: transaction ids are numbers.
#[test]
fn leading_zeros_make_no_other_transaction() {
    let mut w = World::builder(86).build();
    for id in ["77", "077", "000000077"] {
        w.send_text(&format!("CRCX {id} ds/e1-1/1@gw MGCP 1.0\r\nC: A1\r\nM: recvonly\r\n"));
        assert_eq!(w.reply(77).code, 200);
    }
    assert_eq!(connections(&mut w, "ds/e1-1/1"), 1);
}
