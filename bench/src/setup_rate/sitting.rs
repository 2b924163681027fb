//! A caller at its sockets.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use control::call_agent::CallAgent;
use control::mgcp::message::Path;
use drivers::time::{Clock, Instant};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeSpec;

use crate::Failure;
use crate::caller::Caller;
use crate::host;
use crate::operator::{Operator, progress};
use crate::target::Target;

/// The sockets of the agents.
pub(super) struct Sockets(Vec<UdpSocket>);

impl Sockets {
    pub(super) fn bind(target: &Target, agents: u8) -> Result<Self, Failure> {
        let bind = |_| {
            let socket = UdpSocket::bind((target.local, 0))?;
            socket.set_nonblocking(true)?;
            if setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
                setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER)?;
            }
            Ok(socket)
        };
        (0..agents).map(bind).collect::<Result<_, Failure>>().map(Self)
    }

    pub(super) fn agents(&self, gateway: SocketAddr, domain: &str) -> Result<Vec<CallAgent>, Failure> {
        let agent = |(socket, n): (&UdpSocket, u64)| {
            let local = socket.local_addr()?;
            let entity = format!("bench@[{}]:{}", local.ip(), local.port()).parse()?;
            // The same transactions each time would be old ones to a gateway that was tested before.
            let seed = Clock.now().as_nanos() ^ n;
            Ok(CallAgent::new(entity, Path { remote: gateway, local }, domain, COMMANDS_MAX, seed))
        };
        self.0.iter().zip(0..).map(agent).collect()
    }

    /// Answers for which their queues had no room.
    pub(super) fn dropped(&self) -> Result<u64, Failure> {
        let own: Vec<_> = self.0.iter().map(UdpSocket::local_addr).collect::<Result<_, _>>()?;
        let Some(first) = own.first() else { return Ok(0) };
        Ok(host::queue_drops(None, first.ip(), |address| own.contains(&address))?)
    }

    /// Sleeps until `until`, or something comes.
    fn wait(&self, now: Instant, until: Instant) -> Result<(), Failure> {
        let mut fds: Vec<_> =
            self.0.iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
        match ppoll(&mut fds, Some(TimeSpec::from(until.since(now))), None) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// A caller at its sockets.
pub(super) struct Sitting {
    pub(super) caller: Caller,
    pub(super) sockets: Sockets,
    octets: Vec<u8>,
    out: Vec<u8>,
}

impl Sitting {
    /// A caller whose agents have these sockets.
    pub(super) fn new(caller: Caller, sockets: Sockets) -> Self {
        Self { caller, sockets, octets: vec![0; DATAGRAM_MAX], out: Vec::new() }
    }

    /// Turns until that time, or until all calls are over, or the gateway has ended.
    pub(super) fn run_until(
        &mut self,
        until: Instant,
        target: &Target,
        operator: &Operator,
    ) -> Result<(), Failure> {
        let clock = Clock;
        let start = clock.now();
        let mut check_at = start;
        loop {
            self.receive(&clock)?;
            let now = clock.now();
            self.caller.turn(now);
            self.transmit()?;
            if now >= until || self.caller.is_over() {
                return Ok(());
            }
            operator.check()?;
            if now >= check_at {
                target.check()?;
                check_at = now + CHECK_EVERY;
            }
            operator.show(now, || progress("calling", now.since(start), until.since(start)));
            let next = self.caller.poll_timeout().map_or(until, |next| next.min(until));
            self.sockets.wait(clock.now(), next)?;
        }
    }

    fn receive(&mut self, clock: &Clock) -> Result<(), Failure> {
        for (index, socket) in self.sockets.0.iter().enumerate() {
            for _ in 0..DATAGRAMS_A_TURN {
                match socket.recv_from(&mut self.octets) {
                    Ok((len, from)) => self.caller.handle(clock.now(), index, from, &self.octets[..len]),
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    fn transmit(&mut self) -> Result<(), Failure> {
        for (index, socket) in self.sockets.0.iter().enumerate() {
            while let Some(to) = self.caller.poll_transmit(index, &mut self.out) {
                match socket.send_to(&self.out, to) {
                    // What finds no room is lost like any datagram, and repeated.
                    Ok(_) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }
}

/// How often it is looked whether the gateway is still there.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// Commands of an agent under way at a time: more than there are endpoints.
const COMMANDS_MAX: usize = 65_536;

/// What a socket's queue may hold, if the host allows it (net.core.rmem_max).
const RECEIVE_BUFFER: usize = 4 << 20;

/// Octets of the longest datagram.
const DATAGRAM_MAX: usize = 65_535;

/// Answers taken in one turn at most, so that calls are begun in between.
const DATAGRAMS_A_TURN: usize = 64;
