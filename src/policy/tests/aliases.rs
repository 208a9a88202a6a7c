//! What aliases of each kind come to: zones, ready-made sets, single resources, other names.

use super::*;
use crate::policy::{Alias, AliasSet, AliasTarget, AllowRule, AllowedResource, facts::cname};

const EXECUTE_API: &str = "vpce-7 com.amazonaws.eu-west-1.execute-api a=10.0.1.7 created=1 \
                           names=*.execute-api.eu-west-1.amazonaws.com";

fn sets(sets: &[AliasSet]) -> PolicyConfig {
    PolicyConfig { alias_sets: sets.to_vec(), ..config() }
}

fn allow(rules: &[&str]) -> PolicyConfig {
    let rule = |text: &&str| match text.split_once(':') {
        None => AllowRule::Service(ServiceRule::new(text)),
        Some((service, id)) => {
            let (id, endpoint) =
                id.split_once('@').map_or((id, None), |(id, it)| (id, Some(it.into())));
            let service = ServiceRule::new(service);
            AllowRule::Resource(AllowedResource { service, id: id.into(), endpoint })
        }
    };
    PolicyConfig { allow_rules: rules.iter().map(rule).collect(), ..deny("execute-api") }
}

fn in_zone(name: &str, target: &str, zone: &str) -> Alias {
    let Alias { pattern, target } = alias(name, target);
    let AliasTarget::Endpoint { of, .. } = target else { panic!("it has addresses") };
    Alias { pattern, target: AliasTarget::Endpoint { of, zone: Some(zone.into()) } }
}

/// `NAME -> TARGET` a CNAME, then `NAME x WORD` what is declined of no endpoint.
#[track_caller]
fn check_cnames(facts: &str, aliases: Vec<Alias>, expected: &[&str]) {
    let plan = plan(&inventory(facts), &PolicyConfig { aliases, ..config() });
    let view = plan.views.last().unwrap();
    let cnames = view.cnames.iter().map(|it| format!("{} -> {}", it.pattern, it.target));
    let declined = view.declined.iter().filter(|it| it.endpoint.is_none());
    let declined =
        declined.map(|it| format!("{} x {}", it.name.as_deref().unwrap_or("-"), it.why.word()));
    assert_eq!(cnames.chain(declined).collect::<Vec<_>>(), expected);
}

#[test]
fn an_alias_to_a_zone_has_the_addresses_of_that_zone_alone() {
    let aliases = vec![
        in_zone("near", "sqs", "b"),
        in_zone("far", "vpce-1", "c"),
        in_zone("sqs.R", "vpce-1", "a"),
    ];
    check(
        SQS,
        &PolicyConfig { aliases, ..config() },
        &[
            "near alias vpce-1 10.0.2.5",
            "sqs.r alias vpce-1 10.0.1.5",
            "far x - alias_target_missing",
        ],
    );
    let aliases = vec![in_zone("far", "vpce-1", "c")];
    let plan = plan(&inventory(SQS), &PolicyConfig { aliases, ..config() });
    let why = plan.views[0].declined.iter().next().unwrap().why.to_string();
    assert_eq!(why, "no usable endpoint for the alias's target vpce-1 in c");
}

#[test]
fn sqs_legacy_gives_each_regions_old_names_and_the_first_regions_oldest() {
    check(
        "vpce-1 com.amazonaws.us-east-1.sqs a=10.0.0.1 \
             names=sqs.us-east-1.amazonaws.com,sqs.us-east-1.api.aws
         vpce-2 cn.com.amazonaws.cn-north-1.sqs a=10.0.0.2 names=sqs.cn-north-1.amazonaws.com.cn
         vpce-3 com.amazonaws.eu-west-1.sqs a=10.0.0.3 state=deleting \
             names=sqs.eu-west-1.amazonaws.com",
        &sets(&[AliasSet::SqsLegacy]),
        &[
            "sqs.us-east-1.api.aws published vpce-1 10.0.0.1",
            "sqs.cn-north-1.amazonaws.com.cn published vpce-2 10.0.0.2",
            "cn-north-1.queue.amazonaws.com.cn alias_set vpce-2 10.0.0.2",
            "queue.amazonaws.com alias_set vpce-1 10.0.0.1",
            "us-east-1.queue.amazonaws.com alias_set vpce-1 10.0.0.1",
            "sqs.us-east-1.amazonaws.com published vpce-1 10.0.0.1",
            "eu-west-1.queue.amazonaws.com x - alias_target_missing",
            "sqs.eu-west-1.amazonaws.com x vpce-3 state",
        ],
    );
}

