//! Who calls whom, on which spans, and the gateway's configuration for it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use control::config::{Config, CoreConfig, MediaConfig, MgcpConfig, SpanConfig};
use drivers::line::{Carrier, Law, Timeslot};

use crate::Failure;
use crate::cli::{CarrierName, DemoArgs};

/// What a demo is made of.
pub(super) struct Plan {
    /// The gateway's configuration.
    pub(super) config: Config,
    /// The law of the lines.
    pub(super) law: Law,
    /// The ends of the calls: call 0 is between party 0 and party 1, and so on.
    pub(super) parties: Vec<Party>,
}

/// One end of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Party {
    /// Its span, by place.
    pub(super) span: usize,
    /// Its timeslot.
    pub(super) timeslot: Timeslot,
}

impl Party {
    /// The party at the other end of the call: parties come in pairs.
    pub(super) fn mate(party: usize) -> usize {
        party ^ 1
    }
}

/// The lowest port looked at for RTP: above the ports of the default configuration, and below those
/// that the kernel gives to whoever does not ask for a certain one.
const PORT_FIRST: u16 = 21_000;
const PORT_LAST: u16 = 32_767;

/// How far apart the places are from which demos look for ports: what four E1s take.
const STRIDE: u16 = 256;

impl Plan {
    /// What `args` ask for.
    ///
    /// # Errors
    /// If there are not as many timeslots, spans or ports.
    pub(super) fn new(args: &DemoArgs) -> Result<Self, Failure> {
        let carrier = match args.carrier {
            CarrierName::E1 => Carrier::E1,
            CarrierName::T1 => Carrier::T1,
        };
        let law = carrier.usual_law();
        let spans: Vec<_> = (1..=u32::from(args.spans))
            .map(|number| SpanConfig { carrier, law, ..SpanConfig::simulated_e1(number) })
            .collect();
        let ds0s = spans.len() * usize::from(carrier.timeslot_max());
        let calls = args.calls.map_or(ds0s / 2, |calls| calls as usize);
        if calls > ds0s / 2 {
            return Err(format!(
                "{calls} calls need {} timeslots; with --spans {} ({carrier}) there are {ds0s}",
                calls * 2,
                spans.len()
            )
            .into());
        }
        if args.cores > args.spans {
            return Err(format!(
                "{} cores for {} spans: one would have nothing to do",
                args.cores, args.spans
            )
            .into());
        }
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let (port_first, port_last) = free_ports(loopback, ds0s)?;
        let default = Config::default();
        let config = Config {
            mgcp: MgcpConfig { listen: vec![SocketAddr::new(loopback, 0)], ..default.mgcp.clone() },
            media: MediaConfig {
                addresses: vec![loopback],
                port_first,
                port_last,
                ptime_ms: args.ptime.parse()?,
                ..default.media.clone()
            },
            cores: vec![CoreConfig::default(); usize::from(args.cores)],
            spans,
            ..default
        };
        Ok(Self { parties: parties(&config.spans, calls), config, law })
    }

    /// The local name of a party's endpoint.
    pub(super) fn endpoint(&self, party: usize) -> String {
        let Party { span, timeslot } = self.parties[party];
        format!("{}/{timeslot}", self.config.spans[span].local_name())
    }

    /// The time that a block of the lines lasts.
    pub(super) fn block(&self) -> Duration {
        Duration::from_millis(u64::from(self.config.spans[0].block_ms))
    }
}

/// The ends of so many calls: from the first half of all timeslots to the second, so that most calls
/// go from span to span.
fn parties(spans: &[SpanConfig], calls: usize) -> Vec<Party> {
    let all: Vec<Party> = spans
        .iter()
        .enumerate()
        .flat_map(|(span, config)| config.carrier.timeslots().map(move |timeslot| Party { span, timeslot }))
        .collect();
    let (callers, called) = all.split_at(all.len() / 2);
    callers.iter().zip(called).take(calls).flat_map(|(a, b)| [*a, *b]).collect()
}

/// A range of ports with this many pairs, none of which is taken just now.
///
/// Each process looks from another place on, so that two demos that start together do not choose the
/// same ports.
fn free_ports(address: IpAddr, pairs: usize) -> Result<(u16, u16), Failure> {
    let count = pairs as u16 * 2;
    let places = (PORT_LAST - PORT_FIRST) / STRIDE;
    let begin = PORT_FIRST + (std::process::id() % u32::from(places)) as u16 * STRIDE;
    free_ports_from(begin, address, count)
        .or_else(|| free_ports_from(PORT_FIRST, address, count))
        .ok_or_else(|| format!("no {count} free UDP ports in a row from {PORT_FIRST} to {PORT_LAST}").into())
}

fn free_ports_from(mut first: u16, address: IpAddr, count: u16) -> Option<(u16, u16)> {
    while first + (count - 1) <= PORT_LAST {
        let last = first + (count - 1);
        match (first..=last).rfind(|&port| UdpSocket::bind(SocketAddr::new(address, port)).is_err()) {
            None => return Some((first, last)),
            Some(taken) => first = (taken + 1).next_multiple_of(2),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_go_from_the_first_half_of_the_timeslots_to_the_second() {
        let spans: Vec<_> = (1..=2).map(SpanConfig::simulated_e1).collect();
        let parties = parties(&spans, 31);
        assert_eq!(parties.len(), 62);
        let at = |span, timeslot| Party { span, timeslot: Timeslot::new(timeslot).unwrap() };
        assert_eq!(parties[..4], [at(0, 1), at(1, 1), at(0, 2), at(1, 2)]);
        assert_eq!(Party::mate(4), 5);
        assert_eq!(Party::mate(5), 4);
    }

    #[test]
    fn calls_within_one_span_use_both_halves_of_it() {
        let parties = parties(&[SpanConfig::simulated_e1(1)], 15);
        assert_eq!(parties.len(), 30);
        assert_eq!((parties[0].timeslot.number(), parties[1].timeslot.number()), (1, 16));
    }

    #[test]
    fn ports_that_are_taken_are_passed_over() {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let (first, _) = free_ports(address, 4).unwrap();
        let _taken = UdpSocket::bind(SocketAddr::new(address, first + 2)).unwrap();
        let (next, last) = free_ports_from(first, address, 8).unwrap();
        assert!(next > first + 2 && next.is_multiple_of(2) && last == next + 7, "{next} to {last}");
    }
}
