use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::command::notification::tests::{PACKAGES, asked};
use crate::mgcp::event::{Event, Events, Place};
use crate::mgcp::name::EntityName;

/// An endpoint on whose circuit T/as is always detected.
fn notify() -> Notify {
    Notify::new(requested("T/as"), DigitTiming::default())
}

/// Plays a table: what happens, and what is to be done then.
///
/// `rqnt X …` is a request, its parameters behind it as `R=D/5(N)`; `see`, events, one by one; `ack` and
/// `lost`, notifications by number.
#[track_caller]
fn play(table: &[(&str, &str)]) -> Notify {
    let mut endpoint = Endpoint { notify: notify(), now: Instant::ZERO };
    for (input, output) in table {
        assert_eq!(endpoint.play(input), *output, "after {input}");
    }
    endpoint.notify
}

struct Endpoint {
    notify: Notify,
    now: Instant,
}

impl Endpoint {
    fn play(&mut self, input: &str) -> String {
        let (notify, now) = (&mut self.notify, self.now);
        let (verb, rest) = input.split_once(' ').unwrap_or((input, ""));
        let number = || rest.parse().expect(input);
        match verb {
            "rqnt" => {
                let request = request(rest);
                notify.check(&request, &|_| true, &|_| None).expect(input);
                notify.handle_request(now, Arc::new(request));
            }
            "see" => rest.split(' ').for_each(|event| notify.handle_event(now, observed(event))),
            "ack" => notify.handle_answered(now, NotificationId(number())),
            "lost" => notify.handle_lost(NotificationId(number())),
            "back" => notify.handle_reconnected(now),
            "embedded" if rest == "ok" => notify.handle_embedded(now, Ok(())),
            "embedded" => notify.handle_embedded(now, Err(ReturnCode::REMOTE_MISSING)),
            "lockstep" => {
                let after = Duration::from_millis(number().into());
                notify.report_lockstep_after(now, (!after.is_zero()).then_some(after));
            }
            "wait" => {
                self.now += Duration::from_millis(number().into());
                notify.handle_timeout(self.now);
            }
            _ => panic!("{input}"),
        }
        let effects: Vec<_> = std::iter::from_fn(|| self.notify.poll_effect()).map(|e| spelt(&e)).collect();
        effects.join(" ")
    }
}

/// `stop`, `swap`, `apply:` with signals, `X:events` with what it comes after in front, `lockstep`.
fn spelt(effect: &Effect) -> String {
    match effect {
        Effect::StopSignals => "stop".to_owned(),
        Effect::SwapAudio => "swap".to_owned(),
        Effect::ApplySignals(signals) => {
            let signals: Vec<_> = signals.iter().map(|signal| signal.asked.to_string()).collect();
            format!("apply:{}", signals.join(","))
        }
        Effect::Notify(notification) => {
            let after: String = notification.after.iter().map(|id| format!("{}+", id.0)).collect();
            let observed: Vec<_> = notification.observed.iter().map(shown).collect();
            format!("{after}{}:{}:{}", notification.id.0, notification.identifier, observed.join(","))
        }
        Effect::ReportLockstep => "lockstep".to_owned(),
    }
}

fn shown(observed: &Observed) -> String {
    let at = observed.connection.map(|id| format!("@{id}")).unwrap_or_default();
    format!("{}{at}{}", observed.event, observed.parameters)
}

fn observed(text: &str) -> Observed {
    let Event { name, parameters } = text.parse::<Events>().expect(text).0.remove(0);
    let connection = match name.place {
        Place::Connection(id) => Some(id),
        Place::Endpoint | Place::CurrentConnection | Place::AllConnections => None,
    };
    Observed { event: PACKAGES.events(&name).expect(text).events[0], connection, parameters }
}

fn request(text: &str) -> Request {
    let asked = asked(&format!("X={text}"), None).expect(text).expect("X is there");
    (*asked.request).clone()
}

fn requested(text: &str) -> Arc<[Requested]> {
    request(&format!("1 R={text}")).events
}

// RFC 3435 §4.4.1: before the first request only persistent events are detected; X is 0, and Q step.
#[test]
fn persistent_events_are_told_before_any_request() {
    let mut notify = play(&[
        ("see D/5 G/ft", ""),
        ("see T/as", "stop 0:0:T/as"),
        ("ack 0", ""),
        ("see T/as", "stop"),
        ("rqnt 1", "stop 1:1:T/as"),
    ]);
    assert_eq!(notify.digit_map(), None);
    assert_eq!(notify.poll_effect(), None);
}

// RFC 3435 §2.3.4: the example of its text, and §2.1.5: a match is told with all that was accumulated.
#[test]
fn digits_and_other_events_are_told_in_the_order_in_which_they_came() {
    play(&[
        ("rqnt A R=D/[0-9](D),G/ft(A) D=(xxxx)", ""),
        ("see D/1 D/2 D/3", "stop"),
        ("see G/ft", "stop"),
        ("see D/4", "stop 0:A:D/1,D/2,D/3,G/ft,D/4"),
    ]);
}

