//! RTP and RTCP sockets over io_uring.
//!
//! [`UringSockets::new`] makes the ring on the thread that will use it, because a single-issuer ring
//! belongs to the thread that made it.
//!
//! Sockets at which RTP comes at a steady pace are simply read when the next datagram should have come
//! (see `pace.rs`); of all others the kernel is asked to tell, once, when there is something to read. Reads
//! and sends are plain ones that never wait, and sends complete only when they fail. The kernel works for
//! this ring only when it is entered (DEFER_TASKRUN), so a tick is not disturbed by what comes in, and
//! datagrams are taken in batches.
//!
//! Each socket is, at any time, in one of these states:
//!
//! ```text
//!              no pace                  next round
//!   to tell ◀──────────────── being read ◀──────────── due ◀──┐
//!      │                            │ keeps pace        ▲     │ its time has come
//!      │                            └───────────────────┼─▶ in the calendar
//!      └────────────────────────────────────────────────┘
//!                       something has come
//! ```

mod calendar;
mod pace;
mod reads;
mod send;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, opcode, squeue};

use self::calendar::Calendar;
use self::pace::{Look, Pace};
use self::reads::ReadSpace;
use self::send::SendSpace;
use super::datagram::Unusable;
use super::{
    BoundSockets, DATAGRAM_MAX, Dscp, Full, NetCounters, PortSlot, RtpSockets, Settings, Taker, bind,
};
use crate::time::{Clock, Instant};

/// The RTP and RTCP sockets of one core, over one io_uring.
///
/// Stays on the thread that made it, to its end: dropping it frees every port before it returns.
pub struct UringSockets {
    ring: IoUring,
    reads: ReadSpace,
    sends: SendSpace,
    sockets: Vec<Socket>,
    watches: Box<[Watch]>,
    /// The sockets of the reads that are under way.
    reading: Vec<PortSlot>,
    /// Sockets to be read in this tick.
    due: VecDeque<PortSlot>,
    /// Sockets to be read at their time.
    calendar: Calendar,
    /// Sockets that the kernel has yet to be asked to tell of.
    untold: Vec<PortSlot>,
    /// Counts ticks.
    tick: u16,
    counters: NetCounters,
}

struct Socket {
    fd: OwnedFd,
    ipv6: bool,
    dscp: Dscp,
}

/// When a socket is looked at, and how far a look has come.
#[derive(Clone, Copy, Default)]
struct Watch {
    pace: Pace,
    /// Reads of this look, and those of them that are under way.
    asked: u8,
    pending: u8,
    /// The tick of the last look, and the reads of the looks in it.
    tick: u16,
    before: u8,
    /// One of them found nothing.
    found_all: bool,
    /// The kernel has been asked to tell.
    is_told: bool,
}

impl UringSockets {
    /// Makes the ring. To be called on the thread that will use it.
    ///
    /// # Errors
    /// What the kernel says to the ring; where it is plain what it lacks, the text says so.
    pub fn new(bound: BoundSockets) -> io::Result<Self> {
        let BoundSockets { sockets, dscp, settings, .. } = bound;
        let ring = make_ring(settings.submissions(), settings.completions(sockets.len()))?;
        let mut this = Self {
            ring,
            reads: ReadSpace::new(settings.reads())?,
            sends: SendSpace::new(settings.send_octets())?,
            watches: vec![Watch::default(); sockets.len()].into(),
            reading: Vec::with_capacity(settings.reads().into()),
            due: VecDeque::with_capacity(sockets.len()),
            calendar: Calendar::new(sockets.len()),
            untold: (0..sockets.len()).rev().map(|slot| PortSlot(slot as u32)).collect(),
            sockets: sockets.into_iter().map(|(fd, ipv6)| Socket { fd, ipv6, dscp }).collect(),
            tick: 0,
            counters: NetCounters::default(),
        };
        this.ask_to_tell()?;
        this.submit()?;
        Ok(this)
    }

    /// Octets of memory it takes for `slots` sockets; the kernel's own for them left out.
    pub fn memory(settings: &Settings, slots: usize) -> usize {
        const SUBMISSION: usize = 64;
        const COMPLETION: usize = 16;
        const INDEX: usize = size_of::<u32>();
        ReadSpace::size(settings.reads())
            + settings.send_octets()
            + settings.submissions() as usize * SUBMISSION
            + settings.completions(slots) as usize * COMPLETION
            + slots * (size_of::<Socket>() + size_of::<Watch>() + 3 * INDEX)
    }

    /// Asks the kernel to tell of what comes to the sockets that have no time to be read at, or leaves the
    /// rest to the next time if it takes no more.
    fn ask_to_tell(&mut self) -> io::Result<()> {
        while let Some(slot) = self.untold.pop() {
            let tell = opcode::PollAdd::new(self.sockets[slot.0 as usize].descriptor(), libc::POLLIN as u32)
                .build()
                .user_data(Tag::Told(slot).into());
            if let Err(e) = self.push(&tell) {
                self.untold.push(slot);
                return if e.kind() == io::ErrorKind::WouldBlock { Ok(()) } else { Err(e) };
            }
            self.watches[slot.0 as usize].is_told = true;
            self.counters.told += 1;
        }
        Ok(())
    }

