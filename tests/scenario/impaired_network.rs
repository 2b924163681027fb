//! Networks that lose, delay, reorder and double: no call dies, and what is lost is told.

use std::time::Duration;

use dataplane::stats::Counter;
use drivers::line::Law;
use drivers::net::sim::Impairment;
use tests::World;
use tests::audio::{distinct, follows, onset};

#[test]
fn reordering_and_doubling_lose_nothing() {
    let source = distinct(1, Law::A, 65_537);
    let (builder, _) = World::builder(11).speaker(0, 1, &source);
    let (builder, at_b) = builder.speaker(1, 1, &distinct(2, Law::A, 65_537));
    let mut w = builder.build();
    let (a, b) = w.call("ds/e1-1/1", "ds/e1-2/1");
    // Held back by less than the jitter buffer holds, so that all come in time.
    let hold = Duration::from_millis(12);
    w.net().impair(Impairment { duplicate: 0.2, reorder: 0.2, hold, ..Impairment::default() });
    w.run_for(Duration::from_secs(5));
    let heard = at_b.octets_from(0).expect("the recording has room");
    let onset = onset(&heard, Law::A).expect("speech is heard");
    assert!(follows(&source, &heard, onset).is_some(), "nothing is lost, repeated or out of place");
    assert!(w.count(Counter::Duplicate) > 50);
    w.net().impair(Impairment::default());
    for (name, id) in [("ds/e1-1/1", a.connection()), ("ds/e1-2/1", b.connection())] {
        let gone = w.ask(&format!("DLCX {name}@gw"), &format!("C: A1\r\nI: {id}\r\n"));
        assert_eq!(gone.seen("PL"), Some(0), "what came twice is not a loss: {}", gone.text);
    }
}

#[test]
fn five_percent_loss_is_told_truthfully_and_no_call_dies() {
    let mut w = World::builder(12).build();
    let calls: Vec<_> = (1..=10)
        .map(|timeslot| {
            let (a, b) = (format!("ds/e1-1/{timeslot}"), format!("ds/e1-2/{timeslot}"));
            let (first, second) = w.call(&a, &b);
            [(a, first.connection()), (b, second.connection())]
        })
        .collect();
    w.net().impair(Impairment { loss: 0.05, ..Impairment::default() });
    w.run_for(Duration::from_secs(20));
    w.net().impair(Impairment::default());
    let (mut lost, mut received) = (0, 0);
    for (name, id) in calls.iter().flatten() {
        let gone = w.ask(&format!("DLCX {name}@gw"), &format!("C: A1\r\nI: {id}\r\n"));
        assert_eq!(gone.code, 250, "{}", gone.text);
        lost += gone.seen("PL").expect("losses are told");
        received += gone.seen("PR").expect("packets are told");
    }
    let share = lost as f64 / (lost + received) as f64;
    assert!((0.04..0.06).contains(&share), "{lost} of {} lost: {share:.3}", lost + received);
    assert!(w.count(Counter::ConcealedOctets) >= lost * 160 * 9 / 10);
}

#[test]
fn jitter_above_the_buffer_settles() {
    let (builder, _) = World::builder(13).speaker(0, 1, &distinct(1, Law::A, 65_537));
    let (builder, at_b) = builder.speaker(1, 1, &distinct(2, Law::A, 65_537));
    let mut w = builder.build();
    w.call("ds/e1-1/1", "ds/e1-2/1");
    let jitter = Duration::from_millis(60);
    w.net().impair(Impairment { jitter, ..Impairment::default() });
    w.run_for(Duration::from_secs(10));
    let late_before = w.count(Counter::LateOctets);
    w.run_for(Duration::from_secs(10));
    let late = w.count(Counter::LateOctets) - late_before;
    assert!(late < 2 * 80_000 / 100, "once settled, less than 1 % comes late: {late} octets of 160,000");
    assert!(!at_b.is_empty());
}
