//! One AF_XDP socket: the memory it shares with the kernel and the four rings through that.
//!
//! Frames lie in chunks of one area. Those of the first part circulate between the fill ring (free, the
//! kernel's to write to) and the receive ring (filled); those of the second between us, the transmit ring
//! and the completion ring. Each ring has as many entries as there are chunks of its kind, so none is
//! ever full, and a received chunk is given back as soon as it has been looked at.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use super::frame::FRAME_MAX;
use super::once_free;
use super::program::STAMP;
use crate::net::pages::Pages;

/// Octets of a chunk: a frame of 1,514 octets and what the kernel keeps in front of it.
pub(super) const CHUNK: usize = 2_048;

/// How a socket is tied to its queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Binding {
    /// The card reads and writes our memory itself.
    ZeroCopy,
    /// The kernel copies.
    Copy,
}

/// One AF_XDP socket of one receive queue.
pub(super) struct Ring {
    // Dropped in this order: the kernel keeps what it still needs of the area.
    fill: Queue<u64>,
    completion: Queue<u64>,
    receive: Queue<Descriptor>,
    transmit: Queue<Descriptor>,
    socket: OwnedFd,
    area: Pages,
    receive_chunks: u32,
    /// Chunks that frames to be sent can be written into, by offset.
    free: Vec<u64>,
    binding: Binding,
}

/// A frame in the area (`struct xdp_desc`).
#[repr(C)]
#[derive(Clone, Copy)]
struct Descriptor {
    address: u64,
    len: u32,
    options: u32,
}

const _: () = assert!(size_of::<Descriptor>() == size_of::<libc::xdp_desc>());

