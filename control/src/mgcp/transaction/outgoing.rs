//! Our own transactions: what we ask of others.
//!
//! ```text
//!           send             100, 101                final response
//!  (unused) ────▶ Waiting ────────────▶ Promised ───────────────────▶ (over)
//!                  │ ▲ repeated          │ ▲ repeated     2 × T-HIST after the first sending: lost
//!                  └─┘ at RTO            └─┘ at LONGTRAN
//! ```
//!
//! A command waits before that, in its call agent's queue, while that has enough of them (§4.4.8).
//!
//! A command can go several ways, one after the other (RFC 3435 §4.3): Max1 repetitions on each but the
//! last, Max2 on that, and none later than T-MAX. Whoever owns this is told when a way is in doubt, may
//! find more of them meanwhile, and may send what is under way to another call agent.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use drivers::time::Instant;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::pace::{Pace, PaceSettings};
use super::repetition::{Repetition, RoundTrip};
use crate::mgcp::code::ReturnCode;
use crate::mgcp::emit::Piggyback;
use crate::mgcp::message::{Command, Path, Response, TransactionId};

/// The highest transaction id (RFC 3435 §3.2.1.2).
const ID_MAX: u32 = 999_999_999;

/// LONGTRAN-TIMER: the wait between repetitions once a response is promised (RFC 3435 §3.5.6).
const LONGTRAN: Duration = Duration::from_secs(5);

/// Peers whose delay is remembered; a gateway has a handful of call agents.
const PEERS_MAX: usize = 64;

/// What [`Outgoing`] goes by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutgoingSettings {
    /// T-MAX: how long a command is repeated at most (RFC 3435 §3.5.3).
    pub transaction_max: Duration,
    /// T-HIST: after twice that, a final response is no longer waited for.
    pub response_history: Duration,
    /// Max1: how often a command is repeated before the next way is tried (RFC 3435 §4.3).
    pub suspicion: u32,
    /// Max2: how often it is repeated on the last way; more than Max1.
    pub disconnection: u32,
    /// Commands that can be under way at a time.
    pub transactions_max: usize,
    /// How many of them a peer gets at a time.
    pub pace: PaceSettings,
}

/// There are as many commands under way as there may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

/// What a response is to [`Outgoing`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The command's final response: its transaction is over.
    Final,
    /// A promise of one.
    Provisional,
    /// To no command that is under way: too late, or a repetition.
    Stray,
}

/// What has happened so far.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct OutgoingCounters {
    /// Commands sent again.
    pub repeated: u64,
    /// Commands that nobody answered.
    pub lost: u64,
    /// Responses to no command that was under way.
    pub strays: u64,
    /// Commands not sent because too many were under way.
    pub refused: u64,
}

/// Our own transactions.
#[derive(Debug)]
pub struct Outgoing {
    settings: OutgoingSettings,
    /// The first id that was used, and how many were since.
    first_id: u32,
    used: u64,
    under_way: HashMap<TransactionId, Transaction>,
    /// When there is something to repeat or to give up; perhaps no longer.
    timers: BinaryHeap<Reverse<(Instant, TransactionId)>>,
    peers: HashMap<SocketAddr, RoundTrip>,
    paces: HashMap<SocketAddr, Pace>,
    /// Peers that may have got room for what waits, and the time.
    roomy: VecDeque<SocketAddr>,
    now: Instant,
    transmit: VecDeque<(Path, Arc<[u8]>)>,
    lost: VecDeque<TransactionId>,
    doubted: VecDeque<(TransactionId, Doubt)>,
    random: StdRng,
    counters: OutgoingCounters,
}

/// When a way is in doubt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Doubt {
    /// After Max1 repetitions on the first way.
    Suspicion,
    /// After Max2 repetitions on the last.
    Disconnection,
}

#[derive(Debug)]
struct Transaction {
    /// The ways it can go, and which of them it goes now.
    ways: Vec<Path>,
    way: usize,
    octets: Arc<[u8]>,
    /// Older ones that are to be heard first.
    behind: Vec<TransactionId>,
    state: State,
    /// When it was sent for the first time, on whatever way.
    first_at: Instant,
    /// Its sending on the way it goes now.
    repetition: Repetition,
    /// Set once all ways were tried often enough, or for long enough: it is only waited for.
    is_spent: bool,
    /// The address in whose window it takes room, if it does.
    paced_by: Option<SocketAddr>,
}

