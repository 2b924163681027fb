//! AUEP: what an endpoint is and does (RFC 3435 §2.3.10), or which endpoints there are.

mod bulk;
mod ranges;

use std::fmt::Write as _;

use dataplane::mode::Mode;
use drivers::time::Instant;

use super::osmocom;
use super::reply::{DATAGRAM_MAX, within_datagram};
use super::selected::{self, domain_of};
use super::state::State;
use super::{check, notification};
use crate::config::EchoCancellation;
use crate::endpoint::naming::{Named, Wildcard};
use crate::endpoint::notify::NotificationState;
use crate::endpoint::notify::request::Requested;
use crate::endpoint::restart::{Announcement, News};
use crate::endpoint::{Control, Endpoint, Kind, Outage};
use crate::mgcp::code::{ReasonCode, ReturnCode};
use crate::mgcp::event::{Events, RequestedEvents};
use crate::mgcp::message::{BearerInformation, Command, InfoCode, Parameters, Reason, Response};
use crate::mgcp::name::EndpointName;
use crate::package::Extension;

/// The most names that an answer holds: so many are not worth spelling.
const NAMES_MAX: usize = DATAGRAM_MAX / "Z: ds/e1-1/1@g\r\n".len();

/// Answers an audit.
///
/// # Errors
/// The return code for what is wrong.
pub fn answer(state: &State, command: &Command<'_>) -> Result<Vec<u8>, ReturnCode> {
    let mut response = Response::new(ReturnCode::OK, command.transaction);
    if osmocom::is_null(state, &command.endpoint) {
        return Ok(response.to_octets());
    }
    let selected = selected::all(state, &command.endpoint)?;
    let bulk = bulk::Request::read(&state.packages, &command.parameters)?;
    let endpoint = &state.endpoints[selected.endpoints[0]];
    let items = command.parameters.requested_info.as_deref().unwrap_or_default();
    let texts: Vec<_>;
    match selected.pattern.wildcard {
        Wildcard::None => {
            texts = items.iter().map(|item| text(state, endpoint, *item)).collect();
            for (item, text) in items.iter().zip(&texts) {
                tell(&mut response.parameters, state.now, endpoint, *item, text.as_deref());
            }
        }
        // RFC 3435 §2.3.10: a wildcard asks for names alone; F is ignored.
        // RFC 3624 §2.1.1: unless it asks for more in bulk.
        Wildcard::All | Wildcard::Any if bulk.is_some() => {}
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
    let Some(bulk) = bulk else { return within_datagram(response.to_octets()) };
    let room = DATAGRAM_MAX.saturating_sub(response.to_octets().len());
    let lines = bulk.answer(state, &selected, room)?;
    response.parameters.others.extend(lines.iter().map(|(name, value)| (*name, value.as_str())));
    within_datagram(response.to_octets())
}

/// The value of an item, if it is told as text and known.
fn text(state: &State, endpoint: &Endpoint, item: InfoCode<'_>) -> Option<String> {
    let Control { notify, signals, .. } = &endpoint.control;
    Some(match item {
        InfoCode::Capabilities => capabilities(state, endpoint),
        InfoCode::RequestedEvents => asked_for(notify.requested()),
        InfoCode::SignalRequests => {
            Events(signals.audited().map(|signal| signal.asked.clone()).collect()).to_string()
        }
        InfoCode::DetectEvents => {
            Events(notify.detected().map(|pattern| pattern.asked.clone()).collect()).to_string()
        }
        InfoCode::ObservedEvents => notification::observed(notify.observed()),
        // §2.3.10: only states that events tell of; none does.
        InfoCode::EventStates => String::new(),
        InfoCode::DigitMap => notify.digit_map().map(ToString::to_string).unwrap_or_default(),
        InfoCode::QuarantineHandling => notify.request().quarantine.to_string(),
        InfoCode::PackageList => endpoint.ds0().map(|_| state.packages.list()).unwrap_or_default(),
        InfoCode::Other(name) => return extension(state, endpoint, name),
        InfoCode::BearerInformation
        | InfoCode::ConnectionId
        | InfoCode::NotifiedEntity
        | InfoCode::RequestIdentifier
        | InfoCode::RestartMethod
        | InfoCode::RestartDelay
        | InfoCode::ReasonCode
        | InfoCode::MaxDatagram
        | InfoCode::CallId
        | InfoCode::ConnectionMode
        | InfoCode::ConnectionParameters
        | InfoCode::LocalConnectionOptions
        | InfoCode::LocalConnectionDescriptor
        | InfoCode::RemoteConnectionDescriptor => return None,
    })
}

/// The value of a package's item, if the package is offered and has it for audits.
// RFC 3435 §B.2, RFC 3991 §2.1, RFC 3992 §2.1.
fn extension(state: &State, endpoint: &Endpoint, name: &str) -> Option<String> {
    let Control { notify, notified, .. } = &endpoint.control;
    match state.packages.extension(name).ok()? {
        Extension::NotificationState => Some(match notify.notification_state() {
            NotificationState::Notification => "ns".to_owned(),
            NotificationState::Lockstep => "ls".to_owned(),
            NotificationState::Other => "o".to_owned(),
        }),
        Extension::PersistentEvents => Some(asked_for(notify.persistent().iter())),
        Extension::NotifiedEntityList => {
            Some(notified.list().iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
        }
        Extension::LockstepTime => {
            Some(notify.lockstep_reported_after().unwrap_or_default().as_secs().to_string())
        }
        Extension::BulkRequestedInfo
        | Extension::StartEndpoint
        | Extension::EndpointsMax
        | Extension::EndpointList
        | Extension::EndpointMap
        | Extension::NotifiedEntity
        | Extension::Reset => None,
    }
}

/// Events as a call agent would ask for them.
fn asked_for<'a>(events: impl Iterator<Item = &'a Requested>) -> String {
    RequestedEvents(events.map(Requested::to_asked).collect()).to_string()
}

/// Adds one item, whose [`text`] this is. What has no value is told as empty; what is not known is left
/// out (§2.3.10).
fn tell<'a>(
    to: &mut Parameters<'a>,
    now: Instant,
    endpoint: &Endpoint,
    item: InfoCode<'a>,
    text: Option<&'a str>,
) {
    match item {
        InfoCode::Capabilities => to.capabilities = Vec::from_iter(text),
        InfoCode::BearerInformation => {
            let encoding = endpoint.ds0().map(|_| endpoint.law);
            to.bearer = Some(BearerInformation { encoding, others: Vec::new() });
        }
        InfoCode::ConnectionId => {
            to.connections = Some(endpoint.connections.iter().map(|connection| connection.id).collect());
        }
        InfoCode::NotifiedEntity => {
            to.notified_entity = Some(endpoint.control.notified.target().map(|target| target.to_name()));
        }
        InfoCode::RequestIdentifier => {
            to.request = Some(Some(endpoint.control.notify.request().identifier));
        }
        InfoCode::RequestedEvents => to.requested_events = text,
        InfoCode::SignalRequests => to.signal_requests = text,
        InfoCode::DetectEvents => to.detect_events = text,
        InfoCode::ObservedEvents => to.observed_events = text,
        InfoCode::EventStates => to.event_states = text,
        InfoCode::DigitMap => to.digit_map = text,
        InfoCode::PackageList => to.packages = text,
        InfoCode::RestartMethod => to.restart_method = Some(audited(endpoint).method()),
        InfoCode::RestartDelay => {
            to.restart_delay_s = Some(audited(endpoint).delay_s(now).unwrap_or(0));
        }
        InfoCode::ReasonCode => to.reason = Some(reason(endpoint.outage)),
        InfoCode::QuarantineHandling => to.quarantine = text,
        InfoCode::Other(name) => {
            // RFC 3435 §3.3: no parameter is there more than once, however often it is asked for.
            let is_told = to.others.iter().any(|(told, _)| told.eq_ignore_ascii_case(name));
            to.others.extend(text.filter(|_| !is_told).map(|text| (name, text)));
        }
        InfoCode::MaxDatagram => to.max_datagram = u32::try_from(DATAGRAM_MAX).ok(),
        // Those of connections are AUCX's.
        InfoCode::CallId
        | InfoCode::ConnectionMode
        | InfoCode::ConnectionParameters
        | InfoCode::LocalConnectionOptions
        | InfoCode::LocalConnectionDescriptor
        | InfoCode::RemoteConnectionDescriptor => {}
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
        Some(Outage::Operator) => ReasonCode::MANUAL_INTERVENTION,
        Some(Outage::Shutdown) => ReasonCode::OUT_OF_SERVICE,
    };
    Reason { code, package: None, text: code.commentary() }
}

