//! Digit maps: RFC 3435 §2.1.5, and the letter P of RFC 3660 §2.7.
//!
//! A [`DigitMap`] is its text, understood: entries, each a row of steps, each step a set of letters. A
//! [`Matcher`] holds where in each entry the current dial string has come to, and says after each
//! letter what that means. When digits are to be matched, and what follows from a match, is the
//! endpoint's business.
//!
//! ```text
//!  (0T|1[2-3].T)        entry 0: {0} {T} end
//!                       entry 1: {1} {2,3}. {T} end
//!  dial string "1":     at {2,3}. and, as a step with a dot may be left out, at {T} of entry 1
//! ```
//!
//! All places are kept at once, as one bit each. So a letter costs no more than the map is long,
//! whatever the map, and nothing a call agent sends can make it cost more.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use dataplane::link::Digit;

use super::code::ReturnCode;
use super::event_error::EventError;

/// Octets of the longest digit map that is taken.
// RFC 3435 §2.1.5: at least 2,048 an endpoint. This is as many as a parameter line has.
const MAP_OCTETS_MAX: usize = 4_096;

/// A letter that can be dialled: `0` to `9`, `#`, `*`, `A` to `D`, the timer `T`, and letters that
/// packages define.
///
/// `X` is none: it stands for any digit (RFC 3435 §2.1.5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Letter(u8);

impl Letter {
    /// The interdigit timer.
    pub const TIMER: Self = Self(b'T');

    /// The letter of an ASCII octet, whatever its case.
    pub const fn new(octet: u8) -> Option<Self> {
        match octet.to_ascii_uppercase() {
            b'X' => None,
            letter @ (b'0'..=b'9' | b'#' | b'*' | b'A'..=b'Z') => Some(Self(letter)),
            _ => None,
        }
    }

    /// The letter that an event code is, if it is one.
    pub fn of_code(code: &str) -> Option<Self> {
        match code.as_bytes() {
            [octet] => Self::new(*octet),
            _ => None,
        }
    }

    /// In ASCII, in upper case.
    pub const fn octet(self) -> u8 {
        self.0
    }

    /// Whether every gateway has to know it in a digit map (RFC 3435 §2.1.5).
    const fn is_basic(self) -> bool {
        matches!(self.0, b'0'..=b'9' | b'#' | b'*' | b'A'..=b'D' | b'T')
    }

    const fn bit(self) -> u64 {
        let index = match self.0 {
            digit @ b'0'..=b'9' => digit - b'0',
            b'*' => 10,
            b'#' => 11,
            letter => 12 + letter - b'A',
        };
        1 << index
    }

    const fn of_bit(index: u8) -> Self {
        match index {
            0..=9 => Self(b'0' + index),
            10 => Self(b'*'),
            11 => Self(b'#'),
            _ => Self(b'A' + index - 12),
        }
    }
}

impl From<Digit> for Letter {
    fn from(digit: Digit) -> Self {
        Self(digit.written() as u8)
    }
}

impl fmt::Display for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", char::from(self.0))
    }
}

/// A set of letters: a range of a digit map or of an event name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct LetterSet(u64);

impl LetterSet {
    /// What `X` stands for: `0` to `9`.
    pub const DIGITS: Self = Self(0b11_1111_1111);

    /// Whether `letter` is in it.
    pub const fn contains(self, letter: Letter) -> bool {
        self.0 & letter.bit() != 0
    }

    /// Its letters: digits, `*`, `#`, then the others by the alphabet.
    pub fn iter(self) -> impl Iterator<Item = Letter> {
        (0..38).filter(move |index| self.0 & (1 << index) != 0).map(Letter::of_bit)
    }

    /// Whether it has none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The letters between brackets: `0-9*#A-D`; `None` where that is none.
    // RFC 3435 Appendix A, DigitLetter and eventRange. Only the latter has ranges of A to D, but what
    // they mean in the former is as clear.
    pub fn parse(inside: &[u8]) -> Option<Self> {
        let (mut set, mut rest) = (Self::default(), inside);
        while let Some((&octet, after)) = rest.split_first() {
            rest = after;
            let first = match octet {
                b'x' | b'X' => {
                    set.0 |= Self::DIGITS.0;
                    continue;
                }
                _ => Letter::new(octet)?,
            };
            let mut last = first;
            if let [b'-', octet, after @ ..] = rest {
                last = Letter::new(*octet)?;
                rest = after;
                let same_kind = first.0.is_ascii_digit() && last.0.is_ascii_digit()
                    || matches!((first.0, last.0), (b'A'..=b'D', b'A'..=b'D'));
                if !same_kind || last < first {
                    return None;
                }
            }
            (first.0..=last.0).for_each(|octet| set.0 |= Letter(octet).bit());
        }
        (!set.is_empty()).then_some(set)
    }
}

impl From<Letter> for LetterSet {
    fn from(letter: Letter) -> Self {
        Self(letter.bit())
    }
}

