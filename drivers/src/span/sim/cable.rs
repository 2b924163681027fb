//! A cable between two simulated spans: what one sends, the other receives, signalling bits too.
//!
//! Each way is a store of frames that one thread writes and another reads, made of atomics: the two
//! spans may be on two cores. Where a reader reads follows from the two lines' clocks alone, never
//! from how full the store happens to be, so a thread that comes late makes no slip and costs no
//! octet, as long as it is not later than the cable's delay. Where the clocks differ, the reader
//! gives way by one frame each time they have drifted one frame apart: a controlled slip as of
//! ITU-T G.822.
//!
//! The writer never waits. A reader that wants frames that are not there yet, or not any more,
//! hears nothing: the far end is not running, or more than the delay behind.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::clock::LineClock;
use super::rest::{Rest, all_ones};
use crate::line::{Abcd, FRAME, TIMESLOTS_MAX, Timeslot};
use crate::span::{Block, Slip};

/// The longest delay that a cable can have: 64 ms.
pub const CABLE_DELAY_MAX: Duration = Duration::from_millis(64);

/// A cable that carries these timeslots of two spans, both ways, each to the same timeslot there.
///
/// `delay` is the time from one end to the other, and with it how late the thread behind either end
/// may be with no octet lost.
///
/// # Panics
/// If `delay` is above [`CABLE_DELAY_MAX`].
pub fn cable(timeslots: impl IntoIterator<Item = Timeslot>, delay: Duration) -> (CableEnd, CableEnd) {
    assert!(delay <= CABLE_DELAY_MAX, "a cable's delay is at most {CABLE_DELAY_MAX:?}");
    let timeslots: Box<[Timeslot]> = timeslots.into_iter().collect();
    let delay_frames = (delay.as_nanos() / FRAME.as_nanos()) as i64;
    let east = Arc::new(Way::new(timeslots.len()));
    let west = Arc::new(Way::new(timeslots.len()));
    let end = |sends: &Arc<Way>, hears: &Arc<Way>| CableEnd {
        timeslots: timeslots.clone(),
        delay_frames,
        sends: sends.clone(),
        hears: hears.clone(),
        near: None,
        reading: None,
    };
    (end(&east, &west), end(&west, &east))
}

/// One end of a cable, to be given to a span.
#[derive(Debug)]
pub struct CableEnd {
    timeslots: Box<[Timeslot]>,
    delay_frames: i64,
    sends: Arc<Way>,
    hears: Arc<Way>,
    /// The clock of its span, and what its timeslots have before the first octet comes.
    near: Option<(LineClock, Rest)>,
    /// Where to read; known once the far end has its span.
    reading: Option<Reading>,
}

/// What an end hears during one block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Heard {
    /// The far end is there.
    pub(super) signal: bool,
    /// The far end is there and says that it does not hear this one.
    pub(super) remote_alarm: bool,
    /// The clocks have drifted apart by one more frame.
    pub(super) slip: Option<Slip>,
}

impl Heard {
    /// The far end is not there.
    const NOTHING: Self = Self { signal: false, remote_alarm: false, slip: None };
}

impl CableEnd {
    /// The timeslots it carries.
    pub(super) fn timeslots(&self) -> &[Timeslot] {
        &self.timeslots
    }

    /// Makes the clock of its span known here and at the far end.
    pub(super) fn plug(&mut self, clock: LineClock, rest: Rest) {
        self.near = Some((clock, rest));
        self.sends.clock.set(clock).expect("an end is moved into its span, so it has one clock");
    }

    pub(super) fn send(&mut self, tx: &Block) {
        self.sends.write(&self.timeslots, tx);
    }

    /// Tells the far end whether its signal is of use here.
    pub(super) fn send_remote_alarm(&mut self, on: bool) {
        self.sends.remote_alarm.store(on, Ordering::Relaxed);
    }

