//! Counts the instructions of what a core and control do most, and compares them with what is recorded.
//!
//! Times differ from run to run on a machine that others use as well; instructions hardly do, and neither
//! do cache lines that a simulated cache has to fetch. So a change that costs something shows here, in a
//! minute, on any machine that has valgrind:
//!
//! ```text
//! cargo run --release -p bench --bin tollgate-counts             compares with bench/counts.txt
//! cargo run --release -p bench --bin tollgate-counts -- record   writes it anew
//! ```
//!
//! Each case runs in a process of its own under callgrind, which counts only what is done inside
//! [`counted`]. Another compiler, C library or CPU (which copy of `memcpy` is taken) makes other counts.

#![forbid(unsafe_code)]

mod control_cases;
mod core_cases;
mod frame_cases;
mod record;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Parser, Subcommand, ValueEnum};

use record::{Count, Record};

/// Whatever keeps counts from being made.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Counts instructions and cache misses of the hot functions, and compares them with the record.
///
/// Exit code: 0 when all are as recorded or better, or when there is no valgrind (which is said); 1 when
/// one is more than --tolerance above its record, 2 when they could not be counted.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    task: Option<Task>,

    /// How far above the record instructions may be, in percent; cache misses five times as far.
    #[arg(long, value_name = "PERCENT", default_value_t = 2.0)]
    tolerance: f64,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Task {
    /// Compares with the record: what is done unless said.
    Check,
    /// Writes the record.
    Record,
    /// Does what is counted once, with nobody counting.
    Run {
        /// What to do.
        case: Case,
    },
}

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Case {
    /// A packet of 20 ms taken in: 31 DS0s.
    Receive,
    /// A block of 5 ms of one timeslot to the line: 31 DS0s.
    Playout,
    /// A block of 5 ms of one timeslot from the line: 31 DS0s.
    Capture,
    /// A packet of 20 ms sent: 31 DS0s.
    Transmit,
    /// Playout and capture of a block of 5 ms of one timeslot with its echo cancelled, 64 ms of it: 31 DS0s.
    Echo,
    /// Capture of a block of 5 ms of one timeslot that is listened to for digits, fax and modem tones: 31 DS0s.
    Listen,
    /// Receive, playout, capture and transmit for 3,100 DS0s, which no second-level cache holds; for each packet sent or received.
    Tick,
    /// A frame with a packet of 20 ms read: AF_XDP.
    FrameIn,
    /// A packet of 20 ms written into a frame: AF_XDP.
    FrameOut,
    /// A CRCX with a description read.
    Parse,
    /// That CRCX taken, planned, committed and answered.
    Crcx,
    /// A DLCX taken, planned, committed and answered.
    Dlcx,
}

impl Case {
    /// Its name, as it is recorded.
    fn name(self) -> String {
        self.to_possible_value().expect("no case is hidden").get_name().to_owned()
    }

    /// Does it, with what counts inside [`counted`]; says how often.
    fn run(self) -> u64 {
        match self {
            Self::Receive
            | Self::Playout
            | Self::Capture
            | Self::Transmit
            | Self::Echo
            | Self::Listen
            | Self::Tick => core_cases::run(self),
            Self::FrameIn | Self::FrameOut => frame_cases::run(self),
            Self::Parse | Self::Crcx | Self::Dlcx => control_cases::run(self),
        }
    }
}

/// Only what is done in here is counted: callgrind knows it by this name.
#[inline(never)]
fn counted<T>(what: impl FnOnce() -> T) -> T {
    std::hint::black_box(what())
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.task.unwrap_or(Task::Check) {
        Task::Run { case } => {
            println!("{}", case.run());
            return ExitCode::SUCCESS;
        }
        Task::Check => check(cli.tolerance),
        Task::Record => write_record(),
    };
    done.unwrap_or_else(|error| {
        eprintln!("tollgate-counts: {error}");
        ExitCode::from(2)
    })
}

fn check(tolerance: f64) -> Result<ExitCode, Failure> {
    if !has_valgrind() {
        println!("LEFT OUT: there is no valgrind here (apt-get install valgrind)");
        return Ok(ExitCode::SUCCESS);
    }
    let record = Record::read(&record_file())?;
    let mut is_worse = false;
    println!("{:10} {:>30}   {:>30}", "", "instructions (recorded)", "lines fetched (recorded)");
    for &case in Case::value_variants() {
        let (found, name) = (count(case)?, case.name());
        let before = record.count(&name).ok_or_else(|| format!("nothing is recorded of {name}"))?;
        let excess = found.excess(before, tolerance);
        is_worse |= excess;
        let verdict = if excess { "MORE" } else { "" };
        println!("{name:10} {} {verdict}", Compared { found, before });
    }
    if is_worse && record.compiler() != compiler()? {
        println!("recorded with {}, and this is {}", record.compiler(), compiler()?);
    }
    Ok(if is_worse { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn write_record() -> Result<ExitCode, Failure> {
    let counts = Case::value_variants().iter().map(|&case| Ok((case.name(), count(case)?)));
    let record = Record::new(compiler()?, counts.collect::<Result<_, Failure>>()?);
    record.write(&record_file())?;
    print!("{record}");
    Ok(ExitCode::SUCCESS)
}

/// Runs a case under callgrind, with the caches of a common server's core.
fn count(case: Case) -> Result<Count, Failure> {
    let found = std::env::temp_dir().join(format!("tollgate-counts-{}", std::process::id()));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*counted*", "--cache-sim=yes"])
        .args(["--I1=32768,8,64", "--D1=32768,8,64", "--LL=2097152,16,64"])
        .arg(format!("--callgrind-out-file={}", found.display()))
        .arg(std::env::current_exe()?)
        .args(["run", &case.name()])
        .output()?;
    let summary = std::fs::read_to_string(&found);
    // Nothing is there to be removed if valgrind has failed, which is said below.
    let _ = std::fs::remove_file(&found);
    if !output.status.success() {
        return Err(format!("{}: {}", case.name(), String::from_utf8_lossy(&output.stderr)).into());
    }
    let times: u64 = String::from_utf8_lossy(&output.stdout).trim().parse()?;
    Count::from_callgrind(&summary?, times)
}

fn has_valgrind() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success())
}

fn compiler() -> Result<String, Failure> {
    let output =
        Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into())).arg("--version").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn record_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("counts.txt")
}

/// A count beside its record.
struct Compared {
    found: Count,
    before: Count,
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { found, before } = self;
        let instructions = format!("{:.1} ({:.1})", found.instructions, before.instructions);
        let misses = format!("{:.2} ({:.2})", found.misses, before.misses);
        write!(f, "{instructions:>30}   {misses:>30}")
    }
}
