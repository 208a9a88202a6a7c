//! One test a rule, in facts and expectations; then that nothing falls on the floor.

mod aliases;
mod conflicts;
mod every_pair;
mod views;

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    Declined, PolicyConfig, Reason, ServiceRule, ViewPlan,
    facts::{alias, config, inventory, view},
    names, plan, select,
};
use crate::inventory::Inventory;

const SQS: &str = "vpce-1 com.amazonaws.eu-west-1.sqs a=10.0.1.5 b=10.0.2.5 names=sqs.R";
const S3: &str = "vpce-3 com.amazonaws.eu-west-1.s3 a=10.0.1.9 names=*.s3.R,*.s3-control.R";

/// `NAME ORIGIN ENDPOINT ADDRESS...` a claim, `NAME x ENDPOINT WORD` a declined.
fn lines(view: &ViewPlan) -> Vec<String> {
    let claims = view.claims.iter().map(|claim| {
        let ips: Vec<String> = claim.addresses.iter().map(|a| a.ip.to_string()).collect();
        let origin = claim.origin.word();
        format!("{} {origin} {} {}", claim.pattern, claim.endpoint, ips.join(" "))
    });
    let declined = view.declined.iter().map(|declined| {
        let endpoint = declined.endpoint.as_ref().map_or("-", |id| id.as_str());
        let name = declined.name.as_deref().unwrap_or("-");
        format!("{name} x {endpoint} {}", declined.why.word())
    });
    claims.chain(declined).collect()
}

/// What the rest view says of the facts.
#[track_caller]
fn check(facts: &str, config: &PolicyConfig, expected: &[&str]) {
    let plan = plan(&inventory(facts), config);
    assert_eq!(lines(plan.views.last().unwrap()), expected);
}

fn deny(rule: &str) -> PolicyConfig {
    PolicyConfig { deny: vec![ServiceRule::new(rule)], ..config() }
}

fn aliases(list: &[(&str, &str)]) -> PolicyConfig {
    PolicyConfig {
        aliases: list.iter().map(|(name, target)| alias(name, target)).collect(),
        ..config()
    }
}

#[test]
fn a_published_name_has_the_addresses_of_every_zone() {
    check(SQS, &config(), &["sqs.r published vpce-1 10.0.1.5 10.0.2.5"]);
}

#[test]
fn names_come_from_the_service_never_from_its_name() {
    check(
        "vpce-1 com.amazonaws.eu-west-1.ecr.api a=10.0.0.1 names=api.ecr.R,ecr.R.api.aws",
        &config(),
        &["ecr.r.api.aws published vpce-1 10.0.0.1", "api.ecr.r published vpce-1 10.0.0.1"],
    );
}

#[test]
fn only_an_available_endpoint_answers() {
    for (state, word) in [
        ("Available", "published vpce-1 10.0.1.5 10.0.2.5"),
        ("partial", "published vpce-1 10.0.1.5 10.0.2.5"),
        ("pendingAcceptance", "x vpce-1 state"),
        ("deleting", "x vpce-1 state"),
        ("resting", "x vpce-1 state"),
    ] {
        let (name, facts) =
            (if word.starts_with('x') { "sqs.R" } else { "sqs.r" }, format!("{SQS} state={state}"));
        check(&facts, &config(), &[&format!("{name} {word}")]);
    }
}

#[test]
fn a_partial_endpoint_without_addresses_is_declined_by_its_state() {
    let facts = "vpce-1 svc names=n state=partial";
    check(facts, &config(), &["n x vpce-1 state"]);
}

#[test]
fn kinds_that_no_name_leads_to_are_declined() {
    for kind in ["Gateway", "GatewayLoadBalancer", "Tunnel", "Warp"] {
        let facts = format!("{SQS} kind={kind}");
        check(&facts, &config(), &["sqs.R x vpce-1 kind"]);
    }
    check("vpce-1 s a=10.0.0.1 kind=Gateway", &config(), &["- x vpce-1 kind"]);
}

