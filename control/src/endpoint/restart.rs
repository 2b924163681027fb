//! Telling call agents which endpoints are in service: RSIP (RFC 3435 §2.3.12, §4.4.5, §4.4.6).
//!
//! What is to be told follows from an endpoint's service state; here is only kept whether its call
//! agent knows. [`owed`] groups the endpoints whose call agent does not into as few messages as
//! wildcards allow.
//!
//! ```text
//!            state changes                 2xx
//!  Settled ────────────────▶ Owed ──▶ Sent ─────▶ Settled
//!                             ▲ ▲     │  │
//!                             │ └─────┘  │ 5xx, or no answer in 2 × T-HIST
//!                             │ 4xx, 521 ▼
//!                             └────── Refused, Unheard
//!                  a command comes; for Unheard, its timer too
//! ```
//!
//! Where there is nobody to tell, nothing is owed: a call agent that comes later has not known the
//! endpoint otherwise. `Unheard` is where RFC 3435 §4.4.7 has an endpoint disconnected; what it tells
//! then is that it was, unless it has yet to tell of a restart.

use std::iter;
use std::sync::Arc;

use drivers::time::Instant;

use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::{RestartMethod, TransactionId};
use crate::notified_entity::Target;

use super::naming::{Called, Form, Named};
use super::table::Table;
use super::{Endpoint, EndpointId, Outage};

/// What there is to tell of an endpoint's service state, or was told last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum News {
    /// It is in service and clean.
    Restart,
    /// It is out of service, for its outage's reason.
    Forced,
    /// It is in service and will not be for long.
    Graceful {
        /// When its service ends; when its last call does if `None`.
        until: Option<Instant>,
    },
    /// It stays in service after all.
    CancelGraceful,
    /// It is in service and could not reach its call agent. Calls are up.
    Disconnected {
        /// Since when.
        since: Instant,
    },
}

impl News {
    /// RM
    pub const fn method(self) -> RestartMethod<'static> {
        match self {
            Self::Restart => RestartMethod::Restart,
            Self::Forced => RestartMethod::Forced,
            Self::Graceful { .. } => RestartMethod::Graceful,
            Self::CancelGraceful => RestartMethod::CancelGraceful,
            Self::Disconnected { .. } => RestartMethod::Disconnected,
        }
    }

    /// RD, in seconds.
    // RFC 3435 §2.3.12: how long it was disconnected, or has still to go; nothing with other methods. With
    // `graceful`, 0 would be to wait for the last call, so what is left of a second is one.
    pub fn delay_s(self, now: Instant) -> Option<u32> {
        let seconds = match self {
            Self::Restart | Self::Forced | Self::CancelGraceful | Self::Graceful { until: None } => None,
            Self::Graceful { until: Some(until) } => {
                Some(until.since(now).as_nanos().div_ceil(1_000_000_000) as u64)
            }
            Self::Disconnected { since } => Some(now.since(since).as_secs()),
        }?;
        u32::try_from(seconds).ok()
    }

    /// The same news of two endpoints, as one: disconnected as long as the one that was so longer.
    // RFC 3435 §4.4.7: a wildcard that takes the place of single messages has the delay of the oldest.
    fn with(self, other: Self) -> Self {
        match (self, other) {
            (Self::Disconnected { since }, Self::Disconnected { since: other }) => {
                Self::Disconnected { since: since.min(other) }
            }
            _ => self,
        }
    }
}

/// Whether an endpoint's call agent knows of its service state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Announcement {
    /// It knows, or there is nobody to tell.
    Settled,
    /// It is to be told.
    Owed,
    /// It has been told and has not answered.
    Sent(TransactionId),
    /// It did not want to know. When a command comes for the endpoint, it is told again (§4.4.6).
    Refused,
    /// It cannot be reached: the endpoint is disconnected (§4.4.7).
    Unheard,
}

/// How widely an endpoint may be told of together with others: what its call agent has not refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Breadth {
    /// By any name that it takes.
    Any,
    /// By wildcards, but not by ranges.
    Wildcards,
    /// By wildcards for a span, but for nothing wider.
    Span,
    /// By its own name alone.
    Alone,
}

