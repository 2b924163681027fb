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
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use drivers::time::Instant;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::repetition::{RTO_MIN, Repetition};
use crate::mgcp::message::{Path, TransactionId, TransactionRange};

/// Transactions that one message can acknowledge; further ones are kept for T-HIST instead.
const ACKNOWLEDGED_MAX: usize = 1_024;

/// Octets of a response, of many taken together: what their memory is bounded by. A CRCX's has 250, most
/// others have 50.
const RESPONSE_OCTETS: usize = 256;

/// Max2: how often a response is repeated at most that is not acknowledged (RFC 3435 §4.3).
///
/// That takes less than T-MAX, as the waits between them add up to 14.2 seconds at most.
const REPETITIONS_MAX: u32 = 7;

/// What [`Incoming`] goes by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IncomingSettings {
    /// T-HIST: how long a response is kept (RFC 3435 §3.5.1).
    pub response_history: Duration,
    /// Transactions that can be known at a time; their responses have 256 octets each on average.
    pub transactions_max: usize,
    /// A transaction that takes longer is promised a final response; never if `None`, because there
    /// are call agents that take a promise for it.
    pub provisional_after: Option<Duration>,
    /// Known to nobody outside: it decides which requests are told apart by chance alone.
    pub secret: u64,
}

/// A transaction that is being executed: hand it back with the final response.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket {
    slot: u32,
    /// Tells the transactions apart that have had the slot one after the other.
    generation: u32,
}

/// A provisional response that is to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Promise {
    ticket: Ticket,
    /// The way it goes: that of the command, or of its last repetition.
    path: Path,
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
    /// Responses forgotten before T-HIST was over, to make room, though nobody had acknowledged them.
    pub evicted: u64,
    /// Commands refused because all room was taken by executing ones.
    pub refused: u64,
}

/// The transactions of others. With each, the owner can keep what it wants to be told again whenever
/// something is sent for it: an `A`.
#[derive(Debug)]
pub struct Incoming<A = ()> {
    settings: IncomingSettings,
    /// A hash that nobody outside can foresee, before anything is hashed.
    hasher: DefaultHasher,
    slots: Vec<Slot<A>>,
    free: Vec<u32>,
    /// Every known transaction, by the fingerprint of its request.
    known: HashMap<u64, u32>,
    /// The newest transaction of each number, by the number's fingerprint: what K and 000 are about.
    newest: HashMap<u64, u32>,
    /// Octets of the responses that are kept.
    octets: usize,
    /// Transactions with a response, and when they are forgotten; soonest first.
    history: VecDeque<(Instant, Ticket)>,
    /// Transactions whose response is acknowledged: the first to be forgotten.
    acknowledged: VecDeque<Ticket>,
    /// Transactions being executed, and when they are promised a final response; soonest first.
    slow: VecDeque<(Instant, Ticket)>,
    /// To be promised a final response, and the way that it goes.
    promises: VecDeque<(Ticket, Path)>,
    /// When there is a response to send again; perhaps no longer.
    timers: BinaryHeap<Reverse<(Instant, Ticket)>>,
    transmit: VecDeque<(Path, Arc<[u8]>, A)>,
    counters: IncomingCounters,
}

#[derive(Debug)]
struct Slot<A> {
    generation: u32,
    transaction: Option<Transaction<A>>,
}

/// What is known of a transaction. A million of them must fit.
#[derive(Debug)]
struct Transaction<A> {
    /// What tells it apart from others: who asks, the number, and the request.
    ///
    /// RFC 3435 §3.5.1 has the number alone. But call agents begin at 1 again after a restart, on the
    /// same port, and must not get the answers of their former life: so the request counts, too.
    fingerprint: u64,
    id: TransactionId,
    /// Whether provisional responses are sent.
    is_promised: bool,
    path: Path,
    state: State,
    about: A,
}

#[derive(Debug)]
enum State {
    Executing {
        has_provisional: bool,
    },
    Answered {
        octets: Arc<[u8]>,
        /// Set if the response asks to be acknowledged.
        repetition: Option<Box<Repetition>>,
    },
    Acknowledged,
}

impl<A: Clone + Default> Incoming<A> {
    /// Knows of no transaction.
    pub fn new(settings: IncomingSettings) -> Self {
        // A secret ahead of all that is hashed does what a key would.
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(settings.secret);
        Self {
            settings,
            hasher,
            slots: Vec::new(),
            free: Vec::new(),
            known: HashMap::new(),
            newest: HashMap::new(),
            octets: 0,
            history: VecDeque::new(),
            acknowledged: VecDeque::new(),
            slow: VecDeque::new(),
            promises: VecDeque::new(),
            timers: BinaryHeap::new(),
            transmit: VecDeque::new(),
            counters: IncomingCounters::default(),
        }
    }

