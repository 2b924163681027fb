//! Digits that are made here, over what Q.24 says of them, through both laws.

use drivers::line::Law;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

/// The library's is faster than the one for constants.
fn sine(turns: f64) -> f64 {
    (turns * std::f64::consts::TAU).sin()
}

/// A digit as it is to sound.
#[derive(Clone, Copy, Debug)]
struct Press {
    digit: Digit,
    /// Level of the low group.
    dbm0: f64,
    /// How far the high group is above it.
    high_db: f64,
    /// How far off the two frequencies are, in parts.
    off: (f64, f64),
    ms: f64,
}

const PLAIN: Press = Press { digit: Digit::at(1, 1), dbm0: -12.0, high_db: 2.0, off: (0.0, 0.0), ms: 50.0 };

/// A line that is spoken to in pieces.
struct Made {
    law: Law,
    rng: StdRng,
    noise_dbm0: Option<f64>,
    samples: Vec<f64>,
}

impl Made {
    fn new(law: Law, seed: u64) -> Self {
        let mut made = Self { law, rng: StdRng::seed_from_u64(seed), noise_dbm0: None, samples: Vec::new() };
        // Digits begin anywhere in a hop.
        let silence = 60.0 + made.rng.random_range(0.0..1.0);
        made.pause(silence);
        made
    }

    fn pause(&mut self, ms: f64) -> &mut Self {
        self.samples.extend(vec![0.0; (ms * 8.0).round() as usize]);
        self
    }

    fn press(&mut self, press: Press) -> &mut Self {
        let (low, high) = press.digit.hz();
        let (low, high) = (f64::from(low) * (1.0 + press.off.0), f64::from(high) * (1.0 + press.off.1));
        let (a, b) = (self.law.amplitude(press.dbm0), self.law.amplitude(press.dbm0 + press.high_db));
        let (p, q): (f64, f64) = (self.rng.random(), self.rng.random());
        let n = (press.ms * 8.0).round() as usize;
        let tone = (0..n).map(|i| {
            let t = i as f64 / 8_000.0;
            a * sine(p + low * t) + b * sine(q + high * t)
        });
        self.samples.extend(tone);
        self
    }

