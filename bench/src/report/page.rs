//! A report as a page: its figures in tables, its distributions and courses drawn.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::section::Figure;
use super::{Report, Section, draw};
use crate::Failure;

/// Makes the folder of a page, before what may take hours is measured for it.
///
/// # Errors
/// If it cannot be made.
pub(crate) fn make_folder(folder: &Path) -> Result<(), Failure> {
    Ok(fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?)
}

impl Report {
    /// Writes `index.html`, which needs no other file, and `figures.jsonl` into a folder.
    ///
    /// # Errors
    /// If they cannot be written.
    pub(crate) fn write_page(&self, folder: &Path) -> Result<(), Failure> {
        let named = |error| format!("{}: {error}", folder.display());
        fs::write(folder.join("index.html"), self.page()?).map_err(named)?;
        let mut json = Vec::new();
        self.write_json(&mut json)?;
        fs::write(folder.join("figures.jsonl"), json).map_err(named)?;
        Ok(())
    }

    fn page(&self) -> Result<String, Failure> {
        let (word, reasons) = self.verdict.words();
        let mut page = String::from(HEAD);
        writeln!(
            page,
            "<title>{0}: {word}</title>\n<h1>{0}: <span class={word}>{word}</span></h1>",
            self.bench
        )?;
        for reason in reasons {
            writeln!(page, "<p>{}</p>", escaped(reason))?;
        }
        let command: Vec<_> = std::env::args().collect();
        writeln!(
            page,
            "<p><code>{}</code></p>\n<p>{}</p>",
            escaped(&command.join(" ")),
            escaped(&machine())
        )?;
        let settings: Vec<_> = self.settings.iter().map(|(name, value)| format!("{name} {value}")).collect();
        writeln!(page, "<p>{}</p>", escaped(&settings.join(", ")))?;
        for section in &self.sections {
            section.write_page(&mut page)?;
        }
        if !self.last_words.is_empty() {
            writeln!(
                page,
                "<h2>the gateway's own account, at its end</h2>\n<pre>{}</pre>",
                escaped(&self.last_words)
            )?;
        }
        Ok(page)
    }
}

impl Section {
    fn write_page(&self, page: &mut String) -> Result<(), Failure> {
        writeln!(page, "<h2>{}</h2>\n<table>", escaped(self.title))?;
        for figure in &self.figures {
            let Figure { name, words, value, unit, .. } = figure;
            let (name, words, value) = (escaped(name), escaped(words), escaped(&value.to_string()));
            write!(page, "<tr><td>{words}<td class=value>{value}<td>{unit}")?;
            if let Some([least, most]) = figure.spread()
                && least != most
            {
                write!(page, " ({least} to {most})")?;
            }
            writeln!(page, "<td><code>{name}</code>")?;
        }
        writeln!(page, "</table>")?;
        for (words, histogram) in &self.distributions {
            let (distribution, tail) = (draw::distribution(histogram)?, draw::tail(histogram)?);
            writeln!(page, "<h3>{}, {} times</h3>\n{distribution}{tail}", escaped(words), histogram.len())?;
        }
        for course in &self.courses {
            writeln!(page, "<h3>{}</h3>\n{}", escaped(&course.words), draw::course(course)?)?;
        }
        Ok(())
    }
}

/// What it was measured on.
fn machine() -> String {
    let read = |file| fs::read_to_string(file).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("a CPU of unknown make", |(_, model)| model.trim());
    let count = cpus.lines().filter(|line| line.starts_with("processor")).count();
    format!("{count} CPUs: {model}; Linux {}", read("/proc/sys/kernel/osrelease").trim_end())
}

/// Text of HTML (§13.1.2 of its standard).
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// How a page begins.
const HEAD: &str = "<!doctype html>
<html lang=en>
<meta charset=utf-8>
<style>
body { font: 15px/1.4 sans-serif; margin: 2em auto; max-width: 1300px; padding: 0 1em }
td { padding: 0 1em 0 0 }
td.value { text-align: right; font-variant-numeric: tabular-nums }
code { color: #666 }
.PASS { color: #070 } .FAIL { color: #b00 } .INCONCLUSIVE { color: #b60 }
svg { max-width: 100%; height: auto }
pre { white-space: pre-wrap }
</style>
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::histogram;
    use crate::report::{Value, Verdict};

    #[test]
    fn a_page_has_every_figure_the_drawings_and_the_verdict_and_no_markup_of_others() {
        let mut report = Report::new("density", vec![("ds0", Value::Count(480))]);
        let mut section = Section::new("times");
        let mut times = histogram();
        times.record(20_000).expect("it is in range");
        section.times("delay", "delay", &times);
        section.course("memory", "MiB", vec![(0.0, 7.0), (1.0, 8.0)]);
        section.text("limit", "limit", "<script>");
        report.sections.push(section);
        report.verdict = Verdict::Fail(vec!["a < b".to_owned()]);
        let page = report.page().expect("it can be drawn");
        assert!(page.contains("<span class=FAIL>") && page.contains("a &lt; b"));
        assert!(page.contains("<code>delay_p99_9</code>") && page.contains("20.015"));
        assert_eq!(page.matches("<svg").count(), 3);
        assert!(!page.contains("<script>"));
    }
}
