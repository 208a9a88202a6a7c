//! What one view asks of endpoints and says of their names: its own word, else what it inherits.

use std::{collections::HashSet, sync::Arc};

use super::{
    Alias, AllowRule, AllowedResource, PolicyConfig, Reason, ServiceRule, ViewConfig, ViewKind,
    config::short_name, select::Speaker,
};
use crate::{
    base::{Pattern, Ttl},
    inventory::Endpoint,
};

/// Services whose names AWS asks to leave alone: the gateway endpoint of a VPC answers for them free
/// of charge, and its clients reach it by the public addresses of these very names.
const LEFT_ALONE: [&str; 4] =
    ["dynamodb", "dynamodb-fips", "dynamodb-streams", "dynamodb-streams-fips"];

/// What one view asks of endpoints, and the times of its answers.
pub(super) struct Terms<'c> {
    config: &'c PolicyConfig,
    /// None for everybody else's view, which says nothing of its own.
    view: Option<&'c ViewConfig>,
}

// === impl Terms ===

impl<'c> Terms<'c> {
    pub(super) fn of_view(config: &'c PolicyConfig, view: &'c ViewConfig) -> Self {
        Self { config, view: Some(view) }
    }

    pub(super) fn of_rest(config: &'c PolicyConfig) -> Self {
        Self { config, view: None }
    }

    /// Why the view does not take an endpoint. All that it selects by has to be right.
    pub(super) fn passes_over(&self, endpoint: &Endpoint) -> Option<Reason> {
        let ViewConfig { tags, vpc_ids, accounts, endpoints, .. } = self.view?;
        let has_tag = |(key, value): (&String, &String)| endpoint.tags.get(key) == Some(value);
        let is_owner = |owner| accounts.contains(owner);
        if !endpoints.is_empty() && !endpoints.contains(&endpoint.id) {
            Some(Reason::ViewEndpoint)
        } else if !vpc_ids.is_empty() && !vpc_ids.contains(&endpoint.vpc) {
            Some(Reason::ViewVpc)
        } else if !accounts.is_empty() && !endpoint.owner.as_ref().is_some_and(is_owner) {
            Some(Reason::ViewAccount)
        } else {
            (!tags.iter().all(has_tag)).then_some(Reason::ViewTags)
        }
    }

    /// Why the names of a service are left to the upstream. What a view denies it denies, whatever
    /// it allows; what it allows counts against `answers.deny` alone.
    pub(super) fn denies(&self, speaker: &Speaker<'_>) -> Option<Reason> {
        let means = |rule: &&ServiceRule| speaker.is_of(rule);
        let is_allowed = || self.allow().any(|rule| rule.means(speaker));
        let everybodys = || self.config.deny.iter().find(means).filter(|_| !is_allowed());
        let denied = |rule: &ServiceRule| Reason::Denied(Arc::from(rule.as_str()));
        self.denies_itself(speaker).or_else(|| everybodys().map(denied)).or_else(|| {
            let left_alone = LEFT_ALONE.contains(&speaker.short.as_str());
            (left_alone && !self.overrides()).then_some(Reason::NeedsOverride)
        })
    }

    /// The same by the view's own `deny`, which nothing overrules that is said for every view.
    pub(super) fn denies_itself(&self, speaker: &Speaker<'_>) -> Option<Reason> {
        let rule = self.view?.deny.iter().find(|rule| speaker.is_of(rule))?;
        Some(Reason::DeniedByView(Arc::from(rule.as_str())))
    }

    /// What counts against `answers.deny`: the view's own word and everybody's.
    fn allow(&self) -> impl Iterator<Item = &'c AllowRule> {
        let own: &[AllowRule] = self.view.map_or(&[], |view| &view.allow);
        own.iter().chain(&self.config.allow_rules)
    }

    /// The single resources that are allowed.
    pub(super) fn resources(&self) -> impl Iterator<Item = &'c AllowedResource> {
        self.allow().filter_map(|rule| match rule {
            AllowRule::Service(_) => None,
            AllowRule::Resource(resource) => Some(resource),
        })
    }

    fn overrides(&self) -> bool {
        self.view.and_then(|view| view.overrides).unwrap_or(self.config.overrides)
    }

    /// Whether its clients are on premises.
    pub(super) fn is_onprem(&self) -> bool {
        self.view.is_some_and(|view| view.kind == ViewKind::Onprem)
    }

    /// How long an answer may be kept.
    pub(super) fn ttl(&self) -> Ttl {
        self.view.and_then(|view| view.ttl).unwrap_or(self.config.ttl)
    }

    /// How long an absence may be kept.
    pub(super) fn negative_ttl(&self) -> Ttl {
        self.view.and_then(|view| view.negative_ttl).unwrap_or(self.config.negative_ttl)
    }

    /// The view's aliases, then those of everybody that it has no other of the same name for.
    pub(super) fn aliases(&self) -> impl Iterator<Item = &'c Alias> {
        let own: &[Alias] = self.view.map_or(&[], |view| &view.aliases);
        let known: HashSet<&Pattern> = own.iter().map(|alias| &alias.pattern).collect();
        let inherited = self.config.aliases.iter();
        own.iter().chain(inherited.filter(move |alias| !known.contains(&alias.pattern)))
    }
}

/// Whether a rule means a service whose names AWS asks to leave alone.
pub fn is_left_alone(rule: &ServiceRule) -> bool {
    LEFT_ALONE.contains(&short_name(rule.as_str()))
}
