//! What an operator needs to know of a gateway: at a check, at the start, at the end.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use control::config::{
    CallAgentConfig, Config, EchoCancellation, FarEndConfig, MediaDriver, SpanConfig, SpanDriver,
};
use control::topology::{CoreId, Topology};
use dataplane::dsp::echo_canceller::EchoCanceller;
use dataplane::stats::Counter;
use drivers::line::SpanId;
use drivers::net::Ports;
use drivers::net::Settings;
use drivers::net::mmsg::MmsgSockets;
use drivers::net::uring::UringSockets;
use drivers::net::xdp::XdpSockets;
use drivers::span::sim::PrbsResult;
use hdrhistogram::Histogram;
use tracing::{error, info};

use crate::compose::Ended;

/// What a configuration amounts to, by subject.
pub(crate) fn lines(config: &Config) -> Vec<(&'static str, String)> {
    let mut lines = spans(config);
    // What the configuration was read from has been laid out once already.
    let Ok(topology) = Topology::new(config) else { return lines };
    for (place, core) in config.cores.iter().enumerate() {
        let ds0s = topology.ds0s(CoreId(place as u16));
        let pin = core.cpu.map_or_else(|| "not pinned".to_owned(), |cpu| format!("on CPU {cpu}"));
        let priority = config.host.real_time_priority;
        let ahead = priority.map_or_else(String::new, |level| format!(", real-time priority {level}"));
        let ports: Vec<_> = topology.ports[place]
            .0
            .iter()
            .map(|range| {
                let first = SocketAddr::new(range.address, range.first);
                format!("{first}-{}", range.first + range.pairs * 2 - 1)
            })
            .collect();
        lines.push(("core", format!("{place} {pin}{ahead}: {ds0s} DS0s, RTP on {}", ports.join(" and "))));
    }
    let sockets: usize = topology.ports.iter().map(Ports::slots).sum();
    lines.push(("ports", format!("{sockets} sockets, for {} connections at a time", sockets / 2)));
    let media = &config.media;
    let jitter = media.jitter;
    let waits = if jitter.adaptive {
        format!("{} to {}", jitter.nominal_ms, jitter.max_ms)
    } else {
        jitter.nominal_ms.to_string()
    };
    lines.push((
        "media",
        format!(
            "{} sockets, packets of {} ms, jitter buffer of {waits} ms, DSCP {}",
            media.driver.name(),
            media.ptime_ms,
            media.dscp.tos() >> 2
        ),
    ));
    let locked = if config.host.lock_memory { "locked" } else { "not locked" };
    let (at_start, gear) = memory(&topology, config);
    let (at_start, gear) = (mebibytes(at_start), mebibytes(gear));
    let on_demand = format!("up to {gear} more as calls want tones and digits");
    lines.push(("memory", format!("{at_start} for media at start, {locked}; {on_demand}")));
    let listen: Vec<_> = config.mgcp.listen.iter().map(ToString::to_string).collect();
    lines.push(("mgcp", format!("{} on {}", config.gateway.name, listen.join(" and "))));
    let allow: Vec<_> = config.mgcp.allow.iter().map(ToString::to_string).collect();
    lines.push(("allow", format!("commands from {}", allow.join(", "))));
    let notified = config.mgcp.notified_entity.as_deref();
    lines.push(("notify", notified.unwrap_or("nobody, until a call agent has named itself").to_owned()));
    lines.extend(config.call_agents.iter().map(|agent| ("agent", call_agent(agent))));
    if let Some(file) = &config.journal.file {
        lines.push(("journal", file.display().to_string()));
    }
    if let Some(file) = &config.metrics.file {
        lines.push(("metrics", format!("{}, each {} s", file.display(), config.metrics.period.as_secs())));
    }
    lines
}

/// `ca@192.0.2.1, from 192.0.2.1/32: ds/e1-1/*, without RSIP`.
fn call_agent(agent: &CallAgentConfig) -> String {
    let name = agent.name.as_deref().unwrap_or("of no name");
    let networks: Vec<_> = agent.networks.iter().map(ToString::to_string).collect();
    let endpoints = if agent.endpoints.is_empty() { "all".to_owned() } else { agent.endpoints.join(", ") };
    let lacks = [("100", agent.provisional), ("piggybacking", agent.piggyback), ("RSIP", agent.rsip)];
    let lacks: Vec<_> = lacks.iter().filter(|(_, takes)| !takes).map(|(what, _)| *what).collect();
    let lacks = if lacks.is_empty() { String::new() } else { format!(", without {}", lacks.join(", ")) };
    format!("{name}, from {}: {endpoints}{lacks}", networks.join(", "))
}

/// Logs what is about to start.
pub(crate) fn log_start(config: &Config, file: Option<&Path>) {
    match file {
        Some(file) => info!("config: {}", file.display()),
        None => info!("config: the embedded default"),
    }
    for (subject, text) in lines(config) {
        info!("{subject}: {text}");
    }
}

/// Logs an end.
pub(crate) fn log_end(ended: &Ended, patterns: &[(String, Arc<PrbsResult>)]) {
    for (place, (summary, stats)) in ended.cores.iter().enumerate() {
        let cpu = Duration::from_nanos(stats.value(Counter::CpuNanos));
        info!(
            core = place,
            ticks = stats.value(Counter::Ticks),
            rtp_sent = stats.value(Counter::RtpSent),
            rtp_received = stats.value(Counter::RtpReceived),
            late = %quantiles(&summary.lateness),
            work = %quantiles(&summary.work),
            cpu_s = cpu.as_secs_f64(),
            "core has ended"
        );
        if let Err(error) = &summary.end {
            error!(core = place, %error, "it ended though nobody told it to");
        }
    }
    for (endpoint, result) in patterns {
        let (bits, errors, losses) = (result.bits(), result.errors(), result.losses());
        info!(endpoint, in_sync = result.is_in_sync(), bits, errors, losses, "pattern");
    }
}

