//! Telephone-events (RFC 4733): digits that come as what they are, not as how they sound.
//!
//! A peer that says `telephone-event` takes its digits out of the audio and tells of each in packets
//! of their own, again and again while it lasts. They become a tone here, for whoever hears the
//! connection, and the same observation that the audio would have given.

use std::time::Duration;

use drivers::line::{FRAMES_PER_SECOND, Law};
use drivers::time::Instant;

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

/// The events of one connection: the digit that is there now, and those that the line has still to hear.
///
/// Digits are observed as they come. The line hears them one after the other, each with a pause behind it:
/// a network that holds packets up lets go of several digits at once, and a receiver behind the line takes
/// none that is shorter than 40 ms, nor two without 40 ms between them for two (ITU-T Q.24).
#[derive(Clone, Copy, Debug, Default)]
pub struct Events {
    now: Option<Told>,
    /// The timestamp of the event that came last, and when it was told of last: what has it, or an older
    /// one, tells nothing new.
    last: Option<(u32, Instant)>,
    /// Digits that came before the one that is there now, oldest first.
    earlier: [Option<Dialled>; EARLIER_MAX],
    /// The tone of the oldest digit, and how many octets of it were played.
    player: Option<Player>,
    played: u32,
    /// Octets until another may be heard.
    pause: u32,
}

/// A digit is not heard on the line, because too many wait for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unheard;

/// A digit that is being told of.
#[derive(Clone, Copy, Debug)]
struct Told {
    digit: Digit,
    /// The level of both tones together.
    dbm0: i8,
    is_over: bool,
    /// Octets that it has lasted by what was reported: in segments before, and in this one.
    before: u32,
    duration: u32,
    /// Octets since it was last reported.
    unreported: u32,
}

/// A digit of which all is known.
#[derive(Clone, Copy, Debug)]
struct Dialled {
    digit: Digit,
    dbm0: i8,
    octets: u32,
}

impl Events {
    /// Nothing has come.
    pub const fn new() -> Self {
        Self { now: None, last: None, earlier: [None; EARLIER_MAX], player: None, played: 0, pause: 0 }
    }

    /// Takes an event that came at `now` under `timestamp`. Only digits are understood (RFC 4733 §3.2).
    ///
    /// Says whether there was room for all that the line has still to hear.
    pub fn receive(
        &mut self,
        now: Instant,
        timestamp: u32,
        event: TelephoneEvent,
        mut observe: impl FnMut(Observation),
    ) -> Result<(), Unheard> {
        let Some(digit) = Digit::of_code(event.code) else { return Ok(()) };
        // Timestamps turn over in 149 hours, so older and newer mean nothing between digits that are hours
        // apart. No packet is under way for that long.
        let last = self.last.filter(|(_, at)| now.since(*at) < UNDER_WAY_MAX).map(|(last, _)| last);
        let ahead = last.map_or(1, |last| timestamp.wrapping_sub(last) as i32);
        let at = now;
        if let Some(now) = &mut self.now
            && now.digit == digit
            && !now.is_over
        {
            // RFC 4733 §2.5.2.3: an event too long for its field goes on in another segment, which
            // begins where the last one ended.
            if ahead == i32::from(u16::MAX) && now.duration >= u32::from(u16::MAX) {
                now.before = now.before.saturating_add(u16::MAX.into());
                now.duration = 0;
                self.last = Some((timestamp, at));
            }
            if self.last.is_some_and(|(last, _)| last == timestamp) {
                self.last = Some((timestamp, at));
                now.update(event);
                return Ok(());
            }
        }
        // RFC 4733 §2.5.2.2: what has been played out is not played again.
        if ahead <= 0 {
            return Ok(());
        }
        let left = self.leave_to_be_heard();
        self.end(&mut observe);
        self.last = Some((timestamp, at));
        let mut now = Told::new(digit, event.volume);
        now.update(event);
        self.now = Some(now);
        observe(Observation::Began(Sound::Digit(digit)));
        left
    }

