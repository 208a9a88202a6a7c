//! What upstreams said, for as long as it may be told.
//!
//! It asks nobody and decides nothing about a client: it knows what was said, since when, and
//! whether saying it again has failed in the meantime.

mod remembered;

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use quick_cache::{OptionsBuilder, Weighter, sync::Cache as QuickCache};
use tokio::time::Instant;

use super::{
    config::{CacheConfig, StillRight},
    error::ForwardError,
    key::{Key, Realm, Sought},
};
use crate::{
    base::{Name, Rcode, Ttl},
    coverage::Mark,
    telemetry::{CacheResult, Metrics},
    wire::{Question, Relay},
};

pub use remembered::Remembered;

/// Octets that an entry takes beside its message: key and value with what the allocator keeps of
/// each, and the slots of the hash table and the list, which grow by doubling.
const ENTRY_OVERHEAD: u64 = 384;
/// Of all that, one in so many octets is lost besides: entries of many lengths come and go, and
/// leave holes. Both are measured by the tests of `the_limit_of_memory`, which fill a cache and look
/// at the process.
const HOLES_PART: u64 = 3;
/// Parts with a lock of their own, for reading and for a change. A part that grows is copied: at
/// 500,000 answers that is 8,000 and 0.2 ms.
const SHARDS: usize = 64;
/// Of what leaves, the questions of so many are remembered, as a part of the entries there can be:
/// one that is soon asked again is worth more than one asked once. Each takes a slot.
const GHOSTS: f64 = 0.1;
/// How long a failure is remembered, so that clients' retries do not each wait for the deadline
/// and upstreams in trouble are left alone (RFC 9520 section 3.2 asks for 1 s to 5 min).
const FAILURE_TTL: Duration = Duration::from_secs(2);
/// While no upstream of its zone answers, an answer that stands in is tried again no sooner than
/// this after it failed (RFC 8767 section 5, the failure recheck timer).
const RECHECK: Duration = Duration::from_secs(30);
/// What remembered failures may take: some 15,000 of those without a response.
const FAILURES_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// How often an answer has to be told for its question to be hot: with one client that retries,
/// and one other, it is asked for by more than one.
const HOT_HITS: u32 = 2;
/// An answer is due when a tenth of its time is left, as with unbound's prefetch.
const DUE_PART: u32 = 10;
/// The least lifetime that is worth it: below, a tenth is less than what a slow upstream takes.
const DUE_LIFETIME_MIN: Duration = Duration::from_secs(5);

/// Responses by question. One whose time is over stays until there is no room for it: what may be
/// told is decided by its age.
pub(super) struct Cache {
    answers: Shards<Arc<Kept>>,
    failures: Shards<Failed>,
    serve_stale: Duration,
    metrics: Arc<Metrics>,
}

/// Bounded by weight; what was not asked for again leaves first.
type Shards<V> = QuickCache<Key, V, Weight>;

/// A response and when it came.
pub(super) struct Kept {
    pub(super) relay: Arc<Relay>,
    /// What telling it is counted for, if it has a public address of a name of AWS.
    pub(super) mark: Option<Mark>,
    received: Instant,
    /// How often it was told, up to [`HOT_HITS`].
    hits: AtomicU32,
    /// It was asked for once more before its time was over.
    renewed: AtomicBool,
    /// When asking for it again last failed.
    failed: Mutex<Option<Instant>>,
}

/// A failure and when it was.
#[derive(Clone)]
struct Failed {
    failure: Failure,
    at: Instant,
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

/// What an entry counts for, in octets.
#[derive(Clone)]
struct Weight {
    /// Its share of the limit, by which the number of entries is bounded as well.
    least: u64,
}

// === impl Cache ===

impl Cache {
    /// A cache within both limits of `config`.
    ///
    /// There is one limit, in octets: each entry counts for at least its share of them, so the
    /// number of entries is bounded as well.
    pub(super) fn new(config: &CacheConfig, metrics: Arc<Metrics>) -> Self {
        let least = config.bytes.checked_div(config.entries).unwrap_or_default();
        let bytes = if config.entries == 0 { 0 } else { config.bytes };
        Self {
            answers: shards(bytes, Weight { least }),
            failures: shards(FAILURES_BYTES_MAX, Weight { least: 0 }),
            serve_stale: config.serve_stale,
            metrics,
        }
    }

    /// The response to what is asked if it is within its TTL. Counts a hit, and nothing else: who
    /// goes on to ask counts the miss.
    pub(super) fn fresh(&self, sought: &Sought<'_>, now: Instant) -> Option<Arc<Kept>> {
        let kept = self.answers.get(sought).filter(|kept| kept.is_fresh(now))?;
        kept.hit();
        self.metrics.forward.cache(CacheResult::Hit);
        Some(kept)
    }

    /// The response to a question, past its TTL too if it may still stand in.
    pub(super) fn stale(&self, key: &Key, now: Instant) -> Option<Arc<Kept>> {
        let kept = self.answers.get(key)?;
        let limit = kept.retention(self.serve_stale);
        Some(kept).filter(|kept| kept.age(now) < limit)
    }

