//! Bulk audit: what many endpoints are called, are doing and have, in few lines (RFC 3624).
//!
//! A report that would not fit a datagram ends early and says where to go on, so that an audit of
//! thousands of endpoints is a handful of commands, each of bounded length.

use dataplane::mode::Mode;

use super::ranges::Group;
use crate::command::selected::Selected;
use crate::command::state::State;
use crate::endpoint::naming::{Named, Pattern, Wildcard};
use crate::endpoint::notify::NotificationState;
use crate::endpoint::restart::{Announcement, News};
use crate::endpoint::{Endpoint, EndpointId};
use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::Parameters;
use crate::mgcp::name::Term;
use crate::package::parameter::Lasting;
use crate::package::{Extension, Packages};

/// The package's return codes (RFC 3624 §2.1.3).
const INVALID_START: ReturnCode = ReturnCode(801);
const INVALID_INFO: ReturnCode = ReturnCode(802);
const INVALID_STATE_TYPE: ReturnCode = ReturnCode(803);
const INVALID_RANGE: ReturnCode = ReturnCode(805);
const START_UNKNOWN: ReturnCode = ReturnCode(806);

/// Endpoints that one line tells of at most.
const LINE_MAX: usize = 256;

/// Octets that are kept for saying where to go on.
const NEXT_OCTETS: usize = "BA/NE: \r\n".len() + 255;

/// A line of the answer: its name and its value.
pub(super) type Line = (&'static str, String);

/// What is asked of many endpoints.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Request {
    items: Vec<Item>,
    start: Option<Vec<Term>>,
    endpoints_max: usize,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Item {
    /// EndPointNameList
    Names,
    /// InstantiatedEndpointList
    Instances,
    /// ConnectionCountList
    Counts,
    /// ConnectionModeList
    Modes,
    /// EndpointStateList
    States(Vec<StateType>),
}

/// A condition on an endpoint in service (RFC 3624 §2.1.1.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum StateType {
    InService,
    Disconnected,
    Notification,
    Lockstep,
    Signal,
    Busy,
}

impl Request {
    /// Reads what a command asks in bulk, if it does.
    ///
    /// # Errors
    /// 801, 802, 803, 805 of the package, and 510 for a parameter that is there twice.
    pub(super) fn read(packages: &Packages, parameters: &Parameters<'_>) -> Result<Option<Self>, ReturnCode> {
        let (mut info, mut start, mut number) = (None, None, None);
        for (name, value) in &parameters.others {
            let slot = match packages.extension(name) {
                Ok(Extension::BulkRequestedInfo) => &mut info,
                Ok(Extension::StartEndpoint) => &mut start,
                Ok(Extension::EndpointsMax) => &mut number,
                _ => continue,
            };
            if slot.replace(*value).is_some() {
                return Err(ReturnCode::PROTOCOL_ERROR);
            }
        }
        let Some(info) = info else {
            // The others only say of which endpoints.
            return if start.or(number).is_some() { Err(INVALID_INFO) } else { Ok(None) };
        };
        let items = items(info)?;
        let start = start.map(|name| name.split('/').map(str::parse).collect::<Result<_, _>>());
        let start = start.transpose().map_err(|_| INVALID_START)?;
        let number = number.map(|number| number.parse::<u16>().ok().filter(|number| *number > 0));
        let endpoints_max = match number {
            None => usize::MAX,
            Some(None) => return Err(INVALID_RANGE),
            Some(Some(number)) => usize::from(number),
        };
        Ok(Some(Self { items, start, endpoints_max }))
    }

    /// Answers, in at most `room` octets.
    ///
    /// # Errors
    /// 801, 805, 806 of the package; 533 if there is not even room for the first of the endpoints.
    pub(super) fn answer(
        &self,
        state: &State,
        selected: &Selected,
        room: usize,
    ) -> Result<Vec<Line>, ReturnCode> {
        let all = self.behind_start(state, selected)?;
        let asked = &all[..all.len().min(self.endpoints_max)];
        let name = |id: EndpointId| {
            let terms = state.endpoints.name(selected.pattern.form, Named::Endpoint(id));
            terms.iter().map(Term::to_string).collect::<Vec<_>>().join("/")
        };
        let room = room.checked_sub(NEXT_OCTETS).ok_or(ReturnCode::RESPONSE_TOO_LARGE)?;
        let mut report = Report { lines: Vec::new(), room, told: 0 };
        if self.items.iter().any(|item| matches!(item, Item::Names | Item::Instances)) {
            self.list(asked, &name, &mut report);
        } else {
            self.states(state, asked, &name, &mut report);
        }
        if report.told == 0 && !self.items.is_empty() {
            return Err(ReturnCode::RESPONSE_TOO_LARGE);
        }
        // RFC 3624 §2.1.1.7: a report that leaves endpoints out says which comes next.
        if let Some(next) = all.get(report.told).filter(|_| report.told > 0) {
            report.lines.push(("BA/NE", name(*next)));
        }
        Ok(report.lines)
    }

