//! Everything an operator can set, as types with their defaults.
//!
//! How they are written, and within which bounds, is in [`config_file`](crate::config_file) and
//! `deploy/tollgate.toml`.

mod service;

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use dataplane::limits::CONNECTIONS_PER_ENDPOINT;
use dataplane::link::{EchoSettings, JitterBounds, Quality};
use drivers::line::{Carrier, FRAMES_PER_SECOND, Law, SpanId, Timeslot};
use drivers::net::{Dscp, XdpMode};
use tracing::level_filters::LevelFilter;

use crate::mgcp::message::Version;

pub use self::service::{Service, ServiceConfig};

/// Everything an operator can set.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// The gateway's own name and its other names.
    pub gateway: GatewayConfig,
    /// How it is controlled.
    pub mgcp: MgcpConfig,
    /// How media flow.
    pub media: MediaConfig,
    /// Endpoints that are packet relays.
    pub rtpbridge: RtpBridgeConfig,
    /// Call agents that are more to it than a network that is allowed.
    pub call_agents: Vec<CallAgentConfig>,
    /// The media cores, in order; at least one.
    pub cores: Vec<CoreConfig>,
    /// The spans, in order; a span's place is its [`SpanId`].
    pub spans: Vec<SpanConfig>,
    /// When a line's alarms count.
    pub alarms: AlarmConfig,
    /// Where the journal goes.
    pub journal: JournalConfig,
    /// Where the counters go.
    pub metrics: MetricsConfig,
    /// What is logged.
    pub log: LogConfig,
    /// What is asked of the host.
    pub host: HostConfig,
}

impl Config {
    /// How the gateway cancels echo on a span, if it does.
    pub fn echo(&self, span: SpanId) -> Option<EchoSettings> {
        let is_ours = self.spans[usize::from(span.0)].echo_cancellation == EchoCancellation::Internal;
        is_ours.then_some(self.media.echo)
    }

    /// How many DS0s all spans have together.
    pub fn ds0s(&self) -> usize {
        self.spans.iter().map(|span| usize::from(span.carrier.timeslot_max())).sum()
    }

    /// The cables between simulated spans: the places of both ends, the lower first, and the timeslots
    /// that both have on it.
    pub fn cables(&self) -> impl Iterator<Item = (usize, usize, Vec<Timeslot>)> + '_ {
        let pairs = (0..self.spans.len()).flat_map(|near| self.mates(near).map(move |far| (near, far)));
        pairs.filter(|(near, far)| near < far).map(|(near, far)| {
            let leads = |from: usize, to: usize, at| {
                let SpanDriver::Sim(sim) = &self.spans[from].driver;
                *sim.far_end(at) == FarEndConfig::Cable { to }
            };
            let timeslots = self.spans[near].carrier.timeslots();
            (near, far, timeslots.filter(|at| leads(near, far, *at) && leads(far, near, *at)).collect())
        })
    }

    /// The places of the spans that one is cabled to, each once.
    fn mates(&self, place: usize) -> impl Iterator<Item = usize> + use<> {
        let SpanDriver::Sim(sim) = &self.spans[place].driver;
        let far_ends = std::iter::once(&sim.far_end).chain(sim.timeslots.iter().map(|(_, far_end)| far_end));
        let cabled = far_ends.filter_map(|far_end| match far_end {
            FarEndConfig::Cable { to } => Some(*to),
            _ => None,
        });
        cabled.collect::<BTreeSet<_>>().into_iter()
    }
}

/// What runs without a configuration file: four simulated E1s that loop, under control of this host only.
impl Default for Config {
    fn default() -> Self {
        let spans: Vec<_> = (1..=4).map(SpanConfig::simulated_e1).collect();
        let ds0s = spans.len() as u16 * u16::from(Carrier::E1.timeslot_max());
        Self {
            gateway: GatewayConfig::default(),
            mgcp: MgcpConfig::default(),
            media: MediaConfig::with_ports_for(ds0s),
            rtpbridge: RtpBridgeConfig::default(),
            call_agents: Vec::new(),
            cores: vec![CoreConfig::default()],
            spans,
            alarms: AlarmConfig::default(),
            journal: JournalConfig::default(),
            metrics: MetricsConfig::default(),
            log: LogConfig::default(),
            host: HostConfig::default(),
        }
    }
}