impl Transaction {
    fn path(&self) -> Path {
        self.ways[self.way]
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// It has not been sent, because its peer has enough to do.
    Queued,
    Waiting,
    Promised,
}

impl Outgoing {
    /// No command under way. Transaction ids begin somewhere, decided by `seed`.
    pub fn new(settings: OutgoingSettings, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        Self {
            settings,
            first_id: random.random_range(1..=ID_MAX),
            used: 0,
            under_way: HashMap::new(),
            timers: BinaryHeap::new(),
            peers: HashMap::new(),
            paces: HashMap::new(),
            roomy: VecDeque::new(),
            now: Instant::ZERO,
            transmit: VecDeque::new(),
            lost: VecDeque::new(),
            doubted: VecDeque::new(),
            random,
            counters: OutgoingCounters::default(),
        }
    }

    /// Sends a command, with a transaction id of its own in place of the one it has, on the first of
    /// these ways at first.
    ///
    /// # Panics
    /// If there is no way.
    pub fn send(
        &mut self,
        now: Instant,
        ways: Vec<Path>,
        command: Command<'_>,
    ) -> Result<TransactionId, Full> {
        self.send_behind(now, ways, command, Vec::new())
    }

    /// The same, behind others, oldest first. Those of them that are still under way go in front of it,
    /// in the same datagram, each time that it is sent.
    ///
    /// # Panics
    /// If there is no way.
    // RFC 3435 §3.5.5: what is sent together for the sake of order is repeated together.
    pub fn send_behind(
        &mut self,
        now: Instant,
        ways: Vec<Path>,
        mut command: Command<'_>,
        behind: Vec<TransactionId>,
    ) -> Result<TransactionId, Full> {
        if self.under_way.len() >= self.settings.transactions_max {
            self.counters.refused += 1;
            return Err(Full);
        }
        let id = self.next_id();
        command.transaction = id;
        let octets: Arc<[u8]> = command.to_octets().into();
        let remote = ways[0].remote;
        let transaction = Transaction {
            repetition: Repetition::start(now, Duration::ZERO),
            ways,
            way: 0,
            octets,
            behind,
            state: State::Queued,
            first_at: now,
            is_spent: false,
            paced_by: None,
        };
        self.under_way.insert(id, transaction);
        let pace = self.pace(remote);
        pace.queue.push_back(id);
        if pace.has_room() {
            self.make_room_for(now, remote);
        } else {
            self.queue_up(id);
        }
        Ok(id)
    }

    /// More ways have been found: those that were not tried are tried, too.
    pub fn add_ways(&mut self, now: Instant, id: TransactionId, ways: &[Path]) {
        let Some(transaction) = self.under_way.get_mut(&id) else { return };
        let known = transaction.ways.len();
        let new = ways.iter().filter(|way| !transaction.ways.contains(way)).copied().collect::<Vec<_>>();
        transaction.ways.extend(new);
        let may_go = now.since(transaction.first_at) < self.settings.transaction_max;
        if transaction.is_spent && may_go && transaction.ways.len() > known {
            self.go(now, id, known);
        }
    }

    /// Whether all of these are ways of a command already.
    pub fn has_ways(&self, id: TransactionId, ways: &[Path]) -> bool {
        self.under_way
            .get(&id)
            .is_some_and(|transaction| ways.iter().all(|way| transaction.ways.contains(way)))
    }

    /// A new call agent is there: the command goes on there, and no longer where it went.
    // RFC 3435 §4.3: what is outstanding is sent to a new call agent at once, unless T-MAX is over.
    pub fn redirect(&mut self, now: Instant, id: TransactionId, ways: Vec<Path>) {
        let Some(transaction) = self.under_way.get_mut(&id) else { return };
        if ways.is_empty() {
            return;
        }
        transaction.ways = ways;
        transaction.way = 0;
        if now.since(transaction.first_at) < self.settings.transaction_max {
            self.go(now, id, 0);
        }
    }

