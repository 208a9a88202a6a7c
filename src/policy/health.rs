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
mod tests {
    use std::{collections::BTreeSet, net::IpAddr};

    use proptest::prelude::*;

    use super::{Outage, family, unheard, without};
    use crate::{
        base::Az,
        policy::{
            Caveat, Plan,
            facts::{config, inventory, view},
            plan,
        },
    };

    const SQS: &str = "vpce-1 s.sqs a=10.0.1.5 b=10.0.2.5 c=10.0.3.5 names=sqs.R";
    const DUAL: &str = "vpce-1 s.sqs a=10.0.1.5 b=10.0.2.5 a=fd00::1 b=fd00::2 names=sqs.R";
    const ZONAL: &str =
        "vpce-1 s.sqs a=10.0.1.5 b=10.0.2.5 names=sqs.R dns=vpce-1-x.v,vpce-1-x-a.v,vpce-1-x-b.v";

    fn planned(facts: &str, down: &[&str]) -> Plan {
        let down: BTreeSet<IpAddr> = down.iter().map(|ip| ip.parse().unwrap()).collect();
        without(plan(&inventory(facts), &config()), &|ip| down.contains(ip), &|_| false)
    }

    /// `NAME ADDRESS... | CAVEAT...` for each claim, and the outage as two numbers.
    #[track_caller]
    fn check(facts: &str, down: &[&str], expected: &[&str], outage: (usize, usize)) {
        let plan = planned(facts, down);
        let told: Vec<String> = plan.views[0]
            .claims
            .iter()
            .map(|claim| {
                let ips = claim.addresses.iter().map(|address| address.ip.to_string());
                let words = claim.caveats.iter().map(|caveat| caveat.word().to_owned());
                let words: Vec<String> = ips.chain(["|".to_owned()]).chain(words).collect();
                format!("{} {}", claim.pattern, words.join(" "))
            })
            .collect();
        assert_eq!(told, expected);
        let (unhealthy_addresses, endpoints_failing_open) = outage;
        let expected = Outage { unhealthy_addresses, endpoints_failing_open, ..Outage::default() };
        assert_eq!(Outage::of(&plan), expected);
    }

    #[test]
    fn an_address_that_is_down_is_left_out() {
        check(SQS, &["10.0.2.5"], &["sqs.r 10.0.1.5 10.0.3.5 | left_out"], (1, 0));
        check(SQS, &["10.0.9.9"], &["sqs.r 10.0.1.5 10.0.2.5 10.0.3.5 |"], (0, 0));
    }

    #[test]
    fn a_name_keeps_all_its_addresses_when_all_are_down() {
        let all = &["10.0.1.5", "10.0.2.5", "10.0.3.5"];
        check(SQS, all, &["sqs.r 10.0.1.5 10.0.2.5 10.0.3.5 | failing_open"], (3, 1));
    }

    #[test]
    fn each_family_stands_for_itself() {
        check(
            DUAL,
            &["10.0.1.5", "fd00::1", "fd00::2"],
            &["sqs.r fd00::1 10.0.2.5 fd00::2 | left_out failing_open"],
            (3, 1),
        );
        check(DUAL, &["fd00::1"], &["sqs.r 10.0.1.5 10.0.2.5 fd00::2 | left_out"], (1, 0));
        let all = &["10.0.1.5", "10.0.2.5", "fd00::1", "fd00::2"];
        check(
            DUAL,
            all,
            &["sqs.r 10.0.1.5 fd00::1 10.0.2.5 fd00::2 | failing_open failing_open"],
            (4, 1),
        );
    }

    #[test]
    fn a_zonal_name_fails_open_alone_and_its_endpoint_does_not() {
        check(
            ZONAL,
            &["10.0.1.5"],
            &[
                "sqs.r 10.0.2.5 | left_out",
                "vpce-1-x.v 10.0.2.5 | left_out",
                "vpce-1-x-a.v 10.0.1.5 | failing_open",
                "vpce-1-x-b.v 10.0.2.5 |",
            ],
            (1, 0),
        );
    }

    #[test]
    fn an_endpoint_counts_once_whatever_the_number_of_views_and_names() {
        let facts = inventory(&format!("{ZONAL}\nvpce-2 s.b a=10.0.1.6 names=b.R"));
        let mut config = config();
        config.views = vec![view("v", "10.0.0.0/8")];
        let plan = without(plan(&facts, &config), &|ip| ip.to_string() != "10.0.1.6", &|_| false);
        let outage = Outage::of(&plan);
        assert_eq!((outage.unhealthy_addresses, outage.endpoints_failing_open), (2, 1));
    }

