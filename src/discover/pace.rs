//! How fast sources call the EC2 API.
//!
//! EC2 limits an account, and PrivateLink's calls a whole organization besides. So all sources have one
//! bucket of calls in common, and each has one of its own: an answer that says "not so fast" slows its
//! source, and everybody only where several sources are told so. Who comes first is served first. Knows
//! nothing of AWS: it is told.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Mutex as Queue,
    time::{Instant, sleep},
};

use crate::base::SourceName;

/// Calls a second while nobody is throttled. EC2 refills 20 Describe calls a second to an account
/// and region, of which its owner's other tools live too, and AWS does not tell what it grants to
/// an organization: so half of one account's. A look is two calls (endpoints, interfaces) where it
/// has no more than 200 interfaces, so this is enough for 150 sources every 30 s.
const CALLS_PER_SECOND_MAX: f64 = 10.0;
/// Calls at once after a pause: half of the 100 that EC2 grants an account. The first looks of 16
/// sources, three calls each, go without waiting.
const CALLS_AT_ONCE_MAX: f64 = 50.0;
/// Calls a second while AWS throttles again and again: one in two seconds asks 15 sources in a
/// minute, and is a fortieth of what it grants one account.
const CALLS_PER_SECOND_MIN: f64 = 0.5;
/// From the least pace to the full one when nobody is throttled any more.
const RECOVERY: Duration = Duration::from_secs(120);
/// Calls that were under way together are throttled together: one reason to slow, not many.
const SLOWING_SPACING: Duration = Duration::from_secs(1);
/// So long a source counts as asked, or as throttled: two intervals, in which each source was asked.
const COUNTS_FOR: Duration = Duration::from_secs(60);
/// A limit is taken for one of all when one in so many of the sources that were asked has run into it,
/// and two at least. An account whose other tools use up its own is no reason to ask others more slowly.
const SOURCES_A_THROTTLED_ONE: usize = 10;

/// The pace that sources share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CallPace(Arc<Common>);

/// The pace of one source: the shared one, and one of its own. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SourcePace {
    source: SourceName,
    own: Arc<Turns>,
    common: Arc<Common>,
}

/// Whose limit a call counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitOf {
    /// The account's in its region, and nobody else's.
    Account,
    /// The account's, or that of all accounts of the organization: AWS does not tell which.
    Organization,
}

#[derive(Debug)]
struct Common {
    turns: Turns,
    seen: Mutex<BTreeMap<SourceName, Seen>>,
}

/// What happened to a source's calls.
#[derive(Clone, Copy, Debug)]
struct Seen {
    asked: Instant,
    /// By a limit that may be everybody's.
    throttled: Option<Instant>,
}

/// Turns to call, in the order in which they were asked for.
#[derive(Debug)]
struct Turns {
    /// Held by who waits for the next call: the others stand behind it.
    queue: Queue<()>,
    bucket: Mutex<Bucket>,
}

/// Calls that may be made, and how fast they come back.
#[derive(Debug)]
struct Bucket {
    /// Below 0 after calls that nobody waited for.
    calls: f64,
    per_second: f64,
    /// When both were true.
    at: Instant,
    slowed: Option<Instant>,
}

// === impl CallPace ===

impl CallPace {
    /// A full bucket.
    #[expect(clippy::new_without_default, reason = "two of them in one program are a mistake")]
    pub fn new() -> Self {
        Self(Arc::new(Common { turns: Turns::new(), seen: Mutex::default() }))
    }

    /// The pace of a source that has not been asked yet.
    pub fn of(&self, source: &SourceName) -> SourcePace {
        let common = Arc::clone(&self.0);
        SourcePace { source: source.clone(), own: Arc::new(Turns::new()), common }
    }
}

// === impl SourcePace ===

impl SourcePace {
    /// Waits until one more call may be made, and counts it. Who gives up waiting takes nothing of
    /// what all have.
    pub async fn turn(&self) {
        // Its own first: who is slowed keeps nobody waiting behind it.
        self.own.turn().await;
        self.common.turns.turn().await;
        self.common.asked(&self.source, Instant::now());
    }

