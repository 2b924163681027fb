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
//! * *Bandwidth* (`b:`, headers included, §2.3.5): a ceiling. Where `a:` names codecs it only makes
//!   packets longer, and is never a reason to refuse; without `a:` it excludes codecs (§2.6).
//! * *Direction* (`a=sendonly`...): of no effect. The call agent's `M:` says who sends, and it has
//!   seen the same description (§2.3.5, §3.2.2.6).
//!
//! In an MDCX, options alone leave the codecs as they are unless they name some (§2.3.6: what is
//! not mentioned should not change); a remote description is measured against all the gateway can
//! do, whatever an earlier command allowed (§2.3.6, last sentence on options).
//!
//! The answer has one `m=` line, the audio we use, also where the offer has more (§3.4.1: a telephone
//! gateway describes sessions of exactly one media). Digits beside the audio are for `events`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU8;

use dataplane::link::{Codec, EventFormat, Format, Formats, Remote};
use drivers::line::Law;

use super::events::{self, Events};
use super::parse::{Connection, Description, Fault, Media, ParseError, PayloadType};
use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::{LocalConnectionOptions, Range};

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

/// Why media could not be agreed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The remote description cannot be read, or makes no sense.
    Broken(ParseError),
    /// The remote description asks for what we do not do.
    Unsupported(&'static str),
    /// Options and remote description contradict each other.
    Conflict,
    /// The options contradict themselves.
    Inconsistent,
    /// No codec is left (§2.6 steps 2 and 4).
    NoCommonCodec,
}

impl Refusal {
    /// The return code for it (RFC 3435 §2.4).
    pub const fn code(self) -> ReturnCode {
        match self {
            Self::Broken(ParseError { fault: Fault::Wrong(_), .. }) => ReturnCode::REMOTE_ERROR,
            Self::Broken(ParseError { fault: Fault::Unsupported(_), .. }) | Self::Unsupported(_) => {
                ReturnCode::REMOTE_UNSUPPORTED
            }
            Self::Conflict => ReturnCode::LOCAL_AND_REMOTE_CONFLICT,
            Self::Inconsistent => ReturnCode::OPTIONS_INCONSISTENT,
            Self::NoCommonCodec => ReturnCode::NO_COMMON_CODEC,
        }
    }
}

impl From<ParseError> for Refusal {
    fn from(error: ParseError) -> Self {
        Self::Broken(error)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(error) => write!(f, "remote description, {error}"),
            Self::Unsupported(what) => write!(f, "remote description: {what}"),
            Self::Conflict => f.write_str("options and remote description contradict each other"),
            Self::Inconsistent => f.write_str("a range of the options is upside down"),
            Self::NoCommonCodec => f.write_str("no codec that all sides have"),
        }
    }
}

impl std::error::Error for Refusal {}

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
    let bandwidth = Bandwidth { options: terms.options, v6: local.is_ipv6() };
    let approved = approved(terms)?;
    let codecs = common(terms, approved, peer.as_ref())?;
    let ptime_ms = ptime(terms, bandwidth, peer.as_ref())?;

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
        events: Events::agree(terms, peer.filter(|peer| peer.wanted).map(|peer| peer.events), receive),
        ptime_ms,
    })
}

/// What a remote description says to us.
struct Peer {
    /// `None`: it wants no media now.
    remote: Option<Remote>,
    /// Whether its list of formats binds us.
    wanted: bool,
    /// Those of our codecs that it lists, in its order, under its payload types.
    formats: Formats,
    /// How it takes telephone-events.
    events: Option<EventFormat>,
    ptime_ms: Option<u16>,
    maxptime_ms: Option<u16>,
}

