//! What was asked in the last quarter of an hour, for people who look.
//!
//! Made of the counters that there are, by whoever samples: the query path has no part in it.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use prometheus::{IntCounterVec, core::Collector, proto::LabelPair};

use super::{AnswerSource, DnsMetrics};

/// How long a sample lasts. A sum over some thousand counters takes less than a millisecond.
pub const TRAFFIC_EVERY: Duration = Duration::from_secs(10);
/// A quarter of an hour: 90 samples of 64 octets.
const SAMPLES_MAX: usize = 90;

/// The last samples.
#[derive(Debug, Default)]
pub struct Traffic(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Nothing was counted before the start.
    totals: Counts,
    samples: VecDeque<TrafficSample>,
}

/// What came between two looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrafficSample {
    /// When it ended, in seconds since 1970.
    pub at_secs: u64,
    /// How much it was.
    pub counts: Counts,
}

/// Questions and answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Questions received.
    pub questions: u64,
    /// Answers that said SERVFAIL.
    pub servfail: u64,
    /// Answers by [`AnswerSource`].
    answers: [u64; AnswerSource::ALL.len()],
}

// === impl Traffic ===

impl Traffic {
    /// Adds a sample: what was counted since the last. `totals` are all since the start; a view that
    /// a reload removed took its counts along, and the sample in which that was tells too little.
    pub fn sample(&self, totals: Counts, at_secs: u64) {
        let mut known = self.known();
        let counts = totals.since(&known.totals);
        known.totals = totals;
        if known.samples.len() == SAMPLES_MAX {
            known.samples.pop_front();
        }
        known.samples.push_back(TrafficSample { at_secs, counts });
    }

    /// The samples, the oldest first.
    pub fn samples(&self) -> Vec<TrafficSample> {
        self.known().samples.iter().copied().collect()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

// === impl Counts ===

impl Counts {
    /// Answers from there.
    pub fn answers(&self, source: AnswerSource) -> u64 {
        self.answers.get(source as usize).copied().unwrap_or_default()
    }

    fn since(&self, before: &Counts) -> Counts {
        let mut since = *self;
        since.questions = self.questions.saturating_sub(before.questions);
        since.servfail = self.servfail.saturating_sub(before.servfail);
        for (now, before) in since.answers.iter_mut().zip(before.answers) {
            *now = now.saturating_sub(before);
        }
        since
    }
}

// === impl DnsMetrics ===

impl DnsMetrics {
    /// Questions and answers since the start, of all views. Looks at every counter of them, so it is
    /// not for the query path.
    pub fn totals(&self) -> Counts {
        let mut counts = Counts::default();
        for_each(&self.requests, |_, times| counts.questions += times);
        for_each(&self.responses, |labels, times| {
            let is = |name: &str, word: &str| {
                labels.iter().any(|label| label.name() == name && label.value() == word)
            };
            for (source, count) in AnswerSource::ALL.iter().zip(&mut counts.answers) {
                *count += if is("source", source.word()) { times } else { 0 };
            }
            counts.servfail += if is("rcode", "SERVFAIL") { times } else { 0 };
        });
        counts
    }
}

/// Every counter of a family that has counted, with its labels.
fn for_each(family: &IntCounterVec, mut told: impl FnMut(&[LabelPair], u64)) {
    for family in family.collect() {
        for metric in family.get_metric() {
            // Whole numbers told as a float, which holds them up to 2^53.
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it counts up from 0"
            )]
            let times = metric.get_counter().get_value() as u64;
            if 0 < times {
                told(metric.get_label(), times);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, SAMPLES_MAX, Traffic};
    use crate::telemetry::{AnswerSource, Metrics};

    #[test]
    fn a_sample_is_what_came_since_the_last_and_a_quarter_of_an_hour_is_kept() {
        let traffic = Traffic::default();
        let total = |questions| Counts { questions, ..Counts::default() };
        for at in 0..100_u64 {
            traffic.sample(total(at * 7), at * 10);
        }
        let samples = traffic.samples();
        assert_eq!(samples.len(), SAMPLES_MAX);
        assert_eq!(samples[0].at_secs, 100);
        assert!(samples.iter().all(|it| it.counts.questions == 7));
        // A reload that removes a view takes its counts along.
        traffic.sample(total(3), 1_000);
        assert_eq!(traffic.samples()[SAMPLES_MAX - 1].counts.questions, 0);
    }

    #[test]
    fn all_views_are_summed() {
        use crate::base::Rcode;
        let metrics = Metrics::new().unwrap();
        for view in ["a", "b"] {
            let view = metrics.dns.view(view);
            view.told(Rcode::SERVFAIL, AnswerSource::Local);
            view.told(Rcode::NOERROR, AnswerSource::Table);
        }
        let totals = metrics.dns.totals();
        assert_eq!((totals.questions, totals.servfail), (0, 2));
        assert_eq!(totals.answers(AnswerSource::Table), 2);
        assert_eq!(totals.answers(AnswerSource::Local), 2);
        assert_eq!(totals.answers(AnswerSource::Cache), 0);
    }
}
