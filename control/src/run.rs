//! The loop around the gateway: sockets, wake-ups, signals, the clock. The only I/O of this library.
//!
//! ```text
//!   MGCP sockets ──▶ Datagram ─┐               ┌─▶ poll_transmit ──▶ MGCP sockets
//!   cores' rings ──▶ Report  ──┤               ├─▶ poll_order ─────▶ cores' rings
//!   resolver ──────▶ Resolved ─┼─▶ Gateway ────┼─▶ poll_resolve ───▶ resolver (a thread)
//!   the clock ─────▶ Timeout ──┤               ├─▶ poll_journal ───▶ journal file (a thread)
//!   signals ───────▶ Shutdown ─┘               └─▶ poll_timeout ───▶ how long to sleep
//! ```
//!
//! Beside that it has the gateway's counters written to a file (a thread), or logged.
//!
//! One thread, which never waits but in its poll: what may block (name look-ups, the disk) is left to
//! helper threads behind bounded queues. It decides nothing; the [`Gateway`] does.

mod exposition;
mod icmp;
mod journal_file;
mod listener;
mod metrics_file;
mod reload;
mod resolver;
mod signals;
mod status;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dataplane::link::ControlEnd;
use dataplane::stats::Stats;
use drivers::time::{Clock, Instant};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use tracing::{debug, error, info, warn};

use crate::config::Config;
use crate::gateway::Gateway;
use crate::input::Input;
use crate::topology::CoreId;

use self::icmp::{Icmp, Unreachable};
use self::journal_file::JournalFile;
use self::listener::Listener;
use self::metrics_file::MetricsFile;
use self::reload::Reload;
use self::resolver::Resolver;

pub use self::listener::BindError;
pub use self::reload::Reader;
pub use self::signals::{Signal, Signals};

/// Control, bound to its ports but not running.
pub struct Control {
    poll: Poll,
    waker: Arc<Waker>,
    stop: Arc<AtomicBool>,
    listeners: Vec<Listener>,
    icmp: Vec<Icmp>,
    signals: Option<Signals>,
    resolver: Resolver,
    journal: Option<JournalFile>,
    metrics: Option<MetricsFile>,
    reload: Option<Reload>,
    counters: Counters,
}

/// What control has of a core.
#[derive(Debug)]
pub struct Core {
    /// Its end of the ring pair.
    pub link: ControlEnd,
    /// What the core counts.
    pub stats: Arc<Stats>,
}

/// Why control ended though nobody wanted it to.
#[derive(Debug)]
pub enum RunError {
    /// A core's worker has ended by itself.
    CoreEnded(CoreId),
    /// The kernel refuses to let it sleep.
    Poll(io::Error),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CoreEnded(core) => write!(f, "the worker of core {} has ended by itself", core.0),
            Self::Poll(error) => write!(f, "waiting for events: {error}"),
        }
    }
}

impl std::error::Error for RunError {}

/// Ends a running [`Control`] from another thread.
#[derive(Clone, Debug)]
pub struct StopHandle {
    stop: Arc<AtomicBool>,
    waker: Arc<Waker>,
}

impl StopHandle {
    /// Asks control to end the orderly way, as SIGTERM does.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        wake(&self.waker);
    }
}

/// What the loop has counted; each field only grows.
#[derive(Clone, Copy, Default, Debug)]
struct Counters {
    received: u64,
    sent: u64,
    refused: u64,
    /// What the network has said about datagrams that were sent.
    errors: u64,
    look_ups_dropped: u64,
    journal_dropped: u64,
    metrics_dropped: u64,
}

impl Control {
    /// Takes the MGCP ports and starts the helper threads. With `signals`, SIGTERM and SIGINT end it, and
    /// so does SIGHUP unless it [reloads](Self::reload_from); SIGUSR1 makes it log its counters, and
    /// SIGUSR2 has it end with the last call, or stay after all.
    ///
    /// # Errors
    /// When an address cannot be had; the error names it.
    pub fn bind(config: &Config, signals: Option<Signals>) -> Result<Self, BindError> {
        let listeners = listener::bind_all(&config.mgcp.listen)?;
        let poll = Poll::new().map_err(BindError::host)?;
        let registry = poll.registry();
        for (place, listener) in listeners.iter().enumerate() {
            let fd = listener.as_raw_fd();
            registry
                .register(&mut SourceFd(&fd), Token(place), Interest::READABLE)
                .map_err(BindError::host)?;
        }
        if let Some(signals) = &signals {
            let fd = signals.as_raw_fd();
            registry.register(&mut SourceFd(&fd), SIGNALS, Interest::READABLE).map_err(BindError::host)?;
        }
        let addresses = if config.media.icmp { &config.media.addresses[..] } else { &[] };
        let icmp = addresses.iter().map(|address| Icmp::open(*address)).collect::<io::Result<Vec<_>>>();
        let icmp = icmp.map_err(BindError::icmp)?;
        for socket in &icmp {
            let fd = socket.as_raw_fd();
            registry.register(&mut SourceFd(&fd), ICMP, Interest::READABLE).map_err(BindError::host)?;
        }
        let waker = Arc::new(Waker::new(registry, WAKE).map_err(BindError::host)?);
        let resolver = Resolver::start(waking(&waker)).map_err(BindError::host)?;
        let journal = match &config.journal.file {
            Some(path) => Some(JournalFile::create(path, config.journal.file_octets_max)?),
            None => None,
        };
        let metrics = MetricsFile::start(&config.metrics, Clock.now())?;
        Ok(Self {
            poll,
            waker,
            stop: Arc::default(),
            listeners,
            icmp,
            signals,
            resolver,
            journal,
            metrics,
            reload: None,
            counters: Counters::default(),
        })
    }

