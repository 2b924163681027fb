//! Media that are looked after (RFC 3660 §2.10).

use super::*;
use crate::link::{MediaEvent, Quality, Silence, Supervision};

const SECOND: usize = 200;

/// A second and a turn of all pairs: what is due is told by then.
const LATER: usize = SECOND + 16;

impl Core {
    fn supervise(&mut self, pair: u32, wanted: Supervision) {
        assert_eq!(self.order(Action::Supervise { port: rtp(pair), wanted }), Outcome::Done);
    }

    /// What has been told of media since this was asked last.
    fn looked_after(&mut self) -> Vec<MediaEvent> {
        while let Some(report) = self.engine.poll_report() {
            let Report::Observed { side, what, .. } = report else { panic!("unasked: {report:?}") };
            self.observed.push((side, what));
        }
        let told = std::mem::take(&mut self.observed).into_iter().map(|(side, what)| match what {
            Observation::Media(what) => {
                assert_eq!(side, Side::Network(rtp(3)));
                what
            }
            other => panic!("{other:?}"),
        });
        told.collect()
    }
}

fn core(mode: Mode) -> Core {
    let mut core = Core::new();
    core.connect(17, 3, leg(mode, peer(1)));
    core
}

fn silence(after_s: u16, awaits_rtcp: bool) -> Supervision {
    Supervision { silence: Some(Silence { after_s, awaits_rtcp }), ..Supervision::NONE }
}

const START: Supervision = Supervision { start: true, ..Supervision::NONE };
const CHANGES: Supervision = Supervision { changes: true, ..Supervision::NONE };

#[test]
fn the_first_packet_that_a_mode_receives_is_told_once() {
    let mut core = core(Mode::SendOnly);
    core.supervise(3, START);
    let mut peers = [Peer::new(1, 3)];
    core.talk(&mut peers, 20);
    assert_eq!(core.looked_after(), [], "it receives nothing");
    core.modify(3, leg(Mode::SendReceive, peer(1)));
    core.talk(&mut peers, 20);
    assert_eq!(core.looked_after(), [MediaEvent::Began]);
    core.supervise(3, START);
    core.talk(&mut peers, 20);
    assert_eq!(core.looked_after(), [], "it began long ago");
    // Whoever comes next on the pair begins anew.
    core.disconnect(3);
    core.connect(17, 3, leg(Mode::SendReceive, peer(1)));
    core.talk(&mut peers, 20);
    assert_eq!(core.looked_after(), [], "nobody asks any more");
}

#[test]
fn silence_is_told_when_it_has_lasted_and_once() {
    let mut core = core(Mode::SendReceive);
    core.supervise(3, silence(2, false));
    let mut peers = [Peer::new(1, 3)];
    core.talk(&mut peers, 3 * SECOND);
    core.ticks(SECOND + SECOND / 2);
    assert_eq!(core.looked_after(), [], "the last packet was a second and a half ago");
    core.ticks(LATER);
    assert_eq!(core.looked_after(), [MediaEvent::Missing { after_s: 2 }]);
    core.ticks(5 * SECOND);
    assert_eq!(core.looked_after(), []);
    core.supervise(3, silence(1, false));
    core.ticks(LATER);
    assert_eq!(core.looked_after(), [MediaEvent::Missing { after_s: 1 }], "the next request starts it again");
}

/// Comfort noise that nobody has agreed on is no media of ours, but somebody is there.
#[test]
fn whatever_comes_from_the_peer_breaks_the_silence() {
    let mut core = core(Mode::SendReceive);
    core.supervise(3, silence(1, false));
    let mut peers = [Peer { payload_type: 13, ..Peer::new(1, 3) }];
    core.talk(&mut peers, 3 * SECOND);
    assert_eq!((core.looked_after(), core.survey(3).packets_received), (vec![], 0));
    let mut stranger = [Peer::new(2, 3)];
    core.talk(&mut stranger, LATER);
    assert_eq!(
        core.looked_after(),
        [MediaEvent::Missing { after_s: 1 }],
        "who comes from elsewhere is nobody"
    );
}

#[test]
fn silence_that_awaits_rtcp_begins_with_it() {
    let mut core = core(Mode::SendReceive);
    core.supervise(3, silence(1, true));
    core.ticks(5 * SECOND);
    assert_eq!(core.looked_after(), []);
    let rtcp = crate::rtp::rtcp::Compound { ssrc: 5, sender: None, block: None, cname: b"a", bye: false };
    let mut octets = vec![0; rtcp.len()];
    rtcp.emit(&mut octets);
    core.coming.push((rtp(3).rtcp(), peer(1).rtcp, octets));
    core.ticks(SECOND / 2);
    assert_eq!(core.looked_after(), []);
    core.ticks(LATER + SECOND);
    assert_eq!(core.looked_after(), [MediaEvent::Missing { after_s: 1 }]);
}

