//! When a line's alarms begin to count: after they have stood for a while, and likewise when they end.
//!
//! A line that hiccups for a second carries its calls through it; declaring it failed would end them all.
//! ANSI T1.231 and ITU-T practice declare a failure after 2.5 s of a defect, and its end after 10 s
//! without one. What drivers report is the defect; what endpoints and call agents hear of is the failure.

use drivers::line::Alarms;
use drivers::line::SpanId;
use drivers::span::SpanEvent;
use drivers::time::Instant;
use tracing::{debug, error, info};

use super::{Due, Gateway};
use crate::endpoint::Outage;
use crate::timer::TimerId;

/// One span's line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct LineWatch {
    /// Whether it counts as failed.
    has_failed: bool,
    /// When that is to change, unless the line changes its mind.
    changing: Option<TimerId>,
}

impl LineWatch {
    /// Whether its alarms have stood for long enough.
    pub(super) const fn has_failed(self) -> bool {
        self.has_failed
    }
}

impl Gateway {
    /// Takes in what a span says of itself.
    pub(super) fn span_event(&mut self, now: Instant, span: SpanId, event: SpanEvent) {
        match event {
            SpanEvent::Alarms(alarms) => self.alarms(now, span, alarms),
            SpanEvent::Slip(slip) => debug!(span = %self.state.name_of_span(span), ?slip, "slip"),
            SpanEvent::Failed => {
                error!(span = %self.state.name_of_span(span), "the driver of this span cannot go on");
                if self.phase.is_up() {
                    let endpoints: Vec<_> = self.state.endpoints.of_span(span).collect();
                    self.set_outage(now, &endpoints, Some(Outage::Failure));
                    self.announce_unless_starting(now);
                }
            }
        }
    }

    fn alarms(&mut self, now: Instant, span: SpanId, alarms: Alarms) {
        info!(span = %self.state.name_of_span(span), %alarms, "alarms");
        let line = self.lines[usize::from(span.0)];
        if line.has_failed == alarms.is_down() {
            self.stop_changing(span);
        } else if line.changing.is_none() {
            let hold = if alarms.is_down() { self.alarm_hold.raise } else { self.alarm_hold.clear };
            if hold.is_zero() {
                self.change_line(now, span);
            } else {
                let timer = self.timers.set(now + hold, Due::LineChange(span));
                self.lines[usize::from(span.0)].changing = Some(timer);
            }
        }
    }

    /// A line's alarms have stood, or been gone, for as long as it takes to count.
    pub(super) fn change_line(&mut self, now: Instant, span: SpanId) {
        let line = &mut self.lines[usize::from(span.0)];
        line.has_failed = !line.has_failed;
        line.changing = None;
        let (has_failed, span_name) = (line.has_failed, self.state.name_of_span(span));
        if has_failed {
            error!(span = %span_name, "the line has failed");
        } else {
            info!(span = %span_name, "the line is back");
        }
        self.refresh_service(now, span);
    }

    fn stop_changing(&mut self, span: SpanId) {
        if let Some(timer) = self.lines[usize::from(span.0)].changing.take() {
            self.timers.cancel(timer);
        }
    }
}
