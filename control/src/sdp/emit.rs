//! What the gateway says of a connection → octets (RFC 3435 §3.4, RFC 4566 §5).

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU8;

use dataplane::link::Formats;

use super::events::{self, Events};
use super::negotiate::Negotiated;

/// The LocalConnectionDescriptor of one connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LocalDescription {
    /// The session's number: an NTP timestamp is recommended; unique in this gateway.
    pub session_id: u64,
    /// Grows by one with each change (RFC 3435 §3.4).
    pub version: u64,
    /// Where RTP is wanted; RTCP on the next port.
    pub rtp: SocketAddr,
    /// What is understood there, in order of preference.
    pub formats: Formats,
    /// The payload type of telephone-events, if they are understood there.
    pub events: Option<u8>,
    /// The packetization that is wanted, in ms.
    pub ptime_ms: NonZeroU8,
}

impl LocalDescription {
    /// The first description of a connection that receives at `rtp`.
    pub fn new(session_id: u64, rtp: SocketAddr, agreed: &Negotiated) -> Self {
        Self {
            session_id,
            version: 0,
            rtp,
            formats: agreed.receive,
            events: agreed.events.receive,
            ptime_ms: agreed.ptime_ms,
        }
    }

    /// The next description after a change of what was agreed; `None` if it says nothing new.
    pub fn revised(&self, rtp: SocketAddr, agreed: &Negotiated) -> Option<Self> {
        let Self { session_id, version, .. } = *self;
        let same = Self { version, ..Self::new(session_id, rtp, agreed) };
        (same != *self).then(|| Self { version: self.version + 1, ..same })
    }

    /// Writes it, each line ended by CRLF.
    pub fn emit(&self, into: &mut Vec<u8>) {
        self.write(into).expect("a Vec takes whatever is written");
    }

    fn write(&self, into: &mut Vec<u8>) -> std::io::Result<()> {
        let Self { session_id, version, rtp, formats, events, ptime_ms } = self;
        write_head(into, Head { session_id: *session_id, version: *version, rtp: *rtp })?;
        for format in formats.iter() {
            write!(into, " {}", format.payload_type)?;
        }
        if let Some(events) = events {
            write!(into, " {events}")?;
        }
        // RFC 3264 §6.1: static payload types should be mapped too.
        for format in formats.iter() {
            write!(into, "\r\na=rtpmap:{} {}/8000", format.payload_type, format.codec)?;
        }
        // RFC 4733 §2.5.2.1: which events are understood must be said.
        if let Some(events) = events {
            write!(into, "\r\na=rtpmap:{events} {}/8000", events::NAME)?;
            write!(into, "\r\na=fmtp:{events} {}", Events::DIGITS)?;
        }
        write!(into, "\r\na=ptime:{ptime_ms}\r\n")
    }
}

/// What each description begins with.
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub(super) session_id: u64,
    pub(super) version: u64,
    pub(super) rtp: SocketAddr,
}

/// Writes all lines up to the formats of the `m=` line.
pub(super) fn write_head(into: &mut Vec<u8>, head: Head) -> std::io::Result<()> {
    let Head { session_id, version, rtp } = head;
    let (address, port) = (rtp.ip(), rtp.port());
    let family = match address {
        IpAddr::V4(_) => "IP4",
        IpAddr::V6(_) => "IP6",
    };
    // RFC 3435 §3.4: o=, s= and t= are of little use and must be there; user and session are
    // a hyphen, the address is that of c=, the times are zero.
    write!(into, "v=0\r\no=- {session_id} {version} IN {family} {address}\r\ns=-\r\n")?;
    write!(into, "c=IN {family} {address}\r\nt=0 0\r\nm=audio {port} RTP/AVP")
}

#[cfg(test)]
mod tests {
    use dataplane::link::{Codec, Format};
    use drivers::line::Law;
    use proptest::prelude::*;

    use super::*;
    use crate::sdp::parse::{Connection, Description};

    fn text(description: &LocalDescription) -> String {
        let mut octets = Vec::new();
        description.emit(&mut octets);
        String::from_utf8(octets).expect("all of it is ASCII")
    }

    fn description(rtp: &str, formats: &[(u8, Codec)]) -> LocalDescription {
        let formats = formats.iter().map(|&(payload_type, codec)| Format { payload_type, codec });
        LocalDescription {
            session_id: 16_994_117_463_351_558_144,
            version: 0,
            rtp: rtp.parse().expect("an address"),
            formats: Formats::new(formats),
            events: None,
            ptime_ms: NonZeroU8::new(20).expect("not zero"),
        }
    }

