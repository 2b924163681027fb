//! What an MGCP message means, free of how it is spelt.

use std::fmt;
use std::net::SocketAddr;

use dataplane::mode::Mode;
use drivers::line::Law;

use super::code::{ReasonCode, ReturnCode};
use super::name::{CallId, ConnectionId, EndpointName, EntityName, RequestId};

/// A transaction's number, 1 to 999,999,999 (RFC 3435 §3.2.1.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TransactionId(pub u32);

/// One message of a datagram; piggybacked ones are several (RFC 3435 §3.5.5).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message<'a> {
    /// A command.
    Command(Command<'a>),
    /// A response.
    Response(Response<'a>),
}

/// A command (RFC 3435 §3.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command<'a> {
    /// What is asked.
    pub verb: Verb,
    /// Its transaction.
    pub transaction: TransactionId,
    /// What it is asked of.
    pub endpoint: EndpointName,
    /// The protocol version it is in.
    pub version: Version,
    /// The profile behind the protocol version, if there is one: `TGCP 1.0`.
    pub profile: Option<&'a str>,
    /// Its parameter lines.
    pub parameters: Parameters<'a>,
    /// The session descriptions behind the parameters, in order; at most one in most commands.
    pub descriptions: Vec<&'a [u8]>,
}

impl Command<'_> {
    /// A command without parameters.
    pub fn new(verb: Verb, transaction: TransactionId, endpoint: EndpointName) -> Self {
        Self {
            verb,
            transaction,
            endpoint,
            version: Version::Rfc,
            profile: None,
            parameters: Parameters::default(),
            descriptions: Vec::new(),
        }
    }
}

/// A protocol version (RFC 3435 §3.2.1.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// 1.0, of RFC 2705 and RFC 3435.
    Rfc,
    /// 0.1, as the drafts before them said. It reads and is written like 1.0.
    Draft,
}

impl Version {
    /// Its numbers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rfc => "1.0",
            Self::Draft => "0.1",
        }
    }
}

/// A response (RFC 3435 §3.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response<'a> {
    /// How it went.
    pub code: ReturnCode,
    /// The transaction it answers.
    pub transaction: TransactionId,
    /// The package that an 8xx code is of (RFC 3435 §2.4).
    pub package: Option<&'a str>,
    /// The words behind the code.
    pub commentary: &'a str,
    /// Its parameter lines.
    pub parameters: Parameters<'a>,
    /// The session descriptions behind them: at most two, the local one first.
    pub descriptions: Vec<&'a [u8]>,
}

impl Response<'_> {
    /// A response with the usual commentary and nothing else.
    pub fn new(code: ReturnCode, transaction: TransactionId) -> Self {
        Self {
            code,
            transaction,
            package: None,
            commentary: code.commentary(),
            parameters: Parameters::default(),
            descriptions: Vec::new(),
        }
    }
}

/// The nine commands, and what extensions bring (RFC 3435 §3.2.1.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verb {
    /// EPCF
    EndpointConfiguration,
    /// CRCX
    CreateConnection,
    /// MDCX
    ModifyConnection,
    /// DLCX
    DeleteConnection,
    /// RQNT
    NotificationRequest,
    /// NTFY
    Notify,
    /// AUEP
    AuditEndpoint,
    /// AUCX
    AuditConnection,
    /// RSIP
    RestartInProgress,
    /// Any other, such as MESG (RFC 3435 §B.3): its letters, in upper case.
    Other([u8; 4]),
}

impl Verb {
    /// The verb of these four letters, whatever their case.
    pub fn from_letters(letters: [u8; 4]) -> Self {
        let letters = letters.map(|letter| letter.to_ascii_uppercase());
        match &letters {
            b"EPCF" => Self::EndpointConfiguration,
            b"CRCX" => Self::CreateConnection,
            b"MDCX" => Self::ModifyConnection,
            b"DLCX" => Self::DeleteConnection,
            b"RQNT" => Self::NotificationRequest,
            b"NTFY" => Self::Notify,
            b"AUEP" => Self::AuditEndpoint,
            b"AUCX" => Self::AuditConnection,
            b"RSIP" => Self::RestartInProgress,
            _ => Self::Other(letters),
        }
    }

    /// Its four letters.
    pub const fn letters(self) -> [u8; 4] {
        match self {
            Self::EndpointConfiguration => *b"EPCF",
            Self::CreateConnection => *b"CRCX",
            Self::ModifyConnection => *b"MDCX",
            Self::DeleteConnection => *b"DLCX",
            Self::NotificationRequest => *b"RQNT",
            Self::Notify => *b"NTFY",
            Self::AuditEndpoint => *b"AUEP",
            Self::AuditConnection => *b"AUCX",
            Self::RestartInProgress => *b"RSIP",
            Self::Other(letters) => letters,
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(&self.letters()))
    }
}

