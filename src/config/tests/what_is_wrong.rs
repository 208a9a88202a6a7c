//! Files that are wrong, a rule a row.

use super::*;

/// What is written, and the one thing that is said of it.
const RULES: &[(&str, &str)] = &[
    ("server.listen = [\"10.0.0.10\"]", "1: `server.listen` cannot be \"10.0.0.10\""),
    ("server.listen = []", "1: `server.listen` is empty"),
    ("server.listen = [\"interface:ens5\"]", "1: `server.listen` cannot be \"interface:ens5\""),
    (
        "server.listen = [\"[::1]:53\",\n\"[0::1]:53\"]",
        "2: `server.listen` has \"[0::1]:53\" twice",
    ),
    ("server.version = \"\"", "1: `server.version` cannot be \"\""),
    ("server.cookie_secret_file = \"\"", "1: `server.cookie_secret_file` cannot be \"\""),
    ("server.identity = \"\"", "1: `server.identity` cannot be \"\""),
    ("clients.allow = []", "1: `clients.allow` is empty"),
    ("clients.rate.exempt = [\"10.0.0.1/8\"]", "1: `clients.rate.exempt` cannot be \"10.0.0.1/8\""),
    ("clients.rate.ipv6_prefix = 128", "1: `clients.rate.ipv6_prefix` cannot be 128"),
    ("clients.allow = [\"10.0.0.1/8\"]", "1: `clients.allow` cannot be \"10.0.0.1/8\""),
    ("refresh.interval_secs = 4", "1: `refresh.interval_secs` cannot be 4"),
    ("refresh.interval_secs = 3601", "1: `refresh.interval_secs` cannot be 3601"),
    ("refresh.interval_secs = -30", "1: `refresh.interval_secs` cannot be -30"),
    ("refresh.services_interval_secs = 59", "1: `refresh.services_interval_secs` cannot be 59"),
    ("refresh.shrink_guard_percent = 0", "1: `refresh.shrink_guard_percent` cannot be 0"),
    ("refresh.shrink_guard_percent = 101", "1: `refresh.shrink_guard_percent` cannot be 101"),
    ("refresh.state_file = \"x.json\"", "1: `refresh.state_file` cannot be \"x.json\""),
    ("answers.ttl_secs = 0", "1: `answers.ttl_secs` cannot be 0"),
    ("answers.negative_ttl_secs = 86401", "1: `answers.negative_ttl_secs` cannot be 86401"),
    ("answers.ttl_secs = 99999999999999999999", "1: `answers.ttl_secs` is out of all range"),
    ("answers.deny = [\"\"]", "1: `answers.deny` cannot be \"\""),
    ("answers.allow = [\"\"]", "1: `answers.allow` cannot be \"\""),
    ("answers.allow = [\"a:b.c\"]", "1: `answers.allow` cannot be \"a:b.c\""),
    ("answers.allow = [\"a:b@eni-1\"]", "1: `answers.allow` cannot be \"a:b@eni-1\""),
    (
        "answers.alias_sets = [\"s3-global\", \"s3-global\"]",
        "1: the alias set s3-global is there twice",
    ),
    (
        "forward.trusted = [\"10.9.0.2\"]",
        "1: `forward.trusted` has 10.9.0.2:53, which is no upstream",
    ),
    ("cache.entries = 10000001", "1: `cache.entries` cannot be 10000001"),
    ("cache.memory_mib = 0", "1: `cache.memory_mib` cannot be 0"),
    ("cache.ttl_min_secs = 3601", "1: `cache.ttl_min_secs` cannot be 3601"),
    ("cache.ttl_max_secs = 0", "1: `cache.ttl_max_secs` cannot be 0"),
    ("cache.negative_ttl_max_secs = 10801", "1: `cache.negative_ttl_max_secs` cannot be 10801"),
    ("cache.ttl_min_secs = 60\ncache.ttl_max_secs = 30", "2: the least TTL is above the greatest"),
    ("cache.prefetch = \"yes\"", "1: `cache.prefetch` has the wrong type"),
    ("cache.serve_stale_secs = 604801", "1: `cache.serve_stale_secs` cannot be 604801"),
    ("health.interval_secs = 0", "1: `health.interval_secs` cannot be 0"),
    ("health.probe = \"tcp:0\"", "1: `health.probe` cannot be \"tcp:0\""),
    ("health.probe = \"icmp\"", "1: `health.probe` cannot be \"icmp\""),
    ("log.queries = \"0.01\"", "1: `log.queries` cannot be \"0.01\""),
    ("log.format = \"xml\"", "1: `log.format` cannot be \"xml\""),
    ("control.socket = \"run/x\"", "1: `control.socket` cannot be \"run/x\""),
    ("admin.listen = \"9153\"", "1: `admin.listen` cannot be \"9153\""),
    (
        "admin.listen = \"127.0.0.1:53\"",
        "1: `admin.listen` \"127.0.0.1:53\" and `server.listen` \"0.0.0.0:53\" are the same TCP port",
    ),
    ("zones.discover = \"all\"", "1: `zones.discover` cannot be \"all\""),
    ("zones.\"10.0.0.0/8\" = \"\"", "1: `zones` cannot be \"\""),
    ("zones.\"10.0.0.5/8\" = \"eu-west-1a\"", "1: `zones` cannot be \"10.0.0.5/8\""),
];

