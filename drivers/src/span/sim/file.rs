//! A far end that plays octets and records what it hears.
//!
//! Reading and writing files is for whoever builds the span: octets come in as they lie on the line,
//! and a recording is memory that another thread may read while it grows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

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

/// What a far end has heard, from its first block on.
///
/// One thread writes, any may read meanwhile. It is as long as it was made; what comes after that
/// is counted and left out.
#[derive(Debug)]
pub struct Recording {
    octets: Box<[AtomicU8]>,
    heard: AtomicUsize,
}

impl Recording {
    /// Room for this many octets: 8,000 for a second.
    pub fn new(octets_max: usize) -> Self {
        let octets = (0..octets_max).map(|_| AtomicU8::new(0)).collect();
        Self { octets, heard: AtomicUsize::new(0) }
    }

    /// Appends what was heard. Only the span that records calls it.
    pub(super) fn append(&self, tx: &[u8]) {
        let heard = self.heard.load(Ordering::Relaxed);
        let room = &self.octets[heard.min(self.octets.len())..];
        for (place, &octet) in room.iter().zip(tx) {
            place.store(octet, Ordering::Relaxed);
        }
        self.heard.store(heard + tx.len(), Ordering::Release);
    }

    /// How many octets can be read.
    pub fn len(&self) -> usize {
        self.heard.load(Ordering::Acquire).min(self.octets.len())
    }

    /// Whether nothing was recorded yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many octets came after there was no more room.
    pub fn left_out(&self) -> usize {
        self.heard.load(Ordering::Relaxed).saturating_sub(self.octets.len())
    }

    /// What was recorded so far, from octet `first` on.
    pub fn octets_from(&self, first: usize) -> Vec<u8> {
        let recorded = &self.octets[..self.len()];
        recorded.iter().skip(first).map(|octet| octet.load(Ordering::Relaxed)).collect()
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
    fn a_full_recording_keeps_its_beginning_and_counts_the_rest() {
        let recording = Recording::new(5);
        recording.append(&[1, 2, 3]);
        assert_eq!((recording.len(), recording.left_out()), (3, 0));
        recording.append(&[4, 5, 6]);
        recording.append(&[7, 8, 9]);
        assert_eq!(recording.octets_from(0), [1, 2, 3, 4, 5]);
        assert_eq!(recording.octets_from(3), [4, 5]);
        assert_eq!(recording.octets_from(9), []);
        assert_eq!(recording.left_out(), 4);
    }
}
