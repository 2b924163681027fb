//! Modes: who hears whom.

use super::*;

/// Two connections on timeslot 5, peers 1 and 2 talking on both, for half a second.
fn endpoint(a: Mode, b: Mode) -> (Core, [Peer; 2]) {
    let mut core = Core::new();
    core.connect(5, 0, leg(a, peer(1)));
    core.connect(5, 1, leg(b, peer(2)));
    let mut peers = [Peer::new(1, 0), Peer::new(2, 1)];
    core.talk(&mut peers, 100);
    (core, peers)
}

fn sends_the_line(core: &Core, pair: u32) -> bool {
    let octets = joined(&core.rtp_from(pair));
    !octets.is_empty() && find(&core.said(5), &octets).is_some()
}

#[test]
fn sendonly_sends_and_does_not_hear() {
    let (core, _) = endpoint(Mode::SendOnly, Mode::Inactive);
    assert!(sends_the_line(&core, 0));
    assert_silent(core.heard(5));
    assert!(core.rtp_from(1).is_empty(), "inactive sends nothing");
    assert_eq!(core.count(Counter::DroppedMode), 50, "of both connections");
}

#[test]
fn recvonly_hears_and_does_not_send() {
    let (core, peers) = endpoint(Mode::ReceiveOnly, Mode::Inactive);
    assert!(core.rtp_from(0).is_empty());
    assert_hears(core.heard(5), &peers[0].said());
}

#[test]
fn several_heard_connections_are_added_up() {
    let (core, peers) = endpoint(Mode::SendReceive, Mode::ReceiveOnly);
    assert!(sends_the_line(&core, 0));
    assert!(core.rtp_from(1).is_empty());
    let mut sum = vec![0; 1_600];
    g711::mix(Law::A, &[&peers[0].said(), &peers[1].said()], &mut sum);
    assert!(find(core.heard(5), &sum).is_some());
}

#[test]
fn sendrecv_connections_do_not_hear_each_other_and_conferences_do() {
    let (core, _) = endpoint(Mode::SendReceive, Mode::SendReceive);
    assert!(sends_the_line(&core, 0) && sends_the_line(&core, 1));

    let (core, peers) = endpoint(Mode::Conference, Mode::Conference);
    for (pair, other) in [(0, 1), (1, 0)] {
        let octets = joined(&core.rtp_from(pair));
        // What the other said begins somewhere in the line's stream; both begin at a block.
        let line = core.said(5);
        let other = peers[other].said();
        let is_sum = |line_at: usize, other_at: usize| {
            let mut sum = vec![0; 400];
            g711::mix(Law::A, &[&line[line_at..], &other[other_at..]], &mut sum);
            find(&octets, &sum).is_some()
        };
        assert!((0..40).any(|block| is_sum(1_200, block * BLOCK)), "pair {pair}");
    }
}

#[test]
fn four_conference_connections_hear_the_union_of_the_others() {
    let mut core = Core::new();
    let mut peers: Vec<Peer> = (0..4).map(|n| Peer::new(n as u16, n)).collect();
    for n in 0..4 {
        core.connect(5, n, leg(Mode::Conference, peer(n as u16)));
    }
    core.talk(&mut peers, 100);
    let voices: Vec<Vec<u8>> = peers.iter().map(Peer::said).collect();
    let all: Vec<&[u8]> = voices.iter().map(|voice| &voice[..1_600]).collect();
    let mut sum = vec![0; 1_600];
    g711::mix(Law::A, &all, &mut sum);
    assert!(find(core.heard(5), &sum).is_some());
    assert!((0..4).all(|pair| core.rtp_from(pair).len() >= 23));
}

// RFC 3435 §2.3.1.
#[test]
fn loopback_returns_the_circuit_to_itself_and_takes_it_out_of_the_mix() {
    let (core, _) = endpoint(Mode::Loopback, Mode::SendReceive);
    assert!(core.rtp_from(0).is_empty() && core.rtp_from(1).is_empty());
    assert_eq!(core.heard(5)[BLOCK..], core.said(5)[..99 * BLOCK], "a block later");
}

#[test]
fn conference_forwarding_goes_on_while_the_circuit_is_tested() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::Conference, peer(1)));
    core.connect(5, 1, leg(Mode::Conference, peer(2)));
    core.connect(5, 2, leg(Mode::Loopback, peer(3)));
    let mut peers = [Peer::new(1, 0), Peer::new(2, 1)];
    core.talk(&mut peers, 100);
    assert_eq!(core.heard(5)[BLOCK..], core.said(5)[..99 * BLOCK]);
    for (pair, other) in [(0, 1), (1, 0)] {
        let octets = joined(&core.rtp_from(pair));
        assert!(find(&octets, &peers[other].said()[..1_600]).is_some(), "one source passes bit-exact");
    }
}

#[test]
fn netwloop_returns_the_peers_octets_in_packets_of_our_own() {
    let mut core = Core::new();
    let leg = Leg { ptime_ms: ms(30), send: pcm(Law::A), ..leg(Mode::NetworkLoopback, peer(1)) };
    core.connect(5, 0, leg);
    let mut peers = [Peer::new(1, 0)];
    core.talk(&mut peers, 100);
    let packets = core.rtp_from(0);
    assert!(packets.iter().all(|packet| packet.ssrc == identity(0).ssrc && packet.payload.len() == 240));
    assert!(find(&joined(&packets), &peers[0].said()[..1_600]).is_some());
    assert_silent(core.heard(5));
}

