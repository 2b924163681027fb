//! Packet loss concealment for G.711: what a line hears where a packet did not come.
//!
//! The last pitch period before the loss is repeated, at full level for 10 ms, then fading to silence
//! at 60 ms; joints are blended. It is the outline of ITU-T G.711 Appendix I without the delay that
//! it adds to everything that is *not* lost; the calls are such that it could take this one's place.
//!
//! The caller keeps the history of what was heard: while nothing is lost, that copy is all it costs.

use std::ops::RangeInclusive;

use drivers::line::Law;

/// Octets before a loss that are looked at: two periods of the lowest pitch.
pub const HISTORY: usize = 2 * PERIOD_MAX;

/// Octets over which the first ones after a loss are blended in: 4 ms.
pub const OVERLAP: usize = 32;

/// Octets that [`Concealment::cut`] looks at.
pub const CUT: usize = PERIOD_MAX + CUT_TEMPLATE;

/// The concealment of one leg.
#[derive(Clone, Debug)]
pub struct Concealment {
    law: Law,
    /// Octets made up so far in this loss; `None` outside one.
    lost: Option<usize>,
    /// Of them, how many were blended with octets that came after it.
    joined: usize,
    /// The first `period` samples are what is repeated.
    cycle: [i16; PERIOD_MAX],
    period: usize,
    at: usize,
    /// By how much the first sample made up would miss the last one heard.
    step: i32,
}

impl Concealment {
    /// For a line of this law.
    pub const fn new(law: Law) -> Self {
        Self { law, lost: None, joined: 0, cycle: [0; PERIOD_MAX], period: PERIOD_MIN, at: 0, step: 0 }
    }

    /// Begins a loss, unless one goes on: `history`, and `more` of the same block, were heard before it.
    pub fn begin(&mut self, history: &[u8; HISTORY], more: &[u8]) {
        if self.is_active() && self.joined == 0 {
            return;
        }
        let mut history = *history;
        append(&mut history, more);
        let samples = decode(self.law, &history);
        let template = &samples[HISTORY - PERIOD_MAX..];
        // Place `k` of the whole history is `PERIOD_MAX - k` before the template.
        let k = most_alike(template, &samples, 0..=PERIOD_MAX - PERIOD_MIN);
        let period = PERIOD_MAX - k;
        let start = HISTORY - period;
        self.period = period;
        self.cycle[..period].copy_from_slice(&samples[start..]);
        // So that the end of the cycle flows into its beginning, its last quarter turns into what
        // came before that beginning.
        let quarter = period / 4;
        for i in 0..quarter {
            let (end, before) = (period - quarter + i, start - quarter + i);
            self.cycle[end] = blend(self.cycle[end], samples[before], i + 1, quarter + 1);
        }
        self.step = i32::from(samples[HISTORY - 1]) - i32::from(samples[start - 1]);
        self.at = 0;
        self.joined = 0;
        self.lost = Some(0);
    }

    /// Makes up the next octets of a loss; silence outside one.
    pub fn fill(&mut self, out: &mut [u8]) {
        if self.lost.is_none_or(|lost| lost >= FADE_END) {
            out.fill(self.law.silence());
            return;
        }
        for octet in out {
            *octet = self.law.encode(self.sample());
        }
    }

    /// Takes octets that came after a loss: blends the first [`OVERLAP`] of them, which end it.
    pub fn rejoin(&mut self, real: &mut [u8]) {
        if !self.is_active() {
            return;
        }
        let len = real.len().min(OVERLAP - self.joined);
        for octet in &mut real[..len] {
            self.joined += 1;
            let heard = self.law.decode(*octet);
            *octet = self.law.encode(blend(self.sample(), heard, self.joined, OVERLAP + 1));
        }
        if self.joined == OVERLAP {
            self.lost = None;
        }
    }

    /// Whether a loss has begun and not ended.
    pub fn is_active(&self) -> bool {
        self.lost.is_some()
    }

