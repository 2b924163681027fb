//! A span: one E1 or T1 line, whatever drives it.
//!
//! A line is synchronous: for each octet that comes in, one goes out. So a span is neither read
//! nor written, it is *exchanged*, a [`Block`] of a few milliseconds at a time, and the line, not
//! the host, says when. A driver passes [`contract::check`].

pub mod contract;
pub mod sim;

use crate::line::{Abcd, Alarms, Law, Line, TIMESLOTS_MAX, Timeslot};
use crate::time::Instant;

/// One E1 or T1 line.
///
/// There is no error path: a card that breaks says [`SpanEvent::Failed`] and the other spans go on.
pub trait Span: Send {
    /// What kind of line it is.
    fn line(&self) -> Line;

    /// Frames of each block, both ways: constant, a multiple of 8, at most [`Block::FRAMES_MAX`].
    fn frames(&self) -> usize;

    /// Moves one block each way, if one is due at `now`; else touches neither and says `false`.
    ///
    /// At most one block a call: a caller that came late calls again while [`due_at`](Self::due_at)
    /// is past, so no block is ever left out. A driver may say `false` though `due_at` has passed
    /// (a card that is a little late); the caller then offers the same `tx` again.
    fn exchange(&mut self, now: Instant, tx: &Block, rx: &mut Block) -> bool;

    /// When the next block is due, for the worker to sleep until.
    fn due_at(&self) -> Instant;

    /// What the span has to say of itself, in order. Comes after the block it belongs to.
    fn poll_event(&mut self) -> Option<SpanEvent>;
}

/// What happens to a span.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SpanEvent {
    /// The set of standing alarms is now this.
    Alarms(Alarms),
    /// The two ends' clocks have drifted one frame apart, and the elastic store gave way
    /// (ITU-T G.822: a controlled slip).
    Slip(Slip),
    /// The driver cannot go on. No block is exchanged after this.
    Failed,
}

/// The direction of a controlled slip in what was received.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Slip {
    /// The far end is faster: a frame was dropped.
    Deleted,
    /// The far end is slower: a frame was repeated.
    Repeated,
}

/// A few milliseconds of one line: octets timeslot by timeslot, and each timeslot's ABCD bits.
///
/// Timeslot-major, because what is above wants one channel's octets in a row; a card that
/// interleaves frames transposes once, in its driver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Block {
    frames: usize,
    octets: Box<[u8]>,
    bits: [Abcd; TIMESLOTS_MAX],
}

impl Block {
    /// The longest block, in frames: 20 ms.
    pub const FRAMES_MAX: usize = 160;

    /// A block of `frames` frames (125 us each), all silence in `law`.
    ///
    /// # Panics
    /// If `frames` is 0, no multiple of 8, or more than [`Self::FRAMES_MAX`].
    pub fn new(frames: usize, law: Law) -> Self {
        assert!(
            frames > 0 && frames.is_multiple_of(8) && frames <= Self::FRAMES_MAX,
            "a block is 8 to {} frames in eights, not {frames}",
            Self::FRAMES_MAX
        );
        Self {
            frames,
            octets: vec![law.silence(); frames * TIMESLOTS_MAX].into(),
            bits: [Abcd::default(); TIMESLOTS_MAX],
        }
    }

    /// How many frames it holds: octets of each timeslot.
    pub const fn frames(&self) -> usize {
        self.frames
    }

    /// One timeslot's octets, oldest first.
    pub fn timeslot(&self, timeslot: Timeslot) -> &[u8] {
        &self.octets[timeslot.index() * self.frames..][..self.frames]
    }

    /// One timeslot's octets, to be filled in.
    pub fn timeslot_mut(&mut self, timeslot: Timeslot) -> &mut [u8] {
        &mut self.octets[timeslot.index() * self.frames..][..self.frames]
    }

    /// One timeslot's signalling bits, as at the end of the block.
    pub fn bits(&self, timeslot: Timeslot) -> Abcd {
        self.bits[timeslot.index()]
    }

    /// Sets one timeslot's signalling bits.
    pub fn set_bits(&mut self, timeslot: Timeslot, bits: Abcd) {
        self.bits[timeslot.index()] = bits;
    }
}

impl<S: Span + ?Sized> Span for Box<S> {
    fn line(&self) -> Line {
        (**self).line()
    }

    fn frames(&self) -> usize {
        (**self).frames()
    }

    fn exchange(&mut self, now: Instant, tx: &Block, rx: &mut Block) -> bool {
        (**self).exchange(now, tx, rx)
    }

    fn due_at(&self) -> Instant {
        (**self).due_at()
    }

    fn poll_event(&mut self) -> Option<SpanEvent> {
        (**self).poll_event()
    }
}
