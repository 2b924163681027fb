//! A far end that sends a pseudo-random pattern and checks what comes back (ITU-T O.150).
//!
//! The pattern runs through the timeslot's octets bit by bit, the first bit in the most significant
//! place. The check needs no reference: the pattern's own recurrence tells the next bits from those
//! that came, so it finds its place by itself, whatever the delay. Once in step it runs on its own,
//! or each wrong bit would be counted again at each tap.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A pattern, by its length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pattern {
    /// 2^11 - 1 bits: x^11 + x^9 + 1 (ITU-T O.150 §5.2; O.152 for 64 kbit/s).
    Prbs11,
    /// 2^15 - 1 bits, sent inverted: x^15 + x^14 + 1 (ITU-T O.150 §5.3).
    Prbs15,
}

/// What a check has found so far. Written by the span, read by anyone.
#[derive(Debug, Default)]
pub struct PrbsResult {
    in_sync: AtomicBool,
    bits: AtomicU64,
    errors: AtomicU64,
    losses: AtomicU64,
}

impl PrbsResult {
    /// Whether the pattern is being followed.
    pub fn is_in_sync(&self) -> bool {
        self.in_sync.load(Ordering::Relaxed)
    }

    /// Bits checked while in step; up to two windows of 64 octets behind.
    pub fn bits(&self) -> u64 {
        self.bits.load(Ordering::Relaxed)
    }

    /// Bits that were wrong while in step.
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// How often the pattern was lost: a slip, a gap, or a dead line.
    pub fn losses(&self) -> u64 {
        self.losses.load(Ordering::Relaxed)
    }
}

impl Pattern {
    /// The eight bits after the last ones of `history`, whose latest bit is the lowest.
    ///
    /// All eight follow from bits that are at least nine back, so they come in one step.
    const fn next(self, history: u32) -> u8 {
        match self {
            Self::Prbs11 => (history >> (11 - 8) ^ history >> (9 - 8)) as u8,
            Self::Prbs15 => (history >> (15 - 8) ^ history >> (14 - 8)) as u8,
        }
    }

    /// What the bits are turned by on the line.
    const fn inversion(self) -> u8 {
        match self {
            Self::Prbs11 => 0x00,
            Self::Prbs15 => 0xFF,
        }
    }

    /// The bits that the recurrence looks at.
    const fn mask(self) -> u32 {
        match self {
            Self::Prbs11 => (1 << 11) - 1,
            Self::Prbs15 => (1 << 15) - 1,
        }
    }
}

/// Sends the pattern.
#[derive(Debug)]
pub(super) struct Generator {
    pattern: Pattern,
    history: u32,
}

impl Generator {
    pub(super) fn new(pattern: Pattern) -> Self {
        Self { pattern, history: pattern.mask() }
    }

    pub(super) fn fill(&mut self, rx: &mut [u8]) {
        for octet in rx {
            let bits = self.pattern.next(self.history);
            self.history = self.history << 8 | u32::from(bits);
            *octet = bits ^ self.pattern.inversion();
        }
    }
}

/// Checks the pattern.
#[derive(Debug)]
pub(super) struct Checker {
    pattern: Pattern,
    history: u32,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// The history is what was received; `right` octets in a row followed from it.
    Searching { right: u32 },
    /// The history is our own; so far in this window, `octets` came with `errors` bits wrong. The
    /// window before, if there was one, had `errors_before`.
    InStep { octets: u32, errors: u32, errors_before: Option<u32> },
}

/// Octets in a row that must be right for the pattern to be found.
const RIGHT_MIN: u32 = 8;
/// Octets after which it is decided whether the window still was the pattern.
const WINDOW_OCTETS: u32 = 64;
/// Wrong bits in a window with which it was not: a fifth, the share that ITU-T O.151
/// takes over a second.
const WINDOW_ERRORS_MAX: u32 = WINDOW_OCTETS * 8 / 5;

impl Checker {
    pub(super) fn new(pattern: Pattern) -> Self {
        Self { pattern, history: 0, state: State::Searching { right: 0 } }
    }

    pub(super) fn check(&mut self, tx: &[u8], result: &PrbsResult) {
        for &octet in tx {
            let came = octet ^ self.pattern.inversion();
            let expected = self.pattern.next(self.history);
            self.state = match self.state {
                State::Searching { right } => self.search(came, expected, right, result),
                State::InStep { octets, errors, errors_before } => {
                    self.history = self.history << 8 | u32::from(expected);
                    let errors = errors + (came ^ expected).count_ones();
                    follow(octets + 1, errors, errors_before, result)
                }
            };
        }
    }

    fn search(&mut self, came: u8, expected: u8, right: u32, result: &PrbsResult) -> State {
        // A line of zeros follows from a history of zeros, and is not the pattern.
        let right = if came == expected && self.history & self.pattern.mask() != 0 { right + 1 } else { 0 };
        self.history = self.history << 8 | u32::from(came);
        if right < RIGHT_MIN {
            return State::Searching { right };
        }
        result.in_sync.store(true, Ordering::Relaxed);
        State::InStep { octets: 0, errors: 0, errors_before: None }
    }
}

