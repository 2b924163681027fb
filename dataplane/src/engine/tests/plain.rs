//! The short way of a timeslot with one connection and nothing else.

use super::*;
use crate::link::{Blend, DetectorSet, Frequency, PlayId, ToneSpec};

/// What both cores are told to do.
fn orders(random: &mut StdRng) -> Vec<Action> {
    let peer = match random.random_range(0..8) {
        0 => link::Peer::OnHold,
        1 => link::Peer::Undescribed,
        2 => link::Peer::Local(rtp(2)),
        _ => link::Peer::At(peer(1)),
    };
    let mode = if random.random() { Mode::SendReceive } else { Mode::ALL[random.random_range(0..9)] };
    let law = if random.random() { Law::A } else { Law::Mu };
    let leg = Leg { peer, send: pcm(law), ..leg(mode, self::peer(1)) };
    let tone = ToneSpec::steady(&[Frequency::hz(440, -25)], Blend::Added);
    let (line, network) = (Side::Line(ds0(0, 17)), Side::Network(rtp(1)));
    let play = PlayId(7);
    match random.random_range(0..8) {
        0 => vec![Action::Stop { side: line, play }, Action::Play { side: line, play, tone }],
        1 => vec![Action::Stop { side: network, play }, Action::Play { side: network, play, tone }],
        2 | 3 => [line, network].map(|side| Action::Stop { side, play }).into(),
        4 => vec![Action::Encode { ds0: ds0(0, 17), law }],
        5 => vec![Action::Disconnect { port: rtp(1) }, connect(17, 1, leg)],
        _ => vec![Action::Modify { port: rtp(1), leg }],
    }
}

fn connect(timeslot: u8, pair: u32, leg: Leg) -> Action {
    Action::Connect { ds0: ds0(0, timeslot), port: rtp(pair), identity: identity(pair), leg }
}

/// Octets and packets are the same as those of a line that is listened to, which never goes the short way.
#[test]
fn the_short_way_is_the_same_as_the_long_one() {
    for seed in 0..40 {
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let mut cores = [Core::new(), Core::new()];
        cores[1].order(Action::Watch { side: Side::Line(ds0(0, 17)), detectors: DetectorSet::MILLIWATT });
        let local = Leg { peer: link::Peer::Local(rtp(1)), ..leg(Mode::SendReceive, peer(2)) };
        for core in &mut cores {
            core.order(connect(17, 1, leg(Mode::SendReceive, peer(1))));
            core.order(connect(18, 2, local));
        }
        assert_eq!(
            cores.each_ref().map(|core| core.engine.spans[0].plain.timeslots),
            [0b110 << 16, 0b100 << 16]
        );
        let mut talker = Peer::new(1, 1);
        for _ in 0..400 {
            let orders = if random.random_ratio(1, 20) { orders(&mut random) } else { Vec::new() };
            let mut coming = Vec::new();
            talker.speak(&mut coming);
            if random.random_ratio(1, 15) {
                coming.clear();
            }
            for core in &mut cores {
                orders.iter().for_each(|action| {
                    core.order(action.clone());
                });
                core.coming.extend(coming.iter().cloned());
                core.tick();
            }
        }
        let [plain, watched] = &cores;
        for timeslot in [17, 18] {
            assert_eq!(plain.heard(timeslot), watched.heard(timeslot));
        }
        for pair in [1, 2] {
            assert_eq!(plain.rtp_from(pair), watched.rtp_from(pair));
        }
        for counter in Counter::ALL {
            assert_eq!(plain.count(*counter), watched.count(*counter), "{counter:?}");
        }
    }
}
