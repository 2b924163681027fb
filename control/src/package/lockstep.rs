//! LCK, the lockstep package (RFC 3992).

use super::ability::Ability;
use super::{Extension, Package};

pub(super) const PACKAGE: Package =
    Package::new("LCK", 0, &[]).needing(Ability::LockstepReports).with(&[("LST", Extension::LockstepTime)]);
