//! Who is heard, and as which source.

use super::*;

// RFC 3435 §2.3.5.
#[test]
fn recvonly_without_a_remote_description_hears_anyone() {
    let mut core = Core::new();
    core.connect(5, 0, Leg { peer: link::Peer::Undescribed, ..leg(Mode::ReceiveOnly, peer(1)) });
    let mut peers = [Peer::new(9, 0)];
    core.talk(&mut peers, 60);
    // Naming the one who was heard disturbs nothing.
    core.modify(0, leg(Mode::SendReceive, peer(9)));
    core.talk(&mut peers, 60);
    assert_hears(core.heard(5), &peers[0].said());
    assert_eq!(core.count(Counter::ConcealedOctets), 0);
}

#[test]
fn a_peer_on_hold_is_nobody() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::SendReceive, peer(1)));
    core.modify(0, Leg { peer: link::Peer::OnHold, ..leg(Mode::SendReceive, peer(1)) });
    let mut peers = [Peer::new(1, 0), Peer { ssrc: 1, ..Peer::new(2, 0) }];
    core.talk(&mut peers, 60);
    assert!(core.rtp_from(0).is_empty());
    assert_eq!((core.count(Counter::RtpReceived), core.count(Counter::DroppedSource)), (0, 30));
}

#[test]
fn what_comes_from_elsewhere_is_counted_and_dropped() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::SendReceive, peer(1)));
    let mut other_port = Peer::new(1, 0);
    other_port.from.set_port(1);
    let mut peers = [Peer::new(1, 0), Peer { ssrc: 1, ..Peer::new(2, 0) }, Peer { ssrc: 2, ..other_port }];
    core.talk(&mut peers, 100);
    assert_hears(core.heard(5), &peers[0].said());
    assert_eq!(core.count(Counter::DroppedSource), 50);
    core.engine.receive(rtp(0).rtcp(), peer(2).rtcp, core.now, &[0x81; 40]);
    assert_eq!(core.count(Counter::DroppedSource), 51);
}

#[test]
fn what_makes_no_sense_is_counted_and_dropped() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::SendReceive, peer(1)));
    let from = peer(1).rtp;
    core.engine.receive(rtp(0), from, core.now, &[1, 2, 3]);
    core.engine.receive(rtp(0).rtcp(), peer(1).rtcp, core.now, &[0x80; 8]);
    assert_eq!(core.count(Counter::DroppedMalformed), 2);
    let unknown = Peer { payload_type: 18, ..Peer::new(1, 0) }.packet(20);
    core.engine.receive(rtp(0), from, core.now, &unknown);
    assert_eq!(core.count(Counter::DroppedPayloadType), 1);
    core.engine.receive(rtp(7), from, core.now, &unknown);
    core.engine.receive(PortSlot(9_999), from, core.now, &unknown);
    assert_eq!(core.count(Counter::DroppedIdle), 2);
    assert_eq!(core.survey(0), ConnectionStats::default());
}

#[test]
fn another_remote_is_another_source() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::SendReceive, peer(1)));
    let mut first = [Peer::new(1, 0)];
    core.talk(&mut first, 60);
    core.modify(0, leg(Mode::SendReceive, peer(2)));
    let mut second = [Peer { sequence: 40_000, ..Peer::new(2, 0) }];
    core.talk(&mut second, 60);
    assert!(find(core.heard(5), &second[0].said()[..1_600]).is_some());
    assert_eq!(core.count(Counter::DroppedSequence), 0);
    let seen = core.survey(0);
    assert_eq!((seen.packets_received, seen.packets_lost), (30, 0));
    assert!(
        core.out.iter().rev().find(|sent| sent.from == rtp(0)).is_some_and(|sent| sent.to == peer(2).rtp)
    );
}

#[test]
fn a_peer_that_changes_its_ssrc_is_heard_on() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::SendReceive, peer(1)));
    let mut peers = [Peer::new(1, 0)];
    core.talk(&mut peers, 60);
    peers[0] = Peer { ssrc: 0xABCD, sequence: 9, ..Peer::new(1, 0) };
    core.talk(&mut peers, 60);
    assert!(
        find(core.heard(5), &peers[0].said()[400..1_600]).is_some(),
        "but for the packet in doubt, and the joint"
    );
}

// RFC 3550 §8.2.
#[test]
fn a_peer_under_our_ssrc_makes_us_change_it_once() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::SendReceive, peer(1)));
    let mut peers = [Peer { ssrc: identity(0).ssrc, ..Peer::new(1, 0) }];
    core.talk(&mut peers, 60);
    let packets = core.rtp_from(0);
    let ours = packets.last().expect("it sends on").ssrc;
    assert_ne!(ours, identity(0).ssrc);
    assert!(packets.windows(2).all(|two| two[1].sequence == two[0].sequence.wrapping_add(1)));
    let mut reflected = [Peer { ssrc: ours, ..Peer::new(1, 0) }];
    core.talk(&mut reflected, 60);
    assert_eq!(core.rtp_from(0).last().expect("on").ssrc, ours, "once only");
    assert!(find(core.heard(5), &reflected[0].said()[400..1_600]).is_some());
    assert!(core.count(Counter::OwnSsrc) >= 15);
}

#[test]
fn a_peer_that_reports_under_our_ssrc_makes_us_change_it_too() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::SendReceive, peer(1)));
    core.ticks(10);
    // An empty receiver report (RFC 3550 §6.4.2).
    let mut report = vec![0x80, 201, 0, 1];
    report.extend(identity(0).ssrc.to_be_bytes());
    for _ in 0..2 {
        core.engine.receive(rtp(0).rtcp(), peer(1).rtcp, core.now, &report);
    }
    core.ticks(10);
    let bye = core.rtcp_from(0).remove(0);
    assert!(bye.bye && bye.ssrc == identity(0).ssrc);
    assert_ne!(core.rtp_from(0).last().expect("it sends on").ssrc, identity(0).ssrc);
    assert_eq!(
        (core.count(Counter::OwnSsrc), core.count(Counter::RtcpReceived)),
        (1, 1),
        "once ours, then another's"
    );
}
