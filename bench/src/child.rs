//! A gateway started for one measurement: configured for it, watched, and ended by its own number.

use std::fmt::Write;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use drivers::line::{Carrier, Law};
use drivers::time::Clock;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use crate::Failure;
use crate::load_args::Driver;
use crate::pace;
use crate::target::GatewayFault;

/// The gateway that a measurement wants.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Wanted {
    /// Its program.
    pub(crate) program: PathBuf,
    /// Its address for everything.
    pub(crate) address: Ipv4Addr,
    /// How large it is: whole E1s whose far ends loop.
    pub(crate) size: Size,
}

/// What a gateway that is started here is to be like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Size {
    /// DS0s at least.
    pub(crate) ds0s: u16,
    /// The law of its lines.
    pub(crate) law: Law,
    /// What octets wait in its jitter buffers; its own default if `None`.
    pub(crate) jitter_ms: Option<u16>,
    /// Transactions that it can know at a time; its own default if `None`.
    pub(crate) transactions_max: Option<u32>,
    /// The CPU of its media core.
    pub(crate) cpu: Option<usize>,
    /// The real-time priority of its media core.
    pub(crate) real_time_priority: Option<u8>,
    /// How its media reach the network.
    pub(crate) driver: Driver,
}

/// The first of its RTP ports.
const PORT_FIRST: u16 = 20_000;

/// MGCP's (RFC 3435 §3.5).
const MGCP_PORT: u16 = 2_427;

/// The domain of its endpoints.
pub(crate) const DOMAIN: &str = "tollgate";

impl Wanted {
    /// Where it listens.
    pub(crate) fn mgcp(&self) -> SocketAddr {
        (self.address, MGCP_PORT).into()
    }

    /// Its configuration file.
    fn config(&self) -> String {
        let Self {
            address,
            size: Size { ds0s, law, jitter_ms, transactions_max, cpu, real_time_priority, driver },
            ..
        } = self;
        let e1s = ds0s.div_ceil(u16::from(Carrier::E1.timeslot_max()));
        let ports = u32::from(e1s) * u32::from(Carrier::E1.timeslot_max()) * 2;
        let port_last = u32::from(PORT_FIRST) + ports - 1;
        let law = match law {
            Law::A => "a",
            Law::Mu => "mu",
        };
        let mut text = format!(
            "[gateway]\nname = \"{DOMAIN}\"\n\
             [mgcp]\nlisten = [\"{address}:{MGCP_PORT}\"]\nallow = [\"127.0.0.0/8\", \"198.18.0.0/15\"]\nrestart_wait_max_ms = 0\n"
        );
        let write = |text: &mut String, line: std::fmt::Arguments<'_>| {
            writeln!(text, "{line}").expect("a String takes whatever is written");
        };
        if let Some(transactions_max) = transactions_max {
            write(&mut text, format_args!("transactions_max = {transactions_max}"));
        }
        write(
            &mut text,
            format_args!(
                "[media]\naddresses = [\"{address}\"]\nport_first = {PORT_FIRST}\nport_last = {port_last}\n\
                 driver = \"{driver}\""
            ),
        );
        if let Some(jitter_ms) = jitter_ms {
            let most = (*jitter_ms).max(100);
            write(&mut text, format_args!("jitter_nominal_ms = {jitter_ms}\njitter_max_ms = {most}"));
        }
        write(&mut text, format_args!("[[core]]"));
        if let Some(cpu) = cpu {
            write(&mut text, format_args!("cpu = {cpu}"));
        }
        if let Some(level) = real_time_priority {
            write(&mut text, format_args!("[host]\nreal_time_priority = {level}"));
        }
        write(&mut text, format_args!("[[span]]\ncarrier = \"e1\"\ncount = {e1s}\nlaw = \"{law}\""));
        write(&mut text, format_args!("driver = \"sim\"\nfar_end = \"loop\""));
        text
    }
}

/// A gateway that was started here, and ends with this.
#[derive(Debug)]
pub(crate) struct Gateway {
    id: u32,
    process: Mutex<Child>,
    folder: Folder,
}

/// Where its configuration and log are, as long as it is there.
#[derive(Debug)]
struct Folder(PathBuf);

impl Gateway {
    /// Starts it. It may not be ready yet.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(crate) fn start(wanted: &Wanted) -> Result<Self, Failure> {
        let folder = Folder::new()?;
        let config = folder.0.join("tollgate.toml");
        fs::write(&config, wanted.config())?;
        let log = File::create(folder.log())?;
        let process = Command::new(&wanted.program)
            .args(["run", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| format!("{}: {error}", wanted.program.display()))?;
        Ok(Self { id: process.id(), process: Mutex::new(process), folder })
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Checks that it has not ended.
    ///
    /// # Errors
    /// If it has, with the end of its log.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        // Left to be waited for: to bury it takes the kernel long, and who asks may be ahead of those it needs for it.
        let seen = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        match waitid(Id::Pid(Pid::from_raw(self.id as i32)), seen)? {
            WaitStatus::StillAlive => Ok(()),
            ended => {
                let status = match ended {
                    WaitStatus::Exited(_, code) => format!("exit status {code}"),
                    WaitStatus::Signaled(_, signal, _) => signal.to_string(),
                    other => format!("{other:?}"),
                };
                Err(GatewayFault(format!("the gateway has ended ({status}):\n{}", self.log_end())).into())
            }
        }
    }

