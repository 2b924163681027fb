//! One `recvmmsg`, and what it brings.

use std::os::fd::{AsRawFd, BorrowedFd};

use crate::net::DATAGRAM_MAX;
use crate::net::datagram::{ADDRESS, CONTROL, Datagram, Unusable};

/// Datagrams that one call takes at most.
pub(super) const BATCH: usize = 8;

/// Room for what one call takes; used anew by the next, so it stays in the cache.
pub(super) struct Incoming(Box<[Room; BATCH]>);

#[derive(Clone, Copy)]
struct Room {
    address: [u8; ADDRESS],
    control: [u8; CONTROL],
    octets: [u8; DATAGRAM_MAX],
}

impl Incoming {
    /// Octets of memory it takes.
    pub(super) const SIZE: usize = size_of::<[Room; BATCH]>();

    pub(super) fn new() -> Self {
        let room = Room { address: [0; ADDRESS], control: [0; CONTROL], octets: [0; DATAGRAM_MAX] };
        Self(Box::new([room; BATCH]))
    }

    /// Takes what waits at a socket and hands it to `f`; says how many came, [`BATCH`] if there may be
    /// more.
    pub(super) fn take(
        &mut self,
        socket: BorrowedFd<'_>,
        mut f: impl FnMut(Result<Datagram<'_>, Unusable>),
    ) -> usize {
        let mut parts = self
            .0
            .each_mut()
            .map(|room| libc::iovec { iov_base: room.octets.as_mut_ptr().cast(), iov_len: DATAGRAM_MAX });
        // SAFETY: a `mmsghdr` is integers and pointers, for which zero is a value. Needed because it has
        // padding on some targets, and so no constructor.
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
        for ((message, room), part) in messages.iter_mut().zip(self.0.iter_mut()).zip(&mut parts) {
            message.msg_hdr.msg_name = room.address.as_mut_ptr().cast();
            message.msg_hdr.msg_namelen = ADDRESS as libc::socklen_t;
            message.msg_hdr.msg_control = room.control.as_mut_ptr().cast();
            message.msg_hdr.msg_controllen = CONTROL as _;
            message.msg_hdr.msg_iov = part;
            message.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: each message points to room for its address, its control messages and its octets, of
        // the lengths it says, which nothing else uses until the call returns. Needed because nix's
        // `recvmmsg` allocates.
        let taken = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                messages.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        // It fails when nothing waits.
        let taken = usize::try_from(taken).unwrap_or(0);
        for (message, room) in messages[..taken].iter().zip(self.0.iter()) {
            let (head, len) = (&message.msg_hdr, message.msg_len as usize);
            f(Datagram::read(head, &room.address, &room.control, &room.octets, len));
        }
        taken
    }
}
