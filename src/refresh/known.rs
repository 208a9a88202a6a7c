//! What each source has told so far.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, time::Instant};
use tokio_util::sync::DropGuard;

use super::{status::SourceStatus, step::Guard};
use crate::{
    base::{ServiceName, SourceName},
    discover::SourceConfig,
    inventory::{Interface, Inventory, SourceFacts},
};

/// The sources in the order of the configuration, with what is in force of each.
pub(super) struct Known(Vec<KnownSource>);

/// One source.
pub(super) struct KnownSource {
    pub(super) name: SourceName,
    /// In force; `None` until it has told any.
    pub(super) facts: Option<Arc<SourceFacts>>,
    pub(super) confirmed: Option<Instant>,
    pub(super) from_state_file: Option<u64>,
    pub(super) error: Option<String>,
    /// The IAM action that the caller lacked.
    pub(super) error_permission: Option<&'static str>,
    /// What it went without when it was last asked with success.
    pub(super) lack: Option<String>,
    /// The IAM actions that the caller lacked for it.
    pub(super) lack_permissions: Vec<&'static str>,
    pub(super) guard: Guard,
    /// Why what it told since is not believed.
    pub(super) held_back: Option<String>,
    /// Services that its endpoints named and its last look did not tell.
    late: Vec<ServiceName>,
    /// Set when what it told was not believed, for its next look.
    pub(super) doubt: Arc<AtomicBool>,
    /// Tells its scout to look soon.
    pub(super) nudge: watch::Sender<u64>,
    /// Tells its scout the ticket of the last order to look at once.
    pub(super) asked: watch::Sender<u64>,
    /// Who looks at it.
    pub(super) scout: Option<Scouting>,
    /// Whether the operator has changed what it finds since it told that.
    pub(super) redefined: Redefined,
    /// Whether it has told anything, be it an error, since the start.
    pub(super) reported: bool,
}

/// What the operator has changed of what a source finds. Its next facts are then believed whatever goes
/// by them but the last name of all. What they could not be told is as it was, all the same: an
/// endpoint that they name is the one that was known, since its id is one of all AWS's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Redefined {
    No,
    /// Which endpoints are taken of what there is.
    Choice,
    /// Where they are looked for: another account, region or folder, whose subnets are others.
    Place,
}

/// A scout at work, which ends with this.
pub(super) struct Scouting {
    /// What it looks at, and how often: at all, and at services.
    pub(super) config: (SourceConfig, Duration, Duration),
    pub(super) _ends: DropGuard,
}

// === impl Known ===

impl Known {
    /// These sources, of which nothing is known.
    pub(super) fn new(names: impl Iterator<Item = SourceName>) -> Self {
        let unknown = |name| KnownSource {
            name,
            facts: None,
            confirmed: None,
            from_state_file: None,
            error: None,
            error_permission: None,
            lack: None,
            lack_permissions: Vec::new(),
            held_back: None,
            guard: Guard::default(),
            late: Vec::new(),
            doubt: Arc::default(),
            nudge: watch::Sender::new(0),
            asked: watch::Sender::new(0),
            scout: None,
            redefined: Redefined::No,
            reported: false,
        };
        Self(names.map(unknown).collect())
    }

    /// Other sources; what is known of those that keep their names is kept until they tell anew.
    pub(super) fn renew(&mut self, before: &[SourceConfig], after: &[SourceConfig]) {
        let mut old = std::mem::take(&mut self.0);
        *self = Self::new(after.iter().map(|source| source.name.clone()));
        for (source, config) in self.0.iter_mut().zip(after) {
            if let Some(at) = old.iter().position(|known| known.name == source.name) {
                *source = old.swap_remove(at);
                source.redefined = source.redefined.max(Redefined::of(before, config));
            }
        }
    }

    /// Takes over what the state file holds of these sources, found `age_secs` ago.
    pub(super) fn restore(&mut self, inventory: Inventory, age_secs: u64) {
        for facts in inventory.sources {
            if let Some(source) = self.0.iter_mut().find(|source| source.name == facts.source) {
                source.facts = Some(facts);
                source.from_state_file = Some(age_secs);
            }
        }
    }

    /// Has those sources looked at soon that told of one of these addresses: it may have been replaced.
    pub(super) fn nudge(&self, addresses: &BTreeSet<IpAddr>) {
        let has = |eni: &Interface| {
            let v4 = eni.ipv4.iter().copied().map(IpAddr::V4);
            let v6 = eni.ipv6.iter().copied().map(IpAddr::V6);
            v4.chain(v6).any(|ip| addresses.contains(&ip))
        };
        let tells = |it: &&KnownSource| {
            it.facts.as_ref().is_some_and(|facts| facts.interfaces.iter().any(has))
        };
        for source in self.0.iter().filter(tells) {
            source.nudge.send_modify(|count| *count += 1);
        }
    }

    /// Puts a source's facts in force.
    pub(super) fn accept(&mut self, facts: Arc<SourceFacts>) {
        if let Some(source) = self.get_mut(&facts.source) {
            source.facts = Some(facts);
            source.confirmed = Some(Instant::now());
            source.from_state_file = None;
            source.redefined = Redefined::No;
            source.guard = Guard::default();
            source.held_back = None;
        }
    }

    pub(super) fn get_mut(&mut self, name: &SourceName) -> Option<&mut KnownSource> {
        self.0.iter_mut().find(|source| source.name == *name)
    }

