use drivers::span::Block;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

mod stalls;

const BOUNDS: JitterBounds = JitterBounds { nominal_ms: 20, max_ms: 100, adaptive: true };
const FIXED: JitterBounds = JitterBounds { adaptive: false, ..BOUNDS };
/// Made-up octets are told from sent ones by this.
const HOLE: u8 = 0xFF;

/// The octet that is sent with a timestamp; never [`HOLE`].
fn sent(timestamp: u32) -> u8 {
    (timestamp % 251) as u8
}

fn payload(timestamp: u32, len: usize) -> Vec<u8> {
    (0..len as u32).map(|i| sent(timestamp.wrapping_add(i))).collect()
}

fn buffer(bounds: JitterBounds, fill: Fill) -> JitterBuffer {
    let mut buffer = JitterBuffer::new(JitterBuffer::capacity_for(&bounds, Block::FRAMES_MAX));
    buffer.start(bounds, fill);
    buffer
}

/// A line that takes blocks, a sender, and a network that delays each packet as it is told.
///
/// Times are in octets of the line.
struct Run {
    buffer: JitterBuffer,
    block: usize,
    ptime: u32,
    /// Packets under way: arrival, timestamp.
    network: Vec<(f64, u32)>,
    timestamp: u32,
    /// When the sender sends next, and the line plays next.
    send_at: f64,
    play_at: f64,
    /// Octets of the sender's clock in one of the line's.
    rate: f64,
    heard: Vec<u8>,
    missing: usize,
    late: usize,
    adjusted: usize,
}

impl Run {
    fn new(bounds: JitterBounds, block: usize, ptime: u32) -> Self {
        Self {
            buffer: buffer(bounds, Fill::Idle(HOLE)),
            block,
            ptime,
            network: Vec::new(),
            timestamp: u32::MAX - 20_000,
            send_at: 0.0,
            play_at: 0.0,
            rate: 1.0,
            heard: Vec::new(),
            missing: 0,
            late: 0,
            adjusted: 0,
        }
    }

    /// Goes on for `ms`; each packet is under way for as many octets as `delay` says of its time
    /// of sending, or lost.
    fn run(&mut self, ms: u32, mut delay: impl FnMut(f64) -> Option<f64>) -> &mut Self {
        let end = self.play_at + f64::from(ms * 8);
        while self.play_at < end {
            while self.send_at <= self.play_at {
                if let Some(delay) = delay(self.send_at) {
                    self.network.push((self.send_at + delay, self.timestamp));
                }
                self.timestamp = self.timestamp.wrapping_add(self.ptime);
                self.send_at += f64::from(self.ptime) / self.rate;
            }
            self.network.sort_by(|a, b| a.0.total_cmp(&b.0));
            while self.network.first().is_some_and(|(arrival, _)| *arrival <= self.play_at) {
                let (_, timestamp) = self.network.remove(0);
                let inserted = self.buffer.insert(timestamp, &payload(timestamp, self.ptime as usize), None);
                self.late += inserted.late;
            }
            let mut out = vec![0; self.block];
            let played = self.buffer.play(&mut out);
            self.heard.extend(out);
            self.missing += played.missing;
            self.adjusted += usize::from(played.adjusted);
            self.play_at += self.block as f64;
        }
        self
    }

    fn delay_ms(&self) -> u128 {
        self.buffer.delay().as_millis()
    }

    /// What was missing, late and adjusted since this was last asked.
    fn take_counts(&mut self) -> (usize, usize, usize) {
        (
            std::mem::take(&mut self.missing),
            std::mem::take(&mut self.late),
            std::mem::take(&mut self.adjusted),
        )
    }
}

/// Plays one block.
fn play(buffer: &mut JitterBuffer, len: usize) -> (Vec<u8>, Played) {
    let mut out = vec![0; len];
    let played = buffer.play(&mut out);
    (out, played)
}

