//! Makes the configured spans and what is at their far ends.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use control::config::{Config, FarEndConfig, SimConfig, SpanConfig, SpanDriver};
use dataplane::codec::g711::translate;
use drivers::line::{FRAMES_PER_SECOND, Law, Line, Timeslot};
use drivers::span::Span;
use drivers::span::sim::{
    CableEnd, EchoPath, FarEnd, LineModel, Pattern, Play, PrbsResult, Recording, SimSettings, SimSpan, cable,
};
use drivers::time::{Clock, Instant};
use drivers::wav::Wav;

use crate::Failure;
use crate::recorder::RecordTo;

/// The configured spans, and what is to be done about their far ends.
pub(crate) struct Lines {
    /// The spans, in the configuration's order.
    pub(crate) spans: Vec<Box<dyn Span>>,
    /// What is to be written to files.
    pub(crate) recordings: Vec<RecordTo>,
    /// The results of patterns, each with its endpoint's name.
    pub(crate) patterns: Vec<(String, Arc<PrbsResult>)>,
}

/// How long a recording waits for the file to be written: 4 s.
const RECORDING_OCTETS: usize = 32_000;

/// How late the threads at a cable's ends may be with no octet lost. It is the cable's delay, too.
const CABLE_DELAY: Duration = Duration::from_millis(20);

/// Makes the spans of a configuration.
///
/// # Errors
/// A file that cannot be played, by name.
pub(crate) fn build(config: &Config) -> Result<Lines, Failure> {
    let start = first_block(config.spans.len());
    let mut cables = cables(config);
    let mut lines = Lines { spans: Vec::new(), recordings: Vec::new(), patterns: Vec::new() };
    for (place, span) in config.spans.iter().enumerate() {
        let SpanDriver::Sim(sim) = &span.driver;
        let settings = SimSettings { clock_ppm: sim.clock_ppm, ..settings(span, place, start) };
        let carried = std::mem::take(&mut cables[place]);
        let far_ends = far_ends(span, sim, &mut lines)?;
        let far_end = |at: Timeslot| far_ends[at.index() - 1].clone();
        lines.spans.push(Box::new(SimSpan::new(&settings, carried, far_end)));
    }
    Ok(lines)
}

/// When the first block of so many spans is due: when their ports are bound and the workers started.
pub(crate) fn first_block(spans: usize) -> Instant {
    Clock.now() + START_UP + START_UP_OF_A_SPAN * spans as u32
}

/// A span's settings, with a clock as exact as the host's.
pub(crate) fn settings(span: &SpanConfig, place: usize, start: Instant) -> SimSettings {
    SimSettings {
        line: Line { carrier: span.carrier, law: span.law },
        frames: span.frames(),
        clock_ppm: 0.0,
        start: start + phase(span, place),
    }
}

/// How much later than others a span begins, as far as a block lasts: a core's packets do not all leave at once,
/// and what a relay passes on waits for a third of a usual block. Fewer and larger ticks cost less a packet (the
/// code and the tables of a tick are fetched once for all of it), but what leaves last in them leaves later.
pub(crate) fn phase(span: &SpanConfig, place: usize) -> Duration {
    let block = Duration::from_millis(span.block_ms.into());
    let turns = (block.as_nanos() / TURN.as_nanos()).max(1) as usize;
    TURN * (place % turns) as u32
}

/// How far apart blocks come from span to span: a third of a block of 5 ms.
const TURN: Duration = Duration::from_micros(1_666);

/// How long a start may take before lines begin, lest their first blocks be late.
const START_UP: Duration = Duration::from_millis(200);
const START_UP_OF_A_SPAN: Duration = Duration::from_millis(5);

/// Each span's ends of cables.
fn cables(config: &Config) -> Vec<Vec<CableEnd>> {
    let mut ends: Vec<Vec<CableEnd>> = config.spans.iter().map(|_| Vec::new()).collect();
    for (near, far, timeslots) in config.cables() {
        let (here, there) = cable(timeslots, CABLE_DELAY);
        ends[near].push(here);
        ends[far].push(there);
    }
    ends
}

