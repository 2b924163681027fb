//! Sending what endpoints have to tell: NTFY (RFC 3435 §2.3.4, §4.4.1), RSIP of lockstep (RFC 3992 §2.2), and
//! DLCX of connections that the gateway has ended (RFC 3435 §2.3.8).
//!
//! What is to be told waits until all else has been sent, so that the answer to a request comes before the
//! notification that follows from it. What cannot be sent yet is held, and tried again when something has
//! changed: a name is known, a command of ours is over.

use std::collections::{BTreeMap, VecDeque};

use dataplane::link::ConnectionStats;
use drivers::time::Instant;
use tracing::{debug, warn};

use super::announce::naming_in;
use super::farewell::Farewell;
use super::{Gateway, OUTGOING_MORE};
use crate::command::reply::{DATAGRAM_MAX, parameters_of};
use crate::command::state::State;
use crate::command::{notification, redirect};
use crate::endpoint::EndpointId;
use crate::endpoint::naming::Named;
use crate::endpoint::notify::{Notification, NotificationId};
use crate::endpoint::restart::Announcement;
use crate::metrics::Counter;
use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::{Command, Path, Reason, Response, RestartMethod, TransactionId, Verb};
use crate::notified_entity::{Route, Target};

/// How often a notification follows redirections: call agents may redirect in a circle, or to themselves.
const REDIRECTIONS_MAX: u8 = 4;

/// What is on its way to call agents.
#[derive(Debug)]
pub(super) struct Teller {
    /// How many may be sent at a time: the rest of what the gateway may have under way is for RSIP.
    sent_max: usize,
    /// How many that are no notifications may wait. Of those, endpoints keep no more than a few each.
    others_max: usize,
    /// How many were dropped for that.
    dropped: u64,
    /// To be sent, oldest first.
    waiting: VecDeque<Item>,
    /// What could not be sent yet, oldest first.
    held: VecDeque<Item>,
    /// Sent, and not yet answered.
    sent: BTreeMap<TransactionId, Sent>,
    /// Those of them that are notifications.
    of_endpoints: BTreeMap<(EndpointId, NotificationId), TransactionId>,
}

/// One thing to be told.
#[derive(Debug)]
struct Item {
    endpoint: EndpointId,
    what: What,
    since: Instant,
    /// How often it was redirected.
    redirections: u8,
}

#[derive(Debug)]
enum What {
    Events(Notification),
    Lockstep,
    /// A connection that the gateway has ended, and what it had seen.
    Farewell(Farewell, Box<ConnectionStats>),
}

impl What {
    /// Whether who understands no RSIP does not understand it either, and finds it out by himself.
    const fn is_like_rsip(&self) -> bool {
        match self {
            Self::Events(_) => false,
            Self::Lockstep | Self::Farewell(..) => true,
        }
    }
}

#[derive(Debug)]
struct Sent {
    item: Item,
    target: Target,
}

/// How something is sent.
struct Way {
    ways: Vec<Path>,
    target: Target,
    /// What goes in front of it, oldest first.
    behind: Vec<TransactionId>,
}

/// Why something is not sent.
enum Obstacle {
    /// It can be, later.
    Later,
    /// It cannot be.
    Never,
    /// Nobody would understand it.
    Pointless,
}

impl Teller {
    /// Nothing to tell of so many endpoints.
    pub(super) fn new(endpoints: usize) -> Self {
        Self {
            sent_max: endpoints + OUTGOING_MORE,
            others_max: 4 * endpoints + OUTGOING_MORE,
            dropped: 0,
            waiting: VecDeque::new(),
            held: VecDeque::new(),
            sent: BTreeMap::new(),
            of_endpoints: BTreeMap::new(),
        }
    }

    /// How many were dropped because too many waited.
    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether another may be sent.
    fn has_room(&self) -> bool {
        self.sent.len() < self.sent_max
    }

    /// Takes a notification.
    pub(super) fn notify(&mut self, now: Instant, endpoint: EndpointId, notification: Notification) {
        self.wait(Item { endpoint, what: What::Events(notification), since: now, redirections: 0 });
    }

