//! What was asked of late.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::telemetry::{AnswerSource, TRAFFIC_EVERY, TrafficSample};

/// Questions and answers of the last quarter of an hour: `/api/v1/traffic`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrafficDocument {
    /// How long a sample lasts.
    pub sample_secs: u64,
    /// The oldest first. None before the first has ended.
    pub samples: Vec<TrafficSampleDocument>,
}

/// What came between two looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrafficSampleDocument {
    /// When it ended, in UTC.
    pub at: String,
    /// Questions received.
    pub questions: u64,
    /// Answers of our own names.
    pub table: u64,
    /// Answers from the cache.
    pub cache: u64,
    /// Older answers, since no upstream gave one.
    pub stale: u64,
    /// Answers of upstreams.
    pub upstream: u64,
    /// Refusals and errors of our own.
    pub local: u64,
    /// Of all these, how many said SERVFAIL.
    pub servfail: u64,
}

// === impl TrafficDocument ===

impl TrafficDocument {
    /// Of these samples.
    pub fn new(samples: &[TrafficSample]) -> Self {
        Self {
            sample_secs: TRAFFIC_EVERY.as_secs(),
            samples: samples.iter().map(TrafficSampleDocument::from).collect(),
        }
    }
}

// === impl TrafficSampleDocument ===

impl From<&TrafficSample> for TrafficSampleDocument {
    fn from(sample: &TrafficSample) -> Self {
        let at = i64::try_from(sample.at_secs).ok().and_then(|it| Timestamp::from_second(it).ok());
        let from = |source: AnswerSource| sample.counts.answers(source);
        Self {
            at: at.unwrap_or_default().to_string(),
            questions: sample.counts.questions,
            table: from(AnswerSource::Table),
            cache: from(AnswerSource::Cache),
            stale: from(AnswerSource::Stale),
            upstream: from(AnswerSource::Upstream),
            local: from(AnswerSource::Local),
            servfail: sample.counts.servfail,
        }
    }
}
