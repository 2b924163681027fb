//! The fax call that is heard on a line, and whether that is news (RFC 3660 §2.1, RFC 5347 §2.2.2).
//!
//! A fax machine calls every 3.5 s and begins each of its messages alike. `G/ft` tells that it is there: once,
//! until it has been silent for a while or a new request asks. `FXR/nopfax` tells that the call is one of
//! fax machines, which it stays.

use std::time::Duration;

use drivers::time::Instant;

use crate::mgcp::name::ConnectionId;

/// What was heard of a fax machine on an endpoint's line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Fax(Option<Heard>);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Heard {
    at: Instant,
    call: Option<ConnectionId>,
    request: u32,
    /// Whether it has been told that the call is one of fax machines.
    is_call_told: bool,
}

/// A sound of a fax machine, and what counts in how much of a novelty it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sounded {
    /// When it was heard.
    pub at: Instant,
    /// In which call: that of the endpoint's oldest connection.
    pub call: Option<ConnectionId>,
    /// The request in force, by how many have been.
    pub request: u32,
    /// Whether somebody wants to know that the call is one of fax machines.
    pub is_call_wanted: bool,
}

/// What a sound of a fax machine says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct News {
    /// A fax machine is heard.
    pub is_heard_anew: bool,
    /// The call is one of fax machines, which is wanted and has not been told.
    pub is_new_call: bool,
}

impl Fax {
    /// A fax machine was heard.
    pub fn heard(&mut self, sounded: Sounded) -> News {
        let Sounded { at, call, request, is_call_wanted } = sounded;
        let before = self.0.filter(|before| before.call == call);
        let is_heard_anew =
            before.is_none_or(|before| at.since(before.at) >= SILENCE || before.request != request);
        // Without a connection there is no call but what is heard.
        let same_call = before.filter(|_| call.is_some() || !is_heard_anew);
        let was_told = same_call.is_some_and(|before| before.is_call_told);
        self.0 = Some(Heard { at, call, request, is_call_told: was_told || is_call_wanted });
        News { is_heard_anew, is_new_call: is_call_wanted && !was_told }
    }
}

/// ITU-T T.30: a machine that calls is silent for 3 s at a time, give or take 15 %.
const SILENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    /// What is news of a sound in a call (none if 0) under a request by which the call is wanted.
    fn heard(fax: &mut Fax, ms: u64, call: u64, request: u32) -> (bool, bool) {
        sounded(fax, ms, call, request, true)
    }

    fn sounded(fax: &mut Fax, ms: u64, call: u64, request: u32, is_call_wanted: bool) -> (bool, bool) {
        let call = (call > 0).then(|| call.into());
        let at = Instant::from_nanos(ms * 1_000_000);
        let News { is_heard_anew, is_new_call } = fax.heard(Sounded { at, call, request, is_call_wanted });
        (is_heard_anew, is_new_call)
    }

    #[test]
    fn a_call_is_one_of_fax_machines_once_and_they_are_heard_again_after_a_silence_or_a_request() {
        let mut fax = Fax::default();
        assert_eq!(heard(&mut fax, 1_000, 7, 1), (true, true));
        assert_eq!(heard(&mut fax, 4_500, 7, 1), (false, false), "the same machine");
        assert_eq!(heard(&mut fax, 8_000, 7, 2), (true, false));
        assert_eq!(heard(&mut fax, 60_000, 7, 2), (true, false), "the next page");
        assert_eq!(heard(&mut fax, 61_000, 8, 2), (true, true), "another call");
    }

    #[test]
    fn without_a_connection_a_silence_or_a_request_begins_a_call() {
        let mut fax = Fax::default();
        assert_eq!(heard(&mut fax, 1_000, 0, 1), (true, true));
        assert_eq!(heard(&mut fax, 4_500, 0, 1), (false, false));
        assert_eq!(heard(&mut fax, 9_600, 0, 1), (true, true));
        assert_eq!(heard(&mut fax, 9_700, 0, 2), (true, true));
    }

    #[test]
    fn a_call_is_told_once_it_is_wanted() {
        for call in [0, 7] {
            let mut fax = Fax::default();
            assert_eq!(sounded(&mut fax, 1_000, call, 1, false), (true, false));
            assert_eq!(sounded(&mut fax, 4_500, call, 1, false), (false, false));
            assert_eq!(sounded(&mut fax, 8_000, call, 2, true), (true, true));
            assert_eq!(sounded(&mut fax, 9_000, call, 2, true), (false, false));
        }
    }
}
