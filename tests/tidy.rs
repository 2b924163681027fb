//! The house rules, as tests: who may import whom, what is banned where, and that each RFC section
//! that the code cites exists.
//!
//! The texts of the RFCs are read from `../shared/rfc` beside the checkout. Where they are not
//! there, that check says so and the rest goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

#[path = "tidy/conformance.rs"]
mod conformance;

use conformance::{Level, RFCS, Status};

/// The top of the checkout.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the workspace").to_owned()
}

/// One source file: its path from the top, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The text before the tests at the end: none of a file that is all tests.
    fn code(&self) -> &str {
        if self.is_tests() { "" } else { self.text.split("#[cfg(test)]").next().unwrap_or_default() }
    }

    fn is_tests(&self) -> bool {
        self.path.ends_with("/tests.rs")
            || self.path.contains("/tests/")
            || self.path.ends_with("/examples.rs")
    }

    fn is_under(&self, folder: &str) -> bool {
        self.path.starts_with(folder)
    }
}

/// All files of these endings that are ours, in order.
fn sources(endings: &[&str]) -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder of the checkout can be read") {
            let path = entry.expect("a folder of the checkout can be read").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if !matches!(name.as_str(), "target" | ".git") {
                    walk(&path, found);
                }
            } else {
                found.push(path);
            }
        }
    }
    let root = root();
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths.sort();
    paths
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| endings.iter().any(|ending| e == *ending)))
        .map(|path| Source {
            text: fs::read_to_string(&path).expect("our sources are UTF-8"),
            path: path.strip_prefix(&root).expect("it was found below").to_string_lossy().into_owned(),
        })
        .collect()
}

/// Fails with a line for each place in `places`.
fn none(rule: &str, places: &[String]) {
    assert!(places.is_empty(), "{rule}:\n  {}", places.join("\n  "));
}

/// Each line of code (comments left out) that holds one of `words`, as `path:line: text`.
fn lines_with<'a>(source: &'a Source, words: &'a [&str]) -> impl Iterator<Item = String> + 'a {
    source.code().lines().enumerate().filter_map(move |(index, line)| {
        let code = line.split("//").next().unwrap_or_default();
        let hit = words.iter().any(|word| code.contains(word));
        hit.then(|| format!("{}:{}: {}", source.path, index + 1, line.trim()))
    })
}

#[test]
fn imports_go_one_way_and_stay_in_their_lane() {
    // (where, except there, what must not stand in the code)
    let rules: &[(&str, &[&str], &[&str])] = &[
        ("drivers/src/", &[], &["dataplane::", "control::", "crossbeam", "mio::"]),
        (
            "dataplane/src/",
            &[],
            &["control::", "io_uring", "mio::", "libc::", "nix::", "UdpSocket", "std::fs"],
        ),
        ("dataplane/src/", &["dataplane/src/worker.rs"], &["std::thread", "thread::"]),
        (
            "control/src/",
            &["control/src/bin/"],
            &[
                "dataplane::engine",
                "dataplane::worker",
                "net::uring",
                "net::mmsg",
                "net::xdp",
                "net::sim",
                "span::sim",
                "std::thread::sleep",
            ],
        ),
        ("control/src/", &["control/src/bin/", "control/src/run"], &["mio::", "UdpSocket", "std::thread"]),
        (
            "control/src/",
            &["control/src/bin/", "control/src/run", "control/src/config"],
            &["std::fs", "std::env", "std::process"],
        ),
    ];
    let sources = sources(&["rs"]);
    let mut broken = Vec::new();
    for (place, except, words) in rules {
        let files = sources.iter().filter(|s| s.is_under(place) && !except.iter().any(|e| s.is_under(e)));
        broken.extend(files.flat_map(|source| lines_with(source, words)));
    }
    none("who may import whom (ARCHITECTURE.md)", &broken);
}

#[test]
fn only_the_clock_reads_the_clock() {
    let banned = ["Instant::now(", "SystemTime::now(", "thread::sleep", "rand::rng()", "rand::random"];
    let broken: Vec<_> = sources(&["rs"])
        .iter()
        .filter(|source| !source.is_under("tests/tidy.rs"))
        .flat_map(|source| lines_with(source, &banned).collect::<Vec<_>>())
        .collect();
    none("time and chance are handed in", &broken);
}

