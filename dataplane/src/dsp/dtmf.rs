//! Recognising DTMF digits (ITU-T Q.23, Q.24) among speech, on a line or in what a peer sends.
//!
//! A digit is two steady frequencies, one of each group, for 40 ms. So each group is let through one
//! complex filter as wide as the group, once a millisecond (a *hop*). How far the output's phase turns
//! from hop to hop is the frequency, whichever of the four it is; its size is the level.
//!
//! ```text
//!  samples ─┬─▶ low group,  819 Hz, 5 ms ───▶ phase ─┐    which two?  for 27 hops?   is it a digit?
//!           ├─▶ high group, 1,421 Hz, 4 ms ─▶ phase ─┼─▶ nearest ──▶ run of hops ──▶ sums of the run:
//!           └─▶ energy ──────────────────────────────┘   in phase                    frequency, twist,
//!                                                                                     share of energy
//! ```
//!
//! What the run's sums are compared with is at the end of this file, with what ITU-T Q.24 wants: accept
//! 1.5 % off and not 3.5 %, the high group 4 dB above the low one to 8 dB below it, 40 ms and not 23 ms;
//! an interruption of 10 ms is none.

use drivers::span::Block;

use super::tone::sine;
use crate::observation::{Digit, Observation, Sound};

/// The receiver of one direction of one channel.
#[derive(Clone, Copy, Debug)]
pub struct DtmfReceiver {
    /// What came before, for the filters.
    before: [f32; BEFORE],
    /// Energy of the last hops, the latest first, and of the window that they are.
    energies: [f32; HOPS],
    energy: f32,
    /// What the filters said in the last hops, the latest first.
    low: [Complex; LAG + 1],
    high: [Complex; LAG + 1],
    run: Run,
    digit: Option<Held>,
}

/// Hops in a row that all look like one digit.
#[derive(Clone, Copy, Debug)]
struct Run {
    digit: Digit,
    /// How many; none if 0.
    hops: u16,
    /// How many since have not, as one may in noise.
    without: u16,
    low: Sums,
    high: Sums,
    energy: f32,
}

/// What one group's filter said in a run.
#[derive(Clone, Copy, Debug)]
struct Sums {
    power: f32,
    /// Products of each hop's output with that of `LAG` hops before: their angle is the frequency.
    turn: Complex,
    /// The sizes of these. The products of a steady tone all point the same way.
    size: f32,
}

/// A digit that is there now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pressed {
    /// Which.
    pub digit: Digit,
    /// Its level, in dBm0 with the sign dropped: 0 to 45.
    pub volume: u8,
    /// How long before the end of what was heard it began, in ms.
    pub ago: u32,
    /// How long it is known to have lasted, in ms: it only grows, and in the end it is all.
    pub ms: u32,
}

/// A digit that has begun.
#[derive(Clone, Copy, Debug)]
struct Held {
    digit: Digit,
    volume: u8,
    /// Hops since the first that looked like it.
    hops: u32,
    /// Hops since the last that did.
    without: u16,
}

impl DtmfReceiver {
    /// Nothing heard.
    pub const fn new() -> Self {
        Self {
            before: [0.0; BEFORE],
            energies: [0.0; HOPS],
            energy: 0.0,
            low: [Complex::ZERO; LAG + 1],
            high: [Complex::ZERO; LAG + 1],
            run: Run::NONE,
            digit: None,
        }
    }

    /// Stops listening, and gives up the digit that has begun and not ended, with its ms so far.
    pub fn interrupt(&mut self) -> Option<(Digit, u16)> {
        let held = std::mem::take(self).digit?;
        Some((held.digit, u16::try_from(held.hops).unwrap_or(u16::MAX)))
    }

