//! From what we choose to say to the bytes that say it.

use crate::policy::{Plan, PolicyConfig};

use super::{AnswerTable, TableHash, ViewTable, clients::Clients, view::Encoded};

/// Compiles a plan with the configuration it was made with. A view of the plan that the
/// configuration does not have matches nobody.
pub fn compile(plan: &Plan, config: &PolicyConfig) -> AnswerTable {
    let mut encoded = Encoded::default();
    let (last, named) = match plan.views.split_last() {
        Some((last, named)) => (ViewTable::new(last, None, &mut encoded), named),
        None => (ViewTable::empty(PolicyConfig::REST_VIEW.into()), &[][..]),
    };
    let named = named.iter().map(|view| {
        let rule = config.views.iter().find(|rule| rule.name == view.name);
        ViewTable::new(view, rule.cloned(), &mut encoded)
    });
    AnswerTable::from_parts(Clients::new(config, &plan.zones), named.collect(), last)
}

// === impl AnswerTable ===

impl AnswerTable {
    fn from_parts(clients: Clients, named: Vec<ViewTable>, rest: ViewTable) -> Self {
        let views: Vec<&ViewTable> = named.iter().chain([&rest]).collect();
        Self { hash: TableHash::of(&clients, &views), clients, named, rest }
    }

    /// A table that admits nobody and knows no name, for the time before the first one.
    pub(super) fn nothing() -> Self {
        let rest = ViewTable::empty(PolicyConfig::REST_VIEW.into());
        Self::from_parts(Clients::default(), Vec::new(), rest)
    }
}
