//! What a circuit does for tests, and what is kept from its connections.

use super::*;
use crate::dsp::octet_run::OctetRun;
use crate::link::{CircuitTest, DigitSet, EventFormat, TonePlan};

impl Core {
    fn test(&mut self, test: Option<CircuitTest>) {
        assert_eq!(self.order(Action::Test { ds0: ds0(0, LINE), test }), Outcome::Done);
    }
}

// RFC 3660 §2.3, T/lb.
#[test]
fn a_circuit_in_loopback_returns_what_it_hears_and_nothing_passes_to_or_from_its_connection() {
    for connected in [false, true] {
        let mut core = Core::new();
        if connected {
            core.connect(LINE, 0, leg(Mode::SendReceive, peer(1)));
        }
        core.test(Some(CircuitTest::Loopback));
        let mut peers = [Peer::new(1, 0)];
        core.talk(&mut peers, 60);
        let (said, heard) = (core.said(LINE), core.heard(LINE).to_vec());
        assert_eq!(heard[BLOCK..], said[..heard.len() - BLOCK], "a block later");
        assert!(core.rtp_from(0).is_empty(), "the network hears nothing");
        core.test(None);
        core.talk(&mut peers, 60);
        if connected {
            let after = &core.heard(LINE)[heard.len() + 400..];
            assert!(find(&peers[0].said(), &after[..800]).is_some(), "media pass again");
            assert!(!core.rtp_from(0).is_empty());
        } else {
            assert_silent(&core.heard(LINE)[heard.len() + BLOCK..]);
        }
    }
}

// RFC 3660 §2.3, T/ct.
#[test]
fn a_transponder_answers_the_one_tone_with_the_other() {
    for (answered, is_answered) in [(CheckTone::Co1, true), (CheckTone::Co2, false)] {
        let mut core = Core::new();
        core.test(Some(CircuitTest::Transponder(answered)));
        let mut tone = Tone::new(Law::A, 2_010.0, -12.0);
        let mut octets = vec![0; 4_000];
        octets.chunks_mut(40).for_each(|block| tone.fill(block));
        core.scripts.insert(LINE, octets.into());
        core.ticks(100);
        let heard = core.heard(LINE);
        assert_eq!(heard.iter().any(|octet| *octet != Law::A.silence()), is_answered, "{answered:?}");
    }
}

// RFC 3660 §2.3, T/tp.
#[test]
fn a_pattern_that_is_inserted_comes_back_from_a_loop_and_is_known() {
    for octet in [95, 0, 0x7F, 0xFF] {
        let mut core = Core::new();
        assert_eq!(core.order(Action::Encode { ds0: ds0(0, LINE), law: Law::Mu }), Outcome::Done);
        core.watch(line(), DetectorSet::OCTET);
        core.play(line(), 1, ToneSpec::octet(octet));
        core.ticks(1);
        for _ in 0..30 {
            let heard = core.heard(LINE);
            let last = heard[heard.len() - 40..].to_vec();
            core.scripts.entry(LINE).or_default().extend(last);
            core.ticks(1);
        }
        assert!(core.heard(LINE).iter().all(|heard| *heard == octet), "{octet}: bit-exact");
        assert_eq!(core.observations(), [(line(), Observation::Began(Sound::Octet(octet)))]);
        core.stop(line(), 1);
        core.ticks(10);
        assert!(core.heard(LINE)[31 * BLOCK..].iter().all(|heard| *heard == Law::Mu.silence()));
    }
    let mut run = OctetRun::new();
    run.hear(&[1; 799], |what, _| panic!("{what:?}"));
}

static BUSY: TonePlan = TonePlan::new(&[ToneSpec::new(
    &[Frequency::hz(425, -13)],
    &[Step::first(1, 500), Step::pause(500)],
    Some(0),
    Blend::Alone,
)]);

#[test]
fn a_call_tone_on_the_line_is_observed_there_while_it_is_asked_for() {
    let busy = *BUSY.tone(0).expect("the first");
    let octets = |ms: usize| {
        let mut samples = vec![0; ms * 8];
        Player::new(busy, Law::A).add(&mut samples);
        samples.iter().map(|sample| Law::A.encode(*sample as i16)).collect::<VecDeque<_>>()
    };
    let mut core = Core::new();
    core.watch(line(), DetectorSet::call_tone(&BUSY, 0).with(DetectorSet::DTMF));
    core.scripts.insert(LINE, octets(4_000));
    core.ticks(800);
    assert_eq!(core.observations(), [(line(), Observation::Began(Sound::CallTone(0)))]);
    core.watch(line(), DetectorSet::DTMF);
    core.scripts.insert(LINE, octets(4_000));
    core.ticks(800);
    assert_eq!(core.observations(), []);
}

// RFC 3660 §2.2, D/dd with su.
#[test]
fn digits_that_are_withheld_are_observed_and_neither_heard_nor_told_by_a_peer() {
    let five = DigitSet::NONE.with(digit('5'));
    let events = EventFormat { payload_type: 97, digits: DigitSet::ALL };
    for send_events in [None, Some(events)] {
        let mut core = Core::new();
        core.connect(LINE, 0, Leg { send_events, ..leg(Mode::SendReceive, peer(1)) });
        core.watch(line(), DetectorSet::withholding(five));
        core.scripts.insert(LINE, dialled("56").into());
        core.ticks(48);
        assert_eq!(core.digits_at(line()), "56");
        let sent: Vec<_> = core.rtp_from(0);
        let audio: Vec<u8> =
            sent.iter().filter(|one| one.payload_type == 8).flat_map(|one| one.payload.clone()).collect();
        let told: Vec<u8> =
            sent.iter().filter(|one| one.payload_type == 97).map(|one| one.payload[0]).collect();
        if send_events.is_some() {
            assert!(!told.is_empty() && told.iter().all(|code| *code == 6), "{told:?}");
            assert_eq!(digits_in(&audio), "");
        } else {
            assert_eq!(digits_in(&audio), "6");
        }
    }
}
