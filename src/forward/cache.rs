//! What upstreams said, for as long as it may be told.

use std::{sync::Arc, time::Duration};

use moka::{Expiry, sync::Cache as Moka};
use tokio::time::Instant;

use super::error::ForwardError;
use crate::{
    base::Rcode,
    telemetry::{CacheResult, Metrics},
    wire::{Question, Relay},
};

/// One unit of the cache's capacity. `cache.entries` counts these, so 100,000 entries bound the
/// kept messages to 100 MB even when somebody asks for nothing but answers of 64 kB.
const ENTRY_BYTES: usize = 1_024;
/// How long a failure is remembered, so that clients' retries do not each wait for the deadline
/// and upstreams in trouble are left alone (RFC 9520 section 3.2 asks for 1 s to 5 min).
const FAILURE_TTL: Duration = Duration::from_secs(2);
/// Failures remembered; each takes about 400 octets.
const FAILURES_MAX: u64 = 10_000;

/// Responses by question.
pub(super) struct Cache {
    answers: Moka<Question, Kept>,
    failures: Moka<Question, ForwardError>,
    serve_stale: Duration,
    metrics: Arc<Metrics>,
}

/// A response and when it came.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) relay: Arc<Relay>,
    pub(super) received: Instant,
}

/// Keeps an entry for its lifetime and as long after as it may stand in.
struct Retention {
    serve_stale: Duration,
}

// === impl Cache ===

impl Cache {
    /// A cache of `entries` units, none if 0.
    pub(super) fn new(entries: u64, serve_stale: Duration, metrics: Arc<Metrics>) -> Self {
        let units = |_: &Question, kept: &Kept| {
            u32::try_from(kept.relay.weight().div_ceil(ENTRY_BYTES)).unwrap_or(u32::MAX)
        };
        Self {
            answers: Moka::builder()
                .max_capacity(entries)
                .weigher(units)
                .expire_after(Retention { serve_stale })
                .build(),
            failures: Moka::builder().max_capacity(FAILURES_MAX).time_to_live(FAILURE_TTL).build(),
            serve_stale,
            metrics,
        }
    }

    /// The response to `question` if it is within its TTL. Counts a hit, and nothing else: who
    /// goes on to ask counts the miss.
    pub(super) fn fresh(&self, question: &Question, now: Instant) -> Option<Kept> {
        let kept = self.answers.get(question).filter(|kept| kept.is_fresh(now))?;
        self.metrics.forward.cache(CacheResult::Hit);
        Some(kept)
    }

    /// The response to `question` past its TTL, if it may still stand in.
    pub(super) fn stale(&self, question: &Question, now: Instant) -> Option<Kept> {
        let kept = self.answers.get(question)?;
        let limit = kept.retention(self.serve_stale);
        Some(kept).filter(|kept| kept.age(now) < limit)
    }

    /// Keeps a response, if it may be kept, and forgets that asking had failed.
    pub(super) fn keep(&self, question: &Question, relay: Arc<Relay>, now: Instant) {
        self.failures.invalidate(question);
        if relay.lifetime().as_secs() > 0 {
            self.answers.insert(question.clone(), Kept { relay, received: now });
        }
        self.measure();
    }

    /// Remembers for a moment that asking failed.
    pub(super) fn keep_failure(&self, question: &Question, error: ForwardError) {
        self.failures.insert(question.clone(), error);
    }

    /// Why asking failed just now, if it did.
    pub(super) fn failure(&self, question: &Question) -> Option<ForwardError> {
        self.failures.get(question)
    }

    /// Sets the gauges.
    fn measure(&self) {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let forward = &self.metrics.forward;
        forward.cache_entries.set(number(self.answers.entry_count()));
        forward.cache_bytes.set(number(self.answers.weighted_size()) * 1_024);
    }
}

// === impl Kept ===

impl Kept {
    /// How long ago it came.
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.received)
    }

    fn is_fresh(&self, now: Instant) -> bool {
        self.age(now) < self.relay.lifetime().as_duration()
    }

    /// How long it is kept: for its lifetime, and if it is no denial so long after. A name that
    /// was not there may be there by now, so an NXDOMAIN never stands in.
    fn retention(&self, serve_stale: Duration) -> Duration {
        let lifetime = self.relay.lifetime().as_duration();
        match self.relay.rcode() {
            Rcode::NOERROR => lifetime + serve_stale,
            _ => lifetime,
        }
    }
}

// === impl Retention ===

impl Expiry<Question, Kept> for Retention {
    fn expire_after_create(
        &self,
        _: &Question,
        kept: &Kept,
        _: std::time::Instant,
    ) -> Option<Duration> {
        Some(kept.retention(self.serve_stale))
    }

    fn expire_after_update(
        &self,
        question: &Question,
        kept: &Kept,
        now: std::time::Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.expire_after_create(question, kept, now)
    }
}
