//! Octets → [`Description`] (RFC 4566 §5, §6, §9).
//!
//! Takes what is useful and leaves the rest alone: lines may end in CRLF or LF, `s=`, `t=` and `o=`
//! may be missing (RFC 3435 §3.4: they can be ignored), unknown lines and attributes are skipped,
//! text may be in any character set. Only what would send media astray is an error: a `c=`, `m=`,
//! `a=rtpmap` or `a=rtcp` line of the audio that cannot be read.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A session description, as far as a telephone gateway has use for it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Description<'a> {
    /// The `o=` line, where there is one that can be read.
    pub origin: Option<Origin<'a>>,
    /// The `c=` line of the session.
    pub connection: Option<Connection<'a>>,
    /// `a=MGCPlocalcx` of the session: which connection of an endpoint is described (RFC 3435 §3.4.2).
    pub local_connection: Option<&'a str>,
    /// The media, in order; at most [`MEDIA_MAX`].
    pub media: Vec<Media<'a>>,
    /// Whether `k=` offers a key for all media (RFC 4566 §5.12).
    pub has_key: bool,
}

/// Media sections that are kept; more are an error.
pub const MEDIA_MAX: usize = 8;

/// Who made a description, and which version of it this is (RFC 4566 §5.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin<'a> {
    /// The user's name, `-` in most.
    pub username: &'a str,
    /// The session's number. Text, because RFC 3435 §3.4.1 itself has one with a letter in it.
    pub session_id: &'a str,
    /// The version's number, likewise.
    pub version: &'a str,
}

/// Where media are wanted: the value of `c=` (RFC 4566 §5.7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Connection<'a> {
    /// `IN IP4` or `IN IP6` and a numeric address.
    Address(IpAddr),
    /// A host's name, another network (`ATM`, `LOCAL`), a multicast group with its scope: the words.
    Other(&'a str),
}

/// One `m=` line and what belongs to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Media<'a> {
    /// `audio`, `image`, `video`...
    pub kind: &'a str,
    /// The port; `None` where it is left open (`$` or `-`, RFC 3108 §5).
    pub port: Option<u16>,
    /// How many port pairs, 1 unless `/n` says otherwise.
    pub port_count: u16,
    /// `RTP/AVP`...
    pub protocol: &'a str,
    /// The payload types in order of preference; none where the protocol is not RTP.
    pub formats: Vec<PayloadType<'a>>,
    /// The `c=` line of this section, which stands over the session's.
    pub connection: Option<Connection<'a>>,
    /// `a=ptime`, in ms.
    pub ptime_ms: Option<u16>,
    /// `a=maxptime`, in ms.
    pub maxptime_ms: Option<u16>,
    /// `a=rtcp` (RFC 3605 §2.1).
    pub rtcp: Option<Rtcp>,
    /// `a=rtcp-mux-only` (RFC 8858 §3): there is no second port for RTCP.
    pub rtcp_mux_only: bool,
    /// Whether `k=` offers a key for this section.
    pub has_key: bool,
}

/// A payload type of an `m=` line and what is said of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PayloadType<'a> {
    /// The number, 0 to 127.
    pub number: u8,
    /// `a=rtpmap`: encoding name, clock rate and channels.
    pub encoding: Option<Encoding<'a>>,
    /// `a=fmtp`: the words behind the number.
    pub parameters: Option<&'a str>,
}

/// The value of `a=rtpmap` (RFC 4566 §6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Encoding<'a> {
    /// The name, as it was spelt; compared without regard to case.
    pub name: &'a str,
    /// Ticks a second of the RTP timestamp.
    pub clock_hz: u32,
    /// Audio channels, 1 unless given.
    pub channels: u8,
}

/// The value of `a=rtcp` (RFC 3605 §2.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rtcp {
    /// The port.
    pub port: u16,
    /// The address, if it is not that of the media.
    pub address: Option<IpAddr>,
}

/// What is wrong with a description, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub fault: Fault,
}