    /// The endpoints that are named, from the one that is to be the first.
    // RFC 3624 §2.1.1.1: the start may lie outside what the wildcard names, which is told as far as it goes.
    fn behind_start<'a>(
        &self,
        state: &State,
        selected: &'a Selected,
    ) -> Result<&'a [EndpointId], ReturnCode> {
        let Some(start) = &self.start else { return Ok(&selected.endpoints) };
        let pattern = Pattern::parse(start).ok_or(START_UNKNOWN)?;
        if pattern.wildcard != Wildcard::None {
            return Err(INVALID_START);
        }
        let start = state.endpoints.one(&pattern).filter(|id| state.may_control(*id)).ok_or(START_UNKNOWN)?;
        let behind = &selected.endpoints[selected.endpoints.partition_point(|id| *id < start)..];
        if behind.is_empty() { Err(INVALID_RANGE) } else { Ok(behind) }
    }

    /// Tells names. All endpoints are there always, so those that are configured are those that exist.
    fn list(&self, endpoints: &[EndpointId], name: &dyn Fn(EndpointId) -> String, report: &mut Report) {
        let mut groups = groups(endpoints, name).map(|(group, n)| (group.upper(), n)).peekable();
        while let Some((mut group, mut n)) = groups.next() {
            while let Some((_, more)) = groups.next_if(|(next, _)| group.join(next)) {
                n += more;
            }
            let text = group.to_text();
            let line = |item: &Item| match item {
                Item::Names => ("BA/Z", text.clone()),
                Item::Instances => ("BA/X", text.clone()),
                Item::Counts | Item::Modes | Item::States(_) => unreachable!("names are asked for alone"),
            };
            if !report.push(self.items.iter().map(line).collect(), n) {
                return;
            }
        }
    }

    /// Tells connections and states, and of which endpoints.
    // RFC 3624 §2.1.1.8: whose they are comes first, in ranges of the last term alone; all lists that were
    // asked for are of the same endpoints.
    fn states(
        &self,
        state: &State,
        endpoints: &[EndpointId],
        name: &dyn Fn(EndpointId) -> String,
        report: &mut Report,
    ) {
        for (group, n) in groups(endpoints, name) {
            let told = &endpoints[report.told..report.told + n];
            let told = || told.iter().map(|id| &state.endpoints[*id]);
            let mut lines = vec![("BA/EL", group.to_text())];
            lines.extend(self.items.iter().map(|item| match item {
                Item::Counts => ("BA/C", told().map(|endpoint| count(endpoint.connections.len())).collect()),
                Item::Modes => ("BA/M", told().map(modes).collect()),
                Item::States(types) => ("BA/S", told().map(|endpoint| verdict(endpoint, types)).collect()),
                Item::Names | Item::Instances => unreachable!("names are asked for alone"),
            }));
            if !report.push(lines, n) {
                return;
            }
        }
    }
}

/// An answer in the making.
struct Report {
    lines: Vec<Line>,
    /// Octets that are left.
    room: usize,
    /// Endpoints that it tells of.
    told: usize,
}

impl Report {
    /// Adds lines that tell of `n` endpoints, if all of them fit.
    fn push(&mut self, lines: Vec<Line>, n: usize) -> bool {
        let octets = lines.iter().map(|(name, value)| name.len() + ": \r\n".len() + value.len()).sum();
        let Some(room) = self.room.checked_sub(octets) else { return false };
        self.room = room;
        self.told += n;
        self.lines.extend(lines);
        true
    }
}

/// Endpoints whose names differ in the last number, and how many each time.
fn groups<'a>(
    endpoints: &'a [EndpointId],
    name: &'a dyn Fn(EndpointId) -> String,
) -> impl Iterator<Item = (Group, usize)> + 'a {
    let mut names = endpoints.iter().map(|id| name(*id)).peekable();
    std::iter::from_fn(move || {
        let mut group = Group::new(&names.next()?);
        let mut n = 1;
        while n < LINE_MAX && names.next_if(|name| group.push(name)).is_some() {
            n += 1;
        }
        Some((group, n))
    })
}

