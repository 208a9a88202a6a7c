//! Zones as the AWS CLI prints them beside a small hub of ours.

mod steps;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Doubt, Migration, Recording, Text, Verdict, What};
use crate::{
    policy::{self, PolicyConfig, ServiceRule, facts},
    table::compile,
};

/// SQS, S3 with its wildcard and apex, and SNS with its own names; `R` is short for a region's.
const HUB: &str = "
    vpce-1 com.amazonaws.eu-west-1.sqs a=10.0.1.5 b=10.0.2.5 names=sqs.eu-west-1.amazonaws.com \
        dns=vpce-1-x.sqs.eu-west-1.vpce.amazonaws.com,vpce-1-x-a.sqs.eu-west-1.vpce.amazonaws.com
    vpce-2 com.amazonaws.eu-west-1.s3 a=10.0.1.6 b=10.0.2.6 names=*.s3.eu-west-1.amazonaws.com \
        dns=*.vpce-2-x.s3.eu-west-1.vpce.amazonaws.com
    vpce-3 com.amazonaws.eu-west-1.sns a=10.0.1.7 a=fd00::7 names=sns.eu-west-1.amazonaws.com
";

const R: &str = "eu-west-1.amazonaws.com";

fn set(name: &str, rtype: &str, values: &[&str]) -> Value {
    let values: Vec<Value> = values.iter().map(|it| json!({ "Value": it })).collect();
    json!({ "Name": name, "Type": rtype, "TTL": 60, "ResourceRecords": values })
}

fn alias(name: &str, rtype: &str, target: &str) -> Value {
    let target = json!({ "HostedZoneId": "Z38GZ743OKFT7T", "DNSName": target,
        "EvaluateTargetHealth": false });
    json!({ "Name": name, "Type": rtype, "AliasTarget": target })
}

fn apex(name: &str) -> Vec<Value> {
    let soa = "ns-1536.awsdns-00.co.uk. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400";
    vec![
        json!({ "Name": name, "Type": "NS", "TTL": 172_800,
            "ResourceRecords": [{ "Value": "ns-0.awsdns-00.com." }] }),
        json!({ "Name": name, "Type": "SOA", "TTL": 900, "ResourceRecords": [{ "Value": soa }] }),
    ]
}

fn text(file: &str, value: &Value) -> Text {
    Text { file: file.to_owned(), text: value.to_string() }
}

/// The two lists of a zone in these VPCs.
fn zone(id: &str, name: &str, vpcs: &[&str], records: &[Value]) -> [Text; 2] {
    let name = format!("{}.", name.replace('R', R));
    let vpcs: Vec<Value> =
        vpcs.iter().map(|id| json!({ "VPCRegion": "eu-west-1", "VPCId": id })).collect();
    let sets = [&apex(&name), records].concat();
    let got = json!({ "HostedZone": { "Id": format!("/hostedzone/{id}"), "Name": name,
        "CallerReference": "x", "Config": { "PrivateZone": true },
        "ResourceRecordSetCount": sets.len() }, "VPCs": vpcs });
    [text("zone", &got), text("records", &json!({ "ResourceRecordSets": sets }))]
}

fn migration(texts: impl IntoIterator<Item = Text>) -> Migration {
    migration_of(&facts::config(), texts)
}

fn migration_of(config: &PolicyConfig, texts: impl IntoIterator<Item = Text>) -> Migration {
    let table = compile(policy::plan(&facts::inventory(HUB), config), config);
    let recording = Recording::read(texts.into_iter().collect());
    let hubs = BTreeSet::from(["vpc-hub".into()]);
    let view = table.views().last().unwrap();
    Migration::new(recording, view, &hubs, &["eu-west-1.amazonaws.com".parse().unwrap()])
}

/// Zone and findings of one zone as `NAME TYPE WHAT`, with the region's name shortened.
#[track_caller]
fn check(name: &str, records: &[Value], verdict: Verdict, findings: &[(&str, What)]) {
    let migration = migration(zone("Z1", name, &["vpc-a"], records));
    assert_eq!(migration.doubts, []);
    let [judged] = &migration.zones[..] else { panic!("{migration}") };
    let told: Vec<(String, What)> = judged
        .findings
        .iter()
        .map(|it| (format!("{} {}", it.name.replace(R, "R"), it.rtype), it.what))
        .collect();
    let told: Vec<(&str, What)> = told.iter().map(|(at, what)| (at.as_str(), *what)).collect();
    assert_eq!((judged.verdict, told.as_slice()), (verdict, findings), "{migration}");
}

