//! Two tables, and what a person is told of their difference.

use super::{preview, table_told};
use crate::{
    admin::json::{NamesDocument, from_text, to_text},
    policy::{self, PolicyConfig, ViewConfig, facts},
    table::{AnswerTable, compile},
};

const HUB: &str = "
    vpce-1 com.amazonaws.eu-west-1.sqs a=10.0.1.5 b=10.0.2.5 names=sqs.R tags=env:prod
    vpce-2 com.amazonaws.eu-west-1.kms a=10.0.1.6 a=fd00::6 names=kms.R
";

fn config(views: Vec<ViewConfig>) -> PolicyConfig {
    let allow = ["10.0.0.0/8", "192.168.0.0/16"].map(|it| it.parse().unwrap());
    PolicyConfig { allow: allow.to_vec(), views, ..facts::config() }
}

fn table(hub: &str, config: &PolicyConfig) -> AnswerTable {
    compile(policy::plan(&facts::inventory(hub), config), config)
}

fn view(name: &str, clients: &[&str], listeners: &[&str], deny: &[&str]) -> ViewConfig {
    ViewConfig {
        clients: clients.iter().map(|it| it.parse().unwrap()).collect(),
        listeners: listeners.iter().map(|it| it.parse().unwrap()).collect(),
        deny: deny.iter().map(|it| policy::ServiceRule::new(it)).collect(),
        ..ViewConfig::named(name.into())
    }
}

/// What is told, from both tables and from the daemon's document of the old one.
#[track_caller]
fn told(old: &AnswerTable, new: &AnswerTable) -> String {
    let text = preview(old, new).to_string();
    let sent = to_text(&NamesDocument::new(old, None, None));
    let read = table_told(&from_text(&sent).unwrap()).unwrap();
    assert_eq!(preview(&read, new).to_string(), text, "a daemon's document tells otherwise");
    text
}

#[test]
fn equal_tables_change_nothing() {
    let config = config(vec![view("onprem", &["192.168.0.0/16"], &["10.0.0.10:5353"], &["sqs"])]);
    let (old, new) = (table(HUB, &config), table(HUB, &config));
    assert_eq!(told(&old, &new), "");
    assert!(preview(&old, &new).is_empty());
}

#[test]
fn answers_are_told_view_by_view() {
    let config = config(vec![view("onprem", &["192.168.0.0/16"], &[], &["kms"])]);
    let after = HUB.replace("b=10.0.2.5", "b=10.0.2.9").replace("a=fd00::6", "");
    let after = after + "vpce-3 com.amazonaws.eu-west-1.sns a=10.0.1.7 names=sns.R";
    let (old, new) = (table(HUB, &config), table(&after, &config));
    insta::assert_snapshot!(told(&old, &new), @r"
    view onprem
      + sns.r A 10.0.1.7 (vpce-3, com.amazonaws.eu-west-1.sns)
      ~ sqs.r A 10.0.1.5 10.0.2.5 -> 10.0.1.5 10.0.2.9
    view default
      - kms.r AAAA fd00::6 (vpce-2, com.amazonaws.eu-west-1.kms)
      + sns.r A 10.0.1.7 (vpce-3, com.amazonaws.eu-west-1.sns)
      ~ sqs.r A 10.0.1.5 10.0.2.5 -> 10.0.1.5 10.0.2.9
    ");
    assert_eq!(
        preview(&old, &new).counts().to_string(),
        "5 answers change: 2 added, 1 removed, 2 changed"
    );
}

#[test]
fn a_view_that_comes_or_goes_is_told_by_who_is_moved() {
    let without = config(vec![]);
    let with = config(vec![view("lab", &["10.7.0.0/16", "10.7.1.0/24"], &[], &["kms"])]);
    let (one, other) = (table(HUB, &without), table(HUB, &with));
    insta::assert_snapshot!(told(&one, &other), @r"
    clients 10.7.0.0/16: view default -> view lab
      - kms.r A 10.0.1.6 (vpce-2, com.amazonaws.eu-west-1.kms)
      - kms.r AAAA fd00::6 (vpce-2, com.amazonaws.eu-west-1.kms)
    ");
    insta::assert_snapshot!(told(&other, &one), @r"
    clients 10.7.0.0/16: view lab -> view default
      + kms.r A 10.0.1.6 (vpce-2, com.amazonaws.eu-west-1.kms)
      + kms.r AAAA fd00::6 (vpce-2, com.amazonaws.eu-west-1.kms)
    ");
}

#[test]
fn the_order_of_views_and_a_network_in_another_decide_who_is_moved() {
    let wide = view("wide", &["10.0.0.0/8"], &[], &["kms"]);
    let narrow = view("narrow", &["10.1.0.0/16"], &[], &[]);
    let one = config(vec![wide.clone(), narrow.clone()]);
    let other = config(vec![narrow.clone(), wide]);
    insta::assert_snapshot!(told(&table(HUB, &one), &table(HUB, &other)), @r"
    clients 10.1.0.0/16: view wide -> view narrow
      + kms.r A 10.0.1.6 (vpce-2, com.amazonaws.eu-west-1.kms)
      + kms.r AAAA fd00::6 (vpce-2, com.amazonaws.eu-west-1.kms)
    ");
    // All of it but what is elsewhere already.
    let renamed = config(vec![narrow.clone(), view("broad", &["10.0.0.0/8"], &[], &["kms"])]);
    insta::assert_snapshot!(told(&table(HUB, &other), &table(HUB, &renamed)), @r"
    clients 10.0.0.0/8 but not 10.1.0.0/16: view wide -> view broad
      they are answered as before
    ");
}

#[test]
fn listeners_tell_clients_apart() {
    let one = config(vec![view("spoke", &[], &["10.0.0.10:5353"], &[])]);
    let other = config(vec![view("spoke", &[], &["10.0.0.10:5354"], &[])]);
    insta::assert_snapshot!(told(&table(HUB, &one), &table(HUB, &other)), @r"
    clients 10.0.0.0/8; 192.168.0.0/16 at 10.0.0.10:5353: view spoke -> view default
      they are answered as before
    clients 10.0.0.0/8; 192.168.0.0/16 at 10.0.0.10:5354: view default -> view spoke
      they are answered as before
    ");
}

#[test]
fn who_is_let_in_or_shut_out_is_told() {
    let one = config(vec![]);
    let allow = ["10.0.0.0/9", "10.200.0.0/16", "172.16.0.0/12"].map(|it| it.parse().unwrap());
    let other = PolicyConfig { allow: allow.to_vec(), ..config(vec![]) };
    insta::assert_snapshot!(told(&table(HUB, &one), &table(HUB, &other)), @r"
    clients 10.0.0.0/8 but not 10.0.0.0/9, 10.200.0.0/16; 192.168.0.0/16: view default -> refused
    clients 172.16.0.0/12: refused -> view default
    ");
}

#[test]
fn a_name_that_comes_to_stand_for_another_is_told() {
    let with = |aliases| PolicyConfig { aliases, ..config(vec![]) };
    let old = table(HUB, &with(vec![facts::cname("a.example", "sqs.R")]));
    let new =
        table(HUB, &with(vec![facts::cname("a.example", "kms.R"), facts::cname("kms.R", "b.x")]));
    insta::assert_snapshot!(told(&old, &new), @r"
    view default
      ~ a.example CNAME sqs.r -> kms.r
      - kms.r A 10.0.1.6 (vpce-2, com.amazonaws.eu-west-1.kms)
      - kms.r AAAA fd00::6 (vpce-2, com.amazonaws.eu-west-1.kms)
      + kms.r CNAME b.x
    ");
}
