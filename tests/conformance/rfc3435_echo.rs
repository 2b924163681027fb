//! RFC 3435 §2.3.5, echo cancellation: what a peer hears of what it says itself to a telephone behind a hybrid,
//! on a span whose echo the gateway cancels.

use std::net::SocketAddr;
use std::time::Duration;

use drivers::line::Law;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tests::World;
use tests::audio::{distinct, follows};

const LAW: Law = Law::A;

/// What is heard without a canceller: so much fainter than what is said is the echo, at least.
const UNCHANGED_DB: f64 = 10.0;

/// What is left with one: nothing but the line's silence, or noise as faint.
const CANCELLED_DB: f64 = 40.0;

/// A call of a peer with the telephone at ds/e1-1/1.
struct Call {
    world: World,
    peer: usize,
    /// Where the gateway listens.
    local: SocketAddr,
    connection: String,
}

fn world(seed: u64) -> World {
    World::builder(seed).config("echo_cancellation = \"internal\"\n").spans(&span("")).build()
}

/// A span with these settings, on whose first timeslot is a telephone.
fn span(settings: &str) -> String {
    format!(
        "[[span]]\n{settings}far_end = \"idle\"\n[[span.timeslot]]\nnumbers = \"1\"\n\
         far_end = {{ kind = \"hybrid\", line = 4, loss_db = 6 }}\n"
    )
}

impl Call {
    fn new(seed: u64, options: &str) -> Self {
        Self::on(world(seed), options)
    }

    fn on(mut world: World, options: &str) -> Self {
        let peer = world.add_peer("10.0.0.9:6000");
        let sdp = world.peers[peer].description("8");
        let options = if options.is_empty() { String::new() } else { format!("L: {options}\r\n") };
        let rest = format!("C: A1\r\nM: sendrecv\r\n{options}\r\n{sdp}");
        let made = world.ask("CRCX ds/e1-1/1@gw", &rest);
        assert_eq!(made.code, 200, "{}", made.text);
        let local = made.rtp();
        world.play(peer, local, 8, 20, &talk(0));
        Self { world, peer, local, connection: made.connection() }
    }

    fn modify(&mut self, rest: &str) {
        let text = format!("C: A1\r\nI: {}\r\n{rest}", self.connection);
        let changed = self.world.ask("MDCX ds/e1-1/1@gw", &text);
        assert_eq!(changed.code, 200, "{}", changed.text);
    }

    /// What the peer hears, once `settle` has passed, for half a second.
    fn hear(&mut self, settle: Duration) -> Vec<u8> {
        self.world.run_for(settle);
        self.world.peers[self.peer].heard.clear();
        self.world.run_for(Duration::from_millis(500));
        self.world.peers[self.peer].heard.iter().flat_map(|packet| packet.payload.clone()).collect()
    }

    /// By how much what the peer hears is fainter than what it says, in dB.
    fn loss(&mut self, settle: Duration) -> f64 {
        let heard = self.hear(settle);
        10.0 * (power(&talk(0)) / power(&heard)).log10()
    }

    fn say(&mut self, octets: &[u8]) {
        self.world.play(self.peer, self.local, 8, 20, octets);
    }
}

/// A second of noise at -13 dBm0, which says as much of a line as speech does.
fn talk(seed: u64) -> Vec<u8> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..8_000).map(|_| LAW.encode(rng.random_range(-6_250..6_250))).collect()
}

/// 2,100 Hz at -12 dBm0, whose phase turns every 450 ms (ITU-T V.25).
fn answer_tone() -> Vec<u8> {
    let sample = |n: usize| {
        let turn = if (n / 3_600).is_multiple_of(2) { 0.0 } else { 0.5 };
        let turns = n as f64 * 2_100.0 / 8_000.0 + turn;
        LAW.encode((LAW.amplitude(-12.0) * (turns * std::f64::consts::TAU).sin()) as i16)
    };
    (0..7_200).map(sample).collect()
}

