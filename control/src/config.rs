//! `tollgate.toml` as types. (The reader, and every field's unit, range, default and reason, to come.)

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use dataplane::link::JitterBounds;
use drivers::line::{Carrier, Law, Timeslot};
use drivers::net::Dscp;

/// Everything an operator can set.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// The gateway's own name and its other names.
    pub gateway: GatewayConfig,
    /// How it is controlled.
    pub mgcp: MgcpConfig,
    /// How media flow.
    pub media: MediaConfig,
    /// The media cores, in order; at least one.
    pub cores: Vec<CoreConfig>,
    /// The spans, in order; a span's place is its [`SpanId`](drivers::line::SpanId).
    pub spans: Vec<SpanConfig>,
    /// Where the journal goes.
    pub journal: JournalConfig,
}

/// Names.
#[derive(Clone, PartialEq, Debug)]
pub struct GatewayConfig {
    /// The domain part of endpoint names in what the gateway sends.
    pub name: String,
    /// Other domains that commands may use for it. Without any, every domain is taken.
    pub aliases: Vec<String>,
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
    /// MWD: the upper bound of the random wait before the first RSIP (RFC 3435 §4.4.6).
    pub restart_wait_max: Duration,
    /// Transactions of others that can be known at a time.
    pub transactions_max: usize,
}

/// A block of addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    /// Its address.
    pub address: IpAddr,
    /// How many leading bits count.
    pub prefix: u8,
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
    /// The jitter buffer.
    pub jitter: JitterBounds,
    /// The mark on RTP and RTCP.
    pub dscp: Dscp,
    /// What `L: e:on` is answered.
    pub echo_cancellation: EchoCancellation,
}

/// Where echo is cancelled, if anywhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EchoCancellation {
    /// On the line's own equipment: `e:on` is taken as it is.
    External,
    /// Nowhere: `e:on` is refused.
    None,
}

/// One media core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CoreConfig {
    /// The CPU to pin its worker to; not pinned if `None`.
    pub cpu: Option<usize>,
}

/// One span.
#[derive(Clone, PartialEq, Debug)]
pub struct SpanConfig {
    /// Its number in endpoint names, from 1: the `3` of `ds/e1-3/17`.
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
    /// What drives it.
    pub driver: SpanDriver,
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
        /// Its frequency.
        hz: f64,
        /// Its level.
        dbm0: f64,
    },
    /// Plays one WAV file over and over and records what comes back in another.
    File {
        /// What is played; silence if `None`.
        play: Option<PathBuf>,
        /// What is recorded.
        record: Option<PathBuf>,
    },
    /// Sends a pseudo-random pattern and checks what comes back.
    Prbs {
        /// 11 or 15: the pattern's length is 2^n - 1 bits (ITU-T O.150).
        order: u8,
    },
    /// Silence.
    Idle,
}

/// The journal.
#[derive(Clone, PartialEq, Debug)]
pub struct JournalConfig {
    /// How many octets it may take in memory.
    pub octets_max: usize,
    /// A file it is also written to.
    pub file: Option<PathBuf>,
}
