//! One rate, held for a while: what came of it, and what it cost.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::Failure;
use crate::caller::{Step, Tally};
use crate::density;
use crate::floor::HARNESS;
use crate::host::{self, Thread, Usage};
use crate::report::Section;
use crate::target::Target;

/// One rate, held for a while.
pub(super) struct Trial {
    pub(super) rate: NonZeroU32,
    pub(super) tally: Tally,
    /// How long calls were measured, and how long what threads used, which is read a little later.
    pub(super) length: Duration,
    pub(super) elapsed: Duration,
    pub(super) costs: Costs,
    /// Datagrams for which the harness's queues, and the gateway's, had no room.
    pub(super) dropped: [u64; 2],
    /// What became of the calls beside.
    pub(super) beside: Option<density::Run>,
}

/// What the threads used.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Costs {
    pub(super) harness: Usage,
    /// The gateway's control thread and its media core, if they can be seen from here.
    pub(super) gateway: Option<[Usage; 2]>,
}

impl Trial {
    /// Calls a second that were over while it was measured.
    pub(super) fn throughput(&self) -> f64 {
        self.tally.throughput as f64 / self.length.as_secs_f64()
    }

    /// The part of its CPU that a thread had, 0 to 1.
    pub(super) fn share(&self, usage: Usage) -> f64 {
        usage.cpu.as_secs_f64() / self.elapsed.as_secs_f64()
    }

    pub(super) fn calls(&self) -> Section {
        let tally = &self.tally;
        let mut section = Section::new("calls");
        section.count("rate", "asked for", self.rate.get().into(), "calls/s");
        section.number("throughput", "done", self.throughput(), "calls/s");
        section.count("calls_offered", "calls that were due", tally.offered, "calls");
        section.count("calls_completed", "of these, set up and taken down", tally.completed, "calls");
        section.count("calls_blocked", "calls for which no endpoint was free", tally.blocked, "calls");
        section.count("unanswered", "commands that nobody answered", tally.unanswered, "commands");
        section.count("repeated", "commands sent again", tally.repeated, "commands");
        section.count("provisional", "provisional responses", tally.provisional, "responses");
        section.count("strays", "answers to nothing under way", tally.strays, "responses");
        section.count("refused", "commands refused", tally.refusals(), "commands");
        for ((step, code), n) in &tally.refused {
            let (verb, code) = (step.verb(), code.0);
            section.count(
                &format!("refused_{verb}_{code}"),
                &format!("of these, {verb} with {code}"),
                *n,
                "commands",
            );
        }
        section
    }

    pub(super) fn answers(&self) -> Section {
        let mut section = Section::new("times, from when a command was due to its answer");
        section.times("answer", "all commands", &self.tally.all_times());
        for step in Step::ALL {
            let verb = step.verb();
            section.times(&format!("answer_{}", verb.to_lowercase()), verb, &self.tally.times[step as usize]);
        }
        section.times("setup", "call due until call up", &self.tally.setup);
        if let Some((at, longest)) = self.tally.series.worst() {
            let words = "the longest of all, those of warming up among them";
            section.number("answer_longest", words, longest.as_secs_f64() * 1e3, "ms");
            let words = "when that was, from the first on";
            section.number("answer_longest_at", words, at.as_secs_f64(), "s");
        }
        section.series("answers", &self.tally.series);
        section
    }

    /// What it costs a gateway that can be seen from here.
    pub(super) fn gateway(&self) -> Option<Section> {
        let [control, core] = self.costs.gateway?;
        let mut section = Section::new("the gateway");
        let answers = self.tally.answers;
        section.number(
            "commands",
            "commands a second",
            answers as f64 / self.length.as_secs_f64(),
            "commands/s",
        );
        section.share("control_cpu", "CPU of its control thread", self.share(control));
        let each_us = |usage: Usage| usage.cpu.as_secs_f64() * 1e6 / answers.max(1) as f64;
        section.number("control_cpu_per_command", "of that, a command", each_us(control), "us");
        let at_most = 1e6 / each_us(control);
        section.number(
            "control_commands_max",
            "commands a second that one CPU would be enough for",
            at_most,
            "commands/s",
        );
        let waited = control.waited.as_secs_f64() * 1e3;
        section.number("control_waited", "time it waited for its CPU, others having it", waited, "ms");
        section.share("core_cpu", "CPU of its media core", self.share(core));
        section.count(
            "dropped_gateway",
            "dropped by the host, its queues being full",
            self.dropped[1],
            "datagrams",
        );
        Some(section)
    }

