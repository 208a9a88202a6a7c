//! From an inventory to a table, off the threads that answer queries.

use std::{collections::BTreeSet, net::IpAddr, panic::resume_unwind, sync::Arc};

use super::{
    drains::DrainedZones,
    history::{Cause, Publication},
    step::{Guard, Outcome, step},
};
use crate::{
    health::Unhealthy,
    inventory::{Inventory, SourceFacts},
    policy::{self, Outage, PolicyConfig},
    table::{AnswerTable, Change, Published, Publisher, compile_beside, diff},
    telemetry::ControlMetrics,
};

/// Changed names in the log of one publish; the rest is a number.
const CHANGES_LOGGED_MAX: usize = 20;

/// What an inventory leads to, beside what is in force.
pub(super) struct Compiled {
    pub(super) table: AnswerTable,
    /// What to probe: also those that are left out of the table for being down.
    pub(super) addresses: Arc<BTreeSet<IpAddr>>,
    pub(super) outage: Outage,
    /// What it answers otherwise.
    pub(super) changes: Vec<Change>,
}

/// Does what takes the processor for long where waiting harms nobody.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // A mistake of ours: the loop ends by it, and the daemon with the loop.
        Err(error) => resume_unwind(error.into_panic()),
    }
}

// === impl Compiled ===

impl Compiled {
    /// Plans and compiles. With many names that takes a while, so it is done where waiting harms
    /// nobody.
    pub(super) async fn new(
        inventory: Inventory,
        policy: Arc<PolicyConfig>,
        unhealthy: Unhealthy,
        drained: DrainedZones,
        in_force: Arc<Published>,
    ) -> Compiled {
        aside(move || {
            let mut plan = policy::plan(&inventory, &policy);
            let claims = plan.views.iter().flat_map(|view| &view.claims);
            let claims = claims.filter(|claim| claim.can_be_probed());
            let addresses: BTreeSet<IpAddr> =
                claims.flat_map(|claim| claim.addresses.iter()).map(|it| it.ip).collect();
            let addresses = Arc::new(addresses);
            let unheard = policy::unheard(&mut plan, &|ip| unhealthy.is_unheard(ip));
            let down = |ip: &IpAddr| unhealthy.contains(ip) && !unheard.contains(ip);
            let plan = policy::without(plan, &down, &|az| drained.has(az));
            let outage = Outage::of(&plan);
            let table = compile_beside(plan, &policy, in_force.table());
            let changes = diff(in_force.table(), &table);
            Compiled { table, addresses, outage, changes }
        })
        .await
    }

    /// What becomes of it beside the table in force, by a source's `facts`, its guard and the share of
    /// names that may go; and the guard for its next round.
    pub(super) async fn weighed(
        self,
        in_force: Arc<Published>,
        facts: Arc<SourceFacts>,
        guard: Guard,
        percent: u8,
    ) -> (Compiled, Outcome, Guard) {
        aside(move || {
            let (outcome, guard) = step(in_force.table(), &self.table, &facts, &guard, percent);
            (self, outcome, guard)
        })
        .await
    }

    /// Puts the table in force, sets its gauges, and says what changes; of the first table only how
    /// much it has. Tells what it did, and the table that it replaces.
    pub(super) fn publish(
        self,
        publisher: &mut Publisher,
        control: &ControlMetrics,
        cause: Cause,
        now_secs: u64,
    ) -> (Publication, Arc<Published>) {
        let replaced = publisher.publish(self.table);
        let now = publisher.reader().hold();
        let (table, generation) = (now.table(), now.generation().as_u64());
        control.table_starts(generation, &table.hash().to_string());
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        control.unhealthy_addresses.set(number(self.outage.unhealthy_addresses));
        control.endpoints_failing_open.set(number(self.outage.endpoints_failing_open));
        control.endpoints_unheard.set(number(self.outage.endpoints_unheard));
        control.drained_addresses.set(number(self.outage.drained_addresses));
        control.endpoints_overruling_drain.set(number(self.outage.endpoints_overruling_drain));
        for view in table.views() {
            control.table_view(view.name().as_str(), view.len(), view.declined().by_reason());
        }
        if replaced.in_force() {
            for change in self.changes.iter().take(CHANGES_LOGGED_MAX) {
                tracing::info!(view = %change.view, %change, "answer changes");
            }
        }
        tracing::info!(
            generation, %cause,
            hash = %table.hash(), names = table.len(), changes = self.changes.len(),
            "a table is in force"
        );
        let hash = table.hash().to_string();
        let publication = Publication::new(generation, now_secs, hash, cause, &self.changes);
        if replaced.in_force() {
            let Publication { added, removed, changed, .. } = &publication;
            control.answers_changed(*added, *removed, *changed);
        }
        (publication, replaced)
    }
}
