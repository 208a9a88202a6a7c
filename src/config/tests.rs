//! The facts about configuration files.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use serde_json::Value;

use super::{Config, load, parse, render_all, schema};
use crate::{
    discover::SourceKind,
    policy::{AliasTarget, ServiceRule},
    telemetry::LogFormat,
};

const MINIMAL: &str = "[[source]]\nname = \"main\"\nkind = \"ec2\"\n";

/// Every table of the contract with all its keys at once.
const WHOLE: &str = r#"
[server]
listen = ["10.0.0.10:53", "10.0.0.10:5353", "[fd00::1]:53", "interface:ens5:53"]
identity = "hub-a"
[clients]
allow = ["10.0.0.0/8", "192.168.0.0/16", "192.0.2.1"]
[[source]]
name = "hub"
kind = "ec2"
region = "eu-west-1"
role_arn = "arn:aws:iam::123456789012:role/hubdns-read"
endpoint_url = "http://127.0.0.1:5000"
vpc_ids = ["vpc-0123"]
tags = { dns = "hub" }
[[source]]
name = "recorded"
kind = "files"
path = "inventory"
[refresh]
interval_secs = 31
services_interval_secs = 3601
state_file = ""
shrink_guard_percent = 31
[answers]
ttl_secs = 61
negative_ttl_secs = 62
deny = ["execute-api"]
[[answers.alias]]
name = "eu-west-1.queue.amazonaws.com"
service = "sqs"
[[answers.alias]]
name = "*.internal.example"
endpoint = "vpce-0123"
[[view]]
name = "onprem"
clients = ["192.168.0.0/16"]
listeners = ["10.0.0.10:5353"]
tags = { env = "prod" }
deny = ["s3"]
[zones]
"10.1.0.0/24" = "eu-west-1a"
[health]
probe = "off"
interval_secs = 6
[forward]
upstreams = ["169.254.169.253", "10.9.0.9:5300"]
trusted = ["10.9.0.2"]
[[forward.zone]]
name = "corp.example"
upstreams = ["10.9.0.2"]
[cache]
entries = 1
serve_stale_secs = 0
[admin]
listen = ""
[control]
socket = ""
[log]
format = "text"
queries = "off"
"#;

/// What a person sees of a text: every problem, or every warning, or nothing.
fn told(text: &str) -> String {
    match parse(text, "hubdns.toml") {
        Ok(config) => render_all(&config.warnings, false),
        Err(errors) => errors.render(false),
    }
}

/// The problems of lines added to a source that is right, as `LINE: what`, by their own lines.
fn wrong(lines: &str) -> Vec<String> {
    let text = format!("{lines}\n{MINIMAL}");
    let errors = parse(&text, "hubdns.toml").map(|config| config.warnings);
    let problems = errors.unwrap_or_else(|errors| errors.problems().to_vec());
    let line = |problem: &super::Problem| format!("{}: {}", problem.line(), problem.what());
    problems.iter().map(line).collect()
}

