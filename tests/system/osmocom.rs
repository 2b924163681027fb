//! Osmocom's own MGCP client, as osmo-bsc uses it, takes the gateway for its media gateway.
//!
//! `osmo_bsc.c` is the call agent and both RTP peers: it is compiled here against Debian's
//! `libosmo-mgcp-client`, which nobody here wrote.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::harness::{Running, left_out};
use crate::tshark::Capture;

/// Its libraries; the last two come with `libosmocore-dev`.
const LIBRARIES: [&str; 3] = ["libosmo-mgcp-client", "libosmogsm", "libosmocore"];

/// Builds the call agent; `None`, loudly, where its libraries are not.
fn call_agent(folder: &Path) -> Option<PathBuf> {
    let flags = Command::new("pkg-config").args(["--cflags", "--libs"]).args(LIBRARIES).output();
    let Some(flags) = flags.ok().filter(|output| output.status.success()) else {
        left_out("libosmo-mgcp-client-dev and libosmocore-dev are not installed; `tests/run` installs them");
        return None;
    };
    let program = folder.join("osmo_bsc");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/system/osmo_bsc.c");
    let built = Command::new("cc")
        .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&program)
        .arg(source)
        .args(said(&flags.stdout).split_whitespace())
        .output()
        .expect("a C compiler, which Rust needs as well, runs");
    assert!(built.status.success(), "{}", said(&built.stderr));
    Some(program)
}

fn said(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

#[test]
fn osmo_bscs_own_client_makes_its_calls_through_the_gateway() {
    // A busy host is what the deep jitter buffer is for.
    let mut gateway = Running::start("jitter_nominal_ms = 200\njitter_max_ms = 200\n");
    let Some(program) = call_agent(&gateway.folder) else { return };
    let capture = Capture::start(&mut gateway);
    let addresses = [gateway.address, gateway.others].map(|address| address.to_string());
    let agent = Command::new(program).args(addresses).output().expect("the call agent runs");
    let Output { status, stdout, stderr } = agent;
    let (stdout, stderr) = (said(&stdout), said(&stderr));
    println!("{stdout}");
    assert!(status.success(), "{stdout}{stderr}{}", gateway.log());
    for line in ["BTS to MSC: 50 packets, payload type 112 as 98", "16000 of 16000 octets", "all is well"] {
        assert!(stdout.contains(line), "{line}: {stdout}");
    }
    let left = gateway.ask("AUEP *@gw", "");
    assert!(!left.text.contains("rtpbridge"), "no relay is left: {}", left.text);
    gateway.stop();
    let Some(capture) = capture else { return };
    let capture = capture.end("mgcp.param.restartmethod == \"forced\"");
    let counts = ["mgcp", "sdp", "rtp"].map(|protocol| (protocol, capture.count(protocol)));
    println!("frames decoded: {counts:?}");
    for ((_, frames), least) in counts.iter().zip([300, 80, 800]) {
        assert!(*frames >= least, "{counts:?}");
    }
    // Nothing that its call agent does not understand.
    assert_eq!(capture.count("udp.dstport == 2728 && mgcp.rsp.rspcode == 100"), 0);
    assert_eq!(capture.count("udp.dstport == 2728 && mgcp.req"), 0);
}
