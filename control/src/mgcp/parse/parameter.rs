//! Parameter lines and their values (RFC 3435 §3.2.2).

use drivers::line::Law;

use dataplane::mode::Mode;

use super::{split_package, trim};
use crate::mgcp::code::{ReasonCode, ReturnCode};
use crate::mgcp::message::{
    BearerInformation, ConnectionParameters, GainControl, InfoCode, LocalConnectionOptions, ModeName,
    Parameters, Range, Reason, RestartMethod, TransactionId, TransactionRange,
};
use crate::mgcp::name::{ConnectionId, decimal};

/// Items of a list: codecs, options, parameter codes.
const ITEMS_MAX: usize = 64;

/// What kind of message a parameter is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Of {
    Command,
    Response,
}

/// A rule that is broken, and what to answer to that.
type Broken = (&'static str, ReturnCode);

/// Puts one parameter line in its place. On an error, `parameters` is as it was.
pub(super) fn read<'a>(
    parameters: &mut Parameters<'a>,
    of: Of,
    name: &'a str,
    value: &'a str,
) -> Result<(), Broken> {
    let p = parameters;
    let mut letters = [0; 2];
    let letters = match letters.get_mut(..name.len()) {
        Some(letters) => {
            letters.copy_from_slice(name.as_bytes());
            letters.make_ascii_uppercase();
            &*letters
        }
        None => &[],
    };
    match letters {
        b"B" => once(&mut p.bearer, bearer(value)?),
        b"C" => once(&mut p.call, value.parse().map_err(|_| invalid("CallId"))?),
        b"A" => several(of, &mut p.capabilities, value),
        b"I" => connections(of, &mut p.connections, value),
        b"M" => once(&mut p.mode, mode(value)),
        b"P" => once(&mut p.connection_parameters, connection_parameters(value)?),
        b"T" => once(&mut p.detect_events, value),
        b"D" => once(&mut p.digit_map, value),
        b"ES" => once(&mut p.event_states, value),
        b"L" => once(&mut p.local_options, local_options(value)?),
        b"MD" => once(&mut p.max_datagram, decimal(value).ok_or(invalid("MaxMGCPDatagram"))?),
        b"N" => once(&mut p.notified_entity, or_empty(value, "NotifiedEntity")?),
        b"O" => once(&mut p.observed_events, value),
        b"PL" => once(&mut p.packages, value),
        b"Q" => once(&mut p.quarantine, value),
        b"E" => once(&mut p.reason, reason(value)?),
        b"R" => once(&mut p.requested_events, value),
        b"F" => once(&mut p.requested_info, requested_info(value)?),
        b"X" => once(&mut p.request, or_empty(value, "RequestIdentifier")?),
        b"K" => once(&mut p.response_ack, response_ack(value)?),
        b"RD" => once(&mut p.restart_delay_s, decimal(value).ok_or(invalid("RestartDelay"))?),
        b"RM" => once(&mut p.restart_method, restart_method(value)),
        b"I2" => once(&mut p.second_connection, value.parse().map_err(|_| invalid("SecondConnectionID"))?),
        b"Z2" => once(&mut p.second_endpoint, value.parse().map_err(|_| invalid("SecondEndpointID"))?),
        b"S" => once(&mut p.signal_requests, value),
        b"Z" => {
            let endpoint = value.parse().map_err(|_| invalid("SpecificEndpointID"))?;
            several(of, &mut p.specific_endpoints, endpoint)
        }
        _ => {
            p.others.push((name, value));
            Ok(())
        }
    }
}

/// A value that its parameter cannot have.
// RFC 3661 §2.2: 539 is for parameters of the protocol itself, 510 for what nothing else fits.
fn invalid(rule: &'static str) -> Broken {
    (rule, ReturnCode::UNSUPPORTED_PARAMETER)
}

/// A local connection option that it cannot be.
fn invalid_option(rule: &'static str) -> Broken {
    (rule, ReturnCode::UNSUPPORTED_OPTION)
}

// RFC 3435 §3.2.2: no parameter more than once, unless its section says so.
const TWICE: Broken = ("ParameterValue", ReturnCode::PROTOCOL_ERROR);

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), Broken> {
    if slot.is_some() {
        return Err(TWICE);
    }
    *slot = Some(value);
    Ok(())
}

// RFC 3435 §3.3, notes to the table: answers to audits may repeat A, I and Z.
fn several<T>(of: Of, list: &mut Vec<T>, value: T) -> Result<(), Broken> {
    if of == Of::Command && !list.is_empty() {
        return Err(TWICE);
    }
    list.push(value);
    Ok(())
}

fn or_empty<T: std::str::FromStr>(value: &str, rule: &'static str) -> Result<Option<T>, Broken> {
    if value.is_empty() { Ok(None) } else { value.parse().map(Some).map_err(|_| invalid(rule)) }
}

