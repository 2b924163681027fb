//! Takes the echo of what is played to a line out of what comes from it (ITU-T G.168).
//!
//! ```text
//!   to the line ────────┬──────────────────────────▶ hybrid
//!                       ▼                              │ echo
//!                    filter ── the echo, as expected   │ and who talks there
//!                       │                              ▼
//!   from the line ◀── residue ◀───────── - ◀────────── +
//! ```
//!
//! * The filter knows how the line answers and goes on learning; its expectation is subtracted.
//! * The residue takes away what is left, and puts the line's own noise in its place, as long as nobody
//!   at the near end talks.
//! * The guard listens for modems: the tones with which they ask for it end all this until their call
//!   falls silent.
//!
//! Octets that have no echo to lose pass as they are.

mod filter;
mod guard;
mod residue;
#[cfg(test)]
mod tests;

use drivers::line::{FRAMES_PER_SECOND, Law};
use drivers::span::Block;

use self::filter::Filter;
use self::guard::{Guard, Order};
use self::residue::{Residue, Verdict};

/// How echo is cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EchoSettings {
    /// How late an echo may come, in ms: 8 to 128. What is between the engine and the hybrid counts, too.
    pub tail_ms: u8,
    /// Whether what the filter leaves over is taken away where nobody talks.
    pub suppresses: bool,
    /// Whether noise like the line's own is put in its place.
    pub comforts: bool,
}

/// The echo canceller of one line.
#[derive(Debug)]
pub struct EchoCanceller {
    settings: EchoSettings,
    /// Samples that are worked on at once: a block, or an even part of it.
    hop: usize,
    filter: Filter,
    residue: Residue,
    guard: Guard,
    /// The block that is played, to be learnt from when the one that comes meanwhile is there.
    played: [f32; Block::FRAMES_MAX],
    /// The block that came, without its echo.
    clean: [u8; Block::FRAMES_MAX],
}

impl EchoCanceller {
    /// A canceller that knows nothing of its line yet; the line's blocks have so many frames.
    ///
    /// Allocates all it will ever need.
    pub fn new(settings: EchoSettings, frames: usize) -> Self {
        let hop = hop(frames);
        Self {
            settings,
            hop,
            filter: Filter::new(hop, usize::from(settings.tail_ms) * SAMPLES_PER_MS),
            residue: Residue::new(hop),
            guard: Guard::new(),
            played: [0.0; Block::FRAMES_MAX],
            clean: [0; Block::FRAMES_MAX],
        }
    }

    /// Octets of memory that one takes.
    pub const fn memory(settings: EchoSettings, frames: usize) -> usize {
        size_of::<Self>() + Filter::memory(hop(frames), settings.tail_ms as usize * SAMPLES_PER_MS)
    }

    /// Forgets the line, and the call on it.
    pub fn restart(&mut self) {
        self.filter.restart();
        self.residue = Residue::new(self.hop);
        self.guard = Guard::new();
        self.played = [0.0; Block::FRAMES_MAX];
    }

    /// Begins again on the same line after a pause, in which other things were played than it was told of.
    pub fn resume(&mut self) {
        self.filter.resume();
        self.guard = Guard::new();
        self.played = [0.0; Block::FRAMES_MAX];
    }

    /// Takes a block that is played to the line.
    pub fn play(&mut self, law: Law, tx: &[u8]) {
        law.samples(tx, &mut self.played);
    }

    /// Takes the block that comes from the line meanwhile; [`clean`](Self::clean) is what it is without echo.
    pub fn hear(&mut self, law: Law, rx: &[u8]) {
        let mut heard = [0.0; Block::FRAMES_MAX];
        let heard = law.samples(rx, &mut heard);
        let order = self.guard.hear(&self.played[..rx.len()], heard);
        self.clean[..rx.len()].copy_from_slice(rx);
        for at in (0..rx.len()).step_by(self.hop) {
            self.cancel(law, order, at, &heard[at..][..self.hop]);
        }
    }

    /// The block that came last from the line, `frames` long, without echo.
    pub fn clean(&self, frames: usize) -> &[u8] {
        &self.clean[..frames]
    }

    fn cancel(&mut self, law: Law, order: Order, at: usize, heard: &[f32]) {
        let Self { settings, hop, filter, residue, played, clean, .. } = self;
        let (mut echo, mut left) = ([0.0; Filter::HOP_MAX], [0.0; Filter::HOP_MAX]);
        let (echo, left) = (&mut echo[..*hop], &mut left[..*hop]);
        filter.play(&played[at..][..*hop]);
        if order == Order::StandAside {
            return;
        }
        filter.echo(echo);
        for ((left, heard), echo) in left.iter_mut().zip(heard).zip(&*echo) {
            *left = heard - echo;
        }
        let verdict = residue.judge(heard, echo, left);
        if verdict == Verdict::Wrong {
            filter.unlearn();
            return;
        }
        filter.learn(left);
        let clean = &mut clean[at..][..*hop];
        match verdict {
            Verdict::Echo if settings.suppresses && order == Order::Cancel => {
                if settings.comforts {
                    residue.comfort(law, clean);
                } else {
                    clean.fill(law.silence());
                }
            }
            Verdict::Worse | Verdict::Nothing | Verdict::Wrong => {}
            Verdict::Echo | Verdict::Mixed => {
                for (octet, left) in clean.iter_mut().zip(left) {
                    // A cast of a float saturates.
                    *octet = law.encode(left.round() as i16);
                }
            }
        }
    }
}

/// The longest even part of a block that the filter can take.
const fn hop(frames: usize) -> usize {
    let mut parts = frames.div_ceil(Filter::HOP_MAX);
    while !frames.is_multiple_of(parts) {
        parts += 1;
    }
    frames / parts
}

const SAMPLES_PER_MS: usize = FRAMES_PER_SECOND as usize / 1_000;

/// Powers of samples that something depends on, by their level in dBm0, near enough in either law.
const MINUS_34: f32 = 1.04e5;
const MINUS_60: f32 = 260.0;
const MINUS_65: f32 = 82.0;

/// The mean power of samples.
fn mean_power(samples: &[f32]) -> f32 {
    samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len() as f32
}
