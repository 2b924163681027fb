//! The far side of a dual-tone continuity test: hears one tone, answers with the other.
//!
//! RFC 3435 §2.3.1 has the modes `conttest` and `netwtest` use it, RFC 3660 §2.3 (trunk package) its
//! tones: co1 is 2,010 Hz, co2 is 1,780 Hz, each recognised within 30 Hz. An endpoint would be
//! provisioned for one direction of the test; this one answers whichever tone comes.
//!
//! It answers at -12 dBm0, the level that ITU-T Q.724 gives check tones, not at the level heard:
//! each direction's loss is to be measured on its own. A tone is believed after 30 ms, so it is
//! answered within 40 (Q.724: 30 to 60), and the answer ends within 30 ms of the tone.

use drivers::line::Law;

use super::goertzel::Goertzel;
use super::tone::Tone;

/// The transponder of one endpoint or connection.
#[derive(Clone, Copy, Debug)]
pub struct Transponder {
    /// Filters for co1 and co2.
    filters: [Goertzel; 2],
    energy: f32,
    heard: usize,
    state: State,
}

/// ```text
///           tone                 the same, 3 blocks           2 blocks without
/// Silent ─────────▶ Suspecting ──────────────────▶ Answering ──────────────────▶ Silent
///    ▲   no tone, or the other     │
///    └─────────────────────────────┘
/// ```
#[derive(Clone, Copy, Debug)]
enum State {
    Silent,
    Suspecting { tone: CheckTone, blocks: u8 },
    Answering { tone: CheckTone, answer: Tone, blocks_without: u8 },
}

/// The two tones of RFC 3660.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum CheckTone {
    Co1,
    Co2,
}

impl Transponder {
    /// Nothing heard, nothing said.
    pub const fn new() -> Self {
        Self {
            filters: [Goertzel::new(CheckTone::Co1.hz()), Goertzel::new(CheckTone::Co2.hz())],
            energy: 0.0,
            heard: 0,
            state: State::Silent,
        }
    }

    /// Listens to `rx` and fills `tx`, both in `law`, with the answer: silence, or the other tone.
    pub fn process(&mut self, law: Law, rx: &[u8], tx: &mut [u8]) {
        let linear = law.linear();
        for octet in rx {
            let sample = f32::from(linear[usize::from(*octet)]);
            self.energy += sample * sample;
            for filter in &mut self.filters {
                filter.push(sample);
            }
            self.heard += 1;
            if self.heard == BLOCK {
                let tone = self.finish_block();
                self.state = self.state.after(tone, law);
            }
        }
        match &mut self.state {
            State::Silent | State::Suspecting { .. } => tx.fill(law.silence()),
            State::Answering { answer, .. } => answer.fill(tx),
        }
    }

    /// Which tone a block consisted of, if either.
    fn finish_block(&mut self) -> Option<CheckTone> {
        let energy = std::mem::take(&mut self.energy);
        self.heard = 0;
        let shares = self.filters.each_mut().map(|filter| filter.finish(BLOCK) / energy.max(1.0));
        if energy < ENERGY_MIN {
            return None;
        }
        match shares {
            [co1, _] if co1 >= SHARE_MIN => Some(CheckTone::Co1),
            [_, co2] if co2 >= SHARE_MIN => Some(CheckTone::Co2),
            _ => None,
        }
    }
}

impl Default for Transponder {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    /// The state after a block in which `heard` was heard.
    fn after(self, heard: Option<CheckTone>, law: Law) -> Self {
        match (self, heard) {
            // The tone goes on: it is answered once it has lasted.
            (Self::Suspecting { tone, blocks }, Some(heard)) if tone == heard => {
                if blocks + 1 < BLOCKS_TO_BELIEVE {
                    Self::Suspecting { tone, blocks: blocks + 1 }
                } else {
                    Self::Answering { tone, answer: tone.answer(law), blocks_without: 0 }
                }
            }
            (Self::Answering { tone, answer, .. }, Some(heard)) if tone == heard => {
                Self::Answering { tone, answer, blocks_without: 0 }
            }
            // RFC 3660 §2.3: the answer goes when the tone is gone; one bad block is not that yet.
            (Self::Answering { tone, answer, blocks_without }, _) if blocks_without + 1 < BLOCKS_TO_END => {
                Self::Answering { tone, answer, blocks_without: blocks_without + 1 }
            }
            // A tone, or another one, may have begun.
            (Self::Silent | Self::Suspecting { .. } | Self::Answering { .. }, Some(tone)) => {
                Self::Suspecting { tone, blocks: 1 }
            }
            (Self::Silent | Self::Suspecting { .. } | Self::Answering { .. }, None) => Self::Silent,
        }
    }
}

impl CheckTone {
    const fn hz(self) -> f64 {
        match self {
            Self::Co1 => 2_010.0,
            Self::Co2 => 1_780.0,
        }
    }

