//! Puts a gateway together from its configuration: all or nothing.
//!
//! First everything is bound and made ([`Assembly::new`]); then the workers start, and only when
//! each of them is ready to tick, control ([`Started::run`]).

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use control::config::{Config, MediaDriver};
use control::gateway::Gateway;
use control::run::{Control, Core as CoreLink, RunError, Signals, StopHandle};
use control::topology::{CoreId, Topology};
use dataplane::link::{self, ControlEnd};
use dataplane::stats::Stats;
use dataplane::worker::{self, Carried, Parts, Recipe, Running, Summary};
use drivers::cpu;
use drivers::net::mmsg::MmsgSockets;
use drivers::net::uring::UringSockets;
use drivers::net::xdp::{Interface, XdpSockets};
use drivers::net::{BindError, BoundSockets, Dscp, Ports, RtpSockets, Settings};
use drivers::span::Span;
use drivers::time::{Clock, Epoch};
use nix::errno::Errno;
use nix::poll::poll;
use rand::TryRng;
use rand::rngs::SysRng;
use tracing::info;

use crate::Failure;

/// A gateway with all its ports, of which nothing runs yet.
pub(crate) struct Assembly {
    config: Config,
    topology: Topology,
    control: Control,
    cores: Vec<Core>,
    links: Vec<ControlEnd>,
    media: Media,
    epoch: Epoch,
}

/// What the cores' sockets are made of.
enum Media {
    Uring,
    Mmsg,
    Xdp(Arc<Interface>),
}

impl Media {
    /// # Errors
    /// If the interface cannot be used.
    fn new(driver: &MediaDriver, cores: &[Ports]) -> Result<Self, Failure> {
        match driver {
            MediaDriver::Uring => Ok(Self::Uring),
            MediaDriver::Mmsg => Ok(Self::Mmsg),
            MediaDriver::Xdp { interface, mode } => Interface::attach(interface.as_deref(), *mode, cores)
                .map(Self::Xdp)
                .map_err(|error| format!("RTP (media.driver = \"xdp\"): {error}").into()),
        }
    }
}

/// One core's part of it.
struct Core {
    cpu: Option<usize>,
    parts: Parts,
    sockets: BoundSockets,
}

impl Assembly {
    /// Binds every port and makes every table. `spans` are the configuration's, in its order. With
    /// `signals`, they end the gateway.
    ///
    /// # Errors
    /// Whatever stands in the way; nothing is left bound then.
    pub(crate) fn new(
        config: &Config,
        spans: Vec<Box<dyn Span>>,
        signals: Option<Signals>,
    ) -> Result<Self, Failure> {
        if config.host.lock_memory {
            cpu::lock_memory().map_err(|error| {
                format!(
                    "memory cannot be locked: {error} (LimitMEMLOCK=infinity of its service); \
                     or set host.lock_memory = false"
                )
            })?;
        }
        let topology = Topology::new(config)?;
        let control = Control::bind(config, signals)?;
        let mut config = config.clone();
        config.mgcp.listen = control.addresses().collect();
        let epoch = Clock.epoch();
        let mut by_core: Vec<Vec<Carried>> = topology.ports.iter().map(|_| Vec::new()).collect();
        for (place, span) in topology.spans.iter().zip(spans) {
            let echo = config.echo(place.span);
            by_core[usize::from(place.core.0)].push(Carried { id: place.span, echo, span });
        }
        let (mut cores, mut links) = (Vec::new(), Vec::new());
        for (id, ((ports, spans), core)) in (0..).zip(topology.ports.iter().zip(by_core).zip(&config.cores)) {
            let limits = topology.limits(CoreId(id), &config.media.jitter);
            let (control_end, link) = link::pair(&limits, control.waker());
            let settings = Settings::for_slots(ports.slots());
            let sockets = bind_media(ports, config.media.dscp, settings)?;
            let stats = Arc::new(Stats::default());
            let parts = Parts { limits, spans, seed: seed()?, epoch, stats, link };
            cores.push(Core { cpu: core.cpu, parts, sockets });
            links.push(control_end);
        }
        let media = Media::new(&config.media.driver, &topology.ports)?;
        Ok(Self { config, topology, control, cores, links, media, epoch })
    }

