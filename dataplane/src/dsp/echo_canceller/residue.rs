//! Judges what the filter leaves over, and makes the noise that takes the place of echo.

use drivers::line::Law;

use super::{MINUS_60, MINUS_65, mean_power};

/// Powers of a line's signals, and how loud it is when nobody talks.
#[derive(Debug)]
pub(super) struct Residue {
    /// How much of a new block goes into the smoothed powers.
    step: f32,
    heard: f32,
    echo: f32,
    left: f32,
    /// Power of the near end's noise.
    noise: f32,
    /// Whether what is left is taken for echo alone.
    is_echo: bool,
    /// Blocks on end for which the filter has only made it worse.
    worse: u32,
    worse_max: u32,
    /// By how much the noise rises and falls a block.
    rise: f32,
    fall: f32,
    random: u32,
}

/// What a block is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// No echo is expected in it.
    Nothing,
    /// What is left is echo.
    Echo,
    /// What is left is, at least in part, the near end's.
    Mixed,
    /// There was less before the echo was subtracted.
    Worse,
    /// So it has been for long: the line is another than the filter knows.
    Wrong,
}

impl Residue {
    /// Of a line of which nothing is known, for blocks of `hop` samples.
    pub(super) fn new(hop: usize) -> Self {
        let block = hop as f32;
        Self {
            step: block / SMOOTHING,
            heard: 0.0,
            echo: 0.0,
            left: 0.0,
            noise: MINUS_65,
            is_echo: false,
            worse: 0,
            worse_max: (WORSE_MAX / block) as u32,
            rise: 1.0 + RISE * block,
            fall: 1.0 - FALL * block,
            random: 1,
        }
    }

    /// Takes what came, the echo expected in it, and the difference.
    pub(super) fn judge(&mut self, heard: &[f32], echo: &[f32], left: &[f32]) -> Verdict {
        let left_now = mean_power(left);
        self.heard += self.step * (mean_power(heard) - self.heard);
        self.echo += self.step * (mean_power(echo) - self.echo);
        self.left += self.step * (left_now - self.left);
        let limit = if self.is_echo { STILL_ECHO } else { ECHO };
        self.is_echo = self.left < limit * self.heard && self.echo > MINUS_65;
        self.listen(left_now);
        if self.left > WORSE * self.heard && self.left > MINUS_60 {
            self.worse += 1;
        } else {
            self.worse = 0;
        }
        if self.worse > self.worse_max {
            (self.worse, self.left) = (0, self.heard);
            return Verdict::Wrong;
        }
        match () {
            () if echo.iter().all(|sample| sample.abs() < 1.0) => Verdict::Nothing,
            () if self.is_echo => Verdict::Echo,
            () if self.left > self.heard => Verdict::Worse,
            () => Verdict::Mixed,
        }
    }

    /// Follows the noise: what is there nearly always. While there is echo it can only seem louder.
    fn listen(&mut self, left: f32) {
        if left < self.noise * QUANTILE {
            self.noise *= self.fall;
        } else if self.echo < NO_ECHO * left {
            self.noise *= self.rise;
        }
        self.noise = self.noise.max(NOISE_MIN);
    }

    /// Fills a block with noise like the line's own.
    pub(super) fn comfort(&mut self, law: Law, out: &mut [u8]) {
        // Even distribution between plus and minus this has that power.
        let peak = (3.0 * self.noise).sqrt();
        for octet in out {
            self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let sample = peak * ((self.random >> 8) as f32 / (1 << 23) as f32 - 1.0);
            *octet = law.encode(sample.round() as i16);
        }
    }
}

/// Samples over which powers are smoothed: 16 ms.
const SMOOTHING: f32 = 128.0;
/// 10 dB below what came, what is left is echo; and for as long as it is 6 dB below.
const ECHO: f32 = 0.1;
const STILL_ECHO: f32 = 0.25;
/// So much louder than before, for so many samples, is wrong: 0.8 dB, 50 ms.
const WORSE: f32 = 1.2;
const WORSE_MAX: f32 = 400.0;
/// Echo of less than a tenth does not make noise seem louder.
const NO_ECHO: f32 = 0.1;
/// The noise's estimate rises by 25 dB a second and falls by 100; so it rests where a fifth of all blocks is
/// quieter: 5 ms of noise are then 1 dB below its mean.
const RISE: f32 = 7.2e-4;
const FALL: f32 = 2.9e-3;
const QUANTILE: f32 = 0.81;
/// The power of -80 dBm0: less than the smallest step of either law.
const NOISE_MIN: f32 = 2.6;
