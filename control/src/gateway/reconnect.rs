//! Call agents that do not answer, have moved, or are back: RFC 3435 §4.3, §4.4.7, RFC 3991 §2.3.
//!
//! A command of ours that is lost leaves its endpoints *disconnected*. Their calls stay up. From time to
//! time, ever less often, their call agent is told that they are; a command from any call agent has it told
//! at once. Endpoints of one call agent do this together, with one timer.

use std::time::Duration;

use drivers::time::Instant;
use rand::RngExt;
use tracing::{info, warn};

use super::stop::Phase;
use super::{Due, Gateway};
use crate::command::redirect;
use crate::endpoint::EndpointId;
use crate::endpoint::restart::{Announcement, Breadth, News};
use crate::endpoint::table::Table;
use crate::metrics::Counter;
use crate::mgcp::message::{Command, Path, TransactionId};
use crate::mgcp::transaction::Doubt;
use crate::notified_entity::{NotifiedEntity, Route, Target};
use crate::timer::TimerId;

/// The least random wait before the disconnected procedure (RFC 3435 §4.4.7).
const WAIT_MIN: Duration = Duration::from_secs(1);

/// Call agents that are waited for each by itself.
const SILENCES_MAX: usize = 64;

/// When names are looked up again, and how disconnected endpoints wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ReconnectSettings {
    /// Whether Max1 repetitions cause a look-up.
    pub(super) suspicion_look_up: bool,
    /// Whether Max2 do.
    pub(super) disconnection_look_up: bool,
    /// Tdmin
    pub(super) wait_min: Duration,
    /// Tdinit
    pub(super) wait_first: Duration,
    /// Tdmax
    pub(super) wait_max: Duration,
}

/// A call agent that some endpoints cannot reach.
#[derive(Debug)]
pub(super) struct Silence {
    /// Which; all those that there are too many of if `None`.
    target: Option<Target>,
    /// Which of the timers is its.
    number: u64,
    /// How long the endpoints wait this time.
    wait: Duration,
    /// The wait under way.
    timer: Option<TimerId>,
    /// Since when: the end of the last attempt.
    since: Instant,
}

impl Gateway {
    /// What nobody answered, and what is in doubt.
    pub(super) fn notice_lost(&mut self, now: Instant) {
        while let Some((transaction, doubt)) = self.outgoing.poll_doubt() {
            self.doubt(now, transaction, doubt);
        }
        while let Some(transaction) = self.outgoing.poll_lost() {
            if let Some(id) = self.notification_lost(transaction) {
                self.disconnected(now, &[id]);
                continue;
            }
            let Some(told) = self.announcer.sent.remove(&transaction) else { continue };
            let call_agent = told.target.to_name();
            warn!(%call_agent, endpoints = told.endpoints.len(), "nobody answers RSIP");
            let was_sent = |id: &EndpointId| {
                self.state.endpoints[*id].control.announcement == Announcement::Sent(transaction)
            };
            let endpoints: Vec<_> = told.endpoints.into_iter().filter(was_sent).collect();
            self.disconnected(now, &endpoints);
        }
    }

    /// Endpoints have not been able to reach their call agent.
    pub(super) fn disconnected(&mut self, now: Instant, endpoints: &[EndpointId]) {
        let mut silent: Vec<Target> = Vec::new();
        for id in endpoints {
            let control = &mut self.state.endpoints[*id].control;
            let was_told = control.announcement == Announcement::Settled;
            let Some(target) = control.notified.target() else {
                control.announcement = Announcement::Settled;
                continue;
            };
            control.announcement = Announcement::Unheard;
            // RFC 3435 §4.4.6: what has yet to be told of a restart is told instead.
            control.news = match control.news {
                News::Graceful { .. } | News::CancelGraceful => News::Disconnected { since: now },
                News::Restart if was_told => News::Disconnected { since: now },
                News::Restart | News::Forced | News::Disconnected { .. } => control.news,
            };
            if !silent.contains(&target) {
                silent.push(target);
            }
        }
        silent.into_iter().for_each(|target| self.keep_silence(now, target));
        self.look_around();
    }

    /// Has endpoints that cannot reach a call agent wait, each time twice as long as before.
    fn keep_silence(&mut self, now: Instant, target: Target) {
        let settings = self.reconnect;
        let place = self.silence_of(&target).unwrap_or_else(|| self.begin_silence(now, target));
        let silence = &mut self.silences[place];
        if silence.target.is_none() {
            self.counters.count(Counter::SilencesShared);
        }
        silence.since = now;
        if silence.timer.is_some() || self.phase == Phase::Stopping {
            return;
        }
        silence.wait = (silence.wait * 2).min(settings.wait_max);
        let wait_s = silence.wait.as_secs();
        let call_agent = silence.target.as_ref().map(Target::to_name);
        warn!(call_agent = call_agent.map(tracing::field::display), wait_s, "endpoints are disconnected");
        silence.timer = Some(self.timers.set(now + silence.wait, Due::Reconnect(silence.number)));
    }

