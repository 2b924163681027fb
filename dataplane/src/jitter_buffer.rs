//! A ring of octets addressed by RTP timestamp, between the network's clock and the line's.
//!
//! A packet's octets are copied to where their timestamps say; the line takes its blocks from where
//! it stands. There are no packets in here, so reordering, duplicates and any mixture of ptimes cost
//! nothing, and nothing is allocated after construction.
//!
//! ```text
//!        history, for                    │ what has come and waits to be played
//!        stepping back                   │
//!  ──────────────────────────────────────┼──▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓────▓▓▓▓▓▓▓▓▓▓─────────────
//!                                    next octet   margin of a packet: its first octet's
//!                                    of the line  distance from here when it comes
//! ```
//!
//! **Delay.** The first packet is placed `nominal` ahead of the line, or a block if that is more: the
//! line takes a whole block at a time, so less would run dry between two packets that come in step.
//! An octet waits at most its ptime (at the sender), `nominal` and one block. On a clean network
//! (nothing lost, arrival in step with the line) nothing is ever adjusted, repeated or left out.
//!
//! **Adapting** (if the bounds say so) goes by margins. When all packets that come between two blocks are
//! *late*, the line steps back over the octets it had to fill: the delay grows by the lateness, up to
//! `max`, and what came late is played after all. Packets that come together with others in time do the
//! same when it happens twice in a second, as it does where a network lets go of several at once. When
//! *every* packet of a second had a margin of more than twice `nominal`, the delay shrinks to `nominal`
//! again, by cutting out a pitch period at most every 100 ms. A sender whose clock drifts makes both
//! happen, a few times a minute and a few octets at a time. Without adaption the buffer is placed afresh
//! when every packet of a second was late, or waited longer than the bounds allow.
//!
//! **Jumps.** A timestamp out of reach is a stray, until a second packet, at least one block later,
//! agrees with it: then the buffer is placed afresh. So it is after a second without packets.

mod bits;
mod margins;

use std::time::Duration;

use drivers::line::{FRAME, Law};
use drivers::memory;

use crate::codec::g711;
use crate::dsp::concealment::{self, Concealment};
use crate::link::JitterBounds;
use bits::Bits;
use margins::{Margins, Move};

/// What octets that did not come become on the line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fill {
    /// A guess from what was heard before, fading to silence: for sounds in this law.
    Conceal(Law),
    /// This octet: for data (RFC 4040 carries any; 0xFF is what an idle line sends).
    Idle(u8),
}

/// What became of a packet's octets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[must_use]
pub struct Inserted {
    /// Octets whose place in the line had passed, or is out of reach.
    pub late: usize,
    /// Octets that had come before.
    pub duplicate: usize,
}

/// What a block played consists of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[must_use]
pub struct Played {
    /// Octets that had not come and were filled.
    pub missing: usize,
    /// Whether the delay has changed since the block before.
    pub adjusted: bool,
}

/// The jitter buffer of one leg.
#[derive(Debug)]
pub struct JitterBuffer {
    octets: Box<[u8]>,
    /// Which of the octets have come, from the oldest of the history on.
    come: Bits,
    /// Octets from the line's next on that `come` is true of; behind them it has what was there a round before.
    told: u16,
    /// Octets from the line's next on of which it is known, without looking at `come`, that all have: there may
    /// be more.
    whole: u16,
    /// The timestamp of the line's next octet, once `is_placed`.
    next: u32,
    is_placed: bool,
    /// Octets still to be played before the first packet's: not missing, there never were any.
    lead: u32,
    /// The leg's very first octet has not been played.
    has_not_begun: bool,
    /// The line has taken a block since the leg began.
    has_played: bool,
    /// Octets played since a packet last found its place.
    idle: u16,
    /// Whether the last packet was out of reach: the next may confirm what it says.
    has_jumped: bool,
    blocks: u32,
    adjusted: bool,
    margins: Margins,
    /// Whether it is sounds that are carried: what is missing is made up.
    is_sound: bool,
    /// Whether something is being made up, or joined to what was.
    is_concealing: bool,
    /// Octets before the line's next that the line has heard as they lie in the ring, and that are not in
    /// `rare` yet: up to all that it is to remember.
    clean: u16,
    /// What an idle line sends.
    idle_octet: u8,
    rare: Box<Rare>,
}