impl Ring {
    /// A socket with room for so many received frames, and so many to be sent. Both are powers of two.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn new(
        interface: u32,
        queue: u32,
        binding: Binding,
        receive_chunks: u32,
        transmit_chunks: u32,
    ) -> io::Result<Self> {
        assert!(receive_chunks.is_power_of_two() && transmit_chunks.is_power_of_two(), "as the kernel asks");
        // SAFETY: no pointers are passed. Needed because nix does not know AF_XDP.
        let fd = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was opened here just now, so nobody else has it.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        let chunks = receive_chunks as usize + transmit_chunks as usize;
        let area = Pages::new(chunks * CHUNK)?;
        let registration = libc::xdp_umem_reg {
            addr: area.at(0, 0).addr().get() as u64,
            len: (chunks * CHUNK) as u64,
            chunk_size: CHUNK as u32,
            headroom: 0,
            flags: 0,
            tx_metadata_len: 0,
        };
        set_option(&socket, libc::XDP_UMEM_REG, &registration)?;
        set_option(&socket, libc::XDP_UMEM_FILL_RING, &receive_chunks)?;
        set_option(&socket, libc::XDP_UMEM_COMPLETION_RING, &transmit_chunks)?;
        set_option(&socket, libc::XDP_RX_RING, &receive_chunks)?;
        set_option(&socket, libc::XDP_TX_RING, &transmit_chunks)?;
        // How many frames one call copies out: 32 unless told otherwise, and older kernels cannot be told.
        let _ = set_option(&socket, XDP_MAX_TX_SKB_BUDGET, &transmit_chunks.min(TRANSMIT_BATCH));
        let offsets = offsets(&socket)?;
        // The socket's limit of what is on its way (SO_SNDBUF) stays as it is, some 250 frames: what is more waits in
        // the ring, and with a limit above the 256 that the other end of a veth pair has room for, it drops them.
        let map = |page: u64, offsets: &libc::xdp_ring_offset, entries, entry| {
            Mapping::new(&socket, page as libc::off_t, offsets, entries, entry)
        };
        let frame = size_of::<Descriptor>();
        let receive = map(libc::XDP_PGOFF_RX_RING as u64, &offsets.rx, receive_chunks, frame)?;
        let transmit = map(libc::XDP_PGOFF_TX_RING as u64, &offsets.tx, transmit_chunks, frame)?;
        let address = size_of::<u64>();
        let fill = map(libc::XDP_UMEM_PGOFF_FILL_RING, &offsets.fr, receive_chunks, address)?;
        let completion = map(libc::XDP_UMEM_PGOFF_COMPLETION_RING, &offsets.cr, transmit_chunks, address)?;
        let mut ring = Self {
            fill: Queue::new(fill),
            completion: Queue::new(completion),
            receive: Queue::new(receive),
            transmit: Queue::new(transmit),
            socket,
            area,
            receive_chunks,
            free: (receive_chunks..receive_chunks + transmit_chunks).map(offset).collect(),
            binding,
        };
        for chunk in 0..receive_chunks {
            ring.fill.push(offset(chunk));
        }
        ring.fill.publish();
        ring.bind(interface, queue)?;
        Ok(ring)
    }

    fn bind(&self, interface: u32, queue: u32) -> io::Result<()> {
        let binding = match self.binding {
            Binding::ZeroCopy => libc::XDP_ZEROCOPY,
            Binding::Copy => libc::XDP_COPY,
        };
        let address = libc::sockaddr_xdp {
            sxdp_family: libc::AF_XDP as u16,
            sxdp_flags: libc::XDP_USE_NEED_WAKEUP | binding,
            sxdp_ifindex: interface,
            sxdp_queue_id: queue,
            sxdp_shared_umem_fd: 0,
        };
        let len = size_of_val(&address) as libc::socklen_t;
        once_free(|| {
            // SAFETY: the address is a `sockaddr_xdp` of the length given. Needed because nix has none.
            let result = unsafe { libc::bind(self.socket.as_raw_fd(), (&raw const address).cast(), len) };
            if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
        })
    }

    /// Hands each received frame to `f`, with the time that the program wrote in front of it (zeros if it
    /// could not), and gives its chunk back.
    pub(super) fn receive(&mut self, mut f: impl FnMut(&[u8; STAMP], &[u8])) {
        let Self { fill, receive, area, receive_chunks, .. } = self;
        for _ in 0..receive.filled() {
            let descriptor = receive.pop();
            let at = descriptor.address as usize;
            let chunk = at / CHUNK;
            let room = CHUNK - at % CHUNK;
            assert!(
                chunk < *receive_chunks as usize && at % CHUNK >= STAMP && descriptor.len as usize <= room,
                "the kernel fills the chunks it was given"
            );
            let stamp = area.at(at - STAMP, STAMP).cast::<[u8; STAMP]>();
            let frame = area.at(at, descriptor.len as usize);
            // SAFETY: both are inside one chunk, beside each other, initialised (zeroed at first), and the
            // kernel's no more: it has put the chunk in the receive ring, and gets it back below.
            let (stamp, frame) = unsafe {
                (&mut *stamp.as_ptr(), std::slice::from_raw_parts(frame.as_ptr(), descriptor.len as usize))
            };
            f(stamp, frame);
            // Where the next frame has none, this one's must not be taken for it.
            *stamp = [0; STAMP];
            fill.push(offset(chunk as u32));
        }
        receive.release();
        fill.publish();
        if fill.wants_waking() {
            self.wake_receive();
        }
    }

    /// Whether a frame can be [written](Self::write).
    pub(super) fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    /// Lets `f` write a frame, to be sent by [`transmit`](Self::transmit). `f` says how long it is.
    ///
    /// # Panics
    /// If there is no room.
    pub(super) fn write(&mut self, f: impl FnOnce(&mut [u8; FRAME_MAX]) -> usize) {
        let chunk = self.free.pop().expect("the caller has seen that there is room");
        // Frames that all began at the same place of their chunks would share few lines of the cache.
        let colour = (chunk as usize / CHUNK % COLOURS) * CACHE_LINE;
        let at = chunk as usize + colour;
        let octets = self.area.at(at, FRAME_MAX).cast::<[u8; FRAME_MAX]>();
        // SAFETY: inside one chunk (see `COLOURS`), which neither the kernel nor anybody else has while it
        // is among the free ones; and `&mut self` lasts as long as this reference.
        let len = f(unsafe { &mut *octets.as_ptr() });
        self.transmit.push(Descriptor { address: at as u64, len: len as u32, options: 0 });
    }

    /// Has the kernel send what was written, all of it if it can.
    pub(super) fn transmit(&mut self) {
        self.transmit.publish();
        let mut left = self.transmit.unread();
        // A copying call takes some frames; a card is only told that there are some, if it does not look.
        while left > 0 && (self.binding == Binding::Copy || self.transmit.wants_waking()) {
            self.wake_transmit();
            let before = std::mem::replace(&mut left, self.transmit.unread());
            // What the call says tells little: "again" also when there was more than one call takes, and all
            // is well also when the interface has lost this queue. Without progress the rest goes with the
            // next flush.
            if left >= before || self.binding == Binding::ZeroCopy {
                break;
            }
        }
        self.reap();
    }

    /// Whether all that was written has been taken by the kernel.
    pub(super) fn is_sent(&self) -> bool {
        self.transmit.unread() == 0
    }

    /// Takes back the chunks of frames that have been sent.
    fn reap(&mut self) {
        for _ in 0..self.completion.filled() {
            let chunk = self.completion.pop() as usize / CHUNK;
            self.free.push(offset(chunk as u32));
        }
        self.completion.release();
    }

    fn wake_transmit(&self) {
        // SAFETY: no pointers are passed. Needed because nix's `sendto` wants an address.
        let _ = unsafe {
            let (null, flags) = (std::ptr::null(), libc::MSG_DONTWAIT);
            libc::sendto(self.socket.as_raw_fd(), null, 0, flags, std::ptr::null(), 0)
        };
    }

    fn wake_receive(&self) {
        // SAFETY: no pointers are passed. Needed because nix's `recvfrom` wants a buffer.
        let _ = unsafe {
            let (null, flags) = (std::ptr::null_mut(), libc::MSG_DONTWAIT);
            libc::recvfrom(
                self.socket.as_raw_fd(),
                null,
                0,
                flags,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
            )
        };
    }

    /// What the kernel has counted since the socket was made; zeros if it does not say.
    pub(super) fn statistics(&self) -> RingStatistics {
        // SAFETY: these are numbers, for which zero is a value.
        let mut statistics: libc::xdp_statistics = unsafe { std::mem::zeroed() };
        if get_option(&self.socket, libc::XDP_STATISTICS, &mut statistics).is_err() {
            return RingStatistics::default();
        }
        RingStatistics {
            receive_dropped: statistics.rx_dropped,
            receive_ring_full: statistics.rx_ring_full,
            fill_ring_empty: statistics.rx_fill_ring_empty_descs,
            receive_invalid: statistics.rx_invalid_descs,
            transmit_invalid: statistics.tx_invalid_descs,
        }
    }
}