#[test]
fn a_dial_string_that_can_become_no_match_is_told_too() {
    play(&[
        ("rqnt A R=D/[0-9](D) D=(12)", ""),
        ("see D/3", "stop 0:A:D/3"),
        // RFC 3435 §2.3.3: an event that is no digit, by the digit map, is a mismatch at once.
        ("rqnt B R=G/mt(D)", ""),
        ("see G/mt", "stop 0+1:B:G/mt"),
    ]);
}

// RFC 3435 §2.3.3.
#[test]
fn events_not_requested_are_ignored() {
    play(&[
        ("rqnt A R=D/5(N),T/ro(I)", ""),
        ("see D/6 G/ft", ""),
        ("see T/ro", "stop"),
        ("see D/5", "stop 0:A:D/5"),
    ]);
}

// RFC 3435 §2.1.7.
#[test]
fn events_on_connections_are_others_than_those_of_the_endpoint() {
    play(&[
        ("rqnt A R=G/ld@1A(A),R/qa@*(A),D/5(N)", ""),
        ("see G/ld@1B", ""),
        ("see G/ld@1A R/qa@1B D/5", "stop 0:A:G/ld@1A,R/qa@1B,D/5"),
    ]);
}

// RFC 3435 §2.3.3: K keeps signals; I does not.
#[test]
fn requested_events_stop_signals_unless_they_keep_them() {
    play(&[
        ("rqnt A R=D/1(A),D/2(A,K),D/3(I),D/4(I,K),D/5(K),D/6(S),D/7(N,K)", ""),
        ("see D/1", "stop"),
        ("see D/2", ""),
        ("see D/3", "stop"),
        ("see D/4", ""),
        ("see D/5", ""),
        ("see D/6", "stop swap"),
        ("see D/7", "0:A:D/1,D/2,D/7"),
        // In quarantine as well: they stop as soon as the event is detected.
        ("see D/1", "stop"),
        ("see D/2", ""),
        ("see D/8", ""),
    ]);
}

// RFC 3435 §2.3.3.
#[test]
fn what_is_said_of_a_persistent_event_goes_for_as_long_as_the_list() {
    play(&[
        ("rqnt A R=T/as(I) Q=loop", ""),
        ("see T/as", "stop"),
        ("rqnt B Q=loop", ""),
        ("see T/as", "stop 0:B:T/as"),
        ("ack 0", ""),
        // RFC 3435 §B.2.1: as those that the call agent makes persistent, until it says otherwise.
        ("rqnt C B/PR=D/5(A) Q=loop", ""),
        ("rqnt D R=D/5(N) Q=loop", ""),
        ("see D/5", "stop 1:D:D/5"),
        ("ack 1", ""),
        ("rqnt E Q=loop", ""),
        ("see D/5", "stop"),
        ("rqnt F B/PR= Q=loop,discard", ""),
        ("see D/5", ""),
    ]);
}

// RFC 3435 §4.4.1: "notification state", then "wait for RQNT", in step mode.
#[test]
fn step_mode_quarantines_until_the_next_request() {
    let table = [
        ("rqnt A R=D/[0-9](N)", ""),
        ("see D/1", "stop 0:A:D/1"),
        ("see D/2", "stop"),
        ("ack 0", ""),
        ("see D/3", "stop"),
        ("rqnt B R=D/[0-9](N)", "stop 1:B:D/2"),
        ("rqnt C R=D/[0-9](N)", "stop 1+2:C:D/3"),
    ];
    assert_eq!(play(&table[..2]).notification_state(), NotificationState::Notification);
    assert_eq!(play(&table[..4]).notification_state(), NotificationState::Lockstep);
    assert_eq!(play(&table[..5]).notification_state(), NotificationState::Lockstep);
    assert_eq!(play(&table).notification_state(), NotificationState::Notification);
    assert_eq!(play(&[]).notification_state(), NotificationState::Other);
}

// RFC 3435 §4.4.1: each answer lets the quarantined events be processed up to one that is told.
#[test]
fn loop_mode_goes_on_after_each_answer() {
    let notify = play(&[
        ("rqnt A R=D/[0-8](A),D/9(N) Q=loop", ""),
        ("see D/1 D/9", "stop 0:A:D/1,D/9"),
        ("see D/2 D/9 D/3", "stop"),
        ("ack 0", "stop 1:A:D/2,D/9"),
        ("see D/9", "stop"),
        ("ack 1", "stop 2:A:D/3,D/9"),
        ("see D/4", "stop"),
        ("ack 2", "stop"),
        ("see D/5", "stop"),
    ]);
    assert_eq!(notify.observed(), [observed("D/4"), observed("D/5")], "the normal state");
}

