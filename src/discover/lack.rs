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
