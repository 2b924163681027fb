//! The signals that mean something to a gateway, as something to poll.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use nix::sys::signal::{self, SigSet};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// A signal that means something here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// SIGTERM or SIGINT: end the orderly way.
    Terminate,
    /// SIGHUP: read the configuration again; where there is none, a terminal was closed: end.
    Reload,
    /// SIGUSR1: log the counters.
    Status,
    /// SIGUSR2: end with the last call; or, if that is under way, stay after all.
    Graceful,
}

/// SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2, kept from ending the process.
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// Keeps the signals of this thread, and of those it starts later, for [`poll`](Self::poll). To be
    /// called before any thread is started.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn catch() -> io::Result<Self> {
        let mut set = SigSet::empty();
        set.add(signal::SIGTERM);
        set.add(signal::SIGINT);
        // A terminal that is closed, too, must leave no call agent in the dark.
        set.add(signal::SIGHUP);
        set.add(signal::SIGUSR1);
        set.add(signal::SIGUSR2);
        set.thread_block()?;
        Ok(Self(SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?))
    }

    /// The next signal that has come.
    pub fn poll(&self) -> Option<Signal> {
        let come = self.0.read_signal().ok().flatten()?;
        Some(match come.ssi_signo {
            signo if signo == signal::SIGUSR1 as u32 => Signal::Status,
            signo if signo == signal::SIGUSR2 as u32 => Signal::Graceful,
            signo if signo == signal::SIGHUP as u32 => Signal::Reload,
            _ => Signal::Terminate,
        })
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}
