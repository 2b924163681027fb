//! RTP and RTCP sockets over io_uring.
//!
//! [`UringSockets::new`] makes the ring on the thread that will use it, because a single-issuer ring
//! belongs to the thread that made it.
//!
//! One multishot `RECVMSG` a socket is armed at start and never cancelled; all of them fill one ring
//! of buffers. Sends are plain `SEND`s that never wait and complete only when they fail. The kernel
//! works for this ring only inside [`flush`](RtpSockets::flush) (DEFER_TASKRUN), so a tick is not
//! disturbed by what comes in, and datagrams are taken in batches.
//!
//! What a reader should know of multishot receives: they end. A datagram of no octets ends one, and
//! so does a lack of buffers or of completion entries. Whenever a completion does not say that more
//! will follow, whatever else it says, the socket is armed again, or it would be deaf for good.

mod buffers;
mod message;
mod send;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use io_uring::types::{Fixed, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

pub(super) use self::buffers::BUFFER_STRIDE;
use self::buffers::ReceiveBuffers;
use self::send::SendSpace;
use super::datagram::{ADDRESS, CONTROL, Unusable};
use super::{BoundSockets, DATAGRAM_MAX, Dscp, Full, NetCounters, PortSlot, RtpSockets, bind};
use crate::time::{Clock, Instant};

/// The RTP and RTCP sockets of one core, over one io_uring.
///
/// Stays on the thread that made it, to its end: dropping it frees every port before it returns.
pub struct UringSockets {
    ring: IoUring,
    buffers: ReceiveBuffers,
    sends: SendSpace,
    /// What every receive asks for; the kernel reads it when one is armed.
    request: Box<libc::msghdr>,
    sockets: Vec<Socket>,
    /// Sockets with no receive armed.
    deaf: Vec<PortSlot>,
    /// Receives that the kernel holds.
    armed: usize,
    counters: NetCounters,
}

struct Socket {
    fd: OwnedFd,
    ipv6: bool,
    dscp: Dscp,
}

impl UringSockets {
    /// Makes the ring and arms every socket. To be called on the thread that will use it.
    ///
    /// # Errors
    /// What the kernel says to the ring; where it is plain what it lacks, the text says so.
    pub fn new(bound: BoundSockets) -> io::Result<Self> {
        let BoundSockets { sockets, dscp, settings, .. } = bound;
        let ring = make_ring(settings.submissions(), settings.completions(sockets.len()))?;
        let submitter = ring.submitter();
        let descriptors: Vec<_> = sockets.iter().map(|(fd, _)| fd.as_raw_fd()).collect();
        if !descriptors.is_empty() {
            submitter.register_files(&descriptors)?;
        }
        let count = settings.receive_buffers as u16;
        let buffers = ReceiveBuffers::register(&submitter, count, settings.buffer_entries())?;
        let mut this = Self {
            ring,
            buffers,
            sends: SendSpace::new(settings.send_octets())?,
            request: Box::new(receive_request()),
            deaf: (0..sockets.len()).rev().map(|slot| PortSlot(slot as u32)).collect(),
            sockets: sockets.into_iter().map(|(fd, ipv6)| Socket { fd, ipv6, dscp }).collect(),
            armed: 0,
            counters: NetCounters::default(),
        };
        this.arm()?;
        this.submit()?;
        Ok(this)
    }

    /// Arms the receive of every socket that has none, or leaves the rest to the next time if the
    /// kernel takes no more. Buffers were given back before, or this would only end them again.
    fn arm(&mut self) -> io::Result<()> {
        while let Some(slot) = self.deaf.pop() {
            let receive = opcode::RecvMsgMulti::new(Fixed(slot.0), &raw const *self.request, buffers::GROUP)
                .ioprio(POLL_FIRST)
                .build()
                .user_data(Tag::Receive(slot).into());
            match self.push(&receive) {
                Ok(()) => self.armed += 1,
                Err(e) => {
                    self.deaf.push(slot);
                    return if e.kind() == io::ErrorKind::WouldBlock { Ok(()) } else { Err(e) };
                }
            }
        }
        Ok(())
    }

    /// Puts an operation into the submission queue, submitting what is there if it is full.
    fn push(&mut self, operation: &squeue::Entry) -> io::Result<()> {
        if self.ring.submission().is_full() {
            self.submit()?;
        }
        // SAFETY: what operations point to outlives them: `request` and the receive buffers live
        // until no receive is left (see `drop`), send space is not written again before the kernel
        // has read it (see `SendSpace::clear`).
        unsafe { self.ring.submission().push(operation) }.map_err(|_| io::ErrorKind::WouldBlock.into())
    }

    /// Hands all that is queued to the kernel. Does not wait.
    fn submit(&mut self) -> io::Result<()> {
        if !self.ring.submission().is_empty() {
            go_on(self.ring.submit())?;
        }
        if self.ring.submission().is_empty() {
            self.sends.clear();
        }
        Ok(())
    }

