//! Recognising single tones: continuity tones, a fax machine that calls, modems and fax machines that
//! answer, milliwatts.
//!
//! The line is looked at in blocks of 10 ms. A block consists of a tone if the tone's frequency has
//! most of its energy; a tone is believed when enough blocks in a row did. How much, how many, and how
//! far off the frequency may then be, is in the table at the end of this file.

use drivers::line::FRAMES_PER_SECOND;

use super::tone::sine;
use crate::observation::{CheckTone, DetectorSet, Milliwatt, Observation, Sound};

/// The receiver of one direction of one channel.
#[derive(Clone, Copy, Debug)]
pub struct SteadyTones {
    /// What the samples of this block add up to: for each tone, times its cosine and its sine.
    sums: [f32; LANES],
    energy: f32,
    /// Samples of this block.
    n: usize,
    states: [State; TONES.len()],
    /// What the last block said of the answer tone, and how much that had turned since the block before.
    answer: Option<Turn>,
    /// How the milliwatt's phase turns, which says which of them it is.
    pitch: Pitch,
}

/// ```text
///        the tone               enough blocks               enough blocks without
/// Silent ────────▶ Suspected ──────────────────▶ Believed ──────────────────▶ Silent
///    ▲   too many without  │
///    └─────────────────────┘
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Silent,
    /// For so many blocks, the last so many of which were without it.
    Suspected {
        blocks: u32,
        without: u32,
    },
    Believed {
        blocks: u32,
        without: u32,
    },
}

/// A phase, and how it turns from block to block.
#[derive(Clone, Copy, Debug)]
struct Turn {
    phase: (f32, f32),
    /// `None` until two blocks in a row were good.
    a_block: Option<(f32, f32)>,
    /// Blocks since that were not good.
    without: u32,
    /// Whether it has once turned half-way round.
    has_turned: bool,
    is_told: bool,
}

/// The milliwatt that is there, and how it is known.
#[derive(Clone, Copy, Debug)]
struct Pitch {
    /// Its phase in the last block, if that was good.
    phase: Option<(f32, f32)>,
    /// How much it turned from block to block, in all.
    turned: (f32, f32),
    told: Option<Milliwatt>,
}

/// One tone that can be recognised.
struct Known {
    sound: Sound,
    detector: DetectorSet,
    hz: f64,
    /// The peak of the quietest one.
    peak_min: f32,
    /// The share of a block's energy that it must have.
    share_min: f32,
    /// Blocks to believe it.
    blocks_min: u32,
    /// Blocks without it that end it, and end a suspicion.
    without_max: (u32, u32),
}

impl SteadyTones {
    /// Nothing heard.
    pub const fn new() -> Self {
        Self {
            sums: [0.0; LANES],
            energy: 0.0,
            n: 0,
            states: [State::Silent; TONES.len()],
            answer: None,
            pitch: Pitch::NONE,
        }
    }

    /// Listens to linear samples for the tones of `detectors`; tells `observe` what it has recognised,
    /// and how many ms before the end of `samples` that was.
    pub fn hear(
        &mut self,
        detectors: DetectorSet,
        mut samples: &[f32],
        mut observe: impl FnMut(Observation, u32),
    ) {
        while !samples.is_empty() {
            let (now, later) = samples.split_at(samples.len().min(BLOCK - self.n));
            self.add(now);
            samples = later;
            if self.n == BLOCK {
                let left = (later.len() / SAMPLES_PER_MS) as u32;
                self.finish(detectors, |what, ago| observe(what, ago + left));
            }
        }
    }

    /// Forgets what was heard of the tones of `detectors`.
    pub fn forget(&mut self, detectors: DetectorSet) {
        for (known, state) in TONES.iter().zip(&mut self.states) {
            if detectors.has(known.detector) {
                *state = State::Silent;
            }
        }
        self.forget_phase(detectors);
    }

    fn add(&mut self, samples: &[f32]) {
        for (sample, turns) in samples.iter().zip(&TURNS[self.n..]) {
            for (turn, sum) in turns.iter().zip(&mut self.sums) {
                *sum += sample * turn;
            }
            self.energy += sample * sample;
        }
        self.n += samples.len();
    }

    fn finish(&mut self, detectors: DetectorSet, mut observe: impl FnMut(Observation, u32)) {
        let sums = std::mem::replace(&mut self.sums, [0.0; LANES]);
        let energy = std::mem::take(&mut self.energy);
        self.n = 0;
        for (index, known) in TONES.iter().enumerate() {
            if !detectors.has(known.detector) {
                continue;
            }
            let phase = (sums[2 * index], sums[2 * index + 1]);
            let phase = known.is_in(energy, phase).then_some(phase);
            let (state, change) = self.states[index].after(known, phase.is_some());
            self.states[index] = state;
            match known.sound {
                Sound::Answer => self.turn(phase),
                Sound::Milliwatt(_) => self.pitch.turn(phase),
                _ => {}
            }
            match change {
                Some(Change::Begins { blocks }) => {
                    if let Some(sound) = self.begun(known) {
                        observe(Observation::Began(sound), blocks * BLOCK_MS);
                    }
                }
                Some(Change::Ends { blocks, without }) => {
                    if let Some(sound) = self.ended(known) {
                        let ms = u16::try_from(blocks.saturating_mul(BLOCK_MS)).unwrap_or(u16::MAX);
                        observe(Observation::Ended { sound, ms }, without * BLOCK_MS);
                    }
                }
                None => {}
            }
            if state == State::Silent {
                self.forget_phase(known.detector);
            }
            if let (Sound::Answer, State::Believed { .. }, Some(turn)) =
                (known.sound, state, &mut self.answer)
                && turn.has_turned
                && !turn.is_told
            {
                turn.is_told = true;
                observe(Observation::Began(Sound::AnswerTurning), 0);
            }
        }
    }

