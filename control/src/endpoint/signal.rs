//! The signals of an endpoint and of its connections (RFC 3435 §2.1.7, §2.3.3).
//!
//! What was asked for, what sounds now, what waits for its turn, and what that means for the next
//! request. Which tone a signal is, and which core makes it, is for others: they carry out the
//! [`Effect`]s, and say how it went.
//!
//! Brief signals of one request sound together (§2.3.3), but digits do not: two at once are none, so they wait
//! for each other as if each had been asked for by itself.
//!
//! ```text
//!           asked, no BR sounds             ended
//!  BR  ────────────────────────▶ active ─────────────▶ (gone)
//!   │    asked, a BR sounds      ▲   ends of all BR
//!   └──────────▶ pending ────────┘
//!                   └──── new list, or an event ──▶ (gone)
//!
//!           asked                time is up, or ended: Complete
//!  TO  ─────────────▶ active ──────────────────────────────────▶ (gone)
//!                       ├──── its connection deleted: Failed ──────▶ (gone)
//!                       └──── not in the new list, or an event ────▶ (gone)
//!
//!           asked with +         asked with -, restart
//!  OO  ─────────────▶ active ──────────────────────────▶ (gone)
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use drivers::time::Instant;

use crate::mgcp::event::Event;
use crate::mgcp::name::ConnectionId;
use crate::package::EventId;
use crate::package::ability::Making;
use crate::package::parameter::Lasting;

/// Signals that an endpoint can have, sounding and pending.
pub const SIGNALS_MAX: usize = 32;

/// Signals that can be heard at once in one place.
pub const AT_ONCE_MAX: usize = dataplane::limits::PLAYS_PER_SIDE;

/// What follows `D/dd` before it is complete.
const LONG_DIGIT_SILENCE: Duration = Duration::from_millis(50);

/// The signals of one endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Signals {
    active: Vec<Active>,
    /// Brief signals that wait for others to end, oldest first.
    pending: Vec<Arc<Signal>>,
    next_play: u32,
    /// How often events have stopped signals.
    stops: u32,
    effects: VecDeque<Effect>,
}

/// A signal as it was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signal {
    /// Which, and where.
    pub key: Key,
    /// How it ends.
    pub lasting: Lasting,
    /// As a call agent has asked for it, and as an audit shows it (RFC 3435 §2.3.10); `$` is the
    /// connection it stands for.
    pub asked: Event,
    /// The signals that it plays one after the other, if it is a list of such.
    pub parts: Arc<[Arc<Signal>]>,
}

/// What makes a signal the same signal.
// RFC 3435 §2.3.3: the same signal on an endpoint and on each of its connections are different ones.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Key {
    /// Its name.
    pub event: EventId,
    /// Where it is applied.
    pub scope: Scope,
}

/// Where a signal is applied, or an event detected.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scope {
    /// On the circuit.
    Endpoint,
    /// On one connection.
    Connection(ConnectionId),
    /// `*`: on all connections, those to come as well (RFC 3435 §2.1.7).
    AllConnections,
}

/// One sounding of a signal: what tells a report of it from one of the sounding before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PlayId(pub u32);

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// This begins to sound.
    Start {
        /// What its end is reported with.
        play: PlayId,
        /// What it is.
        signal: Arc<Signal>,
        /// Where: as in the signal, or on a connection that has come to all others.
        scope: Scope,
    },
    /// That sounds no longer, wherever it did.
    Stop(PlayId),
    /// A time-out signal has come to its end: `oc` of its package happens.
    Complete(Key),
    /// A time-out signal has lost its connection: `of` of its package happens.
    Failed(Key),
}

/// Why a list of signals cannot be granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The same signal is there twice.
    Twice(Key),
    /// It speaks of a connection that does not exist: 515.
    NoConnection(ConnectionId),
    /// It is for a connection that has no remote description: 527.
    Undescribed(ConnectionId),
    /// With it, more would sound in one place than can.
    TooLoud(Key),
    /// More than [`SIGNALS_MAX`].
    TooMany,
}