    /// A call agent has become silent, which is waited for by itself if there are not too many of them.
    // RFC 3435 §4.4.7: those that are tried again together are so no more often than one.
    fn begin_silence(&mut self, now: Instant, target: Target) -> usize {
        let first = self.reconnect.wait_first.max(WAIT_MIN);
        let nanos = self.state.rng.random_range(WAIT_MIN.as_nanos()..=first.as_nanos());
        // Half of it, because it doubles like any other.
        let wait = Duration::from_nanos(u64::try_from(nanos / 2).unwrap_or(u64::MAX));
        self.silence_number += 1;
        let (target, number) =
            (Some(target).filter(|_| self.silences.len() < SILENCES_MAX), self.silence_number);
        self.silences.push(Silence { target, number, wait, timer: None, since: now });
        self.silences.len() - 1
    }

    /// The place of a call agent that is waited for: its own, or while there is none left that of all others.
    fn silence_of(&self, target: &Target) -> Option<usize> {
        let others = || self.silence_at(None).filter(|_| self.silences.len() >= SILENCES_MAX);
        self.silence_at(Some(target)).or_else(others)
    }

    fn silence_at(&self, target: Option<&Target>) -> Option<usize> {
        self.silences.iter().position(|silence| silence.target.as_ref() == target)
    }

    /// The wait of some disconnected endpoints is over.
    pub(super) fn reconnect(&mut self, now: Instant, number: u64) {
        let Some(silence) = self.silences.iter_mut().find(|silence| silence.number == number) else {
            return;
        };
        silence.timer = None;
        let is_any = match silence.target.clone() {
            Some(target) => self.owe_again(&[target]),
            None => self.owe_others_again(),
        };
        if is_any {
            self.announce(now, None);
        } else {
            self.silences.retain(|silence| silence.number != number);
        }
    }

    /// Something has happened on the line of an endpoint: if it is disconnected, it may try again.
    // RFC 3435 §4.4.7: not before Tdmin has passed since it became so, or since its last attempt ended.
    pub(super) fn stir(&mut self, now: Instant, id: EndpointId) {
        let control = &self.state.endpoints[id].control;
        if control.announcement != Announcement::Unheard {
            return;
        }
        let Some(target) = control.notified.target() else { return };
        let silence = self.silence_of(&target).map(|place| &self.silences[place]);
        let may_try = silence.is_none_or(|silence| now.since(silence.since) >= self.reconnect.wait_min);
        if may_try && self.owe_again(&[target]) {
            self.announce(now, None);
        }
    }

    /// Who was deaf can hear now, or never will: one message for all that it has not heard, instead of
    /// one for each endpoint that a command comes for. Whether there is anything.
    pub(super) fn owe_again(&mut self, targets: &[Target]) -> bool {
        let is_one = |silence: &&mut Silence| silence.target.as_ref().is_some_and(|t| targets.contains(t));
        for silence in self.silences.iter_mut().filter(is_one) {
            silence.timer.take().into_iter().for_each(|timer| self.timers.cancel(timer));
        }
        owe_those(&mut self.state.endpoints, |notified| targets.iter().any(|target| notified.is_at(target)))
    }

    /// The same for those that are waited for together.
    fn owe_others_again(&mut self) -> bool {
        let own: Vec<_> = self.silences.iter().filter_map(|silence| silence.target.as_ref()).collect();
        owe_those(&mut self.state.endpoints, |notified| !own.iter().any(|target| notified.is_at(target)))
    }

    /// Whether anything is left to be heard by those that are waited for together.
    fn has_others(&self) -> bool {
        let own: Vec<_> = self.silences.iter().filter_map(|silence| silence.target.as_ref()).collect();
        self.state.endpoints.iter().any(|(_, endpoint)| {
            let control = &endpoint.control;
            let is_own = || own.iter().any(|target| control.notified.is_at(target));
            !matches!(control.announcement, Announcement::Settled | Announcement::Refused) && !is_own()
        })
    }

    /// A call agent has answered: others that wait for it need not wait any longer.
    pub(super) fn end_silence(&mut self, now: Instant, target: &Target) {
        let place = self.silence_at(Some(target)).or_else(|| self.silence_at(None));
        let Some(place) = place else { return };
        if self.silences[place].target.is_some() || !self.has_others() {
            let Silence { timer, .. } = self.silences.remove(place);
            timer.into_iter().for_each(|timer| self.timers.cancel(timer));
        }
        info!(call_agent = %target.to_name(), "a call agent answers again");
        if self.owe_again(std::slice::from_ref(target)) {
            self.announce(now, None);
        }
        // Who is there again may take names that were refused before. What has just been told is not risked for it:
        // RFC 3435 §4.4.7 has what is refused wait.
        for id in self.state.endpoints.ids() {
            let control = &mut self.state.endpoints[id].control;
            if control.notified.is_at(target) {
                control.breadth = Breadth::Any;
            }
        }
    }

