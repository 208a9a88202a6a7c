//! Who has a name that several claim: sources, ages, aliases.

use super::*;

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
fn of_sources_that_tell_of_one_endpoint_the_first_that_sees_its_interfaces_answers() {
    let seen = |source: &str| format!("vpce-1 s a=10.0.0.1 names=n source={source}\n");
    let blind = |source: &str| format!("vpce-1 s names=n source={source}\n");
    for (facts, source, others) in [
        (seen("one") + &seen("two"), "one", "two"),
        (blind("one") + &seen("two") + &seen("three"), "two", "one three"),
        (blind("one") + &blind("two"), "", "one two"),
    ] {
        let plan = plan(&inventory(&facts), &config());
        let view = &plan.views[0];
        let claimed: Vec<&str> = view.claims.iter().map(|claim| claim.source.as_str()).collect();
        assert_eq!(claimed.join(" "), source, "{facts}");
        let mut declined: Vec<String> =
            view.declined.iter().map(|it| it.source.as_ref().unwrap().to_string()).collect();
        declined.sort_by_key(|source| others.find(source.as_str()));
        assert_eq!(declined.join(" "), others, "{facts}");
    }
    let plan = plan(&inventory(&(blind("one") + &seen("two"))), &config());
    let why = plan.views[0].declined.iter().next().unwrap().why.to_string();
    assert_eq!(why, "the source two tells of this endpoint too and answers for it");
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
    let why = plan.views[0].declined.iter().next().unwrap().why.to_string();
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
    assert_eq!(
        lines(view),
        ["sqs.r alias vpce-1 10.0.1.5 10.0.2.5", "sqs.R x vpce-1 other_source"]
    );
    assert_eq!(view.claims[0].source.as_str(), "one");
    assert_eq!(view.declined.iter().next().unwrap().source.as_ref().unwrap().as_str(), "two");
}

#[test]
fn what_the_owner_of_a_resource_chose_gives_way_to_aws_and_to_the_operator() {
    // The resource's endpoints are older, and of the source that stands first.
    let resource = |id: u8, name: &str| {
        format!(
            "vpce-{id} arn:aws:x:rcfg a=10.0.0.{id} kind=Resource leads=r{id}.own/{name} agreed"
        )
    };
    let facts = [
        resource(1, "sqs.R"),
        resource(2, "bucket.s3.R"),
        resource(3, "db.corp.example"),
        resource(4, "free.example"),
        "vpce-8 com.amazonaws.eu-west-1.sqs a=10.0.0.8 created=9 names=sqs.R".to_owned(),
        "vpce-9 com.amazonaws.eu-west-1.s3 a=10.0.0.9 created=9 names=*.s3.R".to_owned(),
    ];
    let config = aliases(&[("*.corp.example", "vpce-8")]);
    let plan = plan(&inventory(&facts.join("\n")), &config);
    let view = &plan.views[0];
    let told = lines(view);
    let private: Vec<&String> =
        told.iter().filter(|it| it.contains("association_private")).collect();
    assert_eq!(private, ["free.example association_private vpce-4 10.0.0.4"]);
    for lost in [
        "sqs.R x vpce-1 conflict",
        "bucket.s3.R x vpce-2 conflict",
        "db.corp.example x vpce-3 conflict",
    ] {
        assert!(told.iter().any(|it| it == lost), "{lost} is not in {told:#?}");
    }
    assert!(told.iter().any(
        |it| it == "sqs.r published vpce-8 10.0.0.8" || it == "sqs.R published vpce-8 10.0.0.8"
    ));
    let why = view.declined.iter().find(|it| it.name.as_deref() == Some("bucket.s3.R")).unwrap();
    assert_eq!(
        why.why.to_string(),
        "vpce-9 has it: it has the name, or a wildcard over it, from AWS or the operator, and the \
         other from the owner of a resource"
    );
}
