//! Return codes and reason codes (RFC 3435 §2.4, §2.5; RFC 3661).

/// A three-digit return code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReturnCode(pub u16);

/// A three-digit reason code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReasonCode(pub u16);
