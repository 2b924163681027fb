//! The tables of `tests/conformance`: each rule of an RFC, and the test that shows it.
//!
//! A rule's number is that of its keyword (MUST, SHALL, REQUIRED; SHOULD, RECOMMENDED) in its section,
//! counted from 1. So the text of the RFC says how many rules a section must have in the table, and
//! how binding each is: none can be forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use toml::Table;

use crate::Source;

/// The RFCs whose rules bind a gateway that speaks MGCP.
pub(crate) const RFCS: [u32; 5] = [3435, 3661, 3624, 3991, 3992];

/// How binding a rule is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Level {
    Must,
    Should,
    /// No rule but an exchange that the RFC gives as an example.
    Example,
}

/// What becomes of a rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Status {
    /// These tests show it.
    Tested(Vec<String>),
    /// What it waits for: a few words, a colon, and more.
    Pending(String),
    /// Why it does not bind this gateway.
    NotApplicable(String),
}

/// One line of a table, or several of a kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Rule {
    pub(crate) section: String,
    /// The first of its numbers and the last.
    pub(crate) numbers: (usize, usize),
    pub(crate) level: Level,
    pub(crate) status: Status,
}

/// Reads a table, or says what is wrong with it.
pub(crate) fn read(text: &str) -> Result<Vec<Rule>, String> {
    let table: Table = text.parse().map_err(|error| format!("{error}"))?;
    let mut rules = Vec::new();
    for (key, of_key) in &table {
        if !["rule", "exchange"].contains(&key.as_str()) {
            return Err(format!("`{key}` is neither a rule nor an exchange"));
        }
        for rule in of_key.as_array().ok_or("rules are [[rule]]")? {
            let rule = rule.as_table().ok_or("a rule is a table")?;
            rules.push(one(key, rule).map_err(|error| format!("{error} in {rule}"))?);
        }
    }
    Ok(rules)
}

fn one(key: &str, rule: &Table) -> Result<Rule, String> {
    let known = ["section", "number", "to", "level", "rule", "test", "pending", "not_applicable"];
    if let Some(odd) = rule.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(format!("`{odd}` means nothing"));
    }
    let text = |key: &str| rule.get(key).and_then(toml::Value::as_str).filter(|text| !text.is_empty());
    let number = |key: &str| rule.get(key).and_then(toml::Value::as_integer).map(|n| n as usize);
    text("rule").ok_or("a rule has words")?;
    let first = number("number").ok_or("a rule has a number")?;
    let level = match (key, text("level")) {
        ("exchange", None) => Level::Example,
        ("rule", Some("must")) => Level::Must,
        ("rule", Some("should")) => Level::Should,
        _ => return Err("a rule's level is must or should, an exchange has none".to_owned()),
    };
    let tests = rule.get("test").map(|test| match test {
        toml::Value::Array(tests) => {
            tests.iter().filter_map(toml::Value::as_str).map(str::to_owned).collect()
        }
        test => vec![test.as_str().unwrap_or_default().to_owned()],
    });
    let status = match (tests, text("pending"), text("not_applicable")) {
        (Some(tests), None, None) if !tests.is_empty() => Status::Tested(tests),
        (None, Some(what), None) => Status::Pending(what.to_owned()),
        (None, None, Some(why)) => Status::NotApplicable(why.to_owned()),
        _ => return Err("it is either tested, pending or not applicable".to_owned()),
    };
    let section = text("section").ok_or("a rule has a section")?.to_owned();
    Ok(Rule { section, numbers: (first, number("to").unwrap_or(first)), level, status })
}

/// What is wrong with the order of a table: in each section, each number from 1 on is there once.
pub(crate) fn gaps(rules: &[Rule]) -> Vec<String> {
    let mut next: BTreeMap<(bool, &str), usize> = BTreeMap::new();
    let mut broken = Vec::new();
    for rule in rules {
        let next = next.entry((rule.level == Level::Example, &rule.section)).or_insert(1);
        let (first, last) = rule.numbers;
        if first != *next || last < first {
            broken.push(format!("{} number {first} to {last} comes where {next} should", rule.section));
        }
        *next = last + 1;
    }
    broken
}

/// The keywords of each section of an RFC, in order, under the section's number.
pub(crate) fn keywords(text: &str) -> BTreeMap<String, Vec<Level>> {
    let mut sections: BTreeMap<String, Vec<Level>> = BTreeMap::new();
    let mut section = String::new();
    for line in text.lines().filter(|line| !is_page_break(line)) {
        if let Some(number) = heading(line) {
            section = number.to_owned();
            sections.entry(section.clone()).or_default();
        }
        let found = line.split(|c: char| !c.is_ascii_alphabetic()).filter_map(|word| match word {
            "MUST" | "SHALL" | "REQUIRED" => Some(Level::Must),
            "SHOULD" | "RECOMMENDED" => Some(Level::Should),
            _ => None,
        });
        sections.entry(section.clone()).or_default().extend(found);
    }
    sections
}

/// The line at the foot of a page, and the one at the head of the next.
fn is_page_break(line: &str) -> bool {
    let is_head = line.starts_with("RFC ") && line.ends_with(|c: char| c.is_ascii_digit());
    is_head || line.trim_end().ends_with(']') && line.contains("[Page ")
}

