//! What a connection's media are to be: of a DS0 what is agreed on, of a relay what its peer calls things.

use std::net::{IpAddr, SocketAddr};

use dataplane::link::RelayId;
use drivers::line::Ds0;
use tracing::debug;

use super::network::{Network, Said};
use super::options;
use super::state::State;
use crate::endpoint::HalfId;
use crate::endpoint::{EndpointId, Kind, LocalMedia, Media};
use crate::mgcp::code::ReturnCode;
use crate::mgcp::name::ConnectionId;
use crate::sdp::{
    Codecs, Description, HalfDescription, LocalDescription, Negotiated, Refusal, RelayTerms, Relayed, relay,
};

/// What there is to agree on, and what has been.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Agreed {
    /// With a DS0.
    Ds0(Ds0, Negotiated),
    /// With a relay, whose codecs are these then.
    Relay(RelayId, Relayed, Codecs),
    /// With a DS0 that is to be joined to another of the gateway: to this half, if it is known.
    Local(Ds0, Negotiated, Option<HalfId>),
}

/// The names of a new connection and of its endpoint.
#[derive(Clone, Debug)]
pub(super) struct Whose {
    /// The local name of its endpoint.
    pub(super) endpoint: String,
    /// Its name.
    pub(super) connection: ConnectionId,
}

impl Agreed {
    /// Agrees with what a command says of a connection, whose media are these now if it is there already.
    ///
    /// # Errors
    /// The return code for why not.
    pub(super) fn plan(
        state: &State,
        id: EndpointId,
        said: Said<'_>,
        current: Option<&Media>,
    ) -> Result<Self, ReturnCode> {
        let Said { law, options, remote, has_second } = said;
        let endpoint = &state.endpoints[id];
        match endpoint.kind {
            Kind::Ds0(ds0) => {
                let network = Network::of(state, said, current)?;
                let current = match current {
                    Some(Media::Ds0 { agreed, .. } | Media::Local(LocalMedia { agreed, .. })) => Some(agreed),
                    Some(Media::Relay { .. }) | None => None,
                };
                // What is said of a half's media is said by the lines at both ends.
                let remote = remote.filter(|_| network == Network::Internet);
                let agreed = options::agree(&state.settings, law, options, remote, current)?;
                Ok(match network {
                    Network::Internet => Self::Ds0(ds0, agreed),
                    Network::Local(half) => Self::Local(ds0, agreed, half),
                })
            }
            // A relay knows nothing but packets.
            Kind::Relay(_) if has_second => Err(ReturnCode::UNSUPPORTED_PARAMETER),
            Kind::Relay(id) => {
                let current = match current {
                    Some(Media::Relay { relayed, .. }) => Some(relayed),
                    Some(Media::Ds0 { .. } | Media::Local(_)) | None => None,
                };
                let is_new = endpoint.connections.is_empty();
                let mut codecs = if is_new { Codecs::default() } else { endpoint.codecs.clone() };
                let description = remote.map(Description::parse).transpose().map_err(Refusal::from);
                let relayed = description.and_then(|description| {
                    let terms = RelayTerms {
                        ptime_default_ms: state.settings.ptime_ms.get().into(),
                        addresses: &state.settings.addresses,
                        options,
                        remote: description.as_ref(),
                        current,
                    };
                    relay(&terms, &mut codecs)
                });
                let relayed = relayed.inspect_err(|refusal| debug!(%refusal, "no agreement"));
                Ok(Self::Relay(id, relayed.map_err(Refusal::code)?, codecs))
            }
            Kind::Gateway => Err(ReturnCode::CONNECTION_LIMIT),
        }
    }

    /// Which of the gateway's addresses is to be used.
    pub(super) const fn local(&self) -> IpAddr {
        match self {
            Self::Ds0(_, agreed) | Self::Local(_, agreed, _) => agreed.local,
            Self::Relay(_, relayed, _) => relayed.local,
        }
    }

    /// The media of a new connection that receives at `rtp`, and the codecs of its relay if it is of one.
    pub(super) fn begin(self, session_id: u64, rtp: SocketAddr, whose: Whose) -> (Media, Option<Codecs>) {
        match self {
            Self::Ds0(ds0, agreed) => {
                let local = LocalDescription::new(session_id, rtp, &agreed);
                (Media::Ds0 { ds0, agreed, local }, None)
            }
            Self::Relay(relay, relayed, codecs) => {
                let local = relayed.description(session_id, rtp);
                (Media::Relay { relay, relayed, local }, Some(codecs))
            }
            Self::Local(ds0, agreed, _) => {
                let Whose { endpoint, connection } = whose;
                let format = agreed.send;
                let said = HalfDescription { session_id, version: 0, endpoint, connection, format };
                (Media::Local(LocalMedia { ds0, agreed, rtp, said, other: None }), None)
            }
        }
    }

    /// The half that it is to be joined to.
    pub(super) const fn half(&self) -> Option<HalfId> {
        match self {
            Self::Local(_, _, half) => *half,
            Self::Ds0(..) | Self::Relay(..) => None,
        }
    }

    /// The media of a connection that is changed, and whether its description says anything new.
    ///
    /// # Panics
    /// If the connection is of another kind of endpoint.
    pub(super) fn go_on(self, before: &Media, rtp: SocketAddr) -> (Media, Option<Codecs>, bool) {
        match (self, before) {
            (Self::Ds0(ds0, agreed), Media::Ds0 { local, .. }) => {
                let revised = local.revised(rtp, &agreed);
                let (is_new, local) = (revised.is_some(), revised.unwrap_or(*local));
                (Media::Ds0 { ds0, agreed, local }, None, is_new)
            }
            (Self::Relay(relay, relayed, codecs), Media::Relay { local, .. }) => {
                let revised = local.revised(rtp, &relayed);
                let (is_new, local) = (revised.is_some(), revised.unwrap_or_else(|| local.clone()));
                (Media::Relay { relay, relayed, local }, Some(codecs), is_new)
            }
            (Self::Local(ds0, agreed, _), Media::Local(before)) => {
                let revised = before.said.revised(agreed.send);
                let is_new = revised.is_some();
                let said = revised.unwrap_or_else(|| before.said.clone());
                (Media::Local(LocalMedia { ds0, agreed, said, ..before.clone() }), None, is_new)
            }
            (Self::Ds0(..) | Self::Relay(..) | Self::Local(..), _) => {
                panic!("a connection stays of its endpoint's kind, and in its network")
            }
        }
    }
}
