use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::*;
use crate::mgcp::code::{ReasonCode, ReturnCode};
use crate::mgcp::examples::{self, lines};
use crate::mgcp::message::{InfoCode, RestartMethod, TransactionId, Verb};
use crate::mgcp::name::{ConnectionId, EndpointName, EntityName, RangeWildcard, Term};
use crate::mgcp::parse::parse_datagram;
use dataplane::mode::Mode;

fn one(octets: &[u8]) -> Message<'_> {
    let mut parts = parse_datagram(octets);
    let message = parts.next().expect("a message").message.expect("a good one");
    assert_eq!(parts.next(), None);
    message
}

fn to_octets(message: &Message<'_>) -> Vec<u8> {
    let mut octets = Vec::new();
    message.write_to(&mut octets);
    octets
}

#[test]
fn what_real_agents_say_stays_what_it_means() {
    for text in examples::ALL {
        for part in parse_datagram(&lines(text)) {
            let message = part.message.expect(text);
            assert_eq!(one(&to_octets(&message)), message, "{text}");
        }
    }
}

#[test]
fn a_response_to_crcx_shows_connection_and_endpoint_first() {
    let mut response = Response::new(ReturnCode::OK, TransactionId(1204));
    let p = &mut response.parameters;
    p.connections = Some(vec![0xFDE2_34C8.into()]);
    p.specific_endpoints = vec!["rtpbridge/1@mgw".parse().expect("a name")];
    p.response_ack = Some(vec![]);
    response.descriptions = vec![b"v=0\r\ns=-\r\n"];
    let expected = "200 1204 OK\nI: FDE234C8\nZ: rtpbridge/1@mgw\nK: \n\nv=0\ns=-\n";
    assert_eq!(response.to_octets(), lines(expected));
}

#[test]
fn a_command_is_written_as_the_rfc_does() {
    let endpoint = "aaln/1@rgw-2567.whatever.net".parse().expect("a name");
    let mut command = Command::new(Verb::CreateConnection, TransactionId(1204), endpoint);
    let p = &mut command.parameters;
    p.call = "A3C47F21456789F0".parse().ok();
    p.local_options = Some(LocalConnectionOptions {
        codecs: vec!["PCMU"],
        packetization_ms: Some(Range { from: 10, to: 10 }),
        ..LocalConnectionOptions::default()
    });
    p.mode = Some(ModeName::Known(Mode::ReceiveOnly));
    let expected = "CRCX 1204 aaln/1@rgw-2567.whatever.net MGCP 1.0\nC: A3C47F21456789F0\nL: p:10, a:PCMU\nM: recvonly\n";
    assert_eq!(command.to_octets(), lines(expected));
}

#[test]
fn counters_stay_at_nine_digits() {
    let mut response = Response::new(ReturnCode::DELETED, TransactionId(1));
    response.parameters.connection_parameters = Some(ConnectionParameters {
        packets_sent: Some(u32::MAX),
        latency_ms: Some(0),
        ..ConnectionParameters::default()
    });
    assert_eq!(response.to_octets(), lines("250 1 OK\nP: PS=999999999, LA=0\n"));
}

#[test]
fn text_cannot_leave_its_line() {
    let mut response = Response::new(ReturnCode::OK, TransactionId(1));
    response.commentary = "fine\r\nI: 1\r\n.\r\nDLCX 1 *@gw MGCP 1.0";
    assert_eq!(response.to_octets(), b"200 1 fineI: 1.DLCX 1 *@gw MGCP 1.0\r\n");
}

#[test]
fn piggyback_takes_what_fits() {
    let mut piggyback = Piggyback::new(24);
    assert!(piggyback.push(b"200 1 OK\r\n"));
    assert!(piggyback.push(b"200 2 OK\r\n"));
    assert!(!piggyback.push(b"200 3 OK\r\n"));
    assert_eq!(piggyback.take(), b"200 1 OK\r\n.\r\n200 2 OK\r\n");
    assert!(piggyback.push(b"200 3 and more than there is room for\r\n"));
    assert_eq!(piggyback.take(), b"200 3 and more than there is room for\r\n");
    assert_eq!(piggyback.take(), b"");
}

/// All that a message can borrow.
#[derive(Clone, Debug)]
struct Texts {
    /// Values of lines that stay text.
    lines: [Option<String>; 9],
    /// Words without separators.
    words: Vec<String>,
    /// Names and values for what extensions bring.
    others: Vec<(String, Option<String>)>,
    capabilities: Vec<String>,
    descriptions: Vec<Vec<u8>>,
}

