//! RED, the redirect and reset package (RFC 3991).

use super::ability::Ability;
use super::{Extension, Package};

pub(super) const PACKAGE: Package = Package::new("RED", 0, &[]).needing(Ability::RedirectAndReset).with(&[
    ("NL", Extension::NotifiedEntityList),
    ("EL", Extension::EndpointList),
    ("MP", Extension::EndpointMap),
    ("N", Extension::NotifiedEntity),
    ("R", Extension::Reset),
]);
