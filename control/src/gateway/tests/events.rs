//! RQNT, NTFY, and requests inside other commands.

use dataplane::link::{CheckTone, DetectorSet, Digit, Observation, PlayId, Side, Sound};

use super::*;
use crate::command::notification::tests::PACKAGES;

/// A gateway with events and signals of all kinds.
pub(super) fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.gateway.state.packages = PACKAGES;
    bench
}

impl Bench {
    /// The circuit of `ds/e1-1/1`.
    pub(super) fn line(&self) -> Side {
        let id = self.gateway.state.endpoints.ids().next().expect("an endpoint");
        Side::Line(self.gateway.state.endpoints[id].ds0().expect("a circuit"))
    }

    pub(super) fn observe(&mut self, side: Side, what: Observation) -> Vec<String> {
        let report = Report::Observed { side, at: self.now, what };
        self.gateway.handle(self.now, Input::Report { core: CoreId(0), report });
        let mut said = self.sent();
        said.extend(self.carry_out());
        said
    }

    /// Dials on `ds/e1-1/1`; what the gateway says.
    pub(super) fn dial(&mut self, digits: &str) -> Vec<String> {
        let line = self.line();
        let digits = digits.chars().map(|written| Digit::new(written).expect("a digit"));
        digits.flat_map(|digit| self.observe(line, Observation::Began(Sound::Digit(digit)))).collect()
    }

    /// Answers a command of the gateway's.
    pub(super) fn answer_to(&mut self, command: &str) -> Vec<String> {
        let transaction = command.split(' ').nth(1).expect("a transaction").to_owned();
        self.say(&format!("200 {transaction} OK\n"))
    }
}

#[track_caller]
pub(super) fn one(mut said: Vec<String>) -> String {
    assert_eq!(said.len(), 1, "{said:?}");
    said.remove(0)
}

fn is_play(action: &Action) -> bool {
    matches!(action, Action::Play { .. })
}

#[test]
fn a_signal_that_is_over_before_its_request_takes_effect_is_told_of() {
    let mut bench = bench();
    let command = "RQNT 7 ds/e1-1/1@gw MGCP 1.0\nX: 1F\nR: G/oc(N)\nS: G/cg(to=5)\n";
    assert_eq!(bench.say_only(command), [""; 0]);
    // The core takes longer.
    assert_eq!(bench.after(Duration::from_millis(10)), [""; 0]);
    assert_code(&one(bench.carry_out()), 200);
    let told = one(bench.after(Duration::from_millis(1)));
    assert_eq!(header(&told, "X").as_deref(), Some("1F"), "{told}");
    assert_eq!(header(&told, "O").as_deref(), Some("G/oc(G/cg)"));
}

#[test]
fn what_was_dialled_is_told_when_it_matches() {
    let mut bench = bench();
    let answer = bench.ask("RQNT ds/e1-1/1@gw", "X: 1F\nR: D/[0-9#*T](D)\nD: (xxxx|#)\n");
    assert_code(&answer, 200);
    let line = bench.line();
    assert_eq!(bench.actions(), [Action::Watch { side: line, detectors: DetectorSet::DTMF }]);
    assert_eq!(bench.dial("123"), [""; 0]);
    let told = one(bench.dial("4"));
    assert!(told.starts_with("NTFY ") && told.contains(" ds/e1-1/1@"), "{told}");
    assert_eq!(header(&told, "X").as_deref(), Some("1F"));
    assert_eq!(header(&told, "O").as_deref(), Some("D/1,D/2,D/3,D/4"));
    // RFC 3435 §4.4.1: one notification for each request, in step mode.
    assert_eq!(bench.answer_to(&told), [""; 0]);
    assert_eq!(bench.dial("5"), [""; 0]);
    let audit = bench.ask("AUEP ds/e1-1/1@gw", "F: X,R,D,O,Q,B/NS\n");
    assert_eq!(header(&audit, "B/NS").as_deref(), Some("ls"));
    assert_eq!(header(&audit, "R").as_deref(), Some("D/[0-9*#T](D)"));
    assert_eq!(header(&audit, "D").as_deref(), Some("(xxxx|#)"));
    // What was quarantined meanwhile is told by the next request.
    let said = bench.say("RQNT 900 ds/e1-1/1@gw MGCP 1.0\nX: 2\nR: D/x(N)\n");
    assert_eq!(said.len(), 2, "{said:?}");
    assert_code(&said[0], 200);
    assert_eq!(header(&said[1], "X").as_deref(), Some("2"));
    assert_eq!(header(&said[1], "O").as_deref(), Some("D/5"));
}