impl Breadth {
    /// How widely the endpoints of a message are told of after this answer; `None` if it was not for its
    /// name that it was refused.
    // RFC 3435 §E.5: after an error that could be about names, no more ranges. §2.4: 503 says that a
    // wildcard is too much, which §4.4.6 has us rectify if we can.
    pub fn after(named: Named, code: ReturnCode) -> Option<Self> {
        let is_unknown = code.0 > ReturnCode::UNSUPPORTED_OPTION.0;
        let is_of_names = is_unknown
            || matches!(
                code,
                ReturnCode::ENDPOINT_UNKNOWN
                    | ReturnCode::WILDCARD_TOO_COMPLICATED
                    | ReturnCode::UNSUPPORTED
                    | ReturnCode::PROTOCOL_ERROR
            );
        match named {
            Named::Timeslots(..) | Named::Spans(..) => is_of_names.then_some(Self::Wildcards),
            _ if code != ReturnCode::WILDCARD_TOO_COMPLICATED => None,
            Named::Gateway => Some(Self::Span),
            Named::Span(_) | Named::Relays => Some(Self::Alone),
            Named::Endpoint(_) => None,
        }
    }
}

/// One RSIP: what its endpoints have in common.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// What it names.
    pub named: Named,
    /// How they were called last, if they were.
    pub called: Option<Arc<Called>>,
    /// The endpoints it names.
    pub endpoints: Vec<EndpointId>,
    /// Whom it is for.
    pub target: Target,
    /// What it says of them.
    pub news: News,
    /// Why they are out of service, if they are.
    pub outage: Option<Outage>,
}

/// The messages that are owed of the endpoints that are `meant`: one for the whole gateway if it can be, else
/// one a span where that can be, else one a range of a span's endpoints if its receiver `takes_ranges`, else one
/// an endpoint. Spans that follow each other have one for all of them if its receiver takes ranges.
// RFC 3435 §4.4.6: wildcards are used as far as they go, but only over endpoints of one call agent.
pub fn owed(
    table: &Table,
    meant: impl Fn(EndpointId) -> bool,
    mut takes_ranges: impl FnMut(&Notice) -> bool,
) -> Vec<Notice> {
    let owing = Owing { table, meant };
    if let Some(notice) = owing.notice(Named::Gateway, &table.ids()) {
        return vec![notice];
    }
    let mut notices = Vec::new();
    for (span, endpoints) in table.spans() {
        match owing.notice(Named::Span(span), &endpoints) {
            Some(notice) => owing.add_span(&mut notices, notice, &mut takes_ranges),
            None => notices.extend(owing.in_part(span, endpoints, &mut takes_ranges)),
        }
    }
    let (relays, gateway) = table.without_line();
    // RFC 3435 §E.3: relays that come and go are told of with a wildcard.
    match owing.notice(Named::Relays, &relays) {
        Some(notice) => notices.push(notice),
        None => notices.extend(relays.filter_map(|id| owing.alone(id))),
    }
    notices.extend(gateway.and_then(|id| owing.alone(id)));
    notices
}

/// Who is looked at for what is owed.
struct Owing<'a, F> {
    table: &'a Table,
    meant: F,
}

