//! The call agent's side over a real socket: one connection for each DS0.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::num::NonZeroU8;

use control::call_agent::{CallAgent, Counters, Event, Reply, Setup};
use control::mgcp::code::ReturnCode;
use control::mgcp::message::{ConnectionParameters, LocalConnectionOptions, Path, Range, TransactionId};
use control::mgcp::name::{CallId, ConnectionId, EndpointName};
use control::sdp::parse::Connection;
use control::sdp::{Description, LocalDescription};
use dataplane::link::{Codec, Format, Formats};
use dataplane::mode::Mode;
use drivers::line::Law;
use drivers::time::Instant;

use crate::Failure;
use crate::target::{GatewayFault, is_wild};

/// A call agent, its socket and its calls.
pub(crate) struct Agent {
    socket: UdpSocket,
    agent: CallAgent,
    terms: Terms,
    calls: Vec<Call>,
    /// Calls whose command is still to be sent, in order.
    waiting: VecDeque<usize>,
    under_way: HashMap<TransactionId, usize>,
    /// Calls that have come up, until they are polled.
    up: VecDeque<(usize, SocketAddr)>,
    refusals: Refusals,
    stage: Stage,
    outgoing: Vec<u8>,
    incoming: Box<[u8]>,
}

/// What every connection asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Terms {
    /// The law: PCMA or PCMU.
    pub(crate) law: Law,
    /// The packetization period.
    pub(crate) ptime_ms: NonZeroU8,
}

/// Connections that were refused, by code, with what the gateway said first.
pub(crate) type Refusals = BTreeMap<ReturnCode, (u64, String)>;

/// One DS0's call.
#[derive(Debug)]
pub(crate) struct Call {
    /// As it is asked for; once it is known, the one that the gateway chose.
    endpoint: EndpointName,
    /// Where we want its RTP.
    local: SocketAddr,
    connection: Option<ConnectionId>,
    /// What the gateway had seen when it was over.
    pub(crate) parameters: Option<ConnectionParameters<'static>>,
}

/// What is asked at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// AUEP: is the gateway there, and this endpoint?
    Audit,
    /// CRCX
    Connect,
    /// DLCX
    Disconnect,
}

/// Commands under way at a time: a gateway carries out an order a tick or so, and loses nothing of as
/// many datagrams in a socket's queue.
const UNDER_WAY_MAX: usize = 128;

/// RFC 3435 §2.4: unknown or unsupported command.
const UNSUPPORTED: ReturnCode = ReturnCode(504);

/// Octets of the longest datagram.
const DATAGRAM_MAX: usize = 65_535;

impl Agent {
    /// A call agent at `local`, of the gateway at `gateway` whose endpoints end in `domain`.
    ///
    /// # Errors
    /// What the host says.
    pub(crate) fn bind(
        local: IpAddr,
        gateway: SocketAddr,
        domain: &str,
        terms: Terms,
    ) -> Result<Self, Failure> {
        let socket = UdpSocket::bind((local, 0))?;
        socket.set_nonblocking(true)?;
        let local = socket.local_addr()?;
        let entity = format!("bench@[{}]:{}", local.ip(), local.port()).parse()?;
        let path = Path { remote: gateway, local };
        // The same transactions each time would be old ones to a gateway that was tested before.
        let seed = u64::from(std::process::id());
        Ok(Self {
            socket,
            agent: CallAgent::new(entity, path, domain, UNDER_WAY_MAX, seed),
            terms,
            calls: Vec::new(),
            waiting: VecDeque::new(),
            under_way: HashMap::new(),
            up: VecDeque::new(),
            refusals: Refusals::new(),
            stage: Stage::Audit,
            outgoing: Vec::new(),
            incoming: vec![0; DATAGRAM_MAX].into(),
        })
    }

