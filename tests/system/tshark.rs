//! tshark decodes everything that the gateway says, and finds nothing wrong with it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Running, has, left_out};

/// What tshark captures of one gateway.
pub(crate) struct Capture {
    tshark: Child,
    file: String,
}

impl Capture {
    /// Captures all that a gateway gets and sends from now on; `None`, loudly, where that cannot be.
    pub(crate) fn start(gateway: &mut Running) -> Option<Self> {
        if !has("tshark") {
            return None;
        }
        let file = gateway.folder.join("capture.pcapng");
        let file = file.to_str().expect("the temporary folder's name is UTF-8").to_owned();
        let mut tshark = Command::new("tshark")
            .args(["-q", "-i", "lo", "-w", &file, "-f", &format!("host {}", gateway.address)])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("tshark starts");
        // It says «Capturing on …» when it means to listen; without the right to capture it ends instead.
        let mut stderr = BufReader::new(tshark.stderr.take().expect("its stderr is ours"));
        let mut told = String::new();
        while !told.contains("Capturing on") {
            if stderr.read_line(&mut told).unwrap_or(0) == 0 {
                break;
            }
        }
        let mut capture = Self { tshark, file };
        // It says so a little early, and it writes a little late: words on the wire show when it is there.
        let mut audit = || drop(gateway.ask("AUEP ds/e1-1/1@gw", ""));
        if capture.waits_for("mgcp.req.verb == \"AUEP\"", &mut audit) {
            return Some(capture);
        }
        left_out("tshark may not capture here; root may, and whoever is in the group wireshark");
        None
    }

    /// Ends it when it holds a frame that matches `last`. Then there must be no frame that tshark warns of.
    pub(crate) fn end(mut self, last: &str) -> Self {
        assert!(self.waits_for(last, || {}), "tshark ended early");
        kill(Pid::from_raw(self.tshark.id() as i32), Signal::SIGINT).expect("tshark is running");
        self.tshark.wait().expect("tshark ends");
        let wrong = self.decode("_ws.malformed || _ws.expert.severity >= 0x600000");
        assert!(wrong.is_empty(), "tshark warns of:\n{wrong}");
        self
    }

    /// How many frames match `filter`.
    pub(crate) fn count(&self, filter: &str) -> usize {
        self.decode(filter).lines().count()
    }

    /// What tshark prints for frames that match `filter`.
    fn decode(&self, filter: &str) -> String {
        let ports = [2427, 2727, 2728].map(|port| format!("udp.port=={port},mgcp"));
        let output = Command::new("tshark")
            .args(["-n", "-r", &self.file, "-Y", filter])
            .args(ports.iter().flat_map(|port| ["-d", port]))
            .output()
            .expect("tshark runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Does something again and again until there is a frame that matches `filter`; `false` if tshark,
    /// which is to write it, has ended.
    fn waits_for(&mut self, filter: &str, mut again: impl FnMut()) -> bool {
        for _ in 0..40 {
            again();
            // Decoding takes about half a second: that is the wait.
            if self.count(filter) > 0 {
                return true;
            }
            if self.tshark.try_wait().expect("a child can be waited for").is_some() {
                return false;
            }
        }
        panic!("nothing that is {filter} was captured");
    }
}

#[test]
fn tshark_finds_nothing_malformed_in_mgcp_sdp_rtp_and_rtcp() {
    let mut gateway = Running::start("");
    let Some(capture) = Capture::start(&mut gateway) else { return };
    let first = gateway.connect("ds/e1-1/1", "recvonly", "");
    let sdp = first.description().expect("a connection is described").to_owned();
    let second = gateway.connect("ds/e1-2/1", "sendrecv", &sdp);
    let sdp = second.description().expect("a connection is described").to_owned();
    let modify = format!("C: A1\r\nI: {}\r\nM: sendrecv\r\n\r\n{sdp}", first.connection());
    assert_eq!(gateway.ask("MDCX ds/e1-1/1@gw", &modify).code, 200);
    let clear = gateway.ask("CRCX ds/e1-3/1@gw", "C: A2\r\nL: p:10, a:CLEARMODE;PCMU\r\nM: recvonly\r\n");
    assert_eq!(clear.code, 200, "{}", clear.text);
    let digit = format!("X: 1\r\nS: D/5@{}\r\n", first.connection());
    assert_eq!(gateway.ask("RQNT ds/e1-1/1@gw", &digit).code, 200);
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
    let capture = capture.end("mgcp.param.restartmethod == \"forced\"");
    // 80 ms of a digit: its end three times over, under the type that its descriptions gave it.
    assert!(capture.count("rtpevent.event_id == 5 && rtpevent.end_of_event == 0") >= 3);
    let ends = "rtpevent.event_id == 5 && rtpevent.end_of_event == 1 && rtpevent.duration == 640";
    assert_eq!(capture.count(ends), 3);
    let counts = ["mgcp", "sdp", "rtp", "rtcp"].map(|protocol| (protocol, capture.count(protocol)));
    println!("frames decoded: {counts:?}");
    for (protocol, frames) in counts {
        assert!(frames >= if protocol == "rtp" { 500 } else { 4 }, "{counts:?}");
    }
}
