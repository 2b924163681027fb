//! FXR, the fax package (RFC 5347).
//!
//! There is no T.38 here, and no other procedure for fax: a fax machine's octets pass as all others do.
//! So of its events only `nopfax` comes, when one is heard: once in a call, for it says that a fax call is
//! detected, not that a tone is, and there is no telling when the fax is over (§2.1.3). `t38` and `gwfax` tell of procedures that are
//! never begun; call agents that ask to be told of them are told of none.

use super::ability::Source;
use super::{Entry, Package};

pub(super) const PACKAGE: Package = Package::new("FXR", 0, ENTRIES);

const ENTRIES: &[Entry] = &[
    Entry::event("gwfax", Source::FaxProcedure),
    Entry::event("nopfax", Source::PlainFax),
    Entry::event("t38", Source::FaxProcedure),
];