    /// Lets the kernel work until `until`, or until the completion queue is full.
    ///
    /// Apart from [`submit`](Self::submit), because the kernel counts this time from when it begins
    /// to wait: sending some thousand datagrams first would shift it by milliseconds. What is left
    /// until `until` is taken anew each time, so nothing adds up.
    ///
    /// Datagrams are taken in when the time is up, all in one go, so with 4,096 calls the worker
    /// comes to its tick 1.4 ms late, every time alike. Waking for each 64 of them as well was
    /// measured at 0.1 ms, and 14 % more of the core.
    fn wait(&mut self, until: Instant) -> io::Result<()> {
        let left = until.since(Clock.now()).min(SLEEP_MAX);
        let left = Timespec::new().sec(left.as_secs()).nsec(left.subsec_nanos());
        let most = self.ring.params().cq_entries() as usize;
        go_on(self.ring.submitter().submit_with_args(most, &SubmitArgs::new().timespec(&left)))?;
        // Not every kernel runs what came in the wait when it is time that ends it.
        self.run_tasks()
    }

    /// Lets the kernel do what is there to be done at once.
    fn run_tasks(&mut self) -> io::Result<()> {
        if self.ring.submission().taskrun() { go_on(self.ring.submit()) } else { Ok(()) }
    }

    /// Hands what has completed to `f`; says whether a receive has ended that has more to take in: by an
    /// empty datagram, or for want of a buffer.
    fn reap(&mut self, mut f: impl FnMut(PortSlot, SocketAddr, Instant, &[u8])) -> bool {
        let queue = self.ring.submission();
        self.counters.overflowed += u64::from(queue.cq_overflow());
        drop(queue);
        let now = Clock.epoch();
        let (mut has_more, mut starved) = (false, false);
        let Self { ring, buffers, counters, deaf, armed, .. } = self;
        for completion in ring.completion() {
            let slot = match Tag::from(completion.user_data()) {
                Tag::Receive(slot) => slot,
                Tag::Send => {
                    counters.refused += 1;
                    continue;
                }
                // There was nothing to cancel.
                Tag::Cancel => continue,
            };
            let goes_on = cqueue::more(completion.flags());
            if let Some(id) = cqueue::buffer_select(completion.flags()) {
                let len = usize::try_from(completion.result()).unwrap_or(0);
                match message::read(buffers.filled(id, len)) {
                    Ok(datagram) => {
                        counters.received += 1;
                        has_more |= !goes_on && datagram.octets.is_empty();
                        f(slot, datagram.source, datagram.arrived(now), datagram.octets);
                    }
                    Err(Unusable::Truncated) => counters.truncated += 1,
                    Err(Unusable::NoSource) => {}
                }
                buffers.give_back(id);
            }
            if !goes_on {
                counters.rearmed += 1;
                if completion.result() == -libc::ENOBUFS {
                    counters.starved += 1;
                    starved = true;
                }
                *armed -= 1;
                deaf.push(slot);
            }
        }
        if starved {
            buffers.starved();
        }
        buffers.publish();
        has_more || starved
    }

    /// Ends every receive, and waits until the kernel has let go of them.
    ///
    /// Closing a socket does not end its receive: the port would stay bound and go on receiving
    /// until the ring is torn down, which the kernel does when it likes.
    fn disarm(&mut self) -> io::Result<()> {
        // One by one: the kernel finds each by its user data, but walks a whole table for each of
        // "any" (8,192 sockets: 0.45 s).
        for slot in 0..self.sockets.len() as u32 {
            let cancel = opcode::AsyncCancel::new(Tag::Receive(PortSlot(slot)).into())
                .build()
                .flags(squeue::Flags::SKIP_SUCCESS)
                .user_data(Tag::Cancel.into());
            self.push(&cancel)?;
        }
        self.submit()?;
        let until = Clock.now() + DISARM_TIME_MAX;
        while self.armed > 0 && Clock.now() < until {
            self.wait(Instant::ZERO)?;
            self.reap(|_, _, _, _| ());
        }
        Ok(())
    }
}

/// The longest that a `flush` sleeps.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// How often in one tick receives that have ended are armed again. Each datagram behind an empty one waits
/// for that: a stranger who sends some hundred of them a second would else silence a call.
const ROUNDS_MAX: usize = 64;

/// The longest that a drop waits for the kernel to let go of the sockets.
const DISARM_TIME_MAX: Duration = Duration::from_secs(1);

/// `IORING_RECVSEND_POLL_FIRST`: wait for a datagram before a buffer is taken for it. Else arming
/// tries to receive at once, in vain nearly always, and fails if all buffers are in use.
const POLL_FIRST: u16 = 1;

impl RtpSockets for UringSockets {
    fn receive(&mut self, mut f: impl FnMut(PortSlot, SocketAddr, Instant, &[u8])) {
        for _ in 0..ROUNDS_MAX {
            // An error shows again in `flush`, which can say so.
            if !self.reap(&mut f)
                || self.arm().and_then(|()| self.submit()).and_then(|()| self.run_tasks()).is_err()
            {
                return;
            }
        }
    }