/// What is at the far end of each timeslot, from timeslot 1 on.
fn far_ends(span: &SpanConfig, sim: &SimConfig, lines: &mut Lines) -> Result<Vec<FarEnd>, Failure> {
    let mut far_ends = FarEnds { span, lines, played: Vec::new() };
    span.carrier.timeslots().map(|at| far_ends.make(at, sim.far_end(at))).collect()
}

/// The far ends of one span, as they are made.
struct FarEnds<'a> {
    span: &'a SpanConfig,
    lines: &'a mut Lines,
    /// A file that is played into every timeslot is read and kept once.
    played: Vec<(PathBuf, Play)>,
}

impl FarEnds<'_> {
    fn make(&mut self, at: Timeslot, config: &FarEndConfig) -> Result<FarEnd, Failure> {
        Ok(match config {
            FarEndConfig::Loop => FarEnd::Loop,
            // A timeslot that only one end of the cable wants to be carried is carried by neither.
            FarEndConfig::Idle | FarEndConfig::Cable { .. } => FarEnd::Idle,
            FarEndConfig::Tone { hz, dbm0 } => FarEnd::Tone { hz: *hz, dbm0: *dbm0 },
            FarEndConfig::Prbs { order } => {
                let pattern = if *order == 11 { Pattern::Prbs11 } else { Pattern::Prbs15 };
                let result = Arc::new(PrbsResult::default());
                self.lines.patterns.push((format!("{}/{at}", self.span.local_name()), Arc::clone(&result)));
                FarEnd::Prbs { pattern, result }
            }
            FarEndConfig::File { play, .. } => {
                FarEnd::File { play: self.play(play.as_deref())?, record: self.record(at, config) }
            }
            FarEndConfig::Hybrid { line, loss_db, delay_ms, play, .. } => {
                let model = LineModel::ALL[usize::from(*line) - 2];
                let delay = usize::from(*delay_ms) * FRAMES_PER_SECOND as usize / 1_000;
                let echo = EchoPath::new(model, *loss_db, delay);
                FarEnd::Hybrid { echo, talker: self.play(play.as_deref())?, record: self.record(at, config) }
            }
        })
    }

    /// What is said there: a WAV file over and over, or nothing.
    fn play(&mut self, path: Option<&Path>) -> Result<Play, Failure> {
        let Some(path) = path else { return Ok(Play::Nothing) };
        if let Some((_, play)) = self.played.iter().find(|(known, _)| known == path) {
            return Ok(play.clone());
        }
        let play = Play::Forever(octets(path, self.span.law)?.into());
        self.played.push((path.to_owned(), play.clone()));
        Ok(play)
    }

    /// Where what is heard there is kept until it is written, if it is to be.
    fn record(&mut self, at: Timeslot, config: &FarEndConfig) -> Option<Arc<Recording>> {
        let path = config.recording(at)?;
        let recording = Arc::new(Recording::new(RECORDING_OCTETS));
        let to = RecordTo { path, law: self.span.law, recording: Arc::clone(&recording) };
        self.lines.recordings.push(to);
        Some(recording)
    }
}

/// The octets of a WAV file in a line's law.
fn octets(path: &Path, law: Law) -> Result<Vec<u8>, Failure> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let file = std::fs::read(path).map_err(|error| named(&error))?;
    let wav = Wav::parse(&file).map_err(|error| named(&error))?;
    Ok(in_law(wav, law))
}

/// A WAV file's octets in a law.
pub(crate) fn in_law(wav: Wav, law: Law) -> Vec<u8> {
    match wav {
        Wav::Linear(samples) => samples.into_iter().map(|sample| law.encode(sample)).collect(),
        Wav::Companded(from, octets) => match translate(from, law) {
            Some(table) => octets.into_iter().map(|octet| table[usize::from(octet)]).collect(),
            None => octets,
        },
    }
}
