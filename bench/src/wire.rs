//! What is between the harness and what is tested: loopback, or a wire.
//!
//! The wire is a veth pair between two network namespaces, one of each side, that are gone when the last
//! thread or program in them has ended. Nothing goes over it that a real wire would not carry, which is what
//! a driver past the kernel needs. Each frame is received by the kernel on the CPU that sent it, so what is
//! tested pays for the harness's reception as well, over loopback as over the wire. At its end of a wire the
//! harness goes past the kernel whatever is tested: then that is the least it can be.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::slice;
use std::sync::Arc;
use std::thread;

use drivers::net::xdp::Interface;
use drivers::net::{Ports, XdpMode};
use nix::sched::{CloneFlags, setns, unshare};

use crate::Failure;

/// What is between the harness and what is tested.
#[derive(Debug)]
pub(crate) enum Network {
    /// Addresses of this host.
    Loopback,
    /// A veth pair between two namespaces.
    Wire {
        /// The namespace of what is tested.
        tested: File,
        /// The namespace of the harness.
        harness: File,
    },
}

/// An end of the network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// The gateway's, or the bare loop's.
    Tested,
    /// The harness's.
    Harness,
}

/// The addresses of a wire: from those that are kept for measuring devices (RFC 2544).
const TESTED: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const HARNESS: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);

impl Network {
    /// A new wire.
    ///
    /// # Errors
    /// If this process may not make one, or there is no iproute2.
    pub(crate) fn wire() -> Result<Self, Failure> {
        let [tested, harness] = [namespace()?, namespace()?];
        let other = format!("/proc/{}/fd/{}", std::process::id(), harness.as_raw_fd());
        let this = Self::Wire { tested, harness };
        this.ip(End::Tested, &format!("link add tested0 type veth peer name harness0 netns {other}"))?;
        for (end, device, address) in [(End::Tested, "tested0", TESTED), (End::Harness, "harness0", HARNESS)]
        {
            this.ip(end, &format!("addr add {address}/24 dev {device}"))?;
            this.ip(end, "link set lo up")?;
            this.ip(end, &format!("link set {device} up"))?;
        }
        Ok(this)
    }

    /// The addresses of the gateway, the harness and the bare loop.
    pub(crate) fn addresses(&self) -> [Ipv4Addr; 3] {
        match self {
            Self::Loopback => own_addresses(),
            Self::Wire { .. } => [TESTED, HARNESS, TESTED],
        }
    }

    /// Takes this thread, and what is started from it, to one end for good.
    ///
    /// # Errors
    /// If the kernel does not let it.
    pub(crate) fn enter(&self, end: End) -> Result<(), Failure> {
        if let Self::Wire { tested, harness } = self {
            let namespace = match end {
                End::Tested => tested,
                End::Harness => harness,
            };
            setns(namespace, CloneFlags::CLONE_NEWNET)?;
        }
        Ok(())
    }

    /// Puts a program on the interface at one end, for these ports; on loopback there is none.
    ///
    /// To be called from no pinned thread: the one that finds out next hops, which this starts, would stay
    /// on the same CPU, and never run beside a thread that is at its limit.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn attach(&self, end: End, ports: &Ports) -> Result<Option<Arc<Interface>>, Failure> {
        if matches!(self, Self::Loopback) {
            return Ok(None);
        }
        let run = || -> Result<_, Failure> {
            self.enter(end)?;
            Ok(Some(Interface::attach(None, XdpMode::Auto, slice::from_ref(ports))?))
        };
        thread::scope(|scope| {
            scope.spawn(run).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Runs iproute2 at one end.
    fn ip(&self, end: End, command: &str) -> Result<(), Failure> {
        let run = || -> Result<(), Failure> {
            self.enter(end)?;
            let ip = Command::new("ip").args(command.split(' ')).output();
            let output = ip.map_err(|error| format!("a wire wants iproute2's `ip`: {error}"))?;
            if output.status.success() {
                return Ok(());
            }
            Err(format!("ip {command}: {}", String::from_utf8_lossy(&output.stderr).trim_end()).into())
        };
        thread::scope(|scope| {
            scope.spawn(run).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

/// Loopback addresses of this run: those of the gateway, the harness and the reflector. Several runs
/// at a time do not disturb each other.
pub(crate) fn own_addresses() -> [Ipv4Addr; 3] {
    let process = std::process::id();
    [1, 2, 3].map(|host| Ipv4Addr::new(127, 64 + (process >> 8) as u8 % 128, process as u8, host))
}

/// A network namespace that lasts as long as somebody has it open.
fn namespace() -> Result<File, Failure> {
    let make = || -> Result<File, Failure> {
        unshare(CloneFlags::CLONE_NEWNET)
            .map_err(|error| format!("a wire wants CAP_SYS_ADMIN, for network namespaces: {error}"))?;
        Ok(File::open("/proc/thread-self/ns/net")?)
    };
    thread::spawn(make).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
