//! What a remote description says to us: where the peer is, and which of our formats it understands.

use std::net::{IpAddr, SocketAddr};

use dataplane::link::{Codec, EventFormat, Format, Formats, Remote};

use super::codecs::{ALL, codec_named, static_payload_type};
use super::events;
use super::parse::{Connection, Description, Media, PayloadType};
use super::refusal::Refusal;

/// What a remote description says to us.
pub(super) struct Peer {
    /// `None`: it wants no media now.
    pub(super) remote: Option<Remote>,
    /// Whether its list of formats binds us.
    pub(super) wanted: bool,
    /// Those of our codecs that it lists, in its order, under its payload types.
    pub(super) formats: Formats,
    /// How it takes telephone-events.
    pub(super) events: Option<EventFormat>,
    pub(super) ptime_ms: Option<u16>,
    pub(super) maxptime_ms: Option<u16>,
}

impl Peer {
    /// Reads a description.
    pub(super) fn read(description: &Description<'_>) -> Result<Self, Refusal> {
        let Where { remote, media } = Where::find(description)?;
        Ok(Self {
            remote,
            wanted: media.port != Some(0),
            formats: formats(media),
            events: events::listed(media),
            ptime_ms: media.ptime_ms,
            maxptime_ms: media.maxptime_ms,
        })
    }
}

/// Where a remote description wants media.
pub(super) struct Where<'d, 'a> {
    /// `None`: it wants none now.
    pub(super) remote: Option<Remote>,
    /// The audio.
    pub(super) media: &'d Media<'a>,
}

impl<'d, 'a> Where<'d, 'a> {
    /// Finds the audio of a description.
    pub(super) fn find(description: &'d Description<'a>) -> Result<Self, Refusal> {
        let mut usable = description
            .media
            .iter()
            .filter(|media| media.is_audio() && media.protocol.eq_ignore_ascii_case("RTP/AVP"));
        // RFC 3264 §5.1: port 0 means that this stream is not wanted; another may be.
        let wanted = usable.clone().find(|media| media.port != Some(0));
        let Some(media) = wanted.or_else(|| usable.next()) else {
            return Err(Refusal::Unsupported("no audio over RTP/AVP"));
        };
        // RFC 4566 §5.12: whoever sends a key expects media that are encrypted with it.
        if description.has_key || media.has_key {
            return Err(Refusal::Unsupported("k= offers a key"));
        }
        // RFC 8858 §4.3: who cannot do it rejects the stream. Plain a=rtcp-mux is an offer, which an answer
        // without it declines (RFC 5761 §5.1.1).
        if media.rtcp_mux_only {
            return Err(Refusal::Unsupported("RTCP on the port of RTP only"));
        }
        let remote = if wanted.is_some() { remote(description, media)? } else { None };
        Ok(Self { remote, media })
    }
}

fn remote(description: &Description<'_>, media: &Media<'_>) -> Result<Option<Remote>, Refusal> {
    let Some(port) = media.port else {
        return Err(Refusal::Unsupported("the port is left open"));
    };
    let Some(Connection::Address(address)) = description.connection_of(media) else {
        return Err(Refusal::Unsupported("c= is not a unicast IP address"));
    };
    // An IPv4 address in IPv6's clothes is one that only IPv4 reaches.
    let address = address.to_canonical();
    // RFC 3264 §8.4: 0.0.0.0 means that neither RTP nor RTCP should be sent to the peer.
    if address.is_unspecified() {
        return Ok(None);
    }
    let rtcp = media.rtcp.map_or(port.checked_add(1), |rtcp| Some(rtcp.port));
    let rtcp_port = rtcp.ok_or(Refusal::Unsupported("no port is left for RTCP"))?;
    let rtcp_address = media.rtcp.and_then(|rtcp| rtcp.address).map_or(address, |rtcp| rtcp.to_canonical());
    if rtcp_address.is_ipv4() != address.is_ipv4() {
        return Err(Refusal::Unsupported("RTP and RTCP of different address families"));
    }
    if [address, rtcp_address].iter().any(|address| !is_unicast(*address)) {
        return Err(Refusal::Unsupported("c= is not a unicast IP address"));
    }
    let rtp = SocketAddr::new(address, port);
    Ok(Some(Remote { rtp, rtcp: SocketAddr::new(rtcp_address, rtcp_port) }))
}

fn is_unicast(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !(address.is_multicast() || address.is_unspecified() || broadcast)
}

/// Those of our codecs that are listed, each once.
fn formats(media: &Media<'_>) -> Formats {
    let mut formats: Vec<Format> = Vec::new();
    for payload_type in &media.formats {
        if let Some(codec) = codec_of(payload_type)
            && formats.iter().all(|format| format.codec != codec)
        {
            formats.push(Format { payload_type: payload_type.number, codec });
        }
    }
    Formats::new(formats)
}

fn codec_of(payload_type: &PayloadType<'_>) -> Option<Codec> {
    match payload_type.encoding {
        Some(encoding) if encoding.clock_hz == 8_000 && encoding.channels == 1 => codec_named(encoding.name),
        Some(_) => None,
        // RFC 3264 §5.1: without a=rtpmap the profile's own table holds (RFC 3551 §6).
        None => ALL.into_iter().find(|codec| static_payload_type(*codec) == Some(payload_type.number)),
    }
}

/// The address that the peer can reach: of its family, the one in use if that will do.
pub(super) fn local_address(
    addresses: &[IpAddr],
    current: Option<IpAddr>,
    remote: Option<Remote>,
) -> Result<IpAddr, Refusal> {
    let first = *addresses.first().expect("the configuration has an RTP address");
    let usual = current.unwrap_or(first);
    let Some(remote) = remote else { return Ok(usual) };
    [usual]
        .iter()
        .chain(addresses)
        .find(|address| address.is_ipv4() == remote.rtp.is_ipv4())
        .copied()
        .ok_or(Refusal::Unsupported("no RTP address of that family here"))
}
