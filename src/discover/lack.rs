//! What a look that succeeded went without.
//!
//! The endpoints and their addresses are as ever; something beside them could not be had, most
//! often because the role lacks an action that came later.

use std::fmt;

use super::error::DiscoverError;
use crate::base::Chain;

/// One thing that could not be had, and why.
#[derive(Debug)]
pub struct Lack {
    /// What.
    pub of: Dispensable,
    /// Why not.
    pub error: DiscoverError,
}

/// What a look can do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispensable {
    /// The subnets, hence the zones of clients.
    Zones,
    /// The associations, hence the names of Resource and ServiceNetwork endpoints.
    Associations,
}

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

// === impl Lack ===

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = match self.of {
            Dispensable::Zones => "zones",
            Dispensable::Associations => "names of Resource and ServiceNetwork endpoints",
        };
        write!(f, "{of}: {}", Chain(&self.error))
    }
}

// === impl Remembered ===

impl<T> Remembered<T> {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self { found: None, lack: None, failed: false }
    }

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
