//! Sending what [`restart`](crate::endpoint::restart) says is owed: RSIP (RFC 3435 §4.4.6).

use std::collections::BTreeMap;
use std::time::Duration;

use drivers::time::Instant;
use rand::RngExt;
use tracing::{info, warn};

use super::{Due, Gateway, Phase};
use crate::command::{auep, check};
use crate::endpoint::naming::Form;
use crate::endpoint::restart::{Announcement, Notice, owed};
use crate::endpoint::{EndpointId, Outage};
use crate::metrics::Counter;
use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::{Command, Path, Response, RestartMethod, TransactionId, Verb};
use crate::mgcp::name::{EndpointName, EntityName};
use crate::notified_entity::{Route, Target};
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
    sent: BTreeMap<TransactionId, Vec<EndpointId>>,
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

    /// Whether all that was told has been answered.
    pub(super) fn is_settled(&self) -> bool {
        self.sent.is_empty()
    }
}

impl Gateway {
    /// Begins with a random wait, so that gateways that come up together do not speak together.
    pub(super) fn begin(&mut self, now: Instant, notified_entity: Option<&str>) {
        let Some(name) = notified_entity else { return };
        let name =
            name.parse::<EntityName>().inspect_err(|error| warn!(name, %error, "notified entity")).ok();
        for id in self.state.endpoints.ids() {
            let control = &mut self.state.endpoints[id].control;
            control.notified.name(name.clone());
            control.announcement = Announcement::Owed;
        }
        self.announcer.restless = true;
        let wait = self.draw(self.announcer.wait_max);
        self.announce_at(now + wait);
    }

