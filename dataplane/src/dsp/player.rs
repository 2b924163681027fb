//! Playing a [`ToneSpec`]: its frequencies, step by step, each step as long as it says to the octet.

use drivers::line::{FRAMES_PER_SECOND, Law};

use super::tone::Oscillator;
use crate::observation::Digit;
use crate::tone_spec::{Blend, Step, ToneSpec};

/// A tone that is being played.
#[derive(Clone, Copy, Debug)]
pub struct Player {
    tone: ToneSpec,
    oscillators: [Oscillator; ToneSpec::FREQUENCIES_MAX],
    step: u8,
    /// How often the steps that are repeated have been gone through.
    rounds: u8,
    /// What is left of the level of a step that dies away: 2^32 is all.
    level: u32,
    /// Octets that the step goes on; for ever if `None`.
    left: Option<u32>,
}

impl Player {
    /// From the beginning, on a line of `law`.
    pub fn new(tone: ToneSpec, law: Law) -> Self {
        let oscillators = tone.frequencies().map(|frequency| {
            Oscillator::new(law, f64::from(frequency.decihertz) / 10.0, frequency.dbm0.into())
        });
        let mut player = Self { tone, oscillators, step: 0, rounds: 1, level: u32::MAX, left: None };
        player.enter(0);
        player
    }

    /// What becomes of other media.
    pub fn blend(&self) -> Blend {
        self.tone.blend()
    }

    /// The digit that it sounds as now, and its level in dBm0 with the sign dropped.
    pub fn digit(&self) -> Option<(Digit, u8)> {
        let is_sounding = self.tone.step(self.step).is_some_and(|step| step.sounding != 0);
        if is_sounding { self.tone.digit() } else { None }
    }

    /// The octet that is sent instead of any sound.
    pub const fn raw(&self) -> Option<u8> {
        self.tone.raw()
    }

    /// Octets that the step goes on; for ever if `None`.
    pub fn left(&self) -> Option<u32> {
        self.left
    }

    /// Adds the next samples of the tone; how many of `samples` there were left of it, if it has ended.
    pub fn add(&mut self, samples: &mut [i32]) -> Option<usize> {
        let mut at = 0;
        loop {
            let n = self.left.map_or(samples.len() - at, |left| (samples.len() - at).min(left as usize));
            self.sound(&mut samples[at..][..n]);
            at += n;
            self.left = self.left.map(|left| left - n as u32);
            if self.left == Some(0) {
                let Some(next) = self.next() else { return Some(at) };
                self.rounds = self.rounds.saturating_add(u8::from(next <= self.step));
                self.enter(next);
            }
            if at == samples.len() {
                return None;
            }
        }
    }

    fn next(&self) -> Option<u8> {
        let next = self.step + 1;
        let (steps, times) = self.tone.repeated();
        if next == steps && self.rounds < times {
            return Some(0);
        }
        if self.tone.step(next).is_some() { Some(next) } else { self.tone.again_from() }
    }

    fn enter(&mut self, step: u8) {
        (self.step, self.level) = (step, u32::MAX);
        let ms = self.tone.step(step).map_or(Step::FOREVER, |step| step.ms);
        self.left = (ms != Step::FOREVER).then(|| u32::from(ms) * OCTETS_PER_MS);
    }

    fn sound(&mut self, samples: &mut [i32]) {
        let sounding = self.tone.step(self.step).map_or(0, |step| step.sounding);
        let mut level = self.level;
        for (index, oscillator) in self.oscillators.iter_mut().enumerate() {
            if sounding & 1 << index != 0 {
                match self.tone.fade_ms(self.step) {
                    None => samples.iter_mut().for_each(|sample| *sample += oscillator.sample()),
                    Some(ms) => {
                        level = fade(self.level, ms, oscillator, samples);
                    }
                }
            }
        }
        self.level = level;
    }
}

/// Adds what dies away from `level`, in `ms` to 37 % of it; the level that is left.
fn fade(mut level: u32, ms: u16, oscillator: &mut Oscillator, samples: &mut [i32]) -> u32 {
    for sample in samples {
        *sample += ((i64::from(oscillator.sample()) * i64::from(level)) >> 32) as i32;
        level -= level / (u32::from(ms) * OCTETS_PER_MS);
    }
    level
}

