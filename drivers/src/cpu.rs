//! What a thread asks of the CPU: where it runs and ahead of whom, that its memory stays, how sharp its timers are.
//!
//! All of it is for the media cores, before their first tick, and for who measures them. None of it is needed for
//! a gateway to work: without it the ticks come later and less evenly, so a failure is for the log.

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

/// Gives the calling thread a real-time priority (SCHED_FIFO) from 1 to 99, and with it the threads and programs
/// that it starts later: nobody without one runs on a CPU that they want.
///
/// # Errors
/// What the kernel says, EPERM without CAP_SYS_NICE or an `RLIMIT_RTPRIO` that is high enough.
pub fn take_real_time_priority(level: u8) -> io::Result<()> {
    // SAFETY: it has numbers only, which differ from one C library to the other; all of them may be zero.
    let mut param: libc::sched_param = unsafe { std::mem::zeroed() };
    param.sched_priority = level.into();
    // SAFETY: the calling thread exists, and the call only reads `param`. No crate we have wraps it.
    let error =
        unsafe { libc::pthread_setschedparam(libc::pthread_self(), libc::SCHED_FIFO, &raw const param) };
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

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
    fn a_real_time_priority_is_had_or_refused_and_one_that_there_is_not_never_had() {
        thread::spawn(|| {
            let stat = || std::fs::read_to_string("/proc/thread-self/stat").expect("this thread runs");
            // Fields 40 and 41: the real-time priority, and SCHED_FIFO, which is 1.
            let had = || stat().rsplit_once(')').expect("a name").1.contains(" 7 1 ");
            match take_real_time_priority(7) {
                Ok(()) => assert!(had(), "{}", stat()),
                Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EPERM)),
            }
            let error = take_real_time_priority(100).expect_err("there are 99");
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
        })
        .join()
        .expect("the thread saw its priority");
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
