//! How often public addresses of AWS's names were told.
//!
//! What a name is, is found out when an upstream answers; the answer keeps a [`Mark`], and telling
//! it again is counted by that: no lock, no look-up, nothing allocated.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use super::{
    kept::{Kept, Slot},
    names::{Found, Host, Known},
};
use crate::base::{Name, is_private};

/// `[coverage]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoverageConfig {
    /// `enabled`: whether anything is counted.
    pub enabled: bool,
    /// `names`: whether the names that clients asked for are kept.
    pub names: bool,
}

/// Counters of every name that SDKs call, and of all others of AWS together.
///
/// Those of a region are made when the first of its names is told: 8 octets for each of 1,900 names
/// are 15 kB. A hub is asked for two or three regions; all 54 places would be 0.8 MB.
pub struct Coverage {
    enabled: AtomicBool,
    keeps_names: AtomicBool,
    places: Box<[OnceLock<Box<[AtomicU64]>>]>,
    kept: OnceLock<Kept>,
}

/// What an answer is counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    host: u16,
    place: u8,
    slot: Option<Slot>,
}

/// One name, or all names under one wildcard, of which public addresses were told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// What SDKs call; none for all other names of AWS.
    pub host: Option<&'static Host>,
    /// As clients ask for it, in its region: `sqs.eu-west-1.amazonaws.com`, `*.s3.amazonaws.com`.
    pub name: Option<String>,
    /// The region, if it is in one.
    pub region: Option<&'static str>,
    /// How often since the start.
    pub times: u64,
    /// The names asked for and how often, the most frequent first; empty unless they are kept.
    pub asked: Vec<(Name, u64)>,
}

// === impl Leak ===

impl Leak {
    /// What operators call the service; `other` for names that no SDK calls.
    pub fn service(&self) -> &'static str {
        self.host.map_or(OTHER, Host::service)
    }
}

// === impl CoverageConfig ===

impl CoverageConfig {
    /// The defaults.
    pub const DEFAULT: CoverageConfig = CoverageConfig { enabled: true, names: false };
}

// === impl Coverage ===

impl Coverage {
    /// Counts, and keeps names, or not. Names that are not to be kept any more are forgotten.
    pub fn configure(&self, config: CoverageConfig) {
        self.enabled.store(config.enabled, Ordering::Relaxed);
        self.keeps_names.store(config.enabled && config.names, Ordering::Relaxed);
        if let Some(kept) = self.kept.get()
            && !self.config().names
        {
            kept.clear();
        }
    }

    /// What was configured.
    pub fn config(&self) -> CoverageConfig {
        CoverageConfig {
            enabled: self.enabled.load(Ordering::Relaxed),
            names: self.keeps_names.load(Ordering::Relaxed),
        }
    }

    /// What an answer of an upstream to `name` is counted for: none without a public address, or for
    /// a name that is not AWS's. For where an upstream was asked: it looks the name up.
    pub fn mark(&self, name: &Name, addresses: impl Iterator<Item = IpAddr>) -> Option<Mark> {
        let CoverageConfig { enabled, names } = self.config();
        if !enabled || !addresses.into_iter().any(is_public) {
            return None;
        }
        let known = Known::table();
        let found = known.find(name)?;
        self.places
            .get(found.place)?
            .get_or_init(|| (0..=known.hosts().len()).map(|_| AtomicU64::new(0)).collect());
        let slot = match names {
            true => self.kept.get_or_init(Kept::new).slot(name, found),
            false => None,
        };
        let (host, place) = (u16::try_from(found.host).ok()?, u8::try_from(found.place).ok()?);
        Some(Mark { host, place, slot })
    }

    /// Counts an answer that was told so many times.
    pub fn count(&self, mark: Mark, times: u64) {
        if !self.enabled.load(Ordering::Relaxed) {
            return;
        }
        let counters = self.places.get(usize::from(mark.place)).and_then(OnceLock::get);
        if let Some(counter) = counters.and_then(|all| all.get(usize::from(mark.host))) {
            counter.fetch_add(times, Ordering::Relaxed);
        }
        if let (Some(slot), Some(kept)) = (mark.slot, self.kept.get()) {
            kept.count(slot, times);
        }
    }

    /// All that was counted, the most frequent first.
    pub fn leaks(&self) -> Vec<Leak> {
        let known = Known::table();
        let mut asked: BTreeMap<(usize, usize), Vec<(Name, u64)>> = BTreeMap::new();
        for (name, found, times) in self.kept.get().map(Kept::told).unwrap_or_default() {
            asked.entry((found.host, found.place)).or_default().push((name, times));
        }
        let leak = |(found, times): (Found, u64)| {
            let mut asked = asked.remove(&(found.host, found.place)).unwrap_or_default();
            asked.sort_by(|(one, many), (other, more)| more.cmp(many).then_with(|| one.cmp(other)));
            Leak {
                host: known.hosts().get(found.host),
                name: known.name(found),
                region: known.region(found),
                times,
                asked,
            }
        };
        let mut leaks: Vec<Leak> = self.counted().map(leak).collect();
        leaks.sort_by(|a, b| b.times.cmp(&a.times).then_with(|| a.name.cmp(&b.name)));
        leaks
    }