/// Whether a line is wrong or only beyond us: RFC 3435 §2.4 has a return code for each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It breaks the grammar or its meaning contradicts itself.
    Wrong(&'static str),
    /// It may be right, but we do not do this.
    Unsupported(&'static str),
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Fault::Wrong(reason) | Fault::Unsupported(reason)) = self.fault;
        write!(f, "line {}: {reason}", self.line)
    }
}

impl std::error::Error for ParseError {}

/// Lines that are read; a description of more is refused.
pub const LINES_MAX: usize = 512;

impl<'a> Description<'a> {
    /// Reads a description.
    ///
    /// # Errors
    /// The first line that makes the description useless.
    pub fn parse(octets: &'a [u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::default();
        let mut line = 0;
        for octets in octets.split(|&octet| octet == b'\n') {
            line += 1;
            reader.line(line, octets.trim_ascii()).map_err(|fault| ParseError { line, fault })?;
        }
        reader.finish()
    }

    /// Where the media of a section are wanted: its own `c=` line, or else the session's.
    pub fn connection_of(&self, media: &Media<'a>) -> Option<Connection<'a>> {
        media.connection.or(self.connection)
    }
}

impl Media<'_> {
    /// Whether this is audio.
    pub fn is_audio(&self) -> bool {
        self.kind.eq_ignore_ascii_case("audio")
    }
}

/// A description half read.
#[derive(Default)]
struct Reader<'a> {
    /// Whether `v=0` was there.
    begun: bool,
    description: Description<'a>,
    /// The line of each `m=`.
    media_lines: Vec<usize>,
}

impl<'a> Reader<'a> {
    /// Takes the next line, without its end.
    fn line(&mut self, number: usize, line: &'a [u8]) -> Result<(), Fault> {
        if number > LINES_MAX {
            return Err(Fault::Unsupported("too many lines"));
        }
        if line.is_empty() {
            return Ok(());
        }
        let [kind, b'=', value @ ..] = line else {
            return Err(Fault::Wrong("not a letter, `=` and a value"));
        };
        let value = value.trim_ascii();
        if !self.begun {
            self.begun = true;
            return match (kind, value) {
                (b'v', b"0") => Ok(()),
                (b'v', _) => Err(Fault::Unsupported("a version of SDP other than 0")),
                _ => Err(Fault::Wrong("a description begins with v=0")),
            };
        }
        match kind {
            b'o' => self.description.origin = origin(value),
            b'c' => {
                // RFC 4566 §5.7: several are for layers of multicast; the first is the base.
                let section = self.description.media.last_mut();
                let place = section.map_or(&mut self.description.connection, |media| &mut media.connection);
                if place.is_none() {
                    *place = Some(connection(value)?);
                }
            }
            b'm' => {
                if self.description.media.len() == MEDIA_MAX {
                    return Err(Fault::Unsupported("too many media"));
                }
                self.description.media.push(media(value)?);
                self.media_lines.push(number);
            }
            b'k' => match self.description.media.last_mut() {
                Some(media) => media.has_key = true,
                None => self.description.has_key = true,
            },
            b'a' => self.attribute(value)?,
            _ => {}
        }
        Ok(())
    }

