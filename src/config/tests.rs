//! The facts about configuration files.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use serde_json::Value;

use super::{Config, load, parse, render_all, schema};
use crate::{
    base::{Ttl, TtlBounds},
    discover::{Role, RoleName, SourceConfig, SourceKind},
    forward::{BudgetConfig, LookupFrom},
    policy::{AliasSet, AliasTarget, Lender, ServiceRule, ViewKind},
    telemetry::LogFormat,
};

const MINIMAL: &str = "[[source]]\nname = \"main\"\nkind = \"ec2\"\n";

/// Every table of the contract with all its keys at once.
const WHOLE: &str = r#"
[server]
listen = ["10.0.0.10:53", "10.0.0.10:5353", "[fd00::1]:53", "interface:ens5:53"]
identity = "hub-a"
[server.tls]
listen = ["10.0.0.10:853", "interface:ens5:853"]
certificate = "tls/cert.pem"
key = "/etc/ssl/key.pem"
[server.https]
listen = ["10.0.0.10:443"]
certificate = "tls/cert.pem"
key = "/etc/ssl/key.pem"
[clients]
allow = ["10.0.0.0/8", "192.168.0.0/16", "192.0.2.1"]
[clients.rate]
questions_per_second = 100
slip = 3
ipv4_prefix = 24
ipv6_prefix = 56
exempt = ["10.7.0.0/24"]
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
deny = ["execute-api", "dynamodb"]
override = true
allow = ["dynamodb", "execute-api:ABC123", "execute-api:def4@vpce-0123"]
alias_sets = ["sqs-legacy", "s3-global"]
[[answers.alias]]
name = "eu-west-1.queue.amazonaws.com"
service = "sqs"
[[answers.alias]]
name = "*.internal.example"
endpoint = "vpce-0123"
zone = "euw1-az2"
[[answers.alias]]
name = "files.internal.example"
cname = "other.example."
[[view]]
name = "onprem"
clients = ["192.168.0.0/16"]
listeners = ["10.0.0.10:5353"]
kind = "onprem"
tags = { env = "prod" }
vpc_ids = ["vpc-0123"]
accounts = ["123456789012"]
endpoints = ["vpce-0123"]
deny = ["s3"]
allow = ["dynamodb"]
override = true
ttl_secs = 63
negative_ttl_secs = 64
[[view.alias]]
name = "queue.internal.example"
service = "sqs"
[view.forward]
upstreams = ["10.9.0.8"]
[[view.forward.zone]]
name = "corp.example"
upstreams = ["10.9.0.3"]
[zones]
"10.1.0.0/24" = "eu-west-1a"
[forward.budget]
packets_per_second = 12
soft_packets_per_second = 11
upstreams = ["10.9.0.9:5300"]
[discovery_dns]
upstreams = ["10.9.0.7"]
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
memory_mib = 2
ttl_min_secs = 3
ttl_max_secs = 4
negative_ttl_max_secs = 5
prefetch = false
serve_stale_secs = 0
[admin]
listen = ""
[control]
socket = ""
[log]
format = "text"
queries = "1/100"
queries_file = "/var/log/hubdns/queries.jsonl"
[log.only]
views = ["onprem"]
decisions = ["forward"]
rcodes = ["servfail"]
names = ["corp.example"]
[dnstap]
socket = "/run/dnstap/dnstap.sock"
queries = "1/10"
[otlp]
endpoint = ""
queries = "1/1000"
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

mod roles;
mod what_is_right;
mod what_is_written_down;
mod what_is_wrong;
mod what_is_wrong_in_views;
mod what_a_person_reads;
