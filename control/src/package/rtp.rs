//! R, the RTP package (RFC 3660 §2.10): events of connections.

use dataplane::link::CheckTone;

use super::ability::{Making, Source};
use super::parameter::{Rule, Takes};
use super::{Entry, On, Package, SignalKind};

pub(super) const PACKAGE: Package = Package::new("R", 1, ENTRIES);

const ENTRIES: &[Entry] = &[
    continuity("co1", CheckTone::Co1),
    continuity("co2", CheckTone::Co2),
    // Three packets if it is left out.
    Entry::event("iu", Source::Unreachable).on(On::Connection).taking(&[Rule::value(Takes::Number(1, 255))]),
    Entry::event("ji", Source::JitterBuffer).on(On::Connection),
    Entry::event("ma", Source::MediaStart).on(On::AllConnections),
    Entry::event("oc", Source::SignalCompleted),
    Entry::event("of", Source::SignalFailed),
    Entry::event("pl", Source::PacketLoss)
        .on(On::Connection)
        .taking(&[Rule::value(Takes::Number(1, 100_000)).required()]),
    Entry::event("qa", Source::Quality).on(On::Connection),
    // 60 seconds if it is left out.
    Entry::event("rto", Source::MediaTimeout)
        .on(On::Connection)
        .taking(&[Rule::value(Takes::Number(1, 65_535)), Rule::named("st", Takes::Word(&["im", "ra"]))]),
    Entry::event("sr", Source::PacketTime).on(On::Connection),
    Entry::event("uc", Source::Codec).on(On::Connection),
];

const fn continuity(code: &'static str, tone: CheckTone) -> Entry {
    Entry::event(code, Source::NetworkContinuity(tone))
        .on(On::Connection)
        .and_signal(SignalKind::seconds(3), Making::NetworkContinuity(tone))
        .on(On::Connection)
}
