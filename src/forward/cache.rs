//! What upstreams said, for as long as it may be told.

use std::{sync::Arc, time::Duration};

use moka::{Expiry, sync::Cache as Moka};
use tokio::time::Instant;

use super::{error::ForwardError, forwarder::Outcome};
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
/// Failures remembered, in the same units: 10 MB. An error without a response is one.
const FAILURES_MAX: u64 = 10_000;

/// Responses by question.
pub(super) struct Cache {
    answers: Moka<Question, Kept>,
    failures: Moka<Question, Failure>,
    serve_stale: Duration,
    metrics: Arc<Metrics>,
}

/// A response and when it came.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) relay: Arc<Relay>,
    pub(super) received: Instant,
}

/// How asking failed.
#[derive(Clone)]
pub(super) enum Failure {
    /// Upstreams left the question to others, and this is what one said.
    Declined(Kept),
    /// Nothing came that could be told.
    Error(ForwardError),
}

/// Keeps an entry for its lifetime and as long after as it may stand in.
struct Retention {
    serve_stale: Duration,
}

// === impl Cache ===

impl Cache {
    /// A cache of `entries` units, none if 0.
    pub(super) fn new(entries: u64, serve_stale: Duration, metrics: Arc<Metrics>) -> Self {
        let failure_units = |_: &Question, failure: &Failure| match failure {
            Failure::Declined(kept) => kept.units(),
            Failure::Error(_) => 1,
        };
        Self {
            answers: Moka::builder()
                .max_capacity(entries)
                .weigher(|_: &Question, kept: &Kept| kept.units())
                .expire_after(Retention { serve_stale })
                .build(),
            failures: Moka::builder()
                .max_capacity(FAILURES_MAX)
                .weigher(failure_units)
                .time_to_live(FAILURE_TTL)
                .build(),
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

    /// Keeps what asking came to: an answer for its lifetime, a failure for a moment (RFC 9520
    /// section 3.1 has both errors and responses that decline among these).
    pub(super) fn note(&self, question: &Question, outcome: &Outcome, now: Instant) {
        let kept = |relay: &Arc<Relay>| Kept { relay: Arc::clone(relay), received: now };
        match outcome {
            Ok(relay) if relay.declines() => {
                self.failures.insert(question.clone(), Failure::Declined(kept(relay)));
            }
            Ok(relay) => {
                self.failures.invalidate(question);
                if relay.lifetime().as_secs() > 0 {
                    self.answers.insert(question.clone(), kept(relay));
                }
                self.measure();
            }
            Err(error) => self.failures.insert(question.clone(), Failure::Error(*error)),
        }
    }

    /// How asking failed just now, if it did.
    pub(super) fn failure(&self, question: &Question) -> Option<Failure> {
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

    /// What it takes of a cache's capacity.
    fn units(&self) -> u32 {
        u32::try_from(self.relay.weight().div_ceil(ENTRY_BYTES)).unwrap_or(u32::MAX)
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