    /// Has SIGHUP read `file` again, by `reader`, and take over what is in service; `config` is what the
    /// gateway was made from.
    pub fn reload_from(&mut self, file: PathBuf, reader: Reader, config: Config) {
        self.reload = Some(Reload::new(file, reader, config));
    }

    /// Runs until the gateway has finished, which SIGTERM or a [`StopHandle`] bring about. Then the
    /// cores have been told to stop, and the ports are free.
    ///
    /// # Errors
    /// When a core has ended by itself, after its endpoints' call agents have been told so.
    pub fn run(mut self, gateway: Gateway, cores: Vec<Core>) -> Result<(), RunError> {
        let mut turn = Turn {
            gateway,
            cores,
            inbox: vec![0; DATAGRAM_MAX],
            outbox: Vec::new(),
            ready: vec![true; self.listeners.len()],
            has_icmp: false,
            end_by: None,
            failed: None,
        };
        let mut events = Events::with_capacity(64);
        let clock = Clock;
        let outcome = loop {
            let now = clock.now();
            self.take_in(&mut turn, now);
            self.give_out(&mut turn, now);
            self.write_metrics(&turn, now);
            if turn.gateway.is_finished() || turn.end_by.is_some_and(|end| now >= end) {
                break turn.failed.map_or(Ok(()), |core| Err(RunError::CoreEnded(core)));
            }
            if let Err(error) = self.sleep(&mut turn, &mut events, clock.now()) {
                break Err(RunError::Poll(error));
            }
        };
        if !turn.gateway.is_finished() {
            warn!("not every call agent has acknowledged the end of service");
        }
        for core in &turn.cores {
            core.link.stop();
        }
        self.log_status(&turn);
        info!("control has ended");
        outcome
    }

    /// Hands the gateway what has happened, a bounded part of it a turn.
    fn take_in(&mut self, turn: &mut Turn, now: Instant) {
        turn.take_reports(now);
        turn.watch_cores(now);
        while let Some((host, addresses)) = self.resolver.poll_answer() {
            debug!(host, ?addresses, "looked up");
            turn.gateway.handle(now, Input::Resolved { host, addresses, ttl: resolver::TTL });
        }
        self.read_signals(turn, now);
        for (span, service) in self.reload.as_mut().map(Reload::poll).unwrap_or_default() {
            turn.gateway.handle(now, Input::Service { span, service });
        }
        self.read_sockets(turn, now);
        self.read_icmp(turn, now);
        if turn.gateway.poll_timeout().is_some_and(|at| at <= now) {
            turn.gateway.handle(now, Input::Timeout);
        }
    }

    /// Reads what has come, and what the network has said of what was sent: of each a bounded part.
    fn read_sockets(&mut self, turn: &mut Turn, now: Instant) {
        for (listener, ready) in self.listeners.iter().zip(&mut turn.ready) {
            if !*ready {
                continue;
            }
            for _ in 0..DATAGRAMS_PER_TURN {
                match listener.receive(&mut turn.inbox) {
                    Ok((len, path)) => {
                        self.counters.received += 1;
                        turn.gateway.handle(now, Input::Datagram { path, octets: &turn.inbox[..len] });
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        *ready = false;
                        break;
                    }
                    // An asynchronous error (a closed port's ICMP) does not empty the queue.
                    Err(_) => {}
                }
            }
            // They wake us like datagrams, and count against the same memory. What is left comes with the next.
            for _ in 0..DATAGRAMS_PER_TURN {
                let Ok((len, remote)) = listener.receive_error(&mut turn.inbox) else { break };
                self.counters.errors += 1;
                if let Some(remote) = remote {
                    turn.gateway.handle(now, Input::Undelivered { remote, octets: &turn.inbox[..len] });
                }
            }
        }
    }