#[test]
fn every_rule_names_the_place_and_the_cause() {
    for (lines, said) in RULES {
        assert_eq!(wrong(lines), [*said], "{lines}");
    }
}

#[test]
fn a_budget_is_for_upstreams_there_are_and_spares_below_its_limit() {
    let stranger = "forward.budget.upstreams = [\"10.9.0.2\"]";
    let said = "1: `forward.budget.upstreams` has 10.9.0.2:53, which is no upstream";
    assert_eq!(wrong(stranger), [said]);
    let above = "packets are spared only above the limit";
    let lower = "[forward.budget]\npackets_per_second = 500";
    assert_eq!(wrong(lower), [format!("2: {above}")]);
    let higher = "[forward.budget]\nsoft_packets_per_second = 1001";
    assert_eq!(wrong(higher), [format!("2: {above}")]);
    let both = "[forward.budget]\npackets_per_second = 500\nsoft_packets_per_second = 500";
    assert_eq!(wrong(both), [""; 0]);
}

#[test]
fn an_upstream_that_is_ourselves_is_a_loop() {
    let own = "[server]\nlisten = [\"10.0.0.10:53\"]\n[forward]\nupstreams = [\"10.0.0.10\"]";
    assert_eq!(wrong(own), ["4: the upstream 10.0.0.10 is hubdns itself"]);
    let lookup =
        "[server]\nlisten = [\"10.0.0.10:53\"]\n[discovery_dns]\nupstreams = [\"10.0.0.10\"]";
    assert_eq!(wrong(lookup), ["4: the upstream 10.0.0.10 is hubdns itself"]);
    let wildcard = "[forward]\nupstreams = [\"127.0.0.1\"]";
    assert_eq!(wrong(wildcard), ["2: the upstream 127.0.0.1 is hubdns itself"]);
    let other_port = "[forward]\nupstreams = [\"127.0.0.1:5353\"]";
    assert_eq!(wrong(other_port), [""; 0]);
    let zone = "[server]\nlisten = [\"10.0.0.10:53\"]\n[[forward.zone]]\nname = \"a\"\nupstreams = [\"10.0.0.10\"]";
    assert_eq!(wrong(zone), ["5: the upstream 10.0.0.10 is hubdns itself"]);
}