    /// The other tone.
    fn answer(self, law: Law) -> Tone {
        let other = match self {
            Self::Co1 => Self::Co2,
            Self::Co2 => Self::Co1,
        };
        Tone::new(law, other.hz(), ANSWER_DBM0)
    }
}

/// Samples of a block, 10 ms: a filter then sees nothing of what is 100 Hz off.
const BLOCK: usize = 80;
/// The share of a block's energy that a tone must have: one that is 30 Hz off has 0.74, one that fills
/// half the block has 0.5.
const SHARE_MIN: f32 = 0.65;
const BLOCKS_TO_BELIEVE: u8 = 3;
const BLOCKS_TO_END: u8 = 2;
/// The level of check tones in ITU-T Q.724, which RFC 3660 §2.3 refers to.
const ANSWER_DBM0: f64 = -12.0;
/// The least energy of a block with a tone: -30 dBm0, 18 dB below what is sent.
const ENERGY_MIN: f32 = {
    // A peak of 722 in either law, squared, half of it, times the samples.
    722.0 * 722.0 / 2.0 * BLOCK as f32
};

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK_LEN: usize = 40;

    /// What is heard, as the tone's frequency by zero crossings, in each 5 ms block.
    fn answer(
        transponder: &mut Transponder,
        law: Law,
        mut line: impl FnMut(&mut [u8]),
        blocks: usize,
    ) -> Vec<Vec<u8>> {
        (0..blocks)
            .map(|_| {
                let (mut rx, mut tx) = ([0; BLOCK_LEN], [0; BLOCK_LEN]);
                line(&mut rx);
                transponder.process(law, &rx, &mut tx);
                tx.to_vec()
            })
            .collect()
    }

    fn is_silent(law: Law, octets: &[u8]) -> bool {
        octets.iter().all(|octet| *octet == law.silence())
    }

    fn dbm0(law: Law, octets: &[u8]) -> f64 {
        let mean = octets.iter().map(|octet| f64::from(law.decode(*octet)).powi(2)).sum::<f64>()
            / octets.len() as f64;
        20.0 * ((2.0 * mean).sqrt() / law.amplitude(0.0)).log10()
    }

    fn hz(law: Law, octets: &[u8]) -> f64 {
        let samples: Vec<i16> = octets.iter().map(|octet| law.decode(*octet)).collect();
        let rises = samples.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
        rises as f64 * 8_000.0 / samples.len() as f64
    }

    #[test]
    fn the_quietest_tone_heard_has_minus_30_dbm0() {
        assert!((Law::A.amplitude(-30.0) - 722.0).abs() < 10.0);
    }

    #[test]
    fn each_tone_is_answered_by_the_other_within_60_ms_and_only_while_it_lasts() {
        for law in [Law::A, Law::Mu] {
            for (go, check) in [(2_010.0, 1_780.0), (1_780.0, 2_010.0)] {
                for (off, level) in [(0.0, -12.0), (30.0, -12.0), (-30.0, -12.0), (0.0, -27.0), (0.0, 0.0)] {
                    let mut transponder = Transponder::new();
                    let mut tone = Tone::new(law, go + off, level);
                    let said = answer(&mut transponder, law, |rx| tone.fill(rx), 200);
                    let begin = said.iter().position(|tx| !is_silent(law, tx)).expect("an answer");
                    assert!((5..12).contains(&begin), "after {} ms", begin * 5);
                    let steady = said[12..].concat();
                    assert!((hz(law, &steady) - check).abs() < 8.0, "{} Hz", hz(law, &steady));
                    assert!((dbm0(law, &steady) + 12.0).abs() < 1.0);
                    let said = answer(&mut transponder, law, |rx| rx.fill(law.silence()), 10);
                    assert!(said[7..].iter().all(|tx| is_silent(law, tx)), "it ends within 35 ms");
                }
            }
        }
    }

    #[test]
    fn what_is_no_check_tone_is_not_answered() {
        let law = Law::A;
        for hz in [400.0, 1_000.0, 1_680.0, 1_880.0, 1_910.0, 2_110.0, 2_600.0] {
            let mut tone = Tone::new(law, hz, -12.0);
            let said = answer(&mut Transponder::new(), law, |rx| tone.fill(rx), 100);
            assert!(said.iter().all(|tx| is_silent(law, tx)), "{hz} Hz was answered");
        }
        let mut faint = Tone::new(law, 2_010.0, -36.0);
        let said = answer(&mut Transponder::new(), law, |rx| faint.fill(rx), 100);
        assert!(said.iter().all(|tx| is_silent(law, tx)));
    }

    #[test]
    fn a_burst_of_20_ms_is_no_tone() {
        let law = Law::Mu;
        let mut tone = Tone::new(law, 2_010.0, -12.0);
        let mut blocks = 0;
        let said = answer(
            &mut Transponder::new(),
            law,
            |rx| {
                blocks += 1;
                if blocks % 12 < 4 { tone.fill(rx) } else { rx.fill(law.silence()) }
            },
            200,
        );
        assert!(said.iter().all(|tx| is_silent(law, tx)));
    }
}
