//! All endpoints of the gateway: one for each DS0, in the order of the spans; then the relays, and the
//! gateway itself if it is one.

mod idle;

use std::collections::HashMap;
use std::ops::{Index, IndexMut, Range};

use drivers::line::{Ds0, Law, SpanId, Timeslot};

use super::naming::{
    Form, Last, Means, Named, Pattern, SpanKey, Wildcard, gateway_name, local_name, relay_name,
};
use super::{Endpoint, EndpointId, Kind};
use crate::config::EchoCancellation;
use crate::mgcp::name::Term;
use crate::topology::{CoreId, SpanPlace, Topology};

use self::idle::Idle;

/// All endpoints.
#[derive(Debug)]
pub struct Table {
    spans: Vec<SpanRow>,
    endpoints: Vec<Endpoint>,
    /// Spans by slot and number, and by number alone where that is enough.
    keys: HashMap<SpanKey, usize>,
    /// The relays' ids.
    relays: Range<u32>,
    /// The endpoints that have no connections.
    idle: Idle,
    /// Where the search for a free DS0 starts: behind the one found last.
    cursor: u32,
    /// Where the search for a free relay starts, likewise.
    relay_cursor: u32,
}

#[derive(Clone, Debug)]
struct SpanRow {
    place: SpanPlace,
    /// Whether names without a slot are its: it has none, or nobody else has its number.
    by_number: bool,
    /// Its endpoints' ids.
    endpoints: Range<u32>,
}

impl Table {
    /// An idle endpoint for each timeslot of each span. On an E1, timeslot 0 carries framing and is
    /// none; 16 is one like the others, since no signalling is taken from it.
    pub fn new(topology: &Topology) -> Self {
        let mut table = Self {
            spans: Vec::new(),
            endpoints: Vec::new(),
            keys: HashMap::new(),
            relays: 0..0,
            idle: Idle::default(),
            cursor: 0,
            relay_cursor: 0,
        };
        let mut of_number: HashMap<u32, usize> = HashMap::new();
        for place in &topology.spans {
            *of_number.entry(place.number).or_default() += 1;
        }
        for place in &topology.spans {
            table.add(*place, place.slot.is_none() || of_number[&place.number] == 1);
        }
        let first = id_of(table.endpoints.len());
        for place in &topology.relays {
            table.endpoints.push(Endpoint::new(
                Kind::Relay(place.relay),
                place.core,
                Law::A,
                EchoCancellation::None,
            ));
        }
        table.relays = first..id_of(table.endpoints.len());
        table.relay_cursor = first;
        if topology.gateway_is_endpoint {
            table.endpoints.push(Endpoint::new(Kind::Gateway, CoreId(0), Law::A, EchoCancellation::None));
        }
        table.idle = Idle::all(table.endpoints.len());
        table
    }

    fn add(&mut self, place: SpanPlace, by_number: bool) {
        let index = self.spans.len();
        let first = id_of(self.endpoints.len());
        for timeslot in place.carrier.timeslots() {
            let ds0 = Ds0 { span: place.span, timeslot };
            self.endpoints.push(Endpoint::new(Kind::Ds0(ds0), place.core, place.law, place.echo));
        }
        self.spans.push(SpanRow { place, by_number, endpoints: first..id_of(self.endpoints.len()) });
        self.keys.insert(SpanKey { slot: place.slot, number: place.number }, index);
        if by_number {
            self.keys.insert(SpanKey { slot: None, number: place.number }, index);
        }
    }

    /// Notes that an endpoint has more connections than before, or fewer.
    pub fn counted(&mut self, id: EndpointId) {
        match self[id].connections.is_empty() {
            true => self.idle.insert(id.0),
            false => self.idle.remove(id.0),
        }
    }

    /// Notes that an endpoint was chosen for an any-of name.
    pub fn seized(&mut self, id: EndpointId) {
        if self.relays.contains(&id.0) {
            self.relay_cursor = id.0 + 1;
        } else {
            self.cursor = id.0 + 1;
        }
    }

