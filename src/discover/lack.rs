//! What a look that succeeded went without.
//!
//! The endpoints and their addresses are as ever; something beside them could not be had, most
//! often because the role lacks an action that came later.

use std::{fmt, sync::Arc};

use super::error::DiscoverError;
use crate::base::{Chain, Region};

/// One thing that could not be had, and why.
#[derive(Debug)]
pub struct Lack {
    /// What.
    pub of: Dispensable,
    /// Why not, when it was asked for last.
    pub error: Arc<DiscoverError>,
    /// Whether this look asked, and not one before it.
    pub asked: bool,
}

/// What a look can do without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dispensable {
    /// The subnets, hence the zones of clients.
    Zones,
    /// The associations, hence the names of Resource and ServiceNetwork endpoints.
    Associations,
    /// The services of this other region, hence the names of endpoints that lead to them.
    Services(Region),
}

// === impl Lack ===

impl Lack {
    pub(super) fn new(of: Dispensable, error: DiscoverError) -> Self {
        Self { of, error: Arc::new(error), asked: true }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.of {
            Dispensable::Zones => f.write_str("zones"),
            Dispensable::Associations => {
                f.write_str("names of Resource and ServiceNetwork endpoints")
            }
            Dispensable::Services(region) => write!(f, "names of services in {region}"),
        }?;
        // Its own region's services it may ask for, else the source had failed.
        if let (Dispensable::Services(region), Some(_)) = (&self.of, self.error.permission()) {
            write!(f, " (does an SCP, or a condition of the role's policy, deny {region}?)")?;
        }
        write!(f, ": {}", Chain(&*self.error))
    }
}
