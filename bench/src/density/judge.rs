//! What a run lost, where, and whose fault it is.

use std::time::Duration;

use super::carry::{Run, refusals};
use crate::kernel::{Direction, Whose};
use crate::load::sum;
use crate::report::Verdict;

/// What is lost, and on which part of the way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Losses {
    /// Packets sent that the gateway has not counted as received.
    pub(super) towards: u64,
    /// Packets that the gateway has counted as sent, and that did not come.
    pub(super) back: u64,
    /// DS0s whose counters say otherwise than ours, in whatever way.
    pub(super) differ: u64,
    /// DS0s whose counters the gateway did not tell.
    pub(super) untold: u64,
}

impl Losses {
    pub(super) fn of(run: &Run) -> Self {
        let mut losses = Self::default();
        for account in &run.accounts {
            let Some(counted) = &run.counted[usize::from(account.ds0)] else {
                losses.untold += 1;
                continue;
            };
            let number = |value: Option<u32>| u64::from(value.unwrap_or_default());
            let (sent, received) = (number(counted.packets_sent), number(counted.packets_received));
            losses.towards += account.sent.saturating_sub(received);
            losses.back += sent.saturating_sub(account.back.packets);
            let theirs = [sent, number(counted.octets_sent), received, number(counted.octets_received)];
            let octets = account.sent * run.ptime_octets;
            let ours = [account.back.packets, account.back.octets, account.sent, octets];
            losses.differ += u64::from(theirs != ours);
        }
        losses
    }

    /// Packets that are lost, and that nothing between the gateway and the harness has counted as dropped:
    /// the gateway's own, those for which its own queues had no room among them.
    pub(super) fn uncounted(self, run: &Run) -> u64 {
        let each = [(self.towards, Direction::There), (self.back, Direction::Back)];
        each.into_iter().map(|(lost, direction)| lost.saturating_sub(dropped(run, direction))).sum()
    }

    /// Where it was lost, by the kernel's own counters.
    fn places(self, run: &Run) -> Vec<String> {
        let told = |(lost, direction, words): (u64, Direction, &str)| {
            let places = |whose| match places(run, direction, whose) {
                places if places.is_empty() => "none".to_owned(),
                places => places.join(", "),
            };
            let (others, queues) = (places(Whose::Others), places(Whose::Gateway));
            let own = lost.saturating_sub(dropped(run, direction));
            (lost > 0).then(|| {
                format!(
                    "lost {words}: {lost} packets; dropped by the kernel: {others}; by the gateway: {own}, in its \
                     own queues: {queues}"
                )
            })
        };
        let each = [
            (self.towards, Direction::There, "on the way there"),
            (self.back, Direction::Back, "on the way back"),
        ];
        each.into_iter().filter_map(told).collect()
    }
}

/// Packets of one direction that the host dropped, and not because the gateway was too slow to take them. On
/// loopback the network's counters are everybody's, and those of the sockets are what can be told apart.
fn dropped(run: &Run, direction: Direction) -> u64 {
    match direction {
        Direction::Back if !run.is_wire => run.dropped[0],
        _ if !run.is_wire => 0,
        direction => run.kernel.lost(direction, Whose::Others),
    }
}

/// The counters of what was dropped, in whose queues.
fn places(run: &Run, direction: Direction, whose: Whose) -> Vec<String> {
    if run.is_wire {
        return run.kernel.named(direction, whose);
    }
    let (dropped, sockets) = match (direction, whose) {
        (Direction::There, Whose::Gateway) => (run.dropped[1], "the gateway's"),
        (Direction::Back, Whose::Others) => (run.dropped[0], "the harness's"),
        _ => (0, ""),
    };
    if dropped > 0 { vec![format!("queues of {sockets} sockets {dropped}")] } else { Vec::new() }
}

/// Whether a run held, with this part of all octets missing or wrong at most, in percent.
pub(super) fn verdict(run: &Run, losses: Losses, require_loss: f64) -> Verdict {
    let tally = sum(&run.accounts);
    let mut reasons = Vec::new();
    let missing = usize::from(run.asked) - run.accounts.len();
    if missing > 0 {
        let refused = refusals(&run.refusals);
        reasons.push(format!("{missing} of {} DS0s did not come up: {refused}", run.asked));
        return Verdict::Fail(reasons);
    }
    if losses.untold > 0 {
        reasons.push(format!("the gateway did not tell its counters of {} DS0s", losses.untold));
    }
    let lost = tally.missing + tally.wrong();
    let lost_percent = 100.0 * lost as f64 / (tally.verified + tally.missing).max(1) as f64;
    if lost_percent > require_loss {
        reasons.push(format!(
            "{lost} octets ({lost_percent:.4} %) are missing or wrong; required: {require_loss} %"
        ));
    }
    if tally.packets_doubled > 0 {
        reasons.push(format!("{} packets came back twice", tally.packets_doubled));
    }
    if lost == 0 && losses.differ > 0 {
        reasons.push(format!("no octet is lost, but the counters of {} DS0s differ", losses.differ));
    }
    if reasons.is_empty() {
        return Verdict::Pass;
    }
    reasons.extend(losses.places(run));
    let own = own_faults(run);
    if own.is_empty() {
        Verdict::Fail(reasons)
    } else {
        reasons.extend(own);
        Verdict::Inconclusive(reasons)
    }
}