    /// Counts a call that was made without waiting, as the SDK's second attempts are.
    pub fn debit(&self) {
        let now = Instant::now();
        self.own.bucket().debit(now);
        self.common.turns.bucket().debit(now);
    }

    /// AWS throttled a call of this source: it makes fewer from now on, and so does everybody where
    /// others have run into the same limit.
    pub fn throttled(&self, limit: LimitOf) {
        let (now, source) = (Instant::now(), &self.source);
        if let Some(calls_per_second) = self.own.slow(now) {
            tracing::warn!(
                %source, calls_per_second,
                "AWS throttles a source; it is asked more slowly until it does not"
            );
        }
        if limit == LimitOf::Organization
            && self.common.is_of_all(source, now)
            && let Some(calls_per_second) = self.common.turns.slow(now)
        {
            tracing::warn!(
                calls_per_second,
                "AWS throttles several sources; all are asked more slowly until it does not"
            );
        }
    }
}

// === impl Common ===

impl Common {
    fn asked(&self, source: &SourceName, now: Instant) {
        let mut seen = self.seen();
        match seen.get_mut(source) {
            Some(seen) => seen.asked = now,
            None => {
                seen.insert(source.clone(), Seen { asked: now, throttled: None });
            }
        }
    }

    /// Counts that a source was throttled, and tells whether so many were that the limit is
    /// everybody's.
    fn is_of_all(&self, source: &SourceName, now: Instant) -> bool {
        let counts = |at: Instant| now.saturating_duration_since(at) < COUNTS_FOR;
        let mut seen = self.seen();
        seen.insert(source.clone(), Seen { asked: now, throttled: Some(now) });
        seen.retain(|_, seen| counts(seen.asked));
        let throttled = seen.values().filter(|it| it.throttled.is_some_and(counts)).count();
        2 <= throttled && seen.len() <= SOURCES_A_THROTTLED_ONE * throttled
    }

    /// Nothing that could fail happens under the lock.
    fn seen(&self) -> MutexGuard<'_, BTreeMap<SourceName, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Turns ===

impl Turns {
    fn new() -> Self {
        let bucket = Bucket {
            calls: CALLS_AT_ONCE_MAX,
            per_second: CALLS_PER_SECOND_MAX,
            at: Instant::now(),
            slowed: None,
        };
        Self { queue: Queue::new(()), bucket: Mutex::new(bucket) }
    }

    async fn turn(&self) {
        let _first = self.queue.lock().await;
        loop {
            let wait = self.bucket().take(Instant::now());
            match wait {
                Some(wait) => sleep(wait).await,
                None => return,
            }
        }
    }

    /// Halves the pace, and tells it when it was full before.
    fn slow(&self, now: Instant) -> Option<f64> {
        let mut bucket = self.bucket();
        let was_full = bucket.per_second >= CALLS_PER_SECOND_MAX;
        bucket.slow(now);
        was_full.then_some(bucket.per_second)
    }

    /// Nothing that could fail happens under the lock.
    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Bucket ===

impl Bucket {
    /// Takes a call; else tells how long until there is one.
    fn take(&mut self, now: Instant) -> Option<Duration> {
        self.refill(now);
        if self.calls < 1.0 {
            // Rounded up, so that who has waited finds it.
            let wait = Duration::from_secs_f64((1.0 - self.calls) / self.per_second);
            return Some(wait + Duration::from_millis(1));
        }
        self.calls -= 1.0;
        None
    }

    /// Counts a call that was made without waiting.
    fn debit(&mut self, now: Instant) {
        self.refill(now);
        self.calls -= 1.0;
    }

    fn slow(&mut self, now: Instant) {
        self.refill(now);
        if self.slowed.is_some_and(|at| now < at + SLOWING_SPACING) {
            return;
        }
        self.slowed = Some(now);
        self.per_second = (self.per_second / 2.0).max(CALLS_PER_SECOND_MIN);
        // AWS has none for us, whatever we had counted.
        self.calls = self.calls.min(0.0);
    }