    fn send(
        &mut self,
        from: PortSlot,
        to: SocketAddr,
        len: usize,
        f: impl FnOnce(&mut [u8]),
    ) -> Result<(), Full> {
        assert!(len <= DATAGRAM_MAX, "a datagram of {len} octets is longer than {DATAGRAM_MAX}");
        let has_room = |this: &mut Self| this.sends.has_room(len) && !this.ring.submission().is_full();
        // An error shows again in `flush`, which can say so.
        if !has_room(self) && (self.submit().is_err() || !has_room(self)) {
            self.counters.full += 1;
            return Err(Full);
        }
        let outgoing = self.sends.write(to, len, f);
        let send = opcode::Send::new(Fixed(from.0), outgoing.octets, outgoing.len)
            .dest_addr(outgoing.address)
            .dest_addr_len(outgoing.address_len)
            // `SendSpace::clear` relies on this.
            .flags(libc::MSG_DONTWAIT)
            .build()
            .flags(squeue::Flags::SKIP_SUCCESS)
            .user_data(Tag::Send.into());
        self.push(&send).expect("room in the queue was made");
        self.counters.sent += 1;
        Ok(())
    }

    fn mark(&mut self, slot: PortSlot, dscp: Dscp) {
        let Some(socket) = self.sockets.get_mut(slot.0 as usize) else { return };
        if socket.dscp != dscp && bind::mark(&socket.fd, socket.ipv6, dscp).is_ok() {
            socket.dscp = dscp;
        }
    }

    fn flush(&mut self, until: Instant) -> io::Result<()> {
        self.arm()?;
        self.submit()?;
        self.wait(until)
    }

    fn counters(&self) -> NetCounters {
        self.counters
    }
}

impl Drop for UringSockets {
    fn drop(&mut self) {
        // What was queued still goes out: the BYE of a call, say.
        let ended = self.submit().and_then(|()| self.disarm());
        let submitter = self.ring.submitter();
        let unregistered = submitter.unregister_buf_ring(buffers::GROUP);
        if ended.is_err() || self.armed > 0 || unregistered.is_err() {
            // The kernel may still write to the buffers. Their memory is the price.
            self.buffers.leak();
        }
        // The ring's hold on the sockets; `self.sockets` is the other. If this fails, the ring lets
        // go when it is torn down: later, but surely.
        let _ = submitter.unregister_files();
    }
}

/// Whose completion it is, in its 64 bits of user data.
enum Tag {
    Receive(PortSlot),
    Send,
    Cancel,
}

const SEND_TAG: u64 = u64::MAX;
const CANCEL_TAG: u64 = u64::MAX - 1;

impl From<Tag> for u64 {
    fn from(tag: Tag) -> Self {
        match tag {
            Tag::Receive(slot) => Self::from(slot.0),
            Tag::Send => SEND_TAG,
            Tag::Cancel => CANCEL_TAG,
        }
    }
}

impl From<u64> for Tag {
    fn from(user_data: u64) -> Self {
        match user_data {
            SEND_TAG => Self::Send,
            CANCEL_TAG => Self::Cancel,
            slot => Self::Receive(PortSlot(slot as u32)),
        }
    }
}

/// A ring for one thread, in which the kernel works only when asked to.
fn make_ring(submissions: u32, completions: u32) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .setup_cqsize(completions);
    builder
        .clone()
        .setup_no_sqarray()
        .build(submissions)
        // Linux before 6.6 does not know it, and it saves little.
        .or_else(|e| if is_invalid(&e) { builder.build(submissions) } else { Err(e) })
        .map_err(explained)
}

fn is_invalid(e: &io::Error) -> bool {
    e.raw_os_error() == Some(libc::EINVAL)
}

/// What an operator can do about a ring that cannot be made.
fn explained(e: io::Error) -> io::Error {
    let remedy = match e.raw_os_error() {
        Some(libc::EINVAL) => "this io_uring has no deferred task running: Linux 6.1 or newer is needed",
        Some(libc::ENOSYS) => {
            "this kernel has no io_uring, or a seccomp filter hides it: Linux 6.1 is needed"
        }
        Some(libc::EPERM | libc::EACCES) => {
            "io_uring is forbidden here (sysctl kernel.io_uring_disabled, or a seccomp filter)"
        }
        Some(libc::ENOMEM) => "no memory for an io_uring (RLIMIT_MEMLOCK; LimitMEMLOCK= of its service)",
        _ => return e,
    };
    io::Error::new(e.kind(), format!("{remedy}: {e}"))
}

/// What is not an error of a submission or a wait: it timed out, a signal came, or completions have
/// to be reaped first. The loop comes back anyway.
fn go_on(result: io::Result<usize>) -> io::Result<()> {
    match result {
        Err(e)
            if !matches!(e.raw_os_error(), Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN)) =>
        {
            Err(e)
        }
        _ => Ok(()),
    }
}

/// Asks for the source and the kernel's time stamp of a datagram.
fn receive_request() -> libc::msghdr {
    // SAFETY: a `msghdr` is integers and pointers, for which zero is a value. Needed because it has
    // padding on some targets, and so no constructor.
    let mut request: libc::msghdr = unsafe { std::mem::zeroed() };
    request.msg_namelen = ADDRESS as libc::socklen_t;
    request.msg_controllen = CONTROL as _;
    request
}

#[cfg(test)]
mod tests;
