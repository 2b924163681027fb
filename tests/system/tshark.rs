//! tshark decodes everything that the gateway says, and finds nothing wrong with it.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Running, has, left_out};

/// What tshark prints for frames that match `filter`.
fn decode(capture: &str, filter: &str) -> String {
    let output = Command::new("tshark")
        .args(["-n", "-r", capture, "-d", "udp.port==2427,mgcp", "-d", "udp.port==2727,mgcp", "-Y", filter])
        .output()
        .expect("tshark runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Does something again and again until the capture holds a frame that matches `filter`; `false` if
/// tshark, which is to write it, has ended.
fn wait_for(tshark: &mut Child, capture: &str, filter: &str, mut again: impl FnMut()) -> bool {
    for _ in 0..40 {
        again();
        // Decoding takes about half a second: that is the wait.
        if !decode(capture, filter).is_empty() {
            return true;
        }
        if tshark.try_wait().expect("a child can be waited for").is_some() {
            return false;
        }
    }
    panic!("nothing that is {filter} was captured");
}

#[test]
fn tshark_finds_nothing_malformed_in_mgcp_sdp_rtp_and_rtcp() {
    if !has("tshark") {
        return;
    }
    let mut gateway = Running::start("");
    let capture = gateway.folder.join("capture.pcapng");
    let capture = capture.to_str().expect("the temporary folder's name is UTF-8").to_owned();
    let mut tshark = Command::new("tshark")
        .args(["-q", "-i", "lo", "-w", &capture, "-f", &format!("host {}", gateway.address)])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("tshark starts");
    // It says «Capturing on …» when it means to listen; without the right to capture it ends instead.
    let mut stderr = std::io::BufReader::new(tshark.stderr.take().expect("its stderr is ours"));
    let mut told = String::new();
    while !told.contains("Capturing on") {
        if std::io::BufRead::read_line(&mut stderr, &mut told).unwrap_or(0) == 0 {
            break;
        }
    }
    // It says so a little early, and it writes a little late: words on the wire show when it is there.
    let mut audit = || drop(gateway.ask("AUEP ds/e1-1/1@gw", ""));
    if !wait_for(&mut tshark, &capture, "mgcp.req.verb == \"AUEP\"", &mut audit) {
        left_out("tshark may not capture here; root may, and whoever is in the group wireshark");
        return;
    }

    let first = gateway.connect("ds/e1-1/1", "recvonly", "");
    let sdp = first.description().expect("a connection is described").to_owned();
    let second = gateway.connect("ds/e1-2/1", "sendrecv", &sdp);
    let sdp = second.description().expect("a connection is described").to_owned();
    let modify = format!("C: A1\r\nI: {}\r\nM: sendrecv\r\n\r\n{sdp}", first.connection());
    assert_eq!(gateway.ask("MDCX ds/e1-1/1@gw", &modify).code, 200);
    let clear = gateway.ask("CRCX ds/e1-3/1@gw", "C: A2\r\nL: p:10, a:CLEARMODE;PCMU\r\nM: recvonly\r\n");
    assert_eq!(clear.code, 200, "{}", clear.text);
    // Long enough for RTCP reports from both ends (RFC 3550 §6.2: 2.5 s at first, 5 s then).
    gateway.listen_for(Duration::from_secs(9));
    let audit = format!("I: {}\r\nF: C,M,L,LC,RC,P\r\n", second.connection());
    assert_eq!(gateway.ask("AUCX ds/e1-2/1@gw", &audit).code, 200);
    assert_eq!(gateway.ask("AUEP ds/e1-2/1@gw", "F: A,I,N\r\n").code, 200);
    assert!(gateway.ask("CRCX ds/e1-2/2@gw", "C: 1\r\nM: shout\r\n").code >= 400);
    gateway.ask("DLCX ds/e1-1/1@gw", &format!("C: A1\r\nI: {}\r\n", first.connection()));
    gateway.ask("DLCX ds/e1-2/1@gw", "C: A1\r\n");
    gateway.ask("DLCX *@gw", "");
    gateway.stop();
    assert!(wait_for(&mut tshark, &capture, "mgcp.param.restartmethod == \"forced\"", || {}));
    kill(Pid::from_raw(tshark.id() as i32), Signal::SIGINT).expect("tshark is running");
    tshark.wait().expect("tshark ends");

    let mut counts = Vec::new();
    for protocol in ["mgcp", "sdp", "rtp", "rtcp"] {
        let frames = decode(&capture, protocol).lines().count();
        counts.push(format!("{protocol}: {frames}"));
        let least = if protocol == "rtp" { 500 } else { 4 };
        assert!(frames >= least, "{counts:?}");
    }
    println!("frames decoded: {counts:?}");
    let wrong = decode(&capture, "_ws.malformed || _ws.expert.severity >= 0x600000");
    assert!(wrong.is_empty(), "tshark warns of:\n{wrong}");
}
