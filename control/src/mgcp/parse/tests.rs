use super::*;
use crate::mgcp::code::ReasonCode;
use crate::mgcp::examples::{self, lines};
use crate::mgcp::message::{GainControl, InfoCode, ModeName, Range, Reason, RestartMethod, TransactionRange};
use crate::mgcp::name::{CallId, ConnectionId, Term};
use dataplane::mode::Mode;
use drivers::line::Law;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

fn all(octets: &[u8]) -> Vec<Part<'_>> {
    parse_datagram(octets).collect()
}

fn to_octets(message: &Message<'_>) -> Vec<u8> {
    let mut octets = Vec::new();
    message.write_to(&mut octets);
    octets
}

fn one(octets: &[u8]) -> Result<Message<'_>, ParseError> {
    let mut parts = all(octets);
    assert_eq!(parts.len(), 1, "{}", octets.escape_ascii());
    parts.pop().expect("there is one").message
}

fn command(octets: &[u8]) -> Command<'_> {
    match one(octets) {
        Ok(Message::Command(command)) => command,
        other => panic!("{other:?}: {}", octets.escape_ascii()),
    }
}

fn response(octets: &[u8]) -> Response<'_> {
    match one(octets) {
        Ok(Message::Response(response)) => response,
        other => panic!("{other:?}: {}", octets.escape_ascii()),
    }
}

fn with_line(line: &str) -> Vec<u8> {
    format!("CRCX 7 ds/e1-1/1@gw MGCP 1.0\r\n{line}\r\n").into_bytes()
}

/// What is wrong with the command that has this parameter line.
fn fault(line: &str) -> (&'static str, u16) {
    let octets = with_line(line);
    let error = one(&octets).expect_err(line);
    assert_eq!(error.transaction, Some(TransactionId(7)), "{line}");
    assert_eq!(error.verb, Some(Verb::CreateConnection), "{line}");
    assert_eq!(error.offset, 30, "{line}");
    (error.rule, error.code.0)
}

