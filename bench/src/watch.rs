//! Watches a gateway's memory and descriptors while it is under load: they must not grow.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use drivers::time::Clock;

use crate::Failure;
use crate::host;
use crate::report::Section;

/// What was seen.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Watched {
    samples: Vec<Sample>,
}

/// What a process held at a time.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Sample {
    /// Since the first.
    at: Duration,
    /// Octets of memory.
    resident: u64,
    /// Descriptors.
    descriptors: u64,
}

/// Runs `f`, and beside it looks at a process that often, if it can be seen from here.
///
/// # Errors
/// What `f` says.
pub(crate) fn beside<T>(
    process: Option<u32>,
    every: Duration,
    f: impl FnOnce() -> Result<T, Failure>,
) -> Result<(T, Watched), Failure> {
    let Some(process) = process else { return Ok((f()?, Watched::default())) };
    thread::scope(|scope| {
        let (stop, stopped) = mpsc::sync_channel::<()>(0);
        let watching = scope.spawn(move || {
            let mut watched = Watched::default();
            let begin = Clock.now();
            loop {
                // One that has ended is not looked at any more; others say why.
                let seen = host::resident(process).and_then(|it| Ok((it, host::descriptors(process)?)));
                let Ok((resident, descriptors)) = seen else { return watched };
                watched.samples.push(Sample { at: Clock.now().since(begin), resident, descriptors });
                if stopped.recv_timeout(every) != Err(mpsc::RecvTimeoutError::Timeout) {
                    return watched;
                }
            }
        });
        let done = f();
        drop(stop);
        let watched = watching.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok((done?, watched))
    })
}

impl Watched {
    /// In what it was not flat. The first half does not count: tables grow to what the load wants of them.
    pub(crate) fn growth(&self) -> Vec<String> {
        let half = &self.samples[self.samples.len() / 2..];
        let (before, after) = half.split_at(half.len() / 2);
        let most = |samples: &[Sample], of: fn(&Sample) -> u64| samples.iter().map(of).max();
        let both = |of: fn(&Sample) -> u64| most(before, of).zip(most(after, of));
        let mut reasons = Vec::new();
        if let Some((before, after)) = both(|sample| sample.resident)
            && after > before + before / GROWTH_MAX_PART
        {
            reasons.push(format!("memory grew from {:.1} to {:.1} MiB", mib(before), mib(after)));
        }
        if let Some((before, after)) = both(|sample| sample.descriptors)
            && after > before
        {
            reasons.push(format!("descriptors grew from {before} to {after}"));
        }
        reasons
    }

    /// Its figures; none if nothing was seen.
    pub(crate) fn section(&self) -> Option<Section> {
        let (first, last) = self.samples.first().zip(self.samples.last())?;
        let most = self.samples.iter().map(|sample| sample.resident).max()?;
        let mut section = Section::new("memory and descriptors of the gateway");
        section.number("memory_first", "memory before the first call", mib(first.resident), "MiB");
        section.number("memory_most", "the most", mib(most), "MiB");
        section.number(
            "memory_last",
            "at the end, responses of the last 30 s kept",
            mib(last.resident),
            "MiB",
        );
        section.count(
            "descriptors_first",
            "descriptors before the first call",
            first.descriptors,
            "descriptors",
        );
        section.count("descriptors_last", "at the end", last.descriptors, "descriptors");
        let course = |of: fn(&Sample) -> f64| {
            self.samples.iter().map(|sample| (sample.at.as_secs_f64(), of(sample))).collect()
        };
        section.course("memory of the gateway", "MiB", course(|sample| mib(sample.resident)));
        section.course("descriptors of the gateway", "", course(|sample| sample.descriptors as f64));
        Some(section)
    }
}

/// The part of its memory by which a gateway may grow and still be flat: what allocators keep varies.
const GROWTH_MAX_PART: u64 = 50;

fn mib(octets: u64) -> f64 {
    octets as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(samples: &[(u64, u64)]) -> Watched {
        let sample = |(second, &(mib, descriptors)): (usize, &(u64, u64))| Sample {
            at: Duration::from_secs(second as u64),
            resident: mib << 20,
            descriptors,
        };
        Watched { samples: samples.iter().enumerate().map(sample).collect() }
    }

    #[test]
    fn what_grows_at_first_and_then_no_more_is_flat() {
        assert!(
            watched(&[(50, 9), (80, 9), (99, 9), (100, 9), (100, 9), (100, 9), (101, 9), (101, 9)])
                .growth()
                .is_empty()
        );
        assert!(watched(&[]).growth().is_empty() && watched(&[(9, 9)]).growth().is_empty());
    }

    #[test]
    fn memory_that_still_grows_at_the_end_is_told_and_so_is_a_single_descriptor() {
        let grown =
            watched(&[(50, 9), (80, 9), (99, 9), (100, 9), (100, 9), (100, 9), (103, 9), (103, 9)]).growth();
        assert_eq!(grown, ["memory grew from 100.0 to 103.0 MiB"]);
        let grown = watched(&[(9, 9), (9, 9), (9, 9), (9, 9), (9, 9), (9, 9), (9, 9), (9, 10)]).growth();
        assert_eq!(grown, ["descriptors grew from 9 to 10"]);
    }

    #[test]
    fn a_process_is_watched_as_long_as_something_is_done() {
        let (done, watched) =
            beside(Some(std::process::id()), Duration::from_secs(60), || Ok(7)).expect("it runs");
        assert_eq!((done, watched.samples.len()), (7, 1));
        assert!(watched.section().is_some());
        assert_eq!(beside(None, Duration::ZERO, || Ok(7)).expect("it runs"), (7, Watched::default()));
    }
}
