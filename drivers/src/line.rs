//! The vocabulary of an E1 or T1 line (ITU-T G.704, G.711).
//!
//! It lives in the lowest crate because both planes speak it.

mod law;

use std::fmt;
use std::time::Duration;

pub use law::Law;

/// Frames a second of any E1 or T1 line: each timeslot carries one octet a frame.
pub const FRAMES_PER_SECOND: u32 = 8_000;

/// The duration of one frame: 125 us.
pub const FRAME: Duration = Duration::from_micros(125);

/// Timeslots that a [`Block`](crate::span::Block) has room for, timeslot 0 (framing) included.
pub const TIMESLOTS_MAX: usize = 32;

/// One span of this gateway, by its place in the configuration, from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SpanId(pub u16);

/// A timeslot of a line: 1 to 31 on an E1, 1 to 24 on a T1.
///
/// On an E1, timeslot 0 carries framing and is never a DS0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Timeslot(u8);

impl Timeslot {
    /// The timeslot of this number, if a line of either kind can have it (1 to 31).
    pub const fn new(number: u8) -> Option<Self> {
        if number >= 1 && (number as usize) < TIMESLOTS_MAX { Some(Self(number)) } else { None }
    }

    /// Its number, 1 to 31.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Its place in a block's rows.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for Timeslot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A 64 kbit/s channel: one timeslot of one span.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ds0 {
    /// The span it is on.
    pub span: SpanId,
    /// Its timeslot there.
    pub timeslot: Timeslot,
}

/// The two kinds of primary-rate line.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Carrier {
    /// 2,048 kbit/s, 32 timeslots, of which 31 carry channels (G.704 §2.3).
    E1,
    /// 1,544 kbit/s, 24 timeslots (G.704 §2.1).
    T1,
}

impl Carrier {
    /// The highest timeslot that carries a channel; the lowest is 1.
    pub const fn timeslot_max(self) -> u8 {
        match self {
            Self::E1 => 31,
            Self::T1 => 24,
        }
    }

    /// The timeslots that can carry a channel, in order.
    pub fn timeslots(self) -> impl DoubleEndedIterator<Item = Timeslot> + Clone {
        (1..=self.timeslot_max()).map(Timeslot)
    }

    /// Whether a line of this kind has such a timeslot.
    pub const fn has(self, timeslot: Timeslot) -> bool {
        timeslot.0 <= self.timeslot_max()
    }

    /// The law used on such lines unless configured otherwise: A on E1, mu on T1.
    pub const fn usual_law(self) -> Law {
        match self {
            Self::E1 => Law::A,
            Self::T1 => Law::Mu,
        }
    }
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::E1 => "E1",
            Self::T1 => "T1",
        })
    }
}

/// The four signalling bits of a channel (CAS), A in bit 3 to D in bit 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Abcd(u8);

impl Abcd {
    /// The bits in the low half of `bits`; the rest is dropped.
    pub const fn new(bits: u8) -> Self {
        Self(bits & 0x0F)
    }

    /// The bits, 0 to 15.
    pub const fn bits(self) -> u8 {
        self.0
    }
}

/// A line's failure conditions as one end sees them (ITU-T G.775, I.431).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Alarm {
    /// Loss of signal: nothing comes in.
    Los,
    /// Loss of frame alignment: something comes in, but not frames.
    Lfa,
    /// Alarm indication signal: the far side sends all ones because it has lost its own source.
    Ais,
    /// Remote alarm indication: the far end says that it does not hear us.
    Rai,
}

impl Alarm {
    /// All alarms, gravest first.
    pub const ALL: [Self; 4] = [Self::Los, Self::Lfa, Self::Ais, Self::Rai];

    /// Its letters, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Los => "los",
            Self::Lfa => "lfa",
            Self::Ais => "ais",
            Self::Rai => "rai",
        }
    }
}

/// A set of alarms.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Alarms(u8);

impl Alarms {
    /// No alarm.
    pub const NONE: Self = Self(0);

    /// This set and `alarm`.
    #[must_use]
    pub const fn with(self, alarm: Alarm) -> Self {
        Self(self.0 | 1 << alarm as u8)
    }

    /// The alarms that are in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The set as a number: bit `n` is the alarm with the discriminant `n`.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set of this number; bits of no alarm are dropped.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 0x0F)
    }

    /// Whether `alarm` is in the set.
    pub const fn has(self, alarm: Alarm) -> bool {
        self.0 & 1 << alarm as u8 != 0
    }

    /// Whether the line carries no usable octets: LOS, LFA or AIS.
    pub const fn is_down(self) -> bool {
        self.has(Alarm::Los) || self.has(Alarm::Lfa) || self.has(Alarm::Ais)
    }
}

/// `los+rai`, or `none`.
impl fmt::Display for Alarms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = Alarm::ALL.into_iter().filter(|alarm| self.has(*alarm)).map(Alarm::name);
        f.write_str(names.next().unwrap_or("none"))?;
        names.try_for_each(|name| write!(f, "+{name}"))
    }
}

/// What a line is: its kind and the law of its channels.
///
/// Framing and signalling formats are the card's business and come with its driver.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Line {
    /// E1 or T1.
    pub carrier: Carrier,
    /// The law of its channels, unless an endpoint is configured otherwise (RFC 3435 §2.3.2, `B: e:`).
    pub law: Law,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_are_written_gravest_first() {
        assert_eq!(Alarms::NONE.to_string(), "none");
        assert_eq!(Alarms::NONE.with(Alarm::Rai).with(Alarm::Los).to_string(), "los+rai");
    }

    #[test]
    fn an_e1_has_31_channels_and_a_t1_24() {
        assert_eq!(Carrier::E1.timeslots().count(), 31);
        assert_eq!(Carrier::T1.timeslots().count(), 24);
        assert_eq!(Timeslot::new(0), None);
        assert_eq!(Timeslot::new(32), None);
        assert!(!Carrier::T1.has(Timeslot::new(25).expect("25 is a timeslot of an E1")));
    }

    #[test]
    fn remote_alarm_alone_leaves_the_line_usable() {
        assert!(!Alarms::NONE.with(Alarm::Rai).is_down());
        assert!(Alarms::NONE.with(Alarm::Rai).with(Alarm::Los).is_down());
    }
}
