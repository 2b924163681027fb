//! An endpoint: one DS0 as call agents see it, and the connections that end there.
//!
//! What is here is what any control protocol would keep: the circuit, its service state, its
//! connections. What only MGCP knows of an endpoint is in [`Control`]. [`table`] holds them all,
//! [`naming`] knows what they are called, [`restart`] tells call agents of their service state.

pub mod continuity;
pub mod naming;
pub mod notify;
pub mod restart;
pub mod signal;
pub mod table;

use std::sync::Arc;

use dataplane::link::{Codec, DetectorSet, Identity, JitterBounds, Leg, Peer, PlayId, Side};
use dataplane::mode::Mode;
use drivers::line::{Ds0, Law};
use drivers::net::{Dscp, PortSlot};

use crate::command::ExecutionId;
use crate::command::options::Options;
use crate::command::undo::Part;
use crate::mgcp::name::{CallId, ConnectionId};
use crate::notified_entity::{Naming, NotifiedEntity};
use crate::sdp::{LocalDescription, Negotiated};
use crate::topology::CoreId;

/// An endpoint, by its place in the [`table`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EndpointId(pub u32);

/// One DS0 and what ends there.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The circuit.
    pub ds0: Ds0,
    /// The core that carries it.
    pub core: CoreId,
    /// The law of its octets on the line (RFC 3435 §2.3.2).
    pub law: Law,
    /// Its law unless a call agent says otherwise.
    pub line_law: Law,
    /// Why it is out of service; in service if `None`. Out of service it has no connections.
    pub outage: Option<Outage>,
    /// Its connections, oldest first.
    pub connections: Vec<Connection>,
    /// The transactions that change it or its connections just now.
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

/// What MGCP keeps of an endpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Control {
    /// Who is told what happens here (RFC 3435 §2.1.4).
    pub notified: NotifiedEntity,
    /// The commands that have set its law and whom it notifies, by [`Part`]; none if that was not by
    /// a command.
    pub set_by: [Option<ExecutionId>; Part::N],
    /// What is told of what happens here.
    pub notify: notify::Notify,
    /// What is to be heard here.
    pub signals: signal::Signals,
    /// The continuity tests among them.
    pub continuity: continuity::Continuity,
    /// The tones of them that the core plays, and where.
    pub playing: Vec<(PlayId, Side)>,
    /// What the core listens for, and where.
    pub watching: Vec<(Side, DetectorSet)>,
    /// What there is to tell of the service state, or was told last.
    pub news: restart::News,
    /// Whether the call agent knows that.
    pub announcement: restart::Announcement,
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
    /// What media were agreed on.
    pub agreed: Negotiated,
    /// What the gateway has said of it.
    pub local: LocalDescription,
    /// The remote description, as it was given.
    pub remote: Option<Box<[u8]>>,
    /// The options that were given for it.
    pub options: Options,
}

impl Endpoint {
    /// An endpoint in service, without connections.
    pub fn new(ds0: Ds0, core: CoreId, law: Law) -> Self {
        Self {
            ds0,
            core,
            law,
            line_law: law,
            outage: None,
            connections: Vec::new(),
            executing: Vec::new(),
            control: Control {
                notified: NotifiedEntity::default(),
                set_by: [None; Part::N],
                notify: notify::Notify::new(Arc::default(), notify::DigitTiming::default()),
                signals: signal::Signals::default(),
                continuity: continuity::Continuity::default(),
                playing: Vec::new(),
                watching: Vec::new(),
                news: restart::News::Restart,
                announcement: restart::Announcement::Settled,
            },
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
        for (part, sets) in [(Part::Name, naming.name.is_some()), (Part::List, naming.list.is_some())] {
            if sets {
                self.set_by[part as usize] = None;
            }
        }
    }
}

impl Connection {
    /// What its core has to know of it.
    pub fn leg(&self, jitter: JitterBounds) -> Leg {
        Leg {
            mode: self.mode,
            peer: self.peer(),
            send: self.agreed.send,
            receive: self.agreed.receive,
            receive_events: None,
            ptime_ms: self.agreed.ptime_ms,
            // RFC 4040 §3: a clear channel's octets are data. What moves them about in time corrupts them.
            jitter: JitterBounds {
                adaptive: jitter.adaptive && self.agreed.send.codec != Codec::Clearmode,
                ..jitter
            },
            dscp: self.dscp,
        }
    }

    fn peer(&self) -> Peer {
        match (self.agreed.remote, &self.remote) {
            (Some(remote), _) => Peer::At(remote),
            (None, Some(_)) => Peer::OnHold,
            (None, None) => Peer::Undescribed,
        }
    }
}
