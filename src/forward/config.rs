//! Whom to ask for what is not ours, and what to remember of it.

use std::{path::PathBuf, time::Duration};

use super::address::UpstreamAddress;
use crate::base::{Name, TtlBounds, ViewName};

/// `[forward]` and `[cache]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardConfig {
    /// `forward.upstreams`, each with its port. Empty means there is none: such questions get
    /// SERVFAIL with an extended error that says so (the demo's way).
    pub upstreams: Vec<UpstreamAddress>,
    /// `forward.trusted`: upstreams whose AD bit is passed on. They validate, and the way to them
    /// cannot be tampered with.
    pub trusted: Vec<UpstreamAddress>,
    /// `forward.ca_file`: the authorities whose certificates upstreams by TLS may have. Without,
    /// the system's.
    pub ca_file: Option<PathBuf>,
    /// `case_randomization`.
    pub case_randomization: CaseRandomization,
    /// `[forward.budget]`: packets to upstreams that AWS limits.
    pub budget: BudgetConfig,
    /// `[[forward.zone]]`: the longest that holds a name decides.
    pub zones: Vec<ForwardZone>,
    /// `[view.forward]` of the views that have one.
    pub views: Vec<ViewForward>,
    /// `[cache]`: what is remembered of their answers.
    pub cache: CacheConfig,
}

/// Whether names are sent in random case (0x20), which forgers then have to guess as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaseRandomization {
    /// To upstreams that keep it, and are not on the link.
    Auto,
    /// To none.
    Off,
}

/// `[forward.budget]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetConfig {
    /// `packets_per_second`: more are not sent.
    pub packets: u32,
    /// `soft_packets_per_second`: from here on packets are spared.
    pub soft_packets: u32,
    /// `upstreams`: those that it is for, if the configuration names them.
    pub upstreams: Option<Vec<UpstreamAddress>>,
}

/// `[cache]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheConfig {
    /// `entries`: answers kept at most; 0 keeps none.
    pub entries: u64,
    /// `memory_mib`, in octets: what all kept answers may take. Whichever limit is reached first
    /// counts.
    pub bytes: u64,
    /// `ttl_min_secs`, `ttl_max_secs` and `negative_ttl_max_secs`.
    pub ttls: TtlBounds,
    /// `prefetch`: names that are asked for often are asked for again before their time is over.
    pub prefetch: bool,
    /// `serve_stale_secs`: how long past its TTL an answer, but no NXDOMAIN, may stand in when no
    /// upstream answers (RFC 8767).
    pub serve_stale: Duration,
}

/// One `[[forward.zone]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardZone {
    /// `name`: this name and all below it.
    pub name: Name,
    /// `upstreams`; empty means that such names are refused.
    pub upstreams: Vec<UpstreamAddress>,
}

/// One `[view.forward]`. What it does not say it inherits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewForward {
    /// The view.
    pub view: ViewName,
    /// `upstreams`, in place of `forward.upstreams`; `None` inherits these. Empty means none.
    pub upstreams: Option<Vec<UpstreamAddress>>,
    /// `[[view.forward.zone]]`: added to `[[forward.zone]]`, and in place of one of the same name.
    pub zones: Vec<ForwardZone>,
}

/// Who is asked for a name of a view's client, and what of the configuration says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way<'c> {
    /// Empty means nobody.
    pub upstreams: &'c [UpstreamAddress],
    /// The zone that holds the name; `None` where none does.
    pub zone: Option<&'c Name>,
    /// Whether the view says so itself, and does not inherit it.
    pub is_own: bool,
}

/// What of a cache is still right under another configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StillRight {
    /// Nothing for certain.
    Nothing,
    /// Everything but what was said of these names and all below them, or led there.
    AllBut(Vec<Name>),
}

/// Who is asked for the hosts of AWS that we call ourselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupConfig {
    /// What of the configuration said so.
    pub from: LookupFrom,
    /// Who is asked for hosts that are in no zone. Empty means nobody.
    pub upstreams: Vec<UpstreamAddress>,
    /// The longest that holds a host decides, as for clients; none with `[discovery_dns]`.
    pub zones: Vec<ForwardZone>,
}