// RFC 3435 §4.4.1: the dial string is emptied when the notification state ends.
#[test]
fn in_loop_mode_each_match_begins_anew() {
    play(&[
        ("rqnt A R=D/[0-9](D) D=(xx) Q=loop", ""),
        ("see D/1 D/2", "stop 0:A:D/1,D/2"),
        ("see D/3", "stop"),
        ("ack 0", "stop"),
        ("see D/4", "stop 1:A:D/3,D/4"),
    ]);
}

// RFC 3435 §4.4.1: the union of R, T and what is persistent, whatever the action; T stays until replaced.
#[test]
fn what_is_to_be_detected_is_quarantined() {
    play(&[
        ("rqnt A R=T/ro(N),D/1(I) T=D/2", ""),
        ("see T/ro", "stop 0:A:T/ro"),
        ("see D/1 D/2 D/3 T/as", "stop"),
        ("rqnt B R=D/[1-3](A),T/as(N)", "stop 0+1:B:D/1,D/2,T/as"),
        ("see D/2", "stop"),
        ("ack 1", ""),
        ("rqnt C R=T/ro(N) Q=discard", ""),
        ("see D/2", ""),
        ("see T/ro", "stop 0+2:C:T/ro"),
        ("see D/2", ""),
        ("rqnt D R=D/2(A),T/ro(N) T=", "stop"),
        ("see T/ro", "stop 0+2+3:D:D/2,T/ro"),
        ("see D/4", ""),
        ("rqnt E R=D/[0-9](N)", ""),
    ]);
}

// RFC 3435 §4.4.1, in the three states.
#[test]
fn discard_forgets_what_has_not_been_told() {
    let discards = ("rqnt B R=D/[0-9](N) Q=discard", "");
    let tell = ("rqnt A R=D/[0-8](A),D/9(N)", "");
    let told = ("see D/1 D/9", "stop 0:A:D/1,D/9");
    let more = ("see D/2 D/9", "stop");
    play(&[tell, ("see D/1 D/2", "stop"), discards, ("see D/3", "stop 0:B:D/3")]);
    play(&[tell, told, more, discards, ("see D/3", "stop 0+1:B:D/3")]);
    play(&[tell, told, ("ack 0", ""), more, discards, ("see D/3", "stop 1:B:D/3")]);
}

// RFC 3435 §4.4.1, in the three states.
#[test]
fn process_takes_what_has_not_been_told_by_the_new_list() {
    let tell = ("rqnt A R=D/[0-8](A),D/9(N)", "");
    let told = ("see D/1 D/9", "stop 0:A:D/1,D/9");
    let more = ("see D/2 D/9", "stop");
    // The normal state: what was observed goes to the front of the quarantine list.
    play(&[tell, ("see D/1 D/2 D/3", "stop"), ("rqnt B R=D/[1-2](A),D/4(A),D/3(N)", "stop 0:B:D/1,D/2,D/3")]);
    // What the new list does not ask for is gone.
    play(&[
        tell,
        ("see D/1 D/2", "stop"),
        ("rqnt B R=D/2(A)", "stop"),
        ("rqnt C R=D/[0-9](N)", "stop 0:C:D/2"),
    ]);
    // The notification state: what was observed has been told, only the quarantined events count.
    play(&[
        tell,
        told,
        more,
        ("rqnt B R=D/[0-9](A),T/ro(N)", "stop"),
        ("see T/ro", "stop 0+1:B:D/2,D/9,T/ro"),
    ]);
    // Wait for RQNT.
    play(&[
        tell,
        told,
        ("ack 0", ""),
        more,
        ("rqnt B R=D/9(A),T/ro(N)", "stop"),
        ("see T/ro", "stop 1:B:D/9,T/ro"),
    ]);
}

// RFC 3435 §2.3.3, §4.4.1: a digit map stays until replaced; digits are matched again from the first.
#[test]
fn a_new_request_matches_from_the_beginning_by_its_own_digit_map() {
    play(&[
        ("rqnt A R=D/[0-9](D) D=(12345)", ""),
        ("see D/1 D/2", "stop"),
        ("rqnt B R=D/[0-9](D) D=(123)", "stop"),
        ("see D/3", "stop 0:B:D/1,D/2,D/3"),
        ("ack 0", ""),
        ("rqnt C R=D/[0-9](D) Q=discard", ""),
        ("see D/1 D/2", "stop"),
        ("rqnt D R=D/[0-9](D) Q=discard", ""),
        ("see D/1 D/2 D/3", "stop 1:D:D/1,D/2,D/3"),
    ]);
}

