//! Recognising tones that tell a caller how the call goes: busy, congestion, special information.
//!
//! The line is looked at in blocks of 20 ms, in which each frequency of the plan has its share of the
//! energy. A block fits a step of a tone if that step's frequencies have most of it, or if it is quiet and
//! the step is. A tone is followed step by step, and believed when its steps were as long as they should be
//! for long enough: once through, if it is a melody of three pitches; twice, if it comes and goes; for
//! a second, if it is steady. It is told then, and not again while it goes on.
//!
//! ```text
//!  blocks        425 425 425 .. quiet quiet .. 425 425 .. quiet .. 425
//!  step          0───────────── 1──────────── 0────────── 1─────── 0
//!  round         1                            2                    told
//! ```

use drivers::line::FRAMES_PER_SECOND;

use crate::observation::{Observation, Sound};
use crate::tone_plan::TonePlan;
use crate::tone_spec::{Step, ToneSpec};

/// The receiver of one channel.
#[derive(Clone, Copy, Debug)]
pub struct CallTones {
    plan: Option<&'static TonePlan>,
    /// Tones and frequencies that are listened for, by their place in the plan.
    tones: u16,
    frequencies: u16,
    /// For each frequency, twice the cosine of its turn in a sample; and Goertzel's last two sums.
    turns: [f32; TonePlan::MAX],
    sums: [(f32, f32); TonePlan::MAX],
    energy: f32,
    /// Samples of this block.
    n: usize,
    follows: [Follow; TonePlan::MAX],
}

/// How far one tone has been followed.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Follow {
    /// The step it is at; none if nothing of it was heard.
    step: Option<u8>,
    /// Blocks of that step, and the last of them that did not fit.
    blocks: u16,
    odd: u16,
    /// How often it has been gone through.
    rounds: u8,
    /// Energy of the block of it that came last.
    level: f32,
    is_told: bool,
}

impl CallTones {
    /// Nothing listened for.
    pub const fn new() -> Self {
        Self {
            plan: None,
            tones: 0,
            frequencies: 0,
            turns: [0.0; TonePlan::MAX],
            sums: [(0.0, 0.0); TonePlan::MAX],
            energy: 0.0,
            n: 0,
            follows: [Follow::NOTHING; TonePlan::MAX],
        }
    }

    /// Listens for those tones of `plan` whose bits are set in `tones`. What is followed already goes on.
    pub fn listen(&mut self, plan: Option<&'static TonePlan>, tones: u16) {
        let before = if self.plan == plan { self.tones } else { 0 };
        if before == 0 {
            *self = Self { plan, ..Self::new() };
        }
        self.tones = tones;
        self.frequencies = 0;
        let Some(plan) = plan else { return };
        for (place, follow) in self.follows.iter_mut().enumerate() {
            if tones & !before & 1 << place != 0 {
                *follow = Follow::NOTHING;
            }
        }
        for place in bits(tones) {
            let Some(tone) = plan.tone(place) else { continue };
            for (frequency, at) in tone.frequencies().iter().zip(plan.places(place)) {
                if frequency.decihertz != 0 {
                    self.frequencies |= 1 << at;
                }
            }
        }
        for at in bits(self.frequencies) {
            let hz = f32::from(plan.decihertz()[at]) / 10.0;
            self.turns[at] = 2.0 * (hz / FRAMES_PER_SECOND as f32 * std::f32::consts::TAU).cos();
        }
    }

    /// Listens to linear samples; tells `observe` what it has recognised, and how many ms before the end of
    /// `samples` that began.
    pub fn hear(&mut self, mut samples: &[f32], mut observe: impl FnMut(Observation, u32)) {
        while !samples.is_empty() {
            let (now, later) = samples.split_at(samples.len().min(BLOCK - self.n));
            self.add(now);
            samples = later;
            if self.n == BLOCK {
                self.finish((later.len() / SAMPLES_PER_MS) as u32, &mut observe);
            }
        }
    }

    fn add(&mut self, samples: &[f32]) {
        for at in bits(self.frequencies) {
            let (turn, (mut one, mut two)) = (self.turns[at], self.sums[at]);
            for sample in samples {
                (one, two) = (sample + turn * one - two, one);
            }
            self.sums[at] = (one, two);
        }
        self.energy += samples.iter().map(|sample| sample * sample).sum::<f32>();
        self.n += samples.len();
    }

    fn finish(&mut self, left: u32, observe: &mut impl FnMut(Observation, u32)) {
        let sums = std::mem::replace(&mut self.sums, [(0.0, 0.0); TonePlan::MAX]);
        let energy = std::mem::take(&mut self.energy);
        self.n = 0;
        let Some(plan) = self.plan else { return };
        let share = |at: u8| {
            let (turn, (one, two)) = (self.turns[usize::from(at)], sums[usize::from(at)]);
            let power = one * one + two * two - turn * one * two;
            power * 2.0 / (BLOCK as f32 * energy.max(1.0))
        };
        for place in bits(self.tones) {
            let Some(tone) = plan.tone(place) else { continue };
            let follow = &mut self.follows[place];
            let quiet = (follow.level * QUIET_SHARE).max(FAINT);
            let fits = |step: &Step| {
                if step.sounding == 0 {
                    return energy < quiet;
                }
                let (mut all, mut least, mut n) = (0.0_f32, f32::MAX, 0.0_f32);
                for (bit, at) in plan.places(place).iter().enumerate() {
                    if step.sounding >> bit & 1 != 0 {
                        let share = share(*at);
                        (all, least, n) = (all + share, share.min(least), n + 1.0);
                    }
                }
                // Of two that sound together, one may be 9 dB below the other.
                energy >= FAINT && all >= SHARE_MIN && least * n * 4.5 >= all
            };
            if follow.take(tone, energy, fits) && !follow.is_told {
                follow.is_told = true;
                let ago = follow.heard_ms(tone);
                observe(Observation::Began(Sound::CallTone(place as u8)), left + ago);
            }
        }
    }
}