    fn read_icmp(&self, turn: &mut Turn, now: Instant) {
        turn.has_icmp = false;
        for socket in &self.icmp {
            for _ in 0..DATAGRAMS_PER_TURN {
                match socket.receive() {
                    Ok(Some(Unreachable { local, remote, code })) => {
                        turn.gateway.handle(now, Input::Unreachable { local, remote, code });
                    }
                    Ok(None) => {}
                    Err(_) => break,
                }
                turn.has_icmp = true;
            }
        }
    }

    fn read_signals(&mut self, turn: &mut Turn, now: Instant) {
        if self.stop.swap(false, Ordering::Acquire) {
            turn.shut_down(now);
        }
        while let Some(signal) = self.signals.as_ref().and_then(Signals::poll) {
            match signal {
                // Twice is for those who do not want to wait.
                Signal::Reload if let Some(reload) = &mut self.reload => reload.begin(waking(&self.waker)),
                Signal::Terminate | Signal::Reload if turn.end_by.is_some() => turn.end_by = Some(now),
                Signal::Terminate | Signal::Reload => {
                    info!("told to end");
                    turn.shut_down(now);
                }
                Signal::Status => self.log_status(turn),
                Signal::Graceful if turn.gateway.is_leaving() => {
                    turn.gateway.handle(now, Input::CancelGraceful);
                }
                Signal::Graceful => turn.gateway.handle(now, Input::Graceful),
            }
        }
    }

    fn log_status(&self, turn: &Turn) {
        let Counters { received, sent, refused, errors, look_ups_dropped, journal_dropped, metrics_dropped } =
            self.counters;
        info!(
            received,
            sent, refused, errors, look_ups_dropped, journal_dropped, metrics_dropped, "MGCP sockets"
        );
        status::log(&turn.gateway, &turn.cores);
    }

    /// Has the counters written, if that is due.
    fn write_metrics(&mut self, turn: &Turn, now: Instant) {
        if let Some(file) = self.metrics.as_mut().filter(|file| file.due() <= now) {
            let is_written = file.write(now, exposition::of(&turn.gateway, &turn.cores));
            self.counters.metrics_dropped += u64::from(!is_written);
        }
    }

    /// Carries out what the gateway wants done.
    fn give_out(&mut self, turn: &mut Turn, now: Instant) {
        while let Some((core, order)) = turn.gateway.poll_order() {
            let link = &mut turn.cores[usize::from(core.0)].link;
            // Nobody would read it, and the gateway is about to end.
            if !link.has_ended() {
                link.send(order);
            }
        }
        while let Some(path) = turn.gateway.poll_transmit(&mut turn.outbox) {
            match listener::send(&self.listeners, path, &turn.outbox) {
                Ok(()) => self.counters.sent += 1,
                Err(error) => {
                    self.counters.refused += 1;
                    debug!(remote = %path.remote, %error, "a datagram could not be sent");
                }
            }
        }
        while let Some(host) = turn.gateway.poll_resolve() {
            if let Err(host) = self.resolver.ask(host) {
                self.counters.look_ups_dropped += 1;
                let ttl = resolver::TTL;
                turn.gateway.handle(now, Input::Resolved { host, addresses: Vec::new(), ttl });
            }
        }
        if let Some(file) = &mut self.journal {
            while let Some(lines) = turn.gateway.poll_journal() {
                self.counters.journal_dropped += u64::from(!file.write(lines));
            }
        }
    }

    /// Sleeps until something happens or is due.
    fn sleep(&mut self, turn: &mut Turn, events: &mut Events, now: Instant) -> io::Result<()> {
        // Every core must be asked, for each one that says yes will wake us.
        let quiet = turn.cores.iter().map(|core| turn.failed.is_some() || core.link.prepare_sleep());
        let busy = quiet.filter(|quiet| !quiet).count() > 0 || turn.ready.contains(&true) || turn.has_icmp;
        let dues = [turn.gateway.poll_timeout(), turn.end_by, self.metrics.as_ref().map(MetricsFile::due)];
        let due = dues.into_iter().flatten().min();
        let timeout = if busy { Some(Duration::ZERO) } else { due.map(|at| at.since(now)) };
        let polled = self.poll.poll(events, timeout);
        for core in &turn.cores {
            core.link.woke();
        }
        match polled {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in events.iter() {
            if let Some(ready) = turn.ready.get_mut(event.token().0) {
                *ready = true;
            }
        }
        Ok(())
    }

    /// What a core's ring calls to wake control.
    pub fn waker(&self) -> Box<dyn Fn() + Send> {
        waking(&self.waker)
    }

    /// What ends it from another thread.
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle { stop: Arc::clone(&self.stop), waker: Arc::clone(&self.waker) }
    }

    /// The addresses it listens on, with the ports the kernel chose where the configuration says 0.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.listeners.iter().map(Listener::address)
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("listeners", &self.listeners).finish_non_exhaustive()
    }
}

