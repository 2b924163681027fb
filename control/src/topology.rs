//! Which span and which ports belong to which core: fixed at start.
//!
//! A span stays on its core for good, with all its calls' ports, so that no octet ever crosses from
//! one core to another.

use std::fmt;

use dataplane::limits::Limits;
use dataplane::link::{JitterBounds, RelayId};
use drivers::line::{Carrier, Law, SpanId};
use drivers::net::{PortRange, Ports};

use crate::config::{Config, EchoCancellation, MediaConfig, SpanConfig};

/// One media core, by its place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CoreId(pub u16);

/// The fixed shape of the gateway.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Topology {
    /// All spans, by [`SpanId`].
    pub spans: Vec<SpanPlace>,
    /// All relays, in the order of their numbers.
    pub relays: Vec<RelayPlace>,
    /// Whether the gateway itself is an endpoint.
    pub gateway_is_endpoint: bool,
    /// Each core's ports, by [`CoreId`].
    pub ports: Vec<Ports>,
    /// Frames of the longest block of any span.
    pub frames_max: usize,
}

/// One span in the topology.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpanPlace {
    /// Its id.
    pub span: SpanId,
    /// The core that carries it.
    pub core: CoreId,
    /// Its number in endpoint names.
    pub number: u32,
    /// Its slot in endpoint names, if any.
    pub slot: Option<u32>,
    /// E1 or T1.
    pub carrier: Carrier,
    /// The law of its channels.
    pub law: Law,
    /// Where its echo is cancelled, if anywhere.
    pub echo: EchoCancellation,
}

/// One relay in the topology.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RelayPlace {
    /// The core that carries it.
    pub core: CoreId,
    /// What it is there.
    pub relay: RelayId,
}

/// Why a configuration cannot be laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TopologyError {
    /// Not every DS0 could have a connection.
    TooFewPorts {
        /// DS0s of all spans.
        ds0s: usize,
        /// Pairs of ports on each address.
        pairs: usize,
    },
    /// A core would have no span.
    IdleCore {
        /// The core.
        core: CoreId,
    },
}

impl fmt::Display for TopologyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFewPorts { ds0s, pairs } => write!(
                f,
                "{pairs} pairs of an RTP and an RTCP port are too few for {ds0s} DS0s: \
                 the range must have at least {} ports",
                ds0s * 2
            ),
            Self::IdleCore { core } => write!(f, "core {} would have no span to carry", core.0),
        }
    }
}

impl std::error::Error for TopologyError {}

impl Topology {
    /// Lays spans over cores, where the configuration says or else where the fewest DS0s are, and
    /// shares the ports out in proportion to each core's DS0s.
    ///
    /// # Errors
    /// When a core would be without a span, or a DS0 without a chance of a connection.
    ///
    /// # Panics
    /// If a span names a core that there is not: [`Config::parse`] sees to that.
    pub fn new(config: &Config) -> Result<Self, TopologyError> {
        let cores = assign(config);
        let mut loads = vec![0; config.cores.len()];
        for (span, &core) in config.spans.iter().zip(&cores) {
            loads[core] += usize::from(span.carrier.timeslot_max());
        }
        if let Some(idle) = loads.iter().position(|&load| load == 0) {
            return Err(TopologyError::IdleCore { core: CoreId(idle as u16) });
        }
        let (ds0s, pairs) = (config.ds0s(), usize::from(config.media.pairs()));
        if pairs < ds0s {
            return Err(TopologyError::TooFewPorts { ds0s, pairs });
        }
        let spans = config.spans.iter().zip(cores).enumerate().map(|(place, (span, core))| SpanPlace {
            span: SpanId(place as u16),
            core: CoreId(core as u16),
            number: span.number,
            slot: span.slot,
            carrier: span.carrier,
            law: span.law,
            echo: span.echo_cancellation,
        });
        let ports = share_ports(&config.media, &loads);
        let relays = share_relays(config.rtpbridge.endpoints, &ports);
        Ok(Self {
            spans: spans.collect(),
            relays,
            gateway_is_endpoint: config.gateway.mg,
            ports,
            frames_max: config.spans.iter().map(SpanConfig::frames).max().unwrap_or_default(),
        })
    }

    /// How large a core's tables are, whose jitter buffers keep to these bounds.
    pub fn limits(&self, core: CoreId, jitter: &JitterBounds) -> Limits {
        let relays = self.relays.iter().filter(|place| place.core == core).count();
        Limits::new(&self.ports[usize::from(core.0)], relays, jitter, self.frames_max)
    }

    /// How many DS0s a core carries.
    pub fn ds0s(&self, core: CoreId) -> usize {
        let spans = self.spans.iter().filter(|place| place.core == core);
        spans.map(|place| usize::from(place.carrier.timeslot_max())).sum()
    }
}

