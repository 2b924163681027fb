//! Media past the kernel: the binary with a program on an interface.

use std::process::Command;
use std::thread;

use nix::sched::{CloneFlags, unshare};

use crate::harness::{Running, left_out};

const SETTINGS: &str = "port_first = 20000\nport_last = 20999\ndriver = \"xdp\"\nxdp_interface = \"gw0\"\n";

/// Runs iproute2 in this thread's network; what it says, if it could do it.
fn ip(command: &str) -> Result<String, String> {
    let output = Command::new("ip").args(command.split(' ')).output().map_err(|error| error.to_string())?;
    let said = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    if output.status.success() { Ok(said(&output.stdout)) } else { Err(said(&output.stderr)) }
}

/// A network of this thread's own, with an interface `gw0`.
fn own_network() -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|error| error.to_string())?;
    ["link set lo up", "link add gw0 type veth peer name peer0", "link set gw0 up", "link set peer0 up"]
        .iter()
        .try_for_each(|command| ip(command).map(drop))
}

/// Runs a test in a network of its own, which it needs to be privileged for.
fn in_own_network(test: fn()) {
    let run = move || own_network().map(|()| test());
    match thread::spawn(run).join() {
        Ok(Ok(())) => {}
        Ok(Err(reason)) => left_out(&format!("network namespaces and veth pairs: {reason}")),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn has_program() -> bool {
    ip("link show gw0").expect("it is there").contains("xdp")
}

#[test]
fn a_gateway_that_is_killed_leaves_no_program_on_the_interface() {
    in_own_network(|| {
        let mut gateway = Running::start(SETTINGS);
        assert!(has_program(), "{}", gateway.log());
        assert!(gateway.log().contains("media go past the kernel"), "{}", gateway.log());
        // The next one finds the interface free, or it would not start.
        gateway.crash_and_restart();
        assert_eq!(gateway.ask("AUEP ds/e1-1/1@gw", "").code, 200, "MGCP is the kernel's as before");
        assert_eq!(gateway.stop(), Some(0), "{}", gateway.log());
        assert!(!has_program(), "nor does one that was told to stop");
    });
}

#[test]
fn a_gateway_that_cannot_have_its_interface_says_why_and_takes_nothing() {
    in_own_network(|| {
        let first = Running::start(SETTINGS);
        let folder = std::env::temp_dir().join(format!("tollgate-test-xdp-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        let file = folder.join("tollgate.toml");
        let text = format!(
            "[mgcp]\nlisten = [\"127.9.9.9:2427\"]\n[media]\naddresses = [\"127.9.9.9\"]\n{SETTINGS}"
        );
        std::fs::write(&file, text).expect("a file can be written");
        let run = Command::new(crate::harness::binary()).args(["run", "--config"]).arg(&file).output();
        let run = run.expect("the binary starts");
        std::fs::remove_dir_all(&folder).expect("it is ours");
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(!run.status.success());
        assert!(said.contains("attaching the XDP program on gw0: another program has it already"), "{said}");
        assert!(has_program(), "the first goes on");
        drop(first);
    });
}
