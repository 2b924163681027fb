//! LocalConnectionOptions: each field is honoured, or refused with a code of its own.
//!
//! Codecs, packetization and bandwidth are for [`negotiate()`]; the rest is here.

use drivers::line::Law;
use drivers::net::Dscp;
use tracing::debug;

use super::state::Settings;
use crate::config::EchoCancellation;
use crate::endpoint::{Endpoint, Kind};
use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::{FAX_OPTION, GainControl, LocalConnectionOptions};
use crate::sdp::{Description, Negotiated, Refusal, Terms, negotiate, relay_packet_time};

/// Checks the options that are not negotiated with such an endpoint, and returns the mark on packets if they give one.
///
/// # Errors
/// 532 for a value that cannot be had, 541 for an option that cannot be had at all, 525 and 518 for
/// extensions.
pub fn check(endpoint: &Endpoint, options: &LocalConnectionOptions<'_>) -> Result<Option<Dscp>, ReturnCode> {
    let has_line = matches!(endpoint.kind, Kind::Ds0(_));
    let cancels = has_line && endpoint.echo != EchoCancellation::None;
    let asks_otherwise = [
        // "off" is honoured by what the gateway does itself, which is all that the option can mean: the
        // line's own equipment is not its to switch, and by ITU-T G.168 lets data through by itself. "on" is
        // that equipment's to honour, or the gateway's.
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
    // RFC 3661 §2.2: rather than this, a line's connection gets the nearest period that there is. A relay cannot
    // choose, and its call agents expect the code.
    if !has_line && options.packetization_ms.is_some_and(|range| relay_packet_time(range).is_none()) {
        return Err(ReturnCode::UNSUPPORTED_PTIME);
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
        _ if name.eq_ignore_ascii_case(FAX_OPTION) => fax(value.unwrap_or_default()),
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
    fn tos_is_the_code_point_and_two_bits_that_must_be_clear() {
        assert_eq!(mark(0xB8), Ok(Dscp::EF));
        assert_eq!(mark(0xB9), Err(ReturnCode::UNSUPPORTED_OPTION_VALUE));
    }
}