    /// The endpoints without connections that a pattern matches, starting behind the one that was
    /// [`seized`](Self::seized) last, so that a circuit that was just freed is not the next to go. What it
    /// costs to find the first does not grow with those that are busy.
    pub fn idle_round<'a>(&'a self, pattern: &'a Pattern) -> impl Iterator<Item = EndpointId> + 'a {
        let cursor = if pattern.relays() == Some(Means::ByName) { self.relay_cursor } else { self.cursor };
        self.idle_in(pattern, cursor..u32::MAX).chain(self.idle_in(pattern, 0..cursor))
    }

    /// The same, of these ids only.
    fn idle_in<'a>(&'a self, pattern: &'a Pattern, ids: Range<u32>) -> impl Iterator<Item = EndpointId> + 'a {
        let part = move |range: &Range<u32>| range.start.max(ids.start)..range.end.min(ids.end);
        let of_relays = (pattern.relays() == Some(Means::ByName)).then(|| part(&self.relays));
        let relays = of_relays.into_iter().flat_map(|range| self.idle.within(range)).map(EndpointId);
        let relays = relays.filter(|id| pattern.has_relay(self.number_of(*id)));
        let ds0s = self.rows(pattern).flat_map(move |row| {
            let idle = self.idle.within(part(&row.endpoints));
            idle.filter(move |id| pattern.has_timeslot(id - row.endpoints.start + 1))
        });
        ds0s.map(EndpointId).chain(relays)
    }

    /// The endpoints that a pattern matches, one after the other.
    pub fn each<'a>(&'a self, pattern: &'a Pattern) -> impl Iterator<Item = EndpointId> + 'a {
        self.matching_in(pattern, 0..u32::MAX)
    }

    /// The endpoints that a pattern matches, in order. Relays without connections are only meant by
    /// their own name.
    pub fn matching(&self, pattern: &Pattern) -> Vec<EndpointId> {
        self.each(pattern).collect()
    }

    /// The same, and relays without connections where the pattern matches all endpoints.
    pub fn possible(&self, pattern: &Pattern) -> Vec<EndpointId> {
        let idle = |id: &EndpointId| self[*id].connections.is_empty();
        let relays =
            self.relays.clone().map(EndpointId).filter(|_| pattern.relays() == Some(Means::WithOthers));
        let mut possible = self.matching(pattern);
        possible.extend(relays.filter(idle));
        possible.sort_unstable();
        possible
    }

    /// The one endpoint that a pattern without wildcard names.
    pub fn one(&self, pattern: &Pattern) -> Option<EndpointId> {
        debug_assert_eq!(pattern.wildcard, Wildcard::None, "a wildcard names many");
        if pattern.relays() == Some(Means::ByName) {
            return self.relay(pattern.last()?);
        }
        if pattern.has_gateway() {
            return self.gateway();
        }
        let row = &self.spans[*self.keys.get(&pattern.span_key()?)?];
        let timeslot = Timeslot::new(u8::try_from(pattern.last()?).ok()?)?;
        let known = row.is_meant(pattern) && row.place.carrier.has(timeslot);
        known.then(|| row.at(timeslot))
    }

    /// The relay of a number, from 1.
    fn relay(&self, number: u32) -> Option<EndpointId> {
        let id = self.relays.start.checked_add(number.checked_sub(1)?)?;
        self.relays.contains(&id).then_some(EndpointId(id))
    }

    /// The endpoint that stands for the gateway: the last one, if there is one.
    fn gateway(&self) -> Option<EndpointId> {
        let id = EndpointId(self.relays.end);
        self.endpoints.get(id.0 as usize).map(|_| id)
    }

    /// A relay's number in names, from 1.
    fn number_of(&self, relay: EndpointId) -> u32 {
        relay.0 - self.relays.start + 1
    }

    /// The endpoints of a span.
    pub fn of_span(&self, span: SpanId) -> impl Iterator<Item = EndpointId> + Clone + use<> {
        let row = self.spans.get(usize::from(span.0)).map(|row| row.endpoints.clone());
        row.unwrap_or_default().map(EndpointId)
    }

    /// The endpoint of a circuit.
    pub fn at(&self, ds0: Ds0) -> Option<EndpointId> {
        let row = self.spans.get(usize::from(ds0.span.0))?;
        row.place.carrier.has(ds0.timeslot).then(|| row.at(ds0.timeslot))
    }