/// What only losses and jumps need; apart, because most blocks have none.
#[derive(Debug)]
struct Rare {
    /// The packet out of reach: its margin, and `blocks` when it came.
    jump: (i32, u32),
    concealment: Concealment,
    /// What the line has heard last, but for what is `clean`: the ring has only what came.
    heard: [u8; concealment::HISTORY],
}

impl JitterBuffer {
    /// The smallest capacity.
    pub const CAPACITY_MIN: usize = 4 * HISTORY;

    /// Octets of the ring that keeps to these bounds whatever comes, on a line with blocks of `frames`: 2,048 up to
    /// 111 ms and blocks of 5 ms, 4,096 up to 260 ms.
    // The longest packet that waits as long as it may is there whole when the line takes a block.
    pub const fn capacity_for(bounds: &JitterBounds, frames: usize) -> usize {
        let mut capacity = 2 * Self::CAPACITY_MIN;
        while room(capacity) < bounds.max_ms as usize * OCTETS_PER_MS as usize + frames {
            capacity *= 2;
        }
        capacity
    }

    /// Room for `capacity` octets, of which a quarter is history and a sixteenth spare.
    ///
    /// # Panics
    /// If `capacity` is no power of two, less than [`Self::CAPACITY_MIN`] or more than 4 s.
    pub fn new(capacity: usize) -> Self {
        assert!(
            capacity.is_power_of_two() && (Self::CAPACITY_MIN..=CAPACITY_MAX).contains(&capacity),
            "a jitter buffer's capacity is a power of two from {} to {CAPACITY_MAX}, not {capacity}",
            Self::CAPACITY_MIN
        );
        Self {
            octets: vec![0; capacity].into(),
            come: Bits::new(capacity),
            told: 0,
            whole: 0,
            next: 0,
            is_placed: false,
            lead: 0,
            has_not_begun: true,
            has_played: false,
            idle: 0,
            has_jumped: false,
            blocks: 0,
            adjusted: false,
            margins: Margins::default(),
            is_sound: false,
            is_concealing: false,
            clean: 0,
            idle_octet: 0xFF,
            rare: Box::new(Rare {
                jump: (0, 0),
                concealment: Concealment::new(Law::A),
                heard: [0; concealment::HISTORY],
            }),
        }
    }

    /// Octets of memory that one takes: a bit for each octet of the ring says whether it has come.
    pub const fn memory(capacity: usize) -> usize {
        size_of::<Rare>() + capacity + capacity / 8
    }

    /// Begins a leg, empty. Bounds that the capacity has no room for are cut to it.
    pub fn start(&mut self, bounds: JitterBounds, fill: Fill) {
        (self.is_sound, self.idle_octet) = match fill {
            Fill::Conceal(law) => {
                self.rare.concealment = Concealment::new(law);
                (true, law.silence())
            }
            Fill::Idle(octet) => (false, octet),
        };
        self.octets.fill(self.idle_octet);
        self.rare.heard.fill(self.idle_octet);
        self.is_concealing = false;
        self.clean = 0;
        self.is_placed = false;
        self.lead = 0;
        self.has_not_begun = true;
        self.has_played = false;
        self.has_jumped = false;
        self.adjusted = false;
        let room = room(self.octets.len()) as u32;
        let in_octets = |ms: u16| (u32::from(ms) * OCTETS_PER_MS).min(room);
        let nominal = in_octets(bounds.nominal_ms);
        self.margins = Margins::new(nominal, in_octets(bounds.max_ms).max(nominal), bounds.adaptive);
    }

    /// What has come so far says nothing about what comes next (another SSRC, a restart): the next
    /// packet is placed afresh, and what waits to be played is forgotten.
    pub fn resync(&mut self) {
        self.is_placed = false;
        self.has_jumped = false;
    }

    /// Puts a packet's octets in their places, through `translate` if there is one.
    pub fn insert(&mut self, timestamp: u32, payload: &[u8], translate: Option<&[u8; 256]>) -> Inserted {
        let len = payload.len();
        if len == 0 || len > self.reach() - self.margins.target() as usize {
            return Inserted { late: len, duplicate: 0 };
        }
        if !self.is_placed {
            self.place(timestamp);
        }
        if !self.has_played {
            self.await_line(timestamp);
        }
        if !self.is_in_reach(timestamp, len) {
            if !self.confirms_jump(timestamp) {
                return Inserted { late: len, duplicate: 0 };
            }
            self.place(timestamp);
            self.adjusted = true;
        }
        self.has_jumped = false;
        self.idle = 0;
        let margin = self.margin(timestamp);
        let late = (-margin).clamp(0, len as i32) as usize;
        self.tell_of(margin + len as i32);
        let duplicate = self.come.set(timestamp, len);
        if duplicate == 0 {
            self.margins.note(margin);
        }
        if duplicate < len {
            self.write(timestamp, payload, translate);
        }
        if margin <= i32::from(self.whole) {
            self.whole = self.whole.max(u16::try_from(margin + len as i32).unwrap_or(0));
        }
        Inserted { late, duplicate }
    }