/// What [`Signals::apply`] did, for undoing it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Undo {
    /// What it started.
    started: Vec<PlayId>,
    /// What it stopped.
    stopped: Vec<Active>,
    /// The brief signals that were pending.
    cancelled: Vec<Arc<Signal>>,
    /// [`Signals::stops`] at that time.
    stops: u32,
}

/// A signal that sounds.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Active {
    play: PlayId,
    signal: Arc<Signal>,
    /// Which of a list's parts it is at.
    part: usize,
    /// When its time is up, or that of the part.
    until: Option<Instant>,
}

impl Signals {
    /// A request's list of signals, which may be empty, has been granted.
    ///
    /// It must have passed [`check`](Self::check).
    pub fn apply(&mut self, now: Instant, signals: &[Arc<Signal>]) -> Undo {
        // RFC 3435 §2.1.7: a new list cancels the brief signals that have not begun.
        let cancelled = std::mem::take(&mut self.pending);
        let mut undo = Undo { started: Vec::new(), stopped: Vec::new(), cancelled, stops: self.stops };
        // RFC 3435 §2.3.3: the list replaces that of the active time-out signals.
        let is_replaced = |active: &Active| {
            active.is_time_out() && !signals.iter().any(|signal| signal.key == active.signal.key)
        };
        undo.stopped.extend(self.stop_time_outs(is_replaced));
        let briefs: Vec<_> = self.briefs().collect();
        let mut digits = Vec::new();
        for signal in signals {
            match signal.lasting {
                // RFC 3435 §2.3.3: a time-out signal that sounds goes on with its timer and parameters.
                // §2.1.7: to turn on what is on is no error.
                Lasting::On | Lasting::TimeOut(_) if self.is_active(signal.key) => {}
                Lasting::On | Lasting::TimeOut(_) => undo.started.push(self.start(now, signal)),
                Lasting::Off => undo.stopped.extend(self.stop_if(|active| active.signal.key == signal.key)),
                // RFC 3435 §2.1.7: it is pending if a brief signal of an earlier request still sounds;
                // §2.3.3: those of one list sound in parallel.
                Lasting::Brief if signal.key.has_to_wait(&briefs, &mut digits) => {
                    self.pending.push(signal.clone());
                }
                Lasting::Brief => undo.started.push(self.start(now, signal)),
            }
        }
        undo
    }

    /// The request that [`apply`](Self::apply) was called for has failed after all.
    ///
    /// What an event has stopped since stays stopped, and what has ended has ended. A connection is deleted
    /// only after what was under way on it has been undone.
    // RFC 3435 §4.4.2: it goes on as if the command had never been received.
    pub fn undo(&mut self, now: Instant, undo: Undo) {
        drop(self.stop_if(|active| undo.started.contains(&active.play)));
        let is_stopped_since = self.stops != undo.stops;
        self.pending = if is_stopped_since { Vec::new() } else { undo.cancelled };
        for active in undo.stopped {
            if active.is_time_out() && is_stopped_since {
                continue;
            }
            match self.active.iter_mut().find(|other| other.play == active.play) {
                // What is left of a list becomes that list again.
                Some(left) => *left = active,
                None if active.is_at_brief() => self.go_on(now, active),
                None => drop(self.begin(active.signal, active.part, active.until)),
            }
        }
        self.start_pending(now);
    }

    /// A requested event has been detected that does not keep signals active.
    // RFC 3435 §2.3.3: it stops all time-out signals. §2.1.7: it cancels brief signals that have not
    // begun, lets those end that have, and leaves what is on.
    pub fn handle_event(&mut self) {
        self.stops = self.stops.wrapping_add(1);
        self.pending.clear();
        drop(self.stop_time_outs(Active::is_time_out));
    }