    /// Has SIGHUP read what is in service from the configuration's file again.
    pub(crate) fn reload_from(&mut self, file: &Path) {
        let reader = |file: &Path| crate::read(file).map_err(|error| error.to_string());
        self.control.reload_from(file.to_owned(), reader, self.config.clone());
    }

    /// What it was made from, with the addresses it has got.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// The first address that it takes MGCP on.
    pub(crate) fn mgcp_address(&self) -> SocketAddr {
        self.config.mgcp.listen[0]
    }

    /// Starts the workers. They tick, but nobody can order them anything yet.
    ///
    /// # Errors
    /// What one of them lacks; the others have ended again then.
    pub(crate) fn start(self) -> Result<Started, Failure> {
        match &self.media {
            Media::Uring => self.start_with(|bound, _| UringSockets::new(bound)),
            Media::Mmsg => self.start_with(|bound, _| MmsgSockets::new(bound)),
            Media::Xdp(interface) => {
                let (making, interface) = (Arc::clone(interface), Arc::clone(interface));
                let make = move |bound, core: CoreId| XdpSockets::new(bound, &making, usize::from(core.0));
                let started = self.start_with(make)?;
                let (name, queues, mode) = (interface.name(), interface.queues(), interface.mode().name());
                info!(interface = name, queues, mode, "media go past the kernel");
                Ok(started)
            }
        }
    }

    /// As [`start`](Self::start), with other sockets made around each core's own.
    pub(crate) fn start_with<N, F>(self, make: F) -> Result<Started, Failure>
    where
        N: RtpSockets,
        F: FnOnce(BoundSockets, CoreId) -> io::Result<N> + Clone + Send + 'static,
    {
        let Self { config, topology, control, cores, links, epoch, .. } = self;
        let gateway = Gateway::new(&config, &topology, seed()?, epoch, Clock.now());
        let real_time_priority = config.host.real_time_priority;
        let (mut workers, mut stats) = (Vec::new(), Vec::new());
        for (place, Core { cpu, parts, sockets }) in cores.into_iter().enumerate() {
            stats.push(Arc::clone(&parts.stats));
            let make = make.clone();
            let sockets = move || make(sockets, CoreId(place as u16));
            match worker::spawn(Recipe { core: place, cpu, real_time_priority, parts, sockets }) {
                Ok(running) => workers.push(running),
                Err(error) => {
                    links.iter().for_each(ControlEnd::stop);
                    for worker in workers {
                        worker.join();
                    }
                    return Err(format!("core {place} cannot start: {error}").into());
                }
            }
        }
        Ok(Started { control, gateway, links, workers, stats })
    }
}

impl fmt::Debug for Assembly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assembly").field("topology", &self.topology).finish_non_exhaustive()
    }
}

/// A gateway whose workers run.
pub(crate) struct Started {
    control: Control,
    gateway: Gateway,
    links: Vec<ControlEnd>,
    workers: Vec<Running>,
    stats: Vec<Arc<Stats>>,
}

/// A gateway that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Whether it was told to.
    pub(crate) outcome: Result<(), RunError>,
    /// What each core's worker leaves behind, and what it counted.
    pub(crate) cores: Vec<(Summary, Arc<Stats>)>,
}

impl Started {
    /// Runs control on this thread until the gateway has ended.
    pub(crate) fn run(self) -> Ended {
        let Self { control, gateway, links, workers, stats } = self;
        let core = |(link, stats): (_, &Arc<Stats>)| CoreLink { link, stats: Arc::clone(stats) };
        let cores = links.into_iter().zip(&stats).map(core).collect();
        let outcome = control.run(gateway, cores);
        let cores = workers.into_iter().map(Running::join).zip(stats).collect();
        Ended { outcome, cores }
    }

    /// What ends it from another thread.
    pub(crate) fn stop_handle(&self) -> StopHandle {
        self.control.stop_handle()
    }

    /// Each core's counters.
    pub(crate) fn stats(&self) -> Vec<Arc<Stats>> {
        self.stats.clone()
    }
}