fn crcx_with<T>(line: &str, see: impl FnOnce(&Parameters<'_>) -> T) -> T {
    see(&command(&with_line(line)).parameters)
}

#[test]
fn each_real_message_is_read() {
    for text in examples::ALL {
        for octets in [text.replace('\n', "\r\n").into_bytes(), text.as_bytes().to_vec()] {
            for part in all(&octets) {
                part.message.unwrap_or_else(|error| panic!("{error:?}:\n{text}"));
            }
        }
    }
}

#[test]
fn crcx_of_yate_is_read() {
    let octets = lines(examples::YATE_CRCX);
    let command = command(&octets);
    assert_eq!(command.verb, Verb::CreateConnection);
    assert_eq!(command.transaction, TransactionId(1));
    assert_eq!(command.endpoint.to_string(), "ds/ds1-1/1@127.0.0.1:2427");
    let p = &command.parameters;
    assert_eq!(p.call, "28983372547f000001000000".parse().ok());
    assert_eq!(p.request, Some("27095e1201000000".parse().ok()));
    assert_eq!(p.requested_events, Some("D/[0-9#*](N),G/ft(N),fxr/t38"));
    assert_eq!(p.bearer.as_ref().and_then(|bearer| bearer.encoding), Some(Law::A));
    assert_eq!(p.mode, Some(ModeName::Known(Mode::SendReceive)));
    assert_eq!(command.descriptions.len(), 1);
    assert!(command.descriptions[0].starts_with(b"v=0\r\no=yate "));
    assert!(command.descriptions[0].ends_with(b"telephone-event/8000\r\n"));
}

#[test]
fn crcx_of_asterisk_has_one_list_of_codecs() {
    let octets = lines(examples::ASTERISK_CRCX);
    let command = command(&octets);
    let options = command.parameters.local_options.expect("L");
    assert_eq!(options.codecs, ["PCMA", "PCMU"]);
    assert_eq!(options.packetization_ms, Some(Range { from: 20, to: 20 }));
    assert_eq!(options.echo_cancellation, Some(true));
    assert_eq!(options.silence_suppression, Some(false));
    assert_eq!(command.endpoint.host(), "127.0.0.1");
}

#[test]
fn osmocom_asks_for_all_of_and_sends_its_own_parameter() {
    let octets = lines(examples::OSMOCOM_CRCX);
    let command = command(&octets);
    assert_eq!(command.endpoint.local, [Term::Word("rtpbridge".to_owned()), Term::All]);
    assert_eq!(command.parameters.others, [("X-Osmo-IGN", "C")]);
    let options = command.parameters.local_options.expect("L");
    assert_eq!(options.network_types, ["IN"]);
}

#[test]
fn spaces_case_and_order_are_as_the_other_side_likes() {
    let octets =
        b"\r\n  crcx \t 12  DS/E1-1/1@GW   mgcp  1.0 \r\nm:recvonly\n L : a:PCMA ;PCMU ,p:20 \nc:1\n";
    let command = command(octets);
    assert_eq!(command.verb, Verb::CreateConnection);
    assert_eq!(command.endpoint.to_string(), "DS/E1-1/1@GW");
    assert_eq!(command.parameters.mode, Some(ModeName::Known(Mode::ReceiveOnly)));
    assert_eq!(command.parameters.call, "1".parse().ok());
    assert_eq!(command.parameters.local_options.expect("L").codecs, ["PCMA", "PCMU"]);
}

#[test]
fn messages_of_a_datagram_stand_for_themselves() {
    let octets = b"200 2005 OK\r\n.\r\nMDCX 7 bad MGCP 1.0\r\n.\r\n\r\n.\r\nDLCX 1244 card23/21@tgw-7.example.net MGCP 1.0\r\nC: A3C47F21456789F0\r\nI: FDE234C8\r\n\r\n";
    let parts = all(octets);
    assert_eq!(parts.len(), 3);
    assert_eq!(parts[0].octets, b"200 2005 OK");
    assert_eq!(parts[1].octets, b"MDCX 7 bad MGCP 1.0");
    assert!(parts[2].octets.starts_with(b"DLCX 1244 ") && parts[2].octets.ends_with(b"FDE234C8"));
    assert!(matches!(&parts[0].message, Ok(Message::Response(r)) if r.transaction.0 == 2005));
    let error = *parts[1].message.as_ref().expect_err("no endpoint");
    assert_eq!((error.offset, error.rule), (16, "endpointName"));
    assert!(matches!(&parts[2].message, Ok(Message::Command(c)) if c.transaction.0 == 1244));
}

#[test]
fn a_dot_ends_a_description() {
    let octets = b"CRCX 1 1@gw MGCP 1.0\n\nv=0\ns=-\n.\n000 5\n";
    let parts = all(octets);
    assert_eq!(parts.len(), 2);
    assert!(matches!(&parts[0].message, Ok(Message::Command(c)) if c.descriptions == [b"v=0\ns=-\n"]));
    assert!(matches!(&parts[1].message, Ok(Message::Response(r)) if r.code.is_acknowledgement()));
}

#[test]
fn what_comes_again_has_the_same_octets() {
    let alone = b"DLCX 5 1@gw MGCP 1.0\r\nC: 1\r\n";
    let behind = b"200 1 OK\r\n.\r\nDLCX 5 1@gw MGCP 1.0\r\nC: 1\r\n.\r\n";
    assert_eq!(all(alone)[0].octets, all(behind)[1].octets);
}

#[test]
fn a_broken_command_still_has_its_transaction() {
    for (text, rule, code) in [
        ("CRCX 7 gw MGCP 1.0", "endpointName", 500),
        ("CRCX 7 a//b@gw MGCP 1.0", "endpointName", 500),
        ("CRCX 7 1@gw", "MGCPversion", 510),
        ("CRCX 7 1@gw MGCP", "MGCPversion", 510),
        ("CRCX 7 1@gw MGCP 2.0", "MGCPversion", 528),
        ("CRCX 7 1@gw MGCP 1.1", "MGCPversion", 528),
        ("CRCX 7 1@gw MGCP 0.2", "MGCPversion", 528),
        ("CRCX 7 1@gw MGCP x", "MGCPversion", 528),
        ("CRCX 7 1@gw SGCP 1.0", "MGCPversion", 528),
        ("CRCXX 7 1@gw MGCP 1.0", "MGCPVerb", 504),
        ("1RCX 7 1@gw MGCP 1.0", "MGCPVerb", 504),
        ("CRCX 7 1@gw MGCP 1.0\nno parameter", "MGCPParameter", 510),
        ("CRCX 7 1@gw MGCP 1.0\n: 1", "MGCPParameter", 510),
        ("CRCX 7 1@gw MGCP 1.0\nC: 1\nC: 1", "ParameterValue", 510),
        ("CRCX 7 1@gw MGCP 1.0\n\nv=0\n\nv=0", "SDPinformation", 510),
    ] {
        let error = one(text.as_bytes()).expect_err(text);
        assert_eq!(error.transaction, Some(TransactionId(7)), "{text}");
        assert_eq!((error.rule, error.code.0), (rule, code), "{text}");
    }
}

#[test]
fn noise_is_met_with_silence() {
    let long = vec![b'x'; DATAGRAM_OCTETS_MAX + 1];
    for octets in [
        &b""[..],
        b"\r\n\r\n",
        b".",
        b"\0\0\0",
        b"GET / HTTP/1.1\r\n",
        b"CRCX 1234567890 1@gw MGCP 1.0",
        b"CRCX -1 1@gw MGCP 1.0",
        b"200",
        b"200 OK",
        b"20 7 OK",
        b"2000 7 OK",
        b"CRCX 7\x01 1@gw MGCP 1.0",
        b"CRCX\x01 7 1@gw MGCP 1.0",
        b"\xff\xfe\n",
        &long,
    ] {
        assert_eq!(one(octets).map_err(|error| error.transaction), Err(None));
    }
}

#[test]
fn a_first_line_with_odd_octets_still_has_its_transaction() {
    for octets in [&b"CRCX 7 1@gw MGCP 1.0\rC: 1\r"[..], b"CRCX 7 \xff@gw MGCP 1.0\n", b"CRCX 7 1\x00x@gw\n"]
    {
        let error = one(octets).expect_err("odd");
        assert_eq!((error.transaction, error.rule, error.code.0), (Some(TransactionId(7)), "VCHAR", 510));
    }
    let long = format!("CRCX 7 {}@gw MGCP 1.0\n", "x".repeat(LINE_OCTETS_MAX));
    assert_eq!(one(long.as_bytes()).map_err(|error| error.transaction), Err(Some(TransactionId(7))));
}

#[test]
fn a_command_that_is_too_long_is_told_so() {
    let mut long = b"RQNT 7 1@gw MGCP 1.0\r\n".to_vec();
    long.resize(65_507, b'x');
    let error = one(&long).expect_err("too long");
    assert_eq!((error.transaction, error.code.0), (Some(TransactionId(7)), 510));
    long[..7].copy_from_slice(b"200 7 O");
    assert_eq!(one(&long).map_err(|error| error.transaction), Err(None));
}

#[test]
fn header_lines_are_utf8_and_of_bounded_length_and_number() {
    let octets = b"CRCX 7 1@gw MGCP 1.0\nS: \xff\n";
    assert_eq!(one(octets).map_err(|error| error.rule), Err("VCHAR"));
    assert_eq!(crcx_with("S: L/adsi(\"Zo\u{eb}\")", |p| p.signal_requests.map(str::len)), Some(14));
    assert_eq!(fault(&format!("S: {}", "x".repeat(LINE_OCTETS_MAX))), ("MGCPMessage", 510));
    let many = "X-A: 1\n".repeat(LINES_MAX + 1);
    let octets = format!("CRCX 7 1@gw MGCP 1.0\n{many}");
    assert_eq!(one(octets.as_bytes()).map_err(|error| error.rule), Err("MGCPCommand"));
}

#[test]
fn descriptions_may_hold_any_octet() {
    let octets = b"CRCX 7 1@gw MGCP 1.0\n\nv=0\ns=\xff\n";
    assert_eq!(command(octets).descriptions, [b"v=0\ns=\xff\n"]);
}

#[test]
fn profile_behind_the_version_is_kept() {
    assert_eq!(command(b"AUEP 1 *@gw MGCP 1.0 TGCP 1.0").profile, Some("TGCP 1.0"));
    assert_eq!(command(b"AUEP 1 *@gw MGCP 1.0 ").profile, None);
}

#[test]
fn unknown_verbs_are_kept() {
    assert_eq!(command(b"xper 1 *@gw MGCP 1.0").verb, Verb::Other(*b"XPER"));
}

#[test]
fn empty_lines_are_not_absent_ones() {
    let octets = b"AUEP 1 1@gw MGCP 1.0\nR: \nS:\nX:\nN: \nF:\nK:\nI:\nL:\nB:\nP:\nD:\nA:\n";
    let p = command(octets).parameters;
    assert_eq!((p.requested_events, p.signal_requests, p.digit_map), (Some(""), Some(""), Some("")));
    assert_eq!((p.request, p.notified_entity), (Some(None), Some(None)));
    assert_eq!((p.requested_info, p.response_ack), (Some(vec![]), Some(vec![])));
    assert_eq!(p.connections, Some(vec![]));
    assert_eq!(p.capabilities, [""]);
    assert!(p.local_options.is_some() && p.bearer.is_some() && p.connection_parameters.is_some());
}

#[test]
fn values_that_cannot_be_are_refused_by_rule() {
    for (line, rule, code) in [
        ("C: xyz", "CallId", 539),
        ("C: ", "CallId", 539),
        ("I: 1,2", "ConnectionId", 539),
        ("X: 123456789012345678901234567890123", "RequestIdentifier", 539),
        ("N: ca@", "NotifiedEntity", 539),
        ("B: e:x", "BearerEncoding", 539),
        ("E: 9", "ReasonCode", 539),
        ("K: 5-4", "ResponseAck", 539),
        ("K: x", "ResponseAck", 539),
        ("P: PS", "ConnectionParameter", 539),
        ("P: PS=1234567890", "ConnectionParameter", 539),
        ("P: X=\"1, PS=1", "ConnectionParameters", 539),
        ("F: \"A", "RequestedInfo", 539),
        ("RD: soon", "RestartDelay", 539),
        ("MD: -1", "MaxMGCPDatagram", 539),
        ("Z2: x", "SecondEndpointID", 539),
        ("I2: x", "SecondConnectionID", 539),
        ("Z: x", "SpecificEndpointID", 539),
        ("L: p:x", "packetizationPeriod", 541),
        ("L: k:\"a, e:on", "LocalConnectionOptions", 541),
        ("L: p:2x-10", "packetizationPeriod", 541),
        ("L: b:99999", "bandwidth", 541),
        ("L: e:maybe", "echoCancellation", 541),
        ("L: s:", "silenceSuppression", 541),
        ("L: t:1ff", "typeOfService", 541),
        ("L: t:+1", "typeOfService", 541),
        ("L: gc:loud", "gainControl", 541),
        ("L: a:", "compressionAlgorithm", 541),
        ("L: :1", "LocalConnectionOptions", 541),
        ("L: p:10, p:20", "packetizationPeriod", 524),
    ] {
        assert_eq!(fault(line), (rule, code), "{line}");
    }
}

#[test]
fn a_long_list_of_acknowledged_transactions_costs_nobody_a_command() {
    let octets = format!("AUEP 1 e@gw MGCP 1.0\r\nK: {}\r\n", vec!["7"; 1_500].join(","));
    let Ok(Message::Command(command)) = one(octets.as_bytes()) else { panic!("{octets}") };
    assert_eq!(command.parameters.response_ack.map(|ranges| ranges.len()), Some(1_500));
}

#[test]
fn lists_are_of_bounded_length() {
    let list = |key: &str, item: &str| format!("{key}: {}", vec![item; 65].join(","));
    assert_eq!(fault(&list("F", "A")), ("RequestedInfo", 539));
    assert_eq!(fault(&list("L", "x-a")), ("LocalConnectionOptions", 541));
    assert_eq!(fault(&list("L", "a:PCMA")), ("LocalConnectionOptions", 541));
    assert_eq!(fault(&list("B", "x")), ("BearerInformation", 539));
    assert_eq!(fault(&list("P", "X-A=1")), ("ConnectionParameters", 539));
}

#[test]
fn local_options_are_read_whole() {
    let line = "L: P:10-30, a:G726-32;image/t38, b:32-64, E:ON, gc:-12, s:off, t:b8, r:cl, k:clear:\"a,b\", nt:IN;ATM, x+new:1, atm/ct, fmtp:\"PCMU x=1,y\"";
    crcx_with(line, |p| {
        let options = p.local_options.clone().expect("L");
        assert_eq!(options.packetization_ms, Some(Range { from: 10, to: 30 }));
        assert_eq!(options.codecs, ["G726-32", "image/t38"]);
        assert_eq!(options.bandwidth_kbps, Some(Range { from: 32, to: 64 }));
        assert_eq!(options.echo_cancellation, Some(true));
        assert_eq!(options.gain_control, Some(GainControl::Decibels(-12)));
        assert_eq!(options.silence_suppression, Some(false));
        assert_eq!(options.type_of_service, Some(0xb8));
        assert_eq!(options.reservation, Some("cl"));
        assert_eq!(options.key, Some("clear:\"a,b\""));
        assert_eq!(options.network_types, ["IN", "ATM"]);
        let others = [("x+new", Some("1")), ("atm/ct", None), ("fmtp", Some("\"PCMU x=1,y\""))];
        assert_eq!(options.others, others);
    });
}

#[test]
fn audits_ask_for_what_they_name() {
    let info = crcx_with("F: A, r,RC,lc,B/PR,zz", |p| {
        p.requested_info.iter().flatten().map(|code| code.name().to_owned()).collect::<Vec<_>>()
    });
    assert_eq!(info, ["A", "R", "RC", "LC", "B/PR", "zz"]);
    let is_known =
        crcx_with("F: lc", |p| p.requested_info == Some(vec![InfoCode::LocalConnectionDescriptor]));
    assert!(is_known);
}

#[test]
fn reasons_methods_and_acknowledged_ranges_are_read() {
    let reason = |line: &str, code, package: Option<&str>, text: &str| {
        let expected = Reason { code: ReasonCode(code), package, text };
        crcx_with(line, |p| assert_eq!(p.reason, Some(expected), "{line}"));
    };
    reason("E: 900 - Hardware error", 900, None, "- Hardware error");
    reason("E: 902", 902, None, "");
    reason("E: 801 /pkg Odd thing", 801, Some("pkg"), "Odd thing");
    reason("E: 901 /pkg", 901, None, "/pkg");
    crcx_with("RM: Cancel-Graceful", |p| {
        assert_eq!(p.restart_method, Some(RestartMethod::CancelGraceful));
    });
    crcx_with("RM: pkg/odd", |p| {
        assert_eq!(p.restart_method, Some(RestartMethod::Other("pkg/odd")));
    });
    let range = |from, to| TransactionRange { from: TransactionId(from), to: TransactionId(to) };
    crcx_with("K: 6234-6255, 6257, 19030-19044", |p| {
        let expected = vec![range(6234, 6255), range(6257, 6257), range(19030, 19044)];
        assert_eq!(p.response_ack, Some(expected));
    });
}

#[test]
fn modes_of_others_keep_their_name() {
    let mode = |line: &str, expected: ModeName<'_>| {
        crcx_with(line, |p| assert_eq!(p.mode, Some(expected), "{line}"));
    };
    mode("M: NetwLoop", ModeName::Known(Mode::NetworkLoopback));
    mode("M: nas/data", ModeName::Other("nas/data"));
    mode("M: sendrec", ModeName::Other("sendrec"));
    for known in Mode::ALL {
        mode(&format!("M: {known}"), ModeName::Known(known));
    }
}

