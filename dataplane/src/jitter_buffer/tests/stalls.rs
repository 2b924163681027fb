//! Hosts that stand still for a moment, again and again: the sender's, and the line's own.
//!
//! What each adjustment costs is read off the line's place: octets are inserted where it goes back, and
//! left out where it goes on.

use super::*;

/// A sender and a line, each of which stands still now and then and makes up for it at once.
///
/// Times are in octets of the line.
struct Hosts {
    buffer: JitterBuffer,
    fill: Fill,
    now: u32,
    sender: Host,
    line: Host,
    /// Packets under way: they come in the next step.
    network: Vec<u32>,
    costs: Costs,
}

/// One that has something to do in turns, all of the same length.
struct Host {
    turn: u32,
    /// Turns done.
    done: u32,
    stands_until: u32,
    stalls_at: u32,
    /// How long it is from one stall to the next, at most.
    pause_max: u32,
    /// For how long it has stood still in all.
    stood: u32,
}

/// What has become of the octets that were sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Costs {
    /// Octets that were filled, and in how many holes.
    missing: u32,
    holes: u32,
    /// Adjustments, and the octets that were heard again or left out by them.
    grown: u32,
    inserted: u32,
    shrunk: u32,
    cut: u32,
    /// Octets that came and were not played as they were sent.
    blended: u32,
}

const BLOCK: u32 = 40;
const PACKET: u32 = 160;
const MS: u32 = 8;
/// The longest that a host stands still.
const STALL_MAX: u32 = 70 * MS;
/// Packets that a host sends, and blocks that it plays, a millisecond while it makes up for a stall.
const HASTE: u32 = 3;

impl Host {
    const fn new(turn: u32) -> Self {
        Self { turn, done: 0, stands_until: 0, stalls_at: u32::MAX, pause_max: 2_000 * MS, stood: 0 }
    }

    /// How many turns it does now.
    fn turns(&mut self, now: u32, rng: &mut StdRng) -> u32 {
        if now >= self.stalls_at {
            let stall = rng.random_range(20 * MS..=STALL_MAX);
            (self.stands_until, self.stood) = (now + stall, self.stood + stall);
            self.stall_again(now, rng);
        }
        if now < self.stands_until {
            return 0;
        }
        let turns = (now / self.turn - self.done).min(HASTE);
        self.done += turns;
        turns
    }

    fn stall_again(&mut self, now: u32, rng: &mut StdRng) {
        self.stalls_at = now + rng.random_range(200 * MS..self.pause_max);
    }
}

impl Hosts {
    fn new(fill: Fill) -> Self {
        Self {
            buffer: buffer(BOUNDS, fill),
            fill,
            now: 0,
            sender: Host::new(PACKET),
            line: Host::new(BLOCK),
            network: Vec::new(),
            costs: Costs::default(),
        }
    }

    /// Goes on for so many ms, and says what they have cost.
    fn run(&mut self, ms: u32, rng: &mut StdRng) -> Costs {
        self.costs = Costs::default();
        for _ in 0..ms {
            self.now += MS;
            for timestamp in std::mem::take(&mut self.network) {
                let _ = self.buffer.insert(timestamp, &payload(timestamp, PACKET as usize), None);
            }
            let sent = self.sender.done;
            let turns = self.sender.turns(self.now, rng);
            self.network.extend((sent..sent + turns).map(|n| n * PACKET));
            for _ in 0..self.line.turns(self.now, rng) {
                self.play();
            }
        }
        self.costs
    }

    fn play(&mut self) {
        let (before, was_placed) = (self.buffer.next, self.buffer.is_placed);
        let (heard, played) = play(&mut self.buffer, BLOCK as usize);
        let begin = self.buffer.next.wrapping_sub(BLOCK);
        let costs = &mut self.costs;
        costs.missing += played.missing as u32;
        costs.holes += u32::from(played.missing > 0);
        if was_placed {
            self.count(begin.wrapping_sub(before) as i32);
        }
        let sent = (0..BLOCK).map(|offset| sent(begin.wrapping_add(offset)));
        let others = heard.iter().zip(sent).filter(|(heard, sent)| *heard != sent).count() as u32;
        self.costs.blended += others.saturating_sub(played.missing as u32);
    }

