//! LocalConnectionOptions: each field is honoured, or refused with a code of its own.
//!
//! Codecs, packetization and bandwidth are for [`negotiate()`]; the rest is here.

use drivers::line::Law;
use drivers::net::Dscp;
use tracing::debug;

use super::Settings;
use crate::config::EchoCancellation;
use crate::endpoint::Kind;
use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::{GainControl, LocalConnectionOptions, Range};
use crate::sdp::{Description, Negotiated, Refusal, Terms, negotiate};

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
            others: Vec::new(),
        }
    }
}

/// Checks the options that are not negotiated with such an endpoint, and returns the mark on packets if they give one.
///
/// # Errors
/// 532 for a value that cannot be had, 541 for an option that cannot be had at all, 525 and 518 for
/// extensions.
pub fn check(
    settings: &Settings,
    kind: Kind,
    options: &LocalConnectionOptions<'_>,
) -> Result<Option<Dscp>, ReturnCode> {
    let has_line = matches!(kind, Kind::Ds0(_));
    let cancels = has_line && settings.echo_cancellation == EchoCancellation::External;
    let asks_otherwise = [
        // The gateway itself cancels no echo, so "off" is always honoured; "on" is the line's own
        // equipment's to honour, if there is any.
        options.echo_cancellation == Some(true) && !cancels,
        options.silence_suppression == Some(true),
        options.gain_control.is_some_and(|gain| gain != GainControl::Decibels(0)),
        options.reservation.is_some_and(|service| !service.eq_ignore_ascii_case("be")),
        !options.network_types.is_empty()
            && !options.network_types.iter().any(|network| {
                network.eq_ignore_ascii_case("IN") || has_line && network.eq_ignore_ascii_case("LOCAL")
            }),
    ];
    if asks_otherwise.contains(&true) {
        return Err(ReturnCode::UNSUPPORTED_OPTION_VALUE);
    }
    // A relay cannot choose what passes, so no bandwidth can be promised.
    if options.key.is_some() || !has_line && options.bandwidth_kbps.is_some() {
        return Err(ReturnCode::UNSUPPORTED_OPTION);
    }
    options.others.iter().try_for_each(|(name, value)| extension(name, *value))?;
    options.type_of_service.map(mark).transpose()
}

/// RFC 3435 §3.2.2.10: unknown `x-` are ignored, unknown `x+` are not.
fn extension(name: &str, value: Option<&str>) -> Result<(), ReturnCode> {
    match name.get(..2) {
        _ if name.eq_ignore_ascii_case("FXR/fx") => fax(value.unwrap_or_default()),
        Some(vendor) if vendor.eq_ignore_ascii_case("x-") => Ok(()),
        Some(vendor) if vendor.eq_ignore_ascii_case("x+") => Err(ReturnCode::UNKNOWN_OPTION_EXTENSION),
        _ if name.contains('/') => Err(ReturnCode::UNSUPPORTED_PACKAGE),
        _ => Err(ReturnCode::UNSUPPORTED_OPTION),
    }
}

/// RFC 5347 §2.1: there is no T.38 here; to leave fax to the gateway, or alone, can always be had.
fn fax(procedures: &str) -> Result<(), ReturnCode> {
    let mut procedures = procedures.split(';').map(str::trim);
    let is_had = procedures.any(|name| ["gw", "off"].iter().any(|had| had.eq_ignore_ascii_case(name)));
    if is_had { Ok(()) } else { Err(ReturnCode::UNSUPPORTED_OPTION_VALUE) }
}

/// The upper six bits of the TOS octet. The lower two have become congestion notification since
/// (RFC 3168), which is the network's to set.
fn mark(type_of_service: u8) -> Result<Dscp, ReturnCode> {
    let dscp = Dscp::new(type_of_service >> 2).filter(|dscp| dscp.tos() == type_of_service);
    dscp.ok_or(ReturnCode::UNSUPPORTED_OPTION_VALUE)
}

/// Agrees on media with what a command gives, as [`negotiate()`] does; the refusal's words are logged.
///
/// # Errors
/// The refusal's return code.
pub fn agree(
    settings: &Settings,
    law: Law,
    options: Option<&LocalConnectionOptions<'_>>,
    remote: Option<&[u8]>,
    current: Option<&Negotiated>,
) -> Result<Negotiated, ReturnCode> {
    let description = remote.map(Description::parse).transpose().map_err(Refusal::from);
    let agreed = description.and_then(|description| {
        negotiate(&Terms {
            law,
            ptime_default_ms: settings.ptime_ms,
            telephone_events: settings.telephone_events,
            addresses: &settings.addresses,
            options,
            remote: description.as_ref(),
            current,
        })
    });
    agreed.inspect_err(|refusal| debug!(%refusal, "no agreement")).map_err(Refusal::code)
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

    #[test]
    fn tos_is_the_code_point_and_two_bits_that_must_be_clear() {
        assert_eq!(mark(0xB8), Ok(Dscp::EF));
        assert_eq!(mark(0xB9), Err(ReturnCode::UNSUPPORTED_OPTION_VALUE));
    }
}
