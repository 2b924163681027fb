//! Time as a number that is handed in.
//!
//! [`Clock`] is the only reader of the host's clock in the whole gateway. A loop reads it once an
//! iteration and passes the [`Instant`] down, so that tests can move time by hand.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// A point of the monotonic clock, in nanoseconds since an arbitrary start.
///
/// A plain number, unlike `std::time::Instant`, so that simulated time can be written down.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

impl Instant {
    /// The start of the clock.
    pub const ZERO: Self = Self(0);
    /// Later than any time that is reached.
    pub const FAR_FUTURE: Self = Self(u64::MAX);

    /// The instant `nanos` nanoseconds after the start of the clock.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the start of the clock.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to here; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(rhs.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, rhs: Duration) {
        *self = *self + rhs;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(rhs.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}s", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

/// The host's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock;

impl Clock {
    /// The monotonic clock's time. Calls no kernel on Linux (vDSO).
    pub fn now(self) -> Instant {
        Instant(nanos(ClockId::CLOCK_MONOTONIC))
    }

    /// A pair of monotonic and wall time, read together.
    ///
    /// If the thread is put aside between the two readings, they are taken again.
    pub fn epoch(self) -> Epoch {
        let read = || {
            let before = self.now();
            let unix_nanos = nanos(ClockId::CLOCK_REALTIME);
            let apart = self.now().since(before);
            (apart, Epoch { at: before + apart / 2, unix_nanos })
        };
        let mut closest = read();
        for _ in 0..EPOCH_RETRIES_MAX {
            if closest.0 <= EPOCH_READ_MAX {
                break;
            }
            let again = read();
            if again.0 < closest.0 {
                closest = again;
            }
        }
        closest.1
    }

    /// CPU time the calling thread has used since it started.
    pub fn thread_cpu(self) -> Duration {
        Duration::from_nanos(nanos(ClockId::CLOCK_THREAD_CPUTIME_ID))
    }
}

/// The longest that reading both clocks takes when nothing comes between.
const EPOCH_READ_MAX: Duration = Duration::from_micros(2);

/// How often a pair of readings is taken again; then the closest has to do.
const EPOCH_RETRIES_MAX: usize = 3;

fn nanos(id: ClockId) -> u64 {
    let t = clock_gettime(id).expect("Linux has this clock");
    t.tv_sec() as u64 * 1_000_000_000 + t.tv_nsec() as u64
}

/// One moment on both clocks: what turns an [`Instant`] into wall time.
///
/// RTCP sender reports and `o=` lines need wall time, and the kernel stamps what arrives with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Epoch {
    /// The moment on the monotonic clock.
    pub at: Instant,
    /// The same moment, in nanoseconds since 1970-01-01 00:00 UTC.
    pub unix_nanos: u64,
}

/// Seconds from 1900-01-01, where NTP counts from, to 1970-01-01 (RFC 3550 §4).
const NTP_TO_UNIX_SECONDS: u64 = 2_208_988_800;

impl Epoch {
    /// `now` in nanoseconds since 1970-01-01 00:00 UTC.
    pub fn unix_nanos(&self, now: Instant) -> u64 {
        let after = now.since(self.at).as_nanos() as u64;
        let before = self.at.since(now).as_nanos() as u64;
        self.unix_nanos + after - before
    }

    /// `now` as an NTP timestamp: seconds since 1900 in the upper half, fraction in the lower.
    // RFC 3550 §4: wall time is the 64-bit NTP format, and wraps with it.
    pub fn ntp(&self, now: Instant) -> u64 {
        let nanos = self.unix_nanos(now);
        let seconds = nanos / 1_000_000_000 + NTP_TO_UNIX_SECONDS;
        let fraction = ((nanos % 1_000_000_000) << 32) / 1_000_000_000;
        (seconds << 32) | fraction
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_saturate_instead_of_wrapping() {
        assert_eq!(Instant::ZERO - Duration::from_secs(1), Instant::ZERO);
        assert_eq!(Instant::FAR_FUTURE + Duration::from_secs(1), Instant::FAR_FUTURE);
        assert_eq!(Instant::ZERO.since(Instant::from_nanos(5)), Duration::ZERO);
    }

    #[test]
    fn ntp_counts_from_1900_in_32_bit_fractions() {
        let epoch = Epoch { at: Instant::from_nanos(1_000), unix_nanos: 0 };
        let half_a_second_later = Instant::from_nanos(500_001_000);
        assert_eq!(epoch.ntp(half_a_second_later), (NTP_TO_UNIX_SECONDS << 32) | 0x8000_0000);
    }

    #[test]
    fn epoch_counts_backwards_too() {
        let epoch = Epoch { at: Instant::from_nanos(2_000), unix_nanos: 10_000 };
        assert_eq!(epoch.unix_nanos(Instant::from_nanos(500)), 8_500);
    }
}
