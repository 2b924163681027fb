//! The buffers that the kernel receives into.
//!
//! They are provided through a ring in memory that both sides see: an entry put there is the
//! kernel's to fill, and comes back with the completion that names it.

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

/// All receive buffers of one ring.
pub(super) struct ReceiveBuffers {
    /// `mask + 1` entries that the kernel takes buffers from.
    entries: Pages,
    octets: Pages,
    count: u16,
    mask: u16,
    /// Where the next entry goes. The kernel sees it when it is [published](Self::publish).
    tail: u16,
}

impl ReceiveBuffers {
    /// `count` buffers, all the kernel's, in a ring of `entries` (a power of two, not less).
    pub(super) fn register(submitter: &Submitter<'_>, count: u16, entries: u16) -> io::Result<Self> {
        assert!(entries.is_power_of_two() && count <= entries, "every buffer has its entry");
        let mut buffers = Self {
            entries: Pages::new(usize::from(entries) * size_of::<BufRingEntry>())?,
            octets: Pages::new(usize::from(count) * BUFFER_STRIDE)?,
            count,
            mask: entries - 1,
            tail: 0,
        };
        let ring = buffers.entries.at(0, usize::from(entries) * size_of::<BufRingEntry>());
        // SAFETY: the ring is page-aligned, has `entries` entries, and outlives its registration:
        // `UringSockets` takes it back before it lets go of this memory, or leaks it.
        unsafe { submitter.register_buf_ring_with_flags(ring.addr().get() as u64, entries, GROUP, 0) }?;
        (0..count).for_each(|id| buffers.give_back(id));
        buffers.publish();
        Ok(buffers)
    }

    /// Puts a buffer whose content is done with back into the ring.
    pub(super) fn give_back(&mut self, id: u16) {
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
    }

    /// Lets the kernel see what was given back.
    pub(super) fn publish(&mut self) {
        let first = self.entries.at(0, size_of::<BufRingEntry>()).cast::<BufRingEntry>();
        // SAFETY: the ring's tail lies in its first entry, in a field that `give_back` leaves alone.
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