    /// Takes an `a=` line.
    fn attribute(&mut self, value: &'a [u8]) -> Result<(), Fault> {
        let colon = value.iter().position(|&octet| octet == b':');
        let (name, value) = colon.map_or((value, None), |at| (&value[..at], Some(&value[at + 1..])));
        let name = name.to_ascii_lowercase();
        let Some(media) = self.description.media.last_mut() else {
            if name == b"mgcplocalcx" {
                let value = value.and_then(|value| str::from_utf8(value).ok()).map(str::trim_ascii);
                self.description.local_connection = value.or(self.description.local_connection);
            }
            return Ok(());
        };
        media.rtcp_mux_only |= name == b"rtcp-mux-only";
        let Some(value) = value else { return Ok(()) };
        match &name[..] {
            b"rtpmap" => rtpmap(media, value).or_else(|fault| media.forgive(fault))?,
            b"fmtp" => fmtp(media, value),
            b"ptime" => media.ptime_ms = milliseconds(value),
            b"maxptime" => media.maxptime_ms = milliseconds(value),
            b"rtcp" => match rtcp(value) {
                Ok(rtcp) => media.rtcp = Some(rtcp),
                Err(fault) => media.forgive(fault)?,
            },
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<Description<'a>, ParseError> {
        if !self.begun {
            return Err(ParseError { line: 1, fault: Fault::Wrong("a description begins with v=0") });
        }
        // RFC 4566 §5.7: a c= line stands in each section, or over all of them.
        for (media, &line) in self.description.media.iter().zip(&self.media_lines) {
            if media.is_audio() && self.description.connection_of(media).is_none() {
                return Err(ParseError { line, fault: Fault::Wrong("audio without a c= line") });
            }
        }
        Ok(self.description)
    }
}

impl Media<'_> {
    /// What is wrong with media that we do not use costs nobody a call.
    fn forgive(&self, fault: Fault) -> Result<(), Fault> {
        if self.is_audio() { Err(fault) } else { Ok(()) }
    }
}

/// `o=`, or nothing: it is of no use to MGCP (RFC 3435 §3.4).
fn origin(value: &[u8]) -> Option<Origin<'_>> {
    let mut words = str::from_utf8(value).ok()?.split_ascii_whitespace();
    Some(Origin { username: words.next()?, session_id: words.next()?, version: words.next()? })
}

fn connection(value: &[u8]) -> Result<Connection<'_>, Fault> {
    let text = str::from_utf8(value).map_err(|_| Fault::Wrong("c= is not UTF-8"))?;
    let mut words = text.split_ascii_whitespace();
    let (Some(network), Some(family), Some(address), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Fault::Wrong("c= is not network, address type and address"));
    };
    if !network.eq_ignore_ascii_case("IN") {
        return Ok(Connection::Other(text));
    }
    Ok(internet_address(family, address)?.map_or(Connection::Other(text), Connection::Address))
}

/// A numeric address, or `None` for a host's name or a multicast group's scope.
fn internet_address(family: &str, address: &str) -> Result<Option<IpAddr>, Fault> {
    let numeric = if family.eq_ignore_ascii_case("IP4") {
        Ipv4Addr::from_str(address).ok().map(IpAddr::V4)
    } else if family.eq_ignore_ascii_case("IP6") {
        Ipv6Addr::from_str(address).ok().map(IpAddr::V6)
    } else {
        return Err(Fault::Wrong("neither IP4 nor IP6"));
    };
    // No host's name has a colon in it, or is of digits only.
    let like_numeric = address.contains(':') || address.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if numeric.is_none() && like_numeric && !address.contains('/') {
        return Err(Fault::Wrong("not an address of that type"));
    }
    Ok(numeric)
}

/// What an `m=` line is to be.
const NOT_MEDIA: &str = "m= is not media, port, protocol and formats";

fn media(value: &[u8]) -> Result<Media<'_>, Fault> {
    let text = str::from_utf8(value).map_err(|_| Fault::Wrong("m= is not UTF-8"))?;
    let mut words = text.split_ascii_whitespace();
    let (Some(kind), Some(ports), Some(protocol)) = (words.next(), words.next(), words.next()) else {
        return Err(Fault::Wrong(NOT_MEDIA));
    };
    let (port, count) = ports.split_once('/').unwrap_or((ports, "1"));
    let port = match port {
        "$" | "-" => None,
        _ => Some(number(port).ok_or(Fault::Wrong("the port is not 0 to 65535"))?),
    };
    let port_count = number(count).filter(|&n| n > 0).ok_or(Fault::Wrong("not a count of ports"))?;
    let mut media = Media {
        kind,
        port,
        port_count,
        protocol,
        formats: Vec::new(),
        connection: None,
        ptime_ms: None,
        maxptime_ms: None,
        rtcp: None,
        rtcp_mux_only: false,
        has_key: false,
    };
    if protocol.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("RTP/")) {
        for word in words {
            match payload_type(word) {
                Some(number) => media.list(number),
                None => media.forgive(Fault::Wrong("a payload type is not 0 to 127"))?,
            }
        }
        // RFC 4566 §9, media-field: one format at least.
        if media.formats.is_empty() {
            media.forgive(Fault::Wrong(NOT_MEDIA))?;
        }
    }
    Ok(media)
}

