//! Thousands of seeded sequences of commands over a network that loses three of ten datagrams, doubles
//! every other and lets them overtake each other, both ways.
//!
//! Several call agents speak all commands at once; they repeat what is not answered, die, and begin
//! again at transaction 1. Lines fail, cores stall, digits are dialled, names move; sometimes nobody is heard
//! for minutes. Whatever comes:
//!
//! * each command is executed at most once, and has one final response, whose copies are all alike;
//! * cores get no order that they cannot obey;
//! * at the end no endpoint is stuck: each takes a call again, and says that it is in service;
//! * then the ledger is empty, and no command is under way;
//! * one seed in a hundred replays through its journal to the same state.
//!
//! `cargo test -p tests --test storm` plays a thousand seeds. For another number, or a single seed again:
//!
//! ```sh
//! STORM_SEEDS=100000 cargo test --release -p tests --test storm
//! STORM_SEED=17 cargo test -p tests --test storm -- --nocapture
//! ```

mod agent;
mod script;
mod sequence;

use std::collections::BTreeMap;
use std::env;
use std::panic::{self, AssertUnwindSafe};

use self::sequence::Sequence;

/// Seeds of an ordinary run.
const SEEDS: u64 = 1_000;

/// One in so many is replayed.
const REPLAYED: u64 = 100;

#[test]
fn a_storm_leaves_nothing_behind() {
    if let Some(seed) = number("STORM_SEED") {
        let played = play(seed, true);
        println!("{played:#?}");
        return;
    }
    let mut all = BTreeMap::new();
    let seeds = number("STORM_SEEDS").unwrap_or(SEEDS);
    for seed in 0..seeds {
        let played = panic::catch_unwind(AssertUnwindSafe(|| play(seed, seed % REPLAYED == 0)));
        let played = played.unwrap_or_else(|cause| {
            eprintln!("play it again: STORM_SEED={seed} cargo test -p tests --test storm -- --nocapture");
            panic::resume_unwind(cause)
        });
        played.into_iter().for_each(|(what, n)| *all.entry(what).or_insert(0) += n);
    }
    println!("{seeds} sequences: {all:#?}");
    // What never happens shows nothing.
    for what in [
        "answered",
        "repeated",
        "evaporated",
        "restarts",
        "announced",
        "missed",
        "notified",
        "unanswered",
        "promised",
    ] {
        assert!(all.get(what).is_some_and(|n| *n > 0), "{what}: {all:?}");
    }
}

/// Plays one seed, and what happened how often.
fn play(seed: u64, replays: bool) -> BTreeMap<&'static str, u64> {
    let mut sequence = Sequence::new(seed);
    sequence.play();
    sequence.calm_down();
    sequence.fall_silent();
    sequence.check_answers();
    sequence.check_endpoints();
    if replays {
        sequence.check_replay();
    }
    sequence.counted()
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|value| value.parse().expect("a number of seeds, or a seed"))
}
