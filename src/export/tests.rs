//! What is exported of a small hub, as others read it.

use std::{collections::BTreeSet, slice};

use super::{
    ForwarderError, Routes, Rules, RulesError, Scope, Software, cloudformation, domains,
    forwarders, json, routes, terraform, zone_file,
};
use crate::{
    base::Name,
    policy::{self, PolicyConfig, facts},
    table::{AnswerTable, compile},
};

const HUB: &str = "
    vpce-1 com.amazonaws.eu-west-1.sqs a=10.0.1.5 b=10.0.2.5 names=sqs.eu-west-1.amazonaws.com \
        dns=vpce-1-x.sqs.eu-west-1.vpce.amazonaws.com,vpce-1-x-a.sqs.eu-west-1.vpce.amazonaws.com
    vpce-2 com.amazonaws.eu-west-1.ecr.dkr a=10.0.1.6 names=*.dkr.ecr.eu-west-1.amazonaws.com
    vpce-3 com.amazonaws.eu-west-1.eks-auth a=10.0.1.7 a=fd00::7 names=eks-auth.eu-west-1.api.aws
    vpce-4 com.amazonaws.iam a=10.0.1.8 names=iam.amazonaws.com
    vpce-5 com.amazonaws.vpce.eu-west-1.vpce-svc-1 a=10.0.1.9 names=api.eu-west-1.vendor.example
";

fn table(hub: &str) -> AnswerTable {
    let alias = facts::alias("queue.amazonaws.com", "sqs");
    let config = PolicyConfig { aliases: vec![alias], ..facts::config() };
    compile(policy::plan(&facts::inventory(hub), &config), &config)
}

#[track_caller]
fn check(scope: Scope, expected: &[&str], except: &[&str]) {
    let table = table(HUB);
    let Routes { forward, system } = routes(&table, None, scope);
    assert_eq!(forward, domains(&table, None, scope), "none is within an exception");
    assert_eq!((texts(&forward), texts(&system)), (owned(expected), owned(except)));
}

