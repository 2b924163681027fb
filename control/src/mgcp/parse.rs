//! Octets → [`Message`]s, by the grammar of RFC 3435's Appendix A and by what peers really send.
//!
//! One pass; what is text in the datagram stays there, borrowed. Nothing that comes in can make it
//! panic, and what it allocates is bounded by the datagram's size. It is stricter with commands,
//! where a guess could do harm, than with responses, where RFC 3435 §3.3 has us ignore what we
//! cannot understand.
//!
//! Lists of events, signals and digits stay text here: what they mean depends on the packages.

mod parameter;

use super::code::ReturnCode;
use super::message::{Command, Message, Parameters, Response, TransactionId, Verb, Version};
use super::name::decimal;

/// Octets of the largest datagram that is read.
// RFC 3435 §3.5.4: at least 4000 octets.
const DATAGRAM_OCTETS_MAX: usize = 16_384;

/// Octets of the longest header line.
const LINE_OCTETS_MAX: usize = 4_096;

/// Parameter lines of a message: as many endpoints as an audit's answer can list.
const LINES_MAX: usize = 512;

/// Session descriptions of a response: local and remote (RFC 3435 §3.3.7).
const DESCRIPTIONS_MAX: usize = 2;

/// One message of a datagram, as octets and as meaning.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part<'a> {
    /// Its own octets: what tells a repeated command from a new one with an old number.
    pub octets: &'a [u8],
    /// What they mean.
    pub message: Result<Message<'a>, ParseError>,
}

/// What is wrong with a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// Where in the datagram the line starts.
    pub offset: usize,
    /// The rule of RFC 3435's grammar (Appendix A) that is broken.
    pub rule: &'static str,
    /// What to answer.
    pub code: ReturnCode,
    /// The transaction to answer; `None` where there is nothing to answer: a response, or noise.
    pub transaction: Option<TransactionId>,
    /// The command's verb, as far as it could be read.
    pub verb: Option<Verb>,
}

impl ParseError {
    /// With nobody to answer to.
    fn silent(offset: usize, rule: &'static str) -> Self {
        let code = ReturnCode::PROTOCOL_ERROR;
        Self { offset, rule, code, transaction: None, verb: None }
    }
}

/// The messages of a datagram, in order (RFC 3435 §3.5.5).
///
/// Each stands for itself: what is wrong with one does not touch the next. A datagram without any
/// is one part that is an error.
pub fn parse_datagram(octets: &[u8]) -> Parts<'_> {
    Parts { lines: Lines { octets, at: 0, end: None }, started: false }
}

/// See [`parse_datagram`].
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    lines: Lines<'a>,
    started: bool,
}

impl<'a> Parts<'a> {
    /// What has not been read yet: the next message and those behind it.
    pub fn rest(&self) -> &'a [u8] {
        &self.lines.octets[self.lines.at..]
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        let octets = self.lines.octets;
        let is_first = !self.started;
        self.started = true;
        if octets.len() > DATAGRAM_OCTETS_MAX {
            return is_first.then(|| Part { octets, message: Err(too_long(octets)) });
        }
        while self.lines.at < octets.len() {
            self.lines.end = None;
            // A message without a line is a stray dot or a blank end: nothing to say about it.
            let Some(first) = self.lines.next_not_blank() else { continue };
            let message = parse_message(first, &mut self.lines);
            let end = self.lines.skip_rest();
            return Some(Part { octets: trim_end(&octets[first.offset..end]), message });
        }
        let error = ParseError::silent(0, "MGCPMessage");
        is_first.then_some(Part { octets, message: Err(error) })
    }
}

/// What is wrong with a datagram that is too long to be looked at: its first command is told so.
fn too_long(octets: &[u8]) -> ParseError {
    let mut lines = Lines { octets: &octets[..DATAGRAM_OCTETS_MAX], at: 0, end: None };
    let first = lines
        .next_not_blank()
        .map(|first| parse_message(first, &mut Lines { octets: b"", at: 0, end: None }));
    let found = match first {
        Some(Ok(Message::Command(command))) => Some((command.transaction, Some(command.verb))),
        Some(Err(error)) => error.transaction.map(|transaction| (transaction, error.verb)),
        Some(Ok(Message::Response(_))) | None => None,
    };
    let silent = ParseError::silent(DATAGRAM_OCTETS_MAX, "MGCPMessage");
    found.map_or(silent, |(transaction, verb)| ParseError { transaction: Some(transaction), verb, ..silent })
}

fn parse_message<'a>(first: Line<'a>, lines: &mut Lines<'a>) -> Result<Message<'a>, ParseError> {
    let text = first.text().map_err(|rule| unreadable(first, rule))?;
    let (word, rest) = split_word(text);
    match word.len() {
        _ if !word.bytes().all(|b| b.is_ascii_digit()) => {
            parse_command(first.offset, word, rest, lines).map(Message::Command)
        }
        3 => parse_response(first.offset, word, rest, lines).map(Message::Response),
        // A number is meant for a response's code, and responses are not answered.
        _ => Err(ParseError::silent(first.offset, "responseCode")),
    }
}

