//! The system calls of a gateway's media core, a tick: counted by strace, which slows what it looks at, so
//! beside a load of its own that is measured no further.

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use drivers::time::Clock;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Failure;
use crate::host::Thread;
use crate::pace::sleep_until;
use crate::report::Section;

/// What was counted.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Calls {
    /// How often each was called.
    by_name: Vec<(String, u64)>,
    /// Ticks meanwhile.
    ticks: f64,
}

/// Counts the calls of a thread for so long; `ticks` says how many it has done since its start.
///
/// # Errors
/// Why they cannot be counted: no strace, or no privilege.
pub(crate) fn count(
    thread: Thread,
    length: Duration,
    mut ticks: impl FnMut() -> Result<u64, Failure>,
) -> Result<Calls, Failure> {
    let clock = Clock;
    let (began, before) = (clock.now(), ticks()?);
    let strace = Command::new("strace")
        .args(["-c", "-p", &thread.id().to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("strace: {error}"))?;
    let (from, text) = (clock.now(), counted(strace, length)?);
    let to = clock.now();
    let (after, ended) = (ticks()?, clock.now());
    // It looked on for a part of the time between the two readings.
    let part = to.since(from).as_secs_f64() / ended.since(began).as_secs_f64();
    let calls = Calls { by_name: table(&text), ticks: (after - before) as f64 * part };
    if calls.by_name.is_empty() { Err(text.trim().into()) } else { Ok(calls) }
}

/// Has strace look on for so long; what it says at the end.
fn counted(strace: Child, length: Duration) -> Result<String, Failure> {
    let id = Pid::from_raw(strace.id() as i32);
    thread::scope(|scope| {
        // Its output is read all the while, so that it never waits for us, and seen to end if it cannot begin.
        let reading = scope.spawn(|| strace.wait_with_output());
        let clock = Clock;
        let until = clock.now() + length;
        while clock.now() < until && !reading.is_finished() {
            sleep_until(until.min(clock.now() + Duration::from_millis(20)));
        }
        // One that is still there takes this as the end, and says what it has counted. SIGINT it would not see:
        // as this program, it has that blocked.
        for (signal, patience) in [(Signal::SIGQUIT, END_MAX), (Signal::SIGKILL, Duration::ZERO)] {
            if !reading.is_finished() {
                kill(id, signal)?;
            }
            let until = clock.now() + patience;
            while clock.now() < until && !reading.is_finished() {
                sleep_until(clock.now() + Duration::from_millis(1));
            }
        }
        let output = reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    })
}

/// How long strace may take to end.
const END_MAX: Duration = Duration::from_secs(5);

/// The lines of strace's table: a share, seconds, microseconds a call, calls, perhaps errors, and the name.
fn table(text: &str) -> Vec<(String, u64)> {
    let line = |line: &str| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let (name, calls) = (fields.last()?, fields.get(3)?);
        let _share: f64 = fields.first()?.parse().ok()?;
        let is_one = fields.len() >= 5 && *name != "total";
        is_one.then(|| Some((*name).to_owned()).zip(calls.parse().ok())).flatten()
    };
    text.lines().filter_map(line).collect()
}

/// The section of what was counted, or of why nothing was.
pub(crate) fn section(calls: &Result<Calls, Failure>) -> Section {
    let mut section = Section::new("system calls of the media core, a tick, counted after all else");
    match calls {
        Ok(Calls { by_name, ticks }) => {
            let per_tick = |n: u64| n as f64 / ticks.max(1.0);
            for (name, n) in by_name {
                section.number(&format!("syscalls_{name}"), name, per_tick(*n), "a tick");
            }
            let all = by_name.iter().map(|(_, n)| n).sum();
            section.number("syscalls", "all of them", per_tick(all), "a tick");
            section.count("syscalls_ticks", "ticks looked at", *ticks as u64, "ticks");
        }
        Err(error) => section.text("syscalls_not_counted", "not counted", &error.to_string()),
    }
    section
}

/// The ticks of a core, in the line in which a gateway of ours says its counters.
///
/// # Errors
/// If they are not there.
pub(crate) fn ticks_of(counters: &str) -> Result<u64, Failure> {
    let mut words = counters.split_ascii_whitespace();
    let ticks = words.find_map(|word| word.strip_prefix("ticks="));
    Ok(ticks.ok_or("the gateway does not count its ticks")?.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "strace: Process 9 attached\nstrace: Process 9 detached\n\
        % time     seconds  usecs/call     calls    errors syscall\n\
        ------ ----------- ----------- --------- --------- ----------------\n \
         98.51    0.033000          11      2990           io_uring_enter\n  \
         1.49    0.000499         499         1         1 getsockopt\n\
        ------ ----------- ----------- --------- --------- ----------------\n\
        100.00    0.033499          11      2991         1 total\n";

    #[test]
    fn each_call_of_the_table_is_told_a_tick() {
        let by_name = table(TABLE);
        assert_eq!(by_name, [("io_uring_enter".to_owned(), 2_990), ("getsockopt".to_owned(), 1)]);
        assert_eq!(ticks_of("INFO core 0: rtp=1 ticks=2000 cpu=7").expect("it has them"), 2_000);
        assert!(ticks_of("INFO core 0: rtp=1").is_err());
    }

    #[test]
    fn what_cannot_be_counted_says_why_and_fails_nothing() {
        assert!(table("strace: attach: ptrace(PTRACE_SEIZE, 1): Operation not permitted\n").is_empty());
        let section = format!("{:?}", section(&Err("strace: not found".into())));
        assert!(section.contains("syscalls_not_counted") && section.contains("strace: not found"));
    }
}