    /// One more call, on the endpoint of this local name (`ds/e1-1/17`), whose RTP is to come to `local`.
    ///
    /// # Errors
    /// If that is no name.
    pub(crate) fn add(&mut self, endpoint: &str, local: SocketAddr) -> Result<(), Failure> {
        let endpoint = self.agent.endpoint(endpoint)?;
        self.calls.push(Call { endpoint, local, connection: None, parameters: None });
        Ok(())
    }

    /// Asks for the last call's endpoint: whoever has that has all. One that the gateway is to choose cannot be
    /// asked for.
    pub(crate) fn audit(&mut self) {
        self.stage = Stage::Audit;
        let last = self.calls.len().checked_sub(1);
        self.waiting =
            last.filter(|&last| !is_wild(&self.calls[last].endpoint.to_string())).into_iter().collect();
    }

    /// Begins to make all connections.
    pub(crate) fn connect(&mut self) {
        self.stage = Stage::Connect;
        self.waiting = (0..self.calls.len()).collect();
    }

    /// Begins to end all connections.
    pub(crate) fn disconnect(&mut self) {
        self.stage = Stage::Disconnect;
        self.waiting = (0..self.calls.len()).filter(|&call| self.calls[call].connection.is_some()).collect();
    }

    /// Takes what has come and sends what is due.
    ///
    /// # Errors
    /// The socket's, or the gateway's refusal.
    pub(crate) fn turn(&mut self, now: Instant) -> Result<(), Failure> {
        self.receive(now)?;
        if self.agent.poll_timeout().is_some_and(|at| at <= now) {
            self.agent.handle_timeout(now);
        }
        while let Some(event) = self.agent.poll_event() {
            match event {
                Event::Answered { transaction, reply } => self.answered(transaction, reply)?,
                Event::Lost { transaction } => self.lost(transaction)?,
                Event::Provisional { .. }
                | Event::Restart { .. }
                | Event::Deleted { .. }
                | Event::Notified { .. } => {}
            }
        }
        self.command(now)?;
        self.transmit()
    }

    /// The place of a call that has come up, and where the gateway wants its RTP.
    pub(crate) fn poll_up(&mut self) -> Option<(usize, SocketAddr)> {
        self.up.pop_front()
    }

    /// Whether all that was begun has been answered.
    pub(crate) fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// The calls, in the order they were added.
    pub(crate) fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Connections that were refused.
    pub(crate) fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// What happened to messages.
    pub(crate) fn counters(&self) -> Counters {
        self.agent.counters()
    }