// RFC 3435 §4.4.1 b to d: the endpoint leaves the notification state; the old goes in front of the new.
#[test]
fn a_new_request_ends_the_wait_but_not_the_old_notification() {
    play(&[
        ("rqnt A R=D/1(N)", ""),
        ("see D/1", "stop 0:A:D/1"),
        ("rqnt B R=D/1(N)", ""),
        ("see D/1", "stop 0+1:B:D/1"),
        ("ack 0", ""),
        ("rqnt C R=D/1(N)", ""),
        ("see D/1", "stop 1+2:C:D/1"),
        ("ack 2", ""),
        ("rqnt D R=D/1(N)", ""),
        ("see D/1", "stop 1+3:D:D/1"),
        ("lost 1", ""),
        ("rqnt E R=D/1(N)", ""),
        ("see D/1", "stop 3+4:E:D/1"),
    ]);
}

#[test]
fn the_answer_to_an_older_notification_ends_nothing() {
    let notify = play(&[
        ("rqnt A R=D/1(N)", ""),
        ("see D/1", "stop 0:A:D/1"),
        ("rqnt B R=D/1(N) Q=loop", ""),
        ("see D/1 D/1", "stop 0+1:B:D/1 stop"),
        ("ack 0", ""),
        ("ack 7", ""),
    ]);
    assert_eq!(notify.notification_state(), NotificationState::Notification);
}

// RFC 3435 §4.4.1 f.
#[test]
fn with_too_many_under_way_the_last_answer_is_waited_for() {
    let many = [
        ("rqnt A R=D/1(N)", ""),
        ("see D/1", "stop 0:A:D/1"),
        ("rqnt B R=D/1(N)", ""),
        ("see D/1", "stop 0+1:B:D/1"),
        ("rqnt C R=D/1(N)", ""),
        ("see D/1", "stop 0+1+2:C:D/1"),
        ("see D/1", "stop"),
    ];
    // The request is in force all the same, and is what the quarantined events meet.
    let held = [("rqnt D R=D/[1-2](N)", ""), ("see D/2", "stop"), ("ack 1", ""), ("ack 2", "stop 0+3:D:D/1")];
    play(&[&many[..], &held[..]].concat());
    let discarded =
        [("rqnt D R=D/[1-2](N) Q=discard", ""), ("see D/2", "stop"), ("ack 2", "stop 0+1+3:D:D/2")];
    play(&[&many[..], &discarded[..]].concat());
    let reconnected = [
        ("rqnt D R=D/[1-2](N)", ""),
        ("lost 0", ""),
        ("lost 1", ""),
        ("back", ""),
        ("lost 2", ""),
        ("back", "stop 3:D:D/1"),
    ];
    play(&[&many[..], &reconnected[..]].concat());
}

// RFC 3435 §4.4.1: a lost notification leaves the endpoint in the notification state until it is connected.
#[test]
fn a_lost_notification_is_got_over_when_the_endpoint_is_connected_again() {
    let lost = [("rqnt A R=D/[0-9](N) Q=loop", ""), ("see D/1", "stop 0:A:D/1"), ("lost 0", "")];
    let notify = play(&lost);
    assert_eq!(notify.notification_state(), NotificationState::Notification);
    play(&[&lost[..], &[("see D/2", "stop"), ("back", "stop 1:A:D/2"), ("back", "")]].concat());
    // Or by a request, which may come at any time; what was lost is not repeated.
    play(&[&lost[..], &[("rqnt B R=D/[0-9](N)", ""), ("see D/2", "stop 1:B:D/2")]].concat());
}

// RFC 3435 §2.3.3, §4.4.1: X, Q and T stay, what was observed stays, the dial string does not.
#[test]
fn an_embedded_request_takes_over() {
    let notify = play(&[
        ("rqnt A R=D/[0-8](D),G/ft(A,E(R(D/[0-9](D),T/ro(N)),S(G/rt),D(xxP|12))) D=(99x)", ""),
        ("see D/8", "stop 0:A:D/8"),
        ("ack 0", ""),
        ("rqnt A R=D/[0-9](D),G/ft(A,E(R(D/[0-9](D),T/ro(N)),S(G/rt),D((12)))) D=(99x)", ""),
        ("see D/9", "stop"),
        ("see G/ft", "stop apply:G/rt"),
        ("embedded ok", ""),
        ("see G/ft", ""),
        ("see D/1", "stop"),
        ("see D/2", "stop 1:A:D/9,G/ft,D/1,D/2"),
        ("see T/ro G/ft", "stop"),
        ("ack 1", ""),
        ("rqnt B R=T/ro(N)", "stop 2:B:T/ro"),
    ]);
    assert_eq!(notify.digit_map().map(ToString::to_string).as_deref(), Some("(12)"));
}