    /// What a tone that is believed now is told as, if as anything.
    fn begun(&mut self, known: &Known) -> Option<Sound> {
        match known.sound {
            Sound::Milliwatt(_) => {
                self.pitch.told = self.pitch.milliwatt();
                self.pitch.told.map(Sound::Milliwatt)
            }
            sound => Some(sound),
        }
    }

    /// What the end of a tone is told as.
    fn ended(&self, known: &Known) -> Option<Sound> {
        match known.sound {
            Sound::Milliwatt(_) => self.pitch.told.map(Sound::Milliwatt),
            Sound::Answer if self.answer.is_some_and(|turn| turn.is_told) => Some(Sound::AnswerTurning),
            sound => Some(sound),
        }
    }

    /// Forgets how the phases of the tones of `detectors` have turned.
    fn forget_phase(&mut self, detectors: DetectorSet) {
        if detectors.has(DetectorSet::ANSWER) {
            self.answer = None;
        }
        if detectors.has(DetectorSet::MILLIWATT) {
            self.pitch = Pitch::NONE;
        }
    }

    /// Follows the answer tone's phase.
    // ITU-T V.25: every 450 ms the phase of an answer tone turns by 180 degrees, within 10.
    fn turn(&mut self, phase: Option<(f32, f32)>) {
        let Some(phase) = phase else {
            if let Some(turn) = &mut self.answer {
                turn.without += 1;
            }
            return;
        };
        let Some(turn) = &mut self.answer else {
            let turn = Turn { phase, a_block: None, without: 0, has_turned: false, is_told: false };
            self.answer = Some(turn);
            return;
        };
        let expected = turn
            .a_block
            .map(|a_block| (0..=turn.without).fold(turn.phase, |phase, _| unit(times(phase, a_block))));
        if let Some(expected) = expected {
            let (near, _) = times(unit(phase), (expected.0, -expected.1));
            turn.has_turned |= near < OPPOSITE;
        }
        if turn.without == 0 {
            let (re, im) = unit(turn.phase);
            turn.a_block = Some(unit(times(phase, (re, -im))));
        }
        (turn.phase, turn.without) = (phase, 0);
    }
}

impl Default for SteadyTones {
    fn default() -> Self {
        Self::new()
    }
}

impl Known {
    /// Whether it is in a block of this energy, given what that adds up to times its cosine and sine.
    fn is_in(&self, energy: f32, (re, im): (f32, f32)) -> bool {
        let share = (re * re + im * im) * 2.0 / (BLOCK as f32 * energy.max(1.0));
        energy >= self.peak_min * self.peak_min / 2.0 * BLOCK as f32 && share >= self.share_min
    }
}

impl Pitch {
    const NONE: Self = Self { phase: None, turned: (0.0, 0.0), told: None };

    /// Takes the phase of a good block.
    fn turn(&mut self, phase: Option<(f32, f32)>) {
        if let (Some(phase), Some((re, im))) = (phase, self.phase) {
            let (re, im) = times(unit(phase), unit((re, -im)));
            self.turned = (self.turned.0 + re, self.turned.1 + im);
        }
        self.phase = phase;
    }

    /// The milliwatt whose frequency is nearest, if it is near at all.
    fn milliwatt(&self) -> Option<Milliwatt> {
        // A block is ten turns of 1,000 Hz. The sine's sum has the sign of a turn backwards.
        let turns = -self.turned.1.atan2(self.turned.0) / std::f32::consts::TAU;
        match 1_000.0 + turns * 1_000.0 / BLOCK_MS as f32 {
            980.0..1_002.0 => Some(Milliwatt::Hz1000),
            1_002.0..1_008.9 => Some(Milliwatt::Hz1004),
            1_008.9..1_032.0 => Some(Milliwatt::Hz1013),
            _ => None,
        }
    }
}

/// What a block has changed.
enum Change {
    Begins { blocks: u32 },
    Ends { blocks: u32, without: u32 },
}

