//! What a core can be asked to listen for, and what it says it has heard.
//!
//! Sounds as the line has them. What a protocol calls them, and who wants to know, is for control.

use std::fmt;

use crate::link::PlayId;
use crate::tone_plan::TonePlan;

/// A DTMF digit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Digit(u8);

/// Some of the digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct DigitSet(u16);

/// A sound that can be recognised.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Sound {
    /// A DTMF digit, in the audio or as a telephone-event (RFC 4733).
    Digit(Digit),
    /// A fax machine calls: CNG, 1,100 Hz (ITU-T T.30).
    FaxCalling,
    /// A fax machine speaks: the flags before its first message (ITU-T T.30, V.21).
    FaxPreamble,
    /// A modem or a fax machine answers: 2,100 Hz (ITU-T V.25, V.8).
    Answer,
    /// The same, and its phase has been seen to turn: echo cancellers are to stand aside.
    AnswerTurning,
    /// A continuity tone.
    Check(CheckTone),
    /// A milliwatt.
    Milliwatt(Milliwatt),
    /// Test progress tone of a 105 test line: 2,225 Hz.
    TestProgress,
    /// The call tone at this place of the plan that was given; its end is not told.
    CallTone(u8),
    /// The same octet in each frame.
    Octet(u8),
}

/// The milliwatts of test lines, which lie within tolerances of each other (RFC 3660 §2.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Milliwatt {
    /// 1,000 Hz: the old one.
    Hz1000,
    /// 1,004 Hz: the new one.
    Hz1004,
    /// 1,013.8 Hz: the newest.
    Hz1013,
}

/// The two tones of a continuity test (RFC 3660 §2.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CheckTone {
    /// 2,010 Hz.
    Co1,
    /// 1,780 Hz.
    Co2,
}

/// What is listened for, and what is done with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DetectorSet {
    bits: u32,
    /// The plan of the call tones, if some are listened for.
    plan: Option<&'static TonePlan>,
    withheld: DigitSet,
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Observation {
    /// A sound began.
    Began(Sound),
    /// It is over.
    Ended {
        /// The sound.
        sound: Sound,
        /// How long it lasted, at most [`u16::MAX`].
        ms: u16,
    },
    /// A tone that was played has come to its end by itself.
    PlayEnded(PlayId),
    /// Something that a connection's media are looked after for.
    Media(MediaEvent),
}

/// What has become of a connection's media.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MediaEvent {
    /// The first packet has come.
    Began,
    /// Neither RTP nor RTCP has come for so long.
    Missing {
        /// In seconds, as was asked.
        after_s: u16,
    },
    /// More packets are lost than was asked about.
    LossAbove {
        /// The threshold, in packets of 100,000.
        per_100k: u32,
    },
    /// It has become worse than it may be.
    Poor,
    /// The jitter buffer has been adjusted.
    PlayoutDelay {
        /// What packets wait now, in ms, at least 1.
        ms: u16,
    },
    /// The peer's packets have another length.
    PacketTime {
        /// In ms.
        ms: u16,
    },
    /// The peer sends another codec.
    Codec {
        /// Under this payload type.
        payload_type: u8,
    },
}

impl Digit {
    /// All of them, in the order of their event codes (RFC 4733 §3.2).
    pub const ALL: [Self; 16] = {
        let mut all = [Self(0); 16];
        let mut code = 0;
        while code < 16 {
            all[code] = Self(code as u8);
            code += 1;
        }
        all
    };

    /// The digit that is written so: `0` to `9`, `*`, `#`, `A` to `D`.
    pub fn new(written: char) -> Option<Self> {
        WRITTEN.chars().zip(Self::ALL).find(|(as_, _)| *as_ == written).map(|(_, digit)| digit)
    }

    /// The digit of an event code (RFC 4733 §3.2).
    pub const fn of_code(code: u8) -> Option<Self> {
        if code < 16 { Some(Self(code)) } else { None }
    }

    /// Its event code (RFC 4733 §3.2).
    pub const fn code(self) -> u8 {
        self.0
    }

    /// How it is written.
    pub const fn written(self) -> char {
        WRITTEN.as_bytes()[self.0 as usize] as char
    }

    /// Its two frequencies in Hz, the low one first (ITU-T Q.23).
    pub const fn hz(self) -> (u16, u16) {
        let at = KEYS[self.0 as usize] as usize;
        (Self::LOW_HZ[at / 4], Self::HIGH_HZ[at % 4])
    }

    /// The digit of a row, by low frequency, and a column, by high frequency, of the keypad; 0 to 3.
    pub const fn at(row: usize, column: usize) -> Self {
        let mut code = 0;
        while KEYS[code] as usize != row * 4 + column {
            code += 1;
        }
        Self(code as u8)
    }

