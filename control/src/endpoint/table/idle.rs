//! Which endpoints have no connections: a bit each, and a bit for each word that has any.
//!
//! Found in a few steps whoever is busy: 65,536 endpoints are 1,024 words, and those 16.

use std::ops::Range;

/// A set of endpoints, by the numbers of their ids.
#[derive(Debug, Default)]
pub(super) struct Idle {
    words: Vec<u64>,
    /// Which of `words` are not 0.
    some: Vec<u64>,
}

impl Idle {
    /// All of the first `n`.
    pub(super) fn all(n: usize) -> Self {
        let mut idle = Self { words: vec![0; n.div_ceil(64)], some: vec![0; n.div_ceil(64 * 64)] };
        (0..n).for_each(|index| idle.insert(index as u32));
        idle
    }

    pub(super) fn insert(&mut self, index: u32) {
        let (word, bit) = place(index);
        self.words[word] |= bit;
        self.some[word / 64] |= 1 << (word % 64);
    }

    pub(super) fn remove(&mut self, index: u32) {
        let (word, bit) = place(index);
        self.words[word] &= !bit;
        if self.words[word] == 0 {
            self.some[word / 64] &= !(1 << (word % 64));
        }
    }

    /// The members that lie in a range, in order.
    pub(super) fn within(&self, range: Range<u32>) -> impl Iterator<Item = u32> + '_ {
        let mut from = range.start;
        std::iter::from_fn(move || {
            let next = self.next(from).filter(|next| *next < range.end)?;
            from = next + 1;
            Some(next)
        })
    }

    /// The first from `from` on.
    fn next(&self, from: u32) -> Option<u32> {
        let (word, bit) = place(from);
        let here = self.words.get(word)? & !(bit - 1);
        if here != 0 {
            return Some(at(word, here));
        }
        let mut groups = word + 1;
        loop {
            let group = self.some.get(groups / 64)? & (u64::MAX << (groups % 64));
            if group != 0 {
                let word = at(groups / 64, group) as usize;
                return Some(at(word, self.words[word]));
            }
            groups = (groups / 64 + 1) * 64;
        }
    }
}

/// The word of a number, and its bit there.
fn place(index: u32) -> (usize, u64) {
    (index as usize / 64, 1 << (index % 64))
}

/// The number of the lowest bit of a word.
fn at(word: usize, bits: u64) -> u32 {
    word as u32 * 64 + bits.trailing_zeros()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_in_it_is_found(
            n in 1_usize..10_000,
            changes in proptest::collection::vec((any::<bool>(), any::<u32>()), 0..300),
            range in (0_u32..11_000, 0_u32..11_000),
        ) {
            let (mut idle, mut model) = (Idle::all(n), vec![true; n]);
            // Whole stretches, so that words and groups become empty.
            for (is_idle, from) in changes {
                let from = from % n as u32;
                for index in from..(from + 500).min(n as u32) {
                    if is_idle { idle.insert(index) } else { idle.remove(index) }
                    model[index as usize] = is_idle;
                }
            }
            let found: Vec<_> = idle.within(range.0..range.1).collect();
            let expected: Vec<_> =
                (range.0..range.1.min(n as u32)).filter(|index| model[*index as usize]).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
