//! Nothing falls on the floor: what is known is told once in every view, in any order of facts.

use std::sync::Arc;

use super::*;

/// A few endpoints that share few names, ids and zones, so that every rule meets every other.
fn any_line() -> impl Strategy<Value = String> {
    let id = prop::sample::select(vec!["vpce-1", "vpce-2", "vpce-3"]);
    let service = prop::sample::select(vec!["com.amazonaws.eu-west-1.s3", "svc.b", "svc.c"]);
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
        ],
        0..=4,
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

fn rich_config() -> PolicyConfig {
    let mut prod = view("prod", "10.0.0.0/8");
    prod.tags = BTreeMap::from([("env".to_owned(), "prod".to_owned())]);
    prod.deny = vec![ServiceRule::new("svc.b")];
    PolicyConfig {
        deny: vec![ServiceRule::new("svc.c")],
        views: vec![prod],
        ..aliases(&[("n", "s3"), ("q", "vpce-2"), ("n", "vpce-1")])
    }
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
    all
}

proptest! {
    #[test]
    fn every_pair_ends_once_in_every_view_in_any_order_of_facts(
        lines in prop::collection::vec(any_line(), 0..6),
        seed in any::<u64>(),
    ) {
        let inventory = inventory(&lines.join("\n"));
        let config = rich_config();
        let known = pairs(&inventory);
        let first = plan(&inventory, &config);
        prop_assert_eq!(first.views.len(), 2);
        for view in &first.views {
            prop_assert_eq!(&told(view, &known), &known);
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
