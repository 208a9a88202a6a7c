//! The operator's own names: which endpoints could answer them in a view.
//!
//! An alias is an explicit word, so the deny list does not hold it back: an alias to a denied
//! service is how one says "this one, knowingly".

use std::{collections::HashSet, sync::Arc};

use crate::base::{EndpointId, Pattern};

use super::{
    Alias, AliasTarget, Declined, PolicyConfig, Reason,
    conflict::Contender,
    select::{Speaker, Terms},
};

/// What the aliases come to in one view.
pub(super) struct Aliases<'s> {
    /// One for each name and endpoint that could answer it.
    pub(super) contenders: Vec<Contender<'s>>,
    /// The same pairs, for asking whether one is among them.
    pub(super) given: HashSet<(EndpointId, Pattern)>,
    /// The aliases that no endpoint can answer.
    pub(super) missing: Vec<Declined>,
}

/// Finds who could answer each alias. Where two aliases give one name to one endpoint, the first
/// of them counts.
pub(super) fn alias_contenders<'s>(
    speakers: &'s [Speaker<'s>],
    config: &PolicyConfig,
    terms: &Terms<'_>,
) -> Aliases<'s> {
    let mut aliases =
        Aliases { contenders: Vec::new(), given: HashSet::new(), missing: Vec::new() };
    for (rank, alias) in config.aliases.iter().enumerate() {
        let usable = speakers
            .iter()
            .filter(|speaker| means(alias, speaker) && speaker.refusal(terms).is_none());
        let able: Vec<_> = usable
            .filter_map(|speaker| Contender::by_alias(speaker, &alias.pattern, rank).ok())
            .collect();
        if able.is_empty() {
            aliases.missing.push(missing(alias));
        }
        for contender in able {
            if aliases.given.insert(contender.pair()) {
                aliases.contenders.push(contender);
            }
        }
    }
    aliases
}

fn missing(alias: &Alias) -> Declined {
    let target = match &alias.target {
        AliasTarget::Service(rule) => rule.as_str(),
        AliasTarget::Endpoint(id) => id.as_str(),
    };
    Declined {
        endpoint: None,
        service: None,
        source: None,
        name: Some(Arc::from(alias.pattern.to_string())),
        why: Reason::AliasTargetMissing(Arc::from(target)),
    }
}

/// Whether the alias could mean this endpoint. By service, endpoints whose owner wants VPCs left
/// alone are passed over; naming the endpoint itself overrules that.
fn means(alias: &Alias, speaker: &Speaker<'_>) -> bool {
    let endpoint = speaker.endpoint;
    match &alias.target {
        AliasTarget::Service(rule) => rule.means(&endpoint.service) && !endpoint.onprem_only,
        AliasTarget::Endpoint(id) => *id == endpoint.id,
    }
}
