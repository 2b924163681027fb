//! Telephone-events (RFC 4733): digits that come as what they are, not as how they sound.
//!
//! A peer that says `telephone-event` takes its digits out of the audio and tells of each in packets
//! of their own, again and again while it lasts. They become a tone here, for whoever hears the
//! connection, and the same observation that the audio would have given.

use drivers::line::{FRAMES_PER_SECOND, Law};

use super::Malformed;
use crate::dsp::player::Player;
use crate::observation::{Digit, Observation, Sound};
use crate::tone_spec::{Blend, Frequency, ToneSpec};

/// The payload of a packet that reports one event (RFC 4733 §2.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TelephoneEvent {
    /// The event code.
    pub code: u8,
    /// E: it is over.
    pub is_over: bool,
    /// Its level, in dBm0 with the sign dropped: 0 to 63.
    pub volume: u8,
    /// How long it has lasted, in timestamp units.
    pub duration: u16,
}

impl TelephoneEvent {
    /// Octets of a payload.
    pub const LEN: usize = 4;

    /// Reads the first event of a payload. Events that are packed behind it (RFC 4733 §2.5.1.5) are left
    /// out: no digits follow each other without a pause.
    ///
    /// # Errors
    /// If it is too short.
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let &[code, flags, high, low, ..] = payload else { return Err(Malformed) };
        Ok(Self {
            code,
            is_over: flags & 0x80 != 0,
            volume: flags & 0x3F,
            duration: u16::from_be_bytes([high, low]),
        })
    }

    /// The payload.
    pub const fn emit(self) -> [u8; Self::LEN] {
        let [high, low] = self.duration.to_be_bytes();
        // RFC 4733 §2.3.3: between the end and the volume is a bit that is zero.
        [self.code, (self.is_over as u8) << 7 | (self.volume & 0x3F), high, low]
    }
}

/// The events of one connection: the digit that is there now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Events {
    now: Option<Sounding>,
    /// The timestamp of the event that came last: what has it, or an older one, tells nothing new.
    last: Option<u32>,
}

/// A digit that is being played.
#[derive(Clone, Copy, Debug)]
struct Sounding {
    digit: Digit,
    player: Player,
    is_over: bool,
    /// Octets that it has lasted by what was reported: in segments before, and in this one.
    before: u32,
    duration: u32,
    /// Octets of it that were played, and those since it was last reported.
    played: u32,
    unreported: u32,
}

impl Events {
    /// Nothing has come.
    pub const fn new() -> Self {
        Self { now: None, last: None }
    }

    /// Takes an event that came under `timestamp`. Only digits are understood (RFC 4733 §3.2).
    pub fn receive(
        &mut self,
        timestamp: u32,
        event: TelephoneEvent,
        law: Law,
        mut observe: impl FnMut(Observation),
    ) {
        let Some(digit) = Digit::of_code(event.code) else { return };
        let ahead = self.last.map_or(1, |last| timestamp.wrapping_sub(last) as i32);
        if let Some(now) = &mut self.now
            && now.digit == digit
            && !now.is_over
        {
            // RFC 4733 §2.5.2.3: an event too long for its field goes on in another segment, which
            // begins where the last one ended.
            if ahead == i32::from(u16::MAX) && now.duration >= u32::from(u16::MAX) {
                now.before += u32::from(u16::MAX);
                now.duration = 0;
                self.last = Some(timestamp);
            }
            if self.last == Some(timestamp) {
                now.update(event);
                return;
            }
        }
        // RFC 4733 §2.5.2.2: what has been played out is not played again.
        if ahead <= 0 {
            return;
        }
        self.end(&mut observe);
        self.last = Some(timestamp);
        let mut now = Sounding::new(digit, event.volume, law);
        now.update(event);
        self.now = Some(now);
        observe(Observation::Began(Sound::Digit(digit)));
    }

    /// Plays the digit that is there now over `out`, which holds what the audio says.
    pub fn play(&mut self, law: Law, out: &mut [u8], mut observe: impl FnMut(Observation)) {
        let Some(now) = &mut self.now else { return };
        let n = out.len().min(now.left() as usize);
        now.sound(law, &mut out[..n]);
        if now.left() == 0 {
            self.end(&mut observe);
        }
    }

    /// Whether a digit is there now.
    pub const fn are_sounding(&self) -> bool {
        self.now.is_some()
    }

    /// Whether any has come: then digits in the audio are echoes of them.
    pub fn have_come(&self) -> bool {
        self.last.is_some()
    }

    /// Another source speaks from now on: its timestamps begin anew.
    pub fn restart(&mut self, mut observe: impl FnMut(Observation)) {
        self.end(&mut observe);
        self.last = None;
    }

    fn end(&mut self, observe: &mut impl FnMut(Observation)) {
        if let Some(now) = self.now.take() {
            let ms = (now.before + now.duration) / OCTETS_PER_MS;
            let ms = u16::try_from(ms).unwrap_or(u16::MAX);
            observe(Observation::Ended { sound: Sound::Digit(now.digit), ms });
        }
    }
}

impl Sounding {
    fn new(digit: Digit, volume: u8, law: Law) -> Self {
        let (low, high) = digit.hz();
        // RFC 4733 §2.5.2.2: a volume of 0 may be one that was not told. The two tones share the power.
        let total = if (1..=VOLUME_MAX).contains(&volume) { -(volume as i8) } else { VOLUME_USUAL };
        let frequencies = [Frequency::hz(low, total - 4), Frequency::hz(high, total - 2)];
        let player = Player::new(ToneSpec::steady(&frequencies, Blend::Alone), law);
        Self { digit, player, is_over: false, before: 0, duration: 0, played: 0, unreported: 0 }
    }

    fn update(&mut self, event: TelephoneEvent) {
        self.duration = self.duration.max(event.duration.into());
        self.is_over |= event.is_over;
        self.unreported = 0;
    }

    /// How many octets it goes on, for all that is known.
    // RFC 4733 §2.5.2.2: a tone whose end is not reported goes on for three reports' time at most.
    fn left(&self) -> u32 {
        if self.is_over {
            (self.before + self.duration).max(PLAYED_MIN).saturating_sub(self.played)
        } else {
            UNREPORTED_MAX.saturating_sub(self.unreported)
        }
    }

    fn sound(&mut self, law: Law, out: &mut [u8]) {
        let mut samples = [0; drivers::span::Block::FRAMES_MAX];
        let samples = &mut samples[..out.len()];
        self.player.add(samples);
        for (octet, sample) in out.iter_mut().zip(samples) {
            *octet = law.encode((*sample).clamp(i16::MIN.into(), i16::MAX.into()) as i16);
        }
        self.played += out.len() as u32;
        self.unreported += out.len() as u32;
    }
}

const OCTETS_PER_MS: u32 = FRAMES_PER_SECOND / 1_000;
/// The shortest digit played: 50 ms, so that any receiver behind the line takes it (RFC 3660 §2.2).
const PLAYED_MIN: u32 = 50 * OCTETS_PER_MS;
/// Three times the 50 ms that RFC 4733 §2.5.1.2 recommends between reports.
const UNREPORTED_MAX: u32 = 150 * OCTETS_PER_MS;
/// RFC 4733 §2.3.4: receivers take digits down to -36 dBm0.
const VOLUME_MAX: u8 = 36;
const VOLUME_USUAL: i8 = -8;