    /// Everything known, with `instead` in place of what is known of its source.
    pub(super) fn inventory(&self, instead: Option<&Arc<SourceFacts>>) -> Inventory {
        let facts = |source: &KnownSource| match instead {
            Some(facts) if facts.source == source.name => Some(Arc::clone(facts)),
            Some(_) | None => source.facts.clone(),
        };
        Inventory { sources: self.0.iter().filter_map(facts).collect() }
    }

    /// Whether every source has told something, be it an error.
    pub(super) fn all_reported(&self) -> bool {
        self.0.iter().all(|source| source.reported)
    }

    /// Whether a restart from this loses nothing that a source will soon have told: each has facts,
    /// or has failed.
    pub(super) fn is_whole(&self) -> bool {
        self.0.iter().all(|source| source.facts.is_some() || source.reported)
    }

    /// The sources of which no facts are known.
    pub(super) fn missing(&self) -> Vec<SourceName> {
        let missing = self.0.iter().filter(|source| source.facts.is_none());
        missing.map(|source| source.name.clone()).collect()
    }

    /// Whether any facts are known.
    pub(super) fn has_facts(&self) -> bool {
        self.0.iter().any(|source| source.facts.is_some())
    }

    /// For people.
    pub(super) fn status(&self) -> Vec<SourceStatus> {
        let status = |source: &KnownSource| SourceStatus {
            name: source.name.clone(),
            confirmed: source.confirmed,
            from_state_file: source.from_state_file,
            endpoints: source.facts.as_ref().map_or(0, |facts| facts.endpoints.len()),
            error: source.error.clone(),
            lack: source.lack.clone(),
            held_back: source.held_back.clone(),
            missing_permissions: source.missing_permissions(),
        };
        self.0.iter().map(status).collect()
    }
}

// === impl Redefined ===

impl Redefined {
    /// What is different of this source, which was one of those `before`.
    fn of(before: &[SourceConfig], after: &SourceConfig) -> Self {
        match before.iter().find(|old| old.name == after.name) {
            Some(old) if old.finds_as(after) => Self::No,
            Some(old) if old.kind.is_place_of(&after.kind) => Self::Choice,
            Some(_) | None => Self::Place,
        }
    }
}

// === impl KnownSource ===

impl KnownSource {
    /// What it told now, with what that lacks taken from before; and the services that are late.
    pub(super) fn mend(&self, told: SourceFacts) -> (SourceFacts, Vec<ServiceName>) {
        match (&self.facts, self.redefined) {
            (Some(before), Redefined::No | Redefined::Choice) => told.mended(before),
            (Some(before), Redefined::Place) => {
                told.mended(&SourceFacts::clone(before).with_subnets(None))
            }
            (None, _) => (told, Vec::new()),
        }
    }

    /// The IAM actions that the caller lacked when it was last asked.
    fn missing_permissions(&self) -> Vec<&'static str> {
        let of_error = self.error_permission.filter(|_| self.error.is_some());
        of_error.into_iter().chain(self.lack_permissions.iter().copied()).collect()
    }

    /// Has the next look ask for services that this one did not tell, once: what EC2 does not tell
    /// then either it may never tell again, and each look would cost a call of PrivateLink's.
    pub(super) fn lacks_services(&mut self, late: Vec<ServiceName>) {
        if late.iter().any(|service| !self.late.contains(service)) {
            self.doubt();
        }
        self.late = late;
    }

    /// Has the next look ask for everything anew.
    pub(super) fn doubt(&self) {
        self.doubt.store(true, Ordering::Relaxed);
    }

    /// Has it looked at now, for everything. What the look finds tells this ticket, or a later one.
    pub(super) fn ask(&self, ticket: u64) {
        self.doubt();
        self.asked.send_replace(ticket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_goes_down_has_its_own_source_asked_and_no_other() {
        let mut known = Known::new(["one", "two"].map(SourceName::from).into_iter());
        let lines = "vpce-1 s.a a=10.0.1.5 names=a.x source=one\n\
                     vpce-2 s.b a=10.0.2.5 a=fd00::5 names=b.x source=two";
        known.restore(crate::policy::facts::inventory(lines), 0);
        let mut nudged = |ip: &str| {
            known.nudge(&[ip.parse().unwrap()].into());
            known.0.iter_mut().map(|it| it.nudge.send_replace(0)).collect::<Vec<_>>()
        };
        assert_eq!(nudged("10.0.1.5"), [1, 0]);
        assert_eq!(nudged("fd00::5"), [0, 1]);
        assert_eq!(nudged("10.0.9.9"), [0, 0]);
    }

    #[test]
    fn a_service_that_is_told_no_more_is_asked_for_once_until_it_was_told_again() {
        let mut known = Known::new(["hub".into()].into_iter());
        let source = known.get_mut(&"hub".into()).unwrap();
        let asks_for_it = |late: &[&str]| {
            source.lacks_services(late.iter().map(|it| ServiceName::from(*it)).collect());
            source.doubt.swap(false, Ordering::Relaxed)
        };
        let rounds = [&["s3"][..], &["s3"], &["s3", "sqs"], &["sqs"], &[], &["sqs"]];
        let asked = rounds.map(asks_for_it);
        assert_eq!(asked, [true, false, true, false, false, true]);
    }
}
