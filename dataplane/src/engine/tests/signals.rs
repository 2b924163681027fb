//! Tones that are played, and sounds that are observed, on either side.

use super::*;
use crate::dsp::dtmf::DtmfReceiver;
use crate::dsp::player::Player;
use crate::link::{Blend, CheckTone, DetectorSet, Digit, Frequency, PlayId, Sound, Step, ToneSpec};

mod circuit;
mod dialling;

const LINE: u8 = 17;

fn line() -> Side {
    Side::Line(ds0(0, LINE))
}

fn network(pair: u32) -> Side {
    Side::Network(rtp(pair))
}

fn digit(written: char) -> Digit {
    Digit::new(written).expect("a digit")
}

/// 300 ms of 1,000 Hz.
const BEEP: ToneSpec =
    ToneSpec::new(&[Frequency::hz(1_000, -10)], &[Step::first(1, 300)], None, Blend::Alone);

/// The octets of digits, each for 60 ms, with pauses of 60.
fn dialled(digits: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    for written in digits.chars() {
        let mut samples = [0; 960];
        Player::new(ToneSpec::dtmf(digit(written), -10, 60, 60), Law::A).add(&mut samples);
        octets.extend(samples.map(|sample| Law::A.encode(sample as i16)));
    }
    octets
}

/// The digits that are in some octets.
fn digits_in(octets: &[u8]) -> String {
    let (mut receiver, mut digits) = (DtmfReceiver::new(), String::new());
    for block in octets.chunks_exact(40) {
        let block: Vec<f32> = block.iter().map(|octet| Law::A.decode(*octet).into()).collect();
        receiver.hear(&block, |what, _| digits.extend(began(what)));
    }
    digits
}

fn began(what: Observation) -> Option<char> {
    match what {
        Observation::Began(Sound::Digit(digit)) => Some(digit.written()),
        _ => None,
    }
}

impl Core {
    fn watch(&mut self, side: Side, detectors: DetectorSet) {
        assert_eq!(self.order(Action::Watch { side, detectors }), Outcome::Done);
    }

    fn play(&mut self, side: Side, play: u32, tone: ToneSpec) {
        assert_eq!(self.order(Action::Play { side, play: PlayId(play), tone }), Outcome::Done);
    }

    fn stop(&mut self, side: Side, play: u32) {
        assert_eq!(self.order(Action::Stop { side, play: PlayId(play) }), Outcome::Done);
    }

    /// What was observed since this was last asked.
    fn observations(&mut self) -> Vec<(Side, Observation)> {
        while let Some(report) = self.engine.poll_report() {
            let Report::Observed { side, what, at } = report else { panic!("{report:?}") };
            assert!(at <= self.now, "nothing is observed before it happens");
            self.observed.push((side, what));
        }
        std::mem::take(&mut self.observed)
    }

    /// The digits that were observed at a side; nothing may have been at any other.
    fn digits_at(&mut self, expected: Side) -> String {
        let observed = self.observations();
        assert!(observed.iter().all(|(side, _)| *side == expected), "{observed:?}");
        observed.iter().filter_map(|(_, what)| began(*what)).collect()
    }
}

#[test]
fn digits_from_the_line_are_observed_there_with_a_connection_and_without() {
    let mut core = Core::new();
    core.watch(line(), DetectorSet::DTMF);
    core.scripts.insert(LINE, dialled("159*").into());
    core.ticks(100);
    assert_eq!(core.digits_at(line()), "159*");
    core.connect(LINE, 0, leg(Mode::SendReceive, peer(1)));
    core.scripts.insert(LINE, dialled("0#").into());
    core.ticks(60);
    assert_eq!(core.digits_at(line()), "0#");
    core.watch(line(), DetectorSet::NONE);
    core.scripts.insert(LINE, dialled("7").into());
    core.ticks(60);
    assert_eq!(core.observations(), []);
}

#[test]
fn an_observation_says_when_it_was_to_a_few_ms() {
    let mut core = Core::new();
    core.watch(line(), DetectorSet::DTMF);
    core.scripts.insert(LINE, dialled("5").into());
    let begin = core.now;
    core.ticks(60);
    let times: Vec<_> = std::iter::from_fn(|| core.engine.poll_report())
        .map(|report| match report {
            Report::Observed { at, what, .. } => (at, what),
            other => panic!("{other:?}"),
        })
        .collect();
    let [(at, Observation::Began(_)), (end, Observation::Ended { ms, .. })] = times[..] else {
        panic!("{times:?}")
    };
    // A block's octets were said in the time before it was taken.
    let begin = begin.as_nanos() as i64 - 5_000_000;
    assert!((at.as_nanos() as i64 - begin).abs() <= 6_000_000);
    assert!((end.as_nanos() as i64 - begin - 60_000_000).abs() <= 6_000_000);
    assert!((55..=65).contains(&ms));
}