/// Where a [`LookupConfig`] comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupFrom {
    /// `forward.upstreams` and `[[forward.zone]]`.
    Forward,
    /// `discovery_dns.upstreams`, for every host.
    DiscoveryDns,
}

// === impl LookupConfig ===

impl LookupConfig {
    /// As `[discovery_dns]` says; where it names nobody, as for clients.
    pub fn new(own: Vec<UpstreamAddress>, forward: &ForwardConfig) -> Self {
        match own.is_empty() {
            true => Self {
                from: LookupFrom::Forward,
                upstreams: forward.upstreams.clone(),
                zones: forward.zones.clone(),
            },
            false => Self { from: LookupFrom::DiscoveryDns, upstreams: own, zones: Vec::new() },
        }
    }

    /// Every upstream, those of zones included; one that is named twice comes twice.
    pub fn all_upstreams(&self) -> impl Iterator<Item = &UpstreamAddress> {
        every_upstream(&self.upstreams, &self.zones, &[])
    }
}

// === impl LookupFrom ===

impl LookupFrom {
    /// The key of the configuration.
    pub fn key(self) -> &'static str {
        match self {
            LookupFrom::Forward => "forward.upstreams",
            LookupFrom::DiscoveryDns => "discovery_dns.upstreams",
        }
    }
}

// === impl CacheConfig ===

impl CacheConfig {
    /// Nothing is remembered.
    pub const NONE: CacheConfig = CacheConfig {
        entries: 0,
        bytes: 0,
        ttls: TtlBounds::WIDEST,
        prefetch: false,
        serve_stale: Duration::ZERO,
    };
}

// === impl BudgetConfig ===

impl BudgetConfig {
    /// Of AWS's 1,024 a second 24 are left to the metadata and time services, which this host asks
    /// a few times a minute; the last tenth is for what cannot be spared.
    pub const DEFAULT: BudgetConfig =
        BudgetConfig { packets: 1_000, soft_packets: 900, upstreams: None };
}

// === impl ForwardConfig ===

impl ForwardConfig {
    /// What was kept under `old` and would be told under this one too. An answer is right as long as
    /// everyone who may have given it is still asked for its name: of a list that has only grown, it
    /// may come again from the same upstream. Who gave it is not known, so one that was taken out
    /// takes all answers of its list along. Whom upstreams by TLS are believed for is no part of this.
    pub(super) fn still_right(&self, old: &ForwardConfig) -> StillRight {
        let asks_all = |new: &[UpstreamAddress], old: &[UpstreamAddress]| {
            old.iter().all(|upstream| new.contains(upstream))
        };
        let is_told_alike = self.trusted == old.trusted
            && self.cache.ttls == old.cache.ttls
            && asks_all(&self.upstreams, &old.upstreams);
        if !is_told_alike {
            return StillRight::Nothing;
        }
        let asked_for = |config: &ForwardConfig, name: &Name| {
            let zone = config.zones.iter().find(|zone| zone.name == *name);
            zone.map(|zone| zone.upstreams.clone())
        };
        let changes = |name: &&Name| match (asked_for(self, name), asked_for(old, name)) {
            (Some(new), Some(old)) => !asks_all(&new, &old),
            (new, old) => new.is_some() || old.is_some(),
        };
        let zones = self.zones.iter().chain(&old.zones).map(|zone| &zone.name);
        StillRight::AllBut(zones.filter(changes).cloned().collect())
    }

    /// Every upstream, those of zones and of views included; one that is named twice comes twice.
    pub fn all_upstreams(&self) -> impl Iterator<Item = &UpstreamAddress> {
        every_upstream(&self.upstreams, &self.zones, &self.views)
    }

