//! Leaves addresses out of what is said: those that do not answer probes, and those of a zone that a
//! person has drained.
//!
//! Never takes a name's last address of a family: clients are better off with one that may work
//! than with none, and it may be the prober that is cut off. Knows nothing of probes.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
};

use crate::base::{Az, EndpointId, RecordType};

use super::{Address, Caveat, Plan};

/// What a plan that has been through [`without`] owes to addresses that are left out, or would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outage {
    /// Addresses that are down, each once, whether left out or given out all the same.
    pub unhealthy_addresses: usize,
    /// Endpoints that have no address of a family that is not down, so that all are given out.
    pub endpoints_failing_open: usize,
    /// Endpoints of which no address has ever answered.
    pub endpoints_unheard: usize,
    /// Addresses of drained zones that are left out, each once.
    pub drained_addresses: usize,
    /// Endpoints of which a family has its addresses in drained zones alone, or none elsewhere that
    /// is up, so that these are given out.
    pub endpoints_overruling_drain: usize,
}

/// The same names without the addresses that are down, and without those of drained zones. Of each
/// family a name keeps the first of these that it has: addresses that are up and in no drained zone;
/// that are up; that are in no drained zone; all. Whatever is left out or overruled, the claim gets
/// a caveat that says so. For a plan as [`plan`](super::plan) makes it: what was left out once does
/// not come back.
pub fn without(
    mut plan: Plan,
    down: &dyn Fn(&IpAddr) -> bool,
    drained: &dyn Fn(&Az) -> bool,
) -> Plan {
    // Names of an endpoint have their addresses in common before, and so they have after.
    let mut remaining: HashMap<*const [Address], Remaining> = HashMap::new();
    for claim in plan.views.iter_mut().flat_map(|view| &mut view.claims) {
        // Most addresses are up most of the time.
        if claim.addresses.iter().any(|address| down(&address.ip) || drained(&address.az)) {
            let of_these = remaining.entry(Arc::as_ptr(&claim.addresses));
            let Remaining { kept, caveats, .. } =
                of_these.or_insert_with(|| Remaining::of(&claim.addresses, down, drained));
            claim.addresses = Arc::clone(kept);
            claim.caveats.extend_from_slice(caveats);
        }
    }
    plan
}

/// Tells of endpoints of which no address has ever answered a probe, as `unheard` says of each: they
/// may listen on other ports, and silence on this one is no outage. Their addresses, which are not to
/// be taken for down.
pub fn unheard(plan: &mut Plan, unheard: &dyn Fn(&IpAddr) -> bool) -> BTreeSet<IpAddr> {
    let mut silent: BTreeSet<EndpointId> = BTreeSet::new();
    let claims = || plan.views.iter().flat_map(|view| &view.claims);
    for claim in claims().filter(|claim| claim.addresses.iter().any(|it| unheard(&it.ip))) {
        silent.insert(claim.endpoint.clone());
    }
    if silent.is_empty() {
        return BTreeSet::new();
    }
    for claim in claims().filter(|claim| !claim.addresses.iter().all(|it| unheard(&it.ip))) {
        silent.remove(&claim.endpoint);
    }
    let mut addresses = BTreeSet::new();
    for claim in plan.views.iter_mut().flat_map(|view| &mut view.claims) {
        if silent.contains(&claim.endpoint) {
            addresses.extend(claim.addresses.iter().map(|address| address.ip));
            claim.caveats.push(Caveat::Unheard);
        }
    }
    addresses
}

/// What is left of some addresses.
struct Remaining {
    kept: Arc<[Address]>,
    caveats: Vec<Caveat>,
    /// Kept so that nothing else comes to stand where they do.
    _all: Arc<[Address]>,
}

/// What is the matter with an address; of a name's addresses of a family the first of these are
/// given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Given {
    /// Nothing.
    Good,
    /// Its zone is drained: it answers, which is better than one that does not.
    Drained,
    /// It is down.
    Down,
    /// Both.
    Both,
}

// === impl Remaining ===

