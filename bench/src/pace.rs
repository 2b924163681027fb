//! Threads of the harness: where they run and how they wait.

use std::thread;

use drivers::cpu;
use drivers::time::Instant;
use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_nanosleep};

use crate::Failure;

/// Runs `f` on a thread of this name, on `cpu` if one is given, and waits for it.
///
/// A thread of its own, because a gateway that is started from a pinned thread would inherit its CPU.
///
/// # Errors
/// What `f` says, or if there is no such CPU.
pub(crate) fn run_on<T: Send>(
    name: &str,
    cpu: Option<usize>,
    f: impl FnOnce() -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    let run = || {
        cpu.map_or(Ok(()), cpu::pin)?;
        cpu::prepare_timer_slack()?;
        f()
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, run)?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Sleeps until a point of the monotonic clock.
pub(crate) fn sleep_until(until: Instant) {
    let nanos = until.as_nanos();
    let until = TimeSpec::new((nanos / 1_000_000_000) as i64, (nanos % 1_000_000_000) as i64);
    // A signal ends it early; with absolute times, nothing has to be reckoned anew.
    let sleep = || clock_nanosleep(ClockId::CLOCK_MONOTONIC, ClockNanosleepFlags::TIMER_ABSTIME, &until);
    while sleep() == Err(Errno::EINTR) {}
}