    #[test]
    fn an_endpoint_that_never_answered_is_told_and_not_taken_for_down() {
        let facts = format!("{ZONAL}\nvpce-2 s.b a=10.0.1.6 b=10.0.2.6 names=b.R");
        let told = |never: &[&str]| {
            let is_unheard = |ip: &IpAddr| never.contains(&ip.to_string().as_str());
            let mut plan = plan(&inventory(&facts), &config());
            let silent = unheard(&mut plan, &is_unheard);
            let down = |ip: &IpAddr| is_unheard(ip) && !silent.contains(ip);
            let plan = without(plan, &down, &|_| false);
            let claim = plan.views[0].claims.iter().find(|it| it.pattern.to_string() == "b.r");
            let Outage { unhealthy_addresses, endpoints_failing_open, endpoints_unheard, .. } =
                Outage::of(&plan);
            let words = claim.unwrap().caveats.iter().map(Caveat::word).collect::<Vec<_>>();
            (words, [unhealthy_addresses, endpoints_failing_open, endpoints_unheard])
        };
        assert_eq!(told(&["10.0.1.6", "10.0.2.6"]), (vec!["unheard"], [0, 0, 1]));
        // Where another address of the endpoint answers at this port, they all should.
        assert_eq!(told(&["10.0.1.6"]), (vec!["left_out"], [1, 0, 0]));
        // A zonal name alone has silent addresses alone, its endpoint has not.
        assert_eq!(told(&["10.0.1.5"]), (vec![], [1, 0, 0]));
    }

    #[test]
    fn a_person_reads_which_addresses_are_meant() {
        let said = |facts, down| -> Vec<String> {
            let plan = planned(facts, down);
            plan.views[0].claims[0].caveats.iter().map(Caveat::to_string).collect()
        };
        assert_eq!(
            said(SQS, &["10.0.1.5"]),
            ["10.0.1.5 (a) is left out: it does not answer probes"]
        );
        assert_eq!(
            said(DUAL, &["10.0.2.5", "fd00::1", "fd00::2"]),
            [
                "10.0.2.5 (b) is left out: it does not answer probes",
                "none of its AAAA addresses answers probes: all are given out",
            ]
        );
        assert_eq!(
            said(SQS, &["10.0.1.5", "10.0.3.5"]),
            ["10.0.1.5 (a), 10.0.3.5 (c) are left out: they do not answer probes"]
        );
    }

    const ADDRESSES: [&str; 6] =
        ["a=10.0.0.1", "b=10.0.0.2", "c=10.0.0.3", "a=fd00::1", "b=fd00::2", "c=fd00::3"];

    fn any_line() -> impl Strategy<Value = String> {
        let ends = prop::sample::subsequence(vec!["x", "x-a", "x-b", "y"], 0..=4);
        (1..4u8, prop::sample::subsequence(ADDRESSES.to_vec(), 1..=6), ends).prop_map(
            |(id, addresses, ends)| {
                let dns: Vec<String> =
                    ends.iter().map(|end| format!("vpce-{id}-{end}.v")).collect();
                let addresses = addresses.join(" ");
                format!("vpce-{id} s.{id} {addresses} names=n{id},*.w dns={}", dns.join(","))
            },
        )
    }

    /// The claims of what is left when these are down and these zones drained.
    fn drained(facts: &str, down: &[&str], zones: &[&str]) -> (Vec<String>, Outage) {
        let down: BTreeSet<IpAddr> = down.iter().map(|ip| ip.parse().unwrap()).collect();
        let plan = without(plan(&inventory(facts), &config()), &|ip| down.contains(ip), &|az| {
            zones.iter().any(|zone| az.is_called(zone))
        });
        let told = plan.views[0].claims.iter().map(|claim| {
            let ips: Vec<String> = claim.addresses.iter().map(|it| it.ip.to_string()).collect();
            let words: Vec<&str> = claim.caveats.iter().map(Caveat::word).collect();
            format!("{} {} | {}", claim.pattern, ips.join(" "), words.join(" "))
        });
        (told.collect(), Outage::of(&plan))
    }

