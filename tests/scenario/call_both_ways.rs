//! Speech crosses from one timeslot to another through RTP, both ways, and not an octet is lost.

use std::sync::Arc;
use std::time::Duration;

use dataplane::stats::Counter;
use drivers::line::Law;
use drivers::span::sim::Recording;
use tests::World;
use tests::audio::{distinct, follows, onset};

/// Everything a far end has heard.
fn heard(recording: &Arc<Recording>) -> Vec<u8> {
    recording.octets_from(0).expect("the recording has room for the whole scenario")
}

/// Octets before which `heard` must have become `source` without a gap.
fn assert_follows(source: &[u8], heard: &[u8], what: &str) {
    let onset = onset(heard, Law::A).unwrap_or_else(|| panic!("{what}: nothing was heard"));
    // The first packet may begin inside a block; from the second block on every octet counts.
    assert!(heard.len() - onset > 8_000, "{what}: more than a second was heard");
    assert!(follows(source, heard, onset).is_some(), "{what}: an octet was lost, repeated or out of place");
}

#[test]
fn both_directions_are_bit_exact_at_each_ptime_and_block() {
    for block_ms in [1, 5, 20] {
        for ptime in [5, 10, 20, 30, 40, 60] {
            let (a, b) = (distinct(1, Law::A, 65_537), distinct(2, Law::A, 65_537));
            let builder = World::builder(block_ms * 100 + ptime)
                .config(&format!("ptime_ms = {ptime}\n"))
                .spans(&format!("[[span]]\ncount = 2\nblock_ms = {block_ms}\n"));
            let (builder, at_a) = builder.speaker(0, 1, &a);
            let (builder, at_b) = builder.speaker(1, 31, &b);
            let mut w = builder.build();
            w.call("ds/e1-1/1", "ds/e1-2/31");
            w.run_for(Duration::from_secs(4));
            let what = format!("{block_ms} ms blocks, {ptime} ms packets");
            assert_follows(&a, &heard(&at_b), &what);
            assert_follows(&b, &heard(&at_a), &what);
            assert_eq!(w.count(Counter::LateOctets), 0, "{what}");
            assert_eq!(w.count(Counter::JitterAdjusted), 0, "{what}");
        }
    }
}

#[test]
fn delay_is_a_packet_a_block_and_the_jitter_buffer_at_most() {
    let marker = distinct(7, Law::A, 80_000);
    let (builder, _) = World::builder(3).speaker(0, 1, &marker);
    let (builder, at_b) = builder.speaker(1, 1, &distinct(8, Law::A, 8_000));
    let mut w = builder.build();
    w.call("ds/e1-1/1", "ds/e1-2/1");
    w.run_for(Duration::from_secs(3));
    let heard = heard(&at_b);
    let onset = onset(&heard, Law::A).expect("speech is heard");
    let said = follows(&marker, &heard, onset).expect("it is the right speech");
    // Both far ends count octets from the first block on, so the difference is the way's delay.
    let delay_ms = (onset - said) as f64 / 8.0;
    assert!(delay_ms <= 20.0 + 5.0 + 20.0, "octet in to octet out took {delay_ms} ms");
    println!("octet in to octet out: {delay_ms} ms (packet 20 ms, block 5 ms, jitter buffer 20 ms)");
}

#[test]
fn all_120_timeslots_of_60_calls_hear_their_own_partner() {
    let mut builder = World::builder(60);
    let mut recordings = Vec::new();
    for i in 0..120_usize {
        let (span, timeslot) = (i / 31, (i % 31 + 1) as u8);
        let recording;
        (builder, recording) = builder.speaker(span, timeslot, &distinct(i as u64, Law::A, 32_771));
        recordings.push(recording);
    }
    let mut w = builder.build();
    let name = |i: usize| format!("ds/e1-{}/{}", i / 31 + 1, i % 31 + 1);
    for i in 0..60 {
        w.call(&name(i), &name(119 - i));
    }
    w.run_for(Duration::from_secs(2));
    for (i, recording) in recordings.iter().enumerate() {
        let source = distinct(119 - i as u64, Law::A, 32_771);
        assert_follows(&source, &heard(recording), &name(i));
    }
}

#[test]
fn calls_between_spans_of_two_cores_are_bit_exact() {
    let (a, b) = (distinct(1, Law::A, 65_537), distinct(2, Law::A, 65_537));
    let builder = World::builder(2).spans("[[core]]\n[[core]]\n[[span]]\ncore = 0\n[[span]]\ncore = 1\n");
    let (builder, at_a) = builder.speaker(0, 3, &a);
    let (builder, at_b) = builder.speaker(1, 4, &b);
    let mut w = builder.build();
    w.call("ds/e1-1/3", "ds/e1-2/4");
    w.run_for(Duration::from_secs(3));
    assert_follows(&a, &heard(&at_b), "core 0 to core 1");
    assert_follows(&b, &heard(&at_a), "core 1 to core 0");
}

#[test]
fn counters_of_both_ends_agree_after_a_call() {
    let mut w = World::builder(4).build();
    let (a, b) = w.call("ds/e1-1/1", "ds/e1-2/1");
    w.run_for(Duration::from_secs(2));
    let dlcx = |id: String| format!("C: A1\r\nI: {id}\r\n");
    let a = w.ask("DLCX ds/e1-1/1@gw", &dlcx(a.connection()));
    w.run_for(Duration::from_millis(100));
    let b = w.ask("DLCX ds/e1-2/1@gw", &dlcx(b.connection()));
    assert_eq!((a.code, b.code), (250, 250));
    assert_eq!(a.seen("PL"), Some(0), "{}", a.text);
    assert_eq!(b.seen("PL"), Some(0), "{}", b.text);
    assert_eq!(a.seen("PS"), b.seen("PR"), "all that one sent, the other received");
    assert_eq!(a.seen("OS"), b.seen("OR"));
    assert!(a.seen("PS") >= Some(95), "{}", a.text);
}