fn texts(names: &[Name]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

#[test]
fn a_region_s_names_are_one_domain_and_others_stay_by_themselves() {
    check(
        Scope::Region,
        &[
            "eu-west-1.api.aws",
            "eu-west-1.amazonaws.com",
            "iam.amazonaws.com",
            "queue.amazonaws.com",
            "api.eu-west-1.vendor.example",
        ],
        &["efs.eu-west-1.amazonaws.com", "fsx.eu-west-1.amazonaws.com"],
    );
}

#[test]
fn a_partition_s_domain_holds_all_but_what_belongs_to_a_vpc() {
    check(
        Scope::Partition,
        &["api.aws", "amazonaws.com", "api.eu-west-1.vendor.example"],
        &[
            "compute.amazonaws.com",
            "compute-1.amazonaws.com",
            "eks.amazonaws.com",
            "elb.amazonaws.com",
            "efs.eu-west-1.amazonaws.com",
            "fsx.eu-west-1.amazonaws.com",
            "rds.amazonaws.com",
            "redshift.amazonaws.com",
        ],
    );
}

#[test]
fn names_alone_are_a_rule_each_and_a_wildcard_is_its_parent() {
    check(
        Scope::Names,
        &[
            "eks-auth.eu-west-1.api.aws",
            "dkr.ecr.eu-west-1.amazonaws.com",
            "sqs.eu-west-1.amazonaws.com",
            "iam.amazonaws.com",
            "queue.amazonaws.com",
            "api.eu-west-1.vendor.example",
        ],
        &[],
    );
}

/// Else a VPC's own resolver would be asked for it, which does not know it.
#[test]
fn what_is_ours_within_an_exception_is_sent_to_us() {
    let efs = "vpce-6 com.amazonaws.eu-west-1.x a=10.0.1.10 names=a.efs.eu-west-1.amazonaws.com";
    let of_a_partner = "orders.x.eu-west-1.rds.amazonaws.com";
    let aliases = vec![
        facts::cname(of_a_partner, "db.vendor.example"),
        facts::cname(&format!("old.{of_a_partner}"), "db.vendor.example"),
        // An exception that is a name of ours would want two rules for one domain.
        facts::alias("elb.amazonaws.com", "sqs"),
    ];
    let config = PolicyConfig { aliases, ..facts::config() };
    let table =
        compile(policy::plan(&facts::inventory(&format!("{HUB}\n{efs}")), &config), &config);
    let Routes { forward, system } = routes(&table, None, Scope::Partition);
    let (forward, system) = (texts(&forward), texts(&system));
    for name in [of_a_partner, "a.efs.eu-west-1.amazonaws.com"] {
        let within = system.iter().filter(|it| name.ends_with(&format!(".{it}"))).count();
        assert!(
            within == 1 && forward.iter().any(|it| it == name),
            "{name} {forward:?} {system:?}"
        );
    }
    assert!(!forward.iter().any(|it| it.starts_with("old.")), "{forward:?}");
    assert!(!system.iter().any(|it| it == "elb.amazonaws.com"), "{system:?}");
    assert!(forward.iter().all(|it| !system.contains(it)));
    // Of another view nothing is answered to these clients.
    assert_eq!(routes(&table, Some("no-such-view"), Scope::Partition).forward, []);
}

#[test]
fn all_names_lie_in_a_domain_and_no_domain_in_another() {
    let table = table(HUB);
    for scope in [Scope::Region, Scope::Partition, Scope::Names] {
        let found = domains(&table, None, scope);
        for entry in table.views().flat_map(|view| view.entries()) {
            let claim = entry.claim();
            let own = matches!(claim.origin, policy::Origin::Regional | policy::Origin::Zonal(_));
            let within = found.iter().any(|domain| claim.pattern.name().is_within(domain));
            assert!(own || within, "{scope:?} lacks {}", claim.pattern);
        }
        let nested = |a| found.iter().any(|b| a != b && Name::is_within(a, b));
        assert!(!found.iter().any(nested), "{scope:?}: {found:?}");
    }
}

fn rules() -> Rules {
    let table = table(HUB);
    let Routes { forward, system } = routes(&table, None, Scope::Region);
    Rules {
        prefix: "hubdns".to_owned(),
        forward,
        system,
        targets: ["10.0.0.10:53", "[fd00::10]:5353"].map(|it| it.parse().unwrap()).to_vec(),
        endpoint: Some("rslvr-out-0123456789abcdef0".to_owned()),
        vpcs: vec!["vpc-0a11a2b0c5d6e7f80".to_owned(), "vpc-0b22a2b0c5d6e7f81".to_owned()],
    }
}

#[test]
fn rules_for_each_tool() {
    insta::assert_snapshot!("rules_cloudformation", cloudformation(&rules()).unwrap());
    insta::assert_snapshot!("rules_terraform", terraform(&rules()));
    insta::assert_snapshot!("rules_json", format!("{:#}", json(&rules())));
}

#[test]
fn names_of_rules_are_short_enough_and_no_two_are_one() {
    let long = format!("{}.{}.example", "a".repeat(60), "b".repeat(60));
    let named = |domains: &[&str]| -> Vec<String> {
        let forward = domains.iter().map(|it| it.parse().unwrap()).collect();
        let rules = Rules { forward, system: vec![], ..rules() };
        rules.named().into_iter().map(|it| it.name).collect()
    };
    let other = format!("{long}.test");
    let both = named(&[&other, &long]);
    assert!(both.iter().all(|name| name.len() <= 64) && both[0] != both[1], "{both:?}");
    assert!(both.iter().all(|name| name.starts_with("hubdns-aaaa")), "{both:?}");
    // The name is also the id by which Route 53 knows what it has made: who comes or goes changes none.
    assert_eq!(named(&["new.example", &long])[1], both[1]);
    assert_eq!(named(&[&long]), both[1..]);
    let wide = Rules { prefix: "ä".repeat(40), ..rules() };
    assert!(wide.named().iter().all(|rule| rule.name.len() <= 64));
}

#[test]
fn domains_that_are_the_same_but_for_their_dots_are_rules_of_their_own() {
    let domains = [
        "a-b.example",
        "a.b.example",
        "a--b.example",
        "a1.example",
        "a.1.example",
        "a_b.example",
        "a*b.example",
    ];
    let forward = domains.map(|it| it.parse().unwrap()).to_vec();
    let rules = Rules { forward, system: vec![], ..rules() };
    let of = |rules: &Rules| -> Vec<[String; 3]> {
        rules.named().into_iter().map(|it| [it.name, it.resource, it.logical]).collect()
    };
    let all = of(&rules);
    assert_eq!(all[0][..2], ["hubdns-a-b_example", "to_a-b_example"]);
    let distinct: BTreeSet<&String> = all.iter().flatten().collect();
    assert_eq!(distinct.len(), 3 * domains.len(), "{all:?}");
    // Whatever comes or goes, each keeps its names.
    for (domain, names) in rules.forward.iter().zip(&all) {
        let alone = Rules { forward: vec![domain.clone()], ..rules.clone() };
        assert_eq!(of(&alone), slice::from_ref(names));
    }
}

/// In PowerShell, HCL, a Corefile and named.conf these would be more than a name.
#[test]
fn names_that_are_more_than_a_word_are_written_nowhere() {
    let targets = ["10.0.0.10:53".parse().unwrap()];
    for name in ["$(reboot).example", "%{x}.example", "a\"b.example", "a/b.example", "{.example"] {
        let domain: Name = name.parse().unwrap();
        let told =
            Rules { forward: vec![domain.clone()], ..rules() }.check(&BTreeSet::new()).unwrap_err();
        assert!(told.to_string().starts_with(name), "{told}");
        for software in [Software::Bind, Software::Windows, Software::Dnsmasq, Software::Coredns] {
            let told = forwarders(software, slice::from_ref(&domain), &targets).unwrap_err();
            assert!(told.to_string().starts_with(name), "{told}");
        }
    }
    let plain = ["_sip.a-1.example".parse().unwrap()];
    assert!(forwarders(Software::Bind, &plain, &targets).is_ok());
}

#[test]
fn quotas_are_held_against_the_arithmetic() {
    let names =
        |count: usize| (0..count).map(|n| format!("n{n}.example").parse().unwrap()).collect();
    let vpcs = |count: usize| (0..count).map(|n| format!("vpc-{n}")).collect::<Vec<String>>();
    let base = Rules { forward: names(4), system: vec![], ..rules() };
    let fits = Rules { vpcs: vpcs(500), ..base.clone() };
    assert_eq!(
        fits.check(&BTreeSet::new()).unwrap(),
        "4 rules and 0 exceptions of 1000; 4 x 500 VPCs = 2000 associations of 2000; 2 targets of 6"
    );
    let too_many = Rules { vpcs: vpcs(501), ..base.clone() };
    let told = too_many.check(&BTreeSet::new()).unwrap_err();
    assert!(told.to_string().starts_with("4 rules x 501 VPCs = 2004 associations, more"), "{told}");
    let targets = (10..17).map(|n| format!("10.0.0.{n}:53").parse().unwrap()).collect();
    let told = Rules { targets, ..base.clone() }.check(&BTreeSet::new()).unwrap_err();
    assert_eq!(told, RulesError::Targets { targets: 7 });
    let told =
        Rules { forward: names(1_000), system: names(1), ..base.clone() }.check(&BTreeSet::new());
    assert_eq!(told, Err(RulesError::Rules { forward: 1_000, system: 1 }));
    assert!(
        Rules { forward: names(1_000), vpcs: vec![], ..base.clone() }
            .check(&BTreeSet::new())
            .is_ok()
    );
    let told = base.check(&BTreeSet::from(["vpc-0b22a2b0c5d6e7f81".into()]));
    assert_eq!(told, Err(RulesError::Hub { vpc: "vpc-0b22a2b0c5d6e7f81".to_owned() }));
    let targets = vec!["10.0.0.10:53".parse().unwrap(); 2];
    let told = Rules { targets, ..base.clone() }.check(&BTreeSet::new()).unwrap_err();
    assert_eq!(told, RulesError::Twice { what: "10.0.0.10:53".to_owned() });
    let told = Rules { vpcs: vec!["vpc-1".to_owned(); 2], ..base.clone() }
        .check(&BTreeSet::new())
        .unwrap_err();
    assert_eq!(told, RulesError::Twice { what: "vpc-1".to_owned() });
    assert_eq!(
        Rules { targets: vec![], ..base.clone() }.check(&BTreeSet::new()),
        Err(RulesError::NoTargets)
    );
    assert_eq!(Rules { forward: vec![], ..base }.check(&BTreeSet::new()), Err(RulesError::NoNames));
    let many = Rules { vpcs: vpcs(100), ..rules() };
    let told = cloudformation(&many).unwrap_err().to_string();
    assert!(told.starts_with("7 rules + 7 x 100 associations = 707 resources"), "{told}");
}

#[test]
fn forwarders_in_the_words_of_each() {
    let domains = domains(&table(HUB), None, Scope::Region);
    let targets = ["10.0.0.10:53", "10.0.1.10:53"].map(|it| it.parse().unwrap());
    for (name, software) in [
        ("bind", Software::Bind),
        ("unbound", Software::Unbound),
        ("windows", Software::Windows),
        ("dnsmasq", Software::Dnsmasq),
        ("coredns", Software::Coredns),
        ("infoblox", Software::Infoblox),
    ] {
        let text = forwarders(software, &domains, &targets).unwrap();
        insta::assert_snapshot!(format!("forwarders_{name}"), text);
        assert_eq!(forwarders(software, &[], &targets), Err(ForwarderError::NoNames));
        assert_eq!(forwarders(software, &domains, &[]), Err(ForwarderError::NoTargets));
        // A port is said, or refused, and never left out.
        let port = ["10.0.0.10:5353".parse().unwrap()];
        let said = forwarders(software, &domains, &port);
        assert!(said.is_err() || said.clone().unwrap().contains("5353"), "{said:?}");
    }
}

#[test]
fn a_zone_file_has_addresses_and_cnames() {
    let aliases = vec![facts::cname("orders.example", "sqs.eu-west-1.amazonaws.com")];
    let config = PolicyConfig { aliases, ..facts::config() };
    let table = compile(policy::plan(&facts::inventory(HUB), &config), &config);
    insta::assert_snapshot!(zone_file(table.views().last().unwrap(), &Name::root()));
    let domains = domains(&table, None, Scope::Region);
    assert!(domains.iter().any(|it| it.to_string() == "orders.example"), "{domains:?}");
}

#[test]
fn what_is_no_hub_s_address_and_no_vpc_is_refused() {
    let addressed = |target: &str| {
        let targets = vec!["10.0.0.10:53".parse().unwrap(), target.parse().unwrap()];
        let of_rules = Rules { targets: targets.clone(), ..rules() }.check(&BTreeSet::new());
        let of_others = forwarders(Software::Bind, &rules().forward, &targets);
        (of_rules.map(|_| ()), of_others.map(|_| ()))
    };
    let elsewhere = |target: &str| Err(RulesError::Target { target: target.parse().unwrap() });
    for target in ["0.0.0.0:53", "[::]:53", "224.0.0.1:53", "255.255.255.255:53", "10.0.0.1:0"] {
        let nobodys = Err(ForwarderError::Target { target: target.parse().unwrap() });
        assert_eq!(addressed(target), (elsewhere(target), nobodys));
    }
    for target in ["127.0.0.1:53", "[::1]:53", "169.254.169.253:53", "[fe80::1]:53"] {
        assert_eq!(addressed(target), (elsewhere(target), Ok(())));
    }
    assert_eq!(addressed("[fd00::10]:53"), (Ok(()), Ok(())));
    for vpc in ["nope", "vpc-", "vpc-0A", "subnet-0a11"] {
        let told = Err(RulesError::Vpc { vpc: vpc.to_owned() });
        let with = Rules { vpcs: vec![vpc.to_owned()], ..rules() };
        assert_eq!(with.check(&BTreeSet::new()), told);
        assert_eq!(rules().check(&BTreeSet::from([vpc.into()])), told);
    }
}
