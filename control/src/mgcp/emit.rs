//! [`Message`]s → octets: what [`parse`](super::parse) reads, written as old peers like it.
//!
//! Lines end in CR LF, keys are in upper case and followed by a colon and one space. What
//! responses must be quick to show, I and Z, comes first.

use std::io::Write;

use drivers::line::Law;

use super::message::{
    BearerInformation, Command, ConnectionParameters, GainControl, LocalConnectionOptions, Message, ModeName,
    Parameters, Range, Reason, Response, TransactionRange,
};

/// Room that is enough for most messages.
const USUAL_OCTETS: usize = 512;

impl Message<'_> {
    /// Appends its octets to `out`.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Command(command) => command.write_to(out),
            Self::Response(response) => response.write_to(out),
        }
    }
}

impl Command<'_> {
    /// Appends its octets to `out`.
    // RFC 3435 §3.2.1: one space between the four words of the command line.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.extend(self.verb.letters());
        value(out, format_args!(" {} {} MGCP {}", self.transaction.0, self.endpoint, self.version.name()));
        if let Some(profile) = self.profile {
            out.push(b' ');
            text(out, profile);
        }
        end_line(out);
        write_parameters(out, &self.parameters);
        write_descriptions(out, &self.descriptions);
    }

    /// Its octets.
    pub fn to_octets(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(USUAL_OCTETS);
        self.write_to(&mut octets);
        octets
    }
}

impl Response<'_> {
    /// Appends its octets to `out`.
    // RFC 3435 §3.3: code, transaction, the package of an 8xx code, commentary.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        value(out, format_args!("{} {}", self.code, self.transaction.0));
        if let Some(package) = self.package {
            out.extend(b" /");
            text(out, package);
        }
        if !self.commentary.is_empty() {
            out.push(b' ');
            text(out, self.commentary);
        }
        end_line(out);
        write_parameters(out, &self.parameters);
        write_descriptions(out, &self.descriptions);
    }

    /// Its octets.
    pub fn to_octets(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(USUAL_OCTETS);
        self.write_to(&mut octets);
        octets
    }
}

fn write_parameters(out: &mut Vec<u8>, p: &Parameters<'_>) {
    line(out, "C", p.call.as_ref(), |out, call| text(out, call.as_str()));
    line(out, "I", p.connections.as_ref(), |out, ids| {
        list(out, b", ", ids, |out, id| text(out, id.as_str()));
    });
    lines(out, "Z", &p.specific_endpoints, |out, endpoint| value(out, endpoint));
    line(out, "I2", p.second_connection.as_ref(), |out, id| text(out, id.as_str()));
    line(out, "Z2", p.second_endpoint.as_ref(), value);
    line(out, "K", p.response_ack.as_ref(), |out, ranges| {
        list(out, b", ", ranges, write_transaction_range);
    });
    line(out, "N", p.notified_entity.as_ref(), |out, entity| optional(out, entity.as_ref()));
    line(out, "X", p.request.as_ref(), |out, request| optional(out, request.as_ref()));
    line(out, "B", p.bearer.as_ref(), write_bearer);
    line(out, "L", p.local_options.as_ref(), write_local_options);
    line(out, "M", p.mode.as_ref(), write_mode);
    line(out, "R", p.requested_events, text);
    line(out, "S", p.signal_requests, text);
    line(out, "D", p.digit_map, text);
    line(out, "Q", p.quarantine, text);
    line(out, "T", p.detect_events, text);
    line(out, "O", p.observed_events, text);
    line(out, "ES", p.event_states, text);
    line(out, "RM", p.restart_method.as_ref(), |out, method| text(out, method.name()));
    line(out, "RD", p.restart_delay_s.as_ref(), value);
    line(out, "E", p.reason.as_ref(), write_reason);
    line(out, "P", p.connection_parameters.as_ref(), write_connection_parameters);
    line(out, "F", p.requested_info.as_ref(), |out, codes| {
        list(out, b",", codes, |out, code| text(out, code.name()));
    });
    lines(out, "A", &p.capabilities, |out, capability| text(out, capability));
    line(out, "PL", p.packages, text);
    line(out, "MD", p.max_datagram.as_ref(), value);
    for (name, value) in &p.others {
        line(out, name, Some(*value), text);
    }
}

