//! What the connections of a relay say and take (RFC 3435 §2.1.1.6).
//!
//! A relay passes payloads on as they are, so any codec will do, and codecs are only names here. What
//! counts is which payload type means which of them to each peer: two peers can have different numbers
//! for one codec, and the relay translates. For that each codec that is named at a relay has a *common*
//! number there, which it keeps as long as the relay has connections.
//!
//! LocalConnectionOptions that name no codec of the remote description are no error: nothing is
//! converted, so there is nothing that could not be.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use dataplane::link::{ClockRates, PayloadType, PayloadTypes, Remote};

use super::codecs::DYNAMIC;
use super::emit::{Head, write_head};
use super::parse::{self, Description};
use super::peer::{Where, local_address};
use super::refusal::Refusal;
use crate::mgcp::message::{LocalConnectionOptions, Range};

/// Formats that one description has at most; more are left out.
const FORMATS_MAX: usize = PayloadTypes::MAX / 2;

/// Octets that the parameters of a format may have; longer ones are left out.
const PARAMETERS_MAX: usize = 256;

/// What redundant data are called (RFC 2198).
const REDUNDANT: &str = "red";

/// A codec by its name: what `a=rtpmap` says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Encoding {
    name: String,
    clock_hz: u32,
    channels: u8,
}

/// A payload type of a relay's peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RelayFormat {
    payload_type: u8,
    encoding: Encoding,
    /// The words of `a=fmtp`.
    parameters: Option<String>,
}

/// The codecs of a relay and their common payload types.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Codecs(Vec<(Encoding, u8)>);

/// What a relay's connection is from now on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Relayed {
    /// Which of the gateway's addresses is used.
    pub local: IpAddr,
    /// Where the peer is. `None` before a remote description, and while the peer wants no media.
    pub remote: Option<Remote>,
    /// What payload types mean to the peer.
    pub types: PayloadTypes,
    /// What its timestamps count.
    pub clocks: ClockRates,
    /// What the peer is told to send.
    receive: Arc<[RelayFormat]>,
    /// What the peer has said that it understands.
    understood: Arc<[RelayFormat]>,
    ptime_ms: u16,
}

/// All that has a say in a relay's connection.
#[derive(Clone, Copy, Debug)]
pub struct RelayTerms<'a> {
    /// The packetization period that is named where nobody else names one.
    pub ptime_default_ms: u16,
    /// The gateway's RTP addresses.
    pub addresses: &'a [IpAddr],
    /// The LocalConnectionOptions of this command.
    pub options: Option<&'a LocalConnectionOptions<'a>>,
    /// The RemoteConnectionDescriptor of this command.
    pub remote: Option<&'a Description<'a>>,
    /// What was said before; `None` in CRCX.
    pub current: Option<&'a Relayed>,
}

/// Finds out what a relay's connection is to be, and gives codecs that are new there a common number.
///
/// # Errors
/// A [`Refusal`] that bears the return code.
pub fn relay(terms: &RelayTerms<'_>, codecs: &mut Codecs) -> Result<Relayed, Refusal> {
    let peer = terms.remote.map(Where::find).transpose()?;
    let remote = match &peer {
        Some(peer) => peer.remote,
        None => terms.current.and_then(|current| current.remote),
    };
    let current_local = terms.current.map(|current| current.local);
    let local = local_address(terms.addresses, current_local, peer.as_ref().and_then(|peer| peer.remote))?;
    let understood: Arc<[RelayFormat]> = match &peer {
        Some(peer) => formats(peer).into(),
        None => terms.current.map(|current| Arc::clone(&current.understood)).unwrap_or_default(),
    };
    let named = terms.options.map_or(&[][..], |options| &options.codecs[..]);
    let is_understood = |name: &str| understood.iter().any(|format| format.encoding.is_called(name));
    if !named.is_empty() && !named.iter().any(|name| can_be_offered(name) || is_understood(name)) {
        return Err(Refusal::NoCommonCodec);
    }
    let receive = receive(terms, peer.is_some(), &understood);
    let asked = terms.options.and_then(|options| options.packetization_ms).and_then(relay_packet_time);
    let ptime_ms = peer
        .as_ref()
        .and_then(|peer| peer.media.ptime_ms)
        .or(asked)
        .or_else(|| terms.current.map(|current| current.ptime_ms))
        .unwrap_or(terms.ptime_default_ms);
    let types = codecs.translate(&understood, &receive);
    // What comes from the peer is under our numbers; under its own, if it does not heed them.
    let formats = receive.iter().chain(understood.iter());
    let clocks = ClockRates::new(formats.map(|format| (format.payload_type, format.encoding.clock_hz)));
    Ok(Relayed { local, remote, types, clocks, receive: receive.into(), understood, ptime_ms })
}

