//! Which codecs and which packetization a connection uses (RFC 3435 §2.6).
//!
//! Three lists meet: what the gateway can do, what LocalConnectionOptions (`L:`) allow, what the
//! RemoteConnectionDescriptor understands. What decides, where they differ:
//!
//! * *Order of codecs*: `L: a:`, else the remote's (RFC 3264 §6.1), else the line's law first.
//! * *Packetization*: `L: p:` bounds it, or what there is nearest to that (§2.3.5, §2.6);
//!   `a=maxptime` bounds it, because the peer can take no more; among what is left, the nearest to
//!   `a=ptime`, which is a wish (RFC 4566 §6), or else to what is in use, or else to the configured
//!   default.
//! * *Bandwidth* (`b:`, headers included, §2.3.5): a ceiling. Where `a:` names codecs, or where the payload
//!   alone stays below it, it only makes packets longer, and is never a reason to refuse; else it excludes
//!   codecs (§2.6).
//! * *Direction* (`a=sendonly`...): of no effect. The call agent's `M:` says who sends, and it has
//!   seen the same description (§2.3.5, §3.2.2.6).
//!
//! In an MDCX, options alone leave the codecs as they are unless they name some (§2.3.6: what is
//! not mentioned should not change); a remote description is measured against all the gateway can
//! do, whatever an earlier command allowed (§2.3.6, last sentence on options).
//!
//! The answer has one `m=` line, the audio we use, also where the offer has more (§3.4.1: a telephone
//! gateway describes sessions of exactly one media). Digits beside the audio are for `events`.

use std::net::IpAddr;
use std::num::NonZeroU8;

use dataplane::link::{Codec, Format, Formats, Remote};
use drivers::line::Law;

use super::codecs::{DYNAMIC, codec_named, distinct, internal, static_payload_type};
use super::events::{Claim, Events};
use super::packetization::{Bandwidth, ptime};
use super::parse::Description;
use super::peer::{Peer, local_address};
use super::refusal::Refusal;
use crate::mgcp::message::LocalConnectionOptions;

/// All that has a say in a connection's media.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The law of the DS0: its codec comes first where nobody has a preference.
    pub law: Law,
    /// The packetization period where nobody asks for one: 5, 10, 20, 30, 40 or 60 ms.
    pub ptime_default_ms: NonZeroU8,
    /// Whether telephone-events may be used where nobody names codecs.
    pub telephone_events: bool,
    /// The gateway's RTP addresses, at most one of each family; the first is the default.
    pub addresses: &'a [IpAddr],
    /// The LocalConnectionOptions of this command.
    pub options: Option<&'a LocalConnectionOptions<'a>>,
    /// The RemoteConnectionDescriptor of this command.
    pub remote: Option<&'a Description<'a>>,
    /// What was agreed for this connection before; `None` in CRCX.
    pub current: Option<&'a Negotiated>,
}

impl<'a> Terms<'a> {
    /// What is wanted of telephone-events.
    fn claim(&self) -> Claim<'a> {
        Claim {
            named: self.options.map_or(&[][..], |options| &options.codecs[..]),
            usual: self.telephone_events,
            is_described: self.remote.is_some(),
            before: self.current.map(|current| (current.events, current.receive)),
        }
    }
}

/// What a connection's media are from now on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Negotiated {
    /// Which of the gateway's addresses is used: one of the remote's family.
    pub local: IpAddr,
    /// Where the peer is. `None` before a remote description, and while the peer wants no media.
    pub remote: Option<Remote>,
    /// What is sent, under the remote's payload type.
    pub send: Format,
    /// What is understood, in order of preference, under our payload types.
    pub receive: Formats,
    /// What the peer understands, by its last description; empty before.
    pub understood: Formats,
    /// Telephone-events.
    pub events: Events,
    /// Milliseconds in a packet sent.
    pub ptime_ms: NonZeroU8,
}

