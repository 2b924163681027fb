//! Sending what [`restart`](crate::endpoint::restart) says is owed: RSIP (RFC 3435 §4.4.6).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use drivers::time::Instant;
use rand::RngExt;
use tracing::{info, warn};

use super::agents::Agents;
use super::{Due, Gateway, agents};
use crate::command::reply::DATAGRAM_MAX;
use crate::command::{auep, conflicts, redirect};
use crate::config::Config;
use crate::endpoint::naming::Named;
use crate::endpoint::restart::{Announcement, Breadth, News, Notice, owed};
use crate::endpoint::{EndpointId, Outage};
use crate::metrics::Counter;
use crate::mgcp::code::ReturnCode;
use crate::mgcp::emit::Piggyback;
use crate::mgcp::message::{Command, Path, Response, TransactionId, Verb};
use crate::mgcp::name::EntityName;
use crate::notified_entity::{Naming, Route, Target};
use crate::package::Packages;
use crate::timer::TimerId;

/// What could not be told is tried again no sooner than this; nor is a redirection followed that comes
/// sooner after the last one, so that call agents that redirect in a circle cause no storm.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What has been told and not been answered.
#[derive(Debug)]
pub(super) struct Announcer {
    /// MWD: the upper bound of the random wait.
    wait_max: Duration,
    /// The wait under way.
    timer: Option<TimerId>,
    /// Whether the wait at the start is over.
    has_begun: bool,
    /// When a redirection was followed last.
    redirected: Option<Instant>,
    /// Whether a command could have to hear of something first: not all that is to be told has been.
    restless: bool,
    pub(super) sent: BTreeMap<TransactionId, Told>,
}

/// An RSIP under way.
#[derive(Debug)]
pub(super) struct Told {
    /// The endpoints that it tells of, in order, as far as they have not been told of again since.
    pub(super) endpoints: Vec<EndpointId>,
    /// Those of them that there is something new to tell of since.
    outdated: BTreeSet<EndpointId>,
    /// Whether they are still all that it names: if not, it goes on to nobody that it has not gone to.
    is_whole: bool,
    /// What it names them by.
    named: Named,
    /// Whom it tells.
    pub(super) target: Target,
}

impl Told {
    /// Whether it may go on these ways as it is.
    pub(super) fn may_go(&self, agents: &Agents, ways: &[Path]) -> bool {
        let is_range = matches!(self.named, Named::Timeslots(..) | Named::Spans(..));
        self.is_whole && (!is_range || take_ranges(agents, ways))
    }
}

/// Whether ranges are understood wherever a message goes that has these ways.
// RFC 3435 §E.5: nobody is taken to know them. What goes on to the next way is the same message.
fn take_ranges(agents: &Agents, ways: &[Path]) -> bool {
    ways.iter().all(|way| agents.of(way.remote.ip()).is_some_and(|agent| agent.ranges))
}

/// What is left of all that is owed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Rest {
    Nothing,
    /// What waits for an address that is being looked up.
    Asked,
    /// What has to be tried again.
    Later,
}

impl Announcer {
    pub(super) fn new(wait_max: Duration) -> Self {
        Self {
            wait_max,
            timer: None,
            has_begun: false,
            redirected: None,
            restless: false,
            sent: BTreeMap::new(),
        }
    }

    /// Whether the wait at the start is under way.
    pub(super) fn is_beginning(&self) -> bool {
        !self.has_begun
    }

    /// Whether all that was told has been answered.
    pub(super) fn is_settled(&self) -> bool {
        self.sent.is_empty()
    }
}

impl Gateway {
    /// Begins with a random wait, so that gateways that come up together do not speak together.
    // RFC 3435 §4.1: what is configured for many endpoints is copied to each of them.
    pub(super) fn begin(&mut self, now: Instant, config: &Config) {
        // The first call agent that has an endpoint is its notified entity, so it comes last here.
        for agent in config.call_agents.iter().rev() {
            let own = agents::endpoints(agent, &self.state.endpoints);
            let named = agent.name.as_deref().or(config.mgcp.notified_entity.as_deref());
            self.name_at_start(named, |id| own[id.0 as usize]);
        }
        let nobody = |id: EndpointId| self.state.endpoints[id].control.notified.is_nobody();
        let rest: BTreeSet<_> = self.state.endpoints.ids().filter(|id| nobody(*id)).collect();
        self.name_at_start(config.mgcp.notified_entity.as_deref(), |id| rest.contains(&id));
        if !self.announcer.restless {
            return;
        }
        let wait = self.draw(self.announcer.wait_max);
        self.announce_at(now + wait);
    }

