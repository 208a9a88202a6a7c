//! HTTP for people and Prometheus: metrics, live, ready, the page, the JSON API.
//!
//! Looks and never changes anything: only GET is answered. The control socket speaks the same, and
//! [`client`] asks it. [`json`] has the documents, which commands also make without a daemon.

pub mod client;
mod config;
mod control;
mod guard;
pub mod json;
mod listen;
mod live;
mod openapi;
mod orders;
mod page;
mod parameters;
mod routes;
mod standing;
#[cfg(test)]
mod tests;

pub use config::{AdminConfig, InForce};
pub use listen::{serve, serve_control};
pub use live::{ask_live, no_listener};
pub use orders::{ORDERS_MAX, Order};

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use crate::{answer, refresh, table, telemetry};

/// All that is looked at. Cheap to clone.
#[derive(Clone)]
pub struct Admin {
    /// The table in force.
    pub table: table::Reader,
    /// What a reload may replace; `explain` tells its upstreams.
    pub settings: watch::Receiver<Arc<answer::Settings>>,
    /// How discovery stands.
    pub status: watch::Receiver<refresh::Status>,
    /// The last tables that went into force.
    pub publications: watch::Receiver<refresh::Publications>,
    /// The way to the control loop; the control socket alone uses it.
    pub control: refresh::Control,
    /// The DNS sockets that are bound; empty before the first is.
    pub listening: watch::Receiver<Vec<SocketAddr>>,
    /// Who is asked for AWS's hosts.
    pub aws_hosts: watch::Receiver<json::AwsHostsDocument>,
    /// Whether the daemon is about to end.
    pub stopping: watch::Receiver<bool>,
    /// When it will end, if it drains.
    pub draining: watch::Receiver<Option<Instant>>,
    /// The configuration in force.
    pub config: watch::Receiver<Arc<InForce>>,
    /// What was asked of late.
    pub traffic: Arc<telemetry::Traffic>,
    /// Takes what the control socket asks of the daemon.
    pub orders: mpsc::Sender<Order>,
    /// What is counted.
    pub metrics: Arc<telemetry::Metrics>,
}