/// Agrees on media, or says why not. Changes nothing.
///
/// # Errors
/// A [`Refusal`] that bears the return code.
///
/// # Panics
/// If `addresses` is empty.
pub fn negotiate(terms: &Terms<'_>) -> Result<Negotiated, Refusal> {
    let peer = terms.remote.map(Peer::read).transpose()?;
    let current = terms.current.map(|current| current.local);
    let local = local_address(terms.addresses, current, peer.as_ref().and_then(|peer| peer.remote))?;
    let approved = approved(terms)?;
    let codecs = common(terms, approved, peer.as_ref())?;
    let bandwidth = Bandwidth { options: terms.options, v6: local.is_ipv6() };
    let usual_ms = terms.current.map_or(terms.ptime_default_ms, |current| current.ptime_ms);
    let ptime_ms = ptime(bandwidth, peer.as_ref(), usual_ms)?;

    let known = terms.current.map(|current| current.understood).unwrap_or_default();
    let understood = peer.as_ref().map_or(known, |peer| peer.formats);
    let receive = numbered(&codecs, terms.current, understood);
    Ok(Negotiated {
        local,
        remote: peer.as_ref().map_or(terms.current.and_then(|current| current.remote), |peer| peer.remote),
        send: sending(receive, understood),
        receive,
        understood,
        // RFC 3264 §8.2: the formats of a stream that is not wanted say nothing.
        events: terms.claim().agree(peer.filter(|peer| peer.wanted).map(|peer| peer.events), receive),
        ptime_ms,
    })
}

/// §2.6 steps 1 and 2: what the gateway can do and the options allow.
fn approved(terms: &Terms<'_>) -> Result<Vec<Codec>, Refusal> {
    let named = terms.options.map_or(&[][..], |options| &options.codecs[..]);
    let approved = match terms.current {
        // Names that we do not have drop out of the intersection; they are no error while one is left.
        _ if !named.is_empty() => distinct(named.iter().filter_map(|name| codec_named(name))),
        Some(current) if terms.remote.is_none() => {
            current.receive.iter().map(|format| format.codec).collect()
        }
        _ => internal(terms.law),
    };
    if approved.is_empty() { Err(Refusal::NoCommonCodec) } else { Ok(approved) }
}

/// §2.6 steps 3 and 4: what is approved and the remote understands.
fn common(terms: &Terms<'_>, approved: Vec<Codec>, peer: Option<&Peer>) -> Result<Vec<Codec>, Refusal> {
    let Some(peer) = peer else { return Ok(approved) };
    let understood = |codec: &Codec| peer.formats.iter().any(|format| format.codec == *codec);
    let common: Vec<Codec> = if terms.options.is_some_and(|options| !options.codecs.is_empty()) {
        // §2.6: the preferences of LocalConnectionOptions stand over the remote's.
        approved.iter().copied().filter(understood).collect()
    } else {
        peer.formats.iter().map(|format| format.codec).filter(|codec| approved.contains(codec)).collect()
    };
    match common.is_empty() {
        false => Ok(common),
        // RFC 3264 §8.2: the formats of a stream that is not wanted say nothing.
        true if !peer.wanted => Ok(approved),
        true => Err(Refusal::NoCommonCodec),
    }
}

/// Gives each codec our payload type for it.
fn numbered(codecs: &[Codec], current: Option<&Negotiated>, understood: Formats) -> Formats {
    let ours = current.map(|current| current.receive).unwrap_or_default();
    let events = current.and_then(|current| current.events.receive);
    let mut given: Vec<Format> = Vec::with_capacity(codecs.len());
    for &codec in codecs {
        let of = |formats: Formats| formats.iter().find(|f| f.codec == codec).map(|f| f.payload_type);
        // RFC 3264 §8.3.2: a number once given keeps its meaning as long as the session lives.
        let free = |number: &u8| {
            events != Some(*number)
                && ours.codec(*number).is_none_or(|owner| owner == codec)
                && given.iter().all(|format| format.payload_type != *number)
        };
        // RFC 3264 §6.1: the answer should use the number that the offer has.
        let payload_type = [of(ours), of(understood), static_payload_type(codec)]
            .into_iter()
            .flatten()
            .chain(DYNAMIC)
            .find(free)
            .expect("32 dynamic payload types are more than there are codecs");
        given.push(Format { payload_type, codec });
    }
    Formats::new(given)
}

/// RFC 3264 §6.1: the most preferred of what both have, under the peer's number. Where a change of
/// options left nothing that the peer's last description has, §2.6 still says to change.
fn sending(receive: Formats, understood: Formats) -> Format {
    let common = receive.iter().find_map(|ours| understood.iter().find(|theirs| theirs.codec == ours.codec));
    common.or_else(|| receive.iter().next()).expect("an empty list of codecs was refused")
}

#[cfg(test)]
mod tests;
