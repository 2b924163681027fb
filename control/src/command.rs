//! What commands do: plan, then commit.
//!
//! A *plan* reads the [`State`] and returns what is to be done, or the return code that says why not;
//! it changes nothing. Its *commit* cannot fail: it takes from the ledger, changes endpoints and gives
//! orders. So a refused command leaves all as it was (RFC 3435 §4.4.3), and a wildcard is carried out
//! for all endpoints or for none.
//!
//! A command whose orders are under way is an [`Execution`]. Its response leaves when the last of its
//! orders is done. Until then another command can abort it (§4.4.4); then what it did is undone, in
//! further orders.

pub mod aucx;
pub mod auep;
pub mod check;
pub mod crcx;
pub mod dlcx;
pub mod epcf;
mod listen;
pub mod local;
pub mod mdcx;
mod media;
pub mod notification;
pub mod options;
mod perform;
pub mod redirect;
pub mod rqnt;
pub mod undo;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::Duration;

use dataplane::limits::{CONNECTIONS_PER_ENDPOINT, Limits};
use dataplane::link::{Action, ConnectionStats, JitterBounds};
use drivers::line::Law;
use drivers::net::{Dscp, PortSlot};
use drivers::time::{Epoch, Instant};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::config::{Config, EchoCancellation};
use crate::endpoint::naming::{Called, Form, Named};
use crate::endpoint::table::Table;
use crate::endpoint::{Connection, Control, Endpoint, EndpointId, Kind};
use crate::ledger::Ledger;
use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::{Command, ConnectionParameters, Path, Response, TransactionId, Verb};
use crate::mgcp::name::{ConnectionId, EndpointName};
use crate::mgcp::transaction::Ticket;
use crate::notified_entity::Naming;
use crate::orders::Orders;
use crate::package::{OFFERED, Packages};
use crate::timer::TimerId;
use crate::topology::{CoreId, Topology};

use self::local::HalfId;
use self::notification::{Asked, Described, as_they_are};
use self::undo::{Configured, Part, Undo};

/// The longest answer, and the longest datagram that call agents are told they may send (RFC 3435 §3.5.4:
/// both sides must be able to take 4,000 octets).
pub const DATAGRAM_MAX: usize = 4_000;

/// A command whose orders are under way, by the order in which they came.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ExecutionId(pub u64);

/// All that commands read and change.
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
    /// The mark on RTP unless asked otherwise.
    pub dscp: Dscp,
    /// Where echo is cancelled.
    pub echo_cancellation: EchoCancellation,
}

/// A command that has been carried out but for its orders' reports.
#[derive(Debug)]
pub struct Execution {
    /// What its response is handed back with.
    pub ticket: Ticket,
    /// Its transaction.
    pub transaction: TransactionId,
    /// Which command it is.
    pub verb: Verb,
    /// Orders whose reports have not come.
    pub outstanding: usize,
    /// What connection statistics its last report brought.
    pub stats: Option<ConnectionStats>,
    /// What it will answer.
    pub reply: Reply,
    /// How to undo it, in the order in which it was done.
    pub undo: Vec<Undo>,
    /// Port pairs it no longer needs once it is done.
    pub release: Vec<(CoreId, PortSlot)>,
    /// The endpoints it changes.
    pub endpoints: Vec<EndpointId>,
    /// The endpoint whose connections it changes, and nothing else there.
    pub second: Option<EndpointId>,
    /// The notification request that takes effect with its success.
    pub asked: Option<Arc<Asked>>,
    /// Whether it configures endpoints.
    pub configures: bool,
    /// After how long their lockstep is reported from its success on.
    pub lockstep: Option<Option<Duration>>,
    /// When it is given up.
    pub deadline: Option<TimerId>,
}

/// What has been ended at an endpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// Connections.
    pub connections: usize,
    /// The orders that took.
    pub orders: usize,
    /// Connections of other endpoints that were joined to those.
    pub halves: Vec<HalfId>,
}

/// The second connection that a command has made.
#[derive(Clone, PartialEq, Debug)]
pub struct Second {
    /// The connection.
    pub id: ConnectionId,
    /// The endpoint, if it was chosen by the gateway.
    pub specific: Option<EndpointName>,
}

