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
