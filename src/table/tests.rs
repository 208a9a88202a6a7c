//! What a table says, byte for byte; lookup against a naive model; what differs, as people read it.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use domain::base::{Message, MessageBuilder, Name as WireName, Rtype};
use domain::rdata::{A, Aaaa, Soa};
use proptest::prelude::*;

use super::{
    AnswerTable, Entry, Found, RECORDS_MAX, RecordSet, ViewTable, channel, compile, compile_beside,
    diff,
};
use crate::{
    base::{Name, Pattern, RecordType, Ttl},
    policy::{
        PolicyConfig,
        facts::{alias, config, inventory, view},
        plan,
    },
};

const HUB: &str = "
    vpce-1 com.amazonaws.eu-west-1.sqs eu-west-1a=10.0.1.5 eu-west-1b=10.0.2.5 created=1 \
        names=sqs.eu-west-1.amazonaws.com \
        dns=vpce-1-x.sqs.eu-west-1.vpce.amazonaws.com,vpce-1-x-eu-west-1b.sqs.eu-west-1.vpce.amazonaws.com
    vpce-2 com.amazonaws.eu-west-1.s3 eu-west-1a=10.0.1.6 eu-west-1a=fd00::6 names=*.s3.eu-west-1.amazonaws.com
    vpce-3 com.amazonaws.eu-west-1.sqs eu-west-1a=10.0.1.7 created=2
    vpce-4 com.amazonaws.eu-west-1.execute-api eu-west-1a=10.0.1.8 \
        names=*.execute-api.eu-west-1.amazonaws.com
    vpce-5 com.amazonaws.eu-west-1.transfer.server eu-west-1a=10.0.1.9 \
        names=*.server.transfer.eu-west-1.amazonaws.com
";

fn table(facts: &str, config: &PolicyConfig) -> AnswerTable {
    compile(plan(&inventory(facts), config), config)
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn rest(table: &AnswerTable) -> &ViewTable {
    table.views().last().unwrap()
}

#[track_caller]
fn entry<'t>(table: &'t AnswerTable, text: &str) -> &'t Entry {
    rest(table).find(name(text).as_wire()).unwrap().entry().unwrap()
}

fn set(addresses: &str) -> (AnswerTable, RecordType) {
    let rtype = match addresses.contains(':') {
        true => RecordType::AAAA,
        false => RecordType::A,
    };
    let facts = format!("vpce-1 s {addresses} names=n");
    (table(&facts, &config()), rtype)
}

/// The last octet of each record, in the order of sending.
fn order(set: &RecordSet, az: Option<&str>, rotation: usize) -> Vec<u8> {
    let mut out = Vec::new();
    set.write(az, rotation, &mut out);
    let slot = out.len() / usize::from(set.count());
    out.chunks_exact(slot).map(|record| *record.last().unwrap()).collect()
}

/// A response to `n` with `answers` records in its answer section, as a client reads it.
fn message(rtype: Rtype, records: &[u8], answers: u16) -> Message<Vec<u8>> {
    let mut question = MessageBuilder::new_vec().question();
    let n: WireName<Vec<u8>> = "n".parse().unwrap();
    question.push((n, rtype)).unwrap();
    let mut bytes = question.finish();
    bytes.extend_from_slice(records);
    bytes[6..8].copy_from_slice(&answers.to_be_bytes());
    Message::from_octets(bytes).unwrap()
}

