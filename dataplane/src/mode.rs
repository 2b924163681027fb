//! Connection modes and who hears whom (RFC 3435 §2.3.1 and Appendix D).
//!
//! A `Mix` is worked out when an order changes a mode, never in the tick: the tick only follows
//! it. A DS0's connections are known here by their place, 0 to 3.

use std::fmt;

use crate::limits::CONNECTIONS_PER_ENDPOINT;

/// The mode of a connection (RFC 3435 §3.2.2.6).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mode {
    /// Packets go out only.
    SendOnly,
    /// Packets come in only.
    ReceiveOnly,
    /// Packets go both ways.
    SendReceive,
    /// Both ways, and what comes in also goes to the endpoint's other conference connections.
    Conference,
    /// Neither way.
    Inactive,
    /// The circuit's own octets go back to the circuit.
    Loopback,
    /// The circuit answers continuity tones as a transponder.
    ContinuityTest,
    /// What comes in on the connection goes back out on it.
    NetworkLoopback,
    /// The connection answers continuity tones as a transponder.
    NetworkContinuityTest,
}

impl Mode {
    /// All modes, in the order of RFC 3435 §3.2.2.6.
    pub const ALL: [Self; 9] = [
        Self::SendOnly,
        Self::ReceiveOnly,
        Self::SendReceive,
        Self::Conference,
        Self::Inactive,
        Self::Loopback,
        Self::ContinuityTest,
        Self::NetworkLoopback,
        Self::NetworkContinuityTest,
    ];

    /// Whether the endpoint hears what comes in on such a connection.
    pub(crate) const fn is_heard(self) -> bool {
        matches!(self, Self::ReceiveOnly | Self::SendReceive | Self::Conference)
    }

    /// Whether what the endpoint says goes out on such a connection.
    pub(crate) const fn is_fed(self) -> bool {
        matches!(self, Self::SendOnly | Self::SendReceive | Self::Conference)
    }
}

/// The word that MGCP has for it.
impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::SendOnly => "sendonly",
            Self::ReceiveOnly => "recvonly",
            Self::SendReceive => "sendrecv",
            Self::Conference => "confrnce",
            Self::Inactive => "inactive",
            Self::Loopback => "loopback",
            Self::ContinuityTest => "conttest",
            Self::NetworkLoopback => "netwloop",
            Self::NetworkContinuityTest => "netwtest",
        })
    }
}

/// What one DS0 does with its circuit and its connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mix {
    /// What the circuit is used for.
    pub circuit: Circuit,
    /// The connections that the circuit hears (`Ho` in Appendix D).
    pub to_circuit: Places,
    /// What goes out on each connection (`Ao`, `Bo`).
    pub to_connection: [Sources; CONNECTIONS_PER_ENDPOINT],
}

/// What a circuit is used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Circuit {
    /// It takes part in the mix.
    Open,
    /// Its own octets go back to it.
    Loopback,
    /// It answers the tones of a continuity test, for the connection at this place.
    Transponder(u8),
    /// The same, for nobody but the call agent (RFC 3660 §2.3, T/ct).
    OwnTransponder,
}

/// What goes out on one connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sources {
    /// What comes in from the circuit (`Hi`).
    pub circuit: bool,
    /// What comes in on these connections (`Ai`, `Bi`).
    pub connections: Places,
    /// Whether it goes through a transponder on its way.
    pub transponder: bool,
}

/// A set of a DS0's connections, by place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Places(u8);

impl Mix {
    /// Nothing goes anywhere.
    pub(crate) const IDLE: Self = Self {
        circuit: Circuit::Open,
        to_circuit: Places::NONE,
        to_connection: [Sources::NONE; CONNECTIONS_PER_ENDPOINT],
    };

