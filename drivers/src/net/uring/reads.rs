//! Where datagrams are read to.
//!
//! Room for some, used again and again, the one left last first: so it stays in the cache.

use std::io;
use std::ptr::NonNull;

use crate::net::datagram::{ADDRESS, CONTROL, Datagram, Unusable};
use crate::net::pages::Pages;
use crate::net::{DATAGRAM_MAX, PortSlot};

/// Room for the datagrams that are read at once.
pub(super) struct ReadSpace {
    rooms: Pages,
    free: Vec<u16>,
    count: u16,
}

/// Room for one: what the kernel is asked for, and what it has written.
#[repr(C, align(64))]
struct Room {
    head: libc::msghdr,
    part: libc::iovec,
    address: [u8; ADDRESS],
    control: [u8; CONTROL],
    slot: PortSlot,
    octets: [u8; DATAGRAM_MAX],
}

impl ReadSpace {
    /// Octets of memory that room for `count` takes.
    pub(super) const fn size(count: u16) -> usize {
        count as usize * size_of::<Room>()
    }

    pub(super) fn new(count: u16) -> io::Result<Self> {
        Ok(Self { rooms: Pages::new(Self::size(count))?, free: (0..count).rev().collect(), count })
    }

    /// A free room for a datagram of this socket, and what to ask the kernel with; it must be given back by
    /// [`end`](Self::end).
    pub(super) fn begin(&mut self, slot: PortSlot) -> Option<(u16, *mut libc::msghdr)> {
        let index = self.free.pop()?;
        let room = self.room(index).as_ptr();
        // SAFETY: it is free, so nobody has a reference to it, and the kernel does not write to it. Only
        // pointers are made of what it is to write.
        unsafe {
            (*room).slot = slot;
            (*room).part.iov_base = (&raw mut (*room).octets).cast();
            (*room).part.iov_len = DATAGRAM_MAX;
            (*room).head.msg_name = (&raw mut (*room).address).cast();
            (*room).head.msg_namelen = ADDRESS as libc::socklen_t;
            (*room).head.msg_iov = &raw mut (*room).part;
            (*room).head.msg_iovlen = 1;
            (*room).head.msg_control = (&raw mut (*room).control).cast();
            (*room).head.msg_controllen = CONTROL as _;
            (*room).head.msg_flags = 0;
            Some((index, &raw mut (*room).head))
        }
    }

    /// Gives a room back that was not used.
    pub(super) fn cancel(&mut self, index: u16) {
        self.free.push(index);
    }

    /// Hands what was read to `f`, and gives the room back. `len` is what the kernel says.
    pub(super) fn end<T>(
        &mut self,
        index: u16,
        len: usize,
        f: impl FnOnce(Result<Datagram<'_>, Unusable>) -> T,
    ) -> T {
        // SAFETY: the kernel has completed what it was asked for, so it does not write here any more, and
        // nobody else does before it is free.
        let room = unsafe { self.room(index).as_ref() };
        let read = f(Datagram::read(&room.head, &room.address, &room.control, &room.octets, len));
        self.free.push(index);
        read
    }

    /// Whose datagram a room is for.
    pub(super) fn slot(&self, index: u16) -> PortSlot {
        // SAFETY: the kernel does not write to this field.
        unsafe { (*self.room(index).as_ptr()).slot }
    }

    /// Whether none is in use.
    pub(super) fn is_idle(&self) -> bool {
        self.free.len() == usize::from(self.count)
    }

    fn room(&self, index: u16) -> NonNull<Room> {
        self.rooms.at(usize::from(index) * size_of::<Room>(), size_of::<Room>()).cast()
    }
}
