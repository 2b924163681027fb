//! Ethernet, IP and UDP around a datagram, both ways.
//!
//! Only what the program lets through is read here, and it is looked at again all the same: the checksums
//! first of all, which a card would have checked for the kernel.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::net::Dscp;

/// The address of an Ethernet station.
pub type Mac = [u8; 6];

/// Octets of the room that a frame is written into.
pub const FRAME_MAX: usize = 1_536;

const ETHERNET: usize = 14;
const IPV4: usize = 20;
const IPV6: usize = 40;
const UDP: usize = 8;
const UDP_PROTOCOL: u8 = 17;

/// Hops that a packet may take: what Linux gives its own.
const HOPS: u8 = 64;

/// A datagram in a received frame.
#[derive(PartialEq, Eq, Debug)]
pub struct Received<'a> {
    /// Who sent it.
    pub source: SocketAddr,
    /// The port that it came to.
    pub port: u16,
    /// What is in it.
    pub octets: &'a [u8],
}

/// What is not a whole UDP datagram.
#[derive(PartialEq, Eq, Debug)]
pub struct Damaged;

/// Reads a frame that the program let through: no options, no fragments.
///
/// # Errors
/// If a checksum or a length in it is wrong.
pub fn read(frame: &[u8]) -> Result<Received<'_>, Damaged> {
    let (ethernet, packet) = frame.split_at_checked(ETHERNET).ok_or(Damaged)?;
    match ethernet[12..] {
        [0x08, 0x00] => read_v4(packet),
        _ => read_v6(packet),
    }
}

fn read_v4(packet: &[u8]) -> Result<Received<'_>, Damaged> {
    let (header, _) = packet.split_first_chunk::<IPV4>().ok_or(Damaged)?;
    // A short frame is padded: the packet says itself where it ends.
    let body = packet.get(IPV4..usize::from(number(header, 2))).ok_or(Damaged)?;
    // RFC 1122 §3.2.1.2: a packet whose header's checksum is wrong is dropped.
    if fold(sum(header, 0)) != ALL_ONES {
        return Err(Damaged);
    }
    let (source, addresses) = (Ipv4Addr::from(four(header, 12)), &header[12..]);
    // RFC 768: no checksum at all is sent as zero.
    read_udp(body, IpAddr::V4(source), addresses, Unsummed::Allowed)
}

fn read_v6(packet: &[u8]) -> Result<Received<'_>, Damaged> {
    let (header, rest) = packet.split_first_chunk::<IPV6>().ok_or(Damaged)?;
    let body = rest.get(..usize::from(number(header, 4))).ok_or(Damaged)?;
    let (source, addresses) = (&header[8..24], &header[8..]);
    let source: [u8; 16] = source.try_into().expect("16 octets are 16 octets");
    // RFC 8200 §8.1: over IPv6, UDP has a checksum.
    read_udp(body, IpAddr::V6(source.into()), addresses, Unsummed::Refused)
}

/// Whether a datagram may have no checksum.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unsummed {
    Allowed,
    Refused,
}

fn read_udp<'a>(
    body: &'a [u8],
    source: IpAddr,
    addresses: &[u8],
    unsummed: Unsummed,
) -> Result<Received<'a>, Damaged> {
    let (header, _) = body.split_first_chunk::<UDP>().ok_or(Damaged)?;
    let len = usize::from(number(header, 4));
    let datagram = body.get(..len).filter(|_| len >= UDP).ok_or(Damaged)?;
    let pseudo_header = sum(addresses, tail_of_pseudo_header(len));
    let is_whole = match number(header, 6) {
        0 => unsummed == Unsummed::Allowed,
        // Right; or begun by another namespace of this host, for its card to complete, and then given to us
        // over a wire that is none: such a datagram cannot have been damaged on its way.
        begun => fold(sum(datagram, pseudo_header)) == ALL_ONES || begun == u16::from_be(fold(pseudo_header)),
    };
    if !is_whole {
        return Err(Damaged);
    }
    let (from, port) = (number(header, 0), number(header, 2));
    Ok(Received { source: SocketAddr::new(source, from), port, octets: &datagram[UDP..] })
}

