//! What a measurement came to: a table for people, a line of JSON for each figure, or a page with drawings.

mod draw;
mod page;

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use hdrhistogram::Histogram;

use crate::load::Figures;
use crate::measure::Cost;
use crate::requirement::Requirement;
use crate::series::Series;

/// A number or a word.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Value {
    /// How many.
    Count(u64),
    /// How much.
    Number(f64),
    /// A word or a name.
    Text(String),
}

/// One figure.
#[derive(Clone, PartialEq, Debug)]
struct Figure {
    /// Its name for programs.
    name: String,
    /// Its name for people.
    words: String,
    value: Value,
    /// Its unit; empty for words and ratios.
    unit: &'static str,
}

/// Figures that belong together.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Section {
    title: &'static str,
    figures: Vec<Figure>,
    /// Distributions of times in us, to be drawn.
    distributions: Vec<(String, Histogram<u64>)>,
    courses: Vec<Course>,
}

/// What changed over time, to be drawn.
#[derive(Clone, PartialEq, Debug)]
struct Course {
    words: String,
    unit: &'static str,
    /// Seconds, and how much it was then.
    points: Vec<(f64, f64)>,
}

/// How a measurement ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// All that was asked for held.
    Pass,
    /// It did not, for these reasons.
    Fail(Vec<String>),
    /// It did not, but the harness or the machine may be why.
    Inconclusive(Vec<String>),
}

/// All that a measurement came to.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Report {
    bench: &'static str,
    settings: Vec<(&'static str, Value)>,
    pub(crate) sections: Vec<Section>,
    /// What the gateway logged of its end.
    pub(crate) last_words: String,
    /// What the harness or the machine may be to blame for.
    pub(crate) faults: Vec<String>,
    pub(crate) verdict: Verdict,
}

impl Section {
    /// No figures yet.
    pub(crate) fn new(title: &'static str) -> Self {
        Self { title, figures: Vec::new(), distributions: Vec::new(), courses: Vec::new() }
    }

    /// How many.
    pub(crate) fn count(&mut self, name: &str, words: &str, value: u64, unit: &'static str) {
        self.push(name, words, Value::Count(value), unit);
    }

    /// How much.
    pub(crate) fn number(&mut self, name: &str, words: &str, value: f64, unit: &'static str) {
        self.push(name, words, Value::Number(value), unit);
    }

    /// A part of one, shown in percent.
    pub(crate) fn share(&mut self, name: &str, words: &str, value: f64) {
        self.push(name, words, Value::Number(value * 100.0), "%");
    }

    /// A word.
    pub(crate) fn text(&mut self, name: &str, words: &str, value: &str) {
        self.push(name, words, Value::Text(value.to_owned()), "");
    }

    /// The distribution of times in us, in ms.
    pub(crate) fn times(&mut self, name: &str, words: &str, histogram: &Histogram<u64>) {
        if histogram.is_empty() {
            return;
        }
        let of = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        let percentiles = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];
        for (percentile, quantile) in percentiles {
            let name = format!("{name}_{}", percentile.replace('.', "_"));
            self.push(&name, &format!("{words}, {percentile}"), Value::Number(of(quantile)), "ms");
        }
        self.distributions.push((words.to_owned(), histogram.clone()));
    }

    /// What changed over time: seconds, and how much it was then. It is drawn, and has no figures.
    pub(crate) fn course(&mut self, words: &str, unit: &'static str, points: Vec<(f64, f64)>) {
        self.courses.push(Course { words: words.to_owned(), unit, points });
    }

    /// The longest times of each stretch, in ms, and how many there were a second.
    pub(crate) fn series(&mut self, words: &str, series: &Series) {
        let every = series.every().as_secs_f64();
        let stretches = (0..).zip(series.stretches());
        let point = |n: u32, y: f64| (f64::from(n) * every, y);
        let longest = stretches.clone().map(|(n, it)| point(n, it.longest.as_secs_f64() * 1e3)).collect();
        let rate = stretches.map(|(n, it)| point(n, it.count as f64 / every)).collect();
        self.course(&format!("{words}: the longest"), "ms", longest);
        self.course(&format!("{words}: how many a second"), "a second", rate);
    }

    fn push(&mut self, name: &str, words: &str, value: Value, unit: &'static str) {
        self.figures.push(Figure { name: name.to_owned(), words: words.to_owned(), value, unit });
    }
}