/// Binds the ports of a core, and waits a little for one that is taken: the kernel frees those of a
/// gateway that was killed only after that process is gone.
fn bind_media(ports: &Ports, dscp: Dscp, settings: Settings) -> Result<BoundSockets, Failure> {
    let until = Clock.now() + FREED_WITHIN;
    loop {
        match BoundSockets::bind(ports, dscp, settings) {
            Err(BindError::Port { reason: Errno::EADDRINUSE, .. }) if Clock.now() < until => {
                // Nothing runs yet that could be kept waiting. Early is as good as late.
                let _ = poll(&mut [], ASK_AGAIN_AFTER_MS);
            }
            bound => {
                let named = |error| format!("RTP (media.addresses, port_first to port_last): {error}");
                return bound.map_err(|error| named(error).into());
            }
        }
    }
}

/// Measured: 0.1 s for 1,000 ports; this is for 16,000.
const FREED_WITHIN: Duration = Duration::from_secs(2);
const ASK_AGAIN_AFTER_MS: u8 = 20;

/// Chance, from the host.
pub(crate) fn seed() -> Result<u64, Failure> {
    Ok(SysRng.try_next_u64()?)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, UdpSocket};
    use std::thread;

    use drivers::net::{Full, NetCounters, PortSlot};
    use drivers::time::Instant;

    use super::*;
    use crate::spans;

    /// Sockets that fail as nothing should: a broken invariant, some blocks on.
    struct Breaking {
        sockets: UringSockets,
        rounds: u32,
    }

    impl RtpSockets for Breaking {
        fn receive(&mut self, f: impl FnMut(PortSlot, SocketAddr, Instant, &[u8])) {
            self.rounds -= 1;
            assert!(self.rounds > 0, "this is the panic that the test is about");
            self.sockets.receive(f);
        }

        fn send(
            &mut self,
            from: PortSlot,
            to: SocketAddr,
            len: usize,
            f: impl FnOnce(&mut [u8]),
        ) -> Result<(), Full> {
            self.sockets.send(from, to, len, f)
        }

        fn mark(&mut self, slot: PortSlot, dscp: Dscp) {
            self.sockets.mark(slot, dscp);
        }

        fn flush(&mut self, until: Instant) -> io::Result<()> {
            self.sockets.flush(until)
        }

        fn counters(&self) -> NetCounters {
            self.sockets.counters()
        }
    }

    /// The default, on loopback addresses that belong to this process.
    fn config(host: u8) -> Config {
        let process = std::process::id().to_be_bytes();
        let ip = IpAddr::V4(Ipv4Addr::new(127, 64 | process[2], process[3], host));
        let mut config = Config::default();
        config.mgcp.listen = vec![SocketAddr::new(ip, 0)];
        config.mgcp.restart_wait_max = Duration::ZERO;
        config.media.addresses = vec![ip];
        config.spans.truncate(1);
        config
    }

    #[test]
    fn a_worker_that_panics_ends_the_gateway_in_order_and_the_call_agent_hears_of_it() {
        let agent = UdpSocket::bind("127.0.0.1:0").unwrap();
        agent.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut config = config(1);
        config.mgcp.notified_entity = Some(format!("ca@[127.0.0.1]:{}", agent.local_addr().unwrap().port()));
        let lines = spans::build(&config).unwrap();
        let assembly = Assembly::new(&config, lines.spans, None).unwrap();
        let make = |bound, _| Ok(Breaking { sockets: UringSockets::new(bound)?, rounds: 60 });
        let ended = assembly.start_with(make).unwrap().run();
        assert!(matches!(ended.outcome, Err(RunError::CoreEnded(CoreId(0)))), "{:?}", ended.outcome);
        assert!(ended.cores[0].0.end.as_ref().is_err_and(|error| error.to_string() == "it has panicked"));
        let mut octets = [0; 1_024];
        let mut heard = Vec::new();
        while let Ok((len, _)) = agent.recv_from(&mut octets) {
            heard.push(String::from_utf8_lossy(&octets[..len]).into_owned());
            if heard.last().is_some_and(|command| command.contains("RM: forced")) {
                return;
            }
        }
        panic!("nobody was told: {heard:?}");
    }

    #[test]
    fn a_port_that_is_freed_soon_is_waited_for() {
        let config = config(2);
        let taken = UdpSocket::bind((config.media.addresses[0], config.media.port_first + 5)).unwrap();
        let freed = thread::spawn(move || {
            // The reader gives up when nothing has come: a wait without a clock.
            taken.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
            taken.recv_from(&mut [0; 1]).unwrap_err();
        });
        assert!(Assembly::new(&config, spans::build(&config).unwrap().spans, None).is_ok());
        freed.join().unwrap();
    }
}
