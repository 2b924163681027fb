//! How endpoints are called: RFC 3435 §2.1.2 and Appendix E.2, several schemes at once.
//!
//! One table of endpoints has many names: a DS0 is `ds/e1-3/17` to one call agent and `ds/ds1-3/17`
//! or `S2/DS1-3/17` to the next. A [`Pattern`] is a local name that has been understood: one endpoint
//! or, with wildcards, many. Whether it names an endpoint is decided by comparing numbers, so a
//! fully given name is found without a search.

use std::fmt;

use drivers::line::Carrier;

use super::EndpointId;
use crate::mgcp::name::Term;
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
    timeslot: Numbers,
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
}

/// The numbers that a term stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Numbers {
    All,
    One(u32),
    /// `[1-3,7]`: inclusive ranges (RFC 3435 §E.5).
    Ranges(Vec<(u32, u32)>),
}

impl Pattern {
    /// Understands a local name; `None` if no endpoint can be called so.
    pub fn parse(terms: &[Term]) -> Option<Self> {
        let is_open = |term: &Term| matches!(term, Term::All | Term::Any);
        // RFC 3435 §2.1.2: a wildcard alone stands for all endpoints. So does one that ends a name
        // early for all that is below; call agents count on that.
        let (root, unit, last) = match terms {
            [root, unit, last] => (Some(root), Some(unit), Some(last)),
            [root, unit] if is_open(unit) => (Some(root), None, None),
            [root] if is_open(root) => (None, None, None),
            _ => return None,
        };
        let mut pattern = Self {
            wildcard: Self::wildcard_of(terms)?,
            form: Form::Usual,
            root: Root::All,
            carrier: None,
            span: Numbers::All,
            timeslot: Numbers::All,
        };
        if let Some(root) = root.filter(|term| !is_open(term)) {
            pattern.under(root)?;
        }
        if let Some(unit) = unit.filter(|term| !is_open(term)) {
            pattern.of_unit(unit)?;
        }
        if let Some(last) = last.filter(|term| !is_open(term)) {
            pattern.timeslot = Numbers::behind("", last)?;
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
        };
        root && self.carrier.is_none_or(|carrier| carrier == place.carrier) && self.span.has(place.number)
    }

    /// Whether a timeslot is one of those that the name's last term stands for.
    pub fn has_timeslot(&self, timeslot: u32) -> bool {
        self.timeslot.has(timeslot)
    }

    /// The span's number, and the slot's where the form has one, if the name gives both.
    pub fn span_key(&self) -> Option<SpanKey> {
        let Numbers::One(number) = self.span else { return None };
        match self.root {
            Root::Ds => Some(SpanKey { slot: None, number }),
            Root::Slot(Numbers::One(slot)) => Some(SpanKey { slot: Some(slot), number }),
            Root::All | Root::Slot(_) => None,
        }
    }

    /// The timeslot's number, if the name gives one.
    pub fn timeslot(&self) -> Option<u32> {
        match self.timeslot {
            Numbers::One(number) => Some(number),
            Numbers::All | Numbers::Ranges(_) => None,
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

    /// Takes the first term: `ds`, or `s<slot>`.
    fn under(&mut self, root: &Term) -> Option<()> {
        (self.root, self.form) = if root.matches("ds") {
            (Root::Ds, Form::Kind)
        } else {
            (Root::Slot(Numbers::behind("s", root)?), Form::Slot)
        };
        Some(())
    }

    /// Takes the second term: `e1-<n>` or `ds1-<n>`.
    fn of_unit(&mut self, unit: &Term) -> Option<()> {
        if let Some(numbers) = Numbers::behind("e1-", unit) {
            self.carrier = Some(Carrier::E1);
            self.span = numbers;
            return Some(());
        }
        // Agents that know only T1 call every span `ds1`.
        self.span = Numbers::behind("ds1-", unit)?;
        if self.root == Root::Ds {
            self.form = Form::Ds1;
        }
        Some(())
    }
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

    fn has(&self, number: u32) -> bool {
        match self {
            Self::All => true,
            Self::One(only) => *only == number,
            Self::Ranges(ranges) => ranges.iter().any(|(first, last)| (*first..=*last).contains(&number)),
        }
    }
}

/// A decimal number. RFC 3435 Appendix E.2 forbids leading zeros: each endpoint has one name a form.
fn decimal(text: &str) -> Option<u32> {
    let is_padded = text.len() > 1 && text.starts_with('0');
    let plain = text.bytes().all(|digit| digit.is_ascii_digit()) && !is_padded;
    if plain { text.parse().ok() } else { None }
}

/// What is named: one endpoint, a whole span, or the whole gateway.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Named {
    /// One endpoint.
    Endpoint(EndpointId),
    /// All endpoints of a span, by its place in the topology.
    Span(usize),
    /// All endpoints.
    Gateway,
}

/// The terms of a span's or an endpoint's local name; `timeslot` is `*` if `None`.
pub fn local_name(form: Form, place: &SpanPlace, timeslot: Option<u8>) -> Vec<Term> {
    let word = |text: fmt::Arguments<'_>| Term::Word(text.to_string());
    let number = place.number;
    let ds1 = || word(format_args!("ds1-{number}"));
    let ds = || word(format_args!("ds"));
    let (root, unit) = match (form, place.slot, place.carrier) {
        (Form::Usual | Form::Slot, Some(slot), _) => (word(format_args!("s{slot}")), ds1()),
        (Form::Usual | Form::Slot, None, Carrier::E1) | (Form::Kind, _, Carrier::E1) => {
            (ds(), word(format_args!("e1-{number}")))
        }
        (Form::Usual | Form::Slot, None, Carrier::T1) | (Form::Kind, _, Carrier::T1) | (Form::Ds1, ..) => {
            (ds(), ds1())
        }
    };
    let last = timeslot.map_or(Term::All, |timeslot| word(format_args!("{timeslot}")));
    vec![root, unit, last]
}