#[test]
fn a_table_reads_as_its_names_and_then_what_it_declines() {
    let mut onprem = view("onprem", "192.168.0.0/16");
    onprem.deny = vec![crate::policy::ServiceRule::new("s3")];
    let config = PolicyConfig {
        deny: vec![crate::policy::ServiceRule::new("execute-api")],
        aliases: vec![alias("eu-west-1.queue.amazonaws.com", "sqs"), alias("q", "sns")],
        views: vec![onprem],
        ..config()
    };
    let text = table(HUB, &config).to_string();
    let (onprem, rest) = text.split_at(text.find("view default").unwrap());
    let expected = "\
view default
  s3.eu-west-1.amazonaws.com A 10.0.1.6 AAAA fd00::6 (vpce-2, com.amazonaws.eu-west-1.s3, s3_apex)
  sqs.eu-west-1.amazonaws.com A 10.0.1.5 10.0.2.5 (vpce-1, com.amazonaws.eu-west-1.sqs, published)
  eu-west-1.queue.amazonaws.com A 10.0.1.5 10.0.2.5 (vpce-1, com.amazonaws.eu-west-1.sqs, alias)
  vpce-1-x.sqs.eu-west-1.vpce.amazonaws.com A 10.0.1.5 10.0.2.5 (vpce-1, com.amazonaws.eu-west-1.sqs, regional)
  vpce-1-x-eu-west-1b.sqs.eu-west-1.vpce.amazonaws.com A 10.0.2.5 (vpce-1, com.amazonaws.eu-west-1.sqs, zonal)
  *.s3.eu-west-1.amazonaws.com A 10.0.1.6 AAAA fd00::6 (vpce-2, com.amazonaws.eu-west-1.s3, published)
  *.server.transfer.eu-west-1.amazonaws.com A 10.0.1.9 (vpce-5, com.amazonaws.eu-west-1.transfer.server, published) shared_wildcard
  not q alias_target_missing: no usable endpoint for the alias's target sns
  not eu-west-1.queue.amazonaws.com (vpce-3, com.amazonaws.eu-west-1.sqs) conflict: vpce-1 has it: it is the older one
  not sqs.eu-west-1.amazonaws.com (vpce-3, com.amazonaws.eu-west-1.sqs) conflict: vpce-1 has it: it is the older one
  not *.execute-api.eu-west-1.amazonaws.com (vpce-4, com.amazonaws.eu-west-1.execute-api) denied: answers.deny has execute-api
";
    assert_eq!(rest, expected);
    assert!(onprem.starts_with("view onprem\n"));
    assert!(onprem.contains(
        "  not *.s3.eu-west-1.amazonaws.com (vpce-2, com.amazonaws.eu-west-1.s3) denied: the view's deny has s3\n"
    ));
}

#[test]
fn a_records_are_sixteen_octets_that_point_at_the_question() {
    let (table, rtype) = set("a=10.0.1.5");
    let mut out = Vec::new();
    entry(&table, "n").records(rtype).unwrap().write(None, 0, &mut out);
    assert_eq!(out, [0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 1, 5]);
}

#[test]
fn records_are_read_by_a_resolver_of_others_making() {
    let facts = "vpce-1 s a=10.0.1.5 b=10.0.2.5 a=fd00::5 names=n";
    let table = table(facts, &config());
    let entry = entry(&table, "n");
    let mut out = Vec::new();
    entry.records(RecordType::A).unwrap().write(None, 0, &mut out);
    let parsed = message(Rtype::A, &out, 2);
    let read: Vec<String> = parsed
        .answer()
        .unwrap()
        .limit_to_in::<A>()
        .map(|record| record.unwrap())
        .map(|record| format!("{} {} {}", record.owner(), record.ttl().as_secs(), record.data()))
        .collect();
    assert_eq!(read, ["n 60 10.0.1.5", "n 60 10.0.2.5"]);

    out.clear();
    entry.records(RecordType::AAAA).unwrap().write(None, 0, &mut out);
    assert_eq!(out.len(), 28);
    let parsed = message(Rtype::AAAA, &out, 1);
    let record = parsed.answer().unwrap().limit_to_in::<Aaaa>().next().unwrap();
    assert_eq!(record.unwrap().data().to_string(), "fd00::5");
}