fn power(octets: &[u8]) -> f64 {
    assert!(!octets.is_empty(), "something is heard");
    octets.iter().map(|octet| f64::from(LAW.decode(*octet)).powi(2)).sum::<f64>() / octets.len() as f64
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_first_connection_has_echo_cancelled_unless_it_says_otherwise() {
    for (seed, options, is_cancelled) in [(350, "", true), (351, "e:on", true), (352, "e:off", false)] {
        let loss = Call::new(seed, options).loss(2 * SECOND);
        if is_cancelled {
            assert!(loss > CANCELLED_DB, "L: {options}: {loss} dB");
        } else {
            assert!(loss < UNCHANGED_DB, "L: {options}: {loss} dB");
        }
    }
}

#[test]
fn the_first_connection_of_the_next_call_knows_nothing_of_the_last_ones_option() {
    let mut call = Call::new(353, "e:off");
    assert!(call.loss(SECOND) < UNCHANGED_DB);
    assert_eq!(call.world.ask("DLCX ds/e1-1/1@gw", "").code, 250);
    let mut w = call.world;
    let sdp = w.peers[0].description("8");
    let made = w.ask("CRCX ds/e1-1/1@gw", &format!("C: A2\r\nM: sendrecv\r\n\r\n{sdp}"));
    w.play(0, made.rtp(), 8, 20, &talk(353));
    let mut call = Call { world: w, peer: 0, local: made.rtp(), connection: made.connection() };
    let loss = call.loss(2 * SECOND);
    assert!(loss > CANCELLED_DB, "{loss} dB");
}

#[test]
fn a_further_connection_that_says_nothing_changes_nothing_and_any_that_does_speaks_for_all() {
    let mut call = Call::new(354, "e:off");
    let more = |call: &mut Call, options: &str| {
        let rest = format!("C: A1\r\nM: inactive\r\n{options}");
        let made = call.world.ask("CRCX ds/e1-1/1@gw", &rest);
        assert_eq!(made.code, 200, "{}", made.text);
    };
    more(&mut call, "");
    assert!(call.loss(2 * SECOND) < UNCHANGED_DB);
    more(&mut call, "L: e:on\r\n");
    assert!(call.loss(2 * SECOND) > CANCELLED_DB);
    more(&mut call, "");
    assert!(call.loss(SECOND) > CANCELLED_DB);
}

#[test]
fn mdcx_turns_it_off_and_on_and_what_it_leaves_out_stays() {
    let mut call = Call::new(355, "");
    assert!(call.loss(2 * SECOND) > CANCELLED_DB);
    call.modify("L: e:off\r\n");
    assert!(call.loss(SECOND) < UNCHANGED_DB);
    call.modify("L: s:off\r\n");
    assert!(call.loss(SECOND) < UNCHANGED_DB);
    call.modify("L: e:on\r\n");
    assert!(call.loss(SECOND) > CANCELLED_DB);
}

// RFC 3435 §4.4.4 and §2.3.6: a command that is refused changes nothing.
#[test]
fn an_option_in_a_command_that_is_refused_changes_nothing() {
    let mut call = Call::new(356, "");
    let text = format!("C: A1\r\nI: {}\r\nL: e:off, s:on\r\n", call.connection);
    assert_eq!(call.world.ask("MDCX ds/e1-1/1@gw", &text).code, 532);
    assert!(call.loss(2 * SECOND) > CANCELLED_DB);
}

#[test]
fn an_answer_tone_whose_phase_turns_has_the_line_left_alone() {
    let mut call = Call::new(357, "");
    assert!(call.loss(2 * SECOND) > CANCELLED_DB);
    call.say(&answer_tone());
    // ITU-T G.168 §7: within a second. The call goes on with a modem's signals.
    call.world.run_for(SECOND);
    call.say(&talk(1));
    let loss = call.loss(2 * SECOND);
    assert!(loss < UNCHANGED_DB, "{loss} dB");
}

#[test]
fn after_a_modems_call_echo_is_cancelled_as_it_was_asked_for() {
    for (seed, option) in [(358, "e:on"), (359, "e:off")] {
        let mut call = Call::new(seed, option);
        call.say(&answer_tone());
        call.world.run_for(SECOND);
        call.say(&talk(1));
        assert!(call.loss(SECOND) < UNCHANGED_DB, "{option}: as long as there are signals");
        // ITU-T G.168 §7: 250 ms of silence, give or take 150.
        call.say(&[LAW.silence(); 160]);
        call.world.run_for(Duration::from_millis(600));
        call.say(&talk(2));
        let loss = call.loss(2 * SECOND);
        match option {
            "e:on" => assert!(loss > CANCELLED_DB, "{option}: {loss} dB"),
            _ => assert!(loss < UNCHANGED_DB, "{option}: {loss} dB"),
        }
    }
}

/// Where each octet that comes back counts: nothing is taken for echo.
#[test]
fn data_and_tests_pass_octet_by_octet() {
    let span = "[[span]]\ncount = 2\n";
    let octets = distinct(9, LAW, 65_537);
    let cases: [(&str, &str, &str); 2] = [
        // A clear channel, to a line that loops.
        ("sendrecv", "L: a:CLEARMODE\r\n", "97"),
        // The peer's own octets, back from its connection.
        ("netwloop", "", "8"),
    ];
    for (mode, options, payload_type) in cases {
        let mut w = World::builder(360).config("echo_cancellation = \"internal\"\n").spans(span).build();
        let peer = w.add_peer("10.0.0.9:6000");
        let mut sdp = w.peers[peer].description(payload_type);
        if payload_type == "97" {
            sdp.push_str("a=rtpmap:97 CLEARMODE/8000\r\n");
        }
        let rest = format!("C: A1\r\nM: {mode}\r\n{options}\r\n{sdp}");
        let made = w.ask("CRCX ds/e1-1/1@gw", &rest);
        assert_eq!(made.code, 200, "{}", made.text);
        let number = payload_type.parse().expect("a number");
        w.play(peer, made.rtp(), number, 20, &octets);
        w.run_for(3 * SECOND);
        let heard: Vec<u8> = w.peers[peer].heard.iter().flat_map(|packet| packet.payload.clone()).collect();
        assert!(follows(&octets, &heard, 4_000).is_some(), "{mode} {options}");
    }
}

/// Two lines of the gateway that are connected hear each other's octets as they are, if both loop none.
#[test]
fn ds0s_that_are_connected_to_each_other_pass_octet_by_octet() {
    let octets = distinct(3, LAW, 65_537);
    let builder = World::builder(361).config("echo_cancellation = \"internal\"\n");
    let (builder, _) = builder.spans("[[span]]\ncount = 2\n").speaker(0, 1, &octets);
    let (builder, recording) = builder.speaker(0, 2, &octets);
    let mut w = builder.build();
    let rest = "C: A1\r\nM: sendrecv\r\nZ2: ds/e1-1/2@gw\r\n";
    assert_eq!(w.ask("CRCX ds/e1-1/1@gw", rest).code, 200);
    w.run_for(3 * SECOND);
    let heard = recording.octets_from(0).expect("the recording has room");
    assert!(follows(&octets, &heard, 4_000).is_some());
}

#[test]
fn a_span_says_for_itself_where_its_echo_is_cancelled() {
    let spans = span("echo_cancellation = \"internal\"\n");
    let spans = format!("{spans}[[span]]\necho_cancellation = \"none\"\n[[span]]\n");
    let mut call = Call::on(World::builder(362).spans(&spans).build(), "");
    assert!(call.loss(2 * SECOND) > CANCELLED_DB);
    for (endpoint, code, told) in [("ds/e1-2/1", 532, "e:off"), ("ds/e1-3/1", 200, "e:on")] {
        let made = call.world.ask(&format!("CRCX {endpoint}@gw"), "C: 1\r\nM: recvonly\r\nL: e:on\r\n");
        assert_eq!(made.code, code, "{}", made.text);
        let audit = call.world.ask(&format!("AUEP {endpoint}@gw"), "F: A\r\n");
        assert!(audit.parameter("A").is_some_and(|text| text.contains(told)), "{}", audit.text);
    }
}