/// Who sends: the interface's station, our address, and the slot's port and mark.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sender {
    /// The interface's station.
    pub mac: Mac,
    /// The address that it is sent from.
    pub address: IpAddr,
    /// The port that it is sent from.
    pub port: u16,
    /// How it is marked.
    pub dscp: Dscp,
}

/// The headers of a datagram of `len` octets, in octets.
pub(super) const fn headers(address: &IpAddr) -> usize {
    match address {
        IpAddr::V4(_) => ETHERNET + IPV4 + UDP,
        IpAddr::V6(_) => ETHERNET + IPV6 + UDP,
    }
}

/// Writes a frame around a datagram of `len` octets that `f` writes; says how long the frame is.
///
/// # Panics
/// If the addresses are of two families, or the frame is longer than one may be.
pub fn write(
    frame: &mut [u8; FRAME_MAX],
    sender: &Sender,
    next_hop: Mac,
    to: SocketAddr,
    len: usize,
    f: impl FnOnce(&mut [u8]),
) -> usize {
    let (ethernet, packet) = frame.split_first_chunk_mut::<ETHERNET>().expect("a frame is longer");
    ethernet[..6].copy_from_slice(&next_hop);
    ethernet[6..12].copy_from_slice(&sender.mac);
    let udp_len = UDP + len;
    let (ether_type, datagram, addresses) = match (sender.address, to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let (header, rest) = packet.split_first_chunk_mut::<IPV4>().expect("a frame is longer");
            let mut addresses = [0; 8];
            addresses[..4].copy_from_slice(&from.octets());
            addresses[4..].copy_from_slice(&to.octets());
            write_v4(header, sender.dscp, udp_len, addresses);
            ([0x08, 0x00], &mut rest[..udp_len], sum(&addresses, 0))
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let (header, rest) = packet.split_first_chunk_mut::<IPV6>().expect("a frame is longer");
            write_v6(header, sender.dscp, udp_len, from, to);
            let addresses = sum(&header[8..], 0);
            ([0x86, 0xDD], &mut rest[..udp_len], addresses)
        }
        _ => panic!("{to} is of another family than {}", sender.address),
    };
    ethernet[12..].copy_from_slice(&ether_type);
    let (header, octets) = datagram.split_first_chunk_mut::<UDP>().expect("it has room for its header");
    header[..2].copy_from_slice(&sender.port.to_be_bytes());
    header[2..4].copy_from_slice(&to.port().to_be_bytes());
    header[4..6].copy_from_slice(&(udp_len as u16).to_be_bytes());
    header[6..].fill(0);
    f(octets);
    let checksum = !fold(sum(datagram, addresses + tail_of_pseudo_header(udp_len)));
    // RFC 768: a sum that comes out as zero is sent as all ones, because zero says that there is none.
    let checksum = if checksum == 0 { ALL_ONES } else { checksum };
    datagram[6..8].copy_from_slice(&checksum.to_ne_bytes());
    headers(&to.ip()) + len
}

fn write_v4(header: &mut [u8; IPV4], dscp: Dscp, body: usize, addresses: [u8; 8]) {
    header.fill(0);
    header[0] = 0x45;
    header[1] = dscp.tos();
    header[2..4].copy_from_slice(&((IPV4 + body) as u16).to_be_bytes());
    // RFC 6864 §4.1: a packet that is never fragmented needs no identification.
    header[6] = DONT_FRAGMENT;
    header[8] = HOPS;
    header[9] = UDP_PROTOCOL;
    header[12..].copy_from_slice(&addresses);
    let checksum = !fold(sum(header, 0));
    header[10..12].copy_from_slice(&checksum.to_ne_bytes());
}

const DONT_FRAGMENT: u8 = 0x40;

