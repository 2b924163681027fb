//! Listens for modems, in both directions.
//!
//! ```text
//!            an answer tone          its phase turns
//!   Cancel ──────────────────▶ Spare ────────────────▶ StandAside
//!     ▲                          │                          │
//!     └──── 250 ms of silence ───┴──────────────────────────┘
//! ```

use super::{MINUS_34, SAMPLES_PER_MS, mean_power};
use crate::dsp::steady_tone::SteadyTones;
use crate::link::{DetectorSet, Observation, Sound};

/// What there is to do with the echo.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Order {
    /// It is cancelled, and what is left is taken away.
    Cancel,
    /// It is cancelled, but what is left stays: a facsimile's signals must come whole.
    Spare,
    /// Octets pass as they are: a modem cancels its echo itself.
    StandAside,
}

/// Whether a line carries voice or a modem's signals.
#[derive(Debug)]
pub(super) struct Guard {
    order: Order,
    to_line: SteadyTones,
    from_line: SteadyTones,
    /// Samples since the last that was loud enough to be a modem's.
    silence: usize,
}

impl Guard {
    /// Of a line that carries voice.
    pub(super) const fn new() -> Self {
        Self { order: Order::Cancel, to_line: SteadyTones::new(), from_line: SteadyTones::new(), silence: 0 }
    }

    /// Takes a block of either direction; says what there is to do with the echo in them.
    // ITU-T G.168 §7: 2,100 Hz whose phase turns disables a canceller; without turns it is a facsimile, or
    // an old modem, that wants it to go on; but what it leaves over must not be cut then. Both end when
    // 100 to 400 ms have been below -36 to -31 dBm0.
    pub(super) fn hear(&mut self, to_line: &[f32], from_line: &[f32]) -> Order {
        let mut heard = Order::Cancel;
        for (tones, samples) in [(&mut self.to_line, to_line), (&mut self.from_line, from_line)] {
            tones.hear(DetectorSet::ANSWER, samples, |what, _| {
                heard = heard.max(match what {
                    Observation::Began(Sound::AnswerTurning) => Order::StandAside,
                    Observation::Began(Sound::Answer) => Order::Spare,
                    _ => Order::Cancel,
                });
            });
        }
        self.order = self.order.max(heard);
        let is_silent = |samples: &[f32]| mean_power(samples) < MINUS_34;
        if is_silent(to_line) && is_silent(from_line) {
            self.silence += to_line.len();
        } else {
            self.silence = 0;
        }
        if self.silence >= SILENCE {
            self.order = Order::Cancel;
        }
        self.order
    }
}

/// Samples of silence that end a modem's call.
const SILENCE: usize = 250 * SAMPLES_PER_MS;