fn follow(octets: u32, errors: u32, errors_before: Option<u32>, result: &PrbsResult) -> State {
    if errors >= WINDOW_ERRORS_MAX {
        // This window was not the pattern, and the end of the one before need not have been: what
        // they hold are not bit errors, so neither is counted.
        result.in_sync.store(false, Ordering::Relaxed);
        result.losses.fetch_add(1, Ordering::Relaxed);
        return State::Searching { right: 0 };
    }
    if octets < WINDOW_OCTETS {
        return State::InStep { octets, errors, errors_before };
    }
    if let Some(errors_before) = errors_before {
        result.bits.fetch_add(u64::from(WINDOW_OCTETS) * 8, Ordering::Relaxed);
        result.errors.fetch_add(u64::from(errors_before), Ordering::Relaxed);
    }
    State::InStep { octets: 0, errors: 0, errors_before: Some(errors) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [Pattern; 2] = [Pattern::Prbs11, Pattern::Prbs15];

    fn octets(pattern: Pattern, n: usize) -> Vec<u8> {
        let mut octets = vec![0; n];
        Generator::new(pattern).fill(&mut octets);
        octets
    }

    fn bits(octets: &[u8]) -> Vec<u8> {
        octets.iter().flat_map(|octet| (0..8).rev().map(move |bit| octet >> bit & 1)).collect()
    }

    fn longest_run(bits: &[u8], of: u8) -> usize {
        bits.split(|&bit| bit != of).map(<[u8]>::len).max().unwrap_or(0)
    }

    #[test]
    fn patterns_have_the_length_and_the_runs_that_itu_t_o150_gives() {
        for (pattern, length, zeros, ones) in
            [(Pattern::Prbs11, 2_047, 10, 11), (Pattern::Prbs15, 32_767, 15, 14)]
        {
            let bits = bits(&octets(pattern, length + 8));
            assert_eq!(bits[..length], bits[length..2 * length], "{pattern:?} repeats");
            assert!((1..length).filter(|n| length % n == 0).all(|n| bits[..length] != bits[n..n + length]));
            assert_eq!(longest_run(&bits[..2 * length], 0), zeros, "{pattern:?}");
            assert_eq!(longest_run(&bits[..2 * length], 1), ones, "{pattern:?}");
        }
    }

    #[test]
    fn a_clean_line_is_followed_whatever_its_delay_and_its_blocks() {
        for pattern in BOTH {
            for (delay, block) in [(0, 40), (1, 8), (513, 160)] {
                let (mut checker, result) = (Checker::new(pattern), PrbsResult::default());
                checker.check(&vec![0xD5; delay], &result);
                octets(pattern, 8_000).chunks(block).for_each(|tx| checker.check(tx, &result));
                assert!(result.is_in_sync());
                assert!(result.bits() > 7_800 * 8);
                assert_eq!((result.errors(), result.losses()), (0, 0));
            }
        }
    }

    #[test]
    fn each_wrong_bit_is_counted_once() {
        for pattern in BOTH {
            let (mut checker, result) = (Checker::new(pattern), PrbsResult::default());
            let mut octets = octets(pattern, 8_000);
            for (at, bit) in [(1_000, 0), (1_001, 7), (4_000, 3)] {
                octets[at] ^= 1 << bit;
            }
            checker.check(&octets, &result);
            assert_eq!((result.errors(), result.losses()), (3, 0));
        }
    }

    #[test]
    fn a_lost_octet_is_a_loss_of_the_pattern_and_not_bit_errors() {
        for pattern in BOTH {
            let (mut checker, result) = (Checker::new(pattern), PrbsResult::default());
            let mut octets = octets(pattern, 8_000);
            octets.remove(3_000);
            checker.check(&octets, &result);
            assert!(result.is_in_sync());
            assert_eq!((result.errors(), result.losses()), (0, 1));
            assert!(result.bits() > 7_500 * 8);
        }
    }

    #[test]
    fn no_constant_octet_passes_for_a_pattern() {
        for pattern in BOTH {
            for octet in 0..=255 {
                let (mut checker, result) = (Checker::new(pattern), PrbsResult::default());
                checker.check(&[octet; 4_000], &result);
                assert!(!result.is_in_sync(), "{pattern:?}: {octet:#04x}");
            }
        }
    }

    #[test]
    fn a_line_that_dies_is_noticed_within_a_window() {
        for pattern in BOTH {
            let (mut checker, result) = (Checker::new(pattern), PrbsResult::default());
            checker.check(&octets(pattern, 1_000), &result);
            checker.check(&[0xFF; 128], &result);
            assert!(!result.is_in_sync());
            assert_eq!(result.losses(), 1);
        }
    }
}
