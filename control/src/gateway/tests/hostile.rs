//! What call agents should not send, at length.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::*;

/// Datagrams that are nearly right.
fn mutated(rng: &mut StdRng, id: &str) -> Vec<u8> {
    let whole = [
        format!("CRCX 5 ds/e1-1/2@gw MGCP 1.0\r\nC: A1\r\nL: p:20, a:PCMA\r\nM: sendrecv\r\n\r\n{REMOTE}"),
        format!("MDCX 6 ds/e1-1/1@gw MGCP 1.0\r\nC: A1\r\nI: {id}\r\nM: sendrecv\r\n\r\n{REMOTE}"),
        "RQNT 7 ds/e1-1/[2-9]@gw MGCP 1.0\r\nX: 1\r\nR: L/hd(N)\r\n.\r\n200 7 OK\r\n".to_owned(),
        "DLCX 8 ds/*/$@gw MGCP 1.0\r\nC: A1\r\nK: 1-8,99\r\n".to_owned(),
        "AUEP 9 *@gw MGCP 1.0\r\nF: A,I,R,B\r\n".to_owned(),
        format!("AUCX 10 ds/e1-1/1@gw MGCP 1.0\r\nI: {id}\r\nF: C,N,L,M,LC,RC,P\r\n"),
        "521 99 Redirect\r\nN: ca@[127.0.0.9]:99999\r\n".to_owned(),
    ];
    let mut octets = whole.choose(rng).expect("some").clone().into_bytes();
    for _ in 0..rng.random_range(1..6) {
        let at = rng.random_range(0..octets.len());
        match rng.random_range(0..4) {
            0 => octets[at] = rng.random(),
            1 => octets.truncate(at.max(1)),
            2 => octets.insert(at, *b"\r\n :,@/*$[]-0".choose(rng).expect("some")),
            _ => octets.extend_from_within(at..),
        }
    }
    octets.truncate(4_000);
    octets
}

#[test]
fn ten_thousand_mutated_datagrams_break_no_call_and_leak_nothing() {
    let seed = 20_030_101;
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut bench = Bench::with(|config| config.journal.octets_max = 4_096);
    let id = bench.crcx("ds/e1-4/31@gw", "CA11");
    let other = bench.crcx("ds/e1-1/1@gw", "A1");
    for n in 0..10_000_u32 {
        let octets = mutated(&mut rng, &other);
        bench.hear(AGENT, &octets);
        if n % 3 == 0 {
            bench.carry_out();
        }
        bench.after(Duration::from_millis(1));
    }
    bench.carry_out();
    assert_eq!(bench.count(Counter::Datagrams), 10_002);
    // Commands hit the call only by its whole name, which mutation does not find.
    let audit = bench.ask("AUCX ds/e1-4/31@gw", &format!("I: {id}\nF: C,M\n"));
    assert_eq!(header(&audit, "M").as_deref(), Some("sendrecv"));
    assert_code(&bench.ask("DLCX *@gw", ""), 250);
    assert!(bench.gateway.ledger().is_empty());
}

#[test]
fn whatever_a_stranger_sends_is_met_with_silence() {
    let seed = 20_030_102;
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut bench = Bench::new();
    let id = bench.crcx("ds/e1-1/1@gw", "A1");
    bench.actions();
    let (before, lines) = (bench.gateway.digest(), bench.gateway.journal().lines().count());
    for _ in 0..2_000 {
        let octets = mutated(&mut rng, &id);
        assert_eq!(bench.hear("192.0.2.7:2727", &octets), [""; 0]);
        assert_eq!(bench.hear("[2001:db8::7]:2427", b"DLCX 1 *@gw MGCP 1.0\r\n"), [""; 0]);
    }
    assert_eq!(bench.count(Counter::DroppedSource), 4_000);
    assert_eq!(bench.actions(), []);
    assert_eq!((bench.gateway.digest(), bench.gateway.journal().lines().count()), (before, lines));
}

#[test]
fn a_command_cut_anywhere_is_refused_without_a_trace_or_is_whole() {
    let whole =
        format!("CRCX 5 ds/e1-1/2@gw MGCP 1.0\nC: A1\nL: p:20, a:PCMA\nM: sendrecv\nX: 1\nR:\n\n{REMOTE}");
    let mut refused = 0;
    let mut bench = Bench::new();
    for cut in 0..whole.len() {
        // A number of its own, so that none is the repetition of another.
        let text = whole[..cut].replacen("CRCX 5 ", &format!("CRCX {} ", cut + 1_000), 1);
        let before = bench.gateway.digest();
        let said = bench.say(&text);
        let codes: Vec<_> = said.iter().filter_map(|said| said.get(..3)?.parse::<u16>().ok()).collect();
        match codes[..] {
            [] => assert!(!text.contains("MGCP"), "{text}"),
            [200] => {
                assert_code(&bench.ask("DLCX ds/e1-1/2@gw", ""), 250);
                bench.actions();
                continue;
            }
            [code] => assert!((400..600).contains(&code), "{text}: {said:?}"),
            _ => panic!("one answer: {said:?}"),
        }
        refused += 1;
        assert_eq!(bench.gateway.digest(), before, "{text}");
        assert_eq!(bench.actions(), [], "{text}");
    }
    assert!(refused > 100, "{refused}");
    assert!(bench.gateway.ledger().is_empty());
}

#[test]
fn the_longest_datagrams_are_answered_and_change_nothing() {
    let mut bench = Bench::new();
    for len in [65_507, 16_384] {
        longest(&mut bench, len);
    }
}

/// Datagrams of about this length, each with more of something than anybody needs.
fn longest(bench: &mut Bench, len: usize) {
    let fill = |head: &str, part: &str| {
        let mut text = head.to_owned();
        while text.len() + part.len() <= len {
            text.push_str(part);
        }
        text
    };
    let before = bench.gateway.digest();
    let head = "RQNT 7 ds/e1-1/1@gw MGCP 1.0\n";
    for text in [
        fill(head, "X-a: b\n"),
        fill(head, "K: 1-999999999\n"),
        fill(&format!("{head}K: 1"), ",1-999999999"),
        fill(&format!("{head}X: 1\nR: "), "E("),
        fill(&format!("{head}X: 1\nR: B/oef(N)"), ",B/oef(N)"),
        fill(&format!("{head}X: 1\nD: ("), "x.|"),
        fill("RQNT 7 ds/e1-1/", "["),
        fill("RQNT 7 ", "ds/"),
        fill("RQNT 7", " "),
        fill("CRCX 7 ds/e1-1/1@gw MGCP 1.0\nC: 1\nM: recvonly\n\nv=0\nm=audio 1 RTP/AVP", " 0"),
        fill("CRCX 7 ds/e1-1/1@gw MGCP 1.0\nC: 1\nM: recvonly\n\nv=0\n", "a=rtpmap:0 PCMU/8000\n"),
    ] {
        let said = bench.hear("127.0.0.2:2727", text.as_bytes());
        let refused = said.iter().filter(|said| said.starts_with('5') && said.contains(" 7 ")).count();
        assert!(said.len() == refused && refused <= 1, "{text:.60}: {said:?}");
        assert!(refused == 1 || !text.contains("MGCP"), "{text:.60}");
        assert_eq!(bench.gateway.digest(), before, "{text:.60}");
    }
    let said = bench.hear(AGENT, fill("", "MESG 7 a@gw MGCP 1.0\r\n.\r\n").as_bytes());
    assert!(!said.is_empty() && said.iter().all(|said| said.starts_with("50") || said.starts_with("510")));
    assert_eq!(bench.gateway.digest(), before);
}