    /// Keeps what asking came to: an answer for its lifetime, a failure for a moment (RFC 9520
    /// section 3.1 has both errors and responses that decline among these).
    pub(super) fn note(&self, key: &Key, outcome: Result<&Arc<Relay>, ForwardError>, now: Instant) {
        let kept = |relay: &Arc<Relay>| {
            let mark = self.metrics.coverage.mark(&key.question.name, relay.addresses());
            Arc::new(Kept { mark, ..Kept::new(Arc::clone(relay), now) })
        };
        let failure = match outcome {
            Ok(relay) if relay.declines() => Failure::Declined(kept(relay)),
            Ok(relay) => {
                self.failures.remove(key);
                match relay.lifetime() == Ttl::ZERO && !self.may_stand_in(relay) {
                    // What may not be kept still says that what is kept is no more.
                    true => {
                        self.answers.remove(key);
                    }
                    false => self.answers.insert(key.clone(), kept(relay)),
                }
                return;
            }
            Err(error) => Failure::Error(error),
        };
        if let Some(kept) = self.answers.get(key) {
            *kept.failed() = Some(now);
        }
        self.failures.insert(key.clone(), Failed { failure, at: now });
    }

    /// Whether a response that is for one client alone is of use when no upstream answers. A
    /// resolver that counts TTLs down says 0 in the last second of any answer, and an outage may
    /// begin then.
    fn may_stand_in(&self, relay: &Relay) -> bool {
        relay.is_positive() && !self.serve_stale.is_zero()
    }

    /// How asking failed just now, if it did.
    pub(super) fn failure(&self, key: &Key, now: Instant) -> Option<Failure> {
        let failed = self.failures.get(key)?;
        (now < failed.at + FAILURE_TTL).then_some(failed.failure)
    }

    /// Forgets what was said of `name` and of every name below it, or led there; all without one.
    /// Tells how many answers these were. Takes as long as looking at every entry.
    pub(super) fn flush(&self, name: Option<&Name>) -> u64 {
        let mut gone = 0;
        for (key, kept) in self.answers.iter() {
            if name.is_none_or(|name| kept.concerns(&key.question, name)) {
                self.answers.remove(&key);
                gone += 1;
            }
        }
        for (key, _) in self.failures.iter() {
            if name.is_none_or(|name| key.question.name.is_within(name)) {
                self.failures.remove(&key);
            }
        }
        gone
    }

    /// Takes over what `other` keeps and is still right, as long ago as it was told. `heir` has the
    /// realm that a view's own one goes over to. Takes as long as looking at every entry.
    pub(super) fn take_over(
        &self,
        other: &Cache,
        right: &StillRight,
        heir: impl Fn(Realm) -> Option<Realm>,
    ) {
        let StillRight::AllBut(changed) = right else { return };
        for (Key { realm, question }, kept) in other.answers.iter() {
            let realm = match realm {
                Realm::SHARED if changed.iter().any(|name| kept.concerns(&question, name)) => None,
                Realm::SHARED => Some(Realm::SHARED),
                own => heir(own),
            };
            if let Some(realm) = realm {
                self.answers.insert(Key { realm, question }, kept);
            }
        }
    }

    /// Sets the gauges.
    pub(super) fn measure(&self) {
        let forward = &self.metrics.forward;
        forward.cache_entries.set(i64::try_from(self.answers.len()).unwrap_or(i64::MAX));
        forward.cache_bytes.set(i64::try_from(self.answers.weight()).unwrap_or(i64::MAX));
    }
}

/// Room for so many octets.
fn shards<V: Clone>(bytes: u64, weight: Weight) -> Shards<V>
where
    Weight: Weighter<Key, V>,
{
    let most = bytes / ENTRY_OVERHEAD.max(weight.least);
    let options = OptionsBuilder::new()
        .shards(SHARDS)
        .estimated_items_capacity(usize::try_from(most).unwrap_or(usize::MAX))
        .weight_capacity(bytes)
        .ghost_allocation(GHOSTS)
        .build();
    match options {
        Ok(options) => {
            Shards::with_options(options, weight, Default::default(), Default::default())
        }
        // Only for want of one of the two numbers above.
        Err(_) => Shards::with_weighter(0, bytes, weight),
    }
}

// === impl Kept ===

impl Kept {
    fn new(relay: Arc<Relay>, received: Instant) -> Self {
        Self {
            relay,
            mark: None,
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

    /// Whether it was said of `name` or one below it, or led there.
    fn concerns(&self, question: &Question, name: &Name) -> bool {
        let mut hops = self.relay.hops().iter();
        question.name.is_within(name) || hops.any(|hop| hop.target.is_within(name))
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

    /// Whether it is within its TTL.
    pub(super) fn is_fresh(&self, now: Instant) -> bool {
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

// === impl Weight ===

impl Weight {
    fn of(&self, question: &Question, relay: Option<&Relay>) -> u64 {
        let told = relay.map_or(0, Relay::weight) + question.name.as_wire().len();
        let octets = u64::try_from(told).unwrap_or(u64::MAX).saturating_add(ENTRY_OVERHEAD);
        octets.saturating_add(octets / HOLES_PART).max(self.least)
    }
}

impl Weighter<Key, Arc<Kept>> for Weight {
    fn weight(&self, key: &Key, kept: &Arc<Kept>) -> u64 {
        self.of(&key.question, Some(&kept.relay))
    }
}

impl Weighter<Key, Failed> for Weight {
    fn weight(&self, key: &Key, failed: &Failed) -> u64 {
        let question = &key.question;
        match &failed.failure {
            Failure::Declined(kept) => self.of(question, Some(&kept.relay)),
            Failure::Error(_) => self.of(question, None),
        }
    }
}

#[cfg(test)]
mod scaling;
#[cfg(test)]
mod tests;
