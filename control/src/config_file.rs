//! How `tollgate.toml` is read: whole, or not at all.
//!
//! [`Config::parse`] walks the file by hand instead of deriving it, because an operator wants every
//! error of a file at once, each with its line and in the words of the field. Each setting's unit,
//! range, default and reason are in `deploy/tollgate.toml`, which equals [`Config::default`]. Here are
//! the settings of each table but the spans', and what they must not say together.

mod reader;
mod spans;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use dataplane::link::{EchoSettings, JitterBounds, Quality};
use drivers::net::{Dscp, XdpMode};
use tracing::level_filters::LevelFilter;

pub use self::reader::ConfigError;
use self::reader::{Document, Section, Value};
use crate::config::{
    AlarmConfig, CallAgentConfig, Config, CoreConfig, EchoCancellation, GatewayConfig, HostConfig,
    JournalConfig, LogConfig, MediaConfig, MediaDriver, MetricsConfig, MgcpConfig, RtpBridgeConfig,
    SpanConfig,
};
use crate::endpoint::naming::Pattern;
use crate::mgcp::message::Version;
use crate::mgcp::name::{EntityName, Term};
use crate::topology::{Topology, TopologyError};

/// The most media cores: more than any host this runs on has.
const CORES_MAX: usize = 256;

/// How long a message can be on its way.
const WAY: Duration = Duration::from_secs(5);

impl Config {
    /// Reads a configuration file's text; relative paths in it start at `base`.
    ///
    /// # Errors
    /// Everything that is wrong with it, by line.
    pub fn parse(text: &str, base: &Path) -> Result<Self, Vec<ConfigError>> {
        let document = Document::new(text);
        read(&document, base).ok_or_else(|| document.into_errors())
    }
}

/// Every key that is looked for in such a text, with its tables.
#[cfg(test)]
fn known_keys(text: &str) -> Vec<String> {
    let document = Document::new(text);
    read(&document, Path::new(""));
    document.known()
}

/// What `document` says, if nothing is wrong with it.
fn read(document: &Document<'_>, base: &Path) -> Option<Config> {
    let table = document.table();
    let mut root = Section::root(document, table.get_ref());
    let default = Config::default();
    let gateway = gateway(root.section("gateway"));
    let mgcp = mgcp(root.section("mgcp"));
    let mut media_section = root.section("media");
    let media = media(&mut media_section);
    check_ports(&media_section, &mgcp.listen, &media);
    let rtpbridge = rtpbridge(root.section("rtpbridge"));
    let call_agents = root.sections("call_agent").unwrap_or_default().into_iter().map(call_agent).collect();
    let cores = root.sections("core").map_or(default.cores, |sections| cores(&root, sections));
    let echo_cancellation = media.echo_cancellation;
    let as_usual =
        || default.spans.into_iter().map(|span| SpanConfig { echo_cancellation, ..span }).collect();
    let spans = spans::read(&mut root, base, cores.len(), echo_cancellation).unwrap_or_else(as_usual);
    let alarms = alarms(root.section("alarms"));
    let journal = journal(root.section("journal"), base);
    let metrics = metrics(root.section("metrics"), base);
    let log = log(root.section("log"));
    let host = host(root.section("host"));
    let config = Config {
        gateway,
        mgcp,
        media,
        rtpbridge,
        call_agents,
        cores,
        spans,
        alarms,
        journal,
        metrics,
        log,
        host,
    };
    // What cannot be laid out is only told when all else is right: it may follow from it.
    if document.is_right()
        && let Err(error) = Topology::new(&config)
    {
        match error {
            TopologyError::TooFewPorts { .. } => media_section.error("port_last", error.to_string()),
            TopologyError::IdleCore { .. } => root.error("core", error.to_string()),
        }
    }
    media_section.finish();
    root.finish();
    document.is_right().then_some(config)
}