#[test]
fn an_absence_may_be_kept_for_the_negative_ttl() {
    let config = PolicyConfig { negative_ttl: Ttl::from_secs(7).unwrap(), ..config() };
    let table = table("vpce-1 s a=10.0.1.5 names=n", &config);
    let entry = entry(&table, "n");
    assert!(entry.records(RecordType::AAAA).is_none());
    assert!(entry.records(RecordType::HTTPS).is_none());
    let parsed = message(Rtype::AAAA, entry.soa(), 1);
    let record = parsed.answer().unwrap().limit_to_in::<Soa<_>>().next().unwrap().unwrap();
    assert_eq!((record.owner().to_string(), record.ttl().as_secs()), ("n".to_owned(), 7));
    assert_eq!(record.data().to_string(), "hubdns.invalid. nobody.invalid. 1 3600 1200 604800 7");
}

#[test]
fn the_clients_zone_comes_first_and_each_group_rotates() {
    let (table, rtype) = set("a=10.0.0.1 b=10.0.0.2 b=10.0.0.3 c=10.0.0.4");
    let set = entry(&table, "n").records(rtype).unwrap();
    assert_eq!(set.count(), 4);
    assert_eq!(order(set, Some("b"), 0), [2, 3, 1, 4]);
    assert_eq!(order(set, Some("b"), 1), [3, 2, 4, 1]);
    assert_eq!(order(set, Some("b"), 2), [2, 3, 1, 4]);
    assert_eq!(order(set, Some("c"), 1), [4, 2, 3, 1]);
    assert_eq!(order(set, Some("c"), 2), [4, 3, 1, 2]);
    assert_eq!(order(set, None, 3), [4, 1, 2, 3]);
    assert_eq!(order(set, Some("elsewhere"), usize::MAX), [4, 1, 2, 3]);
}

#[test]
fn the_end_of_a_chain_of_aliases_has_its_own_owner() {
    let (table, rtype) = set("a=10.0.0.1 b=10.0.0.2");
    let mut out = Vec::new();
    let set = entry(&table, "n").records(rtype).unwrap();
    set.write_as(&[1, b'o', 0], None, 1, &mut out);
    let tail = |last| [0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, last];
    let record = |last| [&[1, b'o', 0][..], &tail(last)].concat();
    assert_eq!(out, [record(2), record(1)].concat());
}

#[test]
fn a_set_has_at_most_so_many_records() {
    let addresses: Vec<String> = (0..=RECORDS_MAX).map(|n| format!("a=10.0.0.{n}")).collect();
    let (table, rtype) = set(&addresses.join(" "));
    let entry = entry(&table, "n");
    let count = entry.records(rtype).unwrap().count();
    assert_eq!(usize::from(count), RECORDS_MAX);
    assert_eq!(entry.claim().addresses.len(), RECORDS_MAX + 1);
}

#[test]
fn the_first_view_that_matches_is_the_clients() {
    let mut by_port = view("port", "0.0.0.0/0");
    by_port.listeners = vec!["10.0.0.10:5353".parse().unwrap()];
    let config = PolicyConfig {
        views: vec![view("narrow", "10.1.0.0/16"), by_port, view("wide", "10.0.0.0/8")],
        ..config()
    };
    let table = table(HUB, &config);
    let of = |client: &str, listener: &str| {
        let (at, view) = table.view_for(client.parse().unwrap(), listener.parse().unwrap());
        assert_eq!(table.views().nth(at).unwrap(), view);
        view.name().to_string()
    };
    assert_eq!(of("10.1.2.3", "10.0.0.10:5353"), "narrow");
    assert_eq!(of("10.2.2.3", "10.0.0.10:5353"), "port");
    assert_eq!(of("10.2.2.3", "10.0.0.10:53"), "wide");
    assert_eq!(of("192.168.0.1", "10.0.0.10:53"), "default");
}