    fn name_at_start(&mut self, name: Option<&str>, has: impl Fn(EndpointId) -> bool) {
        let Some(name) = name else { return };
        let name =
            name.parse::<EntityName>().inspect_err(|error| warn!(name, %error, "notified entity")).ok();
        for id in self.state.endpoints.ids().filter(|id| has(*id)) {
            let control = &mut self.state.endpoints[id].control;
            control.notified.set_name(name.clone());
            control.announcement = Announcement::Owed;
            self.announcer.restless = true;
        }
    }

    /// Changes endpoints' service state. Out of service, all that went on there is lost (§2.3.12).
    pub(super) fn set_outage(&mut self, now: Instant, endpoints: &[EndpointId], outage: Option<Outage>) {
        let mut lost = 0;
        let mut halves = Vec::new();
        let mut changed = Vec::new();
        for id in endpoints.iter().copied() {
            // A span whose driver has failed does not come back.
            let before = self.state.endpoints[id].outage;
            if before == outage || before == Some(Outage::Failure) && outage != Some(Outage::Shutdown) {
                continue;
            }
            if outage.is_some() {
                for execution in self.state.making(id) {
                    self.abort(now, execution, ReturnCode::ENDPOINT_NOT_READY);
                }
                let ended = self.state.end_all(id, None);
                lost += ended.connections;
                halves.extend(ended.halves);
            }
            let endpoint = &mut self.state.endpoints[id];
            endpoint.outage = outage;
            endpoint.control.news = if outage.is_some() { News::Forced } else { News::Restart };
            changed.push(id);
        }
        self.owe(&changed);
        self.counters.add(Counter::ConnectionsLost, lost as u64);
        if let Some(outage) = outage {
            self.end_halves(now, &halves, outage);
        }
    }

    /// There is the same to tell of those of these endpoints that are in service.
    pub(super) fn tell_news(&mut self, endpoints: &[EndpointId], news: News) {
        let mut changed = Vec::new();
        for id in endpoints {
            let endpoint = &mut self.state.endpoints[*id];
            if endpoint.outage.is_none() {
                endpoint.control.news = news;
                changed.push(*id);
            }
        }
        self.owe(&changed);
    }

    /// There is something new to tell of these endpoints, which are in order.
    // RFC 3435 §2.3.12: the last that a call agent hears of an endpoint is what it takes for its state. An
    // RSIP that also tells of others goes on being repeated, and could overtake what is told of a part of
    // them; so that waits for the answer to it, or for the end of its repetitions.
    fn owe(&mut self, endpoints: &[EndpointId]) {
        let is_among = |id: &EndpointId| endpoints.binary_search(id).is_ok();
        let mut told_of_others: BTreeMap<TransactionId, bool> = BTreeMap::new();
        for id in endpoints {
            let control = &mut self.state.endpoints[*id].control;
            if control.notified.is_nobody() {
                continue;
            }
            self.announcer.restless = true;
            if let Announcement::Sent(transaction) = control.announcement
                && let Some(told) = self.announcer.sent.get_mut(&transaction)
                && !self.outgoing.is_spent(transaction)
                && *told_of_others.entry(transaction).or_insert_with(|| !told.endpoints.iter().all(is_among))
            {
                told.outdated.insert(*id);
            } else {
                control.announcement = Announcement::Owed;
            }
        }
    }

