//! Figures that belong together, and what is drawn beside them.

use std::fmt;

use hdrhistogram::Histogram;

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
pub(super) struct Figure {
    /// Its name for programs.
    pub(super) name: String,
    /// Its name for people.
    pub(super) words: String,
    pub(super) value: Value,
    /// Its unit; empty for words and ratios.
    pub(super) unit: &'static str,
    /// Whether it is to be zero: of several runs the worst counts, not the median.
    pub(super) is_fault: bool,
    /// The least and the most of several runs, if it is of all of them.
    pub(super) between: Option<[f64; 2]>,
}

/// Figures that belong together.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Section {
    pub(super) title: &'static str,
    pub(super) figures: Vec<Figure>,
    /// Distributions of times in us, to be drawn.
    pub(super) distributions: Vec<(String, Histogram<u64>)>,
    pub(super) courses: Vec<Course>,
}

/// What changed over time, to be drawn.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Course {
    pub(super) words: String,
    pub(super) unit: &'static str,
    /// Seconds, and how much it was then.
    pub(super) points: Vec<(f64, f64)>,
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

    /// How many of what there should be none of.
    pub(crate) fn fault(&mut self, name: &str, words: &str, value: u64, unit: &'static str) {
        self.figures.push(Figure { is_fault: true, ..Figure::new(name, words, Value::Count(value), unit) });
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
        self.figures.push(Figure::new(name, words, value, unit));
    }
}

impl Figure {
    pub(super) fn new(name: &str, words: &str, value: Value, unit: &'static str) -> Self {
        Self { name: name.to_owned(), words: words.to_owned(), value, unit, is_fault: false, between: None }
    }

    /// The least and the most of several runs, as values of its kind.
    pub(super) fn spread(&self) -> Option<[Value; 2]> {
        let like = |number: f64| match self.value {
            Value::Count(_) => Value::Count(number as u64),
            Value::Number(_) | Value::Text(_) => Value::Number(number),
        };
        self.between.map(|both| both.map(like))
    }
}

impl Value {
    /// As a number, if it is one.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Count(count) => Some(*count as f64),
            Self::Number(number) => Some(*number),
            Self::Text(_) => None,
        }
    }

    pub(super) fn json(&self) -> String {
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
pub(super) fn quoted(text: &str) -> String {
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

    #[test]
    fn what_is_no_number_is_no_number_in_json_either() {
        assert_eq!(Value::Number(f64::NAN).json(), "\"NaN\"");
        assert_eq!(Value::Number(1.0 / 3.0).json(), "0.3333");
    }
}
