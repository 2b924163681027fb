//! An endpoint: one DS0 or relay as call agents see it, and the connections that end there.
//!
//! What is here is what any control protocol would keep: the circuit, its service state, its
//! connections. What only MGCP knows of an endpoint is in [`Control`]. [`table`] holds them all,
//! [`naming`] knows what they are called, [`restart`] tells call agents of their service state.

pub mod continuity;
pub mod fax;
pub mod naming;
pub mod notify;
pub mod options;
pub mod pressed;
pub mod restart;
pub mod signal;
pub mod table;
pub mod unreachable;

use std::net::SocketAddr;
use std::sync::Arc;

use dataplane::limits::CONNECTIONS_PER_ENDPOINT;
use dataplane::link::{
    Action, Codec, DetectorSet, Identity, JitterBounds, Leg, Peer, PlayId, RelayId, RelayLeg, Remote, Side,
    Supervision,
};
use dataplane::mode::Mode;
use drivers::line::{Ds0, Law};
use drivers::net::{Dscp, PortSlot};
use drivers::time::Instant;

use crate::change::{ExecutionId, Part};
use crate::config::EchoCancellation;
use crate::mgcp::name::{CallId, ConnectionId};
use crate::notified_entity::{Naming, NotifiedEntity};
use crate::package::ability::Source;
use crate::sdp::{Codecs, HalfDescription, LocalDescription, Negotiated, RelayDescription, Relayed};
use crate::topology::CoreId;

use self::options::Options;

/// An endpoint, by its place in the [`table`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EndpointId(pub u32);

/// What an endpoint is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A DS0 of a span (RFC 3435 §2.1.1.1).
    Ds0(Ds0),
    /// A packet relay (§2.1.1.6): it has no line, but two connections that hear each other.
    Relay(RelayId),
    /// The gateway itself (§E.4). It has neither line nor connections.
    Gateway,
}

/// One endpoint and what ends there.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// What it is.
    pub kind: Kind,
    /// The core that carries it.
    pub core: CoreId,
    /// The law of its octets on the line (RFC 3435 §2.3.2).
    pub law: Law,
    /// Its law unless a call agent says otherwise.
    pub line_law: Law,
    /// Who cancels the echo of its line, if anyone.
    pub echo: EchoCancellation,
    /// Whether echo is to be cancelled: what `L: e:` has said last. It matters where `echo` is internal.
    pub cancels_echo: bool,
    /// Why it is out of service; in service if `None`. Out of service it has no connections.
    pub outage: Option<Outage>,
    /// Its connections, oldest first.
    pub connections: Vec<Connection>,
    /// What payload types are called among its connections, if it is a relay.
    pub codecs: Codecs,
    /// The commands under way that change it or its connections.
    pub executing: Vec<ExecutionId>,
    /// What MGCP keeps of it.
    pub control: Control,
}

/// Why an endpoint is out of service.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outage {
    /// Its span has an alarm that leaves no usable octets.
    Alarm,
    /// Its span's driver cannot go on.
    Failure,
    /// The operator wants it so.
    Operator,
    /// The gateway is being shut down.
    Shutdown,
}

impl Outage {
    /// Why, in a word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alarm => "alarm",
            Self::Failure => "failure",
            Self::Operator => "operator",
            Self::Shutdown => "shutdown",
        }
    }
}

/// What MGCP keeps of an endpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Control {
    /// Who is told what happens here (RFC 3435 §2.1.4).
    pub notified: NotifiedEntity,
    /// The commands that have set its law and whom it notifies, by [`Part`]; none if that was not by
    /// a command.
    pub set_by: [Option<ExecutionId>; Part::N],
    /// How it was called by the last command that was carried out, other than an audit.
    pub called: Option<Arc<naming::Called>>,
    /// Its events: which are requested, observed, quarantined, told.
    pub notify: notify::Notify,
    /// Its signals: those that sound, and those that wait.
    pub signals: signal::Signals,
    /// The digit that is being dialled.
    pub pressed: pressed::Pressed,
    /// The continuity tests among its signals.
    pub continuity: continuity::Continuity,
    /// How often the network said that its connections' media were not delivered.
    pub unreachable: unreachable::Unreachable,
    /// The fax machine that is heard on its line.
    pub fax: fax::Fax,
    /// The signal that has made the circuit a loop or a transponder, if one has.
    pub tested: Option<PlayId>,
    /// The signals that the core plays or carries out, and on which side.
    pub playing: Vec<(PlayId, Side)>,
    /// What the core listens for and looks after, on each side.
    pub watching: Vec<Watching>,
    /// The news of its service state that is to be told, or was told last.
    pub news: restart::News,
    /// Whether the call agent has been told of `news`.
    pub announcement: restart::Announcement,
    /// How many endpoints one message about it may name.
    pub breadth: restart::Breadth,
}

