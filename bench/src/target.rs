//! The gateway under test: one that runs somewhere, or one that is started here.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use drivers::line::Carrier;

use crate::Failure;
use crate::agent::address_towards;
use crate::child::{self, DOMAIN, Gateway, Size, Wanted};
use crate::pace::run_on;
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
    /// endpoint's own number from 1, in decimal and in hexadecimal; what
    /// is $, or * for Osmocom's, is left to the gateway to choose.
    #[arg(long, value_name = "PATTERN", default_value = "ds/e1-{span}/{timeslot}")]
    endpoints: String,

    /// Timeslots of each of its spans that are used.
    #[arg(long, value_name = "N", default_value_t = Carrier::E1.timeslot_max(), value_parser = clap::value_parser!(u8).range(1..=31))]
    timeslots: u8,

    /// The `tollgate` to start [default: the one beside this program].
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

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
    /// The gateway that runs, or one of this size that is started now. It may not be ready yet.
    ///
    /// # Errors
    /// If there is no way to it, or it cannot be started.
    pub(crate) fn open(&self, size: Size, network: &Network) -> Result<Target, Failure> {
        if let Some(gateway) = self.gateway {
            return Ok(Target { gateway, local: address_towards(gateway)?, child: None });
        }
        let [address, local, _] = network.addresses();
        let program = self.program.clone().map_or_else(child::sibling, Ok)?;
        let wanted = Wanted { program, address, size };
        // What is started on a CPU stays there, unless it is pinned elsewhere.
        let child = run_on("start", size.control_cpu, || {
            network.enter(End::Tested)?;
            Gateway::start(&wanted)
        })?;
        Ok(Target { gateway: wanted.mgcp(), local: local.into(), child: Some(child) })
    }

    /// Whether the gateway is started here.
    pub(crate) fn is_started_here(&self) -> bool {
        self.gateway.is_none()
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
}
