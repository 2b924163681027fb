use std::collections::BTreeSet;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::command::notification::tests::asked;
use crate::mgcp::event::{Events, Place};

/// Plays a table: what happens, and what is to be done then.
///
/// `sig A…` is a request with these signals: D/n and G/cf are BR, T/lb is OO, the others are TO. A play is named after its signal and how many were started before it.
#[track_caller]
fn play(table: &[(&str, &str)]) -> Signals {
    let mut signals = Signals::default();
    let (mut now, mut undo) = (Instant::ZERO, None);
    for (input, output) in table {
        let (verb, rest) = input.split_once(' ').unwrap_or((input, ""));
        let number = || PlayId(rest.parse().expect(input));
        match verb {
            "sig" => {
                let list = list(rest);
                signals.check(&list, |_| Ok(()), |_| 0).expect(input);
                undo = Some(signals.apply(now, &list));
            }
            "undo" => signals.undo(now, undo.take().expect(input)),
            "event" => signals.handle_event(),
            "ended" => signals.handle_ended(now, number()),
            "connect" => signals.handle_connected(connection(rest)),
            "disconnect" => signals.handle_disconnected(now, connection(rest)),
            "restart" => signals.handle_restart(),
            "wait" => {
                now += Duration::from_millis(rest.parse().expect(input));
                signals.handle_timeout(now);
            }
            _ => panic!("{input}"),
        }
        let effects: Vec<_> = std::iter::from_fn(|| signals.poll_effect()).map(|e| spelt(&e)).collect();
        assert_eq!(effects.join(" "), *output, "after {input}");
    }
    signals
}

fn list(text: &str) -> Vec<Arc<Signal>> {
    text.split_whitespace().map(|word| Arc::new(signal(word))).collect()
}

/// A signal of a package, wherever it is to be.
fn signal(word: &str) -> Signal {
    let Event { name, parameters } = word.parse::<Events>().expect(word).0.remove(0);
    let (place, name) = (name.place, name.at(Place::Endpoint));
    let text = format!("X=1 S={}", Event { name, parameters });
    let mut signal = Signal::clone(&asked(&text, None).expect(word).expect("X is there").signals[0]);
    signal.asked.name.place = place;
    signal.key.scope = match place {
        Place::Connection(id) => Scope::Connection(id),
        Place::AllConnections => Scope::AllConnections,
        Place::Endpoint => Scope::Endpoint,
        Place::CurrentConnection => panic!("{word}"),
    };
    signal
}

fn spelt(effect: &Effect) -> String {
    match effect {
        Effect::Start { play, signal, scope } if *scope == signal.key.scope => {
            format!("start:{}:{}", play.0, signal.asked.name)
        }
        Effect::Start { play, signal, scope: Scope::Connection(id) } => {
            format!("start:{}:{}:on:{id}", play.0, signal.asked.name)
        }
        Effect::Start { .. } => panic!("{effect:?}"),
        Effect::Stop(play) => format!("stop:{}", play.0),
        Effect::Complete(key) => format!("oc:{}", place(*key)),
        Effect::Failed(key) => format!("of:{}", place(*key)),
    }
}

fn place(key: Key) -> String {
    match key.scope {
        Scope::Endpoint => key.event.to_string(),
        Scope::Connection(id) => format!("{}@{id}", key.event),
        Scope::AllConnections => format!("{}@*", key.event),
    }
}

fn connection(text: &str) -> ConnectionId {
    text.parse().expect(text)
}

fn shown(signals: &Signals) -> String {
    signals.audited().map(|signal| signal.asked.to_string()).collect::<Vec<_>>().join(",")
}

// RFC 3435 §2.1.7.
#[test]
fn time_out_signals_complete_when_their_time_is_up() {
    let signals = play(&[
        ("sig G/rt(to=3000) G/cg(to=0)", "start:0:G/rt start:1:G/cg"),
        ("wait 2999", ""),
        ("wait 1", "stop:0 oc:G/rt"),
        ("wait 9999999", ""),
    ]);
    assert_eq!(signals.poll_timeout(), None, "G/cg has no end");
}

