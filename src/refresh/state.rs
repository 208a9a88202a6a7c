//! The last good inventory on disk, as the loop sees it: said, counted, and worked around.
//!
//! Written by a task of its own: a disk that hangs holds up no change of the table.

use std::{
    mem,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, timeout},
};

use crate::{
    base::Chain,
    discover::{LastGood, read_state, write_state},
    inventory::Inventory,
    telemetry::{Metrics, StateFileOperation},
};

/// An unchanged inventory is written again after this long, so that the file's age tells roughly
/// when it was last true. Written more often it would only wear the disk.
const REWRITE: Duration = Duration::from_secs(3_600);
/// A write that takes longer is told as one that hangs. Syncing one megabyte takes milliseconds, and on
/// a volume that has used up its burst a second.
const HANGS_AFTER: Duration = Duration::from_secs(5);
/// How long the end waits for a write under way. It is atomic: cut off, the old file stands.
const LAST_WRITE: Duration = Duration::from_secs(2);

/// What is to be on disk.
#[derive(Clone)]
struct Wanted {
    path: PathBuf,
    inventory: Arc<Inventory>,
    now_secs: u64,
}

/// The way to the task that writes.
pub(super) struct StateFile {
    path: Option<PathBuf>,
    wanted: watch::Sender<Option<Wanted>>,
    written: JoinHandle<()>,
}

/// The task's memory.
struct Writer {
    metrics: Arc<Metrics>,
    on_disk: Option<(Wanted, Instant)>,
    failing: bool,
}

// === impl StateFile ===

impl StateFile {
    /// Starts the task. Must be called within the runtime.
    #[expect(clippy::disallowed_methods, reason = "without it there is only no state file")]
    pub(super) fn new(path: Option<PathBuf>, metrics: Arc<Metrics>) -> Self {
        let (wanted, orders) = watch::channel(None);
        let writer = Writer { metrics, on_disk: None, failing: false };
        Self { path, wanted, written: tokio::spawn(writer.run(orders)) }
    }

    /// Follows a new configuration.
    pub(super) fn move_to(&mut self, path: Option<PathBuf>) {
        self.path = path;
    }

    /// The last good inventory. A file that cannot be used is said and counted, and then it is as
    /// if there were none.
    pub(super) async fn read(&self, metrics: &Metrics) -> Option<LastGood> {
        let path = self.path.as_ref()?;
        match read_state(path).await {
            Ok(Some(last_good)) => Some(last_good),
            Ok(None) => {
                tracing::info!(path = %path.display(), "no state file yet");
                None
            }
            Err(error) => {
                metrics.control.state_file_failed(StateFileOperation::Read);
                tracing::warn!(
                    reason = error.word(), error = %Chain(&error),
                    "the state file cannot be used; the sources are asked first"
                );
                None
            }
        }
    }

    /// Has the inventory written, if it is new or the file old. Never waits.
    pub(super) fn keep(&self, inventory: Inventory, now_secs: u64) {
        if let Some(path) = self.path.clone() {
            let wanted = Wanted { path, inventory: Arc::new(inventory), now_secs };
            self.wanted.send_replace(Some(wanted));
        }
    }

    /// Waits a moment for a write under way.
    pub(super) async fn close(self) {
        drop(self.wanted);
        if timeout(LAST_WRITE, self.written).await.is_err() {
            tracing::warn!("the state file's disk hangs; what was found last is not on it");
        }
    }
}

// === impl Writer ===

impl Writer {
    /// Writes the newest of what is wanted, until nobody can want anything any more.
    async fn run(mut self, mut orders: watch::Receiver<Option<Wanted>>) {
        while orders.changed().await.is_ok() {
            let wanted = orders.borrow_and_update().clone();
            if let Some(wanted) = wanted.filter(|wanted| !self.is_on_disk(wanted)) {
                self.write(wanted).await;
            }
        }
    }

    fn is_on_disk(&self, wanted: &Wanted) -> bool {
        self.on_disk.as_ref().is_some_and(|(written, at)| {
            written.path == wanted.path
                && written.inventory == wanted.inventory
                && at.elapsed() < REWRITE
        })
    }

    /// A failure is logged once until it is over, and counted each time.
    async fn write(&mut self, wanted: Wanted) {
        let path: &Path = &wanted.path;
        let written = {
            let mut writing = pin!(write_state(path, &wanted.inventory, wanted.now_secs));
            match timeout(HANGS_AFTER, &mut writing).await {
                Ok(written) => written,
                Err(_) => {
                    self.hangs(path);
                    writing.await
                }
            }
        };
        match written {
            Ok(()) => {
                if self.failing {
                    tracing::info!(path = %path.display(), "the state file can be written again");
                }
                self.failing = false;
                self.on_disk = Some((wanted, Instant::now()));
            }
            Err(error) => {
                self.metrics.control.state_file_failed(StateFileOperation::Write);
                if !self.failing {
                    tracing::warn!(
                        reason = error.word(), error = %Chain(&error),
                        "the state file cannot be written; a restart without AWS would serve what \
                         it held before, if anything"
                    );
                }
                self.failing = true;
            }
        }
    }

    /// Told while it does: who waits for a disk may wait for ever.
    fn hangs(&mut self, path: &Path) {
        self.metrics.control.state_file_failed(StateFileOperation::Write);
        if !mem::replace(&mut self.failing, true) {
            tracing::warn!(
                path = %path.display(),
                "the state file's disk hangs; a restart without AWS would serve what it held before"
            );
        }
    }
}