    /// Takes the news that an endpoint has been in lockstep for long.
    pub(super) fn report_lockstep(&mut self, now: Instant, endpoint: EndpointId) {
        self.wait(Item { endpoint, what: What::Lockstep, since: now, redirections: 0 });
    }

    /// Takes the news that a connection has been ended.
    pub(super) fn farewell(&mut self, now: Instant, farewell: Farewell, stats: ConnectionStats) {
        let (endpoint, what) = (farewell.endpoint, What::Farewell(farewell, Box::new(stats)));
        self.wait(Item { endpoint, what, since: now, redirections: 0 });
    }

    /// Tries again what is held.
    pub(super) fn retry(&mut self) {
        while let Some(item) = self.held.pop_back() {
            self.waiting.push_front(item);
        }
    }

    /// Whom a command of these is for.
    pub(super) fn target_of(&self, transaction: TransactionId) -> Option<&Target> {
        self.sent.get(&transaction).map(|sent| &sent.target)
    }

    /// The commands of these that are under way, whom they are for, and whether only who understands RSIP
    /// understands them.
    pub(super) fn targets(&self) -> impl Iterator<Item = (TransactionId, &Target, bool)> {
        self.sent
            .iter()
            .map(|(transaction, Sent { item, target })| (*transaction, target, item.what.is_like_rsip()))
    }

    fn wait(&mut self, item: Item) {
        let is_full = self.waiting.len() + self.held.len() >= self.others_max;
        if is_full && !matches!(item.what, What::Events(_)) {
            self.dropped += 1;
            return;
        }
        self.waiting.push_back(item);
    }

    fn take(&mut self, transaction: TransactionId) -> Option<Sent> {
        let sent = self.sent.remove(&transaction)?;
        if let What::Events(notification) = &sent.item.what {
            self.of_endpoints.remove(&(sent.item.endpoint, notification.id));
        }
        Some(sent)
    }

    /// The notifications of an endpoint that are under way.
    fn of_endpoint(&self, id: EndpointId) -> Vec<TransactionId> {
        let all = (id, NotificationId(0))..=(id, NotificationId(u32::MAX));
        self.of_endpoints.range(all).map(|(_, transaction)| *transaction).collect()
    }
}

impl Gateway {
    /// Sends what waits, as far as it can be sent.
    pub(super) fn send_notifications(&mut self) {
        let now = self.state.now;
        // With all that may be under way, the rest stays where it is.
        while self.teller.has_room()
            && self.outgoing.has_room()
            && let Some(item) = self.teller.waiting.pop_front()
        {
            let way = match self.way_for(now, &item) {
                // RFC 3435 §4.4.7: what is older is of no use to anybody.
                _ if now.since(item.since) >= self.transaction_max => Err(Obstacle::Never),
                way => way,
            };
            match way {
                Ok(way) => self.send_on(now, way, item),
                Err(Obstacle::Later) => self.teller.held.push_back(item),
                Err(Obstacle::Pointless) => {}
                Err(Obstacle::Never) => {
                    let id = self.undelivered(&item);
                    // Who is disconnected already keeps to its procedure.
                    let announcement = self.state.endpoints[id].control.announcement;
                    if matches!(announcement, Announcement::Settled | Announcement::Refused) {
                        self.disconnected(now, &[id]);
                    }
                }
            }
        }
    }

    /// A command of these has been answered; `false` if it was none of these.
    pub(super) fn notification_answered(&mut self, now: Instant, response: &Response<'_>) -> bool {
        let Some(Sent { mut item, target }) = self.teller.take(response.transaction) else { return false };
        let id = item.endpoint;
        let code = response.code;
        let redirects = code == ReturnCode::REDIRECTED || (300..400).contains(&code.0);
        let naming = naming_in(&self.state.packages, response).filter(|_| redirects);
        // RFC 3435 §2.4: only for RSIP is it said what a redirection does. Here it does the same.
        if let Some(naming) = naming {
            self.state.endpoints[id].control.redirect(&naming);
            self.follow_endpoints(now, &[id]);
            if item.redirections < REDIRECTIONS_MAX {
                item.redirections += 1;
                self.teller.waiting.push_front(item);
                return true;
            }
            warn!(transaction = response.transaction.0, "NTFY is redirected in a circle");
        }
        if let What::Events(notification) = &item.what {
            self.state.endpoints[id].control.notify.handle_answered(now, notification.id);
            self.state.stirred.push(id);
        }
        self.teller.retry();
        self.end_silence(now, &target);
        true
    }

