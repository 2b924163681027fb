//! What waits for the end of the tick to be sent.
//!
//! Orders and blocks are taken without sockets at hand; what they want sent is noted here, and
//! [`Engine::transmit`](crate::engine::Engine::transmit) works it off. Each list has its full room
//! from the start.

use std::collections::VecDeque;

use drivers::net::{Dscp, PortSlot, RtpSockets};

use crate::limits::ORDERS_PER_TICK;
use crate::reporting::Letter;
use crate::stats::{Counter, Stats};

/// What is to be sent.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// Pairs with a whole packet.
    ready: Vec<u32>,
    /// BYEs of legs that are gone.
    letters: VecDeque<Letter>,
    /// RTP slots that are to be marked anew.
    marks: Vec<(PortSlot, Dscp)>,
    /// How each pair is marked, if that has been said yet.
    marked: Box<[Option<Dscp>]>,
}

impl Outbox {
    /// Empty, with room for all pairs.
    pub(crate) fn new(pairs: usize) -> Self {
        Self {
            ready: Vec::with_capacity(pairs),
            letters: VecDeque::with_capacity(LETTERS_MAX),
            marks: Vec::with_capacity(ORDERS_PER_TICK),
            marked: vec![None; pairs].into(),
        }
    }

    /// Octets of memory that one takes.
    pub(crate) const fn memory(pairs: usize) -> usize {
        pairs * (size_of::<u32>() + size_of::<Option<Dscp>>())
            + LETTERS_MAX * size_of::<Letter>()
            + ORDERS_PER_TICK * size_of::<(PortSlot, Dscp)>()
    }

    /// Notes that a pair has a whole packet; once a tick for each pair.
    pub(crate) fn ready(&mut self, pair: u32) {
        debug_assert!(self.ready.len() < self.marked.len(), "each pair is ready once a tick at most");
        self.ready.push(pair);
    }

    /// The pairs that have a whole packet.
    pub(crate) fn ready_pairs(&self) -> &[u32] {
        &self.ready
    }

    /// Their packets have been taken.
    pub(crate) fn forget_ready(&mut self) {
        self.ready.clear();
    }

    /// Leaves a letter to be sent, if there is room.
    pub(crate) fn post(&mut self, letter: Letter) {
        if !self.is_full() {
            self.letters.push_back(letter);
        }
    }

    /// Whether there is no room for another letter.
    pub(crate) fn is_full(&self) -> bool {
        self.letters.len() == LETTERS_MAX
    }

    /// Whether no letter waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }

    /// Notes how a pair is to be marked.
    pub(crate) fn mark(&mut self, rtp: PortSlot, dscp: Dscp) {
        if self.marked[rtp.pair()].replace(dscp) != Some(dscp) {
            self.marks.push((rtp, dscp));
        }
    }

    /// Marks what is to be marked.
    pub(crate) fn apply_marks(&mut self, sockets: &mut impl RtpSockets) {
        for (rtp, dscp) in self.marks.drain(..) {
            sockets.mark(rtp, dscp);
            sockets.mark(rtp.rtcp(), dscp);
        }
    }

    /// Sends the letters that wait; those for which there is no room now wait on.
    pub(crate) fn send_letters(&mut self, sockets: &mut impl RtpSockets, stats: &Stats) {
        while let Some(letter) = self.letters.front() {
            if send(letter, sockets, stats).is_err() {
                return;
            }
            self.letters.pop_front();
        }
    }
}

/// Sends one letter.
pub(crate) fn send(
    letter: &Letter,
    sockets: &mut impl RtpSockets,
    stats: &Stats,
) -> Result<(), drivers::net::Full> {
    sockets.send(letter.from, letter.to, letter.len(), |out| letter.emit(out))?;
    stats.add(Counter::RtcpSent, 1);
    Ok(())
}

/// BYEs that can wait: all that the orders of two ticks can bring.
const LETTERS_MAX: usize = 2 * ORDERS_PER_TICK;
