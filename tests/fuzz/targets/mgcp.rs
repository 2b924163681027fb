//! MGCP messages: whatever comes in is read without harm, and what was read is written so that it is
//! read again as the same.
#![no_main]

use control::mgcp::message::Message;
use control::mgcp::parse::parse_datagram;
use libfuzzer_sys::fuzz_target;

/// The parser's own limits: what is written may be longer than what was read, and is then refused.
const DATAGRAM_OCTETS_MAX: usize = 16_384;
const LINE_OCTETS_MAX: usize = 4_096;

fuzz_target!(|octets: &[u8]| {
    let mut before = 0;
    for part in parse_datagram(octets) {
        let at = part.octets.as_ptr().addr() - octets.as_ptr().addr();
        assert!(at >= before && at + part.octets.len() <= octets.len(), "parts follow each other");
        before = at + part.octets.len();
        match part.message {
            Ok(message) => reads_back(&message),
            Err(error) => assert!(error.offset <= octets.len(), "{error:?} is within {}", octets.len()),
        }
    }
});

fn reads_back(message: &Message<'_>) {
    let mut written = Vec::new();
    message.write_to(&mut written);
    let is_long = |line: &[u8]| line.len() > LINE_OCTETS_MAX;
    if written.len() > DATAGRAM_OCTETS_MAX || written.split(|octet| *octet == b'\n').any(is_long) {
        return;
    }
    let mut parts = parse_datagram(&written);
    let again = parts.next().and_then(|part| part.message.ok());
    let said = written.escape_ascii();
    assert_eq!(again.as_ref().map(ended), Some(ended(message)), "written as {said}");
    assert_eq!(parts.next(), None, "one message was written: {said}");
}

/// The message with its descriptions' last line ends left out: the last line of a datagram may lack one.
fn ended<'a>(message: &Message<'a>) -> Message<'a> {
    let mut message = message.clone();
    let descriptions = match &mut message {
        Message::Command(command) => &mut command.descriptions,
        Message::Response(response) => &mut response.descriptions,
    };
    for description in descriptions {
        *description = description.trim_ascii_end();
    }
    message
}