    /// The endpoint that has told something which nobody has answered.
    pub(super) fn notification_lost(&mut self, transaction: TransactionId) -> Option<EndpointId> {
        let Sent { item, .. } = self.teller.take(transaction)?;
        Some(self.undelivered(&item))
    }

    /// A command may have given its endpoints another notified entity: their notifications go there.
    // RFC 3435 §4.3, §4.4.1: what is outstanding follows endpoints that are redirected.
    pub(super) fn follow_notifications(&mut self, now: Instant, command: &Command<'_>) {
        if !self.teller.of_endpoints.is_empty() {
            let endpoints = redirect::affected(&self.state, command);
            self.follow_endpoints(now, &endpoints);
        }
    }

    /// The same, for these endpoints only.
    pub(super) fn follow_endpoints(&mut self, now: Instant, endpoints: &[EndpointId]) {
        for id in endpoints {
            for transaction in self.teller.of_endpoint(*id) {
                self.follow_one(now, *id, transaction);
            }
        }
    }

    fn follow_one(&mut self, now: Instant, id: EndpointId, transaction: TransactionId) {
        let notified = &self.state.endpoints[id].control.notified;
        let Some(sent) = self.teller.sent.get_mut(&transaction) else { return };
        let Some(target) = notified.target().filter(|target| *target != sent.target) else { return };
        match self.directory.route(now, &target, notified.heard_by()) {
            Route::Ways(ways) => {
                sent.target = target;
                self.outgoing.redirect(now, transaction, ways);
            }
            Route::Asked => {
                self.outgoing.cancel(now, transaction);
                let taken = self.teller.take(transaction);
                self.teller.held.extend(taken.map(|sent| sent.item));
            }
            Route::Nowhere => {}
        }
    }

    /// How something can be sent now.
    fn way_for(&mut self, now: Instant, item: &Item) -> Result<Way, Obstacle> {
        let id = item.endpoint;
        let is_owed = self.state.endpoints[id].control.announcement == Announcement::Owed;
        // RFC 3435 §4.4.6: the first that is heard of an endpoint is RSIP; an event ends the wait for it.
        if is_owed && self.announcer.is_beginning() {
            self.announce(now, None);
        }
        let control = &self.state.endpoints[id].control;
        match control.announcement {
            // RFC 3435 §4.4.7: what is to be told while disconnected is not dropped for T-MAX. There is no
            // more than one such of an endpoint, because it stays in the notification state meanwhile.
            Announcement::Owed | Announcement::Unheard => return Err(Obstacle::Later),
            Announcement::Settled | Announcement::Sent(_) | Announcement::Refused => {}
        }
        let behind = self.behind(item)?;
        let target = control.notified.target().ok_or(Obstacle::Never)?;
        let ways = match self.directory.route(now, &target, control.notified.heard_by()) {
            Route::Ways(ways) => ways,
            Route::Asked => return Err(Obstacle::Later),
            Route::Nowhere => return Err(Obstacle::Never),
        };
        let ways = if item.what.is_like_rsip() { self.agents.taking_rsip(ways) } else { ways };
        // RFC 3435 §4.4.1 f: who takes one message at a time, and what is too long, has to wait.
        let agent = self.agents.of(ways.first().ok_or(Obstacle::Pointless)?.remote.ip());
        let is_alone = agent.is_some_and(|agent| !agent.piggyback) || !self.fits_behind(item, &behind);
        // RSIP may have taken the last place.
        if !self.outgoing.has_room() || is_alone && !behind.is_empty() {
            return Err(Obstacle::Later);
        }
        Ok(Way { ways, target, behind })
    }