impl Peer {
    fn read(description: &Description<'_>) -> Result<Self, Refusal> {
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
    // RFC 3264 §8.4: 0.0.0.0 means that neither RTP nor RTCP should be sent to the peer.
    if address.is_unspecified() {
        return Ok(None);
    }
    let rtcp = media.rtcp.map_or(port.checked_add(1), |rtcp| Some(rtcp.port));
    let rtcp_port = rtcp.ok_or(Refusal::Unsupported("no port is left for RTCP"))?;
    let rtcp_address = media.rtcp.and_then(|rtcp| rtcp.address).unwrap_or(address);
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

/// The codecs there are. RFC 3435 §2.6 calls it the internal list.
const ALL: [Codec; 3] = [Codec::G711(Law::A), Codec::G711(Law::Mu), Codec::Clearmode];

const _: () = assert!(ALL.len() <= Formats::MAX, "a list of formats has room for all codecs");

/// The codec of an encoding name, whatever its case (RFC 4566 §6, RFC 3551 §6, RFC 4040 §5).
fn codec_named(name: &str) -> Option<Codec> {
    match name {
        _ if name.eq_ignore_ascii_case("PCMA") => Some(Codec::G711(Law::A)),
        _ if name.eq_ignore_ascii_case("PCMU") => Some(Codec::G711(Law::Mu)),
        _ if name.eq_ignore_ascii_case("CLEARMODE") => Some(Codec::Clearmode),
        _ => None,
    }
}

/// RFC 3551 §6.
const fn static_payload_type(codec: Codec) -> Option<u8> {
    match codec {
        Codec::G711(Law::Mu) => Some(0),
        Codec::G711(Law::A) => Some(8),
        Codec::Clearmode => None,
    }
}

/// Payload types that a session may give to codecs without one of their own (RFC 3551 §3).
pub(super) const DYNAMIC: std::ops::RangeInclusive<u8> = 96..=127;

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

fn internal(law: Law) -> Vec<Codec> {
    distinct([Codec::G711(law)].into_iter().chain(ALL))
}

fn distinct(codecs: impl Iterator<Item = Codec>) -> Vec<Codec> {
    let mut distinct = Vec::with_capacity(ALL.len());
    for codec in codecs {
        if !distinct.contains(&codec) {
            distinct.push(codec);
        }
    }
    distinct
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

/// The packetization periods there are, in ms.
pub const SUPPORTED_MS: [u8; 6] = [5, 10, 20, 30, 40, 60];

/// The packetization period.
fn ptime(terms: &Terms<'_>, bandwidth: Bandwidth<'_>, peer: Option<&Peer>) -> Result<NonZeroU8, Refusal> {
    let asked = terms.options.and_then(|options| options.packetization_ms);
    let ranges = [asked, bandwidth.range()];
    if ranges.into_iter().flatten().any(|range| range.from > range.to) {
        return Err(Refusal::Inconsistent);
    }
    // RFC 3435 §2.3.5: where there is none of those that are asked for, the nearest is as good.
    let mut periods = SUPPORTED_MS.to_vec();
    let off = |ms: u8| asked.map_or(0, |range| distance(range, ms));
    let least = SUPPORTED_MS.into_iter().map(off).min();
    periods.retain(|&ms| Some(off(ms)) == least);
    if periods.iter().any(|&ms| bandwidth.allows(ms)) {
        periods.retain(|&ms| bandwidth.allows(ms));
    } else if !bandwidth.yields() {
        return Err(Refusal::NoCommonCodec);
    }
    // RFC 4566 §6: no packet may hold more than maxptime.
    let longest = peer.and_then(|peer| peer.maxptime_ms).unwrap_or(u16::MAX);
    periods.retain(|&ms| u16::from(ms) <= longest);
    let wish = peer
        .and_then(|peer| peer.ptime_ms)
        .or_else(|| terms.current.map(|current| current.ptime_ms.get().into()))
        .unwrap_or_else(|| terms.ptime_default_ms.get().into());
    let nearest = periods.into_iter().min_by_key(|&ms| u16::from(ms).abs_diff(wish));
    let nearest = nearest.ok_or(match (asked, bandwidth.range()) {
        (None, None) => Refusal::Unsupported("maxptime is too short"),
        _ => Refusal::Conflict,
    })?;
    Ok(NonZeroU8::new(nearest).expect("no supported period is zero"))
}

/// How far a period is from a range.
fn distance(range: Range, ms: u8) -> u32 {
    let ms = u32::from(ms);
    range.from.saturating_sub(ms).max(ms.saturating_sub(range.to))
}

/// The ceiling that `L: b:` sets.
#[derive(Clone, Copy)]
struct Bandwidth<'a> {
    options: Option<&'a LocalConnectionOptions<'a>>,
    v6: bool,
}

impl Bandwidth<'_> {
    fn range(self) -> Option<Range> {
        self.options.and_then(|options| options.bandwidth_kbps)
    }

    /// Whether packets of `ms` stay below it. Using less than asked for harms nobody.
    fn allows(self, ms: u8) -> bool {
        // RFC 3435 §2.3.5: payload and the headers of IP, UDP and RTP. Milliseconds cancel kilobits.
        let headers = if self.v6 { 40 + 8 + 12 } else { 20 + 8 + 12 };
        let ms = u64::from(ms);
        let bits = ms * 64 + headers * 8;
        self.range().is_none_or(|range| bits <= u64::from(range.to) * ms)
    }

    /// Whether it gives way: §2.3.5 lets a codec that is named need more.
    fn yields(self) -> bool {
        self.options.is_some_and(|options| !options.codecs.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use dataplane::link::Digit;

    use super::*;

    const A: Codec = Codec::G711(Law::A);
    const MU: Codec = Codec::G711(Law::Mu);
    const CLEAR: Codec = Codec::Clearmode;

    type Options = LocalConnectionOptions<'static>;

    fn codecs(names: &[&'static str]) -> Options {
        Options { codecs: names.to_vec(), ..Options::default() }
    }

    fn period(from: u32, to: u32) -> Options {
        Options { packetization_ms: Some(Range { from, to }), ..Options::default() }
    }

    fn bandwidth(from: u32, to: u32) -> Options {
        Options { bandwidth_kbps: Some(Range { from, to }), ..Options::default() }
    }

    fn ms(ms: u8) -> NonZeroU8 {
        NonZeroU8::new(ms).expect("not zero")
    }

    /// An A-law timeslot of a gateway with both address families.
    fn agree(
        options: Option<&Options>,
        remote: Option<&str>,
        current: Option<&Negotiated>,
    ) -> Result<Negotiated, Refusal> {
        let addresses = ["192.0.2.100", "2001:db8::100"].map(|a| a.parse().expect("an address"));
        let description = remote.map(|text| Description::parse(text.as_bytes())).transpose()?;
        let remote = description.as_ref();
        let ptime_default_ms = ms(20);
        let telephone_events = true;
        let addresses = &addresses;
        let law = Law::A;
        negotiate(&Terms { law, ptime_default_ms, telephone_events, addresses, options, remote, current })
    }

    /// A remote description with `m=audio 4000 RTP/AVP` and then `formats`, which may have more lines.
    fn offer(formats: &str) -> String {
        format!("v=0\nc=IN IP4 198.51.100.7\nm=audio 4000 RTP/AVP {formats}\n")
    }

    fn list(formats: Formats) -> Vec<(u8, Codec)> {
        formats.iter().map(|format| (format.payload_type, format.codec)).collect()
    }

    fn peer(rtp: &str, rtcp: &str) -> Option<Remote> {
        Some(Remote { rtp: rtp.parse().expect("an address"), rtcp: rtcp.parse().expect("an address") })
    }

    #[test]
    fn alone_the_lines_own_law_comes_first() {
        let agreed = agree(None, None, None).expect("nothing is asked");
        assert_eq!(list(agreed.receive), [(8, A), (0, MU), (96, CLEAR)]);
        assert_eq!((agreed.send.codec, agreed.ptime_ms, agreed.remote), (A, ms(20), None));
        assert_eq!(agreed.local, "192.0.2.100".parse::<IpAddr>().expect("an address"));
        assert_eq!(internal(Law::Mu), [MU, A, CLEAR]);
    }

    #[test]
    fn options_choose_and_order_codecs() {
        for (names, expected) in [
            (&["PCMU", "PCMA"][..], &[(0, MU), (8, A)][..]),
            (&["pcmu", "PCMU"], &[(0, MU)]),
            (&["G729", "image/t38", "PCMA"], &[(8, A)]),
            (&["clearmode"], &[(96, CLEAR)]),
        ] {
            assert_eq!(list(agree(Some(&codecs(names)), None, None).expect("one is ours").receive), expected);
        }
    }

    /// §2.6 step 2.
    #[test]
    fn options_without_a_codec_of_ours_are_refused() {
        let refusal = agree(Some(&codecs(&["G729", "AMR"])), None, None).expect_err("none is ours");
        assert_eq!((refusal, refusal.code()), (Refusal::NoCommonCodec, ReturnCode(534)));
    }

    /// §2.6 step 4.
    #[test]
    fn remote_without_an_approved_codec_is_refused() {
        for (names, formats) in [
            (&["PCMA"][..], "0"),
            (&["CLEARMODE"], "8 0"),
            (&[], "18 101"),
            (&[], ""),
            (&[], "8\na=rtpmap:8 L16/8000"),
            (&[], "97\na=rtpmap:97 PCMA/16000"),
            (&[], "97\na=rtpmap:97 PCMA/8000/2"),
        ] {
            let refusal = agree(Some(&codecs(names)), Some(&offer(formats)), None).expect_err("no codec");
            assert_eq!(refusal, Refusal::NoCommonCodec, "{names:?} {formats:?}");
        }
    }

    /// RFC 3264 §6.1, and the last paragraph of RFC 3435 §2.6.
    #[test]
    fn the_remote_orders_codecs_unless_options_do() {
        let remote = offer("0 8 101");
        let agreed = agree(None, Some(&remote), None).expect("both are ours");
        assert_eq!((list(agreed.receive), agreed.send.codec), (vec![(0, MU), (8, A)], MU));
        let agreed = agree(Some(&codecs(&["PCMA", "PCMU"])), Some(&remote), None).expect("both are ours");
        assert_eq!((list(agreed.receive), agreed.send.codec), (vec![(8, A), (0, MU)], A));
        let agreed = agree(Some(&period(30, 30)), Some(&remote), None).expect("both are ours");
        assert_eq!((list(agreed.receive), agreed.ptime_ms), (vec![(0, MU), (8, A)], ms(30)));
    }

    /// RFC 3264 §6.1, RFC 4040 §5.
    #[test]
    fn the_offers_payload_types_are_kept() {
        let remote = offer("121 97\na=rtpmap:97 pcma/8000/1\na=rtpmap:121 Clearmode/8000");
        let agreed = agree(None, Some(&remote), None).expect("both are ours");
        assert_eq!(list(agreed.receive), [(121, CLEAR), (97, A)]);
        assert_eq!((agreed.send.payload_type, agreed.send.codec), (121, CLEAR));
    }

    /// RFC 3264 §6.1: send with the peer's numbers; §8.3.2: a number we gave keeps its meaning.
    #[test]
    fn our_own_payload_types_outlive_the_answer() {
        let first = agree(None, None, None).expect("nothing is asked");
        let remote = offer("121 96\na=rtpmap:121 CLEARMODE/8000\na=rtpmap:96 PCMA/8000");
        let second = agree(None, Some(&remote), Some(&first)).expect("both are ours");
        assert_eq!(list(second.receive), [(96, CLEAR), (8, A)]);
        assert_eq!(list(second.understood), [(121, CLEAR), (96, A)]);
        assert_eq!((second.send.payload_type, second.send.codec), (121, CLEAR));
    }

    #[test]
    fn a_static_number_that_means_something_else_is_not_given_twice() {
        let remote = offer("0 8\na=rtpmap:0 CLEARMODE/8000\na=rtpmap:8 PCMU/8000");
        let first = agree(None, Some(&remote), None).expect("both are ours");
        assert_eq!(list(first.receive), [(0, CLEAR), (8, MU)]);
        let all = codecs(&["PCMA", "PCMU", "CLEARMODE"]);
        let second = agree(Some(&all), None, Some(&first)).expect("all are ours");
        assert_eq!(list(second.receive), [(96, A), (8, MU), (0, CLEAR)]);
        assert_eq!((second.send.codec, second.send.payload_type), (MU, 8), "which the peer understands");
    }

    #[test]
    fn rtcp_goes_to_the_next_port_or_where_it_is_said() {
        for (lines, expected) in [
            ("8", peer("198.51.100.7:4000", "198.51.100.7:4001")),
            ("8\na=rtcp:53020", peer("198.51.100.7:4000", "198.51.100.7:53020")),
            ("8\na=rtcp:53020 IN IP4 126.16.64.4", peer("198.51.100.7:4000", "126.16.64.4:53020")),
            ("8\nc=IN IP4 203.0.113.9", peer("203.0.113.9:4000", "203.0.113.9:4001")),
        ] {
            assert_eq!(
                agree(None, Some(&offer(lines)), None).expect("it is fine").remote,
                expected,
                "{lines}"
            );
        }
    }

    #[test]
    fn our_address_is_of_the_remotes_family() {
        let v6 = "v=0\nc=IN IP6 2001:db8::7\nm=audio 4000 RTP/AVP 8\n";
        let agreed = agree(None, Some(v6), None).expect("there is an address of it");
        assert!(agreed.local.is_ipv6());
        let description = Description::parse(v6.as_bytes()).expect("it conforms");
        let terms = Terms {
            law: Law::A,
            ptime_default_ms: ms(20),
            telephone_events: true,
            addresses: &["192.0.2.100".parse().expect("an address")],
            options: None,
            remote: Some(&description),
            current: None,
        };
        assert_eq!(negotiate(&terms).map_err(Refusal::code), Err(ReturnCode(505)));
    }

    /// RFC 3264 §8.4 and §5.1.
    #[test]
    fn a_peer_on_hold_is_sent_nothing() {
        let first = agree(None, Some(&offer("8")), None).expect("it is fine");
        for (text, formats) in [
            ("v=0\nc=IN IP4 0.0.0.0\nm=audio 4000 RTP/AVP 8\n", &[(8, A)][..]),
            ("v=0\nc=IN IP6 ::\nm=audio 4000 RTP/AVP 8\n", &[(8, A)]),
            ("v=0\nc=IN IP4 198.51.100.7\nm=audio 0 RTP/AVP 8 0\n", &[(8, A), (0, MU)]),
            ("v=0\nc=IN IP4 198.51.100.7\nm=audio 0 RTP/AVP 19\n", &[(8, A), (0, MU), (96, CLEAR)]),
        ] {
            let agreed = agree(None, Some(text), Some(&first)).expect("it is no error");
            assert_eq!((agreed.remote, list(agreed.receive)), (None, formats.to_vec()), "{text}");
            assert_eq!(agreed.local, first.local);
        }
    }

    #[test]
    fn the_first_audio_that_is_wanted_is_taken() {
        let text = "v=0\nc=IN IP4 198.51.100.7\nm=image 6000 udptl t38\nm=audio 5000 RTP/SAVP 8\n\
                    m=audio 0 RTP/AVP 8\nm=Audio 4000 rtp/avp 0\nm=audio 4002 RTP/AVP 8\n";
        let agreed = agree(None, Some(text), None).expect("one will do");
        assert_eq!(
            (agreed.remote, list(agreed.receive)),
            (peer("198.51.100.7:4000", "198.51.100.7:4001"), vec![(0, MU)])
        );
    }

    #[test]
    fn what_we_do_not_do_is_505_and_what_is_wrong_is_509() {
        for (text, code) in [
            ("v=0\nc=IN IP4 198.51.100.7\n", 505),
            ("v=0\nc=IN IP4 198.51.100.7\nm=image 4000 udptl t38\n", 505),
            ("v=0\nc=IN IP4 198.51.100.7\nm=audio 4000 RTP/SAVP 8\n", 505),
            ("v=0\nc=IN IP4 198.51.100.7\nm=audio $ RTP/AVP 8\n", 505),
            ("v=0\nc=IN IP4 198.51.100.7\nm=audio 65535 RTP/AVP 8\n", 505),
            ("v=0\nc=IN IP4 224.2.1.1/127\nm=audio 4000 RTP/AVP 8\n", 505),
            ("v=0\nc=IN IP4 224.2.1.1\nm=audio 4000 RTP/AVP 8\n", 505),
            ("v=0\nc=IN IP4 255.255.255.255\nm=audio 4000 RTP/AVP 8\n", 505),
            ("v=0\nc=IN IP4 host.example.net\nm=audio 4000 RTP/AVP 8\n", 505),
            ("v=0\nc=LOCAL EPN ds/e1-1/1\nm=audio 0 LOCAL 0\n", 505),
            ("v=0\nc=IN IP4 198.51.100.7\nm=audio 4000 RTP/AVP 8\na=rtcp:4001 IN IP6 2001:db8::1\n", 505),
            ("v=0\nc=IN IP4 198.51.100.7\nm=audio 4000 RTP/AVP 8\na=rtcp:4001 IN IP4 0.0.0.0\n", 505),
            ("v=0\nc=IN IP4 198.51.100.7\nm=audio 4000 RTP/AVP 8\na=maxptime:4\n", 505),
            ("v=1\n", 505),
            ("v=0\nm=audio 4000 RTP/AVP 8\n", 509),
            ("v=0\nc=IN IP4 198.51.100\nm=audio 4000 RTP/AVP 8\n", 509),
            ("hello\n", 509),
        ] {
            let refusal = agree(None, Some(text), None).expect_err(text);
            assert_eq!(refusal.code(), ReturnCode(code), "{refusal}: {text}");
        }
    }

    #[test]
    fn packetization_is_asked_wished_kept_or_usual_in_this_order() {
        let in_use = Negotiated { ptime_ms: ms(40), ..agree(None, None, None).expect("nothing is asked") };
        let remote = Some("8\na=ptime:30");
        for (asked, remote, current, expected) in [
            (None, None, None, 20),
            (Some((10, 10)), None, None, 10),
            (Some((5, 60)), None, None, 20),
            (Some((21, 45)), None, None, 30),
            (Some((5, 15)), None, None, 10),
            (Some((16, 18)), None, None, 20),
            (Some((15, 15)), remote, None, 20),
            (Some((61, 200)), None, None, 60),
            (Some((0, 4)), None, None, 5),
            (Some((10, 10)), remote, None, 10),
            (Some((5, 60)), remote, None, 30),
            (None, remote, None, 30),
            (None, Some("8\na=ptime:25"), None, 20),
            (None, Some("8\na=ptime:1000"), None, 60),
            (None, Some("8\na=maxptime:15"), None, 10),
            (None, Some("8\na=ptime:60\na=maxptime:30"), None, 30),
            (None, remote, Some(&in_use), 30),
            (None, Some("8"), Some(&in_use), 40),
            (Some((10, 60)), None, Some(&in_use), 40),
            (Some((10, 30)), None, Some(&in_use), 30),
        ] {
            let options = asked.map(|(from, to)| period(from, to));
            let remote_text = remote.map(offer);
            let agreed = agree(options.as_ref(), remote_text.as_deref(), current).expect("it can be had");
            assert_eq!(agreed.ptime_ms, ms(expected), "{asked:?} {remote:?}");
        }
    }

    #[test]
    fn packetization_that_cannot_be_had_is_refused() {
        for (asked, remote, refusal, code) in [
            (period(20, 10), "8", Refusal::Inconsistent, 524),
            (bandwidth(96, 80), "8", Refusal::Inconsistent, 524),
            (period(30, 60), "8\na=maxptime:20", Refusal::Conflict, 506),
            (bandwidth(70, 70), "8\na=maxptime:20", Refusal::Conflict, 506),
        ] {
            let refused = agree(Some(&asked), Some(&offer(remote)), None).expect_err("it cannot be had");
            assert_eq!((refused, refused.code()), (refusal, ReturnCode(code)), "{asked:?} {remote}");
        }
    }

    /// §2.3.5: headers count; G.711 needs 80 kbit/s over IPv4 with 20 ms packets, 88 over IPv6.
    #[test]
    fn bandwidth_makes_packets_longer_or_leaves_no_codec() {
        let v6 = "v=0\nc=IN IP6 2001:db8::7\nm=audio 4000 RTP/AVP 8\n";
        for (from, to, remote, expected) in [
            (80, 80, None, Some(20)),
            (79, 79, None, Some(30)),
            (32, 70, None, Some(60)),
            (100, 200, None, Some(20)),
            (88, 88, Some(v6), Some(20)),
            (80, 80, Some(v6), Some(30)),
            (64, 64, None, None),
            (0, 69, None, None),
        ] {
            let agreed = agree(Some(&bandwidth(from, to)), remote, None);
            assert_eq!(agreed.map(|agreed| agreed.ptime_ms), expected.map(ms).ok_or(Refusal::NoCommonCodec));
        }
        let unworkable = Options { packetization_ms: Some(Range { from: 10, to: 20 }), ..bandwidth(64, 64) };
        assert_eq!(agree(Some(&unworkable), None, None), Err(Refusal::NoCommonCodec));
        let named = Options { codecs: vec!["PCMA"], ..unworkable };
        assert_eq!(agree(Some(&named), None, None).map(|agreed| agreed.ptime_ms), Ok(ms(20)));
    }

    /// §2.3.6: what an MDCX does not mention stays; only its own options bear on its description.
    #[test]
    fn a_modification_changes_what_it_names() {
        let first = agree(Some(&codecs(&["PCMA"])), Some(&offer("8 0")), None).expect("it is fine");
        assert_eq!(list(first.receive), [(8, A)]);
        let slower = agree(Some(&period(30, 30)), None, Some(&first)).expect("it is fine");
        assert_eq!(slower, Negotiated { ptime_ms: ms(30), ..first });
        let other = agree(Some(&codecs(&["PCMU"])), None, Some(&first)).expect("it is fine");
        assert_eq!((list(other.receive), other.remote), (vec![(0, MU)], first.remote));
        let anew =
            agree(None, Some(&offer("0\na=sendonly")), Some(&first)).expect("all we have is allowed again");
        assert_eq!((list(anew.receive), anew.send.codec), (vec![(0, MU)], MU));
        let unheard =
            agree(Some(&codecs(&["CLEARMODE"])), None, Some(&first)).expect("the peer is told next");
        assert_eq!((unheard.send.payload_type, unheard.send.codec), (96, CLEAR));
        assert_eq!(agree(None, None, Some(&first)), Ok(first));
    }

    /// What call agents send, as captured from them.
    #[test]
    fn call_agents_descriptions_are_taken() {
        let yate = "v=0\r\no=yate 1795329134 1795329134 IN IP4 127.0.0.1\r\ns=PSTN Circuit\r\nc=IN IP4 127.0.0.1\r\n\
                    t=0 0\r\nm=audio 30934 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
                    a=rtpmap:101 telephone-event/8000\r\n";
        let both = codecs(&["PCMU", "PCMA"]);
        let first = agree(Some(&both), None, None).expect("M: inactive, and no description yet");
        for current in [None, Some(&first)] {
            let agreed = agree(None, Some(yate), current).expect("Yate's");
            assert_eq!(list(agreed.receive), [(0, MU), (8, A)]);
            assert_eq!(events(&agreed), in_use(101), "whatever its first command named");
            assert_eq!(agreed.remote, peer("127.0.0.1:30934", "127.0.0.1:30935"));
        }

        // L: e:on, s:off, p:20, a:PCMA, a:PCMU
        let asterisk = "v=0\r\no=root 1162083127 1162083127 IN IP4 127.0.0.1\r\ns=Asterisk\r\nc=IN IP4 127.0.0.1\r\n\
                        t=0 0\r\nm=audio 15682 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n\
                        a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=maxptime:150\r\n\
                        a=sendrecv\r\n";
        let options = Options {
            echo_cancellation: Some(true),
            silence_suppression: Some(false),
            ..Options { codecs: vec!["PCMA", "PCMU"], ..period(20, 20) }
        };
        let agreed = agree(Some(&options), Some(asterisk), None).expect("Asterisk's");
        assert_eq!((list(agreed.receive), agreed.ptime_ms), (vec![(8, A), (0, MU)], ms(20)));
        assert_eq!(agreed.events.receive, None, "it names its codecs");

        // L: p:20, a:PCMA, nt:IN; the answer must have c= of the same family and a port.
        let osmocom = "v=0\r\no=- 1234 23 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                       m=audio 16002 RTP/AVP 8 112\r\na=rtpmap:112 AMR/8000\r\na=fmtp:112 octet-align=1\r\na=ptime:20\r\n";
        let options =
            Options { network_types: vec!["IN"], ..Options { codecs: vec!["PCMA"], ..period(20, 20) } };
        let agreed = agree(Some(&options), Some(osmocom), None).expect("Osmocom's");
        assert_eq!((list(agreed.receive), agreed.local.is_ipv4()), (vec![(8, A)], true));
        let amr = "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 16002 RTP/AVP 112\r\na=rtpmap:112 AMR/8000\r\n";
        assert_eq!(agree(None, Some(amr), None), Err(Refusal::NoCommonCodec), "a DS0 is no relay");

        let lf_only = yate.replace('\r', "");
        assert_eq!(agree(None, Some(&lf_only), None), agree(None, Some(yate), None));
    }

    /// Our payload type for telephone-events, and the peer's with the digits that it takes.
    fn events(agreed: &Negotiated) -> (Option<u8>, Option<(u8, String)>) {
        let send = agreed.events.send(agreed.send).map(|events| {
            let digits = Digit::ALL.iter().filter(|digit| events.digits.has(**digit));
            (events.payload_type, digits.map(ToString::to_string).collect())
        });
        (agreed.events.receive, send)
    }

    const DIGITS: &str = "0123456789*#ABCD";

    fn in_use(number: u8) -> (Option<u8>, Option<(u8, String)>) {
        (Some(number), Some((number, DIGITS.to_owned())))
    }

    /// RFC 4733 §2.4.1, §2.5.1.1; RFC 3264 §6.1; RFC 3435 §3.2.2.10.
    #[test]
    fn telephone_events_are_used_where_both_sides_name_them() {
        let none = (None, None);
        for (names, formats, expected) in [
            (&[][..], None, (Some(101), None)),
            (&["PCMA", "telephone-event"], None, (Some(101), None)),
            (&["PCMA"], None, none.clone()),
            (&["CLEARMODE", "telephone-event"], None, none.clone()),
            (&[], Some("8 101\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15"), in_use(101)),
            (&[], Some("8 96\na=rtpmap:96 Telephone-Event/8000/1"), in_use(96)),
            (&["PCMA", "TELEPHONE-EVENT"], Some("8 96\na=rtpmap:96 telephone-event/8000"), in_use(96)),
            (&["PCMA"], Some("8 96\na=rtpmap:96 telephone-event/8000"), (None, None)),
            (&[], Some("8"), none.clone()),
            (&[], Some("8 96\na=rtpmap:96 telephone-event/16000"), none.clone()),
            (&[], Some("8 96\na=rtpmap:96 telephone-event/8000\na=fmtp:96 32-36"), none.clone()),
            (
                &[],
                Some("8 96\na=rtpmap:96 telephone-event/8000\na=fmtp:96 0-9,16"),
                (Some(96), Some((96, "0123456789".to_owned()))),
            ),
            (&[], Some("97 96\na=rtpmap:97 CLEARMODE/8000\na=rtpmap:96 telephone-event/8000"), none.clone()),
            (
                &[],
                Some("8 97 96\na=rtpmap:97 telephone-event/16000\na=rtpmap:96 telephone-event/8000"),
                in_use(96),
            ),
        ] {
            let options = (!names.is_empty()).then(|| codecs(names));
            let remote = formats.map(offer);
            let agreed = agree(options.as_ref(), remote.as_deref(), None).expect("audio can be had");
            let told = events(&agreed);
            assert_eq!(told.0, expected.0, "{names:?} {formats:?}");
            assert!(told.1 == expected.1, "{names:?} {formats:?}: {told:?}");
        }
        let only = codecs(&["telephone-event"]);
        assert_eq!(agree(Some(&only), None, None), Err(Refusal::NoCommonCodec), "it is no codec by itself");
    }

    /// RFC 3264 §5.1, §8.3.2: each side numbers for itself, and no number changes its meaning.
    #[test]
    fn telephone_events_have_two_numbers_and_keep_ours() {
        let first = agree(None, None, None).expect("nothing is asked");
        let remote = offer("8 101 97\na=rtpmap:101 CLEARMODE/8000\na=rtpmap:97 telephone-event/8000");
        let second = agree(None, Some(&remote), Some(&first)).expect("all can be had");
        assert_eq!(events(&second), (Some(101), Some((97, DIGITS.to_owned()))));
        assert_eq!(second.receive.codec(101), None);
        assert_eq!(second.receive.codec(96), Some(CLEAR));
        let both_at_101 = offer("8 101 96\na=rtpmap:101 CLEARMODE/8000\na=rtpmap:96 telephone-event/8000");
        let alone = agree(None, Some(&both_at_101), None).expect("all can be had");
        assert_eq!((events(&alone), alone.receive.codec(101)), (in_use(96), Some(CLEAR)));
    }

    /// RFC 3435 §2.3.6.
    #[test]
    fn a_modification_takes_telephone_events_up_and_puts_them_away() {
        let with = offer("8 101\na=rtpmap:101 telephone-event/8000");
        let (none, held) = ((None, None), with.replace("audio 4000", "audio 0"));
        let first = agree(None, Some(&with), None).expect("both have them");
        for (options, remote, expected) in [
            (None, None, in_use(101)),
            (Some(period(30, 30)), None, in_use(101)),
            (Some(codecs(&["PCMA"])), None, none.clone()),
            (Some(codecs(&["CLEARMODE", "telephone-event"])), None, none.clone()),
            (Some(codecs(&["PCMU", "telephone-event"])), None, in_use(101)),
            (None, Some(offer("8")), none.clone()),
            (None, Some(held), in_use(101)),
            (
                None,
                Some(
                    "v=0\nc=IN IP4 0.0.0.0\nm=audio 4000 RTP/AVP 8 101\na=rtpmap:101 telephone-event/8000\n"
                        .into(),
                ),
                in_use(101),
            ),
        ] {
            let agreed = agree(options.as_ref(), remote.as_deref(), Some(&first)).expect("audio stays");
            assert_eq!(events(&agreed), expected, "{options:?} {remote:?}");
        }
        let without = agree(None, Some(&offer("8")), Some(&first)).expect("audio stays");
        let again = agree(None, Some(&with), Some(&without)).expect("audio stays");
        assert_eq!(events(&again), in_use(101));
        assert_eq!(events(&agree(None, None, Some(&without)).expect("audio stays")), none);
    }

    /// Some lines after `m=audio port RTP/AVP`, often ones that mean something to us.
    fn some_offer() -> impl Strategy<Value = String> {
        let number = prop_oneof![Just(0_u8), Just(8), Just(13), 95_u8..=127];
        let name = prop_oneof!["PCM[AU]", "CLEARMODE", "telephone-event", "[A-Z0-9]{1,6}"];
        let address = prop_oneof![
            "IP4 192[.]0[.]2[.][1-9]",
            Just("IP4 0.0.0.0".into()),
            Just("IP6 2001:db8::7".into())
        ];
        let attribute = prop_oneof![
            (number.clone(), name).prop_map(|(number, name)| format!("rtpmap:{number} {name}/8000")),
            (0_u8..200).prop_map(|ms| format!("ptime:{ms}")),
            (0_u8..80).prop_map(|ms| format!("maxptime:{ms}")),
        ];
        let formats = proptest::collection::vec(number, 0..6);
        let attributes = proptest::collection::vec(attribute, 0..6);
        (prop_oneof![Just(0_u16), any::<u16>()], address, formats, attributes).prop_map(
            |(port, address, formats, attributes)| {
                let mut text = format!("v=0\nc=IN {address}\nm=audio {port} RTP/AVP");
                text.extend(formats.iter().map(|format| format!(" {format}")));
                text.extend(attributes.iter().map(|attribute| format!("\na={attribute}")));
                text
            },
        )
    }

    fn some_options() -> impl Strategy<Value = Options> {
        let name = proptest::sample::select(vec!["PCMA", "pcmu", "CLEARMODE", "G729", "telephone-event"]);
        let range =
            || proptest::option::of((0_u32..130, 0_u32..130).prop_map(|(from, to)| Range { from, to }));
        (proptest::collection::vec(name, 0..4), range(), range()).prop_map(
            |(codecs, packetization_ms, bandwidth_kbps)| Options {
                codecs,
                packetization_ms,
                bandwidth_kbps,
                ..Options::default()
            },
        )
    }

    proptest! {
        /// Whatever a call agent asks, command after command: what is agreed can be ordered.
        #[test]
        fn what_is_agreed_makes_sense(
            commands in proptest::collection::vec(
                (proptest::option::of(some_options()), proptest::option::of(some_offer())), 1..6),
        ) {
            let mut current: Option<Negotiated> = None;
            for (options, remote) in &commands {
                let Ok(agreed) = agree(options.as_ref(), remote.as_deref(), current.as_ref()) else { continue };
                let formats = list(agreed.receive);
                prop_assert!(agreed.events.receive.is_none_or(|number| agreed.receive.codec(number).is_none()));
                let mut numbers: Vec<u8> = formats.iter().map(|(number, _)| *number).collect();
                numbers.sort_unstable();
                numbers.dedup();
                let codecs = distinct(formats.iter().map(|(_, codec)| *codec));
                prop_assert!(!formats.is_empty() && numbers.len() == formats.len() && codecs.len() == formats.len());
                prop_assert!(codecs.contains(&agreed.send.codec));
                prop_assert!(SUPPORTED_MS.contains(&agreed.ptime_ms.get()));
                prop_assert!(agreed.remote.is_none_or(|remote| remote.rtp.is_ipv4() == agreed.local.is_ipv4()));
                if let Some(before) = current {
                    for (number, codec) in formats {
                        prop_assert!(before.receive.codec(number).is_none_or(|was| was == codec));
                        prop_assert!(before.events.receive != Some(number));
                    }
                }
                current = Some(agreed);
            }
        }
    }
}
