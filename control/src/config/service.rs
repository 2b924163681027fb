//! Which circuits are in service: the part of the configuration that can change while the gateway runs.

use drivers::line::{Carrier, Timeslot};

use super::reader::Section;
use super::spans::timeslots;

/// What the operator wants of one span.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ServiceConfig {
    /// Of the whole span.
    pub span: Service,
    /// Timeslots that are out of service whatever the span is, in order.
    pub out: Vec<Timeslot>,
}

/// Whether a span serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Service {
    /// It is in service, unless its line has failed.
    #[default]
    In,
    /// It goes out of service with its last call.
    Graceful,
    /// It is out of service; its calls end.
    Out,
}

impl Service {
    /// All of them, by their words.
    pub const NAMES: [(&'static str, Self); 3] =
        [("in", Self::In), ("graceful", Self::Graceful), ("out", Self::Out)];

    /// Its word.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize].0
    }
}

/// Reads the settings of a `[[span]]` table that say so.
pub(super) fn read(section: &mut Section<'_>, carrier: Carrier) -> ServiceConfig {
    let span = section.word("service", &Service::NAMES, Service::In);
    let out = section.value("out_of_service").filter(|value| value.is_text() != Some(""));
    let mut out = out.and_then(|value| timeslots(&value, carrier)).unwrap_or_default();
    out.sort_unstable();
    out.dedup();
    ServiceConfig { span, out }
}
