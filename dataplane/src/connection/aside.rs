//! What a connection needs only where something is listened for, played or dialled on it.

use crate::dsp::transponder::Transponder;
use crate::rtp::dialler::Dialler;
use crate::rtp::telephone_event::Events;
use crate::station::Station;

/// Apart from the connection, which has it only while an order wants it: see [`Gear`](crate::gear::Gear).
#[derive(Debug)]
pub(crate) struct Aside {
    /// What listens to the peer and plays to it.
    pub station: Station,
    /// The digits that the peer tells of.
    pub events: Events,
    /// The digits that the peer is told of.
    pub dialler: Dialler,
    /// Whether the peer hears other connections beside the line.
    pub has_company: bool,
    /// Answers the tones of a continuity test that this connection's mode asks for.
    pub transponder: Transponder,
}

impl Aside {
    /// Nothing is listened for, played or dialled.
    pub(crate) const fn new() -> Self {
        Self {
            station: Station::new(),
            events: Events::new(),
            dialler: Dialler::new(),
            has_company: false,
            transponder: Transponder::new(),
        }
    }
}
