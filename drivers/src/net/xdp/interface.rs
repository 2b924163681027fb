//! One interface with the program on it: made once for all cores, before any of them starts.
//!
//! While no socket is in the program's map, everything that comes still goes to the kernel, so an interface
//! that is attached and not used yet is as if it were not. The program is gone with the last holder of
//! [`Interface`], and with the process, however that ends.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nametoindex;

use super::bpf::{self, Hook, Map};
use super::netlink::Netlink;
use super::next_hops::NextHops;
use super::once_free;
use super::program::{self, Rule};
use super::resolver::Resolver;
use super::ring::{Binding, Ring};
use crate::net::Ports;

/// What to use of an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// The best there is.
    #[default]
    Auto,
    /// The card's driver, and the card reads and writes our memory itself.
    ZeroCopy,
    /// The card's driver, and the kernel copies.
    Native,
    /// The kernel's own reception: works with every card, and gains least.
    Generic,
}

impl Mode {
    /// Its name in configuration and log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::ZeroCopy => "zero-copy",
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }

    fn hooks(self) -> &'static [Hook] {
        match self {
            Self::Auto => &[Hook::Native, Hook::Generic],
            Self::ZeroCopy | Self::Native => &[Hook::Native],
            Self::Generic => &[Hook::Generic],
        }
    }
}

/// An interface whose RTP and RTCP the cores take from its receive queues.
pub struct Interface {
    name: String,
    index: u32,
    mode: Mode,
    hook: Hook,
    is_zero_copy: AtomicBool,
    queues: u32,
    cores: u32,
    /// The program's sockets by queue.
    sockets: Map<RawFd>,
    /// While this is open, the program is attached.
    _link: OwnedFd,
    resolver: Resolver,
}

impl Interface {
    /// Puts the program on the interface called `name`, or else on the one that has the cores' addresses.
    ///
    /// Receive queue `q` belongs to core `q` modulo the number of cores. What comes to the queue of
    /// another core than its port's is taken from the kernel's socket.
    ///
    /// # Errors
    /// Whatever stands in the way; nothing is left behind then.
    ///
    /// # Panics
    /// If a core has two ranges of ports of one family.
    pub fn attach(name: Option<&str>, mode: Mode, cores: &[Ports]) -> Result<Arc<Self>, AttachError> {
        let addresses: Vec<IpAddr> =
            cores.iter().flat_map(|ports| ports.0.iter().map(|r| r.address)).collect();
        let name = match name {
            Some(name) => name.to_owned(),
            None => interface_of(&addresses)?,
        };
        let index = if_nametoindex(name.as_str()).map_err(|_| AttachError::Unknown { name: name.clone() })?;
        let refused = |doing| {
            let name = name.clone();
            move |error| AttachError::Refused { name, doing, error }
        };
        let mut netlink = Netlink::new().map_err(refused("asking for it"))?;
        let link = netlink.link(index).map_err(refused("asking for it"))?;
        let Some(mac) = link.mac else { return Err(AttachError::NotEthernet { name }) };
        if link.mtu < super::PACKET_MAX as u32 {
            return Err(AttachError::ShortMtu { name, mtu: link.mtu });
        }
        let Queues { receive: queues, transmit } = Queues::of(&name).unwrap_or(Queues::ONE);
        let count = cores.len() as u32;
        // A core sends through the first of its queues, that of its own number.
        let pairs = queues.min(transmit);
        if pairs < count {
            return Err(AttachError::TooFewQueues { name, pairs, cores: count });
        }
        let rules = Map::array(queues).map_err(refused("making a BPF map"))?;
        let sockets = Map::sockets(queues).map_err(refused("making a BPF map"))?;
        for queue in 0..queues {
            let rule = Rule::new(&cores[(queue % count) as usize]).expect("a core has one range of a family");
            rules.set(queue, &rule).map_err(refused("filling a BPF map"))?;
        }
        let program =
            bpf::load(&program::assemble(&rules, &sockets)).map_err(refused("loading the XDP program"))?;
        let tables = cores.iter().map(|ports| Arc::new(NextHops::new(ports.slots() / 2))).collect();
        let resolver = Resolver::start(index, mac, &addresses, netlink, tables)
            .map_err(refused("watching routes and neighbours"))?;
        let (hook, link) = attach(&program, index, mode).map_err(refused("attaching the XDP program"))?;
        Ok(Arc::new(Self {
            name,
            index,
            mode,
            hook,
            is_zero_copy: AtomicBool::new(false),
            queues,
            cores: count,
            sockets,
            _link: link,
            resolver,
        }))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many receive queues it has.
    pub fn queues(&self) -> u32 {
        self.queues
    }

    /// What is used of it, as far as is known: that the card copies is seen when sockets are made.
    pub fn mode(&self) -> Mode {
        match self.hook {
            Hook::Native if self.is_zero_copy.load(Ordering::Relaxed) => Mode::ZeroCopy,
            Hook::Native => Mode::Native,
            Hook::Generic => Mode::Generic,
        }
    }

    pub(super) fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// A socket for each queue of a core, which together have room for so many received frames; and the
    /// first, for so many to be sent.
    pub(super) fn rings(&self, core: usize, receive: u32, transmit: u32) -> io::Result<Vec<Ring>> {
        let own = || (core as u32..self.queues).step_by(self.cores as usize);
        let (receive, transmit) = chunks(receive, transmit, own().count() as u32);
        // The kernel wants room for one in the others, too.
        let transmit = std::iter::once(transmit).chain(std::iter::repeat(1));
        own().zip(transmit).map(|(queue, transmit)| self.ring(queue, receive, transmit)).collect()
    }

    fn ring(&self, queue: u32, receive: u32, transmit: u32) -> io::Result<Ring> {
        let bindings: &[Binding] = match (self.mode, self.hook) {
            (Mode::ZeroCopy, _) => &[Binding::ZeroCopy],
            (Mode::Auto, Hook::Native) => &[Binding::ZeroCopy, Binding::Copy],
            _ => &[Binding::Copy],
        };
        let made = first_that_works(bindings, |binding| {
            Ring::new(self.index, queue, binding, receive, transmit).map(|ring| (binding, ring))
        });
        let (binding, ring) = made.map_err(|error| {
            let reason = explained(&error);
            io::Error::new(error.kind(), format!("AF_XDP on queue {queue} of {}: {reason}", self.name))
        })?;
        self.is_zero_copy.store(binding == Binding::ZeroCopy, Ordering::Relaxed);
        // From here on, what comes to this queue goes to this socket.
        self.sockets.set(queue, &ring.as_fd().as_raw_fd())?;
        Ok(ring)
    }
}

impl fmt::Debug for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, mode, hook, queues, .. } = self;
        f.debug_struct("Interface")
            .field("name", name)
            .field("mode", mode)
            .field("hook", hook)
            .field("queues", queues)
            .finish_non_exhaustive()
    }
}