/// A response but for what its orders have yet to bring.
#[derive(Clone, PartialEq, Debug)]
pub enum Reply {
    /// A code alone.
    Code(ReturnCode),
    /// CRCX
    Created {
        /// The connection.
        id: ConnectionId,
        /// The endpoint, if it was chosen by the gateway.
        specific: Option<EndpointName>,
        /// What the gateway says of the connection.
        local: Vec<u8>,
        /// Its other half, if that was made with it.
        second: Option<Second>,
    },
    /// MDCX
    Modified {
        /// What the gateway says of the connection, if that is new.
        local: Option<Vec<u8>>,
    },
    /// DLCX of one connection, whose statistics are to come.
    Deleted,
    /// AUCX whose statistics are to come.
    Audited(aucx::Query),
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
            orders: Orders::new(topology.ports.iter().map(|ports| Limits::for_ports(ports).orders)),
            executions: BTreeMap::new(),
            rng: StdRng::seed_from_u64(seed),
            epoch,
            scope: None,
            now: epoch.at,
            packages: Packages::new(OFFERED),
            stirred: Vec::new(),
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

    /// Undoes what a command did, and forgets it.
    pub fn abort(&mut self, id: ExecutionId) -> Option<Execution> {
        let mut execution = self.forget(id)?;
        for undo in execution.undo.drain(..).rev() {
            self.undo(id, undo);
        }
        self.stirred.extend(&execution.endpoints);
        Some(execution)
    }

    /// Ends a command whose last order is done, and whether it has succeeded.
    // RFC 3435 §4.4.3: its notification request takes effect now; what allowed it must hold still.
    pub fn finish(&mut self, id: ExecutionId) -> Option<(Execution, Result<(), ReturnCode>)> {
        if let Err(code) = self.check_again(id) {
            return self.abort(id).map(|execution| (execution, Err(code)));
        }
        let mut execution = self.forget(id)?;
        for (core, port) in execution.release.drain(..) {
            self.ledger.give_pair(core, port);
        }
        if let Some(asked) = &execution.asked {
            for endpoint in &execution.endpoints {
                let now = self.now;
                self.endpoints[*endpoint].control.notify.handle_request(now, asked.request.clone());
                self.stirred.push(*endpoint);
            }
        }
        if let Some(after) = execution.lockstep {
            for endpoint in &execution.endpoints {
                let now = self.now;
                self.endpoints[*endpoint].control.notify.report_lockstep_after(now, after);
                self.stirred.push(*endpoint);
            }
        }
        Some((execution, Ok(())))
    }

    fn check_again(&self, id: ExecutionId) -> Result<(), ReturnCode> {
        let Some(execution) = self.executions.get(&id) else { return Ok(()) };
        let Some(asked) = &execution.asked else { return Ok(()) };
        execution.endpoints.iter().try_for_each(|id| {
            let endpoint = &self.endpoints[*id];
            let exists = |connection| endpoint.connection(connection).is_some();
            notification::check_request(endpoint, asked, &exists)
        })
    }

    /// The name of an endpoint or of several, for a command of ours.
    // RFC 3435 §2.1.2: the form and the domain are those that were used last.
    pub fn name_of(&self, named: Named, called: Option<&Called>) -> EndpointName {
        let form = called.map_or(Form::Usual, |called| called.form);
        let domain = called.map_or(&self.settings.name, |called| &called.domain);
        EndpointName { local: self.endpoints.name(form, named), domain: domain.clone() }
    }

    /// The name of the connection that is made next.
    pub const fn next_connection(&self) -> ConnectionId {
        self.next_connection
    }

    /// Takes that name.
    pub fn take_connection_name(&mut self) -> ConnectionId {
        std::mem::replace(&mut self.next_connection, self.names.random::<u64>().into())
    }

