//! Listens at one far end and compares what it hears, octet by octet, with what it should hear.
//!
//! What is said repeats after some 20 seconds and is known in advance, and any 50 ms of it occur
//! once. So the ear finds the place in what is said by itself, and from then on every octet has one
//! right value.

use std::sync::Arc;
use std::time::Duration;

use drivers::line::{FRAME, Law};
use drivers::span::sim::Recording;

/// Octets that must match for a place to be found: 50 ms.
const WINDOW: usize = 400;

/// How long ago something heard was said at most, in octets, unless something is quite wrong: 500 ms.
const NEAR: usize = 4_000;

/// Octets kept while no place is found: 1 s.
const KEPT: usize = 8_000;

/// An ear at one far end.
pub(super) struct Ear {
    /// What should be heard, with its beginning once more behind its end.
    expected: Box<[u8]>,
    law: Law,
    recording: Arc<Recording>,
    /// Octets of the recording that were listened to.
    listened: usize,
    /// The last of them.
    tail: Vec<u8>,
    /// Where in `expected` the next octet is.
    place: Option<usize>,
    heard: Heard,
    /// The power of what was heard since the level was asked for last, and of how many octets.
    power: (f64, usize),
}

/// What an ear has heard so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Heard {
    /// Octets that were right.
    pub(super) right: u64,
    /// Octets, from the first that was not silence on, that were not: missing ones, for which
    /// something was put in, wrong ones, or ones out of place.
    pub(super) wrong: u64,
    /// How often what is heard jumped to another place, so that octets were left out or repeated.
    pub(super) jumps: u64,
}

impl Ear {
    /// An ear that should hear `voice` over and over, through `conversion` if octets are converted on
    /// their way, on a line of this law.
    pub(super) fn new(
        voice: &[u8],
        conversion: impl Fn(u8) -> u8,
        law: Law,
        recording: Arc<Recording>,
    ) -> Self {
        let octets = voice.iter().chain(&voice[..WINDOW]);
        Self {
            expected: octets.map(|&octet| conversion(octet)).collect(),
            law,
            recording,
            listened: 0,
            tail: Vec::new(),
            place: None,
            heard: Heard::default(),
            power: (0.0, 0),
        }
    }

    /// Listens to what was recorded since the last time. Says what it heard, for a file.
    ///
    /// # Errors
    /// [`TooLate`] when some of it is no longer kept; it goes on from there.
    pub(super) fn listen(&mut self) -> Result<Vec<u8>, TooLate> {
        let Some(octets) = self.recording.octets_from(self.listened) else {
            self.listened = self.recording.len();
            self.place = None;
            self.tail.clear();
            return Err(TooLate);
        };
        self.listened += octets.len();
        for octet in &octets {
            let sample = f64::from(self.law.decode(*octet));
            self.power.0 += sample * sample;
        }
        self.power.1 += octets.len();
        self.hear(&octets);
        Ok(octets)
    }

    fn hear(&mut self, octets: &[u8]) {
        self.tail.extend(octets);
        match self.place {
            None => self.find(),
            Some(place) => self.follow(place, octets),
        }
        let keep = if self.place.is_some() { WINDOW } else { KEPT };
        let spare = self.tail.len().saturating_sub(keep);
        if self.place.is_none() {
            self.heard.wrong += self.sounds(&self.tail[..spare]) as u64;
        }
        self.tail.drain(..spare);
    }

    /// Looks for the place where what was said matches what was heard last, and compares all that was
    /// kept with what comes before that place.
    fn find(&mut self) {
        let Some(found) = self.search() else { return };
        let silence = self.tail.iter().take_while(|&&octet| octet == self.law.silence()).count();
        let sound = self.tail.split_off(silence);
        let period = self.period();
        self.compare((found + period - sound.len() % period) % period, &sound);
        self.tail = sound;
        self.place = Some(found);
    }

    /// Counts what is right and what is not if `octets` should come at `place`. Says how many are not.
    fn compare(&mut self, place: usize, octets: &[u8]) -> usize {
        let expected = self.expected[..self.period()].iter().cycle().skip(place);
        let wrong = octets.iter().zip(expected).filter(|(heard, expected)| heard != expected).count();
        self.heard.wrong += wrong as u64;
        self.heard.right += (octets.len() - wrong) as u64;
        wrong
    }

    /// Compares with what should come at `place`, and looks elsewhere if most of it does not.
    fn follow(&mut self, place: usize, octets: &[u8]) {
        let wrong = self.compare(place, octets);
        let next = (place + octets.len()) % self.period();
        let found = if wrong * 4 > octets.len() * 3 { self.search() } else { None };
        self.heard.jumps += u64::from(found.is_some_and(|found| found != next));
        self.place = Some(found.unwrap_or(next));
    }

    /// Where in what should be heard the next octet is, going by the last ones heard.
    fn search(&self) -> Option<usize> {
        let window = &self.tail[self.tail.len().checked_sub(WINDOW)?..];
        if self.sounds(window) == 0 {
            return None;
        }
        // What is heard was said not long ago; only what is quite wrong must be looked for everywhere.
        let period = self.period();
        let said_now = self.listened + period - WINDOW;
        let mut near = (0..NEAR.min(said_now)).map(|delay| (said_now - delay) % period);
        let place = near.find(|&place| self.expected[place..][..WINDOW] == *window);
        let place = place.or_else(|| position(&self.expected, window))?;
        Some((place + WINDOW) % period)
    }

    /// How many octets are not silence.
    fn sounds(&self, octets: &[u8]) -> usize {
        octets.iter().filter(|&&octet| octet != self.law.silence()).count()
    }

