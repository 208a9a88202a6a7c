//! Where people and Prometheus look.

use std::net::SocketAddr;

/// `[admin]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminConfig {
    /// `listen`; `None` (an empty text) opens no admin listener.
    pub listen: Option<SocketAddr>,
}