/// The shortest packet time of a range that some codec can have, in milliseconds: 5, or up to 200 in tens
/// (RFC 3551 §4.2).
pub fn relay_packet_time(range: Range) -> Option<u16> {
    let had = |ms: &u16| *ms == 5 || *ms > 0 && ms.is_multiple_of(10);
    (0..=200).filter(had).find(|ms| (range.from..=range.to).contains(&u32::from(*ms)))
}

/// The formats of a description, each once.
fn formats(peer: &Where<'_, '_>) -> Vec<RelayFormat> {
    let read = peer.media.formats.iter().filter_map(RelayFormat::read);
    let mut formats: Vec<RelayFormat> = Vec::new();
    for format in read {
        if formats.len() < FORMATS_MAX && formats.iter().all(|other| !other.encoding.is(&format.encoding)) {
            formats.push(format);
        }
    }
    formats
}

/// What the peer is told to send, in order of preference.
fn receive(terms: &RelayTerms<'_>, is_described: bool, understood: &[RelayFormat]) -> Vec<RelayFormat> {
    let current = terms.current.map_or(&[][..], |current| &current.receive);
    let named = terms.options.map_or(&[][..], |options| &options.codecs[..]);
    // RFC 3264 §6.1: an answer has no format that the offer has not.
    let mut wanted: Vec<RelayFormat> = match (is_described, named.is_empty()) {
        (true, _) => understood.to_vec(),
        (false, false) => {
            let audio = named.iter().filter(|name| can_be_offered(name));
            audio.take(FORMATS_MAX).map(|name| RelayFormat::named(name)).collect()
        }
        (false, true) => current.to_vec(),
    };
    if wanted.is_empty() {
        wanted = DEFAULT.map(RelayFormat::named).into();
    }
    // RFC 3435 §2.6: the preferences of LocalConnectionOptions stand over the remote's.
    let rank = |format: &RelayFormat| named.iter().position(|name| format.encoding.is_called(name));
    wanted.sort_by_key(|format| rank(format).unwrap_or(usize::MAX));
    let mut given: Vec<RelayFormat> = Vec::with_capacity(wanted.len());
    for mut format in wanted {
        let ours = current.iter().find(|ours| ours.encoding.is(&format.encoding));
        // RFC 3264 §8.3.2: a number once given keeps its meaning as long as the session lives.
        let is_free = |number: &u8| {
            let owner = current.iter().find(|ours| ours.payload_type == *number);
            owner.is_none_or(|owner| owner.encoding.is(&format.encoding))
                && given.iter().all(|other| other.payload_type != *number)
        };
        let numbers = ours.map(|ours| ours.payload_type).into_iter().chain([format.payload_type]);
        let number = numbers.chain(DYNAMIC).find(is_free);
        format.payload_type = number.expect("there are more numbers than formats");
        given.push(format);
    }
    given
}

impl Relayed {
    /// The first description of a connection that receives at `rtp`.
    pub fn description(&self, session_id: u64, rtp: SocketAddr) -> RelayDescription {
        let formats = Arc::clone(&self.receive);
        RelayDescription { session_id, version: 0, rtp, formats, ptime_ms: self.ptime_ms }
    }
}

impl Codecs {
    /// The payload types of a peer, towards the common ones.
    fn translate(&mut self, understood: &[RelayFormat], receive: &[RelayFormat]) -> PayloadTypes {
        // What is sent goes under the peer's number; what comes may have either. The first entry counts.
        let theirs = understood.iter().chain(receive);
        let types: Vec<_> = theirs
            .map(|format| PayloadType { theirs: format.payload_type, common: self.common(format) })
            .collect();
        let differs = types.iter().any(|one| one.theirs != one.common);
        if differs { PayloadTypes::new(types) } else { PayloadTypes::SAME }
    }

