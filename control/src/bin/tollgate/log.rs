//! The log: a line an event, on standard error.
//!
//! A thread of its own writes it, for whoever reads it may stall (a pipe, a disk, a terminal that scrolls no
//! more) and nobody who logs is to wait for that: calls are. What finds no room is dropped, and how many
//! lines that were is told where they are missing. A reader that is gone takes nothing with it.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use crate::Failure;

/// Lines that can wait at a time: what a start or a stop with thousands of endpoints logs at once.
const QUEUE: usize = 4_096;

/// How long the end waits for what is still to be written.
const PATIENCE: Duration = Duration::from_millis(500);

/// The log while it is kept; what waits is written when this is dropped, if whoever reads it takes it.
pub(crate) struct Log(Lines);

/// What an event is written to.
#[derive(Clone, Debug)]
struct Lines {
    queue: SyncSender<Entry>,
    /// Lines that found no room, and have not been told of yet.
    dropped: Arc<AtomicU64>,
}

/// What waits to be written.
#[derive(Debug)]
enum Entry {
    Line(Vec<u8>),
    /// Whoever waits for the lines before this is told that they are written.
    Mark(SyncSender<()>),
}

impl Log {
    /// Logs what is at least as grave as `level`, or what RUST_LOG says, from now on.
    ///
    /// To be called after signals are kept from threads.
    ///
    /// # Errors
    /// That there is no thread for it.
    pub(crate) fn start(level: LevelFilter) -> Result<Self, Failure> {
        let filter = EnvFilter::builder().with_default_directive(level.into()).from_env_lossy();
        let is_terminal = io::IsTerminal::is_terminal(&io::stderr());
        // no-color.org: set, and not empty.
        let wants_plain =
            std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) || crate::is_dumb();
        let (lines, waiting) = lines();
        let dropped = Arc::clone(&lines.dropped);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_all(&waiting, &dropped, &mut io::stderr()))
            .map_err(|error| format!("the host refuses what the log needs: {error}"))?;
        let log = Self(lines.clone());
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(move || lines.clone())
            .with_target(false)
            .with_ansi(is_terminal && !wants_plain)
            .log_internal_errors(false)
            .init();
        Ok(log)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let (mark, written) = sync_channel(1);
        if self.0.queue.try_send(Entry::Mark(mark)).is_ok() {
            let _ = written.recv_timeout(PATIENCE);
        }
    }
}

impl Write for Lines {
    /// Takes an event, which comes whole.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.queue.try_send(Entry::Line(line.to_vec())).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lines() -> (Lines, Receiver<Entry>) {
    let (queue, waiting) = sync_channel(QUEUE);
    (Lines { queue, dropped: Arc::default() }, waiting)
}

/// Writes lines as long as any can come. One that cannot be written is nobody's business.
fn write_all(waiting: &Receiver<Entry>, dropped: &AtomicU64, out: &mut impl Write) {
    for entry in waiting {
        match entry {
            Entry::Line(line) => drop(out.write_all(&line)),
            Entry::Mark(mark) => drop(mark.try_send(())),
        }
        let dropped = dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let lines = crate::counted(dropped as usize, "line");
            let _ = writeln!(out, "{lines} of the log dropped: they were written too slowly");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a reader gets that takes it up after so many lines.
    fn written(count: usize) -> String {
        let (mut log, waiting) = lines();
        for n in 0..count {
            let line = format!("{n}\n");
            assert_eq!(log.write(line.as_bytes()).expect("nobody waits"), line.len());
        }
        let dropped = Arc::clone(&log.dropped);
        drop(log);
        let mut out = Vec::new();
        write_all(&waiting, &dropped, &mut out);
        String::from_utf8(out).expect("lines of text")
    }

    #[test]
    fn lines_are_written_in_their_order() {
        assert_eq!(written(3), "0\n1\n2\n");
    }

    #[test]
    fn what_finds_no_room_is_told_and_keeps_nobody_waiting() {
        let all = written(QUEUE + 7);
        assert!(all.contains("7 lines of the log dropped"));
        assert_eq!(all.lines().count(), QUEUE + 1);
    }

    #[test]
    fn a_reader_that_is_gone_ends_nothing() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (mut log, waiting) = lines();
        let (mark, written) = sync_channel(1);
        log.write_all(b"one\n").expect("nobody waits");
        log.queue.try_send(Entry::Mark(mark)).expect("there is room");
        let dropped = Arc::clone(&log.dropped);
        drop(log);
        write_all(&waiting, &dropped, &mut Gone);
        assert_eq!(written.try_recv(), Ok(()), "it goes on behind a line that nobody reads");
    }
}
