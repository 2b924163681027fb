//! Connection modes and who hears whom (RFC 3435 §2.3.1 and Appendix D).

use std::fmt;

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

    /// Whether it is one of the modes that Appendix D calls active.
    pub const fn is_active(self) -> bool {
        matches!(self, Self::SendOnly | Self::ReceiveOnly | Self::SendReceive | Self::Conference)
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
