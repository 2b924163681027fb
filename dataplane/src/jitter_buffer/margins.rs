//! What the margins of packets say about the delay: the adaptive part of the jitter buffer.
//!
//! Pure bookkeeping: it sees each packet's margin and each block's length, and says how to move.

/// How the line's place is to be moved before the next block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Move {
    /// Not at all.
    Stay,
    /// Back by so many octets.
    Grow(u32),
    /// On by up to so many octets; [`Margins::shrunk`] is told how many they were, if there was a place to cut.
    Shrink(u32),
    /// The next packet is to be placed afresh.
    Replace,
}

/// The margins of the last second or two.
#[derive(Debug, Default)]
pub(super) struct Margins {
    nominal: u32,
    max: u32,
    is_adaptive: bool,
    /// The longest block played.
    block: u32,
    last: i32,
    /// The best margin since the last block; [`NONE`] if no packet has come.
    best: i32,
    /// The worst margin since the last block; 0 if none was late.
    worst: i16,
    /// The worst margin when packets were last late in this window beside others that were not; 0 if none was.
    witness: i16,
    /// The least and greatest margins in this window, and the greatest in the one before.
    window: Option<(i32, i32)>,
    high_before: i32,
    elapsed: u16,
    /// Octets that the delay is too long by.
    surplus: u32,
    /// Octets played since a cut was last asked for.
    since_cut: u16,
}

impl Margins {
    /// All lengths in octets.
    pub(super) fn new(nominal: u32, max: u32, is_adaptive: bool) -> Self {
        Self { nominal, max, is_adaptive, best: NONE, high_before: NONE, ..Self::default() }
    }

    /// Forgets the packets: another one is placed afresh.
    pub(super) fn restart(&mut self) {
        *self = Self { block: self.block, ..Self::new(self.nominal, self.max, self.is_adaptive) };
    }

    /// Notes the longest block, and says by how much the target grows.
    pub(super) fn widen_to(&mut self, block: u32) -> u32 {
        let before = self.target();
        self.block = self.block.max(block);
        self.target() - before
    }

    /// Notes a packet.
    pub(super) fn note(&mut self, margin: i32) {
        self.last = margin;
        self.best = self.best.max(margin);
        self.worst = i32::from(self.worst).min(margin) as i16;
        let (low, high) = self.window.unwrap_or((margin, margin));
        self.window = Some((low.min(margin), high.max(margin)));
        self.surplus = self.surplus.min(self.above_target(margin));
    }

    /// What to do before a block of `len` octets.
    pub(super) fn step(&mut self, len: u32) -> Move {
        let best = std::mem::replace(&mut self.best, NONE);
        let worst = std::mem::take(&mut self.worst);
        let late = if best < 0 { best } else { self.confirmed(worst).into() };
        if let Some(by) = self.growth(late) {
            self.shift(by as i32);
            return Move::Grow(by);
        }
        self.elapsed += len as u16;
        self.since_cut = self.since_cut.saturating_add(len as u16);
        if self.elapsed >= WINDOW {
            self.elapsed = 0;
            self.witness = 0;
            if let Some((low, high)) = self.window.take() {
                self.high_before = high;
                if self.must_replace(low, high) {
                    return Move::Replace;
                }
                if self.is_adaptive && self.above_target(low) > self.target() {
                    self.surplus = self.above_target(low);
                }
            }
        }
        if self.surplus > 0 && self.since_cut >= CUT_SPACING {
            // Where nothing can be cut, or too little is left, to look for a place in each block would cost much.
            self.since_cut = 0;
            return Move::Shrink(self.surplus);
        }
        Move::Stay
    }

    /// Notes that `by` octets were cut out.
    pub(super) fn shrunk(&mut self, by: u32) {
        self.surplus = self.surplus.saturating_sub(by);
        self.shift(-(by as i32));
    }

    /// The margin that the first packet is given.
    pub(super) fn target(&self) -> u32 {
        self.nominal.max(self.block)
    }

    /// The margin of the packet that came last.
    pub(super) fn last(&self) -> i32 {
        self.last
    }

    /// How late packets are again and again that come together with others that are in time, as the first
    /// of each bunch do where a network lets go of several at once; 0 if they are not.
    ///
    /// Once is no reason to step back: that is a packet that others overtook, or what was held up while a
    /// link was down.
    fn confirmed(&mut self, worst: i16) -> i16 {
        if worst >= 0 {
            return 0;
        }
        let before = std::mem::replace(&mut self.witness, worst);
        worst.max(before)
    }

    /// By how much to step back where packets are `late`, all of those since the last block, or some of
    /// them again and again: by as much as the least late, and a little so that the next is not late
    /// again by a trifle, but not so far that one as early as the earliest of late would wait longer than
    /// allowed.
    fn growth(&self, late: i32) -> Option<u32> {
        if !self.is_adaptive || late >= 0 || late == NONE {
            return None;
        }
        let high = self.window.map_or(late, |(_, high)| high).max(self.high_before);
        let room = (self.max as i32).saturating_sub(high);
        let by = (GUARD - late).min(room);
        (by > 0).then_some(by as u32)
    }

    fn must_replace(&self, low: i32, high: i32) -> bool {
        if self.is_adaptive {
            low > (self.max + self.target()) as i32
        } else {
            high < 0 || low > (self.max.max(2 * self.nominal) + self.block) as i32
        }
    }

    fn above_target(&self, margin: i32) -> u32 {
        u32::try_from(margin - self.target() as i32).unwrap_or(0)
    }

    /// All margins are longer by this.
    fn shift(&mut self, by: i32) {
        self.last += by;
        self.window = self.window.map(|(low, high)| (low + by, high + by));
        self.high_before = self.high_before.saturating_add(by);
        // What was not late does not become so by a cut.
        if self.witness < 0 {
            self.witness = (i32::from(self.witness) + by).min(0) as i16;
        }
    }
}

/// Less than any margin.
const NONE: i32 = i32::MIN;
/// Octets played while margins are gathered: 1 s.
const WINDOW: u16 = 8_000;
/// Octets beyond the lateness to step back: 2 ms.
const GUARD: i32 = 16;
/// Octets played between two cuts, 100 ms: the sound is never more than 15 % faster.
const CUT_SPACING: u16 = 800;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_cut_is_asked_for_every_100_ms_and_not_in_each_block() {
        let mut margins = Margins::new(160, 800, true);
        let mut asked = 0;
        for _ in 0..1_000 {
            margins.note(640);
            asked += usize::from(margins.step(40) == Move::Shrink(480));
        }
        // Five seconds, of which the first shows that there is too much.
        assert!((38..=41).contains(&asked), "{asked} times");
    }
}
