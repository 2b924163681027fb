//! B, the base package: what befalls the lists of events themselves (RFC 3435 Appendix B).

use super::ability::Source;
use super::{Entry, Extension, Package};

pub(super) const PACKAGE: Package = Package::new("B", 0, ENTRIES)
    .with(&[("PR", Extension::PersistentEvents), ("NS", Extension::NotificationState)]);

const ENTRIES: &[Entry] = &[
    Entry::event("enf", Source::EmbeddedRequestFailed),
    Entry::event("oef", Source::ObservedEventsFull),
    Entry::event("qbo", Source::QuarantineOverflowed),
];