    /// What is to be heard before something, as far as it is under way: RSIP, and older notifications.
    fn behind(&self, item: &Item) -> Result<Vec<TransactionId>, Obstacle> {
        let control = &self.state.endpoints[item.endpoint].control;
        let mut behind = Vec::new();
        if let Announcement::Sent(rsip) = control.announcement {
            behind.push(rsip);
        }
        if let What::Events(notification) = &item.what {
            for older in &notification.after {
                match self.teller.of_endpoints.get(&(item.endpoint, *older)) {
                    Some(transaction) => behind.push(*transaction),
                    None if control.notify.is_under_way(*older) => return Err(Obstacle::Later),
                    None => {}
                }
            }
        }
        behind.retain(|transaction| self.outgoing.octets(*transaction).is_some());
        Ok(behind)
    }

    /// Whether a datagram holds it together with what is to be heard before it.
    fn fits_behind(&self, item: &Item, behind: &[TransactionId]) -> bool {
        let ahead = behind.iter().filter_map(|transaction| self.outgoing.octets(*transaction));
        let ahead: usize = ahead.map(|octets| octets.len() + DOT).sum();
        behind.is_empty()
            || ahead + with_command(&self.state, item, |command| command.to_octets().len()) <= DATAGRAM_MAX
    }

    fn send_on(&mut self, now: Instant, way: Way, item: Item) {
        let Way { ways, target, behind } = way;
        let to = ways[0].remote;
        let counter = match &item.what {
            What::Events(_) => Counter::Notified,
            What::Lockstep => Counter::Announced,
            What::Farewell(..) => Counter::Farewells,
        };
        let Self { state, outgoing, agents, .. } = self;
        let version = agents.version(to.ip());
        let sent = with_command(state, &item, |mut command| {
            command.version = version;
            debug!(verb = %command.verb, endpoint = %command.endpoint, %to, "told");
            outgoing.send_behind(now, ways, command, behind)
        });
        let transaction = sent.expect("a way was found only where there is room for a transaction");
        self.counters.count(counter);
        if let What::Events(notification) = &item.what {
            self.teller.of_endpoints.insert((item.endpoint, notification.id), transaction);
        }
        self.teller.sent.insert(transaction, Sent { item, target });
    }

    /// Something will never be heard: whose it was.
    fn undelivered(&mut self, item: &Item) -> EndpointId {
        if let What::Events(notification) = &item.what {
            if let Some(n) = self.counters.count_seldom(Counter::NotificationsLost) {
                let endpoint = self.state.name_of(Named::Endpoint(item.endpoint), None);
                warn!(%endpoint, n, "a notification has reached nobody");
            }
            self.state.endpoints[item.endpoint].control.notify.handle_lost(notification.id);
        }
        self.teller.retry();
        item.endpoint
    }
}

/// The command that tells it, but for its transaction.
fn with_command<T>(state: &State, item: &Item, then: impl FnOnce(Command<'_>) -> T) -> T {
    let called = state.endpoints[item.endpoint].control.called.as_deref();
    let name = state.name_of(Named::Endpoint(item.endpoint), called);
    match &item.what {
        What::Events(notification) => {
            let text = notification::observed(&notification.observed);
            let mut command = Command::new(Verb::Notify, TransactionId(0), name);
            command.parameters.request = Some(Some(notification.identifier));
            command.parameters.observed_events = Some(&text);
            command.parameters.notified_entity = notification.notified_entity.clone();
            then(command)
        }
        What::Lockstep => {
            let mut command = Command::new(Verb::RestartInProgress, TransactionId(0), name);
            command.parameters.restart_method = Some(RestartMethod::Other("LCK/lockstep"));
            then(command)
        }
        // RFC 3435 §2.3.8: the endpoint's whole name; call, connection, why, and what it has seen.
        What::Farewell(farewell, stats) => {
            let mut command = Command::new(Verb::DeleteConnection, TransactionId(0), name);
            let code = farewell.reason;
            command.parameters.call = Some(farewell.call);
            command.parameters.connections = Some(vec![farewell.connection]);
            command.parameters.reason = Some(Reason { code, package: None, text: code.commentary() });
            command.parameters.connection_parameters = Some(parameters_of(stats));
            then(command)
        }
    }
}

/// A dot on a line, and room for a transaction's number, which is given last.
const DOT: usize = ".\r\n".len() + "999999999".len();