/// The parameter lines of a message, each at most once (RFC 3435 §3.2.2).
///
/// Which of them a command may have is the command's business (the table of §3.2.2), not ours.
/// L, B and P are `Some` of nothing where the line is there and empty.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Parameters<'a> {
    /// B: how the endpoint's bearer is encoded.
    pub bearer: Option<BearerInformation<'a>>,
    /// C
    pub call: Option<CallId>,
    /// A: each line's text.
    pub capabilities: Vec<&'a str>,
    /// I: one in commands, several in answers to AUEP; `Some` of none where the line is empty.
    pub connections: Option<Vec<ConnectionId>>,
    /// M
    pub mode: Option<ModeName<'a>>,
    /// P
    pub connection_parameters: Option<ConnectionParameters<'a>>,
    /// T
    pub detect_events: Option<&'a str>,
    /// D
    pub digit_map: Option<&'a str>,
    /// ES
    pub event_states: Option<&'a str>,
    /// L
    pub local_options: Option<LocalConnectionOptions<'a>>,
    /// MD
    pub max_datagram: Option<u32>,
    /// N: `Some(None)` where the line is there and empty.
    pub notified_entity: Option<Option<EntityName>>,
    /// O
    pub observed_events: Option<&'a str>,
    /// PL
    pub packages: Option<&'a str>,
    /// Q
    pub quarantine: Option<&'a str>,
    /// E
    pub reason: Option<Reason<'a>>,
    /// R: `Some("")` where the line is there and empty.
    pub requested_events: Option<&'a str>,
    /// F: `Some` of none where the line is there and empty.
    pub requested_info: Option<Vec<InfoCode<'a>>>,
    /// X: `Some(None)` where the line is there and empty, as in the answer to an audit.
    pub request: Option<Option<RequestId>>,
    /// K: `Some` of none where the line is there and empty.
    pub response_ack: Option<Vec<TransactionRange>>,
    /// RD, in seconds.
    pub restart_delay_s: Option<u32>,
    /// RM
    pub restart_method: Option<RestartMethod<'a>>,
    /// I2
    pub second_connection: Option<ConnectionId>,
    /// Z2
    pub second_endpoint: Option<EndpointName>,
    /// S
    pub signal_requests: Option<&'a str>,
    /// Z: one in most answers, several in answers to AUEP with a wildcard.
    pub specific_endpoints: Vec<EndpointName>,
    /// Whatever else was there: package (`pkg/name`) and vendor (`X-`, `X+`) parameters, and unknown ones.
    pub others: Vec<(&'a str, &'a str)>,
}

/// The value of B (RFC 3435 §3.2.2.1).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BearerInformation<'a> {
    /// `e`: the law.
    pub encoding: Option<Law>,
    /// Whatever else was there: attribute and value, if it has one.
    pub others: Vec<(&'a str, Option<&'a str>)>,
}

/// The value of M: a mode of RFC 3435, or the name of another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ModeName<'a> {
    /// One of the nine.
    Known(Mode),
    /// Another, which may be a package's.
    Other(&'a str),
}

/// The value of L (RFC 3435 §3.2.2.10); each field as the call agent gave it, none filled in.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LocalConnectionOptions<'a> {
    /// `a`: encoding names in order of preference. Repeated `a:` fields are one list.
    pub codecs: Vec<&'a str>,
    /// `p`: packetization period, or a range, in ms.
    pub packetization_ms: Option<Range>,
    /// `b`: bandwidth, or a range, in kbit/s.
    pub bandwidth_kbps: Option<Range>,
    /// `e`: echo cancellation.
    pub echo_cancellation: Option<bool>,
    /// `s`: silence suppression.
    pub silence_suppression: Option<bool>,
    /// `gc`
    pub gain_control: Option<GainControl>,
    /// `t`: the TOS octet, given in hex.
    pub type_of_service: Option<u8>,
    /// `r`: resource reservation.
    pub reservation: Option<&'a str>,
    /// `k`: encryption key.
    pub key: Option<&'a str>,
    /// `nt`: network types in order of preference.
    pub network_types: Vec<&'a str>,
    /// Whatever else was there: package and vendor options, attribute and value, if it has one.
    pub others: Vec<(&'a str, Option<&'a str>)>,
}

/// The fax package's connection option (RFC 5347 §2.1).
pub const FAX_OPTION: &str = "FXR/fx";

impl<'a> LocalConnectionOptions<'a> {
    /// The procedures for fax, in order of preference, if they are named (RFC 5347 §2.1).
    pub fn fax(&self) -> Option<&'a str> {
        let mut others = self.others.iter();
        others.find(|(name, _)| name.eq_ignore_ascii_case(FAX_OPTION)).and_then(|(_, value)| *value)
    }
}