const OCTETS_PER_MS: u32 = FRAMES_PER_SECOND / 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::dtmf::DtmfReceiver;
    use crate::observation::{Digit, Observation, Sound};
    use crate::tone_spec::Frequency;

    const HIGH: Frequency = Frequency::hz(1_000, 0);

    /// All samples until the end, or `max` of them, in blocks of `len`; whether it has ended.
    fn played(tone: ToneSpec, len: usize, max: usize) -> (Vec<i32>, bool) {
        let (mut player, mut all) = (Player::new(tone, Law::A), Vec::new());
        while all.len() < max {
            let mut block = vec![0; len];
            let ended = player.add(&mut block);
            all.extend(&block[..ended.unwrap_or(len)]);
            if ended.is_some() {
                return (all, true);
            }
        }
        (all, false)
    }

    /// Where it turns from silence to sound and back, in octets; a sine is nowhere zero for 9 samples.
    fn edges(samples: &[i32]) -> Vec<usize> {
        let sounds = |at: usize| samples[at..samples.len().min(at + 9)].iter().any(|sample| *sample != 0);
        let (mut edges, mut before) = (Vec::new(), false);
        for (at, sample) in samples.iter().enumerate() {
            let now = if before { *sample != 0 || sounds(at) } else { *sample != 0 };
            if now != before {
                edges.push(at);
                before = now;
            }
        }
        edges
    }

    #[test]
    fn a_cadence_is_exact_to_the_octet_whatever_the_block() {
        let steps = [Step::pause(33), Step::first(1, 51), Step::pause(17), Step::first(1, 9)];
        for len in [8, 40, 160, 7] {
            let (samples, ended) = played(ToneSpec::new(&[HIGH], &steps, Some(2), Blend::Alone), len, 8_000);
            assert!(!ended);
            let ms = [33, 84, 101, 110, 127, 136, 153].map(|ms| ms * 8);
            for (edge, at) in edges(&samples).iter().zip(ms) {
                // A sine begins and may end with a zero.
                assert!(edge.abs_diff(at) <= 1, "{edge}, not {at}, in blocks of {len}");
            }
        }
    }

    #[test]
    fn a_tone_that_is_played_once_ends_with_its_last_octet() {
        let once = ToneSpec::new(&[HIGH], &[Step::first(1, 10), Step::pause(5)], None, Blend::Alone);
        for len in [8, 40, 160, 7] {
            let (samples, ended) = played(once, len, 4_000);
            assert!(ended && samples.len() == 120, "{} octets", samples.len());
        }
        let (samples, ended) = played(ToneSpec::steady(&[HIGH], Blend::Alone), 40, 4_000);
        assert!(!ended && samples.len() == 4_000);
    }

    #[test]
    fn what_is_repeated_comes_before_the_rest() {
        let steps = [Step::first(1, 10), Step::pause(10), Step::first(1, Step::FOREVER)];
        let tone = ToneSpec::new(&[HIGH], &steps, None, Blend::Alone).repeating(2, 3);
        let (samples, _) = played(tone, 40, 8_000);
        let edges = edges(&samples);
        assert_eq!(edges.len(), 7, "{edges:?}");
        assert!(edges[6].abs_diff(60 * 8) <= 1, "{edges:?}");
    }

    #[test]
    fn what_dies_away_falls_to_a_third_in_its_time() {
        let tone = ToneSpec::new(&[HIGH], &[Step::first(1, 1_000)], None, Blend::Alone).fading(200);
        let (samples, ended) = played(tone, 40, 9_000);
        assert!(ended && samples.len() == 8_000);
        let peak = |ms: usize| samples[ms * 8..][..16].iter().map(|sample| sample.abs()).max().expect("16");
        for (ms, share) in [(200, 0.37), (400, 0.135), (600, 0.05)] {
            let is = f64::from(peak(ms)) / f64::from(peak(0));
            assert!((is - share).abs() < 0.02, "{is} after {ms} ms");
        }
    }

    #[test]
    fn frequencies_have_their_levels_and_add_up() {
        let two = ToneSpec::steady(&[Frequency::hz(480, -24), Frequency::hz(620, -24)], Blend::Alone);
        let (samples, _) = played(two, 40, 8_000);
        let mean = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / 8_000.0;
        // RFC 3660 §2.3, reorder tone: -24 dBm each give -21 together.
        let dbm0 = 20.0 * ((2.0 * mean).sqrt() / Law::A.amplitude(0.0)).log10();
        assert!((dbm0 + 21.0).abs() < 0.2, "{dbm0} dBm0");
    }

    #[test]
    fn digits_that_are_played_are_recognised() {
        for digit in Digit::ALL {
            let (samples, _) = played(ToneSpec::dtmf(digit, -10, 50, 45), 40, 4_000);
            let (mut receiver, mut heard) = (DtmfReceiver::new(), Vec::new());
            for block in samples.chunks_exact(40) {
                let block: Vec<f32> = block.iter().map(|sample| *sample as f32).collect();
                receiver.hear(&block, |what, _| heard.push(what));
            }
            assert_eq!(heard[0], Observation::Began(Sound::Digit(digit)));
            assert!(matches!(heard[1..], [Observation::Ended { ms: 45..=55, .. }]));
        }
    }
}
