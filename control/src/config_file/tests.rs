//! Whole files: what each setting may be, and what is said of what it must not be.

use drivers::line::Timeslot;

use super::*;
use crate::config::{FarEndConfig, SimConfig, SpanConfig, SpanDriver};

const SHIPPED: &str = include_str!("../../../deploy/tollgate.toml");

fn parse(text: &str) -> Result<Config, Vec<ConfigError>> {
    Config::parse(text, Path::new(""))
}

fn errors(text: &str) -> Vec<String> {
    parse(text).expect_err("the text is wrong").iter().map(ToString::to_string).collect()
}

#[test]
fn the_shipped_file_says_what_runs_without_a_file() {
    assert_eq!(parse(SHIPPED), Ok(Config::default()));
}

#[test]
fn max2_is_more_than_max1() {
    let same = "[mgcp]\nsuspicion_repetitions = 7\n";
    assert_eq!(errors(same), ["line 1: mgcp.disconnection_repetitions: not more than suspicion_repetitions"]);
}

#[test]
fn real_time_priorities_are_from_1_to_99_and_nought_is_none() {
    let priority = |level: &str| parse(&format!("[host]\nreal_time_priority = {level}\n"));
    let had = |level: &str| priority(level).expect("there is one").host.real_time_priority;
    assert_eq!((had("0"), had("1"), had("99")), (None, Some(1), Some(99)));
    assert!(priority("100").is_err() && priority("-1").is_err() && priority("true").is_err());
}

#[test]
fn an_empty_file_says_what_runs_without_a_file() {
    assert_eq!(parse(""), Ok(Config::default()));
}

#[test]
fn every_known_setting_is_in_the_shipped_file() {
    let keys = known_keys(
        r#"
        [[span]]
        far_end = { kind = "cable" }
        [[span]]
        far_end = { kind = "tone" }
        [[span]]
        far_end = { kind = "file" }
        [[span]]
        far_end = { kind = "prbs" }
        [[span]]
        far_end = { kind = "hybrid" }
        [[span.timeslot]]
        numbers = "1"
        "#,
    );
    assert!(keys.len() > 40, "only {} keys are known", keys.len());
    for path in keys {
        let key = path.rsplit('.').next().unwrap();
        let shown = SHIPPED.lines().any(|line| {
            let line = line.trim_start_matches(['#', ' ']);
            line.starts_with(&format!("{key} = "))
                || line.contains(&format!(" {key} = "))
                || line == format!("[{path}]")
                || line == format!("[[{path}]]")
        });
        assert!(shown, "{path} is not in deploy/tollgate.toml");
    }
}

#[test]
fn every_error_is_told_at_once_with_line_and_key() {
    let errors = errors(
        r#"[mgcp]
listen = ["127.0.0.1"]
alow = []
response_history_s = "30"

[media]
port_first = 20001
ptime_ms = 25
"#,
    );
    let begins = [
        "line 2: mgcp.listen: `127.0.0.1` is not an address and a port",
        "line 3: mgcp.alow: no such setting; did you mean `allow`?",
        "line 4: mgcp.response_history_s: wants a whole number from 1 to 600, not text",
        "line 7: media.port_first: 20001 is odd",
        "line 8: media.ptime_ms: 25 is none of",
    ];
    for begin in begins {
        assert!(errors.iter().any(|error| error.starts_with(begin)), "{begin} is not in {errors:#?}");
    }
}

#[test]
fn a_list_whose_items_are_wrong_is_not_told_to_be_empty_as_well() {
    let wrong = [("mgcp", "listen"), ("mgcp", "allow"), ("media", "addresses"), ("[call_agent]", "networks")];
    for (table, key) in wrong {
        let told = errors(&format!("[{table}]\n{key} = [\"here\"]\n"));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains(&format!("{key}: `here` is not a")), "{told:?}");
        let told = errors(&format!("[{table}]\n{key} = []\n"));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("line 2: ") && told[0].contains("at least one"), "{told:?}");
    }
    assert_eq!(errors("[[call_agent]]\n").len(), 1, "a call agent is told from others by where it is");
}

#[test]
fn a_setting_without_its_unit_is_told_with_it() {
    assert_eq!(
        errors("[media]\nptime = 20\n"),
        ["line 2: media.ptime: no such setting; did you mean `ptime_ms`?"]
    );
}

#[test]
fn a_syntax_error_has_its_line_and_hides_no_other_error() {
    let errors = errors("[media]\nptime_ms = = 20\n\n[log]\nlevel = \"loud\"\n");
    assert!(errors.iter().any(|error| error.starts_with("line 2: ")), "{errors:#?}");
    assert!(errors.iter().any(|error| error.starts_with("line 5: log.level: `loud`")), "{errors:#?}");
}

