//! What is to be sent, until it is: by one `sendmmsg` for each run of datagrams from the same socket.

use std::net::SocketAddr;
use std::os::fd::RawFd;

use crate::net::datagram::{ADDRESS, write_address};
use crate::net::{DATAGRAM_MAX, PortSlot, Settings};

/// Datagrams that one call sends at most.
const BATCH: usize = 8;

/// Room for the datagrams of one flush: one behind the other in one strip of memory.
pub(super) struct Outgoing {
    heads: Vec<Head>,
    heads_max: usize,
    octets: Vec<u8>,
    used: usize,
}

struct Head {
    from: PortSlot,
    to: [u8; ADDRESS],
    to_len: u32,
    at: usize,
    len: usize,
}

impl Outgoing {
    /// Octets of memory it takes.
    pub(super) fn size(settings: &Settings) -> usize {
        settings.send_octets() + settings.sends as usize * size_of::<Head>()
    }

    pub(super) fn new(settings: &Settings) -> Self {
        let heads_max = settings.sends as usize;
        Self {
            heads: Vec::with_capacity(heads_max),
            heads_max,
            octets: vec![0; settings.send_octets()],
            used: 0,
        }
    }

    /// Whether a datagram of `len` octets can be [written](Self::write).
    pub(super) fn has_room(&self, len: usize) -> bool {
        self.heads.len() < self.heads_max && self.used + len <= self.octets.len()
    }

    /// Lets `f` write a datagram.
    ///
    /// # Panics
    /// If there is no room for it, or it is longer than any may be.
    pub(super) fn write(&mut self, from: PortSlot, to: SocketAddr, len: usize, f: impl FnOnce(&mut [u8])) {
        assert!(len <= DATAGRAM_MAX, "a datagram of {len} octets is longer than {DATAGRAM_MAX}");
        assert!(self.heads.len() < self.heads_max, "room was made before");
        f(&mut self.octets[self.used..][..len]);
        let mut address = [0; ADDRESS];
        let to_len = write_address(to, &mut address);
        self.heads.push(Head { from, to: address, to_len, at: self.used, len });
        self.used += len;
    }

    /// Sends all of it, each from the descriptor of its slot, and says how many the kernel refused.
    pub(super) fn send_all(&mut self, descriptor: impl Fn(PortSlot) -> RawFd) -> u64 {
        let mut refused = 0;
        let mut next = 0;
        while let Some(first) = self.heads.get(next) {
            let run =
                self.heads[next..].iter().take(BATCH).take_while(|head| head.from == first.from).count();
            let sent = self.send_run(descriptor(first.from), next, run);
            // The first that was not sent is the one that was refused. The next may go elsewhere.
            refused += u64::from(sent < run);
            next += (sent + 1).min(run);
        }
        self.heads.clear();
        self.used = 0;
        refused
    }

    /// Sends `run` datagrams, at most [`BATCH`], from the `first`; says how many were sent.
    fn send_run(&self, descriptor: RawFd, first: usize, run: usize) -> usize {
        let heads = &self.heads[first..first + run];
        let mut parts = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
        // SAFETY: a `mmsghdr` is integers and pointers, for which zero is a value. Needed because it has
        // padding on some targets, and so no constructor.
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
        for ((message, part), head) in messages.iter_mut().zip(&mut parts).zip(heads) {
            // The kernel only reads them, whatever the pointers' types say.
            part.iov_base = self.octets[head.at..][..head.len].as_ptr().cast_mut().cast();
            part.iov_len = head.len;
            message.msg_hdr.msg_name = head.to.as_ptr().cast_mut().cast();
            message.msg_hdr.msg_namelen = head.to_len;
            message.msg_hdr.msg_iov = part;
            message.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: each of the first `run` messages points to an address and to octets, of the lengths it
        // says, that live and do not change until the call returns. Needed because nix's `sendmmsg`
        // allocates.
        let sent = unsafe {
            libc::sendmmsg(descriptor, messages.as_mut_ptr(), run as libc::c_uint, libc::MSG_DONTWAIT as _)
        };
        usize::try_from(sent).unwrap_or(0)
    }
}
