//! Puts a gateway together from its configuration: all or nothing.
//!
//! First everything is bound and made ([`Assembly::new`]); then the workers start, and only when
//! each of them is ready to tick, control ([`Started::run`]).

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use control::config::Config;
use control::gateway::Gateway;
use control::run::{Control, Core as CoreLink, RunError, Signals, StopHandle};
use control::topology::{CoreId, Topology};
use dataplane::limits::Limits;
use dataplane::link::{self, ControlEnd};
use dataplane::stats::Stats;
use dataplane::worker::{self, Parts, Recipe, Running, Summary};
use drivers::cpu;
use drivers::line::SpanId;
use drivers::net::RtpSockets;
use drivers::net::uring::{BoundSockets, Settings, UringSockets};
use drivers::span::Span;
use drivers::time::{Clock, Epoch};
use rand::TryRng;
use rand::rngs::SysRng;

use crate::Failure;

/// A gateway with all its ports, of which nothing runs yet.
pub(crate) struct Assembly {
    config: Config,
    topology: Topology,
    control: Control,
    cores: Vec<Core>,
    links: Vec<ControlEnd>,
    epoch: Epoch,
}

/// One core's part of it.
struct Core {
    cpu: Option<usize>,
    parts: Parts,
    sockets: BoundSockets,
}

impl Assembly {
    /// Binds every port and makes every table. `spans` are the configuration's, in its order. With
    /// `signals`, SIGTERM and SIGINT end the gateway.
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
                    "memory cannot be locked ({error}): raise LimitMEMLOCK or set host.lock_memory = false"
                )
            })?;
        }
        let topology = Topology::new(config)?;
        let control = Control::bind(config, signals)?;
        let mut config = config.clone();
        config.mgcp.listen = control.addresses().collect();
        let epoch = Clock.epoch();
        let mut by_core: Vec<Vec<(SpanId, Box<dyn Span>)>> =
            topology.ports.iter().map(|_| Vec::new()).collect();
        for (place, span) in topology.spans.iter().zip(spans) {
            by_core[usize::from(place.core.0)].push((place.span, span));
        }
        let (mut cores, mut links) = (Vec::new(), Vec::new());
        for ((ports, spans), core) in topology.ports.iter().zip(by_core).zip(&config.cores) {
            let limits = Limits::for_ports(ports);
            let (control_end, link) = link::pair(&limits, control.waker());
            let settings = Settings::for_slots(ports.slots());
            let sockets = BoundSockets::bind(ports, config.media.dscp, settings)
                .map_err(|error| format!("RTP ports (media.port_first to port_last): {error}"))?;
            let stats = Arc::new(Stats::default());
            let parts = Parts { limits, spans, seed: seed()?, epoch, stats, link };
            cores.push(Core { cpu: core.cpu, parts, sockets });
            links.push(control_end);
        }
        Ok(Self { config, topology, control, cores, links, epoch })
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
        self.start_with(|sockets, _| UringSockets::new(sockets))
    }

    /// As [`start`](Self::start), with other sockets made around each core's own.
    pub(crate) fn start_with<N, F>(self, make: F) -> Result<Started, Failure>
    where
        N: RtpSockets,
        F: FnOnce(BoundSockets, CoreId) -> io::Result<N> + Clone + Send + 'static,
    {
        let Self { config, topology, control, cores, links, epoch } = self;
        let gateway = Gateway::new(&config, &topology, seed()?, epoch, Clock.now());
        let (mut workers, mut stats) = (Vec::new(), Vec::new());
        for (place, Core { cpu, parts, sockets }) in cores.into_iter().enumerate() {
            stats.push(Arc::clone(&parts.stats));
            let make = make.clone();
            let sockets = move || make(sockets, CoreId(place as u16));
            match worker::spawn(Recipe { core: place, cpu, parts, sockets }) {
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

/// Chance, from the host.
pub(crate) fn seed() -> Result<u64, Failure> {
    Ok(SysRng.try_next_u64()?)
}
