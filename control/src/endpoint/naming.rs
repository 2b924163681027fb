//! How endpoints are called: RFC 3435 §2.1.2 and Appendix E, several schemes at once.
//!
//! One table of endpoints has many names: a DS0 is `ds/e1-3/17` to one call agent and `ds/ds1-3/17`,
//! `S2/DS1-3/17`, `ds/s-2/e1-3/17` or `ds/e1-3/s-17/su64-0` to others. A relay is `rtpbridge/1F`, with a
//! number in hex, as Osmocom's call agents have it; the gateway itself is `mg`. A [`Pattern`] is a local
//! name that has been understood: one endpoint or, with wildcards, many. Whether it names an endpoint is
//! decided by comparing numbers, so a fully given name is found without a search.

use std::fmt;

use drivers::line::{Carrier, Timeslot};

use super::EndpointId;
use crate::mgcp::name::{RangeWildcard, Term};
use crate::topology::SpanPlace;

/// Which wildcard a name has (RFC 3435 §2.1.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wildcard {
    /// None: it names one endpoint.
    None,
    /// `*`, or a range: all of those it matches.
    All,
    /// `$`: any one of those it matches.
    Any,
}

/// A way of naming. What is asked for in one form is answered in the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// The gateway's own choice: `s<slot>/ds1-<n>/<ts>` for spans that have a slot, because whoever
    /// gave them one has a call agent that names so; for the others by their kind.
    Usual,
    /// `ds/e1-<n>/<ts>` or `ds/ds1-<n>/<ts>`, by the span's kind.
    Kind,
    /// `ds/ds1-<n>/<ts>` for spans of either kind.
    Ds1,
    /// `s<slot>/ds1-<n>/<ts>` for spans of either kind that have a slot.
    Slot,
    /// `ds/s-<slot>/e1-<n>/<ts>` or `ds/s-<slot>/ds1-<n>/<ts>`, by the span's kind (RFC 3435 §E.2).
    SlotKind,
    /// `ds/s-<slot>/ds1-<n>/<ts>` for spans of either kind that have a slot.
    SlotDs1,
    /// `ds/e1-<n>/s-<ts>/su64-0`: Osmocom's, which can also name parts of a DS0. Those are no endpoints.
    Whole64,
}

/// How an endpoint was called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Called {
    /// The way it was named.
    pub form: Form,
    /// The gateway's domain, as it was spelt, without a port.
    pub domain: String,
}

/// A local name that has been understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    /// Its wildcard.
    pub wildcard: Wildcard,
    /// The way it names.
    pub form: Form,
    root: Root,
    carrier: Option<Carrier>,
    span: Numbers,
    last: Numbers,
}

/// What the first term stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Root {
    /// `*` or `$`: all spans.
    All,
    /// `ds`: spans that are known by their number alone.
    Ds,
    /// `s<slot>`: spans of these slots.
    Slot(Numbers),
    /// `rtpbridge`: no spans, but the relays.
    Relays,
    /// `mg`: the gateway itself.
    Gateway,
}

/// The numbers that a term stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Numbers {
    All,
    One(u32),
    /// `[1-3,7]`: inclusive ranges (RFC 3435 §E.5).
    Ranges(Vec<(u32, u32)>),
    /// `A[1-3]`: numbers in hex whose spelling is in a range, which is always of decimal digits.
    Spelt(Term),
}

/// The first term of relays' names, as Osmocom's media gateway has it.
const RELAYS: &str = "rtpbridge";

/// The name of the endpoint that stands for the gateway (RFC 3435 §E.4).
pub const GATEWAY: &str = "mg";

