//! A span that fails takes its own endpoints out of service, and no others.

use std::time::Duration;

use drivers::line::{Alarm, Alarms};
use tests::World;

#[test]
fn an_alarm_is_told_and_taken_back_and_other_spans_go_on() {
    let mut w = World::builder(51).build();
    w.run_for(Duration::from_secs(1));
    w.commands.clear();
    let peer = w.add_peer("10.0.0.9:4000");
    let sdp = w.peers[peer].description("8");
    w.connect("ds/e1-1/1", "sendrecv", &sdp);
    w.script(1).set_alarms(Alarms::NONE.with(Alarm::Los));
    w.run_for(Duration::from_secs(5));
    assert!(
        w.commands.iter().any(|c| c.starts_with("RSIP") && c.contains("e1-2/*") && c.contains("RM: forced")),
        "{:?}",
        w.commands
    );
    assert!(w.commands.iter().all(|c| !c.contains("e1-1/")), "{:?}", w.commands);
    // RFC 3435 §2.4: 501 is for an endpoint that is not ready or out of service.
    let refused = w.ask("CRCX ds/e1-2/1@gw", "C: 1\r\nM: recvonly\r\n");
    assert_eq!(refused.code, 501, "{}", refused.text);
    w.commands.clear();
    w.script(1).set_alarms(Alarms::NONE);
    w.run_for(Duration::from_secs(15));
    assert!(
        w.commands.iter().any(|c| c.starts_with("RSIP") && c.contains("e1-2/*") && c.contains("RM: restart")),
        "{:?}",
        w.commands
    );
    assert_eq!(w.ask("CRCX ds/e1-2/1@gw", "C: 1\r\nM: recvonly\r\n").code, 200);
    assert!(w.peers[peer].heard.len() > 950, "the other span's call never noticed");
}
