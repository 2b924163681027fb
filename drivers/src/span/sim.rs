//! A simulated E1 or T1 with something at its far end.
//!
//! It keeps the time of its own clock, as exactly as a line does, and leaves no block out: a caller
//! that comes late gets every block it missed. What is at the far end is chosen timeslot by timeslot:
//! a loop, a tone, a file, a test pattern or nobody; or a [`cable`] to another simulated span.
//!
//! Far ends hear what is sent even while this end is down: a cut is in the receiving direction, and
//! what is received then is all ones, octets and signalling bits.

mod cable;
mod clock;
mod file;
mod hybrid;
mod prbs;
mod rest;
#[cfg(test)]
mod tests;
mod tone;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

pub use cable::{CABLE_DELAY_MAX, CableEnd, cable};
pub use file::{Play, Recording};
pub use hybrid::{EchoPath, LineModel};
pub use prbs::{Pattern, PrbsResult};

use crate::line::{Alarm, Alarms, Line, Timeslot};
use crate::span::{Block, Slip, Span, SpanEvent};
use crate::time::Instant;
use clock::LineClock;
use file::Player;
use hybrid::Hybrid;
use prbs::{Checker, Generator};
use rest::{Rest, all_ones};
use tone::{Period, Tone};

/// What a simulated span is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SimSettings {
    /// E1 or T1, and its law.
    pub line: Line,
    /// Frames of a block: a multiple of 8, at most [`Block::FRAMES_MAX`].
    pub frames: usize,
    /// How much faster than the host its clock runs, in parts per million: -1,000 to 1,000.
    pub clock_ppm: f64,
    /// When its first block is due. Spans that start apart spread a core's load.
    pub start: Instant,
}

/// What is at the far end of a timeslot.
#[derive(Clone, Debug)]
pub enum FarEnd {
    /// Each octet comes back a block later, and the signalling bits with it.
    Loop,
    /// A sine.
    Tone {
        /// Its frequency: above 0 and below 4,000.
        hz: f64,
        /// Its level; what is above full scale is cut.
        dbm0: f64,
    },
    /// Plays octets, and records what it hears.
    File {
        /// What is played.
        play: Play,
        /// Where what comes is recorded, from the first block on.
        record: Option<Arc<Recording>>,
    },
    /// A telephone behind a hybrid: an echo of what comes, and what someone says.
    Hybrid {
        /// The way of the echo.
        echo: EchoPath,
        /// What is said.
        talker: Play,
        /// Where what comes is recorded, from the first block on.
        record: Option<Arc<Recording>>,
    },
    /// Sends a pattern, and checks what comes back for it.
    Prbs {
        /// The pattern.
        pattern: Pattern,
        /// Where the check's figures go.
        result: Arc<PrbsResult>,
    },
    /// Silence.
    Idle,
}

/// A simulated line.
#[derive(Debug)]
pub struct SimSpan {
    line: Line,
    frames: usize,
    clock: LineClock,
    /// Blocks exchanged so far.
    block: u64,
    due: Instant,
    loops: Loops,
    cables: Vec<CableEnd>,
    tones: Vec<(Timeslot, Tone)>,
    players: Vec<(Timeslot, Player)>,
    recordings: Vec<(Timeslot, Arc<Recording>)>,
    hybrids: Vec<(Timeslot, Hybrid)>,
    generators: Vec<(Timeslot, Generator)>,
    checkers: Vec<(Timeslot, Checker, Arc<PrbsResult>)>,
    /// Timeslots without anyone.
    idle: Vec<Timeslot>,
    /// Timeslots whose far ends know no signalling.
    unsignalled: Vec<Timeslot>,
    rest: Rest,
    script: SimScript,
    dropped: u32,
    events: Events,
}

impl SimSpan {
    /// A line with these cables, and `far_end` of each timeslot that none of them carries.
    ///
    /// # Panics
    /// If a setting is out of its range, or a cable's timeslot is not on the line or on two cables.
    pub fn new(
        settings: &SimSettings,
        cables: Vec<CableEnd>,
        mut far_end: impl FnMut(Timeslot) -> FarEnd,
    ) -> Self {
        let SimSettings { line, frames, clock_ppm, start } = *settings;
        let clock = LineClock::new(start, clock_ppm);
        let mut span = Self {
            line,
            frames,
            clock,
            block: 0,
            due: start,
            loops: Loops::new(frames, line),
            cables: Vec::new(),
            tones: Vec::new(),
            players: Vec::new(),
            recordings: Vec::new(),
            hybrids: Vec::new(),
            generators: Vec::new(),
            checkers: Vec::new(),
            idle: Vec::new(),
            unsignalled: Vec::new(),
            rest: Rest::of(line),
            script: SimScript::default(),
            dropped: 0,
            events: Events::default(),
        };
        let mut free: Vec<Timeslot> = line.carrier.timeslots().collect();
        for end in cables {
            span.plug(end, &mut free);
        }
        let mut periods = Vec::new();
        for timeslot in free {
            span.attach(timeslot, far_end(timeslot), &mut periods);
        }
        span
    }

