//! Who may speak, how often, about which endpoints, and in which dialect.
//!
//! MGCP has no passwords: where a datagram comes from is all there is to know its sender by, so that is
//! looked at before anything is parsed (RFC 3435 §5 leaves more to IPsec).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use drivers::time::Instant;
use tracing::warn;

use crate::config::{CallAgentConfig, Config, Network};
use crate::endpoint::naming::Pattern;
use crate::endpoint::table::Table;
use crate::mgcp::message::{Path, Version};
use crate::mgcp::name::Term;

/// Sources whose rate is known at a time.
const SOURCES_MAX: usize = 1_024;

/// How much of its rate a source may use at once.
const BURST: Duration = Duration::from_millis(200);

/// What may control the gateway.
#[derive(Debug)]
pub(super) struct Agents {
    /// The networks of no call agent in particular.
    allow: Vec<Network>,
    agents: Vec<Agent>,
    /// How long a datagram counts for; no time if there is no limit.
    interval: Duration,
    /// When each source has used up what it has sent so far.
    sources: BTreeMap<IpAddr, Instant>,
}

/// A call agent.
#[derive(Clone, Debug)]
pub(super) struct Agent {
    networks: Vec<Network>,
    /// Its endpoints, by id; all if `None`.
    pub(super) endpoints: Option<Arc<[bool]>>,
    /// Whether it understands 100.
    pub(super) provisional: bool,
    /// Whether it understands several messages in a datagram.
    pub(super) piggyback: bool,
    /// Whether it understands RSIP.
    pub(super) rsip: bool,
    /// Whether it understands ranges in endpoint names.
    pub(super) ranges: bool,
    /// Whether it takes circuits for telephone lines.
    pub(super) telephones: bool,
    /// The protocol version it speaks.
    pub(super) version: Version,
}

/// What a source is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// It may speak.
    Known,
    /// It may not.
    Unknown,
    /// It speaks too much.
    TooFast,
}

impl Agents {
    pub(super) fn new(config: &Config, endpoints: &Table) -> Self {
        let interval = match config.mgcp.source_rate_max {
            0 => Duration::ZERO,
            rate => Duration::from_secs(1) / rate,
        };
        let agents = config.call_agents.iter().map(|agent| Agent::new(agent, endpoints)).collect();
        Self { allow: config.mgcp.allow.clone(), agents, interval, sources: BTreeMap::new() }
    }

    /// Whether a datagram from there is looked at.
    pub(super) fn admit(&mut self, now: Instant, source: IpAddr) -> Source {
        let is_known = self.allow.iter().any(|network| network.contains(source));
        if !is_known && self.of(source).is_none() {
            return Source::Unknown;
        }
        if self.interval.is_zero() {
            return Source::Known;
        }
        if self.sources.len() >= SOURCES_MAX && !self.sources.contains_key(&source) {
            self.sources.retain(|_, used_up| *used_up > now);
        }
        if self.sources.len() >= SOURCES_MAX && !self.sources.contains_key(&source) {
            return Source::TooFast;
        }
        let used_up = self.sources.entry(source).or_insert(now);
        let next = (*used_up).max(now) + self.interval;
        if next.since(now) > BURST.max(self.interval) {
            return Source::TooFast;
        }
        *used_up = next;
        Source::Known
    }

    /// Those of these ways that lead to who understands RSIP, as everyone does who is not known not to.
    pub(super) fn taking_rsip(&self, mut ways: Vec<Path>) -> Vec<Path> {
        ways.retain(|way| self.takes_rsip(*way));
        ways
    }

    /// Whether RSIP is understood there.
    pub(super) fn takes_rsip(&self, way: Path) -> bool {
        self.of(way.remote.ip()).is_none_or(|agent| agent.rsip)
    }

    /// The protocol version in which to speak to who is there.
    pub(super) fn version(&self, source: IpAddr) -> Version {
        self.of(source).map_or(Version::Rfc, |agent| agent.version)
    }

    /// The call agent that is there, if it is one in particular.
    pub(super) fn of(&self, source: IpAddr) -> Option<&Agent> {
        self.agents.iter().find(|agent| agent.networks.iter().any(|network| network.contains(source)))
    }
}

impl Agent {
    fn new(config: &CallAgentConfig, table: &Table) -> Self {
        let endpoints = (!config.endpoints.is_empty()).then(|| endpoints(config, table));
        Self {
            networks: config.networks.clone(),
            endpoints,
            provisional: config.provisional,
            piggyback: config.piggyback,
            rsip: config.rsip,
            ranges: config.ranges,
            telephones: config.telephones,
            version: config.version,
        }
    }
}

/// The endpoints of a call agent, by id.
pub(super) fn endpoints(config: &CallAgentConfig, table: &Table) -> Arc<[bool]> {
    let mut own = vec![config.endpoints.is_empty(); table.ids().count()];
    for name in &config.endpoints {
        let terms: Option<Vec<Term>> = name.split('/').map(|term| term.parse().ok()).collect();
        let found = terms.and_then(|terms| Pattern::parse(&terms)).map(|pattern| table.possible(&pattern));
        if found.as_ref().is_none_or(Vec::is_empty) {
            warn!(name, "a call agent's endpoints: there are none of that name");
        }
        found.into_iter().flatten().for_each(|id| own[id.0 as usize] = true);
    }
    own.into()
}
