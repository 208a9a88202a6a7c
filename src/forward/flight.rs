//! One question to a list of upstreams, until one answers or the time is up.
//!
//! An upstream that is silent for a moment is not given up: the next is asked beside it, and
//! whichever answers first is heard. A lone upstream is asked again.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{
    error::ForwardError,
    exchange::{Exchanged, exchange},
    upstream::Upstream,
};
use crate::{
    telemetry::{ForwardMetrics, UpstreamFailure},
    wire::{Question, Relay},
};

/// A client gets its SERVFAIL after this long. Stub resolvers give up after 5 s, and systemd's and
/// Route 53's sooner, so ours has to come before.
pub(super) const DEADLINE: Duration = Duration::from_millis(3_500);
/// Silence after which the next transmission leaves; doubled each time. With the deadline this
/// makes four: after 0, 350, 1050 and 2450 ms, so a lost first packet costs 350 ms.
const PATIENCE: Duration = Duration::from_millis(350);
/// Transmissions of one question, answers that decline it not counted.
pub(super) const TRANSMISSIONS_MAX: usize = 4;

/// Asks `upstreams` and comes back with the first answer. If all that answer decline the question,
/// the last such response comes back whole.
pub(super) async fn fly(
    upstreams: &[Arc<Upstream>],
    question: &Question,
    metrics: &ForwardMetrics,
) -> Result<Relay, ForwardError> {
    let started = Instant::now();
    let order = by_health(upstreams, started);
    let mut flight = Flight {
        order: &order,
        question,
        metrics,
        asked: 0,
        silent: HashSet::new(),
        declined: None,
        last: UpstreamFailure::Timeout,
    };
    let ended = timeout_at(started + DEADLINE, flight.run()).await;
    // Whoever was asked, had its time and said nothing is on its way to being avoided.
    let now = Instant::now();
    for upstream in order.iter().filter(|upstream| flight.silent.contains(&upstream.address)) {
        if ended.is_err() || PATIENCE <= now - started {
            upstream.failed(UpstreamFailure::Timeout, now);
        }
    }
    match (ended, flight.declined, flight.last) {
        (Ok(Some(relay)), _, _) => Ok(relay),
        (Ok(None) | Err(_), Some(declined), _) => Ok(declined),
        (Ok(None), None, UpstreamFailure::Network) => Err(ForwardError::Network),
        (Ok(None), None, _) => Err(ForwardError::Unusable),
        (Err(_), None, _) => Err(ForwardError::TimedOut(DEADLINE)),
    }
}

/// Those that answer first, in the configuration's order; then those that do not.
fn by_health(upstreams: &[Arc<Upstream>], now: Instant) -> Vec<Arc<Upstream>> {
    let (wanted, avoided): (Vec<_>, Vec<_>) =
        upstreams.iter().cloned().partition(|upstream| upstream.is_wanted(now));
    wanted.into_iter().chain(avoided).collect()
}

struct Flight<'f> {
    order: &'f [Arc<Upstream>],
    question: &'f Question,
    metrics: &'f ForwardMetrics,
    asked: usize,
    silent: HashSet<std::net::SocketAddr>,
    declined: Option<Relay>,
    last: UpstreamFailure,
}

// === impl Flight ===

impl Flight<'_> {
    /// The first answer; `None` when nobody is left to wait for.
    async fn run(&mut self) -> Option<Relay> {
        let mut waiting = FuturesUnordered::new();
        let mut patience = PATIENCE;
        let mut next_at = Instant::now();
        loop {
            if next_at <= Instant::now() && self.asked < TRANSMISSIONS_MAX {
                let upstream = self.order.get(self.asked % self.order.len().max(1))?;
                self.asked += 1;
                self.silent.insert(upstream.address);
                let (question, metrics) = (self.question, self.metrics);
                waiting.push(async move {
                    (upstream.address, exchange(upstream, question, metrics).await)
                });
                next_at = Instant::now() + patience;
                patience *= 2;
            }
            let more = self.asked < TRANSMISSIONS_MAX;
            tokio::select! {
                ended = waiting.next(), if !waiting.is_empty() => {
                    let (address, exchanged) = ended?;
                    self.silent.remove(&address);
                    match exchanged {
                        Exchanged::Answer(relay) => return Some(relay),
                        Exchanged::Declined(relay) => self.declined = Some(relay),
                        Exchanged::Failed(reason) => self.last = reason,
                    }
                    if self.order.len() <= self.asked && waiting.is_empty() {
                        return None;
                    }
                    if self.asked < self.order.len() {
                        next_at = Instant::now();
                    }
                }
                () = sleep_until(next_at), if more => (),
                else => return None,
            }
        }
    }
}
