//! Which circuits are in service: the part of the configuration that can change while the gateway runs.

use drivers::line::Timeslot;

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
