//! The scripts of `benches/` run. What they measure is for those who read their tables, not for a test.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Process, venv};

/// Each takes 20 s; two cores may be busy.
const SCRIPT_LIMIT: Duration = Duration::from_secs(120);

/// What one of the scripts prints when it is told to be quick.
fn quick(script: &str, arguments: &[&str]) -> String {
    let dir = TempDir::new().unwrap();
    let mut command = Command::new(venv().join("bin/python"));
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/benches");
    command.arg("-B").arg(format!("{folder}/{script}")).arg("--quick").args(arguments);
    command.args(["--hubdns", env!("CARGO_BIN_EXE_hubdns")]);
    let mut script = Process::spawn("figures", &mut command, dir.path());
    let status = script.wait(SCRIPT_LIMIT);
    assert!(status.success(), "{status}; what it said is below");
    script.stdout()
}

/// The bench program of the profile and the features that this test has.
fn load() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--bench", "load", "--message-format=json"]);
    if cfg!(not(feature = "ec2")) {
        cargo.arg("--no-default-features");
    }
    // What a test's process is told of its own package: with it, ring and all that is built on it
    // would be built again, now and at the next build without it.
    for (key, _) in env::vars_os() {
        let name = key.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&key);
        }
    }
    let cargo = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).stderr(Stdio::inherit());
    let built = cargo.output().unwrap();
    assert!(built.status.success(), "{}", built.status);
    let paths = String::from_utf8(built.stdout).unwrap().lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).unwrap();
        let is_it = message["target"]["name"] == "load";
        message["executable"].as_str().filter(|_| is_it).map(PathBuf::from)
    });
    paths.unwrap()
}

/// The rows of the first table behind a heading.
fn rows<'a>(printed: &'a str, heading: &str) -> Vec<&'a str> {
    let (_, rest) = printed.split_once(heading).unwrap_or_else(|| panic!("no {heading}"));
    let table = rest.lines().skip_while(|line| !line.starts_with('|'));
    table.take_while(|line| line.starts_with('|')).skip(2).collect()
}

#[test]
fn the_comparison_fills_its_report() {
    let load = load();
    let printed = quick("compare.py", &["--load", load.to_str().unwrap()]);
    assert!(!printed.contains("What was left out"), "{printed}");
    assert_eq!(rows(&printed, "### Goals").len(), 22, "{printed}");
    for heading in ["### What an answer costs", "### How many are answered"] {
        let rows = rows(&printed, heading);
        assert_eq!(rows.len(), 7, "{printed}");
        assert!(rows.iter().all(|row| !row.contains(" - ")), "{printed}");
    }
    for (heading, count) in [
        ("### Start and memory", 2),
        ("### Upstream", 1),
        ("### Waits at 2,000", 2),
        ("### Waits at half", 2),
        ("### Two threads", 3),
        ("### Sizes", 4),
        ("### While names change", 2),
        ("### While it is watched", 4),
        ("### Beside malformed packets", 2),
    ] {
        assert_eq!(rows(&printed, heading).len(), count, "{heading}: {printed}");
    }
}

#[test]
fn the_small_and_the_large_hub_stand_beside_each_other() {
    let load = load();
    let printed = quick("scale.py", &["--load", load.to_str().unwrap()]);
    let heads = ["| 1 sources, 10 endpoints, 1 views |", "| 4 sources, 40 endpoints, 8 views |"];
    for heading in ["### Start, memory, changes", "### An answer"] {
        let rows = rows(&printed, heading);
        assert_eq!(rows.len(), 2, "{printed}");
        assert!(rows.iter().zip(heads).all(|(row, head)| row.starts_with(head)), "{printed}");
    }
    assert!(rows(&printed, "### An answer").iter().all(|row| row.ends_with("| 0 |")), "{printed}");
}

#[test]
fn what_an_answer_costs_is_counted() {
    let load = load();
    let printed = quick("stalls.py", &["--load", load.to_str().unwrap()]);
    let [row] = rows(&printed, "")[..] else { panic!("{printed}") };
    let cells: Vec<&str> = row.split(" | ").collect();
    assert_eq!(cells[0], "| 50 names", "{printed}");
    let instructions: f64 = cells[1].replace(',', "").parse().unwrap();
    assert!((500.0..50_000.0).contains(&instructions), "{printed}");
}

#[test]
fn the_script_of_the_figures_fills_its_tables() {
    let printed = quick("mixed.py", &[]);
    let rows = |heading: &str, peer: &str| {
        let rows = rows(&printed, heading);
        let ours = rows.into_iter().filter(|row| row.starts_with(&format!("| {peer} |")));
        ours.collect::<Vec<_>>()
    };
    for peer in ["hubdns", "unbound"] {
        assert_eq!(rows("Mixed load", peer).len(), 1, "{printed}");
        assert_eq!(rows("first of two upstreams", peer).len(), 3, "{printed}");
        assert_eq!(rows("All upstreams fall silent", peer).len(), 4, "{printed}");
    }
    for row in rows("Mixed load", "hubdns") {
        assert!(row.ends_with("| 400 answer |"), "{row}");
    }
}