/// What a core has been ordered to notice on one side of an endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Watching {
    /// Where.
    pub side: Side,
    /// What it listens for.
    pub detectors: DetectorSet,
    /// What it looks after.
    pub media: Supervision,
    /// By which request: each begins anew with what is measured (RFC 3660 §2.10).
    pub request: u32,
}

/// One connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connection {
    /// Its name: unique in the gateway, and never used again.
    pub id: ConnectionId,
    /// The call it is of.
    pub call: CallId,
    /// The RTP slot of its port pair.
    pub port: PortSlot,
    /// How it presents itself to its peer.
    pub identity: Identity,
    /// Who hears whom.
    pub mode: Mode,
    /// The mark on what it sends.
    pub dscp: Dscp,
    /// What its media are.
    pub media: Media,
    /// The remote description, as it was given.
    pub remote: Option<Box<[u8]>>,
    /// The options that were given for it.
    pub options: Options,
    /// When it will have lasted for long, until that is told (RFC 3660 §2.1, G/ld).
    pub long_at: Option<Instant>,
    /// Whether its call agent does not care for the call's name to be right (Osmocom's `X-Osmo-IGN: C`).
    pub ignores_call: bool,
}

/// What a connection's media are, and what the gateway has said of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Media {
    /// Those of a DS0.
    Ds0 {
        /// The circuit.
        ds0: Ds0,
        /// What was agreed on.
        agreed: Negotiated,
        /// What was said.
        local: LocalDescription,
    },
    /// Those of a relay.
    Relay {
        /// The relay.
        relay: RelayId,
        /// What was found out.
        relayed: Relayed,
        /// What was said.
        local: RelayDescription,
    },
    /// Those of a DS0 that is connected to another of the gateway.
    Local(LocalMedia),
}

/// One half of a connection between two DS0s of the gateway (RFC 3435 §2.1.3.4).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LocalMedia {
    /// The circuit.
    pub ds0: Ds0,
    /// What was agreed on.
    pub agreed: Negotiated,
    /// Where it receives, if the other half is another core's.
    pub rtp: SocketAddr,
    /// What was said.
    pub said: HalfDescription,
    /// The other half, as long as there is one. It names this one in turn.
    pub other: Option<OtherHalf>,
}

/// A connection, and whose it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HalfId {
    /// Its endpoint.
    pub endpoint: EndpointId,
    /// Its name.
    pub connection: ConnectionId,
}

/// The half that another is joined to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OtherHalf {
    /// Which it is.
    pub id: HalfId,
    /// How it is reached.
    pub peer: Peer,
}

impl Media {
    /// Where RTP is received.
    pub const fn rtp(&self) -> SocketAddr {
        match self {
            Self::Ds0 { local, .. } => local.rtp,
            Self::Relay { local, .. } => local.rtp,
            Self::Local(local) => local.rtp,
        }
    }

    /// Writes what was said.
    pub fn describe(&self, into: &mut Vec<u8>) {
        match self {
            Self::Ds0 { local, .. } => local.emit(into),
            Self::Relay { local, .. } => local.emit(into),
            Self::Local(local) => local.said.emit(into),
        }
    }

    /// Where RTP and RTCP are sent, if they are.
    pub const fn remote(&self) -> Option<Remote> {
        match self {
            Self::Ds0 { agreed, .. } => agreed.remote,
            Self::Relay { relayed, .. } => relayed.remote,
            Self::Local(_) => None,
        }
    }
}

impl Endpoint {
    /// An endpoint in service, without connections.
    pub fn new(kind: Kind, core: CoreId, law: Law, echo: EchoCancellation) -> Self {
        Self {
            kind,
            core,
            law,
            line_law: law,
            echo,
            cancels_echo: true,
            outage: None,
            connections: Vec::new(),
            codecs: Codecs::default(),
            executing: Vec::new(),
            control: Control {
                notified: NotifiedEntity::default(),
                called: None,
                set_by: [None; Part::N],
                notify: notify::Notify::new(Arc::default(), notify::DigitTiming::default()),
                signals: signal::Signals::default(),
                pressed: pressed::Pressed::default(),
                continuity: continuity::Continuity::default(),
                unreachable: unreachable::Unreachable::default(),
                fax: fax::Fax::default(),
                tested: None,
                playing: Vec::new(),
                watching: Vec::new(),
                news: restart::News::Restart,
                announcement: restart::Announcement::Settled,
                breadth: restart::Breadth::Any,
            },
        }
    }

    /// Notes whether its echo is to be cancelled; the order for that, if it is new and the gateway's to do.
    pub fn set_cancels_echo(&mut self, is_wanted: bool) -> Option<(CoreId, Action)> {
        let before = std::mem::replace(&mut self.cancels_echo, is_wanted);
        let is_ours = self.echo == EchoCancellation::Internal && before != is_wanted;
        let ds0 = self.ds0().filter(|_| is_ours)?;
        Some((self.core, Action::CancelEcho { ds0, is_wanted }))
    }