#[test]
fn digits_that_a_peer_sounds_are_observed_on_its_connection_while_its_mode_receives() {
    for (mode, expected) in [
        (Mode::ReceiveOnly, "84"),
        (Mode::SendReceive, "84"),
        (Mode::NetworkLoopback, "84"),
        (Mode::SendOnly, ""),
        (Mode::Inactive, ""),
        (Mode::Loopback, ""),
    ] {
        let mut core = Core::new();
        core.connect(LINE, 0, leg(mode, peer(1)));
        core.watch(network(0), DetectorSet::DTMF);
        say(&mut core, &dialled("84"));
        assert_eq!(core.digits_at(network(0)), expected, "{mode}");
    }
}

/// Peer 1 says this to pair 0, and then is silent for a while.
fn say(core: &mut Core, octets: &[u8]) {
    for (index, payload) in octets.chunks(160).enumerate() {
        let header = Header {
            marker: false,
            payload_type: 8,
            sequence: index as u16,
            timestamp: index as u32 * 160,
            ssrc: 77,
        };
        core.coming.push((rtp(0), peer(1).rtp, packet_of(header, payload)));
        core.ticks(4);
    }
    core.ticks(20);
}

#[test]
fn a_tone_on_the_line_is_heard_there_alone_and_its_end_is_told() {
    let mut core = Core::new();
    core.connect(LINE, 0, leg(Mode::SendReceive, peer(1)));
    core.play(line(), 5, BEEP);
    let mut peers = [Peer::new(1, 0)];
    core.talk(&mut peers, 100);
    assert_eq!(core.observations(), [(line(), Observation::PlayEnded(PlayId(5)))]);
    let mut beep = [0; 2_400];
    Player::new(BEEP, Law::A).add(&mut beep);
    let beep = beep.map(|sample| Law::A.encode(sample as i16));
    assert_eq!(core.heard(LINE)[..2_400], beep, "from the first octet to the last");
    let after = &core.heard(LINE)[2_400..];
    assert!(find(&peers[0].said(), &after[..800]).is_some(), "then the peer is heard, bit-exact");
    let sent = joined(&core.rtp_from(0));
    assert!(find(&core.said(LINE), &sent).is_some(), "the peer hears the line and nothing else");
    assert_silent(core.heard(LINE + 1));
}

#[test]
fn a_tone_on_a_line_without_connections_leaves_silence_behind() {
    let mut core = Core::new();
    core.play(line(), 5, BEEP);
    core.ticks(100);
    assert_ne!(core.heard(LINE)[2_390..2_399], [Law::A.silence(); 9]);
    assert_silent(&core.heard(LINE)[2_400..]);
}

#[test]
fn a_tone_that_is_added_leaves_the_voice_audible() {
    let mut core = Core::new();
    core.connect(LINE, 0, leg(Mode::SendReceive, peer(1)));
    core.scripts.insert(LINE, VecDeque::new());
    let quiet = ToneSpec::steady(&[Frequency::hz(440, -25)], Blend::Added);
    core.play(line(), 5, quiet);
    say(&mut core, &dialled("6"));
    assert_eq!(digits_in(core.heard(LINE)), "6");
    let (last, silence) = (core.heard(LINE).len() - 200, Law::A.silence());
    assert!(core.heard(LINE)[last..].iter().filter(|octet| **octet == silence).count() < 20);
}

#[test]
fn tones_are_played_at_once_and_stopped_one_by_one() {
    let mut core = Core::new();
    let one = |hz| ToneSpec::steady(&[Frequency::hz(hz, -10)], Blend::Alone);
    core.play(line(), 1, one(697));
    core.play(line(), 2, one(1_209));
    core.ticks(20);
    core.stop(line(), 2);
    core.ticks(20);
    core.stop(line(), 1);
    core.stop(line(), 1);
    core.ticks(2);
    assert_eq!(digits_in(core.heard(LINE)), "1");
    assert_silent(&core.heard(LINE)[1_600..]);
    assert_eq!(core.observations(), [], "a tone that is stopped has not ended by itself");
}

