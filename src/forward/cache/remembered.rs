//! What the cache has for a question, told to people.

use std::{fmt, time::Duration};

use tokio::time::Instant;

use super::{Cache, FAILURE_TTL, Failure};
use crate::{
    base::{Chain, Rcode},
    forward::key::Key,
};

/// What the cache has for a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remembered {
    /// Nothing that could be told.
    Nothing,
    /// An answer within its time.
    Fresh {
        /// Its code.
        rcode: Rcode,
        /// How long ago it came.
        age: Duration,
        /// How long it is told without asking.
        left: Duration,
    },
    /// An answer that is told when no upstream answers in time.
    Stale {
        /// Its code.
        rcode: Rcode,
        /// How long its time has been over.
        over: Duration,
        /// How long it may stand in.
        left: Duration,
    },
    /// Asking failed, and is not tried again for a moment.
    Failed {
        /// How.
        why: String,
        /// For how long.
        left: Duration,
    },
}

// === impl Remembered ===

/// For people: a sentence.
impl fmt::Display for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Remembered::Nothing => f.write_str("has nothing: an upstream is asked"),
            Remembered::Fresh { rcode, age, left } => write!(
                f,
                "has {rcode}, which came {} s ago and is told for {} s more",
                age.as_secs(),
                left.as_secs()
            ),
            Remembered::Stale { rcode, over, left } => write!(
                f,
                "has {rcode}, over for {} s: told if no upstream answers in time, for {} s more",
                over.as_secs(),
                left.as_secs()
            ),
            Remembered::Failed { why, left } => {
                write!(f, "has a failure, not tried again for {} ms: {why}", left.as_millis())
            }
        }
    }
}

// === impl Cache ===

impl Cache {
    /// What it has for a question. Nobody is told it, so no hit is counted.
    pub(in crate::forward) fn remembered(&self, key: &Key, now: Instant) -> Remembered {
        if let Some(kept) = self.stale(key, now) {
            let (rcode, age) = (kept.relay.rcode(), kept.age(now));
            let lifetime = kept.relay.lifetime().as_duration();
            return match kept.is_fresh(now) {
                true => Remembered::Fresh { rcode, age, left: lifetime.saturating_sub(age) },
                false => Remembered::Stale {
                    rcode,
                    over: age.saturating_sub(lifetime),
                    left: kept.retention(self.serve_stale).saturating_sub(age),
                },
            };
        }
        let failed = self.failures.get(key);
        let left = |at: Instant| (at + FAILURE_TTL).checked_duration_since(now);
        match failed.and_then(|failed| Some((left(failed.at)?, failed.failure))) {
            None => Remembered::Nothing,
            Some((left, Failure::Declined(kept))) => {
                Remembered::Failed { why: format!("an upstream said {}", kept.relay.rcode()), left }
            }
            Some((left, Failure::Error(error))) => {
                Remembered::Failed { why: Chain(&error).to_string(), left }
            }
        }
    }
}
