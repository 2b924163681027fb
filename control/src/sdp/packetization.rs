//! How much goes into a packet (RFC 3435 §2.3.5, §2.6): of what is asked for, what the peer can take and
//! what a bandwidth leaves, the period nearest to what is wished.

use std::num::NonZeroU8;

use super::peer::Peer;
use super::refusal::Refusal;
use crate::mgcp::message::{LocalConnectionOptions, Range};

/// What G.711 and clear channel take without headers, in kbit/s.
const G711_KBPS: u32 = 64;

/// The packetization periods there are, in ms.
pub const SUPPORTED_MS: [u8; 6] = [5, 10, 20, 30, 40, 60];

/// The packetization period; `usual` is that in use, or else the configured one.
pub(super) fn ptime(
    bandwidth: Bandwidth<'_>,
    peer: Option<&Peer>,
    usual: NonZeroU8,
) -> Result<NonZeroU8, Refusal> {
    let asked = bandwidth.options.and_then(|options| options.packetization_ms);
    let ranges = [asked, bandwidth.range()];
    if ranges.into_iter().flatten().any(|range| range.from > range.to) {
        return Err(Refusal::Inconsistent);
    }
    // RFC 3435 §2.3.5: where there is none of those that are asked for, the nearest is as good.
    let mut periods = SUPPORTED_MS.to_vec();
    let off = |ms: u8| asked.map_or(0, |range| distance(range, ms));
    let least = SUPPORTED_MS.into_iter().map(off).min();
    periods.retain(|&ms| Some(off(ms)) == least);
    // RFC 4566 §6: no packet may hold more than maxptime.
    let longest = peer.and_then(|peer| peer.maxptime_ms).unwrap_or(u16::MAX);
    periods.retain(|&ms| u16::from(ms) <= longest);
    if periods.iter().any(|&ms| bandwidth.allows(ms)) {
        periods.retain(|&ms| bandwidth.allows(ms));
    } else if !bandwidth.yields() {
        return Err(Refusal::NoCommonCodec);
    }
    let wish = peer.and_then(|peer| peer.ptime_ms).unwrap_or_else(|| usual.get().into());
    let nearest = periods.into_iter().min_by_key(|&ms| u16::from(ms).abs_diff(wish));
    let nearest = nearest.ok_or(match asked {
        None => Refusal::Unsupported("maxptime is too short"),
        Some(_) => Refusal::Conflict,
    })?;
    Ok(NonZeroU8::new(nearest).expect("no supported period is zero"))
}

/// How far a period is from a range.
fn distance(range: Range, ms: u8) -> u32 {
    let ms = u32::from(ms);
    range.from.saturating_sub(ms).max(ms.saturating_sub(range.to))
}

/// The ceiling that `L: b:` sets.
#[derive(Clone, Copy)]
pub(super) struct Bandwidth<'a> {
    /// The LocalConnectionOptions of this command.
    pub(super) options: Option<&'a LocalConnectionOptions<'a>>,
    /// Whether packets have IPv6 headers.
    pub(super) v6: bool,
}

impl Bandwidth<'_> {
    fn range(self) -> Option<Range> {
        self.options.and_then(|options| options.bandwidth_kbps)
    }

    /// Whether packets of `ms` stay below it. Using less than asked for harms nobody.
    fn allows(self, ms: u8) -> bool {
        // RFC 3435 §2.3.5: payload and the headers of IP, UDP and RTP. Milliseconds cancel kilobits.
        let headers = if self.v6 { 40 + 8 + 12 } else { 20 + 8 + 12 };
        let ms = u64::from(ms);
        let bits = ms * u64::from(G711_KBPS) + headers * 8;
        self.range().is_none_or(|range| bits <= u64::from(range.to) * ms)
    }

    /// Whether it gives way: §2.3.5 lets a codec that is named need more.
    // RFC 3435 §7.1: before, headers did not count, and the version is the same; `b:64` may mean G.711.
    fn yields(self) -> bool {
        let is_named = self.options.is_some_and(|options| !options.codecs.is_empty());
        is_named || self.range().is_none_or(|range| range.to >= G711_KBPS)
    }
}
