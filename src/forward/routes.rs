//! Which upstreams a name goes to, and how many questions may wait for them.
//!
//! Each route has a limit of its own, so that a zone whose upstreams are dead takes nobody else's
//! place.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::{
    address::UpstreamAddress,
    budget::{self, Budget, BudgetStanding},
    choice,
    config::{CaseRandomization, ForwardConfig},
    error::ForwardError,
    key::Key,
    realms::{RealmList, Realms},
    trust::Trust,
    upstream::{Given, Upstream},
};
use crate::{
    base::Name,
    telemetry::{Metrics, Spared},
};

/// Questions with a flight of their own, all clients together. At the deadline of 3.5 s this
/// bounds us to 585 unanswered questions a second, and at four transmissions, if none shares its
/// port, to 8,192 sockets; past it the answer is SERVFAIL at once, and counted. Questions already
/// in flight join theirs.
const FLIGHTS_MAX: usize = 2_048;
/// Of these, how many all zones have together; the default upstreams have the other half.
const ZONES_FLIGHTS_MAX: usize = FLIGHTS_MAX / 2;
/// One zone has its share of that half, at least a quarter of it: 256, which is 73 unanswered
/// questions a second. So it takes four dead zones to starve a fifth, and none starves the default.
const ZONE_SHARES_MAX: usize = 4;

/// One in so many flights may be one that nobody waits for: a hot name before its time is over, or
/// one whose older answer has been told. So these take no client's place when upstreams are slow,
/// and past it such a question is asked when somebody waits for it.
const RENEWALS_PART: usize = 8;

/// For whom upstreams are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A client waits.
    Client,
    /// Nobody waits.
    Renewal,
}

/// Routes by zone.
pub(super) struct Routes {
    default: Route,
    zones: Vec<(Name, Route)>,
    realms: Realms,
    /// Those of each realm but the common one, in the order of `realms`.
    own: Vec<Route>,
    /// Upstreams that AWS limits, and their budget.
    limited: Vec<UpstreamAddress>,
    budget: Option<Arc<Budget>>,
}

/// The upstreams of a zone, or of all that is in none.
pub(super) struct Route {
    pub(super) upstreams: Arc<Upstreams>,
    /// A flight takes a permit of each.
    limits: Vec<Arc<Semaphore>>,
    /// And of this one, if nobody waits for it.
    renewals: Arc<Semaphore>,
}

/// The upstreams of a route, in the configuration's order.
pub(super) struct Upstreams {
    list: Vec<Arc<Upstream>>,
    /// Questions asked, for those that share the load.
    turns: AtomicUsize,
}

// === impl Routes ===

impl Routes {
    pub(super) fn new(config: &ForwardConfig, trust: &Trust, metrics: &Metrics) -> Self {
        let (limited, budget) = budget::of(config, &metrics.forward.budget);
        let given = Given {
            trusted: &config.trusted,
            randomizes: config.case_randomization == CaseRandomization::Auto,
            trust,
            metrics: &metrics.forward,
        };
        let mut known: HashMap<UpstreamAddress, Arc<Upstream>> = HashMap::new();
        let mut upstreams = |addresses: &[UpstreamAddress]| {
            let upstream = |address: &UpstreamAddress| {
                let within = budget.clone().filter(|_| limited.contains(address));
                let new = || Arc::new(Upstream::new(address.clone(), &given).within(within));
                Arc::clone(known.entry(address.clone()).or_insert_with(new))
            };
            Arc::new(Upstreams::of(addresses.iter().map(upstream).collect()))
        };
        let realms = Realms::new(config);
        let zones = config.zones.iter().map(|zone| &zone.upstreams);
        let lists = zones.chain(realms.lists().iter().map(|list| &list.upstreams));
        let asked = lists.filter(|upstreams| !upstreams.is_empty()).count();
        let for_zones = if asked == 0 { 0 } else { ZONES_FLIGHTS_MAX };
        let for_zone = for_zones / asked.clamp(1, ZONE_SHARES_MAX);
        let limit = |flights| Arc::new(Semaphore::new(flights));
        let all_zones = limit(for_zones);
        let default = Route {
            upstreams: upstreams(&config.upstreams),
            limits: vec![limit(FLIGHTS_MAX - for_zones)],
            renewals: limit((FLIGHTS_MAX - for_zones) / RENEWALS_PART),
        };
        let mut route = |addresses: &[UpstreamAddress]| Route {
            upstreams: upstreams(addresses),
            limits: vec![limit(for_zone), Arc::clone(&all_zones)],
            renewals: limit(for_zone / RENEWALS_PART),
        };
        let mut zones: Vec<_> =
            config.zones.iter().map(|zone| (zone.name.clone(), route(&zone.upstreams))).collect();
        // The longest first, so that the first that holds a name decides.
        zones.sort_by_key(|(name, _)| std::cmp::Reverse(name.labels().count()));
        let own = realms.lists().iter().map(|list| route(&list.upstreams)).collect();
        Self { default, zones, realms, own, limited, budget }
    }

