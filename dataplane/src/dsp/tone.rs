//! Steady tones, made from a table of a sine.

use drivers::line::{FRAMES_PER_SECOND, Law};

/// A sine, sample by sample; it goes on where it stopped.
#[derive(Clone, Copy, Debug, Default)]
pub struct Oscillator {
    /// Where in the turn the next sample is, and how far the one after: 2^32 is a turn.
    phase: u32,
    step: u32,
    amplitude: i32,
}

impl Oscillator {
    /// A sine of `hz`, below 4,000, at `dbm0`, at most 3, on a line of `law`.
    pub fn new(law: Law, hz: f64, dbm0: f64) -> Self {
        let step = (hz / f64::from(FRAMES_PER_SECOND) * TURN) as u32;
        Self { phase: 0, step, amplitude: law.amplitude(dbm0) as i32 }
    }

    /// The next sample.
    pub fn sample(&mut self) -> i32 {
        let (index, part) = ((self.phase >> 24) as usize, (self.phase >> 8 & 0xFFFF) as i32);
        let (from, to) = (i32::from(SINE[index]), i32::from(SINE[(index + 1) % SINE.len()]));
        let sine = from + (((to - from) * part) >> 16);
        self.phase = self.phase.wrapping_add(self.step);
        (sine * self.amplitude) >> 15
    }
}

/// A tone of one frequency and level, in the octets of a line.
#[derive(Clone, Copy, Debug)]
pub struct Tone {
    oscillator: Oscillator,
    law: Law,
}

impl Tone {
    /// A tone of `hz`, below 4,000, at `dbm0`, at most 3, on a line of `law`.
    pub fn new(law: Law, hz: f64, dbm0: f64) -> Self {
        Self { oscillator: Oscillator::new(law, hz, dbm0), law }
    }

    /// Fills `out` with the next octets of the tone.
    pub fn fill(&mut self, out: &mut [u8]) {
        for octet in out {
            *octet = self.law.encode(self.oscillator.sample() as i16);
        }
    }
}

/// The sine of `turns`, for constants: the library's cannot be used in them.
pub const fn sine(turns: f64) -> f64 {
    // Into the quarter turn around zero, where the series converges fast.
    let mut turns = turns % 1.0;
    if turns > 0.5 {
        turns -= 1.0;
    } else if turns < -0.5 {
        turns += 1.0;
    }
    if turns > 0.25 {
        turns = 0.5 - turns;
    } else if turns < -0.25 {
        turns = -0.5 - turns;
    }
    let x = turns * std::f64::consts::TAU;
    let (mut term, mut sum, mut n) = (x, x, 1.0);
    while n < 10.0 {
        term *= -x * x / ((2.0 * n) * (2.0 * n + 1.0));
        sum += term;
        n += 1.0;
    }
    sum
}

const TURN: f64 = (1u64 << 32) as f64;

/// One turn, at full scale; between its points it is interpolated.
static SINE: [i16; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        table[index] = (sine(index as f64 / 256.0) * i16::MAX as f64) as i16;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_is_the_library_s_sine() {
        for i in -2_000..2_000 {
            let turns = f64::from(i) / 700.0;
            assert!((sine(turns) - (turns * std::f64::consts::TAU).sin()).abs() < 1e-9, "{turns}");
        }
    }

    #[test]
    fn a_tone_has_its_frequency_and_level() {
        for law in [Law::A, Law::Mu] {
            for (hz, dbm0) in [(2_010.0, -12.0), (1_780.0, -12.0), (440.0, 0.0), (1_004.0, -20.0)] {
                let mut octets = vec![0; 8_000];
                let mut tone = Tone::new(law, hz, dbm0);
                for block in octets.chunks_mut(24) {
                    tone.fill(block);
                }
                let samples: Vec<f64> = octets.iter().map(|octet| law.decode(*octet).into()).collect();
                let rises = samples.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
                assert!((rises as f64 - hz).abs() <= 1.0, "{hz} Hz crossed zero {rises} times in a second");
                let mean = samples.iter().map(|sample| sample * sample).sum::<f64>() / 8_000.0;
                let level = 20.0 * ((2.0 * mean).sqrt() / law.amplitude(0.0)).log10();
                assert!((level - dbm0).abs() < 0.2, "{level} dBm0 instead of {dbm0}");
            }
        }
    }
}
