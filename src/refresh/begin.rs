//! The first table where no last good inventory is: when it waits for nobody any more.

use std::time::Duration;

use tokio::time::Instant;

use super::{history::Cause, refresher::Refresher, step::names_of_endpoints};
use crate::inventory::Inventory;

/// A source is late when no source has told its first for so long. A look is three or four calls of
/// well below a second, and a single one that takes 10 s hangs, which it may do three times before it
/// has failed. Shorter, and names of accounts that are merely slow would be forwarded.
const LATE_AFTER: Duration = Duration::from_secs(10);

// === impl Refresher ===

impl Refresher {
    /// Puts the first table in force once every source has told something, be it an error: names of
    /// one that is late are forwarded, and resolve elsewhere. `first` is whether a source has just
    /// told its first: while they do so one after the other, nothing hangs.
    pub(super) async fn may_begin(&mut self, first: bool) {
        if self.in_force().in_force() || !self.known.has_facts() {
            return;
        }
        if self.known.all_reported() {
            self.begin().await;
        } else if first || self.late_at.is_none() {
            self.late_at = Some(Instant::now() + LATE_AFTER);
        }
    }

    /// Puts the first table in force without those that are late. One without names helps nobody,
    /// and waits on.
    pub(super) async fn begin_without_the_late(&mut self) {
        self.late_at = None;
        if self.in_force().in_force() || !self.known.has_facts() {
            return;
        }
        let compiled = self.compile(self.known.inventory(None)).await;
        if names_of_endpoints(&compiled.table) == 0 {
            return;
        }
        let missing = self.known.missing();
        tracing::warn!(
            ?missing,
            "the first table does not wait for sources that are late; their names are forwarded \
             until they tell them"
        );
        self.publish(compiled, Cause::FirstRound(missing));
        self.keep(self.known.inventory(None));
        self.tell();
    }

    async fn begin(&mut self) {
        self.late_at = None;
        let inventory = self.known.inventory(None);
        let compiled = self.compile(inventory.clone()).await;
        self.publish(compiled, Cause::FirstRound(self.known.missing()));
        self.keep(inventory);
    }

    /// Has the inventory written as the last good one, unless a source has yet to tell its first: a
    /// restart from it would begin without that source's names, and wait for none.
    pub(super) fn keep(&mut self, inventory: Inventory) {
        self.withheld = !self.known.is_whole();
        if !self.withheld {
            self.state.keep(inventory, (self.now_secs)());
        }
    }

    /// Makes up for that, once the last of them has told something, be it an error.
    pub(super) fn keep_withheld(&mut self) {
        if self.withheld {
            self.keep(self.known.inventory(None));
        }
    }
}