    /// Where `ahead`, which is about to be played, can be cut short: by how many octets, `most` at
    /// most, and what is then to be played in place of the first octets after the cut.
    pub fn cut(&self, ahead: &[u8; CUT], most: usize) -> Option<(usize, [u8; OVERLAP])> {
        if most < PERIOD_MIN {
            return None;
        }
        let samples = decode(self.law, ahead);
        let by = most_alike(&samples[..CUT_TEMPLATE], &samples, PERIOD_MIN..=most.min(PERIOD_MAX));
        let joint =
            std::array::from_fn(|i| self.law.encode(blend(samples[i], samples[by + i], i + 1, OVERLAP + 1)));
        Some((by, joint))
    }

    fn sample(&mut self) -> i16 {
        let Some(lost) = &mut self.lost else { return 0 };
        let mut sample = i32::from(self.cycle[self.at]);
        if *lost < STEP_END {
            sample += self.step * (STEP_END - *lost) as i32 / STEP_END as i32;
        }
        let gain = (FADE_END.saturating_sub((*lost).max(FADE_START))) as i32;
        self.at = if self.at + 1 == self.period { 0 } else { self.at + 1 };
        *lost += 1;
        let sample = sample.clamp(i16::MIN.into(), i16::MAX.into());
        (sample * gain / (FADE_END - FADE_START) as i32) as i16
    }
}

/// Appends octets to a history; as many of the oldest go.
pub fn append(history: &mut [u8; HISTORY], octets: &[u8]) {
    history.copy_within(octets.len().., 0);
    history[HISTORY - octets.len()..].copy_from_slice(octets);
}

fn decode<const N: usize>(law: Law, octets: &[u8; N]) -> [i16; N] {
    let linear = law.linear();
    octets.map(|octet| linear[usize::from(octet)])
}

/// `from` turning into `to`: at `part` of `whole`.
fn blend(from: i16, to: i16, part: usize, whole: usize) -> i16 {
    let (part, whole) = (part as i32, whole as i32);
    ((i32::from(from) * (whole - part) + i32::from(to) * part) / whole) as i16
}

/// The place in `samples`, of those in `places`, where they are most like `template`: the one of the
/// greatest normalised correlation.
fn most_alike(template: &[i16], samples: &[i16], places: RangeInclusive<usize>) -> usize {
    // Ten bits a sample, so that sums of products fit in 32.
    let peak = samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
    let shift = (16 - peak.leading_zeros()).saturating_sub(10);
    let mut narrow = [0i16; HISTORY];
    let narrow = &mut narrow[..samples.len()];
    for (to, from) in narrow.iter_mut().zip(samples) {
        *to = from >> shift;
    }
    let mut narrow_template = [0i16; PERIOD_MAX];
    let narrow_template = &mut narrow_template[..template.len()];
    for (to, from) in narrow_template.iter_mut().zip(template) {
        *to = from >> shift;
    }

    let mut best = (*places.start(), f32::MIN);
    for place in places {
        let part = &narrow[place..place + template.len()];
        let (mut product, mut energy) = (0i32, 1i32);
        for (a, b) in narrow_template.iter().zip(part) {
            product += i32::from(*a) * i32::from(*b);
            energy += i32::from(*b) * i32::from(*b);
        }
        let likeness = product as f32 * product.unsigned_abs() as f32 / energy as f32;
        if likeness > best.1 {
            best = (place, likeness);
        }
    }
    best.0
}

/// The shortest pitch period, in samples: 5 ms, 200 Hz. (Higher voices repeat in multiples of it.)
const PERIOD_MIN: usize = 40;
/// The longest: 15 ms, 66 Hz.
const PERIOD_MAX: usize = 120;
/// Samples that must be alike on both sides of a cut: 10 ms.
const CUT_TEMPLATE: usize = 80;
/// Samples over which the step at the beginning of a loss is spread: 2 ms.
const STEP_END: usize = 16;
/// Made-up samples at full level: 10 ms (G.711 Appendix I).
const FADE_START: usize = 80;
/// Made-up samples until silence: 60 ms (G.711 Appendix I).
const FADE_END: usize = 480;

