//! Probes of endpoint interfaces. Read by `refresh`, never by the query path.
//!
//! A verdict needs several probes in a row, so that one lost packet changes no answer.

mod config;
mod connect;
mod handshake;
mod prober;
mod roster;
mod state;
#[cfg(test)]
mod tests;
mod unhealthy;

pub use config::HealthConfig;
pub use handshake::{Covered, HandshakeError, covered};
pub use prober::Prober;
pub use unhealthy::Unhealthy;
