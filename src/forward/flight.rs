//! One question to a list of upstreams, until one answers or the time is up.
//!
//! An upstream that is silent for a moment is not given up: the next is asked beside it, and
//! whichever answers first is heard. A lone upstream is asked again.

use std::{
    collections::VecDeque, future::poll_fn, net::SocketAddr, sync::Arc, task::Poll, time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::task::TaskTracker;

use super::{
    error::ForwardError,
    exchange::{Exchange, Verdict},
    routes::Upstreams,
    upstream::Upstream,
};
use crate::{
    telemetry::{Spared, UpstreamFailure},
    wire::{Question, Relay},
};

/// A client gets its SERVFAIL after this long. Stub resolvers give up after 5 s, and systemd's and
/// Route 53's sooner, so ours has to come before.
pub const DEADLINE: Duration = Duration::from_millis(3_500);
/// Transmissions of one question to which nothing was said, each after twice the silence before
/// it. With the greatest patience that makes them leave after 0, 350, 1050 and 2450 ms, so a lost
/// first packet costs 350 ms. Those that were declined or failed do not count, so that each of many
/// upstreams gets its turn: in all there are never more than this or one an upstream, whichever is
/// more, and one beside them now and then.
pub(super) const TRANSMISSIONS_MAX: usize = 4;
/// Who says nothing for so long has not answered. Longer than any patience: an upstream that looks
/// for an answer while another has it already is slow, and not silent.
const SILENT_AFTER: Duration = Duration::from_millis(500);

/// Asks `upstreams` and comes back with the first answer, and whose it is. If all that answer decline
/// the question, the last such response comes back whole.
pub(super) async fn fly(
    upstreams: &Upstreams,
    question: &Question,
) -> Result<(Relay, SocketAddr), ForwardError> {
    let started = Instant::now();
    let mut flight = Flight::new(upstreams.in_order(), question);
    flight.look_beside(started);
    let ended = flight.run(started).await;
    let (declined, last) = (flight.declined.take(), flight.last);
    flight.end(Instant::now());
    match (ended, declined, last) {
        (Ended::Answered(relay, upstream), _, _) => Ok((relay, upstream)),
        (Ended::Alone | Ended::TimedOut, Some(declined), _) => Ok(declined),
        (Ended::Alone, None, UpstreamFailure::Network) => Err(ForwardError::Network),
        (Ended::Alone, None, UpstreamFailure::Tls) => Err(ForwardError::Unproved),
        (Ended::Alone, None, UpstreamFailure::Local) => Err(ForwardError::NoSocket),
        (Ended::Alone, None, UpstreamFailure::Budget) => Err(ForwardError::OverBudget),
        (Ended::Alone, None, _) => Err(ForwardError::Unusable),
        (Ended::TimedOut, None, _) => Err(ForwardError::TimedOut(DEADLINE)),
    }
}

/// What a flight came to.
enum Ended {
    Answered(Relay, SocketAddr),
    /// Nobody is left to wait for.
    Alone,
    /// The time is up.
    TimedOut,
}

struct Flight {
    seats: Vec<Seat>,
    /// Whom to ask next, and after whom. Who declined or failed has had its turn.
    turn: VecDeque<usize>,
    question: Question,
    sent_max: usize,
    sent: usize,
    /// Transmissions that nothing has come of yet, but for those beside the turn.
    unanswered: usize,
    waiting: Exchanges,
    /// Exchanges of which little is hoped.
    doubtful: usize,
    declined: Option<(Relay, SocketAddr)>,
    last: UpstreamFailure,
}

/// An upstream of the flight.
struct Seat {
    upstream: Arc<Upstream>,
    /// When it was asked last in this flight.
    asked_at: Option<Instant>,
    /// Since when it has been asked and has said nothing.
    silent_since: Option<Instant>,
}

/// Exchanges that something may come of. They are few, so each is looked at when one is woken.
#[derive(Default)]
struct Exchanges(Vec<BoxFuture<'static, Heard>>);

/// What came of one exchange.
struct Heard {
    seat: usize,
    /// Whether it was in its turn, and not beside.
    in_turn: bool,
    exchange: Box<Exchange>,
    verdict: Verdict,
}

// === impl Flight ===

impl Flight {
    fn new(upstreams: Vec<Arc<Upstream>>, question: &Question) -> Self {
        let seat = |upstream| Seat { upstream, asked_at: None, silent_since: None };
        Self {
            turn: (0..upstreams.len()).collect(),
            sent_max: TRANSMISSIONS_MAX.max(upstreams.len()),
            seats: upstreams.into_iter().map(seat).collect(),
            question: question.clone(),
            sent: 0,
            unanswered: 0,
            waiting: Exchanges::default(),
            doubtful: 0,
            declined: None,
            last: UpstreamFailure::Timeout,
        }
    }

    /// Sends the question to those that fail and may be back, or are slower and may not be any
    /// more, as well as to whose turn it is: that shows, and no client waits for it.
    fn look_beside(&mut self, now: Instant) {
        for seat in 1..self.seats.len() {
            let upstream = &self.seats[seat].upstream;
            if !upstream.is_short(now) && upstream.claim_look(now) {
                self.ask(seat, false, now);
            }
        }
    }

    /// Asks until the first answer comes, or none can.
    async fn run(&mut self, started: Instant) -> Ended {
        let deadline = started + DEADLINE;
        let mut next_at = started;
        loop {
            let now = Instant::now();
            if next_at <= now && self.may_send() {
                next_at = self.ask_next(now);
            }
            if self.waiting.0.is_empty() && !self.may_send() {
                return Ended::Alone;
            }
            // One timer, which is not set when something has come already.
            let until = if self.may_send() { next_at.min(deadline) } else { deadline };
            let heard = tokio::select! {
                biased;
                heard = self.waiting.next() => heard,
                () = sleep_until(until) => match until < deadline {
                    true => continue,
                    false => return Ended::TimedOut,
                },
            };
            if let Some((relay, upstream)) = self.hear(heard) {
                return Ended::Answered(relay, upstream);
            }
            if self.turn.is_empty() && self.doubtful == 0 {
                return Ended::Alone;
            }
            if self.sent < self.seats.len() {
                next_at = Instant::now();
            }
        }
    }

    /// Sends the question to whose turn it is, and tells when the next is.
    fn ask_next(&mut self, now: Instant) -> Instant {
        let due_at = |seat: &usize| self.seats[*seat].due_at(now);
        let Some(place) = self.turn.iter().position(|seat| due_at(seat) <= now) else {
            return self.turn.iter().map(due_at).min().unwrap_or(now + DEADLINE);
        };
        let Some(seat) = self.turn.remove(place) else { return now };
        self.turn.push_back(seat);
        let patience = self.seats[seat].upstream.patience() * (1 << self.unanswered);
        // Near the limit of packets a question is asked once: its answer may still come.
        let Seat { upstream, asked_at, .. } = &self.seats[seat];
        if !(asked_at.is_some() && upstream.spares(Spared::Retransmission, now)) {
            self.ask(seat, true, now);
            self.unanswered += 1;
        }
        self.sent += 1;
        now + patience
    }

    /// Sends the question to an upstream. The last transmission, to one that has been silent, is
    /// without an OPT: there are boxes that let nothing pass that has one, or no answer of more
    /// than 512 octets. Without, such an answer is truncated, and TCP has the rest.
    fn ask(&mut self, seat: usize, in_turn: bool, now: Instant) {
        let Seat { upstream, asked_at, silent_since } = &mut self.seats[seat];
        let is_last = self.sent + 1 == self.sent_max || self.unanswered + 1 == TRANSMISSIONS_MAX;
        let without_opt = asked_at.is_some() && (is_last || upstream.may_ignore_opt());
        let before = asked_at.replace(now);
        let (name, address) = (&self.question.name, &upstream.address);
        tracing::debug!(%name, rtype = %self.question.rtype, upstream = %address, "asks an upstream");
        silent_since.get_or_insert(now);
        let exchange = Box::new(Exchange::new(upstream, &self.question, without_opt, before));
        self.listen(seat, in_turn, exchange);
    }

    fn listen(&mut self, seat: usize, in_turn: bool, mut exchange: Box<Exchange>) {
        let heard = async move {
            let verdict = exchange.next().await;
            Heard { seat, in_turn, exchange, verdict }
        };
        self.waiting.0.push(heard.boxed());
    }

    /// Takes what an exchange came to; the answer, if it is one.
    fn hear(&mut self, heard: Heard) -> Option<(Relay, SocketAddr)> {
        let Heard { seat, in_turn, exchange, verdict } = heard;
        let was_doubtful = exchange.is_doubtful() && !matches!(verdict, Verdict::Doubtful(_));
        self.seats[seat].silent_since = None;
        self.turn.retain(|waits| *waits != seat);
        if was_doubtful {
            self.doubtful -= 1;
        } else if in_turn {
            self.unanswered -= 1;
        }
        let address = self.seats[seat].upstream.address.socket();
        tracing::debug!(upstream = %address, came = verdict.word(), "heard of an upstream");
        match verdict {
            Verdict::Answer(relay) => return Some((relay, address)),
            Verdict::Declined(relay) => self.declined = Some((relay, address)),
            Verdict::Failed(reason) => self.last = reason,
            Verdict::Doubtful(reason) => {
                self.last = reason;
                self.doubtful += 1;
                self.listen(seat, in_turn, exchange);
            }
        }
        None
    }

    fn may_send(&self) -> bool {
        let in_time = self.unanswered < TRANSMISSIONS_MAX && self.sent < self.sent_max;
        in_time && !self.turn.is_empty()
    }

    /// Notes who was silent. Who was asked a moment ago is heard on for the rest of its time, so
    /// that what is known of it is right, though nobody waits for its answer any more.
    fn end(self, now: Instant) {
        let mut pending = Vec::new();
        let mut until = now;
        for (at, seat) in self.seats.into_iter().enumerate() {
            match seat.silent_since.map(|since| since + SILENT_AFTER) {
                Some(heard_until) if heard_until <= now => {
                    seat.upstream.failed(UpstreamFailure::Timeout, now);
                }
                Some(heard_until) => {
                    pending.push((at, seat.upstream));
                    until = until.max(heard_until);
                }
                None => (),
            }
        }
        if pending.is_empty() {
            return;
        }
        let permits: Option<Vec<_>> =
            pending.iter().map(|(_, upstream)| upstream.trail()).collect();
        if let Some(permits) = permits {
            TaskTracker::new().spawn(async move {
                trail(self.waiting, pending, until).await;
                drop(permits);
            });
        }
    }
}

// === impl Seat ===

impl Seat {
    /// From when on it may be asked.
    fn due_at(&self, now: Instant) -> Instant {
        self.asked_at.map_or(now, |asked_at| asked_at + self.upstream.asked_again_after())
    }
}

// === impl Exchanges ===

impl Exchanges {
    /// The next that something has come of.
    async fn next(&mut self) -> Heard {
        poll_fn(|context| {
            for at in 0..self.0.len() {
                if let Poll::Ready(heard) = self.0[at].as_mut().poll(context) {
                    drop(self.0.swap_remove(at));
                    return Poll::Ready(heard);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// Hears those that have said nothing yet. An exchange notes what it hears by itself.
async fn trail(mut waiting: Exchanges, mut pending: Vec<(usize, Arc<Upstream>)>, until: Instant) {
    let heard = async {
        while !waiting.0.is_empty() && !pending.is_empty() {
            let heard = waiting.next().await;
            pending.retain(|(seat, _)| *seat != heard.seat);
        }
    };
    if timeout_at(until, heard).await.is_err() {
        let now = Instant::now();
        pending.iter().for_each(|(_, upstream)| upstream.failed(UpstreamFailure::Timeout, now));
    }
}
