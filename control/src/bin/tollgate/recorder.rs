//! Writes what far ends hear to WAV files, on a thread of its own: a disk may stall.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use drivers::line::Law;
use drivers::span::sim::Recording;
use drivers::wav::Wav;
use tracing::error;

use crate::Failure;

/// A recording and the file that it goes to.
pub(crate) struct RecordTo {
    /// The file.
    pub(crate) path: PathBuf,
    /// The law of the octets.
    pub(crate) law: Law,
    /// What is heard.
    pub(crate) recording: Arc<Recording>,
}

/// How often the files are brought up to date.
const PERIOD: Duration = Duration::from_millis(500);

/// The thread that writes the files.
pub(crate) struct Recorder {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Recorder {
    /// Makes all files and starts the thread.
    ///
    /// # Errors
    /// The file that cannot be made, by name.
    pub(crate) fn start(recordings: Vec<RecordTo>) -> Result<Self, Failure> {
        let mut files = Vec::new();
        for RecordTo { path, law, recording } in recordings {
            let file = WavFile::create(path, law)?;
            files.push((file, recording, 0));
        }
        let (stop, stopped) = channel();
        let thread = thread::Builder::new().name("recorder".to_owned()).spawn(move || {
            while stopped.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                write(&mut files);
            }
            write(&mut files);
            for (file, ..) in files {
                // What is missing was logged when the disk refused it.
                let _ = file.finish();
            }
        })?;
        Ok(Self { stop, thread })
    }

    /// Writes the rest and ends the files.
    pub(crate) fn stop(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            error!("the recorder has panicked");
        }
    }
}

fn write(files: &mut [(WavFile, Arc<Recording>, usize)]) {
    for (file, recording, written) in files {
        match recording.octets_from(*written) {
            Some(octets) => {
                *written += octets.len();
                file.append(&octets);
            }
            None => {
                error!(file = %file.path.display(), "the disk is too slow: some of what was heard is not in the file");
                *written = recording.len();
            }
        }
    }
}

/// A companded WAV file that grows.
pub(crate) struct WavFile {
    path: PathBuf,
    law: Law,
    octets: u32,
    /// `None` once the disk has refused something.
    file: Option<BufWriter<File>>,
}

impl WavFile {
    /// Makes the file, or empties it.
    ///
    /// # Errors
    /// What the file system says, with the file's name.
    pub(crate) fn create(path: PathBuf, law: Law) -> Result<Self, Failure> {
        let make = || -> io::Result<_> {
            let mut file = BufWriter::new(File::create(&path)?);
            file.write_all(&Wav::companded_header(law, 0))?;
            Ok(file)
        };
        match make() {
            Ok(file) => Ok(Self { path, law, octets: 0, file: Some(file) }),
            Err(error) => Err(format!("cannot write {}: {error}", path.display()).into()),
        }
    }

    /// Appends octets.
    pub(crate) fn append(&mut self, octets: &[u8]) {
        self.octets = self.octets.saturating_add(octets.len() as u32);
        self.write(|file| file.write_all(octets));
    }

    /// Puts its length where it belongs, and closes it. Says whether all of it is in the file.
    #[must_use]
    pub(crate) fn finish(mut self) -> bool {
        let header = Wav::companded_header(self.law, self.octets);
        let padding = &[0][..(self.octets % 2) as usize];
        self.write(|file| {
            file.write_all(padding)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&header)?;
            file.flush()
        });
        self.file.is_some()
    }

    fn write(&mut self, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) {
        if let Some(file) = &mut self.file
            && let Err(error) = write(file)
        {
            error!(file = %self.path.display(), %error, "the recording ends here");
            self.file = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_grew_is_the_file_that_was_written_at_once() {
        let path = std::env::temp_dir().join(format!("tollgate-wav-{}.wav", std::process::id()));
        let mut file = WavFile::create(path.clone(), Law::A).unwrap();
        file.append(&[1, 2, 3]);
        file.append(&[4, 5]);
        assert!(file.finish());
        let written = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(written, Wav::Companded(Law::A, vec![1, 2, 3, 4, 5]).emit());
    }

    #[test]
    fn a_file_on_a_full_disk_is_not_whole() {
        let mut file = WavFile::create("/dev/full".into(), Law::A).unwrap();
        file.append(&[1; 100_000]);
        assert!(!file.finish());
    }
}