#[test]
fn a_dialler_who_stops_is_told_by_the_timer() {
    let mut bench = bench();
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", "X: 1\nR: D/[0-9T](D)\nD: (xx.T)\n"), 200);
    assert_eq!(bench.dial("12"), [""; 0]);
    assert_eq!(bench.after(Duration::from_millis(3_900)), [""; 0]);
    let told = one(bench.after(Duration::from_millis(200)));
    assert_eq!(header(&told, "O").as_deref(), Some("D/1,D/2,D/T"));
}

#[test]
fn a_notification_is_repeated_until_it_is_answered() {
    let mut bench = bench();
    assert_code(
        &bench.ask("RQNT ds/e1-1/1@gw", "X: 1\nQ: loop\nR: D/[0-9](N)\nN: ca@[127.0.0.1]:2727\n"),
        200,
    );
    let told = one(bench.dial("1"));
    assert_eq!(header(&told, "N").as_deref(), Some("ca@[127.0.0.1]:2727"));
    let again = bench.after(Duration::from_secs(2));
    assert!(!again.is_empty() && again.iter().all(|other| *other == told), "{again:?}");
    assert_eq!(bench.dial("2"), [""; 0]);
    let next = one(bench.answer_to(&told));
    assert_eq!(header(&next, "O").as_deref(), Some("D/2"));
    assert_eq!(bench.answer_to(&next), [""; 0]);
    assert_eq!(bench.after(Duration::from_secs(60)), [""; 0]);
}

#[test]
fn a_signal_sounds_until_its_time_is_up() {
    let mut bench = bench();
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", "X: 1\nR: G/oc(N)\nS: G/rt(to=2000)\n"), 200);
    let line = bench.line();
    let plays = bench.actions();
    assert!(matches!(plays[..], [Action::Play { side, play: PlayId(0), .. }] if side == line), "{plays:?}");
    let audit = bench.ask("AUEP ds/e1-1/1@gw", "F: S\n");
    assert_eq!(header(&audit, "S").as_deref(), Some("G/rt(to=2000)"));
    let told = one(bench.after(Duration::from_millis(2_001)));
    assert_eq!(header(&told, "O").as_deref(), Some("G/oc(G/rt)"));
    assert_eq!(bench.actions(), [Action::Stop { side: line, play: PlayId(0) }]);
}

#[test]
fn an_event_stops_signals_and_so_does_an_empty_list() {
    let mut bench = bench();
    let line = bench.line();
    let stop = |play| Action::Stop { side: line, play: PlayId(play) };
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", "X: 1\nR: D/1(I),D/2(K,I)\nS: G/cg\n"), 200);
    bench.actions();
    bench.dial("2");
    assert_eq!(bench.actions(), []);
    bench.dial("1");
    assert_eq!(bench.actions(), [stop(0)]);
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", "X: 2\nS: G/cg\n"), 200);
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", "X: 3\n"), 200);
    assert!(bench.actions().contains(&stop(1)));
}

#[test]
fn digits_are_played_one_after_the_other() {
    let mut bench = bench();
    let line = bench.line();
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", "X: 1\nS: D/1\n"), 200);
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", "X: 2\nS: D/2\n"), 200);
    assert_eq!(bench.actions().iter().filter(|action| is_play(action)).count(), 1);
    bench.observe(line, Observation::PlayEnded(PlayId(0)));
    assert_eq!(bench.actions().iter().filter(|action| is_play(action)).count(), 1);
}

#[test]
fn an_embedded_request_takes_over() {
    let mut bench = bench();
    let embedded = "X: 1\nR: D/1(E(R(D/[0-9](D)),S(G/rt),D(xx)))\n";
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", embedded), 200);
    bench.actions();
    assert_eq!(bench.dial("1"), [""; 0]);
    assert!(bench.actions().iter().any(is_play));
    let told = one(bench.dial("23"));
    assert_eq!(header(&told, "O").as_deref(), Some("D/2,D/3"));
}

