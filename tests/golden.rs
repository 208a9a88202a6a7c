//! Recorded EC2 answers to table text, by the way that the daemon goes: files, facts, policy,
//! table. What a recording leads to is read here as a person reads it, line by line.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::Path, sync::Arc};

use hubdns::{
    config,
    discover::{SourceConfig, SourceKind, normalise, read_files},
    inventory::{Inventory, SourceFacts},
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
    let inventory = Inventory { sources: config.sources.iter().map(facts).map(Arc::new).collect() };
    compile(plan(&inventory, &config.policy), &config.policy)
}

fn facts(source: &SourceConfig) -> SourceFacts {
    let SourceKind::Files { path } = &source.kind else {
        panic!("{} is no recording", source.name);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let recorded = runtime.block_on(read_files(path)).unwrap();
    normalise(source, None, &recorded).unwrap()
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