    /// Endpoints that are no DS0s: the relays, and then the gateway if it is one.
    pub fn without_line(&self) -> (impl Iterator<Item = EndpointId> + Clone + use<>, Option<EndpointId>) {
        (self.relays.clone().map(EndpointId), self.gateway())
    }

    /// All endpoints.
    pub fn ids(&self) -> impl Iterator<Item = EndpointId> + Clone + use<> {
        (0..id_of(self.endpoints.len())).map(EndpointId)
    }

    /// The endpoints of each span, by the span's place.
    pub fn spans(
        &self,
    ) -> impl Iterator<Item = (usize, impl Iterator<Item = EndpointId> + Clone + use<>)> + '_ {
        self.spans.iter().enumerate().map(|(index, row)| (index, row.endpoints.clone().map(EndpointId)))
    }

    /// All endpoints, with their ids.
    pub fn iter(&self) -> impl Iterator<Item = (EndpointId, &Endpoint)> {
        self.ids().zip(&self.endpoints)
    }

    /// The local name of an endpoint, a span or everything, in a form.
    pub fn name(&self, form: Form, named: Named) -> Vec<Term> {
        match named {
            Named::Endpoint(id) => match self[id].kind {
                Kind::Ds0(ds0) => {
                    let row = &self.spans[usize::from(ds0.span.0)];
                    local_name(form, &row.place, row.place.number, Last::One(ds0.timeslot))
                }
                Kind::Relay(_) => relay_name(Some(self.number_of(id))),
                Kind::Gateway => gateway_name(),
            },
            Named::Timeslots(index, timeslots) => {
                let place = &self.spans[index].place;
                local_name(form, place, place.number, Last::Some(timeslots))
            }
            Named::Span(index) => self.name(form, Named::Spans(index, index)),
            Named::Spans(first, last) => {
                local_name(form, &self.spans[first].place, self.spans[last].place.number, Last::All)
            }
            Named::Relays => relay_name(None),
            Named::Gateway => vec![Term::All],
        }
    }

    /// One name for some spans and the next, if there is one with a range.
    pub fn joined(&self, spans: Named, next: Named) -> Option<Named> {
        let (Named::Span(first) | Named::Spans(first, _)) = spans else { return None };
        let (Named::Span(last) | Named::Spans(_, last)) = spans else { return None };
        let Named::Span(next) = next else { return None };
        let (place, other) = (&self.spans[last].place, &self.spans[next].place);
        let is_next = next == last + 1 && other.number == place.number + 1;
        let is_alike = (other.carrier, other.slot) == (place.carrier, place.slot);
        (is_next && is_alike).then_some(Named::Spans(first, next))
    }

    /// The spans that a pattern may mean: at most one if it says which.
    fn rows<'a>(&'a self, pattern: &'a Pattern) -> impl Iterator<Item = &'a SpanRow> {
        let spans = match pattern.span_key() {
            Some(key) => self.keys.get(&key).map_or(0..0, |index| *index..*index + 1),
            None => 0..self.spans.len(),
        };
        self.spans[spans].iter().filter(|row| row.is_meant(pattern))
    }

    /// The endpoints of these ids that a pattern matches. At most one span is looked at if the pattern
    /// says which.
    fn matching_in<'a>(
        &'a self,
        pattern: &'a Pattern,
        ids: Range<u32>,
    ) -> impl Iterator<Item = EndpointId> + 'a {
        let part = move |range: &Range<u32>| range.start.max(ids.start)..range.end.min(ids.end);
        let gateway =
            self.gateway().filter(|id| pattern.has_gateway() && !part(&(id.0..id.0 + 1)).is_empty());
        let relays = match pattern.relays() {
            None => 0..0,
            Some(Means::ByName | Means::WithOthers) => part(&self.relays),
        };
        let is_meant = |id: &EndpointId| match pattern.relays() {
            Some(Means::ByName) => pattern.has_relay(self.number_of(*id)),
            Some(Means::WithOthers) | None => !self[*id].connections.is_empty(),
        };
        let ds0s = self.rows(pattern).flat_map(move |row| {
            part(&row.endpoints).filter(move |id| pattern.has_timeslot(id - row.endpoints.start + 1))
        });
        ds0s.map(EndpointId).chain(relays.map(EndpointId).filter(is_meant)).chain(gateway)
    }
}

