//! The buffers that the kernel receives into.
//!
//! They are provided through a ring in memory that both sides see: an entry put there is the
//! kernel's to fill, and comes back with the completion that names it.
//!
//! The kernel takes the one first that was given back longest ago, which has left the caches by then.
//! So it is lent few of them, twice what it takes between two [publications](ReceiveBuffers::publish);
//! the rest lies in reserve for when it wants more.

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

use super::message::MESSAGE_MAX;
use crate::net::pages::Pages;

/// The only group of provided buffers of a ring.
pub(super) const GROUP: u16 = 0;

/// From one buffer to the next: no two share a cache line.
pub(in crate::net) const BUFFER_STRIDE: usize = MESSAGE_MAX.next_multiple_of(64);

/// The kernel always has this many, if there are.
const LENT_MIN: u16 = 128;

/// After so many publications, what the kernel took in the meantime says how many it is to have: after
/// 1 s of ticks of 1 ms, or 5 s of 5 ms.
const PUBLICATIONS: u16 = 1_000;

/// All receive buffers of one ring.
pub(super) struct ReceiveBuffers {
    /// `mask + 1` entries that the kernel takes buffers from.
    entries: Pages,
    octets: Pages,
    count: u16,
    mask: u16,
    /// Where the next entry goes. The kernel sees it when it is [published](Self::publish).
    tail: u16,
    /// Those that the kernel does not have, the one given back last on top.
    reserve: Vec<u16>,
    /// How many it is to have, and how many it has.
    wanted: u16,
    lent: u16,
    /// Given back since the last publication, and the most in one, of late.
    taken: u16,
    most_taken: u16,
    /// Publications since `most_taken` was last a measure of `wanted`.
    age: u16,
}

impl ReceiveBuffers {
    /// `count` buffers in a ring of `entries` (a power of two, not less).
    pub(super) fn register(submitter: &Submitter<'_>, count: u16, entries: u16) -> io::Result<Self> {
        assert!(entries.is_power_of_two() && count <= entries, "every buffer has its entry");
        let mut buffers = Self {
            entries: Pages::new(usize::from(entries) * size_of::<BufRingEntry>())?,
            octets: Pages::new(usize::from(count) * BUFFER_STRIDE)?,
            count,
            mask: entries - 1,
            tail: 0,
            reserve: (0..count).rev().collect(),
            wanted: LENT_MIN.min(count),
            lent: 0,
            taken: 0,
            most_taken: 0,
            age: 0,
        };
        let ring = buffers.entries.at(0, usize::from(entries) * size_of::<BufRingEntry>());
        // SAFETY: the ring is page-aligned, has `entries` entries, and outlives its registration:
        // `UringSockets` takes it back before it lets go of this memory, or leaks it.
        unsafe { submitter.register_buf_ring_with_flags(ring.addr().get() as u64, entries, GROUP, 0) }?;
        buffers.publish();
        Ok(buffers)
    }

    /// Takes back a buffer whose content is done with.
    pub(super) fn give_back(&mut self, id: u16) {
        self.lent -= 1;
        self.taken += 1;
        self.reserve.push(id);
    }

    /// The kernel found no buffer: it is to have twice as many from now on.
    pub(super) fn starved(&mut self) {
        self.wanted = self.wanted.saturating_mul(2).min(self.count);
    }

    /// Lends the kernel as many as it is to have.
    pub(super) fn publish(&mut self) {
        self.most_taken = self.most_taken.max(std::mem::take(&mut self.taken));
        self.age += 1;
        if self.age == PUBLICATIONS {
            self.wanted = self.most_taken.saturating_mul(2).max(LENT_MIN).min(self.count);
            (self.age, self.most_taken) = (0, 0);
        }
        while self.lent < self.wanted
            && let Some(id) = self.reserve.pop()
        {
            self.lend(id);
        }
        self.show();
    }

    /// Puts a buffer into the ring.
    fn lend(&mut self, id: u16) {
        let octets = self.octets.at(usize::from(id) * BUFFER_STRIDE, MESSAGE_MAX);
        let index = usize::from(self.tail & self.mask);
        let entry = self.entries.at(index * size_of::<BufRingEntry>(), size_of::<BufRingEntry>());
        // SAFETY: the entry is inside the ring, aligned (16 octets each from a page's start), and past
        // the tail that the kernel knows, so ours to write: there are no more buffers than entries.
        let entry = unsafe { entry.cast::<BufRingEntry>().as_mut() };
        entry.set_addr(octets.addr().get() as u64);
        entry.set_len(MESSAGE_MAX as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
        self.lent += 1;
    }

    /// Lets the kernel see what was lent.
    fn show(&mut self) {
        let first = self.entries.at(0, size_of::<BufRingEntry>()).cast::<BufRingEntry>();
        // SAFETY: the ring's tail lies in its first entry, in a field that `lend` leaves alone.
        // It is two octets, aligned to two, and shared with the kernel: so it is stored atomically.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(first.as_ptr()).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    /// The first `len` octets of a buffer that a completion named, until it is given back.
    pub(super) fn filled(&self, id: u16, len: usize) -> &[u8] {
        assert!(id < self.count && len <= MESSAGE_MAX, "the kernel fills the buffers it was given");
        let octets = self.octets.at(usize::from(id) * BUFFER_STRIDE, len);
        // SAFETY: inside the mapping, initialised (zeroed at first), and not written by the kernel
        // until `give_back`, which takes `&mut self` and so ends this borrow.
        unsafe { std::slice::from_raw_parts(octets.as_ptr(), len) }
    }

    /// Never gives the memory back: for when a receive could not be ended.
    pub(super) fn leak(&mut self) {
        self.entries.leak();
        self.octets.leak();
    }
}
