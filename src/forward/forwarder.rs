//! The way of a question that is not ours: cache, flight, and what to say when it fails.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tokio_util::task::TaskTracker;

use super::{
    cache::{Cache, Failure, Kept},
    config::ForwardConfig,
    error::ForwardError,
    flight::fly,
    routes::Routes,
};
use crate::{
    base::{Name, Rcode, RecordType},
    telemetry::{AnswerSource, CacheResult, Metrics},
    wire::{Age, Question, Relay},
};

/// With an older answer at hand a client waits no longer than this (RFC 8767 section 5).
const STALE_AFTER: Duration = Duration::from_millis(1_800);
/// The TTL of an answer past its time (RFC 8767 section 4).
const STALE_TTL_SECS: u32 = 30;

/// Asks upstreams. Cheap to clone.
#[derive(Clone)]
pub struct Forwarder(Arc<Inner>);

struct Inner {
    config: ForwardConfig,
    routes: Routes,
    cache: Cache,
    flights: Mutex<HashMap<Question, Landing>>,
    tasks: TaskTracker,
    metrics: Arc<Metrics>,
}

/// An upstream's response, how old it is, and where we had it from.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The response.
    pub relay: Arc<Relay>,
    /// Its age, for its TTLs.
    pub age: Age,
    /// Cache, upstream, or cache past its time.
    pub source: AnswerSource,
}

/// What a flight brings back.
pub(super) type Outcome = Result<Arc<Relay>, ForwardError>;
type Landing = watch::Receiver<Option<Outcome>>;

// === impl Forwarder ===

impl Forwarder {
    /// A forwarder with an empty cache.
    pub fn new(config: ForwardConfig, metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(Inner {
            routes: Routes::new(&config, &metrics),
            cache: Cache::new(config.cache_entries, config.serve_stale, Arc::clone(&metrics)),
            flights: Mutex::new(HashMap::new()),
            tasks: TaskTracker::new(),
            config,
            metrics,
        }))
    }

    /// What it was made from.
    pub fn config(&self) -> &ForwardConfig {
        &self.0.config
    }

    /// The answer within its TTL, if it is in the cache. Never waits.
    pub fn cached(&self, question: &Question) -> Option<Answered> {
        let now = Instant::now();
        let kept = self.0.cache.fresh(question, now)?;
        Some(kept.answered(now))
    }

    /// The answer from the cache or an upstream, or an older one if none answers in time.
    pub async fn ask(&self, question: Question) -> Result<Answered, ForwardError> {
        if let Some(answered) = self.cached(&question) {
            return Ok(answered);
        }
        let inner = &self.0;
        inner.metrics.forward.cache(CacheResult::Miss);
        let now = Instant::now();
        let stale = inner.cache.stale(&question, now);
        let outcome = match (inner.cache.failure(&question), &stale) {
            (Some(Failure::Declined(kept)), None) => return Ok(kept.answered(now)),
            (Some(Failure::Declined(_)), Some(_)) => Err(ForwardError::Unusable),
            (Some(Failure::Error(error)), _) => Err(error),
            (None, stale) => inner.fetch(&question, stale.is_some()).await,
        };
        match (outcome, stale) {
            (Ok(relay), Some(stale)) if relay.declines() => Ok(inner.stand_in(stale)),
            (Ok(relay), _) => Ok(Answered {
                relay,
                age: Age::Passed(Duration::ZERO),
                source: AnswerSource::Upstream,
            }),
            (Err(_), Some(stale)) => Ok(inner.stand_in(stale)),
            (Err(error), None) => Err(error),
        }
    }

    /// Asks the default upstreams for the root's name servers, which every resolver knows.
    pub async fn probe(&self) -> Result<Rcode, ForwardError> {
        let question = Question {
            name: Name::root(),
            rtype: RecordType::NS,
            dnssec_ok: false,
            checking_disabled: false,
        };
        Ok(self.ask(question).await?.relay.rcode())
    }
}

// === impl Inner ===

impl Inner {
    /// What upstreams say to `question`; with an older answer at hand, what they say soon.
    async fn fetch(self: &Arc<Self>, question: &Question, has_stale: bool) -> Outcome {
        let landing = self.depart(question)?;
        if !has_stale {
            return land(landing).await;
        }
        match timeout(STALE_AFTER, land(landing)).await {
            Ok(outcome) => outcome,
            // The flight goes on and will renew the cache.
            Err(_) => Err(ForwardError::TimedOut(STALE_AFTER)),
        }
    }

    /// Joins the flight of `question`, or starts it.
    fn depart(self: &Arc<Self>, question: &Question) -> Result<Landing, ForwardError> {
        let route = self.routes.of(&question.name)?;
        let mut flights = self.flights();
        if let Some(landing) = flights.get(question) {
            return Ok(landing.clone());
        }
        let Some(permits) = route.permits() else {
            self.metrics.forward.refused.inc();
            return Err(ForwardError::Overloaded);
        };
        let (land, landing) = watch::channel(None);
        flights.insert(question.clone(), landing.clone());
        drop(flights);
        self.metrics.forward.in_flight.inc();
        let upstreams = Arc::clone(&route.upstreams);
        let flown = Flown { inner: Arc::clone(self), question: question.clone() };
        self.tasks.spawn(async move {
            let inner = &flown.inner;
            let outcome = fly(&upstreams, &flown.question, &inner.metrics.forward).await;
            let outcome = outcome.map(Arc::new);
            inner.cache.note(&flown.question, &outcome, Instant::now());
            // Out of the list before it lands: who comes now finds the cache.
            drop(flown);
            drop(permits);
            let _ = land.send(Some(outcome));
        });
        Ok(landing)
    }

    /// The older answer in place of what upstreams say.
    fn stand_in(&self, stale: Kept) -> Answered {
        self.metrics.forward.cache(CacheResult::Stale);
        Answered {
            relay: stale.relay,
            age: Age::Stale(STALE_TTL_SECS),
            source: AnswerSource::Stale,
        }
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<Question, Landing>> {
        self.flights.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

/// Takes a flight off the list when it ends, however it ends.
struct Flown {
    inner: Arc<Inner>,
    question: Question,
}

impl Drop for Flown {
    fn drop(&mut self) {
        self.inner.flights().remove(&self.question);
        self.inner.metrics.forward.in_flight.dec();
    }
}

/// Waits for a flight's outcome.
async fn land(mut landing: Landing) -> Outcome {
    match landing.wait_for(Option::is_some).await {
        Ok(outcome) => (*outcome).clone().unwrap_or(Err(ForwardError::Unusable)),
        // The task died before it could say anything; its panic is in the log.
        Err(_) => Err(ForwardError::Unusable),
    }
}

// === impl Kept ===

impl Kept {
    fn answered(self, now: Instant) -> Answered {
        let age = Age::Passed(self.age(now));
        Answered { relay: self.relay, age, source: AnswerSource::Cache }
    }
}

#[cfg(test)]
mod tests;
