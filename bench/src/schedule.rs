//! When each packet of a load is due.
//!
//! The streams' packets are spread evenly over a packetization period, so the whole load is one run of packets
//! at equal distances, and the turn of the `n`th is at `start + n * spacing`: nothing drifts. With jitter, each is
//! held back from its turn by a part of it, as by a network. Only when one leaves does it become its stream's
//! next packet: so none overtakes another of its stream, none leaves before its turn, and none later than the
//! jitter after it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use drivers::time::Instant;

use crate::pattern::scramble;

/// What is due, and when.
#[derive(Debug)]
pub(crate) struct Schedule {
    start: Instant,
    streams: u64,
    /// Packets of all streams.
    packets: u64,
    ptime: Duration,
    jitter: Duration,
    /// Packets whose turn has been.
    begun: u64,
    /// Of these, the ones that are held back: until when, and of which stream.
    held: BinaryHeap<Reverse<(Instant, usize)>>,
}

impl Schedule {
    /// So many packets of each stream, one every `ptime`, held back by up to `jitter`.
    pub(crate) fn new(
        start: Instant,
        streams: usize,
        packets_each: u64,
        ptime: Duration,
        jitter: Duration,
    ) -> Self {
        let streams = streams as u64;
        let packets = packets_each * streams;
        Self { start, streams, packets, ptime, jitter, begun: 0, held: BinaryHeap::new() }
    }

    /// A stream whose next packet is due by now, and since when it is.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<(usize, Instant)> {
        while self.begun < self.packets && self.turn(self.begun) <= now {
            let (n, turn) = (self.begun, self.turn(self.begun));
            let stream = (n % self.streams) as usize;
            self.begun += 1;
            if self.jitter.is_zero() {
                return Some((stream, turn));
            }
            self.held.push(Reverse((turn + self.hold(n), stream)));
        }
        let Reverse((due_at, stream)) = *self.held.peek()?;
        (due_at <= now).then(|| {
            self.held.pop();
            (stream, due_at)
        })
    }

    /// When the last packet has been due.
    pub(crate) fn end(&self) -> Instant {
        self.turn(self.packets) + self.jitter
    }

    /// When it is the `n`th packet's turn.
    fn turn(&self, n: u64) -> Instant {
        let (streams, ptime) = (self.streams.max(1), self.ptime.as_nanos() as u64);
        self.start + Duration::from_nanos(n / streams * ptime + n % streams * ptime / streams)
    }

    /// How long the `n`th packet is held back: evenly spread from 0 to the jitter, the same in each run.
    fn hold(&self, n: u64) -> Duration {
        Duration::from_nanos(scramble(SEED ^ n) % (self.jitter.as_nanos() as u64 + 1))
    }
}

/// What makes the jitter that it is; any would do.
const SEED: u64 = 0x7011_9A7E;

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::from_nanos(1_000_000_000);
    const MS: Duration = Duration::from_millis(1);
    const PTIME: Duration = Duration::from_millis(20);

    /// All packets in the order in which they leave: the stream, since when each was due, and when it left.
    fn sent(streams: usize, jitter: Duration) -> Vec<(usize, Instant, Instant)> {
        let mut schedule = Schedule::new(START, streams, 50, PTIME, jitter);
        let (mut sent, mut now) = (Vec::new(), START);
        while now <= schedule.end() {
            sent.extend(
                std::iter::from_fn(|| schedule.poll(now)).map(|(stream, due_at)| (stream, due_at, now)),
            );
            now += MS;
        }
        assert_eq!(schedule.poll(now + 1_000 * MS), None, "all were due by the end");
        sent
    }

    #[test]
    fn packets_are_spread_evenly_over_a_period() {
        let sent = sent(4, Duration::ZERO);
        assert_eq!(sent.len(), 200);
        for (n, (stream, due_at, _)) in sent.into_iter().enumerate() {
            assert_eq!((stream, due_at), (n % 4, START + 5 * MS * n as u32));
        }
    }

    #[test]
    fn jitter_holds_packets_back_by_up_to_so_much_and_none_before_its_turn() {
        for jitter in [7 * MS, 60 * MS] {
            let sent = sent(3, jitter);
            assert_eq!(sent.len(), 150);
            let mut holds = Vec::new();
            for stream in 0..3 {
                let own = sent.iter().filter(|(it, ..)| *it == stream);
                for (n, (_, due_at, left_at)) in own.enumerate() {
                    let turn = START + PTIME * n as u32 + PTIME * stream as u32 / 3;
                    assert!(turn <= *due_at && *due_at <= turn + jitter, "packet {n} of {stream}");
                    assert!(left_at.since(*due_at) < MS, "being held back is not being late");
                    holds.push(due_at.since(turn));
                }
            }
            let mean = holds.iter().sum::<Duration>() / 150;
            assert!(mean > jitter / 3 && mean < jitter * 2 / 3, "{mean:?} of {jitter:?}");
        }
    }

    #[test]
    fn a_load_without_streams_has_nothing_due() {
        assert_eq!(sent(0, 5 * MS), []);
    }
}
