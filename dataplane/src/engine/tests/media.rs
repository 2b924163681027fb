//! Octets both ways, and how level ticks are.

use super::*;

#[test]
fn what_the_line_says_goes_out_bit_exact() {
    let mut core = Core::new();
    core.connect(17, 3, leg(Mode::SendReceive, peer(1)));
    core.ticks(100);
    let packets = core.rtp_from(3);
    assert!(packets.len() >= 24);
    assert!(core.out.iter().filter(|sent| sent.from == rtp(3)).all(|sent| sent.to == peer(1).rtp));
    let first = &packets[0];
    assert_eq!((first.payload_type, first.sequence, first.ssrc), (8, 65_530, 0x5000_0003));
    assert_eq!(packets[6].sequence, 0, "sequence numbers wrap");
    let octets = joined(&packets);
    let begin = find(&core.said(17), &octets).expect("the line said it");
    assert_eq!(first.timestamp, identity(3).timestamp.wrapping_add(begin as u32));
    assert_eq!(core.count(Counter::RtpSent), packets.len() as u64);
    assert_eq!(core.count(Counter::RtpSentOctets), octets.len() as u64);
}

#[test]
fn what_the_peer_says_reaches_the_line_bit_exact() {
    let mut core = Core::new();
    core.connect(17, 3, leg(Mode::SendReceive, peer(1)));
    core.ticks(3);
    let mut peers = [Peer::new(1, 3)];
    core.talk(&mut peers, 200);
    let begin = assert_hears(core.heard(17), &peers[0].said());
    assert!(begin <= 3 * BLOCK + 160 + BLOCK, "the jitter buffer's 20 ms and a block: {begin}");
    assert_eq!(core.count(Counter::RtpReceived), 50);
    for counter in [Counter::ConcealedOctets, Counter::LateOctets, Counter::Duplicate, Counter::DroppedSource]
    {
        assert_eq!(core.count(counter), 0, "{counter:?}");
    }
    assert_silent(core.heard(16));
}

#[test]
fn two_legs_of_one_core_carry_both_ways_bit_exact() {
    let mut core = Core::new();
    core.connect(1, 0, leg(Mode::SendReceive, ourselves(1)));
    core.connect(2, 1, leg(Mode::SendReceive, ourselves(0)));
    core.ticks(200);
    for (says, hears) in [(1, 2), (2, 1)] {
        let heard = core.heard(hears);
        let begin = heard.iter().position(|&octet| octet != Law::A.silence()).expect("it is heard");
        let offset = find(&core.said(says), &heard[begin..]).expect("bit-exact, to the end");
        assert!(
            begin - offset <= 160 + BLOCK + 160 + 2 * BLOCK,
            "20 ms, 20 ms and the blocks: {begin} {offset}"
        );
    }
    let seen = core.survey(0);
    assert_eq!((seen.packets_lost, seen.jitter), (0, Duration::ZERO));
    assert!(seen.packets_sent >= 48 && seen.packets_received >= 48);
    assert_eq!(seen.octets_sent, seen.packets_sent * 160);
    assert!(seen.playout_delay >= Duration::from_millis(15));
}

#[test]
fn laws_are_translated_each_way_by_table() {
    let mut core = Core::new();
    let mu = Leg { send: pcm(Law::Mu), ..leg(Mode::SendReceive, peer(1)) };
    core.connect(17, 3, mu);
    let mut peers = [Peer { payload_type: 0, ..Peer::new(1, 3) }];
    core.talk(&mut peers, 100);
    let to_mu = g711::translate(Law::A, Law::Mu).expect("they differ");
    let to_a = g711::translate(Law::Mu, Law::A).expect("they differ");
    let translate = |octets: &[u8], table: &[u8; 256]| -> Vec<u8> {
        octets.iter().map(|&octet| table[usize::from(octet)]).collect()
    };
    let packets = core.rtp_from(3);
    assert_eq!(packets[0].payload_type, 0);
    assert!(find(&translate(&core.said(17), to_mu), &joined(&packets)).is_some());
    assert!(find(core.heard(17), &translate(&peers[0].said()[..1_000], to_a)).is_some());
}

