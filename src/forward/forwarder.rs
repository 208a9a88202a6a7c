//! The way of a question that is not ours: cache, flight, and what to say when it fails.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, timeout},
};
use tokio_util::task::TaskTracker;

use super::{
    cache::{Cache, Kept},
    config::ForwardConfig,
    error::ForwardError,
    flight::fly,
    upstream::Upstream,
};
use crate::{
    base::{Name, Rcode, RecordType},
    telemetry::{AnswerSource, CacheResult, Metrics},
    wire::{Age, Question, Relay},
};

/// Questions with a flight of their own, all clients together. At the deadline of 3.5 s this
/// bounds us to 585 unanswered questions a second, and at four transmissions to 8,192 sockets;
/// past it the answer is SERVFAIL at once, and counted. Questions already in flight join theirs.
const FLIGHTS_MAX: usize = 2_048;
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
    permits: Arc<Semaphore>,
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

type Outcome = Result<Arc<Relay>, ForwardError>;
type Landing = watch::Receiver<Option<Outcome>>;

/// Which upstreams a name goes to.
struct Routes {
    default: Vec<Arc<Upstream>>,
    zones: Vec<(Name, Vec<Arc<Upstream>>)>,
}

// === impl Forwarder ===

impl Forwarder {
    /// A forwarder with an empty cache.
    pub fn new(config: ForwardConfig, metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(Inner {
            routes: Routes::new(&config, &metrics),
            cache: Cache::new(config.cache_entries, config.serve_stale, Arc::clone(&metrics)),
            flights: Mutex::new(HashMap::new()),
            permits: Arc::new(Semaphore::new(FLIGHTS_MAX)),
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

    /// The addresses that `name` would be asked of, in the configuration's order.
    pub fn upstreams_of(&self, name: &Name) -> Vec<std::net::SocketAddr> {
        self.0.routes.of(name).iter().map(|upstream| upstream.address).collect()
    }

    /// The answer from the cache or an upstream, or an older one if none answers in time.
    pub async fn ask(&self, question: Question) -> Result<Answered, ForwardError> {
        if let Some(answered) = self.cached(&question) {
            return Ok(answered);
        }
        let inner = &self.0;
        inner.metrics.forward.cache(CacheResult::Miss);
        let stale = inner.cache.stale(&question, Instant::now());
        if let Some(error) = inner.cache.failure(&question) {
            return inner.stand_in(stale, error);
        }
        let landing = match inner.depart(&question) {
            Ok(landing) => landing,
            Err(error) => return inner.stand_in(stale, error),
        };
        let outcome = match &stale {
            None => land(landing).await,
            Some(_) => match timeout(STALE_AFTER, land(landing)).await {
                Ok(outcome) => outcome,
                // The flight goes on and will renew the cache.
                Err(_) => Err(ForwardError::TimedOut(STALE_AFTER)),
            },
        };
        match outcome {
            Ok(relay) if relay.rcode() == Rcode::SERVFAIL && stale.is_some() => {
                inner.stand_in(stale, ForwardError::Unusable)
            }
            Ok(relay) => Ok(Answered {
                relay,
                age: Age::Passed(Duration::ZERO),
                source: AnswerSource::Upstream,
            }),
            Err(error) => inner.stand_in(stale, error),
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

    /// Waits until no flight is on its way, for an orderly end.
    pub async fn land_all(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

// === impl Inner ===

impl Inner {
    /// Joins the flight of `question`, or starts it.
    fn depart(self: &Arc<Self>, question: &Question) -> Result<Landing, ForwardError> {
        let upstreams = self.routes.of(&question.name);
        if upstreams.is_empty() {
            return Err(self.routes.why_none(&question.name));
        }
        let mut flights = self.flights();
        if let Some(landing) = flights.get(question) {
            return Ok(landing.clone());
        }
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            self.metrics.forward.refused.inc();
            return Err(ForwardError::Overloaded);
        };
        let (land, landing) = watch::channel(None);
        flights.insert(question.clone(), landing.clone());
        drop(flights);
        self.metrics.forward.in_flight.inc();
        let flown = Flown { inner: Arc::clone(self), question: question.clone() };
        self.tasks.spawn(async move {
            let inner = &flown.inner;
            let upstreams = inner.routes.of(&flown.question.name);
            let outcome = fly(upstreams, &flown.question, &inner.metrics.forward).await;
            let outcome = outcome.map(Arc::new);
            match &outcome {
                Ok(relay) => inner.cache.keep(&flown.question, Arc::clone(relay), Instant::now()),
                Err(error) => inner.cache.keep_failure(&flown.question, *error),
            }
            // Out of the list before it lands: who comes now finds the cache.
            drop(flown);
            drop(permit);
            let _ = land.send(Some(outcome));
        });
        Ok(landing)
    }

    /// The older answer in place of an error, if there is one.
    fn stand_in(&self, stale: Option<Kept>, error: ForwardError) -> Result<Answered, ForwardError> {
        let kept = stale.ok_or(error)?;
        self.metrics.forward.cache(CacheResult::Stale);
        Ok(Answered {
            relay: kept.relay,
            age: Age::Stale(STALE_TTL_SECS),
            source: AnswerSource::Stale,
        })
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

// === impl Routes ===

impl Routes {
    fn new(config: &ForwardConfig, metrics: &Metrics) -> Self {
        let mut known: HashMap<std::net::SocketAddr, Arc<Upstream>> = HashMap::new();
        let mut upstreams = |addresses: &[std::net::SocketAddr]| {
            let upstream = |address: &std::net::SocketAddr| {
                let trusted = config.trusted.contains(address);
                let new = || Arc::new(Upstream::new(*address, trusted, &metrics.forward));
                Arc::clone(known.entry(*address).or_insert_with(new))
            };
            addresses.iter().map(upstream).collect::<Vec<_>>()
        };
        let default = upstreams(&config.upstreams);
        let mut zones: Vec<_> = config
            .zones
            .iter()
            .map(|zone| (zone.name.clone(), upstreams(&zone.upstreams)))
            .collect();
        // The longest first, so that the first that holds a name decides.
        zones.sort_by_key(|(name, _)| std::cmp::Reverse(name.labels().count()));
        Self { default, zones }
    }

    fn zone(&self, name: &Name) -> Option<&[Arc<Upstream>]> {
        let holds = |(zone, _): &&(Name, Vec<Arc<Upstream>>)| name.is_within(zone);
        self.zones.iter().find(holds).map(|(_, upstreams)| upstreams.as_slice())
    }

    fn of(&self, name: &Name) -> &[Arc<Upstream>] {
        self.zone(name).unwrap_or(&self.default)
    }

    fn why_none(&self, name: &Name) -> ForwardError {
        match self.zone(name) {
            Some(_) => ForwardError::Refused,
            None => ForwardError::NoUpstream,
        }
    }
}

#[cfg(test)]
mod tests;
