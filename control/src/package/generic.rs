//! G, the generic media package (RFC 3660 §2.1).
//!
//! Its `pat` is refused (512, 513): which pattern a number stands for is agreed on outside of the protocol,
//! and here nothing is. `T/tp` has patterns that speak for themselves.

use super::ability::{Making, Source, Tone};
use super::parameter::{Rule, Takes};
use super::{Entry, On, Package, SignalKind};

pub(super) const PACKAGE: Package = Package::new("G", 1, ENTRIES);

const ENTRIES: &[Entry] = &[
    Entry::signal("cf", SignalKind::Brief, Making::Tone(Tone::Confirmation)),
    Entry::signal("cg", SignalKind::ENDLESS, Making::Tone(Tone::Congestion)),
    Entry::event("ft", Source::FaxTone),
    Entry::signal("it", SignalKind::ENDLESS, Making::Tone(Tone::Intercept)),
    Entry::event("ld", Source::ConnectionAge).on(On::AllConnections),
    Entry::event("mt", Source::ModemTone),
    Entry::event("oc", Source::SignalCompleted),
    Entry::event("of", Source::SignalFailed),
    Entry::event("pat", Source::Pattern)
        .taking(PATTERN)
        .and_signal(SignalKind::OnOff, Making::Pattern)
        .taking(PATTERN),
    Entry::signal("pt", SignalKind::ENDLESS, Making::Tone(Tone::Preemption)),
    Entry::signal("rbk", SignalKind::seconds(180), Making::RingbackOn)
        .taking(&[Rule::value(Takes::Connection).required()]),
    Entry::signal("rt", SignalKind::seconds(180), Making::Tone(Tone::Ringback)).on(On::Either),
];

const PATTERN: &[Rule] = &[Rule::value(Takes::Number(0, 999)).required()];
