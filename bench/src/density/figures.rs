//! The figures of a run.

use super::DensityArgs;
use super::carry::Run;
use super::judge::{Losses, dropped_by_wire, limit, own_faults, verdict};
use crate::floor::Floor;
use crate::load::{Account, Figures, sum};
use crate::measure;
use crate::report::{Report, Section, Verdict};

impl DensityArgs {
    /// The report of one run.
    pub(super) fn report(&self, run: &Run, floor: Option<&Floor>) -> Report {
        let mut report = Report::new("density", self.settings());
        let losses = Losses::of(run);
        report.sections.push(calls(run));
        report.sections.push(packets(run, losses));
        report.sections.push(octets(run));
        report.sections.extend(self.worst(run));
        report.sections.push(times(run, floor));
        report.sections.extend(run.cost.carrier.is_some().then(|| carrier(run, floor)));
        report.sections.extend(memory(run));
        report.sections.extend(floor.map(Floor::section));
        let mut harness = measure::harness(&run.cost, &run.figures, run.refused);
        harness.text("limit", "what is at its limit", limit(run));
        report.sections.push(run.kernel.section());
        report.sections.push(harness);
        report.faults = own_faults(run);
        report.verdict = verdict(run, losses, self.require_loss);
        report
    }

    /// The DS0s that fared worst, if any fared badly.
    fn worst(&self, run: &Run) -> Option<Section> {
        let faults = |account: &Account| account.back.missing + account.back.wrong();
        let mut bad: Vec<_> = run.accounts.iter().filter(|account| faults(account) > 0).collect();
        bad.sort_by_key(|account| std::cmp::Reverse(faults(account)));
        let mut section = Section::new("DS0s with octets missing or wrong");
        section.fault("ds0_bad", "all of them", bad.len() as u64, "DS0s");
        for (place, account) in bad.iter().take(WORST).enumerate() {
            let Account { ds0, back, .. } = account;
            let text = format!("{} missing, {} wrong, {} shifts", back.missing, back.wrong(), back.shifts);
            section.text(&format!("ds0_worst_{}", place + 1), &self.target.endpoint(*ds0), &text);
        }
        (!bad.is_empty()).then_some(section)
    }
}

impl Run {
    /// What it came to beside something else that was measured.
    pub(crate) fn beside(&self, args: &DensityArgs) -> (Vec<Section>, Verdict) {
        let losses = Losses::of(self);
        let mut sections = vec![calls(self), packets(self, losses), octets(self)];
        sections.extend(args.worst(self));
        (sections, verdict(self, losses, args.require_loss))
    }
}

fn calls(run: &Run) -> Section {
    let mut section = Section::new("calls");
    section.count("ds0_up", "DS0s up", run.accounts.len() as u64, "DS0s");
    let refused = u64::from(run.asked) - run.accounts.len() as u64;
    section.fault("ds0_refused", "DS0s refused", refused, "DS0s");
    for (code, (n, words)) in &run.refusals {
        let code = code.0;
        section.fault(&format!("refused_{code}"), &format!("of these, with {code} {words}"), *n, "DS0s");
    }
    section.number("setup", "time to set all up", run.setup.as_secs_f64() * 1e3, "ms");
    section.count("mgcp_repeated", "MGCP commands repeated", run.messages.repeated, "commands");
    section
}

fn packets(run: &Run, losses: Losses) -> Section {
    let tally = sum(&run.accounts);
    let mut section = Section::new("packets");
    section.count("packets_sent", "sent to the gateway", run.figures.sent, "packets");
    section.count("packets_received", "come back", tally.packets, "packets");
    section.fault(
        "packets_lost_towards",
        "lost on the way there, by the gateway's counters",
        losses.towards,
        "packets",
    );
    section.fault(
        "packets_lost_back",
        "lost on the way back, by the gateway's counters",
        losses.back,
        "packets",
    );
    section.fault(
        "packets_lost_sequence",
        "lost on the way back, by sequence numbers",
        tally.packets_lost,
        "packets",
    );
    section.fault(
        "dropped_gateway",
        "dropped by the host, the gateway's queues being full",
        run.dropped[1],
        "packets",
    );
    section.fault(
        "dropped_harness",
        "dropped by the host, the harness's queues being full",
        run.dropped[0],
        "packets",
    );
    if run.is_wire {
        section.fault(
            "dropped_wire",
            "dropped by the kernel at either end of the wire, the gateway's own queues left out",
            dropped_by_wire(run),
            "packets",
        );
    }
    section.fault(
        "packets_lost_gateway",
        "lost, and dropped by no queue but its own: by the gateway",
        losses.uncounted(run),
        "packets",
    );
    section.count("packets_out_of_order", "out of order", tally.packets_out_of_order, "packets");
    section.fault("packets_doubled", "come twice", tally.packets_doubled, "packets");
    section.fault("counters_differ", "DS0s whose DLCX counters differ from ours", losses.differ, "DS0s");
    section.fault("counters_untold", "DS0s whose DLCX told no counters", losses.untold, "DS0s");
    section.count("rtcp_received", "RTCP come", run.figures.rtcp, "packets");
    section.count("strays", "of nobody's", run.figures.strays, "packets");
    section
}