fn gateway(mut section: Section<'_>) -> GatewayConfig {
    let default = GatewayConfig::default();
    let name = section.value("name").and_then(|value| domain(&value)).unwrap_or(default.name);
    let aliases = section.list("aliases", domain, default.aliases);
    let mg = section.boolean("mg", default.mg);
    section.finish();
    GatewayConfig { name, aliases, mg }
}

/// The domain part of an endpoint name: RFC 3435 appendix A has letters, digits, dots and hyphens, or an
/// address in brackets.
fn domain(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    let is_name = (1..=255).contains(&text.len())
        && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-'));
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if is_name || bracketed.is_some_and(|address| address.parse::<IpAddr>().is_ok()) {
        return Some(text.to_owned());
    }
    value.error(format!("`{text}` is neither a domain name nor an address in brackets"));
    None
}

fn mgcp(mut section: Section<'_>) -> MgcpConfig {
    let default = MgcpConfig::default();
    let listen = section.list(
        "listen",
        |value| value.parsed("an address and a port: `192.0.2.1:2427` or `[2001:db8::1]:2427`"),
        default.listen,
    );
    check_listen(&section, &listen);
    let allow = section.list(
        "allow",
        |value| value.parsed("a network: `192.0.2.0/24`, `2001:db8::/32` or a single address"),
        default.allow,
    );
    if section.has_empty_list("allow") {
        section.error("allow", "nobody could control the gateway; name at least one network");
    }
    let config = MgcpConfig {
        listen,
        allow,
        notified_entity: section.value("notified_entity").and_then(|value| notified_entity(&value)),
        response_history: section.seconds("response_history_s", 1..=600, default.response_history),
        transaction_max: section.seconds("transaction_max_s", 1..=600, default.transaction_max),
        suspicion_repetitions: section.integer(
            "suspicion_repetitions",
            1..=20,
            default.suspicion_repetitions,
        ),
        disconnection_repetitions: section.integer(
            "disconnection_repetitions",
            2..=21,
            default.disconnection_repetitions,
        ),
        suspicion_look_up: section.boolean("suspicion_look_up", default.suspicion_look_up),
        disconnection_look_up: section.boolean("disconnection_look_up", default.disconnection_look_up),
        disconnected_wait_min: section.seconds(
            "disconnected_wait_min_s",
            0..=3_600,
            default.disconnected_wait_min,
        ),
        disconnected_wait_first: section.seconds(
            "disconnected_wait_first_s",
            1..=3_600,
            default.disconnected_wait_first,
        ),
        disconnected_wait_max: section.seconds(
            "disconnected_wait_max_s",
            1..=86_400,
            default.disconnected_wait_max,
        ),
        graceful_stop_max: Some(section.seconds("graceful_stop_max_s", 0..=999_999, Duration::ZERO))
            .filter(|max| !max.is_zero()),
        restart_wait_max: section.millis("restart_wait_max_ms", 0..=600_000, default.restart_wait_max),
        transactions_max: section.integer("transactions_max", 1_024..=4_194_304, default.transactions_max),
        executing_max: section.integer("executing_max", 16..=1_048_576, default.executing_max),
        outstanding_max: section.integer("outstanding_max", 1..=65_536, default.outstanding_max),
        outstanding_min: section.integer("outstanding_min", 1..=65_536, default.outstanding_min),
        slow_answer: section.millis("slow_answer_ms", 10..=20_000, default.slow_answer),
        source_rate_max: section.integer("source_rate_max", 0..=1_000_000, default.source_rate_max),
        long_connection: section.seconds("long_connection_s", 1..=604_800, default.long_connection),
    };
    check_mgcp(&section, &config);
    section.finish();
    config
}

/// What settings of `[mgcp]` must not say together.
fn check_mgcp(section: &Section<'_>, config: &MgcpConfig) {
    // RFC 3435 §3.5.1: a response must outlive the last repetition of its command, on its way, too; and
    // §3.5.6 has it outlive the wait for one that was promised.
    if config.response_history < config.transaction_max + WAY {
        let reason = "less than 5 s more than transaction_max_s: late repetitions would be new";
        section.error("response_history_s", reason);
    }
    // RFC 3435 §4.3: Max2 is larger than Max1.
    if config.disconnection_repetitions <= config.suspicion_repetitions {
        section.error("disconnection_repetitions", "not more than suspicion_repetitions");
    }
    if config.disconnected_wait_max < config.disconnected_wait_first {
        section.error("disconnected_wait_max_s", "less than disconnected_wait_first_s");
    }
    if config.outstanding_min > config.outstanding_max {
        section.error("outstanding_min", "more than outstanding_max");
    }
}

