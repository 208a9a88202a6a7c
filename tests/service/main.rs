//! The units as they are shipped: what systemd says of them, and hubdns below a systemd that runs.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod image;
mod life;
mod machine;
mod network;
mod outputs;
mod packages;
mod provision;
mod sandbox;
mod stack;
#[path = "../support/mod.rs"]
mod support;
mod units;

use std::net::{Ipv4Addr, SocketAddr};

/// Where hubdns is asked: any address of a machine's loopback will do.
const DNS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(127, 0, 0, 7)), 53);
/// A name of the recorded hub, in three zones.
const SQS: &str = "sqs.eu-west-1.amazonaws.com";
/// Its addresses.
const SQS_ADDRESSES: [&str; 3] = ["10.0.1.5", "10.0.2.5", "10.0.3.5"];