fn r(name: &str) -> String {
    format!("{}.", name.replace('R', R))
}

const REGIONAL: &str = "vpce-1-x.sqs.eu-west-1.vpce.amazonaws.com.";

#[test]
fn an_alias_a_cname_and_the_addresses_themselves_are_the_same() {
    let sqs = r("sqs.R");
    for record in [
        alias(&sqs, "A", REGIONAL),
        set(&sqs, "CNAME", &[REGIONAL]),
        set(&sqs, "A", &["10.0.2.5", "10.0.1.5"]),
        // An alias of its own, as it was called before the endpoint's names were known.
        alias(&sqs, "A", "vpce-1-old.sqs.eu-west-1.vpce.amazonaws.com."),
    ] {
        check("sqs.R", &[record], Verdict::Same, &[("sqs.R A", What::Same)]);
    }
}

#[test]
fn what_differs_is_told_by_what_it_is() {
    let sqs = r("sqs.R");
    let zonal = "vpce-1-x-a.sqs.eu-west-1.vpce.amazonaws.com.";
    for (record, what) in [
        (set(&sqs, "A", &["10.0.1.5", "10.0.9.9"]), What::OldAddress),
        (set(&sqs, "A", &["10.0.1.5"]), What::FewerAddresses),
        (alias(&sqs, "A", zonal), What::FewerAddresses),
        (set(&sqs, "A", &["10.0.1.6", "10.0.2.6"]), What::OtherEndpoint),
        (alias(&sqs, "A", "vpce-99-x.sqs.eu-west-1.vpce.amazonaws.com."), What::UnknownTarget),
        (set(&sqs, "CNAME", &["sqs.elsewhere.example"]), What::UnknownTarget),
    ] {
        let told = format!("{what:?}");
        let migration = migration(zone("Z1", "sqs.R", &["vpc-a"], &[record]));
        let found = &migration.zones[0].findings;
        assert!(
            found.iter().any(|it| it.what == what && it.rtype == "A"),
            "{told} in\n{migration}"
        );
        assert_eq!(migration.zones[0].verdict, Verdict::Differs);
    }
}

#[test]
fn types_that_only_one_side_has() {
    let (sns, sqs) = (r("sns.R"), r("sqs.R"));
    check(
        "sns.R",
        &[set(&sns, "A", &["10.0.1.7"])],
        Verdict::Differs,
        &[("sns.R A", What::Same), ("sns.R AAAA", What::MissingType)],
    );
    check(
        "sqs.R",
        &[
            alias(&sqs, "A", REGIONAL),
            set(&sqs, "AAAA", &["fd00::9"]),
            set(&sqs, "TXT", &["\"x\""]),
        ],
        Verdict::Differs,
        &[("sqs.R A", What::Same), ("sqs.R AAAA", What::LostType), ("sqs.R TXT", What::LostType)],
    );
}

#[test]
fn wildcards_are_looked_up_as_servers_do() {
    let (s3, wild) = (r("s3.R"), format!("\\052.{}", r("s3.R")));
    let target = "\\052.vpce-2-x.s3.eu-west-1.vpce.amazonaws.com.";
    let both = [alias(&s3, "A", target), alias(&wild, "A", target)];
    let same = [("*.s3.R A", What::Same), ("s3.R A", What::Same)];
    check("s3.R", &both, Verdict::Same, &same);
    let missing = [("*.s3.R A", What::MissingWildcard), ("s3.R A", What::Same)];
    check("s3.R", &both[..1], Verdict::Differs, &missing);
    // A name within the wildcard that has its own record is its own question.
    let own = set(&r("old.s3.R"), "A", &["10.0.9.9"]);
    let mut found = same.to_vec();
    found.insert(1, ("old.s3.R A", What::OldAddress));
    let records = [both.to_vec(), vec![own.clone()]].concat();
    check("s3.R", &records, Verdict::Differs, &found);
    // A zone inside the wildcard hides all that the wildcard answers there.
    check(
        "bucket.s3.R",
        &[set(&r("bucket.s3.R"), "A", &["10.0.1.6", "10.0.2.6"])],
        Verdict::Differs,
        &[("*.bucket.s3.R A", What::MissingWildcard), ("bucket.s3.R A", What::Same)],
    );
}

