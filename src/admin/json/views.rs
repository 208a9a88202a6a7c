//! Who is in which view, and what a view takes away.

use std::{collections::BTreeMap, net::SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    policy::{ViewConfig, ViewKind},
    table::{AnswerTable, ViewTable},
};

/// Every view of the table in force: `/api/v1/views`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ViewsDocument {
    /// In the order in which they match a client; the last is everybody else's.
    pub views: Vec<ViewRuleDocument>,
}

/// One view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ViewRuleDocument {
    /// Its name.
    pub name: String,
    /// Whether it takes everybody whom no other view has taken.
    pub rest: bool,
    /// Networks of its clients; none means any.
    pub clients: Vec<String>,
    /// Addresses of ours that they ask; none means any.
    pub listeners: Vec<SocketAddr>,
    /// Only endpoints with all of these tags.
    pub tags: BTreeMap<String, String>,
    /// Only endpoints in one of these VPCs, of one of these accounts, or with one of these ids; none
    /// means any.
    pub only: Vec<String>,
    /// Whether its clients are on premises.
    pub onprem: bool,
    /// Services, or names, that it does not leave to the upstream though every other view does.
    pub allow: Vec<String>,
    /// Services that it leaves to the upstream, besides those that every view does.
    pub deny: Vec<String>,
    /// Names answered.
    pub names: usize,
    /// Names and endpoints not answered, by reason.
    pub declined: BTreeMap<String, usize>,
}

// === impl ViewsDocument ===

impl From<&AnswerTable> for ViewsDocument {
    fn from(table: &AnswerTable) -> Self {
        Self { views: table.views().map(ViewRuleDocument::from).collect() }
    }
}

// === impl ViewRuleDocument ===

impl From<&ViewTable> for ViewRuleDocument {
    fn from(view: &ViewTable) -> Self {
        let rule = view.rule();
        let declined = view.declined().by_reason().iter();
        let texts = |of: fn(&ViewConfig) -> Vec<String>| rule.map(of).unwrap_or_default();
        Self {
            name: view.name().to_string(),
            rest: rule.is_none(),
            clients: texts(|it| it.clients.iter().map(ToString::to_string).collect()),
            listeners: rule.map(|it| it.listeners.clone()).unwrap_or_default(),
            tags: rule.map(|it| it.tags.clone()).unwrap_or_default(),
            only: texts(only),
            onprem: rule.is_some_and(|it| it.kind == ViewKind::Onprem),
            allow: texts(|it| it.allow.iter().map(ToString::to_string).collect()),
            deny: texts(|it| it.deny.iter().map(ToString::to_string).collect()),
            names: view.len(),
            declined: declined.map(|(why, count)| ((*why).to_owned(), *count)).collect(),
        }
    }
}

/// What endpoints have to be, besides their tags.
fn only(rule: &ViewConfig) -> Vec<String> {
    let vpcs = rule.vpc_ids.iter().map(ToString::to_string);
    let accounts = rule.accounts.iter().map(ToString::to_string);
    let endpoints = rule.endpoints.iter().map(ToString::to_string);
    vpcs.chain(accounts).chain(endpoints).collect()
}
