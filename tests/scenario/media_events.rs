//! What is told of a connection's media (RFC 3660 §2.10): that they come, how they fare, and that they stay out.

use std::time::Duration;

use drivers::line::Law;
use drivers::net::sim::Impairment;
use tests::World;
use tests::audio::distinct;

const PEER: &str = "10.0.0.9:4000";
const SECOND: Duration = Duration::from_secs(1);

/// What was observed in some time, without the connection's name.
fn told(w: &mut World, time: Duration) -> Vec<String> {
    w.commands.clear();
    w.run_for(time);
    let observed =
        w.commands.iter().filter_map(|command| command.lines().find_map(|line| line.strip_prefix("O: R/")));
    let without_name = |event: &str| {
        let (code, rest) = event.split_once('@').expect("it is one of a connection");
        let parameters = rest.find('(').map_or("", |at| &rest[at..]);
        format!("{code}{parameters}")
    };
    observed.map(without_name).collect()
}

#[test]
fn a_call_is_looked_after_from_its_first_packet_to_its_last() {
    let source = distinct(11, Law::A, 65_537);
    let mut w = World::builder(941).spans("[[span]]\n").build();
    let peer = w.add_peer(PEER);
    let sdp = w.peers[peer].description("8 0");
    let leg = w.connect("ds/e1-1/1", "sendrecv", &sdp);
    let id = leg.connection().to_owned();
    let ask = |w: &mut World, x: u32| {
        let events = format!(
            "R/ma@{id}(N),R/rto@{id}(N)(3),R/pl@{id}(N)(5000),R/qa@{id}(N),R/sr@{id}(N),R/uc@{id}(N)"
        );
        assert_eq!(w.ask("RQNT ds/e1-1/1@gw", &format!("X: {x}\r\nQ: loop\r\nR: {events}\r\n")).code, 200);
    };
    ask(&mut w, 1);
    assert_eq!(told(&mut w, SECOND), [""; 0], "nobody has said anything yet");
    w.play(peer, leg.rtp(), 8, 20, &source);
    assert_eq!(told(&mut w, 10 * SECOND), ["ma"]);
    let (to, now) = (leg.rtp(), w.now());
    w.peers[peer].play(now, to, 0, Duration::from_millis(20), &source);
    assert_eq!(told(&mut w, 3 * SECOND), ["uc(0)"]);
    w.net().impair(Impairment { loss: 0.15, ..Impairment::default() });
    let mut bad = told(&mut w, 15 * SECOND);
    bad.sort_unstable();
    bad.dedup();
    assert_eq!(bad, ["pl(5000)", "qa"]);
    w.net().impair(Impairment::default());
    assert_eq!(told(&mut w, 10 * SECOND), [""; 0], "what is told once waits for a further request");
    w.peers[peer].pause(60 * SECOND);
    assert_eq!(told(&mut w, 2 * SECOND), [""; 0]);
    assert_eq!(told(&mut w, 3 * SECOND), ["rto(3)"]);
    assert_eq!(told(&mut w, 10 * SECOND), [""; 0]);
    ask(&mut w, 2);
    assert_eq!(told(&mut w, 5 * SECOND), ["rto(3)"]);
}
