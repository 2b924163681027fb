//! Local connections: two DS0s of one core, without a packet between them.

use super::*;
use crate::link::{DetectorSet, PlayId, Sound, ToneSpec};

fn to(pair: u32, mode: Mode) -> Leg {
    Leg { peer: link::Peer::Local(rtp(pair)), ..leg(mode, peer(1)) }
}

impl Core {
    fn connect_to(&mut self, ds0: Ds0, pair: u32, leg: Leg) {
        let action = Action::Connect { ds0, port: rtp(pair), identity: identity(pair), leg };
        assert_eq!(self.order(action), Outcome::Done);
    }

    /// Timeslots 1 and 2 of span 0, by pairs 1 and 2, in these modes.
    fn join(&mut self, modes: [Mode; 2]) {
        self.connect_to(ds0(0, 1), 1, to(2, modes[0]));
        self.connect_to(ds0(0, 2), 2, to(1, modes[1]));
    }
}

#[test]
fn what_one_ds0_says_the_other_hears_bit_exact_two_blocks_later() {
    let mut core = Core::new();
    core.join([Mode::SendReceive; 2]);
    core.ticks(24_000); // two minutes
    for (speaker, listener) in [(1, 2), (2, 1)] {
        let begin = assert_hears(core.heard(listener), &core.said(speaker));
        // What comes in a block can be played in the one after the next: 10 ms from line to line.
        assert_eq!(begin, BLOCK);
    }
    assert!(core.out.is_empty(), "nothing leaves the core");
    assert_eq!([Counter::RtpSent, Counter::RtcpSent, Counter::LocalSlips].map(|one| core.count(one)), [0; 3]);
    assert_eq!(core.count(Counter::ConcealedOctets), 0);
}

#[test]
fn between_two_spans_it_is_a_block_more() {
    let mut core = Core::with_spans(2, BLOCK);
    core.connect_to(ds0(1, 9), 1, to(2, Mode::SendReceive));
    core.connect_to(ds0(0, 2), 2, to(1, Mode::SendReceive));
    core.ticks(400);
    let said: Vec<u8> = (0..core.lines[1].2).map(|clock| said(ds0(1, 9), clock)).collect();
    assert_eq!(assert_hears(core.heard(2), &said), 2 * BLOCK);
}

#[test]
fn laws_are_translated_and_data_are_not() {
    for (send, is_translated) in
        [(pcm(Law::A), true), (Format { payload_type: 97, codec: Codec::Clearmode }, false)]
    {
        let mut core = Core::new();
        core.order(Action::Encode { ds0: ds0(0, 2), law: Law::Mu });
        core.connect_to(ds0(0, 1), 1, Leg { send, ..to(2, Mode::SendReceive) });
        core.connect_to(ds0(0, 2), 2, Leg { send, ..to(1, Mode::SendReceive) });
        core.ticks(100);
        for (speaker, listener, from, to) in [(1, 2, Law::A, Law::Mu), (2, 1, Law::Mu, Law::A)] {
            let table = g711::translate(from, to).expect("the laws differ");
            let said = core.said(speaker);
            let expected: Vec<u8> =
                said.iter().map(|&one| if is_translated { table[usize::from(one)] } else { one }).collect();
            let heard = &core.heard(listener)[BLOCK..];
            assert_eq!(heard[..], expected[..heard.len()]);
        }
    }
}

#[test]
fn a_law_that_changes_changes_both_ways() {
    let mut core = Core::new();
    core.join([Mode::SendReceive; 2]);
    core.ticks(50);
    core.order(Action::Encode { ds0: ds0(0, 1), law: Law::Mu });
    let begin = core.heard(1).len();
    core.ticks(50);
    let (to_mu, to_a) = (g711::translate(Law::A, Law::Mu), g711::translate(Law::Mu, Law::A));
    for (speaker, listener, table) in [(1, 2, to_a), (2, 1, to_mu)] {
        let said: Vec<u8> =
            core.said(speaker).iter().map(|&octet| table.expect("they differ")[usize::from(octet)]).collect();
        let heard = &core.heard(listener)[begin + 2 * BLOCK..];
        assert_eq!(heard[..], said[begin + BLOCK..][..heard.len()]);
    }
}

