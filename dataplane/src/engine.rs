//! One core's media: pure, never allocating, driven by a [`Worker`](crate::worker::Worker).

use std::net::SocketAddr;
use std::sync::Arc;

use drivers::line::{Line, SpanId};
use drivers::net::{PortSlot, RtpSockets};
use drivers::span::{Block, SpanEvent};
use drivers::time::{Epoch, Instant};

use crate::limits::Limits;
use crate::link::{Order, Report};
use crate::stats::Stats;

/// What an engine has to know of a span.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpanShape {
    /// Its id.
    pub id: SpanId,
    /// What kind of line it is.
    pub line: Line,
    /// Frames in each of its blocks.
    pub frames: usize,
}

/// One core's channels and connections.
#[derive(Debug)]
pub struct Engine {}

impl Engine {
    /// An engine without connections. Allocates all it will ever need.
    pub fn new(
        _limits: &Limits,
        _spans: &[SpanShape],
        _seed: u64,
        _epoch: Epoch,
        _stats: Arc<Stats>,
    ) -> Self {
        Self {}
    }

    /// Carries out an order; its report can be polled at once.
    pub fn apply(&mut self, _now: Instant, _order: Order) {}

    /// Takes a datagram that came to one of the core's ports.
    pub fn receive(&mut self, _slot: PortSlot, _from: SocketAddr, _arrived: Instant, _octets: &[u8]) {}

    /// Fills `tx` with what the line is to be sent next.
    pub fn playout(&mut self, _span: usize, _rx: &Block, _tx: &mut Block) {}

    /// Takes what came from the line.
    pub fn capture(&mut self, _now: Instant, _span: usize, _rx: &Block) {}

    /// Takes what a span says of itself.
    pub fn span_event(&mut self, _span: usize, _event: SpanEvent) {}

    /// Sends what is ready.
    pub fn transmit(&mut self, _now: Instant, _sockets: &mut impl RtpSockets) {}

    /// Ends connections with a BYE, as many as the sockets take at once; whether none is left.
    pub fn close(&mut self, _now: Instant, _sockets: &mut impl RtpSockets) -> bool {
        true
    }

    /// The next report.
    pub fn poll_report(&mut self) -> Option<Report> {
        None
    }
}
