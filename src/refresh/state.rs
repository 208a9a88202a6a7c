//! The last good inventory on disk, as the loop sees it: said, counted, and worked around.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    base::Chain,
    discover::{LastGood, read_state, write_state},
    inventory::Inventory,
    telemetry::{Metrics, StateFileOperation},
};

/// An unchanged inventory is written again after this long, so that the file's age tells roughly
/// when it was last true. Written more often it would only wear the disk.
const REWRITE: Duration = Duration::from_secs(3_600);

/// Reads and writes the state file.
pub(super) struct StateFile {
    path: Option<PathBuf>,
    metrics: Arc<Metrics>,
    written: Option<(Inventory, Instant)>,
    failing: bool,
}

// === impl StateFile ===

impl StateFile {
    pub(super) fn new(path: Option<PathBuf>, metrics: Arc<Metrics>) -> Self {
        Self { path, metrics, written: None, failing: false }
    }

    /// Follows a new configuration.
    pub(super) fn move_to(&mut self, path: Option<PathBuf>) {
        if self.path != path {
            *self = Self::new(path, Arc::clone(&self.metrics));
        }
    }

    /// The last good inventory. A file that cannot be used is said and counted, and then it is as
    /// if there were none.
    pub(super) async fn read(&self) -> Option<LastGood> {
        let path = self.path.as_ref()?;
        match read_state(path).await {
            Ok(Some(last_good)) => Some(last_good),
            Ok(None) => {
                tracing::info!(path = %path.display(), "no state file yet");
                None
            }
            Err(error) => {
                self.metrics.control.state_file_failed(StateFileOperation::Read);
                tracing::warn!(
                    error = %Chain(&error),
                    "the state file cannot be used; the sources are asked first"
                );
                None
            }
        }
    }

    /// Writes what is in force, if it is new or the file old. A failure is logged once until it is
    /// over, and counted each time.
    pub(super) async fn keep(&mut self, inventory: &Inventory, now_secs: u64) {
        let Some(path) = &self.path else { return };
        let known =
            |(written, at): &(Inventory, Instant)| written == inventory && at.elapsed() < REWRITE;
        if self.written.as_ref().is_some_and(known) {
            return;
        }
        match write_state(path, inventory, now_secs).await {
            Ok(()) => {
                if self.failing {
                    tracing::info!(path = %path.display(), "the state file can be written again");
                }
                self.failing = false;
                self.written = Some((inventory.clone(), Instant::now()));
            }
            Err(error) => {
                self.metrics.control.state_file_failed(StateFileOperation::Write);
                if !self.failing {
                    tracing::warn!(
                        error = %Chain(&error),
                        "the state file cannot be written; a restart without AWS would serve what \
                         it held before"
                    );
                }
                self.failing = true;
            }
        }
    }
}