    /// The low group.
    pub const LOW_HZ: [u16; 4] = [697, 770, 852, 941];
    /// The high group.
    pub const HIGH_HZ: [u16; 4] = [1_209, 1_336, 1_477, 1_633];
}

/// How digits are written, in the order of their codes.
const WRITTEN: &str = "0123456789*#ABCD";

/// Where each is on the keypad: four times the row, and the column.
const KEYS: [u8; 16] = [13, 0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 14, 3, 7, 11, 15];

impl fmt::Display for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(WRITTEN.get(usize::from(self.0)..=usize::from(self.0)).unwrap_or_default())
    }
}

impl DigitSet {
    /// None.
    pub const NONE: Self = Self(0);
    /// All of them.
    pub const ALL: Self = Self(u16::MAX);

    /// This set and `digit`.
    #[must_use]
    pub const fn with(self, digit: Digit) -> Self {
        Self(self.0 | 1 << digit.0)
    }

    /// Whether `digit` is in it.
    pub const fn has(self, digit: Digit) -> bool {
        self.0 & 1 << digit.0 != 0
    }
}

impl DetectorSet {
    /// Nothing.
    pub const NONE: Self = Self::of(0);
    /// [`Sound::Digit`].
    pub const DTMF: Self = Self::of(1);
    /// [`Sound::FaxCalling`] and [`Sound::FaxPreamble`].
    pub const FAX: Self = Self::of(2);
    /// [`Sound::Answer`] and [`Sound::AnswerTurning`].
    pub const ANSWER: Self = Self::of(4);
    /// [`Sound::Check`].
    pub const CHECK: Self = Self::of(8);
    /// [`Sound::Milliwatt`].
    pub const MILLIWATT: Self = Self::of(16);
    /// [`Sound::TestProgress`].
    pub const TEST_PROGRESS: Self = Self::of(32);
    /// [`Sound::Octet`].
    pub const OCTET: Self = Self::of(64);
    /// Any [`Sound::CallTone`].
    pub(crate) const CALL_TONES: Self = Self::of(0xFFFF_0000);

    const fn of(bits: u32) -> Self {
        Self { bits, plan: None, withheld: DigitSet::NONE }
    }

    /// [`Sound::CallTone`] of a place of `plan`.
    ///
    /// # Panics
    /// If there is no such place in it.
    pub const fn call_tone(plan: &'static TonePlan, place: usize) -> Self {
        assert!(place < plan.len(), "a tone of the plan");
        Self { plan: Some(plan), ..Self::of(1 << (16 + place)) }
    }

    /// [`Sound::Digit`]; and these digits of the line do not go out on connections, neither as they sound
    /// nor as events, but for their first 20 ms. Speech that sounds like one for that long is left out, too.
    pub const fn withholding(digits: DigitSet) -> Self {
        Self { withheld: digits, ..Self::DTMF }
    }

    /// This set and `other`, whose call tones must be of the same plan.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        let plan = if self.plan.is_some() { self.plan } else { other.plan };
        Self { bits: self.bits | other.bits, plan, withheld: DigitSet(self.withheld.0 | other.withheld.0) }
    }

    /// What of this set there is to listen for, but nothing of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self { bits: self.bits & !other.bits, ..self }
    }

    /// Whether something of `other` is listened for.
    pub const fn has(self, other: Self) -> bool {
        self.bits & other.bits != 0
    }

    /// Whether nothing is listened for.
    pub const fn is_empty(self) -> bool {
        self.bits == 0
    }

    /// The plan of the call tones and which of them there are, a bit for each place.
    pub(crate) const fn call_tones(self) -> (Option<&'static TonePlan>, u16) {
        (self.plan, (self.bits >> 16) as u16)
    }

    /// Whether this digit of the line is kept from the connections.
    pub(crate) const fn withholds(self, digit: Digit) -> bool {
        self.withheld.has(digit)
    }
}

const _: () = assert!(TonePlan::MAX == 16, "each place has its bit");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_written_coded_and_keyed_as_rfc_4733_and_q23_have_it() {
        for (code, written) in WRITTEN.chars().enumerate() {
            let digit = Digit::new(written).expect("a digit");
            assert_eq!(Digit::of_code(code as u8), Some(digit));
            assert_eq!(digit.to_string(), digit.written().to_string());
        }
        let hz = |written| Digit::new(written).expect("a digit").hz();
        assert_eq!((hz('1'), hz('5'), hz('0')), ((697, 1_209), (770, 1_336), (941, 1_336)));
        assert_eq!((hz('*'), hz('#'), hz('A')), ((941, 1_209), (941, 1_477), (697, 1_633)));
        assert_eq!((Digit::at(3, 1).written(), Digit::at(3, 3).written()), ('0', 'D'));
        assert_eq!((Digit::new('E'), Digit::of_code(16)), (None, None));
    }
}
