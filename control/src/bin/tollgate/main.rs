//! The `tollgate` binary: runs a gateway, checks its configuration, shows it at work.
//!
//! The only place that sees everything: it builds and wires, and decides nothing.
#![forbid(unsafe_code)]

mod cli;
mod compose;
mod demo;
mod log;
mod recorder;
mod spans;
mod summary;

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use control::config::Config;
use control::config_file::ConfigError;
use control::run::Signals;
use tracing::{error, info};

use cli::{CheckArgs, Cli, Command, RunArgs};
use compose::Assembly;
use log::Log;
use recorder::Recorder;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => run(&args),
        Command::Check(args) => check(&args),
        Command::Defaults(_) => defaults(),
        Command::Demo(args) => demo::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // For whoever still reads it.
            let _ = writeln!(std::io::stderr(), "tollgate: {error}");
            if error.is::<demo::Inconclusive>() { ExitCode::from(INCONCLUSIVE) } else { ExitCode::FAILURE }
        }
    }
}

/// The exit code of a demo that a busy host has spoilt; that of `tollgate-bench` for the same.
const INCONCLUSIVE: u8 = 3;

/// What is told on standard error before the exit code says that something went wrong.
type Failure = Box<dyn std::error::Error>;

/// `tollgate run`.
fn run(args: &RunArgs) -> Result<(), Failure> {
    let config = match &args.config {
        Some(file) => read(file)?,
        None => Config::default(),
    };
    // Before any other thread: they inherit that these signals wait to be read.
    let signals = Signals::catch()?;
    let _log = Log::start(config.log.level)?;
    let lines = spans::build(&config)?;
    let mut assembly = Assembly::new(&config, lines.spans, Some(signals))?;
    if let Some(file) = &args.config {
        assembly.reload_from(file);
    }
    let recorder = Recorder::start(lines.recordings)?;
    info!("tollgate {}", env!("CARGO_PKG_VERSION"));
    summary::log_start(assembly.config(), args.config.as_deref());
    let started = assembly.start()?;
    info!("in service");
    let ended = started.run();
    recorder.stop();
    summary::log_end(&ended, &lines.patterns);
    match ended.outcome {
        Ok(()) => Ok(()),
        Err(error) => {
            error!(%error, "the gateway has failed");
            Err(error.into())
        }
    }
}

/// `tollgate check`.
fn check(args: &CheckArgs) -> Result<(), Failure> {
    let config = read(&args.file)?;
    say(format_args!("{} is right:", args.file.display()));
    for (subject, text) in summary::lines(&config) {
        say(format_args!("  {subject:<8} {text}"));
    }
    Ok(())
}

/// `tollgate defaults`.
fn defaults() -> Result<(), Failure> {
    const FILE: &str = include_str!("../../../../deploy/tollgate.toml");
    match std::io::stdout().write_all(FILE.as_bytes()) {
        // Who has seen enough (`head`) has not been failed.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A configuration file, or all that is wrong with it.
fn read(file: &Path) -> Result<Config, Failure> {
    let octets = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let text = String::from_utf8(octets).map_err(|error| {
        let right = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = right.iter().filter(|&&octet| octet == b'\n').count() + 1;
        format!("{}: line {line} is not UTF-8 text", file.display())
    })?;
    let base = file.parent().unwrap_or(Path::new(""));
    Config::parse(&text, base).map_err(|errors| listed(file, &errors).into())
}

fn listed(file: &Path, errors: &[ConfigError]) -> String {
    let lines: String = errors.iter().map(|error| format!("\n  {error}")).collect();
    format!("{} has {}:{lines}", file.display(), counted(errors.len(), "error"))
}

/// So many of something.
fn counted(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// A line on standard output, for whoever still reads it.
fn say(line: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Whether the terminal says of itself that it understands no commands.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}