impl Pattern {
    /// Understands a local name; `None` if no endpoint can be called so.
    pub fn parse(terms: &[Term]) -> Option<Self> {
        let mut pattern = Self {
            wildcard: Self::wildcard_of(terms)?,
            form: Form::Usual,
            root: Root::All,
            carrier: None,
            span: Numbers::All,
            last: Numbers::All,
        };
        match terms {
            // RFC 3435 §2.1.2: a wildcard alone stands for all endpoints. So does one that ends a name
            // early for all that is below; call agents count on that.
            [root] if is_open(root) => {}
            [root] => {
                pattern.root = root.matches(GATEWAY).then_some(Root::Gateway)?;
            }
            [root, relay] if is_word(root, RELAYS) => {
                pattern.root = Root::Relays;
                pattern.last = Numbers::hex(relay)?;
            }
            [root, unit] if is_open(unit) => pattern.under(root)?,
            [root, slot, unit] if is_open(unit) && is_slot(slot) => pattern.in_slot(root, slot)?,
            [root, unit, last] => pattern.ds0(root, unit, last, "")?,
            [root, slot, unit, last] if is_slot(slot) => {
                pattern.in_slot(root, slot)?;
                pattern.of_unit(unit)?;
                pattern.last = Numbers::behind("", last)?;
            }
            [root, unit, last, part] if is_open(part) || is_word(part, "su64-0") => {
                pattern.ds0(root, unit, last, "s-")?;
                // Only E1s are called so.
                pattern.carrier = Some(Carrier::E1);
                pattern.form = Form::Whole64;
            }
            _ => return None,
        }
        Some(pattern)
    }

    /// Whether a span is one of those that the name's upper terms stand for. `by_number` says whether
    /// its number alone, without a slot, is enough to know it.
    pub fn has_span(&self, place: &SpanPlace, by_number: bool) -> bool {
        let root = match &self.root {
            Root::All => true,
            Root::Ds => by_number,
            Root::Slot(slots) => place.slot.is_some_and(|slot| slots.has(slot)),
            Root::Relays | Root::Gateway => false,
        };
        root && self.carrier.is_none_or(|carrier| carrier == place.carrier) && self.span.has(place.number)
    }

    /// Whether a timeslot is one of those that the name's last term stands for.
    pub fn has_timeslot(&self, timeslot: u32) -> bool {
        self.last.has(timeslot)
    }

    /// The span's number, and the slot's where the form has one, if the name gives both.
    pub fn span_key(&self) -> Option<SpanKey> {
        let Numbers::One(number) = self.span else { return None };
        match self.root {
            Root::Ds => Some(SpanKey { slot: None, number }),
            Root::Slot(Numbers::One(slot)) => Some(SpanKey { slot: Some(slot), number }),
            Root::All | Root::Slot(_) | Root::Relays | Root::Gateway => None,
        }
    }

    /// Whether it is one that only Osmocom's call agents use: those take no 100, and no parameters in the
    /// response to a command that was refused.
    pub fn is_osmocoms(&self) -> bool {
        self.root == Root::Relays || self.form == Form::Whole64
    }

    /// Whether relays are meant, and under their own name or with all others.
    pub fn relays(&self) -> Option<Means> {
        match self.root {
            Root::Relays => Some(Means::ByName),
            Root::All if self.is_everything() => Some(Means::WithOthers),
            Root::All | Root::Ds | Root::Slot(_) | Root::Gateway => None,
        }
    }

    /// Whether the gateway itself is meant.
    pub fn has_gateway(&self) -> bool {
        self.root == Root::Gateway || self.root == Root::All && self.is_everything()
    }

    /// Whether a relay is one of those that the name's last term stands for.
    pub fn has_relay(&self, number: u32) -> bool {
        self.last.has(number)
    }

    /// Whether nothing below the first term is said.
    fn is_everything(&self) -> bool {
        self.carrier.is_none() && self.span == Numbers::All && self.last == Numbers::All
    }

    /// The number that the name's last term is, if it is one: a timeslot's or a relay's.
    pub fn last(&self) -> Option<u32> {
        match self.last {
            Numbers::One(number) => Some(number),
            Numbers::All | Numbers::Ranges(_) | Numbers::Spelt(_) => None,
        }
    }

    fn wildcard_of(terms: &[Term]) -> Option<Wildcard> {
        let all = terms.iter().any(|term| matches!(term, Term::All | Term::Range(_)));
        match (all, terms.contains(&Term::Any)) {
            (false, false) => Some(Wildcard::None),
            (true, false) => Some(Wildcard::All),
            (false, true) => Some(Wildcard::Any),
            // §2.1.2 discourages mixing them; no command here could make use of it.
            (true, true) => None,
        }
    }

    /// Takes the three terms of a DS0's name; what stands before the last one's number is `prefix`.
    fn ds0(&mut self, root: &Term, unit: &Term, last: &Term, prefix: &str) -> Option<()> {
        self.under(root)?;
        self.of_unit(unit)?;
        self.last = Numbers::behind(prefix, last)?;
        Some(())
    }

