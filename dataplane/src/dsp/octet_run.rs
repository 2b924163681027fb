//! Recognising a test pattern: the same octet in each frame, which a circuit that is looped brings back as it
//! was sent (RFC 3660 §2.3, T/tp).

use crate::observation::{Observation, Sound};

/// The receiver of one channel.
#[derive(Clone, Copy, Debug)]
pub struct OctetRun {
    octet: u8,
    /// How often it has come in a row.
    n: u32,
}

impl OctetRun {
    /// Nothing heard.
    pub const fn new() -> Self {
        Self { octet: 0, n: 0 }
    }

    /// Takes octets of the line as they are; tells `observe` which octet is repeated, and how many ms before
    /// the end of `octets` that began, and when it no longer is.
    pub fn hear(&mut self, octets: &[u8], mut observe: impl FnMut(Observation, u32)) {
        for (index, octet) in octets.iter().enumerate() {
            let left = (octets.len() - index) as u32;
            if *octet == self.octet {
                self.n = self.n.saturating_add(1);
                if self.n == RUN_MIN {
                    let began = Observation::Began(Sound::Octet(self.octet));
                    observe(began, (RUN_MIN + left) / OCTETS_PER_MS);
                }
                continue;
            }
            if self.n >= RUN_MIN {
                let ms = u16::try_from(self.n / OCTETS_PER_MS).unwrap_or(u16::MAX);
                observe(Observation::Ended { sound: Sound::Octet(self.octet), ms }, left / OCTETS_PER_MS);
            }
            (self.octet, self.n) = (*octet, 1);
        }
    }
}

impl Default for OctetRun {
    fn default() -> Self {
        Self::new()
    }
}

const OCTETS_PER_MS: u32 = 8;
/// 100 ms without an error: a circuit that loses one bit in 6,400 does not pass.
const RUN_MIN: u32 = 100 * OCTETS_PER_MS;

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(octets: &[u8], len: usize) -> Vec<(Observation, i64)> {
        let (mut run, mut heard) = (OctetRun::new(), Vec::new());
        let mut at = 0;
        for block in octets.chunks(len) {
            at += block.len() as i64;
            run.hear(block, |what, ago| heard.push((what, at / 8 - i64::from(ago))));
        }
        heard
    }

    #[test]
    fn a_pattern_is_known_after_100_ms_whatever_the_block_and_until_its_first_error() {
        let mut octets = vec![1, 2, 3, 4, 5, 6, 7, 8];
        octets.extend([95; 1_600]);
        octets.extend([94; 799]);
        octets.push(95);
        for len in [8, 40, 160, 7] {
            let [
                (Observation::Began(Sound::Octet(95)), began),
                (Observation::Ended { sound, ms: 200 }, ended),
            ] = heard(&octets, len)[..]
            else {
                panic!("{:?}", heard(&octets, len))
            };
            assert_eq!(sound, Sound::Octet(95));
            assert!((0..=2).contains(&began) && (200..=202).contains(&ended), "{began} to {ended}");
        }
    }
}