// RFC 3435 §2.3.3: E alone does not accumulate what sets it off; events behind it meet the new list.
#[test]
fn an_event_with_only_an_embedded_request_is_not_told() {
    play(&[
        ("rqnt A R=G/mt(N)", ""),
        ("see G/mt", "stop 0:A:G/mt"),
        ("see G/mt", "stop"),
        ("rqnt B R=G/mt(K,E(R(D/[0-9](N)))) T=D/[0-9],G/ft", "apply:"),
        ("see D/5 G/ft", ""),
        ("embedded ok", "stop 0+1:B:D/5"),
    ]);
}

// RFC 3435 §2.3.3: with N, which needs loop mode; what comes after the answer meets the new list.
#[test]
fn an_embedded_request_with_a_notification_waits_for_the_answer() {
    let notify = play(&[
        ("rqnt A R=D/1(A),G/mt(N,E(R(D/[0-9](N)),S(G/rt))) Q=loop", ""),
        ("see D/1", "stop"),
        ("see G/mt", "stop apply:G/rt"),
        ("embedded ok", "0:A:D/1,G/mt"),
        ("see G/mt D/7", "stop"),
        ("ack 0", "stop 1:A:D/7"),
    ]);
    let asked: Vec<_> = notify.requested().map(|requested| requested.to_asked().to_string()).collect();
    assert_eq!(asked, ["D/[0-9](N)", "T/as(N)"]);
}

// RFC 3435 §B.1, §4.4.2.
#[test]
fn an_embedded_request_that_fails_leaves_all_as_it_was() {
    play(&[
        ("rqnt A R=D/[0-9](D),G/mt(E(R(T/ro(N)),S(G/rt))) D=(12)", ""),
        ("see D/1", "stop"),
        ("see G/mt", "stop apply:G/rt"),
        ("embedded fails", ""),
        ("see T/ro", ""),
        ("see D/2", "stop 0:A:D/1,D/2"),
    ]);
    // `enf` is asked for in the embedded request, or in the one around it.
    for asked in ["G/mt(E(R(B/enf(N))))", "G/mt(E(S(G/rt))),B/enf(N)"] {
        let request = format!("rqnt A R={asked}");
        play(&[
            (&request, ""),
            ("see G/mt", if asked.contains("G/rt") { "stop apply:G/rt" } else { "stop apply:" }),
            ("embedded fails", "stop 0:A:B/enf(527)"),
        ]);
    }
    play(&[
        ("rqnt A R=G/mt(N,E(R(B/enf(A)),S(G/rt))) Q=loop", ""),
        ("see G/mt", "stop apply:G/rt"),
        ("embedded fails", "stop 0:A:G/mt,B/enf(527)"),
        ("embedded ok", ""),
    ]);
}

#[test]
fn a_request_cancels_an_embedded_one_that_has_not_begun() {
    let mut notify = notify();
    let now = Instant::ZERO;
    notify.handle_request(now, Arc::new(request("A R=G/mt(A,E(R(T/ro(N)),S(G/rt)))")));
    notify.handle_event(now, observed("G/mt"));
    notify.handle_request(now, Arc::new(request("B R=G/mt(N)")));
    notify.handle_embedded(now, Ok(()));
    let mut endpoint = Endpoint { notify, now };
    assert_eq!(endpoint.play("wait 0"), "stop 0:B:G/mt");
    assert_eq!(endpoint.play("see T/ro"), "");
}

// RFC 3660 §2.2: its examples.
#[test]
fn the_interdigit_timer_runs_as_long_as_the_digit_map_says() {
    let partial = ("wait 15999", "");
    let critical = ("wait 3999", "");
    play(&[
        ("rqnt A R=D/[0-9T](D) D=(xxxxxxx|x11T)", ""),
        ("wait 99999", ""),
        ("see D/4", "stop"),
        partial,
        ("see D/1", "stop"),
        partial,
        ("see D/1", "stop"),
        critical,
        ("wait 1", "stop 0:A:D/4,D/1,D/1,D/T"),
        ("wait 99999", ""),
    ]);
    play(&[
        ("rqnt A R=D/[0-9T](D) D=(xxx)", ""),
        ("see D/4", "stop"),
        partial,
        ("wait 1", "stop 0:A:D/4,D/T"),
    ]);
    play(&[("rqnt A R=D/[0-9](D) D=(xxx)", ""), ("see D/4", "stop"), ("wait 99999", "")]);
}

#[test]
fn a_notification_and_a_request_end_the_interdigit_timer() {
    play(&[
        ("rqnt A R=D/[0-9T](D),T/ro(N) D=(xxx)", ""),
        ("see D/4", "stop"),
        ("see T/ro", "stop 0:A:D/4,T/ro"),
        ("wait 99999", ""),
        ("rqnt B R=D/[0-9T](D) D=(xxx)", ""),
        ("see D/4", "stop"),
        ("rqnt C R=T/ro(N)", ""),
        ("wait 99999", ""),
    ]);
}