/// What is wrong with a first line that is no text: whose verb and transaction can be read is told so.
fn unreadable(line: Line<'_>, rule: &'static str) -> ParseError {
    let silent = ParseError::silent(line.offset, rule);
    let is_read = |octet: &u8| octet.is_ascii_graphic() || b" \t".contains(octet);
    let end = line.octets.iter().position(|octet| !is_read(octet)).unwrap_or(line.octets.len());
    let text = str::from_utf8(&line.octets[..end]).expect("ASCII is UTF-8");
    // A word without white space behind it may be but a part of one.
    let whole = text.rfind([' ', '\t']).map_or("", |end| &text[..end]);
    let (verb, rest) = split_word(whole);
    let (id, _) = split_word(rest);
    match (verb_letters(verb), decimal(id)) {
        (Some(letters), Some(id)) => {
            let (transaction, verb) = (Some(TransactionId(id)), Some(Verb::from_letters(letters)));
            ParseError { transaction, verb, ..silent }
        }
        _ => silent,
    }
}

// RFC 3435 §3.2.1: verb, transaction, endpoint and protocol version, with white space between.
fn parse_command<'a>(
    offset: usize,
    verb: &str,
    rest: &'a str,
    lines: &mut Lines<'a>,
) -> Result<Command<'a>, ParseError> {
    let (id, rest) = split_word(rest);
    let (endpoint, rest) = split_word(rest);
    let Some(transaction) = decimal(id).map(TransactionId) else {
        return Err(ParseError::silent(offset, "transaction-id"));
    };
    let letters = verb_letters(verb);
    let error = |fault: Fault| ParseError {
        offset: fault.offset,
        rule: fault.rule,
        code: fault.code,
        transaction: Some(transaction),
        verb: letters.map(Verb::from_letters),
    };

    let Some(letters) = letters else {
        return Err(error(Fault { offset, rule: "MGCPVerb", code: ReturnCode::UNKNOWN_COMMAND }));
    };
    let (version, profile) =
        parse_version(rest).map_err(|(rule, code)| error(Fault { offset, rule, code }))?;
    let endpoint = endpoint
        .parse()
        .map_err(|_| error(Fault { offset, rule: "endpointName", code: ReturnCode::ENDPOINT_UNKNOWN }))?;

    let mut command = Command::new(Verb::from_letters(letters), transaction, endpoint);
    command.version = version;
    command.profile = profile;
    for (index, line) in lines.by_ref().take_while(|line| !line.is_blank()).enumerate() {
        parse_parameter(index, &line, &mut command.parameters).map_err(error)?;
    }
    while let Some(description) = lines.next_description() {
        // Appendix A: a command has one description at most.
        if !command.descriptions.is_empty() {
            let (rule, code) = ("SDPinformation", ReturnCode::PROTOCOL_ERROR);
            return Err(error(Fault { offset: lines.at, rule, code }));
        }
        command.descriptions.push(description);
    }
    Ok(command)
}

fn verb_letters(word: &str) -> Option<[u8; 4]> {
    let letters: [u8; 4] = word.as_bytes().try_into().ok()?;
    let is_verb = letters[0].is_ascii_alphabetic() && letters.iter().all(u8::is_ascii_alphanumeric);
    is_verb.then_some(letters)
}

// RFC 3435 §3.2.1.4: `MGCP 1.0`, and a profile to the end of the line. Who may say 0.1 is for others to know.
fn parse_version(text: &str) -> Result<(Version, Option<&str>), (&'static str, ReturnCode)> {
    let (protocol, rest) = split_word(text);
    let (version, profile) = split_word(rest);
    if protocol.is_empty() || version.is_empty() {
        return Err(("MGCPversion", ReturnCode::PROTOCOL_ERROR));
    }
    let numbers = version.split_once('.').map(|(major, minor)| (decimal(major), decimal(minor)));
    let version = match numbers {
        Some((Some(1), Some(0))) => Some(Version::Rfc),
        Some((Some(0), Some(1))) => Some(Version::Draft),
        _ => None,
    };
    let version = version.filter(|_| protocol.eq_ignore_ascii_case("MGCP"));
    let version = version.ok_or(("MGCPversion", ReturnCode::INCOMPATIBLE_VERSION))?;
    Ok((version, (!profile.is_empty()).then_some(profile)))
}

fn parse_parameter<'a>(index: usize, line: &Line<'a>, parameters: &mut Parameters<'a>) -> Result<(), Fault> {
    let fault = |rule, code| Fault { offset: line.offset, rule, code };
    if index == LINES_MAX {
        return Err(fault("MGCPCommand", ReturnCode::PROTOCOL_ERROR));
    }
    let text = line.text().map_err(|rule| fault(rule, ReturnCode::PROTOCOL_ERROR))?;
    let (name, value) = split_parameter(text).ok_or(fault("MGCPParameter", ReturnCode::PROTOCOL_ERROR))?;
    parameter::read(parameters, parameter::Of::Command, name, value).map_err(|(rule, code)| fault(rule, code))
}

