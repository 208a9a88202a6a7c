//! Who writes what was told of queries: a thread that may wait for a disk as long as it likes.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{FileTypeExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use nix::unistd::{AccessFlags, access};

#[cfg(feature = "otlp")]
use super::collector::Spans;
use super::{
    line::{Clocks, Entry, Second},
    queue::{Entrance, Exit, Found, LOOK, queue},
    stream::Frames,
};
use crate::telemetry::{Metrics, Output, Untold, seldom};

/// Octets that are written at once.
const CHUNK: usize = 64 * 1024;
/// Names are nobody's but the operator's and who may read his logs.
const MODE: u32 = 0o640;

/// Why there is nothing to write to.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file.
    #[error("the query log {path} cannot be opened for appending")]
    File {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Its path names a pipe, a socket or a device.
    #[error("the query log {0} is no file")]
    NoFile(PathBuf),
}

/// Takes records out of a queue and writes them. Wants a thread of its own.
pub enum Outlet {
    /// Lines of the query log.
    Lines(Lines),
    /// Frames of dnstap.
    Frames(Frames),
    /// Spans for a collector.
    #[cfg(feature = "otlp")]
    Spans(Spans),
}

/// What an outlet does on a thread of its own.
pub type Writes = dyn FnOnce(&dyn Fn() -> bool) + Send;

/// Writes the query log.
pub struct Lines {
    exit: Exit<Entry>,
    to: Box<dyn Write + Send>,
    /// The last line is not whole: the next begins on one of its own.
    torn: bool,
}

// === impl Outlet ===

impl Outlet {
    /// One that appends lines to a file; without one, to standard output.
    pub(super) fn lines(
        file: Option<&Path>,
        metrics: &Arc<Metrics>,
    ) -> Result<(Entrance<Entry>, Self), OpenError> {
        let to: Box<dyn Write + Send> = match file {
            Some(path) => Box::new(open(path)?),
            None => Box::new(io::stdout()),
        };
        let (entrance, exit) = queue(Output::Log, metrics);
        Ok((entrance, Self::Lines(Lines { exit, to, torn: false })))
    }

    /// Listens from now on, and gives what writes until nobody is left who could tell it anything, or
    /// what it asks says that it is ending and all is written. `wall` tells the time since 1970.
    pub fn begin(self, wall: fn() -> Duration) -> Box<Writes> {
        match self {
            Outlet::Lines(lines) => Box::new(move |is_ending| lines.run(wall, is_ending)),
            Outlet::Frames(frames) => Box::new(move |is_ending| frames.run(wall, is_ending)),
            #[cfg(feature = "otlp")]
            Outlet::Spans(spans) => {
                // Here, not on its own thread: what is told before that comes would be lost.
                let works = spans.metrics.spans.open();
                Box::new(move |is_ending| spans.run(&works, wall, is_ending))
            }
        }
    }
}

// === impl Lines ===

impl Lines {
    fn run(mut self, wall: fn() -> Duration, is_ending: &dyn Fn() -> bool) {
        let (mut text, mut second) = (Vec::with_capacity(2 * CHUNK), Second::default());
        loop {
            let ending = is_ending();
            let clocks = Clocks::new(Instant::now(), wall());
            match self.turn(clocks, &mut second, &mut text) {
                Found::One(()) => (),
                Found::Nothing if ending => return,
                Found::Nothing => thread::sleep(LOOK),
                Found::Closed => return,
            }
        }
    }

    /// Writes what there is, up to a chunk.
    fn turn(&mut self, clocks: Clocks, second: &mut Second, text: &mut Vec<u8>) -> Found<()> {
        text.clear();
        if self.torn {
            text.push(b'\n');
        }
        let mut lines = 0;
        while text.len() < CHUNK {
            let entry = match self.exit.next() {
                Found::One(entry) => entry,
                Found::Nothing if lines == 0 => return Found::Nothing,
                Found::Closed if lines == 0 => return Found::Closed,
                Found::Nothing | Found::Closed => break,
            };
            // Writing to memory what is text and numbers does not fail.
            if entry.write(clocks, second, text).is_ok() {
                lines += 1;
            }
        }
        self.put(text, lines);
        Found::One(())
    }