impl<F: Fn(EndpointId) -> bool> Owing<'_, F> {
    fn owes(&self, id: EndpointId) -> bool {
        self.table[id].control.announcement == Announcement::Owed && (self.meant)(id)
    }

    fn alone(&self, id: EndpointId) -> Option<Notice> {
        self.notice(Named::Endpoint(id), &iter::once(id))
    }

    /// Adds what is owed of all of a span, with what is owed of the one before it if that can be.
    fn add_span(
        &self,
        notices: &mut Vec<Notice>,
        notice: Notice,
        takes_ranges: &mut impl FnMut(&Notice) -> bool,
    ) {
        let is_any = |notice: &Notice| {
            notice.endpoints.iter().all(|id| self.table[*id].control.breadth == Breadth::Any)
        };
        if let Some(before) = notices.last_mut()
            && let Some(named) = self.table.joined(before.named, notice.named)
            && before.is_joined_by(self.table, named, &notice)
            && is_any(before)
            && is_any(&notice)
            && takes_ranges(before)
            && takes_ranges(&notice)
        {
            before.take_in(notice);
            before.named = named;
        } else {
            notices.push(notice);
        }
    }

    /// The messages that are owed of a span whose endpoints do not all have the same to tell to the same.
    // RFC 3435 §E.5: a gateway does not take its call agent to know ranges.
    fn in_part(
        &self,
        span: usize,
        endpoints: impl Iterator<Item = EndpointId>,
        takes_ranges: &mut impl FnMut(&Notice) -> bool,
    ) -> Vec<Notice> {
        let table = self.table;
        let mut notices = Vec::new();
        // Those that others can join.
        let mut open: Vec<Notice> = Vec::new();
        for id in endpoints {
            let Some(alone) = self.alone(id) else { continue };
            // Each is asked for: a range has the name of whichever of its endpoints was called.
            if table[id].control.breadth > Breadth::Any || !takes_ranges(&alone) {
                notices.push(alone);
                continue;
            }
            match open.iter_mut().find(|notice| notice.is_joined_by(table, Named::Span(span), &alone)) {
                Some(notice) => notice.take_in(alone),
                None => open.push(alone),
            }
        }
        for notice in open.iter_mut().filter(|notice| notice.endpoints.len() > 1) {
            let timeslots = notice.endpoints.iter().filter_map(|id| table[*id].ds0()).map(|ds0| ds0.timeslot);
            notice.named = Named::Timeslots(span, timeslots.collect());
        }
        open.append(&mut notices);
        open
    }

    /// One message for these endpoints, if it is true of all of them and its receiver is that of all.
    fn notice(&self, named: Named, endpoints: &(impl Iterator<Item = EndpointId> + Clone)) -> Option<Notice> {
        let table = self.table;
        let owing = endpoints.clone().filter(|id| self.owes(*id));
        let first = &table[owing.clone().next()?];
        let (target, outage) = (first.control.notified.target()?, first.outage);
        let news = owing.clone().map(|id| table[id].control.news).reduce(News::with)?;
        let called = called(table, owing.clone());
        let is_wide_enough = |endpoint: &Endpoint| match named {
            Named::Endpoint(_) => true,
            Named::Timeslots(..) | Named::Spans(..) => endpoint.control.breadth == Breadth::Any,
            Named::Span(_) | Named::Relays => endpoint.control.breadth < Breadth::Alone,
            Named::Gateway => endpoint.control.breadth < Breadth::Span,
        };
        let same = |id: EndpointId| {
            let endpoint = &table[id];
            let notified = &endpoint.control.notified;
            let says = endpoint.control.news.method() == news.method();
            // An endpoint that nobody was named or heard for has never been anything to anybody.
            let is_called = || is_alike(table, named, endpoint.control.called.as_deref(), called.as_deref());
            let fits = self.owes(id) && says && notified.is_at(&target) && is_called();
            (fits && is_wide_enough(endpoint) || notified.is_nobody()) && endpoint.outage == outage
        };
        let all = endpoints.clone().all(same);
        all.then(|| Notice { named, called, endpoints: owing.collect(), target, news, outage })
    }
}

impl Notice {
    /// Whether another can be told in the same message.
    fn is_joined_by(&self, table: &Table, named: Named, other: &Self) -> bool {
        other.target == self.target
            && other.outage == self.outage
            && other.news.method() == self.news.method()
            && is_alike(table, named, other.called.as_deref(), self.called.as_deref())
    }

    fn take_in(&mut self, other: Self) {
        self.endpoints.extend(other.endpoints);
        self.news = self.news.with(other.news);
        self.called = self.called.take().or(other.called);
    }
}

/// Whether what was called so can be named with what was called otherwise.
// RFC 3435 §2.1.2: names that are different are not interchangeable, but case makes no difference. All of
// the gateway have but a domain, and a wildcard for all endpoints says nothing of how each is named.
fn is_alike(table: &Table, named: Named, own: Option<&Called>, called: Option<&Called>) -> bool {
    let (Some(own), Some(called)) = (own, called) else { return true };
    let says_form = own.form != Form::Usual && named != Named::Gateway;
    own.domain.eq_ignore_ascii_case(&called.domain)
        && (!says_form
            || own.form == called.form
            || table.name(own.form, named) == table.name(called.form, named))
}

/// How these endpoints were called, as far as it was said: by a name of their own rather than by one for all.
fn called(table: &Table, mut endpoints: impl Iterator<Item = EndpointId> + Clone) -> Option<Arc<Called>> {
    let all = endpoints.clone();
    let mut own =
        all.filter_map(|id| table[id].control.called.as_ref()).filter(|called| called.form != Form::Usual);
    own.next().or_else(|| endpoints.find_map(|id| table[id].control.called.as_ref())).cloned()
}

#[cfg(test)]
mod tests {
    use drivers::line::{Carrier, Law, SpanId};

    use super::*;
    use crate::config::EchoCancellation;
    use crate::topology::{CoreId, SpanPlace, Topology};

    fn table() -> Table {
        let place = |span: u16| SpanPlace {
            span: SpanId(span),
            core: CoreId(0),
            number: u32::from(span) + 1,
            slot: None,
            carrier: Carrier::E1,
            law: Law::A,
            echo: EchoCancellation::None,
        };
        let mut table = Table::new(&Topology { spans: vec![place(0), place(1)], ..Topology::default() });
        for id in table.ids() {
            table[id].control.notified.set_name(Some("ca@example.net".parse().expect("a name")));
            table[id].control.announcement = Announcement::Owed;
        }
        table
    }