impl<'a> Media<'a> {
    /// Adds a payload type unless it is there; so there are 128 at most.
    fn list(&mut self, number: u8) {
        if self.listed(number).is_none() {
            self.formats.push(PayloadType { number, encoding: None, parameters: None });
        }
    }

    fn listed(&mut self, number: u8) -> Option<&mut PayloadType<'a>> {
        self.formats.iter_mut().find(|format| format.number == number)
    }
}

/// `a=rtpmap:97 CLEARMODE/8000`. The first for a number stands; one for no listed number is idle.
fn rtpmap<'a>(media: &mut Media<'a>, value: &'a [u8]) -> Result<(), Fault> {
    let wrong = Fault::Wrong("a=rtpmap is not payload type, name and clock rate");
    let (number, encoding) = encoding(value).ok_or(wrong)?;
    if let Some(format) = media.listed(number) {
        format.encoding = format.encoding.or(Some(encoding));
    }
    Ok(())
}

fn encoding(value: &[u8]) -> Option<(u8, Encoding<'_>)> {
    let mut words = str::from_utf8(value).ok()?.split_ascii_whitespace();
    let payload_type = payload_type(words.next()?)?;
    let mut parts = words.next()?.split('/');
    let name = parts.next().filter(|name| !name.is_empty())?;
    let clock_hz = number(parts.next()?)?;
    let channels = match parts.next() {
        // RFC 4566 §6: absent means one; what cannot be read is no number of channels we have.
        None => 1,
        Some(channels) => number(channels)?,
    };
    Some((payload_type, Encoding { name, clock_hz, channels }))
}

/// `a=fmtp:101 0-15`. What cannot be read says nothing.
fn fmtp<'a>(media: &mut Media<'a>, value: &'a [u8]) {
    let Ok(text) = str::from_utf8(value) else { return };
    let (number, parameters) = text.trim_ascii().split_once(' ').unwrap_or((text, ""));
    if let Some(format) = payload_type(number).and_then(|number| media.listed(number)) {
        format.parameters = format.parameters.or(Some(parameters.trim_ascii()));
    }
}

/// Whole milliseconds. RFC 8866 §6.4 allows a fraction, which no packet of ours has. Zero or
/// anything else is no wish at all (RFC 3264 §5.1: it must be greater than zero).
fn milliseconds(value: &[u8]) -> Option<u16> {
    let value = value.trim_ascii();
    let digits = value.iter().take_while(|octet| octet.is_ascii_digit()).count();
    str::from_utf8(&value[..digits]).ok().and_then(number).filter(|&ms| ms > 0)
}

/// `a=rtcp:53020` or `a=rtcp:53020 IN IP4 126.16.64.4` (RFC 3605 §2.1).
fn rtcp(value: &[u8]) -> Result<Rtcp, Fault> {
    let wrong = Fault::Wrong("a=rtcp is not a port, or port, network, address type and address");
    let mut words = str::from_utf8(value).map_err(|_| wrong)?.split_ascii_whitespace();
    let port = words.next().and_then(number).filter(|&port| port > 0).ok_or(wrong)?;
    let Some(network) = words.next() else {
        return Ok(Rtcp { port, address: None });
    };
    let (Some(family), Some(address), None) = (words.next(), words.next(), words.next()) else {
        return Err(wrong);
    };
    if !network.eq_ignore_ascii_case("IN") {
        return Err(Fault::Unsupported("RTCP over another network"));
    }
    let address = internet_address(family, address)?.ok_or(Fault::Unsupported("RTCP to a host's name"))?;
    Ok(Rtcp { port, address: Some(address) })
}