#[test]
fn s3_global_is_the_first_regions_and_no_other_endpoint_has_it() {
    let s3 = |id: &str, region: &str| {
        format!("{id} com.amazonaws.{region}.s3 a=10.0.0.1 names=*.s3.{region}.amazonaws.com\n")
    };
    let global = sets(&[AliasSet::S3Global]);
    let here = [
        "s3.amazonaws.com alias_set vpce-1 10.0.0.1",
        "s3.us-east-1.amazonaws.com s3_apex vpce-1 10.0.0.1",
        "*.s3.amazonaws.com alias_set vpce-1 10.0.0.1",
        "*.s3.us-east-1.amazonaws.com published vpce-1 10.0.0.1",
    ];
    check(&s3("vpce-1", "us-east-1"), &global, &here);
    let plan = plan(&inventory(&s3("vpce-2", "eu-west-1")), &global);
    let declined: Vec<_> = plan.views[0].declined.iter().collect();
    let [declined] = declined[..] else { panic!("one set has no endpoint") };
    assert_eq!((declined.name.as_deref(), declined.endpoint.as_ref()), (None, None));
    let why = declined.why.to_string();
    assert_eq!(
        why,
        "no usable endpoint for the alias's target s3 in us-east-1 (alias set s3-global)"
    );
}

#[test]
fn s3_dualstack_has_the_names_beside_every_published_one() {
    check(
        "vpce-1 com.amazonaws.eu-west-1.s3 a=10.0.0.1 a=fd00::1 records=service-defined \
         names=*.s3.eu-west-1.amazonaws.com,*.s3-control.eu-west-1.amazonaws.com",
        &sets(&[AliasSet::S3Dualstack]),
        &[
            "s3.dualstack.eu-west-1.amazonaws.com alias_set vpce-1 10.0.0.1 fd00::1",
            "s3.eu-west-1.amazonaws.com s3_apex vpce-1 10.0.0.1",
            "s3-control.eu-west-1.amazonaws.com s3_apex vpce-1 10.0.0.1",
            "*.s3.dualstack.eu-west-1.amazonaws.com alias_set vpce-1 10.0.0.1 fd00::1",
            "*.s3-control.dualstack.eu-west-1.amazonaws.com alias_set vpce-1 10.0.0.1 fd00::1",
            "*.s3.eu-west-1.amazonaws.com published vpce-1 10.0.0.1",
            "*.s3-control.eu-west-1.amazonaws.com published vpce-1 10.0.0.1",
        ],
    );
}

#[test]
fn what_is_written_by_hand_comes_before_a_set() {
    let facts = "vpce-1 com.amazonaws.eu-west-1.sqs a=10.0.0.1 names=sqs.eu-west-1.amazonaws.com
                 vpce-2 com.amazonaws.eu-west-1.sns a=10.0.0.2 names=m";
    let aliases = vec![alias("eu-west-1.queue.amazonaws.com", "sns")];
    check(
        facts,
        &PolicyConfig { aliases, ..sets(&[AliasSet::SqsLegacy]) },
        &[
            "sqs.eu-west-1.amazonaws.com published vpce-1 10.0.0.1",
            "eu-west-1.queue.amazonaws.com alias vpce-2 10.0.0.2",
            "m published vpce-2 10.0.0.2",
            "eu-west-1.queue.amazonaws.com x vpce-1 conflict",
        ],
    );
}

#[test]
fn an_api_that_is_allowed_is_answered_and_its_wildcard_is_not() {
    check(
        EXECUTE_API,
        &allow(&["execute-api:abc123"]),
        &[
            "abc123.execute-api.eu-west-1.amazonaws.com allowed vpce-7 10.0.1.7",
            "abc123-vpce-7.execute-api.eu-west-1.amazonaws.com allowed vpce-7 10.0.1.7",
            "*.execute-api.eu-west-1.amazonaws.com x vpce-7 denied",
        ],
    );
}

