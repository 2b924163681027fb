//! L, the line package (RFC 3660 §2.4), on circuits.
//!
//! Its tones are played to whoever is at the other end of the circuit. Its rest needs a telephone: no
//! circuit here tells of a hook, none rings, and none shows a number. That is refused, unless the call
//! agent is known to take circuits for telephone lines and to give calls up over a refusal.
//!
//! Refused for good: `aw` and `e`, which §2.4 calls not well defined; `ht`, for which ITU-T E.182 has no sound;
//! `s`, whose patterns nobody has agreed on; and `p` as an event, one burst among many.

use super::ability::{Making, Source, Tone};
use super::parameter::{Rule, Takes};
use super::{Entry, Package, SignalKind};

pub(super) const PACKAGE: Package = Package::new("L", 1, ENTRIES);

const ENTRIES: &[Entry] = &[
    Entry::signal("adsi", SignalKind::Brief, Making::Telephone).taking(&[TEXT]),
    Entry::event("aw", Source::Undefined).and_signal(SignalKind::OnOff, Making::Undefined),
    Entry::signal("bz", SignalKind::seconds(30), Making::Tone(Tone::Busy)),
    Entry::signal("ci", SignalKind::Brief, Making::Telephone).taking(&[TEXT, TEXT, TEXT]),
    Entry::signal("dl", SignalKind::seconds(16), Making::Tone(Tone::Dial)),
    Entry::event("e", Source::Undefined).and_signal(SignalKind::seconds(2), Making::Undefined),
    Entry::event("hd", Source::Hook),
    Entry::event("hf", Source::Hook),
    Entry::signal("ht", SignalKind::OnOff, Making::Undefined),
    Entry::event("hu", Source::Hook),
    Entry::signal("lsa", SignalKind::OnOff, Making::Telephone),
    Entry::signal("mwi", SignalKind::seconds(16), Making::Tone(Tone::MessageWaiting)),
    // By another name: `ro`.
    Entry::event("nbz", Source::Tone(Tone::Reorder))
        .and_signal(SignalKind::ENDLESS, Making::Tone(Tone::Reorder)),
    Entry::event("oc", Source::SignalCompleted),
    Entry::event("of", Source::SignalFailed),
    Entry::signal("osi", SignalKind::milliseconds(900), Making::Telephone),
    Entry::signal("ot", SignalKind::ENDLESS, Making::Tone(Tone::OffHookWarning)),
    Entry::event("p", Source::Tone(Tone::Prompt)).and_signal(SignalKind::Brief, Making::Tone(Tone::Prompt)),
    ring("r0"),
    ring("r1"),
    ring("r2"),
    ring("r3"),
    ring("r4"),
    ring("r5"),
    ring("r6"),
    ring("r7"),
    ring("rg"),
    Entry::signal("ro", SignalKind::seconds(30), Making::Tone(Tone::Reorder)),
    Entry::signal("rs", SignalKind::Brief, Making::Telephone),
    Entry::event("s", Source::Pattern)
        .taking(PATTERN)
        .and_signal(SignalKind::Brief, Making::Pattern)
        .taking(PATTERN),
    // NC' if it is left out.
    Entry::signal("sit", SignalKind::seconds(2), Making::Tone(Tone::SpecialInformation))
        .taking(&[Rule::value(Takes::Number(1, 7))]),
    Entry::signal("sl", SignalKind::seconds(16), Making::Tone(Tone::StutterDial))
        .taking(&[Rule::named("del", Takes::Number(0, 10_000))]),
    Entry::signal("v", SignalKind::OnOff, Making::Tone(Tone::Alerting)),
    Entry::signal("vmwi", SignalKind::OnOff, Making::Telephone),
    Entry::signal("wt", SignalKind::seconds(12), Making::Tone(Tone::CallWaiting)),
    Entry::signal("wt1", SignalKind::seconds(12), Making::Tone(Tone::CallWaiting)),
    call_waiting("wt2", 2),
    call_waiting("wt3", 3),
    call_waiting("wt4", 4),
    Entry::signal("y", SignalKind::ENDLESS, Making::Tone(Tone::RecorderWarning)),
    Entry::signal("z", SignalKind::Brief, Making::Tone(Tone::CallingCard)),
];

const PATTERN: &[Rule] = &[Rule::value(Takes::Number(0, 999)).required()];

const TEXT: Rule = Rule::value(Takes::Text);

/// How many times it rings.
const TIMES: &[Rule] = &[Rule::named("rep", Takes::Number(1, 255))];

const fn call_waiting(code: &'static str, number: u8) -> Entry {
    Entry::signal(code, SignalKind::seconds(12), Making::Tone(Tone::DistinctiveCallWaiting(number)))
}

const fn ring(code: &'static str) -> Entry {
    Entry::signal(code, SignalKind::seconds(180), Making::Telephone).taking(TIMES)
}
