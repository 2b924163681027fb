//! Two DS0s of one gateway, connected in one command (RFC 3435 §2.1.3.4): no packet between them.

use std::time::Duration;

use dataplane::stats::Counter;
use drivers::span::sim::Pattern;
use tests::World;

/// Connects timeslot 5 of the first span with `b`, a pattern at either end, for five minutes.
fn connected(seed: u64, spans: &str, b: &str, (span, timeslot): (usize, u8), options: &str) -> Run {
    let builder = World::builder(seed).spans(spans);
    let (builder, at_a) = builder.pattern(0, 5, Pattern::Prbs15);
    let (builder, at_b) = builder.pattern(span, timeslot, Pattern::Prbs15);
    let mut w = builder.build();
    let reply = w.ask("CRCX ds/e1-1/5@gw", &format!("C: A1\r\nZ2: {b}@gw\r\n{options}M: sendrecv\r\n"));
    assert_eq!(reply.code, 200, "{}", reply.text);
    w.run_for(Duration::from_secs(300));
    assert_eq!(w.count(Counter::RtpSent) + w.count(Counter::RtcpSent), 0, "it stays within");
    for result in [&at_a, &at_b] {
        assert!(result.is_in_sync() && result.bits() > 290 * 64_000, "{} bits", result.bits());
    }
    let errors = at_a.errors() + at_a.losses() + at_b.errors() + at_b.losses();
    Run { errors, slips: w.count(Counter::LocalSlips), concealed: w.count(Counter::ConcealedOctets) }
}

#[derive(PartialEq, Eq, Debug)]
struct Run {
    errors: u64,
    slips: u64,
    concealed: u64,
}

const CLEAN: Run = Run { errors: 0, slips: 0, concealed: 0 };

#[test]
fn a_pattern_has_no_bit_error_in_five_minutes() {
    let spans = "[[span]]\n[[span]]\nblock_ms = 20\n[[span]]\ncarrier = \"t1\"\nblock_ms = 1\n";
    let clear = "L: a:CLEARMODE\r\n";
    assert_eq!(connected(83, spans, "ds/e1-1/6", (0, 6), ""), CLEAN, "within a span");
    assert_eq!(connected(84, spans, "ds/e1-2/31", (1, 31), ""), CLEAN, "to a span with longer blocks");
    assert_eq!(connected(85, spans, "ds/ds1-3/24", (2, 24), clear), CLEAN, "to another law, as data");
}

#[test]
fn between_clocks_that_differ_nothing_is_lost_but_single_octets() {
    let spans = "[[span]]\nclock_ppm = 50.0\n[[span]]\nclock_ppm = -50.0\n";
    let run = connected(86, spans, "ds/e1-2/5", (1, 5), "");
    // 100 ppm of 300 s are 240 octets each way, give or take the block and the play of the margin.
    assert!((380..=580).contains(&run.slips), "{run:?}");
    assert_eq!(run.concealed, 0);
}
