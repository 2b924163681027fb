//! A ring of bits, one for each octet of a ring of octets; ranges are done a word at a time.

use drivers::memory;

/// Bits addressed by timestamp, modulo their number.
#[derive(Debug)]
pub(super) struct Bits {
    words: Box<[u64]>,
}

impl Bits {
    /// `len` bits, a power of two and at least 64, all clear.
    pub(super) fn new(len: usize) -> Self {
        assert!(len.is_power_of_two() && len >= 64, "whole words, in a ring");
        Self { words: vec![0; len / 64].into() }
    }

    pub(super) fn clear_all(&mut self) {
        self.words.fill(0);
    }

    /// Sets bits; says how many of them were set before.
    pub(super) fn set(&mut self, from: u32, len: usize) -> usize {
        let mut before = 0;
        for (index, mask) in self.masks(from, len) {
            let word = &mut self.words[index];
            // Rarely any is: most CPUs' instruction that counts them is not in the baseline.
            if *word & mask != 0 {
                before += (*word & mask).count_ones() as usize;
            }
            *word |= mask;
        }
        before
    }

    pub(super) fn clear(&mut self, from: u32, len: usize) {
        for (index, mask) in self.masks(from, len) {
            self.words[index] &= !mask;
        }
    }

    /// The words that bits from `from` on lie in are needed soon.
    pub(super) fn prefetch(&self, from: u32) {
        memory::prefetch(&self.words[from as usize / 64 % self.words.len()]);
    }

    /// The bit at `from`, and how many in a row are like it, at most `len`.
    pub(super) fn run(&self, from: u32, len: usize) -> (bool, usize) {
        let first = from as usize & (64 * self.words.len() - 1);
        let is_set = self.words[first / 64] >> (first % 64) & 1 == 1;
        let flip = if is_set { u64::MAX } else { 0 };
        let mut run = 0;
        for (index, mask) in self.masks(from, len) {
            let unlike = (self.words[index] ^ flip) & mask;
            if unlike != 0 {
                return (is_set, run + (unlike.trailing_zeros() - mask.trailing_zeros()) as usize);
            }
            run += mask.count_ones() as usize;
        }
        (is_set, run)
    }

    /// The words that a range of at most all bits lies in, each with the mask of its part.
    fn masks(&self, from: u32, len: usize) -> impl Iterator<Item = (usize, u64)> + use<> {
        let n_words = self.words.len();
        let mut at = from as usize & (64 * n_words - 1);
        let mut left = len.min(64 * n_words);
        std::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            let (index, bit) = (at / 64, at % 64);
            let n_bits = left.min(64 - bit);
            left -= n_bits;
            at = (at + n_bits) & (64 * n_words - 1);
            Some((index, (u64::MAX >> (64 - n_bits)) << bit))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ranges_do_what_single_bits_would(steps in proptest::collection::vec((any::<bool>(), any::<u32>(), 0usize..=256), 1..40)) {
            let mut bits = Bits::new(256);
            let mut model = [false; 256];
            for (set, from, len) in steps {
                let before = (0..len).filter(|offset| model[(from as usize + offset) % 256]).count();
                if set { prop_assert_eq!(bits.set(from, len), before) } else { bits.clear(from, len) }
                for offset in 0..len {
                    model[(from as usize + offset) % 256] = set;
                }
                let at = |offset: usize| model[(from as usize + offset) % 256];
                let from = from.wrapping_add(3);
                let run = (0..200).take_while(|offset| at(3 + offset) == at(3)).count();
                prop_assert_eq!(bits.run(from, 200), (at(3), run));
            }
        }
    }
}
