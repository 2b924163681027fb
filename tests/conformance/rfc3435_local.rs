//! RFC 3435 §2.1.3.4, §2.3.5, §2.3.8 and §3.4.2: connections between two endpoints of the gateway, and how the
//! gateway ends one.

use std::sync::Arc;
use std::time::Duration;

use drivers::line::{Alarm, Alarms, Law};
use drivers::span::sim::Recording;
use tests::audio::{distinct, follows, onset};
use tests::{Reply, World};

use crate::script::play;

const TWO_SPANS: &str = "[[span]]\ncount = 2\n";
const TWO_CORES: &str = "[[core]]\n[[core]]\n[[span]]\ncore = 0\n[[span]]\ncore = 1\n";

/// Two speakers, at timeslot 1 of the first span and at timeslot 31 of the second, and what they hear.
struct Pair {
    w: World,
    said: [Vec<u8>; 2],
    heard: [Arc<Recording>; 2],
}

fn pair(seed: u64, spans: &str) -> Pair {
    let said = [distinct(1, Law::A, 65_537), distinct(2, Law::A, 65_537)];
    let (builder, at_a) = World::builder(seed).spans(spans).speaker(0, 1, &said[0]);
    let (builder, at_b) = builder.speaker(1, 31, &said[1]);
    Pair { w: builder.build(), said, heard: [at_a, at_b] }
}

impl Pair {
    fn join(&mut self, mode: &str) -> Reply {
        let made = self.w.ask("CRCX ds/e1-1/1@gw", &format!("C: A1\r\nM: {mode}\r\nZ2: ds/e1-2/31@gw\r\n"));
        assert_eq!(made.code, 200, "{}", made.text);
        made
    }

    /// Whether each has heard nothing but what the other said.
    fn hear_each_other(&self) -> [bool; 2] {
        [0, 1].map(|at| {
            let heard = self.heard[at].octets_from(0).expect("the recording has room");
            let Some(onset) = onset(&heard, Law::A).filter(|onset| heard.len() - onset > 8_000) else {
                return false;
            };
            assert!(follows(&self.said[1 - at], &heard, onset).is_some(), "an octet was lost or wrong");
            true
        })
    }
}

#[test]
fn two_endpoints_are_joined_octet_by_octet() {
    for (seed, spans) in [(340, TWO_SPANS), (341, TWO_CORES)] {
        let mut pair = pair(seed, spans);
        let made = pair.join("sendrecv");
        assert!(made.text.contains("\r\nc=LOCAL EPN ds/e1-1/1\r\n"), "{}", made.text);
        pair.w.run_for(Duration::from_secs(3));
        assert_eq!(pair.hear_each_other(), [true, true]);
        let second = made.parameter("I2").expect("the second connection is named").to_owned();
        let deleted = pair.w.ask("DLCX ds/e1-2/31@gw", &format!("C: A1\r\nI: {second}\r\n"));
        assert_eq!(deleted.code, 250, "{}", deleted.text);
        for counter in ["OS", "OR"] {
            assert!(deleted.seen(counter).is_some_and(|n| n > 2 * 8_000), "{}", deleted.text);
        }
        assert_eq!(pair.w.ask("DLCX ds/e1-1/1@gw", "").code, 250);
        assert!(pair.w.gateway().ledger().is_empty());
    }
}

// RFC 3435 §2.3.5: the second connection is in send/receive mode; the first is as it was asked for.
#[test]
fn the_modes_of_both_halves_say_who_is_heard() {
    let modes = [("sendrecv", [true, true]), ("recvonly", [true, false]), ("sendonly", [false, true])];
    for (seed, (mode, hear)) in (342..).zip(modes.into_iter().chain([("inactive", [false, false])])) {
        let mut pair = pair(seed, TWO_SPANS);
        pair.join(mode);
        pair.w.run_for(Duration::from_secs(3));
        assert_eq!(pair.hear_each_other(), hear, "{mode}");
    }
}

// RFC 3435 §2.3.5: whoever is left open is one that is in service and free.
#[test]
fn a_second_endpoint_that_is_left_open_is_one_in_service_and_free() {
    let mut w = World::builder(350).spans(TWO_SPANS).build();
    w.connect("ds/e1-2/1", "recvonly", "");
    let mut join = |z2: &str| w.ask("CRCX ds/e1-1/$@gw", &format!("C: A1\r\nM: sendrecv\r\nZ2: {z2}@gw\r\n"));
    for _ in 0..30 {
        let made = join("ds/e1-2/$");
        assert_eq!(made.code, 200, "{}", made.text);
        assert_ne!(made.parameter("Z2"), Some("ds/e1-2/1@gw"));
    }
    assert_eq!(join("ds/e1-2/$").code, 410);
    w.script(1).set_alarms(Alarms::NONE.with(Alarm::Los));
    w.run_for(Duration::from_secs(5));
    let refused = w.ask("CRCX ds/e1-1/31@gw", "C: A1\r\nM: sendrecv\r\nZ2: ds/e1-2/5@gw\r\n");
    assert_eq!(refused.code, 501, "{}", refused.text);
}

#[test]
fn the_gateway_deletes_a_connection_that_has_lost_its_other_half() {
    let mut w = World::builder(351).spans(TWO_SPANS).build();
    let made = w.ask("CRCX ds/e1-1/1@gw", "C: A3C47F21456789F0\r\nM: sendrecv\r\nZ2: ds/e1-2/31@gw\r\n");
    let second = made.parameter("I2").expect("I2").to_owned();
    w.run_for(Duration::from_secs(1));
    w.commands.clear();
    w.script(0).set_alarms(Alarms::NONE.with(Alarm::Los));
    let script = format!(
        "
        # F.6: RSIP tells of the span, DLCX of the connection that is left of one there
        < RSIP $rsip ds/e1-1/*@gw MGCP 1.0
        < RM: forced
        < E: 905 Facility failure

        < DLCX $dlcx ds/e1-2/31@gw MGCP 1.0
        < C: A3C47F21456789F0
        < I: {second}
        < E: 905 Facility failure
        < P: PS=*, OS=*, PR=*, OR=*, PL=*, JI=*, LA=*

        > 200 $rsip OK

        > 200 $dlcx OK
        "
    );
    play(&mut w, &script);
    assert!(w.gateway().ledger().is_empty());
}