    /// Before anything else is said of an endpoint, its call agent is told of its service state. What
    /// responses to the command are to come behind: an endpoint for each RSIP under way.
    ///
    /// # Errors
    /// 405 if there is something to tell that cannot be told now.
    // RFC 3435 §4.4.6, §4.4.7: a command ends the wait. One for an endpoint whose RSIP was refused or
    // never answered begins the procedure anew. While one is still repeated, it does for both. What one RSIP
    // told and nobody heard is told in one again, not endpoint by endpoint as commands come.
    pub(super) fn announce_first(
        &mut self,
        now: Instant,
        path: Path,
        command: &Command<'_>,
    ) -> Result<Vec<EndpointId>, ReturnCode> {
        let audits = matches!(command.verb, Verb::AuditEndpoint | Verb::AuditConnection);
        if audits || !self.announcer.restless {
            return Ok(Vec::new());
        }
        let meant = conflicts::concerned(&self.state, command);
        let mut owed = false;
        let mut deaf: Vec<Target> = Vec::new();
        let mut spent: Vec<TransactionId> = Vec::new();
        for id in meant.iter().copied() {
            let control = &mut self.state.endpoints[id].control;
            match control.announcement {
                Announcement::Refused => control.announcement = Announcement::Owed,
                Announcement::Sent(told) if self.outgoing.is_spent(told) => {
                    control.announcement = Announcement::Owed;
                    if !spent.contains(&told) {
                        spent.push(told);
                    }
                }
                Announcement::Unheard => {
                    let target = control.notified.target();
                    deaf.extend(target.filter(|target| !deaf.contains(target)));
                }
                Announcement::Owed | Announcement::Settled | Announcement::Sent(_) => {}
            }
            owed |= control.announcement == Announcement::Owed;
        }
        for told in spent {
            self.owe_unheard(told);
        }
        if !deaf.is_empty() {
            self.owe_again(&deaf);
        }
        // Who understands no RSIP is told none, and waits for none.
        let understands = self.agents.takes_rsip(path);
        if owed || !deaf.is_empty() {
            self.announce(now, understands.then_some(path));
        }
        if understands { self.ahead_of(&meant) } else { Ok(Vec::new()) }
    }

    /// All that an RSIP told is to be told again.
    pub(super) fn owe_unheard(&mut self, transaction: TransactionId) {
        let endpoints = self.announcer.sent.get(&transaction).map(|told| &told.endpoints[..]);
        for id in endpoints.unwrap_or_default() {
            let control = &mut self.state.endpoints[*id].control;
            if control.announcement == Announcement::Sent(transaction) {
                control.announcement = Announcement::Owed;
            }
        }
    }

    /// An endpoint for each RSIP that is under way for these.
    fn ahead_of(&self, endpoints: &[EndpointId]) -> Result<Vec<EndpointId>, ReturnCode> {
        let mut told = Vec::new();
        let mut ahead = Vec::new();
        for id in endpoints {
            match self.state.endpoints[*id].control.announcement {
                Announcement::Sent(transaction) if !told.contains(&transaction) => {
                    told.push(transaction);
                    ahead.push(*id);
                }
                // RFC 3435 §4.4.6: 405 needs no RSIP ahead of it.
                Announcement::Owed => return Err(ReturnCode::RESTARTING),
                _ => {}
            }
        }
        Ok(ahead)
    }

    /// Puts the RSIPs that are under way for these endpoints ahead of a response to someone.
    // RFC 3435 §4.4.6: the first that a call agent sees of an endpoint is RSIP, also when a response is
    // sent again; and it may ask from elsewhere than where the notified entity is (§4.4.7).
    pub(super) fn put_ahead(&self, endpoints: &[EndpointId], response: &mut Vec<u8>) {
        let mut all = Piggyback::new(DATAGRAM_MAX);
        let mut done = Vec::new();
        for id in endpoints {
            if let Announcement::Sent(transaction) = self.state.endpoints[*id].control.announcement
                && !done.contains(&transaction)
                && let Some(rsip) = self.outgoing.octets(transaction)
            {
                done.push(transaction);
                all.push(rsip);
            }
        }
        // A response that leaves no room follows the RSIP in a datagram of its own.
        if !done.is_empty() && all.push(response) {
            *response = all.take();
        }
    }

    /// Tells what is owed, unless the wait at the start is under way.
    pub(super) fn announce_unless_starting(&mut self, now: Instant) {
        if self.announcer.has_begun || self.announcer.timer.is_none() {
            self.announce(now, None);
        }
    }

    /// Tells what is owed, as far as those it is owed to can be reached. A call agent that has just
    /// spoken can do `instead` of one that nobody knows the address of, for what it controls.
    pub(super) fn announce(&mut self, now: Instant, instead: Option<Path>) {
        if let Some(timer) = self.announcer.timer.take() {
            self.timers.cancel(timer);
        }
        self.announcer.has_begun = true;
        self.forgive();
        let mut rest = self.tell_owed(now, None);
        // RSIP of endpoints that are another call agent's does not go to this one. So where one message for both
        // has no way, it is told in one of its own.
        if rest > Rest::Nothing && instead.is_some() {
            rest = rest.max(self.tell_owed(now, instead));
        }
        if rest == Rest::Later && self.owes() {
            self.announce_later(now);
        }
        // What was kept while its endpoint was disconnected goes behind that.
        self.teller.retry();
        self.look_around();
    }