#[test]
fn upstreams_and_zones_are_checked() {
    let zone = |name: &str| format!("[[forward.zone]]\nname = \"{name}\"\nupstreams = []\n");
    assert_eq!(
        wrong("forward.upstreams = [\"dns.example\"]"),
        ["1: `forward.upstreams` cannot be \"dns.example\""]
    );
    assert_eq!(
        wrong("forward.upstreams = [\"1.1.1.1\", \"1.1.1.1:53\"]"),
        ["1: `forward.upstreams` has 1.1.1.1:53 twice"]
    );
    for upstream in ["tls://dns.example", "10.9.0.2#dns.example", "tls://10.9.0.2#a b"] {
        assert_eq!(
            wrong(&format!("forward.upstreams = [\"{upstream}\"]")),
            [format!("1: `forward.upstreams` cannot be {upstream:?}")]
        );
    }
    assert_eq!(
        wrong("forward.ca_file = \"ca.pem\""),
        ["1: `forward.ca_file` cannot be \"ca.pem\""]
    );
    assert_eq!(wrong("forward.upstreams = []"), ["1: `forward.upstreams` is empty"]);
    assert_eq!(wrong(&zone("a..b")), ["2: `forward.zone.name` cannot be \"a..b\""]);
    assert_eq!(wrong(&zone("*.corp")), ["2: `forward.zone.name` cannot be \"*.corp\""]);
    assert_eq!(wrong(&zone(".")), ["2: `forward.zone.name` cannot be \".\""]);
    assert_eq!(wrong(&(zone("a") + &zone("A."))), ["5: two zones for \"A.\""]);
    assert_eq!(wrong("[[forward.zone]]\nname = \"a\""), ["1: [[forward.zone]] lacks `upstreams`"]);
}

#[test]
fn an_alias_has_a_name_of_its_own_and_one_target() {
    let alias = |rest: &str| wrong(&format!("[[answers.alias]]\nname = \"q.example\"\n{rest}"));
    assert_eq!(alias(""), ["1: an alias has no target"]);
    assert_eq!(alias("service = 1"), ["3: `answers.alias.service` has the wrong type"]);
    assert_eq!(alias("service = \"sqs\"\nendpoint = \"vpce-1\""), ["4: an alias has two targets"]);
    assert_eq!(alias("endpoint = \"sqs\""), ["3: `answers.alias.endpoint` cannot be \"sqs\""]);
    let twice = "service = \"sqs\"\n[[answers.alias]]\nname = \"Q.example.\"\nservice = \"sqs\"";
    assert_eq!(alias(twice), ["5: two aliases for \"Q.example.\""]);
    assert_eq!(alias("cname = \"a..b\""), ["3: `answers.alias.cname` cannot be \"a..b\""]);
    assert_eq!(alias("service = \"s\"\ncname = \"b\""), ["4: an alias has two targets"]);
    let zone = "cname = \"b.example\"\nzone = \"eu-west-1a\"";
    assert_eq!(alias(zone), ["4: an alias to a name has a zone"]);
    assert_eq!(alias("service = \"s\"\nzone = \"x\""), ["4: `answers.alias.zone` cannot be \"x\""]);
    let circle =
        "cname = \"r.q.example\"\n[[answers.alias]]\nname = \"*.q.example\"\ncname = \"q.example\"";
    assert_eq!(
        alias(circle),
        ["1: the alias q.example does not end", "4: the alias *.q.example does not end"]
    );
}

#[test]
fn aliases_of_a_view_and_of_everybody_that_lead_to_each_other_are_told() {
    let everybody = "[[answers.alias]]\nname = \"a.example\"\ncname = \"b.example\"\n";
    let view = |clients: &str| {
        format!("[[view]]\nname = \"{clients}\"\nclients = [\"10.{clients}.0.0/16\"]\n")
    };
    let alias = |name: &str, target: &str| {
        format!("[[view.alias]]\nname = \"{name}.example\"\ncname = \"{target}.example\"\n")
    };
    let back = view("1") + &alias("b", "c") + &alias("c", "a");
    let told = [
        "7: the alias b.example of the view 1 does not end",
        "10: the alias c.example of the view 1 does not end",
    ];
    assert_eq!(wrong(&format!("{everybody}{back}")), told);
    // One of the same name stands in place of everybody's, and another view has no part in it.
    let instead = view("2") + &alias("a", "d") + &alias("b", "a");
    assert_eq!(wrong(&format!("{everybody}{instead}")), [""; 0]);
    assert_eq!(wrong(&format!("{everybody}{}{}", view("1"), view("2"))), [""; 0]);
    // What is in one list alone is told once.
    let circle = view("1") + &alias("c", "d") + &alias("d", "c") + &alias("e", "a");
    let told = ["7: the alias c.example does not end", "10: the alias d.example does not end"];
    assert_eq!(wrong(&format!("{everybody}{circle}")), told);
}

