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
    table::Reader,
};

/// The first pause after a look that failed before any succeeded. A hub that starts while AWS is
/// unreachable asks soon again, and not in a storm.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// While looks fail their pauses double, from the interval to so many of them and to this time, or to
/// the interval where that is longer: an account that is denied for good costs a call of STS and one of
/// EC2 in five minutes, and one that is back is noticed within five.
const BACKOFF_INTERVALS_MAX: u32 = 10;
const BACKOFF_MAX: Duration = Duration::from_secs(300);
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
    /// To know whether anybody is answered meanwhile.
    pub(super) table: Reader,
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
    let Signals { mut nudge, mut asked, doubt, table, token } = signals;
    let mut services_asked: Option<Instant> = None;
    let mut rhythm = Rhythm::new(interval);
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
        match &facts {
            Ok(_) if due => services_asked = Some(started),
            Ok(_) => (),
            // What this one was to ask for the next one is.
            Err(_) => {
                doubt.fetch_or(due, Ordering::Relaxed);
            }
        }
        let spread = 1.0 - JITTER + 2.0 * JITTER * rand::random::<f64>();
        let (name, took) = (source.name().clone(), started.elapsed());
        let pause = match &facts {
            Ok(_) => rhythm.after_success().mul_f64(spread).saturating_sub(took),
            // In full: one that hangs is not to be asked all the time.
            Err(_) => rhythm.after_failure(table.load().in_force()).mul_f64(spread),
        };
        let lacks = source.lacks();
        let found_now = Found { source: name, facts, lacks, took, ticket, token: token.clone() };
        let told = found.send(found_now);
        if !matches!(token.run_until_cancelled(told).await, Some(Ok(()))) {
            return;
        }
        tokio::select! {
            () = token.cancelled() => return,
            () = sleep(pause) => (),
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

/// How far looks are apart.
struct Rhythm {
    interval: Duration,
    /// The pause after a look that fails.
    retry: Duration,
}

// === impl Rhythm ===

impl Rhythm {
    fn new(interval: Duration) -> Self {
        Self { interval, retry: RETRY_MIN }
    }

    fn after_success(&mut self) -> Duration {
        self.retry = self.interval;
        self.interval
    }

    /// `answering` is whether a table is in force: until then somebody waits for each look.
    fn after_failure(&mut self, answering: bool) -> Duration {
        let longest = match answering {
            true => (self.interval * BACKOFF_INTERVALS_MAX).min(BACKOFF_MAX).max(self.interval),
            false => self.interval,
        };
        let pause = self.retry.min(longest);
        self.retry = (pause * 2).min(longest);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Rhythm};

    /// The pauses, in seconds, after looks that fail one after the other.
    fn pauses(rhythm: &mut Rhythm, answering: bool) -> [u64; 7] {
        [(); 7].map(|()| rhythm.after_failure(answering).as_secs())
    }

    #[test]
    fn looks_that_fail_are_further_and_further_apart_until_one_succeeds() {
        let of = |secs| Rhythm::new(Duration::from_secs(secs));
        let mut rhythm = of(30);
        assert_eq!(pauses(&mut rhythm, true), [1, 2, 4, 8, 16, 32, 64]);
        assert_eq!(rhythm.after_success().as_secs(), 30);
        assert_eq!(pauses(&mut rhythm, true), [30, 60, 120, 240, 300, 300, 300]);
        assert_eq!(rhythm.after_success().as_secs(), 30);
        assert_eq!(rhythm.after_failure(true).as_secs(), 30);
        for (interval, longest) in [(5, 50), (60, 300), (3_600, 3_600)] {
            let mut rhythm = of(interval);
            rhythm.after_success();
            assert_eq!(pauses(&mut rhythm, true)[6], longest);
        }
    }

    #[test]
    fn while_nobody_is_answered_no_pause_is_longer_than_the_interval() {
        let mut rhythm = Rhythm::new(Duration::from_secs(30));
        assert_eq!(pauses(&mut rhythm, false), [1, 2, 4, 8, 16, 30, 30]);
    }
}
