//! Where a connection leads: to an RTP peer, or to another endpoint of the gateway (RFC 3435 §2.1.3.4).

use drivers::line::Law;

use super::state::State;
use crate::endpoint::{HalfId, Media};
use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::LocalConnectionOptions;
use crate::sdp::Half;

/// Where a connection leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Network {
    /// To an RTP peer.
    Internet,
    /// To another endpoint of the gateway: to this half, if it is known.
    Local(Option<HalfId>),
}

impl Network {
    /// The network that a command means for a connection, whose media are these if it is there already.
    ///
    /// # Errors
    /// 532 for a type of network that cannot be had; 506 if the description is of another; 505 and 509 for
    /// a half that cannot be joined, or that there is not.
    pub(super) fn of(state: &State, said: Said<'_>, current: Option<&Media>) -> Result<Self, ReturnCode> {
        let half = said.remote.map(Half::read).transpose();
        // What cannot be read is for who negotiates to refuse.
        let half = half.ok().flatten().flatten();
        let is_local = match (current, said.remote) {
            (Some(media), _) => matches!(media, Media::Local(_)),
            (None, _) if said.has_second => true,
            (None, Some(_)) => half.is_some(),
            (None, None) => prefers_local(said.options),
        };
        if !allows(said.options, is_local) {
            return Err(match said.remote {
                Some(_) => ReturnCode::LOCAL_AND_REMOTE_CONFLICT,
                None => ReturnCode::UNSUPPORTED_OPTION_VALUE,
            });
        }
        // A connection stays in the network that it was made in.
        if said.remote.is_some() && half.is_some() != is_local {
            return Err(ReturnCode::REMOTE_UNSUPPORTED);
        }
        if !is_local {
            return Ok(Self::Internet);
        }
        half.map(|half| state.find_half(half)).transpose().map(Self::Local)
    }
}

/// Whether `nt`, if it is there, has this network.
fn allows(options: Option<&LocalConnectionOptions<'_>>, is_local: bool) -> bool {
    let types = options.map_or(&[][..], |options| &options.network_types[..]);
    let name = if is_local { "LOCAL" } else { "IN" };
    types.is_empty() || types.iter().any(|network| network.eq_ignore_ascii_case(name))
}

/// Whether LOCAL is the first of the types of network in `nt` that there are.
fn prefers_local(options: Option<&LocalConnectionOptions<'_>>) -> bool {
    let mut types = options.into_iter().flat_map(|options| options.network_types.iter());
    let known = types.find(|network| ["IN", "LOCAL"].iter().any(|name| network.eq_ignore_ascii_case(name)));
    known.is_some_and(|network| network.eq_ignore_ascii_case("LOCAL"))
}

/// What a command says of media.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said<'a> {
    /// The law of the DS0 then.
    pub(super) law: Law,
    /// L
    pub(super) options: Option<&'a LocalConnectionOptions<'a>>,
    /// The remote description.
    pub(super) remote: Option<&'a [u8]>,
    /// Whether there is a second endpoint instead of one.
    pub(super) has_second: bool,
}
