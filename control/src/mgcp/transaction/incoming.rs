//! The transactions of others: what they ask of us.
//!
//! ```text
//!            receive              answer                  K, 000
//!  (unknown) ───────▶ Executing ───────────▶ Answered ───────────▶ Acknowledged
//!                      │  ▲ again: 100,       │  ▲ again: the       │  ▲ again:
//!                      └──┘ or silence        └──┘ same response    └──┘ silence
//! ```
//!
//! Both last states are forgotten T-HIST after the response.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use drivers::time::Instant;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::repetition::{RTO_MIN, Repetition};
use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::{Path, Response, TransactionId, TransactionRange};

/// Transactions that one message can acknowledge; further ones are kept for T-HIST instead.
const ACKNOWLEDGED_MAX: usize = 1_024;

/// Octets of a response, of many taken together: what their memory is bounded by. A CRCX's has 250.
const RESPONSE_OCTETS: usize = 512;

/// Max2: how often a response is repeated at most that is not acknowledged (RFC 3435 §4.3).
///
/// That takes less than T-MAX, as the waits between them add up to 14.2 seconds at most.
const REPETITIONS_MAX: u32 = 7;

/// What [`Incoming`] goes by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IncomingSettings {
    /// T-HIST: how long a response is kept (RFC 3435 §3.5.1).
    pub response_history: Duration,
    /// Transactions that can be known at a time; their responses have 512 octets each on average.
    pub transactions_max: usize,
    /// A transaction that takes longer is answered 100 meanwhile; never if `None`, because there
    /// are call agents that take 100 for the final answer.
    pub provisional_after: Option<Duration>,
}

/// A transaction that is being executed: hand it back with the final response.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket {
    slot: u32,
    /// Tells the transactions apart that have had the slot one after the other.
    generation: u32,
}

/// What to do with a command that came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disposition {
    /// Execute it, then [`Incoming::answer`].
    New(Ticket),
    /// It came before. What there is to say is in [`Incoming::poll_transmit`].
    Known,
    /// As many transactions as can be known are being executed: refuse it (409).
    Full,
}

/// What has happened so far.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct IncomingCounters {
    /// Commands that came again.
    pub repeated: u64,
    /// Responses forgotten before T-HIST was over, to make room.
    pub evicted: u64,
    /// Commands refused because all room was taken by executing ones.
    pub refused: u64,
}

/// The transactions of others. With each, the owner can keep what it wants to be told again whenever
/// something is sent for it: an `A`.
#[derive(Debug)]
pub struct Incoming<A = ()> {
    settings: IncomingSettings,
    slots: Vec<Slot<A>>,
    free: Vec<u32>,
    /// Every known transaction.
    known: HashMap<Key, u32>,
    /// The newest transaction of each number: what K and 000 are about.
    newest: HashMap<(SocketAddr, TransactionId), u32>,
    /// Octets of the responses that are kept.
    octets: usize,
    /// Those with a response, and when they are forgotten; soonest first.
    history: VecDeque<(Instant, Ticket)>,
    /// When there is something to send again, or a 100; perhaps no longer.
    timers: BinaryHeap<Reverse<(Instant, Ticket)>>,
    transmit: VecDeque<(Path, Arc<[u8]>, A)>,
    counters: IncomingCounters,
}

/// What tells transactions apart.
///
/// RFC 3435 §3.5.1 has the number alone. But call agents begin at 1 again after a restart, on the
/// same port, and must not get the answers of their former life: so the request counts, too.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Key {
    remote: SocketAddr,
    id: TransactionId,
    request: u64,
}

#[derive(Debug)]
struct Slot<A> {
    generation: u32,
    transaction: Option<Transaction<A>>,
}

#[derive(Debug)]
struct Transaction<A> {
    key: Key,
    path: Path,
    state: State,
    about: A,
    /// Whether provisional responses are sent.
    is_promised: bool,
}

#[derive(Debug)]
enum State {
    Executing {
        has_provisional: bool,
    },
    Answered {
        octets: Arc<[u8]>,
        /// Set until the response is acknowledged that asked for it.
        repetition: Option<Repetition>,
    },
    Acknowledged,
}

impl<A: Clone + Default> Incoming<A> {
    /// Knows of no transaction.
    pub fn new(settings: IncomingSettings) -> Self {
        Self {
            settings,
            slots: Vec::new(),
            free: Vec::new(),
            known: HashMap::new(),
            newest: HashMap::new(),
            octets: 0,
            history: VecDeque::new(),
            timers: BinaryHeap::new(),
            transmit: VecDeque::new(),
            counters: IncomingCounters::default(),
        }
    }