proptest! {
    /// The promise of a clean network: once each, in order, for ever.
    #[test]
    fn in_step_with_the_line_nothing_is_ever_adjusted(
        block in 1usize..=20, ptime in prop::sample::select(vec![5u32, 10, 20, 30, 40, 60]),
        nominal_ms in prop::sample::select(vec![0u16, 5, 10, 20, 40]), phase in 0u32..480, transit in 0u32..400,
        adaptive in any::<bool>(),
    ) {
        let bounds = JitterBounds { nominal_ms, max_ms: 100, adaptive };
        let mut run = Run::new(bounds, block * 8, ptime * 8);
        run.send_at = f64::from(phase) + 0.5;
        run.run(30_000, |_| Some(f64::from(transit)));
        prop_assert_eq!(run.take_counts(), (0, 0, 0));
        let first = run.heard.iter().position(|octet| *octet != HOLE).expect("something was heard");
        let start = u32::MAX - 20_000;
        for (index, octet) in run.heard[first..].iter().enumerate() {
            prop_assert_eq!(*octet, sent(start.wrapping_add(index as u32)));
        }
        // The block that the first octet is in begins after it came: at most nominal, or a block, later,
        // and at most one block more.
        let came = phase as usize + transit as usize;
        let longest = (block * 8).max(usize::from(nominal_ms) * 8) + block * 8;
        prop_assert!(first / (block * 8) * (block * 8) <= came + longest);
    }

    /// Whatever comes, in any order: no panic, and every block is as long as it was asked for.
    #[test]
    fn no_packets_disturb_it(
        steps in proptest::collection::vec((0u8..8, any::<u32>(), 0usize..2_000), 1..200),
        nominal_ms in any::<u16>(), max_ms in 0u16..=2_700, adaptive in any::<bool>(), speech in any::<bool>(),
    ) {
        let fill = if speech { Fill::Conceal(Law::A) } else { Fill::Idle(HOLE) };
        let mut buffer = buffer(JitterBounds { nominal_ms, max_ms, adaptive }, fill);
        let mut timestamp = 0u32;
        for (kind, number, len) in steps {
            timestamp = match kind {
                0 => number,
                1 => timestamp.wrapping_sub(number % 3_000),
                _ => timestamp.wrapping_add(number % 400),
            };
            let inserted = buffer.insert(timestamp, &vec![7; len], None);
            prop_assert!(inserted.late <= len && inserted.duplicate <= len);
            let (_, played) = play(&mut buffer, 8 + len % 153);
            prop_assert!(played.missing <= 160);
        }
    }

    /// Reordering and duplicates within the delay change nothing that is heard.
    #[test]
    fn order_of_arrival_does_not_matter(seed in any::<u64>()) {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut run = Run::new(JitterBounds { nominal_ms: 60, ..BOUNDS }, 40, 160);
        run.run(100, |_| Some(0.0));
        run.run(5_000, |_| Some(rng.random_range(0.0..400.0)));
        prop_assert_eq!(run.take_counts(), (0, 0, 0));
    }
}

/// Whatever comes, late, early, in any order or length: each octet is heard in its own place, or not at all.
#[test]
fn no_octet_is_heard_in_the_place_of_another() {
    for seed in 0..300 {
        let mut rng = StdRng::seed_from_u64(seed);
        let adaptive = rng.random_bool(0.8);
        let mut buffer = JitterBuffer::new(JitterBuffer::CAPACITY_MIN << rng.random_range(0..3));
        buffer.start(JitterBounds { adaptive, ..BOUNDS }, Fill::Idle(HOLE));
        let block = 8 * rng.random_range(1..=20);
        let lens = [40, 160, 160, 480, 800];
        let mut head = rng.random::<u32>();
        for _ in 0..400 {
            for _ in 0..rng.random_range(0..6) {
                let len = lens[rng.random_range(0..lens.len())];
                let timestamp = head.wrapping_add_signed(rng.random_range(-900..900));
                let _ = buffer.insert(timestamp, &payload(timestamp, len), None);
            }
            if rng.random_bool(0.02) {
                head = head.wrapping_add_signed(rng.random_range(-3_000..3_000));
            }
            let (heard, _) = play(&mut buffer, block);
            head = head.wrapping_add(block as u32);
            let begin = buffer.next.wrapping_sub(block as u32);
            for (offset, octet) in heard.into_iter().enumerate() {
                let own = sent(begin.wrapping_add(offset as u32));
                assert!(octet == HOLE || octet == own, "seed {seed}: {octet}, not {own}");
            }
        }
    }
}

