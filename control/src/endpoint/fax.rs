//! The fax call that is heard on a line, and whether that is news (RFC 3660 §2.1, RFC 5347 §2.2.2).
//!
//! A fax machine calls every 3.5 s and begins each of its messages alike. `G/ft` tells that it is there: once,
//! until it has been silent for a while or a new request asks. `FXR/nopfax` tells that the call is one of
//! fax machines, which it stays.

use std::time::Duration;

use drivers::time::Instant;

use crate::mgcp::name::ConnectionId;

/// What was heard of a fax machine at an endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Fax {
    /// When it was heard last, and in which call: that of the endpoint's oldest connection.
    last: Option<(Instant, Option<ConnectionId>)>,
    /// Whether nobody has asked for it anew since.
    is_told: bool,
}

/// What a sound of a fax machine says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct News {
    /// A fax machine is heard.
    pub is_heard_anew: bool,
    /// The call is one of fax machines.
    pub is_new_call: bool,
}

impl Fax {
    /// A fax machine was heard at `at`.
    pub fn heard(&mut self, at: Instant, call: Option<ConnectionId>) -> News {
        let last = self.last.replace((at, call));
        let goes_on = last.is_some_and(|(last, other)| other == call && at.since(last) < SILENCE);
        // Without a connection there is no call but what is heard.
        let is_same_call = match call {
            Some(_) => last.is_some_and(|(_, other)| other == call),
            None => goes_on && self.is_told,
        };
        let is_heard_anew = !(goes_on && self.is_told);
        self.is_told = true;
        News { is_heard_anew, is_new_call: !is_same_call }
    }

    /// A new request has been granted.
    pub fn asked(&mut self) {
        self.is_told = false;
    }
}

/// ITU-T T.30: a machine that calls is silent for 3 s at a time, give or take 15 %.
const SILENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(fax: &mut Fax, ms: u64, call: u64) -> (bool, bool) {
        let call = (call > 0).then(|| call.into());
        let News { is_heard_anew, is_new_call } = fax.heard(Instant::from_nanos(ms * 1_000_000), call);
        (is_heard_anew, is_new_call)
    }

    #[test]
    fn a_call_is_one_of_fax_machines_once_and_they_are_heard_again_after_a_silence_or_a_request() {
        let mut fax = Fax::default();
        assert_eq!(heard(&mut fax, 1_000, 7), (true, true));
        assert_eq!(heard(&mut fax, 4_500, 7), (false, false), "the same machine");
        fax.asked();
        assert_eq!(heard(&mut fax, 8_000, 7), (true, false));
        assert_eq!(heard(&mut fax, 60_000, 7), (true, false), "the next page");
        assert_eq!(heard(&mut fax, 61_000, 8), (true, true), "another call");
    }

    #[test]
    fn without_a_connection_a_silence_or_a_request_begins_a_call() {
        let mut fax = Fax::default();
        assert_eq!(heard(&mut fax, 1_000, 0), (true, true));
        assert_eq!(heard(&mut fax, 4_500, 0), (false, false));
        assert_eq!(heard(&mut fax, 9_600, 0), (true, true));
        fax.asked();
        assert_eq!(heard(&mut fax, 9_700, 0), (true, true));
    }
}