/// The harness's figures of itself.
pub(crate) fn harness(cost: &Cost, figures: &Figures, refused: u64) -> Section {
    let mut section = Section::new("harness");
    section.share("harness_cpu", "its own CPU", cost.share(cost.harness));
    let waited = cost.harness.waited.as_secs_f64() * 1e3;
    section.number("harness_waited", "time it waited for its CPU, others having it", waited, "ms");
    section.times("harness_late", "packets sent after they were due", &figures.late);
    section.count("harness_unsent", "packets it could not send", figures.unsent + refused, "packets");
    section
}

impl Report {
    /// A report without figures.
    pub(crate) fn new(bench: &'static str, settings: Vec<(&'static str, Value)>) -> Self {
        let (sections, last_words, faults) = (Vec::new(), String::new(), Vec::new());
        Self { bench, settings, sections, last_words, faults, verdict: Verdict::Pass }
    }

    /// Holds the figures against what is required of them.
    pub(crate) fn require(&mut self, requirements: &[Requirement]) {
        let short: Vec<_> = requirements.iter().filter_map(|it| it.shortfall(self)).collect();
        let verdict = match (short.is_empty(), self.faults.is_empty()) {
            (true, _) => return,
            (false, true) => Verdict::Fail(short),
            (false, false) => {
                let known = self.verdict.reasons();
                let faults = self.faults.iter().filter(|fault| !known.contains(fault)).cloned();
                Verdict::Inconclusive(short.into_iter().chain(faults).collect())
            }
        };
        self.verdict = std::mem::replace(&mut self.verdict, Verdict::Pass).and(verdict);
    }

    /// The value of a figure by its name; of several, the first.
    pub(crate) fn figure(&self, name: &str) -> Option<&Value> {
        let mut figures = self.sections.iter().flat_map(|section| &section.figures);
        figures.find(|figure| figure.name == name).map(|figure| &figure.value)
    }

    /// Writes it for people.
    ///
    /// # Errors
    /// If nobody reads it.
    pub(crate) fn write_table(&self, to: &mut impl Write) -> io::Result<()> {
        write!(to, "{}", self.bench)?;
        for (name, value) in &self.settings {
            write!(to, "  {name} {value}")?;
        }
        writeln!(to)?;
        let figures = self.sections.iter().flat_map(|section| &section.figures);
        let width = figures.map(|figure| figure.words.chars().count()).max().unwrap_or(0);
        for Section { title, figures, .. } in &self.sections {
            writeln!(to, "\n{title}")?;
            for Figure { words, value, unit, .. } in figures {
                writeln!(to, "  {words:width$}  {:>12} {unit}", value.to_string())?;
            }
        }
        if !self.last_words.is_empty() {
            writeln!(to, "\nthe gateway's own account, at its end\n{}", self.last_words)?;
        }
        let (word, reasons) = self.verdict.words();
        writeln!(to, "\n{word}")?;
        reasons.iter().try_for_each(|reason| writeln!(to, "  {reason}"))
    }

    /// Writes it for programs: an object a line, a line a figure, numbers and strings only.
    ///
    /// # Errors
    /// If nobody reads it.
    pub(crate) fn write_json(&self, to: &mut impl Write) -> io::Result<()> {
        let (word, reasons) = self.verdict.words();
        let verdict = Figure {
            name: "verdict".to_owned(),
            words: String::new(),
            value: Value::Text(word.to_owned()),
            unit: "",
        };
        for figure in self.sections.iter().flat_map(|section| &section.figures) {
            self.write_json_line(to, figure, &[])?;
        }
        self.write_json_line(to, &verdict, reasons)
    }

    fn write_json_line(&self, to: &mut impl Write, figure: &Figure, reasons: &[String]) -> io::Result<()> {
        write!(to, "{{\"bench\":{}", quoted(self.bench))?;
        for (name, value) in &self.settings {
            write!(to, ",{}:{}", quoted(name), value.json())?;
        }
        write!(to, ",\"figure\":{},\"value\":{}", quoted(&figure.name), figure.value.json())?;
        if !figure.unit.is_empty() {
            write!(to, ",\"unit\":{}", quoted(figure.unit))?;
        }
        if !reasons.is_empty() {
            write!(to, ",\"reasons\":{}", quoted(&reasons.join("; ")))?;
        }
        writeln!(to, "}}")
    }
}

