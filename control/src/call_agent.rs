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
use crate::mgcp::transaction::{
    Answer, Disposition, Incoming, IncomingSettings, Outgoing, OutgoingSettings, PaceSettings,
};

/// A call agent of one gateway.
#[derive(Debug)]
pub struct CallAgent {
    entity: EntityName,
    gateway: Path,
    domain: String,
    outgoing: Outgoing,
    incoming: Incoming<()>,
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
    /// All of it but its last line's end, as it came; for what is not above.
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
    /// Commands sent again.
    pub repeated: u64,
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
            secret: seed,
        };
        let outgoing = OutgoingSettings {
            transaction_max: TRANSACTION_MAX,
            response_history: RESPONSE_HISTORY,
            // A gateway has one way here, and T-MAX ends the repetitions.
            suspicion: u32::MAX - 1,
            disconnection: u32::MAX,
            transactions_max,
            pace: PaceSettings::NONE,
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
        self.outgoing.send(now, vec![self.gateway], command)
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
        let response = self.incoming.poll_transmit(octets).map(|(path, ())| path);
        let path = response.or_else(|| self.outgoing.poll_transmit(octets));
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
        let outgoing = self.outgoing.counters();
        Counters { repeated: outgoing.repeated, stray: outgoing.strays, ..self.counters }
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
                self.incoming.answer(now, ticket, response.to_octets());
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
            Answer::Stray => {}
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
            self.unrepeated.push_back((to, response.to_octets()));
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

#[cfg(test)]
mod tests {
    use super::*;

    const GATEWAY: &str = "192.0.2.1:2427";

    fn agent() -> CallAgent {
        let entity = "ca@[192.0.2.9]:2727".parse().expect("an entity");
        let path = Path { remote: address(GATEWAY), local: address("192.0.2.9:2727") };
        CallAgent::new(entity, path, "gw.example", 4, 1)
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    fn second(n: u64) -> Instant {
        Instant::from_nanos(n * 1_000_000_000)
    }

    fn transmitted(agent: &mut CallAgent) -> Vec<String> {
        let mut datagrams = Vec::new();
        let mut octets = Vec::new();
        while let Some(to) = agent.poll_transmit(&mut octets) {
            assert_eq!(to, address(GATEWAY));
            datagrams.push(String::from_utf8(octets.clone()).expect("it is text"));
        }
        datagrams
    }

    fn events(agent: &mut CallAgent) -> Vec<Event> {
        std::iter::from_fn(|| agent.poll_event()).collect()
    }

    fn handle(agent: &mut CallAgent, text: &str) {
        agent.handle(second(1), address(GATEWAY), text.as_bytes());
    }

    fn call() -> CallId {
        CallId::from(0xC0FFEE)
    }

    #[test]
    fn crcx_has_all_that_was_asked() {
        let mut agent = agent();
        let endpoint = agent.endpoint("ds/e1-1/17").expect("a name");
        let options = LocalConnectionOptions { codecs: vec!["PCMA"], ..LocalConnectionOptions::default() };
        let setup = Setup {
            mode: Some(Mode::SendReceive),
            options: Some(options),
            remote: Some(b"v=0\r\nc=IN IP4 192.0.2.7\r\nm=audio 4000 RTP/AVP 8\r\n"),
        };
        let id = agent.crcx(second(0), &endpoint, call(), setup).expect("there is room");
        let [text] = &transmitted(&mut agent)[..] else { panic!("one datagram") };
        assert!(text.starts_with(&format!("CRCX {} ds/e1-1/17@gw.example MGCP 1.0\r\n", id.0)), "{text}");
        for line in ["C: 00C0FFEE", "M: sendrecv", "L: a:PCMA", "N: ca@[192.0.2.9]:2727"] {
            assert!(text.contains(&format!("\r\n{line}\r\n")), "{line} in {text}");
        }
        assert!(text.ends_with("\r\n\r\nv=0\r\nc=IN IP4 192.0.2.7\r\nm=audio 4000 RTP/AVP 8\r\n"), "{text}");
    }

    #[test]
    fn a_reply_has_what_the_gateway_said() {
        let mut agent = agent();
        let endpoint = agent.endpoint("ds/e1-1/$").expect("a name");
        let transaction = agent.crcx(second(0), &endpoint, call(), Setup::default()).expect("there is room");
        let id = transaction.0;
        handle(&mut agent, &format!("100 {id} Executing\r\nI: 1EB2943E\r\n"));
        let text = format!(
            "200 {id} OK\r\nI: 1EB2943E\r\nZ: ds/e1-1/5@gw.example\r\nP: PS=7, JI=3\r\nX-Q: 1\r\n\r\nv=0\r\ns=-\r\n"
        );
        handle(&mut agent, &text);
        let [Event::Provisional { reply: early, .. }, Event::Answered { transaction: answered, reply }] =
            &events(&mut agent)[..]
        else {
            panic!("a promise and an answer")
        };
        assert_eq!((*answered, reply.code, &reply.commentary[..]), (transaction, ReturnCode::OK, "OK"));
        assert_eq!(early.connection, reply.connection);
        assert_eq!(reply.endpoint.as_ref().map(ToString::to_string).as_deref(), Some("ds/e1-1/5@gw.example"));
        let parameters = reply.parameters.as_ref().expect("P");
        assert_eq!((parameters.packets_sent, parameters.jitter_ms), (Some(7), Some(3)));
        assert_eq!(reply.descriptions, [b"v=0\r\ns=-\r\n"]);
        assert_eq!(reply.octets, text.trim_ascii_end().as_bytes());
    }

    #[test]
    fn commands_are_repeated_and_then_lost() {
        let mut agent = agent();
        let endpoint = agent.endpoint("ds/e1-1/1").expect("a name");
        let transaction = agent.dlcx(second(0), &endpoint, None, None).expect("there is room");
        let mut sent = transmitted(&mut agent);
        while let Some(at) = agent.poll_timeout() {
            agent.handle_timeout(at);
            sent.extend(transmitted(&mut agent));
        }
        assert!(sent.len() > 3 && sent.iter().all(|datagram| *datagram == sent[0]), "{sent:?}");
        assert_eq!(events(&mut agent), [Event::Lost { transaction }]);
    }

    #[test]
    fn a_repeated_rsip_is_told_once_and_answered_each_time() {
        let mut agent = agent();
        let text = "RSIP 7 *@gw.example MGCP 1.0\r\nRM: restart\r\nRD: 3\r\nE: 901 out\r\n";
        handle(&mut agent, text);
        handle(&mut agent, text);
        assert_eq!(transmitted(&mut agent), ["200 7 OK\r\n", "200 7 OK\r\n"]);
        let [Event::Restart { endpoint, method, delay_s, reason }] = &events(&mut agent)[..] else {
            panic!("one restart")
        };
        assert_eq!((&endpoint.to_string()[..], &method[..], *delay_s), ("*@gw.example", "restart", 3));
        assert_eq!(*reason, Some(ReasonCode::OUT_OF_SERVICE));
    }

    #[test]
    fn the_gateways_own_dlcx_is_answered_250() {
        let mut agent = agent();
        handle(
            &mut agent,
            "DLCX 8 ds/e1-1/1@gw.example MGCP 1.0\r\nC: C0FFEE\r\nI: A1\r\nE: 900 broken\r\nP: PR=5, PL=1\r\n",
        );
        assert_eq!(transmitted(&mut agent), ["250 8 OK\r\n"]);
        let [Event::Deleted { call, connection, reason, parameters, .. }] = &events(&mut agent)[..] else {
            panic!("one deletion")
        };
        assert_eq!(
            (call.map(|c| c.to_string()), connection.map(|c| c.to_string())),
            (Some("C0FFEE".to_owned()), Some("A1".to_owned()))
        );
        assert_eq!(
            (*reason, parameters.as_ref().and_then(|p| p.packets_lost)),
            (Some(ReasonCode::MALFUNCTION), Some(1))
        );
    }

    #[test]
    fn notifications_are_told_with_their_request() {
        let mut agent = agent();
        handle(&mut agent, "NTFY 9 ds/e1-1/1@gw.example MGCP 1.0\r\nX: 1F\r\nO: D/5\r\n");
        assert_eq!(transmitted(&mut agent), ["200 9 OK\r\n"]);
        let [Event::Notified { request, observed, .. }] = &events(&mut agent)[..] else { panic!("one") };
        assert_eq!((request.map(|x| x.to_string()).as_deref(), &observed[..]), (Some("1F"), "D/5"));
    }

    #[test]
    fn other_commands_are_refused_and_noise_is_counted() {
        let mut agent = agent();
        handle(&mut agent, "AUEP 10 ds/e1-1/1@gw.example MGCP 1.0\r\n");
        assert!(transmitted(&mut agent)[0].starts_with("504 10 "));
        handle(&mut agent, "\u{1}\u{2}");
        handle(&mut agent, "200 4711 OK\r\n");
        assert_eq!(agent.counters(), Counters { malformed: 1, stray: 1, ..Counters::default() });
        assert_eq!(events(&mut agent), []);
    }

    /// RFC 3435 §3.5.6.
    #[test]
    fn an_acknowledgement_is_sent_each_time_it_is_asked_for() {
        let mut agent = agent();
        let endpoint = agent.endpoint("ds/e1-1/1").expect("a name");
        let TransactionId(id) = agent.auep(second(0), &endpoint, &[]).expect("there is room");
        transmitted(&mut agent);
        let text = format!("200 {id} OK\r\nK:\r\n");
        handle(&mut agent, &text);
        handle(&mut agent, &text);
        let sent = transmitted(&mut agent);
        assert_eq!(sent.len(), 2);
        assert!(sent.iter().all(|datagram| datagram.starts_with(&format!("000 {id}"))), "{sent:?}");
        assert_eq!(events(&mut agent).len(), 1);
    }

    #[test]
    fn no_more_commands_than_there_is_room_for() {
        let mut agent = agent();
        let endpoint = agent.endpoint("ds/e1-1/1").expect("a name");
        let sent: Vec<_> =
            (0..5).map(|_| agent.aucx(second(0), &endpoint, ConnectionId::from(1), &[])).collect();
        assert!(sent[..4].iter().all(Result::is_ok));
        assert_eq!(sent[4], Err(Full));
    }
}