#[test]
fn a_resource_has_its_own_name_and_the_one_that_its_endpoints_owner_agreed_to() {
    let one = "vpce-1 arn:aws:x:rcfg-1 a=10.0.0.1 kind=Resource";
    check(
        &format!("{one} leads=own.R/db.R agreed"),
        &config(),
        &["db.r association_private vpce-1 10.0.0.1", "own.r association vpce-1 10.0.0.1"],
    );
    check(
        &format!("{one} leads=own.R/db.R"),
        &aliases(&[("mine.R", "vpce-1")]),
        &[
            "mine.r alias vpce-1 10.0.0.1",
            "own.r association vpce-1 10.0.0.1",
            "db.R x vpce-1 not_agreed",
        ],
    );
    let lost = format!("{one} leads=own.R/db.R/Inaccessible agreed");
    check(&lost, &config(), &["db.R x vpce-1 inaccessible", "own.R x vpce-1 inaccessible"]);
    check(one, &config(), &["- x vpce-1 nothing_associated"]);
}

#[test]
fn of_several_things_behind_one_endpoint_each_stands_for_its_public_name() {
    let told = |facts: &str| {
        let plan = plan(&inventory(facts), &aliases(&[("mine.R", "vpce-1")]));
        let view = &plan.views[0];
        let cnames = view.cnames.iter().map(|it| format!("{} -> {}", it.pattern, it.target));
        cnames.chain(lines(view)).collect::<Vec<_>>()
    };
    let untold = [
        "mine.r x - alias_target_missing",
        "one.R x vpce-1 address_untold",
        "two.R x vpce-1 address_untold",
    ];
    for kind in ["Resource", "ServiceNetwork"] {
        let facts = format!("vpce-1 arn:x a=10.0.0.1 kind={kind} agreed leads=one.R/db.R,two.R");
        let expected = [&["db.r -> one.r"], &untold[..]].concat();
        assert_eq!(told(&facts), expected, "{kind}");
        // One that is being taken down has the name no more, whichever comes first.
        for leads in ["one.R/db.R,two.R/db.R/Inaccessible", "two.R/db.R/Inaccessible,one.R/db.R"] {
            let facts = format!("vpce-1 arn:x a=10.0.0.1 kind={kind} agreed leads={leads}");
            assert_eq!(told(&facts)[0], "db.r -> one.r", "{kind} {leads}");
        }
    }
    let network = "vpce-1 arn:x a=10.0.0.1 kind=ServiceNetwork leads=one.R/db.R agreed";
    // Who has an address for a name comes first, and of two that stand for others the first.
    let taken = format!("{network}\nvpce-2 s a=10.0.0.2 names=db.R");
    let first = "db.r published vpce-2 10.0.0.2";
    let rest = [
        "mine.r x - alias_target_missing",
        "db.R x vpce-1 address_untold",
        "one.R x vpce-1 address_untold",
    ];
    assert_eq!(told(&taken), [&[first], &rest[..]].concat());
    let both =
        format!("{network}\nvpce-3 arn:y a=10.0.0.3 kind=ServiceNetwork leads=x.R/db.R agreed");
    assert_eq!(told(&both)[0], "db.r -> one.r");
    assert!(told(&both).contains(&"db.R x vpce-3 address_untold".to_owned()));
    let not_agreed = network.replace("agreed", "");
    assert!(told(&not_agreed).contains(&"db.R x vpce-1 not_agreed".to_owned()));
}

#[test]
fn a_service_that_publishes_nothing_is_told_and_its_own_names_are_answered() {
    check(
        "vpce-1 com.amazonaws.eu-west-1.iot.data a=10.0.0.1 dns=vpce-1-x.iot.vpce",
        &config(),
        &["vpce-1-x.iot.vpce regional vpce-1 10.0.0.1", "- x vpce-1 nothing_published"],
    );
}

#[test]
fn s3_wildcards_bring_their_apex_and_others_do_not() {
    check(
        S3,
        &config(),
        &[
            "s3.r s3_apex vpce-3 10.0.1.9",
            "s3-control.r s3_apex vpce-3 10.0.1.9",
            "*.s3.r published vpce-3 10.0.1.9",
            "*.s3-control.r published vpce-3 10.0.1.9",
        ],
    );
    check(
        "vpce-1 com.amazonaws.s3-global.accesspoint a=10.0.0.1 names=*.accesspoint.s3-global",
        &config(),
        &["*.accesspoint.s3-global published vpce-1 10.0.0.1"],
    );
}