    /// A response came, from whatever address; 000 is not for here, but for
    /// [`Incoming`](super::Incoming).
    // RFC 3435 §3.5: the response may come from another address than the command went to.
    pub fn receive(&mut self, now: Instant, path: Path, response: &Response<'_>) -> Answer {
        let id = response.transaction;
        let is_final = !response.code.is_provisional();
        if is_final && response.parameters.response_ack.is_some() {
            self.acknowledge(path, id);
        }
        let Some(transaction) = self.under_way.get_mut(&id) else {
            self.counters.strays += 1;
            return Answer::Stray;
        };
        let (to, repetition) = (transaction.path().remote, transaction.repetition);
        let (is_first, delay) = (transaction.state == State::Waiting, now.since(transaction.first_at));
        // Which sending was answered is only certain on the first way, or if that address answers.
        if transaction.state == State::Waiting && (transaction.way == 0 || path.remote == to) {
            self.peer(to).answered(now, &repetition);
        }
        // RFC 3435 §4.4.8: late answers, 101 and 409 say that there is too much to do.
        let pace = self.settings.pace;
        if [ReturnCode::QUEUED, ReturnCode::OVERLOAD].contains(&response.code) {
            self.pace(to).overloaded(now, &pace);
        } else if is_first {
            self.pace(to).answered(now, delay, &pace);
        }
        if is_final {
            self.forget(now, id);
            return Answer::Final;
        }
        self.promise(now, id);
        Answer::Provisional
    }

    /// The command that the network could not deliver to `remote`, going by how the datagram begins that it says
    /// it could not. None of ours if the two do not fit, or if it has been promised an answer.
    // RFC 3435 §4.3 wants such errors to be minded, and their security, too. Anyone can send them: so one is only
    // believed if it quotes what is under way to that very address, down to its number, which cannot be guessed.
    // Who has seen that could as well answer it.
    pub fn undelivered(&self, remote: SocketAddr, quoted: &[u8]) -> Option<TransactionId> {
        let number = quoted.splitn(3, |octet| *octet == b' ').nth(1)?;
        let id = TransactionId(str::from_utf8(number).ok()?.parse().ok()?);
        let transaction = self.under_way.get(&id)?;
        let len = quoted.len().min(transaction.octets.len());
        // The number is followed by more, so all of it has been quoted.
        let is_it =
            quoted[..len] == transaction.octets[..len] && quoted.iter().filter(|b| **b == b' ').count() > 1;
        let is_there = transaction.state == State::Waiting && transaction.path().remote == remote;
        (is_it && is_there && !transaction.is_spent).then_some(id)
    }

    /// A command could not be delivered where it goes: it goes another way at once, if there is one.
    // RFC 3435 §4.3. On its last way it is repeated as if nothing had been said: nobody is disconnected for it.
    pub fn turn_away(&mut self, now: Instant, id: TransactionId) {
        let Some(transaction) = self.under_way.get(&id) else { return };
        let next = transaction.way + 1;
        if next < transaction.ways.len() && now.since(transaction.first_at) < self.settings.transaction_max {
            self.doubt_first(id);
            self.go(now, id, next);
        }
    }

    /// Forgets a command: it is no longer repeated, and its response is a stray.
    pub fn cancel(&mut self, now: Instant, id: TransactionId) {
        self.forget(now, id);
    }

    /// A command that nobody answered in time (§4.3): whoever sent it may be disconnected.
    pub fn poll_lost(&mut self) -> Option<TransactionId> {
        self.lost.pop_front()
    }

    /// A command whose way is in doubt (§4.3): its call agent's name may have other addresses by now.
    pub fn poll_doubt(&mut self) -> Option<(TransactionId, Doubt)> {
        self.doubted.pop_front()
    }

    /// The octets of a command that is under way, to send a copy along with something else.
    pub fn octets(&self, id: TransactionId) -> Option<&[u8]> {
        self.under_way.get(&id).map(|transaction| &*transaction.octets)
    }

    /// Sends commands that wait for room, where there is room now. Not before all that happened is known: what
    /// waits may be cancelled.
    pub fn send_queued(&mut self) {
        while let Some(remote) = self.roomy.pop_front() {
            self.fill(self.now, remote);
        }
    }

    /// Whether another command can be sent.
    pub fn has_room(&self) -> bool {
        self.under_way.len() < self.settings.transactions_max
    }

    /// Whether a command is no longer repeated, or not under way at all.
    pub fn is_spent(&self, id: TransactionId) -> bool {
        self.under_way.get(&id).is_none_or(|transaction| transaction.is_spent)
    }

    /// A datagram to send, written over what `octets` held, and the way it goes.
    pub fn poll_transmit(&mut self, octets: &mut Vec<u8>) -> Option<Path> {
        self.send_queued();
        let (path, datagram) = self.transmit.pop_front()?;
        octets.clear();
        octets.extend_from_slice(&datagram);
        Some(path)
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&Reverse((due, id))) = self.timers.peek() {
            if due > now {
                break;
            }
            self.timers.pop();
            self.handle_timer(now, due, id);
        }
        self.send_queued();
    }