    /// Takes the first term: `ds`, or `s<slot>`.
    fn under(&mut self, root: &Term) -> Option<()> {
        if is_open(root) {
            return Some(());
        }
        (self.root, self.form) = if root.matches("ds") {
            (Root::Ds, Form::Kind)
        } else {
            (Root::Slot(Numbers::behind("s", root)?), Form::Slot)
        };
        Some(())
    }

    /// Takes the first two terms: `ds/s-<slot>`.
    fn in_slot(&mut self, root: &Term, slot: &Term) -> Option<()> {
        is_word(root, "ds").then_some(())?;
        (self.root, self.form) = (Root::Slot(Numbers::behind("s-", slot)?), Form::SlotKind);
        Some(())
    }

    /// Takes the second term: `e1-<n>` or `ds1-<n>`.
    fn of_unit(&mut self, unit: &Term) -> Option<()> {
        if is_open(unit) {
            return Some(());
        }
        if let Some(numbers) = Numbers::behind("e1-", unit) {
            self.carrier = Some(Carrier::E1);
            self.span = numbers;
            return Some(());
        }
        // Agents that know only T1 call every span `ds1`.
        self.span = Numbers::behind("ds1-", unit)?;
        self.form = match self.form {
            Form::Kind => Form::Ds1,
            Form::SlotKind => Form::SlotDs1,
            form => form,
        };
        Some(())
    }
}

/// How a name means relays.
// RFC 3435 §E.3: virtual endpoints can come and go. A relay comes with the first command that names it,
// or with the CRCX that has it chosen, and goes with its last connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Means {
    /// By the relays' own name: it means those, too, that no command has named yet.
    ByName,
    /// By a wildcard for all endpoints: it means only relays that have connections.
    WithOthers,
}

fn is_open(term: &Term) -> bool {
    matches!(term, Term::All | Term::Any)
}

/// Whether a term is this word and no wildcard.
fn is_word(term: &Term, word: &str) -> bool {
    matches!(term, Term::Word(_)) && term.matches(word)
}

/// Whether a term is `s-<slot>`.
fn is_slot(term: &Term) -> bool {
    !is_open(term) && Numbers::behind("s-", term).is_some()
}

/// What finds a span without a search: its number, and its slot in the form that has one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SpanKey {
    /// The slot, in the form that has one.
    pub slot: Option<u32>,
    /// The span's number.
    pub number: u32,
}

impl Numbers {
    /// The numbers behind a prefix: `3` and `[1-3,7]`, in `e1-3` and `e1-[1-3,7]`.
    fn behind(prefix: &str, term: &Term) -> Option<Self> {
        match term {
            Term::Word(word) => {
                let (head, number) = word.split_at_checked(prefix.len())?;
                if !head.eq_ignore_ascii_case(prefix) {
                    return None;
                }
                decimal(number).map(Self::One)
            }
            Term::Range(range) => {
                let ours = range.before.eq_ignore_ascii_case(prefix) && range.after.is_empty();
                ours.then(|| Self::Ranges(range.numbers.clone()))
            }
            Term::All | Term::Any => Some(Self::All),
        }
    }

    /// The number that a term is in upper-case hex; or the range it is.
    fn hex(term: &Term) -> Option<Self> {
        match term {
            Term::Word(word) => hex(word).map(Self::One),
            Term::Range(_) => Some(Self::Spelt(term.clone())),
            Term::All | Term::Any => Some(Self::All),
        }
    }

    fn has(&self, number: u32) -> bool {
        match self {
            Self::All => true,
            Self::One(only) => *only == number,
            Self::Ranges(ranges) => ranges.iter().any(|(first, last)| (*first..=*last).contains(&number)),
            Self::Spelt(term) => term.matches(&format!("{number:X}")),
        }
    }
}

/// A decimal number. RFC 3435 Appendix E.2 forbids leading zeros: each endpoint has one name a form.
fn decimal(text: &str) -> Option<u32> {
    let is_padded = text.len() > 1 && text.starts_with('0');
    let plain = text.bytes().all(|digit| digit.is_ascii_digit()) && !is_padded;
    if plain { text.parse().ok() } else { None }
}

