//! What is looked after of connections' media: that they come, come whole, and stay as they are.
//!
//! What RFC 3660 §2.10 has call agents ask for, without its names. Packets pay nothing for it: they are
//! counted anyway, and here the counts are looked at, once a second and only of connections for which
//! somebody asked. Only the first packet of a connection is told where it is received.

use std::time::Duration;

use drivers::time::Instant;

use crate::connection::{Connection, Heard};
use crate::observation::MediaEvent;
use crate::rota::Rota;

/// What is to be told of a connection's media.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Supervision {
    /// Tell of its first packet, unless that has come already.
    pub start: bool,
    /// Tell when neither RTP nor RTCP has come for so long; once.
    pub silence: Option<Silence>,
    /// Tell when more than so many of 100,000 packets are lost, 1 to 100,000; once.
    ///
    /// Counted over as many packets as it takes for one lost to be that many, and 250 at least, then anew.
    pub loss: Option<u32>,
    /// Tell when it becomes worse than this; again only after it was better.
    pub quality: Option<Quality>,
    /// Tell when the peer's codec or packetization or the jitter buffer's delay has changed: each at most once
    /// a second.
    pub changes: bool,
}

/// How long nothing may come.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Silence {
    /// So many seconds, 1 to 65,535.
    pub after_s: u16,
    /// Whether time counts only from the first RTCP on that comes after the order.
    pub awaits_rtcp: bool,
}

/// How bad a connection may be before it is told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Quality {
    /// Packets lost of 100,000, over five seconds.
    pub loss: u32,
    /// Half the round trip and the wait in the jitter buffer, in ms.
    pub delay_ms: u16,
    /// Interarrival jitter (RFC 3550 §6.4.1), in ms.
    pub jitter_ms: u16,
}

impl Supervision {
    /// Nothing.
    pub const NONE: Self = Self { start: false, silence: None, loss: None, quality: None, changes: false };

    /// Whether nothing is to be told.
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }
}

/// The supervision of all pairs.
#[derive(Debug)]
pub(crate) struct Supervisors {
    watches: Box<[Watch]>,
    /// When each pair is to be looked at; never if nothing is asked.
    pub(crate) rota: Rota,
}

/// What there is to know of a connection beside what it counts itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// The time.
    pub at: Instant,
    /// When RTCP last came.
    pub rtcp_heard_at: Instant,
    /// Half the last round trip.
    pub latency: Duration,
}

/// The supervision of one connection.
#[derive(Clone, Copy, Debug)]
struct Watch {
    wanted: Supervision,
    asked_at: Instant,
    loss: Window,
    quality: Window,
    is_bad: bool,
    judged_at: Instant,
    /// What was told last, or found.
    heard: Heard,
    adjustments: u32,
    delay_ms: u16,
}

/// Counts at the beginning of a run of packets.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    received: u32,
    lost: u32,
}

impl Supervisors {
    /// Room for all pairs, of which nothing is asked.
    pub(crate) fn new(pairs: usize) -> Self {
        Self { watches: vec![Watch::NONE; pairs].into(), rota: Rota::new(pairs) }
    }

    /// Octets of memory that a pair takes.
    pub(crate) const MEMORY: usize = size_of::<Watch>() + Rota::MEMORY;

    /// Begins anew with what is wanted of a connection.
    pub(crate) fn set(&mut self, now: Instant, pair: usize, wanted: Supervision, connection: &Connection) {
        self.watches[pair] = Watch::begin(now, wanted, connection);
        self.rota.set(pair, self.watches[pair].next_at(now, Instant::ZERO, connection));
    }

    /// A connection ends, and what was asked with it.
    pub(crate) fn forget(&mut self, pair: usize) {
        self.rota.set(pair, Instant::FAR_FUTURE);
    }

    /// Looks at a connection.
    pub(crate) fn look(
        &mut self,
        pair: usize,
        now: Now,
        connection: &Connection,
        mut tell: impl FnMut(MediaEvent),
    ) {
        let watch = &mut self.watches[pair];
        watch.look(now, connection, &mut tell);
        let next_at = watch.next_at(now.at, now.rtcp_heard_at, connection);
        self.rota.set(pair, next_at);
    }
}

impl Watch {
    const NONE: Self = Self {
        wanted: Supervision::NONE,
        asked_at: Instant::ZERO,
        loss: Window { received: 0, lost: 0 },
        quality: Window { received: 0, lost: 0 },
        is_bad: false,
        judged_at: Instant::ZERO,
        heard: Heard { payload_type: 0, octets: 0 },
        adjustments: 0,
        delay_ms: 0,
    };

    fn begin(now: Instant, wanted: Supervision, connection: &Connection) -> Self {
        let window = Window::begin(connection);
        Self {
            wanted,
            asked_at: now,
            loss: window,
            quality: window,
            judged_at: now,
            heard: connection.heard,
            adjustments: connection.adjustments(),
            delay_ms: delay_ms(connection),
            ..Self::NONE
        }
    }