// RFC 3435 §2.3.1.
#[test]
fn a_tone_on_a_connection_is_sent_whatever_the_mode_and_the_line_does_not_hear_it() {
    for mode in Mode::ALL {
        let mut core = Core::new();
        core.connect(LINE, 0, leg(mode, peer(1)));
        core.ticks(3);
        core.play(network(0), 9, ToneSpec::dtmf(digit('3'), -10, 100, 60));
        core.ticks(60);
        assert_eq!(core.observations(), [(network(0), Observation::PlayEnded(PlayId(9)))], "{mode}");
        let sent: Vec<u8> = core.rtp_from(0).iter().flat_map(|packet| packet.payload.clone()).collect();
        assert_eq!(digits_in(&sent), "3", "{mode}");
        assert_eq!(digits_in(core.heard(LINE)), "", "{mode}");
        core.out.clear();
        core.ticks(20);
        let goes_on = matches!(
            mode,
            Mode::SendOnly
                | Mode::SendReceive
                | Mode::Conference
                | Mode::NetworkLoopback
                | Mode::NetworkContinuityTest
        );
        assert_eq!(!core.rtp_from(0).is_empty(), goes_on, "{mode}: nothing more than the mode sends");
    }
}

#[test]
fn continuity_is_tested_by_a_tone_and_its_return() {
    let mut core = Core::new();
    core.watch(line(), DetectorSet::CHECK);
    core.play(line(), 1, ToneSpec::steady(&[Frequency::hz(2_010, -12)], Blend::Alone));
    core.ticks(1);
    for _ in 0..40 {
        // The far end has looped the circuit.
        let heard = core.heard(LINE);
        let last = heard[heard.len() - 40..].to_vec();
        core.scripts.entry(LINE).or_default().extend(last);
        core.ticks(1);
    }
    let sound = Sound::Check(CheckTone::Co1);
    assert_eq!(core.observations(), [(line(), Observation::Began(sound))]);
    core.stop(line(), 1);
    core.ticks(20);
    assert!(matches!(core.observations()[..], [(_, Observation::Ended { ms: 190..=215, .. })]));
}

/// An event of digit code 5: how long it has lasted, and whether it is over.
fn event(sequence: u16, timestamp: u32, duration: u16, is_over: bool) -> (PortSlot, SocketAddr, Vec<u8>) {
    let header = Header { marker: false, payload_type: 101, sequence, timestamp, ssrc: 77 };
    let [high, low] = duration.to_be_bytes();
    (rtp(0), peer(1).rtp, packet_of(header, &[5, if is_over { 0x8A } else { 0x0A }, high, low]))
}

fn with_events(mode: Mode) -> Core {
    let mut core = Core::new();
    core.connect(LINE, 0, Leg { receive_events: Some(101), ..leg(mode, peer(1)) });
    core
}

#[test]
fn a_digit_that_comes_as_events_is_observed_once_and_heard_by_the_line() {
    let mut core = with_events(Mode::SendReceive);
    core.watch(network(0), DetectorSet::DTMF);
    for (index, duration) in [160, 320, 480, 640].into_iter().enumerate() {
        core.coming.push(event(index as u16, 8_000, duration, false));
        core.ticks(4);
    }
    for again in 4..7 {
        core.coming.push(event(again, 8_000, 800, true));
        core.ticks(4);
    }
    core.ticks(20);
    let sound = Sound::Digit(digit('5'));
    let ended = Observation::Ended { sound, ms: 100 };
    assert_eq!(core.observations(), [(network(0), Observation::Began(sound)), (network(0), ended)]);
    assert_eq!(digits_in(core.heard(LINE)), "5");
    let sounding = core.heard(LINE).iter().filter(|octet| **octet != Law::A.silence()).count();
    assert!((780..=800).contains(&sounding), "{sounding} octets of 100 ms");
    assert_eq!(core.survey(0).jitter, Duration::ZERO, "reports of one event are no jitter");
}

