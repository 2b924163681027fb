//! What a tone is made of: frequencies, levels, and when each of them sounds.
//!
//! Plain data that fits an order. Which country hears what as busy tone, and how loud, is for control
//! to know: its tables are `const`, so that a tone that cannot be is found when they are compiled.

use crate::link::Digit;

/// Up to four frequencies, and up to eight steps that say which of them sound and for how long.
///
/// ```
/// use dataplane::link::{Blend, Frequency, Step, ToneSpec};
///
/// /// Congestion tone of the United Kingdom: 400 Hz, 400 ms on, 350 off, 225 on, 525 off.
/// const CONGESTION: ToneSpec = ToneSpec::new(
///     &[Frequency::hz(400, -13)],
///     &[Step::first(1, 400), Step::pause(350), Step::first(1, 225), Step::pause(525)],
///     Some(0),
///     Blend::Alone,
/// );
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ToneSpec {
    frequencies: [Frequency; Self::FREQUENCIES_MAX],
    steps: [Step; Self::STEPS_MAX],
    n_steps: u8,
    /// The step after the last; the tone ends there if `None`.
    again_from: Option<u8>,
    /// How many steps are gone through how often before the others begin.
    repeated: (u8, u8),
    /// The time in ms in which the last step falls to 37 %; it does not if 0.
    fade_ms: u16,
    /// What the line is sent instead of any sound.
    octet: Option<u8>,
    blend: Blend,
}

/// One frequency at its level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frequency {
    /// In tenths of a Hz, 1 to 39,999; 0 is none.
    pub decihertz: u16,
    /// Its level, -60 to +3 dBm0.
    pub dbm0: i8,
}

/// Some frequencies, for some time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// Which frequencies sound: bit 0 is the first. None is silence.
    pub sounding: u8,
    /// For how long; [`Step::FOREVER`] is without end.
    pub ms: u16,
}

/// What becomes of other media on the way of a tone.
// RFC 3435 §2.3.3 leaves it to each signal. A digit or a check tone must be alone to be recognised;
// who hears call waiting wants to hear the call as well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blend {
    /// They are not heard while the tone is played, its pauses included.
    Alone,
    /// The tone is added to them.
    Added,
}

impl ToneSpec {
    /// Frequencies at a time, at most.
    pub const FREQUENCIES_MAX: usize = 4;
    /// Steps, at most.
    pub const STEPS_MAX: usize = 8;

    /// A tone that goes through `steps` once and, if `again_from` says so, goes on from that step
    /// whenever it is through.
    ///
    /// # Panics
    /// If there are too many frequencies or steps or no step, a step names a frequency that is not
    /// there or lasts no time, a frequency or level is out of its range, or `again_from` is no step.
    pub const fn new(
        frequencies: &[Frequency],
        steps: &[Step],
        again_from: Option<u8>,
        blend: Blend,
    ) -> Self {
        assert!(frequencies.len() <= Self::FREQUENCIES_MAX, "a tone has four frequencies at most");
        assert!(!steps.is_empty() && steps.len() <= Self::STEPS_MAX, "a tone has one to eight steps");
        if let Some(again_from) = again_from {
            assert!((again_from as usize) < steps.len(), "a tone goes on from one of its steps");
        }
        let mut tone = Self {
            frequencies: [Frequency::NONE; Self::FREQUENCIES_MAX],
            steps: [Step::pause(Step::FOREVER); Self::STEPS_MAX],
            n_steps: steps.len() as u8,
            again_from,
            repeated: (0, 1),
            fade_ms: 0,
            octet: None,
            blend,
        };
        let mut index = 0;
        while index < frequencies.len() {
            let Frequency { decihertz, dbm0 } = frequencies[index];
            assert!(decihertz > 0 && decihertz < 40_000, "a frequency lies below 4,000 Hz");
            assert!(dbm0 >= -60 && dbm0 <= 3, "a level lies between -60 and +3 dBm0");
            tone.frequencies[index] = frequencies[index];
            index += 1;
        }
        index = 0;
        while index < steps.len() {
            assert!(
                (steps[index].sounding as usize) >> frequencies.len() == 0,
                "a step sounds what is there"
            );
            assert!(steps[index].ms > 0, "a step lasts some time");
            tone.steps[index] = steps[index];
            index += 1;
        }
        tone
    }

