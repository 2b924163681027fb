//! AUEP: what an endpoint is and does (RFC 3435 §2.3.10), or which endpoints there are.

use std::fmt::Write as _;

use dataplane::mode::Mode;
use drivers::time::Instant;

use super::crcx::domain_of;
use super::{DATAGRAM_MAX, Settings, State, check, octets_of, within_datagram};
use crate::config::EchoCancellation;
use crate::endpoint::naming::{Named, Wildcard};
use crate::endpoint::restart::{Announcement, News};
use crate::endpoint::{Endpoint, Outage};
use crate::mgcp::code::{ReasonCode, ReturnCode};
use crate::mgcp::message::{BearerInformation, Command, InfoCode, Parameters, Reason, Response};
use crate::mgcp::name::EndpointName;

/// The most names that an answer holds: so many are not worth spelling.
const NAMES_MAX: usize = DATAGRAM_MAX / "Z: ds/e1-1/1@g\r\n".len();

/// Answers an audit.
///
/// # Errors
/// The return code for what is wrong.
pub fn answer(state: &State, command: &Command<'_>) -> Result<Vec<u8>, ReturnCode> {
    let selected = check::all(state, &command.endpoint)?;
    let mut response = Response::new(ReturnCode::OK, command.transaction);
    let endpoint = &state.endpoints[selected.endpoints[0]];
    let capabilities = capabilities(&state.settings);
    match selected.pattern.wildcard {
        Wildcard::None => {
            let items = command.parameters.requested_info.as_deref().unwrap_or_default();
            for item in items {
                tell(&mut response.parameters, state.now, endpoint, *item, &capabilities);
            }
        }
        // RFC 3435 §2.3.10: a wildcard asks for names alone; F is ignored.
        Wildcard::All | Wildcard::Any => {
            if selected.endpoints.len() > NAMES_MAX {
                return Err(ReturnCode::RESPONSE_TOO_LARGE);
            }
            let domain = domain_of(&command.endpoint);
            response.parameters.specific_endpoints = selected
                .endpoints
                .iter()
                .map(|id| state.endpoints.name(selected.pattern.form, Named::Endpoint(*id)))
                .map(|local| EndpointName { local, domain: domain.clone() })
                .collect();
        }
    }
    within_datagram(octets_of(&response))
}

/// Adds one item. What has no value is told as empty; what is not known is left out (§2.3.10).
fn tell<'a>(
    to: &mut Parameters<'a>,
    now: Instant,
    endpoint: &Endpoint,
    item: InfoCode<'_>,
    capabilities: &'a str,
) {
    match item {
        InfoCode::Capabilities => to.capabilities = vec![capabilities],
        InfoCode::BearerInformation => {
            to.bearer = Some(BearerInformation { encoding: Some(endpoint.law), others: Vec::new() });
        }
        InfoCode::ConnectionId => {
            to.connections = Some(endpoint.connections.iter().map(|connection| connection.id).collect());
        }
        InfoCode::NotifiedEntity => {
            to.notified_entity = Some(endpoint.control.notified.target().map(|target| target.to_name()));
        }
        InfoCode::RequestIdentifier => {
            // §2.3.10: zero if no request has come.
            let none = || "0".parse().expect("a hex digit");
            to.request = Some(Some(endpoint.control.request.unwrap_or_else(none)));
        }
        InfoCode::RequestedEvents => to.requested_events = Some(""),
        InfoCode::SignalRequests => to.signal_requests = Some(""),
        InfoCode::DetectEvents => to.detect_events = Some(""),
        InfoCode::ObservedEvents => to.observed_events = Some(""),
        InfoCode::EventStates => to.event_states = Some(""),
        InfoCode::DigitMap => to.digit_map = Some(""),
        InfoCode::PackageList => to.packages = Some(""),
        InfoCode::RestartMethod => to.restart_method = Some(audited(endpoint).method()),
        InfoCode::RestartDelay => {
            to.restart_delay_s = Some(audited(endpoint).delay_s(now).unwrap_or(0));
        }
        InfoCode::ReasonCode => to.reason = Some(reason(endpoint.outage)),
        InfoCode::MaxDatagram => to.max_datagram = u32::try_from(DATAGRAM_MAX).ok(),
        // Those of connections are AUCX's; the others are not supported.
        InfoCode::CallId
        | InfoCode::ConnectionMode
        | InfoCode::ConnectionParameters
        | InfoCode::LocalConnectionOptions
        | InfoCode::LocalConnectionDescriptor
        | InfoCode::RemoteConnectionDescriptor
        | InfoCode::QuarantineHandling
        | InfoCode::Other(_) => {}
    }
}

/// What an audit says of the service state.
// RFC 3435 §4.4.5: the last RSIP's method and delay; but `disconnected` is over when that was answered,
// and a cancelled `graceful` is no state of its own.
fn audited(endpoint: &Endpoint) -> News {
    match (endpoint.control.news, endpoint.control.announcement) {
        (News::Disconnected { .. }, Announcement::Settled) | (News::CancelGraceful, _) => News::Restart,
        (news, _) => news,
    }
}

/// Why an endpoint is out of service, as E has it.
pub fn reason(outage: Option<Outage>) -> Reason<'static> {
    let code = match outage {
        None => ReasonCode::NORMAL,
        Some(Outage::Alarm) => ReasonCode::FACILITY_FAILURE,
        Some(Outage::Failure) => ReasonCode::MALFUNCTION,
        Some(Outage::Shutdown) => ReasonCode::OUT_OF_SERVICE,
    };
    Reason { code, package: None, text: code.commentary() }
}

/// The value of A (RFC 3435 §3.2.2.3): what is not there is not supported, but for what is supported
/// unless it is denied.
fn capabilities(settings: &Settings) -> String {
    let echo = match settings.echo_cancellation {
        EchoCancellation::External => "on",
        EchoCancellation::None => "off",
    };
    let mut text = format!("a:PCMA;PCMU;CLEARMODE, p:5-60, e:{echo}, s:off, gc:0, t:1, nt:IN, m:");
    for (index, mode) in Mode::ALL.iter().enumerate() {
        let separator = if index == 0 { "" } else { ";" };
        write!(text, "{separator}{mode}").expect("a string takes all");
    }
    text
}
