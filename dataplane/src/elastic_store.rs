//! Octets between two lines of one core: what a local connection has in place of a network.
//!
//! One line's blocks come in, the other line's go out, and nothing is made of them on the way. Each
//! line has a clock of its own: where they differ, octets have to be repeated or left out, as between
//! any two plesiochronous networks. That is a *controlled slip*, of one octet at a time, the least
//! that a DS0 knows.
//!
//! ```text
//!           read                                     written
//!  ──────────┼──────────────┬───────────────────────────┼────────
//!            │  next block  │  margin: kept at a block  │
//! ```
//!
//! **Margin.** What is left when a block has been read. Between two spans it is a block (the shorter
//! of their two), because the one that reads may come before the one that writes just as well as after
//! it, and the order of the two changes where they drift or are late. Within a span it is none: there
//! a block is always written before the next is read. On equal clocks nothing ever slips.
//!
//! **Drift** shows when the two blocks' order changes: from then on each margin is a block smaller or
//! larger. The least margin of each quarter of a second is looked at, and one octet a quarter of a
//! second makes up for it: enough for 500 ppm, five times what two lines at the two ends of ±50 ppm
//! need (ITU-T G.703).
//!
//! **Delay.** An octet is as long under way as it takes to come and to go, a block each, and the
//! margin, and the time from one line's block to the other's, less than a block: with blocks of 5 ms,
//! 10 ms within a span and 10 to 15 ms between two, up to 5 ms more where their clocks differ.

use crate::codec::g711;

/// The account of the octets for one leg of a local connection.
///
/// They lie in memory that is handed in, always the same: a leg that is local has no use for its jitter
/// buffer's.
#[derive(Debug)]
pub(crate) struct ElasticStore {
    /// Octets written and read; both wrap.
    written: u32,
    read: u32,
    /// Octets written last, at once.
    block: u16,
    /// Whether what writes and what reads is the same span.
    is_one_span: bool,
    /// Enough had come, and reading has begun.
    is_running: bool,
    /// Octets read in this period, and the least margin in it.
    period: u16,
    least: u16,
    /// Periods on end in which the margin was too small, or too large.
    low: u8,
    high: u8,
    slip: Option<Slip>,
}

/// What the next read is to do besides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Slip {
    Repeat,
    LeaveOut,
}

/// What a block that was read consists of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[must_use]
pub(crate) struct Read {
    /// Octets that had not come and were filled.
    pub missing: usize,
    /// Octets that were repeated or left out.
    pub slipped: usize,
}

impl ElasticStore {
    /// Octets that it holds: six of the longest blocks, to a power of two.
    pub(crate) const CAPACITY: usize = 1_024;

    /// Empty.
    pub(crate) const fn new() -> Self {
        Self {
            written: 0,
            read: 0,
            block: 0,
            is_one_span: false,
            is_running: false,
            period: 0,
            least: u16::MAX,
            low: 0,
            high: 0,
            slip: None,
        }
    }

    /// Forgets what it holds and begins anew.
    pub(crate) fn restart(&mut self) {
        self.read = self.written;
        self.is_running = false;
        self.begin_period();
        (self.low, self.high, self.slip) = (0, 0, None);
    }

    /// Takes a block of one line, through a table if the other's law is another.
    pub(crate) fn write(
        &mut self,
        ring: &mut [u8; Self::CAPACITY],
        octets: &[u8],
        translate: Option<&[u8; 256]>,
        is_one_span: bool,
    ) {
        (self.block, self.is_one_span) = (octets.len() as u16, is_one_span);
        let at = self.written as usize % Self::CAPACITY;
        let (head, tail) = octets.split_at(octets.len().min(Self::CAPACITY - at));
        for (at, part) in [(at, head), (0, tail)] {
            g711::copy(part, translate, &mut ring[at..][..part.len()]);
        }
        self.written = self.written.wrapping_add(octets.len() as u32);
        if self.level() > Self::CAPACITY - HISTORY {
            self.read = self.written.wrapping_sub((Self::CAPACITY - HISTORY) as u32);
        }
    }

    /// Gives the other line its block; `silence` where there is nothing.
    pub(crate) fn read(&mut self, ring: &[u8; Self::CAPACITY], out: &mut [u8], silence: u8) -> Read {
        let mut slipped = self.begin(out.len());
        if !self.is_running {
            out.fill(silence);
            return Read::default();
        }
        slipped += self.apply_slip();
        let n = self.level().min(out.len());
        let at = self.read as usize % Self::CAPACITY;
        let (head, tail) = out[..n].split_at_mut(n.min(Self::CAPACITY - at));
        head.copy_from_slice(&ring[at..][..head.len()]);
        tail.copy_from_slice(&ring[..tail.len()]);
        self.read = self.read.wrapping_add(n as u32);
        out[n..].fill(silence);
        if n < out.len() {
            self.restart();
        } else {
            self.watch(out.len());
        }
        Read { missing: out.len() - n, slipped }
    }

