//! What the binary says on its command line.

use std::fs;
use std::process::{Command, Output};

use crate::harness::binary;

fn tollgate(arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).output().expect("the binary runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A file in the temporary folder, gone at the end.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tollgate-{}-{name}", std::process::id()));
        fs::write(&path, text).expect("a file can be written");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("the temporary folder's name is UTF-8")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn check_tells_every_error_with_its_line() {
    let text = "[mgcp]\nlisten = [\"nowhere\"]\nt_hist = 3\n\n[media]\nptime_ms = 7\ndscp = 99\n";
    let file = Scratch::new("bad.toml", text);
    let output = tollgate(&["check", file.path()]);
    assert_eq!(output.status.code(), Some(1));
    let said = said(&output);
    for (line, word) in [(2, "listen"), (3, "t_hist"), (6, "ptime_ms"), (7, "dscp")] {
        let told = said.lines().any(|text| text.contains(&format!("line {line}:")) && text.contains(word));
        assert!(told, "line {line}, {word}:\n{said}");
    }
}

#[test]
fn run_with_a_bad_configuration_starts_nothing() {
    let file = Scratch::new("worse.toml", "[media]\nptime_ms = 7\n");
    let output = tollgate(&["run", "--config", file.path()]);
    assert!(!output.status.success());
    assert!(said(&output).contains("ptime_ms"), "{}", said(&output));
    let missing = tollgate(&["run", "--config", "/nonexistent/tollgate.toml"]);
    assert!(!missing.status.success() && said(&missing).contains("/nonexistent/tollgate.toml"));
}

#[test]
fn the_shipped_configuration_is_right() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/tollgate.toml");
    let output = tollgate(&["check", shipped]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("124"), "four E1s are 124 DS0s:\n{}", said(&output));
}

#[test]
fn a_file_that_is_not_text_is_told_by_line() {
    let file = Scratch::new("binary.toml", "");
    fs::write(file.path(), b"[media]\n\xff\n").expect("a file can be written");
    let output = tollgate(&["check", file.path()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("line 2 is not UTF-8"), "{}", said(&output));
}

#[test]
fn arguments_that_make_no_sense_are_refused_before_anything_starts() {
    for (arguments, word) in [
        ("demo --spans 0", "1..=64"),
        ("demo --spans 65", "1..=64"),
        ("demo --calls 0", "--calls"),
        ("demo --seconds 0", "--seconds"),
        ("demo --loss -1", "not from 0 to 50"),
        ("demo --loss 51", "not from 0 to 50"),
        ("demo --ptime 7", "[possible values: 5, 10"),
        ("run nonsense", "unexpected argument"),
        ("check", "<FILE>"),
    ] {
        let output = tollgate(&arguments.split(' ').collect::<Vec<_>>());
        assert_eq!(output.status.code(), Some(2), "{arguments}: {}", said(&output));
        assert!(said(&output).contains(word), "{arguments}: {}", said(&output));
    }
    let many = tollgate(&["demo", "--spans", "1", "--calls", "16"]);
    assert_eq!(many.status.code(), Some(1));
    assert!(said(&many).contains("16 calls need 32 timeslots"), "{}", said(&many));
    assert!(said(&tollgate(&["--version"])).starts_with("tollgate "));
}

#[test]
fn a_recording_that_cannot_be_written_fails_the_demo() {
    let folder = std::env::temp_dir().join(format!("tollgate-{}-heard", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder can be made");
    std::os::unix::fs::symlink("/dev/full", folder.join("ds-e1-1-1.wav")).expect("a link can be made");
    let record = folder.to_str().expect("the temporary folder's name is UTF-8");
    let output = tollgate(&["demo", "--spans", "1", "--calls", "1", "--seconds", "1", "--record", record]);
    let _ = fs::remove_dir_all(&folder);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("1 recording could not be written"), "{}", said(&output));
}
