//! RFC 3435 §2.4 and RFC 3661 §2.2: which return code says what.

use tests::World;

const DESCRIPTION: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\n";

#[test]
fn each_refusal_has_its_own_code() {
    let mut w = World::builder(131).build();
    let sdp = |media: &str| format!("C: 1\r\nM: sendrecv\r\n\r\n{DESCRIPTION}{media}\r\n");
    let with = |options: &str, media: &str| {
        format!("C: 1\r\nM: sendrecv\r\nL: {options}\r\n\r\n{DESCRIPTION}{media}\r\n")
    };
    for (code, line, rest) in [
        (500, "CRCX ds/e1-1/32@gw", sdp("m=audio 4000 RTP/AVP 8")),
        (503, "CRCX ds/e1-1/*@gw", sdp("m=audio 4000 RTP/AVP 8")),
        (504, "XPER ds/e1-1/1@gw", String::new()),
        (505, "CRCX ds/e1-1/1@gw", sdp("m=audio 4000 RTP/SAVP 8")),
        (505, "CRCX ds/e1-1/1@gw", sdp("m=image 4000 udptl t38")),
        (506, "CRCX ds/e1-1/1@gw", with("p:30-60, a:PCMA", "m=audio 4000 RTP/AVP 8\r\na=maxptime:20")),
        (509, "CRCX ds/e1-1/1@gw", sdp("m=audio")),
        (509, "CRCX ds/e1-1/1@gw", sdp("nonsense")),
        (511, "CRCX ds/e1-1/1@gw", "C: 1\r\nM: recvonly\r\nX+Flower: Daisy\r\n".to_owned()),
        (515, "AUCX ds/e1-1/1@gw", "I: 1\r\n".to_owned()),
        (517, "CRCX ds/e1-1/1@gw", "C: 1\r\nM: data\r\n".to_owned()),
        (518, "CRCX ds/e1-1/1@gw", "C: 1\r\nM: nas/data\r\n".to_owned()),
        (518, "CRCX ds/e1-1/1@gw", "C: 1\r\nM: recvonly\r\nfoo/bar: 1\r\n".to_owned()),
        (518, "CRCX ds/e1-1/1@gw", "C: 1\r\nM: recvonly\r\nL: foo/bar:1\r\n".to_owned()),
        (525, "CRCX ds/e1-1/1@gw", "C: 1\r\nM: recvonly\r\nL: x+foo:1\r\n".to_owned()),
        (527, "CRCX ds/e1-1/1@gw", "C: 1\r\nM: sendrecv\r\n".to_owned()),
        (532, "CRCX ds/e1-1/1@gw", with("s:on", "m=audio 4000 RTP/AVP 8")),
        (534, "CRCX ds/e1-1/1@gw", with("a:G729", "m=audio 4000 RTP/AVP 8")),
        (534, "CRCX ds/e1-1/1@gw", sdp("m=audio 4000 RTP/AVP 18")),
        (539, "AUEP ds/e1-1/1@gw", "M: recvonly\r\n".to_owned()),
        (541, "CRCX ds/e1-1/1@gw", "C: 1\r\nM: recvonly\r\nL: foo:1\r\n".to_owned()),
    ] {
        let refused = w.ask(line, &rest);
        assert_eq!(refused.code, code, "{line} {rest:?}: {}", refused.text);
        assert!(refused.text.trim_end().split(' ').count() > 2, "a refusal has a word with it");
    }
    assert!(w.gateway().ledger().is_empty(), "a refused command leaves nothing behind");
}

#[test]
fn only_what_has_no_other_code_is_a_protocol_error() {
    let mut w = World::builder(132).build();
    let id = w.connect("ds/e1-1/1", "recvonly", "").connection();
    for (line, rest) in [
        ("CRCX ds/e1-1/1@gw", "C: 1\r\n".to_owned()),
        ("CRCX ds/e1-1/1@gw", "M: recvonly\r\n".to_owned()),
        ("MDCX ds/e1-1/1@gw", format!("I: {id}\r\n")),
        ("RQNT ds/e1-1/1@gw", "R:\r\n".to_owned()),
        ("EPCF ds/e1-1/1@gw", String::new()),
        ("AUCX ds/e1-1/1@gw", "F: M\r\n".to_owned()),
        ("AUEP ds/e1-1/1@gw", "no parameter\r\n".to_owned()),
    ] {
        let refused = w.ask(line, &rest);
        assert_eq!(refused.code, 510, "{line} {rest:?}: {}", refused.text);
    }
}