#[test]
fn clients_are_admitted_and_placed_by_the_longest_prefix() {
    let config = PolicyConfig {
        allow: vec!["10.9.9.9/8".parse().unwrap(), "fc00::/7".parse().unwrap()],
        zones: vec![
            ("10.1.0.7/24".parse().unwrap(), "euw1-az1".into()),
            ("10.0.0.0/8".parse().unwrap(), "eu-west-1b".into()),
        ],
        ..config()
    };
    let table = table(HUB, &config);
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    assert!(table.admits(ip("10.200.0.1")) && table.admits(ip("fd00::1")));
    assert!(!table.admits(ip("11.0.0.1")) && !table.admits(ip("2001:db8::1")));
    assert_eq!(table.az_of(ip("10.1.0.200")), Some("euw1-az1"));
    assert_eq!(table.az_of(ip("10.1.1.1")), Some("eu-west-1b"));
    assert_eq!(table.az_of(ip("fd00::1")), None);
}

// Equality, hash and what differs.

#[test]
fn what_is_said_alike_hashes_alike_and_whatever_a_client_can_notice_tells() {
    let facts = "vpce-1 s a=10.0.0.1 b=10.0.0.2 names=n";
    let hash = |facts: &str, config: &PolicyConfig| table(facts, config).hash().to_string();
    // A figure that stays: the hash is compared between machines and between releases.
    let first = hash(facts, &config());
    assert_eq!(first, "5dc980429d664bee");
    assert_eq!(hash(&facts.replace("vpce-1", "vpce-9"), &config()), first);
    assert_ne!(hash(&facts.replace("0.0.2", "0.0.3"), &config()), first);
    assert_ne!(hash(&facts.replace("b=", "c="), &config()), first);
    assert_ne!(hash(&facts.replace("names=n", "names=m"), &config()), first);
    let with = |change: fn(&mut PolicyConfig)| {
        let mut config = config();
        change(&mut config);
        hash(facts, &config)
    };
    assert_ne!(with(|c| c.ttl = Ttl::ZERO), first);
    assert_ne!(with(|c| c.negative_ttl = Ttl::ZERO), first);
    assert_ne!(with(|c| c.allow.clear()), first);
    assert_ne!(with(|c| c.zones.push(("10.0.0.0/8".parse().unwrap(), "a".into()))), first);
    let one = with(|c| c.views.push(view("v", "10.0.0.0/8")));
    assert_ne!(one, first);
    assert_ne!(with(|c| c.views.push(view("v", "10.0.0.0/9"))), one);
}

#[test]
fn a_difference_in_provenance_alone_is_another_table() {
    let facts = "vpce-1 s a=10.0.0.1 names=n";
    let one = table(facts, &config());
    assert_eq!(one, table(facts, &config()));
    assert_ne!(one, table(&facts.replace("vpce-1", "vpce-2"), &config()));
}

#[test]
fn a_diff_tells_each_name_that_is_answered_differently() {
    let before = "vpce-1 svc.q a=10.0.1.5 b=10.0.2.5 names=kept,moved
                  vpce-2 svc.s a=10.0.1.6 a=fd00::6 names=*.gone,half
                  vpce-3 svc.t a=10.0.1.7 names=owner";
    let after = "vpce-1 svc.q a=10.0.1.5 b=10.0.2.5 names=kept
                 vpce-4 svc.m a=10.0.1.5 b=10.0.2.9 names=moved
                 vpce-2 svc.s a=10.0.1.6 names=half,*.new
                 vpce-5 svc.t a=10.0.1.7 names=owner";
    let (old, new) = (table(before, &config()), table(after, &config()));
    let lines: Vec<String> = diff(&old, &new).iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "- half AAAA fd00::6 (vpce-2, svc.s)",
            "~ moved A 10.0.1.5 10.0.2.5 -> 10.0.1.5 10.0.2.9 by vpce-1 -> vpce-4 service svc.q -> svc.m",
            "~ owner A by vpce-3 -> vpce-5",
            "- *.gone A 10.0.1.6 (vpce-2, svc.s)",
            "- *.gone AAAA fd00::6 (vpce-2, svc.s)",
            "+ *.new A 10.0.1.6 (vpce-2, svc.s)",
        ]
    );
    assert!(diff(&new, &new).is_empty());
}