    /// Counts an adjustment by which the line has gone on by so many octets.
    fn count(&mut self, by: i32) {
        let (costs, octets) = (&mut self.costs, by.unsigned_abs());
        if by < 0 {
            // By the lateness of the packets, which is less than the stall, and a little.
            assert!(octets <= STALL_MAX, "{octets} octets are inserted at once");
            (costs.grown, costs.inserted) = (costs.grown + 1, costs.inserted + octets);
        } else if by > 0 {
            // A pitch period of sounds; of data, all that is too long at once.
            let most = if self.fill == Fill::Idle(HOLE) { u32::from(BOUNDS.max_ms) * MS } else { 120 };
            assert!(octets <= most, "{octets} octets are cut at once");
            (costs.shrunk, costs.cut) = (costs.shrunk + 1, costs.cut + octets);
        }
    }
}

const FILLS: [Fill; 2] = [Fill::Conceal(Law::A), Fill::Idle(HOLE)];

#[test]
fn a_line_that_stands_still_and_catches_up_costs_nothing() {
    for seed in 0..10 {
        for fill in FILLS {
            let (mut hosts, mut rng) = (Hosts::new(fill), StdRng::seed_from_u64(seed));
            let _ = hosts.run(2_000, &mut rng);
            hosts.line.stall_again(hosts.now, &mut rng);
            assert_eq!(hosts.run(60_000, &mut rng), Costs::default(), "seed {seed}, {fill:?}");
        }
    }
}

#[test]
fn stalls_again_and_again_cost_what_they_hold_up_and_nothing_afterwards() {
    for seed in 0..20 {
        for fill in FILLS {
            let (mut hosts, mut rng) = (Hosts::new(fill), StdRng::seed_from_u64(seed));
            let _ = hosts.run(2_000, &mut rng);
            hosts.sender.stall_again(hosts.now, &mut rng);
            hosts.line.stall_again(hosts.now, &mut rng);
            let costs = hosts.run(60_000, &mut rng);
            let what = format!("seed {seed}, {fill:?}: {costs:?}");
            // What is inserted was filled before, but for 2 ms each time; what is cut was inserted.
            assert!(costs.missing > 0 && costs.missing <= hosts.sender.stood, "{what}");
            assert!(costs.inserted <= costs.missing + 2 * MS * costs.grown, "{what}");
            assert!(costs.cut <= costs.inserted, "{what}");
            // What comes after a hole or an adjustment is blended in for 4 ms.
            let joints = if fill == Fill::Idle(HOLE) { 0 } else { costs.holes + costs.grown + costs.shrunk };
            assert!(costs.blended <= joints * concealment::OVERLAP as u32, "{what}");

            (hosts.sender.stalls_at, hosts.line.stalls_at) = (u32::MAX, u32::MAX);
            let _ = hosts.run(5_000, &mut rng);
            assert!(hosts.buffer.delay() <= Duration::from_millis(40), "{:?}, {what}", hosts.buffer.delay());
            assert_eq!(hosts.run(30_000, &mut rng), Costs::default(), "afterwards, {what}");
        }
    }
}

#[test]
fn stalls_that_follow_each_other_within_a_second_are_waited_for() {
    let (mut missing, mut stood) = (0, 0);
    for seed in 0..10 {
        let (mut hosts, mut rng) = (Hosts::new(FILLS[0]), StdRng::seed_from_u64(seed));
        let _ = hosts.run(2_000, &mut rng);
        hosts.sender.pause_max = 900 * MS;
        hosts.sender.stall_again(hosts.now, &mut rng);
        missing += hosts.run(60_000, &mut rng).missing;
        stood += hosts.sender.stood;
    }
    // With the 20 ms that packets wait at first it is a third.
    assert!(missing * 5 <= stood, "{missing} of {stood}");
}
