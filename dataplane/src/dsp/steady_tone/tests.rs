//! Tones made here, through both laws.

use drivers::line::Law;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

const ALL: DetectorSet = DetectorSet::CHECK
    .with(DetectorSet::FAX)
    .with(DetectorSet::ANSWER)
    .with(DetectorSet::MILLIWATT)
    .with(DetectorSet::TEST_PROGRESS);

/// A line that says one thing after the other.
struct Made {
    samples: Vec<f64>,
    turns: f64,
}

impl Made {
    fn new() -> Self {
        Self { samples: vec![0.0; 37], turns: 0.3 }
    }

    fn tone(mut self, hz: f64, dbm0: f64, ms: usize) -> Self {
        let amplitude = Law::A.amplitude(dbm0);
        for _ in 0..ms * 8 {
            self.samples.push(amplitude * (self.turns * std::f64::consts::TAU).sin());
            self.turns += hz / 8_000.0;
        }
        self
    }

    fn turned(mut self) -> Self {
        self.turns += 0.5;
        self
    }

    fn silence(mut self, ms: usize) -> Self {
        self.samples.extend(vec![0.0; ms * 8]);
        self
    }

    fn noise(mut self, dbm0: f64, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let amplitude = Law::A.amplitude(dbm0) * 1.5f64.sqrt();
        for sample in &mut self.samples {
            *sample += rng.random_range(-amplitude..amplitude);
        }
        self
    }

    /// What is heard and when, in ms from the beginning.
    fn heard(self, law: Law) -> Vec<(Observation, i64)> {
        let Self { samples, .. } = self.silence(100);
        let (mut receiver, mut heard) = (SteadyTones::new(), Vec::new());
        for (index, block) in samples.chunks_exact(40).enumerate() {
            let block: Vec<f32> =
                block.iter().map(|sample| f32::from(law.decode(law.encode(*sample as i16)))).collect();
            receiver
                .hear(ALL, &block, |what, ago| heard.push((what, (index as i64 + 1) * 5 - i64::from(ago))));
        }
        heard
    }

    fn sounds(self, law: Law) -> Vec<Sound> {
        let began = |(what, _): (Observation, i64)| match what {
            Observation::Began(sound) => Some(sound),
            Observation::Ended { .. } | Observation::PlayEnded(_) | Observation::Media(_) => None,
        };
        self.heard(law).into_iter().filter_map(began).collect()
    }
}

fn ended(what: Observation) -> Option<Sound> {
    match what {
        Observation::Ended { sound, .. } => Some(sound),
        Observation::Began(_) | Observation::PlayEnded(_) | Observation::Media(_) => None,
    }
}

#[test]
fn each_tone_is_heard_at_its_frequencies_and_levels_and_no_other() {
    // The tone, what must be taken, what must not.
    let tones: &[(Sound, &[f64], &[f64])] = &[
        (Sound::Check(CheckTone::Co1), &[1_980.0, 2_010.0, 2_040.0], &[1_950.0, 2_070.0]),
        (Sound::Check(CheckTone::Co2), &[1_750.0, 1_780.0, 1_810.0], &[1_720.0, 1_840.0]),
        (Sound::FaxCalling, &[1_055.0, 1_062.0, 1_100.0, 1_138.0, 1_145.0], &[1_020.0, 1_180.0]),
        (Sound::Answer, &[2_085.0, 2_100.0, 2_115.0], &[2_060.0, 2_150.0]),
        (Sound::Milliwatt(Milliwatt::Hz1000), &[990.0, 999.0, 1_000.0, 1_001.0], &[950.0, 970.0, 1_004.0]),
        (Sound::Milliwatt(Milliwatt::Hz1004), &[1_003.0, 1_004.0, 1_007.0], &[1_000.0, 1_013.8]),
        (Sound::Milliwatt(Milliwatt::Hz1013), &[1_011.0, 1_013.8, 1_020.0], &[1_004.0, 1_040.0, 1_060.0]),
        (Sound::TestProgress, &[2_200.0, 2_225.0, 2_250.0], &[2_170.0, 2_280.0]),
    ];
    for law in [Law::A, Law::Mu] {
        for (sound, taken, refused) in tones {
            for dbm0 in [-28.0, -12.0, 0.0] {
                for hz in *taken {
                    assert_eq!(Made::new().tone(*hz, dbm0, 500).sounds(law), [*sound], "{hz} Hz {dbm0} dBm0");
                }
                for hz in *refused {
                    let sounds = Made::new().tone(*hz, dbm0, 500).sounds(law);
                    assert!(!sounds.contains(sound), "{hz} Hz is heard as {sounds:?}");
                }
            }
        }
    }
}

#[test]
fn milliwatts_are_told_apart_in_noise_and_at_any_level() {
    for (which, hz) in
        [(Milliwatt::Hz1000, 1_000.0), (Milliwatt::Hz1004, 1_004.0), (Milliwatt::Hz1013, 1_013.8)]
    {
        for (dbm0, seed) in [(0.0, 1), (-16.0, 2), (-30.0, 3)] {
            let made = Made::new().tone(hz, dbm0, 800).noise(dbm0 - 15.0, seed);
            assert_eq!(made.sounds(Law::Mu), [Sound::Milliwatt(which)], "{hz} Hz at {dbm0} dBm0");
        }
    }
}