    fn receive(&mut self, now: Instant) -> Result<(), Failure> {
        loop {
            match self.socket.recv_from(&mut self.incoming) {
                Ok((len, from)) => self.agent.handle(now, from, &self.incoming[..len]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // The gateway is not there yet; the command will be repeated.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn transmit(&mut self) -> Result<(), Failure> {
        while let Some(to) = self.agent.poll_transmit(&mut self.outgoing) {
            match self.socket.send_to(&self.outgoing, to) {
                // What finds no room is lost like any datagram, and repeated.
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Sends as many commands as may be under way.
    fn command(&mut self, now: Instant) -> Result<(), Failure> {
        while self.under_way.len() < UNDER_WAY_MAX {
            let Some(index) = self.waiting.pop_front() else { break };
            let call = &self.calls[index];
            let id = CallId::from(index as u64 + 1);
            let sent = match self.stage {
                Stage::Audit => self.agent.auep(now, &call.endpoint, &[]),
                Stage::Connect => {
                    let ptime_ms = u32::from(self.terms.ptime_ms.get());
                    let name = self.terms.format().codec.to_string();
                    let options = LocalConnectionOptions {
                        codecs: vec![&name],
                        packetization_ms: Some(Range { from: ptime_ms, to: ptime_ms }),
                        ..LocalConnectionOptions::default()
                    };
                    let remote = self.terms.description(index as u64, call.local);
                    let setup = Setup {
                        mode: Some(Mode::SendReceive),
                        options: Some(options),
                        remote: Some(&remote),
                    };
                    self.agent.crcx(now, &call.endpoint, id, setup)
                }
                Stage::Disconnect => self.agent.dlcx(now, &call.endpoint, Some(id), call.connection),
            };
            let transaction = sent.map_err(|_| "more commands are under way than there may be")?;
            self.under_way.insert(transaction, index);
        }
        Ok(())
    }

    fn lost(&mut self, transaction: TransactionId) -> Result<(), Failure> {
        let Some(index) = self.under_way.remove(&transaction) else { return Ok(()) };
        let nobody = format!("nobody answers for {}", self.calls[index].endpoint);
        match self.stage {
            Stage::Audit => Err(nobody.into()),
            Stage::Connect => Err(GatewayFault(nobody).into()),
            // It is gone: to ask it for the others as well would only take longer.
            Stage::Disconnect => {
                self.waiting.clear();
                Ok(())
            }
        }
    }

    fn answered(&mut self, transaction: TransactionId, reply: Reply) -> Result<(), Failure> {
        let Some(index) = self.under_way.remove(&transaction) else { return Ok(()) };
        let call = &mut self.calls[index];
        let is_success = reply.code.is_success();
        match self.stage {
            // One that has no audits is there, too.
            Stage::Audit if !is_success && reply.code != UNSUPPORTED => {
                let (endpoint, code) = (&call.endpoint, reply.code.0);
                return Err(format!("the gateway has no {endpoint}: {code} {}", reply.commentary).into());
            }
            Stage::Audit => {}
            // One that is refused is not up: that shows in the verdict.
            Stage::Connect if !is_success => {
                self.refusals.entry(reply.code).or_insert((0, reply.commentary)).0 += 1;
            }
            Stage::Connect => {
                call.connection = reply.connection;
                call.endpoint = reply.endpoint.unwrap_or_else(|| call.endpoint.clone());
                let peer = reply.descriptions.first().and_then(|description| rtp_address(description));
                match peer.filter(|_| call.connection.is_some()) {
                    Some(peer) => self.up.push_back((index, peer)),
                    None => {
                        let none = "but no connection, or no address for its RTP".to_owned();
                        self.refusals.entry(reply.code).or_insert((0, none)).0 += 1;
                    }
                }
            }
            Stage::Disconnect => call.parameters = reply.parameters,
        }
        Ok(())
    }
}

impl Terms {
    /// What packets carry.
    pub(crate) fn format(self) -> Format {
        format(self.law)
    }

    /// Our own session description.
    pub(crate) fn description(self, session_id: u64, rtp: SocketAddr) -> Vec<u8> {
        let formats = Formats::new([self.format()]);
        let mut octets = Vec::new();
        LocalDescription { session_id, version: 0, rtp, formats, events: None, ptime_ms: self.ptime_ms }
            .emit(&mut octets);
        octets
    }
}

/// G.711 in this law, under its static payload type (RFC 3551 §6).
pub(crate) fn format(law: Law) -> Format {
    let payload_type = match law {
        Law::Mu => 0,
        Law::A => 8,
    };
    Format { payload_type, codec: Codec::G711(law) }
}

/// Where a description wants RTP.
fn rtp_address(description: &[u8]) -> Option<SocketAddr> {
    let description = Description::parse(description).ok()?;
    let media = description.media.iter().find(|media| media.is_audio())?;
    match description.connection_of(media)? {
        Connection::Address(address) => Some(SocketAddr::new(address, media.port?)),
        Connection::Other(_) => None,
    }
}

/// Our own address on the way to `gateway`.
///
/// # Errors
/// If there is no way.
pub(crate) fn address_towards(gateway: SocketAddr) -> io::Result<IpAddr> {
    let any: SocketAddr = if gateway.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any)?;
    // Sends nothing: the kernel looks up the route.
    socket.connect(gateway)?;
    Ok(socket.local_addr()?.ip())
}