    fn period(&self) -> usize {
        self.expected.len() - WINDOW
    }

    /// The level of what was heard since this was asked last, in dBm0; `None` for silence.
    pub(super) fn level_dbm0(&mut self) -> Option<f64> {
        let (power, octets) = std::mem::take(&mut self.power);
        // A sine of 0 dBm0 has half the square of its amplitude as its power.
        let reference = self.law.amplitude(0.0).powi(2) / 2.0;
        let level = 10.0 * (power / octets.max(1) as f64 / reference).log10();
        (level > -66.0).then_some(level)
    }

    /// How long after it was said an octet is heard, if what is heard is known. `apart` is how much
    /// later than the speaker's line this one began.
    pub(super) fn delay(&self, apart: FramesApart) -> Option<Duration> {
        let period = self.period() as i64;
        let octets = (self.listened as i64 - self.place? as i64 + apart.0).rem_euclid(period);
        Some(FRAME * octets as u32)
    }

    /// What was heard so far.
    pub(super) fn heard(&self) -> Heard {
        self.heard
    }

    /// Whether what was heard last is known.
    pub(super) fn is_following(&self) -> bool {
        self.place.is_some()
    }

    /// Whether what was heard last is of this voice, on its way through the same conversion.
    pub(super) fn hears(&self, other: &Self) -> bool {
        let window = &self.tail[self.tail.len().saturating_sub(WINDOW)..];
        window.len() == WINDOW && self.sounds(window) > 0 && position(&other.expected, window).is_some()
    }
}

/// How many frames later one line began than another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct FramesApart(pub(super) i64);

/// Some of what was recorded was gone before it was listened to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TooLate;

fn position(expected: &[u8], window: &[u8]) -> Option<usize> {
    expected.windows(window.len()).position(|octets| octets == window)
}

#[cfg(test)]
mod tests {
    use super::super::speech::voices;
    use super::*;

    const SILENCE: u8 = Law::A.silence();

    /// An ear for the first of two voices, and both voices three times over.
    fn ear() -> (Ear, Vec<u8>, Vec<u8>) {
        let voices = voices(Law::A, 2, 1);
        let recording = Arc::new(Recording::new(160));
        (Ear::new(&voices[0], |octet| octet, Law::A, recording), voices[0].repeat(3), voices[1].repeat(3))
    }

    fn hear(ear: &mut Ear, octets: &[u8]) {
        for chunk in octets.chunks(800) {
            ear.listened += chunk.len();
            ear.hear(chunk);
        }
    }

    #[test]
    fn every_octet_counts_from_the_first_one_on() {
        let (mut ear, voice, _) = ear();
        hear(&mut ear, &[SILENCE; 1_234]);
        hear(&mut ear, &voice[5_000..][..400_000]);
        assert_eq!(ear.heard(), Heard { right: 400_000, wrong: 0, jumps: 0 });
    }

    #[test]
    fn the_delay_is_from_octet_in_to_octet_out() {
        let (mut ear, voice, _) = ear();
        assert_eq!(ear.delay(FramesApart(0)), None);
        // Octet 5,000 was said 360 frames before it is heard as the 5,361st.
        hear(&mut ear, &[SILENCE; 5_360]);
        hear(&mut ear, &voice[5_000..][..8_000]);
        assert_eq!(ear.delay(FramesApart(0)), Some(Duration::from_millis(45)));
        assert_eq!(ear.delay(FramesApart(8)), Some(Duration::from_millis(46)));
    }

    #[test]
    fn a_packet_that_is_missing_is_so_many_wrong_octets() {
        let (mut ear, mut voice, _) = ear();
        voice[20_000..20_160].iter_mut().for_each(|octet| *octet ^= 0x80);
        hear(&mut ear, &voice[..100_000]);
        assert_eq!(ear.heard(), Heard { right: 99_840, wrong: 160, jumps: 0 });
    }

    #[test]
    fn a_repeated_octet_puts_the_rest_out_of_place() {
        let (mut ear, mut voice, _) = ear();
        voice.insert(20_000, voice[20_000]);
        hear(&mut ear, &voice[..100_000]);
        assert_eq!(ear.heard().jumps, 1);
        assert!(ear.heard().wrong > 100, "{:?}", ear.heard());
    }

    #[test]
    fn noise_before_the_first_right_octet_is_wrong() {
        let (mut ear, voice, _) = ear();
        hear(&mut ear, &[SILENCE; 800]);
        hear(&mut ear, &[0x11; 100]);
        hear(&mut ear, &voice[..20_000]);
        assert_eq!(ear.heard(), Heard { right: 20_000, wrong: 100, jumps: 0 });
    }

    #[test]
    fn another_voice_is_known_for_what_it_is() {
        let (mut ear, _, other_voice) = ear();
        let (other, ..) = {
            let voices = voices(Law::A, 2, 1);
            (Ear::new(&voices[1], |octet| octet, Law::A, Arc::new(Recording::new(160))), ())
        };
        hear(&mut ear, &other_voice[..100_000]);
        assert!(!ear.is_following());
        assert_eq!(ear.heard().right, 0);
        assert!(ear.hears(&other));
    }

    #[test]
    fn silence_has_no_level_and_a_full_scale_square_wave_is_6_dbm0() {
        let (mut ear, ..) = ear();
        let mut level = |octet: u8| {
            ear.recording = Arc::new(Recording::new(160));
            ear.power = (f64::from(Law::A.decode(octet)).powi(2) * 8_000.0, 8_000);
            ear.level_dbm0()
        };
        assert_eq!(level(SILENCE), None);
        let full = level(0xAA).unwrap();
        assert!((6.0..6.3).contains(&full), "{full}");
    }
}
