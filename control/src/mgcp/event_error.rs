//! What is wrong with a list of events, or with a digit map in one: both are read by the grammar of RFC
//! 3435 Appendix A.

use super::code::ReturnCode;

/// What is wrong with a list of events or a digit map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventError {
    /// Where in the parameter's value.
    pub offset: usize,
    /// The rule of RFC 3435's grammar (Appendix A) that is broken.
    pub rule: &'static str,
    /// What to answer.
    pub code: ReturnCode,
}
