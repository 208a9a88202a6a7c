//! `[[answers.alias]]`, `alias_sets` and `allow`: names beside those that AWS publishes, and what
//! is taken out of the deny list.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
};

use super::{
    answers::{self, not_a_name},
    file::{self, Alias, File},
    located::{Located, Text},
    near::doubt_service,
    problem::Findings,
    words::{self, Wrong, read, read_all},
};
use crate::{
    base::{Name, Pattern},
    policy::{
        self, AliasSet, AliasTarget, AllowRule, CNAMES_MAX, EndlessAlias, Lender, PolicyConfig,
        endless_aliases,
    },
};

/// Every alias of a list, `key` being its name in the file.
pub(super) fn aliases(
    found: &mut Findings,
    key: &str,
    written: &[Located<Alias>],
) -> Vec<policy::Alias> {
    let mut seen: HashMap<Pattern, Range<usize>> = HashMap::new();
    let mut read_well: Vec<(policy::Alias, &Range<usize>)> = Vec::new();
    for alias in written {
        let target = target(found, key, alias);
        let Some(text) = &alias.value.name else { continue };
        let pattern = read(found, &format!("{key}.name"), text, |text| {
            Pattern::parse(text).map_err(|error| Wrong {
                help: "allowed: a DNS name, or \"*.NAME\" for all names below it".to_owned(),
                ..not_a_name(error)
            })
        });
        let Some(pattern) = pattern else { continue };
        if let Some(first) = seen.insert(pattern.clone(), text.span.clone()) {
            found
                .problem(
                    format!("{key}.name"),
                    &text.span,
                    format!("two aliases for {:?}", text.value),
                )
                .label("the second")
                .also(&first, "the first")
                .help("remove one: a name has one target");
        }
        if let Some(target) = target {
            read_well.push((policy::Alias { pattern, target }, &alias.span));
        }
    }
    let (aliases, places): (Vec<_>, Vec<_>) = read_well.into_iter().unzip();
    for endless in endless_aliases(&aliases) {
        let Some(at) = endless.through.first() else { continue };
        found
            .problem(key, places[*at], format!("the alias {} does not end", aliases[*at].pattern))
            .label(why_endless(&endless))
            .help("point it at a name that is no alias");
    }
    aliases
}

fn why_endless(EndlessAlias { chain, is_circle, .. }: &EndlessAlias) -> String {
    match is_circle {
        true => format!("it leads in a circle: {chain}"),
        false => format!("it leads through more than {CNAMES_MAX} names: {chain}"),
    }
}

/// Tells of the aliases of views that do not end because of those of everybody. What is in one list
/// has been told.
pub(super) fn endless_in_views(found: &mut Findings, file: &File, config: &PolicyConfig) {
    for (view, written) in config.views.iter().zip(&file.view) {
        let own = &view.aliases;
        let is_own = |alias: &policy::Alias| own.iter().any(|it| it.pattern == alias.pattern);
        let inherited = config.aliases.iter().filter(|alias| !is_own(alias));
        let all: Vec<policy::Alias> = own.iter().chain(inherited).cloned().collect();
        let mut told = BTreeSet::new();
        for endless in endless_aliases(&all) {
            let is_mixed = endless.through.iter().any(|at| own.len() <= *at);
            let first = endless.through.iter().copied().find(|at| *at < own.len());
            let Some(alias) = first.filter(|at| is_mixed && told.insert(*at)) else { continue };
            let pattern = &own[alias].pattern;
            let is_this = |it: &&Located<Alias>| {
                let name = it.value.name.as_ref().map(|name| Pattern::parse(&name.value));
                name.is_some_and(|name| name.is_ok_and(|name| name == *pattern))
            };
            let place =
                written.value.alias.iter().find(is_this).map_or(&written.span, |it| &it.span);
            let what = format!("the alias {pattern} of the view {} does not end", view.name);
            found
                .problem("view.alias", place, what)
                .label(format!("with the [[answers.alias]] {}", why_endless(&endless)))
                .help("point one of them at a name that is no alias");
        }
    }
}

/// What an alias stands for: exactly one of `service`, `endpoint` and `cname`.
fn target(found: &mut Findings, key: &str, alias: &Located<Alias>) -> Option<AliasTarget> {
    let Alias { service, endpoint, cname, zone, .. } = &alias.value;
    let written: Vec<&Text> = [service, endpoint, cname].into_iter().flatten().collect();
    if let [first, .., last] = written[..] {
        found
            .problem(key, &last.span, "an alias has two targets")
            .label("this one")
            .also(&first.span, "and this one")
            .help("keep `service`, `endpoint` or `cname`");
        return None;
    }
    // Of a wrong type, say: then it was there, and its own problem is enough.
    let in_doubt = ["service", "endpoint", "cname"].map(|it| found.doubts(&format!("{key}.{it}")));
    if written.is_empty() && !in_doubt.contains(&true) {
        found
            .problem(key, &alias.span, "an alias has no target")
            .label("`service`, `endpoint` or `cname` is required here")
            .help("add `service = \"sqs\"`, `endpoint = \"vpce-...\"` or `cname = \"NAME\"`");
    }
    if let (Some(_), Some(zone)) = (cname, zone) {
        found
            .problem(key, &zone.span, "an alias to a name has a zone")
            .label("it has no addresses of its own")
            .help("remove `zone`, or name a `service` or an `endpoint`");
    }
    if let Some(text) = cname {
        let name = read(found, &format!("{key}.cname"), text, |text| {
            Name::parse(text).map_err(not_a_name)
        })?;
        return Some(AliasTarget::Cname(name));
    }
    let of = match (service, endpoint) {
        (Some(text), _) => {
            Lender::Service(answers::service(found, &format!("{key}.service"), text)?)
        }
        (None, Some(text)) => {
            let parse = |text: &str| words::ec2_id(text, "vpce").map(Into::into);
            Lender::Endpoint(read(found, &format!("{key}.endpoint"), text, parse)?)
        }
        (None, None) => return None,
    };
    let zone = zone.as_ref().map(|text| {
        read(found, &format!("{key}.zone"), text, |text| words::zone(text).map(Into::into))
    });
    match zone {
        Some(None) => None,
        Some(Some(zone)) => Some(AliasTarget::Endpoint { of, zone: Some(zone) }),
        None => Some(AliasTarget::Endpoint { of, zone: None }),
    }
}

/// The ready-made sets that are switched on.
pub(super) fn alias_sets(
    found: &mut Findings,
    written: &[Located<file::AliasSet>],
) -> Vec<AliasSet> {
    let mut sets = Vec::new();
    for Located { value, span } in written {
        let set = match value {
            file::AliasSet::SqsLegacy => AliasSet::SqsLegacy,
            file::AliasSet::S3Global => AliasSet::S3Global,
            file::AliasSet::S3Dualstack => AliasSet::S3Dualstack,
        };
        if sets.contains(&set) {
            found
                .problem("answers.alias_sets", span, format!("the alias set {set} is there twice"))
                .label("the second")
                .help("remove one");
        }
        sets.push(set);
    }
    sets
}

/// A list of what is answered though it is denied.
pub(super) fn allow_rules(found: &mut Findings, key: &str, texts: &[Text]) -> Vec<AllowRule> {
    let rules = read_all(found, key, texts, words::allow_rule);
    for (text, _) in &rules {
        let service = text.value.split(':').next().unwrap_or_default();
        doubt_service(found, key, text, service);
    }
    rules.into_iter().map(|(_, rule)| rule).collect()
}
