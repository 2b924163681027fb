//! The spans' tables: one can stand for many spans, and one far end for many timeslots.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use drivers::line::{Carrier, Law, Timeslot};
use drivers::wav::Wav;

use super::reader::{Section, Value};
use crate::config::{
    EchoCancellation, FarEndConfig, Service, ServiceConfig, SimConfig, SpanConfig, SpanDriver,
};

/// The most spans: 260 E1s are 8,060 DS0s, and a span's place fits 16 bits many times over.
const SPANS_MAX: usize = 1_024;

/// The highest number a span can have in endpoint names.
const NUMBER_MAX: u32 = 65_535;

/// The spans of the file, or `None` if it has none.
pub(super) fn read(
    root: &mut Section<'_>,
    base: &Path,
    cores: usize,
    echo: EchoCancellation,
) -> Option<Vec<SpanConfig>> {
    let mut tables = Vec::new();
    let mut spans: Vec<Placed> = Vec::new();
    for mut section in root.sections("span")? {
        let slot = section.value("slot").and_then(|value| value.integer(0..=NUMBER_MAX));
        let before = spans.iter().rfind(|span| span.config.slot == slot);
        let next = before.map_or(1, |before| before.config.number + 1);
        let source = tables.len();
        let usual = Usual { cores, echo, slot, number: next };
        spans.extend(table(&mut section, base, usual, source));
        tables.push(section);
    }
    if spans.is_empty() || spans.len() > SPANS_MAX {
        root.error("span", format!("there are {} spans; there must be 1 to {SPANS_MAX}", spans.len()));
    }
    check_numbers(&spans, &tables);
    connect_cables(&mut spans, &tables);
    check_recordings(&spans, &tables);
    for section in tables {
        section.finish();
    }
    Some(spans.into_iter().map(|span| span.config).collect())
}

/// A span and the table that it comes from.
struct Placed {
    config: SpanConfig,
    /// The cables that lead from it.
    leads: Vec<Lead>,
    /// Its table's place.
    source: usize,
}

/// Where a cable leads.
#[derive(Clone, Copy, PartialEq)]
struct Lead {
    /// The timeslot it carries; `None` for all that have no far end of their own.
    timeslot: Option<Timeslot>,
    /// The number of the span at its other end.
    to: u32,
}

/// What a table's settings depend on.
#[derive(Clone, Copy)]
struct Usual {
    /// Media cores.
    cores: usize,
    /// Where echo is cancelled unless the table says otherwise.
    echo: EchoCancellation,
    /// Its slot.
    slot: Option<u32>,
    /// Its number unless it says otherwise.
    number: u32,
}

/// The spans one table stands for.
fn table(section: &mut Section<'_>, base: &Path, usual: Usual, source: usize) -> Vec<Placed> {
    let Usual { cores, echo, slot, number } = usual;
    let number = section.integer("number", 1..=NUMBER_MAX, number.min(NUMBER_MAX));
    let count = section.integer("count", 1..=SPANS_MAX as u32, 1);
    if number + count - 1 > NUMBER_MAX {
        section.error("count", format!("the last span's number would be more than {NUMBER_MAX}"));
    }
    let carrier = section.word("carrier", &[("e1", Carrier::E1), ("t1", Carrier::T1)], Carrier::E1);
    let law = section.word("law", &[("a", Law::A), ("mu", Law::Mu)], carrier.usual_law());
    let template = SpanConfig::simulated_e1(number);
    let block_ms = section.integer("block_ms", 1..=20, template.block_ms);
    let service = service(section, carrier);
    let core = section.value("core").and_then(|value| value.integer(0..=cores.saturating_sub(1)));
    let echo_cancellation = section.word("echo_cancellation", &super::ECHO_CANCELLATION, echo);
    // The one driver so far; a card's is the next word here.
    section.word("driver", &[("sim", ())], ());
    let clock_ppm = section.number("clock_ppm", -1_000.0..=1_000.0, 0.0);
    let far_end = section.value("far_end").and_then(|value| far_end(&value, base));
    let far_end = far_end.unwrap_or(FarEnd::Other(FarEndConfig::Loop));
    let overrides = overrides(section, base, carrier);

    (0..count)
        .map(|i| {
            let number = number + i;
            let mut leads = Vec::new();
            let mut of_span = |timeslot, far_end: &FarEnd| match far_end {
                FarEnd::Cable(first) => {
                    leads.push(Lead { timeslot, to: first + i });
                    FarEndConfig::Cable { to: usize::MAX }
                }
                FarEnd::Other(far_end) => of_span(far_end, number),
            };
            let far_end = of_span(None, &far_end);
            let timeslots =
                overrides.iter().map(|(at, far_end)| (*at, of_span(Some(*at), far_end))).collect();
            let driver = SpanDriver::Sim(SimConfig { clock_ppm, far_end, timeslots });
            Placed {
                config: SpanConfig {
                    number,
                    slot,
                    carrier,
                    law,
                    block_ms,
                    core,
                    echo_cancellation,
                    service: service.clone(),
                    driver,
                },
                leads,
                source,
            }
        })
        .collect()
}