#[test]
fn packets_that_come_in_reverse_at_first_take_nobody_s_place() {
    let mut buffer = JitterBuffer::new(2_048);
    buffer.start(BOUNDS, Fill::Idle(HOLE));
    let mut hear = |timestamp: Option<u32>| {
        if let Some(timestamp) = timestamp {
            let _ = buffer.insert(timestamp, &payload(timestamp, 160), None);
        }
        let (heard, _) = play(&mut buffer, 40);
        let begin = buffer.next - 40;
        for (offset, octet) in heard.into_iter().enumerate() {
            assert!(octet == HOLE || octet == sent(begin + offset as u32), "{octet} at {begin} + {offset}");
        }
    };
    // Each makes the line step back, and the last lies a ring before one that is still to come.
    [1_600, 1_120, 800, 512].map(Some).into_iter().for_each(&mut hear);
    (0..120).for_each(|block| hear((block % 4 == 0).then_some((11 + block / 4) * 160)));
}

#[test]
fn before_the_first_packet_there_is_silence_that_is_not_missing() {
    let mut buffer = buffer(BOUNDS, Fill::Conceal(Law::A));
    assert_eq!(play(&mut buffer, 40), (vec![Law::A.silence(); 40], Played::default()));
    let _ = buffer.insert(1_000, &[0x11; 160], None);
    for _ in 0..4 {
        assert_eq!(play(&mut buffer, 40), (vec![Law::A.silence(); 40], Played::default()));
    }
}

#[test]
fn the_first_octet_is_played_nominal_after_it_came() {
    let mut buffer = buffer(BOUNDS, Fill::Idle(HOLE));
    let _ = buffer.insert(1_000, &payload(1_000, 160), None);
    let heard: Vec<u8> = (0..8).flat_map(|_| play(&mut buffer, 40).0).collect();
    assert_eq!(heard[..160], [HOLE; 160]);
    assert_eq!(heard[160..], payload(1_000, 160));
    assert_eq!(buffer.delay(), Duration::from_millis(20));
}

#[test]
fn a_line_that_starts_seconds_late_hears_nothing_older_than_it_should() {
    let mut buffer = buffer(BOUNDS, Fill::Idle(HOLE));
    let mut timestamp = 0;
    let mut packet = |buffer: &mut JitterBuffer| {
        assert_eq!(buffer.insert(timestamp, &payload(timestamp, 160), None), Inserted::default());
        timestamp += 160;
    };
    (0..200).for_each(|_| packet(&mut buffer));
    let mut heard = Vec::new();
    for block in 0..400 {
        if block % 4 == 0 {
            packet(&mut buffer);
        }
        let mut out = [0; 40];
        assert!(!buffer.play(&mut out).adjusted);
        heard.extend(out);
    }
    let begin = heard.iter().position(|&octet| octet != HOLE).expect("it is heard");
    assert!(begin <= 320);
    assert!(heard[begin..].windows(2).all(|two| u32::from(two[1]) == (u32::from(two[0]) + 1) % 251));
}

#[test]
fn a_line_that_starts_late_waits_no_longer_than_others() {
    // Half a second of packets, and only then the line's first block.
    let mut run = Run::new(BOUNDS, 40, 160);
    run.play_at = 4_000.0;
    run.run(10_000, |_| Some(0.0));
    assert_eq!((run.missing, run.late, run.adjusted), (0, 0, 0));
    assert!(run.delay_ms() <= 20, "{} ms", run.delay_ms());
}

#[test]
fn what_came_behind_a_line_that_has_not_started_is_no_duplicate_a_ring_later() {
    const LEN: u32 = 128;
    let mut buffer = buffer(JitterBounds { nominal_ms: 5, ..BOUNDS }, Fill::Idle(HOLE));
    let ring = buffer.octets.len() as u32;
    let mut insert = |timestamp: u32| {
        let octets = payload(timestamp, LEN as usize);
        assert_eq!(buffer.insert(timestamp, &octets, None).duplicate, 0, "of the packet at {timestamp}");
    };
    let late = 1_000 * LEN;
    insert(late + 2 * LEN);
    insert(late);
    (3..=ring / LEN).for_each(|n| insert(late + n * LEN));
    // The line takes what has come last, not what lay in its place.
    let mut heard = Vec::new();
    (0..5).for_each(|_| heard.extend(play(&mut buffer, 40).0));
    assert!(heard.windows(LEN as usize).any(|part| part == payload(late + ring, LEN as usize)), "{heard:?}");
}

