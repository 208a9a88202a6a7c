//! `[clients]`, `[answers]`, `[[view]]` and `[zones]`: who is told what.

use std::{collections::HashMap, ops::Range};

use ipnet::IpNet;

use super::{
    aliases,
    file::{Answers, File},
    limits::{NEGATIVE_TTL_SECS, TTL_SECS},
    located::{Located, Text},
    near::doubt_service,
    problem::Findings,
    view_says, views,
    words::{self, Wrong, read, read_all, wrong},
};
use crate::{
    base::{NameError, Ttl},
    policy::{PolicyConfig, ServiceRule},
};

/// Everything that decides who is told what.
pub(super) fn policy(found: &mut Findings, file: &File) -> PolicyConfig {
    let Located { value: texts, span } = &file.clients.allow;
    let allow = read_all(found, "clients.allow", texts, words::network);
    let allow: Vec<IpNet> = allow.into_iter().map(|(_, network)| network).collect();
    if texts.is_empty() && !found.doubts("clients.allow") {
        found
            .problem("clients.allow", span, "`clients.allow` is empty")
            .label("nobody would be answered")
            .help("name networks, or leave the key out for private ones");
    }
    let Answers { ttl_secs, negative_ttl_secs, deny, alias_sets, alias, .. } = &file.answers;
    let ttl = TTL_SECS.check(found, "answers.ttl_secs", ttl_secs);
    let negative = NEGATIVE_TTL_SECS.check(found, "answers.negative_ttl_secs", negative_ttl_secs);
    let deny = services(found, "answers.deny", &deny.value);
    view_says::needs_overrides(found, &file.answers);
    let config = PolicyConfig {
        ttl: Ttl::from_secs(ttl).unwrap_or(Ttl::MAX),
        negative_ttl: Ttl::from_secs(negative).unwrap_or(Ttl::MAX),
        allow_rules: aliases::allow_rules(found, "answers.allow", &file.answers.allow),
        overrides: file.answers.overrides.value,
        aliases: aliases::aliases(found, "answers.alias", alias),
        alias_sets: aliases::alias_sets(found, alias_sets),
        views: views::views(found, file, &allow, &deny),
        deny,
        discover_zones: discovers_zones(found, file),
        zones: zones(found, file),
        allow,
    };
    aliases::endless_in_views(found, file, &config);
    config
}

/// A list of services.
pub(super) fn services(found: &mut Findings, key: &str, texts: &[Text]) -> Vec<ServiceRule> {
    texts.iter().filter_map(|text| service(found, key, text)).collect()
}

/// One service; a warning if it is hardly meant.
pub(super) fn service(found: &mut Findings, key: &str, text: &Text) -> Option<ServiceRule> {
    let rule = read(found, key, text, words::service)?;
    doubt_service(found, key, text, &text.value);
    Some(rule)
}

/// What is wrong with a text that should be a name.
pub(super) fn not_a_name(error: NameError) -> Wrong {
    wrong(error.to_string(), "allowed: a DNS name, as \"corp.example\"")
}

/// The key of `[zones]` that is no network, and the value it may have.
pub(super) const DISCOVER: (&str, &str) = ("discover", "subnets");

/// Whether the sources' subnets tell zones too.
fn discovers_zones(found: &mut Findings, file: &File) -> bool {
    let (key, value) = DISCOVER;
    let written = file.zones.iter().find(|(name, _)| name.value == key);
    written.is_some_and(|(_, text)| {
        let allowed = format!("allowed: \"{value}\"; without the key only what stands here counts");
        let parsed = read(found, "zones.discover", text, |text| match text == value {
            true => Ok(()),
            false => Err(wrong("not a way to discover zones", allowed.clone())),
        });
        parsed.is_some()
    })
}

fn zones(found: &mut Findings, file: &File) -> Vec<(IpNet, std::sync::Arc<str>)> {
    let mut seen: HashMap<IpNet, Range<usize>> = HashMap::new();
    file.zones
        .iter()
        .filter(|(network, _)| network.value != DISCOVER.0)
        .filter_map(|(network, zone)| {
            let net = read(found, "zones", network, words::network);
            let zone = read(found, "zones", zone, |text| words::zone(text).map(Into::into));
            if let Some(first) = net.and_then(|net| seen.insert(net, network.span.clone())) {
                found
                    .problem("zones", &network.span, format!("two zones for {:?}", network.value))
                    .label("the same network")
                    .also(&first, "as this one")
                    .help("remove one of them");
            }
            Some((net?, zone?))
        })
        .collect()
}