#[test]
fn a_diff_tells_of_views_that_come_and_go_and_of_ttls() {
    let facts = "vpce-1 svc.q a=10.0.1.5 names=n";
    let old = PolicyConfig { views: vec![view("gone", "10.1.0.0/16")], ..config() };
    let new = PolicyConfig {
        views: vec![view("new", "10.2.0.0/16")],
        ttl: Ttl::from_secs(30).unwrap(),
        ..config()
    };
    let lines: Vec<String> = diff(&table(facts, &old), &table(facts, &new))
        .iter()
        .map(|change| format!("{}: {change}", change.view))
        .collect();
    assert_eq!(
        lines,
        [
            "new: + n A 10.0.1.5 (vpce-1, svc.q)",
            "default: ~ n A ttl 60s -> 30s",
            "gone: - n A 10.0.1.5 (vpce-1, svc.q)",
        ]
    );
}

#[test]
fn what_a_change_leaves_as_it_was_is_shared_with_the_table_in_force() {
    let tagged =
        |tag: &str| format!("vpce-9 com.amazonaws.eu-west-1.sns a=10.0.1.4 names=sns.R {tag}");
    let mut spoke = view("spoke", "10.1.0.0/16");
    spoke.tags = [("env".to_owned(), "prod".to_owned())].into();
    let config = PolicyConfig { views: vec![spoke], ..config() };
    let prod = format!("{HUB}{}", tagged("tags=env:prod"));
    let in_force = table(&prod, &config);
    let changed = prod.replace("10.0.1.6", "10.0.1.66");
    let found = compile_beside(plan(&inventory(&changed), &config), &config, &in_force);

    assert_eq!(found, table(&changed, &config));
    assert!(std::ptr::eq(found.view("spoke").unwrap(), in_force.view("spoke").unwrap()));
    let (old, new) = (rest(&in_force).entries(), rest(&found).entries());
    let shared = |(old, new): (&Entry, &Entry)| old.is_shared_with(new);
    let apart: Vec<String> = old
        .iter()
        .zip(new)
        .filter(|pair| !shared(*pair))
        .map(|(old, _)| old.claim().pattern.to_string())
        .collect();
    assert_eq!(apart, ["s3.eu-west-1.amazonaws.com", "*.s3.eu-west-1.amazonaws.com"]);
    let again = compile_beside(plan(&inventory(&changed), &config), &config, &found);
    assert!(std::ptr::eq(rest(&again), rest(&found)));
}

// Publishing.

#[test]
fn before_the_first_table_nothing_is_in_force_and_nobody_is_admitted() {
    let (_publisher, reader) = channel();
    let published = reader.load();
    assert!(!published.in_force());
    assert!(published.table().is_empty());
    assert!(!published.table().admits("10.0.0.1".parse().unwrap()));
}

#[test]
fn who_has_loaded_a_table_keeps_it_and_who_loads_next_sees_the_new_one() {
    let (mut publisher, reader) = channel();
    publisher.publish(table("vpce-1 s a=10.0.0.1 names=one", &config()));
    let (guard, held) = (reader.load(), reader.hold());
    let replaced = publisher.publish(table("vpce-1 s a=10.0.0.1 names=two", &config()));
    for old in [&*guard, &held] {
        assert!(Arc::ptr_eq(old, &replaced));
        assert!(rest(old.table()).find(name("one").as_wire()).is_some());
    }
    let now = publisher.reader().load();
    assert!(now.in_force());
    assert!(replaced.generation() < now.generation());
    assert!(rest(now.table()).find(name("one").as_wire()).is_none());
}

// Lookup against a naive model.

fn any_labels(len: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(vec!["a", "A", "b", "bB", "c-1"]), len)
}

/// Names that share suffixes and differ in spelling, some as wildcards.
fn any_pattern() -> impl Strategy<Value = String> {
    (any::<bool>(), any_labels(1..=4)).prop_map(|(wild, labels)| {
        let name = labels.join(".");
        match wild {
            true => format!("*.{name}"),
            false => name,
        }
    })
}

