//! The last good inventory on disk, as the loop sees it: said, counted, and worked around.
//!
//! Written by a task of its own: a disk that hangs holds up no change of the table.

use std::{
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

use super::status::{Status, Unkept};
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
    status: watch::Sender<Status>,
}

/// The task's memory.
struct Writer {
    metrics: Arc<Metrics>,
    on_disk: Option<(Wanted, Instant)>,
    failing_since: Option<Instant>,
    status: watch::Sender<Status>,
}

// === impl StateFile ===

impl StateFile {
    /// Starts the task. Must be called within the runtime.
    #[expect(clippy::disallowed_methods, reason = "without it there is only no state file")]
    pub(super) fn new(
        path: Option<PathBuf>,
        metrics: Arc<Metrics>,
        status: watch::Sender<Status>,
    ) -> Self {
        let (wanted, orders) = watch::channel(None);
        let writer = Writer { metrics, on_disk: None, failing_since: None, status: status.clone() };
        Self { path, wanted, written: tokio::spawn(writer.run(orders)), status }
    }

    /// Follows a new configuration.
    pub(super) fn move_to(&mut self, path: Option<PathBuf>) {
        self.path = path;
        if self.path.is_none() {
            self.wanted.send_replace(None);
        }
    }

    /// The last good inventory. A file that cannot be used is said and counted, and then it is as
    /// if there were none, until it has been written.
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
                let unkept = Unkept { since: Instant::now(), error: Chain(&error).to_string() };
                self.status.send_modify(|status| status.unkept = Some(unkept));
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
            match wanted {
                Some(wanted) if self.is_on_disk(&wanted) => (),
                Some(wanted) => self.write(wanted).await,
                // A configuration that keeps nothing.
                None => self.mended(),
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
                if self.failing_since.is_some() {
                    tracing::info!(path = %path.display(), "the state file can be written again");
                }
                self.mended();
                self.on_disk = Some((wanted, Instant::now()));
            }
            Err(error) => {
                if self.failed(Chain(&error).to_string()) {
                    tracing::warn!(
                        reason = error.word(), error = %Chain(&error),
                        "the state file cannot be written; a restart without AWS would serve what \
                         it held before, if anything"
                    );
                }
            }
        }
    }

    /// Told while it does: who waits for a disk may wait for ever.
    fn hangs(&mut self, path: &Path) {
        let (path, secs) = (path.display(), HANGS_AFTER.as_secs());
        if self.failed(format!("writing the state file {path} takes more than {secs} s")) {
            tracing::warn!(
                %path,
                "the state file's disk hangs; a restart without AWS would serve what it held before"
            );
        }
    }

    /// Counts a failure and lets people see it; whether it is the first.
    fn failed(&mut self, error: String) -> bool {
        self.metrics.control.state_file_failed(StateFileOperation::Write);
        let is_first = self.failing_since.is_none();
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        self.status.send_modify(|status| status.unkept = Some(Unkept { since, error }));
        is_first
    }

    fn mended(&mut self) {
        self.failing_since = None;
        self.status.send_if_modified(|status| status.unkept.take().is_some());
    }
}