#[test]
fn both_commands_succeed_or_neither() {
    let mut bench = bench();
    let before = bench.gateway.digest();
    let bad = format!("C: A1\nM: sendrecv\nX: 1\nR: D/9(N)\nS: G/zz\n\n{REMOTE}");
    assert_code(&bench.ask("CRCX ds/e1-1/1@gw", &bad), 522);
    let early = "C: A1\nM: recvonly\nX: 1\nS: G/rt@$\n";
    assert_code(&bench.ask("CRCX ds/e1-1/1@gw", early), 527);
    assert_eq!(bench.gateway.digest(), before);
    let good = format!("C: A1\nM: sendrecv\nX: 1\nR: G/oc(N)\nS: G/rt@$\n\n{REMOTE}");
    let made = bench.ask("CRCX ds/e1-1/1@gw", &good);
    let id = header(&made, "I").expect("an id");
    let actions = bench.actions();
    assert!(matches!(actions[..], [Action::Connect { .. }, Action::Play { side: Side::Network(_), .. }]));
    let audit = bench.ask("AUEP ds/e1-1/1@gw", "F: X,S\n");
    assert_eq!(header(&audit, "X").as_deref(), Some("1"));
    assert_eq!(header(&audit, "S"), Some(format!("G/rt@{id}")));
    // RFC 3435 §2.1.7: with its connection the signal ends; it has failed, but nobody wants to know.
    assert_code(&bench.ask("DLCX ds/e1-1/1@gw", ""), 250);
    assert!(bench.actions().iter().all(|action| matches!(action, Action::Disconnect { .. })));
    let audit = bench.ask("AUEP ds/e1-1/1@gw", "F: S\n");
    assert_eq!(header(&audit, "S").as_deref(), Some(""));
}

#[test]
fn a_second_request_ends_the_first_and_what_it_began() {
    let mut bench = bench();
    let line = bench.line();
    assert_eq!(bench.say_only("RQNT 900 ds/e1-1/1@gw MGCP 1.0\nX: 1\nR: D/1(N)\nS: G/rt\n"), [""; 0]);
    let said = bench.say_only("RQNT 901 ds/e1-1/1@gw MGCP 1.0\nX: 2\nR: D/2(N)\n");
    assert_code(&said[0], 407);
    let watch = Action::Watch { side: line, detectors: DetectorSet::DTMF };
    let play = PlayId(0);
    let actions = bench.actions();
    assert!(matches!(&actions[..], [Action::Play { .. }, first, last]
        if *first == watch && *last == Action::Stop { side: line, play }));
    bench.carry_out();
    assert_eq!(bench.dial("1"), [""; 0]);
    let told = one(bench.dial("2"));
    assert_eq!(header(&told, "X").as_deref(), Some("2"));
}

#[test]
fn a_request_is_granted_when_the_core_listens() {
    let mut bench = bench();
    assert_eq!(bench.say_only("RQNT 900 ds/e1-1/1@gw MGCP 1.0\nX: 1\nR: D/1(N)\n"), [""; 0]);
    assert_eq!(bench.after(Duration::from_millis(10)), [""; 0]);
    assert_code(&one(bench.carry_out()), 200);
    // What it wants is listened for already.
    let said = bench.say_only("RQNT 901 ds/e1-1/1@gw MGCP 1.0\nX: 2\nR: D/2(N)\n");
    assert_code(&one(said), 200);
}

#[test]
fn digits_on_a_connection_are_told_by_its_name() {
    let mut bench = bench();
    let made = bench.ask("CRCX ds/e1-1/1@gw", "C: A1\nM: recvonly\nX: 1\nQ: loop\nR: D/[0-9]@$(N)\n");
    let id = header(&made, "I").expect("an id");
    let actions = bench.actions();
    let Some(Action::Watch { side, detectors: DetectorSet::DTMF }) = actions.last() else {
        panic!("{actions:?}")
    };
    assert!(matches!(side, Side::Network(_)));
    assert_eq!(bench.dial("1"), [""; 0], "the line is not asked about");
    let five = Observation::Began(Sound::Digit(Digit::new('5').expect("a digit")));
    let told = one(bench.observe(*side, five));
    assert_eq!(header(&told, "O"), Some(format!("D/5@{id}")));
    assert_eq!(bench.answer_to(&told), [""; 0]);
    // With `*`, connections to come are listened to as well.
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", "X: 2\nR: D/[0-9]@*(N)\n"), 200);
    assert_eq!(bench.actions(), []);
    assert_code(&bench.ask("CRCX ds/e1-1/1@gw", "C: A1\nM: recvonly\n"), 200);
    let actions = bench.actions();
    assert!(matches!(actions[..], [Action::Connect { .. }, Action::Watch { side: Side::Network(_), .. }]));
    assert_code(&bench.ask("DLCX ds/e1-1/1@gw", ""), 250);
    assert!(bench.actions().iter().all(|action| matches!(action, Action::Disconnect { .. })));
    // What is observed of a connection that has gone is nobody's.
    assert_eq!(bench.observe(*side, five), [""; 0]);
}

