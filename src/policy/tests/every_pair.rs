//! Nothing falls on the floor: what is known is told once in every view, in any order of facts.

use std::sync::Arc;

use super::*;
use crate::policy::{
    AllowRule, AllowedResource, Claim, Origin, ViewConfig, ViewKind, facts::cname, select::Speaker,
};

/// A few endpoints that share few names, ids and zones, so that every rule meets every other.
fn any_line() -> impl Strategy<Value = String> {
    let id = prop::sample::select(vec!["vpce-1", "vpce-2", "vpce-3"]);
    let service = prop::sample::select(vec![
        "com.amazonaws.eu-west-1.s3",
        "com.amazonaws.eu-west-1.dynamodb",
        "svc.b",
        "svc.c",
    ]);
    let zones = prop::sample::subsequence(vec!["a=10.0.0.1", "b=10.0.0.2", "a=fd00::1"], 0..=3);
    let names = prop::sample::subsequence(vec!["*.s3.R", "s3.R", "n", "N.", "a..b"], 0..=5);
    let dns = prop::sample::subsequence(
        vec!["vpce-1-x.v", "vpce-2-x-a.v", "*.vpce-3-x-c.v", "n", "m", "a..b", "*.s3.r"],
        0..=7,
    );
    let words = prop::sample::subsequence(
        vec![
            "state=deleting",
            "kind=Gateway",
            "records=ipv6",
            "records=service-defined",
            "owner=1",
            "verification=failed",
            "created=1",
            "created=2",
            "source=two",
            "tags=env:prod",
            "onprem",
            "vpc=vpc-2",
            "account=222222222222",
            "kind=ServiceNetwork",
            "leads=d1.l/n/,d2.l/p/",
            "leads=d1.l/p/,d3.l/q/Inaccessible",
            "agreed",
        ],
        0..=5,
    );
    (id, service, zones, names, dns, words).prop_map(|(id, service, zones, names, dns, words)| {
        let mut line = format!("{id} {service} {} {}", zones.join(" "), words.join(" "));
        for (key, list) in [("names", names), ("dns", dns)] {
            if !list.is_empty() {
                line.push_str(&format!(" {key}={}", list.join(",")));
            }
        }
        line
    })
}

/// What a view can say of its own.
const SAYS: [&str; 13] = [
    "tags",
    "vpc",
    "account",
    "endpoints",
    "deny",
    "deny s3",
    "allow",
    "allow one",
    "onprem",
    "override",
    "no override",
    "alias",
    "cname",
];

/// A view that says some of it.
fn any_view() -> impl Strategy<Value = ViewConfig> {
    prop::sample::subsequence(SAYS.to_vec(), 0..=6).prop_map(|says| {
        let mut it = view("view", "10.0.0.0/8");
        for word in says {
            match word {
                "tags" => it.tags = [("env".to_owned(), "prod".to_owned())].into(),
                "vpc" => it.vpc_ids = vec!["vpc-2".into(), "vpc-3".into()],
                "account" => it.accounts = vec!["222222222222".into()],
                "endpoints" => it.endpoints = vec!["vpce-1".into(), "vpce-3".into()],
                "deny" => it.deny.push(ServiceRule::new("svc.b")),
                "deny s3" => it.deny.push(ServiceRule::new("s3")),
                "allow" => it.allow.push(AllowRule::Service(ServiceRule::new("svc.c"))),
                "allow one" => it.allow.push(AllowRule::Resource(AllowedResource {
                    service: ServiceRule::new("s3"),
                    id: "bucket".into(),
                    endpoint: None,
                })),
                "onprem" => it.kind = ViewKind::Onprem,
                "override" => it.overrides = Some(true),
                "no override" => it.overrides = Some(false),
                "alias" => it.aliases.push(alias("m", "svc.b")),
                _ => it.aliases.push(cname("p", "q")),
            }
        }
        it
    })
}

fn rich_config(views: Vec<ViewConfig>, overrides: bool) -> PolicyConfig {
    let mut config = aliases(&[("n", "s3"), ("q", "vpce-2"), ("n", "vpce-1")]);
    config.aliases.push(cname("d2.l", "p"));
    let named =
        |(at, it): (usize, ViewConfig)| ViewConfig { name: format!("view{at}").into(), ..it };
    PolicyConfig {
        deny: vec![ServiceRule::new("svc.c")],
        overrides,
        views: views.into_iter().enumerate().map(named).collect(),
        ..config
    }
}

/// Whether the view takes the endpoint, said as simply as it can be.
fn takes(view: Option<&ViewConfig>, speaker: &Speaker<'_>) -> bool {
    let Some(view) = view else { return true };
    let endpoint = speaker.endpoint;
    let owner = endpoint.owner.as_ref();
    (view.endpoints.is_empty() || view.endpoints.contains(&endpoint.id))
        && (view.vpc_ids.is_empty() || view.vpc_ids.contains(&endpoint.vpc))
        && (view.accounts.is_empty() || owner.is_some_and(|owner| view.accounts.contains(owner)))
        && view.tags.iter().all(|(key, value)| endpoint.tags.get(key) == Some(value))
}

/// Whether the view gives its service's private names to the endpoint, likewise.
fn lends(config: &PolicyConfig, view: Option<&ViewConfig>, speaker: &Speaker<'_>) -> bool {
    let has = |rules: &[ServiceRule]| rules.iter().any(|rule| speaker.is_of(rule));
    let service = AllowRule::Service(ServiceRule::new("svc.c"));
    let is_allowed = view.is_some_and(|view| view.allow.contains(&service));
    let overrides = view.and_then(|view| view.overrides).unwrap_or(config.overrides);
    let is_onprem = view.is_some_and(|view| view.kind == ViewKind::Onprem);
    view.is_none_or(|view| !has(&view.deny))
        && (!has(&config.deny) || is_allowed)
        && (overrides || !speaker.endpoint.service.as_str().ends_with(".dynamodb"))
        && (is_onprem || !speaker.endpoint.onprem_only)
}