/// As it stands between brackets.
impl fmt::Display for LetterSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digit = 0;
        while digit < 10 {
            let run = (self.0 >> digit).trailing_ones().min(10 - digit);
            match run {
                0 => digit += 1,
                1 | 2 => {
                    write!(f, "{digit}")?;
                    digit += 1;
                }
                _ => {
                    write!(f, "{digit}-{}", digit + run - 1)?;
                    digit += run;
                }
            }
        }
        self.iter().filter(|letter| !letter.0.is_ascii_digit()).try_for_each(|letter| letter.fmt(f))
    }
}

/// A digit map (RFC 3435 §2.1.5).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DigitMap {
    /// The steps of all entries, one entry behind the other, each with its end.
    steps: Box<[Step]>,
}

/// One place of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// One of these letters comes here; any number of times, or never, if there is a dot behind.
    Letters { any: LetterSet, repeated: bool },
    /// The entry is matched. Behind a P it gives way to others that may still match (RFC 3660 §2.7).
    End { gives_way: bool },
}

impl FromStr for DigitMap {
    type Err = EventError;

    // Tolerant of white space, and of a list without the parentheses around it.
    fn from_str(text: &str) -> Result<Self, EventError> {
        let error = |offset, rule, code| EventError { offset, rule, code };
        let wrong = |offset, rule| error(offset, rule, ReturnCode::PROTOCOL_ERROR);
        if text.len() > MAP_OCTETS_MAX {
            return Err(wrong(MAP_OCTETS_MAX, "DigitMap"));
        }
        let start = text.len() - text.trim_start().len();
        let inside = text.trim();
        let (start, inside) = match (inside.strip_prefix('('), inside.ends_with(')')) {
            (Some(rest), true) => (start + 1, &rest[..rest.len() - 1]),
            (None, false) => (start, inside),
            _ => return Err(wrong(start, "DigitMap")),
        };
        let mut steps = Vec::new();
        let mut at = start;
        for entry in inside.split('|') {
            read_entry(entry, &mut steps).map_err(|(offset, rule, code)| error(at + offset, rule, code))?;
            at += entry.len() + 1;
        }
        Ok(Self { steps: steps.into() })
    }
}

type Wrong = (usize, &'static str, ReturnCode);

fn read_entry(entry: &str, steps: &mut Vec<Step>) -> Result<(), Wrong> {
    let octets = entry.as_bytes();
    let wrong = |offset, rule| (offset, rule, ReturnCode::PROTOCOL_ERROR);
    let (first, mut at, mut gives_way) = (steps.len(), 0, false);
    while let Some(&octet) = octets.get(at) {
        let any = match octet {
            b' ' | b'\t' => {
                at += 1;
                continue;
            }
            b'[' => {
                let inside = &octets[at + 1..];
                let len = inside.iter().position(|b| *b == b']').ok_or(wrong(at, "DigitMapRange"))?;
                let set = LetterSet::parse(&inside[..len]).ok_or(wrong(at, "DigitMapRange"))?;
                let is_known = set.iter().all(Letter::is_basic);
                if !is_known {
                    return Err((at, "ExtensionDigitMapLetter", ReturnCode::UNSUPPORTED_DIGIT_MAP));
                }
                at += len + 1;
                set
            }
            b'x' | b'X' => LetterSet::DIGITS,
            _ => match Letter::new(octet) {
                // RFC 3660 §2.7: at the end of an entry; it is no event.
                Some(Letter(b'P')) if entry[at + 1..].trim().is_empty() && steps.len() > first => {
                    gives_way = true;
                    break;
                }
                Some(letter) if letter.is_basic() => letter.into(),
                // RFC 3435 §2.1.5: 537 for a letter that is an extension which is not supported.
                Some(_) => return Err((at, "ExtensionDigitMapLetter", ReturnCode::UNSUPPORTED_DIGIT_MAP)),
                None => return Err(wrong(at, "DigitMapLetter")),
            },
        };
        let repeated = octets.get(at + 1) == Some(&b'.');
        at += if repeated { 2 } else { 1 };
        steps.push(Step::Letters { any, repeated });
    }
    if steps.len() == first {
        return Err(wrong(0, "DigitString"));
    }
    steps.push(Step::End { gives_way });
    Ok(())
}

/// By the grammar, always with parentheses.
impl fmt::Display for DigitMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (index, step) in self.steps.iter().enumerate() {
            match *step {
                Step::Letters { any, repeated } => {
                    let single = any.0.is_power_of_two();
                    match any {
                        LetterSet::DIGITS => f.write_str("x")?,
                        _ if single => any.fmt(f)?,
                        _ => write!(f, "[{any}]")?,
                    }
                    f.write_str(if repeated { "." } else { "" })?;
                }
                Step::End { gives_way } => {
                    let is_last = index + 1 == self.steps.len();
                    f.write_str(if gives_way { "P" } else { "" })?;
                    f.write_str(if is_last { ")" } else { "|" })?;
                }
            }
        }
        Ok(())
    }
}