    /// Which realm a name is in for a client of a view.
    pub(super) fn realms(&self) -> &Realms {
        &self.realms
    }

    /// The route of a question, or why there is none.
    pub(super) fn route(&self, key: &Key) -> Result<&Route, ForwardError> {
        let Some(at) = key.realm.list() else { return self.of(&key.question.name) };
        match (self.own.get(at), self.realms.lists().get(at)) {
            (Some(_), Some(list)) if list.upstreams.is_empty() => Err(list.or_else),
            (Some(route), Some(_)) => Ok(route),
            // A realm of another configuration: who asks has to ask again.
            _ => Err(ForwardError::NoUpstream),
        }
    }

    /// The route of `name` in the realm that all have in common, or why there is none.
    pub(super) fn of(&self, name: &Name) -> Result<&Route, ForwardError> {
        let holds = |(zone, _): &&(Name, Route)| name.is_within(zone);
        match self.zones.iter().find(holds) {
            Some((_, route)) if route.upstreams.list.is_empty() => Err(ForwardError::Refused),
            Some((_, route)) => Ok(route),
            None if self.default.upstreams.list.is_empty() => Err(ForwardError::NoUpstream),
            None => Ok(&self.default),
        }
    }

    /// Who is asked a question.
    pub(super) fn asked(&self, key: &Key) -> &[Arc<Upstream>] {
        self.route(key).map_or(&[], |route| &route.upstreams.list)
    }

    /// Who is asked for names below `domain`, in each realm where any are: with the root whoever is
    /// asked for what is in no zone.
    pub(super) fn asked_for(&self, domain: &Name) -> impl Iterator<Item = &Arc<Upstream>> {
        let common: &[Arc<Upstream>] = match domain.is_root() {
            true => &self.default.upstreams.list,
            false => self.of(domain).map_or(&[], |route| &route.upstreams.list),
        };
        let holds = |list: &RealmList| list.domains.iter().any(|zone| domain.is_within(zone));
        let own = self.realms.lists().iter().zip(&self.own).filter(move |(list, _)| holds(list));
        common.iter().chain(own.flat_map(|(_, route)| &route.upstreams.list))
    }

    /// The names of the zones that are asked for somewhere.
    pub(super) fn zones(&self) -> impl Iterator<Item = &Name> {
        let asked = self.zones.iter().filter(|(_, route)| !route.upstreams.list.is_empty());
        let own = self.realms.lists().iter().filter(|list| !list.upstreams.is_empty());
        asked.map(|(name, _)| name).chain(own.flat_map(|list| &list.domains))
    }

    /// Every upstream; one that several zones share comes several times.
    pub(super) fn upstreams(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        let zones = self.zones.iter().map(|(_, route)| route);
        let routes = [&self.default].into_iter().chain(zones).chain(&self.own);
        routes.flat_map(|route| route.upstreams.list.iter())
    }

    /// How the budget of limited upstreams stands, if there is one.
    pub(super) fn budget(&self, now: Instant) -> Option<BudgetStanding> {
        Some(self.budget.as_ref()?.standing(self.limited.clone(), now))
    }

