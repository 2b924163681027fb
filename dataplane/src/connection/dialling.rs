//! The digits that a connection's peer is told of, as telephone-events: the line's and those played to it.
//!
//! A digit of the line is known to the channel, which listens once for all its connections. What another
//! connection's peer dials is heard by this one as a tone.

use super::{Aside, Connection, OCTETS_PER_MS, Outlet};
use crate::dsp::dtmf::Pressed;
use crate::link::DigitSet;
use crate::rtp::dialler::{Origin, Report};

impl Connection {
    /// Whether its peer is told of digits.
    pub(crate) fn tells_digits(&self) -> bool {
        self.leg.send_events.is_some() && self.feed.outlet == Outlet::Network
    }

    /// Takes what is pressed on the line at `clock`, the end of what was heard of it.
    pub(crate) fn press(&mut self, clock: u64, pressed: Option<Pressed>) {
        if !self.tells_digits() || pressed.is_none() && !self.feed.is_telling {
            return;
        }
        let timestamp = self.timestamp_at(clock);
        // RFC 4733 §2.5.1.1: what the peer does not list is not told; it is heard.
        let digits = self.leg.send_events.map_or(DigitSet::NONE, |events| events.digits);
        let Aside { station, dialler, .. } = self.aside();
        match pressed.filter(|one| digits.has(one.digit) && !station.plays.are_alone()) {
            Some(Pressed { digit, volume, ago, ms }) => {
                let began = timestamp.wrapping_sub(ago.wrapping_mul(OCTETS_PER_MS as u32));
                if !dialler.is_pressed(Origin::Line, digit) {
                    dialler.press(Origin::Line, digit, volume, began);
                }
                dialler.prolong_to(began.wrapping_add(ms.wrapping_mul(OCTETS_PER_MS as u32)));
            }
            None => dialler.release(Origin::Line),
        }
        self.feed.is_telling = dialler.is_busy();
    }

    /// Whether it is being told of a digit of the line.
    pub(crate) fn is_told_of_line(&self) -> bool {
        self.feed.is_telling
            && self.aside.as_ref().is_some_and(|aside| aside.dialler.is_sounding_from(Origin::Line))
    }

    /// Says whether the peer hears other connections beside the line, from now on.
    pub(crate) fn set_company(&mut self, has_company: bool) {
        if let Some(aside) = &mut self.aside {
            aside.has_company = has_company;
        }
    }

    /// The peer does not hear the line any more.
    pub(crate) fn leave_line(&mut self) {
        if self.feed.is_telling {
            let dialler = &mut self.aside().dialler;
            dialler.drop_of(Origin::Line);
            self.feed.is_telling = dialler.is_busy();
        }
    }

    /// Notes what the tones that are played to the peer dial in the next `octets`, which come at `clock`.
    // RFC 4733 §2.5.1: a peer that takes events may listen to nothing else.
    pub(super) fn dial_played(&mut self, clock: u64, octets: u32) {
        let Some(events) = self.leg.send_events.filter(|_| self.feed.outlet == Outlet::Network) else {
            return;
        };
        let timestamp = self.timestamp_at(clock);
        let Aside { station, dialler, .. } = self.aside();
        let Some(played) = station.plays.digit().filter(|played| events.digits.has(played.digit)) else {
            return;
        };
        let origin = Origin::Play(played.play);
        if !dialler.is_pressed(origin, played.digit) {
            dialler.press(origin, played.digit, played.volume, timestamp);
        }
        dialler.prolong(played.left.map_or(octets, |left| left.min(octets)));
        if played.left.is_some_and(|left| left <= octets) {
            dialler.release(origin);
        }
        self.feed.is_telling = true;
    }

    /// Takes octets for a peer that is being told of digits: while one sounds it hears nothing, unless others
    /// than who dials can be heard.
    pub(super) fn tell(&mut self, octets: &[u8]) -> bool {
        let Self { feed, aside: Some(aside), .. } = self else { return false };
        let is_beside = aside.has_company && aside.dialler.is_sounding_from(Origin::Line);
        if aside.dialler.is_sounding() && !is_beside {
            feed.packetizer.pause(octets.len());
        } else {
            feed.packetizer.push(octets, feed.encode);
        }
        aside.dialler.advance(octets.len() as u32) || feed.packetizer.is_ready()
    }

    /// The next packet that tells of a digit.
    pub(super) fn report(&mut self) -> Option<&[u8]> {
        let payload_type = self.leg.send_events?.payload_type;
        let Self { feed, aside: Some(aside), .. } = self else { return None };
        let report = aside.dialler.poll();
        feed.is_telling = aside.dialler.is_busy();
        let Report { is_first, timestamp, event } = report?;
        let header = feed.packetizer.interpose(payload_type, is_first, timestamp);
        Some(aside.dialler.packet(header, event))
    }
}
