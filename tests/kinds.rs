//! Kinds of endpoints, partitions and accounts by scenario: what EC2 answered and a configuration,
//! to the table as text and to transcripts of `explain`. Each folder of `tests/fixtures` here has
//! the files that the AWS CLI would print, and the configuration beside them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fmt::Write, io, path::Path, sync::Arc};

use futures_util::FutureExt;
use hubdns::{
    answer::{Exempt, Vantage, explain},
    config::{self, Config},
    discover::{CallPace, HostLookup, Source},
    inventory::Inventory,
    policy::plan,
    table::compile,
};

/// The inventory of a scenario, by the way that the daemon goes.
fn inventory(config: &Config) -> Inventory {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let lookup: HostLookup = Arc::new(|host| async move { Err(io::Error::other(host)) }.boxed());
    let pace = CallPace::new();
    let facts = |source| {
        let mut source = Source::new(source, Arc::clone(&lookup), pace.clone());
        let facts = runtime.block_on(source.fetch(true)).unwrap();
        let lacks: Vec<String> = source.lacks().iter().map(ToString::to_string).collect();
        assert_eq!(lacks, [""; 0]);
        Arc::new(facts)
    };
    Inventory { sources: config.sources.iter().cloned().map(facts).collect() }
}

/// The table, and then what is explained of each of `asked` (`NAME TYPE`) to a client in 10.20.1.0/24.
fn told(scenario: &str, asked: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = root.join("tests/fixtures").join(scenario).join("hubdns.toml");
    let config = config::load(&file).unwrap();
    assert!(config.warnings.is_empty());
    let table = compile(plan(&inventory(&config), &config.policy), &config.policy);
    let mut text = table.to_string();
    for asked in asked {
        let (name, rtype) = asked.split_once(' ').unwrap();
        let vantage = Vantage {
            client: "10.20.1.99".parse().unwrap(),
            listener: "10.20.0.53:53".parse().unwrap(),
        };
        let (name, rtype) = (name.parse().unwrap(), rtype.parse().unwrap());
        let exempt = Exempt::new(&config.exempt);
        let explained = explain(&table, &config.forward, &exempt, &name, rtype, vantage);
        write!(text, "\n$ hubdns explain {asked} --from 10.20.1.99\n{explained}").unwrap();
    }
    text
}

#[test]
fn services_of_other_companies_are_answered_by_names_that_they_proved() {
    insta::assert_snapshot!(told(
        "saas",
        &["api.vendor.example A", "app.upstart.example A", "warehouse.corp.example A"]
    ));
}

#[test]
fn endpoints_for_other_regions_and_for_services_of_none() {
    insta::assert_snapshot!(told(
        "cross-region",
        &[
            "bucket.s3.us-east-1.amazonaws.com A",
            "iam.amazonaws.com A",
            "vpce-0a1000000006f0005-006f0005-euw1-az2.vpce-svc-00000000000000009.eu-central-1.vpce.amazonaws.com A",
        ]
    ));
}

#[test]
fn the_partition_of_china() {
    insta::assert_snapshot!(told(
        "china",
        &[
            "sqs.cn-north-1.amazonaws.com.cn A",
            "kms.cn-north-1.api.amazonwebservices.com.cn AAAA",
            "abc123.execute-api.cn-north-1.amazonaws.com.cn A",
        ]
    ));
}

#[test]
fn the_partition_of_govcloud() {
    insta::assert_snapshot!(told("govcloud", &["kms-fips.us-gov-west-1.amazonaws.com A"]));
}

#[test]
fn endpoints_of_both_families_have_what_their_record_type_says() {
    insta::assert_snapshot!(told(
        "dual-stack",
        &[
            "sqs.eu-west-1.amazonaws.com AAAA",
            "logs.eu-west-1.amazonaws.com AAAA",
            "logs.eu-west-1.api.aws AAAA",
            "ec2.eu-west-1.amazonaws.com A",
        ]
    ));
}

#[test]
fn endpoints_without_any_ipv4_address() {
    insta::assert_snapshot!(told(
        "ipv6-only",
        &["sqs.eu-west-1.amazonaws.com A", "logs.eu-west-1.amazonaws.com AAAA"]
    ));
}

#[test]
fn resources_and_service_networks_of_vpc_lattice() {
    insta::assert_snapshot!(told(
        "lattice",
        &[
            "orders.cluster-abcdefghijkl.eu-west-1.rds.amazonaws.com A",
            "ledger.partner.example A",
            "search.partner.example A",
        ]
    ));
}

#[test]
fn kinds_that_no_name_leads_to_say_why() {
    insta::assert_snapshot!(told("no-names", &[]));
}

/// The participant stands first and sees one endpoint without its interfaces; its zones have other
/// letters than the owner's.
#[test]
fn a_vpc_that_is_shared_is_answered_for_by_who_sees_its_interfaces() {
    insta::assert_snapshot!(told(
        "shared-vpc",
        &["kms.eu-west-1.amazonaws.com A", "sqs.eu-west-1.amazonaws.com A"]
    ));
}
