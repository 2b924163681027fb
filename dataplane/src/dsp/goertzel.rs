//! How much of one frequency is in a block of samples: Goertzel's recurrence, one bin of a DFT.

use drivers::line::FRAMES_PER_SECOND;

use super::tone::sine;

/// A filter for one frequency, fed sample by sample.
#[derive(Clone, Copy, Debug)]
pub struct Goertzel {
    coefficient: f32,
    last: f32,
    before: f32,
}

impl Goertzel {
    /// For `hz`, below 4,000.
    pub const fn new(hz: f64) -> Self {
        let cosine = sine(hz / FRAMES_PER_SECOND as f64 + 0.25);
        Self { coefficient: (2.0 * cosine) as f32, last: 0.0, before: 0.0 }
    }

    /// Takes the next sample.
    pub fn push(&mut self, sample: f32) {
        let next = self.coefficient * self.last - self.before + sample;
        self.before = self.last;
        self.last = next;
    }

    /// Ends a block of `len` samples: the energy of this frequency in it, on the scale of the sum of
    /// the samples' squares, so that a pure tone has all of it.
    pub fn finish(&mut self, len: usize) -> f32 {
        let (last, before) = (self.last, self.before);
        (self.last, self.before) = (0.0, 0.0);
        (last * last + before * before - self.coefficient * last * before) * 2.0 / len as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The share that a filter for 2,010 Hz sees of a tone of `hz`, in blocks of 10 ms.
    fn share(hz: f64) -> f32 {
        let mut filter = Goertzel::new(2_010.0);
        let samples: Vec<f32> =
            (0..80).map(|i| 1_000.0 * sine(0.1 + hz / 8_000.0 * f64::from(i)) as f32).collect();
        samples.iter().for_each(|sample| filter.push(*sample));
        filter.finish(80) / samples.iter().map(|sample| sample * sample).sum::<f32>()
    }

    #[test]
    fn a_pure_tone_has_all_of_its_energy() {
        assert!((share(2_010.0) - 1.0).abs() < 0.05, "{}", share(2_010.0));
    }

    #[test]
    fn other_frequencies_have_little() {
        for hz in [300.0, 1_000.0, 1_780.0, 1_900.0, 2_120.0, 3_000.0] {
            assert!(share(hz) < 0.05, "{hz} Hz has {}", share(hz));
        }
    }
}