    /// Has it log its counters, and says what it has logged of its first core.
    ///
    /// # Errors
    /// If it does not.
    pub(crate) fn counters(&self) -> Result<String, Failure> {
        let logged = || -> Result<_, Failure> {
            let log = fs::read_to_string(self.folder.log())?;
            let lines: Vec<_> = log.lines().filter(|line| line.contains("core 0: ")).collect();
            Ok((lines.len(), lines.last().map(|line| (*line).to_owned())))
        };
        let (before, _) = logged()?;
        kill(Pid::from_raw(self.id as i32), Signal::SIGUSR1)?;
        let clock = Clock;
        let until = clock.now() + COUNTERS_MAX;
        loop {
            if let (n, Some(line)) = logged()?
                && n > before
            {
                return Ok(line);
            }
            let now = clock.now();
            if now > until {
                return Err("the gateway did not log its counters".into());
            }
            pace::sleep_until(now + Duration::from_millis(1));
        }
    }

    /// Ends it the orderly way, and says what it logged of its end.
    ///
    /// # Errors
    /// If it does not end, or not well.
    pub(crate) fn stop(self) -> Result<String, Failure> {
        match self.terminate()? {
            Some(status) if status.success() => Ok(self.log_end()),
            Some(status) => {
                let log = self.log_end();
                Err(GatewayFault(format!("the gateway did not end well ({status}):\n{log}")).into())
            }
            None => {
                let most = STOP_MAX.as_secs();
                Err(GatewayFault(format!("the gateway did not end within {most} s of SIGTERM")).into())
            }
        }
    }

    /// SIGTERM; its exit status, if it ends in time.
    fn terminate(&self) -> io::Result<Option<ExitStatus>> {
        kill(Pid::from_raw(self.id as i32), Signal::SIGTERM)?;
        let clock = Clock;
        let until = clock.now() + STOP_MAX;
        loop {
            let status = self.status()?;
            let now = clock.now();
            if status.is_some() || now > until {
                return Ok(status);
            }
            pace::sleep_until(now + Duration::from_millis(10));
        }
    }

    /// How it has ended, if it has.
    fn status(&self) -> io::Result<Option<ExitStatus>> {
        self.process().try_wait()
    }

    fn process(&self) -> MutexGuard<'_, Child> {
        self.process.lock().expect("whoever had it did not panic")
    }

    /// The last lines of its log.
    fn log_end(&self) -> String {
        let log = fs::read_to_string(self.folder.log()).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if matches!(self.status(), Ok(None)) && !matches!(self.terminate(), Ok(Some(_))) {
            // It does not listen to reason; whatever comes of it, nothing better can be done.
            let _ = self.process().kill();
            let _ = self.process().wait();
        }
    }
}

impl Folder {
    fn new() -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("tollgate-bench-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    fn log(&self) -> PathBuf {
        self.0.join("log")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// How long a gateway may take to end.
const STOP_MAX: Duration = Duration::from_secs(5);

/// How long it may take to log its counters.
const COUNTERS_MAX: Duration = Duration::from_secs(2);

/// Lines of a log that are shown.
const LOG_LINES: usize = 12;

/// The `tollgate` that was built beside this program.
///
/// # Errors
/// If there is none.
pub(crate) fn sibling() -> Result<PathBuf, Failure> {
    let program = std::env::current_exe()?.with_file_name("tollgate");
    if program.exists() {
        return Ok(program);
    }
    let program = program.display();
    Err(format!("{program} is missing: `cargo build --release --workspace --bins` makes it").into())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use control::config::{Config, MediaDriver};

    use super::*;

    fn wanted(ds0s: u16) -> Wanted {
        Wanted {
            program: PathBuf::from("tollgate"),
            address: Ipv4Addr::new(127, 64, 1, 1),
            size: Size {
                ds0s,
                law: Law::Mu,
                jitter_ms: Some(40),
                transactions_max: Some(100_000),
                cpu: Some(1),
                real_time_priority: Some(10),
                driver: Driver::Mmsg,
            },
        }
    }

    #[test]
    fn the_configuration_has_room_for_every_ds0_asked_for() {
        for ds0s in [1, 31, 32, 480, 8_064, 20_000] {
            let config = Config::parse(&wanted(ds0s).config(), Path::new("")).expect("it is right");
            assert!(config.ds0s() >= usize::from(ds0s) && config.ds0s() < usize::from(ds0s) + 31);
            assert_eq!(config.spans[0].law, Law::Mu);
            assert_eq!((config.cores[0].cpu, config.host.real_time_priority), (Some(1), Some(10)));
            assert_eq!(config.media.driver, MediaDriver::Mmsg);
            assert_eq!(config.mgcp.transactions_max, 100_000);
        }
    }

    #[test]
    fn what_is_not_asked_for_is_left_to_the_gateway() {
        let mut wanted = wanted(62);
        wanted.size = Size {
            jitter_ms: None,
            transactions_max: None,
            cpu: None,
            real_time_priority: None,
            ..wanted.size
        };
        let config = Config::parse(&wanted.config(), Path::new("")).expect("it is right");
        assert_eq!(config.media.jitter, Config::default().media.jitter);
        assert_eq!(config.mgcp.transactions_max, Config::default().mgcp.transactions_max);
        assert_eq!(config.cores, Config::default().cores);
        assert_eq!(config.host.real_time_priority, None);
    }
}