    /// Receives the block that begins at this span's frame `frame`.
    ///
    /// What has not crossed the cable yet is at rest; without a signal, all is ones.
    pub(super) fn receive(&mut self, frame: u64, rx: &mut Block) -> Heard {
        let heard = self.follow(frame, rx);
        if !heard.signal {
            all_ones(&self.timeslots, rx);
        }
        heard
    }

    fn follow(&mut self, frame: u64, rx: &mut Block) -> Heard {
        let (clock, rest) = self.near.expect("an end is plugged when its span is made");
        let Some(far) = self.hears.clock.get().copied() else { return Heard::NOTHING };
        let length = rx.frames() as i64;
        let drift = clock.drift(far, frame);
        let base = || far.frames_before(clock.start()) - self.delay_frames - length;
        let reading = self.reading.get_or_insert_with(|| Reading { base: base(), drift });
        let slip = reading.follow(drift);
        let first = reading.base + frame as i64 + reading.drift;
        if first < 0 {
            rest.fill(&self.timeslots, rx);
        }
        let signal = if first + length > 0 {
            self.hears.read(&self.timeslots, first, rx)
        } else {
            // Two spans that are started together do not start within the same nanosecond.
            first + length + self.delay_frames + START_FRAMES_APART > 0
        };
        if !signal {
            return Heard::NOTHING;
        }
        Heard { signal, remote_alarm: self.hears.remote_alarm.load(Ordering::Relaxed), slip }
    }

    /// Leaves out one frame of what is received from now on.
    pub(super) fn drop_frame(&mut self) {
        if let Some(reading) = &mut self.reading {
            reading.base += 1;
        }
    }
}

/// Where one end reads what the other writes, in frames of the writer.
#[derive(Debug)]
struct Reading {
    /// The frame at which this line's frame 0 would have read, had the clocks been equal.
    base: i64,
    /// How many frames the far clock has gained since.
    drift: i64,
}

impl Reading {
    /// Gives way by one frame if the clocks have drifted so far apart.
    fn follow(&mut self, drift: i64) -> Option<Slip> {
        // One frame a block is enough: at twice `PPM_MAX` the longest block drifts by a third of one.
        match drift - self.drift {
            0 => None,
            1.. => {
                self.drift += 1;
                Some(Slip::Deleted)
            }
            _ => {
                self.drift -= 1;
                Some(Slip::Repeated)
            }
        }
    }
}

/// How far apart two ends' starts may be, beside the delay, for neither to see a loss of signal
/// before the first octet comes: the longest block.
const START_FRAMES_APART: i64 = Block::FRAMES_MAX as i64;

/// Frames that a store holds: twice the longest delay.
const STORE_FRAMES: u64 = 1_024;
const GROUP_FRAMES: u64 = 8;
const GROUPS: usize = (STORE_FRAMES / GROUP_FRAMES) as usize;

const _: () = assert!(STORE_FRAMES as u128 * FRAME.as_nanos() == 2 * CABLE_DELAY_MAX.as_nanos());
const _: () = assert!(Block::FRAMES_MAX as u64 <= STORE_FRAMES / 4, "a block fits beside the delay");
const _: () = assert!(TIMESLOTS_MAX * 4 <= 128, "a group's signalling bits fit two words");

/// One way of a cable: a store of frames with one writer and one reader.
///
/// A group of eight frames is one word a timeslot, so an exchange moves words. Blocks are whole
/// groups, but after a slip a reader's block begins anywhere in one.
#[derive(Debug)]
struct Way {
    /// The writer's clock, once it has one.
    clock: OnceLock<LineClock>,
    /// The writer does not hear us.
    remote_alarm: AtomicBool,
    /// Frames that the writer has begun to write; what is `STORE_FRAMES` older is gone.
    claimed: AtomicU64,
    /// Frames that can be read.
    written: AtomicU64,
    /// Each timeslot's groups.
    octets: Box<[[AtomicU64; GROUPS]]>,
    /// Each group's signalling bits, four a timeslot.
    bits: Box<[[AtomicU64; 2]]>,
}