    /// Where there is nobody to tell any more, nothing is owed.
    // Whoever was named may have been so by a command that came to nothing, or by a list that is empty now.
    fn forgive(&mut self) {
        for id in self.state.endpoints.ids() {
            let control = &mut self.state.endpoints[id].control;
            if control.notified.is_nobody() && !matches!(control.announcement, Announcement::Sent(_)) {
                control.announcement = Announcement::Settled;
            }
        }
    }

    /// Tells what is owed to those who can be reached; or, of what someone controls who speaks `instead` of
    /// those who cannot be, all of it. What is left.
    fn tell_owed(&mut self, now: Instant, instead: Option<Path>) -> Rest {
        let mut rest = Rest::Nothing;
        for notice in self.owed(now, instead.is_some()) {
            let heard = self.state.endpoints[notice.endpoints[0]].control.notified.heard_by();
            let ways = match (self.directory.route(now, &notice.target, heard), instead) {
                (Route::Ways(ways), _) => ways,
                (Route::Asked | Route::Nowhere, Some(instead)) => vec![instead],
                (Route::Asked, None) => {
                    rest = rest.max(Rest::Asked);
                    continue;
                }
                (Route::Nowhere, None) => {
                    rest = Rest::Later;
                    continue;
                }
            };
            let ways = self.agents.taking_rsip(ways);
            if ways.is_empty() {
                for id in notice.endpoints {
                    self.state.endpoints[id].control.announcement = Announcement::Settled;
                }
            } else if !self.tell(now, ways, notice) {
                return Rest::Later;
            }
        }
        rest
    }

    /// The messages that are owed; of those endpoints alone that whoever speaks may control, if `its` are meant.
    fn owed(&mut self, now: Instant, its: bool) -> Vec<Notice> {
        let Self { state, directory, agents, .. } = self;
        // RFC 3435 §E.5: a bracket in names with ranges is none but a range's.
        let is_plain = |notice: &Notice| {
            let domain = notice.called.as_ref().map_or(&state.settings.name, |called| &called.domain);
            !domain.contains('[')
        };
        let is_meant = |id| !its || state.may_control(id);
        owed(&state.endpoints, is_meant, |notice| {
            let heard = state.endpoints[notice.endpoints[0]].control.notified.heard_by();
            let Route::Ways(ways) = directory.route(now, &notice.target, heard) else { return false };
            is_plain(notice) && take_ranges(agents, &agents.taking_rsip(ways))
        })
    }

    fn owes(&self) -> bool {
        let mut all = self.state.endpoints.iter();
        all.any(|(_, endpoint)| endpoint.control.announcement == Announcement::Owed)
    }

    /// What has been answered.
    pub(super) fn answered(&mut self, now: Instant, response: &Response<'_>) {
        let Some(Told { endpoints, outdated, named, target, .. }) =
            self.announcer.sent.remove(&response.transaction)
        else {
            return;
        };
        let code = response.code;
        let redirected = code == ReturnCode::REDIRECTED || (300..400).contains(&code.0);
        let naming = naming_in(&self.state.packages, response);
        info!(%code, endpoints = endpoints.len(), "RSIP answered");
        let breadth = if naming.is_none() { Breadth::after(named, code) } else { None };
        for id in &endpoints {
            let control = &mut self.state.endpoints[*id].control;
            control.breadth = breadth.unwrap_or(control.breadth);
        }
        let is_tried_again = code.is_transient() || breadth.is_some();
        let was_disconnected =
            |id: &EndpointId| matches!(self.state.endpoints[*id].control.news, News::Disconnected { .. });
        let then = match (&naming, redirected) {
            (Some(_), true) => Announcement::Owed,
            (Some(_), false) if code.is_transient() => Announcement::Owed,
            _ if code.is_success() => Announcement::Settled,
            // RFC 3435 §4.4.7: after an error, disconnected endpoints wait as if there had been no answer.
            _ if is_tried_again && endpoints.iter().any(was_disconnected) => Announcement::Unheard,
            _ if is_tried_again => Announcement::Owed,
            _ => Announcement::Refused,
        };
        for id in endpoints.iter().copied() {
            let control = &mut self.state.endpoints[id].control;
            // RFC 3435 §2.3.12: whatever the answer, it may name another call agent.
            if let Some(naming) = &naming {
                control.redirect(naming);
            }
            if control.announcement == Announcement::Sent(response.transaction) {
                control.announcement = if outdated.contains(&id) { Announcement::Owed } else { then };
                if then == Announcement::Settled {
                    if !outdated.contains(&id) && matches!(control.news, News::Disconnected { .. }) {
                        control.news = News::Restart;
                    }
                    control.notify.handle_reconnected(now);
                    self.state.stirred.push(id);
                }
            }
        }
        if then == Announcement::Unheard {
            let is_unheard =
                |id: &EndpointId| self.state.endpoints[*id].control.announcement == Announcement::Unheard;
            let unheard: Vec<_> = endpoints.iter().copied().filter(is_unheard).collect();
            self.disconnected(now, &unheard);
        }
        if naming.is_some() {
            self.follow_endpoints(now, &endpoints);
        }
        self.teller.retry();
        if code.is_success() {
            self.end_silence(now, &target);
        }
        let is_owed = then == Announcement::Owed;
        // What is new has waited for this answer, and does not wait for what is tried again.
        let is_next = if redirected && is_owed { self.may_follow(now) } else { !outdated.is_empty() };
        if is_next {
            self.announce(now, None);
        } else if is_owed {
            self.announce_later(now);
        }
        self.look_around();
    }