#[test]
fn a_zone_above_hides_what_it_does_not_have() {
    check(
        "R",
        &[alias(&r("sqs.R"), "A", REGIONAL), set(&r("x.sns.R"), "A", &["192.0.2.1"])],
        Verdict::Differs,
        &[
            ("*.s3.R A", What::MissingWildcard),
            ("s3.R A", What::Hidden),
            // There is a name below it, so it is there and has no records.
            ("sns.R A", What::MissingType),
            ("sns.R AAAA", What::MissingType),
            ("sqs.R A", What::Same),
            ("x.sns.R A", What::NotOurs),
        ],
    );
}

#[test]
fn a_misspelt_name_is_not_needed_and_one_of_your_own_is() {
    let misspelt = alias(&r("queue.sqs.R"), "A", REGIONAL);
    check("queue.sqs.R", &[misspelt], Verdict::NotNeeded, &[("queue.sqs.R A", What::WrongName)]);
    let own = set("orders.example.", "A", &["10.0.1.5", "10.0.2.5"]);
    check("orders.example", &[own], Verdict::Differs, &[("orders.example A", What::OwnName)]);
    let other = set("www.corp.example.", "A", &["10.9.0.1"]);
    check("corp.example", &[other], Verdict::NotOurs, &[("www.corp.example A", What::NotOurs)]);
}

/// Each of them shares `eu-west-1.amazonaws.com` with a name that is published, as misspelt ones do.
#[test]
fn a_name_that_clients_call_is_not_misspelt_though_nobody_publishes_it() {
    let s3 = "\\052.vpce-2-x.s3.eu-west-1.vpce.amazonaws.com.";
    for (name, target, advice) in [
        ("s3.dualstack.R", s3, "clients call it: `alias_sets = [\"s3-dualstack\"]` answers it"),
        ("*.s3.dualstack.R", s3, "clients call it: `alias_sets = [\"s3-dualstack\"]` answers it"),
        ("sqs-fips.R", REGIONAL, "clients call it: an `[[answers.alias]]` to vpce-1 answers it"),
        ("*.s3-fips.R", s3, "clients call it: an `[[answers.alias]]` to vpce-2 answers it"),
    ] {
        let zone_name = name.trim_start_matches("*.");
        let record = alias(&r(name).replace('*', "\\052"), "A", target);
        let migration = migration(zone("Z1", zone_name, &["vpc-a"], &[record]));
        let [judged] = &migration.zones[..] else { panic!("{migration}") };
        let [finding] = &judged.findings[..] else { panic!("{migration}") };
        assert_eq!((judged.verdict, finding.what), (Verdict::Differs, What::Unpublished));
        assert_eq!(finding.advice.as_deref(), Some(advice), "{name}");
        assert!(!migration.is_smooth());
        let told = format!("{} has to be answered still: {advice}; or keep zone Z1", finding.name);
        assert!(migration.steps.before.contains(&told), "{migration}");
    }
}

#[test]
fn a_name_that_is_declined_is_told_by_the_reason_and_not_by_an_alias() {
    let config = PolicyConfig { deny: vec![ServiceRule::new("sqs")], ..facts::config() };
    let record = alias(&r("sqs.R"), "A", REGIONAL);
    let migration = migration_of(&config, zone("Z1", "sqs.R", &["vpc-a"], &[record]));
    let [judged] = &migration.zones[..] else { panic!("{migration}") };
    let [finding] = &judged.findings[..] else { panic!("{migration}") };
    assert_eq!((judged.verdict, finding.what), (Verdict::Differs, What::Declined), "{migration}");
    assert_eq!(finding.advice.as_deref(), Some("hubdns declines it: answers.deny has sqs"));
}

#[test]
fn records_of_a_routing_policy_count_together() {
    let weighted = |value: &str, id: &str| {
        let mut set = set(&r("sqs.R"), "A", &[value]);
        set["SetIdentifier"] = json!(id);
        set["Weight"] = json!(10);
        set
    };
    let records = [weighted("10.0.1.5", "a"), weighted("10.0.2.5", "b")];
    check("sqs.R", &records, Verdict::Same, &[("sqs.R A", What::Same)]);
    // Half of the clients go by another endpoint of ours: nothing of that is old.
    let records = [weighted("10.0.1.5", "a"), weighted("10.0.1.6", "b")];
    check("sqs.R", &records, Verdict::Differs, &[("sqs.R A", What::OtherEndpoint)]);
}

