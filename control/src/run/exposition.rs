//! What a running gateway has counted, as monitoring systems read it: Prometheus's text format, 0.0.4.
//!
//! ```text
//! # HELP tollgate_rtp_sent_packets_total RTP packets sent.
//! # TYPE tollgate_rtp_sent_packets_total counter
//! tollgate_rtp_sent_packets_total{core="0"} 119955
//! ```

use std::fmt::{Display, Write};

use dataplane::stats;

use super::Core;
use crate::endpoint::restart::Announcement;
use crate::endpoint::{Endpoint, Outage};
use crate::gateway::Gateway;
use crate::ledger::{Family, Usage};
use crate::metrics;

/// All that control and the cores count, and how much is used of what can run out.
pub(super) fn of(gateway: &Gateway, cores: &[Core]) -> String {
    let mut text = Exposition(String::with_capacity(16_384));
    let counters = gateway.counters();
    for counter in metrics::Counter::ALL.iter().copied() {
        text.counter(counter.name(), counter.help(), [("", counters.value(counter))]);
    }
    for counter in stats::Counter::ALL.iter().copied() {
        let core =
            |(place, core): (usize, &Core)| (format!("{{core=\"{place}\"}}"), core.stats.value(counter));
        text.counter(counter.name(), counter.help(), cores.iter().enumerate().map(core));
    }
    text.usage(
        "connections",
        "Connections that there are",
        [(String::new(), gateway.ledger().connections())],
    );
    let pairs = gateway.ledger().pairs().filter(|(_, _, usage)| usage.capacity > 0);
    let pairs = pairs.map(|(core, family, usage)| {
        let family = match family {
            Family::V4 => "ipv4",
            Family::V6 => "ipv6",
        };
        (format!("{{core=\"{}\",family=\"{family}\"}}", core.0), usage)
    });
    text.usage("port_pairs", "Pairs of an RTP and an RTCP port that connections have", pairs);
    let rings = gateway.rings().map(|(core, usage)| (format!("{{core=\"{}\"}}", core.0), usage));
    text.usage("orders", "Orders that a core has not carried out", rings);
    text.endpoints(gateway);
    text.0
}

/// The text, as far as it is written.
struct Exposition(String);

impl Exposition {
    fn counter<L: Display>(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (L, u64)>) {
        self.metric(&format!("{name}_total"), "counter", help, values);
    }

    fn gauge<L: Display>(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (L, u64)>) {
        self.metric(name, "gauge", help, values);
    }

    /// How many are used, were used at most, and can be.
    fn usage(&mut self, name: &str, help: &str, usages: impl IntoIterator<Item = (String, Usage)>) {
        let usages: Vec<_> = usages.into_iter().collect();
        let of = |value: fn(&Usage) -> usize| {
            usages.iter().map(move |(labels, usage)| (labels, value(usage) as u64))
        };
        self.gauge(name, &format!("{help} now."), of(|usage| usage.used));
        self.gauge(
            &format!("{name}_most"),
            &format!("{help}: the most since the start."),
            of(|usage| usage.high_water),
        );
        self.gauge(
            &format!("{name}_capacity"),
            &format!("{help}: how many there can be."),
            of(|usage| usage.capacity),
        );
    }

    /// How many endpoints are in service, and why others are not.
    fn endpoints(&mut self, gateway: &Gateway) {
        let outages = [
            None,
            Some(Outage::Alarm),
            Some(Outage::Failure),
            Some(Outage::Operator),
            Some(Outage::Shutdown),
        ];
        let state = |outage: Option<Outage>| {
            let name = outage.map_or("in_service", Outage::name);
            let n = gateway.count_endpoints(|endpoint| endpoint.outage == outage);
            (format!("{{state=\"{name}\"}}"), n as u64)
        };
        self.gauge("endpoints", "Endpoints, by why they are out of service if they are.", outages.map(state));
        let help = "Endpoints that cannot reach their call agent (RFC 3435 section 4.4.7).";
        let is_deaf = |endpoint: &Endpoint| endpoint.control.announcement == Announcement::Unheard;
        self.gauge("endpoints_disconnected", help, [("", gateway.count_endpoints(is_deaf) as u64)]);
    }

    fn metric<L: Display>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, u64)>,
    ) {
        let (text, help) = (&mut self.0, help.trim());
        writeln!(text, "# HELP tollgate_{name} {help}\n# TYPE tollgate_{name} {kind}").expect(TAKES_ALL);
        for (labels, value) in values {
            writeln!(text, "tollgate_{name}{labels} {value}").expect(TAKES_ALL);
        }
    }
}

const TAKES_ALL: &str = "a string takes all";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use dataplane::link;
    use drivers::time::{Epoch, Instant};

    use super::*;
    use crate::config::Config;
    use crate::topology::{CoreId, Topology};

    #[test]
    fn each_metric_says_once_what_it_is_and_has_a_number() {
        let config = Config::default();
        let topology = Topology::new(&config).unwrap();
        let now = Instant::from_nanos(1);
        let gateway = Gateway::new(&config, &topology, 1, Epoch { at: now, unix_nanos: 1 }, now);
        let (link, _core) = link::pair(&topology.limits(CoreId(0), &config.media.jitter), Box::new(|| {}));
        let core = Core { link, stats: Default::default() };
        core.stats.set(stats::Counter::RtpSent, 7);
        let text = of(&gateway, &[core]);
        let mut known = BTreeSet::new();
        let mut lines = text.lines().peekable();
        while let Some(help) = lines.next() {
            let (name, words) = help.strip_prefix("# HELP ").unwrap().split_once(' ').unwrap();
            assert!(words.ends_with('.') && known.insert(name), "{help}");
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
                "{name}"
            );
            let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
            assert_eq!(lines.next(), Some(&*format!("# TYPE {name} {kind}")));
            while let Some(sample) = lines.next_if(|line| !line.starts_with('#')) {
                let (labelled, value) = sample.rsplit_once(' ').unwrap();
                assert!(labelled.split('{').next() == Some(name) && value.parse::<u64>().is_ok(), "{sample}");
            }
        }
        for line in [
            "tollgate_rtp_sent_packets_total{core=\"0\"} 7",
            "tollgate_connections_capacity 752",
            "tollgate_port_pairs_capacity{core=\"0\",family=\"ipv4\"} 496",
            "tollgate_endpoints{state=\"in_service\"} 252",
            "tollgate_endpoints_disconnected 0",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
        }
    }
}