// RFC 3660 §2.1, RFC 5347 §2.2.2.
#[test]
fn a_fax_machine_is_told_and_that_nothing_is_done_for_it() {
    let mut bench = Bench::new();
    let line = bench.line();
    let request = "X: 1\nR: G/ft(A),FXR/nopfax(N),fxr/t38,fxr/gwfax\n";
    for (code, sound) in [(1, Sound::FaxCalling), (2, Sound::FaxPreamble)] {
        assert_code(&bench.ask("RQNT ds/e1-1/1@gw", request), 200);
        let told = one(bench.observe(line, Observation::Began(sound)));
        assert_eq!(header(&told, "O").as_deref(), Some("G/ft,FXR/nopfax(start)"), "{code}");
        bench.answer_to(&told);
    }
}

// A brief signal that makes no sound would else keep those that come after it waiting for ever.
#[test]
fn what_is_played_nowhere_is_over_at_once() {
    let mut bench = bench();
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", "X: 1\nS: D/5@*\n"), 200);
    assert_eq!(bench.actions(), []);
    let id = bench.crcx("ds/e1-1/1@gw", "A1");
    bench.actions();
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", &format!("X: 2\nS: D/6@{id}\n")), 200);
    assert!(matches!(bench.actions()[..], [Action::Play { side: Side::Network(_), .. }]));
    // The connection takes what is played on it with it.
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", "X: 3\nS: D/7@*\n"), 200);
    assert_code(&bench.ask("DLCX ds/e1-1/1@gw", ""), 250);
    let id = bench.crcx("ds/e1-1/1@gw", "A1");
    bench.actions();
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", &format!("X: 4\nS: D/8@{id}\n")), 200);
    assert!(matches!(bench.actions()[..], [Action::Play { side: Side::Network(_), .. }]));
}

// RFC 3660 §2.3.
#[test]
fn a_continuity_test_passes_when_the_return_tone_has_come_and_gone() {
    let mut bench = Bench::new();
    let line = bench.line();
    let check = |tone| Sound::Check(tone);
    let request = "X: 1\nR: T/co2(N),T/oc(N),T/of(N)\nS: T/co1\n";
    assert_code(&bench.ask("RQNT ds/e1-1/17@gw", request), 200);
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", request), 200);
    let watch = Action::Watch { side: line, detectors: DetectorSet::CHECK };
    assert!(matches!(&bench.actions()[2..], [Action::Play { .. }, last] if *last == watch));
    // Its own tone comes back, which is not what is awaited.
    assert_eq!(bench.observe(line, Observation::Began(check(CheckTone::Co1))), [""; 0]);
    assert_eq!(bench.actions(), []);
    assert_eq!(bench.observe(line, Observation::Began(check(CheckTone::Co2))), [""; 0]);
    assert!(matches!(bench.actions()[..], [Action::Stop { side, .. }] if side == line));
    let told = one(bench.observe(line, Observation::Ended { sound: check(CheckTone::Co2), ms: 90 }));
    assert_eq!(header(&told, "O").as_deref(), Some("T/co2"));
    assert_eq!(bench.actions(), [Action::Watch { side: line, detectors: DetectorSet::NONE }]);
    assert_eq!(bench.answer_to(&told), [""; 0]);
    // At the other endpoint nothing comes back.
    let told = one(bench.after(Duration::from_secs(3)));
    assert!(told.contains("/17@"), "{told}");
    assert_eq!(header(&told, "O").as_deref(), Some("T/oc(T/co1)"));
}

#[test]
fn a_wildcard_asks_all_or_none() {
    let mut bench = bench();
    assert_code(&bench.ask("RQNT ds/e1-1/*@gw", "X: 1\nR: D/1(N)\n"), 200);
    assert_eq!(bench.actions().len(), 31);
    bench.span_event(1, down());
    bench.actions();
    let before = bench.gateway.digest();
    assert_code(&bench.ask("RQNT *@gw", "X: 2\nR: D/2(N)\n"), 501);
    assert_eq!(bench.gateway.digest(), before);
}

