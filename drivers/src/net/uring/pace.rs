//! When to look at a socket for what has come.
//!
//! To be told of each datagram costs a good part of what receiving it does: the kernel wakes the ring, finds
//! the request that waits, tries it, and tries once more in vain. But RTP comes at a steady pace. So a socket
//! is looked at when its next datagram should have come, and the kernel is asked to tell only of sockets
//! that are silent, or keep no pace.
//!
//! Nothing is lost by looking late: datagrams wait in their sockets' queues, with their time of arrival. But
//! what comes behind a late one is early by as much, so after a gap that was too long the kernel tells of
//! the next.

use std::time::Duration;

use crate::time::Instant;

/// How datagrams have come to one socket so far.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Pace {
    /// When the last one arrived.
    last: Instant,
    /// When it was looked for.
    due: Instant,
    /// How far apart they come, in ns.
    gap: u32,
    /// How much that is to be trusted, 0 to [`TRUST_MAX`].
    trust: u8,
    /// Looks in vain since.
    vain: u8,
    /// The last one was off the beat, so the next may come sooner than a gap after it.
    is_off_beat: bool,
}

/// When to look at a socket next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Look {
    /// At once: more may have come.
    Again,
    /// At this time.
    At(Instant),
    /// When the kernel tells of something.
    WhenTold,
}

impl Pace {
    /// A datagram was there that had arrived at this time.
    pub(super) fn hear(&mut self, arrived: Instant) {
        let gap = u32::try_from(arrived.since(self.last).as_nanos()).unwrap_or(u32::MAX);
        self.last = arrived;
        self.vain = 0;
        if gap.abs_diff(self.gap) <= (self.gap / 8 + JITTER).min(JITTER_MAX) {
            self.gap = self.gap.saturating_add_signed((gap.wrapping_sub(self.gap) as i32) / 8);
            self.trust = (self.trust + 1).min(TRUST_MAX);
            self.is_off_beat = false;
        } else if self.trust > 0 && (gap > self.gap || self.is_off_beat) {
            // It is late, or behind a late one, or some were lost, or it was silent. Many of these, and the
            // pace is another.
            self.trust -= 1;
            self.is_off_beat = true;
        } else {
            self.gap = gap;
            self.trust = 0;
        }
    }

    /// How many reads to begin with: where several have come since the last look, one more than these.
    pub(super) fn reads(&self, now: Instant) -> u8 {
        if !self.is_dense() {
            return 1;
        }
        let come = now.since(self.last).as_nanos() / u128::from(self.gap.max(1));
        1 + come.min(u128::from(AT_ONCE_MAX)) as u8
    }

    /// When to look next, after a look that found all there was, or may not have.
    pub(super) fn next(&mut self, now: Instant, found_all: bool) -> Look {
        if !self.is_steady() {
            // If there is more the kernel tells at once.
            return Look::WhenTold;
        }
        if self.is_dense() {
            return match found_all {
                false => Look::Again,
                true if now.since(self.last) > SILENCE => Look::WhenTold,
                true => Look::At(now + SOON),
            };
        }
        if self.is_off_beat {
            return Look::WhenTold;
        }
        if found_all {
            self.vain += 1;
            return if self.vain > VAIN_MAX { Look::WhenTold } else { Look::At(now + RETRY) };
        }
        // As late as late ones come, so that few looks are in vain; that is forgotten slowly.
        let gap = Duration::from_nanos(u64::from(self.gap));
        let next = self.last + gap;
        let due = (self.due + gap - FORGOTTEN).clamp(next + MARGIN, next + LATE_MAX);
        if due <= now {
            return Look::Again;
        }
        self.due = due;
        Look::At(due)
    }

    /// Whether it can be foreseen when the next one comes.
    fn is_steady(&self) -> bool {
        self.trust >= TRUST_MIN && self.gap <= GAP_MAX
    }

    /// Whether that is every tick or two.
    fn is_dense(&self) -> bool {
        self.is_steady() && self.gap < DENSE
    }
}

/// By how much the distance of two datagrams may differ from that of others, besides an eighth, and at most,
/// in ns. One that comes earlier than its pace waits by as much longer.
const JITTER: u32 = 1_000_000;
const JITTER_MAX: u32 = 2_500_000;