/// Chunks of each of a core's queues, for so many frames received, and of the one that sends, for so many
/// sent.
pub(super) fn chunks(receive: u32, transmit: u32, queues: u32) -> (u32, u32) {
    // Queues are never filled alike: each has twice its part.
    let part = receive * 2 / queues;
    let receive = part.min(receive).max(CHUNKS_MIN).next_power_of_two();
    // As many again as wait: those that the card has not sent yet.
    (receive, (transmit * 2).next_power_of_two())
}

/// Received frames of a queue that there is room for at least.
const CHUNKS_MIN: u32 = 64;

/// Why an interface cannot be used.
#[derive(Debug)]
pub enum AttachError {
    /// There is none of this name.
    Unknown {
        /// The name.
        name: String,
    },
    /// No interface has this address.
    NoInterface {
        /// The address.
        address: IpAddr,
    },
    /// It is not Ethernet.
    NotEthernet {
        /// Its name.
        name: String,
    },
    /// Its packets are shorter than those that are sent through it.
    ShortMtu {
        /// Its name.
        name: String,
        /// Octets of its longest packet.
        mtu: u32,
    },
    /// A core would have no receive queue, or no transmit queue.
    TooFewQueues {
        /// Its name.
        name: String,
        /// Its pairs of a receive and a transmit queue.
        pairs: u32,
        /// The cores.
        cores: u32,
    },
    /// The kernel refuses.
    Refused {
        /// The interface.
        name: String,
        /// What was tried.
        doing: &'static str,
        /// What the kernel says.
        error: io::Error,
    },
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name } => write!(f, "there is no interface {name}"),
            Self::NoInterface { address } => write!(f, "no interface has the address {address}"),
            Self::NotEthernet { name } => write!(f, "{name} is not an Ethernet interface"),
            Self::ShortMtu { name, mtu } => {
                write!(f, "the MTU of {name} is {mtu}; at least {} is needed", super::PACKET_MAX)
            }
            Self::TooFewQueues { name, pairs, cores } => write!(
                f,
                "{name} has {pairs} receive and transmit queue(s) for {cores} cores; each needs one of both \
                 (`ethtool -L {name} combined {cores}`)"
            ),
            Self::Refused { name, doing, error } => write!(f, "{doing} on {name}: {}", explained(error)),
        }
    }
}

