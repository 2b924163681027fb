//! Which names are found, with which codes, in what is offered.

use std::time::Duration;

use dataplane::link::Digit;

use super::ability::{Abilities, Ability, Source};
use super::parameter::Lasting;
use super::*;
use crate::mgcp::event::Events;

const EVERY: Abilities = Abilities::of(&[
    Ability::Notifications,
    Ability::SignalLists,
    Ability::BulkAudit,
    Ability::RedirectAndReset,
    Ability::LockstepReports,
    Ability::ConnectionAge,
    Ability::DigitDetection,
    Ability::DigitDuration,
    Ability::DigitGeneration,
    Ability::CallTones,
    Ability::CallToneDetection,
    Ability::FaxToneDetection,
    Ability::ModemToneDetection,
    Ability::TestTones,
    Ability::TestToneDetection,
    Ability::TestPatterns,
    Ability::ContinuityTest,
    Ability::ContinuityResponse,
    Ability::NetworkContinuityTest,
    Ability::LineSignalling,
    Ability::Telephones,
    Ability::Patterns,
    Ability::MediaStart,
    Ability::MediaTimeout,
    Ability::Unreachable,
    Ability::LossThreshold,
    Ability::QualityThreshold,
    Ability::MediaChanges,
]);

const ALL_ABLE: Packages = Packages::new(EVERY);

fn name(text: &str) -> EventName {
    text.parse().expect(text)
}

