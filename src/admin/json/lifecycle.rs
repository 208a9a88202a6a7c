//! What came of orders to the daemon: `/api/v1/reload` and `/api/v1/drain`, on the control socket
//! alone.

use serde::{Deserialize, Serialize};

/// What came of a reload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadDocument {
    /// Whether the new configuration is in force. If not, all is as it was.
    pub done: bool,
    /// What is in force now and was not before, a text a part.
    pub changed: Vec<String>,
    /// Keys that changed and take effect at the next start.
    pub at_next_start: Vec<String>,
    /// What exactly of it: addresses that are opened and closed, then each key that says something
    /// else.
    #[serde(default)]
    pub details: Vec<String>,
    /// What works and is hardly meant, as `hubdns check` shows it.
    pub warnings: Vec<String>,
    /// Why it was refused, each as `hubdns check` shows it.
    pub problems: Vec<String>,
}

// === impl ReloadDocument ===

impl ReloadDocument {
    /// Whether it changes anything, now or at the next start.
    pub fn acts(&self) -> bool {
        !self.changed.is_empty() || !self.at_next_start.is_empty()
    }
}

/// Whether the daemon drains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainDocument {
    /// Seconds until it ends; nothing when it does not drain.
    pub ends_in_secs: Option<u64>,
}