#[test]
fn events_that_are_lost_and_reordered_make_one_digit() {
    let mut core = with_events(Mode::ReceiveOnly);
    core.watch(network(0), DetectorSet::DTMF);
    // The second report comes first, the end is lost: a digit of 150 ms at most after what was told.
    core.coming.push(event(2, 8_000, 320, false));
    core.coming.push(event(1, 8_000, 160, false));
    core.ticks(100);
    assert_eq!(core.digits_at(network(0)), "5");
    let sounding = core.heard(LINE).iter().filter(|octet| **octet != Law::A.silence()).count();
    assert!((1_150..=1_200).contains(&sounding), "{sounding} octets");
    core.coming.push(event(3, 8_000, 800, true));
    core.ticks(20);
    assert_eq!(core.observations(), [], "what has lapsed does not begin again");
    core.coming.push(event(4, 16_000, 100, true));
    core.ticks(20);
    assert_eq!(core.digits_at(network(0)), "5", "the next is another");
}

#[test]
fn digits_that_come_in_a_burst_are_heard_one_after_the_other() {
    let mut core = with_events(Mode::ReceiveOnly);
    core.watch(network(0), DetectorSet::DTMF);
    // Seven digits of 40 ms with pauses of 40 ms, whose packets the network held up.
    for index in 0..7 {
        let (sequence, timestamp) = (index * 3, 8_000 + u32::from(index) * 640);
        for (report, duration) in [(0, 160), (1, 320), (2, 320)] {
            core.coming.push(event(sequence + report, timestamp, duration, report > 0));
        }
    }
    core.ticks(200);
    assert_eq!(core.digits_at(network(0)), "5555555");
    assert_eq!(digits_in(core.heard(LINE)), "5555555");
    assert_silent(&core.heard(LINE)[core.heard(LINE).len() - 400..]);
}

#[test]
fn digits_that_the_line_has_no_time_for_are_observed_and_counted() {
    let mut core = with_events(Mode::ReceiveOnly);
    core.watch(network(0), DetectorSet::DTMF);
    let mut observed = 0;
    for index in 0..20 {
        core.coming.push(event(index, 8_000 + u32::from(index) * 640, 320, true));
        core.ticks(usize::from(index % 2));
        observed += core.digits_at(network(0)).len();
    }
    core.ticks(400);
    assert_eq!(observed, 20);
    let heard = digits_in(core.heard(LINE)).len();
    let unheard = core.count(Counter::DigitsUnheard) as usize;
    assert!(heard >= 13 && unheard > 0 && heard + unheard == 20, "{heard} and {unheard}");
}

// Timestamps turn over in 149 hours: for half of that, any is older than one that came before.
#[test]
fn a_digit_that_comes_days_after_the_last_is_heard() {
    let mut core = with_events(Mode::ReceiveOnly);
    core.watch(network(0), DetectorSet::DTMF);
    core.coming.push(event(0, 8_000, 320, true));
    core.ticks(40);
    for (sequence, hours) in [(1, 80_u64), (2, 220)] {
        core.now += Duration::from_secs(hours * 3_600);
        let timestamp = (8_000 + hours * 3_600 * 8_000) as u32;
        core.coming.push(event(sequence, timestamp, 320, true));
        core.ticks(40);
        // What is told again of it is not another.
        core.coming.push(event(sequence + 2, timestamp, 320, true));
        core.ticks(40);
        assert!(core.digits_at(network(0)).ends_with('5'), "after {hours} hours");
    }
    assert_eq!(digits_in(core.heard(LINE)), "555");
}

#[test]
fn digits_that_come_at_their_time_do_not_pile_up() {
    let mut core = with_events(Mode::ReceiveOnly);
    let blocks = 50 * 16;
    for index in 0..50 {
        core.coming.push(event(index * 2, 8_000 + u32::from(index) * 640, 160, false));
        core.ticks(8);
        core.coming.push(event(index * 2 + 1, 8_000 + u32::from(index) * 640, 320, true));
        core.ticks(8);
    }
    core.ticks(20);
    assert_eq!(digits_in(core.heard(LINE)).len(), 50);
    assert_silent(&core.heard(LINE)[(blocks + 6) * BLOCK..]);
}

// RFC 4733 §2.5.2.3.
#[test]
fn an_event_longer_than_its_field_is_one_digit() {
    let mut core = with_events(Mode::ReceiveOnly);
    core.watch(network(0), DetectorSet::DTMF);
    for (sequence, timestamp, duration) in
        [(0, 0, 65_000), (1, 0, 65_535), (2, 65_535, 160), (3, 65_535, 800)]
    {
        core.coming.push(event(sequence, timestamp, duration, sequence == 3));
        core.ticks(1);
    }
    core.ticks(1_800);
    let ended = Observation::Ended { sound: Sound::Digit(digit('5')), ms: ((65_535 + 800) / 8) as u16 };
    assert_eq!(core.observations()[1..], [(network(0), ended)]);
}

