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
    let texts = Texts::new(state, endpoint);
    match selected.pattern.wildcard {
        Wildcard::None => {
            let items = command.parameters.requested_info.as_deref().unwrap_or_default();
            for item in items {
                tell(&mut response.parameters, state.now, endpoint, *item, &texts);
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

/// The values that are text.
struct Texts {
    capabilities: String,
    requested: String,
    signals: String,
    detected: String,
    observed: String,
    digit_map: String,
    quarantine: String,
    packages: String,
    /// Those of packages, by their names.
    extensions: Vec<(&'static str, String)>,
}

impl Texts {
    fn new(state: &State, endpoint: &Endpoint) -> Self {
        let Control { notify, signals, .. } = &endpoint.control;
        let requested = |list: &mut dyn Iterator<Item = &Requested>| {
            RequestedEvents(list.map(Requested::to_asked).collect()).to_string()
        };
        let mut extensions = Vec::new();
        // RFC 3435 §B.2: where there is the base package.
        if state.packages.extension("B/NS").is_ok() {
            let notification_state = match notify.notification_state() {
                NotificationState::Notification => "ns",
                NotificationState::Lockstep => "ls",
                NotificationState::Other => "o",
            };
            extensions.push(("B/NS", notification_state.to_owned()));
            extensions.push(("B/PR", requested(&mut notify.persistent().iter())));
        }
        // RFC 3991 §2.1, RFC 3992 §2.1.
        if state.packages.extension("RED/NL").is_ok() {
            let list = endpoint.control.notified.list().iter().map(ToString::to_string);
            extensions.push(("RED/NL", list.collect::<Vec<_>>().join(",")));
        }
        if state.packages.extension("LCK/LST").is_ok() {
            let after = notify.lockstep_reported_after().unwrap_or_default();
            extensions.push(("LCK/LST", after.as_secs().to_string()));
        }
        Self {
            capabilities: capabilities(state, endpoint.kind),
            requested: requested(&mut notify.requested()),
            signals: Events(signals.audited().map(|signal| signal.asked.clone()).collect()).to_string(),
            detected: Events(notify.detected().map(|pattern| pattern.asked.clone()).collect()).to_string(),
            observed: notification::observed(notify.observed()),
            digit_map: notify.digit_map().map(ToString::to_string).unwrap_or_default(),
            quarantine: notify.request().quarantine.to_string(),
            packages: endpoint.ds0().map(|_| state.packages.list()).unwrap_or_default(),
            extensions,
        }
    }
}

/// Adds one item. What has no value is told as empty; what is not known is left out (§2.3.10).
fn tell<'a>(
    to: &mut Parameters<'a>,
    now: Instant,
    endpoint: &Endpoint,
    item: InfoCode<'_>,
    texts: &'a Texts,
) {
    match item {
        InfoCode::Capabilities => to.capabilities = vec![&texts.capabilities],
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
        InfoCode::RequestedEvents => to.requested_events = Some(&texts.requested),
        InfoCode::SignalRequests => to.signal_requests = Some(&texts.signals),
        InfoCode::DetectEvents => to.detect_events = Some(&texts.detected),
        InfoCode::ObservedEvents => to.observed_events = Some(&texts.observed),
        // §2.3.10: only states that events tell of; none does.
        InfoCode::EventStates => to.event_states = Some(""),
        InfoCode::DigitMap => to.digit_map = Some(&texts.digit_map),
        InfoCode::PackageList => to.packages = Some(&texts.packages),
        InfoCode::RestartMethod => to.restart_method = Some(audited(endpoint).method()),
        InfoCode::RestartDelay => {
            to.restart_delay_s = Some(audited(endpoint).delay_s(now).unwrap_or(0));
        }
        InfoCode::ReasonCode => to.reason = Some(reason(endpoint.outage)),
        InfoCode::QuarantineHandling => to.quarantine = Some(&texts.quarantine),
        InfoCode::Other(name) => {
            let own = texts.extensions.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
            to.others.extend(own.map(|(own, value)| (*own, value.as_str())));
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
fn capabilities(state: &State, kind: Kind) -> String {
    let mut text = match kind {
        Kind::Ds0(_) => ds0_capabilities(state),
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

fn ds0_capabilities(state: &State) -> String {
    let echo = match state.settings.echo_cancellation {
        EchoCancellation::External => "on",
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
