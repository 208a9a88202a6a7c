//! The tables that went into force, and what a look at the sources came to.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::refresh::{Publication, SourceRound};

/// The last tables that went into force: `/api/v1/changes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChangesDocument {
    /// The newest first, 50 at most.
    pub tables: Vec<PublicationDocument>,
}

/// A table that went into force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PublicationDocument {
    /// Its number since the start.
    pub generation: u64,
    /// When, in UTC.
    pub at: String,
    /// Why: `source hub`, `health`, `reload`, `zone euw1-az1 drained` and the like.
    pub cause: String,
    /// Its hash.
    pub table_hash: String,
    /// Names and types that had no records before.
    pub added: usize,
    /// Those that have none any more.
    pub removed: usize,
    /// Those with other records.
    pub changed: usize,
    /// What it answers otherwise, `VIEW: CHANGE` each; the first of them.
    pub changes: Vec<String>,
    /// Changes that are not told.
    pub more: usize,
}

/// What looks at the sources came to: `/api/v1/refresh`, on the control socket alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefreshDocument {
    /// Those asked, as they ended.
    pub sources: Vec<SourceRoundDocument>,
    /// How long they were waited for at most.
    pub waited_secs: u64,
}

/// One look at one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourceRoundDocument {
    /// The source.
    pub source: String,
    /// `published`, `unchanged` or `kept`; nothing when it has not ended.
    pub outcome: Option<String>,
    /// Why what was in force was kept.
    pub reason: Option<String>,
    /// The table that it led to.
    pub table: Option<PublicationDocument>,
}

// === impl ChangesDocument ===

impl<'p, P: IntoIterator<Item = &'p std::sync::Arc<Publication>>> From<P> for ChangesDocument {
    fn from(publications: P) -> Self {
        let document = |it: &std::sync::Arc<Publication>| PublicationDocument::from(&**it);
        Self { tables: publications.into_iter().map(document).collect() }
    }
}

// === impl PublicationDocument ===

impl From<&Publication> for PublicationDocument {
    fn from(it: &Publication) -> Self {
        // A clock beyond the year 9999 is told as 1970.
        let at = i64::try_from(it.at_secs).ok().and_then(|secs| Timestamp::from_second(secs).ok());
        Self {
            generation: it.generation,
            at: at.unwrap_or_default().to_string(),
            cause: it.cause.to_string(),
            table_hash: it.table_hash.clone(),
            added: it.added,
            removed: it.removed,
            changed: it.changed,
            changes: it.lines.clone(),
            more: it.more(),
        }
    }
}

// === impl SourceRoundDocument ===

impl SourceRoundDocument {
    /// Of a look that has not ended.
    pub fn late(source: &str) -> Self {
        Self { source: source.to_owned(), outcome: None, reason: None, table: None }
    }
}

impl From<&SourceRound> for SourceRoundDocument {
    fn from(round: &SourceRound) -> Self {
        Self {
            source: round.source.to_string(),
            outcome: Some(round.outcome.word().to_owned()),
            reason: round.reason.clone(),
            table: round.publication.as_deref().map(PublicationDocument::from),
        }
    }
}
