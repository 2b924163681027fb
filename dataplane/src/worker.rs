//! The loop around one engine: a core's spans, sockets and ring, and one tick after another.
//!
//! [`Worker::tick`] is the path of an octet, read downwards. [`spawn`] runs it on a pinned thread
//! of its own; a test calls it by hand under a clock of its own. In a tick nothing is allocated or
//! freed, nothing locked, logged or formatted. It enters the kernel to read, some 64 datagrams at a time,
//! to send, and to wait.

use std::io;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use drivers::cpu;
use drivers::line::{FRAME, SpanId};
use drivers::memory;
use drivers::net::RtpSockets;
use drivers::span::{Block, Span};
use drivers::time::{Clock, Epoch, Instant};
use hdrhistogram::Histogram;

use crate::dsp::echo_canceller::EchoSettings;
use crate::engine::{Engine, SpanShape};
use crate::limits::{Limits, ORDERS_PER_TICK};
use crate::link::CoreEnd;
use crate::stats::{Counter, Stats};

/// What a worker is made of, but its sockets.
pub struct Parts {
    /// The sizes of its tables.
    pub limits: Limits,
    /// The spans it carries.
    pub spans: Vec<Carried>,
    /// Where its chance comes from.
    pub seed: u64,
    /// What wall time is.
    pub epoch: Epoch,
    /// Where it counts.
    pub stats: Arc<Stats>,
    /// Its end of the ring pair.
    pub link: CoreEnd,
}

/// A span as a worker is given it.
pub struct Carried {
    /// Its id.
    pub id: SpanId,
    /// How echo from it is cancelled, if it is.
    pub echo: Option<EchoSettings>,
    /// The span itself.
    pub span: Box<dyn Span>,
}

/// One core's engine with all that it moves octets between.
pub struct Worker<N> {
    engine: Engine,
    sockets: N,
    spans: Box<[Attached]>,
    /// When each span is due, and its place; the next one first. A span says it anew after each block only.
    turns: Box<[(Instant, usize)]>,
    link: CoreEnd,
    stats: Arc<Stats>,
    /// How late ticks with a due block began, in ns.
    lateness: Histogram<u64>,
}

/// A span and its block of each direction.
struct Attached {
    span: Box<dyn Span>,
    tx: Block,
    rx: Block,
    /// `tx` holds what is next for the line; set from playout until the line has taken it.
    filled: bool,
    block: Duration,
}

impl<N: RtpSockets> Worker<N> {
    /// A worker that has not ticked yet. Allocates all it will ever need.
    pub fn new(parts: Parts, sockets: N) -> Self {
        let Parts { limits, spans, seed, epoch, stats, link } = parts;
        let shapes: Vec<SpanShape> = spans
            .iter()
            .map(|Carried { id, echo, span }| SpanShape {
                id: *id,
                line: span.line(),
                frames: span.frames(),
                echo: *echo,
            })
            .collect();
        let engine = Engine::new(&limits, &shapes, seed, epoch, Arc::clone(&stats));
        let spans: Box<[_]> = spans.into_iter().map(|carried| Attached::new(carried.span)).collect();
        let turns = spans.iter().map(|attached| attached.span.due_at()).zip(0..);
        let mut turns: Box<[_]> = turns.collect();
        turns.sort_unstable();
        Self { engine, sockets, spans, turns, link, stats, lateness: histogram() }
    }

    /// One tick: moves what is due, submits it, and sleeps until more is due.
    ///
    /// # Errors
    /// What the sockets say; they are of no more use then, and neither is the worker.
    pub fn tick(&mut self, now: Instant) -> io::Result<()> {
        let until = self.work(now);
        self.sockets.flush(until)
    }

    /// All of a tick but its flush; says until when to sleep.
    fn work(&mut self, now: Instant) -> Instant {
        let Self { engine, sockets, spans, turns, link, stats, lateness } = self;
        stats.add(Counter::Ticks, 1);
        let orders =
            link.orders(ORDERS_PER_TICK).map(|(order, gear)| engine.apply(now, &order, gear)).count();
        sockets.receive_into(engine);
        let due = due(now, spans, turns);
        for turn in 0..due {
            if turn + 1 < due {
                engine.expect_block(turns[turn + 1].1);
            }
            let (due_at, index) = &mut turns[turn];
            let late = now.since(*due_at);
            lateness.saturating_record(late.as_nanos() as u64);
            *due_at = spans[*index].exchange(now, *index, engine, stats, late);
        }
        put_in_order(turns, due);
        // More orders may wait than a tick takes, and a line that has not begun wakes nobody for them.
        let latest = if orders < ORDERS_PER_TICK { now + SLEEP_MAX } else { now };
        let wake_at = wake_at(now, spans, turns).min(latest);
        engine.transmit(now, sockets);
        // Ahead of the reports: whoever reads those finds it.
        while let Some(gear) = engine.poll_returned() {
            link.give_back(gear);
        }
        while let Some(report) = engine.poll_report() {
            if !link.report(report) {
                stats.add(Counter::ReportsLost, 1);
            }
        }
        link.nudge();
        self.count_datagrams();
        wake_at
    }