    /// Listens to linear samples, a multiple of eight of them and at most a block; tells `observe` what
    /// it has recognised, and how many ms before the end of `samples` that was.
    pub fn hear(&mut self, samples: &[f32], mut observe: impl FnMut(Observation, u32)) {
        let mut line = [0.0; BEFORE + Block::FRAMES_MAX];
        line[..BEFORE].copy_from_slice(&self.before);
        line[BEFORE..][..samples.len()].copy_from_slice(samples);
        let hops = samples.len() / HOP;
        for hop in 0..hops {
            let window = line[hop * HOP..].first_chunk().expect("a hop's window ends with the hop");
            let left = (hops - 1 - hop) as u32;
            self.hop(window, |what, ago| observe(what, ago + left));
        }
        self.before.copy_from_slice(&line[samples.len()..][..BEFORE]);
    }

    /// The digit that is there now.
    pub fn pressed(&self) -> Option<Pressed> {
        let Held { digit, volume, hops, without } = self.digit?;
        let ms = hops - u32::from(without) + HOPS_HIDDEN;
        Some(Pressed { digit, volume, ago: hops + HOPS_HIDDEN + DELAY, ms })
    }

    /// The digit that is there now, or may be: who keeps digits from others cannot wait until one is certain.
    pub fn suspected(&self) -> Option<Digit> {
        let held = self.digit.map(|held| held.digit);
        held.or((self.run.hops >= HOPS_TO_SUSPECT).then_some(self.run.digit))
    }

    fn hop(&mut self, window: &[f32; WINDOW], mut observe: impl FnMut(Observation, u32)) {
        let [a, b, c, d, _] = self.energies;
        self.energies = [energy(window.last_chunk().expect("a hop is shorter than a window")), a, b, c, d];
        self.energy = self.energies.iter().sum();
        // A pause is half of a call, and costs next to nothing.
        let (low, high) =
            if self.energy < LEVEL_MIN { (Complex::ZERO, Complex::ZERO) } else { filter(window) };
        shift(&mut self.low, low);
        shift(&mut self.high, high);

        let seen = self.look();
        self.count(seen);
        if let Some(held) = &mut self.digit {
            held.hops += 1;
            held.without = if seen == Some(held.digit) { 0 } else { held.without + 1 };
            // Another digit ends this one however soon it came, but no sooner than it is believed.
            if held.without > HOPS_TO_END || (self.run.digit != held.digit && self.run.is_digit()) {
                let (digit, lasted) = (held.digit, held.hops - u32::from(held.without) + HOPS_HIDDEN);
                observe(
                    Observation::Ended {
                        sound: Sound::Digit(digit),
                        ms: u16::try_from(lasted).unwrap_or(u16::MAX),
                    },
                    u32::from(held.without) + DELAY,
                );
                self.digit = None;
            }
        }
        if self.digit.is_none() && self.run.is_digit() {
            let hops = u32::from(self.run.hops);
            self.digit = Some(Held { digit: self.run.digit, volume: self.run.volume(), hops, without: 0 });
            observe(Observation::Began(Sound::Digit(self.run.digit)), hops + HOPS_HIDDEN + DELAY);
        }
    }

    /// The digit that this hop looks like. Speech is mostly turned away at the first question.
    fn look(&self) -> Option<Digit> {
        let (low, high) = (self.low[0].power(), self.high[0].power());
        if low < POWER_MIN || high < POWER_MIN || low + high < self.energy * LOOK_SHARE_MIN {
            return None;
        }
        if low > high * LOOK_TWIST_MAX || high > low * LOOK_TWIST_MAX {
            return None;
        }
        let row = nearest(self.low[0].turn_since(self.low[LOW.lag]), &LOW.turns);
        let column = nearest(self.high[0].turn_since(self.high[HIGH.lag]), &HIGH.turns);
        Some(Digit::at(row, column))
    }

    /// Adds this hop to the run, or ends it.
    fn count(&mut self, seen: Option<Digit>) {
        let run = &mut self.run;
        if run.hops > 0 && seen != Some(run.digit) {
            run.without += 1;
            if run.without <= HOPS_FORGIVEN {
                return;
            }
            run.hops = 0;
        }
        let Some(digit) = seen else { return };
        if run.hops == 0 {
            *run = Run { digit, ..Run::NONE };
        }
        run.without = 0;
        run.hops = run.hops.saturating_add(1);
        // The filters are not filled with the digit from the first hop on.
        if run.hops > HOPS_TO_FILL {
            run.low.add(&self.low);
            run.high.add(&self.high);
            run.energy += self.energy;
        }
    }
}

