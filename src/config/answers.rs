//! `[clients]`, `[answers]`, `[[view]]` and `[zones]`: who is told what.

use std::{collections::HashMap, ops::Range};

use ipnet::IpNet;

use super::{
    file::{Alias, Answers, File},
    limits::{NEGATIVE_TTL_SECS, TTL_SECS},
    located::{Located, Text},
    problem::Findings,
    views,
    words::{self, Wrong, read, read_all, wrong},
};
use crate::{
    base::{NameError, Pattern, Ttl},
    policy::{self, AliasTarget, PolicyConfig, ServiceRule},
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
    let Answers { ttl_secs, negative_ttl_secs, deny, alias } = &file.answers;
    let ttl = TTL_SECS.check(found, "answers.ttl_secs", ttl_secs);
    let negative = NEGATIVE_TTL_SECS.check(found, "answers.negative_ttl_secs", negative_ttl_secs);
    PolicyConfig {
        ttl: Ttl::from_secs(ttl).unwrap_or(Ttl::MAX),
        negative_ttl: Ttl::from_secs(negative).unwrap_or(Ttl::MAX),
        deny: services(found, "answers.deny", &deny.value),
        aliases: aliases(found, alias),
        views: views::views(found, file, &allow),
        discover_zones: discovers_zones(found, file),
        zones: zones(found, file),
        allow,
    }
}

/// A list of services.
pub(super) fn services(found: &mut Findings, key: &str, texts: &[Text]) -> Vec<ServiceRule> {
    let rules = read_all(found, key, texts, words::service);
    rules.into_iter().map(|(_, rule)| rule).collect()
}

/// What is wrong with a text that should be a name.
pub(super) fn not_a_name(error: NameError) -> Wrong {
    wrong(error.to_string(), "allowed: a DNS name, as \"corp.example\"")
}

fn aliases(found: &mut Findings, written: &[Located<Alias>]) -> Vec<policy::Alias> {
    let mut seen: HashMap<Pattern, Range<usize>> = HashMap::new();
    written
        .iter()
        .filter_map(|alias| {
            let target = target(found, alias);
            let text = alias.value.name.as_ref()?;
            let pattern = read(found, "answers.alias.name", text, |text| {
                Pattern::parse(text).map_err(|error| Wrong {
                    help: "allowed: a DNS name, or \"*.NAME\" for all names below it".to_owned(),
                    ..not_a_name(error)
                })
            })?;
            if let Some(first) = seen.insert(pattern.clone(), text.span.clone()) {
                found
                    .problem(
                        "answers.alias.name",
                        &text.span,
                        format!("two aliases for {:?}", text.value),
                    )
                    .label("the second")
                    .also(&first, "the first")
                    .help("remove one: a name has one target");
            }
            Some(policy::Alias { pattern, target: target? })
        })
        .collect()
}

fn target(found: &mut Findings, alias: &Located<Alias>) -> Option<AliasTarget> {
    match (&alias.value.service, &alias.value.endpoint) {
        (Some(service), None) => {
            let rule = read(found, "answers.alias.service", service, words::service)?;
            Some(AliasTarget::Service(rule))
        }
        (None, Some(endpoint)) => {
            let parse = |text: &str| words::ec2_id(text, "vpce").map(Into::into);
            let id = read(found, "answers.alias.endpoint", endpoint, parse)?;
            Some(AliasTarget::Endpoint(id))
        }
        (Some(service), Some(endpoint)) => {
            found
                .problem("answers.alias", &endpoint.span, "an alias has two targets")
                .label("this one")
                .also(&service.span, "and this one")
                .help("keep `service` or `endpoint`");
            None
        }
        // Of a wrong type, say: then it was there, and its own problem is enough.
        (None, None)
            if found.doubts("answers.alias.service") || found.doubts("answers.alias.endpoint") =>
        {
            None
        }
        (None, None) => {
            found
                .problem("answers.alias", &alias.span, "an alias has no target")
                .label("`service` or `endpoint` is required here")
                .help("add `service = \"sqs\"` or `endpoint = \"vpce-...\"`");
            None
        }
    }
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
