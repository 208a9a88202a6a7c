//! The way of a question that is not ours: cache, flight, and what to say when it fails.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tokio_util::task::TaskTracker;

use super::{
    address::UpstreamAddress,
    answered::Answered,
    budget::BudgetStanding,
    cache::{Cache, Failure, Kept, Remembered, Renewal},
    config::{ForwardConfig, StillRight},
    error::ForwardError,
    flight::fly,
    key::{Key, Sought},
    landing::{Carried, Flights, Flying, Heard, Landing, Outcome},
    loops::{Loop, Loops, may_be_ours},
    routes::{Purpose, Routes},
    trust::Trust,
};
use crate::{
    base::{Name, Rcode, RecordType, ViewName},
    telemetry::{CacheResult, Metrics, Spared},
    wire::Question,
};

/// With an older answer at hand a client waits no longer than this (RFC 8767 section 5).
const STALE_AFTER: Duration = Duration::from_millis(1_800);

/// Asks upstreams. Cheap to clone.
#[derive(Clone)]
pub struct Forwarder(Arc<Inner>);

struct Inner {
    config: ForwardConfig,
    trust: Trust,
    routes: Routes,
    loops: Loops,
    cache: Cache,
    flights: Mutex<Flights>,
    tasks: TaskTracker,
    metrics: Arc<Metrics>,
}

/// How a question is being asked.
enum Departure {
    /// In a flight of its own, which somebody has to carry.
    Begun(Flying),
    /// In one that was under way.
    Joined(Arc<Landing>),
}

// === impl Forwarder ===

