//! What is known of each upstream, for people who look.

use std::{sync::Arc, time::Duration};

use super::{UpstreamAddress, forwarder::Forwarder, upstream::Upstream};
use crate::{base::Name, telemetry::UpstreamLack};

/// How an upstream does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamReport {
    /// The upstream.
    pub address: UpstreamAddress,
    /// What it is asked for; the root stands for what is in no zone.
    pub zones: Vec<Name>,
    /// Whether it has not answered the last few questions, so that others are asked first.
    pub failing: bool,
    /// How soon it answers, smoothed; nothing before its first answer.
    pub rtt: Option<Duration>,
    /// What it is asked without.
    pub lacks: Vec<UpstreamLack>,
    /// Whether AWS limits packets to it.
    pub limited: bool,
    /// Whether its AD bit is passed on.
    pub trusted: bool,
}

// === impl Forwarder ===

impl Forwarder {
    /// Every upstream, in the order of the configuration, those of no zone first.
    pub fn upstreams(&self) -> Vec<UpstreamReport> {
        let config = self.config();
        let zones = config.zones.iter().map(|zone| (zone.name.clone(), &zone.upstreams));
        let routes = [(Name::root(), &config.upstreams)].into_iter().chain(zones);
        let mut reports: Vec<UpstreamReport> = Vec::new();
        for (zone, address) in
            routes.flat_map(|(zone, list)| list.iter().map(move |it| (zone.clone(), it)))
        {
            if let Some(known) = reports.iter_mut().find(|it| it.address == *address) {
                known.zones.push(zone);
            } else if let Some(upstream) =
                self.routes().upstreams().find(|it| it.address == *address)
            {
                reports.push(upstream.report(zone));
            }
        }
        reports
    }
}

impl Upstream {
    fn report(self: &Arc<Self>, zone: Name) -> UpstreamReport {
        let standing = self.standing();
        UpstreamReport {
            address: self.address.clone(),
            zones: vec![zone],
            failing: standing.failing,
            rtt: standing.smoothed,
            lacks: self.metrics.lacking().collect(),
            limited: self.is_limited(),
            trusted: self.trusted,
        }
    }
}
