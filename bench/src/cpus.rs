//! Which CPUs a measurement runs on.
//!
//! What is measured has a CPU of its own, where there are two at least: on the same one, the harness would take
//! the time that it measures. What the command line leaves open is settled once, before the first thread starts.

use std::fmt;
use std::str::FromStr;

use clap::Args;

use crate::Failure;
use crate::pace::run_on;
use crate::priority::Priority;
use crate::report::Value;

/// Where a thread runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cpu {
    /// Wherever the kernel puts it.
    Any,
    /// On the CPU of this number.
    Number(usize),
}

/// Where the harness and what it measures run, and how urgently.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Cpus {
    /// The CPU of this harness, RTP peers and call agents included, or `any` [default: the first that is not that of
    /// what is tested; any if there is only one, or if a gateway is tested that runs already].
    #[arg(id = "cpu", long = "cpu", value_name = "CPU")]
    harness: Option<Cpu>,

    /// The CPU of what is tested, or `any`: the media core of a gateway that is started here, or the bare loop
    /// [default: the last; any if there is only one].
    #[arg(id = "gateway_cpu", long = "gateway-cpu", value_name = "CPU")]
    gateway: Option<Cpu>,

    /// What the harness's threads run at, and with them the bare loop and, of a gateway that is started here, the
    /// media core, and where control is measured that, too [default: real-time; normal if a gateway is tested that runs already on this
    /// host, for it would have to wait for the harness].
    #[arg(long, value_enum)]
    priority: Option<Priority>,
}

impl Cpus {
    /// Decides what is open, on a host where these CPUs may be used, and this is the priority for it.
    pub(crate) fn settle(&mut self, usable: &[usize], priority: Priority) {
        self.priority.get_or_insert(priority);
        let gateway = self.gateway.or(free(usable, [self.harness, None]).last());
        let harness = self.harness.or(free(usable, [gateway, None]).next());
        (self.harness, self.gateway) = (harness.or(Some(Cpu::Any)), gateway.or(Some(Cpu::Any)));
    }

    /// The last CPU that neither the harness nor what is tested has.
    pub(crate) fn third(self, usable: &[usize]) -> Option<Cpu> {
        free(usable, [self.harness, self.gateway]).last()
    }

    /// The harness's.
    pub(crate) fn harness(self) -> Cpu {
        self.harness.unwrap_or(Cpu::Any)
    }

    /// That of what is tested.
    pub(crate) fn gateway(self) -> Cpu {
        self.gateway.unwrap_or(Cpu::Any)
    }

    /// What all of it is to run at.
    pub(crate) fn priority(self) -> Priority {
        self.priority.unwrap_or(Priority::RealTime)
    }

    /// Runs `f` on a thread of the harness's, and waits for it.
    ///
    /// # Errors
    /// What `f` says, or if there is no such CPU.
    pub(crate) fn run_harness<T: Send>(
        self,
        name: &str,
        f: impl FnOnce() -> Result<T, Failure> + Send,
    ) -> Result<T, Failure> {
        self.run(name, self.harness(), f)
    }

    /// Runs `f` on a thread that is where what is tested is, and waits for it.
    ///
    /// # Errors
    /// What `f` says, or if there is no such CPU.
    pub(crate) fn run_tested<T: Send>(
        self,
        name: &str,
        f: impl FnOnce() -> Result<T, Failure> + Send,
    ) -> Result<T, Failure> {
        self.run(name, self.gateway(), f)
    }

    fn run<T: Send>(
        self,
        name: &str,
        cpu: Cpu,
        f: impl FnOnce() -> Result<T, Failure> + Send,
    ) -> Result<T, Failure> {
        run_on(name, cpu.number(), || {
            self.priority().take();
            f()
        })
    }

    /// What a report repeats of them, and the priority that there is.
    pub(crate) fn settings(self) -> [(&'static str, Value); 3] {
        [
            ("cpu", self.harness().into()),
            ("gateway_cpu", self.gateway().into()),
            ("priority", Value::Text(self.priority().words())),
        ]
    }
}

/// The usable CPUs that these do not have; none if there is only one, which all have to share.
fn free(usable: &[usize], taken: [Option<Cpu>; 2]) -> impl DoubleEndedIterator<Item = Cpu> {
    let usable = if usable.len() < 2 { &[] } else { usable };
    usable.iter().map(|&number| Cpu::Number(number)).filter(move |cpu| !taken.contains(&Some(*cpu)))
}

impl Cpu {
    /// Its number; nothing if it may be any.
    pub(crate) fn number(self) -> Option<usize> {
        match self {
            Self::Any => None,
            Self::Number(number) => Some(number),
        }
    }
}

impl FromStr for Cpu {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "any" {
            return Ok(Self::Any);
        }
        text.parse().map(Self::Number).map_err(|_| "a CPU is a number from 0, or `any`".to_owned())
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Number(number) => number.fmt(f),
        }
    }
}

impl From<Cpu> for Value {
    fn from(cpu: Cpu) -> Self {
        match cpu {
            Cpu::Any => Self::Text(cpu.to_string()),
            Cpu::Number(number) => Self::Count(number as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: Cpu = Cpu::Any;

    /// The harness's CPU, that of what is tested, and the one that is left.
    fn settled(harness: Option<Cpu>, gateway: Option<Cpu>, usable: &[usize]) -> (Cpu, Cpu, Option<Cpu>) {
        let mut cpus = Cpus { harness, gateway, priority: None };
        cpus.settle(usable, Priority::RealTime);
        (cpus.harness(), cpus.gateway(), cpus.third(usable))
    }

    #[test]
    fn what_is_tested_gets_the_last_cpu_and_the_harness_the_first() {
        let [zero, one, two, five] = [0, 1, 2, 5].map(Cpu::Number);
        assert_eq!(settled(None, None, &[0, 1]), (zero, one, None));
        assert_eq!(settled(None, None, &[1, 2, 5]), (one, five, Some(two)));
    }

    #[test]
    fn with_one_cpu_or_none_of_ours_all_run_anywhere() {
        assert_eq!(settled(None, None, &[3]), (ANY, ANY, None));
        assert_eq!(settled(None, None, &[]), (ANY, ANY, None));
    }

    #[test]
    fn what_is_said_holds_and_the_other_keeps_off_it() {
        let [zero, one] = [0, 1].map(Cpu::Number);
        assert_eq!(settled(Some(one), None, &[0, 1]), (one, zero, None));
        assert_eq!(settled(None, Some(zero), &[0, 1]), (one, zero, None));
        assert_eq!(settled(Some(one), Some(one), &[0, 1]), (one, one, Some(zero)));
        assert_eq!(settled(Some(ANY), None, &[0, 1]), (ANY, one, Some(zero)));
        assert_eq!(settled(None, Some(ANY), &[0, 1]), (zero, ANY, Some(one)));
    }

    #[test]
    fn a_cpu_is_a_number_or_any() {
        assert_eq!(("7".parse(), "any".parse()), (Ok(Cpu::Number(7)), Ok(ANY)));
        assert!("-1".parse::<Cpu>().is_err() && "all".parse::<Cpu>().is_err());
    }
}