/// What the kernel counts of AF_XDP sockets (`XDP_STATISTICS`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RingStatistics {
    /// Frames received that were dropped, but for those that a full ring had no room for: there was no free
    /// chunk for them, or they were longer than one (`rx_dropped`).
    pub receive_dropped: u64,
    /// Frames received that the receive ring had no room for (`rx_ring_full`).
    pub receive_ring_full: u64,
    /// Times that the fill ring had no chunk (`rx_fill_ring_empty_descs`).
    pub fill_ring_empty: u64,
    /// Entries of the fill ring that were no chunks (`rx_invalid_descs`).
    pub receive_invalid: u64,
    /// Entries of the transmit ring that were no frames (`tx_invalid_descs`).
    pub transmit_invalid: u64,
}

impl RingStatistics {
    /// Frames that were for these sockets and found no room in their rings.
    pub fn dropped(&self) -> u64 {
        self.receive_dropped + self.receive_ring_full
    }
}

impl std::iter::Sum for RingStatistics {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, it| Self {
            receive_dropped: sum.receive_dropped + it.receive_dropped,
            receive_ring_full: sum.receive_ring_full + it.receive_ring_full,
            fill_ring_empty: sum.fill_ring_empty + it.fill_ring_empty,
            receive_invalid: sum.receive_invalid + it.receive_invalid,
            transmit_invalid: sum.transmit_invalid + it.transmit_invalid,
        })
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Octets of a cache line.
const CACHE_LINE: usize = 64;

/// Different places in their chunks that frames begin at.
const COLOURS: usize = 8;

const _: () = assert!((COLOURS - 1) * CACHE_LINE + FRAME_MAX <= CHUNK);

/// Frames that one copying call may take.
const TRANSMIT_BATCH: u32 = 512;

/// How many frames a copying call may take: an option since Linux 6.17.
const XDP_MAX_TX_SKB_BUDGET: libc::c_int = 9;

/// Where a chunk begins in the area.
fn offset(chunk: u32) -> u64 {
    u64::from(chunk) * CHUNK as u64
}

/// A ring with one writer and one reader, one of them the kernel.
struct Queue<T> {
    mapping: Mapping,
    /// Where we write, or read, next.
    next: u32,
    /// What the other side had of it when we last looked.
    filled: u32,
    entry: std::marker::PhantomData<T>,
}

impl<T: Copy> Queue<T> {
    fn new(mapping: Mapping) -> Self {
        Self { mapping, next: 0, filled: 0, entry: std::marker::PhantomData }
    }

    /// Writes the next entry, for the kernel to see when it is [published](Self::publish). There are as
    /// many entries as chunks that could be named in one, so there is room.
    fn push(&mut self, value: T) {
        // SAFETY: inside the mapping, aligned, of this type, and the kernel does not read it before it is
        // published.
        unsafe { self.mapping.entry::<T>(self.next).write(value) };
        self.next = self.next.wrapping_add(1);
    }

