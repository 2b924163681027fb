//! What an operator may want to know of a running gateway, in the log: SIGUSR1 asks for it.

use std::fmt::Write;

use dataplane::stats;
use tracing::info;

use super::Core;
use crate::gateway::Gateway;
use crate::metrics;

/// Logs what control and the cores have counted, but not what is zero.
pub(super) fn log(gateway: &Gateway, cores: &[Core]) {
    let counters = gateway.counters();
    let all = metrics::Counter::ALL.iter().map(|&counter| (counter.name(), counters.value(counter)));
    info!("control: {}", listed(all));
    let connections = gateway.ledger().connections();
    info!(now = connections.used, most = connections.high_water, room = connections.capacity, "connections");
    for (place, core) in cores.iter().enumerate() {
        let all = stats::Counter::ALL.iter().map(|&counter| (counter.name(), core.stats.value(counter)));
        info!("core {place}: {}", listed(all));
    }
}

fn listed(counters: impl Iterator<Item = (&'static str, u64)>) -> String {
    let mut text = String::new();
    for (name, value) in counters.filter(|(_, value)| *value > 0) {
        let space = if text.is_empty() { "" } else { " " };
        write!(text, "{space}{name}={value}").expect("a string takes all");
    }
    if text.is_empty() { "nothing counted".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_that_are_zero_are_left_out() {
        assert_eq!(listed([("a", 1), ("b", 0), ("c", 3)].into_iter()), "a=1 c=3");
        assert_eq!(listed([("b", 0)].into_iter()), "nothing counted");
    }
}