fn write_transaction_range(out: &mut Vec<u8>, range: &TransactionRange) {
    value(out, range.from.0);
    if range.to != range.from {
        value(out, format_args!("-{}", range.to.0));
    }
}

fn write_bearer(out: &mut Vec<u8>, bearer: &BearerInformation<'_>) {
    let mut items = Items::new(out, ",");
    items.attribute("e", bearer.encoding, |out, law| {
        text(out, if law == Law::A { "A" } else { "mu" });
    });
    items.attributes(&bearer.others);
}

fn write_local_options(out: &mut Vec<u8>, options: &LocalConnectionOptions<'_>) {
    let on_or_off = |out: &mut Vec<u8>, on| text(out, if on { "on" } else { "off" });
    let alternatives = |out: &mut Vec<u8>, words: &[&str]| {
        list(out, b";", words, |out, word| text(out, word));
    };
    let some = |words: &'_ [&'_ str]| !words.is_empty();
    let mut items = Items::new(out, ", ");
    items.attribute("p", options.packetization_ms, write_range);
    items.attribute("a", Some(&*options.codecs).filter(|words| some(words)), alternatives);
    items.attribute("b", options.bandwidth_kbps, write_range);
    items.attribute("e", options.echo_cancellation, on_or_off);
    items.attribute("gc", options.gain_control, |out, gain| match gain {
        GainControl::Automatic => text(out, "auto"),
        GainControl::Decibels(gain) => value(out, gain),
    });
    items.attribute("s", options.silence_suppression, on_or_off);
    items.attribute("t", options.type_of_service, |out, tos| value(out, format_args!("{tos:02x}")));
    items.attribute("r", options.reservation, text);
    items.attribute("k", options.key, text);
    items.attribute("nt", Some(&*options.network_types).filter(|words| some(words)), alternatives);
    items.attributes(&options.others);
}

fn write_range(out: &mut Vec<u8>, range: Range) {
    value(out, range.from);
    if range.to != range.from {
        value(out, format_args!("-{}", range.to));
    }
}

fn write_mode(out: &mut Vec<u8>, mode: &ModeName<'_>) {
    match mode {
        ModeName::Known(mode) => value(out, mode),
        ModeName::Other(word) => text(out, word),
    }
}

fn write_reason(out: &mut Vec<u8>, reason: &Reason<'_>) {
    value(out, reason.code);
    if let Some(package) = reason.package {
        out.extend(b" /");
        text(out, package);
    }
    if !reason.text.is_empty() {
        out.push(b' ');
        text(out, reason.text);
    }
}

fn write_connection_parameters(out: &mut Vec<u8>, parameters: &ConnectionParameters<'_>) {
    // RFC 3435 §3.2.2.7: nine digits; a counter stays at its highest value.
    let counter = |out: &mut Vec<u8>, count: u32| value(out, count.min(999_999_999));
    let mut items = Items::new(out, ", ");
    items.pair("PS", parameters.packets_sent, counter);
    items.pair("OS", parameters.octets_sent, counter);
    items.pair("PR", parameters.packets_received, counter);
    items.pair("OR", parameters.octets_received, counter);
    items.pair("PL", parameters.packets_lost, counter);
    items.pair("JI", parameters.jitter_ms, counter);
    items.pair("LA", parameters.latency_ms, counter);
    for (name, value) in &parameters.others {
        items.pair(name, Some(*value), text);
    }
}

// RFC 3435 §3.3: an empty line before each description.
fn write_descriptions(out: &mut Vec<u8>, descriptions: &[&[u8]]) {
    for description in descriptions {
        end_line(out);
        out.extend(*description);
        if !description.ends_with(b"\n") {
            end_line(out);
        }
    }
}