    /// A command came: its transaction and all of its octets.
    pub fn receive(&mut self, now: Instant, path: Path, id: TransactionId, octets: &[u8]) -> Disposition {
        self.forget_old(now);
        let key = Key { remote: path.remote, id, request: fingerprint(octets) };
        if let Some(&slot) = self.known.get(&key) {
            self.repeat(slot, path);
            return Disposition::Known;
        }
        if self.known.len() >= self.settings.transactions_max && !self.evict() {
            self.counters.refused += 1;
            return Disposition::Full;
        }
        let state = State::Executing { has_provisional: false };
        let is_promised = self.settings.provisional_after.is_some();
        let ticket = self.insert(Transaction { key, path, state, about: A::default(), is_promised });
        if let Some(after) = self.settings.provisional_after {
            self.timers.push(Reverse((now + after, ticket)));
        }
        Disposition::New(ticket)
    }

    /// Keeps what the owner wants to be told again with whatever is sent for a transaction.
    pub fn note(&mut self, ticket: Ticket, about: A) {
        if let Some(transaction) = self.transaction(ticket) {
            transaction.about = about;
        }
    }

    /// Has no provisional response sent for a transaction.
    pub fn promise_nothing(&mut self, ticket: Ticket) {
        if let Some(transaction) = self.transaction(ticket) {
            transaction.is_promised = false;
        }
    }

    /// Sends the final response. It is to have an empty `K` where
    /// [`wants_acknowledgement`](Self::wants_acknowledgement) says so.
    ///
    /// # Panics
    ///
    /// If the transaction has been answered before.
    pub fn answer(&mut self, now: Instant, ticket: Ticket, octets: Vec<u8>) {
        let wants_acknowledgement = self.wants_acknowledgement(ticket);
        let transaction = self.transaction(ticket).expect("an executing transaction is never forgotten");
        assert!(matches!(transaction.state, State::Executing { .. }), "a transaction has one final response");
        let octets: Arc<[u8]> = octets.into();
        let len = octets.len();
        let repetition = wants_acknowledgement.then(|| Repetition::start(now, RTO_MIN));
        transaction.state = State::Answered { octets: octets.clone(), repetition };
        let (path, about) = (transaction.path, transaction.about.clone());
        self.transmit.push_back((path, octets, about));
        self.history.push_back((now + self.settings.response_history, ticket));
        if let Some(repetition) = repetition {
            self.timers.push(Reverse((repetition.due, ticket)));
        }
        self.octets += len;
        while self.octets > self.settings.transactions_max * RESPONSE_OCTETS && self.evict() {}
    }

    /// The other side has our responses to these: `K` of a command, or a response 000.
    // RFC 3435 §3.5.2: the response may go, its number stays for T-HIST. Only final responses can
    // be acknowledged, and only by whom the command came from.
    pub fn acknowledged(&mut self, now: Instant, remote: SocketAddr, ranges: &[TransactionRange]) {
        self.forget_old(now);
        let ids = ranges.iter().flat_map(|range| range.from.0..=range.to.0);
        for id in ids.take(ACKNOWLEDGED_MAX) {
            let Some(&slot) = self.newest.get(&(remote, TransactionId(id))) else { continue };
            let transaction = &mut self.slots[slot as usize].transaction;
            if let Some(Transaction { state, .. }) = transaction
                && let State::Answered { octets, .. } = state
            {
                self.octets -= octets.len();
                *state = State::Acknowledged;
            }
        }
    }

