//! The cache for a fuzz target, which says what the time is. Built by cargo-fuzz alone.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{cache, config::CacheConfig, error::ForwardError};
use crate::{
    base::Name,
    telemetry::Metrics,
    wire::{Asking, Question, Relay},
};

/// A cache with room for all that a fuzz target puts in, and where its time begins.
pub struct Cache {
    cache: cache::Cache,
    start: Instant,
}

impl Cache {
    /// An empty one, whose answers may stand in for so long past their time.
    pub fn new(serve_stale: Duration) -> Option<Cache> {
        let config =
            CacheConfig { entries: 1_000, bytes: 1 << 30, serve_stale, ..CacheConfig::NONE };
        let metrics = Arc::new(Metrics::new().ok()?);
        Some(Cache { cache: cache::Cache::new(&config, metrics), start: Instant::now() })
    }

    /// Notes what asking came to; a failure without a response.
    pub fn note(&self, question: &Question, relay: Option<&Arc<Relay>>, at: Duration) {
        let key = question.clone().into();
        self.cache.note(&key, relay.ok_or(ForwardError::Unusable), self.start + at);
    }

    /// The response within its TTL, and its age.
    pub fn fresh(&self, question: &Question, at: Duration) -> Option<(Arc<Relay>, Duration)> {
        let kept = self.cache.fresh(&Asking::from(question).into(), self.start + at)?;
        Some((Arc::clone(&kept.relay), kept.age(self.start + at)))
    }

    /// The response that may stand in, within its TTL or past it.
    pub fn stale(&self, question: &Question, at: Duration) -> Option<Arc<Relay>> {
        self.cache
            .stale(&question.clone().into(), self.start + at)
            .map(|kept| Arc::clone(&kept.relay))
    }

    /// Forgets a name and all below it, or everything; tells how many answers these were.
    pub fn flush(&self, name: Option<&Name>) -> u64 {
        self.cache.flush(name)
    }
}