#[test]
fn only_drivers_have_unsafe() {
    let forbids = [
        "dataplane/src/lib.rs",
        "control/src/lib.rs",
        "bench/src/main.rs",
        "control/src/bin/tollgate/main.rs",
    ];
    let sources = sources(&["rs"]);
    let missing: Vec<_> = sources
        .iter()
        .filter(|s| forbids.contains(&s.path.as_str()) && !s.text.contains("#![forbid(unsafe_code)]"))
        .map(|s| s.path.clone())
        .collect();
    none("#![forbid(unsafe_code)] is missing in", &missing);
    let bare: Vec<_> = sources
        .iter()
        .filter(|s| s.is_under("drivers/src/"))
        .flat_map(|source| {
            let lines: Vec<&str> = source.text.lines().collect();
            let said =
                |at: usize| lines[at.saturating_sub(8)..=at].iter().any(|line| line.contains("SAFETY"));
            lines
                .iter()
                .enumerate()
                .filter(|(at, line)| line.contains("unsafe {") && !said(*at))
                .map(|(at, _)| format!("{}:{}", source.path, at + 1))
                .collect::<Vec<_>>()
        })
        .collect();
    none("an unsafe block says why it is sound (SAFETY)", &bare);
}

#[test]
fn nothing_is_left_unfinished_or_unwrapped() {
    let unfinished = ["todo!(", "unimplemented!(", "FIXME", "XXX", ".unwrap()"];
    let broken: Vec<_> = sources(&["rs"])
        .iter()
        .filter(|source| !source.is_under("tests/") && !source.is_under("bench/benches/"))
        .flat_map(|source| lines_with(source, &unfinished).collect::<Vec<_>>())
        .collect();
    none("expect() with what must hold, and nothing unfinished", &broken);
}

#[test]
fn files_say_what_they_are_and_stay_readable() {
    let mut broken = Vec::new();
    for source in sources(&["rs"]) {
        if !source.text.starts_with("//!") && !source.is_tests() {
            broken.push(format!("{} does not open with //!", source.path));
        }
        let lines = source.code().lines().count();
        let most = if source.path == "control/src/bin/tollgate/main.rs" { 150 } else { 900 };
        if lines > most {
            broken.push(format!("{} has {lines} lines before its tests, more than {most}", source.path));
        }
    }
    none("one idea a file, said at its top", &broken);
}

/// The RFC sections cited in our sources and documents: (RFC, section) to the first place.
fn citations() -> BTreeMap<(u32, String), String> {
    let mut found = BTreeMap::new();
    for source in sources(&["rs", "md", "toml"]).into_iter().filter(|source| source.path != "tests/tidy.rs") {
        for (index, line) in source.text.lines().enumerate() {
            for (rfc, section) in citations_in(line) {
                found.entry((rfc, section)).or_insert_with(|| format!("{}:{}", source.path, index + 1));
            }
        }
    }
    found
}

/// `RFC 3435 §3.5.1` and what follows it in the same breath: `RFC 3550 §5.1, A.1 and Appendix D`.
fn citations_in(line: &str) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for part in line.split("RFC ").skip(1) {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        let Ok(rfc) = digits.parse() else { continue };
        for sign in ["§", "Appendix ", "appendix ", "App. "] {
            for after in part[digits.len()..].split(sign).skip(1) {
                let section: String =
                    after.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '.').collect();
                let section = section.trim_end_matches('.').to_owned();
                let is_section = section.starts_with(|c: char| c.is_ascii_digit())
                    || section.len() == 1
                    || section.get(1..2) == Some(".");
                if is_section {
                    found.push((rfc, section));
                }
            }
        }
    }
    found
}

/// The numbers of all sections that have a heading in the text of an RFC.
fn headings(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| {
            let line = line.trim_start();
            let line = line.strip_prefix("Appendix ").unwrap_or(line);
            let (number, title) = line.split_once([' ', ':', '-']).unwrap_or((line, ""));
            let number = number.trim_end_matches(['.', ':']);
            let is_number = number.split('.').enumerate().all(|(place, part)| {
                let letter =
                    place == 0 && part.len() == 1 && part.starts_with(|c: char| c.is_ascii_uppercase());
                letter || (!part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
            });
            (is_number && (!title.is_empty() || number.len() == 1)).then(|| number.to_owned())
        })
        .collect()
}

