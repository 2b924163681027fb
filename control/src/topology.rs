//! Which span and which ports belong to which core: fixed at start.

use drivers::line::{Carrier, Law, SpanId};
use drivers::net::Ports;

/// One media core, by its place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CoreId(pub u16);

/// The fixed shape of the gateway.
#[derive(Clone, PartialEq, Debug)]
pub struct Topology {
    /// All spans, by [`SpanId`].
    pub spans: Vec<SpanPlace>,
    /// Each core's ports, by [`CoreId`].
    pub ports: Vec<Ports>,
}

/// One span in the topology.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpanPlace {
    /// Its id.
    pub span: SpanId,
    /// The core that carries it.
    pub core: CoreId,
    /// Its number in endpoint names.
    pub number: u32,
    /// Its slot in endpoint names, if any.
    pub slot: Option<u32>,
    /// E1 or T1.
    pub carrier: Carrier,
    /// The law of its channels.
    pub law: Law,
}