/// What changes from turn to turn.
struct Turn {
    gateway: Gateway,
    cores: Vec<Core>,
    /// A datagram on its way in.
    inbox: Vec<u8>,
    /// A datagram on its way out.
    outbox: Vec<u8>,
    /// Which listeners may have something to read. Readiness is told once, so it is kept here.
    ready: Vec<bool>,
    /// Whether there may be more ICMP to read.
    has_icmp: bool,
    /// When a shutdown has taken long enough.
    end_by: Option<Instant>,
    /// The core that has ended by itself.
    failed: Option<CoreId>,
}

impl Turn {
    fn take_reports(&mut self, now: Instant) {
        for (place, core) in self.cores.iter_mut().enumerate() {
            for _ in 0..REPORTS_PER_TURN {
                let Some(report) = core.link.poll_report() else { break };
                self.gateway.handle(now, Input::Report { core: CoreId(place as u16), report });
            }
        }
    }

    /// A worker that ends by itself leaves its endpoints dead: the call agents are told, and we end.
    fn watch_cores(&mut self, now: Instant) {
        if self.failed.is_some() {
            return;
        }
        if let Some(place) = self.cores.iter().position(|core| core.link.has_ended()) {
            error!(core = place, "a core's worker has ended; the gateway goes out of service");
            self.failed = Some(CoreId(place as u16));
            self.shut_down(now);
        }
    }

    fn shut_down(&mut self, now: Instant) {
        if self.end_by.is_none() {
            self.end_by = Some(now + SHUTDOWN_MAX);
            self.gateway.handle(now, Input::Shutdown);
        }
    }
}

fn waking(waker: &Arc<Waker>) -> Box<dyn Fn() + Send> {
    let waker = Arc::clone(waker);
    Box::new(move || wake(&waker))
}

fn wake(waker: &Waker) {
    if let Err(error) = waker.wake() {
        error!(%error, "control cannot be woken");
    }
}

/// The largest datagram there is. MGCP's own limit is lower (RFC 3435 §3.5.4) and the parser's business.
const DATAGRAM_MAX: usize = 65_535;
/// So that reports, timers and signals have their turn in a flood of datagrams.
const DATAGRAMS_PER_TURN: usize = 64;
/// So that datagrams have their turn in a flood of reports.
const REPORTS_PER_TURN: usize = 1_024;
/// How long the goodbyes may take.
const SHUTDOWN_MAX: Duration = Duration::from_millis(600);

const WAKE: Token = Token(usize::MAX - 2);
const SIGNALS: Token = Token(usize::MAX - 3);
const ICMP: Token = Token(usize::MAX - 4);

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::thread::{self, JoinHandle};

    use dataplane::link::{self, CoreEnd};

    use super::*;
    use crate::topology::Topology;

    /// A running control for one core, whose end is the test's.
    struct Running {
        address: SocketAddr,
        stop: StopHandle,
        core: CoreEnd,
        thread: JoinHandle<Result<(), RunError>>,
    }

    fn start() -> Running {
        let mut config = Config::default();
        config.mgcp.listen = vec!["127.0.0.1:0".parse().unwrap()];
        let topology = Topology::new(&config).unwrap();
        let control = Control::bind(&config, None).unwrap();
        let address = control.addresses().next().unwrap();
        let stop = control.stop_handle();
        let (link, core) = link::pair(&topology.limits(CoreId(0), &config.media.jitter), control.waker());
        let gateway = Gateway::new(&config, &topology, 1, Clock.epoch(), Clock.now());
        let cores = vec![Core { link, stats: Arc::default() }];
        let thread = thread::spawn(|| control.run(gateway, cores));
        Running { address, stop, core, thread }
    }

    #[test]
    fn a_command_is_answered_and_the_port_is_free_after_a_stop() {
        let Running { address, stop, core, thread } = start();
        let agent = UdpSocket::bind("127.0.0.1:0").unwrap();
        agent.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        agent.send_to(b"AUEP 1 ds/e1-1/1@tollgate MGCP 1.0\r\n", address).unwrap();
        let mut octets = [0; 1_024];
        let (len, from) = agent.recv_from(&mut octets).unwrap();
        assert!(octets[..len].starts_with(b"200 1"), "{}", String::from_utf8_lossy(&octets[..len]));
        assert_eq!(from, address);
        stop.stop();
        assert!(thread.join().unwrap().is_ok());
        assert!(core.is_stopped());
        UdpSocket::bind(address).unwrap();
    }

    #[test]
    fn a_core_that_ends_by_itself_ends_the_gateway_with_an_error() {
        let Running { core, thread, stop: _stop, .. } = start();
        drop(core);
        assert!(matches!(thread.join().unwrap(), Err(RunError::CoreEnded(CoreId(0)))));
    }
}
