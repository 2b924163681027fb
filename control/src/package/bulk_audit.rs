//! BA, the bulk audit package (RFC 3624).

use super::ability::Ability;
use super::{Extension, Package};

pub(super) const PACKAGE: Package = Package::new("BA", 0, &[]).needing(Ability::BulkAudit).with(&[
    ("F", Extension::BulkRequestedInfo),
    ("SE", Extension::StartEndpoint),
    ("NU", Extension::EndpointsMax),
]);
