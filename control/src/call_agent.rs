//! The other side: a small call agent, for the demo, for load tests and for tests.
//!
//! [`CallAgent`] turns calls of its methods into MGCP datagrams and datagrams into [`Event`]s. It is
//! as pure as the gateway: sockets and time are its owner's. It repeats what is not answered, and
//! answers what the gateway asks by itself: RSIP and NTFY with 200, DLCX with 250 (RFC 3435 §2.3.4,
//! §2.3.8, §2.3.12). [`call`] drives two-party calls with it, many at a time.
//!
//! It serves one gateway, and decides nothing: no routing, no digit analysis, no failover.

pub mod call;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use dataplane::mode::Mode;
use drivers::time::Instant;

pub use crate::mgcp::transaction::Full;

use crate::mgcp::code::{ReasonCode, ReturnCode};
use crate::mgcp::message::{
    Command, ConnectionParameters, InfoCode, LocalConnectionOptions, Message, ModeName, Parameters, Path,
    Response, TransactionId, TransactionRange, Verb,
};
use crate::mgcp::name::{CallId, ConnectionId, EndpointName, EntityName, NameError, RequestId};
use crate::mgcp::parse::{ParseError, parse_datagram};
use crate::mgcp::transaction::{Answer, Disposition, Incoming, IncomingSettings, Outgoing, OutgoingSettings};

/// A call agent of one gateway.
#[derive(Debug)]
pub struct CallAgent {
    entity: EntityName,
    gateway: Path,
    domain: String,
    outgoing: Outgoing,
    incoming: Incoming,
    /// Datagrams that no transaction repeats: acknowledgements (000), and complaints about noise.
    unrepeated: VecDeque<(SocketAddr, Vec<u8>)>,
    events: VecDeque<Event>,
    counters: Counters,
}

/// How a connection is to be (RFC 3435 §2.3.5, §2.3.6); what is `None` is left to the gateway.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Setup<'a> {
    /// M
    pub mode: Option<Mode>,
    /// L
    pub options: Option<LocalConnectionOptions<'a>>,
    /// The RemoteConnectionDescriptor.
    pub remote: Option<&'a [u8]>,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A command got its final response.
    Answered {
        /// The command's.
        transaction: TransactionId,
        /// The response.
        reply: Reply,
    },
    /// A command got a promise of a response (100, 101).
    Provisional {
        /// The command's.
        transaction: TransactionId,
        /// The promise, which may have I and a description.
        reply: Reply,
    },
    /// Nobody answered a command in time; whether it was executed is not known.
    Lost {
        /// The command's.
        transaction: TransactionId,
    },
    /// The gateway told of endpoints that come or go (RSIP).
    Restart {
        /// Which, perhaps by wildcard.
        endpoint: EndpointName,
        /// RM: `restart`, `forced`, `graceful`...
        method: String,
        /// RD, in seconds; 0 without one.
        delay_s: u32,
        /// E
        reason: Option<ReasonCode>,
    },
    /// The gateway ended connections by itself (DLCX).
    Deleted {
        /// Of which endpoint.
        endpoint: EndpointName,
        /// Of which call.
        call: Option<CallId>,
        /// Which one.
        connection: Option<ConnectionId>,
        /// E
        reason: Option<ReasonCode>,
        /// P
        parameters: Option<ConnectionParameters<'static>>,
    },
    /// The gateway told of events (NTFY).
    Notified {
        /// Of which endpoint.
        endpoint: EndpointName,
        /// X
        request: Option<RequestId>,
        /// O: what was observed, as it came.
        observed: String,
    },
}

/// A response that outlives its datagram.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// How it went.
    pub code: ReturnCode,
    /// The words behind the code.
    pub commentary: String,
    /// I: the connection that was made; the first of several.
    pub connection: Option<ConnectionId>,
    /// Z: the endpoint that was chosen; the first of several.
    pub endpoint: Option<EndpointName>,
    /// P
    pub parameters: Option<ConnectionParameters<'static>>,
    /// The session descriptions, the local one first.
    pub descriptions: Vec<Vec<u8>>,
    /// All of it, as it came; for what is not above.
    pub octets: Vec<u8>,
}

