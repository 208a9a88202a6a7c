//! The daemon's binary from outside: a real EC2 double, a real unbound, real clients. Nothing
//! here knows how it is built.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accounts;
mod aws_hosts;
mod budget;
mod changes;
mod check;
mod commands;
mod connections;
mod cookies;
mod coverage;
mod demo;
mod discovered_zones;
mod dnstap;
mod doctor;
mod drained_zones;
mod environment;
mod faults;
mod flush;
mod health;
mod kinds;
mod limits;
mod listen;
mod loops;
mod main_job;
mod memory;
mod migrate;
mod orders;
mod peers;
mod plan;
mod prometheus;
mod query_log;
mod rates;
mod refresh;
mod reload;
mod screens;
mod senders;
mod signals;
mod sources;
mod stability;
mod state_file;
mod threads;
mod tls;
mod tls_client;
mod tls_limits;
mod views;
#[path = "../support/mod.rs"]
mod support;

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value, json};

use crate::support::{Ec2Double, Hubdns, Unbound, eventually};

/// A name of the smallest hub.
const SQS: &str = "sqs.eu-west-1.amazonaws.com";
/// A shortest interval of 5 s, its jitter of a tenth, and the calls on a machine with other work.
const ONE_INTERVAL: Duration = Duration::from_millis(5_500 + 1_500);
/// For what happens at once on a quiet machine.
const SOON: Duration = Duration::from_secs(15);

/// One source that asks the double.
fn source(double: &Ec2Double) -> String {
    source_at(double.address())
}

/// One source that asks an EC2 at this address.
fn source_at(address: SocketAddr) -> String {
    format!("[[source]]\nname = \"hub\"\nkind = \"ec2\"\nendpoint_url = \"http://{address}\"\n")
}

/// One source that needs no double: recorded answers with SQS in three zones.
fn recorded() -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/small");
    format!("[[source]]\nname = \"files\"\nkind = \"files\"\npath = \"{folder}\"\n")
}

/// `[forward]` with this upstream.
fn upstream(unbound: &Unbound) -> String {
    format!("[forward]\nupstreams = [\"{}\"]\n", unbound.address())
}

/// The smallest hub: SQS in two zones.
fn small_hub(double: &Ec2Double) -> support::Endpoint {
    let azs = json!({ "a": "10.0.1.10", "b": "10.0.2.10" });
    double.create_hub(json!([{ "service": "sqs", "azs": azs }])).endpoints.remove(0)
}

/// Has the sources asked again now: a reload of the same configuration.
fn nudge(daemon: &mut Hubdns) {
    daemon.process().signal("HUP");
}

/// Waits until a name has these IPv4 addresses.
#[track_caller]
fn await_answer(daemon: &Hubdns, name: &str, addresses: &[&str], limit: Duration) {
    let what = format!("{name} is answered with {addresses:?}");
    eventually(&what, limit, || {
        (daemon.dig(&format!("{name} A")).data("A") == addresses).then_some(())
    });
}

/// Waits until a sample of `/metrics` is at least this.
#[track_caller]
fn await_metric(daemon: &Hubdns, sample: &str, least: f64) {
    let what = format!("{sample} is {least}");
    eventually(&what, SOON, || daemon.metric(sample).filter(|value| least <= *value));
}

/// `/api/v1/status`.
#[track_caller]
fn status(daemon: &Hubdns) -> Value {
    let (code, text) = daemon.get("/api/v1/status");
    assert_eq!(code, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// Lines of the log that have this text.
fn lines_with(daemon: &Hubdns, text: &str) -> Vec<String> {
    daemon.log().lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
}

#[expect(clippy::print_stderr, reason = "a figure for whoever runs the test with its output")]
fn measured_octets(what: &str, octets: u64) {
    eprintln!(
        "measured: {what}: {:.1} MiB",
        f64::from(u32::try_from(octets >> 10).unwrap()) / 1_024.0
    );
}

#[expect(clippy::print_stderr, reason = "a figure for whoever runs the test with its output")]
fn measured(what: &str, took: Duration) {
    eprintln!("measured: {what}: {took:.3?}");
}