    /// A name has been looked up: what is under way to it may go to its new addresses.
    // RFC 3435 §E.5: unless it names a range, and they do not all understand that: then it is told anew.
    pub(super) fn take_new_ways(&mut self, now: Instant) {
        let mut anew = Vec::new();
        for (transaction, told) in &self.announcer.sent {
            let Route::Ways(ways) = self.directory.route(now, &told.target, None) else { continue };
            let ways = self.agents.taking_rsip(ways);
            if told.may_go(&self.agents, &ways) || self.outgoing.has_ways(*transaction, &ways) {
                self.outgoing.add_ways(now, *transaction, &ways);
            } else {
                anew.push(*transaction);
            }
        }
        anew.into_iter().for_each(|transaction| self.owe_unheard(transaction));
        for (transaction, target, takes_rsip) in self.teller.targets() {
            if let Route::Ways(ways) = self.directory.route(now, target, None) {
                let ways = if takes_rsip { self.agents.taking_rsip(ways) } else { ways };
                self.outgoing.add_ways(now, transaction, &ways);
            }
        }
    }

    /// A command may have given its endpoints another notified entity: what is under way for them goes there.
    // RFC 3435 §4.3: outstanding commands follow endpoints that are redirected. What tells of others, too,
    // stays where it is, and the redirected ones are told of anew. §4.4.6: who has redirected them is told before
    // it gets its response, also if it is not known yet where they have been redirected to.
    pub(super) fn follow(&mut self, now: Instant, path: Path, command: &Command<'_>) {
        let mut moved: Vec<(TransactionId, Vec<EndpointId>)> = Vec::new();
        if self.announcer.is_settled() {
            return;
        }
        for id in redirect::affected(&self.state, command) {
            let control = &self.state.endpoints[id].control;
            let Announcement::Sent(transaction) = control.announcement else { continue };
            let Some(told) = self.announcer.sent.get(&transaction) else { continue };
            if control.notified.is_at(&told.target) {
                continue;
            }
            match moved.iter_mut().find(|(other, _)| *other == transaction) {
                Some((_, endpoints)) => endpoints.push(id),
                None => moved.push((transaction, vec![id])),
            }
        }
        for (transaction, endpoints) in moved {
            self.redirect(now, path, transaction, &endpoints);
        }
    }

    fn redirect(&mut self, now: Instant, by: Path, transaction: TransactionId, endpoints: &[EndpointId]) {
        let notified = &self.state.endpoints[endpoints[0]].control.notified;
        let (target, heard) = (notified.target(), notified.heard_by());
        let told = self.announcer.sent.get_mut(&transaction);
        let (Some(target), Some(told)) = (target, told) else { return };
        let all = told.endpoints.len() == endpoints.len();
        let same = |id: &EndpointId| self.state.endpoints[*id].control.notified.is_at(&target);
        if all
            && endpoints.iter().all(same)
            && let Route::Ways(ways) = self.directory.route(now, &target, heard)
            && let ways = self.agents.taking_rsip(ways)
            && !ways.is_empty()
            && told.may_go(&self.agents, &ways)
        {
            told.target = target;
            return self.outgoing.redirect(now, transaction, ways);
        }
        for id in endpoints {
            self.state.endpoints[*id].control.announcement = Announcement::Owed;
        }
        self.forget_told(now, endpoints);
        self.announce(now, Some(by).filter(|by| self.agents.takes_rsip(*by)));
    }

    fn doubt(&mut self, now: Instant, transaction: TransactionId, doubt: Doubt) {
        let told = self.announcer.sent.get(&transaction).map(|told| &told.target);
        let Some(target) = told.or_else(|| self.teller.target_of(transaction)) else { return };
        match doubt {
            Doubt::Suspicion if self.reconnect.suspicion_look_up => self.directory.suspect(now, target),
            Doubt::Disconnection if self.reconnect.disconnection_look_up => {
                self.directory.give_up(now, target);
            }
            Doubt::Suspicion | Doubt::Disconnection => {}
        }
    }
}

/// Owes again what has not been heard of endpoints with such a notified entity. Whether there are any.
fn owe_those(endpoints: &mut Table, is_meant: impl Fn(&NotifiedEntity) -> bool) -> bool {
    let mut any = false;
    for id in endpoints.ids() {
        let control = &mut endpoints[id].control;
        if control.announcement == Announcement::Unheard && is_meant(&control.notified) {
            control.announcement = Announcement::Owed;
            any = true;
        }
    }
    any
}