    /// Whether a redirection is followed at once.
    fn may_follow(&mut self, now: Instant) -> bool {
        let may = self.announcer.redirected.is_none_or(|last| now.since(last) >= RETRY_AFTER);
        if may {
            self.announcer.redirected = Some(now);
        }
        may
    }

    /// Sends one RSIP; `false` if too much is under way already.
    fn tell(&mut self, now: Instant, ways: Vec<Path>, notice: Notice) -> bool {
        let name = self.state.name_of(notice.named, notice.called.as_deref());
        let mut command = Command::new(Verb::RestartInProgress, TransactionId(0), name);
        command.parameters.restart_method = Some(notice.news.method());
        command.parameters.restart_delay_s = notice.news.delay_s(now);
        command.parameters.reason = notice.outage.map(|outage| auep::reason(Some(outage)));
        self.forget_told(now, &notice.endpoints);
        let endpoint = command.endpoint.to_string();
        let to = ways[0].remote;
        command.version = self.agents.version(to.ip());
        let Ok(transaction) = self.outgoing.send(now, ways, command) else { return false };
        let outage = notice.outage.map(Outage::name);
        info!(%endpoint, %to, method = notice.news.method().name(), outage, "RSIP");
        self.counters.count(Counter::Announced);
        for id in &notice.endpoints {
            self.state.endpoints[*id].control.announcement = Announcement::Sent(transaction);
        }
        let Notice { endpoints, named, target, .. } = notice;
        let told = Told { endpoints, outdated: BTreeSet::new(), is_whole: true, named, target };
        self.announcer.sent.insert(transaction, told);
        true
    }

    /// What was told of these endpoints before is out of date: it is no longer repeated, once all that
    /// it tells of has changed.
    pub(super) fn forget_told(&mut self, now: Instant, endpoints: &[EndpointId]) {
        let outgoing = &mut self.outgoing;
        self.announcer.sent.retain(|transaction, told| {
            let before = told.endpoints.len();
            told.endpoints.retain(|id| endpoints.binary_search(id).is_err());
            told.is_whole &= told.endpoints.len() == before;
            if told.endpoints.is_empty() {
                outgoing.cancel(now, *transaction);
            }
            !told.endpoints.is_empty()
        });
    }

    /// Sees whether a command could have to hear of something first.
    pub(super) fn look_around(&mut self) {
        let mut all = self.state.endpoints.iter();
        self.announcer.restless =
            all.any(|(_, endpoint)| endpoint.control.announcement != Announcement::Settled);
    }

    fn announce_later(&mut self, now: Instant) {
        if self.announcer.timer.is_none() && self.phase.is_up() {
            let wait = RETRY_AFTER + self.draw(self.announcer.wait_max);
            self.announce_at(now + wait);
        }
    }

    fn announce_at(&mut self, at: Instant) {
        self.announcer.timer = Some(self.timers.set(at, Due::Announce));
    }

    fn draw(&mut self, max: Duration) -> Duration {
        let nanos = u64::try_from(max.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.state.rng.random_range(0..=nanos))
    }
}

/// Whom a response names as the notified entity, if it names anyone.
// RFC 3991 §2.1: by N, or by a list of names. What cannot be read is not there.
pub(super) fn naming_in(packages: &Packages, response: &Response<'_>) -> Option<Naming> {
    let naming = redirect::naming(packages, &response.parameters).ok()?;
    let name = naming.name.filter(Option::is_some);
    (name.is_some() || naming.list.is_some()).then_some(Naming { name, list: naming.list })
}