/// Names.
#[derive(Clone, PartialEq, Debug)]
pub struct GatewayConfig {
    /// The domain part of endpoint names in what the gateway sends: a domain name, or an address in brackets.
    pub name: String,
    /// Other domains that commands may use for it. Without any, every domain is taken.
    pub aliases: Vec<String>,
    /// Whether the gateway itself is an endpoint, `mg` (RFC 3435 §E.4).
    pub mg: bool,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self { name: "tollgate".to_owned(), aliases: Vec::new(), mg: false }
    }
}

/// MGCP.
#[derive(Clone, PartialEq, Debug)]
pub struct MgcpConfig {
    /// Addresses and ports to listen on.
    pub listen: Vec<SocketAddr>,
    /// Who may control the gateway; datagrams from elsewhere are dropped before they are parsed.
    pub allow: Vec<Network>,
    /// The notified entity at start, as `name@host:port`; without one, no RSIP is sent at start.
    pub notified_entity: Option<String>,
    /// T-HIST: how long a response is kept (RFC 3435 §3.5.1).
    pub response_history: Duration,
    /// T-MAX: how long a command is repeated at most (RFC 3435 §3.5.3).
    pub transaction_max: Duration,
    /// Max1: how often a command of ours is repeated before the next address is tried (RFC 3435 §4.3).
    pub suspicion_repetitions: u32,
    /// Max2: how often it is repeated at the last address.
    pub disconnection_repetitions: u32,
    /// Whether a call agent's name is looked up again after Max1 repetitions.
    pub suspicion_look_up: bool,
    /// Whether it is looked up again after Max2.
    pub disconnection_look_up: bool,
    /// Tdmin: how long a disconnected endpoint has told nothing, at least, before its events have it try
    /// again (RFC 3435 §4.4.7).
    pub disconnected_wait_min: Duration,
    /// Tdinit: the upper bound of the first random wait of a disconnected endpoint (RFC 3435 §4.4.7).
    pub disconnected_wait_first: Duration,
    /// Tdmax: what that wait doubles to at most.
    pub disconnected_wait_max: Duration,
    /// How long calls may last after a graceful stop was asked for; as long as they like if `None`.
    pub graceful_stop_max: Option<Duration>,
    /// MWD: the upper bound of the random wait before the first RSIP (RFC 3435 §4.4.6).
    pub restart_wait_max: Duration,
    /// Transactions of others that can be known at a time.
    pub transactions_max: usize,
    /// Commands under way above which CRCX is refused (RFC 3435 §4.4.8).
    pub executing_max: usize,
    /// Commands of ours that wait for a call agent's answer at a time, as long as it is not overloaded (RFC
    /// 3435 §4.4.8).
    pub outstanding_max: usize,
    /// What that falls to for a call agent that stays overloaded; at least 1.
    pub outstanding_min: usize,
    /// The average time to an answer above which a call agent is overloaded.
    pub slow_answer: Duration,
    /// Datagrams a second that are taken from one address, 0 to 1,000,000; 0 is no limit.
    pub source_rate_max: u32,
    /// How long a connection has lasted when call agents are told that it is long (RFC 3660 §2.1, G/ld).
    pub long_connection: Duration,
}

impl Default for MgcpConfig {
    fn default() -> Self {
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        Self {
            listen: loopback.map(|address| SocketAddr::new(address, PORT)).into(),
            allow: vec![
                Network { address: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), prefix: 8 },
                Network { address: loopback[1], prefix: 128 },
            ],
            notified_entity: None,
            // RFC 3435 §3.5.1: 30 seconds is what T-HIST should be, and §3.5.3 has 20 for T-MAX.
            response_history: Duration::from_secs(30),
            transaction_max: Duration::from_secs(20),
            // RFC 3435 §4.3: the defaults of Max1 and Max2.
            suspicion_repetitions: 5,
            disconnection_repetitions: 7,
            suspicion_look_up: true,
            disconnection_look_up: true,
            // RFC 3435 §4.4.7: the defaults of Tdmin, Tdinit and Tdmax.
            disconnected_wait_min: Duration::from_secs(15),
            disconnected_wait_first: Duration::from_secs(15),
            disconnected_wait_max: Duration::from_secs(600),
            graceful_stop_max: None,
            // RFC 3435 §4.4.6 reckons 2.5 s for one T1; four E1s are five times as many channels.
            restart_wait_max: Duration::from_millis(500),
            transactions_max: 1_048_576,
            executing_max: 4_096,
            outstanding_max: 1_024,
            outstanding_min: 8,
            slow_answer: Duration::from_secs(1),
            source_rate_max: 0,
            // RFC 3660 §2.1: the default.
            long_connection: Duration::from_secs(3_600),
        }
    }
}