/// A far end as the file has it.
#[derive(Clone)]
enum FarEnd {
    /// The number of another span.
    Cable(u32),
    Other(FarEndConfig),
}

fn far_end(value: &Value<'_>, base: &Path) -> Option<FarEnd> {
    if let Some(kind) = value.is_text() {
        return match kind {
            "loop" => Some(FarEnd::Other(FarEndConfig::Loop)),
            "idle" => Some(FarEnd::Other(FarEndConfig::Idle)),
            _ => {
                value.error(format!(
                    "`{kind}` is neither `loop` nor `idle`; the others are tables: {{ kind = \"tone\", hz = 1004 }}"
                ));
                None
            }
        };
    }
    let mut section = value.section("span.far_end.".to_owned());
    let far_end = far_end_table(&mut section, base);
    section.finish();
    far_end
}

#[derive(Clone, Copy)]
enum Kind {
    Loop,
    Cable,
    Tone,
    File,
    Prbs,
    Idle,
    Hybrid,
}

fn far_end_table(section: &mut Section<'_>, base: &Path) -> Option<FarEnd> {
    let words = [
        ("loop", Kind::Loop),
        ("cable", Kind::Cable),
        ("tone", Kind::Tone),
        ("file", Kind::File),
        ("prbs", Kind::Prbs),
        ("idle", Kind::Idle),
        ("hybrid", Kind::Hybrid),
    ];
    if !section.has("kind") {
        section.error("kind", "is missing: loop, cable, tone, file, prbs, idle or hybrid");
    }
    let kind = section.value("kind")?.word(&words)?;
    Some(FarEnd::Other(match kind {
        Kind::Loop => FarEndConfig::Loop,
        Kind::Idle => FarEndConfig::Idle,
        Kind::Cable => {
            if !section.has("to") {
                section.error("to", "is missing: the number of the span at the other end");
            }
            return Some(FarEnd::Cable(section.value("to")?.integer(1..=NUMBER_MAX)?));
        }
        // ITU-T O.133 tests at 1,004 to 1,020 Hz, away from fractions of the sampling rate.
        Kind::Tone => FarEndConfig::Tone {
            hz: section.number("hz", 1.0..=3_999.0, 1_004.0),
            dbm0: section.number("dbm0", -70.0..=3.0, -10.0),
        },
        Kind::File => FarEndConfig::File {
            play: section.value("play").and_then(|value| file_to_play(&value, base)),
            record: section.value("record").and_then(|value| file_to_write(&value, base)),
        },
        Kind::Hybrid => FarEndConfig::Hybrid {
            line: section.integer("line", 2..=9, 2),
            loss_db: section.number("loss_db", 0.0..=40.0, 10.0),
            delay_ms: section.integer("delay_ms", 0..=100, 0),
            play: section.value("play").and_then(|value| file_to_play(&value, base)),
            record: section.value("record").and_then(|value| file_to_write(&value, base)),
        },
        Kind::Prbs => {
            let order = section.integer("order", 11..=15, 15);
            if ![11, 15].contains(&order) {
                section.error("order", format!("{order} is neither 11 nor 15 (ITU-T O.150)"));
            }
            FarEndConfig::Prbs { order }
        }
    }))
}

