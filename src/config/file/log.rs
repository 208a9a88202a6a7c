//! `[log]` and `[dnstap]` as they are written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::located::{Located, Text};

/// What is logged, and how.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Log {
    /// "json" is one object a line, "text" is for people.
    pub(in crate::config) format: Located<Format>,
    /// Which queries are logged, a line of JSON each: "off", "all", or one in N as "1/100".
    pub(in crate::config) queries: Text,
    /// The file that these lines are appended to, an absolute path; "" is standard output. A reload
    /// opens it anew.
    pub(in crate::config) queries_file: Text,
    pub(in crate::config) only: Only,
}

/// Which of the queries that `log.queries` draws are logged. An empty list leaves nothing out.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Only {
    /// Those of clients in these views.
    pub(in crate::config) views: Vec<Text>,
    /// Those that were decided so: "answer", "nodata", "cname", "forward", "server", "refuse",
    /// "reject", "limit".
    pub(in crate::config) decisions: Vec<Text>,
    /// Those that were told one of these codes, as "SERVFAIL".
    pub(in crate::config) rcodes: Vec<Text>,
    /// Those for these names, and all below them.
    pub(in crate::config) names: Vec<Text>,
}

/// The shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Format {
    Json,
    Text,
}

/// Queries and answers as they were on the wire, for a receiver of dnstap.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Dnstap {
    /// The receiver's unix socket, an absolute path; "" is none.
    pub(in crate::config) socket: Text,
    /// Which queries are sent: "off", "all", or one in N as "1/100".
    pub(in crate::config) queries: Text,
}

/// Spans of queries, rounds of discovery and reloads, for a collector of OpenTelemetry's protocol.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Otlp {
    /// The collector, as "http://127.0.0.1:4318", by its address; "" is none. Takes a hubdns that was
    /// built with `--features otlp`.
    pub(in crate::config) endpoint: Text,
    /// Which queries are told: "off", "all", or one in N as "1/100".
    pub(in crate::config) queries: Text,
}
