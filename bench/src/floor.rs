//! The bare socket loop on this machine: what no gateway can beat.
//!
//! A reflector has as many sockets as a gateway would, of the same kind, looks at them as often, and
//! sends back each packet that has come, untouched. What that costs, a gateway pays too; what it costs
//! more is its own doing.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::Args;
use drivers::net::mmsg::MmsgSockets;
use drivers::net::uring::UringSockets;
use drivers::net::xdp::{Interface, XdpSockets};
use drivers::net::{BoundSockets, DATAGRAM_MAX, Dscp, PortRange, PortSlot, Ports, RtpSockets, Settings};
use drivers::time::Clock;

use crate::Failure;
use crate::checker::Tally;
use crate::cpus::Cpus;
use crate::host::Thread;
use crate::load::{Figures, Shape, sum};
use crate::load_args::{Driver, LoadArgs};
use crate::measure::{self, Bench, Cost, refused};
use crate::operator::Operator;
use crate::priority::Priority;
use crate::report::{Report, Section, Verdict};
use crate::wire::{End, Network};

/// Measures the bare socket loop: the same packets over the same kind of sockets, with no gateway.
///
/// A thread with as many sockets as a gateway of so many DS0s sends back what comes, every 5 ms, and
/// does nothing else. Its CPU time for a packet is what no gateway on this machine can beat.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  \
    tollgate-bench floor\n  \
    tollgate-bench floor --ds0 4096 --driver mmsg --seconds 5")]
pub(crate) struct FloorArgs {
    #[command(flatten)]
    load: LoadArgs,
}

/// What the bare loop came to.
pub(crate) struct Floor {
    pub(crate) cost: Cost,
    pub(crate) tally: Tally,
    pub(crate) figures: Figures,
    /// Datagrams that the harness's own sockets refused.
    pub(crate) refused: u64,
}

impl FloorArgs {
    /// Decides what the command line leaves open, on a host with these CPUs.
    pub(crate) fn settle(&mut self, usable: &[usize]) -> Cpus {
        self.load.cpus.settle(usable, Priority::RealTime);
        self.load.cpus
    }
}

/// `tollgate-bench floor`.
///
/// # Errors
/// Whatever keeps it from being measured.
pub(crate) fn run(args: &FloorArgs, operator: &Operator) -> Result<Report, Failure> {
    let load = &args.load;
    let floor = measure(load, load.length(), &load.network()?, operator)?;
    let mut report = Report::new("floor", load.settings());
    report.sections.push(floor.section());
    report.sections.push(measure::harness(&floor.cost, &floor.figures, floor.refused));
    let lost = floor.tally.missing + floor.tally.wrong();
    report.verdict = if lost == 0 {
        Verdict::Pass
    } else {
        Verdict::Inconclusive(vec![format!("{lost} octets were lost with no gateway between")])
    };
    Ok(report)
}

/// Runs the load against the reflector.
///
/// # Errors
/// Whatever keeps it from being measured.
pub(crate) fn measure(
    args: &LoadArgs,
    length: Duration,
    network: &Network,
    operator: &Operator,
) -> Result<Floor, Failure> {
    let [_, local, reflector] = network.addresses().map(IpAddr::V4);
    let shape = args.shape(length);
    let range = PortRange { address: reflector, first: 20_000, pairs: shape.ds0s };
    let stop = AtomicBool::new(false);
    let ports = Ports(vec![range]);
    let past = args.driver == Driver::Xdp;
    let interface = if past { network.attach(End::Tested, &ports)? } else { None };
    let own = network.attach(End::Harness, &measure::ports(local, usize::from(shape.ds0s)))?;
    thread::scope(|scope| {
        let (started, start) = mpsc::sync_channel(1);
        let (ports, stop, interface, own) = (&ports, &stop, &interface, &own);
        let reflect = move || {
            network.enter(End::Tested)?;
            let bound = BoundSockets::bind(ports, Dscp::EF, Settings::for_slots(ports.slots()))
                .map_err(|error| format!("the bare loop's sockets: {error}"))?;
            match args.driver {
                Driver::Xdp => {
                    let interface = interface.as_ref().expect("it was attached for this driver");
                    reflect(XdpSockets::new(bound, interface, 0)?, stop, &started)
                }
                Driver::Uring => reflect(UringSockets::new(bound)?, stop, &started),
                Driver::Mmsg => reflect(MmsgSockets::new(bound)?, stop, &started),
            }
        };
        let reflecting = scope.spawn(|| args.cpus.run_tested(REFLECTOR, reflect));
        let measured = match start.recv() {
            Ok(()) => args.cpus.run_harness(HARNESS, || {
                network.enter(End::Harness)?;
                against((local, own.as_ref()), ports, shape, length, operator)
            }),
            // It has failed, and says why below.
            Err(_) => Err("the reflector did not start".into()),
        };
        stop.store(true, Ordering::Relaxed);
        reflecting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        measured
    })
}