fn texts() -> impl Strategy<Value = Texts> {
    let line = of("([!-~]([ -~]{0,20}[!-~])?)?");
    let lines: [_; 9] = std::array::from_fn(|_| line.clone());
    let words = vec("[A-Za-z0-9_/]{1,12}", 8);
    let others = vec(("[Xx][+-][a-z]{1,6}|[a-z]{2}/[a-z]{1,9}", of("[a-z0-9:/]{0,8}")), 0..4);
    let capabilities = vec("a:[A-Z]{4}, p:[1-9]0-100", 0..3);
    let descriptions = vec("v=0\r\n(s=[ -~]{1,20}\r\n){0,3}".prop_map(String::into_bytes), 0..=2);
    (lines, words, others, capabilities, descriptions).prop_map(
        |(lines, words, others, capabilities, descriptions)| Texts {
            lines,
            words,
            others,
            capabilities,
            descriptions,
        },
    )
}

/// All that a message owns.
#[derive(Clone, Debug)]
struct Values {
    endpoint: EndpointName,
    second_endpoint: Option<EndpointName>,
    entity: Option<Option<EntityName>>,
    ids: [Option<String>; 4],
    numbers: [Option<u32>; 8],
    flags: [Option<bool>; 3],
    picks: [usize; 5],
    ranges: Option<Vec<(u32, u32)>>,
}

fn term() -> impl Strategy<Value = Term> {
    let run = (0..50_u32, 0..50_u32).prop_map(|(first, more)| (first, first + more));
    prop_oneof![
        "[!#%-)+.0-9A-Za-z_-]{1,12}".prop_map(Term::Word),
        Just(Term::All),
        Just(Term::Any),
        ("[a-z0-9-]{0,5}", vec(run, 1..4), "[a-z-]{0,3}")
            .prop_map(|(before, numbers, after)| { Term::Range(RangeWildcard { before, numbers, after }) }),
    ]
}

fn domain() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zA-Z0-9.-]{1,20}", Just("[10.1.2.3]".to_owned()), Just("[2001:db8::1]".to_owned())]
}

fn endpoint() -> impl Strategy<Value = EndpointName> {
    (vec(term(), 1..5), domain(), of(any::<u16>())).prop_map(|(local, domain, port)| {
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        EndpointName { local, domain: domain + &port }
    })
}

fn entity() -> impl Strategy<Value = EntityName> {
    (of("[a-zA-Z0-9/-]{1,10}"), domain(), of(any::<u16>())).prop_map(|(local, domain, port)| EntityName {
        local: local.map(Into::into),
        domain: domain.into(),
        port,
    })
}

fn values() -> impl Strategy<Value = Values> {
    let number = of(0..1_000_000_000_u32);
    let numbers: [_; 8] = std::array::from_fn(|_| number.clone());
    let id = of("[0-9a-fA-F]{1,32}");
    let ids: [_; 4] = std::array::from_fn(|_| id.clone());
    let range = (0..5_000_u32, 0..5_000_u32).prop_map(|(from, more)| (from, from + more));
    let picks = [0..100_usize, 0..100, 0..100, 0..100, 0..100];
    let flags = [any::<Option<bool>>(), any::<Option<bool>>(), any::<Option<bool>>()];
    (endpoint(), of(endpoint()), of(of(entity())), ids, numbers, flags, picks, of(vec(range, 0..4))).prop_map(
        |(endpoint, second_endpoint, entity, ids, numbers, flags, picks, ranges)| Values {
            endpoint,
            second_endpoint,
            entity,
            ids,
            numbers,
            flags,
            picks,
            ranges,
        },
    )
}

