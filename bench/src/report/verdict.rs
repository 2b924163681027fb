//! How a measurement ended.

use std::process::ExitCode;

/// How a measurement ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// All that was asked for held.
    Pass,
    /// It did not, for these reasons.
    Fail(Vec<String>),
    /// It did not, but the harness or the machine may be why.
    Inconclusive(Vec<String>),
}

impl Verdict {
    /// The verdict over both: what one alone has failed has failed.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Pass, other) => other,
            (verdict, Self::Pass) => verdict,
            (Self::Inconclusive(ours), Self::Inconclusive(theirs)) => {
                Self::Inconclusive([ours, theirs].concat())
            }
            (
                Self::Fail(ours) | Self::Inconclusive(ours),
                Self::Fail(theirs) | Self::Inconclusive(theirs),
            ) => Self::Fail([ours, theirs].concat()),
        }
    }

    /// What the process ends with: 0, 1, or 3 where nothing can be said of the gateway.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Pass => 0,
            Self::Fail(_) => 1,
            Self::Inconclusive(_) => 3,
        })
    }

    /// Why it is not a pass.
    pub(crate) fn reasons(&self) -> &[String] {
        self.words().1
    }

    /// PASS, FAIL or INCONCLUSIVE.
    pub(crate) fn word(&self) -> &'static str {
        self.words().0
    }

    pub(super) fn words(&self) -> (&'static str, &[String]) {
        match self {
            Self::Pass => ("PASS", &[]),
            Self::Fail(reasons) => ("FAIL", reasons),
            Self::Inconclusive(reasons) => ("INCONCLUSIVE", reasons),
        }
    }
}