    /// Begins to read once there is enough, and begins anew where there is far too much, because the
    /// line that reads had stood still. Says how many octets were left out.
    fn begin(&mut self, len: usize) -> usize {
        let longer = len.max(self.block.into());
        let enough = self.slack(len) + longer;
        if self.is_running && self.level() > 4 * longer + PLAY {
            let left_out = self.level() - enough;
            self.restart();
            (self.read, self.is_running) = (self.written.wrapping_sub(enough as u32), true);
            return left_out;
        }
        if !self.is_running && self.block > 0 && self.level() >= enough {
            self.restart();
            (self.read, self.is_running) = (self.written.wrapping_sub(enough as u32), true);
        }
        0
    }

    fn apply_slip(&mut self) -> usize {
        match self.slip.take() {
            Some(Slip::Repeat) => self.read = self.read.wrapping_sub(1),
            Some(Slip::LeaveOut) if self.level() > 0 => self.read = self.read.wrapping_add(1),
            Some(Slip::LeaveOut) | None => return 0,
        }
        1
    }

    /// Notes the margin, and decides at the end of a period.
    fn watch(&mut self, len: usize) {
        self.least = self.least.min(self.level() as u16);
        self.period += len as u16;
        if self.period < PERIOD {
            return;
        }
        let slack = self.slack(len);
        // Where blocks are of different lengths, the margin depends on where the first of them met.
        let (least, most) = (usize::from(self.least), slack + len.abs_diff(self.block.into()) + PLAY);
        self.low = if least < slack { self.low.saturating_add(1) } else { 0 };
        self.high = if least > most { self.high.saturating_add(1) } else { 0 };
        if self.low >= PERIODS {
            self.slip = Some(Slip::Repeat);
        } else if self.high >= PERIODS {
            self.slip = Some(Slip::LeaveOut);
        }
        self.begin_period();
    }

    fn begin_period(&mut self) {
        (self.period, self.least) = (0, u16::MAX);
    }

    /// The margin that is wanted where blocks of `len` octets are read.
    fn slack(&self, len: usize) -> usize {
        if self.is_one_span { 0 } else { len.min(self.block.into()) }
    }

    /// Octets that wait.
    pub(crate) fn level(&self) -> usize {
        self.written.wrapping_sub(self.read) as usize
    }
}

/// Octets of a period: 250 ms.
const PERIOD: u16 = 2_000;

/// Periods on end that must agree before anything slips: a late tick is no drift.
const PERIODS: u8 = 4;

/// Octets by which a margin may be larger than wanted: 1 ms. Without it octets would be repeated and
/// left out in turn.
const PLAY: usize = 8;

/// Octets kept behind what was read: what is repeated is the last of them.
const HISTORY: usize = 1;