fn is_private(claim: &Claim) -> bool {
    matches!(
        claim.origin,
        Origin::Published | Origin::S3Apex | Origin::DnsEntry | Origin::AssociationPrivate
    )
}

/// Every (source, endpoint, name) of the facts, names in one spelling where they are names.
fn pairs(inventory: &Inventory) -> Vec<(String, String, String)> {
    let mut pairs = Vec::new();
    for speaker in select::speakers(inventory) {
        for offer in names::offers(&speaker) {
            let name = offer.pattern.map_or(offer.text.to_string(), |p| p.to_string());
            let source = speaker.source().to_string();
            pairs.push((source, speaker.endpoint.id.to_string(), name));
        }
    }
    pairs.sort();
    pairs
}

/// The same as the view tells it: each claim and each declined that names an endpoint and a name.
fn told(view: &ViewPlan, known: &[(String, String, String)]) -> Vec<(String, String, String)> {
    let one = |text: &str| {
        let pattern = crate::base::Pattern::parse(text);
        pattern.map_or(text.to_owned(), |pattern| pattern.to_string())
    };
    let claims = view.claims.iter().map(|claim| {
        let source = claim.source.to_string();
        (source, claim.endpoint.to_string(), claim.pattern.to_string())
    });
    let declined = view.declined.iter().filter_map(|declined: &Declined| {
        let source = declined.source.as_ref()?.to_string();
        let endpoint = declined.endpoint.as_ref()?.to_string();
        Some((source, endpoint, one(declined.name.as_deref()?)))
    });
    // An alias adds pairs that no fact has; all facts are still there once.
    let mut all: Vec<_> = claims.chain(declined).collect();
    all.sort();
    let repeats = all.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert_eq!(repeats, 0, "a pair is told twice: {all:?}");
    all.retain(|pair| known.contains(pair));
    // One that stands for a public name is told by its name alone, and so is one that would stand
    // for itself in the end.
    let stands = |name: &str| {
        let is_endless = |it: &Declined| {
            matches!(it.why, Reason::CnameEndless(_)) && it.name.as_deref() == Some(name)
        };
        view.cnames.iter().any(|cname| cname.pattern.to_string() == name)
            || view.declined.iter().any(is_endless)
    };
    let untold: Vec<_> = known.iter().filter(|pair| !all.contains(pair)).cloned().collect();
    let mut names: Vec<&str> = untold.iter().map(|(_, _, name)| name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), untold.len(), "two endpoints have one name: {untold:?}");
    all.extend(untold.iter().filter(|(_, _, name)| stands(name)).cloned());
    all.sort();
    all
}

proptest! {
    #[test]
    fn every_pair_ends_once_in_every_view_in_any_order_of_facts(
        lines in prop::collection::vec(any_line(), 0..6),
        views in prop::collection::vec(any_view(), 0..4),
        overrides in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let inventory = inventory(&lines.join("\n"));
        let config = rich_config(views, overrides);
        let known = pairs(&inventory);
        let speakers = select::speakers(&inventory);
        let first = plan(&inventory, &config);
        prop_assert_eq!(first.views.len(), config.views.len() + 1);
        for (at, view) in first.views.iter().enumerate() {
            prop_assert_eq!(&told(view, &known), &known);
            let rule = config.views.get(at);
            let of = |source: &str, endpoint: &str| {
                let is_it = |it: &&Speaker<'_>| {
                    it.source().as_str() == source && it.endpoint.id.as_str() == endpoint
                };
                speakers.iter().find(is_it).unwrap()
            };
            for claim in &view.claims {
                let speaker = of(claim.source.as_str(), claim.endpoint.as_str());
                prop_assert!(takes(rule, speaker), "{:?} {:?}", rule, claim);
                prop_assert!(!is_private(claim) || lends(&config, rule, speaker), "{:?}", claim);
            }
            for declined in view.declined.iter() {
                let (Some(source), Some(id)) = (&declined.source, &declined.endpoint) else {
                    continue;
                };
                let speaker = of(source.as_str(), id.as_str());
                let word = declined.why.word();
                if word.starts_with("view_") {
                    prop_assert!(!takes(rule, speaker), "{:?} {:?}", rule, declined);
                }
                if ["denied", "needs_override", "onprem_only"].contains(&word) {
                    prop_assert!(!lends(&config, rule, speaker), "{:?} {:?}", rule, declined);
                }
            }
        }
        let mut shuffled = inventory.clone();
        for facts in shuffled.sources.iter_mut().map(Arc::make_mut) {
            turn(&mut facts.endpoints, seed);
            turn(&mut facts.services, seed);
            turn(&mut facts.interfaces, seed);
            for endpoint in &mut facts.endpoints {
                turn(&mut endpoint.dns_entries, seed);
                turn(&mut endpoint.interfaces, seed);
            }
            for service in &mut facts.services {
                turn(&mut service.private_names, seed);
            }
        }
        prop_assert_eq!(plan(&shuffled, &config), first);
    }
}

/// Another order, by the seed: rotated, and every other time reversed.
fn turn<T>(list: &mut [T], seed: u64) {
    if let Ok(len @ 1..) = u64::try_from(list.len()) {
        list.rotate_left(usize::try_from(seed % len).unwrap());
    }
    if seed % 2 == 1 {
        list.reverse();
    }
}