/// The harness's side.
fn against(
    local: (IpAddr, Option<&Arc<Interface>>),
    ports: &Ports,
    shape: Shape,
    length: Duration,
    operator: &Operator,
) -> Result<Floor, Failure> {
    let mut bench = Bench::new(local, shape, HARNESS, operator)?;
    for (number, (_, peer)) in ports.iter().filter(|(slot, _)| slot.is_rtp()).enumerate() {
        bench.load.add(number as u16, peer);
    }
    let carrier = Thread::named(std::process::id(), REFLECTOR)?;
    let cost = bench.measure(length, Some(carrier), |_| Ok(()))?;
    let refused = refused(&bench.load);
    let (accounts, figures) = bench.load.finish();
    Ok(Floor { cost, tally: sum(&accounts), figures, refused })
}

/// Sends back what comes, until told to stop.
fn reflect(
    mut sockets: impl RtpSockets,
    stop: &AtomicBool,
    started: &mpsc::SyncSender<()>,
) -> Result<(), Failure> {
    let mut held = Held::default();
    let mut until = Clock.now();
    // The other side waits for this until it fails itself.
    let _ = started.send(());
    while !stop.load(Ordering::Relaxed) {
        until += TICK;
        sockets.flush(until)?;
        sockets.receive(|slot, from, _, octets| held.keep(slot, from, octets));
        for (slot, to, octets) in held.packets() {
            // What finds no room is lost, and shows.
            let _ = sockets.send(slot, to, octets.len(), |out| out.copy_from_slice(octets));
        }
        held.clear();
    }
    Ok(())
}

/// Packets between being received and being sent.
#[derive(Default)]
struct Held {
    heads: Vec<(PortSlot, SocketAddr, usize)>,
    octets: Vec<u8>,
}

impl Held {
    fn keep(&mut self, slot: PortSlot, from: SocketAddr, octets: &[u8]) {
        debug_assert!(octets.len() <= DATAGRAM_MAX, "the sockets cut what is longer");
        self.heads.push((slot, from, octets.len()));
        self.octets.extend_from_slice(octets);
    }

    fn packets(&self) -> impl Iterator<Item = (PortSlot, SocketAddr, &[u8])> {
        let mut octets = &self.octets[..];
        self.heads.iter().map(move |&(slot, from, len)| {
            let (packet, rest) = octets.split_at(len);
            octets = rest;
            (slot, from, packet)
        })
    }

    fn clear(&mut self) {
        self.heads.clear();
        self.octets.clear();
    }
}

impl Floor {
    /// CPU time of the bare loop for a packet sent or received, in us.
    pub(crate) fn per_packet_us(&self) -> Option<f64> {
        self.cost.per_packet_us()
    }

    /// Its figures.
    pub(crate) fn section(&self) -> Section {
        let mut section = Section::new("floor: the bare socket loop, no gateway");
        section.count("floor_packets", "packets each way, while measured", self.cost.packets / 2, "packets");
        let lost = self.tally.missing + self.tally.wrong();
        section.count("floor_octets_lost", "octets lost or wrong", lost, "octets");
        if let Some(usage) = self.cost.carrier {
            section.share("floor_cpu", "its CPU", self.cost.share(usage));
        }
        if let Some(per_packet_us) = self.per_packet_us() {
            section.number("floor_cpu_per_packet", "its CPU a packet sent or received", per_packet_us, "us");
        }
        section.times("floor_delay", "round trip, of which up to 5 ms until it looks", &self.figures.delay);
        section.times("floor_jitter", "inter-arrival jitter", &self.figures.jitter);
        section
    }
}

/// As often as a gateway's worker looks at its sockets: every block of 5 ms.
const TICK: Duration = Duration::from_millis(5);

/// The reflector's thread.
const REFLECTOR: &str = "reflector";

/// The thread that runs the load.
pub(crate) const HARNESS: &str = "harness";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_held_in_order_and_whole() {
        let mut held = Held::default();
        let from: SocketAddr = ([127, 0, 0, 1], 9).into();
        for _ in 0..2 {
            held.keep(PortSlot(2), from, b"one");
            held.keep(PortSlot(0), from, b"");
            held.keep(PortSlot(4), from, b"three");
            let packets: Vec<_> = held.packets().collect();
            let expected: [(PortSlot, SocketAddr, &[u8]); 3] =
                [(PortSlot(2), from, b"one"), (PortSlot(0), from, b""), (PortSlot(4), from, b"three")];
            assert_eq!(packets, expected);
            held.clear();
        }
    }
}