#[test]
fn an_api_goes_to_the_oldest_endpoint_or_to_the_one_that_is_named() {
    let facts = format!("{EXECUTE_API}\n{}", EXECUTE_API.replace("vpce-7", "vpce-8"));
    let facts = facts.replace("vpce-8", "vpce-8 ").replacen("10.0.1.7", "10.0.1.6", 1);
    let api = "execute-api.eu-west-1.amazonaws.com";
    check(
        &facts,
        &allow(&["execute-api:one", "execute-api:two@vpce-8", "execute-api:three@vpce-9"]),
        &[
            &format!("one.{api} allowed vpce-7 10.0.1.6"),
            &format!("one-vpce-7.{api} allowed vpce-7 10.0.1.6"),
            &format!("one-vpce-8.{api} allowed vpce-8 10.0.1.7"),
            &format!("two.{api} allowed vpce-8 10.0.1.7"),
            &format!("two-vpce-8.{api} allowed vpce-8 10.0.1.7"),
            "- x - alias_target_missing",
            &format!("*.{api} x vpce-7 denied"),
            &format!("*.{api} x vpce-8 denied"),
            &format!("one.{api} x vpce-8 conflict"),
        ],
    );
}

#[test]
fn an_api_of_one_endpoint_is_answered_in_its_region_alone() {
    let elsewhere = EXECUTE_API.replace("vpce-7", "vpce-8").replace("eu-west-1", "us-east-1");
    let api = "execute-api.us-east-1.amazonaws.com";
    check(
        &format!("{EXECUTE_API}\n{elsewhere}\n{SQS}"),
        &allow(&["execute-api:two@vpce-8", "execute-api:three@vpce-1"]),
        &[
            &format!("two.{api} allowed vpce-8 10.0.1.7"),
            &format!("two-vpce-8.{api} allowed vpce-8 10.0.1.7"),
            "sqs.r published vpce-1 10.0.1.5 10.0.2.5",
            "- x - alias_target_missing",
            "*.execute-api.eu-west-1.amazonaws.com x vpce-7 denied",
            &format!("*.{api} x vpce-8 denied"),
        ],
    );
}

#[test]
fn an_alias_to_an_endpoint_that_may_not_answer_tells_why() {
    let mut prod = view("prod", "10.1.0.0/16");
    prod.tags = [("env".to_owned(), "prod".to_owned())].into();
    let config = PolicyConfig { views: vec![prod], ..aliases(&[("mine.R", "vpce-1")]) };
    let plan = plan(&inventory(SQS), &config);
    let why =
        plan.views[0].declined.iter().find(|it| it.name.as_deref() == Some("mine.r")).unwrap();
    assert_eq!(
        why.why.to_string(),
        "no usable endpoint for the alias's target vpce-1 (the view takes only endpoints with other \
         tags)"
    );
}

#[test]
fn an_api_of_a_service_that_no_endpoint_has_is_told() {
    let plan = plan(&inventory(SQS), &allow(&["execute-api:abc123"]));
    let why: Vec<String> =
        plan.views[0].declined.iter().map(|declined| declined.why.to_string()).collect();
    assert_eq!(why, ["no usable endpoint for the alias's target execute-api:abc123"]);
}

#[test]
fn a_service_that_is_allowed_is_answered_but_not_where_a_view_denies_it() {
    let mut spoke = view("spoke", "10.1.0.0/16");
    spoke.deny = vec![ServiceRule::new("execute-api")];
    let config = PolicyConfig { views: vec![spoke], ..allow(&["execute-api"]) };
    let plan = plan(&inventory(EXECUTE_API), &config);
    let told: Vec<Vec<String>> = plan.views.iter().map(lines).collect();
    assert_eq!(
        told,
        [
            ["*.execute-api.eu-west-1.amazonaws.com x vpce-7 denied"],
            ["*.execute-api.eu-west-1.amazonaws.com published vpce-7 10.0.1.7"],
        ]
    );
}

