//! What another table would mean for clients, told before it is in force.
//!
//! Pure: compares two tables, and never asks whence they come. A client notices two things: other
//! answers in its view, and that it is in another view, so both are told.

mod audience;
mod document;
mod text;
mod told;
#[cfg(test)]
mod tests;

pub use audience::{Audience, Move};
pub use told::{ToldError, endpoints_of, left_out, table_told};

use std::collections::BTreeSet;

use crate::{
    base::{EndpointId, ViewName},
    table::{AnswerTable, Change, ChangeKind, Said, diff_views},
};

/// What is different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// Views that both have and that answer differently, in the new one's order.
    pub views: Vec<(ViewName, Vec<Change>)>,
    /// Clients that come to another view.
    pub moves: Vec<Move>,
}

/// How many answers a client may get otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Names and types that had no records before.
    pub added: usize,
    /// Those that have none any more.
    pub removed: usize,
    /// Those with other records, or for another time, or from another endpoint.
    pub changed: usize,
}

/// Compares what two tables say to everybody who may ask.
pub fn preview(old: &AnswerTable, new: &AnswerTable) -> Preview {
    let views = new.views().filter_map(|view| {
        let changes = diff_views(old.view(view.name().as_str())?, view);
        (!changes.is_empty()).then(|| (view.name().clone(), changes))
    });
    Preview { views: views.collect(), moves: audience::moves(old, new) }
}

// === impl Preview ===

impl Preview {
    /// Whether nobody notices anything.
    pub fn is_empty(&self) -> bool {
        self.views.is_empty() && self.moves.is_empty()
    }

    /// The same without what nobody knows: what becomes of the answers by some endpoints, and what there
    /// was before those by others.
    pub fn without(
        mut self,
        unknown_after: &BTreeSet<EndpointId>,
        unknown_before: &BTreeSet<EndpointId>,
    ) -> Self {
        let is_of = |said: &Said, endpoints: &BTreeSet<EndpointId>| {
            said.endpoint().is_some_and(|it| endpoints.contains(it))
        };
        let is_known = |change: &Change| match &change.kind {
            ChangeKind::Removed(from) => !is_of(from, unknown_after),
            ChangeKind::Added(to) => !is_of(to, unknown_before),
            ChangeKind::Changed { from, to } => {
                !is_of(from, unknown_after) && !is_of(to, unknown_before)
            }
        };
        self.views.iter_mut().for_each(|(_, changes)| changes.retain(is_known));
        self.views.retain(|(_, changes)| !changes.is_empty());
        self.moves.iter_mut().for_each(|it| it.changes.retain(is_known));
        self
    }

    /// The changed answers of views that stay. What clients find in another view is not among them.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for change in self.views.iter().flat_map(|(_, changes)| changes) {
            match change.kind {
                ChangeKind::Added(_) => counts.added += 1,
                ChangeKind::Removed(_) => counts.removed += 1,
                ChangeKind::Changed { .. } => counts.changed += 1,
            }
        }
        counts
    }
}