    /// Queues reads of the sockets that are due, as many as there is room for; says whether there are any.
    fn begin_reads(&mut self) -> bool {
        while let Some(&slot) = self.due.front() {
            let watch = &mut self.watches[slot.0 as usize];
            let asked = watch.asked;
            while watch.pending < asked
                && let Some((room, head)) = self.reads.begin(slot)
            {
                let read = opcode::RecvMsg::new(self.sockets[slot.0 as usize].descriptor(), head)
                    .flags(libc::MSG_DONTWAIT as u32)
                    .build()
                    .user_data(Tag::Read(room).into());
                // SAFETY: what the head points to is the room's, which lives as long as the ring and is
                // used for nothing else before the kernel has said that it is done with it.
                if unsafe { self.ring.submission().push(&read) }.is_err() {
                    self.reads.cancel(room);
                    break;
                }
                watch.pending += 1;
                self.reading.push(slot);
            }
            if watch.pending == 0 {
                break;
            }
            watch.asked = watch.pending;
            self.due.pop_front();
        }
        !self.reads.is_idle()
    }

    /// Puts an operation into the submission queue, submitting what is there if it is full.
    fn push(&mut self, operation: &squeue::Entry) -> io::Result<()> {
        if self.ring.submission().is_full() {
            self.submit()?;
        }
        // SAFETY: what operations point to outlives them: send space is not written again before the
        // kernel has read it (see `SendSpace::clear`), and asking to tell points to nothing.
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

    /// Takes what has completed: hands datagrams to `taker`, and sees to it that each socket that has been read,
    /// or told of, is read again in its time.
    fn reap(&mut self, taker: &mut impl Taker) {
        let queue = self.ring.submission();
        self.counters.overflowed += u64::from(queue.cq_overflow());
        drop(queue);
        let now = Clock.epoch();
        let Self { ring, reads, watches, reading, due, calendar, untold, tick, counters, .. } = self;
        // They complete in the order in which they were asked for, but for the few that had to wait.
        let mut far = reading.iter();
        let mut near = reading.iter();
        far.by_ref().take(2 * AHEAD).for_each(|slot| taker.expect(*slot));
        near.by_ref().take(AHEAD).for_each(|slot| taker.expect_next(*slot));
        for completion in ring.completion() {
            let room = match Tag::from(completion.user_data()) {
                Tag::Read(room) => room,
                Tag::Told(slot) => {
                    watches[slot.0 as usize].is_told = false;
                    watches[slot.0 as usize].begin(*tick, now.at);
                    due.push_back(slot);
                    continue;
                }
                Tag::Send => {
                    counters.refused += 1;
                    continue;
                }
                // There was nothing to cancel.
                Tag::Cancel => continue,
            };
            far.next().into_iter().for_each(|slot| taker.expect(*slot));
            near.next().into_iter().for_each(|slot| taker.expect_next(*slot));
            let slot = reads.slot(room);
            let watch = &mut watches[slot.0 as usize];
            reads.end(room, completion.result().max(0) as usize, |datagram| match datagram {
                _ if completion.result() < 0 => {
                    watch.found_all |= completion.result() == -libc::EAGAIN;
                    counters.vain += 1;
                }
                Ok(datagram) => {
                    counters.received += 1;
                    let arrived = datagram.arrived(now);
                    watch.pace.hear(arrived);
                    taker.take(slot, datagram.source, arrived, datagram.octets);
                }
                Err(Unusable::Truncated) => counters.truncated += 1,
                Err(Unusable::NoSource) => {}
            });
            watch.pending -= 1;
            if watch.pending == 0 {
                match watch.end(now.at) {
                    Look::Again => due.push_back(slot),
                    Look::At(time) => calendar.enter(slot, time),
                    Look::WhenTold => untold.push(slot),
                }
            }
        }
        reading.clear();
    }

    /// Ends all that the kernel has been asked to tell, and waits until it has let go of the sockets.
    ///
    /// Closing a socket does not end this: the port would stay bound and go on receiving until the ring is
    /// torn down, which the kernel does when it likes.
    fn disarm(&mut self) -> io::Result<()> {
        // One by one: the kernel finds each by its user data, but walks a whole table for each of
        // "any" (8,192 sockets: 0.45 s).
        for slot in 0..self.sockets.len() as u32 {
            if self.watches[slot as usize].is_told {
                let cancel = opcode::AsyncCancel::new(Tag::Told(PortSlot(slot)).into())
                    .build()
                    .flags(squeue::Flags::SKIP_SUCCESS)
                    .user_data(Tag::Cancel.into());
                self.push(&cancel)?;
            }
        }
        self.submit()?;
        let until = Clock.now() + DISARM_TIME_MAX;
        while self.watches.iter().any(|watch| watch.is_told) && Clock.now() < until {
            self.wait(Instant::ZERO)?;
            self.reap(&mut Plain(|_, _, _, _: &[u8]| ()));
        }
        Ok(())
    }
}

/// Who takes datagrams as they come.
struct Plain<F>(F);

impl<F: FnMut(PortSlot, SocketAddr, Instant, &[u8])> Taker for Plain<F> {
    fn expect(&mut self, _: PortSlot) {}