#[test]
fn the_time_out_of_a_signal_on_a_connection_names_it() {
    play(&[("sig G/rt@1A(to=3000)", "start:0:G/rt@1A"), ("wait 3000", "stop:0 oc:G/rt@1A")]);
}

#[test]
fn a_signal_that_ends_early_is_complete_and_one_that_fails_is_not() {
    play(&[
        ("sig G/rt(to=0) G/cg@1A(to=0)", "start:0:G/rt start:1:G/cg@1A"),
        ("ended 0", "oc:G/rt"),
        ("disconnect 1A", "of:G/cg@1A"),
        ("disconnect 1A", ""),
    ]);
}

// RFC 3435 §2.3.3: not in the new list, stopped; in it, it goes on with the timer and parameters it had.
#[test]
fn a_new_list_replaces_time_out_signals_and_leaves_alone_those_in_both() {
    let signals = play(&[
        ("sig G/rt(to=3000) G/cg(to=3000)", "start:0:G/rt start:1:G/cg"),
        ("wait 1000", ""),
        ("sig G/rt(to=9000) G/it(to=0)", "stop:1 start:2:G/it"),
    ]);
    assert_eq!(shown(&signals), "G/rt(to=3000),G/it(to=0)");
    play(&[
        ("sig G/rt(to=3000)", "start:0:G/rt"),
        ("wait 1000", ""),
        ("sig G/rt(to=9000)", ""),
        ("wait 2000", "stop:0 oc:G/rt"),
        ("sig G/rt(to=9000)", "start:1:G/rt"),
        ("sig", "stop:1"),
        ("sig G/rt(to=9000)", "start:2:G/rt"),
    ]);
}

// RFC 3435 §2.3.3: three different signals.
#[test]
fn the_same_signal_in_three_places_is_three_signals() {
    play(&[
        ("sig G/rt(to=9) G/rt@1A(to=9) G/rt@1B(to=9)", "start:0:G/rt start:1:G/rt@1A start:2:G/rt@1B"),
        ("sig G/rt@1A(to=9)", "stop:0 stop:2"),
    ]);
}

// RFC 3435 §2.1.7: events stop TO, cancel pending BR, and leave OO and what is brief alone.
#[test]
fn an_event_stops_time_out_signals_only() {
    let signals = play(&[
        ("sig D/1", "start:0:D/1"),
        ("sig D/2 T/lb(+) G/rt(to=0)", "start:1:T/lb start:2:G/rt"),
        ("event", "stop:2"),
        ("event", ""),
        ("ended 0", ""),
    ]);
    assert_eq!(shown(&signals), "T/lb(+)");
}

#[test]
fn on_off_signals_last_until_turned_off_and_bear_repetition() {
    play(&[
        ("sig T/lb(-)", ""),
        ("sig T/lb(+)", "start:0:T/lb"),
        ("sig T/lb(+)", ""),
        ("sig", ""),
        ("sig G/rt(to=0)", "start:1:G/rt"),
        ("sig T/lb(-)", "stop:1 stop:0"),
        ("sig T/lb(-)", ""),
        ("sig T/lb(+)", "start:2:T/lb"),
        ("restart", "stop:2"),
    ]);
}

// RFC 3435 §2.1.7: a brief signal waits for one of an earlier request; a new list cancels what waits.
#[test]
fn brief_signals_end_before_the_next_begin() {
    play(&[
        ("sig D/1", "start:0:D/1"),
        ("sig D/2", ""),
        ("ended 0", "start:1:D/2"),
        ("sig D/3", ""),
        ("sig D/4", ""),
        ("ended 1", "start:2:D/4"),
        ("sig D/5", ""),
        ("sig", ""),
        ("ended 2", ""),
    ]);
}

