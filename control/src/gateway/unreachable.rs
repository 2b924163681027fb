//! Media that were not delivered: R/iu (RFC 3660 §2.10).

use std::net::SocketAddr;

use super::Gateway;
use crate::endpoint::EndpointId;
use crate::mgcp::event::{Parameter, Parameters};
use crate::mgcp::name::ConnectionId;
use crate::package::ability::Source;

/// Failures it takes where a request does not say (RFC 3660 §2.10).
const USUAL: u32 = 3;

impl Gateway {
    /// The connection whose media go from `local` to `remote`, and how many failures it takes for them to be
    /// told; `None` where nobody has asked, or has been told already.
    // An error about any other address than the peer's own is forged or stale.
    pub(super) fn unreachable_of(
        &self,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Option<(EndpointId, ConnectionId, u32)> {
        let (core, port) = self.state.ledger.port_at(local)?;
        let id = self.state.ledger.owner(core, port)?;
        let endpoint = &self.state.endpoints[id];
        let connection = endpoint.connections.iter().find(|connection| connection.port == port)?;
        let peer = connection.media.remote()?;
        if ![peer.rtp, peer.rtcp].contains(&remote) {
            return None;
        }
        let mut patterns = endpoint.control.notify.watched();
        let pattern = patterns.find(|pattern| {
            pattern.scope.holds(Some(connection.id))
                && pattern.events.iter().any(|event| event.source() == Some(Source::Unreachable))
        })?;
        let enough = pattern.number().unwrap_or(USUAL);
        // RFC 3660 §2.10: it is told once, when there are so many, and again only after a further request. What
        // anybody can forge fills no journal beyond that.
        let counted = endpoint.control.unreachable.counted(connection.id, endpoint.control.notify.requests());
        (counted < enough).then_some((id, connection.id, enough))
    }

    /// Counts a datagram of media that was not delivered, and tells of it when there are enough.
    pub(super) fn unreachable(&mut self, local: SocketAddr, remote: SocketAddr, code: u8) {
        let Some((id, connection, enough)) = self.unreachable_of(local, remote) else { return };
        let control = &mut self.state.endpoints[id].control;
        let request = control.notify.requests();
        if control.unreachable.count(connection, request) == enough {
            let parameters = Parameters(vec![Parameter::bare(enough), Parameter::bare(code)]);
            self.happened_with(id, Some(connection), Source::Unreachable, &parameters);
        }
    }
}