    /// Ends all that goes on at an endpoint, with `owner` waiting for it.
    // RFC 3435 §4.4.1, §2.1.7: nor do requests and signals outlive a restart.
    pub fn end_all(&mut self, id: EndpointId, owner: Option<ExecutionId>) -> Ended {
        let core = self.endpoints[id].core;
        let gone = std::mem::take(&mut self.endpoints[id].connections);
        for connection in &gone {
            self.ledger.give_pair(core, connection.port);
            self.ledger.give_connection();
            self.orders.push(core, Action::Disconnect { port: connection.port }, owner);
            self.forget_connection(id, connection.id, connection.port);
        }
        let halves = gone.iter().filter_map(|connection| self.part(connection)).collect();
        self.endpoints[id].control.signals.handle_restart();
        let stops = self.perform(id, owner);
        self.endpoints[id].control.notify.handle_restart();
        self.stirred.push(id);
        Ended { connections: gone.len(), orders: gone.len() + stops, halves }
    }

    /// Takes one connection from its endpoint. Its core is yet to be told.
    pub fn end_one(&mut self, half: HalfId) -> Option<Connection> {
        let endpoint = &mut self.endpoints[half.endpoint];
        let place = endpoint.connections.iter().position(|other| other.id == half.connection)?;
        let gone = endpoint.connections.remove(place);
        let core = endpoint.core;
        self.ledger.give_pair(core, gone.port);
        self.ledger.give_connection();
        self.forget_connection(half.endpoint, gone.id, gone.port);
        Some(gone)
    }

    /// A number for orders that are no command's.
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

    fn forget(&mut self, id: ExecutionId) -> Option<Execution> {
        let execution = self.executions.remove(&id)?;
        for endpoint in execution.endpoints.iter().chain(&execution.second) {
            self.endpoints[*endpoint].executing.retain(|other| *other != id);
        }
        Some(execution)
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
            dscp: config.media.dscp,
            echo_cancellation: config.media.echo_cancellation,
        }
    }

    /// Whether a domain, without port and brackets, is this gateway's.
    pub fn is_own_domain(&self, host: &str) -> bool {
        self.domains.is_empty() || self.domains.iter().any(|own| own.eq_ignore_ascii_case(host))
    }
}

/// What is left of a command once its parameters are checked, and goes for its endpoints.
#[derive(Clone, PartialEq, Debug)]
pub struct Common {
    /// The way it came.
    pub path: Path,
    /// What its endpoints were called.
    pub called: Arc<Called>,
    /// N and its like.
    pub naming: Naming,
    /// X with what belongs to it.
    pub asked: Option<Arc<Asked>>,
    /// The law that B gives.
    pub law: Option<Law>,
    /// RED/R: all that goes on at the endpoints ends first.
    pub resets: bool,
    /// LCK/LST: after how long lockstep is reported from now on.
    pub lockstep: Option<Option<Duration>>,
}

/// A plan that is being carried out.
#[derive(Debug)]
pub struct Commit<'a> {
    /// What it changes.
    pub state: &'a mut State,
    /// The time.
    pub now: Instant,
    id: ExecutionId,
    orders: usize,
    undo: Vec<Undo>,
    release: Vec<(CoreId, PortSlot)>,
    endpoints: Vec<EndpointId>,
    second: Option<EndpointId>,
    asked: Option<Arc<Asked>>,
    configures: bool,
    lockstep: Option<Option<Duration>>,
}

impl<'a> Commit<'a> {
    fn new(state: &'a mut State, now: Instant) -> Self {
        let id = state.take_execution_id();
        Self {
            state,
            now,
            id,
            orders: 0,
            undo: Vec::new(),
            release: Vec::new(),
            endpoints: Vec::new(),
            second: None,
            asked: None,
            configures: false,
            lockstep: None,
        }
    }

    /// Gives an order that the response waits for.
    pub fn order(&mut self, core: CoreId, action: Action) {
        self.state.orders.push(core, action, Some(self.id));
        self.orders += 1;
    }

    /// Notes how to undo a change.
    pub fn can_undo(&mut self, undo: Undo) {
        self.undo.push(undo);
    }

    /// Gives a pair back when all is done.
    pub fn release(&mut self, core: CoreId, port: PortSlot) {
        self.release.push((core, port));
    }

