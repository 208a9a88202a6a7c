//! One upstream and what is known of it: whether it answers, how soon, and what it cannot do.
//!
//! What is known only orders and writes questions: an upstream that fails is asked last and looked
//! at again now and then, beside one that answers, so that no client waits for it; a lone one is
//! always asked.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::{
    address::UpstreamAddress,
    budget::{Budget, OCTETS_AN_ACK, OverBudget},
    choice::Standing,
    habit::{Belief, Habit},
    latency::{Latency, PATIENCE_MAX},
    line::{Lines, STALLED_AFTER},
    ports::Ports,
    trust::Trust,
};
use crate::telemetry::{
    ForwardMetrics, Seldom, Spared, UpstreamFailure, UpstreamLack, UpstreamMetrics,
};

/// Failures in a row after which an upstream is avoided.
const FAILURES_MAX: u32 = 3;
/// How long it counts as silent after the last of them.
const SILENT_FOR: Duration = Duration::from_secs(30);
/// How long it is avoided before a question is sent to it as well: doubled from the first to the
/// last.
const AVOID_MIN: Duration = Duration::from_secs(1);
const AVOID_MAX: Duration = Duration::from_secs(30);
/// One that is slower than others is measured again after this long, in the same way.
const MEASURED_FOR: Duration = Duration::from_secs(30);
/// Answers in another case, in a row and each time mended by asking in lower case, after which an
/// upstream counts as one that does not keep it. One may be somebody's guess.
const FOLDED_TIMES: u32 = 3;
/// The same for questions that were answered only without an OPT, after silence. One may be loss.
const SILENT_TO_OPT_TIMES: u32 = 2;
/// Answers that come after their client has had another are waited for, so many at once for an
/// upstream: enough to know it, and one that is dead does not hold a socket for every client.
const TRAILING_MAX: usize = 16;

/// One that comes and goes with every few questions is told of so often in the log.
const TOLD_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// An upstream, shared by all zones that name it.
pub(super) struct Upstream {
    pub(super) address: UpstreamAddress,
    /// Its AD bit is passed on.
    pub(super) trusted: bool,
    pub(super) metrics: UpstreamMetrics,
    /// Where it is asked from, if by UDP.
    pub(super) ports: Ports,
    /// How it is asked, if by TLS.
    pub(super) lines: Option<Lines>,
    /// Whether questions may be sent to it in random case.
    randomizes: bool,
    trailing: Arc<Semaphore>,
    /// What it takes of packets, with others that have the same limit.
    budget: Option<Arc<Budget>>,
    known: Mutex<Known>,
    /// What is told of its silence, and of what it lacks.
    silence: Seldom,
    lacking: [Seldom; UpstreamLack::ALL.len()],
}

/// What all upstreams are made with.
pub(super) struct Given<'g> {
    pub(super) trusted: &'g [UpstreamAddress],
    pub(super) randomizes: bool,
    pub(super) trust: &'g Trust,
    pub(super) metrics: &'g ForwardMetrics,
}

/// What it has shown of itself.
#[derive(Default)]
struct Known {
    /// Questions in a row that it did not answer.
    failures: u32,
    /// When the last of them was.
    failed_at: Option<Instant>,
    /// How long it was avoided the last time.
    avoided_for: Option<Duration>,
    /// When it is to be asked beside another.
    look_at: Option<Instant>,
    latency: Option<Latency>,
    case: Habit,
    edns: Habit,
}

// === impl Upstream ===

impl Upstream {
    pub(super) fn new(address: UpstreamAddress, given: &Given<'_>) -> Self {
        let lines = Lines::new(&address, given.trust);
        let metrics = given.metrics.upstream(&address);
        Self {
            trusted: given.trusted.contains(&address),
            // Nobody can speak in place of a resolver on the link, and Route 53's is not known to
            // keep the case; behind TLS nobody can speak in anybody's place.
            randomizes: given.randomizes && lines.is_none() && !address.is_link_local(),
            ports: Ports::new(address.socket(), &metrics),
            metrics,
            lines,
            trailing: Arc::new(Semaphore::new(TRAILING_MAX)),
            budget: None,
            known: Mutex::default(),
            silence: Seldom::new(TOLD_AGAIN_AFTER),
            lacking: [const { Seldom::new(TOLD_AGAIN_AFTER) }; UpstreamLack::ALL.len()],
            address,
        }
    }

    /// The same, within a budget.
    pub(super) fn within(self, budget: Option<Arc<Budget>>) -> Self {
        let ports = self.ports.counted(budget.is_some());
        Self { budget, ports, ..self }
    }

    /// Whether AWS limits packets to it.
    pub(super) fn is_limited(&self) -> bool {
        self.budget.is_some()
    }