    pub(super) fn harness(&self) -> Section {
        let mut section = Section::new("harness");
        section.share("harness_cpu", "its own CPU", self.share(self.costs.harness));
        let waited = self.costs.harness.waited.as_secs_f64() * 1e3;
        section.number("harness_waited", "time it waited for its CPU, others having it", waited, "ms");
        section.times("harness_late", "calls begun after they were due", &self.tally.late);
        section.count(
            "dropped_harness",
            "dropped by the host, its queues being full",
            self.dropped[0],
            "datagrams",
        );
        section.text("limit", "what is at its limit", self.limit());
        section
    }

    /// What keeps the rate from being higher.
    pub(super) fn limit(&self) -> &'static str {
        let [control, core] = self.costs.gateway.unwrap_or_default().map(|usage| self.share(usage));
        match () {
            () if control > BUSY => "the gateway's control thread",
            () if core > BUSY => "the gateway's media core",
            () if self.share(self.costs.harness) > BUSY => {
                "the harness's CPU: its figures are not the gateway's"
            }
            () if !self.own_faults().is_empty() => "the machine: it let the harness wait",
            () => "nothing",
        }
    }

    /// What the harness or the machine may be to blame for.
    pub(super) fn own_faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let share = self.share(self.costs.harness);
        if share > BUSY {
            faults.push(format!("the harness used {:.0} % of its CPU", share * 100.0));
        }
        if self.dropped[0] > 0 {
            faults.push(format!("the harness was too slow to take {} answers", self.dropped[0]));
        }
        let late_ms = self.tally.late.value_at_quantile(0.99) as f64 / 1e3;
        if late_ms > LATE_MAX_MS {
            faults.push(format!("the harness began calls {late_ms:.1} ms late"));
        }
        let waited = self.costs.gateway.map_or(Duration::ZERO, |[control, _]| control.waited);
        if waited > self.elapsed / 10 {
            let waited = waited.as_millis();
            faults.push(format!("the gateway's control thread waited {waited} ms for a CPU that others had"));
        }
        faults
    }
}

/// The threads whose CPU time is measured.
pub(super) struct Threads {
    harness: Thread,
    gateway: Option<[Thread; 2]>,
}

impl Threads {
    pub(super) fn of(target: &Target) -> Result<Self, Failure> {
        let gateway = target.process().map(|process| {
            Ok::<_, Failure>([Thread::main(process), Thread::named(process, density::CARRIER)?])
        });
        Ok(Self { harness: Thread::named(std::process::id(), HARNESS)?, gateway: gateway.transpose()? })
    }

    pub(super) fn usage(&self) -> Result<Costs, Failure> {
        let gateway = self.gateway.map(|[control, core]| Ok::<_, Failure>([control.usage()?, core.usage()?]));
        Ok(Costs { harness: self.harness.usage()?, gateway: gateway.transpose()? })
    }
}

impl std::ops::Sub for Costs {
    type Output = Self;

    fn sub(self, rhs: Self) -> Self {
        let gateway = self.gateway.zip(rhs.gateway).map(|(a, b)| [a[0] - b[0], a[1] - b[1]]);
        Self { harness: self.harness - rhs.harness, gateway }
    }
}

/// Commands for which the gateway's queue had no room, if that can be seen from here.
pub(super) fn dropped_by(target: &Target) -> Result<u64, Failure> {
    Ok(host::queue_drops(None, target.gateway.ip(), |address| address == target.gateway)?)
}

/// How late a call may begin without its times being the harness's, in ms.
const LATE_MAX_MS: f64 = 2.0;

/// The part of a CPU at which a thread is at its limit.
const BUSY: f64 = 0.9;