/// What the current dial string is to a digit map (RFC 3435 §2.1.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Match {
    /// Under-qualified: it may still match; nothing is to be told yet.
    Partial(InterdigitTimer),
    /// It is one of the entries: the digits are to be told.
    Perfect,
    /// It is none, and no letter can make it one: the digits are to be told all the same.
    Impossible,
}

/// Which of its two values the timer T takes on (RFC 3660 §2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InterdigitTimer {
    /// T-partial: a letter is missing. 16 s unless provisioned otherwise.
    Partial,
    /// T-critical: only the timer is missing, or nothing but the wait for more. 4 s.
    Critical,
}

/// The current dial string, as far as a digit map is concerned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Matcher {
    map: Arc<DigitMap>,
    places: Places,
}

impl Matcher {
    /// A matcher whose dial string is empty.
    pub fn new(map: Arc<DigitMap>) -> Self {
        let places = Places::start(&map.steps);
        Self { map, places }
    }

    /// Empties the dial string.
    pub fn clear(&mut self) {
        self.places = Places::start(&self.map.steps);
    }

    /// Adds a letter to the dial string and says what it is now.
    pub fn push(&mut self, letter: Letter) -> Match {
        self.places = self.places.after(&self.map.steps, letter);
        let standing = self.places.standing(&self.map.steps);
        match standing {
            Standing { matched: true, .. } => Match::Perfect,
            Standing { outranked: false, waiting: 0, .. } => Match::Impossible,
            Standing { outranked, .. } => {
                // RFC 3660 §2.2: T-critical if a timer is all that is required. An entry with P that
                // only gives way to others requires not even that.
                let timed_out = self.places.after(&self.map.steps, Letter::TIMER);
                let is_critical = outranked || timed_out.standing(&self.map.steps).matched;
                Match::Partial(if is_critical { InterdigitTimer::Critical } else { InterdigitTimer::Partial })
            }
        }
    }
}

/// How a dial string stands to the entries.
struct Standing {
    /// An entry is matched.
    matched: bool,
    /// An entry with P is matched, and gives way to another that may still match.
    outranked: bool,
    /// Entries that may still match.
    waiting: usize,
}

/// The steps that a dial string has come to, a bit each.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Places(Box<[u64]>);

impl Places {
    fn none(steps: &[Step]) -> Self {
        Self(vec![0; steps.len().div_ceil(64)].into())
    }

    /// At the first step of each entry.
    fn start(steps: &[Step]) -> Self {
        let mut places = Self::none(steps);
        places.reach(steps, 0);
        for (index, step) in steps.iter().enumerate().take(steps.len() - 1) {
            if let Step::End { .. } = step {
                places.reach(steps, index + 1);
            }
        }
        places
    }

    /// The states after one more letter.
    fn after(&self, steps: &[Step], letter: Letter) -> Self {
        let mut next = Self::none(steps);
        for index in self.iter() {
            match steps[index] {
                Step::Letters { any, repeated } if any.contains(letter) => {
                    next.reach(steps, if repeated { index } else { index + 1 });
                }
                Step::Letters { .. } | Step::End { .. } => {}
            }
        }
        next
    }

    /// Marks a step, and those behind it that can be reached by leaving out steps with a dot.
    fn reach(&mut self, steps: &[Step], mut index: usize) {
        // A step that is marked has had the ones behind it marked, so no step is looked at twice.
        while !self.contains(index) {
            self.0[index / 64] |= 1 << (index % 64);
            match steps[index] {
                Step::Letters { repeated: true, .. } => index += 1,
                Step::Letters { .. } | Step::End { .. } => return,
            }
        }
    }

    fn standing(&self, steps: &[Step]) -> Standing {
        let mut standing = Standing { matched: false, outranked: false, waiting: 0 };
        // Whether an entry is matched but gives way, and whether one of these may itself go on.
        let (mut gives_way_any, mut gives_way_and_waits) = (false, false);
        let mut waits = false;
        for (index, step) in steps.iter().enumerate() {
            match *step {
                Step::Letters { .. } => waits |= self.contains(index),
                Step::End { gives_way } => {
                    let is_matched = self.contains(index);
                    standing.matched |= is_matched && !gives_way;
                    gives_way_any |= is_matched && gives_way;
                    gives_way_and_waits |= is_matched && gives_way && waits;
                    standing.waiting += usize::from(waits);
                    waits = false;
                }
            }
        }
        // RFC 3660 §2.7: an entry with P is a match only if no other entry may still match.
        let no_other_waits = standing.waiting == 0 || standing.waiting == 1 && gives_way_and_waits;
        standing.matched |= gives_way_any && no_other_waits;
        standing.outranked = gives_way_any && !standing.matched;
        standing
    }

    fn contains(&self, index: usize) -> bool {
        self.0[index / 64] & (1 << (index % 64)) != 0
    }

    fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(word, bits)| {
            let mut bits = *bits;
            std::iter::from_fn(move || {
                let index = bits.trailing_zeros() as usize;
                (bits != 0).then(|| {
                    bits &= bits - 1;
                    word * 64 + index
                })
            })
        })
    }
}

#[cfg(test)]
mod tests;
