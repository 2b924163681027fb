//! The two companding laws of ITU-T G.711.
//!
//! Eight bits hold a sign, three bits of segment and four of step; each segment's steps are twice
//! as wide as those of the one below. Linear samples are 16 bits wide, of which A-law keeps the
//! upper 13 and mu-law the upper 14, as ITU-T G.191 has it.

use std::fmt;

/// The companding law of a channel's octets (ITU-T G.711).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Law {
    /// A-law: `PCMA` in RTP.
    A,
    /// mu-law: `PCMU` in RTP.
    Mu,
}

impl Law {
    /// The octet of silence: what a channel with nothing to say sends.
    ///
    /// The code of the smallest positive amplitude: 0xD5 in A-law, 0xFF in mu-law.
    pub const fn silence(self) -> u8 {
        match self {
            Self::A => 0xD5,
            Self::Mu => 0xFF,
        }
    }

    /// The octet of a 16-bit linear sample.
    pub const fn encode(self, sample: i16) -> u8 {
        match self {
            Self::A => encode_a(sample),
            Self::Mu => encode_mu(sample),
        }
    }

    /// The 16-bit linear sample of an octet: the middle of its step.
    pub const fn decode(self, octet: u8) -> i16 {
        self.linear()[octet as usize]
    }

    /// The samples of all 256 octets, for loops that choose the law once.
    pub const fn linear(self) -> &'static [i16; 256] {
        match self {
            Self::A => &LINEAR_A,
            Self::Mu => &LINEAR_MU,
        }
    }

    /// The samples of `octets`, written to the front of `room`.
    ///
    /// # Panics
    /// If there is too little room.
    pub fn samples<'a>(self, octets: &[u8], room: &'a mut [f32]) -> &'a [f32] {
        let samples = &mut room[..octets.len()];
        let linear = self.linear();
        for (sample, octet) in samples.iter_mut().zip(octets) {
            *sample = linear[usize::from(*octet)].into();
        }
        samples
    }

    /// The amplitude of a sine of this level, in units of a 16-bit sample.
    ///
    /// A level above full scale gives an amplitude that clips.
    #[expect(clippy::approx_constant, reason = "3.14 dBm0 is a level, not pi")]
    pub fn amplitude(self, dbm0: f64) -> f64 {
        // ITU-T G.711 §5: a sine that just reaches the end of the highest step, before it is cut,
        // is at +3.14 dBm0 in A-law and at +3.17 dBm0 in mu-law.
        let (peak, peak_dbm0) = match self {
            Self::A => (32_768.0, 3.14),
            Self::Mu => (32_636.0, 3.17),
        };
        peak * 10f64.powf((dbm0 - peak_dbm0) / 20.0)
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A-law",
            Self::Mu => "mu-law",
        })
    }
}

static LINEAR_A: [i16; 256] = table(Law::A);
static LINEAR_MU: [i16; 256] = table(Law::Mu);

/// Every other bit of an A-law octet is sent inverted (G.711 table 1a, note 2).
const EVEN_BITS: u8 = 0x55;

/// What mu-law adds to a magnitude so that every segment starts at a power of two, in 14-bit steps.
const MU_BIAS: u16 = 33;

/// The largest biased magnitude that mu-law has a code for, in 14-bit steps.
const MU_MAX: u16 = 0x1FFF;

const fn encode_a(sample: i16) -> u8 {
    // A negative sample's magnitude is its complement, so that -1 lies in the first step below zero.
    let magnitude = magnitude(sample) >> 4;
    // The two lowest segments share one step width, so both start at shift 0.
    let segment = (16 - (magnitude >> 4).leading_zeros()) as u8;
    let step = if segment > 1 { magnitude >> (segment - 1) } else { magnitude };
    let code = segment << 4 | (step & 0x0F) as u8;
    (code | positive(sample)) ^ EVEN_BITS
}

const fn encode_mu(sample: i16) -> u8 {
    let biased = (magnitude(sample) >> 2) + MU_BIAS;
    let biased = if biased > MU_MAX { MU_MAX } else { biased };
    let segment = (10 - biased.leading_zeros()) as u8;
    let code = segment << 4 | (biased >> (segment + 1) & 0x0F) as u8;
    // Magnitude bits are sent inverted (G.711 table 2a, note 2).
    (code ^ 0x7F) | positive(sample)
}

const fn magnitude(sample: i16) -> u16 {
    if sample < 0 { !sample as u16 } else { sample as u16 }
}

/// The sign bit: set for what is not negative, in both laws.
const fn positive(sample: i16) -> u8 {
    if sample < 0 { 0 } else { 0x80 }
}

const fn decode_a(octet: u8) -> i16 {
    let code = octet ^ EVEN_BITS;
    let segment = code >> 4 & 7;
    let step = (code & 0x0F) as i16;
    let magnitude = match segment {
        0 => (step << 4) + 8,
        _ => (((step + 16) << 4) + 8) << (segment - 1),
    };
    if code & 0x80 != 0 { magnitude } else { -magnitude }
}

