//! The journal's file, written on a thread of its own because a disk may stall.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use tracing::error;

use super::BindError;

/// Writes that can wait at a time.
const QUEUE: usize = 4_096;

/// An open journal file. What was written is on its way to the disk when this is dropped.
pub(super) struct JournalFile {
    lines: Option<SyncSender<String>>,
    thread: Option<JoinHandle<()>>,
}

impl JournalFile {
    /// Makes the file and starts the thread. The journal of the run before is kept beside it, with
    /// `.before` behind its name: who looks at why a gateway has died finds it already started again.
    pub(super) fn create(path: &Path) -> Result<Self, BindError> {
        let failed = |error| BindError::journal(path, error);
        // A device or a pipe is no journal to be kept.
        if path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0) {
            let mut before = path.as_os_str().to_owned();
            before.push(".before");
            std::fs::rename(path, before).map_err(failed)?;
        }
        let mut file = BufWriter::new(File::create(path).map_err(failed)?);
        let (lines, waiting) = sync_channel::<String>(QUEUE);
        let shown = path.display().to_string();
        let write = move || {
            for text in waiting {
                if let Err(error) = file.write_all(text.as_bytes()).and_then(|()| file.flush()) {
                    error!(file = shown, %error, "the journal cannot be written and ends here");
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("journal".to_owned()).spawn(write).map_err(failed)?;
        Ok(Self { lines: Some(lines), thread: Some(thread) })
    }

    /// Writes lines; `false` if too much waits and they are dropped.
    pub(super) fn write(&mut self, lines: String) -> bool {
        self.lines.as_ref().is_some_and(|queue| queue.try_send(lines).is_ok())
    }
}

impl Drop for JournalFile {
    fn drop(&mut self) {
        // Without a sender the thread writes what waits, and ends.
        self.lines = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the journal's thread has panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_in_the_file_and_is_kept_over_one_restart() {
        let path = std::env::temp_dir().join(format!("tollgate-journal-{}", std::process::id()));
        let mut journal = JournalFile::create(&path).unwrap();
        assert!(journal.write("one\n".to_owned()));
        assert!(journal.write("two\n".to_owned()));
        drop(journal);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        drop(JournalFile::create(&path).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
        let before = path.with_added_extension("before");
        assert_eq!(std::fs::read_to_string(&before).unwrap(), "one\ntwo\n");
        std::fs::remove_file(&path).unwrap();
        std::fs::remove_file(&before).unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_made_is_named() {
        let error = JournalFile::create(Path::new("/nowhere/journal")).map(drop).unwrap_err();
        assert!(error.to_string().contains("/nowhere/journal"), "{error}");
    }
}