/// The number of the section that begins with this line: `2.1.2 Endpoint...` or `Appendix A: ...`,
/// at the very left.
fn heading(line: &str) -> Option<&str> {
    let line = line.strip_prefix("Appendix ").unwrap_or(line);
    let (number, title) = line.split_once(' ')?;
    let number = number.trim_end_matches(['.', ':']);
    let mut parts = number.split('.');
    let first = parts.next()?;
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let is_letter = first.len() == 1 && first.bytes().all(|b| b.is_ascii_uppercase());
    let is_heading = (is_letter || is_number(first)) && parts.all(is_number) && !title.trim().is_empty();
    // A sentence can begin with "A"; no other heading is a letter alone.
    (is_heading && (!is_letter || number.len() > 1 || line.contains(": "))).then_some(number)
}

/// Compares a table with the text of its RFC.
pub(crate) fn differences(rules: &[Rule], text: &str) -> Vec<String> {
    let sections = keywords(text);
    let mut broken = Vec::new();
    for (section, wanted) in &sections {
        let given = rules.iter().filter(|rule| rule.section == *section && rule.level != Level::Example);
        let given: Vec<Level> = given.flat_map(|r| (r.numbers.0..=r.numbers.1).map(|_| r.level)).collect();
        if given != *wanted {
            broken.push(format!("section {section} has the keywords {wanted:?}, the table {given:?}"));
        }
    }
    let cited: BTreeSet<&str> = rules.iter().map(|rule| rule.section.as_str()).collect();
    broken.extend(cited.iter().filter(|s| !sections.contains_key(**s)).map(|s| format!("no section {s}")));
    broken
}

/// Whether a test such as `control::gateway::tests::calls::some_name` is there and runs.
pub(crate) fn is_there(test: &str, sources: &[Source]) -> bool {
    let mut parts: Vec<&str> = test.split("::").collect();
    let (Some(name), true) = (parts.pop(), parts.len() > 1) else { return false };
    let top = match parts.remove(0) {
        "conformance" => "tests/conformance".to_owned(),
        "scenario" => "tests/scenario".to_owned(),
        "system" => "tests/system".to_owned(),
        member => format!("{member}/src"),
    };
    // A module is a file of its own, or is inside that of the one above it.
    let places = (1..=parts.len()).rev().map(|n| format!("{top}/{}.rs", parts[..n].join("/")));
    let mut files = places.filter_map(|place| sources.iter().find(|source| source.path == place));
    files.next().is_some_and(|source| has_test(&source.text, name))
}

fn has_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let begins = format!("fn {name}(");
    lines.iter().enumerate().any(|(at, line)| {
        let above = lines[..at].iter().rev().take_while(|line| line.starts_with(['#', '/']));
        let above: Vec<_> = above.collect();
        line.starts_with(&begins)
            && above.contains(&&"#[test]")
            && !above.iter().any(|line| line.starts_with("#[ignore"))
    })
}

/// How many rules of a level are tested, pending and not applicable.
pub(crate) fn coverage(rules: &[Rule], level: Level) -> [usize; 3] {
    let mut counts = [0; 3];
    for rule in rules.iter().filter(|rule| rule.level == level) {
        let of = match rule.status {
            Status::Tested(_) => 0,
            Status::Pending(_) => 1,
            Status::NotApplicable(_) => 2,
        };
        counts[of] += rule.numbers.1 - rule.numbers.0 + 1;
    }
    counts
}

/// The pending rules of a level, under the words before the colon that say what they wait for.
pub(crate) fn pending(rfc: u32, rules: &[Rule], level: Level) -> BTreeMap<String, Vec<String>> {
    let mut waiting: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for rule in rules.iter().filter(|rule| rule.level == level) {
        if let Status::Pending(what) = &rule.status {
            let what = what.split(':').next().unwrap_or_default().to_owned();
            let numbers = (rule.numbers.0..=rule.numbers.1).map(|n| format!("{rfc} §{}/{n}", rule.section));
            waiting.entry(what).or_default().extend(numbers);
        }
    }
    waiting
}

/// The text of an RFC, where the texts are.
pub(crate) fn text_of(texts: &Path, rfc: u32) -> Option<String> {
    fs::read_to_string(texts.join(format!("rfc{rfc}.txt"))).ok()
}

#[test]
fn the_tables_checks_can_fail() {
    let line = |number: u32, level: &str, status: &str| {
        format!("[[rule]]\nsection = \"1\"\nnumber = {number}\nlevel = \"{level}\"\nrule = \"r\"\n{status}\n")
    };
    let waits = "pending = \"w: it\"";
    assert!(read(&line(1, "may", waits)).is_err() && read(&line(1, "must", "")).is_err());
    let two = read(&(line(1, "must", waits) + &line(2, "should", waits))).expect("a table");
    assert_eq!(gaps(&two), [""; 0]);
    assert_eq!(gaps(&two[1..]).len(), 1);
    let text = "1. Rules\n   It MUST, and\nRFC 1  MUST  2003\n   it SHOULD NOT.\n";
    assert_eq!(differences(&two, text), [""; 0]);
    assert_eq!(differences(&two[..1], text).len(), 1);
    assert_eq!(differences(&two, "2. Others\n").len(), 1);
    assert_eq!(pending(1, &two, Level::Must).into_keys().collect::<Vec<_>>(), ["w"]);

    let text = "#[test]\nfn runs() {}\n#[test]\n#[ignore]\nfn waits() {}\nfn helps() {}\n".to_owned();
    let sources = [Source { path: "control/src/a/b.rs".to_owned(), text }];
    assert!(is_there("control::a::b::tests::runs", &sources));
    for test in ["control::a::b::tests::waits", "control::a::b::helps", "control::a::runs", "runs"] {
        assert!(!is_there(test, &sources), "{test}");
    }
}