#[test]
fn octets_are_translated_on_the_way_in() {
    let mut buffer = buffer(JitterBounds { nominal_ms: 0, ..BOUNDS }, Fill::Idle(HOLE));
    let table: [u8; 256] = std::array::from_fn(|octet| (octet as u8).wrapping_add(1));
    let _ = play(&mut buffer, 8);
    let _ = buffer.insert(0, &[1, 2, 3, 4, 5, 6, 7, 8], Some(&table));
    let _ = play(&mut buffer, 8);
    assert_eq!(play(&mut buffer, 8).0, [2, 3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn a_lost_packet_is_a_hole_of_its_length_and_nothing_else() {
    let mut run = Run::new(BOUNDS, 40, 160);
    run.run(1_000, |at| (at != 3_200.0).then_some(0.0));
    assert_eq!(run.take_counts(), (160, 0, 0));
    assert_eq!(run.heard.iter().filter(|octet| **octet == HOLE).count(), 320, "the lead and the hole");
}

#[test]
fn duplicates_are_told_and_do_not_count_as_late() {
    let mut buffer = buffer(BOUNDS, Fill::Idle(HOLE));
    assert_eq!(buffer.insert(0, &[1; 160], None), Inserted::default());
    assert_eq!(buffer.insert(0, &[1; 160], None), Inserted { late: 0, duplicate: 160 });
    assert_eq!(buffer.insert(80, &[1; 160], None), Inserted { late: 0, duplicate: 80 });
    for _ in 0..8 {
        let _ = play(&mut buffer, 40);
    }
    // Long after it was played: it is known still, and no reason to grow the delay.
    assert_eq!(buffer.insert(0, &[1; 160], None), Inserted { late: 160, duplicate: 160 });
    assert!(!play(&mut buffer, 40).1.adjusted);
}

#[test]
fn one_packet_out_of_reach_is_a_stray_and_two_are_a_jump() {
    for jump in [100_000u32, 4_000, 0x8000_0000, 0u32.wrapping_sub(2_000)] {
        let mut run = Run::new(BOUNDS, 40, 160);
        run.run(1_000, |_| Some(0.0));
        let stray = run.timestamp.wrapping_add(jump);
        assert_eq!(run.buffer.insert(stray, &[9; 160], None).late, 160);
        run.run(1_000, |_| Some(0.0));
        assert_eq!(run.take_counts(), (0, 0, 0), "a stray is not heard");
        run.timestamp = run.timestamp.wrapping_add(jump);
        run.run(1_000, |_| Some(0.0));
        let (missing, _, adjusted) = run.take_counts();
        assert_eq!(adjusted, 1);
        assert!(missing <= 320, "{missing} octets were missing after a jump of {jump}");
        assert_eq!(run.delay_ms(), 20);
    }
}

#[test]
fn a_resync_places_the_next_packet_afresh() {
    let mut run = Run::new(BOUNDS, 40, 160);
    run.run(500, |_| Some(0.0));
    run.buffer.resync();
    run.timestamp = 12_345;
    run.run(500, |_| Some(0.0));
    assert_eq!(run.take_counts(), (0, 0, 0), "another source is no adjustment");
    assert_eq!(run.heard.last(), Some(&sent(12_345 + 4_000 - 160 - 1)));
}

#[test]
fn a_pause_of_the_sender_is_missing_for_a_second_at_most() {
    let mut run = Run::new(BOUNDS, 40, 160);
    run.run(500, |_| Some(0.0));
    run.run(60_000, |_| None);
    let (missing, ..) = run.take_counts();
    assert!((7_600..=8_200).contains(&missing), "{missing}");
    run.run(500, |_| Some(0.0));
    assert_eq!(run.take_counts(), (0, 0, 0));
}

#[test]
fn a_spike_of_200_ms_loses_its_own_packets_only_and_the_delay_comes_back() {
    // Everything sent in the 200 ms comes together at their end; or it comes at twice the pace.
    for catch_up in [0.0, 0.5] {
        let mut run = Run::new(BOUNDS, 40, 160);
        run.run(2_000, |_| Some(0.0));
        let _ = run.take_counts();
        run.run(1_000, |at| {
            let since = at - 16_000.0;
            Some(if (0.0..1_600.0 / (1.0 - catch_up)).contains(&since) {
                1_600.0 - since * (1.0 - catch_up)
            } else {
                0.0
            })
        });
        let (missing, late, _) = run.take_counts();
        // 200 ms less the 20 that waited, and a packet's rest.
        assert!(missing <= 1_600, "{missing} missing, {late} late");
        run.run(4_000, |_| Some(0.0));
        assert_eq!((run.missing, run.late), (0, 0));
        assert!(run.delay_ms() <= 40, "{} ms after 4 s", run.delay_ms());
        let _ = run.take_counts();
        run.run(10_000, |_| Some(0.0));
        assert_eq!(run.take_counts(), (0, 0, 0), "and then it is quiet");
    }
}

#[test]
fn a_step_of_60_ms_in_the_route_settles_in_a_second() {
    let mut run = Run::new(BOUNDS, 40, 160);
    run.run(2_000, |_| Some(40.0));
    let _ = run.take_counts();
    run.run(1_000, |_| Some(520.0));
    let (missing, _, adjusted) = run.take_counts();
    assert!(missing <= 480, "{missing} octets made up");
    assert!(adjusted <= 3);
    run.run(60_000, |_| Some(520.0));
    assert_eq!(run.take_counts(), (0, 0, 0));
    assert!(run.delay_ms() <= 22);
}

#[test]
fn a_step_beyond_what_can_be_stepped_back_settles_too() {
    let mut run = Run::new(BOUNDS, 40, 160);
    run.run(2_000, |_| Some(0.0));
    run.run(1_000, |_| Some(8.0 * 250.0));
    let _ = run.take_counts();
    run.run(60_000, |_| Some(8.0 * 250.0));
    assert_eq!(run.take_counts(), (0, 0, 0));
    assert_eq!(run.delay_ms(), 20);
}

#[test]
fn jitter_beyond_nominal_is_learned() {
    let mut rng = StdRng::seed_from_u64(7);
    let mut run = Run::new(BOUNDS, 40, 160);
    let mut delay = move |_: f64| Some(rng.random_range(0.0..400.0));
    run.run(10_000, &mut delay);
    let _ = run.take_counts();
    run.run(60_000, &mut delay);
    let (missing, late, _) = run.take_counts();
    // 50 ms of jitter against 20 ms nominal: under 0.5 % of octets come too late.
    assert!(missing < 60_000 * 8 / 200, "{missing} missing, {late} late");
    assert!(run.delay_ms() <= 100);
}

#[test]
fn a_network_that_begins_to_let_go_of_packets_in_bunches_loses_none_for_long() {
    for bunch_ms in [40, 60, 80, 100, 120] {
        let mut run = Run::new(BOUNDS, 40, 160);
        run.run(500, |_| Some(0.0));
        let bunch = f64::from(bunch_ms * 8);
        let held = |at: f64| Some((at / bunch).ceil() * bunch - at);
        run.run(2_000, held);
        let _ = run.take_counts();
        run.run(60_000, held);
        assert_eq!(run.take_counts(), (0, 0, 0), "bunches of {bunch_ms} ms");
        run.run(5_000, |_| Some(0.0));
        assert!(run.delay_ms() <= 40, "{} ms after bunches of {bunch_ms}", run.delay_ms());
    }
}

#[test]
fn a_packet_now_and_then_that_others_overtook_costs_itself_and_no_delay() {
    let mut run = Run::new(BOUNDS, 40, 160);
    // One in two seconds is 65 ms late, and comes together with one that is in time.
    let overtaken = |at: f64| Some(if ((at / 160.0) as u32) % 100 == 50 { 480.0 } else { 0.0 });
    run.run(60_000, overtaken);
    assert_eq!(run.adjusted, 0);
    assert_eq!(run.delay_ms(), 20);
}

#[test]
fn after_a_cut_a_packet_that_others_overtook_is_no_reason_to_wait_either() {
    let mut run = Run::new(BOUNDS, 40, 160);
    run.run(1_000, |_| Some(480.0));
    while run.adjusted == 0 {
        run.run(5, |_| Some(0.0));
    }
    let _ = run.take_counts();
    let overtaken = run.send_at;
    run.run(500, |at| Some(if at == overtaken { 480.0 } else { 0.0 }));
    assert_eq!((run.adjusted, run.delay_ms()), (0, 20));
}

#[test]
fn a_drifting_clock_is_followed_for_an_hour_a_few_octets_at_a_time() {
    for ppm in [-100.0, 100.0] {
        let mut run = Run::new(BOUNDS, 40, 160);
        run.rate = 1.0 + ppm / 1e6;
        run.run(10_000, |_| Some(0.0));
        let _ = run.take_counts();
        for _ in 0..60 {
            run.run(60_000, |_| Some(0.0));
            run.heard.clear();
            let (missing, _, adjusted) = run.take_counts();
            // A minute of drift is 48 octets.
            assert!(
                missing <= 48 && adjusted <= 6,
                "{missing} missing, {adjusted} adjustments in a minute at {ppm} ppm"
            );
            assert!(run.delay_ms() <= 45, "{} ms at {ppm} ppm", run.delay_ms());
        }
    }
}

#[test]
fn without_adaption_lateness_is_loss_until_nothing_is_in_time() {
    let mut run = Run::new(FIXED, 40, 160);
    run.run(1_000, |_| Some(0.0));
    // One packet in two is 60 ms late.
    run.run(5_000, |at| Some(if ((at / 160.0) as u32).is_multiple_of(2) { 480.0 } else { 0.0 }));
    assert_eq!(run.adjusted, 0);
    // All are: it is placed afresh, once.
    run.run(3_000, |_| Some(480.0));
    let _ = run.take_counts();
    run.run(10_000, |_| Some(480.0));
    assert_eq!(run.take_counts(), (0, 0, 0));
    assert_eq!(run.delay_ms(), 20);
}

#[test]
fn without_adaption_drift_is_a_slip_every_few_minutes() {
    for ppm in [-100.0, 100.0] {
        let mut run = Run::new(FIXED, 40, 160);
        run.rate = 1.0 + ppm / 1e6;
        let mut slips = 0;
        for _ in 0..60 {
            run.run(60_000, |_| Some(0.0));
            run.heard.clear();
            slips += run.take_counts().2;
        }
        assert!((3..=25).contains(&slips), "{slips} slips in an hour at {ppm} ppm");
    }
}

#[test]
fn speech_goes_on_through_a_lost_packet_and_joins_smoothly() {
    let law = Law::A;
    let voice = |timestamp: u32| {
        let phase = f64::from(timestamp) / 64.0 * std::f64::consts::TAU;
        law.encode((8_000.0 * phase.sin() + 3_000.0 * (3.0 * phase).sin()) as i16)
    };
    let mut buffer = buffer(BOUNDS, Fill::Conceal(law));
    let mut heard = Vec::new();
    for packet in 0..50u32 {
        if packet != 30 {
            let octets: Vec<u8> = (packet * 160..packet * 160 + 160).map(voice).collect();
            let _ = buffer.insert(packet * 160, &octets, None);
        }
        for _ in 0..4 {
            heard.extend(play(&mut buffer, 40).0.into_iter().map(|octet| i32::from(law.decode(octet))));
        }
    }
    let step =
        |samples: &[i32]| samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).max().expect("some");
    let natural = step(&heard[1_000..4_000]);
    assert!(step(&heard[1_000..]) * 2 <= natural * 3, "no click");
    let loss = &heard[160 + 30 * 160..160 + 31 * 160];
    assert!(loss[..80].iter().any(|sample| *sample > 7_000), "the voice goes on");
}

/// The greatest step from sample to sample that is heard, and that the voice itself has, when packets
/// of 20 ms come as `arrivals` says: each a block of 5 ms and the packet's number.
fn steps(bounds: JitterBounds, blocks: u32, arrivals: impl Fn(u32) -> Vec<u32>) -> (i32, i32) {
    let law = Law::A;
    let voice = |timestamp: u32| {
        let phase = f64::from(timestamp) / 64.7 * std::f64::consts::TAU;
        law.encode((8_000.0 * phase.sin() + 3_000.0 * (3.0 * phase).sin()) as i16)
    };
    let mut buffer = buffer(bounds, Fill::Conceal(law));
    let mut heard = Vec::new();
    for block in 0..blocks {
        for packet in arrivals(block) {
            let octets: Vec<u8> = (packet * 160..packet * 160 + 160).map(voice).collect();
            let _ = buffer.insert(packet * 160, &octets, None);
        }
        heard.extend(play(&mut buffer, 40).0.into_iter().map(|octet| i32::from(law.decode(octet))));
    }
    let step = |samples: &[i32]| samples.windows(2).map(|two| (two[1] - two[0]).abs()).max().expect("some");
    let natural: Vec<i32> = (0..2_000).map(|at| i32::from(law.decode(voice(at)))).collect();
    (step(&heard[400..]), step(&natural))
}

/// Packets in step with the blocks, but that some come so many blocks late.
fn arrivals(late: impl Fn(u32) -> u32) -> impl Fn(u32) -> Vec<u32> {
    move |block| (block.saturating_sub(40) / 4..=block / 4).filter(|n| n * 4 + late(*n) == block).collect()
}

#[test]
fn a_packet_that_others_overtook_makes_the_delay_grow_without_a_click() {
    for late in 5..16 {
        let (heard, natural) = steps(BOUNDS, 400, arrivals(|n| if n == 50 { late } else { 0 }));
        assert!(heard * 2 <= natural * 3, "{late} blocks late: a step of {heard}, the voice has {natural}");
    }
}

#[test]
fn a_jump_of_the_route_is_heard_without_a_click() {
    for late in (1..60).step_by(3) {
        for back in [false, true] {
            let is_late = |n: u32| if (n >= 50) != back && n >= 5 { late } else { 0 };
            let (heard, natural) = steps(BOUNDS, 500, arrivals(is_late));
            assert!(heard * 2 <= natural * 3, "{late} blocks, {back}: {heard}, the voice has {natural}");
        }
    }
}

#[test]
fn no_network_makes_the_voice_click() {
    for seed in 0..25 {
        let mut rng = StdRng::seed_from_u64(seed);
        let loss = rng.random_range(0.0..0.3);
        let jitter: u32 = rng.random_range(0..30);
        let spike: u32 = rng.random_range(0..80);
        let fate: Vec<u32> = (0..250)
            .map(|n| match () {
                () if n < 10 => 0,
                () if rng.random_bool(loss) => u32::MAX,
                () if rng.random_bool(0.02) => spike,
                () => rng.random_range(0..=jitter),
            })
            .collect();
        for bounds in [BOUNDS, FIXED] {
            let late = |n: u32| fate[n as usize].saturating_mul(u32::from(fate[n as usize] < 1_000));
            let come = arrivals(late);
            let lost = |n: &u32| fate[*n as usize] == u32::MAX;
            let (heard, natural) = steps(bounds, 1_000, |block| {
                let mut all = come(block);
                all.retain(|n| !lost(n));
                all
            });
            assert!(heard * 2 <= natural * 3, "seed {seed}: a step of {heard}, the voice has {natural}");
        }
    }
}

#[test]
fn nothing_of_the_leg_before_is_heard_where_the_line_steps_back() {
    let mut buffer = buffer(BOUNDS, Fill::Conceal(Law::A));
    // A hole, and octets that are blended into what filled it.
    let _ = buffer.insert(0, &[0x11; 160], None);
    (0..3).for_each(|_| drop(play(&mut buffer, 160)));
    let _ = buffer.insert(320, &[0x11; 160], None);
    let _ = play(&mut buffer, 160);

    buffer.start(BOUNDS, Fill::Idle(HOLE));
    let _ = buffer.insert(0, &[0x22; 160], None);
    let _ = play(&mut buffer, 160);
    let _ = buffer.insert(320, &[0x22; 160], None);
    (0..2).for_each(|_| drop(play(&mut buffer, 160)));
    let _ = buffer.insert(160, &[0x22; 160], None);
    let (first, played) = play(&mut buffer, 160);
    assert!(played.adjusted, "it steps back over the hole");
    assert_eq!((first, play(&mut buffer, 160).0), (vec![0x22; 160], vec![0x22; 160]));
}

#[test]
fn a_ring_that_is_made_for_its_bounds_has_room_for_them() {
    for max_ms in 0..=260 {
        let bounds = JitterBounds { nominal_ms: 0, max_ms, adaptive: true };
        for frames in [8, 40, 160] {
            let capacity = JitterBuffer::capacity_for(&bounds, frames);
            let wanted = usize::from(max_ms) * 8 + frames;
            assert!(room(capacity) >= wanted, "{max_ms} ms, blocks of {frames} in {capacity}");
            assert_eq!(capacity, if wanted <= 928 { 2_048 } else { 4_096 });
        }
    }
}
