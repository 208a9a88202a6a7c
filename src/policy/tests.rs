//! One test a rule, in facts and expectations; then that nothing falls on the floor.

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
fn only_interface_endpoints_answer() {
    for kind in ["Gateway", "GatewayLoadBalancer", "Resource", "ServiceNetwork", "Tunnel", "Warp"] {
        let facts = format!("{SQS} kind={kind}");
        check(&facts, &config(), &["sqs.R x vpce-1 kind"]);
    }
    check("vpce-1 s a=10.0.0.1 kind=Gateway", &config(), &["- x vpce-1 kind"]);
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

/// The winner's and the loser's line of `n`, and the rule.
#[track_caller]
fn contest(facts: &str, config: &PolicyConfig, winner: &str, rule: &str) {
    let plan = plan(&inventory(facts), config);
    let view = plan.views.last().unwrap();
    assert_eq!(view.claims[0].endpoint.as_str(), winner);
    let lost: Vec<&Reason> = view.declined.iter().map(|declined| &declined.why).collect();
    let [Reason::Conflict { winner: named, by }] = lost[..] else {
        panic!("one conflict expected, not {lost:?}");
    };
    assert_eq!((named.as_str(), &*format!("{by:?}")), (winner, rule));
}

#[test]
fn a_conflict_goes_to_the_source_then_the_age_then_the_id() {
    let one = "vpce-1 s a=10.0.0.1 names=n";
    let two = "vpce-2 s a=10.0.0.2 names=n";
    let sources = format!("{two} source=first created=9\n{one} source=second created=1");
    contest(&sources, &config(), "vpce-2", "Source");
    let ages = format!("{one} created=9\n{two} created=1");
    contest(&ages, &config(), "vpce-2", "Age");
    contest(&format!("{one}\n{two} created=1"), &config(), "vpce-2", "Age");
    contest(&format!("{two}\n{one}"), &config(), "vpce-1", "Id");
}

#[test]
fn an_alias_beats_a_published_name() {
    let facts = "vpce-1 com.amazonaws.eu-west-1.one a=10.0.0.1 names=n created=1
                 vpce-2 com.amazonaws.eu-west-1.two a=10.0.0.2 names=m created=2";
    let plan = plan(&inventory(facts), &aliases(&[("n", "two")]));
    assert_eq!(
        lines(&plan.views[0]),
        ["m published vpce-2 10.0.0.2", "n alias vpce-2 10.0.0.2", "n x vpce-1 conflict",]
    );
    let why = plan.views[0].declined[0].why.to_string();
    assert_eq!(why, "vpce-2 has it: the operator named it by an alias");
}

#[test]
fn an_alias_to_a_service_goes_to_the_oldest_usable_endpoint() {
    let facts = "vpce-1 com.amazonaws.eu-west-1.sqs a=10.0.0.1 state=deleting created=1
                 vpce-2 com.amazonaws.eu-west-1.sqs a=10.0.0.2 created=3
                 vpce-3 com.amazonaws.eu-west-1.sqs a=10.0.0.3 created=2 names=sqs.R";
    check(
        facts,
        &aliases(&[("q", "sqs"), ("q2", "vpce-2"), ("q3", "sns"), ("q4", "vpce-1")]),
        &[
            "q alias vpce-3 10.0.0.3",
            "q2 alias vpce-2 10.0.0.2",
            "sqs.r published vpce-3 10.0.0.3",
            "q3 x - alias_target_missing",
            "q4 x - alias_target_missing",
            "sqs.R x vpce-1 state",
            "q x vpce-2 conflict",
            "sqs.R x vpce-2 conflict",
        ],
    );
}

#[test]
fn an_alias_overrules_the_deny_list() {
    let dynamodb = "vpce-1 com.amazonaws.eu-west-1.dynamodb a=10.0.0.1 names=dynamodb.R";
    let denied =
        PolicyConfig { aliases: vec![alias("dynamodb.R", "dynamodb")], ..deny("dynamodb") };
    check(dynamodb, &deny("dynamodb"), &["dynamodb.R x vpce-1 denied"]);
    check(dynamodb, &denied, &["dynamodb.r alias vpce-1 10.0.0.1"]);
}

#[test]
fn of_two_aliases_of_one_name_the_first_counts() {
    check(
        "vpce-1 s a=10.0.0.1 names=m created=1
         vpce-2 t a=10.0.0.2 names=o created=2",
        &aliases(&[("n", "vpce-2"), ("n", "vpce-1"), ("n", "vpce-1")]),
        &[
            "m published vpce-1 10.0.0.1",
            "n alias vpce-2 10.0.0.2",
            "o published vpce-2 10.0.0.2",
            "n x vpce-1 conflict",
        ],
    );
}

#[test]
fn an_endpoint_seen_by_two_sources_speaks_for_the_first() {
    let plan = plan(
        &inventory(&format!("{SQS} source=one\n{SQS} source=two")),
        &aliases(&[("sqs.R", "sqs")]),
    );
    let view = &plan.views[0];
    assert_eq!(lines(view), ["sqs.r alias vpce-1 10.0.1.5 10.0.2.5", "sqs.R x vpce-1 conflict"]);
    assert_eq!(view.claims[0].source.as_str(), "one");
    assert_eq!(view.declined[0].source.as_ref().unwrap().as_str(), "two");
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
        plan.views[0].declined[0].why.to_string(),
        "the endpoint is of kind Gateway: it is a route of its VPC and has no address"
    );
}