    /// When [`handle_timeout`](Self::handle_timeout) is wanted next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((due, _))| *due)
    }

    /// What has happened so far.
    pub fn counters(&self) -> OutgoingCounters {
        self.counters
    }

    fn handle_timer(&mut self, now: Instant, due: Instant, id: TransactionId) {
        let Some(transaction) = self.under_way.get_mut(&id) else { return };
        if transaction.repetition.due != due {
            return;
        }
        let end = end(&self.settings, transaction);
        if now >= end {
            self.forget(now, id);
            self.counters.lost += 1;
            self.lost.push_back(id);
            return;
        }
        // RFC 3435 §4.3: nothing is repeated once T-MAX is over.
        if now.since(transaction.first_at) >= self.settings.transaction_max {
            return self.only_wait(now, id);
        }
        let (count, has_next) = (transaction.repetition.count, transaction.way + 1 < transaction.ways.len());
        match transaction.state {
            State::Queued => {}
            State::Promised => self.repeat(now, id),
            State::Waiting if has_next && count >= self.settings.suspicion => {
                self.doubt_first(id);
                let next = self.under_way[&id].way + 1;
                self.go(now, id, next);
            }
            State::Waiting if count >= self.settings.disconnection => {
                self.doubted.push_back((id, Doubt::Disconnection));
                self.only_wait(now, id);
            }
            State::Waiting => {
                if count == self.settings.suspicion {
                    self.doubt_first(id);
                }
                self.repeat(now, id);
            }
        }
    }

    /// Says that the first way is in doubt, if that is where the command goes.
    fn doubt_first(&mut self, id: TransactionId) {
        if self.under_way[&id].way == 0 {
            self.doubted.push_back((id, Doubt::Suspicion));
        }
    }

    fn repeat(&mut self, now: Instant, id: TransactionId) {
        let Some(transaction) = self.under_way.get_mut(&id) else { return };
        let peer = self.peers.get(&transaction.path().remote).copied().unwrap_or_default();
        let repetition = &mut transaction.repetition;
        repetition.repeat(now, peer.deviation, &mut self.random);
        if transaction.state == State::Promised {
            repetition.due = now + LONGTRAN;
        }
        self.counters.repeated += 1;
        self.set_out(id);
    }

    /// Goes another way, where nothing has been repeated yet.
    fn go(&mut self, now: Instant, id: TransactionId, way: usize) {
        let Some(transaction) = self.under_way.get_mut(&id) else { return };
        transaction.way = way;
        self.counters.repeated += u64::from(transaction.state != State::Queued);
        self.make_room(now, id);
        self.start(now, id);
    }

    /// Sees to it that a command that was not sent at once is given up like one that is not answered.
    fn queue_up(&mut self, id: TransactionId) {
        if let Some(transaction) = self.under_way.get_mut(&id)
            && transaction.state == State::Queued
        {
            transaction.repetition.due = end(&self.settings, transaction);
            self.timers.push(Reverse((transaction.repetition.due, id)));
        }
    }

    /// Sends commands that wait for room, as far as their peer has it.
    fn fill(&mut self, now: Instant, remote: SocketAddr) {
        while let Some(pace) = self.paces.get_mut(&remote)
            && pace.has_room()
            && let Some(id) = pace.queue.pop_front()
        {
            // It may have gone elsewhere, or be over.
            if let Some(transaction) = self.under_way.get_mut(&id)
                && transaction.state == State::Queued
                && transaction.path().remote == remote
            {
                transaction.first_at = now;
                self.start(now, id);
            }
        }
    }

    /// Sends a command the way it goes, for the first time.
    fn start(&mut self, now: Instant, id: TransactionId) {
        let Some(transaction) = self.under_way.get_mut(&id) else { return };
        let path = transaction.path();
        let peer = self.peers.get(&path.remote).copied().unwrap_or_default();
        transaction.state = State::Waiting;
        transaction.is_spent = false;
        transaction.repetition = Repetition::start(now, peer.timeout());
        transaction.paced_by = Some(path.remote);
        self.pace(path.remote).under_way += 1;
        self.set_out(id);
    }

    /// A command is no longer repeated to its peer: another can be sent there.
    fn make_room(&mut self, now: Instant, id: TransactionId) {
        let paced_by = self.under_way.get_mut(&id).and_then(|transaction| transaction.paced_by.take());
        self.leave(now, paced_by);
    }

    fn leave(&mut self, now: Instant, paced_by: Option<SocketAddr>) {
        let Some(remote) = paced_by else { return };
        self.pace(remote).under_way -= 1;
        self.make_room_for(now, remote);
    }

    fn make_room_for(&mut self, now: Instant, remote: SocketAddr) {
        self.now = now;
        if !self.roomy.contains(&remote) {
            self.roomy.push_back(remote);
        }
    }

    fn forget(&mut self, now: Instant, id: TransactionId) {
        let gone = self.under_way.remove(&id);
        self.leave(now, gone.and_then(|transaction| transaction.paced_by));
    }

    /// Sends a command the way it goes, and sets its timer.
    fn set_out(&mut self, id: TransactionId) {
        let Some(datagram) = self.datagram(id) else { return };
        let Some(transaction) = self.under_way.get_mut(&id) else { return };
        self.transmit.push_back((transaction.path(), datagram));
        let end = end(&self.settings, transaction);
        transaction.repetition.due = transaction.repetition.due.min(end);
        self.timers.push(Reverse((transaction.repetition.due, id)));
    }

    /// A command's octets, with those in front that are to be heard before it.
    fn datagram(&self, id: TransactionId) -> Option<Arc<[u8]>> {
        let transaction = self.under_way.get(&id)?;
        if transaction.behind.iter().all(|other| !self.under_way.contains_key(other)) {
            return Some(transaction.octets.clone());
        }
        let mut all = Piggyback::new(usize::MAX);
        for other in &transaction.behind {
            if let Some(octets) = self.octets(*other) {
                all.push(octets);
            }
        }
        all.push(&transaction.octets);
        Some(all.take().into())
    }

    /// A late response is all that can come of it now.
    fn only_wait(&mut self, now: Instant, id: TransactionId) {
        let Some(transaction) = self.under_way.get_mut(&id) else { return };
        transaction.is_spent = true;
        transaction.repetition.due = end(&self.settings, transaction);
        self.timers.push(Reverse((transaction.repetition.due, id)));
        self.make_room(now, id);
    }

    /// A provisional response came: the final one may take its time.
    // RFC 3435 §3.5.6: from then on the command is repeated at LONGTRAN-TIMER.
    fn promise(&mut self, now: Instant, id: TransactionId) {
        let Some(transaction) = self.under_way.get_mut(&id) else { return };
        // Who promises again and again does not put it off.
        if transaction.state == State::Promised {
            return;
        }
        transaction.state = State::Promised;
        let end = end(&self.settings, transaction);
        transaction.repetition.due = (now + LONGTRAN).min(end);
        self.timers.push(Reverse((transaction.repetition.due, id)));
    }

    /// Says that a final response has come, also when it came before.
    // RFC 3435 §3.5.6: an empty K asks for this; the other side repeats its response until then.
    fn acknowledge(&mut self, path: Path, id: TransactionId) {
        let distance = (id.0 + ID_MAX).wrapping_sub(self.first_id) % ID_MAX;
        if u64::from(distance) < self.used {
            let response = Response::new(ReturnCode::ACKNOWLEDGEMENT, id);
            self.transmit.push_back((path, response.to_octets().into()));
        }
    }

    /// The delay of a peer.
    fn peer(&mut self, remote: SocketAddr) -> &mut RoundTrip {
        if self.peers.len() >= PEERS_MAX && !self.peers.contains_key(&remote) {
            self.peers.clear();
        }
        self.peers.entry(remote).or_default()
    }

    /// The commands of a peer.
    fn pace(&mut self, remote: SocketAddr) -> &mut Pace {
        if self.paces.len() >= PEERS_MAX && !self.paces.contains_key(&remote) {
            // There are never more of the others than commands.
            self.paces.retain(|_, pace| !pace.is_idle());
        }
        self.paces.entry(remote).or_insert_with(|| Pace::new(&self.settings.pace))
    }

    // RFC 3435 §3.2.1.2: an id is free again three minutes after its command is over. In order,
    // that takes a billion commands.
    fn next_id(&mut self) -> TransactionId {
        loop {
            let after_first = (self.used % u64::from(ID_MAX)) as u32;
            let id = TransactionId((self.first_id - 1 + after_first) % ID_MAX + 1);
            self.used += 1;
            if !self.under_way.contains_key(&id) {
                return id;
            }
        }
    }
}

/// When a command is lost.
// RFC 3435 §3.5.6, §4.3: 2 × T-HIST after it was first sent, because until then the response may be under
// way, though nothing is repeated that long.
fn end(settings: &OutgoingSettings, transaction: &Transaction) -> Instant {
    transaction.first_at + settings.response_history * 2
}

#[cfg(test)]
mod tests;
