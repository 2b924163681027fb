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
