//! Memory that the kernel reads and writes as well.

use std::io;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// Page-aligned memory, zero at first, in place from the start (no page fault later).
///
/// Handed out as pointers, not as slices: references are made only to the parts that the kernel has
/// nothing to do with at the time.
pub(super) struct Pages {
    base: NonNull<u8>,
    len: NonZeroUsize,
}

impl Pages {
    pub(super) fn new(len: usize) -> io::Result<Self> {
        let len = NonZeroUsize::new(len).expect("some memory is asked for");
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address that the kernel chooses overlaps nothing. Needed because
        // frames of AF_XDP must lie in whole pages, and all of it in place before the first tick.
        let base =
            unsafe { mmap_anonymous(None, len, access, MapFlags::MAP_PRIVATE | MapFlags::MAP_POPULATE) }?;
        Ok(Self { base: base.cast(), len })
    }

    /// A pointer to `len` octets from `offset`.
    ///
    /// # Panics
    /// If they are not all inside.
    pub(super) fn at(&self, offset: usize, len: usize) -> NonNull<u8> {
        assert!(
            offset.checked_add(len).is_some_and(|end| end <= self.len.get()),
            "{len} octets at {offset} are within {}",
            self.len
        );
        // SAFETY: the assertion holds, so the result is inside the mapping.
        unsafe { self.base.add(offset) }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, whole, and those who hold pointers into it keep `Pages` for as long
        // as they, or the kernel, use them.
        let unmapped = unsafe { munmap(self.base.cast(), self.len.get()) };
        debug_assert_eq!(unmapped, Ok(()), "a mapping of ours can be given back");
    }
}