    /// Writes so many lines, and counts them.
    fn put(&mut self, text: &[u8], lines: u64) {
        let (written, outcome) = write(&mut *self.to, text);
        if let Some(last) = text.get(..written).and_then(<[u8]>::last) {
            self.torn = *last != b'\n';
        }
        match outcome {
            Ok(()) => self.exit.told(lines),
            Err(error) => {
                self.exit.untold(Untold::Write, lines);
                seldom!(warn, lines, %error, "lines of the query log cannot be written");
            }
        }
    }
}

/// Writes all of it, or as much as is taken; tells how much that was.
fn write(to: &mut dyn Write, text: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while let Some(rest) = text.get(written..).filter(|rest| !rest.is_empty()) {
        match to.write(rest) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(taken) => written += taken,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            Err(error) => return (written, Err(error)),
        }
    }
    (written, to.flush())
}

/// Opens a file for appending, and makes it if there is none.
fn open(path: &Path) -> Result<File, OpenError> {
    is_there(path)?;
    let file = OpenOptions::new().append(true).create(true).mode(MODE).open(path);
    file.map_err(|source| failed(path, source))
}

/// Whether that would be done, without making a file.
pub(super) fn try_open(path: &Path) -> Result<(), OpenError> {
    let tried = match (is_there(path)?, path.parent()) {
        (false, Some(folder)) => {
            access(folder, AccessFlags::W_OK | AccessFlags::X_OK).map_err(io::Error::from)
        }
        (true, _) | (false, None) => OpenOptions::new().append(true).open(path).map(drop),
    };
    tried.map_err(|source| failed(path, source))
}

/// Whether there is a file already. Not one that another end has to be opened of first: that could take
/// for ever.
fn is_there(path: &Path) -> Result<bool, OpenError> {
    match path.metadata() {
        Ok(known) => {
            let kind = known.file_type();
            if kind.is_fifo() || kind.is_socket() || kind.is_block_device() {
                return Err(OpenError::NoFile(path.to_owned()));
            }
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed(path, error)),
    }
}

fn failed(path: &Path, source: io::Error) -> OpenError {
    OpenError::File { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use super::{Lines, Write, queue};
    use crate::telemetry::{Metrics, Output};

    /// What was written, and how much more there is room for.
    #[derive(Clone)]
    struct Disk(Arc<Mutex<(Vec<u8>, usize)>>);

    impl Write for Disk {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            let (text, room) = &mut *self.0.lock().unwrap();
            let taken = octets.len().min(*room);
            if taken == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            *room -= taken;
            text.extend_from_slice(&octets[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What stands on a disk that has room for so many octets of each chunk, after all of these.
    fn written(chunks: &[(&str, usize)]) -> String {
        let disk = Disk(Arc::default());
        let (_entrance, exit) = queue(Output::Log, &Arc::new(Metrics::new().unwrap()));
        let mut lines = Lines { exit, to: Box::new(disk.clone()), torn: false };
        for (chunk, room) in chunks {
            disk.0.lock().unwrap().1 = *room;
            let torn = if lines.torn { "\n" } else { "" };
            lines.put(format!("{torn}{chunk}").as_bytes(), 1);
        }
        let (text, _) = &*disk.0.lock().unwrap();
        String::from_utf8_lossy(text).into_owned()
    }

    #[test]
    fn a_line_that_was_cut_ends_and_one_that_was_not_begun_leaves_no_empty_one() {
        let all = usize::MAX;
        assert_eq!(written(&[("{1}\n", all), ("{2}\n", 0), ("{3}\n", all)]), "{1}\n{3}\n");
        assert_eq!(written(&[("{1}\n", 2), ("{2}\n", all)]), "{1\n{2}\n");
        assert_eq!(written(&[("{1}\n", 2), ("{2}\n", 0), ("{3}\n", all)]), "{1\n{3}\n");
        assert_eq!(written(&[("{1}\n{2}\n", 4), ("{3}\n", all)]), "{1}\n{3}\n");
    }
}