// Nothing falls on the floor.

/// A few endpoints that share few names, ids and zones, so that every rule meets every other.
fn any_line() -> impl Strategy<Value = String> {
    let id = prop::sample::select(vec!["vpce-1", "vpce-2", "vpce-3"]);
    let service = prop::sample::select(vec!["com.amazonaws.eu-west-1.s3", "svc.b", "svc.c"]);
    let zones = prop::sample::subsequence(vec!["a=10.0.0.1", "b=10.0.0.2", "a=fd00::1"], 0..=3);
    let names = prop::sample::subsequence(vec!["*.s3.R", "s3.R", "n", "N.", "a..b"], 0..=5);
    let dns = prop::sample::subsequence(
        vec!["vpce-1-x.v", "vpce-2-x-a.v", "*.vpce-3-x-c.v", "n", "m", "a..b", "*.s3.r"],
        0..=7,
    );
    let words = prop::sample::subsequence(
        vec![
            "state=deleting",
            "kind=Gateway",
            "records=ipv6",
            "records=service-defined",
            "owner=1",
            "verification=failed",
            "created=1",
            "created=2",
            "source=two",
            "tags=env:prod",
            "onprem",
        ],
        0..=4,
    );
    (id, service, zones, names, dns, words).prop_map(|(id, service, zones, names, dns, words)| {
        let mut line = format!("{id} {service} {} {}", zones.join(" "), words.join(" "));
        for (key, list) in [("names", names), ("dns", dns)] {
            if !list.is_empty() {
                line.push_str(&format!(" {key}={}", list.join(",")));
            }
        }
        line
    })
}

fn rich_config() -> PolicyConfig {
    let mut prod = view("prod", "10.0.0.0/8");
    prod.tags = BTreeMap::from([("env".to_owned(), "prod".to_owned())]);
    prod.deny = vec![ServiceRule::new("svc.b")];
    PolicyConfig {
        deny: vec![ServiceRule::new("svc.c")],
        views: vec![prod],
        ..aliases(&[("n", "s3"), ("q", "vpce-2"), ("n", "vpce-1")])
    }
}

/// Every (source, endpoint, name) of the facts, names in one spelling where they are names.
fn pairs(inventory: &Inventory) -> Vec<(String, String, String)> {
    let mut pairs = Vec::new();
    for speaker in select::speakers(inventory) {
        for offer in names::offers(&speaker) {
            let name = offer.pattern.map_or(offer.text.to_string(), |p| p.to_string());
            let source = speaker.source().to_string();
            pairs.push((source, speaker.endpoint.id.to_string(), name));
        }
    }
    pairs.sort();
    pairs
}

/// The same as the view tells it: each claim and each declined that names an endpoint and a name.
fn told(view: &ViewPlan, known: &[(String, String, String)]) -> Vec<(String, String, String)> {
    let one = |text: &str| {
        let pattern = crate::base::Pattern::parse(text);
        pattern.map_or(text.to_owned(), |pattern| pattern.to_string())
    };
    let claims = view.claims.iter().map(|claim| {
        let source = claim.source.to_string();
        (source, claim.endpoint.to_string(), claim.pattern.to_string())
    });
    let declined = view.declined.iter().filter_map(|declined: &Declined| {
        let source = declined.source.as_ref()?.to_string();
        let endpoint = declined.endpoint.as_ref()?.to_string();
        Some((source, endpoint, one(declined.name.as_deref()?)))
    });
    // An alias adds pairs that no fact has; all facts are still there once.
    let mut all: Vec<_> = claims.chain(declined).collect();
    all.sort();
    let repeats = all.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert_eq!(repeats, 0, "a pair is told twice: {all:?}");
    all.retain(|pair| known.contains(pair));
    all
}

proptest! {
    #[test]
    fn every_pair_ends_once_in_every_view_in_any_order_of_facts(
        lines in prop::collection::vec(any_line(), 0..6),
        seed in any::<u64>(),
    ) {
        let inventory = inventory(&lines.join("\n"));
        let config = rich_config();
        let known = pairs(&inventory);
        let first = plan(&inventory, &config);
        prop_assert_eq!(first.views.len(), 2);
        for view in &first.views {
            prop_assert_eq!(&told(view, &known), &known);
        }
        let mut shuffled = inventory.clone();
        for facts in &mut shuffled.sources {
            turn(&mut facts.endpoints, seed);
            turn(&mut facts.services, seed);
            turn(&mut facts.interfaces, seed);
            for endpoint in &mut facts.endpoints {
                turn(&mut endpoint.dns_entries, seed);
                turn(&mut endpoint.interfaces, seed);
            }
            for service in &mut facts.services {
                turn(&mut service.private_names, seed);
            }
        }
        prop_assert_eq!(plan(&shuffled, &config), first);
    }
}

/// Another order, by the seed: rotated, and every other time reversed.
fn turn<T>(list: &mut [T], seed: u64) {
    if let Ok(len @ 1..) = u64::try_from(list.len()) {
        list.rotate_left(usize::try_from(seed % len).unwrap());
    }
    if seed % 2 == 1 {
        list.reverse();
    }
}
