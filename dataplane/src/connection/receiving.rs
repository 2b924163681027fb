//! What comes to a connection's RTP port: whose it is, what it is, and where it goes.

use std::net::SocketAddr;

use drivers::time::Instant;

use super::{Aside, Collision, Connection, Heard, receives};
use crate::codec::Codec;
use crate::link::{MediaEvent, Observation, Side};
use crate::reports::Reports;
use crate::rtp::packet::Packet;
use crate::rtp::source::Verdict;
use crate::rtp::telephone_event::{TelephoneEvent, Unheard};
use crate::stats::{Counter, Stats};

impl Connection {
    /// Takes a datagram that came to its RTP port.
    pub(crate) fn receive(
        &mut self,
        from: SocketAddr,
        arrived: Instant,
        octets: &[u8],
        stats: &Stats,
        reports: &mut Reports,
    ) -> Result<(), Collision> {
        match self.judge(from, arrived, octets, reports) {
            Ok((packet, content)) => {
                stats.add(Counter::RtpReceived, 1);
                stats.add(Counter::RtpReceivedOctets, packet.payload().len() as u64);
                if !self.has_begun {
                    self.begin(arrived, reports);
                }
                match content {
                    _ if !self.playout.is_heard => stats.add(Counter::DroppedMode, 1),
                    Content::Audio(codec) => self.insert(&packet, codec, stats),
                    Content::Event(event) => {
                        if self.dial(arrived, packet.timestamp(), event, reports) == Err(Unheard) {
                            stats.add(Counter::DigitsUnheard, 1);
                        }
                    }
                }
                self.check_ssrc(packet.ssrc(), stats)
            }
            Err(reason) => {
                stats.add(reason, 1);
                Ok(())
            }
        }
    }

    /// The first packet has come, if its mode has it receive.
    #[cold]
    fn begin(&mut self, now: Instant, reports: &mut Reports) {
        self.has_begun = receives(self.leg.mode);
        if self.has_begun && self.is_awaited {
            reports.observed(Side::Network(self.port), now, Observation::Media(MediaEvent::Began), 0);
        }
    }

    /// Whether a datagram is RTP from the peer, in a format that was agreed, and in its turn; else
    /// what it counts as.
    fn judge<'a>(
        &mut self,
        from: SocketAddr,
        arrived: Instant,
        octets: &'a [u8],
        reports: &mut Reports,
    ) -> Result<(Packet<'a>, Content), Counter> {
        // RFC 3435 §2.3.5: without a remote description, media are accepted from anyone. With one,
        // they are the peer's or nobody's.
        if !self.leg.peer.may_be(from, |remote| remote.rtp) {
            return Err(Counter::DroppedSource);
        }
        let packet = Packet::new_checked(octets).map_err(|_| Counter::DroppedMalformed)?;
        self.heard_at = arrived;
        // RFC 3550 §5.1: packets with payload types that are not understood are ignored, so they
        // begin no sequence either.
        let content = match self.leg.receive.codec(packet.payload_type()) {
            Some(codec) => Content::Audio(codec),
            None if self.leg.receive_events == Some(packet.payload_type()) => {
                let event = TelephoneEvent::parse(packet.payload());
                Content::Event(event.map_err(|_| Counter::DroppedMalformed)?)
            }
            None => {
                self.source.pass_over(&packet);
                return Err(Counter::DroppedPayloadType);
            }
        };
        match self.source.receive(arrived, &packet) {
            Verdict::Accept => {}
            Verdict::AcceptRestarted => {
                self.playout.jitter_buffer.resync();
                self.redial(arrived, reports);
            }
            Verdict::Drop => return Err(Counter::DroppedSequence),
        }
        self.heard_from = Some(from);
        self.received.add(packet.payload().len());
        // A packet without a payload keeps the way through a NAT open, and shows nothing.
        if let Content::Audio(_) = content
            && !packet.payload().is_empty()
        {
            let octets = packet.payload().len() as u16;
            self.heard = Heard { payload_type: packet.payload_type(), octets };
        }
        Ok((packet, content))
    }

    /// Lays a packet's octets down for the line.
    fn insert(&mut self, packet: &Packet<'_>, codec: Codec, stats: &Stats) {
        let inserted =
            self.playout.jitter_buffer.insert(packet.timestamp(), packet.payload(), codec.to_line(self.law));
        if inserted.late > 0 {
            stats.add(Counter::LateOctets, inserted.late as u64);
        }
        if inserted.duplicate > 0 && inserted.duplicate == packet.payload().len() {
            stats.add(Counter::Duplicate, 1);
        }
    }

    // RFC 3550 §8.2: whoever finds its own SSRC in use says BYE and takes another, but once only, for
    // a peer that sends our own packets back would bring on the next change. There the algorithm goes
    // on to ignore what comes under our SSRC. We count and play it: who the peer is has been settled
    // by its address, and a peer that reflects is how circuits are tested.
    fn check_ssrc(&mut self, ssrc: u32, stats: &Stats) -> Result<(), Collision> {
        if ssrc == self.ssrc { self.met_own_ssrc(stats) } else { Ok(()) }
    }

    /// Notes that the peer uses our SSRC.
    pub(crate) fn met_own_ssrc(&mut self, stats: &Stats) -> Result<(), Collision> {
        stats.add(Counter::OwnSsrc, 1);
        if std::mem::replace(&mut self.has_collided, true) { Ok(()) } else { Err(Collision) }
    }

    /// Takes an event that came under `timestamp`.
    fn dial(
        &mut self,
        now: Instant,
        timestamp: u32,
        event: TelephoneEvent,
        reports: &mut Reports,
    ) -> Result<(), Unheard> {
        let side = Side::Network(self.port);
        let Aside { station, events, .. } = self.aside();
        let received = events.receive(now, timestamp, event, |what| {
            station.ear.told(what, |what| reports.observed(side, now, what, 0));
        });
        self.playout.is_dialling = events.are_sounding();
        received
    }

    /// The peer's timestamps begin anew.
    fn redial(&mut self, now: Instant, reports: &mut Reports) {
        let Some(Aside { station, events, .. }) = self.aside.as_deref_mut() else { return };
        let side = Side::Network(self.port);
        events.restart(|what| station.ear.told(what, |what| reports.observed(side, now, what, 0)));
        self.playout.is_dialling = false;
    }
}

/// What a packet holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Content {
    Audio(Codec),
    Event(TelephoneEvent),
}
