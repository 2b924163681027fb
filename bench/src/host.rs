//! What the host says of processes, threads and sockets: `/proc`, read.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Sub;
use std::time::Duration;

/// One thread of some process on this host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Thread {
    process: u32,
    id: u32,
}

/// The CPU time of a thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Usage {
    /// All of it.
    pub(crate) cpu: Duration,
    /// How long it could have run, but others had its CPU: noise of the machine.
    pub(crate) waited: Duration,
}

impl Sub for Usage {
    type Output = Self;

    fn sub(self, rhs: Self) -> Self {
        Self { cpu: self.cpu.saturating_sub(rhs.cpu), waited: self.waited.saturating_sub(rhs.waited) }
    }
}

impl Thread {
    /// The first thread of a process, which has its number.
    pub(crate) const fn main(process: u32) -> Self {
        Self { process, id: process }
    }

    /// The thread of this name, if the process has one.
    ///
    /// # Errors
    /// If there is no such process or thread.
    pub(crate) fn named(process: u32, name: &str) -> io::Result<Self> {
        // The kernel's list can miss a thread while another of the process ends.
        for _ in 0..LOOKS {
            for entry in fs::read_dir(format!("/proc/{process}/task"))? {
                let path = entry?.path();
                let is_it = fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim_end() == name);
                let id = path.file_name().and_then(|id| id.to_str()).and_then(|id| id.parse().ok());
                if let (true, Some(id)) = (is_it, id) {
                    return Ok(Self { process, id });
                }
            }
        }
        Err(io::Error::new(io::ErrorKind::NotFound, format!("process {process} has no thread {name}")))
    }

    /// Its number.
    pub(crate) const fn id(self) -> u32 {
        self.id
    }

    /// What it has used since it started.
    ///
    /// # Errors
    /// If it has ended.
    pub(crate) fn usage(self) -> io::Result<Usage> {
        let folder = format!("/proc/{}/task/{}", self.process, self.id);
        // In ns, and there on every kernel that distributions build; else 10 ms have to do.
        let exact = fs::read_to_string(format!("{folder}/schedstat")).ok();
        if let Some((cpu, waited)) = exact.as_deref().and_then(schedstat_nanos) {
            return Ok(Usage { cpu, waited });
        }
        let stat = fs::read_to_string(format!("{folder}/stat"))?;
        let cpu = stat_ticks(&stat).ok_or_else(|| strange(&stat))?;
        Ok(Usage { cpu, waited: Duration::ZERO })
    }
}

/// The real-time policy that the calling thread runs by, and its level; nothing if by none.
pub(crate) fn real_time_level() -> Option<(&'static str, u8)> {
    stat_real_time(&fs::read_to_string("/proc/thread-self/stat").ok()?)
}

/// How often a process's threads are looked through for one.
const LOOKS: usize = 5;

/// Octets of memory that a process holds.
///
/// # Errors
/// If there is no such process.
pub(crate) fn resident(process: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or_else(|| strange(&status))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().map_err(|_| strange(line))?;
    Ok(kib * 1024)
}

/// Octets of the kernel's that a UDP socket takes with an empty queue: itself, its descriptor and, with io_uring, the
/// one request at most that waits for it, by the sizes the kernel says of them. Nothing if it does not say them, as
/// to other users than root.
pub(crate) fn socket_octets(has_request: bool) -> Option<u64> {
    socket_sizes(&fs::read_to_string("/proc/slabinfo").ok()?, has_request)
}

/// How many descriptors a process has open.
///
/// # Errors
/// If there is no such process, or it is somebody else's.
pub(crate) fn descriptors(process: u32) -> io::Result<u64> {
    let folder = format!("/proc/{process}/fd");
    // Linux 6.2 and newer say it as the folder's size. To count thousands takes tens of milliseconds, in which
    // a thread that runs by the real-time scheduler lets nobody else have its CPU.
    match fs::metadata(&folder)?.len() {
        0 => Ok(fs::read_dir(&folder)?.count() as u64),
        count => Ok(count),
    }
}

/// The fourth number of each line is the size of one.
fn socket_sizes(slabinfo: &str, has_request: bool) -> Option<u64> {
    let size = |name| {
        let mut lines = slabinfo.lines().map(str::split_ascii_whitespace);
        lines.find_map(|mut line| (line.next()? == name).then(|| line.nth(2)?.parse::<u64>().ok()).flatten())
    };
    let request = has_request.then_some("io_kiocb");
    ["UDP", "sock_inode_cache", "filp", "dentry"].into_iter().chain(request).map(size).sum()
}

/// Datagrams that the kernel dropped because the queue of the socket was full, over all UDP sockets of
/// this address's family that `is_meant`, in the network of a process or else of this thread. With
/// thousands of sockets, the table takes long to read.
///
/// # Errors
/// If the host does not say.
pub(crate) fn queue_drops(
    process: Option<u32>,
    family: IpAddr,
    is_meant: impl Fn(SocketAddr) -> bool,
) -> io::Result<u64> {
    let file = if family.is_ipv4() { "udp" } else { "udp6" };
    let whose = process.map_or("thread-self".to_owned(), |process| process.to_string());
    let table = fs::read_to_string(format!("/proc/{whose}/net/{file}"))?;
    Ok(table.lines().skip(1).filter_map(udp_line).filter(|line| is_meant(line.0)).map(|line| line.1).sum())
}