#[test]
fn the_law_of_an_endpoint_can_change() {
    let mut core = Core::new();
    core.connect(17, 3, leg(Mode::SendReceive, peer(1)));
    core.ticks(10);
    assert_eq!(core.order(Action::Encode { ds0: ds0(0, 17), law: Law::Mu }), Outcome::Done);
    assert_eq!(core.order(Action::Encode { ds0: ds0(0, 18), law: Law::Mu }), Outcome::Done);
    let mut peers = [Peer::new(1, 3)];
    core.talk(&mut peers, 100);
    let to_mu = g711::translate(Law::A, Law::Mu).expect("they differ");
    let expected: Vec<u8> = peers[0].said()[..1_000].iter().map(|&octet| to_mu[usize::from(octet)]).collect();
    assert!(find(core.heard(17), &expected).is_some());
    let heard = core.heard(18);
    assert!(heard[..10 * BLOCK].iter().all(|&octet| octet == Law::A.silence()));
    assert!(heard[10 * BLOCK..].iter().all(|&octet| octet == Law::Mu.silence()));
}

// RFC 4040.
#[test]
fn clearmode_touches_no_octet_whatever_the_law() {
    let mut core = Core::new();
    let clearmode = Format { payload_type: 97, codec: Codec::Clearmode };
    let clear =
        Leg { send: clearmode, receive: Formats::new([clearmode]), ..leg(Mode::SendReceive, peer(1)) };
    core.order(Action::Encode { ds0: ds0(0, 17), law: Law::Mu });
    core.connect(17, 3, clear);
    let mut peers = [Peer { payload_type: 97, ..Peer::new(1, 3) }];
    core.talk(&mut peers, 100);
    assert!(find(&core.said(17), &joined(&core.rtp_from(3))).is_some());
    assert!(find(core.heard(17), &peers[0].said()[..1_000]).is_some());
}

#[test]
fn a_codec_that_changes_within_a_packet_garbles_nothing_of_it() {
    let clearmode = Format { payload_type: 97, codec: Codec::Clearmode };
    let to_mu = g711::translate(Law::A, Law::Mu).expect("they differ");
    for (before, after) in [(pcm(Law::A), pcm(Law::Mu)), (clearmode, pcm(Law::Mu)), (pcm(Law::A), clearmode)]
    {
        for ticks in 8..12 {
            let mut core = Core::new();
            core.connect(17, 3, Leg { send: before, ..leg(Mode::SendOnly, peer(1)) });
            core.ticks(ticks);
            core.modify(3, Leg { send: after, ..leg(Mode::SendOnly, peer(1)) });
            core.ticks(20);
            let (said, packets) = (core.said(17), core.rtp_from(3));
            let _ = joined(&packets);
            for packet in packets {
                let at = packet.timestamp.wrapping_sub(identity(3).timestamp) as usize;
                let mut expected = said[at..][..160].to_vec();
                if packet.payload_type == 0 {
                    expected.iter_mut().for_each(|octet| *octet = to_mu[usize::from(*octet)]);
                }
                assert_eq!(packet.payload, expected, "{before:?} {after:?} after {ticks} ticks");
            }
        }
    }
}

#[test]
fn a_block_longer_than_ptime_sends_several_packets_a_tick() {
    let mut core = Core::with_spans(1, 160);
    core.connect(17, 3, Leg { ptime_ms: ms(5), ..leg(Mode::SendOnly, peer(1)) });
    core.ticks(50);
    let packets = core.rtp_from(3);
    assert_eq!(packets.len(), 200);
    assert_eq!(joined(&packets), core.said(17));
}

// LEVEL TICKS

#[test]
fn the_packets_of_a_span_are_spread_over_the_ticks() {
    let mut core = Core::new();
    for timeslot in 1..=31 {
        core.connect(timeslot, u32::from(timeslot), leg(Mode::SendOnly, peer(1)));
    }
    core.ticks(100);
    for level in &core.levels[8..] {
        assert!((7..=8).contains(level), "{:?}", core.levels);
    }
}

#[test]
fn the_packets_of_two_spans_are_spread_over_the_ticks() {
    let mut core = Core::with_spans(2, BLOCK);
    for pair in 0..62 {
        let ds0 = ds0((pair / 31) as u16, (pair % 31 + 1) as u8);
        let leg = Leg { ptime_ms: ms(30), ..leg(Mode::SendOnly, peer(1)) };
        core.order(Action::Connect { ds0, port: rtp(pair), identity: identity(pair), leg });
    }
    core.ticks(100);
    for level in &core.levels[12..] {
        assert!((10..=11).contains(level), "{:?}", core.levels);
    }
}
