//! What is heard on a line and what a circuit does for tests: the rest of packages T, G, D, L and FXR.

use dataplane::link::{
    CheckTone, CircuitTest, DetectorSet, Digit, DigitSet, Milliwatt, Observation, Side, Sound,
};

use super::events::one;
use super::*;
use crate::tones;

fn ds0(side: Side) -> drivers::line::Ds0 {
    let Side::Line(ds0) = side else { panic!("{side:?}") };
    ds0
}

impl Bench {
    /// What is told when a sound begins.
    fn told(&mut self, sound: Sound) -> Option<String> {
        let line = self.line();
        let told = self.observe(line, Observation::Began(sound)).pop()?;
        self.answer_to(&told);
        header(&told, "O")
    }

    fn rqnt(&mut self, rest: &str) {
        assert_code(&self.ask("RQNT ds/e1-1/1@gw", rest), 200);
    }
}

// RFC 3660 §2.3.
#[test]
fn a_circuit_is_a_loop_or_a_transponder_until_that_is_turned_off() {
    let mut bench = Bench::new();
    let ds0 = ds0(bench.line());
    let loops = Action::Test { ds0, test: Some(CircuitTest::Loopback) };
    let ends = Action::Test { ds0, test: None };
    bench.rqnt("X: 1\nS: T/lb\n");
    assert_eq!(bench.actions(), [loops]);
    // RFC 3435 §2.3.3: what is on stays on, and the same once more is nothing.
    bench.rqnt("X: 2\nS: T/lb(+)\n");
    bench.rqnt("X: 3\nR: D/[0-9]\nS:\n");
    assert!(matches!(bench.actions()[..], [Action::Watch { .. }]));
    // A circuit that is tested is nothing else.
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", "X: 4\nS: L/dl\n"), 513);
    bench.rqnt("X: 5\nS: T/lb(-),T/ct(in=co2,out=co1)\n");
    let answers = Action::Test { ds0, test: Some(CircuitTest::Transponder(CheckTone::Co2)) };
    assert_eq!(bench.actions()[..2], [ends.clone(), answers]);
    assert_eq!(
        header(&bench.ask("AUEP ds/e1-1/1@gw", "F: S\n"), "S").as_deref(),
        Some("T/ct(in=co2,out=co1)")
    );
    bench.rqnt("X: 6\nS: T/ct(-)\n");
    assert_eq!(bench.actions(), [ends]);
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", "X: 7\nS: T/ct(in=co2)\n"), 538);
}

#[test]
fn an_outage_ends_the_test_of_a_circuit() {
    let mut bench = Bench::new();
    let ds0 = ds0(bench.line());
    bench.rqnt("X: 1\nS: T/lb\n");
    bench.actions();
    bench.span_event(0, down());
    assert!(bench.actions().contains(&Action::Test { ds0, test: None }));
}

// RFC 3660 §2.3.
#[test]
fn a_test_pattern_is_told_if_it_is_the_one_that_is_asked_for() {
    let mut bench = Bench::new();
    bench.rqnt("X: 1\nQ: loop\nR: T/tp(N)\nS: T/tp\n");
    let actions = bench.actions();
    assert!(
        matches!(actions[..], [Action::Play { tone, .. }, Action::Watch { detectors, .. }]
            if tone.raw() == Some(95) && detectors == DetectorSet::OCTET),
        "{actions:?}"
    );
    assert_eq!(bench.told(Sound::Octet(0xD5)), None, "silence");
    assert_eq!(bench.told(Sound::Octet(95)).as_deref(), Some("T/tp(95)"));
    bench.rqnt("X: 2\nQ: loop\nR: T/tp(N)(7)\nS: T/tp(7)\n");
    assert_eq!(bench.told(Sound::Octet(95)), None);
    assert_eq!(bench.told(Sound::Octet(7)).as_deref(), Some("T/tp(7)"));
    // RFC 3660 §2.3: else the end of the signal says that the test has failed.
    bench.rqnt("X: 3\nR: T/tp,T/oc,T/of\nS: T/tp(to=200)\n");
    let told = one(bench.after(Duration::from_millis(200)));
    assert_eq!(header(&told, "O").as_deref(), Some("T/oc(T/tp)"));
}