    /// A codec's common number, which it gets now if it has none.
    fn common(&mut self, format: &RelayFormat) -> u8 {
        if let Some((_, number)) = self.0.iter().find(|(encoding, _)| encoding.is(&format.encoding)) {
            return *number;
        }
        let is_free = |number: &u8| self.0.iter().all(|(_, taken)| taken != number);
        // There are 128; whoever has named so many codecs gets no translation of the next.
        let Some(number) = [format.payload_type].into_iter().chain(DYNAMIC).chain(0..=127).find(is_free)
        else {
            return format.payload_type;
        };
        self.0.push((format.encoding.clone(), number));
        number
    }
}

impl RelayFormat {
    /// A format of a description; `None` if nobody can tell what it is.
    fn read(format: &parse::PayloadType<'_>) -> Option<Self> {
        let payload_type = format.number;
        let encoding = match format.encoding {
            Some(parse::Encoding { name, clock_hz, channels }) => {
                Encoding { name: name.to_owned(), clock_hz, channels }
            }
            // RFC 3264 §5.1: without a=rtpmap the profile's own table holds (RFC 3551 §6).
            None => {
                let (_, name, clock_hz) = STATIC.into_iter().find(|(number, ..)| *number == payload_type)?;
                Encoding { name: name.to_owned(), clock_hz, channels: 1 }
            }
        };
        // RFC 2198 §3: payload types stand in its packets, where no relay translates them; so it is left out
        // unless those mean the same to everyone.
        if encoding.is_called(REDUNDANT) && !format.parameters.is_some_and(names_static_types) {
            return None;
        }
        let parameters = format.parameters.filter(|words| (1..=PARAMETERS_MAX).contains(&words.len()));
        Some(Self { payload_type, encoding, parameters: parameters.map(str::to_owned) })
    }

    /// A codec that options name, under the payload type it has everywhere or has with Osmocom.
    fn named(name: &str) -> Self {
        let known = STATIC.into_iter().chain(USUAL).find(|(_, known, _)| known.eq_ignore_ascii_case(name));
        let (payload_type, name, clock_hz) = known.unwrap_or((*DYNAMIC.start(), name, 8_000));
        let encoding = Encoding { name: name.to_owned(), clock_hz, channels: 1 };
        Self { payload_type, encoding, parameters: None }
    }
}

impl Encoding {
    fn is(&self, other: &Self) -> bool {
        self.is_called(&other.name) && (self.clock_hz, self.channels) == (other.clock_hz, other.channels)
    }

    fn is_called(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// Whether a codec can be offered by its name alone.
// RFC 3435 §3.2.2.10: `image/t38` and the like are no audio. RFC 2198 §5: redundant data are offered with the
// payload types that they are made of, which a name does not say.
fn can_be_offered(name: &str) -> bool {
    !name.contains('/') && !name.eq_ignore_ascii_case(REDUNDANT)
}

/// Whether the payload types of `a=fmtp:121 0/8` are all static ones.
fn names_static_types(parameters: &str) -> bool {
    parameters.split('/').all(|number| number.trim().parse::<u8>().is_ok_and(|number| number < 96))
}

/// The LocalConnectionDescriptor of a relay's connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RelayDescription {
    session_id: u64,
    version: u64,
    /// Where RTP is wanted; RTCP on the next port.
    pub rtp: SocketAddr,
    formats: Arc<[RelayFormat]>,
    ptime_ms: u16,
}

impl RelayDescription {
    /// The next description after a change; `None` if it says nothing new.
    pub fn revised(&self, rtp: SocketAddr, relayed: &Relayed) -> Option<Self> {
        let same = Self { version: self.version, ..relayed.description(self.session_id, rtp) };
        (same != *self).then(|| Self { version: self.version + 1, ..same })
    }

    /// Writes it, each line ended by CRLF.
    pub fn emit(&self, into: &mut Vec<u8>) {
        self.write(into).expect("a Vec takes whatever is written");
    }

