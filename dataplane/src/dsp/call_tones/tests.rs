//! Tones played by the player, through both laws.

use drivers::line::Law;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::dsp::player::Player;
use crate::tone_spec::{Blend, Frequency};

const BUSY: usize = 0;
const CONGESTION: usize = 1;
const DIAL: usize = 2;
const SPECIAL: usize = 3;
const OTHER_SPECIAL: usize = 4;
const TWO_AT_ONCE: usize = 5;

const HZ_425: &[Frequency] = &[Frequency::hz(425, -13)];

static PLAN: TonePlan = TonePlan::new(&[
    cadence(HZ_425, 500, 500),
    cadence(HZ_425, 250, 250),
    ToneSpec::steady(&[Frequency::hz(350, -13), Frequency::hz(440, -13)], Blend::Alone),
    special([9_852, 14_285], [380, 380]),
    special([9_138, 14_285], [274, 380]),
    cadence(&[Frequency::hz(480, -24), Frequency::hz(620, -24)], 250, 250),
]);

const fn cadence(frequencies: &[Frequency], on_ms: u16, off_ms: u16) -> ToneSpec {
    let steps = [Step::first(frequencies.len(), on_ms), Step::pause(off_ms)];
    ToneSpec::new(frequencies, &steps, Some(0), Blend::Alone)
}

const fn special(decihertz: [u16; 2], ms: [u16; 2]) -> ToneSpec {
    let frequencies = [
        Frequency { decihertz: decihertz[0], dbm0: -13 },
        Frequency { decihertz: decihertz[1], dbm0: -13 },
        Frequency { decihertz: 17_767, dbm0: -13 },
    ];
    let steps = [
        Step { sounding: 1, ms: ms[0] },
        Step { sounding: 2, ms: ms[1] },
        Step { sounding: 4, ms: 380 },
        Step::pause(1_200),
    ];
    ToneSpec::new(&frequencies, &steps, Some(0), Blend::Alone)
}

/// A tone for a while, from some way into it.
fn played(tone: &ToneSpec, skip_ms: usize, ms: usize) -> Vec<i32> {
    let mut samples = vec![0; (skip_ms + ms) * 8];
    let mut player = Player::new(*tone, Law::A);
    for block in samples.chunks_mut(40) {
        player.add(block);
    }
    samples.split_off(skip_ms * 8)
}

fn heard(samples: &[i32], law: Law) -> Vec<(usize, i64)> {
    let (mut receiver, mut heard) = (CallTones::new(), Vec::new());
    receiver.listen(Some(&PLAN), u16::MAX);
    for (index, block) in samples.chunks_exact(40).enumerate() {
        let block: Vec<f32> =
            block.iter().map(|sample| f32::from(law.decode(law.encode(*sample as i16)))).collect();
        receiver.hear(&block, |what, ago| {
            let Observation::Began(Sound::CallTone(place)) = what else { panic!("{what:?}") };
            heard.push((place.into(), (index as i64 + 1) * 5 - i64::from(ago)));
        });
    }
    heard
}

fn places(samples: &[i32]) -> Vec<usize> {
    heard(samples, Law::A).into_iter().map(|(place, _)| place).collect()
}

#[test]
fn each_tone_is_heard_once_wherever_it_is_met_and_no_other() {
    for place in 0..PLAN.len() {
        let tone = PLAN.tone(place).expect("it is there");
        for skip_ms in [0, 90, 333, 700, 1_500] {
            for law in [Law::A, Law::Mu] {
                let heard = heard(&played(tone, skip_ms, 6_000), law);
                assert_eq!(heard.len(), 1, "{place} from {skip_ms} ms: {heard:?}");
                assert_eq!(heard[0].0, place, "from {skip_ms} ms");
            }
        }
    }
}