impl std::error::Error for AttachError {}

/// What an operator can do about it.
fn explained(error: &io::Error) -> String {
    let remedy = match error.raw_os_error() {
        Some(libc::EPERM) => "CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF are needed (or CAP_SYS_ADMIN)",
        // The second: a program of somebody else's is attached in another mode.
        Some(libc::EBUSY | libc::EEXIST) => "another program has it already",
        Some(libc::EOPNOTSUPP) => "its driver does not do this: try another mode",
        Some(libc::ENOSPC) => "its peer has more transmit queues than it has receive queues",
        Some(libc::ENOBUFS) => {
            "too little memory may be locked (CAP_IPC_LOCK, or LimitMEMLOCK= of its service)"
        }
        Some(libc::EAFNOSUPPORT) => "this kernel has no AF_XDP",
        _ => return error.to_string(),
    };
    format!("{remedy}: {error}")
}

/// The interface that has one of these addresses.
fn interface_of(addresses: &[IpAddr]) -> Result<String, AttachError> {
    let all = getifaddrs().map(Iterator::collect::<Vec<_>>).unwrap_or_default();
    let has = |interface: &nix::ifaddrs::InterfaceAddress, address: IpAddr| {
        let theirs = interface.address.as_ref()?;
        let v4 = theirs.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        let v6 = theirs.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip()));
        (v4.or(v6)? == address).then(|| interface.interface_name.clone())
    };
    let found =
        addresses.iter().find_map(|&address| all.iter().find_map(|interface| has(interface, address)));
    found.ok_or_else(|| match addresses.first() {
        Some(&address) => AttachError::NoInterface { address },
        None => AttachError::Unknown { name: String::new() },
    })
}

/// Attaches the program in the first way of this mode that works.
fn attach(program: &OwnedFd, index: u32, mode: Mode) -> io::Result<(Hook, OwnedFd)> {
    first_that_works(mode.hooks(), |hook| {
        once_free(|| bpf::attach(program.as_fd(), index, hook)).map(|link| (hook, link))
    })
}

/// The first that works; if none does, why the first does not.
fn first_that_works<T: Copy, R>(ways: &[T], mut try_one: impl FnMut(T) -> io::Result<R>) -> io::Result<R> {
    let (&first, others) = ways.split_first().expect("every mode has a way");
    try_one(first).or_else(|error| others.iter().find_map(|&way| try_one(way).ok()).ok_or(error))
}

/// How many queues an interface has in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Queues {
    receive: u32,
    transmit: u32,
}

impl Queues {
    const ONE: Self = Self { receive: 1, transmit: 1 };

    /// Those of the interface of this name; `None` if its driver does not say.
    fn of(name: &str) -> Option<Self> {
        const ETHTOOL_GCHANNELS: u32 = 0x3C;
        /// `struct ethtool_channels`: the command, what there could be, and what is in use.
        #[repr(C)]
        #[derive(Default)]
        struct Channels {
            command: u32,
            receive_max: u32,
            transmit_max: u32,
            other_max: u32,
            combined_max: u32,
            receive: u32,
            transmit: u32,
            other: u32,
            combined: u32,
        }
        let mut channels = Channels { command: ETHTOOL_GCHANNELS, ..Channels::default() };
        // SAFETY: an `ifreq` is a name and a union of numbers and a pointer, for which zero is a value.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes().take(libc::IFNAMSIZ - 1)) {
            *to = from as libc::c_char;
        }
        request.ifr_ifru.ifru_data = (&raw mut channels).cast();
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").ok()?;
        // SAFETY: the request names an interface and points to what this command fills, which outlives the
        // call. Needed because no crate here wraps it.
        let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL as _, &raw mut request) };
        let receive = channels.receive.max(channels.combined);
        let transmit = channels.transmit.max(channels.combined);
        (result == 0 && receive > 0 && transmit > 0).then_some(Self { receive, transmit })
    }
}
