//! Whole messages as a person reads them.

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
listen = [\"10.0.0.10:853\", \"0.0.0.0:53\"]
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

#[test]
fn services_that_are_hardly_meant() {
    insta::assert_snapshot!(told(&format!(
        "{MINIMAL}
[answers]
deny = [\"excute-api\", \"KMS\", \"com.amazonaws.eu-west-1.sqs\", \"vpce-svc-0123\", \"our-own\"]
allow = [\"execute-ap:abc123\"]
[[answers.alias]]
name = \"queue.corp.example\"
service = \"sqss\"
[[view]]
name = \"prod\"
clients = [\"10.1.0.0/16\"]
deny = [\"ecr.dkrr\"]
"
    )));
}

#[test]
fn aliases_that_do_not_end_are_told_with_their_chain() {
    let row: String = (1..=9)
        .map(|at| format!("[[answers.alias]]\nname = \"n{at}\"\ncname = \"n{}\"\n", at + 1))
        .collect();
    insta::assert_snapshot!(told(&format!(
        "{MINIMAL}
{row}
[[answers.alias]]
name = \"a.example\"
cname = \"b.example\"
[[view]]
name = \"lab\"
clients = [\"10.7.0.0/16\"]
[[view.alias]]
name = \"b.example\"
cname = \"a.example\"
"
    )));
}