    /// The ring's memory, for whoever gives the line its octets in place of this until the next
    /// [`start`](Self::start).
    pub fn lend(&mut self) -> &mut [u8] {
        &mut self.octets
    }

    /// Takes exactly `out.len()` octets for the line.
    pub fn play(&mut self, out: &mut [u8]) -> Played {
        self.blocks = self.blocks.wrapping_add(1);
        self.has_played = true;
        self.widen_to(out.len());
        if self.idle >= IDLE_MAX {
            self.resync();
        }
        if self.is_placed {
            self.adjust(out.len());
        }
        let adjusted = std::mem::take(&mut self.adjusted);
        if !self.is_placed {
            self.play_unplaced(out);
            return Played { missing: 0, adjusted };
        }
        if usize::from(self.whole) < out.len() {
            self.look_ahead(out.len());
        }
        debug_assert!(self.knows_what_it_says());
        let missing = if usize::from(self.whole) >= out.len() && !self.is_concealing {
            // The clean path: one copy.
            self.read(self.next, out);
            self.clean = (self.clean + out.len() as u16).min(concealment::HISTORY as u16);
            0
        } else {
            self.play_in_runs(out)
        };
        self.advance(out.len());
        self.idle += out.len() as u16;
        self.lead = self.lead.saturating_sub(out.len() as u32);
        self.has_not_begun &= self.lead > 0;
        Played { missing, adjusted }
    }

    /// A block of `len` octets is to be played soon.
    pub(crate) fn prefetch(&self, len: usize) {
        let at = |offset: usize| self.next.wrapping_add(offset as u32) as usize & (self.octets.len() - 1);
        memory::prefetch(&self.octets[at(0)]);
        memory::prefetch(&self.octets[at(len)]);
    }

    /// A packet is to be put in soon, probably where its octets wait as long as they should.
    pub(crate) fn expect(&self) {
        let from = self.next.wrapping_add(self.margins.target());
        for timestamp in USUAL.map(|offset| from.wrapping_add(offset)) {
            memory::prefetch(&self.octets[timestamp as usize & (self.octets.len() - 1)]);
            self.come.prefetch(timestamp);
        }
    }

    /// How long the packet that came last had to wait for the line, less the block it is played in.
    pub fn delay(&self) -> Duration {
        FRAME * self.margins.last().max(0) as u32
    }

    /// Puts `timestamp` at its distance from the line's next octet.
    fn place(&mut self, timestamp: u32) {
        self.leave();
        let lead = self.margins.target();
        self.next = timestamp.wrapping_sub(lead);
        self.come.clear_all();
        self.told = self.reach() as u16;
        self.whole = 0;
        self.is_placed = true;
        self.lead = lead;
        self.idle = 0;
        self.margins.restart();
    }

    /// Until the line takes its first block, what comes moves it on: a line that starts later than its
    /// peer would else be late for good.
    fn await_line(&mut self, timestamp: u32) {
        let ahead = self.margin(timestamp) - self.margins.target() as i32;
        if (1..self.reach() as i32).contains(&ahead) {
            // What is passed over is not played, nor what came behind it: it must not look as if it had come when
            // its place is used again.
            let history = history(self.octets.len());
            self.come.clear(self.next.wrapping_sub(history as u32), history + ahead as usize);
            self.next = self.next.wrapping_add(ahead as u32);
            self.told = self.told.saturating_sub(ahead as u16);
            self.whole = self.whole.saturating_sub(ahead as u16);
            self.lead = self.lead.saturating_sub(ahead as u32);
        }
    }

    /// Makes the target hold a block of `len` octets, which is only known once one is played.
    fn widen_to(&mut self, len: usize) {
        let wider = self.margins.widen_to(len as u32);
        if self.is_placed && wider > 0 {
            self.remember(&[]);
            self.step_back(wider);
            self.lead += wider;
        }
    }

