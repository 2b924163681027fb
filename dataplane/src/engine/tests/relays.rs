//! Connections without a DS0, that pass packets on to each other.

use super::*;
use crate::link::{ClockRates, PayloadType, PayloadTypes, RelayId, RelayLeg};
use crate::rtp::rtcp::{Compound, SenderInfo};

const RELAY: RelayId = RelayId(5);

fn relay_leg(mode: Mode, remote: Remote) -> RelayLeg {
    RelayLeg {
        mode,
        peer: link::Peer::At(remote),
        types: PayloadTypes::SAME,
        clocks: ClockRates::USUAL,
        dscp: Dscp::EF,
    }
}

/// An address that IPv4 has not.
fn peer_v6() -> Remote {
    let rtp: SocketAddr = "[2001:db8::1]:30000".parse().expect("an address");
    Remote { rtp, rtcp: SocketAddr::new(rtp.ip(), 30_001) }
}

/// A packet with all that a header can bear, and octets that no codec of ours makes.
fn strange_packet(payload_type: u8, sequence: u16) -> Vec<u8> {
    let mut octets = vec![0xB1, 0x80 | payload_type];
    octets.extend(sequence.to_be_bytes());
    octets.extend([1, 2, 3, 4, 0xDE, 0xAD, 0xBE, 0xEF, 0, 0, 0, 9]); // timestamp, SSRC, one CSRC
    octets.extend([0xBE, 0xDE, 0, 1, 0x10, 0xFF, 0, 0]); // a header extension of a word
    octets.extend((0..33).map(|octet| octet ^ sequence as u8));
    octets.extend([0, 0, 3]); // padding
    octets
}

fn sender_report(ssrc: u32) -> Vec<u8> {
    let sender = SenderInfo { ntp: 1 << 40, timestamp: 7, packets: 3, octets: 99 };
    let compound = Compound { ssrc, sender: Some(sender), block: None, cname: b"someone", bye: false };
    let mut octets = vec![0; compound.len()];
    compound.emit(&mut octets);
    octets
}

impl Core {
    fn connect_relay(&mut self, relay: RelayId, pair: u32, leg: RelayLeg) {
        assert_eq!(self.order(Action::ConnectRelay { relay, port: rtp(pair), leg }), Outcome::Done);
    }

    fn modify_relay(&mut self, pair: u32, leg: RelayLeg) {
        assert_eq!(self.order(Action::ModifyRelay { port: rtp(pair), leg }), Outcome::Done);
    }

    /// What is sent elsewhere in the tick in which this comes.
    fn relayed(&mut self, slot: PortSlot, from: SocketAddr, octets: &[u8]) -> Vec<Sent> {
        self.out.clear();
        self.coming.push((slot, from, octets.to_vec()));
        self.tick();
        std::mem::take(&mut self.out)
    }
}

/// A relay with two connections, pairs 1 and 2, for peers 1 and 2.
fn two(modes: [Mode; 2]) -> Core {
    let mut core = Core::new();
    core.connect_relay(RELAY, 1, relay_leg(modes[0], peer(1)));
    core.connect_relay(RELAY, 2, relay_leg(modes[1], peer(2)));
    core
}

#[test]
fn a_packet_passes_in_the_tick_in_which_it_comes_and_as_it_came() {
    let mut core = two([Mode::SendReceive; 2]);
    for (from, to, number) in [(1, 2, 65_535), (2, 1, 7), (1, 2, 0)] {
        let packet = strange_packet(111, number);
        let sent = core.relayed(rtp(from), peer(from as u16).rtp, &packet);
        assert_eq!(sent.len(), 1);
        assert_eq!((sent[0].from, sent[0].to), (rtp(to), peer(to as u16).rtp));
        assert_eq!(sent[0].octets, packet);
    }
}

#[test]
fn modes_say_who_is_sent_what() {
    let fed = |from: Mode, to: Mode| {
        let mut core = two([from, to]);
        let sent = core.relayed(rtp(1), peer(1).rtp, &strange_packet(3, 1));
        sent.iter().map(|sent| sent.to).collect::<Vec<_>>()
    };
    for from in Mode::ALL {
        for to in Mode::ALL {
            let expected = match (from, to) {
                (Mode::Loopback | Mode::NetworkLoopback, _) => vec![peer(1).rtp],
                (
                    Mode::ReceiveOnly | Mode::SendReceive | Mode::Conference,
                    Mode::SendOnly | Mode::SendReceive | Mode::Conference,
                ) => vec![peer(2).rtp],
                _ => vec![],
            };
            assert_eq!(fed(from, to), expected, "from {from} to {to}");
        }
    }
}

