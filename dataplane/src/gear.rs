//! What one side of a DS0 needs only where something is listened for, played or dialled there.
//!
//! Thousands of DS0s carry plain speech and need none of it, and a core allocates nothing. So control
//! makes it: the [link](crate::link) sends it along with each order that may want it, and takes back what
//! was not wanted, or no longer is.

use crate::connection::Aside;
use crate::link::{Action, CircuitTest, Leg, Side};
use crate::mode::Mode;
use crate::station::Station;

/// What goes with an order, and what comes back with its report.
#[derive(Debug, Default)]
pub struct Gear {
    /// For the connection that the order is about.
    pub(crate) aside: Option<Box<Aside>>,
    /// For the line.
    pub(crate) station: Option<Box<Station>>,
}

impl Gear {
    /// All that an order can want. Allocates.
    pub fn for_action(action: &Action) -> Self {
        match action {
            Action::Connect { leg, .. } | Action::Modify { leg, .. } => Self {
                aside: wants_aside(leg).then(Self::aside),
                // Digits that a peer is to be told of are listened for on the line.
                station: leg.send_events.is_some().then(Self::station),
            },
            Action::Watch { detectors, .. } if detectors.is_empty() => Self::default(),
            Action::Watch { side, .. } | Action::Play { side, .. } => match side {
                Side::Line(_) => Self { aside: None, station: Some(Self::station()) },
                Side::Network(_) => Self { aside: Some(Self::aside()), station: None },
            },
            Action::Test { test: Some(CircuitTest::Transponder(_)), .. } => {
                Self { aside: None, station: Some(Self::station()) }
            }
            Action::Test { .. }
            | Action::ConnectRelay { .. }
            | Action::ModifyRelay { .. }
            | Action::Disconnect { .. }
            | Action::Survey { .. }
            | Action::Encode { .. }
            | Action::CancelEcho { .. }
            | Action::Supervise { .. }
            | Action::Stop { .. } => Self::default(),
        }
    }

    /// Whether there is nothing of it.
    pub const fn is_empty(&self) -> bool {
        self.aside.is_none() && self.station.is_none()
    }

    fn aside() -> Box<Aside> {
        Box::new(Aside::new())
    }

    fn station() -> Box<Station> {
        Box::new(Station::new())
    }
}

/// Whether a leg that behaves so tells or is told of digits, or answers a test's tones.
fn wants_aside(leg: &Leg) -> bool {
    let is_test = matches!(leg.mode, Mode::ContinuityTest | Mode::NetworkContinuityTest);
    is_test || leg.receive_events.is_some() || leg.send_events.is_some()
}