/// A call agent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallAgentConfig {
    /// The notified entity of its endpoints at start.
    pub name: Option<String>,
    /// Where its commands come from.
    pub networks: Vec<Network>,
    /// Local names of the endpoints it controls, with wildcards; all if there are none.
    pub endpoints: Vec<String>,
    /// Whether it is sent 100 for what takes long.
    pub provisional: bool,
    /// Whether it is sent several messages in a datagram.
    pub piggyback: bool,
    /// Whether it is sent RSIP.
    pub rsip: bool,
    /// Whether RSIP may name endpoints by ranges (RFC 3435 §E.5).
    pub ranges: bool,
    /// Whether what takes a telephone (package L) is granted to it, though there is none.
    pub telephones: bool,
    /// The protocol version in which it is spoken to, and may speak besides 1.0.
    pub version: Version,
}

/// A gateway's MGCP port (RFC 3435 §3.5).
pub const PORT: u16 = 2427;

/// A block of addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    /// Its first address.
    pub address: IpAddr,
    /// How many leading bits count.
    pub prefix: u8,
}

impl Network {
    /// Whether it holds `address`. An IPv4 address in IPv6 clothes counts as the IPv4 address it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        let differs = match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => u128::from(ours.to_bits() ^ theirs.to_bits()) << 96,
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => ours.to_bits() ^ theirs.to_bits(),
            _ => return false,
        };
        differs.leading_zeros() >= u32::from(self.prefix)
    }
}

impl FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse().map_err(drop)?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(drop)?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(bits);
        if prefix <= bits { Ok(Self { address, prefix }) } else { Err(()) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// RTP.
#[derive(Clone, PartialEq, Debug)]
pub struct MediaConfig {
    /// Local addresses, at most one of each family. The first is the default.
    pub addresses: Vec<IpAddr>,
    /// The first RTP port; even.
    pub port_first: u16,
    /// The last port; odd.
    pub port_last: u16,
    /// Packetization period unless asked otherwise, in ms.
    pub ptime_ms: u8,
    /// Whether telephone-events may be used unless the call agent names codecs.
    pub telephone_events: bool,
    /// The jitter buffer.
    pub jitter: JitterBounds,
    /// From where on R/qa is told (RFC 3660 §2.10).
    pub quality: Quality,
    /// Whether ICMP errors about RTP and RTCP are listened for, for R/iu (RFC 3660 §2.10).
    pub icmp: bool,
    /// The mark on RTP and RTCP.
    pub dscp: Dscp,
    /// How datagrams reach the network.
    pub driver: MediaDriver,
    /// Where echo is cancelled, unless a span says otherwise.
    pub echo_cancellation: EchoCancellation,
    /// How the gateway cancels echo where it does so itself.
    pub echo: EchoSettings,
}

impl MediaConfig {
    /// Media on this host only, with ports for all connections that `ds0s` DS0s can have.
    pub(crate) fn with_ports_for(ds0s: u16) -> Self {
        let port_first = 20_000;
        Self {
            addresses: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            port_first,
            port_last: port_first + ds0s * CONNECTIONS_PER_ENDPOINT as u16 * 2 - 1,
            ptime_ms: 20,
            telephone_events: true,
            jitter: JitterBounds { nominal_ms: 20, max_ms: 100, adaptive: true },
            quality: Quality { loss: 3_000, delay_ms: 200, jitter_ms: 50 },
            icmp: false,
            dscp: Dscp::EF,
            driver: MediaDriver::Uring,
            echo_cancellation: EchoCancellation::External,
            echo: EchoSettings { tail_ms: 64, suppresses: true, comforts: true },
        }
    }

    /// How many pairs of an RTP and an RTCP port the range has, on each address.
    pub fn pairs(&self) -> u16 {
        // Halves first: the whole range does not fit 16 bits.
        self.port_last / 2 - self.port_first / 2 + 1
    }
}

/// How datagrams reach the network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MediaDriver {
    /// UDP sockets over io_uring.
    Uring,
    /// UDP sockets by plain calls.
    Mmsg,
    /// Past the kernel's network stack, over AF_XDP.
    Xdp {
        /// The interface; the one that has the addresses if `None`.
        interface: Option<String>,
        /// What is used of it.
        mode: XdpMode,
    },
}

