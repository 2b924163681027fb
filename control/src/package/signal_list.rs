//! SL, the signal list package: signals one after the other (RFC 3660 §2.8).

use super::ability::{Making, Source};
use super::parameter::{Rule, Takes};
use super::{Entry, Package, SignalKind, TimeOut};

pub(super) const PACKAGE: Package = Package::new("SL", 0, ENTRIES);

const ENTRIES: &[Entry] = &[
    Entry::event("oc", Source::SignalCompleted),
    Entry::event("of", Source::SignalFailed),
    Entry::signal("s", SignalKind::TimeOut(TimeOut::Variable), Making::List)
        .taking(&[Rule::value(Takes::Signals).required()]),
];
