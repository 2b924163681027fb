//! T, the trunk package (RFC 3660 §2.3).
//!
//! Its `as` and `bl` are refused: no span here brings or sends the bits of line signalling. So are, as unknown
//! packages (518), all those of RFC 3064 (MS, DT, BL, DO, MD, MO): what they tell of and signal begins with
//! such bits, seizure and answer, and their digits mean nothing without.
//!
//! A test pattern is an octet in each frame, bit by bit as the line has it: `tp` has passed when it has come
//! back without an error for 100 ms.

use dataplane::link::CheckTone;

use super::ability::{Making, Source, Tone};
use super::parameter::{Rule, Takes, switch};
use super::{Entry, Package, SignalKind};
use crate::mgcp::event::{Parameter, Parameters};

pub(super) const PACKAGE: Package = Package::new("T", 1, ENTRIES);

const ENTRIES: &[Entry] = &[
    Entry::event("as", Source::Answer).and_signal(SignalKind::Brief, Making::Answer),
    Entry::signal("bl", SignalKind::Brief, Making::Blocking),
    Entry::signal("bz", SignalKind::seconds(30), Making::Tone(Tone::Busy)),
    continuity("co1", CheckTone::Co1),
    continuity("co2", CheckTone::Co2),
    Entry::signal("ct", SignalKind::OnOff, Making::Transponder)
        .taking(&[
            Rule::named("in", Takes::Word(CONTINUITY_TONES)),
            Rule::named("out", Takes::Word(CONTINUITY_TONES)),
        ])
        .agreeing(is_transponder),
    Entry::signal("lb", SignalKind::OnOff, Making::Loopback),
    tone("nm", 3, Tone::Milliwatt1004),
    tone("mm", 3, Tone::Milliwatt1013),
    Entry::event("oc", Source::SignalCompleted),
    Entry::event("of", Source::SignalFailed),
    tone("om", 3, Tone::Milliwatt1000),
    Entry::signal("pst", SignalKind::ENDLESS, Making::Tone(Tone::PermanentSignal)),
    Entry::signal("qt", SignalKind::ENDLESS, Making::Tone(Tone::Quiet)),
    tone("ro", 30, Tone::Reorder),
    Entry::event("sit", Source::Tone(Tone::SpecialInformation))
        .taking(SPECIAL)
        .and_signal(SignalKind::seconds(2), Making::Tone(Tone::SpecialInformation))
        .taking(SPECIAL),
    Entry::event("tl", Source::Tone(Tone::TestProgress))
        .and_signal(SignalKind::ENDLESS, Making::Tone(Tone::TestProgress)),
    Entry::event("tp", Source::TestPattern)
        .taking(PATTERN)
        .and_signal(SignalKind::seconds(3), Making::TestPattern)
        .taking(PATTERN),
    tone("zz", 2, Tone::NoCircuit),
];

const CONTINUITY_TONES: &[&str] = &["co1", "co2"];
const SPECIAL: &[Rule] = &[Rule::value(Takes::Number(1, 7)).required()];
/// 95 if it is left out.
const PATTERN: &[Rule] = &[Rule::value(Takes::Number(0, 255))];

/// As an event: the test with this check tone has passed.
const fn continuity(code: &'static str, tone: CheckTone) -> Entry {
    Entry::event(code, Source::Continuity(tone)).and_signal(SignalKind::seconds(3), Making::Continuity(tone))
}

const fn tone(code: &'static str, seconds: u64, tone: Tone) -> Entry {
    Entry::event(code, Source::Tone(tone)).and_signal(SignalKind::seconds(seconds), Making::Tone(tone))
}

/// The two tones differ. To turn it off, neither need be named.
fn is_transponder(parameters: &Parameters) -> bool {
    let value = |name| parameters.named(name).and_then(Parameter::value);
    let is_off = parameters.0.iter().any(|parameter| switch(parameter) == Some(false));
    match (value("in"), value("out")) {
        (Some(tone_in), Some(tone_out)) => !tone_in.eq_ignore_ascii_case(&tone_out),
        (None, None) => is_off,
        (Some(_), None) | (None, Some(_)) => false,
    }
}
