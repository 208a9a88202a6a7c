//! What integration tests stand on: the daemon, the EC2 double, a real unbound, other resolvers, dig and
//! HTTP.
//!
//! Everything runs on loopback, on ports that are picked free, as a child that is killed by its
//! id and waited for when its guard is dropped. When the test fails, a guard prints what its
//! child wrote. Nothing here says what is right: that is the tests' part.

#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test binary compiles this for itself and uses its own part"
)]

mod certificates;
mod clients;
mod dig;
mod double;
mod http;
mod hubdns;
mod imds;
mod named;
mod ports;
mod process;
mod recording;
mod resolver;
mod supervisor;
mod unbound;

pub use self::{
    certificates::{ECDSA, Pair, RSA, s_client},
    clients::{Clients, Figures, Fixed, Reply, Truth, Verdict, by_tcp, query},
    dig::{DigAnswer, Record, dig, dig_at, try_dig},
    double::{Ec2Double, Endpoint, Eni, Hub, venv},
    http::{http_get, http_post, http_send},
    hubdns::{Hubdns, hubdns, loopback_env},
    imds::Imds,
    named::{Named, Signing, ZoneFile},
    ports::free_port,
    process::{Process, eventually, run_script, run_with_input},
    recording::{Recorded, Recording, name_of},
    resolver::{Resolver, daemon},
    supervisor::Supervisor,
    unbound::Unbound,
};
