//! Looks at one source again and again.
//!
//! Each source has its own task and pace, so that one which hangs delays no other.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::config::RefreshConfig;
use crate::{
    base::SourceName,
    discover::{DiscoverError, Lack, Source},
    inventory::SourceFacts,
};

/// The first pause after a look that failed before any succeeded; doubled up to the interval. A
/// hub that starts while AWS is unreachable asks soon again, and not in a storm.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// A nudge is obeyed when the last look began this long ago: an address that flaps must not use up
/// what EC2 allows us.
const NUDGE_SPACING: Duration = Duration::from_secs(5);
/// The same for an order by a person, who may have put it into a loop.
const ORDER_SPACING: Duration = Duration::from_secs(1);
/// Looks are spread by a tenth of the interval each way, so that a fleet does not ask in step.
const JITTER: f64 = 0.1;

/// What a source told.
pub(super) struct Found {
    pub(super) source: SourceName,
    pub(super) facts: Result<SourceFacts, DiscoverError>,
    /// What the source went without, which is no failure.
    pub(super) lacks: Vec<Lack>,
    pub(super) took: Duration,
    /// Of the last order to look that came before this look began.
    pub(super) ticket: u64,
    /// Cancelled when the source has been replaced since: what it told does not count any more.
    pub(super) token: CancellationToken,
}

/// What makes a scout do something before its time.
pub(super) struct Signals {
    /// To look soon.
    pub(super) nudge: watch::Receiver<u64>,
    /// To look at once: the ticket of that order.
    pub(super) asked: watch::Receiver<u64>,
    /// To ask for the services' names too with the next look: what it told last was not believed,
    /// or a person wants everything.
    pub(super) doubt: Arc<AtomicBool>,
    /// To end.
    pub(super) token: CancellationToken,
}

/// Looks at `source` until it is told to end.
pub(super) async fn scout(
    mut source: Source,
    config: Arc<RefreshConfig>,
    found: mpsc::Sender<Found>,
    signals: Signals,
) {
    let interval = source.interval().unwrap_or(config.interval);
    let Signals { mut nudge, mut asked, doubt, token } = signals;
    let mut services_asked: Option<Instant> = None;
    let mut retry = Some(RETRY_MIN);
    loop {
        let started = Instant::now();
        nudge.mark_unchanged();
        // Before `doubt`, which an order sets first.
        let ticket = *asked.borrow_and_update();
        let due = doubt.swap(false, Ordering::Relaxed)
            || services_asked.is_none_or(|at| config.services_interval <= started - at);
        let facts = tokio::select! {
            () = token.cancelled() => return,
            facts = source.fetch(due) => facts,
        };
        let pause = match (&facts, retry) {
            (Ok(_), _) => {
                retry = None;
                if due {
                    services_asked = Some(started);
                }
                interval
            }
            (Err(_), Some(pause)) => {
                retry = Some(doubled(pause, interval));
                pause
            }
            (Err(_), None) => interval,
        };
        let name = source.name().clone();
        let (took, lacks) = (started.elapsed(), source.lacks());
        let found_now = Found { source: name, facts, lacks, took, ticket, token: token.clone() };
        let told = found.send(found_now);
        if !matches!(token.run_until_cancelled(told).await, Some(Ok(()))) {
            return;
        }
        let spread = 1.0 - JITTER + 2.0 * JITTER * rand::random::<f64>();
        tokio::select! {
            () = token.cancelled() => return,
            () = sleep(pause.mul_f64(spread).saturating_sub(took)) => (),
            spacing = called(&mut nudge, &mut asked) => {
                let Some(spacing) = spacing else { return };
                if token.run_until_cancelled(sleep_until(started + spacing)).await.is_none() {
                    return;
                }
            }
        }
    }
}

/// Waits for a call to look before the time, and tells how far looks are to be apart for it; `None`
/// when nobody can call any more.
async fn called(
    nudge: &mut watch::Receiver<u64>,
    asked: &mut watch::Receiver<u64>,
) -> Option<Duration> {
    tokio::select! {
        nudged = nudge.changed() => nudged.ok().map(|()| NUDGE_SPACING),
        asked = asked.changed() => asked.ok().map(|()| ORDER_SPACING),
    }
}

/// Twice the pause, and never more than `max`.
fn doubled(pause: Duration, max: Duration) -> Duration {
    pause.saturating_mul(2).min(max)
}

#[cfg(test)]
mod tests {
    use super::{Duration, RETRY_MIN, doubled};

    #[test]
    fn a_pause_grows_to_the_interval_and_stays_there() {
        let interval = Duration::from_secs(30);
        let mut pause = RETRY_MIN;
        let pauses: Vec<u64> = (0..200)
            .map(|_| {
                pause = doubled(pause, interval);
                pause.as_secs()
            })
            .collect();
        assert_eq!(pauses[..5], [2, 4, 8, 16, 30]);
        assert!(pauses[5..].iter().all(|secs| *secs == 30));
    }
}
