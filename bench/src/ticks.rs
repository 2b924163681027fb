//! How a gateway of ours ticked, by its own account: what it logs of each core at its end.

use hdrhistogram::Histogram;

use crate::report::Section;

/// How the ticks of one core were.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Ticks {
    /// How late blocks were exchanged, in ms: p50, p99, p99.9 and the latest.
    late_ms: [f64; 4],
    /// Blocks that were later than a block lasts.
    overruns: u64,
}

impl Ticks {
    /// Those of the first core, if the log has them.
    pub(crate) fn of(log: &str) -> Option<Self> {
        let end = log.lines().find(|line| line.contains("core has ended"))?;
        let late = end.split_once("late=")?.1;
        let mut numbers = late.split(',').filter_map(|part| {
            let mut words = part.split_ascii_whitespace();
            words.next()?;
            words.next()?.parse().ok()
        });
        let mut next = || numbers.next();
        let late_ms = [next()?, next()?, next()?, next()?];
        // Counters that are zero are not logged.
        let overruns = log.split_ascii_whitespace().find_map(|word| word.strip_prefix("span_overruns="));
        Some(Self { late_ms, overruns: overruns.and_then(|n| n.parse().ok()).unwrap_or_default() })
    }

    /// Its figures, beside those of a thread that has nothing to do.
    pub(crate) fn section(ticks: Option<Self>, witness: &Histogram<u64>) -> Section {
        let mut section = Section::new("lateness, from the start of the gateway to its end");
        if let Some(Self { late_ms, overruns }) = ticks {
            for (percentile, late_ms) in ["p50", "p99", "p99.9", "max"].into_iter().zip(late_ms) {
                let name = format!("tick_late_{}", percentile.replace('.', "_"));
                section.number(&name, &format!("the core's blocks, {percentile}"), late_ms, "ms");
            }
            section.count("tick_overruns", "blocks later than a block lasts", overruns, "blocks");
        }
        section.times("witness_late", "a thread with nothing to do on that CPU", witness);
        section
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "12:00 INFO core 0: ticks=9 span_overruns=3 cpu_nanoseconds=7\n\
                       12:00 INFO core has ended core=0 ticks=9 late=p50 0.059 ms, p99 4.129 ms, p99.9 5.000 ms, \
                       max 10.027 ms work=p50 0.042 ms, p99 0.253 ms, p99.9 0.3 ms, max 0.647 ms cpu_s=0.25\n";

    #[test]
    fn a_core_s_lateness_is_read_from_its_last_words() {
        let expected = Ticks { late_ms: [0.059, 4.129, 5.0, 10.027], overruns: 3 };
        assert_eq!(Ticks::of(LOG), Some(expected));
        let without = LOG.replace("span_overruns=3 ", "");
        assert_eq!(Ticks::of(&without), Some(Ticks { overruns: 0, ..expected }));
    }

    #[test]
    fn a_log_of_another_kind_says_nothing() {
        assert_eq!(Ticks::of(""), None);
        assert_eq!(Ticks::of("core has ended late=never"), None);
    }
}
