//! Recognising that a fax machine answers: the V.21 preamble (ITU-T T.30 §5.3.1).
//!
//! What a fax machine says first, after its tone, is one second of HDLC flags, 01111110, at 300 bit/s: 20 ms
//! of 1,650 Hz and 6.7 ms of 1,850 Hz in turn (ITU-T V.21, channel 2). The line is looked at in bits of
//! 2.5 ms; that many runs of ones and zeros of these lengths in a row are nothing else.

use drivers::line::FRAMES_PER_SECOND;

use super::tone::sine;
use crate::observation::{Observation, Sound};

/// The receiver of one direction of one channel.
#[derive(Clone, Copy, Debug, Default)]
pub struct FaxPreamble {
    /// What the samples of this bit add up to: for each of the two frequencies, times its cosine and sine.
    sums: [f32; 4],
    energy: f32,
    /// Samples of this bit.
    n: usize,
    /// The bits of this run, all alike.
    run: Option<(bool, u32)>,
    /// Runs in a row that flags have.
    runs: u32,
    /// Since it was believed: bits, and those since the last run that flags have.
    believed: Option<(u32, u32)>,
}

impl FaxPreamble {
    /// Nothing heard.
    pub const fn new() -> Self {
        Self { sums: [0.0; 4], energy: 0.0, n: 0, run: None, runs: 0, believed: None }
    }

    /// Listens to linear samples; tells `observe` what it has recognised, and how many ms before the end of
    /// `samples` that was.
    pub fn hear(&mut self, mut samples: &[f32], mut observe: impl FnMut(Observation, u32)) {
        while !samples.is_empty() {
            let (now, later) = samples.split_at(samples.len().min(BIT - self.n));
            for (sample, turns) in now.iter().zip(&TURNS[self.n..]) {
                for (turn, sum) in turns.iter().zip(&mut self.sums) {
                    *sum += sample * turn;
                }
                self.energy += sample * sample;
            }
            self.n += now.len();
            samples = later;
            if self.n == BIT {
                let bit = self.bit();
                self.follow(bit, |what, ago| observe(what, ago + (later.len() / SAMPLES_PER_MS) as u32));
            }
        }
    }

    /// Ends a bit: which it is, if it is one.
    fn bit(&mut self) -> Option<bool> {
        let [one_re, one_im, zero_re, zero_im] = std::mem::take(&mut self.sums);
        let energy = std::mem::take(&mut self.energy);
        self.n = 0;
        let share = |re: f32, im: f32| (re * re + im * im) * 2.0 / (BIT as f32 * energy.max(1.0));
        let (one, zero) = (share(one_re, one_im), share(zero_re, zero_im));
        let is_bit = energy >= FAINT * FAINT / 2.0 * BIT as f32 && one.max(zero) >= SHARE_MIN;
        is_bit.then_some(one > zero)
    }

    fn follow(&mut self, bit: Option<bool>, mut observe: impl FnMut(Observation, u32)) {
        match (self.run, bit) {
            (Some((of, bits)), Some(bit)) if of == bit => self.run = Some((of, bits + 1)),
            (run, bit) => {
                let is_flag = run.is_some_and(|(of, bits)| if of { ONES } else { ZEROS }.contains(&bits));
                self.runs = if is_flag { self.runs + 1 } else { 0 };
                self.run = bit.map(|bit| (bit, 1));
                if let (Some((_, since)), true) = (&mut self.believed, is_flag) {
                    *since = 0;
                }
            }
        }
        match &mut self.believed {
            None if self.runs >= RUNS_MIN => {
                self.believed = Some((FLAGS_BITS, 0));
                observe(Observation::Began(Sound::FaxPreamble), ms(FLAGS_BITS));
            }
            None => {}
            Some((bits, since)) => {
                (*bits, *since) = (*bits + 1, *since + 1);
                if *since >= SINCE_MAX {
                    let (bits, since) = (*bits, *since);
                    self.believed = None;
                    let ms_heard = u16::try_from(ms(bits - since)).unwrap_or(u16::MAX);
                    let ended = Observation::Ended { sound: Sound::FaxPreamble, ms: ms_heard };
                    observe(ended, ms(since));
                }
            }
        }
    }
}

const fn ms(bits: u32) -> u32 {
    bits * (BIT as u32) / SAMPLES_PER_MS as u32
}