#[test]
fn a_zonal_name_has_its_zone_alone_and_the_regional_one_has_all() {
    check(
        &format!("{SQS} dns=vpce-1-q8.sqs.vpce,vpce-1-q8-b.sqs.vpce,vpce-1-q8-c.sqs.vpce,sqs.R"),
        &config(),
        &[
            "sqs.r published vpce-1 10.0.1.5 10.0.2.5",
            "vpce-1-q8.sqs.vpce regional vpce-1 10.0.1.5 10.0.2.5",
            "vpce-1-q8-b.sqs.vpce zonal vpce-1 10.0.2.5",
            "vpce-1-q8-c.sqs.vpce x vpce-1 no_address",
        ],
    );
}

#[test]
fn a_local_zone_is_not_taken_for_a_zone_whose_name_ends_its_own() {
    check(
        "vpce-1 s us-east-1-bos-1a=10.0.0.1 1a=10.0.0.2 names=n dns=vpce-1-q-us-east-1-bos-1a.s",
        &config(),
        &[
            "n published vpce-1 10.0.0.2 10.0.0.1",
            "vpce-1-q-us-east-1-bos-1a.s zonal vpce-1 10.0.0.1",
        ],
    );
}

#[test]
fn s3_own_names_are_wildcards_and_bring_no_apex() {
    check(
        "vpce-3 com.amazonaws.eu-west-1.s3 a=10.0.1.9 b=10.0.2.9 names=*.s3.R \
         dns=*.vpce-3-x.s3.vpce,*.vpce-3-x-a.s3.vpce,s3.R",
        &deny("s3"),
        &[
            "*.vpce-3-x.s3.vpce regional vpce-3 10.0.1.9 10.0.2.9",
            "*.vpce-3-x-a.s3.vpce zonal vpce-3 10.0.1.9",
            "*.s3.R x vpce-3 denied",
            "s3.r x vpce-3 denied",
        ],
    );
}

#[test]
fn a_private_dns_entry_that_is_not_published_is_answered() {
    check(
        &format!("{SQS} dns=queue.R,SQS.R."),
        &config(),
        &["queue.r dns_entry vpce-1 10.0.1.5 10.0.2.5", "sqs.r published vpce-1 10.0.1.5 10.0.2.5"],
    );
}

#[test]
fn a_malformed_name_is_taken_verbatim_and_only_what_is_no_name_is_declined() {
    check(
        "vpce-1 s a=10.0.0.1 names=streaming.appstreameu-west-2,a..b",
        &config(),
        &["streaming.appstreameu-west-2 published vpce-1 10.0.0.1", "a..b x vpce-1 not_a_name"],
    );
}

#[test]
fn the_deny_list_takes_private_names_and_leaves_the_endpoints_own() {
    let facts = "vpce-1 com.amazonaws.eu-west-1.execute-api a=10.0.0.1 \
                 names=*.execute-api.R dns=vpce-1-x.execute-api.vpce,extra.R";
    check(
        facts,
        &deny("execute-api"),
        &[
            "vpce-1-x.execute-api.vpce regional vpce-1 10.0.0.1",
            "*.execute-api.R x vpce-1 denied",
            "extra.R x vpce-1 denied",
        ],
    );
}

#[test]
fn a_saas_name_needs_its_owners_proof() {
    let saas = "vpce-1 com.amazonaws.vpce.eu-west-1.vpce-svc-1 a=10.0.0.1 names=api.example.com";
    let by = |words: &str| format!("{saas} owner=123456789012 {words}");
    let claimed = ["api.example.com published vpce-1 10.0.0.1"];
    let declined = ["api.example.com x vpce-1 unverified"];
    check(&by("verification=verified"), &config(), &claimed);
    check(&by("verification=pendingVerification"), &config(), &declined);
    check(&by("verification=failed"), &config(), &declined);
    check(&format!("{saas} verification=none"), &config(), &claimed);
}

#[test]
fn an_endpoint_for_on_premises_only_keeps_its_own_names() {
    check(
        &format!("{S3} dns=*.vpce-3-x.s3.vpce onprem"),
        &aliases(&[("a", "s3"), ("b", "vpce-3")]),
        &[
            "b alias vpce-3 10.0.1.9",
            "*.vpce-3-x.s3.vpce regional vpce-3 10.0.1.9",
            "a x - alias_target_missing",
            "*.s3-control.R x vpce-3 onprem_only",
            "*.s3.R x vpce-3 onprem_only",
            "s3-control.r x vpce-3 onprem_only",
            "s3.r x vpce-3 onprem_only",
        ],
    );
}

