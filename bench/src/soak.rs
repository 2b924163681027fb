//! Hours of calls that come and go beside others that stay: nothing may be lost, and nothing may grow.
//!
//! It is `setup-rate` with `--beside`, watched for longer: every octet of the calls that stay is verified, the
//! gateway's counters of each are held against the harness's, and its memory and descriptors must be flat.

use std::num::NonZeroU32;

use clap::{ArgGroup, Args};

use crate::Failure;
use crate::cpus::Cpus;
use crate::load_args::LawName;
use crate::operator::Operator;
use crate::report::{Report, Verdict};
use crate::setup_rate::{self, SetupRateArgs};
use crate::target::{Measured, TargetArgs};

/// Carries calls that stay while others come and go, for hours: nothing may be lost, and nothing may grow.
///
/// Verifies every octet of the calls that stay, as `density` does, and times the commands of those that come
/// and go, as `setup-rate` does. Memory and descriptors of the gateway are to be flat: they may not be more in
/// the last quarter than in the one before, but for 2 % of memory.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("length").required(true), after_help = "Examples:\n  \
    tollgate-bench soak --hours 0.5\n  \
    tollgate-bench soak --minutes 30 --ds0 1000 --calls-per-second 50\n  \
    tollgate-bench soak --hours 24 --report soak-of-the-day\n  \
    tollgate-bench soak --hours 8 --gateway 192.0.2.1:2427 --domain gw.example")]
pub(crate) struct SoakArgs {
    /// How long, in hours or parts of one.
    #[arg(long = "hours", value_name = "H", group = "length", value_parser = seconds_of_hours)]
    hours_s: Option<u32>,

    /// How long, in minutes.
    #[arg(long, value_name = "M", group = "length", value_parser = clap::value_parser!(u32).range(1..=60_000))]
    minutes: Option<u32>,

    /// Calls that stay.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(1..=16_000))]
    ds0: u16,

    /// Calls that come and go, a second.
    #[arg(long, value_name = "R", default_value_t = NonZeroU32::new(50).expect("50 is not 0"))]
    calls_per_second: NonZeroU32,

    /// How long each of these stays up, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    hold: u32,

    /// The law that connections ask for.
    #[arg(long, value_enum, default_value_t = LawName::A)]
    law: LawName,

    #[command(flatten)]
    cpus: Cpus,

    #[command(flatten)]
    target: TargetArgs,

    /// What its jitter buffers hold, in milliseconds, 0 to 200. More than a gateway's usual 20 ms: in hours, every host
    /// stands still for some tens of milliseconds now and then, and that is not what is looked for here.
    #[arg(long, value_name = "MS", conflicts_with = "gateway", default_value_t = 60, value_parser = clap::value_parser!(u16).range(0..=200))]
    jitter_buffer: u16,
}

/// `tollgate-bench soak`.
///
/// # Errors
/// Whatever keeps it from being measured.
pub(crate) fn run(args: &SoakArgs, operator: &Operator) -> Result<Report, Failure> {
    let (mut report, watched) = setup_rate::watched(&args.calls()?, operator)?;
    let growth = watched.growth();
    if !growth.is_empty() {
        report.judge(Verdict::Fail(growth));
    }
    Ok(report)
}

impl SoakArgs {
    /// Decides what the command line leaves open, on a host with these CPUs.
    pub(crate) fn settle(&mut self, usable: &[usize]) -> Cpus {
        self.target.settle(&mut self.cpus, Measured::Control, usable);
        self.cpus
    }

    fn calls(&self) -> Result<SetupRateArgs, Failure> {
        let seconds = self.hours_s.or(self.minutes.map(|minutes| minutes * 60));
        let seconds = seconds.expect("one of them is required");
        let rate = self.calls_per_second.get();
        // As many as are up at a time, and a second's more for those that are being made and ended.
        let at_a_time = (u64::from(rate) * u64::from(self.hold)).div_ceil(1_000) + u64::from(rate);
        let ds0 = u16::try_from(u64::from(self.ds0) + at_a_time).ok().filter(|ds0| *ds0 <= 20_000);
        let ds0 =
            ds0.ok_or_else(|| format!("{} calls and {at_a_time} at a time beside are too many", self.ds0))?;
        Ok(SetupRateArgs {
            bench: "soak",
            calls_per_second: Some(rate),
            max: false,
            seconds,
            ds0,
            hold: self.hold,
            agents: 1,
            beside: self.ds0,
            require_p99: None,
            require_calls: None,
            require_failures: 0.0,
            law: self.law,
            cpus: self.cpus,
            target: self.target.clone(),
            jitter_buffer: Some(self.jitter_buffer),
        })
    }
}

/// Hours as seconds: from one second to a thousand hours.
fn seconds_of_hours(text: &str) -> Result<u32, String> {
    let seconds = text.parse::<f64>().map(|hours| (hours * 3_600.0).round());
    match seconds {
        Ok(seconds) if (1.0..=3_600_000.0).contains(&seconds) => Ok(seconds as u32),
        _ => Err("hours are a number up to 1000, such as 8 or 0.5".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        soak: SoakArgs,
    }

    #[test]
    fn there_are_endpoints_for_the_calls_that_stay_and_for_all_that_are_up_beside() {
        let calls = |args: &str| Cli::parse_from(args.split(' ')).soak.calls();
        let args =
            calls("soak --minutes 30 --ds0 1000 --calls-per-second 50 --hold 10000").expect("they fit");
        assert_eq!((args.seconds, args.beside, args.ds0), (1_800, 1_000, 1_550));
        assert_eq!(args.jitter_buffer, Some(60));
        assert!(calls("soak --hours 2 --calls-per-second 10000").is_err());
    }

    #[test]
    fn hours_may_be_parts_of_one() {
        let seconds =
            |hours| Cli::parse_from(["soak", "--hours", hours]).soak.calls().expect("they fit").seconds;
        assert_eq!(["1", "0.5", "24", "0.01"].map(seconds), [3_600, 1_800, 86_400, 36]);
        for hours in ["0", "-1", "1001", "NaN", "inf", "1h", ""] {
            assert!(seconds_of_hours(hours).is_err(), "{hours}");
        }
    }
}
