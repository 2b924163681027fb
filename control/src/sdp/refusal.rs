//! Why media cannot be agreed on, and with which return code that is told (RFC 3435 §2.4).

use std::fmt;

use super::parse::{Fault, ParseError};
use crate::mgcp::code::ReturnCode;

/// Why media could not be agreed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The remote description cannot be read, or makes no sense.
    Broken(ParseError),
    /// The remote description asks for what we do not do.
    Unsupported(&'static str),
    /// Options and remote description contradict each other.
    Conflict,
    /// The options contradict themselves.
    Inconsistent,
    /// No codec is left (§2.6 steps 2 and 4).
    NoCommonCodec,
}

impl Refusal {
    /// The return code for it (RFC 3435 §2.4).
    pub const fn code(self) -> ReturnCode {
        match self {
            Self::Broken(ParseError { fault: Fault::Wrong(_), .. }) => ReturnCode::REMOTE_ERROR,
            Self::Broken(ParseError { fault: Fault::Unsupported(_), .. }) | Self::Unsupported(_) => {
                ReturnCode::REMOTE_UNSUPPORTED
            }
            Self::Conflict => ReturnCode::LOCAL_AND_REMOTE_CONFLICT,
            Self::Inconsistent => ReturnCode::OPTIONS_INCONSISTENT,
            Self::NoCommonCodec => ReturnCode::NO_COMMON_CODEC,
        }
    }
}

impl From<ParseError> for Refusal {
    fn from(error: ParseError) -> Self {
        Self::Broken(error)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(error) => write!(f, "remote description, {error}"),
            Self::Unsupported(what) => write!(f, "remote description: {what}"),
            Self::Conflict => f.write_str("options and remote description contradict each other"),
            Self::Inconsistent => f.write_str("a range of the options is upside down"),
            Self::NoCommonCodec => f.write_str("no codec that all sides have"),
        }
    }
}

impl std::error::Error for Refusal {}