    /// Plays the digits over `out`, which holds what the audio says.
    pub fn play(&mut self, law: Law, mut out: &mut [u8], mut observe: impl FnMut(Observation)) {
        while let Some(next) = self.next() {
            let (part, is_heard) = if self.pause > 0 { (self.pause, false) } else { (self.left(), true) };
            let (head, rest) = out.split_at_mut(out.len().min(part as usize));
            if is_heard {
                sound(self.player.get_or_insert_with(|| next.player(law)), law, head);
                self.played = self.played.saturating_add(head.len() as u32);
            } else {
                head.fill(law.silence());
                self.pause -= head.len() as u32;
            }
            if let Some(now) = &mut self.now {
                now.unreported = now.unreported.saturating_add(head.len() as u32);
            }
            if is_heard && self.left() == 0 {
                self.finish(&mut observe);
            }
            if rest.is_empty() {
                return;
            }
            out = rest;
        }
        // The audio may bring the beginning of a digit that its sender had not yet recognised: with it behind
        // a digit, the next of the same would not be told from this one.
        let len = out.len().min(self.pause as usize);
        out[..len].fill(law.silence());
        self.pause -= len as u32;
    }

    /// Whether the line hears a digit now, or may have to wait for the next.
    pub const fn are_sounding(&self) -> bool {
        self.now.is_some() || self.earlier[0].is_some() || self.pause > 0
    }

    /// Whether any has come: then digits in the audio are echoes of them.
    pub fn have_come(&self) -> bool {
        self.last.is_some()
    }

    /// Another source speaks from now on: its timestamps begin anew.
    pub fn restart(&mut self, mut observe: impl FnMut(Observation)) {
        self.end(&mut observe);
        *self = Self::new();
    }

    /// The digit that the line hears now or next.
    fn next(&self) -> Option<Dialled> {
        self.earlier[0].or_else(|| self.now.as_ref().map(Told::dialled))
    }

    /// How many octets that one goes on, for all that is known.
    fn left(&self) -> u32 {
        match (&self.earlier[0], &self.now) {
            (Some(earlier), _) => earlier.octets.saturating_sub(self.played),
            (None, Some(now)) => now.left(self.played),
            (None, None) => 0,
        }
    }

    /// The line has heard a digit.
    fn finish(&mut self, observe: &mut impl FnMut(Observation)) {
        (self.player, self.played, self.pause) = (None, 0, PAUSE_MIN);
        if self.earlier[0].is_some() {
            self.earlier[0] = None;
            self.earlier.rotate_left(1);
        } else {
            self.end(observe);
        }
    }

    /// Another digit has come: what the line has not heard of this one it hears before it.
    fn leave_to_be_heard(&mut self) -> Result<(), Unheard> {
        let Some(dialled) = self.now.as_ref().map(Told::dialled) else { return Ok(()) };
        if self.earlier[0].is_none() && self.played >= dialled.octets {
            (self.player, self.played, self.pause) = (None, 0, PAUSE_MIN);
            return Ok(());
        }
        let free = self.earlier.iter_mut().find(|place| place.is_none()).ok_or(Unheard)?;
        *free = Some(dialled);
        Ok(())
    }

    fn end(&mut self, observe: &mut impl FnMut(Observation)) {
        if let Some(now) = self.now.take() {
            let ms = u16::try_from(now.lasted() / OCTETS_PER_MS).unwrap_or(u16::MAX);
            observe(Observation::Ended { sound: Sound::Digit(now.digit), ms });
        }
    }
}

impl Told {
    fn new(digit: Digit, volume: u8) -> Self {
        // RFC 4733 §2.5.2.2: a volume of 0 may be one that was not told.
        let dbm0 = if (1..=VOLUME_MAX).contains(&volume) { -(volume as i8) } else { VOLUME_USUAL };
        Self { digit, dbm0, is_over: false, before: 0, duration: 0, unreported: 0 }
    }