    /// Goes back over octets of which some may not have come.
    fn step_back(&mut self, by: u32) {
        self.next = self.next.wrapping_sub(by);
        // The ring's last quarter is the history again: what comes for that must not look as if it were ahead.
        let ahead = self.octets.len() - history(self.octets.len());
        self.told = (self.told + by as u16).min(ahead as u16);
        self.whole = 0;
    }

    /// Makes `come` tell of so many octets from the line's next on.
    fn tell_of(&mut self, len: i32) {
        let told = i32::from(self.told);
        if len > told {
            self.come.clear(self.next.wrapping_add(told as u32), (len - told) as usize);
            self.told = len as u16;
        }
    }

    /// Sees how much is there of what the line is to hear next, of which it takes `len` octets.
    #[cold]
    fn look_ahead(&mut self, len: usize) {
        self.tell_of(len as i32);
        let (has_come, run) = self.come.run(self.next, self.told.into());
        self.whole = if has_come { run as u16 } else { 0 };
    }

    fn adjust(&mut self, len: usize) {
        match self.margins.step(len as u32) {
            Move::Stay => {}
            Move::Grow(by) => {
                self.leave();
                self.step_back(by);
                self.adjusted = true;
            }
            Move::Shrink(most) => {
                if let Some(by) = self.cut(most as usize) {
                    self.margins.shrunk(by as u32);
                    self.adjusted = true;
                }
            }
            Move::Replace => {
                self.resync();
                self.adjusted = true;
            }
        }
    }

    /// Leaves out up to `most` octets where they are missed least; says how many.
    fn cut(&mut self, most: usize) -> Option<usize> {
        let by = if self.is_sound {
            let mut ahead = [0; concealment::CUT];
            self.tell_of(ahead.len() as i32);
            if self.is_concealing || self.come.run(self.next, ahead.len()) != (true, ahead.len()) {
                return None;
            }
            self.read(self.next, &mut ahead);
            let (by, joint) = self.rare.concealment.cut(&ahead, most)?;
            self.write(self.next.wrapping_add(by as u32), &joint, None);
            by
        } else {
            self.tell_of(most as i32);
            most
        };
        self.remember(&[]);
        self.advance(by);
        Some(by)
    }

    /// Plays while no packet says where the line is: what was heard last fades out.
    fn play_unplaced(&mut self, out: &mut [u8]) {
        if self.has_not_begun {
            out.fill(self.idle_octet);
        } else {
            self.conceal(&[], out);
        }
        self.remember(out);
    }

    /// Plays a block with holes; says how many octets were missing.
    fn play_in_runs(&mut self, out: &mut [u8]) -> usize {
        let (mut at, mut missing) = (0, 0);
        while at < out.len() {
            let from = self.next.wrapping_add(at as u32);
            let (has_come, len) = self.come.run(from, out.len() - at);
            let (played, rest) = out.split_at_mut(at);
            let run = &mut rest[..len];
            if has_come {
                self.read(from, run);
                self.rejoin(run);
            } else if self.has_not_begun && at < self.lead as usize {
                // Before a leg's first octet there is nothing to go on from, and nothing to blend it into.
                run.fill(self.idle_octet);
            } else {
                self.conceal(played, run);
                missing += (at + len).saturating_sub(at.max(self.lead as usize));
            }
            at += len;
        }
        self.remember(out);
        missing
    }

    /// Fills a hole, after `played` of the same block.
    fn conceal(&mut self, played: &[u8], out: &mut [u8]) {
        if !self.is_sound {
            out.fill(self.idle_octet);
            return;
        }
        self.remember(&[]);
        let Rare { concealment, heard, .. } = &mut *self.rare;
        concealment.begin(heard, played);
        concealment.fill(out);
        self.is_concealing = true;
    }

    /// Blends the first octets after a hole into what filled it.
    fn rejoin(&mut self, out: &mut [u8]) {
        if self.is_concealing {
            self.rare.concealment.rejoin(out);
            self.is_concealing = self.rare.concealment.is_active();
        }
    }

    /// What is played next does not follow what was heard last: it is to be blended in like the end of a hole.
    fn leave(&mut self) {
        self.remember(&[]);
        if self.is_sound && !self.has_not_begun {
            let Rare { concealment, heard, .. } = &mut *self.rare;
            concealment.begin(heard, &[]);
            self.is_concealing = true;
        }
    }