const SAMPLES_PER_MS: usize = 8;
/// 2.5 ms: in 10.7 of them there is a flag.
const BIT: usize = 20;
/// The lengths of runs, if bits begin anywhere: eight, and two and two thirds.
const ONES: std::ops::RangeInclusive<u32> = 7..=9;
const ZEROS: std::ops::RangeInclusive<u32> = 2..=4;
/// Twelve flags, a third of a second of the one that there is (T.30: within 15 %).
const RUNS_MIN: u32 = 24;
const FLAGS_BITS: u32 = 128;
/// 100 ms without a run that flags have.
const SINCE_MAX: u32 = 40;
/// A bit in which the frequency changes, or with noise, still has this share.
const SHARE_MIN: f32 = 0.55;
/// The peak of -43 dBm0, in either law.
const FAINT: f32 = 162.0;

/// The cosine and sine of one and zero at each sample of a bit.
static TURNS: [[f32; 4]; BIT] = {
    const HZ: [f64; 2] = [1_650.0, 1_850.0];
    let mut all = [[0.0; 4]; BIT];
    let mut n = 0;
    while n < BIT {
        let mut tone = 0;
        while tone < HZ.len() {
            let turns = HZ[tone] / FRAMES_PER_SECOND as f64 * n as f64;
            all[n][2 * tone] = sine(turns + 0.25) as f32;
            all[n][2 * tone + 1] = sine(turns) as f32;
            tone += 1;
        }
        n += 1;
    }
    all
};

#[cfg(test)]
mod tests {
    use drivers::line::Law;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    /// What a V.21 modem says, channel 2: bits at 300 bit/s, off its frequencies by `off` Hz.
    fn modulated(bits: impl Iterator<Item = bool>, dbm0: f64, off: f64) -> Vec<f64> {
        let (mut samples, mut turns, mut due) = (Vec::new(), 0.1, 0.0);
        for bit in bits {
            due += 8_000.0 / 300.0;
            while (samples.len() as f64) < due {
                samples.push(Law::A.amplitude(dbm0) * (turns * std::f64::consts::TAU).sin());
                turns += (if bit { 1_650.0 } else { 1_850.0 } + off) / 8_000.0;
            }
        }
        samples
    }

    fn flags(n: usize) -> impl Iterator<Item = bool> {
        (0..n * 8).map(|index| !matches!(index % 8, 0 | 7))
    }

    fn heard(samples: &[f64], law: Law) -> Vec<(Observation, i64)> {
        let (mut receiver, mut heard) = (FaxPreamble::new(), Vec::new());
        for (index, block) in samples.chunks(40).enumerate() {
            let block: Vec<f32> =
                block.iter().map(|sample| law.decode(law.encode(*sample as i16)).into()).collect();
            let end = index as i64 * 5 + (block.len() / 8) as i64;
            receiver.hear(&block, |what, ago| heard.push((what, end - i64::from(ago))));
        }
        heard
    }

    #[test]
    fn a_second_of_flags_is_heard_at_any_level_in_either_law() {
        for law in [Law::A, Law::Mu] {
            for (dbm0, off) in [(0.0, 0.0), (-20.0, 6.0), (-40.0, -6.0)] {
                let mut samples = vec![0.0; 333];
                samples.extend(modulated(flags(38), dbm0, off));
                samples.extend(vec![0.0; 4_000]);
                let heard = heard(&samples, law);
                let [(Observation::Began(_), from), (Observation::Ended { ms, .. }, to)] = heard[..] else {
                    panic!("{heard:?} at {dbm0} dBm0")
                };
                assert!((30..120).contains(&from) && (1_000..1_080).contains(&to), "{from} to {to}");
                assert!((940..1_040).contains(&ms), "{ms}");
            }
        }
    }

    #[test]
    fn noise_twenty_db_below_does_not_hide_it() {
        let mut rng = StdRng::seed_from_u64(7);
        let mut samples = modulated(flags(38), -20.0, 0.0);
        let noise = Law::A.amplitude(-40.0) * 1.5f64.sqrt();
        samples.iter_mut().for_each(|sample| *sample += rng.random_range(-noise..noise));
        assert!(matches!(heard(&samples, Law::A)[..], [(Observation::Began(_), _), ..]));
    }

    #[test]
    fn neither_data_nor_tones_nor_noise_are_flags() {
        let mut rng = StdRng::seed_from_u64(8);
        let data = modulated((0..3_000).map(|_| rng.random()), -10.0, 0.0);
        assert_eq!(heard(&data, Law::A), []);
        for hz in [1_650.0, 1_750.0, 1_780.0, 1_850.0, 2_100.0] {
            let tone = modulated(std::iter::repeat_n(true, 600), -10.0, hz - 1_650.0);
            assert_eq!(heard(&tone, Law::A), [], "{hz} Hz");
        }
        let noise: Vec<f64> = (0..400_000).map(|_| rng.random_range(-8_000.0..8_000.0)).collect();
        assert_eq!(heard(&noise, Law::A), []);
    }
}
