//! Recorded EC2 answers to table text, by the way that the daemon goes: files, facts, policy,
//! table. What a recording leads to is read here as a person reads it, line by line.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

use hubdns::{
    answer::{Exempt, Vantage, explain},
    app::{ask_sources, host_lookup},
    config::{self, Config},
    forward::ForwardConfig,
    inventory::Inventory,
    policy::plan,
    table::{AnswerTable, compile, diff},
};

const DEMO: &str = "src/discover/demo";
const SMALL: &str = "tests/fixtures/small";
const SMALL_AFTER: &str = "tests/fixtures/small-after";

/// Two audiences of the demo's hub: on-premises without S3, and a spoke that sees production
/// alone, by a port of its own.
const TWO_VIEWS: &str = r#"
[server]
listen = ["10.0.0.10:53", "10.0.0.10:5353"]

[[view]]
name = "onprem"
clients = ["192.168.0.0/16"]
deny = ["s3"]

[[view]]
name = "spoke"
listeners = ["10.0.0.10:5353"]
tags = { env = "prod" }
"#;

/// The table of the recording in `folder`, with these tables more in the configuration.
fn table(folder: &str, more: &str) -> AnswerTable {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let source = "[[source]]\nname = \"hub\"\nkind = \"files\"";
    let text = format!("{source}\npath = \"{}\"\n{more}", folder.display());
    let config = config::parse(&text, "hubdns.toml").unwrap();
    compile(plan(&inventory(&config), &config.policy), &config.policy)
}

fn inventory(config: &Config) -> Inventory {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let asked = runtime.block_on(async { ask_sources(config, &host_lookup(config)).await });
    Inventory { sources: asked.into_iter().map(|it| it.facts.unwrap()).collect() }
}

/// What `new` answers differently, a line each.
fn changes(old: &AnswerTable, new: &AnswerTable) -> String {
    diff(old, new).iter().map(|change| format!("{change}\n")).collect()
}

#[test]
fn the_demos_hub() {
    insta::assert_snapshot!(table(DEMO, ""));
}

#[test]
fn the_demos_hub_in_two_views() {
    let two = table(DEMO, TWO_VIEWS);
    let views = two.views().map(ToString::to_string);
    // The third is everybody else's, which is the first golden text.
    insta::assert_snapshot!(views.take(2).collect::<String>());
}

#[test]
fn what_a_view_takes_away_is_told_like_any_change() {
    let (all, two) = (table(DEMO, ""), table(DEMO, TWO_VIEWS));
    let added = changes(&all, &two);
    // Everybody else's view is what it was.
    assert_eq!(all.view("default"), two.view("default"));
    assert!(added.lines().all(|line| line.starts_with("+ ")), "{added}");
    let names = |view: &str| two.view(view).unwrap().len();
    assert_eq!(
        added.lines().filter(|line| line.contains(" A ")).count(),
        names("onprem") + names("spoke")
    );
}

#[test]
fn a_small_hub() {
    insta::assert_snapshot!(table(SMALL, ""));
}

#[test]
fn the_small_hub_after_a_change() {
    insta::assert_snapshot!(table(SMALL_AFTER, ""));
}

/// An interface replaced, an endpoint gone, one new, one on its way out.
#[test]
fn the_change_of_the_small_hub() {
    let (before, after) = (table(SMALL, ""), table(SMALL_AFTER, ""));
    insta::assert_snapshot!(changes(&before, &after));
}

#[test]
fn a_change_and_its_undoing_leave_the_first_table() {
    let (before, again) = (table(SMALL, ""), table(SMALL, ""));
    assert_eq!(before, again);
    assert_eq!(before.hash(), again.hash());
    assert_ne!(before.hash(), table(SMALL_AFTER, "").hash());
    assert_eq!(changes(&before, &again), "");
}

/// The recordings of two accounts that share a VPC, with the example of the document on views.
fn views_of_the_document() -> (AnswerTable, ForwardConfig) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/views");
    let page = document();
    let example = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let sources = ["hub", "payments"].map(|name| {
        format!("[[source]]\nname = \"{name}\"\nkind = \"files\"\npath = \"{name}\"\n")
    });
    let text = sources.concat() + example;
    let config = config::parse(&text, &folder.join("hubdns.toml").display().to_string()).unwrap();
    assert_eq!(config.warnings, [], "the example is good");
    let inventory = inventory(&config);
    (compile(plan(&inventory, &config.policy), &config.policy), config.forward)
}

fn document() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/VIEWS.md")).unwrap()
}

#[test]
fn views_of_prod_dev_onprem_and_a_shared_vpc() {
    let (table, _) = views_of_the_document();
    insta::assert_snapshot!(table);
}

/// Prod and dev have an endpoint each for one name; S3 is answered on premises and left to the
/// gateway endpoints of spokes; without a selection two endpoints are in conflict.
#[test]
fn the_document_on_views_explains_as_the_program_does() {
    let (table, forward) = views_of_the_document();
    let asked = [
        ("s3.eu-west-1.amazonaws.com", "192.168.1.5", 53),
        ("s3.eu-west-1.amazonaws.com", "10.1.2.3", 53),
        ("sqs.eu-west-1.amazonaws.com", "10.1.2.3", 53),
        ("sqs.eu-west-1.amazonaws.com", "10.1.2.3", 5301),
        ("sqs.eu-west-1.amazonaws.com", "172.16.0.1", 53),
        ("dynamodb.eu-west-1.amazonaws.com", "192.168.1.5", 53),
        ("dynamodb.eu-west-1.amazonaws.com", "10.1.2.3", 53),
        ("kms.eu-west-1.amazonaws.com", "10.20.0.1", 53),
        ("host.lab.example", "10.1.2.3", 5301),
        ("www.example.com", "10.1.2.3", 5301),
    ];
    let explained = asked.map(|(name, from, port)| {
        let listener = format!("10.0.0.10:{port}");
        let vantage = Vantage::new(from.parse().unwrap(), listener.parse().unwrap());
        let rtype = "A".parse().unwrap();
        let told =
            explain(&table, &forward, &Exempt::default(), &name.parse().unwrap(), rtype, vantage);
        let listener = if port == 53 { String::new() } else { format!(" --listener {listener}") };
        format!("```text\n$ hubdns explain {name} --from {from}{listener}\n{told}```\n")
    });
    let explained = explained.join("\n");
    insta::assert_snapshot!(explained);
    assert!(document().ends_with(&explained), "the document has other texts than the snapshot");
}