#[test]
fn brief_signals_of_one_list_sound_together() {
    let signals = play(&[
        ("sig G/cf L/p", "start:0:G/cf start:1:L/p"),
        ("sig D/3 G/cf@1A", "start:2:G/cf@1A"),
        ("ended 1", ""),
    ]);
    // RFC 3435 §2.3.10: those that wait, not those that sound.
    assert_eq!(shown(&signals), "D/3");
    play(&[
        ("sig G/cf L/p", "start:0:G/cf start:1:L/p"),
        ("sig D/3", ""),
        ("ended 1", ""),
        ("ended 0", "start:2:D/3"),
    ]);
}

// RFC 3660 §2.2.
#[test]
fn a_long_digit_is_complete_after_the_silence_behind_it() {
    play(&[("sig D/dd(dg=5,to=300)", "start:0:D/dd"), ("wait 349", ""), ("wait 1", "stop:0 oc:D/dd")]);
}

// Two digits at once would be none.
#[test]
fn digits_of_one_list_sound_one_after_the_other_in_each_place() {
    let signals = play(&[
        ("sig D/1 D/2 D/3 D/9@1A G/cf", "start:0:D/1 start:1:D/9@1A start:2:G/cf"),
        ("ended 2", ""),
        ("ended 0", "start:3:D/2"),
        ("ended 1", ""),
    ]);
    assert_eq!(shown(&signals), "D/3");
    play(&[
        ("sig D/1 D/2@* D/3@1A D/4", "start:0:D/1 start:1:D/2@*"),
        ("ended 1", "start:2:D/3@1A"),
        ("ended 0", "start:3:D/4"),
        ("sig D/5 D/6", ""),
        ("ended 3", "start:4:D/5"),
        ("event", ""),
        ("ended 4", ""),
    ]);
}

// RFC 3435 §2.1.7: of is of time-out signals; the others end in silence.
#[test]
fn a_deleted_connection_fails_its_time_out_signals() {
    play(&[
        (
            "sig G/rt@1A(to=0) T/lb@1A(+) G/cf@1A G/rt@1B(to=0)",
            "start:0:G/rt@1A start:1:T/lb@1A start:2:G/cf@1A start:3:G/rt@1B",
        ),
        ("disconnect 1A", "of:G/rt@1A"),
        ("disconnect 1A", ""),
        ("ended 2", ""),
        ("sig", "stop:3"),
    ]);
}

#[test]
fn a_brief_signal_need_not_wait_for_one_that_is_gone() {
    play(&[
        ("sig D/1@1A", "start:0:D/1@1A"),
        ("sig D/2@* D/3@1A", ""),
        ("disconnect 1A", "start:1:D/2@*"),
        ("sig G/cf", "start:2:G/cf"),
        ("sig D/4", ""),
        ("sig D/5@1B", ""),
        ("ended 2", ""),
        ("undo", "start:3:D/4"),
    ]);
}

#[test]
fn a_signal_on_all_connections_is_on_new_ones_too() {
    let signals = play(&[
        ("sig G/rt@*(to=9000) D/5@*", "start:0:G/rt@* start:1:D/5@*"),
        ("connect 1A", "start:0:G/rt@*:on:1A"),
        ("disconnect 1A", ""),
        ("sig G/rt@*(to=1)", ""),
        ("wait 9000", "stop:0 oc:G/rt@*"),
    ]);
    assert_eq!(shown(&signals), "");
}

// RFC 3435 §4.4.2: as if the command had never been received.
#[test]
fn what_a_failed_request_did_is_undone() {
    let before = [
        ("sig G/rt(to=3000) T/lb(+) D/1", "start:0:G/rt start:1:T/lb start:2:D/1"),
        ("sig G/rt(to=3000) D/2", ""),
    ];
    let after = [
        ("wait 1000", ""),
        ("sig T/lb(-) G/cg(to=0) G/cf D/3", "stop:0 stop:1 start:3:G/cg"),
        ("undo", "stop:3 start:4:G/rt start:5:T/lb"),
        ("ended 2", "start:6:D/2"),
        ("wait 1999", ""),
        ("wait 1", "stop:4 oc:G/rt"),
    ];
    let signals = play(&[&before[..], &after[..]].concat());
    assert_eq!(shown(&signals), "T/lb(+)");
}