#[test]
fn an_outage_ends_requests_and_signals() {
    let mut bench = bench();
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", "X: 1\nR: D/1(N)\nS: G/cg\n"), 200);
    bench.actions();
    bench.span_event(0, down());
    let line = bench.line();
    let actions = bench.actions();
    assert!(actions.contains(&Action::Stop { side: line, play: PlayId(0) }), "{actions:?}");
    assert!(actions.contains(&Action::Watch { side: line, detectors: DetectorSet::NONE }), "{actions:?}");
    let audit = bench.ask("AUEP ds/e1-1/1@gw", "F: X,R,S\n");
    assert_eq!(header(&audit, "X").as_deref(), Some("0"));
    assert_eq!(header(&audit, "R").as_deref(), Some(""));
}

#[test]
fn who_names_an_unknown_package_is_told_the_known() {
    let mut bench = Bench::new();
    let answer = bench.ask("RQNT ds/e1-1/1@gw", "X: 1\nR: H/hd(N)\n");
    assert_code(&answer, 518);
    assert_eq!(
        header(&answer, "PL").as_deref(),
        Some("T:1,G:1,D:1,R:1,L:1,FXR:0,B:0,SL:0,DM1:0,BA:0,RED:0,LCK:0")
    );
}

// RFC 3435 §4.4.1, §4.4.7: until the disconnected procedure is complete, what happens is quarantined.
#[test]
fn what_nobody_heard_is_followed_by_the_disconnected_procedure() {
    let mut bench = bench();
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", "X: 1\nQ: loop\nR: D/[0-9](N)\n"), 200);
    let told = one(bench.dial("1"));
    let said = bench.after(Duration::from_secs(90));
    let rsip = said.iter().find(|message| message.starts_with("RSIP ")).expect("RSIP");
    assert!(said.iter().all(|message| *message == told || message.starts_with("RSIP ")), "{said:?}");
    assert_eq!(header(rsip, "RM").as_deref(), Some("disconnected"));
    assert_eq!(bench.dial("2"), [""; 0]);
    let next = one(bench.answer_to(rsip));
    assert_eq!(header(&next, "O").as_deref(), Some("D/2"));
}

// RFC 3435 §2.3.3: call waiting, with one connection that talks and one that is held.
#[test]
fn an_event_swaps_audio_between_connections() {
    let mut bench = bench();
    let modes = |bench: &mut Bench, ids: &[&String]| {
        let mut mode = |id: &&String| {
            let audit = bench.ask("AUCX ds/e1-1/1@gw", &format!("I: {id}\nF: M\n"));
            header(&audit, "M").expect("a mode")
        };
        ids.iter().map(&mut mode).collect::<Vec<_>>()
    };
    let swap = "X: 1\nQ: loop\nR: D/1(S,A),D/2(N,S),D/3(S,I)\n";
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", swap), 200);
    let talking = bench.crcx("ds/e1-1/1@gw", "A1");
    // With one connection it does nothing.
    bench.dial("1");
    assert_eq!(modes(&mut bench, &[&talking]), ["sendrecv"]);
    let held = bench.crcx("ds/e1-1/1@gw", "A2");
    let hold = format!("C: A2\nI: {held}\nM: inactive\n");
    assert_code(&bench.ask("MDCX ds/e1-1/1@gw", &hold), 200);
    bench.actions();
    bench.dial("1");
    assert_eq!(modes(&mut bench, &[&talking, &held]), ["inactive", "sendrecv"]);
    assert_eq!(bench.actions().iter().filter(|action| matches!(action, Action::Modify { .. })).count(), 2);
    let told = one(bench.dial("2"));
    assert_eq!(header(&told, "O").as_deref(), Some("D/1,D/1,D/2"));
    assert_eq!(modes(&mut bench, &[&talking, &held]), ["sendrecv", "inactive"]);
    bench.answer_to(&told);
    // Not while a command is changing one of them.
    let change = format!("MDCX 900 ds/e1-1/1@gw MGCP 1.0\nC: A2\nI: {held}\nM: inactive\n");
    assert_eq!(bench.say_only(&change), [""; 0]);
    let digit = Observation::Began(Sound::Digit(Digit::new('3').expect("a digit")));
    let report = Report::Observed { side: bench.line(), at: bench.now, what: digit };
    bench.gateway.handle(bench.now, Input::Report { core: CoreId(0), report });
    assert_code(&one(bench.carry_out()), 200);
    assert_eq!(modes(&mut bench, &[&talking, &held]), ["sendrecv", "inactive"]);
}

