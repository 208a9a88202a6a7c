//! What is told of a question that is not ours, and where it was had from.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{cache::Kept, landing::Heard};
use crate::{
    coverage::Mark,
    telemetry::AnswerSource,
    wire::{Age, Relay},
};

/// The TTL of an answer past its time (RFC 8767 section 4).
const STALE_TTL_SECS: u32 = 30;

/// An upstream's response, how old it is, and where we had it from.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The response.
    pub relay: Arc<Relay>,
    /// Its age, for its TTLs.
    pub age: Age,
    /// Cache, upstream, or cache past its time.
    pub source: AnswerSource,
    /// The upstream that said it just now.
    pub upstream: Option<SocketAddr>,
    /// What telling it is counted for, if it has a public address of a name of AWS.
    pub mark: Option<Mark>,
}

// === impl Answered ===

impl Answered {
    /// What an upstream said just now.
    pub(super) fn from_upstream(heard: Heard, mark: Option<Mark>) -> Self {
        Self {
            relay: heard.relay,
            age: Age::Passed(Duration::ZERO),
            source: AnswerSource::Upstream,
            upstream: Some(heard.upstream),
            mark,
        }
    }

    /// An older answer in place of what upstreams say.
    pub(super) fn stale(kept: &Kept) -> Self {
        Self {
            relay: Arc::clone(&kept.relay),
            age: Age::Stale(STALE_TTL_SECS),
            source: AnswerSource::Stale,
            upstream: None,
            mark: kept.mark,
        }
    }
}

// === impl Kept ===

impl Kept {
    /// The answer as it is at `now`, within its time.
    pub(super) fn answered(&self, now: Instant) -> Answered {
        let age = Age::Passed(self.age(now));
        let relay = Arc::clone(&self.relay);
        Answered { relay, age, source: AnswerSource::Cache, upstream: None, mark: self.mark }
    }
}