#[test]
fn machines_are_heard_down_to_minus_42_dbm0_and_continuity_tones_to_minus_29() {
    let sounds = |hz, dbm0| Made::new().tone(hz, dbm0, 500).sounds(Law::A);
    assert_eq!(sounds(1_100.0, -42.0), [Sound::FaxCalling]);
    assert_eq!(sounds(2_100.0, -42.0), [Sound::Answer]);
    assert_eq!(sounds(2_010.0, -29.0), [Sound::Check(CheckTone::Co1)]);
    assert_eq!([sounds(1_100.0, -45.0), sounds(2_010.0, -32.0)], [[], []]);
    assert!((Law::A.amplitude(-30.0) as f32 - NOT_LOUD).abs() < 10.0);
    assert!((Law::Mu.amplitude(-43.0) as f32 - FAINT).abs() < 3.0);
}

#[test]
fn a_continuity_tone_is_told_within_60_ms_and_its_end_as_well() {
    let heard = Made::new().tone(2_010.0, -12.0, 200).heard(Law::A);
    let sound = Sound::Check(CheckTone::Co1);
    let [(Observation::Began(began), at), (Observation::Ended { sound: ended, ms }, end)] = heard[..] else {
        panic!("{heard:?}")
    };
    assert_eq!((began, ended), (sound, sound));
    assert!((0..=15).contains(&at) && (195..=215).contains(&end), "{at} to {end}");
    assert!((185..=205).contains(&ms), "{ms} ms");
}

#[test]
fn a_fax_machine_that_calls_is_heard_for_each_of_its_tones_and_in_noise() {
    let calls = |made: Made| made.tone(1_100.0, -20.0, 500).silence(3_000);
    let heard = calls(calls(Made::new())).noise(-36.0, 1).sounds(Law::Mu);
    assert_eq!(heard, [Sound::FaxCalling; 2]);
    assert_eq!(Made::new().tone(1_100.0, -20.0, 300).sounds(Law::Mu), [], "300 ms are too short");
}

// ITU-T V.25.
#[test]
fn an_answer_tone_whose_phase_turns_is_told_from_one_whose_does_not() {
    for off in [-15.0, 0.0, 15.0] {
        let hz = 2_100.0 + off;
        let plain = Made::new().tone(hz, -20.0, 2_000).noise(-36.0, 2);
        assert_eq!(plain.sounds(Law::A), [Sound::Answer]);
        let turning = (0..6).fold(Made::new(), |made, _| made.tone(hz, -20.0, 450).turned()).noise(-36.0, 3);
        assert_eq!(turning.sounds(Law::A), [Sound::Answer, Sound::AnswerTurning], "{off} Hz off");
    }
}

#[test]
fn an_answer_tone_that_turns_ends_as_one() {
    let turning = (0..6).fold(Made::new(), |made, _| made.tone(2_100.0, -20.0, 450).turned());
    let last = turning.heard(Law::A).pop().expect("an end").0;
    let Observation::Ended { sound: Sound::AnswerTurning, ms } = last else { panic!("{last:?}") };
    assert!((2_670..=2_720).contains(&ms), "{ms}");
}

#[test]
fn neither_speech_nor_noise_is_a_tone() {
    let wav = include_bytes!("../../../../deploy/assets/speech.wav");
    let octets = &wav[wav.len() - 160_000..];
    let mut receiver = SteadyTones::new();
    for block in octets.chunks_exact(40) {
        let block: Vec<f32> = block.iter().map(|octet| Law::A.decode(*octet).into()).collect();
        let long = ALL_BUT_CHECK;
        receiver.hear(long, &block, |what, _| panic!("{what:?} in speech"));
    }
    assert_eq!(Made::new().silence(3_000).noise(-10.0, 4).sounds(Law::A), []);
}

/// A continuity tone of 30 ms must be taken, and speech has whistles as long.
const ALL_BUT_CHECK: DetectorSet =
    DetectorSet::FAX.with(DetectorSet::ANSWER).with(DetectorSet::MILLIWATT).with(DetectorSet::TEST_PROGRESS);

#[test]
fn a_burst_of_2_100_hz_before_an_answer_tone_is_no_turn_of_it() {
    for pause in (60..200).step_by(7) {
        let made = Made::new().tone(2_100.0, -12.0, 60).silence(pause).tone(2_100.0, -12.0, 700);
        assert_eq!(made.sounds(Law::A), [Sound::Answer], "after a pause of {pause} ms");
    }
}

#[test]
fn another_tone_for_a_moment_does_not_make_an_answer_tone_forget_its_turns() {
    let mut n_checks = 0;
    for ms in 30..45 {
        let answer = Made::new().tone(2_100.0, -12.0, 600).turned().tone(2_100.0, -12.0, 300);
        let heard = answer.tone(2_010.0, -12.0, ms).tone(2_100.0, -12.0, 300).heard(Law::A);
        let ends: Vec<_> = heard.iter().filter_map(|(what, _)| ended(*what)).collect();
        if ends.first() == Some(&Sound::Check(CheckTone::Co1)) {
            n_checks += 1;
            assert_eq!(ends[1..], [Sound::AnswerTurning], "after {ms} ms of another");
        }
    }
    assert!(n_checks > 0, "the other tone was heard");
}
