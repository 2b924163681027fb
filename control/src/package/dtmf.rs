//! D, the DTMF package (RFC 3660 §2.2).
//!
//! Its event X, any digit, is not in the table: it is never what happened. Digits are also detected and
//! played on connections, which §2.2 leaves to the gateway.
//!
//! A digit that `dd` is to suppress (`su=true`) goes out on no connection, neither in the audio nor as a
//! telephone-event: the call agent has taken it over. Its first 20 ms do, which nobody takes for a digit.

use dataplane::link::Digit;

use super::ability::{Making, Source};
use super::parameter::{Rule, Takes};
use super::{Entry, On, Package, SignalKind};

pub(super) const PACKAGE: Package = Package::new("D", 1, ENTRIES);

const ENTRIES: &[Entry] = &[
    digit("0", 0),
    digit("1", 1),
    digit("2", 2),
    digit("3", 3),
    digit("4", 4),
    digit("5", 5),
    digit("6", 6),
    digit("7", 7),
    digit("8", 8),
    digit("9", 9),
    digit("#", 11),
    digit("*", 10),
    digit("A", 12),
    digit("B", 13),
    digit("C", 14),
    digit("D", 15),
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
    Entry::event("T", Source::DigitTimer).on(On::Either).and_signal(SignalKind::seconds(16), Making::Nothing),
];

const KEY: Rule = Rule::named("dg", Takes::Key { wildcard: false }).required();

/// By its event code (RFC 4733 §3.2), which a test compares with its name.
const fn digit(name: &'static str, code: u8) -> Entry {
    let Some(digit) = Digit::of_code(code) else { panic!("digits have codes 0 to 15") };
    let source = Source::Digit(digit);
    Entry::event(name, source)
        .on(On::Either)
        .and_signal(SignalKind::Brief, Making::Digit(digit))
        .on(On::Either)
}