fn call_agent(mut section: Section<'_>) -> CallAgentConfig {
    let name = section.value("name").and_then(|value| notified_entity(&value));
    let network =
        |value: &Value<'_>| value.parsed("a network: `192.0.2.0/24`, `2001:db8::/32` or a single address");
    let networks = section.list("networks", network, Vec::new());
    if !section.has("networks") || section.has_empty_list("networks") {
        section.error("networks", "nobody would be known as this call agent; name at least one network");
    }
    let endpoints = section.list("endpoints", endpoints, Vec::new());
    let provisional = section.boolean("provisional", true);
    let piggyback = section.boolean("piggyback", true);
    let rsip = section.boolean("rsip", true);
    let ranges = section.boolean("ranges", false);
    let telephones = section.boolean("telephones", false);
    let versions = [Version::Rfc, Version::Draft].map(|version| (version.name(), version));
    let version = section.word("version", &versions, Version::Rfc);
    section.finish();
    CallAgentConfig { name, networks, endpoints, provisional, piggyback, rsip, ranges, telephones, version }
}

/// A local endpoint name, which can have wildcards and ranges.
fn endpoints(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    let terms: Option<Vec<Term>> = text.split('/').map(|term| term.parse().ok()).collect();
    if terms.and_then(|terms| Pattern::parse(&terms)).is_none() {
        value.error(format!("`{text}` names no endpoints; it wants to be like `ds/e1-1/*`"));
        return None;
    }
    Some(text.to_owned())
}

fn check_listen(section: &Section<'_>, listen: &[SocketAddr]) {
    if section.has_empty_list("listen") {
        section.error("listen", "nobody could reach the gateway; name at least one address");
    }
    for (i, one) in listen.iter().enumerate() {
        let clash = listen[..i].iter().find(|other| {
            let same_ip = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
            one.port() == other.port() && one.is_ipv4() == other.is_ipv4() && same_ip
        });
        if let Some(other) = clash {
            section.error("listen", format!("{one} and {other} take the same port"));
        }
        if one.port() == 0 {
            section.error("listen", format!("{one} has no port; call agents expect 2427"));
        }
        if one.ip().is_multicast() {
            section.error("listen", format!("{one} is a multicast address"));
        }
    }
}

/// RFC 3435 §2.1.4: `name@host:port`, of which the name and the port can be left out.
fn notified_entity(value: &Value<'_>) -> Option<String> {
    let wanted = "a call agent, like `ca@192.0.2.1:2727` or `ca@ca.example.net`";
    value.parsed::<EntityName>(wanted).map(|entity| entity.to_string())
}

