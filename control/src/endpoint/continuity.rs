//! Continuity tests that are made from here (RFC 3660 §2.3, §2.10; ITU-T Q.724 §7).
//!
//! The tones are played and heard by others; here is what they mean.
//!
//! ```text
//!            start              return tone heard                 return tone gone
//!  (none) ──────────▶ Going ──────────────────────▶ Returning ──────────────────────▶ passed
//!                  go tone sounds             go tone is taken away
//! ```
//!
//! A test that does not get there ends with its signal: then time is up, or a request has stopped it.

use dataplane::link::CheckTone;

use super::signal::{PlayId, Scope};
use crate::mgcp::name::ConnectionId;

/// The tests of one endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Continuity(Vec<Test>);

/// One test.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Test {
    /// The go tone.
    play: PlayId,
    /// Where.
    scope: Scope,
    /// The return tone, once it has been heard.
    returning: Option<CheckTone>,
}

impl Continuity {
    /// The go tone of a test begins to sound.
    pub fn start(&mut self, play: PlayId, scope: Scope) {
        self.0.push(Test { play, scope, returning: None });
    }

    /// The signal of a test has ended, whether there was one or not.
    pub fn stop(&mut self, play: PlayId) {
        self.0.retain(|test| test.play != play);
    }

    /// A connection has been deleted, and with it the tests on it.
    pub fn forget(&mut self, connection: ConnectionId) {
        self.0.retain(|test| test.scope != Scope::Connection(connection));
    }

    /// A tone has been heard somewhere that is awaited as return tone; the go tone to be taken away.
    // RFC 3660 §2.3: once the return tone is received, the go tone is removed.
    pub fn began(&mut self, at: impl Fn(Scope) -> bool, tone: CheckTone) -> Option<PlayId> {
        let test = self.0.iter_mut().find(|test| at(test.scope) && test.returning.is_none())?;
        test.returning = Some(tone);
        Some(test.play)
    }

    /// A tone is no longer heard; the test that has passed with that.
    // RFC 3660 §2.3: success is told only when the return tone has been removed as well.
    pub fn ended(&mut self, at: impl Fn(Scope) -> bool, tone: CheckTone) -> Option<PlayId> {
        let passed = |test: &Test| at(test.scope) && test.returning == Some(tone);
        let index = self.0.iter().position(passed)?;
        Some(self.0.remove(index).play)
    }

    /// Whether a test is made somewhere.
    pub fn is_tested(&self, at: impl Fn(Scope) -> bool) -> bool {
        self.0.iter().any(|test| at(test.scope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GO: PlayId = PlayId(7);

    fn line(scope: Scope) -> bool {
        scope.holds(None)
    }

    #[test]
    fn a_test_passes_when_the_return_tone_has_come_and_gone() {
        let mut continuity = Continuity::default();
        continuity.start(GO, Scope::Endpoint);
        assert!(continuity.is_tested(line));
        assert_eq!(continuity.ended(line, CheckTone::Co2), None);
        assert_eq!(continuity.began(line, CheckTone::Co2), Some(GO));
        assert_eq!(continuity.began(line, CheckTone::Co2), None, "it is taken away once");
        assert_eq!(continuity.ended(line, CheckTone::Co1), None);
        assert_eq!(continuity.ended(line, CheckTone::Co2), Some(GO));
        assert!(!continuity.is_tested(line));
    }

    #[test]
    fn what_is_heard_elsewhere_or_of_a_test_that_has_ended_is_nothing() {
        let mut continuity = Continuity::default();
        continuity.start(GO, Scope::AllConnections);
        assert_eq!(continuity.began(line, CheckTone::Co2), None);
        continuity.stop(GO);
        assert_eq!(continuity.began(|scope| scope.holds(Some(5.into())), CheckTone::Co2), None);
    }
}
