//! `[[view]]`: what is said in it, and what of that can have no effect.

use super::{
    aliases::aliases,
    answers::services,
    file::{Answers, File, Kind, Source, View, ViewKind},
    limits::{Bounds, NEGATIVE_TTL_SECS, TTL_SECS},
    located::{Located, Text},
    problem::Findings,
    sources::tags,
    words::{self, Wrong, read_all},
};
use crate::{
    base::{Ttl, ViewName},
    policy::{self, AllowRule, AllowedResource, ServiceRule, ViewConfig},
};

/// All of a view but who is in it. `deny` is that of everybody.
pub(super) fn view(
    found: &mut Findings,
    name: ViewName,
    file: &File,
    view: &View,
    deny: &[ServiceRule],
) -> ViewConfig {
    let vpc = |text: &str| words::ec2_id(text, "vpc").map(|_| ());
    let endpoint = |text: &str| words::ec2_id(text, "vpce").map(|_| ());
    let account = |text: &str| words::account(text).map(|_| ());
    let vpc_ids = selected(found, "view.vpc_ids", view.vpc_ids.as_ref(), vpc);
    let accounts = selected(found, "view.accounts", view.accounts.as_ref(), account);
    let endpoints = selected(found, "view.endpoints", view.endpoints.as_ref(), endpoint);
    if !found.doubts("source") {
        warn_of_vpcs(found, file, &vpc_ids);
        warn_of_accounts(found, file, &accounts);
        warn_of_tags(found, file, view);
    }
    let own = services(found, "view.deny", view.deny.as_deref().unwrap_or_default());
    let allow = allow(found, file, view, deny, &own);
    let ttl = |found: &mut Findings, bounds: &Bounds, key: &str, written: &Option<Located<i64>>| {
        let secs = written.as_ref().map(|secs| bounds.check(found, key, secs));
        secs.map(|secs| Ttl::from_secs(secs).unwrap_or(Ttl::MAX))
    };
    ViewConfig {
        kind: match view.kind.as_ref().map(|kind| kind.value) {
            Some(ViewKind::Onprem) => policy::ViewKind::Onprem,
            Some(ViewKind::Vpc) | None => policy::ViewKind::Vpc,
        },
        tags: tags(view.tags.as_ref()),
        vpc_ids: vpc_ids.iter().map(|text| text.value.as_str().into()).collect(),
        accounts: accounts.iter().map(|text| text.value.as_str().into()).collect(),
        endpoints: endpoints.iter().map(|text| text.value.as_str().into()).collect(),
        deny: own,
        allow,
        overrides: view.overrides.as_ref().map(|it| it.value),
        ttl: ttl(found, &TTL_SECS, "view.ttl_secs", &view.ttl_secs),
        negative_ttl: ttl(
            found,
            &NEGATIVE_TTL_SECS,
            "view.negative_ttl_secs",
            &view.negative_ttl_secs,
        ),
        aliases: aliases(found, "view.alias", &view.alias),
        ..ViewConfig::named(name)
    }
}

/// The right ones of a list that endpoints are selected by. One without an element would mean
/// either all or none, and nobody can tell which was meant.
fn selected<'t>(
    found: &mut Findings,
    key: &str,
    written: Option<&'t Located<Vec<Text>>>,
    parse: impl Fn(&str) -> Result<(), Wrong>,
) -> Vec<&'t Text> {
    let Some(Located { value: texts, span }) = written else { return Vec::new() };
    if texts.is_empty() && !found.doubts(key) {
        found
            .problem(key, span, format!("`{key}` is empty"))
            .label("would no endpoint be taken, or every one?")
            .help("leave the key out for every endpoint; `deny` leaves services out");
    }
    read_all(found, key, texts, parse).into_iter().map(|(text, ())| text).collect()
}