// RFC 3660 §2.2: without a digit map it starts at once, and a digit only ends it.
#[test]
fn the_timer_without_a_digit_map_runs_from_the_request() {
    play(&[
        ("rqnt A R=D/[0-9](A),D/T(N) Q=loop", ""),
        ("wait 3999", ""),
        ("wait 1", "stop 0:A:D/T"),
        ("wait 99999", ""),
        ("ack 0", ""),
        ("wait 4000", "stop 1:A:D/T"),
        ("ack 1", ""),
        ("see D/5", "stop"),
        ("wait 99999", ""),
    ]);
}

// RFC 3435 §B.1, §4.4.1: room for `qbo`, once, at the place where events were lost.
#[test]
fn a_full_quarantine_list_says_so() {
    let full = vec!["D/1"; QUARANTINE_MAX].join(" ");
    let see = format!("see {full}");
    let mut notify = play(&[
        ("rqnt A R=D/[0-9](N) B/PR=B/qbo(A)", ""),
        ("see D/9", "stop 0:A:D/9"),
        (&see, "stop"),
        ("see D/2 D/2", "stop"),
        ("rqnt B R=D/[0-2](K),D/3(N)", "stop"),
        ("see D/3", "stop 0+1:B:B/qbo,D/3"),
        (&see, ""),
        ("see D/2", ""),
        ("rqnt C R=D/3(N)", "stop"),
    ]);
    assert_eq!((notify.take_lost(), notify.take_lost()), (3, 0));
    // Where nobody asks for it there is none.
    play(&[
        ("rqnt A R=D/[0-9](N)", ""),
        ("see D/9", "stop 0:A:D/9"),
        (&see, "stop"),
        ("see D/2", "stop"),
        ("rqnt B R=D/[0-9](I),B/qbo(N)", "stop"),
    ]);
}

// RFC 3435 §2.3.4, §B.1.
#[test]
fn a_full_list_of_observed_events_says_so() {
    let see = format!("see {}", vec!["D/1"; OBSERVED_MAX].join(" "));
    let told = ["D/1"; OBSERVED_MAX].join(",");
    play(&[("rqnt A R=D/[0-9](A,K),B/oef(N,K)", ""), (&see, &format!("0:A:{told},B/oef"))]);
    // If it is not what triggers, all goes on but that nothing is added; digits are still matched.
    let map = format!("rqnt A R=D/[0-9](D,K),B/oef(A,K) D=({}2)", "x".repeat(OBSERVED_MAX));
    let mut notify = play(&[(&map, ""), (&see, ""), ("see D/2", &format!("0:A:{told},B/oef"))]);
    assert_eq!(notify.take_lost(), 1);
    // Nobody asks for it.
    play(&[("rqnt A R=D/1(A,K),D/2(N,K)", ""), (&see, ""), ("see D/1 D/2", &format!("0:A:{told}"))]);
    // What is observed meets the next request, all of it.
    let again = format!("0:B:{told},B/oef");
    play(&[("rqnt A R=D/1(A,K),B/oef(A,K)", ""), (&see, ""), ("rqnt B R=D/1(A,K),B/oef(N,K)", &again)]);
}

// RFC 3992 §2.1.
#[test]
fn lockstep_is_reported_once_a_notification() {
    play(&[
        ("lockstep 5000", ""),
        ("rqnt A R=D/1(N)", ""),
        ("see D/1", "stop 0:A:D/1"),
        ("wait 9000", ""),
        ("ack 0", ""),
        ("wait 4999", ""),
        ("wait 1", "lockstep"),
        ("wait 9000", ""),
        // Set again, it starts again; zero ends it.
        ("lockstep 3000", ""),
        ("wait 2000", ""),
        ("lockstep 3000", ""),
        ("wait 2000", ""),
        ("wait 1000", "lockstep"),
        ("lockstep 3000", ""),
        ("lockstep 0", ""),
        ("wait 9000", ""),
        ("lockstep 3000", ""),
        ("rqnt B R=D/1(N)", ""),
        ("wait 9000", ""),
    ]);
}

#[test]
fn in_loop_mode_there_is_no_lockstep() {
    play(&[
        ("lockstep 5000", ""),
        ("rqnt A R=D/1(N) Q=loop", ""),
        ("see D/1", "stop 0:A:D/1"),
        ("ack 0", ""),
        ("wait 9000", ""),
    ]);
}

#[test]
fn a_notification_repeats_who_asked_for_it() {
    let mut notify = notify();
    let entity: Option<EntityName> = "ca@example.net".parse().ok();
    let request = Request { notified_entity: Some(entity.clone()), ..request("A R=D/1(N)") };
    notify.handle_request(Instant::ZERO, Arc::new(request));
    notify.handle_event(Instant::ZERO, observed("D/1"));
    assert_eq!(notify.poll_effect(), Some(Effect::StopSignals));
    let Some(Effect::Notify(notification)) = notify.poll_effect() else { panic!("D/1 is notified") };
    assert_eq!(notification.notified_entity, Some(entity));
}