#[test]
fn a_source_is_checked_by_its_kind() {
    let source = |rest: &str| wrong(&format!("[[source]]\nname = \"a\"\n{rest}"));
    assert_eq!(source(""), ["1: [[source]] lacks `kind`"]);
    assert_eq!(source("kind = \"files\""), ["1: a source of kind \"files\" lacks `path`"]);
    assert_eq!(
        source("kind = \"ec2\"\npath = \"x\""),
        ["4: `path` is only for sources of kind \"files\""]
    );
    assert_eq!(
        source("kind = \"files\"\npath = \"x\"\nregion = \"eu-west-1\""),
        ["5: `region` is only for sources of kind \"ec2\""]
    );
    for (key, value) in [
        ("region", "Ireland"),
        ("region", "eu-west-1a"),
        ("role_arn", "hubdns-read"),
        ("role_arn", "arn:aws:iam::1234:role/x"),
        ("role_arn", "arn:aws:iam::123456789012:user/x"),
        ("endpoint_url", "localhost:5000"),
        ("endpoint_url", "http://"),
    ] {
        let said = format!("4: `source.{key}` cannot be {value:?}");
        assert_eq!(source(&format!("kind = \"ec2\"\n{key} = {value:?}")), [said]);
    }
    assert_eq!(
        source("kind = \"ec2\"\ninterval_secs = 4"),
        ["4: `source.interval_secs` cannot be 4"]
    );
    assert_eq!(
        source("kind = \"ec2\"\nvpc_ids = [\"10\"]"),
        ["4: `source.vpc_ids` cannot be \"10\""]
    );
    assert_eq!(
        wrong("[[source]]\nname = \"main\"\nkind = \"ec2\""),
        ["5: the name \"main\" is taken"]
    );
    assert_eq!(
        wrong("[[source]]\nname = \"\"\nkind = \"ec2\""),
        ["2: `source.name` cannot be \"\""]
    );
}

#[test]
fn what_an_encrypted_listener_needs_is_asked_for() {
    let tls = "[server.tls]\nlisten = [\"x\"]\ncertificate = \"/c\"\nkey = \"\"";
    let told = ["2: `server.tls.listen` cannot be \"x\"", "4: `server.tls.key` cannot be \"\""];
    assert_eq!(wrong(tls), told);
    let https = "[server.https]\nlisten = []\nkey = \"/k\"\npath = \"dns query\"";
    assert_eq!(
        wrong(https),
        [
            "1: [server.https] lacks `certificate`",
            "2: `server.https.listen` is empty",
            "4: `server.https.path` cannot be \"dns query\"",
        ]
    );
}

