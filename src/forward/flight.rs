//! One question to a list of upstreams, until one answers or the time is up.
//!
//! An upstream that is silent for a moment is not given up: the next is asked beside it, and
//! whichever answers first is heard. A lone upstream is asked again.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

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
/// Transmissions of one question to which nothing was said. Those that were declined or failed do
/// not count, so that each of many upstreams gets its turn: in all there are never more than this
/// or one an upstream, whichever is more.
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
        turn: order.iter().collect(),
        question,
        metrics,
        sent_max: TRANSMISSIONS_MAX.max(order.len()),
        sent: 0,
        unanswered: 0,
        silent: HashMap::new(),
        declined: None,
        last: UpstreamFailure::Timeout,
    };
    let ended = timeout_at(started + DEADLINE, flight.run(order.len())).await;
    // Whoever had its time since it was asked and said nothing is on its way to being avoided.
    let now = Instant::now();
    for upstream in &order {
        let asked_at = flight.silent.get(&upstream.address);
        if asked_at.is_some_and(|asked_at| PATIENCE <= now - *asked_at) {
            upstream.failed(UpstreamFailure::Timeout, now);
        }
    }
    match (ended, flight.declined, flight.last) {
        (Ok(Some(relay)), _, _) => Ok(relay),
        (Ok(None) | Err(_), Some(declined), _) => Ok(declined),
        (Ok(None), None, UpstreamFailure::Network) => Err(ForwardError::Network),
        (Ok(None), None, UpstreamFailure::Local) => Err(ForwardError::NoSocket),
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
    /// Whom to ask next, and after whom. Who declined or failed has had its turn.
    turn: VecDeque<&'f Arc<Upstream>>,
    question: &'f Question,
    metrics: &'f ForwardMetrics,
    sent_max: usize,
    sent: usize,
    /// Transmissions that nothing has come of yet.
    unanswered: usize,
    /// Who has said nothing, since when.
    silent: HashMap<SocketAddr, Instant>,
    declined: Option<Relay>,
    last: UpstreamFailure,
}

// === impl Flight ===

impl Flight<'_> {
    /// The first answer; `None` when none of the `upstreams` is left to wait for.
    async fn run(&mut self, upstreams: usize) -> Option<Relay> {
        let mut waiting = FuturesUnordered::new();
        let mut next_at = Instant::now();
        loop {
            let now = Instant::now();
            if next_at <= now && self.may_send() {
                let upstream = self.turn.pop_front()?;
                self.turn.push_back(upstream);
                self.silent.entry(upstream.address).or_insert(now);
                let (question, metrics) = (self.question, self.metrics);
                waiting.push(async move {
                    (upstream.address, exchange(upstream, question, metrics).await)
                });
                next_at = now + PATIENCE * (1 << self.unanswered);
                self.sent += 1;
                self.unanswered += 1;
            }
            let more = self.may_send();
            tokio::select! {
                ended = waiting.next(), if !waiting.is_empty() => {
                    let (address, exchanged) = ended?;
                    self.silent.remove(&address);
                    self.turn.retain(|upstream| upstream.address != address);
                    self.unanswered -= 1;
                    match exchanged {
                        Exchanged::Answer(relay) => return Some(relay),
                        Exchanged::Declined(relay) => self.declined = Some(relay),
                        Exchanged::Failed(reason) => self.last = reason,
                    }
                    if self.turn.is_empty() {
                        return None;
                    }
                    if self.sent < upstreams {
                        next_at = Instant::now();
                    }
                }
                () = sleep_until(next_at), if more => (),
                else => return None,
            }
        }
    }

    fn may_send(&self) -> bool {
        let in_time = self.unanswered < TRANSMISSIONS_MAX && self.sent < self.sent_max;
        in_time && !self.turn.is_empty()
    }
}
