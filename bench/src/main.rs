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

use delay::DelayArgs;
use density::DensityArgs;
use floor::FloorArgs;
use operator::Operator;
use report::Report;
use requirement::Requirement;
use scale::ScaleArgs;
use setup_rate::SetupRateArgs;
use soak::SoakArgs;

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

    /// What a figure, by its name in --json, must be at most or, with >=, at least. Can be repeated.
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
    let mut report = report?;
    requirement::hold(&mut report, &cli.require);
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
