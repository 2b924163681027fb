//! DM1: the letter P of digit maps (RFC 3660 §2.7), which [`DigitMap`](crate::mgcp::digit_map::DigitMap)
//! understands. It is of use where digits are detected.

use super::Package;
use super::ability::Ability;

pub(super) const PACKAGE: Package = Package::new("DM1", 0, &[]).needing(Ability::DigitDetection);