/// So many gaps in a row must have been alike; or what comes when it likes, and was by chance as far apart
/// some times, would wait for its turn.
const TRUST_MIN: u8 = 8;

/// After so many, a few that were lost change nothing.
const TRUST_MAX: u8 = 12;

/// Those that come further apart than that, in ns, are left to the kernel to tell of.
const GAP_MAX: u32 = 62_000_000;

/// What comes closer than that, in ns, is looked for in every tick or two: several at once, and once in vain.
const DENSE: u32 = 2_000_000;

/// How soon that is.
const SOON: Duration = Duration::from_micros(1_500);

/// When that ends.
const SILENCE: Duration = Duration::from_millis(5);

/// More than that are not read without having seen the first.
const AT_ONCE_MAX: u8 = 15;

/// How long after its time the next datagram is looked for, at least and at most. What waits for that is
/// behind the jitter buffer's back: this, its being early by [`JITTER_MAX`], and a tick.
const MARGIN: Duration = Duration::from_micros(250);
const LATE_MAX: Duration = Duration::from_millis(1);

/// By how much sooner the next look is than the last, if nothing came late.
const FORGOTTEN: Duration = Duration::from_micros(20);

/// How soon to look again in vain, and how often before the kernel is to tell.
const RETRY: Duration = Duration::from_micros(1_500);
const VAIN_MAX: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A socket that is looked at as its pace says, every `tick` at the soonest, from 1 s on.
    struct Trial {
        pace: Pace,
        tick: Duration,
        look: Look,
        /// What has come and was not read yet, the first to come last.
        queue: Vec<Instant>,
        reads: usize,
        vain: usize,
        told: usize,
        /// How long the last one read had waited, and the longest.
        waited: Duration,
        waited_in_all: Duration,
        waited_max: Duration,
    }

    impl Trial {
        fn new(tick: Duration) -> Self {
            let [waited, waited_in_all, waited_max] = [Duration::ZERO; 3];
            let (pace, look, queue) = (Pace::default(), Look::WhenTold, Vec::new());
            Self { pace, tick, look, queue, reads: 0, vain: 0, told: 0, waited, waited_in_all, waited_max }
        }

        /// Lets datagrams come at these times, and looks after them until 50 ms after the last.
        fn run(&mut self, arrivals: &[Instant]) {
            let mut now = arrivals[0] - self.tick / 3;
            let mut coming = arrivals.iter().copied().peekable();
            let end = arrivals[arrivals.len() - 1] + 50 * MS;
            while now < end {
                now += self.tick;
                while let Some(at) = coming.next_if(|at| *at <= now) {
                    self.queue.insert(0, at);
                }
                if matches!(self.look, Look::At(due) if due <= now) {
                    self.read(now);
                }
                loop {
                    match self.look {
                        Look::WhenTold if !self.queue.is_empty() => self.told += 1,
                        Look::Again => {}
                        _ => break,
                    }
                    self.read(now);
                }
            }
        }

        fn read(&mut self, now: Instant) {
            let mut found_all = false;
            for _ in 0..self.pace.reads(now) {
                self.reads += 1;
                match self.queue.pop() {
                    Some(at) => {
                        self.waited = now.since(at);
                        self.waited_in_all += self.waited;
                        self.waited_max = self.waited_max.max(self.waited);
                        self.pace.hear(at);
                    }
                    None => {
                        self.vain += 1;
                        found_all = true;
                    }
                }
            }
            self.look = self.pace.next(now, found_all);
        }
    }

    /// `n` times, so far apart, each off by up to so much.
    fn steps(n: u32, gap: Duration, off: Duration) -> Vec<Instant> {
        let start = Instant::from_nanos(1_000_000_000);
        let mut chance = 7_u64;
        let mut off = || {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            off.mul_f64((chance >> 33) as f64 / f64::from(1_u32 << 31))
        };
        let mut times: Vec<_> = (0..n).map(|i| start + gap * i + off()).collect();
        times.sort_unstable();
        times
    }

    #[test]
    fn what_keeps_pace_is_read_in_its_time_and_the_kernel_need_not_tell() {
        for ptime in [5, 10, 20, 30, 60] {
            let mut trial = Trial::new(MS);
            trial.run(&steps(500, ptime * MS, Duration::from_micros(900)));
            assert!(trial.queue.is_empty(), "{ptime} ms: all were read");
            assert!(
                trial.told <= 10 && trial.vain <= 30,
                "{ptime} ms: {} told, {} vain",
                trial.told,
                trial.vain
            );
            assert!(trial.waited_max <= 3 * MS, "{ptime} ms: waited {:?}", trial.waited_max);
        }
    }

    #[test]
    fn what_comes_when_it_likes_is_told_of_and_read_once() {
        let mut trial = Trial::new(MS);
        trial.run(&steps(300, 20 * MS, 60 * MS));
        assert!(trial.queue.is_empty());
        assert!(trial.told > 290, "{} told", trial.told);
        assert!(trial.vain <= 3, "{} in vain", trial.vain);
    }

    #[test]
    fn one_behind_a_late_one_is_read_with_it() {
        for (ptime, late) in [(10, 9), (20, 19), (60, 58)] {
            let mut trial = Trial::new(MS);
            let mut times = steps(500, ptime * MS, Duration::ZERO);
            times.iter_mut().skip(50).step_by(100).for_each(|at| *at += late * MS);
            trial.run(&times);
            assert!(trial.queue.is_empty());
            assert!(trial.waited_max <= 3 * MS, "{ptime} ms: waited {:?}", trial.waited_max);
            assert!(trial.told <= 10 + 5 * 4, "{ptime} ms: {} told", trial.told);
        }
    }

    #[test]
    fn none_that_has_come_waits_however_unsteady_the_way() {
        for ptime in [5, 10, 20, 30, 60] {
            for jitter in [1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 40, 60] {
                let mut trial = Trial::new(MS);
                trial.run(&steps(5_000, ptime * MS, jitter * MS));
                assert!(trial.queue.is_empty());
                let most = jitter.min(6) + 3;
                assert!(
                    trial.waited_max <= most * MS,
                    "{ptime} ms, up to {jitter} late: waited {:?}",
                    trial.waited_max
                );
            }
        }
    }

    #[test]
    fn silence_is_left_to_the_kernel() {
        let mut trial = Trial::new(MS);
        trial.run(&steps(20, 20 * MS, Duration::ZERO));
        let reads = trial.reads;
        assert_eq!(trial.look, Look::WhenTold);
        let later: Vec<_> = steps(20, 20 * MS, Duration::ZERO).iter().map(|at| *at + 9_000 * MS).collect();
        trial.run(&later);
        assert!(trial.reads - reads <= 25 && trial.queue.is_empty(), "{} reads", trial.reads - reads);
        assert!(trial.waited_max <= 2 * MS);
    }

    #[test]
    fn what_begins_to_come_more_often_does_not_wait_for_the_old_pace() {
        let mut trial = Trial::new(MS);
        trial.run(&steps(50, 20 * MS, Duration::ZERO));
        trial.waited_max = Duration::ZERO;
        let faster: Vec<_> = steps(200, 10 * MS, Duration::ZERO).iter().map(|at| *at + 1_050 * MS).collect();
        trial.run(&faster);
        assert!(trial.queue.is_empty());
        assert!(trial.waited <= 3 * MS, "{:?}", trial.waited);
        assert!(trial.waited_max <= 13 * MS, "one waits for the old pace, {:?}", trial.waited_max);
    }

    #[test]
    fn what_comes_many_a_tick_is_read_to_its_end_each_time() {
        let mut trial = Trial::new(MS);
        trial.run(&steps(5_000, MS / 10, MS / 2));
        assert!(trial.queue.is_empty() && trial.told <= 12, "{} told", trial.told);
        assert!(trial.waited_max <= 3 * MS, "{:?}", trial.waited_max);
        assert_eq!(trial.look, Look::WhenTold, "it has ended");
    }

    #[test]
    fn clocks_that_were_set_back_do_no_harm() {
        let mut trial = Trial::new(MS);
        trial.pace.hear(Instant::FAR_FUTURE);
        trial.run(&steps(100, 20 * MS, MS));
        assert!(trial.queue.is_empty());
    }
}
