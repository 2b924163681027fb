//! Whom endpoints notify, and which endpoints a command configures, as packages RED and LCK say it
//! (RFC 3991, RFC 3992).

use std::sync::Arc;
use std::time::Duration;

use super::selected;
use super::state::State;
use crate::endpoint::EndpointId;
use crate::endpoint::naming::{Pattern, Wildcard};
use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::{Command, Parameters, Verb};
use crate::mgcp::name::{EntityName, Term, decimal};
use crate::notified_entity::Naming;
use crate::package::{Extension, Packages};

/// Names that a list of notified entities can have.
const ENTITIES_MAX: usize = 16;

/// Reads what a message says of the notified entity: N, RED/N and RED/NL.
///
/// # Errors
/// 510 for what cannot be read, 539 for a list that is too long.
pub fn naming(packages: &Packages, parameters: &Parameters<'_>) -> Result<Naming, ReturnCode> {
    let name = match value(packages, parameters, Extension::NotifiedEntity)? {
        Some("") => Some(None),
        Some(text) => Some(Some(text.parse().map_err(|_| ReturnCode::PROTOCOL_ERROR)?)),
        None => parameters.notified_entity.clone(),
    };
    let list = match value(packages, parameters, Extension::NotifiedEntityList)? {
        Some("") => Some(Arc::default()),
        Some(text) => {
            let names = text.split(',').map(|name| name.trim().parse());
            let list: Arc<[EntityName]> =
                names.collect::<Result<_, _>>().map_err(|_| ReturnCode::PROTOCOL_ERROR)?;
            Some(list)
        }
        None => None,
    };
    if list.as_ref().is_some_and(|list| list.len() > ENTITIES_MAX) {
        return Err(ReturnCode::UNSUPPORTED_PARAMETER);
    }
    Ok(Naming { name, list })
}

/// Reads whether endpoints are to be reset.
///
/// # Errors
/// 510 for any other value than the one there is.
pub fn resets(packages: &Packages, parameters: &Parameters<'_>) -> Result<bool, ReturnCode> {
    match value(packages, parameters, Extension::Reset)? {
        None => Ok(false),
        Some(text) if text.eq_ignore_ascii_case("reset") => Ok(true),
        Some(_) => Err(ReturnCode::PROTOCOL_ERROR),
    }
}

/// Reads after how long lockstep is to be reported, or that it is not.
///
/// # Errors
/// 510 for what is no number of up to four digits.
// RFC 3992 §2.1: in seconds; 0 turns reports off.
pub fn lockstep(
    packages: &Packages,
    parameters: &Parameters<'_>,
) -> Result<Option<Option<Duration>>, ReturnCode> {
    let Some(text) = value(packages, parameters, Extension::LockstepTime)? else { return Ok(None) };
    let seconds = decimal(text).filter(|_| text.len() <= 4).ok_or(ReturnCode::PROTOCOL_ERROR)?;
    Ok(Some((seconds > 0).then(|| Duration::from_secs(seconds.into()))))
}

/// The endpoints that RED/EL lists and RED/MP picks of them; `None` if none are listed.
///
/// # Errors
/// 800 for a map without its list or longer than that, 801 for lists where they must not be, 500 for an
/// endpoint that there is not, 510 for what cannot be read.
pub fn listed(state: &State, command: &Command<'_>) -> Result<Option<Vec<EndpointId>>, ReturnCode> {
    let lists = lists(&state.packages, &command.parameters)?;
    let stands_for_gateway = selected::is_gateway(state, &command.endpoint);
    if lists.is_empty() {
        // Where it is no endpoint itself, there is nothing to be configured.
        let is_nothing = stands_for_gateway && selected::meant(state, &command.endpoint).is_empty();
        return if is_nothing { Err(ReturnCode::INCORRECT_USAGE) } else { Ok(None) };
    }
    // RFC 3991 §2.2.2: no other endpoint stands for the others.
    if !stands_for_gateway {
        return Err(ReturnCode::INCORRECT_USAGE);
    }
    let names: Vec<Vec<Vec<Term>>> =
        lists.iter().map(|list| local_names(list.names)).collect::<Result<_, _>>()?;
    let terms = || names.iter().flatten().flatten();
    let (has_range, has_all) =
        (terms().any(|term| matches!(term, Term::Range(_))), terms().any(|term| *term == Term::All));
    if has_range && has_all || terms().any(|term| *term == Term::Any) {
        return Err(ReturnCode::INCORRECT_USAGE);
    }
    // No list need be longer than this; one that names some again and again could be.
    let mut left = state.endpoints.ids().count();
    let mut all = Vec::new();
    for (list, names) in lists.iter().zip(&names) {
        let mut found = Vec::new();
        for name in names {
            add_endpoints(state, name, left, &mut found)?;
        }
        left -= found.len();
        match list.map {
            // RFC 3991 §2.2.1: each endpoint is named where there is a map of them.
            Some(_) if has_all => return Err(ReturnCode::INCORRECT_USAGE),
            Some(map) => all.extend(picked(map, &found)?),
            None => all.extend(found),
        }
    }
    all.sort_unstable();
    all.dedup();
    Ok(Some(all))
}