    /// The circuit and its only connection hear each other.
    pub(crate) const PLAIN: Self = Self {
        circuit: Circuit::Open,
        to_circuit: Places::NONE.with(0),
        to_connection: [
            Sources { circuit: true, ..Sources::NONE },
            Sources::NONE,
            Sources::NONE,
            Sources::NONE,
        ],
    };

    /// Who hears whom on an endpoint whose connections have these modes, oldest first.
    ///
    /// A circuit that is used for a `test` is so whatever the modes are.
    pub(crate) fn of(modes: &[Option<Mode>; CONNECTIONS_PER_ENDPOINT], test: Option<Circuit>) -> Self {
        let places = |is: fn(Mode) -> bool| {
            modes
                .iter()
                .enumerate()
                .filter(|(_, mode)| mode.is_some_and(is))
                .map(|(place, _)| place)
                .collect()
        };
        let conference: Places = places(|mode| mode == Mode::Conference);
        let circuit = test.unwrap_or_else(|| Circuit::of(modes));
        // RFC 3435 §2.3.1: a circuit under loopback or continuity test neither hears nor feeds any
        // connection; forwarding between conference connections goes on.
        let open = circuit == Circuit::Open;
        let to_connection = std::array::from_fn(|place| match modes[place] {
            None => Sources::NONE,
            // What comes in on the connection goes back on it, and nowhere else.
            Some(mode @ (Mode::NetworkLoopback | Mode::NetworkContinuityTest)) => Sources {
                circuit: false,
                connections: Places::NONE.with(place),
                transponder: mode == Mode::NetworkContinuityTest,
            },
            Some(mode) => Sources {
                circuit: open && mode.is_fed(),
                connections: if mode == Mode::Conference { conference.without(place) } else { Places::NONE },
                transponder: false,
            },
        });
        Self { circuit, to_circuit: if open { places(Mode::is_heard) } else { Places::NONE }, to_connection }
    }

    /// The connections whose incoming media go anywhere at all.
    pub(crate) fn inputs(&self) -> Places {
        self.to_connection.iter().fold(self.to_circuit, |all, sources| all.and(sources.connections))
    }

    /// The connections whose incoming media go to other connections, or back out on their own.
    pub(crate) fn forwarded(&self) -> Places {
        self.to_connection.iter().fold(Places::NONE, |all, sources| all.and(sources.connections))
    }
}

impl Circuit {
    // RFC 3435 §2.3.1: a maintenance mode goes on undisturbed while connections agree on it. Where
    // they do not, which the RFC leaves open, the oldest connection's test goes on.
    fn of(modes: &[Option<Mode>]) -> Self {
        modes
            .iter()
            .enumerate()
            .find_map(|(place, mode)| match mode {
                Some(Mode::Loopback) => Some(Self::Loopback),
                Some(Mode::ContinuityTest) => Some(Self::Transponder(place as u8)),
                _ => None,
            })
            .unwrap_or(Self::Open)
    }
}

impl Sources {
    /// Nothing.
    pub(crate) const NONE: Self = Self { circuit: false, connections: Places::NONE, transponder: false };

    /// Whether there is nothing to send.
    pub(crate) const fn is_none(&self) -> bool {
        !self.circuit && self.connections.is_empty()
    }
}

impl Places {
    /// No connection.
    pub(crate) const NONE: Self = Self(0);

    /// This set and `place`.
    #[must_use]
    pub(crate) const fn with(self, place: usize) -> Self {
        Self(self.0 | 1 << place)
    }

    /// This set, but not `place`.
    #[must_use]
    pub(crate) const fn without(self, place: usize) -> Self {
        Self(self.0 & !(1 << place))
    }

    /// This set and `other`.
    #[must_use]
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `place` is in it.
    pub(crate) const fn has(self, place: usize) -> bool {
        self.0 & 1 << place != 0
    }

    /// Whether nothing is in it.
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in it, if it is one alone.
    pub(crate) const fn only(self) -> Option<usize> {
        if self.0.is_power_of_two() { Some(self.0.trailing_zeros() as usize) } else { None }
    }