    /// Who is asked for a name of a client in `view`. The longest zone decides, and of two of one
    /// name the view's.
    pub fn way(&self, view: &ViewName, name: &Name) -> Way<'_> {
        let view = self.views.iter().find(|it| it.view == *view);
        let own = view.map_or(&[][..], |view| &view.zones).iter().map(|zone| (zone, true));
        let inherited = self.zones.iter().map(|zone| (zone, false));
        let zone = inherited
            .chain(own)
            .filter(|(zone, _)| name.is_within(&zone.name))
            .max_by_key(|(zone, is_own)| (zone.name.labels().count(), *is_own));
        match (zone, view.and_then(|view| view.upstreams.as_deref())) {
            (Some((ForwardZone { name, upstreams }, is_own)), _) => {
                Way { upstreams, zone: Some(name), is_own }
            }
            (None, Some(upstreams)) => Way { upstreams, zone: None, is_own: true },
            (None, None) => Way { upstreams: &self.upstreams, zone: None, is_own: false },
        }
    }
}

/// The upstreams of a configuration's parts; one that is named twice comes twice.
pub fn every_upstream<'c>(
    upstreams: &'c [UpstreamAddress],
    zones: &'c [ForwardZone],
    views: &'c [ViewForward],
) -> impl Iterator<Item = &'c UpstreamAddress> {
    let of_views = views.iter().flat_map(|view| {
        let own = view.upstreams.iter().flatten();
        own.chain(view.zones.iter().flat_map(|zone| &zone.upstreams))
    });
    upstreams.iter().chain(zones.iter().flat_map(|zone| &zone.upstreams)).chain(of_views)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// `UPSTREAM...; ZONE UPSTREAM...; ...`
    pub(in crate::forward) fn config(text: &str) -> ForwardConfig {
        let mut parts = text.split(';').map(str::split_whitespace);
        let addresses =
            |words: std::str::SplitWhitespace<'_>| words.map(|it| it.parse().unwrap()).collect();
        let upstreams = addresses(parts.next().unwrap());
        let zone = |mut words: std::str::SplitWhitespace<'_>| ForwardZone {
            name: words.next().unwrap().parse().unwrap(),
            upstreams: addresses(words),
        };
        ForwardConfig {
            upstreams,
            trusted: vec![],
            ca_file: None,
            case_randomization: CaseRandomization::Auto,
            budget: BudgetConfig::DEFAULT,
            zones: parts.map(zone).collect(),
            views: vec![],
            cache: CacheConfig::NONE,
        }
    }

    fn check(old: &str, new: &str, expected: &str) {
        let told = match config(new).still_right(&config(old)) {
            StillRight::Nothing => "nothing".to_owned(),
            StillRight::AllBut(names) => {
                let names: Vec<String> = names.iter().map(ToString::to_string).collect();
                format!("all but {}", names.join(" "))
            }
        };
        assert_eq!(told.trim_end(), expected, "{old} -> {new}");
    }

    #[test]
    fn an_answer_is_right_while_all_who_may_have_given_it_are_asked() {
        check("192.0.2.1:53", "192.0.2.1:53", "all but");
        check("192.0.2.1:53", "192.0.2.2:53 192.0.2.1:53", "all but");
        check("192.0.2.1:53 192.0.2.2:53", "192.0.2.1:53", "nothing");
        check("192.0.2.1:53", "192.0.2.2:53", "nothing");
        let one = "192.0.2.1:53; a.example 192.0.2.3:53";
        check("192.0.2.1:53", one, "all but a.example");
        check(one, "192.0.2.1:53", "all but a.example");
        check(one, "192.0.2.1:53; a.example 192.0.2.3:53 192.0.2.4:53", "all but");
        check(one, "192.0.2.1:53; a.example 192.0.2.4:53", "all but a.example a.example");
        check(one, "192.0.2.1:53; a.example", "all but a.example a.example");
        check(one, "192.0.2.1:53; a.example 192.0.2.3:53; b.example", "all but b.example");
    }

    #[test]
    fn an_answer_that_would_be_told_otherwise_is_not_right() {
        let old = config("192.0.2.1:53");
        let trusting = ForwardConfig { trusted: old.upstreams.clone(), ..old.clone() };
        let mut longer = old.clone();
        longer.cache.ttls.max = crate::base::Ttl::ZERO;
        for new in [trusting, longer] {
            assert_eq!(new.still_right(&old), StillRight::Nothing, "{new:?}");
        }
    }
}
