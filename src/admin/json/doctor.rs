//! What `hubdns doctor` prints for programs.

use serde::{Deserialize, Serialize};

/// What `hubdns doctor` found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoctorDocument {
    /// In the order in which they were looked at.
    pub checks: Vec<CheckDocument>,
}

/// One line of a check-list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckDocument {
    /// What was looked at: `configuration`, `daemon`, `loop`, `link-local`, `port`, `certificate`,
    /// `receive buffer`, `descriptors`, `tracking`, `clock`, `disk`, `source`, `aws hosts`, `upstream`,
    /// `credentials`, `permission`, `region`, `rule`, `endpoint`, `alias`, `view`, `s3` or `peer`.
    pub about: String,
    /// How it is.
    pub result: CheckResult,
    /// What was found.
    pub what: String,
    /// What to do about it, or to have it looked at; nothing where it passed.
    pub next: Option<String>,
}

/// How something is that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckResult {
    /// As it should be.
    Passed,
    /// Worth a look.
    Warned,
    /// Wrong.
    Failed,
    /// Not looked at, for the reason told.
    Skipped,
}