/// A hex number other than zero, in any case (RFC 3435 §2.1.2).
// §E.3 forbids leading zeros; Osmocom's call agents may write them.
fn hex(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|digit| digit.is_ascii_hexdigit());
    let number = if plain { u32::from_str_radix(text, 16).ok() } else { None };
    number.filter(|number| *number != 0)
}

/// What is named: one endpoint, some or all of a span, or the whole gateway.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Named {
    /// One endpoint.
    Endpoint(EndpointId),
    /// Some endpoints of a span, by its place in the topology.
    Timeslots(usize, Timeslots),
    /// All endpoints of a span, by its place in the topology.
    Span(usize),
    /// All endpoints of spans whose places and numbers follow each other, by the first and the last.
    Spans(usize, usize),
    /// All relays.
    Relays,
    /// All endpoints.
    Gateway,
}

/// Some timeslots of a span.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Timeslots(u32);

impl FromIterator<Timeslot> for Timeslots {
    fn from_iter<I: IntoIterator<Item = Timeslot>>(timeslots: I) -> Self {
        Self(timeslots.into_iter().fold(0, |all, timeslot| all | 1 << timeslot.number()))
    }
}

impl Timeslots {
    /// The first and the last of each run of them.
    fn runs(self) -> Vec<(u32, u32)> {
        let has = |number: u32| self.0 >> number & 1 == 1;
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for number in (0..u32::BITS).filter(|number| has(*number)) {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == number => *last = number,
                _ => runs.push((number, number)),
            }
        }
        runs
    }
}

/// What the last number of a DS0's name is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Last {
    /// One timeslot's.
    One(Timeslot),
    /// A range of them.
    Some(Timeslots),
    /// `*`
    All,
}

/// The terms of the local name of a DS0, of some or all of a span, or of spans up to a number.
pub fn local_name(form: Form, place: &SpanPlace, up_to: u32, last: Last) -> Vec<Term> {
    let word = |text: fmt::Arguments<'_>| Term::Word(text.to_string());
    let range = |before: &str, numbers| {
        Term::Range(RangeWildcard { before: before.to_owned(), numbers, after: String::new() })
    };
    let ds = || word(format_args!("ds"));
    let unit = |prefix: &str| match place.number {
        only if only == up_to => word(format_args!("{prefix}{only}")),
        first => range(prefix, vec![(first, up_to)]),
    };
    let ds1 = || unit("ds1-");
    let kind = || match place.carrier {
        Carrier::E1 => unit("e1-"),
        Carrier::T1 => ds1(),
    };
    let last = |prefix: &str| match last {
        Last::One(timeslot) => word(format_args!("{prefix}{timeslot}")),
        // RFC 3435 §E.5: a range should not be long; that of 31 timeslots has 38 letters at most.
        Last::Some(timeslots) => range(prefix, timeslots.runs()),
        Last::All => Term::All,
    };
    match (form, place.slot) {
        (Form::Usual | Form::Slot, Some(slot)) => vec![word(format_args!("s{slot}")), ds1(), last("")],
        (Form::SlotKind, Some(slot)) => vec![ds(), word(format_args!("s-{slot}")), kind(), last("")],
        (Form::SlotDs1, Some(slot)) => vec![ds(), word(format_args!("s-{slot}")), ds1(), last("")],
        (Form::Ds1, _) | (Form::SlotDs1, None) => vec![ds(), ds1(), last("")],
        (Form::Whole64, _) if place.carrier == Carrier::E1 => {
            vec![ds(), kind(), last("s-"), word(format_args!("su64-0"))]
        }
        (Form::Kind | Form::Whole64, _) | (Form::Usual | Form::Slot | Form::SlotKind, None) => {
            vec![ds(), kind(), last("")]
        }
    }
}

/// The terms of a relay's local name, or with `None` of all relays'.
// RFC 3435 §E.3: without leading zeros; and in upper case, as Osmocom's call agents know them.
pub fn relay_name(number: Option<u32>) -> Vec<Term> {
    let last = number.map_or(Term::All, |number| Term::Word(format!("{number:X}")));
    vec![Term::Word(RELAYS.to_owned()), last]
}

/// The terms of the gateway's own local name.
pub fn gateway_name() -> Vec<Term> {
    vec![Term::Word(GATEWAY.to_owned())]
}