fn octets(run: &Run) -> Section {
    let tally = sum(&run.accounts);
    let mut section = Section::new("octets");
    section.count("octets_verified", "come back right and in their turn", tally.verified, "octets");
    section.fault("octets_missing", "missing", tally.missing, "octets");
    section.fault("octets_inserted", "wrong: nobody sent them", tally.inserted, "octets");
    section.fault("octets_repeated", "wrong: they had come before", tally.repeated, "octets");
    section.fault("octets_crossed", "wrong: of another DS0", tally.crossed, "octets");
    section.fault("shifts", "changes of delay in mid-call", tally.shifts, "times");
    section
}

fn times(run: &Run, floor: Option<&Floor>) -> Section {
    let mut section = Section::new("times");
    section.times("delay", "round trip, octet to octet, through the loop", &run.figures.delay);
    for (percentile, quantile) in [("p50", 0.5), ("p99", 0.99)] {
        let of = |figures: &Figures| figures.delay.value_at_quantile(quantile) as f64;
        if let Some(floor) = floor.map(|floor| of(&floor.figures)).filter(|floor| *floor > 0.0) {
            let words = format!("round trip, to the bare loop's, {percentile}");
            section.number(
                &format!("delay_to_floor_{percentile}"),
                &words,
                of(&run.figures) / floor,
                "times",
            );
        }
    }
    section.times("jitter", "inter-arrival jitter", &run.figures.jitter);
    section.series("packets by their round trip", &run.figures.delays);
    section
}

/// What it costs the gateway's media core.
fn carrier(run: &Run, floor: Option<&Floor>) -> Section {
    let mut section = Section::new("the gateway's media core");
    let Some(usage) = run.cost.carrier else { return section };
    let (ds0s, seconds) = (run.accounts.len().max(1) as f64, run.cost.elapsed.as_secs_f64());
    section.number("core_cpu_seconds", "its CPU time, while measured", usage.cpu.as_secs_f64(), "s");
    section.share("core_cpu", "its CPU", run.cost.share(usage));
    let per_ds0_us = usage.cpu.as_secs_f64() * 1e6 / seconds / ds0s;
    section.number("core_cpu_per_ds0", "its CPU a DS0 and second", per_ds0_us, "us");
    let per_packet_us = run.cost.per_packet_us();
    if let Some(per_packet_us) = per_packet_us {
        section.number("core_cpu_per_packet", "its CPU a packet sent or received", per_packet_us, "us");
    }
    if let Some((ours, floor)) = per_packet_us.zip(floor.and_then(Floor::per_packet_us)) {
        section.number("core_to_floor", "its CPU a packet, to the bare loop's", ours / floor, "times");
    }
    let waited = usage.waited.as_secs_f64() * 1e3;
    section.number("core_waited", "time it waited for its CPU, others having it", waited, "ms");
    section
}

/// What memory it takes: its pages, and its sockets in the kernel, with what io_uring keeps for each.
fn memory(run: &Run) -> Option<Section> {
    let [idle, busy] = run.memory?;
    let ds0s = run.accounts.len().max(1) as f64;
    let mib = |octets: u64| octets as f64 / f64::from(1 << 20);
    let each = |octets: u64| octets as f64 / 1024.0 / ds0s;
    let mut section = Section::new("memory of the gateway");
    section.number("memory_idle", "all that is resident, idle", mib(idle), "MiB");
    section.number("memory_busy", "all that is resident, with all calls", mib(busy), "MiB");
    section.number(
        "memory_per_call",
        "what came with the calls, a DS0",
        each(busy.saturating_sub(idle)),
        "KiB",
    );
    if let Some(sockets) = run.sockets {
        section.number("memory_sockets", "the kernel's own for its sockets, a DS0", each(sockets), "KiB");
    }
    let (all, words) = match run.sockets {
        Some(sockets) => (busy + sockets, "resident and the kernel's for sockets, a DS0"),
        None => (busy, "resident, without the kernel's for sockets, a DS0"),
    };
    section.number("memory_per_ds0", words, each(all), "KiB");
    Some(section)
}

/// DS0s that are named when something is wrong.
const WORST: usize = 5;