// RFC 3435 §3.3: code, transaction, the package of an 8xx code, commentary.
fn parse_response<'a>(
    offset: usize,
    code: &str,
    rest: &'a str,
    lines: &mut Lines<'a>,
) -> Result<Response<'a>, ParseError> {
    let code = decimal(code).and_then(|code| u16::try_from(code).ok()).map(ReturnCode);
    let code = code.expect("three digits are a number");
    let (id, rest) = split_word(rest);
    let Some(transaction) = decimal(id).map(TransactionId) else {
        return Err(ParseError::silent(offset, "transaction-id"));
    };
    let (package, commentary) = split_package(code.is_package_specific(), rest);
    let mut parameters = Parameters::default();
    for (index, line) in lines.by_ref().take_while(|line| !line.is_blank()).enumerate() {
        // RFC 3435 §3.3: a parameter of a response that is not understood is ignored.
        let Some((name, value)) = line.text().ok().and_then(split_parameter) else { continue };
        let is_read = index < LINES_MAX
            && parameter::read(&mut parameters, parameter::Of::Response, name, value).is_ok();
        if !is_read && index < LINES_MAX {
            parameters.others.push((name, value));
        }
    }
    let mut descriptions = Vec::new();
    while let Some(description) = lines.next_description() {
        if descriptions.len() < DESCRIPTIONS_MAX {
            descriptions.push(description);
        }
    }
    Ok(Response { code, transaction, package, commentary, parameters, descriptions })
}

/// What is wrong with a command, and where.
struct Fault {
    offset: usize,
    rule: &'static str,
    code: ReturnCode,
}

/// The lines of one message after the other.
#[derive(Clone, Debug)]
struct Lines<'a> {
    octets: &'a [u8],
    at: usize,
    /// Where the message ends, once that is known.
    end: Option<usize>,
}

impl<'a> Lines<'a> {
    fn next_not_blank(&mut self) -> Option<Line<'a>> {
        self.find(|line| !line.is_blank())
    }

    /// The next description: all lines up to a blank one, with their ends.
    // RFC 3435 §3.3: several descriptions have an empty line between them.
    fn next_description(&mut self) -> Option<&'a [u8]> {
        let first = self.next_not_blank()?;
        let mut end = self.at;
        while let Some(line) = self.next() {
            if line.is_blank() {
                break;
            }
            end = self.at;
        }
        Some(&self.octets[first.offset..end])
    }

    /// Goes to the start of the next message; returns where this one ends.
    fn skip_rest(&mut self) -> usize {
        loop {
            match self.end {
                Some(end) => return end,
                None => self.next(),
            };
        }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        if self.end.is_some() {
            return None;
        }
        let offset = self.at;
        let rest = &self.octets[offset..];
        if rest.is_empty() {
            self.end = Some(offset);
            return None;
        }
        // RFC 3435 §3.1: lines end in CR LF, or in LF alone.
        let len = rest.iter().position(|&b| b == b'\n');
        self.at += len.map_or(rest.len(), |len| len + 1);
        let line = Line { offset, octets: trim_end(&rest[..len.unwrap_or(rest.len())]) };
        // RFC 3435 §3.5.5: a line of a single dot ends a message.
        if line.octets == b"." {
            self.end = Some(offset);
            return None;
        }
        Some(line)
    }
}

/// A line without what ends it.
#[derive(Clone, Copy, Debug)]
struct Line<'a> {
    offset: usize,
    octets: &'a [u8],
}

impl<'a> Line<'a> {
    fn is_blank(&self) -> bool {
        self.octets.is_empty()
    }

    /// As text, or the rule that it breaks.
    // RFC 3435 §3.1: header lines are printable ASCII, and UTF-8 in quoted strings.
    fn text(&self) -> Result<&'a str, &'static str> {
        if self.octets.len() > LINE_OCTETS_MAX {
            return Err("MGCPMessage");
        }
        if self.octets.iter().any(|&b| b.is_ascii_control() && b != b'\t') {
            return Err("VCHAR");
        }
        str::from_utf8(self.octets).map_err(|_| "VCHAR")
    }
}

/// Without white space, line ends and NULs at the end; some peers send these behind a message.
fn trim_end(octets: &[u8]) -> &[u8] {
    let end = octets.iter().rposition(|b| !b" \t\r\n\0".contains(b));
    &octets[..end.map_or(0, |last| last + 1)]
}

/// The first word and what stands behind it, both without white space around.
fn split_word(text: &str) -> (&str, &str) {
    let text = trim(text);
    match text.split_once([' ', '\t']) {
        Some((word, rest)) => (word, trim(rest)),
        None => (text, ""),
    }
}

// RFC 3435 §3.2.2: name, colon, perhaps white space, value.
fn split_parameter(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':')?;
    let name = trim(name);
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic());
    is_name.then_some((name, trim(value)))
}

/// The package behind a code that is a package's own, and the words.
// RFC 3435 §3.3, §6.9: 8xx codes are followed by a slash and the package's name.
fn split_package(is_package_specific: bool, text: &str) -> (Option<&str>, &str) {
    let (word, rest) = split_word(text);
    match word.strip_prefix('/') {
        Some(package) if is_package_specific => (Some(package), rest),
        _ => (None, trim(text)),
    }
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests;