/// The share of `octets` that is a sine of `hz`.
fn share(octets: &[u8], hz: f64) -> f64 {
    let (mut re, mut im, mut energy) = (0.0, 0.0, 0.0);
    for (n, &octet) in octets.iter().enumerate() {
        let sample = f64::from(Law::A.decode(octet));
        let (sin, cos) = (n as f64 * hz * std::f64::consts::TAU / 8_000.0).sin_cos();
        re += sample * cos;
        im += sample * sin;
        energy += sample * sample;
    }
    2.0 * (re * re + im * im) / (octets.len() as f64 * f64::max(energy, 1.0))
}

// RFC 3435 §2.3.1: the circuit is placed in transponder mode; RFC 3660 §2.3 has the tones.
#[test]
fn conttest_answers_the_circuit_with_the_other_tone() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::ContinuityTest, peer(1)));
    core.connect(5, 1, leg(Mode::SendReceive, peer(2)));
    core.tone = Some(Tone::new(Law::A, 2_010.0, -12.0));
    core.talk(&mut [Peer::new(2, 1)], 100);
    let heard = core.heard(5);
    assert_silent(&heard[..5 * BLOCK]);
    assert!(share(&heard[50 * BLOCK..], 1_780.0) > 0.95);
    assert!(core.rtp_from(0).is_empty() && core.rtp_from(1).is_empty());
}

#[test]
fn netwtest_answers_the_peer_with_the_other_tone() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::NetworkContinuityTest, peer(1)));
    let mut tone = Tone::new(Law::A, 1_780.0, -12.0);
    let mut says = Peer::new(1, 0);
    for _ in 0..25 {
        let mut packet = says.packet(160);
        tone.fill(&mut packet[Header::LEN..]);
        core.coming.push((rtp(0), says.from, packet));
        core.ticks(4);
    }
    let octets = joined(&core.rtp_from(0));
    assert!(share(&octets[octets.len() / 2..], 2_010.0) > 0.95);
    assert_silent(core.heard(5));
}

#[test]
fn a_mode_that_pauses_keeps_ssrc_and_sequence_and_its_timestamps_go_with_the_line() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::SendReceive, peer(1)));
    core.ticks(40);
    core.modify(0, leg(Mode::Inactive, peer(1)));
    core.ticks(37);
    core.modify(0, leg(Mode::SendOnly, peer(1)));
    core.ticks(40);
    let packets = core.rtp_from(0);
    let line = core.said(5);
    for (n, packet) in packets.iter().enumerate() {
        assert_eq!(packet.sequence, identity(0).sequence.wrapping_add(n as u16));
        let at = packet.timestamp.wrapping_sub(identity(0).timestamp) as usize;
        assert_eq!(packet.payload, line[at..at + 160], "each packet is where its timestamp says");
    }
    assert!((18..20).contains(&packets.len()));
}

#[test]
fn a_change_to_any_ptime_loses_no_octet() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::SendOnly, peer(1)));
    for ptime in [5, 60, 10, 40, 30, 20, 5, 20] {
        core.ticks(23);
        core.modify(0, Leg { ptime_ms: ms(ptime), ..leg(Mode::SendOnly, peer(1)) });
    }
    core.ticks(23);
    let octets = joined(&core.rtp_from(0));
    assert!(octets.len() > 9 * 23 * BLOCK - 2 * 480);
    assert!(find(&core.said(5), &octets).is_some());
}

#[test]
fn a_block_that_a_card_takes_late_has_nothing_of_a_pair_s_call_before() {
    let silence = Law::A.silence();
    // Where the new packets begin depends on the line's clock: one of four blocks is the first of a packet.
    let phases = (4..8).flat_map(|idle| [(Mode::NetworkLoopback, 0, idle), (Mode::Conference, 1, idle)]);
    for (mode, from, idle) in phases {
        let mut core = Core::new();
        core.connect(5, 0, leg(mode, peer(1)));
        core.connect(5, 1, leg(Mode::Conference, peer(2)));
        core.talk(&mut [Peer::new(1, 0)], 40);
        core.disconnect(0);
        core.disconnect(1);
        core.ticks(idle);
        core.out.clear();
        // The block is played, and not taken before the next calls are made.
        let (tx, rx, _) = &mut core.lines[0];
        core.engine.playout(0, rx, tx);
        core.connect(5, 0, leg(mode, peer(1)));
        core.connect(5, 1, leg(Mode::Conference, peer(2)));
        let (_, rx, clock) = &mut core.lines[0];
        rx.timeslot_mut(ds0(0, 5).timeslot).fill(silence);
        *clock += BLOCK as u64;
        core.engine.capture(core.now, 0, rx);
        core.now += FRAME * BLOCK as u32;
        core.scripts.insert(5, VecDeque::new());
        core.ticks(12);
        let sent = joined(&core.rtp_from(from));
        let is_still = sent.iter().all(|&octet| Law::A.decode(octet).abs() <= 24);
        assert!(!sent.is_empty() && is_still, "{mode}: {sent:?}");
    }
}
