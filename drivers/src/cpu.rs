//! What a thread asks of the CPU: where it runs, that its memory stays, how sharp its timers are.
//!
//! All of it is for the media cores, before their first tick. None of it is needed for a gateway to
//! work: without it the ticks come later and less evenly, so a failure is for the log.

use std::fmt;
use std::io;

use core_affinity::CoreId;
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::prctl;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

/// The CPUs this process may run on.
///
/// To be asked once, by the first thread, before it starts or pins others: a pinned thread sees
/// only its own CPU here, and so do the threads it starts.
pub fn cores() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap_or_default().iter().map(|core| core.id).collect()
}

/// Keeps the calling thread on one CPU.
///
/// # Errors
/// [`PinError`] if the kernel refuses: there is no such CPU, or the process may not use it.
pub fn pin(cpu: usize) -> Result<(), PinError> {
    // core_affinity aborts the process on a number that its set has no bit for.
    if cpu < libc::CPU_SETSIZE as usize && core_affinity::set_for_current(CoreId { id: cpu }) {
        Ok(())
    } else {
        Err(PinError { cpu })
    }
}

/// A thread could not be pinned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PinError {
    /// The CPU that was asked for.
    pub cpu: usize,
}

impl fmt::Display for PinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CPU {} does not exist or may not be used by this process", self.cpu)
    }
}

impl std::error::Error for PinError {}

/// Keeps all of the process's memory, present and future, out of swap, so that no tick waits for a disk.
///
/// A limit that is enough today would make some later allocation fail, in mid-call, so there must be none:
/// CAP_IPC_LOCK or an infinite `RLIMIT_MEMLOCK`.
///
/// # Errors
/// That there is a limit, or what the kernel says.
pub fn lock_memory() -> io::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_MEMLOCK)?;
    if setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY).is_err() && !has_ipc_lock() {
        return Err(io::Error::other(format!("RLIMIT_MEMLOCK is {hard} octets, and must be infinite")));
    }
    mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE).map_err(io::Error::from)
}

/// Whether this process may lock memory without limit.
fn has_ipc_lock() -> bool {
    const CAP_IPC_LOCK: u32 = 14;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    bits.is_some_and(|bits| bits & 1 << CAP_IPC_LOCK != 0)
}

/// Makes the calling thread's timers fire within a nanosecond of their time instead of the usual 50 us.
///
/// # Errors
/// What the kernel says; Linux has no reason to refuse.
pub fn prepare_timer_slack() -> io::Result<()> {
    prctl::set_timerslack(1).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_thread_is_pinned_to_a_cpu_it_may_use() {
        let all = cores();
        let last = *all.last().expect("this test runs on a CPU");
        thread::spawn(move || {
            assert_eq!(pin(last), Ok(()));
            assert_eq!(cores(), [last]);
        })
        .join()
        .expect("the pinned thread found itself pinned");
        assert_eq!(cores(), all);
    }

    #[test]
    fn a_cpu_that_is_not_there_is_refused_by_number() {
        assert_eq!(pin(usize::MAX), Err(PinError { cpu: usize::MAX }));
        assert_eq!(pin(1_024), Err(PinError { cpu: 1_024 }));
        let error = pin(1_000).expect_err("no such CPU");
        assert_eq!(error.to_string(), "CPU 1000 does not exist or may not be used by this process");
    }

    #[test]
    fn timer_slack_is_one_nanosecond_in_the_thread_that_asks() {
        thread::spawn(|| {
            prepare_timer_slack().expect("Linux has no reason to refuse");
            assert_eq!(prctl::get_timerslack(), Ok(1));
        })
        .join()
        .expect("the thread read back its own slack");
    }
}