    fn refill(&mut self, now: Instant) {
        let secs = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.calls = (self.calls + secs * self.per_second).min(CALLS_AT_ONCE_MAX);
        let regained =
            secs * (CALLS_PER_SECOND_MAX - CALLS_PER_SECOND_MIN) / RECOVERY.as_secs_f64();
        self.per_second = (self.per_second + regained).min(CALLS_PER_SECOND_MAX);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn full(now: Instant) -> Bucket {
        Bucket { calls: CALLS_AT_ONCE_MAX, per_second: CALLS_PER_SECOND_MAX, at: now, slowed: None }
    }

    /// How many calls somebody makes who takes each as soon as it is there.
    fn taken(bucket: &mut Bucket, from: Instant, within: Duration) -> u32 {
        let (mut now, mut count) = (from, 0);
        while now < from + within {
            match bucket.take(now) {
                Some(wait) => now += wait,
                None => count += 1,
            }
        }
        count
    }

    #[test]
    fn a_burst_goes_at_once_and_what_follows_at_the_pace() {
        let start = Instant::now();
        let mut bucket = full(start);
        assert_eq!(taken(&mut bucket, start, Duration::from_millis(50)), 50);
        let more = taken(&mut bucket, start, 30 * SECOND);
        assert!((295..=300).contains(&more), "{more}");
        let later = start + 3_600 * SECOND;
        assert_eq!(taken(&mut bucket, later, Duration::from_millis(50)), 50, "and no further");
    }

    #[test]
    fn a_throttled_answer_slows_all_and_the_pace_comes_back() {
        let start = Instant::now();
        let mut bucket = full(start);
        // Twenty that were under way together.
        for _ in 0..20 {
            bucket.slow(start);
        }
        let slowed = taken(&mut bucket, start, 2 * SECOND);
        assert!((9..=11).contains(&slowed), "half of the pace and no burst: {slowed}");
        let mut now = start + 2 * SECOND;
        for _ in 0..10 {
            now += SECOND;
            bucket.slow(now);
        }
        assert!((CALLS_PER_SECOND_MIN..1.0).contains(&bucket.per_second), "{bucket:?}");
        assert!(taken(&mut bucket, now, 10 * SECOND) <= 12);
        now += RECOVERY;
        bucket.refill(now);
        assert!(CALLS_PER_SECOND_MAX <= bucket.per_second, "{bucket:?}");
    }

    #[tokio::test]
    async fn who_gives_up_waiting_takes_nothing_and_the_next_has_the_turn() {
        let pace = CallPace::new().of(&"hub".into());
        for _ in 0..50 {
            pace.turn().await;
        }
        let began = Instant::now();
        let (first, ()) =
            tokio::join!(timeout(Duration::from_millis(20), pace.turn()), pace.turn());
        assert!(first.is_err());
        let waited = began.elapsed();
        assert!((Duration::from_millis(50)..SECOND).contains(&waited), "{waited:?}");
    }

    #[tokio::test]
    async fn attempts_that_nobody_waited_for_are_made_up_for() {
        let pace = CallPace::new().of(&"hub".into());
        for _ in 0..53 {
            pace.debit();
        }
        assert!(timeout(Duration::from_millis(250), pace.turn()).await.is_err());
        assert!(timeout(SECOND, pace.turn()).await.is_ok());
    }

    #[test]
    fn a_limit_is_of_all_when_a_tenth_of_the_sources_run_into_it_and_two_at_least() {
        let (pace, start) = (CallPace::new(), Instant::now());
        let name = |at: usize| SourceName::from(format!("account-{at}"));
        for at in 0..30 {
            pace.0.asked(&name(at), start);
        }
        let run_into = |at: usize, now: Instant| pace.0.is_of_all(&name(at), now);
        assert!((0..9).all(|_| !run_into(7, start)), "one alone, however often");
        assert!(!run_into(8, start));
        assert!(run_into(9, start));
        // A minute later the others were not asked any more, and this one was throttled alone.
        assert!(!run_into(7, start + COUNTS_FOR));
        assert_eq!(pace.0.seen().len(), 1);
        assert!(run_into(8, start + COUNTS_FOR), "both of two");
    }
}
