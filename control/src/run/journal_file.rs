//! The journal's file, written on a thread of its own because a disk may stall.
//!
//! It never takes more of the disk than it may: when it is half of that long, it is kept beside it with `.1`
//! behind its name, in place of the one that was kept so before, and begun anew.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tracing::error;

use super::BindError;

/// Writes that can wait at a time.
const QUEUE: usize = 4_096;

/// How long the end waits for a disk to take what is still to be written.
const PATIENCE: Duration = Duration::from_millis(500);

/// An open journal file. What was written is on its way to the disk when this is dropped, unless the disk
/// has stalled: a gateway that is told to end ends all the same.
pub(super) struct JournalFile {
    lines: Option<SyncSender<String>>,
    /// Nothing ever comes here: it is closed when the thread ends.
    ended: Receiver<()>,
}

impl JournalFile {
    /// Makes the file and starts the thread. The journal of the run before is kept beside it, with
    /// `.before` behind its name: who looks at why a gateway has died finds it already started again.
    /// All its parts take `octets_max` of the disk at most, but for a line.
    pub(super) fn create(path: &Path, octets_max: u64) -> Result<Self, BindError> {
        let failed = |error| BindError::journal(path, error);
        let older = beside(path, "1");
        // A device or a pipe is no journal to be kept.
        if path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0) {
            std::fs::rename(path, beside(path, "before")).map_err(failed)?;
            if older.exists() {
                std::fs::rename(&older, beside(&older, "before")).map_err(failed)?;
            }
        }
        let mut part = Part { file: open(path).map_err(failed)?, octets: 0 };
        let (lines, waiting) = sync_channel::<String>(QUEUE);
        let current = path.to_owned();
        let (end, ended) = sync_channel(0);
        let write = move || {
            let _end: SyncSender<()> = end;
            for text in waiting {
                let written = part.turn(&current, &older, octets_max / 2).and_then(|()| part.write(&text));
                if let Err(error) = written {
                    error!(file = %current.display(), %error, "the journal cannot be written and ends here");
                    return;
                }
            }
        };
        thread::Builder::new().name("journal".to_owned()).spawn(write).map_err(failed)?;
        Ok(Self { lines: Some(lines), ended })
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
        if self.ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            error!("the disk has stalled: the end of the journal is not in its file");
        }
    }
}

/// The part that is being written.
struct Part {
    file: BufWriter<File>,
    octets: u64,
}

impl Part {
    fn write(&mut self, text: &str) -> io::Result<()> {
        self.octets += text.len() as u64;
        self.file.write_all(text.as_bytes())?;
        self.file.flush()
    }

    /// Begins the next part if this one is long enough.
    fn turn(&mut self, path: &Path, older: &Path, octets_max: u64) -> io::Result<()> {
        if self.octets < octets_max || !path.is_file() {
            return Ok(());
        }
        std::fs::rename(path, older)?;
        *self = Self { file: open(path)?, octets: 0 };
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<BufWriter<File>> {
    File::create(path).map(BufWriter::new)
}

/// A name with something behind it.
fn beside(path: &Path, what: &str) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".");
    beside.push(what);
    beside.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_in_the_file_and_is_kept_over_one_restart() {
        let path = std::env::temp_dir().join(format!("tollgate-journal-{}", std::process::id()));
        let mut journal = JournalFile::create(&path, 1 << 20).unwrap();
        assert!(journal.write("one\n".to_owned()));
        assert!(journal.write("two\n".to_owned()));
        drop(journal);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        drop(JournalFile::create(&path, 1 << 20).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
        let before = path.with_added_extension("before");
        assert_eq!(std::fs::read_to_string(&before).unwrap(), "one\ntwo\n");
        std::fs::remove_file(&path).unwrap();
        std::fs::remove_file(&before).unwrap();
    }

    #[test]
    fn a_disk_that_has_stalled_holds_up_no_end() {
        let path = std::env::temp_dir().join(format!("tollgate-journal-stalled-{}", std::process::id()));
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        // It is open, and nobody reads.
        let _reader = File::options().read(true).write(true).open(&path).unwrap();
        let mut journal = JournalFile::create(&path, 1 << 20).unwrap();
        assert!(journal.write("x".repeat(1 << 20)));
        drop(journal);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_made_is_named() {
        let error = JournalFile::create(Path::new("/nowhere/journal"), 1 << 20).map(drop).unwrap_err();
        assert!(error.to_string().contains("/nowhere/journal"), "{error}");
    }

    #[test]
    fn it_takes_no_more_of_the_disk_than_it_may() {
        let folder = std::env::temp_dir().join(format!("tollgate-journal-ring-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("journal");
        let mut journal = JournalFile::create(&path, 1_000).unwrap();
        for n in 0..1_000 {
            // The thread has to keep up with the queue.
            while !journal.write(format!("{n:09}\n")) {
                thread::yield_now();
            }
        }
        drop(journal);
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        let kept = read(&beside(&path, "1")) + &read(&path);
        assert!((500..=1_000).contains(&kept.len()), "{}", kept.len());
        assert!(kept.ends_with("000000999\n"));
        let first: usize = kept.lines().next().unwrap().parse().unwrap();
        assert_eq!(kept.lines().count(), 1_000 - first, "without a gap");
        drop(JournalFile::create(&path, 1_000).unwrap());
        assert_eq!(read(&beside(&path, "1.before")) + &read(&beside(&path, "before")), kept);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
