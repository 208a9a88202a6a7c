//! Leaves addresses that do not answer probes out of what is said.
//!
//! Never takes a name's last address of a family: clients are better off with one that may work
//! than with none, and it may be the prober that is cut off. Knows nothing of probes.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
};

use crate::base::{EndpointId, RecordType};

use super::{Address, Caveat, Plan};

/// What a plan that has been through [`without`] owes to addresses that are down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outage {
    /// Addresses that are down, each once, whether left out or given out all the same.
    pub unhealthy_addresses: usize,
    /// Endpoints that have no address of a family that is not down, so that all are given out.
    pub endpoints_failing_open: usize,
}

/// The same names with the addresses that are up. Where all addresses of a family are down the
/// name keeps them. Either way the claim gets a caveat that says so. For a plan as
/// [`plan`](super::plan) makes it: what was left out once does not come back.
pub fn without(mut plan: Plan, down: &dyn Fn(&IpAddr) -> bool) -> Plan {
    // Names of an endpoint have their addresses in common before, and so they have after.
    let mut remaining: HashMap<*const [Address], Remaining> = HashMap::new();
    for claim in plan.views.iter_mut().flat_map(|view| &mut view.claims) {
        // Most addresses are up most of the time.
        if claim.addresses.iter().any(|address| down(&address.ip)) {
            let of_these = remaining.entry(Arc::as_ptr(&claim.addresses));
            let Remaining { kept, caveats, .. } =
                of_these.or_insert_with(|| Remaining::of(&claim.addresses, down));
            claim.addresses = Arc::clone(kept);
            claim.caveats.extend_from_slice(caveats);
        }
    }
    plan
}

/// What is left of some addresses.
struct Remaining {
    kept: Arc<[Address]>,
    caveats: Vec<Caveat>,
    /// Kept so that nothing else comes to stand where they do.
    _all: Arc<[Address]>,
}

// === impl Remaining ===

impl Remaining {
    fn of(all: &Arc<[Address]>, down: &dyn Fn(&IpAddr) -> bool) -> Self {
        let up: BTreeSet<RecordType> = all.iter().filter(|it| !down(&it.ip)).map(family).collect();
        let failing: BTreeSet<RecordType> =
            all.iter().map(family).filter(|family| !up.contains(family)).collect();
        let (kept, left_out): (Vec<Address>, Vec<Address>) = all
            .iter()
            .cloned()
            .partition(|address| failing.contains(&family(address)) || !down(&address.ip));
        let left_out = (!left_out.is_empty()).then(|| Caveat::LeftOut(Arc::from(left_out)));
        let failing = failing.into_iter().map(Caveat::FailingOpen);
        let caveats = left_out.into_iter().chain(failing).collect();
        Self { kept: kept.into(), caveats, _all: Arc::clone(all) }
    }
}

fn family(address: &Address) -> RecordType {
    match address.ip {
        IpAddr::V4(_) => RecordType::A,
        IpAddr::V6(_) => RecordType::AAAA,
    }
}

// === impl Outage ===

impl Outage {
    /// Reads it from the caveats. An endpoint whose zonal name alone fails open is not counted:
    /// its other names have addresses that are up.
    pub fn of(plan: &Plan) -> Outage {
        let mut unhealthy: BTreeSet<IpAddr> = BTreeSet::new();
        // Whether every address of that family that a claim of that endpoint gives out is down.
        let mut all_down: BTreeMap<(&EndpointId, RecordType), bool> = BTreeMap::new();
        for claim in plan.views.iter().flat_map(|view| &view.claims) {
            for caveat in &claim.caveats {
                match caveat {
                    Caveat::LeftOut(addresses) => unhealthy.extend(addresses.iter().map(|a| a.ip)),
                    Caveat::FailingOpen(_) | Caveat::SharedWildcard | Caveat::MadePerVpc => (),
                }
            }
            for address in claim.addresses.iter() {
                let family = family(address);
                let failing = claim.caveats.contains(&Caveat::FailingOpen(family));
                *all_down.entry((&claim.endpoint, family)).or_insert(true) &= failing;
                if failing {
                    unhealthy.insert(address.ip);
                }
            }
        }
        let failing_open: BTreeSet<&EndpointId> =
            all_down.iter().filter(|(_, all)| **all).map(|((endpoint, _), _)| *endpoint).collect();
        Outage { unhealthy_addresses: unhealthy.len(), endpoints_failing_open: failing_open.len() }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, net::IpAddr};

    use proptest::prelude::*;

    use super::{Outage, family, without};
    use crate::policy::{
        Caveat, Plan,
        facts::{config, inventory, view},
        plan,
    };

    const SQS: &str = "vpce-1 s.sqs a=10.0.1.5 b=10.0.2.5 c=10.0.3.5 names=sqs.R";
    const DUAL: &str = "vpce-1 s.sqs a=10.0.1.5 b=10.0.2.5 a=fd00::1 b=fd00::2 names=sqs.R";
    const ZONAL: &str =
        "vpce-1 s.sqs a=10.0.1.5 b=10.0.2.5 names=sqs.R dns=vpce-1-x.v,vpce-1-x-a.v,vpce-1-x-b.v";

    fn planned(facts: &str, down: &[&str]) -> Plan {
        let down: BTreeSet<IpAddr> = down.iter().map(|ip| ip.parse().unwrap()).collect();
        without(plan(&inventory(facts), &config()), &|ip| down.contains(ip))
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
        assert_eq!(Outage::of(&plan), Outage { unhealthy_addresses, endpoints_failing_open });
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
        let plan = without(plan(&facts, &config), &|ip| ip.to_string() != "10.0.1.6");
        assert_eq!(Outage::of(&plan), Outage { unhealthy_addresses: 2, endpoints_failing_open: 1 });
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

    proptest! {
        #[test]
        fn no_family_is_emptied_and_every_address_is_given_or_told(
            lines in prop::collection::vec(any_line(), 0..4),
            down in prop::sample::subsequence(ADDRESSES.to_vec(), 0..=6),
        ) {
            let ips = down.iter().filter_map(|word| word.split_once('=')?.1.parse().ok());
            let down: BTreeSet<IpAddr> = ips.collect();
            let before = plan(&inventory(&lines.join("\n")), &config());
            let after = without(before.clone(), &|ip| down.contains(ip));
            prop_assert_eq!(&without(before.clone(), &|_| false), &before);
            if down.is_empty() {
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
                    if let Caveat::LeftOut(addresses) = caveat {
                        prop_assert!(addresses.iter().all(|address| down.contains(&address.ip)));
                        told.extend(addresses.iter().cloned());
                    }
                }
                told.sort();
                prop_assert_eq!(&told[..], &old.addresses[..]);
                for given in new.addresses.iter().filter(|address| down.contains(&address.ip)) {
                    prop_assert!(new.caveats.contains(&Caveat::FailingOpen(family(given))));
                    let up = |it: &&crate::policy::Address| !down.contains(&it.ip);
                    let same = |it: &&crate::policy::Address| family(it) == family(given);
                    prop_assert_eq!(old.addresses.iter().filter(same).filter(up).count(), 0);
                }
            }
        }
    }
}