#[test]
fn only_package_codes_have_a_package() {
    let parts = |octets: &[u8]| {
        let response = response(octets);
        (response.code.0, response.package.map(str::to_owned), response.commentary.to_owned())
    };
    let owned =
        |code, package: Option<&str>, words: &str| (code, package.map(str::to_owned), words.to_owned());
    assert_eq!(parts(b"800 1234 /B Some words\n"), owned(800, Some("B"), "Some words"));
    assert_eq!(parts(b"800 1234 /B"), owned(800, Some("B"), ""));
    assert_eq!(parts(b"800 1234 Some words"), owned(800, None, "Some words"));
    assert_eq!(parts(b"200 1234 /B Some words"), owned(200, None, "/B Some words"));
    assert_eq!(parts(b"000 1204"), owned(0, None, ""));
    assert_eq!(parts(b"200 0 ok"), owned(200, None, "ok"));
}

#[test]
fn a_response_keeps_what_it_says_among_lines_we_cannot_read() {
    let octets =
        b"200 9 OK\nI: 1, 2\nI: 3\nwhat is this\nN: @@\nZ: a@b\nZ: c@d\nM: sendonly\nM: recvonly\nQQ: 1\n";
    let p = response(octets).parameters;
    let ids = ["1", "2", "3"].map(|id| id.parse::<ConnectionId>().expect("hex"));
    assert_eq!(p.connections.as_deref(), Some(&ids[..]));
    assert_eq!(p.specific_endpoints.len(), 2);
    assert_eq!(p.mode, Some(ModeName::Known(Mode::SendOnly)));
    assert_eq!(p.others, [("N", "@@"), ("M", "recvonly"), ("QQ", "1")]);
}

