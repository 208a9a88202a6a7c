//! The table in force: one writer, many readers.
//!
//! A query loads it once and so sees one generation throughout. Loading never waits for a writer.

use std::{fmt, sync::Arc};

use arc_swap::{ArcSwap, Guard};

use super::AnswerTable;

/// How many tables have been published since the start; 0 is none yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(u64);

/// A table and its generation.
#[derive(Debug)]
pub struct Published {
    table: AnswerTable,
    generation: Generation,
}

/// Reads the table in force. Cheap to clone; one per listener.
#[derive(Clone, Debug)]
pub struct Reader(Arc<ArcSwap<Published>>);

/// Replaces the table in force. There is one, and `refresh` owns it: it cannot be cloned.
#[derive(Debug)]
pub struct Publisher {
    slot: Arc<ArcSwap<Published>>,
    last: Generation,
}

/// The two ends of a place for a table. Until the first is published, readers find one that is
/// not in force.
pub fn channel() -> (Publisher, Reader) {
    let before = Published { table: AnswerTable::nothing(), generation: Generation::NONE };
    let slot = Arc::new(ArcSwap::from_pointee(before));
    let publisher = Publisher { slot: slot.clone(), last: Generation::NONE };
    (publisher, Reader(slot))
}

// === impl Generation ===

impl Generation {
    /// Before the first table.
    pub const NONE: Generation = Generation(0);

    /// The number, for a gauge.
    pub fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// === impl Published ===

impl Published {
    /// The table. Before one is in force it admits nobody and knows no name.
    pub fn table(&self) -> &AnswerTable {
        &self.table
    }

    /// Its generation.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Whether a table has been published at all. While not, nothing is known of any name, and
    /// nothing that might be ours may be forwarded.
    pub fn in_force(&self) -> bool {
        self.generation != Generation::NONE
    }
}

// === impl Reader ===

impl Reader {
    /// The table in force, for the time of one query. Not to be held across a wait: a held guard
    /// makes others slower; [`hold`](Self::hold) is for that.
    pub fn load(&self) -> Guard<Arc<Published>> {
        self.0.load()
    }

    /// The table in force, to keep.
    pub fn hold(&self) -> Arc<Published> {
        self.0.load_full()
    }
}

// === impl Publisher ===

impl Publisher {
    /// Puts a table in force for every query that begins after this, and gives back the one that
    /// was: queries that have begun may have it still, and whoever drops it last frees it.
    pub fn publish(&mut self, table: AnswerTable) -> Arc<Published> {
        // 2^64 rounds do not come to pass.
        self.last = Generation(self.last.0 + 1);
        self.slot.swap(Arc::new(Published { table, generation: self.last }))
    }

    /// A reader of what this publishes.
    pub fn reader(&self) -> Reader {
        Reader(self.slot.clone())
    }
}
