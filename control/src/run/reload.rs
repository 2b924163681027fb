//! Reading the configuration again while the gateway runs, on a thread of its own because a disk may stall.
//!
//! Only what is in service can change. All else holds until the next start, and is said to.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;

use drivers::line::SpanId;
use tracing::{error, info, warn};

use crate::config::{Config, ServiceConfig};

/// Reads the configuration that was read at the start once more; or says what is wrong with it.
pub type Reader = fn(&Path) -> Result<Config, String>;

/// What can be read again.
pub(super) struct Reload {
    file: PathBuf,
    reader: Reader,
    /// What the gateway goes by.
    current: Config,
    waiting: Option<Receiver<Result<Config, String>>>,
}

impl Reload {
    pub(super) fn new(file: PathBuf, reader: Reader, current: Config) -> Self {
        Self { file, reader, current, waiting: None }
    }

    /// Begins to read; `wake` is called when it is done. One that is under way is let be.
    pub(super) fn begin(&mut self, wake: Box<dyn Fn() + Send>) {
        if self.waiting.is_some() {
            return;
        }
        let (result, waiting) = channel();
        let (file, reader) = (self.file.clone(), self.reader);
        let read = move || {
            // Nobody waits for it any longer when the gateway has ended meanwhile.
            let _ = result.send(reader(&file));
            wake();
        };
        match thread::Builder::new().name("reload".to_owned()).spawn(read) {
            Ok(_) => self.waiting = Some(waiting),
            Err(error) => error!(%error, "the configuration cannot be read again"),
        }
    }

    /// The spans whose service has changed, once a new configuration has been read.
    pub(super) fn poll(&mut self) -> Vec<(SpanId, ServiceConfig)> {
        let Some(waiting) = &self.waiting else { return Vec::new() };
        let read = match waiting.try_recv() {
            Err(TryRecvError::Empty) => return Vec::new(),
            Err(TryRecvError::Disconnected) => Err("its thread has panicked".to_owned()),
            Ok(read) => read,
        };
        self.waiting = None;
        match read {
            Ok(config) => self.take(config),
            Err(reason) => {
                reason.lines().for_each(|line| error!("{line}"));
                error!("nothing is changed");
                Vec::new()
            }
        }
    }

    fn take(&mut self, mut new: Config) -> Vec<(SpanId, ServiceConfig)> {
        if new.spans.len() != self.current.spans.len() {
            error!("there is another number of spans; nothing is changed before the next start");
            return Vec::new();
        }
        let mut changes = Vec::new();
        for (index, (current, new)) in self.current.spans.iter_mut().zip(&mut new.spans).enumerate() {
            if current.service != new.service {
                current.service = new.service.clone();
                let span = SpanId(u16::try_from(index).expect("the configuration bounds the spans"));
                changes.push((span, new.service.clone()));
            }
        }
        // The addresses have the ports that the kernel chose.
        new.mgcp.listen.clone_from(&self.current.mgcp.listen);
        if new != self.current {
            warn!("other settings than service and out_of_service hold from the next start");
        }
        info!(spans = changes.len(), "the configuration was read again");
        changes
    }
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reload").field("file", &self.file).finish_non_exhaustive()
    }
}
