//! How interfaces are probed.

use std::time::Duration;

/// `[health]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthConfig {
    /// `probe`: the TCP port of `tcp:PORT`; `None` for `off`.
    pub tcp_port: Option<u16>,
    /// `interval_secs`: between two probes of one address.
    pub interval: Duration,
}
