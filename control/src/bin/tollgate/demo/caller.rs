//! The call agent's socket and clock: what drives [`Calls`] with datagrams, signals and time.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::Duration;

use control::call_agent::CallAgent;
use control::call_agent::call::{Calls, CallsEvent};
use control::mgcp::message::Path;
use control::run::{Signal, Signals};
use drivers::time::{Clock, Instant};
use mio::net::UdpSocket;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use crate::Failure;

const SOCKET: Token = Token(0);
const SIGNALS: Token = Token(1);

/// The commands under way at a time: what a gateway answers within a tick or two.
const TRANSACTIONS_MAX: usize = 64;

/// A call agent with a socket of its own.
pub(super) struct Caller {
    /// Its calls.
    pub(super) calls: Calls,
    socket: UdpSocket,
    signals: Signals,
    poll: Poll,
    events: Events,
    octets: Vec<u8>,
    interrupted: bool,
}

impl Caller {
    /// A call agent for a gateway of this name at `gateway`, for so many calls.
    ///
    /// # Errors
    /// What the host says.
    pub(super) fn new(
        gateway: SocketAddr,
        domain: &str,
        calls_max: usize,
        seed: u64,
        signals: Signals,
    ) -> Result<Self, Failure> {
        let mut socket = UdpSocket::bind(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0))?;
        let local = socket.local_addr()?;
        let poll = Poll::new()?;
        poll.registry().register(&mut socket, SOCKET, Interest::READABLE)?;
        poll.registry().register(&mut SourceFd(&signals.as_raw_fd()), SIGNALS, Interest::READABLE)?;
        let entity = format!("demo@[{}]:{}", local.ip(), local.port()).parse()?;
        let path = Path { remote: gateway, local };
        let agent = CallAgent::new(entity, path, domain, TRANSACTIONS_MAX, seed);
        Ok(Self {
            calls: Calls::new(agent, calls_max, seed as u32),
            socket,
            signals,
            poll,
            events: Events::with_capacity(8),
            octets: vec![0; 65_535],
            interrupted: false,
        })
    }

    /// Goes on until `until`, something happened to a call, or somebody interrupts.
    ///
    /// # Errors
    /// What the host says.
    pub(super) fn wait(&mut self, until: Instant) -> io::Result<Option<CallsEvent>> {
        loop {
            let now = Clock.now();
            self.exchange(now);
            let event = self.calls.poll_event();
            if event.is_some() || now >= until || self.interrupted {
                return Ok(event);
            }
            let next = self.calls.poll_timeout().map_or(until, |at| at.min(until));
            // A poll counts whole milliseconds and may end a little early.
            let timeout = next.since(now) + Duration::from_millis(1);
            match self.poll.poll(&mut self.events, Some(timeout)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
    }

    /// Sends and receives what there is.
    fn exchange(&mut self, now: Instant) {
        self.interrupted |= self.signals.poll() == Some(Signal::Terminate);
        // Unread datagrams end with an error, and any other error is as good a reason to stop.
        while let Ok((len, from)) = self.socket.recv_from(&mut self.octets) {
            self.calls.handle(now, from, &self.octets[..len]);
        }
        if self.calls.poll_timeout().is_some_and(|at| at <= now) {
            self.calls.handle_timeout(now);
        }
        let mut datagram = Vec::new();
        while let Some(to) = self.calls.poll_transmit(&mut datagram) {
            // What is not sent is not answered, and so sent again.
            let _ = self.socket.send_to(&datagram, to);
        }
    }

    /// Whether somebody wants an end.
    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted
    }

    /// Goes on though somebody wanted an end: there is a last thing to do.
    pub(super) fn go_on(&mut self) {
        self.interrupted = false;
    }
}