const fn decode_mu(octet: u8) -> i16 {
    let code = !octet;
    let segment = code >> 4 & 7;
    let step = (code & 0x0F) as i16;
    let magnitude = ((2 * step + 33) << segment) - MU_BIAS as i16;
    // The code's steps are of 14 bits; a sample has 16.
    if code & 0x80 == 0 { magnitude * 4 } else { -magnitude * 4 }
}

const fn table(law: Law) -> [i16; 256] {
    let mut linear = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        linear[octet] = match law {
            Law::A => decode_a(octet as u8),
            Law::Mu => decode_mu(octet as u8),
        };
        octet += 1;
    }
    linear
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    // ITU-T G.711 tables 5 and 6: one period of the digital milliwatt.
    const MILLIWATT_A: [u8; 8] = [0x34, 0x21, 0x21, 0x34, 0xB4, 0xA1, 0xA1, 0xB4];
    const MILLIWATT_MU: [u8; 8] = [0x1E, 0x0B, 0x0B, 0x1E, 0x9E, 0x8B, 0x8B, 0x9E];

    #[test]
    fn every_octet_but_minus_zero_decodes_and_encodes_to_itself() {
        for octet in 0..=255 {
            assert_eq!(Law::A.encode(Law::A.decode(octet)), octet, "A-law {octet:#04x}");
            let back = Law::Mu.encode(Law::Mu.decode(octet));
            // mu-law alone has two zeros; both decode to 0, which is positive.
            let expected = if octet == 0x7F { 0xFF } else { octet };
            assert_eq!(back, expected, "mu-law {octet:#04x}");
        }
    }

    #[test]
    fn encoding_is_monotonic_and_decodes_to_the_nearest_step() {
        for law in [Law::A, Law::Mu] {
            let mut last = i16::MIN;
            for sample in i16::MIN..=i16::MAX {
                let decoded = law.decode(law.encode(sample));
                assert!(decoded >= last, "{law}: {sample} decodes to {decoded}, below {last}");
                last = decoded;
                let error = i32::from(decoded).abs_diff(i32::from(sample));
                // Half of the step: at most one 32nd of the magnitude, and more only where it clips.
                let bound = (u32::from(sample.unsigned_abs()) / 32 + 8).max(8);
                assert!(error <= bound || sample.unsigned_abs() > 32_000, "{law}: {sample} became {decoded}");
            }
        }
    }

    #[test]
    fn silence_is_the_code_of_the_smallest_positive_amplitude() {
        assert_eq!(Law::A.encode(0), Law::A.silence());
        assert_eq!(Law::Mu.encode(0), Law::Mu.silence());
    }

    #[test]
    fn the_digital_milliwatt_is_a_1_khz_sine_at_0_dbm0() {
        for (law, period) in [(Law::A, MILLIWATT_A), (Law::Mu, MILLIWATT_MU)] {
            let samples = period.map(|octet| f64::from(law.decode(octet)));
            let power = samples.iter().map(|s| s * s).sum::<f64>() / 8.0;
            let dbm0 = 20.0 * ((2.0 * power).sqrt() / law.amplitude(0.0)).log10();
            assert!(dbm0.abs() < 0.02, "{law}: {dbm0:.3} dBm0");
            // One positive and one negative half wave, each the other's mirror: 1 kHz, nothing at 0 Hz.
            assert_eq!(samples.iter().sum::<f64>(), 0.0);
            for i in 0..4 {
                assert_eq!(samples[i], -samples[i + 4]);
                assert!(samples[i] < 0.0);
            }
        }
    }

    #[test]
    fn itu_vectors_are_met_bit_by_bit() {
        let folder = PathBuf::from(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../shared/vectors/itu-stl/g711/test_data"
        ));
        if !folder.is_dir() {
            eprintln!("LEFT OUT: no ITU-T G.191 vectors for G.711 in {}", folder.display());
            return;
        }
        let read = |name: &str| -> Vec<i16> {
            let octets = fs::read(folder.join(name)).expect("the folder has it");
            octets.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
        };
        let source = read("sweep.src");
        for (law, code, decoded) in
            [(Law::A, "sweep-r.a", "sweep-r.a-a"), (Law::Mu, "sweep-r.u", "sweep-r.u-u")]
        {
            let code = read(code);
            let decoded = read(decoded);
            assert_eq!(source.len(), code.len());
            for i in 0..source.len() {
                let octet = law.encode(source[i]);
                assert_eq!(i16::from(octet), code[i], "{law}: sample {i}, {}", source[i]);
                assert_eq!(law.decode(octet), decoded[i], "{law}: sample {i}, {}", source[i]);
            }
        }
    }
}