/// The endpoints that a command is for, whatever its wildcard or list; none if it means nothing here.
pub fn affected(state: &State, command: &Command<'_>) -> Vec<EndpointId> {
    let lists = command.verb == Verb::EndpointConfiguration && !command.parameters.others.is_empty();
    match lists.then(|| listed(state, command)) {
        Some(Ok(Some(listed))) => listed,
        Some(Err(_)) => Vec::new(),
        Some(Ok(None)) | None => selected::meant(state, &command.endpoint),
    }
}

/// A list of endpoints, and the map that says which of them are meant.
struct List<'a> {
    names: &'a str,
    map: Option<&'a str>,
}

fn lists<'a>(packages: &Packages, parameters: &Parameters<'a>) -> Result<Vec<List<'a>>, ReturnCode> {
    let mut lists: Vec<List<'a>> = Vec::new();
    let mut is_behind_list = false;
    for (name, value) in &parameters.others {
        let extension = extension(packages, name);
        match extension {
            Some(Extension::EndpointList) => lists.push(List { names: value, map: None }),
            // RFC 3991 §2.2.1: a map comes right behind its list.
            Some(Extension::EndpointMap) => match lists.last_mut().filter(|_| is_behind_list) {
                Some(list) => list.map = Some(value),
                None => return Err(ReturnCode::ENDPOINT_MAP_OUT_OF_RANGE),
            },
            _ => {}
        }
        is_behind_list = extension == Some(Extension::EndpointList);
    }
    Ok(lists)
}

/// `ds/e1-1/[1-3,7], ds/e1-2/1` as the terms of each name.
fn local_names(text: &str) -> Result<Vec<Vec<Term>>, ReturnCode> {
    let mut depth = 0;
    // The commas in brackets are those of a range.
    let names = text.split(|c| {
        depth += i32::from(c == '[') - i32::from(c == ']');
        c == ',' && depth == 0
    });
    let terms = |name: &str| name.trim().split('/').map(str::parse).collect::<Result<Vec<Term>, _>>();
    names.map(|name| terms(name).map_err(|_| ReturnCode::PROTOCOL_ERROR)).collect()
}

/// Adds the endpoints of a name, in the order in which its ranges count them, as long as there are no more
/// than `most`.
fn add_endpoints(
    state: &State,
    name: &[Term],
    most: usize,
    to: &mut Vec<EndpointId>,
) -> Result<(), ReturnCode> {
    if name.contains(&Term::All) {
        let pattern = Pattern::parse(name).ok_or(ReturnCode::ENDPOINT_UNKNOWN)?;
        let mut found = state.endpoints.matching(&pattern);
        found.retain(|id| state.may_control(*id));
        if found.is_empty() {
            return Err(ReturnCode::ENDPOINT_UNKNOWN);
        }
        to.extend(found);
        return if to.len() > most { Err(ReturnCode::PROTOCOL_ERROR) } else { Ok(()) };
    }
    count(state, name, most, &mut Vec::new(), to)
}

/// Adds those of a name whose first terms are counted out already.
fn count(
    state: &State,
    rest: &[Term],
    most: usize,
    counted: &mut Vec<Term>,
    found: &mut Vec<EndpointId>,
) -> Result<(), ReturnCode> {
    let Some((term, rest)) = rest.split_first() else {
        let pattern = Pattern::parse(counted).filter(|pattern| pattern.wildcard == Wildcard::None);
        let one = pattern.and_then(|pattern| state.endpoints.one(&pattern));
        found.push(one.filter(|id| state.may_control(*id)).ok_or(ReturnCode::ENDPOINT_UNKNOWN)?);
        return if found.len() > most { Err(ReturnCode::PROTOCOL_ERROR) } else { Ok(()) };
    };
    let Term::Range(range) = term else {
        counted.push(term.clone());
        count(state, rest, most, counted, found)?;
        counted.pop();
        return Ok(());
    };
    for number in range.numbers.iter().flat_map(|(first, last)| *first..=*last) {
        counted.push(Term::Word(format!("{}{number}{}", range.before, range.after)));
        count(state, rest, most, counted, found)?;
        counted.pop();
    }
    Ok(())
}

/// The endpoints of a list for which its map has a T. Those beyond the map's end are not meant.
fn picked(map: &str, list: &[EndpointId]) -> Result<Vec<EndpointId>, ReturnCode> {
    if map.is_empty() || !map.bytes().all(|octet| matches!(octet, b'T' | b'F' | b't' | b'f')) {
        return Err(ReturnCode::PROTOCOL_ERROR);
    }
    if map.len() > list.len() {
        return Err(ReturnCode::ENDPOINT_MAP_OUT_OF_RANGE);
    }
    let picked = list.iter().zip(map.bytes()).filter(|(_, octet)| octet.eq_ignore_ascii_case(&b'T'));
    Ok(picked.map(|(id, _)| *id).collect())
}

/// The value of a package's parameter.
///
/// # Errors
/// 510 if it is there twice.
fn value<'a>(
    packages: &Packages,
    parameters: &Parameters<'a>,
    wanted: Extension,
) -> Result<Option<&'a str>, ReturnCode> {
    let is_it = |(name, _): &&(&str, &str)| extension(packages, name) == Some(wanted);
    let mut values = parameters.others.iter().filter(is_it).map(|(_, value)| value.trim());
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(ReturnCode::PROTOCOL_ERROR),
        (value, None) => Ok(value),
    }
}

fn extension(packages: &Packages, name: &str) -> Option<Extension> {
    name.contains('/').then(|| packages.extension(name).ok()).flatten()
}