    /// Changes what a command's common parameters change of an endpoint.
    pub fn apply(&mut self, id: EndpointId, common: &Common) {
        self.endpoints.push(id);
        let execution = self.id;
        if common.resets {
            self.orders += self.state.end_all(id, Some(execution)).orders;
        }
        let endpoint = &mut self.state.endpoints[id];
        endpoint.executing.push(execution);
        let before = Configured::of(endpoint);
        common.change(endpoint, execution);
        let (core, ds0, law) = (endpoint.core, endpoint.ds0(), endpoint.law);
        let law_before = before.law;
        self.can_undo(Undo::Endpoint(id, Box::new(before)));
        self.configures |= common.law.is_some();
        self.lockstep = common.lockstep;
        if law != law_before
            && let Some(ds0) = ds0
        {
            self.order(core, Action::Encode { ds0, law });
        }
    }

    /// Has the command change connections of a second endpoint, and nothing else there.
    pub fn involve(&mut self, id: EndpointId) {
        self.second = Some(id);
        self.state.endpoints[id].executing.push(self.id);
    }

    /// Plays on a second endpoint's connections what is played on all of them.
    pub fn signal_second(&mut self, id: EndpointId) {
        self.orders += self.state.perform(id, Some(self.id));
        self.state.stirred.push(id);
    }

    /// Applies the signals of a command's notification request, if it has one, once its connections are
    /// as they will be.
    pub fn signal(&mut self, id: EndpointId, common: &Common) {
        if let Some(asked) = &common.asked {
            let undo = self.state.endpoints[id].control.signals.apply(self.now, &asked.signals);
            self.can_undo(Undo::Signals(id, Box::new(undo)));
            self.asked = Some(asked.clone());
        }
        self.orders += self.state.perform(id, Some(self.id));
        self.orders += self.state.listen(id, Some(self.id), common.asked.as_deref());
        self.state.stirred.push(id);
    }
}

impl Common {
    fn change(&self, endpoint: &mut Endpoint, by: ExecutionId) {
        // RFC 3991 §2.4: a reset brings back what was configured.
        let law = self.law.or(self.resets.then_some(endpoint.line_law));
        endpoint.law = law.unwrap_or(endpoint.law);
        endpoint.control.called = Some(match (&endpoint.control.called, self.called.form) {
            // A wildcard that stands for all endpoints says nothing of the form.
            (Some(before), Form::Usual) if before.form != Form::Usual => {
                Arc::new(Called { form: before.form, domain: self.called.domain.clone() })
            }
            _ => Arc::clone(&self.called),
        });
        // Who controls relays knows no RSIP, so it has to name itself to get one.
        let is_heard = !matches!(endpoint.kind, Kind::Relay(_));
        let Control { notified, set_by, .. } = &mut endpoint.control;
        if is_heard {
            notified.heard(self.path);
        }
        notified.take(&self.naming);
        let sets = [
            (Part::Law, law.is_some()),
            (Part::Name, self.naming.name.is_some()),
            (Part::List, self.naming.list.is_some()),
            (Part::Heard, is_heard),
        ];
        for (part, _) in sets.iter().filter(|(_, sets)| *sets) {
            set_by[*part as usize] = Some(by);
        }
    }

    /// Orders that [`Commit::apply`] and [`Commit::signal`] give at most.
    pub fn orders(&self, endpoint: &Endpoint) -> usize {
        let signals = self.asked.as_ref().map_or(0, |asked| {
            let starts = asked.signals.len() * CONNECTIONS_PER_ENDPOINT;
            let watches = 1 + CONNECTIONS_PER_ENDPOINT;
            starts + endpoint.control.playing.len() + watches
        });
        let ends = if self.resets { endpoint.connections.len() + endpoint.control.playing.len() } else { 0 };
        usize::from(self.resets || self.law.is_some_and(|law| law != endpoint.law)) + signals + ends
    }

    /// Checks that an endpoint, whose connections will be these, can grant the notification request.
    ///
    /// # Errors
    /// The return code for why not.
    pub fn check(&self, state: &State, id: EndpointId, described: Described<'_>) -> Result<(), ReturnCode> {
        if state.endpoints[id].ds0().is_none() {
            self.check_without_line()?;
        }
        self.asked.iter().try_for_each(|asked| notification::check(state, id, asked, described))
    }