    /// When the next of its connections has lasted for long, if someone wants to know.
    pub fn long_due(&self) -> Option<Instant> {
        let watches = |connection: &&Connection| {
            connection.long_at.is_some() && self.is_watched(Some(connection.id), Source::ConnectionAge)
        };
        self.connections.iter().filter(watches).filter_map(|connection| connection.long_at).min()
    }

    /// A connection that has lasted for long and of which that is to be told: each once.
    pub fn take_long(&mut self, now: Instant) -> Option<ConnectionId> {
        let is_long = |connection: &Connection| {
            connection.long_at.is_some_and(|at| at <= now)
                && self.is_watched(Some(connection.id), Source::ConnectionAge)
        };
        let index = self.connections.iter().position(is_long)?;
        let connection = &mut self.connections[index];
        connection.long_at = None;
        Some(connection.id)
    }

    /// Whether it is asked of a connection, or of the line if `None`, what this source makes happen.
    pub fn is_watched(&self, connection: Option<ConnectionId>, source: Source) -> bool {
        let mut patterns = self.control.notify.watched();
        patterns.any(|pattern| {
            pattern.scope.holds(connection)
                && pattern.events.iter().any(|event| event.source() == Some(source))
        })
    }

    /// Its DS0, if it has one.
    pub const fn ds0(&self) -> Option<Ds0> {
        match self.kind {
            Kind::Ds0(ds0) => Some(ds0),
            Kind::Relay(_) | Kind::Gateway => None,
        }
    }

    /// How many connections it can have at a time.
    // RFC 3435 §2.1.1.6: a packet relay typically supports two.
    pub const fn connections_max(&self) -> usize {
        match self.kind {
            Kind::Ds0(_) => CONNECTIONS_PER_ENDPOINT,
            Kind::Relay(_) => 2,
            Kind::Gateway => 0,
        }
    }

    /// The connection of this name.
    pub fn connection_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|connection| connection.id == id)
    }

    /// The connection of this name.
    pub fn connection(&self, id: ConnectionId) -> Option<&Connection> {
        self.connections.iter().find(|connection| connection.id == id)
    }
}

impl Control {
    /// Takes over what was said of the notified entity elsewhere than in a command.
    pub fn redirect(&mut self, naming: &Naming) {
        self.notified.take(naming);
        // Another call agent may understand what this one did not.
        self.breadth = restart::Breadth::Any;
        for (part, sets) in [(Part::Name, naming.name.is_some()), (Part::List, naming.list.is_some())] {
            if sets {
                self.set_by[part as usize] = None;
            }
        }
    }
}

impl Connection {
    /// What has its core make it.
    pub fn connect(&self, jitter: JitterBounds) -> Action {
        let (port, identity) = (self.port, self.identity);
        match &self.media {
            Media::Ds0 { ds0, agreed, .. } | Media::Local(LocalMedia { ds0, agreed, .. }) => {
                Action::Connect { ds0: *ds0, port, identity, leg: self.leg(agreed, jitter) }
            }
            Media::Relay { relay, relayed, .. } => {
                Action::ConnectRelay { relay: *relay, port, leg: self.relay_leg(relayed) }
            }
        }
    }

    /// What has its core change it to what it is now.
    pub fn modify(&self, jitter: JitterBounds) -> Action {
        let port = self.port;
        match &self.media {
            Media::Ds0 { agreed, .. } | Media::Local(LocalMedia { agreed, .. }) => {
                Action::Modify { port, leg: self.leg(agreed, jitter) }
            }
            Media::Relay { relayed, .. } => Action::ModifyRelay { port, leg: self.relay_leg(relayed) },
        }
    }

    fn relay_leg(&self, relayed: &Relayed) -> RelayLeg {
        RelayLeg {
            mode: self.mode,
            peer: self.peer(),
            types: relayed.types,
            clocks: relayed.clocks,
            dscp: self.dscp,
        }
    }

    fn leg(&self, agreed: &Negotiated, jitter: JitterBounds) -> Leg {
        Leg {
            mode: self.mode,
            peer: self.peer(),
            send: agreed.send,
            receive: agreed.receive,
            receive_events: agreed.events.receive,
            send_events: agreed.events.send(agreed.send),
            ptime_ms: agreed.ptime_ms,
            // RFC 4040 §3: a clear channel's octets are data. What moves them about in time corrupts them.
            jitter: JitterBounds {
                adaptive: jitter.adaptive && agreed.send.codec != Codec::Clearmode,
                ..jitter
            },
            has_echo: agreed.send.codec != Codec::Clearmode && !matches!(self.media, Media::Local(_)),
            dscp: self.dscp,
        }
    }

    fn peer(&self) -> Peer {
        if let Media::Local(local) = &self.media {
            return local.other.as_ref().map_or(Peer::OnHold, |other| other.peer);
        }
        match (self.media.remote(), &self.remote) {
            (Some(remote), _) => Peer::At(remote),
            (None, Some(_)) => Peer::OnHold,
            (None, None) => Peer::Undescribed,
        }
    }
}
