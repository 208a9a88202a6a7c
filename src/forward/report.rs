//! What is known of each upstream, for people who look.

use std::time::Duration;

use super::{ForwardZone, UpstreamAddress, forwarder::Forwarder, upstream::Upstream};
use crate::{
    base::{Name, ViewName},
    telemetry::UpstreamLack,
};

/// How an upstream does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamReport {
    /// The upstream.
    pub address: UpstreamAddress,
    /// What it is asked for.
    pub asked_for: Vec<AskedFor>,
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

/// Names that an upstream is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedFor {
    /// Of the clients of this view alone, since it says so itself.
    pub view: Option<ViewName>,
    /// This name and all below it; the root stands for what is in no zone.
    pub zone: Name,
}

// === impl Forwarder ===

impl Forwarder {
    /// Every upstream, in the order of the configuration, those of no zone first.
    pub fn upstreams(&self) -> Vec<UpstreamReport> {
        let config = self.config();
        let common = routes(None, Some(&config.upstreams), &config.zones);
        let of_views = config
            .views
            .iter()
            .flat_map(|it| routes(Some(&it.view), it.upstreams.as_deref(), &it.zones));
        let mut reports: Vec<UpstreamReport> = Vec::new();
        for (asked_for, address) in common.chain(of_views) {
            if let Some(known) = reports.iter_mut().find(|it| it.address == *address) {
                known.asked_for.push(asked_for);
            } else if let Some(upstream) =
                self.routes().upstreams().find(|it| it.address == *address)
            {
                reports.push(upstream.report(asked_for));
            }
        }
        reports
    }
}

/// Who is asked for what, by one part of the configuration.
fn routes<'c>(
    view: Option<&'c ViewName>,
    upstreams: Option<&'c [UpstreamAddress]>,
    zones: &'c [ForwardZone],
) -> impl Iterator<Item = (AskedFor, &'c UpstreamAddress)> {
    let rest = upstreams.map(|list| (Name::root(), list));
    let zones = zones.iter().map(|zone| (zone.name.clone(), &zone.upstreams[..]));
    rest.into_iter().chain(zones).flat_map(move |(zone, list)| {
        let asked_for = AskedFor { view: view.cloned(), zone };
        list.iter().map(move |address| (asked_for.clone(), address))
    })
}

// === impl Upstream ===

impl Upstream {
    fn report(&self, asked_for: AskedFor) -> UpstreamReport {
        let standing = self.standing();
        UpstreamReport {
            address: self.address.clone(),
            asked_for: vec![asked_for],
            failing: standing.failing,
            rtt: standing.smoothed,
            lacks: self.metrics.lacking().collect(),
            limited: self.is_limited(),
            trusted: self.trusted,
        }
    }
}