impl SpanRow {
    fn is_meant(&self, pattern: &Pattern) -> bool {
        pattern.has_span(&self.place, self.by_number)
    }

    /// The endpoint of a timeslot that the carrier has.
    fn at(&self, timeslot: Timeslot) -> EndpointId {
        EndpointId(self.endpoints.start + u32::from(timeslot.number()) - 1)
    }
}

impl Index<EndpointId> for Table {
    type Output = Endpoint;

    fn index(&self, id: EndpointId) -> &Endpoint {
        &self.endpoints[id.0 as usize]
    }
}

impl IndexMut<EndpointId> for Table {
    fn index_mut(&mut self, id: EndpointId) -> &mut Endpoint {
        &mut self.endpoints[id.0 as usize]
    }
}

fn id_of(index: usize) -> u32 {
    u32::try_from(index).expect("endpoints are counted in 32 bits")
}

#[cfg(test)]
mod tests {
    use drivers::line::{Carrier, Law};

    use super::*;

    fn place(span: u16, number: u32, slot: Option<u32>, carrier: Carrier) -> SpanPlace {
        SpanPlace {
            span: SpanId(span),
            core: CoreId(0),
            number,
            slot,
            carrier,
            law: Law::A,
            echo: EchoCancellation::None,
        }
    }

    /// Two E1s, 1 and 2, and a T1, 3, which is in slot 7.
    fn table() -> Table {
        let spans = vec![
            place(0, 1, None, Carrier::E1),
            place(1, 2, None, Carrier::E1),
            place(2, 3, Some(7), Carrier::T1),
        ];
        Table::new(&Topology { spans, ..Topology::default() })
    }

    fn terms(local: &str) -> Vec<Term> {
        local.split('/').map(|term| term.parse().expect("a term")).collect()
    }

    fn one(local: &str) -> Option<Ds0> {
        let table = table();
        let pattern = Pattern::parse(&terms(local))?;
        assert_eq!(pattern.wildcard, Wildcard::None);
        assert_eq!(table.matching(&pattern), Vec::from_iter(table.one(&pattern)));
        table.one(&pattern).and_then(|id| table[id].ds0())
    }

    fn count(local: &str) -> usize {
        Pattern::parse(&terms(local)).map_or(0, |pattern| table().matching(&pattern).len())
    }

    fn ds0(span: u16, timeslot: u8) -> Option<Ds0> {
        Some(Ds0 { span: SpanId(span), timeslot: Timeslot::new(timeslot)? })
    }

    #[test]
    fn each_form_finds_the_same_ds0_in_any_case() {
        assert_eq!(one("ds/e1-2/17"), ds0(1, 17));
        assert_eq!(one("DS/DS1-2/17"), ds0(1, 17));
        assert_eq!(one("ds/ds1-3/24"), ds0(2, 24));
        assert_eq!(one("S7/DS1-3/1"), ds0(2, 1));
    }

    #[test]
    fn names_that_no_endpoint_has_find_none() {
        let wrong = [
            "ds/e1-1/0",
            "ds/e1-1/32",
            "ds/e1-3/1",
            "ds/ds1-3/25",
            "ds/e1-01/1",
            "ds/e1-1/01",
            "ds/e1-4/1",
            "s8/ds1-3/1",
            "s7/ds1-1/1",
            "aaln/1",
            "ds/e1-1",
            "ds",
            "ds/e1-1/1/1",
            "ds/e1-1/4294967297",
            "s/ds1-3/1",
        ];
        for name in wrong {
            assert_eq!(one(name), None, "{name}");
        }
    }

    #[test]
    fn timeslot_16_of_an_e1_is_an_endpoint() {
        assert_eq!(one("ds/e1-1/16"), ds0(0, 16));
    }

    #[test]
    fn wildcards_work_at_every_level() {
        assert_eq!(count("*"), 86);
        assert_eq!(count("ds/*"), 86);
        assert_eq!(count("ds/*/*"), 86);
        assert_eq!(count("ds/e1-1/*"), 31);
        assert_eq!(count("ds/*/25"), 2);
        assert_eq!(count("*/e1-2/5"), 1);
        assert_eq!(count("*/ds1-3/5"), 1);
        assert_eq!(count("s7/*"), 24);
        assert_eq!(count("ds/e1-1/[1-24]"), 24);
        assert_eq!(count("ds/e1-[1-2]/[1,3-4]"), 6);
        assert_eq!(count("ds/e1-9/*"), 0);
        assert_eq!(count("ds/e1-1/[1-"), 0);
    }

