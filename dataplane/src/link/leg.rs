//! How a leg behaves: what control says of it, and a core does.

use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::time::Duration;

use drivers::net::{Dscp, PortSlot};

use super::{Codec, DigitSet, Mode};
use crate::rtp::CLOCK_RATE;

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
    /// Who the peer is, as far as that is known.
    pub peer: Peer,
    /// What is sent.
    pub send: Format,
    /// What is understood.
    pub receive: Formats,
    /// The payload type under which telephone-events come (RFC 4733), if they were agreed on.
    pub receive_events: Option<u8>,
    /// How the peer is told of digits that are heard on the line or played to it, if that was agreed on:
    /// as telephone-events, and no longer in the audio. Not where `send` carries data.
    pub send_events: Option<EventFormat>,
    /// Milliseconds in a packet sent: 5, 10, 20, 30, 40 or 60.
    pub ptime_ms: NonZeroU8,
    /// The jitter buffer's bounds.
    pub jitter: JitterBounds,
    /// Whether the line may answer it with an echo: it carries voice, and over a network. With data there is
    /// none, and between two lines of the gateway none that would come late enough to be heard.
    pub has_echo: bool,
    /// The mark on what is sent.
    pub dscp: Dscp,
}

/// A relay of one core, numbered by control: 0 up to, but not including, [`Limits::relays`](crate::limits::Limits::relays).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RelayId(pub u32);

/// How one connection of a relay behaves.
///
/// A packet that comes from its peer goes on, in the tick in which it is taken, to the peers of the
/// relay's other connections, if this one's mode receives (`recvonly`, `sendrecv`, `confrnce`) and
/// theirs sends (`sendonly`, `sendrecv`, `confrnce`). In `loopback` and `netwloop` it goes back to the
/// peer it came from, and nowhere else; in all other modes nowhere. All of it is as it came, SSRC,
/// sequence number, timestamp and any codec's payload, but for the payload type, which is the one that
/// the receiving side knows.
// RFC 3550 §7.1: what keeps SSRCs is a translator; §7.2: it passes RTCP on as well. The two ends see
// each other's losses, and nothing is ours to report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RelayLeg {
    /// Who hears whom.
    pub mode: Mode,
    /// Who the peer is, as far as that is known; never [`Peer::Local`].
    pub peer: Peer,
    /// What payload types mean to this peer.
    pub types: PayloadTypes,
    /// What its timestamps count.
    pub clocks: ClockRates,
    /// The mark on what is sent.
    pub dscp: Dscp,
}

/// Payload types of one peer, and what they are called in the relay: up to [`Self::MAX`] that differ.
///
/// What comes from the peer under `theirs` is known in the relay as `common`, and what is known as
/// `common` is sent to it under `theirs`. All others pass unchanged. Where there are two connections,
/// the types of one can be the common ones: it needs no entries then.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PayloadTypes([Option<PayloadType>; Self::MAX]);

/// One payload type under its two numbers, each 0 to 127.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PayloadType {
    /// What the peer calls it.
    pub theirs: u8,
    /// What the relay calls it.
    pub common: u8,
}

impl PayloadTypes {
    /// How many there is room for.
    pub const MAX: usize = 16;

    /// All are the same on both sides.
    pub const SAME: Self = Self([None; Self::MAX]);

    /// The first [`Self::MAX`] of `types`. Of two for one number the first counts.
    pub fn new(types: impl IntoIterator<Item = PayloadType>) -> Self {
        let mut all = Self::SAME;
        for (place, payload_type) in all.0.iter_mut().zip(types) {
            *place = Some(payload_type);
        }
        all
    }

    /// What the relay calls what comes from the peer under `theirs`.
    pub fn common(&self, theirs: u8) -> u8 {
        self.iter().find(|one| one.theirs == theirs).map_or(theirs, |one| one.common)
    }

    /// Under what the peer is sent what the relay calls `common`.
    pub fn theirs(&self, common: u8) -> u8 {
        self.iter().find(|one| one.common == common).map_or(common, |one| one.theirs)
    }

