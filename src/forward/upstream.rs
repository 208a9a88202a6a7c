//! One upstream and what is known of its health.
//!
//! Health only orders: an upstream that fails is asked last and tried again now and then, and a
//! lone one is always asked.

use std::{
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::telemetry::{ForwardMetrics, UpstreamFailure, UpstreamMetrics};

/// Failures in a row after which an upstream is avoided.
const FAILURES_MAX: u32 = 3;
/// How long it is avoided before one question tries it again: doubled from the first to the last.
const AVOID_MIN: Duration = Duration::from_secs(1);
const AVOID_MAX: Duration = Duration::from_secs(30);

/// An upstream, shared by all zones that name it.
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    /// Its AD bit is passed on.
    pub(super) trusted: bool,
    pub(super) metrics: UpstreamMetrics,
    failures: AtomicU32,
    avoided: Mutex<Avoided>,
}

/// When an avoided upstream may be tried again.
struct Avoided {
    until: Option<Instant>,
    next: Duration,
}

// === impl Upstream ===

impl Upstream {
    pub(super) fn new(address: SocketAddr, trusted: bool, metrics: &ForwardMetrics) -> Self {
        Self {
            address,
            trusted,
            metrics: metrics.upstream(address),
            failures: AtomicU32::new(0),
            avoided: Mutex::new(Avoided { until: None, next: AVOID_MIN }),
        }
    }

    /// Whether it should be asked before those that fail. True for the one question that tries a
    /// failing one again when its time has come (half open).
    pub(super) fn is_wanted(&self, now: Instant) -> bool {
        if self.failures.load(Ordering::Relaxed) < FAILURES_MAX {
            return true;
        }
        let mut avoided = self.avoided.lock().unwrap_or_else(|broken| broken.into_inner());
        match avoided.until {
            Some(until) if now < until => false,
            Some(_) | None => {
                avoided.until = Some(now + avoided.next);
                avoided.next = (avoided.next * 2).min(AVOID_MAX);
                true
            }
        }
    }

    /// Whether it has not answered the last few questions. Changes nothing.
    pub(super) fn is_silent(&self) -> bool {
        FAILURES_MAX <= self.failures.load(Ordering::Relaxed)
    }

    /// Notes an answer, of whatever code, after `duration`.
    pub(super) fn answered(&self, duration: Duration) {
        self.metrics.answered(duration);
        if self.failures.swap(0, Ordering::Relaxed) >= FAILURES_MAX {
            let mut avoided = self.avoided.lock().unwrap_or_else(|broken| broken.into_inner());
            *avoided = Avoided { until: None, next: AVOID_MIN };
            tracing::info!(upstream = %self.address, "upstream answers again");
        }
        self.metrics.up.set(1);
    }

    /// Notes silence or an error of the network.
    pub(super) fn failed(&self, reason: UpstreamFailure, now: Instant) {
        self.metrics.failed(reason);
        if self.failures.fetch_add(1, Ordering::Relaxed) + 1 == FAILURES_MAX {
            let mut avoided = self.avoided.lock().unwrap_or_else(|broken| broken.into_inner());
            avoided.until = Some(now + avoided.next);
            avoided.next = (avoided.next * 2).min(AVOID_MAX);
            self.metrics.up.set(0);
            tracing::warn!(
                upstream = %self.address, reason = reason.word(),
                "upstream does not answer; others are asked first"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    #[test]
    fn a_failing_upstream_is_avoided_and_tried_again_by_one_question() {
        let metrics = Metrics::new().unwrap();
        let upstream = Upstream::new("192.0.2.1:53".parse().unwrap(), false, &metrics.forward);
        let start = Instant::now();
        upstream.failed(UpstreamFailure::Timeout, start);
        upstream.failed(UpstreamFailure::Timeout, start);
        assert!(upstream.is_wanted(start));
        upstream.failed(UpstreamFailure::Timeout, start);
        assert!(!upstream.is_wanted(start));
        let later = start + AVOID_MIN;
        assert!(upstream.is_wanted(later), "its time has come");
        assert!(!upstream.is_wanted(later), "for one question");
        upstream.answered(Duration::from_millis(1));
        assert!(upstream.is_wanted(later));
    }
}