    /// What is in it, lowest first.
    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        (0..CONNECTIONS_PER_ENDPOINT).filter(move |&place| self.has(place))
    }
}

impl FromIterator<usize> for Places {
    fn from_iter<I: IntoIterator<Item = usize>>(places: I) -> Self {
        places.into_iter().fold(Self::NONE, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use Mode::{
        Conference, ContinuityTest, Inactive, Loopback, NetworkContinuityTest, NetworkLoopback, ReceiveOnly,
        SendOnly, SendReceive,
    };

    fn mix(modes: &[Mode]) -> Mix {
        Mix::of(&std::array::from_fn(|place| modes.get(place).copied()), None)
    }

    /// A stream in the words of Appendix D: `Ao=Hi+Bi`.
    fn stream(out: char, circuit: bool, connections: Places) -> String {
        let hi = circuit.then(|| "Hi".to_owned());
        let heard = connections.iter().map(|place| format!("{}i", name(place)));
        let sources: Vec<String> = hi.into_iter().chain(heard).collect();
        format!("{out}o={}", if sources.is_empty() { "NA".to_owned() } else { sources.join("+") })
    }

    fn name(place: usize) -> char {
        (b'A' + place as u8) as char
    }

    /// All streams of a mix with `n` connections, in the words of Appendix D.
    fn streams(mix: &Mix, n: usize) -> String {
        let outgoing = (0..n).map(|place| {
            let sources = mix.to_connection[place];
            stream(name(place), sources.circuit, sources.connections)
        });
        outgoing.chain([stream('H', false, mix.to_circuit)]).collect::<Vec<_>>().join(" ")
    }

    // RFC 3435 Appendix D, cell by cell: B's mode, A's mode, and the three outgoing streams. "netw"
    // is both network loopback and network continuity test.
    #[test]
    fn two_connections_mix_as_appendix_d_has_it() {
        const NETW: [Mode; 2] = [NetworkLoopback, NetworkContinuityTest];
        let cells: &[(&[Mode], &[Mode], &str)] = &[
            (&[SendOnly], &[SendOnly], "Ao=Hi Bo=Hi Ho=NA"),
            (&[SendOnly], &[ReceiveOnly], "Ao=NA Bo=Hi Ho=Ai"),
            (&[SendOnly], &[SendReceive], "Ao=Hi Bo=Hi Ho=Ai"),
            (&[SendOnly], &[Conference], "Ao=Hi Bo=Hi Ho=Ai"),
            (&[SendOnly], &[Inactive], "Ao=NA Bo=Hi Ho=NA"),
            (&[SendOnly], &NETW, "Ao=Ai Bo=Hi Ho=NA"),
            (&[ReceiveOnly], &[ReceiveOnly], "Ao=NA Bo=NA Ho=Ai+Bi"),
            (&[ReceiveOnly], &[SendReceive], "Ao=Hi Bo=NA Ho=Ai+Bi"),
            (&[ReceiveOnly], &[Conference], "Ao=Hi Bo=NA Ho=Ai+Bi"),
            (&[ReceiveOnly], &[Inactive], "Ao=NA Bo=NA Ho=Bi"),
            (&[ReceiveOnly], &NETW, "Ao=Ai Bo=NA Ho=Bi"),
            (&[SendReceive], &[SendReceive], "Ao=Hi Bo=Hi Ho=Ai+Bi"),
            (&[SendReceive], &[Conference], "Ao=Hi Bo=Hi Ho=Ai+Bi"),
            (&[SendReceive], &[Inactive], "Ao=NA Bo=Hi Ho=Bi"),
            (&[SendReceive], &NETW, "Ao=Ai Bo=Hi Ho=Bi"),
            (&[Conference], &[Conference], "Ao=Hi+Bi Bo=Hi+Ai Ho=Ai+Bi"),
            (&[Conference], &[Inactive], "Ao=NA Bo=Hi Ho=Bi"),
            (&[Conference], &NETW, "Ao=Ai Bo=Hi Ho=Bi"),
            (&[Inactive], &[Inactive], "Ao=NA Bo=NA Ho=NA"),
            (&[Inactive], &NETW, "Ao=Ai Bo=NA Ho=NA"),
            (&NETW, &NETW, "Ao=Ai Bo=Bi Ho=NA"),
        ];
        for (b_modes, a_modes, expected) in cells {
            for (&b, &a) in b_modes.iter().flat_map(|b| a_modes.iter().map(move |a| (b, a))) {
                assert_eq!(streams(&mix(&[a, b]), 2), *expected, "A {a}, B {b}");
            }
        }
    }

    #[test]
    fn one_connection_mixes_as_its_mode_says() {
        let cells = [
            (SendOnly, "Ao=Hi Ho=NA"),
            (ReceiveOnly, "Ao=NA Ho=Ai"),
            (SendReceive, "Ao=Hi Ho=Ai"),
            (Conference, "Ao=Hi Ho=Ai"),
            (Inactive, "Ao=NA Ho=NA"),
            (Loopback, "Ao=NA Ho=NA"),
            (ContinuityTest, "Ao=NA Ho=NA"),
            (NetworkLoopback, "Ao=Ai Ho=NA"),
            (NetworkContinuityTest, "Ao=Ai Ho=NA"),
        ];
        for (mode, expected) in cells {
            assert_eq!(streams(&mix(&[mode]), 1), expected, "{mode}");
        }
        assert_eq!(mix(&[Loopback]).circuit, Circuit::Loopback);
        assert_eq!(mix(&[ContinuityTest]).circuit, Circuit::Transponder(0));
        assert!(mix(&[NetworkContinuityTest]).to_connection[0].transponder);
    }

    // RFC 3435 Appendix D: with three or more, the union of all streams.
    #[test]
    fn three_and_four_connections_mix_to_the_union() {
        assert_eq!(
            streams(&mix(&[Conference, Conference, Conference, ReceiveOnly]), 4),
            "Ao=Hi+Bi+Ci Bo=Hi+Ai+Ci Co=Hi+Ai+Bi Do=NA Ho=Ai+Bi+Ci+Di"
        );
    }

    // RFC 3435 §2.3.1.
    #[test]
    fn a_circuit_under_test_leaves_the_mix_and_the_conference_goes_on() {
        for test in [Loopback, ContinuityTest] {
            assert_eq!(
                streams(&mix(&[Conference, SendReceive, test, Conference]), 4),
                "Ao=Di Bo=NA Co=NA Do=Ai Ho=NA",
                "{test}"
            );
        }
    }

    // RFC 3660 §2.3, T/lb and T/ct.
    #[test]
    fn a_test_of_the_circuit_goes_before_what_connections_want() {
        let modes = [Some(SendReceive), Some(ContinuityTest), None, None];
        for test in [Circuit::Loopback, Circuit::OwnTransponder] {
            let mix = Mix::of(&modes, Some(test));
            assert_eq!((mix.circuit, streams(&mix, 2)), (test, "Ao=NA Bo=NA Ho=NA".to_owned()));
        }
    }

    #[test]
    fn of_two_tests_the_oldest_connections_goes_on() {
        assert_eq!(mix(&[Loopback, ContinuityTest]).circuit, Circuit::Loopback);
        assert_eq!(mix(&[ContinuityTest, Loopback]).circuit, Circuit::Transponder(0));
    }

    #[test]
    fn inputs_are_what_anyone_hears() {
        let mix = mix(&[SendOnly, ReceiveOnly, NetworkLoopback, Inactive]);
        assert_eq!(mix.inputs().iter().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(mix.forwarded().iter().collect::<Vec<_>>(), [2]);
    }
}