#[test]
fn no_two_listeners_have_one_tcp_port() {
    let files = "certificate = \"c\"\nkey = \"k\"";
    let tls = |listen: &str| format!("[server.tls]\nlisten = [{listen}]\n{files}\n");
    let https = |listen: &str| format!("[server.https]\nlisten = [{listen}]\n{files}\n");
    let plain = "server.listen = [\"127.0.0.1:53\"]\n";
    assert_eq!(wrong(&(plain.to_owned() + &tls("\"127.0.0.1:853\", \"127.0.0.2:53\""))), [""; 0]);
    assert_eq!(
        wrong(&(plain.to_owned() + &tls("\"127.0.0.1:53\""))),
        ["3: `server.tls.listen` has \"127.0.0.1:53\", whose TCP port `server.listen` has"]
    );
    assert_eq!(
        wrong(&(plain.to_owned() + &tls("\"0.0.0.0:53\""))),
        ["3: `server.tls.listen` has \"0.0.0.0:53\", whose TCP port `server.listen` has"]
    );
    assert_eq!(
        wrong(&tls("\"127.0.0.1:853\", \"127.0.0.1:853\"")),
        ["2: `server.tls.listen` has \"127.0.0.1:853\" twice"]
    );
    let interface = "\"interface:lo:853\"";
    assert_eq!(
        wrong(&(tls(interface) + &https(interface))),
        [
            "6: `server.https.listen` has \"interface:lo:853\", whose TCP port `server.tls.listen` has"
        ]
    );
    assert_eq!(
        wrong(&https("\"127.0.0.1:9153\"")),
        ["2: `admin.listen` \"127.0.0.1:9153\" and `server.https.listen` \"127.0.0.1:9153\" are \
          the same TCP port"]
    );
    let view = |listener| format!("[[view]]\nname = \"v\"\nlisteners = [\"{listener}\"]\n");
    assert_eq!(wrong(&(tls("\"127.0.0.1:853\"") + &view("127.0.0.1:853"))), [""; 0]);
    assert_eq!(
        wrong(&(tls("\"127.0.0.1:853\"") + &view("127.0.0.1:854"))),
        ["7: no one can ask 127.0.0.1:854"]
    );
}

#[test]
fn a_folder_that_lacks_is_a_warning_of_load() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hubdns.toml");
    fs::write(&path, "[[source]]\nname = \"a\"\nkind = \"files\"\npath = \"x\"\n").unwrap();
    let warnings = load(&path).unwrap().warnings;
    assert_eq!(warnings[0].key(), "source.path");
    fs::create_dir(dir.path().join("x")).unwrap();
    assert_eq!(load(&path).unwrap().warnings, []);
}

#[test]
fn a_file_that_cannot_be_read_is_told_with_the_next_step() {
    let errors = load(Path::new("/nonexistent/hubdns.toml")).unwrap_err();
    insta::assert_snapshot!(errors.render(false));
}

/// Not one of these may panic, whatever else they are.
#[test]
fn no_prefix_of_a_file_is_more_than_wrong() {
    for end in 0..WHOLE.len() {
        told(&WHOLE[..end]);
    }
    told("\u{feff}\u{1f600} = [\u{1f600}\n[\u{1f600}]\n");
    told("\0\x1b[31m = \"\x1b[31m\"");
}

#[cfg(not(feature = "otlp"))]
#[test]
fn a_collector_is_refused_by_a_program_that_cannot_tell_it_with_how_to_build_one_that_can() {
    let text = "[otlp]\nendpoint = \"http://127.0.0.1:4318\"\n";
    let told = told(&format!("{text}{MINIMAL}"));
    assert!(told.contains("`otlp.endpoint` cannot be"), "{told}");
    assert!(told.contains("built without the feature otlp"), "{told}");
    assert!(told.contains("cargo build --release --features otlp"), "{told}");
}

#[cfg(feature = "otlp")]
#[test]
fn a_collector_is_a_url_with_an_address() {
    use crate::querylog::{OtlpConfig, Rate};

    let otlp = |endpoint: &str| format!("[otlp]\nendpoint = \"{endpoint}\"\nqueries = \"1/9\"\n");
    for (endpoint, path) in [
        ("http://127.0.0.1:4318", "/v1/traces"),
        ("http://127.0.0.1:4318/", "/v1/traces"),
        ("http://127.0.0.1:4318/tenant/traces", "/tenant/traces"),
    ] {
        let config = good(&(otlp(endpoint) + MINIMAL));
        let (address, path) = ("127.0.0.1:4318".parse().unwrap(), path.to_owned());
        let meant = OtlpConfig { address, path, rate: Rate::OneIn(9) };
        assert_eq!(config.observers.otlp, Some(meant), "{endpoint}");
    }
    for endpoint in [
        "https://127.0.0.1:4318",
        "http://collector:4318",
        "http://127.0.0.1",
        "127.0.0.1:4318",
        "http://127.0.0.1:4318/a b",
    ] {
        let told = told(&(otlp(endpoint) + MINIMAL));
        assert!(told.contains("not a collector"), "{told}");
    }
}