// RFC 3435 §3.3.6: a list, several lines, or both, but only in responses.
fn connections(of: Of, slot: &mut Option<Vec<ConnectionId>>, value: &str) -> Result<(), Broken> {
    let ids = items(value, invalid("ConnectionId"))?.map(str::parse).collect::<Result<Vec<_>, _>>();
    let ids = ids.map_err(|_| invalid("ConnectionId"))?;
    if of == Of::Response {
        slot.get_or_insert_default().extend(ids);
        return Ok(());
    }
    if ids.len() > 1 {
        return Err(invalid("ConnectionId"));
    }
    once(slot, ids)
}

fn bearer(value: &str) -> Result<BearerInformation<'_>, Broken> {
    let mut bearer = BearerInformation::default();
    for (name, value) in attributes(value, invalid("BearerInformation"))? {
        match (name, value) {
            (name, Some(law)) if name.eq_ignore_ascii_case("e") => {
                let law = encoding(law).ok_or(invalid("BearerEncoding"))?;
                once(&mut bearer.encoding, law)?;
            }
            other => bearer.others.push(other),
        }
    }
    Ok(bearer)
}

fn encoding(word: &str) -> Option<Law> {
    if word.eq_ignore_ascii_case("A") {
        Some(Law::A)
    } else if word.eq_ignore_ascii_case("mu") {
        Some(Law::Mu)
    } else {
        None
    }
}

fn mode(word: &str) -> ModeName<'_> {
    let Ok(mut letters) = <[u8; 8]>::try_from(word.as_bytes()) else {
        return ModeName::Other(word);
    };
    letters.make_ascii_lowercase();
    ModeName::Known(match &letters {
        b"sendonly" => Mode::SendOnly,
        b"recvonly" => Mode::ReceiveOnly,
        b"sendrecv" => Mode::SendReceive,
        b"confrnce" => Mode::Conference,
        b"inactive" => Mode::Inactive,
        b"loopback" => Mode::Loopback,
        b"conttest" => Mode::ContinuityTest,
        b"netwloop" => Mode::NetworkLoopback,
        b"netwtest" => Mode::NetworkContinuityTest,
        _ => return ModeName::Other(word),
    })
}

fn connection_parameters(value: &str) -> Result<ConnectionParameters<'_>, Broken> {
    let mut parameters = ConnectionParameters::default();
    for (count, item) in items(value, invalid("ConnectionParameters"))?.enumerate() {
        let (name, value) = item.split_once('=').ok_or(invalid("ConnectionParameter"))?;
        let (name, value) = (trim(name), trim(value));
        let slot = match name.as_bytes() {
            name if name.eq_ignore_ascii_case(b"PS") => &mut parameters.packets_sent,
            name if name.eq_ignore_ascii_case(b"OS") => &mut parameters.octets_sent,
            name if name.eq_ignore_ascii_case(b"PR") => &mut parameters.packets_received,
            name if name.eq_ignore_ascii_case(b"OR") => &mut parameters.octets_received,
            name if name.eq_ignore_ascii_case(b"PL") => &mut parameters.packets_lost,
            name if name.eq_ignore_ascii_case(b"JI") => &mut parameters.jitter_ms,
            name if name.eq_ignore_ascii_case(b"LA") => &mut parameters.latency_ms,
            _ if count < ITEMS_MAX => {
                parameters.others.push((name, value));
                continue;
            }
            _ => return Err(invalid("ConnectionParameters")),
        };
        once(slot, decimal(value).ok_or(invalid("ConnectionParameter"))?)?;
    }
    Ok(parameters)
}

fn local_options(value: &str) -> Result<LocalConnectionOptions<'_>, Broken> {
    let mut options = LocalConnectionOptions::default();
    for (name, value) in attributes(value, invalid_option("LocalConnectionOptions"))? {
        let mut letters = [0; 2];
        let key = match (letters.get_mut(..name.len()), value) {
            (Some(letters), Some(_)) => {
                letters.copy_from_slice(name.as_bytes());
                letters.make_ascii_lowercase();
                &*letters
            }
            _ => &[],
        };
        let text = value.unwrap_or("");
        match key {
            // Asterisk repeats `a`; all of them together are the list.
            b"a" => alternatives(&mut options.codecs, text, "compressionAlgorithm")?,
            b"nt" => alternatives(&mut options.network_types, text, "typeOfNetwork")?,
            b"p" => option(&mut options.packetization_ms, range(text), "packetizationPeriod")?,
            b"b" => option(&mut options.bandwidth_kbps, range(text), "bandwidth")?,
            b"e" => option(&mut options.echo_cancellation, on_or_off(text), "echoCancellation")?,
            b"s" => option(&mut options.silence_suppression, on_or_off(text), "silenceSuppression")?,
            b"gc" => option(&mut options.gain_control, gain_control(text), "gainControl")?,
            b"t" => option(&mut options.type_of_service, hex_octet(text), "typeOfService")?,
            b"r" => option(&mut options.reservation, Some(text), "resourceReservation")?,
            b"k" => option(&mut options.key, Some(text), "encryptiondata")?,
            _ => options.others.push((name, value)),
        }
    }
    Ok(options)
}

