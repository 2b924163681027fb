//! The words between control and a core.
//!
//! Control sends [`Order`]s and hears [`Report`]s. An order cannot fail: whatever can run out is
//! kept by control. MGCP owns "command", "event", "signal"; these words are the ring's. `leg` has those
//! for how a leg behaves, `ring` is what carries them all.

use drivers::line::{Ds0, Law, SpanId};
use drivers::net::PortSlot;
use drivers::span::SpanEvent;
use drivers::time::Instant;

mod leg;
mod ring;

pub use self::leg::{
    ClockRates, EventFormat, Format, Formats, Identity, JitterBounds, Leg, PayloadType, PayloadTypes, Peer,
    RelayId, RelayLeg, Remote,
};
pub(crate) use self::ring::memory;
pub use self::ring::{ControlEnd, CoreEnd, pair};
pub use crate::codec::Codec;
pub use crate::dsp::echo_canceller::EchoSettings;
pub use crate::mode::Mode;
pub use crate::observation::{
    CheckTone, DetectorSet, Digit, DigitSet, MediaEvent, Milliwatt, Observation, Sound,
};
pub use crate::stats::ConnectionStats;
pub use crate::supervision::{Quality, Silence, Supervision};
pub use crate::tone_plan::TonePlan;
pub use crate::tone_spec::{Blend, Frequency, Step, ToneSpec};

/// The number of an order, given by control; its report bears it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OrderId(pub u64);

/// What control tells a core to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// Its number.
    pub id: OrderId,
    /// What to do.
    pub action: Action,
}

/// What can be ordered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Makes a connection of a DS0 on an idle port pair.
    Connect {
        /// The DS0.
        ds0: Ds0,
        /// The RTP slot of the pair.
        port: PortSlot,
        /// How the leg presents itself, for as long as it lives.
        identity: Identity,
        /// How it is to behave.
        leg: Leg,
    },
    /// Changes how a connection behaves.
    Modify {
        /// The RTP slot of its pair.
        port: PortSlot,
        /// How it is to behave from now on.
        leg: Leg,
    },
    /// Makes a connection of a relay on an idle port pair: of an endpoint that has no DS0, where what
    /// comes in on one connection goes out on the others as it is.
    ConnectRelay {
        /// The relay; one that has no connection is none.
        relay: RelayId,
        /// The RTP slot of the pair.
        port: PortSlot,
        /// How it is to behave.
        leg: RelayLeg,
    },
    /// Changes how a connection of a relay behaves.
    ModifyRelay {
        /// The RTP slot of its pair.
        port: PortSlot,
        /// How it is to behave from now on.
        leg: RelayLeg,
    },
    /// Ends a connection, of a DS0 or of a relay; its pair is idle from then on.
    Disconnect {
        /// The RTP slot of its pair.
        port: PortSlot,
    },
    /// Asks what a connection has seen, of a DS0 or of a relay.
    Survey {
        /// The RTP slot of its pair.
        port: PortSlot,
    },
    /// Sets the law of a DS0's octets on the line (RFC 3435 §2.3.2, bearer information).
    Encode {
        /// The DS0.
        ds0: Ds0,
        /// Its law from now on.
        law: Law,
    },
    /// Has the echo of a DS0 cancelled, as it is unless ordered otherwise, or left alone. Where its span has no
    /// cancellers, nothing comes of it.
    CancelEcho {
        /// The DS0.
        ds0: Ds0,
        /// Whether it is to be cancelled.
        is_wanted: bool,
    },
    /// Listens for these, and for nothing else any more.
    Watch {
        /// Where: to what comes from there.
        side: Side,
        /// For what.
        detectors: DetectorSet,
    },
    /// Looks after a connection's media, for this and nothing else any more; what is measured begins anew.
    Supervise {
        /// The RTP slot of its pair.
        port: PortSlot,
        /// For what.
        wanted: Supervision,
    },
    /// Takes a circuit out of the calls it is in, for the other side to test it, or gives it back to them.
    ///
    /// Nothing passes between the line and the connections meanwhile, whatever their modes.
    Test {
        /// The DS0.
        ds0: Ds0,
        /// What it does; it is given back if `None`.
        test: Option<CircuitTest>,
    },
    /// Plays a tone, beside those that are played there already: [`PLAYS_PER_SIDE`] at most.
    ///
    /// Its end, if it comes by itself, is reported.
    ///
    /// [`PLAYS_PER_SIDE`]: crate::limits::PLAYS_PER_SIDE
    Play {
        /// Where to.
        side: Side,
        /// What it is stopped and reported by: different from all others there.
        play: PlayId,
        /// What it is.
        tone: ToneSpec,
    },
    /// Stops a tone; nothing happens if it has come to its end before.
    Stop {
        /// Where it is played.
        side: Side,
        /// Which.
        play: PlayId,
    },
}

/// What a circuit does for a test that the other side makes (RFC 3660 §2.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CircuitTest {
    /// What comes from the line goes back to it.
    Loopback,
    /// This tone is answered by the other one.
    Transponder(CheckTone),
}

/// One of the two sides between which a gateway stands, of one DS0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Side {
    /// The line.
    Line(Ds0),
    /// The network: the connection on the pair of this RTP slot. What was ordered for it ends with it.
    Network(PortSlot),
}

/// The number of a tone that is played, given by control.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PlayId(pub u32);

/// What a core tells control.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Report {
    /// An order has been carried out. Exactly one an order, in the order of the orders.
    Done {
        /// The order's number.
        id: OrderId,
        /// What came of it.
        outcome: Outcome,
    },
    /// Something happened to a span.
    Span {
        /// The span.
        span: SpanId,
        /// What happened.
        event: SpanEvent,
    },
    /// Something happened that was watched for, or to a tone that was played.
    Observed {
        /// Where.
        side: Side,
        /// When: of a sound, when it began or ended, not when it was recognised.
        at: Instant,
        /// What.
        what: Observation,
    },
}

/// What came of an order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was done, and this is what the connection has seen (Disconnect, Survey).
    Seen(ConnectionStats),
}

const _: () = assert!(size_of::<Order>() <= 192, "an order is three cache lines at most");
