//! What stories of events and signals have in common: they ask by RQNT, and read what NTFY says.

use std::time::Duration;

use drivers::span::sim::{FarEnd, Play};
use tests::{World, WorldBuilder};

/// A world whose restart is over.
pub(crate) fn begun(builder: WorldBuilder) -> World {
    let mut w = builder.build();
    w.run_for(Duration::from_millis(100));
    w.commands.clear();
    w
}

/// One whose first DS0's far end says `octets`, once.
pub(crate) fn saying(seed: u64, spans: &str, octets: &[u8]) -> World {
    let far_end = FarEnd::File { play: Play::Once(octets.into()), record: None };
    begun(World::builder(seed).spans(spans).far_end(0, 1, far_end))
}

/// Sends an RQNT, which must be granted.
pub(crate) fn request(w: &mut World, endpoint: &str, rest: &str) {
    let reply = w.ask(&format!("RQNT {endpoint}@gw"), rest);
    assert_eq!(reply.code, 200, "{rest}: {}", reply.text);
}

/// The observed events of each NTFY that has come since this was last asked.
pub(crate) fn observed(w: &mut World) -> Vec<String> {
    let told = w.commands.drain(..).filter(|command| command.starts_with("NTFY "));
    let value = |command: String| {
        let line = command.lines().find_map(|line| line.strip_prefix("O: ")).map(str::to_owned);
        line.unwrap_or_else(|| panic!("no O: in {command}"))
    };
    told.map(value).collect()
}

/// Lets so many seconds pass.
pub(crate) fn seconds(w: &mut World, seconds: f64) {
    w.run_for(Duration::from_secs_f64(seconds));
}