/// The median, the 99th percentile and the maximum of times in ns.
pub(crate) fn quantiles(histogram: &Histogram<u64>) -> String {
    let ms = |ns: u64| ns as f64 / 1e6;
    format!(
        "p50 {:.3} ms, p99 {:.3} ms, p99.9 {:.3} ms, max {:.3} ms",
        ms(histogram.value_at_quantile(0.5)),
        ms(histogram.value_at_quantile(0.99)),
        ms(histogram.value_at_quantile(0.999)),
        ms(histogram.max())
    )
}

/// Octets of memory that all cores' tables and rings and the lines' echo cancellers take, and that what is listened
/// for and played may take besides.
fn memory(topology: &Topology, config: &Config) -> (usize, usize) {
    let cores = topology
        .ports
        .iter()
        .zip(0..)
        .map(|(ports, core)| {
            let limits = topology.limits(CoreId(core), &config.media.jitter);
            let gear = limits.gear(topology.ds0s(CoreId(core)));
            let (settings, slots) = (Settings::for_slots(ports.slots()), ports.slots());
            let sockets = match &config.media.driver {
                MediaDriver::Uring => UringSockets::memory(&settings, slots),
                MediaDriver::Mmsg => MmsgSockets::memory(&settings),
                MediaDriver::Xdp { .. } => XdpSockets::memory(&settings, slots),
            };
            (limits.memory() + sockets, gear)
        })
        .fold((0, 0), |sum, core| (sum.0 + core.0, sum.1 + core.1));
    let cancellers = config.spans.iter().enumerate().map(|(place, span)| {
        let one = config.echo(SpanId(place as u16)).map(|echo| EchoCanceller::memory(echo, span.frames()));
        one.unwrap_or(0) * usize::from(span.carrier.timeslot_max())
    });
    (cores.0 + cancellers.sum::<usize>(), cores.1)
}

fn mebibytes(octets: usize) -> String {
    format!("{:.1} MiB", octets as f64 / f64::from(1 << 20))
}

/// The spans, runs of like ones in one line.
fn spans(config: &Config) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    let mut rest = &config.spans[..];
    while let Some(first) = rest.first() {
        let run = rest.iter().take_while(|span| is_like(first, span)).count();
        let last = &rest[run - 1];
        let name = first.local_name();
        let name = if run == 1 { name } else { format!("{name} to {}", last.local_name()) };
        let ds0s = run * usize::from(first.carrier.timeslot_max());
        lines.push((
            "span",
            format!(
                "{name}: {run} {} of {}, {ds0s} DS0s, blocks of {} ms, echo {}, {}",
                first.carrier,
                first.law,
                first.block_ms,
                match first.echo_cancellation {
                    EchoCancellation::External => "left to the line",
                    EchoCancellation::Internal => "cancelled here",
                    EchoCancellation::None => "not cancelled",
                },
                driver(first)
            ),
        ));
        rest = &rest[run..];
    }
    lines
}

fn is_like(one: &SpanConfig, other: &SpanConfig) -> bool {
    let settings = |span: &SpanConfig| (span.carrier, span.law, span.block_ms, span.echo_cancellation);
    settings(one) == settings(other) && driver(one) == driver(other)
}

fn driver(span: &SpanConfig) -> String {
    let SpanDriver::Sim(sim) = &span.driver;
    let far_end = match &sim.far_end {
        FarEndConfig::Loop => "loop".to_owned(),
        FarEndConfig::Cable { .. } => "cable".to_owned(),
        FarEndConfig::Tone { hz, dbm0 } => format!("tone of {hz} Hz at {dbm0} dBm0"),
        FarEndConfig::File { .. } => "file".to_owned(),
        FarEndConfig::Prbs { order } => format!("pattern of 2^{order}-1 bits"),
        FarEndConfig::Idle => "idle".to_owned(),
        FarEndConfig::Hybrid { line, loss_db, .. } => format!("hybrid of line D.{line}, {loss_db} dB"),
    };
    match sim.timeslots.len() {
        0 => format!("simulated, far end: {far_end}"),
        n => format!("simulated, far end: {far_end}, and others on {n} timeslots"),
    }
}

#[cfg(test)]
mod tests {
    use control::config::Network;
    use control::mgcp::message::Version;

    use super::*;

    #[test]
    fn each_call_agent_has_a_line_with_what_it_cannot_take() {
        let agent = CallAgentConfig {
            name: Some("ca@192.0.2.1".to_owned()),
            networks: vec![Network { address: [192, 0, 2, 1].into(), prefix: 32 }],
            endpoints: vec!["ds/e1-1/*".to_owned()],
            provisional: false,
            piggyback: true,
            rsip: false,
            ranges: false,
            telephones: false,
            version: Version::Rfc,
        };
        let said = lines(&Config { call_agents: vec![agent], ..Config::default() });
        let line = "ca@192.0.2.1, from 192.0.2.1/32: ds/e1-1/*, without 100, RSIP";
        assert!(said.contains(&("agent", line.to_owned())), "{said:?}");
    }

    #[test]
    fn memory_is_told_by_when_it_is_taken() {
        let said = lines(&Config::default());
        let memory = &said.iter().find(|(subject, _)| *subject == "memory").expect("it is told").1;
        assert!(memory.contains(" MiB for media at start, "), "{memory}");
        assert!(memory.contains("; up to ") && !memory.contains("up to 0.0 MiB"), "{memory}");
    }
}