/// Each span's core: the configured one, or the one that has fewest DS0s when its turn comes.
fn assign(config: &Config) -> Vec<usize> {
    let mut loads = vec![0; config.cores.len()];
    let mut cores: Vec<Option<usize>> = config.spans.iter().map(|span| span.core).collect();
    for (span, core) in config.spans.iter().zip(&cores) {
        if let Some(core) = *core {
            loads[core] += u32::from(span.carrier.timeslot_max());
        }
    }
    // The largest first, or the last one could tip the balance.
    let mut free: Vec<usize> = (0..cores.len()).filter(|&place| cores[place].is_none()).collect();
    free.sort_by_key(|&place| std::cmp::Reverse(config.spans[place].carrier.timeslot_max()));
    for place in free {
        let (core, load) =
            loads.iter_mut().enumerate().min_by_key(|(_, load)| **load).expect("there is at least one core");
        *load += u32::from(config.spans[place].carrier.timeslot_max());
        cores[place] = Some(core);
    }
    cores.into_iter().map(|core| core.expect("each span without a core was given one")).collect()
}

/// Each core's run of pairs, the same on every address; the runs follow each other without a gap.
fn share_ports(media: &MediaConfig, loads: &[usize]) -> Vec<Ports> {
    let pairs = usize::from(media.pairs());
    let ds0s: usize = loads.iter().sum();
    let mut before = 0;
    loads
        .iter()
        .map(|load| {
            // Both ends are rounded from sums, so that no pair is left over.
            let first = pairs * before / ds0s;
            before += load;
            let end = pairs * before / ds0s;
            let range = |&address| PortRange {
                address,
                first: media.port_first + first as u16 * 2,
                pairs: (end - first) as u16,
            };
            Ports(media.addresses.iter().map(range).collect())
        })
        .collect()
}

/// Relays core by core in turn, so that they are spread however many are in use; no more on a core than it
/// has pairs of ports, because each needs one to begin with.
fn share_relays(relays: u32, ports: &[Ports]) -> Vec<RelayPlace> {
    let cores = ports.len();
    let pairs = ports.iter().map(|ports| ports.slots() / 2).min().unwrap_or(0);
    let place = |index: usize| RelayPlace {
        core: CoreId((index % cores) as u16),
        relay: RelayId((index / cores) as u32),
    };
    (0..(relays as usize).min(pairs * cores)).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CoreConfig, SpanConfig};

    fn config(spans: u32, cores: usize) -> Config {
        Config {
            spans: (1..=spans).map(SpanConfig::simulated_e1).collect(),
            cores: vec![CoreConfig::default(); cores],
            ..Config::default()
        }
    }

    #[test]
    fn spans_are_spread_evenly_and_named_cores_are_kept() {
        let mut config = config(5, 2);
        config.spans[4].core = Some(0);
        let topology = Topology::new(&config).unwrap();
        let cores: Vec<_> = topology.spans.iter().map(|place| place.core.0).collect();
        assert_eq!(cores, [1, 0, 1, 0, 0]);
        assert_eq!((topology.ds0s(CoreId(0)), topology.ds0s(CoreId(1))), (93, 62));
    }

    #[test]
    fn a_larger_carrier_is_laid_before_a_smaller_one() {
        let mut config = config(3, 2);
        config.spans[0].carrier = Carrier::T1;
        config.spans[1].carrier = Carrier::T1;
        let topology = Topology::new(&config).unwrap();
        assert_eq!((topology.ds0s(CoreId(0)), topology.ds0s(CoreId(1))), (31, 48));
    }

    #[test]
    fn every_pair_belongs_to_one_core_in_proportion_to_its_ds0s() {
        let mut config = config(5, 2);
        config.media.addresses.push("::1".parse().unwrap());
        let topology = Topology::new(&config).unwrap();
        let [first, second] = &topology.ports[..] else { panic!("two cores") };
        assert_eq!((first.0[0].first, first.0[0].pairs), (20_000, 297));
        assert_eq!((second.0[0].first, second.0[0].pairs), (20_594, 199));
        assert!(first.0[1].address.is_ipv6());
        assert_eq!(first.slots() + second.slots(), 2 * 992);
        for range in first.0.iter().chain(&second.0) {
            assert!(range.first.is_multiple_of(2));
        }
    }

    #[test]
    fn relays_are_spread_and_never_more_than_pairs() {
        let relays = Topology::new(&config(2, 2)).unwrap().relays;
        let cores: Vec<_> = relays.iter().take(3).map(|place| (place.core.0, place.relay.0)).collect();
        assert_eq!((relays.len(), cores), (128, vec![(0, 0), (1, 0), (0, 1)]));
        let mut config = config(1, 1);
        config.media.port_last = config.media.port_first + 2 * 31 - 1;
        assert_eq!(Topology::new(&config).unwrap().relays.len(), 31);
    }

    #[test]
    fn a_core_without_spans_is_refused() {
        assert_eq!(
            Topology::new(&config(1, 2)),
            Err(TopologyError::IdleCore { core: CoreId(1) }),
            "one span cannot keep two cores busy"
        );
    }

    #[test]
    fn fewer_pairs_than_ds0s_are_refused() {
        let mut config = config(4, 1);
        config.media.port_last = config.media.port_first + 245;
        assert_eq!(Topology::new(&config), Err(TopologyError::TooFewPorts { ds0s: 124, pairs: 123 }));
    }
}
