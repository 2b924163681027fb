//! A received datagram as the kernel describes it: who sent it, when it was taken, and its octets.
//!
//! Addresses and control messages are read octet by octet, so that nothing here depends on what the
//! octets say.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::time::Duration;

use crate::net::DATAGRAM_MAX;
use crate::time::{Epoch, Instant};

/// Octets reserved for an address: a `sockaddr_in6` and some, to keep what follows aligned.
pub(super) const ADDRESS: usize = 32;
/// Octets reserved for control messages: one, with a `timespec`.
pub(super) const CONTROL: usize = 32;

/// A received datagram.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Datagram<'a> {
    pub(super) source: SocketAddr,
    /// When the kernel took it: nanoseconds of wall time since 1970.
    pub(super) stamp: Option<u64>,
    pub(super) octets: &'a [u8],
}

/// Why there is nothing to hand on.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Unusable {
    /// The datagram was longer than [`DATAGRAM_MAX`] and lost its end.
    Truncated,
    /// No address, or not of a kind that a UDP socket receives from.
    NoSource,
}

impl<'a> Datagram<'a> {
    /// Reads what the kernel wrote into these three, as far as it says: in `head`, and `len` octets.
    pub(super) fn read(
        head: &libc::msghdr,
        address: &[u8; ADDRESS],
        control: &[u8; CONTROL],
        octets: &'a [u8; DATAGRAM_MAX],
        len: usize,
    ) -> Result<Self, Unusable> {
        if head.msg_flags & libc::MSG_TRUNC != 0 {
            return Err(Unusable::Truncated);
        }
        let address = &address[..(head.msg_namelen as usize).min(ADDRESS)];
        let control = &control[..head.msg_controllen.min(CONTROL)];
        let source = read_address(address).ok_or(Unusable::NoSource)?;
        Ok(Self { source, stamp: read_stamp(control), octets: &octets[..len.min(DATAGRAM_MAX)] })
    }

    /// When it arrived, on the monotonic clock, given one moment on both clocks after that.
    ///
    /// The stamp is wall time, which may be set at any moment. One that lies ahead, or further back
    /// than any datagram waits, is of before such a step, and says nothing.
    pub(super) fn arrived(&self, now: Epoch) -> Instant {
        let age = self.stamp.and_then(|stamp| now.unix_nanos.checked_sub(stamp)).map(Duration::from_nanos);
        match age {
            Some(age) if age <= AGE_MAX => now.at - age,
            _ => now.at,
        }
    }
}

/// No datagram waits longer than this for a worker that lives.
const AGE_MAX: Duration = Duration::from_secs(2);

/// The time in a control message, if it is the kernel's time stamp.
///
/// `struct cmsghdr` (length, level, type), then `struct timespec`: 16 octets each on the 64-bit
/// targets that this runs on.
fn read_stamp(control: &[u8]) -> Option<u64> {
    if control.len() < 32
        || word(control, 8) != libc::SOL_SOCKET as u32
        || word(control, 12) != libc::SCM_TIMESTAMPNS as u32
    {
        return None;
    }
    let seconds = long(control, 16);
    let nanos = long(control, 24);
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

const _: () = assert!(size_of::<libc::cmsghdr>() == 16 && size_of::<libc::timespec>() == 16);

/// Reads a `sockaddr_in` or `sockaddr_in6`.
fn read_address(octets: &[u8]) -> Option<SocketAddr> {
    let port = |o: &[u8]| u16::from_be_bytes([o[2], o[3]]);
    match i32::from(u16::from_ne_bytes(*octets.first_chunk()?)) {
        libc::AF_INET if octets.len() >= 8 => {
            let ip: [u8; 4] = *octets[4..].first_chunk()?;
            Some(SocketAddrV4::new(Ipv4Addr::from(ip), port(octets)).into())
        }
        libc::AF_INET6 if octets.len() >= 28 => {
            let ip: [u8; 16] = *octets[8..].first_chunk()?;
            // The flow label is the network's business, not part of who it was.
            Some(SocketAddrV6::new(Ipv6Addr::from(ip), port(octets), 0, word(octets, 24)).into())
        }
        _ => None,
    }
}

/// Writes a `sockaddr_in` or `sockaddr_in6`, and says how long it is.
pub(super) fn write_address(address: SocketAddr, octets: &mut [u8; ADDRESS]) -> u32 {
    octets.fill(0);
    octets[2..4].copy_from_slice(&address.port().to_be_bytes());
    let (family, len) = match address {
        SocketAddr::V4(v4) => {
            octets[4..8].copy_from_slice(&v4.ip().octets());
            (libc::AF_INET, size_of::<libc::sockaddr_in>())
        }
        SocketAddr::V6(v6) => {
            octets[8..24].copy_from_slice(&v6.ip().octets());
            octets[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
            (libc::AF_INET6, size_of::<libc::sockaddr_in6>())
        }
    };
    octets[..2].copy_from_slice(&(family as u16).to_ne_bytes());
    len as u32
}

const _: () = assert!(size_of::<libc::sockaddr_in6>() <= ADDRESS);

fn word(octets: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(*octets[at..].first_chunk().expect("the caller has looked at the length"))
}

fn long(octets: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(*octets[at..].first_chunk().expect("the caller has looked at the length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Epoch = Epoch { at: Instant::from_nanos(5_000_000_000), unix_nanos: 9_000_000_000 };

    fn stamped(stamp: Option<u64>) -> Datagram<'static> {
        Datagram { source: ([127, 0, 0, 1], 1).into(), stamp, octets: b"" }
    }

    #[test]
    fn addresses_read_as_they_were_written() {
        for address in ["192.0.2.7:20004", "[2001:db8::7]:65535", "[fe80::1%3]:1"] {
            let address = address.parse().expect("an address");
            let mut octets = [0xFF; ADDRESS];
            let len = write_address(address, &mut octets);
            assert_eq!(read_address(&octets[..len as usize]), Some(address));
        }
    }

    #[test]
    fn the_age_of_a_stamp_is_taken_from_now() {
        assert_eq!(stamped(Some(8_999_000_000)).arrived(NOW), Instant::from_nanos(4_999_000_000));
    }

    #[test]
    fn stamps_from_before_the_wall_clock_was_set_say_nothing() {
        assert_eq!(stamped(Some(9_000_000_001)).arrived(NOW), NOW.at, "set back");
        assert_eq!(stamped(Some(1)).arrived(NOW), NOW.at, "set ahead");
        assert_eq!(stamped(None).arrived(NOW), NOW.at, "no stamp");
    }
}