#[test]
fn a_response_has_local_and_remote_description() {
    let octets = b"200 1203 OK\r\nC: 1\r\n\r\nv=0\r\no=- 1\r\n\r\nv=0\r\n\r\nv=1\r\n";
    let response = response(octets);
    assert_eq!(response.descriptions, [&b"v=0\r\no=- 1\r\n"[..], b"v=0\r\n"]);
    assert_eq!(response.parameters.call, "1".parse::<CallId>().ok());
}

#[test]
fn mutated_datagrams_are_read_or_refused_but_never_feared() {
    let seed = 0x6d67_6370;
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..20_000 {
        let text = examples::ALL[random.random_range(0..examples::ALL.len())];
        let mut octets = lines(text);
        for _ in 0..random.random_range(1..8) {
            let at = random.random_range(0..octets.len());
            match random.random_range(0..4) {
                0 => octets[at] = random.random(),
                1 => octets.insert(at, b"\n\r\0 ,:;.\"*$[]@/-"[random.random_range(0..16)]),
                2 => octets.truncate(at.max(1)),
                _ => drop(octets.remove(at)),
            }
            if octets.is_empty() {
                octets.push(b'x');
            }
        }
        let parts = all(&octets);
        assert!(!parts.is_empty() && parts.len() <= octets.len());
        for part in parts {
            if let Ok(message) = part.message {
                let emitted = to_octets(&message);
                let again = one(&emitted).expect("what is emitted can be read");
                assert_eq!(to_octets(&again), emitted, "{}", octets.escape_ascii());
            }
        }
    }
}