impl Default for DtmfReceiver {
    fn default() -> Self {
        Self::new()
    }
}

impl Run {
    const NONE: Self =
        Self { digit: Digit::at(0, 0), hops: 0, without: 0, low: Sums::NONE, high: Sums::NONE, energy: 0.0 };

    /// Whether it has been long enough, and is a digit by all that Q.24 asks for.
    fn is_digit(&self) -> bool {
        if self.hops < HOPS_TO_BELIEVE {
            return false;
        }
        let (low_hz, high_hz) = self.digit.hz();
        let (low, high) = (LOW.tone(&self.low, low_hz), HIGH.tone(&self.high, high_hz));
        let (Some(low), Some(high)) = (low, high) else { return false };
        low <= high * TWIST_MAX
            && high <= low * REVERSE_TWIST_MAX
            && low + high >= self.energy * SHARE_MIN
            && low.min(high) >= LEVEL_MIN * f32::from(self.hops - HOPS_TO_FILL)
    }

    /// The level of both frequencies together, in dBm0 with the sign dropped.
    fn volume(&self) -> u8 {
        let (low_hz, high_hz) = self.digit.hz();
        let both = LOW.tone(&self.low, low_hz).zip(HIGH.tone(&self.high, high_hz));
        let energy = both.map_or(0.0, |(low, high)| low + high) / f32::from(self.hops - HOPS_TO_FILL);
        let below = 10.0 * (energy_of(1.0) / energy.max(1.0)).log10();
        below.round().clamp(0.0, 63.0) as u8
    }
}

impl Sums {
    const NONE: Self = Self { power: 0.0, turn: Complex::ZERO, size: 0.0 };

    /// Adds the latest of a filter's outputs.
    fn add(&mut self, outputs: &[Complex; LAG + 1]) {
        let turn = outputs[0].turn_since(outputs[LAG]);
        self.power += outputs[0].power();
        self.turn = self.turn.plus(turn);
        self.size += turn.power().sqrt();
    }
}

/// One group's filter and what is known of it.
struct Group {
    /// The middle of the group, in Hz.
    centre: f64,
    /// The filter's length.
    taps: usize,
    /// The lag in hops by which the four frequencies are told apart, and how each turns in that time.
    lag: usize,
    turns: [Complex; 4],
    /// What makes the output's power the energy of a tone that is off the centre, in steps of
    /// `GAIN_STEP` Hz.
    gains: [f32; GAINS],
}

impl Group {
    const fn new(centre: f64, taps: usize, lag: usize, hz: [u16; 4]) -> Self {
        let mut turns = [Complex::ZERO; 4];
        let mut k = 0;
        while k < 4 {
            let turn = hz[k] as f64 * (HOP * lag) as f64 / RATE;
            turns[k] = Complex { re: cosine(turn) as f32, im: sine(turn) as f32 };
            k += 1;
        }
        let mut gains = [0.0; GAINS];
        let mut step = 0;
        while step < GAINS {
            gains[step] = gain(step as f64 * GAIN_STEP, taps) as f32;
            step += 1;
        }
        Self { centre, taps, lag, turns, gains }
    }

    /// The energy of the tone of about `hz` that a run's sums show, if it is near enough and steady.
    fn tone(&self, sums: &Sums, hz: u16) -> Option<f32> {
        if sums.turn.power() < (sums.size * STEADINESS_MIN) * (sums.size * STEADINESS_MIN) {
            return None;
        }
        // The angle leaves out whole turns; `hz` says how many.
        let nominal = f32::from(hz);
        let expected = nominal * LAG_SECONDS * std::f32::consts::TAU;
        let angle = sums.turn.times(Complex { re: expected.cos(), im: -expected.sin() });
        let off = angle.im.atan2(angle.re) / (LAG_SECONDS * std::f32::consts::TAU);
        if off.abs() > nominal * OFF_MAX {
            return None;
        }
        let at = ((nominal + off - self.centre as f32).abs() / GAIN_STEP as f32) as usize;
        Some(sums.power * self.gains[at.min(GAINS - 1)])
    }
}