    /// A handle that makes the line fail, from any thread.
    pub fn script(&self) -> SimScript {
        self.script.clone()
    }

    fn plug(&mut self, mut end: CableEnd, free: &mut Vec<Timeslot>) {
        for carried in end.timeslots() {
            let place = free.iter().position(|timeslot| timeslot == carried);
            free.remove(place.expect("a cable's timeslot is on the line, and on no other cable"));
        }
        end.plug(self.clock, self.rest);
        self.cables.push(end);
    }

    /// `periods` are the tones' tables made so far, by their level.
    fn attach(&mut self, timeslot: Timeslot, far_end: FarEnd, periods: &mut Vec<(f64, Period)>) {
        if !matches!(far_end, FarEnd::Loop) {
            self.unsignalled.push(timeslot);
        }
        match far_end {
            FarEnd::Loop => self.loops.add(timeslot),
            FarEnd::Tone { hz, dbm0 } => {
                let known = periods.iter().find(|(level, _)| *level == dbm0);
                let period = known.map_or_else(|| tone::period(self.line.law, dbm0), |(_, p)| p.clone());
                periods.push((dbm0, period.clone()));
                self.tones.push((timeslot, Tone::new(period, hz)));
            }
            FarEnd::File { play, record } => {
                self.players.push((timeslot, Player::new(play, self.rest.octet)));
                self.recordings.extend(record.map(|recording| (timeslot, recording)));
            }
            FarEnd::Hybrid { echo, talker, record } => {
                let hybrid = Hybrid::new(self.line.law, echo, talker, self.rest.octet);
                self.hybrids.push((timeslot, hybrid));
                self.recordings.extend(record.map(|recording| (timeslot, recording)));
            }
            FarEnd::Prbs { pattern, result } => {
                self.generators.push((timeslot, Generator::new(pattern)));
                self.checkers.push((timeslot, Checker::new(pattern), result));
            }
            FarEnd::Idle => self.idle.push(timeslot),
        }
    }

    /// The far ends hear a block.
    fn send(&mut self, tx: &Block) {
        for cable in &mut self.cables {
            cable.send(tx);
        }
        for (timeslot, recording) in &self.recordings {
            recording.append(tx.timeslot(*timeslot));
        }
        for (timeslot, checker, result) in &mut self.checkers {
            checker.check(tx.timeslot(*timeslot), result);
        }
    }

    /// The far ends are heard for a block.
    fn receive(&mut self, tx: &Block, rx: &mut Block) {
        if self.script.0.drops.load(Ordering::Relaxed) != self.dropped {
            self.dropped = self.dropped.wrapping_add(1);
            self.drop_frame();
        }
        self.loops.exchange(tx, rx);
        for (timeslot, tone) in &mut self.tones {
            tone.fill(rx.timeslot_mut(*timeslot));
        }
        for (timeslot, player) in &mut self.players {
            player.fill(rx.timeslot_mut(*timeslot));
        }
        for (timeslot, hybrid) in &mut self.hybrids {
            hybrid.exchange(tx.timeslot(*timeslot), rx.timeslot_mut(*timeslot));
        }
        for (timeslot, generator) in &mut self.generators {
            generator.fill(rx.timeslot_mut(*timeslot));
        }
        for timeslot in &self.idle {
            rx.timeslot_mut(*timeslot).fill(self.rest.octet);
        }
        for timeslot in &self.unsignalled {
            rx.set_bits(*timeslot, self.rest.bits);
        }
        let mut alarms = self.receive_cables(rx);
        alarms = alarms.union(self.script.alarms());
        if alarms.is_down() {
            self.line.carrier.timeslots().for_each(|timeslot| all_ones(&[timeslot], rx));
        }
        for cable in &mut self.cables {
            // ITU-T G.704 §2.3.2, bit A: an end that does not hear says so in what it sends.
            cable.send_remote_alarm(alarms.is_down());
        }
        self.events.alarms = alarms;
    }

    fn receive_cables(&mut self, rx: &mut Block) -> Alarms {
        let frame = self.block * self.frames as u64;
        let mut alarms = Alarms::NONE;
        // A line on which anybody else sends is not lost, though a cable's timeslots may be.
        let mut lost = !self.cables.is_empty() && self.loops.is_empty() && self.unsignalled.is_empty();
        for cable in &mut self.cables {
            let heard = cable.receive(frame, rx);
            lost &= !heard.signal;
            if heard.remote_alarm {
                alarms = alarms.with(Alarm::Rai);
            }
            if let Some(slip) = heard.slip {
                self.events.count(slip);
            }
        }
        if lost { alarms.with(Alarm::Los) } else { alarms }
    }

    fn drop_frame(&mut self) {
        let mut lost = [0];
        self.loops.drop_frame();
        self.cables.iter_mut().for_each(CableEnd::drop_frame);
        self.tones.iter_mut().for_each(|(_, tone)| tone.fill(&mut lost));
        self.players.iter_mut().for_each(|(_, player)| player.fill(&mut lost));
        self.generators.iter_mut().for_each(|(_, generator)| generator.fill(&mut lost));
        self.events.count(Slip::Deleted);
    }
}

