//! What upstreams said, for as long as it may be told.
//!
//! It asks nobody and decides nothing about a client: it knows what was said, since when, and
//! whether saying it again has failed in the meantime.

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

// Clients choose the names: the seed is another in each process.
use foldhash::quality::RandomState;
use moka::{Expiry, sync::Cache as Moka};
use tokio::time::Instant;

use super::{config::CacheConfig, error::ForwardError, forwarder::Outcome};
use crate::{
    base::{Name, Rcode, Ttl},
    telemetry::{CacheResult, Metrics},
    wire::{Asking, Question, Relay},
};

/// Octets that an entry takes beside its message: key and value, their two `Arc`s, the hash table's
/// slot, the nodes of the two queues and of the timer that moka keeps. Measured by
/// the tests of `the_limit_of_memory`, which fill a cache and look at the process.
const ENTRY_OVERHEAD: usize = 768;
/// How long a failure is remembered, so that clients' retries do not each wait for the deadline
/// and upstreams in trouble are left alone (RFC 9520 section 3.2 asks for 1 s to 5 min).
const FAILURE_TTL: Duration = Duration::from_secs(2);
/// While no upstream of its zone answers, an answer that stands in is tried again no sooner than
/// this after it failed (RFC 8767 section 5, the failure recheck timer).
const RECHECK: Duration = Duration::from_secs(30);
/// What remembered failures may take: at 768 octets for one without a response 10,000 of them.
const FAILURES_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// How often an answer has to be told for its question to be hot: with one client that retries,
/// and one other, it is asked for by more than one.
const HOT_HITS: u32 = 2;
/// An answer is due when a tenth of its time is left, as with unbound's prefetch.
const DUE_PART: u32 = 10;
/// The least lifetime that is worth it: below, a tenth is less than what a slow upstream takes.
const DUE_LIFETIME_MIN: Duration = Duration::from_secs(5);

/// Responses by question.
pub(super) struct Cache {
    answers: Moka<Question, Arc<Kept>, RandomState>,
    failures: Moka<Question, Failure, RandomState>,
    serve_stale: Duration,
    metrics: Arc<Metrics>,
}

/// A response and when it came.
pub(super) struct Kept {
    pub(super) relay: Arc<Relay>,
    received: Instant,
    /// How often it was told, up to [`HOT_HITS`].
    hits: AtomicU32,
    /// It was asked for once more before its time was over.
    renewed: AtomicBool,
    /// When asking for it again last failed.
    failed: Mutex<Option<Instant>>,
}

/// How asking failed.
#[derive(Clone)]
pub(super) enum Failure {
    /// Upstreams left the question to others, and this is what one said.
    Declined(Arc<Kept>),
    /// Nothing came that could be told.
    Error(ForwardError),
}

/// What is done about an answer past its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Renewal {
    /// Upstreams are asked, and the client waits a while for what they say.
    Awaited,
    /// Upstreams are asked, and the client has the old answer at once: asking has failed before.
    Behind,
    /// Upstreams are left alone: asking has failed just now.
    Later,
}

/// Keeps an entry for its lifetime and as long after as it may stand in.
struct Retention {
    serve_stale: Duration,
}

// === impl Cache ===

impl Cache {
    /// A cache within both limits of `config`.
    ///
    /// There is one limit, in octets: each entry counts for at least its share of them, so the
    /// number of entries is bounded as well.
    pub(super) fn new(config: &CacheConfig, metrics: Arc<Metrics>) -> Self {
        let share = config.bytes.checked_div(config.entries).unwrap_or_default();
        let share = u32::try_from(share).unwrap_or(u32::MAX);
        let capacity = if config.entries == 0 { 0 } else { config.bytes };
        let failure_weight = |question: &Question, failure: &Failure| match failure {
            Failure::Declined(kept) => kept.weight(question),
            Failure::Error(_) => u32::try_from(ENTRY_OVERHEAD).unwrap_or(u32::MAX),
        };
        Self {
            answers: Moka::builder()
                .max_capacity(capacity)
                .weigher(move |question: &Question, kept: &Arc<Kept>| {
                    kept.weight(question).max(share)
                })
                .expire_after(Retention { serve_stale: config.serve_stale })
                .build_with_hasher(RandomState::default()),
            failures: Moka::builder()
                .max_capacity(FAILURES_BYTES_MAX)
                .weigher(failure_weight)
                .time_to_live(FAILURE_TTL)
                .build_with_hasher(RandomState::default()),
            serve_stale: config.serve_stale,
            metrics,
        }
    }

    /// The response to what is asked if it is within its TTL. Counts a hit, and nothing else: who
    /// goes on to ask counts the miss.
    pub(super) fn fresh(&self, asking: &Asking<'_>, now: Instant) -> Option<Arc<Kept>> {
        let kept = self.answers.get(asking).filter(|kept| kept.is_fresh(now))?;
        kept.hit();
        self.metrics.forward.cache(CacheResult::Hit);
        Some(kept)
    }

    /// The response to `question` past its TTL, if it may still stand in.
    pub(super) fn stale(&self, question: &Question, now: Instant) -> Option<Arc<Kept>> {
        let kept = self.answers.get(question)?;
        let limit = kept.retention(self.serve_stale);
        Some(kept).filter(|kept| kept.age(now) < limit)
    }