const _: () = assert!(ElasticStore::CAPACITY.is_power_of_two(), "counters wrap where the ring does");
const _: () = assert!(
    4 * drivers::span::Block::FRAMES_MAX + PLAY + drivers::span::Block::FRAMES_MAX + HISTORY
        <= ElasticStore::CAPACITY,
    "whatever may wait has room"
);

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    const SILENCE: u8 = 0xD5;

    /// Two lines, their blocks' lengths and times between them in ns, and what is between them.
    struct Lines {
        store: ElasticStore,
        ring: [u8; ElasticStore::CAPACITY],
        blocks: [usize; 2],
        times: [u64; 2],
        due: [u64; 2],
        said: u64,
        heard: Vec<u8>,
        slipped: usize,
        missing: usize,
    }

    /// What is said at a time: 251 octets that differ, then again.
    fn voice(at: u64) -> u8 {
        (at % 251) as u8
    }

    impl Lines {
        /// Lines with these blocks, `ppm` fast, the second `after` the first.
        fn new(blocks: [usize; 2], ppm: [i64; 2], after: u64) -> Self {
            let times =
                [0, 1].map(|i| (blocks[i] as i64 * 125_000 * (1_000_000 - ppm[i]) / 1_000_000) as u64);
            let (store, ring) = (ElasticStore::new(), [0; _]);
            let (said, heard, slipped, missing) = (0, Vec::new(), 0, 0);
            Self { store, ring, blocks, times, due: [0, after], said, heard, slipped, missing }
        }

        fn write(&mut self) {
            let block: Vec<u8> = (0..self.blocks[0] as u64).map(|i| voice(self.said + i)).collect();
            self.said += block.len() as u64;
            self.store.write(&mut self.ring, &block, None, false);
        }

        fn read(&mut self) {
            let mut block = vec![0; self.blocks[1]];
            let read = self.store.read(&self.ring, &mut block, SILENCE);
            self.slipped += read.slipped;
            self.missing += read.missing;
            self.heard.extend(block);
        }

        /// What happens in so many seconds.
        fn run(&mut self, seconds: u64) {
            let until = self.due[1] + seconds * 1_000_000_000;
            while self.due[0].min(self.due[1]) < until {
                let first = usize::from(self.due[1] < self.due[0]);
                if first == 0 {
                    self.write();
                } else {
                    self.read();
                }
                self.due[first] += self.times[first];
            }
        }

        /// Octets that are not the one after the one before: how often, and by how much at most.
        fn jumps(&self) -> (usize, u8) {
            let begin = self.heard.iter().position(|&octet| octet != SILENCE).expect("it is heard at all");
            let jumps: Vec<u8> = self.heard[begin..]
                .windows(2)
                .map(|two| ((u16::from(two[1]) + 251 - u16::from(two[0]) + 250) % 251) as u8)
                .filter(|jump| *jump != 0)
                .map(|jump| jump.min(251 - jump))
                .collect();
            (jumps.len(), jumps.into_iter().max().unwrap_or(0))
        }

        fn delay(&self) -> u64 {
            self.store.level() as u64
        }
    }

    #[test]
    fn equal_clocks_never_slip_whatever_their_blocks_and_their_order() {
        for blocks in [[40, 40], [8, 160], [160, 8], [40, 160], [160, 40], [160, 160], [8, 8], [80, 40]] {
            for after in [0, 1, 500_000, 999_999, 1_000_000, 4_999_999, 12_345_678] {
                let mut lines = Lines::new(blocks, [0, 0], after);
                lines.run(20);
                assert_eq!((lines.jumps().0, lines.slipped, lines.missing), (0, 0, 0), "{blocks:?} {after}");
                let most = 2 * blocks[0].max(blocks[1]) as u64 + blocks[0].min(blocks[1]) as u64;
                assert!(lines.delay() <= most, "{blocks:?} {after}: {}", lines.delay());
            }
        }
    }

    #[test]
    fn clocks_that_differ_slip_by_one_octet_at_a_time_and_as_often_as_they_must() {
        for blocks in [[40, 40], [160, 160], [8, 8], [40, 160], [160, 40]] {
            for ppm in [[50, -50], [-50, 50], [0, 7]] {
                let mut lines = Lines::new(blocks, ppm, 700_000);
                lines.run(300);
                let (jumps, largest) = lines.jumps();
                assert_eq!((lines.missing, largest), (0, 1), "{blocks:?} {ppm:?}");
                assert_eq!(jumps, lines.slipped);
                let drift = 300 * 8_000 * ppm[0].abs_diff(ppm[1]) / 1_000_000;
                let longest = blocks[0].max(blocks[1]) as u64;
                assert!(
                    (lines.slipped as u64).abs_diff(drift) <= 2 * longest,
                    "{blocks:?} {ppm:?}: {} slips, {drift} octets apart",
                    lines.slipped
                );
                assert!(lines.delay() <= 4 * longest, "{blocks:?} {ppm:?}: {}", lines.delay());
            }
        }
    }

    #[test]
    fn a_late_tick_in_which_the_lines_change_their_order_costs_nothing() {
        let mut lines = Lines::new([40, 40], [0, 0], 1_000_000);
        lines.run(5);
        let seed = 4_711;
        let mut rng = StdRng::seed_from_u64(seed);
        for _ in 0..1_000 {
            let order = [[0, 1, 0, 1], [1, 0, 1, 0], [1, 0, 0, 1]][rng.random_range(0..3)];
            for line in order {
                if line == 0 {
                    lines.write();
                } else {
                    lines.read();
                }
            }
            for _ in 0..9 {
                lines.write();
                lines.read();
            }
        }
        assert_eq!((lines.jumps().0, lines.missing), (0, 0));
    }

    #[test]
    fn a_line_that_stood_still_comes_back_without_the_delay() {
        let mut lines = Lines::new([40, 40], [0, 0], 0);
        lines.run(1);
        let before = lines.delay();
        (0..1_000).for_each(|_| lines.write());
        lines.run(1);
        assert_eq!(lines.delay(), before);
        assert_eq!(lines.jumps().0, 1);
        assert!(lines.slipped > 0);
    }

    #[test]
    fn what_ends_is_followed_by_silence_and_may_begin_again() {
        let mut lines = Lines::new([40, 40], [0, 0], 0);
        lines.run(1);
        let begin = lines.heard.len();
        (0..50).for_each(|_| lines.read());
        assert!(lines.heard[begin + 80..].iter().all(|&octet| octet == SILENCE));
        assert!(lines.missing <= 40, "{}: what nobody says is not missing", lines.missing);
        lines.heard.clear();
        lines.run(1);
        assert_eq!(lines.jumps().0, 0);
    }

    #[test]
    fn within_a_span_no_margin_is_kept() {
        let (mut store, mut ring) = (ElasticStore::new(), [0; ElasticStore::CAPACITY]);
        let mut out = [0; 40];
        for block in 0..100_u8 {
            let read = store.read(&ring, &mut out, SILENCE);
            assert_eq!(read, Read::default());
            assert_eq!(out, [if block == 0 { SILENCE } else { block - 1 }; 40]);
            store.write(&mut ring, &[block; 40], None, true);
        }
    }
}