fn write_v6(header: &mut [u8; IPV6], dscp: Dscp, body: usize, from: Ipv6Addr, to: Ipv6Addr) {
    // Version, traffic class, and no flow label.
    header[..4].copy_from_slice(&(0x6000_0000 | u32::from(dscp.tos()) << 20).to_be_bytes());
    header[4..6].copy_from_slice(&(body as u16).to_be_bytes());
    header[6] = UDP_PROTOCOL;
    header[7] = HOPS;
    header[8..24].copy_from_slice(&from.octets());
    header[24..].copy_from_slice(&to.octets());
}

/// What the sum over something whole folds to.
const ALL_ONES: u16 = 0xFFFF;

/// The sum over what follows the addresses in a pseudo-header (RFC 768; RFC 8200 §8.1): protocol and length.
fn tail_of_pseudo_header(len: usize) -> u64 {
    u64::from(u16::from(UDP_PROTOCOL).to_be()) + u64::from((len as u16).to_be())
}

/// Adds the ones' complement sum over some octets to one that was begun. An odd octet at the end counts as
/// if a zero followed; so only the last part of a sum may be odd.
fn sum(octets: &[u8], begun: u64) -> u64 {
    // RFC 1071 §2: it can be summed in the host's order and in larger words, and be folded at the end.
    let (words, rest) = octets.as_chunks::<4>();
    let mut sum = begun;
    for word in words {
        sum += u64::from(u32::from_ne_bytes(*word));
    }
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    sum + u64::from(u32::from_ne_bytes(last))
}

/// A sum as the sixteen bits it is sent in, in the host's order.
fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xFFFF_FFFF) + (sum >> 32);
    let sum = (sum & 0xFFFF) + (sum >> 16 & 0xFFFF) + (sum >> 32);
    let sum = (sum & 0xFFFF) + (sum >> 16);
    ((sum & 0xFFFF) + (sum >> 16)) as u16
}

fn number(octets: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([octets[at], octets[at + 1]])
}