#[test]
fn an_alias_of_a_routing_policy_counts_for_its_share_of_clients() {
    let weighted = |target: &str| {
        let mut set = alias(&r("sqs.R"), "A", target);
        set["SetIdentifier"] = json!(target);
        set["Weight"] = json!(10);
        set
    };
    let s3 = "vpce-2-x.s3.eu-west-1.vpce.amazonaws.com.";
    let records = [weighted(REGIONAL), weighted(s3)];
    check("sqs.R", &records, Verdict::Differs, &[("sqs.R A", What::OtherEndpoint)]);
    let unknown = "vpce-99-x.sqs.eu-west-1.vpce.amazonaws.com.";
    let records = [weighted(REGIONAL), weighted(unknown)];
    check("sqs.R", &records, Verdict::Differs, &[("sqs.R A", What::UnknownTarget)]);
}

#[test]
fn no_id_can_be_a_command_and_no_text_moves_the_cursor() {
    let [got, records] = zone("Z1", "sqs.R", &["vpc-a"], &[alias(&r("sqs.R"), "A", REGIONAL)]);
    for (id, other) in [
        ("/hostedzone/Z1", "/hostedzone/Z1;reboot"),
        ("vpc-a", "vpc-a$(reboot)"),
        ("\"eu-west-1\"", "\"eu-west-1 \\u001b[2J\""),
    ] {
        let got = Text { text: got.text.replace(id, other), ..got.clone() };
        let migration = migration([got, records.clone()]);
        let refused = |it: &Doubt| it.about == "zone" && it.why.contains("is no id of");
        assert!(migration.doubts.iter().any(refused), "{migration}");
        assert!(migration.steps.steps.is_empty());
    }
    let account = |text: &str| text.replace("444455556666", "4\\u001b[2J");
    let list = json!({ "HostedZoneSummaries": [{ "HostedZoneId": "Z1", "Name": r("sqs.R"),
        "Owner": { "OwningAccount": "444455556666" } }], "MaxItems": "100" });
    let list = Text { file: "\u{1b}[2J".into(), text: account(&list.to_string()) };
    let broken = Text { file: "\u{1b}[2J".into(), text: "{".into() };
    let told = migration([list, broken]).to_string();
    assert!(told.contains("[2J") && !told.contains('\u{1b}'), "{told:?}");
}

#[test]
fn what_is_not_whole_is_told_and_pages_are_put_together() {
    let name = r("sqs.R");
    let [got, _] = zone("Z1", "sqs.R", &["vpc-a"], &[alias(&name, "A", REGIONAL)]);
    let first = json!({ "ResourceRecordSets": apex(&name), "IsTruncated": true,
        "NextRecordName": name, "NextRecordType": "A", "MaxItems": "2" });
    let second = json!({ "ResourceRecordSets": [alias(&name, "A", REGIONAL)],
        "IsTruncated": false, "MaxItems": "2" });
    let (first, second) = (text("1", &first), text("2", &second));
    let whole = migration([second.clone(), first.clone(), got.clone()]);
    assert!(whole.doubts.is_empty() && whole.is_smooth(), "{whole}");
    let doubts = |texts: &[&Text]| -> Vec<String> {
        let migration = migration(texts.iter().copied().cloned());
        assert!(!migration.is_smooth());
        migration.doubts.into_iter().map(|it| format!("{}: {}", it.about, it.why)).collect()
    };
    let cut = doubts(&[&got, &first]);
    assert!(cut[0].starts_with("1: it is cut off before sqs.eu-west-1"), "{cut:?}");
    assert!(cut[1].contains("2 of its 3 record sets"), "{cut:?}");
    let other = text("3", &json!({ "Reservations": [] }));
    assert!(doubts(&[&got, &first, &second, &other])[0].contains("it is none of what"));
    let broken = Text { file: "4".into(), text: "{\"Hosted".into() };
    assert!(doubts(&[&got, &first, &second, &broken])[0].contains("it is not JSON"));
    assert!(doubts(&[&first, &second])[0].contains("no zone has these records"));
    let [twin, _] = zone("Z2", "sqs.R", &["vpc-b"], &[]);
    let told = doubts(&[&got, &twin, &first, &second]);
    assert!(told[0].contains("put the id of theirs into the file's name: Z1, Z2"), "{told:?}");
    let token = text("5", &json!({ "ResourceRecordSets": apex(&name), "NextToken": "eyJ" }));
    assert!(doubts(&[&got, &token])[0].contains("without `--max-items`"));
}