#[test]
fn what_an_event_stopped_meanwhile_is_not_started_again() {
    play(&[
        ("sig G/rt(to=3000) T/lb(+)", "start:0:G/rt start:1:T/lb"),
        ("sig G/cg(to=0) T/lb(-)", "stop:0 start:2:G/cg stop:1"),
        ("event", "stop:2"),
        ("undo", "start:3:T/lb"),
    ]);
}

// RFC 3660 §2.8.
#[test]
fn a_list_plays_its_signals_one_after_the_other() {
    play(&[
        ("sig SL/s(D/1,G/rt(to=500),D/2)", "start:0:D/1"),
        ("ended 0", "start:1:G/rt"),
        ("wait 499", ""),
        ("wait 1", "stop:1 start:2:D/2"),
        ("ended 2", "oc:SL/s"),
    ]);
    // One without end is where it stays; one that fails is where it ends.
    play(&[
        ("sig SL/s(G/rt(to=0),D/2)", "start:0:G/rt"),
        ("wait 9999999", ""),
        ("sig SL/s(D/9)", ""),
        ("sig", "stop:0"),
        ("sig SL/s@1A(D/1,D/2)", "start:1:D/1"),
        ("disconnect 1A", "of:SL/s@1A"),
    ]);
    // An event has what is brief played to its end, and nothing after it; what is not stops at once.
    let signals = play(&[
        ("sig SL/s(D/1,D/2)", "start:0:D/1"),
        ("event", ""),
        ("sig D/3", ""),
        ("ended 0", "start:1:D/3"),
        ("ended 1", ""),
        ("sig SL/s(G/rt,D/2)", "start:2:G/rt"),
        ("event", "stop:2"),
    ]);
    assert_eq!(shown(&signals), "");
}

// RFC 3435 §4.4.2: as if the request that stopped it had never come.
#[test]
fn a_list_that_was_stopped_in_vain_goes_on_where_it_is() {
    let list = "sig SL/s(D/1,D/2,G/rt)";
    let shows = |table: &[(&str, &str)]| assert_eq!(shown(&play(table)), "SL/s(D/1,D/2,G/rt)");
    shows(&[(list, "start:0:D/1"), ("sig", ""), ("undo", ""), ("ended 0", "start:1:D/2")]);
    shows(&[(list, "start:0:D/1"), ("sig", ""), ("ended 0", ""), ("undo", "start:1:D/2")]);
    shows(&[
        (list, "start:0:D/1"),
        ("ended 0", "start:1:D/2"),
        ("ended 1", "start:2:G/rt"),
        ("sig", "stop:2"),
        ("undo", "start:3:G/rt"),
    ]);
    play(&[("sig SL/s(D/1)", "start:0:D/1"), ("sig", ""), ("ended 0", ""), ("undo", "oc:SL/s")]);
}