    fn write(&self, into: &mut Vec<u8>) -> std::io::Result<()> {
        use std::io::Write;
        write_head(into, Head { session_id: self.session_id, version: self.version, rtp: self.rtp })?;
        for format in self.formats.iter() {
            write!(into, " {}", format.payload_type)?;
        }
        for RelayFormat { payload_type, encoding, parameters } in self.formats.iter() {
            write!(into, "\r\na=rtpmap:{payload_type} {}/{}", encoding.name, encoding.clock_hz)?;
            if encoding.channels != 1 {
                write!(into, "/{}", encoding.channels)?;
            }
            if let Some(parameters) = parameters {
                write!(into, "\r\na=fmtp:{payload_type} {parameters}")?;
            }
        }
        write!(into, "\r\na=ptime:{}\r\n", self.ptime_ms)
    }
}

/// Payload types of RFC 3551 §6 that have one channel, with their clock rates.
const STATIC: [(u8, &str, u32); 12] = [
    (0, "PCMU", 8_000),
    (3, "GSM", 8_000),
    (4, "G723", 8_000),
    (5, "DVI4", 8_000),
    (7, "LPC", 8_000),
    (8, "PCMA", 8_000),
    (9, "G722", 8_000),
    (12, "QCELP", 8_000),
    (13, "CN", 8_000),
    (15, "G728", 8_000),
    (18, "G729", 8_000),
    (6, "DVI4", 16_000),
];

/// Payload types that Osmocom's programs give to codecs without one of their own.
const USUAL: [(u8, &str, u32); 6] = [
    (110, "GSM-EFR", 8_000),
    (111, "GSM-HR-08", 8_000),
    (112, "AMR", 8_000),
    (113, "AMR-WB", 16_000),
    (120, "CLEARMODE", 8_000),
    (101, "telephone-event", 8_000),
];

/// What a peer may send where nobody has said anything; it will be passed on whatever it is.
const DEFAULT: [&str; 2] = ["PCMU", "PCMA"];

#[cfg(test)]
mod tests {
    use super::*;