    #[test]
    fn a_drained_zone_leaves_and_what_answers_goes_before_what_is_not_drained() {
        for (down, zones, expected, counted) in [
            (&[][..], &["b"][..], "10.0.1.5 10.0.3.5 | drained", (1, 0, 0)),
            (&[], &["a", "b"], "10.0.3.5 | drained", (2, 0, 0)),
            (&[], &["a", "b", "c"], "10.0.1.5 10.0.2.5 10.0.3.5 | drain_overruled", (0, 1, 0)),
            (&["10.0.1.5"], &["b"], "10.0.3.5 | left_out drained", (1, 0, 0)),
            (&["10.0.1.5", "10.0.3.5"], &["b"], "10.0.2.5 | left_out drain_overruled", (0, 1, 0)),
            (
                &["10.0.1.5", "10.0.2.5", "10.0.3.5"],
                &["b"],
                "10.0.1.5 10.0.3.5 | drained failing_open",
                (1, 0, 1),
            ),
            (
                &["10.0.1.5", "10.0.2.5", "10.0.3.5"],
                &["a", "b", "c"],
                "10.0.1.5 10.0.2.5 10.0.3.5 | failing_open drain_overruled",
                (0, 1, 1),
            ),
        ] {
            let (told, outage) = drained(SQS, down, zones);
            assert_eq!(told, [format!("sqs.r {expected}")], "{down:?} {zones:?}");
            let Outage {
                drained_addresses: drained,
                endpoints_overruling_drain: overruling,
                endpoints_failing_open: failing,
                ..
            } = outage;
            assert_eq!((drained, overruling, failing), counted, "{down:?} {zones:?}");
        }
    }

    #[test]
    fn a_drained_zones_own_name_keeps_its_address_and_its_endpoint_is_not_counted() {
        let (told, outage) = drained(ZONAL, &[], &["a"]);
        assert_eq!(told[0], "sqs.r 10.0.2.5 | drained");
        assert_eq!(told[2], "vpce-1-x-a.v 10.0.1.5 | drain_overruled");
        assert_eq!((outage.drained_addresses, outage.endpoints_overruling_drain), (1, 0));
    }

    proptest! {
        #[test]
        fn no_family_is_emptied_and_every_address_is_given_or_told(
            lines in prop::collection::vec(any_line(), 0..4),
            down in prop::sample::subsequence(ADDRESSES.to_vec(), 0..=6),
            zones in prop::sample::subsequence(vec!["a", "b", "c"], 0..=3),
        ) {
            let ips = down.iter().filter_map(|word| word.split_once('=')?.1.parse().ok());
            let down: BTreeSet<IpAddr> = ips.collect();
            let before = plan(&inventory(&lines.join("\n")), &config());
            let is_drained = |az: &Az| zones.iter().any(|zone| az.is_called(zone));
            let after = without(before.clone(), &|ip| down.contains(ip), &is_drained);
            prop_assert_eq!(&without(before.clone(), &|_| false, &|_| false), &before);
            if down.is_empty() && zones.is_empty() {
                prop_assert_eq!(&after, &before);
            }
            let claims = |plan: &Plan| -> Vec<_> {
                plan.views.iter().flat_map(|view| view.claims.clone()).collect()
            };
            prop_assert_eq!(claims(&before).len(), claims(&after).len());
            for (old, new) in claims(&before).into_iter().zip(claims(&after)) {
                prop_assert_eq!(&old.pattern, &new.pattern);
                let families = |claim: &crate::policy::Claim| -> BTreeSet<_> {
                    claim.addresses.iter().map(family).collect()
                };
                prop_assert_eq!(families(&old), families(&new));
                let mut told = new.addresses.to_vec();
                for caveat in &new.caveats {
                    let (addresses, why): (_, &dyn Fn(&crate::policy::Address) -> bool) =
                        match caveat {
                            Caveat::LeftOut(addresses) => (addresses, &|it| down.contains(&it.ip)),
                            Caveat::Drained(addresses) => (addresses, &|it| is_drained(&it.az)),
                            _ => continue,
                        };
                    prop_assert!(addresses.iter().all(why));
                    told.extend(addresses.iter().cloned());
                }
                told.sort();
                prop_assert_eq!(&told[..], &old.addresses[..]);
                for given in new.addresses.iter() {
                    // Nothing that was left out of its family is better than what is given out.
                    let badness =
                        |it: &crate::policy::Address| (down.contains(&it.ip), is_drained(&it.az));
                    let same = |it: &&crate::policy::Address| family(it) == family(given);
                    let best = old.addresses.iter().filter(same).map(badness).min();
                    prop_assert_eq!(Some(badness(given)), best);
                    let (failing, overruled) = badness(given);
                    let says = |caveat| new.caveats.contains(&caveat);
                    prop_assert_eq!(failing, says(Caveat::FailingOpen(family(given))));
                    prop_assert_eq!(overruled, says(Caveat::DrainOverruled(family(given))));
                }
            }
        }
    }
}
