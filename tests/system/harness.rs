//! A running gateway, a call agent of plain text, and programs to run beside them.

use std::fs;
use std::io::{ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use drivers::time::Clock;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::Reply;

/// How long anything may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts the gateway that a folder has the configuration of, and logs there.
fn spawn(folder: &Path) -> Child {
    let log = fs::File::create(folder.join("log")).expect("a file can be written");
    Command::new(binary())
        .args(["run", "--config"])
        .arg(folder.join("tollgate.toml"))
        .stdout(log.try_clone().expect("a file has two handles"))
        .stderr(log)
        .spawn()
        .expect("the binary starts")
}

/// The binary, built as the tests were: once a run, so that none is ever older than the sources.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let deps = std::env::current_exe().expect("a test knows its own path");
        let folder = deps.parent().and_then(Path::parent).expect("tests are in target/*/deps");
        let profile: &[&str] = if folder.ends_with("release") { &["--release"] } else { &[] };
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "control", "--bins"])
            .args(profile)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(built.is_ok_and(|status| status.success()), "the binary is built");
        folder.join("tollgate")
    })
}

/// Whether a program is there. In CI it must be; elsewhere its tests are left out, loudly.
pub(crate) fn has(program: &str) -> bool {
    let found =
        Command::new(program).arg("-version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        left_out(&format!("{program} is not installed; `tests/run` installs it"));
    }
    found
}

/// Says that a test is left out, past what gathers the output of tests: one that did not run should not
/// look like one that passed. In CI none may be left out.
pub(crate) fn left_out(reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "in CI no test is left out: {reason}");
    let _ = writeln!(std::io::stderr(), "LEFT OUT: {reason}");
}

/// A loopback address that no other test of this run has.
fn own_address() -> [u8; 3] {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let process = std::process::id();
    [100 + (process >> 8) as u8 % 100, process as u8, NEXT.fetch_add(1, Ordering::Relaxed)]
}

/// A gateway in a process of its own.
pub(crate) struct Running {
    child: Child,
    /// Its folder for configuration and recordings; gone with it.
    pub(crate) folder: PathBuf,
    /// Its address for everything.
    pub(crate) address: IpAddr,
    /// The address of call agents.
    pub(crate) others: IpAddr,
    /// The address of RTP peers.
    pub(crate) peers: IpAddr,
    agent: UdpSocket,
    transaction: u32,
    /// Commands of the gateway's own that the call agent has got.
    pub(crate) commands: Vec<String>,
}

impl Running {
    /// Starts a gateway with these settings beside its addresses: more of `[media]`, then whole tables.
    pub(crate) fn start(settings: &str) -> Self {
        Self::start_with_media(None, settings)
    }

    /// Starts one whose media have an address of their own, as their peers have.
    pub(crate) fn start_with_media(media: Option<[Ipv4Addr; 2]>, settings: &str) -> Self {
        let [a, b, c] = own_address();
        let (address, others) = (Ipv4Addr::new(127, a, b, c), Ipv4Addr::new(127, a, b, 100 + c));
        let [media, peers] = media.unwrap_or([address, others]);
        let folder = std::env::temp_dir().join(format!("tollgate-test-{a}-{b}-{c}"));
        fs::create_dir_all(&folder).expect("a folder can be made");
        let config = folder.join("tollgate.toml");
        let text = format!(
            "[gateway]\nname = \"gw\"\n[mgcp]\nlisten = [\"{address}:2427\"]\nallow = [\"127.0.0.0/8\"]\n\
             notified_entity = \"ca@[{others}]:2727\"\nrestart_wait_max_ms = 0\n\
             [media]\naddresses = [\"{media}\"]\n{settings}"
        );
        fs::write(&config, text).expect("a file can be written");
        let agent = UdpSocket::bind((others, 2727)).expect("nobody else has this address");
        agent.set_read_timeout(Some(Duration::from_millis(200))).expect("a socket takes a timeout");
        let child = spawn(&folder);
        let (address, others) = (IpAddr::V4(address), IpAddr::V4(others));
        let peers = IpAddr::V4(peers);
        let mut running =
            Self { child, folder, address, others, peers, agent, transaction: 100, commands: Vec::new() };
        running.wait_until_up();
        running
    }

    /// Kills it without a warning and starts it again at once.
    pub(crate) fn crash_and_restart(&mut self) {
        self.child.kill().expect("the gateway is running");
        self.child.wait().expect("a child can be waited for");
        self.child = spawn(&self.folder);
        self.wait_until_up();
    }

    fn wait_until_up(&mut self) {
        let audit = self.ask("AUEP *@gw", "");
        assert_eq!(audit.code, 200, "{}", audit.text);
    }