    /// Leave to send it so many packets now.
    pub(super) fn spend(&self, packets: u32) -> Result<(), OverBudget> {
        self.budget.as_ref().map_or(Ok(()), |budget| budget.spend(packets, Instant::now()))
    }

    /// Counts packets that an answer of so many octets by TCP has cost besides.
    pub(super) fn count_acks(&self, octets: usize) {
        let more = u32::try_from(octets / OCTETS_AN_ACK).unwrap_or(u32::MAX);
        if let Some(budget) = self.budget.as_ref().filter(|_| 0 < more) {
            budget.count(more, Instant::now());
        }
    }

    /// Whether packets to it are to be spared.
    pub(super) fn is_short(&self, now: Instant) -> bool {
        self.budget.as_ref().is_some_and(|budget| budget.is_short(now))
    }

    /// Whether a packet to it that can be done without is spared now, which is then counted.
    pub(super) fn spares(&self, how: Spared, now: Instant) -> bool {
        let short = self.budget.as_ref().filter(|budget| budget.is_short(now));
        short.inspect(|budget| budget.spared(how)).is_some()
    }

    /// What counts for the order it is asked in.
    pub(super) fn standing(&self) -> Standing {
        let known = self.known();
        let smoothed = known.latency.map(Latency::smoothed);
        Standing { failing: FAILURES_MAX <= known.failures, smoothed }
    }

