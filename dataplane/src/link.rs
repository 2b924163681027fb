//! The words between control and a core, and the ring pair that carries them.
//!
//! Control sends [`Order`]s and hears [`Report`]s. An order cannot fail: whatever can run out is
//! kept by control. MGCP owns "command", "event", "signal"; these words are the ring's.

use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::time::Duration;

use drivers::line::{Ds0, Law, SpanId};
use drivers::net::{Dscp, PortSlot};
use drivers::span::SpanEvent;

pub use crate::codec::Codec;
pub use crate::mode::Mode;
pub use crate::stats::ConnectionStats;

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
    /// Ends a connection; its pair is idle from then on.
    Disconnect {
        /// The RTP slot of its pair.
        port: PortSlot,
    },
    /// Asks what a connection has seen.
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
}

/// How a leg presents itself to its peer, drawn at random by control (RFC 3550 §5.1, RFC 7022).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The synchronisation source.
    pub ssrc: u32,
    /// The first sequence number.
    pub sequence: u16,
    /// The first timestamp.
    pub timestamp: u32,
    /// The canonical name in RTCP: 96 random bits in base64 (RFC 7022 §4.2).
    pub cname: [u8; 16],
}

/// How one RTP leg behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leg {
    /// Who hears whom.
    pub mode: Mode,
    /// Where the peer is; `None` while no remote description is known.
    pub remote: Option<Remote>,
    /// What is sent.
    pub send: Format,
    /// What is understood.
    pub receive: Formats,
    /// Milliseconds in a packet sent: 5, 10, 20, 30, 40 or 60.
    pub ptime_ms: NonZeroU8,
    /// The jitter buffer's bounds.
    pub jitter: JitterBounds,
    /// The mark on what is sent.
    pub dscp: Dscp,
}

/// Where a peer receives, and where it must send from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Remote {
    /// Its RTP address.
    pub rtp: SocketAddr,
    /// Its RTCP address: the next port unless `a=rtcp` says otherwise (RFC 3605).
    pub rtcp: SocketAddr,
}

/// A codec under its payload type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Format {
    /// The RTP payload type, 0 to 127.
    pub payload_type: u8,
    /// What it carries.
    pub codec: Codec,
}

/// Up to four formats.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Formats([Option<Format>; Self::MAX]);

impl Formats {
    /// How many there is room for.
    pub const MAX: usize = 4;

    /// The first [`Self::MAX`] of `formats`.
    pub fn new(formats: impl IntoIterator<Item = Format>) -> Self {
        let mut all = Self::default();
        for (place, format) in all.0.iter_mut().zip(formats) {
            *place = Some(format);
        }
        all
    }

    /// What a payload type carries, if it is one of these.
    pub fn codec(&self, payload_type: u8) -> Option<Codec> {
        self.iter().find(|format| format.payload_type == payload_type).map(|format| format.codec)
    }

    /// The formats, in order of preference.
    pub fn iter(&self) -> impl Iterator<Item = Format> + '_ {
        self.0.iter().flatten().copied()
    }
}

/// How long octets wait in the jitter buffer before they are played.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JitterBounds {
    /// At the start, and on a clean network always.
    pub nominal_ms: u16,
    /// At most, however late packets come.
    pub max_ms: u16,
    /// Whether the delay may change during the connection.
    pub adaptive: bool,
}

impl JitterBounds {
    /// The wait at the start.
    pub const fn nominal(&self) -> Duration {
        Duration::from_millis(self.nominal_ms as u64)
    }
}

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