/// The services that it allows, and what is doubtful about them.
fn allow(
    found: &mut Findings,
    file: &File,
    view: &View,
    deny: &[ServiceRule],
    own: &[ServiceRule],
) -> Vec<AllowRule> {
    let texts = view.allow.as_deref().unwrap_or_default();
    let rules = read_all(found, "view.allow", texts, words::allow_rule);
    let overrides = view.overrides.as_ref().unwrap_or(&file.answers.overrides).value;
    for (text, allowed) in &rules {
        let (AllowRule::Service(of) | AllowRule::Resource(AllowedResource { service: of, .. })) =
            allowed;
        if own.contains(of) {
            found
                .problem("view.allow", &text.span, format!("{of} is both denied and allowed"))
                .label("the view's `deny` has it, too")
                .help("keep it in one of the two");
        }
        let rule = match allowed {
            AllowRule::Service(rule) if !own.contains(rule) => rule,
            // One of a service that is denied or not: it is answered by its own name.
            _ => continue,
        };
        if !overrides && policy::is_left_alone(rule) {
            needs_override(found, "view.allow", text, rule);
        } else if !deny.iter().any(|denied| denied.resembles(rule)) && !found.doubts("answers.deny")
        {
            found
                .warning("view.allow", &text.span, format!("{rule} is allowed everywhere"))
                .label("not in `answers.deny`")
                .help(
                    "remove it: `allow` takes services out of `answers.deny`, and leaves no other \
                     one out",
                );
        }
    }
    rules.into_iter().map(|(_, rule)| rule).collect()
}

/// Tells of the services of `answers.allow` that stay unanswered all the same.
pub(super) fn needs_overrides(found: &mut Findings, answers: &Answers) {
    for text in &answers.allow {
        if let Ok(AllowRule::Service(rule)) = words::allow_rule(&text.value)
            && policy::is_left_alone(&rule)
            && !answers.overrides.value
        {
            needs_override(found, "answers.allow", text, &rule);
        }
    }
}

fn needs_override(found: &mut Findings, key: &str, text: &Text, rule: &ServiceRule) {
    found
        .problem(key, &text.span, format!("{rule} needs `override = true`"))
        .label("AWS asks to leave its names alone")
        .help(
            "the gateway endpoint of a VPC answers for them free of charge, and is reached by the \
             public addresses of these names; if no client that this is for has one, add \
             `override = true`",
        );
}

/// A VPC that no source looks at.
fn warn_of_vpcs(found: &mut Findings, file: &File, vpc_ids: &[&Text]) {
    for text in vpc_ids {
        let looks = |source: &Source| {
            let looked_at = source.vpc_ids.as_deref().unwrap_or_default();
            looked_at.is_empty() || looked_at.contains(text)
        };
        if !file.source.iter().any(|source| looks(&source.value)) {
            takes_nothing(found, "view.vpc_ids", text, "every source has other `vpc_ids`");
        }
    }
}

/// An account that no source asks, where each says which it asks by its role.
fn warn_of_accounts(found: &mut Findings, file: &File, accounts: &[&Text]) {
    for text in accounts {
        let asks = |source: &Source| match source {
            Source { accounts: Some(accounts), .. } => accounts.value.contains(text),
            Source {
                kind: Some(Located { value: Kind::Ec2, .. }), role_arn: Some(role), ..
            } => role.value.split(':').nth(4) == Some(text.value.as_str()),
            _ => true,
        };
        if !file.source.iter().any(|source| asks(&source.value)) {
            takes_nothing(found, "view.accounts", text, "every source has a role elsewhere");
        }
    }
}

/// A tag of which every source wants another value.
fn warn_of_tags(found: &mut Findings, file: &File, view: &View) {
    for (key, value) in view.tags.iter().flatten() {
        let finds = |source: &Source| {
            let wanted = source.tags.as_ref().and_then(|tags| tags.get(key));
            wanted.is_none_or(|wanted| wanted == value)
        };
        if !file.source.iter().any(|source| finds(&source.value)) {
            takes_nothing(found, "view.tags", value, "every source takes another value only");
        }
    }
}

fn takes_nothing(found: &mut Findings, key: &str, text: &Text, why: &str) {
    found
        .warning(key, &text.span, format!("`{key}` has {:?}, and no endpoint will", text.value))
        .label(why)
        .help("add it to a [[source]], or remove it here");
}
