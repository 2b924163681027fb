//! Taking spans and timeslots out of service and back: the operator's wish and the line's state together.
//!
//! ```text
//!            graceful, calls are up             the last call ends, or it takes too long
//!     In ────────────────────────────▶ Draining ────────────────────────────────────────▶ Out
//!     ▲ ▲               in                │                                                │
//!     │ └─────────────────────────────────┘                       in                       │
//!     └────────────────────────────────────────────────────────────────────────────────────┘
//!     In, Draining ── out; or graceful, and no call is up ──▶ Out
//! ```
//!
//! A span that is in service by its operator is out of it all the same while its line has failed.

use drivers::line::{Ds0, SpanId, Timeslot};
use drivers::time::Instant;
use tracing::info;

use super::{Due, Gateway};
use crate::config::{Config, Service, ServiceConfig};
use crate::endpoint::restart::News;
use crate::endpoint::{EndpointId, Outage};
use crate::timer::TimerId;

/// What one span's operator wants, as far as it has come.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct SpanService {
    state: State,
    out: Vec<Timeslot>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    #[default]
    In,
    /// It is to go out with its last call, or when this timer fires.
    Draining(Option<TimerId>),
    Out,
}

impl SpanService {
    /// At the start there are no calls to wait for.
    fn at_start(config: &ServiceConfig) -> Self {
        let state = if config.span == Service::In { State::In } else { State::Out };
        Self { state, out: config.out.clone() }
    }
}

impl Gateway {
    /// Begins with what the configuration has out of service.
    pub(super) fn begin_service(&mut self, config: &Config) {
        self.services = config.spans.iter().map(|span| SpanService::at_start(&span.service)).collect();
        for id in self.state.endpoints.ids() {
            let outage = self.cause(id);
            let endpoint = &mut self.state.endpoints[id];
            if outage.is_some() {
                endpoint.outage = outage;
                endpoint.control.news = News::Forced;
            }
        }
    }

    /// The operator has changed what is in service of a span.
    pub(super) fn serve(&mut self, now: Instant, span: SpanId, wanted: ServiceConfig) {
        // One that is no span of ours has been put into a journal by hand.
        let Some(service) = self.services.get_mut(usize::from(span.0)) else { return };
        if !self.phase.is_up() {
            return;
        }
        info!(span = %self.state.name_of_span(span), service = wanted.span.name(), out = wanted.out.len(), "service");
        service.out = wanted.out;
        let before = service.state;
        match (before, wanted.span) {
            (State::In, Service::In)
            | (State::Draining(_), Service::Graceful)
            | (State::Out, Service::Out | Service::Graceful) => {}
            (State::Draining(_) | State::Out, Service::In) => self.set_service(span, State::In),
            (State::In | State::Draining(_), Service::Out) => self.set_service(span, State::Out),
            (State::In, Service::Graceful) => self.let_drain(now, span),
        }
        if matches!(before, State::Draining(_)) && wanted.span == Service::In {
            let endpoints: Vec<_> = self.state.endpoints.of_span(span).collect();
            self.tell_news(&endpoints, News::CancelGraceful);
        }
        self.refresh_service(now, span);
    }

    /// Spans whose last call has ended go out of service.
    pub(super) fn end_drained(&mut self, now: Instant) {
        // After each input, but there is hardly ever one.
        if self.draining.is_empty() {
            return;
        }
        let idle: Vec<_> = self.draining.iter().copied().filter(|span| self.is_idle(*span)).collect();
        idle.into_iter().for_each(|span| self.drained(now, span));
    }

    /// A span goes out of service, whether its last call has ended or not.
    pub(super) fn drained(&mut self, now: Instant, span: SpanId) {
        self.set_service(span, State::Out);
        self.refresh_service(now, span);
    }

    /// Has each endpoint of a span in service or not, as its operator and its line have it.
    pub(super) fn refresh_service(&mut self, now: Instant, span: SpanId) {
        if !self.phase.is_up() {
            return;
        }
        let endpoints: Vec<_> = self.state.endpoints.of_span(span).collect();
        for outage in [None, Some(Outage::Alarm), Some(Outage::Operator)] {
            let those: Vec<_> = endpoints.iter().copied().filter(|id| self.cause(*id) == outage).collect();
            self.set_outage(now, &those, outage);
        }
        self.announce_unless_starting(now);
    }

    /// The endpoints that stay in service when the gateway does.
    pub(super) fn not_draining(&self) -> Vec<EndpointId> {
        let stays = |service: &SpanService| !matches!(service.state, State::Draining(_));
        let ids = self.state.endpoints.ids();
        ids.filter(|id| self.service_of(*id).is_none_or(|(service, _)| stays(service))).collect()
    }

    fn let_drain(&mut self, now: Instant, span: SpanId) {
        if self.is_idle(span) {
            return self.set_service(span, State::Out);
        }
        let until = self.graceful_stop_max.map(|max| now + max);
        let timer = until.map(|until| self.timers.set(until, Due::Drained(span)));
        self.set_service(span, State::Draining(timer));
        let endpoints: Vec<_> = self.state.endpoints.of_span(span).collect();
        // RFC 3435 §2.3.12: with `graceful`, connections stay, and call agents make no new ones.
        self.tell_news(&endpoints, News::Graceful { until });
    }

    fn set_service(&mut self, span: SpanId, state: State) {
        let before = std::mem::replace(&mut self.services[usize::from(span.0)].state, state);
        if let State::Draining(Some(timer)) = before {
            self.timers.cancel(timer);
        }
        match state {
            State::Draining(_) => drop(self.draining.insert(span)),
            State::In | State::Out => drop(self.draining.remove(&span)),
        }
    }

    fn is_idle(&self, span: SpanId) -> bool {
        let mut endpoints = self.state.endpoints.of_span(span).map(|id| &self.state.endpoints[id]);
        endpoints.all(|endpoint| endpoint.connections.is_empty() && endpoint.executing.is_empty())
    }

    /// Why an endpoint is out of service, if it is, but for what nobody can mend.
    fn cause(&self, id: EndpointId) -> Option<Outage> {
        let (service, ds0) = self.service_of(id)?;
        if service.state == State::Out || service.out.contains(&ds0.timeslot) {
            return Some(Outage::Operator);
        }
        self.lines[usize::from(ds0.span.0)].has_failed().then_some(Outage::Alarm)
    }

    fn service_of(&self, id: EndpointId) -> Option<(&SpanService, Ds0)> {
        let ds0 = self.state.endpoints[id].ds0()?;
        self.services.get(usize::from(ds0.span.0)).map(|service| (service, ds0))
    }
}