    /// Ends all connections with a BYE, and hands everything to the kernel.
    ///
    /// # Errors
    /// What the sockets say.
    pub fn close(&mut self, now: Instant) -> io::Result<()> {
        for _ in 0..CLOSE_ROUNDS_MAX {
            let done = self.engine.close(now, &mut self.sockets);
            self.sockets.flush(now)?;
            if done {
                break;
            }
        }
        self.count_datagrams();
        Ok(())
    }

    /// Copies what the sockets count themselves.
    fn count_datagrams(&self) {
        let counters = self.sockets.counters();
        self.stats.set(Counter::SendFull, counters.full);
        self.stats.set(Counter::SendRefused, counters.refused);
        self.stats.set(Counter::Truncated, counters.truncated);
        self.stats.set(Counter::Told, counters.told);
        self.stats.set(Counter::Vain, counters.vain);
        self.stats.set(Counter::PutOff, counters.put_off);
        self.stats.set(Counter::CompletionsOverflowed, counters.overflowed);
        self.stats.set(Counter::Damaged, counters.damaged);
        self.stats.set(Counter::QueueDropped, counters.dropped);
        self.stats.set(Counter::Around, counters.around);
    }

    /// When the next block of any span is due: what simulated time may move to.
    pub fn due_at(&self) -> Instant {
        self.turns.first().map_or(Instant::FAR_FUTURE, |(due_at, _)| *due_at)
    }
}

/// How many of the spans, which are in the order in which they are due, are to exchange a block now. A tick that
/// is late goes on until the first of them would be due once more. So blocks are exchanged in the order in
/// which they are due, however late: an octet of one span that is for another never comes too late because the
/// other was asked first.
///
/// A span that did not take its block when it was due holds nobody up.
fn due(now: Instant, spans: &[Attached], turns: &[(Instant, usize)]) -> usize {
    let turns = &turns[..turns.partition_point(|(due_at, _)| *due_at <= now)];
    let waiting = turns.iter().filter(|(_, index)| !spans[*index].filled);
    let end = waiting.map(|(due_at, index)| *due_at + spans[*index].block).min();
    turns.partition_point(|(due_at, _)| end.is_none_or(|end| *due_at < end))
}

/// Puts the turns in order again after the first `n` of them, which come after all others now unless some are
/// behind.
fn put_in_order(turns: &mut [(Instant, usize)], n: usize) {
    turns.rotate_left(n);
    if !turns.is_sorted() {
        turns.sort_unstable();
    }
}

/// When to look at the spans again, whose turns are in order.
fn wake_at(now: Instant, spans: &[Attached], turns: &[(Instant, usize)]) -> Instant {
    let mut wake_at = Instant::FAR_FUTURE;
    for &(due_at, index) in turns {
        wake_at = wake_at.min(spans[index].wake_at(now, due_at));
        if !spans[index].filled {
            break;
        }
    }
    wake_at
}

impl Attached {
    fn new(span: Box<dyn Span>) -> Self {
        let (frames, law) = (span.frames(), span.line().law);
        let block = FRAME * u32::try_from(frames).expect("a block is 160 frames at most");
        Self { span, tx: Block::new(frames, law), rx: Block::new(frames, law), filled: false, block }
    }

    /// One block each way, and what the span has to say after it. Says when the next is due.
    ///
    /// A span that is several blocks behind gets one of them each tick, and no tick sleeps until it
    /// has caught up, so that packets flow in between.
    fn exchange(
        &mut self,
        now: Instant,
        index: usize,
        engine: &mut Engine,
        stats: &Stats,
        late: Duration,
    ) -> Instant {
        if !self.filled {
            engine.playout(index, &self.rx, &mut self.tx);
            self.filled = true;
        }
        if self.span.exchange(now, &self.tx, &mut self.rx) {
            self.filled = false;
            stats.add(Counter::Blocks, 1);
            if late > self.block {
                stats.add(Counter::Overruns, 1);
            }
            engine.capture(now, index, &self.rx);
        }
        while let Some(event) = self.span.poll_event() {
            engine.span_event(index, event);
        }
        self.span.due_at()
    }

    /// When to look at the span again. One that is due but took nothing is a little late: it is
    /// asked again soon, not at once, or one slow card would keep its core from ever sleeping.
    fn wake_at(&self, now: Instant, due_at: Instant) -> Instant {
        if self.filled { due_at.max(now + ASK_AGAIN_AFTER) } else { due_at }
    }
}

/// A worker to be run on a thread of its own.
pub struct Recipe<F> {
    /// The core's number: the thread is named after it.
    pub core: usize,
    /// The CPU to pin the thread to, if any.
    pub cpu: Option<usize>,
    /// The real-time priority of the thread (SCHED_FIFO), 1 to 99, if it is to have one.
    pub real_time_priority: Option<u8>,
    /// What the worker is made of.
    pub parts: Parts,
    /// Makes its sockets, on its thread, after it has been pinned: a ring belongs to the thread that
    /// made it.
    pub sockets: F,
}

