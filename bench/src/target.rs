//! The gateway under test: one that runs somewhere, or one that is started here.

use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use drivers::line::Carrier;

use crate::Failure;
use crate::agent::address_towards;
use crate::child::{self, DOMAIN, Gateway, Size, Wanted};
use crate::cpus::{Cpu, Cpus};
use crate::pace::run_on;
use crate::priority::Priority;
use crate::report::Value;
use crate::wire::{End, Network};

/// Which gateway is tested, and what its endpoints are called.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "The gateway")]
pub(crate) struct TargetArgs {
    /// The MGCP address and port of a gateway that runs [default: one is started here].
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "program")]
    gateway: Option<SocketAddr>,

    /// The domain in its endpoints' names.
    #[arg(long, value_name = "NAME", default_value = DOMAIN)]
    pub(crate) domain: String,

    /// The names of its endpoints: {span} and {timeslot} become numbers from 1, {number} and {hex} the
    /// endpoint's own number from 1, in decimal and in hexadecimal. $, or * for Osmocom's, leaves the
    /// choice to the gateway.
    #[arg(long, value_name = "PATTERN", default_value = "ds/e1-{span}/{timeslot}")]
    endpoints: String,

    /// Timeslots of each of its spans that are used.
    #[arg(long, value_name = "N", default_value_t = Carrier::E1.timeslot_max(), value_parser = clap::value_parser!(u8).range(1..=31))]
    timeslots: u8,

    /// The `tollgate` to start [default: the one beside this program].
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,

    /// The CPU of all its threads but the media core, if it is started here, or `any` [default: one that nothing
    /// else has; else that of the harness, or the media core's where control is what is measured].
    #[arg(long, value_name = "CPU", conflicts_with = "gateway")]
    control_cpu: Option<Cpu>,
}

/// What is measured of a gateway: it shares its CPU with nothing but the rest of the gateway.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Measured {
    MediaCore,
    Control,
}

/// What a gateway has done that leaves nothing to measure, and is a failure of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct GatewayFault(pub(crate) String);

impl fmt::Display for GatewayFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for GatewayFault {}

/// A gateway that can be spoken to, as long as this lives.
#[derive(Debug)]
pub(crate) struct Target {
    /// Where it takes MGCP.
    pub(crate) gateway: SocketAddr,
    /// Our own address towards it.
    pub(crate) local: IpAddr,
    child: Option<Gateway>,
}

impl TargetArgs {
    /// The gateway that runs, or one of this size that is started now, all of it at this priority. It may not be
    /// ready yet.
    ///
    /// # Errors
    /// If there is no way to it, or it cannot be started.
    pub(crate) fn open(&self, size: Size, network: &Network, priority: Priority) -> Result<Target, Failure> {
        if let Some(gateway) = self.gateway {
            return Ok(Target { gateway, local: address_towards(gateway)?, child: None });
        }
        let [address, local, _] = network.addresses();
        let program = self.program.clone().map_or_else(child::sibling, Ok)?;
        let wanted = Wanted { program, address, size };
        // What is started on a CPU and at a priority stays so, unless it chooses another.
        let child = run_on("start", self.control_cpu(), || {
            priority.take();
            network.enter(End::Tested)?;
            Gateway::start(&wanted)
        })?;
        Ok(Target { gateway: wanted.mgcp(), local: local.into(), child: Some(child) })
    }

    /// Whether the gateway is started here.
    pub(crate) fn is_started_here(&self) -> bool {
        self.gateway.is_none()
    }

    /// Decides what the command line leaves open, on a host with these CPUs.
    pub(crate) fn settle(&mut self, cpus: &mut Cpus, measured: Measured, usable: &[usize]) {
        // Where a gateway runs that is not ours, nobody here can say.
        let usable = if self.is_started_here() { usable } else { &[] };
        // One of this host would have to wait for a harness ahead of it.
        let is_here = self.gateway.is_some_and(|it| address_towards(it).is_ok_and(|own| own == it.ip()));
        cpus.settle(usable, if is_here { Priority::Normal } else { Priority::RealTime });
        let shared = match measured {
            Measured::MediaCore => cpus.harness(),
            Measured::Control => cpus.gateway(),
        };
        self.control_cpu.get_or_insert(cpus.third(usable).unwrap_or(shared));
    }

    /// The CPU of all its threads but the media core.
    pub(crate) fn control_cpu(&self) -> Option<usize> {
        self.control_cpu.and_then(Cpu::number)
    }

    /// What a report repeats of it.
    pub(crate) fn settings(&self) -> (&'static str, Value) {
        match self.gateway {
            Some(gateway) => ("gateway", Value::Text(gateway.to_string())),
            None => ("control_cpu", self.control_cpu.unwrap_or(Cpu::Any).into()),
        }
    }

    /// Checks that so many endpoints have a name each.
    ///
    /// # Errors
    /// If two have the same one, and the gateway is not to choose.
    pub(crate) fn check_names(&self, ds0s: u16) -> Result<(), Failure> {
        let mut names = HashSet::new();
        let name =
            (0..ds0s).map(|n| self.endpoint(n)).find(|name| !is_wild(name) && !names.insert(name.clone()));
        name.map_or(Ok(()), |name| {
            let pattern = &self.endpoints;
            Err(format!(
                "--endpoints {pattern} names {name} more than once among {ds0s} endpoints: it wants {{span}} and \
                 {{timeslot}}, {{number}} or {{hex}}"
            )
            .into())
        })
    }