/// Packet relays (RFC 3435 §2.1.1.6, §E.3).
#[derive(Clone, PartialEq, Debug)]
pub struct RtpBridgeConfig {
    /// How many there can be: `rtpbridge/1` to `rtpbridge/<that, in hex>`.
    pub endpoints: u32,
}

impl Default for RtpBridgeConfig {
    fn default() -> Self {
        Self { endpoints: 128 }
    }
}

impl MediaDriver {
    /// Its name in the configuration.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Uring => "uring",
            Self::Mmsg => "mmsg",
            Self::Xdp { .. } => "xdp",
        }
    }
}

/// Where echo is cancelled, if anywhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EchoCancellation {
    /// On the line's own equipment: `e:on` is taken as it is.
    External,
    /// Nowhere: `e:on` is refused.
    None,
    /// In the gateway: `e:on` and `e:off` are obeyed.
    Internal,
}

/// One media core.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CoreConfig {
    /// The CPU to pin its worker to; not pinned if `None`.
    pub cpu: Option<usize>,
}

/// One span.
#[derive(Clone, PartialEq, Debug)]
pub struct SpanConfig {
    /// Its number in endpoint names, from 1: the `3` of `ds/e1-3/17`. No other span of its slot has it.
    pub number: u32,
    /// Its slot in names of the `s<slot>/ds1-<n>/<ts>` form, if it has one.
    pub slot: Option<u32>,
    /// E1 or T1.
    pub carrier: Carrier,
    /// The law of its channels.
    pub law: Law,
    /// Milliseconds in a block: 1 to 20.
    pub block_ms: u8,
    /// The media core that carries it, by place; chosen by load if `None`.
    pub core: Option<usize>,
    /// Where its echo is cancelled, if anywhere.
    pub echo_cancellation: EchoCancellation,
    /// What of it is in service.
    pub service: ServiceConfig,
    /// What drives it.
    pub driver: SpanDriver,
}

impl SpanConfig {
    /// The simulated E1 that a `[[span]]` table without any setting is.
    pub fn simulated_e1(number: u32) -> Self {
        Self {
            number,
            slot: None,
            carrier: Carrier::E1,
            law: Carrier::E1.usual_law(),
            block_ms: 5,
            core: None,
            echo_cancellation: EchoCancellation::External,
            service: ServiceConfig::default(),
            driver: SpanDriver::Sim(SimConfig {
                clock_ppm: 0.0,
                far_end: FarEndConfig::Loop,
                timeslots: Vec::new(),
            }),
        }
    }

    /// Frames in each of its blocks.
    pub fn frames(&self) -> usize {
        usize::from(self.block_ms) * FRAMES_PER_SECOND as usize / 1_000
    }

    /// What its endpoints' names begin with: `ds/e1-3`, `ds/ds1-3` or `s2/ds1-3`.
    pub fn local_name(&self) -> String {
        match (self.slot, self.carrier) {
            (Some(slot), _) => format!("s{slot}/ds1-{}", self.number),
            (None, Carrier::E1) => format!("ds/e1-{}", self.number),
            (None, Carrier::T1) => format!("ds/ds1-{}", self.number),
        }
    }
}

/// What drives a span.
#[derive(Clone, PartialEq, Debug)]
pub enum SpanDriver {
    /// A simulated line.
    Sim(SimConfig),
}

/// A simulated line.
#[derive(Clone, PartialEq, Debug)]
pub struct SimConfig {
    /// How fast its clock runs against the host's, in parts per million.
    pub clock_ppm: f64,
    /// What is at the far end of each timeslot.
    pub far_end: FarEndConfig,
    /// What is at the far end of some timeslots instead.
    pub timeslots: Vec<(Timeslot, FarEndConfig)>,
}

impl SimConfig {
    /// What is at the far end of one timeslot.
    pub fn far_end(&self, timeslot: Timeslot) -> &FarEndConfig {
        self.timeslots.iter().find(|(at, _)| *at == timeslot).map_or(&self.far_end, |(_, far_end)| far_end)
    }
}

