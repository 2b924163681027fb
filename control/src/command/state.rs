//! All that commands read and change.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::Duration;

use dataplane::limits::Limits;
use dataplane::link::{JitterBounds, Quality};
use drivers::line::SpanId;
use drivers::net::Dscp;
use drivers::time::{Epoch, Instant};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::execution::Execution;
use super::undo::Undo;
use crate::change::ExecutionId;
use crate::config::Config;
use crate::endpoint::EndpointId;
use crate::endpoint::naming::{Called, Form, Named};
use crate::endpoint::table::Table;
use crate::ledger::Ledger;
use crate::mgcp::name::{ConnectionId, EndpointName};
use crate::orders::Orders;
use crate::package::ability::Ability;
use crate::package::{OFFERED, Packages};
use crate::topology::Topology;

/// What commands read and change: endpoints, what can run out, and themselves.
#[derive(Debug)]
pub struct State {
    /// What the configuration says of them.
    pub settings: Settings,
    /// The endpoints.
    pub endpoints: Table,
    /// What can run out.
    pub ledger: Ledger,
    /// Orders to the cores, and whose they are: nobody's if nobody waits for their end.
    pub orders: Orders<Option<ExecutionId>>,
    /// The commands under way.
    pub executions: BTreeMap<ExecutionId, Execution>,
    /// The only source of chance.
    pub rng: StdRng,
    /// Wall time, for session descriptions.
    pub epoch: Epoch,
    /// The endpoints that the sender of the command being handled may control; all if `None`.
    pub scope: Option<Arc<[bool]>>,
    /// The time of what is being handled.
    pub now: Instant,
    /// The events and signals that endpoints have.
    pub packages: Packages,
    /// Endpoints whose events or signals have something to be done about.
    pub stirred: Vec<EndpointId>,
    /// How the last command named its endpoints.
    pub called: Arc<Called>,
    /// The name of the next connection: a command that makes it can speak of it already.
    next_connection: ConnectionId,
    /// Chance for those names alone.
    names: StdRng,
    next_execution: ExecutionId,
    last_session: u64,
}

/// What the configuration says of commands.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// The gateway's own domain.
    pub name: String,
    /// The domains it goes by, in lower case, without brackets; any if there are none.
    pub domains: Vec<String>,
    /// Its RTP addresses, the default first.
    pub addresses: Vec<IpAddr>,
    /// Packetization unless asked otherwise.
    pub ptime_ms: NonZeroU8,
    /// Whether telephone-events may be used unless codecs are named.
    pub telephone_events: bool,
    /// The jitter buffers' bounds.
    pub jitter: JitterBounds,
    /// From where on quality is told to be bad.
    pub quality: Quality,
    /// The mark on RTP unless asked otherwise.
    pub dscp: Dscp,
    /// How long a connection has lasted when that is long (RFC 3660 §2.1).
    pub long_connection: Duration,
}

impl State {
    /// All endpoints in service, all else free.
    pub fn new(config: &Config, topology: &Topology, seed: u64, epoch: Epoch) -> Self {
        let endpoints = Table::new(topology);
        let connections = endpoints.iter().map(|(_, endpoint)| endpoint.connections_max()).sum();
        let mut names = StdRng::seed_from_u64(!seed);
        let next_connection = names.random::<u64>().into();
        Self {
            settings: Settings::new(config),
            ledger: Ledger::new(&topology.ports, connections),
            orders: Orders::new(topology.ports.iter().map(Limits::orders)),
            executions: BTreeMap::new(),
            rng: StdRng::seed_from_u64(seed),
            epoch,
            scope: None,
            now: epoch.at,
            packages: Packages::new(OFFERED.with(Ability::Unreachable, config.media.icmp)),
            stirred: Vec::new(),
            called: Arc::new(Called { form: Form::Usual, domain: config.gateway.name.clone() }),
            next_connection,
            names,
            endpoints,
            next_execution: ExecutionId(0),
            last_session: 0,
        }
    }