    /// Whether a packet for a question that can be done without is spared now, which is then
    /// counted: every upstream that would be asked is near its limit.
    pub(super) fn spares(&self, key: &Key, how: Spared, now: Instant) -> bool {
        let list = self.asked(key);
        let all_short = !list.is_empty() && list.iter().all(|it| it.is_short(now));
        all_short && list.first().is_some_and(|it| it.spares(how, now))
    }

    /// Whether none of the upstreams of a question has answered lately.
    pub(super) fn is_silent(&self, key: &Key, now: Instant) -> bool {
        self.route(key).is_ok_and(|route| route.upstreams.list.iter().all(|it| it.is_silent(now)))
    }
}

// === impl Upstreams ===

impl Upstreams {
    pub(super) fn of(list: Vec<Arc<Upstream>>) -> Upstreams {
        Upstreams { list, turns: AtomicUsize::new(0) }
    }

    /// Those in the list, in the configuration's order.
    pub(super) fn list(&self) -> &[Arc<Upstream>] {
        &self.list
    }

    /// Those alone that are `open`.
    pub(super) fn only(&self, open: impl Fn(&Upstream) -> bool) -> Upstreams {
        let list = self.list.iter().filter(|upstream| open(upstream)).cloned().collect();
        // Each question has another turn, here as in the whole list.
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        Upstreams { list, turns: AtomicUsize::new(turn) }
    }

    /// In the order they are to be asked now.
    pub(super) fn in_order(&self) -> Vec<Arc<Upstream>> {
        if let [only] = self.list.as_slice() {
            return vec![Arc::clone(only)];
        }
        let standings: Vec<_> = self.list.iter().map(|upstream| upstream.standing()).collect();
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        let order = choice::order(&standings, turn).into_iter();
        order.map(|place| Arc::clone(&self.list[place])).collect()
    }
}

// === impl Route ===

impl Route {
    /// Leave for one more flight; `None` when there are too many.
    pub(super) fn permits(&self, purpose: Purpose) -> Option<Vec<OwnedSemaphorePermit>> {
        let renewals = match purpose {
            Purpose::Client => None,
            Purpose::Renewal => Some(&self.renewals),
        };
        let permit = |limit: &Arc<Semaphore>| Arc::clone(limit).try_acquire_owned().ok();
        self.limits.iter().chain(renewals).map(permit).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::{CacheConfig, ForwardZone};

    fn routes(zones: &[&str]) -> Routes {
        let upstreams = vec!["192.0.2.1:53".parse().unwrap()];
        let zone =
            |name: &&str| ForwardZone { name: name.parse().unwrap(), upstreams: upstreams.clone() };
        let config = ForwardConfig {
            zones: zones.iter().map(zone).collect(),
            views: vec![],
            upstreams: upstreams.clone(),
            trusted: vec![],
            ca_file: None,
            case_randomization: CaseRandomization::Auto,
            budget: crate::forward::BudgetConfig::DEFAULT,
            cache: CacheConfig::NONE,
        };
        Routes::new(&config, &Trust::default(), &Metrics::new().unwrap())
    }

    /// Flights to `name` until there are too many.
    fn fill(routes: &Routes, name: &str) -> Vec<Vec<OwnedSemaphorePermit>> {
        let Ok(route) = routes.of(&name.parse().unwrap()) else { panic!("no route") };
        std::iter::from_fn(|| route.permits(Purpose::Client)).collect()
    }

    #[test]
    fn a_dead_zone_takes_nobody_elses_place() {
        let routes = routes(&["a", "b", "c", "d", "e"]);
        let held = fill(&routes, "x.a");
        assert_eq!(held.len(), 256);
        assert_eq!(fill(&routes, "x.b").len(), 256);
        assert_eq!(fill(&routes, "x").len(), 1_024);
        drop(held);
        let all = ["a", "b", "c", "d", "e", "x"].map(|name| fill(&routes, name));
        assert_eq!(all.map(|held| held.len()).iter().sum::<usize>(), 2_048);
    }

    #[test]
    fn without_zones_the_default_has_all() {
        assert_eq!(fill(&routes(&[]), "x").len(), 2_048);
        assert_eq!(fill(&routes(&["a"]), "x.a").len(), 1_024);
    }
}
