//! In which order zones go, and what clients see of it.

use super::*;

/// Zones as they go, `NAME VPC`.
fn way(migration: &Migration) -> Vec<String> {
    let steps = migration.steps.steps.iter();
    steps.map(|it| format!("{} {}", it.name.replace(R, "R"), it.vpc.id)).collect()
}

#[test]
fn a_zone_above_goes_before_those_below_it_and_the_hub_comes_last() {
    let sqs = alias(&r("sqs.R"), "A", REGIONAL);
    let sns = set(&r("sns.R"), "A", &["10.0.1.7"]);
    let texts = [
        zone("Z1", "sqs.R", &["vpc-hub", "vpc-a", "vpc-b"], std::slice::from_ref(&sqs)),
        zone("Z2", "R", &["vpc-b"], &[sqs]),
        zone("Z3", "sns.R", &["vpc-b"], &[sns]),
    ];
    let migration = migration(texts.into_iter().flatten());
    // vpc-a has one zone to miss, vpc-b has three.
    let expected = ["R vpc-b", "sqs.R vpc-a", "sqs.R vpc-b", "sqs.R vpc-hub", "sns.R vpc-b"];
    assert_eq!(way(&migration), expected, "{migration}");
    let [region, spoke, other, hub, _] = &migration.steps.steps[..] else { panic!("{migration}") };
    // The zones below are more specific, and answer there until their own steps.
    let told: Vec<String> = region.see.iter().map(|it| it.replace(R, "R")).collect();
    let expected = [
        "*.s3.R A: NXDOMAIN -> 10.0.1.6 10.0.2.6 (vpce-2)",
        "s3.R A: NXDOMAIN -> 10.0.1.6 10.0.2.6 (vpce-2)",
        "as before in zones of their own, which are still here: sns.R, sqs.R",
        "any other name in R: NXDOMAIN -> what the upstream says",
    ];
    assert_eq!(told, expected);
    let told: Vec<String> = spoke.see.iter().map(|it| it.replace(R, "R")).collect();
    let expected = [
        "1 answer as before, now by the hub",
        "any other name in sqs.R: NXDOMAIN -> what the upstream says",
    ];
    assert_eq!((told.as_slice(), &other.see), (&expected.map(str::to_owned)[..], &spoke.see));
    // No rule leads from the hub's own VPC to the hub.
    let told: Vec<String> = hub.see.iter().map(|it| it.replace(R, "R")).collect();
    let then = "what the VPC's resolver says";
    let expected = [
        format!("sqs.R A: 10.0.1.5 10.0.2.5 (alias to {REGIONAL}) -> {then}, unless DHCP options name the hub").replace(".)", ")"),
        format!("any other name in sqs.R: NXDOMAIN -> {then}"),
    ];
    assert_eq!(told, expected.map(|it| it.replace(R, "R")));
    // The rule has the zone's own name, and so comes before it.
    assert!(region.mind.iter().any(|it| it.contains("took its place")), "{migration}");
    assert!(hub.hub && hub.mind.iter().any(|it| it.contains("loop")), "{migration}");
    assert!(hub.run[0].contains("its last VPC"), "{migration}");
    assert_eq!(hub.wait_secs, 900, "the absence of a name is kept longest");
}

/// A zone answers in the VPCs that it is in, and in no others; AWS's own are known by lists alone.
#[test]
fn what_is_seen_is_told_for_each_vpc_by_the_zones_that_are_in_it() {
    let sns = set(&r("sns.R"), "A", &["10.0.1.7"]);
    let made = json!({ "HostedZoneSummaries": [{ "HostedZoneId": "Z9", "Name": r("sqs.R"),
        "Owner": { "OwningService": "vpce.amazonaws.com" } }], "MaxItems": "100" });
    let texts = [
        zone("Z1", "R", &["vpc-0a11a2b0c5d6e7f80", "vpc-0b22a2b0c5d6e7f81"], &[]),
        zone("Z2", "sns.R", &["vpc-0a11a2b0c5d6e7f80"], &[sns]),
    ];
    let listed = text("accounts/1/vpc-0b22a2b0c5d6e7f81.json", &made);
    let migration = migration(texts.into_iter().flatten().chain([listed]));
    // The VPC with the fewest zones of one's own comes first.
    let [b, a, _] = &migration.steps.steps[..] else { panic!("{migration}") };
    let held =
        |names: &str| format!("as before in zones of their own, which are still here: {names}");
    let told = |see: &[String]| see.iter().map(|it| it.replace(R, "R")).collect::<Vec<_>>();
    let (a, b) = (told(&a.see), told(&b.see));
    let [sqs, sns] = ["sqs.R A: NXDOMAIN", "sns.R A: NXDOMAIN"];
    let tells = |see: &[String], of: &str| see.iter().any(|it| it.starts_with(of));
    assert!(a.contains(&held("sns.R")) && tells(&a, sqs) && !tells(&a, sns), "{migration}");
    assert!(b.contains(&held("sqs.R")) && tells(&b, sns) && !tells(&b, sqs), "{migration}");
}