#[test]
fn a_driver_past_the_kernel_has_an_interface_and_a_mode() {
    let driver = |text: &str| parse(text).unwrap().media.driver;
    let xdp =
        |interface: Option<&str>, mode| MediaDriver::Xdp { interface: interface.map(str::to_owned), mode };
    assert_eq!(driver("[media]\ndriver = \"xdp\"\n"), xdp(None, XdpMode::Auto));
    assert_eq!(
        driver("[media]\ndriver = \"xdp\"\nxdp_interface = \"eth1\"\nxdp_mode = \"zero-copy\"\n"),
        xdp(Some("eth1"), XdpMode::ZeroCopy)
    );
    assert_eq!(driver("[media]\ndriver = \"mmsg\"\n"), MediaDriver::Mmsg);
    assert_eq!(
        errors("[media]\nxdp_mode = \"native\"\n"),
        ["line 2: media.xdp_mode: only the driver \"xdp\" has it"]
    );
    assert_eq!(
        errors("[media]\ndriver = \"xdp\"\nxdp_interface = \"a/b\"\n"),
        ["line 3: media.xdp_interface: `a/b` is not the name of an interface, like `eth0`"]
    );
}

#[test]
fn sixty_four_e1s_are_one_table() {
    let config = parse("[media]\nport_last = 35871\n[[span]]\ncount = 64\n").unwrap();
    assert_eq!(config.spans.len(), 64);
    assert_eq!(config.spans[63].number, 64);
    assert_eq!(config.ds0s(), 1984);
}

#[test]
fn rtp_cannot_have_the_port_of_mgcp() {
    let errors = |listen: &str| {
        parse(&format!("[mgcp]\nlisten = [\"{listen}\"]\n[media]\nport_first = 20000\n")).map(drop)
    };
    let told = errors("127.0.0.1:20990").unwrap_err();
    let right = "line 4: media.port_first: the range takes the port of mgcp.listen, 127.0.0.1:20990";
    assert_eq!(told[0].to_string(), right);
    assert!(errors("0.0.0.0:20990").is_err());
    assert!(errors("[::]:20990").is_ok() && errors("127.0.0.2:20990").is_ok());
}

#[test]
fn too_few_ports_are_told_with_how_many_it_takes() {
    let errors = errors("[media]\nport_first = 20000\nport_last = 20245\n");
    assert_eq!(errors.len(), 1);
    assert!(errors[0].starts_with("line 3: media.port_last: 123 pairs"), "{errors:?}");
    assert!(errors[0].ends_with("at least 248 ports"), "{errors:?}");
}

#[test]
fn cables_lead_from_each_span_to_its_mate() {
    let text = r#"
        [[span]]
        count = 2
        far_end = { kind = "cable", to = 3 }
        [[span]]
        count = 2
        far_end = { kind = "cable", to = 1 }
    "#;
    let places: Vec<_> = parse(text)
        .unwrap()
        .spans
        .iter()
        .map(|span| match &span.driver {
            SpanDriver::Sim(SimConfig { far_end: FarEndConfig::Cable { to }, .. }) => *to,
            other => panic!("{other:?} is no cable"),
        })
        .collect();
    assert_eq!(places, [2, 3, 0, 1]);
}

#[test]
fn cables_whose_ends_disagree_are_refused() {
    let text =
        "[[span]]\nfar_end = { kind = \"cable\", to = 2 }\n[[span]]\ncarrier = \"t1\"\nblock_ms = 10\n";
    let errors = errors(text);
    assert_eq!(errors.len(), 3, "{errors:#?}");
    assert!(errors.iter().all(|error| error.starts_with("line 2: span.far_end: ")), "{errors:#?}");
}

#[test]
fn timeslots_are_cabled_one_by_one_where_both_ends_say_so() {
    let text = r#"
        [[span]]
        far_end = "idle"
        [[span.timeslot]]
        numbers = "1-3"
        far_end = { kind = "cable", to = 2 }
        [[span.timeslot]]
        numbers = "30"
        far_end = { kind = "cable", to = 3 }
        [[span]]
        far_end = { kind = "cable", to = 3 }
        [[span.timeslot]]
        numbers = "1-3"
        far_end = { kind = "cable", to = 1 }
        [[span]]
        far_end = { kind = "cable", to = 2 }
        [[span.timeslot]]
        numbers = "30"
        far_end = { kind = "cable", to = 1 }
    "#;
    let config = parse(text).unwrap();
    let numbers = |timeslots: Vec<Timeslot>| timeslots.iter().map(|at| at.number()).collect::<Vec<_>>();
    let cables: Vec<_> = config.cables().map(|(near, far, at)| (near, far, numbers(at))).collect();
    // What only one end wants carried is carried by neither.
    let rest = (4..=31).filter(|at| *at != 30).collect();
    assert_eq!(cables, [(0, 1, vec![1, 2, 3]), (0, 2, vec![30]), (1, 2, rest)]);
}

