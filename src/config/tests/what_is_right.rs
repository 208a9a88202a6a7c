//! Files that are right, and what each room gets of them.

use super::*;

#[test]
fn every_key_of_the_contract_reaches_its_room() {
    let config = good(WHOLE);
    let listen: Vec<String> = config.serve.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["10.0.0.10:53", "10.0.0.10:5353", "[fd00::1]:53", "interface:ens5:53"]);
    assert_eq!(config.serve.identity.as_deref(), Some("hub-a"));
    assert_eq!(config.policy.allow.len(), 3);
    assert_eq!(config.policy.allow[2].to_string(), "192.0.2.1/32");
    let rate = &config.rate;
    assert_eq!((rate.questions_per_second, rate.slip), (100, 3));
    assert_eq!((rate.ipv4_prefix, rate.ipv6_prefix), (24, 56));
    assert_eq!(config.exempt, ["10.7.0.0/24".parse().unwrap()]);
    assert_eq!(config.refresh.interval, Duration::from_secs(31));
    assert_eq!(config.refresh.services_interval, Duration::from_secs(3_601));
    assert_eq!(config.refresh.state_file, None);
    assert_eq!(config.refresh.shrink_guard_percent, 31);
    assert_eq!(config.policy.ttl.as_secs(), 61);
    assert_eq!(config.policy.negative_ttl.as_secs(), 62);
    let denied = ["execute-api", "dynamodb"].map(ServiceRule::new);
    assert_eq!((config.policy.deny.as_slice(), config.policy.overrides), (&denied[..], true));
    assert_eq!(config.policy.aliases.len(), 3);
    let of = Lender::Endpoint("vpce-0123".into());
    let target = AliasTarget::Endpoint { of, zone: Some("euw1-az2".into()) };
    assert_eq!(config.policy.aliases[1].target, target);
    assert_eq!(
        config.policy.aliases[2].target,
        AliasTarget::Cname("other.example".parse().unwrap())
    );
    assert_eq!(config.policy.alias_sets, [AliasSet::SqsLegacy, AliasSet::S3Global]);
    let allowed: Vec<String> = config.policy.allow_rules.iter().map(ToString::to_string).collect();
    assert_eq!(allowed, ["dynamodb", "execute-api:abc123", "execute-api:def4@vpce-0123"]);
    let view = &config.policy.views[0];
    assert_eq!(view.name.as_str(), "onprem");
    assert_eq!(view.clients[0].to_string(), "192.168.0.0/16");
    assert_eq!(view.listeners[0].to_string(), "10.0.0.10:5353");
    assert_eq!(view.tags["env"], "prod");
    assert_eq!(view.kind, ViewKind::Onprem);
    assert_eq!(view.vpc_ids, ["vpc-0123".into()]);
    assert_eq!(view.accounts, ["123456789012".into()]);
    assert_eq!(view.endpoints, ["vpce-0123".into()]);
    assert_eq!(view.deny, [ServiceRule::new("s3")]);
    assert_eq!((view.allow[0].to_string().as_str(), view.overrides), ("dynamodb", Some(true)));
    assert_eq!([view.ttl, view.negative_ttl].map(|ttl| ttl.unwrap().as_secs()), [63, 64]);
    assert_eq!(view.aliases[0].pattern.to_string(), "queue.internal.example");
    let own = &config.forward.views[0];
    assert_eq!((own.view.as_str(), own.zones.len()), ("onprem", 1));
    assert_eq!(own.upstreams.as_ref().unwrap()[0].to_string(), "10.9.0.8:53");
    assert_eq!(own.zones[0].upstreams[0].to_string(), "10.9.0.3:53");
    assert_eq!(&*config.policy.zones[0].1, "eu-west-1a");
    assert_eq!(config.health.tcp_port, None);
    assert_eq!(config.health.interval, Duration::from_secs(6));
    assert_eq!(config.forward.upstreams[0].to_string(), "169.254.169.253:53");
    assert_eq!(config.forward.upstreams[1].to_string(), "10.9.0.9:5300");
    assert_eq!(config.forward.zones[0].name.to_string(), "corp.example");
    let BudgetConfig { packets, soft_packets, upstreams } = &config.forward.budget;
    assert_eq!((*packets, *soft_packets), (12, 11));
    assert_eq!(upstreams.as_ref().unwrap()[0].to_string(), "10.9.0.9:5300");
    assert_eq!(config.lookup.from, LookupFrom::DiscoveryDns);
    assert_eq!(config.lookup.upstreams[0].to_string(), "10.9.0.7:53");
    assert_eq!(config.lookup.zones, []);
    assert_eq!(config.forward.cache.entries, 1);
    assert_eq!(config.forward.cache.bytes, 2 * 1024 * 1024);
    let TtlBounds { min, max, negative_max } = config.forward.cache.ttls;
    assert_eq!([min, max, negative_max].map(Ttl::as_secs), [3, 4, 5]);
    assert!(!config.forward.cache.prefetch);
    assert_eq!(config.forward.cache.serve_stale, Duration::ZERO);
    assert_eq!(config.admin.listen, None);
    assert_eq!(config.control_socket, None);
    assert_eq!(config.log.format, LogFormat::Text);
    assert_eq!(config.warnings, []);
}