impl Forwarder {
    /// A forwarder with an empty cache. `trust` is whom upstreams by TLS are believed for.
    pub fn new(config: ForwardConfig, trust: Trust, metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(Inner {
            routes: Routes::new(&config, &trust, &metrics),
            loops: Loops::new(Arc::clone(&metrics)),
            cache: Cache::new(&config.cache, Arc::clone(&metrics)),
            flights: Mutex::default(),
            tasks: TaskTracker::new(),
            config,
            trust,
            metrics,
        }))
    }

    /// Whether it is a clone of `other`, with its cache.
    pub fn is_same(&self, other: &Forwarder) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// What it was made from.
    pub fn config(&self) -> &ForwardConfig {
        &self.0.config
    }

    /// Whom upstreams by TLS are believed for.
    pub fn trust(&self) -> &Trust {
        &self.0.trust
    }

    /// The answer within its TTL, if it is in the cache. Never waits. Must be called within the
    /// runtime: one that is asked for often is renewed before its time is over.
    pub fn cached<'q>(&self, sought: impl Into<Sought<'q>>, now: Instant) -> Option<Answered> {
        let sought = sought.into();
        let kept = self.0.cache.fresh(&sought, now)?;
        if self.0.config.cache.prefetch && kept.is_due(now) && self.0.renew(&sought.to_key()) {
            kept.renews();
        }
        Some(kept.answered(now))
    }

    /// What is kept of a question of a view, for people: nothing is counted, asked or renewed.
    pub fn remembered(&self, view: &ViewName, name: &Name, rtype: RecordType) -> Remembered {
        let question =
            Question { name: name.clone(), rtype, dnssec_ok: false, checking_disabled: false };
        let key = Key { realm: self.realm(view, name.as_wire()), question };
        self.0.cache.remembered(&key, Instant::now())
    }

    /// Forgets what was said of `name` and of every name below it, or what led there; everything
    /// without a name. Tells how many answers these were. What is being asked now, of whatever name,
    /// is told to those who wait for it and not kept: it may lead there. Takes as long as looking at
    /// every entry of the cache.
    pub fn flush(&self, name: Option<&Name>) -> u64 {
        self.0.flights().landings.clear();
        self.0.cache.flush(name)
    }

    /// The answer from the cache or an upstream, or an older one if none answers in time.
    pub async fn ask(&self, wanted: impl Into<Key>) -> Result<Answered, ForwardError> {
        let (inner, key) = (&self.0, wanted.into());
        let now = Instant::now();
        // Looked up once for what is past its TTL and for what came while the question waited.
        let stale = inner.cache.stale(&key, now);
        if stale.as_ref().is_some_and(|kept| kept.is_fresh(now))
            && let Some(answered) = self.cached(key.sought(), now)
        {
            return Ok(answered);
        }
        inner.metrics.forward.cache(CacheResult::Miss);
        let Some(stale) = stale else {
            return match inner.cache.failure(&key, now) {
                Some(Failure::Declined(kept)) => Ok(kept.answered(now)),
                Some(Failure::Error(error)) => Err(error),
                None => Ok(inner.answered(&key, inner.fetch(&key).await?)),
            };
        };
        if inner.routes.spares(&key, Spared::Stale, now) {
            return Ok(inner.stand_in(&stale));
        }
        match stale.renewal(now, inner.routes.is_silent(&key, now)) {
            Renewal::Awaited => match timeout(STALE_AFTER, inner.fetch(&key)).await {
                Ok(Ok(heard)) if !heard.relay.declines() => {
                    return Ok(inner.answered(&key, heard));
                }
                // Past the time the flight goes on, and will renew the cache.
                Ok(Ok(_) | Err(_)) | Err(_) => (),
            },
            Renewal::Behind => {
                inner.renew(&key);
            }
            Renewal::Later => (),
        }
        Ok(inner.stand_in(&stale))
    }

    /// Takes over what `other` keeps and this one would be told as well: a reload that adds an
    /// upstream should not have every name asked again. What is in flight is not taken along. Takes
    /// as long as looking at every entry of the cache.
    pub fn take_over(&self, other: &Forwarder) {
        let is_by_tls = |it: &Forwarder| it.config().all_upstreams().any(UpstreamAddress::is_tls);
        // A system's store loses one of a hundred now and then, which is no word on the upstreams; of
        // a file that is written each was meant.
        let is_of_system = |it: &Forwarder| it.config().ca_file.is_none();
        let are_meant = !(is_of_system(self) && is_of_system(other));
        let lost = is_by_tls(self) && is_by_tls(other) && !self.trust().covers(other.trust());
        let right = match are_meant && lost {
            true => StillRight::Nothing,
            false => self.0.config.still_right(&other.0.config),
        };
        let heir = |realm| self.0.routes.realms().heir(other.0.routes.realms(), realm);
        self.0.cache.take_over(&other.0.cache, &right, heir);
    }

    /// How the budget of upstreams that AWS limits stands, if there are any. Sets its gauges.
    pub fn budget(&self) -> Option<BudgetStanding> {
        self.0.routes.budget(Instant::now())
    }

    /// Puts a response into the cache, as if an upstream had told it just now.
    #[cfg(any(test, fuzzing))]
    pub fn keep(&self, key: impl Into<Key>, relay: crate::wire::Relay) {
        self.0.cache.note(&key.into(), Ok(&Arc::new(relay)), Instant::now());
    }

    /// Sets the gauges of the cache and of the budget, which is done when somebody looks.
    pub fn measure(&self) {
        self.0.cache.measure();
        self.budget();
    }

    /// The loops that are known: names that upstreams ask us for again.
    pub fn loops(&self) -> Arc<[Loop]> {
        self.0.loops.known()
    }

    /// The same as they change.
    pub fn watch_loops(&self) -> watch::Receiver<Arc<[Loop]>> {
        self.0.loops.watch()
    }

    /// Looks at a name that would be forwarded, in wire form and lower case. True when it is a probe of ours that has come back:
    /// it must not be asked again.
    pub fn has_returned(&self, name_wire: &[u8], now: Instant) -> bool {
        self.0.loops.looks_at(name_wire, now)
    }

    /// Looks at a question that has to be asked, from `asker` to our address `own`: one that is in
    /// flight, and comes from where a loop would bring it, has its domain probed soon.
    pub fn notice(&self, key: &Key, asker: IpAddr, own: IpAddr) {
        let Inner { loops, routes, .. } = &*self.0;
        if may_be_ours(asker, own, routes.asked(key)) && 0 < self.0.flights().variants(key) {
            loops.suspect(&key.question.name, Instant::now());
        }
    }

    /// Waits for a domain in which a question may have been our own, so that it should be probed.
    pub async fn suspected(&self) -> Name {
        self.0.loops.suspected().await
    }

    pub(super) fn loop_watch(&self) -> &Loops {
        &self.0.loops
    }

    pub(super) fn routes(&self) -> &Routes {
        &self.0.routes
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
    /// What upstreams say to a question.
    async fn fetch(self: &Arc<Self>, key: &Key) -> Outcome {
        let departure = self.depart(key, Purpose::Client);
        match &departure {
            Err(ForwardError::Overloaded) => self.metrics.forward.refused.inc(),
            Err(ForwardError::Loop) => self.metrics.forward.looping.inc(),
            Ok(_) | Err(_) => (),
        }
        match departure? {
            Departure::Begun(flying) => Carried::new(flying, &self.tasks).await,
            Departure::Joined(landing) => {
                tracing::debug!(name = %key.question.name, "waits with others for the same answer");
                landing.outcome().await
            }
        }
    }

    /// Asks upstreams for what nobody waits for, unless too much of that is under way. Whether it
    /// is being asked.
    fn renew(self: &Arc<Self>, key: &Key) -> bool {
        if self.routes.spares(key, Spared::Renewal, Instant::now()) {
            return false;
        }
        match self.depart(key, Purpose::Renewal) {
            Ok(Departure::Begun(flying)) => drop(self.tasks.spawn(flying)),
            Ok(Departure::Joined(_)) => (),
            Err(_) => return false,
        }
        true
    }

    /// Joins the flight of a question, or starts it.
    fn depart(self: &Arc<Self>, key: &Key, purpose: Purpose) -> Result<Departure, ForwardError> {
        let route = self.routes.route(key)?;
        let upstreams = self.loops.open(&route.upstreams, &key.question.name);
        if upstreams.list().is_empty() {
            return Err(ForwardError::Loop);
        }
        let mut flights = self.flights();
        if let Some(landing) = flights.landings.get(key) {
            return Ok(Departure::Joined(Arc::clone(landing)));
        }
        let permits = route.permits(purpose).ok_or(ForwardError::Overloaded)?;
        if purpose == Purpose::Renewal {
            self.metrics.forward.renewals.inc();
        }
        let landing = Arc::<Landing>::default();
        flights.landings.insert(key.clone(), Arc::clone(&landing));
        drop(flights);
        self.metrics.forward.in_flight.inc();
        let inner = Arc::clone(self);
        let mut flown = Flown { inner, key: key.clone(), landing, outcome: None };
        Ok(Departure::Begun(Box::pin(async move {
            let inner = &flown.inner;
            let outcome = tokio::select! {
                outcome = fly(&upstreams, &flown.key.question) => outcome,
                // Nothing can come of it but what we say ourselves.
                () = inner.loops.closing(upstreams.list(), &flown.key.question.name) => {
                    Err(ForwardError::Loop)
                }
            };
            let outcome = outcome.map(|(relay, upstream)| Heard {
                relay: Arc::new(relay.bounded(&inner.config.cache.ttls)),
                upstream,
            });
            // What is over in a moment is not remembered for two seconds.
            if !matches!(outcome, Err(ForwardError::OverBudget | ForwardError::Loop)) {
                flown.note(&outcome);
            }
            flown.suspect(&outcome);
            // Out of the list before it lands: who comes now finds the cache.
            drop(permits);
            flown.outcome = Some(outcome.clone());
            drop(flown);
            outcome
        })))
    }

    /// What an upstream said just now, with what telling it is counted for.
    fn answered(&self, key: &Key, heard: Heard) -> Answered {
        let mark = self.metrics.coverage.mark(&key.question.name, heard.relay.addresses());
        Answered::from_upstream(heard, mark)
    }

    /// The older answer in place of what upstreams say.
    fn stand_in(&self, stale: &Kept) -> Answered {
        self.metrics.forward.cache(CacheResult::Stale);
        Answered::stale(stale)
    }

    fn flights(&self) -> MutexGuard<'_, Flights> {
        self.flights.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

/// Takes a flight off the list and lands it when it ends, however it ends.
struct Flown {
    inner: Arc<Inner>,
    key: Key,
    landing: Arc<Landing>,
    /// None for one that ends before it can say anything; its panic is in the log.
    outcome: Option<Outcome>,
}

// === impl Flown ===

impl Flown {
    /// Keeps what it came to. With the list held, so that no flush comes in between.
    fn note(&self, outcome: &Outcome) {
        let flights = self.inner.flights();
        if flights.has(&self.key, &self.landing) {
            let relay = outcome.as_ref().map(|heard| &heard.relay).map_err(|error| *error);
            self.inner.cache.note(&self.key, relay, Instant::now());
        }
    }

    /// In a loop a question comes back while it is in flight, joins its own flight, and waits for
    /// itself until the time is up. So one of which nothing came, and that was asked once more in
    /// the meantime, is looked into.
    fn suspect(&self, outcome: &Outcome) {
        let fruitless = match outcome {
            Ok(heard) => heard.relay.declines(),
            Err(ForwardError::Loop | ForwardError::OverBudget) => false,
            Err(_) => true,
        };
        // The list has it too.
        let joined = || 2 < Arc::strong_count(&self.landing);
        let asked_otherwise = || 1 < self.inner.flights().variants(&self.key);
        if fruitless && (joined() || asked_otherwise()) {
            self.inner.loops.suspect(&self.key.question.name, Instant::now());
        }
    }
}

impl Drop for Flown {
    fn drop(&mut self) {
        let mut flights = self.inner.flights();
        if flights.has(&self.key, &self.landing) {
            flights.landings.remove(&self.key);
        }
        drop(flights);
        self.landing.tell(self.outcome.take().unwrap_or(Err(ForwardError::Unusable)));
        self.inner.metrics.forward.in_flight.dec();
    }
}

#[cfg(test)]
mod tests;