#[test]
fn record_types_follow_the_endpoints_word() {
    for (records, addresses) in [
        ("ipv4", "10.0.0.1"),
        ("ipv6", "fd00::1"),
        ("dualstack", "10.0.0.1 fd00::1"),
        ("service-defined", "10.0.0.1"),
        ("all-at-once", "10.0.0.1 fd00::1"),
    ] {
        let facts = format!("vpce-1 s a=10.0.0.1 a=fd00::1 names=n.r records={records}");
        check(&facts, &config(), &[&format!("n.r published vpce-1 {addresses}")]);
    }
    check("vpce-1 s a=10.0.0.1 names=n records=ipv6", &config(), &["n x vpce-1 no_address"]);
}

#[test]
fn service_defined_gives_dual_stack_names_both_families() {
    check(
        "vpce-1 s a=10.0.0.1 a=fd00::1 names=s.r.api.aws,s.dualstack.r,xapi.aws records=service-defined",
        &config(),
        &[
            "s.r.api.aws published vpce-1 10.0.0.1 fd00::1",
            "xapi.aws published vpce-1 10.0.0.1",
            "s.dualstack.r published vpce-1 10.0.0.1 fd00::1",
        ],
    );
    check(
        "vpce-1 s a=fd00::1 names=s.r records=service-defined",
        &config(),
        &["s.r published vpce-1 fd00::1"],
    );
}

#[test]
fn an_endpoint_without_addresses_never_takes_a_name() {
    check(
        "vpce-1 s names=n created=1
         vpce-2 s a=10.0.0.2 created=2",
        &config(),
        &["n published vpce-2 10.0.0.2", "n x vpce-1 no_address"],
    );
}

#[test]
fn views_differ_by_tags_and_deny_lists_and_the_rest_sees_everything() {
    let mut prod = view("prod", "10.1.0.0/16");
    prod.tags = BTreeMap::from([("env".to_owned(), "prod".to_owned())]);
    let mut onprem = view("onprem", "192.168.0.0/16");
    onprem.deny = vec![ServiceRule::new("s3")];
    let config = PolicyConfig { views: vec![prod, onprem], ..config() };
    let facts = "vpce-1 com.amazonaws.eu-west-1.sqs a=10.0.0.1 names=sqs.R tags=env:prod
                 vpce-2 com.amazonaws.eu-west-1.s3 a=10.0.0.2 names=s3x.R tags=env:test";
    let plan = plan(&inventory(facts), &config);
    let told: Vec<_> = plan.views.iter().map(|v| (v.name.as_str(), lines(v))).collect();
    let sqs = "sqs.r published vpce-1 10.0.0.1".to_owned();
    let s3 = "s3x.r published vpce-2 10.0.0.2".to_owned();
    assert_eq!(
        told,
        [
            ("prod", vec![sqs.clone(), "s3x.R x vpce-2 view_tags".to_owned()]),
            ("onprem", vec![sqs.clone(), "s3x.R x vpce-2 denied".to_owned()]),
            (PolicyConfig::REST_VIEW, vec![s3, sqs]),
        ]
    );
}

#[test]
fn caveats_are_told_of_shared_wildcards_and_of_guardduty() {
    let facts = "vpce-1 com.amazonaws.eu-west-1.transfer.server a=10.0.0.1 names=*.t,t
                 vpce-2 com.amazonaws.eu-west-1.guardduty-data a=10.0.0.2 names=g dns=vpce-2-x.g
                 vpce-3 aws.sagemaker.eu-west-1.notebook a=10.0.0.3 names=*.n";
    let plan = plan(&inventory(facts), &config());
    let told: Vec<String> = plan.views[0]
        .claims
        .iter()
        .map(|claim| {
            let words: Vec<&str> = claim.caveats.iter().map(|caveat| caveat.word()).collect();
            format!("{} {}", claim.pattern, words.join(" "))
        })
        .collect();
    assert_eq!(
        told,
        ["g made_per_vpc", "vpce-2-x.g ", "t ", "*.n shared_wildcard", "*.t shared_wildcard",]
    );
}

#[test]
fn a_kind_that_has_no_address_teaches_why() {
    let plan = plan(&inventory(&format!("{S3} kind=gateway")), &config());
    assert_eq!(
        plan.views[0].declined.iter().next().unwrap().why.to_string(),
        "the endpoint is of kind Gateway: it is a route of its VPC and has no address; only hosts of \
         that VPC can use it, and an interface endpoint of the same service is what others need"
    );
}
