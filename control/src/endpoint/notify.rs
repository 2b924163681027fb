//! What an endpoint tells of: requested events, the quarantine list, notifications (RFC 3435 §4.4.1).
//!
//! Events go in, in the order in which they were detected; [`Effect`]s come out, in the order in which
//! they are to happen. Names, detectors, signals and transactions are for others.
//!
//! ```text
//!       ┌────────────────▶ Processing ◀─────────────────────────────┐
//!       │                   │      │                                │
//!       │ handle_embedded   │ E    │ N, or a match of the digit map │ handle_request,
//!       │                   ▼      ▼                                │ or in loop mode
//!       └────────── Embedding ──▶ Notification ─────────────────────┤ the answer
//!                       (E and N)  │                                │
//!                                  │ in step mode the answer        │
//!                                  ▼                                │
//!                            WaitForRequest ───── handle_request ───┘
//! ```
//!
//! Only in `Processing` are events processed; elsewhere they are quarantined. `Embedding` lasts no longer
//! than it takes the caller to start signals. A command takes effect when it succeeds (§4.4.3): so
//! [`handle_request`](Notify::handle_request) is called when the answer is about to leave, events are
//! processed by the old request until then, and nothing has to be undone.
//!
//! A new request ends the wait for an answer, but the notification is still under way. Each
//! [`Notification`] says which others are, so that they can be repeated in front of it.

mod dial;
mod effect;
pub mod request;

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use drivers::time::Instant;

use crate::endpoint::signal::Scope;
use crate::mgcp::code::ReturnCode;
use crate::mgcp::digit_map::{DigitMap, Letter};
use crate::mgcp::event::{Handling, Notifications, Parameter, Parameters, QuarantineHandling, Waiting};
use crate::mgcp::name::ConnectionId;
use crate::package::{self, EventId};

use self::dial::Dial;
pub use self::dial::DigitTiming;
pub use self::effect::{Effect, Notification, NotificationId, NotificationState, Observed};
use self::request::{Actions, Embedded, Pattern, Refusal, Request, Requested};

/// Events that the list of observed events holds, without that which says that it is full.
// RFC 3435 §3.5.4: what tells of all of them fits into 4,000 octets, whatever they are.
pub const OBSERVED_MAX: usize = 88;

/// Events that the quarantine list holds, without that which says that others were lost.
const QUARANTINE_MAX: usize = 128;

/// Notifications of an endpoint that can be under way at a time.
// RFC 3435 §4.4.1 f: where one more cannot be piggybacked, the endpoint stays in the notification state.
// Each may be as long as OBSERVED_MAX events.
const OUTSTANDING_MAX: usize = 3;

/// The events of one endpoint, and who is told of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notify {
    state: State,
    /// The request that is in force.
    request: Arc<Request>,
    /// How many have been, those that were embedded among them.
    requests: u32,
    /// What it asks for, or what a request that was embedded in it does.
    events: Arc<[Requested]>,
    /// What packages say is detected always.
    implemented: Arc<[Requested]>,
    /// B/PR
    persistent: Arc<[Requested]>,
    /// T
    detect: Arc<[Pattern]>,
    dial: Dial,
    observed: Vec<Observed>,
    quarantine: VecDeque<Observed>,
    /// Whether events were lost since the quarantine list was last read.
    overflowed: bool,
    /// Notifications that may yet be answered, oldest first.
    outstanding: VecDeque<NotificationId>,
    next: NotificationId,
    lockstep: Lockstep,
    /// Events that were requested and could not be kept.
    lost: u32,
    effects: VecDeque<Effect>,
}

/// The states of RFC 3435 §4.4.1, by the names of its diagram.
#[derive(Clone, PartialEq, Eq, Debug)]
enum State {
    /// "Processing Events", the normal state.
    Processing,
    /// An embedded request is being started.
    Embedding {
        /// The request.
        embedded: Arc<Embedded>,
        /// Whether a notification follows.
        notifies: bool,
    },
    /// "Notification State": an answer is awaited.
    Notification {
        /// The notification that is to be answered.
        last: NotificationId,
        /// Whether a new request has come since, and could not end the wait.
        renewed: bool,
    },
    /// "Wait for RQNT": lockstep.
    WaitForRequest,
}

/// When lockstep is reported (RFC 3992 §2.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Lockstep {
    after: Option<Duration>,
    due: Option<Instant>,
}

/// The request of every endpoint that nobody has sent one.
// RFC 3435 §4.4.1: its identifier is 0, and there is no digit map.
static IMPLICIT: LazyLock<Arc<Request>> = LazyLock::new(|| {
    Arc::new(Request {
        identifier: "0".parse().expect("0 is hex"),
        notified_entity: None,
        events: Arc::default(),
        digit_map: None,
        quarantine: QuarantineHandling::default(),
        detect: None,
        persistent: None,
    })
});