/// Which of `turns` is nearest in angle to `turn`.
fn nearest(turn: Complex, turns: &[Complex; 4]) -> usize {
    let nearness = turns.map(|one| turn.re * one.re + turn.im * one.im);
    let mut best = 0;
    for k in 1..4 {
        if nearness[k] > nearness[best] {
            best = k;
        }
    }
    best
}

/// What the two groups' filters make of a window.
// Four sums side by side, of four values each: machines have vectors of four, and an addition takes four
// times as long as it keeps the machine from the next.
fn filter(window: &[f32; WINDOW]) -> (Complex, Complex) {
    let mut sums = [[0.0; 4]; 4];
    for (samples, taps) in window.as_chunks::<4>().0.iter().zip(TAPS.as_chunks::<4>().0) {
        for ((sample, taps), sum) in samples.iter().zip(taps).zip(&mut sums) {
            for (tap, sum) in taps.iter().zip(sum) {
                *sum += sample * tap;
            }
        }
    }
    let [a, b, c, d] = sums;
    let sum = |k: usize| a[k] + b[k] + (c[k] + d[k]);
    (Complex { re: sum(0), im: sum(1) }, Complex { re: sum(2), im: sum(3) })
}

/// The energy of a hop, in the squared unit of a sample.
fn energy(hop: &[f32; HOP]) -> f32 {
    let [a, b, c, d, e, f, g, h] = hop.map(|sample| sample * sample);
    ((a + e) + (b + f)) + ((c + g) + (d + h))
}

/// Puts `latest` before the others; the last falls out.
fn shift(all: &mut [Complex; LAG + 1], latest: Complex) {
    let [a, b, c, d, _] = *all;
    *all = [latest, a, b, c, d];
}

#[derive(Clone, Copy, Debug)]
struct Complex {
    re: f32,
    im: f32,
}

impl Complex {
    const ZERO: Self = Self { re: 0.0, im: 0.0 };

    const fn power(self) -> f32 {
        self.re * self.re + self.im * self.im
    }

    const fn plus(self, other: Self) -> Self {
        Self { re: self.re + other.re, im: self.im + other.im }
    }

    const fn times(self, other: Self) -> Self {
        Self { re: self.re * other.re - self.im * other.im, im: self.re * other.im + self.im * other.re }
    }

    /// The turn from `before` to this, times both sizes.
    const fn turn_since(self, before: Self) -> Self {
        self.times(Self { re: before.re, im: -before.im })
    }
}

static LOW: Group = Group::new(819.0, 40, 2, Digit::LOW_HZ);
static HIGH: Group = Group::new(1_421.0, 32, 1, Digit::HIGH_HZ);

/// The weight of a tap in a Hann window, symmetric about its middle.
const fn hann(index: usize, taps: usize) -> f64 {
    0.5 - 0.5 * cosine((index as f64 + 0.5) / taps as f64)
}

const fn cosine(turns: f64) -> f64 {
    sine(turns + 0.25)
}

/// The energy at the centre over that at `off` Hz from it.
const fn gain(off: f64, taps: usize) -> f64 {
    let (mut sum, mut index) = (0.0, 0);
    while index < taps {
        let from_middle = index as f64 - (taps - 1) as f64 / 2.0;
        sum += hann(index, taps) * cosine(off / RATE * from_middle);
        index += 1;
    }
    let response = sum / (taps / 2) as f64;
    1.0 / (response * response)
}