#[test]
fn what_a_view_denies_itself_no_single_api_and_no_set_brings_back() {
    let facts = format!(
        "{EXECUTE_API}
         vpce-1 com.amazonaws.eu-west-1.sqs a=10.0.0.1 names=sqs.eu-west-1.amazonaws.com"
    );
    let mut spoke = view("spoke", "10.1.0.0/16");
    spoke.deny = ["execute-api", "sqs"].map(ServiceRule::new).to_vec();
    // One that is written by hand is answered.
    spoke.aliases = vec![alias("queue.corp.example", "sqs")];
    let config = PolicyConfig {
        views: vec![spoke],
        alias_sets: vec![AliasSet::SqsLegacy],
        ..allow(&["execute-api:abc123"])
    };
    let plan = plan(&inventory(&facts), &config);
    assert_eq!(
        lines(&plan.views[0]),
        [
            "queue.corp.example alias vpce-1 10.0.0.1",
            "eu-west-1.queue.amazonaws.com x vpce-1 denied",
            "sqs.eu-west-1.amazonaws.com x vpce-1 denied",
            "*.execute-api.eu-west-1.amazonaws.com x vpce-7 denied",
            "abc123-vpce-7.execute-api.eu-west-1.amazonaws.com x vpce-7 denied",
            "abc123.execute-api.eu-west-1.amazonaws.com x vpce-7 denied",
        ]
    );
}

#[test]
fn who_asks_for_another_api_is_told_what_the_wildcard_would_have_done() {
    let plan = plan(&inventory(EXECUTE_API), &allow(&["execute-api:abc123"]));
    let declined = plan.views[0].declined.iter().next().unwrap();
    let otherwise = |name: &str| declined.otherwise(&name.parse().unwrap());
    assert_eq!(
        otherwise("zz9-vpce-7.execute-api.eu-west-1.amazonaws.com").as_deref(),
        Some(
            "were that answered, vpce-7 would take every name below \
             execute-api.eu-west-1.amazonaws.com from these clients, and it serves private APIs \
             alone: calls of public ones, whoever's they are, would get 403; allow = \
             [\"execute-api:zz9\"] answers this API alone"
        )
    );
}

#[test]
fn a_name_can_stand_for_another() {
    check_cnames(
        SQS,
        vec![cname("files.example", "sqs.R"), cname("*.out.example", "www.example.")],
        &["files.example -> sqs.r", "*.out.example -> www.example"],
    );
}

#[test]
fn a_name_that_stands_for_another_is_taken_from_the_endpoint_that_publishes_it() {
    let aliases = vec![cname("sqs.R", "other.example")];
    check_cnames(SQS, aliases.clone(), &["sqs.r -> other.example"]);
    let plan = plan(&inventory(SQS), &PolicyConfig { aliases, ..config() });
    assert_eq!(lines(&plan.views[0]), ["sqs.R x vpce-1 aliased"]);
    let why = plan.views[0].declined.iter().next().unwrap().why.to_string();
    assert_eq!(why, "an alias makes it stand for other.example");
}

#[test]
fn of_an_address_and_a_cname_for_one_name_the_first_counts() {
    let both = [alias("n", "sqs"), cname("n", "m")];
    check_cnames(SQS, both.to_vec(), &["n x conflict"]);
    let [first, second] = both;
    check_cnames(SQS, vec![second, first], &["n -> m"]);
}

#[test]
fn cnames_that_do_not_end_are_declined_and_what_leads_out_is_not() {
    let circle = vec![cname("a", "b"), cname("b", "a"), cname("c", "a"), cname("d", "e")];
    let declined = ["d -> e", "a x cname_endless", "b x cname_endless", "c x cname_endless"];
    check_cnames(SQS, circle, &declined);
    check_cnames(SQS, vec![cname("*.w", "x.w")], &["*.w x cname_endless"]);
    check_cnames(SQS, vec![cname("*.w", "w")], &["*.w -> w"]);
    // A name that has addresses ends a chain, also below a wildcard that would go on.
    check_cnames(SQS, vec![cname("*.r", "sqs.R")], &["*.r -> sqs.r"]);
}

#[test]
fn eight_cnames_in_a_row_are_said_and_nine_are_not() {
    let row = |len: usize| -> Vec<Alias> {
        (0..len).map(|at| cname(&format!("n{at}"), &format!("n{}", at + 1))).collect()
    };
    let told = |len| {
        let plan = plan(&inventory(""), &PolicyConfig { aliases: row(len), ..config() });
        (plan.views[0].cnames.len(), plan.views[0].declined.len())
    };
    assert_eq!(told(8), (8, 0));
    assert_eq!(told(9), (8, 1));
}