    /// What a peer understands of what was emitted.
    fn read_back(text: &str) -> LocalDescription {
        let read = Description::parse(text.as_bytes()).expect("it conforms");
        let [media] = &read.media[..] else { panic!("one m= line") };
        let origin = read.origin.expect("an o= line");
        let Some(Connection::Address(address)) = read.connection_of(media) else { panic!("a c= line") };
        let codec = |name| match name {
            "PCMA" => Codec::G711(Law::A),
            "PCMU" => Codec::G711(Law::Mu),
            "CLEARMODE" => Codec::Clearmode,
            name => panic!("no codec of ours: {name}"),
        };
        let is_event = |format: &&crate::sdp::parse::PayloadType<'_>| {
            format.encoding.is_some_and(|encoding| encoding.name == "telephone-event")
        };
        let events = media.formats.iter().find(is_event);
        assert!(events.is_none_or(|events| events.parameters == Some("0-15")));
        let formats = media.formats.iter().filter(|format| !is_event(format)).map(|format| {
            let encoding = format.encoding.expect("all are mapped");
            assert_eq!((encoding.clock_hz, encoding.channels), (8_000, 1));
            Format { payload_type: format.number, codec: codec(encoding.name) }
        });
        LocalDescription {
            session_id: origin.session_id.parse().expect("a number"),
            version: origin.version.parse().expect("a number"),
            rtp: SocketAddr::new(address, media.port.expect("a port")),
            formats: Formats::new(formats),
            events: events.map(|events| events.number),
            ptime_ms: media.ptime_ms.and_then(|ms| NonZeroU8::new(ms as u8)).expect("a=ptime"),
        }
    }

    #[test]
    fn lines_stand_in_the_order_of_rfc_4566() {
        let description = description("192.0.2.1:16384", &[(8, Codec::G711(Law::A)), (97, Codec::Clearmode)]);
        assert_eq!(
            text(&description),
            "v=0\r\no=- 16994117463351558144 0 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
             m=audio 16384 RTP/AVP 8 97\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:97 CLEARMODE/8000\r\na=ptime:20\r\n"
        );
    }

    #[test]
    fn version_grows_only_with_a_change() {
        let first =
            description("[2001:db8::1]:16384", &[(8, Codec::G711(Law::A)), (0, Codec::G711(Law::Mu))]);
        let mut agreed = Negotiated {
            local: first.rtp.ip(),
            remote: None,
            send: Format { payload_type: 8, codec: Codec::G711(Law::A) },
            receive: first.formats,
            understood: Formats::default(),
            events: Events::default(),
            ptime_ms: first.ptime_ms,
        };
        assert_eq!(LocalDescription::new(first.session_id, first.rtp, &agreed), first);
        assert_eq!(first.revised(first.rtp, &agreed), None);
        agreed.receive = Formats::new([agreed.send]);
        let second = first.revised(first.rtp, &agreed).expect("the formats are others");
        assert_eq!((second.version, second.formats), (1, agreed.receive));
        assert_eq!(second.revised(second.rtp, &agreed), None);
    }

    proptest! {
        #[test]
        fn what_is_emitted_is_read_back(
            session_id: u64,
            version: u64,
            v6: bool,
            bits: u128,
            port: u16,
            codecs in proptest::sample::subsequence(
                vec![Codec::G711(Law::A), Codec::G711(Law::Mu), Codec::Clearmode], 1..=3),
            first in 0_u8..=124,
            has_events: bool,
            ptime in 1_u8..,
        ) {
            let address = if v6 { IpAddr::V6(bits.into()) } else { IpAddr::V4((bits as u32).into()) };
            let formats = codecs.iter().zip(first..).map(|(&codec, payload_type)| Format { payload_type, codec });
            let description = LocalDescription {
                session_id,
                version,
                rtp: SocketAddr::new(address, port),
                formats: Formats::new(formats),
                events: has_events.then_some(127),
                ptime_ms: NonZeroU8::new(ptime).expect("from 1"),
            };
            let text = text(&description);
            prop_assert_eq!(read_back(&text), description);
            // The oracle finds nothing to mend: what it writes is what it read.
            let mut again = Vec::new();
            sdp_types::Session::parse(text.as_bytes()).expect("strictly conforming").write(&mut again)?;
            prop_assert_eq!(String::from_utf8_lossy(&again), text);
        }
    }
}
