//! What a timeslot has on it when nobody speaks there, and when the line is dead.

use crate::line::{Abcd, Carrier, Line, Timeslot};
use crate::span::Block;

/// A timeslot at rest: silence, and the signalling bits of a channel that is not used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rest {
    pub(super) octet: u8,
    pub(super) bits: Abcd,
}

impl Rest {
    pub(super) fn of(line: Line) -> Self {
        let bits = match line.carrier {
            // ITU-T G.704 §5.1.3.2.2: bits that are not used are 1, 0 and 1 for B, C and D, and all
            // four must not be 0, or they would look like multiframe alignment.
            Carrier::E1 => 0b1101,
            Carrier::T1 => 0b0000,
        };
        Self { octet: line.law.silence(), bits: Abcd::new(bits) }
    }

    pub(super) fn fill(self, timeslots: &[Timeslot], rx: &mut Block) {
        for &timeslot in timeslots {
            rx.timeslot_mut(timeslot).fill(self.octet);
            rx.set_bits(timeslot, self.bits);
        }
    }
}

/// What a receiver makes of a dead line: ones, octets and signalling bits alike.
pub(super) fn all_ones(timeslots: &[Timeslot], rx: &mut Block) {
    Rest { octet: 0xFF, bits: Abcd::new(0b1111) }.fill(timeslots, rx);
}
