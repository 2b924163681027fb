//! D, the DTMF package (RFC 3660 §2.2).
//!
//! Its event X, any digit, is not in the table: it is never what happened.

use super::ability::{Making, Source};
use super::parameter::{Rule, Takes};
use super::{Entry, Package, SignalKind};
use crate::mgcp::digit_map::Letter;

pub(super) const PACKAGE: Package = Package::new("D", 1, ENTRIES);

const ENTRIES: &[Entry] = &[
    digit("0"),
    digit("1"),
    digit("2"),
    digit("3"),
    digit("4"),
    digit("5"),
    digit("6"),
    digit("7"),
    digit("8"),
    digit("9"),
    digit("#"),
    digit("*"),
    digit("A"),
    digit("B"),
    digit("C"),
    digit("D"),
    Entry::event("dd", Source::DigitDuration)
        .taking(&[
            Rule::named("dg", Takes::Key { wildcard: true }),
            Rule::named("to", Takes::Number(40, 60_000)),
            Rule::named("su", Takes::Word(&["true", "false"])),
        ])
        .and_signal(SignalKind::seconds(3), Making::LongDigit)
        .taking(&[KEY, Rule::named("to", Takes::Number(50, 60_000))]),
    Entry::signal("do", SignalKind::OnOff, Making::LongDigit).taking(&[KEY]),
    Entry::event("L", Source::DigitHeld),
    Entry::event("oc", Source::SignalCompleted),
    Entry::event("of", Source::SignalFailed),
    Entry::event("T", Source::DigitTimer).and_signal(SignalKind::seconds(16), Making::Nothing),
];

const KEY: Rule = Rule::named("dg", Takes::Key { wildcard: false }).required();

const fn digit(code: &'static str) -> Entry {
    let Some(letter) = Letter::new(code.as_bytes()[0]) else { panic!("a digit is a letter of digit maps") };
    Entry::event(code, Source::Digit(letter)).and_signal(SignalKind::Brief, Making::Digit(letter))
}
