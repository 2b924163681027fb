//! Telephone-events in descriptions (RFC 4733 §2.4, §2.5.1.1): digits beside the audio.
//!
//! They are in use only where both sides say so: this one offers them where its setting or `L: a:` lets
//! it, and answers them only to whoever has listed them (RFC 3264 §6.1). `a:` lists what may be used
//! (RFC 3435 §3.2.2.10, §2.6 step 1), so one that names codecs but not `telephone-event` rules them out:
//! digits stay in the audio then.

use dataplane::link::{Codec, Digit, DigitSet, EventFormat, Format, Formats};

use super::codecs::DYNAMIC;
use super::parse::Media;

/// What was agreed on telephone-events.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Events {
    /// Our payload type for them, if we take them and the peer, once it is known, has them.
    pub receive: Option<u8>,
    /// How the peer takes them, by its last description.
    understood: Option<EventFormat>,
}

impl Events {
    /// The digits that are understood, as the value of `a=fmtp` (RFC 4733 §2.4.1).
    pub const DIGITS: &str = "0-15";

    /// How the peer is told of digits, if events are in use and audio is sent as `send`.
    pub fn send(self, send: Format) -> Option<EventFormat> {
        self.receive.filter(|_| matches!(send.codec, Codec::G711(_))).and(self.understood)
    }
}

/// What is wanted of telephone-events on a connection.
pub(super) struct Claim<'a> {
    /// The codecs that options name.
    pub(super) named: &'a [&'a str],
    /// Whether they may be used where nobody names codecs.
    pub(super) usual: bool,
    /// Whether there is a new remote description.
    pub(super) is_described: bool,
    /// What was agreed before, and our numbers of codecs then.
    pub(super) before: Option<(Events, Formats)>,
}

impl Claim<'_> {
    /// Agrees on them for a connection with these codecs; `peer` is what the remote description lists, if
    /// there is one that binds us.
    pub(super) fn agree(&self, peer: Option<Option<EventFormat>>, receive: Formats) -> Events {
        let before = self.before.map(|(events, _)| events).unwrap_or_default();
        let understood = peer.unwrap_or(before.understood);
        let is_offered = peer.is_none_or(|listed| listed.is_some());
        // In a clear channel there are no digits.
        let is_audio = |format: Format| matches!(format.codec, Codec::G711(_));
        if !is_offered || !self.is_allowed() || !receive.iter().any(is_audio) {
            return Events { receive: None, understood };
        }
        Events { receive: Some(self.numbered(understood, receive)), understood }
    }

    fn is_allowed(&self) -> bool {
        match self.before {
            _ if !self.named.is_empty() => self.named.iter().any(|name| name.eq_ignore_ascii_case(NAME)),
            // As with codecs, what is not mentioned does not change.
            Some((before, _)) if !self.is_described => before.receive.is_some(),
            _ => self.usual,
        }
    }

    /// Our payload type for events: one that no codec has or had.
    fn numbered(&self, understood: Option<EventFormat>, receive: Formats) -> u8 {
        let ours = self.before.and_then(|(events, _)| events.receive);
        let theirs = understood.map(|events| events.payload_type);
        let is_free = |number: &u8| {
            let was_free = self.before.is_none_or(|(_, formats)| formats.codec(*number).is_none());
            receive.codec(*number).is_none() && was_free
        };
        let mut wished = [ours, theirs, Some(USUAL)].into_iter().flatten().chain(DYNAMIC);
        wished.find(is_free).expect("32 dynamic payload types are more than there are codecs")
    }
}

/// How the describing side takes telephone-events, if it lists them for the clock of our codecs.
pub(super) fn listed(media: &Media<'_>) -> Option<EventFormat> {
    let is_event = |encoding: super::parse::Encoding<'_>| {
        encoding.name.eq_ignore_ascii_case(NAME) && encoding.clock_hz == 8_000 && encoding.channels == 1
    };
    let listed = media.formats.iter().find(|listed| listed.encoding.is_some_and(is_event))?;
    let digits = listed.parameters.map_or(DigitSet::ALL, digits);
    (digits != DigitSet::NONE).then_some(EventFormat { payload_type: listed.number, digits })
}

/// The digits among the events of an `a=fmtp`. What is no list says nothing.
// RFC 4733 §2.5.1.1: only what is listed may be sent; where nothing is, the digits may.
fn digits(parameters: &str) -> DigitSet {
    let list = parameters.trim();
    let list = list.strip_prefix("events=").unwrap_or(list).trim_matches('"');
    let mut ranges = list.split(',').filter_map(range).peekable();
    if ranges.peek().is_none() {
        return DigitSet::ALL;
    }
    let codes = ranges.flat_map(|(first, last)| first..=last);
    codes.filter_map(Digit::of_code).fold(DigitSet::NONE, DigitSet::with)
}

fn range(text: &str) -> Option<(u8, u8)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
}

/// The encoding's name (RFC 4733 §7.1.1).
pub(super) const NAME: &str = "telephone-event";

/// What most gateways call them.
const USUAL: u8 = 101;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_digits_are_told() {
        let of = |text| {
            let has = |digit: &Digit| digits(text).has(*digit);
            Digit::ALL.iter().filter(|digit| has(digit)).map(ToString::to_string).collect::<String>()
        };
        for (text, expected) in [
            ("0-15", "0123456789*#ABCD"),
            ("0-16,66,70", "0123456789*#ABCD"),
            ("0-9", "0123456789"),
            ("11,1,3-4", "134#"),
            ("events=0-11", "0123456789*#"),
            ("16,32-36", ""),
            ("5-3", ""),
            ("0-255", "0123456789*#ABCD"),
            ("", "0123456789*#ABCD"),
            ("all of them", "0123456789*#ABCD"),
        ] {
            assert_eq!(of(text), expected, "{text:?}");
        }
    }
}