    /// Without a line there is no law, and nothing that happens: such an endpoint has no packages.
    fn check_without_line(&self) -> Result<(), ReturnCode> {
        match (self.law, self.needs_line()) {
            (Some(_), _) => Err(ReturnCode::UNSUPPORTED_PARAMETER),
            (None, true) => Err(ReturnCode::UNSUPPORTED_PACKAGE),
            (None, false) => Ok(()),
        }
    }

    /// Whether only an endpoint with a line can have it.
    fn needs_line(&self) -> bool {
        self.law.is_some() || self.asked.as_ref().is_some_and(|asked| asked.names_events())
    }

    /// The same, for connections that stay as they are.
    ///
    /// # Errors
    /// The return code for why not.
    pub fn check_as_is(&self, state: &State, id: EndpointId) -> Result<(), ReturnCode> {
        self.check(state, id, &as_they_are(&state.endpoints[id]))
    }
}

/// A plan.
#[derive(Debug)]
pub enum Plan {
    /// CRCX
    Create(Box<crcx::Plan>),
    /// MDCX
    Modify(Box<mdcx::Plan>),
    /// DLCX
    Delete(dlcx::Plan),
    /// EPCF, and RQNT
    Configure(epcf::Plan),
    /// AUCX that asks for statistics.
    Audit(aucx::Plan),
    /// There is nothing to do but to answer: an audit.
    Answer(Vec<u8>),
}

/// Plans a command.
///
/// # Errors
/// The return code for what is wrong with it.
pub fn plan(state: &State, path: Path, command: &Command<'_>) -> Result<Plan, ReturnCode> {
    // RFC 3435 §3.2.1.4: profiles change what commands mean; an unknown one is refused.
    if command.profile.is_some() {
        return Err(ReturnCode::INCOMPATIBLE_VERSION);
    }
    check::parameters(&state.packages, command)?;
    match command.verb {
        Verb::CreateConnection => crcx::plan(state, path, command).map(Box::new).map(Plan::Create),
        Verb::ModifyConnection => mdcx::plan(state, path, command).map(Box::new).map(Plan::Modify),
        Verb::DeleteConnection => dlcx::plan(state, path, command).map(Plan::Delete),
        Verb::EndpointConfiguration => epcf::plan(state, path, command).map(Plan::Configure),
        Verb::NotificationRequest => rqnt::plan(state, path, command).map(Plan::Configure),
        Verb::AuditEndpoint => auep::answer(state, command).map(Plan::Answer),
        Verb::AuditConnection => aucx::plan(state, command),
        // Only gateways send these two.
        Verb::Notify | Verb::RestartInProgress | Verb::Other(_) => Err(ReturnCode::UNKNOWN_COMMAND),
    }
}

/// What has become of a plan.
#[derive(Debug)]
pub enum Committed {
    /// Its orders are under way.
    UnderWay(ExecutionId),
    /// It is done; this is the response.
    Done(Vec<u8>),
}

/// Carries a plan out.
pub fn commit(
    state: &mut State,
    now: Instant,
    ticket: Ticket,
    command: &Command<'_>,
    plan: Plan,
) -> Committed {
    let (verb, transaction) = (command.verb, command.transaction);
    let mut commit = Commit::new(state, now);
    let reply = match plan {
        Plan::Create(plan) => plan.commit(&mut commit),
        Plan::Modify(plan) => plan.commit(&mut commit),
        Plan::Delete(plan) => plan.commit(&mut commit),
        Plan::Configure(plan) => plan.commit(&mut commit),
        Plan::Audit(plan) => plan.commit(&mut commit),
        Plan::Answer(octets) => return Committed::Done(octets),
    };
    let Commit {
        state,
        id,
        orders: outstanding,
        undo,
        release,
        endpoints,
        second,
        asked,
        configures,
        lockstep,
        ..
    } = commit;
    let execution = Execution {
        ticket,
        transaction,
        verb,
        outstanding,
        stats: None,
        reply,
        undo,
        release,
        endpoints,
        second,
        asked,
        configures: configures || verb == Verb::EndpointConfiguration,
        lockstep,
        deadline: None,
    };
    state.executions.insert(id, execution);
    if outstanding > 0 {
        return Committed::UnderWay(id);
    }
    let (execution, result) = state.finish(id).expect("it was put there just now");
    let response = result.and_then(|()| execution.response(state, false));
    Committed::Done(response.unwrap_or_else(|code| execution.refusal(code, false)))
}