    /// All of `frequencies` together, without end.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub const fn steady(frequencies: &[Frequency], blend: Blend) -> Self {
        Self::new(frequencies, &[Step::first(frequencies.len(), Step::FOREVER)], None, blend)
    }

    /// A DTMF digit (ITU-T Q.23) for `on_ms`, then silence for `off_ms`. The high group is 2 dB above
    /// the low one, which is at `dbm0`.
    ///
    /// # Panics
    /// If one of the times is 0, or the level is below -60 or above +1.
    pub const fn dtmf(digit: Digit, dbm0: i8, on_ms: u16, off_ms: u16) -> Self {
        let (low, high) = digit.hz();
        let frequencies = [Frequency::hz(low, dbm0), Frequency::hz(high, dbm0 + 2)];
        Self::new(&frequencies, &[Step::first(2, on_ms), Step::pause(off_ms)], None, Blend::Alone)
    }

    /// The digit that it is, if its frequencies are those of one (ITU-T Q.23), and their level together
    /// in dBm0, its sign dropped.
    pub fn digit(&self) -> Option<(Digit, u8)> {
        let [low, high, Frequency::NONE, Frequency::NONE] = self.frequencies else { return None };
        let is_whole = |step: &Step| step.sounding == 0 || step.sounding == 0b11;
        if !self.steps[..usize::from(self.n_steps)].iter().all(is_whole) {
            return None;
        }
        let is_of = |digit: &Digit| {
            let (low_hz, high_hz) = digit.hz();
            (low.decihertz, high.decihertz) == (low_hz * 10, high_hz * 10)
        };
        let digit = Digit::ALL.into_iter().find(is_of)?;
        // Of two that are 2 dB apart, the louder is 2 dB below both together.
        let both = low.dbm0.max(high.dbm0) + 2;
        Some((digit, both.min(0).unsigned_abs()))
    }

    /// Nothing but silence, without end: what else would be heard is not.
    pub const QUIET: Self = Self::new(&[], &[Step::pause(Step::FOREVER)], None, Blend::Alone);

    /// No sound, but the same octet in each frame, without end.
    pub const fn octet(octet: u8) -> Self {
        Self { octet: Some(octet), ..Self::QUIET }
    }

    /// The same, but its first `steps` are gone through so many times before the others begin.
    ///
    /// # Panics
    /// If it has no such steps, or they are to be left out.
    #[must_use]
    pub const fn repeating(self, steps: u8, times: u8) -> Self {
        assert!(steps <= self.n_steps && times > 0, "what is repeated is there");
        Self { repeated: (steps, times), ..self }
    }

    /// The same, but its last step dies away: in every `ms` to 37 % of what it was (a time constant).
    #[must_use]
    pub const fn fading(self, ms: u16) -> Self {
        Self { fade_ms: ms, ..self }
    }

    /// Its frequencies; the bits of [`Step::sounding`] are of this order.
    pub const fn frequencies(&self) -> &[Frequency; Self::FREQUENCIES_MAX] {
        &self.frequencies
    }

    /// The step of this number.
    pub const fn step(&self, index: u8) -> Option<Step> {
        if index < self.n_steps { Some(self.steps[index as usize]) } else { None }
    }

    /// How many of its first steps are gone through how often before the others begin.
    pub const fn repeated(&self) -> (u8, u8) {
        self.repeated
    }

    /// The time constant in ms with which a step dies away, if it does.
    pub const fn fade_ms(&self, index: u8) -> Option<u16> {
        if self.fade_ms > 0 && index + 1 == self.n_steps { Some(self.fade_ms) } else { None }
    }

    /// The octet that is sent instead of any sound.
    pub const fn raw(&self) -> Option<u8> {
        self.octet
    }

    /// The step that comes after the last one.
    pub const fn again_from(&self) -> Option<u8> {
        self.again_from
    }

    /// What becomes of other media.
    pub const fn blend(&self) -> Blend {
        self.blend
    }
}

impl Frequency {
    /// No frequency.
    const NONE: Self = Self { decihertz: 0, dbm0: 0 };

    /// Whole Hz.
    pub const fn hz(hz: u16, dbm0: i8) -> Self {
        Self { decihertz: hz * 10, dbm0 }
    }
}

impl Step {
    /// The length of a step that does not end.
    pub const FOREVER: u16 = u16::MAX;

    /// The first `n` frequencies.
    pub const fn first(n: usize, ms: u16) -> Self {
        Self { sounding: ((1u16 << n) - 1) as u8, ms }
    }

    /// None.
    pub const fn pause(ms: u16) -> Self {
        Self { sounding: 0, ms }
    }
}