    fn codecs(names: &[&'static str]) -> LocalConnectionOptions<'static> {
        LocalConnectionOptions { codecs: names.to_vec(), ..LocalConnectionOptions::default() }
    }

    fn agree(
        options: Option<&LocalConnectionOptions<'_>>,
        remote: Option<&str>,
        current: Option<&Relayed>,
        known: &mut Codecs,
    ) -> Relayed {
        let addresses = ["192.0.2.100", "2001:db8::100"].map(|a| a.parse().expect("an address"));
        let description = remote.map(|text| Description::parse(text.as_bytes()).expect("it conforms"));
        let remote = description.as_ref();
        let terms = RelayTerms { ptime_default_ms: 20, addresses: &addresses, options, remote, current };
        relay(&terms, known).expect("a relay takes all")
    }

    fn offer(formats: &str) -> String {
        format!("v=0\nc=IN IP4 198.51.100.7\nm=audio 4000 RTP/AVP {formats}\n")
    }

    fn list(relayed: &Relayed) -> Vec<(u8, &str)> {
        relayed.receive.iter().map(|f| (f.payload_type, f.encoding.name.as_str())).collect()
    }

    #[test]
    fn codecs_are_names_whatever_they_are() {
        let mut known = Codecs::default();
        for (names, expected) in [
            (&["AMR"][..], &[(112, "AMR")][..]),
            (&["gsm", "GSM-EFR", "GSM-HR-08"], &[(3, "GSM"), (110, "GSM-EFR"), (111, "GSM-HR-08")]),
            (&["EVS", "opus"], &[(96, "EVS"), (97, "opus")]),
            (&[], &[(0, "PCMU"), (8, "PCMA")]),
        ] {
            assert_eq!(list(&agree(Some(&codecs(names)), None, None, &mut known)), expected);
        }
    }

    #[test]
    fn options_that_name_another_codec_are_no_error() {
        let remote = offer("98\na=rtpmap:98 AMR/8000\na=fmtp:98 octet-align=1");
        let relayed = agree(Some(&codecs(&["GSM"])), Some(&remote), None, &mut Codecs::default());
        assert_eq!(list(&relayed), [(98, "AMR")]);
        let mut text = Vec::new();
        relayed.description(7, "192.0.2.100:4000".parse().expect("an address")).emit(&mut text);
        let expected = "v=0\r\no=- 7 0 IN IP4 192.0.2.100\r\ns=-\r\nc=IN IP4 192.0.2.100\r\nt=0 0\r\n\
             m=audio 4000 RTP/AVP 98\r\na=rtpmap:98 AMR/8000\r\na=fmtp:98 octet-align=1\r\na=ptime:20\r\n";
        assert_eq!(String::from_utf8_lossy(&text), expected);
    }

    #[test]
    fn one_codec_under_two_numbers_is_translated() {
        let mut known = Codecs::default();
        let near = agree(None, Some(&offer("112\na=rtpmap:112 AMR/8000/1")), None, &mut known);
        assert_eq!(near.types, PayloadTypes::SAME);
        let far = agree(None, Some(&offer("98 3\na=rtpmap:98 amr/8000")), None, &mut known);
        assert_eq!((far.types.common(98), far.types.theirs(112)), (112, 98));
        assert_eq!((far.types.common(3), far.types.common(0)), (3, 0));
    }

    #[test]
    fn two_codecs_under_one_number_are_told_apart() {
        let mut known = Codecs::default();
        agree(None, Some(&offer("96\na=rtpmap:96 AMR/8000")), None, &mut known);
        let far =
            agree(None, Some(&offer("96 97\na=rtpmap:96 EVS/16000\na=rtpmap:97 AMR/8000")), None, &mut known);
        assert_eq!((far.types.common(97), far.types.theirs(96)), (96, 97));
        assert_ne!(far.types.common(96), 96, "the near end would take EVS for AMR");
        assert_eq!(far.types.theirs(far.types.common(96)), 96);
    }

    /// RFC 3264 §6.1: what is sent bears the peer's number; what comes may still bear ours.
    #[test]
    fn a_number_that_was_given_outlives_the_peers_own() {
        let mut known = Codecs::default();
        let first = agree(Some(&codecs(&["AMR"])), None, None, &mut known);
        let second = agree(None, Some(&offer("98\na=rtpmap:98 AMR/8000")), Some(&first), &mut known);
        assert_eq!(list(&second), [(112, "AMR")]);
        assert_eq!((second.types.common(112), second.types.common(98)), (112, 112));
        assert_eq!(second.types.theirs(112), 98);
        let rtp = "192.0.2.100:4000".parse().expect("an address");
        assert_eq!(first.description(1, rtp).revised(rtp, &second), None);
    }

    #[test]
    fn the_address_is_of_the_remotes_family() {
        let remote = "v=0\nc=IN IP6 2001:db8::7\nm=audio 4000 RTP/AVP 0\n";
        assert!(agree(None, Some(remote), None, &mut Codecs::default()).local.is_ipv6());
        assert!(agree(None, None, None, &mut Codecs::default()).local.is_ipv4());
    }

    #[test]
    fn formats_beyond_the_table_are_left_out() {
        let many = (96..128).map(|n| format!("\na=rtpmap:{n} X{n}/8000")).collect::<String>();
        let numbers = (96..128).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        let mut known = Codecs::default();
        let relayed = agree(None, Some(&offer(&(numbers + &many))), None, &mut known);
        assert_eq!(relayed.receive.len(), FORMATS_MAX);
        assert_eq!(known.0.len(), FORMATS_MAX);
    }

    /// RFC 2198 §3: what stands in its packets is not translated.
    #[test]
    fn redundancy_passes_only_where_its_payload_types_mean_the_same_to_all() {
        let mut known = Codecs::default();
        let fixed = offer("121 0\na=rtpmap:121 red/8000\na=fmtp:121 0/0");
        let passed = [(121, "red"), (0, "PCMU")];
        assert_eq!(list(&agree(None, Some(&fixed), None, &mut known)), passed);
        assert_eq!(list(&agree(Some(&codecs(&["red"])), Some(&fixed), None, &mut known)), passed);
        for parameters in ["", "\na=fmtp:121 98/98", "\na=fmtp:121 0/", "\na=fmtp:121 0 0"] {
            let text = offer(&format!("98 121\na=rtpmap:98 AMR/8000\na=rtpmap:121 RED/8000{parameters}"));
            assert_eq!(list(&agree(None, Some(&text), None, &mut known)), [(98, "AMR")], "{parameters}");
        }
    }

    #[test]
    fn what_is_no_audio_is_no_codec_of_a_relay() {
        let addresses = ["192.0.2.100".parse().expect("an address")];
        let ask = |names: &[&'static str]| {
            let options = codecs(names);
            let terms = RelayTerms {
                ptime_default_ms: 20,
                addresses: &addresses,
                options: Some(&options),
                remote: None,
                current: None,
            };
            relay(&terms, &mut Codecs::default()).map(|relayed| list(&relayed).len())
        };
        assert_eq!(ask(&["image/t38"]), Err(Refusal::NoCommonCodec));
        assert_eq!(ask(&["image/t38", "AMR"]), Ok(1));
        // RFC 2198 §5: nobody has said what it would be made of.
        assert_eq!(ask(&["RED"]), Err(Refusal::NoCommonCodec));
        assert_eq!(ask(&["red", "PCMU"]), Ok(1));
    }
}
