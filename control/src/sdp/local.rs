//! Descriptions of connections between two endpoints of the gateway: `c=LOCAL` (RFC 3435 §3.4.2).
//!
//! No media are described, for none leave the gateway: only which endpoint it is, and which of its
//! connections, so that a call agent can have two of them joined.

use std::io::Write;

use dataplane::link::Format;

use super::parse::{Connection, Description, Fault, ParseError};
use super::refusal::Refusal;
use crate::mgcp::name::ConnectionId;

/// What the gateway says of one half of a local connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HalfDescription {
    /// The session's number.
    pub session_id: u64,
    /// Grows by one with each change.
    pub version: u64,
    /// The local name of its endpoint.
    pub endpoint: String,
    /// Its name.
    pub connection: ConnectionId,
    /// What its octets are.
    pub format: Format,
}

impl HalfDescription {
    /// The next description after a change of what its octets are; `None` if it says nothing new.
    pub fn revised(&self, format: Format) -> Option<Self> {
        (format != self.format).then(|| Self { version: self.version + 1, format, ..self.clone() })
    }

    /// Writes it, each line ended by CRLF.
    pub fn emit(&self, into: &mut Vec<u8>) {
        let Self { session_id, version, endpoint, connection, format } = self;
        let Format { payload_type, codec } = format;
        write!(
            into,
            "v=0\r\no=- {session_id} {version} LOCAL EPN {endpoint}\r\ns=-\r\nc=LOCAL EPN {endpoint}\r\n\
             t=0 0\r\na=MGCPlocalcx:{connection}\r\nm=audio 0 LOCAL {payload_type}\r\n\
             a=rtpmap:{payload_type} {codec}/8000\r\n"
        )
        .expect("a Vec takes whatever is written");
    }
}

/// The half that a remote description means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Half<'a> {
    /// The local name of its endpoint.
    pub endpoint: &'a str,
    /// Its own name; without one, it is the only one of its endpoint.
    pub connection: Option<&'a str>,
}

impl<'a> Half<'a> {
    /// Reads a remote description; `None` if it is of another network.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(octets: &'a [u8]) -> Result<Option<Self>, Refusal> {
        let description = Description::parse(octets)?;
        let mut audio = description.media.iter().filter(|media| media.is_audio());
        let connection =
            audio.next().map_or(description.connection, |media| description.connection_of(media));
        let Some(Connection::Other(words)) = connection else { return Ok(None) };
        let mut words = words.split_ascii_whitespace();
        let (network, family, endpoint) = (words.next(), words.next(), words.next());
        if !network.is_some_and(|network| network.eq_ignore_ascii_case("LOCAL")) {
            return Ok(None);
        }
        match (family, endpoint) {
            (Some(family), Some(endpoint)) if family.eq_ignore_ascii_case("EPN") => {
                Ok(Some(Self { endpoint, connection: description.local_connection }))
            }
            _ => {
                Err(ParseError { line: 1, fault: Fault::Wrong("LOCAL is not followed by EPN and a name") }
                    .into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dataplane::link::Codec;
    use drivers::line::Law;

    use super::*;

    #[test]
    fn what_is_emitted_is_read_back() {
        let half = HalfDescription {
            session_id: 7,
            version: 0,
            endpoint: "ds/e1-1/17".to_owned(),
            connection: "FDE234C8".parse().expect("a name"),
            format: Format { payload_type: 8, codec: Codec::G711(Law::A) },
        };
        let mut octets = Vec::new();
        half.emit(&mut octets);
        let read = Half::read(&octets).expect("it is right").expect("it is local");
        assert_eq!(read, Half { endpoint: "ds/e1-1/17", connection: Some("FDE234C8") });
        assert_eq!(half.revised(half.format), None);
    }

    // RFC 3435 §3.4.2
    #[test]
    fn the_example_of_the_rfc_is_read() {
        let text = "v=0\no=- A7453949499 0 LOCAL EPN X35V3+A4/13\ns=-\nc=LOCAL EPN X35V3+A4/13\nt=0 0\n\
                    a=MGCPlocalcx:FDE234C8\nm=audio 0 LOCAL 0\n";
        let wanted = Half { endpoint: "X35V3+A4/13", connection: Some("FDE234C8") };
        assert_eq!(Half::read(text.as_bytes()), Ok(Some(wanted)));
        let only = text.replace("a=MGCPlocalcx:FDE234C8\n", "");
        assert_eq!(Half::read(only.as_bytes()), Ok(Some(Half { connection: None, ..wanted })));
        let other = text.replace("c=LOCAL EPN X35V3+A4/13", "c=IN IP4 192.0.2.1");
        assert_eq!(Half::read(other.as_bytes()), Ok(None));
        let broken = text.replace("c=LOCAL EPN", "c=LOCAL NAME");
        assert!(Half::read(broken.as_bytes()).is_err());
    }
}
