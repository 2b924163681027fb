//! The `tollgate-bench` binary: load-tests an MGCP trunk gateway from outside.
//!
//! It speaks to the gateway as a call agent and RTP peers would, over real sockets, and believes
//! nothing that it has not seen come back. What it finds is printed as a table, or as a line of JSON a
//! figure, and its own faults are told from the gateway's.

#![forbid(unsafe_code)]

mod agent;
mod caller;
mod checker;
mod child;
mod delay;
mod density;
mod floor;
mod host;
mod load;
mod measure;
mod operator;
mod pace;
mod pattern;
mod report;
mod requirement;
mod scale;
mod search;
mod series;
mod setup_rate;
mod soak;
mod sockets;
mod target;
mod ticks;
mod watch;
mod wire;
mod witness;

use std::fmt;
use std::io;
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use drivers::line::Law;

use agent::Terms;
use delay::DelayArgs;
use density::DensityArgs;
use floor::FloorArgs;
use load::Shape;
use measure::WARM_UP;
use operator::Operator;
use report::{Report, Value};
use requirement::Requirement;
use scale::ScaleArgs;
use setup_rate::SetupRateArgs;
use soak::SoakArgs;
use wire::Network;

/// Whatever keeps a measurement from being made.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Load-tests an MGCP trunk gateway (RFC 3435) from outside, by real MGCP and real RTP.
///
/// Exit code of every command: 0 when all that is required held, 1 when not, 2 when it could not be measured,
/// and 3 when it did not hold, but this harness or the machine, not the gateway, may be why.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Prints a line of JSON for each figure instead of a table.
    #[arg(long, global = true)]
    json: bool,

    /// Writes a page with all figures and the drawings of distributions and courses, `index.html`, there.
    #[arg(long, global = true, value_name = "DIR")]
    report: Option<PathBuf>,

    /// What a figure, by its name in --json, must be: FIGURE<=NUMBER or FIGURE>=NUMBER. Can be repeated.
    #[arg(long, global = true, value_name = "FIGURE<=NUMBER")]
    require: Vec<Requirement>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Density(DensityArgs),
    Delay(DelayArgs),
    Floor(FloorArgs),
    SetupRate(SetupRateArgs),
    Soak(SoakArgs),
    Scale(ScaleArgs),
}

/// The load.
#[derive(Clone, Debug, Args)]
struct LoadArgs {
    /// DS0s that carry RTP both ways at a time.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=20_000))]
    ds0: u16,

    /// How long to measure, in seconds; a second of warming up comes before.
    #[arg(long, value_name = "S", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,

    /// Packetization period, in milliseconds.
    #[arg(long, value_name = "MS", default_value = "20", value_parser = ["5", "10", "20", "30", "40", "60"])]
    ptime: String,

    /// The law, on the line and in RTP, so that octets pass unchanged.
    #[arg(long, value_enum, default_value_t = LawName::A)]
    law: LawName,

    /// How what is tested reaches the network.
    #[arg(long, value_enum, default_value_t = Driver::Uring)]
    driver: Driver,

    /// Tests over a veth pair between two network namespaces instead of loopback. Wants CAP_SYS_ADMIN.
    #[arg(long)]
    wire: bool,

    /// The CPU this harness runs on [default: any].
    #[arg(long, value_name = "CPU")]
    cpu: Option<usize>,

    /// The CPU of what is tested: the gateway's media core, or the bare loop [default: any].
    #[arg(long, value_name = "CPU")]
    gateway_cpu: Option<usize>,
}

/// A law by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum LawName {
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
enum Driver {
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
    fn length(&self) -> Duration {
        Duration::from_secs(u64::from(self.seconds))
    }

    fn terms(&self) -> Terms {
        let ptime_ms: NonZeroU8 = self.ptime.parse().expect("it is one of those listed");
        Terms { law: self.law.into(), ptime_ms }
    }

    /// What is between the harness and what is tested.
    fn network(&self) -> Result<Network, Failure> {
        // A program on loopback is the kernel's own reception: it would be no driver's that is measured.
        if self.wire || self.driver == Driver::Xdp { Network::wire() } else { Ok(Network::Loopback) }
    }

    /// The load that warms up, and then lasts so long.
    fn shape(&self, length: Duration) -> Shape {
        let terms = self.terms();
        let ptime_ms = u64::from(terms.ptime_ms.get());
        Shape {
            ds0s: self.ds0,
            ptime_octets: ptime_ms as usize * OCTETS_PER_MS,
            payload_type: terms.payload_type(),
            packets: ((WARM_UP + length).as_millis() as u64).div_ceil(ptime_ms),
        }
    }

    /// What a report repeats of it.
    fn settings(&self) -> Vec<(&'static str, Value)> {
        let terms = self.terms();
        let cpu = |cpu: Option<usize>| cpu.map_or(Value::Text("any".to_owned()), |n| Value::Count(n as u64));
        vec![
            ("ds0", Value::Count(u64::from(self.ds0))),
            ("seconds", Value::Count(u64::from(self.seconds))),
            ("ptime_ms", Value::Count(u64::from(terms.ptime_ms.get()))),
            ("law", Value::Text(terms.law.to_string())),
            ("driver", Value::Text(self.driver.to_string())),
            (
                "wire",
                Value::Text(if self.wire || self.driver == Driver::Xdp { "veth" } else { "none" }.to_owned()),
            ),
            ("cpu", cpu(self.cpu)),
            ("gateway_cpu", cpu(self.gateway_cpu)),
        ]
    }
}

const OCTETS_PER_MS: usize = 8;

/// The exit code of what cannot be measured, bad arguments among it.
const NOT_MEASURED: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli).and_then(|report| shown(&report, &cli)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tollgate-bench: {error}");
            ExitCode::from(NOT_MEASURED)
        }
    }
}

fn run(cli: &Cli) -> Result<Report, Failure> {
    let operator = Operator::new()?;
    let report = match &cli.command {
        Command::Density(args) => density::run(args, &operator),
        Command::Delay(args) => delay::run(args, &operator),
        Command::Floor(args) => floor::run(args, &operator),
        Command::SetupRate(args) => setup_rate::run(args, &operator),
        Command::Soak(args) => soak::run(args, &operator),
        Command::Scale(args) => scale::run(args, &operator),
    };
    operator.clear();
    let mut report = report?;
    report.require(&cli.require);
    Ok(report)
}

fn shown(report: &Report, cli: &Cli) -> Result<ExitCode, Failure> {
    let mut out = io::stdout().lock();
    if cli.json {
        report.write_json(&mut out)?;
    } else {
        report.write_table(&mut out)?;
    }
    if let Some(folder) = &cli.report {
        report.write_page(folder)?;
    }
    Ok(report.verdict.exit_code())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
