//! What `hubdns top` prints for programs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a daemon is asked, a second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TopDocument {
    /// The time that it is of.
    pub seconds: f64,
    /// All answers.
    pub answers_per_second: f64,
    /// Answers by `source`, `rcode`, `aws_service` and `view`, and questions by `proto` and `type`: the
    /// busiest first, and who has none left out.
    pub by: BTreeMap<String, Vec<RateDocument>>,
}

/// A row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateDocument {
    /// Of what.
    pub of: String,
    /// How often.
    pub per_second: f64,
}
