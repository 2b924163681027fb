//! The options that a connection was given, kept to be told.

use crate::mgcp::message::{FAX_OPTION, GainControl, LocalConnectionOptions, Range};

/// The options a connection was given, as AUCX tells them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    codecs: Vec<String>,
    packetization_ms: Option<Range>,
    bandwidth_kbps: Option<Range>,
    echo_cancellation: Option<bool>,
    silence_suppression: Option<bool>,
    gain_control: Option<GainControl>,
    type_of_service: Option<u8>,
    reservation: Option<String>,
    network_types: Vec<String>,
    /// `FXR/fx` (RFC 5347 §2.1).
    fax: Option<String>,
}

impl Options {
    /// Takes over what a command gives; what it leaves out stays (RFC 3435 §2.3.6).
    pub fn merge(&mut self, given: &LocalConnectionOptions<'_>) {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        if !given.codecs.is_empty() {
            self.codecs = owned(&given.codecs);
        }
        if !given.network_types.is_empty() {
            self.network_types = owned(&given.network_types);
        }
        self.packetization_ms = given.packetization_ms.or(self.packetization_ms);
        self.bandwidth_kbps = given.bandwidth_kbps.or(self.bandwidth_kbps);
        self.echo_cancellation = given.echo_cancellation.or(self.echo_cancellation);
        self.silence_suppression = given.silence_suppression.or(self.silence_suppression);
        self.gain_control = given.gain_control.or(self.gain_control);
        self.type_of_service = given.type_of_service.or(self.type_of_service);
        self.reservation = given.reservation.map(str::to_owned).or_else(|| self.reservation.take());
        self.fax = given.fax().map(str::to_owned).or_else(|| self.fax.take());
    }

    /// As the value of L.
    pub fn to_parameter(&self) -> LocalConnectionOptions<'_> {
        LocalConnectionOptions {
            codecs: self.codecs.iter().map(String::as_str).collect(),
            packetization_ms: self.packetization_ms,
            bandwidth_kbps: self.bandwidth_kbps,
            echo_cancellation: self.echo_cancellation,
            silence_suppression: self.silence_suppression,
            gain_control: self.gain_control,
            type_of_service: self.type_of_service,
            reservation: self.reservation.as_deref(),
            key: None,
            network_types: self.network_types.iter().map(String::as_str).collect(),
            // RFC 3435 §6.8: a package's option is told like the others.
            others: self.fax.iter().map(|fax| (FAX_OPTION, Some(fax.as_str()))).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_are_left_out_stay() {
        let mut options = Options::default();
        options.merge(&LocalConnectionOptions {
            codecs: vec!["PCMA"],
            reservation: Some("be"),
            ..LocalConnectionOptions::default()
        });
        options.merge(&LocalConnectionOptions {
            packetization_ms: Some(Range { from: 20, to: 20 }),
            ..LocalConnectionOptions::default()
        });
        let kept = options.to_parameter();
        assert_eq!((kept.codecs, kept.reservation), (vec!["PCMA"], Some("be")));
        assert_eq!(kept.packetization_ms, Some(Range { from: 20, to: 20 }));
    }
}