/// The value of BA/F.
fn items(text: &str) -> Result<Vec<Item>, ReturnCode> {
    let mut items: Vec<Item> = Vec::new();
    let mut depth = 0_u32;
    let parts = text.split(|c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    for part in parts.map(str::trim).filter(|part| !part.is_empty()) {
        let item = item(part)?;
        let same = |other: &Item| std::mem::discriminant(other) == std::mem::discriminant(&item);
        if items.iter().any(same) {
            return Err(INVALID_INFO);
        }
        items.push(item);
    }
    // RFC 3624 §2.1.1.8: names are not asked for together with what endpoints do.
    let of_names = items.iter().filter(|item| matches!(item, Item::Names | Item::Instances)).count();
    if of_names == 0 || of_names == items.len() { Ok(items) } else { Err(INVALID_INFO) }
}

fn item(text: &str) -> Result<Item, ReturnCode> {
    let (name, types) = match text.split_once('(') {
        Some((name, rest)) => (name.trim(), Some(rest.strip_suffix(')').ok_or(INVALID_INFO)?)),
        None => (text, None),
    };
    let (package, code) = name.split_once('/').ok_or(INVALID_INFO)?;
    if !package.eq_ignore_ascii_case("BA") {
        return Err(INVALID_INFO);
    }
    match (code, types) {
        ("Z" | "z", None) => Ok(Item::Names),
        ("X" | "x", None) => Ok(Item::Instances),
        ("C" | "c", None) => Ok(Item::Counts),
        ("M" | "m", None) => Ok(Item::Modes),
        ("S" | "s", Some(types)) => {
            types.split(',').map(state_type).collect::<Result<_, _>>().map(Item::States)
        }
        _ => Err(INVALID_INFO),
    }
}

fn state_type(letter: &str) -> Result<StateType, ReturnCode> {
    match letter.trim() {
        "I" | "i" => Ok(StateType::InService),
        "D" | "d" => Ok(StateType::Disconnected),
        "N" | "n" => Ok(StateType::Notification),
        // The grammar of §2.1.1.2 leaves it out, its list does not.
        "L" | "l" => Ok(StateType::Lockstep),
        "S" | "s" => Ok(StateType::Signal),
        "H" | "h" => Ok(StateType::Busy),
        // RFC 3624 §2.1.1.2: an unknown one is 803.
        _ => Err(INVALID_STATE_TYPE),
    }
}

/// RFC 3624 §2.1.1.4: a hexadecimal digit, or Z for more than 15.
fn count(n: usize) -> char {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    DIGITS.get(n).map_or('Z', |digit| char::from(*digit))
}

/// RFC 3624 §2.1.1.5: 0, the one connection's mode, or how many there are and the mode of each.
fn modes(endpoint: &Endpoint) -> String {
    let all = endpoint.connections.iter().map(|connection| mode(connection.mode));
    match endpoint.connections.len() {
        0 => "0".to_owned(),
        1 => all.collect(),
        n @ 2..=15 => std::iter::once(count(n)).chain(all).collect(),
        n => count(n).to_string(),
    }
}

const fn mode(mode: Mode) -> char {
    match mode {
        Mode::Inactive => 'I',
        Mode::SendOnly => 'S',
        Mode::ReceiveOnly => 'R',
        Mode::SendReceive => 'B',
        Mode::Conference => 'C',
        Mode::Loopback => 'L',
        Mode::ContinuityTest => 'T',
        Mode::NetworkLoopback => 'N',
        Mode::NetworkContinuityTest => 'U',
    }
}

/// RFC 3624 §2.1.1.6: out of service, or whether one of the conditions holds.
fn verdict(endpoint: &Endpoint, types: &[StateType]) -> char {
    if endpoint.outage.is_some() {
        'O'
    } else if types.iter().any(|condition| condition.holds(endpoint)) {
        'T'
    } else {
        'F'
    }
}

impl StateType {
    /// Whether it holds for an endpoint that is in service.
    fn holds(self, endpoint: &Endpoint) -> bool {
        let control = &endpoint.control;
        let is_in = |state| control.notify.notification_state() == state;
        match self {
            Self::InService => true,
            // RFC 3435 §4.4.7: until its call agent has answered that it was.
            Self::Disconnected => match control.announcement {
                Announcement::Settled => false,
                Announcement::Unheard => true,
                Announcement::Owed | Announcement::Sent(_) | Announcement::Refused => {
                    matches!(control.news, News::Disconnected { .. })
                }
            },
            Self::Notification => is_in(NotificationState::Notification),
            Self::Lockstep => is_in(NotificationState::Lockstep),
            Self::Signal => {
                let mut active = control.signals.audited();
                active.any(|signal| matches!(signal.lasting, Lasting::On | Lasting::TimeOut(_)))
            }
            // RFC 3624 §2.1.1.2: where endpoints know of no state but their bearer's, they are idle.
            Self::Busy => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_read_in_any_case_and_each_once() {
        let types = vec![StateType::Disconnected, StateType::Notification];
        assert_eq!(items("BA/S(D,N), ba/c"), Ok(vec![Item::States(types), Item::Counts]));
        assert_eq!(items("Ba/z ,BA/X"), Ok(vec![Item::Names, Item::Instances]));
        assert_eq!(items(""), Ok(Vec::new()));
        for wrong in ["BA/Z,BA/C", "BA/C,BA/C", "BA/Q", "C", "RED/C", "BA/S", "BA/S(I", "BA/C(I)"] {
            assert_eq!(items(wrong), Err(INVALID_INFO), "{wrong}");
        }
        for wrong in ["BA/S()", "BA/S(Q)", "BA/S(I,)"] {
            assert_eq!(items(wrong), Err(INVALID_STATE_TYPE), "{wrong}");
        }
    }

    #[test]
    fn counts_are_hexadecimal_and_end_at_z() {
        assert_eq!([0, 9, 10, 15, 16, 99].map(count).iter().collect::<String>(), "09AFZZ");
    }
}
