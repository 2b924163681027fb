//! The far side of a dual-tone continuity test: hears one tone, answers with the other.
//!
//! RFC 3435 §2.3.1 has the modes `conttest` and `netwtest` use it, RFC 3660 §2.3 (trunk package) its
//! tones: co1 is 2,010 Hz, co2 is 1,780 Hz, each recognised within 30 Hz. An endpoint would be
//! provisioned for one direction of the test; this one answers whichever tone comes, unless it is told which
//! (T/ct).
//!
//! It answers at -12 dBm0, the level that ITU-T Q.724 gives check tones, not at the level heard:
//! each direction's loss is to be measured on its own. A tone is believed after 30 ms, so it is
//! answered within 40 (Q.724: 30 to 60), and the answer ends within 30 ms of the tone.

use drivers::line::Law;
use drivers::span::Block;

use super::steady_tone::SteadyTones;
use super::tone::Tone;
use crate::observation::{CheckTone, DetectorSet, Observation, Sound};

/// The transponder of one endpoint or connection.
#[derive(Clone, Copy, Debug)]
pub struct Transponder {
    tones: SteadyTones,
    answer: Option<Tone>,
    /// The one tone that is answered; either if `None`.
    only: Option<CheckTone>,
}

impl Transponder {
    /// Nothing heard, nothing said.
    pub const fn new() -> Self {
        Self { tones: SteadyTones::new(), answer: None, only: None }
    }

    /// The same, that answers this tone alone.
    pub const fn of(tone: CheckTone) -> Self {
        Self { only: Some(tone), ..Self::new() }
    }

    /// Listens to `rx`, at most a block, and fills `tx`, both in `law`, with the answer: silence, or the
    /// other tone.
    pub fn process(&mut self, law: Law, rx: &[u8], tx: &mut [u8]) {
        let mut samples = [0.0; Block::FRAMES_MAX];
        let samples = law.samples(rx, &mut samples);
        let Self { tones, answer, only } = self;
        tones.hear(DetectorSet::CHECK, samples, |what, _| match what {
            Observation::Began(Sound::Check(tone)) if only.is_some_and(|only| only != tone) => {}
            Observation::Began(Sound::Check(tone)) => *answer = Some(answer_to(tone, law)),
            // RFC 3660 §2.3: the answer goes when the tone is gone.
            _ => *answer = None,
        });
        match answer {
            None => tx.fill(law.silence()),
            Some(answer) => answer.fill(tx),
        }
    }
}

impl Default for Transponder {
    fn default() -> Self {
        Self::new()
    }
}

/// The other tone.
fn answer_to(tone: CheckTone, law: Law) -> Tone {
    let hz = match tone {
        CheckTone::Co1 => 1_780.0,
        CheckTone::Co2 => 2_010.0,
    };
    Tone::new(law, hz, ANSWER_DBM0)
}

/// The level of check tones in ITU-T Q.724, which RFC 3660 §2.3 refers to.
const ANSWER_DBM0: f64 = -12.0;

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
    fn one_that_is_told_which_tone_answers_no_other() {
        let law = Law::A;
        for (hz, is_answered) in [(2_010.0, true), (1_780.0, false)] {
            let mut tone = Tone::new(law, hz, -12.0);
            let said = answer(&mut Transponder::of(CheckTone::Co1), law, |rx| tone.fill(rx), 40);
            assert_eq!(said.iter().any(|tx| !is_silent(law, tx)), is_answered, "{hz} Hz");
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
