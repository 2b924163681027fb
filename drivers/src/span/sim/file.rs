//! A far end that plays octets and records what it hears.
//!
//! Reading and writing files is for whoever builds the span: octets come in as they lie on the line,
//! and a recording is memory that another thread may read while it grows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering, fence};

use crate::span::Block;

/// What a file's far end sends, in the law of the line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Play {
    /// Silence.
    Nothing,
    /// These octets from the first block on, and then silence.
    Once(Arc<[u8]>),
    /// These octets over and over.
    Forever(Arc<[u8]>),
}

#[derive(Debug)]
pub(super) struct Player {
    play: Play,
    at: usize,
    silence: u8,
}

impl Player {
    pub(super) fn new(play: Play, silence: u8) -> Self {
        let play = match play {
            Play::Forever(octets) if octets.is_empty() => Play::Nothing,
            play => play,
        };
        Self { play, at: 0, silence }
    }

    pub(super) fn fill(&mut self, rx: &mut [u8]) {
        match &self.play {
            Play::Nothing => rx.fill(self.silence),
            Play::Once(octets) => {
                let n = copy(&octets[self.at..], rx);
                self.at += n;
                rx[n..].fill(self.silence);
            }
            Play::Forever(octets) => {
                let mut filled = 0;
                while filled < rx.len() {
                    let n = copy(&octets[self.at..], &mut rx[filled..]);
                    filled += n;
                    self.at = (self.at + n) % octets.len();
                }
            }
        }
    }
}

/// Copies what fits, and says how much that was.
fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let n = from.len().min(to.len());
    to[..n].copy_from_slice(&from[..n]);
    n
}

/// What a far end has heard, from its first block on: the last of it, as much as there is room for.
///
/// One thread writes, any may read meanwhile.
#[derive(Debug)]
pub struct Recording {
    octets: Box<[AtomicU8]>,
    /// Octets that are heard or being written.
    begun: AtomicUsize,
    /// Octets that are heard.
    heard: AtomicUsize,
}

impl Recording {
    /// Room for the last so many octets: 8,000 for a second.
    ///
    /// # Panics
    /// If there is not room for a block.
    pub fn new(room: usize) -> Self {
        assert!(room >= Block::FRAMES_MAX, "a recording has room for a block at least");
        let octets = (0..room).map(|_| AtomicU8::new(0)).collect();
        Self { octets, begun: AtomicUsize::new(0), heard: AtomicUsize::new(0) }
    }

    /// Appends what was heard. Only the span that records calls it.
    // A reader that sees any of these octets also sees that they were begun, and so knows whether
    // they took the place of the ones it wanted: the fences here and in `octets_from` pair up.
    pub(super) fn append(&self, tx: &[u8]) {
        let heard = self.heard.load(Ordering::Relaxed);
        self.begun.store(heard + tx.len(), Ordering::Relaxed);
        fence(Ordering::Release);
        let (start, end) = self.octets.split_at(heard % self.octets.len());
        // At the end of the room it goes on at its start.
        let (before, after) = tx.split_at(tx.len().min(end.len()));
        store(end, before);
        store(start, after);
        self.heard.store(heard + tx.len(), Ordering::Release);
    }

    /// How many octets were heard so far, those that are no longer kept included.
    pub fn len(&self) -> usize {
        self.heard.load(Ordering::Acquire)
    }

    /// Whether nothing was heard yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was heard so far, from octet `first` on; `None` if some of it is no longer kept.
    pub fn octets_from(&self, first: usize) -> Option<Vec<u8>> {
        let kept = self.octets.len();
        let octet = |index: usize| self.octets[index % kept].load(Ordering::Relaxed);
        let octets = (first..self.len()).map(octet).collect();
        fence(Ordering::Acquire);
        (self.begun.load(Ordering::Relaxed).saturating_sub(first) <= kept).then_some(octets)
    }
}

fn store(places: &[AtomicU8], octets: &[u8]) {
    for (place, &octet) in places.iter().zip(octets) {
        place.store(octet, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_played_over_and_over_across_blocks() {
        let mut player = Player::new(Play::Forever([1, 2, 3].into()), 0xD5);
        let mut rx = [0; 8];
        player.fill(&mut rx);
        assert_eq!(rx, [1, 2, 3, 1, 2, 3, 1, 2]);
        player.fill(&mut rx);
        assert_eq!(rx, [3, 1, 2, 3, 1, 2, 3, 1]);
    }

    #[test]
    fn after_octets_played_once_there_is_silence() {
        let mut player = Player::new(Play::Once((1..=12).collect()), 0xD5);
        let mut rx = [0; 8];
        player.fill(&mut rx);
        player.fill(&mut rx);
        assert_eq!(rx, [9, 10, 11, 12, 0xD5, 0xD5, 0xD5, 0xD5]);
        player.fill(&mut rx);
        assert_eq!(rx, [0xD5; 8]);
    }

    #[test]
    fn nothing_to_play_over_and_over_is_silence() {
        let mut rx = [0; 8];
        Player::new(Play::Forever([].into()), 0xFF).fill(&mut rx);
        assert_eq!(rx, [0xFF; 8]);
    }

    #[test]
    fn a_recording_keeps_the_last_octets_and_says_when_the_wanted_ones_are_gone() {
        let recording = Recording::new(160);
        assert!(recording.is_empty());
        let heard: Vec<u8> = (0..200).collect();
        for block in heard[..160].chunks(8) {
            recording.append(block);
        }
        assert_eq!(recording.octets_from(0).as_deref(), Some(&heard[..160]));
        for block in heard[160..].chunks(8) {
            recording.append(block);
        }
        assert_eq!(recording.len(), 200);
        assert_eq!(recording.octets_from(39), None);
        assert_eq!(recording.octets_from(40).as_deref(), Some(&heard[40..]));
        assert_eq!(recording.octets_from(200).as_deref(), Some(&[][..]));
    }
}