// RFC 3660 §2.3, §2.4.
#[test]
fn special_information_tones_are_told_by_their_number_and_the_second_by_its_other_name() {
    let mut bench = Bench::new();
    bench.rqnt("X: 1\nQ: loop\nR: T/sit(N)(2),T/sit(N)(5),T/zz(N),T/ro(N),L/nbz(A)\n");
    let plan = tones::plan(drivers::line::Law::A);
    let wanted = [0, 2, 5].map(|place| DetectorSet::call_tone(plan, place));
    let wanted = wanted.into_iter().fold(DetectorSet::NONE, DetectorSet::with);
    assert!(matches!(bench.actions()[..], [Action::Watch { detectors, .. }] if detectors == wanted));
    for (place, expected) in [(5, Some("T/sit(5)")), (3, None), (0, Some("T/ro"))] {
        assert_eq!(bench.told(Sound::CallTone(place)).as_deref(), expected, "{place}");
    }
    bench.rqnt("X: 2\nQ: loop\nR: T/sit(A)(2),T/zz(N),L/nbz(A)\n");
    assert_eq!(bench.told(Sound::CallTone(2)).as_deref(), Some("L/nbz,T/sit(2),T/zz"));
}

#[test]
fn milliwatts_are_told_by_their_own_names() {
    let mut bench = Bench::new();
    bench.rqnt("X: 1\nQ: loop\nR: T/om(N),T/nm(N),T/mm(N)\n");
    for (which, name) in
        [(Milliwatt::Hz1000, "T/om"), (Milliwatt::Hz1004, "T/nm"), (Milliwatt::Hz1013, "T/mm")]
    {
        let told = bench.told(Sound::Milliwatt(which));
        assert_eq!(told.as_deref(), Some(name));
    }
}

// RFC 3660 §2.1.
#[test]
fn a_connection_that_has_lasted_for_an_hour_is_told_of_once() {
    let mut bench = Bench::new();
    let first = bench.crcx("ds/e1-1/1@gw", "A1");
    bench.rqnt("X: 1\nQ: loop\nR: G/ld@*(N)\n");
    bench.after(Duration::from_secs(60));
    let second = bench.crcx("ds/e1-1/1@gw", "A1");
    assert_eq!(bench.after(Duration::from_secs(3_538)), [""; 0]);
    let told = one(bench.after(Duration::from_secs(2)));
    assert_eq!(header(&told, "O"), Some(format!("G/ld@{first}")));
    bench.answer_to(&told);
    let told = one(bench.after(Duration::from_secs(60)));
    assert_eq!(header(&told, "O"), Some(format!("G/ld@{second}")));
    bench.answer_to(&told);
    assert_eq!(bench.after(Duration::from_secs(10_000)), [""; 0]);
    // Who asks only then is told only of what has not been told.
    let third = bench.crcx("ds/e1-1/1@gw", "A1");
    bench.rqnt("X: 2\n");
    assert_eq!(bench.after(Duration::from_secs(4_000)), [""; 0]);
    let said = bench.ask("RQNT ds/e1-1/1@gw", "X: 3\nR: G/ld\n");
    assert_code(&said, 200);
    let told = one(bench.after(Duration::from_millis(1)));
    assert_eq!(header(&told, "O"), Some(format!("G/ld@{third}")));
}

// RFC 5347 §2.1.5, §2.2.2: what is detected is a fax call, not each sound of it.
#[test]
fn that_nothing_is_done_for_a_fax_is_told_once_in_a_call() {
    let mut bench = Bench::new();
    bench.crcx("ds/e1-1/1@gw", "A1");
    bench.rqnt("X: 1\nQ: loop\nR: G/ft(A),FXR/nopfax(N)\n");
    assert_eq!(bench.told(Sound::FaxCalling).as_deref(), Some("G/ft,FXR/nopfax(start)"));
    for sound in [Sound::FaxCalling, Sound::FaxPreamble] {
        bench.now += Duration::from_millis(3_500);
        assert_eq!(bench.told(sound), None);
    }
    assert_code(&bench.ask("DLCX ds/e1-1/1@gw", ""), 250);
    bench.crcx("ds/e1-1/1@gw", "A2");
    bench.rqnt("X: 2\nQ: loop\nR: FXR/nopfax(N)\n");
    assert_eq!(bench.told(Sound::FaxPreamble).as_deref(), Some("FXR/nopfax(start)"));
}