    fn names(table: &Table) -> Vec<Named> {
        owed(table, |_| true, |_| false).iter().map(|notice| notice.named).collect()
    }

    #[test]
    fn one_message_tells_of_all_endpoints() {
        assert_eq!(names(&table()), [Named::Gateway]);
    }

    #[test]
    fn spans_in_different_states_are_told_apart() {
        let mut table = table();
        for id in table.of_span(SpanId(1)) {
            table[id].outage = Some(Outage::Alarm);
        }
        assert_eq!(names(&table), [Named::Span(0), Named::Span(1)]);
    }

    #[test]
    fn endpoints_of_different_call_agents_are_told_apart() {
        let mut table = table();
        let id = EndpointId(3);
        table[id].control.notified.set_name(Some("other@example.net".parse().expect("a name")));
        let names = names(&table);
        assert_eq!(names.len(), 31 + 1);
        assert_eq!(names[3], Named::Endpoint(id));
        assert_eq!(names[31], Named::Span(1));
    }

    fn call(table: &mut Table, ids: impl IntoIterator<Item = u32>, form: Form, domain: &str) {
        let called = Arc::new(Called { form, domain: domain.to_owned() });
        for id in ids {
            table[EndpointId(id)].control.called = Some(Arc::clone(&called));
        }
    }

    #[test]
    fn endpoints_that_were_called_only_together_are_told_of_by_the_name_of_the_others() {
        let mut table = table();
        table[EndpointId(40)].outage = Some(Outage::Alarm);
        call(&mut table, 0..62, Form::Usual, "gw");
        // All but timeslot 16.
        call(&mut table, (0..31).filter(|id| *id != 15), Form::Ds1, "GW");
        let notices = owed(&table, |_| true, |_| false);
        assert_eq!(notices[0].named, Named::Span(0));
        assert_eq!(notices[0].called.as_ref().expect("it was called").form, Form::Ds1);
    }

    #[test]
    fn endpoints_that_were_called_differently_are_told_apart_but_not_over_what_looks_alike() {
        let mut table = table();
        table[EndpointId(40)].outage = Some(Outage::Alarm);
        call(&mut table, 0..31, Form::Kind, "gw");
        call(&mut table, [3], Form::Slot, "gw");
        assert_eq!(names(&table)[0], Named::Span(0), "a span without a slot has one name in both forms");
        call(&mut table, [3], Form::Ds1, "gw");
        assert_eq!(names(&table)[..4], [0, 1, 2, 3].map(|id| Named::Endpoint(EndpointId(id))));
        call(&mut table, [3], Form::Kind, "[192.0.2.1]");
        assert_eq!(names(&table)[..4], [0, 1, 2, 3].map(|id| Named::Endpoint(EndpointId(id))));
    }

    #[test]
    fn an_endpoint_that_owes_nothing_is_not_told_of_again() {
        let mut table = table();
        table[EndpointId(3)].control.announcement = Announcement::Settled;
        let names = names(&table);
        assert_eq!(names.len(), 30 + 1);
        assert!(!names.contains(&Named::Endpoint(EndpointId(3))));
    }

    #[test]
    fn one_message_for_disconnected_endpoints_has_the_longest_of_their_delays() {
        let mut table = table();
        let at = |s| Instant::from_nanos(s * 1_000_000_000);
        for id in table.ids() {
            table[id].control.news = News::Disconnected { since: at(100 - u64::from(id.0)) };
        }
        let notices = owed(&table, |_| true, |_| false);
        assert_eq!(notices.len(), 1);
        assert_eq!(notices[0].news.delay_s(at(101)), Some(62));
    }

    #[test]
    fn disconnected_endpoints_go_on_alone_when_they_part() {
        let mut table = table();
        for id in table.ids() {
            table[id].control.news = News::Disconnected { since: Instant::ZERO };
        }
        table[EndpointId(3)].control.announcement = Announcement::Settled;
        assert_eq!(names(&table).len(), 30 + 1);
    }

    #[test]
    fn endpoints_of_nobody_in_another_state_are_told_apart() {
        let mut table = table();
        let nobodys = &mut table[EndpointId(3)];
        nobodys.control.notified.set_name(None);
        nobodys.control.announcement = Announcement::Settled;
        assert_eq!(names(&table), [Named::Gateway]);
        table[EndpointId(3)].outage = Some(Outage::Alarm);
        assert_eq!(names(&table).len(), 30 + 1);
    }
}
