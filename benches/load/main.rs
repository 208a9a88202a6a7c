//! What the benchmark is made of beside the servers that it compares: echoes, which are the limit of
//! any server, an upstream that is faster than any, and generators of load. Each is a role of one
//! program, and a process; `benches/compare.py` starts them, puts them on cores and reads what they
//! print. It measures nothing alone and judges nothing.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "a program for whoever measures; an error of its own ends the measurement"
)]

mod batch;
mod echo;
mod flood;
mod frames;
mod https;
mod question;
mod stream;
mod told;
mod udp;
mod upstream;

use std::{env, net::SocketAddr};

use clap::{Args, Parser, Subcommand};

use crate::question::Mix;

#[derive(Parser)]
struct Command {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Answer every datagram with itself, as long as an answer
    EchoUdp(echo::Echo),
    /// Answer every message of every connection with itself, as long as an answer
    EchoTcp(echo::Echo),
    /// Answer every question at once
    Upstream(upstream::Upstream),
    /// Ask by UDP
    Udp(udp::Load),
    /// Send what is no question, by UDP
    Flood(flood::Flood),
    /// Ask by TCP, or by TLS if there is a certificate
    Stream(stream::Connections),
    /// Ask by HTTPS
    Https(stream::Connections),
}

/// What every generator is told.
#[derive(Args, Clone)]
struct Target {
    /// Who is asked
    #[arg(long)]
    server: SocketAddr,
    /// For how long
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    #[command(flatten)]
    mix: Mix,
}

fn main() {
    // `cargo bench` says so to every bench, and this one is a tool of another.
    if env::args().any(|argument| argument == "--bench") {
        println!("benches/compare.py measures, with this program as its tool");
        return;
    }
    match Command::parse().role {
        Role::EchoUdp(echo) => echo.by_udp(),
        Role::EchoTcp(echo) => echo.by_tcp(),
        Role::Upstream(upstream) => upstream.serve(),
        Role::Udp(load) => load.run().print(),
        Role::Flood(flood) => flood.run().print(),
        Role::Stream(load) => load.run().print(),
        Role::Https(load) => https::run(&load).print(),
    }
}
