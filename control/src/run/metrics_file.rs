//! The file of the counters, written on a thread of its own because a disk may stall.
//!
//! Each text is written beside the file and takes its name then: nobody ever reads half of one.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use drivers::time::Instant;
use tracing::error;

use super::BindError;
use crate::config::MetricsConfig;

/// The file, and when it is written next.
pub(super) struct MetricsFile {
    texts: SyncSender<String>,
    period: Duration,
    due: Instant,
}

impl MetricsFile {
    /// Starts the thread, having seen that the file can be made. `None` if no file is wanted.
    pub(super) fn start(config: &MetricsConfig, now: Instant) -> Result<Option<Self>, BindError> {
        let Some(path) = config.file.clone() else { return Ok(None) };
        let failed = |error| BindError::metrics(&path, error);
        File::create(beside(&path)).map_err(failed)?;
        // One that waits is enough: the next is newer.
        let (texts, waiting) = sync_channel::<String>(1);
        let write = {
            let path = path.clone();
            move || {
                let mut is_refused = false;
                for text in waiting {
                    let written = replace(&path, &text);
                    if let (Err(error), false) = (&written, is_refused) {
                        error!(file = %path.display(), %error, "the counters cannot be written");
                    }
                    is_refused = written.is_err();
                }
            }
        };
        thread::Builder::new().name("metrics".to_owned()).spawn(write).map_err(failed)?;
        Ok(Some(Self { texts, period: config.period, due: now }))
    }

    /// When it is to be written next.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Has a text written; whether the one before has left the queue.
    pub(super) fn write(&mut self, now: Instant, text: String) -> bool {
        self.due = now + self.period;
        self.texts.try_send(text).is_ok()
    }
}

/// Puts a new file in the place of one, or of none.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    std::fs::write(beside(path), text)?;
    std::fs::rename(beside(path), path)
}

fn beside(path: &Path) -> PathBuf {
    path.with_added_extension("new")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_text_takes_the_place_of_the_one_before() {
        let path = std::env::temp_dir().join(format!("tollgate-metrics-{}.prom", std::process::id()));
        replace(&path, "one\n").unwrap();
        replace(&path, "two\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two\n");
        assert!(!beside(&path).exists());
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_made_is_named_at_the_start() {
        let config =
            MetricsConfig { file: Some("/nowhere/tollgate.prom".into()), ..MetricsConfig::default() };
        let error = MetricsFile::start(&config, Instant::ZERO).map(drop).unwrap_err();
        assert!(error.to_string().contains("/nowhere/tollgate.prom"), "{error}");
    }
}