    /// Whether the sender of the command being handled may control an endpoint.
    pub fn may_control(&self, id: EndpointId) -> bool {
        self.scope.as_ref().is_none_or(|scope| scope[id.0 as usize])
    }

    /// How a command names its endpoints: most do it as the one before did, and thousands of endpoints share that.
    pub fn called(&self, form: Form, domain: String) -> Arc<Called> {
        let called = Called { form, domain };
        if *self.called == called { Arc::clone(&self.called) } else { Arc::new(called) }
    }

    /// The name of an endpoint or of several, for a command of ours.
    // RFC 3435 §2.1.2: the form and the domain are those that were used last.
    pub fn name_of(&self, named: Named, called: Option<&Called>) -> EndpointName {
        let form = called.map_or(Form::Usual, |called| called.form);
        let domain = called.map_or(&self.settings.name, |called| &called.domain);
        EndpointName { local: self.endpoints.name(form, named), domain: domain.clone() }
    }

    /// The name of all endpoints of a span, for the log.
    pub fn name_of_span(&self, span: SpanId) -> EndpointName {
        self.name_of(Named::Span(usize::from(span.0)), None)
    }

    /// The name of the connection that is made next.
    pub const fn next_connection(&self) -> ConnectionId {
        self.next_connection
    }

    /// Takes that name.
    pub fn take_connection_name(&mut self) -> ConnectionId {
        std::mem::replace(&mut self.next_connection, self.names.random::<u64>().into())
    }

    /// A number for a command, or for other orders whose end is waited for.
    pub fn take_execution_id(&mut self) -> ExecutionId {
        let id = self.next_execution;
        self.next_execution.0 += 1;
        id
    }

    /// The commands under way that make or change connections of an endpoint.
    pub fn making(&self, id: EndpointId) -> Vec<ExecutionId> {
        let executing = self.endpoints[id].executing.iter().copied();
        executing.filter(|execution| self.executions[execution].makes()).collect()
    }

    /// Whether a command is under way that brings an endpoint a request.
    pub fn is_being_asked(&self, id: EndpointId) -> bool {
        self.endpoints[id].executing.iter().any(|execution| self.executions[execution].asked.is_some())
    }

    /// Whether the command that makes this connection is still under way.
    pub fn is_being_created(&self, id: EndpointId, connection: ConnectionId) -> bool {
        let created = Undo::Created(id, connection);
        self.endpoints[id]
            .executing
            .iter()
            .any(|execution| self.executions[execution].undo.contains(&created))
    }

    /// A number for `o=`, at most 2⁶³ - 1: an NTP timestamp without its highest bit, unless that was given already.
    // RFC 3435 §3.4: the session id is recommended to be an NTP timestamp. RFC 3264 §5: it fits a signed
    // number of 64 bits, which those of this century do not, and call agents read it into one.
    pub fn session_id(&mut self, now: Instant) -> u64 {
        let timestamp = self.epoch.ntp(now) & i64::MAX as u64;
        self.last_session = timestamp.max(self.last_session + 1);
        self.last_session
    }
}

impl Settings {
    fn new(config: &Config) -> Self {
        let gateway = &config.gateway;
        let plain =
            |domain: &String| domain.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let domains = match gateway.aliases.is_empty() {
            true => Vec::new(),
            false => gateway.aliases.iter().chain([&gateway.name]).map(plain).collect(),
        };
        Self {
            name: gateway.name.clone(),
            domains,
            addresses: config.media.addresses.clone(),
            ptime_ms: NonZeroU8::new(config.media.ptime_ms).expect("the configuration allows 5 to 60 ms"),
            telephone_events: config.media.telephone_events,
            jitter: config.media.jitter,
            quality: config.media.quality,
            dscp: config.media.dscp,
            long_connection: config.mgcp.long_connection,
        }
    }

    /// Whether a domain, without port and brackets, is this gateway's.
    pub fn is_own_domain(&self, host: &str) -> bool {
        self.domains.is_empty() || self.domains.iter().any(|own| own.eq_ignore_ascii_case(host))
    }
}
