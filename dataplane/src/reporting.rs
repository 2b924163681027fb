//! RTCP of each leg: when to report, what of, and what the peer's reports tell.
//!
//! Kept apart from the connections, because it is looked at every five seconds and they in every tick.

use std::net::SocketAddr;
use std::time::Duration;

use drivers::net::PortSlot;
use drivers::time::{Epoch, Instant};
use rand::Rng;

use crate::connection::{Connection, Tally};
use crate::link::Identity;
use crate::rota::Rota;
use crate::rtp::Malformed;
use crate::rtp::rtcp::{Compound, Heard, ReportBlock, Role, Schedule, SenderInfo};

/// The RTCP of all pairs.
#[derive(Debug)]
pub(crate) struct Reporting {
    legs: Box<[Rtcp]>,
    /// When each pair has something to consider; never for an idle one.
    pub(crate) rota: Rota,
    epoch: Epoch,
}

/// The RTCP of one leg.
#[derive(Clone, Copy, Debug)]
struct Rtcp {
    cname: [u8; 16],
    schedule: Schedule,
    /// When RTCP last came from the peer.
    heard_at: Instant,
    /// Half the last round trip.
    latency: Duration,
    /// What had been sent under SSRCs we have given up.
    sent_before: Tally,
    /// Whether any RTCP has been sent.
    has_reported: bool,
}

/// A compound packet with its address and all that it says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Letter {
    /// The RTCP port it leaves from.
    pub from: PortSlot,
    /// Where it goes.
    pub to: SocketAddr,
    ssrc: u32,
    sender: Option<SenderInfo>,
    block: Option<ReportBlock>,
    cname: [u8; 16],
    bye: bool,
}

impl Reporting {
    /// Room for all pairs, all idle.
    pub(crate) fn new(pairs: usize, epoch: Epoch, rng: &mut impl Rng) -> Self {
        let idle = Rtcp::new([0; 16], Schedule::start(Instant::ZERO, rng));
        Self { legs: vec![idle; pairs].into(), rota: Rota::new(pairs), epoch }
    }

    /// Octets of memory that a pair takes.
    pub(crate) const MEMORY: usize = size_of::<Rtcp>() + Rota::MEMORY;

    /// A leg begins.
    pub(crate) fn open(&mut self, now: Instant, pair: usize, identity: &Identity, rng: &mut impl Rng) {
        let schedule = Schedule::start(now, rng);
        self.legs[pair] = Rtcp::new(identity.cname, schedule);
        self.rota.set(pair, schedule.next_at());
    }

    /// A leg ends.
    pub(crate) fn close(&mut self, pair: usize) {
        self.rota.set(pair, Instant::FAR_FUTURE);
    }

    /// A leg has a new SSRC: what it has sent counts from zero again.
    // RFC 3550 §6.4.1: the sender's counts are reset when its SSRC changes.
    pub(crate) fn renamed(&mut self, pair: usize, connection: &Connection) {
        self.legs[pair].sent_before = connection.sent;
    }

    /// Takes an RTCP datagram of the leg's peer.
    pub(crate) fn receive(
        &mut self,
        pair: usize,
        connection: &mut Connection,
        arrived: Instant,
        octets: &[u8],
    ) -> Result<(), Refused> {
        let rtcp = &mut self.legs[pair];
        let heard = Heard::parse(octets, connection.ssrc).map_err(|Malformed| Refused::Malformed)?;
        // RFC 3550 §8.2: what says it is from us is our own, come back.
        if heard.ssrc == connection.ssrc {
            return Err(Refused::Own);
        }
        rtcp.heard_at = arrived;
        rtcp.schedule.passed(octets.len());
        if let Some(sender) = heard.sender {
            connection.source.sender_report(arrived, heard.ssrc, sender.ntp);
        }
        let round_trip = heard.about_us.and_then(|block| block.round_trip(self.epoch.ntp(arrived)));
        if let Some(round_trip) = round_trip {
            rtcp.latency = round_trip / 2;
        }
        Ok(())
    }

    /// The report that a leg owes its peer now, if any; `timestamp` is its media clock's time.
    pub(crate) fn poll(
        &mut self,
        now: Instant,
        pair: usize,
        connection: &mut Connection,
        timestamp: u32,
        rng: &mut impl Rng,
    ) -> Option<Letter> {
        let rtcp = &mut self.legs[pair];
        let role = rtcp.schedule.poll(now, connection.sent.packets, rng);
        self.rota.set(pair, rtcp.schedule.next_at());
        let letter = self.compose(now, pair, connection, timestamp, role?)?;
        let rtcp = &mut self.legs[pair];
        rtcp.schedule.passed(letter.len());
        rtcp.has_reported = true;
        Some(letter)
    }

    /// The BYE of a leg that ends or gives up its SSRC.
    // RFC 3550 §6.3.7: in so small a session it may leave at once; who has never sent anything must
    // not say it.
    pub(crate) fn farewell(
        &mut self,
        now: Instant,
        pair: usize,
        connection: &mut Connection,
        timestamp: u32,
    ) -> Option<Letter> {
        let rtcp = &self.legs[pair];
        if connection.sent.packets == 0 && !rtcp.has_reported {
            return None;
        }
        let role = rtcp.schedule.role(connection.sent.packets);
        let letter = self.compose(now, pair, connection, timestamp, role)?;
        Some(Letter { bye: true, ..letter })
    }

    fn compose(
        &self,
        now: Instant,
        pair: usize,
        connection: &mut Connection,
        timestamp: u32,
        role: Role,
    ) -> Option<Letter> {
        let rtcp = &self.legs[pair];
        let to = connection.leg.peer.remote()?.rtcp;
        let sender = (role == Role::Sender).then(|| SenderInfo {
            ntp: self.epoch.ntp(now),
            timestamp,
            packets: connection.sent.packets.wrapping_sub(rtcp.sent_before.packets),
            // RFC 3550 §6.4.1: 32 bits, which turn over.
            octets: (connection.sent.octets - rtcp.sent_before.octets) as u32,
        });
        Some(Letter {
            from: PortSlot(pair as u32 * 2).rtcp(),
            to,
            ssrc: connection.ssrc,
            sender,
            block: connection.source.report(now),
            cname: rtcp.cname,
            bye: false,
        })
    }

    /// When RTCP last came for a leg; [`Instant::ZERO`] if none has.
    pub(crate) fn heard_at(&self, pair: usize) -> Instant {
        self.legs[pair].heard_at
    }

    /// Half the last round-trip time of a leg; zero if none is known.
    pub(crate) fn latency(&self, pair: usize) -> Duration {
        self.legs[pair].latency
    }
}

impl Rtcp {
    const fn new(cname: [u8; 16], schedule: Schedule) -> Self {
        let sent_before = Tally { packets: 0, octets: 0 };
        let heard_at = Instant::ZERO;
        Self { cname, schedule, heard_at, latency: Duration::ZERO, sent_before, has_reported: false }
    }
}

impl Letter {
    /// Octets of the datagram.
    pub(crate) fn len(&self) -> usize {
        self.compound().len()
    }

    /// Writes the datagram, exactly [`len`](Self::len) octets.
    pub(crate) fn emit(&self, out: &mut [u8]) {
        self.compound().emit(out);
    }

    fn compound(&self) -> Compound<'_> {
        let &Self { ssrc, sender, block, ref cname, bye, .. } = self;
        Compound { ssrc, sender, block, cname, bye }
    }
}

/// Why an RTCP datagram was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refused {
    /// It is not RTCP.
    Malformed,
    /// It is one of ours.
    Own,
}
