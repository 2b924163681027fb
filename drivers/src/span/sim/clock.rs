//! A simulated line's own clock, exact over any time.
//!
//! All of it is integer arithmetic from the line's start, so nothing is rounded twice: after a day
//! the clock is as far off as its rate says, and not by a nanosecond more.

use crate::line::FRAME;
use crate::time::Instant;

/// When a line started, and how fast it runs against the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LineClock {
    start: Instant,
    /// How much faster than nominal, in parts per billion.
    ppb: i32,
}

impl LineClock {
    /// The most that a clock may be off, in parts per million: twenty times what ITU-T G.703 allows.
    pub(super) const PPM_MAX: f64 = 1_000.0;

    /// # Panics
    /// If the rate is off by more than [`Self::PPM_MAX`].
    pub(super) fn new(start: Instant, ppm: f64) -> Self {
        assert!(ppm.abs() <= Self::PPM_MAX, "a line's clock is off by {} ppm at most", Self::PPM_MAX);
        Self { start, ppb: (ppm * 1_000.0).round() as i32 }
    }

    pub(super) const fn start(self) -> Instant {
        self.start
    }

    /// The first nanosecond in which this frame has begun. The first frame is 0.
    pub(super) fn begins(self, frame: u64) -> Instant {
        let exact_1e9 = u128::from(frame) * FRAME.as_nanos() * u128::from(NOMINAL.unsigned_abs());
        let nanos = exact_1e9.div_ceil(self.rate() as u128);
        Instant::from_nanos(self.start.as_nanos().saturating_add(nanos as u64))
    }

    /// How many frames have begun before `at`; negative before the start.
    pub(super) fn frames_before(self, at: Instant) -> i64 {
        let nanos = i128::from(at.as_nanos()) - i128::from(self.start.as_nanos());
        let exact_1e9 = nanos * i128::from(self.rate()) / FRAME.as_nanos() as i128;
        exact_1e9.div_euclid(i128::from(NOMINAL)) as i64
    }

    /// How many whole frames `other` has gained on this clock while this one moved `frames` on.
    pub(super) fn drift(self, other: Self, frames: u64) -> i64 {
        let apart_ppb = i128::from(other.rate() - self.rate());
        (i128::from(frames) * apart_ppb / i128::from(self.rate())) as i64
    }

    /// Frames in the time of a billion nominal ones.
    fn rate(self) -> i64 {
        NOMINAL + i64::from(self.ppb)
    }
}

/// Parts in a billion.
const NOMINAL: i64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);
    const FRAMES_A_DAY: u64 = 86_400 * 8_000;

    #[test]
    fn after_a_day_a_clock_is_off_by_its_rate_and_no_more() {
        for (ppm, off_nanos) in [(50.0, -4_319_784_010_i64), (-50.0, 4_320_216_011), (0.0, 0)] {
            // The exact values: 86,400 s / (1 + ppm) - 86,400 s, rounded up.
            let clock = LineClock::new(Instant::from_nanos(7), ppm);
            let due = clock.begins(FRAMES_A_DAY).since(Instant::from_nanos(7)).as_nanos() as i64;
            assert_eq!(due - DAY.as_nanos() as i64, off_nanos, "{ppm} ppm");
        }
    }

    #[test]
    fn slips_a_day_are_what_the_rates_say() {
        for ppm in [-50.0, -4.6, -0.001, 0.001, 4.6, 32.0, 50.0] {
            let here = LineClock::new(Instant::ZERO, 0.0);
            let there = LineClock::new(Instant::ZERO, ppm);
            let expected = ppm * 8_000.0 * 86_400.0 / 1e6;
            let slips = here.drift(there, FRAMES_A_DAY) as f64;
            assert!((slips - expected).abs() <= 1.0, "{ppm} ppm: {slips} slips, not {expected}");
        }
    }

    #[test]
    fn a_frame_has_begun_from_its_first_nanosecond_on() {
        let seed = 0x5EED_C10C;
        println!("seed {seed:#x}");
        let mut random = StdRng::seed_from_u64(seed);
        for _ in 0..10_000 {
            let clock = LineClock::new(
                Instant::from_nanos(random.random_range(0..1 << 50)),
                random.random_range(-1_000.0..1_000.0),
            );
            let frame = random.random_range(0..100 * FRAMES_A_DAY);
            let begins = clock.begins(frame);
            let before = Instant::from_nanos(begins.as_nanos() - 1);
            assert_eq!(clock.frames_before(before + Duration::from_nanos(1)), frame as i64, "{clock:?}");
            if frame > 0 {
                assert_eq!(clock.frames_before(before), frame as i64 - 1, "{clock:?}");
            }
        }
    }

    #[test]
    fn blocks_are_never_further_apart_than_one_nanosecond_from_nominal() {
        let clock = LineClock::new(Instant::ZERO, 12.345);
        let nominal = 40.0 * 125_000.0 / (1.0 + 12.345e-6);
        for block in 0..100_000_u64 {
            let gap = clock.begins((block + 1) * 40).since(clock.begins(block * 40)).as_nanos() as f64;
            assert!((gap - nominal).abs() < 1.0, "block {block}: {gap} ns");
        }
    }

    #[test]
    fn equal_clocks_never_drift() {
        let here = LineClock::new(Instant::ZERO, 17.0);
        let there = LineClock::new(Instant::from_nanos(123_456), 17.0);
        assert_eq!(here.drift(there, u64::MAX), 0);
    }
}
