//! Connections between two DS0s of the gateway: two halves, each a connection of its own (RFC 3435
//! §2.1.3.4, §2.3.5).
//!
//! A command joins two of them, by naming a second endpoint or by the description of the other half
//! (§3.4.2). Then each names the other, until one of them is gone. Halves of one core hand octets to each
//! other; those of two cores speak RTP to each other's ports.

use dataplane::link::{Peer, Remote};

use super::commit::Commit;
use super::state::State;
use crate::endpoint::HalfId;
use crate::endpoint::naming::{Pattern, Wildcard};
use crate::endpoint::{Connection, LocalMedia, Media, OtherHalf};
use crate::mgcp::code::ReturnCode;
use crate::mgcp::name::{ConnectionId, Term};
use crate::sdp::Half;

impl State {
    /// The half that a description means.
    pub(super) fn find_half(&self, half: Half<'_>) -> Result<HalfId, ReturnCode> {
        let terms: Vec<Term> = half
            .endpoint
            .split('/')
            .map(|term| term.parse().map_err(|_| ReturnCode::REMOTE_ERROR))
            .collect::<Result<_, _>>()?;
        let pattern = Pattern::parse(&terms).filter(|pattern| pattern.wildcard == Wildcard::None);
        let endpoint = pattern.and_then(|pattern| self.endpoints.one(&pattern));
        let endpoint = endpoint.filter(|id| self.may_control(*id)).ok_or(ReturnCode::REMOTE_ERROR)?;
        let is_it = |connection: &&Connection| match half.connection.map(str::parse::<ConnectionId>) {
            Some(name) => name.is_ok_and(|name| name == connection.id),
            None => matches!(connection.media, Media::Local(_)),
        };
        let found = self.endpoints[endpoint].connections.iter().find(is_it);
        let found = found.ok_or(ReturnCode::REMOTE_ERROR)?;
        Ok(HalfId { endpoint, connection: found.id })
    }

    /// Checks that a half can be joined to another: to one that is yet to be made if `None`.
    ///
    /// # Errors
    /// 505
    pub(super) fn can_join(&self, half: HalfId, to: Option<HalfId>) -> Result<(), ReturnCode> {
        let joined = self.local(half).map(|local| local.other.as_ref().map(|other| other.id));
        match joined {
            Some(None) => Ok(()),
            Some(other) if other == to => Ok(()),
            Some(Some(_)) | None => Err(ReturnCode::REMOTE_UNSUPPORTED),
        }
    }

    /// Whether a half is joined to no other.
    pub(super) fn is_alone(&self, half: HalfId) -> bool {
        self.local(half).is_some_and(|local| local.other.is_none())
    }

    /// Joins two halves. Their cores hear of it from whoever calls this.
    pub(super) fn join(&mut self, a: HalfId, b: HalfId) {
        let (to_a, to_b) = (self.way(b, a), self.way(a, b));
        for (half, id, peer) in [(a, b, to_b), (b, a, to_a)] {
            if let Some(local) = self.local_mut(half) {
                local.other = Some(OtherHalf { id, peer });
            }
        }
    }

    /// A connection is gone: the half that it was joined to, which is told so, has no other half any more.
    pub(super) fn part(&mut self, gone: &Connection) -> Option<HalfId> {
        let Media::Local(local) = &gone.media else { return None };
        let other = local.other.as_ref()?.id;
        let jitter = self.settings.jitter;
        self.local_mut(other)?.other = None;
        let endpoint = &self.endpoints[other.endpoint];
        let modify = endpoint.connection(other.connection)?.modify(jitter);
        self.orders.push(endpoint.core, modify, None);
        Some(other)
    }

    /// How one half reaches another.
    fn way(&self, from: HalfId, to: HalfId) -> Peer {
        let (from, core) = (self.endpoints[from.endpoint].core, self.endpoints[to.endpoint].core);
        let to =
            self.endpoints[to.endpoint].connection(to.connection).expect("halves are joined that are there");
        if from == core {
            return Peer::Local(to.port);
        }
        let rtp = to.media.rtp();
        let mut rtcp = rtp;
        rtcp.set_port(rtp.port() + 1);
        Peer::At(Remote { rtp, rtcp })
    }

    fn local(&self, half: HalfId) -> Option<&LocalMedia> {
        match &self.endpoints[half.endpoint].connection(half.connection)?.media {
            Media::Local(local) => Some(local),
            Media::Ds0 { .. } | Media::Relay { .. } => None,
        }
    }

    fn local_mut(&mut self, half: HalfId) -> Option<&mut LocalMedia> {
        match &mut self.endpoints[half.endpoint].connection_mut(half.connection)?.media {
            Media::Local(local) => Some(local),
            Media::Ds0 { .. } | Media::Relay { .. } => None,
        }
    }
}

impl Commit<'_> {
    /// Joins two halves.
    pub(super) fn join(&mut self, a: HalfId, b: HalfId) {
        self.state.join(a, b);
    }

    /// Has a connection made by its core, as it is.
    pub(super) fn connect(&mut self, half: HalfId) {
        let jitter = self.state.settings.jitter;
        let connect = self.connection_mut(half).connect(jitter);
        self.order(self.state.endpoints[half.endpoint].core, connect);
    }

    /// Has a connection changed by its core to what it is.
    pub(super) fn modify(&mut self, half: HalfId) {
        let jitter = self.state.settings.jitter;
        let modify = self.connection_mut(half).modify(jitter);
        self.order(self.state.endpoints[half.endpoint].core, modify);
    }

    /// What the gateway says of a connection.
    pub(super) fn describe(&mut self, half: HalfId) -> Vec<u8> {
        let mut octets = Vec::new();
        self.connection_mut(half).media.describe(&mut octets);
        octets
    }

    /// A connection that the plan saw, or that the command has made.
    pub(super) fn connection_mut(&mut self, half: HalfId) -> &mut Connection {
        let endpoint = &mut self.state.endpoints[half.endpoint];
        endpoint
            .connection_mut(half.connection)
            .expect("the plan has found the connection, or the command has made it")
    }
}
