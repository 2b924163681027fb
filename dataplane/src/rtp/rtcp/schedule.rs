//! When the next RTCP report is due, and whether it is a sender's or a receiver's.
//!
//! RFC 3550 §6.2, §6.3 and A.7 for a session of two members, us and the peer. Two-party sessions may
//! leave out timer reconsideration (§6.3); the timer's expiry does it all the same, because the
//! mean interval is only right with it. There is no reverse reconsideration: the peer's BYE ends
//! nothing here, a call ends when control says so.

use std::time::Duration;

use drivers::time::Instant;
use rand::{Rng, RngExt};

/// What kind of report is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// We have sent RTP of late: SR.
    Sender,
    /// We have only listened: RR.
    Receiver,
}

/// The RTCP timer of one leg.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// When the last report left, or the leg began.
    last_at: Instant,
    next_at: Instant,
    /// No report has been sent yet.
    is_initial: bool,
    /// The mean size of compounds sent and heard, in 16ths of an octet.
    mean_x16: u32,
    /// RTP packets sent when the last report left, and when the one before did.
    sent_at_last: u32,
    sent_at_second_last: u32,
}

impl Schedule {
    /// The timer of a leg that begins now and has sent nothing.
    pub fn start(now: Instant, rng: &mut impl Rng) -> Self {
        let mut schedule = Self {
            last_at: now,
            next_at: now,
            is_initial: true,
            mean_x16: FIRST_SIZE * 16,
            sent_at_last: 0,
            sent_at_second_last: 0,
        };
        schedule.next_at = now + schedule.interval(rng);
        schedule
    }

    /// The report that is to be sent now, if any; `packets_sent` is the leg's count of RTP packets.
    ///
    /// The caller says [`passed`](Self::passed) when it has sent it.
    // RFC 3550 §6.3.6: at expiry the interval is drawn anew, and only if it has passed is a report
    // sent; the next interval is drawn once more.
    pub fn poll(&mut self, now: Instant, packets_sent: u32, rng: &mut impl Rng) -> Option<Role> {
        if now < self.next_at {
            return None;
        }
        let at = self.last_at + self.interval(rng);
        if at > now {
            self.next_at = at;
            return None;
        }
        let role = self.role(packets_sent);
        self.sent_at_second_last = self.sent_at_last;
        self.sent_at_last = packets_sent;
        self.last_at = now;
        // §6.3.1: only the first report comes twice as early.
        self.is_initial = false;
        self.next_at = now + self.interval(rng);
        Some(role)
    }

    /// Notes that a compound packet of `octets` was sent or heard.
    // RFC 3550 §6.2, §6.3.3: sizes count with their UDP and IP headers, a new one by a 16th.
    pub fn passed(&mut self, octets: usize) {
        let octets = (octets.min(65_535) as u32) + UDP_IP_OCTETS;
        self.mean_x16 = self.mean_x16 - self.mean_x16 / 16 + octets;
    }

    /// What kind of report a BYE sent now would follow.
    // RFC 3550 §6.4: SR if anything was sent since the last report or the one before it.
    pub fn role(&self, packets_sent: u32) -> Role {
        if packets_sent == self.sent_at_second_last { Role::Receiver } else { Role::Sender }
    }

    /// When [`poll`](Self::poll) next has something to consider.
    pub fn next_at(&self) -> Instant {
        self.next_at
    }

    // A.7. Of two members one or two send, which is always more than a quarter: bandwidth is shared
    // equally. If neither sends, each receiver has half of 75 % instead; the minimum decides then.
    fn interval(&self, rng: &mut impl Rng) -> Duration {
        let minimum = if self.is_initial { MINIMUM / 2 } else { MINIMUM };
        let by_bandwidth = Duration::from_secs(1) * (MEMBERS * self.mean_x16 / 16) / RTCP_OCTETS_PER_SECOND;
        let fixed = by_bandwidth.max(minimum);
        fixed.mul_f64(rng.random_range(0.5..1.5) / COMPENSATION)
    }
}

/// Tmin (RFC 3550 §6.2).
const MINIMUM: Duration = Duration::from_secs(5);
/// e - 3/2: what reconsideration would shorten the mean interval by (RFC 3550 §6.3.1).
const COMPENSATION: f64 = std::f64::consts::E - 1.5;
const MEMBERS: u32 = 2;
/// 5 % of 64 kbit/s (RFC 3550 §6.2).
const RTCP_OCTETS_PER_SECOND: u32 = 64_000 / 8 / 20;
/// An SR with one block and SDES, in a UDP and IPv4 datagram.
const FIRST_SIZE: u32 = 52 + 28 + UDP_IP_OCTETS;
const UDP_IP_OCTETS: u32 = 28;

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    /// The times in seconds of the first `count` reports of a leg that sends, looking every 5 ms.
    fn times(seed: u64, count: usize) -> Vec<f64> {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut schedule = Schedule::start(Instant::ZERO, &mut rng);
        let mut times = Vec::new();
        let mut now = Instant::ZERO;
        while times.len() < count {
            now += Duration::from_millis(5);
            if schedule.poll(now, times.len() as u32 + 1, &mut rng).is_some() {
                schedule.passed(108);
                times.push(now.since(Instant::ZERO).as_secs_f64());
            }
        }
        times
    }

    #[test]
    fn reports_come_every_five_seconds_on_the_mean_and_never_in_step() {
        let times = times(1, 2_000);
        let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        // Reconsideration keeps only what has passed: the mean settles at Tmin.
        assert!((4.7..5.3).contains(&mean), "{mean}");
        assert!(gaps.iter().all(|gap| (2.05..6.2).contains(gap)));
        assert!(gaps.iter().any(|gap| *gap < 4.0) && gaps.iter().any(|gap| *gap > 5.5));
    }

    #[test]
    fn the_first_report_comes_twice_as_early() {
        for seed in 0..200 {
            let first = times(seed, 1)[0];
            assert!((1.02..3.1).contains(&first), "{first} with seed {seed}");
        }
    }

    #[test]
    fn we_are_a_sender_until_two_reports_have_passed_without_a_packet() {
        let mut rng = StdRng::seed_from_u64(2);
        let mut schedule = Schedule::start(Instant::ZERO, &mut rng);
        let mut report = |now: u64, sent: u32| {
            schedule.poll(Instant::ZERO + Duration::from_secs(now), sent, &mut rng).expect("long due")
        };
        assert_eq!(report(10, 0), Role::Receiver);
        assert_eq!(report(20, 7), Role::Sender);
        assert_eq!(report(30, 7), Role::Sender);
        assert_eq!(report(40, 7), Role::Receiver);
    }

    #[test]
    fn a_peer_that_floods_us_with_rtcp_slows_us_down() {
        let mut rng = StdRng::seed_from_u64(3);
        let mut schedule = Schedule::start(Instant::ZERO, &mut rng);
        for _ in 0..200 {
            schedule.passed(60_000);
        }
        let _ = schedule.poll(Instant::ZERO + Duration::from_secs(10), 1, &mut rng);
        assert!(schedule.next_at() > Instant::ZERO + Duration::from_secs(100));
    }
}