#[test]
fn a_tone_is_told_as_soon_as_it_can_be_known_and_when_it_began() {
    for (place, ms) in
        [(BUSY, 2_100), (CONGESTION, 1_100), (DIAL, 1_050), (SPECIAL, 1_150), (OTHER_SPECIAL, 1_050)]
    {
        let mut samples = vec![0; 320];
        samples.extend(played(PLAN.tone(place).expect("it is there"), 0, ms));
        let heard = heard(&samples, Law::A);
        assert_eq!(heard.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [place]);
        assert!((-40..=120).contains(&(heard[0].1 - 40)), "{place}: {heard:?}");
    }
}

#[test]
fn tones_are_heard_off_their_frequency_and_time_and_in_noise() {
    for (hz, on, off) in [(425, 500, 500), (415, 450, 550), (437, 540, 460)] {
        let mut samples = played(&cadence(&[Frequency::hz(hz, -20)], on, off), 0, 5_000);
        let mut rng = StdRng::seed_from_u64(u64::from(hz));
        let noise = Law::A.amplitude(-40.0) * 1.5f64.sqrt();
        samples.iter_mut().for_each(|sample| *sample += rng.random_range(-noise..noise) as i32);
        assert_eq!(places(&samples), [BUSY], "{hz} Hz, {on} ms");
    }
    let twisted = cadence(&[Frequency::hz(480, -24), Frequency::hz(620, -28)], 250, 250);
    assert_eq!(places(&played(&twisted, 0, 3_000)), [TWO_AT_ONCE]);
}

#[test]
fn what_has_another_cadence_frequency_or_level_is_not_heard() {
    for tone in [
        cadence(HZ_425, 1_000, 4_000),
        cadence(HZ_425, 700, 700),
        cadence(HZ_425, 100, 100),
        cadence(&[Frequency::hz(400, -13)], 500, 500),
        cadence(&[Frequency::hz(460, -13)], 500, 500),
        cadence(&[Frequency::hz(425, -48)], 500, 500),
        cadence(&[Frequency::hz(480, -24)], 250, 250),
        ToneSpec::steady(HZ_425, Blend::Alone),
        special([9_852, 13_706], [380, 380]),
        special([9_852, 14_285], [274, 380]),
        special([9_138, 14_285], [380, 380]),
        special([9_852, 14_285], [380, 274]),
    ] {
        assert_eq!(places(&played(&tone, 0, 10_000)), [], "{tone:?}");
    }
}

#[test]
fn a_tone_that_stops_is_told_again_when_it_comes_again() {
    let mut samples = played(PLAN.tone(BUSY).expect("it is there"), 0, 4_000);
    samples.extend(vec![0; 16_000]);
    samples.extend(played(PLAN.tone(BUSY).expect("it is there"), 0, 4_000));
    assert_eq!(places(&samples), [BUSY, BUSY]);
}

#[test]
fn neither_speech_nor_noise_nor_digits_are_tones() {
    let wav = include_bytes!("../../../../deploy/assets/speech.wav");
    let octets = &wav[wav.len() - 160_000..];
    let speech: Vec<i32> = octets.iter().map(|octet| Law::A.decode(*octet).into()).collect();
    assert_eq!(places(&speech), []);
    let mut rng = StdRng::seed_from_u64(9);
    let noise: Vec<i32> = (0..400_000).map(|_| rng.random_range(-8_000..8_000)).collect();
    assert_eq!(places(&noise), []);
}

#[test]
fn what_is_not_asked_for_is_not_told_and_what_is_asked_for_later_disturbs_nothing() {
    let samples: Vec<f32> =
        played(PLAN.tone(BUSY).expect("it is there"), 0, 3_000).iter().map(|sample| *sample as f32).collect();
    let (mut receiver, mut heard) = (CallTones::new(), Vec::new());
    receiver.listen(Some(&PLAN), 1 << BUSY);
    for (index, block) in samples.chunks(40).enumerate() {
        if index == 200 {
            receiver.listen(Some(&PLAN), 1 << BUSY | 1 << DIAL);
        }
        receiver.hear(block, |what, _| heard.push(what));
    }
    assert_eq!(heard, [Observation::Began(Sound::CallTone(BUSY as u8))]);
    receiver.listen(None, 0);
    samples.chunks(40).for_each(|block| receiver.hear(block, |what, _| panic!("{what:?}")));
}
