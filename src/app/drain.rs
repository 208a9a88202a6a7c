//! The planned end: readiness goes at once, answers go on for a time, then the daemon ends.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::daemon::Daemon;
use crate::admin::json::DrainDocument;

// === impl Daemon ===

impl Daemon {
    /// Is not ready from now on, and ends after `lasts`. Asked again, the last word counts.
    pub(super) fn drain(&self, lasts: Duration) -> DrainDocument {
        tracing::info!(secs = lasts.as_secs(), "draining: not ready, and ending after that");
        self.draining.send_replace(Some(Instant::now() + lasts));
        DrainDocument { ends_in_secs: Some(lasts.as_secs()) }
    }

    /// Is ready again, if it drained.
    pub(super) fn undrain(&self) -> DrainDocument {
        if self.draining.send_replace(None).is_some() {
            tracing::info!("draining no more");
        }
        DrainDocument { ends_in_secs: None }
    }
}

/// Comes back when the time of a drain is over, and never without one.
pub(super) async fn drained(ends: Option<Instant>) {
    match ends {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
