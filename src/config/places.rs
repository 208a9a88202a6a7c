//! Where addresses and paths stand in the file, for problems that only a start can find.

use std::{ops::Range, sync::Arc};

use super::{
    file::File,
    problem::{Problem, SourceText},
    words,
};

/// A value that only the machine can judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// An entry of `server.listen`, from 0.
    Listen(usize),
    /// `admin.listen`.
    Admin,
}

/// The file's text, and where in it those values stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    source: Arc<SourceText>,
    listen: Vec<Range<usize>>,
    admin: Range<usize>,
}

// === impl Places ===

impl Places {
    pub(super) fn new(source: Arc<SourceText>, file: &File) -> Self {
        // Those that can be read, as in the configuration itself.
        let entries = file.server.listen.value.iter();
        let readable = entries.filter(|entry| words::listen(&entry.value).is_ok());
        Self {
            source,
            listen: readable.map(|entry| entry.span.clone()).collect(),
            admin: file.admin.listen.span.clone(),
        }
    }

    /// A problem with what stands at `place`: what is wrong, why, and the next step.
    pub fn problem(&self, place: Place, what: &str, why: &str, help: &str) -> Problem {
        let (key, span) = match place {
            Place::Listen(index) => ("server.listen", self.listen.get(index)),
            Place::Admin => ("admin.listen", Some(&self.admin)),
        };
        let span = span.cloned().unwrap_or(0..0);
        Problem::found_later(Arc::clone(&self.source), key, span, [what, why, help])
    }
}