    /// How often names of each service were told, those of AWS's other names as `other`.
    pub fn by_service(&self) -> BTreeMap<&'static str, u64> {
        let hosts = Known::table().hosts();
        let service = |host: Option<&Host>| host.map_or(OTHER, Host::service);
        let all = hosts.iter().map(Some).chain([None]);
        let mut services: BTreeMap<_, _> = all.map(|host| (service(host), 0)).collect();
        for (found, times) in self.counted() {
            *services.entry(service(hosts.get(found.host))).or_default() += times;
        }
        services
    }

    fn counted(&self) -> impl Iterator<Item = (Found, u64)> {
        let places = self.places.iter().enumerate();
        let counters = places.filter_map(|(place, all)| Some((place, all.get()?)));
        let counted = counters.flat_map(|(place, all)| {
            all.iter().enumerate().map(move |(host, counter)| {
                (Found { host, place }, counter.load(Ordering::Relaxed))
            })
        });
        counted.filter(|(_, times)| 0 < *times)
    }
}

impl Default for Coverage {
    /// Nothing counted yet.
    fn default() -> Self {
        let CoverageConfig { enabled, names } = CoverageConfig::DEFAULT;
        Self {
            enabled: enabled.into(),
            keeps_names: names.into(),
            places: (0..Known::table().places()).map(|_| OnceLock::new()).collect(),
            kept: OnceLock::new(),
        }
    }
}

/// What names of AWS that no SDK calls are counted as.
const OTHER: &str = "other";

/// Whether traffic to an address leaves private networks. What an upstream answers with private
/// addresses, from a private hosted zone or an endpoint's own private DNS, does not leak.
fn is_public(ip: IpAddr) -> bool {
    !is_private(ip) && !ip.to_canonical().is_unspecified()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{Coverage, CoverageConfig, Mark};

    fn mark(coverage: &Coverage, name: &str, address: &str) -> Option<Mark> {
        let address: IpAddr = address.parse().unwrap();
        coverage.mark(&name.parse().unwrap(), [address].into_iter())
    }

    #[track_caller]
    fn check(coverage: &Coverage, expected: &[&str]) {
        let told: Vec<String> = coverage
            .leaks()
            .iter()
            .map(|leak| {
                let name = leak.name.as_deref().unwrap_or("other");
                let asked: String =
                    leak.asked.iter().map(|(name, times)| format!(" {name}={times}")).collect();
                format!("{} {name} {}{asked}", leak.times, leak.region.unwrap_or("-"))
            })
            .collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn public_addresses_of_awss_names_are_counted_and_nothing_else() {
        let coverage = Coverage::default();
        for address in [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "::ffff:0.0.0.0",
        ] {
            assert_eq!(mark(&coverage, "sqs.eu-west-1.amazonaws.com", address), None);
        }
        assert_eq!(mark(&coverage, "www.example.com", "192.0.2.1"), None);
        let sqs = mark(&coverage, "sqs.eu-west-1.amazonaws.com", "192.0.2.1").unwrap();
        let bucket = mark(&coverage, "b.s3.eu-west-1.amazonaws.com", "2001:db8::1").unwrap();
        let other = mark(&coverage, "x.elb.eu-west-1.amazonaws.com", "192.0.2.1").unwrap();
        check(&coverage, &[]);
        coverage.count(sqs, 2);
        coverage.count(bucket, 3);
        coverage.count(other, 1);
        check(
            &coverage,
            &[
                "3 *.s3.eu-west-1.amazonaws.com eu-west-1",
                "2 sqs.eu-west-1.amazonaws.com eu-west-1",
                "1 other eu-west-1",
            ],
        );
        let services = coverage.by_service();
        let of = |service: &str| services.get(service).copied();
        assert_eq!(
            [of("s3"), of("sqs"), of("other"), of("ecr.api")].map(Option::unwrap),
            [3, 2, 1, 0]
        );
    }

    #[test]
    fn names_are_kept_when_that_is_on_and_forgotten_when_it_is_off() {
        let coverage = Coverage::default();
        coverage.configure(CoverageConfig { enabled: true, names: true });
        for name in ["b.s3.eu-west-1.amazonaws.com", "a.s3.eu-west-1.amazonaws.com"] {
            coverage.count(mark(&coverage, name, "192.0.2.1").unwrap(), 2);
        }
        let asked = "a.s3.eu-west-1.amazonaws.com=2 b.s3.eu-west-1.amazonaws.com=2";
        check(&coverage, &[&format!("4 *.s3.eu-west-1.amazonaws.com eu-west-1 {asked}")]);
        coverage.configure(CoverageConfig::DEFAULT);
        check(&coverage, &["4 *.s3.eu-west-1.amazonaws.com eu-west-1"]);
    }

    #[test]
    fn what_is_off_counts_nothing() {
        let coverage = Coverage::default();
        let sqs = mark(&coverage, "sqs.eu-west-1.amazonaws.com", "192.0.2.1").unwrap();
        coverage.configure(CoverageConfig { enabled: false, names: true });
        assert_eq!(mark(&coverage, "sqs.eu-west-1.amazonaws.com", "192.0.2.1"), None);
        coverage.count(sqs, 1);
        check(&coverage, &[]);
    }
}
