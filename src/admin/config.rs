//! Where people and Prometheus look.

use std::net::SocketAddr;

use crate::serve::ServeConfig;

/// `[admin]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminConfig {
    /// `listen`; `None` (an empty text) opens no admin listener.
    pub listen: Option<SocketAddr>,
}

/// The configuration in force, as far as people look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// The whole of it as TOML, without secrets.
    pub toml: String,
    /// Equal wherever the same is configured.
    pub hash: String,
    /// Whether endpoints' addresses are probed.
    pub probes: bool,
    /// Where DNS is spoken, and how.
    pub serve: ServeConfig,
}
