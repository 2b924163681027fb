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
mod cpus;
mod delay;
mod density;
mod floor;
mod host;
mod kernel;
mod load;
mod load_args;
mod measure;
mod operator;
mod pace;
mod pattern;
mod priority;
mod report;
mod requirement;
mod scale;
mod schedule;
mod search;
mod series;
mod setup_rate;
mod soak;
mod sockets;
mod syscalls;
mod target;
mod ticks;
mod watch;
mod wire;
mod witness;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use drivers::cpu;

use cpus::Cpus;
use delay::DelayArgs;
use density::DensityArgs;
use floor::FloorArgs;
use operator::Operator;
use report::{Report, Verdict};
use requirement::Requirement;
use scale::ScaleArgs;
use setup_rate::SetupRateArgs;
use soak::SoakArgs;
use target::GatewayFault;

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
    #[arg(long, global = true, help_heading = "The report")]
    json: bool,

    /// Writes a page with all figures and the drawings of distributions and courses, `index.html`, there.
    #[arg(long, global = true, help_heading = "The report", value_name = "DIR")]
    report: Option<PathBuf>,

    /// The most that a figure, by its name in --json, may be; with >= the least. Can be given several times.
    #[arg(long, global = true, help_heading = "The report", value_name = "FIGURE<=NUMBER")]
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

/// The exit code of what cannot be measured, bad arguments among it.
const NOT_MEASURED: u8 = 2;

impl Command {
    /// Its name.
    fn name(&self) -> &'static str {
        match self {
            Self::Density(_) => "density",
            Self::Delay(_) => "delay",
            Self::Floor(_) => "floor",
            Self::SetupRate(_) => "setup-rate",
            Self::Soak(_) => "soak",
            Self::Scale(_) => "scale",
        }
    }

    /// Decides what the command line leaves open of this host, whose CPUs these are; says what holds.
    fn settle(&mut self, usable: &[usize]) -> Cpus {
        match self {
            Self::Density(args) => args.settle(usable),
            Self::Delay(args) => args.settle(usable),
            Self::Floor(args) => args.settle(usable),
            Self::SetupRate(args) => args.settle(usable),
            Self::Soak(args) => args.settle(usable),
            Self::Scale(args) => args.settle(usable),
        }
    }
}

fn main() -> ExitCode {
    let mut cli = Cli::parse();
    // Asked here, by the first thread: one that is pinned sees only its own.
    let cpus = cli.command.settle(&cpu::cores());
    match run(&cli, cpus).and_then(|report| shown(&report, &cli)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tollgate-bench: {error}");
            ExitCode::from(NOT_MEASURED)
        }
    }
}

fn run(cli: &Cli, cpus: Cpus) -> Result<Report, Failure> {
    let operator = Operator::new()?;
    cpus.priority().tell(&operator);
    if let Some(folder) = &cli.report {
        report::make_folder(folder)?;
    }
    let report = match &cli.command {
        Command::Density(args) => density::run(args, &operator),
        Command::Delay(args) => delay::run(args, &operator),
        Command::Floor(args) => floor::run(args, &operator),
        Command::SetupRate(args) => setup_rate::run(args, &operator),
        Command::Soak(args) => soak::run(args, &operator),
        Command::Scale(args) => scale::run(args, &operator),
    };
    operator.clear();
    let mut report = report.or_else(|error| failed(cli.command.name(), error))?;
    requirement::hold(&mut report, &cli.require);
    Ok(report)
}

/// The report of a gateway that has left nothing to measure; any other error is one of ours.
fn failed(bench: &'static str, error: Failure) -> Result<Report, Failure> {
    let fault = error.downcast::<GatewayFault>()?;
    let mut report = Report::new(bench, Vec::new());
    report.verdict = Verdict::Fail(vec![fault.to_string()]);
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
    use crate::priority::Priority;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn each_command_runs_without_any_further_option() {
        for line in [
            "density --ds0 4096 --seconds 30",
            "density --driver xdp --ds0 8064",
            "density --ds0 480 --ramp --ptime 10 --law mu --json",
            "floor",
            "delay",
            "scale",
            "setup-rate --max --report there --require throughput>=10000",
            "soak --hours 1",
            "soak --hours 0.25",
        ] {
            let cli = Cli::try_parse_from(["tollgate-bench"].into_iter().chain(line.split(' ')));
            let mut cli = cli.unwrap_or_else(|error| panic!("{line}: {error}"));
            let cpus = cli.command.settle(&[0, 1]);
            assert_eq!((cpus.harness().number(), cpus.gateway().number()), (Some(0), Some(1)), "{line}");
            assert_eq!(cpus.priority(), Priority::RealTime, "{line}");
        }
    }

    #[test]
    fn a_gateway_that_leaves_nothing_to_measure_has_failed_and_other_errors_are_ours() {
        let report = failed("density", GatewayFault("it has ended".to_owned()).into()).expect("a verdict");
        assert_eq!(report.verdict, Verdict::Fail(vec!["it has ended".to_owned()]));
        assert!(failed("density", "no such CPU".into()).is_err());
    }
}
