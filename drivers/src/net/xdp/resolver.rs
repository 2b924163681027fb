//! Finds out which station datagrams go to next, and keeps it up to date: a thread beside the workers.
//!
//! It asks the kernel, which alone knows routes, rules, routers and neighbours, and asks anew whenever any
//! of that changes. It never sends anything on behalf of a datagram itself: a worker that does not know a
//! station sends through the kernel, and that is what makes the kernel look for it.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::frame::Mac;
use super::netlink::{Changes, Netlink};
use super::next_hops::{self, NextHops};
use crate::time::Clock;

/// The resolver of an interface, as the workers see it. Dropping it ends it.
pub(super) struct Resolver {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
}

struct Shared {
    /// The interface's own station, in the lower 48 bits.
    mac: AtomicU64,
    /// By core.
    tables: Vec<Arc<NextHops>>,
    stop: EventFd,
}

impl Resolver {
    /// Starts it for an interface, the station it has now, our own addresses, and each core's table.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn start(
        interface: u32,
        mac: Mac,
        addresses: &[IpAddr],
        netlink: Netlink,
        tables: Vec<Arc<NextHops>>,
    ) -> io::Result<Self> {
        let stop = EventFd::from_flags(EfdFlags::EFD_CLOEXEC)?;
        let shared = Arc::new(Shared { mac: AtomicU64::new(next_hops::number(mac)), tables, stop });
        let work = Work {
            interface,
            v4: addresses.iter().copied().find(IpAddr::is_ipv4),
            v6: addresses.iter().copied().find(IpAddr::is_ipv6),
            netlink,
            changes: Changes::new()?,
            shared: Arc::clone(&shared),
        };
        let thread = thread::Builder::new().name("next-hops".to_owned()).spawn(move || work.run())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The table of a core.
    pub(super) fn table(&self, core: usize) -> Arc<NextHops> {
        Arc::clone(&self.shared.tables[core])
    }

    /// The interface's own station.
    pub(super) fn mac(&self) -> Mac {
        next_hops::station(self.shared.mac.load(Ordering::Relaxed))
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        // It cannot fail: nobody else has written to it. If it did, the thread would end with the process.
        if self.shared.stop.write(1).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

struct Work {
    interface: u32,
    v4: Option<IpAddr>,
    v6: Option<IpAddr>,
    netlink: Netlink,
    changes: Changes,
    shared: Arc<Shared>,
}

/// How soon a new address is looked at: until then its datagrams go through the kernel.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How often the kernel is asked whether stations in use are still there. It asks them itself only for what
/// it sends itself.
const CONFIRM_EVERY: Duration = Duration::from_secs(10);

impl Work {
    fn run(mut self) {
        let mut seen = vec![0; self.shared.tables.len()];
        let mut confirm_at = Clock.now() + CONFIRM_EVERY;
        while !self.wait() {
            let now = Clock.now();
            let claims: Vec<_> = self.shared.tables.iter().map(|table| table.claims()).collect();
            let is_due = now >= confirm_at;
            if self.changes.take() || claims != seen || is_due {
                self.resolve();
                seen = claims;
            }
            if is_due {
                self.confirm();
                confirm_at = now + CONFIRM_EVERY;
            }
        }
    }

    /// Waits a moment; whether it is to end.
    fn wait(&self) -> bool {
        let mut stop = [PollFd::new(self.shared.stop.as_fd(), PollFlags::POLLIN)];
        poll(&mut stop, LOOK_EVERY.as_millis() as u8).is_ok_and(|ready| ready > 0)
    }

    fn resolve(&mut self) {
        if let Ok(link) = self.netlink.link(self.interface)
            && let Some(mac) = link.mac
        {
            self.shared.mac.store(next_hops::number(mac), Ordering::Relaxed);
        }
        let shared = Arc::clone(&self.shared);
        for table in &shared.tables {
            table.resolve(|address| {
                let next = self.next_hop(address)?;
                self.netlink.neighbour(self.interface, next).ok()?.mac
            });
        }
    }

    /// Has the kernel ask those that it has not heard of for some time.
    fn confirm(&mut self) {
        let shared = Arc::clone(&self.shared);
        for address in shared.tables.iter().flat_map(|table| table.take_used()) {
            let Some(next) = self.next_hop(address) else { continue };
            if self.netlink.neighbour(self.interface, next).is_ok_and(|neighbour| neighbour.is_stale) {
                // If it fails, the neighbour is gone, and so it will be from the tables.
                let _ = self.netlink.confirm(self.interface, next);
            }
        }
    }

    /// The neighbour that packets to `to` go to through this interface; `None` if they do not.
    fn next_hop(&mut self, to: IpAddr) -> Option<IpAddr> {
        let from = if to.is_ipv4() { self.v4 } else { self.v6 }?;
        let route = self.netlink.route(from, to).ok()?;
        (route.is_plain && route.interface == self.interface).then(|| route.gateway.unwrap_or(to))
    }
}