impl Reply {
    fn new(response: &Response<'_>, octets: &[u8]) -> Self {
        let parameters = &response.parameters;
        Self {
            code: response.code,
            commentary: response.commentary.to_owned(),
            connection: first_connection(parameters),
            endpoint: parameters.specific_endpoints.first().cloned(),
            parameters: parameters.connection_parameters.as_ref().map(kept),
            descriptions: response.descriptions.iter().map(|description| description.to_vec()).collect(),
            octets: octets.to_vec(),
        }
    }
}

/// What happened so far that is no event; each only grows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Messages that could not be read.
    pub malformed: u64,
    /// Responses to nothing that is under way.
    pub stray: u64,
    /// Commands of the gateway refused because too many are known.
    pub refused: u64,
    /// Events that nobody fetched and that gave way to newer ones.
    pub events_lost: u64,
}

/// Events that wait to be fetched at most.
const EVENTS_MAX: usize = 65_536;

/// Acknowledgements and complaints that wait to be sent at most; more are dropped like datagrams.
const UNREPEATED_MAX: usize = 4_096;

/// T-HIST and T-MAX as RFC 3435 §3.5.1 and §4.3 suggest them.
const RESPONSE_HISTORY: Duration = Duration::from_secs(30);
const TRANSACTION_MAX: Duration = Duration::from_secs(20);

