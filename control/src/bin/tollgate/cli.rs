//! What can be said on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use drivers::line::Law;

/// A TDM trunk gateway: a softswitch controls it with MGCP (RFC 3435); it moves DS0 channels between
/// E1/T1 spans and RTP.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(RunArgs),
    Check(CheckArgs),
    Defaults(DefaultsArgs),
    Demo(DemoArgs),
}

/// Runs the gateway until SIGTERM or Ctrl-C.
///
/// Everything is bound and made before anything starts: a port that is taken or a file that is not
/// there means no gateway, not half of one. SIGTERM and Ctrl-C tell the call agents (RSIP), end all
/// calls and stop within a second; SIGUSR2 stops with the last call; SIGHUP reads from the file again what
/// is in service; SIGUSR1 logs all counters. The log goes to standard error.
///
/// Exit code: 0 when it was told to end, 1 when it could not start or a core failed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    tollgate run                                  four simulated E1s, controlled from this host\n  \
    tollgate run --config /etc/tollgate.toml      as the file says\n  \
    RUST_LOG=debug tollgate run                   with a line for each command")]
pub(crate) struct RunArgs {
    /// The configuration file; without one, what `tollgate defaults` prints.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// Tells everything that is wrong with a configuration file, each error with its line.
///
/// Nothing is bound or started. Exit code: 0 when the file is right, 1 when it is not.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tollgate check deploy/tollgate.toml")]
pub(crate) struct CheckArgs {
    /// The configuration file.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// Prints every setting with its unit, range, default and reason, as a configuration file to start from.
///
/// As it stands, the file says what runs without one.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tollgate defaults > tollgate.toml")]
pub(crate) struct DefaultsArgs {}

/// Carries calls between simulated spans, over real sockets, and checks every octet.
///
/// Starts a gateway in this process and a call agent that controls it by MGCP over loopback UDP.
/// Timeslots call each other in pairs; each says recorded speech of its own, which crosses RTP over
/// io_uring both ways. What each far end hears is compared, octet by octet, with what was sent.
///
/// Exit code: 0 when every call carried speech and nothing was lost but what --loss asked for, 1 when
/// not, 2 when it was asked for something that there is not, 3 when octets are missing and this host was too busy
/// to say whose fault that is.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  \
    tollgate demo                                       62 calls over 4 E1s, until Ctrl-C\n  \
    tollgate demo --spans 4 --calls 60 --seconds 20     60 calls, 20 seconds, and a verdict\n  \
    tollgate demo --spans 1 --calls 1 --record heard    one call; what was heard, as WAV files\n  \
    tollgate demo --seconds 20 --loss 5                 one RTP packet in twenty is lost")]
pub(crate) struct DemoArgs {
    /// Simulated spans: 1 to 64.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) spans: u16,

    /// What the spans are: 31 channels in A-law, or 24 in mu-law.
    #[arg(long, value_enum, default_value_t = CarrierName::E1)]
    pub(crate) carrier: CarrierName,

    /// Two-way calls, each between two timeslots: 1 to as many as the spans have room for [default: all].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=CALLS_MAX))]
    pub(crate) calls: Option<u32>,

    /// How long the calls last, in seconds: 1 to 86400 [default: until Ctrl-C].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) seconds: Option<u32>,

    /// Writes what each far end heard to DIR, as a G.711 WAV file named by its endpoint. DIR is made if
    /// need be, and files of the same names are overwritten.
    #[arg(long, value_name = "DIR")]
    pub(crate) record: Option<PathBuf>,

    /// RTP packets to lose on their way, in percent: 0 to 50.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent, allow_negative_numbers = true)]
    pub(crate) loss: f64,

    /// Packetization period, in milliseconds.
    #[arg(long, value_name = "MS", default_value = "20", value_parser = ["5", "10", "20", "30", "40", "60"])]
    pub(crate) ptime: String,

    /// The law in RTP [default: that of the line, so that octets pass unchanged].
    #[arg(long, value_enum)]
    pub(crate) law: Option<LawName>,

    /// Media cores, each with spans of its own: 1 to as many as there are spans.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) cores: u16,

    /// The seed of what is random in this run [default: another each time].
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
}

/// Two timeslots each, on 64 E1s.
const CALLS_MAX: i64 = 64 * 31 / 2;

/// A carrier by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum CarrierName {
    E1,
    T1,
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

fn percent(text: &str) -> Result<f64, String> {
    let percent: f64 = text.trim_end_matches('%').parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=50.0).contains(&percent) { Ok(percent) } else { Err("not from 0 to 50".to_owned()) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn loss_is_a_share_in_percent() {
        assert_eq!(percent("5"), Ok(5.0));
        assert_eq!(percent("0.5%"), Ok(0.5));
        assert!(percent("51").is_err() && percent("-1").is_err() && percent("much").is_err());
    }
}