impl Verdict {
    /// The verdict over both: what one alone has failed has failed.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Pass, other) => other,
            (verdict, Self::Pass) => verdict,
            (Self::Inconclusive(ours), Self::Inconclusive(theirs)) => {
                Self::Inconclusive([ours, theirs].concat())
            }
            (
                Self::Fail(ours) | Self::Inconclusive(ours),
                Self::Fail(theirs) | Self::Inconclusive(theirs),
            ) => Self::Fail([ours, theirs].concat()),
        }
    }

    /// What the process ends with: 0, 1, or 3 where nothing can be said of the gateway.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Pass => 0,
            Self::Fail(_) => 1,
            Self::Inconclusive(_) => 3,
        })
    }

    /// Why it is not a pass.
    pub(crate) fn reasons(&self) -> &[String] {
        self.words().1
    }

    fn words(&self) -> (&'static str, &[String]) {
        match self {
            Self::Pass => ("PASS", &[]),
            Self::Fail(reasons) => ("FAIL", reasons),
            Self::Inconclusive(reasons) => ("INCONCLUSIVE", reasons),
        }
    }
}

impl Value {
    fn json(&self) -> String {
        match self {
            Self::Count(count) => count.to_string(),
            // JSON has no infinity and no NaN.
            Self::Number(number) if !number.is_finite() => quoted(&number.to_string()),
            Self::Number(number) => format!("{number:.4}"),
            Self::Text(text) => quoted(text),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Number(number) => write!(f, "{number:.3}"),
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// A string of JSON (RFC 8259 §7).
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\u{0}'..='\u{1F}' => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report::new("density", vec![("ds0", Value::Count(480))]);
        let mut section = Section::new("packets");
        section.count("sent", "packets sent", 7, "packets");
        section.share("cpu", "its \"CPU\"", 0.25);
        section.text("limit", "limit", "line 1\nline 2");
        report.sections.push(section);
        report.verdict = Verdict::Fail(vec!["one \"reason\"".to_owned(), "another".to_owned()]);
        report
    }

    #[test]
    fn each_figure_is_a_line_of_json_with_all_settings() {
        let mut json = Vec::new();
        report().write_json(&mut json).expect("a Vec takes it");
        let expected = r#"{"bench":"density","ds0":480,"figure":"sent","value":7,"unit":"packets"}
{"bench":"density","ds0":480,"figure":"cpu","value":25.0000,"unit":"%"}
{"bench":"density","ds0":480,"figure":"limit","value":"line 1\u000aline 2"}
{"bench":"density","ds0":480,"figure":"verdict","value":"FAIL","reasons":"one \"reason\"; another"}
"#;
        assert_eq!(String::from_utf8(json).expect("it is text"), expected);
    }

    #[test]
    fn what_is_required_and_does_not_hold_fails_unless_the_harness_may_be_why() {
        let required = |faults: &[&str], requirement: &str| {
            let mut report = Report { verdict: Verdict::Pass, ..report() };
            report.faults = faults.iter().map(|fault| (*fault).to_owned()).collect();
            report.require(&[requirement.parse().expect("it is a requirement")]);
            report.verdict
        };
        assert_eq!(required(&["late"], "cpu<=25"), Verdict::Pass);
        assert!(matches!(required(&[], "cpu<=24"), Verdict::Fail(reasons) if reasons.len() == 1));
        assert!(
            matches!(required(&["late"], "cpu<=24"), Verdict::Inconclusive(reasons) if reasons.len() == 2)
        );
    }

    #[test]
    fn the_table_ends_with_the_verdict_and_its_reasons() {
        let mut table = Vec::new();
        report().write_table(&mut table).expect("a Vec takes it");
        let table = String::from_utf8(table).expect("it is text");
        assert!(table.starts_with("density  ds0 480\n\npackets\n"), "{table}");
        assert!(table.ends_with("\nFAIL\n  one \"reason\"\n  another\n"), "{table}");
    }

    #[test]
    fn what_is_no_number_is_no_number_in_json_either() {
        assert_eq!(Value::Number(f64::NAN).json(), "\"NaN\"");
        assert_eq!(Value::Number(1.0 / 3.0).json(), "0.3333");
    }
}
