//! The addresses that are down, as others see them.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

/// Addresses that do not answer probes. Cheap to clone; equal when it holds the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unhealthy(Arc<BTreeSet<IpAddr>>);

// === impl Unhealthy ===

impl Unhealthy {
    /// Whether the address is down. One that was never probed is not.
    pub fn contains(&self, ip: &IpAddr) -> bool {
        self.0.contains(ip)
    }

    /// Whether all that is known answers.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many are down.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Each that is down, in order.
    pub fn iter(&self) -> impl Iterator<Item = &IpAddr> {
        self.0.iter()
    }
}

impl FromIterator<IpAddr> for Unhealthy {
    fn from_iter<I: IntoIterator<Item = IpAddr>>(down: I) -> Self {
        Self(Arc::new(down.into_iter().collect()))
    }
}
