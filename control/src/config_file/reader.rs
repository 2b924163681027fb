//! Walks a TOML document and gathers everything that is wrong with it.
//!
//! A [`Section`] is one table. Asking it for a key marks the key as known; what nobody has asked
//! for when the section is [`finish`](Section::finish)ed is an error. An asker always gets a value
//! to go on with, so that one error does not hide the next.

use std::cell::RefCell;
use std::fmt::{self, Display};
use std::ops::{Range, RangeInclusive};
use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One thing that is wrong with a configuration file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ConfigError {
    /// The line it is on, from 1.
    pub line: usize,
    /// The setting, with the tables it is in: `media.port_first`.
    pub key: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => write!(f, "line {}: {}", self.line, self.reason),
            key => write!(f, "line {}: {key}: {}", self.line, self.reason),
        }
    }
}

impl std::error::Error for ConfigError {}

/// A file being read.
pub(super) struct Document<'a> {
    text: &'a str,
    errors: RefCell<Vec<ConfigError>>,
    known: RefCell<Vec<String>>,
}

impl<'a> Document<'a> {
    /// Nothing is wrong with `text` yet.
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, errors: RefCell::default(), known: RefCell::default() }
    }

    /// The document's tables; syntax errors are noted.
    pub(super) fn table(&self) -> Spanned<DeTable<'a>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            self.error(error.span().unwrap_or_default(), String::new(), error.message());
        }
        table
    }

    /// Notes that something is wrong at `span`.
    pub(super) fn error(&self, span: Range<usize>, key: String, reason: impl Into<String>) {
        let line = self.text.bytes().take(span.start).filter(|&octet| octet == b'\n').count() + 1;
        self.errors.borrow_mut().push(ConfigError { line, key, reason: reason.into() });
    }

    /// Whether nothing has been found wrong so far.
    pub(super) fn is_right(&self) -> bool {
        self.errors.borrow().is_empty()
    }

    /// Every key that was asked for, with its tables.
    #[cfg(test)]
    pub(super) fn known(&self) -> Vec<String> {
        self.known.borrow().clone()
    }

    /// All that is wrong, by line.
    pub(super) fn into_errors(self) -> Vec<ConfigError> {
        let mut errors = self.errors.into_inner();
        errors.sort();
        errors.dedup();
        errors
    }
}

/// One table of a file.
pub(super) struct Section<'a> {
    document: &'a Document<'a>,
    /// Its name with a dot behind it; empty for the whole document.
    prefix: String,
    /// Where it stands, for what is wrong with it as a whole.
    span: Range<usize>,
    /// `None` for a table that is not in the file: all its settings have their defaults.
    table: Option<&'a DeTable<'a>>,
    asked: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The document's outermost table.
    pub(super) fn root(document: &'a Document<'a>, table: &'a DeTable<'a>) -> Self {
        Self { document, prefix: String::new(), span: 0..0, table: Some(table), asked: Vec::new() }
    }

    /// The value of a key, if it is there.
    pub(super) fn value(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.asked.push(key);
        let path = format!("{}{key}", self.prefix);
        self.document.known.borrow_mut().push(path.clone());
        let value = self.table?.get(key)?;
        Some(Value { document: self.document, path, value })
    }

    /// A number in `range`, or `default`.
    pub(super) fn integer<T>(&mut self, key: &'static str, range: RangeInclusive<T>, default: T) -> T
    where
        T: Copy + PartialOrd + Display + TryFrom<i64>,
    {
        self.value(key).and_then(|value| value.integer(range)).unwrap_or(default)
    }

    /// A whole number of seconds in `range`, or `default`.
    pub(super) fn seconds(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
        default: Duration,
    ) -> Duration {
        Duration::from_secs(self.integer(key, range, default.as_secs()))
    }

    /// A whole number of milliseconds in `range`, or `default`.
    pub(super) fn millis(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u32>,
        default: Duration,
    ) -> Duration {
        let default_ms = default.as_millis().try_into().expect("a default is within its range");
        Duration::from_millis(self.integer(key, range, default_ms).into())
    }

    /// A whole or broken number in `range`, or `default`.
    pub(super) fn number(&mut self, key: &'static str, range: RangeInclusive<f64>, default: f64) -> f64 {
        self.value(key).and_then(|value| value.number(range)).unwrap_or(default)
    }

    /// `true` or `false`, or `default`.
    pub(super) fn boolean(&mut self, key: &'static str, default: bool) -> bool {
        self.value(key).and_then(|value| value.boolean()).unwrap_or(default)
    }

    /// One of some words, or `default`.
    pub(super) fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)], default: T) -> T {
        self.value(key).and_then(|value| value.word(words)).unwrap_or(default)
    }

    /// A list of what `read` makes of each item, or `default`.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        read: impl FnMut(&Value<'a>) -> Option<T>,
        default: Vec<T>,
    ) -> Vec<T> {
        match self.value(key).and_then(|value| value.items()) {
            Some(items) => items.iter().filter_map(read).collect(),
            None => default,
        }
    }

    /// A table in this one; all defaults if it is not there.
    pub(super) fn section(&mut self, key: &'static str) -> Self {
        let prefix = format!("{}{key}.", self.prefix);
        match self.value(key) {
            Some(value) => value.section(prefix),
            None => Self {
                document: self.document,
                prefix,
                span: self.span.clone(),
                table: None,
                asked: Vec::new(),
            },
        }
    }

    /// The tables of an array of tables; `None` if there is none.
    pub(super) fn sections(&mut self, key: &'static str) -> Option<Vec<Self>> {
        let prefix = format!("{}{key}.", self.prefix);
        let items = self.value(key)?.items()?;
        Some(items.into_iter().map(|item| item.section(prefix.clone())).collect())
    }

    /// Whether a key is in the file.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Whether a key is in the file as a list without items. One whose items are all wrong has been told
    /// of already.
    pub(super) fn has_empty_list(&self, key: &str) -> bool {
        let array = self.table.and_then(|table| table.get(key)).and_then(|value| value.get_ref().as_array());
        array.is_some_and(|array| array.is_empty())
    }

    /// Notes that something is wrong with the value of a key, or with the table if it has no such key.
    pub(super) fn error(&self, key: &str, reason: impl Into<String>) {
        let value = self.table.and_then(|table| table.get(key));
        let span = value.map_or(self.span.clone(), Spanned::span);
        self.document.error(span, format!("{}{key}", self.prefix), reason);
    }

    /// Notes the keys that nobody has asked for.
    pub(super) fn finish(self) {
        for key in self.table.into_iter().flat_map(DeTable::keys) {
            let name: &str = key.get_ref();
            if self.asked.contains(&name) {
                continue;
            }
            // What has only lost its unit (`ptime` of `ptime_ms`) is nearer than what is as short.
            let whole = self.asked.iter().find(|known| known.starts_with(&format!("{name}_")));
            let near = self.asked.iter().min_by_key(|known| distance(name, known));
            let near = near.filter(|known| distance(name, known) <= 2.max(name.len() / 4));
            let reason = match whole.or(near) {
                Some(near) => format!("no such setting; did you mean `{near}`?"),
                None => format!("no such setting; there are {}", self.asked.join(", ")),
            };
            self.document.error(key.span(), format!("{}{name}", self.prefix), reason);
        }
    }
}