    /// A signal has come to its own end.
    pub fn handle_ended(&mut self, now: Instant, play: PlayId) {
        let Some(ended) = self.take(play) else { return };
        match ended.signal.lasting {
            Lasting::TimeOut(_) => self.go_on(now, ended),
            Lasting::Brief => self.start_pending(now),
            Lasting::On | Lasting::Off => {}
        }
    }

    /// A signal sounds nowhere, or nowhere any more: a brief one is over with that.
    pub fn handle_silent(&mut self, now: Instant, play: PlayId) {
        let is_it = |active: &Active| active.play == play && active.signal.lasting == Lasting::Brief;
        if self.active.iter().any(is_it) {
            self.handle_ended(now, play);
        }
    }

    /// A signal has done what it was for, and ends with that: what has come of it is told otherwise.
    pub fn handle_done(&mut self, play: PlayId) {
        drop(self.take(play));
    }

    /// A connection has been made.
    pub fn handle_connected(&mut self, connection: ConnectionId) {
        let starts = self.on_connections_to_come().map(|active| Effect::Start {
            play: active.play,
            signal: active.signal.clone(),
            scope: Scope::Connection(connection),
        });
        let starts: Vec<_> = starts.collect();
        self.effects.extend(starts);
    }

    /// How many signals begin on a connection when it is made.
    pub fn starts_when_connected(&self) -> usize {
        self.on_connections_to_come().count()
    }

    // RFC 3435 §2.1.7: a signal on all connections is also on those to come.
    fn on_connections_to_come(&self) -> impl Iterator<Item = &Active> {
        self.active.iter().filter(|active| {
            active.signal.key.scope == Scope::AllConnections && active.signal.lasting != Lasting::Brief
        })
    }

    /// A connection has been deleted, and what sounded on it with it: nothing need be stopped.
    // RFC 3435 §2.1.7: that is the failure of the time-out signals that sounded on it.
    pub fn handle_disconnected(&mut self, now: Instant, connection: ConnectionId) {
        let scope = Scope::Connection(connection);
        self.pending.retain(|signal| signal.key.scope != scope);
        for gone in self.active.extract_if(.., |active| active.signal.key.scope == scope) {
            if gone.is_time_out() {
                self.effects.push_back(Effect::Failed(gone.signal.key));
            }
        }
        self.start_pending(now);
    }

    /// The endpoint restarts, or goes out of service: all ends, and nobody is told.
    // RFC 3435 §2.1.7: what is on is turned off by a restart.
    pub fn handle_restart(&mut self) {
        self.pending.clear();
        drop(self.stop_if(|_| true));
    }

    /// Time has passed.
    // RFC 3435 §2.1.7: a time-out signal whose time is up stops, which is an operation complete event.
    pub fn handle_timeout(&mut self, now: Instant) {
        for over in self.stop_if(|active| active.until.is_some_and(|until| until <= now)) {
            self.go_on(now, over);
        }
    }