#[test]
fn names_that_a_wildcard_has_are_no_other_names() {
    let (s3, wild) = (r("s3.R"), format!("\\052.{}", r("s3.R")));
    let target = "\\052.vpce-2-x.s3.eu-west-1.vpce.amazonaws.com.";
    let own = set("\\052.corp.example.", "A", &["10.0.1.5", "10.0.2.5"]);
    for texts in [
        zone("Z1", "s3.R", &["vpc-a"], &[alias(&s3, "A", target)]),
        zone("Z1", "s3.R", &["vpc-a"], &[alias(&wild, "A", target)]),
        zone("Z1", "b.s3.R", &["vpc-a"], &[]),
        zone("Z1", "corp.example", &["vpc-a"], &[own]),
    ] {
        let migration = migration(texts);
        let [step] = &migration.steps.steps[..] else { panic!("{migration}") };
        assert!(!step.see.iter().any(|it| it.starts_with("any other name")), "{migration}");
    }
}

#[test]
fn a_zone_whose_vpcs_are_not_known_is_a_doubt_and_nobody_is_told_to_delete_it() {
    let list = json!({ "HostedZoneSummaries": [{ "HostedZoneId": "Z1", "Name": r("sqs.R"),
        "Owner": { "OwningAccount": "444455556666" } }], "MaxItems": "100" });
    let [_, records] = zone("Z1", "sqs.R", &[], &[alias(&r("sqs.R"), "A", REGIONAL)]);
    let migration = migration([text("by-vpc", &list), records]);
    assert_eq!(migration.zones[0].verdict, Verdict::Same);
    let [doubt] = &migration.doubts[..] else { panic!("{migration}") };
    let next = "run `aws route53 get-hosted-zone --id Z1` in account 444455556666";
    assert!(doubt.about == "Z1" && doubt.why.ends_with(next), "{doubt:?}");
    assert!(!migration.is_smooth() && migration.steps.after.is_empty(), "{migration}");
}

/// As the shell leaves them where the AWS CLI is refused.
#[test]
fn an_empty_file_of_a_zone_that_a_list_has_is_no_doubt() {
    let made = json!({ "HostedZoneSummaries": [{ "HostedZoneId": "Z9", "Name": r("ssm.R"),
        "Owner": { "OwningService": "vpce.amazonaws.com" } }], "MaxItems": "100" });
    let empty = |file: &str| Text { file: file.to_owned(), text: "\n".to_owned() };
    let texts = [empty("Z9.json"), empty("Z9-records.json"), text("by-vpc", &made)];
    assert!(migration(texts.clone()).is_smooth());
    let migration = migration(texts.into_iter().chain([empty("vpc-a.json")]));
    let [doubt] = &migration.doubts[..] else { panic!("{migration}") };
    assert!(doubt.about == "vpc-a.json" && doubt.why.starts_with("it is empty"), "{doubt:?}");
}

#[test]
fn an_empty_zone_that_hides_names_of_ours_is_noticed() {
    let smooth = |name: &str| migration(zone("Z1", name, &["vpc-a"], &[])).is_smooth();
    assert!(!smooth("sqs.R"));
    assert!(smooth("corp.example"));
}

#[test]
fn a_zone_above_that_stays_wants_a_rule_for_the_name() {
    let made = json!({ "HostedZoneSummaries": [{ "HostedZoneId": "Z9", "Name": r("R"),
        "Owner": { "OwningAccount": "444455556666" } }], "MaxItems": "100" });
    let texts = zone("Z1", "sqs.R", &["vpc-a"], &[alias(&r("sqs.R"), "A", REGIONAL)]);
    let migration = migration(texts.into_iter().chain([text("by-vpc", &made)]));
    let verdicts: Vec<_> = migration.zones.iter().map(|it| it.verdict).collect();
    assert_eq!(verdicts, [Verdict::Unread, Verdict::Same], "{migration}");
    let told = &migration.steps.steps[0].mind;
    assert!(
        told.iter().any(|it| it.contains("Z9") && it.contains("first make a rule")),
        "{told:?}"
    );
    assert!(migration.zones[0].why.contains("444455556666"), "{migration}");
    assert!(!migration.is_smooth());
}