fn four(octets: &[u8], at: usize) -> [u8; 4] {
    *octets[at..].first_chunk().expect("a header is longer")
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    const NEXT_HOP: Mac = [2, 0, 0, 0, 0, 9];

    /// A frame around `octets`, from port 20000 of `from` to port 5004 of `to`.
    fn frame(from: &str, to: &str, octets: &[u8]) -> Vec<u8> {
        let address = from.parse().unwrap();
        let sender = Sender { mac: [2, 0, 0, 0, 0, 1], address, port: 20_000, dscp: Dscp::EF };
        let to = SocketAddr::new(to.parse().unwrap(), 5_004);
        let mut frame = [0xEE; FRAME_MAX];
        let len = write(&mut frame, &sender, NEXT_HOP, to, octets.len(), |out| out.copy_from_slice(octets));
        frame[..len].to_vec()
    }

    fn v4(octets: &[u8]) -> Vec<u8> {
        frame("192.0.2.1", "198.51.100.7", octets)
    }

    fn v6(octets: &[u8]) -> Vec<u8> {
        frame("2001:db8::1", "2001:db8::f:7", octets)
    }

    fn is_whole(frame: &[u8]) -> bool {
        read(frame).is_ok()
    }

    #[test]
    fn a_sum_is_that_of_rfc_1071() {
        // The example of RFC 1071 §3.
        let octets = [0x00, 0x01, 0xF2, 0x03, 0xF4, 0xF5, 0xF6, 0xF7];
        assert_eq!(fold(sum(&octets, 0)), 0xDDF2_u16.to_be());
        assert_eq!(fold(sum(&[0xFF; 3_000], 0)), ALL_ONES);
        assert_eq!(fold(sum(&[1], 0)), 0x0100_u16.to_be(), "an odd octet is the upper half of a pair");
    }

    #[test]
    fn what_is_written_reads_as_it_was() {
        for len in [0, 1, 2, 3, 12, 172, 1_252] {
            let octets: Vec<u8> = (0..len).map(|at| at as u8).collect();
            for (frame, source) in [(v4(&octets), "192.0.2.1:20000"), (v6(&octets), "[2001:db8::1]:20000")] {
                let expected = Received { source: source.parse().unwrap(), port: 5_004, octets: &octets };
                assert_eq!(read(&frame), Ok(expected));
                assert_eq!(frame[..6], NEXT_HOP);
            }
        }
    }

    #[test]
    fn the_octets_that_say_nothing_of_addresses_are_those_of_the_rfcs() {
        let packet = &v4(b"octets")[ETHERNET..];
        assert_eq!(packet[..10], [0x45, 46 << 2, 0, 34, 0, 0, 0x40, 0, 64, 17]);
        let packet = &v6(b"octets")[ETHERNET..];
        assert_eq!(packet[..8], [0x6B, 0x80, 0, 0, 0, 14, 17, 64]);
    }

    #[test]
    fn a_bit_that_is_turned_anywhere_behind_the_stations_is_seen() {
        for frame in [v4(&[0x5A; 40]), v6(&[0x5A; 40])] {
            let is_v6 = frame[12] == 0x86;
            for at in ETHERNET..frame.len() {
                // Over IPv6, class, flow and hops are under no checksum, and the version is the program's to see.
                if is_v6 && (at < ETHERNET + 4 || at == ETHERNET + 6 || at == ETHERNET + 7) {
                    continue;
                }
                for bit in 0..8 {
                    let mut damaged = frame.clone();
                    damaged[at] ^= 1 << bit;
                    assert!(!is_whole(&damaged), "bit {bit} of octet {at}");
                }
            }
        }
    }

    #[test]
    fn padding_behind_a_packet_is_no_part_of_it() {
        let mut frame = v4(b"short");
        frame.resize(60, 0xAA);
        assert_eq!(read(&frame).map(|received| received.octets), Ok(&b"short"[..]));
    }

    #[test]
    fn only_over_ipv4_a_datagram_may_be_without_checksum() {
        let without = |mut frame: Vec<u8>, at: usize| {
            frame[at..at + 2].fill(0);
            frame
        };
        assert!(is_whole(&without(v4(b"octets"), ETHERNET + IPV4 + 6)));
        assert!(!is_whole(&without(v6(b"octets"), ETHERNET + IPV6 + 6)));
    }

    #[test]
    fn a_sum_of_zero_is_sent_as_all_ones() {
        // Some two octets make the sum come out as zero: one of all there are.
        let found = (0..=u16::MAX).map(|octets| v4(&octets.to_be_bytes()));
        let sums: Vec<[u8; 2]> =
            found.map(|frame| [frame[ETHERNET + IPV4 + 6], frame[ETHERNET + IPV4 + 7]]).collect();
        assert!(sums.contains(&[0xFF; 2]) && !sums.contains(&[0; 2]));
    }

    #[test]
    fn a_checksum_that_was_left_to_a_card_counts_only_if_it_was_begun() {
        for (frame, headers) in [(v4(b"octets"), IPV4), (v6(b"octets"), IPV6)] {
            let addresses =
                if headers == IPV4 { &frame[ETHERNET + 12..][..8] } else { &frame[ETHERNET + 8..][..32] };
            let begun = fold(sum(addresses, tail_of_pseudo_header(UDP + 6)));
            let mut left = frame.clone();
            left[ETHERNET + headers + 6..][..2].copy_from_slice(&begun.to_ne_bytes());
            assert!(is_whole(&left));
            left[ETHERNET + headers + 6] ^= 1;
            assert!(!is_whole(&left));
        }
    }

    #[test]
    fn frames_of_any_kind_are_read_without_a_panic() {
        let seed = 1_122;
        println!("seed {seed}");
        let mut chance = StdRng::seed_from_u64(seed);
        for frame in [v4(&[7; 80]), v6(&[7; 80])] {
            (0..frame.len()).for_each(|len| assert!(!is_whole(&frame[..len]), "cut to {len}"));
            for _ in 0..20_000 {
                let mut frame = frame.clone();
                for _ in 0..chance.random_range(1..8) {
                    let at = chance.random_range(0..frame.len());
                    frame[at] = chance.random();
                }
                frame.truncate(chance.random_range(0..=frame.len()));
                let _ = read(&frame);
            }
        }
    }
}