/// One value of a file.
pub(super) struct Value<'a> {
    document: &'a Document<'a>,
    path: String,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Value<'a> {
    /// Notes that something is wrong with it.
    pub(super) fn error(&self, reason: impl Into<String>) {
        self.document.error(self.value.span(), self.path.clone(), reason);
    }

    /// It, if it is text; anything else is no error.
    pub(super) fn is_text(&self) -> Option<&'a str> {
        self.value.get_ref().as_str()
    }

    /// It, if it is text.
    pub(super) fn text(&self) -> Option<&'a str> {
        let text = self.value.get_ref().as_str();
        if text.is_none() {
            self.wrong("text in quotes");
        }
        text
    }

    /// It, if it is text that reads as a `T`.
    pub(super) fn parsed<T: FromStr>(&self, wanted: &str) -> Option<T> {
        let text = self.text()?;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.error(format!("`{text}` is not {wanted}"));
        }
        parsed
    }

    /// It, if it is a whole number in `range`.
    pub(super) fn integer<T>(&self, range: RangeInclusive<T>) -> Option<T>
    where
        T: Copy + PartialOrd + Display + TryFrom<i64>,
    {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        let Some(integer) = self.value.get_ref().as_integer() else {
            self.wrong(&wanted);
            return None;
        };
        let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let number = number.and_then(|number| T::try_from(number).ok()).filter(|n| range.contains(n));
        if number.is_none() {
            self.error(format!("{integer} is not {wanted}"));
        }
        number
    }

    /// It, if it is a number in `range`.
    pub(super) fn number(&self, range: RangeInclusive<f64>) -> Option<f64> {
        let wanted = format!("a number from {} to {}", range.start(), range.end());
        let number = match self.value.get_ref() {
            DeValue::Float(float) => float.as_str().parse().ok(),
            DeValue::Integer(integer) => {
                i64::from_str_radix(integer.as_str(), integer.radix()).ok().map(|n| n as f64)
            }
            _ => {
                self.wrong(&wanted);
                return None;
            }
        };
        let number = number.filter(|n| range.contains(n));
        if number.is_none() {
            self.error(format!("not {wanted}"));
        }
        number
    }

    /// It, if it is `true` or `false`.
    pub(super) fn boolean(&self) -> Option<bool> {
        let boolean = self.value.get_ref().as_bool();
        if boolean.is_none() {
            self.wrong("true or false");
        }
        boolean
    }

    /// What it stands for, if it is one of `words`.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = words.iter().find(|(word, _)| *word == text).map(|&(_, meaning)| meaning);
        if found.is_none() {
            let words: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            self.error(format!("`{text}` is none of {}", words.join(", ")));
        }
        found
    }

    /// Its items, if it is an array.
    pub(super) fn items(&self) -> Option<Vec<Self>> {
        let Some(array) = self.value.get_ref().as_array() else {
            self.wrong("a list in brackets");
            return None;
        };
        let item = |value| Self { document: self.document, path: self.path.clone(), value };
        Some(array.iter().map(item).collect())
    }

    /// It as a table of that name; an empty one if it is none.
    pub(super) fn section(&self, prefix: String) -> Section<'a> {
        let table = self.value.get_ref().as_table();
        if table.is_none() {
            self.wrong("a table");
        }
        Section { document: self.document, prefix, span: self.value.span(), table, asked: Vec::new() }
    }

    fn wrong(&self, wanted: &str) {
        self.error(format!("wants {wanted}, not {}", kind(self.value.get_ref())));
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a broken number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// How many letters must be put in, left out or changed to make `b` of `a` (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.chars().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[row.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_single_letter_edits() {
        assert_eq!(distance("prot_first", "port_first"), 2);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("law", "law"), 0);
    }
}
