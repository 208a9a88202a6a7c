//! What one view selects, denies, allows and says of its own.

use super::*;
use crate::{
    base::Ttl,
    policy::{AllowRule, ViewConfig, ViewKind},
};

/// What the view `v` says of the facts.
#[track_caller]
fn check_in(facts: &str, config: PolicyConfig, view: ViewConfig, expected: &[&str]) {
    let config = PolicyConfig { views: vec![view], ..config };
    assert_eq!(lines(&plan(&inventory(facts), &config).views[0]), expected);
}

fn v() -> ViewConfig {
    view("v", "10.0.0.0/8")
}

fn rules(texts: &[&str]) -> Vec<ServiceRule> {
    texts.iter().map(|text| ServiceRule::new(text)).collect()
}

fn allowed(texts: &[&str]) -> Vec<AllowRule> {
    rules(texts).into_iter().map(AllowRule::Service).collect()
}

const TWO: &str = "
    vpce-1 com.amazonaws.eu-west-1.sqs a=10.0.1.5 names=sqs.R vpc=vpc-1 account=111111111111
    vpce-2 com.amazonaws.eu-west-1.sns a=10.0.1.6 names=sns.R vpc=vpc-2 account=222222222222 \
        tags=env:prod";

#[test]
fn a_view_selects_by_tag_vpc_account_and_id() {
    let tags = BTreeMap::from([("env".to_owned(), "prod".to_owned())]);
    for (view, word) in [
        (ViewConfig { tags, ..v() }, "view_tags"),
        (ViewConfig { vpc_ids: vec!["vpc-3".into(), "vpc-2".into()], ..v() }, "view_vpc"),
        (ViewConfig { accounts: vec!["222222222222".into()], ..v() }, "view_account"),
        (ViewConfig { endpoints: vec!["vpce-2".into()], ..v() }, "view_endpoint"),
    ] {
        let declined = format!("sqs.R x vpce-1 {word}");
        check_in(TWO, config(), view, &["sns.r published vpce-2 10.0.1.6", &declined]);
    }
}

#[test]
fn all_that_a_view_selects_by_has_to_be_right() {
    let view = ViewConfig {
        vpc_ids: vec!["vpc-1".into(), "vpc-2".into()],
        accounts: vec!["111111111111".into()],
        endpoints: vec!["vpce-2".into()],
        ..v()
    };
    let expected = ["sqs.R x vpce-1 view_endpoint", "sns.R x vpce-2 view_account"];
    check_in(TWO, config(), view, &expected);
    // Whose it is nobody has told.
    let view = ViewConfig { accounts: vec!["111111111111".into()], ..v() };
    check_in(SQS, config(), view, &["sqs.R x vpce-1 view_account"]);
}

#[test]
fn allow_counts_against_the_list_of_everybody_and_leaves_nothing_out() {
    let denied = PolicyConfig { deny: rules(&["sqs", "sns"]), ..config() };
    let view = ViewConfig { allow: allowed(&["com.amazonaws.eu-west-1.sqs"]), ..v() };
    let expected = ["sqs.r published vpce-1 10.0.1.5", "sns.R x vpce-2 denied"];
    check_in(TWO, denied.clone(), view.clone(), &expected);
    let view = ViewConfig { deny: rules(&["sqs"]), ..view };
    check_in(TWO, denied, view, &["sqs.R x vpce-1 denied", "sns.R x vpce-2 denied"]);
    let view = ViewConfig { allow: allowed(&["sqs"]), ..v() };
    let expected = ["sns.r published vpce-2 10.0.1.6", "sqs.r published vpce-1 10.0.1.5"];
    check_in(TWO, config(), view, &expected);
}

#[test]
fn dynamodb_is_answered_where_it_is_overridden_and_not_denied() {
    let facts =
        "vpce-1 com.amazonaws.eu-west-1.dynamodb a=10.0.0.1 names=dynamodb.R dns=vpce-1-x.v";
    let check = |deny: &[&str], overrides, view: ViewConfig, told: &str| {
        let config = PolicyConfig { deny: rules(deny), overrides, ..config() };
        let own = "vpce-1-x.v regional vpce-1 10.0.0.1";
        let mut expected = [format!("dynamodb.{told}"), own.to_owned()];
        // What is declined stands behind what is answered.
        if told.contains(" x ") {
            expected.reverse();
        }
        check_in(facts, config, view, &expected.each_ref().map(String::as_str));
    };
    let answered = "r published vpce-1 10.0.0.1";
    let (denied, needs) = ("R x vpce-1 denied", "R x vpce-1 needs_override");
    let allowing = ViewConfig { allow: allowed(&["dynamodb"]), ..v() };
    check(&["dynamodb"], true, v(), denied);
    check(&[], false, v(), needs);
    check(&["dynamodb"], false, allowing.clone(), needs);
    check(&[], true, v(), answered);
    check(&["dynamodb"], true, allowing.clone(), answered);
    check(&["dynamodb"], false, ViewConfig { overrides: Some(true), ..allowing }, answered);
    check(&[], true, ViewConfig { overrides: Some(false), ..v() }, needs);
}

#[test]
fn an_endpoint_for_on_premises_only_answers_views_of_that_kind() {
    let facts = "vpce-3 com.amazonaws.eu-west-1.sqs a=10.0.1.9 names=sqs.R onprem";
    let aliased = || aliases(&[("a", "sqs")]);
    let onprem = ViewConfig { kind: ViewKind::Onprem, ..v() };
    let answered = ["a alias vpce-3 10.0.1.9", "sqs.r published vpce-3 10.0.1.9"];
    check_in(facts, aliased(), onprem, &answered);
    let declined = ["a x - alias_target_missing", "sqs.R x vpce-3 onprem_only"];
    check_in(facts, aliased(), v(), &declined);
    check(facts, &aliased(), &declined);
}

#[test]
fn a_views_aliases_are_added_and_replace_those_of_the_same_name() {
    let view = ViewConfig { aliases: vec![alias("b", "sns"), alias("c", "sns")], ..v() };
    check_in(
        TWO,
        aliases(&[("a", "sqs"), ("B", "sqs")]),
        view,
        &[
            "a alias vpce-1 10.0.1.5",
            "b alias vpce-2 10.0.1.6",
            "c alias vpce-2 10.0.1.6",
            "sns.r published vpce-2 10.0.1.6",
            "sqs.r published vpce-1 10.0.1.5",
        ],
    );
}

#[test]
fn a_views_times_are_its_own_and_everybody_elses_stay() {
    let secs = |secs| Some(Ttl::from_secs(secs).unwrap());
    let views =
        vec![ViewConfig { ttl: secs(5), ..v() }, ViewConfig { negative_ttl: secs(7), ..v() }];
    let plan = plan(&inventory(SQS), &PolicyConfig { views, ..config() });
    let times = plan.views.iter().map(|view| &view.claims[0]);
    let times: Vec<_> = times.map(|it| (it.ttl.as_secs(), it.negative_ttl.as_secs())).collect();
    assert_eq!(times, [(5, 60), (60, 7), (60, 60)]);
}
