//! RTCP, and what finds no room.

use super::*;

// RFC 3550 §6.2: about every five seconds, the first sooner.
#[test]
fn a_leg_reports_every_five_seconds_or_so() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::SendReceive, peer(1)));
    let mut peers = [Peer::new(1, 0)];
    core.talk(&mut peers, 60 * 200);
    let reports = core.rtcp_from(0);
    assert!((8..=22).contains(&reports.len()), "{} in a minute", reports.len());
    assert_eq!(core.count(Counter::RtcpSent), reports.len() as u64);
    for heard in &reports {
        assert_eq!(heard.ssrc, identity(0).ssrc);
        let sender = heard.sender.expect("we send all the time");
        // RFC 3550 §6.4.1: the report's timestamp is the media clock at its wall time.
        let wall = sender.ntp.wrapping_sub(EPOCH.ntp(Instant::from_nanos(1_000_000_000)));
        let clock = sender.timestamp.wrapping_sub(identity(0).timestamp);
        let elapsed = ((u128::from(wall) * 8_000) >> 32) as i64;
        assert!((i64::from(clock) - BLOCK as i64 - elapsed).abs() <= BLOCK as i64, "{clock} at {elapsed}");
    }
    assert!(core.out.iter().filter(|sent| sent.from == rtp(0).rtcp()).all(|sent| sent.to == peer(1).rtcp));
}

#[test]
fn two_legs_learn_their_round_trip_from_each_other() {
    let mut core = Core::new();
    core.connect(1, 0, leg(Mode::SendReceive, ourselves(1)));
    core.connect(2, 1, leg(Mode::SendReceive, ourselves(0)));
    core.ticks(30 * 200);
    let seen = core.disconnect(0);
    // A datagram takes a tick each way here.
    let latency = seen.latency.as_micros();
    assert!((4_900..5_100).contains(&latency), "{latency} us");
    assert!(core.count(Counter::RtcpReceived) > 4);
}

// RFC 3550 §6.3.7.
#[test]
fn who_has_sent_nothing_says_no_bye() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::Inactive, peer(1)));
    core.ticks(3);
    core.disconnect(0);
    core.connect(5, 1, Leg { peer: link::Peer::Undescribed, ..leg(Mode::ReceiveOnly, peer(1)) });
    core.ticks(2_000);
    core.disconnect(1);
    core.ticks(3);
    assert!(core.out.is_empty());
}

#[test]
fn closing_says_bye_for_every_leg_as_the_sockets_take_them() {
    let mut core = Core::new();
    for timeslot in 1..=31 {
        core.connect(timeslot, u32::from(timeslot), leg(Mode::SendOnly, peer(1)));
    }
    core.ticks(20);
    core.out.clear();
    core.sockets.room = Some(10);
    let mut rounds = 0;
    while !core.engine.close(core.now, &mut core.sockets) {
        core.out.append(&mut core.sockets.sent);
        rounds += 1;
    }
    core.out.append(&mut core.sockets.sent);
    assert_eq!(rounds, 3);
    let byes = (1..=31).flat_map(|pair| core.rtcp_from(pair)).filter(|heard| heard.bye).count();
    assert_eq!(byes, 31);
}

#[test]
fn a_packet_that_finds_no_room_is_lost_and_not_counted_as_sent() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::SendOnly, peer(1)));
    core.ticks(20);
    core.sockets.room = Some(0);
    core.ticks(8);
    core.sockets.room = None;
    core.ticks(20);
    assert_eq!(core.sockets.full, 2);
    let packets = core.rtp_from(0);
    assert_eq!(core.survey(0).packets_sent as usize, packets.len());
    let last = packets.last().expect("it goes on");
    let at = last.timestamp.wrapping_sub(identity(0).timestamp) as usize;
    assert_eq!(last.payload, core.said(5)[at..at + 160]);
}
