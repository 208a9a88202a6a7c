//! Whom to ask for what is not ours, and what to remember of it.

use std::{net::SocketAddr, time::Duration};

use crate::base::Name;

/// `[forward]` and `[cache]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardConfig {
    /// `forward.upstreams`, each with its port. Empty means there is none: such questions get
    /// SERVFAIL with an extended error that says so (the demo's way).
    pub upstreams: Vec<SocketAddr>,
    /// `forward.trusted`: upstreams whose AD bit is passed on. They validate, and the way to them
    /// cannot be tampered with.
    pub trusted: Vec<SocketAddr>,
    /// `[[forward.zone]]`: the longest that holds a name decides.
    pub zones: Vec<ForwardZone>,
    /// `cache.entries`: answers kept at most; 0 keeps none.
    pub cache_entries: u64,
    /// `cache.serve_stale_secs`: how long past its TTL an answer, but no NXDOMAIN, may stand in when
    /// no upstream answers (RFC 8767).
    pub serve_stale: Duration,
}

/// One `[[forward.zone]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardZone {
    /// `name`: this name and all below it.
    pub name: Name,
    /// `upstreams`; empty means that such names are refused.
    pub upstreams: Vec<SocketAddr>,
}

// === impl ForwardConfig ===

impl ForwardConfig {
    /// Every upstream, the zones' included; one that is named twice comes twice.
    pub fn all_upstreams(&self) -> impl Iterator<Item = SocketAddr> {
        let zones = self.zones.iter().flat_map(|zone| &zone.upstreams);
        self.upstreams.iter().chain(zones).copied()
    }
}