fn media(section: &mut Section<'_>) -> MediaConfig {
    let default = Config::default().media;
    let addresses = section.list("addresses", |value| value.parsed("an address"), default.addresses);
    check_addresses(section, &addresses);
    let port_first = section.integer("port_first", 1_024..=65_534, default.port_first);
    let port_last = section.integer("port_last", 1_025..=65_535, default.port_last);
    // RFC 3550 §11: RTP has the even port, its RTCP the next.
    if !port_first.is_multiple_of(2) {
        section.error("port_first", format!("{port_first} is odd; RTP takes even ports"));
    }
    if port_last.is_multiple_of(2) {
        section.error("port_last", format!("{port_last} is even; the last port is an RTCP port, and odd"));
    }
    if port_last <= port_first {
        section.error("port_last", format!("{port_last} is before port_first, {port_first}"));
    }
    let ptime_ms = section.integer("ptime_ms", 5..=60, default.ptime_ms);
    if ![5, 10, 20, 30, 40, 60].contains(&ptime_ms) {
        section.error("ptime_ms", format!("{ptime_ms} is none of 5, 10, 20, 30, 40 and 60"));
    }
    let telephone_events = section.boolean("telephone_events", default.telephone_events);
    let jitter = JitterBounds {
        nominal_ms: section.integer("jitter_nominal_ms", 0..=200, default.jitter.nominal_ms),
        max_ms: section.integer("jitter_max_ms", 0..=200, default.jitter.max_ms),
        adaptive: section.boolean("jitter_adaptive", default.jitter.adaptive),
    };
    if jitter.max_ms < jitter.nominal_ms {
        section.error("jitter_max_ms", "less than jitter_nominal_ms");
    }
    let quality = Quality {
        loss: section.integer("quality_loss_per_100k", 1..=100_000, default.quality.loss),
        delay_ms: section.integer("quality_delay_ms", 1..=10_000, default.quality.delay_ms),
        jitter_ms: section.integer("quality_jitter_ms", 1..=10_000, default.quality.jitter_ms),
    };
    let icmp = section.boolean("icmp", default.icmp);
    let code_point = section.integer("dscp", 0..=63, default.dscp.tos() >> 2);
    let dscp = Dscp::new(code_point).expect("the range was checked");
    let driver = media_driver(section, default.driver);
    let echo_cancellation = section.word("echo_cancellation", &ECHO_CANCELLATION, default.echo_cancellation);
    let echo = EchoSettings {
        tail_ms: section.integer("echo_tail_ms", 8..=128, default.echo.tail_ms),
        suppresses: section.boolean("echo_suppression", default.echo.suppresses),
        comforts: section.boolean("echo_comfort_noise", default.echo.comforts),
    };
    MediaConfig {
        addresses,
        port_first,
        port_last,
        ptime_ms,
        telephone_events,
        jitter,
        quality,
        icmp,
        dscp,
        driver,
        echo_cancellation,
        echo,
    }
}

/// Where echo can be cancelled.
const ECHO_CANCELLATION: [(&str, EchoCancellation); 3] = [
    ("external", EchoCancellation::External),
    ("internal", EchoCancellation::Internal),
    ("none", EchoCancellation::None),
];

fn rtpbridge(mut section: Section<'_>) -> RtpBridgeConfig {
    let endpoints = section.integer("endpoints", 0..=32_256, RtpBridgeConfig::default().endpoints);
    section.finish();
    RtpBridgeConfig { endpoints }
}

fn media_driver(section: &mut Section<'_>, default: MediaDriver) -> MediaDriver {
    #[derive(Clone, Copy)]
    enum Name {
        Default,
        Uring,
        Mmsg,
        Xdp,
    }
    let names = [("uring", Name::Uring), ("mmsg", Name::Mmsg), ("xdp", Name::Xdp)];
    let name = section.word("driver", &names, Name::Default);
    let interface = section.value("xdp_interface").and_then(|value| interface(&value));
    let modes = [XdpMode::Auto, XdpMode::ZeroCopy, XdpMode::Native, XdpMode::Generic];
    let mode = section.word("xdp_mode", &modes.map(|mode| (mode.name(), mode)), XdpMode::Auto);
    for key in ["xdp_interface", "xdp_mode"] {
        if !matches!(name, Name::Xdp) && section.has(key) {
            section.error(key, "only the driver \"xdp\" has it");
        }
    }
    match name {
        Name::Default => default,
        Name::Uring => MediaDriver::Uring,
        Name::Mmsg => MediaDriver::Mmsg,
        Name::Xdp => MediaDriver::Xdp { interface, mode },
    }
}

/// The name of a network interface: what Linux takes for one.
fn interface(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    let is_name = (1..=15).contains(&text.len())
        && !matches!(text, "." | "..")
        && text.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'/' && octet != b':');
    if !is_name {
        value.error(format!("`{text}` is not the name of an interface, like `eth0`"));
    }
    is_name.then(|| text.to_owned())
}