impl Span for SimSpan {
    fn line(&self) -> Line {
        self.line
    }

    fn frames(&self) -> usize {
        self.frames
    }

    /// True exactly when a block is due.
    fn exchange(&mut self, now: Instant, tx: &Block, rx: &mut Block) -> bool {
        if now < self.due {
            return false;
        }
        assert_eq!(
            (tx.frames(), rx.frames()),
            (self.frames, self.frames),
            "blocks are of this span's length"
        );
        self.send(tx);
        self.receive(tx, rx);
        self.block += 1;
        self.due = self.clock.begins(self.block * self.frames as u64);
        true
    }

    fn due_at(&self) -> Instant {
        self.due
    }

    fn poll_event(&mut self) -> Option<SpanEvent> {
        self.events.poll()
    }
}

/// Makes a simulated line fail. What it says takes effect with the next block.
#[derive(Clone, Default, Debug)]
pub struct SimScript(Arc<Script>);

#[derive(Default, Debug)]
struct Script {
    alarms: AtomicU8,
    drops: AtomicU32,
}

impl SimScript {
    /// From now on these alarms stand, beside what the line itself has.
    pub fn set_alarms(&self, alarms: Alarms) {
        self.0.alarms.store(alarms.bits(), Ordering::Relaxed);
    }

    /// Leaves one frame out of what is received: a slip, [`Slip::Deleted`].
    ///
    /// Several are left out in as many blocks. A loop has no more frames to give than are in its block.
    pub fn drop_frame(&self) {
        self.0.drops.fetch_add(1, Ordering::Relaxed);
    }

    fn alarms(&self) -> Alarms {
        Alarms::from_bits(self.0.alarms.load(Ordering::Relaxed))
    }
}

/// The timeslots that come back.
#[derive(Debug)]
struct Loops {
    /// Runs of neighbours, as rows of a block.
    runs: Vec<Range<usize>>,
    /// What was sent last.
    held: Block,
    /// Frames that were dropped: by so much less than a block is the delay.
    dropped: usize,
}

impl Loops {
    fn new(frames: usize, line: Line) -> Self {
        let mut held = Block::new(frames, line.law);
        let timeslots: Vec<Timeslot> = line.carrier.timeslots().collect();
        Rest::of(line).fill(&timeslots, &mut held);
        Self { runs: Vec::new(), held, dropped: 0 }
    }

    fn add(&mut self, timeslot: Timeslot) {
        let row = timeslot.index();
        match self.runs.last_mut() {
            Some(run) if run.end == row => run.end += 1,
            _ => self.runs.push(row..row + 1),
        }
    }

    fn exchange(&mut self, tx: &Block, rx: &mut Block) {
        let frames = tx.frames;
        for run in &self.runs {
            rx.bits[run.clone()].copy_from_slice(&self.held.bits[run.clone()]);
            self.held.bits[run.clone()].copy_from_slice(&tx.bits[run.clone()]);
            let run = run.start * frames..run.end * frames;
            let (rx, tx) = (&mut rx.octets[run.clone()], &tx.octets[run.clone()]);
            let held = &mut self.held.octets[run];
            if self.dropped == 0 {
                rx.copy_from_slice(held);
            } else {
                join_rows(frames, self.dropped, held, tx, rx);
            }
            held.copy_from_slice(tx);
        }
    }

    fn drop_frame(&mut self) {
        self.dropped = (self.dropped + 1).min(self.held.frames());
    }

    fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }
}

/// Each row from `offset` on in `held`, and up to there in `tx`.
fn join_rows(frames: usize, offset: usize, held: &[u8], tx: &[u8], rx: &mut [u8]) {
    let rows = held.chunks_exact(frames).zip(tx.chunks_exact(frames)).zip(rx.chunks_exact_mut(frames));
    for ((held, tx), rx) in rows {
        let (early, late) = rx.split_at_mut(frames - offset);
        early.copy_from_slice(&held[offset..]);
        late.copy_from_slice(&tx[..offset]);
    }
}

/// What there is to say. Counts, so it needs no room: a caller that polls late hears of every slip,
/// and of the alarms as they are.
#[derive(Default, Debug)]
struct Events {
    alarms: Alarms,
    reported: Alarms,
    deleted: u32,
    repeated: u32,
}

impl Events {
    fn count(&mut self, slip: Slip) {
        match slip {
            Slip::Deleted => self.deleted += 1,
            Slip::Repeated => self.repeated += 1,
        }
    }

    fn poll(&mut self) -> Option<SpanEvent> {
        if self.deleted > 0 {
            self.deleted -= 1;
            return Some(SpanEvent::Slip(Slip::Deleted));
        }
        if self.repeated > 0 {
            self.repeated -= 1;
            return Some(SpanEvent::Slip(Slip::Repeated));
        }
        if self.alarms != self.reported {
            self.reported = self.alarms;
            return Some(SpanEvent::Alarms(self.alarms));
        }
        None
    }
}