#[test]
fn a_peer_that_sends_events_and_sounds_its_digits_as_well_is_observed_once() {
    let mut core = with_events(Mode::ReceiveOnly);
    core.watch(network(0), DetectorSet::DTMF);
    for (index, payload) in dialled("5").chunks(160).enumerate() {
        let (sequence, timestamp) = (2 * index as u16, index as u32 * 160);
        let header = Header { marker: false, payload_type: 8, sequence, timestamp, ssrc: 77 };
        core.coming.push((rtp(0), peer(1).rtp, packet_of(header, payload)));
        // It takes 80 ms to recognise what it says, which we have done by then.
        if index >= 4 {
            core.coming.push(event(sequence + 1, 0, 480, index > 4));
        }
        core.ticks(4);
    }
    core.ticks(40);
    assert_eq!(core.digits_at(network(0)), "5");
}

#[test]
fn events_that_were_not_agreed_on_or_are_not_heard_are_dropped() {
    let mut core = Core::new();
    core.connect(LINE, 0, leg(Mode::SendReceive, peer(1)));
    core.watch(network(0), DetectorSet::DTMF);
    core.coming.push(event(0, 8_000, 800, true));
    core.ticks(20);
    assert_eq!((core.observations(), core.count(Counter::DroppedPayloadType)), (vec![], 1));
    let mut core = with_events(Mode::Inactive);
    core.watch(network(0), DetectorSet::DTMF);
    core.coming.push(event(0, 8_000, 800, true));
    core.ticks(20);
    assert_eq!((core.observations(), core.count(Counter::DroppedMode)), (vec![], 1));
    assert_silent(core.heard(LINE));
}

#[test]
fn digits_are_heard_in_the_audio_again_when_events_are_no_longer_agreed_on() {
    let mut core = with_events(Mode::ReceiveOnly);
    core.watch(network(0), DetectorSet::DTMF);
    core.coming.push(event(0, 8_000, 320, true));
    core.ticks(40);
    core.modify(0, leg(Mode::ReceiveOnly, peer(1)));
    for (index, payload) in dialled("6").chunks(160).enumerate() {
        let (sequence, timestamp) = (index as u16 + 1, 16_000 + index as u32 * 160);
        let header = Header { marker: false, payload_type: 8, sequence, timestamp, ssrc: 77 };
        core.coming.push((rtp(0), peer(1).rtp, packet_of(header, payload)));
        core.ticks(4);
    }
    core.ticks(40);
    assert_eq!(core.digits_at(network(0)), "56");
}

#[test]
fn what_was_ordered_for_a_connection_ends_with_it() {
    let mut core = with_events(Mode::SendReceive);
    core.watch(network(0), DetectorSet::DTMF);
    core.play(network(0), 9, BEEP);
    core.coming.push(event(0, 8_000, 800, false));
    core.ticks(2);
    core.disconnect(0);
    core.observations();
    core.out.clear();
    core.connect(LINE, 0, leg(Mode::ReceiveOnly, peer(1)));
    say(&mut core, &dialled("2"));
    assert_eq!(core.observations(), []);
    assert!(core.rtp_from(0).is_empty());
    assert_eq!(digits_in(&core.heard(LINE)[80..]), "2");
}

#[test]
fn observations_that_find_no_room_are_counted_and_orders_are_answered_all_the_same() {
    let mut core = Core::new();
    for timeslot in 1..=31 {
        core.watch(Side::Line(ds0(0, timeslot)), DetectorSet::DTMF);
        core.scripts.insert(timeslot, dialled("5").into());
    }
    core.ticks(60);
    // 31 digits begin and end; there is room for 16.
    assert_eq!(core.count(Counter::ReportsLost), 62 - 16);
    for timeslot in 1..=31 {
        let action = Action::Encode { ds0: ds0(0, timeslot), law: Law::Mu };
        let gear = Gear::for_action(&action);
        core.engine.apply(core.now, &Order { id: OrderId(u64::from(timeslot)), action }, gear);
    }
    let reports: Vec<Report> = std::iter::from_fn(|| core.engine.poll_report()).collect();
    assert_eq!(reports.iter().filter(|report| matches!(report, Report::Done { .. })).count(), 31);
}