fn check_addresses(section: &Section<'_>, addresses: &[IpAddr]) {
    if section.has_empty_list("addresses") {
        section.error("addresses", "RTP needs at least one address");
    }
    let (v4, v6): (Vec<&IpAddr>, Vec<&IpAddr>) = addresses.iter().partition(|address| address.is_ipv4());
    for family in [v4, v6] {
        if let [first, second, ..] = family[..] {
            section
                .error("addresses", format!("{first} and {second} are of one family; one of each at most"));
        }
    }
    for address in addresses.iter().filter(|a| a.is_unspecified() || a.is_multicast()) {
        section.error(
            "addresses",
            format!("{address} cannot be named in a description; give one of this host's"),
        );
    }
}

/// MGCP cannot listen where RTP does.
fn check_ports(section: &Section<'_>, listen: &[SocketAddr], media: &MediaConfig) {
    let ports = media.port_first..=media.port_last;
    for mgcp in listen.iter().filter(|mgcp| ports.contains(&mgcp.port())) {
        let ip = mgcp.ip();
        let is_shared = |rtp: &IpAddr| *rtp == ip || ip.is_unspecified() && rtp.is_ipv4() == ip.is_ipv4();
        if media.addresses.iter().any(is_shared) {
            section.error("port_first", format!("the range takes the port of mgcp.listen, {mgcp}"));
        }
    }
}

fn cores(root: &Section<'_>, sections: Vec<Section<'_>>) -> Vec<CoreConfig> {
    if sections.is_empty() || sections.len() > CORES_MAX {
        root.error("core", format!("there must be 1 to {CORES_MAX} cores"));
    }
    let mut cores: Vec<CoreConfig> = Vec::new();
    for mut section in sections {
        let cpu = section.value("cpu").and_then(|value| value.integer(0..=1_023));
        if cpu.is_some() && cores.iter().any(|core| core.cpu == cpu) {
            section.error("cpu", "another core is pinned to this CPU");
        }
        section.finish();
        cores.push(CoreConfig { cpu });
    }
    cores
}

fn alarms(mut section: Section<'_>) -> AlarmConfig {
    let default = AlarmConfig::default();
    let config = AlarmConfig {
        raise: section.millis("raise_ms", 0..=60_000, default.raise),
        clear: section.millis("clear_ms", 0..=60_000, default.clear),
    };
    section.finish();
    config
}

fn journal(mut section: Section<'_>, base: &Path) -> JournalConfig {
    let default = JournalConfig::default();
    let octets_max = section.integer("octets_max", 4_096..=1 << 30, default.octets_max);
    let file = section.value("file").and_then(|value| spans::file_to_write(&value, base));
    let file_octets_max = section.integer("file_octets_max", 1 << 20..=1 << 40, default.file_octets_max);
    section.finish();
    JournalConfig { octets_max, file, file_octets_max }
}

fn metrics(mut section: Section<'_>, base: &Path) -> MetricsConfig {
    let default = MetricsConfig::default();
    let file = section.value("file").and_then(|value| spans::file_to_write(&value, base));
    let period = section.seconds("period_s", 1..=3_600, default.period);
    section.finish();
    MetricsConfig { file, period }
}

fn log(mut section: Section<'_>) -> LogConfig {
    let words = [
        ("off", LevelFilter::OFF),
        ("error", LevelFilter::ERROR),
        ("warn", LevelFilter::WARN),
        ("info", LevelFilter::INFO),
        ("debug", LevelFilter::DEBUG),
        ("trace", LevelFilter::TRACE),
    ];
    let level = section.word("level", &words, LogConfig::default().level);
    section.finish();
    LogConfig { level }
}

fn host(mut section: Section<'_>) -> HostConfig {
    let lock_memory = section.boolean("lock_memory", HostConfig::default().lock_memory);
    // Nought is what a thread without one has.
    let level = section.integer("real_time_priority", 0..=99, 0);
    section.finish();
    HostConfig { lock_memory, real_time_priority: (level > 0).then_some(level) }
}