// RFC 3435 §2.3.3: the signals of one list sound at once.
#[test]
fn signals_of_one_list_sound_together_as_far_as_can_be() {
    let mut bench = bench();
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", "X: 1\nS: G/rt,G/cg\n"), 200);
    assert_eq!(bench.actions().iter().filter(|action| is_play(action)).count(), 2);
    // Those that go on are not begun again; the other makes room.
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", "X: 2\nS: G/rt,D/5\n"), 200);
    let actions = bench.actions();
    assert!(
        matches!(actions[..], [Action::Stop { play: PlayId(1), .. }, Action::Play { .. }]),
        "{actions:?}"
    );
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", "X: 3\nS: G/rt,G/cg,D/5\n"), 513);
    // A digit that sounds still and the two that are to be steady are too many, too.
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", "X: 3\nS: G/rt,G/cg\n"), 513);
    assert_eq!(bench.actions(), []);
}

// RFC 3435 §4.4.3: until a command has succeeded, events are processed by the request that is in place.
#[test]
fn events_meet_the_old_request_until_the_new_one_is_granted() {
    let mut bench = bench();
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", "X: 1\nQ: loop\nR: D/1(N)\n"), 200);
    let digit = |bench: &mut Bench, written| {
        let what = Observation::Began(Sound::Digit(Digit::new(written).expect("a digit")));
        let report = Report::Observed { side: bench.line(), at: bench.now, what };
        bench.gateway.handle(bench.now, Input::Report { core: CoreId(0), report });
        bench.sent()
    };
    let create = "CRCX 900 ds/e1-1/1@gw MGCP 1.0\nC: A1\nM: recvonly\nX: 2\nR: D/2(N)\n";
    assert_eq!(bench.say_only(create), [""; 0]);
    let told = one(digit(&mut bench, '1'));
    assert_eq!((header(&told, "X").as_deref(), header(&told, "O").as_deref()), (Some("1"), Some("D/1")));
    assert_eq!(digit(&mut bench, '2'), [""; 0], "nobody asks for it yet");
    assert_code(&bench.carry_out()[0], 200);
    // That took the endpoint out of the notification state.
    let both = one(digit(&mut bench, '2'));
    assert!(both.starts_with(&told), "{both}");
    assert_eq!(digit(&mut bench, '1'), [""; 0]);
}

// RFC 3435 §B.2.1: persistent events are part of each request.
#[test]
fn persistent_events_of_a_connection_that_is_gone_have_requests_refused() {
    let mut bench = bench();
    let id = bench.crcx("ds/e1-1/1@gw", "A1");
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", &format!("X: 1\nB/PR: D/1@{id}(N)\n")), 200);
    assert_code(&bench.ask("DLCX ds/e1-1/1@gw", ""), 250);
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", "X: 2\n"), 515);
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", "X: 2\nB/PR:\n"), 200);
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", "X: 3\n"), 200);
}

// RFC 3660 §2.8.
#[test]
fn a_list_of_signals_is_told_of_by_its_name_alone() {
    let mut bench = bench();
    let line = bench.line();
    let list = "X: 1\nR: SL/oc(N)\nS: SL/s(D/1,D/2,G/rt(to=300))\n";
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", list), 200);
    let audit = bench.ask("AUEP ds/e1-1/1@gw", "F: S\n");
    assert_eq!(header(&audit, "S").as_deref(), Some("SL/s(D/1,D/2,G/rt(to=300))"));
    for play in 0..2 {
        assert_eq!(bench.actions().iter().filter(|action| is_play(action)).count(), 1);
        bench.observe(line, Observation::PlayEnded(PlayId(play)));
    }
    let told = one(bench.after(Duration::from_millis(301)));
    assert_eq!(header(&told, "O").as_deref(), Some("SL/oc(SL/s)"));
    for wrong in
        ["SL/s", "SL/s(T/lb)", "SL/s(D/do(dg=1))", "SL/s(SL/s(D/1))", "SL/s(G/rt@1)", "SL/s(G/rbk(1))"]
    {
        let request = format!("X: 2\nS: {wrong}\n");
        assert_code(&bench.ask("RQNT ds/e1-1/1@gw", &request), 538);
    }
}

#[test]
fn events_that_are_asked_for_and_cannot_be_kept_are_counted() {
    let mut bench = bench();
    bench.ask("RQNT ds/e1-1/1@gw", "X: A\nR: D/[0-9](N)\n");
    // One is told and unanswered; 128 wait behind it in quarantine.
    bench.dial(&"1".repeat(1 + 128));
    assert_eq!(bench.count(Counter::EventsLost), 0);
    bench.dial("234");
    assert_eq!(bench.count(Counter::EventsLost), 3);
}
