//! What a measurement came to: a table for people, a line of JSON for each figure, or a page with drawings.

mod draw;
mod median;
mod page;
mod section;
mod verdict;

use std::io::{self, Write};

pub(crate) use self::page::make_folder;
use self::section::{Figure, quoted};
pub(crate) use self::section::{Section, Value};
pub(crate) use self::verdict::Verdict;

/// All that a measurement came to.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Report {
    bench: &'static str,
    settings: Vec<(&'static str, Value)>,
    /// The runs whose medians these are; none if it was one run.
    runs: Vec<Self>,
    pub(crate) sections: Vec<Section>,
    /// What the gateway logged of its end.
    pub(crate) last_words: String,
    /// What the harness or the machine may be to blame for.
    pub(crate) faults: Vec<String>,
    pub(crate) verdict: Verdict,
}

impl Report {
    /// A report without figures.
    pub(crate) fn new(bench: &'static str, settings: Vec<(&'static str, Value)>) -> Self {
        let (sections, last_words, faults) = (Vec::new(), String::new(), Vec::new());
        Self { bench, settings, runs: Vec::new(), sections, last_words, faults, verdict: Verdict::Pass }
    }

    /// Adds a verdict: what one of them has failed has failed.
    pub(crate) fn judge(&mut self, verdict: Verdict) {
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
            for figure in figures {
                let Figure { words, value, unit, .. } = figure;
                write!(to, "  {words:width$}  {:>12} {unit}", value.to_string())?;
                match figure.spread() {
                    Some([least, most]) if least != most => writeln!(to, "  ({least} to {most})")?,
                    _ => writeln!(to)?,
                }
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
        self.runs.iter().try_for_each(|run| run.write_json(to))?;
        let (word, reasons) = self.verdict.words();
        let verdict = Figure::new("verdict", "", Value::Text(word.to_owned()), "");
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
        if let Some([least, most]) = figure.spread() {
            write!(to, ",\"min\":{},\"max\":{}", least.json(), most.json())?;
        }
        if !figure.unit.is_empty() {
            write!(to, ",\"unit\":{}", quoted(figure.unit))?;
        }
        if !reasons.is_empty() {
            write!(to, ",\"reasons\":{}", quoted(&reasons.join("; ")))?;
        }
        writeln!(to, "}}")
    }
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
    fn the_table_ends_with_the_verdict_and_its_reasons() {
        let mut table = Vec::new();
        report().write_table(&mut table).expect("a Vec takes it");
        let table = String::from_utf8(table).expect("it is text");
        assert!(table.starts_with("density  ds0 480\n\npackets\n"), "{table}");
        assert!(table.ends_with("\nFAIL\n  one \"reason\"\n  another\n"), "{table}");
    }
}
