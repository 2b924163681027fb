//! Where datagrams are written that wait for the next submission.
//!
//! A strip of memory that is filled from its start and emptied all at once: address, datagram,
//! address, datagram. When a send's memory is free again is not learnt from its completion (there is
//! none unless it fails) but from [`SendSpace::clear`]'s rule.

use std::io;
use std::net::SocketAddr;

use crate::net::datagram::{ADDRESS, write_address};
use crate::net::pages::Pages;

/// Room for the datagrams of one submission.
pub(super) struct SendSpace {
    octets: Pages,
    len: usize,
    used: usize,
}

/// A datagram as the kernel will read it.
pub(super) struct Outgoing {
    pub(super) address: *const libc::sockaddr,
    pub(super) address_len: u32,
    pub(super) octets: *const u8,
    pub(super) len: u32,
}

impl SendSpace {
    pub(super) fn new(len: usize) -> io::Result<Self> {
        Ok(Self { octets: Pages::new(len)?, len, used: 0 })
    }

    /// Whether a datagram of `len` octets can be [written](Self::write).
    pub(super) fn has_room(&self, len: usize) -> bool {
        self.used + ADDRESS + len <= self.len
    }

    /// Writes a datagram of `len` octets by `f`.
    pub(super) fn write(&mut self, to: SocketAddr, len: usize, f: impl FnOnce(&mut [u8])) -> Outgoing {
        let address = self.octets.at(self.used, ADDRESS);
        let octets = self.octets.at(self.used + ADDRESS, len);
        self.used = (self.used + ADDRESS + len).next_multiple_of(16);
        // SAFETY: both parts lie inside the mapping, beside each other, and behind all that was
        // written since the last `clear`: nobody, the kernel included, has a pointer to them yet.
        let (address_octets, datagram) = unsafe {
            (address.cast::<[u8; ADDRESS]>().as_mut(), std::slice::from_raw_parts_mut(octets.as_ptr(), len))
        };
        let address_len = write_address(to, address_octets);
        f(datagram);
        Outgoing {
            address: address.as_ptr().cast_const().cast(),
            address_len,
            octets: octets.as_ptr().cast_const(),
            len: len as u32,
        }
    }

    /// Forgets all that was written: the kernel has read it.
    ///
    /// To be called only when every send that points here has been taken out of the submission queue
    /// by an `io_uring_enter` that has returned. Such a send is over then, sent or refused, because
    /// it bears `MSG_DONTWAIT`: the kernel tries it in that very call, and what would have to wait
    /// fails with EAGAIN and is neither left to a poll nor to a kernel thread (`REQ_F_NOWAIT`). A
    /// UDP send copies address and datagram before it returns; only zero-copy sends keep them.
    pub(super) fn clear(&mut self) {
        self.used = 0;
    }
}