    /// The local name of the `n`th endpoint, from 0.
    pub(crate) fn endpoint(&self, n: u16) -> String {
        let timeslots = u16::from(self.timeslots);
        let (span, timeslot) = (n / timeslots + 1, n % timeslots + 1);
        let number = u32::from(n) + 1;
        self.endpoints
            .replace("{span}", &span.to_string())
            .replace("{timeslot}", &timeslot.to_string())
            .replace("{number}", &number.to_string())
            .replace("{hex}", &format!("{number:x}"))
    }
}

/// Of a gateway that has ended before it was ready nothing is known: what it would have done is not measured.
pub(crate) fn not_ready(error: Failure) -> Failure {
    match error.downcast::<GatewayFault>() {
        Ok(fault) => fault.0.into(),
        Err(error) => error,
    }
}

/// Whether a name leaves the choice to the gateway. Osmocom's takes a star for that.
pub(crate) fn is_wild(name: &str) -> bool {
    name.contains(['$', '*'])
}

impl Target {
    /// The number of its process, if it was started here.
    pub(crate) fn process(&self) -> Option<u32> {
        self.child.as_ref().map(Gateway::id)
    }

    /// Checks that it has not ended, as far as that can be seen from here.
    ///
    /// # Errors
    /// If it has, with the end of its log.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.child.as_ref().map_or(Ok(()), Gateway::check)
    }

    /// What one that was started here has counted of its first core.
    ///
    /// # Errors
    /// If it does not say.
    pub(crate) fn counters(&self) -> Result<String, Failure> {
        self.child.as_ref().map_or_else(|| Err("it was not started here".into()), Gateway::counters)
    }

    /// Ends one that was started here; what it logged of its end.
    ///
    /// # Errors
    /// If it does not end, or not well.
    pub(crate) fn close(self) -> Result<String, Failure> {
        self.child.map_or(Ok(String::new()), Gateway::stop)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        target: TargetArgs,
    }

    #[test]
    fn names_count_timeslots_spans_and_endpoints_from_one() {
        let named = |pattern: &str, n| {
            Cli::parse_from(["bench", "--timeslots", "30", "--endpoints", pattern]).target.endpoint(n)
        };
        assert_eq!(named("ds/e1-{span}/{timeslot}", 0), "ds/e1-1/1");
        assert_eq!(named("ds/e1-{span}/{timeslot}", 59), "ds/e1-2/30");
        assert_eq!(named("rtpbridge/{hex}", 30), "rtpbridge/1f");
        assert_eq!(named("aaln/{number}", u16::MAX), "aaln/65536");
        assert_eq!(named("ds/$", 7), "ds/$");
    }

    #[test]
    fn a_pattern_that_names_an_endpoint_twice_is_refused_unless_the_gateway_chooses() {
        let checked =
            |pattern: &str| Cli::parse_from(["bench", "--endpoints", pattern]).target.check_names(62);
        for pattern in ["ds/e1-{span}/{timeslot}", "aaln/{number}", "rtpbridge/{hex}", "ds/$", "rtpbridge/*"]
        {
            assert!(checked(pattern).is_ok(), "{pattern}");
        }
        let error = checked("ds/e1-1/{timeslot}").expect_err("an E1 has 31").to_string();
        assert!(error.contains("names ds/e1-1/1 more than once"), "{error}");
        assert!(checked("aaln/{n}").is_err());
    }

    #[test]
    fn control_keeps_off_the_cpu_of_what_is_measured_if_it_is_not_that_itself() {
        let settled = |arguments: &[&str], measured, usable: &[usize]| {
            let mut cpus = Cpus::default();
            let mut target = Cli::parse_from([&["bench"][..], arguments].concat()).target;
            target.settle(&mut cpus, measured, usable);
            ([cpus.harness(), cpus.gateway()].map(Cpu::number), target.control_cpu(), cpus.priority())
        };
        let real_time = Priority::RealTime;
        let two = [Some(0), Some(1)];
        assert_eq!(settled(&[], Measured::MediaCore, &[0, 1]), (two, Some(0), real_time));
        assert_eq!(settled(&[], Measured::Control, &[0, 1]), (two, Some(1), real_time));
        assert_eq!(settled(&[], Measured::Control, &[0, 1, 2]), ([Some(0), Some(2)], Some(1), real_time));
        assert_eq!(settled(&["--control-cpu", "any"], Measured::Control, &[0, 1]), (two, None, real_time));
        assert_eq!(settled(&[], Measured::MediaCore, &[0]), ([None; 2], None, real_time));
        let elsewhere = ["--gateway", "127.0.0.1:2427"];
        let normal = Priority::Normal;
        assert_eq!(settled(&elsewhere, Measured::MediaCore, &[0, 1]), ([None; 2], None, normal));
    }
}