/// What each sample of a window adds to the low group's output and the high group's, scaled so that of a
/// tone at the centre the power is the window's energy.
static TAPS: [[f32; 4]; WINDOW] = {
    let mut all = [[0.0; 4]; WINDOW];
    put(&LOW, 0, &mut all);
    put(&HIGH, 2, &mut all);
    all
};

const fn put(group: &Group, at: usize, all: &mut [[f32; 4]; WINDOW]) {
    // A tone of amplitude a gives a/2 times the weights, which add up to half the taps; a window of it
    // has a²/2 times its length.
    let scale = SQRT_2_WINDOW / (group.taps / 2) as f64;
    let first = (WINDOW - group.taps) / 2;
    let mut index = 0;
    while index < group.taps {
        let (weight, turns) = (hann(index, group.taps) * scale, group.centre / RATE * index as f64);
        all[first + index][at] = (weight * cosine(turns)) as f32;
        all[first + index][at + 1] = (-weight * sine(turns)) as f32;
        index += 1;
    }
}

/// The window's energy that an amplitude of `dbm0` gives, in A-law's scale; `tenth` is 10^(dbm0/10).
const fn energy_of(tenth: f64) -> f32 {
    // A sine of 0 dBm0 has a peak of 32,768 less 3.14 dB.
    (tenth * 32_768.0 * 32_768.0 / 2.0606 / 2.0 * WINDOW as f64) as f32
}

const RATE: f64 = drivers::line::FRAMES_PER_SECOND as f64;
/// Samples of a hop: a millisecond. The blocks of all lines are whole hops.
const HOP: usize = 8;
/// Hops that a filter looks at.
const HOPS: usize = 5;
const WINDOW: usize = HOPS * HOP;
const BEFORE: usize = WINDOW - HOP;
/// The hops over which the frequency is measured.
const LAG: usize = 4;
const LAG_SECONDS: f32 = (LAG * HOP) as f32 / RATE as f32;
/// The square root of twice the window.
const SQRT_2_WINDOW: f64 = 8.944_271_910;
const GAIN_STEP: f64 = 4.0;
const GAINS: usize = 66;
/// Short enough that nobody takes what has been heard for a digit (ITU-T Q.24: 23 ms), the filters and a
/// block counted in.
const HOPS_TO_SUSPECT: u16 = 8;

/// Hops that must look alike: a digit of 40 ms has 35 and more, one of 24 ms fewer.
const HOPS_TO_BELIEVE: u16 = 27;
/// The first of them, of which little is to be learnt.
const HOPS_TO_FILL: u16 = 4;
/// Hops in a row that may look otherwise meanwhile.
const HOPS_FORGIVEN: u16 = 2;
/// Hops that must not, for a digit to be over: an interruption of 10 ms has fewer, one of 30 ms more.
const HOPS_TO_END: u16 = 22;
/// A digit lasts this much longer than the hops that look like it, in ms.
const HOPS_HIDDEN: u32 = 3;
/// A hop tells of a moment this long ago, in ms.
const DELAY: u32 = 1;

/// How far off a frequency may be: between 1.8 % and 3 %.
const OFF_MAX: f32 = 0.024;
/// The low group above the high one: between 8 and 10 dB.
const TWIST_MAX: f32 = 7.9;
/// The high group above the low one: between 4 and 6 dB.
const REVERSE_TWIST_MAX: f32 = 3.2;
/// How steady each frequency is: whistles and vowels that look like a digit for so long are not.
const STEADINESS_MIN: f32 = 0.93;
/// The two tones' share of all energy: noise is 7.5 dB below them at least.
const SHARE_MIN: f32 = 0.85;
/// The weaker tone: -45 dBm0.
const LEVEL_MIN: f32 = energy_of(0.000_031_6);
/// For a single hop, filters uncorrected: looser than what the run will have to meet.
const POWER_MIN: f32 = LEVEL_MIN / 4.0;
const LOOK_SHARE_MIN: f32 = 0.2;
const LOOK_TWIST_MAX: f32 = 40.0;

#[cfg(test)]
mod tests;
