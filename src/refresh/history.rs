//! The last tables that went into force: when, why, and what each answers otherwise.
//!
//! For people who look at what happened; nothing is decided by it.

use std::{collections::VecDeque, fmt, sync::Arc};

use tokio::sync::watch;

use crate::{
    base::SourceName,
    table::{Change, ChangeKind},
};

/// Publications that are kept.
const PUBLICATIONS_MAX: usize = 50;
/// Changes of one publication that are kept as text; of the rest the number is. A line is a name
/// and a few addresses, some 100 octets: 50 publications of 200 lines are 1 MB, and 10 MB with the
/// longest names that there are.
const LINES_MAX: usize = 200;

/// Why a table went into force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The start: from the last good inventory on disk.
    LastGood,
    /// The start, without what these sources have: they failed, or have told nothing yet.
    FirstRound(Vec<SourceName>),
    /// A source told something new.
    Source(SourceName),
    /// The same, held back by the guard, which a person overruled.
    Accepted(SourceName),
    /// Addresses went down or came up.
    Health,
    /// The configuration was reloaded.
    Reload,
    /// A zone was taken out of the answers by hand.
    ZoneDrained(Arc<str>),
    /// It was put back.
    ZoneUndrained(Arc<str>),
}

/// A table that went into force, and what it answers otherwise than the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Its number.
    pub generation: u64,
    /// When, in seconds since 1970.
    pub at_secs: u64,
    /// The hash of the table.
    pub table_hash: String,
    /// Why.
    pub cause: Cause,
    /// Names and types that had no records before.
    pub added: usize,
    /// Those that have none any more.
    pub removed: usize,
    /// Those with other records.
    pub changed: usize,
    /// `VIEW: CHANGE`, a line each; the first of them.
    pub lines: Vec<String>,
}

/// The last publications, the newest first.
pub type Publications = Arc<VecDeque<Arc<Publication>>>;

/// Keeps the last publications.
#[derive(Default)]
pub(super) struct History(watch::Sender<Publications>);

// === impl Cause ===

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::LastGood => f.write_str("start from the last good inventory"),
            Cause::FirstRound(missing) => {
                f.write_str("start")?;
                let Some((first, others)) = missing.split_first() else { return Ok(()) };
                write!(f, ", without source {first}")?;
                match others.len() {
                    0 => Ok(()),
                    more => write!(f, " and {more} more"),
                }
            }
            Cause::Source(source) => write!(f, "source {source}"),
            Cause::Accepted(source) => write!(f, "source {source}, accepted by hand"),
            Cause::Health => f.write_str("health"),
            Cause::Reload => f.write_str("reload"),
            Cause::ZoneDrained(zone) => write!(f, "zone {zone} drained"),
            Cause::ZoneUndrained(zone) => write!(f, "zone {zone} undrained"),
        }
    }
}

// === impl Publication ===

impl Publication {
    /// What is kept of a table whose changes these are.
    pub(super) fn new(
        generation: u64,
        at_secs: u64,
        table_hash: String,
        cause: Cause,
        changes: &[Change],
    ) -> Self {
        let count = |is: fn(&ChangeKind) -> bool| changes.iter().filter(|it| is(&it.kind)).count();
        let line = |change: &Change| format!("{}: {change}", change.view);
        Self {
            generation,
            at_secs,
            table_hash,
            cause,
            added: count(|kind| matches!(kind, ChangeKind::Added(_))),
            removed: count(|kind| matches!(kind, ChangeKind::Removed(_))),
            changed: count(|kind| matches!(kind, ChangeKind::Changed { .. })),
            lines: changes.iter().take(LINES_MAX).map(line).collect(),
        }
    }

    /// Changes that `lines` has no room for.
    pub fn more(&self) -> usize {
        (self.added + self.removed + self.changed).saturating_sub(self.lines.len())
    }
}

// === impl History ===

impl History {
    /// Adds the newest, and forgets the oldest where there are too many.
    pub(super) fn add(&self, publication: Arc<Publication>) {
        self.0.send_modify(|known| {
            let known = Arc::make_mut(known);
            known.truncate(PUBLICATIONS_MAX - 1);
            known.push_front(publication);
        });
    }

    /// The newest.
    pub(super) fn last(&self) -> Option<Arc<Publication>> {
        self.0.borrow().front().cloned()
    }

    /// For whoever looks.
    pub(super) fn subscribe(&self) -> watch::Receiver<Publications> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use std::{fmt::Write as _, sync::Arc};

    use super::{Cause, History, LINES_MAX, PUBLICATIONS_MAX, Publication};
    use crate::{
        policy::{self, facts},
        table::{compile, diff},
    };

    #[test]
    fn the_last_are_kept_with_their_first_lines_and_all_are_counted() {
        let table = |names: usize, last: u8| {
            let mut lines = String::new();
            for at in 0..names {
                let _ = writeln!(lines, "vpce-{at} s.{at} a=10.0.0.{last} names=n{at}.example");
            }
            let config = facts::config();
            compile(policy::plan(&facts::inventory(&lines), &config), &config)
        };
        let changes = diff(&table(LINES_MAX + 5, 1), &table(LINES_MAX + 3, 2));
        let history = History::default();
        for generation in 0..60 {
            let hash = String::new();
            let publication = Publication::new(generation, 7, hash, Cause::Health, &changes);
            history.add(Arc::new(publication));
        }
        let kept = history.subscribe().borrow().clone();
        assert_eq!(kept.len(), PUBLICATIONS_MAX);
        let generations: Vec<u64> = kept.iter().map(|it| it.generation).collect();
        assert_eq!((generations[0], generations[PUBLICATIONS_MAX - 1]), (59, 10));
        let last = history.last().unwrap();
        assert_eq!((last.added, last.removed, last.changed), (0, 2, LINES_MAX + 3));
        assert_eq!((last.lines.len(), last.more()), (LINES_MAX, 5));
        assert_eq!(last.lines[0], "default: ~ n0.example A 10.0.0.1 -> 10.0.0.2");
    }
}
