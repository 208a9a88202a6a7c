//! The task that samples what is counted. It runs beside the control loop and never with queries.

use std::sync::Arc;

use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::daemon::now_secs;
use crate::telemetry::{Metrics, TRAFFIC_EVERY, Traffic};

/// Samples what is counted, until `token` is cancelled.
pub(super) async fn watch_traffic(
    metrics: Arc<Metrics>,
    traffic: Arc<Traffic>,
    token: CancellationToken,
) {
    let mut every = interval_at(Instant::now() + TRAFFIC_EVERY, TRAFFIC_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while token.run_until_cancelled(every.tick()).await.is_some() {
        traffic.sample(metrics.dns.totals(), now_secs());
    }
}
