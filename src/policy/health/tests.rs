//! Which addresses are left when some are down or drained.

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
    assert_eq!(said(SQS, &["10.0.1.5"]), ["10.0.1.5 (a) is left out: it does not answer probes"]);
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
            let dns: Vec<String> = ends.iter().map(|end| format!("vpce-{id}-{end}.v")).collect();
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