fn payload_type(word: &str) -> Option<u8> {
    number(word).filter(|&number| number < 128)
}

/// Decimal digits and nothing else: `from_str` alone would take a sign.
fn number<T: FromStr>(word: &str) -> Option<T> {
    word.bytes().all(|octet| octet.is_ascii_digit()).then(|| word.parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Description<'_>, ParseError> {
        Description::parse(text.as_bytes())
    }

    fn wrong(line: usize, reason: &'static str) -> ParseError {
        ParseError { line, fault: Fault::Wrong(reason) }
    }

    fn unsupported(line: usize, reason: &'static str) -> ParseError {
        ParseError { line, fault: Fault::Unsupported(reason) }
    }

    /// The first audio of a description that is `lines` behind `v=0`.
    fn audio(lines: &str) -> Result<Description<'_>, ParseError> {
        let text = format!("v=0\nc=IN IP4 192.0.2.1\n{lines}");
        Description::parse(text.leak().as_bytes())
    }

    #[test]
    fn all_lines_of_use_are_read() {
        let text = "v=0\r\no=yate 1795329134 7 IN IP4 127.0.0.1\r\ns=PSTN Circuit\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                    a=sendonly\r\nm=audio 30934/2 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n\
                    a=rtpmap:101 telephone-event/8000/1\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=maxptime:60\r\n\
                    a=rtcp:53020 IN IP4 126.16.64.4\r\na=silenceSupp:off - - - -\r\n\
                    m=image 0 udptl t38\r\nc=IN IP6 2001:db8::1\r\na=inactive\r\n";
        let description = parse(text).expect("it conforms");
        let encoding = |name| Some(Encoding { name, clock_hz: 8_000, channels: 1 });
        assert_eq!(
            description.origin,
            Some(Origin { username: "yate", session_id: "1795329134", version: "7" })
        );
        let [audio, image] = &description.media[..] else { panic!("two media") };
        let expected = Media {
            kind: "audio",
            port: Some(30_934),
            port_count: 2,
            protocol: "RTP/AVP",
            formats: vec![
                PayloadType { number: 0, encoding: encoding("PCMU"), parameters: None },
                PayloadType { number: 101, encoding: encoding("telephone-event"), parameters: Some("0-15") },
            ],
            connection: None,
            ptime_ms: Some(20),
            maxptime_ms: Some(60),
            rtcp: Some(Rtcp { port: 53_020, address: Some(Ipv4Addr::new(126, 16, 64, 4).into()) }),
            rtcp_mux_only: false,
            has_key: false,
        };
        assert_eq!(*audio, expected);
        assert_eq!(description.connection_of(audio), Some(Connection::Address(Ipv4Addr::LOCALHOST.into())));
        assert_eq!((image.kind, image.protocol, image.formats.len()), ("image", "udptl", 0));
        assert_eq!(
            description.connection_of(image),
            Some(Connection::Address("2001:db8::1".parse().expect("an address")))
        );
    }

    /// RFC 3435 §3.4.2, and its examples without `o=`, `s=` and `t=`.
    #[test]
    fn mgcp_s_own_examples_are_read() {
        let local = parse(
            "v=0\no=- A7453949499 0 LOCAL EPN X35V3+A4/13\ns=-\nc=LOCAL EPN X35V3+A4/13\nt=0 0\n\
             a=MGCPlocalcx:FDE234C8\nm=audio 0 LOCAL 0\n",
        )
        .expect("it conforms");
        assert_eq!(local.connection, Some(Connection::Other("LOCAL EPN X35V3+A4/13")));
        assert_eq!(local.origin.expect("it is there").session_id, "A7453949499");
        let bare = parse("v=0\nc=IN IP4 128.96.41.1\nm=audio 3456 RTP/AVP 0 96\na=rtpmap:96 G726-32/8000\n")
            .expect("what is missing is of no use");
        assert_eq!((bare.origin, bare.media[0].formats.len()), (None, 2));
    }

    #[test]
    fn what_is_not_of_use_may_be_anything() {
        let text = b"v=0\no=M\xfcller 1\ns=F\xfcnf\xa0\nc=IN IP4 192.0.2.1\nt=tomorrow\nq=?\na=\xe4:\xf6\n\
                     m=audio 4000 RTP/AVP 8\na=ptime:soon\na=fmtp:x\na=maxptime:\na=rtpmap:99 NOBODY/8000\n\n \n\
                     m=video x.y RTP/AVP 31";
        assert_eq!(
            Description::parse(text),
            Err(wrong(15, "the port is not 0 to 65535")),
            "an m= line is of use"
        );
        let text = &text[..text.len() - b"m=video x.y RTP/AVP 31".len()];
        let description = Description::parse(text).expect("nothing of use is wrong");
        assert_eq!(description.origin, None);
        assert_eq!(description.media[0].formats.len(), 1);
        assert_eq!((description.media[0].ptime_ms, description.media[0].maxptime_ms), (None, None));
    }

    #[test]
    fn other_media_are_forgiven() {
        let text = "m=video 5000 RTP/AVP mpeg\na=rtpmap:x\na=rtcp:y\nm=audio $ RTP/AVP 8\n";
        assert_eq!(audio(text).expect("video is of no use").media[1].port, None);
    }

    #[test]
    fn periods_are_whole_milliseconds_or_no_wish() {
        for (value, expected) in [
            ("20", Some(20)),
            (" 30 ", Some(30)),
            ("20.0", Some(20)),
            ("0", None),
            ("-20", None),
            ("99999", None),
        ] {
            let text = format!("m=audio 4000 RTP/AVP 8\na=ptime:{value}\n");
            assert_eq!(audio(&text).expect("a wish breaks nothing").media[0].ptime_ms, expected, "{value:?}");
        }
    }

    #[test]
    fn first_mapping_of_a_number_stands() {
        let description = audio("m=audio 4000 RTP/AVP 8 8 0\na=rtpmap:8 PCMA/8000\na=rtpmap:8 L16/44100/2\n")
            .expect("it can be read");
        let formats = &description.media[0].formats;
        assert_eq!(formats.iter().map(|format| format.number).collect::<Vec<_>>(), [8, 0]);
        assert_eq!(formats[0].encoding.map(|encoding| encoding.name), Some("PCMA"));
    }

    #[test]
    fn errors_name_line_and_reason() {
        let v0 = "a description begins with v=0";
        let c = "c= is not network, address type and address";
        let rtpmap = "a=rtpmap is not payload type, name and clock rate";
        let rtcp = "a=rtcp is not a port, or port, network, address type and address";
        for (text, expected) in [
            ("", wrong(1, v0)),
            ("\n\n", wrong(1, v0)),
            ("s=-", wrong(1, v0)),
            ("\nv=1", unsupported(2, "a version of SDP other than 0")),
            ("v=0\nhello", wrong(2, "not a letter, `=` and a value")),
            ("v=0\nc=IN IP4", wrong(2, c)),
            ("v=0\nc=IN IP4 192.0.2.1 1", wrong(2, c)),
            ("v=0\nc=IN IP5 192.0.2.1", wrong(2, "neither IP4 nor IP6")),
            ("v=0\nc=IN IP4 300.0.2.1", wrong(2, "not an address of that type")),
            ("v=0\nc=IN IP4 2001:db8::1", wrong(2, "not an address of that type")),
            ("v=0\nc=IN IP6 192.0.2.1", wrong(2, "not an address of that type")),
            ("v=0\nm=audio 1 RTP/AVP 8", wrong(2, "audio without a c= line")),
            ("v=0\nm=audio", wrong(2, NOT_MEDIA)),
            ("v=0\nm=audio 1 RTP/AVP", wrong(2, NOT_MEDIA)),
            ("v=0\nm=audio 65536 RTP/AVP 8", wrong(2, "the port is not 0 to 65535")),
            ("v=0\nm=audio +1 RTP/AVP 8", wrong(2, "the port is not 0 to 65535")),
            ("v=0\nm=audio 1/0 RTP/AVP 8", wrong(2, "not a count of ports")),
            ("v=0\nm=audio 1 RTP/AVP 128", wrong(2, "a payload type is not 0 to 127")),
            ("v=0\nm=audio 1 RTP/AVP 8\na=rtpmap:8 PCMA", wrong(3, rtpmap)),
            ("v=0\nm=audio 1 RTP/AVP 8\na=rtpmap:8 /8000", wrong(3, rtpmap)),
            ("v=0\nm=audio 1 RTP/AVP 8\na=rtcp:0", wrong(3, rtcp)),
            ("v=0\nm=audio 1 RTP/AVP 8\na=rtcp:5 IN IP4", wrong(3, rtcp)),
            ("v=0\nm=audio 1 RTP/AVP 8\na=rtcp:5 IN IP4 a.example", unsupported(3, "RTCP to a host's name")),
            ("v=0\nm=audio 1 RTP/AVP 8\na=rtcp:5 ATM NSAP 47", unsupported(3, "RTCP over another network")),
        ] {
            assert_eq!(parse(text), Err(expected), "{text:?}");
        }
        assert_eq!(wrong(3, rtcp).to_string(), format!("line 3: {rtcp}"));
    }

    #[test]
    fn descriptions_without_end_are_refused() {
        let lines = format!("v=0\n{}", "a=x\n".repeat(LINES_MAX));
        assert_eq!(parse(&lines), Err(unsupported(LINES_MAX + 1, "too many lines")));
        let media = format!("v=0\n{}", "m=video 0 RTP/AVP 31\n".repeat(MEDIA_MAX + 1));
        assert_eq!(parse(&media), Err(unsupported(MEDIA_MAX + 2, "too many media")));
        let formats = format!("m=audio 1 RTP/AVP{}", " 8 9 10".repeat(1_000));
        assert_eq!(audio(&formats).expect("it can be read").media[0].formats.len(), 3);
    }

    /// A well-formed description of telephony, line by line.
    fn well_formed() -> impl Strategy<Value = String> {
        let address = prop_oneof![
            any::<[u8; 4]>().prop_map(|a| format!("IP4 {}", Ipv4Addr::from(a))),
            any::<u128>().prop_map(|a| format!("IP6 {}", Ipv6Addr::from(a))),
        ];
        let attribute = prop_oneof![
            (0_u8..128, "[A-Za-z0-9.-]{1,12}", 1_u32..200_000, proptest::option::of(1_u8..9)).prop_map(
                |(number, name, clock, channels)| {
                    let channels = channels.map(|n| format!("/{n}")).unwrap_or_default();
                    format!("rtpmap:{number} {name}/{clock}{channels}")
                }
            ),
            (0_u8..128, "[a-z0-9=,-]{1,12}").prop_map(|(number, value)| format!("fmtp:{number} {value}")),
            (1_u16..).prop_map(|ms| format!("ptime:{ms}")),
            (1_u16..).prop_map(|ms| format!("maxptime:{ms}")),
            (1_u16.., address.clone()).prop_map(|(port, address)| format!("rtcp:{port} IN {address}")),
            "(sendrecv|sendonly|recvonly|inactive|X-[a-z]{1,8}:[ -~]{1,20}x)",
        ];
        let formats = proptest::collection::vec(0_u8..128, 1..8);
        let connection = proptest::option::of(address.clone());
        let attributes = proptest::collection::vec(attribute, 0..12);
        let media = ("(audio|video)", any::<u16>(), 1_u16..9, formats, connection, attributes).prop_map(
            |(kind, port, count, formats, connection, attributes)| {
                let count = if count > 1 { format!("/{count}") } else { String::new() };
                let mut text = format!("m={kind} {port}{count} RTP/AVP");
                text.extend(formats.iter().map(|format| format!(" {format}")));
                text.extend(connection.map(|connection| format!("\r\nc=IN {connection}")));
                text.extend(attributes.iter().map(|attribute| format!("\r\na={attribute}")));
                text + "\r\n"
            },
        );
        let media = proptest::collection::vec(media, 0..4);
        ("[!-~]{1,8}", any::<u64>(), any::<u64>(), address, "[!-~][ -~]{0,20}", media).prop_map(
            |(user, id, version, address, name, media)| {
                let media = media.concat();
                format!(
                    "v=0\r\no={user} {id} {version} IN {address}\r\ns={name}\r\nc=IN {address}\r\nt=0 0\r\n{media}"
                )
            },
        )
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets: Vec<u8>) {
            let _ = Description::parse(&octets);
        }

        #[test]
        fn no_mutation_makes_it_panic(
            text in well_formed(),
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
        ) {
            let mut octets = text.into_bytes();
            for (index, octet) in changes {
                *index.get_mut(&mut octets) = octet;
            }
            if let Err(error) = Description::parse(&octets) {
                let lines = octets.iter().filter(|octet| **octet == b'\n').count() + 1;
                prop_assert!((1..=lines).contains(&error.line));
            }
        }

        #[test]
        fn what_sdp_types_reads_is_read_alike(text in well_formed(), lf: bool) {
            let theirs = sdp_types::Session::parse(text.as_bytes()).expect("it is well formed");
            let text = if lf { text.replace("\r\n", "\n") } else { text };
            let ours = parse(&text).expect("it is well formed");
            let origin = ours.origin.expect("it is there");
            prop_assert_eq!(origin.username, theirs.origin.username.as_deref().unwrap_or("-"));
            prop_assert_eq!(origin.session_id, &theirs.origin.sess_id);
            prop_assert_eq!(origin.version, theirs.origin.sess_version.to_string());
            prop_assert_eq!(ours.media.len(), theirs.medias.len());
            for (ours_media, media) in ours.media.iter().zip(&theirs.medias) {
                let value = |name: &str| {
                    let attribute = media.attributes.iter().find(|a| a.attribute == name);
                    attribute.and_then(|a| a.value.clone())
                };
                let last = |name: &str| {
                    let attribute = media.attributes.iter().rfind(|a| a.attribute == name);
                    attribute.and_then(|a| a.value.clone())
                };
                prop_assert_eq!(ours_media.kind, media.media.to_string());
                prop_assert_eq!(ours_media.port, Some(media.port));
                prop_assert_eq!(ours_media.port_count, media.num_ports.unwrap_or(1));
                prop_assert_eq!(ours_media.protocol, media.proto.to_string());
                let mut numbers: Vec<&str> = Vec::new();
                for word in media.fmt.split(' ') {
                    if !numbers.contains(&word) {
                        numbers.push(word);
                    }
                }
                let ours_numbers: Vec<_> = ours_media.formats.iter().map(|f| f.number.to_string()).collect();
                prop_assert_eq!(ours_numbers, numbers);
                for format in &ours_media.formats {
                    let start = format!("{} ", format.number);
                    let mapping = media.attributes.iter().find_map(|a| {
                        let value = a.value.as_deref().filter(|_| a.attribute == "rtpmap")?;
                        value.strip_prefix(&start)
                    });
                    let ours_mapping = format.encoding.map(|e| match e.channels {
                        1 => format!("{}/{}", e.name, e.clock_hz),
                        channels => format!("{}/{}/{channels}", e.name, e.clock_hz),
                    });
                    prop_assert_eq!(ours_mapping.as_deref(), mapping.map(|m| m.strip_suffix("/1").unwrap_or(m)));
                }
                let connection = media.connections.first().or(theirs.connection.as_ref());
                let address = connection.map(|c| c.connection_address.parse().expect("numeric"));
                prop_assert_eq!(ours.connection_of(ours_media), address.map(Connection::Address));
                prop_assert_eq!(ours_media.ptime_ms.map(|ms| ms.to_string()), last("ptime"));
                prop_assert_eq!(ours_media.maxptime_ms.map(|ms| ms.to_string()), last("maxptime"));
                prop_assert_eq!(ours_media.rtcp.is_some(), value("rtcp").is_some());
            }
        }
    }
}
