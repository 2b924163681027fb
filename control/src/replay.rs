//! The gateway that a journal is of, once more.

use std::fmt;

use crate::config::Config;
use crate::gateway::Gateway;
use crate::journal::{read_beginning, read_line};
use crate::topology::Topology;

/// Makes the gateway whose journal this is. What it says and orders on the way is dropped.
///
/// # Errors
/// If the journal is not whole.
pub fn replay<'a>(
    config: &Config,
    topology: &Topology,
    lines: impl IntoIterator<Item = &'a str>,
) -> Result<Gateway, ReplayError> {
    let mut lines = lines.into_iter();
    let beginning = lines.next().and_then(read_beginning);
    let (seed, epoch, now) = beginning.ok_or(ReplayError::NoBeginning)?;
    let mut gateway = Gateway::new(config, topology, seed, epoch, now);
    let mut octets = Vec::new();
    for (index, line) in lines.enumerate() {
        let error = ReplayError::Line(index + 2);
        let (now, happened) = read_line(line, &mut octets).ok_or(error)?;
        gateway.handle(now, happened);
        gateway.drain();
    }
    Ok(gateway)
}

/// Why a journal cannot be replayed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReplayError {
    /// Its beginning is missing, or it is no journal.
    NoBeginning,
    /// A line, from 1, that cannot be read.
    Line(usize),
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBeginning => f.write_str("the journal's beginning is missing"),
            Self::Line(line) => write!(f, "line {line} of the journal cannot be read"),
        }
    }
}

impl std::error::Error for ReplayError {}