// RFC 5347 §2.2.2.
#[test]
fn that_nothing_is_done_for_a_fax_is_told_to_who_asks_after_it_was_heard() {
    let mut bench = Bench::new();
    bench.crcx("ds/e1-1/1@gw", "A1");
    bench.rqnt("X: 1\nQ: loop\nR: G/ft(N)\n");
    assert_eq!(bench.told(Sound::FaxCalling).as_deref(), Some("G/ft"));
    bench.rqnt("X: 2\nQ: loop\nR: FXR/nopfax(N)\n");
    bench.now += Duration::from_millis(3_500);
    assert_eq!(bench.told(Sound::FaxCalling).as_deref(), Some("FXR/nopfax(start)"));
    assert_eq!(bench.told(Sound::FaxPreamble), None);
}

#[test]
fn a_request_that_was_embedded_is_told_of_the_fax_machine_that_still_calls() {
    let mut bench = Bench::new();
    bench.rqnt("X: 1\nQ: loop\nR: G/ft(N),D/1(E(R(G/ft(N))))\n");
    assert_eq!(bench.told(Sound::FaxCalling).as_deref(), Some("G/ft"));
    assert_eq!(bench.told(Sound::FaxCalling), None);
    assert_eq!(bench.dial("1"), [""; 0]);
    assert_eq!(bench.told(Sound::FaxCalling).as_deref(), Some("G/ft"));
}

// RFC 3435 §4.4.2: a command that fails changes nothing, and what was told stays told.
#[test]
fn a_long_connection_is_told_of_once_though_a_change_of_it_fails() {
    let mut bench = Bench::new();
    let id = bench.crcx("ds/e1-1/1@gw", "A1");
    bench.rqnt("X: 1\nQ: loop\nR: G/ld@*(N)\n");
    bench.after(Duration::from_millis(3_599_990));
    let change = format!("MDCX 900 ds/e1-1/1@gw MGCP 1.0\nC: A1\nI: {id}\nM: recvonly\n");
    assert_eq!(bench.say_only(&change), [""; 0]);
    let told = one(bench.after(Duration::from_millis(20)));
    assert_eq!(header(&told, "O"), Some(format!("G/ld@{id}")));
    let notification = told.split(' ').nth(1).expect("a transaction");
    assert_eq!(bench.say_only(&format!("200 {notification} OK\n")), [""; 0]);
    // The core is never done.
    let said = bench.after(Duration::from_secs(60));
    assert!(said.iter().any(|message| message.starts_with("406 900 ")), "{said:?}");
    assert!(said.iter().all(|message| !message.contains("NTFY ")), "{said:?}");
}

// RFC 3660 §2.2.
#[test]
fn digits_that_are_to_be_suppressed_are_withheld_from_connections() {
    let mut bench = Bench::new();
    for (asked, digits) in [
        ("su=true", "0123456789*#ABCD"),
        ("dg=x,su=true", "0123456789"),
        ("dg=#,su=TRUE", "#"),
        ("su=false", ""),
    ] {
        let digits = digits.chars().map(|digit| Digit::new(digit).expect("a digit"));
        let withheld = digits.fold(DigitSet::NONE, DigitSet::with);
        bench.rqnt(&format!("X: 1\nR: D/dd(N)({asked})\n"));
        let actions = bench.actions();
        let Some(Action::Watch { detectors, .. }) = actions.last() else { panic!("{actions:?}") };
        assert_eq!(*detectors, DetectorSet::withholding(withheld), "{asked}");
    }
}