impl CallAgent {
    /// A call agent that names itself `entity` and sends from `gateway.local` to `gateway.remote`,
    /// the gateway whose endpoints end in `domain`. At most `transactions_max` commands are under
    /// way at a time; `seed` decides transaction ids and the spread of repetitions.
    pub fn new(entity: EntityName, gateway: Path, domain: &str, transactions_max: usize, seed: u64) -> Self {
        let incoming = IncomingSettings {
            response_history: RESPONSE_HISTORY,
            transactions_max,
            provisional_after: None,
        };
        let outgoing = OutgoingSettings {
            transaction_max: TRANSACTION_MAX,
            response_history: RESPONSE_HISTORY,
            transactions_max,
        };
        Self {
            entity,
            gateway,
            domain: domain.to_owned(),
            outgoing: Outgoing::new(outgoing, seed),
            incoming: Incoming::new(incoming),
            unrepeated: VecDeque::new(),
            events: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Makes a connection (CRCX).
    ///
    /// # Errors
    /// [`Full`] if too many commands are under way; so for all commands.
    pub fn crcx(
        &mut self,
        now: Instant,
        endpoint: &EndpointName,
        call: CallId,
        setup: Setup<'_>,
    ) -> Result<TransactionId, Full> {
        let mut command = command(Verb::CreateConnection, endpoint, setup);
        command.parameters.call = Some(call);
        command.parameters.notified_entity = Some(Some(self.entity.clone()));
        self.send(now, command)
    }

    /// Changes a connection (MDCX).
    ///
    /// # Errors
    /// [`Full`]
    pub fn mdcx(
        &mut self,
        now: Instant,
        endpoint: &EndpointName,
        call: CallId,
        connection: ConnectionId,
        setup: Setup<'_>,
    ) -> Result<TransactionId, Full> {
        let mut command = command(Verb::ModifyConnection, endpoint, setup);
        command.parameters.call = Some(call);
        command.parameters.connections = Some(vec![connection]);
        self.send(now, command)
    }

    /// Ends connections (DLCX): one, those of a call, or all of an endpoint.
    ///
    /// # Errors
    /// [`Full`]
    pub fn dlcx(
        &mut self,
        now: Instant,
        endpoint: &EndpointName,
        call: Option<CallId>,
        connection: Option<ConnectionId>,
    ) -> Result<TransactionId, Full> {
        let mut command = command(Verb::DeleteConnection, endpoint, Setup::default());
        command.parameters.call = call;
        command.parameters.connections = connection.map(|connection| vec![connection]);
        self.send(now, command)
    }

    /// Asks about an endpoint (AUEP).
    ///
    /// # Errors
    /// [`Full`]
    pub fn auep(
        &mut self,
        now: Instant,
        endpoint: &EndpointName,
        info: &[InfoCode<'_>],
    ) -> Result<TransactionId, Full> {
        let mut command = command(Verb::AuditEndpoint, endpoint, Setup::default());
        command.parameters.requested_info = Some(info.to_vec());
        self.send(now, command)
    }

    /// Asks about a connection (AUCX).
    ///
    /// # Errors
    /// [`Full`]
    pub fn aucx(
        &mut self,
        now: Instant,
        endpoint: &EndpointName,
        connection: ConnectionId,
        info: &[InfoCode<'_>],
    ) -> Result<TransactionId, Full> {
        let mut command = command(Verb::AuditConnection, endpoint, Setup::default());
        command.parameters.connections = Some(vec![connection]);
        command.parameters.requested_info = Some(info.to_vec());
        self.send(now, command)
    }

    /// Sends any command; its transaction id is replaced.
    ///
    /// # Errors
    /// [`Full`]
    pub fn send(&mut self, now: Instant, command: Command<'_>) -> Result<TransactionId, Full> {
        self.outgoing.send(now, self.gateway, command)
    }

    /// Takes a datagram.
    pub fn handle(&mut self, now: Instant, from: SocketAddr, octets: &[u8]) {
        for part in parse_datagram(octets) {
            match part.message {
                Ok(Message::Command(command)) => self.obey(now, from, &command, part.octets),
                Ok(Message::Response(response)) => self.hear(now, from, &response, part.octets),
                Err(error) => self.complain(from, error),
            }
        }
    }

    /// Repeats commands and gives up on some.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.outgoing.handle_timeout(now);
        self.incoming.handle_timeout(now);
        while let Some(transaction) = self.outgoing.poll_lost() {
            self.tell(Event::Lost { transaction });
        }
    }

    /// A datagram to send, written over what `octets` held, and where it goes.
    pub fn poll_transmit(&mut self, octets: &mut Vec<u8>) -> Option<SocketAddr> {
        if let Some((to, datagram)) = self.unrepeated.pop_front() {
            *octets = datagram;
            return Some(to);
        }
        let path = self.incoming.poll_transmit(octets).or_else(|| self.outgoing.poll_transmit(octets));
        path.map(|path| path.remote)
    }

    /// What happened, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is wanted next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.outgoing.poll_timeout(), self.incoming.poll_timeout()].into_iter().flatten().min()
    }

    /// The full name of an endpoint of the gateway: `ds/e1-1/17` and its domain.
    ///
    /// # Errors
    /// If it cannot be an endpoint's name.
    pub fn endpoint(&self, local: &str) -> Result<EndpointName, NameError> {
        format!("{local}@{}", self.domain).parse()
    }

    /// What happened that is no event.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// A command of the gateway.
    fn obey(&mut self, now: Instant, from: SocketAddr, command: &Command<'_>, octets: &[u8]) {
        let path = Path { remote: from, local: self.gateway.local };
        if let Some(ranges) = &command.parameters.response_ack {
            self.incoming.acknowledged(now, from, ranges);
        }
        let (code, event) = judge(command);
        match self.incoming.receive(now, path, command.transaction, octets) {
            Disposition::New(ticket) => {
                let mut response = Response::new(code, command.transaction);
                if self.incoming.wants_acknowledgement(ticket) {
                    response.parameters.response_ack = Some(Vec::new());
                }
                self.incoming.answer(now, ticket, written(&response));
                if let Some(event) = event {
                    self.tell(event);
                }
            }
            // RFC 3435 §3.5.1: what came before is answered as it was then, and not done again.
            Disposition::Known => {}
            Disposition::Full => {
                self.counters.refused += 1;
                self.post(from, &Response::new(ReturnCode::OVERLOAD, command.transaction));
            }
        }
    }

    /// A response of the gateway.
    fn hear(&mut self, now: Instant, from: SocketAddr, response: &Response<'_>, octets: &[u8]) {
        let transaction = response.transaction;
        if response.code.is_acknowledgement() {
            let ranges = [TransactionRange { from: transaction, to: transaction }];
            return self.incoming.acknowledged(now, from, &ranges);
        }
        let path = Path { remote: from, local: self.gateway.local };
        match self.outgoing.receive(now, path, response) {
            Answer::Final => {
                self.tell(Event::Answered { transaction, reply: Reply::new(response, octets) });
            }
            Answer::Provisional => {
                self.tell(Event::Provisional { transaction, reply: Reply::new(response, octets) });
            }
            Answer::Stray => self.counters.stray += 1,
        }
    }

    /// Octets that make no message: answered where there is somebody to answer.
    fn complain(&mut self, from: SocketAddr, error: ParseError) {
        self.counters.malformed += 1;
        if let Some(transaction) = error.transaction {
            self.post(from, &Response::new(error.code, transaction));
        }
    }

    /// Sends a response once.
    fn post(&mut self, to: SocketAddr, response: &Response<'_>) {
        if self.unrepeated.len() < UNREPEATED_MAX {
            self.unrepeated.push_back((to, written(response)));
        }
    }

    fn tell(&mut self, event: Event) {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
            self.counters.events_lost += 1;
        }
        self.events.push_back(event);
    }
}

fn command<'a>(verb: Verb, endpoint: &EndpointName, setup: Setup<'a>) -> Command<'a> {
    // The transaction id is given when it is sent.
    let mut command = Command::new(verb, TransactionId(1), endpoint.clone());
    command.parameters.mode = setup.mode.map(ModeName::Known);
    command.parameters.local_options = setup.options;
    command.descriptions = setup.remote.into_iter().collect();
    command
}