    /// A command came: its transaction and all of its octets.
    pub fn receive(&mut self, now: Instant, path: Path, id: TransactionId, octets: &[u8]) -> Disposition {
        self.forget_old(now);
        let fingerprint = self.fingerprint(path.remote, id, octets);
        if let Some(slot) =
            self.known.get(&fingerprint).copied().filter(|slot| self.is(*slot, path.remote, id))
        {
            self.repeat(slot, path);
            return Disposition::Known;
        }
        if self.known.len() >= self.settings.transactions_max && !self.evict() {
            self.counters.refused += 1;
            return Disposition::Full;
        }
        let state = State::Executing { has_provisional: false };
        let is_promised = self.settings.provisional_after.is_some();
        let about = A::default();
        let ticket = self.insert(Transaction { fingerprint, id, is_promised, path, state, about });
        if let Some(after) = self.settings.provisional_after {
            self.slow.push_back((now + after, ticket));
        }
        Disposition::New(ticket)
    }

    /// Keeps what the owner wants to be told again with whatever is sent for a transaction.
    pub fn note(&mut self, ticket: Ticket, about: A) {
        if let Some(transaction) = self.transaction(ticket) {
            transaction.about = about;
        }
    }

    /// Has a transaction promised a final response, whatever time it takes.
    pub fn promise_now(&mut self, ticket: Ticket) {
        let executing = self.transaction(ticket).filter(|transaction| transaction.is_promised);
        if let Some(path) = executing.map(|transaction| transaction.path) {
            self.promises.push_back((ticket, path));
        }
    }

    /// A transaction that is to be promised a final response: say so with [`promise`](Self::promise). With
    /// it, its number and what was [noted](Self::note) of it.
    pub fn poll_promise(&mut self) -> Option<(Promise, TransactionId, A)> {
        while let Some((ticket, path)) = self.promises.pop_front() {
            if let Some(transaction) = self.transaction(ticket)
                && matches!(transaction.state, State::Executing { .. })
            {
                return Some((Promise { ticket, path }, transaction.id, transaction.about.clone()));
            }
        }
        None
    }