/// The value of A (RFC 3435 §3.2.2.3): what is not there is not supported, but for what is supported
/// unless it is denied.
fn capabilities(state: &State, endpoint: &Endpoint) -> String {
    let kind = endpoint.kind;
    let mut text = match kind {
        Kind::Ds0(_) => ds0_capabilities(state, endpoint.echo),
        // Whatever codec it is, a relay passes it on; that cannot be said, so none is named.
        Kind::Relay(_) => "t:1, nt:IN".to_owned(),
        Kind::Gateway => return String::new(),
    };
    text.push_str(", m:");
    for (index, mode) in Mode::ALL.iter().filter(|mode| check::has_mode(kind, **mode)).enumerate() {
        let separator = if index == 0 { "" } else { ";" };
        write!(text, "{separator}{mode}").expect("a string takes all");
    }
    text
}

fn ds0_capabilities(state: &State, echo: EchoCancellation) -> String {
    let echo = match echo {
        EchoCancellation::External | EchoCancellation::Internal => "on",
        EchoCancellation::None => "off",
    };
    let mut text =
        format!("a:PCMA;PCMU;CLEARMODE;telephone-event, p:5-60, e:{echo}, s:off, gc:0, t:1, nt:IN");
    let names = state.packages.names().collect::<Vec<_>>().join(";");
    if !names.is_empty() {
        write!(text, ", v:{names}").expect("a string takes all");
    }
    text
}