/// What is at the far end of a simulated timeslot.
#[derive(Clone, PartialEq, Debug)]
pub enum FarEndConfig {
    /// Each octet comes back.
    Loop,
    /// Another simulated span, by its place.
    Cable {
        /// That span's place in the configuration.
        to: usize,
    },
    /// A sine.
    Tone {
        /// Its frequency in Hz, 1 to 3,999.
        hz: f64,
        /// Its level in dBm0, -70 to 3.
        dbm0: f64,
    },
    /// Plays one WAV file over and over and records what comes back in another.
    File {
        /// What is played; silence if `None`.
        play: Option<PathBuf>,
        /// Where what comes back is written; `{timeslot}` in it stands for the timeslot's number.
        record: Option<PathBuf>,
    },
    /// Sends a pseudo-random pattern and checks what comes back.
    Prbs {
        /// 11 or 15: the pattern's length is 2^n - 1 bits (ITU-T O.150).
        order: u8,
    },
    /// Silence.
    Idle,
    /// A telephone behind a hybrid.
    Hybrid {
        /// Its line, by its number in ITU-T G.168 annex D: 2 to 9.
        line: u8,
        /// By how much its echo is fainter than what it hears, in dB (echo return loss).
        loss_db: f64,
        /// By how much it is later, in ms.
        delay_ms: u8,
        /// A WAV file of what is said there, over and over; silence if `None`.
        play: Option<PathBuf>,
        /// Where what it hears is written, as a file's far end does.
        record: Option<PathBuf>,
    },
}

/// The journal.
#[derive(Clone, PartialEq, Debug)]
pub struct JournalConfig {
    /// How many octets it may take in memory, 4 KiB to 1 GiB.
    pub octets_max: usize,
    /// A file it is also written to.
    pub file: Option<PathBuf>,
    /// Octets of the disk that the file takes at most.
    pub file_octets_max: u64,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self { octets_max: 1 << 20, file: None, file_octets_max: 1 << 30 }
    }
}

/// When a line's alarms (LOS, LFA, AIS) take its endpoints out of service, and when they are back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AlarmConfig {
    /// How long an alarm stands before the line counts as failed, and its calls are ended.
    pub raise: Duration,
    /// How long it is gone before the line counts as back.
    pub clear: Duration,
}

impl Default for AlarmConfig {
    fn default() -> Self {
        Self { raise: Duration::from_millis(2_500), clear: Duration::from_secs(10) }
    }
}

/// The counters, for monitoring.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MetricsConfig {
    /// The file they are written to; none if `None`.
    pub file: Option<PathBuf>,
    /// How often they are written, 1 s to 1 h.
    pub period: Duration,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self { file: None, period: Duration::from_secs(10) }
    }
}

/// The log, on standard error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogConfig {
    /// The least grave level that is logged.
    pub level: LevelFilter,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: LevelFilter::INFO }
    }
}

/// What is asked of the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HostConfig {
    /// Whether all memory is locked, so that a page fault never stalls a core.
    pub lock_memory: bool,
    /// The real-time priority of the media cores' threads (SCHED_FIFO), 1 to 99, if they are to have one.
    pub real_time_priority: Option<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_the_addresses_that_share_its_prefix() {
        let network: Network = "192.0.2.0/25".parse().unwrap();
        assert!(network.contains("192.0.2.127".parse().unwrap()));
        assert!(!network.contains("192.0.2.128".parse().unwrap()));
        assert!(network.contains("::ffff:192.0.2.1".parse().unwrap()), "an IPv4 address in IPv6 clothes");
        assert!("::/0".parse::<Network>().unwrap().contains("2001:db8::1".parse().unwrap()));
        assert!("192.0.2.0/33".parse::<Network>().is_err());
    }

    #[test]
    fn endpoints_are_named_by_slot_carrier_and_number() {
        let mut span = SpanConfig::simulated_e1(3);
        assert_eq!(span.local_name(), "ds/e1-3");
        span.carrier = Carrier::T1;
        assert_eq!(span.local_name(), "ds/ds1-3");
        span.slot = Some(0);
        assert_eq!(span.local_name(), "s0/ds1-3");
    }
}