// RFC 3435 §2.3.1 and Appendix D: either side's mode counts, as on any connection.
#[test]
fn the_modes_of_both_connections_count() {
    for a in Mode::ALL {
        for b in Mode::ALL {
            let mut core = Core::new();
            core.join([a, b]);
            core.ticks(100);
            for (from, to, speaker, listener) in [(a, b, 1, 2), (b, a, 2, 1)] {
                let (fed, heard) = (from.is_fed(), to.is_heard());
                let (tests, hears) = (
                    matches!(to, Mode::Loopback | Mode::ContinuityTest),
                    find(core.heard(listener), &core.said(speaker)[..400]).is_some(),
                );
                assert_eq!(hears, fed && heard, "from {from} to {to}");
                if !hears && !tests && !matches!(from, Mode::NetworkLoopback | Mode::NetworkContinuityTest) {
                    assert_silent(core.heard(listener));
                }
            }
        }
    }
}

#[test]
fn network_loopback_gives_a_ds0_its_own_octets_back() {
    let mut core = Core::new();
    core.join([Mode::SendReceive, Mode::NetworkLoopback]);
    core.ticks(100);
    assert_eq!(assert_hears(core.heard(1), &core.said(1)), 2 * BLOCK);
    assert_silent(core.heard(2));
}

#[test]
fn conferences_join_over_local_connections() {
    let mut core = Core::new();
    core.connect(1, 1, leg(Mode::Conference, peer(1)));
    core.connect_to(ds0(0, 1), 2, to(3, Mode::Conference));
    core.connect_to(ds0(0, 2), 3, to(2, Mode::SendReceive));
    core.ticks(100);
    let octets = joined(&core.rtp_from(1));
    assert!(octets.len() > 3_000);
    let (first, second) = (core.said(1), core.said(2));
    let n = octets.len();
    let begin = (0..800).find(|&at| {
        (400..n).all(|i| {
            let mut sum = [0];
            g711::mix(Law::A, &[&first[at + i..][..1], &second[at + i - BLOCK..][..1]], &mut sum);
            sum[0] == octets[i]
        })
    });
    assert!(begin.is_some(), "the peer hears the sum of both");
}

#[test]
fn a_leg_whose_peer_is_gone_or_another_by_now_hears_nothing_and_tells_nothing() {
    let mut core = Core::new();
    core.join([Mode::SendReceive; 2]);
    core.ticks(50);
    core.disconnect(2);
    core.ticks(2);
    core.heard.clear();
    core.ticks(50);
    assert_silent(core.heard(1));
    // The pair is another's by now, and does not name pair 1.
    core.connect_to(ds0(0, 3), 2, to(4, Mode::SendReceive));
    core.connect_to(ds0(0, 4), 4, to(2, Mode::SendReceive));
    core.heard.clear();
    core.ticks(50);
    assert_silent(core.heard(1));
    assert!(find(core.heard(3), &core.said(1)[4_400..4_800]).is_none());
    let said = core.said(4);
    assert!(find(core.heard(3), &said[4_400..4_800]).is_some());
    core.disconnect(1);
}

#[test]
fn nobody_gets_in_from_outside() {
    let mut core = Core::new();
    core.join([Mode::ReceiveOnly; 2]);
    core.talk(&mut [Peer::new(1, 1)], 100);
    assert_silent(core.heard(1));
    assert_eq!(core.count(Counter::DroppedSource), 25);
}

#[test]
fn a_leg_moves_from_a_local_peer_to_one_of_the_network_and_back() {
    let mut core = Core::new();
    core.join([Mode::SendReceive; 2]);
    core.ticks(50);
    core.modify(1, leg(Mode::SendReceive, peer(1)));
    core.heard.clear();
    core.talk(&mut [Peer::new(1, 1)], 100);
    assert_hears(core.heard(1), &Peer::new(1, 1).clone_after(25).said());
    assert!(core.rtp_from(1).len() >= 24);
    core.out.clear();
    core.modify(1, to(2, Mode::SendReceive));
    core.ticks(2);
    core.out.clear();
    let (before, begin) = (core.lines[0].2, core.heard(2).len());
    core.ticks(100);
    assert!(core.out.is_empty());
    let said = core.said(1);
    assert_eq!(core.heard(2)[begin..][..800], said[before as usize - BLOCK..][..800]);
}