/// The events of a name, as text with commas.
fn found(packages: &Packages, text: &str) -> Result<String, u16> {
    let found = packages.events(&name(text)).map_err(|code| code.0)?;
    Ok(found.events.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
}

/// How long the one signal of a list lasts, or the code that it cannot.
fn lasting(text: &str) -> Result<Lasting, u16> {
    let Events(list) = text.parse().expect(text);
    let id = ALL_ABLE.signal(&list[0].name).map_err(|code| code.0)?;
    ALL_ABLE.check_signal(id, &list[0].parameters).map_err(|code| code.0)
}

fn ms(ms: u64) -> Result<Lasting, u16> {
    Ok(Lasting::TimeOut(Some(Duration::from_millis(ms))))
}

#[test]
fn of_nothing_that_can_be_done_nothing_is_known() {
    let none = Packages::new(Abilities::of(&[]));
    assert_eq!(none.list(), "");
    assert_eq!(found(&none, "D/5"), Err(518));
    assert_eq!(found(&none, "5"), Err(522));
    assert_eq!(found(&none, "*/all"), Err(522));
    assert_eq!(none.extension("BA/F"), Err(ReturnCode::UNSUPPORTED_PACKAGE));
}

#[test]
fn each_code_is_due_where_rfc_3661_has_it() {
    let some = Packages::new(Abilities::of(&[Ability::FaxToneDetection, Ability::CallTones]));
    assert_eq!(some.list(), "T:1,G:1,L:1,FXR:0");
    // Detected; known but not detected here; not in the package; a signal only; unknown package.
    assert_eq!(found(&some, "G/ft"), Ok("G/ft".to_owned()));
    assert_eq!(found(&some, "g/MT"), Err(512));
    assert_eq!(found(&some, "G/xyz"), Err(522));
    assert_eq!(found(&some, "G/rt"), Err(522));
    assert_eq!(found(&some, "D/5"), Err(518));
    let signal = |text| some.signal(&name(text)).map(|id| id.to_string()).map_err(|code| code.0);
    assert_eq!(signal("g/RT"), Ok("G/rt".to_owned()));
    assert_eq!(signal("T/co1"), Err(513));
    assert_eq!(signal("G/ft"), Err(522));
    assert_eq!(signal("G/xyz"), Err(522));
    assert_eq!(signal("R/co1@*"), Err(518));
    assert_eq!(signal("G/[0-9]"), Err(522));
    assert_eq!(signal("G/all"), Err(522));
}

#[test]
fn an_event_without_a_package_is_of_the_first_package() {
    assert_eq!(ALL_ABLE.list(), "T:1,G:1,D:1,R:1,L:1,FXR:0,B:0,SL:0,DM1:0,BA:0,RED:0,LCK:0");
    assert_eq!(found(&ALL_ABLE, "ro"), Ok("T/ro".to_owned()));
    assert_eq!(found(&ALL_ABLE, "ft"), Err(522));
    assert_eq!(ALL_ABLE.signal(&name("bz")).map(|id| id.to_string()), Ok("T/bz".to_owned()));
}

#[test]
fn ranges_and_wildcards_are_the_events_they_stand_for() {
    for (text, events) in [
        ("D/[0-2*#A]", "D/0,D/1,D/2,D/*,D/#,D/A"),
        ("D/x", "D/0,D/1,D/2,D/3,D/4,D/5,D/6,D/7,D/8,D/9"),
        ("D/[9T]", "D/9,D/T"),
        ("D/*", "D/*"),
        ("D/#", "D/#"),
        ("*/ft", "G/ft"),
        ("*/of", "T/of,G/of,D/of,R/of,L/of,SL/of"),
        ("B/all", "B/enf,B/oef,B/qbo"),
        ("G/all", "G/ft,G/mt,G/oc,G/of"),
        ("G/all@*", "G/ld"),
    ] {
        assert_eq!(found(&ALL_ABLE, text).as_deref(), Ok(events), "{text}");
    }
    assert_eq!(found(&ALL_ABLE, "D/[0-9E]"), Err(522));
    assert_eq!(found(&ALL_ABLE, "G/x"), Err(522));
    assert_eq!(found(&ALL_ABLE, "*/nothing"), Err(522));
}

#[test]
fn events_are_found_only_where_they_can_happen() {
    assert_eq!(found(&ALL_ABLE, "G/ft@0A3F58"), Err(512));
    assert_eq!(found(&ALL_ABLE, "R/uc"), Err(512));
    assert!(found(&ALL_ABLE, "R/uc@$").is_ok());
    let place = |text| ALL_ABLE.events(&name(text)).map(|found| found.place);
    assert_eq!(place("G/ld"), Ok(Place::AllConnections));
    assert_eq!(place("R/ma"), Ok(Place::AllConnections));
    assert_eq!(place("R/ma@$"), Ok(Place::CurrentConnection));
    assert_eq!(place("G/ft"), Ok(Place::Endpoint));
    assert_eq!(lasting("T/bz@$"), Err(513));
    assert_eq!(lasting("R/co1"), Err(513));
    assert_eq!(lasting("G/rt@$"), ms(180_000));
}

#[test]
fn completion_can_be_told_where_a_time_out_signal_can_be_had() {
    let detects = Packages::new(Abilities::of(&[Ability::FaxToneDetection]));
    assert_eq!(found(&detects, "G/oc"), Err(512));
    let plays = Packages::new(Abilities::of(&[Ability::CallTones]));
    assert_eq!(found(&plays, "G/oc"), Ok("G/oc".to_owned()));
    let rt = plays.signal(&name("G/rt")).expect("it is played");
    assert_eq!(rt.completion().map(|id| id.to_string()).as_deref(), Some("G/oc"));
    assert_eq!(rt.failure().map(|id| id.to_string()).as_deref(), Some("G/of"));
}

#[test]
fn signals_last_as_their_packages_and_parameters_say() {
    for (text, expected) in [
        ("T/bz", ms(30_000)),
        ("T/bz(to=20000)", ms(20_000)),
        ("T/bz(TO(6000))", ms(6_000)),
        ("T/bz(to=0)", Ok(Lasting::TimeOut(None))),
        ("G/cg", Ok(Lasting::TimeOut(None))),
        ("G/cf", Ok(Lasting::Brief)),
        ("T/lb", Ok(Lasting::On)),
        ("T/lb(+)", Ok(Lasting::On)),
        ("T/lb(-)", Ok(Lasting::Off)),
        ("T/sit(1,to=3000)", ms(3_000)),
        ("T/sit(to=3000,1)", ms(3_000)),
        ("T/tp", ms(3_000)),
        ("T/ct(in=co1,out=co2,+)", Ok(Lasting::On)),
        ("T/ct(-)", Ok(Lasting::Off)),
        ("G/rbk(0A3F58)", ms(180_000)),
        ("G/pat(7,-)", Ok(Lasting::Off)),
        ("D/5", Ok(Lasting::Brief)),
        ("D/dd(dg=5,to=2500)", ms(2_500)),
        ("D/do(dg=#,-)", Ok(Lasting::Off)),
        ("D/T", ms(16_000)),
        ("sl/s(d/1,d/2,t/sit(3,to=1000))", Ok(Lasting::TimeOut(None))),
    ] {
        assert_eq!(lasting(text), expected, "{text}");
    }
}

#[test]
fn wrong_parameters_are_538() {
    for text in [
        "T/bz(5)",
        "T/bz(to=x)",
        "T/bz(to=1,to=2)",
        "T/bz(+)",
        "G/cf(to=3)",
        "T/lb(+,-)",
        "T/lb(to=5)",
        "T/sit",
        "T/sit(8)",
        "T/sit(1,2)",
        "T/tp(256)",
        "T/ct(in=co1,out=co1)",
        "T/ct(in=co1)",
        "T/ct",
        "G/rbk",
        "G/rbk(xyz)",
        "D/dd(dg=x)",
        "D/dd(to=2500)",
        "D/dd(dg=5,to=20)",
        "D/dd(dg=5,to=0)",
        "D/do(+)",
        "D/5(+)",
        "sl/s",
        "sl/s(1,2)",
        "sl/s(d/1,t/lb)",
        "sl/s(d/1,sl/s(d/2))",
        "sl/s(d/1,t/sit)",
        "sl/s(d/1,to=5000)",
        "sl/s(z/1)",
    ] {
        assert_eq!(lasting(text), Err(538), "{text}");
    }
    let asked = |text: &str| {
        let Events(list) = text.parse().expect(text);
        let found = ALL_ABLE.events(&list[0].name).expect("it can be detected");
        ALL_ABLE.check_event(found.events[0], &list[0].parameters).map_err(|code| code.0)
    };
    for text in ["R/iu@*(5)", "R/iu@*", "R/rto@*(120,st=im)", "R/pl@*(10)", "D/dd(dg=x,su=true)", "T/sit(2)"]
    {
        assert_eq!(asked(text), Ok(()), "{text}");
    }
    for text in [
        "R/iu@*(256)",
        "R/rto@*(st=no)",
        "R/pl@*",
        "R/uc@*(8)",
        "D/dd(su=no)",
        "G/oc(G/rt)",
        "B/enf(501)",
        "T/sit",
    ] {
        assert_eq!(asked(text), Err(538), "{text}");
    }
}

#[test]
fn what_happens_is_known_by_its_names() {
    let names = |source| ALL_ABLE.caused_by(source).map(|id| id.to_string()).collect::<Vec<_>>();
    for digit in Digit::ALL {
        assert_eq!(names(Source::Digit(digit)), [format!("D/{digit}")]);
    }
    assert_eq!(names(Source::FaxTone), ["G/ft"]);
    assert_eq!(names(Source::ObservedEventsFull), [OBSERVED_EVENTS_FULL.to_string()]);
    assert_eq!(QUARANTINE_BUFFER_OVERFLOW.to_string(), "B/qbo");
    assert_eq!(EMBEDDED_REQUEST_FAILURE.to_string(), "B/enf");
}

#[test]
fn digits_and_the_timer_are_letters_and_nothing_else_is() {
    let letters = |text: &str| {
        let events = ALL_ABLE.events(&name(text)).expect("they can be detected").events;
        events.iter().map(|id| id.letter().map_or('-', |letter| letter.octet().into())).collect::<String>()
    };
    assert_eq!(letters("D/[0-9*#A-DT]"), "0123456789*#ABCDT");
    assert_eq!(letters("D/L"), "-");
    assert_eq!(letters("G/ft"), "-");
}

#[test]
fn parameter_lines_are_found_by_their_packages() {
    assert_eq!(ALL_ABLE.extension("b/pr"), Ok(Extension::PersistentEvents));
    assert_eq!(ALL_ABLE.extension("LCK/LST"), Ok(Extension::LockstepTime));
    assert_eq!(ALL_ABLE.extension("BA/XX"), Err(ReturnCode::UNKNOWN_EXTENSION));
    assert_eq!(ALL_ABLE.extension("ZZ/F"), Err(ReturnCode::UNSUPPORTED_PACKAGE));
}

#[test]
fn names_are_unique_in_their_space() {
    for (index, package) in ALL.iter().enumerate() {
        assert!(ALL[..index].iter().all(|other| !other.name.eq_ignore_ascii_case(package.name)));
        for (index, entry) in package.entries.iter().enumerate() {
            assert_eq!(package.position(entry.code), Some(index), "{}/{}", package.name, entry.code);
            assert!(entry.event.is_some() || entry.signal.is_some());
        }
    }
}
