//! The legs of relays, found by their pairs.
//!
//! Any pair can carry one, but there are no more of them than relays can have: a gateway of DS0s has few
//! relays and thousands of pairs.

use super::Leg;

/// All legs of a core's relays.
#[derive(Debug)]
pub(super) struct Legs {
    /// By pair; `None` where it is idle, or a DS0's.
    places: Box<[Option<u32>]>,
    legs: Box<[Option<Leg>]>,
    /// Places in `legs` without one.
    free: Vec<u32>,
}

impl Legs {
    /// Room for `legs` of them on `pairs`.
    pub(super) fn new(pairs: usize, legs: usize) -> Self {
        Self {
            places: vec![None; pairs].into(),
            legs: (0..legs).map(|_| None).collect(),
            free: (0..legs as u32).rev().collect(),
        }
    }

    /// Octets of memory for `legs` of them on `pairs`.
    pub(super) const fn memory(pairs: usize, legs: usize) -> usize {
        pairs * size_of::<Option<u32>>() + legs * (size_of::<Option<Leg>>() + size_of::<u32>())
    }

    /// Puts one on an idle pair.
    ///
    /// # Panics
    /// If there is no room for it.
    pub(super) fn insert(&mut self, pair: usize, leg: Leg) {
        let place = self.free.pop().expect("relays have no more connections than there is room for");
        self.places[pair] = Some(place);
        self.legs[place as usize] = Some(leg);
    }

    /// Takes the one on a pair away.
    pub(super) fn remove(&mut self, pair: usize) -> Option<Leg> {
        let place = self.places[pair].take()?;
        self.free.push(place);
        self.legs[place as usize].take()
    }

    /// The one on a pair.
    pub(super) fn get_mut(&mut self, pair: usize) -> Option<&mut Leg> {
        let place = *self.places.get(pair)?;
        self.legs[place? as usize].as_mut()
    }

    /// The one on a pair.
    pub(super) fn get(&self, pair: usize) -> Option<&Leg> {
        let place = *self.places.get(pair)?;
        self.legs[place? as usize].as_ref()
    }
}
