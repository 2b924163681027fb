//! A far end that sends a sine.
//!
//! One period lies ready, encoded in the line's law; a tone walks it with a phase of 32 bits. The
//! table is fine enough that its steps lie some 20 dB below what G.711 itself adds, and a phase that
//! is never set back is continuous across blocks.

use std::sync::Arc;

use dasp::Signal;
use dasp::signal;

use crate::line::{FRAMES_PER_SECOND, Law};

/// One period of a sine at some level, in some law.
pub(super) type Period = Arc<[u8; PERIOD]>;

/// Entries of a period: the upper bits of the phase.
const PERIOD: usize = 1 << PERIOD_BITS;
const PERIOD_BITS: u32 = 12;

/// A period at this level.
pub(super) fn period(law: Law, dbm0: f64) -> Period {
    let mut sine = signal::rate(PERIOD as f64).const_hz(1.0).sine().scale_amp(law.amplitude(dbm0));
    // A cast of a float saturates: a level above full scale is cut, as on a real line.
    Arc::new([(); PERIOD].map(|()| law.encode(sine.next().round() as i16)))
}

#[derive(Debug)]
pub(super) struct Tone {
    period: Period,
    phase: u32,
    step: u32,
}

impl Tone {
    /// # Panics
    /// If `hz` is not a frequency that a telephone channel can carry: above 0 and below 4,000.
    pub(super) fn new(period: Period, hz: f64) -> Self {
        assert!(hz > 0.0 && hz < f64::from(FRAMES_PER_SECOND / 2), "{hz} Hz does not fit 8,000 samples/s");
        let step = (hz / f64::from(FRAMES_PER_SECOND) * 2f64.powi(32)).round() as u32;
        Self { period, phase: 0, step }
    }

    pub(super) fn fill(&mut self, rx: &mut [u8]) {
        for octet in rx {
            *octet = self.period[(self.phase >> (32 - PERIOD_BITS)) as usize];
            self.phase = self.phase.wrapping_add(self.step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Power of `samples` at `hz`, and all of it, both in dBm0.
    fn levels(law: Law, octets: &[u8], hz: f64) -> (f64, f64) {
        let n = octets.len() as f64;
        let (mut re, mut im, mut all) = (0.0, 0.0, 0.0);
        for (i, &octet) in octets.iter().enumerate() {
            let sample = f64::from(law.decode(octet));
            let angle = std::f64::consts::TAU * hz * i as f64 / 8_000.0;
            re += sample * angle.cos();
            im += sample * angle.sin();
            all += sample * sample;
        }
        let dbm0 = |power: f64| 10.0 * (2.0 * power / law.amplitude(0.0).powi(2)).log10();
        (dbm0(2.0 * (re * re + im * im) / (n * n)), dbm0(all / n))
    }

    #[test]
    fn a_tone_has_its_frequency_and_level_and_little_else() {
        for law in [Law::A, Law::Mu] {
            for (hz, dbm0) in [(1_004.0, -10.0), (425.0, 0.0), (3_400.0, 3.0), (2_100.5, -12.0)] {
                let mut tone = Tone::new(period(law, dbm0), hz);
                let mut octets = vec![0; 16_000];
                tone.fill(&mut octets);
                let (at_hz, all) = levels(law, &octets, hz);
                assert!((at_hz - dbm0).abs() < 0.1, "{law} {hz} Hz: {at_hz} dBm0, not {dbm0}");
                let noise = 10f64.powf(all / 10.0) - 10f64.powf(at_hz / 10.0);
                let distance_db = at_hz - 10.0 * noise.log10();
                // ITU-T G.712 wants 33 dB of a whole channel.
                assert!(distance_db > 36.0, "{law} {hz} Hz: noise only {distance_db} dB below");
            }
        }
    }

    #[test]
    fn a_tone_is_continuous_across_blocks() {
        let table = period(Law::A, -10.0);
        let (mut whole, mut parts) = ([0; 400], [0; 400]);
        Tone::new(table.clone(), 697.0).fill(&mut whole);
        let mut tone = Tone::new(table, 697.0);
        parts.chunks_mut(56).for_each(|part| tone.fill(part));
        assert_eq!(whole, parts);
    }

    #[test]
    fn a_level_above_full_scale_is_cut_and_does_not_wrap() {
        let table = period(Law::Mu, 20.0);
        assert_eq!(table[PERIOD / 4], Law::Mu.encode(i16::MAX));
        assert_eq!(table[3 * PERIOD / 4], Law::Mu.encode(i16::MIN));
    }
}
