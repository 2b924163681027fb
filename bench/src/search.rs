//! The search for the most that holds: by doubling, then by halving what is between.

/// What is known of the most that holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Search {
    /// What is tried first.
    pub(crate) first: u32,
    /// What nothing above is tried of.
    pub(crate) most: u32,
    /// The most that has held.
    pub(crate) held: Option<u32>,
    /// The least that has not.
    pub(crate) not_held: Option<u32>,
}

impl Search {
    /// Nothing known yet.
    pub(crate) fn new(first: u32, most: u32) -> Self {
        Self { first: first.min(most), most, held: None, not_held: None }
    }

    /// What to try next; nothing once the most that holds is known to a fiftieth.
    pub(crate) fn next(&self) -> Option<u32> {
        let next = match (self.held, self.not_held) {
            (None, None) => self.first,
            (None, Some(not_held)) => not_held / 2,
            (Some(held), None) => held.saturating_mul(2).min(self.most),
            (Some(held), Some(not_held)) => held + (not_held - held) / 2,
        };
        let is_known = |known: Option<u32>| known.is_some_and(|known| known.abs_diff(next) * 50 < next);
        (next > 0 && !is_known(self.held) && !is_known(self.not_held)).then_some(next)
    }

    /// Notes whether the number that was tried held.
    pub(crate) fn found(&mut self, tried: u32, holds: bool) {
        *(if holds { &mut self.held } else { &mut self.not_held }) = Some(tried);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: u32 = 1_000_000;

    fn next(held: Option<u32>, not_held: Option<u32>) -> Option<u32> {
        Search { held, not_held, ..Search::new(1_000, MOST) }.next()
    }

    #[test]
    fn what_is_tried_doubles_until_it_does_not_hold_and_then_closes_in() {
        assert_eq!(next(None, None), Some(1_000));
        assert_eq!(next(Some(1_000), None), Some(2_000));
        assert_eq!(next(Some(4_000), Some(8_000)), Some(6_000));
        assert_eq!(next(Some(7_900), Some(8_000)), None);
        assert_eq!(next(None, Some(1_000)), Some(500));
        assert_eq!(next(Some(MOST), None), None);
        assert_eq!(next(None, Some(1)), None);
        assert_eq!(Search::new(1_000, 60).next(), Some(60));
    }

    /// Whatever there is, the search ends, and within 4 % of it.
    #[test]
    fn the_search_finds_what_there_is() {
        for limit in [3, 999, 1_000, 12_345, 700_000] {
            let mut search = Search::new(1_000, MOST);
            let mut trials = 0;
            while let Some(next) = search.next() {
                search.found(next, next <= limit);
                trials += 1;
                assert!(trials < 32, "it does not end at {limit}");
            }
            let found = search.held.unwrap_or_default();
            assert!(found <= limit && limit - found <= limit / 20 + 1, "{found} of {limit}");
        }
    }
}