const _: () = assert!(CUT <= HISTORY && CUT_TEMPLATE >= OVERLAP && PERIOD_MIN >= OVERLAP);

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    /// A voiced sound: a pulse-like wave of `period` samples.
    fn voice(law: Law, period: f64, from: usize, len: usize) -> Vec<u8> {
        (from..from + len)
            .map(|i| {
                let phase = TAU * i as f64 / period;
                let sample =
                    6_000.0 * phase.sin() + 3_000.0 * (2.0 * phase).sin() + 1_500.0 * (3.0 * phase).cos();
                law.encode(sample as i16)
            })
            .collect()
    }

    fn linear(law: Law, octets: &[u8]) -> Vec<i32> {
        octets.iter().map(|octet| law.decode(*octet).into()).collect()
    }

    fn step_max(samples: &[i32]) -> i32 {
        samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).max().unwrap_or(0)
    }

    #[test]
    fn a_steady_voice_goes_on_through_a_short_loss() {
        for law in [Law::A, Law::Mu] {
            for period in [40.0, 53.3, 64.0, 80.0, 119.0] {
                let before = voice(law, period, 0, HISTORY);
                let mut concealment = Concealment::new(law);
                concealment.begin(before[..].try_into().expect("of that length"), &[]);
                let mut made_up = [0; 80];
                concealment.fill(&mut made_up);
                let (made_up, real) = (linear(law, &made_up), linear(law, &voice(law, period, HISTORY, 80)));
                let error: i32 = made_up.iter().zip(&real).map(|(a, b)| (a - b).abs()).sum::<i32>() / 80;
                assert!(error < 900, "{law}, period {period}: mean error {error}");
            }
        }
    }

    #[test]
    fn joints_are_no_steeper_than_the_voice_itself() {
        let law = Law::A;
        let before = voice(law, 71.0, 0, HISTORY);
        let mut concealment = Concealment::new(law);
        concealment.begin(before[..].try_into().expect("of that length"), &[]);
        let mut made_up = vec![0; 160];
        concealment.fill(&mut made_up);
        let mut after = voice(law, 71.0, HISTORY + 160 + 30, 160);
        concealment.rejoin(&mut after);
        let all: Vec<u8> = [before.clone(), made_up, after].concat();
        let natural = step_max(&linear(law, &before));
        assert!(
            step_max(&linear(law, &all)) * 2 <= natural * 3,
            "steps of at most 1.5 times the voice's own"
        );
        assert!(!concealment.is_active());
    }

    #[test]
    fn a_long_loss_fades_to_silence_in_60_ms() {
        let law = Law::Mu;
        let mut concealment = Concealment::new(law);
        concealment.begin(voice(law, 64.0, 0, HISTORY)[..].try_into().expect("of that length"), &[]);
        let mut made_up = [0; 640];
        for block in made_up.chunks_mut(40) {
            concealment.fill(block);
        }
        let peak = |range: std::ops::Range<usize>| linear(law, &made_up[range]).iter().map(|s| s.abs()).max();
        assert!(peak(0..80) > Some(7_000));
        assert!(peak(240..320) < peak(80..160));
        assert!(made_up[480..].iter().all(|octet| law.decode(*octet) == 0));
    }

    #[test]
    fn silence_is_concealed_by_silence() {
        for law in [Law::A, Law::Mu] {
            let mut concealment = Concealment::new(law);
            concealment.begin(&[law.silence(); HISTORY], &[]);
            let mut made_up = [0; 80];
            concealment.fill(&mut made_up);
            assert_eq!(made_up, [law.silence(); 80]);
        }
    }

    #[test]
    fn a_cut_takes_out_whole_periods() {
        let law = Law::A;
        let concealment = Concealment::new(law);
        let ahead = voice(law, 57.0, 0, CUT);
        let (by, joint) =
            concealment.cut(ahead[..].try_into().expect("of that length"), 1_000).expect("long enough");
        assert_eq!(by % 57, 0);
        let (joint, real) = (linear(law, &joint), linear(law, &ahead[by..by + OVERLAP]));
        assert!(joint.iter().zip(&real).all(|(a, b)| (a - b).abs() < 500));
        assert_eq!(concealment.cut(ahead[..].try_into().expect("of that length"), 39), None);
    }
}