/// Fields 40 and 41: the level, and the policy as the kernel numbers it.
fn stat_real_time(stat: &str) -> Option<(&'static str, u8)> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(37);
    let level = fields.next()?.parse().ok()?;
    match fields.next()? {
        "1" => Some(("fifo", level)),
        "2" => Some(("rr", level)),
        _ => None,
    }
}

/// User and system time together; given in USER_HZ, 100 a second on Linux whatever its own clock does.
/// How it is divided between the two is a guess that is far off for a thread that wakes with the clock.
fn stat_ticks(stat: &str) -> Option<Duration> {
    // The name, in parentheses, may hold spaces and parentheses itself.
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let ticks = |index: usize| Some(Duration::from_millis(10 * fields.get(index)?.parse::<u64>().ok()?));
    Some(ticks(11)? + ticks(12)?)
}

fn schedstat_nanos(text: &str) -> Option<(Duration, Duration)> {
    let mut fields = text.split_ascii_whitespace().map(|field| field.parse().map(Duration::from_nanos));
    Some((fields.next()?.ok()?, fields.next()?.ok()?))
}

/// The local address of a line of `/proc/net/udp` or `udp6`, and its drops.
fn udp_line(line: &str) -> Option<(SocketAddr, u64)> {
    let mut fields = line.split_ascii_whitespace();
    let (address, port) = fields.nth(1)?.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    // Words of the address in the host's order, as the kernel has them in memory.
    let words: Vec<_> = (0..address.len() / 8)
        .map(|at| u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok().map(u32::to_ne_bytes))
        .collect::<Option<_>>()?;
    let address: IpAddr = match words.concat()[..] {
        [a, b, c, d] => Ipv4Addr::new(a, b, c, d).into(),
        ref octets => Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?).into(),
    };
    Some((SocketAddr::new(address, port), fields.last()?.parse().ok()?))
}

fn strange(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("/proc says `{text}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_s_name_may_look_like_anything() {
        let stat = "77 (a) b (c) S 1 77 77 0 -1 4194304 1 0 0 0 250 120 0 0 20 0 1 0";
        assert_eq!(stat_ticks(stat), Some(Duration::from_millis(3_700)));
        assert_eq!(stat_ticks("77 (a S"), None);
    }

    #[test]
    fn a_real_time_priority_is_told_from_none() {
        let stat = |level, policy| format!("77 (a) S {}{level} {policy} 0 0", "1 ".repeat(36));
        assert_eq!(stat_real_time(&stat(10, 1)), Some(("fifo", 10)));
        assert_eq!(stat_real_time(&stat(3, 2)), Some(("rr", 3)));
        assert_eq!(stat_real_time(&stat(0, 0)), None);
        assert_eq!(stat_real_time("77 (a) S 1"), None);
    }

    #[test]
    fn drops_belong_to_the_address_the_socket_is_bound_to() {
        let line = "  52: 0201537F:4E20 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 \
                    41235 2 00000000b5a3c7e1 17";
        let expected = u32::from_ne_bytes([127, 83, 1, 2]);
        assert_eq!(expected, 0x0201_537F, "these tests run on a little-endian host");
        assert_eq!(udp_line(line), Some((SocketAddr::from(([127, 83, 1, 2], 20_000)), 17)));
        let line = line.replace("0201537F", "00000000000000000000000001000000");
        assert_eq!(udp_line(&line), Some((SocketAddr::from((Ipv6Addr::LOCALHOST, 20_000)), 17)));
        assert_eq!(udp_line("  sl  local_address"), None);
    }

    #[test]
    fn a_socket_is_what_the_kernel_keeps_of_it() {
        let slabinfo = "slabinfo - version: 2.1\n# name <active_objs> <num_objs> <objsize> <objperslab>\n\
                        UDPv6 1 2 9999 3\nUDP 24 24 1344 24 8\nsock_inode_cache 1 2 832 39\n\
                        filp 1 2 192 21\ndentry 5 6 208 39\nio_kiocb 64 64 256 16\n";
        assert_eq!(socket_sizes(slabinfo, false), Some(1_344 + 832 + 192 + 208));
        assert_eq!(socket_sizes(slabinfo, true), Some(1_344 + 832 + 192 + 208 + 256));
        assert_eq!(socket_sizes("UDP 24 24 1344 24 8", false), None);
    }

    #[test]
    fn this_thread_is_found_and_nobody_else_is() {
        let name = std::thread::current().name().map(|name| name[..name.len().min(15)].to_owned());
        let thread = Thread::named(std::process::id(), &name.expect("tests have names")).expect("it runs");
        assert!(thread.usage().is_ok());
        assert!(descriptors(std::process::id()).expect("it runs") > 2);
        assert!(resident(std::process::id()).expect("it runs") > 1 << 20);
        assert!(Thread::named(std::process::id(), "nobody").is_err());
    }
}