#[test]
fn public_clients_without_a_limit_are_a_warning() {
    let found = |rate: u32, allow: &str, exempt: &str| {
        let text = format!(
            "[clients]\nallow = [{allow}]\n\
             rate = {{ questions_per_second = {rate}, exempt = [{exempt}] }}\n"
        );
        good(&format!("{MINIMAL}{text}")).warnings
    };
    let warnings = |rate: u32, allow: &str| -> Vec<String> {
        found(rate, allow, "").iter().map(|it| it.what().to_owned()).collect()
    };
    let public = ["\"10.0.0.0/8\" holds public addresses"];
    assert_eq!(
        warnings(0, "\"10.0.0.0/8\", \"fd00::/8\", \"100.64.0.0/10\", \"127.0.0.1\""),
        [""; 0]
    );
    assert_eq!(warnings(0, "\"10.0.0.0/7\", \"0.0.0.0/0\"")[0], public[0].replace("/8", "/7"));
    assert_eq!(warnings(0, "\"2001:db8::/32\"").len(), 1);
    assert_eq!(warnings(5, "\"0.0.0.0/0\""), [""; 0]);
    // Those in whose name nobody else sends need no limit, be they named as a whole or in parts.
    let parts = "\"198.51.100.0/25\", \"198.51.100.128/25\"";
    for exempt in ["\"198.51.100.0/24\"", "\"198.51.0.0/16\"", parts] {
        assert_eq!(found(0, "\"198.51.100.0/24\"", exempt), []);
    }
    let doubted = found(0, "\"198.51.100.0/24\"", "\"198.51.100.0/25\"");
    assert!(doubted[0].render(false).contains("`clients.rate.exempt`"), "{}", doubted[0]);
}

#[test]
fn a_source_keeps_what_belongs_to_its_kind() {
    let config = good(WHOLE);
    assert_eq!(
        config.sources[0].kind,
        SourceKind::Ec2 {
            region: Some("eu-west-1".into()),
            role: Some(Role {
                name: RoleName::Arn("arn:aws:iam::123456789012:role/hubdns-read".to_owned()),
                external_id: None,
                session_name: "hubdns".to_owned(),
                session_tags: [].into(),
            }),
            endpoint_url: Some("http://127.0.0.1:5000".to_owned()),
        }
    );
    assert_eq!(config.sources[0].vpc_ids[0].as_str(), "vpc-0123");
    assert_eq!(config.sources[0].tags["dns"], "hub");
}

#[test]
fn a_list_of_accounts_is_a_source_for_each() {
    let text = r#"[[source]]
name = "org"
kind = "ec2"
accounts = ["111122223333", "444455556666"]
role_name = "network/hubdns-read"
external_id = "hub:4711/a"
session_name = "hub-a"
session_tags = { team = "network", "cost centre" = "" }
interval_secs = 120
tags = { dns = "hub" }
"#;
    let config = good(text);
    let names: Vec<&str> = config.sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["org-111122223333", "org-444455556666"]);
    let SourceConfig { kind, tags, interval, .. } = &config.sources[1];
    let tag = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    let role = Role {
        name: RoleName::In("444455556666".into(), "network/hubdns-read".to_owned()),
        external_id: Some("hub:4711/a".to_owned()),
        session_name: "hub-a".to_owned(),
        session_tags: [("team", "network"), ("cost centre", "")].map(tag).into(),
    };
    assert_eq!(*kind, SourceKind::Ec2 { region: None, role: Some(role), endpoint_url: None });
    assert_eq!((tags["dns"].as_str(), *interval), ("hub", Some(Duration::from_secs(120))));
}

#[test]
fn a_relative_folder_starts_where_the_file_lies() {
    let path = "/etc/hubdns/inventory".into();
    assert_eq!(good(WHOLE).sources[1].kind, SourceKind::Files { path });
}

#[test]
fn files_of_encrypted_listeners_start_where_the_file_lies_too() {
    let serve = good(WHOLE).serve;
    let (tls, https) = (serve.tls.unwrap(), serve.https.unwrap());
    assert_eq!(tls.certificate, Path::new("/etc/hubdns/tls/cert.pem"));
    assert_eq!(tls.key, Path::new("/etc/ssl/key.pem"));
    let listen: Vec<String> = tls.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["10.0.0.10:853", "interface:ens5:853"]);
    assert_eq!((https.tls.certificate, &*https.path), (tls.certificate, "/dns-query"));
}

#[test]
fn what_is_not_said_is_the_documented_default() {
    let config = good(MINIMAL);
    let listen: Vec<String> = config.serve.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["0.0.0.0:53", "[::]:53"]);
    assert_eq!(config.admin.listen.unwrap().to_string(), "127.0.0.1:9153");
    assert_eq!(config.lookup.from, LookupFrom::Forward);
    assert_eq!(config.lookup.upstreams, config.forward.upstreams);
    assert_eq!(config.health.tcp_port, Some(443));
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.control_socket.as_deref(), Some(Path::new("/run/hubdns/control.sock")));
}

#[test]
fn zones_are_discovered_by_either_spelling_and_by_hand_beside() {
    let config = good(MINIMAL);
    assert!(!config.policy.discover_zones && !config.sources[0].subnets);
    for text in [
        format!("zones = \"discover\"\n{MINIMAL}"),
        format!("{MINIMAL}\n[zones]\ndiscover = \"subnets\"\n"),
    ] {
        let config = good(&text);
        assert!(config.policy.discover_zones && config.sources[0].subnets, "{text}");
        assert_eq!(config.policy.zones, []);
    }
    let both = "[zones]\n\"10.1.0.0/24\" = \"euw1-az1\"\ndiscover = \"subnets\"\n";
    let config = good(&format!("{MINIMAL}\n{both}"));
    assert!(config.policy.discover_zones);
    assert_eq!(config.policy.zones.len(), 1);
}

#[test]
fn every_example_is_right_and_without_warning() {
    for (path, text) in examples() {
        let config =
            parse(&text, &path).unwrap_or_else(|errors| panic!("{}", errors.render(false)));
        assert_eq!(render_all(&config.warnings, false), "", "{path}");
    }
}