    /// Sends a provisional response.
    pub fn promise(&mut self, promise: Promise, octets: Vec<u8>) {
        let Promise { ticket, path } = promise;
        let Some(transaction) = self.transaction(ticket) else { return };
        if let State::Executing { has_provisional } = &mut transaction.state {
            *has_provisional = true;
            let about = transaction.about.clone();
            self.transmit.push_back((path, octets.into(), about));
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
        let repetition = wants_acknowledgement.then(|| Box::new(Repetition::start(now, RTO_MIN)));
        let due = repetition.as_ref().map(|repetition| repetition.due);
        transaction.state = State::Answered { octets: octets.clone(), repetition };
        let (path, about) = (transaction.path, transaction.about.clone());
        self.transmit.push_back((path, octets, about));
        self.history.push_back((now + self.settings.response_history, ticket));
        self.timers.extend(due.map(|due| Reverse((due, ticket))));
        self.hurry();
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
            let id = TransactionId(id);
            let newest = self.newest.get(&self.number(remote, id)).copied();
            let Some(slot) = newest.filter(|slot| self.is(*slot, remote, id)) else { continue };
            let Slot { generation, transaction } = &mut self.slots[slot as usize];
            if let Some(Transaction { state, .. }) = transaction
                && let State::Answered { octets, .. } = state
            {
                self.octets -= octets.len();
                *state = State::Acknowledged;
                self.acknowledged.push_back(Ticket { slot, generation: *generation });
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
        // RFC 3435 §3.5.6: what takes long is promised a final response.
        while let Some((_, ticket)) = self.slow.pop_front_if(|(due, _)| *due <= now) {
            if matches!(self.state(ticket), Some(State::Executing { has_provisional: false })) {
                self.promise_now(ticket);
            }
        }
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
        let slow = self.slow.front().map(|&(due, _)| due);
        let expiry = self.history.front().map(|&(due, _)| due);
        timer.into_iter().chain(slow).chain(expiry).min()
    }

    /// Whether a provisional response went out, so that the final one asks to be acknowledged.
    // RFC 3435 §3.5.6: an empty ResponseAck in those final responses, and in no others.
    pub fn wants_acknowledgement(&self, ticket: Ticket) -> bool {
        matches!(self.state(ticket), Some(State::Executing { has_provisional: true }))
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
        let Slot { generation, transaction } = &mut self.slots[slot as usize];
        let transaction = transaction.as_mut().expect("known transactions have their slot");
        match &mut transaction.state {
            State::Executing { .. } if transaction.is_promised => {
                self.promises.push_back((Ticket { slot, generation: *generation }, path));
            }
            State::Answered { octets, .. } => {
                self.transmit.push_back((path, octets.clone(), transaction.about.clone()));
            }
            State::Executing { .. } | State::Acknowledged => {}
        }
    }

    /// Repeats a response.
    // RFC 3435 §3.5.6: one that asks to be acknowledged is repeated like a command.
    fn handle_timer(&mut self, now: Instant, due: Instant, ticket: Ticket) {
        let Some(transaction) = self.transaction(ticket) else { return };
        if let State::Answered { octets, repetition: Some(repetition) } = &mut transaction.state
            && repetition.due == due
            && repetition.count < REPETITIONS_MAX
        {
            // One request's fingerprint is as random to another's as chance would be.
            let mut random = StdRng::seed_from_u64(transaction.fingerprint);
            repetition.repeat(now, Duration::ZERO, &mut random);
            let again = (transaction.path, octets.clone(), transaction.about.clone());
            let due = repetition.due;
            self.timers.push(Reverse((due, ticket)));
            self.transmit.push_back(again);
        }
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some(&(due, ticket)) = self.history.front()
            && due <= now
        {
            self.history.pop_front();
            self.remove(ticket);
        }
        while let Some(ticket) = self.acknowledged.front()
            && self.state(*ticket).is_none()
        {
            self.acknowledged.pop_front();
        }
    }

    /// Forgets what in `slow` has been answered meanwhile, so that nobody wakes for it.
    fn hurry(&mut self) {
        while let Some((_, ticket)) = self.slow.front()
            && !matches!(self.state(*ticket), Some(State::Executing { .. }))
        {
            self.slow.pop_front();
        }
    }

    /// Makes room by forgetting a response: the oldest that is acknowledged, or else the oldest; never
    /// what is being executed.
    fn evict(&mut self) -> bool {
        while let Some(ticket) = self.acknowledged.pop_front() {
            if matches!(self.state(ticket), Some(State::Acknowledged)) {
                self.remove(ticket);
                return true;
            }
        }
        while let Some((_, ticket)) = self.history.pop_front() {
            if self.state(ticket).is_some() {
                self.remove(ticket);
                self.counters.evicted += 1;
                return true;
            }
        }
        false
    }

    fn insert(&mut self, transaction: Transaction<A>) -> Ticket {
        let number = self.number(transaction.path.remote, transaction.id);
        let fingerprint = transaction.fingerprint;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, transaction: None });
            (self.slots.len() - 1) as u32
        });
        let place = &mut self.slots[slot as usize];
        place.transaction = Some(transaction);
        self.known.insert(fingerprint, slot);
        self.newest.insert(number, slot);
        Ticket { slot, generation: place.generation }
    }

    fn remove(&mut self, ticket: Ticket) {
        let slot = &mut self.slots[ticket.slot as usize];
        if slot.generation != ticket.generation {
            return;
        }
        let Some(Transaction { fingerprint, id, path, state, .. }) = slot.transaction.take() else { return };
        if let State::Answered { octets, .. } = state {
            self.octets -= octets.len();
        }
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(ticket.slot);
        if self.known.get(&fingerprint) == Some(&ticket.slot) {
            self.known.remove(&fingerprint);
        }
        let number = self.number(path.remote, id);
        if self.newest.get(&number) == Some(&ticket.slot) {
            self.newest.remove(&number);
        }
    }

    /// Whether a slot's transaction is of this sender and number, which chance may give another's hash.
    fn is(&self, slot: u32, remote: SocketAddr, id: TransactionId) -> bool {
        let transaction = self.slots[slot as usize].transaction.as_ref();
        transaction.is_some_and(|transaction| transaction.id == id && transaction.path.remote == remote)
    }

    fn state(&self, ticket: Ticket) -> Option<&State> {
        let slot = self.slots.get(ticket.slot as usize).filter(|slot| slot.generation == ticket.generation);
        slot?.transaction.as_ref().map(|transaction| &transaction.state)
    }

    /// What tells a transaction from others: its sender, its number, and all of its request but `K`, which
    /// may differ when it is repeated, and its number's zeros (RFC 3435 §3.2.1.2). Ends of lines do not
    /// count either: the last may have none.
    fn fingerprint(&self, remote: SocketAddr, id: TransactionId, octets: &[u8]) -> u64 {
        let mut hasher = self.hasher.clone();
        (remote, id).hash(&mut hasher);
        let mut words = octets.trim_ascii_start().splitn(3, |b| matches!(b, b' ' | b'\t'));
        let verb = words.next().unwrap_or_default();
        let rest = words.nth(1).unwrap_or_default();
        for line in [verb].into_iter().chain(rest.trim_ascii_end().split(|&b| b == b'\n')) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !matches!(line, [b'K' | b'k', b':', ..]) {
                hasher.write(line);
                hasher.write_u8(b'\n');
            }
        }
        hasher.finish()
    }

    fn number(&self, remote: SocketAddr, id: TransactionId) -> u64 {
        let mut hasher = self.hasher.clone();
        (remote, id).hash(&mut hasher);
        hasher.finish()
    }

    fn transaction(&mut self, ticket: Ticket) -> Option<&mut Transaction<A>> {
        let slot = self.slots.get_mut(ticket.slot as usize)?;
        slot.transaction.as_mut().filter(|_| slot.generation == ticket.generation)
    }
}

#[cfg(test)]
mod tests;