#[test]
fn a_third_connection_hears_both_others() {
    let mut core = two([Mode::SendReceive; 2]);
    core.connect_relay(RELAY, 3, relay_leg(Mode::SendOnly, peer(3)));
    let sent = core.relayed(rtp(1), peer(1).rtp, &strange_packet(3, 1));
    assert_eq!(sent.iter().map(|sent| sent.to).collect::<Vec<_>>(), [peer(2).rtp, peer(3).rtp]);
    assert!(core.relayed(rtp(3), peer(3).rtp, &strange_packet(3, 1)).is_empty());
}

#[test]
fn relays_do_not_hear_each_other() {
    let mut core = two([Mode::SendReceive; 2]);
    core.connect_relay(RelayId(6), 3, relay_leg(Mode::SendReceive, peer(3)));
    core.connect_relay(RelayId(6), 4, relay_leg(Mode::SendReceive, peer(4)));
    let sent = core.relayed(rtp(3), peer(3).rtp, &strange_packet(3, 1));
    assert_eq!(sent.iter().map(|sent| sent.to).collect::<Vec<_>>(), [peer(4).rtp]);
}

#[test]
fn payload_types_are_those_of_the_receiving_side() {
    let mut core = Core::new();
    let types = |types: &[(u8, u8)]| {
        PayloadTypes::new(types.iter().map(|&(theirs, common)| PayloadType { theirs, common }))
    };
    core.connect_relay(RELAY, 1, relay_leg(Mode::SendReceive, peer(1)));
    let second = RelayLeg { types: types(&[(98, 112), (3, 110)]), ..relay_leg(Mode::SendReceive, peer(2)) };
    core.connect_relay(RELAY, 2, second);
    let mut passed = |from: u32, payload_type| {
        let packet = strange_packet(payload_type, 1);
        let sent = core.relayed(rtp(from), peer(from as u16).rtp, &packet);
        assert_eq!(sent[0].octets[1] & 0x80, 0x80, "the marker stays");
        assert_eq!((sent[0].octets[0], &sent[0].octets[2..]), (packet[0], &packet[2..]));
        sent[0].octets[1] & 0x7F
    };
    assert_eq!([passed(1, 112), passed(1, 110), passed(2, 98), passed(2, 3)], [98, 3, 112, 110]);
    assert_eq!([passed(1, 0), passed(2, 0), passed(2, 127)], [0, 0, 127], "others pass as they are");
}

#[test]
fn only_the_peer_is_relayed() {
    let mut core = two([Mode::SendReceive; 2]);
    let stranger = peer(9).rtp;
    let other_port = SocketAddr::new(peer(1).rtp.ip(), peer(1).rtp.port() + 2);
    for from in [stranger, other_port, peer(2).rtp, peer(1).rtcp] {
        assert!(core.relayed(rtp(1), from, &strange_packet(3, 1)).is_empty());
    }
    assert_eq!(core.count(Counter::DroppedSource), 4);
    assert!(core.relayed(rtp(1), peer(1).rtp, b"not RTP at all").is_empty());
    assert!(core.relayed(rtp(1).rtcp(), peer(1).rtcp, b"nor RTCP").is_empty());
    assert_eq!(core.count(Counter::DroppedMalformed), 2);
}

#[test]
fn nothing_is_reflected_before_it_is_known_where_to() {
    let mut core = Core::new();
    let undescribed = RelayLeg { peer: link::Peer::Undescribed, ..relay_leg(Mode::Loopback, peer(1)) };
    core.connect_relay(RELAY, 1, undescribed);
    assert!(core.relayed(rtp(1), peer(1).rtp, &strange_packet(3, 1)).is_empty());
    core.modify_relay(1, relay_leg(Mode::Loopback, peer(1)));
    let packet = strange_packet(3, 2);
    let sent = core.relayed(rtp(1), peer(1).rtp, &packet);
    assert_eq!((sent[0].to, &sent[0].octets), (peer(1).rtp, &packet));
    assert!(core.relayed(rtp(1), peer(2).rtp, &packet).is_empty());
}