    /// What the receiver makes of it, through the law, in blocks of 5 ms; when, in ms from the beginning.
    fn heard(&mut self) -> Vec<(Observation, i64)> {
        self.pause(60.0);
        let mut receiver = DtmfReceiver::new();
        let noise = self.noise_dbm0.map_or(0.0, |dbm0| self.law.amplitude(dbm0) / 2f64.sqrt());
        let (law, rng) = (self.law, &mut self.rng);
        let mut through = |sample: f64| {
            // Twelve uniform ones make a normal one.
            let normal: f64 = (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
            f32::from(law.decode(law.encode((sample + noise * normal).clamp(-32_768.0, 32_767.0) as i16)))
        };
        let line: Vec<f32> = self.samples.iter().map(|sample| through(*sample)).collect();
        let mut heard = Vec::new();
        for (index, block) in line.chunks_exact(40).enumerate() {
            receiver.hear(block, |what, ago| heard.push((what, (index as i64 + 1) * 5 - i64::from(ago))));
        }
        heard
    }

    fn digits(&mut self) -> String {
        self.heard().iter().filter_map(|(what, _)| began(*what)).collect()
    }
}

fn began(what: Observation) -> Option<char> {
    match what {
        Observation::Began(Sound::Digit(digit)) => Some(digit.written()),
        _ => None,
    }
}

/// How often a press is heard as what it is; anything else that is heard is an error.
fn heard_of(presses: impl Iterator<Item = (Law, u64, Option<f64>, Press)>) -> (usize, usize) {
    let (mut right, mut all) = (0, 0);
    for (law, seed, noise_dbm0, press) in presses {
        let mut made = Made::new(law, seed);
        made.noise_dbm0 = noise_dbm0;
        let digits = made.press(press).digits();
        assert!(digits.is_empty() || digits == press.digit.to_string(), "{digits} of {press:?}, seed {seed}");
        right += digits.len();
        all += 1;
    }
    (right, all)
}

/// A press of each digit, in both laws, `times` times.
fn each(
    times: u64,
    press: impl Fn(Digit) -> Press + Copy,
) -> impl Iterator<Item = (Law, u64, Option<f64>, Press)> {
    [Law::A, Law::Mu].into_iter().flat_map(move |law| {
        (0..times)
            .flat_map(move |seed| Digit::ALL.into_iter().map(move |digit| (law, seed, None, press(digit))))
    })
}

/// Asserts that all of some presses are heard, or that none is.
fn assert_heard(what: &str, are: bool, presses: impl Iterator<Item = (Law, u64, Option<f64>, Press)>) {
    let (heard, all) = heard_of(presses);
    assert_eq!(heard, if are { all } else { 0 }, "{what}: {heard} of {all}");
}

#[test]
fn all_digits_are_heard_in_both_laws_at_levels_down_to_minus_44_dbm0() {
    for dbm0 in [3.0, 0.0, -10.0, -25.0, -40.0, -44.0] {
        assert_heard("level", true, each(1, |digit| Press { digit, dbm0, high_db: 0.0, ..PLAIN }));
    }
    assert_heard("faint", false, each(1, |digit| Press { digit, dbm0: -48.0, high_db: 0.0, ..PLAIN }));
}

// ITU-T Q.24, with its margins halved.
#[test]
fn frequencies_1_8_percent_off_are_taken_and_3_percent_off_are_not() {
    for (off, is_taken) in [(-0.03, false), (-0.018, true), (0.018, true), (0.03, false)] {
        for off in [(off, 0.0), (0.0, off), (off, off)] {
            assert_heard("off", is_taken, each(1, |digit| Press { digit, off, ..PLAIN }));
        }
    }
    for off in [-0.06, -0.045, -0.035, 0.035, 0.045, 0.06] {
        assert_heard("off", false, each(1, |digit| Press { digit, off: (0.0, off), ..PLAIN }));
    }
}

#[test]
fn the_high_group_may_be_8_db_weaker_or_4_db_stronger() {
    for (high_db, is_taken) in [(-10.0, false), (-8.0, true), (4.0, true), (6.0, false)] {
        assert_heard("twist", is_taken, each(1, |digit| Press { digit, high_db, dbm0: -14.0, ..PLAIN }));
    }
}

#[test]
fn all_of_it_at_once_is_still_a_digit() {
    for off in [(-0.018, 0.018), (0.018, 0.018), (0.018, -0.018), (-0.018, -0.018)] {
        for (high_db, ms) in [(-8.0, 40.0), (4.0, 40.0)] {
            assert_heard("all", true, each(1, |digit| Press { digit, high_db, off, ms, ..PLAIN }));
        }
    }
}

#[test]
fn a_digit_lasts_40_ms_and_not_23() {
    for (ms, is_taken) in [(20.0, false), (23.0, false), (36.0, true), (40.0, true), (300.0, true)] {
        assert_heard("duration", is_taken, each(2, |digit| Press { digit, ms, ..PLAIN }));
    }
}

#[test]
fn noise_9_db_below_a_digit_of_40_ms_does_not_hide_it() {
    let presses = each(4, |digit| Press { digit, high_db: 0.0, ms: 40.0, ..PLAIN });
    assert_heard("noise", true, presses.map(|(law, seed, _, press)| (law, seed, Some(-18.0), press)));
}

#[test]
fn an_interruption_of_10_ms_is_none_and_a_pause_of_30_is_one() {
    for (gap, expected) in [(3.0, 1), (10.0, 1), (30.0, 2), (40.0, 2)] {
        for digit in Digit::ALL {
            let press = Press { digit, ..PLAIN };
            let digits = Made::new(Law::A, 5).press(press).pause(gap).press(press).digits();
            assert_eq!(digits, digit.to_string().repeat(expected), "{gap} ms");
        }
    }
}

#[test]
fn digits_that_follow_each_other_without_a_pause_are_all_heard() {
    let mut made = Made::new(Law::Mu, 6);
    for digit in Digit::ALL {
        made.press(Press { digit, ..PLAIN });
    }
    assert_eq!(made.digits(), "0123456789*#ABCD");
}

#[test]
fn begin_and_duration_are_right_to_6_ms() {
    for (seed, digit) in Digit::ALL.into_iter().enumerate() {
        for ms in [40.0, 77.0, 150.0] {
            let heard = Made::new(Law::A, seed as u64).press(Press { digit, ms, ..PLAIN }).heard();
            let [(Observation::Began(_), at), (Observation::Ended { ms: lasted, .. }, end)] = heard[..]
            else {
                panic!("{digit}: {heard:?}")
            };
            assert!((57..=64).contains(&at), "began at {at}");
            assert!((f64::from(lasted) - ms).abs() <= 6.0, "{lasted} ms of {ms}");
            assert!((end - at - i64::from(lasted)).abs() <= 1);
        }
    }
}

#[test]
fn one_tone_alone_noise_and_the_other_group_twice_are_no_digit() {
    for (low, high) in [(697.0, 0.0), (0.0, 1_477.0), (697.0, 852.0), (1_209.0, 1_477.0), (350.0, 440.0)] {
        let mut made = Made::new(Law::A, 7);
        for i in 0..2_000 {
            let t = f64::from(i) / 8_000.0;
            made.samples.push(5_000.0 * (sine(low * t) + sine(high * t)));
        }
        assert_eq!(made.heard(), [], "{low} + {high} Hz");
    }
    let mut made = Made::new(Law::A, 8);
    made.noise_dbm0 = Some(-10.0);
    assert_eq!(made.pause(4_000.0).heard(), []);
}

#[test]
fn speech_is_no_digit() {
    let wav = include_bytes!("../../../../deploy/assets/speech.wav");
    let octets = &wav[wav.len() - 160_000..];
    for gain in [0.3, 1.0, 2.5] {
        let mut receiver = DtmfReceiver::new();
        for block in octets.chunks_exact(40) {
            let samples: Vec<f32> =
                block.iter().map(|octet| gain * f32::from(Law::A.decode(*octet))).collect();
            receiver.hear(&samples, |what, _| panic!("{what:?} in speech"));
        }
    }
}

#[test]
fn the_length_of_blocks_does_not_matter() {
    let mut made = Made::new(Law::A, 9);
    made.press(PLAIN).pause(60.0);
    let line: Vec<f32> = made.samples.iter().map(|sample| *sample as f32).collect();
    let heard = [8, 24, 160].map(|len| {
        let (mut receiver, mut heard) = (DtmfReceiver::new(), Vec::new());
        for (index, block) in line.chunks_exact(len).enumerate() {
            receiver.hear(block, |what, ago| heard.push((what, ((index + 1) * len / 8) as u32 - ago)));
        }
        heard
    });
    assert_eq!(heard[0].len(), 2);
    assert!(heard[0] == heard[1] && heard[1] == heard[2]);
}