impl Notify {
    /// As after a restart: the request is the implicit one, for what is always detected.
    pub fn new(implemented: Arc<[Requested]>, timing: DigitTiming) -> Self {
        Self {
            state: State::Processing,
            events: IMPLICIT.events.clone(),
            request: IMPLICIT.clone(),
            requests: 0,
            implemented,
            persistent: Arc::default(),
            detect: Arc::default(),
            dial: Dial::new(timing),
            observed: Vec::new(),
            quarantine: VecDeque::new(),
            overflowed: false,
            outstanding: VecDeque::new(),
            next: NotificationId(0),
            lockstep: Lockstep::default(),
            lost: 0,
            effects: VecDeque::new(),
        }
    }

    /// An event has been detected.
    pub fn handle_event(&mut self, now: Instant, observed: Observed) {
        match self.state {
            State::Processing => self.process(now, observed),
            State::Embedding { .. } | State::Notification { .. } | State::WaitForRequest => {
                self.hold(observed);
            }
        }
    }

    /// A request has been granted, and its answer is about to leave.
    ///
    /// It must have passed [`check`](Self::check).
    pub fn handle_request(&mut self, now: Instant, request: Arc<Request>) {
        // What an event set off under the old request does not happen under the new.
        self.effects.retain(|effect| !matches!(effect, Effect::ApplySignals(_)));
        let is_told = matches!(self.state, State::Notification { .. });
        match request.quarantine.waiting {
            // RFC 3435 §4.4.1: in the notification state what was observed has been told.
            Waiting::Process if is_told => {}
            // Else it is processed again, before what was quarantined.
            Waiting::Process => {
                self.observed.drain(..).rev().for_each(|observed| self.quarantine.push_front(observed));
            }
            Waiting::Discard => {
                self.quarantine.clear();
                self.overflowed = false;
            }
        }
        self.observed.clear();
        self.replace(&request.events, request.digit_map.as_ref());
        if let Some(detect) = &request.detect {
            self.detect = detect.clone();
        }
        if let Some(persistent) = &request.persistent {
            self.persistent = persistent.clone();
        }
        self.request = request;
        match self.state {
            // RFC 3435 §4.4.1 f: no more can be piggybacked.
            State::Notification { last, .. } if self.outstanding.len() >= OUTSTANDING_MAX => {
                self.state = State::Notification { last, renewed: true };
            }
            // RFC 3435 §4.4.1 b: no answer is waited for any longer.
            State::Processing
            | State::Embedding { .. }
            | State::Notification { .. }
            | State::WaitForRequest => self.resume(now),
        }
    }

    /// The signals of an embedded request have been applied, or cannot be.
    // RFC 3435 §2.3.3: it is as if a request had come with the same X, N, Q and T. What was observed and
    // what is quarantined stay; the current dial string does not.
    pub fn handle_embedded(&mut self, now: Instant, result: Result<(), ReturnCode>) {
        let State::Embedding { embedded, notifies } = &self.state else { return };
        let (embedded, mut notifies) = (embedded.clone(), *notifies);
        self.state = State::Processing;
        match result {
            Ok(()) => {
                self.replace(&embedded.events, embedded.digit_map.as_ref());
                self.clear_dial_string(now);
            }
            Err(code) => notifies |= self.embedded_failed(&embedded, code),
        }
        if notifies {
            self.notify();
        }
        self.process_quarantine(now);
    }

    /// A notification has been answered, whatever the answer.
    pub fn handle_answered(&mut self, now: Instant, id: NotificationId) {
        self.outstanding.retain(|other| *other != id);
        // RFC 3435 §4.4.1: the answer to the last ends the notification state.
        if matches!(self.state, State::Notification { last, .. } if last == id) {
            self.leave_notification(now);
        }
    }

    /// A notification will never be answered: the endpoint is disconnected.
    // RFC 3435 §4.4.1: it is no longer pending, yet the endpoint stays in the notification state.
    pub fn handle_lost(&mut self, id: NotificationId) {
        self.outstanding.retain(|other| *other != id);
    }

    /// The disconnected procedure is complete.
    // RFC 3435 §4.4.1: that ends the notification state where the notification was lost.
    pub fn handle_reconnected(&mut self, now: Instant) {
        let is_lost = |last: NotificationId| !self.outstanding.contains(&last);
        if matches!(self.state, State::Notification { last, .. } if is_lost(last)) {
            self.leave_notification(now);
        }
    }