    #[test]
    fn mixed_wildcards_are_not_understood() {
        assert_eq!(Pattern::parse(&terms("ds/*/$")), None);
    }

    #[test]
    fn any_of_goes_round_instead_of_seizing_the_same_circuit() {
        let mut table = table();
        let pattern = Pattern::parse(&terms("ds/e1-2/$")).expect("a name");
        let mut seize = || {
            let id = table.idle_round(&pattern).next()?;
            table.seized(id);
            Some(id)
        };
        let found: Vec<_> = (0..32).filter_map(|_| seize()).collect();
        assert_eq!(found.iter().map(|id| id.0).collect::<Vec<_>>(), (31..62).chain([31]).collect::<Vec<_>>());
        assert_eq!(table.idle_round(&pattern).count(), 31, "each once");
    }

    #[test]
    fn answers_use_the_form_of_the_question() {
        let table = table();
        let named = Named::Endpoint(EndpointId(62));
        assert_eq!(table.name(Form::Usual, named), terms("s7/ds1-3/1"));
        assert_eq!(table.name(Form::Kind, named), terms("ds/ds1-3/1"));
        assert_eq!(table.name(Form::Slot, named), terms("s7/ds1-3/1"));
        assert_eq!(table.name(Form::Usual, Named::Endpoint(EndpointId(30))), terms("ds/e1-1/31"));
        assert_eq!(table.name(Form::Ds1, Named::Span(1)), terms("ds/ds1-2/*"));
    }

    /// E1s 1 and 2 in slot 3, E1 1 in slot 0, and an E1 2 without a slot.
    fn slotted() -> Table {
        let spans = vec![
            place(0, 1, Some(3), Carrier::E1),
            place(1, 2, Some(3), Carrier::E1),
            place(2, 1, Some(0), Carrier::E1),
            place(3, 2, None, Carrier::E1),
        ];
        Table::new(&Topology { spans, ..Topology::default() })
    }

    fn spans_of(table: &Table, local: &str) -> Vec<u16> {
        let pattern = Pattern::parse(&terms(local)).expect("a name");
        let matching = table.matching(&pattern);
        for id in &matching {
            assert!(table.idle_round(&pattern).any(|other| other == *id));
        }
        matching.iter().map(|id| table[*id].ds0().expect("a circuit").span.0).collect()
    }

    #[test]
    fn numbers_begin_anew_in_each_slot() {
        let table = slotted();
        assert_eq!(spans_of(&table, "S3/DS1-1/5"), [0]);
        assert_eq!(spans_of(&table, "s3/ds1-2/5"), [1]);
        assert_eq!(spans_of(&table, "s0/ds1-1/5"), [2]);
        assert_eq!(spans_of(&table, "s3/*/5"), [0, 1]);
        assert_eq!(spans_of(&table, "*/ds1-1/5"), [0, 2]);
    }

    #[test]
    fn a_name_without_a_slot_is_that_of_the_span_without_one_and_never_ambiguous() {
        let table = slotted();
        assert_eq!(spans_of(&table, "ds/e1-2/5"), [3]);
        assert_eq!(spans_of(&table, "ds/ds1-2/5"), [3]);
        assert_eq!(spans_of(&table, "ds/e1-1/5"), [] as [u16; 0]);
        assert_eq!(spans_of(&table, "ds/*/5"), [3]);
        assert_eq!(spans_of(&table, "*/*/5"), [0, 1, 2, 3]);
    }

    #[test]
    fn every_usual_name_finds_its_own_span() {
        for table in [slotted(), table()] {
            for (index, _) in table.spans() {
                let name = table.name(Form::Usual, Named::Span(index));
                let pattern = Pattern::parse(&name).expect("a name");
                let found = table.matching(&pattern);
                assert!(
                    found.iter().all(|id| usize::from(table[*id].ds0().expect("a circuit").span.0) == index),
                    "{name:?}"
                );
                assert!(!found.is_empty(), "{name:?}");
            }
        }
    }
}