impl Way {
    fn new(timeslots: usize) -> Self {
        let words = || [const { AtomicU64::new(0) }; GROUPS];
        Self {
            clock: OnceLock::new(),
            remote_alarm: AtomicBool::new(false),
            claimed: AtomicU64::new(0),
            written: AtomicU64::new(0),
            octets: (0..timeslots).map(|_| words()).collect(),
            bits: (0..GROUPS).map(|_| Default::default()).collect(),
        }
    }

    /// Writes a block. Only one thread does.
    fn write(&self, timeslots: &[Timeslot], tx: &Block) {
        let first = self.written.load(Ordering::Relaxed);
        let end = first + tx.frames() as u64;
        self.claimed.store(end, Ordering::Relaxed);
        // Who reads a word that is written below also sees that it was claimed.
        fence(Ordering::Release);
        let groups = first / GROUP_FRAMES..end / GROUP_FRAMES;
        let mut bits = 0_u128;
        for (row, &timeslot) in timeslots.iter().enumerate() {
            bits |= u128::from(tx.bits(timeslot).bits()) << (row * 4);
            let (octets, _) = tx.timeslot(timeslot).as_chunks();
            for (group, octets) in groups.clone().zip(octets) {
                self.octets[row][place(group)].store(u64::from_le_bytes(*octets), Ordering::Relaxed);
            }
        }
        for group in groups {
            self.bits[place(group)][0].store(bits as u64, Ordering::Relaxed);
            self.bits[place(group)][1].store((bits >> 64) as u64, Ordering::Relaxed);
        }
        self.written.store(end, Ordering::Release);
    }

    /// Reads the block that begins at frame `first`, of which what lies before frame 0 is left as it
    /// is. False if some of it has not been written yet, or was overwritten.
    fn read(&self, timeslots: &[Timeslot], first: i64, rx: &mut Block) -> bool {
        let end = (first + rx.frames() as i64) as u64;
        if self.written.load(Ordering::Acquire) < end {
            return false;
        }
        let lead = first.min(0).unsigned_abs() as usize;
        let first = first.max(0) as u64;
        let bits = &self.bits[place((end - 1) / GROUP_FRAMES)];
        let bits =
            u128::from(bits[0].load(Ordering::Relaxed)) | u128::from(bits[1].load(Ordering::Relaxed)) << 64;
        for (row, &timeslot) in timeslots.iter().enumerate() {
            read_row(&self.octets[row], first, &mut rx.timeslot_mut(timeslot)[lead..]);
            rx.set_bits(timeslot, Abcd::new((bits >> (row * 4)) as u8));
        }
        // If any word above was from a later round, its claim is seen here.
        fence(Ordering::Acquire);
        let oldest = first / GROUP_FRAMES * GROUP_FRAMES;
        self.claimed.load(Ordering::Relaxed) <= oldest + STORE_FRAMES
    }
}

/// Copies from frame `first` on, wherever in a group that is.
fn read_row(groups: &[AtomicU64; GROUPS], first: u64, octets: &mut [u8]) {
    let load = |group| groups[place(group)].load(Ordering::Relaxed);
    let offset_bits = first % GROUP_FRAMES * 8;
    let mut group = first / GROUP_FRAMES;
    let mut word = load(group);
    for octets in octets.chunks_mut(GROUP_FRAMES as usize) {
        group += 1;
        let next = load(group);
        let both = u128::from(next) << 64 | u128::from(word);
        let joined = ((both >> offset_bits) as u64).to_le_bytes();
        octets.copy_from_slice(&joined[..octets.len()]);
        word = next;
    }
}

/// Where a group lies in the store.
const fn place(group: u64) -> usize {
    (group % GROUPS as u64) as usize
}