    /// Whether it has not answered the last few questions, the last of them just now: what it did
    /// hours ago tells nothing.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        let known = self.known();
        let lately = known.failed_at.is_some_and(|at| now < at + SILENT_FOR);
        FAILURES_MAX <= known.failures && lately
    }

    /// Whether it should be asked beside another now: it fails and may be back (half open), or it
    /// is slower and may not be any more. True once each time.
    pub(super) fn claim_look(&self, now: Instant) -> bool {
        let mut known = self.known();
        let is_due = known.look_at.is_some_and(|at| at <= now);
        if is_due {
            let pause = match FAILURES_MAX <= known.failures {
                true => known.avoid_longer(),
                false => MEASURED_FOR,
            };
            known.look_at = Some(now + pause);
        }
        is_due
    }

    /// Silence after which the next transmission leaves.
    pub(super) fn patience(&self) -> Duration {
        self.known().latency.map_or(PATIENCE_MAX, Latency::patience)
    }

    /// How long after a question it may be asked the same again. What was lost comes again by
    /// itself where there is a connection; after this that may be dead.
    pub(super) fn asked_again_after(&self) -> Duration {
        if self.lines.is_some() { STALLED_AFTER } else { Duration::ZERO }
    }

    /// Whether it is asked in random case.
    pub(super) fn keeps_case(&self, now: Instant) -> bool {
        self.randomizes && self.known().case.asks_with(now)
    }

    /// Whether it is asked with an OPT.
    pub(super) fn reads_opt(&self, now: Instant) -> bool {
        self.known().edns.asks_with(now)
    }

    /// Whether a question with an OPT to which it says nothing is asked again without one at once,
    /// since it was that the last time. Else only the last transmission is.
    pub(super) fn may_ignore_opt(&self) -> bool {
        self.known().edns.is_doubted()
    }

    /// Leave to wait for its answer when nobody else does.
    pub(super) fn trail(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.trailing).try_acquire_owned().ok()
    }

    /// Notes an answer, of whatever code, `duration` after it was asked for.
    pub(super) fn answered(&self, duration: Duration, now: Instant) {
        self.metrics.answered(duration);
        let mut known = self.known();
        let is_back = FAILURES_MAX <= known.failures;
        let is_told = is_back && self.silence.was_told();
        let latency = match known.latency {
            // Before it failed the way to it may have been another.
            Some(latency) if !is_back => latency.then(duration),
            Some(_) | None => Latency::first(duration),
        };
        known.latency = Some(latency);
        known.failures = 0;
        known.avoided_for = None;
        known.look_at = Some(now + MEASURED_FOR);
        drop(known);
        self.metrics.smoothed(latency.smoothed());
        self.metrics.up.set(1);
        if is_told {
            tracing::info!(upstream = %self.address, "upstream answers again");
        }
    }

    /// Notes silence or an error of the network, or of its own.
    pub(super) fn failed(&self, reason: UpstreamFailure, now: Instant) {
        self.metrics.failed(reason);
        let mut known = self.known();
        known.failures = known.failures.saturating_add(1);
        known.failed_at = Some(now);
        if known.failures == FAILURES_MAX {
            let pause = known.avoid_longer();
            known.look_at = Some(now + pause);
            drop(known);
            self.metrics.up.set(0);
            if let Some(held_back) = self.silence.turn(now.into_std()) {
                tracing::warn!(
                    upstream = %self.address, reason = reason.word(), held_back,
                    "upstream does not answer; others are asked first"
                );
            }
        }
    }

    /// Notes that it repeated a name in the case that it was asked in.
    pub(super) fn kept_case(&self) {
        let belief = self.known().case.had();
        self.tell(UpstreamLack::Case, belief);
    }

    /// Notes that it answered in another case, and well when the case did not count.
    pub(super) fn folded_case(&self, now: Instant) {
        let belief = self.known().case.lacked(FOLDED_TIMES, now);
        self.tell(UpstreamLack::Case, belief);
    }

    /// Notes an answer to a question with an OPT.
    pub(super) fn read_opt(&self) {
        let belief = self.known().edns.had();
        self.tell(UpstreamLack::Edns, belief);
    }

    /// Notes that it refused an OPT, and answered without.
    pub(super) fn refused_opt(&self, now: Instant) {
        let belief = self.known().edns.lacked(1, now);
        self.tell(UpstreamLack::Edns, belief);
    }

    /// Notes that it said nothing to an OPT, and answered without.
    pub(super) fn ignored_opt(&self, now: Instant) {
        let belief = self.known().edns.lacked(SILENT_TO_OPT_TIMES, now);
        self.tell(UpstreamLack::Edns, belief);
    }

    fn tell(&self, lack: UpstreamLack, belief: Belief) {
        let lines = &self.lacking[lack as usize];
        match belief {
            Belief::Same => (),
            Belief::Lacks => {
                self.metrics.lacks(lack, true);
                if let Some(held_back) = lines.turn(Instant::now().into_std()) {
                    tracing::warn!(
                        upstream = %self.address, feature = lack.word(), held_back,
                        "upstream cannot do this, and is asked without for ten minutes"
                    );
                }
            }
            Belief::Has => {
                self.metrics.lacks(lack, false);
                if lines.was_told() {
                    tracing::info!(
                        upstream = %self.address, feature = lack.word(),
                        "upstream can do this again"
                    );
                }
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

// === impl Known ===

impl Known {
    /// How long it is avoided from now on.
    fn avoid_longer(&mut self) -> Duration {
        let pause = self.avoided_for.map_or(AVOID_MIN, |before| (before * 2).min(AVOID_MAX));
        self.avoided_for = Some(pause);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{forward::habit::LACK_BELIEVED, telemetry::Metrics};

    fn upstream(address: &str) -> Upstream {
        made(address, true)
    }

    fn made(address: &str, randomizes: bool) -> Upstream {
        let metrics = Metrics::new().unwrap();
        let given =
            Given { trusted: &[], randomizes, trust: &Trust::default(), metrics: &metrics.forward };
        Upstream::new(address.parse().unwrap(), &given)
    }

    #[test]
    fn a_failing_upstream_is_looked_at_now_and_then_by_one_question() {
        let upstream = upstream("192.0.2.1");
        let start = Instant::now();
        upstream.failed(UpstreamFailure::Timeout, start);
        upstream.failed(UpstreamFailure::Timeout, start);
        assert!(!upstream.is_silent(start) && !upstream.claim_look(start));
        upstream.failed(UpstreamFailure::Timeout, start);
        assert!(upstream.is_silent(start) && !upstream.claim_look(start));
        assert!(!upstream.is_silent(start + SILENT_FOR), "nobody knows any more");
        let mut at = start;
        for pause in [1, 2, 4, 8, 16, 30, 30] {
            at += Duration::from_secs(pause);
            assert!(!upstream.claim_look(at - Duration::from_millis(1)), "not yet");
            assert!(upstream.claim_look(at), "its time has come");
            assert!(!upstream.claim_look(at), "for one question");
        }
        upstream.answered(Duration::from_millis(1), at);
        assert!(!upstream.is_silent(at));
        assert!(!upstream.claim_look(at));
        assert!(upstream.claim_look(at + MEASURED_FOR), "to be measured again");
    }

    #[test]
    fn case_is_drawn_where_somebody_could_forge_an_answer() {
        let now = Instant::now();
        assert!(upstream("192.0.2.1").keeps_case(now));
        for address in ["169.254.169.253", "fd00:ec2::253", "tls://192.0.2.1"] {
            assert!(!upstream(address).keeps_case(now), "{address}");
        }
        assert!(!made("192.0.2.1", false).keeps_case(now));
    }

    #[test]
    fn what_it_cannot_do_is_believed_for_a_while() {
        let upstream = upstream("192.0.2.1");
        let now = Instant::now();
        (0..3).for_each(|_| upstream.folded_case(now));
        assert!(!upstream.keeps_case(now) && upstream.keeps_case(now + LACK_BELIEVED));
        upstream.refused_opt(now);
        assert!(!upstream.reads_opt(now));
        upstream.read_opt();
        assert!(upstream.reads_opt(now));
        upstream.ignored_opt(now);
        assert!(upstream.reads_opt(now), "one may be loss");
        upstream.ignored_opt(now);
        assert!(!upstream.reads_opt(now));
    }
}