/// What the harness or the machine may have done to the gateway.
pub(super) fn own_faults(run: &Run) -> Vec<String> {
    let mut faults = Vec::new();
    let unsent = run.figures.unsent + run.refused;
    if unsent > 0 {
        faults.push(format!("the harness could not send {unsent} packets"));
    }
    if run.dropped[0] > 0 {
        faults.push(format!("the harness was too slow to take {} packets", run.dropped[0]));
    }
    let wire = dropped_by_wire(run);
    if wire > 0 {
        faults.push(format!(
            "the kernel dropped {wire} packets at the ends of the wire, whose queues are short"
        ));
    }
    let late_ms = run.figures.late.max() as f64 / 1e3;
    if late_ms > LATE_MAX_MS {
        faults.push(format!("the harness sent packets {late_ms:.1} ms late, as no network should"));
    }
    let waited = run.cost.carrier.map_or(Duration::ZERO, |usage| usage.waited);
    if waited > run.cost.elapsed / 10 {
        faults.push(format!("the gateway's core waited {} ms for a CPU that others had", waited.as_millis()));
    }
    faults
}

/// Packets that the kernel dropped at either end of the wire, the gateway's own queues left out; none where
/// there is no wire.
pub(super) fn dropped_by_wire(run: &Run) -> u64 {
    let lost = |direction| run.kernel.lost(direction, Whose::Others);
    lost(Direction::There) + lost(Direction::Back)
}

/// How late a packet may be sent without being to blame, in ms: what a jitter buffer is made for.
const LATE_MAX_MS: f64 = 10.0;

/// What keeps more DS0s from being carried.
pub(super) fn limit(run: &Run) -> &'static str {
    let carrier = run.cost.carrier.map_or(0.0, |usage| run.cost.share(usage));
    let harness = run.cost.share(run.cost.harness);
    let late_ms = run.figures.late.value_at_quantile(0.999) as f64 / 1e3;
    match () {
        () if carrier > 0.9 => "the gateway's core",
        () if harness > 0.9 => "the harness's CPU: its figures are not the gateway's",
        () if late_ms > LATE_MAX_MS => "the machine: it let the harness wait",
        () => "nothing",
    }
}

#[cfg(test)]
mod tests {
    use control::call_agent;
    use control::mgcp::code::ReturnCode;
    use control::mgcp::message::ConnectionParameters;

    use super::*;
    use crate::agent::Refusals;
    use crate::checker::Tally;
    use crate::host::Usage;
    use crate::kernel::Counters;
    use crate::load::{Account, Figures};
    use crate::measure::Cost;

    /// A run of one DS0 that has sent a hundred packets, ten of which the gateway has not received.
    fn run(is_wire: bool, kernel: Counters, queues: u64) -> Run {
        let back = Tally { packets: 90, octets: 90 * 160, missing: 10 * 160, ..Tally::default() };
        let counted = ConnectionParameters {
            packets_sent: Some(90),
            octets_sent: Some(90 * 160),
            packets_received: Some(90),
            octets_received: Some(90 * 160),
            ..ConnectionParameters::default()
        };
        let carrier = Some(Usage { cpu: Duration::from_secs(1), waited: Duration::ZERO });
        let elapsed = Duration::from_secs(1);
        Run {
            asked: 1,
            refusals: Refusals::new(),
            ptime_octets: 160,
            cost: Cost { elapsed, carrier, harness: Usage::default(), packets: 190 },
            accounts: vec![Account { ds0: 0, sent: 100, back }],
            figures: Figures::new(),
            counted: vec![Some(counted)],
            setup: Duration::ZERO,
            messages: call_agent::Counters::default(),
            refused: 0,
            dropped: [0, queues],
            kernel,
            is_wire,
            memory: None,
            sockets: None,
        }
    }

    #[test]
    fn a_gateway_too_slow_to_empty_its_sockets_fails_and_is_blamed_on_a_wire_and_on_loopback() {
        let (wire, loopback) =
            (run(true, Counters::of_losses(10, 0), 10), run(false, Counters::default(), 10));
        for (run, queues) in
            [(wire, "gateway_rcvbuferrors 10"), (loopback, "queues of the gateway's sockets 10")]
        {
            let losses = Losses::of(&run);
            assert_eq!(losses.uncounted(&run), 10);
            assert_eq!(own_faults(&run), Vec::<String>::new());
            let Verdict::Fail(reasons) = verdict(&run, losses, 0.0) else { panic!("it has failed") };
            let told = format!("by the gateway: 10, in its own queues: {queues}");
            assert!(reasons.iter().any(|reason| reason.contains(&told)), "{reasons:?}");
        }
    }

    #[test]
    fn a_gateway_that_refuses_calls_or_tells_no_counters_fails_and_it_is_said_with_what() {
        let reason = |run: &Run| match verdict(run, Losses::of(run), 100.0) {
            Verdict::Fail(reasons) => reasons.join("; "),
            other => panic!("{other:?}"),
        };
        let run = || run(false, Counters::default(), 0);
        let refusals = Refusals::from([(ReturnCode(403), (2, "no room".to_owned()))]);
        let refused = Run { asked: 3, refusals, ..run() };
        assert_eq!(reason(&refused), "2 of 3 DS0s did not come up: 2 with 403 no room");
        let silent = Run { counted: vec![None], ..run() };
        assert_eq!(reason(&silent), "the gateway did not tell its counters of 1 DS0s");
        assert_eq!(Losses::of(&silent), Losses { untold: 1, ..Losses::default() });
    }

    #[test]
    fn what_the_wire_had_no_room_for_says_nothing_of_the_gateway() {
        let run = run(true, Counters::of_losses(0, 10), 0);
        let losses = Losses::of(&run);
        assert_eq!(losses.uncounted(&run), 0);
        assert!(matches!(verdict(&run, losses, 0.0), Verdict::Inconclusive(_)));
    }
}
