//! The Fourier transform of 128 real samples, and back.
//!
//! One length only, so that all of it is constants: 64 complex points in three stages of four (Stockham's
//! order, which needs no shuffling afterwards), and the step from there to 128 real ones. Real and imaginary
//! parts lie apart, as vectors of a CPU want them.

use crate::dsp::tone::sine;

/// Samples that are transformed at once.
pub const LEN: usize = 128;

/// Frequencies that they have: 0 to 4,000 Hz in steps of 62.5 Hz.
pub const BINS: usize = LEN / 2 + 1;

/// A spectrum of real samples: its upper half would say nothing new.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Spectrum {
    /// The real parts.
    pub re: [f32; BINS],
    /// The imaginary parts.
    pub im: [f32; BINS],
}

impl Spectrum {
    /// Of silence.
    pub const ZERO: Self = Self { re: [0.0; BINS], im: [0.0; BINS] };

    /// The spectrum of these samples.
    pub fn of(samples: &[f32; LEN]) -> Self {
        let mut points = Points::ZERO;
        for (n, pair) in samples.as_chunks::<2>().0.iter().enumerate() {
            (points.re[n], points.im[n]) = (pair[0], pair[1]);
        }
        let Points { re, im } = points.transform();
        let mut spectrum = Self::ZERO;
        // What even and what odd samples have made of the 64 points differs in its symmetry.
        for k in 1..HALF {
            let (even_re, even_im) = (re[k] + re[HALF - k], im[k] - im[HALF - k]);
            let (odd_re, odd_im) = (im[k] + im[HALF - k], re[HALF - k] - re[k]);
            let (cos, sin) = (HALF_TURN.re[k], HALF_TURN.im[k]);
            spectrum.re[k] = 0.5 * (even_re + odd_re * cos - odd_im * sin);
            spectrum.im[k] = 0.5 * (even_im + odd_re * sin + odd_im * cos);
        }
        (spectrum.re[0], spectrum.re[HALF]) = (re[0] + im[0], re[0] - im[0]);
        spectrum
    }

    /// The samples that have this spectrum.
    pub fn samples(&self) -> [f32; LEN] {
        let Self { re, im } = self;
        // With real and imaginary parts in each other's place, a transform is its own inverse.
        let mut points = Points::ZERO;
        for k in 0..HALF {
            let (even_re, even_im) = (re[k] + re[HALF - k], im[k] - im[HALF - k]);
            let (odd_re, odd_im) = (re[k] - re[HALF - k], im[k] + im[HALF - k]);
            let (cos, sin) = (HALF_TURN.re[k], -HALF_TURN.im[k]);
            let (odd_re, odd_im) = (odd_re * cos - odd_im * sin, odd_re * sin + odd_im * cos);
            (points.im[k], points.re[k]) = (even_re - odd_im, even_im + odd_re);
        }
        let points = points.transform();
        let mut samples = [0.0; LEN];
        for (n, pair) in samples.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            *pair = [points.im[n] / LEN as f32, points.re[n] / LEN as f32];
        }
        samples
    }

    /// The power at each frequency.
    pub fn power(&self) -> [f32; BINS] {
        let mut power = [0.0; BINS];
        for ((power, re), im) in power.iter_mut().zip(&self.re).zip(&self.im) {
            *power = re * re + im * im;
        }
        power
    }

    /// Adds the product of two spectra.
    pub fn add_product(&mut self, a: &Self, b: &Self) {
        for k in 0..BINS {
            self.re[k] += a.re[k] * b.re[k] - a.im[k] * b.im[k];
            self.im[k] += a.re[k] * b.im[k] + a.im[k] * b.re[k];
        }
    }
}

/// 64 complex points.
struct Points {
    re: [f32; HALF],
    im: [f32; HALF],
}

impl Points {
    const ZERO: Self = Self { re: [0.0; HALF], im: [0.0; HALF] };

    fn transform(&self) -> Self {
        self.stage::<1>().stage::<4>().stage::<16>()
    }

    /// Transforms of four points, `RUN` of them at a time with the same turns.
    #[inline(always)]
    fn stage<const RUN: usize>(&self) -> Self {
        let mut out = Self::ZERO;
        for p in 0..HALF / 4 / RUN {
            let turn = |n: usize| (TURN.re[n * p * RUN], TURN.im[n * p * RUN]);
            let (one, two, three) = (turn(1), turn(2), turn(3));
            for q in 0..RUN {
                let at = |n: usize| {
                    let index = q + RUN * p + n * HALF / 4;
                    (self.re[index], self.im[index])
                };
                let (a, b, c, d) = (at(0), at(1), at(2), at(3));
                let (sum_ac, sum_bd) = ((a.0 + c.0, a.1 + c.1), (b.0 + d.0, b.1 + d.1));
                let (ac, bd) = ((a.0 - c.0, a.1 - c.1), (b.0 - d.0, b.1 - d.1));
                let mut put = |n: usize, (re, im): (f32, f32)| {
                    let index = q + RUN * (4 * p + n);
                    (out.re[index], out.im[index]) = (re, im);
                };
                put(0, (sum_ac.0 + sum_bd.0, sum_ac.1 + sum_bd.1));
                put(1, times((ac.0 + bd.1, ac.1 - bd.0), one));
                put(2, times((sum_ac.0 - sum_bd.0, sum_ac.1 - sum_bd.1), two));
                put(3, times((ac.0 - bd.1, ac.1 + bd.0), three));
            }
        }
        out
    }
}

#[inline(always)]
fn times(a: (f32, f32), b: (f32, f32)) -> (f32, f32) {
    (a.0 * b.0 - a.1 * b.1, a.0 * b.1 + a.1 * b.0)
}

const HALF: usize = LEN / 2;

/// A turn, clockwise, in 64 steps.
static TURN: Points = turns(HALF);

/// The first half of a turn in 128 steps.
static HALF_TURN: Points = turns(LEN);

const fn turns(steps: usize) -> Points {
    let mut points = Points::ZERO;
    let mut n = 0;
    while n < HALF {
        let turn = n as f64 / steps as f64;
        points.re[n] = sine(turn + 0.25) as f32;
        points.im[n] = -sine(turn) as f32;
        n += 1;
    }
    points
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    fn noise(seed: u64) -> [f32; LEN] {
        let mut rng = StdRng::seed_from_u64(seed);
        [(); LEN].map(|()| rng.random_range(-1.0..1.0))
    }

    #[test]
    fn a_spectrum_is_the_sum_that_fourier_has() {
        let samples = noise(1);
        let spectrum = Spectrum::of(&samples);
        for k in 0..BINS {
            let (mut re, mut im) = (0.0, 0.0);
            for (n, sample) in samples.iter().enumerate() {
                let angle = -std::f64::consts::TAU * (k * n) as f64 / LEN as f64;
                re += f64::from(*sample) * angle.cos();
                im += f64::from(*sample) * angle.sin();
            }
            let off = (re - f64::from(spectrum.re[k])).abs() + (im - f64::from(spectrum.im[k])).abs();
            assert!(off < 1e-4, "{k}: {re} {im}, not {} {}", spectrum.re[k], spectrum.im[k]);
        }
    }

    #[test]
    fn samples_come_back() {
        let samples = noise(2);
        for (before, after) in samples.iter().zip(Spectrum::of(&samples).samples()) {
            assert!((before - after).abs() < 1e-5, "{before} {after}");
        }
    }
}
