//! A thread that does nothing but wake by the clock: how late it is, the machine is.
//!
//! A gateway's core cannot be on time where nobody is. Beside its lateness, that of a thread on the same CPU
//! that wakes as often and has nothing to do says how much of it is the machine's: its timers, its other
//! processes, the host of a virtual machine. It waits for the gateway's own ticks, too, if they come just then.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use drivers::time::Clock;
use hdrhistogram::Histogram;

use crate::Failure;
use crate::cpus::Cpus;
use crate::load::{histogram, record};
use crate::pace::sleep_until;

/// Runs `f`, and beside it a witness where what is tested is; says what `f` says, and how late the witness was, in us.
///
/// # Errors
/// What `f` says, or if there is no such CPU.
pub(crate) fn beside<T>(
    cpus: Cpus,
    f: impl FnOnce() -> Result<T, Failure>,
) -> Result<(T, Histogram<u64>), Failure> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let watching = scope.spawn(|| cpus.run_tested("witness", || Ok(watch(&stop))));
        let done = f();
        stop.store(true, Ordering::Relaxed);
        let late = watching.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok((done?, late))
    })
}

fn watch(stop: &AtomicBool) -> Histogram<u64> {
    let mut late = histogram();
    let mut until = Clock.now();
    while !stop.load(Ordering::Relaxed) {
        until += EVERY;
        sleep_until(until);
        record(&mut late, Clock.now().since(until));
    }
    late
}

/// As often as a gateway's core has a block of a line.
const EVERY: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_witness_ends_with_what_it_stands_beside() {
        let (said, _) = beside(Cpus::default(), || Ok(7)).expect("a thread can be started");
        assert_eq!(said, 7);
        assert!(beside(Cpus::default(), || Err::<(), _>("no".into())).is_err());
    }
}