fn parameters<'a>(t: &'a Texts, v: &Values) -> Parameters<'a> {
    let line = |index: usize| t.lines[index].as_deref();
    let others: Vec<_> = t.others.iter().map(|(name, value)| (&**name, value.as_deref())).collect();
    let range = v.ranges.as_ref().and_then(|ranges| ranges.first());
    let range = range.map(|&(from, to)| Range { from, to });
    let id = |index: usize| v.ids[index].as_deref();
    Parameters {
        bearer: v.flags[0].map(|is_a| BearerInformation {
            encoding: Some(if is_a { Law::A } else { Law::Mu }),
            others: others.clone(),
        }),
        call: id(0).and_then(|id| id.parse().ok()),
        connections: id(1).map(|id| id.parse().into_iter().collect()),
        mode: match v.picks[0] {
            pick @ 0..=8 => Some(ModeName::Known(Mode::ALL[pick])),
            9..50 => Some(ModeName::Other(&t.words[0])),
            _ => None,
        },
        connection_parameters: v.flags[1].map(|_| ConnectionParameters {
            packets_sent: v.numbers[0],
            octets_sent: v.numbers[1],
            packets_received: v.numbers[2],
            octets_received: v.numbers[3],
            packets_lost: v.numbers[4],
            jitter_ms: v.numbers[5],
            latency_ms: v.numbers[6],
            others: vec![("X-UX", "7")],
        }),
        detect_events: line(0),
        digit_map: line(1),
        event_states: line(2),
        local_options: v.flags[2].map(|flag| LocalConnectionOptions {
            codecs: t.words[1..v.picks[1] % 4 + 1].iter().map(|word| &**word).collect(),
            packetization_ms: range,
            bandwidth_kbps: range,
            echo_cancellation: Some(flag),
            silence_suppression: v.flags[1],
            gain_control: match v.picks[2] {
                0..30 => None,
                30..40 => Some(GainControl::Automatic),
                gain => Some(GainControl::Decibels(gain as i16 - 70)),
            },
            type_of_service: v.numbers[7].map(|number| number as u8),
            reservation: Some("cl").filter(|_| flag),
            key: Some("clear:\"a,b\"").filter(|_| flag),
            network_types: t.words[4..v.picks[1] % 3 + 4].iter().map(|word| &**word).collect(),
            others: others.clone(),
        }),
        max_datagram: v.numbers[0],
        notified_entity: v.entity.clone(),
        observed_events: line(3),
        packages: line(4),
        quarantine: line(5),
        reason: v.numbers[1].map(|number| {
            let code = ReasonCode((number % 1_000) as u16);
            let package = Some(&*t.words[7]).filter(|_| (800..900).contains(&code.0));
            let text = line(6).filter(|text| !text.starts_with('/')).unwrap_or("");
            Reason { code, package, text }
        }),
        requested_events: line(6),
        requested_info: v.ranges.as_ref().map(|ranges| {
            let code = |&(pick, _): &(u32, u32)| match InfoCode::NAMES.get(pick as usize % 30) {
                Some((_, code)) => *code,
                None => InfoCode::Other("B/PR"),
            };
            ranges.iter().map(code).collect()
        }),
        request: v.flags[0].map(|_| id(2).and_then(|id| id.parse().ok())),
        response_ack: v.ranges.as_ref().map(|ranges| {
            let range = |&(from, to): &(u32, u32)| TransactionRange {
                from: TransactionId(from),
                to: TransactionId(to),
            };
            ranges.iter().map(range).collect()
        }),
        restart_delay_s: v.numbers[2],
        restart_method: match v.picks[3] {
            0 => Some(RestartMethod::Graceful),
            1 => Some(RestartMethod::Forced),
            2 => Some(RestartMethod::Restart),
            3 => Some(RestartMethod::Disconnected),
            4 => Some(RestartMethod::CancelGraceful),
            5..50 => Some(RestartMethod::Other("pkg/odd")),
            _ => None,
        },
        second_connection: id(3).and_then(|id| id.parse().ok()),
        second_endpoint: v.second_endpoint.clone(),
        signal_requests: line(7),
        capabilities: t.capabilities.iter().take(1).map(|line| &**line).collect(),
        specific_endpoints: v.second_endpoint.clone().into_iter().collect(),
        others: t.others.iter().map(|(name, value)| (&**name, value.as_deref().unwrap_or(""))).collect(),
    }
}

proptest! {
    #[test]
    fn commands_come_back_from_their_octets(t in texts(), v in values(), id in 0..1_000_000_000_u32) {
        let verb = [*b"CRCX", *b"AUEP", *b"XPER", *b"MESG", *b"NTFY"][v.picks[4] % 5];
        let mut command = Command::new(Verb::from_letters(verb), TransactionId(id), v.endpoint.clone());
        command.profile = v.flags[0].map(|_| "TGCP 1.0");
        command.parameters = parameters(&t, &v);
        command.descriptions = t.descriptions.iter().take(1).map(|octets| &**octets).collect();
        let octets = command.to_octets();
        prop_assert_eq!(one(&octets), Message::Command(command));
    }

    #[test]
    fn responses_come_back_from_their_octets(
        t in texts(), v in values(), id in 0..1_000_000_000_u32, code in 0..1_000_u16,
    ) {
        let mut response = Response::new(ReturnCode(code), TransactionId(id));
        response.package = Some(&*t.words[0]).filter(|_| response.code.is_package_specific());
        response.commentary = t.lines[8].as_deref().filter(|text| !text.starts_with('/')).unwrap_or("");
        response.parameters = parameters(&t, &v);
        response.parameters.capabilities = t.capabilities.iter().map(|line| &**line).collect();
        if let Some(ids) = &mut response.parameters.connections {
            ids.extend(v.ids[2].iter().filter_map(|id| id.parse::<ConnectionId>().ok()));
        }
        response.parameters.specific_endpoints.push(v.endpoint.clone());
        response.descriptions = t.descriptions.iter().map(|octets| &**octets).collect();
        let octets = response.to_octets();
        prop_assert_eq!(one(&octets), Message::Response(response));
    }
}
