//! A place in a text, and how to get on from there.

use crate::mgcp::code::ReturnCode;
use crate::mgcp::event_error::EventError;

/// Reads a parameter's value from left to right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    /// At the first octet that is not white space.
    pub(super) fn new(text: &'a str) -> Self {
        let mut reader = Self { text, at: 0 };
        reader.skip_space();
        reader
    }

    /// The next `n` octets, which must be there and be ASCII.
    pub(super) fn take(&mut self, n: usize) -> &'a str {
        let start = self.at;
        self.at += n;
        &self.text[start..self.at]
    }

    // RFC 3435 Appendix A: there is white space only behind commas, but more is to be tolerated.
    pub(super) fn skip_space(&mut self) {
        self.take_while(|octet| matches!(octet, b' ' | b'\t'));
    }

    /// Goes on behind `octet` if it comes next.
    pub(super) fn eat(&mut self, octet: u8) -> bool {
        let is_next = self.peek() == Some(octet);
        self.at += usize::from(is_next);
        is_next
    }

    /// Goes on behind `octet`, and the white space before and after it.
    pub(super) fn expect(&mut self, octet: u8, rule: &'static str) -> Result<(), EventError> {
        self.skip_space();
        if !self.eat(octet) {
            return Err(self.wrong(rule));
        }
        self.skip_space();
        Ok(())
    }

    /// The octets that come next and are `wanted`, which must be ASCII.
    pub(super) fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a str {
        let rest = &self.text[self.at..];
        let len = rest.bytes().position(|octet| !wanted(octet)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    /// What stands between the bracket that comes next and the one that closes it.
    pub(super) fn bracketed(&mut self, rule: &'static str) -> Result<&'a str, EventError> {
        let rest = &self.text[self.at + 1..];
        let len = rest.find(']').ok_or_else(|| self.wrong(rule))?;
        self.at += len + 2;
        Ok(&rest[..len])
    }

    /// What stands before the parenthesis that closes what is open; those opened meanwhile are skipped.
    pub(super) fn before_closing(&mut self, rule: &'static str) -> Result<&'a str, EventError> {
        let rest = &self.text[self.at..];
        let mut open = 0;
        let is_end = |octet| {
            open += i32::from(octet == b'(') - i32::from(octet == b')');
            open < 0
        };
        let len = rest.bytes().position(is_end).ok_or_else(|| self.wrong(rule))?;
        self.at += len;
        Ok(&rest[..len])
    }

    /// What stands between the double quote that comes next and the one that closes it; two in a row
    /// close nothing.
    pub(super) fn quoted(&mut self, rule: &'static str) -> Result<&'a str, EventError> {
        let rest = &self.text[self.at + 1..];
        let mut end = 0;
        loop {
            end += rest[end..].find('"').ok_or_else(|| self.wrong(rule))?;
            if !rest[end + 1..].starts_with('"') {
                self.at += end + 2;
                return Ok(&rest[..end]);
            }
            end += 2;
        }
    }

    /// Items with commas between, at least one.
    pub(super) fn list<T>(
        &mut self,
        n_max: usize,
        rule: &'static str,
        mut item: impl FnMut(&mut Self) -> Result<T, EventError>,
    ) -> Result<Vec<T>, EventError> {
        let mut items = Vec::new();
        loop {
            self.skip_space();
            if items.len() == n_max {
                return Err(self.wrong(rule));
            }
            items.push(item(self)?);
            self.skip_space();
            if !self.eat(b',') {
                return Ok(items);
            }
        }
    }

    /// Checks that nothing but white space is left.
    pub(super) fn end(&mut self, rule: &'static str) -> Result<(), EventError> {
        self.skip_space();
        if self.is_at_end() { Ok(()) } else { Err(self.wrong(rule)) }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// The rule that is broken here: 510, as no other code says it better.
    pub(super) fn wrong(&self, rule: &'static str) -> EventError {
        self.error(rule, ReturnCode::PROTOCOL_ERROR)
    }

    pub(super) fn error(&self, rule: &'static str, code: ReturnCode) -> EventError {
        EventError { offset: self.at, rule, code }
    }
}