    fn update(&mut self, event: TelephoneEvent) {
        self.duration = self.duration.max(event.duration.into());
        self.is_over |= event.is_over;
        self.unreported = 0;
    }

    /// As it is if nothing more is told of it.
    fn dialled(&self) -> Dialled {
        Dialled { digit: self.digit, dbm0: self.dbm0, octets: self.lasted().max(FOLLOWED_MIN) }
    }

    /// Octets that it has lasted, by what was reported: a peer may say what it likes.
    fn lasted(&self) -> u32 {
        self.before.saturating_add(self.duration)
    }

    // RFC 4733 §2.5.2.2: a tone whose end is not reported goes on for three reports' time at most.
    fn left(&self, played: u32) -> u32 {
        let least = PLAYED_MIN.saturating_sub(played);
        if self.is_over {
            self.lasted().saturating_sub(played).max(least)
        } else {
            UNREPORTED_MAX.saturating_sub(self.unreported).max(least)
        }
    }
}

impl Dialled {
    fn player(&self, law: Law) -> Player {
        let (low, high) = self.digit.hz();
        // The two tones share the power.
        let frequencies = [Frequency::hz(low, self.dbm0 - 4), Frequency::hz(high, self.dbm0 - 2)];
        Player::new(ToneSpec::steady(&frequencies, Blend::Alone), law)
    }
}

fn sound(player: &mut Player, law: Law, out: &mut [u8]) {
    let mut samples = [0; drivers::span::Block::FRAMES_MAX];
    let samples = &mut samples[..out.len()];
    player.add(samples);
    for (octet, sample) in out.iter_mut().zip(samples) {
        *octet = law.encode((*sample).clamp(i16::MIN.into(), i16::MAX.into()) as i16);
    }
}

const OCTETS_PER_MS: u32 = FRAMES_PER_SECOND / 1_000;
/// The shortest digit played: 50 ms, so that any receiver behind the line takes it (RFC 3660 §2.2).
const PLAYED_MIN: u32 = 50 * OCTETS_PER_MS;
/// The shortest that another follows, and the pause between them, by ITU-T Q.24: digits that come as fast as
/// that do not pile up.
const FOLLOWED_MIN: u32 = 40 * OCTETS_PER_MS;
const PAUSE_MIN: u32 = 40 * OCTETS_PER_MS;
/// Digits that can wait for the line: the bursts of a second. More of them are observed, counted, and not
/// played.
const EARLIER_MAX: usize = 12;
/// Longer than any packet of an event is under way, by far, and than any event lasts untold.
const UNDER_WAY_MAX: Duration = Duration::from_secs(3_600);
/// Three times the 50 ms that RFC 4733 §2.5.1.2 recommends between reports.
const UNREPORTED_MAX: u32 = 150 * OCTETS_PER_MS;
/// RFC 4733 §2.3.4: receivers take digits down to -36 dBm0.
const VOLUME_MAX: u8 = 36;
const VOLUME_USUAL: i8 = -8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digit_that_is_said_to_last_for_weeks_ends_all_the_same() {
        let (mut events, mut told) = (Events::new(), Vec::new());
        let mut tell = |code, segment: u32| {
            let event = TelephoneEvent { code, is_over: false, volume: 10, duration: u16::MAX };
            let timestamp = segment.wrapping_mul(u16::MAX.into());
            let _ = events.receive(Instant::ZERO, timestamp, event, |what| told.push(what));
            events.play(Law::A, &mut [0; 40], |_| {});
        };
        (0..70_000).for_each(|segment| tell(5, segment));
        tell(6, 70_000);
        let [five, six] = [5, 6].map(|code| Sound::Digit(Digit::of_code(code).expect("a digit")));
        let ended = Observation::Ended { sound: five, ms: u16::MAX };
        assert_eq!(told, [Observation::Began(five), ended, Observation::Began(six)]);
    }
}