#[test]
fn tones_pass_and_are_heard_on_the_other_side() {
    let mut core = Core::new();
    core.join([Mode::Inactive, Mode::SendReceive]);
    let digit = link::Digit::new('5').expect("a digit");
    let side = Side::Network(rtp(2));
    core.order(Action::Watch { side, detectors: DetectorSet::DTMF });
    let tone = ToneSpec::dtmf(digit, -10, 60, 60);
    core.order(Action::Play { side: Side::Network(rtp(1)), play: PlayId(1), tone });
    core.ticks(60);
    core.order(Action::Survey { port: rtp(1) });
    while let Some(report) = core.engine.poll_report() {
        if let Report::Observed { side, what, .. } = report {
            core.observed.push((side, what));
        }
    }
    assert!(core.observed.contains(&(side, Observation::Began(Sound::Digit(digit)))), "{:?}", core.observed);
    assert!(core.heard(2).iter().any(|&octet| octet != Law::A.silence()));
}

#[test]
fn blocks_are_counted_as_packets() {
    let mut core = Core::new();
    core.join([Mode::SendOnly, Mode::ReceiveOnly]);
    core.ticks(100);
    let (one, two) = (core.survey(1), core.disconnect(2));
    assert_eq!((one.packets_sent, one.octets_sent), (100, 4_000));
    assert_eq!((one.packets_received, one.octets_received, one.packets_lost), (0, 0, 0));
    assert_eq!((two.packets_received, two.octets_received, two.packets_lost), (100, 4_000, 0));
    assert_eq!((two.packets_sent, two.playout_delay), (0, Duration::from_millis(5)));
}

/// Two spans of one engine whose lines' clocks differ, for minutes.
#[test]
fn two_lines_whose_clocks_differ_slip_octet_by_octet() {
    let mut core = Core::with_spans(2, BLOCK);
    core.connect_to(ds0(0, 1), 1, to(2, Mode::SendReceive));
    core.connect_to(ds0(1, 1), 2, to(1, Mode::SendReceive));
    // 5 ms at +50 ppm and at -50 ppm.
    let (times, mut due) = ([4_999_750_u64, 5_000_250], [0_u64, 1_000_000]);
    let mut heard = [Vec::new(), Vec::new()];
    while due[0] < 300_000_000_000 {
        let span = usize::from(due[1] < due[0]);
        let now = Instant::from_nanos(1_000_000_000 + due[span]);
        due[span] += times[span];
        let (tx, rx, clock) = &mut core.lines[span];
        core.engine.playout(span, rx, tx);
        let timeslot = ds0(0, 1).timeslot;
        heard[span].extend_from_slice(tx.timeslot(timeslot));
        for (i, octet) in rx.timeslot_mut(timeslot).iter_mut().enumerate() {
            *octet = ((*clock + i as u64) % 199) as u8;
        }
        *clock += BLOCK as u64;
        core.engine.capture(now, span, rx);
        core.engine.transmit(now, &mut core.sockets);
    }
    let mut slips = 0;
    for heard in &heard {
        let step = |two: &[u8]| (i32::from(two[1]) - i32::from(two[0])).rem_euclid(199);
        let begin = heard.windows(3).position(|three| step(&three[..2]) == 1 && step(&three[1..]) == 1);
        for two in heard[begin.expect("it is heard")..].windows(2) {
            assert!((0..=2).contains(&step(two)), "one octet at most is repeated or left out: {two:?}");
            slips += u64::from(step(two) != 1);
        }
    }
    assert_eq!(slips, core.count(Counter::LocalSlips));
    // 100 ppm of 300 s each way are 240 octets each.
    assert!((400..=560).contains(&slips), "{slips}");
    assert_eq!(core.count(Counter::ConcealedOctets), 0);
    let delays = [1, 2].map(|pair| core.survey(pair).playout_delay);
    assert!(delays.iter().all(|delay| *delay <= Duration::from_millis(15)), "{delays:?}");
}

impl Peer {
    /// As it is when it has said `packets`.
    fn clone_after(&self, packets: usize) -> Self {
        let mut later = self.clone();
        (0..packets).for_each(|_| drop(later.packet(160)));
        later
    }
}
