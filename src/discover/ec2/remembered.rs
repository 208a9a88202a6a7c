//! A list that a source can do without, as it was told last.

use crate::discover::{DiscoverError, Dispensable, Lack};

/// What a source remembers of a list that it can do without.
#[derive(Debug)]
pub(super) struct Remembered<T> {
    /// As it was told last.
    pub(super) found: Option<Vec<T>>,
    /// Why it could not be had the last time.
    lack: Option<DiscoverError>,
    /// Whether that was so: then the next look asks again.
    pub(super) failed: bool,
}

/// Nothing yet.
impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self { found: None, lack: None, failed: false }
    }
}

// === impl Remembered ===

impl<T> Remembered<T> {
    /// Takes what was told; a failure keeps what was told before.
    pub(super) fn take(&mut self, told: Result<Vec<T>, DiscoverError>) {
        self.failed = told.is_err();
        match told {
            Ok(found) => (self.found, self.lack) = (Some(found), None),
            Err(error) => self.lack = Some(error),
        }
    }

    /// What the last look went without, told once.
    pub(super) fn lack(&mut self, of: Dispensable) -> Option<Lack> {
        self.lack.take().map(|error| Lack { of, error })
    }
}