impl Remaining {
    fn of(
        all: &Arc<[Address]>,
        down: &dyn Fn(&IpAddr) -> bool,
        drained: &dyn Fn(&Az) -> bool,
    ) -> Self {
        let mut given: BTreeMap<RecordType, Given> = BTreeMap::new();
        for address in all.iter() {
            let fits = Given::of(down(&address.ip), drained(&address.az));
            let best = given.entry(family(address)).or_insert(fits);
            *best = fits.min(*best);
        }
        let is_given = |address: &Address| {
            let fits = Given::of(down(&address.ip), drained(&address.az));
            given.get(&family(address)) == Some(&fits)
        };
        let (kept, left_out): (Vec<Address>, Vec<Address>) =
            all.iter().cloned().partition(is_given);
        // Where all are down, that is not why some are left out.
        let some_are_up = |address: &Address| {
            matches!(given.get(&family(address)), Some(Given::Good | Given::Drained))
        };
        let (down, drained): (Vec<Address>, Vec<Address>) =
            left_out.into_iter().partition(|address| down(&address.ip) && some_are_up(address));
        let mut caveats = Vec::new();
        if !down.is_empty() {
            caveats.push(Caveat::LeftOut(Arc::from(down)));
        }
        if !drained.is_empty() {
            caveats.push(Caveat::Drained(Arc::from(drained)));
        }
        for (family, given) in given {
            match given {
                Given::Good => (),
                Given::Drained => caveats.push(Caveat::DrainOverruled(family)),
                Given::Down => caveats.push(Caveat::FailingOpen(family)),
                Given::Both => {
                    caveats.extend([Caveat::FailingOpen(family), Caveat::DrainOverruled(family)]);
                }
            }
        }
        Self { kept: kept.into(), caveats, _all: Arc::clone(all) }
    }
}

fn family(address: &Address) -> RecordType {
    match address.ip {
        IpAddr::V4(_) => RecordType::A,
        IpAddr::V6(_) => RecordType::AAAA,
    }
}

// === impl Given ===

impl Given {
    fn of(down: bool, drained: bool) -> Self {
        match (down, drained) {
            (false, false) => Given::Good,
            (false, true) => Given::Drained,
            (true, false) => Given::Down,
            (true, true) => Given::Both,
        }
    }
}

// === impl Outage ===

impl Outage {
    /// Reads it from the caveats. An endpoint whose zonal name alone is given what would be left out
    /// is not counted: its other names have better addresses.
    pub fn of(plan: &Plan) -> Outage {
        let mut unhealthy: BTreeSet<IpAddr> = BTreeSet::new();
        let mut drained: BTreeSet<IpAddr> = BTreeSet::new();
        let mut unheard: BTreeSet<&EndpointId> = BTreeSet::new();
        // Whether every address of that family that a claim of that endpoint gives out is down, and
        // whether each is in a drained zone.
        let mut all: BTreeMap<(&EndpointId, RecordType), (bool, bool)> = BTreeMap::new();
        for claim in plan.views.iter().flat_map(|view| &view.claims) {
            for caveat in &claim.caveats {
                match caveat {
                    Caveat::LeftOut(addresses) => unhealthy.extend(addresses.iter().map(|a| a.ip)),
                    Caveat::Drained(addresses) => drained.extend(addresses.iter().map(|a| a.ip)),
                    Caveat::Unheard => {
                        unheard.insert(&claim.endpoint);
                    }
                    Caveat::FailingOpen(_)
                    | Caveat::DrainOverruled(_)
                    | Caveat::SharedWildcard
                    | Caveat::MadePerVpc => (),
                }
            }
            for address in claim.addresses.iter() {
                let family = family(address);
                let failing = claim.caveats.contains(&Caveat::FailingOpen(family));
                let overruled = claim.caveats.contains(&Caveat::DrainOverruled(family));
                let known = all.entry((&claim.endpoint, family)).or_insert((true, true));
                *known = (known.0 && failing, known.1 && overruled);
                if failing {
                    unhealthy.insert(address.ip);
                }
            }
        }
        let endpoints = |is: fn(&(bool, bool)) -> bool| {
            let those = all.iter().filter(|(_, known)| is(known));
            those.map(|((endpoint, _), _)| *endpoint).collect::<BTreeSet<&EndpointId>>().len()
        };
        Outage {
            unhealthy_addresses: unhealthy.len(),
            endpoints_failing_open: endpoints(|(failing, _)| *failing),
            endpoints_unheard: unheard.len(),
            drained_addresses: drained.len(),
            endpoints_overruling_drain: endpoints(|(_, overruled)| *overruled),
        }
    }
}

#[cfg(test)]
mod tests;