#[test]
fn timeslots_whose_cable_ends_disagree_are_refused_once_a_span() {
    let text = "[[span]]\n[[span.timeslot]]\nnumbers = \"1-3\"\nfar_end = { kind = \"cable\", to = 2 }\n\
        [[span]]\n[[span.timeslot]]\nnumbers = \"1-2\"\nfar_end = { kind = \"cable\", to = 1 }\n";
    let reason = "timeslots of span 1 are cabled to span 2, but not all of them there to span 1";
    assert_eq!(errors(text), [format!("line 2: span.timeslot: {reason}")]);
}

#[test]
fn a_timeslot_that_the_carrier_lacks_is_refused() {
    let text = "[[span]]\ncarrier = \"t1\"\n[[span.timeslot]]\nnumbers = \"1,25\"\nfar_end = \"idle\"\n";
    assert_eq!(
        errors(text),
        ["line 4: span.timeslot.numbers: there is no channel 25 on T1; its channels are 1 to 24"]
    );
}

#[test]
fn two_timeslots_cannot_be_recorded_in_one_file() {
    let text = "[[span]]\nfar_end = { kind = \"file\", record = \"heard-{span}.wav\" }\n";
    assert!(errors(text)[0].contains("ds/e1-1/1 and ds/e1-1/2"));
    let text = text.replace("{span}", "{span}-{timeslot}");
    let config = parse(&text).unwrap();
    let SpanDriver::Sim(sim) = &config.spans[0].driver;
    let timeslot = Timeslot::new(7).unwrap();
    assert_eq!(sim.far_end(timeslot).recording(timeslot), Some("heard-1-7.wav".into()));
}

#[test]
fn a_wav_file_that_cannot_be_played_is_refused() {
    let base = Path::new(env!("CARGO_MANIFEST_DIR"));
    let errors = |file: &str| {
        let text = format!("[[span]]\nfar_end = {{ kind = \"file\", play = \"{file}\" }}\n");
        Config::parse(&text, base)
    };
    assert!(errors("../deploy/assets/speech.wav").is_ok());
    let missing = errors("no.wav").unwrap_err();
    assert!(missing[0].reason.starts_with("cannot read "), "{missing:?}");
    let text = errors("Cargo.toml").unwrap_err();
    assert!(text[0].reason.ends_with("not a WAV file"), "{text:?}");
}

#[test]
fn what_is_written_must_be_a_file_in_a_folder_that_is_there() {
    let folder = std::env::temp_dir();
    let folder = folder.to_str().expect("the folder for temporary files has a name in text");
    for (table, key) in [("journal", "file"), ("metrics", "file"), ("[span]", "far_end.record")] {
        let far_end = if key == "file" { "" } else { "far_end.kind = \"file\"\n" };
        let told = |path: &str| errors(&format!("[{table}]\n{far_end}{key} = \"{path}\"\n")).join("; ");
        assert!(told(folder).contains("is a folder, not a file"), "{}", told(folder));
        assert!(told("/there/is/none/x").contains("there is no folder /there/is/none"));
    }
}

#[test]
fn two_spans_of_one_number_and_two_addresses_of_one_family_are_refused() {
    let errors =
        errors("[media]\naddresses = [\"127.0.0.1\", \"127.0.0.2\"]\n[[span]]\n[[span]]\nnumber = 1\n");
    assert_eq!(errors.len(), 2, "{errors:#?}");
    assert!(errors[0].starts_with("line 2: media.addresses: "), "{errors:#?}");
    assert!(errors[1].starts_with("line 5: span.number: "), "{errors:#?}");
}

#[test]
fn numbers_begin_anew_in_each_slot() {
    let text = "[[span]]\nslot = 3\ncount = 2\n[[span]]\nslot = 4\n[[span]]\nslot = 3\n[[span]]\n";
    let spans = parse(text).unwrap().spans;
    let names: Vec<_> = spans.iter().map(SpanConfig::local_name).collect();
    assert_eq!(names, ["s3/ds1-1", "s3/ds1-2", "s4/ds1-1", "s3/ds1-3", "ds/e1-1"]);
    let twice = errors("[[span]]\nslot = 3\n[[span]]\nslot = 3\nnumber = 1\n");
    assert_eq!(twice, ["line 5: span.number: there is more than one span 1 in slot 3"]);
}