#[test]
fn requests_that_cannot_be_granted_are_refused() {
    let notify = notify();
    let known: ConnectionId = "1A".parse().expect("hex");
    let check = |notify: &Notify, text: &str| {
        let off_hook = |event: EventId| (event == observed("G/mt").event).then_some(ReturnCode::OFF_HOOK);
        notify.check(&request(text), &|connection| connection == known, &off_hook)
    };
    let gone = "1B".parse().expect("hex");
    // RFC 3435 §2.3.3.
    assert_eq!(check(&notify, "A R=D/1(D)"), Err(Refusal::NoDigitMap));
    assert_eq!(check(&notify, "A R=D/1(D) D=(1)"), Ok(()));
    assert_eq!(check(&notify, "A R=T/ro(E(R(D/1(D))))"), Err(Refusal::NoDigitMap));
    assert_eq!(check(&notify, "A R=T/ro(E(R(D/1(D)),D((1))))"), Ok(()));
    assert_eq!(check(&notify, "A R=T/ro(E(R(D/1(D)))) D=(1)"), Ok(()));
    assert_eq!(check(&notify, "A R=T/ro(N,E(R(D/1(N))))"), Err(Refusal::Actions));
    assert_eq!(check(&notify, "A R=T/ro(N,E(R(D/1(N)))) Q=loop"), Ok(()));
    assert_eq!(check(&notify, "A R=T/ro(N),D/1(N),T/ro(A)"), Err(Refusal::Twice));
    assert_eq!(check(&notify, "A R=R/qa@*(N),R/qa@1A(A)"), Ok(()));
    // RFC 3435 §4.4.2.
    assert_eq!(check(&notify, "A R=G/mt(N)"), Err(Refusal::Glare(ReturnCode::OFF_HOOK)));
    assert_eq!(check(&notify, "A R=G/mt(I) B/PR=G/mt(N) T=G/mt"), Ok(()));
    assert_eq!(check(&notify, "A R=T/ro(E(R(G/mt(N))))"), Ok(()));
    // RFC 3435 §2.1.7, §B.2.1: persistent events speak of their connections in each request.
    for text in ["A R=R/qa@1B(N)", "A T=R/qa@1B", "A B/PR=R/qa@1B(N)", "A R=T/ro(E(R(R/qa@1B(N))))"] {
        assert_eq!(check(&notify, text), Err(Refusal::Connection(gone)), "{text}");
    }
    let persistent = play(&[("rqnt A B/PR=R/qa@1B(N)", "")]);
    assert_eq!(check(&persistent, "B"), Err(Refusal::Connection(gone)));
    assert_eq!(check(&persistent, "B B/PR="), Ok(()));
    assert_eq!(check(&play(&[("rqnt A D=(1)", "")]), "B R=D/1(D)"), Ok(()));
}

// RFC 3435 §2.3.10.
#[test]
fn audits_show_persistent_events_once() {
    let notify = play(&[("rqnt A R=T/as(A),D/1(N) T=T/as,D/2 B/PR=D/3(N)", "")]);
    let requested: Vec<_> = notify.requested().map(|r| r.to_asked().to_string()).collect();
    assert_eq!(requested, ["T/as(A)", "D/1(N)"]);
    let detected: Vec<_> = notify.detected().map(|pattern| pattern.asked.to_string()).collect();
    assert_eq!(detected, ["T/as", "D/2"]);
    assert_eq!(notify.persistent().len(), 1);
    let watched: Vec<_> = notify.watched().map(|pattern| pattern.asked.to_string()).collect();
    assert_eq!(watched, ["T/as", "D/1", "D/3", "T/as", "T/as", "D/2"]);
    assert_eq!(notify.request().identifier, "A".parse().expect("hex"));
    let asked = "T/ro(A,E(R(D/[0-9](D)),S(G/rt),D((1|2))))";
    assert_eq!(requested_back(asked), asked);
}

fn requested_back(text: &str) -> String {
    requested(text)[0].to_asked().to_string()
}

