//! The addresses that are down, as others see them, and those that come and go.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

/// Addresses that do not answer probes. Cheap to clone; equal when it holds the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unhealthy {
    down: Arc<BTreeSet<IpAddr>>,
    unheard: Arc<BTreeSet<IpAddr>>,
    flapping: Arc<BTreeMap<IpAddr, u8>>,
}

// === impl Unhealthy ===

impl Unhealthy {
    /// Those that are down, which of them have never answered, and those that flap, with the changes
    /// that count still.
    pub(super) fn new(
        down: BTreeSet<IpAddr>,
        unheard: BTreeSet<IpAddr>,
        flapping: BTreeMap<IpAddr, u8>,
    ) -> Self {
        Self { down: Arc::new(down), unheard: Arc::new(unheard), flapping: Arc::new(flapping) }
    }

    /// Whether the address is down. One that was never probed is not.
    pub fn contains(&self, ip: &IpAddr) -> bool {
        self.down.contains(ip)
    }

    /// Whether the address is down and has never answered since it is probed.
    pub fn is_unheard(&self, ip: &IpAddr) -> bool {
        self.unheard.contains(ip)
    }

    /// Whether all that is known answers.
    pub fn is_empty(&self) -> bool {
        self.down.is_empty()
    }

    /// How many are down.
    pub fn len(&self) -> usize {
        self.down.len()
    }

    /// Each that is down, in order.
    pub fn iter(&self) -> impl Iterator<Item = &IpAddr> {
        self.down.iter()
    }

    /// Each that flaps, be it up or down now, with its changes that count still.
    pub fn flapping(&self) -> &BTreeMap<IpAddr, u8> {
        &self.flapping
    }
}

impl FromIterator<IpAddr> for Unhealthy {
    /// Those that are down, and have answered before.
    fn from_iter<I: IntoIterator<Item = IpAddr>>(down: I) -> Self {
        Self::new(down.into_iter().collect(), BTreeSet::new(), BTreeMap::new())
    }
}