    fn iter(&self) -> impl Iterator<Item = PayloadType> + '_ {
        self.0.iter().map_while(|one| *one)
    }
}

/// What the timestamps of a peer's payload types count, where that is not 8,000 Hz: up to [`Self::MAX`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ClockRates([Option<(u8, u32)>; Self::MAX]);

impl ClockRates {
    /// How many there is room for.
    pub const MAX: usize = 4;

    /// All count 8,000 Hz.
    pub const USUAL: Self = Self([None; Self::MAX]);

    /// Of payload types and their clock rates in Hz, the first [`Self::MAX`] that are not usual, but no more
    /// than 1 MHz.
    pub fn new(rates: impl IntoIterator<Item = (u8, u32)>) -> Self {
        let mut all = Self::USUAL;
        let unusual = rates.into_iter().filter(|(_, hz)| *hz != CLOCK_RATE && (1..=1_000_000).contains(hz));
        for (place, rate) in all.0.iter_mut().zip(unusual) {
            *place = Some(rate);
        }
        all
    }

    /// What those of a payload type count, in Hz.
    pub fn of(&self, payload_type: u8) -> u32 {
        let mut rates = self.0.iter().map_while(|rate| *rate);
        rates.find(|(number, _)| *number == payload_type).map_or(CLOCK_RATE, |(_, hz)| hz)
    }
}

/// What is known of the other end of a leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Peer {
    /// No remote description has come yet: whoever sends is taken for it (RFC 3435 §2.3.5).
    Undescribed,
    /// Its description names no address: it is on hold, and nobody else is taken for it.
    OnHold,
    /// It is there.
    At(Remote),
    /// It is another leg of this core, on the pair of this RTP slot: a local connection (RFC 3435
    /// §2.1.3.4). Octets go straight from one DS0 to the other, as long as each leg names the other
    /// as its peer; no packet is made of them. Only the codec of `send` counts: from clearmode octets
    /// pass as they are, from all others in the law of the line that they go to.
    ///
    /// Two DS0s of different cores speak RTP to each other's address instead.
    Local(PortSlot),
}

impl Peer {
    /// Where it is.
    pub const fn remote(&self) -> Option<Remote> {
        match self {
            Self::Undescribed | Self::OnHold | Self::Local(_) => None,
            Self::At(remote) => Some(*remote),
        }
    }

    /// The leg of this core that it is.
    pub const fn local(&self) -> Option<PortSlot> {
        match self {
            Self::Undescribed | Self::OnHold | Self::At(_) => None,
            Self::Local(port) => Some(*port),
        }
    }

    /// Whether it is named, and another than the one before it: than `old`, or than whoever was heard while
    /// that had no name. A new peer is a new source.
    pub(crate) fn is_another(&self, old: &Self, heard_from: Option<SocketAddr>) -> bool {
        let known = old.remote().map(|remote| remote.rtp).or(heard_from);
        known.zip(self.remote()).is_some_and(|(known, remote)| !is_same(known, remote.rtp))
    }

    /// Whether a datagram from `from` can be its, given the address that is looked at.
    pub fn may_be(&self, from: SocketAddr, address: impl Fn(&Remote) -> SocketAddr) -> bool {
        match self {
            Self::Undescribed => true,
            Self::OnHold | Self::Local(_) => false,
            Self::At(remote) => is_same(address(remote), from),
        }
    }
}

/// The same address and port. Scope and flow label of an IPv6 address are not the peer's to know.
fn is_same(a: SocketAddr, b: SocketAddr) -> bool {
    a.ip() == b.ip() && a.port() == b.port()
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

/// Telephone-events (RFC 4733) as a peer takes them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventFormat {
    /// The RTP payload type, 0 to 127.
    pub payload_type: u8,
    /// The digits that it understands.
    pub digits: DigitSet,
}

/// Up to four formats.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Formats([Option<Format>; Self::MAX]);

impl Formats {
    /// How many there is room for.
    pub const MAX: usize = 4;

    /// No format.
    pub const NONE: Self = Self([None; Self::MAX]);

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
