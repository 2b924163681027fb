//! RFC 3435 §2.3.5 and §3.2.2.10: every field of LocalConnectionOptions is honoured, or refused with its
//! code; and so is every field of BearerInformation (§2.3.2). None is ignored in silence.

use tests::World;

/// A value of L, and what CRCX and MDCX answer to it.
const OPTIONS: [(&str, u16); 49] = [
    // a: known ones are used, unknown ones drop out while one is left (§2.6).
    ("a:PCMA", 200),
    ("a:PCMU;PCMA", 200),
    ("a:PCMU, a:PCMA", 200),
    ("a:pcma", 200),
    ("a:CLEARMODE", 200),
    ("a:G729;PCMA", 200),
    ("a:G729", 534),
    ("a:image/t38", 534),
    ("a:", 541),
    // p: the nearest period there is.
    ("p:10", 200),
    ("p:20-40", 200),
    ("p:25", 200),
    ("p:40-20", 524),
    ("p:ten", 541),
    // b: a ceiling, unless a codec is named.
    ("b:96", 200),
    ("b:64-96", 200),
    ("b:96-64", 524),
    ("b:10", 534),
    ("b:10, a:PCMA", 200),
    ("b:much", 541),
    // e: there is no canceller here unless the configuration says that the line's equipment has one.
    ("e:off", 200),
    ("e:on", 532),
    ("e:maybe", 541),
    // s: silence is sent like speech.
    ("s:off", 200),
    ("s:on", 532),
    // gc: octets pass as they are.
    ("gc:0", 200),
    ("gc:-0", 200),
    ("gc:3", 532),
    ("gc:-6", 532),
    ("gc:auto", 532),
    ("gc:loud", 541),
    // t: the code point, without the bits of congestion notification.
    ("t:00", 200),
    ("t:b8", 200),
    ("t:b9", 532),
    ("t:xyz", 541),
    // r: what needs no reservation.
    ("r:be", 200),
    ("r:g", 532),
    ("r:cl", 532),
    // k: nothing is encrypted.
    ("k:clear:secret", 541),
    ("k:prompt", 541),
    // nt: the Internet.
    ("nt:IN", 200),
    ("nt:ATM;IN", 200),
    ("nt:ATM", 532),
    // What others have defined, and what nobody has.
    ("x-vendor:1", 200),
    ("x+vendor:1", 525),
    ("fmtp:\"101 0-15\"", 541),
    ("zz:1", 541),
    ("qos/r:1", 518),
    ("o-vendor:1", 541),
];

#[test]
fn every_option_is_honoured_or_refused_with_its_code() {
    let mut w = World::builder(330).config("echo_cancellation = \"none\"\n").build();
    for (options, code) in OPTIONS {
        let made = w.ask("CRCX ds/e1-1/1@gw", &format!("C: 1\r\nM: recvonly\r\nL: {options}\r\n"));
        assert_eq!(made.code, code, "CRCX {options}: {}", made.text);
        assert_eq!(w.ask("DLCX ds/e1-1/1@gw", "").code, 250);
        let id = w.connect("ds/e1-1/1", "recvonly", "").connection();
        let changed = w.ask("MDCX ds/e1-1/1@gw", &format!("C: A1\r\nI: {id}\r\nL: {options}\r\n"));
        assert_eq!(changed.code, code, "MDCX {options}: {}", changed.text);
        let audit = w.ask("AUCX ds/e1-1/1@gw", &format!("I: {id}\r\nF: L\r\n"));
        let kept = audit.parameter("L").expect("the options are told");
        assert!(code == 200 || kept.is_empty(), "what is refused changes nothing: {options}: {kept}");
        assert_eq!(w.ask("DLCX ds/e1-1/1@gw", "").code, 250);
    }
    assert!(w.gateway().ledger().is_empty());
}

#[test]
fn echo_is_cancelled_where_the_lines_equipment_does_it() {
    let mut w = World::builder(331).config("echo_cancellation = \"external\"\n").build();
    for options in ["e:on", "e:off"] {
        let made = w.ask("CRCX ds/e1-1/1@gw", &format!("C: 1\r\nM: recvonly\r\nL: {options}\r\n"));
        assert_eq!(made.code, 200, "{}", made.text);
    }
    let audit = w.ask("AUEP ds/e1-1/1@gw", "F: A\r\n");
    assert!(audit.parameter("A").is_some_and(|told| told.contains("e:on")), "{}", audit.text);
}

#[test]
fn every_bearer_attribute_is_honoured_or_refused_with_its_code() {
    let mut w = World::builder(332).build();
    let bearers = [
        ("e:A", 200),
        ("e:mu", 200),
        ("e:MU", 200),
        ("e:B", 539),
        ("e:A,e:mu", 510),
        ("e", 539),
        ("x:1", 539),
        ("e:A,zz:1", 539),
        ("atm/x:1", 518),
        // RFC 3435 §3.2.2.1: only packages extend it.
        ("x-vendor:1", 539),
        ("e:A,x-vendor:1", 539),
        ("x+vendor:1", 539),
    ];
    for (bearer, code) in bearers {
        for endpoint in ["ds/e1-1/1", "ds/e1-2/*", "ds/e1-[1-2]/[1-5]"] {
            let answer = w.ask(&format!("EPCF {endpoint}@gw"), &format!("B: {bearer}\r\n"));
            assert_eq!(answer.code, code, "EPCF {endpoint} {bearer}: {}", answer.text);
        }
        let made = w.ask("CRCX ds/e1-1/1@gw", &format!("C: 1\r\nM: recvonly\r\nB: {bearer}\r\n"));
        assert_eq!(made.code, code, "CRCX {bearer}: {}", made.text);
        w.ask("DLCX ds/e1-1/1@gw", "");
    }
    // RFC 3435 §2.3.2: B is required, but where an extension takes its place.
    assert_eq!(w.ask("EPCF ds/e1-1/1@gw", "").code, 510);
    assert_eq!(w.ask("EPCF ds/e1-1/1@gw", "X-Vendor: 1\r\n").code, 200);
    assert_eq!(w.ask("EPCF ds/e1-1/$@gw", "B: e:A\r\n").code, 503);
}