    /// Its MGCP address.
    pub(crate) fn mgcp(&self) -> SocketAddr {
        SocketAddr::new(self.address, 2427)
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    /// Sends a command, again and again as RFC 3435 §3.5 has it, and waits for its final response.
    pub(crate) fn ask(&mut self, line: &str, rest: &str) -> Reply {
        self.transaction += 1;
        let (verb, endpoint) = line.split_once(' ').expect("a verb and an endpoint");
        let text = format!("{verb} {} {endpoint} MGCP 1.0\r\n{rest}", self.transaction);
        for _ in 0..PATIENCE.as_millis() / 200 {
            // Nobody may listen yet: that shows as an error of an earlier send.
            let _ = self.agent.send_to(text.as_bytes(), self.mgcp());
            while let Some(message) = self.receive() {
                match Reply::read(&message) {
                    Some(reply) if reply.transaction == self.transaction && reply.code >= 200 => {
                        return reply;
                    }
                    Some(_) => {}
                    None => self.answer(message),
                }
            }
        }
        panic!("no response to {text}\nlog:\n{}", self.log());
    }

    fn receive(&self) -> Option<String> {
        let mut buffer = [0; 65_536];
        match self.agent.recv_from(&mut buffer) {
            Ok((n, _)) => Some(String::from_utf8_lossy(&buffer[..n]).into_owned()),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
            Err(e) if e.kind() == ErrorKind::ConnectionRefused => None,
            Err(e) => panic!("the call agent's socket failed: {e}"),
        }
    }

    fn answer(&mut self, command: String) {
        let transaction = command.split_whitespace().nth(1).unwrap_or_default();
        let _ = self.agent.send_to(format!("200 {transaction} OK\r\n").as_bytes(), self.mgcp());
        self.commands.push(command);
    }

    /// Takes commands of the gateway's own until it is silent for a fifth of a second.
    pub(crate) fn listen(&mut self) {
        while let Some(message) = self.receive() {
            if Reply::read(&message).is_none() {
                self.answer(message);
            }
        }
    }

    /// Takes commands of the gateway's own for so long.
    pub(crate) fn listen_for(&mut self, time: Duration) {
        let until = Clock.now() + time;
        while Clock.now() < until {
            self.listen();
        }
    }

    /// A connection towards what `sdp` describes.
    pub(crate) fn connect(&mut self, endpoint: &str, mode: &str, sdp: &str) -> Reply {
        let body = if sdp.is_empty() { String::new() } else { format!("\r\n{sdp}") };
        let reply = self.ask(&format!("CRCX {endpoint}@gw"), &format!("C: A1\r\nM: {mode}\r\n{body}"));
        assert_eq!(reply.code, 200, "{}", reply.text);
        reply
    }

    /// A description of a peer at `port` that offers one payload type.
    pub(crate) fn peer(&self, port: u16, payload_type: u8) -> String {
        let ip = self.peers;
        format!(
            "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP {payload_type}\r\n"
        )
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("the gateway is running");
    }

    /// Ends it with SIGTERM and waits; its exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.stop_by(Signal::SIGTERM)
    }

    /// Ends it with a signal and waits; its exit code, if it was not the signal that ended it.
    pub(crate) fn stop_by(&mut self, signal: Signal) -> Option<i32> {
        self.signal(signal);
        let deadline = Clock.now() + PATIENCE;
        while Clock.now() < deadline {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return status.code();
            }
            // The call agent's socket is the clock: it waits a fifth of a second at most.
            self.listen();
        }
        panic!("the gateway did not stop\nlog:\n{}", self.log());
    }

    /// A recording's octets, once the gateway has stopped.
    pub(crate) fn recording(&self, name: &str) -> Vec<u8> {
        wav_octets(
            &fs::read(self.folder.join(name)).unwrap_or_else(|e| panic!("{name}: {e}\n{}", self.log())),
        )
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Only what this test has started, by its own handle.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("kept for a look: {}", self.folder.display());
        } else {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// The octets of the `data` chunk of a WAV file, read without the gateway's own reader.
pub(crate) fn wav_octets(file: &[u8]) -> Vec<u8> {
    assert_eq!((&file[..4], &file[8..12]), (&b"RIFF"[..], &b"WAVE"[..]), "a WAV file");
    let mut at = 12;
    while at + 8 <= file.len() {
        let len = u32::from_le_bytes(file[at + 4..at + 8].try_into().expect("four octets")) as usize;
        if &file[at..at + 4] == b"data" {
            return file[at + 8..(at + 8 + len).min(file.len())].to_vec();
        }
        at += 8 + len + len % 2;
    }
    panic!("a WAV file has a data chunk");
}