fn good(text: &str) -> Config {
    match parse(text, "/etc/hubdns/hubdns.toml") {
        Ok(config) => config,
        Err(errors) => panic!("{}", errors.render(false)),
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The file that packages install, and each of the examples.
fn examples() -> Vec<(String, String)> {
    let mut paths = vec![root().join("config/hubdns.toml")];
    for entry in fs::read_dir(root().join("config/examples")).unwrap() {
        paths.push(entry.unwrap().path());
    }
    paths.sort();
    assert_eq!(paths.len(), 6, "{paths:?}");
    paths
        .into_iter()
        .map(|path| (path.display().to_string(), fs::read_to_string(path).unwrap()))
        .collect()
}

/// The file with every `#key = value` and `#[header]` in force.
fn uncommented(text: &str) -> String {
    let line = |line: &str| {
        let key = line.strip_prefix('#').filter(|rest| !rest.starts_with([' ', ':']));
        format!("{}\n", key.unwrap_or(line))
    };
    text.lines().map(line).collect()
}

mod what_is_right {
    use super::*;

    #[test]
    fn every_key_of_the_contract_reaches_its_room() {
        let config = good(WHOLE);
        let listen: Vec<String> = config.serve.listen.iter().map(ToString::to_string).collect();
        assert_eq!(listen, ["10.0.0.10:53", "10.0.0.10:5353", "[fd00::1]:53", "interface:ens5:53"]);
        assert_eq!(config.serve.identity.as_deref(), Some("hub-a"));
        assert_eq!(config.policy.allow.len(), 3);
        assert_eq!(config.policy.allow[2].to_string(), "192.0.2.1/32");
        assert_eq!(config.refresh.interval, Duration::from_secs(31));
        assert_eq!(config.refresh.services_interval, Duration::from_secs(3_601));
        assert_eq!(config.refresh.state_file, None);
        assert_eq!(config.refresh.shrink_guard_percent, 31);
        assert_eq!(config.policy.ttl.as_secs(), 61);
        assert_eq!(config.policy.negative_ttl.as_secs(), 62);
        assert_eq!(config.policy.deny, [ServiceRule::new("execute-api")]);
        assert_eq!(config.policy.aliases.len(), 2);
        assert_eq!(config.policy.aliases[1].target, AliasTarget::Endpoint("vpce-0123".into()));
        let view = &config.policy.views[0];
        assert_eq!(view.name.as_str(), "onprem");
        assert_eq!(view.clients[0].to_string(), "192.168.0.0/16");
        assert_eq!(view.listeners[0].to_string(), "10.0.0.10:5353");
        assert_eq!(view.tags["env"], "prod");
        assert_eq!(view.deny, [ServiceRule::new("s3")]);
        assert_eq!(&*config.policy.zones[0].1, "eu-west-1a");
        assert_eq!(config.health.tcp_port, None);
        assert_eq!(config.health.interval, Duration::from_secs(6));
        assert_eq!(config.forward.upstreams[0].to_string(), "169.254.169.253:53");
        assert_eq!(config.forward.upstreams[1].to_string(), "10.9.0.9:5300");
        assert_eq!(config.forward.zones[0].name.to_string(), "corp.example");
        assert_eq!(config.forward.cache_entries, 1);
        assert_eq!(config.forward.serve_stale, Duration::ZERO);
        assert_eq!(config.admin.listen, None);
        assert_eq!(config.control_socket, None);
        assert_eq!(config.log.format, LogFormat::Text);
        assert_eq!(config.warnings, []);
    }

    #[test]
    fn a_source_keeps_what_belongs_to_its_kind() {
        let config = good(WHOLE);
        assert_eq!(
            config.sources[0].kind,
            SourceKind::Ec2 {
                region: Some("eu-west-1".into()),
                role_arn: Some("arn:aws:iam::123456789012:role/hubdns-read".to_owned()),
                endpoint_url: Some("http://127.0.0.1:5000".to_owned()),
            }
        );
        assert_eq!(config.sources[0].vpc_ids[0].as_str(), "vpc-0123");
        assert_eq!(config.sources[0].tags["dns"], "hub");
    }

    #[test]
    fn a_relative_folder_starts_where_the_file_lies() {
        let path = "/etc/hubdns/inventory".into();
        assert_eq!(good(WHOLE).sources[1].kind, SourceKind::Files { path });
    }

    #[test]
    fn what_is_not_said_is_the_documented_default() {
        let config = good(MINIMAL);
        let listen: Vec<String> = config.serve.listen.iter().map(ToString::to_string).collect();
        assert_eq!(listen, ["0.0.0.0:53", "[::]:53"]);
        assert_eq!(config.admin.listen.unwrap().to_string(), "127.0.0.1:9153");
        assert_eq!(config.health.tcp_port, Some(443));
        assert_eq!(config.log.format, LogFormat::Json);
        assert_eq!(config.control_socket.as_deref(), Some(Path::new("/run/hubdns/control.sock")));
    }

    #[test]
    fn every_example_is_right_and_without_warning() {
        for (path, text) in examples() {
            let config =
                parse(&text, &path).unwrap_or_else(|errors| panic!("{}", errors.render(false)));
            assert_eq!(render_all(&config.warnings, false), "", "{path}");
        }
    }
}

mod what_is_written_down {
    use super::*;

    #[test]
    fn the_committed_schema_is_the_one_of_the_code() {
        let path = root().join("config/hubdns.schema.json");
        let committed = fs::read_to_string(path).unwrap();
        assert!(committed == schema(), "write it anew: hubdns schema > config/hubdns.schema.json");
    }

    #[test]
    fn the_schema_lets_no_unknown_key_pass_and_describes_every_key() {
        fn check(schema: &Value, path: &str) {
            assert!(schema["description"].is_string(), "{path} has no description");
            if let Some(keys) = schema["properties"].as_object() {
                assert_eq!(schema["additionalProperties"], false, "{path}");
                keys.iter().for_each(|(key, below)| check(below, &format!("{path}.{key}")));
            }
            if schema["items"]["type"] == "object" {
                check(&schema["items"], path);
            }
        }
        let schema: Value = serde_json::from_str(&schema()).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        check(&schema, "");
    }

    #[test]
    fn the_commented_example_as_it_is_means_the_defaults() {
        let text = fs::read_to_string(root().join("config/hubdns.toml")).unwrap();
        let (example, minimal) = (good(&text), good(MINIMAL));
        // They are different files that mean the same.
        let places = minimal.places.clone();
        assert_eq!(Config { places, ..example }, minimal);
    }

    #[test]
    fn the_commented_example_lists_every_key_with_its_default() {
        /// `written` is every table of this name: those of `[[...]]` share one description.
        fn check(schema: &Value, written: &[&Value], path: &str) {
            for (key, below) in schema["properties"].as_object().unwrap() {
                let path = format!("{path}.{key}");
                let values: Vec<&Value> =
                    written.iter().filter_map(|table| table.get(key)).collect();
                assert!(!values.is_empty(), "{path} is not listed");
                if let Some(default) = below.get("default") {
                    values.iter().for_each(|value| assert_eq!(*value, default, "{path}"));
                }
                if below["items"]["type"] == "object" {
                    let elements = values.iter().filter_map(|value| value.as_array()).flatten();
                    check(&below["items"], &elements.collect::<Vec<_>>(), &path);
                } else if below.get("properties").is_some() {
                    check(below, &values, &path);
                }
            }
        }
        let text = fs::read_to_string(root().join("config/hubdns.toml")).unwrap();
        let written: toml::Table = toml::from_str(&uncommented(&text)).unwrap();
        let written = serde_json::to_value(written).unwrap();
        let schema: Value = serde_json::from_str(&schema()).unwrap();
        check(&schema, &[&written], "");
    }

    #[test]
    fn an_unknown_key_in_any_table_of_any_example_is_told_with_its_line() {
        let mut headers = BTreeSet::new();
        for (path, text) in examples() {
            for text in [text.clone(), uncommented(&text)] {
                let lines: Vec<&str> = text.lines().collect();
                let tables = lines.iter().enumerate().filter(|(_, line)| line.starts_with('['));
                // A key of `[zones]` is a network, so there it is an impossible one.
                for (at, header) in
                    [(0, "")].into_iter().chain(tables.map(|(at, line)| (at + 1, *line)))
                {
                    headers.insert(header.to_owned());
                    let mut mutated = lines.clone();
                    mutated.insert(at, "surprise = \"eu-west-1a\"");
                    let errors = parse(&mutated.join("\n"), &path).unwrap_err();
                    let named = errors.problems().iter().any(|problem| {
                        problem.line() == at + 1
                            && problem.render(false).contains("surprise")
                            && (problem.what().starts_with("unknown key `surprise`")
                                || header == "[zones]")
                    });
                    assert!(named, "{path}: below {header}\n{}", errors.render(false));
                }
            }
        }
        assert_eq!(headers.len(), 18, "every table has its turn: {headers:?}");
    }
}

mod what_is_wrong {
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
        ("server.identity = \"\"", "1: `server.identity` cannot be \"\""),
        ("clients.allow = []", "1: `clients.allow` is empty"),
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
        (
            "forward.trusted = [\"10.9.0.2\"]",
            "1: `forward.trusted` has 10.9.0.2:53, which is no upstream",
        ),
        ("cache.entries = 10000001", "1: `cache.entries` cannot be 10000001"),
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
    fn an_upstream_that_is_ourselves_is_a_loop() {
        let own = "[server]\nlisten = [\"10.0.0.10:53\"]\n[forward]\nupstreams = [\"10.0.0.10\"]";
        assert_eq!(wrong(own), ["4: the upstream 10.0.0.10 is hubdns itself"]);
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
        assert_eq!(wrong("forward.upstreams = []"), ["1: `forward.upstreams` is empty"]);
        assert_eq!(wrong(&zone("a..b")), ["2: `forward.zone.name` cannot be \"a..b\""]);
        assert_eq!(wrong(&zone("*.corp")), ["2: `forward.zone.name` cannot be \"*.corp\""]);
        assert_eq!(wrong(&zone(".")), ["2: `forward.zone.name` cannot be \".\""]);
        assert_eq!(wrong(&(zone("a") + &zone("A."))), ["5: two zones for \"A.\""]);
        assert_eq!(
            wrong("[[forward.zone]]\nname = \"a\""),
            ["1: [[forward.zone]] lacks `upstreams`"]
        );
    }

    #[test]
    fn an_alias_has_a_name_of_its_own_and_one_target() {
        let alias = |rest: &str| wrong(&format!("[[answers.alias]]\nname = \"q.example\"\n{rest}"));
        assert_eq!(alias(""), ["1: an alias has no target"]);
        assert_eq!(alias("service = 1"), ["3: `answers.alias.service` has the wrong type"]);
        assert_eq!(
            alias("service = \"sqs\"\nendpoint = \"vpce-1\""),
            ["4: an alias has two targets"]
        );
        assert_eq!(alias("endpoint = \"sqs\""), ["3: `answers.alias.endpoint` cannot be \"sqs\""]);
        let twice =
            "service = \"sqs\"\n[[answers.alias]]\nname = \"Q.example.\"\nservice = \"sqs\"";
        assert_eq!(alias(twice), ["5: two aliases for \"Q.example.\""]);
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
    fn a_view_has_a_name_of_its_own_and_listeners_that_can_be_asked() {
        let view = |name: &str, rest: &str| format!("[[view]]\nname = \"{name}\"\n{rest}\n");
        let by_client =
            |name: &str| view(name, &format!("clients = [\"10.0.{}.0/24\"]", name.len()));
        assert_eq!(wrong(&by_client("default")), ["2: no view can have the name \"default\""]);
        assert_eq!(wrong(&by_client("")), ["2: `view.name` cannot be \"\""]);
        let listeners = |listen: &str, asked: &str| {
            let rest = format!("listeners = [\"{asked}\"]");
            wrong(&format!("[server]\nlisten = [\"{listen}\"]\n{}", view("v", &rest)))
        };
        assert_eq!(
            listeners("10.0.0.10:53", "10.0.0.10:5353"),
            ["5: no one can ask 10.0.0.10:5353"]
        );
        assert_eq!(listeners("10.0.0.10:53", "10.0.0.11:53"), ["5: no one can ask 10.0.0.11:53"]);
        assert_eq!(
            listeners("interface:ens5:53", "10.0.0.11:54"),
            ["5: no one can ask 10.0.0.11:54"]
        );
        for (listen, asked) in [
            ("10.0.0.10:53", "10.0.0.10:53"),
            ("10.0.0.10:53", "0.0.0.0:53"),
            ("0.0.0.0:53", "10.0.0.10:53"),
            ("interface:ens5:53", "10.0.0.11:53"),
        ] {
            assert_eq!(listeners(listen, asked), [""; 0], "{listen} {asked}");
        }
        assert_eq!(
            listeners("nonsense", "10.0.0.10:53"),
            ["2: `server.listen` cannot be \"nonsense\""]
        );
    }

    #[test]
    fn views_that_nobody_can_be_in_are_warned_of() {
        let view = |name: &str, rest: &str| format!("[[view]]\nname = \"{name}\"\n{rest}\n");
        let wide = view("wide", "clients = [\"10.0.0.0/8\"]");
        let narrow = view("narrow", "clients = [\"10.1.0.0/16\"]");
        let everybody = view("everybody", "");
        assert_eq!(wrong(&(wide.clone() + &narrow)), ["4: the view narrow is never used"]);
        assert_eq!(wrong(&(narrow.clone() + &wide)), [""; 0]);
        assert_eq!(
            wrong(&(everybody.clone() + &wide)),
            ["1: the view everybody matches everybody"]
        );
        assert_eq!(wrong(&(wide + &everybody)), [""; 0]);
        let asked = "clients = [\"10.1.0.0/16\"]\nlisteners = [\"10.0.0.1:53\"]";
        assert_eq!(wrong(&(view("asked", asked) + &narrow)), [""; 0]);
        let outside = view("outside", "clients = [\"8.8.8.0/24\"]");
        assert_eq!(wrong(&outside), ["3: nobody in 8.8.8.0/24 is answered at all"]);
    }

    #[test]
    fn what_is_not_served_is_refused_and_checked() {
        let tls = "[server.tls]\nlisten = [\"x\"]\ncertificate = \"/c\"\nkey = \"\"";
        assert_eq!(
            wrong(tls),
            [
                "1: DNS over TLS is not served by this version",
                "2: `server.tls.listen` cannot be \"x\"",
                "4: `server.tls.key` cannot be \"\"",
            ]
        );
        let https = "[server.https]\nlisten = [\"10.0.0.10:443\"]\nkey = \"/k\"";
        assert_eq!(
            wrong(https),
            [
                "1: [server.https] lacks `certificate`",
                "1: DNS over HTTPS is not served by this version",
            ]
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
}

mod what_a_person_reads {
    use super::*;

    #[test]
    fn unknown_keys_at_three_depths() {
        insta::assert_snapshot!(told(
            "sorce = 1
[refresh]
interval_sec = 30
ttl_secs = 60
[[source]]
name = \"main\"
kind = \"ec2\"
[[answers.alias]]
name = \"eu-west-1.queue.amazonaws.com\"
service = \"sqs\"
weight = 1
"
        ));
    }

    #[test]
    fn wrong_types() {
        insta::assert_snapshot!(told(
            "server.listen = \"10.0.0.10:53\"
cache.entries = \"many\"
clients = [\"10.0.0.0/8\"]
[source]
name = \"main\"
kind = \"ec2\"
"
        ));
    }

    #[test]
    fn impossible_values() {
        insta::assert_snapshot!(told(
            "[server]
listen = [\"10.0.0.10\", \"::1\"]
[[source]]
name = \"main\"
kind = \"s3\"
[refresh]
interval_secs = 1
[zones]
\"10.1.0.9/24\" = \"eu-west-1a\"
[log]
queries = \"0.01\"
"
        ));
    }

    #[test]
    fn two_views_of_one_name() {
        insta::assert_snapshot!(told(&format!(
            "{MINIMAL}
[[view]]
name = \"onprem\"
clients = [\"192.168.0.0/16\"]

[[view]]
name = \"onprem\"
clients = [\"172.16.0.0/12\"]
"
        )));
    }

    #[test]
    fn several_at_once_in_the_order_of_the_file() {
        insta::assert_snapshot!(told(
            "[forward]
upstreams = [\"127.0.0.1\"]
[server.tls]
listen = [\"10.0.0.10:853\"]
certificate = \"/etc/hubdns/tls/cert.pem\"
key = \"/etc/hubdns/tls/key.pem\"
[answers]
ttl_secs = 0
[[source]]
kind = \"files\"
region = \"eu-west-1\"
"
        ));
    }

    #[test]
    fn syntax_errors() {
        insta::assert_snapshot!(told(
            "[server]
listen = [\"10.0.0.10:53\"
[answers]
ttl_secs = 60
ttl_secs = 70
[[source]]
name = \"main
kind = \"ec2\"
"
        ));
    }

    #[test]
    fn a_view_that_is_never_used() {
        insta::assert_snapshot!(told(&format!(
            "{MINIMAL}
[[view]]
name = \"onprem\"
clients = [\"192.168.0.0/16\"]

[[view]]
name = \"lab\"
clients = [\"192.168.7.0/24\"]
"
        )));
    }

    #[test]
    fn one_line_for_a_log_names_the_first_place_and_the_count() {
        let errors = parse("[server]\nlsten = []\n", "/etc/hubdns/hubdns.toml").unwrap_err();
        assert_eq!(
            errors.to_string(),
            "/etc/hubdns/hubdns.toml:1:1: nothing to answer: there is no [[source]] (and 1 more)"
        );
    }
}