fn option<T>(slot: &mut Option<T>, value: Option<T>, rule: &'static str) -> Result<(), Broken> {
    // RFC 3661 §2.2: options that contradict each other are 524.
    if slot.is_some() {
        return Err((rule, ReturnCode::OPTIONS_INCONSISTENT));
    }
    *slot = Some(value.ok_or(invalid_option(rule))?);
    Ok(())
}

fn alternatives<'a>(list: &mut Vec<&'a str>, text: &'a str, rule: &'static str) -> Result<(), Broken> {
    let before = list.len();
    list.extend(text.split(';').map(trim).filter(|item| !item.is_empty()));
    let is_list = list.len() > before && list.len() <= ITEMS_MAX;
    if is_list { Ok(()) } else { Err(invalid_option(rule)) }
}

fn range(text: &str) -> Option<Range> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let number = |text| decimal(trim(text)).filter(|&number| number <= 9_999);
    // One that is upside down is for who negotiates to refuse, with a code of its own.
    Some(Range { from: number(from)?, to: number(to)? })
}

fn on_or_off(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("on") {
        Some(true)
    } else if text.eq_ignore_ascii_case("off") {
        Some(false)
    } else {
        None
    }
}

fn gain_control(text: &str) -> Option<GainControl> {
    if text.eq_ignore_ascii_case("auto") {
        return Some(GainControl::Automatic);
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let gain = decimal(digits).filter(|&gain| gain <= 9_999)? as i16;
    Some(GainControl::Decibels(sign * gain))
}

fn hex_octet(text: &str) -> Option<u8> {
    let is_hex = !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
    if is_hex { u8::from_str_radix(text, 16).ok() } else { None }
}

fn reason(value: &str) -> Result<Reason<'_>, Broken> {
    let (code, rest) = super::split_word(value);
    let code = decimal(code).filter(|_| code.len() == 3).ok_or(invalid("ReasonCode"))? as u16;
    let (package, text) = split_package((800..900).contains(&code), rest);
    Ok(Reason { code: ReasonCode(code), package, text })
}

fn requested_info(value: &str) -> Result<Vec<InfoCode<'_>>, Broken> {
    let codes: Vec<_> = items(value, invalid("RequestedInfo"))?.map(info_code).collect();
    if codes.len() <= ITEMS_MAX { Ok(codes) } else { Err(invalid("RequestedInfo")) }
}

fn info_code(word: &str) -> InfoCode<'_> {
    let Some((_, code)) = InfoCode::NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)) else {
        return InfoCode::Other(word);
    };
    *code
}

// RFC 3435 §3.5.2: long lists should not be sent; but they are no reason not to do what the command asks.
fn response_ack(value: &str) -> Result<Vec<TransactionRange>, Broken> {
    let ranges: Option<Vec<_>> = items(value, invalid("ResponseAck"))?.map(transaction_range).collect();
    ranges.ok_or(invalid("ResponseAck"))
}

fn transaction_range(text: &str) -> Option<TransactionRange> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (decimal(trim(from))?, decimal(trim(to))?);
    let range = TransactionRange { from: TransactionId(from), to: TransactionId(to) };
    (from <= to).then_some(range)
}

fn restart_method(word: &str) -> RestartMethod<'_> {
    [
        RestartMethod::Graceful,
        RestartMethod::Forced,
        RestartMethod::Restart,
        RestartMethod::Disconnected,
        RestartMethod::CancelGraceful,
    ]
    .into_iter()
    .find(|method| method.name().eq_ignore_ascii_case(word))
    .unwrap_or(RestartMethod::Other(word))
}

/// The items of a list; commas in quotes are no separators.
// RFC 3435 Appendix A, quotedString: where no quote ends it, nobody knows what it quotes.
fn items(list: &str, broken: Broken) -> Result<impl Iterator<Item = &str>, Broken> {
    let mut is_quoted = false;
    let items = list.split(move |letter| {
        is_quoted ^= letter == '"';
        letter == ',' && !is_quoted
    });
    let is_balanced = list.bytes().filter(|octet| *octet == b'"').count().is_multiple_of(2);
    is_balanced.then_some(items.map(trim).filter(|item| !item.is_empty())).ok_or(broken)
}

/// The items of a list of `name:value` and `name`.
fn attributes(list: &str, broken: Broken) -> Result<Vec<(&str, Option<&str>)>, Broken> {
    let list: Vec<_> = items(list, broken)?.take(ITEMS_MAX + 1).map(attribute).collect();
    let is_list = list.len() <= ITEMS_MAX && list.iter().all(|(name, _)| !name.is_empty());
    if is_list { Ok(list) } else { Err(broken) }
}

fn attribute(item: &str) -> (&str, Option<&str>) {
    match item.split_once(':') {
        Some((name, value)) => (trim(name), Some(trim(value))),
        None => (item, None),
    }
}