    /// A datagram to send, written over what `octets` held, the way it goes, and what was
    /// [noted](Self::note) of its transaction.
    pub fn poll_transmit(&mut self, octets: &mut Vec<u8>) -> Option<(Path, A)> {
        let (path, datagram, about) = self.transmit.pop_front()?;
        octets.clear();
        octets.extend_from_slice(&datagram);
        Some((path, about))
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.forget_old(now);
        while let Some(&Reverse((due, ticket))) = self.timers.peek() {
            if due > now {
                break;
            }
            self.timers.pop();
            self.handle_timer(now, due, ticket);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is wanted next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let timer = self.timers.peek().map(|Reverse((due, _))| *due);
        let expiry = self.history.front().map(|&(due, _)| due);
        timer.into_iter().chain(expiry).min()
    }

    /// Whether a provisional response went out, so that the final one asks to be acknowledged.
    // RFC 3435 §3.5.6: an empty ResponseAck in those final responses, and in no others.
    pub fn wants_acknowledgement(&self, ticket: Ticket) -> bool {
        let slot = self.slots.get(ticket.slot as usize);
        let transaction = slot.filter(|slot| slot.generation == ticket.generation);
        let state = transaction.and_then(|slot| slot.transaction.as_ref()).map(|t| &t.state);
        matches!(state, Some(State::Executing { has_provisional: true }))
    }

    /// What has happened so far.
    pub fn counters(&self) -> IncomingCounters {
        self.counters
    }

    /// A command came again, perhaps by another way.
    // RFC 3435 §3.5.1: what has been answered gets the same response, what is being executed may
    // get a provisional one. §3.5.2: what has been acknowledged is discarded silently.
    fn repeat(&mut self, slot: u32, path: Path) {
        self.counters.repeated += 1;
        let transaction = &mut self.slots[slot as usize].transaction;
        let transaction = transaction.as_mut().expect("known transactions have their slot");
        match &mut transaction.state {
            State::Executing { has_provisional } => {
                if transaction.is_promised {
                    *has_provisional = true;
                    self.transmit.push_back((
                        path,
                        provisional(transaction.key.id),
                        transaction.about.clone(),
                    ));
                }
            }
            State::Answered { octets, .. } => {
                self.transmit.push_back((path, octets.clone(), transaction.about.clone()));
            }
            State::Acknowledged => {}
        }
    }

    fn handle_timer(&mut self, now: Instant, due: Instant, ticket: Ticket) {
        let slot = &mut self.slots[ticket.slot as usize];
        let Some(transaction) = &mut slot.transaction else { return };
        if slot.generation != ticket.generation {
            return;
        }
        match &mut transaction.state {
            // RFC 3435 §3.5.6: what takes long is promised a final response.
            State::Executing { has_provisional: has_provisional @ false } if transaction.is_promised => {
                *has_provisional = true;
                self.transmit.push_back((
                    transaction.path,
                    provisional(transaction.key.id),
                    transaction.about.clone(),
                ));
            }
            // RFC 3435 §3.5.6: a response that asks to be acknowledged is repeated like a command.
            State::Answered { octets, repetition: Some(repetition) } if repetition.due == due => {
                if repetition.count < REPETITIONS_MAX {
                    // One request's fingerprint is as random to another's as chance would be.
                    let mut random = StdRng::seed_from_u64(transaction.key.request);
                    repetition.repeat(now, Duration::ZERO, &mut random);
                    self.timers.push(Reverse((repetition.due, ticket)));
                    self.transmit.push_back((transaction.path, octets.clone(), transaction.about.clone()));
                }
            }
            State::Executing { .. } | State::Answered { .. } | State::Acknowledged => {}
        }
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some(&(due, ticket)) = self.history.front()
            && due <= now
        {
            self.history.pop_front();
            self.remove(ticket);
        }
    }

    /// Makes room by forgetting the oldest response; never what is being executed.
    fn evict(&mut self) -> bool {
        let Some((_, ticket)) = self.history.pop_front() else { return false };
        self.remove(ticket);
        self.counters.evicted += 1;
        true
    }

    fn insert(&mut self, transaction: Transaction<A>) -> Ticket {
        let key = transaction.key;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, transaction: None });
            (self.slots.len() - 1) as u32
        });
        let place = &mut self.slots[slot as usize];
        place.transaction = Some(transaction);
        self.known.insert(key, slot);
        self.newest.insert((key.remote, key.id), slot);
        Ticket { slot, generation: place.generation }
    }

    fn remove(&mut self, ticket: Ticket) {
        let slot = &mut self.slots[ticket.slot as usize];
        let Some(Transaction { key, state, .. }) = slot.transaction.take() else { return };
        if let State::Answered { octets, .. } = state {
            self.octets -= octets.len();
        }
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(ticket.slot);
        self.known.remove(&key);
        let number = (key.remote, key.id);
        if self.newest.get(&number) == Some(&ticket.slot) {
            self.newest.remove(&number);
        }
    }

    fn transaction(&mut self, ticket: Ticket) -> Option<&mut Transaction<A>> {
        let slot = self.slots.get_mut(ticket.slot as usize)?;
        slot.transaction.as_mut().filter(|_| slot.generation == ticket.generation)
    }
}

fn provisional(id: TransactionId) -> Arc<[u8]> {
    Response::new(ReturnCode::EXECUTING, id).to_octets().into()
}

/// A number for the request; all of it but `K` lines, which may differ when it is repeated, and its
/// transaction id, which may be spelt with zeros ahead of it (RFC 3435 §3.2.1.2).
fn fingerprint(octets: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut words = octets.trim_ascii_start().splitn(3, |b| matches!(b, b' ' | b'\t'));
    hasher.write(words.next().unwrap_or_default());
    let rest = words.nth(1).unwrap_or_default();
    let lines = rest.split_inclusive(|&b| b == b'\n');
    for line in lines.filter(|line| !matches!(line, [b'K' | b'k', b':', ..])) {
        hasher.write(line);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests;