    /// What is to be done next, in this order.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.active.iter().filter_map(|active| active.until).min()
    }

    /// Whether a request's list of signals can be granted.
    ///
    /// `hears` says whether a connection can be played to, or with which refusal it cannot; `takes`, how many
    /// of the [`AT_ONCE_MAX`] that can be heard in one place a signal stands for.
    ///
    /// # Errors
    /// The first reason why not.
    pub fn check(
        &self,
        signals: &[Arc<Signal>],
        hears: impl Fn(ConnectionId) -> Result<(), Refusal>,
        takes: impl Fn(EventId) -> usize,
    ) -> Result<(), Refusal> {
        let lasting = self.active.iter().filter(|active| !active.is_time_out()).count();
        if lasting + signals.len() > SIGNALS_MAX {
            return Err(Refusal::TooMany);
        }
        let keys: Vec<_> = signals.iter().map(|signal| signal.key).collect();
        for (index, key) in keys.iter().enumerate() {
            // RFC 3435 §2.3.3: without a remote description a connection cannot be played to.
            if let Scope::Connection(connection) = key.scope {
                hears(connection)?;
            }
            // RFC 3435 §2.3.3: a signal must not appear more than once in a list.
            if keys[..index].iter().any(|other| other.overlaps(*key)) {
                return Err(Refusal::Twice(*key));
            }
        }
        // RFC 3435 §2.3.3: those of one list sound in parallel, beside what stays on and the brief signals
        // that have begun. New brief ones wait for those.
        let stays_on =
            |active: &&Active| active.signal.lasting == Lasting::On && !keys.contains(&active.signal.key);
        let asked = |lasts: fn(Lasting) -> bool| {
            let asked = signals.iter().filter(move |signal| lasts(signal.lasting));
            asked.map(|signal| signal.key).collect::<Vec<_>>()
        };
        let mut steady = asked(|lasting| matches!(lasting, Lasting::On | Lasting::TimeOut(_)));
        steady.extend(self.active.iter().filter(stays_on).map(|active| active.signal.key));
        let mut digits = Vec::new();
        let mut new = asked(|lasting| lasting == Lasting::Brief);
        new.retain(|key| !key.has_to_wait(&[], &mut digits));
        let is_brief = |active: &&Active| active.signal.lasting == Lasting::Brief;
        let begun: Vec<_> = self.active.iter().filter(is_brief).map(|active| active.signal.key).collect();
        for key in &keys {
            let here = |keys: &[Key]| -> usize {
                let here = keys.iter().filter(|other| other.scope.covers(key.scope));
                here.map(|other| takes(other.event)).sum()
            };
            if here(&steady) + here(&new).max(here(&begun)) > AT_ONCE_MAX {
                return Err(Refusal::TooLoud(*key));
            }
        }
        Ok(())
    }

    /// What an audit shows.
    // RFC 3435 §2.3.10: active time-out signals, what is on, and pending brief signals; not the brief
    // signals that sound.
    pub fn audited(&self) -> impl Iterator<Item = &Signal> {
        let lasting = self.active.iter().filter(|active| active.signal.lasting != Lasting::Brief);
        lasting.map(|active| &*active.signal).chain(self.pending.iter().map(|signal| &**signal))
    }

    fn start_pending(&mut self, now: Instant) {
        let briefs: Vec<_> = self.briefs().collect();
        let mut digits = Vec::new();
        let is_free = |signal: &mut Arc<Signal>| !signal.key.has_to_wait(&briefs, &mut digits);
        let free: Vec<_> = self.pending.extract_if(.., is_free).collect();
        for signal in &free {
            self.start(now, signal);
        }
    }

    fn start(&mut self, now: Instant, signal: &Arc<Signal>) -> PlayId {
        let until = signal.parts.first().unwrap_or(signal).until(now);
        self.begin(signal.clone(), 0, until)
    }

    /// A time-out signal, or a part of a list, is over: the next part begins, if there is one.
    // RFC 3660 §2.8: the list is complete with its last part.
    fn go_on(&mut self, now: Instant, over: Active) {
        let next = over.part + 1;
        match over.signal.parts.get(next).map(|part| part.until(now)) {
            Some(until) => drop(self.begin(over.signal, next, until)),
            None => self.effects.push_back(Effect::Complete(over.signal.key)),
        }
    }

    fn begin(&mut self, signal: Arc<Signal>, part: usize, until: Option<Instant>) -> PlayId {
        let play = PlayId(self.next_play);
        self.next_play = self.next_play.wrapping_add(1);
        let active = Active { play, signal, part, until };
        let sounding = active.sounding().clone();
        let scope = sounding.key.scope;
        self.effects.push_back(Effect::Start { play, signal: sounding, scope });
        self.active.push(active);
        play
    }

    /// Stops time-out signals.
    // RFC 3660 §2.8: a list that is at a brief signal has that played to its end, and nothing more.
    fn stop_time_outs(&mut self, is_to_stop: impl Fn(&Active) -> bool) -> Vec<Active> {
        let mut stopped = Vec::new();
        for active in self.active.iter_mut().filter(|active| is_to_stop(active) && active.is_at_brief()) {
            let left = Active { play: active.play, signal: active.sounding().clone(), part: 0, until: None };
            stopped.push(std::mem::replace(active, left));
        }
        stopped.extend(self.stop_if(|active| is_to_stop(active) && active.is_time_out()));
        stopped
    }

    fn stop_if(&mut self, is_to_stop: impl Fn(&Active) -> bool) -> Vec<Active> {
        let stopped: Vec<_> = self.active.extract_if(.., |active| is_to_stop(active)).collect();
        self.effects.extend(stopped.iter().map(|active| Effect::Stop(active.play)));
        stopped
    }

    fn take(&mut self, play: PlayId) -> Option<Active> {
        let index = self.active.iter().position(|active| active.play == play)?;
        Some(self.active.remove(index))
    }

    fn is_active(&self, key: Key) -> bool {
        self.active.iter().any(|active| active.signal.key == key)
    }

    /// Where brief signals sound.
    fn briefs(&self) -> impl Iterator<Item = Scope> {
        let briefs = self.active.iter().filter(|active| active.signal.lasting == Lasting::Brief);
        briefs.map(|active| active.signal.key.scope)
    }
}