#[test]
fn a_new_remote_moves_the_flow_at_once_and_from_ipv4_to_ipv6() {
    let mut core = two([Mode::SendReceive; 2]);
    core.modify_relay(2, relay_leg(Mode::SendReceive, peer_v6()));
    let sent = core.relayed(rtp(1), peer(1).rtp, &strange_packet(3, 1));
    assert_eq!(sent.iter().map(|sent| sent.to).collect::<Vec<_>>(), [peer_v6().rtp]);
    assert!(core.relayed(rtp(2), peer(2).rtp, &strange_packet(3, 1)).is_empty(), "the old one is a stranger");
    let sent = core.relayed(rtp(2), peer_v6().rtp, &strange_packet(3, 1));
    assert_eq!(sent.iter().map(|sent| sent.to).collect::<Vec<_>>(), [peer(1).rtp]);
}

#[test]
fn rtcp_passes_where_media_pass_either_way() {
    let mut core = two([Mode::SendReceive, Mode::ReceiveOnly]);
    for (from, to) in [(1, 2), (2, 1)] {
        let report = sender_report(0x77);
        let sent = core.relayed(rtp(from).rtcp(), peer(from as u16).rtcp, &report);
        assert_eq!(sent.len(), 1);
        assert_eq!((sent[0].from, sent[0].to), (rtp(to).rtcp(), peer(to as u16).rtcp));
        assert_eq!(sent[0].octets, report);
    }
    core.modify_relay(2, relay_leg(Mode::Inactive, peer(2)));
    assert!(core.relayed(rtp(1).rtcp(), peer(1).rtcp, &sender_report(0x77)).is_empty());
    core.modify_relay(2, relay_leg(Mode::Loopback, peer(2)));
    assert!(core.relayed(rtp(2).rtcp(), peer(2).rtcp, &sender_report(0x77)).is_empty());
}

#[test]
fn no_report_of_its_own_is_sent() {
    let mut core = two([Mode::SendReceive; 2]);
    let mut talker = [Peer::new(1, 1)];
    core.talk(&mut talker, 6_000); // 30 s
    assert!(core.out.iter().all(|sent| sent.from.is_rtp()));
    assert_eq!(core.count(Counter::RtpSent), 1_500);
    core.disconnect(1);
    core.tick();
    assert!(core.out.iter().all(|sent| sent.from.is_rtp()));
}

#[test]
fn what_each_connection_has_seen_is_told() {
    let mut core = two([Mode::SendReceive; 2]);
    for number in [1, 2, 5] {
        core.relayed(rtp(1), peer(1).rtp, &strange_packet(3, number));
    }
    let (one, two) = (core.survey(1), core.survey(2));
    assert_eq!((one.packets_received, one.octets_received, one.packets_lost), (3, 3 * 33, 2));
    assert_eq!((one.packets_sent, one.octets_sent), (0, 0));
    assert_eq!((two.packets_sent, two.octets_sent, two.packets_received), (3, 3 * 33, 0));
    assert_eq!(core.disconnect(1), one);
    assert!(core.relayed(rtp(2), peer(2).rtp, &strange_packet(3, 1)).is_empty());
    assert_eq!(core.disconnect(2).packets_received, 1);
}

#[test]
fn a_pair_is_a_relays_then_a_ds0s_then_a_relays_again() {
    let mut core = two([Mode::SendReceive; 2]);
    core.disconnect(1);
    core.connect(17, 1, leg(Mode::SendReceive, peer(1)));
    assert!(core.relayed(rtp(1), peer(1).rtp, &strange_packet(3, 1)).is_empty());
    core.disconnect(1);
    core.connect_relay(RELAY, 1, relay_leg(Mode::SendReceive, peer(1)));
    assert_eq!(core.relayed(rtp(1), peer(1).rtp, &strange_packet(3, 1)).len(), 1);
}

