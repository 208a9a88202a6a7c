//! From what we choose to say to the bytes that say it.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    base::ServiceName,
    policy::{Plan, PolicyConfig},
};

use super::{AnswerTable, TableHash, ViewTable, chooser::Chooser, clients::Clients, view::Encoded};

/// Compiles a plan with the configuration it was made with. A view of the plan that the
/// configuration does not have matches nobody.
pub fn compile(plan: Plan, config: &PolicyConfig) -> AnswerTable {
    compile_beside(plan, config, &AnswerTable::nothing())
}

/// The same table, with all that it says as the one in force does in common with that one: most
/// publishes change a few names of thousands, and the rest stays where the processor has it.
pub fn compile_beside(plan: Plan, config: &PolicyConfig, in_force: &AnswerTable) -> AnswerTable {
    let mut encoded = Encoded::beside(in_force.services());
    let mut views = plan.views.into_iter().map(|plan| {
        let before = in_force.shared_views().find(|view| *view.name() == plan.name);
        let rule = config.views.iter().find(|rule| rule.name == plan.name);
        ViewTable::new(plan, rule.cloned(), &mut encoded, before)
    });
    let last = views.next_back();
    let last = last.unwrap_or_else(|| Arc::new(ViewTable::empty(PolicyConfig::REST_VIEW.into())));
    AnswerTable::from_parts(Clients::new(config, &plan.zones), views.collect(), last)
}

// === impl AnswerTable ===

impl AnswerTable {
    fn from_parts(clients: Clients, named: Vec<Arc<ViewTable>>, rest: Arc<ViewTable>) -> Self {
        let views: Vec<&ViewTable> = named.iter().chain([&rest]).map(|view| &**view).collect();
        let entries = views.iter().flat_map(|view| view.entries());
        let services: BTreeSet<&ServiceName> = entries.map(|entry| entry.service()).collect();
        let services = services.into_iter().cloned().collect();
        let has_cnames = views.iter().any(|view| !view.cnames().is_empty());
        let hash = TableHash::of(&clients, &views);
        let chooser = Chooser::new(named.iter().map(|view| view.rule()));
        Self { hash, services, has_cnames, clients, chooser, named, rest }
    }

    /// A table that admits nobody and knows no name, for the time before the first one.
    pub(super) fn nothing() -> Self {
        let rest = ViewTable::empty(PolicyConfig::REST_VIEW.into());
        Self::from_parts(Clients::default(), Vec::new(), Arc::new(rest))
    }
}
