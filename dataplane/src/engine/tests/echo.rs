//! Where echo is cancelled, and where octets must be left alone.

use super::*;
use crate::link::DetectorSet;

const TIMESLOT: u8 = 17;

/// A core whose span has echo cancellers.
fn core() -> Core {
    let limits =
        Limits { pairs: PAIRS, relays: PAIRS, jitter_buffer_octets: 4_096, orders: 512, observations: 16 };
    let line = Line { carrier: Carrier::E1, law: Law::A };
    let echo = Some(EchoSettings { tail_ms: 32, suppresses: true, comforts: false });
    let shape = SpanShape { id: SpanId(0), line, frames: BLOCK, echo };
    let core = Core::new();
    let engine = Engine::new(&limits, &[shape], 7, EPOCH, Arc::clone(&core.stats));
    Core { engine, ..core }
}

fn cancels(core: &Core) -> bool {
    core.engine.spans[0].cancels == 1 << TIMESLOT
}

/// Whether the echo of a DS0 with these connections is cancelled.
fn is_cancelled(legs: &[Leg]) -> bool {
    let mut core = core();
    for (pair, leg) in legs.iter().enumerate() {
        core.connect(TIMESLOT, pair as u32, *leg);
    }
    cancels(&core)
}

#[test]
fn echo_is_cancelled_for_who_hears_the_line_and_for_nobody_else() {
    let one = |mode| is_cancelled(&[leg(mode, peer(1))]);
    for mode in [Mode::SendReceive, Mode::SendOnly, Mode::Conference] {
        assert!(one(mode), "{mode}");
    }
    for mode in [
        Mode::ReceiveOnly,
        Mode::Inactive,
        Mode::Loopback,
        Mode::ContinuityTest,
        Mode::NetworkLoopback,
        Mode::NetworkContinuityTest,
    ] {
        assert!(!one(mode), "{mode}");
    }
}

#[test]
fn a_connection_without_echo_has_the_line_left_alone_as_long_as_it_uses_it() {
    let (voice, data) =
        (leg(Mode::SendReceive, peer(1)), |mode| Leg { has_echo: false, ..leg(mode, peer(2)) });
    assert!(!is_cancelled(&[data(Mode::SendReceive)]));
    assert!(!is_cancelled(&[voice, data(Mode::SendOnly)]));
    assert!(!is_cancelled(&[voice, data(Mode::ReceiveOnly)]));
    assert!(is_cancelled(&[voice, data(Mode::Inactive)]));
    assert!(is_cancelled(&[voice, data(Mode::NetworkLoopback)]));
    assert!(!is_cancelled(&[voice, leg(Mode::Loopback, peer(2))]));
}

#[test]
fn orders_turn_it_off_and_on_before_and_during_a_call() {
    let mut core = core();
    let order =
        |core: &mut Core, is_wanted| core.order(Action::CancelEcho { ds0: ds0(0, TIMESLOT), is_wanted });
    order(&mut core, false);
    core.connect(TIMESLOT, 0, leg(Mode::SendReceive, peer(1)));
    assert!(!cancels(&core));
    order(&mut core, true);
    assert!(cancels(&core));
    core.modify(0, leg(Mode::Inactive, peer(1)));
    assert!(!cancels(&core));
    core.modify(0, leg(Mode::SendReceive, peer(1)));
    assert!(cancels(&core));
    core.disconnect(0);
    assert!(!cancels(&core));
}

// RFC 3660 §2.3: what a test plays to a line must come back to be heard.
#[test]
fn a_line_under_test_is_left_alone() {
    let mut core = core();
    core.connect(TIMESLOT, 0, leg(Mode::SendReceive, peer(1)));
    let side = Side::Line(ds0(0, TIMESLOT));
    for (detectors, expected) in
        [(DetectorSet::CHECK, false), (DetectorSet::DTMF, true), (DetectorSet::MILLIWATT, false)]
    {
        core.order(Action::Watch { side, detectors });
        assert_eq!(cancels(&core), expected, "{detectors:?}");
    }
}

#[test]
fn a_line_that_loops_gives_its_octets_back_while_nothing_was_said_to_it() {
    let mut core = core();
    core.connect(TIMESLOT, 0, leg(Mode::SendOnly, peer(1)));
    core.ticks(40);
    assert!(find(&core.said(TIMESLOT), &joined(&core.rtp_from(0))).is_some());
}

/// Every octet that a line says is there for who hears it, but for the echo of what it hears.
#[test]
fn echo_is_taken_out_of_what_the_peer_hears_and_who_talks_is_not() {
    let mut core = core();
    core.connect(TIMESLOT, 0, leg(Mode::SendReceive, peer(1)));
    let mut rng = StdRng::seed_from_u64(1);
    let (mut tx, mut rx) = (Block::new(BLOCK, Law::A), Block::new(BLOCK, Law::A));
    let (mut sequence, mut timestamp) = (0, 0);
    let mut sent = Vec::new();
    for tick in 0..800 {
        if tick % 4 == 0 {
            let header = Header { marker: false, payload_type: 8, sequence, timestamp, ssrc: 9 };
            let voice: Vec<u8> = (0..160).map(|_| Law::A.encode(rng.random_range(-8_000..8_000))).collect();
            core.engine.receive(rtp(0), peer(1).rtp, core.now, &packet_of(header, &voice));
            (sequence, timestamp) = (sequence + 1, timestamp + 160);
        }
        core.engine.playout(0, &rx, &mut tx);
        let timeslot = Timeslot::new(TIMESLOT).expect("a timeslot");
        let talks = tick >= 600;
        let said = |n: usize| if talks { [6_000, -6_000][n / 8 % 2] } else { 0 };
        let heard = tx.timeslot(timeslot).iter().enumerate();
        let back = heard.map(|(n, octet)| Law::A.encode(Law::A.decode(*octet) / 4 + said(n)));
        let back: Vec<u8> = back.collect();
        rx.timeslot_mut(timeslot).copy_from_slice(&back);
        core.engine.capture(core.now, 0, &rx);
        core.engine.transmit(core.now, &mut core.sockets);
        sent.extend(core.sockets.sent.drain(..).filter(|sent| sent.from == rtp(0)));
        core.now += FRAME * BLOCK as u32;
    }
    let heard = joined(&sent.iter().map(|sent| Taken::of(&sent.octets)).collect::<Vec<_>>());
    let loud = |octets: &[u8], level| {
        octets.iter().filter(|octet| Law::A.decode(**octet).unsigned_abs() > level).count()
    };
    let talk = heard.len() - 200 * BLOCK;
    assert_eq!(loud(&heard[talk - 8_000..talk - 160], 8), 0, "the far end hears itself");
    let said = loud(&heard[talk + 800..], 3_000);
    assert!(said > 200 * BLOCK * 8 / 10, "of {} octets {said} are loud", 200 * BLOCK - 800);
}