/// The commands under way that a new one aborts.
// RFC 3435 §4.4.4: DLCX aborts what is being made or changed at its endpoints; MDCX, EPCF, RQNT and their
// like abort an older one of their kind. Whether the new one succeeds then does not matter.
pub fn conflicts(state: &State, command: &Command<'_>) -> Vec<ExecutionId> {
    let p = &command.parameters;
    let configures = command.verb == Verb::EndpointConfiguration || p.bearer.is_some();
    let changes_same = |execution: &Execution| {
        let connection = p.connections.as_ref().and_then(|ids| ids.first());
        let same = |undo: &Undo| match undo {
            Undo::Modified(_, before) => Some(&before.id) == connection,
            Undo::Created(..) | Undo::Endpoint(..) | Undo::Signals(..) => false,
        };
        execution.verb == Verb::ModifyConnection && execution.undo.iter().any(same)
    };
    // RFC 3991 §2.4: a reset ends all that goes on.
    let resets = redirect::resets(&state.packages, p) == Ok(true);
    let aborts = |execution: &Execution| {
        let of_connections = match command.verb {
            Verb::DeleteConnection => execution.makes(),
            Verb::ModifyConnection => changes_same(execution),
            _ => false,
        };
        // What is encapsulated counts as well.
        of_connections
            || resets
            || p.request.is_some() && execution.asked.is_some()
            || configures && execution.configures
    };
    // An endpoint that the gateway chooses is chosen after this.
    let is_chosen = command.endpoint.has_any_of()
        || command.verb == Verb::CreateConnection && command.endpoint.has_all_of();
    if state.executions.is_empty() || is_chosen {
        return Vec::new();
    }
    let meant = redirect::affected(state, command);
    let executing = meant.iter().flat_map(|id| &state.endpoints[*id].executing);
    let mut ids: Vec<_> = executing.copied().filter(|id| aborts(&state.executions[id])).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The endpoints that a command is for, with the second one that it names.
pub fn concerned(state: &State, command: &Command<'_>) -> Vec<EndpointId> {
    let mut concerned = redirect::affected(state, command);
    let second = command.parameters.second_endpoint.as_ref().map(|name| check::meant(state, name));
    concerned.extend(second.into_iter().flatten());
    concerned
}

/// One of these commands that is still under way at an endpoint that a new one names.
pub fn still_at(state: &State, command: &Command<'_>, begun: &[ExecutionId]) -> Option<ExecutionId> {
    let under_way: Vec<_> = begun.iter().filter(|id| state.executions.contains_key(id)).collect();
    if under_way.is_empty() {
        return None;
    }
    let meant = concerned(state, command);
    let mut executing = meant.iter().flat_map(|id| &state.endpoints[*id].executing);
    executing.find(|id| under_way.contains(id)).copied()
}

impl Execution {
    /// Whether it makes or changes a connection.
    const fn makes(&self) -> bool {
        matches!(self.verb, Verb::CreateConnection | Verb::ModifyConnection)
    }

    /// Its final response.
    ///
    /// # Errors
    /// The return code for an audit that what it asks for has gone, or has grown too much.
    pub fn response(&self, state: &State, acknowledge: bool) -> Result<Vec<u8>, ReturnCode> {
        let mut response = Response::new(ReturnCode::OK, self.transaction);
        match &self.reply {
            Reply::Code(code) => response = Response::new(*code, self.transaction),
            Reply::Created { .. } | Reply::Modified { .. } => {}
            Reply::Deleted => {
                response = Response::new(ReturnCode::DELETED, self.transaction);
                response.parameters.connection_parameters = self.stats.as_ref().map(parameters_of);
            }
            Reply::Audited(query) => {
                return aucx::answer(state, self.transaction, query, self.stats.as_ref(), acknowledge);
            }
        }
        // RFC 3435 §3.5.6: after a provisional response, the final one asks to be acknowledged.
        response.parameters.response_ack = acknowledge.then(Vec::new);
        Ok(self.told(response))
    }

    /// The provisional response: what is known already of a connection that it makes or changes.
    // RFC 3435 §3.5.6: the final response, unless it is a refusal, says the same again.
    pub fn promise(&self) -> Vec<u8> {
        self.told(Response::new(ReturnCode::EXECUTING, self.transaction))
    }

    /// A response with what there is to tell of a connection.
    fn told(&self, response: Response<'_>) -> Vec<u8> {
        let mut description: &[u8] = &[];
        let mut response = response;
        match &self.reply {
            Reply::Created { id, specific, local, second } => {
                response.parameters.connections = Some(vec![*id]);
                // RFC 3435 §2.3.5: the second connection's name, and its endpoint's if that was left open.
                response.parameters.second_connection = second.as_ref().map(|second| second.id);
                response.parameters.second_endpoint =
                    second.as_ref().and_then(|second| second.specific.clone());
                response.parameters.specific_endpoints.extend(specific.clone());
                description = local;
            }
            Reply::Modified { local: Some(local) } => description = local,
            Reply::Modified { local: None } | Reply::Code(_) | Reply::Deleted | Reply::Audited(_) => {}
        }
        if !description.is_empty() {
            response.descriptions.push(description);
        }
        octets_of(&response)
    }

    /// The response that says that it came to nothing.
    pub fn refusal(&self, code: ReturnCode, acknowledge: bool) -> Vec<u8> {
        let mut response = Response::new(code, self.transaction);
        response.parameters.response_ack = acknowledge.then(Vec::new);
        octets_of(&response)
    }
}

/// The response that refuses a command before anything of it was done.
pub fn refusal(state: &State, code: ReturnCode, command: &Command<'_>) -> Vec<u8> {
    let mut response = Response::new(code, command.transaction);
    // RFC 3435 §2.4: a package's own code is told with its name. The package is the one whose parameters
    // the command has.
    if code.is_package_specific() {
        let names = command.parameters.others.iter().filter_map(|(name, _)| name.split_once('/'));
        let has_codes = |package: &&str| ["BA", "RED"].iter().any(|own| own.eq_ignore_ascii_case(package));
        response.package = names.map(|(package, _)| package).find(has_codes).or(Some("RED"));
    }
    // RFC 3435 §2.4: who names a package that is not there is told which are.
    let packages = state.packages.list();
    let is_told = code == ReturnCode::UNSUPPORTED_PACKAGE && !check::is_osmocoms(&command.endpoint);
    if is_told && !packages.is_empty() {
        response.parameters.packages = Some(&packages);
    }
    octets_of(&response)
}

/// A response's octets.
pub fn octets_of(response: &Response<'_>) -> Vec<u8> {
    response.to_octets()
}

/// An answer to an audit, if a datagram holds it.
///
/// # Errors
/// 533
pub fn within_datagram(answer: Vec<u8>) -> Result<Vec<u8>, ReturnCode> {
    if answer.len() > DATAGRAM_MAX { Err(ReturnCode::RESPONSE_TOO_LARGE) } else { Ok(answer) }
}

/// Statistics as P has them.
// RFC 3435 §3.2.2.7: values have up to nine digits and stay at the highest.
pub fn parameters_of(stats: &ConnectionStats) -> ConnectionParameters<'static> {
    let capped = |n: u32| Some(n.min(999_999_999));
    let millis = |time: Duration| capped(u32::try_from(time.as_millis()).unwrap_or(u32::MAX));
    ConnectionParameters {
        packets_sent: capped(stats.packets_sent),
        octets_sent: capped(stats.octets_sent),
        packets_received: capped(stats.packets_received),
        octets_received: capped(stats.octets_received),
        packets_lost: capped(stats.packets_lost),
        jitter_ms: millis(stats.jitter),
        latency_ms: millis(stats.latency),
        others: Vec::new(),
    }
}