impl Default for CallTones {
    fn default() -> Self {
        Self::new()
    }
}

impl Follow {
    const NOTHING: Self = Self { step: None, blocks: 0, odd: 0, rounds: 0, level: 0.0, is_told: false };

    /// Takes a block of which it is known what it fits; whether the tone is believed.
    fn take(&mut self, tone: &ToneSpec, energy: f32, fits: impl Fn(&Step) -> bool) -> bool {
        let Some((number, step)) = self.step.and_then(|at| Some((at, tone.step(at)?))) else {
            self.begin(tone, energy, fits);
            return false;
        };
        if fits(&step) {
            self.blocks = self.blocks.saturating_add(1 + std::mem::take(&mut self.odd));
            if step.sounding != 0 {
                self.level = energy;
            }
            if is_longer(self.blocks, &step) {
                self.begin(tone, energy, fits);
            }
            return self.is_believed(tone);
        }
        let next = if tone.step(number + 1).is_some() { Some(number + 1) } else { tone.again_from() };
        let (next_step, is_long) =
            (next.and_then(|next| tone.step(next)), is_long_enough(self.blocks, &step));
        match (next, next_step) {
            (Some(next), Some(next_step)) if is_long && fits(&next_step) => {
                self.rounds = self.rounds.saturating_add(u8::from(next <= number));
                (self.step, self.blocks, self.odd) = (Some(next), 1, 0);
                if next_step.sounding != 0 {
                    self.level = energy;
                }
            }
            _ if self.odd < ODD_MAX => self.odd += 1,
            _ => self.begin(tone, energy, fits),
        }
        self.is_believed(tone)
    }

    /// Begins anew, with this block if it fits the first step.
    fn begin(&mut self, tone: &ToneSpec, energy: f32, fits: impl Fn(&Step) -> bool) {
        *self = Self::NOTHING;
        if tone.step(0).is_some_and(|first| fits(&first)) {
            (self.step, self.blocks, self.level) = (Some(0), 1, energy);
        }
    }

    fn is_believed(&self, tone: &ToneSpec) -> bool {
        let Some((number, step)) = self.step.and_then(|at| Some((at, tone.step(at)?))) else { return false };
        if step.ms == Step::FOREVER {
            return self.blocks >= STEADY_MIN;
        }
        let is_over = self.rounds > 0 || step.sounding == 0;
        if is_melody(tone) {
            // Its last pitch is over, or is as long as it should be.
            return is_over || number + 1 == pitches(tone) && is_long_enough(self.blocks, &step);
        }
        self.rounds >= ROUNDS_MIN
    }

    /// Since when it has been heard, to a few blocks.
    fn heard_ms(&self, tone: &ToneSpec) -> u32 {
        let ms =
            |from: u8, to: u8| (from..to).filter_map(|at| tone.step(at)).map(|step| u32::from(step.ms)).sum();
        let before: u32 = ms(0, self.step.unwrap_or(0));
        let round: u32 = ms(0, ToneSpec::STEPS_MAX as u8);
        let rounds = if self.rounds > 0 { round * u32::from(self.rounds) } else { 0 };
        before + rounds + u32::from(self.blocks) * BLOCK_MS
    }
}

/// Steps that sound, from the first.
fn pitches(tone: &ToneSpec) -> u8 {
    (0..ToneSpec::STEPS_MAX as u8)
        .take_while(|at| tone.step(*at).is_some_and(|step| step.sounding != 0))
        .count() as u8
}

/// Whether it is known by its pitches: three, one after the other.
fn is_melody(tone: &ToneSpec) -> bool {
    pitches(tone) >= 3
}

/// ITU-T E.180: cadences are within some 20 % of what they should be. Special information tones last for 274
/// or for 380 ms; blocks that are partly something else are not counted.
fn is_long_enough(blocks: u16, step: &Step) -> bool {
    step.ms != Step::FOREVER && (u32::from(blocks) + 1) * BLOCK_MS >= u32::from(step.ms) * 4 / 5
}

fn is_longer(blocks: u16, step: &Step) -> bool {
    step.ms != Step::FOREVER && u32::from(blocks) * BLOCK_MS > u32::from(step.ms) * 6 / 5 + BLOCK_MS
}

fn bits(mut set: u16) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let at = set.trailing_zeros() as usize;
        set &= set.wrapping_sub(1);
        (at < TonePlan::MAX).then_some(at)
    })
}

const SAMPLES_PER_MS: usize = 8;
const BLOCK_MS: u32 = 20;
const BLOCK: usize = BLOCK_MS as usize * SAMPLES_PER_MS;
/// In 20 ms a frequency that is 15 Hz off keeps 74 % of its share, 22 Hz 50 %, 58 Hz 2 %.
const SHARE_MIN: f32 = 0.55;
/// The energy of a block of a sine of -40 dBm0, in either law.
const FAINT: f32 = 230.0 * 230.0 / 2.0 * BLOCK as f32;
/// A pause is 13 dB below the tone.
const QUIET_SHARE: f32 = 0.05;
/// Blocks that may fit nothing: where a step turns into the next, and a click.
const ODD_MAX: u16 = 2;
const ROUNDS_MIN: u8 = 2;
/// A second.
const STEADY_MIN: u16 = 50;

#[cfg(test)]
mod tests;
