//! What a load is told on the command line: how much of what, how long, and over which sockets.

use std::fmt;
use std::num::NonZeroU8;
use std::time::Duration;

use clap::{Args, ValueEnum};
use drivers::line::Law;

use crate::Failure;
use crate::agent::Terms;
use crate::cpus::Cpus;
use crate::load::Shape;
use crate::measure::WARM_UP;
use crate::report::Value;
use crate::wire::Network;

/// The load.
#[derive(Clone, Debug, Args)]
pub(crate) struct LoadArgs {
    /// DS0s that carry RTP both ways at a time.
    #[arg(long, value_name = "N", default_value_t = 480, value_parser = clap::value_parser!(u16).range(1..=20_000))]
    pub(crate) ds0: u16,

    /// How long to measure, in seconds; a second of warming up comes before.
    #[arg(long, value_name = "S", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) seconds: u32,

    /// Packetization period, in milliseconds.
    #[arg(long, value_name = "MS", default_value = "20", value_parser = ["5", "10", "20", "30", "40", "60"])]
    pub(crate) ptime: String,

    /// The jitter of what the harness sends: each packet is held back by 0 to so many milliseconds, as by a network
    /// that keeps the packets of a call in order; the same in each run. Not counted as lateness or delay.
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=500))]
    pub(crate) jitter_ms: u16,

    /// The law, on the line and in RTP, so that octets pass unchanged.
    #[arg(long, value_enum, default_value_t = LawName::A)]
    pub(crate) law: LawName,

    /// How what is tested reaches the network.
    #[arg(long, value_enum, default_value_t = Driver::Uring)]
    pub(crate) driver: Driver,

    /// Tests over a veth pair between two network namespaces instead of loopback. Wants CAP_SYS_ADMIN.
    #[arg(long)]
    pub(crate) wire: bool,

    #[command(flatten)]
    pub(crate) cpus: Cpus,
}

/// A law by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum LawName {
    /// A-law: PCMA.
    A,
    /// mu-law: PCMU.
    Mu,
}

impl From<LawName> for Law {
    fn from(name: LawName) -> Self {
        match name {
            LawName::A => Self::A,
            LawName::Mu => Self::Mu,
        }
    }
}

/// A driver of sockets by its name in `tollgate.toml`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Driver {
    /// UDP sockets over io_uring.
    Uring,
    /// UDP sockets by recvmmsg and sendmmsg.
    Mmsg,
    /// AF_XDP, past the kernel's network stack; over a wire.
    Xdp,
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uring => "uring",
            Self::Mmsg => "mmsg",
            Self::Xdp => "xdp",
        })
    }
}

impl LoadArgs {
    pub(crate) fn length(&self) -> Duration {
        Duration::from_secs(u64::from(self.seconds))
    }

    pub(crate) fn terms(&self) -> Terms {
        let ptime_ms: NonZeroU8 = self.ptime.parse().expect("it is one of those listed");
        Terms { law: self.law.into(), ptime_ms }
    }

    /// What is between the harness and what is tested.
    pub(crate) fn network(&self) -> Result<Network, Failure> {
        // A program on loopback is the kernel's own reception: it would be no driver's that is measured.
        if self.wire || self.driver == Driver::Xdp { Network::wire() } else { Ok(Network::Loopback) }
    }

    /// The load that warms up, and then lasts so long.
    pub(crate) fn shape(&self, length: Duration) -> Shape {
        let terms = self.terms();
        let ptime_ms = u64::from(terms.ptime_ms.get());
        Shape {
            ds0s: self.ds0,
            ptime_octets: ptime_ms as usize * OCTETS_PER_MS,
            payload_type: terms.format().payload_type,
            jitter: Duration::from_millis(self.jitter_ms.into()),
            packets: ((WARM_UP + length).as_millis() as u64).div_ceil(ptime_ms),
        }
    }

    /// What a report repeats of it.
    pub(crate) fn settings(&self) -> Vec<(&'static str, Value)> {
        let terms = self.terms();
        let mut settings = vec![
            ("ds0", Value::Count(u64::from(self.ds0))),
            ("seconds", Value::Count(u64::from(self.seconds))),
            ("ptime_ms", Value::Count(u64::from(terms.ptime_ms.get()))),
            ("jitter_ms", Value::Count(self.jitter_ms.into())),
            ("law", Value::Text(terms.law.to_string())),
            ("driver", Value::Text(self.driver.to_string())),
            (
                "wire",
                Value::Text(if self.wire || self.driver == Driver::Xdp { "veth" } else { "none" }.to_owned()),
            ),
        ];
        settings.extend(self.cpus.settings());
        settings
    }
}

const OCTETS_PER_MS: usize = 8;
