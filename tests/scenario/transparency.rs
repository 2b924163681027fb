//! A pattern through RTP and back: not one bit of a clear channel, or of a law that fits, is wrong.

use std::sync::Arc;
use std::time::Duration;

use dataplane::stats::Counter;
use drivers::span::sim::{Pattern, PrbsResult};
use tests::World;

/// A call between two endpoints in one codec, as a call agent makes it.
fn call_in(w: &mut World, a: &str, b: &str, codec: &str) {
    let first = w.ask(&format!("CRCX {a}@gw"), &format!("C: A1\r\nL: a:{codec}\r\nM: recvonly\r\n"));
    assert_eq!(first.code, 200, "{}", first.text);
    let sdp = first.description().expect("a connection is described").to_owned();
    let second = w.connect(b, "sendrecv", &sdp);
    let sdp = second.description().expect("a connection is described").to_owned();
    assert!(sdp.contains(codec), "{codec} was agreed: {sdp}");
    let rest = format!("C: A1\r\nI: {}\r\nM: sendrecv\r\n\r\n{sdp}", first.connection());
    assert_eq!(w.ask(&format!("MDCX {a}@gw"), &rest).code, 200);
}

fn assert_clean(what: &str, result: &Arc<PrbsResult>, bits_min: u64) {
    assert!(result.is_in_sync(), "{what}: the pattern is found");
    assert_eq!((result.errors(), result.losses()), (0, 0), "{what}: of {} bits", result.bits());
    assert!(result.bits() > bits_min, "{what}: {} bits", result.bits());
}

#[test]
fn a_clear_channel_between_two_ds0s_has_no_bit_error_in_five_minutes() {
    // An A-law E1 and a mu-law T1 with blocks of other lengths: data cares for none of it.
    let spans = "[[span]]\n[[span]]\ncarrier = \"t1\"\nblock_ms = 1\n[[span]]\nlaw = \"mu\"\nblock_ms = 20\n";
    for (seed, b, span, timeslot) in [(81, "ds/ds1-2/24", 1, 24), (82, "ds/e1-3/31", 2, 31)] {
        let builder = World::builder(seed).spans(spans);
        let (builder, at_a) = builder.pattern(0, 5, Pattern::Prbs15);
        let (builder, at_b) = builder.pattern(span, timeslot, Pattern::Prbs15);
        let mut w = builder.build();
        call_in(&mut w, "ds/e1-1/5", b, "CLEARMODE");
        w.run_for(Duration::from_secs(300));
        assert_clean("the E1", &at_a, 299 * 64_000);
        assert_clean(b, &at_b, 299 * 64_000);
        assert_eq!(w.count(Counter::ConcealedOctets) + w.count(Counter::LateOctets), 0);
        assert_eq!(w.count(Counter::JitterAdjusted), 0);
    }
}