    /// Keeps what asking came to: an answer for its lifetime, a failure for a moment (RFC 9520
    /// section 3.1 has both errors and responses that decline among these).
    pub(super) fn note(&self, question: &Question, outcome: &Outcome, now: Instant) {
        let kept = |relay: &Arc<Relay>| Arc::new(Kept::new(Arc::clone(relay), now));
        let failure = match outcome {
            Ok(relay) if relay.declines() => Failure::Declined(kept(relay)),
            Ok(relay) => {
                self.failures.invalidate(question);
                match relay.lifetime() {
                    // What may not be kept still says that what is kept is no more.
                    Ttl::ZERO => self.answers.invalidate(question),
                    _ => self.answers.insert(question.clone(), kept(relay)),
                }
                return self.measure();
            }
            Err(error) => Failure::Error(*error),
        };
        if let Some(kept) = self.answers.get(question) {
            *kept.failed() = Some(now);
        }
        self.failures.insert(question.clone(), failure);
    }

    /// How asking failed just now, if it did.
    pub(super) fn failure(&self, question: &Question) -> Option<Failure> {
        self.failures.get(question)
    }

    /// Forgets what was said of `name` and of every name below it, or led there; all without one.
    /// Tells how many answers these were. Takes as long as looking at every entry.
    pub(super) fn flush(&self, name: Option<&Name>) -> u64 {
        let mut gone = 0;
        for (question, kept) in &self.answers {
            let leads = |name: &Name| kept.relay.hops().iter().any(|it| it.target.is_within(name));
            if name.is_none_or(|name| question.name.is_within(name) || leads(name)) {
                self.answers.invalidate(&*question);
                gone += 1;
            }
        }
        for (question, _) in &self.failures {
            if name.is_none_or(|name| question.name.is_within(name)) {
                self.failures.invalidate(&*question);
            }
        }
        self.answers.run_pending_tasks();
        self.measure();
        gone
    }

    /// Sets the gauges.
    fn measure(&self) {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let forward = &self.metrics.forward;
        forward.cache_entries.set(number(self.answers.entry_count()));
        forward.cache_bytes.set(number(self.answers.weighted_size()));
    }
}

// === impl Kept ===

impl Kept {
    fn new(relay: Arc<Relay>, received: Instant) -> Self {
        Self {
            relay,
            received,
            hits: AtomicU32::new(0),
            renewed: AtomicBool::new(false),
            failed: Mutex::new(None),
        }
    }

    /// Notes that it is told. No further than it matters: threads that tell one answer would pass
    /// its number from core to core.
    fn hit(&self) {
        if self.hits.load(Ordering::Relaxed) < HOT_HITS {
            self.hits.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How long ago it came.
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.received)
    }

    /// Whether it should be asked for again though it is fresh: it is asked for often, its time is
    /// nearly over, and it was not renewed yet.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let lifetime = self.relay.lifetime().as_duration();
        HOT_HITS <= self.hits.load(Ordering::Relaxed)
            && DUE_LIFETIME_MIN <= lifetime
            && lifetime - lifetime / DUE_PART <= self.age(now)
            && !self.renewed.load(Ordering::Relaxed)
    }

    /// Notes that it is being asked for again: once is enough.
    pub(super) fn renews(&self) {
        self.renewed.store(true, Ordering::Relaxed);
    }

    /// What is done about it when its time is over; `all_silent` when no upstream of its zone has
    /// answered lately.
    pub(super) fn renewal(&self, now: Instant, all_silent: bool) -> Renewal {
        // What failed longer ago tells nothing of now.
        match self.failed().filter(|failed| now < *failed + RECHECK) {
            None if all_silent => Renewal::Behind,
            None => Renewal::Awaited,
            Some(failed) if all_silent || now < failed + FAILURE_TTL => Renewal::Later,
            Some(_) => Renewal::Behind,
        }
    }

    /// Octets that it takes with its key.
    fn weight(&self, question: &Question) -> u32 {
        let octets = self.relay.weight() + question.name.as_wire().len() + ENTRY_OVERHEAD;
        u32::try_from(octets).unwrap_or(u32::MAX)
    }

    fn is_fresh(&self, now: Instant) -> bool {
        self.age(now) < self.relay.lifetime().as_duration()
    }

    /// How long it is kept: for its lifetime, and if it is no NXDOMAIN so long after. A name that
    /// was not there may be there by now.
    fn retention(&self, serve_stale: Duration) -> Duration {
        let lifetime = self.relay.lifetime().as_duration();
        match self.relay.rcode() {
            Rcode::NOERROR => lifetime + serve_stale,
            _ => lifetime,
        }
    }

    fn failed(&self) -> MutexGuard<'_, Option<Instant>> {
        self.failed.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

// === impl Retention ===

impl Expiry<Question, Arc<Kept>> for Retention {
    fn expire_after_create(
        &self,
        _: &Question,
        kept: &Arc<Kept>,
        _: std::time::Instant,
    ) -> Option<Duration> {
        Some(kept.retention(self.serve_stale))
    }

    fn expire_after_update(
        &self,
        question: &Question,
        kept: &Arc<Kept>,
        now: std::time::Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.expire_after_create(question, kept, now)
    }
}

#[cfg(test)]
mod tests;