impl State {
    /// The state after a block in which the tone was there or not.
    fn after(self, known: &Known, is_there: bool) -> (Self, Option<Change>) {
        let (end, forgive) = known.without_max;
        match (self, is_there) {
            (Self::Silent, false) => (Self::Silent, None),
            (Self::Silent, true) => Self::Suspected { blocks: 0, without: 0 }.after(known, true),
            (Self::Suspected { blocks, .. }, true) => {
                let blocks = blocks + 1;
                if blocks < known.blocks_min {
                    (Self::Suspected { blocks, without: 0 }, None)
                } else {
                    (Self::Believed { blocks, without: 0 }, Some(Change::Begins { blocks }))
                }
            }
            (Self::Suspected { blocks, without }, false) => {
                let (blocks, without) = (blocks + 1, without + 1);
                (if without < forgive { Self::Suspected { blocks, without } } else { Self::Silent }, None)
            }
            (Self::Believed { blocks, .. }, true) => {
                (Self::Believed { blocks: blocks + 1, without: 0 }, None)
            }
            (Self::Believed { blocks, without }, false) => {
                let (blocks, without) = (blocks + 1, without + 1);
                if without < end {
                    (Self::Believed { blocks, without }, None)
                } else {
                    (Self::Silent, Some(Change::Ends { blocks: blocks - without, without }))
                }
            }
        }
    }
}

fn times(a: (f32, f32), b: (f32, f32)) -> (f32, f32) {
    (a.0 * b.0 - a.1 * b.1, a.0 * b.1 + a.1 * b.0)
}

fn unit(a: (f32, f32)) -> (f32, f32) {
    let size = (a.0 * a.0 + a.1 * a.1).sqrt().max(f32::MIN_POSITIVE);
    (a.0 / size, a.1 / size)
}

/// The tones, and how they are known.
///
/// In 10 ms a frequency that is 15 Hz off keeps 93 % of its share, 30 Hz 74 %, 46 Hz 47 %, 80 Hz 6 %.
static TONES: [Known; 6] = [
    // RFC 3660 §2.3: within 30 Hz. ITU-T Q.724: recognised in 30 to 60 ms.
    Known {
        sound: Sound::Check(CheckTone::Co1),
        detector: DetectorSet::CHECK,
        hz: 2_010.0,
        peak_min: NOT_LOUD,
        share_min: 0.65,
        blocks_min: 3,
        without_max: (2, 1),
    },
    Known {
        sound: Sound::Check(CheckTone::Co2),
        detector: DetectorSet::CHECK,
        hz: 1_780.0,
        peak_min: NOT_LOUD,
        share_min: 0.65,
        blocks_min: 3,
        without_max: (2, 1),
    },
    // ITU-T T.30: 1,100 Hz within 38, for half a second.
    Known {
        sound: Sound::FaxCalling,
        detector: DetectorSet::FAX,
        hz: 1_100.0,
        peak_min: FAINT,
        share_min: 0.4,
        blocks_min: 35,
        without_max: (3, 2),
    },
    // ITU-T V.25: 2,100 Hz within 15, for seconds; V.8 adds 20 % of amplitude modulation. Blocks in
    // which the phase turns are forgiven.
    Known {
        sound: Sound::Answer,
        detector: DetectorSet::ANSWER,
        hz: 2_100.0,
        peak_min: FAINT,
        share_min: 0.65,
        blocks_min: 40,
        without_max: (5, 3),
    },
    Known {
        // Which of them, its phase says.
        sound: Sound::Milliwatt(Milliwatt::Hz1004),
        detector: DetectorSet::MILLIWATT,
        hz: 1_006.0,
        peak_min: FAINT,
        share_min: 0.65,
        blocks_min: 30,
        without_max: (3, 2),
    },
    // RFC 3660 §2.3: within 25 Hz.
    Known {
        sound: Sound::TestProgress,
        detector: DetectorSet::TEST_PROGRESS,
        hz: 2_225.0,
        peak_min: FAINT,
        share_min: 0.65,
        blocks_min: 30,
        without_max: (3, 2),
    },
];

/// The cosine and sine of each tone at each sample of a block.
static TURNS: [[f32; LANES]; BLOCK] = {
    let mut all = [[0.0; LANES]; BLOCK];
    let mut n = 0;
    while n < BLOCK {
        let mut tone = 0;
        while tone < TONES.len() {
            let turns = TONES[tone].hz / FRAMES_PER_SECOND as f64 * n as f64;
            all[n][2 * tone] = sine(turns + 0.25) as f32;
            all[n][2 * tone + 1] = sine(turns) as f32;
            tone += 1;
        }
        n += 1;
    }
    all
};

const LANES: usize = 2 * TONES.len();
const SAMPLES_PER_MS: usize = 8;
const BLOCK_MS: u32 = 10;
const BLOCK: usize = BLOCK_MS as usize * SAMPLES_PER_MS;
/// The cosine of 140 degrees: a phase that is further from what was expected has turned round.
const OPPOSITE: f32 = -0.766;
/// The peak of -43 dBm0, in either law.
const FAINT: f32 = 162.0;
/// The peak of -30 dBm0: 18 dB below what a continuity test sends.
const NOT_LOUD: f32 = 722.0;

#[cfg(test)]
mod tests;