#[test]
fn lists_that_cannot_be_granted_are_refused() {
    let mut signals = Signals::default();
    let key = |word: &str| signal(word).key;
    signals.apply(Instant::ZERO, &list("T/lb(+)"));
    let [gone, mute] = ["1B", "1C"].map(connection);
    let hears = |connection| match connection {
        id if id == gone => Err(Refusal::NoConnection(id)),
        id if id == mute => Err(Refusal::Undescribed(id)),
        _ => Ok(()),
    };
    let check = |text: &str| signals.check(&list(text), hears, |_| 1);
    assert_eq!(check("G/rt(to=1) D/1 T/lb(-)"), Ok(()));
    assert_eq!(check("G/rt(to=1) G/rt(to=2)"), Err(Refusal::Twice(key("G/rt"))));
    assert_eq!(check("T/lb(+) T/lb(-)"), Err(Refusal::Twice(key("T/lb"))));
    assert_eq!(check("G/rt@1A(to=1) G/rt@*(to=1)"), Err(Refusal::Twice(key("G/rt@*"))));
    // Two can be heard in one place, and one is on.
    assert_eq!(check("G/rt(to=1)"), Ok(()));
    assert_eq!(check("G/rt(to=1) D/1"), Err(Refusal::TooLoud(key("G/rt"))));
    assert_eq!(check("G/rt@1A(to=1) D/1@* G/cg@1B"), Err(Refusal::NoConnection(gone)));
    assert_eq!(check("G/rt@1A(to=1) D/1@* G/cg@1D"), Ok(()), "elsewhere");
    assert_eq!(check("G/rt@1A(to=1) D/1@* G/cg@1A"), Err(Refusal::TooLoud(key("G/rt@1A"))));
    assert_eq!(check("G/rt@1A(to=1)"), Ok(()), "elsewhere");
    assert_eq!(check("G/rt@1B(to=1)"), Err(Refusal::NoConnection(gone)));
    assert_eq!(check("G/rt@1C(to=1)"), Err(Refusal::Undescribed(mute)));
    let many: Vec<_> = (0..SIGNALS_MAX).map(|id| format!("D/5@A{id:X}")).collect();
    assert_eq!(check(&many.join(" ")), Err(Refusal::TooMany));
    assert_eq!(check(&many[1..].join(" ")), Ok(()));
}

/// Whatever comes, what has been started and not stopped, and has not ended, is what is active.
#[test]
fn what_sounds_is_what_is_active() {
    const LISTS: [&str; 7] = [
        "G/rt(to=3000) D/1",
        "T/lb(+) D/2 D/3",
        "T/lb(-) G/cg",
        "",
        "G/rt@1A G/rt@1B(to=50)",
        "G/rt@* D/4@1A",
        "D/5@*",
    ];
    for seed in 0..300 {
        println!("seed {seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut signals, mut now, mut undo) = (Signals::default(), Instant::ZERO, None);
        let mut sounding = BTreeSet::new();
        for _ in 0..300 {
            let play = PlayId(rng.random_range(0..signals.next_play + 1));
            match rng.random_range(0..8) {
                0 | 1 => undo = Some(signals.apply(now, &list(LISTS[rng.random_range(0..LISTS.len())]))),
                2 => undo.take().into_iter().for_each(|undo| signals.undo(now, undo)),
                3 => signals.handle_event(),
                4 | 5 => {
                    sounding.remove(&play);
                    signals.handle_ended(now, play);
                }
                6 => {
                    let on = |id: &PlayId| {
                        signals.active.iter().any(|a| {
                            a.play == *id && a.signal.key.scope == Scope::Connection(connection("1A"))
                        })
                    };
                    sounding.retain(|play| !on(play));
                    signals.handle_disconnected(now, connection("1A"));
                }
                _ => {
                    now += Duration::from_millis(rng.random_range(0..2_000));
                    signals.handle_timeout(now);
                }
            }
            // Undone may be what has timed out meanwhile.
            signals.handle_timeout(now);
            while let Some(effect) = signals.poll_effect() {
                match effect {
                    Effect::Start { play, .. } => assert!(sounding.insert(play), "{play:?} starts once"),
                    Effect::Stop(play) => assert!(sounding.remove(&play), "{play:?} sounds"),
                    Effect::Complete(_) | Effect::Failed(_) => {}
                }
            }
            assert!(signals.active.iter().map(|active| active.play).eq(sounding.iter().copied()));
            let briefs = |signal: &Signal| signal.lasting == Lasting::Brief;
            assert!(signals.pending.is_empty() || signals.active.iter().any(|a| briefs(&a.signal)));
            assert!(signals.poll_timeout().is_none_or(|at| at > now));
        }
    }
}
