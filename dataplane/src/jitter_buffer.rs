//! (to come)
use std::time::Duration;

use drivers::line::Law;

use crate::link::JitterBounds;

/// What octets that did not come become on the line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fill {
    /// A guess from what was heard before, fading to silence: for speech in this law.
    Conceal(Law),
    /// This octet: for data.
    Idle(u8),
}

/// What became of a packet's octets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Inserted {
    /// Octets that came after their place in the line had passed.
    pub late: usize,
    /// Octets that had come before.
    pub duplicate: usize,
}

/// What a block played consists of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Played {
    /// Octets that had not come, and were filled.
    pub missing: usize,
    /// Whether the delay was changed before or in this block.
    pub adjusted: bool,
}

/// A ring of octets addressed by RTP timestamp.
#[derive(Debug)]
pub struct JitterBuffer {}

impl JitterBuffer {
    /// Room for `capacity` octets, a power of two.
    pub fn new(capacity: usize) -> Self {
        assert!(capacity.is_power_of_two());
        Self {}
    }

    /// Begins anew, empty.
    pub fn start(&mut self, _bounds: JitterBounds, _fill: Fill) {}

    /// The next packet's timestamp says nothing about those before: it is placed afresh.
    pub fn resync(&mut self) {}

    /// Puts a packet's octets in their places, through `translate` if there is one.
    pub fn insert(&mut self, _timestamp: u32, _payload: &[u8], _translate: Option<&[u8; 256]>) -> Inserted {
        Inserted::default()
    }

    /// Takes exactly `out.len()` octets for the line; silence before the first packet.
    pub fn play(&mut self, _out: &mut [u8]) -> Played {
        Played::default()
    }

    /// How long the packet that came last had to wait for the line.
    pub fn delay(&self) -> Duration {
        Duration::ZERO
    }
}