/// The exact name if it is there, else the longest of the wildcards that cover it.
fn naive<'p>(patterns: &'p [Pattern], name: &Name) -> Option<&'p Pattern> {
    let covering = patterns.iter().filter(|pattern| pattern.covers(name));
    covering.max_by_key(|pattern| {
        let exact = matches!(pattern, Pattern::Exact(_));
        (exact, pattern.name().as_wire().len())
    })
}

proptest! {
    #[test]
    fn lookup_agrees_with_a_naive_model(
        patterns in prop::collection::btree_set(any_pattern(), 0..20),
        asked in prop::collection::vec(any_labels(0..=6), 1..20),
    ) {
        let facts = match patterns.is_empty() {
            true => String::new(),
            false => {
                let names: Vec<&str> = patterns.iter().map(String::as_str).collect();
                format!("vpce-1 s a=10.0.0.1 names={}", names.join(","))
            }
        };
        let table = table(&facts, &config());
        let parsed: BTreeSet<Pattern> = patterns.iter().map(|text| text.parse().unwrap()).collect();
        let parsed: Vec<Pattern> = parsed.into_iter().collect();
        prop_assert_eq!(table.len(), parsed.len());
        for labels in asked {
            let text = labels.join(".");
            let name = name(if text.is_empty() { "." } else { &text });
            let found = rest(&table).find(name.as_wire()).map(Found::pattern);
            prop_assert_eq!(found, naive(&parsed, &name), "{}", name);
        }
    }

    #[test]
    fn bytes_that_are_no_name_are_never_found(
        bytes in prop::collection::vec(prop::sample::select(vec![0, 1, 2, b'a', b'b']), 0..12),
    ) {
        let table = table("vpce-1 s a=10.0.0.1 names=*.a,b", &config());
        let patterns: Vec<Pattern> = ["*.a", "b"].map(|text| text.parse().unwrap()).into();
        let found = rest(&table).find(&bytes).map(Found::pattern);
        let name = Name::from_wire(&bytes).ok();
        prop_assert_eq!(found, name.and_then(|name| naive(&patterns, &name)));
    }

    #[test]
    fn every_address_is_sent_once_whatever_the_zone_and_the_rotation(
        zones in prop::collection::vec(0..4u8, 1..12),
        az in prop::option::of(0..4u8),
        rotation in any::<usize>(),
    ) {
        let words: Vec<String> =
            zones.iter().enumerate().map(|(at, zone)| format!("z{zone}=10.0.{zone}.{at}")).collect();
        let (table, rtype) = set(&words.join(" "));
        let set = entry(&table, "n").records(rtype).unwrap();
        let az_name = az.map(|az| format!("z{az}"));
        let sent = order(set, az_name.as_deref(), rotation);
        let all: BTreeSet<u8> = sent.iter().copied().collect();
        prop_assert_eq!(all.len(), zones.len());
        let near = zones.iter().filter(|zone| Some(**zone) == az).count();
        for at in &sent[..near] {
            prop_assert_eq!(Some(zones[usize::from(*at)]), az);
        }
    }
}

#[test]
fn names_of_a_service_share_its_text_whatever_endpoint_or_table_they_are_of() {
    let place = |table: &AnswerTable, text: &str| entry(table, text).service().as_str().as_ptr();
    let hub = "vpce-1 s.q a=10.0.1.5 dns=vpce-1-x.v\nvpce-2 s.q a=10.0.1.6 dns=vpce-2-x.v";
    let before = table(hub, &config());
    assert_eq!(place(&before, "vpce-1-x.v"), place(&before, "vpce-2-x.v"));
    let more = format!("{}\nvpce-3 s.q a=10.0.1.8 dns=vpce-3-x.v", hub.replace("1.6", "1.7"));
    let after = compile_beside(plan(&inventory(&more), &config()), &config(), &before);
    for name in ["vpce-1-x.v", "vpce-2-x.v", "vpce-3-x.v"] {
        assert_eq!(place(&after, name), place(&before, "vpce-1-x.v"), "{name}");
    }
}