/// With every event requested and nothing discarded, each is told once, and in order, whatever the
/// requests, answers and losses between them.
#[test]
fn no_event_is_told_twice_or_out_of_order_or_not_at_all() {
    for seed in 0..300 {
        println!("seed {seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let mut endpoint = Endpoint { notify: notify(), now: Instant::ZERO };
        endpoint.play("rqnt 1 R=D/[0-9](N)");
        let (mut seen, mut told, mut under_way) = (Vec::new(), Vec::new(), Vec::new());
        for step in 0..120 {
            let input = match rng.random_range(0..10) {
                0..5 => {
                    let digit = rng.random_range(0..10);
                    seen.push(digit);
                    format!("see D/{digit}")
                }
                5 => format!("rqnt {step} R=D/[0-9](N)"),
                6 => format!("rqnt {step} R=D/[0-9](D) D=(xx|1) Q=loop"),
                7 => format!("rqnt {step} R=D/[0-4](A),D/[5-9](N) Q=loop"),
                8 if !under_way.is_empty() => {
                    format!("ack {}", under_way.remove(rng.random_range(0..under_way.len())))
                }
                8 | 9 => "back".to_owned(),
                _ => unreachable!("of ten"),
            };
            tell(&endpoint.play(&input), &mut told, &mut under_way);
        }
        // In the end all is told: each answered request tells one more.
        for step in 0..=seen.len() {
            for id in std::mem::take(&mut under_way) {
                tell(&endpoint.play(&format!("ack {id}")), &mut told, &mut under_way);
            }
            tell(&endpoint.play(&format!("rqnt {step} R=D/[0-9](N)")), &mut told, &mut under_way);
        }
        assert_eq!(told, seen);
    }
}

/// Takes the digits and the number out of what is told.
fn tell(effects: &str, told: &mut Vec<u32>, under_way: &mut Vec<u32>) {
    for effect in effects.split(' ').filter(|effect| effect.contains(':')) {
        let mut parts = effect.split(':');
        let id = parts.next().and_then(|ids| ids.rsplit('+').next()).and_then(|id| id.parse().ok());
        let id = id.expect("a number");
        let digits = parts.next_back().expect("events").split(',');
        told.extend(digits.map(|digit| digit[2..].parse::<u32>().expect("D/n")));
        under_way.push(id);
        assert!(under_way.len() <= OUTSTANDING_MAX);
    }
}

/// Whatever comes, in whatever order, all lists stay within their bounds, and each state has what it has.
#[test]
fn no_order_of_things_leaves_the_states() {
    const REQUESTS: [&str; 8] = [
        "R=D/[0-9](N)",
        "R=D/[0-9T](D),T/ro(A) D=(xxT|9) Q=loop",
        "R=D/[0-9](A),D/T(N),G/mt(N,E(R(D/1(N),B/enf(A)),S(G/rt),D((1)))) Q=loop,discard",
        "R=D/[0-9](A,E(R(D/[0-9](N),T/ro(K)),S(G/rt))),B/oef(A) T=T/ro,B/qbo",
        "R=D/[1-4](I),D/5(E(R(D/6(N))),K) Q=discard T=",
        "B/PR=D/0(A),B/qbo(N),B/oef(N),B/enf(N) Q=loop",
        "R=D/1(S),D/2(N,S),T/ro(N) B/PR=",
        "",
    ];
    for seed in 0..300 {
        println!("seed {seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let mut endpoint = Endpoint { notify: notify(), now: Instant::ZERO };
        for _ in 0..300 {
            let input = match rng.random_range(0..20) {
                0..10 => format!("see D/{}", rng.random_range(0..10)),
                10 => vec!["see T/ro"; QUARANTINE_MAX / 2].join(" ").replace(" see", ""),
                11 => "see G/mt".to_owned(),
                12 => format!("ack {}", rng.random_range(0..endpoint.notify.next.0 + 1)),
                13 => format!("lost {}", rng.random_range(0..endpoint.notify.next.0 + 1)),
                14 => "back".to_owned(),
                15 => format!("wait {}", rng.random_range(0..20_000)),
                16 => format!("lockstep {}", rng.random_range(0..2) * 5_000),
                _ => format!("rqnt A {}", REQUESTS[rng.random_range(0..REQUESTS.len())]).trim().to_owned(),
            };
            let request = input.strip_prefix("rqnt ").map(request);
            if request.is_none_or(|request| endpoint.notify.check(&request, &|_| true, &|_| None).is_ok()) {
                endpoint.play(&input);
            }
            while matches!(endpoint.notify.state, State::Embedding { .. }) {
                endpoint.play(if rng.random() { "embedded ok" } else { "embedded fails" });
            }
            check_bounds(&endpoint.notify);
        }
    }
}

#[track_caller]
fn check_bounds(notify: &Notify) {
    assert!(notify.observed.len() <= OBSERVED_MAX + 1);
    assert!(notify.quarantine.len() <= QUARANTINE_MAX + OBSERVED_MAX + 2);
    assert!(notify.outstanding.len() <= OUTSTANDING_MAX);
    match notify.state {
        State::Processing => assert_eq!(notify.quarantine.len(), 0, "all has been processed"),
        State::Embedding { .. } => panic!("it has been ended"),
        State::Notification { .. } => assert_eq!(notify.dial.due(), None, "nothing is dialled"),
        State::WaitForRequest => assert_eq!(notify.observed.len(), 0, "all has been told"),
    }
    let may_report = notify.state == State::WaitForRequest && notify.lockstep.after.is_some();
    assert!(notify.lockstep.due.is_none() || may_report);
}
