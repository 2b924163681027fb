//! A call agent that dies changes nothing for calls that are up.

use std::time::Duration;

use drivers::line::Law;
use tests::World;
use tests::audio::{distinct, follows, onset};

#[test]
fn calls_go_on_for_ten_minutes_without_a_call_agent() {
    let source = distinct(1, Law::A, 65_537);
    let (builder, _) = World::builder(41).speaker(0, 1, &source);
    let (builder, at_b) = builder.speaker(1, 1, &distinct(2, Law::A, 65_537));
    let mut w = builder.build();
    w.call("ds/e1-1/1", "ds/e1-2/1");
    w.agent_answers = false;
    // An alarm elsewhere gives the gateway something to tell the agent that no longer listens.
    w.script(3).set_alarms(drivers::line::Alarms::NONE.with(drivers::line::Alarm::Los));
    w.run_for(Duration::from_secs(590));
    let heard = at_b.octets_from(0).expect("the recording has room for ten minutes");
    let onset = onset(&heard, Law::A).expect("speech is heard");
    assert!(follows(&source, &heard, onset).is_some(), "not an octet is lost");
}
