//! RTCP as a peer sees it (RFC 3550 §6).

use std::time::Duration;

use drivers::line::Law;
use drivers::net::sim::Impairment;
use tests::World;
use tests::audio::distinct;

/// The packet types of a compound packet, in order.
fn types(mut compound: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    while compound.len() >= 4 {
        all.push(compound[1]);
        let len = 4 * (1 + usize::from(u16::from_be_bytes([compound[2], compound[3]])));
        compound = &compound[len.min(compound.len())..];
    }
    all
}

#[test]
fn reports_come_every_few_seconds_and_a_bye_at_the_end() {
    let mut w = World::builder(61).build();
    let peer = w.add_peer("10.0.0.9:4000");
    let sdp = w.peers[peer].description("8");
    let reply = w.connect("ds/e1-1/1", "sendrecv", &sdp);
    w.play(peer, reply.rtp(), 8, 20, &distinct(1, Law::A, 8_000));
    w.run_for(Duration::from_secs(60));
    // RFC 3550 §6.3.1: 5 s on average between two members' reports, spread from half to one and a half
    // and divided by 1.21828.
    let reports = w.peers[peer].reports.len();
    assert!((8..=24).contains(&reports), "{reports} reports in a minute");
    for report in &w.peers[peer].reports {
        assert_eq!(types(report), [200, 202], "a sender report and a description of the source");
    }
    let last = w.peers[peer].reports.last().expect("there are reports").clone();
    let word = |at: usize| u32::from_be_bytes(last[at..at + 4].try_into().expect("four octets"));
    assert_eq!(last[0] & 0x1F, 1, "one report block");
    assert_eq!(word(4), w.peers[peer].heard[0].ssrc);
    assert_eq!(word(28), 0x1234_5678, "the block is about the peer");
    assert_eq!(word(32), 0, "nothing was lost");
    w.ask("DLCX ds/e1-1/1@gw", "");
    w.run_for(Duration::from_millis(100));
    let bye = w.peers[peer].reports.last().expect("there are reports");
    assert_eq!(types(bye).last(), Some(&203), "RFC 3550 §6.6: who leaves says so");
}

/// The 32-bit word at `at`.
fn word(octets: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(octets[at..at + 4].try_into().expect("four octets"))
}

#[test]
fn a_sender_reports_times_and_counts_are_those_of_its_packets() {
    let mut w = World::builder(62).spans("[[span]]\nclock_ppm = 100\n").build();
    let peer = w.add_peer("10.0.0.9:4000");
    let sdp = w.peers[peer].description("8");
    w.connect("ds/e1-1/1", "sendrecv", &sdp);
    w.run_for(Duration::from_secs(120));
    let peer = &w.peers[peer];
    let (mut before, first) = (0, peer.heard[0].clone());
    for report in &peer.reports {
        assert_eq!(report[1], 200, "RFC 3550 §6.4: who sends, sends SRs");
        let (packets, octets) = (word(report, 20), word(report, 24));
        assert_eq!(octets, 160 * packets);
        assert!(packets > before, "it grows");
        before = packets;
        // RFC 3550 §6.4.1: the RTP timestamp is that of the NTP time, on the clock of the packets.
        let ntp = f64::from(word(report, 8)) + f64::from(word(report, 12)) / 2f64.powi(32);
        let since = ntp - (2_208_988_800.0 + 1_700_000_000.0) - (first.arrived.as_nanos() as f64 / 1e9 - 1.0);
        let clock = f64::from(word(report, 16).wrapping_sub(first.timestamp)) - 160.0;
        let apart = clock - since * 8_000.8;
        assert!(apart.abs() < 48.0, "the report's clock is {apart} octets from the packets'");
        let sent = peer
            .heard
            .partition_point(|p| f64::from(p.timestamp.wrapping_sub(first.timestamp)) + 160.0 <= clock);
        assert!(i64::from(packets).abs_diff(sent as i64) <= 1, "{packets} packets told, {sent} sent by then");
    }
}

#[test]
fn jitter_and_latency_are_those_of_the_network() {
    for (jitter_ms, delay_ms) in [(0, 5), (9, 40), (30, 80)] {
        let mut w = World::builder(63).build();
        let (a, b) = w.call("ds/e1-1/1", "ds/e1-2/1");
        let (delay, jitter) = (Duration::from_millis(delay_ms), Duration::from_millis(jitter_ms));
        w.net().impair(Impairment { delay, jitter, ..Impairment::default() });
        w.run_for(Duration::from_secs(60));
        for (name, leg) in [("ds/e1-1/1", a), ("ds/e1-2/1", b)] {
            let rest = format!("I: {}\r\nF: P\r\n", leg.connection());
            let seen = w.ask(&format!("AUCX {name}@gw"), &rest);
            assert_eq!(seen.seen("PL"), Some(0));
            // Half the round trip of two reports, each with its share of the jitter.
            let latency = seen.seen("LA").expect("a latency");
            assert!((delay_ms..=delay_ms + jitter_ms).contains(&latency), "{}", seen.text);
            // Of two evenly spread delays one is a third of their range from the other, on the mean.
            let (told, real) = (seen.seen("JI").expect("a jitter") as f64, jitter_ms as f64 / 3.0);
            assert!((told - real).abs() <= 1.0 + real / 3.0, "{told} ms, not {real:.1}: {}", seen.text);
        }
    }
}

#[test]
fn what_is_told_as_lost_and_received_is_what_the_network_lost_and_carried() {
    for loss in [0.01, 0.1, 0.3] {
        let mut w = World::builder(64).build();
        let peer = w.add_peer("10.0.0.9:4000");
        let sdp = w.peers[peer].description("8");
        let leg = w.connect("ds/e1-1/1", "recvonly", &sdp);
        w.play(peer, leg.rtp(), 8, 20, &distinct(1, Law::A, 8_000));
        w.run_for(Duration::from_secs(1));
        let first = w.peers[peer].sequence;
        w.net().impair(Impairment { loss, ..Impairment::default() });
        w.run_for(Duration::from_secs(60));
        let (lost, sent) = (w.net().counters().lost, w.peers[peer].sequence.wrapping_sub(first));
        w.net().impair(Impairment::default());
        w.run_for(Duration::from_secs(1));
        w.peers[peer].stop();
        w.run_for(Duration::from_millis(100));
        let gone = w.ask("DLCX ds/e1-1/1@gw", &format!("C: A1\r\nI: {}\r\n", leg.connection()));
        // Its own reports are lost like its peer's packets, a dozen of them.
        let told = gone.seen("PL").expect("losses are told");
        assert!(told <= lost && told + 12 >= lost, "{lost} lost: {}", gone.text);
        let all = u64::from(w.peers[peer].sequence.wrapping_sub(65_500));
        assert!(sent >= 2_999 && gone.seen("PR") == Some(all - told), "{all} sent: {}", gone.text);
        assert_eq!(gone.seen("OR"), Some(160 * (all - told)), "{}", gone.text);
    }
}