#[test]
fn a_burst_passes_whole_and_in_order_as_far_as_there_is_room() {
    let mut core = two([Mode::SendReceive; 2]);
    for number in 0..500 {
        core.coming.push((rtp(1), peer(1).rtp, strange_packet(3, number)));
    }
    core.tick();
    let numbers: Vec<u16> = core.out.iter().map(|sent| Taken::of(&sent.octets).sequence).collect();
    assert_eq!(numbers, (0..500).collect::<Vec<_>>());
    for number in 0..600 {
        core.coming.push((rtp(1), peer(1).rtp, strange_packet(3, number)));
    }
    core.out.clear();
    core.tick();
    assert_eq!((core.out.len(), core.count(Counter::SendFull)), (512, 88), "lost, but counted");
    core.out.clear();
    core.relayed(rtp(1), peer(1).rtp, &strange_packet(3, 9));
    assert_eq!(core.count(Counter::SendFull), 88);
}

/// RFC 5506 §3.4.2: what is of reduced size does not begin with SR or RR; it is RTCP all the same.
#[test]
fn rtcp_of_reduced_size_passes() {
    let mut core = two([Mode::SendReceive; 2]);
    let feedback = [0x81, 206, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8];
    let app = [0x80, 204, 0, 2, 1, 2, 3, 4, b'n', b'a', b'm', b'e'];
    for octets in [&feedback[..], &app, &[feedback, app].concat()] {
        let sent = core.relayed(rtp(1).rtcp(), peer(1).rtcp, octets);
        assert_eq!(sent.iter().map(|sent| &sent.octets[..]).collect::<Vec<_>>(), [octets]);
    }
    let cut = &feedback[..11];
    let voice = [0x80, 0x88, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8];
    let behind = [&feedback[..], &[0, 1, 2, 3]].concat();
    for octets in [cut, &voice, &behind, &[]] {
        assert!(core.relayed(rtp(1).rtcp(), peer(1).rtcp, octets).is_empty(), "{octets:?}");
    }
    assert_eq!((core.count(Counter::RtcpReceived), core.count(Counter::DroppedMalformed)), (3, 4));
}

/// RFC 3550 §6.4.1: jitter is counted in the units of the payload's own clock.
#[test]
fn jitter_is_measured_by_the_clock_of_the_payload() {
    for (payload_type, clock_hz) in [(8, 8_000), (112, 16_000), (111, 48_000)] {
        let mut core = Core::new();
        let clocks = ClockRates::new([(8, 8_000), (112, 16_000), (111, 48_000), (113, u32::MAX)]);
        core.connect_relay(RELAY, 1, RelayLeg { clocks, ..relay_leg(Mode::SendReceive, peer(1)) });
        let speak = |core: &mut Core, number: u32, early: u32| {
            let timestamp = number.wrapping_mul(clock_hz / 50).wrapping_sub(early * clock_hz / 1_000);
            let sequence = number as u16;
            let header = Header { marker: false, payload_type, sequence, timestamp, ssrc: 9 };
            core.coming.push((rtp(1), peer(1).rtp, packet_of(header, &[0; 20])));
            core.ticks(4);
        };
        (0..200).for_each(|number| speak(&mut core, number, 0));
        assert_eq!(core.survey(1).jitter, Duration::ZERO, "{clock_hz}");
        (200..400).for_each(|number| speak(&mut core, number, number % 2 * 8));
        let jitter = core.survey(1).jitter;
        assert!((7_500..8_500).contains(&jitter.as_micros()), "{clock_hz}: {jitter:?}");
    }
}

/// A peer may go from one codec to another whose clock is a different one.
#[test]
fn a_change_of_clock_is_no_jitter() {
    let mut core = Core::new();
    let clocks = ClockRates::new([(112, 16_000)]);
    core.connect_relay(RELAY, 1, RelayLeg { clocks, ..relay_leg(Mode::SendReceive, peer(1)) });
    let mut timestamp = 0_u32;
    for number in 0..400_u16 {
        let (payload_type, step) = if number / 50 % 2 == 0 { (8, 160) } else { (112, 320) };
        let header = Header { marker: false, payload_type, sequence: number, timestamp, ssrc: 9 };
        core.coming.push((rtp(1), peer(1).rtp, packet_of(header, &[0; 20])));
        timestamp = timestamp.wrapping_add(step);
        core.ticks(4);
    }
    let jitter = core.survey(1).jitter;
    assert!(jitter < Duration::from_millis(5), "{jitter:?}");
}
