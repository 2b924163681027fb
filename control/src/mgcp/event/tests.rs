//! Lists that stand in RFCs and that call agents send, and lists that are wrong.

use proptest::prelude::*;

use super::*;

fn requested(text: &str) -> RequestedEvents {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

fn events(text: &str) -> Events {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

/// RFC 3435 §3.2.2.16, Appendix F; RFC 3660; then call agents as recorded.
const REQUESTED: &[&str] = &[
    "L/hu(N), L/hf(S,N)",
    "L/hu(N), D/[0-9#T](D)",
    "L/hd(E(R(D/[0-9#T](D),L/hu(N)),S(L/dl),D([0-9].[#T])))",
    "L/hd(E(R(D/[0-9#T](D),L/hu(N)),S(L/dl)))",
    "X/foobar(N)(epar=2)",
    "l/hd(N)",
    "L/hd(A, E(S(L/dl),R(L/oc, L/hu, D/[0-9#*T](D))))",
    "L/hu,L/oc(N),D/[0-9](N)",
    "L/hd(N), L/hf(N), L/hu(N), B/enf, B/oef, B/qbo",
    "d/dd(N)(dg=#,to=2000)",
    "d/[0-9*#],d/dd",
    "t/co2,t/oc,t/of",
    "t/sit(N)(2)",
    "r/uc@*",
    "r/iu@364823(N)(5)",
    "r/rto@364823(N)(120,st=im)",
    "D/[0-9#*](N),G/ft(N),fxr/t38",
    "L/hu(N),L/hf(N),D/[0-9#*](N)",
    "D/[0-9*#A-D](N)",
    "*/all@*",
    "",
];

/// The same of S, T, O and ES.
const EVENTS: &[&str] = &[
    "L/hu,L/hd,L/hf,D/[0-9#*]",
    "D/8295555T",
    "D/8,D/2,D/9,D/5,D/5,L/hf,D/5,D/5,D/T",
    "L/hf, L/hf, L/hu",
    "L/adsi(\"123456 Francois Gerard\")",
    "A/ann(http://ann.example.net/no-such-number.au, 1234567)",
    "L/adsi(\"123456 Your friend\"), L/rg",
    "G/oc(G/rt@0A3F58)",
    "L/rg(to=6000)",
    "L/rg(to(6000))",
    "L/vmwi(+)",
    "l/ci(09/14/17/26, \"555 1212\", \"John Doe\")",
    "t/ct(in=co1,out=co2,+)",
    "sl/s(d/1,d/2,t/sit(3,to=1000),d/*)",
    "G/rt@$",
    "d/#",
    "a/of(a/ann,\"file not found\")",
    "L/rg,L/ci(11/22/07/02,1001,)",
    "L/vmwi(-)",
    "D/5",
    "",
];

#[test]
fn what_is_in_use_is_understood_and_what_is_written_reads_the_same() {
    for text in REQUESTED {
        let list = requested(text);
        assert_eq!(requested(&list.to_string()), list, "{text}");
    }
    for text in EVENTS {
        let list = events(text);
        assert_eq!(events(&list.to_string()), list, "{text}");
    }
}

#[test]
fn names_have_a_package_a_code_and_a_place() {
    let name = |text: &str| text.parse::<EventName>().unwrap_or_else(|error| panic!("{text}: {error:?}"));
    let id = "0A3F58".parse().expect("hex");
    assert_eq!(name("G/rt@0A3F58"), EventName::new("G", "rt").at(Place::Connection(id)));
    assert_eq!(name("R/qa@*"), EventName::new("R", "qa").at(Place::AllConnections));
    assert_eq!(name("G/rt@$"), EventName::new("G", "rt").at(Place::CurrentConnection));
    assert_eq!(name("D/*"), EventName::new("D", "*"));
    assert_eq!(name("D/*@*"), EventName::new("D", "*").at(Place::AllConnections));
    for (text, package, code) in [
        ("hf", PackageName::Default, EventCode::named("hf")),
        ("*", PackageName::Default, EventCode::named("*")),
        ("#", PackageName::Default, EventCode::named("#")),
        ("all", PackageName::Default, EventCode::All),
        ("T/ALL", PackageName::Named("T".into()), EventCode::All),
        ("*/all", PackageName::All, EventCode::All),
        ("*/*", PackageName::All, EventCode::named("*")),
        ("*/ft", PackageName::All, EventCode::named("ft")),
        ("x-p/ft", PackageName::Named("x-p".into()), EventCode::named("ft")),
    ] {
        assert_eq!(name(text), EventName { package, code, place: Place::Endpoint }, "{text}");
    }
    let range = |text| match name(text).code {
        EventCode::Range(letters) => letters.to_string(),
        code => panic!("{text}: {code:?}"),
    };
    assert_eq!(range("[0-9*#A-D]"), "0-9*#ABCD");
    assert_eq!(range("D/[0-9#T]"), "0-9#T");
    assert_eq!(range("D/[xt]"), "0-9T");
    assert_eq!(range("D/[*1-3a]"), "1-3*A");
}

#[test]
fn parameters_nest_and_quotes_are_doubled() {
    let parameters = |text: &str| events(text).0.remove(0).parameters;
    let ci = parameters("L/ci(11/22/07/02,1001,)");
    assert_eq!(ci.values().collect::<Vec<_>>(), ["11/22/07/02", "1001", ""]);
    let quoted = parameters(r#"L/adsi("say ""hi"", (x=1)")"#);
    assert_eq!(quoted.values().collect::<Vec<_>>(), [r#"say "hi", (x=1)"#]);
    let said =
        |text| parameters(text).named("TO").and_then(|to| to.value().map(std::borrow::Cow::into_owned));
    assert_eq!(said("L/rg(to=6000)").as_deref(), Some("6000"));
    assert_eq!(said("L/rg(a,to(6000))").as_deref(), Some("6000"));
    assert_eq!(said("L/rg(6000)"), None);
    let list = parameters("sl/s(d/1,t/sit(3,to=1000),x=5)");
    let signals: Vec<_> = list.0.iter().map(|p| p.to_signal().map(|signal| signal.to_string())).collect();
    assert_eq!(signals, [Some("d/1".to_owned()), Some("t/sit(3,to=1000)".to_owned()), None]);
    let of = parameters("G/of(G/rt@0A3F58)");
    assert_eq!(of.0[0].to_signal().map(|signal| signal.to_string()).as_deref(), Some("G/rt@0A3F58"));
    assert_eq!(parameters("L/vmwi()"), Parameters::default());
}

#[test]
fn an_embedded_request_takes_its_parts_in_any_order() {
    let embedded = |text| requested(text).0.remove(0).actions.embedded.expect(text);
    let a = embedded("L/hd(E(R(D/[0-9#T](D),L/hu(N)),S(L/dl),D([0-9].[#T])))");
    let b = embedded("L/hd(E( D([0-9].[#T]), S( L/dl ) , R(D/[0-9#T](D), L/hu)))");
    assert_eq!(a, b);
    assert_eq!(a.to_string(), "R(D/[0-9#T](D),L/hu(N)),S(L/dl),D((x.[#T]))");
    assert_eq!(embedded("L/hd(E(R(),S(),D((1|2))))").to_string(), "D((1|2))");
    assert_eq!(embedded("L/hd(E(S()))").to_string(), "R()");
}

/// The table of RFC 3435 §2.3.3, row by row.
#[test]
fn actions_go_together_as_the_table_says() {
    const ACTIONS: [&str; 7] = ["N", "S", "A", "D", "K", "E(S(L/dl))", "I"];
    const TABLE: [&[u8; 7]; 7] =
        [b"NYNNYYN", b"-NYNNNY", b"--NNYYN", b"---NYNN", b"----NYY", b"-----NN", b"------N"];
    for (a, row) in ACTIONS.iter().zip(TABLE) {
        assert!(format!("L/hd({a})").parse::<RequestedEvents>().is_ok(), "{a}");
        for (b, entry) in ACTIONS.iter().zip(row).filter(|(_, entry)| **entry != b'-') {
            for text in [format!("L/hd({a},{b})"), format!("L/hd({b}, {a})")] {
                let code = text.parse::<RequestedEvents>().map_err(|error| error.code);
                match entry {
                    b'Y' => assert_eq!(code.map(|list| list.0.len()), Ok(1), "{text}"),
                    _ => assert_eq!(code, Err(ReturnCode::UNKNOWN_ACTION), "{text}"),
                }
            }
        }
    }
    // Each with all others.
    assert!("L/hd(A,K,E(S(L/dl)))".parse::<RequestedEvents>().is_ok());
    assert!("L/hd(A,K,S)".parse::<RequestedEvents>().is_err());
}

#[test]
fn what_is_wrong_is_told_by_place_rule_and_code() {
    let many = vec!["D/1"; EVENTS_MAX + 1].join(",");
    let deep = format!("L/x({}1{})", "a(".repeat(50), ")".repeat(50));
    for (text, offset, rule, code) in [
        ("L/hd,", 5, "eventId", 510),
        (",L/hd", 0, "eventId", 510),
        ("L/", 2, "eventId", 510),
        ("/hd", 0, "packageName", 510),
        ("-L/hd", 0, "packageName", 510),
        ("L/hd-", 2, "eventId", 510),
        ("L/hd N", 5, "RequestedEvents", 510),
        ("L/é", 2, "eventId", 510),
        ("D/[0-9", 2, "eventRange", 510),
        ("D/[]", 2, "eventRange", 510),
        ("D/[9-0]", 2, "eventRange", 510),
        ("L/hd@", 5, "ConnectionId", 510),
        ("L/hd@xyz", 5, "ConnectionId", 510),
        ("L/hd(N", 6, "requestedActions", 510),
        ("L/hd()", 5, "requestedAction", 523),
        ("L/hd(Z)", 5, "requestedAction", 523),
        ("L/hd(NA)", 5, "requestedAction", 523),
        ("L/hd(N,I)", 7, "requestedAction", 523),
        ("L/hd(X/act(1))", 5, "requestedAction", 518),
        ("L/hd(E(R(L/hu(E(S(L/dl))))))", 14, "requestedAction", 523),
        ("L/hd(E)", 6, "EmbeddedRequest", 510),
        ("L/hd(E())", 7, "EmbeddedRequest", 510),
        ("L/hd(E(Q(loop)))", 7, "EmbeddedRequest", 510),
        ("L/hd(E(S(L/dl),S(L/dl)))", 15, "EmbeddedRequest", 510),
        ("L/hd(E(D(12[)))", 11, "DigitMapRange", 510),
        ("L/hd(E(D(12G)))", 11, "ExtensionDigitMapLetter", 537),
        ("L/hd(N)(a=)(b)", 11, "RequestedEvents", 510),
        ("L/hd(N)(a", 9, "eventParameter", 538),
        ("L/hd(N)(=2)", 8, "eventParameter", 538),
        ("L/hd(N)(\"a)", 8, "quotedString", 538),
        (&many, 4 * EVENTS_MAX, "RequestedEvents", 510),
    ] {
        let error = EventError { offset, rule, code: ReturnCode(code) };
        assert_eq!(text.parse::<RequestedEvents>(), Err(error), "{text}");
    }
    let error = deep.parse::<Events>().map_err(|error| (error.rule, error.code.0));
    assert_eq!(error, Err(("eventParameter", 538)));
}

#[test]
fn quarantine_handling_is_two_keywords_in_any_order() {
    let read = |text: &str| text.parse::<QuarantineHandling>().map(|q| q.to_string());
    for (text, same) in [
        ("", "step,process"),
        ("loop", "loop,process"),
        ("process", "step,process"),
        ("loop,discard", "loop,discard"),
        ("Discard, LOOP", "loop,discard"),
    ] {
        assert_eq!(read(text).as_deref(), Ok(same), "{text}");
    }
    for (text, offset) in
        [("never", 0), ("loop,", 5), ("loop,step", 5), ("step,step", 5), ("loop discard", 0)]
    {
        let code = ReturnCode::UNSUPPORTED_QUARANTINE;
        assert_eq!(read(text), Err(EventError { offset, rule: "QuarantineHandling", code }), "{text}");
    }
}

fn some_name() -> impl Strategy<Value = EventName> {
    let package = prop_oneof![
        Just(PackageName::Default),
        Just(PackageName::All),
        "[A-Za-z0-9]([A-Za-z0-9-]{0,3}[A-Za-z0-9])?".prop_map(|name| PackageName::Named(name.into())),
    ];
    let code = prop_oneof![
        Just(EventCode::All),
        "[0-9A-DT#*]{1,6}"
            .prop_filter_map("a set", |set| LetterSet::parse(set.as_bytes()).map(EventCode::Range)),
        "[A-Za-z0-9]([A-Za-z0-9-]{0,3}[A-Za-z0-9])?|[*]|#"
            .prop_filter("all is none of them", |code| !code.eq_ignore_ascii_case("all"))
            .prop_map(|code| EventCode::Named(code.into())),
    ];
    let place = prop_oneof![
        Just(Place::Endpoint),
        Just(Place::CurrentConnection),
        Just(Place::AllConnections),
        "[0-9A-F]{1,32}".prop_map(|id| Place::Connection(id.parse().expect("hex"))),
    ];
    (package, code, place).prop_map(|(package, code, place)| EventName { package, code, place })
}

fn some_parameters() -> impl Strategy<Value = Parameters> {
    let text = prop_oneof![
        "[!#-'*+./0-9:;<>?@A-Z\\[\\]^_a-z{}|~-]{0,6}".prop_map(|text| Text::Bare(text.into())),
        "([ !(),=a-zé]|\"\"){0,8}".prop_map(|text| Text::Quoted(text.into())),
    ];
    let name = || "[!#-'*+./0-9:;<>?@A-Z\\[\\]^_a-z{}|~-]{1,6}".prop_map(Box::<str>::from);
    let one = text.prop_map(Parameter::Value).prop_recursive(3, 12, 3, move |inner| {
        prop_oneof![
            (name(), inner.clone()).prop_map(|(name, value)| Parameter::Assigned(name, Box::new(value))),
            (name(), list_of(inner)).prop_map(|(name, list)| Parameter::Group(name, list)),
        ]
    });
    list_of(one)
}

/// One empty value alone cannot be told from none.
fn list_of(one: impl Strategy<Value = Parameter>) -> impl Strategy<Value = Parameters> {
    let is_told =
        |list: &Vec<Parameter>| !matches!(&list[..], [Parameter::Value(Text::Bare(t))] if t.is_empty());
    proptest::collection::vec(one, 0..3).prop_filter("told from none", is_told).prop_map(Parameters)
}

fn some_events() -> impl Strategy<Value = Events> {
    let event = (some_name(), some_parameters()).prop_map(|(name, parameters)| Event { name, parameters });
    proptest::collection::vec(event, 0..4).prop_map(Events)
}

fn some_requested() -> impl Strategy<Value = RequestedEvents> {
    const COMBINATIONS: &[(Option<Handling>, bool, bool)] = &[
        (Some(Handling::Notify), true, false),
        (Some(Handling::Notify), false, true),
        (Some(Handling::Accumulate), false, true),
        (Some(Handling::DigitMap), false, true),
        (Some(Handling::DigitMap), false, false),
        (Some(Handling::Ignore), false, true),
        (Some(Handling::Ignore), true, false),
        (None, true, false),
    ];
    let plain = proptest::sample::select(COMBINATIONS).prop_map(|(handling, swaps_audio, keeps_signals)| {
        Actions { handling, swaps_audio, keeps_signals, embedded: None }
    });
    let maps = proptest::sample::select(vec!["(0T|[1-7]xxx|9011x.T)", "([0-9].[#T])", "1P"]);
    let digit_map = proptest::option::of(maps.prop_map(|map| std::sync::Arc::new(map.parse().expect(map))));
    let requested = |actions: BoxedStrategy<Actions>| {
        let one = (some_name(), some_parameters(), actions).prop_map(|(name, parameters, actions)| {
            RequestedEvent { event: Event { name, parameters }, actions }
        });
        proptest::collection::vec(one, 0..4).prop_map(RequestedEvents)
    };
    let embedding = (requested(plain.clone().boxed()), some_events(), digit_map).prop_map(
        |(events, signals, digit_map)| Actions {
            handling: Some(Handling::Accumulate),
            embedded: Some(Box::new(EmbeddedRequest { events, signals, digit_map })),
            ..Actions::NOTIFY
        },
    );
    requested(prop_oneof![plain, embedding].boxed())
}

proptest! {
    #[test]
    fn what_is_written_reads_as_the_same_events(events in some_events()) {
        prop_assert_eq!(events.to_string().parse(), Ok(events));
    }

    #[test]
    fn what_is_written_reads_as_the_same_request(events in some_requested()) {
        prop_assert_eq!(events.to_string().parse(), Ok(events));
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in "[ LD/0-9a()E,RSD=\\[\\]*#@$\"NAK-]{0,60}|\\PC{0,30}") {
        if let Ok(list) = text.parse::<RequestedEvents>() {
            prop_assert_eq!(list.to_string().parse(), Ok(list));
        }
        if let Ok(list) = text.parse::<Events>() {
            prop_assert_eq!(list.to_string().parse(), Ok(list));
        }
        let _ = text.parse::<QuarantineHandling>();
    }
}