    /// Keeps what was heard, the clean octets and then `played`: a loss that comes next is concealed from
    /// it. To be called before the line's next octet becomes another than the one after those it heard.
    fn remember(&mut self, played: &[u8]) {
        if !self.is_sound {
            return;
        }
        let clean = std::mem::take(&mut self.clean) as usize;
        if clean > 0 {
            let mut octets = [0; concealment::HISTORY];
            self.read(self.next.wrapping_sub(clean as u32), &mut octets[..clean]);
            concealment::append(&mut self.rare.heard, &octets[..clean]);
        }
        concealment::append(&mut self.rare.heard, played);
    }

    /// Moves on by `len` octets that `come` tells of: as many of the oldest history make room for what is to come.
    fn advance(&mut self, len: usize) {
        self.next = self.next.wrapping_add(len as u32);
        self.told -= len as u16;
        self.whole = self.whole.saturating_sub(len as u16);
    }

    fn confirms_jump(&mut self, timestamp: u32) -> bool {
        let margin = self.margin(timestamp);
        // Packets that were held up together come together; only the last of them says where the
        // sender is now. So the witness must come in a later block.
        let (before, blocks) = self.rare.jump;
        let is_confirmed =
            self.has_jumped && blocks != self.blocks && margin.abs_diff(before) <= PACKET as u32;
        self.has_jumped = true;
        self.rare.jump = (margin, self.blocks);
        is_confirmed
    }

    fn write(&mut self, timestamp: u32, payload: &[u8], translate: Option<&[u8; 256]>) {
        let at = timestamp as usize & (self.octets.len() - 1);
        if let Some(place) = self.octets.get_mut(at..at + payload.len()) {
            return g711::copy(payload, translate, place);
        }
        let (head, tail) = payload.split_at(self.octets.len() - at);
        g711::copy(head, translate, &mut self.octets[at..]);
        g711::copy(tail, translate, &mut self.octets[..tail.len()]);
    }

    fn read(&self, timestamp: u32, out: &mut [u8]) {
        let at = timestamp as usize & (self.octets.len() - 1);
        if let Some(place) = self.octets.get(at..at + out.len()) {
            return out.copy_from_slice(place);
        }
        let (head, tail) = out.split_at_mut(self.octets.len() - at);
        head.copy_from_slice(&self.octets[at..]);
        tail.copy_from_slice(&self.octets[..tail.len()]);
    }

    /// How far ahead of the line's next octet a timestamp is.
    fn margin(&self, timestamp: u32) -> i32 {
        timestamp.wrapping_sub(self.next) as i32
    }

    /// Whether what is known without `come` is what `come` says.
    fn knows_what_it_says(&self) -> bool {
        let whole = usize::from(self.whole);
        self.whole <= self.told && (whole == 0 || self.come.run(self.next, whole) == (true, whole))
    }

    fn is_in_reach(&self, timestamp: u32, len: usize) -> bool {
        let margin = self.margin(timestamp);
        margin >= -(history(self.octets.len()) as i32) && margin <= (self.reach() - len) as i32
    }

    fn reach(&self) -> usize {
        reach(self.octets.len())
    }
}

/// Octets of a ring that are kept behind the line.
const fn history(capacity: usize) -> usize {
    capacity / 4
}

/// Octets of a ring that are left free, so that a step back does not make the history reach what waits.
const fn spare(capacity: usize) -> usize {
    capacity / 16
}

/// Octets of a ring that can wait ahead of the line.
const fn reach(capacity: usize) -> usize {
    capacity - history(capacity) - spare(capacity)
}

/// The longest wait, in octets, that the bounds of a leg can allow in a ring.
const fn room(capacity: usize) -> usize {
    reach(capacity) - PACKET
}

/// The largest capacity, 4 s.
const CAPACITY_MAX: usize = 32_768;

const OCTETS_PER_MS: u32 = 8;
/// Of a usual packet, 20 ms, octets of every cache line that it may lie in.
const USUAL: [u32; 4] = [0, 64, 128, 159];

/// Octets of a long packet, 60 ms: what the bounds leave free of the reach, and how far two packets
/// that agree on a jump may be apart.
const PACKET: usize = 480;
/// The least history: what concealment looks at, and so what is worth stepping back over.
const HISTORY: usize = concealment::HISTORY.next_power_of_two();
/// Octets played without a packet after which the next is placed afresh: 1 s.
const IDLE_MAX: u16 = 8_000;

#[cfg(test)]
mod tests;