/// The far ends of single timeslots, by timeslot.
fn overrides(section: &mut Section<'_>, base: &Path, carrier: Carrier) -> Vec<(Timeslot, FarEnd)> {
    let mut all: Vec<(Timeslot, FarEnd)> = Vec::new();
    for mut table in section.sections("timeslot").unwrap_or_default() {
        let timeslots = table.value("numbers").and_then(|value| timeslots(&value, carrier));
        let far_end = table.value("far_end").and_then(|value| far_end(&value, base));
        for key in ["numbers", "far_end"] {
            if !table.has(key) {
                table.error(key, "is missing");
            }
        }
        if let (Some(timeslots), Some(far_end)) = (timeslots, far_end) {
            for at in timeslots {
                if all.iter().any(|(other, _)| *other == at) {
                    table.error("numbers", format!("timeslot {at} has a far end already"));
                }
                all.push((at, far_end.clone()));
            }
        }
        table.finish();
    }
    all.sort_by_key(|(at, _)| *at);
    all
}

/// What of a table's spans is in service.
fn service(section: &mut Section<'_>, carrier: Carrier) -> ServiceConfig {
    let span = section.word("service", &Service::NAMES, Service::In);
    let out = section.value("out_of_service").filter(|value| value.is_text() != Some(""));
    let mut out = out.and_then(|value| timeslots(&value, carrier)).unwrap_or_default();
    out.sort_unstable();
    out.dedup();
    ServiceConfig { span, out }
}

/// Timeslots written as `1-15,17`.
fn timeslots(value: &Value<'_>, carrier: Carrier) -> Option<Vec<Timeslot>> {
    let mut all = Vec::new();
    for item in value.text()?.split(',') {
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        let numbers = (first.trim().parse::<u8>(), last.trim().parse::<u8>());
        let (Ok(first), Ok(last)) = numbers else {
            value.error(format!("`{item}` is neither a timeslot nor a range like `1-15`"));
            return None;
        };
        for number in first.min(last)..=first.max(last) {
            let Some(timeslot) = Timeslot::new(number).filter(|at| carrier.has(*at)) else {
                value.error(format!(
                    "there is no channel {number} on {carrier}; its channels are 1 to {}",
                    carrier.timeslot_max()
                ));
                return None;
            };
            all.push(timeslot);
        }
    }
    Some(all)
}

/// A path to a WAV file that can be played.
fn file_to_play(value: &Value<'_>, base: &Path) -> Option<PathBuf> {
    let path = base.join(value.text()?);
    match std::fs::read(&path) {
        Err(error) => value.error(format!("cannot read {}: {error}", path.display())),
        Ok(file) => {
            if let Err(error) = Wav::parse(&file) {
                value.error(format!("cannot play {}: {error}", path.display()));
            }
        }
    }
    Some(path)
}

/// A path to a file in a folder that is there.
pub(super) fn file_to_write(value: &Value<'_>, base: &Path) -> Option<PathBuf> {
    let path = base.join(value.text()?);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        value.error(format!("there is no folder {}", folder.display()));
    } else if path.is_dir() {
        value.error(format!("{} is a folder, not a file", path.display()));
    }
    Some(path)
}

/// A table's far end for one of its spans: `{span}` in the name of a recording becomes its number.
fn of_span(far_end: &FarEndConfig, number: u32) -> FarEndConfig {
    let mut far_end = far_end.clone();
    if let FarEndConfig::File { record: Some(record), .. }
    | FarEndConfig::Hybrid { record: Some(record), .. } = &mut far_end
    {
        *record = fill_in(record, "{span}", number);
    }
    far_end
}

/// `path` with a number put in for a place-holder.
fn fill_in(path: &Path, holder: &str, number: u32) -> PathBuf {
    match path.to_str() {
        Some(text) => text.replace(holder, &number.to_string()).into(),
        None => path.to_owned(),
    }
}

impl FarEndConfig {
    /// Where this far end records one timeslot, if it does.
    pub fn recording(&self, timeslot: Timeslot) -> Option<PathBuf> {
        match self {
            Self::File { record: Some(record), .. } | Self::Hybrid { record: Some(record), .. } => {
                Some(fill_in(record, "{timeslot}", u32::from(timeslot.number())))
            }
            _ => None,
        }
    }
}