    fn publish(&self) {
        self.mapping.producer().store(self.next, Ordering::Release);
    }

    /// Entries that the kernel has not read yet.
    fn unread(&self) -> u32 {
        self.next.wrapping_sub(self.mapping.consumer().load(Ordering::Acquire))
    }

    /// How many entries the kernel has written.
    fn filled(&mut self) -> u32 {
        self.filled = self.mapping.producer().load(Ordering::Acquire).wrapping_sub(self.next);
        self.filled
    }

    /// The next entry.
    ///
    /// # Panics
    /// If there are no more of those that [`filled`](Self::filled) said.
    fn pop(&mut self) -> T {
        self.filled = self.filled.checked_sub(1).expect("no more entries are taken than there are");
        // SAFETY: inside the mapping, aligned, of this type, and written by the kernel, which leaves it
        // alone until it is released.
        let value = unsafe { self.mapping.entry::<T>(self.next).read() };
        self.next = self.next.wrapping_add(1);
        value
    }

    /// Lets the kernel have the entries that were taken.
    fn release(&self) {
        self.mapping.consumer().store(self.next, Ordering::Release);
    }

    /// Whether the kernel waits for a call before it looks at the ring.
    fn wants_waking(&self) -> bool {
        self.mapping.flags().load(Ordering::Relaxed) & libc::XDP_RING_NEED_WAKEUP != 0
    }
}

/// The memory of one ring.
struct Mapping {
    base: NonNull<u8>,
    len: usize,
    producer: usize,
    consumer: usize,
    flags: usize,
    entries: usize,
    mask: u32,
}

impl Mapping {
    fn new(
        socket: &OwnedFd,
        page: libc::off_t,
        offsets: &libc::xdp_ring_offset,
        entries: u32,
        entry: usize,
    ) -> io::Result<Self> {
        let len = offsets.desc as usize + entries as usize * entry;
        let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_POPULATE);
        // SAFETY: a new mapping at an address that the kernel chooses overlaps nothing.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), len, access, flags, socket.as_raw_fd(), page) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            base: NonNull::new(base.cast()).expect("a mapping is never at address zero"),
            len,
            producer: offsets.producer as usize,
            consumer: offsets.consumer as usize,
            flags: offsets.flags as usize,
            entries: offsets.desc as usize,
            mask: entries - 1,
        })
    }

    fn producer(&self) -> &AtomicU32 {
        self.counter(self.producer)
    }

    fn consumer(&self) -> &AtomicU32 {
        self.counter(self.consumer)
    }

    fn flags(&self) -> &AtomicU32 {
        self.counter(self.flags)
    }

    fn counter(&self, at: usize) -> &AtomicU32 {
        // SAFETY: the kernel's offsets lie inside the mapping, aligned to their four octets; both sides
        // use them only atomically.
        unsafe { AtomicU32::from_ptr(self.base.add(at).as_ptr().cast()) }
    }

    fn entry<T>(&self, index: u32) -> *mut T {
        let at = self.entries + (index & self.mask) as usize * size_of::<T>();
        assert!(at + size_of::<T>() <= self.len, "an entry is inside its ring");
        // SAFETY: the assertion holds, so the result is inside the mapping.
        unsafe { self.base.add(at) }.as_ptr().cast()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, whole, and references into it do not outlive it.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

fn offsets(socket: &OwnedFd) -> io::Result<libc::xdp_mmap_offsets> {
    // SAFETY: these are numbers, for which zero is a value.
    let mut offsets: libc::xdp_mmap_offsets = unsafe { std::mem::zeroed() };
    get_option(socket, libc::XDP_MMAP_OFFSETS, &mut offsets)?;
    Ok(offsets)
}

fn set_option<T>(socket: &OwnedFd, option: libc::c_int, value: &T) -> io::Result<()> {
    let len = size_of::<T>() as libc::socklen_t;
    // SAFETY: the option's value is as long as is said, and is only read. Needed because nix does not know
    // the options of AF_XDP.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_XDP, option, (&raw const *value).cast(), len)
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn get_option<T>(socket: &OwnedFd, option: libc::c_int, value: &mut T) -> io::Result<()> {
    let mut len = size_of::<T>() as libc::socklen_t;
    // SAFETY: there is as much room for the option's value as is said, and all its fields are numbers.
    // Needed because nix does not know the options of AF_XDP.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_XDP, option, (&raw mut *value).cast(), &raw mut len)
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