    /// Changes endpoints' service state. Out of service, all that went on there is lost (§2.3.12).
    pub(super) fn set_outage(&mut self, now: Instant, endpoints: &[EndpointId], outage: Option<Outage>) {
        let mut lost = 0;
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
                lost += self.state.drop_connections(id);
            }
            let endpoint = &mut self.state.endpoints[id];
            endpoint.outage = outage;
            if !endpoint.control.notified.is_nobody() {
                endpoint.control.announcement = Announcement::Owed;
                self.announcer.restless = true;
            }
        }
        self.counters.add(Counter::ConnectionsLost, lost as u64);
    }

    /// Before anything else is said of an endpoint, its call agent is told of its service state.
    // RFC 3435 §4.4.6: a command ends the wait. One for an endpoint whose RSIP was refused or never
    // answered begins the procedure anew.
    pub(super) fn announce_first(&mut self, now: Instant, command: &Command<'_>) {
        let audits = matches!(command.verb, Verb::AuditEndpoint | Verb::AuditConnection);
        if audits || !self.announcer.restless {
            return;
        }
        let mut owed = false;
        let mut deaf: Vec<Target> = Vec::new();
        for id in check::meant(&self.state, &command.endpoint) {
            let control = &mut self.state.endpoints[id].control;
            match control.announcement {
                Announcement::Refused => control.announcement = Announcement::Owed,
                Announcement::Unheard => {
                    let target = control.notified.target();
                    deaf.extend(target.filter(|target| !deaf.contains(target)));
                }
                Announcement::Owed | Announcement::Settled | Announcement::Sent(_) => {}
            }
            owed |= control.announcement == Announcement::Owed;
        }
        if !deaf.is_empty() {
            self.owe_again(&deaf);
        }
        if owed || !deaf.is_empty() {
            self.announce(now);
        }
    }

    /// Who was deaf can hear now, or never will: one message for all that it has not heard, instead of
    /// one for each endpoint that a command comes for.
    fn owe_again(&mut self, targets: &[Target]) {
        for id in self.state.endpoints.ids() {
            let control = &mut self.state.endpoints[id].control;
            if control.announcement == Announcement::Unheard
                && targets.iter().any(|target| control.notified.is_at(target))
            {
                control.announcement = Announcement::Owed;
            }
        }
    }

    /// Tells what is owed, unless the wait at the start is under way.
    pub(super) fn announce_unless_starting(&mut self, now: Instant) {
        if self.announcer.has_begun || self.announcer.timer.is_none() {
            self.announce(now);
        }
    }

    /// Tells what is owed, as far as those it is owed to can be reached.
    pub(super) fn announce(&mut self, now: Instant) {
        if let Some(timer) = self.announcer.timer.take() {
            self.timers.cancel(timer);
        }
        self.announcer.has_begun = true;
        let mut again = false;
        for notice in owed(&self.state.endpoints) {
            match self.directory.route(now, &notice.target) {
                Route::Way(path) if self.tell(now, path, notice) => {}
                Route::Way(_) => {
                    again = true;
                    break;
                }
                Route::Asked => {}
                Route::Nowhere => again = true,
            }
        }
        if again {
            self.announce_later(now);
        }
        self.look_around();
    }

    /// What has been answered.
    pub(super) fn answered(&mut self, now: Instant, response: &Response<'_>) {
        let Some(endpoints) = self.announcer.sent.remove(&response.transaction) else { return };
        let code = response.code;
        let redirected = code == ReturnCode::REDIRECTED || (300..400).contains(&code.0);
        let name = response.parameters.notified_entity.clone().flatten();
        info!(%code, endpoints = endpoints.len(), "RSIP answered");
        let then = match (&name, redirected) {
            (Some(_), true) => Announcement::Owed,
            _ if code.is_success() => Announcement::Settled,
            _ if code.is_transient() => Announcement::Owed,
            _ => Announcement::Refused,
        };
        for id in endpoints {
            let control = &mut self.state.endpoints[id].control;
            // §2.3.12: with success or redirection, the answer may name another call agent.
            if let Some(name) = name.as_ref().filter(|_| redirected || code.is_success()) {
                control.notified.name(Some(name.clone()));
            }
            if control.announcement == Announcement::Sent(response.transaction) {
                control.announcement = then;
            }
        }
        match then {
            Announcement::Owed if redirected && self.may_follow(now) => self.announce(now),
            Announcement::Owed => self.announce_later(now),
            Announcement::Settled | Announcement::Sent(_) | Announcement::Refused | Announcement::Unheard => {
            }
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

    /// What nobody answered.
    pub(super) fn notice_lost(&mut self) {
        while let Some(transaction) = self.outgoing.poll_lost() {
            warn!(transaction = transaction.0, "nobody answers RSIP");
            for id in self.announcer.sent.remove(&transaction).unwrap_or_default() {
                let announcement = &mut self.state.endpoints[id].control.announcement;
                if *announcement == Announcement::Sent(transaction) {
                    *announcement = Announcement::Unheard;
                }
            }
            self.look_around();
        }
    }

    /// Sends one RSIP; `false` if too much is under way already.
    fn tell(&mut self, now: Instant, path: Path, notice: Notice) -> bool {
        let local = self.state.endpoints.name(Form::Usual, notice.named);
        let name = EndpointName { local, domain: self.state.settings.name.clone() };
        let mut command = Command::new(Verb::RestartInProgress, TransactionId(0), name);
        match notice.outage {
            None => command.parameters.restart_method = Some(RestartMethod::Restart),
            Some(_) => {
                command.parameters.restart_method = Some(RestartMethod::Forced);
                command.parameters.reason = Some(auep::reason(notice.outage));
            }
        }
        self.forget_told(&notice.endpoints);
        let endpoint = command.endpoint.to_string();
        let Ok(transaction) = self.outgoing.send(now, path, command) else { return false };
        info!(%endpoint, to = %path.remote, outage = ?notice.outage, "RSIP");
        self.counters.count(Counter::Announced);
        for id in &notice.endpoints {
            self.state.endpoints[*id].control.announcement = Announcement::Sent(transaction);
        }
        self.announcer.sent.insert(transaction, notice.endpoints);
        true
    }

    /// What was told of these endpoints before is out of date: it is no longer repeated, once all that
    /// it tells of has changed.
    fn forget_told(&mut self, endpoints: &[EndpointId]) {
        let outgoing = &mut self.outgoing;
        self.announcer.sent.retain(|transaction, told| {
            told.retain(|id| endpoints.binary_search(id).is_err());
            if told.is_empty() {
                outgoing.cancel(*transaction);
            }
            !told.is_empty()
        });
    }

    /// Sees whether a command could have to hear of something first.
    fn look_around(&mut self) {
        let told = |announcement| matches!(announcement, Announcement::Settled | Announcement::Sent(_));
        let mut all = self.state.endpoints.iter();
        self.announcer.restless = all.any(|(_, endpoint)| !told(endpoint.control.announcement));
    }

    fn announce_later(&mut self, now: Instant) {
        if self.announcer.timer.is_none() && self.phase == Phase::Running {
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