    /// The endpoint restarts, or goes out of service: all is as in the beginning, and nobody is told.
    // Notifications that are under way keep their numbers to themselves.
    pub fn handle_restart(&mut self) {
        let fresh = Self::new(self.implemented.clone(), self.dial.timing());
        let requests = self.requests.wrapping_add(1);
        *self = Self { next: self.next, requests, lost: self.lost, ..fresh };
    }

    /// Sets after how long lockstep is reported; never if `None`.
    // RFC 3992 §2.1: in lockstep the timer starts anew, even if it has fired.
    pub fn report_lockstep_after(&mut self, now: Instant, after: Option<Duration>) {
        self.lockstep.after = after;
        self.start_lockstep_timer(now);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(expiry) = self.dial.take_expired(now) {
            self.handle_event(now, expiry);
        }
        if self.lockstep.due.take_if(|due| *due <= now).is_some() {
            self.effects.push_back(Effect::ReportLockstep);
        }
    }

    /// How many events could not be kept since this was asked last.
    pub fn take_lost(&mut self) -> u32 {
        std::mem::take(&mut self.lost)
    }

    /// What is to be done next, in this order.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.dial.due().into_iter().chain(self.lockstep.due).min()
    }

    /// Whether a request can be granted.
    ///
    /// `exists` says whether the endpoint has that connection, or will have it when the request takes
    /// effect; `precluded` with which code an event is refused because what it would bring has happened.
    ///
    /// # Errors
    /// The first reason why not.
    // RFC 3435 §4.4.3: what holds when a command comes must hold until it succeeds; so this is asked twice.
    pub fn check(
        &self,
        request: &Request,
        exists: &dyn Fn(ConnectionId) -> bool,
        precluded: &dyn Fn(EventId) -> Option<ReturnCode>,
    ) -> Result<(), Refusal> {
        let has_digit_map = request.digit_map.is_some() || self.dial.map().is_some();
        let mode = request.quarantine.notifications;
        request::check(&request.events, has_digit_map, mode, exists)?;
        // RFC 3435 §B.2.1: the persistent events are part of each request.
        let persistent = request.persistent.as_ref().unwrap_or(&self.persistent);
        request::check(persistent, has_digit_map, mode, exists)?;
        for pattern in request.detect.iter().flat_map(|detect| detect.iter()) {
            request::check_scope(pattern, exists)?;
        }
        // RFC 3435 §4.4.2: what is asked for must not have happened already. Persistent events are not
        // looked at (§2.3.3), nor are those of embedded requests, whose time has not come.
        let awaited =
            request.events.iter().filter(|requested| requested.actions.handling != Some(Handling::Ignore));
        let mut awaited = awaited.flat_map(|requested| requested.pattern.events.iter());
        awaited.find_map(|event| precluded(*event)).map_or(Ok(()), |code| Err(Refusal::Glare(code)))
    }

    /// Whether a notification may yet be answered.
    pub fn is_under_way(&self, id: NotificationId) -> bool {
        self.outstanding.contains(&id)
    }

    /// What an audit says of the notification state.
    pub fn notification_state(&self) -> NotificationState {
        match self.state {
            State::Processing | State::Embedding { .. } => NotificationState::Other,
            State::Notification { .. } => NotificationState::Notification,
            State::WaitForRequest => NotificationState::Lockstep,
        }
    }

    /// The last request that was granted.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// How many requests have taken effect, those that were embedded in others among them.
    pub fn requests(&self) -> u32 {
        self.requests
    }

    /// What is requested now, and what packages say is detected always.
    // RFC 3435 §2.3.10: of an embedded request that is active, what that requests. §B.2.1: persistent
    // events that a call agent has asked for are not shown here.
    pub fn requested(&self) -> impl Iterator<Item = &Requested> {
        let is_replaced = |persistent: &&Requested| {
            self.events.iter().any(|requested| requested.pattern.is_same_as(&persistent.pattern))
        };
        self.events.iter().chain(self.implemented.iter().filter(move |persistent| !is_replaced(persistent)))
    }

    /// What is detected while quarantined, and what packages say is detected always.
    pub fn detected(&self) -> impl Iterator<Item = &Pattern> {
        let is_named = |persistent: &&Requested| {
            self.detect.iter().any(|pattern| pattern.is_same_as(&persistent.pattern))
        };
        let implemented = self.implemented.iter().filter(move |persistent| !is_named(persistent));
        self.detect.iter().chain(implemented.map(|requested| &requested.pattern))
    }

    /// All that is to be detected now, wherever it is asked for.
    pub fn watched(&self) -> impl Iterator<Item = &Pattern> {
        let lists = [&self.events, &self.persistent, &self.implemented];
        let requested = lists.into_iter().flat_map(|list| list.iter());
        requested.map(|requested| &requested.pattern).chain(self.detect.iter())
    }

    /// What a call agent wants to be detected always.
    pub fn persistent(&self) -> &[Requested] {
        &self.persistent
    }

    /// The digit map in use.
    pub fn digit_map(&self) -> Option<&DigitMap> {
        self.dial.map().map(|map| &**map)
    }

    /// What has been observed and not been told, or told and not been answered.
    pub fn observed(&self) -> &[Observed] {
        &self.observed
    }

    /// After how long lockstep is reported.
    pub fn lockstep_reported_after(&self) -> Option<Duration> {
        self.lockstep.after
    }

    /// An event meets the request.
    fn process(&mut self, now: Instant, observed: Observed) {
        if let Some(letter) = observed.event.letter() {
            self.dial.hear(letter);
        }
        // RFC 3435 §2.3.3: what is neither requested nor persistent is ignored.
        if let Some(requested) = self.find(&observed) {
            let actions = requested.actions.clone();
            self.act(now, observed, &actions);
        }
    }

    /// All that follows from an event.
    fn act(&mut self, now: Instant, observed: Observed, actions: &Actions) {
        self.stop_signals_unless_kept(actions);
        if actions.swaps_audio {
            self.effects.push_back(Effect::SwapAudio);
        }
        let letter = observed.event.letter();
        let was_full = self.observed.len() >= OBSERVED_MAX;
        let notifies = match actions.handling {
            Some(Handling::Notify) => {
                self.accumulate(observed);
                true
            }
            Some(Handling::Accumulate) => {
                self.accumulate(observed);
                false
            }
            Some(Handling::DigitMap) => {
                self.accumulate(observed);
                let expiry = self.requested_timer(|handling| handling == Some(Handling::DigitMap));
                self.dial.push(now, letter, expiry)
            }
            Some(Handling::Ignore) | None => false,
        };
        if let Some(embedded) = &actions.embedded {
            // RFC 3435 §2.3.3: together with N both happen at once. The embedded request comes first, so
            // that what follows the notification is already its own.
            self.effects.push_back(Effect::ApplySignals(embedded.signals.clone()));
            self.state = State::Embedding { embedded: embedded.clone(), notifies };
        } else if notifies {
            self.notify();
        }
        // RFC 3435 §2.3.4, §B.1: `oef`. It may itself be what triggers a notification.
        if !was_full && !notifies && self.observed.len() == OBSERVED_MAX {
            self.handle_event(now, Observed::new(package::OBSERVED_EVENTS_FULL));
        }
    }

    /// Adds an event to what was observed.
    // RFC 3435 §2.3.4: there is always room for `oef`; what comes behind it is not included.
    fn accumulate(&mut self, observed: Observed) {
        let room = OBSERVED_MAX + usize::from(observed.event == package::OBSERVED_EVENTS_FULL);
        if self.observed.len() < room {
            self.observed.push(observed);
        } else {
            self.lost = self.lost.saturating_add(1);
        }
    }

    /// Tells what was observed.
    // RFC 3435 §4.4.1: that puts the endpoint into the notification state.
    fn notify(&mut self) {
        let id = self.next;
        self.next = NotificationId(id.0.wrapping_add(1));
        self.effects.push_back(Effect::Notify(Notification {
            id,
            identifier: self.request.identifier,
            notified_entity: self.request.notified_entity.clone(),
            observed: self.observed.clone(),
            after: self.outstanding.iter().copied().collect(),
        }));
        self.outstanding.push_back(id);
        self.dial.stop_timer();
        self.state = State::Notification { last: id, renewed: false };
    }

    /// The notification state ends.
    fn leave_notification(&mut self, now: Instant) {
        let is_renewed = matches!(self.state, State::Notification { renewed: true, .. });
        // RFC 3435 §4.4.1: what was observed and what was dialled are forgotten.
        self.observed.clear();
        match self.request.quarantine.notifications {
            Notifications::Step if !is_renewed => {
                self.state = State::WaitForRequest;
                self.start_lockstep_timer(now);
            }
            Notifications::Step | Notifications::Loop => self.resume(now),
        }
    }

    /// Events are processed as if a request had just been received, those in quarantine first.
    fn resume(&mut self, now: Instant) {
        self.state = State::Processing;
        self.lockstep.due = None;
        self.clear_dial_string(now);
        self.process_quarantine(now);
    }

    // RFC 3435 §4.4.1: up to one that triggers a notification; those behind it stay in quarantine.
    fn process_quarantine(&mut self, now: Instant) {
        while self.state == State::Processing
            && let Some(observed) = self.quarantine.pop_front()
        {
            self.overflowed = false;
            self.process(now, observed);
        }
    }

    /// Quarantines an event, if it is to be detected at all.
    fn hold(&mut self, observed: Observed) {
        // RFC 3435 §2.3.3: signals stop as soon as a requested event is detected.
        if let Some(requested) = self.find(&observed) {
            let actions = requested.actions.clone();
            self.stop_signals_unless_kept(&actions);
        }
        if !self.is_detected_in_quarantine(&observed) {
            return;
        }
        if self.quarantine.len() < QUARANTINE_MAX {
            self.quarantine.push_back(observed);
            return;
        }
        self.lost = self.lost.saturating_add(1);
        // RFC 3435 §4.4.1, §B.1: `qbo`, for which there is always room.
        let overflow = Observed::new(package::QUARANTINE_BUFFER_OVERFLOW);
        if !self.overflowed && self.is_detected_in_quarantine(&overflow) {
            self.quarantine.push_back(overflow);
        }
        self.overflowed = true;
    }

    /// An embedded request has failed: `enf`. Whether that is to be told.
    // RFC 3435 §B.1: it is asked for in the embedded request itself. Otherwise all is as before (§4.4.2).
    fn embedded_failed(&mut self, embedded: &Embedded, code: ReturnCode) -> bool {
        let failure = Observed {
            parameters: Parameters(vec![Parameter::bare(code)]),
            ..Observed::new(package::EMBEDDED_REQUEST_FAILURE)
        };
        let requested = request::find(&embedded.events, &failure).or_else(|| self.find(&failure));
        let Some(actions) = requested.map(|requested| requested.actions.clone()) else { return false };
        self.stop_signals_unless_kept(&actions);
        match actions.handling {
            Some(handling @ (Handling::Notify | Handling::Accumulate)) => {
                self.accumulate(failure);
                handling == Handling::Notify
            }
            Some(Handling::DigitMap | Handling::Ignore) | None => false,
        }
    }

    // RFC 3435 §2.3.3: of time-out signals; K keeps them.
    fn stop_signals_unless_kept(&mut self, actions: &Actions) {
        if !actions.keeps_signals && self.effects.back() != Some(&Effect::StopSignals) {
            self.effects.push_back(Effect::StopSignals);
        }
    }

    /// New events, and a new digit map if there is one; else the old is kept.
    fn replace(&mut self, events: &Arc<[Requested]>, digit_map: Option<&Arc<DigitMap>>) {
        self.requests = self.requests.wrapping_add(1);
        self.events = events.clone();
        if let Some(map) = digit_map {
            self.dial.use_map(map);
        }
    }

    fn clear_dial_string(&mut self, now: Instant) {
        let expiry = self.requested_timer(|handling| handling != Some(Handling::DigitMap));
        self.dial.clear(now, expiry);
    }

    // RFC 3992 §2.1: it runs while a request is waited for.
    fn start_lockstep_timer(&mut self, now: Instant) {
        let in_lockstep = self.state == State::WaitForRequest;
        self.lockstep.due = self.lockstep.after.filter(|_| in_lockstep).map(|after| now + after);
    }

    /// The timer T as an event, if it is requested in a way that `is_wanted`.
    fn requested_timer(&self, is_wanted: impl Fn(Option<Handling>) -> bool) -> Option<Observed> {
        let lists = self.events.iter().chain(self.persistent.iter());
        lists.filter(|requested| is_wanted(requested.actions.handling)).find_map(|requested| {
            let mut events = requested.pattern.events.iter();
            let event = *events.find(|event| event.letter() == Some(Letter::TIMER))?;
            let connection = match requested.pattern.scope {
                Scope::Endpoint => None,
                Scope::Connection(id) => Some(id),
                Scope::AllConnections => return None,
            };
            Some(Observed { connection, ..Observed::new(event) })
        })
    }

    /// What asks for an event.
    // RFC 3435 §2.3.3, §B.2.1: what a request says of a persistent event goes for as long as it lasts.
    fn find(&self, observed: &Observed) -> Option<&Requested> {
        [&self.events, &self.persistent, &self.implemented]
            .into_iter()
            .find_map(|list| request::find(list, observed))
    }

    // RFC 3435 §4.4.1: the union of requested, persistent and to be detected, whatever the action.
    fn is_detected_in_quarantine(&self, observed: &Observed) -> bool {
        self.find(observed).is_some() || self.detect.iter().any(|pattern| pattern.matches(observed))
    }
}

#[cfg(test)]
mod tests;
