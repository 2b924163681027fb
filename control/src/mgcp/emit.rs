//! [`Message`]s → octets.

use super::message::{Command, Message, Response};

impl Command<'_> {
    /// Appends its octets to `out`.
    pub fn write_to(&self, _out: &mut Vec<u8>) {}
}

impl Response<'_> {
    /// Appends its octets to `out`.
    pub fn write_to(&self, _out: &mut Vec<u8>) {}
}

impl Message<'_> {
    /// Appends its octets to `out`.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Command(command) => command.write_to(out),
            Self::Response(response) => response.write_to(out),
        }
    }
}
