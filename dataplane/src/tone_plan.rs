//! The tones of one part of the world that can be recognised, for a core that is asked to.
//!
//! Plain data, as [`ToneSpec`] is: what each of them means is for control to know.

use std::fmt;

use crate::tone_spec::ToneSpec;

/// Tones that can be told from each other, each by its place: at most [`Self::MAX`], of at most as many
/// frequencies.
#[derive(PartialEq, Eq)]
pub struct TonePlan {
    tones: [ToneSpec; Self::MAX],
    n: u8,
    /// All their frequencies in tenths of a Hz, each once.
    decihertz: [u16; Self::MAX],
    /// For each tone, which of those each of its own is.
    places: [[u8; ToneSpec::FREQUENCIES_MAX]; Self::MAX],
}

impl TonePlan {
    /// Tones, and frequencies, at most.
    pub const MAX: usize = 16;

    /// These tones, in this order.
    ///
    /// # Panics
    /// If they or their frequencies are more than [`Self::MAX`].
    pub const fn new(tones: &[ToneSpec]) -> Self {
        assert!(tones.len() <= Self::MAX, "a plan has sixteen tones at most");
        let mut plan = Self {
            tones: [ToneSpec::QUIET; Self::MAX],
            n: tones.len() as u8,
            decihertz: [0; Self::MAX],
            places: [[0; ToneSpec::FREQUENCIES_MAX]; Self::MAX],
        };
        let mut index = 0;
        while index < tones.len() {
            plan.tones[index] = tones[index];
            let frequencies = tones[index].frequencies();
            let mut own = 0;
            while own < frequencies.len() {
                let mut place = 0;
                if frequencies[own].decihertz != 0 {
                    while plan.decihertz[place] != 0 && plan.decihertz[place] != frequencies[own].decihertz {
                        place += 1;
                    }
                    plan.decihertz[place] = frequencies[own].decihertz;
                }
                plan.places[index][own] = place as u8;
                own += 1;
            }
            index += 1;
        }
        plan
    }

    /// How many tones there are.
    pub const fn len(&self) -> usize {
        self.n as usize
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// The tone at a place.
    pub fn tone(&self, place: usize) -> Option<&ToneSpec> {
        self.tones[..self.len()].get(place)
    }

    /// All frequencies in tenths of a Hz, each once; 0 behind the last.
    pub const fn decihertz(&self) -> &[u16; Self::MAX] {
        &self.decihertz
    }

    /// Which of [`decihertz`](Self::decihertz) each frequency of the tone at a place is.
    pub const fn places(&self, place: usize) -> &[u8; ToneSpec::FREQUENCIES_MAX] {
        &self.places[place]
    }
}

impl fmt::Debug for TonePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TonePlan({})", self.n)
    }
}