/// A list in the making: attributes with separators between them.
struct Items<'a> {
    out: &'a mut Vec<u8>,
    separator: &'static str,
    is_first: bool,
}

impl<'a> Items<'a> {
    fn new(out: &'a mut Vec<u8>, separator: &'static str) -> Self {
        Self { out, separator, is_first: true }
    }

    /// `name:value`
    fn attribute<T>(&mut self, name: &str, value: Option<T>, write: impl FnOnce(&mut Vec<u8>, T)) {
        self.named(name, b':', value, write);
    }

    /// `name:value` or `name` each
    fn attributes(&mut self, attributes: &[(&str, Option<&str>)]) {
        for (name, value) in attributes {
            match value {
                Some(value) => self.attribute(name, Some(*value), text),
                None => self.start(name),
            }
        }
    }

    /// `name=value`
    fn pair<T>(&mut self, name: &str, value: Option<T>, write: impl FnOnce(&mut Vec<u8>, T)) {
        self.named(name, b'=', value, write);
    }

    fn named<T>(&mut self, name: &str, sign: u8, value: Option<T>, write: impl FnOnce(&mut Vec<u8>, T)) {
        if let Some(value) = value {
            self.start(name);
            self.out.push(sign);
            write(self.out, value);
        }
    }

    fn start(&mut self, name: &str) {
        if !self.is_first {
            text(self.out, self.separator);
        }
        self.is_first = false;
        text(self.out, name);
    }
}

/// A parameter line, if there is a value for it.
fn line<T>(out: &mut Vec<u8>, key: &str, value: Option<T>, write: impl FnOnce(&mut Vec<u8>, T)) {
    if let Some(value) = value {
        text(out, key);
        out.extend(b": ");
        write(out, value);
        end_line(out);
    }
}

/// A parameter line for each value.
fn lines<T>(out: &mut Vec<u8>, key: &str, values: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    for value in values {
        line(out, key, Some(value), &write);
    }
}

fn list<T>(out: &mut Vec<u8>, separator: &[u8], items: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.extend(separator);
        }
        write(out, item);
    }
}

fn optional(out: &mut Vec<u8>, displayed: Option<impl std::fmt::Display>) {
    if let Some(displayed) = displayed {
        value(out, displayed);
    }
}

fn value(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    write!(out, "{value}").expect("memory takes whatever is written to it");
}

/// Text as it is, but for line ends: whatever it says, it stays on its line.
fn text(out: &mut Vec<u8>, text: &str) {
    if text.contains(['\r', '\n']) {
        out.extend(text.bytes().filter(|b| !b"\r\n".contains(b)));
    } else {
        out.extend(text.as_bytes());
    }
}

fn end_line(out: &mut Vec<u8>) {
    out.extend(b"\r\n");
}

/// Several messages in one datagram (RFC 3435 §3.5.5).
#[derive(Clone, Debug)]
pub struct Piggyback {
    octets: Vec<u8>,
    octets_max: usize,
}

impl Piggyback {
    /// An empty datagram of at most `octets_max` octets, as many as go without fragments.
    pub fn new(octets_max: usize) -> Self {
        Self { octets: Vec::new(), octets_max }
    }

    /// Puts a message behind the others. If it has no room it is left out, and `false` returned;
    /// the first one always has.
    pub fn push(&mut self, message: &[u8]) -> bool {
        const DOT: &[u8] = b".\r\n";
        if self.octets.is_empty() {
            self.octets.extend(message);
            return true;
        }
        let has_room = self.octets.len() + DOT.len() + message.len() <= self.octets_max;
        if has_room {
            self.octets.extend(DOT);
            self.octets.extend(message);
        }
        has_room
    }

    /// The datagram; the next one starts empty.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.octets)
    }
}

#[cfg(test)]
mod tests;