/// A peer that loses each `nth` packet, for so many ticks.
fn lose(core: &mut Core, peer: &mut Peer, nth: u16, ticks: usize) {
    for _ in 0..ticks {
        peer.speak(&mut core.coming);
        core.coming.retain(|(_, _, octets)| u16::from_be_bytes([octets[2], octets[3]]) % nth != 0);
        core.tick();
    }
}

#[test]
fn loss_above_the_threshold_is_told_once_and_loss_below_never() {
    for (per_100k, expected) in [(3_000, vec![]), (1_500, vec![MediaEvent::LossAbove { per_100k: 1_500 }])] {
        let mut core = core(Mode::SendReceive);
        core.supervise(3, Supervision { loss: Some(per_100k), ..Supervision::NONE });
        // 2 %
        lose(&mut core, &mut Peer::new(1, 3), 50, 30 * SECOND);
        assert_eq!(core.looked_after(), expected, "{per_100k}");
    }
}

/// One packet of 250 is 400 of 100,000; whether it is more than 10 takes longer to know.
#[test]
fn one_packet_lost_does_not_exceed_a_threshold_that_takes_thousands_to_see() {
    let mut core = core(Mode::SendReceive);
    core.supervise(3, Supervision { loss: Some(10), ..Supervision::NONE });
    let mut peer = Peer::new(1, 3);
    core.talk(std::slice::from_mut(&mut peer), SECOND);
    peer.sequence += 1;
    core.talk(std::slice::from_mut(&mut peer), 10 * SECOND);
    assert_eq!(core.looked_after(), []);
    peer.sequence += 1;
    core.talk(std::slice::from_mut(&mut peer), LATER);
    assert_eq!(core.looked_after(), [MediaEvent::LossAbove { per_100k: 10 }]);
}

#[test]
fn quality_is_told_when_it_turns_bad_and_again_only_after_it_was_good() {
    let mut core = core(Mode::SendReceive);
    let quality = Some(Quality { loss: 1_000, delay_ms: 150, jitter_ms: 50 });
    core.supervise(3, Supervision { quality, ..Supervision::NONE });
    let mut peer = Peer::new(1, 3);
    for (nth, expected) in [(50, 1), (u16::MAX, 0), (50, 1)] {
        lose(&mut core, &mut peer, nth, 30 * SECOND);
        assert_eq!(core.looked_after(), vec![MediaEvent::Poor; expected], "one of {nth}");
    }
    let delay = Some(Quality { loss: 100_000, delay_ms: 10, jitter_ms: 50 });
    core.supervise(3, Supervision { quality: delay, ..Supervision::NONE });
    core.talk(&mut [peer], 6 * SECOND);
    assert_eq!(core.looked_after(), [MediaEvent::Poor], "the jitter buffer alone takes 20 ms");
}

#[test]
fn changes_of_codec_packet_time_and_delay_are_looked_after() {
    let mut core = core(Mode::SendReceive);
    let adaptive = JitterBounds { nominal_ms: 20, max_ms: 100, adaptive: true };
    core.modify(3, Leg { jitter: adaptive, ..leg(Mode::SendReceive, peer(1)) });
    core.supervise(3, CHANGES);
    let mut peers = [Peer::new(1, 3)];
    core.talk(&mut peers, 2 * SECOND);
    assert_eq!(core.looked_after(), [], "what is heard first is no change");
    let [peer] = &mut peers;
    let empty = peer.packet(0);
    core.coming.push((peer.to, peer.from, empty));
    core.ticks(SECOND + SECOND / 2);
    assert_eq!(core.looked_after(), [], "a packet that keeps the way open is none of a length");
    core.talk(&mut peers, 2 * SECOND);
    core.looked_after();
    peers[0].payload_type = 0;
    core.talk(&mut peers, LATER);
    assert_eq!(core.looked_after(), [MediaEvent::Codec { payload_type: 0 }]);
    let [peer] = &mut peers;
    for _ in 0..LATER / 6 {
        let packet = peer.packet(240);
        core.coming.push((peer.to, peer.from, packet));
        core.ticks(6);
    }
    assert_eq!(core.looked_after()[0], MediaEvent::PacketTime { ms: 30 });
    // A route that is 50 ms longer.
    core.ticks(10);
    for _ in 0..LATER / 6 {
        let packet = peer.packet(240);
        core.coming.push((peer.to, peer.from, packet));
        core.ticks(6);
    }
    let told = core.looked_after();
    assert!(matches!(told[..], [MediaEvent::PlayoutDelay { ms: 1.. }, ..]), "{told:?}");
    core.talk(&mut peers, 0);
    core.ticks(3 * SECOND);
    core.supervise(3, Supervision::NONE);
    core.looked_after();
    peers[0].payload_type = 8;
    core.talk(&mut peers, LATER);
    assert_eq!(core.looked_after(), []);
}