/// One number, or from and to, neither above 9999; the same where there is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// The least.
    pub from: u32,
    /// The most.
    pub to: u32,
}

/// The value of `gc` (RFC 3435 §3.2.2.10).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GainControl {
    /// `auto`
    Automatic,
    /// A gain in dB.
    Decibels(i16),
}

/// The value of P (RFC 3435 §3.2.2.7).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ConnectionParameters<'a> {
    /// PS
    pub packets_sent: Option<u32>,
    /// OS
    pub octets_sent: Option<u32>,
    /// PR
    pub packets_received: Option<u32>,
    /// OR
    pub octets_received: Option<u32>,
    /// PL
    pub packets_lost: Option<u32>,
    /// JI, in ms.
    pub jitter_ms: Option<u32>,
    /// LA, in ms.
    pub latency_ms: Option<u32>,
    /// Whatever else was there: name and value.
    pub others: Vec<(&'a str, &'a str)>,
}

/// The value of E: a code, and words (RFC 3435 §2.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reason<'a> {
    /// The code.
    pub code: ReasonCode,
    /// The package that an 8xx code is of (RFC 3435 §6.9).
    pub package: Option<&'a str>,
    /// The words behind it; may be empty.
    pub text: &'a str,
}

/// An item of F: a parameter's code (RFC 3435 §3.2.2.17).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InfoCode<'a> {
    /// B
    BearerInformation,
    /// C
    CallId,
    /// A
    Capabilities,
    /// I
    ConnectionId,
    /// M
    ConnectionMode,
    /// P
    ConnectionParameters,
    /// T
    DetectEvents,
    /// D
    DigitMap,
    /// ES
    EventStates,
    /// L
    LocalConnectionOptions,
    /// LC
    LocalConnectionDescriptor,
    /// MD
    MaxDatagram,
    /// N
    NotifiedEntity,
    /// O
    ObservedEvents,
    /// PL
    PackageList,
    /// Q
    QuarantineHandling,
    /// E
    ReasonCode,
    /// RC
    RemoteConnectionDescriptor,
    /// X
    RequestIdentifier,
    /// R
    RequestedEvents,
    /// RD
    RestartDelay,
    /// RM
    RestartMethod,
    /// S
    SignalRequests,
    /// A package's, a vendor's, or an unknown one.
    Other(&'a str),
}

impl InfoCode<'static> {
    /// All codes with their letters.
    pub(super) const NAMES: [(&'static str, Self); 23] = [
        ("B", Self::BearerInformation),
        ("C", Self::CallId),
        ("A", Self::Capabilities),
        ("I", Self::ConnectionId),
        ("M", Self::ConnectionMode),
        ("P", Self::ConnectionParameters),
        ("T", Self::DetectEvents),
        ("D", Self::DigitMap),
        ("ES", Self::EventStates),
        ("L", Self::LocalConnectionOptions),
        ("LC", Self::LocalConnectionDescriptor),
        ("MD", Self::MaxDatagram),
        ("N", Self::NotifiedEntity),
        ("O", Self::ObservedEvents),
        ("PL", Self::PackageList),
        ("Q", Self::QuarantineHandling),
        ("E", Self::ReasonCode),
        ("RC", Self::RemoteConnectionDescriptor),
        ("X", Self::RequestIdentifier),
        ("R", Self::RequestedEvents),
        ("RD", Self::RestartDelay),
        ("RM", Self::RestartMethod),
        ("S", Self::SignalRequests),
    ];
}

impl InfoCode<'_> {
    /// Its letters.
    pub fn name(&self) -> &str {
        if let Self::Other(name) = self {
            return name;
        }
        let known = InfoCode::NAMES.iter().find(|(_, code)| code == self);
        known.map_or("", |(name, _)| name)
    }
}

/// An inclusive range of transaction ids in K (RFC 3435 §3.2.2.19).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TransactionRange {
    /// The first.
    pub from: TransactionId,
    /// The last.
    pub to: TransactionId,
}

/// The value of RM (RFC 3435 §2.3.12).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RestartMethod<'a> {
    /// `graceful`
    Graceful,
    /// `forced`
    Forced,
    /// `restart`
    Restart,
    /// `disconnected`
    Disconnected,
    /// `cancel-graceful`
    CancelGraceful,
    /// An extension's.
    Other(&'a str),
}

impl RestartMethod<'_> {
    /// Its word.
    pub fn name(&self) -> &str {
        match self {
            Self::Graceful => "graceful",
            Self::Forced => "forced",
            Self::Restart => "restart",
            Self::Disconnected => "disconnected",
            Self::CancelGraceful => "cancel-graceful",
            Self::Other(word) => word,
        }
    }
}

/// Where a datagram came from and which of our addresses it was sent to: answers go back this way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Path {
    /// The other side.
    pub remote: SocketAddr,
    /// Our own address and port.
    pub local: SocketAddr,
}