    fn look(&mut self, now: Now, connection: &Connection, tell: &mut impl FnMut(MediaEvent)) {
        if let Some(silence) = self.wanted.silence
            && self.silent_at(silence, now.rtcp_heard_at, connection).is_some_and(|at| at <= now.at)
        {
            // RFC 3660 §2.10, rto: it is told once; the next request starts the timer again.
            self.wanted.silence = None;
            tell(MediaEvent::Missing { after_s: silence.after_s });
        }
        if let Some(per_100k) = self.wanted.loss
            && self.loss.exceeds(per_100k, connection)
        {
            // RFC 3660 §2.10, pl: it is told once; the next request starts the measurement again.
            self.wanted.loss = None;
            tell(MediaEvent::LossAbove { per_100k });
        }
        if let Some(quality) = self.wanted.quality
            && now.at.since(self.judged_at) >= JUDGED_EVERY
        {
            let is_bad = self.is_worse(quality, now.latency, connection);
            if is_bad && !self.is_bad {
                tell(MediaEvent::Poor);
            }
            self.is_bad = is_bad;
            self.judged_at = now.at;
            self.quality = Window::begin(connection);
        }
        if self.wanted.changes {
            self.tell_changes(connection, tell);
        }
    }

    /// When it will have been silent for too long, if nothing comes.
    // RFC 3660 §2.10, rto: whatever comes starts the timer again, and RTCP also for the first time.
    fn silent_at(
        &self,
        silence: Silence,
        rtcp_heard_at: Instant,
        connection: &Connection,
    ) -> Option<Instant> {
        let awaits_rtcp = silence.awaits_rtcp && rtcp_heard_at <= self.asked_at;
        // RFC 3660 §2.10 speaks of RTP only, and between two legs of a core there is none.
        if awaits_rtcp || connection.leg.peer.local().is_some() {
            return None;
        }
        let heard_at = rtcp_heard_at.max(connection.heard_at).max(self.asked_at);
        Some(heard_at + Duration::from_secs(silence.after_s.into()))
    }

    // RFC 3660 §2.10, qa: loss, delay and jitter, against what was provisioned.
    fn is_worse(&self, than: Quality, latency: Duration, connection: &Connection) -> bool {
        let seen = connection.seen();
        let (lost, expected) = self.quality.since(connection);
        let delay = seen.playout_delay + latency;
        u64::from(lost) * LOSS_UNIT > u64::from(than.loss) * u64::from(expected)
            || delay > Duration::from_millis(than.delay_ms.into())
            || seen.jitter > Duration::from_millis(than.jitter_ms.into())
    }

    fn tell_changes(&mut self, connection: &Connection, tell: &mut impl FnMut(MediaEvent)) {
        let before = std::mem::replace(&mut self.heard, connection.heard);
        let Heard { payload_type, octets } = connection.heard;
        // What has been heard first is no change.
        if before.octets > 0 && payload_type != before.payload_type {
            tell(MediaEvent::Codec { payload_type });
        }
        if before.octets > 0 && octets != before.octets {
            tell(MediaEvent::PacketTime { ms: octets / OCTETS_PER_MS });
        }
        let delay_ms = delay_ms(connection);
        let is_adjusted = std::mem::replace(&mut self.adjustments, connection.adjustments());
        if is_adjusted != self.adjustments && delay_ms != std::mem::replace(&mut self.delay_ms, delay_ms) {
            tell(MediaEvent::PlayoutDelay { ms: delay_ms });
        }
    }

    /// When it is to be looked at next.
    fn next_at(&self, now: Instant, rtcp_heard_at: Instant, connection: &Connection) -> Instant {
        let Supervision { silence, loss, quality, changes, .. } = self.wanted;
        let silent_at = silence
            .map(|silence| self.silent_at(silence, rtcp_heard_at, connection).unwrap_or(now + LOOKED_EVERY));
        let is_counted = loss.is_some() || quality.is_some() || changes;
        let counted_at = is_counted.then_some(now + LOOKED_EVERY);
        silent_at.into_iter().chain(counted_at).min().unwrap_or(Instant::FAR_FUTURE)
    }
}

impl Window {
    fn begin(connection: &Connection) -> Self {
        Self { received: connection.received.packets, lost: connection.source.lost() }
    }

    /// Packets lost and expected since.
    fn since(&self, connection: &Connection) -> (u32, u32) {
        let received = connection.received.packets.wrapping_sub(self.received);
        // One that was counted as lost may have come late.
        let lost = connection.source.lost().saturating_sub(self.lost);
        (lost, received.saturating_add(lost))
    }

    /// Whether more are lost than may be; when enough have come the window begins anew.
    fn exceeds(&mut self, per_100k: u32, connection: &Connection) -> bool {
        let (lost, expected) = self.since(connection);
        let len = (LOSS_UNIT / u64::from(per_100k.max(1))).max(PACKETS_MIN);
        // As soon as there are too many for the whole window, whatever comes after them.
        if u64::from(lost) * LOSS_UNIT > u64::from(per_100k) * len.max(expected.into()) {
            return true;
        }
        if u64::from(expected) >= len {
            *self = Self::begin(connection);
        }
        false
    }
}

fn delay_ms(connection: &Connection) -> u16 {
    // RFC 3660 §2.10, ji: 1 to 65,536.
    connection.seen().playout_delay.as_millis().clamp(1, u16::MAX.into()) as u16
}

/// How often counts are looked at.
const LOOKED_EVERY: Duration = Duration::from_secs(1);

/// How long quality is measured.
const JUDGED_EVERY: Duration = Duration::from_secs(5);

/// What loss is counted in.
const LOSS_UNIT: u64 = 100_000;

/// Packets over which loss is counted at least: five seconds at 20 ms.
const PACKETS_MIN: u64 = 250;

const OCTETS_PER_MS: u16 = 8;