    fn expect_next(&mut self, _: PortSlot) {}

    fn take(&mut self, slot: PortSlot, from: SocketAddr, arrived: Instant, octets: &[u8]) {
        (self.0)(slot, from, arrived, octets);
    }
}

impl Socket {
    /// Plain, not registered with the ring: the kernel keeps a place of its own for each that is, one cache
    /// line more to fetch for each packet.
    fn descriptor(&self) -> Fd {
        Fd(self.fd.as_raw_fd())
    }
}

impl Watch {
    /// It is to be looked at in this tick. Looks in the same tick as the last go on from there.
    fn begin(&mut self, tick: u16, now: Instant) {
        if self.tick == tick {
            self.asked = self.more();
        } else {
            self.tick = tick;
            self.before = 0;
            self.asked = self.pace.reads(now);
        }
        self.found_all = false;
    }

    /// All reads of a look are done: when is the next?
    fn end(&mut self, now: Instant) -> Look {
        self.before = self.before.saturating_add(self.asked);
        match self.pace.next(now, self.found_all) {
            Look::Again | Look::WhenTold if self.before >= READS_A_TICK => Look::At(now),
            Look::Again => {
                self.asked = self.more();
                Look::Again
            }
            look => look,
        }
    }

    /// How many reads to go on with: as many again as there were in this tick.
    fn more(&self) -> u8 {
        self.before.min(READS_A_LOOK).min(READS_A_TICK.saturating_sub(self.before)).max(1)
    }
}

/// How many datagrams ahead of its own a slot is said to be one of the next; twice as many that it is expected.
const AHEAD: usize = 6;

/// The longest that a `flush` sleeps.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// Datagrams that are taken from one socket in a tick: nearly what its queue holds, so that a flood at one
/// port does not keep the others waiting. And of these, the most in one go.
const READS_A_TICK: u8 = 127;
const READS_A_LOOK: u8 = 64;

/// Rounds of reads in a tick, of up to 64 each: a read for each socket of the largest core, 16,128. What is
/// due beyond that is read in the next tick, so that a flood at all ports does not keep the spans waiting.
const ROUNDS_MAX: u32 = 256;

/// The longest that a drop waits for the kernel to let go of the sockets.
const DISARM_TIME_MAX: Duration = Duration::from_secs(1);

impl RtpSockets for UringSockets {
    fn receive(&mut self, f: impl FnMut(PortSlot, SocketAddr, Instant, &[u8])) {
        self.receive_into(&mut Plain(f));
    }

    fn receive_into(&mut self, taker: &mut impl Taker) {
        self.tick = self.tick.wrapping_add(1);
        self.reap(taker);
        let now = Clock.now();
        let Self { calendar, watches, due, tick, .. } = self;
        calendar.take(now, |slot| {
            watches[slot.0 as usize].begin(*tick, now);
            due.push_back(slot);
        });
        for _ in 0..ROUNDS_MAX {
            if !self.begin_reads() && self.untold.is_empty() {
                return;
            }
            // The kernel tells at once where there is more, and that is read in this tick, too. An error
            // shows again in `flush`, which can say so.
            if self.ask_to_tell().is_err() || self.submit().is_err() {
                return;
            }
            self.reap(taker);
        }
        self.counters.put_off += u64::from(!self.due.is_empty());
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
        let send =
            opcode::Send::new(self.sockets[from.0 as usize].descriptor(), outgoing.octets, outgoing.len)
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
        self.ask_to_tell()?;
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
        // If this fails, the ports are free when the ring has been torn down.
        let _ = self.submit().and_then(|()| self.disarm());
    }
}

/// Whose completion it is, in its 64 bits of user data.
enum Tag {
    Told(PortSlot),
    Read(u16),
    Send,
    Cancel,
}

const SEND_TAG: u64 = u64::MAX;
const CANCEL_TAG: u64 = u64::MAX - 1;
const READ_TAG: u64 = 1 << 32;

impl From<Tag> for u64 {
    fn from(tag: Tag) -> Self {
        match tag {
            Tag::Told(slot) => Self::from(slot.0),
            Tag::Read(room) => READ_TAG | Self::from(room),
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
            read if read & READ_TAG != 0 => Self::Read(read as u16),
            slot => Self::Told(PortSlot(slot as u32)),
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

#[cfg(test)]
mod tests;
