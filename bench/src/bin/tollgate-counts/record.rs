//! What was counted before: a line a case, in a file that is kept with the source.

use std::fmt;
use std::path::Path;

use crate::Failure;

/// What one case costs, each time that it is done.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Count {
    pub(crate) instructions: f64,
    /// Cache lines that a second-level cache of 2 MiB has to fetch, for data.
    pub(crate) misses: f64,
}

impl Count {
    /// Reads the totals of a callgrind file, of what was done `times` times.
    ///
    /// # Errors
    /// If it is none, or nothing was counted.
    pub(crate) fn from_callgrind(text: &str, times: u64) -> Result<Self, Failure> {
        let fields = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            line.map(|rest| rest.split_whitespace().collect::<Vec<_>>()).ok_or(format!("no {key} in it"))
        };
        let (events, totals) = (fields("events:")?, fields("totals:")?);
        let total = |event: &str| -> Result<f64, Failure> {
            let place = events.iter().position(|one| *one == event).ok_or(format!("no {event} counted"))?;
            Ok(totals.get(place).map_or(Ok(0), |total| total.parse::<u64>())? as f64)
        };
        let instructions = total("Ir")?;
        if instructions == 0.0 || times == 0 {
            return Err("nothing was counted".into());
        }
        let misses = total("DLmr")? + total("DLmw")?;
        Ok(Self { instructions: instructions / times as f64, misses: misses / times as f64 })
    }

    /// Whether it is more than `before` by more than `tolerance` percent, or five times that for misses.
    /// Less than one miss in ten does not count: nobody would notice.
    pub(crate) fn excess(&self, before: Self, tolerance: f64) -> bool {
        let most = |before: f64, percent: f64| before * (1.0 + percent / 100.0);
        self.instructions > most(before.instructions, tolerance)
            || self.misses > most(before.misses, 5.0 * tolerance) + MISSES_SPARE
    }
}

/// A difference in misses that says nothing.
const MISSES_SPARE: f64 = 0.1;

/// All that was counted at one time.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Record {
    compiler: String,
    counts: Vec<(String, Count)>,
}

impl Record {
    pub(crate) fn new(compiler: String, counts: Vec<(String, Count)>) -> Self {
        Self { compiler, counts }
    }

    /// # Errors
    /// If the file is not there, or not one of ours.
    pub(crate) fn read(file: &Path) -> Result<Self, Failure> {
        Self::parse(&std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?)
    }

    fn parse(text: &str) -> Result<Self, Failure> {
        let compiler = text.lines().find_map(|line| line.strip_prefix(COMPILER)).unwrap_or_default();
        let mut counts = Vec::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let [name, instructions, misses] = line.split_whitespace().collect::<Vec<_>>()[..] else {
                return Err(format!("not a name and two counts: {line}").into());
            };
            let count = Count { instructions: instructions.parse()?, misses: misses.parse()? };
            counts.push((name.to_owned(), count));
        }
        Ok(Self::new(compiler.to_owned(), counts))
    }

    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn write(&self, file: &Path) -> Result<(), Failure> {
        Ok(std::fs::write(file, self.to_string())?)
    }

    pub(crate) fn count(&self, name: &str) -> Option<Count> {
        self.counts.iter().find(|(one, _)| one == name).map(|(_, count)| *count)
    }

    pub(crate) fn compiler(&self) -> &str {
        &self.compiler
    }
}

/// Before the name of the compiler.
const COMPILER: &str = "# compiler: ";

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# Written by `cargo run --release -p bench --bin tollgate-counts -- record`; its --help"
        )?;
        writeln!(f, "# says what each case does once. Instructions, and lines fetched into 2 MiB of cache.")?;
        writeln!(f, "{COMPILER}{}", self.compiler)?;
        for (name, Count { instructions, misses }) in &self.counts {
            writeln!(f, "{name:10} {instructions:>10.1} {misses:>8.2}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: Count = Count { instructions: 1_000.0, misses: 10.0 };

    #[test]
    fn what_is_written_reads_the_same() {
        let record = Record::new("rustc 1".to_owned(), vec![("parse".to_owned(), BEFORE)]);
        let read = Record::parse(&record.to_string()).expect("it is one of ours");
        assert_eq!(read, record);
        assert_eq!((read.count("parse"), read.count("crcx")), (Some(BEFORE), None));
        assert!(Record::parse("parse many 3").is_err());
    }

    #[test]
    fn totals_are_shared_out_over_the_times() {
        let text = "events: Ir Dr DLmr DLmw\nsummary: 1 2 3 4\ntotals: 600 5 30 15\n";
        let count = Count::from_callgrind(text, 3).expect("all is there");
        assert_eq!(count, Count { instructions: 200.0, misses: 15.0 });
        assert!(Count::from_callgrind("events: Ir DLmr DLmw\ntotals: 0\n", 3).is_err(), "nothing counted");
        assert!(Count::from_callgrind("", 3).is_err());
    }

    #[test]
    fn only_more_than_the_tolerance_is_an_excess() {
        let excess = |instructions, misses| Count { instructions, misses }.excess(BEFORE, 2.0);
        assert!(!excess(1_019.0, 11.0));
        assert!(!excess(1.0, 1.0), "less is no excess");
        assert!(excess(1_021.0, 10.0));
        assert!(excess(1_000.0, 11.2));
    }
}