#[test]
fn cited_rfc_sections_exist() {
    let citations = citations();
    assert!(
        citations.len() > 30,
        "the code cites the RFCs it obeys: only {} citations found",
        citations.len()
    );
    let Some(texts) = texts() else {
        println!("LEFT OUT: no texts of the RFCs here, {} citations not checked", citations.len());
        return;
    };
    let mut known = BTreeMap::new();
    let mut broken = Vec::new();
    for ((rfc, section), place) in &citations {
        let sections = known.entry(*rfc).or_insert_with(|| {
            fs::read_to_string(texts.join(format!("rfc{rfc}.txt"))).ok().map(|text| headings(&text))
        });
        match sections {
            Some(sections) if sections.contains(section) => {}
            Some(_) => broken.push(format!("{place}: RFC {rfc} has no section {section}")),
            None => println!("LEFT OUT: {place}: RFC {rfc} is not among the texts"),
        }
    }
    println!("{} cited sections checked", citations.len());
    none("a cited section exists", &broken);
}

/// The folder with the texts of the RFCs, where that is beside the checkout.
fn texts() -> Option<PathBuf> {
    let texts = root().parent().expect("the checkout is in a folder").join("shared/rfc");
    let there = texts.is_dir();
    assert!(there || std::env::var_os("CI").is_none(), "in CI the texts of the RFCs must be there");
    there.then_some(texts)
}

#[test]
fn each_rule_of_the_rfcs_is_tested_pending_or_not_ours() {
    let sources = sources(&["rs"]);
    let texts = texts();
    let mut broken = Vec::new();
    let mut tables = Vec::new();
    for rfc in RFCS {
        let path = root().join(format!("tests/conformance/rfc{rfc}.toml"));
        let table = fs::read_to_string(&path).expect("each RFC has its table");
        let rules = conformance::read(&table).unwrap_or_else(|error| panic!("rfc{rfc}.toml: {error}"));
        let mut wrong = conformance::gaps(&rules);
        for rule in &rules {
            let Status::Tested(tests) = &rule.status else { continue };
            let missing = tests.iter().filter(|test| !conformance::is_there(test, &sources));
            wrong.extend(missing.map(|test| format!("{} {}: no test {test}", rule.section, rule.numbers.0)));
        }
        match texts.as_deref().map(|texts| conformance::text_of(texts, rfc)) {
            Some(Some(text)) => wrong.extend(conformance::differences(&rules, &text)),
            Some(None) => panic!("RFC {rfc} is not among the texts"),
            None => println!("LEFT OUT: RFC {rfc} is not here: its table may lack rules"),
        }
        broken.extend(wrong.into_iter().map(|wrong| format!("rfc{rfc}.toml: {wrong}")));
        tables.push((rfc, rules));
    }
    for level in [Level::Must, Level::Should, Level::Example] {
        for (rfc, rules) in &tables {
            let [tested, pending, not_ours] = conformance::coverage(rules, level);
            if tested + pending + not_ours > 0 {
                println!(
                    "RFC {rfc} {level:?}: {tested} tested, {pending} pending, {not_ours} not applicable"
                );
            }
        }
        for (rfc, rules) in &tables {
            for (what, which) in conformance::pending(*rfc, rules, level) {
                println!("  {level:?} pending, {what} ({}): {}", which.len(), which.join(", "));
            }
        }
    }
    none("each rule has its line, and each test that it names is there", &broken);
}

#[test]
fn nothing_names_the_place_it_was_made_in() {
    let place = root().parent().expect("the checkout is in a folder").to_string_lossy().into_owned();
    if place.len() < 2 {
        println!("LEFT OUT: a checkout at the top has no place to name");
        return;
    }
    let broken: Vec<_> = sources(&["rs", "md", "toml", "sh", "service"])
        .iter()
        .flat_map(|source| {
            let named = source.text.lines().filter(|line| line.contains(&format!("{place}/")));
            named.map(|line| format!("{}: {line}", source.path)).collect::<Vec<_>>()
        })
        .collect();
    none("no path of the machine it was made on", &broken);
}

#[test]
fn the_checks_can_fail() {
    assert_eq!(
        citations_in("// RFC 3435 §3.5.1: x, Appendix D"),
        [(3435, "3.5.1".into()), (3435, "D".into())]
    );
    assert!(
        headings("3.5.1 Providing\n   A.1 RTP\nAppendix D: Mode")
            .is_superset(&["3.5.1", "A.1", "D"].map(str::to_owned).into())
    );
    assert!(!headings("see 9.9.9").contains("9.9.9"));
}
