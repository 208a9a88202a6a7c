//! The two runtimes: one for queries, and one for all that keeps the answers right.
//!
//! Reading an inventory, planning and compiling take a core for milliseconds at a time. On a thread
//! that is as dear to the kernel as those that answer, each of these is a wait that clients see.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use thread_priority::{
    NormalThreadSchedulePolicy::{Idle, Other},
    ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};
use tokio::runtime::{Builder, Handle, Runtime};

/// Of the thread that talks to AWS, probes and tells metrics, on a scale to 99: niceness 9. While
/// queries want all of the cores it gets an eighth of one, and needs less.
const WORKER_PRIORITY: u8 = 25;

/// How long work of the runtime may take that nobody waits for, when all else has ended.
const LEFTOVERS_MAX: Duration = Duration::from_millis(50);

/// Where the daemon's tasks run.
pub struct Runtimes {
    queries: Runtime,
    control: Runtime,
}

// === impl Runtimes ===

impl Runtimes {
    /// Both, with their first threads started.
    pub fn new() -> io::Result<Self> {
        let queries = Builder::new_multi_thread().enable_all().build()?;
        let is_first = AtomicBool::new(true);
        let control = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("hubdns-control")
            // The worker is the first; those for what blocks or takes long come when they are needed.
            .on_thread_start(move || stand_back(is_first.swap(false, Ordering::Relaxed)))
            .enable_all()
            .build()?;
        Ok(Self { queries, control })
    }

    /// Runs `daemon` to its end among the queries; it gets the control runtime for the rest.
    pub fn run<T>(self, daemon: impl AsyncFnOnce(Handle) -> T) -> T {
        let ended = self.queries.block_on(daemon(self.control.handle().clone()));
        // What is left is nobody's: a page of metrics for a client that does not read it.
        for runtime in [self.control, self.queries] {
            runtime.shutdown_timeout(LEFTOVERS_MAX);
        }
        ended
    }
}

/// Lets threads that answer come first: the worker shares what they leave it, and compiling is put
/// aside at once when a query comes (`SCHED_IDLE`), which being nice does not do.
fn stand_back(is_worker: bool) {
    let worker =
        WORKER_PRIORITY.try_into().map_or(ThreadPriority::Min, ThreadPriority::Crossplatform);
    let (policy, priority) = if is_worker { (Other, worker) } else { (Idle, ThreadPriority::Min) };
    let policy = ThreadSchedulePolicy::Normal(policy);
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), priority, policy) {
        // All works, only less smoothly.
        tracing::debug!(?error, "a thread of the control loop cannot stand back");
    }
}