impl Active {
    fn is_time_out(&self) -> bool {
        matches!(self.signal.lasting, Lasting::TimeOut(_))
    }

    /// What sounds: of a list, the part that it is at.
    fn sounding(&self) -> &Arc<Signal> {
        self.signal.parts.get(self.part).unwrap_or(&self.signal)
    }

    /// Whether it is a list that is at a brief signal.
    fn is_at_brief(&self) -> bool {
        self.is_time_out() && self.sounding().lasting == Lasting::Brief
    }
}

impl Signal {
    /// When its time is up if it begins now.
    fn until(&self, now: Instant) -> Option<Instant> {
        // RFC 3660 §2.2: a digit is complete when it has been silent for 50 ms, too.
        let silence = match self.key.event.making() {
            Some(Making::LongDigit) => LONG_DIGIT_SILENCE,
            _ => Duration::ZERO,
        };
        match self.lasting {
            Lasting::TimeOut(after) => after.map(|after| now + after + silence),
            Lasting::On | Lasting::Off | Lasting::Brief => None,
        }
    }
}

impl Key {
    /// Whether a brief signal waits for those that sound in `briefs`, or, being a digit, for one of `digits`
    /// that come before it in its list. It is one of those from then on.
    fn has_to_wait(self, briefs: &[Scope], digits: &mut Vec<Scope>) -> bool {
        let mut waits = briefs.iter().any(|scope| scope.overlaps(self.scope));
        if let Some(Making::Digit(_)) = self.event.making() {
            waits |= digits.iter().any(|scope| scope.overlaps(self.scope));
            digits.push(self.scope);
        }
        waits
    }

    /// Whether the two would be the same signal somewhere.
    fn overlaps(self, other: Self) -> bool {
        self.event == other.event && self.scope.overlaps(other.scope)
    }
}

impl Scope {
    /// Whether what happens on `connection`, or on the circuit if `None`, happens here.
    pub fn holds(self, connection: Option<ConnectionId>) -> bool {
        match self {
            Self::Endpoint => connection.is_none(),
            Self::Connection(own) => connection == Some(own),
            Self::AllConnections => connection.is_some(),
        }
    }

    /// Whether what sounds here sounds there, too.
    fn covers(self, other: Self) -> bool {
        self == other || self == Self::AllConnections && other != Self::Endpoint
    }

    /// Whether the two have a place in common.
    fn overlaps(self, other: Self) -> bool {
        match (self, other) {
            (Self::Endpoint, Self::Endpoint) => true,
            (Self::Endpoint, _) | (_, Self::Endpoint) => false,
            (Self::Connection(a), Self::Connection(b)) => a == b,
            (Self::AllConnections, _) | (_, Self::AllConnections) => true,
        }
    }
}

#[cfg(test)]
mod tests;
