//! Which CPUs a measurement runs on.

use clap::Args;

use crate::report::Value;

/// The CPUs, each any if `None`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Cpus {
    /// The CPU this harness runs on, RTP peers and call agents with it [default: any].
    #[arg(id = "cpu", long = "cpu", value_name = "CPU")]
    pub(crate) harness: Option<usize>,

    /// The CPU of what is tested: the media core of a gateway that is started here, or the bare loop [default:
    /// any].
    #[arg(id = "gateway_cpu", long = "gateway-cpu", value_name = "CPU")]
    pub(crate) gateway: Option<usize>,
}

impl Cpus {
    /// What a report repeats of them.
    pub(crate) fn settings(self) -> [(&'static str, Value); 2] {
        [("cpu", name(self.harness)), ("gateway_cpu", name(self.gateway))]
    }
}

/// A CPU as a report has it.
pub(crate) fn name(cpu: Option<usize>) -> Value {
    cpu.map_or(Value::Text("any".to_owned()), |n| Value::Count(n as u64))
}