fn check_numbers(spans: &[Placed], tables: &[Section<'_>]) {
    let mut seen = HashSet::new();
    for span in spans {
        let SpanConfig { slot, number, .. } = span.config;
        if !seen.insert((slot, number)) {
            let slot = slot.map_or_else(|| "without a slot".to_owned(), |slot| format!("in slot {slot}"));
            tables[span.source].error("number", format!("there is more than one span {number} {slot}"));
        }
    }
}

/// Turns the numbers that cables lead to into places, and sees that both ends agree.
fn connect_cables(spans: &mut [Placed], tables: &[Section<'_>]) {
    let key = |span: &Placed, number| (span.config.slot, number);
    let places: HashMap<_, usize> =
        spans.iter().enumerate().map(|(place, span)| (key(span, span.config.number), place)).collect();
    for place in 0..spans.len() {
        for lead in spans[place].leads.clone() {
            let span = &spans[place];
            let setting = if lead.timeslot.is_some() { "timeslot" } else { "far_end" };
            let error = |reason| tables[span.source].error(setting, reason);
            let Some(&to) = places.get(&key(span, lead.to)) else {
                error(format!(
                    "span {} is cabled to span {}, which there is not",
                    span.config.number, lead.to
                ));
                continue;
            };
            check_cable(span, &spans[to], lead.timeslot, error);
            let SpanDriver::Sim(sim) = &mut spans[place].config.driver;
            let far_end = match lead.timeslot {
                None => &mut sim.far_end,
                Some(timeslot) => {
                    let of_its_own = sim.timeslots.iter_mut().find(|(at, _)| *at == timeslot);
                    &mut of_its_own.expect("the cable came from there").1
                }
            };
            *far_end = FarEndConfig::Cable { to };
        }
    }
}

/// Sees that a cable's ends agree; one error is enough for all timeslots that have it.
fn check_cable(span: &Placed, other: &Placed, timeslot: Option<Timeslot>, error: impl Fn(String)) {
    let (ours, theirs) = (span.config.number, other.config.number);
    if ours == theirs {
        error(format!("span {ours} is cabled to itself; that is `loop`"));
    } else if !other.leads_back(timeslot, ours) {
        error(match timeslot {
            None => format!("span {ours} is cabled to span {theirs}, but that is not cabled to span {ours}"),
            Some(_) => format!(
                "timeslots of span {ours} are cabled to span {theirs}, but not all of them there to span {ours}"
            ),
        });
    }
    if other.config.carrier != span.config.carrier {
        error(format!("span {ours} and span {theirs} at its cable's end must both be E1 or both T1"));
    }
    if other.config.block_ms != span.config.block_ms {
        error(format!("span {ours} and span {theirs} at its cable's end must have the same block_ms"));
    }
}

impl Placed {
    /// Whether a timeslot, or the whole span, is cabled to span `number`.
    fn leads_back(&self, timeslot: Option<Timeslot>, number: u32) -> bool {
        let SpanDriver::Sim(sim) = &self.config.driver;
        let has_its_own = sim.timeslots.iter().any(|(at, _)| Some(*at) == timeslot);
        let timeslot = timeslot.filter(|_| has_its_own);
        self.leads.contains(&Lead { timeslot, to: number })
    }
}

/// Two timeslots cannot be written to one file.
fn check_recordings(spans: &[Placed], tables: &[Section<'_>]) {
    let mut seen: HashMap<PathBuf, String> = HashMap::new();
    for span in spans {
        let SpanDriver::Sim(sim) = &span.config.driver;
        for timeslot in span.config.carrier.timeslots() {
            let Some(path) = sim.far_end(timeslot).recording(timeslot) else { continue };
            let name = format!("{}/{timeslot}", span.config.local_name());
            if let Some(other) = seen.get(&path) {
                tables[span.source].error(
                    "far_end",
                    format!(
                        "{other} and {name} would both be recorded in {}; put {{span}} and {{timeslot}} in its name",
                        path.display()
                    ),
                );
                break;
            }
            seen.insert(path, name);
        }
    }
}
