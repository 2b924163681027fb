//! What the demo's timeslots say: the same recorded speech, but each in its own way.

use std::sync::Arc;

use drivers::line::Law;
use drivers::wav::Wav;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::spans;

/// Where it comes from is told in deploy/assets/README.md.
const SPEECH: &[u8] = include_bytes!("../../../../../deploy/assets/speech.wav");

/// One octet in so many is marked: 1,000 a second, which leaves the noise 3 dB above what G.711 has.
const MARK_EVERY: usize = 8;

/// What so many timeslots say, over and over, in the law of their lines.
///
/// Each begins at another place of the recording, and the lowest bit of every eighth octet is drawn
/// at random. So any 50 ms are found nowhere else, pauses included: who is heard, and how long ago
/// they said it, is beyond doubt, and so are octets that are lost, repeated or from another call.
pub(super) fn voices(law: Law, count: usize, seed: u64) -> Vec<Arc<[u8]>> {
    let wav = Wav::parse(SPEECH).expect("the speech that is shipped is a WAV file");
    let speech = spans::in_law(wav, law);
    let mut chance = StdRng::seed_from_u64(seed);
    (0..count)
        .map(|voice| {
            let mut octets = speech.clone();
            octets.rotate_left(speech.len() * voice / count);
            for octet in octets.iter_mut().step_by(MARK_EVERY) {
                *octet ^= u8::from(chance.random::<bool>());
            }
            octets.into()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn voices_say_the_same_each_in_its_own_way() {
        let voices = voices(Law::A, 3, 1);
        let changed = |one: &[u8], other: &[u8]| one.iter().zip(other).filter(|(a, b)| a != b).count();
        assert!(voices[0].len() > 15 * 8_000, "the speech lasts longer than a few words");
        assert!(changed(&voices[0], &voices[1]) > voices[0].len() / 2);
        let mut turned_back = voices[1].to_vec();
        turned_back.rotate_right(voices[1].len() / 3);
        assert!(changed(&voices[0], &turned_back) < voices[0].len() / 7, "only marks differ");
    }
}