/// What a gateway's command is answered, and what it tells.
fn judge(command: &Command<'_>) -> (ReturnCode, Option<Event>) {
    let parameters = &command.parameters;
    let endpoint = command.endpoint.clone();
    let reason = parameters.reason.map(|reason| reason.code);
    match command.verb {
        Verb::RestartInProgress => {
            let method = parameters.restart_method.as_ref().map_or("", |method| method.name()).to_owned();
            let delay_s = parameters.restart_delay_s.unwrap_or(0);
            (ReturnCode::OK, Some(Event::Restart { endpoint, method, delay_s, reason }))
        }
        Verb::DeleteConnection => {
            let (call, connection) = (parameters.call, first_connection(parameters));
            let parameters = parameters.connection_parameters.as_ref().map(kept);
            let event = Event::Deleted { endpoint, call, connection, reason, parameters };
            (ReturnCode::DELETED, Some(event))
        }
        Verb::Notify => {
            let request = parameters.request.flatten();
            let observed = parameters.observed_events.unwrap_or_default().to_owned();
            (ReturnCode::OK, Some(Event::Notified { endpoint, request, observed }))
        }
        Verb::EndpointConfiguration
        | Verb::CreateConnection
        | Verb::ModifyConnection
        | Verb::NotificationRequest
        | Verb::AuditEndpoint
        | Verb::AuditConnection
        | Verb::Other(_) => (ReturnCode::UNKNOWN_COMMAND, None),
    }
}

fn first_connection(parameters: &Parameters<'_>) -> Option<ConnectionId> {
    parameters.connections.as_ref().and_then(|connections| connections.first().copied())
}

/// The connection parameters of RFC 3435 itself, without a datagram behind them.
fn kept(parameters: &ConnectionParameters<'_>) -> ConnectionParameters<'static> {
    ConnectionParameters {
        packets_sent: parameters.packets_sent,
        octets_sent: parameters.octets_sent,
        packets_received: parameters.packets_received,
        octets_received: parameters.octets_received,
        packets_lost: parameters.packets_lost,
        jitter_ms: parameters.jitter_ms,
        latency_ms: parameters.latency_ms,
        others: Vec::new(),
    }
}

fn written(response: &Response<'_>) -> Vec<u8> {
    let mut octets = Vec::new();
    response.write_to(&mut octets);
    octets
}
