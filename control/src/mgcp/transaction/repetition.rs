//! When a datagram is sent again (RFC 3435 §3.5.3).

use std::time::Duration;

use drivers::time::Instant;
use rand::RngExt;
use rand::rngs::StdRng;

/// The wait before the first repetition, as long as nothing has been measured; never less.
// RFC 3435 §4.3: with 200 ms, a fifth loss is noticed after about 6 seconds.
pub(super) const RTO_MIN: Duration = Duration::from_millis(200);

/// RTO-MAX: the longest wait between two repetitions (RFC 3435 §3.5.3).
const RTO_MAX: Duration = Duration::from_secs(4);

/// N: how many deviations above the average a response is still on time.
const DEVIATIONS: u32 = 4;

/// The sending of one datagram, again and again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repetition {
    /// When it was sent first.
    pub(super) first_at: Instant,
    /// When it is due again.
    pub(super) due: Instant,
    /// The wait that ends when it is due.
    pub(super) timeout: Duration,
    /// How often it was sent again.
    pub(super) count: u32,
    /// T-DELAY: the delay that is expected of this one.
    delay: Duration,
}

impl Repetition {
    /// Sent at `now`; repeated after `timeout` at the earliest.
    pub(super) fn start(now: Instant, timeout: Duration) -> Self {
        Self { first_at: now, due: now + timeout, timeout, count: 0, delay: timeout }
    }

    /// Sent again at `now`, to a peer with this deviation.
    // RFC 3435 §3.5.3: T-DELAY doubles; the next wait is random between half of it and all of it,
    // and the deviation on top, so that peers do not repeat in step, and ever more slowly.
    pub(super) fn repeat(&mut self, now: Instant, deviation: Duration, random: &mut StdRng) {
        self.count += 1;
        self.delay = (self.delay * 2).min(RTO_MAX);
        let wait = self.delay.mul_f64(random.random_range(0.5..=1.0));
        self.timeout = (wait + deviation * DEVIATIONS).min(RTO_MAX);
        self.due = now + self.timeout;
    }
}

/// How long a peer takes to answer, as TCP estimates it.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct RoundTrip {
    /// AAD, the average; `None` before the first measurement.
    average: Option<Duration>,
    /// ADEV, the average deviation from it.
    pub(super) deviation: Duration,
    /// The wait that ended in the last response, if that one took repetitions.
    carried: Option<Duration>,
}

impl RoundTrip {
    /// RTO: how long to wait for the response to a new command.
    pub(super) fn timeout(&self) -> Duration {
        let estimate = self.average.map(|average| average + self.deviation * DEVIATIONS);
        self.carried.or(estimate).unwrap_or_default().clamp(RTO_MIN, RTO_MAX)
    }

    /// The first response to a command came at `now`.
    // RFC 3435 §3.5.3: what was repeated says nothing about the delay, because nobody knows which
    // of the copies was answered; but its wait is what the next command starts with.
    pub(super) fn answered(&mut self, now: Instant, repetition: &Repetition) {
        if repetition.count > 0 {
            self.carried = Some(repetition.timeout);
            return;
        }
        self.carried = None;
        let delay = now.since(repetition.first_at);
        match &mut self.average {
            None => {
                self.average = Some(delay);
                self.deviation = delay / 2;
            }
            Some(average) => {
                self.deviation = (self.deviation * 3 + delay.abs_diff(*average)) / 4;
                *average = (*average * 7 + delay) / 8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn at(at: u64) -> Instant {
        Instant::ZERO + ms(at)
    }

    #[test]
    fn waits_double_at_random_up_to_four_seconds() {
        let mut random = StdRng::seed_from_u64(1);
        let mut repetition = Repetition::start(Instant::ZERO, RTO_MIN);
        for most in [400, 800, 1_600, 3_200, 4_000, 4_000] {
            repetition.repeat(repetition.due, Duration::ZERO, &mut random);
            assert!((ms(most / 2)..=ms(most)).contains(&repetition.timeout), "{most}");
        }
        repetition.repeat(repetition.due, ms(3_000), &mut random);
        assert_eq!(repetition.timeout, RTO_MAX);
    }

    #[test]
    fn timeout_follows_what_is_measured() {
        let mut peer = RoundTrip::default();
        assert_eq!(peer.timeout(), RTO_MIN);
        peer.answered(at(1_400), &Repetition::start(at(1_000), RTO_MIN));
        assert_eq!(peer.timeout(), ms(400 + 4 * 200));
        for _ in 0..100 {
            peer.answered(at(1_400), &Repetition::start(at(1_000), RTO_MIN));
        }
        assert_eq!(peer.timeout().as_millis(), 400);
        for _ in 0..100 {
            peer.answered(at(1_001), &Repetition::start(at(1_000), RTO_MIN));
        }
        assert_eq!(peer.timeout(), RTO_MIN);
    }

    #[test]
    fn a_repeated_command_is_not_measured_but_its_wait_is_kept_for_the_next() {
        let mut random = StdRng::seed_from_u64(1);
        let mut peer = RoundTrip::default();
        let mut repeated = Repetition::start(at(0), RTO_MIN);
        repeated.repeat(at(200), Duration::ZERO, &mut random);
        peer.answered(at(5_000), &repeated);
        assert_eq!(peer.timeout(), repeated.timeout);
        peer.answered(at(10), &Repetition::start(at(0), RTO_MIN));
        assert_eq!(peer.timeout(), RTO_MIN);
    }
}