/// Starts a worker on a thread of its own. It runs until its link says stop.
///
/// Returns when the worker is ready to tick, or has failed to become so.
///
/// # Errors
/// The thread could not be started or pinned, its priority was refused, or what the making of its sockets said.
pub fn spawn<N, F>(recipe: Recipe<F>) -> io::Result<Running>
where
    N: RtpSockets,
    F: FnOnce() -> io::Result<N> + Send + 'static,
{
    let name = format!("core-{}", recipe.core);
    let (started, start) = mpsc::sync_channel(1);
    let thread = thread::Builder::new().name(name).spawn(move || match recipe.prepare() {
        Ok(worker) => {
            // Nobody waits any more only if the starting thread is gone, and then stop will come.
            let _ = started.send(Ok(()));
            run(worker)
        }
        Err(error) => {
            let _ = started.send(Err(error));
            Summary::new()
        }
    })?;
    start.recv().unwrap_or_else(|_| Err(io::Error::other("the worker died before its first tick")))?;
    Ok(Running { thread })
}

impl<F> Recipe<F> {
    /// Pins the calling thread, gives it its priority and makes the worker on it.
    fn prepare<N>(self) -> io::Result<Worker<N>>
    where
        N: RtpSockets,
        F: FnOnce() -> io::Result<N>,
    {
        if let Some(cpu) = self.cpu {
            cpu::pin(cpu).map_err(io::Error::other)?;
        }
        if let Some(level) = self.real_time_priority {
            cpu::take_real_time_priority(level).map_err(|error| {
                io::Error::other(format!(
                    "no real-time priority {level}: {error} (CAP_SYS_NICE, or LimitRTPRIO={level} of its service); or \
                     set host.real_time_priority = 0"
                ))
            })?;
        }
        cpu::prepare_timer_slack()?;
        let worker = Worker::new(self.parts, (self.sockets)()?);
        memory::gather();
        Ok(worker)
    }
}

/// The worker's thread: ticks until it is told to stop or its sockets fail.
fn run<N: RtpSockets>(mut worker: Worker<N>) -> Summary {
    let mut summary = Summary::new();
    let clock = Clock;
    for tick in 0_u64.. {
        if worker.link.is_stopped() {
            summary.end = worker.close(clock.now());
            break;
        }
        let now = clock.now();
        let until = worker.work(now);
        summary.work.saturating_record(clock.now().since(now).as_nanos() as u64);
        if tick.is_multiple_of(TICKS_PER_CPU_READING) {
            worker.stats.set(Counter::CpuNanos, clock.thread_cpu().as_nanos() as u64);
        }
        if let Err(error) = worker.sockets.flush(until) {
            summary.end = Err(error);
            break;
        }
    }
    worker.stats.set(Counter::CpuNanos, clock.thread_cpu().as_nanos() as u64);
    // What is left of the worker is dropped here: its ports are free, and control hears that it ended.
    summary.lateness = worker.lateness;
    summary
}

/// A worker that runs. Dropping it does not stop it: its link does.
#[derive(Debug)]
pub struct Running {
    thread: thread::JoinHandle<Summary>,
}

impl Running {
    /// Waits until the worker has ended, as it does once its link says stop. One that has panicked leaves
    /// only that: the other cores, and whoever is to put things in order, must not fall with it.
    pub fn join(self) -> Summary {
        let panicked = |_| Summary { end: Err(io::Error::other("it has panicked")), ..Summary::new() };
        self.thread.join().unwrap_or_else(panicked)
    }
}

/// What a worker leaves behind.
#[derive(Debug)]
pub struct Summary {
    /// How late blocks were exchanged, in ns.
    pub lateness: Histogram<u64>,
    /// How long ticks worked, their flush left out, in ns.
    pub work: Histogram<u64>,
    /// Whether it was told to stop; else what its sockets said, or that it has panicked.
    pub end: io::Result<()>,
}

impl Summary {
    fn new() -> Self {
        Self { lateness: histogram(), work: histogram(), end: Ok(()) }
    }
}

/// Up to ten seconds in ns, to two digits: large enough from the start, so recording never allocates.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(10_000_000_000, 2).expect("the bounds are in range")
}

/// The longest sleep: how soon orders and stop are seen when no span wakes the worker. As soon as with a span.
const SLEEP_MAX: Duration = Duration::from_millis(5);

/// How soon a span that was due but took no block is asked again.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(1);

/// Rounds of BYEs and flushes at the end, at most: sockets that stay full must not keep it from ending.
const CLOSE_ROUNDS_MAX: usize = 1_000;

/// Ticks between two readings of the thread's CPU time: it is a system call.
const TICKS_PER_CPU_READING: u64 = 100;

#[cfg(test)]
mod tests;
